-- ctx: what the code of a node sees and may ask for. One table a task, filled in when it is read.
--
-- The same code serves a worker (where the backend's functions block) and an inline node (where
-- some of them yield). print(), io.write() and os.exit() of scripts know no ctx: whoever calls
-- code of a script does it by context.call(), which says whose code it is. Other nodes may run
-- while one waits: what waits is nobody's, until it goes on.
local command = require "flow.command"
local fault = require "flow.fault"
local schema = require "flow.schema"
local suggest = require "flow.suggest"
local trace = require "flow.trace"
local value = require "flow.value"

-- Those of before a script is loaded: its own xpcall() makes a handler at each call, which each
-- node would pay for.
local xpcall, handler = xpcall, trace.handler

local context = {}

local current -- the ctx whose code runs now; nil: that of no node

--- Where there is none: print() says nothing. A worker loads the script again, and what that prints
--- was printed before.
context.quiet = false

--- True for a script that makes no flow: a Lua program, whose output and exit are its own.
context.is_program = false

local methods = {}

--- Calls `fn(ctx, a, b, c, d)` protected, see trace.handler: what it prints is the ctx's. Without
--- a ctx, that of no node.
---@param ctx table?
---@param fn function
---@return boolean ok
---@return any ... up to four that it returned, or the error
function context.call(ctx, fn, a, b, c, d)
  local outer = current
  current = ctx
  local ok, r1, r2, r3, r4 = xpcall(fn, handler, ctx, a, b, c, d)
  current = outer
  return ok, r1, r2, r3, r4
end

-- ------------------------------------------------------------------------------------ reading

local function refuse(_, name)
  error(("ctx.params.%s: params are read only; keep values in ctx.vars"):format(tostring(name)), 2)
end

-- What a script of before read as nothing, see flow.language.
local function is_lenient(ctx) return ctx._flow.language < 2 end

-- The end of a message: what `name` may have meant, or all that there is.
local function hint_of(name, names, none)
  local hint = suggest.hint(name, names)
  if hint ~= "" then return hint end
  return names[1] and "; there is " .. table.concat(names, ", ") or none
end

local undeclared = setmetatable({}, { __mode = "k" }) -- flow -> metatable of its params

-- A param that the flow does not declare is not read as nothing; one without a value is nil.
local function params_mt(flow)
  local found = undeclared[flow]
  if found then return found end
  found = { __index = function(_, name)
    if type(name) ~= "string" or flow.params[name] then return nil end
    local names = {}
    for i, spec in ipairs(flow.params) do names[i] = spec.name end
    error(("ctx.params.%s: flow %s has no such param%s"):format(name, flow.key,
      hint_of(name, names, ": it has none")), 2)
  end }
  undeclared[flow] = found
  return found
end

-- What of a node can be read is what it depends on. nil: that was skipped, or has failed.
local function read_inputs(ctx, inputs)
  if is_lenient(ctx) then return inputs end
  return setmetatable(inputs, { __index = function(_, name)
    if type(name) ~= "string" then return nil end
    local graph, names, is_there = ctx._flow.graph, {}, false
    for i, parent in ipairs(graph:parents(ctx._index)) do
      names[i] = graph:name(parent)
      is_there = is_there or names[i] == name
    end
    for _, left_out in ipairs(ctx.run.left_out or {}) do
      if left_out == name then
        error(("ctx.inputs.%s: node %s was not selected (--only, --from), so that it gave nothing")
          :format(name, fault.describe(name)), 2)
      end
    end
    if is_there then return nil end
    error(("ctx.inputs.%s: %s %s%s"):format(name, fault.describe(name),
      graph:find(name) and "is not in the `after` of this node" or "is no node",
      hint_of(name, names, ": it depends on none")), 2)
  end })
end

-- A view that refuses to be set. JSON and our pairs() see through it (__flow_value); tables inside
-- are the node's own copies, for which # and ipairs must work: changes in them are found at the
-- end.
local function read_params(ctx, params)
  for _, v in next, params do
    if type(v) == "table" then
      ctx._params_before = value.encode(params, "ctx.params")
      break
    end
  end
  if not is_lenient(ctx) then setmetatable(params, params_mt(ctx._flow)) end
  return setmetatable({}, { __index = params, __newindex = refuse, __flow_value = params })
end

local function read_vars(ctx, vars)
  ctx._vars_before = value.encode(vars, "ctx.vars")
  return vars
end

local readable = { run = true, params = true, vars = true, inputs = true, item = true,
  index = true, node = true }

