---@meta
error "meta file: not to be required"

--- SQLite. All of it blocks. A failure returns `nil, err`; `err.code` is "busy", "full",
--- "corrupt", "not_found", "limit", "usage" (the SQL is wrong), "store" (a constraint, an I/O
--- error) or "state" (stopped by the interrupt function).
---
--- Parameters are a list for `?` or a map for `:name`, `@name` and `$name`; each must have a
--- value, NULL is `flow.null`. Booleans become 1 and 0, whole numbers up to 2^53 and int64_t cdata
--- integers, other numbers reals, strings text or, when they are not UTF-8, blobs. Back come
--- numbers (integers past 2^53 as int64_t cdata), strings of any bytes, and nothing for NULL.
---@class flow.sqlite
---@field version string Of the library.
local sqlite = {}

---@alias flow.sqlite.Params table<integer|string, string|number|boolean|lightuserdata>

---@class flow.sqlite.OpenOptions
--- Refuse to write; the file must exist. (default: `false`)
---@field readonly? boolean
--- How long to wait for another process's lock, seconds or "5m". (default: `10`)
---@field busy_timeout? number|string

--- Opens a database file, made when there is none; ":memory:" is one in memory.
---@param path string
---@param options? flow.sqlite.OpenOptions
---@return flow.sqlite.Database? db
---@return flow.Error? err
function sqlite.open(path, options) end

---@class flow.sqlite.Database
local Database = {}

--- Runs one statement or several (which take named parameters only), and drops what they return.
--- The first that fails ends it; those before it stay done, unless in a transaction.
---@param sql string
---@param params? flow.sqlite.Params
---@return integer? changes Rows inserted, changed or deleted.
---@return integer|flow.Error rowid Of the row inserted last on this connection.
function Database:exec(sql, params) end

--- All rows of one statement, each a map by column name (without the columns that are NULL).
---@param sql string
---@param params? flow.sqlite.Params
---@return table<string, any>[]? rows
---@return string[]|flow.Error columns The names, in the statement's order.
function Database:query(sql, params) end

--- The rows one by one: `for row in db:rows("select ...") do`. Raises the error: a loop has no
--- place for `nil, err`.
---@param sql string
---@param params? flow.sqlite.Params
---@return fun(): table<string, any>?
function Database:rows(sql, params) end

--- The first column of the first row; nil when there is none or it is NULL.
---@param sql string
---@param params? flow.sqlite.Params
---@return any value
---@return flow.Error? err
function Database:value(sql, params) end

--- Calls `fn(db, ...)` in a transaction that has the write lock from its start. When `fn` raises,
--- all is undone and the error goes on; else it is committed (also when `fn` returns `nil, err`).
--- Transactions do not nest.
---@param fn fun(db: flow.sqlite.Database, ...): ...
---@param ... any
---@return any ... What `fn` returned; `nil, err` when it could not begin or commit.
function Database:transaction(fn, ...) end

---@return boolean
function Database:in_transaction() end

--- A function that is called now and then while a statement runs, and stops it by returning true.
--- It must not use this database, nor yield. nil takes it away.
---@param fn? fun(): boolean?
function Database:interrupt(fn) end

--- Closes it; again is good too. Rows that are being read end with an error.
---@return boolean ok
function Database:close() end

return sqlite
