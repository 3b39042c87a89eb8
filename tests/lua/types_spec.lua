-- The built-in node types and how one's own are defined.
local host = require "flow.host"
local json = require "json"
local script = require "support.script"

local function load(files, use, options)
  if type(files) == "string" then files = { ["pipeline.lua"] = script.flow(files, options) } end
  return assert(script.load(files, nil, use))
end

describe("flow.map", function()
  teardown(script.clean)

  local function expand(body, facts)
    local items
    load(body, function(loaded)
      local ok, result = pcall(host.expand, loaded.flows[1], 0, nil, script.backend(facts))
      items = ok and result or { error = result }
    end)
    return items
  end

  it("goes over a list, a function or a template", function()
    assert.same({ "1", '{"a":2}' },
      expand "f.m = flow.map { over = { 1, { a = 2 } }, run = print }")
    assert.same({ "1", "2" },
      expand "f.m = flow.map { over = function(ctx) return { 1, 2 } end, run = print }")
    assert.same({ '"x"', '"y"' },
      expand('f.m = flow.map { after = "e", over = "{{inputs.e.list}}", run = print }\n'
        .. 'f.e = flow.shell "true"',
      { inputs = { e = { list = { "x", "y" } } } }))
    assert.same({}, expand "f.m = flow.map { over = {}, run = print }")
  end)

  it("puts items together in chunks", function()
    assert.same({ "[1,2]", "[3,4]", "[5]" },
      expand "f.m = flow.map { over = { 1, 2, 3, 4, 5 }, chunk = 2, run = print }")
  end)

  it("renders templates in its list", function()
    assert.same({ '"2023-11-14"' },
      expand 'f.m = flow.map { over = { "{{run.date}}" }, run = print }')
  end)

  it("refuses what is no list", function()
    assert.equal("pipeline.lua:3: f.m.over: expected a list to go over, got 5",
      expand("f.m = flow.map { over = function() return 5 end, run = print }").error)
    assert.equal("pipeline.lua:3: f.m.over: expected a list to go over, got one with a hole: [2] "
      .. "is nil (flow.null keeps its place)",
      expand("f.m = flow.map { over = function() return { 1, nil, 3 } end, run = print }").error)
    assert.equal('pipeline.lua:3: f.m.over: expected a list, a function or a string, got a table',
      expand('f.m = flow.map { over = "{{params}}", run = print }', { params = { a = 1 } }).error)
    assert.equal("pipeline.lua:3: f.m.over: item 2: a function cannot be stored",
      expand("f.m = flow.map { over = function() return { 1, print } end, run = print }").error)
    assert.equal("pipeline.lua:3: boom",
      expand("f.m = flow.map { over = function() error 'boom' end, run = print }").error)
  end)

  it("runs its function with each item", function()
    load("f.m = flow.map { over = { 1 }, run = function(ctx, item, index) return { item, index, "
      .. "ctx.item } end }",
      function(loaded)
        local result = script.run(loaded, "m", { item = { x = 1 }, index = 3 }, true)
        assert.equal('[{"x":1},3,{"x":1}]', result.outputs)
      end)
  end)

  it("runs an inner node with each item", function()
    load('f.m = flow.map { over = { 1 }, env = { A = "1", B = "1" },\n'
      .. '  node = flow.shell { "prog {{item.x}} {{index}}", env = { B = "{{item.x}}" }, capture '
        .. '= "text" } }',
      function(loaded)
        local spec = script.command(loaded, "m", { item = { x = "a b" }, index = 3 }, true)
        assert.same({ "/bin/sh", "-e", "-c", "prog 'a b' 3" }, spec.argv)
        assert.same({ "A=1", "B=a b" }, spec.env)
        assert.equal('"x"', host.collect(loaded.flows[1], 0, true, nil, "x\n", nil))
      end)
  end)

  it("says what fails in an inner node", function()
    load('f.m = flow.map { over = { 1 }, node = flow.shell { "prog {{item.y}}" } }',
      function(loaded)
      local ok, message = pcall(script.command, loaded, "m", { item = { x = 1 }, index = 1 }, true)
      assert.is_false(ok)
      assert.equal("pipeline.lua:3: f.m.text: template {{ item.y }}: unknown name item.y", message)
    end)
  end)
end)

