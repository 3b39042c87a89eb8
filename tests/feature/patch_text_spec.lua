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
