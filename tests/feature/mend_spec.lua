-- Runs that break, are edited, and continue: a table of stories. Each says what the run was, what
-- is done to it, and which nodes then ran and how it ended, as text to compare.
local support = require "tests.feature.support"

local box

local function script(body, options)
  return ('local flow = require "flow"\nlocal f = flow.dag("f", %s)\n%s\nreturn f\n')
    :format(options or "{}", body)
end

-- Every node notes its name in `trail` when its code really runs.
local function node(name, options, body)
  return ('f[%q] = flow.lua { inline = true, %s run = function(ctx)\n'
    .. '  local file = io.open("trail", "a") file:write(%q, " ") file:close()\n  %s\nend }\n')
    :format(name, options, name, body or "return { from = \"" .. name .. "\" }")
end

local function trail()
  local text = box:read("trail") or ""
  box:write("trail", "")
  return (text:gsub("%s+$", ""))
end

-- "a:succeeded b:failed ...", attempts where there were more than one.
local function states()
  local done = box:run { "show", "last", "--json" }
  assert.equal(0, done.code, done.out .. done.err)
  local parts = {}
  for _, n in ipairs(support.decode(done.out).nodes) do
    parts[#parts + 1] = n.name .. ":" .. n.status .. (n.attempts > 1 and "*" .. n.attempts or "")
  end
  return table.concat(parts, " ")
end

local function outputs(name)
  return support.decode(box:run({ "context", "last", name, "--json" }).out).outputs
end

local function run(text, ...)
  box:write("flow.lua", text)
  return box:run { "flow.lua", "--no-progress", "--quiet", ... }
end

local function resume(...) return box:run { "resume", "--no-progress", "--quiet", ... } end

local abc = node("a", "") .. node("b", 'after = "a",', 'if ctx.params.n < 5 then error "too small" '
  .. 'end return { n = ctx.params.n, a = ctx.inputs.a }') .. node("c", 'after = "b",',
  "return { b = ctx.inputs.b }")
local n3 = "{ params = { n = 3 } }"

-- a -> b -> c, where b fails until it is mended.
local broken = node("a", "") .. node("b", 'after = "a",', 'error "broken"')
  .. node("c", 'after = "b",')
local sound = node("a", "") .. node("b", 'after = "a",') .. node("c", 'after = "b",')

--- { name, text, first = trail, mended =, resume = {...}, trail =, states =, code = 0, says = }
local stories = {
  { "a wrong parameter", script(abc, n3), first = "a b",
    resume = { "--param", "n=7" }, trail = "b c",
    states = "a:succeeded b:succeeded*2 c:succeeded" },
  { "a wrong output of a finished node",
    script(node("a", "", "return { path = \"nowhere\", rows = 3 }") .. node("b", 'after = "a",',
      'if ctx.inputs.a.path ~= "here" then error "no such path" end return ctx.inputs.a')),
    first = "a b", resume = { "--output", "a.path=here" }, trail = "b",
    states = "a:succeeded b:succeeded*2",
    check = function()
      assert.same({ path = "here", rows = 3 }, outputs "b")
      assert.equal("1", box:sql_value("select synthetic from v_attempt where name='a' "
        .. "order by number desc limit 1"))
    end },
  { "a wrong var", script(node("a", "", "ctx.vars.limit = 1") .. node("b", 'after = "a",',
      'if ctx.vars.limit < 9 then error "limit" end')), first = "a b",
    resume = { "--set", "limit=10" }, trail = "b", states = "a:succeeded b:succeeded*2" },
  { "a script that is fixed below the break", script(broken), first = "a b",
    mended = script(sound), resume = { "--script", "flow.lua" }, trail = "b c",
    states = "a:succeeded b:succeeded*2 c:succeeded" },
  { "a script that is fixed above the break, saying nothing", script(broken), first = "a b",
    mended = script(node("a", "", "return { from = \"new a\" }") .. node("b", 'after = "a",')),
    resume = { "--script", "flow.lua" }, code = 2,
    says = "node 'a' has succeeded and its definition changed: say %-%-rerun a%+ to run it and "
      .. "what depends on it again, or %-%-keep a to keep its result",
    trail = "", states = "a:succeeded b:failed c:upstream_failed" },
  { "a script that is fixed above the break, to run again", script(broken), first = "a b",
    mended = script((sound:gsub('from = "a"', 'from = "new a"'))),
    resume = { "--script", "flow.lua", "--rerun", "a+" }, trail = "a b c",
    states = "a:succeeded*2 b:succeeded*2 c:succeeded",
    check = function() assert.same({ from = "new a" }, outputs "a") end },
  { "a script that is fixed above the break, its result kept", script(broken), first = "a b",
    mended = script((sound:gsub('from = "a"', 'from = "new a"'))),
    resume = { "--script", "flow.lua", "--keep", "a" }, trail = "b c",
    states = "a:succeeded b:succeeded*2 c:succeeded",
    check = function() assert.same({ from = "a" }, outputs "a") end },
  { "a script with other layout and comments", script(broken), first = "a b",
    mended = script("-- a comment\n\n\n" .. (sound:gsub("\n", "\n  -- more\n"))),
    resume = { "--script", "flow.lua" }, trail = "b c",
    states = "a:succeeded b:succeeded*2 c:succeeded" },
  { "a script where a finished node is only tried more often", script(broken), first = "a b",
    mended = script((sound:gsub('flow.lua {', 'flow.lua { retries = 2, timeout = "1h",'))),
    resume = { "--script", "flow.lua" }, trail = "b c",
    states = "a:succeeded b:succeeded*2 c:succeeded" },
  { "a node added before the break", script(broken), first = "a b",
    mended = script(node("a", "") .. node("check", 'after = "a",') .. node("b",
      'after = { "a", "check" },', "return { check = ctx.inputs.check.from }")
      .. node("c", 'after = "b",')),
    resume = { "--script", "flow.lua" }, trail = "check b c",
    states = "a:succeeded check:succeeded b:succeeded*2 c:succeeded",
    check = function() assert.same({ check = "check" }, outputs "b") end },
  { "a node added after the break", script(broken), first = "a b",
    mended = script(sound .. node("d", 'after = "c",')),
    resume = { "--script", "flow.lua" }, trail = "b c d",
    states = "a:succeeded b:succeeded*2 c:succeeded d:succeeded" },
  { "a node added in between finished ones", script(node("a", "") .. node("z", 'after = "a",')
      .. node("b", 'after = "z",', 'error "broken"')), first = "a z b",
    mended = script(node("a", "") .. node("mid", 'after = "a",') .. node("z", 'after = "mid",')
      .. node("b", 'after = "z",')),
    resume = { "--script", "flow.lua" }, code = 2, says = "node 'z' has succeeded and its "
      .. "definition changed", trail = "", states = "a:succeeded z:succeeded b:failed" },
  { "a node added in between finished ones, whose results are kept",
    script(node("a", "") .. node("z", 'after = "a",') .. node("b", 'after = "z",',
      'error "broken"')), first = "a z b",
    mended = script(node("a", "") .. node("mid", 'after = "a",') .. node("z", 'after = "mid",')
      .. node("b", 'after = "z",')),
    resume = { "--script", "flow.lua", "--keep", "*" }, trail = "mid b",
    states = "a:succeeded mid:succeeded z:succeeded b:succeeded*2" },
  { "a node removed", script(node("a", "") .. node("x", "") .. node("b", 'after = { "a", "x" },',
      'error "broken"')), first = "a x b",
    mended = script(node("a", "") .. node("b", 'after = "a",')),
    resume = { "--script", "flow.lua" }, trail = "b", states = "a:succeeded b:succeeded*2",
    check = function()
      assert.equal("succeeded", box:sql_value "select status from v_attempt where name='x'")
      assert.same({ from = "x" }, outputs "x") -- who asks for it by name still gets it
      assert.matches("x succeeded", box:run({ "explain", "last", "x" }).out)
    end },
  { "a module that its function uses was changed, saying nothing", script("local lib = require "
      .. '"lib"\n' .. node("a", "", "return lib.give()") .. node("b", 'after = "a",',
      'error "broken"')), first = "a b", files = { ["lib.lua"] = "return { give = function() "
      .. "return 1 end }" }, mended_files = { ["lib.lua"] = "return { give = function() "
      .. "return 2 end }" },
    resume = { "--script", "flow.lua" }, code = 2, says = "node 'a' has succeeded and its "
      .. "definition changed", trail = "", states = "a:succeeded b:failed" },
  { "the broken node removed", script(broken), first = "a b",
    mended = script(node("a", "") .. node("c", 'after = "a",')),
    resume = { "--script", "flow.lua" }, trail = "c", states = "a:succeeded c:succeeded" },
  { "nodes in another order", script(broken), first = "a b",
    mended = script(node("c", 'after = "b",') .. node("b", 'after = "a",') .. node("a", "")),
    resume = { "--script", "flow.lua" }, trail = "b c",
    states = "c:succeeded b:succeeded*2 a:succeeded" },
  { "a node renamed", script(broken), first = "a b",
    mended = script(node("first", ""):gsub('"first", " "', '"a", " "'):gsub('from = "first"',
      'from = "a"') .. node("b", 'after = "first",', "return ctx.inputs.first")),
    resume = { "--script", "flow.lua", "--rename", "a=first" }, trail = "b",
    states = "first:succeeded b:succeeded*2",
    check = function() assert.same({ from = "a" }, outputs "b") end },
  { "a node renamed, saying nothing", script(broken), first = "a b",
    mended = script(node("first", "") .. node("b", 'after = "first",')),
    resume = { "--script", "flow.lua" }, trail = "first b",
    states = "first:succeeded b:succeeded*2" },
  { "an option of a node", script('f.a = flow.shell { "test $TRIES = 2", env = { TRIES = "1" } }'),
    first = "", resume = { "--option", "a.env.TRIES=2" }, trail = "", states = "a:succeeded*2" },
  { "a node to skip", script(broken), first = "a b", resume = { "--skip", "b" }, trail = "",
    states = "a:succeeded b:skipped c:skipped" },
  { "a node marked as succeeded", script(broken), first = "a b",
    resume = { "--succeed", 'b={"from":"hand"}' }, trail = "c",
    states = "a:succeeded b:succeeded c:succeeded",
    check = function() assert.same({ from = "hand" }, outputs "b") end },
  { "everything from a node on", script(sound), first = "a b c", code_first = 0,
    resume = { "--from", "b" }, trail = "b c",
    states = "a:succeeded b:succeeded*2 c:succeeded*2" },
  { "everything from a node on but one that was done by hand", script(sound), first = "a b c",
    code_first = 0, resume = { "--from", "a", "--succeed", 'b={"from":"hand"}' }, trail = "a c",
    states = "a:succeeded*2 b:succeeded c:succeeded*2",
    check = function() assert.same({ from = "hand" }, outputs "b") end },
  { "everything from a node on but one that is left out", script(sound), first = "a b c",
    code_first = 0, resume = { "--from", "a", "--skip", "b" }, trail = "a",
    states = "a:succeeded*2 b:skipped c:skipped" },
  { "an output of a node whose outputs are no map", script(
      'f.a = flow.shell { "echo x", capture = "text" }\n' .. node("b", 'after = "a",',
      'error "broken"')), first = "b", resume = { "--output", "a.k=v" }, code = 2,
    says = "outputs of the node are no map: give all of them with %-%-succeed 'a=...'",
    trail = "", states = "a:succeeded b:failed" },
}

describe("a run that broke", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  for _, story in ipairs(support.rows(stories)) do
    it("goes on after " .. story[1], function()
      for path, text in pairs(story.files or {}) do box:write(path, text) end
      local done = run(story[2])
      assert.equal(story.code_first or 1, done.code, done.out .. done.err)
      assert.equal(story.first, trail())
      if story.mended then box:write("flow.lua", story.mended) end
      for path, text in pairs(story.mended_files or {}) do box:write(path, text) end
      done = resume(unpack(story.resume))
      assert.equal(story.code or 0, done.code, done.out .. done.err)
      if story.says then assert.matches(story.says, done.err) end
      assert.equal(story.trail, trail())
      assert.equal(story.states, states())
      if story.check then story.check() end
    end)
  end
end)

describe("a sub-flow under a mended script", function()
  local function text(from, body)
    local inner = node("x", "", 'return { from = "' .. from .. '" }')
      .. node("y", 'after = "x",', body)
    return 'local flow = require "flow"\nlocal inner = flow.dag("inner", {})\n'
      .. inner:gsub("f%[", "inner[")
      .. 'local f = flow.dag("f", {})\nf.go = flow.call { flow = inner }\nreturn f\n'
  end

  before_each(function()
    box = support.box()
    assert.equal(1, run(text("old", 'error "broken"')).code)
    assert.equal("x y", trail())
  end)
  after_each(function() box:close() end)

  it("goes on where it broke", function()
    box:write("flow.lua", text("old", ""))
    local done = resume("--script", "flow.lua")
    assert.equal(0, done.code, done.out .. done.err)
    assert.equal("y", trail())
  end)

  it("asks what to do with a finished node of it that changed", function()
    box:write("flow.lua", text("new", "return ctx.inputs.x"))
    local done = resume("--script", "flow.lua")
    assert.equal(2, done.code, done.out .. done.err)
    assert.matches("node 'go/x' has succeeded and its definition changed: say %-%-rerun go/x%+ to "
      .. "run it and what depends on it again, or %-%-keep go/x to keep its result", done.err)
    assert.equal("", trail())
    done = resume("--script", "flow.lua", "--keep", "*")
    assert.equal(0, done.code, done.out .. done.err)
    assert.equal("y", trail())
    assert.equal(0, resume("--rerun", "go").code)
    assert.equal("x y", trail())
  end)
end)

describe("a map of which one item failed", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local function map(body)
    return script(([[
      f.list = flow.lua { inline = true, run = function()
        local l = {}
        for i = 1, 100 do l[i] = i end
        return { items = l }
      end }
      f.each = flow.map { after = "list", over = function(ctx) return ctx.inputs.list.items end,
        inline = true, run = function(ctx, item)
          local file = io.open("trail", "a") file:write(item, " ") file:close()
          %s
          return item * 2
        end }
      f.sum = flow.lua { inline = true, after = "each", run = function(ctx)
        local sum = 0
        for _, n in ipairs(ctx.inputs.each) do sum = sum + n end
        return { sum = sum }
      end }
    ]]):format(body))
  end

  it("runs only that one again", function()
    assert.equal(1, run(map 'if item == 37 then error "thirty-seven" end').code)
    trail()
    box:write("flow.lua", map "")
    local done = resume("--script", "flow.lua")
    assert.equal(0, done.code, done.out .. done.err)
    assert.equal("37", trail())
    assert.same({ sum = 10100 }, outputs "sum")
  end)

  it("keeps its items when nodes before it are added", function()
    assert.equal(1, run(map 'if item == 37 then error "thirty-seven" end').code)
    trail()
    local text = map "":gsub('f%.list = ', 'f.extra = flow.lua { inline = true, run = function() '
      .. 'end }\nf.list = ')
    box:write("flow.lua", text)
    local done = resume("--script", "flow.lua")
    assert.equal(0, done.code, done.out .. done.err)
    assert.equal("37", trail())
    assert.same({ sum = 10100 }, outputs "sum")
    -- And once more: the numbers of nodes hold.
    done = resume("--rerun", "sum")
    assert.equal(0, done.code, done.out .. done.err)
    assert.equal("", trail())
    assert.same({ sum = 10100 }, outputs "sum")
  end)
end)

-- list -> each -> all; `list` counts how often `over` is asked.
describe("a map that failed, and what its list is made of is mended,", function()
  local function map(over)
    return script(node("fetch", "", 'return { files = { "p", "bad", "r" } }') .. ([[
      f.each = flow.map { after = "fetch", over = function(ctx)
        local file = io.open("trail", "a") file:write("over ") file:close()
        return %s
      end, run = function(ctx, item)
        local file = io.open("trail", "a") file:write(item, " ") file:close()
        local saved = ctx:restored()
        ctx:checkpoint(item)
        if item == "bad" then error "bad" end
        return item .. (saved and "+" .. saved or "")
      end, inline = true }
      f.all = flow.lua { inline = true, after = "each", run = function(ctx)
        return { list = ctx.inputs.each }
      end }]]):format(over or "ctx.inputs.fetch.files"),
      '{ params = { files = { "p", "bad", "r" } }, vars = { files = { "p", "bad", "r" } } }')
  end

  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local function breaks(...)
    assert.equal(1, run(map(...)).code)
    assert.equal("fetch over p bad r", trail())
  end

  local function goes_on(expected, list, ...)
    local done = resume(...)
    assert.equal(0, done.code, done.out .. done.err)
    assert.equal(expected, trail())
    assert.same(list, outputs("all").list)
  end

  it("by other outputs of a finished node, runs the items that are others", function()
    breaks()
    local plan = box:run({ "resume", "--plan", "--output", 'fetch.files=["p","q","r"]' }).out
    assert.matches("each +run +its list is made again", plan)
    assert.matches("fetch +keep +its outputs were set by hand", plan)
    goes_on("over q", { "p", "q", "r" }, "--output", 'fetch.files=["p","q","r"]')
    -- What the first attempt saw is still known.
    assert.equal("bad", support.decode(box:run({ "context", "last", "each[2]", "--attempt", "1",
      "--json" }).out).item)
    assert.equal("q", support.decode(box:run({ "context", "last", "each[2]", "--json" }).out).item)
  end)

  it("with a longer list, runs what is new", function()
    breaks()
    goes_on("over q s", { "p", "q", "r", "s" }, "--output", 'fetch.files=["p","q","r","s"]')
  end)

  it("with a shorter list, omits what is past it", function()
    breaks()
    goes_on("over", { "p" }, "--output", 'fetch.files=["p"]')
    assert.equal("2", box:sql_value "select count(*) from v_node where status='omitted'")
    goes_on("over p r", { "p", "r" }, "--output", 'fetch.files=["p","r"]', "--rerun", "each+")
  end)

  it("by a param", function()
    breaks "ctx.params.files"
    goes_on("over q", { "p", "q", "r" }, "--param", 'files=["p","q","r"]')
  end)

  it("by a var", function()
    breaks "ctx.vars.files"
    goes_on("over q", { "p", "q", "r" }, "--set", 'files=["p","q","r"]')
  end)

  it("by an option", function()
    breaks()
    goes_on("q", { "p", "q" }, "--option", 'each.over=["p","q"]')
  end)

  it("by a mended script", function()
    breaks()
    box:write("flow.lua", map('{ "p", "q", "r" }'))
    goes_on("over q", { "p", "q", "r" }, "--script", "flow.lua")
  end)

  it("leaves alone what was done by hand", function()
    breaks()
    goes_on("over s", { "p", "x", "s" }, "--output", 'fetch.files=["p","q","s"]', "--succeed",
      'each[2]="x"')
  end)

  it("by nothing, does not ask for its list again", function()
    breaks()
    assert.equal(1, resume().code)
    assert.equal("bad", trail())
    assert.equal(1, resume("--reason", "once more", "--checkpoint", "each[2]=7").code)
    assert.equal("bad", trail())
  end)
end)

describe("a resume", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("may be patched twice, and resumed again", function()
    local text = script(node("a", "") .. node("b", 'after = "a",',
      'if ctx.params.n < 5 then error "n" end') .. node("c", 'after = "b",',
      'if (ctx.vars.m or 0) < 5 then error "m" end') .. node("d", 'after = "c",',
      'return { n = ctx.params.n, m = ctx.vars.m }'), n3)
    assert.equal(1, run(text).code)
    assert.equal(1, resume("--param", "n=7", "--reason", "first").code)
    assert.equal(1, resume().code)
    assert.equal(0, resume("--set", "m=9", "--reason", "second").code)
    assert.equal("a b b c c c d", trail())
    assert.same({ n = 7, m = 9 }, outputs "d")
    assert.equal("first second", box:sql_value("select group_concat(reason, ' ') from "
      .. "(select reason from v_epoch where reason is not null order by epoch)"))
    assert.equal("2", box:sql_value "select count(*) from v_epoch where author like '%@%'")
  end)

  it("keeps options that an earlier one gave", function()
    local text = script('f.a = flow.shell { "test $A$B = xy", env = { A = "", B = "" } }')
    assert.equal(1, run(text).code)
    assert.equal(1, resume("--option", "a.env.A=x").code)
    assert.equal(0, resume("--option", "a.env.B=y").code)
  end)

  it("gives workers the options of its patch", function()
    local text = script([[
      local t = flow.node_type { name = "want", params = { n = { "integer", default = 1 } },
        run = function(ctx, p) if p.n ~= 2 then error("n is " .. p.n) end end }
      f.a = flow.want {}
    ]])
    assert.equal(1, run(text).code)
    local done = resume("--option", "a.n=2")
    assert.equal(0, done.code, done.out .. done.err)
  end)

  it("goes on when the logs were removed", function()
    assert.equal(1, run(script('f.a = flow.shell { "echo hello; test -e mended" }')).code)
    os.execute(("rm -rf '%s/.flowlua/logs'"):format(box.dir))
    box:write("mended", "")
    assert.equal(0, resume().code)
    assert.equal("hello\n", box:run({ "logs", "last", "a" }).out)
  end)

  it("keeps the type of a var that is set, unless JSON is asked for", function()
    local text = script([[
      f.a = flow.lua { run = function(ctx) ctx.vars.late = "1.10" ctx.vars.n = 1 end }
      f.b = flow.lua { after = "a", run = function(ctx)
        if ctx.vars.n == 1 then error "not yet" end
        return { ctx.vars.dt, ctx.vars.late, ctx.vars.n, ctx.vars.new, type(ctx.vars.json) }
      end }
    ]], '{ vars = { dt = "20140817", n = 0, json = "x" } }')
    assert.equal(1, run(text).code)
    assert.equal(0, resume("--set", "dt=20140924", "--set", "late=2.20", "--set", "n=2", "--set",
      "new=7", "--set", 'json:={"a":1}').code)
    assert.same({ "20140924", "2.20", 2, 7, "table" }, outputs("b"))
    assert.equal(2, resume("--rerun", "b", "--set", "dt:=2014x").code)
    assert.equal(0, resume("--rerun", "b", "--set", "dt:=2014").code)
    assert.equal(2014, outputs("b")[1])
    assert.equal(0, resume("--output", "a.x:=[1,2]", "--rerun", "b").code)
    assert.same({ 1, 2 }, outputs("a").x)
  end)

  it("names the script as the run did", function()
    local text = script('f.a = flow.lua { run = function() error "boom" end }')
    box:write("flow.lua", text)
    local at = "failed [^:]*: (%S+:%d+: boom)"
    local before = box:run { "flow.lua", "--no-progress" }
    local after = box:run { "resume", "--no-progress" }
    assert.equal("flow.lua:3: boom", before.out:match(at))
    assert.equal("flow.lua:3: boom", after.out:match(at))
  end)

  it("gives no item the checkpoint of another", function()
    local text = ([[
      local flow = require "flow"
      local f = flow.dag("f", { params = { l = { "a", "b" } } })
      f.m = flow.map { over = "{{params.l}}", run = function(ctx, x)
        local before = ctx:restored()
        ctx:checkpoint(x)
        ctx:step("once", function() return x end)
        if x == "b" and not before then error "not yet" end
        return { x, before or "nothing", (ctx:step("once", function() return x .. " again" end)) }
      end }
      return f
    ]])
    assert.equal(1, run(text).code)
    assert.equal(0, resume("--param", 'l=["z","b"]', "--rerun", "m", "--keep-checkpoint").code)
    assert.same({ { "z", "nothing", "z" }, { "b", "b", "b" } }, outputs("m"))
  end)

  it("gives a failed node its checkpoint, and a rerun only when asked", function()
    local text = script([[
      f.a = flow.lua { run = function(ctx)
        local at = ctx:restored() or 0
        ctx:checkpoint(at + 1)
        if not io.open("mended") then error "not yet" end
        return { at = at }
      end }
    ]])
    assert.equal(1, run(text).code)
    box:write("mended", "")
    assert.equal(0, resume().code)
    assert.equal(1, outputs("a").at)
    assert.equal(0, resume("--rerun", "a", "--keep-checkpoint").code)
    assert.equal(2, outputs("a").at)
    assert.equal(0, resume("--rerun", "a").code)
    assert.equal(0, outputs("a").at)
    assert.equal(0, resume("--rerun", "a", "--keep-checkpoint", "--checkpoint", "a=41").code)
    assert.equal(41, outputs("a").at)
    assert.equal(0, resume("--rerun", "a", "--keep-checkpoint", "--drop-checkpoint", "a").code)
    assert.equal(0, outputs("a").at)
  end)
end)

describe("a patch in a file", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("is JSON, or a table in Lua", function()
    assert.equal(1, run(script(abc, n3)).code)
    box:write("patch.json", '{"params":{"n":4},"reason":"a try"}')
    assert.equal(1, resume("--patch", "patch.json").code)
    box:write("patch.lua", 'return { params = { n = 6 }, outputs = { a = { from = "patch" } } }')
    assert.equal(0, resume("--patch", "patch.lua", "--param", "n=9").code)
    assert.same({ n = 9, a = { from = "patch" } }, outputs "b")
  end)

  local function refuses(patch, says, name)
    assert.equal(1, run(script(abc, n3)).code)
    box:write(name or "patch.json", patch)
    local before = box:sql_value "select count(*) from v_epoch"
    local done = resume("--patch", name or "patch.json")
    assert.equal(2, done.code, done.out .. done.err)
    assert.matches(says, done.err)
    assert.equal(before, box:sql_value "select count(*) from v_epoch")
    assert.equal("failed", box:sql_value "select status from v_run")
  end

  local bad = {
    { "an unknown key", '{"parms":{"n":1}}', 'patch%.parms: unknown key; did you mean "params"%?' },
    { "a wrong type", '{"skip":3}', "patch%.skip: expected a list of names of nodes, got 3" },
    { "a wrong type inside", '{"outputs":{"a":1}}', "patch%.outputs%.a: expected a map, got 1" },
    { "an unknown node", '{"rerun":["bb+"]}', 'patch%.rerun%[1%]: flow "f" has no node "bb"' },
    { "a parameter of a wrong type", '{"params":{"n":"x"}}', "parameter n: expected a number" },
    { "an unknown parameter", '{"params":{"m":1}}', "m: unknown parameter of flow f" },
    { "an unknown option", '{"options":{"b":{"retrys":1}}}',
      'patch%.options%.b%.retrys: unknown option; did you mean "retries"%?' },
    { "an option of a wrong type", '{"options":{"b":{"timeout":"soon"}}}',
      "patch%.options%.b%.timeout: expected a duration" },
    { "a cycle", '{"options":{"b":{"after":["a","c"]}}}', "cycle" },
    { "outputs of a node that has not succeeded", '{"outputs":{"b":{"x":1}}}',
      "patch%.outputs%.b: node 'b' has not succeeded" },
    { "two wishes for one node", '{"skip":["b"],"rerun":["b"]}',
      "node 'b' is in `skip` and in `rerun`: choose one" },
    { "no JSON", '{"skip":', "patch%.json: " },
    { "Lua that fails", "return nothing.at.all", "patch%.lua:1:", "patch.lua" },
    { "Lua that reaches out", "return { vars = { x = os.time() } }", "patch%.lua:1:",
      "patch.lua" },
    { "Lua that gives a function", "return { vars = { x = function() end } }", "function",
      "patch.lua" },
  }
  for _, one in ipairs(support.rows(bad)) do
    it("is refused with " .. one[1], function() refuses(one[2], one[3], one[4]) end)
  end

  it("that is not there is told", function()
    assert.equal(1, run(script(abc, n3)).code)
    local done = resume("--patch", "nowhere.json")
    assert.equal(2, done.code)
    assert.matches("cannot read the patch 'nowhere%.json'", done.err)
  end)
end)

describe("resume --plan", function()
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  it("tells what a patch means for every node, and changes nothing", function()
    assert.equal(1, run(script(broken)).code)
    box:write("flow.lua", script(node("a", "", "return 1") .. node("b", 'after = "a",')
      .. node("new", 'after = "b",')))
    local epochs = box:sql_value "select count(*) from v_epoch"
    local done = box:run { "resume", "--plan", "--script", "flow.lua", "--json" }
    assert.equal(0, done.code, done.err)
    local plan = support.decode(done.out)
    assert.same({ "c" }, plan.removed)
    local said = {}
    for _, n in ipairs(plan.nodes) do
      said[#said + 1] = ("%s:%s:%s:%s"):format(n.name, n.action, n.reason, tostring(n.changed))
    end
    assert.same({ "a:keep:kept_changed:true", "b:run:resume_failed:false", "new:run:added:false" },
      said)
    done = box:run { "resume", "--plan", "--script", "flow.lua" }
    assert.matches("c is not in the script any more", done.out)
    assert.matches("1 finished node changed: say %-%-rerun NODE%+ or %-%-keep NODE", done.out)
    assert.equal(epochs, box:sql_value "select count(*) from v_epoch")
  end)
end)
