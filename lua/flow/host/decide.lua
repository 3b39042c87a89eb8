-- What C calls to have a script decide: whether nodes run, are tried again, which values they get,
-- the items of maps, the flows of calls.
local context = require "flow.context"
local fault = require "flow.fault"
local known = require "flow.known"
local render = require "flow.render"
local subject = require "flow.host.subject"
local suggest = require "flow.suggest"
local template = require "flow.template"
local trace = require "flow.trace"
local value = require "flow.value"

local decide = {}

local new_context = context.new
local find_subject, demand = subject.find, subject.demand

-- ------------------------------------------------------------------------------------ decisions

-- A text counts by what it says: what a process gives is text.
local function evaluate_when(ctx, when)
  if type(when) == "boolean" then return when end
  local result, is_text
  if type(when) == "function" then
    result = when(ctx)
  else
    when = when:match "^%s*(.-)%s*$"
    result = render.text("when", when, ctx)
    is_text = not template.is_single(when)
    if result == value.null then return false end
  end
  if ctx._flow.language < 2 and not is_text then return result end
  if result == value.null or result == "false" then return false end
  if type(result) ~= "string" or result == "true" then return result end
  error(trace.problem("when", fault.expected(is_text and "{{ }} or a text that gives true or false"
    or "true or false", result)), 0)
end

--- Whether a node runs. Raises a string.
---@return boolean
function decide.when(flow, node, task, backend)
  local options = flow.nodes[node + 1]
  local ctx = new_context(flow, options, nil, task, backend, node)
  return demand(flow, node, "when", ctx, evaluate_when, options.when) and true or false
end

local function decide_retry(_, rule, failure)
  if type(rule) == "function" then return rule(failure) end
  if type(rule) == "string" then
    return (require("flow.core.re").find(failure.error or "", rule)) ~= nil
  end
  if type(rule) == "number" then return failure.exit_code == rule end
  for _, code in ipairs(rule) do
    if code == failure.exit_code then return true end
  end
  return false
end

--- Whether a failed attempt is one to retry. Raises a string.
---@param failure flow.Failure
---@return boolean
function decide.retry_on(flow, node, failure, inner)
  local options, _, outer = find_subject(flow, node, inner)
  local rule = options.retry_on
  if rule == nil and outer then rule = outer.retry_on end
  if rule == nil then rule = flow.defaults.retry_on end
  if rule == nil then return true end
  return demand(flow, node, "retry_on", nil, decide_retry, rule, failure) and true or false
end

local function merge_values(_, rule, key, texts)
  local values = {}
  for i, text in ipairs(texts) do values[i] = value.decode(text) end
  return value.encode(rule(key, values), "vars." .. key)
end

--- The value of a var that parents left with different values. Raises a string.
---@param values string[] JSON, in `after` order
---@return string? value JSON
function decide.merge(flow, node, key, values)
  local rule = flow.nodes[node + 1].merge or flow.defaults.merge
  if rule == "first" then return values[1] end
  if rule == "last" then return values[#values] end
  return demand(flow, node, "merge", nil, merge_values, rule, key, values)
end

-- ------------------------------------------------------------------------------------ maps, calls

-- The first place of a list that has none, though a later one has something.
local function find_hole(list)
  local last = 0
  for key in next, list do
    if type(key) ~= "number" or key < 1 or key % 1 ~= 0 then return nil end
    last = math.max(last, key)
  end
  for i = 1, last do
    if list[i] == nil then return i end
  end
end

local function expand(ctx, ty, options)
  local list = ty.hooks.expand(ctx, render.params(ty, options, ctx))
  if type(list) ~= "table" or list == value.null or next(list) ~= nil
    and not value.is_list(list) then
    local hole = type(list) == "table" and find_hole(list)
    error(hole and ("expected a list to go over, got one with a hole: [%d] is nil (flow.null keeps "
      .. "its place)"):format(hole) or fault.expected("a list to go over", list), 0)
  end
  local chunk = options.chunk
  local items = {}
  if not chunk then
    for i = 1, #list do items[i] = value.encode(list[i], ("item %d"):format(i)) end
    return items
  end
  for from = 1, #list, chunk do
    local part = {}
    for i = from, math.min(from + chunk - 1, #list) do part[#part + 1] = list[i] end
    items[#items + 1] = value.encode(value.list(part), ("chunk %d"):format(#items + 1))
  end
  return items
end

--- The list of a map as JSON, an entry an item. Raises a string.
---@return string[]
function decide.expand(flow, node, task, backend)
  local options, ty = find_subject(flow, node)
  local ctx = new_context(flow, options, nil, task, backend, node)
  return demand(flow, node, "over", ctx, expand, ty, options)
end

local function call(ctx, ty, options, flows)
  local target, given = ty.hooks.call(ctx, render.params(ty, options, ctx))
  if known.is_flow(target) then target = known.flows[target].key end
  if type(target) ~= "string" then error(fault.expected("a flow or its key", target), 0) end
  local keys, found = {}, false
  for i, other in ipairs(flows) do
    keys[i] = other.key
    found = found or other.key == target
  end
  if not found then
    error(('unknown flow "%s"%s'):format(target, suggest.hint(target, keys)), 0)
  end
  if given ~= nil and (type(given) ~= "table" or value.is_list(given)) then
    error(fault.expected("names and values as params", given), 0)
  end
  return target, value.encode(given or {}, "params")
end

--- The key and params of the flow that a call (or the call inside a map) runs. Raises a string.
function decide.call(flow, node, task, backend)
  local options, ty, outer = find_subject(flow, node, true)
  local ctx = new_context(flow, options, outer, task, backend, node)
  return demand(flow, node, "flow", ctx, call, ty, options, flow.siblings)
end

return decide
