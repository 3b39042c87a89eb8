-- Schedules: rules are plain data, and a flow tells what is wrong with those that it takes.
local flow = require "flow"
local dag = require "flow.dag"
local schedule = require "flow.schedule"

-- What a flow with this schedule finds wrong with it, without files and lines.
local function faults(given, options)
  options = options or {}
  options.schedule = given
  local result = {}
  for i, one in ipairs(dag.state(flow.dag("f", options), "faults").faults) do
    result[i] = one.message:gsub("^%S+:%d+: ", "")
  end
  return result
end

local function times(rule, from, count)
  local result = {}
  for i, at in ipairs(flow.next(rule, from, count)) do
    result[i] = flow.date(at, "%Y-%m-%dT%H:%M")
  end
  return result
end

local start = 1769904000 -- 2026-02-01T00:00:00Z, a Sunday

describe("flow.cron", function()
  it("gives a rule as plain data", function()
    local rule = flow.cron("0 2 * * *", { tz = "Asia/Shanghai", missed = "all", jitter = "5m" })
    assert.is_true(schedule.is(rule))
    assert.same({ kind = "cron", cron = "0 2 * * *", tz = "Asia/Shanghai", missed = "all",
      jitter = "5m" }, setmetatable(rule, nil))
  end)

  it("has the flow tell what is wrong, where it was written", function()
    local f = flow.dag("daily", { schedule = flow.cron "0 25 * * *" })
    local found = dag.state(f, "faults").faults
    assert.equal(1, #found)
    assert.matches("schedule_spec.lua:%d+: daily%.schedule: field 2 %(hour%) of \"0 25 %* %* %*\": "
      .. "expected 0 to 23, got 25$", found[1].message)
  end)

  it("takes what is an expression, and nothing else", function()
    for _, text in ipairs { "*/5 * * * *", "30 0 2 * * *", "0 0 L-3 * *", "0 0 * JAN,feb 5L",
      "0 0 ? * 0,7", "0 0 * * fri-sun", "@hourly", "0 0 LW * ?", "10-50/10 8-18 * * 1-5" } do
      assert.same({}, faults(flow.cron(text)))
    end
    assert.matches("^f.schedule: expected 5 fields", faults(flow.cron "0 2 * *")[1])
    assert.same({ 'f.schedule: "0 0 30 2 *" names no instant in 50 years' },
      faults(flow.cron "0 0 30 2 *"))
    local ok, err = pcall(function() return (flow.cron(5)) end)
    assert.is_false(ok)
    assert.matches("flow%.cron: expected a cron expression, got 5", tostring(err))
  end)
end)

describe("flow.every", function()
  it("gives a rule as plain data", function()
    local rule = flow.every(2, "days", { at = { "06:00", "18:30:15" }, from = "2024-01-01" })
    assert.same({ kind = "every", count = 2, unit = "day", at = { "06:00", "18:30:15" },
      from = "2024-01-01" }, setmetatable(rule, nil))
  end)

  it("refuses what it cannot count", function()
    local rows = {
      { { 0, "day" }, "flow.every: expected a positive integer first, got 0" },
      { { 1, "dya" }, 'flow.every: expected "minute", "hour", "day", "week" or "month", got "dya"; '
        .. 'did you mean "day"?' },
    }
    for _, row in ipairs(rows) do
      local ok, err = pcall(function() return (flow.every(unpack(row[1]))) end)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(row[2], 1, true), tostring(err))
    end
  end)
end)

