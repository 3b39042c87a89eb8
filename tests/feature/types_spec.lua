-- What the built-in node types and the hooks do: map, branch, call, sql.
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

describe("map", function()
  each_test()

  it("makes an item of each entry and collects their outputs in order", function()
    local n = succeeds [[
      f.list = flow.lua { run = function() return { items = { "c", "a", "b" } } end }
      f.each = flow.map { after = "list", over = function(ctx) return ctx.inputs.list.items end,
        limit = 2,
        run = function(ctx, item, index) return { item .. index } end }
      f.join = flow.lua { after = "each", run = function(ctx)
        local all = {}
        for i, o in ipairs(ctx.inputs.each) do all[i] = o[1] end
        return { all = table.concat(all, " ") }
      end }
    ]]
    assert.equal("c1 a2 b3", n.node.join.outputs.all)
    for i = 1, 3 do assert.equal("succeeded", n.node["each[" .. i .. "]"].status) end
  end)

  it("gives what it has to who goes on when items fail, and does so in a replay and a resume",
    function()
    local body = [[
      f.warn = flow.map { over = { 10, 20, 30 }, allow_failure = true,
        run = function(ctx, x) if x == 20 then error "twenty" end return x end }
      f.use = flow.lua { after = "warn", inline = %s, run = function(ctx)
        local got = ctx.inputs.warn
        assert(#got == 3 and got[2] == flow.null)
        if %s then error "later" end
        return { got[1], got[3] }
      end }
      f.hard = flow.map { over = { 1, 2 }, run = function(ctx, x)
        if x == 1 then error "one" end return { x } end }
      f.gather = flow.exec { after = "hard", trigger = "all_done", "cat", "/dev/stdin",
        stdin = "{{inputs.hard}}", capture = "json" }
    ]]
    for _, inline in ipairs { "true", "false" } do
      local n = fails(body:format(inline, "false"))
      assert.same({ 10, 30 }, n.node.use.outputs)
      assert.same({ support.null, { 2 } }, n.node.gather.outputs)
      assert.same({ 10, support.null, 30 }, n.node.warn.outputs)
      assert.equal("failed", n.node.warn.status)
    end
    box:run { "replay", "last" }
    assert.same({ support.null, { 2 } }, box:show().node.gather.outputs)
    local context = support.decode(box:run({ "context", "last", "use", "--json" }).out)
    assert.same({ warn = { 10, support.null, 30 } }, context.attempts[1].inputs or context.inputs)
    fails(body:format("false", "not io.open 'go'"))
    box:write("go", "")
    box:run { "resume", "--skip", "hard" }
    assert.same({ 10, 30 }, box:show().node.use.outputs)
  end)

  it("runs a node of any type, and knows item and index in its templates", function()
    succeeds([[
      f.each = flow.map { over = "{{params.names}}",
        node = flow.shell { "echo {{index}}:{{item}} > out.{{index}}" } }
    ]], [[{ params = { names = { "x y", "z" } } }]])
    assert.equal("1:x y\n", box:read("out.1"))
    assert.equal("2:z\n", box:read("out.2"))
  end)

  it("chunks, and takes an empty list", function()
    local n = succeeds [[
      f.chunked = flow.map { over = { 1, 2, 3, 4, 5 }, chunk = 2, run = function(ctx, items)
        return { #items } end }
      f.empty = flow.map { over = {}, run = function() error("never") end }
      f.after = flow.lua { after = { "chunked", "empty" }, run = function(ctx)
        return { #ctx.inputs.chunked, #ctx.inputs.empty, ctx.inputs.chunked[3][1] }
      end }
    ]]
    assert.same({ 3, 0, 1 }, n.node.after.outputs)
  end)

  it("retries and fails item by item", function()
    local n = fails [[
      f.each = flow.map { over = { "ok", "flaky", "bad" }, retries = 1, retry_delay = 0,
        run = function(ctx, item)
        if item == "bad" or item == "flaky" and ctx.run.attempt == 1 then error(item) end
        return item
      end }
      f.after = flow.shell { "true", after = "each" }
    ]]
    assert.same({ 1, 2, 2 }, { n.node["each[1]"].attempts, n.node["each[2]"].attempts,
      n.node["each[3]"].attempts })
    assert.equal("failed", n.node["each[3]"].status)
    assert.equal("failed", n.node.each.status)
    assert.equal("upstream_failed", n.node.after.status)
  end)
end)

describe("branch", function()
  each_test()

  it("omits the children that were not chosen", function()
    succeeds([[
      f.pick = flow.branch { choose = function(ctx) return ctx.params.way end }
      f.left = flow.shell { "touch left", after = "pick" }
      f.right = flow.shell { "touch right", after = "pick" }
      f.beyond = flow.shell { "true", after = "right" }
      f.join = flow.shell { "touch join", after = { "left", "right" }, trigger = "none_failed" }
    ]], [[{ params = { way = "left" } }]])
    local states = box:states()
    assert.same({ "succeeded", "succeeded", "omitted", "succeeded" },
      { states.pick, states.left, states.right, states.join })
    assert.is_true(states.beyond == "omitted" or states.beyond == "skipped", states.beyond)
    assert.is_false(box:exists("right"))
  end)

  it("refuses a name that is no child", function()
    local n = fails [[
      f.pick = flow.branch { choose = function() return "nowhere" end }
      f.left = flow.shell { "true", after = "pick" }
    ]]
    assert.matches("nowhere", n.node.pick.error)
  end)
end)

describe("call", function()
  each_test()
  local function text(inner)
    return ([[
      local flow = require "flow"
      local sub = flow.dag("sub", { params = { n = 0 } })
      sub.twice = flow.lua { run = function(ctx) %s return { n = ctx.params.n * 2 } end }
      local main = flow.dag("main")
      main.go = flow.call { flow = sub, params = { n = 21 } }
      main.after = flow.shell { "true", after = "go" }
      return { main, sub }
    ]]):format(inner)
  end

  it("runs a flow as a run of its own, linked", function()
    local done = box:script(text "", "--flow", "main")
    assert.equal(0, done.code, done.out .. done.err)
    local rows = box:sql("select flow, status, \"trigger\", parent_node from v_run order by flow")
    assert.same({ { "main", "succeeded", "manual", "" }, { "sub", "succeeded", "flow", "go" } },
      rows)
    local id = box:sql_value("select id from v_run where flow='sub'")
    assert.same({ n = 42 }, box:show(id).node.twice.outputs)
  end)

  it("fails with its run", function()
    local done = box:script(text "error('inner')", "--flow", "main")
    assert.equal(1, done.code)
    local id = box:sql_value("select id from v_run where flow='main'")
    local n = box:show(id).node
    assert.same({ "failed", "upstream_failed" }, { n.go.status, n.after.status })
    assert.matches("inner", n.go.error)
  end)
end)

describe("hooks", function()
  each_test()
  local hooks = [[{ on_success = flow.shell { "echo success >> trail" },
    on_failure = flow.shell { "echo failure >> trail" },
    on_cancel = flow.shell { "echo cancel >> trail" },
      on_exit = flow.shell { "echo exit >> trail" } }]]

  it("run at the end of a run that succeeded", function()
    succeeds([[f.a = flow.shell { "echo node >> trail" }]], hooks)
    assert.equal("node success exit", trail())
  end)

  it("run at the end of a run that failed", function()
    fails([[f.a = flow.shell { "false" }]], hooks)
    assert.equal("failure exit", trail())
  end)

  it("are told what failed, in a worker, inline and as a process", function()
    local told = [[flow.lua { inline = %s, run = function(ctx)
      return { ctx.run.failed, ctx.run.error, ctx.run.status } end }]]
    local n = fails([[
      f.warm = flow.lua { run = function() end }
      f.a = flow.shell { after = "warm", "exit 3" }
      f.m = flow.map { after = "warm", over = { 1, 2 }, run = function(ctx, x)
        if x == 2 then error "two" end end }
      f.allowed = flow.shell { after = "warm", "exit 4", allow_failure = true }
    ]], ([[{ on_failure = %s, on_exit = %s }]]):format(told:format "true", told:format "false"))
    for _, hook in ipairs { "on_failure", "on_exit" } do
      local failed, error, status = unpack(n.node[hook].outputs)
      local by_name = {}
      for _, one in ipairs(failed) do by_name[one.node] = one end
      assert.equal(3, #failed)
      assert.same({ "exited with code 3", 3, 1 }, { by_name.a.error, by_name.a.exit_code,
        by_name.a.attempt })
      assert.matches("two$", by_name["m[2]"].error)
      assert.equal("1 of 2 items failed, the first is 'm[2]'", by_name.m.error)
      assert.matches("^flowlua logs %S+ 'm%[2%]'$", by_name["m[2]"].log)
      assert.matches("^node '[am]': ", error)
      assert.equal("failed", status)
    end
    n = succeeds([[f.a = flow.shell "true"]], ([[{ on_exit = %s }]])
      :format((told:format "false"):gsub("ctx.run.error,", "ctx.run.error == nil,")))
    assert.same({ {}, true, "succeeded" }, n.node.on_exit.outputs)
  end)

  it("run at the end of a run that was cancelled", function()
    box:write("flow.lua", script([[f.a = flow.shell { "touch begun; sleep 60", grace = "1s" }]],
      hooks))
    local process = box:start { "flow.lua" }
    support.wait_until("the node", function() return box:exists("begun") end)
    local id = box:sql_value("select id from v_run")
    local done = box:run { "cancel", id }
    assert.equal(0, done.code, done.err)
    assert.equal(1, process:wait().code)
    assert.equal("cancelled", box:show(id).run.status)
    assert.equal("cancel exit", trail())
  end)
end)

describe("sql", function()
  each_test()

  it("binds templates as parameters and gives rows", function()
    local n = succeeds([[
      f.make = flow.sql { db = "t.db", "create table t (a, b)",
        "insert into t values ({{params.evil}}, 2)" }
      f.read = flow.sql { after = "make", db = "t.db", "select a, b from t" }
    ]], [[{ params = { evil = "x'); drop table t; --" } }]])
    assert.same({ { a = "x'); drop table t; --", b = 2 } }, n.node.read.outputs.rows)
    assert.equal(1, n.node.make.outputs.changes)
  end)

  it("is one transaction: a statement that fails leaves nothing", function()
    fails [[
      f.make = flow.sql { db = "t.db", "create table t (a unique)" }
      f.bad = flow.sql { after = "make", db = "t.db", "insert into t values (1)",
        "insert into t values (1)" }
    ]]
    assert.equal("0\n", box:sh("sqlite3 t.db 'select count(*) from t'").out)
    assert.matches("UNIQUE", box:show().node.bad.error)
  end)
end)
