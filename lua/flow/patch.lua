-- Patches: what a resume changes. One shape, whether typed, read from a file, or proposed.
--
-- patch = { params = { k = v }, vars = { k = v }, outputs = { node = { k = v } },
--   options = { node = { option = v } }, checkpoints = { node = v or null }, skip = { node },
--   rerun = { node or "node+" }, succeed = { node = outputs }, keep = { node or "*" },
--   rename = { old = new }, from = node, script = path, keep_checkpoint = true, reason = text }
--
-- A node may be one of a sub-flow, and an item of a map: flow.patch_path.
local fault = require "flow.fault"
local known = require "flow.known"
local params = require "flow.params"
local patch_keys = require "flow.patch_keys"
local merging = require "flow.patch_merge"
local patch_path = require "flow.patch_path"
local patch_text = require "flow.patch_text"
local suggest = require "flow.suggest"
local value = require "flow.value"

local patch = {}

local function fail(path, text) error("patch." .. path .. ": " .. text, 0) end

-- ------------------------------------------------------------------------------------ shape

local is_map = merging.is_map

local function check_map(path, v)
  if not is_map(v) then fail(path, fault.expected("a map", v)) end
end

local function check_maps(path, v)
  check_map(path, v)
  for name, inner in next, v do check_map(path .. "." .. name, inner) end
end

local function check_names(path, v)
  if type(v) == "string" then return end
  if type(v) ~= "table" or v == value.null or (next(v) ~= nil and not value.is_list(v)) then
    fail(path, fault.expected("a list of names of nodes", v))
  end
  for i, name in ipairs(v) do
    if type(name) ~= "string" then
      fail(("%s[%d]"):format(path, i), fault.expected("the name of a node", name))
    end
  end
end

local function check_text(path, v)
  if type(v) ~= "string" or v == "" then fail(path, fault.expected("a text", v)) end
end

local function check_texts(path, v)
  check_map(path, v)
  for name, text in next, v do check_text(path .. "." .. name, text) end
end

local function check_boolean(path, v)
  if type(v) ~= "boolean" then fail(path, fault.expected("true or false", v)) end
end

local function check_succeed(path, v)
  if type(v) == "table" and v ~= value.null and value.is_list(v) then
    return check_names(path, v)
  end
  check_map(path, v)
end

local shapes = { map = check_map, maps = check_maps, names = check_names, texts = check_texts,
  text = check_text, flag = check_boolean, succeed = check_succeed }