describe("a rule's options", function()
  it("are told one by one", function()
    local rows = {
      { { tz = "Europe/Berlim" }, '.tz: expected a time zone such as "UTC" or "Asia/Shanghai", got '
        .. '"Europe/Berlim"; did you mean "Europe/Berlin"?' },
      { { mised = "all" }, '.mised: unknown option; did you mean "missed"?' },
      { { overlap = "skp" }, '.overlap: expected "skip", "queue", "latest", "cancel_old" or '
        .. '"allow", got "skp"; did you mean "skip"?' },
      { 5, ": expected a table of options, got 5" },
      { { from = "garbage" }, '.from: expected a date such as "2026-01-31" or an instant such as '
        .. '"2026-01-31T08:00:00Z", got "garbage"' },
      { { from = "2026-02-01", to = "2026-01-31" },
        ".to: is before from: there is no time in between" },
      { { calendar = { day = "mon" } }, '.calendar.day: unknown option; did you mean "days"?' },
      { { calendar = { off = "christmas" } },
        '.calendar.off: expected a date such as "2026-12-25", got "christmas"' },
      { { off_day = "next" }, ".off_day: there is no calendar: every day works" },
      { { calendar = function() return false end },
        ": its calendar has no working day in 60 days" },
      { { at = "08:00" }, ".at: unknown option" },
      { { jitter = "soon" }, '.jitter: expected a duration such as 1.5, "500ms", "10s", "5m", '
        .. '"2h" or "1d", got "soon"' },
    }
    for _, row in ipairs(rows) do
      local found = faults(flow.cron("@daily", row[1]))
      assert.truthy(found[1] and found[1]:find("f.schedule" .. row[2], 1, true), found[1])
      assert.equal(1, #found)
    end
  end)

  it("of every have days and times of day", function()
    assert.same({ 'f.schedule.at: expected a time of day such as "08:00", got "25:00"',
      'f.schedule.on: expected a day such as "mon", 1 to 31 or "last", got "funday"' },
      faults(flow.every(1, "week", { at = "25:00", on = "funday" })))
    assert.same({ "f.schedule.on: is for weeks and months only" },
      faults(flow.every(1, "day", { on = "mon" })))
  end)

  it("of a list are told with its position, all of them", function()
    assert.same({ 'f.schedule[2].to: expected a date such as "2026-01-31" or an instant such as '
      .. '"2026-01-31T08:00:00Z", got "x"',
      'f.schedule[3]: "0 0 31 4 *" names no instant in 50 years' },
      faults { flow.cron "@daily", flow.cron("@daily", { to = "x" }), flow.cron "0 0 31 4 *" })
  end)

  it("are of rules only", function()
    for _, given in ipairs { "0 2 * * *", 5, {}, { flow.cron "@daily", "@hourly" } } do
      local found = faults(given)
      assert.matches("f.schedule: expected flow.cron%(...%), flow.every%(...%) or a list of them, "
        .. "got ", found[1])
    end
  end)
end)

describe("flow.next", function()
  it("lists the fires of a rule", function()
    assert.same({ "2026-02-01T02:00", "2026-02-02T02:00" }, times(flow.cron "0 2 * * *", start, 2))
    assert.same({ "2026-02-01T00:00" }, times(flow.cron "@hourly", start))
    assert.same({}, times(flow.cron("@daily", { to = "2026-01-31" }), start, 3))
    assert.equal(1, #flow.next(flow.cron "@hourly"))
  end)

  it("lists those of several in order, each instant once", function()
    local rules = { flow.cron "0 12 * * *", flow.every(1, "day", { at = { "06:00", "12:00" } }) }
    assert.same({ "2026-02-01T06:00", "2026-02-01T12:00", "2026-02-02T06:00" },
      times(rules, start, 3))
  end)

  it("asks a calendar once a date", function()
    local asked = {}
    local rule = flow.cron("0 8,20 * * *", { calendar = function(date, weekday)
      assert.is_nil(asked[date])
      asked[date] = weekday
      return weekday <= 5
    end })
    asked = {}
    assert.same({ "2026-02-02T08:00", "2026-02-02T20:00", "2026-02-03T08:00" },
      times(rule, start, 3))
    assert.same({ 7, 1 }, { asked["2026-02-01"], asked["2026-02-02"] })
  end)

  it("says what a calendar failed with, and what is wrong with a rule", function()
    local rows = {
      { flow.cron("@daily", { calendar = function() error("no holidays of 2027", 0) end }),
        "no holidays of 2027" },
      { flow.cron "0 0 30 2 *", 'flow.next: "0 0 30 2 *" names no instant in 50 years' },
      { flow.cron("@daily", { tz = "Mars" }), "flow.next.tz: expected a time zone" },
      { "0 2 * * *", "flow.next: expected flow.cron" },
    }
    for _, row in ipairs(rows) do
      local ok, err = pcall(flow.next, row[1], start)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(row[2], 1, true), tostring(err))
    end
  end)
end)
