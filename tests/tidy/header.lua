-- Checks that each function of flowlua.h says whether it may block, and on what.
local tidy = require "tests.support.tidy"

local path = "runtime/include/flowlua.h"
local known = { disk = true, code = true, nodes = true, helper = true }

-- Nil when `comment` says it, else what is wrong.
local function fault(comment)
  if comment:find "Does not block%f[%W]" then return nil end
  local list = comment:match "Blocks: ([^.]+)%."
  if not list then return 'does not say "Blocks: ..." or "Does not block."' end
  local any = list:find "until" -- that is what it is for
  for word in list:gsub("%b()", ""):gmatch "%a+" do any = any or known[word] end
  if any then return nil end
  return ("blocks on '%s', which the head of the file does not explain"):format(list)
end

local comment, count, n = {}, 0, 0
for line in io.lines(path) do
  n = n + 1
  local text = line:match "^///%s?(.*)"
  if text then
    comment[#comment + 1] = text
  else
    local name = line:match "^FL_API.-(fl_[%w_]+)%("
    if name then
      count = count + 1
      local wrong = fault(table.concat(comment, " "))
      if wrong then tidy.found(path, n, "%s() %s", name, wrong) end
    end
    comment = {}
  end
end
tidy.done(count .. " functions")
