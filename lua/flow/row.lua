-- What the graph holds of a node's options: a row of values in the order of graph:options, for
-- which the graph gives a number.
local core = require "flow.core.graph"
local known = require "flow.known"
local options = require "flow.options"
local schema = require "flow.schema"

local row = {}

local in_graph = options.in_graph
local WHEN, RETRY_ON, ALLOW_FAILURE = 1, 2, 4

local function ms(v)
  local seconds = v ~= nil and schema.duration(v) or 0
  return seconds > 0 and math.max(1, math.floor(seconds * 1000 + 0.5)) or 0
end

-- The value of option `name`: the node's, else of the map around it, else the flow's default, else
-- the language's.
local function pick(name, node, outer, defaults)
  local v = node[name]
  if v == nil and outer then v = outer[name] end
  if v == nil then v = defaults[name] end
  if v == nil then v = options.node[name].default end
  return v
end

local function kind_of(ty, node, outer, defaults)
  local kind = ty.kind
  if kind ~= "worker" or ty.inline == false then return kind end
  if ty.inline or pick("inline", node, outer, defaults) then return "inline" end
  return kind
end

local function flags_of(node, outer, defaults)
  local flags = 0
  if node.when ~= nil then flags = flags + WHEN end
  if pick("retry_on", node, outer, defaults) ~= nil then flags = flags + RETRY_ON end
  local allow = node.allow_failure
  if allow == nil then allow = not outer and defaults.allow_failure end
  return flags + (allow and ALLOW_FAILURE or 0)
end

local function merge_of(node, defaults)
  local merge = pick("merge", node, nil, defaults)
  return core.merges[type(merge) == "function" and "function" or merge]
end

local function fill(kind, node, outer, defaults, hook, pool)
  return {
    core.kinds[kind],
    core.triggers[outer and "all_success" or pick("trigger", node, nil, defaults)],
    outer and core.merges.error or merge_of(node, defaults),
    core.hooks[hook or "none"],
    flags_of(node, outer, defaults),
    pick("priority", node, outer, defaults),
    pick("retries", node, outer, defaults),
    pick("max_lost", node, outer, defaults),
    ms(pick("retry_delay", node, outer, defaults)),
    pick("retry_backoff", node, outer, defaults),
    ms(pick("retry_max_delay", node, outer, defaults)),
    pick("retry_jitter", node, outer, defaults),
    ms(pick("timeout", node, outer, defaults)),
    ms(pick("deadline", node, outer, defaults)),
    ms(pick("grace", node, outer, defaults)),
    pool,
    pick("weight", node, outer, defaults),
    0,
  }
end

local RETRIES, TIMEOUT, DEADLINE, POOL, WEIGHT, LIMIT, FLAGS = 7, 13, 14, 16, 17, 18, 5

local function pool_of(state, node, outer)
  local name = pick("pool", node, outer, state.options.defaults or {})
  return name and state.pool_index(name) or 0
end

local plain = {} -- stands for a node without options of its own

-- A map expands once, on the loop; how its instances are tried is their row's business.
local function fill_map(node, defaults, hook)
  local values = fill("map", node, nil, defaults, hook, 0)
  values[RETRIES], values[TIMEOUT], values[DEADLINE] = 0, 0, 0
  values[POOL], values[WEIGHT], values[LIMIT] = 0, 1, node.limit or 0
  if values[FLAGS] % 4 >= RETRY_ON then values[FLAGS] = values[FLAGS] - RETRY_ON end
  return values
end

-- The node and type that the instances of map `node` execute.
function row.instance(ty, node)
  local inner = ty.node_param and node[ty.node_param]
  if inner then return inner, known.node_type(inner) end
  return node, ty
end

local function fill_instance(state, ty, node, defaults)
  local inner, inner_type = row.instance(ty, node)
  if inner ~= node then
    return fill(kind_of(inner_type, inner, node, defaults), inner, node, defaults, nil,
      pool_of(state, inner, node))
  end
  -- `allow_failure`, `when` and `merge` are the map's own.
  local kind = ty.hooks.command and "process" or "worker"
  if kind == "worker" and ty.inline ~= false
    and (ty.inline or pick("inline", node, nil, defaults)) then
    kind = "inline"
  end
  local values = fill(kind, plain, node, defaults, nil, pool_of(state, node))
  return values
end

local function has_own(node)
  for key in next, node do
    if in_graph[key] and key ~= "inline" then return true end
  end
  return false
end

local function number_of(graph, name, values)
  return graph:options(name, unpack(values, 1, LIMIT))
end

local function make_map(state, graph, ty, node, hook)
  local defaults = state.options.defaults or plain
  local _, inner_type = row.instance(ty, node)
  return number_of(graph, ty.name, fill_map(node, defaults, hook)),
    number_of(graph, inner_type.name, fill_instance(state, ty, node, defaults))
end

--- The number of a node's options in `graph`, and for a map that of its instances'. Nodes without
--- options of their own share one.
---@param state flow.State
---@param ty flow.Type
---@param node table
---@param hook string?
---@return integer set
---@return integer? inner
function row.make(state, graph, ty, node, hook)
  if ty.kind == "map" then return make_map(state, graph, ty, node, hook) end
  local shared, which
  if not hook and not has_own(node) then
    shared = state.rows[ty]
    if not shared then
      shared = {}
      state.rows[ty] = shared
    end
    which = node.inline == nil and "default" or node.inline
    if shared[which] then return shared[which] end
  end
  local defaults = state.options.defaults or plain
  local set = number_of(graph, ty.name, fill(kind_of(ty, node, nil, defaults), node, nil, defaults,
    hook, pool_of(state, node)))
  if shared then shared[which] = set end
  return set
end

return row
