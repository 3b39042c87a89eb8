-- What is said at the end of a run: what it was run for, or what went wrong.
local support = require "tests.feature.support"

describe("at the end of a run", function()
  local box

  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local function run(body, ...)
    return box:script('local flow = require "flow"\nlocal f = flow.dag "f"\n' .. body
      .. "\nreturn f", ...)
  end

  it("stands what the last nodes of a small one printed", function()
    local done = run [[
      f.first = flow.shell { "echo not this" }
      f.left = flow.shell { "seq 1 7", after = "first" }
      f.right = flow.lua { after = "first", run = function(ctx) ctx:log "a sentence" end }
      f.silent = flow.shell { "true", after = "first" }
    ]]
    local expected = "left| 3\nleft| 4\nleft| 5\nleft| 6\nleft| 7\nright| a sentence\n"
    local at = done.out:find(expected, 1, true)
    assert.truthy(at, done.out)
    assert.matches("^%S+ run %S+ succeeded in ", done.out:sub(at + #expected))
    assert.falsy(done.out:find("not this", 1, true))
  end)

  it("stands nothing of what a large or a quiet one printed", function()
    local many = {}
    for i = 1, 13 do many[i] = ('f.n%d = flow.shell { "echo text" }'):format(i) end
    assert.falsy(run(table.concat(many, "\n")).out:find("text", 1, true))
    assert.equal("", run([[f.a = flow.shell { "echo text" }]], "--quiet").out)
    assert.falsy(run([[f.a = flow.shell { "echo text" }]], "--json").out:find("text", 1, true))
  end)

  it("stand the failures once more when much was told behind them", function()
    local done = run [[
      f.bad = flow.shell { "echo 'x: cannot open y' >&2; echo giving up >&2; exit 3" }
      f.each = flow.map { over = { "a b", "photo 37.png" }, run = function(_, item)
        if item ~= "a b" then error "no picture" end
      end }
      for i = 1, 20 do f["behind" .. i] = flow.shell { "true", after = "bad" } end
      f.last = flow.shell { "true", after = "bad", trigger = "all_done" }
    ]]
    local told = done.out:match("\nfailed\n(.-)\n\n")
    assert.truthy(told, done.out)
    assert.truthy(told:find("  bad: exited with code 3: x: cannot open y ... giving up\n"
      .. "      log: flowlua logs %S+ bad\n"), told)
    assert.truthy(told:find("  each[2] (photo 37.png): flow.lua:5: no picture\n", 1, true), told)
    assert.truthy(told:find("  each: 1 of 2 items failed", 1, true), told)
    assert.truthy(told:find("  and 20 nodes behind did not run", 1, true), told)
    assert.matches("resume: flowlua resume %S+\n$", done.out)
  end)

  it("stand the failures once when they are in sight", function()
    local done = run [[f.bad = flow.shell { "exit 3" }]]
    local _, count = done.out:gsub("exited with code 3", "")
    assert.equal(1, count)
    assert.falsy(done.out:find("\nfailed\n", 1, true))
  end)

  it("can be read in the log why code has failed", function()
    run [[
      local function deep() error "no luck" end
      f.worker = flow.lua { run = function() deep() end }
      f.inline = flow.lua { inline = true, run = function() deep() end }
      f.fails = flow.lua { run = function(ctx) ctx:fail "not today" end }
    ]]
    for _, node in ipairs { "worker", "inline" } do
      local log = box:run({ "logs", "last", node }).out
      assert.matches("^flow.lua:3: no luck\n  at flow.lua:3 in deep\n  at flow.lua:%d", log)
    end
    assert.matches("^not today\n", box:run({ "logs", "last", "fails" }).out)
  end)

  it("stands at the breakpoint how to go on without the item that failed alone", function()
    run [[
      f.each = flow.map { over = { "a", "b" }, run = function(_, item)
        if item == "b" then error "no" end
      end }
      f.last = flow.shell { "true", after = "each" }
    ]]
    local skip = box:run({ "breakpoint" }).out:match("flowlua resume %S+ (%-%-skip [^\n]+)\n")
    assert.equal("--skip 'each[2]'", skip)
    assert.equal(0, box:run({ "resume", "--skip", "each[2]" }).code)
    assert.equal("succeeded", box:states()["each[1]"])
  end)
end)
