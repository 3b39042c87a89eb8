-- What a node does, as one text: equal texts mean the same definition, whatever its place, layout
-- or comments. Functions count by their bytecode and by what they close over.
local known = require "flow.known"
local options = require "flow.options"
local value = require "flow.value"

local definition = {}

local DEPTH_MAX = 16
local add_value, add_options

local function sorted_keys(t)
  local keys = {}
  for key in next, t do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if type(a) == type(b) and type(a) ~= "boolean" then return a < b end
    return type(a) < type(b)
  end)
  return keys
end

-- ------------------------------------------------------------------------------------ functions

-- Constants and instructions of a function's prototype; those of functions inside it follow.
local function add_proto(out, proto, depth)
  local util = require "jit.util"
  local info = util.funcinfo(proto)
  out[#out + 1] = ("f%d,%d,%d"):format(info.params, info.upvalues, info.isvararg and 1 or 0)
  for pc = 1, info.bytecodes - 1 do
    out[#out + 1] = ("%x"):format((util.funcbc(proto, pc)) % 2 ^ 32)
  end
  for i = 0, info.nconsts - 1 do out[#out + 1] = ("%.17g"):format(util.funck(proto, i)) end
  for i = 1, info.gcconsts do
    local constant = util.funck(proto, -i)
    if type(constant) == "proto" then
      add_proto(out, constant, depth + 1)
    else
      add_value(out, constant, depth + 1)
    end
  end
end

local function add_function(out, fn, depth)
  local seen = out.seen
  if seen[fn] then
    out[#out + 1] = "same" .. seen[fn]
    return
  end
  out.count = out.count + 1
  seen[fn] = out.count
  local info = require("jit.util").funcinfo(fn)
  if not info.bytecodes then
    out[#out + 1] = "builtin"
    return
  end
  jit.flush(fn, true) -- compiled code stands in the instructions that led to it
  add_proto(out, fn, depth)
  for i = 1, info.upvalues do
    local name, v = debug.getupvalue(fn, i)
    out[#out + 1] = tostring(name)
    add_value(out, v, depth + 1)
  end
end

-- ------------------------------------------------------------------------------------ values

local function add_table(out, t, depth)
  if out.seen[t] then
    out[#out + 1] = "same" .. out.seen[t]
    return
  end
  out.count = out.count + 1
  out.seen[t] = out.count
  out[#out + 1] = "{"
  for _, key in ipairs(sorted_keys(t)) do
    out[#out + 1] = type(key) == "number" and ("%.17g"):format(key) or tostring(key)
    add_value(out, t[key], depth + 1)
  end
  out[#out + 1] = "}"
end

-- Modules, classes and other tables with behaviour stand for themselves: only data counts.
local function is_data(t)
  return getmetatable(t) == nil or value.is_list(t)
end

add_value = function(out, v, depth)
  local kind = type(v)
  if depth > DEPTH_MAX then
    out[#out + 1] = "deep"
  elseif kind == "function" then
    add_function(out, v, depth)
  elseif kind == "number" then
    out[#out + 1] = ("%.17g"):format(v)
  elseif kind == "string" then
    out[#out + 1] = ("%q"):format(v)
  elseif known.is_flow(v) then
    out[#out + 1] = "flow " .. known.flows[v].key
  elseif known.node_type(v) then
    out[#out + 1] = "node " .. known.node_type(v).name
    add_options(out, v, depth + 1)
  elseif kind == "table" and v ~= value.null and is_data(v) and not out.modules[v] then
    add_table(out, v, depth)
  else
    out[#out + 1] = kind == "boolean" and tostring(v) or kind
  end
end

-- The options that say what a node does, sorted; when and how often it is tried is left out.
local function defining_keys(node)
  local checks, keys = known.node_type(node).checks, {}
  for _, key in ipairs(sorted_keys(node)) do
    if not (checks[key] and checks[key].mends) then keys[#keys + 1] = key end
  end
  return keys
end

add_options = function(out, node, depth)
  for _, key in ipairs(defining_keys(node)) do
    out[#out + 1] = tostring(key)
    add_value(out, node[key], depth + 1)
  end
end

-- The modules that are not the script's own, looked up once a flow: a large one asks for each of
-- its nodes.
local function loaded_modules(flow)
  if not flow.modules then
    flow.modules = {}
    for name, module in next, package.loaded do
      if type(module) == "table" and not (flow.own_modules or {})[name] then
        flow.modules[module] = true
      end
    end
  end
  return flow.modules
end

--- The definition of a node of a built flow.
---@param flow table compiled
---@param node integer from 0
---@return string
function definition.text(flow, node)
  local out = { seen = {}, count = 0, modules = loaded_modules(flow) }
  local given = flow.nodes[node + 1]
  local ty = known.node_type(given)
  out[1] = ty.name
  if ty.hooks.run then add_value(out, ty.hooks.run, 1) end
  if ty.hooks.command then add_value(out, ty.hooks.command, 1) end
  add_options(out, given, 0)
  for _, name in ipairs(options.defining) do
    if given[name] == nil and flow.defaults[name] ~= nil then
      out[#out + 1] = name
      add_value(out, flow.defaults[name], 0)
    end
  end
  return table.concat(out, "\n")
end

--- The same option by option, to say which of them differ: { name = text }.
---@return table<string, string>
function definition.parts(flow, node)
  local modules, parts = loaded_modules(flow), {}
  local function describe(name, v)
    local out = { seen = {}, count = 0, modules = modules }
    add_value(out, v, 0)
    parts[name] = table.concat(out, "\n")
  end
  local given = flow.nodes[node + 1]
  local ty = known.node_type(given)
  parts.type = ty.name
  if ty.hooks.run or ty.hooks.command then describe("the code of its type", ty.hooks) end
  for _, key in ipairs(defining_keys(given)) do
    -- The positional entries are a node's main thing.
    describe(type(key) == "number" and ("[%d]"):format(key) or tostring(key), given[key])
  end
  for _, name in ipairs(options.defining) do
    if given[name] == nil and flow.defaults[name] ~= nil then
      describe(name, flow.defaults[name])
    end
  end
  return parts
end

return definition
