-- Builds this project: a node for each source file and one that links them, as a flow.
--   flowlua examples/build.lua --jobs 2             into build/flow/
--   flowlua examples/build.lua --param cflags=-O0   other flags: everything is compiled again
-- A second run compiles only what is older than its source, any header or the flags.
local flow, fs = require "flow", require "fs"

local root = fs.absolute(fs.join(fs.dirname(arg[0]), ".."))

local build = flow.dag("build", {
  params = {
    out = { "string", default = fs.join(root, "build/flow"), doc = "folder of the objects" },
    cc = "gcc", cflags = "-O1",
  },
  defaults = { cwd = root, env = {
    OUT = "{{ params.out }}", PACKAGES = "luajit libuv sqlite3 libpcre2-8 jansson libsodium",
  } },
})

build.flags = flow.shell { [[
  mkdir -p "$OUT" && { pkg-config --cflags $PACKAGES && echo {{ params.cflags }}; } > "$OUT/new"
  cmp -s "$OUT/new" "$OUT/flags" || mv "$OUT/new" "$OUT/flags" # keeps its time when it is the same
]] }

local COMPILE = '{{ params.cc }} -std=gnu11 -D_GNU_SOURCE -Iruntime -Iruntime/include -I"$OUT" '
  .. [[-DFL_REFERENCE='"docs/reference.md"' $(cat "$OUT/flags") ]]
  .. '-include runtime/base/banned.h -c %s -o "$OUT/%s.part" && '
  .. 'mv "$OUT/%s.part" "$OUT/%s.o"'

-- The keys of a patch as C.
build.patch_keys = flow.shell { after = "flags", [[
  luajit runtime/api/patch_keys.lua "$OUT/patch_keys.new" "$PWD"
  cmp -s "$OUT/patch_keys.new" "$OUT/patch_keys.h" || mv "$OUT/patch_keys.new" "$OUT/patch_keys.h"
]] }

-- The language as bytecode, in one generated C file.
build.embedded = flow.shell { after = "flags", [[
  test -z "$(find lua stdlib "$OUT/flags" -newer "$OUT/embedded.o" 2>&1)" || {
    luajit runtime/bind/embed.lua "$OUT/embedded.c" "$PWD" \
      $(find "$PWD/lua" "$PWD/stdlib" -name '*.lua' ! -path '*/types/*' | sort) &&
    ]] .. COMPILE:format('"$OUT/embedded.c"', "embedded", "embedded", "embedded") .. "\n}" }

local function changed(path) return (fs.stat(path) or { mtime = 0 }).mtime end

local function all(ending)
  local list = fs.glob(root .. "/runtime/*/*" .. ending)
  for _, path in ipairs(fs.glob(root .. "/runtime/*/*/*" .. ending)) do list[#list + 1] = path end
  return list
end

-- When the last header was changed, or what becomes one, or is taken in.
local newest = math.max(changed(root .. "/lua/flow/patch_keys.lua"),
  changed(root .. "/docs/reference.md"))
for _, path in ipairs(all ".h") do newest = math.max(newest, changed(path)) end

local names, core = { "embedded" }, { "embedded" }
for _, path in ipairs(all ".c") do
  local name = path:match "runtime/(.*)%.c$":gsub("/", ".")
  if name ~= "store.image_main" then names[#names + 1] = name end
  if not name:find "^cli%." then core[#core + 1] = name end
  build[name] = flow.shell {
    after = { "flags", "patch_keys" },
    when = function(ctx)
      local out = fs.absolute(ctx.params.out, root) .. "/"
      return changed(out .. name .. ".o") < math.max(newest, changed(path), changed(out .. "flags"))
    end,
    COMPILE:format(path:sub(#root + 2), name, name, name),
  }
end

local function link(objects, program)
  return '{{ params.cc }} -rdynamic ' .. table.concat(objects, ".o ") .. ".o -o " .. program
    .. " $(pkg-config --libs $PACKAGES) -pthread -lm -ldl"
end

-- An empty store as C: written by a program of the same code.
build.store_image = flow.shell { after = core, trigger = "none_failed", -- skipped: up to date
  [[test -z "$(find "$OUT"/store.*.o -newer "$OUT/store_image.o" 2>&1)" || {
    (cd "$OUT" && ]] .. link(core, "store_image") .. [[ && ./store_image store_image.c) && ]]
    .. COMPILE:format('"$OUT/store_image.c"', "store_image", "store_image", "store_image")
    .. "\n}" }

names[#names + 1] = "store_image"
build.link = flow.shell { after = names, trigger = "none_failed",
  'cd "$OUT" && ' .. link(names, "flowlua") .. " && ./flowlua version" }

return build
