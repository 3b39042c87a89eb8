-- A run has one owner: who comes second is told, and who was taken over writes nothing more.
local support = require "tests.feature.support"

local box
local function each_test()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)
end

local waiting = [[
  local flow = require "flow"
  local f = flow.dag("f", {})
  f.a = flow.shell { "echo a >> trail; touch begun; until test -e go; do sleep 0.02; done" }
  f.b = flow.shell { after = "a", "echo b >> trail" }
  f.c = flow.shell { after = "b", "echo c >> trail" }
  return f
]]

local function trail() return table.concat(support.lines(box:read("trail") or ""), " ") end

local function start_and_wait()
  box:write("flow.lua", waiting)
  local process = box:start { "flow.lua", "--no-progress" }
  support.wait_until("the node", function()
    return box:exists("begun") and box:sql_value "select status from v_attempt" == "running"
  end)
  return process
end

-- The owner lives and is taken for dead, as where a file system has lost its lock.
local function disown()
  local done = box:sh [[sqlite3 -cmd '.timeout 10000' state/flowlua.db "update run set owner=''"]]
  assert.equal("", done.err)
end

-- All that is stored, whatever SQLite did with its files.
local function digest()
  return box:sh("sqlite3 -readonly state/flowlua.db .dump | sha256sum").out
end

local function logs() return box:sh("cat state/logs/*/*.log | sha256sum").out end

describe("A second engine that is asked to resume a run", function()
  each_test()

  it("says who owns it and since when, and changes nothing", function()
    local process = start_and_wait()
    local before = digest()
    local done = box:run { "resume", "--no-progress" }
    assert.equal(3, done.code)
    local id, pid, host, since = done.err:match(
      "run (%S+) is running: it is owned by process (%d+) on (%S+) since (%S+)\n")
    assert.equal(box:show().run.id, id)
    assert.equal(process.pid, tonumber(pid))
    assert.equal(box:sh("hostname").out, host .. "\n")
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", since)
    assert.equal(before, digest())
    box:write("go", "")
    assert.equal(0, process:wait().code)
    assert.equal("a b c", trail())
  end)

  it("at the very moment of a first is told the same", function()
    local process = start_and_wait()
    process:kill(support.SIGKILL)
    process:wait()
    local engines = {}
    for i = 1, 4 do engines[i] = box:start { "resume", "--no-progress" } end
    -- Those who are refused end; the one that is not waits for the node.
    local function refused()
      local count = 0
      for _, engine in ipairs(engines) do count = count + (engine:is_running() and 0 or 1) end
      return count
    end
    support.wait_until("three refusals", function() return refused() == 3 end)
    box:write("go", "")
    local codes = {}
    for i, engine in ipairs(engines) do
      local done = engine:wait()
      codes[i] = done.code
      if done.code ~= 0 then assert.matches("is owned by process %d+ on %S+ since ", done.err) end
    end
    table.sort(codes)
    assert.same({ 0, 3, 3, 3 }, codes)
    assert.equal("a b c", trail())
    assert.equal("1", box:sql_value "select max(number) from v_attempt")
  end)
end)

