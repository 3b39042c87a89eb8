-- Maps whose items fail by themselves and are tried again, in Lua and as processes.
local flow = require "flow"
local note = require "note"

local retry = flow.dag("retry", { defaults = { retry_delay = 0.01 } })

retry.list = flow.lua { inline = true, run = function(ctx)
  note.run(ctx)
  return { "a", "b", "c", "d", "e", "f" }
end }

-- Every second item fails in its first attempt, the first one in its second too.
retry.inline_map = flow.map { after = "list", over = "{{ inputs.list }}", retries = 3,
  inline = true,
  run = function(ctx, item, index)
    note.run(ctx, ("inline_map[%d]"):format(index))
    if index % 2 == 1 and ctx.run.attempt <= (index == 1 and 2 or 1) then ctx:fail "not yet" end
    return item .. index
  end }
retry.worker_map = flow.map { after = "list", over = "{{ inputs.list }}", retries = 2, limit = 2,
  run = function(ctx, item, index)
    note.run(ctx, ("worker_map[%d]"):format(index))
    if index == 2 and ctx.run.attempt == 1 then error "the first attempt fails" end
    return { item = item, double = index * 2 }
  end }
retry.shell_map = flow.map { after = "list", over = "{{ inputs.list }}",
  node = flow.shell { note.line .. '; test {{ item }} != c || test "$FLOWLUA_ATTEMPT" -gt 1; '
    .. "echo {{ item }}", capture = "text", retries = 2 } }
retry.all = flow.lua { after = { "inline_map", "worker_map", "shell_map" }, inline = true,
  run = function(ctx)
    note.run(ctx)
    ctx.vars.count = #ctx.inputs.inline_map + #ctx.inputs.worker_map + #ctx.inputs.shell_map
    return { inline_map = ctx.inputs.inline_map, shell_map = ctx.inputs.shell_map }
  end }

return retry
