-- flow.call { flow = other, params = { ... } }: a flow as a run of its own; resume enters it.
local flow = require "flow"

return flow.node_type {
  name = "call",
  doc = "Runs another flow of the script as a run of its own.",
  params = {
    flow = { "flow|string", required = true, positional = true, doc = "The flow, or its key." },
    params = { "map|function",
      doc = "Its params: names and values, or a function of ctx that returns them." },
  },
  call = function(ctx, p)
    local params = p.params
    if type(params) == "function" then params = params(ctx) end
    return p.flow, params
  end,
}
