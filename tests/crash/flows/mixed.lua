-- Twenty nodes of every kind that there is, with retries, a branch, maps and a sub-flow.
local flow = require "flow"
local note = require "note"

local inner = flow.dag("mixed_inner", {})
local mixed = flow.dag("mixed", { defaults = { retry_delay = 0.01 } })
local LINE = note.line

mixed.shell_a = flow.shell { LINE }
mixed.shell_b = flow.shell { LINE .. '; echo "n=2" > "$FLOWLUA_OUTPUT"' }
mixed.exec_c = flow.exec { "/bin/sh", "-c", LINE .. '; echo "{\\"n\\":3}"', capture = "json" }
mixed.slow_d = flow.shell { "sleep 0.03; " .. LINE }
mixed.inline_e = flow.lua { after = "shell_a", inline = true, run = note.leave(5) }
mixed.inline_f = flow.lua { after = { "shell_a", "shell_b" }, inline = true, run = function(ctx)
  ctx:checkpoint { half = true }
  note.run(ctx)
  return { n = ctx.inputs.shell_b.n }
end }
mixed.worker_g = flow.lua { after = "exec_c", run = note.leave(7) }
mixed.worker_h = flow.lua { after = "shell_b", run = function(ctx)
  local once = ctx:step("once", function() return "done" end)
  note.run(ctx)
  return { once = once }
end }
mixed.list_i = flow.lua { inline = true, run = function(ctx)
  note.run(ctx)
  return { "x", "y", "z" }
end }
mixed.map_j = flow.map { after = "list_i", over = "{{ inputs.list_i }}", retries = 1,
  run = function(ctx, item, index)
    note.run(ctx, ("map_j[%d]"):format(index))
    return item .. index
  end }
mixed.map_k = flow.map { after = "list_i", over = "{{ inputs.list_i }}", chunk = 2,
  node = flow.shell { LINE .. "; echo {{ #item }}", capture = "text" } }
mixed.retry_l = flow.shell { LINE .. '; test "$FLOWLUA_ATTEMPT" -gt 1', retries = 3 }
mixed.retry_m = flow.lua { after = "inline_e", inline = true, retries = 3, run = function(ctx)
  note.run(ctx)
  if ctx.run.attempt == 1 then ctx:fail "the first attempt of this one fails" end
end }
mixed.choose_n = flow.branch { after = "inline_f", choose = function(ctx)
  note.run(ctx)
  return "left_o"
end }
mixed.left_o = flow.shell { after = "choose_n", LINE }
mixed.right_p = flow.shell { after = "choose_n", LINE }
mixed.skip_q = flow.shell { after = "shell_a", when = function() return false end, LINE }
inner.inner_a = flow.lua { inline = true, run = note.leave(1) }
inner.inner_b = flow.shell { after = "inner_a", LINE }
mixed.call_r = flow.call { after = "shell_a", flow = inner }
mixed.join_s = flow.lua { after = { "left_o", "right_p", "skip_q" }, trigger = "none_failed",
  inline = true, run = note.leave(19) }
mixed.end_t = flow.shell { LINE, trigger = "none_failed",
  after = { "slow_d", "worker_g", "worker_h", "map_j", "map_k", "retry_l", "retry_m", "call_r",
    "join_s" } }

return mixed
