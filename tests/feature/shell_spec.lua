-- flow.shell: what reads its text, where it ends, and that nobody notices how it was started.
local support = require "tests.feature.support"

local box
before_each(function() box = support.box() end)
after_each(function() box:close() end)

local function run(body, ...)
  return box:script(('local flow = require "flow"\nlocal f = flow.dag "f"\n%s\nreturn f\n')
    :format(body), ...)
end

-- What a run of one node "a" was, and its log.
local function one(options)
  run("f.a = flow.shell { " .. options .. " }")
  return box:show().node.a, box:run({ "logs", "last", "a", "--raw" }).out
end

describe("the text of flow.shell", function()
  it("ends at the first command that fails, unless strict = false", function()
    local node, log = one '"echo one\\nfalse\\necho two"'
    assert.equal("failed", node.status)
    assert.equal("one\n", log)
    node, log = one '"echo one\\nfalse\\necho two", strict = false'
    assert.equal("succeeded", node.status)
    assert.equal("one\ntwo\n", log)
  end)

  it("is read by what `shell` says", function()
    local node, log = one '"echo ${BASH_VERSION:+bash}; false | true", shell = "bash -euo pipefail"'
    assert.equal("failed", node.status)
    assert.equal("bash\n", log)
    box:write("words", "a\nb\n")
    node, log = one '"/^b/p", shell = { "sed", "-n", "-f", "-", "words" }'
    assert.equal("succeeded", node.status)
    assert.equal("b\n", log)
  end)

  it("that is started directly ends and speaks as through the shell", function()
    box:write("no_program", "text")
    box:write("folder/x", "")
    for _, case in ipairs { { "no_such_program_x -v", 127 }, { "./no_program x", 126 },
      { "./nothing/here", 127 }, { "./folder x", 126 } } do
      local plain, said = one(('"%s"'):format(case[1]))
      local through, told = one(('"%s;"'):format(case[1]))
      assert.equal(case[2], plain.exit_code)
      assert.equal(case[2], through.exit_code)
      assert.equal(told, said)
      assert.equal(through.error, plain.error)
    end
  end)

  it("has 127 counted by ok_codes and retry_on, however it was started", function()
    run [[
      f.a = flow.shell { "no_such_program_x -v", ok_codes = { 0, 127 } }
      f.b = flow.shell { "no_such_program_x '-v'", ok_codes = { 0, 127 } }
      f.c = flow.shell { "no_such_program_x -v", retries = 1, retry_delay = 0, retry_on = 127 }
      f.d = flow.shell { "no_such_program_x '-v'", retries = 1, retry_delay = 0, retry_on = 127 }]]
    local node = box:show().node
    assert.equal("succeeded", node.a.status)
    assert.equal("succeeded", node.b.status)
    assert.equal(2, node.c.attempts)
    assert.equal(2, node.d.attempts)
  end)

  it("finds PWD to be its folder", function()
    box:write("sub/x", "")
    for cwd, folder in pairs { sub = "/sub", ["."] = "/." } do
      for _, text in ipairs { "printenv PWD", "printenv PWD;" } do
        local _, log = one(('"%s", cwd = "%s"'):format(text, cwd))
        assert.equal(box.path .. folder, (log:gsub("\n", "")))
      end
    end
    local _, log = one '"printenv PWD"'
    assert.equal(box.path .. "\n", log)
  end)

  it("may be longer than a word of the system, whatever stdin is", function()
    local body = '("x=%s; echo ${#x} $# $0; cat"):format(("y"):rep(300000))'
    local node, log = one(body)
    assert.equal("succeeded", node.status)
    assert.equal("300000 0 /bin/sh\n", log)
    node, log = one(body .. ', stdin = "given"')
    assert.equal("succeeded", node.status)
    assert.equal("300000 0 /bin/sh\ngiven", log)
    node = one('("false; x=%s; true"):format(("y"):rep(300000))')
    assert.equal("failed", node.status)
  end)
end)

describe("a text of ctx:exec", function()
  it("ends at the first command that fails, too", function()
    run [[f.a = flow.lua { run = function(ctx)
      return { ctx:exec { shell = "false; true", check = false }.code,
        ctx:exec { shell = "false; true", strict = false }.code,
        ctx:exec { shell = "no_such_program_x -v", check = false }.code,
        ctx:exec { shell = "echo ${BASH_VERSION:+bash}", interpreter = "bash",
          capture = "text" }.outputs }
    end }]]
    assert.same({ 1, 0, 127, "bash" }, box:show().node.a.outputs)
  end)
end)
