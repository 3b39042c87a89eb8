-- A flow that fails until it is mended: a param is wrong, an output is wrong, a node never works.
local flow = require "flow"
local note = require "note"

local mend = flow.dag("mend", { params = { limit = 3 } })

mend.source = flow.lua { inline = true, run = function(ctx)
  note.run(ctx)
  return { n = 1, wrong = 5 }
end }
mend.early = flow.shell { after = "source", capture = "json",
  note.line .. '; echo "{\\"n\\": {{{inputs.source.n}}} }"' }
mend.repeated = flow.shell { after = "source", note.line .. "; echo {{ vars.colour or 'none' }}",
  capture = "text" }
mend.after_repeated = flow.lua { after = "repeated", run = function(ctx)
  note.run(ctx)
  ctx.vars.seen = ctx.inputs.repeated
  return { text = ctx.inputs.repeated }
end }
mend.breaks = flow.lua { after = { "early", "source" }, run = function(ctx)
  if ctx.params.limit < 10 then ctx:fail "the limit is too low" end
  note.run(ctx)
  return { limit = ctx.params.limit, wrong = ctx.inputs.source.wrong }
end }
mend.never = flow.shell { after = "source", "exit 7" }
mend.behind = flow.shell { after = "breaks", capture = "text",
  note.line .. "; echo {{ inputs.breaks.wrong }} {{ params.limit }} {{ vars.colour }}" }
mend.last = flow.lua { after = { "behind", "after_repeated", "never" }, inline = true,
  trigger = "none_failed", run = note.leave "end" }

return mend
