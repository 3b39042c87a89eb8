-- replay: a run again, with the script, the contexts and the recorded values that it had.
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

local function succeeds(body, options, ...)
  local done = run(body, options, ...)
  assert.equal(0, done.code, done.out .. done.err)
  return box:show()
end

-- Replays `what` (default: the last run); returns the result, the new run, and what was compared.
local function replay(what, ...)
  local done = box:run { "replay", what or "last", "--json", ... }
  local events = support.decode_lines(done.out)
  local compared = events[#events]
  assert.is_table(compared, done.err)
  assert.equal("replay_compared", compared.event, done.out .. done.err)
  local results = {}
  for _, entry in ipairs(compared.replay) do results[entry.node] = entry.result end
  return done, box:show(compared.run), results, compared
end

local function count_runs() return tonumber(box:sql_value "SELECT count(*) FROM run") end

describe("a replay", function()
  each_test()

  it("gives ctx:now, random and uuid again, inline and in workers, also to a replay of it",
    function()
      local first = succeeds([[
        local function make(ctx)
          ctx.vars["k" .. ctx:random(5)] = ctx:random()
          return { t = ctx:now(), r = ctx:random(1000), u = ctx:uuid() }
        end
        f.inline = flow.lua { inline = true, run = make }
        f.worker = flow.lua { after = "inline", run = make }
        f.late = flow.lua { after = "worker", run = make,
          when = function(ctx) return ctx:random() >= 0 end }
        f.each = flow.map { after = "worker", limit = 2, merge = "last", run = make,
          over = function(ctx) return { ctx:random(1000), ctx:random(1000) } end }
        f.shell = flow.shell { after = "late", capture = "text",
          "echo $FLOWLUA_TIME {{run.date}} {{inputs.late.u}} {{params.n}}" }
      ]], "{ params = { n = 1 } }", "--at", "2026-01-31", "--param", "n=7")
      local again = first
      for _ = 1, 2 do
        local before = again
        local done, now, results, compared = replay()
        again = now
        assert.equal(0, done.code)
        assert.is_true(compared.equal)
        assert.equal(before.run.id, again.run.replay_of)
        for name, node in pairs(first.node) do
          assert.equal("equal", results[name], name)
          assert.same(node.outputs, again.node[name].outputs)
          assert.same(node.vars, again.node[name].vars)
        end
        assert.equal("replay", again.run.trigger)
        assert.same({ n = 7 }, again.run.params)
        assert.equal(first.run.time, again.run.time)
        assert.equal(first.run.version, again.run.version)
      end
    end)

  it("needs neither the script's file nor those of its modules", function()
    box:write("part.lua", "return { answer = 42 }")
    local first = succeeds [[
      local part = require "part"
      f.a = flow.lua { run = function() return part.answer end }
      f.b = flow.lua { after = "a", run = function(ctx)
        return { a = ctx.inputs.a, late = require "part".answer } end }
    ]]
    assert.is_true(os.remove(box.path .. "/flow.lua"))
    box:write("part.lua", "return { answer = 43 }")
    local done, again, results = replay()
    assert.equal(0, done.code, done.err)
    assert.same({ a = "equal", b = "equal" }, results)
    assert.same({ a = 42, late = 42 }, again.node.b.outputs)
    assert.equal(first.run.version, again.run.version)
  end)

  local reads_file = [[
    f.a = flow.shell { "cat data", capture = "text" }
    f.b = flow.lua { after = "a", run = function(ctx)
      ctx.vars.seen = ctx.inputs.a
      return { a = ctx.inputs.a } end }
    f.c = flow.shell { after = "b", capture = "text", "cat $FLOWLUA_CONTEXT" }
  ]]

  it("lets nodes see what they saw, though a parent gives something else today", function()
    box:write("data", "one")
    local first = succeeds(reads_file)
    box:write("data", "two")
    local done, again, results, compared = replay()
    assert.equal(0, done.code, done.err)
    assert.same({ a = "different", b = "equal", c = "different" }, results)
    assert.is_false(compared.equal)
    assert.equal("two", again.node.a.outputs)
    assert.same(first.node.b.outputs, again.node.b.outputs)
    -- c prints its whole context, which names its own run.
    local seen = support.decode(again.node.c.outputs)
    assert.equal("one", seen.inputs.b.a)
    assert.equal("one", seen.vars.seen)
    assert.equal(again.run.id, seen.run.id)
    -- What it saw is what `context` says, of the replay and of a replay of that.
    for _ = 1, 2 do
      local context = support.decode(box:run({ "context", "last", "b", "--json" }).out)
      assert.equal("one", context.inputs.a)
      local _, third = replay()
      assert.same({ a = "one" }, third.node.b.outputs)
    end
  end)

  it("with --live lets them see what the parents give", function()
    box:write("data", "one")
    succeeds(reads_file)
    box:write("data", "two")
    local done, again, results = replay("last", "--live")
    assert.equal(0, done.code, done.err)
    assert.same({ a = "different", b = "different", c = "different" }, results)
    assert.same({ a = "two" }, again.node.b.outputs)
    local context = support.decode(box:run({ "context", "last", "b", "--json" }).out)
    assert.equal("two", context.inputs.a)
  end)

  it("of a failed run fails in the same way", function()
    local done = run [[
      f.ok = flow.lua { inline = true, run = function() return 1 end }
      f.bad = flow.shell { after = "ok", "exit 7" }
      f.never = flow.shell { after = "bad", "true" }
      f.skipped = flow.shell { when = function() return false end, "true" }
    ]]
    assert.equal(1, done.code)
    local again, shown, results, compared = replay()
    assert.equal(1, again.code)
    assert.is_true(compared.equal)
    assert.same({ ok = "equal", bad = "equal", never = "skipped", skipped = "skipped" }, results)
    assert.equal(7, shown.node.bad.exit_code)
  end)

  it("gives a retried node the context of the attempt that succeeded", function()
    box:write("data", "one")
    local first = succeeds [[
      f.a = flow.lua { retries = 3, retry_delay = 0, run = function(ctx)
        local r = ctx:random()
        if ctx.run.attempt < 3 and require "fs".exists "data" then error "not yet" end
        return r end }
    ]]
    assert.equal(3, first.node.a.attempts)
    os.remove(box.path .. "/data")
    local _, again, results = replay()
    assert.same({ a = "equal" }, results)
    assert.equal(1, again.node.a.attempts)
    assert.equal(first.node.a.outputs, again.node.a.outputs)
  end)

  it("shows each node the params and vars of its own epoch", function()
    local body = [[
      f.a = flow.lua { run = function(ctx) ctx.vars.by_a = 1
        return { n = ctx.params.n, v = ctx.vars.v } end }
      f.b = flow.lua { after = "a", run = function(ctx)
        if not ctx.vars.v then error "no v" end
        return { n = ctx.params.n, v = ctx.vars.v, x = ctx.inputs.a.x, an = ctx.inputs.a.n } end }
    ]]
    assert.equal(1, run(body, "{ params = { n = 1 } }").code)
    local done = box:run { "resume", "last", "--param", "n=2", "--set", "v=3", "--output",
      "a.x=4", "--no-progress" }
    assert.equal(0, done.code, done.out .. done.err)
    assert.same({ n = 2, v = 3, x = 4, an = 1 }, box:show().node.b.outputs)
    local _, again, results, compared = replay()
    assert.same({ n = 1 }, again.node.a.outputs)
    assert.same({ n = 2, v = 3, x = 4, an = 1 }, again.node.b.outputs)
    -- The key x was set by hand: the node itself never gave it.
    assert.same({ a = "different", b = "equal" }, results)
    assert.is_false(compared.equal)
    local told = box:run { "replay", compared.replay_of, "--no-progress" }
    assert.matches("set by hand then", told.out, 1, true)
  end)

  it("leaves out what was left out: by hand, by --only, by a branch", function()
    local body = [[
      f.a = flow.shell { "exit 1" }
      f.b = flow.lua { after = "a", trigger = "all_done", run = function() return 1 end }
      f.pick = flow.branch { after = "b", choose = function() return "left" end }
      f.left = flow.lua { after = "pick", run = function() return "l" end }
      f.right = flow.lua { after = "pick", run = function() return "r" end }
      f.other = flow.shell { "echo x >> other" }
    ]]
    assert.equal(1, run(body, "{}", "--only", "a,b,pick,left,right").code)
    local done = box:run { "resume", "last", "--skip", "a", "--no-progress" }
    assert.equal(0, done.code, done.out .. done.err)
    local first = box:states()
    local again, _, results = replay()
    assert.equal(0, again.code, again.out .. again.err)
    assert.same(first, box:states())
    assert.equal("skipped", first.a)
    assert.equal("skipped", results.other)
    assert.equal("equal", results.left)
    assert.is_false(box:exists "other")
  end)

  it("replays sub-flows, linked to those of then", function()
    box:write("data", "one")
    local first = succeeds([[
      local sub = flow.dag("sub", { params = { p = "" } })
      sub.x = flow.lua { run = function(ctx) return { p = ctx.params.p, r = ctx:random() } end }
      f.a = flow.shell { "cat data", capture = "text" }
      f.call = flow.call { after = "a", flow = "sub",
        params = function(ctx) return { p = ctx.inputs.a } end }
      f = { f, sub }
    ]], "{}", "--flow", "f")
    box:write("data", "two")
    local _, again, results = replay()
    assert.same({ a = "different", call = "equal" }, results)
    assert.same(first.node.call.outputs, again.node.call.outputs)
    local rows = box:sql [[SELECT id, replay_of FROM v_run WHERE flow = 'sub' ORDER BY created_at]]
    assert.equal(2, #rows)
    assert.equal(rows[1][1], rows[2][2])
    local _, live = replay("last", "--live")
    assert.equal("two", live.node.call.outputs.x.p)
    assert.equal(first.node.call.outputs.x.r, live.node.call.outputs.x.r)
  end)

  it("goes on as a replay after it was resumed", function()
    box:write("data", "one")
    box:write("gate", "")
    local first = succeeds [[
      f.a = flow.shell { "cat data", capture = "text" }
      f.gate = flow.shell { after = "a", "cat gate" }
      f.b = flow.lua { after = { "a", "gate" }, run = function(ctx)
        return { a = ctx.inputs.a, r = ctx:random() } end }
    ]]
    box:write("data", "two")
    os.remove(box.path .. "/gate")
    local done, _, results = replay()
    assert.equal(1, done.code)
    assert.equal("not run now", results.b)
    box:write("gate", "")
    done = box:run { "resume", "last", "--no-progress" }
    assert.equal(0, done.code, done.out .. done.err)
    assert.same(first.node.b.outputs, box:show().node.b.outputs)
  end)

  it("is exported with nothing but a word: what its nodes see is kept with the original",
    function()
      assert.equal(1, run([[f.a = flow.shell { "exit 1" }]]).code)
      replay()
      local done = box:run { "breakpoint", "export", "last", "file" }
      assert.equal(2, done.code)
      assert.matches("repeats another one", done.err, 1, true)
      assert.is_false(box:exists "file")
    end)

  it("hands out each kind of recorded value in its own order", function()
    local body = [[f.a = flow.lua { run = function(ctx)
      local order = require "fs".exists "turn" and { "uuid", "random", "now", "random" }
        or { "now", "random", "uuid" }
      local got = {}
      for _, kind in ipairs(order) do got[kind] = got[kind] or ctx[kind](ctx) end
      return got end }]]
    local first = succeeds(body)
    box:write("turn", "")
    local _, again, results = replay()
    assert.same({ a = "equal" }, results)
    assert.same(first.node.a.outputs, again.node.a.outputs)
  end)

  it("with --current-script runs the file of today with the contexts of then", function()
    box:write("data", "one")
    local body = reads_file
    succeeds(body, "{ params = { n = 1 } }", "--param", "n=5")
    box:write("data", "two")
    box:write("flow.lua", script(body:gsub("{ a = ctx.inputs.a }",
      "{ a = ctx.inputs.a, n = ctx.params.n, m = ctx.params.m, new = ctx.inputs.a == 'one' }")
      .. "f.d = flow.lua { after = 'a', run = function(ctx) return ctx.inputs.a end }",
      "{ params = { n = 1, m = 2 } }"))
    local done, again, results = replay("last", "--current-script")
    assert.equal(0, done.code, done.err)
    assert.same({ a = "one", n = 5, m = 2, new = true }, again.node.b.outputs)
    assert.equal("different", results.b)
    assert.equal("not run then", results.d)
    assert.equal("two", again.node.d.outputs)
    -- Its script is not that of the run: a flow that is gone is a clear error.
    box:write("flow.lua", script(body):gsub('dag%("f"', 'dag("other"'))
    local runs = count_runs()
    done = box:run { "replay", "last", "--current-script" }
    assert.equal(2, done.code)
    assert.matches("does not define flow 'f'", done.err, 1, true)
    assert.equal(runs, count_runs())
  end)

  it("ends its text with what is equal", function()
    box:write("data", "one")
    succeeds(reads_file)
    box:write("data", "two")
    local done = box:run { "replay", "last", "--no-progress" }
    local lines = support.lines(done.out)
    assert.matches("^replay of %S+: different: 1 equal, 2 different$", lines[#lines])
    assert.matches("\na +succeeded +succeeded +different +outputs\n", done.out)
    assert.matches("replay of", box:run({ "show", "last" }).out, 1, true)
  end)
end)

describe("replay of a moment", function()
  each_test()
  local body = [[f.a = flow.lua { run = function(ctx) return ctx.run.date end }]]

  it("finds the run of a flow by its logical time, by key or by file", function()
    local first = succeeds(body, "{}", "--at", "2026-01-02")
    succeeds(body, "{}", "--at", "2026-01-03")
    for _, what in ipairs { "f", "flow.lua" } do
      local done, again = replay(what, "--at", "2026-01-02")
      assert.equal(0, done.code, done.err)
      -- A replay for the same time is not what is meant.
      assert.equal(first.run.id, again.run.replay_of)
      assert.equal("2026-01-02", again.node.a.outputs)
    end
  end)

  it("names the nearest ones of a moment that was never run, and how to run it", function()
    for day = 1, 5 do succeeds(body, "{}", "--at", "2026-01-0" .. day) end
    local runs = count_runs()
    local done = box:run { "replay", "f", "--at", "2026-01-04T12:00:00Z" }
    assert.equal(2, done.code)
    assert.matches("flow 'f' was never run for 2026-01-04T12:00:00.000Z", done.err, 1, true)
    local order = {}
    for day in done.err:gmatch "for 2026%-01%-0(%d)T00:00:00.000Z  succeeded" do
      order[#order + 1] = day
    end
    assert.equal("4 3 2 5", table.concat(order, " "))
    assert.matches("flowlua run " .. box.path .. "/flow.lua --flow f --at 2026-01-04T12:00:00Z",
      done.err, 1, true)
    assert.equal(runs, count_runs())
  end)

  it("refuses what is no flow and no time", function()
    succeeds(body)
    local done = box:run { "replay", "g", "--at", "2026-01-01" }
    assert.equal(2, done.code)
    assert.matches("no run of flow 'g'", done.err, 1, true)
    done = box:run { "replay", "f", "--at", "noon" }
    assert.equal(2, done.code)
    assert.matches('--at: expected a time like 2026-01-31', done.err, 1, true)
  end)
end)

describe("a replay that is not possible", function()
  each_test()
  local body = [[f.a = flow.lua { run = function() return 1 end }]]

  local function change_store(sql)
    local done = box:sh(("sqlite3 '%s/flowlua.db' \"%s\""):format(box.state, sql))
    assert.equal(0, done.code, done.err)
  end

  local function is_refused(code, text)
    local runs = count_runs()
    local done = box:run { "replay", "last" }
    assert.equal(code, done.code, done.out .. done.err)
    assert.matches(text, done.err, 1, true)
    assert.equal(runs, count_runs())
  end

  it("for its script was pruned changes nothing", function()
    succeeds(body)
    change_store "DELETE FROM script; DELETE FROM script_source; DELETE FROM source"
    is_refused(3, "the script that run " .. box:show().run.id .. " used is not in the store")
  end)

  it("for its script is damaged changes nothing", function()
    succeeds(body)
    change_store "UPDATE source SET data = CAST(replace(CAST(data AS TEXT), '1', '2') AS BLOB)"
    is_refused(3, "is not what was stored")
  end)

  it("for what its nodes saw is damaged changes nothing", function()
    succeeds(body)
    change_store "UPDATE attempt SET vars_in = 2"
    is_refused(3, "is not what was stored at its end")
  end)

  it("for the run has not ended changes nothing", function()
    local going = box:start { box:write("flow.lua", script [[
      f.a = flow.shell { "sleep 30" } ]]), "--no-progress" }
    support.wait_until("a to run", function()
      local ok, status = pcall(box.sql_value, box, "SELECT status FROM v_node")
      return ok and status == "running"
    end)
    is_refused(2, "has not ended (running)")
    going:kill(support.SIGTERM)
    going:wait()
  end)

  it("of an unknown run says so", function()
    succeeds(body)
    local done = box:run { "replay", "nothing" }
    assert.equal(2, done.code)
  end)
end)

describe("prune", function()
  each_test()

  it("keeps what a kept replay repeats", function()
    succeeds [[f.a = flow.lua { run = function() return 1 end }
      f.b = flow.lua { after = "a", run = function(ctx) return ctx.inputs.a end }]]
    replay()
    -- The original ended an hour before the replay did.
    local done = box:sh(("sqlite3 '%s/flowlua.db' \"UPDATE run SET ended_ms=ended_ms-3600000 "
      .. "WHERE replay_of IS NULL\""):format(box.state))
    assert.equal(0, done.code, done.err)
    local function prune(age)
      return support.decode(box:run({ "prune", "--keep", age, "--all", "--json" }).out).runs
    end
    assert.same({}, prune("30m"))
    local context = support.decode(box:run({ "context", "last", "b", "--json" }).out)
    assert.equal(1, context.inputs.a)
    assert.equal(2, #prune("0s"))
  end)
end)
