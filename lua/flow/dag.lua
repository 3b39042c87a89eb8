-- The flow object: assigning a node to one of its fields names the node and keeps its place.
--
-- The object itself stays empty, so that every name is free. Mistakes are kept as faults and told
-- when the script has been read, so that the first one in the source is the one that is told.
local auto = require "flow.auto"
local fault = require "flow.fault"
local known = require "flow.known"
local language = require "flow.language"
local place = require "flow.place"
local registry = require "flow.registry"
local schedule = require "flow.schedule"
local schema = require "flow.schema"
local options = require "flow.options"
local params = require "flow.params"
local suggest = require "flow.suggest"
local synonyms = require "flow.synonyms"
local value = require "flow.value"

local dag = {}

---@class flow.State
---@field key string
---@field place number? line of flow.dag
---@field options table as given
---@field names string[] in order of declaration
---@field nodes table[] the same order
---@field places number[]
---@field by_name table<string, table>
---@field params flow.Spec[]
---@field faults flow.Fault[]
---@field missed { name: string, place: number? }[] reads of nodes that were not there
---@field language integer by which rules it is read (see flow.language)
---@field notices string[]? what is doubtful, once it has been checked
---@field built table? once the graph is there (flow.build)

--- The flows of the script in the order in which they were made.
dag.all = {}

--- Forgets them: a script is loaded, by the rules of `version` (see flow.language). `kept`: a run
--- keeps it, which its schedule starts no more.
---@param version integer?
---@param kept boolean?
function dag.reset(version, kept)
  dag.all = {}
  dag.language, dag.kept = version or language.current, kept or false
end

local find = string.find

