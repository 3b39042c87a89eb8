-- When flows fire next: `flowlua next`.
local support = require "tests.feature.support"

local box
local function each_test()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)
end

local daily = [[
  local flow = require "flow"
  local f = flow.dag("daily", { tz = "Europe/Berlin", schedule = flow.cron "0 2 * * *" })
  f.a = flow.shell "true"
  local many = flow.dag("many", { schedule = {
    flow.cron("0 12 * * *"),
    flow.every(1, "month", { on = "last", at = { "12:00", "18:00" }, name = "close", jitter = "5m",
      calendar = function(_, weekday) return weekday <= 5 end, off_day = "previous" }),
  } })
  many.a = flow.shell "true"
  local none = flow.dag "none"
  none.a = flow.shell "true"
  return { f, many, none }
]]

describe("next", function()
  each_test()

  it("shows when a flow fires, and where the clock changes", function()
    box:write("daily.lua", daily)
    local done = box:run { "next", "daily.lua", "--flow", "daily", "--from", "2026-03-28",
      "--count", "3" }
    assert.same({ 0, "" }, { done.code, done.err })
    assert.equal("daily  0 2 * * *  Europe/Berlin\n"
      .. "  2026-03-28 02:00:00 +01:00  2026-03-28T01:00:00Z\n"
      .. "  2026-03-29 03:00:00 +02:00  2026-03-29T01:00:00Z  02:00 does not exist: at the end of "
      .. "the gap\n"
      .. "  2026-03-30 02:00:00 +02:00  2026-03-30T00:00:00Z\n", done.out)
  end)

  it("merges the rules of a flow, as JSON and as text", function()
    box:write("daily.lua", daily)
    local done = box:run { "next", "daily.lua", "--flow", "many", "--from", "2026-05-29T12:00:00Z",
      "--count", "3", "--json" }
    local fires = support.decode(done.out)
    local seen = {}
    for i, fire in ipairs(fires) do seen[i] = { fire.rule, fire.time, fire.note } end
    assert.same({ { "1", "2026-05-29T12:00:00.000Z", support.null },
      { "close", "2026-05-29T18:00:00.000Z", "shifted" },
      { "1", "2026-05-30T12:00:00.000Z", support.null } }, seen)
    assert.same({ delay_ms = support.null, flow = "many",
      interval_from = "2026-05-29T12:00:00.000Z", interval_to = "2026-05-29T18:00:00.000Z",
      ["local"] = "2026-05-29T18:00:00+00:00",
      note = "shifted", rule = "close", schedule = "every month on last at 12:00, 18:00",
      text = "of 2026-05-31, which does not work", time = "2026-05-29T18:00:00.000Z", tz = "UTC" },
      fires[2])
    done = box:run { "next", "daily.lua", "--flow", "many", "--from", "2026-05-29", "--count", "2" }
    assert.equal("many  0 12 * * *  UTC\n      every month on last at 12:00, 18:00  UTC\n",
      done.out:match "^.-\n.-\n")
  end)

  it("takes an expression instead of a script", function()
    local done = box:run { "next", "--rule", "30 2 * * *", "--tz", "Europe/Berlin", "--from",
      "2026-10-25", "--count", "1" }
    assert.equal("30 2 * * *  Europe/Berlin\n  2026-10-25 02:30:00 +02:00  2026-10-25T00:30:00Z  "
      .. "02:30 occurs twice: the first time\n", done.out)
  end)

  it("says what is wrong", function()
    box:write("daily.lua", daily)
    box:write("bad.lua", [[
local flow = require "flow"
local f = flow.dag("daily", {
  schedule = flow.cron "0 25 * * *" })
f.a = flow.shell "true"
return f
]])
    local rows = {
      { { "bad.lua" }, 'bad%.lua:3: daily%.schedule: field 2 %(hour%) of "0 25 %* %* %*": expected '
        .. "0 to 23, got 25" },
      { { "--rule", "0 0 30 2 *" }, '"0 0 30 2 %*" names no instant in 50 years' },
      { { "--rule", "@daily", "--tz", "Mars" }, "expected a time zone" },
      { { "--rule", "@daily", "--from", "soon" }, 'expected a time such as .*, got "soon"' },
      { { "--rule", "@daily", "--count", "0" }, "%-%-count" },
      { { "daily.lua", "--flow", "dayly" }, "dayly" },
      { { "daily.lua", "--tz", "UTC" }, "%-%-tz is for %-%-rule" },
      { {}, "give either a script or %-%-rule" },
    }
    for _, row in ipairs(rows) do
      local done = box:run { "next", unpack(row[1]) }
      assert.same({ 2, "" }, { done.code, done.out })
      assert.matches(row[2], done.err)
    end
    local done = box:run { "next", "daily.lua", "--flow", "none" }
    assert.same({ 0, "" }, { done.code, done.out })
    assert.matches("no flow here has a schedule that still fires", done.err)
  end)

  it("has a run by hand stand for the latest fire before it", function()
    box:write("daily.lua", [[
      local flow = require "flow"
      local f = flow.dag("daily", { schedule = { flow.cron "0 2 * * *", flow.cron "0 12 1 * *" } })
      local from, to = "date(run.interval_from, '%dT%H')", "date(run.interval_to, '%dT%H')"
      f.a = flow.shell("echo {{" .. from .. "}} {{" .. to .. "}}")
      return f
    ]])
    local rows = {
      { "2026-02-03T08:00:00Z", "02T02 03T02" }, { "2026-02-03T02:00:00Z", "02T02 03T02" },
      { "2026-02-01T13:00:00Z", "01T12 01T12" }, -- of the second rule, a month
    }
    for _, row in ipairs(rows) do
      assert.equal(0, box:run({ "run", "daily.lua", "--at", row[1] }).code)
      assert.equal("a| " .. row[2] .. "\n", box:run({ "logs", "last" }).out)
    end
  end)

  it("is told by check, too, as nothing starts a flow by its schedule", function()
    box:write("two.lua", [[
      local flow = require "flow"
      local f = flow.dag("f", { schedule = { flow.cron "0 2 * * *", flow.every(1, "hour") } })
      f.a = flow.shell { "true" }
      local g = flow.dag "g"
      g.a = flow.shell { "true" }
      return f, g
    ]])
    local done = box:run { "check", "two.lua" }
    assert.equal(0, done.code)
    assert.matches("^notice: f: nothing starts it by its schedule %(next [^\n]+%) yet: "
      .. "let cron%(8%) do it, with: flowlua two%.lua %-%-flow f %-%-quiet\n$", done.err)
    assert.equal("", box:run({ "two.lua", "--flow", "f", "--quiet" }).err)
  end)

  it("ends a calendar that does not", function()
    box:write("loop.lua", [[
local flow = require "flow"
local begun = false
local f = flow.dag("loop", { schedule = flow.cron("@daily", { calendar = function(date)
  while date > "2030" do end
  return true
end }) })
f.a = flow.shell "true"
return f
]])
    local done = box:run { "next", "loop.lua", "--from", "2031-01-01" }
    assert.equal(2, done.code)
    assert.matches("loop%.lua:4", done.err)
  end)
end)

