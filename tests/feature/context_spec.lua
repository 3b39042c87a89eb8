-- What a node sees and leaves: params, vars, outputs, templates, steps and checkpoints.
local support = require "tests.feature.support"

-- A script of one flow `f`; the lines in `body` declare its nodes.
local function script(body, options)
  return ('local flow = require "flow"\nlocal f = flow.dag("f", %s)\n%s\nreturn f\n')
    :format(options or "{}", body)
end

local box
local function run(body, options, ...) return box:script(script(body, options), ...) end

local function succeeds(body, options, ...)
  local done = run(body, options, ...)
  assert.equal(0, done.code, done.out .. done.err)
  return box:show()
end

local function fails(body, options, ...)
  local done = run(body, options, ...)
  assert.equal(1, done.code, done.out .. done.err)
  return box:show(), done
end

local function each_test()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)
end

-- The words of a file of the box, one a line: what nodes append as they run.
local function trail(name)
  return table.concat(support.lines(box:read(name or "trail") or ""), " ")
end

describe("params", function()
  each_test()
  local body = [[f.a = flow.lua { run = function(ctx) return { p = ctx.params } end }]]
  local options = [[{ params = { text = "t", n = 1, list = { 1 }, on = false,
    limited = { "integer", default = 3, min = 1, doc = "how many" } } }]]

  it("have defaults that the command line overrides by their type", function()
    local n = succeeds(body, options, "--param", "text=42", "--param", "n=42", "--param",
      'list=["x","y"]', "--param", "on=true", "--param", "limited=7")
    assert.same({ text = "42", n = 42, list = { "x", "y" }, on = true, limited = 7 },
      n.node.a.outputs.p)
  end)

  it("are read only", function()
    local n = fails [[f.a = flow.lua { run = function(ctx) ctx.params.x = 1 end }]]
    assert.matches("flow.lua:3: ", n.node.a.error, 1, true)
    assert.matches("read only", n.node.a.error, 1, true)
  end)
end)

describe("vars", function()
  each_test()

  it("are inherited by children and theirs, not by others", function()
    local n = succeeds [[
      f.a = flow.lua { run = function(ctx) ctx.vars.a = { 1, { deep = "x" } } end }
      f.b = flow.lua { after = "a", inline = true, run = function(ctx)
        ctx.vars.b = ctx.vars.a[1] end }
      f.c = flow.shell { after = "b", "echo {{vars.b}}-{{vars.a[2].deep}} > said" }
      f.other = flow.lua { run = function(ctx) return { sees = ctx.vars.a ~= nil } end }
    ]]
    assert.same({ a = { 1, { deep = "x" } }, b = 1 }, n.node.c.vars)
    assert.equal("1-x\n", box:read("said"))
    assert.is_false(n.node.other.outputs.sees)
  end)

  it("of the flow are what a root starts with", function()
    local n = succeeds([[f.a = flow.lua { run = function(ctx) return { k = ctx.vars.k } end }]],
      [[{ vars = { k = "v" } }]])
    assert.same({ k = "v" }, n.node.a.outputs)
  end)

  local diamond = [[
    f.l = flow.lua { inline = true, run = function(ctx) ctx.vars.k = %s end }
    f.r = flow.lua { inline = true, run = function(ctx) ctx.vars.k = %s end }
    f.join = flow.lua { inline = true, after = { "l", "r" }, %s run = function(ctx)
      return { k = ctx.vars.k } end }
  ]]

  it("that two parents set to different values are an error naming both and the key", function()
    local n = fails(diamond:format("1", "2", ""))
    local text = n.node.join.error
    assert.equal("failed", n.node.join.status)
    for _, word in ipairs { "k", "l", "r" } do
      assert.matches("%f[%w]" .. word .. "%f[%W]", text)
    end
  end)

  it("that two parents set to one value are no conflict", function()
    assert.equal(7, succeeds(diamond:format("7", "7", "")).node.join.outputs.k)
  end)

  it("merge first, last or by a function", function()
    assert.equal(1, succeeds(diamond:format("1", "2", 'merge = "first",')).node.join.outputs.k)
    assert.equal(2, succeeds(diamond:format("1", "2", 'merge = "last",')).node.join.outputs.k)
    assert.equal(3, succeeds(diamond:format("1", "2",
      "merge = function(key, values) return values[1] + values[2] end,")).node.join.outputs.k)
  end)

  it("of a failed attempt are not published", function()
    local n = succeeds [[
      f.a = flow.lua { retries = 1, retry_delay = 0, run = function(ctx)
        if ctx.run.attempt == 1 then ctx.vars.bad = 1 error("first") end
        ctx.vars.good = ctx.vars.bad == nil
      end }
    ]]
    assert.same({ good = true }, n.node.a.vars)
  end)
end)

