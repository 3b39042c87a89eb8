-- How a value stands in a message, and how a message is put together.
local fault = require "flow.fault"
local json = require "json"

describe("a value in a message", function()
  local rows = {
    { "two", '"two"' },
    { 'say "hi"', '"say \\"hi\\""' },
    { "a\nb\\c\0d", '"a\\nb\\\\c\\0d"' },
    { ("x"):rep(61), '"' .. ("x"):rep(57) .. '..."' },
    { ("x"):rep(60), '"' .. ("x"):rep(60) .. '"' },
    { 3, "3" }, { -0.5, "-0.5" }, { 1e14, "100000000000000" }, { 1e300, "1e+300" },
    { true, "true" },
    { {}, "an empty table" }, { { 1, 2 }, "a list of 2" }, { { k = 1 }, "a map with the key k" },
    { { f = 1, e = 2, d = 3, c = 4, b = 5, a = 6 }, "a map with the keys a, b, c, d, e, ..." },
    { setmetatable({ k = 1 }, {}), "a table" },
    { print, "a function" }, { coroutine.create(print), "a thread" }, { json.null, "null" },
  }
  for i, row in ipairs(rows) do
    it(("is told as %s (%d)"):format(row[2]:sub(1, 20), i), function()
      assert.equal(row[2], fault.describe(row[1]))
    end)
  end

  it("is told as nothing when there is none", function()
    assert.equal("nothing", fault.describe(nil))
    assert.equal('expected a list, got "x"', fault.expected("a list", "x"))
  end)
end)

describe("a fault", function()
  it("has a path only where there is one, and is no other table", function()
    assert.equal("f.a.env: no", tostring(fault.new(nil, "f.a.env", "no")))
    assert.equal("no", fault.new(nil, "", "no").message)
    assert.equal("no", fault.new(nil, nil, "no").message)
    assert.is_true(fault.is(fault.new(nil, nil, "no")))
    assert.is_false(fault.is { message = "no" })
    assert.is_false(fault.is "no")
  end)

  it("is raised as it is, without a place of ours before it", function()
    local ok, err = pcall(fault.raise, nil, "f.a", "no")
    assert.is_false(ok)
    assert.is_true(fault.is(err))
    assert.equal("f.a: no", err.message)
  end)
end)
