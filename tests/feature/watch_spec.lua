-- `flowlua watch`: looking on while another process executes a run, and at one that has ended.
local support = require "tests.feature.support"

describe("watch", function()
  local box

  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local waiting = [[
    local flow = require "flow"
    local inner = flow.dag "inner"
    inner.deep = flow.shell { "while [ ! -e go ]; do sleep 0.02; done" }
    local f = flow.dag "f"
    f.first = flow.shell { "true" }
    f.wait = flow.shell { after = "first",
      "while [ ! -e go ]; do sleep 0.02; done; exit ${CODE:-0}" }
    f.sub = flow.call { flow = "inner", after = "first" }
    return { f, inner }
  ]]

  local function start(env)
    box:write("flow.lua", waiting)
    local engine = box:start({ "flow.lua", "--flow", "f", "--quiet" }, { env = env })
    support.wait_until("the run's nodes", function()
      local done = box:run { "show", "--json" }
      return done.code == 0 and done.out:find('"name":"wait","type":"shell","status":"running"', 1,
        true) and box:run({ "runs" }).out:find("inner", 1, true)
    end)
    return engine
  end

  it("tells what had ended, what happens, and ends with the run and its exit code", function()
    for code, word in pairs { [0] = "succeeded", [3] = "failed" } do
      os.remove(box.path .. "/go")
      local engine = start { CODE = tostring(code) }
      local watch = box:start { "watch" }
      support.wait_until("what had ended", function()
        return watch:out():find("first succeeded")
      end)
      box:write("go", "")
      local seen, done = watch:wait(), engine:wait()
      assert.equal(done.code, seen.code)
      assert.equal(code == 0 and 0 or 1, seen.code)
      assert.matches("wait " .. word, seen.out)
      assert.matches("sub/deep succeeded", seen.out)
      local _, count = seen.out:gsub("first succeeded", "")
      assert.equal(1, count)
      assert.matches("run %S+ " .. word .. " in ", seen.out)
    end
  end)

  it("tells how a run ended that is over", function()
    start { CODE = "3" }
    box:write("go", "")
    support.wait_until("the end", function()
      return support.decode(box:run({ "runs", "--flow", "f", "--json" }).out)[1].status == "failed"
    end)
    local seen = box:run { "watch", "last" }
    assert.equal(1, seen.code)
    assert.matches("first succeeded", seen.out)
    assert.matches("wait failed .*: exited with code 3", seen.out)
    assert.matches("run %S+ failed in .*: 2 succeeded, 1 failed\nresume: ", seen.out)
  end)

  it("ends when the engine of the run is killed", function()
    local engine = start()
    local watch = box:start { "watch", "--no-progress" }
    support.wait_until("what had ended", function()
      return watch:out():find("first succeeded")
    end)
    engine:kill()
    local seen = watch:wait()
    assert.equal(1, seen.code)
    assert.matches("run %S+ interrupted in ", seen.out)
    box:write("go", "")
  end)

  it("leaves the run alone when it is interrupted itself", function()
    local engine = start()
    local watch = box:start { "watch" }
    support.wait_until("what had ended", function() return watch:out():find("first succeeded") end)
    watch:kill(support.SIGINT)
    local seen = watch:wait()
    assert.equal(130, seen.code)
    assert.matches("the run goes on; to end it: flowlua cancel ", seen.err)
    box:write("go", "")
    assert.equal(0, engine:wait().code)
  end)

  it("tells events as JSON, those that come", function()
    local engine = start()
    local watch = box:start { "watch", "--json" }
    box:write("go", "")
    local seen = watch:wait()
    assert.equal(0, seen.code)
    for _, event in ipairs(support.decode_lines(seen.out)) do
      assert.matches("^node_finished$", event.event:gsub("run_finished", "node_finished"))
    end
    assert.equal(0, engine:wait().code)
  end)

  it("knows no run where there is none", function()
    assert.equal(2, box:run({ "watch" }).code)
    start()
    box:write("go", "")
    assert.equal(2, box:run({ "watch", "nope" }).code)
  end)
end)
