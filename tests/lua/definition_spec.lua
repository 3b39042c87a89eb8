-- When a node's definition counts as changed: what it does, not how it is written.
local host = require "flow.host"
local options = require "flow.options"
local script = require "support.script"

-- The definition of node "a" of a script with this body.
local function definition(body, given)
  local text
  assert(script.load(script.flow(body, given), nil, function(loaded)
    text = host.definition(loaded.flows[1], 0)
  end))
  return text
end

local function same(one, other, ...) assert.equal(definition(one, ...), definition(other, ...)) end
local function differs(one, other)
  assert.not_equal(definition(one), definition(other))
end

local run = "f.a = flow.lua { run = function(ctx) %s end }"

describe("a definition is the same", function()
  teardown(script.clean)

  it("whatever its layout, comments and place", function()
    same("f.a = flow.lua { run = function(ctx) return { n = 1 } end }",
      "-- more\n\n\nf.a = flow.lua {\n  run = function(ctx) -- why\n    return { n = 1 }\n  end,"
        .. "\n}")
    same('f.a = flow.shell { "echo x", env = { A = "1", B = "2" } }',
      'f.a = flow.shell { env = { B = "2", A = "1" }, "echo x" }')
  end)

  it("whatever the names of its locals", function()
    same(run:format "local one = 1 return one", run:format "local two = 1 return two")
  end)

  it("whenever and however often it is tried", function()
    same('f.a = flow.shell { "x" }', 'f.a = flow.shell { "x", retries = 3, timeout = "1h", '
      .. 'retry_delay = 5, priority = 2, grace = 1, tags = { "t" }, doc = "d", '
      .. 'trigger = "all_done" }')
  end)

  it("after its functions ran and were compiled", function()
    local body = "local function sum(n) local s = 0 for i = 1, n do s = s + i end return s end\n"
      .. "%s f.a = flow.lua { run = function(ctx) return { s = sum(3) } end }"
    same(body:format "", body:format "for i = 1, 1000 do sum(1000) end")
  end)

  it("with constants of every kind", function()
    local body = run:format 'return { 1, 2.5, "x", nil, true, { a = { 3 } }, 5LL, {}, -0 }'
    same(body, body)
  end)
end)

describe("a definition differs", function()
  teardown(script.clean)

  it("with its type, its text, its options", function()
    differs('f.a = flow.shell { "x" }', 'f.a = flow.shell { "y" }')
    differs('f.a = flow.shell { "x" }', 'f.a = flow.exec { "x" }')
    differs('f.a = flow.shell { "x" }', 'f.a = flow.shell { "x", env = { A = "1" } }')
    differs('f.a = flow.shell { "x", cwd = "/" }', 'f.a = flow.shell { "x", cwd = "/tmp" }')
  end)

  it("with what its function does", function()
    differs(run:format "return 1", run:format "return 2")
    differs(run:format 'return "a"', run:format 'return "b"')
    differs(run:format "return ctx.vars.a", run:format "return ctx.vars.b")
    differs(run:format "return { a = 1 }", run:format "return { a = 2 }")
    differs(run:format "return function() return 1 end",
      run:format "return function() return 2 end")
  end)

  it("with what its function closes over", function()
    local body = "local limit = %s\nf.a = flow.lua { run = function(ctx) return limit end }"
    differs(body:format "1", body:format "2")
    differs(body:format "{ 1, 2 }", body:format "{ 1, 3 }")
    local helper = "local function help() return %d end\n"
      .. "f.a = flow.lua { run = function(ctx) return help() end }"
    differs(helper:format(1), helper:format(2))
  end)

  it("with the node inside a map", function()
    local body = 'f.a = flow.map { over = { 1 }, node = flow.shell { "%s" } }'
    differs(body:format "x", body:format "y")
    same(body:format "x", body:format "x")
  end)

  it("with the defaults of its flow that change what it does", function()
    local a = 'f.a = flow.shell { "x" }'
    assert.not_equal(definition(a, '{ defaults = { env = { A = "1" } } }'),
      definition(a, '{ defaults = { env = { A = "2" } } }'))
    assert.equal(definition(a, "{ defaults = { retries = 1 } }"), definition(a))
  end)
end)

describe("an option of every node", function()
  teardown(script.clean)

  local bare = "f.a = flow.lua { run = print }"

  -- Another value than the default; true where it says what the node does.
  local rows = {
    after = { '"b"' }, trigger = { '"all_done"' }, when = { '"{{ vars.x }}"', true },
    merge = { '"last"', true }, retries = { "1" }, retry_delay = { "9" }, retry_backoff = { "2" },
    retry_max_delay = { "9" }, retry_jitter = { "1" }, retry_on = { "{ 1 }" }, max_lost = { "1" },
    timeout = { "9" }, deadline = { "9" }, grace = { "9" }, priority = { "9" }, pool = { '"p"' },
    weight = { "2" }, env = { "{ A = 1 }", true }, cwd = { '"/"', true },
    allow_failure = { "true" }, inline = { "true" }, tags = { '{ "t" }' }, doc = { '"d"' },
  }
  local body = 'f.b = flow.shell { "true" } f.a = flow.lua { run = print, %s }'

  local function with(name, v)
    local text
    assert(script.load(script.flow(body:format(("%s = %s"):format(name, v))), nil, function(loaded)
      text = host.definition(loaded.flows[1], 1)
    end))
    return text
  end

  it("makes another definition when it says what the node does, and only then", function()
    local plain = with("doc", '""')
    for _, spec in ipairs(options.node) do
      local row = assert(rows[spec.name], spec.name)
      assert.equal(row[2] or false, with(spec.name, row[1]) ~= plain, spec.name)
    end
  end)

  it("that says what the node does counts as well where the flow's defaults give it", function()
    for name, row in pairs(rows) do
      if row[2] and not options.node[name].by_node then
        local given = ("{ defaults = { %s = %s } }"):format(name, row[1])
        assert.not_equal(definition(bare), definition(bare, given), name)
      end
    end
  end)

  it("does not hide an option of its type that has the same name as a map's", function()
    local types = 'flow.node_type { name = "part", params = { limit = { "integer" } }, '
      .. 'run = print }\nf.a = flow.part { limit = %d }'
    differs(types:format(1), types:format(2))
  end)
end)
