-- Scripts: what they return, what they find with require, and what their snapshot holds.
local fs = require "fs"
local host = require "flow.host"
local json = require "json"
local script = require "support.script"

describe("a script", function()
  teardown(script.clean)

  it("that returns nothing is simply run, with its arguments", function()
    local loaded = assert(script.load("result_of_spec = { n = select('#', ...), arg[0], arg[1], "
      .. "(...) }",
      { args = { "x", "y" } }))
    assert.is_true(loaded.ran)
    assert.same({}, loaded.flows)
    assert.same({ n = 2, "pipeline.lua", "x", "x" }, _G.result_of_spec)
    _G.result_of_spec = nil
  end)

  it("that forgot its `return` is told so", function()
    local loaded = assert(script.load('local flow = require "flow"\nlocal f = flow.dag "f"\nf.a = '
      .. 'flow.shell { "true" }'))
    assert.is_true(loaded.ran)
    assert.equal("pipeline.lua:2: flow f is defined, but the script returns nothing: end it with "
      .. "`return`", loaded.notice)
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
  end)

  it("prints to stdout while it is loaded", function()
    local seen = {}
    local stdout = io.stdout
    io.stdout = { write = function(_,
      ...) seen[#seen + 1] = table.concat { ... } end }
    local ok, err = pcall(script.load, "print('a', 1)")
    if ok then ok, err = pcall(script.load, "print 'b' io.write 'c'", { worker = true }) end
    io.stdout = stdout
    assert.is_true(ok, err)
    assert.same({ "a\t1\n" }, seen)
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
      timeout_ms = 3600000, max_runs = 2, has_adviser = 0, policy = "stop", durability = "group",
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
      .. '~= nil, f.b == nil } end }'),
      nil, function(loaded) assert.equal('[["a"],true,true]', script.run(loaded, "a").outputs) end))
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
    assert.same({ true }, outputs { ["pipeline.lua"] = script.flow [[
local ok = pcall(require, "lfs")
f.a = flow.lua { run = function() return { type(ok) == "boolean" } end }]] })
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
