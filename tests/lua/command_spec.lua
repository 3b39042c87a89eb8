-- What process nodes start: words, shells, surroundings, and what their output means.
local command = require "flow.command"
local flow = require "flow"
local host = require "flow.host"
local script = require "support.script"

describe("a shell's text", function()
  local plain = {
    "true", "false", "/bin/true", "ls -la /tmp", "gcc -c a.c -o a.o", "prog  a\tb", "./run.sh a=b",
    "python3 x.py --date=2024-01-01", "a@b:c/d%e+f,g",
  }
  for _, text in ipairs(plain) do
    it(("%q needs no shell"):format(text), function()
      assert.is_table(command.plain_words(text))
    end)
  end

  local not_plain = {
    "echo hi", "a | b", "a > b", "a; b", "a && b", "$HOME/x", "a 'b'", 'a "b"', "ls *.c", "~/x",
      "A=1 prog",
    "cd /tmp", "exit 3", "if", "kill 1", "a\nb", "a `b`", "(a)", "a #b", "[ a ]", "a\\b", "test x",
      "", " ",
    "export A", "{", "!", "a?", "printf x", ". ./x",
  }
  for _, text in ipairs(not_plain) do
    it(("%q needs one"):format(text), function() assert.is_false(command.plain_words(text)) end)
  end

  it("is split at blanks", function()
    assert.same({ "ls", "-la", "/tmp" }, command.plain_words "  ls -la\t/tmp ")
  end)
end)

