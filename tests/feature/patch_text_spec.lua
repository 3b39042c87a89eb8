-- What is typed as a flag of a resume: which node it is for, and what type it has.
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
  assert.matches(says, done.err, 1, true)
  assert.equal(epochs, box:sql_value "select count(*) from v_epoch")
end

local function outputs(name)
  return support.decode(box:run({ "context", "last", name, "--json" }).out).outputs
end

local function params() return support.decode(box:sql_value "select params from v_run") end

describe("a parameter of a resume", function()
  before_each(function()
    box = support.box()
    assert.equal(1, run(script('f.a = flow.shell { "test -e ok" }',
      '{ params = { p = 3, q = "x" } }')).code)
  end)
  after_each(function() box:close() end)

  it("may be one that only the mended script has", function()
    box:write("n.lua", script('f.a = flow.shell { "true" }',
      '{ params = { p = 3, q = "x", r = { "integer", required = true } } }'))
    refused("parameter r: expected an integer, got nothing", "--script", "n.lua")
    refused("parameter r: expected an integer", "--script", "n.lua", "--param", 'r="x"')
    resumes("--script", "n.lua", "--param", "r=9")
    assert.same({ p = 3, q = "x", r = 9 }, params())
  end)

  it("has the type that the mended script gives it, which a file may name", function()
    box:write("n.lua", script('f.a = flow.shell { "true" }',
      '{ params = { p = { "string", required = true }, q = "x" } }'))
    refused("parameter p: expected a string, got 3", "--script", "n.lua")
    box:write("patch.json", ('{"script":"%s/n.lua"}'):format(box.path))
    resumes("--patch", "patch.json", "--param", "p=5")
    assert.same({ p = "5", q = "x" }, params())
  end)

  it("may be given alone where another is required", function()
    assert.equal(1, run(script('f.a = flow.shell { "test -e ok" }',
      '{ params = { k = { "integer", required = true }, q = "x" } }'), "--param", "k=1").code)
    box:write("ok", "")
    resumes("--param", "q=y")
    assert.same({ k = 1, q = "y" },
      support.decode(box:sql_value "select params from v_run order by created_at desc limit 1"))
  end)
end)

describe("an option of a resume", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("is text where only a text fits", function()
    box:write("flow.lua", [[local flow = require "flow"
      local say = flow.node_type { name = "say", params = {
        text = { "string", positional = true }, many = { "string|list", default = "" },
        count = { "integer", default = 0 } },
        run = function(ctx, p)
          if p.text == "no" then error "no" end
          return { text = p.text, many = p.many, count = p.count } end }
      local f = flow.dag("f")
      f.c = say { "no" }
      f.d = flow.shell { "echo {{ inputs.c.text }} $V", after = "c", capture = "text" }
      return f]])
    local function again(...)
      assert.equal(1, box:run({ "flow.lua", "--no-progress", "--quiet" }).code)
      resumes(...)
    end
    again("--option", "c.text=true", "--option", "d.env.V=1.10")
    assert.equal("true", outputs("c").text)
    assert.equal("true 1.10", outputs "d")
    again("--option", "c.text=7", "--option", "c.many=[1,2]", "--option", "c.count=3")
    assert.same({ text = "7", many = { 1, 2 }, count = 3 }, outputs "c")
    again("--option", "c.text={{ run.flow }}", "--option", "c.many=true",
      "--option", "c.count={{ 1 + 1 }}")
    assert.same({ text = "f", many = "true", count = 2 }, outputs "c")
    again("--option", "d.when={{ 1 == 2 }}", "--option", 'c.text={"a":', "--option", "c.count=null")
    assert.same({ text = '{"a":', many = "", count = 0 }, outputs "c")
    assert.equal("skipped", box:states("last").d)
  end)

  it("is refused where its type does not fit", function()
    assert.equal(1, run(script 'f.a = flow.shell { "exit 1", retries = 0 }').code)
    refused("retries: expected an integer", "--option", "a.retries=many")
    refused("--option: [1,: ", "--option", "a.ok_codes=[1,")
  end)
end)

