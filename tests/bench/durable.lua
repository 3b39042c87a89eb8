-- The cases about what is kept: resumes, recovery, checkpoints, history, reading it again.
-- Rows are those of cases.lua; `stop = { text, count }` ends a row, and its wall time, when it has
-- printed that many lines with that text.
local measure = require "measure"

local function write(path, ...)
  local file = assert(io.open(path, "wb"))
  assert(file:write(...))
  assert(file:close())
end

local function write_flow(path, params, body)
  write(path, "local flow = require 'flow'\nlocal bench = flow.dag('bench', { params = ", params,
    " })\n", body, "\nreturn bench\n")
end

local function shell(text, ...)
  local command = text:format(...)
  if os.execute(command) ~= 0 then error("failed: " .. command, 0) end
end

local function flowlua(bench, verb, ...)
  return { bench.flowlua, verb, ... }
end

-- ------------------------------------------------------------------------------------ resumes

-- A run in which node n/2 failed, and half of the nodes wait for it.
local function half_done(who, node, failing)
  return function(bench, dir, n)
    local name = who:match "%w+"
    write_flow(("%s/%s.lua"):format(dir, name), "{}", ([[
local function run(ctx)
  if ctx.node == "n%d" and not io.open(ctx:path "mended") then ctx:fail "not yet" end
  return { rows = 3 }
end
for i = 1, %d do
  local after = i > %d and "n%d" or nil
  bench["n" .. i] = i == %d and %s or %s
end]]):format(n / 2, n, n / 2, n / 2, n / 2, failing, node))
    bench.must_run(flowlua(bench, "run", name .. ".lua", "--state", name, "--quiet"), dir, 1)
    return {
      who = who, argv = flowlua(bench, "resume", "--state", "state", "--json"),
      before = function()
        shell("rm -rf '%s/state'; cp -a '%s/%s' '%s/state'; : >'%s/mended'", dir, dir, name, dir,
          dir)
      end,
      stop = { '"event":"node_started"', 1 }, bars = { seconds = 0.3 },
    }
  end
end

local resume_half = {
  name = "resume-half", title = "nodes, half done, until the first one has started", count = 10000,
  runs_min = 5,
  rows = function(bench, dir, n)
    local rows = {}
    for i, make in ipairs {
      half_done("shell nodes", 'flow.shell { "true", after = after }',
        'flow.shell { "test -e mended" }'),
      half_done("worker nodes", "flow.lua { after = after, run = run }", "flow.lua { run = run }"),
      half_done("inline nodes", "flow.lua { after = after, run = run, inline = true }",
        "flow.lua { run = run, inline = true }"),
    } do
      os.remove(dir .. "/mended")
      rows[i] = make(bench, dir, n)
    end
    return rows
  end,
}

-- ------------------------------------------------------------------------------------ recovery

local function wait_for(what, condition)
  local until_s = measure.now() + 120
  while not condition() do
    if measure.now() > until_s then error(what .. ": two minutes have passed", 0) end
    os.execute "sleep 0.05"
  end
end

local function count_lines(path)
  local file, count = io.open(path, "rb"), 0
  if not file then return 0 end
  for _ in file:lines() do count = count + 1 end
  file:close()
  return count
end

