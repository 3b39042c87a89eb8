-- What a patch means where it is not plain: null, several wishes for one node, maps, sub-flows,
-- plans, files of exported runs, advisers that take their time.
local support = require "tests.feature.support"

local box

local function script(body, options)
  return ('local flow = require "flow"\nlocal f = flow.dag("f", %s)\n%s\nreturn f\n')
    :format(options or "{}", body)
end

local function run(text, ...)
  box:write("flow.lua", text)
  return box:run { "flow.lua", "--no-progress", "--quiet", ... }
end

local function resume(...) return box:run { "resume", "--no-progress", "--quiet", ... } end

local function resumes(...)
  local done = resume(...)
  assert.equal(0, done.code, done.out .. done.err)
end

local function refused(says, ...)
  local epochs = box:sql_value "select count(*) from v_epoch"
  local done = resume(...)
  assert.equal(2, done.code, done.out .. done.err)
  assert.matches(says, done.err)
  assert.equal(epochs, box:sql_value "select count(*) from v_epoch")
end

local function outputs(name)
  return support.decode(box:run({ "context", "last", name, "--json" }).out).outputs
end

local function plan(...)
  local done = box:run { "resume", "--plan", "--json", ... }
  assert.equal(0, done.code, done.err)
  local said = {}
  for i, node in ipairs(support.decode(done.out).nodes) do
    said[i] = node.name .. ":" .. node.action
  end
  return table.concat(said, " ")
end

-- a gives outputs, b fails until the var `ok` is set, c gets both.
local abc = script [[
  f.a = flow.lua { inline = true, run = function(ctx) ctx.vars.q = 3 return { n = 5, p = "x" } end }
  f.b = flow.lua { inline = true, after = "a", run = function(ctx)
    local at = ctx:restored() or "none"
    ctx:checkpoint(1)
    if not ctx.vars.ok then error "not ok" end
    return { n = ctx.inputs.a.n, q = ctx.vars.q or "none", at = at }
  end }
  f.c = flow.lua { inline = true, after = "b", run = function(ctx) return ctx.inputs.b end }
]]

