-- What LuaJIT makes of a script's code: it must not break it.
local support = require "tests.feature.support"

-- Loops over tables within loops over tables, with much at hand. With these seeds a LuaJIT that
-- keeps half of a pointer (CMakeLists.txt) crashes two times in five: its memory decides.
local SEEDS = { 61, 145, 153, 192, 293 }
local LOOPS = [[
local next, type, insert, getmeta = next, type, table.insert, debug.getmetatable
local M = {}
function M.same(a, b, plain, depth, left, right)
  local kind, other = type(a), type(b)
  if kind ~= "table" or other ~= "table" then return a == b end
  local x, y = getmeta(a), getmeta(b)
  if x and x == y and x.__eq then
    if not plain then return a == b end
  elseif rawequal(a, b) then return true end
  depth = depth or { {}, {} }
  left, right = left or 1, right or 1
  depth[1][a] = depth[1][a] or 0
  depth[2][b] = depth[2][b] or 0
  if depth[1][a] == 1 or depth[2][b] == 1 then
    left, right = depth[1][a] + 1, depth[2][b] + 1
  end
  if depth[1][a] > left and depth[2][b] > right then return true end
  depth[1][a] = depth[1][a] + 1
  depth[2][b] = depth[2][b] + 1
  for k, v in next, a do
    local w = b[k]
    if w == nil then return false, { k } end
    local equal, trail = M.same(v, w, nil, depth, left, right)
    if not equal then
      trail = trail or {}
      insert(trail, k)
      return false, trail
    end
  end
  for k, _ in next, b do
    if a[k] == nil then return false, { k } end
  end
  depth[1][a] = depth[1][a] - 1
  depth[2][b] = depth[2][b] - 1
  return true
end
local R = math.random
local function make(depth)
  local t = {}
  for i = 1, R(0, 5) do
    local key = R() < .3 and i or "k" .. R(6)
    t[key] = (depth > 0 and R() < .5) and make(depth - 1) or (R() < .5 and "s" .. R(3) or R(3))
  end
  return t
end
local function copy(t)
  if type(t) ~= "table" then return t end
  local c = {}
  for k, v in pairs(t) do c[k] = copy(v) end
  return c
end
for seed = arg[1], arg[1] do
  jit.flush()
  math.randomseed(seed)
  jit.opt.start("hotloop=" .. R(2, 20), "hotexit=" .. R(1, 5))
  local n = 0
  for _ = 1, 400 do
    local t = make(R(0, 4))
    local c = copy(t)
    if R() < .2 then c[R(5)] = "x" end
    if M.same(t, c) then n = n + 1 end
  end
end
print "done"
]]

describe("compiled code", function()
  it("goes through tables within tables without a crash", function()
    local box = support.box()
    box:write("loops.lua", LOOPS)
    for _ = 1, 4 do
      for _, seed in ipairs(SEEDS) do
        local run = box:run { "loops.lua", "--", tostring(seed) }
        assert.equal(0, run.code, run.err)
        assert.equal("done\n", run.out)
      end
    end
    box:close()
  end)
end)
