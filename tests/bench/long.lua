-- The cases about an engine that does not end: many runs, a budget, a slow disk, months.
--
-- Each is measured by bench_host (host.c), a host of the library that lies beside the binary, and
-- gives figures: { name, value, max or min }.
local function read_command(text, ...)
  local command = text:format(...)
  local pipe = io.popen(command)
  local out = pipe:read "*a"
  pipe:close()
  return out
end

-- The figures that `bench_host NAME` prints, by name.
local function ask_host(bench, dir, name, count)
  local folder = bench.flowlua:match "^(.*)/"
  local out = read_command(
    "mkdir '%s/state' && FLOWLUA_BIN='%s' '%s/bench_host' %s '%s/state' %d 2>&1", dir,
    bench.flowlua, folder, name, dir, count)
  local figures = {}
  for figure, value in out:gmatch "([%w_]+) (%-?[%d.]+)\n" do figures[figure] = tonumber(value) end
  if not next(figures) then error("bench_host " .. name .. ": " .. out, 0) end
  return figures
end

-- A case whose figures are those of the host; `bars`: a list of { key, name, max or min }.
local function hosted(name, title, count, bars)
  return {
    name = name, title = title, count = count,
    measure = function(bench, dir, n)
      local told, figures = ask_host(bench, dir, name, n), {}
      for i, bar in ipairs(bars) do
        local scale = bar.scale or 1
        figures[i] = { name = bar[2], value = told[bar[1]] * scale, max = bar.max, min = bar.min }
      end
      return figures
    end,
  }
end

local MIB = 1 / 1024 / 1024

local idle_runs = hosted("idle-runs", "a chain of commands beside 10,000 runs that wait", 10000, {
  { "alone_ms", "ms a node, alone" }, { "beside_ms", "ms a node, beside them" },
  { "ratio", "ratio", max = 1.2 },
})

local step_budget = hosted("step-budget", "fl_step(1 ms), 50,000 inline nodes ready", 50000, {
  { "steps", "steps" }, { "p99_ms", "CPU ms of a step, p99", max = 1.25 },
  { "worst_ms", "CPU ms of a step, worst", max = 2.5 },
})

local slow_disk = hosted("slow-disk", "600 steps on a disk of 20 ms a sync, disk_thread", 600, {
  { "slow_steps", "steps over 5 ms", max = 1 }, { "worst_ms", "ms of a step, worst" },
})

local library_memory = hosted("library-memory",
  "10,000 replays, resumes, plans, whys of one flow", 10000, {
  { "more_bytes", "MiB more than after 100", max = 4, scale = MIB },
})

local many_runs = hosted("many-runs", "100,000 runs of 5 inline nodes, one after another", 100000, {
  { "ms_a_run", "CPU ms a run" }, { "ratio", "CPU of the last thousand to the second", max = 1.1 },
  { "more_bytes", "MiB more", max = 8, scale = MIB },
})

local prune_beside = hosted("prune-beside", "1,000,000 attempts pruned beside a chain", 1000000, {
  { "prune_s", "s, the prune" }, { "worst_ms", "ms, the slowest commit", max = 100 },
  { "nodes_meanwhile", "nodes of the chain" },
})

local page = hosted("page", "pages of 50 runs of a flow, of 1,000,000 runs of 100 flows", 1000000, {
  { "first_ms", "ms, the first page", max = 5 }, { "median_ms", "ms, median of 100", max = 5 },
  { "worst_ms", "ms, worst" },
})

local changes = hosted("changes", "events of 300,000 nodes, read by number", 300000, {
  { "events", "events" }, { "a_second", "events a second", min = 200000 },
})

-- ------------------------------------------------------------------------------------ an hour

local sleeper = [[
local flow = require "flow"
local f = flow.dag "sleeper"
f.a = flow.lua { inline = true, run = function(ctx) ctx:sleep "2h" end }
return f
]]

-- What a waiting run's engine asks of the system in `seconds`.
local idle_hour = {
  name = "idle-hour", title = "a run that waits, watched for a minute (bars: of an hour)",
  count = 60,
  measure = function(bench, dir, seconds)
    local file = assert(io.open(dir .. "/flow.lua", "wb"))
    file:write(sleeper)
    file:close()
    local out = read_command([[
cd '%s' || exit
'%s' run flow.lua --state state --quiet >/dev/null 2>&1 &
pid=$!
sleep 3
strace -f -qq -o trace -p $pid & tracer=$!
sleep %d
kill -INT $tracer; wait $tracer
kill -INT $pid; wait $pid
cat trace]], dir, bench.flowlua, seconds)
    local syncs, bytes, woken = 0, 0, 0
    for line in out:gmatch "[^\n]+" do
      -- What it was in when the tracer came, and when it left, has no beginning or no end.
      local name, result = line:match "^%d+ +([%w_]+)%(.*= (%d+)$"
      if name == "fdatasync" or name == "fsync" then syncs = syncs + 1 end
      if name and name:find "write" then bytes = bytes + tonumber(result) end
      if name and name:find "^epoll" or line:find "epoll_.*resumed>" then woken = woken + 1 end
    end
    return {
      { name = "syncs", value = syncs, max = 0 },
      { name = "bytes written", value = bytes, max = 0 },
      { name = "wake-ups", value = woken, max = 0 },
    }
  end,
}

return {
  idle_runs, step_budget, slow_disk, library_memory, many_runs, prune_beside, page, changes,
  idle_hour,
}
