-- A chain of twelve nodes of every kind, each adding one to what the one before it gave.
local flow = require "flow"
local note = require "note"

local chain = flow.dag("chain", { params = { first = 1 } })
local last

-- What the node before gave: its only input.
local function get_before(ctx)
  local _, value = next(ctx.inputs)
  return value and tonumber(value.n) or ctx.params.first
end

local function run_lua(ctx)
  note.run(ctx)
  local n = get_before(ctx) + 1
  ctx.vars.sum = (ctx.vars.sum or 0) + n
  return { n = n }
end

for i = 1, 12 do
  local name = ("n%02d"):format(i)
  local text = ('%s; echo "{\\"n\\": $(({{{inputs.%s.n}}} + 1))}"'):format(note.line, last or "")
  if i % 4 == 1 then
    chain[name] = flow.lua { after = last, inline = true, run = run_lua }
  elseif i % 4 == 2 then
    chain[name] = flow.shell { after = last, text, capture = "json" }
  elseif i % 4 == 3 then
    chain[name] = flow.lua { after = last, run = run_lua }
  else
    chain[name] = flow.exec { after = last, "/bin/sh", "-c", text, capture = "json" }
  end
  last = name
end

return chain
