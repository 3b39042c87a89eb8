-- flow.lua { run = function(ctx) ... end }: a Lua function, in a worker process or inline.
local flow = require "flow"

return flow.node_type {
  name = "lua",
  doc = "Runs a Lua function.",
  params = {
    run = { "function", required = true, positional = true,
      doc = "function(ctx): what it returns is the outputs." },
  },
  run = function(ctx, p) return p.run(ctx) end,
}
