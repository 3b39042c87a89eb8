-- What C calls while flows run. `flow` is a position in the script's flows (from 1), `node` an
-- index of its graph (from 0), `inner` true for an instance of the map `node`.
local adviser = require "flow.adviser"
local command = require "flow.command"
local context = require "flow.context"
local definition = require "flow.definition"
local fault = require "flow.fault"
local known = require "flow.known"
local params = require "flow.params"
local patch = require "flow.patch"
local patch_path = require "flow.patch_path"
local place = require "flow.place"
local render = require "flow.render"
local row = require "flow.row"
local suggest = require "flow.suggest"
local template = require "flow.template"
local trace = require "flow.trace"
local value = require "flow.value"

local host = {}

local find, next, type, xpcall, handler = string.find, next, type, xpcall, trace.handler
local node_marks, new_context = known.node_marks, context.new

local flows = {}

-- Defaults of a flow that every command would have to look at.
local function is_plain(defaults)
  for _, name in ipairs { "env", "cwd", "capture", "stdin", "ok_codes", "limits" } do
    if defaults[name] ~= nil then return false end
  end
  return true
end

--- The compiled flows that C names by position.
function host.use(list)
  flows = list
  for _, flow in ipairs(list) do
    flow.is_plain, flow.shared, flow.shared_count = is_plain(flow.defaults), {}, 0
  end
end

-- ------------------------------------------------------------------------------------ who is meant

-- The options that run, their type, and for the inner node of a map the map's options.
local function subject(flow, node, inner)
  local options = flow.nodes[node + 1]
  local ty = node_marks[getmetatable(options)].type
  if not inner then return options, ty end
  local instance, instance_type = row.instance(ty, options)
  if instance == options then return options, ty end
  return instance, instance_type, options
end

local function path_of(flow, node)
  return flow.key .. "." .. (flow.hook_of[node + 1] or flow.graph:name(node))
end

-- The whole message of a failure. What user code raised has its line or frames; what went wrong
-- with an option, or with what user code returned, is told with the node's line.
local function complete(flow, node, err, otherwise)
  local option = render.option
  render.option = nil
  if type(err) ~= "string" then err = err.trace or err.text end
  if option then
    err = err:gsub("\n  at .*$", "")
  elseif find(err, "^[^\n]-:%d+: ") or find(err, "\n  at ", 1, true) then
    return err
  end
  option = option or otherwise
  local path = path_of(flow, node)
  if option then path = path .. "." .. option end
  return trace.cut(fault.new(flow.places[node + 1], path, err).message)
end

-- Calls a hook that may not fail softly: raises the whole message, with `option` where nothing else
-- says what it is about.
local function demand(flow, node, option, fn, ...)
  local outer = context.current
  local ok, a, b, c = xpcall(fn, handler, ...)
  context.current = outer
  if ok then return a, b, c end
  error(complete(flow, node, a, option), 0)
end

-- ------------------------------------------------------------------------------------ nodes in Lua

local function chosen_names(flow, node, chosen)
  if chosen == nil then return "[]" end
  local names = type(chosen) == "table" and chosen or { chosen }
  local children, is_child = flow.graph:children(node), {}
  for i, child in ipairs(children) do
    children[i] = flow.graph:name(child)
    is_child[children[i]] = true
  end
  for _, name in ipairs(names) do
    if not is_child[name] then
      render.option = "choose"
      error(("expected the name of a node after it, got %s%s"):format(fault.describe(name),
        suggest.hint(name, children)), 0)
    end
  end
  return value.encode(value.list(names))
end

local function execute(flow, node, ctx, ty, options)
  local hooks = ty.hooks
  local p = render.params(ty, options, ctx)
  if ty.kind == "branch" then return chosen_names(flow, node, hooks.choose(ctx, p)) end
  local result
  local saved = hooks.resume and ctx._backend.restored(ctx._task)
  if saved ~= nil and saved ~= false then
    result = hooks.resume(ctx, p, value.decode(saved))
  else
    result = hooks.run(ctx, p)
  end
  if getmetatable(result) == context.Result then result = result.outputs end
  return value.encode(result, "outputs"), context.finish(ctx)
end

