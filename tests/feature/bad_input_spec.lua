-- What bad input gets: the message, the exit code, and what the store holds afterwards.
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

-- How many runs the store holds; none when there is no store.
local function runs()
  if not box:exists("state/flowlua.db") then return 0 end
  return tonumber(box:sql_value("select count(*) from run"))
end

-- A script that cannot be loaded: exit 2, the message on stderr, nothing on stdout, no store.
local function refused(text, message, ...)
  local done = box:script(text, ...)
  assert.equal(2, done.code, done.out .. done.err)
  assert.matches(message, done.err, 1, true)
  assert.equal("", done.out)
  assert.is_false(box:exists("state/flowlua.db"))
  return done
end

-- A node `bad` that fails: exit 1, its error, one node failed and the other succeeded.
local function node_fails(body, message, options, ...)
  local done = box:script(script(body .. '\nf.good = flow.shell { "true" }', options), ...)
  assert.equal(1, done.code, done.out .. done.err)
  local shown = box:show()
  assert.equal("failed", shown.run.status)
  local bad = shown.node.bad
  assert.equal("failed", bad.status)
  assert.matches(message, bad.error, 1, true)
  assert.same({}, bad.outputs)
  assert.equal("succeeded", shown.node.good.status)
  box:assert_none_left()
  return bad, done, shown
end

describe("a script", function()
  each_test()

  it("that is not there", function()
    local done = box:run { "nope.lua" }
    assert.equal(2, done.code)
    assert.matches("cannot open script 'nope.lua': No such file or directory", done.err, 1, true)
    assert.is_false(box:exists("state/flowlua.db"))
  end)

  it("that is a folder", function()
    local done = box:run { "." }
    assert.equal(2, done.code)
    assert.equal(0, runs())
  end)

  local cases = {
    { "with a syntax error", 'local flow = require "flow"\nlocal f = flow.dag("f"\nreturn f',
      "flow.lua:3: ')' expected" },
    { "that fails while it is loaded", "local x = nil\nx.y = 1",
      "flow.lua:2: attempt to index local 'x' (a nil value)" },
    { "that raises a table", "error({})", "error object is a table" },
    { "with a flow without nodes", 'local flow = require "flow"\nreturn flow.dag("empty")',
      "flow.lua:2: empty: expected at least one node, got none" },
    { "that returns no flow", "return 42",
      "flow.lua: expected the script to return a flow or a list of flows, got 42" },
    { "with two flows of one key", [[local flow = require "flow"
      local a = flow.dag("same") a.n = flow.shell { "true" }
      local b = flow.dag("same") b.n = flow.shell { "true" }
      return { a, b }]], "flow.lua:3: same: a flow of this key exists already, see flow.lua:2" },
    { "with a flow key that is no name", 'require "flow".dag("a b")', "flow.lua:1: " },
    { "with an unknown option", script [[f.a = flow.shell { "true", retires = 2 }]],
      'flow.lua:3: f.a.retires: unknown option; did you mean "retries"?' },
    { "with an unknown type", script [[f.a = flow.shel { "true" }]],
      'flow.lua:3: flow.shel: unknown node type; did you mean "shell"?' },
    { "with an unknown dependency",
      script 'f.alpha = flow.shell { "true" }\nf.b = flow.shell { "true", after = "alpah" }',
      'flow.lua:4: f.b.after: unknown node "alpah"; did you mean "alpha"?' },
    { "with a cycle", script [[
f.a = flow.shell { "true", after = "c" }
f.b = flow.shell { "true", after = "a" }
f.c = flow.shell { "true", after = "b" }]],
      "f.a.after: nodes depend on each other in a cycle: a -> b -> c -> a" },
    { "with a node that depends on itself", script [[f.a = flow.shell { "true", after = "a" }]],
      "cycle: a -> a" },
    { "with a name given twice", script 'f.a = flow.shell { "1" }\nf.a = flow.shell { "2" }',
      "flow.lua:4: f.a: a node of this name exists already, see flow.lua:3" },
    { "with a name that is none", script [[f["1 a"] = flow.shell { "true" }]],
      'flow.lua:3: f["1 a"]: expected a name' },
    { "with a node that is none", script [[f.a = "x"]], "flow.lua:3: f.a: expected a node" },
    { "with a bad duration", script [[f.a = flow.shell { "true", timeout = "5 parsecs" }]],
      "flow.lua:3: f.a.timeout: expected a duration such as" },
    { "with a bad size", script [[f.a = flow.shell { "true", limits = { memory = "lots" } }]],
      "flow.lua:3: f.a.limits.memory: expected a size such as" },
    { "with a number that is none", script [[f.a = flow.shell { "true", retries = "two" }]],
      'flow.lua:3: f.a.retries: expected an integer from 0 to 100, got "two"' },
    { "with a trigger that is none", script [[f.a = flow.shell { "true", trigger = "all_sucess" }]],
      "flow.lua:3: f.a.trigger: " },
    { "with an empty command", script [[f.a = flow.shell { " " }]],
      "flow.lua:3: f.a.text: expected a command, got an empty text" },
    { "without what its type needs", script [[f.a = flow.sql { "select 1" }]],
      "flow.lua:3: f.a.db" },
    { "with a template that is not closed", script [[f.a = flow.shell { "echo {{ run.id" }]],
      "flow.lua:3: f.a.text: template" },
    { "with a bad pattern", script [[f.a = flow.shell { "true", retry_on = "(" }]],
      "flow.lua:3: f.a.retry_on: " },
    { "with a module that is nowhere", 'require "nowhere"',
      "flow.lua:1: module 'nowhere' not found" },
  }
  for _, case in ipairs(support.rows(cases)) do
    it(case[1], function()
      refused(case[2], case[3])
      -- check says the same without running.
      local checked = box:run { "check", "flow.lua" }
      assert.equal(2, checked.code)
      assert.matches(case[3], checked.err, 1, true)
    end)
  end

  it("that is bytecode or has none of Lua in it", function()
    refused("\27LJ\2\10nothing", "flow.lua")
    refused(("\0\255\128"):rep(100), "flow.lua")
  end)

  it("checks well when it is well", function()
    box:write("flow.lua", script [[f.a = flow.shell { "true" }]])
    local done = box:run { "check", "flow.lua" }
    assert.equal(0, done.code, done.err)
    assert.equal(0, runs())
  end)
end)

