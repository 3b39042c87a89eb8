-- A run with many children whose engine, supervisor or machine dies, and what has to be true of
-- every child after the resume: its true end, all that it printed, one life at a time, one life
-- where it could be known how it ended.
local support = require "tests.feature.support"

local story = {}

--- An exit that was noted this long before a kill has reached the supervisor's journal, also on a
--- busy machine; unless it left something behind, which has to be ended first.
local SETTLED_MS = 3000
local SIGNAL = 10 -- SIGUSR1, by which every tenth child ends

---@class crash.Story
---@field kill "engine"|"twice"|"adopted"|"supervisor"|"both"|"reboot"|"frozen" who dies; twice: the
---  engine, and the one that resumes it, too; adopted: the engine, and when another has adopted its
---  children their supervisor; frozen: the engine is stopped, and goes on when another has brought
---  the run to its end
---@field count integer how many children
---@field longest_ms integer they live from nothing to this long
---@field after_s? number|"all" from the death to the resume; all: until every child has ended.
---  (default: 0)

local function name_of(i) return ("c%03d"):format(i) end

-- Exit code, or a signal as a negative number.
local function end_of(i)
  if i % 10 == 9 then return -SIGNAL end
  return i % 4 == 0 and 0 or i * 37 % 256
end

local function leaves_something(i) return i % 5 == 0 end

-- Half of the codes are no failures.
local function is_failure(i) return end_of(i) ~= 0 and i % 2 == 1 end

-- A node whose failure was recorded is run again by any resume: those that fail are held until the
-- kill. So there is something to adopt or to lose, however slow the machine is.
local function life_of(o, i)
  local life_ms = math.floor((i * 7919) % 1000 / 1000 * o.longest_ms)
  return is_failure(i) and "held:" .. life_ms or tostring(life_ms)
end

