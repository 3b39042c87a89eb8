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

-- As after a time in which the owner did not renew it.
local function expire_lease()
  local done = box:sh "sqlite3 -cmd '.timeout 10000' state/flowlua.db 'update run set lease_ms=1'"
  assert.equal("", done.err)
end

-- All that is stored, whatever SQLite did with its files.
local function digest()
  return box:sh("sqlite3 -readonly state/flowlua.db .dump | sha256sum").out
end

-- The same but for the lease, which an owner that runs renews.
local function digest_without_lease()
  local done = box:sh("rm -f copy.db; sqlite3 -readonly state/flowlua.db '.backup copy.db' && "
    .. "sqlite3 copy.db 'update run set lease_ms=0' .dump | sha256sum")
  assert.equal("", done.err)
  return done.out
end

local function logs() return box:sh("cat state/logs/*/*.log | sha256sum").out end

describe("A second engine that is asked to resume a run", function()
  each_test()

  it("says who owns it and since when, and changes nothing", function()
    local process = start_and_wait()
    local before = digest_without_lease()
    local done = box:run { "resume", "--no-progress" }
    assert.equal(3, done.code)
    local id, pid, host, since = done.err:match(
      "run (%S+) is running: it is owned by process (%d+) on (%S+) since (%S+)\n")
    assert.equal(box:show().run.id, id)
    assert.equal(process.pid, tonumber(pid))
    assert.equal(box:sh("hostname").out, host .. "\n")
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", since)
    assert.equal(before, digest_without_lease())
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

describe("An engine that was frozen for longer than its lease", function()
  each_test()

  -- Another engine takes the run over meanwhile; `finish`: and brings it to its end.
  local function take_over(finish)
    local frozen = start_and_wait()
    frozen:kill(support.SIGSTOP)
    expire_lease()
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
    expire_lease() -- so that it has to write at once, if it would
    thaw(frozen)
    assert.equal("running", box:show().run.status)
    box:write("go", "")
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
