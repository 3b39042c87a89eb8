-- The names that the templates of a node read: those that no run can have are found when the script
-- is loaded. What `vars` and `env` hold is known only later.
local fault = require "flow.fault"
local suggest = require "flow.suggest"
local template = require "flow.template"

local names = {}

local find, match, sub = string.find, string.match, string.sub

local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
  return then true until while]]):gmatch "%S+" do keywords[word] = true end

-- ------------------------------------------------------------------------------------ reading

-- What stands behind a name: `.name` and `["name"]`, as far as it goes.
local function read_path(code, at)
  local path = {}
  while true do
    local name, stop = match(code, "^%s*%.%s*([%a_][%w_]*)()", at)
    if not name then
      local _
      _, name, stop = match(code, "^%s*%[%s*([\"'])([%w_.-]+)%1%s*%]()", at)
    end
    if not name then return path, at end
    path[#path + 1], at = name, stop
  end
end

-- Passes what is no name: texts, comments, numbers. Returns where it ends, or nil.
local function pass(code, at)
  local char = sub(code, at, at)
  if char == '"' or char == "'" then
    local stop = at + 1
    while stop <= #code and sub(code, stop, stop) ~= char do
      stop = stop + (sub(code, stop, stop) == "\\" and 2 or 1)
    end
    return stop + 1
  end
  local level = match(code, "^%-%-%[(=*)%[", at) or match(code, "^%[(=*)%[", at)
  if level then
    local _, stop = find(code, "]" .. level .. "]", at, true)
    return (stop or #code) + 1
  end
  if find(code, "^%-%-", at) then return (find(code, "\n", at, true) or #code) + 1 end
  return match(code, "^%.?%d[%w.]*()", at)
end

-- The names that the expression reads from outside: { root =, path = }.
local function read(code)
  local list, bound, at, before = {}, false, 1, ""
  while at <= #code do
    local word = match(code, "^[%a_][%w_]*", at)
    if word then
      local stop = at + #word
      bound = bound or word == "function" or word == "local"
      if not keywords[word] and before ~= "." and before ~= ":"
        and not find(code, "^%s*=[^=]", stop) then
        local path
        path, stop = read_path(code, stop)
        list[#list + 1] = { root = word, path = path }
      end
      at, before = stop, ""
    else
      local stop = pass(code, at)
      if not stop then
        local char = sub(code, at, at)
        if not find(char, "%s") then
          before = char == "." and (before == "." and ".." or ".") or char
        end
        stop = at + 1
      else
        before = ""
      end
      at = stop
    end
  end
  list.bound = bound
  return list
end

-- ------------------------------------------------------------------------------------ judging

local is_root = {}
for _, name in ipairs(template.names) do is_root[name] = true end

local run_names = { "id", "flow", "version", "time", "date", "interval_from", "interval_to",
  "attempt", "trigger", "left_out", "error", "status", "failed" }
local is_run_name = {}
for _, name in ipairs(run_names) do is_run_name[name] = true end

-- Words of other tools.
local dates = {}
for word in ("ds ts execution_date logical_date data_interval_start ds_nodash today now")
  :gmatch "%S+" do dates[word] = true end

local function hint_of(name, list, none)
  local hint = suggest.hint(name, list)
  if hint ~= "" then return hint end
  return list[1] and "; there is " .. table.concat(list, ", ") or none
end

local function root_problem(root, sight)
  if not is_root[root] then
    if dates[root] then
      return ("unknown name %s; the day of the run is run.date"):format(root)
    end
    return ("unknown name %s%s"):format(root, hint_of(root, template.names, ""))
  end
  if (root == "item" or root == "index") and not sight.is_map then
    return root .. " is known only in the items of a map"
  end
end

local function params_problem(name, state)
  if not state.params or state.params[name] then return nil end
  local list = {}
  for i, spec in ipairs(state.params) do list[i] = spec.name end
  return ("unknown name params.%s%s"):format(name,
    hint_of(name, list, ": the flow declares no params"))
end

local function inputs_problem(name, state)
  local parents = not state.sight.is_hook and state.sight.parents()
  if not parents then return nil end
  for _, parent in ipairs(parents) do
    if parent == name then return nil end
  end
  return ("unknown name inputs.%s: %s %s%s"):format(name, fault.describe(name), state.by_name[name]
    and "is not in the `after` of this node" or "is no node",
    hint_of(name, parents, ": it depends on none"))
end

local function problem_of(one, list, state)
  local root, name = one.root, one.path[1]
  if not is_root[root] and list.bound then return nil end
  local problem = root_problem(root, state.sight)
  if problem or not name then return problem end
  if root == "params" then return params_problem(name, state) end
  if root == "inputs" then return inputs_problem(name, state) end
  if root == "run" and not is_run_name[name] then
    return ("unknown name run.%s%s"):format(name, hint_of(name, run_names, ""))
  end
end

local cache = setmetatable({}, { __mode = "k" }) -- part of a template -> what it reads

--- The first name in the templates of `text` that no run can have, as a problem whose `more` has
--- the others; nil: there is none.
---@param text string one whose templates compile
---@param state flow.State
---@return table? problem
function names.problem(text, state)
  local first
  for _, part in ipairs(template.parts(text)) do
    if type(part) == "table" then
      local list = cache[part]
      if not list then
        list = read(part.code)
        cache[part] = list
      end
      for _, one in ipairs(list) do
        local said = problem_of(one, list, state)
        if said then
          local problem = { text = ("template %s: %s"):format(template.show(part), said) }
          if not first then
            first = problem
          else
            first.more = first.more or {}
            first.more[#first.more + 1] = problem
          end
        end
      end
    end
  end
  return first
end

return names
