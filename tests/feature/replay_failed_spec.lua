-- A replay of a run that failed or skipped: what had no context then, and what its nodes drew.
local support = require "tests.feature.support"

local box

local function each_test()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)
end

local function run(body, options)
  return box:script(('local flow = require "flow"\nlocal f = flow.dag("f", %s)\n%s\nreturn f\n')
    :format(options or "{}", body))
end

local function replay(code, ...)
  local done = box:run { "replay", "last", "--no-progress", ... }
  assert.equal(code, done.code, done.out .. done.err)
  return box:show(), done
end

local function resume(...)
  local done = box:run { "resume", "last", "--no-progress", ... }
  assert.equal(0, done.code, done.out .. done.err)
  return box:show(), done
end

local function context(node)
  return support.decode(box:run({ "context", "last", node, "--json" }).out)
end

describe("a node that never ran then", function()
  each_test()

  local chain = [[
    f.a = flow.shell { "test -e ok && echo A", capture = "text" }
    f.b = flow.lua { after = "a", run = function(ctx)
      return { a = ctx.inputs.a, k = ctx.params.k, v = ctx.vars.v } end }
    f.c = flow.shell { after = "a", "echo {{inputs.a}}", capture = "text" }
  ]]
  local given = "{ params = { k = 1 }, vars = { v = 1 } }"

  it("sees what its parents give today", function()
    assert.equal(1, run(chain, given).code)
    box:write("ok", "")
    local again = replay(0)
    assert.same({ a = "A", k = 1, v = 1 }, again.node.b.outputs)
    assert.equal("A", again.node.c.outputs)
    assert.same({ a = "A" }, context("b").inputs)
  end)

  it("sees them when the replay has failed, too, and is resumed", function()
    assert.equal(1, run(chain, given).code)
    replay(1)
    box:write("ok", "")
    assert.same({ a = "A", k = 1, v = 1 }, resume().node.b.outputs)
    -- It has a context from then on: a replay of the replay gives that again.
    box:write("ok", "")
    assert.same({ a = "A", k = 1, v = 1 }, replay(0).node.b.outputs)
    assert.same({ a = "A" }, context("b").inputs)
  end)

  it("sees them behind a map, and so do items that never ran", function()
    assert.equal(1, run([[
      local function made(ctx) return ctx.inputs.a and ctx.item or error "no a" end
      f.a = flow.lua { inline = true, run = function() return "A" end }
      f.m = flow.map { after = "a", over = function() return { 1, 2 } end,
        run = function(ctx)
          if not require "fs".exists "ok" then error "not yet" end
          return made(ctx) end }
      f.b = flow.lua { after = "m", run = function(ctx) return { m = ctx.inputs.m } end }
      f.bad = flow.shell { "test -e ok" }
      f.late = flow.map { after = { "a", "bad" }, over = function(ctx) return { ctx.inputs.a } end,
        run = function(ctx) return { a = ctx.inputs.a, item = ctx.item } end }
    ]]).code)
    box:write("ok", "")
    local again = replay(0)
    assert.same({ m = { 1, 2 } }, again.node.b.outputs)
    assert.same({ m = { 1, 2 } }, context("b").inputs)
    assert.same({ { a = "A", item = "A" } }, again.node.late.outputs)
    assert.equal("A", context("late[1]").inputs.a)
  end)

  it("is given params and vars by hand, and its context says so", function()
    assert.equal(1, run(chain, given).code)
    box:write("ok", "")
    replay(0)
    local again, done = resume("--param", "k=3", "--set", "v=9", "--rerun", "b", "--skip", "c")
    assert.same({ a = "A", k = 3, v = 9 }, again.node.b.outputs)
    local seen = context "b"
    assert.equal(3, seen.params.k)
    assert.equal(9, seen.vars.v)
    assert.not_matches("do not reach", done.out, 1, true)
  end)
end)

describe("the params of a replay with another script", function()
  each_test()

  it("are seen again by a replay of it", function()
    local body = [[f.a = flow.lua { run = function(ctx)
      local all = {}
      for name, value in pairs(ctx.params) do all[name] = value end
      return all end }]]
    assert.equal(0, run(body, "{ params = { k = 1 } }").code)
    box:write("flow.lua", ('local flow = require "flow"\nlocal f = flow.dag("f", %s)\n%s\nreturn f')
      :format("{ params = { k = 1, m = 2 } }", body))
    assert.same({ k = 1, m = 2 }, replay(0, "--current-script").node.a.outputs)
    assert.same({ k = 1, m = 2 }, replay(0).node.a.outputs)
    assert.same({ k = 1, m = 2 }, context("a").params)
  end)
end)

