-- Values that cross between nodes, as JSON text; what cannot be kept is told with its path.
local core = require "flow.core.json"

local value = {}

value.null = core.null

local List = getmetatable(core.list {})

--- Marks `t` as a list, for a table of which Lua cannot tell (an empty one).
---@generic T
---@param t T[]?
---@return T[]
function value.list(t) return core.list(t or {}) end

--- True for a list: marked, or 1..n and nothing else (an empty plain table is a map).
function value.is_list(t)
  if getmetatable(t) == List then return true end
  local count = #t
  if count == 0 then return false end
  local seen = 0
  for key in next, t do
    if type(key) ~= "number" then return false end
    seen = seen + 1
  end
  return seen == count
end

--- The shortest text that reads back as `n`, integers without exponent or fraction.
function value.number_text(n)
  if n == math.floor(n) and math.abs(n) < 2 ^ 53 then return ("%d"):format(n) end
  for digits = 14, 17 do
    local text = ("%." .. digits .. "g"):format(n)
    if tonumber(text) == n then return text end
  end
  return tostring(n)
end

--- The text of a string, number, boolean or 64-bit integer; nil for anything else.
---@return string?
function value.text(v)
  local kind = type(v)
  if kind == "string" then return v end
  if kind == "number" then return value.number_text(v) end
  if kind == "boolean" then return tostring(v) end
  if kind == "cdata" then return tostring(v):match "^(-?%d+)U?LL$" end
end

--- JSON text of `v`, or nil and a sentence that begins with the path of what cannot be kept.
---@param v any
---@param path string? how the path begins (default: "value")
---@return string? text
---@return string? problem
function value.try_encode(v, path)
  local text, err = core.encode_value(v, path)
  if text then return text end
  return nil, err.message
end

--- nil, or what in `v` cannot be kept, beginning with `path`.
function value.problem(v, path)
  local _, problem = value.try_encode(v, path)
  return problem
end

--- JSON text of `v`; raises a string that names the path. nil gives nil.
function value.encode(v, path)
  if v == nil then return nil end
  local text, err = core.encode_value(v, path)
  if not text then error(err.message, 0) end
  return text
end

--- The value of a JSON text of ours; raises a string.
function value.decode(text)
  local result, err = core.decode_value(text)
  if err ~= nil then error(err.message, 0) end
  return result
end

--- The value of anybody's JSON text, or nil and why not.
---@return any
---@return string? problem
function value.parse(text)
  local result, err = core.decode(text)
  if err ~= nil then return nil, (err.message:gsub("^not valid JSON: ", "")) end
  return result
end

return value
