-- Schedules are checked where they are written, and are plain data.
local flow = require "flow"
local schedule = require "flow.schedule"

describe("flow.cron", function()
  local good = {
    "0 2 * * *", "*/5 * * * *", "0 0 1,15 * MON-FRI", "30 0 2 * * *", "0 0 L * *", "0 0 15W * *",
      "0 0 * * 5#3",
    "0 0 * JAN,feb 5L", "@hourly", "@daily", "0 0 LW * ?", "10-50/10 8-18 * * 1-5",
  }
  for _, text in ipairs(good) do
    it("takes " .. text, function()
      local s = flow.cron(text)
      assert.is_true(schedule.is(s))
      assert.same({ "cron", text }, { s.kind, s.cron })
    end)
  end

  local bad = {
    { "0 2 * *", "expected 5 fields, or 6 with seconds first, got 4 in \"0 2 * *\"" },
    { "0 2 * * * * *", "expected 5 fields, or 6 with seconds first, got 7" },
    { "0 x * * *", 'field 2 (hour): expected a cron field, got "x"' },
    { "0 0 * FOO *", 'field 4 (month): expected a cron field, got "FOO"' },
    { "0 0 0 * * FUN", 'field 6 (day of week): expected a cron field, got "FUN"' },
    { "@hourl", 'expected a cron expression, got "@hourl"; did you mean "@hourly"?' },
    { 5, "expected a cron expression, got 5" },
  }
  for _, row in ipairs(bad) do
    it("refuses " .. row[1], function()
      local ok, err = pcall(function() return (flow.cron(row[1])) end)
      assert.is_false(ok)
      assert.truthy(tostring(err):find("flow.cron: " .. row[2], 1, true), tostring(err))
    end)
  end

  it("checks its options", function()
    local s = flow.cron("0 2 * * *", { tz = "Asia/Shanghai", missed = "last", overlap = "queue",
      jitter = "5m" })
    assert.same({ "Asia/Shanghai", "last" }, { s.tz, s.missed })
    local rows = {
      { { tz = "Mars" },
        'flow.cron.tz: expected a time zone such as "UTC" or "Asia/Shanghai", got "Mars"' },
      { { mised = "all" }, 'flow.cron.mised: unknown option; did you mean "missed"?' },
      { { overlap = "skp" }, 'got "skp"; did you mean "skip"?' },
      { 5, "flow.cron: expected a table of options, got 5" },
    }
    for _, row in ipairs(rows) do
      local ok, err = pcall(function() return (flow.cron("@daily", row[1])) end)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(row[2], 1, true), tostring(err))
    end
  end)
end)

describe("flow.every", function()
  it("takes a count and a unit", function()
    local s = flow.every(2, "days", { at = "08:00", from = "2024-01-01" })
    assert.same({ "every", 2, "day", "08:00" }, { s.kind, s.count, s.unit, s.at })
    assert.same({ "06:00", "18:30:15" }, flow.every(1, "day", { at = { "06:00", "18:30:15" } }).at)
  end)

  it("refuses what is none", function()
    local rows = {
      { { 0, "day" }, "flow.every: expected a positive integer first, got 0" },
      { { 1, "dya" },
        'flow.every: expected "hour", "day", "week" or "month", got "dya"; did you mean "day"?' },
      { { 1, "day", { at = "25:00" } },
        'flow.every.at: expected a time of day such as "08:00", got "25:00"' },
      { { 1, "day", { an = 1 } }, "flow.every.an: unknown option" },
    }
    for _, row in ipairs(rows) do
      local ok, err = pcall(function() return (flow.every(unpack(row[1]))) end)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(row[2], 1, true), tostring(err))
    end
  end)
end)
