-- Node types: defining them, finding them by name, and the constructors that make nodes.
--
-- A node is the table that the user gave, with the metatable of its type; nothing is copied. Its
-- line waits here until the node gets its name.
local fault = require "flow.fault"
local known = require "flow.known"
local options = require "flow.options"
local place = require "flow.place"
local schema = require "flow.schema"
local suggest = require "flow.suggest"
local synonyms = require "flow.synonyms"

local registry = {}

---@class flow.Type
---@field name string
---@field kind "process"|"worker"|"map"|"branch"|"call"|"native"
---@field params flow.Spec[] its own options, by order of name, with `name` each
---@field checks table<string, flow.Spec> every option that its nodes take
---@field option_names string[] the same as a list, own ones first
---@field positional flow.Spec? what the positional entries are
---@field node_param string? of a map: the parameter that may hold an inner node
---@field hooks table run, resume, cancel, command, expand, choose, call, check
---@field inline boolean?

local types, constructors, type_of_constructor
local list_files -- function() -> names of types in files that may be found
local search -- function(name) -> loads the file of a type, returns what it returned, and where from
local natives = {}

-- ------------------------------------------------------------------------------------ nodes

local last_node, last_place
local places = setmetatable({}, { __mode = "k" })

-- Most nodes get their name right after they are made: one slot spares them a table entry.
local function remember(node, where)
  if last_node then places[last_node] = last_place end
  last_node, last_place = node, where
end

--- The line where `node` was made.
function registry.place_of(node)
  if node == last_node then return last_place end
  return places[node]
end

--- Gives up the line of `node` to the caller, and marks it as named.
function registry.take(node)
  local where = last_place
  if node == last_node then
    last_node = nil
  else
    where = places[node]
    places[node] = nil
  end
  setmetatable(node, known.node_marks[getmetatable(node)].type.named)
  return where
end

function registry.is_named(node) return known.node_marks[getmetatable(node)].named end

local function copy_options(t)
  local copy = {}
  for key, v in next, t do copy[key] = v end
  return copy
end

local function make_constructor(ty)
  local fresh = ty.fresh
  local function construct(t)
    local where = place.of_call(construct)
    -- The main thing alone needs no table: flow.shell "make".
    if ty.positional and (type(t) == "string" or type(t) == "function") then t = { t } end
    if type(t) ~= "table" then
      fault.raise(where, "flow." .. ty.name, fault.expected("a table of options", t))
    end
    if getmetatable(t) ~= nil then
      if not known.node_type(t) then
        fault.raise(where, "flow." .. ty.name, "expected a plain table, got one with a metatable")
      end
      t = copy_options(t) -- one table of options used for several nodes
    end
    setmetatable(t, fresh)
    remember(t, where)
    return t
  end
  return construct
end

-- ------------------------------------------------------------------------------------ definition

-- What `flow` has itself.
local reserved = {
  dag = true, node_type = true, cron = true, every = true, null = true, list = true, next = true,
  date = true, days_before = true, days_after = true,
  nodes = true, key = true, info = true, version = true, advise = true, patch = true,
  duration = true,
  size = true,
}

