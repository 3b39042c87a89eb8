-- Advisers: functions from the executed info of a run and its failed node to a patch. Rules over
-- what the failure looks like; a trained model would be another one.
local flow = require "flow"

local advise = {}

-- ------------------------------------------------------------------------------------ changes

-- Bytes or seconds of what an option holds: numbers, "2G", "30m" (which are minutes).
local function amount(v)
  if type(v) == "number" then return v end
  return type(v) == "string" and (flow.duration(v) or flow.size(v)) or nil
end

--- A change for an option: `factor` times what it was, at most `options.max`, and
--- `options.from` where it was not given. No patch comes of it once it is at the maximum.
---@param factor number
---@param options { max: number|string?, from: number|string? }?
---@return fun(old: any): number?
function advise.times(factor, options)
  if type(factor) ~= "number" or factor <= 0 then
    error("flow.advise.times: expected a positive factor, got " .. tostring(factor), 2)
  end
  options = options or {}
  local max, from = amount(options.max), amount(options.from)
  return function(old)
    local now = amount(old)
    if not now or now == 0 then return from end
    local new = now * factor
    if max and new > max then new = max end
    local unit = (now % 1 == 0 and new >= 1) and 1 or 1000 -- what is whole stays whole
    new = math.floor(new * unit + 0.5) / unit
    if new ~= now then return new end
  end
end

-- ------------------------------------------------------------------------------------ conditions

local function is_among(v, wanted)
  if type(wanted) ~= "table" then return v == wanted end
  for _, one in ipairs(wanted) do
    if v == one then return true end
  end
  return false
end

local conditions = {
  node = function(failed, wanted) return is_among(failed.node, wanted) end,
  type = function(failed, wanted) return is_among(failed.type, wanted) end,
  state = function(failed, wanted) return is_among(failed.state, wanted) end,
  exit_code = function(failed, wanted) return is_among(failed.exit_code, wanted) end,
  signal = function(failed, wanted) return is_among(failed.signal, wanted) end,
  attempts = function(failed, wanted) return failed.attempts >= wanted end,
  rss_over = function(failed, wanted)
    return failed.resources.max_rss_bytes > flow.size(wanted)
  end,
  cpu_over = function(failed, wanted)
    return failed.resources.cpu_ms / 1000 > flow.duration(wanted)
  end,
  error = function(failed, wanted)
    return require("flow.re").find(failed.error or "", wanted) ~= nil
  end,
}

local actions = { options = true, vars = true, params = true, skip = true, rerun = true,
  succeed = true, drop_checkpoint = true, patch = true }
local others = { name = true, reason = true, when = true }

-- ------------------------------------------------------------------------------------ checking

