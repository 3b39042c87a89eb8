-- What the graph holds of a node: each option reaches its field, and nobody else's.
local core = require "flow.core.graph"
local known = require "flow.known"
local options = require "flow.options"
local row = require "flow.row"
local script = require "support.script"

-- The rows of the nodes of a flow of this body, by name; what a map's items are by "name[]".
local function rows_of(body, flow_options)
  local made, numbers = {}, {}
  local graph = { options = function(_, _, values)
    local by_name = {}
    for i, field in ipairs(core.options) do by_name[field] = values[i] end
    made[#made + 1] = by_name
    return #made
  end }
  assert(script.load(script.flow(body, flow_options), nil, function(loaded)
    local compiled = loaded.flows[1]
    local state = { options = compiled.options, rows = {}, pools = {},
      pool_index = function(name) return #name end }
    for i, node in ipairs(compiled.nodes) do
      local name = compiled.graph:name(i - 1)
      local set, inner = row.make(state, graph, known.node_type(node), node,
        compiled.hook_of[i])
      numbers[name], numbers[name .. "[]"] = set, inner
    end
  end))
  local rows = {}
  for name, number in pairs(numbers) do rows[name] = made[number] end
  return rows, numbers
end

-- A value of each option that is not the default, in a script, what the graph is to hold then, and
-- whose it is on a map.
local samples = {
  trigger = { '"one_failed"', core.triggers.one_failed, "node" },
  when = { '"{{ vars.go }}"', true, "node" },
  merge = { '"last"', core.merges.last, "node" },
  retries = { "7", 7, "item" },
  retry_delay = { '"2m"', 120000 },
  retry_backoff = { "2.5", 2.5 },
  retry_max_delay = { '"1h"', 3600000 },
  retry_jitter = { "0.25", 0.25 },
  retry_on = { "{ 3 }", true, "item" },
  max_lost = { "2", 2 },
  timeout = { '"90s"', 90000, "item" },
  deadline = { '"2h"', 7200000, "item" },
  grace = { '"1500ms"', 1500 },
  priority = { "-3", -3 },
  pool = { '"gpu"', 3, "item" },
  weight = { "4", 4, "item" },
  allow_failure = { "true", true, "node" },
  inline = { "true", core.kinds.inline },
}

describe("an option of a node", function()
  teardown(script.clean)

  it("reaches its field of the graph, and no other, and no other node", function()
    for _, spec in ipairs(options.node) do
      local sample = samples[spec.name]
      assert.equal(spec.row ~= nil, sample ~= nil, spec.name)
      if sample then
        local rows, numbers = rows_of(([[
          f.a = flow.lua { run = print }
          f.b = flow.lua { run = print, %s = %s }
          f.c = flow.lua { run = print }]]):format(spec.name, sample[1]))
        assert.equal(numbers.a, numbers.c, spec.name)
        assert.not_equal(numbers.a, numbers.b, spec.name)
        local expected = {}
        for field, v in pairs(rows.a) do expected[field] = v end
        assert.not_equal(expected[spec.row], sample[2], spec.name)
        expected[spec.row] = sample[2]
        assert.same(expected, rows.b, spec.name)
      end
    end
  end)

  it("comes from the flow's defaults where the node gives none", function()
    for name, sample in pairs(samples) do
      if not options.node[name].by_node then
        local rows = rows_of("f.a = flow.lua { run = print }",
          ("{ defaults = { %s = %s } }"):format(name, sample[1]))
        assert.equal(sample[2], rows.a[options.node[name].row], name)
      end
    end
  end)
end)

describe("a default of a flow", function()
  teardown(script.clean)

  it("is refused for what only one node can mean", function()
    for name, v in pairs { after = '"a"', when = "false", tags = "{}", doc = '"d"' } do
      local _, message = script.load(script.flow("f.a = flow.lua { run = print }",
        ("{ defaults = { %s = %s } }"):format(name, v)))
      assert.truthy((message or ""):find("cannot be a default", 1, true), name)
    end
  end)
end)

describe("a template", function()
  teardown(script.clean)

  it("that is none is found when the script is loaded, in each option that takes one", function()
    for _, case in ipairs {
      { "when", '"{{ 1 + }}"' }, { "env", '{ A = "{{ 1 + }}" }' }, { "cwd", '"{{ 1 + }}"' },
      { "stdin", '"{{ 1 + }}"' },
    } do
      local _, message = script.load(script.flow(('f.a = flow.shell { "x", %s = %s }')
        :format(case[1], case[2])))
      assert.truthy((message or ""):find("f.a." .. case[1], 1, true), case[1])
    end
  end)

  it("in an option that takes none is a text like any other", function()
    assert(script.load(script.flow 'f.a = flow.shell { "x", doc = "{{ 1 + }}" }'))
  end)
end)

describe("of a map", function()
  teardown(script.clean)

  local function map_with(more, inner)
    return rows_of(('f.m = flow.map { over = { 1, 2 }, %s %s }'):format(more,
      inner or "run = print"))
  end

  it("the options that are per item are those of its items, the others its own", function()
    local plain = map_with ""
    for _, spec in ipairs(options.node) do
      local sample = samples[spec.name]
      if sample then
        assert.equal(sample[3], spec.per, spec.name)
        local rows = map_with(("%s = %s,"):format(spec.name, sample[1]))
        if spec.per == "item" then
          assert.same(plain["m"], rows["m"], spec.name)
        elseif spec.row ~= "kind" then
          assert.equal(sample[2], rows["m"][spec.row], spec.name)
        end
        if spec.per == "node" then
          assert.same(plain["m[]"], rows["m[]"], spec.name)
        else
          assert.equal(sample[2], rows["m[]"][spec.row], spec.name)
        end
      end
    end
  end)

  it("an inner node's own options come before the map's", function()
    local rows = map_with("retries = 1, timeout = 1,", 'node = flow.shell { "x", retries = 5 }')
    assert.equal(5, rows["m[]"].retry_count_max)
    assert.equal(1000, rows["m[]"].timeout_ms)
    assert.equal(core.kinds.process, rows["m[]"].kind)
    assert.equal(core.kinds.map, rows["m"].kind)
  end)

  it("the limit is the map's", function()
    local rows = map_with "limit = 3,"
    assert.equal(3, rows["m"].map_limit)
    assert.equal(0, rows["m[]"].map_limit)
  end)
end)
