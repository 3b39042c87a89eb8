-- A run that has stopped, as people meet it: what `breakpoint` says of sub-flows, what becomes of
-- its files, what helps when something of it is gone.
local support = require "tests.feature.support"

local box

local function runs(args, code)
  local done = box:run(args)
  assert.equal(code, done.code, done.out .. done.err)
  return done
end

local nested = [[
  local flow = require "flow"
  local low = flow.dag "low"
  low.work = flow.shell { "echo deep words; exit 7" }
  local middle = flow.dag "middle"
  middle.each = flow.map { over = { 1 }, node = flow.call { flow = low } }
  local f = flow.dag "f"
  f.call = flow.call { flow = middle }
  return { f, low, middle }
]]

describe("breakpoint of a sub-flow's run", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("names the run that can be resumed, and its nodes by their paths there", function()
    box:write("flow.lua", nested)
    runs({ "run", "flow.lua", "--flow", "f", "--quiet" }, 1)
    local root = box:sql_value "select id from v_run where flow = 'f'"
    local low = box:sql_value "select id from v_run where flow = 'low'"
    local said = runs({ "breakpoint", low }, 0).out
    assert.matches(("part of run %s, where its node NODE is call/each[1]/NODE"):format(root), said,
      1, true)
    for _, command in ipairs { "logs " .. low .. " work", "resume " .. root .. " --plan",
      "resume " .. root .. " --option 'call/each[1]/work.OPTION=VALUE'",
      "resume " .. root .. " --skip 'call/each[1]/work'", "breakpoint export " .. root } do
      assert.matches("flowlua " .. command, said, 1, true)
    end
    assert.is_nil(said:find("resume " .. low, 1, true))
    local one = support.decode(runs({ "breakpoint", low, "--json" }, 0).out)
    assert.same({ run = root, path = "call/each[1]/" }, one.part_of)
    runs({ "resume", root, "--skip", "call/each[1]/work", "--quiet" }, 0)
  end)

  it("is what that of the calling run leads to", function()
    box:write("flow.lua", nested)
    runs({ "run", "flow.lua", "--flow", "f", "--quiet" }, 1)
    local middle = box:sql_value "select id from v_run where flow = 'middle'"
    local root = box:sql_value "select id from v_run where flow = 'f'"
    local said = runs({ "breakpoint", root }, 0).out
    assert.matches("flowlua breakpoint " .. middle, said, 1, true)
    assert.is_nil(said:find("flowlua logs", 1, true))
    local one = support.decode(runs({ "breakpoint", root, "--json" }, 0).out)
    assert.equal(support.null, one.part_of)
    assert.equal(middle, one.failed[1].run)
  end)
end)

describe("a mended script in another folder", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local failing = [[
    local flow = require "flow"
    local f = flow.dag "f"
    f.a = flow.shell { "pwd; exit 1" }
    return f
  ]]

  it("is told to move the nodes there, in the plan and at the resume", function()
    box:write("flow.lua", failing)
    runs({ "flow.lua", "--quiet" }, 1)
    assert.equal(0, box:sh("mkdir fix && sed 's/exit 1/exit 2/' flow.lua > fix/flow.lua").code)
    local says = ("nodes run in %s/fix from now on, not in %s"):format(box.path, box.path)
    assert.matches(says, runs({ "resume", "--script", "fix/flow.lua", "--plan" }, 0).out, 1, true)
    local plan = support.decode(
      runs({ "resume", "--script", "fix/flow.lua", "--plan", "--json" }, 0).out)
    assert.same({ from = box.path, to = box.path .. "/fix" }, plan.folder)
    local done = runs({ "resume", "--script", "fix/flow.lua", "--no-progress" }, 1)
    assert.matches(says, done.out .. done.err, 1, true)
    assert.equal(box.path .. "/fix\n", runs({ "logs", "last", "a", "--attempt", "2" }, 0).out)
    done = runs({ "resume", "--no-progress" }, 1)
    assert.is_nil((done.out .. done.err):find("from now on", 1, true))
  end)

  it("is no matter where the folder is the same", function()
    box:write("flow.lua", failing)
    runs({ "flow.lua", "--quiet" }, 1)
    box:write("other.lua", failing)
    local done = runs({ "resume", "--script", "other.lua", "--no-progress" }, 1)
    assert.is_nil((done.out .. done.err):find("from now on", 1, true))
    assert.is_nil(runs({ "resume", "--script", "other.lua", "--plan" }, 0).out
      :find("from now on", 1, true))
  end)
end)

