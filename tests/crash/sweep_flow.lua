-- The flow that the kill sweep breaks: 20 nodes of every kind. Each that runs adds a line with its
-- name and attempt to a ledger outside, so that what really ran can be compared with what is
-- stored. What a node leaves does not depend on the attempt: a run that was broken must end like
-- one that was not.
local flow, fs = require "flow", require "fs"

local inner = flow.dag("sweep_inner", { params = { ledger = { "string", required = true } } })
local sweep = flow.dag("sweep", {
  params = { ledger = { "string", required = true } },
  defaults = { env = { LEDGER = "{{params.ledger}}" }, retry_delay = 0.01 },
})

-- One write of an appended line is whole or not there.
local LINE = 'printf "%s %s\\n" "$FLOWLUA_NODE" "$FLOWLUA_ATTEMPT" >> "$LEDGER"'

local function note(ctx, name)
  assert(fs.append(ctx.params.ledger, ("%s %d\n"):format(name or ctx.node, ctx.run.attempt)))
end

local function leave(value)
  return function(ctx)
    note(ctx)
    ctx.vars[ctx.node] = value
    return { value = value }
  end
end

sweep.shell_a = flow.shell { LINE }
sweep.shell_b = flow.shell { LINE .. '; echo "n=2" > "$FLOWLUA_OUTPUT"' }
sweep.exec_c = flow.exec { "/bin/sh", "-c", LINE .. '; echo "{\\"n\\":3}"', capture = "json" }
sweep.slow_d = flow.shell { "sleep 0.03; " .. LINE }
sweep.inline_e = flow.lua { after = "shell_a", inline = true, run = leave(5) }
sweep.inline_f = flow.lua { after = { "shell_a", "shell_b" }, inline = true, run = function(ctx)
  ctx:checkpoint { half = true }
  note(ctx)
  return { n = ctx.inputs.shell_b.n }
end }
sweep.worker_g = flow.lua { after = "exec_c", run = leave(7) }
sweep.worker_h = flow.lua { after = "shell_b", run = function(ctx)
  local once = ctx:step("once", function() return "done" end)
  note(ctx)
  return { once = once }
end }
sweep.list_i = flow.lua { inline = true, run = function(ctx)
  note(ctx)
  return { "x", "y", "z" }
end }
sweep.map_j = flow.map { after = "list_i", over = "{{ inputs.list_i }}", retries = 1,
  run = function(ctx, item, index)
    note(ctx, ("map_j[%d]"):format(index))
    return item .. index
  end }
sweep.map_k = flow.map { after = "list_i", over = "{{ inputs.list_i }}", chunk = 2,
  node = flow.shell { LINE .. "; echo {{ #item }}", capture = "text" } }
sweep.retry_l = flow.shell { LINE .. '; test "$FLOWLUA_ATTEMPT" -gt 1', retries = 3 }
sweep.retry_m = flow.lua { after = "inline_e", inline = true, retries = 3, run = function(ctx)
  note(ctx)
  if ctx.run.attempt == 1 then ctx:fail "the first attempt of this one fails" end
end }
sweep.choose_n = flow.branch { after = "inline_f", choose = function(ctx)
  note(ctx)
  return "left_o"
end }
sweep.left_o = flow.shell { after = "choose_n", LINE }
sweep.right_p = flow.shell { after = "choose_n", LINE }
sweep.skip_q = flow.shell { after = "shell_a", when = function() return false end, LINE }
inner.inner_a = flow.lua { inline = true, run = leave(1) }
inner.inner_b = flow.shell { after = "inner_a", LINE, env = { LEDGER = "{{params.ledger}}" } }
sweep.call_r = flow.call { after = "shell_a", flow = inner,
  params = { ledger = "{{params.ledger}}" } }
sweep.join_s = flow.lua { after = { "left_o", "right_p", "skip_q" }, trigger = "none_failed",
  inline = true, run = leave(19) }
sweep.end_t = flow.shell { LINE, trigger = "none_failed",
  after = { "slow_d", "worker_g", "worker_h", "map_j", "map_k", "retry_l", "retry_m", "call_r",
    "join_s" } }

return sweep