describe("outputs of processes", function()
  each_test()

  it("come from FLOWLUA_OUTPUT as lines or as one JSON object", function()
    local n = succeeds [=[
      f.lines = flow.shell { 'printf "a=1\nb=x=y\n" > "$FLOWLUA_OUTPUT"' }
      f.json = flow.shell { [[echo '{"a":1,"l":[true]}' > $FLOWLUA_OUTPUT]] }
      f.none = flow.shell { "true" }
    ]=]
    assert.same({ a = "1", b = "x=y" }, n.node.lines.outputs)
    assert.same({ a = 1, l = { true } }, n.node.json.outputs)
    assert.same({}, n.node.none.outputs)
  end)

  it("of a failed attempt are not published", function()
    local n = fails [[f.a = flow.shell { "echo a=1 > $FLOWLUA_OUTPUT; exit 1" }]]
    assert.same({}, n.node.a.outputs)
  end)

  it("come from stdout with capture", function()
    local n = succeeds [[
      f.text = flow.shell { "echo one; echo two", capture = "text" }
      f.lines = flow.shell { "echo one; echo two", capture = "lines" }
      f.json = flow.shell { "echo '{\"k\":[1,2]}'", capture = "json" }
      f.user = flow.lua { after = { "text", "lines", "json" }, run = function(ctx)
        local i = ctx.inputs
        return { i.text, i.lines[2], i.json.k[2] }
      end }
    ]]
    assert.equal("one\ntwo", n.node.text.outputs)
    assert.same({ "one", "two" }, n.node.lines.outputs)
    assert.same({ k = { 1, 2 } }, n.node.json.outputs)
    assert.same({ "one\ntwo", "two", 2 }, n.node.user.outputs)
  end)

  it("know their run, node, attempt, time and context", function()
    succeeds([[
      f.a = flow.lua { run = function(ctx) ctx.vars.v = 1 return { o = 2 } end }
      f.b = flow.shell { after = "a", 'echo "$FLOWLUA_RUN $FLOWLUA_NODE $FLOWLUA_ATTEMPT '
        .. '$FLOWLUA_TIME" > env; cat "$FLOWLUA_CONTEXT" > context' }
    ]], "{ params = { p = 3 } }", "--at", "2026-01-31")
    assert.equal(box:show().run.id .. " b 1 2026-01-31T00:00:00.000Z\n", box:read("env"))
    local context = support.decode(box:read("context"))
    assert.equal("f", context.run.flow)
    assert.same({ p = 3 }, context.params)
    assert.same({ v = 1 }, context.vars)
    assert.same({ o = 2 }, context.inputs.a)
  end)

  it("inherit env and cwd, and nothing of the engine's descriptors", function()
    box:write("sub/here", "")
    succeeds [[
      f.a = flow.shell { 'echo "$GREETING" > said; ls > ../seen; ls /proc/self/fd > ../fds',
        cwd = "sub",
        env = { GREETING = "hi {{run.flow}}" } }
    ]]
    assert.equal("hi f\n", box:read("sub/said"))
    assert.matches("here", box:read("seen"))
    -- 0, 1, 2, and the one that ls reads the folder with; FLOWLUA_CONTEXT and FLOWLUA_OUTPUT may
    -- lie under /dev/fd.
    assert.is_true(#support.lines(box:read("fds")) <= 6, box:read("fds"))
  end)
end)

describe("templates", function()
  each_test()

  it("quote for the shell, expand lists, and insert raw with three braces", function()
    succeeds([[
      f.a = flow.shell { "printf '%s|' {{params.words}} {{params.evil}} > said; "
        .. "printf '%s|' {{{params.raw}}} > raw" }
    ]], [[{ params = { words = { "a b", "c" }, evil = "$(touch hacked)'\"", raw = "x y" } }]])
    assert.equal("a b|c|$(touch hacked)'\"|", box:read("said"))
    assert.equal("x|y|", box:read("raw"))
    assert.is_false(box:exists("hacked"))
  end)

  it("know run, env, date and the time units", function()
    box.env.COLOUR = "red"
    succeeds([[
      f.a = flow.shell { "echo {{run.date}} {{date(run.time - day, '%Y%m%d')}} {{env.COLOUR}} "
        .. "> said" }
    ]], [[{ tz = "Asia/Shanghai" }]], "--at", "2026-03-01T20:00:00Z")
    assert.equal("2026-03-02 20260301 red\n", box:read("said"))
  end)

  it("with an unknown name fail the node with its place", function()
    local n = fails [[f.a = flow.shell { "echo {{vars.nothing}}" }]]
    assert.matches("nothing", n.node.a.error)
    assert.equal(0, n.node.a.attempts > 1 and 1 or 0)
  end)
end)

describe("a context", function()
  each_test()

  it("keeps steps across attempts: each runs once in the life of a node", function()
    local n = succeeds [[
      f.a = flow.lua { retries = 2, retry_delay = 0, run = function(ctx)
        local x = ctx:step("one", function()
          ctx:exec { "sh", "-c", "echo one >> trail" }
          return 11
        end)
        if ctx.run.attempt < 3 then error("again") end
        return { x = x }
      end }
    ]]
    assert.equal(11, n.node.a.outputs.x)
    assert.equal("one", trail())
  end)

  it("keeps a checkpoint for the next attempt", function()
    local n = succeeds [[
      f.a = flow.lua { retries = 1, retry_delay = 0, run = function(ctx)
        local before = ctx:restored()
        if not before then ctx:checkpoint { at = 5 } error("broke") end
        return before
      end }
    ]]
    assert.same({ at = 5 }, n.node.a.outputs)
    assert.same({ at = 5 }, n.node.a.checkpoint)
  end)

  for _, where in ipairs { "worker", "inline" } do
    it("offers the same to a " .. where .. " node", function()
      local n = succeeds(([[
        f.p = flow.shell { "echo k=v > $FLOWLUA_OUTPUT" }
        f.a = flow.lua { inline = %s, after = "p", run = function(ctx)
          ctx:log("line", { 1 })
          print("printed")
          ctx:progress(1, 2, "half")
          local r = ctx:exec { "sh", "-c", "echo out; echo err >&2; exit 3", capture = "text",
            ok_codes = { 3 } }
          local bad = ctx:exec { "sh", "-c", "exit 9", check = false }
          ctx:sleep("5ms")
          ctx.vars.seen = ctx.inputs.p.k
          return { r.ok, r.code, r.outputs, bad.ok, bad.code, ctx.run.flow, ctx.run.attempt,
            ctx:cancelled(),
            #ctx:uuid(), type(ctx:now()), ctx:random(3, 3) }
        end }
      ]]):format(tostring(where == "inline")))
      assert.same({ true, 3, "out", false, 9, "f", 1, false, 36, "number", 3 }, n.node.a.outputs)
      assert.same({ seen = "v" }, n.node.a.vars)
      local log = box:run({ "logs", "last", "a" }).out
      assert.matches("line\t[1]", log, 1, true)
      assert.matches("printed", log, 1, true)
    end)
  end

  it("names the path of a value that cannot be kept", function()
    local n = fails [[
      f.fn = flow.lua { run = function() return { a = { b = print } } end }
      f.nan = flow.lua { run = function() return { x = 0 / 0 } end }
      f.loop = flow.lua { inline = true, run = function(ctx)
        local t = {} t.t = t ctx.vars.loop = t end }
    ]]
    assert.matches("a.b", n.node.fn.error, 1, true)
    assert.matches("function", n.node.fn.error, 1, true)
    assert.matches("x", n.node.nan.error, 1, true)
    assert.matches("loop.t", n.node.loop.error, 1, true)
  end)
end)
