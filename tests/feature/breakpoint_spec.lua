-- What a breakpoint promises: all that is known of a run that stopped, and its way elsewhere.
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

local function runs(args, code)
  local done = box:run(args)
  assert.equal(code or 0, done.code, table.concat(args, " ") .. "\n" .. done.out .. done.err)
  return done
end

--- Runs a script that stops.
local function breaks(text, ...)
  local done = box:script(text, ...)
  assert.equal(1, done.code, done.out .. done.err)
  return box:sql_value "SELECT id FROM v_run WHERE parent IS NULL ORDER BY created_at DESC LIMIT 1"
end

local function breakpoint(...)
  local shown = support.decode(runs({ "breakpoint", ... }).out)
  shown.node = {}
  for _, node in ipairs(shown.nodes) do shown.node[node.name] = node end
  return shown
end

--- Takes the run to another state directory, which is the box's from then on.
local function move(run)
  runs { "breakpoint", "export", run or "last", "moved" }
  box.state = box.path .. "/other"
  box.env.FLOWLUA_STATE = box.state
end

--- As a pattern that matches just this.
local function plain(text) return (text:gsub("%p", "%%%0")) end

local function trail() return table.concat(support.lines(box:read "trail" or ""), " ") end

-- Every table of the store as text, without the lock that reading leaves.
local function dump()
  return box:sh("sqlite3 -readonly '" .. box.state .. "/flowlua.db' .dump | sha256sum").out
end

-- a -> b -> c; b fails until the file `mended` is there.
local chain = script([[
  f.a = flow.lua { run = function(ctx)
    ctx.vars.v = ctx.params.p
    return { o = 1, long = ("x"):rep(70000) }
  end }
  f.b = flow.shell { after = "a", retries = 1, retry_delay = 0,
    "echo b-{{vars.v}} | tee -a trail; echo no region: north >&2; test -e mended" }
  f.c = flow.shell { after = "b", "echo c-{{vars.v}} >> trail" }
  f.side = flow.shell { "echo fine" }
]], [[{ params = { p = "x" } }]])

