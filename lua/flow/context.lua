-- ctx: what the code of a node sees and may ask for. One table a task, filled in when it is read.
--
-- The same code serves a worker (where the backend's functions block) and an inline node (where
-- some of them yield). Other nodes may run while one waits, so whatever waits puts
-- `context.current` back.
local command = require "flow.command"
local schema = require "flow.schema"
local trace = require "flow.trace"
local value = require "flow.value"

local context = {}

---@type table? the ctx whose code runs now: where print() goes
context.current = nil

--- Where there is none: print() says nothing. A worker loads the script again, and what that prints
--- was printed before.
context.quiet = false

local methods = {}

-- ------------------------------------------------------------------------------------ reading

local function refuse(_, name)
  error(("ctx.params.%s: params are read only; keep values in ctx.vars"):format(tostring(name)), 2)
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
    rawset(ctx, name, v)
    return v
  end
  if name == "tz" then return ctx._flow.info.tz end
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
---@param node table the options of the node that runs (of a map's instance: the inner node's)
---@param outer table? the options of the map around it
function context.new(flow, node, outer, task, backend)
  local ctx = { _flow = flow, _node = node, _task = task, _backend = backend }
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

--- print() of scripts: to the log of the node that runs, else to stdout.
function context.print(...)
  local ctx = context.current
  if ctx then return log_line(ctx, join(...)) end
  if context.quiet then return end
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
  io.stdout:write(table.concat(parts, "\t"), "\n")
end

--- io.write() of scripts: whole lines go to the log of the node that runs, else to stdout.
function context.write(...)
  local ctx = context.current
  if not ctx then return context.quiet or io.stdout:write(...) end
  local text = table.concat { ... }
  local lines, rest = text:match "^(.*)\n([^\n]*)$"
  if lines then log_line(ctx, lines) end
  rest = rest or (rawget(ctx, "_partial") or "") .. text
  rawset(ctx, "_partial", rest ~= "" and rest or nil)
  return true
end

--- Writes what io.write() left without an end of line.
function context.flush(ctx) log_line(ctx, "") end

--- os.exit() of scripts: node code may not end the process that it runs in.
function context.guard_exit(exit)
  return function(...)
    if context.current then
      error("os.exit cannot be used in a node: return, or ctx:fail(why)", 2)
    end
    return exit(...)
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

-- Calls what may wait, and takes print() back afterwards.
local function wait(ctx, fn, ...)
  local a, b = fn(ctx._task, ...)
  context.current = ctx
  return a, b
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

---@class flow.ExecResult
---@field ok boolean it ended with one of ok_codes
---@field code integer? exit code
---@field signal integer? the signal that ended it
---@field stdout string? what it printed, when captured
---@field stderr string the end of what it wrote to stderr
---@field status "succeeded"|"failed"|"timed_out"|"cancelled"
---@field error string?
---@field outputs any what `capture` makes of stdout
local Result = {}
context.Result = Result

local function why_failed(result, spec)
  local what = spec.argv[1] == "/bin/sh" and spec.argv[2] == "-c" and spec.argv[3] or spec.argv[1]
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
  local tail = result.stderr ~= "" and "\n" .. result.stderr or ""
  return ("%s: %s%s"):format(what, reason, tail)
end

--- Runs a supervised child: { "prog", "arg", ... } or { shell = text }, and the options of a
--- process node, `timeout` and `check`. Raises an error when it does not succeed, unless check =
--- false.
---@param given table
---@return flow.ExecResult
function methods.exec(ctx, given)
  if type(given) ~= "table" then error("ctx:exec: expected a table, got a " .. type(given), 2) end
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

--- Names of everything a ctx offers, for the reference: { methods }, { fields }.
function context.names()
  local functions, fields = {}, {}
  for name in next, methods do functions[#functions + 1] = name end
  for name in next, readable do fields[#fields + 1] = name end
  table.sort(functions)
  table.sort(fields)
  return functions, fields
end

return context
