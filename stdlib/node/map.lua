-- flow.map { over = list, run = function(ctx, item, index) ... end }: a list becomes items,
-- each
-- durable, retried and resumed by itself.
local flow = require "flow"

return flow.node_type {
  name = "map",
  doc = "Turns a list that is known at run time into items.",
  params = {
    over = { "list|function|string", required = true,
      doc = "The list, a function of ctx that returns it, or a template that gives it." },
    run = { "function", positional = true,
      doc = "function(ctx, item, index): executed for each item." },
    node = { "node",
      doc = "Or: a node of any type, executed for each item; its templates see `item`, `index`." },
  },
  check = function(node)
    local run = node.run or node[1]
    if run and node.node then return "expected `run` or `node`, got both", "node" end
    if not run and not node.node then
      return "expected `run` (a function) or `node`, got neither", "run"
    end
    if type(node.over) == "string" and not node.over:find("{{", 1, true) then
      return "expected a list, a function or a template that gives a list, got a text", "over"
    end
  end,
  expand = function(ctx, p)
    if type(p.over) == "function" then return p.over(ctx) end
    return p.over
  end,
  run = function(ctx, p) return p.run(ctx, ctx.item, ctx.index) end,
}
