-- Checks the nodes of a flow and builds its graph. The first fault in the source is the one told.
local auto = require "flow.auto"
local command = require "flow.command"
local core = require "flow.core.graph"
local fault = require "flow.fault"
local known = require "flow.known"
local params = require "flow.params"
local place = require "flow.place"
local registry = require "flow.registry"
local row = require "flow.row"
local schema = require "flow.schema"
local suggest = require "flow.suggest"
local template = require "flow.template"
local value = require "flow.value"

local build = {}

local find, type, next = string.find, type, next
local node_marks = known.node_marks

local hook_names = { "on_success", "on_failure", "on_cancel", "on_exit" }

-- ------------------------------------------------------------------------------------ one node

-- Lets a check pass over a string that is a template, once that is known to be one that compiles.
local function visit(spec, text)
  if spec.template == false or not find(text, "{{", 1, true) then return false end
  local problem = template.problem(text, spec.template or "text")
  if problem then return false, { text = problem } end
  return true
end

-- Options of every node in which templates are rendered; a type's own options all are.
local rendered = { env = true, cwd = true, stdin = true, when = true }

local function check_retry_on(v)
  if type(v) ~= "string" then return nil end
  local ok, problem = build.check_pattern(v)
  if not ok then return { text = (tostring(problem):gsub("^re%.find: ", "")) } end
end

local function check_after(after)
  if type(after) == "string" or known.node_type(after) then return nil end
  if not schema.is_list(after) then
    return { expected = "a name, a node or a list of them", got = after }
  end
  for i = 1, #after do
    if type(after[i]) ~= "string" and not known.node_type(after[i]) then
      return { path = "[" .. i .. "]", expected = "a name or a node", got = after[i] }
    end
  end
end

local function check_when(when)
  if type(when) ~= "string" or template.is(when) or when == "true" or when == "false" then
    return nil
  end
  return { expected = "a function of ctx or a {{ }} expression", got = when }
end

local extra_checks = { limits = command.limits_problem, retry_on = check_retry_on,
  after = check_after, when = check_when }

-- The problem of one named option, or nil.
local function check_option(ty, key, v)
  local spec = ty.checks[key]
  if not spec then
    if ty.open and type(key) == "string" then return nil end
    return { text = "unknown option" .. suggest.hint(key, ty.option_names) }
  end
  local ok, problem = schema.check(spec, v, (spec.own or rendered[key]) and visit or nil)
  if not ok then return problem end
  local extra = extra_checks[key]
  if extra and not spec.own then return extra(v) end
  if key == "inline" and v and not spec.own and not (ty.hooks.run and ty.inline ~= false) then
    return { text = ("a node of type %s cannot run inline"):format(ty.name) }
  end
end

-- The problem of the positional entries, of which there are `count`, and the option they stand for.
local function check_positional(ty, node, count)
  local spec = ty.positional
  if not spec then
    return { text = ("flow.%s has no positional entries"):format(ty.name) }, "[1]"
  end
  if node[spec.name] ~= nil then
    return { text = ("given twice: as `%s` and as positional entry"):format(spec.name) }, spec.name
  end
  for i = 1, count do
    if node[i] == nil then
      return { expected = "positional entries without gaps", got = nil }, ("[%d]"):format(i)
    end
  end
  local v = node[1]
  if spec.positional == "rest" then
    v = {}
    for i = 1, count do v[i] = node[i] end
  elseif count > 1 then
    return { text = ("expected one positional entry, got %d"):format(count) }, spec.name
  end
  local ok, problem = schema.check(spec, v, visit)
  if not ok then return problem, spec.name end
end

local function required_problem(ty, node)
  for _, spec in ipairs(ty.params) do
    if spec.required and node[spec.name] == nil and not (spec.positional and node[1] ~= nil) then
      local expected = schema.expected(spec)
      return { text = ("expected %s%s, got nothing"):format(expected,
        spec.positional and " as positional entry" or "") }, spec.name
    end
  end
end

local check_node

local function check_instances(ty, node)
  local inner = row.instance(ty, node)
  if inner == node then
    if not ty.hooks.run and not ty.hooks.command then
      return { expected = "a node", got = nil }, ty.node_param
    end
    return nil
  end
  local inner_type = known.node_type(inner)
  if not inner_type then return nil end -- told already
  if inner_type.kind == "map" or inner_type.kind == "branch" then
    return { text = ("a node of type %s cannot be inside another"):format(inner_type.name) },
      ty.node_param
  end
  for _, key in ipairs { "after", "when", "trigger", "merge" } do
    if inner[key] ~= nil then
      return { text = "belongs to the node around it" }, ty.node_param .. "." .. key
    end
  end
  local problem, option = check_node(inner_type, inner)
  if problem then
    return problem, ty.node_param .. "." .. option, registry.place_of(inner)
  end
end

