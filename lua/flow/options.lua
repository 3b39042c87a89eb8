-- The options of nodes and flows: the one table that checking, docs/reference.md, types, and what
-- the graph holds come from.
local schema = require "flow.schema"

local options = {}

-- The last line of a node's option says what else it is:
--   row        the field of the graph's options (FL_NODE_OPTIONS in graph.h) that is made from it
--   per        of a map's, whose it is: "node": its own; "item": that of its items; nil: of both
--   mends      true: it says when and how often a node is tried, not what it does, so that a
--              resume may change it and the definition stays the same
--   by_node    true: no default of a flow
--   template   how {{ }} in it is rendered; nil: not at all

--- What every node takes.
options.node = schema.options {
  { name = "after", "any",
    doc = "What it depends on: a name, a node, or a list of them. The order matters for `merge`.",
    mends = true, by_node = true },
  { name = "trigger", enum = { "all_success", "all_done", "all_failed", "one_success",
    "one_failed", "none_failed" },
    default = "all_success", doc = "Which ends of what it depends on let it start.",
    row = "trigger", per = "node", mends = true },
  { name = "when", "function|string|boolean",
    doc = "A function of ctx or a `{{ }}` expression; false, null or the text \"false\": the node "
      .. "is skipped.",
    row = "has_when", per = "node", by_node = true, template = "text" },
  { name = "merge", "function|enum", enum = { "error", "first", "last" }, default = "error",
    doc = "What happens when two parents set one var to different values: an error, the first or "
      .. "last in `after` order wins, or a function of (key, values).",
    row = "merge", per = "node" },
  { name = "retries", "integer", min = 0, max = 100, default = 0,
    doc = "Attempts after the first.",
    row = "retry_count_max", per = "item", mends = true },
  { name = "retry_delay", "duration", default = "1s", doc = "Wait before the first retry.",
    row = "retry_delay_ms", mends = true },
  { name = "retry_backoff", "number", min = 1, max = 100, default = 1,
    doc = "Factor by which the wait grows with each retry.",
    row = "retry_backoff", mends = true },
  { name = "retry_max_delay", "duration", doc = "The longest wait. 0: no limit.", default = "1d",
    row = "retry_delay_max_ms", mends = true },
  { name = "retry_jitter", "number", min = 0, max = 1, default = 0,
    doc = "Share of the wait that is random: the wait is multiplied by 1 - jitter * random.",
    row = "retry_jitter", mends = true },
  { name = "retry_on", "function|integer|list|string", of = { "integer", min = 0, max = 255 },
    min = 0, max = 255,
    doc = "Which failures are retried: a function of the failure, exit codes, or a PCRE2 pattern "
      .. "for the error text.", show = "every failure",
    row = "has_retry_on", per = "item", mends = true },
  { name = "max_lost", "integer", min = 0, max = 1000, default = 5,
    doc = "Attempts that may be lost with their process before the node fails; not counted as "
      .. "retries.",
    row = "lost_count_max", mends = true },
  { name = "timeout", "duration", doc = "Of one attempt. 0: none.", show = "none",
    row = "timeout_ms", per = "item", mends = true },
  { name = "deadline", "duration",
    doc = "Of all attempts together, from the start of the first; a try that would begin behind "
      .. "it is not waited for. 0: none.",
    show = "none",
    row = "deadline_ms", per = "item", mends = true },
  { name = "grace", "duration", default = "10s",
    doc = "Time between TERM and KILL when it is ended.",
    row = "grace_ms", mends = true },
  { name = "priority", "integer", min = -1000000, max = 1000000, default = 0,
    doc = "Higher starts first, also before what waits for a slot already. A run that gets no slot "
      .. "gains one for each minute that it waits.",
    row = "priority", mends = true },
  { name = "pool", "name",
    doc = "The pool it takes from. A pool that the flow does not declare has a capacity of 1.",
    show = "none",
    row = "pool", per = "item", mends = true },
  { name = "weight", "integer", min = 1, max = 1000000, default = 1,
    doc = "How much of the pool's capacity it takes; no more than there is.",
    row = "weight", per = "item", mends = true },
  { name = "env", "map", of = { "word", template = "text", plural = "strings" },
    doc = "Environment variables of its processes, added to the engine's own.", show = "none",
    template = "text" },
  { name = "cwd", "string",
    doc = "Folder of its processes, and where relative paths of its code start; relative to the "
      .. "script's.",
    show = "the script's folder",
    template = "text" },
  { name = "allow_failure", "boolean", default = false,
    doc = "Its failure counts as success for its children and the run.",
    row = "allow_failure", per = "node", mends = true },
  { name = "inline", "boolean", default = false,
    doc = "Types with `run` only: on the engine's loop as a coroutine, instead of in a worker "
      .. "process.",
    row = "kind", mends = true },
  { name = "tags", "list", of = { "string", plural = "strings" }, doc = "Words to find it by.",
    show = "none",
    mends = true, by_node = true },
  { name = "doc", "string", doc = "What it is for.", show = "none",
    mends = true, by_node = true },
}

