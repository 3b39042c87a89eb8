-- Nodes that save where they are: what was acknowledged to them must be there in the next attempt.
local flow = require "flow"
local note = require "note"

local checkpoint = flow.dag("checkpoint", { defaults = { retry_delay = 0.01 } })

-- Counts to `last` with a checkpoint at each number; the sum is right only when no step is lost.
local function count(last, fails_at)
  return function(ctx)
    local state = ctx:restored() or { at = 0, sum = 0 }
    note.run(ctx)
    for i = state.at + 1, last do
      state = { at = i, sum = state.sum + i * i }
      ctx:checkpoint(state)
      note.acknowledge(("checkpoint %s %d"):format(ctx.node, i))
      if i == fails_at then ctx:fail "fails once, behind its checkpoint" end
    end
    return { sum = state.sum }
  end
end

local function step(ctx, name, value)
  local given = ctx:step(name, function(v)
    note.run(ctx, ctx.node .. ":" .. name)
    return { v = v }
  end, value)
  note.acknowledge(("step %s %s"):format(ctx.node, name))
  return given.v
end

checkpoint.count_worker = flow.lua { retries = 2, run = count(10, 6) }
checkpoint.count_inline = flow.lua { retries = 2, inline = true, run = count(8, 3) }
checkpoint.steps = flow.lua { after = "count_inline", run = function(ctx)
  note.run(ctx)
  local sum = step(ctx, "first", 1) + step(ctx, "second", 2)
  ctx:checkpoint { at = 1, sum = sum }
  note.acknowledge("checkpoint " .. ctx.node .. " 1")
  return { sum = sum + step(ctx, "third", 3) }
end }
checkpoint.whole = flow.shell { after = { "count_worker", "steps" }, capture = "text",
  note.line .. "; echo {{ inputs.count_worker.sum }} {{ inputs.steps.sum }}" }

return checkpoint
