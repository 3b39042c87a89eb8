-- What a resume promises: finished work is never redone nor lost, whatever ended the run before.
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

local function trail()
  return table.concat(support.lines(box:read("trail") or ""), " ")
end

local function resume(...)
  return box:run { "resume", "--no-progress", ... }
end

local function resumes(...)
  local done = resume(...)
  assert.equal(0, done.code, done.out .. done.err)
  return done
end

-- { node = action } of resume --plan.
local function plan(...)
  local done = box:run { "resume", "--plan", "--json", ... }
  assert.equal(0, done.code, done.out .. done.err)
  local actions, reasons = {}, {}
  for _, node in ipairs(support.decode(done.out).nodes) do
    actions[node.name], reasons[node.name] = node.action, node.reason
  end
  return actions, reasons
end

-- a -> b -> c -> d; b fails until the file `mended` is there.
local chain = script([[
  f.a = flow.lua { run = function(ctx)
    ctx:exec { "sh", "-c", "echo a >> trail" }
    ctx.vars.v = ctx.params.p
    return { o = 1 }
  end }
  f.b = flow.shell { after = "a", "echo b-{{params.p}}-{{vars.v}}-{{inputs.a.o}} >> trail; "
    .. "test -e mended" }
  f.c = flow.shell { after = "b", "echo c-{{vars.v}} >> trail" }
  f.side = flow.shell { "echo side >> trail" }
]], [[{ params = { p = "x" } }]])

local function break_chain()
  local done = box:script(chain, "--jobs", "1")
  assert.equal(1, done.code, done.out .. done.err)
  assert.equal("a b-x-x-1 side", (trail():gsub("side (.*)$", "%1 side")))
  box:sh(": > trail")
end

