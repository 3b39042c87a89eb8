-- What a process node runs: words or a shell text become one description that C can start.
local fault = require "flow.fault"
local known = require "flow.known"
local options = require "flow.options"
local quoting = require "flow.quoting"
local render = require "flow.render"
local schema = require "flow.schema"
local suggest = require "flow.suggest"
local value = require "flow.value"

local command = {}

local find, sub = string.find, string.sub

-- ------------------------------------------------------------------------------------ shell texts

-- First words that only a shell understands, in any of the usual ones. `true` and `false` are
-- programs as well and mean the same.
local shell_words = {}
for word in ([[
  . : [ alias bg bind break builtin caller case cd command compgen complete continue coproc declare
  dirs disown do done echo elif else enable end esac eval exec exit export fc fg fi for function
  getopts hash help history if in jobs kill let local logout mapfile popd printf pushd pwd read
  readarray readonly return select set shift shopt source stop suspend test then time times trap
  type typeset ulimit umask unalias unset until wait while newgrp
]]):gmatch "%S+" do shell_words[word] = true end

local function split_plain(text)
  if not find(text, "^[%w_@%%+:,./= \t-]*$") then return false end
  local words = {}
  for word in text:gmatch "[^ \t]+" do words[#words + 1] = word end
  local first = words[1]
  if not first or find(first, "=", 1, true) or shell_words[first] then return false end
  return words
end

local CACHE_MAX = 4096 -- texts
local plain_cache, plain_count = {}, 0

--- The words of `text` when a shell would do nothing but start them, else false.
---@param text string
---@return string[]|false
function command.plain_words(text)
  local words = plain_cache[text]
  if words == nil then
    words = split_plain(text)
    if plain_count >= CACHE_MAX then plain_cache, plain_count = {}, 0 end
    plain_cache[text] = words
    plain_count = plain_count + 1
  end
  return words
end

local WORD_MAX = 131071 -- bytes of one word that the system passes on (MAX_ARG_STRLEN)
local EVAL_SIZE = 65536

-- How a shell gets a text that no word can hold: from its standard input, which it then gives up;
-- where that is taken, in pieces.
local function long_argv(argv, text, spec)
  if not spec.stdin then
    spec.stdin = "exec 3<&-; " .. text -- on the first line, so that lines keep their numbers
    argv[#argv + 1] = "exec 3<&0 </dev/null; . /dev/fd/3"
    return
  end
  local pieces, names = {}, {}
  for from = 1, #text, EVAL_SIZE do
    pieces[#pieces + 1] = sub(text, from, from + EVAL_SIZE - 1)
    names[#names + 1] = "${" .. #pieces .. "}"
  end
  argv[#argv + 1] = 'eval "set --; ' .. table.concat(names) .. '"'
  argv[#argv + 1] = argv[1]
  for _, piece in ipairs(pieces) do argv[#argv + 1] = piece end
end

local function interpreter_words(given)
  if type(given) ~= "string" then return given end
  local words = {}
  for word in given:gmatch "%S+" do words[#words + 1] = word end
  return words
end

--- Whether a value can be quoted for what reads a text: a shell of the POSIX kind.
---@param given string|string[]|nil nil: /bin/sh
function command.can_quote(given)
  if given == nil then return true end
  local words = interpreter_words(given)
  return quoting.is_shell(words[1] and find(words[1], "^[^ ]*env$") and words[2] or words[1])
end

-- Sets argv of `spec` to what reads `text`. A text that a shell would do nothing for but start it
-- is started itself; where that fails, the shell says why (spec.is_text).
local function set_shell(spec, text, given, strict)
  if not find(text, "%S") then error("expected a command, got an empty text", 0) end
  if find(text, "\0", 1, true) then error("a command cannot hold a zero byte", 0) end
  local plain = given == nil and command.plain_words(text)
  if plain then
    spec.argv, spec.is_text = plain, true
    return
  end
  local argv = { "/bin/sh" }
  local last
  if given ~= nil then
    local words = interpreter_words(given)
    if #words == 0 then error("interpreter: expected a program, got nothing", 0) end
    argv = {}
    for i = 1, #words do argv[i] = words[i] end
    last = argv[#argv]
  end
  spec.argv = argv
  if not command.can_quote(given) or last == "-" or last == "-s" then
    if spec.stdin then
      error(("`stdin` cannot be given: %s reads the text from it"):format(argv[1]), 0)
    end
    spec.stdin = text
    return
  end
  -- In front of what is given, which may take it back.
  if strict then table.insert(argv, find(argv[1], "env$") and 3 or 2, "-e") end
  argv[#argv + 1] = "-c"
  if #text > WORD_MAX then return long_argv(argv, text, spec) end
  argv[#argv + 1] = text
end

-- Texts of scripts of before go on after a line that fails.
local function is_strict(ctx, given)
  if given ~= nil then return given end
  return ctx._flow.language ~= 0
end

local function word_text(word, i)
  local text = value.text(word)
  if not text then
    error(("word %d: %s"):format(i, fault.expected("a string or number", word)), 0)
  end
  if find(text, "\0", 1, true) then
    error(("word %d: a word cannot hold a zero byte"):format(i), 0)
  end
  return text
end

local function list_argv(words)
  local argv = {}
  for i = 1, #words do argv[i] = word_text(words[i], i) end
  if not argv[1] or argv[1] == "" then error("expected a program, got nothing", 0) end
  return argv
end

-- ------------------------------------------------------------------------------------ surroundings

local function absolute(dir, cwd)
  if not cwd then return dir end
  if cwd:sub(1, 1) == "/" then return cwd end
  return dir .. "/" .. cwd
end
command.absolute = absolute

local no_env, only_zero = {}, { 0 }

local function merge_env(into, env)
  for name, v in next, env do into[name] = v end
end

-- Defaults of the flow, then the map's, then the node's, then what the type adds.
local function env_list(ctx, extra)
  local node, outer, defaults = ctx._node, ctx._outer, ctx._flow.defaults
  if not (node.env or extra or defaults.env or outer and outer.env) then return no_env end
  local env = {}
  if defaults.env then merge_env(env, render.text("env", defaults.env, ctx)) end
  if outer and outer.env then merge_env(env, render.text("env", outer.env, ctx)) end
  if node.env then merge_env(env, render.text("env", node.env, ctx)) end
  if extra then merge_env(env, extra) end
  local names = {}
  for name in next, env do names[#names + 1] = name end
  table.sort(names)
  local list = {}
  for i, name in ipairs(names) do
    local text = value.text(env[name])
    if not text then
      error(("env.%s: %s"):format(name, fault.expected("a string", env[name])), 0)
    end
    if find(name, "[=%z]") or name == "" then
      error(("env: %q is no name of a variable"):format(name), 0)
    end
    if find(text, "\0", 1, true) then error(("env.%s: cannot hold a zero byte"):format(name), 0) end
    list[i] = name .. "=" .. text
  end
  return list
end

-- An option of the node, of the map around it, or the flow's default.
local function inherited(ctx, name)
  local v = ctx._node[name]
  if v == nil and ctx._outer then v = ctx._outer[name] end
  if v == nil then v = ctx._flow.defaults[name] end
  return v
end
command.inherited = inherited

local function cwd_of(ctx, given)
  if given == nil then given = inherited(ctx, "cwd") end
  if given == nil then return ctx._flow.dir end
  local cwd = find(given, "{{", 1, true) and render.text("cwd", given, ctx) or given
  if type(cwd) ~= "string" then error("cwd: " .. fault.expected("a path", cwd), 0) end
  return absolute(ctx._flow.dir, cwd)
end

--- `path` from the folder of a node's processes; nil: that folder.
function command.path(ctx, path) return absolute(cwd_of(ctx), path) end

--- The problem of a table of limits, or nil.
function command.limits_problem(limits)
  local names = {}
  for name in next, limits do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local spec = options.limits[name]
    if not spec then
      return { path = "." .. name, text = "unknown limit"
        .. suggest.hint(name, options.limits.names) }
    end
    local ok, problem = schema.check(spec, limits[name])
    if not ok then
      problem.path = "." .. name
      return problem
    end
  end
end

--- Limits as numbers: bytes, seconds, counts. Raises a string.
---@param limits table?
---@return table?
function command.limits(limits)
  if not limits then return nil end
  local problem = command.limits_problem(limits)
  if problem then error("limits" .. problem.path .. ": " .. schema.problem_text(problem), 0) end
  local result = {}
  for name, v in next, limits do
    local _, checked = schema.check(options.limits[name], v)
    result[name] = checked
  end
  return result
end

local function stdin_of(ctx, given)
  if type(given) == "string" and find(given, "{{", 1, true) then
    given = render.text("stdin", given, ctx)
    if type(given) == "table" then return value.encode(given, "stdin") end
    return value.text(given)
  end
  return given
end

-- ------------------------------------------------------------------------------------ whole

local answer_names = { "shell", "strict", "interpreter", "capture", "stdin", "ok_codes", "limits",
  "env", "cwd" }
local answer_fields = {}
for _, name in ipairs(answer_names) do answer_fields[name] = true end

local function check_answer(answer)
  if type(answer) ~= "table" or known.node_type(answer) then
    error(fault.expected("`command` to return a list of words or { shell = text }", answer), 0)
  end
  for key, v in next, answer do
    if type(key) ~= "number" then
      if not answer_fields[key] then
        error(("`command` returned an unknown field %s%s"):format(tostring(key),
          suggest.hint(key, answer_names)), 0)
      end
      local spec = options.exec[key]
      local ok, problem = schema.check(spec, v)
      if not ok then
        error(("`command` returned %s%s: %s"):format(key, problem.path or "",
          schema.problem_text(problem)), 0)
      end
    end
  end
end

-- Most answers are a list of words or one text: nothing else to look at.
local function is_simple(answer)
  local key, v = next(answer)
  if key == "shell" then return type(v) == "string" and next(answer, key) == nil end
  return key == 1 and next(answer, #answer) == nil
end

--- What is to be started for a node, from what its type's `command` returned.
---@param ctx table
---@param answer table
---@return table spec see the agreement with C: argv, env, cwd, stdin, capture, ok_codes, limits
---@return string? capture
function command.of_node(ctx, answer)
  local node, outer = ctx._node, ctx._outer
  if type(answer) ~= "table" or not is_simple(answer) then check_answer(answer) end
  local capture = answer.capture or inherited(ctx, "capture")
  local stdin = answer.stdin
  if stdin == nil then stdin = stdin_of(ctx, node.stdin or outer and outer.stdin) end
  local spec = {
    env = env_list(ctx, answer.env),
    cwd = cwd_of(ctx, answer.cwd),
    stdin = stdin,
    capture = capture ~= nil,
    ok_codes = answer.ok_codes or inherited(ctx, "ok_codes") or only_zero,
    limits = command.limits(answer.limits or inherited(ctx, "limits")),
  }
  if answer.shell then
    set_shell(spec, answer.shell, answer.interpreter, is_strict(ctx, answer.strict))
  else
    spec.argv = list_argv(answer)
  end
  return spec, capture
end

--- What ctx:exec is to start. Raises a string about wrong options.
---@param ctx table
---@param given table
---@return table spec
function command.of_exec(ctx, given)
  for key, v in next, given do
    if type(key) ~= "number" then
      local spec = options.exec[key]
      if not spec then
        error(("ctx:exec: unknown option %s%s"):format(tostring(key),
          suggest.hint(key, options.exec.names)), 0)
      end
      local ok, problem = schema.check(spec, v)
      if not ok then
        error(("ctx:exec: %s%s: %s"):format(key, problem.path or "", schema.problem_text(problem)),
          0)
      end
    end
  end
  if given.shell and given[1] ~= nil then
    error("ctx:exec: expected words or `shell`, got both", 0)
  end
  local spec = {
    env = env_list(ctx, given.env),
    cwd = cwd_of(ctx, given.cwd),
    stdin = given.stdin,
    capture = given.capture ~= nil,
    ok_codes = given.ok_codes or only_zero,
    limits = command.limits(given.limits),
    timeout = given.timeout and schema.duration(given.timeout) or nil,
  }
  if given.shell then
    set_shell(spec, given.shell, given.interpreter, is_strict(ctx, given.strict))
  else
    spec.argv = list_argv(given)
  end
  spec.text = given.shell
  return spec
end

-- ------------------------------------------------------------------------------------ output

local function split_lines(text)
  local lines = {}
  for line in text:gmatch "([^\n]*)\n?" do lines[#lines + 1] = line:gsub("\r$", "") end
  lines[#lines] = nil -- the empty match at the end
  return value.list(lines)
end

--- The outputs that captured stdout means. Raises a string.
---@param mode "text"|"lines"|"json"
---@param text string
function command.captured(mode, text)
  if mode == "text" then return (text:gsub("\r?\n$", "")) end
  if mode == "lines" then return split_lines(text) end
  local result, problem = value.parse(text)
  if problem then error("stdout is no JSON: " .. problem, 0) end
  return result
end

--- Outputs that a process wrote into FLOWLUA_OUTPUT: one JSON object, or name=value lines (values
--- are text). nil when it wrote nothing. Raises a string.
function command.written(text)
  if not find(text, "%S") then return nil end
  if find(text, "^%s*{") then
    local result, problem = value.parse(text)
    if problem then error("FLOWLUA_OUTPUT is no JSON: " .. problem, 0) end
    if type(result) ~= "table" or value.is_list(result) then
      error("FLOWLUA_OUTPUT: expected one JSON object", 0)
    end
    return result
  end
  local result, number = {}, 0
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do
    number = number + 1
    if find(line, "%S") then
      local name, rest = line:match "^([A-Za-z_][A-Za-z0-9_.-]*)=(.*)$"
      if not name then
        error(("FLOWLUA_OUTPUT line %d: expected name=value, got %s"):format(number,
          fault.describe(line)), 0)
      end
      result[name] = rest
    end
  end
  return result
end

--- What was captured and what was written, as one: the written names win.
function command.merge_outputs(captured, written)
  if written == nil then return captured end
  if captured == nil then return written end
  if type(captured) ~= "table" or captured == value.null or value.is_list(captured) then
    captured = { stdout = captured }
  end
  for name, v in next, written do captured[name] = v end
  return captured
end

return command
