-- The language: `local flow = require "flow"`. Defines flows, nodes and node types; see
-- docs/reference.md for all of it.
local dag = require "flow.dag"
local place = require "flow.place"
local registry = require "flow.registry"
local schedule = require "flow.schedule"
local schema = require "flow.schema"
local template = require "flow.template"
local value = require "flow.value"

local flow = {}

--- JSON's null, where a table must say "nothing".
flow.null = value.null

--- Marks a table as a list, for an empty one: flow.list{}.
flow.list = value.list

--- os.date in UTC or in time zone `tz`: flow.date(time, "%Y-%m-%d", "Asia/Shanghai").
---@param time number seconds since 1970
---@param format string? (default: "%Y-%m-%d")
---@param tz string? (default: UTC)
---@return string
flow.date = template.date
flow.days_before, flow.days_after = template.days_before, template.days_after

--- Names of a flow's nodes, in order of declaration.
flow.nodes = dag.nodes

--- The key of a flow.
---@return string
function flow.key(object) return dag.state(object, "flow.key").key end

--- What flow.dag was given, with the key.
---@return table
flow.info = dag.info

--- Seconds of "500ms", "10s", "1h30m" or a number; nil when it is no duration.
---@return number?
flow.duration = schema.duration

--- Bytes of "64K", "1M", "2G" or a number; nil when it is no size.
---@return number?
flow.size = schema.size

--- The next fires of a rule, or of a list of them, at or after `from`, as seconds since 1970.
---@param rule table
---@param from number? seconds since 1970 (default: now)
---@param count integer? (default: 1)
---@return number[]
function flow.next(rule, from, count) return schedule.next(rule, from, count, place.at(1)) end

flow.version = require "flow.core.version"

-- Reading one of these, or a node type, notes the line: see flow.place.
local makers = {}

--- Makes a flow: flow.dag("daily_sales", { ... }).
function makers.dag(key, options) return dag.new(key, options, place.of_call(makers.dag)) end

--- Defines a node type: flow.node_type { name = ..., params = ..., run = ... }.
function makers.node_type(raw) return registry.define(raw, place.of_call(makers.node_type)) end

--- A schedule by cron expression.
function makers.cron(text, options)
  return schedule.cron(text, options, place.of_call(makers.cron))
end

--- A schedule by interval: flow.every(1, "day", { at = "08:00" }).
function makers.every(count, unit, options)
  return schedule.every(count, unit, options, place.of_call(makers.every))
end

-- What of patches is for scripts and advisers.
local public_patch = setmetatable({}, { __index = function(_, name)
  return name == "merge" and require("flow.patch_merge").merge or nil
end })

return setmetatable(flow, {
  __index = function(_, name)
    if name == "patch" then return public_patch end
    if name == "advise" then return require "stdlib.advise" end -- most scripts need none
    local found = makers[name] or registry.known(name) or registry.constructor(name, place.at(2))
    place.note() -- last: finding a type may load its file, which reads from `flow` itself
    return found
  end,
  __newindex = function(_, name)
    error(("flow.%s cannot be set; define a node type with flow.node_type"):format(tostring(name)),
      2)
  end,
})
