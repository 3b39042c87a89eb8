-- `flowlua show`: when nodes ran, and what they took.
local support = require "tests.feature.support"

describe("show", function()
  local box

  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local function run(body)
    return box:script('local flow = require "flow"\nlocal f = flow.dag "f"\n' .. body
      .. "\nreturn f")
  end

  -- The columns from which to which a node's bar goes.
  local function bar_of(out, node)
    local before, bar = out:gsub("━", "#"):match("\n(" .. node .. " +)(#+) +%S+\n")
    assert.truthy(bar, out)
    return #before, #before + #bar
  end

  it("draws when nodes ran", function()
    run [[
      f.first = flow.shell { "sleep 0.3" }
      f.second = flow.shell { "sleep 0.3", after = "first" }
      f.beside = flow.shell { "sleep 0.2", after = "first" }
      f.never = flow.shell { "true", after = "second", when = function() return false end }
    ]]
    local out = box:run({ "show", "--timeline" }).out
    assert.matches("^%d+-%d+-%d+ [%d:]+ to [%d:]+: %S+\n\n", out)
    local first_from, first_to = bar_of(out, "first")
    local second_from, second_to = bar_of(out, "second")
    local beside_from, beside_to = bar_of(out, "beside")
    assert.is_true(first_from < first_to and first_to <= second_from and second_from < second_to)
    assert.is_true(first_to <= beside_from and beside_from < beside_to)
    assert.falsy(out:find("never", 1, true))
    for line in out:gmatch("[^\n]+") do assert.is_true(#(line:gsub("━", "-")) <= 80) end
  end)

  it("draws the longest nodes of a large run, and all when asked", function()
    run [[f.each = flow.map { over = function()
        local list = {}
        for i = 1, 70 do list[i] = i end
        return list
      end, run = function() end }]]
    local out = box:run({ "show", "--timeline" }).out
    local _, count = out:gsub("━", "#"):gsub("#+", "")
    assert.equal(60, count)
    assert.matches("11 nodes that took less are not listed %(%-%-all lists them%)\n$", out)
    _, count = box:run({ "show", "--timeline", "--all" }).out:gsub("━", "#"):gsub("#+", "")
    assert.equal(71, count)
  end)

  it("tells when nodes began, their CPU time and memory", function()
    run [[
      f.busy = flow.shell { "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done" }
      f.never = flow.shell { "true", after = "busy", when = function() return false end }
    ]]
    local out = box:run({ "show", "--long" }).out
    assert.matches("attempts  duration  exit  +began  +cpu  +memory  error\n", out)
    assert.matches("\nbusy  +shell  succeeded +1 +%S+ +0  %d%d:%d%d:%d%d +%d+m?s +%S+ MB\n", out)
    assert.matches("\nnever  +shell  skipped   [^%d]+\n", out)
  end)
end)
