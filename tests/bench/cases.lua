-- What is measured: the cases, who takes part in each, and the bars that flowlua must reach.
--
-- A row: who, argv, and optionally input (a file), before (called before each run), bars. Bars:
-- ratio (wall over the row called `against`), more_ms (wall less that of `against`), seconds, rate
-- (nodes a second), peak_mb, bytes (a node); each is an upper bound but `rate`, a lower one.
-- Instead of rows a case may have `measure`, which returns figures: name, value, and max or min.
local graphs = require "graphs"

local cases = {}

local function flowlua(bench, durability, bars)
  local argv = { bench.flowlua, "run", "flow.lua", "--state", "state", "--jobs", "2", "--quiet",
    "--durability", durability }
  return {
    who = "flowlua " .. durability, argv = argv, bars = bars,
    before = function(dir) os.execute("rm -rf '" .. dir .. "/state'") end,
  }
end

-- The same commands for everybody.
local function commands(name, title, shape, count, command, bars)
  return {
    name = name, title = title, count = count, against = "ninja -j2",
    rows = function(bench, dir, n)
      graphs.write_ninja(dir .. "/build.ninja", shape, n, command)
      graphs.write_make(dir .. "/Makefile", shape, n, command)
      graphs.write_flow(dir .. "/flow.lua", shape, n, ("flow.shell { %%s'%s' }"):format(command))
      graphs.write_lines(dir .. "/lines", n)
      local rows = {
        {
          who = "ninja -j2", argv = { "ninja", "-j2", "--quiet" },
          before = function() os.remove(dir .. "/.ninja_log") end,
        },
        { who = "make -j2", argv = { "make", "-j2", "-s" } },
      }
      if shape == "independent" then
        rows[#rows + 1] = {
          who = "xargs -P2", argv = { "xargs", "-P2", "-n1", "sh", "-c", command },
          input = dir .. "/lines",
        }
      end
      rows[#rows + 1] = flowlua(bench, "full", bars.full)
      rows[#rows + 1] = flowlua(bench, "group", bars.group)
      return rows
    end,
  }
end

cases[1] = commands("independent", "true, independent", "independent", 10000, "true",
  { full = { ratio = 1.15, peak_mb = 40 }, group = { ratio = 1.00, peak_mb = 40 } })
cases[2] = commands("layers", "true, in layers of 100", "layers", 10000, "true",
  { full = { ratio = 1.20 }, group = { ratio = 1.10 } })
cases[3] = commands("chain", "true, one after the other", "chain", 1000, "true",
  { full = { ratio = 1.20 }, group = { ratio = 1.00 } })
cases[4] = commands("program", "/bin/true, independent", "independent", 10000, "/bin/true",
  { full = { ratio = 0.65 } })

-- Each node has a function and an output of its own, as nodes of real flows have; the second pair
-- of rows has one function for all of them, which gives nothing.
local function lua_nodes(name, title, count, options, bars)
  return {
    name = name, title = title, count = count,
    rows = function(bench, dir, n)
      local rows = {}
      graphs.write_flow(dir .. "/flow.lua", "independent", n,
        "flow.lua { %s" .. options .. "run = function() return { i = i } end }")
      graphs.write_flow(dir .. "/empty.lua", "independent", n,
        "flow.lua { %s" .. options .. "run = run }")
      for _, file in ipairs { "flow.lua", "empty.lua" } do
        for _, durability in ipairs { "full", "group" } do
          local row = flowlua(bench, durability, file == "flow.lua" and bars or nil)
          row.argv[3] = file
          if file == "empty.lua" then row.who = row.who .. ", empty" end
          rows[#rows + 1] = row
        end
      end
      return rows
    end,
  }
end

cases[5] = lua_nodes("inline", "inline Lua nodes, independent, with outputs", 100000,
  "inline = true, ", { rate = 60000 })
cases[6] = lua_nodes("worker", "worker Lua nodes, independent, with outputs", 30000, "",
  { rate = 15000 })

cases[7] = {
  name = "million", title = "inline Lua nodes in 1,000 layers", count = 1000000, runs_max = 1,
  rows = function(bench, dir, n)
    local file = assert(io.open(dir .. "/flow.lua", "wb"))
    file:write(([[
local flow = require "flow"
local bench = flow.dag("bench")
local width = %d
local function run() return nil end
for layer = 1, 1000 do
  for i = 1, width do
    bench[("n%%d_%%d"):format(layer, i)] = flow.lua { inline = true, run = run,
      after = layer > 1 and ("n%%d_%%d"):format(layer - 1, i) or nil }
  end
end
return bench
]]):format(math.max(1, n / 1000)))
    file:close()
    return {
      flowlua(bench, "full", { seconds = 14, peak_mb = 600 }),
      flowlua(bench, "group", { seconds = 14, peak_mb = 600 }),
    }
  end,
}

cases[8] = {
  name = "start", title = "start to end of examples/hello.lua, and its check", count = 1,
  against = "luajit -e ''", runs_min = 21,
  rows = function(bench, dir)
    os.execute(("cp '%s/examples/hello.lua' '%s/flow.lua'"):format(bench.root, dir))
    return {
      { who = "luajit -e ''", argv = { "luajit", "-e", "" } },
      flowlua(bench, "full", { more_ms = 8 }), flowlua(bench, "group", { more_ms = 8 }),
      { who = "flowlua check", argv = { bench.flowlua, "check", "flow.lua" },
        bars = { more_ms = 4 } },
    }
  end,
}

cases[9] = {
  name = "resume", title = "nodes of a run that is done, once more", count = 10000,
  against = "ninja -j2",
  rows = function(bench, dir, n)
    graphs.write_flow(dir .. "/flow.lua", "independent", n,
      "flow.lua { %sinline = true, run = run }")
    graphs.write_ninja(dir .. "/build.ninja", "independent", n, "true; touch $out")
    bench.must_run({ "ninja", "-j2", "--quiet" }, dir)
    bench.must_run({ bench.flowlua, "run", "flow.lua", "--state", "state", "--quiet" }, dir)
    local resume = { bench.flowlua, "resume", "--state", "state", "--quiet" }
    return {
      { who = "ninja -j2", argv = { "ninja", "-j2", "--quiet" } },
      { who = "flowlua resume", argv = resume, bars = { seconds = 0.2 } },
      {
        who = "flowlua resume --rerun", bars = { seconds = 0.2 },
        argv = { resume[1], resume[2], "--rerun", "n" .. n, unpack(resume, 3) },
      },
    }
  end,
}

for _, name in ipairs { "durable", "long" } do
  for _, case in ipairs(require(name)) do cases[#cases + 1] = case end
end

return cases
