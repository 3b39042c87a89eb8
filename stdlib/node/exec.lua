-- flow.exec { "prog", "arg", ... }: a program with exactly these words; no shell splits or expands.
local flow = require "flow"

return flow.node_type {
  name = "exec",
  doc = "Runs a program without a shell.",
  constant = true,
  params = {
    argv = {
      "list", of = { "word", template = "words", plural = "strings" }, required = true,
      positional = "rest",
        doc = "The program and its words. A word that is one template giving a list becomes "
        .. "several.",
    },
  },
  check = function(node)
    local argv = node.argv or node
    if argv[1] == nil or argv[1] == "" then return "expected a program, got nothing", "argv" end
  end,
  command = function(_, p) return p.argv end,
}
