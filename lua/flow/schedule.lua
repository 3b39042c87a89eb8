-- Rules of schedules as data: what flow.cron and flow.every give. When they fire is said by
-- runtime/calendar; what is wrong with one is told by the flow that takes it, which gives the path.
local core = require "flow.core.calendar"
local fault = require "flow.fault"
local schema = require "flow.schema"
local suggest = require "flow.suggest"

local schedule = {}

local Rule = {} -- marks what cron and every return

-- Of each rule: where it was written, and what is wrong with it; {path, text} each.
local places = setmetatable({}, { __mode = "k" })
local faults = setmetatable({}, { __mode = "k" })

function schedule.is(v) return getmetatable(v) == Rule end

schedule.options = schema.options {
  { name = "tz", "zone", doc = "Time zone.", show = "the flow's" },
  { name = "from", "string", doc = "Effective from this date (of the zone) or instant on." },
  { name = "to", "string", doc = "Effective until this date or instant, included." },
  { name = "calendar", "function|map|list", show = "all days work", doc = "Days that work: "
    .. '`{ days = "mon-fri", off = { "2026-12-25" }, on = {} }`, a list of days off, or a function '
    .. "of a date and its weekday (Monday is 1)." },
  { name = "off_day", enum = { "skip", "next", "previous" }, default = "skip",
    doc = "A fire on a day that does not work: left out, or on the next or last one that does." },
  { name = "gap", enum = { "run", "skip" }, show = "by the rule",
    doc = "A local time that does not exist: at the end of the gap, or not at all." },
  { name = "fold", enum = { "first", "last", "both" }, show = "by the rule",
    doc = "A local time that occurs twice." },
  { name = "interval", enum = { "before", "after" }, default = "before",
    doc = "Whether a run's interval ends or begins with its fire." },
  { name = "missed", enum = { "none", "last", "all" }, default = "last",
    doc = "Which fires that nobody was there for are made up for." },
  { name = "missed_window", "duration", default = "1d", doc = "How long ago such a fire may be." },
  { name = "overlap", enum = { "skip", "queue", "latest", "cancel_old", "allow" }, default = "skip",
    doc = "What a fire does while a run of a rule of this flow lives." },
  { name = "depends_on_previous", enum = { "none", "node", "children", "run" }, default = "none",
    doc = "What must have succeeded in the instance before." },
  { name = "jitter", "duration", doc = "A delay of up to this, the same each time it is asked." },
  { name = "params", "map", doc = "Params of its runs." },
  { name = "priority", "integer", default = 0, doc = "Priority of its runs." },
  { name = "name", "name", show = "its position", doc = "How it is shown." },
}

local every_options = {
  at = true, -- a time of day, or a list
  on = true, -- days of a week or month
}

-- ------------------------------------------------------------------------------------ compiling

local function each(v, use)
  for _, one in ipairs(type(v) == "table" and v or { v }) do use(one) end
end

-- fn asked once a date.
local function remember(fn)
  local answers = {}
  return function(date, weekday)
    local answer = answers[date]
    if answer == nil then
      answer = fn(date, weekday) and true or false
      answers[date] = answer
    end
    return answer
  end
end

local function is_given_list(v) return schema.is_list(v) and #v > 0 end