--- What every node of a type with `command` takes as well.
options.process = schema.options {
  { name = "capture", enum = { "text", "lines", "json" }, show = "none: stdout goes to the log",
    doc = "stdout becomes the outputs: a string without its final newline, a list of lines, or "
      .. "the value of one JSON text." },
  { name = "stdin", "string", doc = "Text given to its standard input.", show = "none",
    template = "text" },
  { name = "ok_codes", "list", of = { "integer", min = 0, max = 255 }, show = "`{ 0 }`",
    doc = "Exit codes that count as success." },
  { name = "limits", "map",
    doc = "`memory` (size), `cpu_time` (duration), `open_files` (count), `output` (size kept of "
      .. "the log).", show = "`output = \"50M\"`" },
}

--- What every node of a type with `run` takes as well, in a worker.
options.code = schema.options {
  { name = "limits", "map",
    doc = "`memory` (size: what its code may take beyond what its worker has), `cpu_time` "
      .. "(duration of computing). Not with `inline`.", show = "none" },
}

options.limits = schema.options {
  { name = "memory", "size", doc = "Address space of each process." },
  { name = "cpu_time", "duration", doc = "CPU time of each process." },
  { name = "open_files", "integer", min = 3, max = 1048576, doc = "Open files of each process." },
  { name = "output", "size", doc = "Bytes of output that are kept in the log." },
}

--- What every node of a type with `expand` takes as well.
options.map = schema.options {
  { name = "limit", "integer", min = 1, max = 1000000, doc = "Items that may run at once.",
    show = "no limit",
    row = "map_limit", per = "node", mends = true },
  { name = "chunk", "integer", min = 1, max = 1000000,
    doc = "Entries of the list an item: its value is then a list of up to as many.",
    show = "no chunks" },
}

--- What a flow takes.
options.flow = schema.options {
  { name = "schedule", "any", doc = "flow.cron(...), flow.every(...), or a list of them.",
    show = "none" },
  { name = "params", "map",
    doc = "Names and defaults, or `{ \"integer\", default = 3, min = 1, doc = \"...\" }` each.",
    show = "none" },
  { name = "defaults", "map",
    doc = "Options for every node of the flow that does not give them itself.", show = "none" },
  { name = "pools", "map", of = { "integer", min = 1, max = 1000000 },
    doc = "Name and capacity of the pools its nodes share.", show = "none" },
  { name = "vars", "map", doc = "The vars that a run starts with.", show = "none" },
  { name = "on_success", "node", doc = "Runs at the end of a run that succeeded.", show = "none" },
  { name = "on_failure", "node", doc = "Runs at the end of a run that failed.", show = "none" },
  { name = "on_cancel", "node", doc = "Runs at the end of a run that was cancelled.",
    show = "none" },
  { name = "on_exit", "node", doc = "Runs at the end of every run, last.", show = "none" },
  { name = "on_breakpoint", "function", doc = "Proposes a patch when a run stops at a failure.",
    show = "none" },
  { name = "auto", "map", doc = "Which proposals of `on_breakpoint` are applied by themselves: "
    .. "`fields`, what they may change (`timeout`, `limits.memory`, `load.retries`, `vars.limit`, "
    .. "`skip`), and `max`, how many in a run (1).", show = "none" },
  { name = "on_failure_policy", enum = { "finish", "stop" }, default = "finish",
    doc = "After a failure: finish what does not depend on it, or stop the run: nothing more "
      .. "starts, and what runs is ended." },
  { name = "timeout", "duration", doc = "Of a run.", show = "none" },
  { name = "max_runs", "integer", min = 1, max = 1000000,
    doc = "Runs of the flow at once; more are queued.", show = "no limit" },
  { name = "max_depth", "integer", min = 1, max = 10000, default = 100,
    doc = "How deep calls may be nested for this flow still to be called: one that would be deeper "
      .. "fails, so that flows which call each other end." },
  { name = "durability", enum = { "full", "group" },
    doc = "How hard its records are written, unless the command line says.",
    show = "the engine's" },
  { name = "tz", "zone", doc = "Time zone of run.date and dates in templates.", show = "\"UTC\"" },
  { name = "doc", "string", doc = "What it is for.", show = "none" },
  { name = "tags", "list", of = { "string", plural = "strings" }, doc = "Words to find it by.",
    show = "none" },
}

