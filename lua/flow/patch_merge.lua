-- Two patches as one: which of them holds, and what of them contradicts itself.
local keys = require "flow.patch_keys"
local value = require "flow.value"

local patch_merge = {}

local shape_of, exclusive = {}, {}
for _, key in ipairs(keys) do
  if not key.typed then shape_of[key.name] = key.shape end
  if key.excludes then exclusive[#exclusive + 1] = key end
end

--- The keys of which only one may name a node, in order.
patch_merge.exclusive = exclusive

function patch_merge.is_map(v)
  return type(v) == "table" and v ~= value.null and (next(v) == nil or not value.is_list(v))
end
local is_map = patch_merge.is_map

-- Names with `{}` as outputs, where only names were given.
local function as_succeed(v)
  if type(v) ~= "table" or not value.is_list(v) then return v end
  local map = {}
  for _, name in ipairs(v) do map[name] = {} end
  return map
end

local function add_list(have, list)
  local result, there = value.list {}, {}
  for _, names in ipairs { have or {}, type(list) == "table" and list or { list } } do
    for _, name in ipairs(names) do
      if not there[name] then result[#result + 1], there[name] = name, true end
    end
  end
  return result
end

local function add_map(have, map, depth, later)
  local result = {}
  for name, v in next, have or {} do result[name] = v end
  for name, v in next, map do
    if depth > 0 and is_map(v) and (result[name] == nil or is_map(result[name])) then
      result[name] = add_map(result[name], v, depth - 1, later)
    elseif result[name] == nil or later then
      result[name] = v
    end
  end
  return result
end

--- Adds the changes of `more` to `to`, of which nothing is shared. Where both say something, `more`
--- holds with `later`, else `to`. What has not the shape of a patch is passed on for whoever checks
--- it.
function patch_merge.add(to, more, later)
  for key, v in next, more do
    local shape = shape_of[key]
    if shape == "succeed" then v = as_succeed(v) end
    if shape == "names" then
      to[key] = add_list(to[key], v)
    elseif shape and is_map(v) and (to[key] == nil or is_map(to[key])) then
      to[key] = add_map(to[key], v, shape == "maps" and 1 or 0, later)
    elseif to[key] == nil or later then
      to[key] = v
    end
  end
end

local function bare(name) return (tostring(name):gsub("%+$", "")) end

-- Each name that an exclusive key holds, with its place in it.
local function each_name(key, given, each)
  if type(given) ~= "table" then return end
  for at, v in next, given do each(bare(key.shape == "names" and v or at), at, v) end
end

-- Of `more`, what does not contradict what `first` says of the same nodes, or of their items.
local function without(more, first)
  local said, rest = {}, {}
  for _, key in ipairs(exclusive) do
    each_name(key, first[key.name], function(name)
      said[name] = key.name
      local map = name:match "^(.+)%[%d+%]$"
      if map then said[map] = "an item of it" end
    end)
  end
  for name, v in next, more do rest[name] = v end
  for _, key in ipairs(exclusive) do
    if type(more[key.name]) == "table" then
      local left = {}
      each_name(key, more[key.name], function(name, at, v)
        if said[name] and said[name] ~= key.name then return end
        left[key.shape == "names" and #left + 1 or at] = v
      end)
      rest[key.name] = next(left) ~= nil and left or nil
    end
  end
  return rest
end

--- One patch of two: where both say something of the same, the first holds; so it does where the
--- second contradicts it (one skips a node that the other runs again).
---@param first table
---@param second table
---@return table patch shares nothing with them that a merge would change
---@return boolean added whether anything of the second is left in it
function patch_merge.merge(first, second)
  local result, rest = {}, without(second, first)
  patch_merge.add(result, first)
  patch_merge.add(result, rest)
  return result, next(rest) ~= nil
end

return patch_merge
