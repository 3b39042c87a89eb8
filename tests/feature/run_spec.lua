-- What a run does: order, inheritance, maps, branches, sub-flows, hooks, retries, triggers, limits.
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

describe("a run", function()
  each_test()

  it("of hello world says so line by line and succeeds", function()
    local done = run [[f.hello = flow.shell { "echo hello" }]]
    assert.equal(0, done.code)
    assert.equal("", done.err)
    local lines = support.lines(done.out)
    assert.matches("^%d%d:%d%d:%d%d run %S+ of f started, 1 node$", lines[1])
    assert.matches("hello started$", lines[2])
    assert.matches("hello succeeded %d+m?s$", lines[3])
    assert.matches("succeeded in .*: 1 succeeded$", lines[4])
    assert.equal("hello| hello\n", box:run({ "logs", "last" }).out)
    assert.equal("hello\n", box:run({ "logs", "last", "hello", "--raw" }).out)
  end)

  it("says on its last line how to resume when it failed", function()
    local _, done = fails [[f.bad = flow.shell { "echo oh >&2; exit 4" }]]
    local lines = support.lines(done.out)
    assert.matches("^resume: flowlua resume %S+$", lines[#lines])
    assert.matches("bad failed", done.out, 1, true)
    assert.matches("exited with code 4", done.out, 1, true)
    assert.matches("oh", done.out, 1, true)
  end)

  it("is quiet with --quiet, but for failures", function()
    box:write("flow.lua", script [[f.a = flow.shell { "true" }]])
    local done = box:run { "flow.lua", "--quiet" }
    assert.same({ 0, "", "" }, { done.code, done.out, done.err })
    box:write("flow.lua", script [[f.a = flow.shell { "false" }]])
    done = box:run { "flow.lua", "--quiet" }
    assert.same({ 1, "" }, { done.code, done.out })
    assert.matches("resume: flowlua resume", done.err, 1, true)
  end)

  it("starts nodes in the order that their dependencies give, ties as declared", function()
    succeeds([[
      f.last = flow.shell { "echo last >> trail", after = { "b", "a" } }
      f.b = flow.shell { "echo b >> trail", after = "first" }
      f.a = flow.shell { "echo a >> trail", after = "first" }
      f.first = flow.shell { "echo first >> trail" }
    ]], nil, "--jobs", "1")
    assert.equal("first b a last", trail())
  end)

  it("starts what has a higher priority first", function()
    succeeds([[
      f.low = flow.shell { "echo low >> trail", priority = -1 }
      f.mid = flow.shell { "echo mid >> trail" }
      f.top = flow.shell { "echo top >> trail", priority = 10 }
    ]], nil, "--jobs", "1")
    assert.equal("top mid low", trail())
  end)

  it("runs --jobs nodes at once and no more", function()
    local body = {}
    for i = 1, 6 do
      body[i] = ([[f.n%d = flow.shell { "echo + >> trail; sleep 0.1; echo - >> trail" }]]):format(i)
    end
    succeeds(table.concat(body, "\n"), nil, "--jobs", "3")
    local now, most = 0, 0
    for sign in trail():gmatch("%S") do
      now = now + (sign == "+" and 1 or -1)
      most = math.max(most, now)
    end
    assert.equal(3, most)
  end)

  it("runs what --only, --from and --until choose", function()
    local body = [[
      f.a = flow.shell { "echo a >> trail" }
      f.b = flow.shell { "echo b >> trail", after = "a" }
      f.c = flow.shell { "echo c >> trail", after = "b" }
    ]]
    for _, case in ipairs {
      { "--only a,c", "a c" }, { "--from b", "b c" }, { "--until b", "a b" },
    } do
      box:sh("rm -f trail")
      local name, value = case[1]:match("(%S+) (%S+)")
      succeeds(body, nil, name, value, "--jobs", "1")
      assert.equal(case[2], trail(), case[1])
    end
  end)

  it("plans only with --dry-run: nothing is stored or started", function()
    local done = run([[f.a = flow.shell { "echo a >> trail" }]], nil, "--dry-run")
    assert.equal(0, done.code)
    assert.matches("%f[%w]a%f[%W]", done.out)
    assert.equal("", trail())
    assert.is_false(box:exists("state/flowlua.db"))
  end)

  it("of a script that returns nothing is a Lua program with arguments", function()
    box:write("prog.lua", [[
      local json = require "json"
      print(json.encode { arg[1], arg[2] })
      os.exit(tonumber(arg[1]))
    ]])
    local done = box:run { "prog.lua", "5", "x" }
    assert.equal('["5","x"]\n', done.out)
    assert.equal(5, done.code)
  end)

  it("finds modules beside the script, then in FLOWLUA_PATH", function()
    box:write("mods/far.lua", "return { name = 'far' }")
    box:write("near.lua", "return { name = 'near' }")
    box:write("flow.lua", [[
      local near, far = require "near", require "far"
      local flow = require "flow"
      local f = flow.dag("f")
      f.a = flow.shell { "echo " .. near.name .. " " .. far.name .. " > said" }
      return f
    ]])
    assert.equal(0, box:run({ "flow.lua" }, { env = { FLOWLUA_PATH = box.path .. "/mods/?.lua" } })
      .code)
    assert.equal("near far\n", box:read("said"))
  end)

  it("finds a node type by its file beside the script", function()
    box:write("nodes/greet.lua", [[
      local flow = require "flow"
      return flow.node_type {
        name = "greet",
        params = { who = { "string", required = true }, times = { "integer", default = 2, min = 1 } },
        run = function(ctx, p) return { text = ("hi %s;"):format(p.who):rep(p.times) } end,
      }
    ]])
    local n = succeeds [[f.a = flow.greet { who = "{{run.flow}}" }]]
    assert.same({ text = "hi f;hi f;" }, n.node.a.outputs)
    assert.equal("greet", n.node.a.type)
  end)

  it("several runs at once share one state directory", function()
    box:write("flow.lua", script [[
      for i = 1, 20 do f["n" .. i] = flow.shell { "true" } end
      f.l = flow.lua { run = function() return { ok = true } end }
    ]])
    local runs = {}
    for i = 1, 4 do runs[i] = box:start { "flow.lua", "--jobs", "2" } end
    for _, process in ipairs(runs) do
      local done = process:wait()
      assert.equal(0, done.code, done.out .. done.err)
    end
    assert.equal("84", box:sql_value("select count(*) from v_attempt where status='succeeded'"))
  end)
end)

describe("params", function()
  each_test()
  local body = [[f.a = flow.lua { run = function(ctx) return { p = ctx.params } end }]]
  local options = [[{ params = { text = "t", n = 1, list = { 1 }, on = false,
    limited = { "integer", default = 3, min = 1, doc = "how many" } } }]]

  it("have defaults that the command line overrides by their type", function()
    local n = succeeds(body, options, "--param", "text=42", "--param", "n=42", "--param",
      'list=["x","y"]', "--param", "on=true", "--param", "limited=7")
    assert.same({ text = "42", n = 42, list = { "x", "y" }, on = true, limited = 7 },
      n.node.a.outputs.p)
  end)

  it("are read only", function()
    local n = fails [[f.a = flow.lua { run = function(ctx) ctx.params.x = 1 end }]]
    assert.matches("flow.lua:3: ", n.node.a.error, 1, true)
    assert.matches("read only", n.node.a.error, 1, true)
  end)
end)

describe("vars", function()
  each_test()

  it("are inherited by children and theirs, not by others", function()
    local n = succeeds [[
      f.a = flow.lua { run = function(ctx) ctx.vars.a = { 1, { deep = "x" } } end }
      f.b = flow.lua { after = "a", inline = true, run = function(ctx) ctx.vars.b = ctx.vars.a[1] end }
      f.c = flow.shell { after = "b", "echo {{vars.b}}-{{vars.a[2].deep}} > said" }
      f.other = flow.lua { run = function(ctx) return { sees = ctx.vars.a ~= nil } end }
    ]]
    assert.same({ a = { 1, { deep = "x" } }, b = 1 }, n.node.c.vars)
    assert.equal("1-x\n", box:read("said"))
    assert.is_false(n.node.other.outputs.sees)
  end)

  it("of the flow are what a root starts with", function()
    local n = succeeds([[f.a = flow.lua { run = function(ctx) return { k = ctx.vars.k } end }]],
      [[{ vars = { k = "v" } }]])
    assert.same({ k = "v" }, n.node.a.outputs)
  end)

  local diamond = [[
    f.l = flow.lua { inline = true, run = function(ctx) ctx.vars.k = %s end }
    f.r = flow.lua { inline = true, run = function(ctx) ctx.vars.k = %s end }
    f.join = flow.lua { inline = true, after = { "l", "r" }, %s run = function(ctx) return { k = ctx.vars.k } end }
  ]]

  it("that two parents set to different values are an error naming both and the key", function()
    local n = fails(diamond:format("1", "2", ""))
    local text = n.node.join.error
    assert.equal("failed", n.node.join.status)
    for _, word in ipairs { "k", "l", "r" } do assert.matches("%f[%w]" .. word .. "%f[%W]", text) end
  end)

  it("that two parents set to one value are no conflict", function()
    assert.equal(7, succeeds(diamond:format("7", "7", "")).node.join.outputs.k)
  end)

  it("merge first, last or by a function", function()
    assert.equal(1, succeeds(diamond:format("1", "2", 'merge = "first",')).node.join.outputs.k)
    assert.equal(2, succeeds(diamond:format("1", "2", 'merge = "last",')).node.join.outputs.k)
    assert.equal(3, succeeds(diamond:format("1", "2",
      "merge = function(key, values) return values[1] + values[2] end,")).node.join.outputs.k)
  end)

  it("of a failed attempt are not published", function()
    local n = succeeds [[
      f.a = flow.lua { retries = 1, retry_delay = 0, run = function(ctx)
        if ctx.run.attempt == 1 then ctx.vars.bad = 1 error("first") end
        ctx.vars.good = ctx.vars.bad == nil
      end }
    ]]
    assert.same({ good = true }, n.node.a.vars)
  end)
end)

describe("outputs of processes", function()
  each_test()

  it("come from FLOWLUA_OUTPUT as lines or as one JSON object", function()
    local n = succeeds [=[
      f.lines = flow.shell { 'printf "a=1\nb=x=y\n" > "$FLOWLUA_OUTPUT"' }
      f.json = flow.shell { [[echo '{"a":1,"l":[true]}' > $FLOWLUA_OUTPUT]] }
      f.none = flow.shell { "true" }
    ]=]
    assert.same({ a = "1", b = "x=y" }, n.node.lines.outputs)
    assert.same({ a = 1, l = { true } }, n.node.json.outputs)
    assert.same({}, n.node.none.outputs)
  end)

  it("of a failed attempt are not published", function()
    local n = fails [[f.a = flow.shell { "echo a=1 > $FLOWLUA_OUTPUT; exit 1" }]]
    assert.same({}, n.node.a.outputs)
  end)

  it("come from stdout with capture", function()
    local n = succeeds [[
      f.text = flow.shell { "echo one; echo two", capture = "text" }
      f.lines = flow.shell { "echo one; echo two", capture = "lines" }
      f.json = flow.shell { "echo '{\"k\":[1,2]}'", capture = "json" }
      f.user = flow.lua { after = { "text", "lines", "json" }, run = function(ctx)
        local i = ctx.inputs
        return { i.text, i.lines[2], i.json.k[2] }
      end }
    ]]
    assert.equal("one\ntwo", n.node.text.outputs)
    assert.same({ "one", "two" }, n.node.lines.outputs)
    assert.same({ k = { 1, 2 } }, n.node.json.outputs)
    assert.same({ "one\ntwo", "two", 2 }, n.node.user.outputs)
  end)

  it("know their run, node, attempt, time and context", function()
    succeeds([[
      f.a = flow.lua { run = function(ctx) ctx.vars.v = 1 return { o = 2 } end }
      f.b = flow.shell { after = "a", 'echo "$FLOWLUA_RUN $FLOWLUA_NODE $FLOWLUA_ATTEMPT $FLOWLUA_TIME" > env; cat "$FLOWLUA_CONTEXT" > context' }
    ]], "{ params = { p = 3 } }", "--at", "2026-01-31")
    assert.equal(box:show().run.id .. " b 1 2026-01-31T00:00:00.000Z\n", box:read("env"))
    local context = support.decode(box:read("context"))
    assert.equal("f", context.run.flow)
    assert.same({ p = 3 }, context.params)
    assert.same({ v = 1 }, context.vars)
    assert.same({ o = 2 }, context.inputs.a)
  end)

  it("inherit env and cwd, and nothing of the engine's descriptors", function()
    box:write("sub/here", "")
    succeeds [[
      f.a = flow.shell { 'echo "$GREETING" > said; ls > ../seen; ls /proc/self/fd > ../fds', cwd = "sub",
        env = { GREETING = "hi {{run.flow}}" } }
    ]]
    assert.equal("hi f\n", box:read("sub/said"))
    assert.matches("here", box:read("seen"))
    -- 0, 1, 2, and the one that ls reads the folder with; FLOWLUA_CONTEXT and FLOWLUA_OUTPUT may
    -- lie under /dev/fd.
    assert.is_true(#support.lines(box:read("fds")) <= 6, box:read("fds"))
  end)
end)

describe("templates", function()
  each_test()

  it("quote for the shell, expand lists, and insert raw with three braces", function()
    succeeds([[
      f.a = flow.shell { "printf '%s|' {{params.words}} {{params.evil}} > said; printf '%s|' {{{params.raw}}} > raw" }
    ]], [[{ params = { words = { "a b", "c" }, evil = "$(touch hacked)'\"", raw = "x y" } }]])
    assert.equal("a b|c|$(touch hacked)'\"|", box:read("said"))
    assert.equal("x|y|", box:read("raw"))
    assert.is_false(box:exists("hacked"))
  end)

  it("know run, env, date and the time units", function()
    box.env.COLOUR = "red"
    succeeds([[
      f.a = flow.shell { "echo {{run.date}} {{date(run.time - day, '%Y%m%d')}} {{env.COLOUR}} > said" }
    ]], [[{ tz = "Asia/Shanghai" }]], "--at", "2026-03-01T20:00:00Z")
    assert.equal("2026-03-02 20260301 red\n", box:read("said"))
  end)

  it("with an unknown name fail the node with its place", function()
    local n = fails [[f.a = flow.shell { "echo {{vars.nothing}}" }]]
    assert.matches("nothing", n.node.a.error)
    assert.equal(0, n.node.a.attempts > 1 and 1 or 0)
  end)
end)

describe("when", function()
  each_test()

  it("skips a node, and its children run", function()
    local n = succeeds([[
      f.no = flow.shell { "touch no", when = "{{params.n > 1}}" }
      f.never = flow.shell { "touch never", when = function(ctx) return ctx.params.n ~= 1 end }
      f.child = flow.shell { "touch child", after = { "no", "never" }, trigger = "all_done" }
      f.yes = flow.shell { "touch yes", when = "{{params.n == 1}}" }
    ]], "{ params = { n = 1 } }")
    assert.same({ no = "skipped", never = "skipped", child = "succeeded", yes = "succeeded" },
      box:states())
    assert.equal("when_false", n.node.no.reason)
    assert.is_false(box:exists("no") or box:exists("never"))
    assert.is_true(box:exists("child") and box:exists("yes"))
  end)

  it("ctx:skip skips from within", function()
    local n = succeeds [[f.a = flow.lua { run = function(ctx) ctx:skip("not today") end }]]
    assert.equal("skipped", n.node.a.status)
    assert.matches("not today", box:run({ "explain", "last", "a" }).out, 1, true)
  end)
end)

describe("triggers", function()
  each_test()

  it("decide by how the parents ended", function()
    fails [[
      f.good = flow.shell { "true" }
      f.bad = flow.shell { "false" }
      f.off = flow.shell { "true", when = "{{false}}" }
      local function child(name, trigger, ...)
        f[name] = flow.shell { "true", trigger = trigger, after = { ... } }
      end
      child("all_success_no", "all_success", "good", "bad")
      child("all_done_yes", "all_done", "good", "bad")
      child("all_failed_yes", "all_failed", "bad")
      child("all_failed_no", "all_failed", "good", "bad")
      child("one_success_yes", "one_success", "good", "bad")
      child("one_success_no", "one_success", "bad")
      child("one_failed_yes", "one_failed", "good", "bad")
      child("one_failed_no", "one_failed", "good")
      child("none_failed_yes", "none_failed", "good", "off")
      child("none_failed_no", "none_failed", "good", "bad")
    ]]
    for name, state in pairs(box:states()) do
      if name:find("_yes$") then assert.equal("succeeded", state, name) end
      if name:find("_no$") then assert.is_true(state ~= "succeeded" and state ~= "failed", name) end
    end
  end)

  it("a handled failure is not the run's", function()
    local n = succeeds [[
      f.a = flow.shell { "false", allow_failure = true }
      f.b = flow.shell { "true", after = "a" }
    ]]
    assert.same({ "failed", "succeeded" }, { n.node.a.status, n.node.b.status })
  end)
end)

describe("a failure", function()
  each_test()

  it("lets branches that do not depend on it finish", function()
    fails [[
      f.bad = flow.shell { "false" }
      f.slow = flow.shell { "sleep 0.3" }
      f.after_slow = flow.shell { "true", after = "slow" }
      f.after_bad = flow.shell { "true", after = "bad" }
    ]]
    assert.same({ bad = "failed", slow = "succeeded", after_slow = "succeeded",
      after_bad = "upstream_failed" }, box:states())
  end)

  it("stops the run when the flow says so", function()
    fails([[
      f.bad = flow.shell { "false" }
      f.slow = flow.shell { "sleep 60" }
      f.after_slow = flow.shell { "true", after = "slow" }
    ]], [[{ on_failure_policy = "stop" }]])
    local states = box:states()
    assert.equal("cancelled", states.slow)
    assert.not_equal("succeeded", states.after_slow)
  end)

  it("of a Lua node names file and line", function()
    local n = fails [[
      f.a = flow.lua { run = function(ctx)
        local t = nil
        return t.x
      end }]]
    assert.matches("flow.lua:5: ", n.node.a.error, 1, true)
  end)

  it("of ctx:fail can forbid another try", function()
    local n = fails [[
      f.a = flow.lua { retries = 5, retry_delay = 0, run = function(ctx)
        ctx:fail("no use", { retry = false })
      end }]]
    assert.equal(1, n.node.a.attempts)
    assert.matches("no use", n.node.a.error, 1, true)
  end)
end)

describe("retries", function()
  each_test()

  it("try again after the delay, and count attempts", function()
    local n = succeeds [[
      f.a = flow.shell { "test $FLOWLUA_ATTEMPT = 3", retries = 5, retry_delay = "20ms", retry_backoff = 2 }
    ]]
    assert.equal(3, n.node.a.attempts)
    local rows = box:sql("select status from v_attempt order by number")
    assert.same({ { "failed" }, { "failed" }, { "succeeded" } }, rows)
    -- 20 ms, then 40 ms
    local took = box:sql_value([[select
      (julianday(max(started_at)) - julianday(min(started_at))) * 86400000 from v_attempt]])
    assert.is_true(tonumber(took) >= 58, took)
  end)

  it("are for the failures that retry_on names", function()
    local n = fails [[
      f.code = flow.shell { "exit 9", retries = 2, retry_delay = 0, retry_on = { 4, 5 } }
      f.codes = flow.shell { "exit 5", retries = 2, retry_delay = 0, retry_on = { 4, 5 } }
      f.text = flow.lua { retries = 2, retry_delay = 0, retry_on = "time.?out", run = function() error("a timeout") end }
      f.texts = flow.lua { retries = 2, retry_delay = 0, retry_on = "time.?out", run = function() error("other") end }
      f.fn = flow.lua { retries = 3, retry_delay = 0, retry_on = function(failure) return failure.attempt < 2 end,
        run = function() error("x") end }
    ]]
    assert.same({ 1, 3, 3, 1, 2 }, { n.node.code.attempts, n.node.codes.attempts,
      n.node.text.attempts, n.node.texts.attempts, n.node.fn.attempts })
  end)
end)

describe("time limits", function()
  each_test()

  it("end a process and its whole tree", function()
    local n = fails [[
      f.a = flow.shell { "sleep 61 & setsid sleep 62 & sleep 63", timeout = "200ms", grace = "1s" }
    ]]
    assert.equal("timed_out", box:sql_value("select status from v_attempt"))
    assert.matches("timed? ?out", n.node.a.error)
    assert.is_true(n.node.a.duration_ms < 30000)
    box:assert_none_left()
  end)

  it("end a Lua node that spins", function()
    local n = fails [[
      f.a = flow.lua { timeout = "300ms", run = function() while true do end end }
      f.b = flow.lua { run = function() return 1 end }
    ]]
    assert.equal("failed", n.node.a.status)
    assert.equal("succeeded", n.node.b.status)
  end)

  it("deadline ends all attempts together", function()
    local n = fails [[
      f.a = flow.shell { "sleep 0.2; false", retries = 100, retry_delay = "50ms", deadline = "600ms" }
    ]]
    assert.is_true(n.node.a.attempts >= 1 and n.node.a.attempts <= 4, n.node.a.attempts)
  end)

  it("a run has its own", function()
    local _, done = fails([[f.a = flow.shell { "sleep 60" }]], [[{ timeout = "300ms" }]])
    assert.matches("timed? ?out", done.out)
  end)

  it("nothing that ran in time is touched", function()
    assert.equal("succeeded", succeeds([[f.a = flow.shell { "sleep 0.1", timeout = "30s" }]]).node.a.status)
  end)
end)

describe("pools", function()
  each_test()

  -- The most that ran at once, by the "+" and "-" that nodes append.
  local function most()
    local now, max = 0, 0
    for sign, weight in trail():gmatch("([+-])(%d)") do
      now = now + (sign == "+" and weight or -weight)
      max = math.max(max, now)
    end
    return max
  end

  local function body(weights)
    local lines = {}
    for i, weight in ipairs(weights) do
      lines[i] = ([[f.n%d = flow.shell { "echo +%d >> trail; sleep 0.1; echo -%d >> trail",
        pool = "p", weight = %d }]]):format(i, weight, weight, weight)
    end
    return table.concat(lines, "\n")
  end

  it("hold no more than their capacity", function()
    succeeds(body { 1, 1, 1, 1, 1 }, "{ pools = { p = 2 } }", "--jobs", "5")
    assert.equal(2, most())
  end)

  it("count weights", function()
    succeeds(body { 2, 2, 1, 2 }, "{ pools = { p = 3 } }", "--jobs", "5")
    assert.is_true(most() <= 3)
  end)

  it("take their capacity from the command line", function()
    succeeds(body { 1, 1, 1 }, "{ pools = { p = 3 } }", "--jobs", "5", "--pool", "p=1")
    assert.equal(1, most())
  end)
end)

describe("map", function()
  each_test()

  it("makes an instance of each item and collects their outputs in order", function()
    local n = succeeds [[
      f.list = flow.lua { run = function() return { items = { "c", "a", "b" } } end }
      f.each = flow.map { after = "list", over = function(ctx) return ctx.inputs.list.items end, limit = 2,
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

  it("runs a node of any type, and knows item and index in its templates", function()
    succeeds([[
      f.each = flow.map { over = "{{params.names}}", node = flow.shell { "echo {{index}}:{{item}} > out.{{index}}" } }
    ]], [[{ params = { names = { "x y", "z" } } }]])
    assert.equal("1:x y\n", box:read("out.1"))
    assert.equal("2:z\n", box:read("out.2"))
  end)

  it("chunks, and takes an empty list", function()
    local n = succeeds [[
      f.chunked = flow.map { over = { 1, 2, 3, 4, 5 }, chunk = 2, run = function(ctx, items) return { #items } end }
      f.empty = flow.map { over = {}, run = function() error("never") end }
      f.after = flow.lua { after = { "chunked", "empty" }, run = function(ctx)
        return { #ctx.inputs.chunked, #ctx.inputs.empty, ctx.inputs.chunked[3][1] }
      end }
    ]]
    assert.same({ 3, 0, 1 }, n.node.after.outputs)
  end)

  it("retries and fails instance by instance", function()
    local n = fails [[
      f.each = flow.map { over = { "ok", "flaky", "bad" }, retries = 1, retry_delay = 0, run = function(ctx, item)
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
    on_cancel = flow.shell { "echo cancel >> trail" }, on_exit = flow.shell { "echo exit >> trail" } }]]

  it("run at the end of a run that succeeded", function()
    succeeds([[f.a = flow.shell { "echo node >> trail" }]], hooks)
    assert.equal("node success exit", trail())
  end)

  it("run at the end of a run that failed", function()
    fails([[f.a = flow.shell { "false" }]], hooks)
    assert.equal("failure exit", trail())
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

describe("a context", function()
  each_test()

  it("keeps steps across attempts: each runs once in the life of a node", function()
    local n = succeeds [[
      f.a = flow.lua { retries = 2, retry_delay = 0, run = function(ctx)
        local x = ctx:step("one", function() ctx:exec { "sh", "-c", "echo one >> trail" } return 11 end)
        if ctx.run.attempt < 3 then error("again") end
        return { x = x }
      end }
    ]]
    assert.equal(11, n.node.a.outputs.x)
    assert.equal("one", trail())
  end)

  it("keeps a checkpoint for the next attempt", function()
    local n = succeeds [[
      f.a = flow.lua { retries = 1, retry_delay = 0, run = function(ctx)
        local before = ctx:restored()
        if not before then ctx:checkpoint { at = 5 } error("broke") end
        return before
      end }
    ]]
    assert.same({ at = 5 }, n.node.a.outputs)
    assert.same({ at = 5 }, n.node.a.checkpoint)
  end)

  for _, where in ipairs { "worker", "inline" } do
    it("offers the same to a " .. where .. " node", function()
      local n = succeeds(([[
        f.p = flow.shell { "echo k=v > $FLOWLUA_OUTPUT" }
        f.a = flow.lua { inline = %s, after = "p", run = function(ctx)
          ctx:log("line", { 1 })
          print("printed")
          ctx:progress(1, 2, "half")
          local r = ctx:exec { "sh", "-c", "echo out; echo err >&2; exit 3", capture = "text", ok_codes = { 3 } }
          local bad = ctx:exec { "sh", "-c", "exit 9", check = false }
          ctx:sleep("5ms")
          ctx.vars.seen = ctx.inputs.p.k
          return { r.ok, r.code, r.outputs, bad.ok, bad.code, ctx.run.flow, ctx.run.attempt, ctx:cancelled(),
            #ctx:uuid(), type(ctx:now()), ctx:random(3, 3) }
        end }
      ]]):format(tostring(where == "inline")))
      assert.same({ true, 3, "out", false, 9, "f", 1, false, 36, "number", 3 }, n.node.a.outputs)
      assert.same({ seen = "v" }, n.node.a.vars)
      local log = box:run({ "logs", "last", "a" }).out
      assert.matches("line\t[1]", log, 1, true)
      assert.matches("printed", log, 1, true)
    end)
  end

  it("names the path of a value that cannot be kept", function()
    local n = fails [[
      f.fn = flow.lua { run = function() return { a = { b = print } } end }
      f.nan = flow.lua { run = function() return { x = 0 / 0 } end }
      f.loop = flow.lua { inline = true, run = function(ctx) local t = {} t.t = t ctx.vars.loop = t end }
    ]]
    assert.matches("a.b", n.node.fn.error, 1, true)
    assert.matches("function", n.node.fn.error, 1, true)
    assert.matches("x", n.node.nan.error, 1, true)
    assert.matches("loop.t", n.node.loop.error, 1, true)
  end)
end)

describe("sql", function()
  each_test()

  it("binds templates as parameters and gives rows", function()
    local n = succeeds([[
      f.make = flow.sql { db = "t.db", "create table t (a, b)", "insert into t values ({{params.evil}}, 2)" }
      f.read = flow.sql { after = "make", db = "t.db", "select a, b from t" }
    ]], [[{ params = { evil = "x'); drop table t; --" } }]])
    assert.same({ { a = "x'); drop table t; --", b = 2 } }, n.node.read.outputs.rows)
    assert.equal(1, n.node.make.outputs.changes)
  end)

  it("is one transaction: a statement that fails leaves nothing", function()
    fails [[
      f.make = flow.sql { db = "t.db", "create table t (a unique)" }
      f.bad = flow.sql { after = "make", db = "t.db", "insert into t values (1)", "insert into t values (1)" }
    ]]
    assert.equal("0\n", box:sh("sqlite3 t.db 'select count(*) from t'").out)
    assert.matches("UNIQUE", box:show().node.bad.error)
  end)
end)

describe("an interrupt", function()
  each_test()

  for name, case in pairs { INT = { 2, 130 }, TERM = { 15, 143 } } do
    it(name .. " ends the nodes, saves the state and says how to resume", function()
      box:write("flow.lua", script [[
        f.done = flow.shell { "echo done >> trail" }
        f.a = flow.shell { "trap 'echo term >> trail; exit 0' TERM; touch begun; while :; do sleep 0.05; done", after = "done" }
        f.next = flow.shell { "echo next >> trail", after = "a" }
      ]])
      local process = box:start { "flow.lua", "--no-progress" }
      support.wait_until("the node", function() return box:exists("begun") end)
      process:kill(case[1])
      local done = process:wait()
      assert.equal(case[2], done.code, done.out .. done.err)
      local lines = support.lines(done.out)
      assert.matches("^resume: flowlua resume", lines[#lines])
      assert.equal("done term", trail())
      box:assert_none_left()
      local states = box:states()
      assert.equal("succeeded", states.done)
      assert.not_equal("running", states.a)
    end)
  end

  it("twice ends at once", function()
    box:write("flow.lua", script [[
      f.a = flow.shell { "trap '' TERM INT; touch begun; while :; do sleep 0.05; done", grace = "1h" }
    ]])
    local process = box:start { "flow.lua", "--no-progress" }
    support.wait_until("the node", function() return box:exists("begun") end)
    process:kill(support.SIGINT)
    support.wait_until("the first to be heard", function()
      return (process:out() .. process:err()):find("again", 1, true) end, 10)
    process:kill(support.SIGINT)
    assert.equal(130, process:wait(30).code)
    box:assert_none_left()
  end)
end)