local mt = {}
mt.__index = function(ctx, name)
  local method = methods[name]
  if method then return method end
  if readable[name] then
    local v = ctx._backend.get(ctx._task, name)
    if name == "params" then v = read_params(ctx, v) end
    if name == "vars" then v = read_vars(ctx, v) end
    if name == "inputs" then v = read_inputs(ctx, v) end
    rawset(ctx, name, v)
    return v
  end
  if name == "tz" then return ctx._flow.info.tz end
  if type(name) ~= "string" or name:sub(1, 1) == "_" or is_lenient(ctx) then return nil end
  local functions, fields = context.names()
  local hint = suggest.hint(name, fields)
  if hint == "" then hint = suggest.hint(name, functions) end
  if hint == "" then
    hint = ("; there is %s, and the functions %s"):format(table.concat(fields, ", "),
      table.concat(functions, ", "))
  end
  error(("ctx.%s: ctx has nothing of this name%s"):format(name, hint), 2)
end

local settable = { vars = true }
mt.__newindex = function(ctx, name, v)
  if name:sub(1, 1) == "_" then return rawset(ctx, name, v) end
  if not settable[name] then
    error(("ctx.%s cannot be set; keep values in ctx.vars"):format(tostring(name)), 2)
  end
  if type(v) ~= "table" then error("ctx.vars: expected a table, got a " .. type(v), 2) end
  local _ = ctx.vars -- remembers what they were
  rawset(ctx, "vars", v)
end

--- A ctx for one task.
---@param flow table compiled flow
---@param node table the options of the node that runs (of a map's item: the inner node's)
---@param outer table? the options of the map around it
---@param index integer of the node, or of the map around it
function context.new(flow, node, outer, task, backend, index)
  local ctx = { _flow = flow, _node = node, _task = task, _backend = backend, _index = index }
  if outer then ctx._outer = outer end
  return setmetatable(ctx, mt)
end

local function changed_name(before, after)
  local names = {}
  for name in next, before do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    if value.try_encode(before[name]) ~= value.try_encode(after[name]) then return name end
  end
end

--- JSON of the vars when the node changed them, else nil. Raises a string about what cannot be kept
--- and about params that were changed.
function context.finish(ctx)
  local before = rawget(ctx, "_params_before")
  if before then
    if value.try_encode(ctx.params) ~= before then
      error(("ctx.params.%s was changed: params are read only; keep values in ctx.vars")
        :format(changed_name(value.decode(before), ctx.params)), 0)
    end
  end
  before = rawget(ctx, "_vars_before")
  if not before then return nil end
  local vars = value.encode(ctx.vars, "ctx.vars")
  if vars == "[]" then vars = "{}" end
  if vars:sub(1, 1) ~= "{" then error("ctx.vars: expected names and values, got a list", 0) end
  return vars ~= before and vars or nil
end

-- ------------------------------------------------------------------------------------ telling

local function show(v)
  if type(v) == "table" then
    local mt_of = getmetatable(v)
    if mt_of and mt_of.__tostring then return tostring(v) end
    local text = value.try_encode(v)
    if text then return text end
  end
  return tostring(v)
end

