---@meta
error "meta file: not to be required"

--- What flows and nodes take. Written from the schema by tests/lua/write_docs.lua.

---@class flow
local flow = {}

---@class flow.NodeOptions
--- What it depends on: a name, a node, or a list of them. The order matters for `merge`. (default:
--- none)
---@field after? string|flow.Node|(string|flow.Node)[]
--- Which ends of what it depends on let it start. (default: `"all_success"`)
---@field trigger? "all_success"|"all_done"|"all_failed"|"one_success"|"one_failed"|"none_failed"
--- A function of ctx or a `{{ }}` expression; false: the node is skipped. (default: none)
---@field when? function|string|boolean
--- What happens when two parents set one var to different values: an error, the first or last in
--- `after` order wins, or a function of (key, values). (default: `"error"`)
---@field merge? function|"error"|"first"|"last"
--- Attempts after the first. (default: `0`)
---@field retries? integer
--- Wait before the first retry. (default: `"1s"`)
---@field retry_delay? flow.Duration
--- Factor by which the wait grows with each retry. (default: `1`)
---@field retry_backoff? number
--- The longest wait. 0: no limit. (default: `"1d"`)
---@field retry_max_delay? flow.Duration
--- Share of the wait that is random: the wait is multiplied by 1 - jitter * random. (default: `0`)
---@field retry_jitter? number
--- Which failures are retried: a function of the failure, exit codes, or a PCRE2 pattern for the
--- error text. (default: every failure)
---@field retry_on? function|integer|integer[]|string
--- Attempts that may be lost with their process before the node fails; not counted as retries.
--- (default: `5`)
---@field max_lost? integer
--- Of one attempt. 0: none. (default: none)
---@field timeout? flow.Duration
--- Of all attempts together, from the start of the first. 0: none. (default: none)
---@field deadline? flow.Duration
--- Time between TERM and KILL when it is ended. (default: `"10s"`)
---@field grace? flow.Duration
--- Higher starts first. (default: `0`)
---@field priority? integer
--- The pool it takes from. A pool that the flow does not declare has a capacity of 1. (default:
--- none)
---@field pool? string
--- How much of the pool's capacity it takes; a node heavier than its pool runs alone. (default:
--- `1`)
---@field weight? integer
--- Environment variables of its processes, added to the engine's own. (default: none)
---@field env? table<string, string|number>
--- Folder of its processes, relative to the script's. (default: the script's folder)
---@field cwd? string
--- Its failure counts as success for its children and the run. (default: `false`)
---@field allow_failure? boolean
--- Types with `run` only: on the engine's loop as a coroutine, instead of in a worker process.
--- (default: `false`)
---@field inline? boolean
--- Words to find it by. (default: none)
---@field tags? string[]
--- What it is for. (default: none)
---@field doc? string

---@class flow.ProcessOptions: flow.NodeOptions
--- stdout becomes the outputs: a string without its final newline, a list of lines, or the value of
--- one JSON text. (default: none: stdout goes to the log)
---@field capture? "text"|"lines"|"json"
--- Text given to its standard input. (default: none)
---@field stdin? string
--- Exit codes that count as success. (default: `{ 0 }`)
---@field ok_codes? integer[]
--- `memory` (size), `cpu_time` (duration), `open_files` (count), `output` (size kept of the log).
--- (default: `output = "50M"`)
---@field limits? flow.Limits

---@class flow.Limits
--- Address space of each process. (default: none)
---@field memory? flow.Size
--- CPU time of each process. (default: none)
---@field cpu_time? flow.Duration
--- Open files of each process. (default: none)
---@field open_files? integer
--- Bytes of output that are kept in the log. (default: none)
---@field output? flow.Size

---@class flow.MapOptions: flow.NodeOptions
--- Instances that may run at once. (default: no limit)
---@field limit? integer
--- Items an instance: its item is then a list of up to as many. (default: no chunks)
---@field chunk? integer

