-- What was typed as flags of a resume, as a patch: whose it is, and of which type.
local declared = require "flow.options"
local known = require "flow.known"
local params = require "flow.params"
local patch_keys = require "flow.patch_keys"
local patch_path = require "flow.patch_path"
local schema = require "flow.schema"
local value = require "flow.value"

local patch_text = {}

local flags = {}
for _, key in ipairs(patch_keys) do flags[key.name] = key.flag end

-- JSON, else text; but what begins as JSON is meant as JSON.
local function parse(text, flag)
  local result, problem = value.parse(text)
  if problem and text:find "^%s*[%[{]" and not text:find "^%s*{{" then
    error(("--%s: %s: %s"):format(flag, text, problem), 0)
  end
  if problem then return text end
  if result == nil then return value.null end
  return result
end

local is_text = { string = true, word = true, name = true, zone = true, enum = true }

-- Whether a text, and whether anything that is written with brackets is of this type.
local function takes(spec)
  local text, brackets = false, false
  for _, name in ipairs(spec.types) do
    if name == "any" then return false, true end
    text = text or is_text[name]
    brackets = brackets or name == "list" or name == "map"
  end
  return text, brackets
end

-- Text where only a text fits, else JSON; null: as if the option was not given.
local function parse_option(spec, text, flag)
  local as_text, brackets = false, true
  if spec then as_text, brackets = takes(spec) end
  if not as_text then return parse(text, flag) end
  if text:find "^%s*{{" then return text end
  if brackets and text:find "^%s*[%[{]" then return parse(text, flag) end
  local result, problem = value.parse(text)
  if not problem and (result == nil or result == value.null) then return value.null end
  if problem or type(result) == "string" or not schema.check(spec, result) then return text end
  -- 1.10 is another text than 1.1.
  return value.text(result) == text and result or text
end

-- What an option of a node may be; nil: nobody knows.
local function spec_of(node, option)
  local ty = known.node_type(node)
  if not ty then return nil end
  if ty.checks[option] then return ty.checks[option] end
  local head, rest = option:match "^([^.]+)%.(.+)$"
  if not head then return nil end
  if known.node_type(node[head]) then return spec_of(node[head], rest) end
  if head == "limits" then return declared.limits[rest] end
  return ty.checks[head] and ty.checks[head].of
end

-- "NODE.key=value": names of nodes may hold dots, so the longest one that leads to a node.
local function split_path(flow, text, flag, find_flow)
  local whole, rest = text:match "^([^=]+)=(.*)$"
  local at = whole and #whole
  while at do
    at = whole:sub(1, at - 1):match ".*()%."
    local name = at and at > 1 and at < #whole and whole:sub(1, at - 1)
    local node = name and patch_path.options(flow, name, find_flow)
    if node then return name, whole:sub(at + 1), rest, node end
  end
  local name, key = (whole or ""):match "^([^.]+)%.(.+)$"
  if not name then
    error(("--%s: expected NODE.k=v, got '%s'"):format(flag, text), 0)
  end
  return name, key, rest
end

-- "name=value", or "name:=JSON": then the third is true.
local function split(text, flag, form)
  local name, rest = text:match "^([^=]+)=(.*)$"
  if not name then error(("--%s: expected %s, got '%s'"):format(flag, form, text), 0) end
  local forced = name:match "^(.+):$"
  return forced or name, rest, forced ~= nil
end

-- What was asked to be JSON.
local function parse_json(text, flag)
  local result, problem = value.parse(text)
  if problem then error(("--%s: %s: %s"):format(flag, text, problem), 0) end
  if result == nil then return value.null end
  return result
end

-- Both are of nodes, by their keys.
local function add_maps(more, flow, request, find_flow)
  for _, key in ipairs { "outputs", "options" } do
    local flag = flags[key]
    for _, text in ipairs(request[key] or {}) do
      local name, inner, rest, node = split_path(flow, text, flag, find_flow)
      local forced = inner:match "^(.+):$"
      local to = more[key] or {}
      more[key] = to
      to[name] = to[name] or {}
      if forced then
        to[name][forced] = parse_json(rest, flag)
      elseif key == "options" then
        to[name][inner] = parse_option(spec_of(node, inner), rest, flag)
      else
        to[name][inner] = parse(rest, flag)
      end
    end
  end
end

local as_given = { names = true, text = true, flag = true }

--- What the flags of a request say, as a patch. Raises a sentence.
---@param flow table compiled: the flow that goes on
---@param find_flow fun(key: string): table? others of its script
---@return table
function patch_text.build(flow, request, find_flow)
  local more = {}
  for _, key in ipairs(patch_keys) do
    if as_given[key.shape] and not key.typed then more[key.name] = request[key.name] end
  end
  local function each(key, add)
    for _, text in ipairs(request[key] or {}) do
      more[key] = more[key] or {}
      add(more[key], text)
    end
  end
  if request.params then more.params = params.parse(flow.params, flow.key, request.params) end
  each("vars", function(to, text)
    local name, rest, forced = split(text, flags.vars, "k=v")
    local was_text = not forced and (request.text_vars or {})[name]
    to[name] = was_text and rest or (forced and parse_json or parse)(rest, flags.vars)
  end)
  add_maps(more, flow, request, find_flow)
  each("checkpoints", function(to, text)
    local name, rest, forced = split(text, flags.checkpoints, "NODE=value")
    to[name] = (forced and parse_json or parse)(rest, flags.checkpoints)
  end)
  for _, name in ipairs(request.drop_checkpoints or {}) do
    more.checkpoints = more.checkpoints or {}
    if more.checkpoints[name] ~= nil then
      error(("node '%s': --%s or --%s, not both"):format(name, flags.checkpoints,
        flags.drop_checkpoints), 0)
    end
    more.checkpoints[name] = value.null
  end
  each("succeed", function(to, text)
    local name, rest = text:match "^([^=]+)=(.*)$"
    if rest then to[name] = parse(rest, flags.succeed) else to[text] = {} end
  end)
  each("rename", function(to, text)
    local old, new = split(text, flags.rename, "OLD=NEW")
    to[old] = new
  end)
  return more
end

return patch_text