local function join(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = show((select(i, ...))) end
  return table.concat(parts, "\t")
end

-- What io.write() left without an end of line goes before it.
local function log_line(ctx, text)
  local partial = rawget(ctx, "_partial")
  if partial then rawset(ctx, "_partial", nil) end
  return ctx._backend.log(ctx._task, partial and partial .. text or text)
end

--- Writes a line into the node's log, like print; tables as JSON.
function methods.log(ctx, ...) log_line(ctx, join(...)) end

-- Where output goes that is no node's: stdout is for events.
local function output() return context.is_program and io.stdout or io.stderr end

--- print() of scripts: to the log of the node that runs, else to stderr.
function context.print(...)
  local ctx = current
  if ctx then return log_line(ctx, join(...)) end
  if context.quiet then return end
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
  output():write(table.concat(parts, "\t"), "\n")
end

-- What is written to stdout: whole lines go to the log of the node that runs, else to stderr.
local function write(...)
  local ctx = current
  if not ctx then return context.quiet or io.stderr:write(...) end
  local text = table.concat { ... }
  local lines, rest = text:match "^(.*)\n([^\n]*)$"
  if lines then log_line(ctx, lines) end
  rest = rest or (rawget(ctx, "_partial") or "") .. text
  rawset(ctx, "_partial", rest ~= "" and rest or nil)
end

local stdout = io.stdout

--- file:write() of scripts.
function context.guard_write(own)
  return function(file, ...)
    if file ~= stdout or not current and context.is_program then return own(file, ...) end
    write(...)
    return file
  end
end

--- Writes what io.write() left without an end of line.
function context.flush(ctx) log_line(ctx, "") end

--- os.exit() of scripts: their code may not end the process that it runs in.
function context.guard_exit(exit)
  return function(...)
    if current then error("os.exit cannot be used in a node: return, or ctx:fail(why)", 2) end
    if context.is_program then return exit(...) end
    error("os.exit would end the command that reads this script: return, or call error(why)", 2)
  end
end

--- Shows how far the node is.
---@param done number
---@param total number?
---@param text string?
function methods.progress(ctx, done, total, text)
  if type(done) ~= "number" or total ~= nil and type(total) ~= "number" then
    error("ctx:progress: expected numbers (done, total)", 2)
  end
  ctx._backend.progress(ctx._task, done, total or 0, text ~= nil and tostring(text) or nil)
end

--- True once the end of this attempt has been asked for.
function methods.cancelled(ctx) return ctx._backend.cancelled(ctx._task) and true or false end

--- Ends the node as failed. `retry = false`: no further attempt.
function methods.fail(_, why, given)
  if given ~= nil and type(given) ~= "table" then
    error("ctx:fail: expected (why, { retry = false })", 2)
  end
  error(trace.signal("fail", why == nil and "failed" or show(why),
    not (given and given.retry == false)), 0)
end

--- Ends the node as skipped.
function methods.skip(_, why) error(trace.signal("skip", why == nil and "" or show(why)), 0) end

-- ------------------------------------------------------------------------------------ keeping

-- Level 3 is the line that called a function of ctx.
local function go_on(ctx, ok, a, b)
  current = ctx
  if not ok then error(a, type(a) == "string" and a:find "^ctx:%a+ cannot wait here" and 3 or 0) end
  return a, b
end

-- Calls what may wait.
local function wait(ctx, fn, ...)
  current = nil
  return go_on(ctx, pcall(fn, ctx._task, ...))
end

--- Saves a value for the next attempt of this node, durably.
function methods.checkpoint(ctx, v)
  wait(ctx, ctx._backend.checkpoint, value.encode(v, "checkpoint") or "null")
end

--- What an attempt before saved last, or nil.
function methods.restored(ctx)
  local text = ctx._backend.restored(ctx._task)
  if text == nil then return nil end
  return value.decode(text)
end

--- Runs `fn(...)` once in the life of the node; every later call and attempt gets its result.
---@param name string
---@param fn function
function methods.step(ctx, name, fn, ...)
  if type(name) ~= "string" then
    error("ctx:step: expected a name first, got a " .. type(name), 2)
  end
  if type(fn) ~= "function" then
    error("ctx:step: expected a function second, got a " .. type(fn), 2)
  end
  local found, text = wait(ctx, ctx._backend.step_get, name)
  if not found then
    text = value.encode((fn(...)), ("step %q"):format(name)) or "null"
    wait(ctx, ctx._backend.step_put, name, text)
  end
  local result = text and value.decode(text)
  if result == value.null then return nil end
  return result
end

--- Waits: seconds or a duration such as "5s".
function methods.sleep(ctx, duration)
  local seconds = schema.duration(duration)
  if not seconds then error("ctx:sleep: expected a duration such as 1.5 or \"5s\"", 2) end
  wait(ctx, ctx._backend.sleep, seconds)
end

-- ------------------------------------------------------------------------------------ children

-- What ctx:exec gives: flow.ExecResult in flow/types/context.lua.
local Result = {}
context.Result = Result

local function why_failed(result, spec)
  local what = spec.text or spec.argv[1]
  if #what > 100 then what = what:sub(1, 97) .. "..." end
  local reason = result.error
  if not reason or reason == "" then
    if result.status == "timed_out" then
      reason = "timed out"
    elseif result.signal and result.signal ~= 0 then
      reason = "ended by signal " .. result.signal
    else
      reason = "exit code " .. tostring(result.code)
    end
  end
  if spec.argv and #spec.argv == 1 and what:find " " and reason:find "^cannot run" then
    reason = reason .. ("; one word each, or shell = %q"):format(what)
  end
  local tail = result.stderr ~= "" and "\n" .. result.stderr or ""
  return ("%s: %s%s"):format(what, reason, tail)
end

--- Runs a supervised child: { "prog", "arg", ... } or { shell = text }, and the options of a
--- process node, `timeout` and `check`. Raises an error when it does not succeed, unless check =
--- false.
---@param given table
---@return flow.ExecResult
function methods.exec(ctx, given)
  if type(given) ~= "table" then
    error("ctx:exec: expected { \"prog\", \"arg\", ... } or { shell = \"text\" }, got "
      .. fault.describe(given), 2)
  end
  local ok, spec = pcall(command.of_exec, ctx, given)
  if not ok then error(spec, 2) end
  local raw = wait(ctx, ctx._backend.exec, spec)
  local result = setmetatable({
    ok = raw.status == "succeeded", code = raw.code, signal = raw.signal, stdout = raw.stdout,
    stderr = raw.stderr_tail or "", status = raw.status, error = raw.error,
  }, Result)
  if result.ok and given.capture then
    local parsed, outputs = pcall(command.captured, given.capture, raw.stdout or "")
    if not parsed then error("ctx:exec: " .. outputs, 2) end
    result.outputs = outputs
  end
  if not result.ok and given.check ~= false then error(why_failed(result, spec), 2) end
  return result
end

--- An absolute path: `path` as seen from the node's `cwd` (default: the script's folder).
---@param path string
---@return string
function methods.path(ctx, path)
  if type(path) ~= "string" then error("ctx:path: expected a path, got a " .. type(path), 2) end
  return command.path(ctx, path)
