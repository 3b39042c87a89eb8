-- Error texts for people: the message, then the few frames that are in the user's own files.
local fault = require "flow.fault"
local value = require "flow.value"

local trace = {}

local TEXT_MAX = 4096 -- FL_ERROR_TEXT_MAX
local FRAMES_MAX = 8

-- Everything whose chunk name begins as this file's does is ours: embedded ("=lua/flow/trace.lua")
-- or read from a folder while developing.
local own = debug.getinfo(1, "S").source:match "^(.*)flow[/.]trace%.lua$" or "=lua/"
local own_stdlib = own:gsub("lua/$", "stdlib/")

local function is_own(source)
  return source:sub(1, #own) == own or source:sub(1, #own_stdlib) == own_stdlib
end
trace.is_own = is_own

local own_places = {}
for i, folder in ipairs { own, own_stdlib } do
  own_places[i] = "^" .. folder:sub(2):gsub("%p", "%%%0") .. "[%w_/]+%.lua:%d+: (.*)$"
end

-- An error that was raised for the user's line, which a tail call has left no trace of, stands at a
-- line of ours. What went wrong in a line of ours keeps it.
local function drop_own(message)
  local rest = message:match(own_places[1]) or message:match(own_places[2])
  if not rest or rest:find "^attempt to " or rest:find "^bad argument " then return message end
  return rest
end

-- LuaJIT shortens long file names in messages to 60 bytes: puts the name back as the user gave it.
local function restore_name(message, info)
  local short = info.short_src .. ":"
  if short:sub(1, 3) == "..." and message:sub(1, #short) == short then
    return info.source:gsub("^[@=]", "") .. message:sub(#short)
  end
  return message
end

local function frame_text(info)
  local text = ("%s:%d"):format(info.source:sub(2), info.currentline)
  if info.name and info.what ~= "main" then text = ("%s in %s"):format(text, info.name) end
  return text
end

-- Functions of ours that call user code: what is above them is no business of the user's.
local boundaries = setmetatable({}, { __mode = "k" })

--- Marks `fn` as such and returns it.
function trace.boundary(fn)
  boundaries[fn] = true
  return fn
end

--- `message` with the user's frames from `level` (of the caller) on.
---@param message string
---@param level integer
---@return string
function trace.text(message, level)
  local frames = {}
  level, message = level + 1, drop_own(message)
  while #frames < FRAMES_MAX do
    local info = debug.getinfo(level, "Slnf")
    if not info or boundaries[info.func] then break end
    if info.currentline > 0 and info.source:sub(1, 1) == "@" then
      message = restore_name(message, info)
      if not is_own(info.source) then frames[#frames + 1] = frame_text(info) end
    end
    level = level + 1
  end
  if #frames == 1 then -- the message says where, as a rule
    local place = frames[1]:match "^(.-:%d+)" .. ":"
    if message:sub(1, #place) == place then frames = {} end
  end
  local text = message
  for _, line in ipairs(frames) do text = text .. "\n  at " .. line end
  return trace.cut(text)
end

--- At most what is kept of an attempt's error, cut at the end.
function trace.cut(text)
  if #text <= TEXT_MAX then return text end
  return text:sub(1, TEXT_MAX - 3) .. "..."
end

-- ------------------------------------------------------------------------------------ signals

-- What node code raises to end itself: tables, so that no text can be taken for one.
local Signal = {}
Signal.__index = Signal
Signal.__tostring = function(self) return self.text end

---@param kind "skip"|"fail"
function trace.signal(kind, text, retry)
  return setmetatable({ kind = kind, text = text, retry = retry }, Signal)
end

function trace.is_signal(v) return getmetatable(v) == Signal end

-- What is wrong with an option of a node, found while its code gets ready: told with its name.
local Problem = {}
Problem.__index = Problem
Problem.__tostring = function(self) return self.text end

---@param option string
---@param text string
function trace.problem(option, text)
  return setmetatable({ option = option, text = text }, Problem)
end

function trace.is_problem(v) return getmetatable(v) == Problem end

local modules = {}
for name in ("flow fs json log process re sqlite time"):gmatch "%S+" do modules[name] = true end

-- A module of ours that is used and was not required.
local function hint_require(text)
  local name = text:match "global '(%w+)' %(a nil value%)$"
  if not modules[name] then return text end
  return ('%s; add: local %s = require "%s"'):format(text, name, name)
end

--- The text of what was raised, or returned behind a nil.
---@param err any
---@return string
function trace.message_of(err)
  if type(err) == "string" then return hint_require(err) end
  if err == nil then return "an error without a message" end
  if fault.is(err) then return err.message end
  local mt = type(err) == "table" and getmetatable(err)
  if mt and mt.__tostring then return tostring(err) end
  if type(err) == "table" and type(err.message) == "string" then return err.message end
  local text = type(err) == "table" and next(err) ~= nil and value.try_encode(err)
  if text then return text end
  return "error object is a " .. type(err) .. (type(err) == "table" and "" or ": " .. tostring(err))
end

--- For xpcall around user code: a signal passes through (a failure with its frames), as does a
--- problem of an option; anything else becomes a text.
function trace.handler(err)
  if trace.is_signal(err) then
    if err.kind == "fail" and not err.trace then err.trace = trace.text(err.text, 2) end
    return err
  end
  if trace.is_problem(err) then return err end
  return trace.text(trace.message_of(err), 2)
end

return trace
