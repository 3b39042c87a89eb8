-- What a run does: order, priorities, conditions, retries, limits, interrupts.
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
    assert.equal("hello| hello", lines[4])
    assert.matches("succeeded in .*: 1 succeeded$", lines[5])
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

  it("keeps the slot for a higher priority that gets ready with its end", function()
    succeeds([[
      f.a = flow.shell { "sleep 0.1; echo a >> trail" }
      f.high = flow.shell { "echo high >> trail", priority = 9, after = "a" }
      for i = 1, 3 do f["low" .. i] = flow.shell { "echo low >> trail" } end
    ]], nil, "--jobs", "1")
    assert.equal("a high low low low", trail())
  end)

  it("starts nothing after a failure that stops the run", function()
    local done = run([[
      f.a = flow.shell { "sleep 0.1; false" }
      f.b = flow.exec { "touch", "b.ran" }
      f.c = flow.exec { "touch", "c.ran" }
    ]], [[{ on_failure_policy = "stop" }]], "--jobs", "1")
    assert.equal(1, done.code)
    assert.not_matches("[bc] started", done.out)
    assert.is_false(box:exists "b.ran")
    assert.is_false(box:exists "c.ran")
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

  it("tells with --dry-run what would run, and records what it was limited to", function()
    local body = [[
      f.a = flow.shell { "true" }
      f.b = flow.shell { after = "a", "true" }
      f.c = flow.shell { after = "b", "true" }
      f.d = flow.shell { after = "a", "true" }]]
    local rows = {
      { "b c", "--only", "b+" }, { "a d", "--only", "a,d" }, { "b c d", "--only", "b+,d" },
      { "a b", "--until", "b" }, { "b", "--from", "b", "--until", "b" }, { "a b c d" },
    }
    for _, row in ipairs(rows) do
      local dry = run(body, nil, "--dry-run", "--json", unpack(row, 2))
      local would = {}
      for _, node in ipairs(support.decode(dry.out).nodes) do
        if node.action == "run" then would[#would + 1] = node.name end
      end
      assert.equal(row[1], table.concat(would, " "))
      local plain = run(body, nil, "--dry-run", unpack(row, 2))
      assert.matches(("%d of 4 nodes would run"):format(#would), plain.out)
      succeeds(body, nil, unpack(row, 2))
      local ran = {}
      for _, node in ipairs(box:show().nodes) do
        if node.status == "succeeded" then ran[#ran + 1] = node.name end
      end
      assert.equal(row[1], table.concat(ran, " "))
      local recorded = box:sql("SELECT selection, interval_from = time AND interval_to "
        .. "= time FROM v_run ORDER BY created_at DESC, id DESC LIMIT 1")[1]
      local names = #would < 4 and '["' .. table.concat(would, '","') .. '"]' or ""
      assert.same({ names, "1" }, recorded)
    end
    assert.equal(2, run(body, nil, "--dry-run", "--only", "x+").code)
  end)

  it("of a script that returns nothing is a Lua program with arguments", function()
    box:sanitizer("detect_leaks=0") -- os.exit() leaves at once
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
        params = {
          who = { "string", required = true },
          times = { "integer", default = 2, min = 1 },
        },
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
      f.a = flow.shell { "test $FLOWLUA_ATTEMPT = 3", retries = 5, retry_delay = "20ms",
        retry_backoff = 2 }
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
      f.text = flow.lua { retries = 2, retry_delay = 0, retry_on = "time.?out", run = function()
        error("a timeout") end }
      f.texts = flow.lua { retries = 2, retry_delay = 0, retry_on = "time.?out", run = function()
        error("other") end }
      f.fn = flow.lua { retries = 3, retry_delay = 0, retry_on = function(failure)
        return failure.attempt < 2 end,
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
      f.a = flow.shell { "sleep 0.2; false", retries = 100, retry_delay = "50ms",
        deadline = "600ms" }
    ]]
    assert.is_true(n.node.a.attempts >= 1 and n.node.a.attempts <= 4, n.node.a.attempts)
  end)

  it("deadline is what a node says that it ended", function()
    local n = fails([[
      f.p = flow.shell { "sleep 60", deadline = "300ms", timeout = "50s" }
      f.w = flow.lua { deadline = "300ms", timeout = "50s", run = function() while true do end end }
      f.i = flow.lua { inline = true, deadline = "300ms", timeout = "50s",
        run = function(ctx) ctx:sleep "60s" end }
    ]])
    for _, name in ipairs { "p", "w", "i" } do
      assert.matches("^ended by its deadline of 300ms", n.node[name].error)
    end
  end)

  it("deadline ends a node that would have to wait for its next try beyond it", function()
    local n = fails [[f.a = flow.shell { "exit 7", retries = 5, retry_delay = "1d",
      deadline = "1h" }]]
    assert.equal(1, n.node.a.attempts)
    assert.equal("exited with code 7; no further try fits its deadline of 1h00m", n.node.a.error)
    assert.equal("deadline", n.node.a.reason)
  end)

  it("a run has its own", function()
    local _, done = fails([[f.a = flow.shell { "sleep 60" }]], [[{ timeout = "300ms" }]])
    assert.matches("timed? ?out", done.out)
  end)

  it("nothing that ran in time is touched", function()
    local n = succeeds [[f.a = flow.shell { "sleep 0.1", timeout = "30s" }]]
    assert.equal("succeeded", n.node.a.status)
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

  it("say who holds them, and who is held back by a slot or a dead engine", function()
    box:write("flow.lua", script([[
      f.a = flow.shell { "touch begun; while :; do sleep 0.05; done", pool = "p", weight = 2 }
      f.b = flow.shell { "true", pool = "p" }
      f.c = flow.shell { "true", after = "a" }
    ]], "{ pools = { p = 2 } }"))
    local process = box:start { "flow.lua", "--no-progress" }
    support.wait_until("the node", function() return box:exists("begun") end)
    local said = box:run({ "explain", "last" }).out
    assert.matches("b pending: waits for its pool (p: 2 of 2 in use by a)", said, 1, true)
    assert.matches("c pending: waits for what it depends on (a)", said, 1, true)
    process:kill(9)
    process:wait()
    assert.matches("b pending: the engine of its run is dead: resume the run",
      box:run({ "explain", "last" }).out, 1, true)
    assert.equal(0, box:run({ "cancel", "last", "--kill" }).code)
    box:assert_none_left()
  end)

  it("that are smaller than a node are refused before anything runs", function()
    box:write("flow.lua", script(body { 1, 4 }, "{ pools = { p = 3 } }"))
    local checked = box:run { "check", "flow.lua" }
    assert.equal(2, checked.code)
    assert.matches("f.n2.weight: expected at most 3, the capacity of pool 'p', got 4", checked.err,
      1, true)
    box:write("flow.lua", script(body { 1, 2 }, "{ pools = { p = 3 } }"))
    local done = box:run { "flow.lua", "--pool", "p=1" }
    assert.equal(2, done.code)
    assert.matches("node 'n2' takes 2 of pool 'p', which has a capacity of 1 here", done.err, 1,
      true)
    assert.equal("", trail())
  end)

  it("take their capacity from the command line", function()
    succeeds(body { 1, 1, 1 }, "{ pools = { p = 3 } }", "--jobs", "5", "--pool", "p=1")
    assert.equal(1, most())
  end)
end)

describe("a call", function()
  each_test()

  it("is not nested deeper than its flow lets it", function()
    local text = [[
      local flow = require "flow"
      local f = flow.dag("f", { max_depth = %d, params = { n = 0 } })
      f.a = flow.lua { inline = true, run = function(ctx) return ctx.params.n end }
      f.again = flow.call { after = "a", flow = "f", when = "{{inputs.a < 20}}",
        params = { n = "{{inputs.a + 1}}" } }
      return f
    ]]
    assert.equal(0, box:script(text:format(20), "--quiet").code)
    local done = box:script(text:format(19), "--quiet")
    assert.equal(1, done.code)
    assert.equal("20", box:sql_value "select count(*) - 21 from run")
    assert.equal("node 'again': flow 'f' would be called 20 deep: more than its max_depth (do "
      .. "flows call each other without end?)",
      box:sql_value "select error from run order by row desc")
  end)
end)

describe("explain", function()
  each_test()

  it("tells of a run that goes on what runs and what waits, and for what", function()
    box:write("flow.lua", script([[
      f.a = flow.shell { "touch begun; until test -e go; do sleep 0.05; done" }
      f.b = flow.shell { after = "a", "true" }
      f.c = flow.shell "true"
    ]], [[{ on_failure = flow.shell "true" }]]))
    local process = box:start { "flow.lua", "--no-progress", "--jobs", "1" }
    support.wait_until("the node", function() return box:exists("begun") end)
    local out = box:run({ "explain" }).out
    assert.matches("\na %a+: depends on nothing", out)
    assert.matches("\nb pending: waits for what it depends on %(a%)", out)
    assert.matches("\nc %a+: ", out)
    assert.matches("on_failure pending: it runs at the end", out, 1, true)
    assert.is_nil(out:find("every node", 1, true))
    box:write("go", "")
    assert.equal(0, process:wait().code)
  end)
end)

describe("a pool of the command line", function()
  each_test()

  it("is one that nodes take from", function()
    box:write("flow.lua", script('f.a = flow.shell { "true", pool = "gpu" }'))
    local done = box:run { "flow.lua", "--pool", "gup=2" }
    assert.same({ 2, 'flowlua: --pool: no node takes from a pool "gup"; did you mean "gpu"?\n' },
      { done.code, done.err })
    assert.equal(0, box:run({ "flow.lua", "--pool", "gpu=2" }).code)
  end)
end)

describe("max_runs", function()
  each_test()

  it("says of a run that it waits, and for which", function()
    box:write("flow.lua", script('f.a = flow.shell { "touch begun; until test -e go; do '
      .. 'sleep 0.05; done" }', "{ max_runs = 1 }"))
    local first = box:start { "flow.lua", "--no-progress" }
    support.wait_until("the node", function() return box:exists("begun") end)
    local id = box:run({ "show", "last" }).out:match "run%s+(%S+)"
    local second = box:start { "flow.lua", "--no-progress" }
    support.wait_until("the line", function()
      return second:out():find("is queued: flow f has max_runs 1, and run " .. id .. " is at work",
        1, true)
    end)
    local third = box:start { "flow.lua", "--json" }
    support.wait_until("the line on stderr", function()
      return third:err():find(" is queued: flow f has max_runs 1, and run ", 1, true)
    end)
    box:write("go", "")
    for _, process in ipairs { first, second, third } do
      assert.equal(0, process:wait().code)
    end
    assert.equal(1, select(2, second:out():gsub("is queued", "")))
  end)
end)

describe("an interrupt", function()
  each_test()

  for name, case in pairs { INT = { 2, 130 }, TERM = { 15, 143 } } do
    it(name .. " ends the nodes, saves the state and says how to resume", function()
      box:write("flow.lua", script [[
        f.done = flow.shell { "echo done >> trail" }
        f.a = flow.shell { "trap 'echo term >> trail; exit 0' TERM; touch begun; while :; "
          .. "do sleep 0.05; done", after = "done" }
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

  it("leaves a run that a resume continues, and that a cancel gives up with its hooks", function()
    box:write("flow.lua", script([[
      f.a = flow.shell { "touch begun; test -e go || sleep 60" }
      f.b = flow.shell { after = "a", "true" }
    ]], [[{ on_cancel = flow.shell { "echo cancel >> trail" },
      on_exit = flow.shell { "echo exit >> trail" } }]]))
    local function interrupt()
      box:sh "rm -f begun trail"
      local process = box:start { "flow.lua", "--json" }
      support.wait_until("the node", function() return box:exists("begun") end)
      process:kill(support.SIGTERM)
      local done = process:wait()
      assert.equal(143, done.code)
      local lines = support.lines(done.out)
      assert.equal("run_interrupted", support.decode(lines[#lines]).event)
      assert.equal("interrupted", support.decode(lines[#lines]).status)
      assert.equal("interrupted", box:show().run.status)
      local found = box:run { "runs", "--status", "interrupted", "--json" }
      assert.equal(1, #support.decode(found.out))
      assert.equal("[]\n", box:run({ "runs", "--status", "running", "--json" }).out)
      assert.equal("", trail())
    end
    interrupt()
    local done = box:run { "cancel" }
    assert.same({ 0, "" }, { done.code, done.err })
    assert.matches("^run %S+: cancelled\n$", done.out)
    assert.equal("cancel exit", trail())
    assert.equal("cancelled", box:show().run.status)
    assert.equal("cancelled", box:states().b)
    interrupt()
    box:write("go", "")
    assert.equal(0, box:run({ "resume" }).code)
    assert.equal("exit", trail())
    assert.equal("succeeded", box:show().run.status)
  end)

  it("twice ends at once", function()
    box:write("flow.lua", script [[
      f.a = flow.shell { "trap '' TERM INT; touch begun; while :; do sleep 0.05; done",
        grace = "1h" }
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
