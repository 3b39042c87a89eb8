-- Lua nodes in worker processes: what they may do, what they may not do to anybody else.
local support = require "tests.feature.support"

local box

-- A script of one flow `f`; the lines in `body` declare its nodes.
local function script(body, options)
  return ('local flow = require "flow"\nlocal ffi = require "ffi"\nlocal f = flow.dag("f", '
    .. '%s)\n%s\nreturn f\n')
    :format(options or "{}", body)
end

local function run(body, options, ...) return box:script(script(body, options), ...) end

local function succeeds(body, options, ...)
  local done = run(body, options, ...)
  assert.equal(0, done.code, done.out .. done.err)
  return box:show(), done
end

local function fails(body, options, ...)
  local done = run(body, options, ...)
  assert.equal(1, done.code, done.out .. done.err)
  return box:show(), done
end

local function log_of(node) return box:run({ "logs", "last", node, "--raw" }).out end

local function each_test()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)
end

local SEGFAULT = 'ffi.cast("int *", 8)[0] = 1'

describe("a worker", function()
  each_test()

  it("runs nodes of one script one after another in one process", function()
    local shown = succeeds([[
      ffi.cdef "int getpid(void);"
      for i = 1, 20 do
        f["n" .. i] = flow.lua { after = i > 1 and "n" .. i - 1 or nil, run = function()
          return { pid = ffi.C.getpid() } end }
      end]])
    for _, node in ipairs(shown.nodes) do
      assert.equal(shown.nodes[1].outputs.pid, node.outputs.pid)
    end
  end)

  it("runs each of 300 tasks once, with two workers", function()
    local shown = succeeds([[
      ffi.cdef "int getpid(void);"
      for i = 1, 300 do
        f["n" .. i] = flow.lua { function()
          local out = io.open("trail", "a")
          out:write("n" .. i .. "\n")
          out:close()
          local until_ = os.clock() + 0.002
          while os.clock() < until_ do end
          return { pid = ffi.C.getpid() }
        end }
      end]], nil, "--jobs", "2")
    local seen, pids = {}, {}
    for _, name in ipairs(support.lines(box:read("trail"))) do
      assert.is_nil(seen[name], name .. " ran twice")
      seen[name] = true
    end
    for i = 1, 300 do
      assert.is_true(seen["n" .. i])
      assert.equal("succeeded", shown.node["n" .. i].status)
      pids[shown.node["n" .. i].outputs.pid] = true
    end
    local count = 0
    for _ in pairs(pids) do count = count + 1 end
    assert.equal(2, count)
  end)

  it("does not hold short tasks up behind a long one", function()
    local shown = succeeds([[
      for i = 1, 40 do f["warm" .. i] = flow.lua { function() end } end
      f.slow = flow.lua { after = "warm40", run = function(ctx) ctx:sleep(2) end }
      for i = 1, 60 do f["quick" .. i] = flow.lua { after = "warm40", run = function() end } end]],
      nil, "--jobs", "2")
    local slow_end = shown.node.slow.ended_at
    for i = 1, 60 do
      assert.is_true(shown.node["quick" .. i].ended_at < slow_end, "quick" .. i .. " waited")
    end
  end)

  it("tells of a long node while it runs", function()
    box:write("flow.lua", script [[f.long = flow.lua { run = function(ctx)
      ctx:log("begun"); ctx:sleep(30) end }]])
    local process = box:start { "flow.lua", "--no-progress" }
    support.wait_until("its start", function()
      return process:out():find("long started", 1, true)
    end)
    support.wait_until("its log", function() return log_of("long") == "begun\n" end)
    process:kill(support.SIGINT)
    assert.equal(130, process:wait().code)
  end)
end)

