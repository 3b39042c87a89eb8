-- Loads a script: runs it, checks the flows it returns, builds their graphs.
local build = require "flow.build"
local context = require "flow.context"
local dag = require "flow.dag"
local fault = require "flow.fault"
local host = require "flow.host"
local known = require "flow.known"
local patch = require "flow.patch"
local place = require "flow.place"
local registry = require "flow.registry"
local render = require "flow.render"
local search = require "flow.search"
local suggest = require "flow.suggest"
local template = require "flow.template"
local trace = require "flow.trace"
local value = require "flow.value"

local loader = {}

-- ------------------------------------------------------------------------------------ surroundings

-- The public modules that node types of ours use are also known as flow.<name>: a script's folder
-- may hold a json.lua of its own.
local public = { "fs", "json", "log", "process", "re", "sqlite", "time" }

local function share_modules()
  for _, name in ipairs(public) do
    local load = package.preload[name]
    if load and not package.preload["flow." .. name] then
      local loaded
      local function once()
        if loaded == nil then loaded = load(name) end
        return loaded
      end
      package.preload[name] = once
      package.preload["flow." .. name] = once
    end
  end
end

-- PCRE2 and the clock are loaded when a script first needs them: most never do.
local function connect_modules()
  build.check_pattern = function(pattern)
    return pcall(require("flow.core.re").find, "", pattern)
  end
  host.find_pattern = function(text, pattern)
    return (require("flow.core.re").find(text, pattern)) ~= nil
  end
  context.now = function() return require("flow.core.time").now() end
  template.set_zone(function(time, zone) return require("flow.core.zone").offset(time, zone) end)
end

local undo -- what unload() has to put back

local function install(options, sources)
  local own_print, own_pairs, own_arg, templates = print, pairs, arg, search.templates
  local own_write, own_exit = io.write, os.exit
  registry.reset(options.natives, function(name) return search.node_type(sources, name) end)
  dag.reset()
  host.use {}
  share_modules()
  connect_modules()
  local undo_search = search.install(sources)
  _G.print, _G.pairs = context.print, template.pairs
  context.quiet = options.worker or false
  io.write, os.exit = context.write, context.guard_exit(own_exit)
  local args = { [0] = options.path }
  for i, text in ipairs(options.args or {}) do args[i] = text end
  _G.arg = args
  undo = function()
    undo_search()
    search.templates = templates
    _G.print, _G.pairs, _G.arg = own_print, own_pairs, own_arg
    io.write, os.exit = own_write, own_exit
    context.quiet = false
    host.use {}
  end
  return args
end

--- Undoes what the last load changed in this Lua state: for tests, which load many scripts.
function loader.unload()
  if undo then undo() end
  undo = nil
end

-- ------------------------------------------------------------------------------------ running

local function message_of(err)
  if fault.is(err) then return err.message end
  return err
end

-- A fault passes as it is; anything else becomes a text with the user's frames.
local function on_error(err)
  if fault.is(err) then return err end
  return trace.handler(err)
end

-- Of a script that broke off: a mistake in what it declared before comes first.
local function raise_first(err)
  local first
  for _, state in ipairs(dag.all) do first = build.earlier(first, build.check(state, false)) end
  if fault.is(err) and first and err.place then first = build.earlier(first, err) end
  error(message_of(first or err), 0)
end

local function run_script(sources, options, args)
  local text = sources:read(options.name)
  if not text then error(("cannot read '%s'"):format(options.path), 0) end
  local chunk = search.load(text, options.path)
  sources:read_mentioned(text)
  local results = { xpcall(chunk, on_error, unpack(args)) }
  if not results[1] then raise_first(results[2]) end
  return results[2], table.maxn(results) > 1
end
trace.boundary(run_script)

-- ------------------------------------------------------------------------------------ flows

local function returned_states(result, path)
  if known.is_flow(result) then return { known.flows[result] } end
  local what = "expected the script to return a flow or a list of flows, got "
  if type(result) ~= "table" or #result == 0 then
    error(("%s: %s%s"):format(path, what, fault.describe(result)), 0)
  end
  local states = {}
  for i, object in ipairs(result) do
    if not known.is_flow(object) then
      error(("%s: %s%s at position %d"):format(path, what, fault.describe(object), i), 0)
    end
    states[i] = known.flows[object]
  end
  return states
