-- Checks that what Lua code can call is typed and told: each C function has its stub and manual.
local tidy = require "tests.support.tidy"

-- The C modules that users require, each with the files that register its functions. A C module not
-- named here serves lua/flow only.
local public = {
  fs = { "runtime/bind/bind_fs.c", "runtime/bind/path.c" },
  json = { "runtime/bind/bind_json.c" },
  log = { "runtime/bind/bind_log.c" },
  process = { "runtime/bind/bind_process.c" },
  re = { "runtime/bind/bind_re.c" },
  sqlite = { "runtime/bind/bind_sqlite.c" },
  time = { "runtime/bind/bind_time.c" },
}
-- Functions of those modules that serve lua/flow only.
local private = { ["json.encode_value"] = true, ["json.decode_value"] = true }

-- What stdlib/ may require: what a user's own node type may.
local modules = { flow = true }
for name in pairs(public) do modules[name], modules["flow." .. name] = true, true end

local manual = "docs/reference.md"
local told = tidy.exists(manual) and tidy.read(manual)
if not told then tidy.found(manual, 1, "is not there") end

-- The names in the `luaL_Reg` tables of a C file, each with its line.
local function registered(path)
  local names = {}
  local inside, n = false, 0
  for line in io.lines(path) do
    n = n + 1
    if line:find("luaL_Reg%s+[%w_]+%[%]") then inside = true end
    if inside then
      for name in line:gmatch('{"([%a][%w_]*)",%s*l_') do names[#names + 1] = { name, n } end
    end
    if line:find("};") then inside = false end
  end
  return names
end

local count = 0
for module, paths in pairs(public) do
  local stub_path = ("lua/flow/types/%s.lua"):format(module)
  local stub = tidy.exists(stub_path) and tidy.read(stub_path)
  if not stub then tidy.found(stub_path, 1, "is not there") end
  for _, path in ipairs(paths) do
    for _, entry in ipairs(tidy.exists(path) and registered(path) or {}) do
      local name, line = entry[1], entry[2]
      if not private[module .. "." .. name] then
        count = count + 1
        if stub and not stub:find("function [%w_]+[.:]" .. name .. "%(") then
          tidy.found(path, line, "%s.%s has no stub in %s", module, name, stub_path)
        end
        if told and not told:find("[.:]" .. name .. "%f[^%w_]") then
          tidy.found(path, line, "%s.%s is not told in %s", module, name, manual)
        end
      end
    end
  end
end

for _, path in ipairs(tidy.files("^stdlib/.*%.lua$")) do
  local n = 0
  for line in io.lines(path) do
    n = n + 1
    local code = line:gsub("%-%-.*$", "")
    local name = code:match("%f[%w_]require%s*%(?%s*[\"']([^\"']+)[\"']")
    if name and not modules[name] then
      tidy.found(path, n, "stdlib/ is written on the public modules, not on %s", name)
    end
  end
end
-- The reasons are a promise: a closed list that programs compare with.
local promises = "docs/command-line.md"
local promised = tidy.read(promises)
for name in tidy.read("runtime/base/state.h"):gmatch('X%(%u[%u_]*,%s*"([%w_]+)"') do
  if name ~= "none" and not promised:find("| `" .. name .. "` |", 1, true) then
    tidy.found(promises, 1, "reason %s is not told", name)
  end
end
tidy.done(count .. " functions")
