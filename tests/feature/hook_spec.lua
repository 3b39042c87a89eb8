-- Hooks that do not end, or eat memory: each fails its own node, with the line where it was, and is
-- named while it keeps the engine. Compiled code is no exception.
local support = require "tests.feature.support"

describe("A hook", function()
  local box

  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local function run(body)
    local done = box:script("local flow = require 'flow'\nlocal f = flow.dag('f', {})\n" .. body
      .. "\nf.good = flow.shell { 'true' }\nreturn f\n", "--no-progress")
    assert.equal(1, done.code, done.err)
    assert.matches("good succeeded", done.out, 1, true)
    return done
  end

  it("that loops for ever fails its node, by flow, node, hook and line, and is named meanwhile",
    function()
    local done = run [[
local function spin() local n = 0; while true do
  n = n + 1
end end
f.a = flow.shell { "true", when = function() while true do pcall(spin) end end }
f.b = flow.shell { "echo {{ (function() while true do end end)() }}" }]]
    assert.matches("a failed: flow%.lua:[3-6]: f%.a%.when: took longer than 2 s", done.out)
    assert.matches("b failed.-: flow%.lua:7: f%.b%.command: took longer than 2 s", done.out)
    assert.matches("flow f, node a, when: its code has kept the engine for a second", done.err)
    assert.matches("notice: a: its `when` kept the engine for", done.out, 1, true)
  end)

  it("that calls itself through pcall for ever is stopped, too", function()
    local done = run [[
f.a = flow.shell { "true", when = function()
  local function f() while true do pcall(f) end end
  f()
end }]]
    assert.matches("a failed: flow%.lua:[4-5]: f%.a%.when: took longer than 2 s", done.out)
  end)

  it("that eats memory fails its node", function()
    local done = run [[
f.a = flow.shell { "true", when = function() return ("x"):rep(2 ^ 30) end }
f.b = flow.map { node = flow.shell { "true" }, over = function()
  local t = {}
  while true do t[#t + 1] = { #t } end
end }]]
    assert.matches("a failed: flow%.lua:3: f%.a%.when: not enough memory", done.out)
    assert.matches("b failed.-: flow%.lua:[4-6]: f%.b%.over: not enough memory", done.out)
  end)
end)

describe("An inline node that computes for ever", function()
  it("is named, and gives way when it is interrupted", function()
    local box = support.box()
    box:write("flow.lua", [[
local flow = require "flow"
local f = flow.dag("f", {})
f.a = flow.lua { inline = true, run = function()
  local n = 0
  while true do n = n + 1 end
end }
return f
]])
    local done = box:sh(([[
      %s flow.lua --no-progress >out 2>err & pid=$!
      until grep -qs "node a: its code has kept the engine" err; do sleep 0.05; done
      kill -INT $pid
      wait $pid; echo $?
    ]]):format(support.binary))
    assert.equal("130\n", done.out)
    assert.matches("flow f, node a: its code has kept the engine for a second", box:read "err", 1,
      true)
    box:close()
  end)
end)
