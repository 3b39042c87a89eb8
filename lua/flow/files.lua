-- Relative paths of node code that runs in the engine: they start where a worker's would, in the
-- node's folder. (A worker goes there itself.)
local context = require "flow.context"

local files = {}

local sub, type = string.sub, type

-- The folder of the node whose code runs now, when the process is not in it.
local folder = context.folder

local function at(path)
  if type(path) ~= "string" or sub(path, 1, 1) == "/" then return path end
  local dir = folder()
  return dir and dir .. "/" .. path or path
end
files.at = at

local function first(fn)
  return function(path, ...)
    if path == nil and select("#", ...) == 0 then return fn() end -- it says what is missing
    return fn(at(path), ...)
  end
end

local function both(fn)
  return function(from, to, ...) return fn(at(from), at(to), ...) end
end

--- The functions of fs, for scripts.
---@param core table flow.core.fs
---@return table
function files.wrap(core)
  local fs = {}
  for name, fn in next, core do fs[name] = fn end
  for name in ("read write append exists stat list mkdir remove"):gmatch "%a+" do
    fs[name] = first(core[name])
  end
  fs.rename, fs.copy = both(core.rename), both(core.copy)
  function fs.cwd() return folder() or core.cwd() end
  function fs.absolute(path, base, ...)
    if base == nil then base = folder() else base = at(base) end
    return core.absolute(path, base, ...)
  end
  -- What it finds is named as the pattern is.
  function fs.glob(pattern, ...)
    local dir = type(pattern) == "string" and sub(pattern, 1, 1) ~= "/" and folder()
    if not dir then return core.glob(pattern, ...) end
    local found, err = core.glob(dir:gsub("[*?%[\\]", "\\%0") .. "/" .. pattern, ...)
    for i = 1, found and #found or 0 do found[i] = sub(found[i], #dir + 2) end
    return found, err
  end
  return fs
end

--- Puts functions that start there in the place of Lua's own.
---@return function undo
function files.install()
  local open, lines, remove, rename = io.open, io.lines, os.remove, os.rename
  io.open, os.remove, os.rename = first(open), first(remove), both(rename)
  io.lines = function(path, ...)
    if path == nil then return lines() end
    return lines(at(path), ...)
  end
  return function() io.open, io.lines, os.remove, os.rename = open, lines, remove, rename end
end

return files
