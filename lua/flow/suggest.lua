-- "did you mean": the known word that a mistyped one most likely meant, as a message's end.
local core = require "flow.core.suggest"

local suggest = {}

--- The known word that `word` most likely means, or nil.
---@param word any
---@param candidates string[] the earlier one wins a tie
---@return string?
function suggest.nearest(word, candidates)
  return type(word) == "string" and core.nearest(word, candidates) or nil
end

--- The end of a message about an unknown `word`: '; did you mean "x"?' or ''.
---@param word any
---@param candidates string[] the earlier one wins a tie
---@return string
function suggest.hint(word, candidates)
  local near = suggest.nearest(word, candidates)
  return near and ('; did you mean "%s"?'):format(near) or ""
end

return suggest