--- Runs the code of a node. Never raises.
---@return "succeeded"|"failed"|"skipped" status
---@return string? outputs JSON
---@return string? vars JSON, nil: unchanged
---@return string? error
---@return boolean? retry false: do not retry
function host.run(flow_index, node, inner, task, backend)
  local flow = flows[flow_index]
  local options, ty, outer = subject(flow, node, inner)
  local ctx = new_context(flow, options, outer, task, backend)
  context.current = ctx
  local ok, outputs, vars = xpcall(execute, handler, flow, node, ctx, ty, options)
  context.current = nil
  if rawget(ctx, "_partial") then context.flush(ctx) end
  if ok then return "succeeded", outputs, vars end
  if not trace.is_signal(outputs) then
    return "failed", nil, nil, complete(flow, node, outputs), true
  end
  render.option = nil
  if outputs.kind == "skip" then return "skipped", nil, nil, outputs.text end
  return "failed", nil, nil, outputs.trace, outputs.retry
end

local function call_cancel(ctx, ty, options)
  ty.hooks.cancel(ctx, render.params(ty, options, ctx))
end

--- Lets a node's type see that an attempt is being cancelled.
function host.cancel(flow_index, node, inner, task, backend)
  local flow = flows[flow_index]
  local options, ty, outer = subject(flow, node, inner)
  if not ty.hooks.cancel then return end
  local ctx = new_context(flow, options, outer, task, backend)
  demand(flow, node, "cancel", call_cancel, ctx, ty, options)
end

-- ------------------------------------------------------------------------------------ processes

local captures = setmetatable({}, { __mode = "k" }) -- options -> what `command` said to capture

local function make_command(ctx, ty, options)
  context.current = ctx
  local answer = ty.hooks.command(ctx, render.params(ty, options, ctx))
  context.current = nil
  local spec, capture = command.of_node(ctx, answer)
  if capture and capture ~= options.capture then captures[options] = capture end
  return spec
end

local SHARED_MAX = 4096 -- commands

-- The text by which nodes share a command: of a node that has nothing but one constant text.
local function shared_key(flow, options, ty)
  local text = options[1]
  if not ty.hooks.constant or not flow.is_plain or type(text) ~= "string" then return nil end
  local first = next(options)
  if next(options, first) ~= nil or find(text, "{{", 1, true) then return nil end
  return text
end

local function share(flow, ty, key, spec)
  if flow.shared_count >= SHARED_MAX then flow.shared, flow.shared_count = {}, 0 end
  flow.shared_count = flow.shared_count + 1
  flow.shared[ty] = flow.shared[ty] or {}
  flow.shared[ty][key] = spec
end

--- What to start for a process node. Raises a string. The table may be shared: do not change it.
function host.command(flow_index, node, inner, task, backend)
  local flow = flows[flow_index]
  local options, ty, outer = subject(flow, node, inner)
  local key = not inner and shared_key(flow, options, ty)
  local known_specs = key and flow.shared[ty]
  if known_specs and known_specs[key] then return known_specs[key] end
  local ctx = new_context(flow, options, outer, task, backend)
  local ok, spec = xpcall(make_command, handler, ctx, ty, options)
  if ok then
    if key then share(flow, ty, key, spec) end
    return spec
  end
  context.current = nil
  error(complete(flow, node, spec), 0)
end

-- What a type's `command` said may be forgotten when another process started the child: ask again.
local function capture_of(ctx, ty, options)
  local capture = captures[options] or command.inherited(ctx, "capture")
  if capture or not ctx._backend then return capture end
  make_command(ctx, ty, options)
  return captures[options]
end

local function collect(ctx, ty, options, capture, output)
  local captured
  if capture ~= nil then
    local mode = capture_of(ctx, ty, options)
    if mode then captured = command.captured(mode, capture) end
  end
  local written = output ~= nil and command.written(output) or nil
  return value.encode(command.merge_outputs(captured, written), "outputs")
end

--- The outputs of a process that succeeded: what was captured and what it wrote. Raises a string.
function host.collect(flow_index, node, inner, task, capture, output, backend)
  local flow = flows[flow_index]
  local options, ty, outer = subject(flow, node, inner)
  local ctx = new_context(flow, options, outer, task, type(backend) == "table" and backend or nil)
  local ok, result = xpcall(collect, handler, ctx, ty, options, capture, output)
  if ok then return result end
  render.option = nil
  error(type(result) == "string" and (result:gsub("\n  at .*$", "")) or result.text, 0)
