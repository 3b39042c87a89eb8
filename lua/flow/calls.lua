-- Calls between flows, as far as they are known when a script is loaded: which flows it has by
-- them, and what is wrong with them.
local check = require "flow.check"
local fault = require "flow.fault"
local known = require "flow.known"
local registry = require "flow.registry"
local render = require "flow.render"
local schema = require "flow.schema"
local suggest = require "flow.suggest"
local template = require "flow.template"
local value = require "flow.value"

local calls = {}

--- Flows that the returned ones call as objects are flows of the script as well.
---@param states table[] the new ones are added
function calls.add_flows(states)
  local is_there = {}
  for _, state in ipairs(states) do is_there[state] = true end
  local function look(options)
    local ty = known.node_type(options)
    for _, spec in ipairs(ty and ty.params or {}) do
      local v = render.raw(spec, options)
      if known.is_flow(v) and not is_there[known.flows[v]] then
        is_there[known.flows[v]] = true
        states[#states + 1] = known.flows[v]
      elseif known.node_type(v) then
        look(v)
      end
    end
  end
  local at = 1
  while states[at] do
    for _, options in ipairs(states[at].nodes) do
      local ty = known.node_type(options)
      if ty.kind == "call" or ty.node_param then look(options) end
    end
    for _, hook in ipairs(check.hook_names) do
      if known.node_type(states[at].options[hook]) then look(states[at].options[hook]) end
    end
    at = at + 1
  end
end

-- ------------------------------------------------------------------------------------ each

-- What is wrong with the params that a call gives, as far as they stand there.
local function check_call_params(called, given, tell)
  local names = {}
  for i, spec in ipairs(called.params) do names[i] = spec.name end
  for _, name in ipairs(names) do
    local spec = called.params[name]
    if spec.required and spec.default == nil and (given == nil or given[name] == nil) then
      tell("." .. name, ("expected %s, got nothing: flow %s requires it")
        :format(schema.expected(spec), called.key))
    end
  end
  for name, v in next, given or {} do
    local spec = called.params[name]
    if not spec then
      local hint = suggest.hint(name, names)
      if hint == "" then
        hint = names[1] and "; it has " .. table.concat(names, ", ") or "; it has none"
      end
      tell("." .. tostring(name), ("flow %s has no such param%s"):format(called.key, hint))
    elseif not value.text(v) or not template.is(value.text(v)) then
      local ok, problem = schema.check(spec, v)
      if not ok and type(v) ~= "table" then
        tell("." .. name .. (problem.path or ""), schema.problem_text(problem))
      end
    end
  end
end

-- Calls of flows that the script does not have, or with params that those do not have.
local function check_each(states, by_key, faults)
  local keys = {}
  for i, state in ipairs(states) do
    keys[i] = state.key
  end
  local function look(state, name, node, where)
    local ty = known.node_type(node)
    if ty.node_param and known.node_type(node[ty.node_param]) then
      local inner = node[ty.node_param]
      look(state, name .. "." .. ty.node_param, inner, registry.place_of(inner) or where)
    end
    local target = ty.kind == "call" and ty.checks.flow and render.raw(ty.checks.flow, node)
    if known.is_flow(target) then target = known.flows[target].key end
    if type(target) ~= "string" or template.is(target) then return end
    local function tell(path, text)
      faults[#faults + 1] = fault.new(where, ("%s.%s.%s"):format(state.key, name, path), text)
    end
    local called = by_key[target]
    if not called then
      return tell("flow", ("unknown flow %s%s"):format(fault.describe(target),
        suggest.hint(target, keys)))
    end
    local given = node.params
    if called.params and (given == nil or type(given) == "table") and state.language >= 2 then
      check_call_params(called, given, function(path, text) tell("params" .. path, text) end)
    end
  end
  for _, state in ipairs(states) do
    for i, node in ipairs(state.nodes) do look(state, state.names[i], node, state.places[i]) end
    for _, hook in ipairs(check.hook_names) do
      local node = state.options[hook]
      if known.node_type(node) then look(state, hook, node, registry.place_of(node)) end
    end
  end
end

-- ------------------------------------------------------------------------------------ together

-- The calls of a flow whose target is known, those that a map makes included.
local function calls_of(state, by_key)
  local found = {}
  local function look(node, name, where, outer)
    local ty = known.node_type(node)
    local target = ty.kind == "call" and ty.checks.flow and render.raw(ty.checks.flow, node)
    if known.is_flow(target) then target = known.flows[target].key end
    if by_key[target] then
      found[#found + 1] = { node = node, outer = outer, name = name, where = where,
        called = by_key[target] }
    end
    local inner = ty.node_param and node[ty.node_param]
    if known.node_type(inner) then
      look(inner, name .. "." .. ty.node_param, registry.place_of(inner) or where, node)
    end
  end
  for i, node in ipairs(state.nodes) do look(node, state.names[i], state.places[i]) end
  return found
end

local function pool_of(state, node)
  if node.pool ~= nil then return node.pool end
  return (state.options.defaults or {}).pool
end

-- Which nodes of `state`, and of all that it calls, take from which pool: one name a pool.
local function pools_within(state, all, seen, found)
  seen[state] = true
  local function look(node, name)
    local ty, pool = known.node_type(node), pool_of(state, node)
    local inner = ty.node_param and node[ty.node_param]
    if type(pool) == "string" then found[pool] = found[pool] or state.key .. "." .. name end
    if known.node_type(inner) then look(inner, name) end
  end
  for i, node in ipairs(state.nodes) do look(node, state.names[i]) end
  for _, call in ipairs(all[state]) do
    if not seen[call.called] then pools_within(call.called, all, seen, found) end
  end
  return found
end

-- A call holds its pool until its flow has ended: what needs that pool there would wait for ever.
local function check_pools(state, all, faults)
  for _, call in ipairs(all[state]) do
    local pool = pool_of(state, call.node)
    local taker = type(pool) == "string" and pools_within(call.called, all, {}, {})[pool]
    if taker then
      faults[#faults + 1] = fault.new(call.where, ("%s.%s.pool"):format(state.key, call.name),
        ("the call holds %s until its flow has ended, and %s would wait for it there: leave the "
          .. "pool to that node"):format(fault.describe(pool), taker))
    end
  end
end

-- Made whatever happens, as soon as its flow runs.
local function is_certain(state, call)
  return call.outer == nil and call.node.after == nil and call.node.when == nil
    and (state.options.defaults or {}).when == nil
end

-- Flows that call each other, each by a call that nothing decides about: their runs never end.
local function check_ends(state, all, faults, told)
  local path, seen = {}, { [state] = true }
  local function look(at)
    for _, call in ipairs(all[at]) do
      if is_certain(at, call) then
        path[#path + 1] = at.key .. "." .. call.name
        local ends_here = call.called == state
        if not ends_here and not seen[call.called] then
          seen[call.called] = true
          ends_here = look(call.called)
        end
        if ends_here then
          told[at] = true
          return true
        end
        path[#path] = nil
      end
    end
    return false
  end
  if look(state) then
    faults[#faults + 1] = fault.new(state.place, state.key,
      ("is called by its own calls without end: %s -> %s"):format(table.concat(path, " -> "),
        state.key))
  end
end

--- Adds what is wrong with the calls of all flows to `faults`: flows that there are not, params
--- that those do not have, pools that a call holds and its flow needs, flows without an end.
---@param states table[]
---@param faults table[]
function calls.check(states, faults)
  local by_key, all, told = {}, {}, {}
  for _, state in ipairs(states) do by_key[state.key] = state end
  check_each(states, by_key, faults)
  for _, state in ipairs(states) do all[state] = calls_of(state, by_key) end
  for _, state in ipairs(states) do
    if state.language >= 2 then
      check_pools(state, all, faults)
      if not told[state] then check_ends(state, all, faults, told) end
    end
  end
end

return calls
