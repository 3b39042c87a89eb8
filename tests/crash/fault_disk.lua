-- A disk that is full or broken, once and for ever, at every call that changes a file of the state:
-- in a run, and in a resume after a kill. The engine goes on, or ends with 3 and says why; what it
-- told before is there, its children live on, and a resume on a mended disk converges.
local place = require "place"
local recover = require "recover"
local witness = require "witness"
local workloads = require "workloads"

local disk = { name = "disk" }

local SYSCALLS = { "pwrite64", "write", "fdatasync", "fsync", "ftruncate", "fallocate", "linkat",
  "mkdir", "mkdirat" }
local WORKLOADS = { "chain", "mend", "checkpoint", "call" }
local takes_no_space = { fdatasync = true, fsync = true }

local function add_faults(jobs, w, call, index)
  local name, count, what = unpack(call)
  if not what:find("/state", 1, true) then return end
  for _, errno in ipairs { "ENOSPC", "EIO" } do
    if errno == "EIO" or not takes_no_space[name] then
      local who = index % 3 == 0 and name == "pwrite64" and "all" or "engine"
      local text = ("disk %s %s %s %s "):format(w.name, who, name, errno)
      jobs[#jobs + 1] = text .. count
      jobs[#jobs + 1] = text .. count .. "+"
    end
  end
  if index % 7 == 0 then -- while it recovers from a kill
    jobs[#jobs + 1] = ("disk %s recovery pwrite64 ENOSPC %d"):format(w.name, count)
    jobs[#jobs + 1] = ("disk %s recovery fdatasync EIO %d+"):format(w.name, count)
  end
end

function disk.list(folder)
  local jobs = {}
  for _, name in ipairs(WORKLOADS) do
    local w = workloads[name]
    local text = recover.make_whole(w, folder, "full")
    if text then return nil, text end
    local dir = workloads.make(w, folder, "trace." .. name)
    local calls = place.list_calls(dir, workloads.get_start(w, "full"), SYSCALLS)
    if not calls then return nil, name .. " fails under strace: see " .. dir end
    for i, call in ipairs(calls) do add_faults(jobs, w, call, i) end
  end
  return jobs
end

-- What the log would be after a power cut: as it was when it last reached the disk.
local function cut_power(dir)
  local written, safe, wal = 0, 0, dir .. "/state/flowlua.db-wal"
  for line in io.lines(dir .. "/trace") do
    if line:find("flowlua.db-wal>", 1, true) then
      local size, at = line:match "^pwrite64%(.*, (%d+), (%d+)%) += %d+$"
      if size then written = math.max(written, tonumber(size) + tonumber(at)) end
      if line:find "^fdatasync.*= 0" then safe = written end
    end
  end
  os.execute(("cp -r '%s/state' '%s/dark' 2>/dev/null; truncate -s %d '%s'"):format(dir, dir, safe,
    (wal:gsub("/state/", "/dark/"))))
end

-- Events that were told are in what a power cut would leave.
local function check_durable(dir, found)
  os.execute(("mkdir '%s/cut' && cp '%s/events' '%s/cut/'"):format(dir, dir, dir))
  cut_power(dir)
  os.execute(("mv '%s/dark' '%s/cut/state'"):format(dir, dir))
  local store = witness.read_store(dir .. "/cut", false)
  witness.check_told(dir .. "/cut", store, { checkpoints = {}, steps = {} }, found)
end

local function check_words(dir, name, errno, found)
  local said = place.read(dir .. "/out")
  local fits = errno == "ENOSPC" and said:lower():find("no space left", 1, true)
    or errno == "EIO" and (said:find("EIO", 1, true) or said:find("unknown", 1, true))
  if not fits then found("wrong", "exit 3 without saying why: " .. said:sub(1, 300)) end
  local log = place.read(dir .. "/trace"):match "fdatasync%([^\n]*flowlua.db%-wal>%)[^\n]*INJECTED"
  if name == "fdatasync" and log and not said:find("unknown", 1, true) then
    found("wrong", "does not say that the outcome is unknown: " .. said:sub(1, 300))
  end
  if place.read(dir .. "/events"):find("run_started", 1, true)
    and not said:find("resume: flowlua resume", 1, true) then
    found("wrong", "does not say how to resume: " .. said:sub(1, 300))
  end
end

local function try(folder, w, who, name, errno, count, number, found)
  local dir = workloads.make(w, folder, "point." .. number)
  local b = { dir = dir, w = w, whole = recover.get_whole(w, folder), durability = "full",
    crashes = 0, found = found }
  local fault = place.fail_at(dir, name, errno, count, who == "all")
  local start = workloads.get_start(w, "full")
  if who == "recovery" then
    local code = place.flowlua(dir, start, place.kill_at("pwrite64", tonumber(count:match "%d+")))
    b.crashes = code == 0 and 0 or 1
    b.tracer = place.fail_at(dir, name, errno, count:gsub("%d+", tostring(1 + number % 40)))
    if code ~= 0 then recover.run(b) end
  else
    local code = place.flowlua(dir, start, fault)
    -- The memory that is shared with a worker is no file of the state: that one node may fail.
    local memory = place.read(dir .. "/trace"):find "memfd:flowlua%-worker[^\n]*INJECTED"
    if code ~= 0 and code ~= 3 and not (code == 1 and memory) then
      found("wrong", "ended with " .. code)
    end
    local mute = name == "write" and count:find "%+" -- nothing can be said either
    if code == 3 and not mute then check_words(dir, name, errno, found) end
    if name == "fdatasync" and errno == "EIO" then check_durable(dir, found) end
    b.crashes = code == 0 and 0 or 1
    if code ~= 0 then recover.run(b) end
  end
  -- A supervisor that cannot write its journal may lose what it started.
  b.supervisor_too = who == "all"
  recover.judge(b)
  return dir
end

function disk.run(folder, job, number)
  local wrong = {}
  local which, who, name, errno, count = job:match "^disk (%S+) (%S+) (%S+) (%S+) (%S+)$"
  local dir = try(folder, workloads[which], who, name, errno, count, number,
    function(_, text) wrong[#wrong + 1] = { "wrong", text } end)
  return wrong, dir
end


return disk