describe("resume after a failure", function()
  each_test()

  it("runs what failed and what depends on it, and nothing else", function()
    break_chain()
    box:write("mended", "")
    resumes()
    assert.equal("b-x-x-1 c-x", trail())
    local shown = box:show()
    assert.equal("succeeded", shown.run.status)
    assert.equal(1, shown.run.resumes)
    assert.same({ 1, 2, 1, 1 }, { shown.node.a.attempts, shown.node.b.attempts,
      shown.node.c.attempts, shown.node.side.attempts })
  end)

  it("fails again when nothing is mended, and can be resumed again", function()
    break_chain()
    local done = resume()
    assert.equal(1, done.code)
    local lines = support.lines(done.out)
    assert.matches("^resume: flowlua resume", lines[#lines])
    assert.equal("b-x-x-1", trail())
    box:write("mended", "")
    resumes()
    assert.equal("b-x-x-1 b-x-x-1 c-x", trail())
    assert.equal(2, box:show().run.resumes)
  end)

  it("of a run that has succeeded does nothing", function()
    break_chain()
    box:write("mended", "")
    resumes()
    box:sh(": > trail")
    assert.matches("has succeeded: nothing to resume", resumes().out, 1, true)
    assert.equal("", trail())
    assert.equal(1, box:show().run.resumes)
  end)

  it("--plan tells per node what would run and why, and starts nothing", function()
    break_chain()
    local actions, reasons = plan()
    assert.same({ a = "keep", b = "run", c = "run", side = "keep" }, actions)
    assert.equal("resume_failed", reasons.b)
    assert.equal("resume_unfinished", reasons.c)
    assert.equal("", trail())
    assert.equal("failed", box:show().run.status)
    local text = box:run({ "resume", "--plan" }).out
    assert.matches("b%s+run%s+it had failed", text)
    assert.matches("2 of 4 nodes would run", text)
  end)

  it("runs the script that the run used, not what became of the file", function()
    box:write("step.lua", "return 'old'")
    box:script(script [[
      local step = require "step"
      f.a = flow.shell { "echo a >> trail; test -e mended" }
      f.b = flow.shell { "echo " .. step .. " >> trail", after = "a" }
    ]])
    box:write("mended", "")
    box:write("flow.lua", "error('changed')")
    box:write("step.lua", "return 'new'")
    resumes()
    assert.equal("a a old", trail())
  end)

  it("--script takes a mended script; what succeeded is kept", function()
    break_chain()
    local version = box:sql_value "select version from v_run"
    box:write("new.lua", (chain:gsub("test %-e mended", "true")))
    resumes("--script", "new.lua")
    assert.equal("b-x-x-1 c-x", trail())
    assert.not_equal(version, box:sql_value "select version from v_run")
  end)

  it("--set changes a var for what runs now", function()
    break_chain()
    box:write("mended", "")
    resumes("--set", "v=mended")
    assert.equal("b-x-mended-1 c-mended", trail())
  end)

  it("--param changes a parameter for what runs now", function()
    break_chain()
    box:write("mended", "")
    resumes("--param", "p=other")
    assert.equal("b-other-x-1 c-x", trail())
    assert.same({ p = "other" }, box:show().run.params)
  end)

  it("--param of an unknown name is refused, and changes nothing", function()
    break_chain()
    local done = resume("--param", "zz=1")
    assert.equal(2, done.code)
    assert.matches("zz", done.err)
    assert.equal("", trail())
    assert.same({ 0, "failed" }, { box:show().run.resumes, box:show().run.status })
  end)

  it("--output sets what a finished node gave", function()
    break_chain()
    box:write("mended", "")
    resumes("--output", "a.o=7")
    assert.equal("b-x-x-7 c-x", trail())
    assert.equal(7, box:show().node.a.outputs.o)
  end)

  it("--skip leaves a node out; its children see it as skipped", function()
    break_chain()
    local actions = plan("--skip", "b")
    assert.equal("skip", actions.b)
    resume("--skip", "b")
    local states = box:states()
    assert.equal("skipped", states.b)
    assert.matches("^c?%-?x?$", trail()) -- never b
  end)

  it("--rerun runs a node again, with + all that depends on it too", function()
    break_chain()
    assert.same({ a = "keep", b = "run", c = "run", side = "run" }, (plan("--rerun", "side")))
    box:write("mended", "")
    resumes("--rerun", "side", "--jobs", "1")
    assert.matches("side", trail())
    box:sh(": > trail")
    assert.same({ a = "run", b = "run", c = "run", side = "keep" }, (plan("--rerun", "a+")))
    resumes("--rerun", "a+")
    assert.equal("a b-x-x-1 c-x", trail())
  end)

  it("with an unknown node is refused", function()
    break_chain()
    for _, option in ipairs { "--skip", "--rerun" } do
      local done = resume(option, "nothing")
      assert.equal(2, done.code, done.out)
      assert.matches("nothing", done.err)
    end
    assert.equal("", trail())
  end)

  it("keeps the items of a map that succeeded", function()
    box:script(script [[
      f.each = flow.map { over = { 1, 2, 3 }, node = flow.shell {
        "echo {{item}} >> trail; test {{item}} != 2 || test -e mended" } }
      f.after = flow.lua { after = "each", run = function(ctx) return { #ctx.inputs.each } end }
    ]])
    box:sh(": > trail")
    box:write("mended", "")
    resumes()
    assert.equal("2", trail())
    assert.same({ 3 }, box:show().node.after.outputs)
  end)

  it("enters a sub-flow and continues there", function()
    box:script([[
      local flow = require "flow"
      local sub = flow.dag("sub")
      sub.one = flow.shell { "echo one >> trail" }
      sub.two = flow.shell { after = "one", "echo two >> trail; test -e mended" }
      local main = flow.dag("main")
      main.go = flow.call { flow = sub }
      main.after = flow.shell { after = "go", "echo after >> trail" }
      return { main, sub }
    ]], "--flow", "main")
    assert.equal("one two", trail())
    box:sh(": > trail")
    box:write("mended", "")
    local id = box:sql_value("select id from v_run where flow='main'")
    resumes(id)
    assert.equal("two after", trail())
    assert.same({ { "main", "succeeded" }, { "sub", "succeeded" } },
      box:sql("select flow, status from v_run order by flow"))
  end)

  it("gives a Lua node its checkpoint and the results of its steps", function()
    box:script(script [[
      f.a = flow.lua { run = function(ctx)
        local s = ctx:step("once", function()
          ctx:exec { "sh", "-c", "echo once >> trail" }
          return 5
        end)
        local c = ctx:restored()
        if not c then ctx:checkpoint { at = 3 } error("broke") end
        return { s = s, at = c.at }
      end }
    ]])
    resumes()
    assert.equal("once", trail())
    assert.same({ s = 5, at = 3 }, box:show().node.a.outputs)
  end)

  it("after an interrupt continues with what was interrupted", function()
    box:write("flow.lua", script [[
      f.a = flow.shell { "echo a >> trail" }
      f.b = flow.shell { after = "a", "echo b >> trail; test -e mended || { touch begun; "
        .. "sleep 60; }" }
      f.c = flow.shell { after = "b", "echo c >> trail" }
    ]])
    local process = box:start { "flow.lua" }
    support.wait_until("the node", function() return box:exists("begun") end)
    process:kill(support.SIGINT)
    assert.equal(130, process:wait().code)
    box:write("mended", "")
    resumes()
    assert.equal("a b b c", trail())
  end)
end)

describe("resume after kill -9 of the engine", function()
  each_test()

  -- Starts a run and kills its engine when `file` is there.
  local function kill_when(file, body, ...)
    box:write("flow.lua", script(body))
    local process = box:start { "flow.lua", "--no-progress", ... }
    support.wait_until(file, function() return box:exists(file) end)
    process:kill(support.SIGKILL)
    assert.equal(support.SIGKILL, process:wait().signal)
  end

  it("adopts what still runs", function()
    kill_when("begun", [[
      f.a = flow.shell { "echo a >> trail; touch begun; until test -e go; do sleep 0.02; "
        .. "done; echo a-end >> trail; echo v=9 > $FLOWLUA_OUTPUT" }
      f.b = flow.shell { after = "a", "echo b-{{inputs.a.v}} >> trail" }
    ]])
    local process = box:start { "resume", "--no-progress" }
    pcall(support.wait_until, "the resume to look", function() return false end, 0.5)
    box:write("go", "")
    local done = process:wait()
    assert.equal(0, done.code, done.out .. done.err)
    assert.equal("a a-end b-9", trail())
    assert.equal(1, box:show().node.a.attempts)
  end)

  it("harvests what ended meanwhile, with its true exit code", function()
    kill_when("begun", [[
      f.good = flow.shell { "echo good >> trail; touch begun.good; until test -e go; "
        .. "do sleep 0.02; done; echo v=1 > $FLOWLUA_OUTPUT; touch good.done" }
      f.bad = flow.shell { "echo bad >> trail; until test -e begun.good; do sleep 0.02; done; "
        .. "touch begun; until test -e go; do sleep 0.02; done; touch bad.done; exit 42" }
      f.after = flow.shell { after = "good", "echo after-{{inputs.good.v}} >> trail" }
    ]], "--jobs", "2")
    box:write("go", "")
    support.wait_until("the ends", function()
      return box:exists("good.done") and box:exists("bad.done")
    end)
    box:assert_none_left()
    local done = resume()
    assert.equal(1, done.code, done.out .. done.err)
    local node = box:show().node
    assert.same({ "succeeded", 1, 0 }, { node.good.status, node.good.attempts,
      node.good.exit_code })
    assert.same({ "failed", 1, 42 }, { node.bad.status, node.bad.attempts, node.bad.exit_code })
    assert.equal("succeeded", node.after.status)
    assert.matches("^%a+ %a+ after%-1$", trail())
  end)

  it("tells in its plan what may still run, and moves none of it", function()
    kill_when("begun", [[
      f.a = flow.shell { "touch begun; until test -e go; do sleep 0.05; done; echo a >> trail" }
      f.b = flow.shell { after = "a", "echo b >> trail" }
    ]])
    local told = box:run { "resume", "--plan" }
    assert.equal(0, told.code, told.err)
    assert.matches("a +run +it was running when its engine died: it is adopted if it still runs",
      told.out)
    for _, wish in ipairs { "--skip", "--rerun", "--succeed" } do
      for _, verb in ipairs { "--plan", "--quiet" } do
        local done = box:run { "resume", verb, wish, "a" }
        assert.equal(2, done.code, done.out .. done.err)
        assert.matches("node 'a' was running when the engine", done.err)
      end
    end
    box:write("go", "")
    resumes()
    assert.equal("a b", trail())
  end)

  it("runs again what was lost with the supervisor, and counts it as lost", function()
    kill_when("begun", [[
      f.done = flow.shell { "echo done >> trail" }
      f.a = flow.shell { after = "done", "echo a >> trail; touch begun; "
        .. "test -e mended || sleep 61" }
    ]])
    for pid, words in pairs(box:left()) do
      if words:find("--supervisor", 1, true) then os.execute("kill -9 " .. pid) end
    end
    box:write("mended", "")
    resumes()
    assert.equal("done a a", trail())
    assert.same({ { "lost" }, { "succeeded" } },
      box:sql("select status from v_attempt where name='a' order by number"))
    box:assert_none_left()
  end)

  it("never leaves a node running for ever: a Lua node is run again", function()
    kill_when("begun", [[
      f.a = flow.lua { run = function(ctx)
        ctx:exec { "sh", "-c", "echo a >> trail; touch begun" }
        if not io.open("mended") then ctx:sleep(60) end
        return { fine = true }
      end }
      f.b = flow.shell { after = "a", "echo b >> trail" }
    ]])
    box:write("mended", "")
    resumes()
    assert.equal("a a b", trail())
  end)

  it("is refused while another engine owns the run", function()
    box:write("flow.lua", script [[f.a = flow.shell {
      "touch begun; until test -e go; do sleep 0.02; done" }]])
    local process = box:start { "flow.lua", "--no-progress" }
    support.wait_until("the node", function() return box:exists("begun") end)
    local done = resume()
    box:write("go", "")
    assert.equal(0, process:wait().code)
    assert.not_equal(0, done.code, done.out)
    assert.matches("is owned by process %d+", done.err)
    assert.equal("1", box:sql_value("select count(*) from v_attempt"))
  end)

  it("twice at once: one goes on, the other is told", function()
    kill_when("begun", [[
      f.a = flow.shell { "echo a >> trail; touch begun; until test -e go; do sleep 0.02; done" }
      f.b = flow.shell { after = "a", "echo b >> trail; sleep 0.2" }
    ]])
    local one = box:start { "resume", "--no-progress" }
    local other = box:start { "resume", "--no-progress" }
    pcall(support.wait_until, "both to look", function() return false end, 0.5)
    box:write("go", "")
    local a, b = one:wait(), other:wait()
    assert.is_true(a.code == 0 or b.code == 0, a.err .. b.err)
    assert.equal("a b", trail())
    assert.equal("succeeded", box:show().run.status)
  end)

  it("cancel ends what it left", function()
    kill_when("begun", [[f.a = flow.shell { "touch begun; sleep 61", grace = "1s" }]])
    local done = box:run { "cancel", "last" }
    assert.equal(0, done.code, done.out .. done.err)
    box:assert_none_left()
    assert.equal("cancelled", box:show().run.status)
  end)

  it("at any of many instants loses nothing and runs nothing twice", function()
    local body = {}
    for i = 1, 12 do
      body[i] = ([[f.n%d = flow.shell { "echo n%d >> trail; sleep 0.01"%s }]])
        :format(i, i, i > 2 and (', after = "n%d"'):format(i - 2) or "")
    end
    box:write("flow.lua", script(table.concat(body, "\n")))
    for round = 1, 10 do
      box:sh("rm -rf state trail")
      local process = box:start { "flow.lua", "--no-progress" }
      pcall(support.wait_until, "some time", function() return false end, 0.008 * round)
      process:kill(support.SIGKILL)
      process:wait()
      -- Killed before the run was recorded, there is nothing to resume.
      local known = box:exists("state/flowlua.db") and
        support.decode(box:run({ "runs", "--json" }).out)[1] ~= nil
      if known then
        resumes()
        local seen = {}
        for _, name in ipairs(support.lines(box:read("trail"))) do
          assert.is_nil(seen[name], name .. " ran twice, round " .. round)
          seen[name] = true
        end
        for i = 1, 12 do assert.is_true(seen["n" .. i], "lost n" .. i .. ", round " .. round) end
      end
      box:assert_none_left()
    end
  end)
end)
