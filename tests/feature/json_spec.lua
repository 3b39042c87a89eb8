-- What programs read: the events of `run --json`, and `show`, `runs`, `context` as JSON.
local support = require "tests.feature.support"

local TIME = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$"
local null = support.null

-- Keys of a table, sorted, in one text.
local function keys(object)
  local list = {}
  for key in pairs(object) do list[#list + 1] = key end
  table.sort(list)
  return table.concat(list, " ")
end

local story = [[
  local flow = require "flow"
  local f = flow.dag("story", { params = { who = "you", n = 2 } })
  f.first = flow.shell { "echo said; echo name={{params.who}} > $FLOWLUA_OUTPUT" }
  f.second = flow.lua { after = "first", run = function(ctx)
    ctx:progress(1, 4, "quarter")
    ctx.vars.k = { 1, "two" }
    return { twice = ctx.params.n * 2, list = flow.list {}, none = flow.null }
  end }
  f.third = flow.shell { "exit 7", after = "second", retries = 1, retry_delay = "10ms" }
  f.fourth = flow.shell { "true", after = "third" }
  f.fifth = flow.shell { "true", after = "second", when = "{{params.n > 5}}" }
  return f
]]

describe("run --json", function()
  local box
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("prints one object a line with the keys of the manual and nothing else", function()
    local done = box:script(story, "--json")
    assert.equal(1, done.code)
    local allowed = { event = "string", ts = "string", run = "string", flow = "string",
      node = "string", attempt = "number", status = "string", duration_ms = "number",
      seq = "number", error = "string" }
    local names = { run_started = true, node_started = true, node_retrying = true,
      node_finished = true, run_finished = true }
    local events, running = support.decode_lines(done.out), {}
    assert.equal(12, #events)
    assert.equal("run_started", events[1].event)
    assert.equal("run_finished", events[12].event)
    for _, event in ipairs(events) do
      assert.is_true(names[event.event], event.event)
      -- What was started is told once to be over; what was not has no attempt.
      if event.event == "node_started" then
        assert.is_nil(running[event.node])
        running[event.node] = event.attempt
      elseif event.node then
        assert.equal(running[event.node], event.attempt)
        running[event.node] = nil
      end
      assert.matches(TIME, event.ts)
      assert.equal("story", event.flow)
      assert.equal(events[1].run, event.run)
      for key, value in pairs(event) do assert.equal(allowed[key], type(value), key) end
      assert.equal(event.event:find("^node_") ~= nil, event.node ~= nil)
    end
  end)

  it("numbers events over all runs, without a gap", function()
    local seq = 0
    for _ = 1, 3 do
      local done = box:script(story, "--json")
      for _, event in ipairs(support.decode_lines(done.out)) do
        seq = seq + 1
        assert.equal(seq, event.seq)
      end
    end
    assert.is_true(seq > 30)
  end)

  it("tells every node's life in order", function()
    local told = {}
    for _, e in ipairs(support.decode_lines(box:script(story, "--json").out)) do
      local node = told[e.node or "run"] or {}
      told[e.node or "run"] = node
      node[#node + 1] = ("%s %s %s"):format(e.event, e.attempt or "-", e.status or "-")
    end
    assert.same({ "run_started - running", "run_finished - failed" }, told.run)
    assert.same({ "node_started 1 running", "node_finished 1 succeeded" }, told.first)
    assert.same({ "node_started 1 running", "node_finished 1 succeeded" }, told.second)
    assert.same({ "node_started 1 running", "node_retrying 1 retrying", "node_started 2 running",
      "node_finished 2 failed" }, told.third)
    assert.same({ "node_finished - upstream_failed" }, told.fourth)
    assert.same({ "node_finished - skipped" }, told.fifth)
  end)

  it("says of a node that did not run why", function()
    for _, e in ipairs(support.decode_lines(box:script(story, "--json").out)) do
      if e.node == "fourth" then
        assert.equal("something it depends on failed (third)", e.error)
      end
    end
  end)

  it("starts with run_started and ends with run_finished", function()
    local events = support.decode_lines(box:script(story, "--json").out)
    assert.equal("run_started", events[1].event)
    assert.equal("run_finished", events[#events].event)
    assert.is_true(events[#events].duration_ms >= 0)
  end)

  it("says the resume line on stderr, so that stdout stays JSON", function()
    local done = box:script(story, "--json")
    assert.matches("resume: flowlua resume ", done.err, 1, true)
  end)

  it("escapes output that is no UTF-8 in error texts", function()
    local done = box:script([[
      local flow = require "flow"
      local f = flow.dag("bytes")
      f.bad = flow.shell { "printf 'no\\377\\033[31m good\\n' >&2; exit 1" }
      return f
    ]], "--json")
    assert.equal(1, done.code)
    local rest = done.out:gsub("\239\191\189", "") -- U+FFFD
    assert.is_nil(rest:find("[\128-\255]"), "a raw byte in the JSON")
    assert.is_nil(done.out:find("\27", 1, true))
    support.decode_lines(done.out)
  end)
end)

describe("show --json", function()
  local box, shown
  before_each(function()
    box = support.box()
    box:script(story, "--param", "who=me", "--at", "2026-01-31T08:30:00+08:00")
    shown = box:show()
  end)
  after_each(function() box:close() end)

  it("has the run's keys", function()
    local run = shown.run
    for key in ([[id flow version status time trigger params vars replay_of created_at started_at
        ended_at resumes]]):gmatch("%S+") do
      assert.is_not_nil(run[key], key)
    end
    assert.equal("story", run.flow)
    assert.equal("failed", run.status)
    assert.equal("manual", run.trigger)
    assert.matches("^sha256:%x+$", run.version)
    assert.equal(64, #run.version - #"sha256:")
    assert.equal("2026-01-31T00:30:00.000Z", run.time)
    assert.same({ who = "me", n = 2 }, run.params)
    assert.same({}, run.vars)
    assert.equal(null, run.replay_of)
    assert.equal(0, run.resumes)
    for _, key in ipairs { "created_at", "started_at", "ended_at" } do
      assert.matches(TIME, run[key])
    end
  end)

  it("has every node's keys, in declaration order", function()
    local names = {}
    for i, node in ipairs(shown.nodes) do
      names[i] = node.name
      for key in ([[name type status after attempts started_at ended_at duration_ms exit_code signal
          error reason outputs vars checkpoint progress resources]]):gmatch("%S+") do
        assert.is_not_nil(node[key], node.name .. "." .. key)
      end
      assert.equal("cpu_ms max_rss_bytes", keys(node.resources))
    end
    assert.same({ "first", "second", "third", "fourth", "fifth" }, names)
  end)

  it("tells what each node did", function()
    local n = shown.node
    assert.same({ "shell", "succeeded", 1, 0, null }, { n.first.type, n.first.status,
      n.first.attempts, n.first.exit_code, n.first.signal })
    assert.same({}, n.first.after)
    assert.same({ name = "me" }, n.first.outputs)
    assert.is_true(n.first.resources.max_rss_bytes > 100000)
    assert.same({ "first" }, n.second.after)
    assert.same({ k = { 1, "two" } }, n.second.vars)
    assert.equal(4, n.second.outputs.twice)
    assert.equal(null, n.second.outputs.none)
    assert.same({ done = 1, total = 4, text = "quarter" }, n.second.progress)
    assert.same({ "failed", 2, 7 }, { n.third.status, n.third.attempts, n.third.exit_code })
    assert.equal("string", type(n.third.error))
    assert.same({ "upstream_failed", 0, null }, { n.fourth.status, n.fourth.attempts,
      n.fourth.started_at })
    assert.equal("skipped", n.fifth.status)
    assert.equal("string", type(n.fifth.reason))
  end)

  it("keeps an empty list a list", function()
    local text = box:run({ "show", "last", "--json" }).out
    assert.matches('"list":[]', text, 1, true)
    assert.matches('"after":[]', text, 1, true)
  end)

  it("keeps exit code and signal apart", function()
    box:script [[
      local flow = require "flow"
      local f = flow.dag("signals")
      f.code = flow.shell { "exit 137" }
      f.signal = flow.shell { "kill -9 $$" }
      return f
    ]]
    local n = box:show().node
    assert.same({ 137, null }, { n.code.exit_code, n.code.signal })
    assert.same({ null, 9 }, { n.signal.exit_code, n.signal.signal })
  end)

  it("takes an unambiguous prefix, `last` and `last-failed`", function()
    local id = shown.run.id
    box:script [[
      local flow = require "flow"
      local f = flow.dag("fine")
      f.a = flow.shell { "true" }
      return f
    ]]
    assert.equal("fine", box:show("last").run.flow)
    assert.equal(id, box:show("last-failed").run.id)
    assert.equal(id, box:show(id).run.id)
    assert.equal(id, box:show(id:sub(1, -2)).run.id)
    local both = box:run { "show", id:sub(1, 8), "--json" }
    assert.equal(2, both.code)
    assert.matches("beginning or the end of more than one run", both.err)
    local none = box:run { "show", "nothing-such", "--json" }
    assert.equal(2, none.code)
    assert.matches("nothing%-such", none.err)
  end)
end)

describe("other readers as JSON", function()
  local box
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("runs is a list, newest first", function()
    box:script(story)
    box:script(story, "--param", "n=9")
    local list = support.decode(box:run({ "runs", "--json" }).out)
    assert.equal(2, #list)
    assert.equal(9, list[1].params.n)
    assert.equal(2, list[2].params.n)
    local shown = box:show(list[2].id).run
    assert.same(shown, list[2])
  end)

  it("runs of an empty state is an empty list, and makes no state", function()
    local done = box:run { "runs", "--json" }
    assert.equal(0, done.code)
    assert.equal("[]", (done.out:gsub("%s", "")))
    assert.is_false(box:exists("state/flowlua.db"))
  end)

  it("context tells what an attempt saw", function()
    box:script(story)
    local context = support.decode(box:run({ "context", "last", "third", "--json" }).out)
    assert.same({ who = "you", n = 2 }, context.params)
    assert.same({ k = { 1, "two" } }, context.vars)
    assert.equal(4, context.inputs.second.twice)
    assert.equal(box:show().run.id, context.run)
    assert.equal(2, context.attempt)
    local first = support.decode(box:run({ "context", "last", "third", "--attempt", "1",
      "--json" }).out)
    assert.equal(1, first.attempt)
  end)

  it("logs are a line of JSON for each of theirs, with node and attempt", function()
    box:script [[
      local flow = require "flow"
      local f = flow.dag("f")
      f.a = flow.shell { "echo try $FLOWLUA_ATTEMPT; printf 'no\\377\\033 end'; "
        .. "test $FLOWLUA_ATTEMPT = 2",
        retries = 1, retry_delay = 0 }
      f.b = flow.shell { "echo b", after = "a" }
      return f
    ]]
    local done = box:run { "logs", "last", "--json" }
    assert.same({ { node = "a", attempt = 2, text = "try 2" },
      { node = "a", attempt = 2, text = "no\\xff\\x1b end" }, { node = "b", attempt = 1,
        text = "b" },
    }, support.decode_lines(done.out))
    done = box:run { "logs", "last", "a", "--attempt", "1", "--json", "--tail", "1" }
    assert.same({ { node = "a", attempt = 1, text = "no\\xff\\x1b end" } },
      support.decode_lines(done.out))
  end)

  it("every reader takes --json", function()
    box:script(story)
    for _, words in ipairs { { "runs" }, { "show", "last" }, { "explain", "last" },
      { "explain", "last", "third" }, { "context", "last", "first" }, { "logs", "last" },
      { "prune", "--keep", "30d", "--dry-run" }, { "resume", "--plan" } } do
      words[#words + 1] = "--json"
      local done = box:run(words)
      assert.equal(0, done.code, table.concat(words, " ") .. ": " .. done.err)
      for line in done.out:gmatch("[^\n]+") do support.decode(line) end
    end
  end)
end)
