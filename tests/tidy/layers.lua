-- Checks that includes go down only: each folder of runtime/ sees what its arrow names, no more.
local tidy = require "tests.support.tidy"

-- The tree of docs/ARCHITECTURE.md. Arrows add up: who sees `plan` sees `graph` and `base` too.
-- Every folder sees its own headers and the public one.
local arrows = {
  base = {},
  graph = { "base" },
  calendar = { "base" },
  plan = { "graph" },
  store = { "base" },
  read = { "store" },
  io = { "base" },
  engine = { "plan", "read" },
  bind = { "engine", "io", "calendar" },
  executor = { "bind" },
  api = { "executor" },
  cli = {},
  include = {},
}

-- Where each third-party header may be included.
local homes = {
  ["sqlite3.h"] = { "^runtime/store/", "^runtime/read/", "^runtime/bind/bind_sqlite[%w_]*%.[ch]$" },
  ["uv.h"] = { "^runtime/io/" },
  ["lua.h"] = { "^runtime/bind/", "^runtime/executor/" },
  ["lauxlib.h"] = { "^runtime/bind/", "^runtime/executor/" },
  ["lualib.h"] = { "^runtime/bind/", "^runtime/executor/" },
  ["luajit.h"] = { "^runtime/bind/", "^runtime/executor/" },
  ["pcre2.h"] = { "^runtime/base/match%.c$" },
  ["sodium.h"] = { "^runtime/base/digest%.c$" },
  ["immintrin.h"] = { "^runtime/base/sha256%.c$" }, -- of the compiler
  ["cpuid.h"] = { "^runtime/base/sha256%.c$" },
  ["jansson.h"] = { "^runtime/base/", "^runtime/cli/" },
}

-- Folders that take values and a `now`: they read no clock, file or process.
local pure = { graph = true, plan = true, calendar = true }
local acts = { "^time%.h$", "^unistd%.h$", "^fcntl%.h$", "^signal%.h$", "^poll%.h$", "^pthread%.h$",
  "^spawn%.h$", "^dirent%.h$", "^sys/", "^linux/" }

-- Functions with one home: the door from C into Lua, so that every call has its traceback and its
-- stack counted.
local doors = {
  lua_pcall = "^runtime/bind/call%.c$",
  lua_cpcall = "^runtime/bind/call%.c$",
  luaL_dofile = "^runtime/bind/call%.c$",
  luaL_dostring = "^runtime/bind/call%.c$",
}

-- Headers of libc and the kernel. A new third-party header is none of these: it needs a home.
local libc = {}
for name in ([[assert ctype dirent dlfcn errno execinfo fcntl float fnmatch fts ftw getopt glob
  inttypes iso646 langinfo libgen limits link locale malloc math poll pthread pwd sched semaphore
  setjmp signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib string strings
  sysexits termios threads time unistd wchar wctype]]):gmatch("%S+") do
  libc[name .. ".h"] = true
end

local sees = {}
local function closure(folder)
  if sees[folder] then return sees[folder] end
  local set = { [folder] = true }
  sees[folder] = set
  for _, below in ipairs(arrows[folder]) do
    for name in pairs(closure(below)) do set[name] = true end
  end
  return set
end
for folder in pairs(arrows) do closure(folder) end

local function at_home(path, patterns)
  for _, pattern in ipairs(patterns) do
    if path:find(pattern) then return true end
  end
  return false
end

local function check_system(path, line, folder, header)
  if homes[header] then
    if not at_home(path, homes[header]) then
      local home = table.concat(homes[header], " ")
      tidy.found(path, line, "<%s> has its home elsewhere: %s", header, home)
    end
  elseif not (libc[header] or header:find("^sys/") or header:find("^linux/")
      or header:find("^sanitizer/")) then
    tidy.found(path, line, "<%s> is unknown: give it a home in tests/tidy/layers.lua", header)
  end
  for _, pattern in ipairs(pure[folder] and acts or {}) do
    if header:find(pattern) then
      tidy.found(path, line, "%s is pure: <%s> acts on the world", folder, header)
    end
  end
end

local function check_own(path, line, folder, header)
  local target = header:match("^([%w_]+)/")
  -- For all: the public header, and what the build makes of data that Lua holds as well.
  if header == "flowlua.h" or header == "patch_keys.h" then return end
  if folder == "cli" then
    if target then tidy.found(path, line, "cli uses flowlua.h only, not \"%s\"", header) end
  elseif not target then
    tidy.found(path, line, "\"%s\" must be included as \"%s/%s\"", header, folder, header)
  elseif not arrows[target] then
    tidy.found(path, line, "\"%s\": no such folder in the tree", header)
  elseif not sees[folder][target] then
    tidy.found(path, line, "%s may not include %s", folder, target)
  elseif folder ~= target and header:find "_internal%.h$" then
    tidy.found(path, line, "\"%s\" is private to %s", header, target)
  end
end

local files = tidy.files("^runtime/.*%.[ch]$")
for _, path in ipairs(files) do
  local folder = path:match("^runtime/([%w_]+)/")
  if not arrows[folder] then
    tidy.found(path, 1, "folder %s has no arrow in tests/tidy/layers.lua", tostring(folder))
  else
    local text = tidy.read(path)
    local n = 0
    for line in (text .. "\n"):gmatch("(.-)\n") do
      n = n + 1
      local system = line:match("^%s*#%s*include%s*<([^>]+)>")
      local own = line:match("^%s*#%s*include%s*\"([^\"]+)\"")
      if system then check_system(path, n, folder, system) end
      if own then check_own(path, n, folder, own) end
    end
    n = 0
    for line in (tidy.bare_c(text) .. "\n"):gmatch("(.-)\n") do
      n = n + 1
      for name in line:gmatch("[%a_][%w_]*%f[^%w_]%s*%(") do
        name = name:match("^[%w_]+")
        if doors[name] and not path:find(doors[name]) then
          tidy.found(path, n, "%s() is called through fl_lua_call only", name)
        end
      end
    end
  end
end
tidy.done(#files .. " files")
