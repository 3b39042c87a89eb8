-- flow.exec { "prog", "arg", ... }: a program with exactly these words; no shell splits or expands.
local flow = require "flow"

-- The position of a word with values in it that a shell is given as its text (sh -c TEXT).
local function shell_text(argv)
  for i = 2, #argv do
    local option = argv[i - 1]
    if type(argv[i]) == "string" and argv[i]:find("{{", 1, true) and type(option) == "string"
      and option:find "^%-%w*c$" then
      for before = 1, i - 2 do
        local word = argv[before]
        if type(word) == "string" and word:find "%f[%w]%l?%l?sh$" then return i end
      end
    end
  end
end

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
    if argv[2] == nil and type(argv[1]) == "string" and argv[1]:find "^[^/{ ]+ " then
      return ("is one word, the name of a program: write one word each, or flow.shell %q")
        :format(argv[1]), "argv[1]", true
    end
    local at = shell_text(argv)
    if at then
      return "its values are no words for the shell, which runs what is in them: give them behind "
        .. "the text, as $1, or use flow.shell", ("argv[%d]"):format(at), true
    end
  end,
  command = function(_, p) return p.argv end,
}
