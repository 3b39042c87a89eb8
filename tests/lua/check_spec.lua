-- What is found when a script is loaded: all mistakes, not the first, each with its line.
local script = require "support.script"

local OPTIONS = "{ params = { day = 'x', limit = 1 }, pools = { gpu = 1 } }"

-- What loading says of a flow "f" with this body, whose first line is 3.
local function said(body, options, language)
  local loaded, message = script.load(script.flow(body, options or OPTIONS),
    { language = language })
  return loaded and "ok" or message
end

local function lines(...) return table.concat({ ... }, "\n") end

describe("the mistakes of a script", function()
  teardown(script.clean)

  it("are all told, in the order of their lines", function()
    assert.equal(lines(
      'pipeline.lua:3: f.a.retires: unknown option; did you mean "retries"?',
      "pipeline.lua:3: f.a.text: {{ params.day }} stands inside '...': its value is quoted "
        .. "already; take the quotes away, or write {{{ params.day }}} for the bare text",
      'pipeline.lua:4: f.b.text: template {{ parms.day }}: unknown name parms; did you mean '
        .. '"params"?',
      'pipeline.lua:4: f.b.text: template {{ params.limt }}: unknown name params.limt; did you '
        .. 'mean "limit"?',
      'pipeline.lua:5: f.c.after: unknown node "aa"; did you mean "a"?',
      'pipeline.lua:6: f.d.pool: the flow declares no pool "gpuu"; did you mean "gpu"?',
      "pipeline.lua:7: f.zzz: no node of this name"), said [[
f.a = flow.shell { "echo '{{params.day}}'", retires = 1 }
f.b = flow.shell { "echo {{parms.day}} {{params.limt}}" }
f.c = flow.shell { "true", after = "aa" }
f.d = flow.shell { "true", pool = "gpuu" }
f.g = flow.shell { "true", after = { "a", f.zzz } }]])
  end)

  it("are at most twenty, and how many more", function()
    local body = {}
    for i = 1, 23 do body[i] = ('f.n%d = flow.shell { "true", retries = "x" }'):format(i) end
    local text = said(table.concat(body, "\n"))
    local _, count = text:gsub("\n", "")
    assert.equal(20, count)
    assert.matches("\nand 3 more$", text)
  end)
end)