end

-- ------------------------------------------------------------------------------------ decisions

local function evaluate_when(ctx, when)
  if type(when) == "function" then
    context.current = ctx
    return when(ctx)
  end
  if type(when) == "boolean" then return when end
  when = when:match "^%s*(.-)%s*$"
  local result = render.text("when", when, ctx)
  if result == value.null then return false end
  if template.is_single(when) or result == "true" then return result end
  if result == "false" then return false end
  render.option = "when"
  error(fault.expected("{{ }} or a text that gives true or false", result), 0)
end

--- Whether a node runs. Raises a string.
---@return boolean
function host.when(flow_index, node, task, backend)
  local flow = flows[flow_index]
  local options = flow.nodes[node + 1]
  local ctx = new_context(flow, options, nil, task, backend)
  return demand(flow, node, "when", evaluate_when, ctx, options.when) and true or false
end

local function decide_retry(rule, failure)
  if type(rule) == "function" then return rule(failure) end
  if type(rule) == "string" then return host.find_pattern(failure.error or "", rule) end
  if type(rule) == "number" then return failure.exit_code == rule end
  for _, code in ipairs(rule) do
    if code == failure.exit_code then return true end
  end
  return false
end

--- Whether a failed attempt is one to retry. Raises a string.
---@param failure flow.Failure
---@return boolean
function host.retry_on(flow_index, node, failure, inner)
  local flow = flows[flow_index]
  local options, _, outer = subject(flow, node, inner)
  local rule = options.retry_on
  if rule == nil and outer then rule = outer.retry_on end
  if rule == nil then rule = flow.defaults.retry_on end
  if rule == nil then return true end
  return demand(flow, node, "retry_on", decide_retry, rule, failure) and true or false
end

--- Finds a PCRE2 pattern in a text; the loader puts the real one here.
host.find_pattern = function(text, pattern) return text:find(pattern, 1, true) ~= nil end

local function merge_values(rule, key, texts)
  local values = {}
  for i, text in ipairs(texts) do values[i] = value.decode(text) end
  return value.encode(rule(key, values), "vars." .. key)
end