describe("a command line", function()
  each_test()
  local good = script([[f.a = flow.shell { "true" }]], "{ params = { count = 1 } }")

  it("with an unknown parameter", function()
    refused(good, 'cuont: unknown parameter of flow f; did you mean "count"?', "--param", "cuont=1")
  end)
  it("with a parameter of another type", function()
    refused(good, 'count: expected a number as JSON, got "abc"', "--param", "count=abc")
  end)
  it("with a parameter without a value", function()
    refused(good, 'expected --param name=value, got "count"', "--param", "count")
  end)
  it("with an unknown flow", function()
    refused(good, "flow.lua has no flow 'g'; it has: f", "--flow", "g")
  end)
  it("with an unknown node", function()
    refused(good, "nothing", "--only", "nothing")
    refused(good, "nothing", "--from", "nothing")
  end)
  it("that must choose among several flows", function()
    refused([[local flow = require "flow"
      local a = flow.dag("a") a.n = flow.shell { "true" }
      local b = flow.dag("b") b.n = flow.shell { "true" }
      return { a, b }]], "flow.lua has several flows; choose one with --flow: a, b")
  end)
  it("with a time that is none", function()
    refused(good, '--at: expected a time like', "--at", "yesterday")
  end)

  for _, case in ipairs {
    { { "rnu", "x.lua" }, "unknown verb 'rnu', did you mean 'run'?" },
    { { "run", "x.lua", "--jbos", "3" }, "unknown option '--jbos' of run, did you mean '--jobs'?" },
    { { "run", "x.lua", "--jobs", "none" }, "--jobs: expected a whole number" },
    { { "run", "x.lua", "--jobs" }, "--jobs" },
    { { "run", "x.lua", "--durability", "maybe" }, "durability" },
    { { "run", "x.lua", "--pool", "p" }, "--pool: expected NAME=N" },
    { { "run", "x.lua", "--pool", "p=0" }, "--pool: expected NAME=N with an N of at least 1" },
    { { "show" }, "there is no state directory" },
    { { "context" }, "NODE is missing: flowlua context [RUN] NODE" },
    { { "show", "last" }, "there is no state directory" },
    { { "resume" }, "there is no state directory" },
    { { "cancel", "last" }, "there is no state directory" },
    { { "prune", "--keep", "0s" }, "there is no state directory" },
    { { "prune", "--keep", "long" }, '--keep: expected an age like 30d or 12h, got "long"' },
    { { "prune", "--keep", "5" },
      '--keep: expected an age like 30d or 12h, got "5" (for the newest 5 runs: --last 5)' },
    { { "graph", "x.lua", "--format", "png" }, "--format" },
    { {}, "flowlua help" },
  } do
    it("such as: flowlua " .. table.concat(case[1], " "), function()
      box:write("x.lua", good)
      local done = box:run(case[1])
      assert.equal(2, done.code, done.out .. done.err)
      assert.matches(case[2], done.err, 1, true)
      assert.equal("", done.out)
      assert.equal(0, runs())
    end)
  end
end)