describe("a template", function()
  teardown(script.clean)

  local rows = {
    { "with a name of another tool", 'f.a = flow.shell { "echo {{ ds }}" }',
      "f.a.text: template {{ ds }}: unknown name ds; the day of the run is run.date" },
    { "with an unknown name", 'f.a = flow.shell { "echo {{ zzz.x }}" }',
      "f.a.text: template {{ zzz.x }}: unknown name zzz; there is run, params, vars, inputs, env" },
    { "with an unknown field of the run", 'f.a = flow.shell { "echo {{ run.dat }}" }',
      'f.a.text: template {{ run.dat }}: unknown name run.dat; did you mean "date"?' },
    { "with an input that is no parent",
      'f.p = flow.shell "true"\nf.q = flow.shell "true"\nf.a = flow.shell { '
        .. '"echo {{ inputs.p.n }}", after = { f.q } }',
      'f.a.text: template {{ inputs.p.n }}: unknown name inputs.p: "p" is not in the `after` of '
        .. "this node; there is q" },
    { "with an input by its text", 'f.a = flow.shell { "echo {{ inputs[\'no-p\'].n }}" }',
      "unknown name inputs.no-p: \"no-p\" is no node: it depends on none" },
    { "with an item outside of a map", 'f.a = flow.shell { "echo {{ item }}" }',
      "f.a.text: template {{ item }}: item is known only in the items of a map" },
    { "deep in the params of a call", 'f.a = flow.call { flow = f, params = { day = "{{ ds }}" } }',
      "f.a.params.day: template {{ ds }}: unknown name ds; the day of the run is run.date" },
    { "in the node of a map", 'f.a = flow.map { over = { 1 }, node = flow.shell "echo {{ itm }}" }',
      'f.a.node.text: template {{ itm }}: unknown name itm; did you mean "item"?' },
    { "in `when` and `env`", 'f.a = flow.shell { "true", env = { A = "{{ params.dy }}" } }',
      'f.a.env.A: template {{ params.dy }}: unknown name params.dy; did you mean "day"?' },
    { "with a filter", 'f.a = flow.shell { "echo {{ params.day | upper }}" }',
      "{{ }} is Lua: a function is called, as in params.day:upper()" },
    { "that is none", "f.a = flow.shell { [[awk '{{print $1}}']] }",
      'for two braces write {{{"{{"}}}' },
    { "of docker's", "f.a = flow.shell { 'docker ps --format {{.Names}}' }",
      'for two braces write {{{"{{"}}}' },
  }
  for _, row in ipairs(rows) do
    it(row[1] .. " is told", function()
      local text = said(row[2])
      assert.truthy(text:find(row[3], 1, true), text)
      assert.matches("^pipeline.lua:%d: ", text)
    end)
  end

  it("reads what it may", function()
    assert.equal("ok", said [==[
f.p = flow.shell "true"
f["q-1"] = flow.shell { "true", after = "p" }
f.a = flow.shell { "echo {{ inputs.p.x or inputs['q-1'] }} {{ 'ds .x' .. params.day:upper() }}"
  .. " {{ vars.any.thing }} {{ env.HOME or '' }} {{ ({ ds = 1, y = 2 }).ds }} {{ run.date .. 1e3 }}"
  .. " {{ (function(v) return v.x end)({ x = 1 }) }} {{ #'--' --[[ ds ]] }}",
  after = { f.p, "q-1" }, cwd = "{{ params.limit }}" }
f.m = flow.map { over = "{{ inputs.p }}", after = "p",
  node = flow.shell "echo {{ item.ds }} {{ index }}" }]==])
    assert.equal("ok", said('f.a = flow.shell { "true" }',
      "{ on_exit = flow.shell 'echo {{ run.status }} {{ inputs.any }}' }"))
  end)

  it("of a script of before is looked at when it is rendered", function()
    assert.equal("ok", said('f.a = flow.shell { "echo {{ ds }} {{ params.no }}", pool = "gpuu" }',
      nil, 1))
  end)
end)

describe("a word of another tool", function()
  teardown(script.clean)

  local rows = {
    { 'f.a = flow.shell { "x", depends_on = 1 }', 'did you mean "after"?' },
    { 'f.a = flow.shell { "x", retry = 1 }', 'did you mean "retries"?' },
    { 'f.a = flow.shell { "x", retry_count = 1 }', 'did you mean "retries"?' },
    { 'f.a = flow.shell { "x", working_dir = 1 }', 'did you mean "cwd"?' },
    { 'f.a = flow.shell { "x", environment = 1 }', 'did you mean "env"?' },
    { 'f.a = flow.shell { "x", run_if = 1 }', 'did you mean "when"?' },
    { 'f.a = flow.shell { "x", continue_on_error = 1 }', 'did you mean "allow_failure"?' },
    { 'f.a = flow.shell { cmd = "x" }', 'f.a.cmd: unknown option; the text stands alone: '
      .. 'flow.shell { "..." }' },
    { 'f.a = flow.bash { "x" }', 'flow.bash: unknown node type; did you mean "shell"?' },
    { 'f.a = flow.foreach { }', 'did you mean "map"?' },
    { 'f.a = flow.subflow { }', 'did you mean "call"?' },
    { 'f.a = flow.python { }', 'shell = { "python3", "-" }' },
    { 'f.a = flow.zzzzz { }', "there is branch, call, exec, lua, map, shell, sql" },
  }
  for _, row in ipairs(rows) do
    it(row[1] .. " is told what it is here", function()
      local text = said(row[1])
      assert.truthy(text:find(row[2], 1, true), text)
    end)
  end

  it("may be an option of a flow", function()
    assert.equal('pipeline.lua:2: f.default_args: unknown option; did you mean "defaults"?',
      said("f.a = flow.shell 'x'", "{ default_args = {} }"))
  end)

  it("is nearest to a type beside the script", function()
    local _, message = script.load { ["nodes/thing.lua"] = "return 1",
      ["pipeline.lua"] = script.flow "f.a = flow.thng {}" }
    assert.equal('pipeline.lua:3: flow.thng: unknown node type; did you mean "thing"?', message)
  end)
end)

