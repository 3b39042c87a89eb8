-- Tests the module json: text that other programs read, and the text of values.
local json = require "json"

describe("json.encode", function()
  it("writes canonical text", function()
    local value = { c = true, b = {}, a = { 1, 2.5, "x" } }
    assert.equal('{"a":[1,2.5,"x"],"b":{},"c":true}', json.encode(value))
    assert.equal("[]", json.encode(json.list()))
    assert.equal("[null]", json.encode { json.null })
    assert.equal("null", json.encode(nil))
    assert.equal('"\\u0000"', json.encode "\0")
    assert.equal("9007199254740993", json.encode(9007199254740993LL))
  end)

  it("leaves dollar keys alone", function()
    assert.equal('{"$set":{"$inc":1}}', json.encode { ["$set"] = { ["$inc"] = 1 } })
  end)

  it("indents when asked", function()
    local text = json.encode({ a = { 1, {}, { b = '{"[,:' } }, c = json.list() }, { pretty = true })
    assert.equal([=[{
  "a": [
    1,
    {},
    {
      "b": "{\"[,:"
    }
  ],
  "c": []
}]=], text)
    assert.equal("{}", json.encode({}, { pretty = true }))
    assert.equal("1", json.encode(1, { pretty = true }))
    assert.same(json.decode(text), json.decode(json.encode(json.decode(text))))
  end)

  it("raises for what JSON cannot hold, with its path", function()
    local rows = {
      { { a = { print } }, nil, "json.encode: value.a%[1%]: a function" },
      { "\255", nil, "no UTF%-8 text" },
      { {}, { prety = true }, "unknown option 'prety' %(did you mean 'pretty'%?%)" },
      { {}, { pretty = 1 }, "pretty: expected a boolean, got number" },
    }
    for _, row in ipairs(rows) do
      assert.error_matches(function() json.encode(row[1], row[2]) end, row[3])
    end
    assert.error_matches(function() json.encode() end, "value expected")
  end)
end)

describe("json.decode", function()
  it("reads text", function()
    local v = json.decode '{"a":[1,null,"\\u00e9"],"b":{"c":false}}'
    assert.equal(1, v.a[1])
    assert.equal(json.null, v.a[2])
    assert.equal("\195\169", v.a[3])
    assert.is_false(v.b.c)
    assert.is_nil(json.decode "null")
    assert.equal("[]", json.encode(json.decode "[]"))
  end)

  it("answers nil and an error for what is no JSON", function()
    local v, err = json.decode "[1,"
    assert.is_nil(v)
    assert.equal("usage", err.code)
    local expected = "not valid JSON: the text ends where a value should be at line 1, column 4"
    assert.equal(expected, tostring(err))
    assert.equal("limit", select(2, json.decode(("["):rep(65) .. ("]"):rep(65))).code)
  end)

  it("raises for an argument that is no text", function()
    assert.error_matches(function() json.decode() end, "text: expected a string, got nothing")
    assert.error_matches(function() json.decode {} end, "text: expected a string, got table")
  end)
end)

describe("json.encode_value", function()
  it("keeps bytes and dollar keys", function()
    local values = {
      "\255\0", { ["$bytes"] = "AA==" }, { ["$$x"] = { "\254" } }, { a = json.list() },
    }
    for _, v in ipairs(values) do
      local text = assert(json.encode_value(v))
      local back = assert(json.decode_value(text))
      assert.same(v, back)
      assert.equal(text, json.encode_value(back))
    end
  end)

  it("answers nil and an error with the path", function()
    local text, err = json.encode_value({ orders = { { when = print } } }, "outputs")
    assert.is_nil(text)
    assert.equal("outputs.orders[1].when: a function cannot be stored", tostring(err))
    assert.equal("limit", select(2, json.encode_value(("x"):rep(17 * 2 ^ 20))).code)
  end)
end)
