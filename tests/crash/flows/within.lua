-- A flow that fails within: in a sub-flow, where a finished node gave a wrong result, and in a map,
-- where one item is never right and the list has another that is wrong.
local flow = require "flow"
local note = require "note"

local part = flow.dag("part", {})
part.fetch = flow.shell { capture = "json", note.line .. '; echo "{\\"n\\": 2}"' }
part.beside = flow.lua { inline = true, run = function(ctx)
  note.run(ctx)
  return { side = 1 }
end }
part.check = flow.lua { after = { "fetch", "beside" }, run = function(ctx)
  if ctx.inputs.fetch.n < 5 then ctx:fail "too small" end
  note.run(ctx)
  return { n = ctx.inputs.fetch.n * 2 }
end }
part.write = flow.shell { after = "check", capture = "text", note.line
  .. "; echo {{ inputs.check.n }}" }

local within = flow.dag("within", { params = { files = { "a", "wrong", "c", "never" } } })
within.first = flow.shell { note.line }
within.go = flow.call { after = "first", flow = part }
within.each = flow.map { after = "first", over = "{{ params.files }}", run = function(ctx, item)
  if item == "wrong" or item == "never" then ctx:fail(item) end
  note.run(ctx)
  ctx.vars["got_" .. item] = true
  return item
end }
within.last = flow.lua { after = { "go", "each" }, inline = true, run = note.leave "end" }

return within