-- The first problem of a node by name of option, the option, and its line where that is not the
-- node's own.
check_node = function(ty, node)
  local worst, worst_key
  local count = 0
  for key, v in next, node do
    if type(key) == "number" then
      if key > count then count = key end
    else
      local problem = check_option(ty, key, v)
      if problem and (not worst or tostring(key) < worst_key) then
        worst, worst_key = problem, tostring(key)
      end
    end
  end
  if worst then return worst, worst_key end
  if count > 0 then
    local problem, option = check_positional(ty, node, count)
    if problem then return problem, option end
  end
  local problem, option = required_problem(ty, node)
  if problem then return problem, option end
  if ty.hooks.check then
    local text, name = ty.hooks.check(node)
    if text then return { text = text }, name or "" end
  end
  if ty.kind == "map" then return check_instances(ty, node) end
end

-- ------------------------------------------------------------------------------------ faults

local function node_fault(state, name, where, problem, option)
  local path = state.key .. "." .. name
  if option and option ~= "" then
    path = path .. (find(option, "^%[") and option or "." .. option)
  end
  return fault.new(where, path .. (problem.path or ""), schema.problem_text(problem))
end

-- Of two faults the one that stands first: by line within one file, else the one found first.
local function earlier(a, b)
  if not a or not b then return a or b end
  if not a.place or not b.place then return a end
  local file_a, line_a = place.split(a.place)
  local file_b, line_b = place.split(b.place)
  if file_a == file_b and line_b < line_a then return b end
  return a
end
build.earlier = earlier

local function first_of(state)
  local first
  for _, one in ipairs(state.faults) do first = earlier(first, one) end
  return first
end

-- What a flow's defaults need beside their types.
local function check_defaults(state)
  for _, name in ipairs { "limits", "retry_on" } do
    local v = state.options.defaults and state.options.defaults[name]
    local problem = v ~= nil and #state.faults == 0 and extra_checks[name](v)
    if problem then
      return fault.new(state.place, state.key .. ".defaults." .. name .. (problem.path or ""),
        schema.problem_text(problem))
    end
  end
end

-- The first fault among the nodes' own options.
local function check_nodes(state)
  local nodes, names, places = state.nodes, state.names, state.places
  local first
  for i = 1, #nodes do
    local node = nodes[i]
    local ty = node_marks[getmetatable(node)].type
    local problem, option, where = check_node(ty, node)
    if problem then
      first = earlier(first, node_fault(state, names[i], where or places[i], problem, option))
    end
  end
  for _, hook in ipairs(hook_names) do
    local node = state.options[hook]
    local ty = known.node_type(node)
    if ty then
      local where = registry.place_of(node) or state.place
      local problem, option, inner_where = check_node(ty, node)
      if not problem and (node.after ~= nil or node.when ~= nil) then
        option = node.after ~= nil and "after" or "when"
        problem = { text = "runs at the end of a run: it depends on nothing" }
      end
      if problem then
        first = earlier(first, node_fault(state, hook, inner_where or where, problem, option))
      end
    end
  end
  return first
end

-- ------------------------------------------------------------------------------------ edges

local function owner_of(node)
  for _, state in next, known.flows do
    for i = 1, #state.nodes do
      if state.nodes[i] == node then return state, state.names and state.names[i] end
    end
  end
end

local function reverse(state)
  local reversed = {}
  for i, node in ipairs(state.nodes) do reversed[node] = state.names[i] end
  state.name_of = reversed
  return reversed
end

-- The name that one entry of `after` means, or nil and a problem.
local function after_name(state, entry)
  if type(entry) == "string" then
    if state.by_name[entry] then return entry end
    return nil, { text = ('unknown node "%s"%s'):format(entry, suggest.hint(entry, state.names)) }
  end
  local name = (state.name_of or reverse(state))[entry]
  if name then return name end
  local other, other_name = owner_of(entry)
  if other then
    return nil, { text = ("expected a node of this flow, got %s.%s")
      :format(other.key, other_name or "?") }
  end
  return nil, { text = "expected a node of this flow, got one that was never assigned to it" }
end

local function each_after(after, each)
  if type(after) == "string" or known.node_type(after) then return each(after, "") end
  for i = 1, #after do each(after[i], "[" .. i .. "]") end
end

local function check_edges(state)
  local first
  for i = 1, #state.nodes do
    local after = state.nodes[i].after
    if after ~= nil and not (type(after) == "string" and state.by_name[after])
      and not check_after(after) then
      each_after(after, function(entry, path)
        local _, problem = after_name(state, entry)
        if problem then
          problem.path = path
          first = earlier(first, node_fault(state, state.names[i], state.places[i], problem,
            "after"))
        end
      end)
    end
  end
  return first
end

-- ------------------------------------------------------------------------------------ graph

local function add_node(state, graph, name, node, hook)
  local ty = node_marks[getmetatable(node)].type
  local set, inner = row.make(state, graph, ty, node, hook)
  local index, err = graph:add(name, set)
  if inner then graph:inner(index, inner) end
  return index, err
