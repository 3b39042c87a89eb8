-- What a person sees: the built binary on a real terminal, at three sizes, and the screen that
-- comes of it.
local screen = require "tests.support.screen"
local support = require "tests.feature.support"

describe("on a terminal", function()
  local box

  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

  -- Starts flowlua on a terminal of that size. `feed()` takes what has come, to its screen.
  local function start(rows, columns, args, on_frame)
    local words = {}
    for i, arg in ipairs(args) do words[i] = quoted(arg) end
    local command = ("stty rows %d cols %d; exec %s %s"):format(rows, columns,
      quoted(support.binary), table.concat(words, " "))
    local process = box:start_sh("exec script -qec " .. quoted(command) .. " /dev/null",
      { env = { TERM = "xterm" } })
    local view, taken = screen.new(rows, columns, on_frame), 0
    local function feed()
      local out = process:out()
      view:feed(out:sub(taken + 1))
      taken = #out
      return view
    end
    local function finish()
      local done = process:wait()
      feed()
      return done
    end
    return feed, finish, process
  end

  local function run(rows, columns, args, on_frame)
    local feed, finish = start(rows, columns, args, on_frame)
    local done = finish()
    return feed(), done
  end

  local function find(lines, pattern)
    for i, line in ipairs(lines) do
      if line:find(pattern) then return i, line end
    end
  end

  local many = [[
    local flow = require "flow"
    local f = flow.dag "nightly"
    f.list = flow.lua { run = function() return { 1, 2, 3 } end }
    f.each = flow.map { over = { "one", "two", "three" }, run = function(ctx, item)
      while not require("fs").exists("go") do ctx:sleep(0.02) end
    end }
    f.far = flow.lua { run = function(ctx)
      ctx:progress(25, 30, "rows of the orders table")
      while not require("fs").exists("go") do ctx:sleep(0.02) end
    end }
    for i = 1, 12 do
      f["wait" .. i] = flow.lua { inline = true, run = function(ctx)
        while not require("fs").exists("go") do ctx:sleep(0.02) end
      end }
    end
    f.says = flow.shell { "echo the last line; while [ ! -e go ]; do sleep 0.02; done" }
    f.flaky = flow.shell { "echo no luck >&2; exit 7", retries = 1, retry_delay = "1h" }
    f.after = flow.shell { "true", after = "flaky" }
    return f
  ]]

  for _, size in ipairs { { 24, 80 }, { 10, 40 }, { 50, 200 } } do
    local rows, columns = size[1], size[2]

    local half = "takes at most half of a window of %d x %d, and leaves nothing behind"
    it(half:format(columns, rows), function()
      box:write("flow.lua", many)
      local highest = 0
      local function look(view)
        local lines = view:lines()
        local head = find(lines, "^n%S+ .*%d/%d")
        if head then highest = math.max(highest, #lines - head + 1) end
      end
      local feed, finish = start(rows, columns, { "flow.lua", "-j8" }, look)
      support.wait_until("all that runs", function()
        local lines = feed():lines()
        if rows < 50 then return find(lines, "^  and %d+ more$") end
        return find(lines, "the last line") and find(lines, "25/30")
          and find(lines, "attempt 1")
      end)
      local lines = feed():lines()
      if rows == 50 then
        assert.truthy(find(lines, "^  each +%d:%d%d .* 0%% 0/3$"))
        assert.truthy(find(lines, "^    each%[2%] +%d:%d%d  two$"))
        assert.truthy(find(lines, "^  far .*83%% 25/30  rows of the orders table$"))
        local again = "^  flaky +again in [%d:]+  attempt 1: exited with code 7: no luck$"
        assert.truthy(find(lines, again))
      end
      box:write("go", "")
      support.wait_until("the end of each", function()
        return find(feed():all(), "each succeeded")
      end)
      box:run { "cancel", "last" }
      finish()
      assert.is_true(highest > 1, "the view was never seen")
      assert.is_true(highest <= rows / 2, ("the view took %d rows"):format(highest))
      local all = feed():all()
      for _, pattern in ipairs { "%d/%d", "more$", "^  each", "^  wait" } do
        local _, line = find(all, pattern)
        assert.is_nil(line)
      end
      assert.truthy(find(all, "^%d%d:%d%d:%d%d run"))
      assert.truthy(find(all, "^resume: flowlua resume "))
    end)

    it(("breaks text at words at %d columns"):format(columns), function()
      for _, args in ipairs { { "help" }, { "help", "run" }, { "help", "resume" } } do
        local view = run(rows, columns, args)
        local words = {}
        for _, line in ipairs(view:all()) do
          for word in line:gmatch("%S+") do words[word] = true end
        end
        -- Commands are for copying: they stay in one piece.
        local plain = box:run(args).out:gsub("\n  flowlua [^\n]*", "")
        for word in plain:gmatch("%S+") do
          assert.is_true(words[word] or #word > columns / 2, word .. " was broken")
        end
      end
    end)
  end

  it("keeps names of nodes and columns of tables readable at 80 columns", function()
    local name = ("a_name_that_nobody_should_give_a_node_"):rep(3)
    box:write("flow.lua", ([[
      local flow = require "flow"
      local f = flow.dag "nightly_and_some_more_words_of_a_name"
      f.%s = flow.shell { "true" }
      f.bad = flow.shell { "echo several words about what went wrong in this node >&2; exit 3",
        after = "%s" }
      return f
    ]]):format(name, name))
    box:run { "flow.lua" }
    local all = run(40, 80, { "show" }):all()
    local _, row = find(all, "^a_name_")
    assert.truthy(row:find("^a_name_that_nob…%s+shell%s+succeeded%s+1%s"), row)
    assert.truthy(find(all, "^bad%s+shell%s+failed%s+1%s+%S+%s+3$"))
    assert.truthy(find(all, "^    exited with code 3: several words about what went wrong"))
    for _, line in ipairs(run(40, 80, { "runs" }):all()) do
      local is_run = line:find("^%x%x%x%x%x%x%x%x  nightly_.*  failed  ")
      assert.truthy(line:find("^run ") or is_run, line)
    end
  end)

  it("lists runs of sub-flows below the run that called them", function()
    box:write("flow.lua", [[
      local flow = require "flow"
      local inner = flow.dag "inner"
      inner.a = flow.shell { "true" }
      local f = flow.dag "outer"
      f.sub = flow.call { flow = "inner" }
      return { f, inner }
    ]])
    box:run { "flow.lua", "--flow", "outer" }
    box:run { "flow.lua", "--flow", "inner" }
    local flows = {}
    for line in box:run({ "runs" }).out:gmatch("[^\n]+") do
      flows[#flows + 1] = line:match("^%x%x%x%x%x%x%x%x  (%s*%S+)")
    end
    assert.same({ "inner", "outer", "  inner" }, flows)
  end)

  it("lists the runs that were made since a time", function()
    box:script [[local flow = require "flow"
      local f = flow.dag "f"
      f.a = flow.shell { "true" }
      return f]]
    local function count(...)
      return #support.decode(box:run({ "runs", "--json", ... }).out)
    end
    assert.equal(1, count("--since", "1h"))
    assert.equal(1, count("--since", "2020-01-31"))
    assert.equal(0, count("--since", "2200-01-31"))
    local done = box:run { "runs", "--since", "5" }
    assert.equal(2, done.code)
    assert.matches("expected an age like 2h or 3d, or a time", done.err)
  end)

  it("draws a graph with branches", function()
    box:write("flow.lua", [[
      local flow = require "flow"
      local f = flow.dag "f"
      f.clean = flow.shell { "true", after = "extract" }
      f.extract = flow.shell { "true" }
      f.load = flow.shell { "true", after = "clean" }
      f.check = flow.shell { "true", after = "clean" }
      f.mail = flow.shell { "true", after = { "load", "check" } }
      f.log = flow.shell { "true", after = "clean" }
      f.other = flow.shell { "true" }
      return f
    ]])
    assert.same({
      "f: 7 nodes",
      "extract shell",
      "└─ clean shell",
      "   ├─ load shell",
      "   ├─ check shell",
      "   │  └─ mail shell after load, check",
      "   └─ log shell",
      "other shell",
    }, run(24, 80, { "graph", "flow.lua" }):all())
    box:run { "flow.lua" }
    local _, mail = find(run(24, 80, { "graph" }):all(), "mail")
    assert.equal("   │  └─ mail shell succeeded after load, check", mail)
    assert.matches("^f: 7 nodes\n  extract %(shell%)\n", box:run({ "graph", "flow.lua" }).out)
  end)
end)
