-- Checks that what Lua code can call is typed and told: each C function has its stub and manual.
local tidy = require "tests.support.tidy"

-- The C modules that users require, each with the files that register its functions. A C module not
-- named here serves lua/flow only.
local public = {
  fs = { "runtime/bind/bind_fs.c", "runtime/bind/path.c" },
  json = { "runtime/bind/bind_json.c" },
  log = { "runtime/bind/bind_log.c" },
  process = { "runtime/bind/bind_process.c" },
  re = { "runtime/bind/bind_re.c" },
  sqlite = { "runtime/bind/bind_sqlite.c" },
  time = { "runtime/bind/bind_time.c" },
}
-- Functions of those modules that serve lua/flow only.
local private = { ["json.encode_value"] = true, ["json.decode_value"] = true }

-- What stdlib/ may require: what a user's own node type may.
local modules = { flow = true }
for name in pairs(public) do modules[name], modules["flow." .. name] = true, true end

local manual = "docs/reference.md"
local told = tidy.exists(manual) and tidy.read(manual)
if not told then tidy.found(manual, 1, "is not there") end

-- The names in the `luaL_Reg` tables of a C file, each with its line.
local function registered(path)
  local names = {}
  local inside, n = false, 0
  for line in io.lines(path) do
    n = n + 1
    if line:find("luaL_Reg%s+[%w_]+%[%]") then inside = true end
    if inside then
      for name in line:gmatch('{"([%a][%w_]*)",%s*l_') do names[#names + 1] = { name, n } end
    end
    if line:find("};") then inside = false end
  end
  return names
end

local count = 0
for module, paths in pairs(public) do
  local stub_path = ("lua/flow/types/%s.lua"):format(module)
  local stub = tidy.exists(stub_path) and tidy.read(stub_path)
  if not stub then tidy.found(stub_path, 1, "is not there") end
  for _, path in ipairs(paths) do
    for _, entry in ipairs(tidy.exists(path) and registered(path) or {}) do
      local name, line = entry[1], entry[2]
      if not private[module .. "." .. name] then
        count = count + 1
        if stub and not stub:find("function [%w_]+[.:]" .. name .. "%(") then
          tidy.found(path, line, "%s.%s has no stub in %s", module, name, stub_path)
        end
        if told and not told:find("[.:]" .. name .. "%f[^%w_]") then
          tidy.found(path, line, "%s.%s is not told in %s", module, name, manual)
        end
      end
    end
  end
end

for _, path in ipairs(tidy.files("^stdlib/.*%.lua$")) do
  local n = 0
  for line in io.lines(path) do
    n = n + 1
    local code = line:gsub("%-%-.*$", "")
    local name = code:match("%f[%w_]require%s*%(?%s*[\"']([^\"']+)[\"']")
    if name and not modules[name] then
      tidy.found(path, n, "stdlib/ is written on the public modules, not on %s", name)
    end
  end
end
-- Each class is declared once, and every type that is named is there. One that is marked partial
-- adds to a class of another file.
local known = {}
for name in ([[any boolean false fun function integer lightuserdata nil number self string table
  thread true unknown userdata]]):gmatch "%S+" do known[name] = true end

-- The type that `text` begins with: up to a space that is not within it.
local function type_in(text)
  local depth, quoted = 0, false
  for at = 1, #text do
    local char = text:sub(at, at)
    if char == '"' then quoted = not quoted end
    if not quoted then
      if char:find "[%(<{%[]" then depth = depth + 1 end
      if char:find "[%)>}%]]" then depth = depth - 1 end
      local joined = text:sub(1, at - 1):find "[:|,]%s*$" or text:find("^%s*[|:]", at)
      if char == " " and depth == 0 and not joined then return text:sub(1, at - 1) end
    end
  end
  return text
end

local function types_of(line)
  local tag, rest = line:match "^%-%-%-@(%w+)%s+(.*)$"
  if tag == "field" or tag == "param" then
    rest = rest:gsub("^%[[%w%s]+%]%s+", "f "):gsub("^%[\"?[%w_]+\"?%]%s+", "f ")
    return type_in(rest:match "^%S+%s+(.*)$" or "any")
  end
  if tag == "return" or tag == "type" then return type_in(rest) end
  if tag == "alias" then return type_in(rest:match "^%S+%s+(.*)$" or "any") end
  if tag == "class" then return rest:match ":%s*(.*)$" end
end

local typed = tidy.files("^lua/.*%.lua$")
for _, path in ipairs(typed) do
  local n = 0
  for line in io.lines(path) do
    n = n + 1
    local partial, name, parent = line:match(
      "^%-%-%-@class%s+(%(?p?a?r?t?i?a?l?%)?)%s*([%w_.]+):?%s*(%S*)")
    name = name or line:match "^%-%-%-@alias%s+([%w_.]+)"
    if name and known[name] and partial ~= "(partial)" then
      tidy.found(path, n, "%s is declared a second time, see %s", name, known[name])
    end
    if name and parent == name then tidy.found(path, n, "%s is its own parent", name) end
    if name and not known[name] then known[name] = path .. ":" .. n end
  end
end
for _, path in ipairs(typed) do
  local n, generics = 0, {}
  for line in io.lines(path) do
    n = n + 1
    local generic = line:match "^%-%-%-@generic%s+(.*)$"
    if generic then for name in generic:gmatch "[%a_]%w*" do generics[name] = true end end
    local kind = types_of(line)
    kind = kind and kind:gsub('"[^"]*"', ""):gsub("[%a_][%w_]*%??:", ""):gsub("%.%.%.", "")
    for name in (kind or ""):gmatch "[%a_][%w_.]*" do
      if not known[name] and not generics[name] then
        tidy.found(path, n, "type %s is not declared", name)
      end
    end
    if not line:find "^%-%-%-" then generics = {} end
  end
end

-- The states and the reasons are a promise: closed lists that programs compare with.
local promises = "docs/command-line.md"
local promised = tidy.read(promises)
local states, reasons = tidy.read("runtime/base/state.h"):match("^(.*)(#define FL_REASONS.*)$")
local line_of = { RUN = "| a run | ", NODE = "| a node | ", ATTEMPT = "| an attempt | " }
for list, rows in states:gmatch("#define FL_(%u+)_STATES(.-)\n\n") do
  local line = promised:match("\n(" .. line_of[list]:gsub("|", "%%|") .. "[^\n]*)") or ""
  for name in rows:gmatch('X%(%u[%u_]*,%s*"([%w_]+)"') do
    if not line:find("`" .. name .. "`", 1, true) then
      tidy.found(promises, 1, "the state %s of %s is not told", name, list:lower())
    end
    line_of[list] = line_of[list] .. name
  end
end
for list, seen in pairs(line_of) do
  if seen:find("| $") then tidy.found("runtime/base/state.h", 1, "no states of %s", list) end
end
for name in reasons:gmatch('X%(%u[%u_]*,%s*"([%w_]+)"') do
  if name ~= "none" and not promised:find("| `" .. name .. "` |", 1, true) then
    tidy.found(promises, 1, "reason %s is not told", name)
  end
end
tidy.done(count .. " functions")