describe("the params of a call", function()
  teardown(script.clean)

  local called = "local g = flow.dag('g', { params = { n = { 'integer', required = true }, "
    .. "s = '' } })\n"
    .. 'g.x = flow.shell "true"\n'

  local rows = {
    { "that the flow does not have", "{ n = 1, nn = 2 }",
      'pipeline.lua:5: f.c.params.nn: flow g has no such param; did you mean "n"?' },
    { "of a wrong kind", "{ n = 'x' }",
      'pipeline.lua:5: f.c.params.n: expected an integer, got "x"' },
    { "that are missing", "{ s = 'x' }",
      "pipeline.lua:5: f.c.params.n: expected an integer, got nothing: flow g requires it" },
  }
  for _, row in ipairs(rows) do
    it(row[1] .. " are told", function()
      local text = called .. "f.c = flow.call { flow = g, params = " .. row[2] .. " }"
      assert.equal(row[3], said(text))
      local of_map = said(called .. "f.c = flow.map { over = { 1 }, node = flow.call { flow = g, "
        .. "params = " .. row[2] .. " } }")
      assert.equal((row[3]:gsub("f%.c%.params", "f.c.node.params")), of_map)
    end)
  end

  it("may come from templates and functions", function()
    assert.equal("ok", said(called
      .. "f.c = flow.call { flow = g, params = { n = '{{ vars.n }}' } }\n"
      .. "f.d = flow.call { flow = g, params = function() return {} end }"))
  end)

  it("are those of a hook, which may call a flow that is not returned", function()
    local text = 'local flow = require "flow"\nlocal g = flow.dag("g")\ng.x = flow.shell "true"\n'
      .. 'local f = flow.dag("f", { on_failure = flow.call { flow = %s } })\n'
      .. 'f.a = flow.shell "true"\nreturn f\n'
    assert.equal(2, #assert(script.load(text:format "g")).flows)
    local _, message = script.load(text:format '"h"')
    assert.equal('pipeline.lua:4: f.on_failure.flow: unknown flow "h"', message)
  end)
end)

describe("the pool of a call", function()
  teardown(script.clean)

  local function checked(body)
    local loaded, message = script.load { ["pipeline.lua"] = 'local flow = require "flow"\n'
      .. 'local sub, f = flow.dag "sub", flow.dag("f", { pools = { p = 3 } })\n' .. body
      .. "\nreturn f" }
    return loaded and "ok" or message
  end
  local ends = " until its flow has ended, and %s would wait for it there: leave the pool to that "
    .. "node"

  it("is none that its flow needs, however deep", function()
    assert.equal('pipeline.lua:4: f.c.pool: the call holds "p"' .. ends:format "sub.a", checked [[
sub.a = flow.shell { "true", pool = "p" }
f.c = flow.call { flow = sub, pool = "p" }]])
    assert.equal('pipeline.lua:6: f.c.pool: the call holds "p"' .. ends:format "low.a", checked [[
local low = flow.dag("low", { defaults = { pool = "p" } })
low.a = flow.shell "true"
sub.c = flow.call { flow = low }
f.c = flow.call { flow = sub, pool = "p" }]])
    assert.equal('pipeline.lua:4: f.m.node.pool: the call holds "p"' .. ends:format "sub.m",
      checked [[
sub.m = flow.map { over = { 1 }, node = flow.shell { "true", pool = "p" } }
f.m = flow.map { over = { 1 }, node = flow.call { flow = sub, pool = "p" } }]])
  end)

  it("may be one that its flow does not take from", function()
    assert.equal("ok", checked [[
sub.a = flow.shell { "true", pool = "q" }
f.b = flow.shell { "true", pool = "p" }
f.c = flow.call { flow = sub, pool = "p" }]])
  end)
end)

describe("flows that call each other", function()
  teardown(script.clean)

  local function checked(first, second)
    local loaded, message = script.load { ["pipeline.lua"] = ([[
local flow = require "flow"
local a, b = flow.dag "a", flow.dag "b"
a.x = flow.call { flow = "b" %s }
b.y = flow.call { flow = "a" %s }
b.z = flow.shell "true"
return a, b]]):format(first, second) }
    return loaded and "ok" or message
  end

  it("without a condition never end", function()
    assert.equal("pipeline.lua:2: a: is called by its own calls without end: a.x -> b.y -> a",
      checked("", ""))
  end)

  it("may end where something decides about a call", function()
    assert.equal("ok", checked("", ", when = '{{ 1 == 2 }}'"))
    assert.equal("ok", checked("", ", after = 'z'"))
  end)
end)

describe("a node that no run reaches", function()
  teardown(script.clean)

  it("is told", function()
    local loaded = assert(script.load(script.flow [[
f.off = flow.shell { "true", when = false }
f.a = flow.shell { "true", after = "off" }
f.b = flow.shell { "true", after = { "a" } }
f.c = flow.shell { "true", after = "off", trigger = "all_done" }]]))
    assert.same({ "pipeline.lua:4: f.a: is never run: the `when` of off is false",
      "pipeline.lua:5: f.b: is never run: the `when` of off is false" }, loaded.notices)
  end)
end)

describe("a param of a flow", function()
  teardown(script.clean)

  local rows = {
    { "whose type has a name", "{ type = 'integer', default = 3 }",
      'a spec begins with its type: { "integer", ... }' },
    { "whose type is missing", "{ default = 3, min = 1 }",
      'a spec begins with its type: { "integer", ... }' },
    { "with a template as default", "'{{ run.date }}'",
      "{{ }} is not evaluated in a default; leave it out, and write {{ params.p or run.date }} "
        .. "where it is used" },
    { "with a template as default of a spec", "{ 'string', default = 'x {{ run.date }}' }",
      "{{ }} is not evaluated in a default; leave it out, and write {{ params.p or run.date }} "
        .. "where it is used" },
  }
  for _, row in ipairs(rows) do
    it(row[1] .. " is refused, in a script of before it is not", function()
      local options = "{ params = { p = " .. row[2] .. " } }"
      local text = said('f.a = flow.shell "true"', options)
      assert.equal("pipeline.lua:2: f.params.p: " .. row[3], text)
      assert.equal("ok", said('f.a = flow.shell "true"', options, 1))
    end)
  end

  it("may be a map with such keys", function()
    assert.equal("ok", said('f.a = flow.shell "true"',
      "{ params = { p = { type = 'x', default = 3 }, q = { type = 'integer' }, r = { default = 1 },"
        .. " s = { type = 'integer', default = 3, other = 1 } } }"))
  end)

  it("may begin with its words, without a type", function()
    assert.equal("ok", said('f.a = flow.shell "echo {{params.p}}"',
      "{ params = { p = { enum = { 'fast', 'safe' }, default = 'safe' } } }"))
  end)
end)

describe("what loading can only doubt", function()
  teardown(script.clean)

  it("is told without refusing the script", function()
    local loaded = assert(script.load({ ["helper.lua"] = "return pcall(require, 'no_such_a')",
      ["pipeline.lua"] = script.flow [[
require "helper"
f.a = flow.lua(function()
  local csv = require "no_such_csv" -- nor require "no_such_b"
  return csv, pcall(function() return require "no_such_c" end), require "json"
end)
f.b = flow.exec { "ls -la" }
f.c = flow.exec { "/opt/my tools/x" }]] }))
    assert.same({ 'pipeline.lua:8: f.b.argv[1]: is one word, the name of a program: write one word '
      .. 'each, or flow.shell "ls -la"',
      "pipeline.lua:5: module 'no_such_csv' not found: neither beside the script, nor on "
      .. "FLOWLUA_PATH, nor in Lua's paths" }, loaded.notices)
  end)
end)
