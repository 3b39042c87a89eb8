-- What a flow lets its proposals change by themselves: its option `auto`.
local fault = require "flow.fault"
local known = require "flow.known"
local options = require "flow.options"
local schema = require "flow.schema"
local suggest = require "flow.suggest"

local auto = {}

-- Besides options of nodes.
local others = {}
for _, key in ipairs(require "flow.patch_keys") do
  if key.auto then others[#others + 1] = key.name end
end

-- ------------------------------------------------------------------------------------ checking

--- Tells what is wrong with the option itself.
---@param state flow.State
---@param fault_at fun(path: string, text: string)
function auto.check(state, fault_at)
  local given = state.options.auto
  for name in next, given do
    if name ~= "fields" and name ~= "max" then
      fault_at("." .. tostring(name), "unknown option"
        .. suggest.hint(name, { "fields", "max" }))
    end
  end
  local ok, problem = schema.check(schema.spec { "list", of = "string" }, given.fields)
  if given.fields == nil or not ok then
    fault_at(".fields" .. (problem and problem.path or ""),
      fault.expected("a list of what may be changed", given.fields))
  end
  if given.max ~= nil and not schema.check(schema.spec { "integer", min = 1 }, given.max) then
    fault_at(".max", fault.expected("a positive integer", given.max))
  end
  if not state.options.on_breakpoint then
    fault_at("", "allows what `on_breakpoint` proposes, but there is none")
  end
end

-- Every option that a node of the flow can have, by name and as a list.
local function option_names(state)
  local by_name, names, seen = {}, {}, {}
  local function add(list)
    for _, name in ipairs(list) do
      if not by_name[name] then by_name[name], names[#names + 1] = true, name end
    end
  end
  add(others)
  add(options.node.names)
  for _, node in ipairs(state.nodes) do
    local ty = known.node_type(node)
    if not seen[ty] then seen[ty] = true; add(ty.option_names) end
  end
  return by_name, names
end

-- "load.limits.memory", "call/load.retries": names of nodes may hold dots.
local function is_of_node(state, field, by_name)
  local call = field:match "^([^/]+)/"
  if call then return state.by_name[(call:gsub("%[%d+%]$", ""))] ~= nil end
  for at in field:gmatch "()%." do
    local option = field:match("^[^.]+", at + 1)
    if state.by_name[field:sub(1, at - 1)] and option and by_name[option] then return true end
  end
  return false
end

--- The first field that names nothing that a patch of the flow could change, as a fault; nil: none.
---@param state flow.State all its nodes are there
function auto.check_fields(state)
  local given = state.options.auto
  if not given or #state.faults > 0 then return nil end
  local by_name, names = option_names(state)
  for i, field in ipairs(given.fields) do
    local head = field:match "^[^.]+" or ""
    if not by_name[head] and not is_of_node(state, field, by_name) then
      return fault.new(state.place, ("%s.auto.fields[%d]"):format(state.key, i),
        ('unknown change "%s"%s'):format(field, suggest.hint(field, names)))
    end
  end
end

-- ------------------------------------------------------------------------------------ allowing

-- Everything that a patch changes, each by the names under which a flow may allow it.
local function changes_of(given)
  local list = {}
  local function add(...) list[#list + 1] = { ... } end
  for key, v in next, given do
    if key == "options" then
      for node, changes in next, v do
        for option in next, changes do
          add(option, option:match "^[^.]+", node .. "." .. option)
        end
      end
    elseif key == "vars" or key == "params" then
      for name in next, v do add(key, key .. "." .. name) end
    elseif key ~= "reason" then
      add(key)
    end
  end
  return list
end

--- Whether a flow with this option lets `given` be applied by itself.
---@param option table? as the flow has it
---@param given table a patch
function auto.allows(option, given)
  if not option then return false end
  local allowed = {}
  for _, field in ipairs(option.fields or {}) do allowed[field] = true end
  for _, names in ipairs(changes_of(given)) do
    local yes = false
    for _, name in ipairs(names) do yes = yes or allowed[name] end
    if not yes then return false end
  end
  return true
end

return auto