---@class flow.DagOptions
--- flow.cron(...) or flow.every(...). (default: none)
---@field schedule? flow.Schedule
--- Names and defaults, or `{ "integer", default = 3, min = 1, doc = "..." }` each. (default: none)
---@field params? table<string, any>
--- Options for every node of the flow that does not give them itself. (default: none)
---@field defaults? flow.NodeOptions
--- Name and capacity of the pools its nodes share. (default: none)
---@field pools? table<string, integer>
--- The vars that a run starts with. (default: none)
---@field vars? table<string, any>
--- Runs at the end of a run that succeeded. (default: none)
---@field on_success? flow.Node
--- Runs at the end of a run that failed. (default: none)
---@field on_failure? flow.Node
--- Runs at the end of a run that was cancelled. (default: none)
---@field on_cancel? flow.Node
--- Runs at the end of every run, last. (default: none)
---@field on_exit? flow.Node
--- Proposes a patch when a run stops at a failure. (default: none)
---@field on_breakpoint? function
--- Which proposals of `on_breakpoint` are applied by themselves: `fields`, what they may change
--- (`timeout`, `limits.memory`, `load.retries`, `vars.limit`, `skip`), and `max`, how many in a run
--- (1). (default: none)
---@field auto? table<string, any>
--- After a failure: finish what does not depend on it, or stop the run. (default: `"finish"`)
---@field on_failure_policy? "finish"|"stop"
--- Of a run. (default: none)
---@field timeout? flow.Duration
--- Runs of the flow at once; more are queued. (default: no limit)
---@field max_runs? integer
--- How hard its records are written, unless the command line says. (default: the engine's)
---@field durability? "full"|"group"
--- Time zone of run.date and dates in templates. (default: "UTC")
---@field tz? string
--- What it is for. (default: none)
---@field doc? string
--- Words to find it by. (default: none)
---@field tags? string[]

---@class flow.ScheduleOptions
--- Time zone. (default: the flow's)
---@field tz? string
--- First effective date. (default: none)
---@field from? string
--- Last effective date. (default: none)
---@field to? string
--- Dates, or a function of a date. (default: none)
---@field calendar? function|table<string, any>|any[]
--- Which missed fires are made up for. (default: `"none"`)
---@field missed? "none"|"last"|"all"
--- How far back missed fires are looked for. (default: none)
---@field missed_window? flow.Duration
--- What a fire does while the run before still runs. (default: `"skip"`)
---@field overlap? "skip"|"queue"|"latest"|"cancel_old"|"allow"
--- Whether a run waits for the one before. (default: `"none"`)
---@field depends_on_previous? "none"|"node"|"run"
--- A random delay of up to this. (default: none)
---@field jitter? flow.Duration

---@class flow.NodeTypeOptions
--- Used as flow.<name>{...}; a file's must equal the file's name.
---@field name string
--- Its own options: name and spec each. (default: none)
---@field params? table<string, any>
--- function(ctx, p): a Lua function, its result is the outputs. With `expand`: of each item.
--- (default: none)
---@field run? function
--- function(ctx, p, checkpoint): instead of run, when an attempt before left one. (default: none)
---@field resume? function
--- function(ctx, p): called when an attempt is cancelled, before it is ended. (default: none)
---@field cancel? function
--- function(ctx, p): instead of run; returns `{ "prog", "arg", ... }` or `{ shell = text }` to be
--- run as a supervised process. (default: none)
---@field command? function
--- With command: what it returns depends on p alone, so that nodes with equal options may share it.
--- (default: `false`)
---@field constant? boolean
--- function(ctx, p): returns a list; each item becomes an instance that executes run, command, or
--- the node given in a parameter of type node. (default: none)
---@field expand? function
--- function(ctx, p): returns the name or names of the children that go on. (default: none)
---@field choose? function
--- function(ctx, p): returns a flow (or its key) and its params: a run of its own. (default: none)
---@field call? function
--- function(options): looks at a node's options as they were written, when the script is loaded;
--- returns nil, or what is wrong and with which option. (default: none)
---@field check? function
--- Where run is executed: true: always on the engine's loop; false: never; else as the node says.
--- (default: the node's choice)
---@field inline? boolean
--- What it does. (default: none)
---@field doc? string

---@class flow.ExecOptions
--- A text for /bin/sh -c, instead of words. (default: none)
---@field shell? string
--- What becomes of stdout, as for a node. (default: none)
---@field capture? "text"|"lines"|"json"
--- Text given to its standard input. (default: none)
---@field stdin? string
--- Exit codes that count as success. (default: `{ 0 }`)
---@field ok_codes? integer[]
--- As for a node. (default: none)
---@field limits? flow.Limits
--- Added to the node's. (default: the node's)
---@field env? table<string, string|number>
--- Relative to the script's folder. (default: the node's)
---@field cwd? string
--- The child is ended after it. (default: none)
---@field timeout? flow.Duration
--- A child that does not succeed raises an error; false: look at `.ok` yourself. (default: `true`)
---@field check? boolean

---@class flow.ShellOptions: flow.ProcessOptions
--- The text.
---@field [1] string
---@field text? string

--- Runs a text with /bin/sh.
---@param options flow.ShellOptions
---@return flow.Node
function flow.shell(options) end

---@class flow.ExecOptions: flow.ProcessOptions
--- The program and its words. A word that is one template giving a list becomes several.
---@field [integer] string|number
---@field argv? (string|number)[]

--- Runs a program without a shell.
---@param options flow.ExecOptions
---@return flow.Node
function flow.exec(options) end

---@class flow.LuaOptions: flow.NodeOptions
--- function(ctx): what it returns is the outputs.
---@field [1] function
---@field run? function

--- Runs a Lua function.
---@param options flow.LuaOptions
---@return flow.Node
function flow.lua(options) end

---@class flow.MapOptions: flow.MapOptions
--- Or: a node of any type, executed for each item; its templates see `item`, `index`. (default:
--- none)
---@field node? flow.Node
--- The list, a function of ctx that returns it, or a template that gives it.
---@field over any[]|function|string
--- function(ctx, item, index): executed for each item. (default: none)
---@field [1] function
---@field run? function

--- Turns a list that is known at run time into instances.
---@param options flow.MapOptions
---@return flow.Node
function flow.map(options) end

---@class flow.BranchOptions: flow.NodeOptions
--- function(ctx): the name or a list of names of the nodes after it that go on; nil: none.
---@field [1] function
---@field choose? function

--- Chooses which of the nodes after it go on.
---@param options flow.BranchOptions
---@return flow.Node
function flow.branch(options) end

---@class flow.CallOptions: flow.NodeOptions
--- The flow, or its key.
---@field [1] flow.Dag|string
---@field flow? flow.Dag|string
--- Its params: names and values, or a function of ctx that returns them. (default: none)
---@field params? table<string, any>|function

--- Runs another flow of the script as a run of its own.
---@param options flow.CallOptions
---@return flow.Node
function flow.call(options) end

---@class flow.SqlOptions: flow.NodeOptions
--- The database file, or ":memory:".
---@field db string
--- Refuses to write; the file must exist. (default: `false`)
---@field readonly? boolean
--- SQL texts. `{{ }}` in one is a bound parameter. The rows of the last one that has any become
--- `outputs.rows`, the rows that were changed `outputs.changes`.
---@field [integer] string
---@field statements? string[]
--- All of it in one transaction; false for what SQLite refuses in one (vacuum, pragmas). (default:
--- `true`)
---@field transaction? boolean

--- Runs SQL on a SQLite database.
---@param options flow.SqlOptions
---@return flow.Node
function flow.sql(options) end

return flow