end

local function add_nodes(state, graph)
  local names, nodes = state.names, state.nodes
  for i = 1, #nodes do
    local index, err = add_node(state, graph, names[i], nodes[i])
    if not index then
      return fault.new(state.places[i], state.key .. "." .. names[i], err.message)
    end
  end
  for _, hook in ipairs(hook_names) do
    local node = state.options[hook]
    if node then
      local where = registry.place_of(node) or state.place
      local index, err = add_node(state, graph, hook, node, hook)
      if not index then return fault.new(where, state.key .. "." .. hook, err.message) end
      nodes[index + 1], state.places[index + 1] = node, where
      state.hook_of[index + 1] = hook
    end
  end
end

local function add_edges(state, graph, count)
  local nodes = state.nodes
  for i = 1, count do
    local after = nodes[i].after
    if type(after) == "string" then
      graph:after(i - 1, after)
    elseif after ~= nil then
      each_after(after, function(entry) graph:after(i - 1, (after_name(state, entry))) end)
    end
  end
end

local function cycle_fault(state, err)
  local name = err.message:match "cycle: ([%w_.-]+)"
  for i = 1, #state.nodes do
    if state.names[i] == name then
      return fault.new(state.places[i], state.key .. "." .. name .. ".after", err.message)
    end
  end
  return fault.new(state.place, state.key, err.message)
end

-- Pools are numbered as they are met: declared ones first, in order of name.
local function pool_table(state)
  local list, index = {}, {}
  local declared = {}
  for name in next, state.options.pools or {} do declared[#declared + 1] = name end
  table.sort(declared)
  local function add(name, capacity)
    list[#list + 1] = { name = name, capacity = capacity }
    index[name] = #list
    return #list
  end
  for _, name in ipairs(declared) do add(name, state.options.pools[name]) end
  state.pool_index = function(name) return index[name] or add(name, 1) end
  return list
end

local function milliseconds(v)
  return v ~= nil and math.floor(schema.duration(v) * 1000 + 0.5) or nil
end

local function info_of(state, pools)
  local given = state.options
  return {
    timeout_ms = milliseconds(given.timeout), max_runs = given.max_runs,
    policy = given.on_failure_policy or "finish", pools = pools, durability = given.durability,
    vars_json = value.encode(given.vars or {}, state.key .. ".vars"), tz = given.tz,
    params_json = value.encode(params.defaults(state.params), state.key .. ".params"),
    has_adviser = given.on_breakpoint and 1 or 0,
    schedule = given.schedule, doc = given.doc, tags = given.tags,
  }
end

-- ------------------------------------------------------------------------------------ flows

-- What rules say of nodes that are not there; only a script that made some has loaded them.
local function check_adviser(state)
  local advise = state.options.on_breakpoint and package.loaded["stdlib.advise"]
  if not advise then return nil end
  local problem = advise.check(state.options.on_breakpoint, state.names)
  return problem and fault.new(state.place, state.key .. ".on_breakpoint", problem)
end

--- The first fault of a flow, or nil. `complete` false: the script broke off, so that a name that
--- stands for no node may only not be there yet.
function build.check(state, complete)
  local first = earlier(first_of(state), check_defaults(state))
  first = earlier(first, check_nodes(state))
  if complete then
    first = earlier(first, check_edges(state))
    first = earlier(first, auto.check_fields(state))
    first = earlier(first, check_adviser(state))
    if not first and #state.nodes == 0 then
      first = fault.new(state.place, state.key, "expected at least one node, got none")
    end
  end
  return first
end

-- What only building needs; a million names are worth letting go.
local function drop(state)
  for i = 1, #state.nodes do
    if state.nodes[i].after ~= nil then state.nodes[i].after = nil end
  end
  state.names, state.by_name, state.name_of, state.rows, state.faults = nil, nil, nil, nil, {}
end

--- Builds a flow that has been checked. Returns the compiled flow, or nil and a fault.
---@param state flow.State
---@return table? compiled
---@return flow.Fault? problem
function build.flow(state)
  if state.built then return state.built end
  local graph, count = core.new(), #state.nodes
  state.rows, state.hook_of = {}, {}
  local pools = pool_table(state)
  local problem = add_nodes(state, graph)
  if problem then return nil, problem end
  add_edges(state, graph, count)
  local ok, err = graph:freeze()
  if not ok then return nil, cycle_fault(state, err) end
  local built = {
    key = state.key, graph = graph, info = info_of(state, pools), nodes = state.nodes,
    places = state.places, hook_of = state.hook_of, defaults = state.options.defaults or {},
    params = state.params, options = state.options, object = state.object,
  }
  drop(state)
  state.built = built
  return built
end

--- How a pattern is checked; the loader puts PCRE2 here.
build.check_pattern = function() return true end

return build
