-- Starts a program and tells what it cost: wall and CPU time, peak memory, exit code.
local ffi = require "ffi"

ffi.cdef [[
  struct bench_time { long seconds, rest; };
  struct bench_usage {
    struct bench_time user, system; /* rest: microseconds */
    long max_rss_kb, unused[13];
  };
  int posix_spawnp(int *pid, const char *file, const void *actions, const void *attr,
                   const char *const argv[], char *const envp[]);
  int posix_spawn_file_actions_init(void *);
  int posix_spawn_file_actions_destroy(void *);
  int posix_spawn_file_actions_addopen(void *, int fd, const char *path, int flags, unsigned mode);
  int posix_spawn_file_actions_adddup2(void *, int fd, int to);
  int posix_spawn_file_actions_addchdir_np(void *, const char *path);
  int wait4(int pid, int *status, int options, struct bench_usage *usage);
  int clock_gettime(int clock, struct bench_time *);
  int pipe2(int fds[2], int flags);
  int close(int fd);
  long read(int fd, void *data, unsigned long size);
  int kill(int pid, int signal);
  char *strerror(int errnum);
  extern char **environ;
]]

local C = ffi.C
local O_RDONLY, O_WRONLY_CREAT_APPEND, O_CLOEXEC = 0, 1089, 524288
local SIGINT, SIGKILL = 2, 9

local measure = {}

--- Seconds on a clock that only goes forward.
function measure.now()
  local t = ffi.new "struct bench_time"
  C.clock_gettime(1, t)
  return tonumber(t.seconds) + tonumber(t.rest) / 1e9
end

local function seconds(t) return tonumber(t.seconds) + tonumber(t.rest) / 1e6 end

-- Its stdout goes to descriptor `out`, or nowhere.
local function spawn(argv, dir, input, out)
  local words = ffi.new("const char *[?]", #argv + 1)
  for i, word in ipairs(argv) do words[i - 1] = word end
  local actions = ffi.new "char[128]" -- posix_spawn_file_actions_t: 80 bytes here
  C.posix_spawn_file_actions_init(actions)
  C.posix_spawn_file_actions_addchdir_np(actions, dir)
  C.posix_spawn_file_actions_addopen(actions, 0, input or "/dev/null", O_RDONLY, 0)
  if out then
    C.posix_spawn_file_actions_adddup2(actions, out, 1)
  else
    C.posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY_CREAT_APPEND, 420)
  end
  C.posix_spawn_file_actions_addopen(actions, 2, "stderr", O_WRONLY_CREAT_APPEND, 420)
  local pid = ffi.new "int[1]"
  local err = C.posix_spawnp(pid, argv[1], actions, nil, words, C.environ)
  C.posix_spawn_file_actions_destroy(actions)
  if err ~= 0 then error(argv[1] .. ": " .. ffi.string(C.strerror(err)), 0) end
  return pid[0]
end

-- The usage is that of this process and of the children it waited for: flowlua waits for none but
-- its supervisor, which is the smaller one.
local function wait(pid)
  local status, usage = ffi.new "int[1]", ffi.new "struct bench_usage"
  repeat until C.wait4(pid, status, 0, usage) == pid
  return {
    cpu = seconds(usage.user) + seconds(usage.system),
    peak_mb = tonumber(usage.max_rss_kb) / 1024,
    code = status[0] % 128 == 0 and math.floor(status[0] / 256) or 128 + status[0] % 128,
  }
end

--- Runs `argv` in `dir` to its end; what it prints is lost.
---@param argv string[]
---@param dir string
---@param input string? path of its standard input
---@return { wall: number, cpu: number, peak_mb: number, code: integer }
function measure.run(argv, dir, input)
  local from = measure.now()
  local pid = spawn(argv, dir, input)
  local result = wait(pid)
  result.wall = measure.now() - from
  return result
end

--- Runs `argv` until it has printed `count` lines with `text`: that is its wall time. It is asked
--- to stop then, and whatever it ends with is fine. An error when it ends before.
function measure.run_until(argv, dir, text, count)
  local fds, data = ffi.new "int[2]", ffi.new "char[65536]"
  assert(C.pipe2(fds, O_CLOEXEC) == 0)
  local from, seen, rest, wall = measure.now(), 0, "", nil
  local pid = spawn(argv, dir, nil, fds[1])
  C.close(fds[1])
  while true do
    local size = tonumber(C.read(fds[0], data, 65536))
    if size <= 0 then break end
    rest = rest .. ffi.string(data, size)
    local done = 1
    for line, at in rest:gmatch "([^\n]*)\n()" do
      done = at
      if line:find(text, 1, true) then seen = seen + 1 end
    end
    rest = rest:sub(done)
    if not wall and seen >= count then
      wall = measure.now() - from
      C.kill(pid, SIGINT)
    end
  end
  C.close(fds[0])
  local result = wait(pid)
  if not wall then
    error(("%s: %d of %d lines with %s"):format(table.concat(argv, " "), seen, count, text), 0)
  end
  result.wall, result.code = wall, 0
  return result
end

--- Starts `argv` and leaves it running.
---@return integer pid for measure.kill()
function measure.start(argv, dir) return spawn(argv, dir) end

--- `kill -9` of what measure.start() started.
function measure.kill(pid)
  C.kill(pid, SIGKILL)
  wait(pid)
end

--- `kill -9` of a process that is no child of ours.
function measure.kill_stranger(pid) C.kill(pid, SIGKILL) end

function measure.median(list)
  local sorted = { unpack(list) }
  table.sort(sorted)
  local middle = math.floor((#sorted + 1) / 2)
  if #sorted % 2 == 1 then return sorted[middle] end
  return (sorted[middle] + sorted[middle + 1]) / 2
end

return measure
