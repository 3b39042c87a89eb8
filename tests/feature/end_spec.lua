-- Ends that somebody asked for, by a timeout, a cancel or an interrupt: every kind of node takes
-- them for what they are, and says so.
local support = require "tests.feature.support"

local box

local function script(body) return ('local flow = require "flow"\nlocal f = flow.dag("f", {})\n'
  .. "%s\nreturn f\n"):format(body) end

local function each_test()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)
end

local function assert_all_cancelled()
  for _, row in ipairs(box:sql "select name, status from v_attempt") do
    assert.equal("cancelled", row[2], row[1])
  end
end

-- Code that goes on when it was told to end, each the run of `f.n`; `begun` is there meanwhile.
local BEGIN = 'io.open("begun", "w"):close(); '
local stubborn = {
  ["a Lua node that catches it"] = 'f.n = flow.lua { %s run = function(ctx) ' .. BEGIN
    .. 'pcall(function() ctx:sleep(20) end); return 5 end }',
  ["a Lua node that looks, and returns what it has"] = 'f.n = flow.lua { %s run = function(ctx) '
    .. BEGIN .. 'while not ctx:cancelled() do end; return 5 end }',
  ["a Lua node that skips itself then"] = 'f.n = flow.lua { %s run = function(ctx) ' .. BEGIN
    .. 'pcall(ctx.sleep, ctx, 20); ctx:skip("late") end }',
  ["a Lua node whose child was ended"] = 'f.n = flow.lua { %s run = function(ctx) ' .. BEGIN
    .. 'ctx:exec { "sleep", "20", check = false }; return 5 end }',
  ["an item of a map"] = 'f.n = flow.map { over = { 1 }, node = flow.lua { %s run = function(ctx) '
    .. BEGIN .. 'pcall(ctx.sleep, ctx, 20); return 5 end } }',
  ["an inline node"] = 'f.n = flow.lua { inline = true, %s run = function(ctx) ' .. BEGIN
    .. 'pcall(ctx.sleep, ctx, 20); return 5 end }',
  ["a process"] = [[f.n = flow.shell { %s
    "touch begun; trap 'exit 0' TERM; while :; do sleep 0.05; done" }]],
}

-- Runs the node until it has begun, then does `ask(process)`.
local function run_and(body, ask)
  box:write("flow.lua", script(body .. '\nf.next = flow.lua { after = "n", run = function() end }'))
  local process = box:start { "flow.lua", "--no-progress" }
  support.wait_until("its start", function() return box:exists("begun") end)
  ask(process)
  return process:wait(30)
end

for what, text in pairs(stubborn) do
  describe(what, function()
    each_test()

    it("has timed out when its time is over, whatever it returns", function()
      local done = box:script(script(text:format 'timeout = "300ms",'))
      assert.equal(1, done.code, done.out .. done.err)
      local shown = box:show()
      assert.equal("failed", shown.node.n.status)
      local last = box:sql("select status, error from v_attempt where status <> 'failed'")[1]
      assert.equal("timed_out", last[1])
      assert.matches("^timed out after 300ms", last[2])
    end)

    it("is cancelled by an interrupt, and a resume runs it again", function()
      local done = run_and(text:format "", function(process) process:kill(support.SIGINT) end)
      assert.equal(130, done.code, done.out .. done.err)
      assert_all_cancelled()
      local plan = box:run { "resume", "last", "--plan" }
      assert.matches("n +run", plan.out)
    end)

    it("is cancelled by a cancel", function()
      local done = run_and(text:format "", function() box:run { "cancel", "last" } end)
      assert.not_equal(0, done.code)
      assert_all_cancelled()
    end)
  end)
end

describe("an attempt that timed out", function()
  each_test()

  local rows = {
    ["in ctx:sleep"] = "f.n = flow.lua { %s run = function(ctx) ctx:sleep(20) end }",
    ["in a step"] = 'f.n = flow.lua { %s run = function(ctx) ctx:step("s", function() '
      .. "ctx:sleep(20) end) end }",
    ["in a child"] = 'f.n = flow.lua { %s run = function(ctx) ctx:exec { "sleep", "20" } end }',
    ["in a loop"] = "f.n = flow.lua { %s run = function() while true do end end }",
    ["inline"] = "f.n = flow.lua { inline = true, %s run = function(ctx) ctx:sleep(20) end }",
    ["in an inline child"] = 'f.n = flow.lua { inline = true, %s run = function(ctx) '
      .. 'ctx:exec { "sleep", "20" } end }',
    ["in a shell"] = 'f.n = flow.shell { %s "sleep 20" }',
    ["as a call"] = 'local g = flow.dag("g", {})\ng.x = flow.shell { "sleep 20" }\n'
      .. "f.n = flow.call { %s flow = g }",
  }
  for where, text in pairs(rows) do
    it(where .. " says so first, in whatever asks", function()
      for option, pattern in pairs { timeout = "timed out after 300ms",
        deadline = "ended by its deadline of 300ms" } do
        local done = box:script(script(text:format(option .. ' = "300ms",')))
        assert.equal(1, done.code, done.out .. done.err)
        assert.matches("\n[%d:]+ n failed %S+ ?%S*: " .. pattern, "\n" .. done.out)
        local shown = box:show()
        assert.matches("^" .. pattern, shown.node.n.error)
        assert.matches(pattern, box:run({ "breakpoint", "last" }).out)
        assert.matches("n .*failed.*: " .. pattern, box:run({ "explain", "last", "n" }).out)
      end
    end)
  end

  it("is what an adviser's rule finds by its error", function()
    box:script [[
      local flow = require "flow"
      local f = flow.dag("f", { on_breakpoint = flow.advise.rules {
        { error = "timed out", options = { timeout = "1h" } } } })
      f.n = flow.lua { timeout = "200ms", run = function(ctx) ctx:sleep(20) end }
      return f
    ]]
    local all = support.decode(box:run({ "proposals", "last", "--json" }).out)
    assert.same({ n = { timeout = "1h" } }, all.proposals[1].patch.options)
  end)
end)
