-- Runs that go on without who started them: --detach, a closed terminal, nohup.
local support = require "tests.feature.support"

local box
local function each_test()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)
end

local waiting = [[
  local flow = require "flow"
  local f = flow.dag("f", {})
  f.a = flow.shell { "echo begun; touch begun; until test -e go; do sleep 0.02; done; echo gone" }
  f.b = flow.shell { after = "a", "echo after; test ! -e broken" }
  return f
]]

local function status() return box:show().run.status end

local function wait_begun()
  support.wait_until("the node", function() return box:exists("begun") end)
end

local function go_on()
  box:write("go", "")
  support.wait_until("the end of the run", function() return status() ~= "running" end)
  box:assert_none_left()
end

local function engine_log() return box:sh("cat state/logs/*/engine.log").out end

describe("--detach", function()
  each_test()

  it("leaves a recorded run in the background and says how to watch it", function()
    box:write("flow.lua", waiting)
    local done = box:run { "run", "flow.lua", "--detach" }
    assert.same({ 0, "" }, { done.code, done.err })
    local id = box:show().run.id
    assert.equal("running", status())
    assert.equal(("run ID goes on in the background (process N)\nwatch:  flowlua watch ID\n"
      .. "        flowlua logs ID --follow\ncancel: flowlua cancel ID\n"),
      (done.out:gsub(id:gsub("%-", "%%-"), "ID"):gsub("process %d+", "process N")))
    local follow = box:start { "logs", id, "--follow" }
    wait_begun()
    go_on()
    assert.equal("succeeded", status())
    assert.equal("a| begun\na| gone\nb| after\n", follow:wait().out)
    assert.matches("run %S+ succeeded", engine_log())
  end)

  it("keeps the log of its engine short", function()
    box:write("flow.lua", [[
      local flow = require "flow"
      local f = flow.dag("f", {})
      for i = 1, 20000 do f["n" .. i] = flow.lua { inline = true, run = function() end } end
      return f
    ]])
    assert.equal(0, box:run({ "run", "flow.lua", "--detach", "--json" }).code)
    support.wait_until("the end of the run", function() return status() == "succeeded" end)
    box:assert_none_left()
    local function size(name)
      return tonumber(box:sh("cat state/logs/*/" .. name .. " | wc -c").out)
    end
    local most, piece = 4 * 2 ^ 20, 2 ^ 16
    assert.is_true(size "engine.log" < most + piece)
    assert.is_true(size "engine.log.1" >= most and size "engine.log.1" < most + piece)
    assert.matches('"event":"run_finished"', engine_log(), 1, true)
  end)

  it("has no terminal and nothing open of who started it", function()
    box:write("flow.lua", waiting)
    local done = box:sh(("exec 7>kept; '%s' run flow.lua --detach --quiet"):format(support.binary))
    local pid = box:sql_value("select owner from v_run"):match("/(%d+)/")
    local stat = support.read("/proc/" .. pid .. "/stat"):match("%) (.*)$")
    local _, _, _, session, terminal = stat:match("(%S+) (%S+) (%S+) (%S+) (%S+)")
    assert.same({ pid, "0" }, { session, terminal })
    assert.equal(box:show().run.id .. "\n", done.out)
    local open = box:sh(("cd /proc/%s/fd && readlink 0 1 2"):format(pid))
    assert.matches("^/dev/null\n%S+/engine%.log\n%S+/engine%.log\n$", open.out)
    wait_begun()
    go_on()
  end)

  it("tells what is wrong in the foreground, and leaves nothing behind", function()
    box:write("flow.lua", "return 1 +")
    local done = box:run { "run", "flow.lua", "--detach" }
    assert.equal(2, done.code)
    assert.matches("flow.lua:1", done.err)
    box:write("flow.lua", waiting)
    assert.equal(2, box:run({ "run", "flow.lua", "--detach", "--param", "x=1" }).code)
    assert.equal(2, box:run({ "resume", "nothing", "--detach" }).code)
    assert.equal(2, box:run({ "run", "flow.lua", "--detach", "--jobs", "none" }).code)
    assert.same({}, box:left())
  end)

  it("can be cancelled, and resumed in the background", function()
    box:write("flow.lua", waiting)
    local done = box:run { "run", "flow.lua", "--detach", "--json" }
    local told = support.decode(done.out)
    assert.same({ "run_detached", box:show().run.id }, { told.event, told.run })
    wait_begun()
    assert.equal(0, box:run({ "cancel", "last" }).code)
    box:assert_none_left()
    assert.equal("cancelled", status())
    assert.equal(0, box:run({ "resume", "--detach" }).code)
    assert.equal("running", status())
    go_on()
    assert.same({ "succeeded", 1 }, { status(), box:show().run.resumes })
  end)

  it("keeps what the engine has to say about a failure", function()
    box:write("flow.lua", waiting)
    box:write("broken", "")
    box:write("go", "")
    assert.equal(0, box:run({ "run", "flow.lua", "--detach" }).code)
    box:assert_none_left()
    assert.equal("failed", status())
    assert.matches("b failed", engine_log())
    assert.matches("resume: flowlua resume", engine_log())
  end)

  it("goes on only for somebody who was told", function()
    -- Loads for as long as it takes to interrupt who waits for it.
    box:write("flow.lua", "io.open('loading', 'w'):close()\nwhile not io.open('load') do end\n"
      .. waiting)
    local process = box:start { "run", "flow.lua", "--detach" }
    support.wait_until("the script", function() return box:exists("loading") end)
    process:kill(support.SIGINT)
    assert.equal(support.SIGINT, process:wait().signal)
    box:write("load", "")
    box:assert_none_left()
    assert.equal("interrupted", status())
  end)
end)

describe("A run whose terminal is closed", function()
  each_test()

  -- `script` is the terminal: killed, it takes it away.
  local function run_in_terminal(words)
    box:write("flow.lua", waiting)
    local terminal = box:start_sh(("exec script -qc \"%s\" /dev/null")
      :format(words:format(support.binary)), { env = { TERM = "xterm" } })
    wait_begun()
    terminal:kill(support.SIGKILL)
    terminal:wait()
  end

  it("goes on by itself to its end", function()
    run_in_terminal "exec '%s' flow.lua"
    support.wait_until("the engine to notice", function()
      return engine_log():find("the terminal was closed", 1, true)
    end)
    assert.equal("running", status())
    go_on()
    assert.equal("succeeded", status())
    assert.matches("b succeeded", engine_log())
    assert.equal(0, box:show().run.resumes)
  end)

  it("goes on under nohup as it always did", function()
    run_in_terminal "exec nohup '%s' flow.lua > nohup.out 2>&1"
    go_on()
    assert.equal("succeeded", status())
    assert.matches("b succeeded", box:read("nohup.out"))
    assert.equal("", engine_log())
  end)

  it("is still told to, and told on, where its output is no terminal", function()
    box:write("flow.lua", waiting)
    local process = box:start { "flow.lua", "--no-progress" }
    wait_begun()
    process:kill(support.SIGHUP)
    process:kill(support.SIGHUP)
    box:write("go", "")
    local done = process:wait()
    assert.equal(0, done.code)
    assert.matches("b succeeded", done.out)
    assert.matches("the terminal was closed", done.err)
  end)
end)
