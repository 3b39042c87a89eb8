-- Tests stdlib/advise.lua: what becomes of the options that rules change.
local flow = require "flow"

describe("flow.advise.times", function()
  local times = function(...) return flow.advise.times(...) end

  it("takes numbers, durations and sizes", function()
    assert.equal(800, times(2)(400))
    assert.equal(120, times(2) "1m")
    assert.equal(2 ^ 31, times(2) "1G")
    assert.equal(2 ^ 20, times(1, { from = "1M" })(nil))
  end)

  it("keeps what is whole whole, and what is short as short as it is", function()
    assert.equal(5, times(1.5)(3))
    assert.equal(0.4, times(2) "200ms")
    assert.equal(2.4, times(2)(1.2))
    assert.equal(0.5, times(0.5)(1))
  end)

  it("stops at its maximum, and begins where nothing was given", function()
    assert.equal(3600, times(2, { max = "1h" }) "50m")
    assert.is_nil(times(2, { max = "1h" }) "1h")
    assert.equal(2 ^ 30, times(2, { from = "1G" })(nil))
    assert.is_nil(times(2)(nil))
  end)
end)

describe("flow.advise.rules", function()
  it("are looked at when they are made", function()
    local function problem(rule)
      local ok, text = pcall(flow.advise.rules, { rule })
      assert.is_false(ok)
      return text
    end
    for _, row in ipairs {
      { { state = "timedout", skip = true },
        'rules[1].state: expected failed, timed_out or lost, or a list of such, got "timedout"' },
      { { state = {}, skip = true }, "rules[1].state: expected failed" },
      { { exit_code = "3", skip = true }, 'rules[1].exit_code: expected an exit code, or a list' },
      { { exit_code = { 3, 256 }, skip = true }, "rules[1].exit_code: expected" },
      { { options = 5 }, "rules[1].options: expected a map of options, got 5" },
      { { skip = "yes" }, 'rules[1].skip: expected true or false, got "yes"' },
      { { attempts = 0, skip = true }, "rules[1].attempts: expected a positive integer, got 0" },
      { { patch = 3 }, "rules[1].patch: expected a patch, or a function, got 3" },
      { { when = true, skip = true }, "rules[1].when: expected a function, got true" },
      { 7, "rules[1]: expected a table, got 7" },
    } do
      assert.truthy(problem(row[1]):find(row[2], 1, true), problem(row[1]))
    end
  end)
end)