describe("the command of a node", function()
  teardown(script.clean)

  local function commands(body, names, facts, options)
    local list = {}
    assert(script.load(script.flow(body, options), nil, function(loaded, dir)
      for i, name in ipairs(names) do list[i] = script.command(loaded, name, facts) end
      list.dir = dir
    end))
    return unpack(list), list
  end

  it("is a shell's, that ends where a command fails, unless it is told otherwise", function()
    for _, case in ipairs {
      { 'flow.shell { "a; b" }', { "/bin/sh", "-e", "-c", "a; b" } },
      { 'flow.shell { "a; b", strict = false }', { "/bin/sh", "-c", "a; b" } },
      { 'flow.shell { "a", shell = "bash -euo pipefail" }',
        { "bash", "-e", "-euo", "pipefail", "-c", "a" } },
      { 'flow.shell { "a", shell = { "bash" }, strict = false }', { "bash", "-c", "a" } },
      { 'flow.shell { "a", shell = "/usr/bin/env bash" }',
        { "/usr/bin/env", "bash", "-e", "-c", "a" } },
      { 'flow.shell { "a", shell = { "bash", "-" } }', { "bash", "-" }, "a" },
      { 'flow.shell { "a", shell = { "python3", "-" } }', { "python3", "-" }, "a" },
    } do
      local spec = commands("f.a = " .. case[1], { "a" })
      assert.same(case[2], spec.argv)
      assert.equal(case[3], spec.stdin)
    end
  end)

  it("is a shell's that goes on, for a script that a run has kept since before", function()
    assert(script.load(script.flow 'f.a = flow.shell { "a; b" }', { language = 0 },
      function(loaded)
        assert.same({ "/bin/sh", "-c", "a; b" }, script.command(loaded, "a").argv)
      end))
  end)

  it("gives a text that no word can hold by stdin, or in pieces where that is taken", function()
    local long = 'f.a = flow.shell { ("x"):rep(200000) .. ";"'
    local spec = commands(long .. " }", { "a" })
    assert.equal("/bin/sh", spec.argv[1])
    assert.is_true(#spec.stdin > 200000)
    spec = commands(long .. ', stdin = "mine" }', { "a" })
    assert.equal("mine", spec.stdin)
    assert.equal(200001, #table.concat(spec.argv, "", 6))
    for _, word in ipairs(spec.argv) do assert.is_true(#word <= 131071) end
  end)

  it("is its words, a shell only where one is needed", function()
    local a, b, list = nil, nil, nil
    assert(script.load(script.flow 'f.a = flow.shell { "ls -l" }\nf.b = flow.shell { "ls | wc" }',
      nil,
      function(loaded, dir)
        a, b, list = script.command(loaded, "a"), script.command(loaded, "b"), dir
      end))
    assert.same({ "ls", "-l" }, a.argv)
    assert.same({ "/bin/sh", "-e", "-c", "ls | wc" }, b.argv)
    assert.equal(list, a.cwd)
    assert.same({}, a.env)
    assert.is_false(a.capture)
    assert.same({ 0 }, a.ok_codes)
    assert.is_nil(a.stdin)
    assert.is_nil(a.limits)
  end)

  it("has templates rendered, as words", function()
    local a = commands('f.a = flow.shell { "prog {{params.list}} {{run.date}}" }', { "a" },
      { params = { list = { "x y", "z" } } }, "{ params = { list = {} } }")
    assert.same({ "/bin/sh", "-e", "-c", "prog 'x y' z 2023-11-14" }, a.argv)
    a = commands('f.a = flow.shell { "prog {{params.list}}" }', { "a" },
      { params = { list = { "x", "z" } } }, "{ params = { list = {} } }")
    assert.same({ "prog", "x", "z" }, a.argv)
  end)

  it("of exec is rendered word by word and never split", function()
    local a = commands('f.a = flow.exec { "prog", "{{params.text}}", 3, "{{params.list}}", '
      .. '"n={{params.n}}", 0.5 }',
      { "a" }, { params = { text = "a b; c", list = { "x y", 2 }, n = 7 } },
      "{ params = { text = '', list = {}, n = 0 } }")
    assert.same({ "prog", "a b; c", "3", "x y", "2", "n=7", "0.5" }, a.argv)
  end)

  it("has its environment, folder, input and limits", function()
    local body = [[f.a = flow.shell {
      "cat", env = { B = "{{run.date}}", N = 5 }, cwd = "sub", stdin = "day {{run.date}}",
      ok_codes = { 0, 3 }, capture = "lines",
      limits = { memory = "1G", cpu_time = "2m", open_files = 64, output = "1M" },
    }]]
    local a, list
    assert(script.load(script.flow(body,
      '{ params = { a = "" }, defaults = { env = { A = "{{params.a}}", B = "x" } } }'), nil,
      function(loaded, dir)
        a, list = script.command(loaded, "a", { params = { a = "1 2" } }), dir
      end))
    assert.same({ "A=1 2", "B=2023-11-14", "N=5" }, a.env)
    assert.equal(list .. "/sub", a.cwd)
    assert.equal("day 2023-11-14", a.stdin)
    assert.same({ 0, 3 }, a.ok_codes)
    assert.is_true(a.capture)
    assert.same({ memory = 2 ^ 30, cpu_time = 120, open_files = 64, output = 2 ^ 20 }, a.limits)
  end)

  it("gets a table as JSON on its standard input", function()
    local a = commands('f.x = flow.shell "true"\nf.a = flow.shell { after = "x", "cat", stdin = '
      .. '"{{inputs.x}}" }', { "a" }, { inputs = { x = { b = { 1, 2 } } } })
    assert.equal('{"b":[1,2]}', a.stdin)
  end)

  it("may be an absolute folder", function()
    assert.equal("/tmp/2023-11-14", commands('f.a = flow.shell { "x", cwd = "/tmp/{{run.date}}" }',
      { "a" }).cwd)
  end)

  local function failure(body, facts)
    local message
    local text = script.flow(body, "{ params = { x = { 'any' } } }")
    assert(script.load(text, nil, function(loaded)
      local ok, err = pcall(script.command, loaded, "a", facts)
      message = not ok and err
    end))
    return message
  end

  it("that cannot be made is told with line, node and option", function()
    assert.equal("pipeline.lua:3: f.a.text: template {{ params.x }}: unknown name params.x",
      failure 'f.a = flow.shell { "prog {{params.x}}" }')
    assert.equal("pipeline.lua:3: f.a.env: template {{ params.x }}: unknown name params.x",
      failure 'f.a = flow.shell { "prog", env = { A = "{{params.x}}" } }')
    assert.equal("pipeline.lua:3: f.a.cwd: template {{ params.x }}: unknown name params.x",
      failure 'f.a = flow.shell { "prog", cwd = "{{params.x}}" }')
    assert.equal("pipeline.lua:3: f.a: expected a command, got an empty text",
      failure('f.a = flow.shell { "{{{params.x}}}" }', { params = { x = " " } }))
    assert.equal("pipeline.lua:3: f.a.argv[2]: expected a string or number, got a map with the "
        .. "key a",
      failure('f.a = flow.exec { "ls", "{{params.x}}" }', { params = { x = { a = 1 } } }))
  end)
end)

describe("what was captured", function()
  it("as text loses its last newline only", function()
    assert.equal("a\nb\n", command.captured("text", "a\nb\n\n"))
    assert.equal("", command.captured("text", ""))
    assert.equal("a", command.captured("text", "a\r\n"))
  end)

  it("as lines is a list", function()
    assert.same({ "a", "", "b" }, command.captured("lines", "a\n\nb\n"))
    assert.same({ "a", "b" }, command.captured("lines", "a\nb"))
    assert.same({ "a", "", "b\r" }, command.captured("lines", "a\r\n\r\nb\r\r\n"))
    assert.same({}, command.captured("lines", ""))
    assert.same({ "" }, command.captured("lines", "\n"))
  end)

  it("as JSON is the value", function()
    assert.same({ a = { 1 } }, command.captured("json", ' {"a":[1]}\n'))
    local ok, message = pcall(command.captured, "json", "hello")
    assert.is_false(ok)
    assert.equal("stdout is no JSON: expected a value at line 1, column 1", message)
  end)
end)

describe("what was written to FLOWLUA_OUTPUT", function()
  it("is one JSON object or lines of names and texts", function()
    assert.same({ a = 1 }, command.written '{"a":1}\n')
    assert.same({ a = "1", b = "x=y" }, command.written "a=1\n\nb=x=y\n")
    assert.is_nil(command.written " \n")
  end)

  it("is refused when it is neither", function()
    local rows = {
      { "a\n", 'FLOWLUA_OUTPUT line 1: expected name=value, got "a"' },
      { "ok=1\n2=3", 'FLOWLUA_OUTPUT line 2: expected name=value, got "2=3"' },
      { "{", "FLOWLUA_OUTPUT is no JSON: the text ends where a key in quotes should be at line 1, "
        .. "column 2" },
    }
    for _, row in ipairs(rows) do
      local ok, message = pcall(command.written, row[1])
      assert.is_false(ok)
      assert.equal(row[2], message)
    end
  end)
end)

describe("the outputs of a process", function()
  teardown(script.clean)

  local function collect(body, capture, output)
    local result
    assert(script.load(script.flow(body), nil, function(loaded)
      local index = script.index(loaded, "a")
      local b = script.backend()
      host.command(loaded.flows[1], index, false, nil, b)
      local ok, text = pcall(host.collect, loaded.flows[1], index, false, nil, capture, output)
      result = ok and (text or "none") or { text }
    end))
    return result
  end

  local text = 'f.a = flow.shell { "x", capture = "text" }'
  local json_text = 'f.a = flow.shell { "x", capture = "json" }'

  it("are what was captured", function()
    assert.equal('"hi"', collect(text, "hi\n"))
    assert.equal('["a","b"]', collect('f.a = flow.shell { "x", capture = "lines" }', "a\nb\n"))
    assert.equal('{"a":1}', collect(json_text, '{"a":1}'))
    assert.equal("none", collect('f.a = flow.shell { "x" }', nil))
  end)

  it("are what was written when nothing was captured", function()
    assert.equal('{"n":"1"}', collect('f.a = flow.shell { "x" }', nil, "n=1\n"))
  end)

  it("are both as one map, what was written wins", function()
    assert.equal('{"n":"1","stdout":"hi"}', collect(text, "hi\n", "n=1\n"))
    assert.equal('{"a":1,"b":3}', collect(json_text, '{"a":1,"b":2}', '{"b":3}'))
    assert.equal('{"n":"1","stdout":[1]}', collect(json_text, "[1]", "n=1\n"))
  end)

  it("that cannot be read are an error", function()
    assert.same({ "stdout is no JSON: expected a value at line 1, column 1" },
      collect(json_text, "hello"))
  end)
end)

describe("a node type with a command", function()
  teardown(script.clean)

  local convert = [[
local flow = require "flow"
return flow.node_type {
  name = "convert",
  params = { src = { "string", required = true }, size = { "integer", default = 64, min = 1 } },
  command = function(ctx, p)
    if p.size == 1 then return { shell = "echo " .. p.src, capture = "json", ok_codes = { 2 } } end
    if p.size == 2 then return { "x", foo = 1 } end
    if p.size == 3 then return "x" end
    if p.size == 4 then error "boom" end
    return { "convert", p.src, "-resize", p.size }
  end,
}]]

  local function command_of(size, use)
    local spec
    assert(script.load({ ["nodes/convert.lua"] = convert,
      ["pipeline.lua"] = script.flow(
        ('f.a = flow.convert { src = "a.png", size = %s }'):format(size)) }, nil,
      function(loaded)
        local ok, result = pcall(script.command, loaded, "a")
        spec = result
        if use then use(loaded) end
        if not ok then spec = { error = result } end
      end))
    return spec
  end

  it("gives words", function()
    assert.same({ "convert", "a.png", "-resize", "64" }, command_of("nil").argv)
  end)

  it("gives a shell's text and options", function()
    local outputs
    local spec = command_of("1", function(loaded)
      outputs = host.collect(loaded.flows[1], 0, false, nil, "[1]", nil)
    end)
    assert.same({ "/bin/sh", "-e", "-c", "echo a.png" }, spec.argv)
    assert.is_true(spec.capture)
    assert.same({ 2 }, spec.ok_codes)
    assert.equal("[1]", outputs)
  end)

  it("is asked again what to capture by an engine that did not start the child", function()
    assert(script.load({ ["nodes/convert.lua"] = convert,
      ["pipeline.lua"] = script.flow 'f.a = flow.convert { src = "a", size = 1 }' }, nil,
      function(loaded)
        assert.equal("[1]",
          host.collect(loaded.flows[1], 0, false, nil, "[1]", nil, script.backend()))
      end))
  end)

  it("is told what it returned wrongly", function()
    assert.equal("pipeline.lua:3: f.a: `command` returned an unknown field foo",
      command_of("2").error)
    assert.equal('pipeline.lua:3: f.a: expected `command` to return a list of words or { shell = '
      .. 'text }, got "x"',
      command_of("3").error)
    assert.equal("nodes/convert.lua:9: boom", command_of("4").error)
  end)
end)

describe("flow.quote for shells", function()
  it("keeps plain words and quotes all others", function()
    local quote = require("flow.template").quote
    assert.equal("a-b/c.d", quote "a-b/c.d")
    assert.equal("''", quote "")
    assert.equal("'a b'", quote "a b")
    assert.equal("'~'", quote "~")
    assert.is_nil(flow.list {}[1])
  end)
end)
