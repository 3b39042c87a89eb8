-- {{ expr }} in the strings of a flow: parsed and compiled once a text, evaluated against a scope.
--
-- A scope is a ctx (flow.context) or any table with run, params, vars, inputs. Evaluation never
-- yields, so the scope of the moment is one upvalue.
-- Modes: "text" (a string that is one template gives its value itself), "shell" (values are quoted,
-- a list becomes words, {{{ }}} inserts as it is), "sql" (values become bound parameters).
local quoting = require "flow.quoting"
local suggest = require "flow.suggest"
local value = require "flow.value"

local template = {}

local find, sub = string.find, string.sub

-- ------------------------------------------------------------------------------------ names

local scope -- what is being evaluated against
local zone -- { offset =, find = }, see template.set_zone

local function check_time(what, time)
  if type(time) == "number" then return time end
  error(("%s: expected a time in seconds, got %s"):format(what, type(time)), 0)
end

-- What strftime would say of the process's own zone.
local function of_zone(format, time, offset, name)
  if not find(format, "%%[zZs]") then return format end
  local minutes = math.floor(math.abs(offset) / 60)
  local said = { z = ("%s%02d%02d"):format(offset < 0 and "-" or "+", math.floor(minutes / 60),
    minutes % 60), Z = name, s = ("%d"):format(math.floor(time)) }
  return (format:gsub("%%(.)", function(c) return said[c] end))
end

local function date(time, format)
  time = check_time("date", time == nil and scope.run.time or time)
  local offset, name = 0, "UTC"
  if zone and scope.tz then offset, name = zone.offset(time, scope.tz) end
  return os.date("!" .. of_zone(format or "%Y-%m-%d", time, offset, name),
    math.floor(time) + offset)
end

-- Days of the zone, which have 23, 24 or 25 hours: the same time of another day.
local function days_after(time, days)
  check_time("days_after", time)
  if type(days) ~= "number" or days % 1 ~= 0 then
    error("days_after: expected a whole number of days, got " .. tostring(days), 0)
  end
  if not (zone and scope.tz) then return time + days * 86400 end
  local whole = math.floor(time)
  local there = whole + zone.offset(whole, scope.tz) + days * 86400
  return zone.find(there, scope.tz) + (time - whole)
end

local function days_before(time, days)
  return days_after(time, type(days) == "number" and -days or days)
end

local from_scope = { run = true, params = true, vars = true, inputs = true, item = true,
  index = true }
-- The table that a view shows (ctx.params is one), else the table itself.
local function shown(t)
  local mt = getmetatable(t)
  return type(mt) == "table" and rawget(mt, "__flow_value") or t
end

-- pairs() that sees through views.
local function view_pairs(t) return next, shown(t), nil end
template.pairs = view_pairs

local environment = setmetatable({}, {
  __index = function(_, name) return type(name) == "string" and os.getenv(name) or nil end,
})

local names = {
  "run", "params", "vars", "inputs", "env", "date", "days_before",
  "days_after", "second", "minute", "hour", "day", "week",
  "item", "index", "string", "math", "table", "tostring", "tonumber", "ipairs", "pairs",
}
template.names = names

local Unknown = {} -- an error about a name, told apart from what an expression raises itself

local function unknown(name, candidates, inside)
  local text = ("unknown name %s%s"):format(inside and inside .. "." .. name or name,
    suggest.hint(name, candidates))
  return setmetatable({ text = text }, Unknown)
end

local globals = {
  env = environment, date = date, days_before = days_before, days_after = days_after,
  second = 1, minute = 60, hour = 3600, day = 86400, week = 604800,
  string = string, math = math, table = table,
  tostring = tostring, tonumber = tonumber, ipairs = ipairs, pairs = view_pairs,
}
setmetatable(globals, {
  __index = function(_, name)
    if from_scope[name] then
      local found = scope[name]
      if found == nil and (name == "item" or name == "index") then
        error(setmetatable({ text = name .. " is known only in the items of a map" }, Unknown),
          0)
      end
      return found
    end
    error(unknown(name, names), 0)
  end,
  __newindex = function(_, name)
    error("a template assigns nothing (" .. tostring(name) .. ")", 0)
  end,
})

