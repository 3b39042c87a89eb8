-- Finds the known word that a mistyped one most likely meant.
local suggest = {}

-- Edits (insert, delete, replace, swap of neighbours) from `a` to `b`; gives up past `limit`.
local function distance(a, b, limit)
  local size_a, size_b = #a, #b
  if math.abs(size_a - size_b) > limit then return limit + 1 end
  local before, last, row = {}, {}, {}
  for j = 0, size_b do last[j] = j end
  for i = 1, size_a do
    row[0] = i
    local best = i
    local char = a:byte(i)
    for j = 1, size_b do
      local cost = char == b:byte(j) and 0 or 1
      local edits = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost)
      if i > 1 and j > 1 and char == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        edits = math.min(edits, before[j - 2] + 1)
      end
      row[j] = edits
      if edits < best then best = edits end
    end
    if best > limit then return limit + 1 end
    before, last, row = last, row, before
  end
  return last[size_b]
end

--- The candidate nearest to `word`, or nil when none is near; the earlier one wins a tie.
---@param word string
---@param candidates string[]
---@return string?
function suggest.nearest(word, candidates)
  if #word < 2 then return nil end -- one letter is like any other
  local limit = math.max(1, math.min(3, math.floor(#word / 3)))
  local lower = word:lower()
  local best, best_distance
  for _, candidate in ipairs(candidates) do
    if candidate ~= word then
      local d = distance(lower, candidate:lower(), limit)
      if d <= limit and (not best or d < best_distance) then
        best, best_distance = candidate, d
        limit = d
      end
    end
  end
  return best
end

--- The end of a message about an unknown `word`: '; did you mean "x"?' or ''.
---@param word any
---@param candidates string[]
---@return string
function suggest.hint(word, candidates)
  local near = type(word) == "string" and suggest.nearest(word, candidates)
  return near and ('; did you mean "%s"?'):format(near) or ""
end

return suggest
