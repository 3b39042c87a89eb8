-- Errors in the user's script: where to fix it, the path in the data, what was expected and got.
local place = require "flow.place"

local fault = {}

---@class flow.Fault
---@field message string whole message, "file:line: path: text"
---@field place number? see flow.place
local Fault = {}
Fault.__index = Fault
Fault.__tostring = function(self) return self.message end

---@param where number? packed place
---@param path string? "flow.node.option"
---@param text string
---@return flow.Fault
function fault.new(where, path, text)
  local message = path and path ~= "" and path .. ": " .. text or text
  if where then message = place.show(where) .. ": " .. message end
  return setmetatable({ message = message, place = where }, Fault)
end

function fault.raise(where, path, text) error(fault.new(where, path, text), 0) end

function fault.is(value) return getmetatable(value) == Fault end

local KEYS_MAX = 5

local function describe_keys(map)
  local keys = {}
  for key in next, map do keys[#keys + 1] = tostring(key) end
  table.sort(keys)
  local more = #keys > KEYS_MAX and ", ..." or ""
  return ("a map with the key%s %s%s"):format(#keys > 1 and "s" or "",
    table.concat(keys, ", ", 1, math.min(#keys, KEYS_MAX)), more)
end

--- `value` as it stands in a message: "two" in quotes, numbers plain, the kind of anything else.
---@param value any
---@return string
function fault.describe(value)
  local kind = type(value)
  if kind == "string" then
    local text = #value > 60 and value:sub(1, 57) .. "..." or value
    return '"' .. text:gsub('[%c"\\]', function(c)
      if c == "\n" then return "\\n" end
      return c == '"' and '\\"' or c == "\\" and "\\\\" or ("\\%d"):format(c:byte())
    end) .. '"'
  elseif kind == "number" then
    return value == math.floor(value) and math.abs(value) < 1e15 and ("%d"):format(value)
      or tostring(value)
  elseif kind == "userdata" then
    return "null" -- the only one that crosses
  elseif kind == "cdata" then
    return (tostring(value):gsub("U?LL$", ""))
  elseif kind == "boolean" then
    return tostring(value)
  elseif kind == "nil" then
    return "nothing"
  elseif kind == "table" then
    if next(value) == nil then return "an empty table" end
    if #value > 0 then return ("a list of %d"):format(#value) end
    return getmetatable(value) and "a table" or describe_keys(value)
  end
  return "a " .. kind
end

--- "expected X, got Y".
function fault.expected(expected, got)
  return "expected " .. expected .. ", got " .. fault.describe(got)
end

return fault
