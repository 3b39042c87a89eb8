-- The keys of a patch, a row each: from here come the checks, merging, splitting, what excludes
-- what, the flags of `flowlua resume` with their help, and how the C API hands them on
-- (runtime/api/patch_keys.lua). Data only.
--
--   shape      "map": k = v; "maps": of nodes, k = v each; "names": a list of nodes; "texts": a map
--              of texts; "succeed": names, or a map of them to outputs; "text"; "flag": true
--   of_nodes   the keys of its map are names of nodes
--   items      an item of a map may be named ("each[3]")
--   excludes   one of these a node, told in this order
--   changes    without it a resume changes nothing; wakes: a run that has succeeded goes on for it
--   auto       a flow may allow it by this name in its option `auto`
--   typed      a flag only: no key of a patch
--   flag, value, doc   of the command line
return {
  { name = "params", shape = "map", changes = true, auto = true,
    flag = "param", value = "NAME=VALUE",
    doc = "set a parameter: text where the default is a text, else JSON" },
  { name = "vars", shape = "map", changes = true, auto = true,
    flag = "set", value = "NAME=VALUE", doc = "set one of the run's vars: JSON, else text" },
  { name = "options", shape = "maps", of_nodes = true, changes = true, wakes = true,
    flag = "option", value = "NODE.OPTION=VALUE",
    doc = "give a node another option: load.timeout=1h" },
  { name = "checkpoints", shape = "map", of_nodes = true, items = true, changes = true,
    auto = true,
    flag = "checkpoint", value = "NODE=VALUE",
    doc = "set what a node gets back as its checkpoint" },
  { name = "drop_checkpoints", shape = "names", typed = true, changes = true,
    flag = "drop-checkpoint", value = "NODE", doc = "let a node begin without its checkpoint" },
  { name = "skip", shape = "names", items = true, excludes = true, changes = true, auto = true,
    flag = "skip", value = "NODE", doc = "leave a node out" },
  { name = "succeed", shape = "succeed", of_nodes = true, items = true, excludes = true,
    changes = true, auto = true,
    flag = "succeed", value = "NODE[=OUTPUTS]",
    doc = "count a node as succeeded, with these outputs" },
  { name = "rerun", shape = "names", items = true, excludes = true, changes = true, wakes = true,
    auto = true,
    flag = "rerun", value = "NODE[+]",
    doc = "run a node again, with + also all that depends on it" },
  { name = "from", shape = "text", changes = true,
    flag = "from", value = "NODE", doc = "run a node and all that depends on it again" },
  { name = "keep_checkpoint", shape = "flag", auto = true,
    flag = "keep-checkpoint", doc = "what runs again keeps its checkpoints and steps" },
  { name = "keep", shape = "names", excludes = true, changes = true, auto = true,
    flag = "keep", value = "NODE",
    doc = "keep a result though the node's definition changed; '*': all" },
  { name = "outputs", shape = "maps", of_nodes = true, items = true, excludes = true,
    changes = true, wakes = true, auto = true,
    flag = "output", value = "NODE.KEY=VALUE", doc = "set one key of a finished node's outputs" },
  { name = "script", shape = "text", changes = true, wakes = true,
    flag = "script", value = "FILE",
    doc = "use a mended script instead of the one the run used" },
  { name = "rename", shape = "texts", of_nodes = true, changes = true,
    flag = "rename", value = "OLD=NEW", doc = "a node has another name in the mended script" },
  { name = "reason", shape = "text",
    flag = "reason", value = "TEXT", doc = "kept with the change" },
}
