-- Checks the nodes of a flow: all that is wrong with them, and what is doubtful.
local assigned = require "flow.assigned"
local auto = require "flow.auto"
local command = require "flow.command"
local fault = require "flow.fault"
local known = require "flow.known"
local names = require "flow.names"
local options = require "flow.options"
local place = require "flow.place"
local registry = require "flow.registry"
local row = require "flow.row"
local schema = require "flow.schema"
local suggest = require "flow.suggest"
local synonyms = require "flow.synonyms"
local template = require "flow.template"

local check = {}

local find, type, next = string.find, type, next

--- The options of a flow that are nodes.
check.hook_names = { "on_success", "on_failure", "on_cancel", "on_exit" }

-- ------------------------------------------------------------------------------------ one node

-- What a script of before is told only, in place of being refused. In: the problem of a node's
-- option; what comes back is to be refused.
local function tolerate(state, problem)
  if state.language > 0 then return problem end
  state.doubts[#state.doubts + 1] = problem
end

-- What lets a check pass over a string that is a template, once that is known to be one that
-- compiles, and that a shell takes its values for words.
local function make_visit(state)
  return function(spec, text)
    if spec.template == false or not find(text, "{{", 1, true) then return false end
    local problem = template.problem(text, spec.template or "text")
    if problem then return false, { text = problem } end
    local reader = spec.read_by and state.subject[spec.read_by]
    if not command.can_quote(reader) then
      problem = template.is_bare(text) or { text = ("a value cannot be quoted for %s: give it by "
        .. "`env`, or its bare text by {{{ }}}"):format(fault.describe(reader)) }
      return problem == true, problem ~= true and problem or nil
    end
    local misplaced = spec.template == "shell" and template.misplaced(text)
    problem = misplaced and tolerate(state, { text = misplaced, option = spec.name })
    if problem then return false, problem end
    if state.language >= 2 then
      problem = names.problem(text, state)
      if problem then return false, problem end
    end
    return true
  end
end

-- Strings deep in an option of which no spec says what they are: they are rendered, too.
local function visit_within(state, spec, v, depth)
  if type(v) == "string" then
    local _, problem = state.visit(spec, v)
    return problem
  end
  if type(v) ~= "table" or getmetatable(v) or known.is_flow(v) or depth > 8 then return nil end
  local worst, worst_key
  for key, element in next, v do
    local problem = visit_within(state, spec, element, depth + 1)
    local text = tostring(key)
    if problem and (not worst or text < worst_key) then
      problem.path = (type(key) == "number" and "[%s]" or ".%s"):format(text)
        .. (problem.path or "")
      worst, worst_key = problem, text
    end
  end
  return worst
end

local function check_retry_on(v)
  if type(v) ~= "string" then return nil end
  local ok, problem = check.pattern(v)
  if not ok then return { text = (tostring(problem):gsub("^re%.find: ", "")) } end
end

local function check_after(after)
  if type(after) == "string" or known.node_type(after) then return nil end
  if not schema.is_list(after) then
    return { expected = "a name, a node or a list of them", got = after }
  end
  for i = 1, #after do
    if type(after[i]) ~= "string" and not known.node_type(after[i]) then
      return { path = "[" .. i .. "]", expected = "a name or a node", got = after[i] }
    end
  end
end

local function check_when(when)
  if type(when) ~= "string" or template.is(when) or when == "true" or when == "false" then
    return nil
  end
  return { expected = "a function of ctx or a {{ }} expression", got = when }
end

local extra_checks = { limits = command.limits_problem, retry_on = check_retry_on,
  after = check_after, when = check_when }

-- Of a line that makes many nodes: what its first functions do, the others do.
local LOOKED_AT_MAX = 8

-- What a function leaves outside of itself is told once, however many nodes have it.
local function doubt_function(state, option, fn)
  if state.language < 2 then return end
  local where = state.sight.where or 0
  local count = (state.looked_at[where] or 0) + 1
  if count > LOOKED_AT_MAX then return end
  state.looked_at[where] = count
  local found = assigned.names(fn)
  if #found == 0 or state.told[found] then return end
  state.told[found] = true
  state.doubts[#state.doubts + 1] = { option = option, text = ("assigns to %s: whether other nodes "
    .. "see that depends on the worker that executes them; keep values in ctx.vars or the outputs")
    :format(table.concat(found, " and ")) }