--- The value of a var that parents left with different values. Raises a string.
---@param values string[] JSON, in `after` order
---@return string? value JSON
function host.merge(flow_index, node, key, values)
  local flow = flows[flow_index]
  local rule = flow.nodes[node + 1].merge or flow.defaults.merge
  if rule == "first" then return values[1] end
  if rule == "last" then return values[#values] end
  return demand(flow, node, "merge", merge_values, rule, key, values)
end

-- ------------------------------------------------------------------------------------ maps, calls

local function expand(ctx, ty, options)
  context.current = ctx
  local list = ty.hooks.expand(ctx, render.params(ty, options, ctx))
  if type(list) ~= "table" or list == value.null or next(list) ~= nil
    and not value.is_list(list) then
    error(fault.expected("a list to go over", list), 0)
  end
  local chunk = options.chunk
  local items = {}
  if not chunk then
    for i = 1, #list do items[i] = value.encode(list[i], ("item %d"):format(i)) end
    return items
  end
  for from = 1, #list, chunk do
    local part = {}
    for i = from, math.min(from + chunk - 1, #list) do part[#part + 1] = list[i] end
    items[#items + 1] = value.encode(value.list(part), ("chunk %d"):format(#items + 1))
  end
  return items
end

--- The items of a map as JSON, one an instance. Raises a string.
---@return string[]
function host.expand(flow_index, node, task, backend)
  local flow = flows[flow_index]
  local options, ty = subject(flow, node)
  return demand(flow, node, "over", expand, new_context(flow, options, nil, task, backend), ty,
    options)
end

local function call(ctx, ty, options)
  context.current = ctx
  local target, given = ty.hooks.call(ctx, render.params(ty, options, ctx))
  if known.is_flow(target) then target = known.flows[target].key end
  if type(target) ~= "string" then error(fault.expected("a flow or its key", target), 0) end
  local keys, found = {}, false
  for i, other in ipairs(flows) do
    keys[i] = other.key
    found = found or other.key == target
  end
  if not found then
    error(('unknown flow "%s"%s'):format(target, suggest.hint(target, keys)), 0)
  end
  if given ~= nil and (type(given) ~= "table" or value.is_list(given)) then
    error(fault.expected("names and values as params", given), 0)
  end
  return target, value.encode(given or {}, "params")
end

--- The key and params of the flow that a call (or the call inside a map) runs. Raises a string.
function host.call(flow_index, node, task, backend)
  local flow = flows[flow_index]
  local options, ty, outer = subject(flow, node, true)
  local ctx = new_context(flow, options, outer, task, backend)
  return demand(flow, node, "flow", call, ctx, ty, options)
end

-- ------------------------------------------------------------------------------------ flows

--- The params of a run as JSON, from "k=v" texts and a JSON object. Raises a string.
---@param texts string[]?
---@param json string?
function host.params(flow_index, texts, json)
  local flow = flows[flow_index]
  local base
  if json ~= nil then
    base = value.decode(json)
    if type(base) ~= "table" or value.is_list(base) then
      error("params: expected a JSON object", 0)
    end
  end
  return value.encode(params.resolve(flow.params, flow.key, texts, base), "params")
end

--- What a node does, as one text: equal for equal definitions.
function host.definition(flow_index, node) return definition.text(flows[flow_index], node) end

--- The same option by option, as JSON.
function host.definition_parts(flow_index, node)
  return value.encode(definition.parts(flows[flow_index], node), "definition")
end

local function find_flow(key)
  for _, flow in ipairs(flows) do
    if flow.key == key then return flow end
  end
end

--- What of a request (JSON) is a patch already, as JSON. Raises a string.
function host.read_patch(request)
  return value.encode(patch.read(value.decode(request)), "patch")
end

--- The patch that a request (JSON) makes with what host.read_patch() found, as JSON; the flow is
--- the one that goes on. Raises a string.
function host.build_patch(flow_index, request, found)
  return value.encode(patch.build(flows[flow_index], value.decode(request), value.decode(found),
    find_flow), "patch")
end

--- Splits a patch (JSON), see flow.patch_path.
function host.split_patch(text)
  return value.encode(patch_path.split(value.decode(text)), "patch")
end

--- Checks a patch that was split (JSON) against the flow that goes on with it. `former`: names of
--- the nodes before. Raises a string.
function host.check_patch(flow_index, text, former)
  local names = {}
  for _, name in ipairs(former) do names[name] = true end
  patch.check_flow(flows[flow_index], value.decode(text),
    { key = flows[flow_index].key, graph = {
      find = function(_, name) return names[name] end,
      count = function() return #former end,
      name = function(_, i) return former[i + 1] end } })
end

--- What the flow's on_breakpoint proposes, see flow.adviser. Raises a string.
function host.advise(flow_index, info, within)
  local flow = flows[flow_index]
  local ok, text, origin, reason, automatic = xpcall(adviser.ask, handler, flow, value.decode(info),
    find_flow, within)
  if ok then return text, origin, reason, automatic end
  if type(text) ~= "string" then text = text.trace or text.text end
  error("on_breakpoint: " .. trace.cut(text), 0)
end

--- The params (JSON) of a run from a resume on: the old ones with changes. Raises a string.
function host.patch_params(flow_index, old, changes)
  return value.encode(patch.params(flows[flow_index], value.decode(old),
    changes and value.decode(changes)), "params")
end

--- Names and types of the nodes, for drawing.
function host.draw(flow_index)
  local graph = flows[flow_index].graph
  local list = {}
  for i = 0, graph:count() - 1 do list[i + 1] = { name = graph:name(i), type = graph:type(i) } end
  return list
end

local function native_params(ctx, ty, options)
  local own = {}
  for name, v in next, options do
    if not ty.checks[name] then own[name] = ctx and render.text(name, v, ctx) or v end
  end
  return value.encode(own, "params")
end

--- JSON of a native node's own options; rendered when there is a task. Raises a string.
function host.params_text(flow_index, node, inner, task, backend)
  local flow = flows[flow_index]
  local options, ty, outer = subject(flow, node, inner)
  local ctx = task and new_context(flow, options, outer, task, backend) or nil
  return demand(flow, node, "params", native_params, ctx, ty, options)
end

for _, fn in ipairs { demand, host.run, host.command, host.collect } do trace.boundary(fn) end

--- Where a node is written, "file:line".
function host.place(flow_index, node) return place.show(flows[flow_index].places[node + 1]) end

return host
