-- Compiles the language's Lua files to bytecode and writes them as one C table (at build time).
-- Usage: luajit embed.lua OUT.c ROOT FILE...
local out_path, root = arg[1], arg[2]
local out = assert(io.open(out_path, "w"))
local names = {}
out:write('// Generated from lua/ and stdlib/.\n#include "bind/embedded.h"\n')
for i = 3, #arg do
  local path = arg[i]:sub(#root + 2)
  -- lua/flow/dag.lua is the module flow.dag; stdlib/node/shell.lua is stdlib.node.shell
  local name = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
  local file = assert(io.open(arg[i], "rb"))
  local source = file:read("*a")
  file:close()
  local chunk = assert(loadstring(source, "=" .. path))
  local code = string.dump(chunk)
  names[#names + 1] = { name = name, size = #code }
  out:write("static const unsigned char code_", #names, "[] = {")
  out:write((code:gsub(".", function(c) return c:byte() .. "," end)))
  out:write("};\n")
end
out:write("const fl_embedded fl_embedded_modules[] = {\n")
for i, entry in ipairs(names) do
  out:write(('  {"%s", code_%d, %d},\n'):format(entry.name, i, entry.size))
end
out:write("};\nconst size_t fl_embedded_count = ", #names, ";\n")
out:close()
