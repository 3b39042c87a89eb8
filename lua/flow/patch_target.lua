-- What the names of a patch stand for: places in the graph that goes on, and items of its maps.
--
-- A target is a node by its index, or behind all nodes an item of a map, in the order of `items`.
local patch_keys = require "flow.patch_keys"
local patch_path = require "flow.patch_path"
local value = require "flow.value"

local patch_target = {}

local function sorted(names)
  table.sort(names)
  return names
end

--- Finds what a patch names. It was split (flow.patch_path) and checked against the flow.
---@param flow table compiled
---@param own table
---@return table found
---   items = { { map index, position } }: those that are named, by their targets;
---   targets = { name = target }: of all keys that are maps of nodes;
---   renamed = { { target, old } };
---   skip, rerun, keep = { target }; keep_all: every node is kept;
---   below = { target }: of those in rerun, who takes along all that depends on it;
---   behind = { target }: all that depends on it runs again, it does not;
---   named = { target }: what a "+" does not reach, as it is spoken of by its own name;
---   parts = { { at, name, patch, own } }; rest = patch: of sub-flows that are not named
function patch_target.find(flow, own)
  local found = { items = value.list {}, targets = {} }
  local count, item_at = flow.graph:count(), {}

  local function target(name)
    local index = flow.graph:find(name)
    if index then return index end
    if not item_at[name] then
      local map = patch_path.map_of(name)
      local position = tonumber(name:match "%[(%d+)%]$")
      found.items[#found.items + 1] = value.list { flow.graph:find(map), position }
      item_at[name] = count + #found.items - 1
    end
    return item_at[name]
  end
  local function add(key, at)
    found[key] = found[key] or value.list {}
    found[key][#found[key] + 1] = at
  end

  for _, key in ipairs(patch_keys) do
    local is_list = key.shape == "names" and not key.typed
    for _, v in ipairs(is_list and own[key.name] or {}) do
      local bare = key.name == "rerun" and v:match "^(.*)%+$"
      if key.name == "keep" and v == "*" then
        found.keep_all = true
      else
        add(key.name, target(bare or v))
        if bare then add("below", target(bare)) end
      end
    end
    local names = {}
    for name in next, key.of_nodes and key.items and own[key.name] or {} do
      names[#names + 1] = name
    end
    for _, name in ipairs(sorted(names)) do found.targets[name] = target(name) end
  end
  for _, name in ipairs(own.behind or {}) do add("behind", target(name)) end
  for old, new in next, own.rename or {} do
    add("renamed", value.list { target(new), old })
  end
  for _, part in ipairs(own.parts or {}) do
    add("parts", { at = target(part.at), name = part.at, patch = part.patch, own = part.own })
    add("named", target(part.at))
  end
  for _, name in ipairs(own.skip or {}) do add("named", target(name)) end
  for name in next, own.succeed or {} do add("named", target(name)) end
  for _, item in ipairs(found.items) do add("named", item[1]) end
  found.rest = patch_path.for_all(own)
  return found
end

return patch_target
