-- A child whose whole life can be checked afterwards: it holds a lock, notes its start and its end
-- in a ledger, prints numbered lines, and ends with a code or a signal of its own.
--   luajit child.lua NAME MILLISECONDS END FOLDER     END: an exit code, or a signal as "-10"
--   luajit child.lua NAME held:MILLISECONDS END FOLDER   they begin when FOLDER/go is there
--   luajit child.lua NAME hold FOLDER                 only holds NAME's second lock
local ffi = require "ffi"

ffi.cdef [[
  int open(const char *path, int flags, int mode);
  int flock(int fd, int operation);
  int poll(void *fds, unsigned long count, int timeout);
  int getpid(void);
  int kill(int pid, int signal);
  struct child_time { long seconds, nanoseconds; };
  int clock_gettime(int clock, struct child_time *);
]]

local O_RDWR_CREAT, LOCK_EX_NB = 66, 6
local TICK_MS = 25
local name, what = arg[1], arg[2]
local folder = arg[#arg]

local function now_ms()
  local t = ffi.new "struct child_time"
  ffi.C.clock_gettime(1, t)
  return tonumber(t.seconds) * 1000 + math.floor(tonumber(t.nanoseconds) / 1e6)
end

-- One write of an appended line is whole or not there.
local function note(event)
  local file = assert(io.open(folder .. "/ledger", "a"))
  file:setvbuf "full"
  file:write(("%s %s %d\n"):format(event, name, now_ms()))
  file:close()
end

-- Held to the end of this process. Somebody else has it: two lives of one node overlap.
local function lock(suffix)
  local fd = ffi.C.open(("%s/%s.%s"):format(folder, name, suffix), O_RDWR_CREAT, 384)
  if ffi.C.flock(fd, LOCK_EX_NB) ~= 0 then note "overlap" end
end

if what == "hold" then
  lock "held"
  while true do ffi.C.poll(nil, 0, 1000) end
end

lock "lock"
note "start"
local held, life_ms = what:match "^(%a*):?(%d+)$"
local until_ms, count = now_ms() + tonumber(life_ms), 0
while held ~= "" or now_ms() < until_ms do
  count = count + 1
  io.write(name, " ", count, "\n")
  io.flush()
  ffi.C.poll(nil, 0, math.min(TICK_MS, math.max(0, until_ms - now_ms())))
  local go = held ~= "" and io.open(folder .. "/go")
  if go then
    go:close()
    held, until_ms = "", now_ms() + tonumber(life_ms)
  end
end
io.write(name, " last ", count, "\n")
io.flush()
note "end"
local ending = tonumber(arg[3])
if ending < 0 then ffi.C.kill(ffi.C.getpid(), -ending) end
os.exit(ending)
