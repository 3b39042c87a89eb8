-- Loads a script: runs it, checks the flows it returns, builds their graphs.
local build = require "flow.build"
local calls = require "flow.calls"
local check = require "flow.check"
local context = require "flow.context"
local dag = require "flow.dag"
local environment = require "flow.environment"
local fault = require "flow.fault"
local known = require "flow.known"
local patch = require "flow.patch"
local place = require "flow.place"
local registry = require "flow.registry"
local search = require "flow.search"
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
  check.pattern = function(pattern)
    return pcall(require("flow.core.re").find, "", pattern)
  end
  context.now = function() return require("flow.core.time").now() end
  template.set_zone {
    offset = function(time, tz) return require("flow.core.zone").offset(time, tz) end,
    find = function(there, tz) return require("flow.core.zone").find(there, tz) end,
  }
end

local undo -- what unload() has to put back
local globals -- of the script that was loaded last

local function install(options, sources)
  local templates = search.templates
  registry.reset(options.natives, function(name) return search.node_type(sources, name) end,
    function() return search.node_names(sources) end)
  dag.reset(options.language, options.sources ~= nil)
  share_modules()
  connect_modules()
  local args = { [0] = options.path }
  for i, text in ipairs(options.args or {}) do args[i] = text end
  globals = environment.new(args)
  local undo_search = search.install(sources, globals)
  local undo_environment = environment.install()
  local quiet, is_program = context.quiet, context.is_program
  context.quiet = options.worker or false
  undo = function()
    undo_environment()
    undo_search()
    search.templates = templates
    context.quiet, context.is_program = quiet, is_program
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

-- Of a script that broke off: mistakes in what it declared before may be why.
local function raise_all(err)
  local faults = {}
  for _, state in ipairs(dag.all) do
    for _, one in ipairs(check.flow(state, false)) do faults[#faults + 1] = one end
  end
  if fault.is(err) then faults[#faults + 1] = err end
  error(faults[1] and check.message(faults) or message_of(err), 0)
end

local function run_script(sources, options, args)
  local text = sources:read(options.name)
  if not text then error(("cannot read '%s'"):format(options.path), 0) end
  local chunk = search.load(text, options.path)
  sources:read_mentioned(text)
  context.is_program = not sources:mentions "flow"
  local results = { xpcall(chunk, on_error, unpack(args)) }
  if not results[1] then raise_all(results[2]) end
  local count = table.maxn(results)
  if count > 2 and known.is_flow(results[2]) then -- `return f, g`: the same as a list
    return { unpack(results, 2, count) }, true
  end
  return results[2], count > 1
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

-- Patches of a run give its nodes other options. The script is sound by then.
local function apply_overrides(states, overrides)
  for _, state in ipairs(states) do
    if state.key == overrides.flow then
      patch.apply_options(state, overrides.inherited, true)
      patch.apply_options(state, overrides.options)
      local bad = check.flow(state, true)[1]
      if bad then error(patch.option_fault(state, overrides.options, bad.message), 0) end
    end
  end
end

local function compile(states, options)
  local faults = {}
  faults[1] = key_fault(states)
  for _, state in ipairs(states) do
    for _, one in ipairs(check.flow(state, true)) do faults[#faults + 1] = one end
  end
  calls.check(states, faults)
  if faults[1] then error(check.message(faults), 0) end
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
---@return table script { flows =, returned =, sources =, missed =, shareable =, ran =, notices = }
function loader.load(options)
  local sources = search.sources(options.dir, options.path, options.sources)
  local args = install(options, sources)
  local ok, result, returned = pcall(run_script, sources, options, args)
  if not ok then error(message_of(result), 0) end
  local script = { flows = {}, sources = sources.list, missed = sources.missed, returned = 0,
    shareable = sources.shareable, notices = {} }
  if not returned or result == nil then
    script.ran, script.shareable = true, false
    local state = dag.all[1]
    if state then
      error(("%s: %s: is defined, but the script returns no flow: end it with `return f`")
        :format(place.show(state.place), state.key), 0)
    end
    return script
  end
  local states = returned_states(result, options.path)
  script.returned = #states
  calls.add_flows(states)
  script.flows = compile(states, options)
  for _, state in ipairs(states) do
    for _, notice in ipairs(state.notices) do script.notices[#script.notices + 1] = notice end
  end
  if not dag.kept then
    for _, text in ipairs(sources:nowhere()) do script.notices[#script.notices + 1] = text end
  end
  local own = {} -- what was required from beside the script
  for _, name in ipairs(sources.modules) do own[name] = true end
  for _, flow in ipairs(script.flows) do
    flow.own_modules, flow.siblings = own, script.flows
  end
  script.shareable = sources.shareable -- node types are found while flows are compiled
  if states[1].language >= 2 then environment.seal(globals) end
  return script
end

return loader
