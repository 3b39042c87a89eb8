-- diff, blame and why: runs held against each other, who set what, what changed.
local support = require "tests.feature.support"

local box

local function each_test()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)
end

local function script(body, options)
  return ('local flow = require "flow"\nlocal f = flow.dag("f", %s)\n%s\nreturn f\n')
    :format(options or "{}", body)
end

local function run(body, options, ...) return box:script(script(body, options), ...) end

-- Runs it; returns the run's id.
local function succeeds(body, options, ...)
  local done = run(body, options, ...)
  assert.equal(0, done.code, done.out .. done.err)
  return box:show().run.id
end

local function asked(code, args)
  local words = {}
  for i, word in ipairs(args) do words[i] = word end
  words[#words + 1] = "--json"
  local done = box:run(words)
  assert.equal(code, done.code, done.out .. done.err)
  return support.decode(done.out)
end

local function by_name(list)
  local named = {}
  for _, entry in ipairs(list) do named[entry.name] = entry end
  return named
end

local function keys(changes)
  local list = {}
  for i, change in ipairs(changes) do list[i] = change.key end
  return table.concat(list, " ")
end

describe("diff", function()
  each_test()

  local body = [[
    f.a = flow.lua { run = function(ctx)
      ctx.vars.k = ctx.params.n
      return { rows = { 1, ctx.params.n }, same = "s", deep = { x = { y = ctx.params.n } } } end }
    f.b = flow.lua { after = "a", run = function(ctx) return { n = #ctx.inputs.a.rows } end }
    f.c = flow.shell { after = "b", capture = "text", "echo {{vars.k}}" }
  ]]
  local options = "{ params = { n = 1 } }"

  it("of a run with itself, and of two runs with the same results, is 0", function()
    local a = succeeds(body, options, "--at", "2026-01-01")
    local b = succeeds(body, options, "--at", "2026-01-02")
    assert.is_true(asked(0, { "diff", a, a }).equal)
    local diff = asked(0, { "diff", a, b })
    assert.is_true(diff.equal)
    assert.is_false(diff.time.equal)
    assert.is_true(diff.script.equal)
    assert.same({ equal = 3, different = 0, skipped = 0, only_a = 0, only_b = 0 }, diff.counts)
    assert.matches("results equal: 3 equal", box:run({ "diff", a, b }).out, 1, true)
  end)

  it("shows what differs by key: params, inputs, outputs, vars", function()
    local a = succeeds(body, options)
    local b = succeeds(body, options, "--param", "n=2")
    local diff = asked(1, { "diff", a, b })
    assert.same({ { key = "n", a = 1, b = 2 } }, diff.params.changes)
    local nodes = by_name(diff.nodes)
    assert.equal("different", nodes.a.result)
    assert.same({ { key = "deep.x.y", a = 1, b = 2 }, { key = "rows[2]", a = 1, b = 2 } },
      nodes.a.outputs.changes)
    assert.matches("^sha256:%x+$", nodes.a.outputs.a)
    assert.same({ { key = "k", a = 1, b = 2 } }, nodes.a.vars.changes)
    -- b gives the same from other inputs, but passes other vars on.
    assert.is_true(nodes.b.outputs.equal)
    assert.same({ "vars", "inputs", "vars_in" }, nodes.b.differs)
    assert.equal("a", nodes.b.inputs.parents[1].name)
    assert.equal("deep.x.y rows[2]", keys(nodes.b.inputs.parents[1].outputs.changes))
    local text = box:run({ "diff", a, b }).out
    assert.matches("  params.n: 1 -> 2\n", text, 1, true)
    assert.matches("\nb\n  inputs.a.deep.x.y: 1 -> 2\n", text, 1, true)
    assert.matches('\nc\n.*  outputs: "1" %-> "2"\n', text)
    assert.matches("results different: 3 different\n$", text)
  end)

  it("shows nodes of one run only, other scripts, statuses and attempts", function()
    box:write("part.lua", "return 1\n")
    local a = succeeds [[
      require "part"
      f.x = flow.lua { run = function() return 1 end }
      f.y = flow.shell { "true" }
    ]]
    box:write("part.lua", "return 2\n")
    local done = run [[
      require "part"
      f.z = flow.lua { run = function() return 1 end }
      f.x = flow.lua { run = function() return 1 end }
      f.y = flow.shell { after = "x", retries = 1, retry_delay = 0, "exit 3" }
    ]]
    assert.equal(1, done.code)
    local diff = asked(1, { "diff", a, "last" })
    local nodes = by_name(diff.nodes)
    assert.equal("equal", nodes.x.result)
    assert.equal("only_b", nodes.z.result)
    assert.same({ a = "succeeded", b = "failed" }, nodes.y.status)
    assert.same({ a = 1, b = 2 }, nodes.y.attempts)
    assert.same({ "status", "vars", "inputs", "attempts", "after" }, nodes.y.differs)
    assert.equal(2, #diff.script.files)
    assert.equal("part.lua", diff.script.files[2].path)
    assert.equal("changed", diff.script.files[2].status)
    assert.equal("@@ -1,1 +1,1 @@\n-return 1\n+return 2\n", diff.script.files[2].diff)
    assert.same({ 1, 1 }, { diff.script.files[2].added, diff.script.files[2].removed })
    assert.matches("only in B", box:run({ "diff", a, "last" }).out, 1, true)
  end)

  it("cuts long values and many keys", function()
    local long = [[f.a = flow.lua { run = function(ctx)
      local t = {}
      for i = 1, 50 do t["k" .. i] = ctx.params.s .. i end
      return t end }]]
    local a = succeeds(long, '{ params = { s = "" } }', "--param", "s=" .. ("é"):rep(300))
    local b = succeeds(long, '{ params = { s = "" } }', "--param", "s=b")
    local outputs = asked(1, { "diff", a, b }).nodes[1].outputs
    assert.equal(20, #outputs.changes)
    assert.equal(30, outputs.more)
    assert.is_true(#outputs.changes[1].a < 200)
    assert.equal(602 + #outputs.changes[1].key:sub(2), outputs.changes[1].a_size)
    assert.matches("30 more differ", box:run({ "diff", a, b }).out, 1, true)
  end)

  it("compares items by name, and results that were set by hand", function()
    local map = [[
      f.m = flow.map { over = function(ctx) return ctx.params.list end,
        run = function(ctx) return ctx.item * 2 end }
      f.e = flow.shell { after = "m", "test -e gate" }
    ]]
    local list = "{ params = { list = { 1, 2, 3 } } }"
    box:write("gate", "")
    local a = succeeds(map, list)
    local b = succeeds(map, list, "--param", "list=[1,5]")
    local nodes = by_name(asked(1, { "diff", a, b }).nodes)
    assert.equal("equal", nodes["m[1]"].result)
    assert.same({ { key = "", a = 4, b = 10 } }, nodes["m[2]"].outputs.changes)
    assert.equal("only_a", nodes["m[3]"].result)
    local done = box:run { "resume", b, "--rerun", "e", "--output", "m[2]=7", "--no-progress" }
    if done.code == 0 then
      nodes = by_name(asked(1, { "diff", a, b }).nodes)
      assert.is_true(nodes["m[2]"].by_hand.b)
    end
  end)

  it("knows by digest what a lost text was", function()
    local big = [[f.a = flow.lua { run = function(ctx)
      return { big = ("x"):rep(400000) .. ctx.params.n } end }]]
    local a = succeeds(big, "{ params = { n = 1 } }")
    local b = succeeds(big, "{ params = { n = 1 } }", "--param", "n=2")
    assert.equal(0, box:sh("rm -f '" .. box.state .. "'/blobs/*").code)
    local outputs = asked(1, { "diff", a, b }).nodes[1].outputs
    assert.is_false(outputs.equal)
    assert.equal(support.null, outputs.changes)
    assert.matches("their texts are gone", box:run({ "diff", a, b }).out, 1, true)
    assert.is_true(asked(0, { "diff", a, a }).equal)
  end)

  it("refuses what it cannot compare", function()
    local a = succeeds(body, options)
    local done = box:run { "diff", a, "nothing" }
    assert.equal(2, done.code)
    done = box:run { "diff", a }
    assert.equal(2, done.code)
    assert.matches("repeats no other", done.err, 1, true)
  end)
end)

describe("context", function()
  each_test()

  it("has every value of every attempt by digest", function()
    local done = run([[
      f.a = flow.lua { run = function() return { n = 1 } end }
      f.b = flow.lua { after = "a", retries = 1, retry_delay = 0, run = function(ctx)
        ctx:checkpoint { at = ctx.run.attempt }
        if ctx.run.attempt == 1 then error "first" end
        ctx.vars.k = ctx:random()
        return ctx.inputs.a end }
    ]], "{ params = { p = 1 }, vars = { v = 2 } }")
    assert.equal(0, done.code, done.out)
    local context = asked(0, { "context", "last", "b" })
    local a = asked(0, { "context", "last", "a" })
    assert.equal(2, #context.attempts)
    local first, second = context.attempts[1].digests, context.attempts[2].digests
    assert.same(second, context.digests)
    assert.equal(a.digests.outputs, first.inputs.a)
    -- It gave what it got: the same text has the same digest.
    assert.equal(first.inputs.a, second.outputs)
    assert.equal(support.null, first.outputs)
    assert.equal(a.digests.vars, first.vars)
    assert.not_equal(second.vars, second.vars_out)
    assert.equal(support.null, first.checkpoint) -- the newest one is the second attempt's
    assert.matches("^sha256:%x+$", second.checkpoint)
    assert.matches("^sha256:%x+$", second.recorded)
    assert.same({ at = 2 }, context.checkpoint)
    -- The digest is that of the canonical text.
    local sum = box:sh("printf '{\"p\":1}' | sha256sum").out:match "^%x+"
    assert.equal("sha256:" .. sum, first.params)
    local text = box:run({ "context", "last", "b" }).out
    assert.matches("attempts", text, 1, true)
    assert.matches("sha256:", text, 1, true)
  end)
end)

describe("blame", function()
  each_test()

  local function how(blame)
    local list = {}
    for i, s in ipairs(blame.history) do
      local function show(v)
        if v == nil then return "-" end
        return v == support.null and "null" or tostring(v)
      end
      list[i] = ("%s %s %s->%s"):format(s.how, s.node or "", show(s.from), show(s.to))
    end
    return list
  end

  it("names flow, nodes and patches that set a var, in order", function()
    local done = run([[
      f.a = flow.lua { run = function(ctx) ctx.vars.k = ctx.vars.k + 1 end }
      f.quiet = flow.lua { after = "a", run = function(ctx) ctx.vars.other = 1 end }
      f.b = flow.lua { after = "quiet", run = function(ctx)
        if ctx.vars.k < 10 then error "small" end
        ctx.vars.k = nil end }
      f.c = flow.lua { after = "b", run = function(ctx) ctx.vars.k = "again" end }
    ]], "{ vars = { k = 1 } }")
    assert.equal(1, done.code)
    done = box:run { "resume", "last", "--set", "k=20", "--reason", "too small", "--no-progress" }
    assert.equal(0, done.code, done.out .. done.err)
    local blame = asked(0, { "blame", "last", "k" })
    assert.equal("var", blame.kind)
    assert.same({ "flow  -->1", "node a 1->2", "patch  2->20", "node b 20->null",
      "node c null->again" }, how(blame))
    assert.equal("too small", blame.history[3].reason)
    assert.equal(2, blame.history[4].epoch)
    local text = box:run({ "blame", "last", "k" }).out
    assert.matches("1 -> 2  a\n", text, 1, true)
    assert.matches("a resume, epoch 2", text, 1, true)
    assert.matches(": too small\n", text, 1, true)
  end)

  it("names items and merge functions", function()
    succeeds [[
      f.l = flow.lua { run = function(ctx) ctx.vars.k = 1 end }
      f.r = flow.lua { run = function(ctx) ctx.vars.k = 2 end }
      f.join = flow.lua { after = { "l", "r" }, run = function() end,
        merge = function(key, values) return values[1] + values[2] end }
      f.m = flow.map { after = "join", over = { 5 }, run = function(ctx) ctx.vars.k = ctx.item end }
    ]]
    local list = how(asked(0, { "blame", "last", "k" }))
    table.sort(list)
    -- Children of a map inherit from the map, and it from its items.
    assert.same({ "merge join -->3", "node l -->1", "node m 3->5", "node m[1] 3->5",
      "node r -->2" }, list)
  end)

  it("of an output names its node's attempts, and hands", function()
    local done = run [[
      f["a.b"] = flow.lua { run = function() return { rows = 3, other = 1 } end }
      f.c = flow.lua { after = "a.b", run = function(ctx)
        if ctx.inputs["a.b"].rows < 5 then error "few" end end }
    ]]
    assert.equal(1, done.code)
    done = box:run { "resume", "last", "--output", "a.b.rows=7", "--reason", "counted anew",
      "--no-progress" }
    assert.equal(0, done.code, done.out .. done.err)
    local blame = asked(0, { "blame", "last", "a.b.rows" })
    assert.equal("output", blame.kind)
    assert.same({ "node a.b -->3", "by_hand a.b 3->7" }, how(blame))
    assert.equal("counted anew", blame.history[2].reason)
    assert.same({ "node a.b -->1" }, how(asked(0, { "blame", "last", "a.b.other" })))
  end)

  it("of what nothing set says so", function()
    succeeds [[f.a = flow.lua { run = function() return { k = 1 } end }]]
    local done = box:run { "blame", "last", "nothing" }
    assert.equal(2, done.code)
    assert.matches("ever set the var 'nothing'", done.err, 1, true)
    done = box:run { "blame", "last", "a.x" }
    assert.equal(2, done.code)
  end)
end)

describe("why", function()
  each_test()

  local body = [[
    f.a = flow.lua { run = function(ctx) return { rows = ctx.params.n, same = 1 } end }
    f.other = flow.shell { "true" }
    f.b = flow.shell { after = "a", capture = "text", env = { MODE = "x" },
      "echo {{inputs.a.rows}}" }
  ]]
  local options = "{ params = { n = 1 } }"

  it("says that nothing changed when nothing did", function()
    succeeds(body, options, "--at", "2026-01-01")
    succeeds(body, options, "--at", "2026-01-01")
    local why = asked(0, { "why", "last", "b" })
    assert.same({}, why.changed)
    assert.is_true(why.result.equal)
    assert.matches("nothing it depends on changed", box:run({ "why", "last", "b" }).out, 1, true)
  end)

  it("names params, inputs by key, and time", function()
    local first = succeeds(body, options, "--at", "2026-01-01")
    succeeds(body, options, "--at", "2026-01-02", "--param", "n=2")
    local why = asked(0, { "why", "last", "b" })
    assert.equal(first, why.against.run)
    assert.same({ "params", "inputs", "time" }, why.changed)
    assert.equal("rows", keys(why.inputs.parents[1].outputs.changes))
    assert.is_false(why.result.equal)
    local text = box:run({ "why", "last", "b" }).out
    assert.matches("  inputs.a.rows: 1 -> 2\n", text, 1, true)
    assert.matches("changed: params, inputs, time\n", text, 1, true)
  end)

  it("names the options of a definition that changed, and no others", function()
    succeeds(body, options, "--at", "2026-01-01")
    succeeds(body:gsub('MODE = "x"', 'MODE = "y"'):gsub('flow.shell { "true"', '-- moved\n'
      .. 'flow.shell { "false || true"'), options, "--at", "2026-01-01")
    local why = asked(0, { "why", "last", "b" })
    assert.same({ "definition" }, why.changed)
    assert.same({ "env" }, why.definition.options)
    -- a stands a line lower and does the same.
    assert.same({}, asked(0, { "why", "last", "a" }).changed)
    assert.is_false(asked(0, { "why", "last", "a" }).script.equal)
    assert.same({ "[1]" }, asked(0, { "why", "last", "other" }).definition.options)
    assert.matches("the script changed elsewhere", box:run({ "why", "last", "a" }).out, 1, true)
  end)

  it("takes the newest earlier run in which the node succeeded, or the one it is told", function()
    local first = succeeds(body, options, "--at", "2026-01-01")
    local failing = body:gsub('"echo', '"exit 1; echo')
    assert.equal(1, run(failing, options, "--at", "2026-01-01").code)
    local failed = box:show().run.id
    local why = asked(0, { "why", failed, "b" })
    assert.equal(first, why.against.run)
    assert.same({ a = "succeeded", b = "failed" }, why.result.status)
    assert.same({ "definition" }, why.changed)
    succeeds(body, options, "--at", "2026-01-01")
    assert.equal(first, asked(0, { "why", "last", "b" }).against.run)
    assert.equal(failed, asked(0, { "why", "last", "b", "--against", failed }).against.run)
  end)

  it("knows items, and says what it cannot hold against anything", function()
    local map = [[f.m = flow.map { over = function(ctx) return ctx.params.list end,
      run = function(ctx) return ctx.item end }]]
    local list = "{ params = { list = { 1, 2 } } }"
    succeeds(map, list, "--at", "2026-01-01")
    local done = box:run { "why", "last", "m[2]" }
    assert.equal(2, done.code)
    assert.matches("has succeeded in no run of flow 'f' before", done.err, 1, true)
    succeeds(map, list, "--at", "2026-01-01", "--param", "list=[1,3]")
    assert.same({ "params", "item" }, asked(0, { "why", "last", "m[2]" }).changed)
    assert.equal(2, box:run({ "why", "last", "nobody" }).code)
  end)
end)
