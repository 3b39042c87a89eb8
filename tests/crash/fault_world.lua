-- The world around an engine: no permission, no descriptors, no memory, two resumes at once, a disk
-- that takes seconds to sync. What cannot be done is said; nothing half made is in the way of the
-- next run; of two owners there is one.
local place = require "place"
local recover = require "recover"
local witness = require "witness"
local workloads = require "workloads"

local world = { name = "world" }

local RACES, SLOW_S = 50, 3

function world.list(folder)
  for _, name in ipairs { "chain", "mend" } do
    local text = recover.make_whole(workloads[name], folder, "full")
    if text then return nil, text end
  end
  local chain, dir = workloads.chain, place.make(folder .. "/killed.chain")
  place.flowlua(dir, workloads.get_start(chain, "full"), place.kill_at("fdatasync", 8))
  place.find_left(dir)
  local jobs = {}
  local function add(...) jobs[#jobs + 1] = "world " .. string.format(...) end
  local calls = place.list_calls(workloads.make(chain, folder, "trace"),
    workloads.get_start(chain, "full"), { "openat", "mkdir", "mkdirat", "linkat" })
  if not calls then return nil, "the chain fails under strace" end
  for _, call in ipairs(calls) do
    if call[1] ~= "openat" or call[3]:find("state", 1, true)
      or call[3]:find("flowlua.db", 1, true) then
      for _, errno in ipairs { "EACCES", "EROFS", "EMFILE" } do
        add("call %s:%s:%d", call[1], errno, call[2])
        add("call %s:%s:%d+", call[1], errno, call[2])
      end
    end
  end
  -- Left out: with 33 and 34 the descriptors of a worker do not fit into its supervisor, which ends
  -- for that, and the next one too: such a run waits until it is interrupted.
  for files = 3, 40 do
    if files < 33 or files > 34 then add("limit nofile=%d", files) end
  end
  for megabytes = 8, 300, 4 do add("limit as=%d", megabytes * 1048576) end
  for number = 1, RACES do add("race %d", number) end
  add("slow %d", SLOW_S)
  return jobs
end

-- ------------------------------------------------------------------------------------ refused

-- After a fault that may have kept the run from existing: what is there goes on, and ends right.
local function finish(dir, code, found)
  local b = { dir = dir, w = workloads.chain, durability = "full", crashes = 1, found = found,
    whole = recover.get_whole(workloads.chain, dir:match "^(.*)/") }
  if code ~= 0 then recover.run(b) end
  -- A node that could not be started has failed, as its script would have; the run is told so.
  b.crashes = b.crashes + 3
  recover.judge(b)
end

-- SQLite opens for reading what it may not open for writing, whatever the reason.
local WORDS = { EACCES = { "EACCES", "permission", "read-only", "the store" },
  EROFS = { "EROFS", "read-only", "the store" },
  EMFILE = { "EMFILE", "open files", "read-only", "the store" } }

local function says(text, words)
  for _, word in ipairs(words) do
    if text:find(word, 1, true) then return true end
  end
  return false
end

local function break_call(dir, what, found)
  local name, errno, count = what:match "^(%w+):(%w+):(%S+)$"
  local code = place.flowlua(dir, workloads.get_start(workloads.chain, "full"),
    place.fail_at(dir, name, errno, count))
  local said = place.read(dir .. "/out")
  if code ~= 0 and code ~= 3 and code ~= 1 then found("wrong", "ended with " .. code) end
  if code ~= 0 and not says(said .. place.read(dir .. "/events"), WORDS[errno]) then
    found("wrong", ("exit %s without saying why: %s"):format(code, said:sub(1, 300)))
  end
  finish(dir, code, found)
end

-- Too few descriptors, or too little memory: any end will do that harms nothing.
local function limit(dir, what, found)
  local code = place.flowlua(dir, workloads.get_start(workloads.chain, "full"),
    "prlimit --" .. what)
  if type(code) ~= "number" then found("wrong", "ended with " .. code) end
  if what:find "nofile" and code ~= 0 and code ~= 127 and place.read(dir .. "/out") == "" then
    found("wrong", ("exit %s without a word"):format(code))
  end
  place.find_left(dir)
  finish(dir, code, found)
end

-- ------------------------------------------------------------------------------------ two owners

local function race(dir, found)
  local command = ("CRASH_MARK='%s' CRASH_LEDGER='%s/ledger' CRASH_ACKS='%s/acks' '%s' resume "
    .. "--json --state '%s/state' > '%s/one.N' 2>&1; echo $? > '%s/code.N'"):format(dir, dir, dir,
    place.binary, dir, dir, dir)
  os.execute(("( %s ) & ( %s ) & wait"):format(command:gsub("%.N", ".1"), (command:gsub("%.N",
    ".2"))))
  local won = 0
  for i = 1, 2 do
    local said = place.read(("%s/one.%d"):format(dir, i))
    local code = tonumber(place.read(("%s/code.%d"):format(dir, i)))
    -- One that comes when all is done finds nothing to do.
    if code == 0 and said:find("node_started", 1, true) then
      won = won + 1
    elseif code ~= 0 and (code ~= 3 or not (said:find("executed by", 1, true)
      or said:find("owned by", 1, true))) then
      found("wrong", ("the other ends with %s: %s"):format(code, said:sub(1, 300)))
    end
  end
  if won ~= 1 then found("wrong", won .. " have resumed it") end
end

-- ------------------------------------------------------------------------------------ a slow disk

local SLOW = [[
local flow = require "flow"
local f = flow.dag("slow", {})
f.sleeps = flow.shell { "sleep 30", timeout = "1s", grace = "100ms", allow_failure = true }
return f
]]

-- The supervisor holds timeouts by itself, however long its engine waits for the disk.
local function slow(dir, seconds, found)
  place.write(dir .. "/slow.lua", SLOW)
  place.flowlua(dir, ("run '%s/slow.lua' --json"):format(dir),
    ("strace -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:delay_exit=%d")
      :format(seconds * 1000000))
  local line = place.lines_of(("sqlite3 -readonly '%s/state/flowlua.db' \"select status, "
    .. "duration_ms from v_attempt\" 2>&1"):format(dir))[1] or "nothing"
  local status, took_ms = line:match "^(%S+)|(%d+)$"
  if status ~= "timed_out" or tonumber(took_ms) >= seconds * 1000 then
    found("wrong", "the attempt is: " .. line)
  end
end

function world.run(folder, job, number)
  local wrong = {}
  local kind, what = job:match "^world (%S+) (%S+)$"
  local function found(_, text) wrong[#wrong + 1] = { "wrong", text } end
  local dir = folder .. "/point." .. number
  if kind == "race" then
    place.make(dir, folder .. "/killed.chain")
    race(dir, found)
    recover.judge { dir = dir, w = workloads.chain, crashes = 1, found = found,
      whole = recover.get_whole(workloads.chain, folder) }
  else
    place.make(dir)
    if kind == "call" then break_call(dir, what, found) end
    if kind == "limit" then limit(dir, what, found) end
    if kind == "slow" then slow(dir, tonumber(what), found) end
  end
  witness.check_left(dir, found)
  return wrong, dir
end

return world
