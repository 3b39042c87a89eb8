-- Scripts: what they return, what they find with require, and what their snapshot holds.
local fs = require "fs"
local host = require "flow.host"
local json = require "json"
local script = require "support.script"

describe("a script", function()
  teardown(script.clean)

  it("that returns nothing is simply run, with its arguments", function()
    local loaded = assert(script.load(
      "package.loaded.result_of_spec = { n = select('#', ...), arg[0], arg[1], "
      .. "(...) }",
      { args = { "x", "y" } }))
    assert.is_true(loaded.ran)
    assert.same({}, loaded.flows)
    assert.same({ n = 2, "pipeline.lua", "x", "x" }, package.loaded.result_of_spec)
    package.loaded.result_of_spec = nil
  end)

  it("that forgot its `return` is told so", function()
    local loaded, message = script.load('local flow = require "flow"\nlocal f = flow.dag "f"\n'
      .. 'f.a = flow.shell { "true" }')
    assert.is_nil(loaded)
    assert.equal("pipeline.lua:2: f: is defined, but the script returns no flow: end it with "
      .. "`return f`", message)
  end)

  it("that a run keeps is read whatever is wrong with its schedule today", function()
    local text = script.flow('f.a = flow.shell "true"',
      '{ schedule = { flow.cron "0 0 30 2 *", flow.cron("@daily", { tz = "Gone/Zone" }), '
      .. 'flow.cron("@hourly", { calendar = function() error("no list of next year", 0) end }) } }')
    local loaded, message = script.load(text)
    assert.is_nil(loaded)
    assert.matches("f%.schedule%[1%]: .* names no instant in 50 years", message)
    loaded = assert(script.load({}, { dir = ".", sources = { ["pipeline.lua"] = text } }))
    assert.equal("f", loaded.flows[1].key)
    local names = {}
    for i, rule in ipairs(loaded.flows[1].info.rules) do names[i] = rule.name end
    assert.same({ "1", "3" }, names) -- what can be asked
  end)

  it("of before has nodes that are heavier than their pool", function()
    local text = script.flow('f.a = flow.shell { "true", pool = "p", weight = 2 }',
      "{ pools = { p = 1 } }")
    local loaded, message = script.load(text)
    assert.is_nil(loaded)
    assert.equal("pipeline.lua:3: f.a.weight: expected at most 1, the capacity of pool 'p', got 2",
      message)
    assert(script.load({}, { dir = ".", language = 0, sources = { ["pipeline.lua"] = text } }))
  end)

  it("may begin with #!", function()
    assert.is_true(assert(script.load("#!/usr/bin/env flowlua\nlocal x = 1")).ran)
    local _, message = script.load "#!/usr/bin/env flowlua\nlocal = 1"
    assert.equal("pipeline.lua:2: '<name>' expected near '='", message)
  end)

  it("is text, not bytecode", function()
    local _, message = script.load(string.dump(function() end))
    assert.equal("pipeline.lua: expected Lua text, got bytecode", message)
  end)

  it("that is not there is told", function()
    local _, message = script.load({}, { dir = script.folder {} })
    assert.equal("cannot read 'pipeline.lua'", message)
  end)

  it("returns one flow or a list in its order", function()
    local two = 'local flow = require "flow"\nlocal a, b = flow.dag "a", flow.dag "b"\n'
      .. 'a.x = flow.shell { "1" }\nb.x = flow.shell { "1" }\n'
    local loaded = assert(script.load(two .. "return { b, a }"))
    assert.same({ "b", "a" }, { loaded.flows[1].key, loaded.flows[2].key })
    assert.equal(2, loaded.returned)
    assert.equal(1, #assert(script.load(two .. "return a")).flows)
    local both = assert(script.load(two .. "return b, a"))
    assert.same({ "b", "a" }, { both.flows[1].key, both.flows[2].key })
    local _, message = script.load(two .. "return a, 5")
    assert.equal("pipeline.lua: expected the script to return a flow or a list of flows, got 5 at "
      .. "position 2", message)
  end)

  it("may give a node its main thing alone", function()
    local loaded = assert(script.load('local flow = require "flow"\nlocal f = flow.dag "f"\n'
      .. 'f.a = flow.shell "make"\nf.b = flow.lua(function() end)\nreturn f'))
    assert.equal(2, #loaded.flows[1].nodes)
  end)

  it("prints to stderr while it is loaded, in a worker not at all", function()
    local seen, stderr = {}, io.stderr
    io.stderr = { write = function(_, ...) seen[#seen + 1] = table.concat { ... } end }
    local text = "print('a', 1) io.write('b', 2) io.stdout:write 'c' io.output():write 'd' "
      .. "require 'flow'"
    local ok, err = pcall(script.load, text)
    if ok then ok, err = pcall(script.load, text, { worker = true }) end
    io.stderr = stderr
    assert.is_true(ok, err)
    assert.same({ "a\t1\n", "b2", "c", "d" }, seen)
  end)

  it("may not end the process", function()
    local _, message = script.load("require 'flow'\nos.exit(3)")
    assert.equal("pipeline.lua:2: os.exit would end the command that reads this script: return, or "
      .. "call error(why)", message)
  end)

  it("is told which module of ours it uses without requiring it", function()
    local _, message = script.load("\nlocal f = flow.dag 'f'\nreturn f")
    assert.equal("pipeline.lua:2: attempt to index global 'flow' (a nil value); add: local flow = "
      .. 'require "flow"', message)
  end)
end)

describe("a function that assigns outside of itself", function()
  teardown(script.clean)

  local function notices(body)
    return assert(script.load(script.flow("local n, m = 0, {}\n" .. body))).notices
  end
  local ends = ": whether other nodes see that depends on the worker that executes them; keep "
    .. "values in ctx.vars or the outputs"

  it("is told once, with the names", function()
    assert.same({ "pipeline.lua:5: f.n1.run: assigns to the outer local n and the global leaked"
      .. ends, "pipeline.lua:7: f.w.when: assigns to the global inner" .. ends }, notices [[
for i = 1, 3 do
  f["n" .. i] = flow.lua(function() n = n + 1 leaked = n end)
end
f.w = flow.lua { run = function() m.x = 1 end, when = function(ctx)
  return (function() inner = 1 end)() end }]])
  end)

  it("is one whose own locals do not count", function()
    assert.same({}, notices [[
f.a = flow.lua(function()
  local k, t = n, {}
  for i = 1, 3 do k = k + i t[i] = k end
  local function add() k = k + 1 m[k] = k end
  return add
end)]])
  end)
end)

describe("the globals of a script", function()
  teardown(script.clean)

  -- What node "a" gives, with a module beside the script.
  local function given(body, module)
    local result
    local text = 'local helper = require "helper"\n' .. script.flow(body)
    assert(script.load({ ["pipeline.lua"] = text, ["helper.lua"] = module or "return {}" }, nil,
      function(loaded) result = script.run(loaded, "a") end))
    return result.outputs or result.error
  end

  it("are its own: none that it sets changes the language", function()
    assert.equal('["2023-11-14",true,"a"]', given [=[
local names, require, all = {}, require, _G
for name in pairs(all) do names[#names + 1] = name end
for i = 1, #names do all[names[i]] = i end
f.b = require "flow".shell { "echo {{ run.date }} {{ 1 + 1 }}" }
f.a = require "flow".lua { after = "b", run = function(ctx)
  ctx:log { 1 }
  return { ctx.run.date, ctx.inputs.b == nil, ("a"):rep(1) }
end }]=])
  end)

  it("are those of its modules, and of code that it makes", function()
    assert.equal("[1,2,3,true]", given([[
one = helper.one()
loadstring "two = 2"()
load(function() local text = more; more = nil; return text end)()
f.a = flow.lua { run = function() return { one, two, three, _G._G == _G } end }]],
      'more = "three = 3" return { one = function() return more and 1 end }'))
    assert.is_nil(_G.two)
    assert.is_nil(_G.three)
  end)

  it("are not lost where their names are Lua's", function()
    local body = [[
tostring = function(v) return "<" .. v .. ">" end
f.a = flow.lua { run = function() arg = 1 mine = 2 return { tostring(arg), mine, %s } end }]]
    assert.equal('["<1>",2,3]', given(body:format "#'abc'"))
    assert.matches("^pipeline.lua:5: select is Lua's own, and other nodes need it: write local "
      .. "select", given(body:format "(function() select = 1 end)()"))
  end)

  it("may be made strict", function()
    assert.equal("pipeline.lua:5: no x\n  at pipeline.lua:4 in __index\n  at pipeline.lua:5 in run",
      given([[
setmetatable(_G, { __index = function(_, name) error("no " .. name, 2) end })
f.a = flow.lua { run = function() return type(x) end }]]))
  end)
end)

describe("a flow", function()
  teardown(script.clean)

  it("has what the engine asks for", function()
    local loaded = assert(script.load(script.flow('f.a = flow.shell { "1", pool = "q" }', [[{
      timeout = "1h", max_runs = 2, on_failure_policy = "stop", durability = "group",
      tz = "Asia/Shanghai",
      pools = { db = 2, api = 5 }, vars = { v = 1 }, params = { p = { "integer", default = 1 } },
      on_exit = flow.shell { "echo" },
    }]])))
    local f = loaded.flows[1]
    assert.equal("f", f.key)
    assert.same({
      timeout_ms = 3600000, max_runs = 2, max_depth = 100, has_adviser = 0,
      policy = "stop", durability = "group",
        tz = "Asia/Shanghai",
      pools = { { name = "api", capacity = 5 }, { name = "db", capacity = 2 },
        { name = "q", capacity = 1 } },
      vars_json = '{"v":1}', params_json = '{"p":1}',
    }, f.info)
    assert.equal(2, f.graph:count())
    assert.equal("on_exit", f.graph:name(1))
  end)

  it("keeps the order in which its nodes were declared", function()
    local loaded = assert(script.load(script.flow [[
for _, name in ipairs { "z", "b", "y", "a", "c.1", "d-2", "_e" } do
  f[name] = flow.shell { "true" }
end]]))
    local names = {}
    for i = 0, 6 do names[i + 1] = loaded.flows[1].graph:name(i) end
    assert.same({ "z", "b", "y", "a", "c.1", "d-2", "_e" }, names)
  end)

  it("keeps the order of `after`", function()
    local loaded = assert(script.load(script.flow [[
f.d = flow.shell { "1", after = { "c", "a", "b" } }
f.a = flow.shell { "1" }
f.b = flow.shell { "1" }
f.c = flow.shell { "1", after = f.a }
f.e = flow.shell { "1", after = { f.c, "a" } }]]))
    local g = loaded.flows[1].graph
    assert.same({ 3, 1, 2 }, g:parents(0))
    assert.same({ 1 }, g:parents(3))
    assert.same({ 3, 1 }, g:parents(4))
  end)

  it("has no fields but its nodes", function()
    assert(script.load(script.flow [[
assert(f.nodes == nil and f.key == nil)
f.key = flow.shell { "true" }
f.nodes = flow.shell { "true", after = f.key }
assert(type(f.key) == "table" and f.missing == nil)
assert(flow.key(f) == "f")
assert(table.concat(flow.nodes(f), " ") == "key nodes")
assert(flow.info(f).doc == "what for")]], nil) or script.load(script.flow([[
f.key = flow.shell { "true" }
f.nodes = flow.shell { "true", after = f.key }
assert(flow.key(f) == "f" and flow.info(f).doc == "what for")
assert(table.concat(flow.nodes(f), " ") == "key nodes")]], '{ doc = "what for" }')))
  end)

  it("takes one table of options for several nodes", function()
    local loaded = assert(script.load(script.flow [[
local common = { "true", retries = 1 }
f.a = flow.shell(common)
f.b = flow.shell(common)]]))
    assert.equal(2, loaded.flows[1].graph:count())
  end)

  it("is complete once the script is loaded", function()
    assert(script.load(script.flow('f.a = flow.lua { run = function() f.b = flow.shell { "x" } '
      .. 'end }'), nil,
      function(loaded)
        local result = script.run(loaded, "a")
        assert.equal("failed", result.status)
        assert.equal("pipeline.lua:3: f.b: the flow is complete: nothing can be added",
          result.error:match "^[^\n]*")
      end))
  end)

  it("can be asked for its nodes while it runs", function()
    assert(script.load(script.flow('f.a = flow.lua { run = function() return { flow.nodes(f), f.a '
      .. '~= nil, pcall(function() return f.aa end) } end }'),
      nil, function(loaded)
        assert.equal('[["a"],true,false,"pipeline.lua:3: f.aa: no node of this name; did you mean '
          .. '\\"a\\"?"]', script.run(loaded, "a").outputs)
      end))
  end)
end)

describe("require", function()
  teardown(script.clean)

  local function outputs(files)
    local result
    assert(script.load(files, nil, function(loaded) result = script.run(loaded, "a") end))
    assert.equal("succeeded", result.status, result.error)
    return json.decode(result.outputs)
  end

  it("finds modules beside the script, in folders too", function()
    assert.same({ "one", "two", "three" }, outputs {
      ["pipeline.lua"] = script.flow [[
local list = { require "one", require "lib.two", require "pack" }
f.a = flow.lua { run = function() return list end }]],
      ["one.lua"] = "return 'one'", ["lib/two.lua"] = "return 'two'",
        ["pack/init.lua"] = "return 'three'",
    })
  end)

  it("takes a module beside the script before an embedded one, and flow itself from nowhere else",
    function()
    local own = package.loaded.json
    package.loaded.json = nil
    finally(function() package.loaded.json = own end)
    assert.same({ "mine", true }, outputs {
      ["pipeline.lua"] = script.flow [[
local list = { require "json", require("flow") == flow }
f.a = flow.lua { run = function() return list end }]],
      ["json.lua"] = "return 'mine'", ["flow.lua"] = "return 'wrong'",
        ["flow/dag.lua"] = "return 'wrong'",
    })
  end)

  it("takes C modules of the system", function()
    assert.same({ "directory" }, outputs { ["pipeline.lua"] = script.flow [[
local lfs = require "lfs"
f.a = flow.lua { run = function() return { lfs.attributes("/", "mode") } end }]] })
  end)

  it("finds a module that is required only while a node runs", function()
    assert.equal("late", outputs {
      ["pipeline.lua"] = script.flow("f.a = flow.lua { run = function() return require('late') "
        .. "end }"),
      ["late.lua"] = "return 'late'",
    })
  end)

  it("tells a mistake in a module with its name", function()
    local _, message = script.load { ["pipeline.lua"] = 'require "lib.bad"',
      ["lib/bad.lua"] = "local = 1" }
    assert.equal("lib/bad.lua:1: '<name>' expected near '='\n  at pipeline.lua:1", message)
    _, message = script.load { ["pipeline.lua"] = 'require "lib.bad"',
      ["lib/bad.lua"] = "\nerror 'oops'" }
    assert.equal("lib/bad.lua:2: oops\n  at lib/bad.lua:2\n  at pipeline.lua:1", message)
  end)
end)

describe("the snapshot", function()
  teardown(script.clean)

  local files = {
    ["pipeline.lua"] = 'local helper = require "lib.helper"\nlocal flow = require "flow"\nlocal f '
      .. '= flow.dag "f"\n'
      .. 'f.a = flow.mine {}\nf.b = flow.lua { run = function() return require("late").x end '
        .. '}\nreturn f',
    ["lib/helper.lua"] = 'return require "lib.deeper"',
    ["lib/deeper.lua"] = "return {}",
    ["late.lua"] = "return { x = 1 }",
    ["nodes/mine.lua"] = 'local flow = require "flow"\n'
      .. 'return flow.node_type { name = "mine", run = function() return "first" end }',
    ["unused.lua"] = "return 1",
  }

  it("holds the script first, and what it uses from beside it", function()
    local loaded = assert(script.load(files))
    local paths = {}
    for i, source in ipairs(loaded.sources) do
      paths[i] = source.path
      assert.equal(files[source.path], source.data)
    end
    assert.equal("pipeline.lua", paths[1])
    table.sort(paths)
    assert.same({ "late.lua", "lib/deeper.lua", "lib/helper.lua", "nodes/mine.lua",
      "pipeline.lua" }, paths)
  end)

  it("goes before the disk", function()
    local loaded = assert(script.load(files))
    local sources = {}
    for _, source in ipairs(loaded.sources) do sources[source.path] = source.data end
    local changed = {}
    for path in pairs(files) do changed[path] = "error 'from the disk'" end
    local again = assert(script.load(changed, { sources = sources }, function(l)
      assert.equal('"first"', script.run(l, "a").outputs)
      assert.equal("1", script.run(l, "b").outputs)
    end))
    assert.same(loaded.sources, again.sources)
  end)

  it("is all that is needed", function()
    local loaded = assert(script.load(files))
    local sources = {}
    for _, source in ipairs(loaded.sources) do sources[source.path] = source.data end
    assert(script.load({}, { sources = sources, dir = script.folder {} }))
  end)
end)

describe("FLOWLUA_PATH", function()
  teardown(script.clean)

  it("is looked at after the script's folder, for modules and node types", function()
    local search = require "flow.search"
    local dir = script.folder {
      ["shared.lua"] = "return 'shared'", ["pack/init.lua"] = "return 'pack'",
        ["mine.lua"] = "return 'not this'",
      ["nodes/far.lua"] = 'local flow = require "flow"\nreturn flow.node_type { name = "far", run '
        .. '= function() return "far" end }',
    }
    local getenv = os.getenv
    os.getenv = function(name) return name == "FLOWLUA_PATH" and dir
      or getenv(name) end
    local ok, err = pcall(function()
      assert(script.load({
        ["pipeline.lua"] = script.flow [[
local list = { require "shared", require "pack", require "mine" }
f.a = flow.lua { run = function() return list end }
f.b = flow.far {}]], ["mine.lua"] = "return 'mine'" }, nil, function(loaded)
          assert.equal('["shared","pack","mine"]', script.run(loaded, "a").outputs)
          assert.equal('"far"', script.run(loaded, "b").outputs)
          assert.equal(2, #loaded.sources)
        end))
    end)
    os.getenv = getenv
    for _, name in ipairs { "shared", "pack" } do package.loaded[name] = nil end
    assert.is_true(ok, err)
    assert.is_function(search.install)
    assert.is_table(host)
    assert.is_true(fs.exists(dir))
  end)
end)
