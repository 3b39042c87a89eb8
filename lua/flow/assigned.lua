-- What a function assigns to outside of itself: globals and upvalues. Other nodes see that or not,
-- as it happens that one worker executes them.
local assigned = {}

local has_util, util = pcall(require, "jit.util")

-- Opcodes; of assigning to an upvalue there are four in a row, by the kind of the value.
local set_upvalue, set_global

local function opcode(fn, pc)
  local code = util.funcbc(fn, pc)
  return code and code % 256, code
end

-- The opcode of the instruction before the return of `sample`.
local function last_opcode(sample)
  local before, last
  for pc = 1, 16 do
    local op = opcode(sample, pc)
    if not op then break end
    before, last = last, op
  end
  return before
end

local function find_opcodes()
  local up
  set_upvalue = last_opcode(function(v) up = v end)
  set_global = last_opcode(loadstring "x = ...")
  return up
end

local function add(found, seen, kind, name)
  local text = ("%s %s"):format(kind, name)
  if seen[text] then return end
  seen[text] = true
  found[#found + 1] = text
end

-- Upvalues of inner functions may be locals of the outer ones: of those only globals count.
local function collect(proto, fn, found, seen)
  local pc = 1
  while true do
    local op, code = opcode(proto, pc)
    if not op then break end
    if op == set_global then
      add(found, seen, "the global", tostring(util.funck(proto, -math.floor(code / 65536) - 1)))
    elseif fn and op >= set_upvalue and op < set_upvalue + 4 then
      add(found, seen, "the outer local", (debug.getupvalue(fn, math.floor(code / 256) % 256 + 1)))
    end
    pc = pc + 1
  end
  for i = -1, -math.huge, -1 do
    local inner = util.funck(proto, i)
    if inner == nil then break end
    if type(inner) == "proto" then collect(inner, nil, found, seen) end
  end
end

local none = {}
local by_place = {} -- functions that are written once are made often

--- What `fn` assigns to, a text each: "the global x", "the outer local y".
---@param fn function
---@return string[]
function assigned.names(fn)
  if not has_util then return none end
  local info = util.funcinfo(fn)
  if not info.bytecodes then return none end
  if not set_global then find_opcodes() end
  local key = ("%s:%d:%d"):format(info.source, info.linedefined, info.bytecodes)
  local found = by_place[key]
  if found then return found end
  found = {}
  collect(fn, fn, found, {})
  by_place[key] = found[1] and found or none
  return by_place[key]
end

return assigned