--- Tells of time zones: offset(time, tz) -> seconds from UTC, name; find(local, tz) -> time.
function template.set_zone(given) zone = given end

-- ------------------------------------------------------------------------------------ parsing

-- Compiles the expression that starts at `at` and ends before `close`; tries later ends while the
-- code is incomplete, for expressions that hold braces themselves.
local function read_expression(text, at, close)
  local first_error
  local from = at
  while true do
    local stop = find(text, close, from, true)
    if not stop then break end
    -- Of "}}}" the last two close a {{: the first belongs to a table in the expression.
    local code = sub(text, at, stop - 1)
    local chunk, err = loadstring("return " .. code, "=template")
    if chunk and find(code, "%S") then return code, setfenv(chunk, globals), stop + #close end
    first_error = first_error or (find(code, "%S") and err
      or "template:1: an expression is expected")
    from = stop + 1
  end
  return nil, first_error or ("no %s closes it"):format(close)
end

local function shorten(text)
  return #text > 80 and sub(text, 1, 77) .. "..." or text
end

local function syntax_problem(text, at, err)
  local reason = err:gsub("^template:%d+: ", ""):gsub("'<eof>'", "the end")
  local hint = ""
  if find(reason, "'|'", 1, true) then
    hint = "; {{ }} is Lua: a function is called, as in params.day:upper()"
  elseif find(text, "^{{+%s*[^}]*[$#%%]", at) or find(text, "^{{+%s*%.", at)
    or find(text, "^{{+[^}]* %.", at) then
    hint = '; for two braces write {{{"{{"}}}'
  end
  return ('template "%s": %s%s'):format(shorten(sub(text, at)), reason, hint)
end

-- True when `text` ends inside an SQL string or quoted name.
local function in_sql_quotes(text)
  local at, quote = 1, nil
  while at <= #text do
    local char = sub(text, at, at)
    if quote then
      if char == quote then quote = nil end
    elseif char == "'" or char == '"' or char == "`" then
      quote = char
    elseif char == "-" and sub(text, at, at + 1) == "--" then
      at = (find(text, "\n", at, true) or #text)
    elseif char == "/" and sub(text, at, at + 1) == "/*" then
      local _, stop = find(text, "*/", at, true)
      at = stop or #text
    end
    at = at + 1
  end
  return quote ~= nil
end

local function sql_problem(parts, raw, code)
  if raw then
    return "in sql a value is always a bound parameter: write {{" .. code .. "}}"
  end
  local before = {}
  for i, part in ipairs(parts) do before[i] = type(part) == "string" and part or "?" end
  if in_sql_quotes(table.concat(before)) then
    return "remove the quotes around {{" .. code .. "}}: in sql a value is a bound parameter"
  end
end

-- Returns a list of literal strings and { code =, eval =, raw = }, or nil and a problem.
local function parse(text, mode)
  local parts, at = {}, 1
  while true do
    local open = find(text, "{{", at, true)
    if not open then break end
    local raw = sub(text, open + 2, open + 2) == "{"
    local code, eval, next_at = read_expression(text, open + (raw and 3 or 2), raw and "}}}"
      or "}}")
    if not code and raw then -- "{{{" may also be {{ and a table
      code, eval, next_at = read_expression(text, open + 2, "}}")
      raw = not code
    end
    if not code then return nil, syntax_problem(text, open, eval) end
    if open > at then parts[#parts + 1] = sub(text, at, open - 1) end
    code = code:match "^%s*(.-)%s*$"
    local problem = mode == "sql" and sql_problem(parts, raw, code)
    if problem then return nil, ('template "%s": %s'):format(shorten(sub(text, open)), problem) end
    parts[#parts + 1] = { code = code, eval = eval, raw = raw }
    at = next_at
  end
  if at <= #text then parts[#parts + 1] = sub(text, at) end
  return parts
end

-- ------------------------------------------------------------------------------------ cache

local CACHE_MAX = 8192 -- texts; a flow of a million different ones must not keep them all
local cache, cache_count = {}, 0

local function parts_of(text, mode)
  local key = mode == "sql" and "\0" .. text or text -- only sql parses differently
  local parts = cache[key]
  if parts then return parts end
  local problem
  parts, problem = parse(text, mode)
  if not parts then return nil, problem end
  if cache_count >= CACHE_MAX then cache, cache_count = {}, 0 end
  cache[key] = parts
  cache_count = cache_count + 1
  return parts
end

--- True when `text` holds a template.
function template.is(text) return find(text, "{{", 1, true) ~= nil end

--- True when `text` is one template and nothing else.
function template.is_single(text)
  local parts = parts_of(text, "text")
  return parts and #parts == 1 and type(parts[1]) == "table" or false
end

--- nil, or what is wrong with `text`.
---@param text string
---@param mode "text"|"shell"|"sql"
---@return string? problem
function template.problem(text, mode)
  local _, problem = parts_of(text, mode)
  return problem
end

--- Whether all that `text` inserts is inserted as it is, by {{{ }}}.
function template.is_bare(text)
  for _, part in ipairs(parts_of(text, "text")) do
    if type(part) == "table" and not part.raw then return false end
  end
  return true
end

--- What `text`, one without a problem, is made of: literal texts and { code =, raw = }.
---@param text string
---@return table[]
function template.parts(text) return parts_of(text, "text") end

--- An expression as it stands in a text.
function template.show(part)
  return (part.raw and "{{{ %s }}}" or "{{ %s }}"):format(shorten(part.code))
end

local remedies = {
  ["<<"] = "is in a here-document, where quotes do not hold: give the text by `stdin`, or the "
    .. "value by `env`",
  ["#"] = "is in a comment, which a value of two lines would end: take it out",
  ["`...`"] = "is within `...`: write $(...) instead",
  ["((...))"] = "is within ((...)), where quotes do not hold: set a variable to it first",
  ["\\"] = "is right behind a \\, which would undo its quotes: take that away",
  ["$"] = "is right behind a $, which would change its quotes: take that away",
  ["$'...\\'...'"] = "is behind a $'...\\'...', which shells do not read alike: write it otherwise",
}

--- nil, or which value of a shell's text would not be one word of its own where it stands, and what
--- helps.
---@param text string one without a problem
---@return string? problem
function template.misplaced(text)
  local parts = parts_of(text, "shell")
  local pieces, values, size = {}, {}, 0
  for i, part in ipairs(parts) do
    if type(part) == "table" then values[size + 1] = part end
    -- What is inserted as it is may be anything: it is taken for a part of a word.
    pieces[i] = type(part) == "string" and part:gsub("%z", " ") or part.raw and "x"
      or quoting.VALUE
    size = size + #pieces[i]
  end
  local whole = table.concat(pieces)
  local at, where = quoting.misplaced(whole)
  if not at then return nil end
  local code = shorten(values[at].code)
  local _, line = whole:sub(1, at):gsub("\n", "")
  return ("{{ %s }}%s %s, or write {{{ %s }}} for the bare text"):format(code,
    line > 0 and (" in line %d of the text"):format(line + 1) or "",
    remedies[where] or ("stands inside %s: its value is quoted already; take the quotes away")
      :format(where), code)
end

-- ------------------------------------------------------------------------------------ evaluation

-- Follows the first dotted name in `code` that leads nowhere, to name it and what it may have
-- meant.
local function find_missing(code)
  for chain in (" " .. code):gmatch "[^%w_.\"'](%a[%w_]*[%w_.]*)" do
    local root = chain:match "^[%w_]+"
    if from_scope[root] or root == "env" then
      local here, path = globals[root], root
      for name in chain:sub(#root + 1):gmatch "%.([%a_][%w_]*)" do
        if type(here) ~= "table" then break end
        local found = rawget(shown(here), name)
        if root == "env" then found = os.getenv(name) end
        if root == "env" and not found then
          return ("the environment variable %s is not set"):format(name)
        end
        if found == nil then
          local known = {}
          for key in view_pairs(here) do
            if type(key) == "string" then known[#known + 1] = key end
          end
          table.sort(known)
          return unknown(name, known, path).text
        end
        here, path = found, path .. "." .. name
      end
    end
  end
end

local function fail(part, reason)
  error(("template %s: %s"):format(template.show(part), reason), 0)
end

-- The value of one expression; raises a string.
local function evaluate(part)
  local ok, result = pcall(part.eval)
  if ok then
    if type(result) == "table" then return shown(result) end
    if result ~= nil then return result end
    local found, missing = pcall(find_missing, part.code)
    fail(part, found and missing or "the value is nil")
  end
  if getmetatable(result) == Unknown then fail(part, result.text) end
  local found, missing = pcall(find_missing, part.code)
  if found and missing then fail(part, missing) end
  fail(part, (tostring(result):gsub("^template:%d+: ", "")))
end

-- One value inside a text.
local function show(part, result)
  if result == value.null then return "" end
  local text = value.text(result)
  if not text and type(result) == "table" then
    local err
    text, err = value.try_encode(result)
    if not text then fail(part, err) end
  end
  return text or fail(part, "expected a value that can be text, got a " .. type(result))
end

--- Quotes `text` as one word of a POSIX shell; a plain word stays as it is.
---@param text string
---@return string
function template.quote(text)
  if find(text, "^[%w_@%%+:,./=-]+$") then return text end
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function show_shell(part, result)
  if part.raw then return show(part, result) end
  if type(result) ~= "table" or result == value.null or not value.is_list(result) then
    return template.quote(show(part, result))
  end
  local words = {}
  for i = 1, #result do words[i] = template.quote(show(part, result[i])) end
  return table.concat(words, " ")
end

local function bind(part, result, values)
  if type(result) == "table" and result ~= value.null then
    if value.is_list(result) then
      local marks = {}
      for i = 1, #result do marks[i] = bind(part, result[i], values) end
      if #marks == 0 then return "NULL" end -- `in (NULL)` is never true
      return table.concat(marks, ", ")
    end
    result = show(part, result)
  elseif type(result) == "function" then
    fail(part, "expected a value, got a function")
  end
  values.count = values.count + 1
  local name = "flow_" .. values.count
  values[name] = result
  return ":" .. name
end

local function render_parts(parts, mode)
  if #parts == 1 and mode == "text" and type(parts[1]) == "table" then return evaluate(parts[1]) end
  local out = {}
  local values = mode == "sql" and { count = 0 } or nil
  for i = 1, #parts do
    local part = parts[i]
    if type(part) == "string" then
      out[i] = part
    else
      local result = evaluate(part)
      if mode == "shell" then
        out[i] = show_shell(part, result)
      elseif mode == "sql" then
        out[i] = bind(part, result, values)
      else
        out[i] = show(part, result)
      end
    end
  end
  local text = table.concat(out)
  if values then values.count = nil end
  return values and { text = text, values = values } or text
end

--- Evaluates `text` against `ctx`. A "text" that is one template gives its value itself; "sql"
--- gives { text = "... :flow_1 ...", values = { flow_1 = ... } }. Raises a string that names
--- template and name.
---@param text string
---@param mode "text"|"shell"|"sql"
---@param ctx table
---@return any
function template.render(text, mode, ctx)
  if not find(text, "{{", 1, true) then
    return mode == "sql" and { text = text, values = {} } or text
  end
  local parts, problem = parts_of(text, mode)
  if not parts then error(problem, 0) end
  local outer = scope
  scope = ctx
  local ok, result = pcall(render_parts, parts, mode)
  scope = outer
  if not ok then error(result, 0) end
  return result
end

local function of_script(fn)
  return function(time, what, tz)
    local outer = scope
    scope = { tz = tz, run = {} }
    local ok, result = pcall(fn, time, what)
    scope = outer
    if not ok then error(result, 2) end
    return result
  end
end

--- The same for scripts: flow.date(time, format, tz), flow.days_before(time, days, tz).
template.date = of_script(date)
template.days_before, template.days_after = of_script(days_before), of_script(days_after)

return template
