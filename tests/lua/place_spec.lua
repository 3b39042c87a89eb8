-- Which line a mistake is told with, however the constructor was called.
local script = require "support.script"

-- A script whose node "x" has retries = -1, and the line that is to be told.
local rows = {
  { "called directly", 3, 'f.x = flow.shell { "true", retries = -1 }' },
  { "called over several lines", 3, 'f.x = flow.shell {\n"true",\nretries = -1,\n}' },
  { "called by a local name", 4, 'local shell = flow.shell\nf.x = shell { "true", retries = -1 }' },
  { "returned by a helper", 3,
    'local function h() return flow.shell { "true", retries = -1 } end\n\nf.x = h()' },
  { "returned by a helper that uses a local name", 5,
    'local shell = flow.shell\nlocal function h()\n  return shell { "true", retries = -1 }\nend\n\n'
      .. "f.x = h()" },
  { "returned by a helper that uses a local name, again", 5,
    'local shell = flow.shell\nlocal function h(n)\n  return shell { "true", retries = n }\nend\n'
      .. "f.w = h(1)\nf.x = h(-1)" },
  { "made in a helper", 4,
    'local function h()\n  local n = flow.shell { "true", retries = -1 }\n  return n\nend\nf.x = '
      .. 'h()' },
  { "made before it is assigned", 3,
    'local n = flow.shell { "true", retries = -1 }\n\nlocal m = flow.shell { "true" }\nf.x = n' },
  { "made in a loop", 4,
    'for _, n in ipairs { 1, 2, -1 } do\n  f["x" .. (n < 0 and "" or n)] = flow.shell { "1", '
      .. 'retries = n }\nend' },
  { "called with a table from elsewhere", 5,
    'local options = { "true", retries = -1 }\n\nf.x = flow.shell(options)' },
  { "called through pcall", 3, 'f.x = select(2, pcall(flow.shell, { "true", retries = -1 }))' },
  { "returned by a method", 5,
    'local H = {}\nfunction H.make()\n  return flow.shell { "true", retries = -1 }\nend\nf.x = '
      .. 'H.make()' },
}

describe("the line of a node that was", function()
  teardown(script.clean)

  for _, row in ipairs(rows) do
    it(row[1], function()
      local _, message = script.load(script.flow(row[3]))
      local expected = "pipeline.lua:%d: f.x.retries: expected an integer from 0 to 100, got -1"
      assert.equal(expected:format(row[2]),
        message)
    end)
  end

  it("made in a module beside the script", function()
    local _, message = script.load({
      ["pipeline.lua"] = script.flow('f.x = require "lib.nodes".make()'),
      ["lib/nodes.lua"] = 'local flow = require "flow"\nreturn { make = function()\n  return '
        .. 'flow.shell { "1", retries = -1 }\nend }',
    })
    assert.equal("lib/nodes.lua:3: f.x.retries: expected an integer from 0 to 100, got -1", message)
  end)

  it("made in a script whose path is long", function()
    local path = ("folder/"):rep(20) .. "pipeline.lua"
    local _, message = script.load(script.flow 'f.x = flow.shell { "1", retries = -1 }',
      { path = path })
    assert.equal(path .. ":3: f.x.retries: expected an integer from 0 to 100, got -1", message)
  end)
end)

describe("a message of Lua's own", function()
  teardown(script.clean)

  it("names a file with a long path in full", function()
    local path = ("folder/"):rep(20) .. "pipeline.lua"
    local _, message = script.load("error 'boom'", { path = path })
    assert.equal(path .. ":1: boom", message)
    _, message = script.load("local = 1", { path = path })
    assert.equal(path .. ":1: '<name>' expected near '='", message)
  end)
end)
