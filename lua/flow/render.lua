-- From the options of a node to what its code gets: templates rendered, defaults filled in, values
-- checked again where they were not known before.
local known = require "flow.known"
local schema = require "flow.schema"
local template = require "flow.template"
local trace = require "flow.trace"
local value = require "flow.value"

local render = {}

local type, find = type, string.find

local is_plain_table = function(v)
  return type(v) == "table" and v ~= value.null and not known.node_type(v) and not known.is_flow(v)
end

local walk
local rendered -- whether walk() met a template

local function walk_table(v, spec, ctx)
  local of = spec and spec.of
  local copy = {}
  if of and of.template == "words" then
    for i = 1, #v do
      local element = walk(v[i], of, ctx)
      if type(v[i]) == "string" and type(element) == "table" and value.is_list(element) then
        for j = 1, #element do copy[#copy + 1] = element[j] end
      else
        copy[#copy + 1] = element
      end
    end
    return copy
  end
  for key, element in next, v do copy[key] = walk(element, of, ctx) end
  return setmetatable(copy, getmetatable(v))
end

-- A copy of `v` with its templates rendered: node code may change what it gets.
walk = function(v, spec, ctx)
  if type(v) == "string" then
    local mode = spec and spec.template
    if mode == false then return v end
    if mode == "sql" then return template.render(v, "sql", ctx) end
    if not find(v, "{{", 1, true) then return v end
    rendered = true
    return template.render(v, mode == "shell" and "shell" or "text", ctx)
  elseif is_plain_table(v) then
    return walk_table(v, spec, ctx)
  end
  return v
end

-- What a template gave may be a number where text is wanted, or text that is a number.
local function coerce(spec, v)
  for _, name in ipairs(spec.types) do
    if name == "string" or name == "word" then
      if type(v) ~= "table" then return value.text(v) end
    elseif (name == "integer" or name == "number") and type(v) == "string" then
      return tonumber(v)
    elseif name == "boolean" and (v == "true" or v == "false") then
      return v == "true"
    end
  end
end

-- Lists of texts take what templates gave as well: element by element.
local function coerce_elements(spec, v)
  if not spec.of or not is_plain_table(v) then return v end
  for key, element in next, v do
    if not schema.check(spec.of, element) then
      local better = coerce(spec.of, element)
      if better ~= nil then v[key] = better end
    end
  end
  return v
end

local function recheck(spec, v)
  local ok, result = schema.check(spec, v)
  if ok then return result end
  local other = coerce(spec, v)
  if other == nil then other = coerce_elements(spec, v) end
  ok, result = schema.check(spec, other)
  if ok then return result end
  error(trace.problem(spec.name .. (result.path or ""), schema.problem_text(result)), 0)
end

-- Renders what stands in an option; what goes wrong is told with its name.
local function walk_option(name, v, spec, ctx)
  local ok, result = pcall(walk, v, spec, ctx)
  if ok then return result end
  error(type(result) == "string" and trace.problem(name, result) or result, 0)
end

local function is_sql(spec)
  return spec.template == "sql" or spec.of and spec.of.template == "sql"
end

-- Whether a value is changed by being checked: durations become seconds, sizes bytes.
local function has_units(spec)
  for _, name in ipairs(spec.types) do
    if name == "duration" or name == "size" then return true end
  end
  return spec.of ~= nil and has_units(spec.of)
end

-- How a value of `spec` gets ready: checked when the script was loaded, all that remains for one
-- without templates is what checking would have changed.
local function resolve(spec, v, ctx)
  local kind = type(v)
  if kind == "function" or kind == "boolean" then return v end
  local mode = spec.resolve_mode
  if not mode then
    mode = is_sql(spec) and "sql" or has_units(spec) and "check" or "plain"
    spec.resolve_mode = mode
  end
  if mode == "plain" and (kind == "number" or kind == "string" and not find(v, "{{", 1, true)) then
    return v
  end
  rendered = mode == "check"
  local result = walk_option(spec.name, v, spec, ctx)
  if rendered and mode ~= "sql" then result = recheck(spec, result) end
  return result
end

-- An option as it was written, by name or by position.
local function raw_value(spec, node)
  local v = node[spec.name]
  if v ~= nil or not spec.positional then return v end
  if spec.positional ~= "rest" then return node[1] end
  if node[1] == nil then return nil end
  local list = {}
  for i = 1, #node do list[i] = node[i] end
  return list
end

render.raw = raw_value

--- The value of one option with its templates rendered, its default when it is not given.
function render.value(spec, node, ctx)
  local v = raw_value(spec, node)
  if v == nil then v = spec.default end
  if v == nil then return nil end
  return resolve(spec, v, ctx)
end

local lazy = {}

-- A map's own options may be large (the list it goes over), and its items rarely look at them.
local function lazy_params(ty, node, ctx)
  local mt = {
    __index = function(p, name)
      local spec = ty.checks[name]
      if not spec or not spec.own then return nil end
      local v = render.value(spec, node, ctx)
      rawset(p, name, v)
      return v
    end,
  }
  return setmetatable({}, mt)
end

--- The parameters `p` of a node, as its type's functions get them.
---@param ty flow.Type
---@param node table
---@param ctx table
---@return table
function render.params(ty, node, ctx)
  if ty.kind == "map" then return lazy_params(ty, node, ctx) end
  local p = {}
  local specs = ty.params
  for i = 1, #specs do
    local spec = specs[i]
    p[spec.name] = render.value(spec, node, ctx)
  end
  return p
end

--- Renders a string or a table of strings that no spec describes.
function render.text(name, v, ctx)
  return walk_option(name, v, lazy, ctx)
end

return render