--- What a node type takes (flow.node_type).
options.node_type = schema.options {
  { name = "name", "name", required = true,
    doc = "Used as flow.<name>{...}; a file's must equal the file's name." },
  { name = "params", "map", doc = "Its own options: name and spec each.", show = "none" },
  { name = "run", "function",
    doc = "function(ctx, p): a Lua function, its result is the outputs. With `expand`: of each "
      .. "item." },
  { name = "resume", "function",
    doc = "function(ctx, p, checkpoint): instead of run, when an attempt before left one." },
  { name = "cancel", "function",
    doc = "function(ctx, p): called when an attempt is cancelled, before it is ended." },
  { name = "command", "function",
    doc = "function(ctx, p): instead of run; returns `{ \"prog\", \"arg\", ... }` or `{ shell = "
      .. "text }` to be run as a supervised process." },
  { name = "constant", "boolean", default = false,
    doc = "With command: what it returns depends on p alone, so that nodes with equal options may "
      .. "share it." },
  { name = "expand", "function",
    doc = "function(ctx, p): returns a list; each entry becomes an item that executes run, "
      .. "command, or the node given in a parameter of type node." },
  { name = "choose", "function",
    doc = "function(ctx, p): returns the name or names of the children that go on." },
  { name = "call", "function",
    doc = "function(ctx, p): returns a flow (or its key) and its params: a run of its own." },
  { name = "check", "function",
    doc = "function(options): looks at a node's options as they were written, when the script is "
      .. "loaded; returns nil, or what is wrong and with which option; and true when that is only "
      .. "to be told." },
  { name = "inline", "boolean",
    doc = "Where run is executed: true: always on the engine's loop; false: never; else as the "
      .. "node says.", show = "the node's choice" },
  { name = "doc", "string", doc = "What it does.", show = "none" },
}

--- What ctx:exec takes besides its words.
options.exec = schema.options {
  { name = "shell", "string", doc = "A text for /bin/sh, instead of words." },
  { name = "strict", "boolean", default = true,
    doc = "With `shell`: it ends at the first command that fails (`-e`)." },
  { name = "interpreter", "string|list", of = { "string", plural = "strings" },
    doc = "With `shell`: what reads the text, as `shell` of flow.shell.", show = "/bin/sh" },
  { name = "capture", enum = { "text", "lines", "json" },
    doc = "What becomes of stdout, as for a node.", show = "none" },
  { name = "stdin", "string", doc = "Text given to its standard input.", show = "none" },
  { name = "ok_codes", "list", of = { "integer", min = 0, max = 255 },
    doc = "Exit codes that count as success.", show = "`{ 0 }`" },
  { name = "limits", "map", doc = "As for a node.", show = "none" },
  { name = "env", "map", of = { "word", plural = "strings" }, doc = "Added to the node's.",
    show = "the node's" },
  { name = "cwd", "string", doc = "Relative to the script's folder.", show = "the node's" },
  { name = "timeout", "duration", doc = "The child is ended after it.", show = "none" },
  { name = "check", "boolean", default = true,
    doc = "A child that does not succeed raises an error; false: look at `.ok` yourself." },
}

--- Names of the options that say what a node does and that it may have from its flow's defaults.
options.defining = {}
for _, list in ipairs { options.node, options.process, options.code } do
  for _, spec in ipairs(list) do
    if not spec.mends and not spec.by_node then
      options.defining[#options.defining + 1] = spec.name
    end
  end
end

return options