describe("times of a flow's zone", function()
  each_test()

  local text = [[
    local flow = require "flow"
    local f = flow.dag("f", { tz = "America/New_York", params = { p = 0.1 } })
    f.a = flow.shell { "echo {{run.date}} {{date(run.time, '%FT%T%z %Z %s')}}" }
    f.b = flow.shell { "echo {{date(days_before(run.time, 1))}} {{date(days_after(run.time, 1))}}" }
    f.c = flow.lua { function(ctx)
      return flow.date(flow.days_before(ctx.run.time, 1, "America/New_York"), "%F %T %Z",
        "America/New_York")
    end }
    return f
  ]]

  it("are meant where none is named, and are true in dates", function()
    box:write("flow.lua", text)
    local rows = {
      { "2026-01-31", "2026-01-31 2026-01-31T00:00:00-0500 EST 1769835600",
        "2026-01-30 2026-02-01", "2026-01-30 00:00:00 EST" },
      { "2026-07-31T08:00", "2026-07-31 2026-07-31T08:00:00-0400 EDT 1785499200",
        "2026-07-30 2026-08-01", "2026-07-30 08:00:00 EDT" },
      { "2026-03-09T00:30:00-04:00", "2026-03-09 2026-03-09T00:30:00-0400 EDT 1773030600",
        "2026-03-08 2026-03-10", "2026-03-08 00:30:00 EST" },
      { "2026-11-02T04:30:00Z", "2026-11-01 2026-11-01T23:30:00-0500 EST 1793593800",
        "2026-10-31 2026-11-02", "2026-10-31 23:30:00 EDT" },
    }
    for _, row in ipairs(rows) do
      assert.equal(0, box:run({ "flow.lua", "-q", "--at", row[1] }).code)
      assert.equal(row[2] .. "\n", box:run({ "logs", "last", "a" }).out)
      assert.equal(row[3] .. "\n", box:run({ "logs", "last", "b" }).out)
      assert.equal(row[4], box:show().node.c.outputs)
      for _, word in ipairs { "f", "flow.lua" } do
        assert.equal(0, box:run({ "replay", word, "-q", "--at", row[1] }).code)
      end
    end
    assert.equal(12, #support.decode(box:run({ "runs", "--json" }).out))
  end)
end)

describe("numbers", function()
  each_test()

  it("are shown with the digits that were typed", function()
    box:write("flow.lua", [[
      local flow = require "flow"
      local f = flow.dag("f", { params = { p = 0.1 } })
      f.a = flow.lua { function(ctx)
        ctx:checkpoint { at = 69.01 }
        ctx.vars.v = ctx.params.p
        error "later"
      end, allow_failure = true }
      f.b = flow.lua { function(ctx) ctx.vars.v = ctx.params.p return { 69.01, 1e21, 1 / 3 } end }
      return f
    ]])
    assert.equal(0, box:run({ "flow.lua", "-q" }).code)
    assert.equal(0, box:run({ "flow.lua", "-q", "--param", "p=0.7" }).code)
    for _, args in ipairs { { "context", "last", "b" }, { "diff", "last-1", "last" },
      { "blame", "last", "v" }, { "runs", "--json", "--since", "1d" }, { "show", "last" },
      { "breakpoint", "last-1" }, { "flow.lua", "--help" } } do
      local out = box:run(args).out
      assert.is_nil(out:find("%d%.%d*000000%d") or out:find("%d%.%d*99999%d"), out)
    end
    local out = box:run({ "context", "last", "b" }).out
    assert.matches("[69.01,1e+21,0.3333333333333333]", out, 1, true)
    assert.matches("p = 0.7\n", out, 1, true)
  end)
end)
