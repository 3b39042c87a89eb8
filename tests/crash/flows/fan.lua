-- One list, a hundred nodes of every kind that each take one entry of it, and their sum.
local flow = require "flow"
local note = require "note"

local fan = flow.dag("fan", { params = { count = 100 } })
local all = {}

fan.list = flow.lua { inline = true, run = function(ctx)
  note.run(ctx)
  local numbers = flow.list {}
  for i = 1, ctx.params.count do numbers[i] = i * i end
  return { numbers = numbers }
end }

for i = 1, 100 do
  local name = "part_" .. i
  local function square(ctx)
    note.run(ctx)
    return { n = ctx.inputs.list.numbers[i] }
  end
  if i % 4 == 0 then
    fan[name] = flow.shell { after = "list", capture = "json",
      ('%s; echo "{\\"n\\": {{{inputs.list.numbers[%d]}}} }"'):format(note.line, i) }
  elseif i % 4 == 1 then
    fan[name] = flow.lua { after = "list", run = square }
  else
    fan[name] = flow.lua { after = "list", inline = true, run = square }
  end
  all[i] = name
end

fan.sum = flow.lua { after = all, inline = true, run = function(ctx)
  note.run(ctx)
  local sum = 0
  for i = 1, 100 do sum = sum + ctx.inputs["part_" .. i].n end
  ctx.vars.sum = sum
  return { sum = sum }
end }

return fan
