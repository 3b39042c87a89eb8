---@meta
error "meta file: not to be required"

--- Files and folders. What touches the disk blocks. A failure returns `nil, err`: `err.code` is
--- "not_found", "full" or "system", `err.errno` the system's name ("ENOENT"). Relative paths start
--- at the current folder of the process; a node's is its `cwd`.
---@class flow.fs
local fs = {}

--- The whole content, any bytes, at most 2 GiB.
---@param path string
---@return string? data
---@return flow.Error? err
function fs.read(path) end

---@class flow.fs.WriteOptions
--- Wait until it is on the disk. (default: `true`)
---@field sync? boolean

--- Replaces the content in one step: a reader sees the old or the new, never a part, also after a
--- crash. An existing file keeps its permissions, a link stays a link; a device or pipe is written
--- as it is.
---@param path string
---@param data string
---@param options? flow.fs.WriteOptions
---@return boolean? ok
---@return flow.Error? err
function fs.write(path, data, options) end

--- Adds to the end; makes the file when there is none. Not in one step, and not waited for.
---@param path string
---@param data string
---@return boolean? ok
---@return flow.Error? err
function fs.append(path, data) end

--- Whether there is something at `path`; false also for a link into nothing.
---@param path string
---@return boolean
function fs.exists(path) end

---@class flow.fs.Stat
---@field type "file"|"directory"|"link"|"pipe"|"socket"|"block_device"|"char_device"
---@field size integer Bytes.
---@field mtime number Seconds since 1970, with a fraction.
---@field mode integer Permission bits.
---@field uid integer
---@field gid integer
---@field links integer
---@field inode integer

---@class flow.fs.StatOptions
--- What a link points to, not the link. (default: `true`)
---@field follow? boolean

---@param path string
---@param options? flow.fs.StatOptions
---@return flow.fs.Stat? stat
---@return flow.Error? err
function fs.stat(path, options) end

--- The names in a folder without "." and "..", sorted by bytes.
---@param path string
---@return string[]? names
---@return flow.Error? err
function fs.list(path) end

--- The paths that match, sorted by bytes: `*`, `?`, `[a-z]` and `{a,b}`, each within one folder;
--- names that start with a dot only where the pattern does. An empty list when nothing matches.
---@param pattern string
---@return string[]? paths
---@return flow.Error? err
function fs.glob(pattern) end

--- Makes a folder and those above it. One that exists is good.
---@param path string
---@return boolean? ok
---@return flow.Error? err
function fs.mkdir(path) end

---@class flow.fs.RemoveOptions
--- A folder with all that is in it; follows no link. (default: `false`)
---@field recursive? boolean

--- Removes a file, a link or an empty folder. What is not there is an error ("not_found").
---@param path string
---@param options? flow.fs.RemoveOptions
---@return boolean? ok
---@return flow.Error? err
function fs.remove(path, options) end

--- Gives a file or folder another name on the same file system; replaces a file that has it.
---@param from string
---@param to string
---@return boolean? ok
---@return flow.Error? err
function fs.rename(from, to) end

--- Copies content and permissions of a file; `to` is replaced in one step, as by `write`.
---@param from string
---@param to string
---@return boolean? ok
---@return flow.Error? err
function fs.copy(from, to) end

--- Makes a new folder of its own in `$TMPDIR` or /tmp, and returns its path. Yours to remove.
---@param prefix? string (default: `"flowlua-"`)
---@return string? path
---@return flow.Error? err
function fs.tempdir(prefix) end

--- The current folder of the process.
---@return string? path
---@return flow.Error? err
function fs.cwd() end

--- Puts "/" between the parts; empty parts count for nothing, an absolute one starts anew.
---@param ... string
---@return string path
function fs.join(...) end

--- What stands before the last part: "a/b" of "a/b/c", "." of "a", "/" of "/".
---@param path string
---@return string
function fs.dirname(path) end

--- The last part: "c" of "a/b/c" and of "a/b/c/", "/" of "/".
---@param path string
---@return string
function fs.basename(path) end

--- The last part from its last dot on: ".gz" of "a.tar.gz", "" of "a" and of ".profile".
---@param path string
---@return string
function fs.ext(path) end

--- The path from the root, without "." and "..", by its text alone: links are not followed.
---@param path string
---@param base? string What a relative path is relative to. (default: the current folder)
---@return string? path
---@return flow.Error? err
function fs.absolute(path, base) end

return fs
