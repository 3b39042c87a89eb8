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
  int posix_spawn_file_actions_addchdir_np(void *, const char *path);
  int wait4(int pid, int *status, int options, struct bench_usage *usage);
  int clock_gettime(int clock, struct bench_time *);
  char *strerror(int errnum);
  extern char **environ;
]]

local C = ffi.C
local O_RDONLY, O_WRONLY_CREAT_APPEND = 0, 1089

local measure = {}

--- Seconds on a clock that only goes forward.
function measure.now()
  local t = ffi.new "struct bench_time"
  C.clock_gettime(1, t)
  return tonumber(t.seconds) + tonumber(t.rest) / 1e9
end

local function seconds(t) return tonumber(t.seconds) + tonumber(t.rest) / 1e6 end

--- Runs `argv` in `dir` to its end; stdout goes to `dir`/stdout unless the bench asks for none.
---@param argv string[]
---@param dir string
---@param input string? path of its standard input
---@return { wall: number, cpu: number, peak_mb: number, code: integer }
function measure.run(argv, dir, input)
  local words = ffi.new("const char *[?]", #argv + 1)
  for i, word in ipairs(argv) do words[i - 1] = word end
  local actions = ffi.new "char[128]" -- posix_spawn_file_actions_t: 80 bytes here
  C.posix_spawn_file_actions_init(actions)
  C.posix_spawn_file_actions_addchdir_np(actions, dir)
  C.posix_spawn_file_actions_addopen(actions, 0, input or "/dev/null", O_RDONLY, 0)
  C.posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY_CREAT_APPEND, 420)
  C.posix_spawn_file_actions_addopen(actions, 2, "stderr", O_WRONLY_CREAT_APPEND, 420)
  local pid, status, usage = ffi.new "int[1]", ffi.new "int[1]", ffi.new "struct bench_usage"
  local from = measure.now()
  local err = C.posix_spawnp(pid, argv[1], actions, nil, words, C.environ)
  if err ~= 0 then error(argv[1] .. ": " .. ffi.string(C.strerror(err)), 0) end
  -- The usage is that of this process and of the children it waited for: flowlua waits for none but
  -- its supervisor, which is the smaller one.
  repeat until C.wait4(pid[0], status, 0, usage) == pid[0]
  local wall = measure.now() - from
  C.posix_spawn_file_actions_destroy(actions)
  local code = status[0] % 128 == 0 and math.floor(status[0] / 256) or 128 + status[0] % 128
  return {
    wall = wall, cpu = seconds(usage.user) + seconds(usage.system),
    peak_mb = tonumber(usage.max_rss_kb) / 1024, code = code,
  }
end

function measure.median(list)
  local sorted = { unpack(list) }
  table.sort(sorted)
  local middle = math.floor((#sorted + 1) / 2)
  if #sorted % 2 == 1 then return sorted[middle] end
  return (sorted[middle] + sorted[middle + 1]) / 2
end

return measure