local key_names, checks = {}, {}
for _, key in ipairs(patch_keys) do
  if not key.typed then
    key_names[#key_names + 1], checks[key.name] = key.name, shapes[key.shape]
  end
end

--- Raises a sentence when `given` has not the shape of a patch.
---@param given any
---@param what string? what it is called in the sentence
function patch.check_shape(given, what)
  if not is_map(given) then
    error((what or "patch") .. ": " .. fault.expected("a map of changes", given), 0)
  end
  local names = {}
  for name in next, given do names[#names + 1] = tostring(name) end
  table.sort(names)
  for _, name in ipairs(names) do
    if not checks[name] then
      local hint = suggest.hint(name, key_names)
      fail(name, "unknown key" .. (hint ~= "" and hint
        or "; there are " .. table.concat(key_names, ", ")))
    end
    checks[name](name, given[name])
  end
end

-- ------------------------------------------------------------------------------------ files

local function read_lua(path, text)
  local chunk, problem = loadstring(text, "@" .. path)
  if not chunk then error(problem, 0) end
  setfenv(chunk, { null = value.null })
  local ok, result = pcall(chunk)
  if not ok then error(tostring(result), 0) end
  return result
end

-- A patch in a file: JSON, or Lua that returns a table (`null` is known there, nothing else is).
local function read_text(path, text)
  local result, problem
  text = text:gsub("^\239\187\191", "")
  if path:find "%.json$" or (text:find "^%s*[{%[]" and not path:find "%.lua$") then
    result, problem = value.parse(text)
    if problem then error(("%s: %s"):format(path, problem), 0) end
  else
    result = read_lua(path, text)
    local bad = value.problem(result, "patch")
    if bad then error(("%s: %s"):format(path, bad), 0) end
  end
  patch.check_shape(result, path)
  return result
end

-- ------------------------------------------------------------------------------------ building

--- What of a request is a patch already (a proposal, a file, JSON), whole and of the right shape.
--- Raises a sentence.
---@return table
function patch.read(request)
  local result = {}
  if request.proposal then
    patch.check_shape(request.proposal)
    merging.add(result, request.proposal, true)
  end
  if request.file then
    merging.add(result, read_text(request.file, request.file_text), true)
  end
  if request.patch then
    patch.check_shape(request.patch)
    merging.add(result, request.patch, true)
  end
  return result
end

--- The patch that a request makes: `result` is what patch.read() found, and what was typed comes on
--- top. `flow` is the one that goes on, before options are changed; `find_flow` finds others of its
--- script by their keys. Raises a sentence.
---@return table
function patch.build(flow, request, result, find_flow)
  local more = patch_text.build(flow, request, find_flow)
  patch.check_shape(more)
  merging.add(result, more, true)
  if result.rename and next(result.rename) and not result.script then
    fail("rename", "a node gets another name in a mended script: give it, too (`script`)")
  end
  if result.from then merging.add(result, { rerun = { result.from .. "+" } }, true) end
  result.from = nil
  return result
end

--- True when a patch of the right shape asks for something that a run which has succeeded goes on
--- for.
function patch.wakes(given)
  for _, key in ipairs(patch_keys) do
    local v = key.wakes and given[key.name]
    if type(v) == "string" or (type(v) == "table" and next(v) ~= nil) then return true end
  end
  return false
end

-- ------------------------------------------------------------------------------------ flow

local function node_names(flow)
  local names = {}
  for i = 0, flow.graph:count() - 1 do names[i + 1] = flow.graph:name(i) end
  return names
end

local function check_node(flow, at, name, items_too)
  if flow.graph:find(name) then return end
  local map = patch_path.map_of(name)
  if map and flow.graph:find(map) then
    if not patch_path.is_there(flow, name) then fail(at, ('node "%s" is no map'):format(map)) end
    if items_too then return end
    fail(at, ('"%s" is an item of "%s": say it of the map'):format(name, map))
  end
  fail(at, ('flow "%s" has no node "%s"%s'):format(flow.key, name,
    suggest.hint(name, node_names(flow))))
end

-- A node that no code is given anything back for.
local function check_has_checkpoint(flow, name)
  if patch_path.is_call(flow, name) then
    fail("checkpoints." .. name, ('"%s" runs a sub-flow: name its nodes, as "%s/NODE"')
      :format(name, name))
  elseif patch_path.is_map(flow, name) then
    fail("checkpoints." .. name, ('"%s" is a map: name its items, as "%s[1]"'):format(name, name))
  end
end

local function check_parts(flow, parts)
  for _, part in ipairs(parts or {}) do
    local key = next(part.patch)
    check_node(flow, key, part.at, true)
    if not patch_path.is_call(flow, part.at) then
      fail(key, ('"%s/..." names a node of a sub-flow, and node "%s" calls none')
        :format(part.at, part.at))
    end
  end
end

local function check_exclusive(given)
  local said = {}
  local function say(what, name)
    if said[name] and what == "/" then
      error(("patch: node '%s' is in `%s`, and nodes of its sub-flow are named: choose one")
        :format(name, said[name]), 0)
    end
    if said[name] and said[name] ~= what then
      error(("patch: node '%s' is in `%s` and in `%s`: choose one"):format(name, said[name], what),
        0)
    end
    said[name] = what
  end
  for _, key in ipairs(merging.exclusive) do
    for at, v in next, given[key.name] or {} do
      local name = type(at) == "number" and v or at
      if name ~= "*" then say(key.name, (name:gsub("%+$", ""))) end
    end
  end
  for _, part in ipairs(given.parts or {}) do say("/", part.at) end
  for name in next, said do
    local map = patch_path.map_of(name)
    if map and said[map] then
      error(("patch: node '%s' is in `%s`, and its item '%s' is named: choose one")
        :format(map, said[map], name), 0)
    end
  end
end

--- Checks that `given`, as flow.patch_path splits it, fits the flow that goes on with it. Raises a
--- sentence.
---@param before table the flow as it was, for names that are changed
function patch.check_flow(flow, given, before)
  for _, key in ipairs(patch_keys) do
    if key.shape == "names" then
      for i, name in ipairs(given[key.name] or {}) do
        if key.name == "rerun" then name = name:gsub("%+$", "") end
        if not (key.name == "keep" and name == "*") then
          check_node(flow, ("%s[%d]"):format(key.name, i), name, key.items)
        end
      end
    elseif key.of_nodes and key.items then
      for name in next, given[key.name] or {} do
        check_node(flow, key.name .. "." .. name, name, true)
      end
    end
  end
  for name in next, given.checkpoints or {} do check_has_checkpoint(flow, name) end
  check_parts(flow, given.parts)
  for old, new in next, given.rename or {} do
    check_node(before, "rename." .. old, old)
    check_node(flow, "rename." .. old, new)
    if flow.graph:find(old) then
      fail("rename." .. old, "the script still has a node of this name")
    end
    if before.graph:find(new) then
      fail("rename." .. old, ('"%s" was a node before: it cannot take the place of another')
        :format(new))
    end
  end
  check_exclusive(given)
  if given.params then params.check(flow.params, flow.key, given.params) end
end

--- The params of the run from here on: those it had, as far as the flow still declares them, with
--- the changes.
function patch.params(flow, old, changes)
  local base = {}
  for name, v in next, old do
    if flow.params[name] then base[name] = v end
  end
  for name, v in next, changes or {} do base[name] = v end
  return params.resolve(flow.params, flow.key, nil, base)
end

-- ------------------------------------------------------------------------------------ options

local function set_option(node, path, v)
  local ty = known.node_type(node)
  local head, rest = path:match "^([^.]+)%.(.+)$"
  if not head then
    if v == value.null then v = nil end
    -- A positional entry may stand for it.
    if ty and ty.positional and ty.positional.name == path then
      for i = #node, 1, -1 do node[i] = nil end
    end
    node[path] = v
    return
  end
  local inner = node[head]
  if known.node_type(inner) then return set_option(inner, rest, v) end
  local copy = {}
  if is_map(inner) then
    for key, one in next, inner do copy[key] = one end
  end
  set_option(copy, rest, v)
  node[head] = copy
end

--- Gives the nodes of a flow that is not built yet the options that patches gave them.
---@param state flow.State
---@param options table<string, table> node -> { option = v }
---@param lenient boolean? nodes that are not there any more are passed over
function patch.apply_options(state, options, lenient)
  for name, changes in next, options do
    local node = state.by_name[name]
    if not node and lenient then
      changes = {}
    elseif not node and patch_path.map_of(name) and state.by_name[patch_path.map_of(name)] then
      fail("options." .. name, ('"%s" is an item of "%s": its options are those of the map')
        :format(name, patch_path.map_of(name)))
    elseif not node then
      fail("options." .. name, ('flow "%s" has no node "%s"%s'):format(state.key, name,
        suggest.hint(name, state.names)))
    end
    for option, v in next, changes do set_option(node, option, v) end
  end
end

--- A fault of an option that a patch gave, told as the patch's.
function patch.option_fault(state, options, message)
  local text = message:gsub("^[^\n]-:%d+: ", "")
  for name in next, options do
    local prefix = state.key .. "." .. name
    local after = text:sub(#prefix + 1, #prefix + 1)
    if text:sub(1, #prefix) == prefix and (after == "." or after == ":") then
      return "patch.options." .. text:sub(#state.key + 2)
    end
  end
  return message
end

return patch
