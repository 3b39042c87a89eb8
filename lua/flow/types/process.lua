---@meta
error "meta file: not to be required"

--- Child processes for plain scripts and code in workers, and what this process is. In a node,
--- `ctx:exec` is better: its child is supervised, logged, and found again after a crash.
---@class flow.process
local process = {}

--- The command: its words by position, the first looked up in PATH. No shell; for one, say
--- `{ "sh", "-c", "text" }`.
---@class flow.process.RunOptions
---@field [integer] string|number
--- The folder it starts in. (default: this process's)
---@field cwd? string
--- Added to this process's environment; false takes a name out. (default: none)
---@field env? table<string, string|number|false>
--- Given to its stdin. (default: nothing, /dev/null)
---@field stdin? string
--- Seconds or "5m", after which its process group gets TERM. (default: none)
---@field timeout? number|string
--- From TERM to KILL. (default: `2`)
---@field grace? number|string
--- Bytes or "1M" of stdout, and of stderr; past that it is killed. (default: `"64M"`)
---@field output_max? integer|string

---@class flow.process.Result
---@field code? integer Exit code; nil when a signal ended it.
---@field signal? integer The signal that ended it.
---@field stdout string
---@field stderr string
---@field timed_out boolean Whether the timeout was over.

--- Runs a command in a process group of its own and waits until it has ended and its output is
--- closed, also by what it started. Blocks. A command that fails is a result, no error; errors are
--- one that cannot be started ("spawn"), too much output ("limit"), or an exit code that the host
--- of this process has taken away ("system").
---@param options flow.process.RunOptions
---@return flow.process.Result? result
---@return flow.Error? err
function process.run(options) end

--- The id of this process.
---@return integer
function process.pid() end

--- A variable of the environment, nil when it is not set.
---@param name string
---@return string?
function process.env(name) end

---@return string
function process.hostname() end

--- Cores that this process may use.
---@return integer
function process.cores() end

return process
