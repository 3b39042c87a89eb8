-- What can be typed: which run and node are meant, short options, and what is said of a slip.
local support = require "tests.feature.support"

local box
local function each_test()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)
end

local hello = [[
local flow = require "flow"
local f = flow.dag("hello", { params = { who = "world" } })
f.greet = flow.shell { "echo hello {{params.who}}" }
f.report = flow.shell { "echo done", after = "greet" }
return f
]]

-- What a wrong command line is told; nothing is on stdout.
local function refused(args, message)
  local done = box:run(args)
  assert.equal(2, done.code, done.out .. done.err)
  assert.equal("", done.out)
  assert.matches(message, done.err, 1, true)
end

describe("RUN", function()
  each_test()

  it("is the last run in every verb that takes one", function()
    box:script(hello, "-p", "who=first")
    box:script(hello, "-pwho=second")
    assert.matches("hello second", box:run({ "logs" }).out, 1, true)
    for _, verb in ipairs { "show", "explain", "graph", "proposals" } do
      local done = box:run { verb }
      assert.equal(0, done.code, verb .. ": " .. done.err)
      assert.equal(box:run({ verb, "last" }).out, done.out)
    end
    assert.matches("node greet", box:run({ "context", "greet" }).out, 1, true)
    assert.equal(box:run({ "why", "last", "greet" }).out, box:run({ "why", "greet" }).out)
    assert.matches("has ended already: succeeded", box:run({ "cancel" }).err, 1, true)
    assert.equal(0, box:run({ "replay" }).code)
  end)

  it("may be the beginning or the end of an id, and the one before the last", function()
    box:script(hello, "-p", "who=first")
    box:script(hello, "-p", "who=second")
    local first = box:show("last-1").run.id
    assert.matches("hello first", box:run({ "logs", "last-1" }).out, 1, true)
    assert.matches("hello first", box:run({ "logs", first:sub(-8) }).out, 1, true)
    refused({ "show", "2" }, "'2' is the beginning or the end of more than one run: ")
    refused({ "show", "last-2" }, "there is no run 'last-2'")
  end)

  it("is shown in tables by the letters that tell it apart", function()
    box:script(hello)
    local id = box:show().run.id
    local row = support.lines(box:run({ "runs" }).out)[2]
    assert.matches("^" .. id:sub(-8) .. "  hello  succeeded  ", row)
    assert.is_true(#row <= 80)
  end)

  it("that is the name of a node is told from a run", function()
    box:script(hello)
    local ran = "there is no run 'report'; it is a node of the last run"
    refused({ "logs", "report" }, ran .. ": flowlua logs last report")
    refused({ "show", "report" }, ran)
    refused({ "show", "nothing" }, "there is no run 'nothing'")
  end)
end)

describe("a command line", function()
  each_test()

  it("takes short options, together and with their values", function()
    box:write("flow.lua", hello)
    local state = box.path .. "/elsewhere"
    local done = box:run { "-s", state, "-j2", "-pwho=you", "flow.lua", "-q" }
    assert.equal(0, done.code, done.err)
    assert.equal("", done.out)
    assert.matches("hello you", box:run({ "logs", "-f", "-s" .. state }).out, 1, true)
    local dry = box:run { "flow.lua", "-n" }
    assert.equal(0, dry.code, dry.err)
    assert.is_false(box:exists("state/flowlua.db"))
    assert.matches("  -j, --jobs N ", box:run({ "help", "run" }).out, 1, true)
    refused({ "flow.lua", "-x" }, "unknown option '-x' of run")
    refused({ "runs", "-j4" }, "unknown option '-j' of runs: it is short for '--jobs'")
  end)

  it("that leaves out a word is told which", function()
    refused({ "run" }, "FILE is missing: flowlua run FILE")
    refused({ "context" }, "NODE is missing: flowlua context [RUN] NODE")
    refused({ "context", "last" }, "NODE is missing")
    refused({ "blame", "last-1" }, "KEY is missing")
    refused({ "breakpoint", "export", "last" }, "FILE is missing: flowlua breakpoint export")
    refused({ "replay", "--at", "2026-01-31" }, "FLOW is missing")
  end)

  it("with a verb of other tools is told ours", function()
    for word, ours in pairs { ls = "runs", ps = "runs --status running", status = "show",
      stop = "cancel", kill = "cancel --kill", rm = "prune", tail = "logs --follow",
      start = "run" } do
      refused({ word }, ("unknown verb '%s': that is 'flowlua %s'"):format(word, ours))
    end
    refused({ "shwo" }, "unknown verb 'shwo', did you mean 'show'?")
  end)

  it("with a script's name without .lua is told the file", function()
    box:write("stations.lua", hello)
    refused({ "stations" },
      "no verb and no file is called 'stations', did you mean 'stations.lua'?")
  end)

  it("that asks for an attempt that is not there is refused", function()
    box:script(hello)
    refused({ "logs", "last", "greet", "--attempt", "9" }, "node 'greet' has no attempt 9")
  end)
end)
