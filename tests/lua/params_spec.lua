-- Parameters of a flow: both forms of declaring them, texts and JSON for them.
local flow = require "flow"
local params = require "flow.params"

local function resolve(raw, texts, base)
  return params.resolve(assert(params.declare(raw)), "f", texts, base)
end

local function failure(...)
  local ok, message = pcall(resolve, ...)
  assert.is_false(ok)
  return message
end

describe("a parameter", function()
  it("has the type of its default", function()
    local raw = { s = "x", n = 3, b = true, l = { "a", "b" }, m = { a = 1 }, e = {}, z = flow.null }
    assert.same({ s = "7", n = 7, b = false, l = { 1 }, m = { c = 2 }, e = { d = 1 }, z = "any" },
      resolve(raw, { "s=7", "n=7", "b=false", "l=[1]", 'm={"c":2}', 'e={"d":1}', 'z="any"' }))
    assert.equal('parameter n: expected a number as JSON, got "x"', failure(raw, { "n=x" }))
    assert.equal("parameter b: expected true or false, got 1", failure(raw, { "b=1" }))
    assert.equal("parameter l: expected a list, got a map with the key a",
      failure(raw, { 'l={"a":1}' }))
    assert.same({}, resolve(raw, { "l=[]", "m= {}", "z={}" }).l)
    assert.equal('parameter l: expected a list as JSON, got "{}"', failure(raw, { "l={}" }))
    assert.equal('parameter m: expected a map as JSON, got " []"', failure(raw, { "m= []" }))
  end)

  it("is JSON where it says so, and may be a large integer", function()
    local raw = { s = "x", n = 3, any = { "any" } }
    assert.equal(7, resolve({ any = { "any", default = 1 } }, { "any:=7" }).any)
    assert.equal("7", resolve(raw, { 's:="7"' }).s)
    assert.equal("parameter s: expected a string, got 7", failure(raw, { "s:=7" }))
    assert.equal('parameter s: expected a string as JSON, got "x"', failure(raw, { "s:=x" }))
    assert.equal("9007199254740993LL", tostring(resolve(raw, { "n=9007199254740993" }).n))
  end)

  it("may be described", function()
    local raw = {
      n = { "integer", default = 3, min = 1, doc = "How many." },
        mode = { enum = { "a", "b" }, default = "a" },
      l = { "list", of = "integer", default = { 1 } }, r = { "string", required = true },
    }
    assert.same({ n = 3, mode = "b", l = { 1 }, r = "x=y" }, resolve(raw, { "r=x=y", "mode=b" }))
    assert.equal("parameter n: expected a positive integer, got 0", failure(raw, { "n=0", "r=x" }))
    assert.equal("parameter n: expected a positive integer, got 1.5",
      failure(raw, { "n=1.5", "r=x" }))
    assert.equal('parameter l[2]: expected an integer, got "x"',
      failure(raw, { 'l=[1,"x"]', "r=x" }))
    assert.equal('parameter mode: expected "a" or "b", got "c"', failure(raw, { "mode=c", "r=x" }))
    assert.equal("parameter r: expected a string, got nothing (give it with --param r=...)",
      failure(raw))
  end)

  it("that is a list is no description of one", function()
    assert.same({ l = { "Beijing", "Shanghai" } }, resolve { l = { "Beijing", "Shanghai" } })
    assert.same({ l = { "string", "integer" } }, resolve { l = { "string", "integer" } })
    assert.same({ l = { "integer" } }, resolve { l = flow.list { "integer" } })
    assert.same({ m = { default = 1 } }, resolve { m = { default = 1 } })
  end)

  it("comes from JSON, then from texts", function()
    assert.same({ a = 3, b = 2 }, resolve({ a = 1, b = 1 }, { "a=3" }, { a = 2, b = 2 }))
  end)

  it("that is unknown is told with those that are", function()
    assert.equal('regoin: unknown parameter of flow f; did you mean "region"?',
      failure({ region = "x" }, { "regoin=y" }))
    assert.equal("x: unknown parameter of flow f; it has a, b",
      failure({ a = 1, b = 2 }, nil, { x = 1 }))
    assert.equal("x: unknown parameter of flow f; it has none", failure(nil, { "x=1" }))
    assert.equal('expected --param name=value, got "x"', failure({ a = 1 }, { "x" }))
  end)
end)
