-- Schedules as data: flow.cron and flow.every check what they are given and return plain tables.
-- When they fire is the calendar's job.
local fault = require "flow.fault"
local schema = require "flow.schema"
local suggest = require "flow.suggest"

local schedule = {}

local Schedule = {} -- marks what cron and every return

function schedule.is(v) return getmetatable(v) == Schedule end

schedule.options = schema.options {
  { name = "tz", "zone", doc = "Time zone.", show = "the flow's" },
  { name = "from", "string", doc = "First effective date." },
  { name = "to", "string", doc = "Last effective date." },
  { name = "calendar", "function|map|list", doc = "Dates, or a function of a date." },
  { name = "missed", enum = { "none", "last", "all" }, default = "none",
    doc = "Which missed fires are made up for." },
  { name = "missed_window", "duration", doc = "How far back missed fires are looked for." },
  { name = "overlap", enum = { "skip", "queue", "latest", "cancel_old", "allow" }, default = "skip",
    doc = "What a fire does while the run before still runs." },
  { name = "depends_on_previous", enum = { "none", "node", "run" }, default = "none",
    doc = "Whether a run waits for the one before." },
  { name = "jitter", "duration", doc = "A random delay of up to this." },
}

local every_options = { at = true }

local months = { "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov",
  "dec" }
local days = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" }
local nicknames = { ["@yearly"] = true, ["@annually"] = true, ["@monthly"] = true,
  ["@weekly"] = true,
  ["@daily"] = true, ["@midnight"] = true, ["@hourly"] = true }

local fields = {
  { noun = "second", signs = "%d*/,-" },
  { noun = "minute", signs = "%d*/,-" },
  { noun = "hour", signs = "%d*/,-" },
  { noun = "day of month", signs = "%d*/,?LW-" },
  { noun = "month", signs = "%d*/,-", names = months },
  { noun = "day of week", signs = "%d*/,?L#-", names = days },
}

local function field_is_valid(field, text)
  local rest = text
  if field.names then
    for _, name in ipairs(field.names) do
      rest = rest:gsub("%f[%a](%a+)", function(word) return word:lower() == name and "1" or nil end)
    end
  end
  return rest:find("^[" .. field.signs .. "]+$") ~= nil
end

local function check_cron(text, where)
  if type(text) ~= "string" then
    fault.raise(where, "flow.cron", fault.expected("a cron expression", text))
  end
  if text:sub(1, 1) == "@" then
    if nicknames[text] then return end
    local names = {}
    for name in next, nicknames do names[#names + 1] = name end
    table.sort(names)
    fault.raise(where, "flow.cron", fault.expected("a cron expression", text)
      .. suggest.hint(text, names))
  end
  local parts = {}
  for part in text:gmatch "%S+" do parts[#parts + 1] = part end
  if #parts ~= 5 and #parts ~= 6 then
    fault.raise(where, "flow.cron",
      ("expected 5 fields, or 6 with seconds first, got %d in %s"):format(#parts,
        fault.describe(text)))
  end
  for i, part in ipairs(parts) do
    local field = fields[i + 6 - #parts]
    if not field_is_valid(field, part) then
      fault.raise(where, "flow.cron", ("field %d (%s): expected a cron field, got %s")
        :format(i, field.noun, fault.describe(part)))
    end
  end
end

local function check_options(given, extra, where, path)
  if given == nil then return {} end
  if type(given) ~= "table" then
    fault.raise(where, path, fault.expected("a table of options", given))
  end
  local names, result = {}, {}
  for name in next, given do names[#names + 1] = tostring(name) end
  table.sort(names)
  for _, name in ipairs(names) do
    local spec = schedule.options[name]
    if extra[name] then
      result[name] = given[name]
    elseif not spec then
      fault.raise(where, path .. "." .. name, "unknown option"
        .. suggest.hint(name, schedule.options.names))
    else
      local ok, checked = schema.check(spec, given[name])
      if not ok then
        fault.raise(where, path .. "." .. name .. (checked.path or ""),
          schema.problem_text(checked))
      end
      result[name] = given[name]
    end
  end
  return result
end

--- flow.cron("0 2 * * *", { tz =, missed =, ... })
function schedule.cron(text, given, where)
  check_cron(text, where)
  local result = check_options(given, {}, where, "flow.cron")
  result.kind, result.cron = "cron", text
  return setmetatable(result, Schedule)
end

local units = { "hour", "day", "week", "month" }

local function at_is_valid(at)
  if type(at) ~= "string" then return false end
  local hour, minute, second = at:match "^(%d%d?):(%d%d):?(%d?%d?)$"
  return hour ~= nil and tonumber(hour) < 24 and tonumber(minute) < 60
    and (second == "" or tonumber(second) < 60)
end

--- flow.every(1, "day", { at = "08:00", ... })
function schedule.every(count, unit, given, where)
  if type(count) ~= "number" or count < 1 or count ~= math.floor(count) then
    fault.raise(where, "flow.every", fault.expected("a positive integer first", count))
  end
  local singular = type(unit) == "string" and unit:gsub("s$", "") or unit
  local ok = schema.check({ types = { "enum" }, enum = units }, singular)
  if not ok then
    fault.raise(where, "flow.every", fault.expected('"hour", "day", "week" or "month"', unit)
      .. suggest.hint(unit, units))
  end
  local result = check_options(given, every_options, where, "flow.every")
  for _, at in ipairs(type(result.at) == "table" and result.at or { result.at }) do
    if not at_is_valid(at) then
      fault.raise(where, "flow.every.at", fault.expected('a time of day such as "08:00"', at))
    end
  end
  result.kind, result.count, result.unit = "every", count, singular
  return setmetatable(result, Schedule)
end

return schedule