end

-- A pool need not be declared: one that looks like another that is, is mistyped.
local function pool_problem(state, name)
  local pools = state.options.pools
  if not pools or pools[name] or state.language < 2 then return nil end
  local declared = {}
  for one in next, pools do declared[#declared + 1] = one end
  table.sort(declared)
  local hint = suggest.hint(name, declared)
  if hint ~= "" then
    return { text = ("the flow declares no pool %s%s"):format(fault.describe(name), hint) }
  end
end

local code_limits = { memory = true, cpu_time = true }

-- Of a node whose code runs in a worker.
local function code_limits_problem(ty, node, limits)
  if node.node ~= nil and ty.kind == "map" then
    return { text = "are those of code: give them to the node inside" }
  end
  local problem = command.limits_problem(limits)
  if problem then return problem end
  for name in next, limits do
    if not code_limits[name] then
      return { path = "." .. name, text = "holds for processes: code in a worker has memory and "
        .. "cpu_time" }
    end
  end
  if node.inline or ty.inline then
    return { text = "hold for what runs in a worker: leave out inline" }
  end
end

-- The problem of one named option, or nil.
local function check_option(state, ty, key, v)
  local spec = ty.checks[key]
  if not spec then
    if ty.open and type(key) == "string" then return nil end
    return { text = "unknown option" .. synonyms.hint("option", key, ty.option_names, ty.name) }
  end
  -- Templates are rendered in a type's own options, and in those of every node that say so.
  local ok, problem = schema.check(spec, v, (spec.own or spec.template) and state.visit or nil)
  if not ok then return problem end
  if type(v) == "function" then doubt_function(state, key, v) end
  if type(v) == "table" and spec.own and not spec.of and state.language >= 2 then
    problem = visit_within(state, spec, v, 0)
    if problem then return problem end
  end
  if key == "limits" and not spec.own and (ty.kind == "worker" or ty.kind == "map") then
    return code_limits_problem(ty, state.subject, v)
  end
  if key == "pool" and not spec.own then return pool_problem(state, v) end
  local extra = extra_checks[key]
  if extra and not spec.own then return extra(v) end
  if key == "inline" and v and not spec.own and not (ty.hooks.run and ty.inline ~= false) then
    return { text = ("a node of type %s cannot run inline"):format(ty.name) }
  end
end

-- The problem of the positional entries, of which there are `count`, and the option they stand for.
local function check_positional(state, ty, node, count)
  local spec = ty.positional
  if not spec then
    return { text = ("flow.%s has no positional entries"):format(ty.name) }, "[1]"
  end
  if node[spec.name] ~= nil then
    return { text = ("given twice: as `%s` and as positional entry"):format(spec.name) }, spec.name
  end
  for i = 1, count do
    if node[i] == nil then
      return { expected = "positional entries without gaps", got = nil }, ("[%d]"):format(i)
    end
  end
  local v = node[1]
  if spec.positional == "rest" then
    v = {}
    for i = 1, count do v[i] = node[i] end
  elseif count > 1 then
    return { text = ("expected one positional entry, got %d"):format(count) }, spec.name
  end
  local ok, problem = schema.check(spec, v, state.visit)
  if not ok then return problem, spec.name end
  if type(v) == "function" then doubt_function(state, spec.name, v) end
  if type(v) == "table" and not spec.of and state.language >= 2 then
    return visit_within(state, spec, v, 0), spec.name
  end
end

local function required_problem(ty, node)
  for _, spec in ipairs(ty.params) do
    if spec.required and node[spec.name] == nil and not (spec.positional and node[1] ~= nil) then
      local expected = schema.expected(spec)
      return { text = ("expected %s%s, got nothing"):format(expected,
        spec.positional and " as positional entry" or "") }, spec.name
    end
  end
end

local check_node

local function check_items(state, ty, node, tell)
  local inner = row.item(ty, node)
  if inner == node then
    if not ty.hooks.run and not ty.hooks.command then
      tell({ expected = "a node", got = nil }, ty.node_param)
    end
    return
  end
  local inner_type = known.node_type(inner)
  if not inner_type then return end -- told already
  if inner_type.kind == "map" or inner_type.kind == "branch" then
    return tell({ text = ("a node of type %s cannot be inside another"):format(inner_type.name) },
      ty.node_param)
  end
  for _, key in ipairs { "after", "when", "trigger", "merge" } do
    if inner[key] ~= nil then
      tell({ text = "belongs to the node around it" }, ty.node_param .. "." .. key)
    end
  end
  local doubts = #state.doubts
  check_node(state, inner_type, inner, function(problem, option)
    tell(problem, ty.node_param .. "." .. option, registry.place_of(inner))
  end)
  for i = doubts + 1, #state.doubts do
    local doubt = state.doubts[i]
    doubt.option, doubt.place = ty.node_param .. "." .. doubt.option, registry.place_of(inner)
  end
end

-- What the type's own check() says, and what is missing.
local function check_whole(state, ty, node, tell)
  local problem, option = required_problem(ty, node)
  if problem then return tell(problem, option) end
  if not ty.hooks.check then return end
  local text, name, is_doubt = ty.hooks.check(node)
  if text and is_doubt then
    state.doubts[#state.doubts + 1] = { text = text, option = name or "" }
  elseif text then
    tell({ text = text }, name or "")
  end
end

-- Tells each problem of a node: (problem, option, its line where that is not the node's own). Where
-- an option is wrong, what is missing may only stand under another name.
check_node = function(state, ty, node, tell)
  state.subject = node
  local count, bad = 0, nil
  for key, v in next, node do
    if type(key) == "number" then
      if key > count then count = key end
    else
      local problem = check_option(state, ty, key, v)
      if problem then
        bad = bad or {}
        bad[#bad + 1] = { option = tostring(key), problem = problem }
      end
    end
  end
  if bad then
    table.sort(bad, function(a, b) return a.option < b.option end)
    for _, one in ipairs(bad) do tell(one.problem, one.option) end
  end
  if count > 0 then
    local problem, option = check_positional(state, ty, node, count)
    if problem then
      bad = true
      tell(problem, option)
    end
  end
  if not bad then check_whole(state, ty, node, tell) end
  if ty.kind == "map" then check_items(state, ty, node, tell) end
end

-- ------------------------------------------------------------------------------------ faults

local function node_fault(state, name, where, problem, option)
  local path = state.key .. "." .. name
  if option and option ~= "" then
    path = path .. (find(option, "^%[") and option or "." .. option)
  end
  return fault.new(where, path .. (problem.path or ""), schema.problem_text(problem))
end

local function add(state, one) state.found[#state.found + 1] = one end

-- What a flow's defaults need beside their types.
local function check_defaults(state)
  local defaults = state.options.defaults
  if type(defaults) ~= "table" or #state.faults > 0 then return end
  state.sight, state.subject = { is_map = true, is_hook = true }, defaults
  for _, list in ipairs { options.node, options.process } do
    for _, spec in ipairs(list) do
      local problem = spec.template and visit_within(state, spec, defaults[spec.name], 0)
      if problem then
        add(state, fault.new(state.place, state.key .. ".defaults." .. spec.name
          .. (problem.path or ""), schema.problem_text(problem)))
      end
    end
  end
  for _, name in ipairs { "limits", "retry_on", "pool" } do
    local v, problem = defaults[name], nil
    if v ~= nil and name == "pool" then problem = pool_problem(state, v) end
    if v ~= nil and extra_checks[name] then problem = extra_checks[name](v) end
    if problem then
      add(state, fault.new(state.place, state.key .. ".defaults." .. name .. (problem.path or ""),
        schema.problem_text(problem)))
    end
  end
end

-- Turns what was doubtful in a node into what is told of it.
local function take_doubts(state, name, where)
  for _, doubt in ipairs(state.doubts) do
    state.notices[#state.notices + 1] =
      node_fault(state, name, doubt.place or where, doubt, doubt.option).message
  end
  state.doubts = {}
end

-- The names whose outputs the templates of a node may read, once they are asked for; nil: any.
local function parents_of(state, after)
  if after ~= nil and check_after(after) then return nil end
  local parents = {}
  if after ~= nil then
    check.each_after(after, function(entry)
      local name = check.after_name(state, entry)
      if name then parents[#parents + 1] = name else parents.open = true end
    end)
  end
  return not parents.open and parents or nil
end

local function check_one(state, name, node, where, is_hook)
  local sight, ty = state.sight, known.node_type(node)
  sight.name, sight.where, sight.after = name, where, node.after
  sight.is_map, sight.is_hook = ty.kind == "map", is_hook
  check_node(state, ty, node, state.tell)
  if state.doubts[1] then take_doubts(state, name, where) end
end

-- What the checks of one node after the other share: which node it is, and who is told.
local function begin_nodes(state)
  local sight = {}
  state.sight, state.looked_at = sight, {}
  function sight.parents() return parents_of(state, sight.after) end
  function state.tell(problem, option, inner_where)
    local where = inner_where or sight.where
    add(state, node_fault(state, sight.name, where, problem, option))
    for _, more in ipairs(problem.more or {}) do
      more.path = problem.path
      add(state, node_fault(state, sight.name, where, more, option))
    end
  end
end

local function check_nodes(state)
  begin_nodes(state)
  for i = 1, #state.nodes do
    check_one(state, state.names[i], state.nodes[i], state.places[i])
  end
  for _, hook in ipairs(check.hook_names) do
    local node = state.options[hook]
    if known.node_type(node) then
      local where = registry.place_of(node) or state.place
      check_one(state, hook, node, where, true)
      for _, option in ipairs { "after", "when" } do
        if node[option] ~= nil then
          add(state, node_fault(state, hook, where,
            { text = "runs at the end of a run: it depends on nothing" }, option))
        end
      end
    end
  end
end

-- ------------------------------------------------------------------------------------ edges

local function owner_of(node)
  for _, state in next, known.flows do
    for i = 1, #state.nodes do
      if state.nodes[i] == node then return state, state.names and state.names[i] end
    end
  end
end

local function reverse(state)
  local reversed = {}
  for i, node in ipairs(state.nodes) do reversed[node] = state.names[i] end
  state.name_of = reversed
  return reversed
end

-- The name that one entry of `after` means, or nil and a problem.
function check.after_name(state, entry)
  if type(entry) == "string" then
    if state.by_name[entry] then return entry end
    return nil, { text = ('unknown node "%s"%s'):format(entry, suggest.hint(entry, state.names)) }
  end
  local name = (state.name_of or reverse(state))[entry]
  if name then return name end
  local other, other_name = owner_of(entry)
  if other then
    return nil, { text = ("expected a node of this flow, got %s.%s")
      :format(other.key, other_name or "?") }
  end
  return nil, { text = "expected a node of this flow, got one that was never assigned to it" }
end

function check.each_after(after, each)
  if type(after) == "string" or known.node_type(after) then return each(after, "") end
  for i = 1, #after do each(after[i], "[" .. i .. "]") end
end

local function check_edges(state)
  for i = 1, #state.nodes do
    local after = state.nodes[i].after
    if after ~= nil and not (type(after) == "string" and state.by_name[after])
      and not check_after(after) then
      check.each_after(after, function(entry, path)
        local _, problem = check.after_name(state, entry)
        if problem then
          problem.path = path
          add(state, node_fault(state, state.names[i], state.places[i], problem, "after"))
        end
      end)
    end
  end
end

-- Nodes that no run can reach: what they need is never run.
local function doubt_unreachable(state)
  local never, some = {}, false
  for i = 1, #state.nodes do
    if state.nodes[i].when == false then never[state.names[i]], some = state.names[i], true end
  end
  if not some or state.language < 2 then return end
  repeat
    local more = false
    for i = 1, #state.nodes do
      local node, name = state.nodes[i], state.names[i]
      local trigger = node.trigger or (state.options.defaults or {}).trigger or "all_success"
      if node.after ~= nil and not never[name] and trigger == "all_success" then
        check.each_after(node.after, function(entry)
          local parent = check.after_name(state, entry)
          if parent and never[parent] and not never[name] then
            never[name], more = never[parent], true
            state.notices[#state.notices + 1] = node_fault(state, name, state.places[i],
              { text = ("is never run: the `when` of %s is false"):format(never[name]) }).message
          end
        end)
      end
    end
  until not more
end

-- ------------------------------------------------------------------------------------ flows

-- What rules say of nodes that are not there; only a script that made some has loaded them.
local function check_adviser(state)
  local advise = state.options.on_breakpoint and package.loaded["stdlib.advise"]
  local problem = advise and advise.check(state.options.on_breakpoint, state.names)
  if problem then add(state, fault.new(state.place, state.key .. ".on_breakpoint", problem)) end
end

-- Nodes that the script read before they were there, or that are not there at all.
local function check_missed(state)
  for _, missed in ipairs(state.missed) do
    local name, known_at = missed.name, nil
    for i = 1, #state.names do
      if state.names[i] == name then known_at = state.places[i] end
    end
    local near = known_at and name or suggest.nearest(name, state.names)
    local text = "no node of this name"
    if near then
      text = ('%s yet%s (declare it above, or write after = "%s")'):format(text, known_at
        and ": it is declared at " .. place.show(known_at) or suggest.hint(name, state.names), near)
    end
    add(state, fault.new(missed.place, state.key .. "." .. name, text))
  end
end

--- All faults of a flow. `complete` false: the script broke off, so that a name that stands for no
--- node may only not be there yet. `state.notices` is what is doubtful.
---@param state flow.State
---@param complete boolean
---@return flow.Fault[]
function check.flow(state, complete)
  state.visit, state.doubts, state.notices, state.told = make_visit(state), {}, {}, {}
  state.found = {}
  for _, one in ipairs(state.faults) do add(state, one) end
  check_defaults(state)
  check_nodes(state)
  check_missed(state)
  if complete then
    check_edges(state)
    local problem = auto.check_fields(state)
    if problem then add(state, problem) end
    check_adviser(state)
    if not state.found[1] and #state.nodes == 0 then
      add(state, fault.new(state.place, state.key, "expected at least one node, got none"))
    end
    if not state.found[1] then doubt_unreachable(state) end
  end
  return state.found
end

local TOLD_MAX, TOLD_SIZE = 20, 1900 -- bytes: FL_ERROR_MESSAGE_SIZE holds them

--- The faults as one message, a line each, in the order in which they stand in a file.
---@param faults flow.Fault[] not empty
---@return string
function check.message(faults)
  local keys = {}
  for i, one in ipairs(faults) do
    local file, line = "", 0
    if one.place then file, line = place.split(one.place) end
    keys[one] = { file = file, line = line, order = i }
  end
  local first = keys[faults[1]].file
  local sorted, lines, seen = { unpack(faults) }, {}, {}
  table.sort(sorted, function(a, b)
    local x, y = keys[a], keys[b]
    if x.file ~= y.file then
      if x.file == first or y.file == first then return x.file == first end
      return x.file < y.file
    end
    if x.line ~= y.line then return x.line < y.line end
    return x.order < y.order
  end)
  local size, more = 0, 0
  for _, one in ipairs(sorted) do
    if not seen[one.message] then
      size = size + #one.message + 1
      if more == 0 and #lines < TOLD_MAX and (size < TOLD_SIZE or not lines[1]) then
        lines[#lines + 1] = one.message
      else
        more = more + 1
      end
    end
    seen[one.message] = true
  end
  if more > 0 then lines[#lines + 1] = ("and %d more"):format(more) end
  return table.concat(lines, "\n")
end

--- How a pattern is checked; the loader puts PCRE2 here.
check.pattern = function() return true end

return check
