-- What C calls to have an attempt run: the code of nodes in Lua, the commands of processes and what
-- they leave, the params of node types in C.
local command = require "flow.command"
local context = require "flow.context"
local fault = require "flow.fault"
local node_options = require "flow.options"
local render = require "flow.render"
local search = require "flow.search"
local subject = require "flow.host.subject"
local suggest = require "flow.suggest"
local trace = require "flow.trace"
local value = require "flow.value"

local run = {}

local find, next, type = string.find, next, type
local new_context, call_in = context.new, context.call
local find_subject, complete, demand = subject.find, subject.complete, subject.demand

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
      error(trace.problem("choose", ("expected the name of a node after it, got %s%s"):format(
        fault.describe(name), suggest.hint(name, children))), 0)
    end
  end
  return value.encode(value.list(names))
end

local function execute(ctx, flow, node, ty, options)
  local hooks = ty.hooks
  context.enter(ctx)
  local p = render.params(ty, options, ctx)
  if ty.kind == "branch" then return chosen_names(flow, node, hooks.choose(ctx, p)) end
  local result, problem
  local saved = hooks.resume and ctx._backend.restored(ctx._task)
  if saved ~= nil and saved ~= false then
    result, problem = hooks.resume(ctx, p, value.decode(saved))
  else
    result, problem = hooks.run(ctx, p)
  end
  -- `return nil, err`, as our modules do.
  if result == nil and problem ~= nil and flow.language >= 2 then
    error(trace.message_of(problem), 0)
  end
  if getmetatable(result) == context.Result then result = result.outputs end
  return value.encode(result, "outputs"), context.finish(ctx)
end

-- Where a process would have written it: who looks into the log of an attempt finds why it failed.
local function log_failure(ctx, text)
  ctx._backend.log(ctx._task, text)
  return text
end

--- Runs the code of a node. Never raises.
---@return "succeeded"|"failed"|"skipped" status
---@return string? outputs JSON
---@return string? vars JSON, nil: unchanged
---@return string? error
---@return boolean? retry false: do not retry
function run.run(flow, node, inner, task, backend)
  local options, ty, outer = find_subject(flow, node, inner)
  local ctx = new_context(flow, options, outer, task, backend, node)
  local limits = options.limits or outer and outer.limits or flow.defaults.limits
  if limits and backend.limit then
    limits = command.limits(limits)
    backend.limit(task, flow.key, flow.graph:name(node), limits.memory or 0, limits.cpu_time or 0)
  end
  local ok, outputs, vars = call_in(ctx, execute, flow, node, ty, options)
  if rawget(ctx, "_partial") then context.flush(ctx) end
  if rawget(ctx, "_entered") then context.leave(ctx) end
  if ok then return "succeeded", outputs, vars end
  if not trace.is_signal(outputs) then
    local text = log_failure(ctx, complete(flow, node, outputs))
    return "failed", nil, nil, text, not find(text, search.NOWHERE, 1, true)
  end
  if outputs.kind == "skip" then return "skipped", nil, nil, outputs.text end
  return "failed", nil, nil, log_failure(ctx, outputs.trace), outputs.retry
end

local function call_cancel(ctx, ty, options)
  ty.hooks.cancel(ctx, render.params(ty, options, ctx))
end

--- Lets a node's type see that an attempt is being cancelled.
function run.cancel(flow, node, inner, task, backend)
  local options, ty, outer = find_subject(flow, node, inner)
  if not ty.hooks.cancel then return end
  local ctx = new_context(flow, options, outer, task, backend, node)
  demand(flow, node, "cancel", ctx, call_cancel, ty, options)
end

-- ------------------------------------------------------------------------------------ processes

local captures = setmetatable({}, { __mode = "k" }) -- options -> what `command` said to capture

local function make_command(ctx, ty, options)
  local answer = ty.hooks.command(ctx, render.params(ty, options, ctx))
  local spec, capture = command.of_node(ctx, answer)
  if capture and capture ~= options.capture then captures[options] = capture end
  return spec
end

local SHARED_MAX = 4096 -- commands

-- Defaults of a flow that every command would have to look at.
local function is_plain(defaults)
  for _, name in ipairs(node_options.defining) do
    if defaults[name] ~= nil then return false end
  end
  return true
end

-- The commands of a type that nodes share; nil: they share none.
local function shared_specs(flow, ty)
  local shared = flow.shared_commands
  if shared == nil then
    shared = is_plain(flow.defaults) and { count = 0, of_type = {} }
    flow.shared_commands = shared
  end
  if not shared or not ty.hooks.constant then return nil end
  local specs = shared.of_type[ty]
  if not specs then
    specs = {}
    shared.of_type[ty] = specs
  end
  return specs
end

-- The text by which nodes share a command: of a node that has nothing but one constant text.
local function shared_key(options)
  local text = options[1]
  if type(text) ~= "string" or next(options, next(options)) ~= nil
    or find(text, "{{", 1, true) then
    return nil
  end
  return text
end

local function share(flow, specs, key, spec)
  local shared = flow.shared_commands
  shared.count = shared.count + 1
  if shared.count > SHARED_MAX then flow.shared_commands = nil end
  specs[key] = spec
end

--- What to start for a process node. Raises a string. The table may be shared: do not change it.
function run.command(flow, node, inner, task, backend)
  local options, ty, outer = find_subject(flow, node, inner)
  local specs = not inner and shared_specs(flow, ty)
  local key = specs and shared_key(options)
  if key and specs[key] then return specs[key] end
  local ctx = new_context(flow, options, outer, task, backend, node)
  local ok, spec = call_in(ctx, make_command, ty, options)
  if ok then
    if key then share(flow, specs, key, spec) end
    return spec
  end
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
function run.collect(flow, node, inner, task, capture, output, backend)
  local options, ty, outer = find_subject(flow, node, inner)
  if type(backend) ~= "table" then backend = nil end
  local ctx = new_context(flow, options, outer, task, backend, node)
  local ok, result = call_in(ctx, collect, ty, options, capture, output)
  if ok then return result end
  error(type(result) == "string" and (result:gsub("\n  at .*$", "")) or result.text, 0)
end

-- --------------------------------------------------------------------------------- node types in C

local function native_params(ctx, ty, options)
  local own = {}
  for name, v in next, options do
    if not ty.checks[name] then own[name] = ctx and render.text(name, v, ctx) or v end
  end
  return value.encode(own, "params")
end

--- JSON of a native node's own options; rendered when there is a task. Raises a string.
function run.params_text(flow, node, inner, task, backend)
  local options, ty, outer = find_subject(flow, node, inner)
  local ctx = task and new_context(flow, options, outer, task, backend, node) or nil
  return demand(flow, node, "params", ctx, native_params, ty, options)
end

for _, fn in ipairs { run.run, run.command, run.collect } do trace.boundary(fn) end

return run