end

local function key_fault(states)
  local seen = {}
  for _, state in ipairs(states) do
    local other = seen[state.key]
    if other == state then
      return fault.new(state.place, state.key, "is returned twice")
    elseif other then
      return fault.new(state.place, state.key,
        "a flow of this key exists already, see " .. place.show(other.place))
    end
    seen[state.key] = state
  end
end

-- Flows that the returned ones call as objects are flows of the script as well.
local function add_called(states)
  local is_there = {}
  for _, state in ipairs(states) do is_there[state] = true end
  local function look(options)
    local ty = known.node_type(options)
    for _, spec in ipairs(ty and ty.params or {}) do
      local v = render.raw(spec, options)
      if known.is_flow(v) and not is_there[known.flows[v]] then
        is_there[known.flows[v]] = true
        states[#states + 1] = known.flows[v]
      elseif known.node_type(v) then
        look(v)
      end
    end
  end
  local at = 1
  while states[at] do
    for _, options in ipairs(states[at].nodes) do
      local ty = known.node_type(options)
      if ty.kind == "call" or ty.node_param then look(options) end
    end
    at = at + 1
  end
end

-- A call of a flow by a key that no flow of the script has.
local function call_fault(states)
  local keys, is_key = {}, {}
  for i, state in ipairs(states) do
    keys[i] = state.key
    is_key[state.key] = true
  end
  local first
  for _, state in ipairs(states) do
    for i, options in ipairs(state.nodes) do
      local ty = known.node_type(options)
      local key = ty.kind == "call" and ty.checks.flow and render.raw(ty.checks.flow, options)
      if type(key) == "string" and not template.is(key) and not is_key[key] then
        first = build.earlier(first, fault.new(state.places[i],
          ("%s.%s.flow"):format(state.key, state.names[i]),
          ('unknown flow "%s"%s'):format(key, suggest.hint(key, keys))))
      end
    end
  end
  return first
end

-- Patches of a run give its nodes other options. The script is sound by then.
local function apply_overrides(states, overrides)
  for _, state in ipairs(states) do
    if state.key == overrides.flow then
      patch.apply_options(state, overrides.inherited, true)
      patch.apply_options(state, overrides.options)
      local bad = build.check(state, true)
      if bad then error(patch.option_fault(state, overrides.options, bad.message), 0) end
    end
  end
end

local function compile(states, options)
  local first = key_fault(states)
  for _, state in ipairs(states) do first = build.earlier(first, build.check(state, true)) end
  first = first or call_fault(states)
  if first then error(first.message, 0) end
  if options.overrides then apply_overrides(states, value.decode(options.overrides)) end
  local flows = {}
  for i, state in ipairs(states) do
    local flow, problem = build.flow(state)
    if not flow then error(problem.message, 0) end
    flow.dir = options.dir
    flows[i] = flow
  end
  return flows
end

-- ------------------------------------------------------------------------------------ whole

--- Loads the script that `options` name; see the agreement with C. Raises a string: the whole
--- message for the user.
---@param options table
---@return table script { flows =, returned =, sources =, ran =, notice = }
function loader.load(options)
  local sources = search.sources(options.dir, options.path, options.sources)
  local args = install(options, sources)
  local ok, result, returned = pcall(run_script, sources, options, args)
  if not ok then error(message_of(result), 0) end
  local script = { flows = {}, sources = sources.list, returned = 0 }
  if not returned or result == nil then
    script.ran = true
    local state = dag.all[1]
    if state then
      script.notice = ("%s: flow %s is defined, but the script returns nothing: end it with "
        .. "`return`")
        :format(place.show(state.place), state.key)
    end
    return script
  end
  local states = returned_states(result, options.path)
  script.returned = #states
  add_called(states)
  script.flows = compile(states, options)
  local own = {} -- what was required from beside the script
  for _, name in ipairs(sources.modules) do own[name] = true end
  for _, flow in ipairs(script.flows) do flow.own_modules = own end
  host.use(script.flows)
  return script
end

return loader
