-- Patches that reach within: single items of maps, nodes of sub-flows, and so on down.
local support = require "tests.feature.support"

local box

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

local function trail()
  local text = box:read("trail") or ""
  box:write("trail", "")
  return (text:gsub("%s+$", ""))
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

-- Notes "name" or "name:k" in `trail` when a node's code really runs.
local head = [[
  local flow = require "flow"
  local function note(ctx, name)
    local file = io.open("trail", "a")
    local k = ""
    for _, value in pairs(ctx.params) do k = type(value) == "number" and ":" .. value or k end
    file:write(name, k, " ")
    file:close()
  end
]]

-- inner: a -> b -> c, where b fails for 2; `each` is a map of calls of it, `one` a call with 2.
local calls = head .. [[
  local inner = flow.dag("inner", { params = { k = 1 } })
  inner.a = flow.lua { run = function(ctx) note(ctx, "a") return { v = ctx.params.k } end }
  inner.b = flow.lua { after = "a", run = function(ctx)
    note(ctx, "b")
    local at = ctx:restored()
    ctx:checkpoint("b was here")
    if ctx.inputs.a.v == 2 then error "two" end
    return { w = ctx.inputs.a.v * 10, at = at or "none" }
  end }
  inner.c = flow.lua { after = "b", run = function(ctx) note(ctx, "c") return ctx.inputs.b end }
  local f = flow.dag("f", { params = { ks = { 1, 2, 3 } } })
  f.each = flow.map { over = function(ctx) return ctx.params.ks end,
    node = flow.call { flow = inner, params = function(ctx) return { k = ctx.item } end } }
  f.one = flow.call { flow = "inner", params = { k = 2 } }
  f.last = flow.lua { after = { "each", "one" }, run = function(ctx) note(ctx, "last")
    return { each = ctx.inputs.each, one = ctx.inputs.one } end }
  return { f, inner }
]]

-- A map of four items of which the second and the last fail until their files are there.
local items = head .. [[
  local f = flow.dag("f")
  f.each = flow.map { over = { "p", "q", "r", "s" }, run = function(ctx, item)
    note(ctx, item)
    local at = ctx:restored()
    ctx:checkpoint(item)
    if (item == "q" or item == "s") and not io.open(ctx:path(item)) then error "not there" end
    return item .. (at and "+" .. at or "")
  end }
  f.last = flow.lua { after = "each", run = function(ctx) note(ctx, "last")
    return { all = ctx.inputs.each } end }
  return f
]]

local function break_run(text)
  box:write("flow.lua", text)
  assert.equal(1, box:run({ "flow.lua", "--flow", "f", "--no-progress", "--quiet" }).code)
  trail()
end

describe("a patch that names items of a map", function()
  before_each(function()
    box = support.box()
    break_run(items)
  end)
  after_each(function() box:close() end)

  it("skips one, gives another its output, and runs no other", function()
    resumes("--skip", "each[2]", "--succeed", 'each[4]="by hand"')
    assert.equal("last", trail())
    assert.same({ "p", support.null, "r", "by hand" }, outputs("last").all)
    assert.equal("1", box:sql_value("select synthetic from v_attempt where name='each[4]' "
      .. "order by number desc limit 1"))
    assert.equal("skipped", box:sql_value "select status from v_node where name='each[2]'")
  end)

  it("runs one that has succeeded again, and with + all that depends on its map", function()
    box:write("q", "")
    box:write("s", "")
    resumes()
    assert.equal("last", (trail():match "last$"))
    assert.equal("each:run last:keep each[1]:run each[2]:keep each[3]:keep each[4]:keep",
      plan("--rerun", "each[1]"))
    resumes("--rerun", "each[1]")
    assert.equal("p", trail())
    resumes("--rerun", "each[3]+")
    assert.equal("r last", trail())
  end)

  it("gives one that failed its checkpoint, and a rerun only when asked", function()
    box:write("q", "")
    resumes("--checkpoint", 'each[2]="edited"', "--skip", "each[4]")
    assert.same({ "p", "q+edited", "r", support.null }, outputs("last").all)
    resumes("--rerun", "each[2]+")
    assert.same({ "p", "q", "r", support.null }, outputs("last").all)
    resumes("--rerun", "each[2]+", "--keep-checkpoint")
    assert.equal("q+q", outputs("last").all[2])
  end)

  it("is refused where there is no such item, or its map is named, too", function()
    refused("map 'each' has 4 items: there is no 'each[5]'", "--rerun", "each[5]")
    refused('node "last" is no map', "--rerun", "last[1]")
    refused('"each[1]" is an item of "each": say it of the map', "--keep", "each[1]")
    refused('"each[1]" is an item of "each": its options are those of the map', "--option",
      "each[1].retries=2")
    refused("node 'each' is in `skip`, and its item 'each[2]' is named: choose one", "--skip",
      "each", "--rerun", "each[2]")
    refused('"each[1]/..." names a node of a sub-flow, and node "each[1]" calls none', "--rerun",
      "each[1]/a")
  end)
end)

