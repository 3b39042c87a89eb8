-- Names in a patch: a node, an item of a map ("each[3]"), a node of a sub-flow ("load/fetch"), and
-- so on down ("each[3]/load/fetch").
--
-- A patch that is split: what it says of the run's own nodes, as flow.patch has it, and
--   behind = { node }: run again what depends on it, for the sake of something within it;
--   parts = { { at = call, patch = patch, own = patch } }: what it says of sub-flows, by their own
--     names, and of all, and the same split.
local known = require "flow.known"
local render = require "flow.render"
local value = require "flow.value"

local path = {}

--- "each[3]/load/fetch" -> "each[3]", "load/fetch"; nil: a node of the flow itself.
---@param name string
---@return string? call
---@return string? rest
function path.head(name) return name:match "^([^/]+)/(.+)$" end

--- "each[3]" -> "each"; nil: no item of a map.
---@param name string
---@return string? map
function path.map_of(name) return name:match "^(.+)%[[1-9]%d*%]$" end

-- Options of the node, and for an item those of the node that its map executes; nil: there is none.
local function options_of(flow, name)
  local index = flow.graph:find(name)
  if index then return flow.nodes[index + 1] end
  local map = path.map_of(name)
  index = map and flow.graph:find(map)
  local options = index and flow.nodes[index + 1]
  local ty = options and known.node_type(options)
  if not ty or ty.kind ~= "map" then return nil end
  return known.node_type(options.node) and options.node or {}
end

--- True when the flow can have a node or an item of this name.
---@param flow table compiled
---@param name string
function path.is_there(flow, name) return options_of(flow, name) ~= nil end

--- True when `name` is a map, and no item of one.
function path.is_map(flow, name)
  local index = flow.graph:find(name)
  local ty = index and known.node_type(flow.nodes[index + 1])
  return ty and ty.kind == "map" or false
end

--- True when `name` is a node, or an item of a map, that runs a sub-flow.
function path.is_call(flow, name)
  local options = options_of(flow, name)
  local ty = options and known.node_type(options)
  return ty and ty.kind == "call" or false
end

--- The flow that the call `name` runs, as far as its script says; nil: only the run knows.
---@param flow table compiled
---@param name string
---@param find fun(key: string): table? a flow of the script
function path.sub_flow(flow, name, find)
  if not path.is_call(flow, name) then return nil end
  local options = options_of(flow, name)
  local v = render.raw(known.node_type(options).checks.flow, options)
  if known.is_flow(v) then return find(known.flows[v].key) end
  return type(v) == "string" and find(v) or nil
end

--- The options of the node that a whole path leads to, as far as scripts say; nil: to none.
---@return table? options
function path.options(flow, name, find)
  local head, rest = path.head(name)
  if not head then return options_of(flow, name) end
  local sub = path.sub_flow(flow, head, find)
  return sub and path.options(sub, rest, find) or nil
end

-- ------------------------------------------------------------------------------------ splitting

local lists, maps = {}, {}
for _, key in ipairs(require "flow.patch_keys") do
  if key.shape == "names" and not key.typed then lists[key.name] = true end
  if key.of_nodes then maps[key.name] = true end
end

local function add(to, key, v)
  to[key] = to[key] or value.list {}
  to[key][#to[key] + 1] = v
end

local function put(to, key, name, v)
  to[key] = to[key] or {}
  to[key][name] = v
end

-- "each[3]+" runs the item again, and all that depends on its map.
local function add_own(own, key, name)
  local bare = key == "rerun" and name:match "^(.*)%+$"
  local map = bare and path.map_of(bare)
  if map then
    add(own, key, bare)
    add(own, "behind", map)
  else
    add(own, key, name)
  end
end

--- What of a patch holds for sub-flows as well: why it is changed, and what is said of everything.
---@param given table
---@return table patch
function path.for_all(given)
  local result = { reason = given.reason, keep_checkpoint = given.keep_checkpoint }
  for _, name in ipairs(given.keep or {}) do
    if name == "*" then result.keep = value.list { "*" } end
  end
  return result
end

--- Splits a patch of the right shape.
---@param given table
---@return table own
function path.split(given)
  local own, parts = {}, {}
  local function part(at)
    parts[at] = parts[at] or {}
    return parts[at]
  end
  for key, v in next, given do
    if lists[key] then
      for _, name in ipairs(v) do
        local at, rest = path.head(name)
        if at then add(part(at), key, rest) else add_own(own, key, name) end
        if at and key == "rerun" and rest:find "%+$" then
          add(own, "behind", path.map_of(at) or at)
        end
      end
    elseif maps[key] then
      for name, one in next, v do
        local at, rest = path.head(name)
        if at and key == "rename" then one = one:gsub("^.*/", "") end
        if at then put(part(at), key, rest, one) else put(own, key, name, one) end
      end
    else
      own[key] = v
    end
  end
  for at, patch in next, parts do
    local all = path.for_all(given)
    if all.keep then add(patch, "keep", "*") end
    patch.reason, patch.keep_checkpoint = all.reason, all.keep_checkpoint
    add(own, "parts", { at = at, patch = patch, own = path.split(patch) })
  end
  if own.parts then table.sort(own.parts, function(a, b) return a.at < b.at end) end
  return own
end

--- The patch of a sub-flow as one of the run that calls it.
---@param given table of the right shape
---@param within string what names begin with there: "load/"
function path.within(given, within)
  local result = {}
  for key, v in next, given do
    if lists[key] then
      for _, name in ipairs(v) do add(result, key, within .. name) end
    elseif maps[key] then
      for name, one in next, v do put(result, key, within .. name, one) end
    else
      result[key] = v
    end
  end
  return result
end

return path
