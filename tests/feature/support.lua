-- What feature specs share: a box, a folder of its own where the built binary is run and watched.
--
-- A spec says `box = support.box()` before each test and `box:close()` after it. Everything that a
-- box starts carries the box's mark in its environment: close() finds what is still running, fails
-- the test for it, and ends it. With FLOWLUA_KEEP=1 the folder stays for a look.
local ffi = require "ffi"
local json = require "dkjson"

ffi.cdef [[
  int posix_spawn(int *pid, const char *path, const void *actions, const void *attr,
                  const char *const argv[], const char *const envp[]);
  int posix_spawn_file_actions_init(void *);
  int posix_spawn_file_actions_destroy(void *);
  int posix_spawn_file_actions_addopen(void *, int fd, const char *path, int flags, unsigned mode);
  int posix_spawn_file_actions_addchdir_np(void *, const char *path);
  int posix_spawnattr_init(void *);
  int posix_spawnattr_destroy(void *);
  int posix_spawnattr_setflags(void *, short flags);
  int waitpid(int pid, int *status, int options);
  int kill(int pid, int signal);
  int getpid(void);
  char *strerror(int errnum);
  char *mkdtemp(char *template);
  char *realpath(const char *path, char *resolved);
  void free(void *);
  struct support_timespec { long seconds, nanoseconds; };
  int nanosleep(const struct support_timespec *, void *);
  int clock_gettime(int clock, struct support_timespec *);
]]

local C = ffi.C
local O_RDONLY, O_WRONLY_CREAT_TRUNC = 0, 577
local SPAWN_SETSID = 0x80
local WNOHANG = 1

local support = {}

--- A run that takes longer than this hangs.
local timeout_s = 120
--- How long what a run started may take to be gone after it.
local left_timeout_s = 15
local poll_s = 0.002

local function absolute(path)
  local resolved = C.realpath(path, nil)
  if resolved == nil then error(path .. ": " .. ffi.string(C.strerror(ffi.errno())), 2) end
  local text = ffi.string(resolved)
  C.free(resolved)
  return text
end

--- The checkout, and the binary that is tested.
support.root = absolute(os.getenv("FLOWLUA_ROOT") or ".")
support.binary = absolute(os.getenv("FLOWLUA_BIN") or support.root .. "/build/release/flowlua")
--- Whether the binary is checked by AddressSanitizer: slower, and every allocation is larger.
support.is_sanitized = os.getenv("FLOWLUA_SANITIZED") == "1"

--- The rows of a table of cases. For a sanitizer one in three: it is after the code that they
--- share, and takes several times as long.
---@generic T
---@param rows T[]
---@return T[]
function support.rows(rows)
  if not support.is_sanitized then return rows end
  local some = {}
  for i = 1, #rows, 3 do some[#some + 1] = rows[i] end
  return some
end

support.SIGHUP, support.SIGINT, support.SIGKILL, support.SIGTERM = 1, 2, 9, 15
support.SIGSTOP, support.SIGCONT = 19, 18
support.null = json.null

local function now()
  local t = ffi.new("struct support_timespec")
  C.clock_gettime(1, t)
  return tonumber(t.seconds) + tonumber(t.nanoseconds) / 1e9
end
support.now = now

local function pause(seconds)
  local t = ffi.new("struct support_timespec")
  t.seconds = math.floor(seconds)
  t.nanoseconds = (seconds % 1) * 1e9
  C.nanosleep(t, nil)
end

--- Waits until `condition()` gives something true and returns it; an error after `seconds`.
---@param what string for the error
---@param condition fun(): any
---@param seconds? number (default: 30)
function support.wait_until(what, condition, seconds)
  local deadline = now() + (seconds or 30)
  while true do
    local value = condition()
    if value then return value end
    if now() > deadline then error("waited in vain for " .. what, 2) end
    pause(poll_s)
  end
end

function support.read(path)
  local file, why = io.open(path, "rb")
  if not file then return nil, why end
  local text = file:read("*a")
  file:close()
  return text
end

--- Decodes one JSON text; an error when it is none. JSON null is support.null.
function support.decode(text)
  local value, at, why = json.decode(text, 1, json.null, nil, nil)
  if why then error(("no JSON (%s): %s"):format(why, text:sub(1, 400)), 2) end
  local rest = text:sub(at):match("^%s*(.-)%s*$")
  if rest ~= "" then error("more than one JSON text: " .. rest:sub(1, 200), 2) end
  return value
end