describe("a state directory", function()
  each_test()
  local good = script [[f.a = flow.shell { "true" }]]

  -- Runs flowlua as a user who may not write what root owns; root itself may write everywhere.
  local function as_nobody(command)
    box:sh("chmod 755 . && chmod 777 io")
    return box:sh(([[if [ "$(id -u)" = 0 ]; then
      exec setpriv --reuid 65534 --regid 65534 --clear-groups %s; else exec %s; fi]])
      :format(command, command))
  end

  it("that cannot be made", function()
    box:write("flow.lua", good)
    box:sh("mkdir closed && chmod 555 closed")
    local done = as_nobody(support.binary .. " flow.lua --state closed/state")
    assert.equal(3, done.code, done.err)
    assert.matches("cannot make the state directory 'closed/state': Permission denied", done.err, 1,
      true)
    done = box:run { "flow.lua", "--state", "flow.lua" }
    assert.equal(3, done.code)
    assert.matches("Not a directory", done.err, 1, true)
    assert.equal(good, box:read("flow.lua"))
  end)

  it("that is read-only is told on a run, and can be read", function()
    assert.equal(0, box:script(good).code)
    box:sh("chmod -R a=rX state")
    local done = as_nobody(support.binary .. " flow.lua")
    assert.equal(3, done.code, done.err)
    assert.matches("read-only", done.err, 1, true)
    done = as_nobody(support.binary .. " runs --json")
    assert.equal(0, done.code, done.err)
    assert.equal(1, #support.decode(done.out))
    box:sh("chmod -R u+w state")
    assert.equal(1, runs())
  end)

  -- What --json told has to be what the store holds; then the run goes on.
  local function assert_nothing_is_lost(events, shown, after)
    local acknowledged, kept = {}, 0
    for _, e in ipairs(support.decode_lines(events)) do
      if e.event == "node_finished" then acknowledged[e.node] = e.status end
    end
    for _, node in ipairs(shown.nodes) do
      if acknowledged[node.name] then
        assert.equal(acknowledged[node.name], node.status, node.name)
        kept = kept + 1
      end
    end
    for _, node in ipairs(after.nodes) do
      assert.equal("succeeded", node.status)
      assert.is_true(node.attempts == 1 or not acknowledged[node.name], node.name)
    end
    return kept
  end

  it("that refuses to grow at any of its writes: exit 3, and nothing acknowledged is lost",
    function()
    box:sanitizer("detect_leaks=0") -- it cannot look while strace does
    box:write("flow.lua", script [[
      for i = 1, 40 do f["n" .. i] = flow.shell { "echo {{run.id}}", capture = "text" } end
    ]])
    local kept, ended = 0, 0
    for _, write in ipairs { 5, 20, 40, 60, 80 } do
      box:sh("rm -rf state")
      local done = box:sh(("exec strace -D -f -y -qq -o trace -e trace=pwrite64 "
        .. "-e inject=pwrite64:error=ENOSPC:when=%d+ %s flow.lua --json"):format(write,
          support.binary))
      if done.err:find("ptrace", 1, true) then
        pending("strace may not trace here: " .. done.err)
        return
      end
      -- The slower the machine, the more nodes share a commit: it may do with fewer writes.
      if done.code == 0 and not box:read("trace"):find "flowlua%.db[^\n]*INJECTED" then break end
      ended = ended + 1
      assert.equal(3, done.code, done.err)
      assert.matches("no space left on the device", done.err, 1, true)
      local hint = done.err:match("resume: flowlua resume (%S+)")
      assert.equal(done.out ~= "", hint ~= nil, "a hint for what is stored, and for nothing else")
      if hint then
        local shown = box:show(hint)
        assert.equal(0, box:run({ "resume", hint }).code)
        kept = kept + assert_nothing_is_lost(done.out, shown, box:show(hint))
      end
      -- The fault goes on in the supervisor, which keeps what it could not write down: it would
      -- wait for a disk that never gets well.
      for pid in pairs(box:left()) do os.execute("kill -9 " .. pid .. " 2>/dev/null") end
    end
    assert.is_true(kept > 0)
    assert.is_true(ended >= 3, ended)
  end)

  -- A run that comes to the end of its disk, then `meanwhile` (shell; $pid is the engine).
  local function fill_disk(meanwhile)
    box:write("flow.lua", script [[
      for i = 1, 300 do f["n" .. i] = flow.shell { "echo {{run.id}}" .. ("x"):rep(60),
        capture = "text" } end
    ]])
    local done = box:sh(([[
      mkdir small
      unshare -m sh -c '
        mount -t tmpfs -o size=700k tmpfs small 2>mount-error || exit 99
        %s flow.lua --state small/state --json >events 2>errors &
        pid=$!
        until grep -q "nothing more is started" errors || ! kill -0 $pid; do sleep 0.05; done
        %s show last --state small/state --json >shown
        %s
        wait $pid
        echo $? >code
        mount -o remount,size=50m small
        %s resume last --state small/state >resumed 2>&1
        %s show last --state small/state --json >shown-after'
    ]]):format(support.binary, support.binary, meanwhile, support.binary, support.binary))
    if box:read("mount-error") ~= "" then
      pending("no small file system can be mounted here: " .. (box:read("mount-error") or done.err))
      return nil
    end
    assert.matches("no space left on the device", box:read("errors"), 1, true)
    local shown, after = support.decode(box:read("shown")), support.decode(box:read("shown-after"))
    assert.equal("succeeded", after.run.status)
    return shown, after
  end

  it("whose disk is full: it waits for room, and goes on by itself", function()
    local shown, after = fill_disk "mount -o remount,size=50m small"
    if shown then
      assert.equal(300, assert_nothing_is_lost(box:read("events"), after, after))
      assert.equal("0\n", box:read("code"), box:read("errors"))
      assert.matches("there is room again: going on", box:read("errors"), 1, true)
      assert.matches("has succeeded: nothing to resume", box:read("resumed"), 1, true)
    end
  end)

  it("whose disk is full: an interrupt ends the waiting, and nothing acknowledged is lost",
    function()
      local shown, after = fill_disk "kill -INT $pid"
      if shown then
        local kept = assert_nothing_is_lost(box:read("events"), shown, after)
        assert.equal("130\n", box:read("code"), box:read("errors"))
        assert.matches("resume: flowlua resume", box:read("errors"), 1, true)
        assert.is_true(kept > 0 and kept < 300, kept)
      end
    end)

  for _, case in ipairs {
    { "that is no database", "head -c 20000 /dev/urandom > state/flowlua.db", "is not a database" },
    { "that is empty", ": > state/flowlua.db", "is empty and no store" },
    { "that is gone, but for its log", "mv state/flowlua.db state/flowlua.db-wal",
      "is gone, but its log" },
    { "that lost its end", "truncate -s 5000 state/flowlua.db", "is damaged" },
    { "of a newer version", "sqlite3 state/flowlua.db 'pragma user_version=9999'",
      "was written by a newer FlowLua" },
    { "of another program", "rm state/flowlua.db; sqlite3 state/flowlua.db 'create table t (a)'",
      "flowlua.db" },
  } do
    it("with a store " .. case[1], function()
      assert.equal(0, box:script(good).code)
      box:sh("rm -f state/flowlua.db-*; " .. case[2])
      local before = box:read("state/flowlua.db")
      for _, words in ipairs { { "flow.lua" }, { "runs" }, { "resume" } } do
        local done = box:run(words)
        assert.equal(3, done.code, table.concat(words, " ") .. done.out .. done.err)
        assert.matches(case[3], done.err, 1, true)
        assert.equal("", done.out)
      end
      assert.is_true(before == box:read("state/flowlua.db"), "the file was changed")
    end)
  end
end)

describe("a node", function()
  each_test()

  it("whose output is no JSON", function()
    local bad = node_fails([[f.bad = flow.shell { "echo oops", capture = "json" }]],
      "stdout is no JSON: expected a value at line 1, column 1")
    assert.equal(0, bad.exit_code)
    assert.matches("oops", box:run({ "logs", "last", "bad" }).out)
  end)

  it("whose FLOWLUA_OUTPUT is no JSON", function()
    node_fails([[f.bad = flow.shell { "echo '{\"a\":' > $FLOWLUA_OUTPUT" }]], "FLOWLUA_OUTPUT")
  end)

  -- Each way by which 64 MiB may come.
  for name, body in pairs {
    capture = [[f.bad = flow.shell { "head -c 67108864 /dev/zero | tr '\\0' x",
      capture = "text" }]],
    FLOWLUA_OUTPUT = [[f.bad = flow.shell { "head -c 67108864 /dev/zero > $FLOWLUA_OUTPUT" }]],
    worker = [[f.bad = flow.lua { run = function() return ("x"):rep(67108864) end }]],
    inline = [[f.bad = flow.lua { inline = true, run = function()
      return ("x"):rep(67108864) end }]],
    vars = [[f.bad = flow.lua { run = function(ctx) ctx.vars.x = ("x"):rep(67108864) end }]],
  } do
    it("with 64 MiB of outputs by " .. name, function()
      node_fails(body, "larger than 16 MiB (the limit of a value)")
      assert.is_true(#box:read("state/flowlua.db") < 1048576)
    end)
  end

  it("whose parents leave vars that are too large together fails, and is mended", function()
    local done = box:script(script [[
      for _, name in ipairs { "a", "b" } do
        f[name] = flow.lua { run = function(ctx) ctx.vars[name] = ("v"):rep(9 * 2 ^ 20) end }
      end
      f.c = flow.lua { after = { "a", "b" }, run = function(ctx) return #ctx.vars.a end }
    ]])
    assert.equal(1, done.code, done.out .. done.err)
    assert.matches("c failed: the vars that it inherits are, together, larger than 16 MiB",
      done.out, 1, true)
    assert.equal(1, box:run({ "resume" }).code)
    assert.equal(0, box:run({ "resume", "--skip", "c" }).code)
    assert.equal(0, box:run({ "prune", "--keep", "0s", "--all" }).code)
    assert.equal(0, runs())
  end)

  it("that calls a flow whose outputs are too large together fails", function()
    local done = box:script(script [[
      local sub = flow.dag "sub"
      for i = 1, 2 do
        sub["leaf" .. i] = flow.lua { run = function() return ("v"):rep(9 * 2 ^ 20) end }
      end
      f.call = flow.call { flow = sub }
      f.behind = flow.lua { after = "call", run = function(ctx) return ctx.inputs.call == nil end }
    ]])
    assert.equal(1, done.code, done.out .. done.err)
    assert.matches("call failed [^:]*: the outputs of its last nodes are, together, larger than 16 "
      .. "MiB", done.out)
    assert.equal("upstream_failed", box:states().behind)
  end)

  it("that prints bytes which are no UTF-8 keeps them", function()
    local done = box:script(script [[
      f.bytes = flow.shell { "printf 'x\\377\\000y'", capture = "text" }
      f.back = flow.lua { after = "bytes", run = function(ctx)
        return { same = ctx.inputs.bytes == "x\255\0y" } end }
      f.log = flow.shell { "printf 'a\\377\\033[2Jb\\n'" }
    ]])
    assert.equal(0, done.code, done.out)
    assert.is_true(box:show().node.back.outputs.same)
    assert.equal("a\255\27[2Jb\n", box:run({ "logs", "last", "log", "--raw" }).out)
    local shown = box:run({ "logs", "last", "log" }).out
    assert.is_nil(shown:find("[\27\255]"), "raw bytes on a terminal")
  end)

  it("whose worker segfaults", function()
    box:sanitizer("handle_segv=0")
    node_fails([[
      f.bad = flow.lua { run = function() require("ffi").cast("int *", 8)[0] = 1 end }
      f.other = flow.lua { after = "good", run = function() return 1 end }
    ]], "SIGSEGV")
    assert.equal("succeeded", box:show().node.other.status)
  end)

  it("whose worker allocates without end", function()
    node_fails([[
      f.bad = flow.lua { run = function()
        local t = {}
        while true do t[#t + 1] = ("x"):rep(1e6) .. #t end
      end }
      f.other = flow.lua { after = "good", run = function() return 1 end }
    ]], "memory")
    assert.equal("succeeded", box:show().node.other.status)
  end)

  it("whose worker spins for ever is ended by its timeout", function()
    node_fails([[
      f.bad = flow.lua { timeout = "300ms", grace = "200ms", run = function()
        while true do pcall(function() while true do end end) end
      end }
      f.other = flow.lua { after = "good", run = function() return 1 end }
    ]], "timed out")
    assert.equal("succeeded", box:show().node.other.status)
  end)

  it("whose command is not found", function()
    local bad = node_fails([[f.bad = flow.shell { "no-such-command x" }]],
      "exited with code 127: /bin/sh: 1: no-such-command: not found")
    assert.equal(127, bad.exit_code)
    box:sh("rm -rf state")
    bad = node_fails([[f.bad = flow.shell { "no-such-command x; exit" }]], "exited with code 127")
    assert.equal(127, bad.exit_code)
    box:sh("rm -rf state")
    node_fails([[f.bad = flow.exec { "./flow.lua" }]], "Permission denied")
  end)

  it("whose folder is not there", function()
    node_fails([[f.bad = flow.shell { "true", cwd = "no-such-folder" }]], "no-such-folder")
  end)

  it("that ignores TERM is killed after its grace", function()
    local bad = node_fails([[
      f.bad = flow.shell { "trap '' TERM; while :; do sleep 0.05; done", timeout = "200ms",
        grace = "300ms" }
    ]], "timed out after 200ms")
    assert.is_true(bad.duration_ms >= 500, bad.duration_ms)
  end)

  it("that leaves a daemon behind: it is ended, and somebody is told", function()
    local done = box:script(script [[
      f.a = flow.shell { "setsid sh -c 'sleep 65' >/dev/null 2>&1 & (setsid sleep 66 &); "
        .. "touch begun" }
    ]])
    assert.equal(0, done.code, done.out)
    assert.matches("left %d+ process", done.out)
    box:assert_none_left(5)
    assert.equal("succeeded", box:states().a)
  end)

  it("that prints 200 MB grows nobody, and its log is capped", function()
    local done = box:script(script [[
      f.a = flow.shell { "yes 0123456789012345678901234567890123456789 | head -c 200000000; "
        .. "echo END",
        limits = { output = "1M" } }
    ]])
    assert.equal(0, done.code, done.out)
    local size = tonumber((box:sh("du -sb state/logs | cut -f1").out))
    assert.is_true(size <= 1200000, size)
    local log = box:run({ "logs", "last", "a" }).out
    assert.matches("^0123456789", log)
    assert.matches("END\n$", log)
  end)
end)

describe("a machine", function()
  each_test()

  -- What `command` prints in a mount namespace that `mounts` have changed; nil: none can be made.
  local function within(mounts, command)
    local enter = "unshare -Urm sh -c '%s'"
    if support.is_sanitized or box:sh(enter:format "true").code ~= 0 then return nil end
    return box:sh(enter:format(mounts .. " && exec " .. support.binary .. " " .. command))
  end

  it("without /dev/null fails the nodes that need a process, and says so", function()
    box:write("flow.lua", script [[
      f.a = flow.shell { "true", retries = 0 }
      f.b = flow.lua { run = function() end, retries = 0 }
      f.c = flow.lua { inline = true, run = function() end }
    ]])
    local done = within("mount --bind /dev/shm /mnt && mount -t tmpfs none /dev && mkdir /dev/shm"
      .. " && mount --move /mnt /dev/shm", "flow.lua --no-progress")
    if not done then return pending "no mount namespace can be made" end
    assert.equal(1, done.code, done.out .. done.err)
    assert.matches("a failed %d+ms: cannot open '/dev/null'", done.out)
    assert.matches("b failed %d+ms: cannot start a worker: cannot open '/dev/null'", done.out)
    assert.matches("c succeeded", done.out)
    box:assert_none_left()
  end)

  it("without /proc runs nothing, and says so", function()
    box:write("flow.lua", script [[f.a = flow.shell { "true" }]])
    local done = within("mount -t tmpfs none /proc", "flow.lua --no-progress")
    if not done then return pending "no mount namespace can be made" end
    assert.equal(3, done.code, done.out .. done.err)
    assert.matches("cannot tell processes apart without /proc: mount it", done.err, 1, true)
  end)
end)
