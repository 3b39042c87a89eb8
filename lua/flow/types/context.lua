---@meta
error "meta file: not to be required"

--- What the code of a node sees and may ask for. In a worker its functions block; inline, `sleep`,
--- `step`, `checkpoint` and `exec` let other nodes run meanwhile. Functions that wait cannot be
--- used in `when`, `over`, `command` and the like, which are asked by the engine itself.
---@class flow.Context
---@field run flow.Run The run that the node is in.
---@field params table<string, any> The run's parameters. Read only: keep values in `vars`.
---@field vars table<string, any> Inherited from the nodes it depends on; its children inherit them.
---@field inputs table<string, any> The outputs of the nodes it depends on, by name; `{}`: none.
---@field item any In an item of a map: its entry of the list.
---@field index integer? In an item of a map: its position, from 1.
---@field node string The node's name.
---@field tz string The flow's time zone.
local Context = {}

--- A node, or an item of a map, by which a run failed.
---@class flow.Failed
---@field node string
---@field attempt integer Its last; 0: it did not begin.
---@field error string
---@field exit_code integer? Of a process.
---@field log string The command that prints its log.

---@class flow.Run
---@field id string
---@field flow string The flow's key.
---@field version string Of the script, "sha256:...".
---@field time number The instant the run is for, seconds since 1970.
---@field date string The same as YYYY-MM-DD in the flow's zone.
---@field interval_from number Start of the interval the run covers.
---@field interval_to number End of it.
---@field attempt integer Which attempt of the node this is, from 1.
---@field status "succeeded"|"failed"|"cancelled"|nil In hooks: how the run ended.
---@field error string? In hooks: what it failed by first.
---@field failed flow.Failed[]? In hooks, at most 100: `node attempt error exit_code log`.
---@field left_out string[]? Nodes it depends on that were not selected (`--only`, `--from`).
---@field trigger "manual"|"schedule"|"backfill"|"replay"|"flow"|"api" What started the run.

--- Writes a line into the node's log, like print(); tables as JSON. print() itself does so too.
---@param ... any
function Context:log(...) end

--- Shows how far the node is.
---@param done number
---@param total number? (default: unknown)
---@param text string? (default: none)
function Context:progress(done, total, text) end

--- Saves a value for the next attempt of this node; returns when it is durable.
---@param value any
function Context:checkpoint(value) end

--- What the last attempt saved with `checkpoint`, or nil.
---@return any
function Context:restored() end

--- Runs `fn(...)` once in the life of the node and remembers its first result, also across crashes:
--- every later call with this name, in any attempt, returns it without running `fn` again.
---@generic T
---@param name string
---@param fn fun(...): T
---@param ... any
---@return T
function Context:step(name, fn, ...) end

--- Waits.
---@param duration flow.Duration
function Context:sleep(duration) end

--- Runs a supervised child: `ctx:exec { "prog", "arg" }` or `ctx:exec { shell = "a | b" }`. Its
--- words are taken as they are, no templates. Raises an error when it fails, unless `check =
--- false`. Returned from a node type's `run`, the result stands for its outputs.
---@param options flow.ChildOptions
---@return flow.ExecResult
function Context:exec(options) end

--- Ends the node as skipped.
---@param why string? (default: none)
function Context:skip(why) end

--- Ends the attempt as failed.
---@param why string? (default: "failed")
---@param options { retry: boolean? }? `retry = false`: no further attempt. (default: retries go on)
function Context:fail(why, options) end

--- Seconds since 1970. Recorded: a replay of the run gets the same.
---@return number
function Context:now() end

--- Like math.random(), recorded: without bounds a fraction below 1, else a whole number.
---@param low integer? With `high` missing: the upper bound, from 1.
---@param high integer?
---@return number
function Context:random(low, high) end

--- A random UUID, recorded.
---@return string
function Context:uuid() end

--- True once the end of this attempt was asked for.
---@return boolean
function Context:cancelled() end

--- An absolute path: `path` as seen from the node's `cwd` (default: the script's folder).
---@param path string
---@return string
function Context:path(path) end

--- How a child of ctx:exec ended.
---@class flow.ExecResult
---@field ok boolean It ended with one of `ok_codes`.
---@field code integer? Its exit code.
---@field signal integer? The signal that ended it.
---@field stdout string? What it printed, when `capture` was given.
---@field stderr string The end of what it wrote to stderr.
---@field status "succeeded"|"failed"|"timed_out"|"cancelled"
---@field error string? Why it could not be started or what ended it.
---@field outputs any What `capture` makes of stdout.

--- A failed attempt, as `retry_on` sees it.
---@class flow.Failure
---@field status "failed"|"timed_out"
---@field exit_code integer?
---@field signal integer?
---@field error string
---@field attempt integer

return Context
