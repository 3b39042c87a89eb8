-- Types of options, their bounds and how they are told.
local schema = require "flow.schema"
local core = require "flow.core.suggest"

describe("a duration", function()
  local rows = {
    { 1.5, 1.5 }, { 0, 0 }, { "10", 10 }, { "1.5", 1.5 }, { "500ms", 0.5 }, { "10s", 10 },
      { "5m", 300 },
    { "2h", 7200 }, { "1d", 86400 }, { "1h30m", 5400 }, { "1.5h", 5400 }, { "1m30s500ms", 90.5 },
    { -1, nil }, { "", nil }, { "s", nil }, { "1x", nil }, { "30m1h", nil }, { "1h1h", nil },
      { "1 h", nil },
    { "-5s", nil }, { 1 / 0, nil }, { 0 / 0, nil }, { {}, nil }, { "1e3", nil }, { "h1", nil },
  }
  for _, row in ipairs(rows) do
    it(("%s is %s"):format(tostring(row[1]), tostring(row[2])), function()
      assert.equal(row[2], schema.duration(row[1]))
    end)
  end
end)

describe("a size", function()
  local rows = {
    { 0, 0 }, { 4096, 4096 }, { "4096", 4096 }, { "64K", 65536 }, { "1M", 1048576 },
      { "2G", 2 ^ 31 },
    { "1.5k", 1536 }, { "1T", 2 ^ 40 },
    { -1, nil }, { 1.5, nil }, { "12Q", nil }, { "K", nil }, { "", nil }, { "1KB", nil },
      { 2 ^ 53, nil },
  }
  for _, row in ipairs(rows) do
    it(("%s is %s"):format(tostring(row[1]), tostring(row[2])), function()
      assert.equal(row[2], schema.size(row[1]))
    end)
  end
end)

describe("what a spec accepts, in words:", function()
  local rows = {
    { "string", "a string" },
    { { "integer" }, "an integer" },
    { { "integer", min = 0 }, "a non-negative integer" },
    { { "integer", min = 1 }, "a positive integer" },
    { { "integer", min = 2 }, "an integer of at least 2" },
    { { "number", max = 2 }, "a number of at most 2" },
    { { "number", min = 0, max = 1 }, "a number from 0 to 1" },
    { { enum = { "a", "b", "c" } }, '"a", "b" or "c"' },
    { { "list", of = "string" }, "a list of strings" },
    { { "map", of = { "integer", min = 1 } }, "a map of positive integers" },
    { "function|string|list", "a function, a string or a list" },
  }
  for _, row in ipairs(rows) do
    it(row[2], function() assert.equal(row[2], schema.expected(assert(schema.spec(row[1])))) end)
  end
end)

describe("a check", function()
  local function check(raw, v)
    local ok, result = schema.check(assert(schema.spec(raw)), v)
    if ok then return result end
    return (result.path or "") .. ": " .. schema.problem_text(result)
  end

  it("gives durations in seconds and sizes in bytes", function()
    assert.equal(300, check("duration", "5m"))
    assert.equal(65536, check("size", "64K"))
  end)

  it("names the place in a nested value, the first in order of keys", function()
    local raw = { "map", of = { "list", of = "integer" } }
    assert.equal('.a[2]: expected an integer, got "x"', check(raw, { b = { "y" }, a = { 1, "x" } }))
  end)

  it("leaves the table that it was given as it is", function()
    local given = { "1m", "2m" }
    assert.same({ 60, 120 }, check({ "list", of = "duration" }, given))
    assert.same({ "1m", "2m" }, given)
  end)

  it("takes an empty table for a list and for a map", function()
    assert.same({}, check("list", {}))
    assert.same({}, check("map", {}))
  end)

  it("tells lists from maps", function()
    assert.equal(": expected a list, got a map with the key a", check("list", { a = 1 }))
    assert.equal(": expected a map, got a list of 1", check("map", { 1 }))
    assert.equal(": expected a list, got a list of 1", check("list", { 1, x = 2 }))
  end)

  it("suggests the nearest word", function()
    assert.equal(': expected "finish" or "stop", got "finsh"; did you mean "finish"?',
      check({ enum = { "finish", "stop" } }, "finsh"))
  end)

  it("refuses numbers that are none", function()
    assert.equal(": expected a number, got nan", (check("number", 0 / 0):gsub("-nan", "nan")))
    assert.equal(": expected an integer, got 1.5", check("integer", 1.5))
  end)
end)

describe("a spec", function()
  local rows = {
    { "of an unknown type", { "integre" }, 'unknown type "integre"; did you mean "integer"?' },
    { "with an unknown field", { "integer", mni = 1 }, 'unknown field; did you mean "min"?',
      "mni" },
    { "with a default that it refuses itself", { "integer", min = 1, default = 0 },
      "expected a positive integer, got 0", "default" },
    { "without words", { "enum" }, "expected a list of words", "enum" },
    { "with a bound that is no number", { "integer", min = "1" }, 'expected a number, got "1"',
      "min" },
    { "that is no table", 5, 'expected a type such as "string" or { "string" }, got 5' },
    { "of elements that are none", { "list", of = "x" }, 'unknown type "x"', "of" },
  }
  for _, row in ipairs(rows) do
    it(row[1] .. " is refused", function()
      local spec, problem, field = schema.spec(row[2])
      assert.is_nil(spec)
      assert.equal(row[3], problem)
      assert.equal(row[4], field)
    end)
  end
end)

describe("a suggestion", function()
  local words = { "retries", "retry_on", "timeout", "after", "env", "cwd" }
  local rows = {
    { "retires", "retries" }, { "timout", "timeout" }, { "Timeout", "timeout" },
      { "afterr", "after" },
    { "enw", "env" }, { "x", nil }, { "zzzz", nil }, { "after", nil }, { "rtries", "retries" },
  }
  for _, row in ipairs(rows) do
    it(("for %s is %s"):format(row[1], tostring(row[2])), function()
      assert.equal(row[2], core.nearest(row[1], words))
    end)
  end
end)