--- The names that `flow` has itself, sorted.
function registry.reserved()
  local names = {}
  for name in next, reserved do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function add_checks(ty, list)
  for _, spec in ipairs(list) do
    ty.checks[spec.name] = spec
    ty.option_names[#ty.option_names + 1] = spec.name
  end
end

-- Which hook decides what a type is; a text when they do not fit together.
local function kind_of(raw)
  local main
  for _, name in ipairs { "expand", "choose", "call", "command", "run" } do
    if raw[name] and not (main == "expand" and (name == "run" or name == "command")) then
      if main then return nil, ("has both `%s` and `%s`"):format(main, name) end
      main = name
    end
  end
  if not main then return nil, "expected one of `run`, `command`, `expand`, `choose`, `call`" end
  if raw.expand and raw.run and raw.command then return nil, "has both `run` and `command`" end
  if (raw.resume or raw.cancel) and not raw.run then
    return nil, "`resume` and `cancel` need `run`"
  end
  local kinds = { expand = "map", choose = "branch", call = "call", command = "process",
    run = "worker" }
  return kinds[main]
end

local function add_param(ty, name, raw, where)
  local path = ("flow.node_type.%s.params.%s"):format(ty.name, name)
  local spec, problem, field = schema.spec(raw)
  if not spec then fault.raise(where, field and path .. "." .. field or path, problem) end
  if ty.checks[name] then
    fault.raise(where, path, "every node of this type takes an option of that name")
  end
  spec.name = name
  spec.own = true
  if spec.positional then
    if ty.positional then
      fault.raise(where, path, ('positional already: "%s"'):format(ty.positional.name))
    end
    if spec.positional == "rest" and not (spec.types[1] == "list" and #spec.types == 1) then
      fault.raise(where, path, 'positional = "rest" needs the type "list"')
    end
    ty.positional = spec
  end
  for _, kind in ipairs(spec.types) do
    if kind == "node" then ty.node_param = name end
  end
  ty.params[#ty.params + 1] = spec
end

local function sorted_names(map)
  local names = {}
  for name in next, map or {} do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function finish_type(ty)
  local own = {}
  for i, spec in ipairs(ty.params) do
    ty.checks[spec.name] = spec
    own[i] = spec.name
  end
  for _, name in ipairs(ty.option_names) do own[#own + 1] = name end
  ty.option_names = own
  ty.fresh, ty.named = {}, {}
  known.node_marks[ty.fresh] = { type = ty, named = false }
  known.node_marks[ty.named] = { type = ty, named = true }
  local constructor = make_constructor(ty)
  types[ty.name], constructors[ty.name] = ty, constructor
  type_of_constructor[constructor] = ty
  return constructor
end

local function new_type(name, kind, hooks)
  local ty = {
    name = name, kind = kind, hooks = hooks, params = {}, checks = {}, option_names = {},
    inline = hooks.inline,
  }
  add_checks(ty, options.node)
  if kind == "process" or hooks.command then add_checks(ty, options.process) end
  if kind == "worker" or kind == "map" then add_checks(ty, options.code) end
  if kind == "map" then add_checks(ty, options.map) end
  return ty
end

local function check_fields(raw, where)
  local path = "flow.node_type"
  if type(raw) ~= "table" then fault.raise(where, path, fault.expected("a table", raw)) end
  if type(raw.name) == "string" then path = path .. "." .. raw.name end
  for _, name in ipairs(sorted_names(raw)) do
    local spec = options.node_type[name]
    if not spec then
      fault.raise(where, path .. "." .. tostring(name),
        "unknown option" .. suggest.hint(name, options.node_type.names))
    end
    local ok, problem = schema.check(spec, raw[name])
    if not ok then
      fault.raise(where, path .. "." .. name .. (problem.path or ""), schema.problem_text(problem))
    end
  end
  if raw.name == nil then fault.raise(where, path .. ".name", "expected a name, got nothing") end
  if reserved[raw.name] then fault.raise(where, path, ("flow.%s is taken"):format(raw.name)) end
  return path
end

--- Defines a node type; returns its constructor. Raises a fault at `where`.
---@param raw table
---@param where number?
---@return function constructor
function registry.define(raw, where)
  local path = check_fields(raw, where)
  if types[raw.name] then fault.raise(where, path, "a node type of this name exists already") end
  local kind, problem = kind_of(raw)
  if not kind then fault.raise(where, path, problem) end
  local hooks = {}
  for name, v in next, raw do hooks[name] = v end
  local ty = new_type(raw.name, kind, hooks)
  ty.doc = raw.doc
  for _, name in ipairs(sorted_names(raw.params)) do add_param(ty, name, raw.params[name],
    where) end
  return finish_type(ty)
end

local function define_native(name)
  local ty = new_type(name, "native", {})
  ty.open = true -- any further option is passed on
  return finish_type(ty)
end

-- ------------------------------------------------------------------------------------ finding

--- Forgets everything: a new script is being loaded.
---@param native_names? string[]
---@param find_file? fun(name: string): any, string?
---@param list? fun(): string[]
function registry.reset(native_names, find_file, list)
  types, constructors = {}, {}
  type_of_constructor = setmetatable({}, { __mode = "k" })
  natives, search, list_files = {}, find_file, list
  last_node, last_place = nil, nil
  for _, name in ipairs(native_names or {}) do natives[name] = true end
end

registry.reset()

--- Names of the types that come with FlowLua, sorted.
function registry.built_in()
  local names = {}
  for module in next, package.preload do
    local name = type(module) == "string" and module:match "^stdlib%.node%.([%w_]+)$"
    if name then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function all_names()
  local names, seen = registry.built_in(), {}
  for _, name in ipairs(list_files and list_files() or {}) do names[#names + 1] = name end
  for _, name in ipairs(names) do seen[name] = true end
  for _, set in ipairs { types, natives, reserved } do
    for _, name in ipairs(sorted_names(set)) do
      if not seen[name] then names[#names + 1] = name end
      seen[name] = true
    end
  end
  return names
end

local function load_file(name, where)
  if not search then return nil end
  local result, file = search(name)
  if not file then return nil end
  local ty = type_of_constructor[result]
  if not ty then
    fault.raise(where, file, "expected it to return flow.node_type{...}, got "
      .. fault.describe(result))
  end
  if ty.name ~= name then
    fault.raise(where, file, ('defines the node type "%s": its name must be "%s", as the file\'s')
      :format(ty.name, name))
  end
  return constructors[name]
end

--- The constructor of a type that was used before, or nil.
function registry.known(name) return constructors[name] end

--- The constructor of node type `name`; raises a fault at `where` when there is none.
---@param name string
---@param where number?
---@return function
function registry.constructor(name, where)
  local constructor = constructors[name]
  if constructor then return constructor end
  if type(name) ~= "string" then
    fault.raise(where, "flow", fault.expected("the name of a node type", name))
  end
  if natives[name] then return define_native(name) end
  constructor = load_file(name, where)
  if constructor then return constructor end
  local hint = synonyms.hint("type", name, all_names())
  if hint == "" then hint = "; there is " .. table.concat(registry.built_in(), ", ") end
  fault.raise(where, "flow." .. name, "unknown node type" .. hint)
end

--- Every type known so far, for the reference.
function registry.get(name)
  registry.constructor(name)
  return types[name]
end

return registry
