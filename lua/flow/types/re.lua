---@meta
error "meta file: not to be required"

--- Patterns of PCRE2 (as Perl and PHP have them), with the calls of Lua's string library.
---
--- Flags are letters: "i" caseless, "m" ^ and $ at each line, "s" a dot matches a newline too, "x"
--- white space and #comments in the pattern, "u" UTF-8 characters instead of bytes (bytes that are
--- no UTF-8 match nothing). Positions are in bytes, from 1.
---
--- Captures are returned one by one, or the whole match when the pattern has no groups. A group
--- that took no part is `false`. A pattern with a named group gives one table instead: by number,
--- by name, and the whole match at 0.
---
--- A bad pattern raises. A match that needs more than 1,000,000 steps returns `nil, err` with
--- `err.code == "limit"` (about a millisecond); in `gmatch` it raises, as a loop has no place for
--- it. Patterns are compiled once and remembered. Nothing here blocks.
---@class flow.re
local re = {}

--- The captures of the first match, or nil.
---@param s string
---@param pattern string At most 4 KiB.
---@param init? integer Where to start, from the end when negative; may be left out. (default: `1`)
---@param flags? string (default: none)
---@return string|false|table<string|integer, string|false>|nil capture
---@return string|false|flow.Error|nil ...
function re.match(s, pattern, init, flags) end

--- Where the first match is, and its captures (none when the pattern has no groups); or nil.
---@param s string
---@param pattern string
---@param init? integer (default: `1`)
---@param flags? string (default: none)
---@return integer? first
---@return integer|flow.Error|nil last
---@return string|false|table<string|integer, string|false>|nil ...
function re.find(s, pattern, init, flags) end

--- Goes through all matches: `for key, value in re.gmatch(s, "(\\w+)=(\\w+)") do`. After an empty
--- match it goes on one character further.
---@param s string
---@param pattern string
---@param flags? string (default: none)
---@return fun(): string|false|table<string|integer, string|false>|nil, ...
function re.gmatch(s, pattern, flags) end

--- Replaces matches. In a text, `$1`, `${1}`, `${name}` and `$0` stand for groups and the whole
--- match, `$$` for a dollar sign. A table is asked for the first group (or the whole match), a
--- function is called with the captures; false or nil keeps the match as it is.
---@param s string
---@param pattern string
---@param replacement string|table<string, string|number|false>|fun(...): string|number|false|nil
---@param n? integer At most so many. (default: all)
---@param flags? string (default: none)
---@return string? result
---@return integer|flow.Error count How many were replaced.
function re.gsub(s, pattern, replacement, n, flags) end

--- The pieces between matches, empty ones too; there is always at least one. A pattern that matches
--- the empty string cuts between characters.
---@param s string
---@param pattern string
---@param n? integer At most so many pieces; the last is the rest. (default: all)
---@param flags? string (default: none)
---@return string[]? pieces
---@return flow.Error? err
function re.split(s, pattern, n, flags) end

--- `text` as a pattern that matches just it.
---@param text string
---@return string pattern
function re.escape(text) end

return re
