-- What an option may be: one table an option (type, default, bounds, doc), from which checking,
-- defaults, messages, the reference page and the types come.
--
-- spec = { "integer|function", default =, required =, min =, max =, enum =, of =, doc =, show = }
--   `of` is the spec (or type name) of the elements of a list or map. `show` is the default as the
--   reference prints it, where that is no plain value.
-- A check returns true and the normalised value, or false and a problem
--   { path = "[2].name", expected =, got =, note = }.
local fault = require "flow.fault"
local known = require "flow.known"
local suggest = require "flow.suggest"

local schema = {}

---@class flow.Spec
---@field types string[] alternatives
---@field default any
---@field required boolean?
---@field min number?
---@field max number?
---@field enum string[]?
---@field of flow.Spec?
---@field positional boolean|"rest"|nil
---@field template "text"|"words"|"shell"|"sql"|false|nil how {{ }} in it is rendered
---@field read_by string? of a shell's text: the option that says what reads it
---@field doc string?

-- ------------------------------------------------------------------------------------ units

local duration_units = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400 }
local size_units = { K = 2 ^ 10, M = 2 ^ 20, G = 2 ^ 30, T = 2 ^ 40 }

--- Seconds of "500ms", "1h30m", "10" or a number; nil when it is no duration.
---@return number?
function schema.duration(value)
  if type(value) == "number" then return value >= 0 and value < 1e12 and value or nil end
  if type(value) ~= "string" then return nil end
  local plain = value:match "^%d+%.?%d*$"
  if plain then return tonumber(plain) end
  local total, last, at = 0, math.huge, 1
  while at <= #value do
    local number, unit, rest = value:match("^(%d+%.?%d*)(%a+)()", at)
    local factor = unit and duration_units[unit]
    if not factor or factor >= last then return nil end
    total, last, at = total + tonumber(number) * factor, factor, rest
  end
  return at > 1 and total < 1e12 and total or nil
end

--- Bytes of "64K", "1.5M", "2G" or a number; nil when it is no size.
---@return number?
function schema.size(value)
  if type(value) == "number" then
    return value >= 0 and value == math.floor(value) and value < 2 ^ 53 and value or nil
  end
  if type(value) ~= "string" then return nil end
  local number, unit = value:match "^(%d+%.?%d*)([KMGTkmgt]?)$"
  if not number then return nil end
  local bytes = math.floor(tonumber(number) * (size_units[unit:upper()] or 1) + 0.5)
  return bytes < 2 ^ 53 and bytes or nil
end

-- ------------------------------------------------------------------------------------ words

