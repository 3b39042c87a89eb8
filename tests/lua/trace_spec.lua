-- What becomes of whatever user code raises, and which frames of it are told.
local fault = require "flow.fault"
local trace = require "flow.trace"

-- A chunk of the user's, under its own file name, and what the handler makes of its error.
local function told(text, ...)
  local chunk = assert(loadstring(text, "@user.lua"))
  local args = { ... }
  local function call() chunk(unpack(args)) end -- no tail call: its frame is the boundary
  local _, err = xpcall(trace.boundary(call), trace.handler)
  return err
end

describe("an error of user code", function()
  local rows = {
    { "a text says itself where, and that alone is enough", 'error "no"', "user.lua:1: no" },
    { "a text without a place gets its frame", 'error("no", 0)', "no\n  at user.lua:1" },
    { "a table with a message is its message", 'error { message = "no" }', "no\n  at user.lua:1" },
    { "a table that has a text is that text",
      'error(setmetatable({}, { __tostring = function() return "no" end }))',
      "no\n  at user.lua:1" },
    { "a bare table is told to be one", "error {}", "error object is a table\n  at user.lua:1" },
    { "a number is told", "error(setmetatable({}, { __tostring = function() return 7 .. '' end }))",
      "7\n  at user.lua:1" },
    { "a boolean is told", "error(true)", "error object is a boolean: true\n  at user.lua:1" },
    { "frames are told from within to without, with the names of functions",
      "local function inner() error('no', 0) end\nlocal function outer()\n  inner()\n  return 1\n"
        .. "end\nouter()",
      "no\n  at user.lua:1 in inner\n  at user.lua:3 in outer\n  at user.lua:6" },
  }
  for _, row in ipairs(rows) do
    it(row[1], function() assert.equal(row[3], told(row[2])) end)
  end

  it("has at most eight frames", function()
    local text = told [[
      local function f(n)
        if n == 0 then error('no', 0) end
        f(n - 1)
        return 1
      end
      f(20)]]
    local _, count = text:gsub("\n  at ", "")
    assert.equal(8, count)
  end)

  it("is cut where an attempt keeps no more", function()
    local text = told("error(('x'):rep(5000), 0)")
    assert.equal(4096, #text)
    assert.equal("x...", text:sub(-4))
    assert.equal("short", trace.cut "short")
  end)

  it("that is a fault of the script is its message", function()
    assert.equal("f.a: no\n  at user.lua:1",
      told("local err = ... error(err)", fault.new(nil, "f.a", "no")))
  end)
end)

describe("a signal", function()
  it("passes through whole; a failure gets its frames", function()
    local skip, fail = trace.signal("skip", "nothing to do"), trace.signal("fail", "no", false)
    assert.equal(skip, told("error((...))", skip))
    assert.is_nil(skip.trace)
    assert.equal(fail, told("error((...))", fail))
    assert.equal("no\n  at user.lua:1", fail.trace)
    assert.is_false(fail.retry)
    assert.equal("no", tostring(fail))
  end)

  it("is no table that looks like one", function()
    assert.is_true(trace.is_signal(trace.signal("skip", "x")))
    assert.is_false(trace.is_signal { kind = "skip", text = "x" })
  end)
end)
