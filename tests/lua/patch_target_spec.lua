-- What the names of a patch stand for in a flow.
local host = require "flow.host"
local json = require "json"
local script = require "support.script"

-- Nodes by their indexes: a 0, b 1, m (a map) 2, c (a call) 3.
local text = [[
local flow = require "flow"
local g = flow.dag "g"
g.x = flow.shell "true"
local f = flow.dag("f", { params = { n = 1 } })
f.a = flow.shell "true"
f.b = flow.shell { "true", after = "a" }
f.m = flow.map { over = { 1, 2 }, node = flow.shell "true" }
f.c = flow.call { g }
return f
]]

-- What a patch comes to: made, split and resolved, as C has it done.
local function resolve(patch, former)
  local found, own, wakes
  assert(script.load(text, nil, function(loaded)
    local flow = loaded.flows[1]
    local _
    _, own, wakes = host.make_patch(flow, json.encode { patch = patch }, true)
    found = json.decode((host.resolve_patch(flow, own, former or { "a", "b", "m", "c" })))
  end))
  return found, json.decode(own), wakes
end

describe("the names of a patch", function()
  teardown(script.clean)

  it("are nodes by their place, and items of maps behind them", function()
    local found = resolve { skip = { "b", "m[2]" }, rerun = { "m[7]" },
      outputs = { a = { x = 1 } } }
    assert.same({ { 2, 2 }, { 2, 7 } }, found.items)
    assert.same({ 1, 4 }, found.skip)
    assert.same({ 5 }, found.rerun)
    assert.same({ a = 0 }, found.targets)
  end)

  it("stand for one item each, however often they are said", function()
    local found = resolve { succeed = { ["m[1]"] = 3 }, checkpoints = { ["m[1]"] = 4 } }
    assert.same({ { 2, 1 } }, found.items)
    assert.same({ ["m[1]"] = 4 }, found.targets)
  end)

  it("take along what depends on them with a +, but not what is named itself", function()
    local found = resolve { rerun = { "a+", "m[1]+" }, skip = { "b" } }
    assert.same({ 0, 4 }, found.rerun)
    assert.same({ 0 }, found.below)
    assert.same({ 2 }, found.behind)
    assert.same({ 1, 2 }, found.named)
  end)

  it("may be all nodes where a result is kept", function()
    local found = resolve { keep = { "*" } }
    assert.is_true(found.keep_all)
    assert.is_nil(found.keep)
    assert.same({ "*" }, found.rest.keep)
  end)

  it("of sub-flows are theirs, with what is said of all", function()
    local found = resolve { rerun = { "c/x" }, reason = "why", keep = { "*", "a" } }
    local part = { rerun = { "x" }, reason = "why", keep = { "*" } }
    assert.same({ { at = 3, name = "c", patch = part, own = part } }, found.parts)
    assert.same({ reason = "why", keep = { "*" } }, found.rest)
    assert.same({ 3 }, found.named)
  end)

  it("are checked first", function()
    local ok, message = pcall(resolve, { skip = { "bb" } })
    assert.is_false(ok)
    assert.truthy(message:find('patch.skip[1]: flow "f" has no node "bb"', 1, true), message)
  end)
end)

describe("a patch that is made", function()
  teardown(script.clean)

  it("says whether a run that has succeeded goes on for it", function()
    for _, row in ipairs { { { rerun = { "a" } }, true }, { { rerun = {} }, false },
      { { vars = { x = 1 } }, false }, { { outputs = { a = { x = 1 } } }, true } } do
      local _, _, wakes = resolve(row[1])
      assert.equal(row[2], wakes, json.encode(row[1]))
    end
  end)

  it("is left to the script that it names", function()
    assert(script.load(text, nil, function(loaded)
      local flow = loaded.flows[1]
      local from_file = { file = "p.json", file_text = '{"script":"new.lua"}' }
      for _, request in ipairs { { patch = { script = "new.lua" } }, from_file,
        { patch = { script = "old.lua" }, script = "new.lua" } } do
        local made, path = host.make_patch(flow, json.encode(request), false)
        assert.same({ false, "new.lua" }, { made, path })
        assert.is_string((host.make_patch(flow, json.encode(request), true)))
      end
    end))
  end)

  it("gives the params from here on", function()
    assert(script.load(text, nil, function(loaded)
      local flow = loaded.flows[1]
      local _, own = host.make_patch(flow, json.encode { params = { "n=5" } }, false)
      local _, params = host.resolve_patch(flow, own, {}, '{"gone":1}')
      assert.equal('{"n":5}', params)
      _, params = host.resolve_patch(flow, own, {})
      assert.is_nil(params)
    end))
  end)
end)
