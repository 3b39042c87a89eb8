-- What was queued at a supervisor, or was just being started there, when it was killed: none of it
-- is forgotten, none of it fails for that, and none of it runs twice.
local support = require "tests.feature.support"

describe("a supervisor that is killed while its engine does not look", function()
  local box
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  -- Stops the engine in the middle of its work, kills the supervisor, and lets the engine go on.
  local function kill_behind_its_back(body)
    box:write("flow.lua", 'local flow = require "flow"\nlocal f = flow.dag("f", {})\n' .. body
      .. "\nreturn f\n")
    local process = box:start({ "flow.lua", "--jobs", "2" })
    support.wait_until("the first node's end", function() return box:exists("begun") end)
    process:kill(support.SIGSTOP)
    for pid, words in pairs(box:left()) do
      if words:find("--supervisor", 1, true) then os.execute("kill -9 " .. pid) end
    end
    process:kill(support.SIGCONT)
    local done = process:wait(30)
    assert.equal(0, done.code, done.err)
  end

  for round = 1, 3 do
    it("takes no queued process with it (" .. round .. ")", function()
      kill_behind_its_back [[
        for i = 1, 60 do f["n" .. i] = flow.shell { "touch begun; sleep 0.002" } end
      ]]
      assert.equal("60", box:sql_value("select count(*) from v_node where status = 'succeeded'"))
    end)
  end

  it("has what was queued there started once, though its engine is killed as well", function()
    box:write("flow.lua", [=[
      local flow = require "flow"
      local f = flow.dag("f", {})
      local warm = {}
      for i = 1, 40 do -- short ones, so that others are given to the supervisor ahead
        warm[i] = "n" .. i
        f[warm[i]] = flow.shell { "true" }
      end
      f.first = flow.shell { "echo first >> started; test $FLOWLUA_ATTEMPT -gt 1 || exec sleep 20",
        after = warm, max_lost = 0 }
      for i = 1, 3 do
        f["x" .. i] = flow.shell { "echo x" .. i .. " >> started; sleep 2", after = warm }
      end
      return f
    ]=])
    local function started(name)
      return select(2, (box:read("started") or ""):gsub(name, ""))
    end
    local process = box:start { "flow.lua", "--jobs", "1" }
    support.wait_until("what runs", function() return started "first" == 1 end)
    for pid, words in pairs(box:left()) do
      if words:find("--supervisor", 1, true) then os.execute("kill -9 " .. pid) end
    end
    support.wait_until("one that was queued", function() return started "x" == 1 end)
    process:kill(support.SIGKILL)
    process:wait()
    local done = box:run { "resume", "--jobs", "1" }
    assert.equal(0, done.code, done.err)
    assert.same({ 1, 1, 1 }, { started "x1", started "x2", started "x3" })
  end)

  it("fails no node whose worker was to be started there", function()
    local done = box:script [[
      local flow = require "flow"
      local f = flow.dag("f", {})
      f.find = flow.shell { "echo $PPID", capture = "text" }
      f.kill = flow.lua { after = "find", inline = true, run = function(ctx)
        os.execute("kill -9 " .. ctx.inputs.find)
      end }
      for i = 1, 4 do f["n" .. i] = flow.lua { after = "kill", run = function() end } end
      return f
    ]]
    assert.equal(0, done.code, done.err)
    assert.equal("0", box:sql_value("select count(*) from v_attempt where status = 'failed'"))
  end)
end)