describe("flow.branch", function()
  teardown(script.clean)

  local function choose(what)
    local result
    load("f.b = flow.branch { choose = function(ctx) return " .. what .. " end }\n"
      .. 'f.x = flow.shell { "true", after = "b" }\nf.y = flow.shell { "true", after = "b" }\n'
      .. 'f.z = flow.shell { "true" }', function(loaded) result = script.run(loaded, "b") end)
    return result
  end

  it("names the children that go on", function()
    assert.equal('["x"]', choose("'x'").outputs)
    assert.equal('["y","x"]', choose("{ 'y', 'x' }").outputs)
    assert.equal("[]", choose("nil").outputs)
    assert.equal("[]", choose("{}").outputs)
  end)

  it("refuses what is no child", function()
    assert.equal('pipeline.lua:3: f.b.choose: expected the name of a node after it, got "z"',
      choose("'z'").error:match "^[^\n]*")
    assert.equal('pipeline.lua:3: f.b.choose: expected the name of a node after it, got "xx"; did '
      .. 'you mean "x"?',
      choose("'xx'").error:match "^[^\n]*")
    assert.equal("pipeline.lua:3: f.b.choose: expected the name of a node after it, got 5",
      choose("5").error:match "^[^\n]*")
  end)
end)

describe("flow.call", function()
  teardown(script.clean)

  local sub = 'local flow = require "flow"\nlocal g = flow.dag("g", { params = { '
    .. 'n = { "integer" }, d = { "string" } } })\ng.x = flow.shell { "true" }\n'
    .. 'local f = flow.dag("f", { params = { which = "" } })\n'

  it("runs a flow given as an object, which becomes one of the script", function()
    local loaded = load({ ["pipeline.lua"] = sub
      .. 'f.c = flow.call { flow = g, params = { n = 1, d = "{{run.date}}" } }\nreturn f' },
        function(loaded)
        assert.same({ "g", '{"d":"2023-11-14","n":1}' },
          { host.call(loaded.flows[1], 0, nil, script.backend()) })
      end)
    assert.equal(2, #loaded.flows)
    assert.equal(1, loaded.returned)
    assert.equal("g", loaded.flows[2].key)
  end)

  it("runs a flow given by its key, with params from a function", function()
    load({ ["pipeline.lua"] = sub
      .. 'f.c = flow.call { flow = "g", params = function(ctx) return { n = ctx.vars.n } end }\n'
      .. "return { f, g }" }, function(loaded)
        assert.same({ "g", '{"n":4}' }, { host.call(loaded.flows[1], 0, nil,
          script.backend { vars = { n = 4 } }) })
      end)
  end)

  it("takes no params when none are given", function()
    load({ ["pipeline.lua"] = sub .. "f.c = flow.call { g }\nreturn f" }, function(loaded)
      assert.same({ "g", "{}" }, { host.call(loaded.flows[1], 0, nil, script.backend()) })
    end)
  end)

  it("refuses a flow that the script does not have", function()
    load({ ["pipeline.lua"] = sub
      .. 'f.c = flow.call { flow = "{{params.which}}" }\nreturn { f, g }' }, function(loaded)
      local ok, message = pcall(host.call, loaded.flows[1], 0, nil,
        script.backend { params = { which = "gg" } })
      assert.is_false(ok)
      assert.equal('pipeline.lua:4: f.c.flow: unknown flow "gg"; did you mean "g"?',
        (message:gsub("^pipeline.lua:%d+", "pipeline.lua:4")))
    end)
  end)
end)

describe("flow.sql", function()
  teardown(script.clean)

  local function run(body, facts, options)
    local result
    load({ ["pipeline.lua"] = script.flow(body, options) },
      function(loaded) result = script.run(loaded, "a", facts) end)
    return result
  end

  it("binds values and gives the last rows", function()
    local body = [[f.a = flow.sql { db = "days.db",
      "create table days (day text, n integer); create index i on days (day)",
      "insert into days values ({{run.date}}, {{vars.n}}), ({{params.text}}, {{params.null}})",
      "select * from days where day in ({{params.list}}) order by n",
    }]]
    local text = "'); drop table days; --"
    local result = run(body, { vars = { n = 5 },
      params = { text = text, null = json.null, list = { text, "2023-11-14" } } },
      "{ params = { text = '', null = flow.null, list = {} } }")
    assert.equal("succeeded", result.status, result.error)
    assert.same({ columns = { "day", "n" },
      rows = { { day = text }, { day = "2023-11-14", n = 5 } }, changes = 2 },
      json.decode(result.outputs))
  end)

  it("undoes all of it when something fails", function()
    load([[f.a = flow.sql { db = "x.db", "create table t (a)", "insert into t values (1)", "oops" }
f.b = flow.sql { db = "x.db", "select count(*) as n from sqlite_master" }]], function(loaded)
        local result = script.run(loaded, "a")
        assert.equal("failed", result.status)
        assert.truthy(result.error:find('near "oops": syntax error', 1, true), result.error)
        assert.same({ { n = 0 } }, json.decode(script.run(loaded, "b").outputs).rows)
      end)
  end)

  it("can do without a transaction", function()
    local result = run 'f.a = flow.sql { db = ":memory:", "vacuum", transaction = false }'
    assert.equal("succeeded", result.status, result.error)
    assert.equal('{"changes":0}', result.outputs)
  end)

  it("needs a file to read from", function()
    assert.equal("failed",
      run('f.a = flow.sql { db = "none.db", "select 1", readonly = true }').status)
  end)

  it("never runs inline", function()
    local _, message = script.load(script.flow('f.a = flow.sql { db = "x", "select 1", inline = '
      .. 'true }'))
    assert.equal("pipeline.lua:3: f.a.inline: a node of type sql cannot run inline", message)
  end)
end)

describe("a node type of one's own", function()
  teardown(script.clean)

  local function define(fields)
    return ('local flow = require "flow"\nreturn flow.node_type { %s }'):format(fields)
  end

  it("is found by its file, with its parameters checked and filled in", function()
    local files = {
      ["nodes/thumb.lua"] = define [[name = "thumb",
        params = { src = { "string", required = true }, size = { "integer", default = 64, min = 1 },
          wait = "duration", list = { "list", of = "string" } },
        run = function(ctx, p) return p end]],
      ["pipeline.lua"] = script.flow([[
f.a = flow.thumb { src = "a-{{run.date}}", wait = "2m", size = "{{params.n}}",
  list = { "{{params.n}}", "b" } }
f.b = flow.thumb { src = "b" }]], "{ params = { n = 0 } }"),
    }
    load(files, function(loaded)
      assert.same({ src = "a-2023-11-14", size = 12, wait = 120, list = { "12", "b" } },
        json.decode(script.run(loaded, "a", { params = { n = 12 } }).outputs))
      assert.same({ src = "b", size = 64 }, json.decode(script.run(loaded, "b").outputs))
      local result = script.run(loaded, "a", { params = { n = 0 } })
      assert.equal("failed", result.status)
      assert.equal("pipeline.lua:3: f.a.size: expected a positive integer, got 0", result.error)
    end)
  end)

  it("may be defined in the script", function()
    load({ ["pipeline.lua"] = [[
local flow = require "flow"
flow.node_type { name = "hello", params = { who = { "string", positional = true } },
  run = function(ctx, p) return "hello " .. p.who end }
local f = flow.dag "f"
f.a = flow.hello { "you" }
return f]] }, function(loaded) assert.equal('"hello you"', script.run(loaded, "a").outputs) end)
  end)

  it("continues from a checkpoint with `resume`, and sees a cancel", function()
    local files = {
      ["nodes/work.lua"] = define [[name = "work",
        run = function() return "run" end,
        resume = function(ctx, p, checkpoint) return "resume " .. checkpoint.at end,
        cancel = function(ctx, p) ctx:log "cancelled" end]],
      ["pipeline.lua"] = script.flow "f.a = flow.work {}",
    }
    load(files, function(loaded)
      assert.equal('"run"', script.run(loaded, "a").outputs)
      assert.equal('"resume 5"', script.run(loaded, "a", { restored = '{"at":5}' }).outputs)
      local b = script.backend()
      host.cancel(loaded.flows[1], 0, false, nil, b)
      assert.same({ "cancelled" }, b.logs)
    end)
  end)

  it("yields the outputs of a child that it returns", function()
    load({ ["nodes/t.lua"] = define [[name = "t",
        run = function(ctx) return ctx:exec { "x", capture = "text" } end]],
      ["pipeline.lua"] = script.flow "f.a = flow.t {}" },
      function(loaded) assert.equal('"out"', script.run(loaded, "a").outputs) end)
  end)

  it("may be a map, a branch or a call", function()
    local files = {
      ["nodes/each.lua"] = define [[name = "each",
        params = { list = { "list", positional = true } },
        expand = function(ctx, p) return p.list end,
        run = function(ctx, p) return ctx.item * 2 + #p.list end]],
      ["nodes/pick.lua"] = define [[name = "pick", params = { it = "string" },
        choose = function(ctx, p) return p.it end]],
      ["nodes/sub.lua"] = define [[name = "sub",
        call = function(ctx, p) return "f", { a = 1 } end]],
      ["pipeline.lua"] = script.flow [[
f.m = flow.each { { 5, 6 } }
f.p = flow.pick { it = "s" }
f.s = flow.sub { after = "p" }]],
    }
    load(files, function(loaded)
      assert.same({ "5", "6" }, host.expand(loaded.flows[1], 0, nil, script.backend()))
      assert.equal("12", script.run(loaded, "m", { item = 5, index = 1 }, true).outputs)
      assert.equal('["s"]', script.run(loaded, "p").outputs)
      assert.same({ "f", '{"a":1}' }, { host.call(loaded.flows[1], 2, nil, script.backend()) })
    end)
  end)

  it("of C keeps its options for C", function()
    local loaded
    assert(script.load(script.flow('f.a = flow.resize { after = {}, width = 3, name = '
      .. '"{{run.date}}", list = { 1 } }'),
      { natives = { "resize" } }, function(l)
        loaded = l
        assert.equal('{"list":[1],"name":"2023-11-14","width":3}',
          host.params_text(l.flows[1], 0, false, 1, script.backend()))
        assert.equal('{"list":[1],"name":"{{run.date}}","width":3}',
          host.params_text(l.flows[1], 0))
      end))
    assert.equal("resize", loaded.flows[1].graph:type(0))
  end)

  local bad = {
    { "without a name", "run = print",
      "nodes/x.lua:2: flow.node_type.name: expected a name, got nothing" },
    { "with another name than its file", 'name = "y", run = print',
      "pipeline.lua:3: nodes/x.lua: defines the node type \"y\": its name must be \"x\", as the "
        .. "file's" },
    { "without anything to do", 'name = "x"',
      "nodes/x.lua:2: flow.node_type.x: expected one of `run`, `command`, `expand`, `choose`, "
        .. "`call`" },
    { "with two things to do", 'name = "x", run = print, command = print',
      "nodes/x.lua:2: flow.node_type.x: has both `command` and `run`" },
    { "with an unknown field", 'name = "x", run = print, parms = {}',
      'nodes/x.lua:2: flow.node_type.x.parms: unknown option; did you mean "params"?' },
    { "with a parameter of no type", 'name = "x", run = print, params = { a = { "strin" } }',
      'nodes/x.lua:2: flow.node_type.x.params.a: unknown type "strin"; did you mean "string"?' },
    { "with a parameter that every node has",
      'name = "x", run = print, params = { timeout = "string" }',
      "nodes/x.lua:2: flow.node_type.x.params.timeout: every node of this type takes an option of "
        .. "that name" },
    { "with two positional parameters",
      'name = "x", run = print, params = { a = { "string", positional = true }, b = { "string", '
        .. 'positional = true } }',
      'nodes/x.lua:2: flow.node_type.x.params.b: positional already: "a"' },
    { "with a name that flow has", 'name = "dag", run = print', nil },
  }
  for _, row in ipairs(bad) do
    it(row[1] .. " is refused", function()
      if not row[3] then
        local _, message = script.load(define(row[2]))
        return assert.equal("pipeline.lua:2: flow.node_type.dag: flow.dag is taken", message)
      end
      local _, message = script.load { ["nodes/x.lua"] = define(row[2]),
        ["pipeline.lua"] = script.flow "f.a = flow.x {}" }
      assert.equal(row[3], message)
    end)
  end

  it("is looked for by name only", function()
    local _, message = script.load(script.flow 'f.a = flow["../x"] {}')
    assert.equal("pipeline.lua:3: flow.../x: unknown node type; there is branch, call, exec, lua, "
      .. "map, shell, sql", message)
    _, message = script.load { ["nodes/x.lua"] = "return 5",
      ["pipeline.lua"] = script.flow "f.a = flow.x {}" }
    assert.equal("pipeline.lua:3: nodes/x.lua: expected it to return flow.node_type{...}, got 5",
      message)
  end)

  it("may replace a built-in one", function()
    load({ ["nodes/shell.lua"] = define 'name = "shell", run = function() return "mine" end',
      ["pipeline.lua"] = script.flow "f.a = flow.shell {}" },
      function(loaded) assert.equal('"mine"', script.run(loaded, "a").outputs) end)
  end)

  it("cannot be set into flow", function()
    local _, message = script.load 'local flow = require "flow"\nflow.x = 1'
    assert.equal("pipeline.lua:2: flow.x cannot be set; define a node type with flow.node_type",
      message)
  end)
end)
