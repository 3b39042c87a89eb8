-- What the Lua code of nodes may do, and what it is told when it may not: in a worker and inline.
local support = require "tests.feature.support"

-- The flow "f" with this body; `both(name, fn)` makes NAME_i (inline) and NAME_w (in a worker).
local HEAD = [[
local flow = require "flow"
local f = flow.dag("f", { params = { day = "x" } })
local function both(name, fn)
  f[name .. "_i"] = flow.lua { inline = true, run = fn, allow_failure = true }
  f[name .. "_w"] = flow.lua { run = fn, allow_failure = true }
end
]]

describe("Node code", function()
  local box
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local function errors(body)
    box:write("flow.lua", HEAD .. body .. "\nreturn f\n")
    local done = box:run { "run", "flow.lua", "--no-progress" }
    assert.equal(0, done.code, done.out .. done.err)
    local of = {}
    for name, text in done.out:gmatch " (%w+_[iw]) failed [^:\n]*: ([^\n]*)" do of[name] = text end
    for name in done.out:gmatch " (%w+_[iw]) succeeded" do of[name] = true end
    return of
  end

  it("that yields outside of its own coroutines fails with the line", function()
    local of = errors [[
both("yields", function()
  coroutine.yield "mine"
end)
both("counts", function()
  local n = 0
  for i in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do n = n + i end
  return n
end)]]
    assert.equal("flow.lua:8: coroutine.yield: nobody resumes a node's own code; ctx:sleep lets "
      .. "others go on", of.yields_i)
    assert.matches("^flow.lua:8: attempt to yield", of.yields_w)
    assert.is_true(of.counts_i and of.counts_w)
  end)

  it("that waits where it cannot fails with the line, and starts nothing", function()
    local of = errors [[
both("own", function(ctx)
  return coroutine.wrap(function() ctx:sleep "1ms" return 7 end)()
end)
both("sort", function(ctx)
  table.sort({ 3, 1, 2 }, function(a, b) ctx:exec { "touch", "ran" } return a < b end)
end)
both("gsub", function(ctx)
  return (("abc"):gsub(".", function(c) ctx:sleep "1ms" return c:upper() end))
end)]]
    assert.equal("flow.lua:8: ctx:sleep cannot wait here: in a coroutine that is not the node's",
      of.own_i)
    assert.equal("flow.lua:11: ctx:exec cannot wait here: in what a function of C calls, as "
      .. "table.sort and string.gsub do", of.sort_i)
    assert.matches("^flow.lua:14: ctx:sleep cannot wait here", of.gsub_i)
    assert.is_true(of.own_w and of.sort_w and of.gsub_w) -- a worker's functions block
  end)

  it("that is given nothing by a parent is told which node was left out", function()
    box:write("flow.lua", HEAD .. [[
f.fetch = flow.shell "true"
f.sum = flow.lua { after = "fetch", run = function(ctx) return ctx.inputs.fetch.n == nil end }
return f
]])
    local done = box:run { "run", "flow.lua", "--no-progress" }
    assert.equal(0, done.code, done.out)
    assert.matches("true", box:run({ "context", "last", "sum" }).out, 1, true)
    done = box:run { "run", "flow.lua", "--no-progress", "--only", "sum" }
    assert.equal(1, done.code)
    assert.matches('sum failed [^:\n]*: flow.lua:8: ctx.inputs.fetch: node "fetch" was not '
      .. "selected %(%-%-only, %-%-from%), so that it gave nothing", done.out)
    done = box:run { "resume", "last" }
    assert.matches('node "fetch" was not selected', done.out, 1, true)
  end)

  it("that sets a global by accident harms no other node", function()
    for _, inline in ipairs { "true", "false" } do
      box:write("flow.lua", HEAD .. ([[
f.accident = flow.lua { allow_failure = true, inline = %s, run = function()
  type = "csv" table = { 1, 2 } next = 5
end }
f.lua = flow.lua { after = "accident", inline = %s,
  run = function(ctx) return type(ctx.run.date) .. #table.concat { next { "a" } } end }
f.sql = flow.sql { after = "accident", db = ":memory:", "select {{run.date}} as d" }
f.shell = flow.shell { after = "accident", "echo {{run.date}} {{ 1 + 1 }}" }
return f
]]):format(inline, inline))
      local done = box:run { "run", "flow.lua", "--no-progress", "--jobs", "1" }
      assert.equal(0, done.code, done.out .. done.err)
      assert.matches("flow.lua:8: type is Lua's own, and other nodes need it: write local type",
        done.out, 1, true)
      assert.matches("notice: flow.lua:7: f.accident.run: assigns to the global type and the "
        .. "global table and the global next", done.out .. done.err, 1, true)
    end
  end)

  it("that writes has it in its log, in order, and nothing of it is on stdout", function()
    box:write("flow.lua", 'print "loading"\nio.write "more\\n"\n' .. HEAD .. [[
both("out", function()
  print "one"
  io.write "two\n"
  io.stdout:write("three\n", "fo")
  io.output():write "ur\n"
  print "five"
end)
return f
]])
    local done = box:run { "run", "flow.lua", "--json" }
    assert.equal(0, done.code, done.err)
    for line in done.out:gmatch "[^\n]+" do support.decode(line) end
    assert.equal("loading\nmore\n", done.err)
    for _, name in ipairs { "out_i", "out_w" } do
      assert.equal("one\ntwo\nthree\nfour\nfive\n", box:run({ "logs", "last", name }).out)
    end
  end)

  it("that requires a module which is nowhere fails in one line, and is not tried again", function()
    box:write("flow.lua", HEAD .. [[
f.a = flow.lua { retries = 3, retry_delay = 0, run = function()
  local csv = require "no_such_csv"
  return csv
end }
return f
]])
    local done = box:run { "run", "flow.lua", "--no-progress" }
    assert.equal(1, done.code)
    assert.matches("a failed [^:\n]*: flow.lua:8: module 'no_such_csv' not found: neither beside "
      .. "the script, nor on FLOWLUA_PATH, nor in Lua's paths\n", done.out)
    assert.equal(1, box:show().node.a.attempts)
  end)

  it("finds files where its processes start, in a worker and inline", function()
    box:write("proj/flow.lua", HEAD .. [[
local fs = require "fs"
local function look(ctx)
  local file = io.open "here.txt"
  local lines = {}
  for line in io.lines "here.txt" do lines[#lines + 1] = line end
  return { fs.basename(fs.cwd()), fs.exists "here.txt", fs.read "here.txt", file and file:read "*l",
    lines[1], fs.glob "*.txt"[1], fs.basename(fs.dirname(fs.absolute "here.txt")),
    (ctx:exec { "cat", "here.txt", capture = "text" }).stdout }
end
for _, inline in ipairs { true, false } do
  local mark = inline and "_i" or "_w"
  f["top" .. mark] = flow.lua { inline = inline, run = look }
  f["sub" .. mark] = flow.lua { inline = inline, cwd = "sub", run = look }
  f["again" .. mark] = flow.lua { inline = inline, after = "sub" .. mark, run = look }
end
f.when = flow.shell { "true", when = function() return fs.exists "sub/here.txt" end }
f.gone = flow.lua { cwd = "nowhere", run = look, allow_failure = true }
return f
]])
    box:write("proj/here.txt", "top\n")
    box:write("proj/sub/here.txt", "sub\n")
    local done = box:run { "run", "proj/flow.lua", "--no-progress", "--jobs", "1" }
    assert.equal(0, done.code, done.out .. done.err)
    local function given(name)
      return support.decode(box:run({ "context", "last", name, "--json" }).out).outputs
    end
    for _, mark in ipairs { "_i", "_w" } do
      for name, folder in pairs { top = "proj", sub = "sub", again = "proj" } do
        local text = name == "sub" and "sub" or "top"
        assert.same({ folder, true, text .. "\n", text, text, "here.txt", folder, text .. "\n" },
          given(name .. mark), name .. mark)
      end
    end
    assert.matches("when succeeded", done.out, 1, true)
    assert.matches("gone failed [^:\n]*: proj/flow.lua:%d+: f.gone.cwd: cannot go to the folder "
      .. "'[^'\n]*/proj/nowhere': No such file", done.out)
  end)
end)
