-- Help: of a script's flows, of the reference, and params that are asked for on a terminal.
local support = require "tests.feature.support"

describe("help", function()
  local box

  before_each(function()
    box = support.box()
    box:write("flow.lua", [[
      local flow = require "flow"
      local f = flow.dag("daily", { doc = "Loads what came.", params = {
        day = { "string", required = true, doc = "the day to load" },
        n = 3,
        rate = { "number", default = 0.05, min = 0, max = 1 },
        how = { enum = { "fast", "safe" }, default = "safe" },
      } })
      f.a = flow.shell { "echo loading {{ params.day }}" }
      local g = flow.dag "other"
      g.a = flow.shell { "true" }
      return { f, g }
    ]])
  end)
  after_each(function() box:close() end)

  it("of a script tells what its flows are for and which params they take", function()
    local done = box:run { "flow.lua", "--help" }
    assert.same({ 0, "" }, { done.code, done.err })
    local expected = [[
daily: Loads what came.
  --param day   string, required: the day to load
  --param how   one of fast, safe, default safe
  --param n     number, default 3
  --param rate  number 0 to 1, default 0.05

other
  no params

  flowlua flow.lua --flow KEY --param NAME=VALUE; flowlua help run lists all options
]]
    assert.equal(expected, done.out)
    assert.equal(expected:match("(daily.-)\n\n"),
      box:run({ "run", "flow.lua", "-h", "--flow", "daily" }).out:match("^(.-)\n\n"))
    assert.falsy(box:exists("state/flowlua.db"))
    assert.matches("^flowlua run: ", box:run({ "run", "--help" }).out)
  end)

  it("of a flow that is not there, or a script that is wrong, is an error", function()
    assert.equal(2, box:run({ "flow.lua", "--help", "--flow", "nope" }).code)
    box:write("bad.lua", "return 1 +")
    assert.equal(2, box:run({ "bad.lua", "--help" }).code)
  end)

  it("of a topic is what the reference says", function()
    local rows = {
      { "retries", "^Nodes\n  retries  integer 0 to 100, default 0: Attempts after the first%." },
      { "flow.shell", "^flow.shell\nRuns a text with a shell%..*\n  strict  boolean, default t" },
      { "ctx", "^ctx\n.*\n  ctx.run  flow.Run: .*\n  ctx:sleep%(duration%)  Waits%.\n" },
      { "ctx:sleep", "^ctx\n  ctx:sleep%(duration%)  Waits%.\n" },
      { "templates", "^Templates\nIn every string of a type's own options, and in env, cwd, " },
    }
    for _, row in ipairs(rows) do
      local done = box:run { "help", row[1] }
      assert.same({ 0, "" }, { done.code, done.err })
      assert.matches(row[2], done.out)
      assert.falsy(done.out:find("`", 1, true))
      assert.falsy(done.out:find("\n| ", 1, true))
    end
  end)

  it("of a mistyped topic says what was meant", function()
    local done = box:run { "help", "retires" }
    assert.equal(2, done.code)
    assert.matches("is called 'retires'; did you mean 'retries'%?", done.err)
    assert.matches("did you mean 'resume'%?", box:run({ "help", "resum" }).err)
  end)

  local function on_terminal(stdin, ...)
    local words = { "'" .. support.binary .. "'", ... }
    return box:start_sh(("exec script -qec \"%s\" /dev/null"):format(table.concat(words, " ")),
      { stdin = stdin, env = { TERM = "xterm" } }):wait()
  end

  it("is not needed on a terminal, where a required param is asked for", function()
    local done = on_terminal("2026-01-31\n", "flow.lua", "--flow", "daily")
    assert.equal(0, done.code)
    assert.matches("day %(string; the day to load%): ", done.out)
    assert.matches("loading 2026%-01%-31", done.out)
    done = on_terminal("", "flow.lua", "--flow", "daily", "-p", "day=today")
    assert.equal(0, done.code)
    assert.falsy(done.out:find("the day to load", 1, true))
    assert.equal(2, on_terminal("\n", "flow.lua", "--flow", "daily").code)
  end)

  it("is what an error without a terminal amounts to", function()
    local done = box:run { "flow.lua", "--flow", "daily" }
    assert.equal(2, done.code)
    assert.matches("%-%-param day=", done.err)
  end)
end)