--- Decodes one JSON object a line.
function support.decode_lines(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do list[#list + 1] = support.decode(line) end
  return list
end

function support.lines(text)
  local list = {}
  for line in text:gmatch("([^\n]*)\n?") do list[#list + 1] = line end
  if list[#list] == "" then list[#list] = nil end
  return list
end

-- ----------------------------------------------------------------------------------- processes

local Process = {}
Process.__index = Process

local function c_strings(list)
  local array = ffi.new("const char *[?]", #list + 1)
  for i, text in ipairs(list) do array[i - 1] = text end
  array[#list] = nil
  return array
end

local spawn_count = 0

---@class support.RunOptions
---@field stdin? string what the process reads. (default: nothing)
---@field env? table<string, string|false> added to the box's environment; false removes
---@field cwd? string (default: the box's folder)
---@field timeout? number seconds. (default: 120)

-- Starts `argv` with its output in files of the box.
local function spawn(box, argv, options)
  spawn_count = spawn_count + 1
  local base = ("%s/io/%d"):format(box.path, spawn_count)
  local stdin = "/dev/null"
  if options.stdin then
    stdin = base .. ".in"
    support.write(stdin, options.stdin)
  end
  local env = {}
  for name, value in pairs(box.env) do env[name] = value end
  for name, value in pairs(options.env or {}) do env[name] = value or nil end
  local pairs_of_env = {}
  for name, value in pairs(env) do pairs_of_env[#pairs_of_env + 1] = name .. "=" .. value end

  local actions, attr = ffi.new("char[256]"), ffi.new("char[512]")
  C.posix_spawn_file_actions_init(actions)
  C.posix_spawn_file_actions_addopen(actions, 0, stdin, O_RDONLY, 0)
  C.posix_spawn_file_actions_addopen(actions, 1, base .. ".out", O_WRONLY_CREAT_TRUNC, 384)
  C.posix_spawn_file_actions_addopen(actions, 2, base .. ".err", O_WRONLY_CREAT_TRUNC, 384)
  C.posix_spawn_file_actions_addchdir_np(actions, options.cwd or box.path)
  C.posix_spawnattr_init(attr)
  C.posix_spawnattr_setflags(attr, SPAWN_SETSID)
  local pid = ffi.new("int[1]")
  local rc = C.posix_spawn(pid, argv[1], actions, attr, c_strings(argv), c_strings(pairs_of_env))
  C.posix_spawn_file_actions_destroy(actions)
  C.posix_spawnattr_destroy(attr)
  if rc ~= 0 then error(argv[1] .. ": " .. ffi.string(C.strerror(rc)), 3) end
  return setmetatable({ pid = pid[0], base = base, argv = argv, started = now() }, Process)
end

--- What it has printed so far.
function Process:out() return support.read(self.base .. ".out") end
function Process:err() return support.read(self.base .. ".err") end

function Process:is_running()
  if self.result then return false end
  local status = ffi.new("int[1]")
  local rc = C.waitpid(self.pid, status, WNOHANG)
  if rc == 0 then return true end
  local signal = bit.band(status[0], 0x7f)
  self.result = {
    code = signal == 0 and bit.rshift(bit.band(status[0], 0xff00), 8) or nil,
    signal = signal ~= 0 and signal or nil,
    seconds = now() - self.started,
  }
  return false
end

function Process:kill(signal)
  if self:is_running() then C.kill(self.pid, signal or support.SIGKILL) end
end

---@class support.Result
---@field code? integer exit code, or
---@field signal? integer the signal that ended it
---@field out string
---@field err string
---@field seconds number

--- Waits for its end. A process that does not end is killed, with its session, and is an error.
---@param seconds? number (default: 120)
---@return support.Result
function Process:wait(seconds)
  local deadline = now() + (seconds or timeout_s)
  while self:is_running() do
    if now() > deadline then
      C.kill(-self.pid, support.SIGKILL)
      C.kill(self.pid, support.SIGKILL)
      while self:is_running() do pause(poll_s) end
      error(("%s: no end after %g s\n%s\n%s"):format(table.concat(self.argv, " "),
        seconds or timeout_s, self:out():sub(-2000), self:err():sub(-2000)), 2)
    end
    pause(poll_s)
  end
  self.result.out, self.result.err = self:out(), self:err()
  return self.result
end

-- ----------------------------------------------------------------------------------- boxes

local Box = {}
Box.__index = Box

local box_count = 0

--- A new empty folder with a state directory, and an environment that holds little more than it.
function support.box()
  box_count = box_count + 1
  local template = (os.getenv("TMPDIR") or "/tmp") .. "/flowlua-test-XXXXXX"
  local name = ffi.new("char[?]", #template + 1, template)
  assert(C.mkdtemp(name) ~= nil, "cannot make a folder in " .. template)
  local path = ffi.string(name)
  local box = setmetatable({ path = path, state = path .. "/state" }, Box)
  box.mark = ("FLOWLUA_TEST=%d.%d.%s"):format(C.getpid(), box_count, path:match("[^-]+$"))
  box.env = {
    PATH = os.getenv("PATH"), HOME = path, TMPDIR = path, LANG = "C.UTF-8", TZ = "UTC",
    FLOWLUA_STATE = box.state, FLOWLUA_BUG = os.getenv("FLOWLUA_BUG"),
    FLOWLUA_TEST = box.mark:match("=(.*)"),
    ASAN_OPTIONS = os.getenv("ASAN_OPTIONS"), UBSAN_OPTIONS = os.getenv("UBSAN_OPTIONS"),
    LSAN_OPTIONS = os.getenv("LSAN_OPTIONS"),
  }
  -- A leak checker takes a third of a sanitized process's time: it looks into one box in three.
  if support.is_sanitized and box_count % 3 ~= 1 then box:sanitizer "detect_leaks=0" end
  assert(os.execute(("mkdir '%s/io'"):format(path)) == 0)
  return box
end

function support.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
  return path
end

--- For what is meant to crash or to leave without a word: the sanitizers would report it.
---@param options string of ASAN_OPTIONS
function Box:sanitizer(options)
  self.env.ASAN_OPTIONS = (self.env.ASAN_OPTIONS or "") .. ":" .. options
end

--- Writes a file of the box, folders included; returns its whole path.
function Box:write(name, text)
  local path = self.path .. "/" .. name
  local folder = name:match("^(.*)/[^/]*$")
  if folder then assert(os.execute(("mkdir -p '%s/%s'"):format(self.path, folder)) == 0) end
  return support.write(path, text)
end

--- The content of a file of the box, nil when there is none.
function Box:read(name) return (support.read(self.path .. "/" .. name)) end

function Box:exists(name) return self:read(name) ~= nil end

--- Starts the binary with these arguments, and does not wait.
---@param args string[]
---@param options? support.RunOptions
function Box:start(args, options)
  local argv = { support.binary }
  for _, arg in ipairs(args) do argv[#argv + 1] = tostring(arg) end
  return spawn(self, argv, options or {})
end

--- Runs the binary to its end.
---@param args string[]
---@param options? support.RunOptions
---@return support.Result
function Box:run(args, options)
  return self:start(args, options):wait(options and options.timeout)
end

--- Writes `text` as a script and runs it: box:script([[...]], "--json").
---@return support.Result
function Box:script(text, ...)
  self:write("flow.lua", text)
  return self:run { "flow.lua", "--no-progress", ... }
end

--- Starts a command line of the shell in the box's folder, and does not wait.
function Box:start_sh(command, options)
  return spawn(self, { "/bin/sh", "-c", command }, options or {})
end

--- Runs a command line of the shell in the box's folder.
---@return support.Result
function Box:sh(command, options)
  return self:start_sh(command, options):wait()
end

--- Asks the store: a list of rows, each a list of texts; NULL is "".
---@param query string
---@return string[][]
function Box:sql(query)
  local done = spawn(self, { "/usr/bin/sqlite3", "-readonly", "-batch", "-cmd", ".timeout 10000",
    "-separator", "\31", "-newline", "\30", self.state .. "/flowlua.db", query }, {}):wait()
  if done.code ~= 0 then error("sqlite3: " .. done.err, 2) end
  local rows = {}
  for line in done.out:gmatch("([^\30]*)\30") do
    local row = {}
    for cell in (line .. "\31"):gmatch("([^\31]*)\31") do row[#row + 1] = cell end
    rows[#rows + 1] = row
  end
  return rows
end

--- The first column of the first row.
function Box:sql_value(query)
  local row = self:sql(query)[1]
  return row and row[1]
end

--- What `show RUN --json` says, with `nodes` also by name.
---@param run? string (default: "last")
function Box:show(run)
  local done = self:run { "show", run or "last", "--json" }
  if done.code ~= 0 then error("show: " .. done.err, 2) end
  local shown = support.decode(done.out)
  shown.node = {}
  for _, node in ipairs(shown.nodes) do shown.node[node.name] = node end
  return shown
end

--- { name = status } of the last run, or of `run`.
function Box:states(run)
  local states = {}
  for name, node in pairs(self:show(run).node) do states[name] = node.status end
  return states
end

--- The processes that carry the box's mark, as { pid = command line }; zombies carry none.
function Box:left()
  local found = {}
  local pipe = assert(io.popen("grep -lsaF '" .. self.mark .. "' /proc/[0-9]*/environ 2>/dev/null"))
  for path in pipe:lines() do
    local pid = tonumber(path:match("%d+"))
    local words = support.read(("/proc/%d/cmdline"):format(pid))
    if words and words ~= "" then found[pid] = words:gsub("%z", " ") end
  end
  pipe:close()
  return found
end

--- An error when something that this box started still runs after a while.
---@param seconds? number (default: 15)
function Box:assert_none_left(seconds)
  local deadline = now() + (seconds or left_timeout_s)
  while true do
    local found = self:left()
    if next(found) == nil then return end
    if now() > deadline then
      local list = {}
      for pid, words in pairs(found) do list[#list + 1] = pid .. " " .. words end
      error("still running: " .. table.concat(list, "; "), 2)
    end
    pause(0.02)
  end
end

--- Ends the box: nothing may be left of what it started.
function Box:close()
  local ok, why = pcall(self.assert_none_left, self)
  for pid in pairs(self:left()) do C.kill(pid, support.SIGKILL) end
  if os.getenv("FLOWLUA_KEEP") ~= "1" then
    os.execute(("chmod -R u+rwX '%s' 2>/dev/null; rm -rf '%s'"):format(self.path, self.path))
  end
  if not ok then error(why, 0) end
end

return support
