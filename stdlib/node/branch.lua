-- flow.branch { choose = function(ctx) return "name" end }: the children that are not chosen are
-- omitted.
local flow = require "flow"

return flow.node_type {
  name = "branch",
  doc = "Chooses which of the nodes after it go on.",
  params = {
    choose = {
      "function", required = true, positional = true,
      doc = "function(ctx): the name or a list of names of the nodes after it that go on; nil: "
        .. "none.",
    },
  },
  choose = function(ctx, p) return p.choose(ctx) end,
}