describe("a run whose script is gone from the store", function()
  before_each(function()
    box = support.box()
    box:write("flow.lua", [[
      local flow = require "flow"
      local f = flow.dag "f"
      f.a = flow.lua { inline = true, run = function(ctx)
        if not io.open(ctx:path "ok") then error "no" end end }
      return f
    ]])
    runs({ "flow.lua", "--quiet" }, 1)
  end)
  after_each(function() box:close() end)

  local function lose(what)
    assert.equal(0, box:sh(("sqlite3 %s/flowlua.db '%s'"):format(box.state, what)).code)
  end

  it("says that it is gone, and speaks of no damage", function()
    lose "delete from script_source"
    for _, args in ipairs { { "resume" }, { "resume", "--script", "flow.lua" },
      { "replay", "last" }, { "replay", "last", "--current-script" } } do
      local said = runs(args, 3).err
      assert.matches("the script that run %S+ used is not in the store any more", said)
      assert.is_nil(said:find "damaged")
    end
  end)

  it("can be repeated with a script that is given, or found where it was", function()
    lose "delete from script_source where position > 0; update script set digest = zeroblob(32)"
    assert.matches("damaged", runs({ "replay", "last" }, 3).err)
    box:write("ok", "")
    runs({ "replay", "last", "--current-script", "--no-progress" }, 0)
    local first = box:sql_value "select id from v_run order by created_at limit 1"
    lose(("delete from script_source where script = (select script from run where id = \"%s\")")
      :format(first))
    assert.matches("flowlua replay " .. first .. " --script FILE",
      runs({ "replay", first, "--current-script" }, 3).err, 1, true)
    runs({ "replay", first, "--script", "flow.lua", "--quiet" }, 0)
    assert.matches("cannot .*nowhere.lua",
      runs({ "replay", first, "--script", "nowhere.lua" }, 2).err)
  end)

  it("is not exported", function()
    lose "delete from script_source"
    local said = runs({ "breakpoint", "export", "last", "x.fl" }, 3).err
    assert.matches("is not in the store any more", said)
    assert.is_false(box:exists "x.fl")
  end)
end)

