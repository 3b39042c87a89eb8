-- Builds the graph of a flow that has been checked (flow.check).
local check = require "flow.check"
local core = require "flow.core.graph"
local fault = require "flow.fault"
local known = require "flow.known"
local params = require "flow.params"
local registry = require "flow.registry"
local row = require "flow.row"
local schema = require "flow.schema"
local value = require "flow.value"

local build = {}

local type, next = type, next
local node_marks = known.node_marks
local each_after, after_name = check.each_after, check.after_name

-- ------------------------------------------------------------------------------------ graph

local function add_node(state, graph, name, node, hook)
  local ty = node_marks[getmetatable(node)].type
  local set, inner, problem = row.make(state, graph, ty, node, hook)
  if problem then return nil, { path = ".weight", message = schema.problem_text(problem) } end
  local index, err = graph:add(name, set)
  if inner then graph:inner(index, inner) end
  return index, err
end

local function add_nodes(state, graph)
  local names, nodes = state.names, state.nodes
  for i = 1, #nodes do
    local index, err = add_node(state, graph, names[i], nodes[i])
    if not index then
      local path = state.key .. "." .. names[i] .. (err.path or "")
      return fault.new(state.places[i], path, err.message)
    end
  end
  for _, hook in ipairs(check.hook_names) do
    local node = state.options[hook]
    if node then
      local where = registry.place_of(node) or state.place
      local index, err = add_node(state, graph, hook, node, hook)
      if not index then
        return fault.new(where, state.key .. "." .. hook .. (err.path or ""), err.message)
      end
      nodes[index + 1], state.places[index + 1] = node, where
      state.hook_of[index + 1] = hook
    end
  end
end

local function add_edges(state, graph, count)
  local nodes = state.nodes
  for i = 1, count do
    local after = nodes[i].after
    if type(after) == "string" then
      graph:after(i - 1, after)
    elseif after ~= nil then
      each_after(after, function(entry) graph:after(i - 1, (after_name(state, entry))) end)
    end
  end
end

local function cycle_fault(state, err)
  local name = err.message:match "cycle: ([%w_.-]+)"
  for i = 1, #state.nodes do
    if state.names[i] == name then
      return fault.new(state.places[i], state.key .. "." .. name .. ".after", err.message)
    end
  end
  return fault.new(state.place, state.key, err.message)
end

-- Pools are numbered as they are met: declared ones first, in order of name.
local function pool_table(state)
  local list, index = {}, {}
  local declared = {}
  for name in next, state.options.pools or {} do declared[#declared + 1] = name end
  table.sort(declared)
  local function add(name, capacity)
    list[#list + 1] = { name = name, capacity = capacity }
    index[name] = #list
    return #list
  end
  for _, name in ipairs(declared) do add(name, state.options.pools[name]) end
  state.pool_index = function(name) return index[name] or add(name, 1) end
  state.pools = list
  return list
end

local function milliseconds(v)
  return v ~= nil and math.floor(schema.duration(v) * 1000 + 0.5) or nil
end

local function info_of(state, pools)
  local given = state.options
  return {
    timeout_ms = milliseconds(given.timeout), max_runs = given.max_runs,
    max_depth = given.max_depth or 100,
    policy = given.on_failure_policy or "finish", pools = pools, durability = given.durability,
    vars_json = value.encode(given.vars or {}, state.key .. ".vars"), tz = given.tz,
    params_json = value.encode(params.defaults(state.params), state.key .. ".params"),
    has_adviser = given.on_breakpoint and 1 or 0,
    schedule = given.schedule, rules = state.rules, doc = given.doc, tags = given.tags,
  }
end

-- ------------------------------------------------------------------------------------ flows

-- What only building needs; a million names are worth letting go.
local function drop(state)
  for i = 1, #state.nodes do
    if state.nodes[i].after ~= nil then state.nodes[i].after = nil end
  end
  state.names, state.by_name, state.name_of, state.rows, state.faults = nil, nil, nil, nil, {}
  state.visit, state.doubts, state.told, state.pools, state.subject = nil, nil, nil, nil, nil
  state.found, state.sight, state.missed = nil, nil, nil
end

--- Builds a flow that has been checked. Returns the compiled flow, or nil and a fault.
---@param state flow.State
---@return table? compiled
---@return flow.Fault? problem
function build.flow(state)
  if state.built then return state.built end
  local graph, count = core.new(), #state.nodes
  state.rows, state.hook_of = {}, {}
  local pools = pool_table(state)
  local problem = add_nodes(state, graph)
  if problem then return nil, problem end
  add_edges(state, graph, count)
  local ok, err = graph:freeze()
  if not ok then return nil, cycle_fault(state, err) end
  local built = {
    key = state.key, graph = graph, info = info_of(state, pools), nodes = state.nodes,
    places = state.places, hook_of = state.hook_of, defaults = state.options.defaults or {},
    params = state.params, options = state.options, object = state.object,
    language = state.language,
  }
  drop(state)
  state.built = built
  return built
end

return build
