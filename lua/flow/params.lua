-- Parameters of a flow: declared by defaults or specs, given as texts or JSON, checked and typed.
local fault = require "flow.fault"
local schema = require "flow.schema"
local suggest = require "flow.suggest"
local value = require "flow.value"

local params = {}

local spec_keys = { default = true, required = true, min = true, max = true, enum = true,
  of = true, doc = true }

-- { "integer", default = 3 } is a spec; { "Beijing", "Shanghai" } is a list that is a default.
local function looks_like_spec(raw)
  if getmetatable(raw) ~= nil or #raw > 1 then return false end
  local first = raw[1]
  if first == nil then return raw.enum ~= nil and (raw.default ~= nil or raw.required ~= nil) end
  if type(first) ~= "string" then return false end
  local named = false
  for key in next, raw do
    if key ~= 1 then
      if not spec_keys[key] then return false end
      named = true
    end
  end
  return named or schema.is_type(first)
end

local function type_of_default(default)
  if default == value.null then return "any" end
  local kind = type(default)
  if kind == "table" then return value.is_list(default) and "list" or "map" end
  return kind
end

-- { type = "integer", default = 3 } would be a map that is a default: a spec begins with its type.
local function is_misspelt_spec(raw)
  if getmetatable(raw) ~= nil or raw[1] ~= nil or looks_like_spec(raw) then return false end
  local fields, others = 0, 0
  for key in next, raw do
    if spec_keys[key] then fields = fields + 1 elseif key ~= "type" then others = others + 1 end
  end
  if others > 0 then return false end
  return schema.is_type(raw.type) and fields > 0 or raw.default ~= nil and fields > 1
end

local allowed_names = { "string", "number", "integer", "boolean", "list", "map", "any", "enum" }
local allowed = {}
for _, name in ipairs(allowed_names) do allowed[name] = true end

local function declare_one(name, raw, strict)
  if strict and type(raw) == "table" and raw ~= value.null and is_misspelt_spec(raw) then
    return nil, ('a spec begins with its type: { "%s", ... }'):format(
      schema.is_type(raw.type) and raw.type or "integer"), ""
  end
  if type(raw) == "table" and raw ~= value.null and looks_like_spec(raw) then
    local spec, problem, field = schema.spec(raw)
    if not spec then return nil, problem, field and "." .. field or "" end
    for _, kind in ipairs(spec.types) do
      if not allowed[kind] then
        return nil, ('a parameter of a flow cannot be of type "%s", only of: %s'):format(kind,
          table.concat(allowed_names, ", ")), ""
      end
    end
    spec.name = name
    return spec
  end
  local kind = type(raw)
  if kind == "function" or kind == "thread" or (kind == "userdata" and raw ~= value.null) then
    return nil, "expected a value that can be kept, got a " .. kind, ""
  end
  local spec = schema.spec { type_of_default(raw) }
  spec.name, spec.default = name, raw
  return spec
end

--- The declared parameters in order of name, or nil, the text of a problem and its path.
---@param raw table?
---@param strict boolean? by the rules of today (see flow.language)
---@return flow.Spec[]? declared
---@return string? problem
---@return string? path ".name.field"
function params.declare(raw, strict)
  local names, declared = {}, {}
  for name in next, raw or {} do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    if not name:find "^[A-Za-z_][A-Za-z0-9_.-]*$" then
      return nil, "expected a name (letters, digits, _ . -)", "." .. name
    end
    local spec, problem, path = declare_one(name, raw[name], strict)
    if not spec then return nil, problem, "." .. name .. path end
    if strict and type(spec.default) == "string" and spec.default:find("{{", 1, true) then
      return nil, ("{{ }} is not evaluated in a default; leave it out, and write {{ params.%s or "
        .. "run.date }} where it is used"):format(name), "." .. name
    end
    if not spec.required or spec.default ~= nil then
      local bad = value.problem(spec.default, name)
      if bad then
        local at, text = bad:match "^(.-): (.*)$"
        return nil, text, "." .. at
      end
    end
    declared[i], declared[name] = spec, spec
  end
  return declared