describe("An owner that lives", function()
  each_test()

  local function refused(done, pid)
    assert.equal(3, done.code, done.out .. done.err)
    assert.matches("is owned by process " .. pid .. " on %S+ since ", done.err)
    assert.equal("1", box:sql_value "select epoch from v_run")
  end

  it("is not robbed while it is stopped, however long, nor while the clock is wrong", function()
    local process = start_and_wait()
    process:kill(support.SIGSTOP)
    -- All that is written of it is of long ago, and of long after.
    for _, at in ipairs { "1", "4102444800000" } do
      assert.equal("", box:sh("sqlite3 state/flowlua.db 'update run set created_ms=" .. at
        .. ", started_ms=" .. at .. "; update epoch set at_ms=" .. at .. "'").err)
      local from = support.now()
      refused(box:run { "resume", "--no-progress" }, process.pid)
      assert.is_true(support.now() - from < 5)
    end
    process:kill(support.SIGCONT)
    box:write("go", "")
    assert.equal(0, process:wait().code)
    assert.equal("a b c", trail())
  end)

  it("is not robbed from another PID namespace, and there found dead at once", function()
    local unshare = "unshare --pid --fork --mount-proc "
    if box:sh(unshare .. "true").code ~= 0 then return pending "no PID namespace can be made" end
    local process = start_and_wait()
    local resume = unshare .. "'" .. support.binary .. "' resume --no-progress"
    refused(box:sh(resume), process.pid)
    process:kill(support.SIGKILL)
    process:wait()
    box:write("go", "")
    local done = box:sh(resume)
    assert.equal(0, done.code, done.out .. done.err)
    assert.equal("succeeded", box:show().run.status)
  end)

  it("reads with its next write that it is to be cancelled, also when nobody knocks", function()
    local process = start_and_wait()
    assert.equal(0, box:sh("rm state/ctl/[0-9a-f]*[0-9a-f]").code)
    local done = box:run { "cancel", "last" }
    assert.equal(3, done.code)
    assert.matches("which is recorded, but its owner cannot be told", done.err)
    box:write("go", "")
    assert.equal(1, process:wait().code)
    assert.equal("cancelled", box:show().run.status)
  end)

  it("writes nothing while all its nodes wait", function()
    box:write("flow.lua", [[
      local flow = require "flow"
      local f = flow.dag("f", {})
      f.a = flow.lua { inline = true, run = function(ctx) ctx:sleep "1h" end }
      return f
    ]])
    local process = box:start { "flow.lua", "--no-progress" }
    support.wait_until("the node", function()
      return box:exists "state/flowlua.db" and box:exists "state/ctl/owners"
        and box:sql_value "select status from v_attempt" == "running"
    end)
    local function written()
      local io = assert(io.open("/proc/" .. process.pid .. "/io"))
      local text = io:read "a"
      io:close()
      return text:match "syscw: (%d+)"
    end
    local before = written()
    local from = support.now()
    support.wait_until("seven seconds", function() return support.now() > from + 7 end)
    assert.equal(before, written())
    assert.equal(0, box:run({ "cancel", "last" }).code)
    assert.equal(1, process:wait().code)
  end)
end)

describe("An engine that was taken over while it was frozen", function()
  each_test()

  -- Another engine takes the run over meanwhile; `finish`: and brings it to its end.
  local function take_over(finish)
    local frozen = start_and_wait()
    frozen:kill(support.SIGSTOP)
    disown()
    local other = box:start { "resume", "--no-progress" }
    support.wait_until("the other engine", function()
      return box:sql_value "select epoch from v_run" == "2"
    end)
    if finish then
      box:write("go", "")
      assert.equal(0, other:wait().code)
      assert.equal("a b c", trail())
    end
    return frozen, other
  end

  local function thaw(frozen)
    frozen:kill(support.SIGCONT)
    local done = frozen:wait()
    assert.equal(3, done.code, done.out .. done.err)
    assert.matches("was taken over by another engine: this one writes nothing more", done.err)
    assert.matches("see: flowlua show %S+\n$", done.err)
    assert.is_nil(done.err:find("resume: ", 1, true))
  end

  it("finds that its run has ended, and writes and starts nothing", function()
    local frozen = take_over(true)
    local before, printed = digest(), logs()
    thaw(frozen)
    assert.same({ before, printed, "a b c" }, { digest(), logs(), trail() })
  end)

  it("finds that its run goes on elsewhere, and disturbs it in nothing", function()
    local frozen, other = take_over(false)
    box:write("go", "") -- so that it has to write at once, if it would
    thaw(frozen)
    assert.equal(0, other:wait().code)
    assert.equal("a b c", trail())
    assert.same({ { "a", "1" }, { "b", "1" }, { "c", "1" } },
      box:sql "select name, number from v_attempt order by name, number")
  end)

  it("leaves what it owned to the other: a cancel ends it all", function()
    local frozen, other = take_over(false)
    assert.equal(0, box:run({ "cancel", "last", "--kill" }).code)
    assert.equal(1, other:wait().code)
    thaw(frozen)
    assert.equal("cancelled", box:show().run.status)
    box:assert_none_left()
  end)
end)
