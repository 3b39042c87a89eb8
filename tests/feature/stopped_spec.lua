-- A run that has stopped, as people meet it: what `breakpoint` says of sub-flows, what becomes of
-- its files, what helps when something of it is gone.
local support = require "tests.feature.support"

local box

local function runs(args, code)
  local done = box:run(args)
  assert.equal(code, done.code, done.out .. done.err)
  return done
end

local nested = [[
  local flow = require "flow"
  local low = flow.dag "low"
  low.work = flow.shell { "echo deep words; exit 7" }
  local middle = flow.dag "middle"
  middle.each = flow.map { over = { 1 }, node = flow.call { flow = low } }
  local f = flow.dag "f"
  f.call = flow.call { flow = middle }
  return { f, low, middle }
]]

describe("breakpoint of a sub-flow's run", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("names the run that can be resumed, and its nodes by their paths there", function()
    box:write("flow.lua", nested)
    runs({ "run", "flow.lua", "--flow", "f", "--quiet" }, 1)
    local root = box:sql_value "select id from v_run where flow = 'f'"
    local low = box:sql_value "select id from v_run where flow = 'low'"
    local said = runs({ "breakpoint", low }, 0).out
    assert.matches(("part of run %s, where its node NODE is call/each[1]/NODE"):format(root), said,
      1, true)
    for _, command in ipairs { "logs " .. low .. " work", "resume " .. root .. " --plan",
      "resume " .. root .. " --option 'call/each[1]/work.OPTION=VALUE'",
      "resume " .. root .. " --skip 'call/each[1]/work'", "breakpoint export " .. root } do
      assert.matches("flowlua " .. command, said, 1, true)
    end
    assert.is_nil(said:find("resume " .. low, 1, true))
    local one = support.decode(runs({ "breakpoint", low, "--json" }, 0).out)
    assert.same({ run = root, path = "call/each[1]/" }, one.part_of)
    runs({ "resume", root, "--skip", "call/each[1]/work", "--quiet" }, 0)
  end)

  it("is what that of the calling run leads to", function()
    box:write("flow.lua", nested)
    runs({ "run", "flow.lua", "--flow", "f", "--quiet" }, 1)
    local middle = box:sql_value "select id from v_run where flow = 'middle'"
    local root = box:sql_value "select id from v_run where flow = 'f'"
    local said = runs({ "breakpoint", root }, 0).out
    assert.matches("flowlua breakpoint " .. middle, said, 1, true)
    assert.is_nil(said:find("flowlua logs", 1, true))
    local one = support.decode(runs({ "breakpoint", root, "--json" }, 0).out)
    assert.equal(support.null, one.part_of)
    assert.equal(middle, one.failed[1].run)
  end)
end)

describe("a mended script in another folder", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local failing = [[
    local flow = require "flow"
    local f = flow.dag "f"
    f.a = flow.shell { "pwd; exit 1" }
    return f
  ]]

  it("is told to move the nodes there, in the plan and at the resume", function()
    box:write("flow.lua", failing)
    runs({ "flow.lua", "--quiet" }, 1)
    assert.equal(0, box:sh("mkdir fix && sed 's/exit 1/exit 2/' flow.lua > fix/flow.lua").code)
    local says = ("nodes run in %s/fix from now on, not in %s"):format(box.path, box.path)
    assert.matches(says, runs({ "resume", "--script", "fix/flow.lua", "--plan" }, 0).out, 1, true)
    local plan = support.decode(
      runs({ "resume", "--script", "fix/flow.lua", "--plan", "--json" }, 0).out)
    assert.same({ from = box.path, to = box.path .. "/fix" }, plan.folder)
    local done = runs({ "resume", "--script", "fix/flow.lua", "--no-progress" }, 1)
    assert.matches(says, done.out .. done.err, 1, true)
    assert.equal(box.path .. "/fix\n", runs({ "logs", "last", "a", "--attempt", "2" }, 0).out)
    done = runs({ "resume", "--no-progress" }, 1)
    assert.is_nil((done.out .. done.err):find("from now on", 1, true))
  end)

  it("is no matter where the folder is the same", function()
    box:write("flow.lua", failing)
    runs({ "flow.lua", "--quiet" }, 1)
    box:write("other.lua", failing)
    local done = runs({ "resume", "--script", "other.lua", "--no-progress" }, 1)
    assert.is_nil((done.out .. done.err):find("from now on", 1, true))
    assert.is_nil(runs({ "resume", "--script", "other.lua", "--plan" }, 0).out
      :find("from now on", 1, true))
  end)
end)
