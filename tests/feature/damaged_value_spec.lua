-- A stored value that is not what was stored: the engine stops, and no node has failed by it.
local support = require "tests.feature.support"

local box

local function change(sql)
  local done = box:sh(("sqlite3 '%s/flowlua.db' \"%s\""):format(box.state, sql))
  assert.equal(0, done.code, done.err)
end

local function damage() change [[UPDATE value SET text = replace(text, 'one', 'two')]] end
local function mend() change [[UPDATE value SET text = replace(text, 'two', 'one')]] end

local function run(body)
  return box:script(('local flow = require "flow"\nlocal f = flow.dag("f")\n%s\nreturn f\n')
    :format(body))
end

local function is_refused(...)
  local done = box:run { ... }
  assert.equal(3, done.code, done.out .. done.err)
  assert.matches("is damaged", done.err, 1, true)
  assert.not_matches("resume:", done.err, 1, true)
  return done
end

local first = [[
  local function ready() if not require "fs".exists "ok" then error "not yet" end end
  f.a = flow.lua { inline = true, run = function() return { x = "one" } end }
]]
local kinds = {
  { "a worker", [[f.b = flow.lua { after = "a", run = function(ctx) ready()
      return ctx.inputs.a.x end }]] },
  { "inline code", [[f.b = flow.lua { inline = true, after = "a", run = function(ctx) ready()
      return ctx.inputs.a.x end }]] },
  { "a command", [[f.b = flow.shell { after = "a", capture = "text",
      "test -e ok && echo {{inputs.a.x}}" }]] },
  { "a process", [[f.b = flow.shell { after = "a", capture = "text", "test -e ok && echo one" }]] },
  { "a map", [[f.b = flow.map { after = "a", over = function(ctx) ready()
      return { ctx.inputs.a.x } end, run = function(ctx) return ctx.item end }]] },
  { "a call", [[local sub = flow.dag("sub", { params = { p = "" } })
      sub.x = flow.lua { run = function(ctx) ready() return ctx.params.p end }
      f.b = flow.call { after = "a", flow = "sub",
        params = function(ctx) return { p = ctx.inputs.a.x } end }
      f = { f, sub }]] },
}

describe("a damaged value", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  for _, kind in ipairs(kinds) do
    it("that " .. kind[1] .. " needs stops the engine, and fails no node", function()
      local body = first .. kind[2]
      local done = kind[1] == "a call" and box:run { box:write("flow.lua",
        'local flow = require "flow"\nlocal f = flow.dag("f")\n' .. body .. "\nreturn f\n"),
        "--flow", "f" } or run(body)
      assert.equal(1, done.code, done.out .. done.err)
      damage()
      box:write("ok", "")
      local failed = box:sql_value "SELECT count(*) FROM v_attempt WHERE status = 'failed'"
      is_refused("resume", "last", "--no-progress")
      assert.equal(failed,
        box:sql_value "SELECT count(*) FROM v_attempt WHERE status = 'failed'")
      -- The value is as it was again: nothing else is in the way.
      mend()
      done = box:run { "resume", "last", "--no-progress" }
      assert.equal(0, done.code, done.out .. done.err)
      assert.equal("succeeded", box:show().node.b.status)
    end)
  end

  it("that an item is stops the engine", function()
    assert.equal(1, run [[f.m = flow.map { over = function() return { "one", "three" } end,
      run = function() if not require "fs".exists "ok" then error "not yet" end end }]].code)
    damage()
    box:write("ok", "")
    is_refused("resume", "last", "--no-progress")
  end)

  it("that a checkpoint or a step is stops the engine", function()
    for _, save in ipairs { "ctx:checkpoint { x = 'one' }", "ctx:step('s', function() "
      .. "return { x = 'one' } end)" } do
      assert.equal(1, run(([[f.a = flow.lua { run = function(ctx) ctx:restored() %s
        if not require "fs".exists "ok" then error "not yet" end end }]]):format(save)).code)
      damage()
      change [[UPDATE checkpoint SET text = replace(text, 'one', 'two')]]
      box:write("ok", "")
      is_refused("resume", "last", "--no-progress")
      os.remove(box.path .. "/ok")
    end
  end)

  it("that a replay needs ends it, and it is not said to be equal", function()
    assert.equal(0, run(first .. [[
      f.b = flow.lua { after = "a", run = function(ctx) return ctx.inputs.a.x end }]]).code)
    damage()
    local done = is_refused("replay", "last", "--no-progress")
    assert.not_matches("equal", done.out, 1, true)
  end)
end)
