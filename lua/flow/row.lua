-- What the graph holds of a node's options: a value for each of its fields, made as the rows of
-- flow.options say, for which the graph gives a number.
local core = require "flow.core.graph"
local known = require "flow.known"
local options = require "flow.options"
local schema = require "flow.schema"

local row = {}

local spec_of = {} -- field of the graph -> the option that it is made from
local field_of = {} -- name of an option of every node -> field
for _, list in ipairs { options.node, options.map } do
  for _, spec in ipairs(list) do
    if spec.row then spec_of[spec.row] = spec end
    if list == options.node then field_of[spec.name] = spec.row end
  end
end

local fields, is_field = core.options, {}
for _, field in ipairs(fields) do
  is_field[field] = true
  -- `hook` is what the flow uses the node as.
  assert(spec_of[field] or field == "hook", "no option has the field of the graph " .. field)
end
for field in next, spec_of do assert(is_field[field], "the graph has no field " .. field) end

local plain = {} -- stands for a node without options of its own, and a flow without defaults

-- The value of an option: the node's, else of the map around it, else the flow's default, else the
-- language's. `part`: "node" for the row of a map itself, "item" for that of its items.
local function pick(spec, part, node, outer, defaults)
  local name = spec.name
  local foreign = part and spec.per and spec.per ~= part
  if foreign and part == "node" then return spec.default end
  local v = node[name]
  if v == nil and not foreign then
    if outer then v = outer[name] end
    if v == nil then v = defaults[name] end
  end
  if v == nil then v = spec.default end
  return v
end

local function ms(v)
  local seconds = v ~= nil and schema.duration(v) or 0
  return seconds > 0 and math.max(1, math.floor(seconds * 1000 + 0.5)) or 0
end

-- What the graph takes for the value of an option, by its field: (value, state, type, kind); where
-- none stands here, the value as it is.
local convert = {
  hook = function(v) return core.hooks[v] end,
  trigger = function(v) return core.triggers[v] end,
  merge = function(v) return core.merges[type(v) == "function" and "function" or v] end,
  has_when = function(v) return v ~= nil end,
  has_retry_on = function(v) return v ~= nil end,
  pool = function(v, state) return v and state.pool_index(v) or 0 end,
  map_limit = function(v) return v or 0 end,
  kind = function(v, _, ty, kind)
    if ty.inline ~= nil then v = ty.inline end
    return core.kinds[kind == "worker" and v and "inline" or kind]
  end,
}
for field, spec in next, spec_of do
  if spec.types[1] == "duration" then
    local default = ms(spec.default)
    convert[field] = function(v) return v == spec.default and default or ms(v) end
  end
end

-- What is wrong when a node would never fit into its pool, nil when it does.
local function weigh(state, values)
  local pool = state.language ~= 0 and state.pools[values.pool] -- one of before runs alone
  if not pool or values.weight <= pool.capacity then return nil end
  return { path = "weight", expected = ("at most %d, the capacity of pool '%s'")
    :format(pool.capacity, pool.name), got = values.weight }
end

-- The number of the row of a node, or of a part of a map (see pick()), and a problem when it cannot
-- run.
local function add_row(state, graph, ty, part, node, outer, hook)
  local defaults = state.options.defaults or plain
  local kind = ty.kind
  if part == "item" and kind == "map" then kind = ty.hooks.command and "process" or "worker" end
  local values, named = {}, {}
  for i = 1, #fields do
    local field = fields[i]
    local to, v = convert[field], hook or "none"
    if field ~= "hook" then v = pick(spec_of[field], part, node, outer, defaults) end
    if to then v = to(v, state, ty, kind) end
    values[i] = v
    if field == "pool" or field == "weight" then named[field] = v end
  end
  return graph:options(ty.name, values), weigh(state, named)
end

--- The node and type that the items of map `node` execute.
function row.item(ty, node)
  local inner = ty.node_param and node[ty.node_param]
  if inner then return inner, known.node_type(inner) end
  return node, ty
end

local function has_own(node)
  for key in next, node do
    if field_of[key] and key ~= "inline" then return true end
  end
  return false
end

--- The number of a node's options in `graph`, and for a map that of its items'. Nodes without
--- options of their own share one.
---@param state flow.State
---@param ty flow.Type
---@param node table
---@param hook string?
---@return integer set
---@return integer? inner
---@return table? problem it cannot run with these
function row.make(state, graph, ty, node, hook)
  if ty.kind == "map" then
    local inner, inner_type = row.item(ty, node)
    local set = add_row(state, graph, ty, "node", node, nil, hook)
    local items, problem =
      add_row(state, graph, inner_type, "item", inner == node and plain or inner, node)
    return set, items, problem
  end
  if hook or has_own(node) then
    local set, problem = add_row(state, graph, ty, nil, node, nil, hook)
    return set, nil, problem
  end
  local shared, which = state.rows[ty], node.inline == nil and "default" or node.inline
  if not shared then
    shared = {}
    state.rows[ty] = shared
  end
  if not shared[which] then
    local set, problem = add_row(state, graph, ty, nil, node)
    if problem then return set, nil, problem end
    shared[which] = set
  end
  return shared[which]
end

return row
