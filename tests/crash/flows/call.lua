-- Sub-flows: one called once, one called by it, and one called for each entry of a list.
local flow = require "flow"
local note = require "note"

local leaf = flow.dag("leaf", { params = { n = 1 } })
leaf.leaf_shell = flow.shell { note.line .. "; echo {{ params.n }}", capture = "text" }
leaf.leaf_lua = flow.lua { after = "leaf_shell", inline = true, run = function(ctx)
  note.run(ctx)
  return { n = ctx.params.n * 2 }
end }

local middle = flow.dag("middle", { params = { n = 1 } })
middle.worker = flow.lua { run = function(ctx)
  note.run(ctx)
  ctx.vars.n = ctx.params.n
  return { n = ctx.params.n }
end }
middle.inside = flow.call { after = "worker", flow = leaf, params = { n = "{{ vars.n + 1 }}" } }
middle.done = flow.shell { after = "inside", note.line }

local call = flow.dag("call", {})
call.start = flow.lua { inline = true, run = function(ctx)
  note.run(ctx)
  return { n = 5 }
end }
call.enter = flow.call { after = "start", flow = middle, params = { n = "{{ inputs.start.n }}" } }
call.beside = flow.shell { after = "start", "sleep 0.02; " .. note.line }
call.finish = flow.lua { after = { "enter", "beside" }, run = note.leave "finished" }

return call
