-- Whom C means, and how the failure of its code is told.
local context = require "flow.context"
local fault = require "flow.fault"
local known = require "flow.known"
local row = require "flow.row"
local trace = require "flow.trace"

local subject = {}

local find, type = string.find, type
local node_marks, call_in = known.node_marks, context.call

--- The options that run, their type, and for the inner node of a map the map's options.
---@param flow table compiled
---@param node integer
---@param inner boolean?
---@return table options
---@return table ty
---@return table? outer
function subject.find(flow, node, inner)
  local options = flow.nodes[node + 1]
  local ty = node_marks[getmetatable(options)].type
  if not inner then return options, ty end
  local item, item_type = row.item(ty, options)
  if item == options then return options, ty end
  return item, item_type, options
end

local function path_of(flow, node)
  return flow.key .. "." .. (flow.hook_of[node + 1] or flow.graph:name(node))
end

--- The whole message of a failure. What user code raised has its line or frames; what went wrong
--- with an option, or with what user code returned, is told with the node's line.
function subject.complete(flow, node, err, otherwise)
  local option = otherwise
  if trace.is_problem(err) then
    option, err = err.option, err.text
  else
    if type(err) ~= "string" then err = err.trace or err.text end
    if find(err, "^[^\n]-:%d+: ") or find(err, "\n  at ", 1, true) then return err end
  end
  local path = path_of(flow, node)
  if option then path = path .. "." .. option end
  return trace.cut(fault.new(flow.places[node + 1], path, err).message)
end

--- Calls `fn(ctx, ...)`, a hook that may not fail softly: raises the whole message, with `option`
--- where nothing else says what it is about.
function subject.demand(flow, node, option, ctx, fn, x, y, z)
  local ok, a, b, c = call_in(ctx, fn, x, y, z)
  if ok then return a, b, c end
  error(subject.complete(flow, node, a, option), 0)
end

trace.boundary(subject.demand)

return subject
