---@meta
error "meta file: not to be required"

--- The language. Node types are fields too: flow.shell { ... }; see flow/types/options.lua for what
--- they take.
---@class flow
---@field null lightuserdata JSON's null: where a table must say "nothing".
---@field version string Of FlowLua.
---@field advise flow.Advise Advisers for `on_breakpoint`.
---@field patch flow.Patches What advisers do with patches.
local flow = {}

--- A flow: `f.name = flow.shell { ... }` declares a node. It has no fields of its own, so every
--- name is free; reading one that was not declared is an error.
---@class flow.Dag
---@field [string] flow.Node

--- What a constructor such as flow.shell gives. Opaque.
---@class flow.Node

--- What flow.cron and flow.every give: a rule, as plain data.
---@class flow.Schedule

--- Seconds, or "500ms", "10s", "5m", "2h", "1d", "1h30m".
---@alias flow.Duration number|string
--- Bytes, or "64K", "1M", "2G".
---@alias flow.Size integer|string

--- Makes a flow. `key` names it (letters, digits, `_ . -`).
---@param key string
---@param options flow.DagOptions? (default: none)
---@return flow.Dag
function flow.dag(key, options) end

--- Defines a node type; afterwards flow.<name> { ... } makes nodes of it. A file nodes/<name>.lua
--- beside the script returns it.
---@param options flow.NodeTypeOptions
---@return fun(options: table): flow.Node
function flow.node_type(options) end

--- A schedule by cron expression: 5 fields, or 6 with seconds first, or "@hourly" and friends.
---@param expression string
---@param options flow.ScheduleOptions? (default: none)
---@return flow.Schedule
function flow.cron(expression, options) end

--- A schedule by interval: flow.every(1, "day", { at = "08:00" }).
---@param count integer
---@param unit "minute"|"hour"|"day"|"week"|"month"
---@param options flow.ScheduleOptions? (default: none)
---@return flow.Schedule
function flow.every(count, unit, options) end

--- The next fires of a rule, or of a list of them, at or after `from`, as seconds since 1970.
---@param rule flow.Schedule|flow.Schedule[]
---@param from number? Seconds since 1970. (default: now)
---@param count integer? (default: 1)
---@return number[]
function flow.next(rule, from, count) end

--- Marks a table as a list, for an empty one of which Lua cannot tell: flow.list {}.
---@generic T
---@param t T[]? (default: `{}`)
---@return T[]
function flow.list(t) end

--- os.date() in UTC, or in time zone `tz`; `%z`, `%Z` and `%s` are of that zone and instant.
---@param time number Seconds since 1970.
---@param format string? (default: "%Y-%m-%d")
---@param tz string? (default: UTC)
---@return string
function flow.date(time, format, tz) end

--- The instant that is so many days of time zone `tz` earlier, at the same time of day: days of 23
--- and 25 hours count as one. Where that time does not exist: the end of the gap.
---@param time number Seconds since 1970.
---@param days integer
---@param tz string? (default: UTC)
---@return number
function flow.days_before(time, days, tz) end

--- The same, later.
---@param time number Seconds since 1970.
---@param days integer
---@param tz string? (default: UTC)
---@return number
function flow.days_after(time, days, tz) end

--- The names of a flow's nodes, in order of declaration.
---@param f flow.Dag
---@return string[]
function flow.nodes(f) end

--- The key of a flow.
---@param f flow.Dag
---@return string
function flow.key(f) end

--- What flow.dag was given, and `key`.
---@param f flow.Dag
---@return table
function flow.info(f) end

--- Seconds of a duration; nil when it is none.
---@param value flow.Duration
---@return number?
function flow.duration(value) end

--- Bytes of a size; nil when it is none.
---@param value flow.Size
---@return number?
function flow.size(value) end

--- Patches, as `on_breakpoint` returns them. `merge(first, second)` makes one of two; where both
--- say something of the same, or the second contradicts it, the first holds. Also tells whether
--- anything of the second is left in it.
---@class flow.Patches
---@field merge fun(first: table, second: table): table, boolean

--- Advisers: what `on_breakpoint` may be. An adviser is a function of a breakpoint (`run`,
--- `executed`, `failed`, `failures`, `queue`) to a patch, and a name for it.
---@class flow.Advise
---@field check fun(adviser: function, nodes: string[]): string?
---@field rules fun(rules: table[]): fun(bp: table): table?, string?
---@field times fun(factor: number, options: table?): fun(old: any): number?

return flow
