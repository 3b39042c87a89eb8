---@meta
error "meta file: not to be required"

--- Instants are numbers of seconds since 1970 with a fraction, durations numbers of seconds. Only
--- `sleep` blocks. In a node, `ctx:now()` and `ctx:sleep()` are recorded; these here are not.
---@class flow.time
local time = {}

--- The wall clock. It may jump; for durations use `monotonic`.
---@return number seconds
function time.now() end

--- A clock that never goes back; only differences mean something.
---@return number seconds
function time.monotonic() end

--- An instant as text. Without a format: RFC 3339, "2026-01-31T23:59:59.123Z" in UTC,
--- "2026-02-01T07:59:59+0800" in local time.
---@param t number
---@param format? string As of strftime, in English whatever the locale is.
---@param zone? "UTC"|"local" (default: `"UTC"`)
---@return string
function time.format(t, format, zone) end

--- The instant of an RFC 3339 text, with or without fraction and zone (UTC when there is none);
--- "2026-01-31" and "2026-01-31T23:59" are taken too.
---@param text string
---@return number? t
---@return flow.Error? err
function time.parse(text) end

--- The date of an instant in UTC, as `date()` in a template.
---@param t number
---@param format? string As of strftime. (default: `"%Y-%m-%d"`)
---@return string
function time.date(t, format) end

--- A duration in seconds: of "500ms", "10s", "5m", "2h", "1d", "1h30m"; a number is returned.
---@param text string|number
---@return number? seconds
---@return flow.Error? err
function time.duration(text) end

--- Waits, and blocks this process. In an inline node use `ctx:sleep`, which holds up nobody else.
---@param duration number|string Seconds, or a text like "5m".
function time.sleep(duration) end

return time
