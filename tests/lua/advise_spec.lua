-- Tests stdlib/advise.lua: what becomes of the options that rules change, and what rules make of
-- failures.
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
  -- A breakpoint at which nodes failed in this order: { name, error }, or a table of `failed`.
  local function breakpoint(...)
    local failures = {}
    for i, one in ipairs { ... } do
      failures[i] = { node = one[1], name = one[1], error = one[2], type = "shell",
        state = "failed", exit_code = 1, attempts = 1, options = { timeout = 60 }, vars = {},
        resources = { cpu_ms = 0, max_rss_bytes = 0 } }
    end
    return { failures = failures, failed = failures[1], run = { params = {} } }
  end

  local function ask(rules, ...) return flow.advise.rules(rules)(breakpoint(...)) end

  it("look at every failed node, in whatever order they failed", function()
    local rules = { { error = "out of memory", options = { ["limits.memory"] = "2G" } } }
    for _, order in ipairs { { { "a", "strange" }, { "b", "out of memory" } },
      { { "b", "out of memory" }, { "a", "strange" } } } do
      local patch, name = ask(rules, unpack(order))
      assert.same({ options = { b = { ["limits.memory"] = "2G" } } }, patch)
      assert.equal("rule 1", name)
    end
  end)

  it("make one patch of what fits each", function()
    local rules = {
      { name = "longer", error = "timed out", options = { timeout = flow.advise.times(2) },
        vars = { slow = true }, reason = "slow" },
      { name = "leave out", error = "gone", skip = true, vars = { slow = false }, reason = "gone" },
      { name = "any", patch = { rerun = "x", options = { c = { retries = 3 } } } },
    }
    local patch, name = ask(rules, { "a", "timed out" }, { "b", "gone" }, { "c", "?" },
      { "d", "timed out" })
    assert.same({ options = { a = { timeout = 120 }, d = { timeout = 120 }, c = { retries = 3 } },
      vars = { slow = true }, skip = { "b" }, rerun = { "x" }, reason = "slow; gone" }, patch)
    assert.equal("longer, leave out, any", name)
  end)

  it("say nothing of a node that contradicts what they said of it before", function()
    local rules = { { error = "first", patch = { skip = { "x" } } },
      { error = "second", patch = { rerun = { "x+", "y" } } }, { error = "third", rerun = "x" } }
    local patch, name = ask(rules, { "a", "first" }, { "b", "second" }, { "c", "third" })
    assert.same({ skip = { "x" }, rerun = { "y" } }, patch)
    assert.equal("rule 1, rule 2", name)
  end)

  it("give outputs that are empty where none are named", function()
    assert.same({ succeed = { a = {} } }, (ask({ { succeed = true } }, { "a" })))
    assert.same({ succeed = { a = { n = 1 } } }, (ask({ { succeed = { n = 1 } } }, { "a" })))
  end)

  it("leave the patch that they were given as it was, with its reason", function()
    local given = { vars = { n = 1 }, skip = "x", reason = "because" }
    local rules = { { patch = given, options = { retries = 2 } } }
    for _ = 1, 2 do
      assert.same({ vars = { n = 1 }, skip = { "x" }, options = { a = { retries = 2 } },
        reason = "because" }, (ask(rules, { "a" })))
    end
    assert.same({ vars = { n = 1 }, skip = "x", reason = "because" }, given)
    rules[1].reason = "mine"
    assert.equal("mine", (ask(rules, { "a" })).reason)
  end)

  it("say nothing where nothing fits", function()
    assert.is_nil((ask({ { error = "x", skip = true } }, { "a", "y" })))
    assert.is_nil((ask({ { options = { retries = function() end } } }, { "a", "y" })))
    assert.is_nil((ask({ { patch = { reason = "only" } } }, { "a", "y" })))
  end)

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
