-- Flows that propose what would mend their runs: on_breakpoint, rules, accepting, and by
-- themselves.
local support = require "tests.feature.support"

local box
local function each_test()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)
end

local function run(body, ...)
  box:write("flow.lua", 'local flow = require "flow"\n' .. body .. "\nreturn f\n")
  return box:run { "flow.lua", "--no-progress", ... }
end

local function proposals()
  local done = box:run { "proposals", "last", "--json" }
  assert.equal(0, done.code, done.err)
  return support.decode(done.out).proposals
end

local function resume(...) return box:run { "resume", "--no-progress", ... } end

-- Fails until its option `env.TRIES` is large enough.
local needy = [[
  f.fetch = flow.lua { inline = true, run = function(ctx) ctx.vars.size = 8 return { n = 1 } end }
  f.load = flow.shell { after = "fetch", "test $TRIES -ge 4 || { echo out of tries >&2; exit 7; }",
    env = { TRIES = "1" } }
]]

describe("on_breakpoint", function()
  each_test()

  it("is told what ran and what failed, and its patch is kept until it is accepted", function()
    local done = run([[
      local f = flow.dag("f", { on_breakpoint = function(bp)
        local names = {}
        for _, node in ipairs(bp.executed) do names[#names + 1] = node.name .. node.status end
        assert(table.concat(names) == "fetchsucceeded", table.concat(names))
        assert(bp.failed.node == "load" and bp.failed.exit_code == 7 and bp.failed.attempts == 1)
        assert(bp.failed.options.env.TRIES == "1" and bp.failed.vars.size == 8)
        assert(bp.queue[1] == "load" and bp.run.flow == "f")
        return { options = { load = { ["env.TRIES"] = "5" } }, reason = "more tries" }
      end })
    ]] .. needy)
    assert.equal(1, done.code)
    assert.matches("proposal 1 %(on_breakpoint%), more tries: .*apply it: flowlua resume .* "
      .. "%-%-accept 1", done.out .. done.err)
    local list = proposals()
    assert.equal(1, #list)
    assert.equal("on_breakpoint", list[1].origin)
    assert.same({ load = { ["env.TRIES"] = "5" } }, list[1].patch.options)
    assert.is_false(list[1].automatic)
    assert.equal(support.null, list[1].outcome)
    assert.matches("load%.env%.TRIES=5%s+not applied%s+more tries",
      box:run({ "proposals" }).out)

    done = resume("--accept", "1")
    assert.equal(0, done.code, done.out .. done.err)
    assert.equal("succeeded", proposals()[1].outcome)
    assert.equal("1", box:sql_value "select count(*) from v_attempt where name = 'fetch'")
    assert.matches("mended .* by .* with proposal 1: load%.env%.TRIES=5 %(more tries%)",
      box:run({ "show", "last" }).out)
    assert.matches("load%.env%.TRIES=5", box:run({ "explain", "last" }).out)
  end)

  it("may have nothing to say", function()
    for _, nothing in ipairs { "nil", "{}", '{ reason = "none" }',
      "{ options = { load = {} } }" } do
      local done = run(('local f = flow.dag("f", { on_breakpoint = function() return %s end })')
        :format(nothing) .. needy)
      assert.equal(1, done.code)
      assert.not_matches("proposal", done.out .. done.err)
      assert.same({}, proposals())
      assert.matches("has no proposals", box:run({ "proposals" }).out)
    end
  end)

  it("is not asked about a run that only its own timeout ended", function()
    local done = run([[
      local f = flow.dag("f", { timeout = "200ms", on_breakpoint = function() error "asked" end })
      f.a = flow.shell { "sleep 20" }
    ]])
    assert.equal(1, done.code)
    assert.not_matches("notice", done.out .. done.err)
  end)

  it("sees all that failed, in the order of the failures", function()
    local done = run([[
      local f = flow.dag("f", { on_breakpoint = function(bp)
        local list = {}
        for _, one in ipairs(bp.failures) do
          list[#list + 1] = ("%s %s %d %s"):format(one.name, one.node, one.exit_code or 0,
            tostring(one.options.retries))
        end
        assert(bp.failed == bp.failures[1])
        return { vars = { seen = table.concat(list, ", ") } }
      end })
      f.slow = flow.shell { "sleep 0.5; exit 2", retries = 0 }
      f.each = flow.map { over = { 1, 2 }, node = flow.shell {
        'test {{item}} = 1 || { sleep 0.2; exit 3; }' } }
    ]], "--jobs", "4")
    assert.equal(1, done.code, done.out .. done.err)
    assert.equal("each[2] each 3 0, each each 0 0, slow slow 2 0",
      proposals()[1].patch.vars.seen)
  end)

  it("cannot harm the run by failing, or by nonsense", function()
    local bad = {
      { 'error "no idea"', "no idea" },
      { 'return { optoins = {} }', 'patch%.optoins: unknown key; did you mean "options"%?' },
      { 'return { skip = { "lod" } }', 'flow "f" has no node "lod"; did you mean "load"%?' },
      { "return 3", "on_breakpoint: expected a map of changes, got 3" },
      { 'return { script = "other.lua" }', "patch%.script: cannot be proposed" },
    }
    for _, one in ipairs(bad) do
      local done = run(('local f = flow.dag("f", { on_breakpoint = function(bp) %s end })'):format(
        one[1]) .. needy)
      assert.equal(1, done.code)
      assert.matches(one[2], done.out .. done.err)
      assert.same({}, proposals())
      assert.equal("failed", box:sql_value "select status from v_run order by rowid desc limit 1")
    end
  end)
end)

describe("a proposal", function()
  each_test()

  it("that no resume could do is told, and not kept", function()
    local rows = {
      { 'options = { load = { timeout = "zzz" } }',
        'patch%.options%.load%.timeout: expected .*"zzz"' },
      { "options = { load = { timeuot = 3 } }", 'load%.timeuot: unknown option; did you mean' },
      { 'options = { fetch = { after = "load" } }', "cycle" },
      { 'outputs = { load = { n = 1 } }', "node 'load' has not succeeded" },
      { 'options = { fetch = { env = { X = "1" } } }',
        "node 'fetch' has succeeded and its definition" },
      { 'params = { nope = 1 }', 'unknown param' },
    }
    local with = 'local f = flow.dag("f", { on_breakpoint = function() return { %s } end, %s })'
    for _, row in ipairs(rows) do
      for _, auto in ipairs { "", 'auto = { fields = { "timeout", "env", "after", "outputs", '
        .. '"params" }, max = 5 }' } do
        local done = run(with:format(row[1], auto) .. needy)
        assert.equal(1, done.code)
        assert.matches(row[2], done.out .. done.err)
        assert.not_matches("apply it", done.out .. done.err)
        assert.not_matches("applying", done.out .. done.err)
        assert.same({}, proposals())
      end
    end
  end)

  local flow = 'local f = flow.dag("f", { on_breakpoint = function(bp) return { options = { load = '
    .. '{ ["env.TRIES"] = tostring(bp.failed.options.env.TRIES + 1) } } } end, %s })' .. needy

  it("is applied by itself where the flow allows it, as often as it says", function()
    local done = run(flow:format('auto = { fields = { "env" }, max = 5 }'))
    assert.equal(0, done.code, done.out .. done.err)
    local list = proposals()
    assert.equal(3, #list)
    for i, one in ipairs(list) do
      assert.is_true(one.automatic)
      assert.equal(i == 3 and "succeeded" or "failed", one.outcome)
    end
    assert.equal("the flow", box:sql_value "select author from v_epoch where epoch = 2")
    assert.equal("1", box:sql_value "select count(*) from v_attempt where name = 'fetch'")
  end)

  it("is applied by itself even when its adviser takes longer than a turn of the engine", function()
    local done = run([[
      local f = flow.dag("f", { auto = { fields = { "env" }, max = 1 }, on_breakpoint = function()
        local ends = os.clock() + 0.1
        while os.clock() < ends do end
        return { options = { load = { ["env.TRIES"] = "4" } } }
      end })]] .. needy)
    assert.equal(0, done.code, done.out .. done.err)
    assert.equal("succeeded", proposals()[1].outcome)
  end)

  it("waits for a person after that", function()
    local done = run(flow:format('auto = { fields = { "load.env.TRIES" }, max = 1 }'))
    assert.equal(1, done.code, done.out .. done.err)
    local list = proposals()
    assert.equal(2, #list)
    assert.equal("failed", list[1].outcome)
    assert.is_false(list[2].automatic)
    assert.equal(1, resume("--accept", "2").code)
    assert.equal(0, resume("--accept", "3").code)
  end)

  it("is not applied by itself where it changes more than the flow allows", function()
    assert.equal(1, run(flow:format('auto = { fields = { "timeout" }, max = 5 }')).code)
    assert.is_false(proposals()[1].automatic)
  end)

  it("is applied once", function()
    run('local f = flow.dag("f", { on_breakpoint = function() return { vars = { x = 1 } } end })'
      .. needy)
    assert.equal(1, resume("--accept", "1").code)
    assert.equal("1", box:sql_value "select count(*) from v_epoch where patch is not null")
    local before = box:sql_value "select count(*) from v_epoch"
    for _, flag in ipairs { "--plan", "--quiet" } do
      local done = resume("--accept", "1", flag)
      assert.equal(2, done.code)
      assert.matches("proposal 1 of run .* was applied already, by resume 1", done.err)
    end
    assert.equal(before, box:sql_value "select count(*) from v_epoch")
    assert.equal(1, support.decode(box:run({ "show", "last", "--json" }).out).patches[1].proposal)
  end)

  it("that is not there is told", function()
    assert.equal(1, run('local f = flow.dag("f")' .. needy).code)
    local done = resume("--accept", "4")
    assert.equal(2, done.code)
    assert.matches("no proposal 4", done.err)
  end)
end)

describe("the adviser of a called flow", function()
  each_test()

  -- The node `load` calls `f.mid`, or an item of `each` `f.low`; `low` needs tries, its options %s.
  local function calling(low, mid, top)
    return ([[
      local low = flow.dag("low", { %s })
      low.fetch = flow.lua { inline = true, run = function() return 1 end }
      low.try = flow.shell { after = "fetch", "test $TRIES -ge 2 || exit 7", env = { TRIES = "1" } }
      local mid = flow.dag("mid", { %s })
      mid.each = flow.map { over = { 1, 2 }, node = flow.call { flow = low } }
      local f = flow.dag("f", { %s })
      f.load = flow.call { flow = mid }
      f.done = flow.lua { after = "load", run = function() return "done" end }
    ]]):format(low or "", mid or "", top or "")
  end

  local more = [[on_breakpoint = function(bp)
    assert(bp.failed.node == "try" and bp.executed[1].name == "fetch" and bp.run.flow == "low")
    return { options = { try = { ["env.TRIES"] = "2" } }, reason = "few" }, "more tries" end]]

  it("is asked, and what it proposes is of the run that was started", function()
    local done = run(calling(more), "--flow", "f")
    assert.equal(1, done.code)
    local list = proposals()
    assert.equal(2, #list, done.out .. done.err)
    for i, one in ipairs(list) do
      local within = ("load/each[%d]/"):format(i)
      assert.equal(within .. "more tries", one.origin)
      assert.same({ [within .. "try"] = { ["env.TRIES"] = "2" } }, one.patch.options)
      assert.equal("few", one.reason)
    end
    assert.equal(1, resume("--accept", "1").code)
    assert.equal(0, resume("--accept", "3").code)
    assert.equal("2", box:sql_value "select count(*) from v_attempt where name = 'fetch'")
    assert.equal("succeeded", box:show().run.status)
  end)

  it("is asked after that of the caller, each for its own nodes", function()
    run(calling(more, nil,
      "on_breakpoint = flow.advise.rules { { name = 'leave it', skip = true } }"), "--flow", "f")
    local origins = {}
    for i, one in ipairs(proposals()) do origins[i] = one.origin end
    assert.same({ "leave it", "load/each[1]/more tries", "load/each[2]/more tries" }, origins)
  end)

  it("may have its proposals applied by themselves, where its own flow allows it", function()
    local auto = more .. ', auto = { fields = { "env" }, max = 2 }'
    local done = run(calling(auto), "--flow", "f")
    assert.equal(0, done.code, done.out .. done.err)
    local applied = {}
    for _, one in ipairs(proposals()) do
      if one.automatic then applied[#applied + 1] = one.origin .. " " .. one.outcome end
    end
    assert.same({ "load/each[1]/more tries failed", "load/each[2]/more tries succeeded" }, applied)
    assert.equal("2", box:sql_value "select count(*) from v_attempt where name = 'fetch'")
  end)

  it("cannot change params and vars, which come from the call", function()
    for _, key in ipairs { "params", "vars" } do
      local low = ("params = { n = 1 }, on_breakpoint = function() return { %s = { n = 2 } } end")
        :format(key)
      local done = run(calling(low), "--flow", "f")
      assert.equal(1, done.code)
      assert.matches("load/each%[1%]/: on_breakpoint: patch%." .. key
        .. ": those of a sub%-flow come from its call", done.out .. done.err)
      assert.same({}, proposals())
    end
  end)

  it("that fails is a notice that says whose it is, and others are asked all the same", function()
    local done = run(calling('on_breakpoint = function() error "no idea" end',
      "on_breakpoint = function() return { vars = {}, skip = { 'each' } } end"), "--flow", "f")
    assert.equal(1, done.code)
    assert.matches("load/each%[2%]/: on_breakpoint: .*no idea", done.out .. done.err)
    local list = proposals()
    assert.equal(1, #list)
    assert.same({ "load/each" }, list[1].patch.skip)
  end)

  it("is not asked about a run that has succeeded", function()
    local done = run([[
      local low = flow.dag("low", { on_breakpoint = function() error "asked" end })
      low.a = flow.lua { function() end }
      local f = flow.dag("f", {})
      f.load = flow.call { flow = low }
      f.bad = flow.shell { "exit 1" }
    ]], "--flow", "f")
    assert.equal(1, done.code)
    assert.not_matches("asked", done.out .. done.err)
  end)
end)

describe("flow.advise.rules", function()
  each_test()

  it("make a patch of the first rule that fits", function()
    local done = run([[
      local f = flow.dag("f", { on_breakpoint = flow.advise.rules {
        { type = "sql", skip = true },
        { exit_code = 9, skip = true },
        { error = "exited with code [0-9]", exit_code = { 7, 8 }, name = "more time",
          options = { timeout = flow.advise.times(2, { max = "4h" }),
            ["limits.memory"] = flow.advise.times(2, { from = "512M" }), retries = 3 },
          reason = "it was slow" },
        { skip = true },
      } })
      f.load = flow.shell { "exit 7", timeout = "30m" }
    ]])
    assert.equal(1, done.code)
    local one = proposals()[1]
    assert.equal("more time", one.origin)
    assert.same({ load = { timeout = 3600, ["limits.memory"] = 536870912, retries = 3 } },
      one.patch.options)
    assert.equal("it was slow", one.patch.reason)
  end)

  it("know timeouts, attempts, and what an item's map can change", function()
    run([[
      local f = flow.dag("f", { on_breakpoint = flow.advise.rules {
        { state = "timed_out", attempts = 2, type = "shell", drop_checkpoint = true,
          options = { ["node.timeout"] = "1h" } },
      } })
      f.each = flow.map { over = { 1, 2 }, retries = 1, retry_delay = 0,
        node = flow.shell { "sleep 30", timeout = "100ms" } }
    ]])
    local one = proposals()[1]
    assert.same({ each = { ["node.timeout"] = "1h" } }, one.patch.options)
    assert.same({ ["each[1]"] = support.null, ["each[2]"] = support.null }, one.patch.checkpoints)
  end)

  it("leave out an item of a map that fails, and no more", function()
    run([[
      local f = flow.dag("f", { auto = { fields = { "skip" } }, on_breakpoint = flow.advise.rules {
        { skip = true } } })
      f.each = flow.map { over = { 1, 2, 3 }, inline = true, run = function(ctx, item)
        if item == 2 then error "two" end
        return item
      end }
      f.last = flow.lua { inline = true, after = "each", run = function(ctx)
        return { list = ctx.inputs.each } end }
    ]])
    assert.same({ "each[2]" }, proposals()[1].patch.skip)
    assert.same({ 1, support.null, 3 }, box:show().node.last.outputs.list)
  end)

  it("are checked when the script is loaded", function()
    local rows = {
      { "{ { exit = 3, skip = true } }", "rules%[1%]%.exit: unknown key" },
      { "{ { exit_code = 3 } }", "rules%[1%]: does nothing" },
      { '{ { error = "(", skip = true } }', "rules%[1%]%.error: bad pattern" },
      { '{ { rss_over = "much", skip = true } }', "rss_over: expected a size" },
      { '{ { state = "timedout", skip = true } }', '^flowlua: flow.lua:2: .*rules%[1%]%.state: ' },
      { "{ { options = 5 } }", "rules%[1%]%.options: expected a map" },
      { '{ { skip = true }, { node = { "load", "laod" }, skip = true } }',
        '^flowlua: flow.lua:2: f%.on_breakpoint: .*rules%[2%]%.node: unknown node "laod"' },
    }
    for _, row in ipairs(rows) do
      local line = 'local f = flow.dag("f", { on_breakpoint = flow.advise.rules %s })\n'
      local done = run(line:format(row[1]) .. needy)
      assert.equal(2, done.code, done.out .. done.err)
      assert.matches(row[2], done.err)
    end
  end)
end)

describe("auto", function()
  each_test()

  it("must say what it allows", function()
    local rows = {
      { 'auto = { fields = { "timeout" } }', "f%.auto: allows what `on_breakpoint` proposes" },
      { "auto = { max = 1 }, on_breakpoint = print", "f%.auto%.fields: expected a list" },
      { 'auto = { fields = { "a" }, max = 0 }, on_breakpoint = print',
        "f%.auto%.max: expected a positive integer, got 0" },
      { 'auto = { fields = { "timeuot" } }, on_breakpoint = print',
        'flow.lua:2: f%.auto%.fields%[1%]: unknown change "timeuot"; did you mean "timeout"%?' },
      { 'auto = { fields = { "vars.x", "load.timeout", "bogus" } }, on_breakpoint = print',
        'f%.auto%.fields%[3%]: unknown change "bogus"' },
      { 'auto = { fields = { "laod.timeout" } }, on_breakpoint = print',
        'f%.auto%.fields%[1%]: unknown change "laod%.timeout"' },
      { 'auto = { feilds = { "a" } }, on_breakpoint = print',
        'f%.auto%.feilds: unknown option; did you mean "fields"%?' },
    }
    for _, row in ipairs(rows) do
      local done = run(('local f = flow.dag("f", { %s })\n'):format(row[1]) .. needy)
      assert.equal(2, done.code, done.out .. done.err)
      assert.matches(row[2], done.err)
    end
  end)
end)
