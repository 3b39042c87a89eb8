-- The kill sweep: an engine is killed at many of its durable system calls, resumed, and compared.
--
-- The calls of a whole run of sweep_flow.lua are counted; then, for each of many of them, the flow
-- is run anew with a SIGKILL of the engine at that call. Every third time the engine that resumes
-- is killed as well. Only the engine is: strace follows no child, so the supervisor and what it
-- runs live on, as they would. Three witnesses judge a point: the exit codes, the store (a copy as
-- each kill left it, and at the end), and the ledger into which a node writes when it really runs.
local here = arg[1]
package.path = here .. "/?.lua;" .. package.path
local witness = require "sweep_witness"

local SYSCALLS = { "pwrite64", "pwritev", "write", "writev", "fdatasync", "fsync", "ftruncate",
  "rename", "renameat", "renameat2", "unlink", "unlinkat", "sendmsg", "sendto" }
local RESUMES_MAX = 3

local options = { points = 200, durability = "full", lanes = 2, keep = false }

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
    elseif word == "--lanes" then
      options.lanes = tonumber(text()) or fail "--lanes: expected a number"
    elseif word == "--keep" then
      options.keep = true
    elseif word == "--lane" then -- for ourselves
      options.lane, options.folder = tonumber(text()), text()
    else
      fail(("unknown option %s; there are --points N, --durability full|group, --lanes N, --keep")
        :format(word))
    end
    at = at + 1
  end
  local path = os.getenv "FLOWLUA_BIN" or here .. "/../../build/release/flowlua"
  local pipe = io.popen(("realpath -e '%s' 2>&1"):format(path))
  options.binary = pipe:read "*l"
  pipe:close()
  if not options.binary:find "^/" then fail(options.binary) end
end

-- ------------------------------------------------------------------------------------ running

-- Runs a command in `dir` and returns its exit code; a signal counts as 128 + its number.
local function run(dir, text)
  local status = os.execute(("cd '%s' && { %s; } >> out 2>&1"):format(dir, text))
  return status % 256 == 0 and status / 256 or 128 + status % 128
end

local function flowlua(dir, words, before)
  return run(dir, ("SWEEP_MARK='%s' exec %s '%s' %s --state '%s/state' --quiet --jobs 2")
    :format(dir, before or "", options.binary, words, dir))
end

local function start(dir, before)
  return flowlua(dir, ("run '%s/sweep_flow.lua' --durability %s --param ledger='%s/ledger'")
    :format(here, options.durability, dir), before)
end

local function kill_at(name, count)
  return ("strace -qq -o /dev/null -e trace=%s -e inject=%s:signal=KILL:when=%d")
    :format(name, name, count)
end

local function make_dir(dir)
  os.execute(("rm -rf '%s' && mkdir -p '%s'"):format(dir, dir))
  return dir
end