-- Every fifth leaves its group and its session with a process that has to go with it.
local function write_flow(box, o)
  local lines = { 'local flow = require "flow"', 'local f = flow.dag("children", {})' }
  local child = ("luajit %s/tests/crash/child.lua"):format(support.root)
  for i = 1, o.count do
    local name = name_of(i)
    local hold = leaves_something(i) and
      ("setsid sh -c '%s %s hold %s & wait' & "):format(child, name, box.path) or ""
    local ok = is_failure(i) and "" or (", ok_codes = { %d }"):format(end_of(i))
    lines[#lines + 1] = ("f.%s = flow.shell { [[%sexec %s %s %s %d %s]], grace = 1%s }")
      :format(name, hold, child, name, life_of(o, i), end_of(i), box.path, ok)
  end
  lines[#lines + 1] = ([[f.after = flow.shell { after = "%s", trigger = "all_done",
    "echo after x 0 >> '%s/ledger'" }]]):format(name_of(1), box.path)
  lines[#lines + 1] = "return f"
  box:write("flow.lua", table.concat(lines, "\n") .. "\n")
end

-- { start = { name = { ms... } }, ["end"] = ..., overlap = ... }, and how many starts there are.
local function read_ledger(box)
  local ledger, starts = { start = {}, ["end"] = {}, overlap = {}, after = {} }, 0
  for event, name, ms in (box:read("ledger") or ""):gmatch("(%w+) (%w+) (%d+)\n") do
    local list = ledger[event][name] or {}
    ledger[event][name] = list
    list[#list + 1] = tonumber(ms)
    if event == "start" then starts = starts + 1 end
  end
  return ledger, starts
end

local function kill(pids)
  if #pids > 0 then os.execute("kill -9 " .. table.concat(pids, " ") .. " 2>/dev/null") end
end

local function find(box, word)
  local pids = {}
  for pid, words in pairs(box:left()) do
    if not word or words:find(word, 1, true) then pids[#pids + 1] = pid end
  end
  return pids
end

-- Kills as the story wants. Returns when it was, on the ledger's clock.
local function strike(box, o, process)
  local supervisor = find(box, "--supervisor")
  assert(#supervisor == 1, "one supervisor was expected, there are " .. #supervisor)
  local at_ms = support.now() * 1000
  if o.kill == "frozen" then
    process:kill(support.SIGSTOP)
    -- As if a file system had lost its lock: else nobody could take the run from one that lives.
    local disown = [[sqlite3 -cmd '.timeout 10000' state/flowlua.db "update run set owner=''"]]
    assert(box:sh(disown).code == 0)
    return at_ms, process
  end
  if o.kill ~= "supervisor" then process:kill(support.SIGKILL) end
  if o.kill == "supervisor" or o.kill == "both" or o.kill == "reboot" then kill(supervisor) end
  if o.kill ~= "supervisor" then process:wait() end
  if o.kill == "twice" or o.kill == "adopted" then
    process = box:start { "resume", "--no-progress", "--jobs", o.count }
    support.wait_until("the resume", function() return box:show().run.resumes == 1 end)
    if o.kill == "twice" then
      process:kill(support.SIGKILL)
      process:wait()
    else
      at_ms = support.now() * 1000
      kill(supervisor)
    end
  end
  if o.kill == "reboot" then
    -- One that was just being made is found by the next look.
    support.wait_until("the machine to be off", function()
      local left = find(box)
      kill(left)
      return #left == 0
    end)
    box:assert_none_left()
  end
  return at_ms, process
end

--- Whether this user may make another boot id appear: a mount that only one process sees.
function story.can_reboot()
  return os.execute("unshare -m sh -c 'mount --bind /dev/null /proc/sys/kernel/random/boot_id' "
    .. "2>/dev/null") == 0
end

local function resume(box, o)
  local words = ("resume --no-progress --jobs %d"):format(o.count)
  if o.kill ~= "reboot" then return box:sh(("exec '%s' %s"):format(support.binary, words)) end
  box:write("boot_id", "11111111-2222-3333-4444-555555555555\n")
  return box:sh(("exec unshare -m sh -c 'mount --bind boot_id /proc/sys/kernel/random/boot_id "
    .. "&& exec %s %s'"):format(support.binary, words))
end

-- { name = { { status, code }... } } by attempt.
local function read_attempts(box)
  local attempts = {}
  for _, row in ipairs(box:sql [[select name, status, coalesce(exit_code, ''),
    coalesce(signal, '') from v_attempt where name <> 'after' order by name, number]]) do
    local list = attempts[row[1] ] or {}
    attempts[row[1] ] = list
    local signal = tonumber(row[4]) or 0
    list[#list + 1] = { status = row[2], ending = signal > 0 and -signal or tonumber(row[3]) }
  end
  return attempts
end

-- { name = { line... } } of the last attempts.
local function read_logs(box)
  local logs = {}
  local done = box:run { "logs", "last", "--json" }
  for _, line in ipairs(support.decode_lines(done.out)) do
    logs[line.node] = logs[line.node] or {}
    table.insert(logs[line.node], line.text)
  end
  return logs
end

-- { name = true } of the children whose end the engine has recorded.
local function read_recorded(box)
  local names = {}
  for _, row in ipairs(box:sql "select name from v_attempt where status = 'succeeded'") do
    names[row[1] ] = true
  end
  return names
end

-- Returns when it was over, on support's clock.
local function wait_for_resume(box, o)
  local from = support.now()
  if o.after_s == "all" then
    support.wait_until("all ends", function()
      local ended = 0
      for _ in pairs(read_ledger(box)["end"]) do ended = ended + 1 end
      return ended == o.count
    end, 60)
  else
    support.wait_until("the resume", function()
      return support.now() > from + (o.after_s or 0)
    end, 3600)
  end
  return support.now()
end

local function check_log(name, lines, wrong)
  if not lines then return wrong(name .. ": its log is empty") end
  for i = 1, #lines - 1 do
    if lines[i] ~= ("%s %d"):format(name, i) then
      return wrong(("%s: line %d of its log is '%s'"):format(name, i, lines[i]))
    end
  end
  if lines[#lines] ~= ("%s last %d"):format(name, #lines - 1) then
    wrong(("%s: the last line of its log is '%s'"):format(name, lines[#lines]))
  end
end

-- It finds that it was taken over, and changes nothing.
local function thaw(box, process, wrong)
  local function digest()
    return box:sh("sqlite3 -readonly state/flowlua.db .dump | sha256sum; sha256sum ledger").out
  end
  local before = digest()
  process:kill(support.SIGCONT)
  local done = process:wait()
  if done.code ~= 3 or not done.err:find("was taken over", 1, true) then
    wrong(("thawed, it ended with %s: %s"):format(tostring(done.code), done.err))
  end
  if digest() ~= before then wrong "thawed, it has written" end
end

local function check_child(o, i, seen, wrong)
  local name, loses = name_of(i), o.kill ~= "engine" and o.kill ~= "twice" and o.kill ~= "frozen"
  local list, starts = seen.attempts[name] or {}, seen.ledger.start[name] or {}
  local ended = (seen.ledger["end"][name] or {})[1]
  local last = list[#list] or {}
  if seen.ledger.overlap[name] then wrong(name .. ": two lives of it overlap") end
  if #starts ~= #list then
    wrong(("%s: ran %d times, %d attempts are stored"):format(name, #starts, #list))
  end
  if #list > (loses and 2 or 1) then wrong(("%s: %d attempts"):format(name, #list)) end
  local settled = ended and ended < seen.killed_ms - SETTLED_MS and not leaves_something(i)
  if (settled or seen.recorded[name]) and #list > 1 then
    wrong(name .. ": had ended, and was run again")
  end
  for at = 1, #list - 1 do
    if list[at].status ~= "lost" then wrong(name .. ": run again after " .. list[at].status) end
  end
  local status = is_failure(i) and "failed" or "succeeded"
  if last.status ~= status or last.ending ~= end_of(i) then
    wrong(("%s: ended with %d, stored is %s with %s"):format(name, end_of(i),
      last.status or "nothing", tostring(last.ending)))
  end
  check_log(name, seen.logs[name], wrong)
  return #list > 1, ended and ended > seen.resumed_ms
end

--- Plays it in `box`. Returns what is wrong, a list of sentences, and what happened: `lost`
--- attempts, children that were still `running` at the resume, `seconds` that it took.
---@param o crash.Story
function story.play(box, o)
  local wrongs, facts = {}, { lost = 0, running = 0 }
  local function wrong(text) wrongs[#wrongs + 1] = text end
  write_flow(box, o)
  local process = box:start { "flow.lua", "--no-progress", "--jobs", o.count }
  support.wait_until("all children", function()
    return select(2, read_ledger(box)) == o.count
  end, 60)
  local seen = { recorded = read_recorded(box) }
  seen.killed_ms, process = strike(box, o, process)
  if o.after_s and o.after_s ~= 0 then box:write("go", "") end
  local resume_at = wait_for_resume(box, o)
  seen.resumed_ms = support.now() * 1000
  box:write("go", "")
  local lives = o.kill == "supervisor" or o.kill == "adopted"
  local done = lives and process:wait() or resume(box, o)
  facts.seconds = support.now() - resume_at
  if o.kill == "frozen" then thaw(box, process, wrong) end
  if done.code ~= 1 then wrong(("exit code %s: %s"):format(tostring(done.code), done.err)) end
  seen.ledger, seen.attempts, seen.logs = read_ledger(box), read_attempts(box), read_logs(box)
  for i = 1, o.count do
    local lost, running = check_child(o, i, seen, wrong)
    facts.lost = facts.lost + (lost and 1 or 0)
    facts.running = facts.running + (running and 1 or 0)
  end
  if #(seen.ledger.after.x or {}) ~= 1 then wrong "what comes after did not run once" end
  box:assert_none_left()
  return wrongs, facts
end

--- Many processes that end at once: each with its true end, and no zombie of any of them for longer
--- than it takes to look away. Returns what is wrong, and what happened.
function story.play_short(box, count)
  local wrongs, facts = {}, { zombies = 0 }
  box:write("flow.lua", ([[
    local flow = require "flow"
    local f = flow.dag("short", {})
    for i = 1, %d do
      f["n" .. i] = flow.exec { "/bin/sh", "-c", "exit " .. i %% 7, ok_codes = { i %% 7 } }
    end
    return f
  ]]):format(count))
  local began = support.now()
  local process = box:start { "flow.lua", "--quiet" }
  local supervisor = support.wait_until("the supervisor", function()
    return find(box, "--supervisor")[1]
  end)
  local function zombies()
    local pipe = io.popen(("sleep 0.05; ps --ppid %d -o stat= | grep -c Z"):format(supervisor))
    local number = tonumber(pipe:read "*l")
    pipe:close()
    return number
  end
  while process:is_running() do facts.zombies = math.max(facts.zombies, zombies()) end
  facts.seconds = support.now() - began
  if process:wait().code ~= 0 then wrongs[#wrongs + 1] = process:err() end
  local ends = box:sql [[select count(*), sum(status='succeeded'), max(number),
    sum(exit_code = cast(substr(name, 2) as integer) % 7) from v_attempt]][1]
  for i, expected in ipairs { count, count, 1, count } do
    if tonumber(ends[i]) ~= expected then
      wrongs[#wrongs + 1] = ("expected %d, got %s"):format(expected, ends[i])
    end
  end
  box:assert_none_left()
  if facts.zombies > 50 then wrongs[#wrongs + 1] = facts.zombies .. " zombies at once" end
  return wrongs, facts
end

return story
