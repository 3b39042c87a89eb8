-- The kill sweep: an engine is killed at its durable system calls, resumed, and compared.
--
-- The calls of a whole run of each workload are counted; then, for each of them, it is run anew
-- with a SIGKILL of the engine at that call. Every third time the engine that resumes is killed as
-- well. Only the engine is: strace follows no child, so the supervisor and what it runs live on, as
-- they would. At every fifth call there is another point where the supervisor is killed with the
-- engine, and at every fifth one where it alone is.
local here = arg[1]
package.path = here .. "/?.lua;" .. package.path
local place = require "place"
local lanes = require "lanes"
local recover = require "recover"
local witness = require "witness"
local workloads = require "workloads"

local SYSCALLS = { "pwrite64", "pwritev", "write", "writev", "fdatasync", "fsync", "ftruncate",
  "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "sendmsg", "sendto" }
local KINDS = { "lost", "twice", "unequal", "left" }

local options = { durability = "full", only = nil, points = nil, keep = false }

local function fail(text)
  io.stderr:write("sweep: ", text, "\n")
  os.exit(2)
end

local function read_arguments()
  local at = 2
  local function text()
    at = at + 1
    return arg[at] or fail(arg[at - 1] .. " needs a value")
  end
  while arg[at] do
    local word = arg[at]
    if word == "--points" then
      options.points = tonumber(text()) or fail "--points: expected a number"
    elseif word == "--durability" then
      options.durability = text()
    elseif word == "--workload" then
      options.only = text()
      if not workloads[options.only] then fail("no workload " .. options.only) end
    elseif word == "--point" then -- one as it was printed, to look at it again
      options.point = text()
      options.only = options.point:match "^%S+"
    elseif word == "--lanes" then
      place.lanes = tonumber(text()) or fail "--lanes: expected a number"
    elseif word == "--keep" then
      options.keep = true
    elseif word == "--lane" then -- for ourselves
      options.lane, options.folder = tonumber(text()), text()
    else
      fail(("unknown option %s; there are --points N, --workload NAME, --point 'TEXT', "
        .. "--durability full|group, --lanes N, --keep"):format(word))
    end
    at = at + 1
  end
end

-- ------------------------------------------------------------------------------------ a point

local function start(dir, w, before)
  return place.flowlua(dir, workloads.get_start(w, options.durability), before)
end

-- Breaks a run at a call as `how` says. Returns its exit code, and whether it came to that call.
local function break_at(dir, w, how, name, count)
  if how == "supervisor" then
    return place.flowlua_stopped(dir, workloads.get_start(w, options.durability), name, count)
  end
  local code = start(dir, w, place.kill_at(name, count))
  if how == "both" then place.kill_supervisors(dir) end
  return code, code ~= 0
end

--- Breaks a run at a call and resumes it. Returns what was found wrong, { kind, text } each, or
--- nil when the run ended before that call.
local function try_point(dir, w, how, name, count, number)
  local wrong = {}
  local function found(kind, text) wrong[#wrong + 1] = { kind, text } end
  local code, reached = break_at(dir, w, how, name, count)
  if not reached then
    witness.check_left(dir, function() end)
    return nil
  end
  if code ~= (how == "supervisor" and 0 or place.KILLED) then
    found("lost", "ended with " .. code)
  end
  local broken = { dir = dir, w = w, whole = recover.get_whole(w, options.folder), crashes = 1,
    durability = options.durability, supervisor_too = how ~= "engine", found = found,
    tracer = number % 3 == 0 and place.kill_at("pwrite64", 1 + number % 13) or nil }
  if code ~= 0 then recover.run(broken) end
  recover.judge(broken)
  return wrong
end

-- Calls vary a little from run to run: one that a run did not reach is tried again, an earlier one.
local function run_job(job, number)
  local which, how, name, count = job:match "^(%S+) (%S+) (%S+) (%d+)$"
  local w, folder = workloads[which], options.folder
  count = tonumber(count)
  for _ = 1, 20 do
    local dir = workloads.make(w, folder, "point." .. number)
    local wrong = try_point(dir, w, how, name, count, number)
    if wrong and #wrong == 0 then place.remove(dir) end
    if wrong then return wrong end
    count = math.max(1, count - math.ceil(count / 20))
  end
  return { { "lost", "no run reached this call" } }
end

-- ------------------------------------------------------------------------------------ whole

local function list_calls(w, folder)
  local dir = workloads.make(w, folder, "trace." .. w.name)
  local calls = place.list_calls(dir, workloads.get_start(w, options.durability), SYSCALLS)
  return calls or fail(("%s itself fails under strace; see %s/out"):format(w.name, dir))
end

local function add_jobs(jobs, w, folder)
  local text = recover.make_whole(w, folder, options.durability)
  if text then fail(text) end
  local calls = list_calls(w, folder)
  for i, call in ipairs(calls) do
    local at = ("%s %d"):format(call[1], call[2])
    jobs[#jobs + 1] = ("%s engine %s"):format(w.name, at)
    if i % 5 == 1 then jobs[#jobs + 1] = ("%s both %s"):format(w.name, at) end
    if i % 5 == 3 then jobs[#jobs + 1] = ("%s supervisor %s"):format(w.name, at) end
  end
  print(("%-11s %4d durable calls"):format(w.name, #calls))
end

local function new_counts() return { points = 0, lost = 0, twice = 0, unequal = 0, left = 0 } end

local function describe(c)
  return ("%d points, %d lost, %d twice, %d unequal, %d left"):format(c.points, c.lost, c.twice,
    c.unequal, c.left)
end

-- Prints what is wrong, and the counts of each workload and of all. Returns whether all is well.
local function tell(lines, job_count)
  local all, each, wrong = new_counts(), {}, false
  for _, line in ipairs(lines) do
    local kind, which = line:match "^(%S+) (%w+)"
    local counts = each[which] or new_counts()
    each[which] = counts
    if kind ~= "point" then print(line) end
    kind = kind == "point" and "points" or kind
    counts[kind], all[kind] = counts[kind] + 1, all[kind] + 1
  end
  for _, w in ipairs(workloads) do
    if each[w.name] then print(("%-11s %s"):format(w.name, describe(each[w.name]))) end
  end
  for _, kind in ipairs(KINDS) do wrong = wrong or all[kind] > 0 end
  return describe(all), not wrong and all.points == job_count
end

local function sweep()
  local folder, jobs = lanes.make_folder "sweep", {}
  for _, w in ipairs(workloads) do
    if not options.only or options.only == w.name then add_jobs(jobs, w, folder) end
  end
  jobs = options.point and { options.point } or lanes.spread(jobs, options.points)
  local lines = lanes.run("sweep.lua", "--durability " .. options.durability, folder, jobs)
  local text, good = tell(lines, #jobs)
  if not good then print("kept: " .. folder) end
  if good and not options.keep then place.remove(folder) end
  print(text)
  os.exit(good and 0 or 1)
end

local why = place.init(here)
if why then fail(why) end
read_arguments()
if options.lane then lanes.work(options.folder, options.lane, run_job) else sweep() end
