---@meta
error "meta file: not to be required"

--- Lines to stderr: "2026-01-31T23:59:59.123Z info  text". Values are shown as by print, with one
--- space between; control characters are made visible, and what follows a newline is indented.
--- Levels below the environment variable FLOWLUA_LOG (debug, info, warn, error, off) are left out.
--- In a node, `ctx:log` writes to the log of the attempt without a time of its own; stderr goes
--- there too. Blocks while stderr does.
---@class flow.log
local log = {}

---@param ... any
function log.debug(...) end

---@param ... any
function log.info(...) end

---@param ... any
function log.warn(...) end

---@param ... any
function log.error(...) end

--- The least level that is written; with a name, sets it for this Lua state.
---@param name? "debug"|"info"|"warn"|"error"|"off"
---@return string level The level before. (default: FLOWLUA_LOG, else `"info"`)
function log.level(name) end

return log