describe("breakpoint RUN --json", function()
  each_test()

  it("has all that is known of every node, values with their digests", function()
    local id = breaks(chain)
    local bp = breakpoint(id, "--json")
    assert.equal(id, bp.run.id)
    assert.equal(bp.run.version, bp.version)
    assert.equal(1, #bp.failed)
    local failed = bp.failed[1]
    assert.same({ "b", 2, 1, support.null, "retries_used" },
      { failed.node, failed.attempt, failed.exit_code, failed.signal, failed.reason })
    assert.equal(failed.at, bp.at)
    assert.matches("exited with code 1", failed.error)
    assert.same({ "b", "c" }, bp.queue)
    local a, b, c = bp.node.a, bp.node.b, bp.node.c
    assert.equal("succeeded", a.status)
    assert.is_nil(a.outputs.value) -- too long to be told twice
    assert.is_true(a.outputs.size > 70000)
    assert.same({ v = "x" }, a.vars_out.value)
    assert.equal(2, #b.attempts)
    assert.same({ 1, "failed", 1 }, { b.attempts[1].attempt, b.attempts[1].status,
      b.attempts[1].exit_code })
    assert.equal(a.outputs.digest, b.inputs.a.digest)
    local digest = box:sh("printf '%s' '{\"v\":\"x\"}' | sha256sum").out:match "%x+"
    assert.equal("sha256:" .. digest, b.vars.digest)
    assert.is_true(b.attempts[2].log.total > 0)
    assert.equal("upstream_failed", c.status)
    assert.same({ {}, support.null }, { c.attempts, c.vars })
    assert.same({}, bp.patches)
    assert.same({}, bp.proposals)
  end)

  it("is written with the failure: a run that is killed after it knows its breakpoint", function()
    box:write("flow.lua", script [[
      f.a = flow.shell { "exit 7" }
      f.b = flow.shell { "exec sleep 60" }
    ]])
    local run = box:start { "flow.lua", "--no-progress" }
    support.wait_until("the failure and the sleeper", function()
      return box:exists "state/flowlua.db"
        and box:sql_value "SELECT count(*) FROM v_breakpoint" == "1"
        and box:sql_value "SELECT count(*) FROM v_attempt WHERE status='running'" == "1"
    end)
    local refused = runs({ "breakpoint", "last" }, 2)
    assert.matches("is running: it has not stopped", refused.err)
    refused = runs({ "breakpoint", "export", "last", "x" }, 3)
    assert.matches("is running: it is owned by process " .. run.pid, refused.err)
    assert.is_false(box:exists "x")
    run:kill(support.SIGKILL)
    run:wait()
    local bp = breakpoint("last", "--json")
    assert.same({ "a", 7 }, { bp.failed[1].node, bp.failed[1].exit_code })
    assert.same({ "a", "b" }, bp.queue)
    local text = runs({ "breakpoint", "last" }).out
    assert.matches("was interrupted: no engine executes it", text, 1, true)
    assert.matches("running when its engine was killed 1: b", text)
    -- Elsewhere nobody can know how the sleeper ended: it is lost, and is tried again.
    box:write("flow.lua", "")
    local note = runs({ "breakpoint", "export", "last", "x" }).err
    assert.matches("1 node of it may still run here", note)
    local done = box:run { "resume", "x", "--state", "other", "--no-progress", "--skip", "a",
      "--option", "b.timeout=200ms" }
    assert.equal(1, done.code, done.out .. done.err)
    local node = support.decode(runs({ "show", "last", "--json", "--state", "other" }).out).nodes[2]
    assert.equal(2, node.attempts)
    local history = runs({ "explain", "last", "b", "--state", "other" }).out
    assert.matches("lost %(attempt 1%)", history)
    assert.matches("timed_out %(attempt 2%)", history)
    runs({ "cancel", "last", "--kill" })
  end)

  it("queues what a resume runs, also behind branches and items that may fail", function()
    breaks(script [[
      f.choose = flow.branch { choose = function() return "yes" end }
      f.bad = flow.shell { "exit 1" }
      f.yes = flow.shell { after = "choose", "true" }
      f.no = flow.shell { after = { "choose", "bad" }, trigger = "all_done", "true" }
      f.behind = flow.shell { after = "no", "true" }
      f.each = flow.map { over = { 0, 1 }, allow_failure = true,
        node = flow.shell { "exit {{item}}" } }
      f.last = flow.shell { after = { "bad", "each" }, "true" }]])
    local planned, queued = {}, {}
    for _, node in ipairs(support.decode(runs({ "resume", "--plan", "--json" }).out).nodes) do
      if node.action == "run" then planned[#planned + 1] = node.name end
    end
    for i, name in ipairs(breakpoint("last", "--json").queue) do queued[i] = name end
    table.sort(planned)
    table.sort(queued)
    assert.same(planned, queued)
    assert.same({ "bad", "each", "each[2]", "last" }, queued)
  end)

  it("queues in the order of the graph, and leaves out what a resume leaves out", function()
    breaks(script [[
      f.last = flow.shell { after = { "mid", "skipped" }, "true" }
      f.mid = flow.shell { after = "bad", "true" }
      f.bad = flow.shell { "false" }
      f.skipped = flow.shell { "true", when = function() return false end }
      f.gone = flow.shell { after = "skipped", "true" }
      f.m = flow.map { over = { 1, 2, 3 }, run = function(ctx)
        assert(ctx.item ~= 2, "item two")
        return ctx.item
      end }
    ]])
    local bp = breakpoint("last", "--json")
    assert.same({ "bad", "mid", "last", "m", "m[2]" }, bp.queue)
    local names = {}
    for _, failed in ipairs(bp.failed) do names[failed.node] = true end
    assert.same({ bad = true, ["m[2]"] = true, m = true }, names)
    -- The same as a resume says that it runs.
    local plan = support.decode(runs({ "resume", "--plan", "--json" }).out)
    local planned, queued = {}, {}
    for _, node in ipairs(plan.nodes) do planned[node.name] = node.action == "run" or nil end
    for _, name in ipairs(bp.queue) do queued[name] = true end
    assert.same(planned, queued)
  end)

  it("says what a resume changed, and only the newest failures", function()
    breaks(chain)
    runs({ "resume", "--no-progress", "--set", "v:=2", "--reason", "why not", "--author", "ann" },
      1)
    local bp = breakpoint("last", "--json")
    assert.equal(1, #bp.failed)
    assert.equal(4, bp.failed[1].attempt)
    assert.equal(1, #bp.patches)
    local patch = bp.patches[1]
    assert.same({ 2, "why not", "ann", 2 },
      { patch.epoch, patch.reason, patch.author, patch.patch.vars.v })
    assert.matches("^sha256:%x+$", patch.digest)
    assert.equal(2, bp.node.b.attempts[4].epoch)
    assert.equal(2, bp.node.b.vars.value.v)
  end)
end)

describe("breakpoint RUN", function()
  each_test()

  it("says what failed and why, what is done and what helps", function()
    local id = breaks(chain)
    local text = runs({ "breakpoint", "last-failed" }).out
    assert.matches("run " .. plain(id) .. " of flow f stopped at a failure on 20%d%d", text)
    assert.matches("failed\n  b, attempt 2: exited with code 1: no region: north (no retries",
      text, 1, true)
    assert.matches("    | no region: north\n", text, 1, true)
    assert.matches("done 2 of 4: a, side\n", text, 1, true)
    assert.matches("a resume runs 2: b, c\n", text, 1, true)
    for _, command in ipairs { "logs " .. id .. " b", "context " .. id .. " b",
      "resume " .. id .. " --plan", "resume " .. id .. " --set NAME=VALUE",
      "resume " .. id .. " --skip b", "breakpoint export " .. id .. " FILE" } do
      assert.matches("  flowlua " .. command .. "\n", text, 1, true)
    end
  end)

  it("says so of a run that has succeeded, or is not known", function()
    box:script(script [[ f.a = flow.shell { "true" } ]])
    assert.matches("has succeeded: it is at no breakpoint", runs({ "breakpoint", "last" }, 2).err)
    assert.matches("there is no run 'nix'", runs({ "breakpoint", "nix" }, 2).err)
    assert.matches("FILE is missing", runs({ "breakpoint", "export", "last" }, 2).err)
    assert.matches("unexpected argument 'more'", runs({ "breakpoint", "last", "more" }, 2).err)
  end)

  it("names checkpoints and steps that are given back", function()
    breaks(script [[
      f.a = flow.lua { run = function(ctx)
        ctx:step("once", function() return 1 end)
        ctx:checkpoint { at = 7 }
        error "not yet"
      end }
    ]])
    assert.matches('a checkpoint {"at":7}, 1 step\n', runs({ "breakpoint", "last" }).out, 1, true)
    local a = breakpoint("last", "--json").node.a
    assert.same({ { at = 7 }, { "once" } }, { a.checkpoint.value, a.steps })
  end)
end)

describe("an exported run", function()
  each_test()

  it("goes on elsewhere with what it had: blobs, checkpoints, steps, maps, sub-flows", function()
    local id = breaks([[
      local flow = require "flow"
      local inner = flow.dag("inner", { params = { n = 0 } })
      inner.one = flow.shell { "echo one-{{params.n}} >> trail", capture = "text" }
      inner.two = flow.shell { after = "one", "echo two >> trail; test -e mended" }
      local f = flow.dag("f", {})
      f.big = flow.lua { run = function() return { text = ("x"):rep(400000) } end }
      f.saves = flow.lua { after = "big", run = function(ctx)
        local was = ctx:restored()
        local once = ctx:step("once", function()
          ctx:exec { "sh", "-c", "echo step >> trail" }
          return 5
        end)
        if was then return { was = was, once = once, size = #ctx.inputs.big.text } end
        ctx:checkpoint { at = 3 }
        error "stopped"
      end }
      f.m = flow.map { over = function() return { "p", "q", "r" } end,
        node = flow.shell { "echo {{item}} >> trail; test {{item}} != q || test -e mended" } }
      f.sub = flow.call { flow = "inner", params = { n = 4 } }
      f.out = flow.lua { after = { "saves", "m", "sub" }, run = function(ctx)
        return ctx.inputs.saves
      end }
      return { f, inner }
    ]], "--flow", "f", "--jobs", "1")
    box:sh ": > trail"
    move(id)
    local before = dump()
    assert.matches("no such file", box:sh("cat other/flowlua.db").err:lower())
    box:write("mended", "")
    runs { "resume", "moved", "--no-progress" }
    assert.is_not.equal(before, dump())
    local words = {}
    for word in trail():gmatch "%S+" do words[word] = (words[word] or 0) + 1 end
    assert.same({ q = 1, two = 1 }, words) -- nothing that was done is done again
    local shown = box:show(id)
    assert.equal("succeeded", shown.run.status)
    assert.same({ was = { at = 3 }, once = 5, size = 400000 }, shown.node.out.outputs)
    assert.equal("1", box:sql_value "SELECT count(*) FROM v_run WHERE parent IS NOT NULL")
    assert.equal("0", box:sql_value "SELECT count(*) FROM v_attempt WHERE name='one' AND number>1")
  end)

  it("says where it is from, and where its logs are", function()
    local id = breaks(chain)
    local from = box.state
    move()
    box:write("mended", "")
    runs { "resume", "moved", "--no-progress" }
    local origin = box:show(id).run.origin
    assert.equal(box:sh("realpath '" .. from .. "'").out:match "[^\n]+", origin.state)
    assert.equal(box:sh("uname -n").out:match "%S+", origin.host)
    assert.equal(1, origin.epoch)
    assert.matches("taken in  from [^\n]+/state, exported 20", runs({ "show", id }).out)
    local logs = runs { "logs", id, "b" }
    assert.equal("b-x\nno region: north\n", logs.out) -- of the attempt that ran here
    assert.matches("was logged on .* that stayed there", logs.err)
    assert.equal("", runs({ "logs", id, "side" }).out)
  end)

  it("keeps its patches: vars, options and a mended script with other nodes", function()
    local id = breaks(chain)
    box:write("mended.lua", script([[
      f.new = flow.shell { "echo new >> trail" }
      f.b = flow.shell { after = { "a", "new" }, "echo B-{{vars.v}} >> trail; test -e mended" }
      f.a = flow.lua { run = function(ctx)
        ctx.vars.v = ctx.params.p
        return { o = 1, long = ("x"):rep(70000) }
      end }
      f.d = flow.shell { after = { "b", "a" }, "echo d-{{vars.v}}-{{inputs.a.o}} >> trail" }
    ]], [[{ params = { p = "x" } }]]))
    runs({ "resume", "--no-progress", "--script", "mended.lua", "--set", "v=7", "--keep", "*" }, 1)
    box:sh "rm mended.lua flow.lua; : > trail"
    local states = box:states(id)
    move(id)
    box:write("mended", "")
    local plan = support.decode(runs({ "resume", "moved", "--plan", "--json" }).out)
    assert.is_false(box:exists "other/flowlua.db") -- a plan changes nothing
    local actions = {}
    for _, node in ipairs(plan.nodes) do actions[node.name] = node.action end
    assert.same({ new = "keep", a = "keep", b = "run", d = "run" }, actions)
    assert.same({ new = "succeeded", a = "succeeded", b = "failed", d = "upstream_failed" }, states)
    runs { "resume", "moved", "--no-progress" }
    assert.equal("B-7 d-7-1", trail())
    assert.equal("2", box:sql_value("SELECT epoch FROM v_epoch WHERE run='" .. id ..
      "' AND patch IS NOT NULL"))
  end)

  it("runs with the modules it required, and says which folder is missing", function()
    box:write("src/step.lua", 'return "beside"')
    box:write("src/flow.lua", script [[
      local step = require "step"
      f.a = flow.shell { "test -e mended", cwd = "/" }
      f.b = flow.shell { after = "a", "echo " .. step, cwd = "/", capture = "text" }
      f.c = flow.shell { after = "b", "true" }
    ]]:gsub("test %-e mended", "test -e '" .. box.path .. "/mended'"))
    runs({ "src/flow.lua", "--no-progress" }, 1)
    move()
    box:write("mended", "")
    box:sh "rm -r src"
    local done = runs({ "resume", "moved", "--no-progress" }, 1)
    assert.matches("cannot change to the folder '" .. box.path .. "/src'", done.out, 1, true)
    assert.equal("beside", box:show().node.b.outputs)
    box:sh "mkdir src"
    runs { "resume", "--no-progress" }
  end)

  it("can be moved on, and back, and mended on the way", function()
    local id, home = breaks(chain), box.state
    runs { "breakpoint", "export", id, "one" }
    runs({ "resume", "one", "--state", "other", "--no-progress", "--set", "v=1" }, 1)
    local refused = runs({ "resume", "one", "--state", "other" }, 2)
    assert.matches("run " .. plain(id) .. " is in '[^']+/other' already and was left as it is",
      refused.err)
    assert.matches("flowlua resume " .. id, refused.err, 1, true)
    runs { "breakpoint", "export", id, "two", "--state", "other" }
    box:write("mended", "")
    runs({ "resume", "two", "--state", "third", "--no-progress" })
    local shown = support.decode(runs({ "show", id, "--json", "--state", "third" }).out)
    assert.equal(2, shown.run.resumes)
    assert.matches("/other$", shown.run.origin.state)
    assert.equal("b-x b-x b-1 b-1 b-1 c-1", trail())
    -- Where it came from it is as it was.
    assert.equal("failed", box:show(id).run.status)
    assert.equal(home, box.state)
  end)

  it("of which any byte has changed is refused, and nothing is changed", function()
    breaks(chain)
    runs { "breakpoint", "export", "last", "whole" }
    box:script(script [[ f.a = flow.shell { "true" } ]], "--state", "other")
    box.state = box.path .. "/other"
    local before, whole = dump(), box:read "whole"
    local seed = 7
    for i = 1, 20 do
      seed = (seed * 16807) % 2147483647
      local at = i <= 5 and i * 11 or seed % #whole + 1
      local byte = whole:byte(at)
      box:write("bad", whole:sub(1, at - 1) .. string.char((byte + 1) % 256) .. whole:sub(at + 1))
      local done = box:run { "resume", "bad", "--state", "other" }
      assert.is_true(done.code == 3, at .. ": " .. done.out .. done.err)
    end
    box:write("bad", whole:sub(1, #whole - 1))
    assert.matches("its end is missing", runs({ "resume", "bad", "--state", "other" }, 3).err)
    box:write("bad", (whole:gsub("^flowlua%-run 1", "flowlua-run 9")))
    assert.matches("by a newer FlowLua", runs({ "resume", "bad", "--state", "other" }, 3).err)
    box:write("bad", "no run at all")
    assert.matches("is no exported run", runs({ "resume", "bad", "--state", "other" }, 3).err)
    assert.equal(before, dump())
  end)

  it("does not replace a file unless told to", function()
    breaks(chain)
    box:write("mine", "precious")
    local refused = runs({ "breakpoint", "export", "last", "mine" }, 2)
    assert.matches("'mine' is there already", refused.err)
    assert.equal("precious", box:read "mine")
    runs { "breakpoint", "export", "last", "mine", "--force" }
    assert.matches("^flowlua%-run 1 ", box:read "mine")
    refused = runs({ "breakpoint", "export", "last", "no/where" }, 3)
    assert.matches("cannot write 'no/where'", refused.err)
    assert.equal("", box:sh("ls -a | grep '^.flowlua-'").out) -- no half file is left
  end)

  it("goes with the runs it called, not without the one that called it", function()
    breaks([[
      local flow = require "flow"
      local inner = flow.dag("inner", {})
      inner.one = flow.shell { "false" }
      local f = flow.dag("f", {})
      f.sub = flow.call { flow = "inner" }
      return { f, inner }
    ]], "--flow", "f")
    local child = box:sql_value "SELECT id FROM v_run WHERE parent IS NOT NULL"
    assert.matches("is part of another run: name that one",
      runs({ "breakpoint", "export", child, "x" }, 2).err)
  end)
end)

describe("resume --as-new", function()
  each_test()

  -- The rows of a run in all tables.
  local function rows(id)
    local all = {}
    for _, view in ipairs { "v_run", "v_node", "v_attempt", "v_context", "v_decision", "v_epoch",
      "v_breakpoint" } do
      local key = view == "v_run" and "id" or "run"
      for _, row in ipairs(box:sql(("SELECT * FROM %s WHERE %s='%s'"):format(view, key, id))) do
        all[#all + 1] = table.concat(row, "|")
      end
    end
    return table.concat(all, "\n")
  end

  it("continues a copy that shares what is kept, and leaves the run as it is", function()
    local id = breaks(chain)
    local before = rows(id)
    local values = box:sql_value "SELECT count(*) FROM value"
    box:sh ": > trail"
    box:write("mended", "")
    local done = runs { "resume", "--as-new", "--no-progress", "--set", "v=9" }
    local new = done.out:match("run (%S+) is a copy of run " .. plain(id))
    assert.is_string(new)
    assert.equal("b-9 c-9", trail())
    assert.equal(before, rows(id))
    local shown = box:show(new)
    assert.equal("succeeded", shown.run.status)
    assert.equal(id, shown.run.fork_of)
    assert.same({ 1, 3 }, { shown.node.a.attempts, shown.node.b.attempts })
    assert.is_true(tonumber(box:sql_value "SELECT count(*) FROM value") - tonumber(values) < 10)
    assert.matches("forked    from " .. id, runs({ "show", new }).out, 1, true)
    assert.equal("fine\n", runs({ "logs", new, "side" }).out)
    -- The old one can still go on by itself.
    runs { "resume", id, "--no-progress" }
    assert.equal("b-9 c-9 b-x c-x", trail())
  end)

  it("outlives the run that it was made of", function()
    local id = breaks(chain)
    box:write("mended", "")
    runs { "resume", id, "--as-new", "--no-progress", "--rerun", "side" }
    local new = box:show().run.id
    -- The older of the two is pruned alone, when a size is asked for that only one fits.
    box:sh("sqlite3 '" .. box.state .. "/flowlua.db' \"UPDATE run SET ended_ms=1 WHERE id='" .. id
      .. "'\"")
    local pruned = support.decode(runs({ "prune", "--keep", "365d", "--all", "--json" }).out)
    assert.same({ id }, pruned.runs)
    assert.equal("b-x\nno region: north\n", runs({ "logs", new, "b", "--attempt", "1" }).out)
    local shown = box:show(new)
    assert.equal(support.null, shown.run.fork_of) -- nobody knows it any more
    assert.equal(70000, #shown.node.a.outputs.long)
  end)

  it("copies the runs that it called", function()
    local id = breaks([[
      local flow = require "flow"
      local inner = flow.dag("inner", {})
      inner.one = flow.shell { "echo one >> trail" }
      inner.two = flow.shell { after = "one", "echo two >> trail; test -e mended" }
      local f = flow.dag("f", {})
      f.sub = flow.call { flow = "inner" }
      return { f, inner }
    ]], "--flow", "f")
    local child = box:sql_value "SELECT id FROM v_run WHERE parent IS NOT NULL"
    local before = rows(child)
    box:write("mended", "")
    runs { "resume", id, "--as-new", "--no-progress" }
    assert.equal("one two two", trail())
    assert.equal(before, rows(child))
    assert.equal("2", box:sql_value "SELECT count(*) FROM v_run WHERE parent IS NOT NULL")
    assert.equal(child, box:sql_value
      "SELECT fork_of FROM v_run WHERE parent IS NOT NULL AND fork_of IS NOT NULL")
  end)

  it("makes no copy for a patch that is wrong, nor for a plan", function()
    breaks(chain)
    local before = dump()
    assert.matches('no node "nix"', runs({ "resume", "--as-new", "--skip", "nix" }, 2).err)
    assert.matches("2 of 4 nodes would run", runs({ "resume", "--as-new", "--plan" }).out)
    assert.equal(before, dump())
  end)

  it("of a run that has succeeded runs what is asked for again", function()
    box:write("mended", "")
    box:script(chain)
    local id = box:show().run.id
    runs { "resume", "--as-new", "--rerun", "b+", "--no-progress" }
    assert.equal("b-x c-x b-x c-x", trail())
    assert.equal(id, box:show().run.fork_of)
  end)

  it("tells the copy's id on stderr where stdout is JSON", function()
    local id = breaks(chain)
    box:write("mended", "")
    local done = runs { "resume", "--as-new", "--json" }
    local events = support.decode_lines(done.out)
    assert.matches("run " .. events[1].run .. " is a copy of run " .. id, done.err, 1, true)
  end)
end)