-- Processes whose command line has `text`; the bracket keeps the search from finding itself.
local function find_processes(text)
  local list, pipe = {}, io.popen(("pgrep -f -- '[%s]%s'"):format(text:sub(1, 1), text:sub(2)))
  for pid in pipe:lines() do list[#list + 1] = tonumber(pid) end
  pipe:close()
  return list
end

local function supervisors(dir) return find_processes("--supervisor " .. dir .. "/state ") end

-- n nodes run, each of them until the gate opens, and the engine is killed.
local function kill_engine(bench, dir, n)
  shell("rm -rf '%s'/state '%s'/started '%s'/gate && mkfifo '%s/gate'", dir, dir, dir, dir)
  local engine = measure.start(flowlua(bench, "run", "flow.lua", "--state", "state", "--quiet",
    "--jobs", tostring(n)), dir)
  wait_for("the nodes start", function() return count_lines(dir .. "/started") == n end)
  os.execute "sleep 0.3" -- what runs for long is recorded as running
  measure.kill(engine)
end

-- Whoever waits at the gate, or comes there now, goes on.
local function open_gate(dir)
  shell("cd '%s' && exec 9>gate && rm gate && : >gate", dir)
  wait_for("the nodes end", function()
    return #find_processes "echo >>started; read x <gate" == 0
  end)
end

local recover = {
  name = "recover", title = "attempts found running after kill -9 of the engine", count = 1000,
  rows = function(bench, dir, n)
    write_flow(dir .. "/flow.lua", "{}", ([[
for i = 1, %d do bench["n" .. i] = flow.shell { "echo >>started; read x <gate; true" } end]])
      :format(n))
    local argv = flowlua(bench, "resume", "--state", "state", "--json", "--jobs", tostring(n))
    return {
      {
        who = "still running: adopted", argv = argv, bars = { seconds = 1 },
        before = function() kill_engine(bench, dir, n) end,
        stop = { '"event":"run_started"', 1 }, -- told when all of them are known
      },
      {
        who = "ended meanwhile", argv = argv, bars = { seconds = 1 },
        before = function()
          kill_engine(bench, dir, n)
          open_gate(dir)
        end,
        stop = { '"event":"node_finished"', n },
      },
      {
        who = "lost with the supervisor", argv = argv, bars = { seconds = 1 },
        before = function()
          kill_engine(bench, dir, n)
          for _, pid in ipairs(supervisors(dir)) do measure.kill_stranger(pid) end
        end,
        stop = { '"event":"node_retrying"', n },
      },
    }
  end,
}

-- ------------------------------------------------------------------------------------ checkpoints

local checkpoint = {
  name = "checkpoint", title = "checkpoints of 1 KiB from workers, each acknowledged",
  count = 10000,
  rows = function(bench, dir, n)
    write_flow(dir .. "/flow.lua", "{ each = 1 }", [[
local fill = ("x"):rep(1000)
for i = 1, 4 do
  bench["n" .. i] = flow.lua { run = function(ctx)
    for at = 1, ctx.params.each do ctx:checkpoint { at = at, text = fill } end
  end }
end]])
    local function row(durability, workers, bars)
      local only = workers == 1 and "n1" or "n1,n2,n3,n4"
      return {
        who = ("%s, %d at once"):format(durability, workers), bars = bars,
        before = function() shell("rm -rf '%s/state'", dir) end,
        argv = flowlua(bench, "run", "flow.lua", "--state", "state", "--quiet", "--jobs", "4",
          "--durability", durability, "--only", only,
          "--param", "each=" .. math.floor(n / workers)),
      }
    end
    return {
      row("group", 1, { rate = 5000 }), row("group", 4, { rate = 5000 }), row("full", 1),
      row("full", 4),
    }
  end,
}

-- ------------------------------------------------------------------------------------ history

local function add_bytes(result, dir)
  local pipe = io.popen(("du -sb '%s/state'"):format(dir))
  result.bytes = tonumber(pipe:read("*l"):match "^%d+")
  pipe:close()
end

local history = {
  name = "history", title = "nodes that each log a line, set a var and give an output",
  count = 10000, runs_max = 1,
  rows = function(bench, dir, n)
    local function row(who, node)
      local name = who:gsub(" ", "-") .. ".lua"
      write_flow(dir .. "/" .. name, "{}", ([[
local function run(ctx)
  ctx:log("rows", ctx.node)
  ctx.vars.last = ctx.node
  return { rows = #ctx.node, name = ctx.node }
end
for i = 1, %d do bench["n" .. i] = %s end]]):format(n, node))
      return {
        who = who, bars = { bytes = 1024 },
        before = function() shell("rm -rf '%s/state'", dir) end,
        argv = flowlua(bench, "run", name, "--state", "state", "--quiet", "--jobs", "2",
          "--durability", "group"),
        after = add_bytes,
      }
    end
    return {
      row("shell nodes",
        [[flow.shell { "echo rows n" .. i .. "; echo rows=" .. i .. " >$FLOWLUA_OUTPUT" }]]),
      row("worker nodes", "flow.lua { run = run }"),
      row("inline nodes", "flow.lua { run = run, inline = true }"),
      row("inline chain",
        "flow.lua { run = run, inline = true, after = i > 1 and 'n' .. i - 1 or nil }"),
    }
  end,
}

-- ------------------------------------------------------------------------------------ reading

local show = {
  name = "show", title = "nodes of one run, read again", count = 100000, runs_min = 5,
  rows = function(bench, dir, n)
    write_flow(dir .. "/flow.lua", "{}", ([[
local function run(ctx)
  ctx.vars["k" .. #ctx.node] = ctx.node
  return { rows = #ctx.node, name = ctx.node }
end
for i = 1, %d do
  local after = i > 1000 and "n" .. i - 1000 or nil
  bench["n" .. i] = flow.lua { run = run, inline = true, after = after }
end]]):format(n))
    bench.must_run(flowlua(bench, "run", "flow.lua", "--state", "state", "--quiet", "--durability",
      "group"), dir)
    local rows = {}
    for i, words in ipairs {
      { "show", "last" }, { "show", "last", "--json" }, { "show", "last", "--all" }, { "runs" },
      { "context", "last", "n" .. n }, { "explain", "last" }, { "explain", "last", "n" .. n },
      { "graph", "last" }, { "logs", "last" },
    } do
      rows[i] = {
        who = table.concat(words, " "), bars = { seconds = 0.5 },
        argv = flowlua(bench, unpack(words)),
      }
      table.insert(rows[i].argv, "--state")
      table.insert(rows[i].argv, "state")
    end
    return rows
  end,
}

return { resume_half, recover, checkpoint, history, show }
