-- flow.shell { "text" }: a text for a shell. One that is only a program and its words needs none
-- and is started directly, with the same outcome.
local flow = require "flow"

return flow.node_type {
  name = "shell",
  doc = "Runs a text with a shell.",
  constant = true,
  params = {
    text = { "string", required = true, positional = true, template = "shell", read_by = "shell",
      doc = "The text." },
    strict = { "boolean", show = "`true`",
      doc = "The text ends at the first command that fails (`-e`)." },
    shell = { "string|list", of = { "string", plural = "strings" }, template = false,
      doc = "What reads the text: `\"bash -euo pipefail\"`, or `{ \"python3\", \"-\" }`. A shell "
        .. "gets it with `-c`; anything else, and a shell whose last word is `-`, on its standard "
        .. "input: there `{{ }}` is refused, as nobody can quote for it; give values by `env`.",
      show = "/bin/sh" },
  },
  check = function(node)
    local text = node.text or node[1]
    if not text:find "%S" then return "expected a command, got an empty text", "text" end
  end,
  command = function(_, p)
    return { shell = p.text, strict = p.strict, interpreter = p.shell }
  end,
}
