-- Where in the user's files something was written: a file and a line packed into one number.
--
-- A constructor knows the line it was called from, except in a tail call (`return flow.shell{...}`
-- in a helper): LuaJIT keeps no trace of the helper's frame. So each access to `flow.<type>` is
-- noted too, and a constructor that was called from another line than the one that was noted finds
-- out which of the two is right.
local core = require "flow.core.frame"

local place = {}

local at, getinfo = core.at, debug.getinfo
local getlocal, getupvalue = debug.getlocal, debug.getupvalue
local has_util, util = pcall(require, "jit.util")

local FILE = 2 ^ 24 -- lines of a file stay below this
local sources, index_of_source = {}, {}
local index_of_function = setmetatable({}, { __mode = "k" })

local function file_index(func)
  local index = index_of_function[func]
  if index then return index end
  local source = getinfo(func, "S").source
  index = index_of_source[source]
  if not index then
    index = #sources + 1
    sources[index] = source
    index_of_source[source] = index
  end
  index_of_function[func] = index
  return index
end

local function pack(func, line) return file_index(func) * FILE + line end

-- Function and line of the nearest Lua function at or above `level` (of the caller). C frames have
-- no line.
local function frame(level)
  level = level + 1
  local func, line = at(level)
  while func and line < 0 do
    level = level + 1
    func, line = at(level)
  end
  return func, line
end

--- The line being executed `level` frames above the caller (1: the caller itself); nil: none.
---@param level integer
---@return number?
function place.at(level)
  local func, line = frame(level + 1)
  return func and pack(func, line)
end

---@param packed number
---@return string file as the user named it
---@return integer line
function place.split(packed)
  local index = math.floor(packed / FILE)
  return (sources[index]:gsub("^[@=]", "")), packed - index * FILE
end

---@param packed number?
---@return string
function place.show(packed)
  if not packed then return "?" end
  return ("%s:%d"):format(place.split(packed))
end

-- ------------------------------------------------------------------------------------ constructors

local noted_func, noted_line

--- Remembers the line that reads `flow.<type>`. Call it from the __index function itself.
function place.note()
  noted_func, noted_line = at(3)
  if noted_line == -1 then noted_func = nil end
end

local call_t -- the opcode of a tail call

local function opcode(func, pc)
  local code = util.funcbc(func, pc)
  return code and code % 256
end

local function find_opcode()
  local function sample(f) return f(1) end
  local last
  for pc = 1, 16 do
    local op = opcode(sample, pc)
    if not op then break end
    last = op
  end
  return last
end

-- The line of the only tail call in `func`, or nil.
local function tail_call_line(func)
  if not has_util or getinfo(func, "S").what == "C" then return nil end
  call_t = call_t or find_opcode()
  local line
  local pc = 1
  while true do
    local op = opcode(func, pc)
    if not op then return line end
    if op == call_t then
      if line then return nil end
      line = util.funcinfo(func, pc).currentline
    end
    pc = pc + 1
  end
end

-- The function that the frame at `level` called under `name`.
local function find_callee(func, level, name, what)
  if what == "local" then
    local found
    for i = 1, 250 do
      local key, value = getlocal(level + 1, i)
      if not key then break end
      if key == name then found = value end
    end
    return found
  elseif what == "upvalue" then
    for i = 1, 60 do
      local key, value = getupvalue(func, i)
      if not key then break end
      if key == name then return value end
    end
  elseif what == "global" then
    return rawget(getfenv(func), name)
  end
end

-- Who called the constructor, when that is not the line that was noted: `func` is at `line`.
-- `level` is the constructor, as seen from here.
local function resolve(constructor, func, line, level)
  local called = getinfo(level, "n") -- how its caller names what it called
  local callee = called.name and find_callee(func, level + 1, called.name, called.namewhat)
  if callee == constructor then return pack(func, line) end
  if type(callee) == "function" then
    if noted_func == callee then return pack(noted_func, noted_line) end
    local tail_line = tail_call_line(callee)
    if tail_line then return pack(callee, tail_line) end
  elseif noted_func and noted_func ~= func then
    return pack(noted_func, noted_line)
  end
  return pack(func, line)
end

--- The line where `constructor` is being called with a table. Call it from the constructor itself.
---@param constructor function
---@return number?
function place.of_call(constructor)
  local func, line = at(3)
  local packed
  if func and func == noted_func and line == noted_line then
    packed = pack(func, line)
  elseif func and line >= 0 then
    packed = resolve(constructor, func, line, 3)
  elseif noted_func then
    packed = pack(noted_func, noted_line)
  else
    func, line = frame(3)
    packed = func and pack(func, line)
  end
  noted_func = nil
  return packed
end

return place