end

--- The folder of the node whose code runs now in the engine, which is not in it; else nil.
---@return string?
function context.folder()
  local ctx = current
  if not ctx or not ctx._backend or not ctx._backend.owns or is_lenient(ctx) then return nil end
  return command.path(ctx)
end

--- Has a worker execute `ctx` in its node's folder, if that is not the script's. Raises a problem.
function context.enter(ctx)
  local enter = ctx._backend.enter
  if not enter or command.inherited(ctx, "cwd") == nil or is_lenient(ctx) then return end
  local problem = enter(command.path(ctx))
  if problem then error(trace.problem("cwd", problem), 0) end
  rawset(ctx, "_entered", true)
end

--- Leaves that folder again.
function context.leave(ctx)
  if ctx._backend.enter(ctx._flow.dir) then ctx._backend.enter "/" end
end

-- ------------------------------------------------------------------------------------ replayable

-- What a replay must get again: recorded when it is made, handed out in the same order.
local function recorded(ctx, kind, make)
  local found, text = ctx._backend.replay(ctx._task, kind)
  -- Recorded again: a replay may itself be replayed.
  if found then
    ctx._backend.record(ctx._task, kind, text)
    return value.decode(text)
  end
  local v = make()
  ctx._backend.record(ctx._task, kind, value.encode(v))
  return v
end

local function random_bytes(count)
  local file = assert(io.open("/dev/urandom", "rb"))
  local bytes = file:read(count)
  file:close()
  return bytes
end

local function random_fraction()
  local n = 0
  for _, byte in ipairs { random_bytes(6):byte(1, 6) } do n = n * 256 + byte end
  return n / 2 ^ 48
end

--- Seconds since 1970; a replay gets the same.
function methods.now(ctx) return recorded(ctx, "now", context.now) end

--- Like math.random; a replay gets the same.
function methods.random(ctx, low, high)
  if low ~= nil and type(low) ~= "number" or high ~= nil and type(high) ~= "number" then
    error("ctx:random: expected numbers", 2)
  end
  local fraction = recorded(ctx, "random", random_fraction)
  if not low then return fraction end
  if not high then low, high = 1, low end
  if high < low then error("ctx:random: the interval is empty", 2) end
  return math.floor(low + fraction * (high - low + 1))
end

--- A random UUID (version 4); a replay gets the same.
function methods.uuid(ctx)
  return recorded(ctx, "uuid", function()
    local b = { random_bytes(16):byte(1, 16) }
    b[7] = b[7] % 16 + 64
    b[9] = b[9] % 64 + 128
    local two, four = "%02x%02x", "%02x%02x%02x%02x"
    local form = ("%s-%s-%s-%s-%s%s"):format(four, two, two, two, four, two)
    return form:format(unpack(b))
  end)
end

--- The clock; the loader puts one with fractions here.
context.now = os.time

-- `ctx.log("x")` gives the text where ctx should be.
for name, fn in next, methods do
  methods[name] = function(ctx, ...)
    if getmetatable(ctx) ~= mt then
      error(("ctx.%s: call it with a colon: ctx:%s(...)"):format(name, name), 2)
    end
    return fn(ctx, ...)
  end
end

--- coroutine.yield() of scripts: nobody resumes what a node itself yields.
function context.guard_yield(yield)
  return function(...)
    local owns = current and current._backend.owns
    if owns and owns(current._task) then
      error("coroutine.yield: nobody resumes a node's own code; ctx:sleep lets others go on", 2)
    end
    return yield(...)
  end
end

--- Names of everything a ctx offers, for the reference: { methods }, { fields }.
function context.names()
  local functions, fields = {}, {}
  for name in next, methods do functions[#functions + 1] = name end
  for name in next, readable do fields[#fields + 1] = name end
  fields[#fields + 1] = "tz"
  table.sort(functions)
  table.sort(fields)
  return functions, fields
end

return context
