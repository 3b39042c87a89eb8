-- Checks what the libraries let out: fl_ names only, and what flowlua.h promises from the shared.
local tidy = require "tests.support.tidy"

local build = os.getenv("FLOWLUA_BUILD") or "build/release"
local static, shared = build .. "/libflowlua.a", build .. "/libflowlua.so"
if not tidy.exists(static) or not tidy.exists(shared) then
  tidy.skip("no libraries in " .. build)
end

-- A host links these beside its own code: every name is one that it cannot have.
local allowed = { "^fl_", "^luaopen_flow_" }

local function symbols(command)
  local list = {}
  local pipe = assert(io.popen(command))
  for line in pipe:lines() do
    local kind, name = line:match("^%x* *(%a) ([%w_.@]+)$")
    if kind and kind ~= "U" and kind ~= "w" then list[#list + 1] = name end
  end
  pipe:close()
  return list
end

local inside = symbols("nm --defined-only --extern-only '" .. static .. "'")
for _, name in ipairs(inside) do
  local good = false
  for _, pattern in ipairs(allowed) do good = good or name:find(pattern) ~= nil end
  if not good then
    tidy.found(static, 0, "%s is not static and starts with neither fl_ nor luaopen_flow_", name)
  end
end

local header = "runtime/include/flowlua.h"
local promised = {}
local text = tidy.bare_c(tidy.read(header))
for declaration in text:gmatch("FL_API([^;#]-)%s*%(") do
  local name = declaration:match("([%w_]+)$")
  if name and name ~= "__attribute__" then promised[name] = true end
end
local outside = symbols("nm -D --defined-only --extern-only '" .. shared .. "'")
local exported = {}
for _, name in ipairs(outside) do
  exported[name] = true
  if not promised[name] then tidy.found(shared, 0, "%s is exported and not in flowlua.h", name) end
end
for name in pairs(promised) do
  if not exported[name] then tidy.found(header, 0, "%s is promised and not exported", name) end
end
tidy.done(("%d names inside, %d outside"):format(#inside, #outside))
