-- What happens while a node runs: ctx, outputs, vars, failures, and the decisions of the script.
local host = require "flow.host"
local json = require "json"
local script = require "support.script"

-- Runs the Lua node "a" with this function body; returns host.run's results and the backend.
local function run(body, facts, options, language)
  local result, backend
  assert(script.load(script.flow("f.a = flow.lua { run = function(ctx)\n" .. body .. "\nend }",
    options), { language = language },
    function(loaded) result, backend = script.run(loaded, "a", facts) end))
  return result, backend
end

local function outputs(body, facts)
  local result = run(body, facts)
  assert.equal("succeeded", result.status, result.error)
  return result.outputs and json.decode(result.outputs)
end

-- What goes to stdout or stderr, and to no node's log, while `fn` runs.
local function printed(fn)
  local stdout, stderr, told = io.stdout, io.stderr, {}
  rawset(io, "stderr", { write = function(_, ...) told[#told + 1] = table.concat { ... } end })
  rawset(io, "stdout", io.stderr)
  local ok, err = pcall(fn)
  rawset(io, "stdout", stdout)
  rawset(io, "stderr", stderr)
  assert(ok, err)
  return table.concat(told)
end

describe("the outputs of a Lua node", function()
  teardown(script.clean)

  it("are what it returns", function()
    assert.equal('{"a":[1,2]}', run("return { a = { 1, 2 } }").outputs)
    assert.equal('"x"', run("return 'x'").outputs)
    assert.equal("false", run("return false").outputs)
    assert.is_nil(run("").outputs)
    assert.is_nil(run("local x = 1").outputs)
  end)

  it("must be values that can be kept", function()
    local rows = {
      { "return { a = { f = print } }", "outputs.a.f: a function cannot be stored" },
      { "return 0 / 0", "outputs: NaN cannot be stored" },
      { "local t = {} t.t = t return t", "outputs.t: is a table that holds itself" },
      { "return { 1, nil, 3 }", nil },
    }
    for _, row in ipairs(rows) do
      local result = run(row[1])
      assert.equal("failed", result.status)
      if row[2] then assert.truthy(result.error:find(row[2], 1, true), result.error) end
    end
  end)

  it("have a limit", function()
    local result = run "return ('x'):rep(17 * 2 ^ 20)"
    assert.equal("failed", result.status)
    assert.truthy(result.error:find("outputs: is larger than 16 MiB", 1, true), result.error)
  end)
end)

describe("ctx", function()
  teardown(script.clean)

  it("gives run, params, vars, inputs and the node's name", function()
    local facts = { params = { p = 1 }, vars = { v = 2 }, inputs = { b = { 3 } }, node = "a" }
    assert.same({ "r1", 1, 2, 3, "a" },
      outputs("return { ctx.run.id, ctx.params.p, ctx.vars.v, ctx.inputs.b[1], ctx.node }", facts))
  end)

  it("asks for nothing that is not read, and once", function()
    local _, b = run "return ctx.run.id .. ctx.run.flow"
    assert.same({ run = 1 }, b.reads)
  end)

  it("tells what was done to vars, and nothing when nothing was", function()
    assert.is_nil(run("").vars)
    assert.is_nil(run("return ctx.vars.x", { vars = { x = 1 } }).vars)
    assert.is_nil(run("ctx.vars.x = 1", { vars = { x = 1 } }).vars)
    assert.equal('{"x":2}', run("ctx.vars.x = 2", { vars = { x = 1 } }).vars)
    assert.equal('{"l":[1,2],"x":1}',
      run("ctx.vars.l[2] = 2", { vars = { x = 1, l = { 1 } } }).vars)
    assert.equal("{}", run("ctx.vars.x = nil", { vars = { x = 1 } }).vars)
    assert.equal('{"y":1}', run("ctx.vars = { y = 1 }", { vars = { x = 1 } }).vars)
    local result = run "ctx.vars.f = print"
    assert.equal("pipeline.lua:3: f.a: ctx.vars.f: a function cannot be stored", result.error)
  end)

  it("refuses changes of params, at once or at the end", function()
    local facts = { params = { x = 1, l = { 1 } } }
    for _, body in ipairs { "ctx.params.x = 2", "ctx.params.y = 2" } do
      local result = run(body, facts)
      assert.equal("failed", result.status)
      assert.truthy(result.error:find("^pipeline.lua:4: ctx.params.[xy]: params are read only"),
        result.error)
    end
    local result = run("ctx.params.l[1] = 2", facts)
    assert.equal("failed", result.status)
    assert.truthy(result.error:find("ctx.params.l was changed: params are read only", 1, true),
      result.error)
  end)

  it("has params that can be walked, counted and kept", function()
    local body = [[
      local names = {}
      for name, v in pairs(ctx.params) do names[#names + 1] = name .. type(v) end
      table.sort(names)
      local sum = 0
      for _, n in ipairs(ctx.params.l) do sum = sum + n end
      return { names = names, sum = sum, count = #ctx.params.l, whole = ctx.params }]]
    assert.same({ names = { "ltable", "xnumber" }, sum = 3, count = 2,
      whole = { x = 1, l = { 1, 2 } } },
      outputs(body, { params = { x = 1, l = { 1, 2 } } }))
  end)

  it("has no other fields to set", function()
    local result = run "ctx.total = 1"
    assert.equal("pipeline.lua:4: ctx.total cannot be set; keep values in ctx.vars", result.error)
  end)

  it("logs, and print does", function()
    local _, b = run "ctx:log('a', 1, { x = { 1 } }, nil, true) print('b', 2)"
    assert.same({ 'a\t1\t{"x":[1]}\tnil\ttrue', "b\t2" }, b.logs)
  end)

  it("has io.write, whole lines of it, and no os.exit", function()
    local _, b = run "io.write('a', 1) io.write('b\\nc\\nd') print 'p' io.write('e\\nrest')"
    assert.same({ "a1b\nc", "dp", "e", "rest" }, b.logs)
    assert.equal("pipeline.lua:4: os.exit cannot be used in a node: return, or ctx:fail(why)",
      run("os.exit(0)").error)
  end)

  it("tells progress and whether its end is asked for", function()
    local result, b = run("ctx:progress(1, 2, 'x') ctx:progress(3) return ctx:cancelled()",
      { cancelled = true })
    assert.same({ { 1, 2, "x" }, { 3, 0 } }, b.progress_seen)
    assert.equal("true", result.outputs)
  end)

  it("keeps checkpoints", function()
    local _, b = run "ctx:checkpoint { at = 5 } ctx:checkpoint(nil)"
    assert.same({ '{"at":5}', "null" }, b.checkpoints)
    assert.equal("5", run("return ctx:restored().at", { restored = '{"at":5}' }).outputs)
    assert.equal("true", run("return ctx:restored() == nil").outputs)
    assert.truthy(run("ctx:checkpoint { f = print }").error:find("checkpoint.f: a function", 1,
      true))
  end)

  it("runs a step once, remembering nil too", function()
    local body = [[
      local n = 0
      local function f(...) n = n + 1 return select("#", ...) + n end
      local a, b = ctx:step("s", f, 1, 2), ctx:step("s", f)
      ctx:step("none", function() n = n + 10 end)
      local c = ctx:step("none", function() n = n + 100 return 1 end)
      return { a, b, n, c == nil }]]
    local result, b = run(body)
    assert.equal("[3,3,11,true]", result.outputs)
    assert.same({ s = "3", none = "null" }, b.steps)
    assert.equal("[7,7,10,true]", run(body, { steps = { s = "7" } }).outputs)
    assert.truthy(run("ctx:step('x', function() return print end)").error:find('step "x": a '
      .. 'function', 1, true))
    assert.truthy(run("ctx:step(function() end)").error:find("^pipeline.lua:4: ctx:step: expected "
      .. "a name"))
  end)

  it("sleeps", function()
    local _, b = run "ctx:sleep(1.5) ctx:sleep '2m'"
    assert.same({ 1.5, 120 }, b.slept)
    assert.truthy(run("ctx:sleep('soon')").error:find("^pipeline.lua:4: ctx:sleep: expected a "
      .. "duration"))
  end)

  it("hands out recorded time and chance to a replay", function()
    local body = "return { ctx:now(), ctx:random(), ctx:random(6), ctx:random(5, 9), ctx:uuid() }"
    local result, b = run(body)
    local first = json.decode(result.outputs)
    assert.equal(5, #b.recorded)
    assert.same({ "now", "random", "random", "random", "uuid" },
      { b.recorded[1][1], b.recorded[2][1], b.recorded[3][1], b.recorded[4][1], b.recorded[5][1] })
    assert.is_true(first[1] > 1.6e9 and first[2] >= 0 and first[2] < 1)
    assert.is_true(first[3] >= 1 and first[3] <= 6 and first[4] >= 5 and first[4] <= 9)
    assert.truthy(first[5]:find "^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$")
    local texts = {}
    for i, entry in ipairs(b.recorded) do texts[i] = entry[2] end
    local replayed, second = run(body, { replay = texts })
    assert.equal(result.outputs, replayed.outputs)
    assert.same(b.recorded, second.recorded) -- so that the replay can be replayed
  end)

  it("knows paths from the folder of the node", function()
    assert.truthy(outputs("return ctx:path('x.db')"):find "^/.*/x%.db$")
    assert.equal("/abs", outputs "return ctx:path('/abs')")
  end)
end)

describe("ctx:exec", function()
  teardown(script.clean)

  it("starts words or a shell's text", function()
    local _, b = run [[
      ctx:exec { "prog", "a b", 3 }
      ctx:exec { shell = "echo | cat" }
      ctx:exec { "x", env = { A = 1 }, cwd = "sub", stdin = "in", timeout = "2m", ok_codes = { 1 },
        limits = { memory = "1K" } }]]
    assert.same({ "prog", "a b", "3" }, b.specs[1].argv)
    assert.same({ "/bin/sh", "-e", "-c", "echo | cat" }, b.specs[2].argv)
    local spec = b.specs[3]
    assert.same({ "A=1" }, spec.env)
    assert.truthy(spec.cwd:find "/sub$")
    assert.same({ "in", 120, { 1 }, { memory = 1024 } },
      { spec.stdin, spec.timeout, spec.ok_codes, spec.limits })
  end)

  it("gives the result, and its outputs when it is returned", function()
    local body = [[
      local r = ctx:exec { "x", capture = "lines" }
      assert(r.ok and r.code == 0 and r.stdout == "out\n")
      return r]]
    assert.same({ "out" }, outputs(body))
    assert.is_nil(run("return ctx:exec { 'x' }").outputs)
  end)

  local failed = { exec = { status = "failed", code = 3, stdout = "",
    stderr_tail = "no such thing" } }

  it("raises when the child fails, at the user's line", function()
    local result = run("local x = 1\nctx:exec { 'prog', '-x' }", failed)
    assert.equal("failed", result.status)
    assert.equal("pipeline.lua:5: prog: exit code 3\nno such thing", result.error)
    result = run("ctx:exec { 'prog' }", { exec = { status = "timed_out", stderr_tail = "" } })
    assert.equal("pipeline.lua:4: prog: timed out", result.error)
  end)

  it("leaves the look at the result to the user who wants it", function()
    assert.same({ false, 3, "no such thing" },
      outputs("local r = ctx:exec { 'x', check = false } return { r.ok, r.code, r.stderr }",
        failed))
  end)

  it("refuses what it does not know", function()
    assert.truthy(run("ctx:exec { 'x', capure = 'text' }").error
      :find('^pipeline.lua:4: ctx:exec: unknown option capure; did you mean "capture"%?'))
    assert.truthy(run("ctx:exec {}").error:find "^pipeline.lua:4: expected a program, got nothing")
    assert.truthy(run("ctx:exec { 'x', timeout = 'y' }").error:find("^pipeline.lua:4: ctx:exec: "
      .. "timeout: expected a d"))
  end)
end)

describe("a node that ends early", function()
  teardown(script.clean)

  it("is told with the line and the way there", function()
    local result = run("local function inner() error 'boom' end\nlocal function outer() inner() "
      .. "end\nouter()")
    assert.equal("failed", result.status)
    assert.is_true(result.retry)
    assert.equal("pipeline.lua:4: boom\n  at pipeline.lua:4 in inner\n  at pipeline.lua:5 in "
      .. "outer\n"
      .. "  at pipeline.lua:6 in run", result.error)
  end)

  it("has its reason from ctx:fail", function()
    local result = run "ctx:fail('bad day', { retry = false })"
    assert.same({ "failed", "bad day\n  at pipeline.lua:4 in run", false },
      { result.status, result.error, result.retry })
    result = run "pcall(ctx.fail, ctx, 'caught') ctx:fail('again')"
    assert.same({ "failed", true }, { result.status, result.retry })
    assert.truthy(result.error:find "^again")
  end)

  it("is skipped by ctx:skip", function()
    local result = run "ctx:skip('nothing to do')"
    assert.same({ "skipped", "nothing to do" }, { result.status, result.error })
    assert.is_nil(result.outputs)
  end)

  it("fails with what it returns behind a nil, of a script of before it has succeeded", function()
    local result = run "return nil, 'no such day'"
    assert.same({ "failed", "pipeline.lua:3: f.a: no such day", true },
      { result.status, result.error, result.retry })
    result = run "return require('fs').read '/no/such/file'"
    assert.equal("pipeline.lua:3: f.a: cannot read '/no/such/file': No such file or directory "
      .. "(ENOENT)", result.error)
    assert.equal("succeeded", run("return nil, nil").status)
    assert.equal("succeeded", run("return false, 'a second value'").status)
    assert.equal("succeeded", run("return nil, 'no such day'", nil, nil, 1).status)
  end)

  it("may raise anything", function()
    assert.truthy(run("error({ message = 'a message' })").error:find "^a message")
    assert.truthy(run("error({ code = 1 })").error:find '^{"code":1}\n  at pipeline.lua:4')
    assert.truthy(run("error({ f = print })").error:find "^error object is a table")
    assert.truthy(run("error(nil)").error:find "^an error without a message")
    assert.truthy(run("error('x', 0)").error:find "^x\n  at pipeline.lua:4")
  end)

  it("is told in 4 KiB", function()
    assert.equal(4096, #run("error(('x'):rep(10000))").error)
  end)

  it("leaves print to others", function()
    local _, b = run "error 'x'"
    local told = printed(function() require("flow.context").print "not the node's" end)
    assert.equal("not the node's\n", told)
    assert.same({ "pipeline.lua:4: x" }, b.logs) -- why it failed, and nothing else
  end)
end)

describe("inline nodes that wait", function()
  teardown(script.clean)

  it("have their own print", function()
    local body = [[
f.a = flow.lua { inline = true, run = function(ctx) print "a1" ctx:sleep(1) print "a2" end }
f.b = flow.lua { inline = true, run = function(ctx)
  print "b1" ctx:sleep(1) print "b2" error "x" end }]]
    assert(script.load(script.flow(body), nil, function(loaded)
      local backends, threads, results = {}, {}, {}
      for i = 0, 1 do
        local b = script.backend()
        b.sleep = function() coroutine.yield() end
        backends[i] = b
        threads[i] = coroutine.create(function()
          results[i] = { host.run(loaded.flows[1], i, false, nil, b) }
        end)
        assert(coroutine.resume(threads[i]))
      end
      assert(coroutine.resume(threads[0]))
      assert(coroutine.resume(threads[1]))
      assert.same({ "a1", "a2" }, backends[0].logs)
      assert.same({ "b1", "b2", "pipeline.lua:5: x" }, backends[1].logs)
      assert.equal("succeeded", results[0][1])
      assert.equal("pipeline.lua:5: x", results[1][4])
    end))
  end)
end)

describe("a node that waits", function()
  teardown(script.clean)

  local body = [[
f.a = flow.lua { inline = true, run = function(ctx) ctx:sleep(1) print "mine" end }
f.b = flow.shell { "true", retry_on = function() print "retry_on" end,
  merge = function() print "merge" return 1 end, when = function() print "when" return true end }]]

  it("is told nothing that others print meanwhile", function()
    assert(script.load(script.flow(body), nil, function(loaded)
      local b, other = script.backend(), script.backend()
      b.sleep = function() coroutine.yield() end
      local thread = coroutine.create(function() host.run(loaded.flows[1], 0, false, nil, b) end)
      assert(coroutine.resume(thread))
      local told = printed(function()
        host.retry_on(loaded.flows[1], 1, { error = "x" })
        host.merge(loaded.flows[1], 1, "k", { "1", "2" })
        host.when(loaded.flows[1], 1, nil, other)
        require("flow.context").print "no node"
      end)
      assert(coroutine.resume(thread))
      assert.equal("retry_on\nmerge\nno node\n", told)
      assert.same({ "when" }, other.logs)
      assert.same({ "mine" }, b.logs)
    end))
  end)

  it("goes on with its own print when waiting fails", function()
    local b = script.backend()
    b.sleep = function() error("cannot wait", 0) end
    assert(script.load(script.flow [[
f.a = flow.lua { run = function(ctx) print(pcall(ctx.sleep, ctx, 1)) end }]], nil, function(loaded)
      assert.equal("succeeded", (host.run(loaded.flows[1], 0, false, nil, b)))
      assert.same({ "false\tcannot wait" }, b.logs)
    end))
  end)
end)

describe("the script decides", function()
  teardown(script.clean)

  local function ask(body, fn, options)
    assert(script.load(script.flow(body, options), nil, fn))
  end

  it("when a node runs", function()
    local rows = {
      { "function(ctx) return ctx.vars.x == 1 end", true }, { "function() end", false },
        { "false", false },
      { "'{{vars.x == 1}}'", true }, { "'{{vars.x > 1}}'", false }, { "'{{vars.x}}'", true },
      { "'{{vars.flag}}'", false }, { "'{{vars.x > 0}} '", true },
        { "'{{vars.x}}{{vars.x}}'", nil },
    }
    for _, row in ipairs(rows) do
      ask(('f.a = flow.shell { "true", when = %s }'):format(row[1]), function(loaded)
        local ok, yes = pcall(host.when, loaded.flows[1], 0, nil,
          script.backend { vars = { x = 1, flag = false } })
        assert.equal(row[2] ~= nil, ok, row[1])
        if ok then
          assert.equal(row[2], yes, row[1])
        else
          assert.equal("pipeline.lua:3: f.a.when: expected {{ }} or a text that gives true or "
            .. "false, got "
            .. '"11"', yes)
        end
      end)
    end
    ask('f.a = flow.shell { "true", when = "{{vars.y}}" }', function(loaded)
      local _, message = pcall(host.when, loaded.flows[1], 0, nil, script.backend())
      assert.equal("pipeline.lua:3: f.a.when: template {{ vars.y }}: unknown name vars.y", message)
    end)
    ask('f.a = flow.shell { "true", when = function() error "no" end }', function(loaded)
      local _, message = pcall(host.when, loaded.flows[1], 0, nil, script.backend())
      assert.equal("pipeline.lua:3: no", message)
    end)
  end)

  it("what is retried", function()
    local failure = { status = "failed", exit_code = 3, error = "HTTP 503 from x", attempt = 1 }
    local rows = {
      { "nil", true }, { "{ 3, 4 }", true }, { "{ 4 }", false }, { "3", true },
        { "'50[234]'", true },
      { "'^x'", false }, { "function(e) return e.exit_code == 3 and e.attempt < 2 end", true },
      { "function(e) return e.status ~= 'failed' end", false },
    }
    for _, row in ipairs(rows) do
      ask(('f.a = flow.shell { "true", retry_on = %s }'):format(row[1]), function(loaded)
        assert.equal(row[2], host.retry_on(loaded.flows[1], 0, failure), row[1])
      end)
    end
    ask('f.a = flow.shell { "true" }', function(loaded)
      assert.is_false(host.retry_on(loaded.flows[1], 0, failure))
    end, "{ defaults = { retry_on = { 9 } } }")
  end)

  it("how vars of two parents become one", function()
    local rows = {
      { "'first'", "1" }, { "'last'", "3" },
        { "function(k, v) return { k, #v, v[2] } end", '["key",3,2]' },
    }
    for _, row in ipairs(rows) do
      ask(('f.a = flow.shell { "true", merge = %s }'):format(row[1]), function(loaded)
        assert.equal(row[2], host.merge(loaded.flows[1], 0, "key", { "1", "2", "3" }))
      end)
    end
  end)

  it("what a run's parameters are", function()
    ask('f.a = flow.shell { "true" }', function(loaded)
      assert.equal('{"n":3,"s":"x"}', host.params(loaded.flows[1]))
      assert.equal('{"n":4,"s":"5"}', host.params(loaded.flows[1], { "n=4", "s=5" }))
      assert.equal('{"n":6,"s":"x"}', host.params(loaded.flows[1], nil, '{"n":6}'))
      local ok, message = pcall(host.params, loaded.flows[1], { "m=1" })
      assert.is_false(ok)
      assert.equal("m: unknown parameter of flow f; it has n, s", message)
    end, '{ params = { n = { "integer", default = 3, min = 1 }, s = "x" } }')
  end)

  it("what is drawn", function()
    ask('f.a = flow.shell { "true" }\nf.b = flow.lua { run = print }', function(loaded)
      assert.same({ { name = "a", type = "shell" }, { name = "b", type = "lua" } },
        host.draw(loaded.flows[1]))
      assert.equal("pipeline.lua:4", host.place(loaded.flows[1], 1))
    end)
  end)
end)

describe("a problem with an option", function()
  teardown(script.clean)

  it("that code has caught is not said of what fails later", function()
    assert(script.load([[
local flow = require "flow"
flow.node_type { name = "lazy", params = { a = { "string" } }, run = function() end,
  expand = function(_, p)
    local ok, problem = pcall(function() return p.a end)
    error(tostring(problem) .. (ok and " found" or " is missing; "), 0)
  end }
local f = flow.dag "f"
f.n = flow.lazy { a = "{{ vars.none }}" }
return f
]], nil, function(loaded)
      local ok, err = pcall(host.expand, loaded.flows[1], 0, nil, script.backend())
      assert.is_false(ok)
      assert.truthy(err:find("^template {{ vars%.none }}: .* is missing.*at pipeline%.lua:5"), err)
    end))
  end)
end)

describe("a name that is not there", function()
  teardown(script.clean)

  local body = [[
f.parent = flow.lua { run = function() end }
f.other = flow.lua { run = function() end }
f.a = flow.lua { after = "parent", run = function(ctx)
  return %s
end }]]

  local function read(what, facts, language)
    local result
    local text = script.flow(body:format(what), "{ params = { day = 'x', free = { 'string' } } }")
    assert(script.load(text, { language = language },
      function(loaded) result = script.run(loaded, "a", facts) end))
    return result
  end

  local rows = {
    { "of a node that it does not depend on", "ctx.inputs.other",
      'ctx.inputs.other: "other" is not in the `after` of this node; there is parent' },
    { "of no node", "ctx.inputs.parnt",
      'ctx.inputs.parnt: "parnt" is no node; did you mean "parent"?' },
    { "of no param", "ctx.params.dya",
      'ctx.params.dya: flow f has no such param; did you mean "day"?' },
    { "of no field", "ctx.var.x",
      'ctx.var: ctx has nothing of this name; did you mean "vars"?' },
    { "of no function", "ctx:slep(1)",
      'ctx.slep: ctx has nothing of this name; did you mean "sleep"?' },
  }
  for _, row in ipairs(rows) do
    it(row[1] .. " is an error of its line, and was nothing before", function()
      local result = read(row[2])
      assert.equal("failed", result.status)
      assert.equal("pipeline.lua:6: " .. row[3], result.error)
      result = read(row[2]:gsub("%.x$", ""):gsub("%(1%)$", ""):gsub(":slep", ".slep"), nil, 1)
      assert.same({ "succeeded", nil }, { result.status, result.outputs })
    end)
  end

  it("is nothing where there only is no value", function()
    assert.same({ "succeeded", nil }, { read("ctx.inputs.parent").status,
      read("ctx.inputs.parent").outputs })
    assert.equal("succeeded", read("ctx.params.free").status)
    assert.equal("succeeded", read("ctx.item").status)
    assert.equal('{"parent":{}}', read("ctx.inputs", { inputs = { parent = {} } }).outputs)
  end)

  it("is one of a node that was not selected", function()
    local facts = { run = { id = "r1", left_out = { "parent" } } }
    assert.equal('pipeline.lua:6: ctx.inputs.parent: node "parent" was not selected (--only, '
      .. "--from), so that it gave nothing", read("ctx.inputs.parent", facts).error)
    facts.inputs = { parent = 1 }
    assert.equal("1", read("ctx.inputs.parent", facts).outputs)
  end)

  it("may be a function of ctx that is called without a colon", function()
    assert.equal("pipeline.lua:6: ctx.log: call it with a colon: ctx:log(...)",
      read("ctx.log('x') and 1").error)
    assert.equal("pipeline.lua:5: f.a: ctx.log: call it with a colon: ctx:log(...)",
      read("ctx.log 'x'").error) -- a tail call leaves no line
  end)
end)

describe("when", function()
  teardown(script.clean)

  local function decide(when, found, language)
    local result
    local text = 'f.p = flow.shell "true"\nf.a = flow.shell { "true", after = "p", when = %s }'
    assert(script.load(script.flow(text:format(when)), { language = language }, function(loaded)
        local ok, value = pcall(host.when, loaded.flows[1], 1, nil,
          script.backend { inputs = { p = { found = found } } })
        result = ok and value or not ok and (value:gsub("^.-when: ", "")) or false
      end))
    return result
  end

  it("takes a text for what it says, as a process gives it", function()
    for _, when in ipairs { '"{{ inputs.p.found }}"',
      "function(ctx) return ctx.inputs.p.found end" } do
      assert.is_false(decide(when, "false"))
      assert.is_true(decide(when, "true"))
      assert.is_true(decide(when, 0))
      assert.is_false(decide(when, json.null))
      assert.equal('expected true or false, got "maybe"', decide(when, "maybe"))
      assert.is_true(decide(when, "false", 1))
    end
  end)
end)