describe("code in a worker", function()
  each_test()

  it("has all of ctx", function()
    local shown = succeeds([[
      f.a = flow.lua { function(ctx) ctx.vars.x = { 1, 2 }; return { big = ("x"):rep(200000),
        n = ctx.params.n } end }
      f.b = flow.lua { after = "a", run = function(ctx)
        local child = ctx:exec { "sh", "-c", "echo out; echo err >&2; exit 3", capture = "text",
          check = false }
        local step = ctx:step("once", function() return { v = 5 } end)
        ctx:checkpoint { at = 7 }
        ctx:sleep(0.01)
        ctx:progress(1, 4, "a quarter")
        return { code = child.code, out = child.stdout, err = child.stderr, step = step.v,
          at = ctx:restored().at,
          size = #ctx.inputs.a.big, x = ctx.vars.x[2], node = ctx.node, id = ctx.run.id,
            attempt = ctx.run.attempt,
          cancelled = ctx:cancelled(), random = ctx:random() < 1, uuid = #ctx:uuid(),
            now = ctx:now() > 1e9 }
      end }
      f.m = flow.map { over = { "p", "q" }, run = function(ctx) return { item = ctx.item,
        index = ctx.index, node = ctx.node } end }
      ]], "{ params = { n = 3 } }")
    local b = shown.node.b.outputs
    assert.same({ 3, "out\n", "err\n", 5, 7, 200000, 2, "b", shown.run.id, 1, false, true, 36,
      true },
      { b.code, b.out, b.err, b.step, b.at, b.size, b.x, b.node, b.id, b.attempt, b.cancelled,
        b.random, b.uuid, b.now })
    assert.equal("a quarter", shown.node.b.progress.text)
    assert.same({ at = 7 }, shown.node.b.checkpoint)
    assert.same({ { item = "p", index = 1, node = "m[1]" }, { item = "q", index = 2,
      node = "m[2]" } }, shown.node.m.outputs)
    assert.equal(3, shown.node.a.outputs.n)
  end)

  it("is given values of every size", function()
    local shown = succeeds([[
      local big = ("y"):rep(300000)
      f.a = flow.lua { function(ctx) ctx.vars.big = big; return { big = big } end }
      f.b = flow.lua { after = "a", run = function(ctx)
        return { vars = #ctx.vars.big, inputs = #ctx.inputs.a.big, params = #ctx.params.big }
      end }
      f.m = flow.map { after = "a", over = { big, "small", big .. big },
        run = function(ctx) return #ctx.item + #ctx.vars.big end }
      ]], "{ params = { big = ('x'):rep(100000) } }")
    assert.same({ vars = 300000, inputs = 300000, params = 100000 }, shown.node.b.outputs)
    assert.same({ 600000, 300005, 900000 }, shown.node.m.outputs)
  end)

  it("may tell its progress as often as it likes", function()
    local shown = succeeds [[f.a = flow.lua { function(ctx)
      for i = 1, 200000 do ctx:progress(i, 200000) end
    end }]]
    assert.same({ 200000, 200000 }, { shown.node.a.progress.done, shown.node.a.progress.total })
    assert.is_true(shown.node.a.duration_ms < 60000)
  end)

  it("writes to its node's log by every way there is", function()
    succeeds([[
      ffi.cdef "int puts(const char *); int dprintf(int, const char *, ...);"
      f.first = flow.lua { function(ctx)
        ctx:log("one", { 2 })
        print("two", 3)
        io.write("three")
        io.write("\n")
        io.stderr:write("four\n")
      end }
      f.second = flow.lua { after = "first", run = function()
        ffi.C.puts("five")
        ffi.C.dprintf(2, "six\n")
        os.execute("echo seven")
      end }]])
    local first, second = log_of("first"), log_of("second")
    assert.equal("one\t[2]\ntwo\t3\n", first:sub(1, 14))
    assert.matches("three\n", first, 1, true)
    assert.matches("four\n", first, 1, true)
    assert.equal(14 + 11, #first)
    for _, word in ipairs { "five\n", "six\n", "seven\n" } do
      assert.matches(word, second, 1, true)
    end
    assert.equal(15, #second)
  end)

  it("may write more than anything in between holds", function()
    succeeds [[f.much = flow.lua { function(ctx)
      for i = 1, 20000 do ctx:log("line " .. i) end
      for i = 1, 200 do io.write(("x"):rep(99999), "\n") end
    end }]]
    local size = 200 * 100000
    for i = 1, 20000 do size = size + #("line " .. i .. "\n") end
    assert.equal(size, #log_of("much"))
  end)

  it("names the file and the line of its errors", function()
    local shown = fails [[
      f.bad = flow.lua { function(ctx)
        local nothing
        return nothing.field
      end }]]
    assert.equal("failed", shown.node.bad.status)
    assert.matches("flow.lua:6: ", shown.node.bad.error, 1, true)
  end)

  it("sees that its end was asked for, and may end by itself", function()
    local shown = fails([[
      f.polite = flow.lua { timeout = "200ms", run = function(ctx)
        while not ctx:cancelled() do end
        print("bye")
        error("enough")
      end }]])
    assert.equal("failed", shown.node.polite.status)
    assert.matches("^bye\nflow.lua:%d+: enough\n$", log_of("polite"))
    assert.equal(support.null, shown.node.polite.signal) -- it was not killed
  end)

  it("is woken from ctx:sleep and ctx:exec by its timeout", function()
    local shown = fails([[
      f.sleeper = flow.lua { timeout = "100ms", run = function(ctx) ctx:sleep(60) end }
      f.waiter = flow.lua { timeout = "100ms", run = function(ctx)
        ctx:exec { "sleep", "60" }
      end }]])
    for _, name in ipairs { "sleeper", "waiter" } do
      assert.equal("failed", shown.node[name].status)
      assert.is_true(shown.node[name].duration_ms < 30000)
    end
  end)

  it("keeps what it wrote to a file when it did not close it", function()
    succeeds [[
      f.a = flow.lua { function() LEAKED = io.open("file", "w"); LEAKED:write("kept") end }
      f.b = flow.lua { after = "a", run = function()
        local file = io.open("file"); assert(file:read("*a") == "kept") end }]]
    assert.equal("kept", box:read("file"))
  end)

  it("is not run again for steps that were done when its worker died", function()
    local shown = succeeds([[
      f.a = flow.lua { retries = 1, run = function(ctx)
        local once = ctx:step("once", function()
          local out = io.open("trail", "a")
          out:write("step\n")
          out:close()
          return 42
        end)
        if ctx.run.attempt == 1 then ]] .. SEGFAULT .. [[ end
        return { once = once }
      end }]])
    assert.equal("step\n", box:read("trail"))
    assert.equal(42, shown.node.a.outputs.once)
    assert.equal(2, shown.node.a.attempts)
  end)
end)

describe("code that harms its worker", function()
  each_test()

  -- Each beside 50 nodes that must not notice.
  local function among_others(body, ...)
    return fails(body .. "\nfor i = 1, 50 do f['n' .. i] = flow.lua { function() return i end "
      .. "} end", nil, ...)
  end

  local function assert_others(shown)
    for i = 1, 50 do
      local node = shown.node["n" .. i]
      assert.equal("succeeded", node.status, node.name)
      assert.equal(1, node.attempts, node.name)
    end
  end

  it("by a segmentation fault fails alone", function()
    local shown = among_others("f.bad = flow.lua { function() " .. SEGFAULT .. " end }")
    assert.equal("failed", shown.node.bad.status)
    assert.equal(11, shown.node.bad.signal)
    assert.matches("worker was killed by SIGSEGV while running node 'bad'", shown.node.bad.error,
      1, true)
    assert_others(shown)
  end)

  it("by abort() fails with what was printed last", function()
    local shown = among_others [[
      ffi.cdef "void abort(void); int dprintf(int, const char *, ...);"
      f.bad = flow.lua { function()
        ffi.C.dprintf(2, "assertion failed: cow\n")
        ffi.C.abort()
      end }]]
    assert.matches("SIGABRT while running node 'bad': assertion failed: cow",
      shown.node.bad.error, 1, true)
    assert.matches("assertion failed: cow\n", log_of("bad"), 1, true)
    assert_others(shown)
  end)

  it("by _exit() fails, whatever the code", function()
    for _, code in ipairs { 0, 3 } do
      local shown = among_others(([[
        ffi.cdef "void _exit(int);"
        f.bad = flow.lua { function() ffi.C._exit(%d) end }]]):format(code))
      assert.equal("failed", shown.node.bad.status)
      assert.matches(("worker exited with code %d while running node 'bad'"):format(code),
        shown.node.bad.error, 1, true)
      assert_others(shown)
    end
  end)

  it("by an endless loop is ended by its timeout", function()
    local shown = among_others([[f.bad = flow.lua { timeout = "300ms", run = function()
      while true do end end }]],
      "--jobs", "1")
    assert.equal("failed", shown.node.bad.status)
    assert.matches("timed out after 300ms", shown.node.bad.error, 1, true)
    assert.is_true(shown.node.bad.duration_ms >= 300 and shown.node.bad.duration_ms < 30000)
    assert_others(shown)
  end)

  it("by a memory bomb is told that there is not enough", function()
    local shown = among_others [[f.bad = flow.lua { function()
      local all = {}
      for i = 1, 1e9 do all[i] = ("x"):rep(1e6) .. i end
    end }]]
    assert.equal("failed", shown.node.bad.status)
    assert.matches("not enough memory", shown.node.bad.error, 1, true)
    assert_others(shown)
  end)

  it("by closing what it does not know fails alone", function()
    local shown = among_others [[
      ffi.cdef "int close(int);"
      f.bad = flow.lua { function() for fd = 0, 50 do ffi.C.close(fd) end; while true do end end }]]
    assert.equal("failed", shown.node.bad.status)
    assert_others(shown)
  end)

  it("does not keep the engine when it is told to stop", function()
    box:write("flow.lua", script [[f.spin = flow.lua { grace = "100ms", run = function()
      while true do end end }]])
    local process = box:start { "flow.lua", "--no-progress" }
    support.wait_until("its start", function()
      return process:out():find("spin started", 1, true)
    end)
    process:kill(support.SIGINT)
    local done = process:wait(20)
    assert.equal(130, done.code)
    assert.equal("interrupted", box:show().run.status)
  end)

  it("ends with its engine when that is killed", function()
    box:write("flow.lua", script [[f.spin = flow.lua { function() while true do end end }]])
    local process = box:start { "flow.lua", "--no-progress" }
    support.wait_until("its start", function()
      return process:out():find("spin started", 1, true)
    end)
    process:kill(support.SIGKILL)
    process:wait()
    box:assert_none_left()
  end)
end)

describe("a worker that cannot go on", function()
  each_test()

  -- Runs `text` when the script is loaded for the second time: in the worker.
  local function loaded_again(text)
    return ([[
      local again = io.open("loaded")
      if again then again:close(); %s end
      io.open("loaded", "w"):close()]]):format(text)
  end

  it("for an error in the script fails the nodes that need it", function()
    local shown = fails(loaded_again 'error("not twice")' .. "\nf.a = flow.lua { function() end }")
    assert.matches("not twice", shown.node.a.error, 1, true)
  end)

  it("for a crash while it loads the script fails the nodes that need it", function()
    local shown = fails(loaded_again(SEGFAULT) .. "\nf.a = flow.lua { function() end }")
    assert.matches("worker was killed by SIGSEGV while loading the script", shown.node.a.error,
      1, true)
  end)

  it("for other nodes in the script says so", function()
    local shown = fails(loaded_again "f.other = flow.lua { function() end }" ..
      "\nf.a = flow.lua { function() end }")
    assert.matches("the script defines other nodes when it is loaded again: 'a' is not there",
      shown.node.a.error, 1, true)
  end)

  it("for being killed takes the children of its node with it", function()
    box:write("flow.lua", script [[
      f.a = flow.lua { function(ctx)
        ctx:exec { shell = "echo > begun; exec sleep 60" }
      end }]])
    local process = box:start { "flow.lua", "--no-progress" }
    support.wait_until("its child", function() return box:exists("begun") end)
    for pid, words in pairs(box:left()) do
      if words:find("--worker", 1, true) then os.execute("kill -9 " .. pid) end
    end
    assert.equal(1, process:wait(20).code)
    local a = box:show().node.a
    local why = "worker was killed by SIGKILL (out of memory, or by hand) while running node 'a'"
    assert.matches(why, a.error, 1, true)
    assert.equal(9, a.signal)
  end)

  it("for the loss of its supervisor has its node tried again", function()
    box:write("flow.lua", script [[f.a = flow.lua { function(ctx)
      if ctx.run.attempt == 1 then io.open("begun", "w"):close(); ctx:sleep(60) end
      return { attempt = ctx.run.attempt }
    end }]])
    local process = box:start { "flow.lua", "--no-progress" }
    support.wait_until("its start", function() return box:exists("begun") end)
    for pid, words in pairs(box:left()) do
      if words:find("--supervisor", 1, true) then os.execute("kill -9 " .. pid) end
    end
    assert.equal(0, process:wait().code)
    assert.equal(2, box:show().node.a.outputs.attempt)
  end)
end)

-- The engine answers each at once and listens for the next.
describe("a worker that saves in a loop", function()
  each_test()

  it("is cancelled in time, and keeps what was acknowledged last", function()
    box:write("flow.lua", script [[f.a = flow.lua { function(ctx)
      local at = 0
      while not ctx:cancelled() do
        at = at + 1
        ctx:checkpoint { at = at, text = ("x"):rep(1000) }
        if at == 300 then io.open("begun", "w"):close() end
      end
      local out = io.open("acknowledged", "w")
      out:write(at)
      out:close()
    end }]])
    local process = box:start { "flow.lua", "--no-progress", "--durability", "group" }
    support.wait_until("some", function() return box:exists("begun") end)
    process:kill(support.SIGINT)
    assert.equal(130, process:wait(20).code)
    local context = support.decode(box:run({ "context", "last", "a", "--json" }).out)
    assert.equal(tonumber(box:read("acknowledged")), context.checkpoint.at)
  end)

  it("holds up no other node", function()
    local shown = succeeds([[
      f.loop = flow.lua { function(ctx)
        local at, file = 0
        while not file do
          at = at + 1
          ctx:checkpoint { at = at }
          if at == 10 then io.open("begun", "w"):close() end
          file = io.open("ready")
        end
        file:close()
        return { at = at }
      end }
      f.first = flow.shell { "until [ -e begun ]; do sleep 0.01; done" }
      f.wait = flow.lua { after = "first", run = function(ctx) ctx:sleep(0.01) end }
      f.inline = flow.lua { after = "wait", inline = true,
        run = function(ctx) ctx:sleep(0.01) end }
      f.last = flow.shell { after = "inline", "touch ready" }]], nil, "--jobs", "2",
      "--durability", "group")
    assert.is_true(shown.node.loop.outputs.at >= 10)
  end)
end)

describe("limits of code in a worker", function()
  each_test()

  it("end the node that goes beyond them, and harm no other", function()
    box:write("flow.lua", [[
      local flow = require "flow"
      local f = flow.dag "f"
      f.large = flow.lua { limits = { memory = "50M" }, run = function()
        local t = {}
        while true do pcall(function() t[#t + 1] = ("x"):rep(1000000) .. #t end) end
      end }
      f.long = flow.lua { limits = { cpu_time = "1s" }, timeout = "50s",
        run = function() while true do end end }
      f.fits = flow.lua { after = { "large", "long" }, trigger = "all_done",
        limits = { memory = "50M", cpu_time = "10s" },
        run = function() return #("x"):rep(1000000) end }
      f.items = flow.map { over = { 1, 2 }, after = "fits", limits = { memory = "50M" },
        run = function(ctx, x)
          if x == 1 then return 1 end
          local t = {}
          while true do t[#t + 1] = ("x"):rep(1000000) .. #t end
        end }
      return f
    ]])
    local done = box:run { "flow.lua", "--no-progress", "--jobs", "1" }
    assert.equal(1, done.code, done.out .. done.err)
    local n = box:show().node
    assert.matches("f.large: not enough memory: it may take 50 MiB more", n.large.error, 1, true)
    assert.matches("XCPU", n.long.error)
    assert.equal(1000000, n.fits.outputs)
    assert.equal("succeeded", n["items[1]"].status)
    assert.matches("f.items: not enough memory", n["items[2]"].error, 1, true)
  end)

  it("are memory and cpu_time, and none of inline code", function()
    for limits, message in pairs {
      ["limits = { output = '1M' }"] = "f.a.limits.output: holds for processes",
      ["limits = { memroy = '1M' }"] = "f.a.limits.memroy: unknown limit; did you mean",
      ["limits = { memory = '1M' }, inline = true"] = "f.a.limits: hold for what runs in a worker",
    } do
      box:write("flow.lua", ([[
        local flow = require "flow"
        local f = flow.dag "f"
        f.a = flow.lua { run = print, %s }
        return f
      ]]):format(limits))
      local done = box:run { "check", "flow.lua" }
      assert.equal(2, done.code)
      assert.matches(message, done.err, 1, true)
    end
  end)
end)