local function set_calendar(rule, calendar, set, add)
  if type(calendar) == "function" then return rule:works(remember(calendar)) end
  if is_given_list(calendar) then calendar = { off = calendar } end
  local names = {}
  for name in next, calendar do names[#names + 1] = tostring(name) end
  table.sort(names)
  for _, name in ipairs(names) do
    if name == "days" or name == "off" or name == "on" then
      each(calendar[name], function(v) set("calendar." .. name, v) end)
    else
      add(".calendar." .. name, "unknown option" .. suggest.hint(name, { "days", "off", "on" }))
    end
  end
end

-- The rule of runtime/calendar in `zone` (nil: UTC), and what is wrong with it.
local function compile(given, zone)
  local rule, problems = core.rule(), {}
  local function add(path, text) problems[#problems + 1] = { path, text } end
  local function set(name, v)
    if v == nil then return end
    if type(v) ~= "string" and type(v) ~= "number" then
      return add("." .. name, fault.expected("a text", v))
    end
    local problem = rule:set(name, tostring(v))
    local main = name == "cron" or name == "every" or name == "unit"
    if problem then add(main and "" or "." .. name, problem) end
  end
  set("tz", given.tz or zone)
  set("cron", given.cron)
  set("every", given.count)
  set("unit", given.unit)
  for _, name in ipairs { "at", "on" } do
    each(given[name], function(v) set(name, v) end)
  end
  for _, name in ipairs { "from", "to", "off_day", "gap", "fold", "interval" } do
    set(name, given[name])
  end
  set("jitter", given.jitter and ("%dms"):format(schema.duration(given.jitter) * 1000))
  if given.calendar ~= nil then set_calendar(rule, given.calendar, set, add) end
  if #problems > 0 then return nil, problems end
  local problem, option = rule:finish()
  if problem then return nil, { { option and "." .. option or "", problem } } end
  return rule
end

-- ------------------------------------------------------------------------------------ making

-- What schema knows of `name`; nil: all is well.
local function option_problem(name, v)
  local spec = schedule.options[name]
  if not spec then return "", "unknown option" .. suggest.hint(name, schedule.options.names) end
  local ok, problem = schema.check(spec, v)
  if ok then return nil end
  local text = schema.problem_text(problem)
  if name == "tz" and type(v) == "string" then text = text .. suggest.hint(v, schedule.zones()) end
  return problem.path or "", text
end

local function make(rule, given, extra, where)
  local found = {}
  if given ~= nil and type(given) ~= "table" then
    found[1] = { "", fault.expected("a table of options", given) }
    given = nil
  end
  local names = {}
  for name in next, given or {} do names[#names + 1] = tostring(name) end
  table.sort(names)
  for _, name in ipairs(names) do
    local path, problem
    if not extra[name] then path, problem = option_problem(name, given[name]) end
    if problem then
      found[#found + 1] = { "." .. name .. path, problem }
    else
      rule[name] = given[name]
    end
  end
  if #found == 0 then
    local _, problems = compile(rule)
    found = problems or found
  end
  places[rule], faults[rule] = where, #found > 0 and found or nil
  return setmetatable(rule, Rule)
end

--- flow.cron("0 2 * * *", { tz =, missed =, ... })
function schedule.cron(text, given, where)
  if type(text) ~= "string" then
    fault.raise(where, "flow.cron", fault.expected("a cron expression", text))
  end
  return make({ kind = "cron", cron = text }, given, {}, where)
end

local units = { "minute", "hour", "day", "week", "month" }

--- flow.every(1, "day", { at = "08:00", ... })
function schedule.every(count, unit, given, where)
  if type(count) ~= "number" or count < 1 or count ~= math.floor(count) then
    fault.raise(where, "flow.every", fault.expected("a positive integer first", count))
  end
  local singular = type(unit) == "string" and unit:gsub("s$", "") or unit
  if not schema.check({ types = { "enum" }, enum = units }, singular) then
    fault.raise(where, "flow.every", fault.expected('"minute", "hour", "day", "week" or "month"',
      unit) .. suggest.hint(unit, units))
  end
  return make({ kind = "every", count = count, unit = singular }, given, every_options, where)
end

-- ------------------------------------------------------------------------------------ asking

--- The rules of `v`, which is one or a list of them; nil: it is neither.
---@return table[]?
function schedule.list(v)
  if schedule.is(v) then return { v } end
  if not is_given_list(v) then return nil end
  for _, one in ipairs(v) do
    if not schedule.is(one) then return nil end
  end
  return v
end

--- The compiled rules of a flow in `zone`; those that something is wrong with are left out, and it
--- goes to add(where, path, text). `now`: whether each fires at all is looked at, too.
---@return table[] { rule = userdata, name = string } each
function schedule.compile(v, zone, now, add)
  local result, rules = {}, schedule.list(v)
  if not rules then
    add(nil, "", fault.expected("flow.cron(...), flow.every(...) or a list of them", v))
    return result
  end
  for i, given in ipairs(rules) do
    local path = rules == v and ("[%d]"):format(i) or ""
    local rule, problems = nil, faults[given]
    if not problems then rule, problems = compile(given, zone) end
    local problem = rule and now and rule:check(now)
    if problem then problems = { { "", problem } } end
    for _, one in ipairs(problems or {}) do add(places[given], path .. one[1], one[2]) end
    if not problems then
      result[#result + 1] = { rule = rule, name = given.name or tostring(i) }
    end
  end
  return result
end

--- The next `count` fires of a rule or a list of them, at or after `from`; seconds.
---@param v table
---@param from number? (default: now)
---@param count integer? (default: 1)
---@return number[]
function schedule.next(v, from, count, where)
  from = from or require("flow.core.time").now()
  local rules = {}
  for i, one in ipairs(schedule.compile(v, nil, from, function(at, path, text)
    fault.raise(at or where, "flow.next" .. path, text)
  end)) do
    rules[i] = one.rule
  end
  local fires, problem = core.next(rules, from, count or 1)
  if not fires then fault.raise(where, "flow.next", problem) end
  return fires
end

local zones

--- Names of the zones that the system knows, for suggestions; none where its list is missing.
---@return string[]
function schedule.zones()
  if zones then return zones end
  zones = {}
  local dir = os.getenv "TZDIR" or "/usr/share/zoneinfo"
  local file = io.open(dir .. "/tzdata.zi")
  for line in file and file:lines() or function() end do
    zones[#zones + 1] = line:match "^Z (%S+)" or line:match "^L %S+ (%S+)"
  end
  if file then file:close() end
  return zones
end

return schedule
