---@meta
error "meta file: not to be required"

--- What flows and nodes take. Written from the schema by tests/lua/write_docs.lua.

---@class (partial) flow
local flow = {}

---@class flow.NodeOptions
--- What it depends on: a name, a node, or a list of them. The order matters for `merge`. (default:
--- none)
---@field after? string|flow.Node|(string|flow.Node)[]
--- Which ends of what it depends on let it start. (default: `"all_success"`)
---@field trigger? "all_success"|"all_done"|"all_failed"|"one_success"|"one_failed"|"none_failed"
--- A function of ctx or a `{{ }}` expression; false, null or the text "false": the node is skipped.
--- (default: none)
---@field when? (fun(ctx: flow.Context): any)|string|boolean
--- What happens when two parents set one var to different values: an error, the first or last in
--- `after` order wins, or a function of (key, values). (default: `"error"`)
---@field merge? (fun(key: string, values: any[]): any)|"error"|"first"|"last"
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
---@field retry_on? (fun(failure: flow.Failure): any)|integer|integer[]|string
--- Attempts that may be lost with their process before the node fails; not counted as retries.
--- (default: `5`)
---@field max_lost? integer
--- Of one attempt. 0: none. (default: none)
---@field timeout? flow.Duration
--- Of all attempts together, from the start of the first; a try that would begin behind it is not
--- waited for. 0: none. (default: none)
---@field deadline? flow.Duration
--- Time between TERM and KILL when it is ended. (default: `"10s"`)
---@field grace? flow.Duration
--- Higher starts first, also before what waits for a slot already. A run that gets no slot gains
--- one for each minute that it waits. (default: `0`)
---@field priority? integer
--- The pool it takes from. A pool that the flow does not declare has a capacity of 1. (default:
--- none)
---@field pool? string
--- How much of the pool's capacity it takes; no more than there is. (default: `1`)
---@field weight? integer
--- Environment variables of its processes, added to the engine's own. (default: none)
---@field env? table<string, string|number>
--- Folder of its processes, and where relative paths of its code start; relative to the script's.
--- (default: the script's folder)
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

---@class flow.CodeOptions: flow.NodeOptions
--- `memory` (size: what its code may take beyond what its worker has), `cpu_time` (duration of
--- computing). Not with `inline`. (default: none)
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

---@class flow.ItemsOptions: flow.CodeOptions
--- Items that may run at once. (default: no limit)
---@field limit? integer
--- Entries of the list an item: its value is then a list of up to as many. (default: no chunks)
---@field chunk? integer

---@class flow.DagOptions
--- flow.cron(...), flow.every(...), or a list of them. (default: none)
---@field schedule? flow.Schedule|flow.Schedule[]
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
---@field on_breakpoint? fun(bp: table): table?, string?
--- Which proposals of `on_breakpoint` are applied by themselves: `fields`, what they may change
--- (`timeout`, `limits.memory`, `load.retries`, `vars.limit`, `skip`), and `max`, how many in a run
--- (1). (default: none)
---@field auto? table<string, any>
--- After a failure: finish what does not depend on it, or stop the run: nothing more starts, and
--- what runs is ended. (default: `"finish"`)
---@field on_failure_policy? "finish"|"stop"
--- Of a run. (default: none)
---@field timeout? flow.Duration
--- Runs of the flow at once; more are queued. (default: no limit)
---@field max_runs? integer
--- How deep calls may be nested for this flow still to be called: one that would be deeper fails,
--- so that flows which call each other end. (default: `100`)
---@field max_depth? integer
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
--- Effective from this date (of the zone) or instant on. (default: none)
---@field from? string
--- Effective until this date or instant, included. (default: none)
---@field to? string
--- Days that work: `{ days = "mon-fri", off = { "2026-12-25" }, on = {} }`, a list of days off, or
--- a function of a date and its weekday (Monday is 1). (default: all days work)
---@field calendar? (fun(date: string): any)|table<string, any>|any[]
--- A fire on a day that does not work: left out, or on the next or last one that does. (default:
--- `"skip"`)
---@field off_day? "skip"|"next"|"previous"
--- A local time that does not exist: at the end of the gap, or not at all. (default: by the rule)
---@field gap? "run"|"skip"
--- A local time that occurs twice. (default: by the rule)
---@field fold? "first"|"last"|"both"
--- Whether a run's interval ends or begins with its fire. (default: `"before"`)
---@field interval? "before"|"after"
--- Which fires that nobody was there for are made up for. (default: `"last"`)
---@field missed? "none"|"last"|"all"
--- How long ago such a fire may be. (default: `"1d"`)
---@field missed_window? flow.Duration
--- What a fire does while a run of a rule of this flow lives. (default: `"skip"`)
---@field overlap? "skip"|"queue"|"latest"|"cancel_old"|"allow"
--- What must have succeeded in the instance before. (default: `"none"`)
---@field depends_on_previous? "none"|"node"|"children"|"run"
--- A delay of up to this, the same each time it is asked. (default: none)
---@field jitter? flow.Duration
--- Params of its runs. (default: none)
---@field params? table<string, any>
--- Priority of its runs. (default: `0`)
---@field priority? integer
--- How it is shown. (default: its position)
---@field name? string

---@class flow.NodeTypeOptions
--- Used as flow.<name>{...}; a file's must equal the file's name.
---@field name string
--- Its own options: name and spec each. (default: none)
---@field params? table<string, any>
--- function(ctx, p): a Lua function, its result is the outputs. With `expand`: of each item.
--- (default: none)
---@field run? fun(ctx: flow.Context, p: table): any
--- function(ctx, p, checkpoint): instead of run, when an attempt before left one. (default: none)
---@field resume? fun(ctx: flow.Context, p: table, checkpoint: any): any
--- function(ctx, p): called when an attempt is cancelled, before it is ended. (default: none)
---@field cancel? fun(ctx: flow.Context, p: table)
--- function(ctx, p): instead of run; returns `{ "prog", "arg", ... }` or `{ shell = text }` to be
--- run as a supervised process. (default: none)
---@field command? fun(ctx: flow.Context, p: table): table
--- With command: what it returns depends on p alone, so that nodes with equal options may share it.
--- (default: `false`)
---@field constant? boolean
--- function(ctx, p): returns a list; each entry becomes an item that executes run, command, or the
--- node given in a parameter of type node. (default: none)
---@field expand? fun(ctx: flow.Context, p: table): any[]
--- function(ctx, p): returns the name or names of the children that go on. (default: none)
---@field choose? fun(ctx: flow.Context, p: table): string|string[]|nil
--- function(ctx, p): returns a flow (or its key) and its params: a run of its own. (default: none)
---@field call? fun(ctx: flow.Context, p: table): flow.Dag|string, table?
--- function(options): looks at a node's options as they were written, when the script is loaded;
--- returns nil, or what is wrong and with which option; and true when that is only to be told.
--- (default: none)
---@field check? fun(options: table): string?, string?
--- Where run is executed: true: always on the engine's loop; false: never; else as the node says.
--- (default: the node's choice)
---@field inline? boolean
--- What it does. (default: none)
---@field doc? string

---@class flow.ChildOptions
--- A text for /bin/sh, instead of words. (default: none)
---@field shell? string
--- With `shell`: it ends at the first command that fails (`-e`). (default: `true`)
---@field strict? boolean
--- With `shell`: what reads the text, as `shell` of flow.shell. (default: /bin/sh)
---@field interpreter? string|string[]
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

---@class flow.ShellNode: flow.ProcessOptions
--- What reads the text: `"bash -euo pipefail"`, or `{ "python3", "-" }`. A shell gets it with `-c`;
--- anything else, and a shell whose last word is `-`, on its standard input: there `{{ }}` is
--- refused, as nobody can quote for it; give values by `env`. (default: /bin/sh)
---@field shell? string|string[]
--- The text ends at the first command that fails (`-e`). (default: `true`)
---@field strict? boolean
--- The text.
---@field [1] string
---@field text? string

--- Runs a text with a shell.
---@param options flow.ShellNode
---@return flow.Node
function flow.shell(options) end

---@class flow.ExecNode: flow.ProcessOptions
--- The program and its words. A word that is one template giving a list becomes several.
---@field [integer] string|number
---@field argv? (string|number)[]

--- Runs a program without a shell.
---@param options flow.ExecNode
---@return flow.Node
function flow.exec(options) end

---@class flow.LuaNode: flow.CodeOptions
--- function(ctx): what it returns is the outputs.
---@field [1] fun(ctx: flow.Context): any
---@field run? fun(ctx: flow.Context): any

--- Runs a Lua function.
---@param options flow.LuaNode
---@return flow.Node
function flow.lua(options) end

---@class flow.MapNode: flow.ItemsOptions
--- Or: a node of any type, executed for each item; its templates see `item`, `index`. (default:
--- none)
---@field node? flow.Node
--- The list, a function of ctx that returns it, or a template that gives it.
---@field over any[]|(fun(ctx: flow.Context): any[])|string
--- function(ctx, item, index): executed for each item. (default: none)
---@field [1] fun(ctx: flow.Context, item: any, index: integer): any
---@field run? fun(ctx: flow.Context, item: any, index: integer): any

--- Turns a list that is known at run time into items.
---@param options flow.MapNode
---@return flow.Node
function flow.map(options) end

---@class flow.BranchNode: flow.NodeOptions
--- function(ctx): the name or a list of names of the nodes after it that go on; nil: none.
---@field [1] fun(ctx: flow.Context): string|string[]|nil
---@field choose? fun(ctx: flow.Context): string|string[]|nil

--- Chooses which of the nodes after it go on.
---@param options flow.BranchNode
---@return flow.Node
function flow.branch(options) end

---@class flow.CallNode: flow.NodeOptions
--- The flow, or its key.
---@field [1] flow.Dag|string
---@field flow? flow.Dag|string
--- Its params: names and values, or a function of ctx that returns them. (default: none)
---@field params? table<string, any>|(fun(ctx: flow.Context): table<string, any>)

--- Runs another flow of the script as a run of its own.
---@param options flow.CallNode
---@return flow.Node
function flow.call(options) end

---@class flow.SqlNode: flow.CodeOptions
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
---@param options flow.SqlNode
---@return flow.Node
function flow.sql(options) end

return flow