local function add_fault(state, where, path, text)
  local faults = state.faults
  faults[#faults + 1] = fault.new(where, path, text)
end

-- ------------------------------------------------------------------------------------ nodes

local function name_of(state, node)
  for i = 1, #state.nodes do
    if state.nodes[i] == node then return state.names[i] end
  end
end

local function refuse_node(state, name, node)
  local where = place.at(4) -- the line of the assignment
  local path = state.key .. "." .. tostring(name)
  if type(name) ~= "string" or not find(name, "^[A-Za-z_][A-Za-z0-9_.-]*$") or #name > 128 then
    path = ("%s[%s]"):format(state.key, fault.describe(name))
    return add_fault(state, where, path,
      "expected a name: a letter or _, then letters, digits, _ . - (at most 128)")
  end
  if state.built then
    return add_fault(state, where, path, "the flow is complete: nothing can be added")
  end
  if not known.node_type(node) then
    local expected = "expected a node such as flow.shell{...}, got " .. fault.describe(node)
    if type(node) == "function" then
      expected = expected .. "; write flow.lua{ run = function(ctx) ... end }"
    end
    return add_fault(state, where, path, expected)
  end
  if state.by_name[name] then
    for i = 1, #state.names do
      if state.names[i] == name then
        return add_fault(state, where, path, "a node of this name exists already, see "
          .. place.show(state.places[i]))
      end
    end
  end
  local other = name_of(state, node)
  add_fault(state, where, path,
    other and ('this node is "%s" already: make another one'):format(other)
    or "this node belongs to another flow already: make another one")
end

local function declare(state, name, node)
  local by_name = state.by_name
  if state.built or type(name) ~= "string" or not find(name, "^[A-Za-z_][A-Za-z0-9_.-]*$")
    or #name > 128 or not known.node_type(node) or by_name[name] or registry.is_named(node) then
    refuse_node(state, name, node)
    -- It is node code that changes a complete flow: nobody looks at faults any more.
    if state.built then error(table.remove(state.faults), 0) end
    return
  end
  local count = #state.names + 1
  state.names[count] = name
  state.nodes[count] = node
  state.places[count] = registry.take(node)
  by_name[name] = node
end

-- Somebody reads a node that is not there: told once all names are known, unless they are.
local function miss(state, name)
  if type(name) ~= "string" or state.language < 2 then return nil end
  if state.built then
    error(fault.new(place.at(3), state.key .. "." .. name, "no node of this name"
      .. suggest.hint(name, dag.nodes(state.object))).message, 0)
  end
  state.missed[#state.missed + 1] = { name = name, place = place.at(3) }
  return nil
end

-- ------------------------------------------------------------------------------------ options

local function check_pools(state)
  for name in next, state.options.pools or {} do
    if not schema.check(schema.spec "name", name) then
      add_fault(state, state.place, state.key .. ".pools." .. name,
        "expected a name (letters, digits, _ . -)")
    end
  end
end

local function check_defaults(state)
  local defaults = state.options.defaults
  local names = {}
  for name in next, defaults do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local path = state.key .. ".defaults." .. name
    local spec = options.node[name] or options.process[name]
    if not spec or spec.by_node then
      local usable = {}
      for _, one in ipairs(options.node) do
        if not one.by_node then usable[#usable + 1] = one.name end
      end
      add_fault(state, state.place, path, spec and "cannot be a default: give it to each node"
        or "unknown option" .. suggest.hint(name, usable))
    else
      local ok, problem = schema.check(spec, defaults[name])
      if not ok then
        add_fault(state, state.place, path .. (problem.path or ""), schema.problem_text(problem))
      end
    end
  end
end

local function check_values(state)
  local given = state.options
  if given.defaults ~= nil then check_defaults(state) end
  if given.pools ~= nil then check_pools(state) end
  if given.auto ~= nil then
    auto.check(state, function(path, text)
      add_fault(state, state.place, state.key .. ".auto" .. path, text)
    end)
  end
  if given.schedule ~= nil then
    -- What was good when a run began stays good: today's clock, calendar and zones change nothing.
    local now = not dag.kept and require("flow.core.time").now() or nil
    state.rules = schedule.compile(given.schedule, given.tz, now, function(where, path, text)
      if dag.kept then return end
      add_fault(state, where or state.place, state.key .. ".schedule" .. path, text)
    end)
  end
  local bad = given.vars ~= nil and value.problem(given.vars, state.key .. ".vars")
  if bad then add_fault(state, state.place, nil, bad) end
  local declared, problem, path = params.declare(given.params, state.language >= 2)
  if declared then
    state.params = declared
  else
    add_fault(state, state.place, state.key .. ".params" .. path, problem)
  end
end

local function check_options(state)
  local names = {}
  for name in next, state.options do names[#names + 1] = tostring(name) end
  table.sort(names)
  local sound = true
  for _, name in ipairs(names) do
    local path, spec = state.key .. "." .. name, options.flow[name]
    if not spec then
      add_fault(state, state.place, path, "unknown option"
        .. synonyms.hint("flow", name, options.flow.names))
    else
      local ok, problem = schema.check(spec, state.options[name])
      if not ok then
        add_fault(state, state.place, path .. (problem.path or ""), schema.problem_text(problem))
        sound = false
      end
    end
  end
  if sound then check_values(state) end
end

-- ------------------------------------------------------------------------------------ flows

--- Makes a flow object. Raises a fault when `key` is no name.
---@param key string
---@param given table?
---@param where number?
---@return table flow object
function dag.new(key, given, where)
  if not schema.check(schema.spec "name", key) then
    fault.raise(where, "flow.dag", fault.expected("a name (letters, digits, _ . -) first", key))
  end
  if given ~= nil and type(given) ~= "table" then
    fault.raise(where, "flow.dag." .. key, fault.expected("a table of options", given))
  end
  local state = {
    key = key, place = where, options = given or {}, names = {}, nodes = {}, places = {},
    by_name = {}, params = {}, faults = {}, missed = {}, language = dag.language,
  }
  check_options(state)
  local object = setmetatable({}, {
    __index = function(_, name)
      local by_name = state.by_name
      if by_name then return by_name[name] or miss(state, name) end
      local index = type(name) == "string" and state.built.graph:find(name)
      return index and state.nodes[index + 1] or miss(state, name)
    end,
    __newindex = function(_, name, node) declare(state, name, node) end,
    __tostring = function() return "flow " .. key end,
  })
  known.flows[object] = state
  state.object = object
  dag.all[#dag.all + 1] = state
  return object
end

--- The state behind a flow object; raises when `object` is none.
---@return flow.State
function dag.state(object, what)
  local state = type(object) == "table" and known.flows[object]
  if not state then error((what or "flow") .. ": " .. fault.expected("a flow", object), 3) end
  return state
end

--- Names of the nodes in order of declaration.
function dag.nodes(object)
  local state = dag.state(object, "flow.nodes")
  local names = {}
  if state.names then
    for i, name in ipairs(state.names) do names[i] = name end
  else
    local graph = state.built.graph
    for i = 1, #state.nodes do
      if not state.built.hook_of[i] then names[i] = graph:name(i - 1) end
    end
  end
  return names
end

--- What flow.dag was given, and the key.
function dag.info(object)
  local state = dag.state(object, "flow.info")
  local info = { key = state.key }
  for name, v in next, state.options do info[name] = v end
  return info
end

return dag
