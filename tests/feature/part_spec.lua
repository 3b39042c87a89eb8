-- A node of a sub-flow has one name, call/node, in all that names nodes; and followers of logs.
local support = require "tests.feature.support"

local box
local function each_test()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)
end

local nested = [[
local flow = require "flow"
local inner = flow.dag "inner_flow"
inner.bad = flow.shell { "echo from bad; test -e mended" }
local middle = flow.dag "middle_flow"
middle.deep = flow.call { flow = inner }
local f = flow.dag "outer_flow"
f.first = flow.shell { "echo from first" }
f.sub = flow.call { flow = middle, after = "first" }
return f
]]

describe("a node of a sub-flow", function()
  each_test()

  it("has one name while it runs, in logs, context, explain and resume", function()
    local done = box:script(nested)
    assert.equal(1, done.code)
    assert.matches("sub/deep/bad started", done.out, 1, true)
    local id = box:show().run.id
    local command = ("flowlua logs %s sub/deep/bad"):format(id)
    assert.matches("log: " .. command, done.out, 1, true)
    assert.equal("from bad\n", box:run({ "logs", id, "sub/deep/bad" }).out)
    assert.matches("node bad, attempt 1", box:run({ "context", "sub/deep/bad" }).out, 1, true)
    assert.matches("bad failed: exited with code 1", box:run({ "explain", id, "sub/deep/bad" }).out,
      1, true)
    box:write("mended", "")
    local again = box:run { "resume", "--rerun", "sub/deep/bad", "--no-progress" }
    assert.equal(0, again.code, again.out .. again.err)
    assert.matches("sub/deep/bad succeeded", again.out, 1, true)
  end)

  it("is in the logs of the run and of the call", function()
    box:script(nested)
    local all = box:run({ "logs" }).out
    assert.equal("first| from first\nsub/deep/bad| from bad\n", all)
    assert.equal("sub/deep/bad| from bad\n", box:run({ "logs", "last", "sub" }).out)
    local lines = support.decode_lines(box:run({ "logs", "--json" }).out)
    assert.equal("sub/deep/bad", lines[2].node)
    assert.equal("from bad", lines[2].text)
  end)

  it("that is not there is told with the nearest name", function()
    box:script(nested)
    for _, verb in ipairs { "logs", "context", "explain", "why" } do
      local done = box:run { verb, "last", "sub/deep/bd" }
      assert.equal(2, done.code)
      assert.matches("has no node 'bd'; did you mean 'bad'?", done.err, 1, true)
      assert.matches("no node 'frist'; did you mean 'first'?",
        box:run({ verb, "last", "frist" }).err, 1, true)
      done = box:run { verb, "last", "first/x" }
      assert.matches("'first' has called no flow", done.err, 1, true)
    end
    local done = box:run { "flow.lua", "--only", "frist" }
    assert.matches("'outer_flow' has no node 'frist'; did you mean 'first'?", done.err, 1, true)
  end)
end)

describe("logs --follow", function()
  each_test()

  it("ends with the run, and with its result", function()
    box:script(nested)
    local done = box:run { "logs", "-f" }
    assert.equal(1, done.code)
    assert.equal("first| from first\nsub/deep/bad| from bad\n", done.out)
    local id = box:show().run.id
    assert.matches(("run %s failed\nresume: flowlua resume %s"):format(id, id), done.err, 1, true)
  end)

  it("waits for the first run", function()
    box:write("flow.lua", [[
local flow = require "flow"
local f = flow.dag "late"
f.a = flow.shell { "touch begun; while ! test -e follow; do sleep 0.01; done; echo here" }
return f
]])
    local follower = box:start { "logs", "--follow" }
    support.wait_until("its word", function()
      return follower:err():find("waiting for the first run", 1, true)
    end)
    local run = box:start { "flow.lua", "--no-progress" }
    support.wait_until("the run", function() return box:exists "begun" end)
    box:write("follow", "")
    assert.equal(0, run:wait().code)
    local done = follower:wait()
    assert.equal(0, done.code, done.err)
    assert.equal("a| here\n", done.out)
  end)

  it("keeps a line whole that is written in parts", function()
    box:write("flow.lua", [[
local flow = require "flow"
local f = flow.dag "parts"
f.a = flow.shell { "printf one; touch one; while ! test -e two; do sleep 0.01; done; echo -two" }
f.b = flow.shell { "while ! test -e one; do sleep 0.01; done; echo between; touch said;" ..
  " while ! test -e two; do sleep 0.01; done" }
return f
]])
    local run = box:start { "flow.lua", "--no-progress", "-j", "2" }
    support.wait_until("the first part", function() return box:exists "said" end)
    local follower = box:start { "logs", "--follow" }
    support.wait_until("a line", function() return follower:out():find("between", 1, true) end)
    assert.equal("b| between\n", follower:out())
    box:write("two", "")
    assert.equal(0, run:wait().code)
    assert.equal("b| between\na| one-two\n", follower:wait().out)
  end)
end)