describe("an output given to a resume", function()
  before_each(function()
    box = support.box()
    assert.equal(1, run(script [[
      f.a = flow.lua { inline = true, run = function()
        return { deep = { k = 1, l = { m = 2 } }, ["x.y"] = 3, x = { y = 4 }, n = 5 } end }
      f.b = flow.lua { inline = true, after = "a", run = function(ctx)
        if ctx.inputs.a.n == 5 then error "five" end
        return ctx.inputs.a end }]]).code)
  end)
  after_each(function() box:close() end)

  it("goes into maps at its dots, unless there is a key of that name", function()
    resumes("--output", "a.deep.k=7", "--output", "a.deep.l.new=8", "--output", "a.x.y=9",
      "--output", "a.n.o=10", "--output", "a.n=6")
    assert.same({ deep = { k = 7, l = { m = 2, new = 8 } }, ["x.y"] = 9, x = { y = 4 }, n = 6,
      ["n.o"] = 10 }, outputs "b")
  end)

  it("does so in a file", function()
    box:write("patch.json", '{"outputs":{"a":{"deep.l.m":null,"deep.k":{"z":1},"n":0}}}')
    resumes("--patch", "patch.json", "--output", "a.deep.k.z=2")
    local got = outputs "b"
    assert.same({ k = { z = 2 }, l = { m = support.null } }, got.deep)
    assert.equal(5, got["x.y"] + 2)
  end)
end)

describe("a checkpoint given to a resume", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("is refused for a map and for a call, which have none", function()
    box:write("flow.lua", [[local flow = require "flow"
      local sub = flow.dag "sub"
      sub.s = flow.shell { "true" }
      local f = flow.dag "f"
      f.m = flow.map { over = { 1, 2 }, inline = true, run = function(ctx, i)
        if i == 2 then error "two" end end }
      f.c = flow.call { flow = sub }
      f.e = flow.map { over = { 1 }, node = flow.call { flow = sub } }
      return { f, sub }]])
    assert.equal(1, box:run({ "run", "flow.lua", "--flow", "f", "--quiet" }).code)
    for _, flag in ipairs { "--checkpoint=m=1", "--drop-checkpoint=m" } do
      refused('patch.checkpoints.m: "m" is a map: name its items, as "m[1]"', flag)
    end
    refused('patch.checkpoints.c: "c" runs a sub-flow: name its nodes, as "c/NODE"',
      "--checkpoint", "c=1")
    refused('patch.checkpoints.e[1]: "e[1]" runs a sub-flow: name its nodes, as "e[1]/NODE"',
      "--drop-checkpoint", "e[1]")
    assert.equal(1, resume("--checkpoint", "m[2]=1").code)
  end)
end)

describe("a patch that is no regular file", function()
  before_each(function()
    box = support.box()
    assert.equal(1, run(script 'f.a = flow.shell { "exit {{ vars.code or 1 }}" }').code)
  end)
  after_each(function() box:close() end)

  for _, name in ipairs { "-", "/dev/stdin" } do
    it("is read from " .. name, function()
      local options = { stdin = '{"vars":{"code":0}}' }
      local done = box:run({ "resume", "--patch", name, "--plan", "--json" }, options)
      assert.equal(0, done.code, done.err)
      assert.same({ code = 0 }, support.decode(done.out).patch.vars)
      done = box:run({ "resume", "--patch", name, "--quiet" }, options)
      assert.equal(0, done.code, done.err)
    end)
  end

  it("is read from a pipe, in the background and for a copy, too", function()
    local command = support.binary .. " resume --no-progress --patch <(echo '%s') %s"
    local function sh(patch, more)
      return box:sh("exec bash -c \"" .. command:format(patch, more) .. "\"")
    end
    local done = sh("return { vars = { code = 0 } }", "--as-new")
    assert.equal(0, done.code, done.err)
    done = sh("return { vars = { code = 2 }, rerun = { [[a]] } }", "--detach")
    assert.equal(0, done.code, done.err)
    support.wait_until("the run's end",
      function() return box:show("last").run.status == "failed" end)
    done = sh("{", "")
    assert.equal(2, done.code)
    assert.matches("/dev/fd/%d+: ", done.err)
  end)

  it("is taken with a run in a file", function()
    assert.equal(0, box:run({ "breakpoint", "export", "last", "run.fl" }).code)
    local done = box:run({ "resume", "run.fl", "--state", "other", "--patch", "-", "--quiet" },
      { stdin = '{"vars":{"code":0}}' })
    assert.equal(0, done.code, done.err)
  end)
end)

describe("an empty text in a resume", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("is refused", function()
    assert.equal(1, run(script 'f.a = flow.shell { "exit 1" }').code)
    for _, option in ipairs { "rerun", "skip", "keep", "drop-checkpoint", "from", "author",
      "reason", "script", "patch" } do
      refused(("--%s: "):format(option), "--" .. option, "")
    end
    refused("--rerun: ", "--rerun", "a,")
  end)
end)

describe("a resume of a run that has succeeded", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("says which changes would make it go on", function()
    assert.equal(0, run(script 'f.a = flow.shell { "true" }').code)
    assert.equal(0, resume().code)
    for _, flag in ipairs { "--succeed=a", "--skip=a", "--set=x=1" } do
      refused("has succeeded: nothing to resume; a rerun of nodes, other outputs, options or a "
        .. "mended script would make it go on (--rerun, --output, --option, --script)", flag)
    end
  end)
end)
