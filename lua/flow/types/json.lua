---@meta
error "meta file: not to be required"

--- JSON text as other programs write and read it. Nothing here blocks.
---@class flow.json
local json = {}

--- JSON's null, inside lists and maps; the same as `flow.null`.
---@type lightuserdata
json.null = nil

---@class flow.json.EncodeOptions
--- A line for each entry, indented by two spaces. (default: `false`)
---@field pretty? boolean

--- The JSON text of a value: map keys sorted, integers without exponent, no white space. A table
--- is a list when it has exactly the keys 1 to n or was marked by `json.list`, else a map; an
--- empty table is a map. int64_t and uint64_t cdata below 2^63 are written exactly. Raises for
--- what JSON cannot hold and names where: a function, userdata, coroutine, NaN, infinity, a table
--- in itself, a string that is not UTF-8, a mixed table, more than 64 levels or 16 MiB.
---@param value any
---@param options? flow.json.EncodeOptions
---@return string text
function json.encode(value, options) end

--- The value of a JSON text. Strict: duplicate keys, trailing text, bad UTF-8, numbers that fit
--- neither a double nor an int64, and more than 64 levels are errors. null is nil on top and
--- `json.null` inside; integers past 2^53 become int64_t cdata; lists keep their mark, so that an
--- empty one is written as a list again.
---@param text string
---@return any value
---@return flow.Error? err `code` is "usage" or "limit"; the message has line and column
function json.decode(text) end

--- The text of a value as it crosses between nodes: as `encode`, but a string may be any bytes
--- (`{"$bytes":"<base64>"}`), and a map with one key that starts with "$" gets one more "$".
---@param value any
---@param name? string How the path in a message starts. (default: `"value"`)
---@return string? text
---@return flow.Error? err The message starts with the path: "outputs.orders[3]: ..."
function json.encode_value(value, name) end

--- Reads what `encode_value` wrote.
---@param text string
---@return any value
---@return flow.Error? err
function json.decode_value(text) end

--- Marks a table as a list, for an empty one, of which Lua cannot tell.
---@generic T
---@param t? T[] (default: a new table)
---@return T[] t
function json.list(t) end

return json