describe("a patch that names nodes of sub-flows", function()
  before_each(function()
    box = support.box()
    break_run(calls)
  end)
  after_each(function() box:close() end)

  it("tells in its plan what becomes of each of them", function()
    assert.equal("each:run one:run one/a:keep one/b:run one/c:run last:run each[1]:keep "
      .. "each[2]:run each[2]/a:keep each[2]/b:run each[2]/c:run each[3]:keep", plan())
    assert.equal("each:run one:run one/a:run one/b:run one/c:run last:run each[1]:keep "
      .. "each[2]:run each[2]/a:keep each[2]/b:skip each[2]/c:skip each[3]:keep",
      plan("--rerun", "one/a+", "--skip", "each[2]/b"))
    assert.equal("", trail())
  end)

  it("mends a wrong output of a finished node, and what had succeeded is not run again", function()
    resumes("--output", "one/a.v=5", "--output", "each[2]/a.v=7", "--reason", "typed wrong")
    local ran = trail()
    assert.equal(2, select(2, ran:gsub("b:2", "")), ran)
    assert.equal(2, select(2, ran:gsub("c:2", "")), ran)
    assert.is_nil(ran:find("a:", 1, true))
    assert.equal(50, outputs("last").one.c.w)
    assert.equal(70, outputs("last").each[2].c.w)
    assert.equal("b was here", outputs("last").one.c.at)
    -- The runs of the sub-flows say themselves how they were mended.
    local id = box:sql_value "select id from v_run where flow='inner' and parent_node='one'"
    local shown = box:run({ "show", id }).out
    assert.matches("a%.v=5 %(typed wrong%)", shown)
    assert.matches("one/a%.v=5", box:run({ "show", "last" }).out)
  end)

  it("runs a node of a sub-flow that had succeeded again, and with + what is behind the call",
    function()
      resumes("--output", "one/a.v=4", "--output", "each[2]/a.v=7")
      trail()
      resumes("--rerun", "each[3]/c")
      assert.equal("c:3", trail())
      resumes("--rerun", "each[1]/b+")
      assert.equal("b:1 c:1 last", trail())
      assert.equal("0", box:sql_value("select count(*) from v_attempt where name='a' "
        .. "and number > 1 and not synthetic"))
    end)

  it("drops a checkpoint, skips, and marks as succeeded", function()
    resumes("--drop-checkpoint", "one/b", "--output", "one/a.v=4", "--succeed",
      'each[2]/b={"w":9,"at":"hand"}')
    assert.same({ w = 40, at = "none" }, outputs("last").one.c)
    assert.same({ w = 9, at = "hand" }, outputs("last").each[2].c)
  end)

  it("gives nodes of one call other options, and keeps them", function()
    box:close()
    box = support.box()
    break_run [[
      local flow = require "flow"
      local inner = flow.dag("inner")
      inner.a = flow.shell { "echo a >> trail" }
      inner.b = flow.shell { after = "a", "test -n \"$GO\" && echo b$GO >> trail" }
      local f = flow.dag("f")
      f.one = flow.call { flow = inner }
      f.two = flow.call { flow = inner }
      return f
    ]]
    assert.equal(1, resume("--option", "one/b.env.GO=1").code)
    assert.equal("b1", trail())
    assert.equal(1, resume().code)
    resumes("--option", "two/b.env.GO=2")
    assert.equal("b2", trail())
    resumes("--rerun", "one/b")
    assert.equal("b1", trail())
    assert.equal(0, box:run({ "replay", "last", "--quiet", "--no-progress" }).code)
    assert.equal("a a b1 b2", table.concat((function(words)
      for word in trail():gmatch "%S+" do words[#words + 1] = word end
      table.sort(words)
      return words
    end) {}, " "))
  end)

  it("is the same in a file, in Lua and in JSON, and as a proposal", function()
    box:write("p.lua", 'return { outputs = { ["one/a"] = { v = 5 } }, skip = { "each[2]/b" } }')
    box:write("p.json", '{"outputs":{"one/a":{"v":5}},"skip":["each[2]/b"]}')
    local wanted = plan("--output", "one/a.v=5", "--skip", "each[2]/b")
    assert.equal(wanted, plan("--patch", "p.lua"))
    assert.equal(wanted, plan("--patch", "p.json"))
    box:close()
    box = support.box()
    break_run((calls:gsub('flow.dag%("f", {', '%0 on_breakpoint = function() return { '
      .. 'outputs = { ["one/a"] = { v = 5 }, ["each[2]/a"] = { v = 7 } } } end,')))
    resumes("--accept", "1")
    assert.equal(70, outputs("last").each[2].c.w)
  end)

  it("needs no word to keep a finished node that changed when it gives it outputs by hand",
    function()
      box:write("flow.lua", (calls:gsub("v = ctx.params.k }", "v = ctx.params.k + 40 }")))
      assert.matches("one/a:keep", plan("--script", "flow.lua", "--output", "one/a.v=4", "--output",
        "each[2]/a.v=7"))
      resumes("--script", "flow.lua", "--output", "one/a.v=4", "--output", "each[2]/a.v=7")
    end)

  it("is refused where it leads nowhere, and changes nothing", function()
    refused('flow "inner" has no node "zz"', "--rerun", "one/zz")
    refused('flow "f" has no node "on"; did you mean "one"?', "--rerun", "on/a")
    refused('"last/..." names a node of a sub-flow, and node "last" calls none', "--rerun",
      "last/x")
    refused("map 'each' has 3 items: there is no 'each[7]'", "--rerun", "each[7]/a")
    refused("node 'one' is in `skip`, and nodes of its sub-flow are named: choose one", "--skip",
      "one", "--rerun", "one/a")
    refused("patch.outputs.b: node 'b' has not succeeded", "--output", "one/b.w=3")
    refused("patch.options.a.retries: expected an integer from 0 to 100", "--option",
      "one/a.retries=x")
    local id = box:sql_value "select id from v_run where flow='inner' and parent_node='one'"
    local done = resume(id, "--rerun", "a")
    assert.equal(2, done.code)
    assert.matches("its name there for a node of this one is one/NODE", done.err, 1, true)
    assert.equal("", trail())
  end)

  it("is refused where the sub-flow has not started", function()
    box:close()
    box = support.box()
    break_run((calls:gsub('f.one = flow.call { flow', 'f.no = flow.shell { "false" }\n'
      .. 'f.one = flow.call { after = "no", flow')))
    refused("node 'one' has not started its sub-flow yet", "--skip", "one/a")
  end)

  it("says of a mended script which nodes within changed", function()
    box:write("flow.lua", (calls:gsub("v = ctx.params.k }", "v = ctx.params.k + 40 }")))
    refused("node 'one/a' has succeeded and its definition changed: say --rerun one/a+ to run it "
      .. "and what depends on it again, or --keep one/a to keep its result", "--script", "flow.lua")
    refused("node 'each[2]/a' has succeeded", "--script", "flow.lua", "--keep", "one/a")
    resumes("--script", "flow.lua", "--output", "one/a.v=4", "--rerun", "each[2]/a+",
      "--keep-checkpoint")
    assert.equal(40, outputs("last").one.c.w)
    assert.equal(420, outputs("last").each[2].c.w)
  end)

  it("knows a node of a sub-flow by another name", function()
    local text = calls:gsub("inner%.a =", "inner.first ="):gsub('after = "a"', 'after = "first"')
    text = text:gsub("inputs%.a", "inputs.first")
    box:write("flow.lua", text)
    resumes("--script", "flow.lua", "--rename", "one/a=first", "--rename", "each[2]/a=first",
      "--keep", "*", "--output", "one/first.v=4", "--output", "each[2]/first.v=6")
    assert.is_nil(trail():find("a:", 1, true))
    assert.equal(40, outputs("last").one.c.w)
  end)
end)

describe("a patch of sub-flows within sub-flows", function()
  before_each(function()
    box = support.box()
    break_run(head .. [[
      local deep = flow.dag("deep")
      deep.x = flow.lua { run = function(ctx) note(ctx, "x") return { n = 1 } end }
      deep.y = flow.lua { after = "x", run = function(ctx) note(ctx, "y")
        if ctx.inputs.x.n < 5 then error "small" end return ctx.inputs.x end }
      local mid = flow.dag("mid")
      mid.m = flow.lua { run = function(ctx) note(ctx, "m") end }
      mid.go = flow.call { after = "m", flow = deep }
      local f = flow.dag("f")
      f.mid = flow.call { flow = mid }
      return f
    ]])
  end)
  after_each(function() box:close() end)

  it("reaches all the way down", function()
    assert.equal("mid:run mid/m:keep mid/go:run mid/go/x:keep mid/go/y:run",
      plan("--output", "mid/go/x.n=6"))
    resumes("--output", "mid/go/x.n=6")
    assert.equal("y", trail())
    assert.equal(6, outputs("mid").go.y.n)
    local id = box:sql_value "select id from v_run where flow='deep'"
    assert.matches("its name there for a node of this one is mid/go/NODE",
      resume(id, "--rerun", "x").err, 1, true)
  end)
end)

describe("an engine killed after it recorded a patch of a sub-flow", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("leaves it to the next resume, which asks for nothing again", function()
    break_run [[
      local flow = require "flow"
      local inner = flow.dag("inner")
      inner.a = flow.shell { "echo a >> trail; echo '{\"n\":1}'", capture = "json" }
      inner.b = flow.shell { after = "a",
        "echo b{{ inputs.a.n }} >> trail; test {{ inputs.a.n }} = 5" }
      local f = flow.dag("f")
      f.first = flow.shell { "test -e wait && { : > waiting; sleep 30; }; echo first >> trail" }
      f.go = flow.call { after = "first", flow = inner }
      return f
    ]]
    box:write("wait", "")
    local engine = box:start { "resume", "--rerun", "first", "--output", "go/a.n=5", "--quiet",
      "--no-progress" }
    support.wait_until("the first node waits", function() return box:exists "waiting" end)
    engine:kill(support.SIGKILL)
    engine:wait()
    assert.equal(0, box:run({ "cancel", "last", "--kill" }).code)
    box:sh "rm wait"
    resumes()
    assert.equal("first\nb5", trail())
  end)
end)
