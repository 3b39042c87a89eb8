-- What C calls while flows run, by name. `flow` is a compiled flow of the script, `node` an index
-- of its graph (from 0), `inner` true for an item of the map `node`.
local definition = require "flow.definition"
local params = require "flow.params"
local place = require "flow.place"
local value = require "flow.value"

local host = {}

local parts = { require "flow.host.run", require "flow.host.decide", require "flow.host.patch" }
for _, part in ipairs(parts) do
  for name, fn in next, part do host[name] = fn end
end

--- The params of a run as JSON, from "k=v" texts and a JSON object. Raises a string.
---@param texts string[]?
---@param json string?
function host.params(flow, texts, json)
  local base
  if json ~= nil then
    base = value.decode(json)
    if type(base) ~= "table" or value.is_list(base) then
      error("params: expected a JSON object", 0)
    end
  end
  return value.encode(params.resolve(flow.params, flow.key, texts, base), "params")
end

--- What a node does, as one text: equal for equal definitions.
function host.definition(flow, node) return definition.text(flow, node) end

--- The same option by option, as JSON.
function host.definition_parts(flow, node)
  return value.encode(definition.parts(flow, node), "definition")
end

--- Names and types of the nodes, for drawing.
function host.draw(flow)
  local graph = flow.graph
  local list = {}
  for i = 0, graph:count() - 1 do list[i + 1] = { name = graph:name(i), type = graph:type(i) } end
  return list
end

--- What a flow is for, which params it takes and which pools its nodes take from, in order of name,
--- as JSON: for people.
function host.describe(flow)
  local list = {}
  for i, spec in ipairs(flow.params) do
    list[i] = { name = spec.name, type = table.concat(spec.types, " or "), default = spec.default,
      required = spec.required or false, doc = spec.doc, min = spec.min, max = spec.max,
      enum = spec.enum and value.list(spec.enum) }
  end
  local pools = {}
  for i, pool in ipairs(flow.info.pools) do pools[i] = pool.name end
  table.sort(pools)
  return value.encode({ flow = flow.key, doc = flow.info.doc, params = value.list(list),
    pools = value.list(pools) }, "flow")
end

--- Where a node is written, "file:line".
function host.place(flow, node) return place.show(flow.places[node + 1]) end

return host