local function join_words(words, last)
  if #words == 1 then return words[1] end
  return table.concat(words, ", ", 1, #words - 1) .. " " .. last .. " " .. words[#words]
end

local function expected_number(spec, noun)
  local min, max = spec.min, spec.max
  local article = noun == "integer" and "an " or "a "
  if min == 0 and not max then return "a non-negative " .. noun end
  if min == 1 and not max and noun == "integer" then return "a positive integer" end
  local show = fault.describe
  if min and max then return article .. noun .. " from " .. show(min) .. " to " .. show(max) end
  if min then return article .. noun .. " of at least " .. show(min) end
  if max then return article .. noun .. " of at most " .. show(max) end
  return article .. noun
end

local function in_bounds(spec, value)
  return (not spec.min or value >= spec.min) and (not spec.max or value <= spec.max)
end

-- ------------------------------------------------------------------------------------ types

local check -- (spec, value, visit) -> ok, value | problem
local types = {} -- name -> { noun = text or function(spec), check = function(spec, value, visit) }

local function plain(noun, accepts)
  return { noun = noun, check = function(_, value) return accepts(value), value end }
end

local function is_list(value)
  if type(value) ~= "table" or known.node_type(value) or known.is_flow(value) then return false end
  local count = #value
  local seen = 0
  for key in next, value do
    if type(key) ~= "number" then return false end
    seen = seen + 1
  end
  return seen == count
end
schema.is_list = is_list

local function is_map(value)
  if type(value) ~= "table" or known.node_type(value) or known.is_flow(value) then return false end
  for key in next, value do
    if type(key) ~= "string" then return false end
  end
  return true
end

types.any = plain("a value", function() return true end)
types.string = plain("a string", function(v) return type(v) == "string" end)
types.boolean = plain("true or false", function(v) return type(v) == "boolean" end)
types["function"] = plain("a function", function(v) return type(v) == "function" end)
types.node = plain("a node such as flow.shell{...}", function(v)
  return known.node_type(v) ~= nil
end)
types.flow = plain("a flow", known.is_flow)
types.word = plain("a string or number", function(v)
  return type(v) == "string" or type(v) == "number" and v == v and math.abs(v) ~= math.huge
end)
types.name = plain("a name (letters, digits, _ . -)", function(v)
  return type(v) == "string" and #v <= 128 and v:find "^[A-Za-z_][A-Za-z0-9_.-]*$" ~= nil
end)
types.zone = plain('a time zone such as "UTC" or "Asia/Shanghai"', function(v)
  return type(v) == "string" and not v:find("\0", 1, true) and require("flow.core.zone").is_known(v)
end)
types.number = {
  noun = function(spec) return expected_number(spec, "number") end,
  check = function(spec, v)
    if type(v) == "cdata" then return in_bounds(spec, v), v end -- an integer past 2^53
    return type(v) == "number" and v == v and math.abs(v) ~= math.huge and in_bounds(spec, v), v
  end,
}
types.integer = {
  noun = function(spec) return expected_number(spec, "integer") end,
  check = function(spec, v)
    -- JSON's integers past 2^53 are cdata.
    if type(v) == "cdata" then
      return tostring(v):find "^-?%d+U?LL$" ~= nil and in_bounds(spec, v), v
    end
    return type(v) == "number" and v == math.floor(v) and math.abs(v) <= 2 ^ 53
      and in_bounds(spec, v), v
  end,
}
types.duration = {
  noun = 'a duration such as 1.5, "500ms", "10s", "5m", "2h" or "1d"',
  check = function(_, v)
    local seconds = schema.duration(v)
    return seconds ~= nil, seconds
  end,
}
types.size = {
  noun = 'a size such as 4096, "64K", "1M" or "2G"',
  check = function(_, v)
    local bytes = schema.size(v)
    return bytes ~= nil, bytes
  end,
}
types.enum = {
  noun = function(spec)
    local words = {}
    for i, word in ipairs(spec.enum) do words[i] = '"' .. word .. '"' end
    return join_words(words, "or")
  end,
  check = function(spec, v)
    for _, word in ipairs(spec.enum) do
      if v == word then return true, v end
    end
    return false
  end,
}

-- Checks the elements of a table; copies it only when an element is normalised to something else.
local function check_elements(spec, value, visit, show_key)
  local of, copy = spec.of, nil
  if not of then return true, value end
  local problem_key, problem
  for key, element in next, value do
    local ok, result = check(of, element, visit)
    if not ok then
      -- The first by order of keys, so that the message is always the same.
      if problem_key == nil or key < problem_key then problem_key, problem = key, result end
    elseif result ~= element then
      if not copy then
        copy = {}
        for k, v in next, value do copy[k] = v end
      end
      copy[key] = result
    end
  end
  if not problem then return true, copy or value end
  problem.path = show_key(problem_key) .. (problem.path or "")
  return false, problem
end

local function of_noun(spec, noun)
  if not spec.of or spec.of.types[1] == "any" then return "a " .. noun end
  return "a " .. noun .. " of " .. (spec.of.plural or schema.expected(spec.of):gsub("^an? ", "")
    .. "s")
end

types.list = {
  noun = function(spec) return of_noun(spec, "list") end,
  check = function(spec, value, visit)
    if not is_list(value) then return false end
    return check_elements(spec, value, visit, function(key) return "[" .. key .. "]" end)
  end,
}
types.map = {
  noun = function(spec) return of_noun(spec, "map") end,
  check = function(spec, value, visit)
    if not is_map(value) then return false end
    return check_elements(spec, value, visit, function(key) return "." .. key end)
  end,
}

-- ------------------------------------------------------------------------------------ specs

--- What `spec` accepts, in words.
function schema.expected(spec)
  local words = {}
  for i, name in ipairs(spec.types) do
    local noun = types[name].noun
    words[i] = type(noun) == "function" and noun(spec) or noun
  end
  return join_words(words, "or")
end

local spec_fields = {
  default = true, required = true, min = true, max = true, enum = true, of = true, doc = true,
  show = true, positional = true, template = true, read_by = true, plural = true,
}
local spec_field_names = { "default", "required", "min", "max", "enum", "of", "doc", "positional",
  "template", "read_by" }

local type_names = {}
for name in next, types do type_names[#type_names + 1] = name end
table.sort(type_names)

--- All types that a spec may have, sorted.
schema.type_names = type_names

function schema.is_type(name) return types[name] ~= nil end

local type_lists = {} -- by text: a few texts stand for hundreds of specs

-- The words of "integer|string", or nil and the word that is no type.
local function split_types(text)
  local list = type_lists[text]
  if list then return list end
  list = {}
  for word in (text .. "|"):gmatch "(.-)|" do
    if not types[word] then return nil, word end
    list[#list + 1] = word
  end
  type_lists[text] = list
  return list
end

-- Returns a problem text and the field it is about, or nil.
local function spec_problem(raw)
  for key in next, raw do
    if key ~= 1 and not spec_fields[key] then
      return "unknown field" .. suggest.hint(key, spec_field_names), tostring(key)
    end
  end
  if raw.enum ~= nil and (not is_list(raw.enum) or #raw.enum == 0) then
    return fault.expected("a list of strings", raw.enum), "enum"
  end
  for _, bound in ipairs { "min", "max" } do
    if raw[bound] ~= nil and type(raw[bound]) ~= "number" then
      return fault.expected("a number", raw[bound]), bound
    end
  end
  if raw.template ~= nil and raw.template ~= "text" and raw.template ~= "shell"
    and raw.template ~= "sql" and raw.template ~= "words" and raw.template ~= false then
    return fault.expected('"text", "words", "shell", "sql" or false', raw.template), "template"
  end
end

--- Turns `{ "integer", min = 1 }` or `"integer"` into a spec; nil, text and field when it is none.
---@return flow.Spec? spec
---@return string? problem
---@return string? field
function schema.spec(raw)
  if type(raw) == "string" then raw = { raw } end
  if type(raw) ~= "table" then
    return nil, fault.expected('a type such as "string" or { "string" }', raw)
  end
  local text = raw[1]
  if text == nil and raw.enum then text = "enum" end
  if text == "string" and raw.enum then text = "enum" end
  if type(text) ~= "string" then
    return nil, fault.expected("a type such as \"string\" first", text)
  end
  local list, wrong = split_types(text)
  if not list then
    return nil, ('unknown type "%s"%s'):format(wrong, suggest.hint(wrong, type_names))
  end
  local problem, field = spec_problem(raw)
  if problem then return nil, problem, field end
  local spec = { types = list }
  for key, value in next, raw do
    if key ~= 1 then spec[key] = value end
  end
  if raw.of ~= nil then
    spec.of, problem = schema.spec(raw.of)
    if not spec.of then return nil, problem, "of" end
  end
  if text == "enum" and not spec.enum then return nil, "expected a list of words", "enum" end
  if raw.default ~= nil then
    local ok = schema.check(spec, raw.default)
    if not ok then return nil, fault.expected(schema.expected(spec), raw.default), "default" end
  end
  return spec
end

-- `visit(spec, value)` may take a string that is a template: returns true when it did, or a
-- problem.
check = function(spec, value, visit)
  if visit and type(value) == "string" then
    local taken, problem = visit(spec, value)
    if problem then return false, problem end
    if taken then return true, value end
  end
  local deeper
  for _, name in ipairs(spec.types) do
    local ok, result = types[name].check(spec, value, visit)
    if ok then return true, result end
    deeper = deeper or type(result) == "table" and result ~= value and result or nil
  end
  if deeper then return false, deeper end
  local problem = { expected = schema.expected(spec), got = value }
  if spec.enum and type(value) == "string" then problem.note = suggest.hint(value, spec.enum) end
  return false, problem
end

--- True and the normalised value (durations in seconds, sizes in bytes), or false and a problem.
---@param spec flow.Spec
---@param value any
---@param visit? function see above
function schema.check(spec, value, visit) return check(spec, value, visit) end

--- The text of a problem.
function schema.problem_text(problem)
  if problem.text then return problem.text end
  return fault.expected(problem.expected, problem.got) .. (problem.note or "")
end

-- What the row of a built-in option says beside its spec: see flow.options.
local row_fields = { "name", "row", "per", "mends", "by_node" }

--- An ordered list of { name =, "type", ... } as { list of specs with name, by name }.
function schema.options(list)
  local options = { names = {} }
  for i, raw in ipairs(list) do
    local name, own = raw.name, {}
    for _, field in ipairs(row_fields) do own[field], raw[field] = raw[field], nil end
    local spec, problem = schema.spec(raw)
    if not spec then error("option " .. name .. ": " .. problem, 2) end
    for field, v in next, own do spec[field] = v end
    options[i], options[name], options.names[i] = spec, spec, name
  end
  return options
end

return schema
