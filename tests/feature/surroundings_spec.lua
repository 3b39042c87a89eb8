-- What stands around a command: where its state is and who may read it, its stdio, its environment.
local support = require "tests.feature.support"

local box
local function each_test()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)
end

local hello = [[
local flow = require "flow"
local f = flow.dag("hello", { params = { who = "world", n = 1 } })
f.greet = flow.shell { "echo hello {{params.who}} {{params.n}} $NAME" }
return f
]]

local here = { FLOWLUA_STATE = false }

describe("the state directory", function()
  each_test()

  it("is looked for upwards, and made where one stands when there is none", function()
    box:write("project/flow.lua", hello)
    box:write("project/deep/down/x", "")
    local root = box.path .. "/project"
    assert.equal(0, box:run({ "flow.lua", "-q" }, { cwd = root, env = here }).code)
    assert.is_true(box:exists("project/.flowlua/flowlua.db"))
    local deep = { cwd = root .. "/deep/down", env = here }
    assert.matches("hello world 1", box:run({ "logs" }, deep).out, 1, true)
    assert.equal(0, box:run({ "../../flow.lua", "-q" }, deep).code)
    assert.is_false(box:exists("project/deep/down/.flowlua/flowlua.db"))
    assert.equal(2, #support.decode(box:run({ "runs", "--json" }, deep).out))
    local other = box:run({ "flow.lua", "-q", "-s", "own" }, { cwd = root, env = here })
    assert.equal(0, other.code)
    assert.is_true(box:exists("project/own/flowlua.db"))
  end)

  it("is for its owner alone, whatever the umask", function()
    box:write("flow.lua", hello)
    for _, mask in ipairs { "000", "022" } do
      local state = "state" .. mask
      local run = ("umask %s && '%s' flow.lua -q -s %s"):format(mask, support.binary, state)
      local done = box:sh(run)
      assert.equal(0, done.code, done.err)
      local others = box:sh(("find %s -perm /077 -print"):format(state))
      assert.equal("", others.out)
      assert.matches("drwx------", box:sh("ls -ld " .. state).out, 1, true)
      assert.matches("-rw-------", box:sh(("ls -l %s/flowlua.db"):format(state)).out, 1, true)
    end
  end)

  it("that was there keeps its rights", function()
    box:write("flow.lua", hello)
    local done = box:sh(("mkdir -m 750 kept && '%s' flow.lua -q -s kept"):format(support.binary))
    assert.equal(0, done.code, done.err)
    assert.matches("drwxr-x---", box:sh("ls -ld kept").out, 1, true)
  end)

  it("that is removed or replaced during a run ends it with 3, and what was lost", function()
    for _, how in ipairs { "rm -rf state", "mv state gone && mkdir state" } do
      local done = box:script(([[
local flow = require "flow"
local f = flow.dag "removed"
f.a = flow.shell { "%s" }
return f
]]):format(how))
      assert.equal(3, done.code, done.out .. done.err)
      assert.matches("was removed or replaced while the run went on", done.err, 1, true)
      box:sh("rm -rf state gone")
    end
  end)
end)

describe("stdio", function()
  each_test()

  it("that is closed is /dev/null", function()
    box:write("flow.lua", hello)
    for _, closed in ipairs { "<&-", ">&-", "2>&-", "<&- >&- 2>&-" } do
      for _, words in ipairs { "flow.lua", "runs", "show", "logs", "check flow.lua", "nope" } do
        local done = box:sh(("'%s' %s %s"):format(support.binary, words, closed))
        assert.equal(words == "nope" and 2 or 0, done.code, words .. closed .. done.err)
      end
    end
    assert.equal(4, #support.decode(box:run({ "runs", "--json" }).out))
  end)

  it("that cannot be written is told, with 3", function()
    box:script(hello)
    for _, words in ipairs { "runs", "show --json", "logs", "context greet", "graph", "flow.lua",
      "flow.lua --json", "help" } do
      local done = box:sh(("'%s' %s > /dev/full"):format(support.binary, words))
      assert.equal(3, done.code, words .. ": " .. done.err)
      assert.matches("cannot write to stdout: No space left on device", done.err, 1, true)
    end
  end)

  it("that its reader has closed is told while the run goes on", function()
    box:write("flow.lua", [[
local flow = require "flow"
local f = flow.dag "long"
f.a = flow.shell { "while ! test -e follow; do sleep 0.01; done" }
return f
]])
    local reader = "{ head -n 1; exec >&- <&-; sleep 0.5; touch follow; }"
    local run = box:start_sh(("'%s' flow.lua | %s"):format(support.binary, reader))
    run:wait()
    support.wait_until("its end", function() return box:show().run.status == "succeeded" end)
    assert.matches("stdout is closed; the run goes on: flowlua logs ", run:err(), 1, true)
  end)
end)

describe("what a run is given", function()
  each_test()

  it("may be a file of parameters, under those of the command line", function()
    box:write("flow.lua", hello)
    box:write("params.json", '{"who":"file","n":7}')
    assert.equal(0, box:run({ "flow.lua", "--params", "params.json", "-p", "who=line" }).code)
    assert.matches("hello line 7", box:run({ "logs" }).out, 1, true)
    for text, message in pairs { ["[1]"] = "expected one JSON object", ["{"] = "no JSON",
      ['{"x":1}'] = "unknown parameter" } do
      box:write("params.json", text)
      local done = box:run { "flow.lua", "--params", "params.json" }
      assert.equal(2, done.code)
      assert.matches(message, done.err, 1, true)
    end
    assert.matches("cannot read 'none.json': No such file",
      box:run({ "flow.lua", "--params", "none.json" }).err, 1, true)
  end)

  it("may be a file of variables", function()
    box:write("flow.lua", hello)
    box:write("vars.env", "# who\n\nNAME=a=b  c\nOTHER=\n")
    assert.equal(0, box:run({ "flow.lua", "--env-file", "vars.env" }).code)
    assert.matches("hello world 1 a=b c", box:run({ "logs" }).out, 1, true)
    box:write("vars.env", "FINE=1\nno equals\n")
    local done = box:run { "flow.lua", "--env-file", "vars.env" }
    assert.equal(2, done.code)
    assert.matches("--env-file: vars.env:2: expected NAME=value", done.err, 1, true)
  end)

  it("is refused where it is empty by mistake", function()
    box:write("flow.lua", hello)
    local done = box:run { "flow.lua", "--only", "" }
    assert.equal(2, done.code)
    assert.matches('--only: expected names of nodes, got ""', done.err, 1, true)
  end)
end)

describe("a script that can be read only once", function()
  each_test()

  it("is run, checked and drawn, with what lies beside where one stands", function()
    box:write("words.lua", "return { greeting = 'hello' }")
    local text = [[
local flow, words = require "flow", require "words"
local f = flow.dag "piped"
f.mark = flow.shell("echo " .. words.greeting)
return f
]]
    for _, name in ipairs { "-", "/dev/stdin" } do
      local done = box:run({ name, "-q" }, { stdin = text })
      assert.same({ 0, "" }, { done.code, done.err })
      assert.equal("hello\n", box:run({ "logs", "last", "mark" }).out)
      assert.matches("^%S+: ok: 1 flow, 1 node\n$", box:run({ "check", name },
        { stdin = text }).out)
      assert.matches("mark", box:run({ "graph", name }, { stdin = text }).out, 1, true)
    end
    box:write("piped.lua", text)
    assert.equal(0, box:sh("cat piped.lua | " .. support.binary .. " - --detach").code)
    assert.matches("hello", box:run({ "logs", "last", "--follow" }).out, 1, true)
    local done = box:run({ "-" }, { stdin = "local flow = require 'flow'\nerror 'boom'" })
    assert.same({ 2, "flowlua: stdin.lua:2: boom\n" }, { done.code, done.err })
  end)
end)
