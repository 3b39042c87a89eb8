-- What is promised of children: none is lost, none is run twice, whoever dies; and none that has to
-- end lives on.
local story = require "tests.crash.children_story"
local support = require "tests.feature.support"

describe("a run of 20 children whose", function()
  local box
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local function play(kill, after_s)
    local longest_ms = 1500
    local wrongs, facts = story.play(box,
      { kill = kill, after_s = after_s, count = 20, longest_ms = longest_ms })
    assert.same({}, wrongs)
    return facts
  end

  it("engine is killed goes on: what runs is adopted, with all that it prints", function()
    local facts = play("engine", 0)
    assert.is_true(facts.running > 0)
    assert.equal(0, facts.lost)
  end)

  it("engine is killed knows later how those ended that are gone", function()
    local facts = play("engine", "all")
    assert.same({ 0, 0 }, { facts.running, facts.lost })
  end)

  it("supervisor is killed ends what ran, and tries it again", function()
    assert.is_true(play("supervisor").lost > 0)
  end)

  it("supervisor is killed when another engine has adopted them is told so, too", function()
    assert.is_true(play("adopted").lost > 0)
  end)

  it("engine and supervisor are killed ends what was left, and tries it again", function()
    assert.is_true(play("both").lost > 0)
  end)

  it("machine is switched off takes nothing for a success that it cannot know", function()
    if not story.can_reboot() then return pending "another boot id cannot be mounted here" end
    assert.is_true(play("reboot").lost > 0)
  end)
end)

describe("a process that no signal reaches", function()
  local box, freezer
  before_each(function() box = support.box() end)
  after_each(function()
    if freezer then os.execute(("echo THAWED > %s/freezer.state"):format(freezer)) end
    box:close()
    if freezer then
      support.wait_until("the freezer to be empty", function()
        return os.execute(("rmdir %s 2>/dev/null"):format(freezer)) == 0
      end)
    end
    freezer = nil
  end)

  -- A frozen one, of cgroups before the second version: false where there are none.
  local function freeze(pid)
    freezer = "/sys/fs/cgroup/freezer/" .. box.path:match("[^/]+$")
    local done = box:sh(("mkdir %s && echo %d > %s/cgroup.procs && echo FROZEN > %s/freezer.state")
      :format(freezer, pid, freezer, freezer))
    if done.code ~= 0 then freezer = nil end
    return done.code == 0
  end

  local function start_stuck()
    box:write("flow.lua", [[
      local flow = require "flow"
      local f = flow.dag("f", {})
      f.stuck = flow.shell { "test $FLOWLUA_ATTEMPT -gt 1 || { echo $$ > pid; exec sleep 100; }" }
      return f
    ]])
    local process = box:start { "flow.lua", "--no-progress" }
    support.wait_until("the node", function()
      return (box:read("pid") or ""):find("\n") and box:sql_value "select status from v_attempt"
        == "running"
    end)
    return process, tonumber(box:read("pid"))
  end

  it("does not keep who interrupts three times, and is not over for it", function()
    local process, pid = start_stuck()
    if not freeze(pid) then
      process:kill(support.SIGINT)
      process:wait()
      return pending "no freezer cgroup can be made here"
    end
    for _, note in ipairs { "get their grace", "nodes are killed", "resume: flowlua resume" } do
      process:kill(support.SIGINT)
      support.wait_until(note, function() return process:err():find(note, 1, true) end)
    end
    assert.equal(130, process:wait().code)
    local resume = box:start { "resume", "--no-progress" }
    support.wait_until("the resume", function() return box:show().run.resumes == 1 end)
    assert.same({ stuck = "running" }, box:states())
    assert.equal("1", box:sql_value "select count(*) from v_attempt")
    os.execute(("echo THAWED > %s/freezer.state"):format(freezer))
    local done = resume:wait(30)
    assert.equal(0, done.code, done.err)
    assert.is_true(tonumber(box:sql_value "select signal from v_attempt where number = 1") > 0)
    assert.equal(2, box:show().node.stuck.attempts)
  end)

  it("is named by show and explain for as long as it is there", function()
    local process = start_stuck()
    -- What an engine stores a minute after its KILL.
    box:sh([[sqlite3 -cmd '.timeout 10000' state/flowlua.db "insert into decision select row,
      0, 1000, epoch, 2, (select id from reason where name='unkillable'),
      'process 4711 is still there', 1 from run"]])
    local shown = box:run({ "show", "last" }).out
    assert.matches("\nalarm     stuck: process 4711 is still there; nothing takes its place", shown)
    local node = box:show().node.stuck
    assert.same({ "running", "unkillable", "process 4711 is still there" },
      { node.status, node.reason, node.error })
    for _, words in ipairs { { "explain", "last", "stuck" }, { "explain", "last" } } do
      assert.matches("stuck running: a process of it cannot be ended.* %(process 4711 is still",
        box:run(words).out)
    end
    process:kill(support.SIGINT)
    assert.equal(130, process:wait().code)
  end)
end)

describe("a Lua node whose engine is killed", function()
  local box
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local kinds = { ["in a worker"] = "", ["on the engine's loop"] = "inline = true," }
  for where, option in pairs(kinds) do
    it(where .. " runs again when nothing of its last life is left", function()
      box:write("flow.lua", ([[
        local flow = require "flow"
        local f = flow.dag("f", {})
        f.a = flow.lua { %s run = function(ctx)
          -- Takes its time to end; whoever comes while it is there says so.
          ctx:exec { "sh", "-c", "mkdir alone || echo overlap >> trail; "
            .. "trap 'sleep 0.5; rmdir alone; exit 1' TERM; touch begun.$FLOWLUA_ATTEMPT; "
            .. "until test -e go; do sleep 0.02; done; rmdir alone" }
        end }
        return f
      ]]):format(option))
      local process = box:start { "flow.lua", "--no-progress" }
      support.wait_until("the node", function() return box:exists("begun.1") end)
      process:kill(support.SIGKILL)
      process:wait()
      local resume = box:start { "resume", "--no-progress" }
      support.wait_until("the node again", function() return box:exists("begun.2") end)
      box:write("go", "")
      local done = resume:wait()
      assert.equal(0, done.code, done.err)
      assert.is_nil(box:read("trail"))
    end)
  end
end)
