-- What the flows of the crash tests share: a node that really runs adds a line to a ledger outside,
-- so that what ran can be compared with what is stored. "P" is a process, which a supervisor keeps
-- when the engine is killed; "L" is Lua code, which ends with it or with its worker.
local fs = require "fs"

local note = {}

--- For shell text. One write of an appended line is whole or not there.
note.line = 'printf "P %s %s\\n" "$FLOWLUA_NODE" "$FLOWLUA_ATTEMPT" >> "$CRASH_LEDGER"'

--- For Lua code.
function note.run(ctx, name)
  local attempt = ctx and ctx.run.attempt or 0
  assert(fs.append(os.getenv "CRASH_LEDGER", ("L %s %d\n"):format(name or ctx.node, attempt)))
end

--- Says that `what` was acknowledged to the node: "checkpoint NAME 3", "step NAME first".
function note.acknowledge(what)
  assert(fs.append(os.getenv "CRASH_ACKS", what .. "\n"))
end

--- A node function that leaves `value`.
function note.leave(value)
  return function(ctx)
    note.run(ctx)
    ctx.vars[ctx.node] = value
    return { value = value }
  end
end

return note
