-- What a script with a mistake is told: rows of scripts and the messages they get.
local script = require "support.script"

-- Each row: what it shows, the body of a flow "f" (its first line is line 3), the message.
local bodies = {
  { "a wrong type",
    'f.load = flow.shell { "true", retries = "two" }',
    'pipeline.lua:3: f.load.retries: expected an integer from 0 to 100, got "two"' },
  { "an unknown option, the nearest suggested",
    'f.a = flow.shell { "true", retires = 2 }',
    'pipeline.lua:3: f.a.retires: unknown option; did you mean "retries"?' },
  { "an unknown option far from any",
    'f.a = flow.shell { "true", zzzzzz = 2 }',
    "pipeline.lua:3: f.a.zzzzzz: unknown option" },
  { "the line of the constructor, not of the option",
    'f.a = flow.shell {\n  "true",\n  timeout = "soon",\n}',
    'pipeline.lua:3: f.a.timeout: expected a duration such as 1.5, "500ms", "10s", "5m", "2h" or '
      .. '"1d", got "soon"' },
  { "a negative duration",
    'f.a = flow.shell { "true", timeout = -1 }',
    'pipeline.lua:3: f.a.timeout: expected a duration such as 1.5, "500ms", "10s", "5m", "2h" or '
      .. '"1d", got -1' },
  { "a bad size",
    'f.a = flow.shell { "true", limits = { memory = "12Q" } }',
    'pipeline.lua:3: f.a.limits.memory: expected a size such as 4096, "64K", "1M" or "2G", '
      .. 'got "12Q"' },
  { "an unknown limit",
    'f.a = flow.shell { "true", limits = { memroy = 1 } }',
    'pipeline.lua:3: f.a.limits.memroy: unknown limit; did you mean "memory"?' },
  { "an unknown trigger",
    'f.a = flow.shell { "true", trigger = "all_sucess" }',
    'pipeline.lua:3: f.a.trigger: expected "all_success", "all_done", "all_failed", '
      .. '"one_success", "one_failed" or "none_failed", got "all_sucess"; did you mean '
      .. '"all_success"?' },
  { "an unknown dependency",
    'f.extract = flow.shell { "true" }\nf.load = flow.shell { "true", after = "extarct" }',
    'pipeline.lua:4: f.load.after: unknown node "extarct"; did you mean "extract"?' },
  { "an unknown dependency in a list",
    'f.a = flow.shell { "true" }\nf.b = flow.shell { "true", after = { "a", "c1" } }',
    'pipeline.lua:4: f.b.after[2]: unknown node "c1"' },
  { "after a name of the flow that is not there",
    'f.publish = flow.shell { "true", after = f.bild }\nf.build = flow.shell { "true" }',
    'pipeline.lua:3: f.bild: no node of this name yet; did you mean "build"? (declare it above, or '
      .. 'write after = "build")' },
  { "after a node that is declared below",
    'f.publish = flow.shell { "true",\n  after = f.build }\nf.build = flow.shell { "true" }',
    "pipeline.lua:4: f.build: no node of this name yet: it is declared at pipeline.lua:5 (declare "
      .. 'it above, or write after = "build")' },
  { "a name of the flow in a list, and an error that follows from it",
    'f.a = flow.shell { "true" }\nlocal list = { f.a, f.bb, f.a }\nlocal x = f.bb.text',
    "pipeline.lua:4: f.bb: no node of this name\npipeline.lua:5: f.bb: no node of this name" },
  { "after something that is no name",
    'f.a = flow.shell { "true", after = 7 }',
    "pipeline.lua:3: f.a.after: expected a name, a node or a list of them, got 7" },
  { "after a node that has no name",
    'local x = flow.shell { "true" }\nf.a = flow.shell { "true", after = x }',
    "pipeline.lua:4: f.a.after: expected a node of this flow, got one that was never assigned "
      .. "to it" },
  { "after a node of another flow",
    'local g = flow.dag("g")\ng.x = flow.shell { "1" }\nf.a = flow.shell { "1", after = g.x }',
    "pipeline.lua:5: f.a.after: expected a node of this flow, got g.x" },
  { "a cycle",
    'f.a = flow.shell { "true", after = "c" }\nf.b = flow.shell { "true", after = "a" }\n'
      .. 'f.c = flow.shell { "true", after = "b" }',
    "pipeline.lua:3: f.a.after: nodes depend on each other in a cycle: a -> b -> c -> a" },
  { "a node after itself",
    'f.z = flow.shell { "true" }\nf.a = flow.shell { "true", after = "a" }',
    "pipeline.lua:4: f.a.after: nodes depend on each other in a cycle: a -> a" },
  { "a flow without nodes", "", "pipeline.lua:2: f: expected at least one node, got none" },
  { "a value for what it cannot be quoted for",
    'f.a = flow.shell { "print({{run.id}})", shell = "python3 -" }',
    'pipeline.lua:3: f.a.text: a value cannot be quoted for "python3 -": give it by `env`, or its '
      .. "bare text by {{{ }}}" },
  { "an empty command", 'f.a = flow.shell { "  " }',
    "pipeline.lua:3: f.a.text: expected a command, got an empty text" },
  { "no command", "f.a = flow.shell { retries = 1 }",
    "pipeline.lua:3: f.a.text: expected a string as positional entry, got nothing" },
  { "two commands", 'f.a = flow.shell { "a", "b" }',
    "pipeline.lua:3: f.a.text: expected one positional entry, got 2" },
  { "a command given twice", 'f.a = flow.shell { "a", text = "b" }',
    "pipeline.lua:3: f.a.text: given twice: as `text` and as positional entry" },
  { "a program without a name", 'f.a = flow.exec { "" }',
    "pipeline.lua:3: f.a.argv: expected a program, got nothing" },
  { "a word that is no text", 'f.a = flow.exec { "ls", true }',
    "pipeline.lua:3: f.a.argv[2]: expected a string or number, got true" },
  { "a hole in the words", 'f.a = flow.exec { "ls", nil, "x" }',
    "pipeline.lua:3: f.a[2]: expected positional entries without gaps, got nothing" },
  { "an unknown node type", 'f.a = flow.shel { "true" }',
    'pipeline.lua:3: flow.shel: unknown node type; did you mean "shell"?' },
  { "a constructor without a table", "f.a = flow.shell(5)",
    "pipeline.lua:3: flow.shell: expected a table of options, got 5" },
  { "a name twice", 'f.a = flow.shell { "1" }\nf.a = flow.shell { "2" }',
    "pipeline.lua:4: f.a: a node of this name exists already, see pipeline.lua:3" },
  { "a bad name", 'f["a b"] = flow.shell { "1" }',
    'pipeline.lua:3: f["a b"]: expected a name: a letter or _, then letters, digits, _ . - '
      .. "(at most 128)" },
  { "a number as name", 'f[1] = flow.shell { "1" }',
    "pipeline.lua:3: f[1]: expected a name: a letter or _, then letters, digits, _ . - (at most "
      .. "128)" },
  { "something that is no node", "f.a = { 1 }",
    "pipeline.lua:3: f.a: expected a node such as flow.shell{...}, got a list of 1" },
  { "a function where a node belongs", "f.a = function() end",
    "pipeline.lua:3: f.a: expected a node such as flow.shell{...}, got a function; write "
      .. "flow.lua{ run = function(ctx) ... end }" },
  { "one node under two names", 'local n = flow.shell { "1" }\nf.a = n\nf.b = n',
    'pipeline.lua:5: f.b: this node is "a" already: make another one' },
  { "the helper's line, not its caller's",
    'local function make(n)\n  return flow.shell { "true", retries = n }\nend\nf.a = make(1)\n'
      .. "f.b = make(-1)",
    "pipeline.lua:4: f.b.retries: expected an integer from 0 to 100, got -1" },
  { "a template that does not compile", 'f.a = flow.shell { "echo {{ run.date + }}" }',
    'pipeline.lua:3: f.a.text: template "{{ run.date + }}": unexpected symbol near the end' },
  { "a template without an end", 'f.a = flow.shell { "echo {{ run.date" }',
    'pipeline.lua:3: f.a.text: template "{{ run.date": no }} closes it' },
  { "quotes around a bound parameter",
    'f.a = flow.sql { db = "x", "select \'{{run.date}}\'" }',
    "pipeline.lua:3: f.a.statements[1]: template \"{{run.date}}'\": remove the quotes around "
      .. "{{run.date}}: in sql a value is a bound parameter" },
  { "raw text in sql", 'f.a = flow.sql { db = "x", "select {{{ vars.x }}}" }',
    'pipeline.lua:3: f.a.statements[1]: template "{{{ vars.x }}}": in sql a value is always a '
      .. 'bound '
      .. "parameter: write {{vars.x}}" },
  { "a condition without braces", 'f.a = flow.shell { "true", when = "vars.x > 1" }',
    "pipeline.lua:3: f.a.when: expected a function of ctx or a {{ }} expression, "
      .. 'got "vars.x > 1"' },
  { "a process inline", 'f.a = flow.shell { "true", inline = true }',
    "pipeline.lua:3: f.a.inline: a node of type shell cannot run inline" },
  { "a bad pattern", 'f.a = flow.shell { "true", retry_on = "(" }',
    "pipeline.lua:3: f.a.retry_on: bad pattern '(': missing closing parenthesis at offset 1" },
  { "an exit code out of range", 'f.a = flow.shell { "true", ok_codes = { 0, 300 } }',
    "pipeline.lua:3: f.a.ok_codes[2]: expected an integer from 0 to 255, got 300" },
  { "a map without a body", "f.a = flow.map { over = { 1 } }",
    "pipeline.lua:3: f.a.run: expected `run` (a function) or `node`, got neither" },
  { "a map over a text", 'f.a = flow.map { over = "x", run = print }',
    "pipeline.lua:3: f.a.over: expected a list, a function or a template that gives a list, got a "
      .. "text" },
  { "an option of an inner node, on its line",
    'f.a = flow.map { over = { 1 },\n  node = flow.shell { "true", retries = "x" } }',
    'pipeline.lua:4: f.a.node.retries: expected an integer from 0 to 100, got "x"' },
  { "an inner node with edges",
    'f.a = flow.map { over = { 1 }, node = flow.shell { "true", after = "b" } }',
    "pipeline.lua:3: f.a.node.after: belongs to the node around it" },
  { "a map in a map",
    "f.a = flow.map { over = { 1 }, node = flow.map { over = { 2 }, run = print } }",
    "pipeline.lua:3: f.a.node: a node of type map cannot be inside another" },
  { "a call of an unknown flow", 'f.a = flow.call { flow = "g" }',
    'pipeline.lua:3: f.a.flow: unknown flow "g"' },
  { "two mistakes, in their order",
    'f.a = flow.shell { "true", after = "nope" }\nf.b = flow.shell { "true", retries = "x" }',
    'pipeline.lua:3: f.a.after: unknown node "nope"\n'
      .. 'pipeline.lua:4: f.b.retries: expected an integer from 0 to 100, got "x"' },
  { "a mistake before the line that breaks off",
    'f.a = flow.shell { "true", retries = "x" }\nlocal y = nil + 1',
    'pipeline.lua:3: f.a.retries: expected an integer from 0 to 100, got "x"' },
  { "a node heavier than a pool that nobody declares",
    'f.a = flow.shell { "true", pool = "gpu", weight = 2 }',
    "pipeline.lua:3: f.a.weight: expected at most 1, the capacity of pool 'gpu', got 2" },
  { "an item heavier than its pool",
    'f.a = flow.map { over = { 1 }, node = flow.shell { "true", pool = "gpu", weight = 3 } }',
    "pipeline.lua:3: f.a.weight: expected at most 1, the capacity of pool 'gpu', got 3" },
  { "two mistakes in one node", 'f.a = flow.shell { "true", weight = "x", grace = "y" }',
    'pipeline.lua:3: f.a.grace: expected a duration such as 1.5, "500ms", "10s", "5m", "2h" or '
      .. '"1d", got "y"\npipeline.lua:3: f.a.weight: expected an integer from 1 to 1000000, '
      .. 'got "x"' },
}

