-- Tests the module time; the clocks only for what cannot change.
local time = require "time"

describe("time", function()
  it("has clocks", function()
    assert.is_true(time.now() > 1600000000)
    local before = time.monotonic()
    time.sleep(0)
    time.sleep "1ms"
    assert.is_true(time.monotonic() >= before + 0.001)
  end)

  it("formats", function()
    local t = 1709164800.1239
    assert.equal("2024-02-29T00:00:00.124Z", time.format(t))
    assert.equal("2024-02-29 00:00 Thu", time.format(t, "%Y-%m-%d %H:%M %a"))
    assert.equal("1969-12-31", time.format(-1, "%Y-%m-%d", "UTC"))
    assert.equal("", time.format(t, ""))
    assert.equal("2024-02-29", time.date(t))
    assert.equal("290224", time.date(t, "%d%m%y"))
    assert.matches("^20%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d[+-]%d%d%d%d$", time.format(t, nil, "local"))
  end)

  it("parses", function()
    assert.equal(1709164800.5, time.parse "2024-02-29T00:00:00.5Z")
    assert.equal(1709164800, time.parse "2024-02-29T08:00:00+08:00")
    assert.equal(1709164800, time.parse "2024-02-29")
    local t, err = time.parse "yesterday"
    assert.is_nil(t)
    assert.equal("usage", err.code)
    assert.equal('expected a time like 2026-01-31T23:59:59Z or 2026-01-31, got "yesterday"',
      tostring(err))
    assert.is_nil((time.parse "2024-02-29\0"))
  end)

  it("knows durations", function()
    assert.equal(300, time.duration "5m")
    assert.equal(0.5, time.duration "500ms")
    assert.equal(2.5, time.duration(2.5))
    assert.equal(5400, time.duration "1h30m")
    local d, err = time.duration "soon"
    assert.is_nil(d)
    assert.matches('got "soon"', tostring(err))
  end)

  it("raises for wrong use", function()
    assert.error_matches(function() time.format "x" end,
      "time.format: t: expected a number, got string")
    assert.error_matches(function() time.format(1e300) end, "expected seconds since 1970")
    assert.error_matches(function() time.format(0, "%Y", "Mars") end,
      'zone: expected "UTC" or "local", got "Mars"')
    assert.error_matches(function() time.sleep(-1) end, "not negative")
    assert.error_matches(function() time.sleep "soon" end, "expected a duration")
    assert.error_matches(function() time.duration {} end,
      "time.duration: expected a number of seconds")
    assert.error_matches(function() time.format(0, ("%Y"):rep(1000)) end, "longer than")
  end)
end)
