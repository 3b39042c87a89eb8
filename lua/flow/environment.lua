-- The globals of a script: a table of its own, so that what it sets, by intent or for want of a
-- `local`, is seen by itself and its modules only; the language's own Lua reads the real ones.
--
-- Functions of Lua's libraries that a node must not have as they are, are replaced for all.
local context = require "flow.context"
local files = require "flow.files"
local guard = require "flow.core.guard"
local template = require "flow.template"

local environment = {}

-- Code that a script makes while it runs sees the script's globals.
local function add_loaders(env)
  function env.load(chunk, name, mode, given) return load(chunk, name, mode, given or env) end
  function env.loadstring(text, name, mode, given)
    return loadstring(text, name, mode, given or env)
  end
  function env.loadfile(path, mode, given) return loadfile(files.at(path), mode, given or env) end
  function env.dofile(path)
    local chunk, problem = loadfile(files.at(path), nil, env)
    if not chunk then error(problem, 2) end
    return chunk()
  end
end

--- The globals for a script that is called with `args`.
---@param args table
---@return table
function environment.new(args)
  local env = setmetatable({}, { __index = _G }) -- what a module of C sets later is there, too
  for name, v in next, _G do env[name] = v end
  env._G, env.arg = env, args
  env.print, env.pairs = context.print, template.pairs
  function env.xpcall(fn, handle, ...) return xpcall(fn, guard(handle), ...) end
  add_loaders(env)
  return env
end

-- Names that scripts use for what is their own, too.
local free = { arg = true }

--- Of a script that is loaded: from here on a name of Lua's that is assigned to is a `local` that
--- was forgotten. As it would change what all other nodes call by that name, it raises; what the
--- script itself has put in such a place before is left to it.
---@param env table from environment.new
function environment.seal(env)
  local meta = getmetatable(env)
  if type(meta) ~= "table" or meta.__index ~= _G or meta.__newindex then return end -- the user's
  local standard = {}
  for name in next, _G do
    if not free[name] then standard[name] = env[name] end
  end
  for name in next, standard do env[name] = nil end
  setmetatable(standard, { __index = _G })
  meta.__index = standard
  function meta.__newindex(_, name, v)
    if rawget(standard, name) ~= nil then
      error(("%s is Lua's own, and other nodes need it: write local %s"):format(name, name), 2)
    end
    rawset(env, name, v)
  end
end

--- Puts ours in the place of what writes to stdout, ends the process, or yields.
---@return function undo
function environment.install()
  local methods = debug.getmetatable(io.stdout).__index
  local write, io_write, exit, yield = methods.write, io.write, os.exit, coroutine.yield
  local undo_files = files.install()
  methods.write = context.guard_write(write)
  io.write = function(...) return io.output():write(...) end
  os.exit = context.guard_exit(exit)
  coroutine.yield = context.guard_yield(yield)
  return function()
    methods.write, io.write, os.exit, coroutine.yield = write, io_write, exit, yield
    undo_files()
  end
end

return environment