local function sorted(t)
  local names = {}
  for name in next, t do names[#names + 1] = tostring(name) end
  table.sort(names)
  return names
end

local function is_text(v) return type(v) == "string" and v ~= "" end

local function is_map(v) return type(v) == "table" and v ~= flow.null and #v == 0 end

local function is_boolean(v) return type(v) == "boolean" end

local function is_whole(min, max)
  return function(v) return type(v) == "number" and v % 1 == 0 and v >= min and v <= max end
end

-- One, or a list of such.
local function some(is)
  return function(v)
    if type(v) ~= "table" or v == flow.null then return is(v) end
    for _, one in ipairs(v) do
      if not is(one) then return false end
    end
    return #v > 0
  end
end

local ends = { failed = true, timed_out = true, lost = true }

local specs = {
  node = { "the name of a node, or a list of such", some(is_text) },
  type = { "a node type, or a list of such", some(is_text) },
  state = { "failed, timed_out or lost, or a list of such",
    some(function(v) return ends[v] ~= nil end) },
  exit_code = { "an exit code, or a list of such", some(is_whole(0, 255)) },
  signal = { "the number of a signal, or a list of such", some(is_whole(1, 64)) },
  attempts = { "a positive integer", is_whole(1, 2 ^ 31) },
  rss_over = { 'a size such as "2G"', flow.size },
  cpu_over = { 'a duration such as "10m"', flow.duration },
  error = { "a pattern", is_text },
  options = { "a map of options", is_map },
  vars = { "a map of vars", is_map },
  params = { "a map of params", is_map },
  skip = { "true or false", is_boolean },
  drop_checkpoint = { "true or false", is_boolean },
  rerun = { "the name of a node, or a list of such", some(is_text) },
  patch = { "a patch, or a function", function(v) return type(v) == "function" or is_map(v) end },
  when = { "a function", function(v) return type(v) == "function" end },
  name = { "a text", is_text },
  reason = { "a text", is_text },
}

local function describe(v)
  if type(v) == "string" then return ('"%s"'):format(v) end
  return (type(v) == "number" or type(v) == "boolean") and tostring(v) or "a " .. type(v)
end

local function check_key(path, key, v)
  if not (conditions[key] or actions[key] or others[key]) then
    error(("%s.%s: unknown key; there are %s, %s, %s"):format(path, key,
      table.concat(sorted(conditions), ", "), table.concat(sorted(actions), ", "),
      table.concat(sorted(others), ", ")), 0)
  end
  local spec = specs[key]
  if spec and not spec[2](v) then
    error(("%s.%s: expected %s, got %s"):format(path, key, spec[1], describe(v)), 0)
  end
end

local function check_rule(i, rule)
  local path = ("flow.advise.rules[%d]"):format(i)
  if type(rule) ~= "table" then error(path .. ": expected a table, got " .. describe(rule), 0) end
  local acts = false
  for _, key in ipairs(sorted(rule)) do
    acts = acts or actions[key] or false
    check_key(path, key, rule[key])
  end
  if not acts then
    error(path .. ": does nothing; give it one of " .. table.concat(sorted(actions), ", "), 0)
  end
  if rule.error then
    local ok, problem = pcall(require("flow.re").find, "", rule.error)
    if not ok then
      error(path .. ".error: " .. tostring(problem):gsub("^.*re%.find: ", ""), 0)
    end
  end
end

local rules_of = setmetatable({}, { __mode = "k" }) -- adviser -> the rules it was made of

--- What is wrong with an adviser's rules in a flow with these nodes; nil: nothing. The flow asks
--- when its script is loaded.
---@param adviser function
---@param nodes string[]
---@return string?
function advise.check(adviser, nodes)
  local there = {}
  for _, name in ipairs(nodes) do there[name] = true end
  for i, rule in ipairs(rules_of[adviser] or {}) do
    local wanted = type(rule.node) == "table" and rule.node or { rule.node }
    for _, name in ipairs(wanted) do
      if not there[name] then
        return ('flow.advise.rules[%d].node: unknown node "%s"'):format(i, name)
      end
    end
  end
end

-- ------------------------------------------------------------------------------------ rules

local function matches(rule, failed, bp)
  for name, test in next, conditions do
    if rule[name] ~= nil and not test(failed, rule[name]) then return false end
  end
  return not rule.when or rule.when(failed, bp) and true or false
end

-- "limits.memory" of the options that the node had.
local function old_option(options, path)
  for part in path:gmatch "[^.]+" do
    options = type(options) == "table" and options[part] or nil
  end
  return options
end

local function changed(changes, old)
  local result
  for name, v in next, changes do
    if type(v) == "function" then v = v(old(name)) end
    if v ~= nil then
      result = result or {}
      result[name] = v
    end
  end
  return result
end

local function own_changes(rule, failed, bp)
  local patch = {}
  local options = rule.options and changed(rule.options, function(name)
    return old_option(failed.options, name)
  end)
  if options then patch.options = { [failed.node] = options } end
  patch.vars = rule.vars and changed(rule.vars, function(name)
    return failed.vars and failed.vars[name]
  end)
  patch.params = rule.params and changed(rule.params, function(name)
    return bp.run.params and bp.run.params[name]
  end)
  -- An item of a map is changed by itself; its options are those of the map.
  if rule.skip then patch.skip = { failed.name } end
  if rule.succeed then
    patch.succeed = { [failed.name] = rule.succeed == true and {} or rule.succeed }
  end
  if rule.rerun then patch.rerun = type(rule.rerun) == "table" and rule.rerun or { rule.rerun } end
  -- Of a map only its items have one, of a sub-flow its nodes.
  local has_none = failed.type == "call" or failed.type == "map" and failed.name == failed.node
  if rule.drop_checkpoint and not has_none then
    patch.checkpoints = { [failed.name] = flow.null }
  end
  return patch
end

-- What the rule makes of a failure that it fits; nil: nothing.
local function patch_of(rule, failed, bp)
  local patch = own_changes(rule, failed, bp)
  local given = rule.patch
  if type(given) == "function" then given = given(failed, bp) end
  if given ~= nil and given ~= false then
    if not is_map(given) then
      error("a rule's patch: expected a map of changes, got " .. describe(given), 0)
    end
    patch = flow.patch.merge(patch, given)
  end
  local reason = rule.reason or patch.reason
  patch.reason = nil
  if next(patch) ~= nil then return patch, reason end
end

local function first_that_fits(rules, failed, bp)
  for i, rule in ipairs(rules) do
    if matches(rule, failed, bp) then
      local patch, reason = patch_of(rule, failed, bp)
      if patch then return patch, rule.name or ("rule %d"):format(i), reason end
    end
  end
end

local function ask(rules, bp)
  local whole, names, reasons = {}, {}, {}
  local function note(list, text)
    for _, there in ipairs(list) do
      if there == text then return end
    end
    list[#list + 1] = text
  end
  for _, failed in ipairs(bp.failures) do
    local patch, name, reason = first_that_fits(rules, failed, bp)
    local added
    if patch then whole, added = flow.patch.merge(whole, patch) end
    if added then
      note(names, name)
      if reason then note(reasons, reason) end
    end
  end
  if next(whole) == nil then return nil end
  if #reasons > 0 then whole.reason = table.concat(reasons, "; ") end
  return whole, table.concat(names, ", ")
end

--- An adviser from a list of rules: for each node that failed, in the order of their failures, the
--- first that fits it; what they change is one patch.
---
--- Conditions: `error` (a PCRE2 pattern), `exit_code`, `signal`, `state`, `node`, `type` (a value
--- or a list), `attempts` (at least), `rss_over`, `cpu_over`, `when` (a function of failed, bp).
--- Changes: `options`, `vars`, `params` (a value, or a function of the old one such as
--- flow.advise.times), `skip`, `succeed` (true, or its outputs), `rerun`, `drop_checkpoint`,
--- `patch` (a patch, or a function of failed, bp). `name` and `reason` are shown with the proposal.
---@param rules table[]
---@return fun(bp: table): table?, string? patch, names of the rules
function advise.rules(rules)
  if type(rules) ~= "table" then error("flow.advise.rules: expected a list of rules", 2) end
  for i, rule in ipairs(rules) do
    local ok, problem = pcall(check_rule, i, rule)
    if not ok then error(problem, 2) end
  end
  local function adviser(bp) return ask(rules, bp) end
  rules_of[adviser] = rules
  return adviser
end

return advise