--- The durable calls of one run, in order: { { name, count of this name so far }, ... }.
local function list_calls(dir)
  local trace = ("strace -qq -o '%s/trace' -e trace=%s"):format(dir, table.concat(SYSCALLS, ","))
  local code = start(dir, trace)
  if code ~= 0 then fail(("the flow itself ends with %d; see %s/out"):format(code, dir)) end
  local calls, count = {}, {}
  for line in io.lines(dir .. "/trace") do
    local name = line:match "^([%w_]+)%("
    if name then
      count[name] = (count[name] or 0) + 1
      calls[#calls + 1] = { name, count[name] }
    end
  end
  return calls
end

-- ------------------------------------------------------------------------------------ a point

-- Resumes what a kill left until it succeeds; every third point's first resume is killed as well.
local function recover(dir, number, found)
  local crashes, resumes, code = 1, 0
  repeat
    local broken = witness.read_store(dir, true)
    broken.lines = witness.count_lines(dir .. "/ledger")
    local before = resumes == 0 and number % 3 == 0 and kill_at("pwrite64", 1 + number % 13) or nil
    if #broken.runs == 0 then
      code = start(dir, before)
    else
      code = flowlua(dir, "resume --durability " .. options.durability, before)
    end
    if code == 137 then crashes = crashes + 1 end
    resumes = resumes + 1
    witness.check_kept(dir .. "/ledger", broken, found)
  until code == 0 or resumes == RESUMES_MAX
  if code ~= 0 then
    found("lost", ("does not succeed: exit code %d after %d resumes"):format(code, resumes))
  end
  return crashes
end

--- Kills a run at a call and resumes it. Returns what was found wrong, { kind, text } each, or
--- "missed" when the run ended before that call.
local function try_point(dir, call, number, expected)
  make_dir(dir)
  local wrong = {}
  local function found(kind, text) wrong[#wrong + 1] = { kind, text } end
  local code = start(dir, kill_at(call[1], call[2]))
  if code == 0 then return "missed" end
  if code ~= 137 then found("lost", "ended with " .. code) end
  local crashes = recover(dir, number, found)
  local final = witness.read_store(dir, false)
  witness.compare(expected, final, found)
  witness.check_attempts(final, crashes, found)
  witness.check_ledger(dir .. "/ledger", crashes, found)
  witness.check_left(dir, found)
  return wrong
end

-- Calls vary a little from run to run: one that a run did not reach is tried again, an earlier one.
local function try_near(dir, call, number, expected)
  for _ = 1, 20 do
    local wrong = try_point(dir, call, number, expected)
    if wrong ~= "missed" then return wrong end
    call[2] = math.max(1, call[2] - math.ceil(call[2] / 20))
  end
  return { { "lost", "no run reached this call" } }
end

local function write_lane(file, call, wrong)
  for _, entry in ipairs(wrong) do
    file:write(("%s %s:%d: %s\n"):format(entry[1], call[1], call[2], entry[2]:gsub("\n", " ")))
  end
  file:write "point\n"
  file:flush()
end

local function run_lane()
  local folder, lane = options.folder, options.lane
  local expected = witness.read_store(folder .. "/whole", false)
  local results = assert(io.open(("%s/lane.%d"):format(folder, lane), "w"))
  local number = 0
  for line in io.lines(folder .. "/points") do
    number = number + 1
    if number % options.lanes == lane % options.lanes then
      local name, count = line:match "^(%S+) (%d+)$"
      local call, dir = { name, tonumber(count) }, ("%s/point.%d"):format(folder, number)
      local wrong = try_near(dir, call, number, expected)
      if #wrong == 0 then os.execute("rm -rf '" .. dir .. "'") end
      write_lane(results, call, wrong)
    end
  end
  results:close()
end

-- ------------------------------------------------------------------------------------ whole

local function choose_points(calls, folder)
  local file = assert(io.open(folder .. "/points", "w"))
  for i = 0, options.points - 1 do
    local call = calls[math.floor(i * #calls / options.points) + 1]
    file:write(call[1], " ", call[2], "\n")
  end
  file:close()
end

local function tell(folder)
  local points, count = 0, { lost = 0, twice = 0, left = 0 }
  for lane = 1, options.lanes do
    for line in io.lines(("%s/lane.%d"):format(folder, lane)) do
      if line == "point" then
        points = points + 1
      else
        local kind = line:match "^%S+"
        count[kind] = count[kind] + 1
        print(line)
      end
    end
  end
  local good = points == options.points and count.lost + count.twice + count.left == 0
  if not good then print("kept: " .. folder) end
  if good and not options.keep then os.execute("rm -rf '" .. folder .. "'") end
  print(("%d points, %d lost, %d twice, %d left")
    :format(points, count.lost, count.twice, count.left))
  return good
end

local function sweep()
  local pipe = io.popen(("mktemp -d '%s/sweep.XXXXXX'"):format(options.binary:match "^(.*)/"))
  local folder = pipe:read "*l" or fail "cannot make a folder"
  pipe:close()
  local code = start(make_dir(folder .. "/whole"))
  if code ~= 0 then
    fail(("the flow itself ends with %d; see %s/whole/out"):format(code, folder))
  end
  local calls = list_calls(make_dir(folder .. "/trace"))
  choose_points(calls, folder)
  print(("%d durable calls in a run of %d nodes"):format(#calls,
    #witness.read_store(folder .. "/whole", false).nodes))
  local command = {}
  for lane = 1, options.lanes do
    command[lane] = ("FLOWLUA_BIN='%s' luajit '%s/sweep.lua' '%s' --points %d --lanes %d"
      .. " --durability %s --lane %d '%s' &"):format(options.binary, here, here, options.points,
      options.lanes, options.durability, lane, folder)
  end
  os.execute(table.concat(command, "\n") .. "\nwait")
  os.exit(tell(folder) and 0 or 1)
end

read_arguments()
if options.lane then run_lane() else sweep() end