end

--- The defaults as a table.
function params.defaults(declared)
  local defaults = {}
  for _, spec in ipairs(declared) do defaults[spec.name] = spec.default end
  return defaults
end

local function names_of(declared)
  local names = {}
  for i, spec in ipairs(declared) do names[i] = spec.name end
  return names
end

local function check_one(spec, given, path)
  local ok, result = schema.check(spec, given)
  if ok then return result end
  error(path .. (result.path or "") .. ": " .. schema.problem_text(result), 0)
end

-- Of "name:=JSON".
local function parse_json(spec, text, path)
  local result, problem = value.parse(text)
  if not problem then return result end
  error(("%s: expected %s as JSON, got %s"):format(path, schema.expected(spec),
    fault.describe(text)), 0)
end

-- Text where the parameter is a string, else JSON.
local function parse_text(spec, text, path)
  for _, kind in ipairs(spec.types) do
    if kind == "string" or kind == "enum" then return text end
  end
  local result, problem = value.parse(text)
  -- In Lua an empty list is an empty map: in JSON it is not.
  local empty = not problem and type(result) == "table" and next(result) == nil
    and (text:match "^%s*(.)" == "{" and "map" or "list")
  if not problem and not empty then return result end
  for _, kind in ipairs(spec.types) do
    if empty and (kind == empty or kind == "any") then return result end
  end
  error(("%s: expected %s as JSON, got %s"):format(path, schema.expected(spec),
    fault.describe(text)), 0)
end

local function unknown(name, declared, flow)
  local names = names_of(declared)
  local hint = suggest.hint(name, names)
  if hint == "" and #names > 0 then hint = "; it has " .. table.concat(names, ", ") end
  if #names == 0 then hint = "; it has none" end
  error(("%s: unknown parameter of flow %s%s"):format(name, flow, hint), 0)
end

--- Checks parameters that were given as a table, and types them. Raises a string.
---@param declared flow.Spec[]
---@param flow string its key, for messages
---@param base table?
---@return table
function params.check(declared, flow, base)
  local result, given = {}, {}
  for name in next, base or {} do given[#given + 1] = tostring(name) end
  table.sort(given)
  for _, name in ipairs(given) do
    local spec = declared[name] or unknown(name, declared, flow)
    result[name] = check_one(spec, base[name], "parameter " .. name)
  end
  return result
end

--- The parameters that "k=v" texts name, typed. Raises a string.
---@param declared flow.Spec[]
---@param flow string
---@param texts string[]?
---@return table
function params.parse(declared, flow, texts)
  local result = {}
  for _, text in ipairs(texts or {}) do
    local name, rest = text:match "^([^=]+)=(.*)$"
    if not name then
      error(("expected --param name=value, got %s"):format(fault.describe(text)), 0)
    end
    local forced = name:match "^(.+):$"
    name = forced or name
    local spec = declared[name] or unknown(name, declared, flow)
    local path = "parameter " .. name
    result[name] = check_one(spec, (forced and parse_json or parse_text)(spec, rest, path), path)
  end
  return result
end

--- The parameters of a run: the defaults, then `base` (a table), then "k=v" texts. Raises a string.
---@param declared flow.Spec[]
---@param flow string
---@param texts string[]?
---@param base table?
---@return table
function params.resolve(declared, flow, texts, base)
  local result = params.defaults(declared)
  for name, v in next, params.check(declared, flow, base) do result[name] = v end
  for name, v in next, params.parse(declared, flow, texts) do result[name] = v end
  for _, spec in ipairs(declared) do
    if spec.required and result[spec.name] == nil then
      error(("parameter %s: expected %s, got nothing (give it with --param %s=...)")
        :format(spec.name, schema.expected(spec), spec.name), 0)
    end
  end
  return result
end

return params
