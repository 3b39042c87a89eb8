-- flow.shell { "text" }: a text for /bin/sh. One that is only a program and its words needs no
-- shell
-- and is started directly.
local flow = require "flow"

return flow.node_type {
  name = "shell",
  doc = "Runs a text with /bin/sh.",
  constant = true,
  params = {
    text = { "string", required = true, positional = true, template = "shell", doc = "The text." },
  },
  check = function(node)
    local text = node.text or node[1]
    if not text:find "%S" then return "expected a command, got an empty text", "text" end
  end,
  command = function(_, p) return { shell = p.text } end,
}