-- The same for options of the flow, which is made in line 2.
local options = {
  { "an unknown option", "{ retries = 1 }", "pipeline.lua:2: f.retries: unknown option" },
  { "a mistyped option", '{ shedule = "x" }',
    'pipeline.lua:2: f.shedule: unknown option; did you mean "schedule"?' },
  { "a schedule that is none", '{ schedule = "0 2 * * *" }',
    'pipeline.lua:2: f.schedule: expected flow.cron(...), flow.every(...) or a list of them, '
      .. 'got "0 2 * * *"' },
  { "a bad default", '{ defaults = { retries = "x" } }',
    'pipeline.lua:2: f.defaults.retries: expected an integer from 0 to 100, got "x"' },
  { "an unknown default", "{ defaults = { retrys = 1 } }",
    'pipeline.lua:2: f.defaults.retrys: unknown option; did you mean "retries"?' },
  { "a default that each node must have", '{ defaults = { after = "x" } }',
    "pipeline.lua:2: f.defaults.after: cannot be a default: give it to each node" },
  { "a limit by default that is none", "{ defaults = { limits = { memry = 1 } } }",
    'pipeline.lua:2: f.defaults.limits.memry: unknown limit; did you mean "memory"?' },
  { "a bad capacity", "{ pools = { db = 0 } }",
    "pipeline.lua:2: f.pools.db: expected an integer from 1 to 1000000, got 0" },
  { "a bad name of a pool", '{ pools = { ["a b"] = 1 } }',
    "pipeline.lua:2: f.pools.a b: expected a name (letters, digits, _ . -)" },
  { "a var that cannot be kept", "{ vars = { a = { b = print } } }",
    "pipeline.lua:2: f.vars.a.b: a function cannot be stored" },
  { "a param that cannot be kept", "{ params = { a = { x = { print } } } }",
    "pipeline.lua:2: f.params.a.x[1]: a function cannot be stored" },
  { "a param that is a function", "{ params = { a = print } }",
    "pipeline.lua:2: f.params.a: expected a value that can be kept, got a function" },
  { "a default outside of its bounds", '{ params = { a = { "integer", default = 0, min = 1 } } }',
    "pipeline.lua:2: f.params.a.default: expected a positive integer, got 0" },
  { "a param of no type", '{ params = { a = { "integre", default = 0 } } }',
    'pipeline.lua:2: f.params.a: unknown type "integre"; did you mean "integer"?' },
  { "an unknown zone", '{ tz = "Mars/Olympus" }',
    'pipeline.lua:2: f.tz: expected a time zone such as "UTC" or "Asia/Shanghai", got '
      .. '"Mars/Olympus"' },
  { "an unknown policy", '{ on_failure_policy = "halt" }',
    'pipeline.lua:2: f.on_failure_policy: expected "finish" or "stop", got "halt"' },
  { "a hook that is no node", '{ on_exit = "true" }',
    'pipeline.lua:2: f.on_exit: expected a node such as flow.shell{...}, got "true"' },
  { "a hook with a mistake", '{ on_exit = flow.shell { "true", retries = -1 } }',
    "pipeline.lua:2: f.on_exit.retries: expected an integer from 0 to 100, got -1" },
  { "a hook after something", '{ on_exit = flow.shell { "true", after = "a" } }',
    "pipeline.lua:2: f.on_exit.after: runs at the end of a run: it depends on nothing" },
}

