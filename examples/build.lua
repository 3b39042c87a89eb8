-- Builds this project: a node for each source file and one that links them, as a flow.
--   flowlua examples/build.lua --jobs 2             into build/flow/
--   flowlua examples/build.lua --param cflags=-O0   other flags: everything is compiled again
-- A second run compiles only what is older than its source or any header.
local flow, fs = require "flow", require "fs"

local root = fs.absolute(fs.join(fs.dirname(arg[0]), ".."))
local packages = "luajit libuv sqlite3 libpcre2-8 jansson libsodium"

local build = flow.dag("build", {
  params = {
    out = { "string", default = fs.join(root, "build/flow"), doc = "folder of the objects" },
    cc = "gcc", cflags = "-O1",
  },
  defaults = { cwd = root, env = { OUT = "{{ params.out }}" } },
})

build.flags = flow.shell { [[
  mkdir -p "$OUT" && cd "$OUT" && { pkg-config --cflags ]] .. packages .. [[ && echo {{ params.cflags }}; } > flags.new
  cmp -s flags.new flags || mv flags.new flags # keeps its time when nothing has changed
]], capture = "text" }

-- The language as bytecode, in one generated C file.
build.embed = flow.shell { after = "flags", [[
  luajit runtime/bind/embed.lua "$OUT/embedded.c" "$PWD" $(find "$PWD/lua" "$PWD/stdlib" -name '*.lua' ! -path '*/types/*')
]] }

local newest_header = 0
for _, path in ipairs(fs.glob(root .. "/runtime/*/*.h")) do
  newest_header = math.max(newest_header, fs.stat(path).mtime)
end

local names = {}
local function compile(name, source, object, after)
  names[#names + 1] = name
  build[name] = flow.shell {
    after = after,
    when = function(ctx)
      local made = fs.stat(fs.join(ctx.params.out, object))
      local from, flags = fs.stat(fs.absolute(source:gsub("^%$OUT", ctx.params.out), root)), fs.stat(ctx.params.out .. "/flags")
      return not made or made.mtime < math.max(newest_header, from.mtime, flags.mtime)
    end,
    ('{{ params.cc }} -std=gnu11 -D_GNU_SOURCE -Iruntime -Iruntime/include $(cat "$OUT/flags")'
      .. ' -include runtime/base/banned.h -c "%s" -o "$OUT/%s.part" && mv "$OUT/%s.part" "$OUT/%s"')
      :format(source, object, object, object),
  }
end

for _, path in ipairs(fs.glob(root .. "/runtime/*/*.c")) do
  local source = path:sub(#root + 2)
  local name = source:gsub("^runtime/", ""):gsub("%.c$", ""):gsub("[^%w_]", ".")
  compile(name, source, name .. ".o", "flags")
end
compile("embedded", "$OUT/embedded.c", "embedded.o", { "flags", "embed" })

build.link = flow.shell { after = names, trigger = "none_failed", -- what is skipped is up to date
  [[cd "$OUT" && {{ params.cc }} -rdynamic *.o -o flowlua $(pkg-config --libs ]] .. packages .. [[) -pthread -lm -ldl && ./flowlua version]],
}

return build