describe("params and vars that a resume gives to a replay", function()
  each_test()

  it("do not reach nodes that see the past, and it says so", function()
    assert.equal(0, run([[f.a = flow.lua { run = function(ctx)
      return { k = ctx.params.k, v = ctx.vars.v } end }]],
      "{ params = { k = 1 }, vars = { v = 1 } }").code)
    replay(0)
    local again, done = resume("--param", "k=3", "--set", "v=9", "--rerun", "a")
    assert.same({ k = 1, v = 1 }, again.node.a.outputs)
    assert.equal(1, context("a").params.k)
    assert.matches("params and vars that are given now do not reach node 'a'", done.out, 1, true)
    assert.matches("replay --live", done.out, 1, true)
  end)
end)

describe("what a when got from ctx:random", function()
  each_test()

  local body = [[
    local function draw(ctx)
      local file = assert(io.open("drawn", "a"))
      local r = ctx:random(1e9)
      file:write(r, " ", ctx:uuid(), "\n")
      file:close()
      return r
    end
  ]]

  local function assert_drawn_alike(count)
    local lines = support.lines(box:read "drawn")
    assert.equal(count, #lines)
    for i = 2, count do assert.equal(lines[1], lines[i]) end
  end

  it("is what it gets again, though it was false", function()
    assert.equal(0, run(body .. [[
      f.a = flow.lua { inline = true, run = function() return 1 end }
      f.w = flow.shell { after = "a", "echo w", when = function(ctx) return draw(ctx) < 0 end }
    ]]).code)
    -- Twice: it is recorded again.
    for _ = 1, 2 do assert.equal("skipped", replay(0).node.w.status) end
    assert_drawn_alike(3)
    replay(0, "--live")
    assert_drawn_alike(4)
    -- It is no cause: nobody shows it as one.
    local told = box:run({ "explain", "last" }).out .. box:run({ "show", "last", "--json" }).out
      .. box:run({ "breakpoint", "last", "--json" }).out
    assert.not_matches("random", told, 1, true)
  end)

  it("is kept through an export and a fork, however long it is", function()
    assert.equal(1, run(body .. [[
      f.w = flow.shell { "echo w", when = function(ctx)
        for _ = 1, 1000 do ctx:random() end
        return draw(ctx) < 0 end }
      f.bad = flow.shell { "exit 1" }
    ]]).code)
    assert.equal(0, box:run({ "breakpoint", "export", "last", "file" }).code)
    assert.equal(0, box:run({ "resume", "last", "--as-new", "--skip", "bad" }).code)
    replay(0)
    box.state = box.path .. "/other"
    local done = box:run { "--state", box.state, "resume", "file", "--skip", "bad" }
    assert.equal(0, done.code, done.out .. done.err)
    assert.equal(0, box:run({ "--state", box.state, "replay", "last" }).code)
    assert_drawn_alike(3)
  end)

  it("is kept apart from what the code of each attempt got", function()
    assert.equal(0, run(body .. [[
      f.w = flow.lua { retries = 1, retry_delay = 0,
        when = function(ctx) return draw(ctx) > 0 end,
        run = function(ctx)
          local r = ctx:random(1e9)
          if ctx.run.attempt == 1 and not require "fs".exists "ok" then error "not yet" end
          return r end }
    ]]).code)
    local first = box:show().node.w
    assert.equal(2, first.attempts)
    local again = replay(0).node.w
    assert.equal(2, again.attempts)
    assert.equal(first.outputs, again.outputs)
    box:write("ok", "")
    again = replay(0).node.w
    assert.equal(1, again.attempts)
    assert.equal(first.outputs, again.outputs)
    -- Now the first attempt is the one whose values are handed out, also to a second one.
    os.remove(box.path .. "/ok")
    again = replay(0).node.w
    assert.equal(2, again.attempts)
    assert.equal(first.outputs, again.outputs)
    assert_drawn_alike(4)
  end)
end)