-- Whole scripts.
local scripts = {
  { "a syntax error", "local x = = 1", "pipeline.lua:1: unexpected symbol near '='" },
  { "a runtime error, with the way there",
    'local function inner() error("boom") end\nlocal function outer() inner() end\nouter()\n',
    "pipeline.lua:1: boom\n  at pipeline.lua:1 in inner\n  at pipeline.lua:2 in outer\n"
      .. "  at pipeline.lua:3" },
  { "a runtime error of the main chunk", "local x = nil\nx.y = 1",
    "pipeline.lua:2: attempt to index local 'x' (a nil value)" },
  { "an error that is a table", "error({ code = 1 })",
    '{"code":1}\n  at pipeline.lua:1' },
  { "a result that is no flow", "return 42",
    "pipeline.lua: expected the script to return a flow or a list of flows, got 42" },
  { "a list with something else in it",
    'local flow = require "flow"\nlocal f = flow.dag("f")\nf.a = flow.shell { "true" }\nreturn { '
      .. 'f, 1 }',
    "pipeline.lua: expected the script to return a flow or a list of flows, got 1 at position 2" },
  { "two flows with one key",
    'local flow = require "flow"\nlocal a, b = flow.dag("f"),\n  flow.dag("f")\n'
      .. 'a.x = flow.shell { "1" }\nb.x = flow.shell { "1" }\nreturn { a, b }',
    "pipeline.lua:3: f: a flow of this key exists already, see pipeline.lua:2" },
  { "a key that is no name", 'local flow = require "flow"\nreturn flow.dag("a b")',
    'pipeline.lua:2: flow.dag: expected a name (letters, digits, _ . -) first, got "a b"' },
  { "a module that is not there", 'require "nothing.of.that_name"', nil,
    "module 'nothing.of.that_name' not found" },
  { "a bad cron expression", 'local flow = require "flow"\nlocal s = flow.cron("0 2 * *")\n'
    .. 'local f = flow.dag("f", { schedule = s })\nf.n = flow.shell "true"\nreturn f',
    'pipeline.lua:2: f.schedule: expected 5 fields, or 6 with seconds first, got 4 in "0 2 * *"' },
  { "a function of flow with a wrong argument", 'local flow = require "flow"\nflow.nodes(3)',
    "pipeline.lua:2: flow.nodes: expected a flow, got 3" },
}

describe("a script with", function()
  teardown(script.clean)

  for _, row in ipairs(bodies) do
    it(row[1], function()
      local loaded, message = script.load(script.flow(row[2], row[4]))
      assert.is_nil(loaded)
      assert.equal(row[3], message)
    end)
  end

  for _, row in ipairs(scripts) do
    it(row[1], function()
      local loaded, message = script.load(row[2])
      assert.is_nil(loaded)
      if row[3] then return assert.equal(row[3], message) end
      assert.truthy(message:find(row[4], 1, true), message)
    end)
  end
end)

describe("a flow whose options have", function()
  teardown(script.clean)

  for _, row in ipairs(options) do
    it(row[1], function()
      local loaded, message = script.load(script.flow('f.n = flow.shell { "true" }', row[2]))
      assert.is_nil(loaded)
      assert.equal(row[3], message)
    end)
  end
end)