describe("a patch", function()
  before_each(function()
    box = support.box()
  end)
  after_each(function() box:close() end)

  it("takes null from a flag as from a file", function()
    assert.equal(1, run(abc).code)
    resumes("--set", "q=null", "--set", "ok=true", "--output", "a.n=null",
      "--checkpoint", "b=null")
    assert.same({ n = support.null, q = "none", at = "none" }, outputs "b")
    assert.equal(1, run(script 'f.a = flow.shell { "test -z \\"$V\\"", env = { V = "1" } }').code)
    resumes("--option", "a.env.V=null")
  end)

  it("keeps what a finished node gave when it is only said to have succeeded", function()
    assert.equal(1, run(abc).code)
    resumes("--succeed", "a", "--set", "ok=true")
    assert.equal(5, outputs("c").n)
  end)

  it("is refused where two wishes for a node do not go together", function()
    assert.equal(1, run(abc).code)
    refused("node 'a' is in `rerun` and in `outputs`", "--output", "a.n=3", "--rerun", "a")
    refused("node 'b' is in `skip` and in `succeed`", "--skip", "b", "--succeed", "b")
    refused("node 'a' is in `rerun` and in `keep`", "--keep", "a", "--rerun", "a+")
    refused("node 'b': %-%-checkpoint or %-%-drop%-checkpoint", "--checkpoint", "b=2",
      "--drop-checkpoint", "b")
    refused("%-%-patch is given 2 times", "--patch", "x.json", "--patch", "y.json")
  end)

  it("is refused where JSON was meant and is none", function()
    assert.equal(1, run(abc).code)
    refused('%-%-succeed: {"got":1: ', "--succeed", 'b={"got":1')
    refused('%-%-set: %[1,: ', "--set", "ok=[1,")
    box:write("list.json", "[1]")
    refused("list%.json: expected a map of changes", "--patch", "list.json")
    box:write("null.json", '{"params":{"x":null}}')
    refused("unknown parameter", "--patch", "null.json")
    box:write("loop.lua", "while true do end")
    refused("loop%.lua:1: patch: took longer than 5 s", "--patch", "loop.lua")
  end)

  it("says what is wrong with names", function()
    assert.equal(1, run(script [[f.m = flow.map { over = { 1, 2 }, inline = true,
      run = function(ctx, i) if i == 2 then error "two" end end }]]).code)
    refused('"m%[2%]" is an item of "m": say it of the map', "--keep", "m[2]")
    refused("a node gets another name in a mended script", "--rename", "m=n")
  end)

  it("closes the items of a map that is skipped or marked", function()
    local text = script [[f.m = flow.map { over = { 1, 2, 3 }, inline = true,
      run = function(ctx, i) if i == 2 then error "two" end return i end }
      f.last = flow.lua { inline = true, after = "m",
        run = function(ctx) return ctx.inputs.m end }]]
    assert.equal(1, run(text).code)
    resumes("--succeed", "m=[1,22,3]")
    assert.same({ 1, 22, 3 }, outputs "last")
    assert.equal("skipped", box:sql_value "select status from v_node where name = 'm[2]'")
    assert.equal(1, run(text).code)
    assert.equal("m:skip last:skip m[1]:keep m[2]:skip m[3]:keep", plan("--skip", "m"))
    resumes("--skip", "m")
  end)

  it("is planned with what follows from it", function()
    assert.equal(1, run(abc).code)
    assert.equal("a:keep b:skip c:skip", plan("--skip", "b"))
    assert.equal("a:skip b:skip c:skip", plan("--skip", "a"))
    assert.equal("a:keep b:run c:run", plan())
  end)

  it("reaches a sub-flow that is entered again through the call's params", function()
    assert.equal(1, run [[
      local flow = require "flow"
      local inner = flow.dag("inner", { params = { x = 1 } })
      inner.one = flow.shell { "echo one >> trail" }
      inner.two = flow.lua { inline = true, after = "one",
        run = function(ctx) if ctx.params.x < 5 then error "x small" end end }
      local f = flow.dag("f", { params = { x = 1 } })
      f.sub = flow.call { flow = inner, params = { x = "{{ params.x }}" } }
      return f
    ]].code)
    resumes("--param", "x=7")
    assert.equal("one\n", box:read "trail")
    assert.equal('{"x":7}', box:sql_value "select params from v_run where flow = 'inner'")
  end)
end)

describe("a run in a file", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("is not taken in when what is asked of it is wrong", function()
    assert.equal(1, run(abc).code)
    assert.equal(0, box:run({ "breakpoint", "export", "last", "run.fl" }).code)
    local done = resume("run.fl", "--state", "other", "--skip", "zz")
    assert.equal(2, done.code)
    assert.matches('no node "zz"', done.err)
    done = resume("run.fl", "--state", "other", "--set", "ok=true")
    assert.equal(0, done.code, done.out .. done.err)
  end)
end)

describe("a state directory that is not there", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  for _, verb in ipairs { "resume", "cancel", "replay" } do
    it("is not made by " .. verb, function()
      local done = box:run { verb, "last", "--state", "typo" }
      assert.is_true(done.code ~= 0)
      assert.matches("there is no state directory", done.err)
      assert.is_false(box:exists "typo")
    end)
  end
end)

describe("an adviser", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local failing = 'f.a = flow.shell { "exit 3" }'

  it("is asked when the failure is recorded, and holds nobody up", function()
    assert.equal(1, run(script(failing, [[{ on_breakpoint = function(bp)
      local ask = "sqlite3 " .. os.getenv "FLOWLUA_STATE" .. "/flowlua.db "
      os.execute(ask .. "'select status from v_run' > seen; "
        .. ask .. "'begin immediate; rollback' && echo free >> seen")
      return { skip = { "a" } }
    end }]])).code)
    assert.equal("failed\nfree\n", box:read "seen")
    assert.equal("1", box:sql_value "select count(*) from v_proposal")
  end)

  it("that never comes to an end is given up", function()
    local done = run(script(failing, "{ on_breakpoint = function() while true do end end }"))
    assert.equal(1, done.code)
    assert.matches("flow%.lua:%d+: %w+%.on_breakpoint: took longer than 5 s", done.out .. done.err)
  end)
end)