describe("an exported run", function()
  before_each(function()
    box = support.box()
    box:write("flow.lua", [[
      local flow = require "flow"
      local f = flow.dag "f"
      f.a = flow.shell { "echo said; exit 1" }
      return f
    ]])
    runs({ "flow.lua", "--quiet" }, 1)
  end)
  after_each(function() box:close() end)

  local function flip(name, at)
    local text = box:read(name)
    local byte = string.char((text:byte(at) + 1) % 256)
    box:write(name, text:sub(1, at - 1) .. byte .. text:sub(at + 1))
  end

  it("that is damaged leaves no state directory behind", function()
    runs({ "breakpoint", "export", "last", "x.fl" }, 0)
    local good = box:read "x.fl"
    for _, at in ipairs { 1, 3, 30, #good - 40 } do
      box:write("x.fl", good)
      flip("x.fl", at)
      for _, flag in ipairs { "--quiet", "--plan", "--set=x=1" } do
        local said = runs({ "resume", "x.fl", "--state", "fl", flag }, 3).err
        assert.matches(at < 13 and "is no exported run" or "x.fl", said)
        assert.is_false(box:exists "fl/flowlua.db")
        assert.equal("", box:sh("ls -d fl 2>/dev/null").out)
      end
    end
    box:write("x.fl", good)
    runs({ "resume", "x.fl", "--state", "fl", "--quiet" }, 1)
  end)

  it("does not go into the state directory", function()
    local before = box:read(box.state:sub(#box.path + 2) .. "/flowlua.db")
    for _, name in ipairs { "flowlua.db", "new.fl", "logs/x.fl" } do
      local said = runs({ "breakpoint", "export", "last", box.state .. "/" .. name, "--force" }, 2)
      assert.matches("is in the state directory", said.err)
    end
    local db = box.state:sub(#box.path + 2) .. "/flowlua.db"
    assert.is_true(before == nil or before == box:read(db))
    runs({ "show", "last" }, 0)
  end)

  it("goes to stdout as -, and is told as JSON", function()
    local done = box:sh(support.binary .. " breakpoint export last - > y.fl")
    assert.equal(0, done.code, done.err)
    assert.equal("", box:sh("ls ./- 2>/dev/null").out)
    runs({ "resume", "y.fl", "--state", "fl", "--quiet" }, 1)
    local said = support.decode(runs({ "breakpoint", "export", "last", "x.fl", "--json" }, 0).out)
    assert.equal(box:show("last").run.id, said.run)
    assert.equal("x.fl", said.file)
  end)
end)

describe("logs that were removed", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("are told as removed", function()
    box:write("flow.lua", [[
      local flow = require "flow"
      local f = flow.dag "f"
      f.a = flow.shell { "echo said; exit 1" }
      f.quiet = flow.shell { "exit 1" }
      return f
    ]])
    runs({ "flow.lua", "--quiet" }, 1)
    assert.equal(0, box:sh("rm -r " .. box.state .. "/logs").code)
    local said = runs({ "breakpoint", "last" }, 0).out
    assert.matches("a, attempt 1: [^\n]*\n    %(what it printed was removed%)", said)
    assert.matches("quiet, attempt 1: [^\n]*\n    %(it printed nothing%)", said)
    for _, args in ipairs { { "logs", "last", "a" }, { "logs", "last" },
      { "logs", "last", "--json" } } do
      local done = runs(args, 0)
      assert.equal("", done.out)
      assert.matches("what 1 attempt printed was removed", done.err)
    end
    assert.equal("", runs({ "logs", "last", "quiet" }, 0).err)
  end)
end)

describe("a node that a mended script has no more, or by another name", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("is still known, or said to have another", function()
    box:write("flow.lua", [[
      local flow = require "flow"
      local f = flow.dag "f"
      f.old = flow.shell { "echo old words" }
      f.away = flow.shell { "echo words of away" }
      f.last = flow.shell { "exit 1", after = { "old", "away" } }
      return f
    ]])
    runs({ "flow.lua", "--quiet" }, 1)
    box:write("n.lua", [[
      local flow = require "flow"
      local f = flow.dag "f"
      f.new = flow.shell { "echo old words" }
      f.last = flow.shell { "exit 0", after = { "new" } }
      return f
    ]])
    local done = runs({ "resume", "--script", "n.lua", "--rename", "old=new", "--no-progress" }, 0)
    assert.matches("run %S+ of f resumed", done.out)
    assert.equal("words of away\n", runs({ "logs", "last", "away" }, 0).out)
    assert.equal("", runs({ "logs", "last", "away" }, 0).err)
    for _, verb in ipairs { "logs", "context", "explain" } do
      assert.matches("has no node 'old' any more: it is 'new' now",
        runs({ verb, "last", "old" }, 2).err)
      assert.matches("has no node 'zz'$", runs({ verb, "last", "zz" }, 2).err:gsub("%s+$", ""))
    end
    assert.matches("has no node 'zz'", runs({ "why", "last", "zz" }, 2).err)
    assert.matches("has succeeded in no run", runs({ "why", "last", "last" }, 2).err)
  end)
end)

describe("what an engine tells of resumes", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("says resumed of sub-flows too, and of those that come by themselves", function()
    box:write("flow.lua", [[
      local flow = require "flow"
      local sub = flow.dag "sub"
      sub.s = flow.shell { "test -e ok" }
      local f = flow.dag("f", { auto = { fields = { "vars" } }, on_breakpoint = function(bp)
        return { vars = { x = 1 } } end })
      f.good = flow.shell { "true" }
      f.call = flow.call { flow = sub, after = "good" }
      return { f, sub }
    ]])
    local out = runs({ "run", "flow.lua", "--flow", "f", "--no-progress" }, 1).out
    local _, started = out:gsub("of f started", "")
    local _, resumed = out:gsub("of f resumed", "")
    local _, sub = out:gsub("of sub resumed", "")
    assert.same({ 1, 1, 1 }, { started, resumed, sub })
    assert.matches("run %S+ failed in %S+: 1 failed\n", out)
    box:write("ok", "")
    out = runs({ "resume", "--no-progress" }, 0).out
    assert.matches("of sub resumed", out)
  end)
end)

describe("diff", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("has no heading for a node of which only attempts differ", function()
    box:write("flow.lua", [[
      local flow = require "flow"
      local f = flow.dag "f"
      f.flaky = flow.shell { "test -e ok || { touch ok; exit 1; }", retries = 1, retry_delay = 0 }
      return f
    ]])
    runs({ "flow.lua", "--quiet" }, 0)
    runs({ "flow.lua", "--quiet" }, 0)
    local ids = box:sql "select id from v_run order by created_at"
    local out = runs({ "diff", ids[1][1], ids[2][1] }, 0).out
    assert.matches("flaky%s+equal", out)
    assert.is_nil(out:find "\nflaky\n")
  end)
end)
