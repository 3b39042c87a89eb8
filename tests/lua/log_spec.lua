-- Tests the module log: what a line looks like. stderr is a file for the length of a test.
local ffi = require "ffi"
local fs = require "fs"
local log = require "log"

ffi.cdef "int dup(int); int dup2(int, int); int close(int); int open(const char *, int, ...);"

local function written(fn)
  local root = assert(fs.tempdir())
  local path = fs.join(root, "stderr")
  assert(fs.write(path, ""))
  local kept, file = ffi.C.dup(2), ffi.C.open(path, 1) -- O_WRONLY
  ffi.C.dup2(file, 2)
  local ok, err = pcall(fn)
  ffi.C.dup2(kept, 2)
  ffi.C.close(kept)
  ffi.C.close(file)
  local text = fs.read(path)
  fs.remove(root, { recursive = true })
  assert(ok, err)
  return text
end

describe("log", function()
  local old
  before_each(function() old = log.level "info" end)
  after_each(function() log.level(old) end)

  it("writes a line with time and level", function()
    local shown = setmetatable({}, { __tostring = function() return "T" end })
    local text = written(function() log.info("a", 1, nil, true, shown) end)
    assert.matches("^20%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ info  a 1 nil true T\n$", text)
    assert.matches("Z error table: 0x", written(function() log.error {} end))
    assert.matches("Z warn \n$", written(function() log.warn() end))
  end)

  it("leaves out what is below the level", function()
    assert.equal("", written(function() log.debug "x" end))
    log.level "error"
    assert.equal("", written(function() log.warn "x" end))
    log.level "off"
    assert.equal("", written(function() log.error "x" end))
    log.level "debug"
    assert.matches("debug x\n$", written(function() log.debug "x" end))
  end)

  it("makes control characters visible", function()
    local text = written(function() log.info "a\nb\27[0m\tc\0\r" end)
    assert.matches("info  a\n    b\\x1b%[0m\tc\\x00\\x0d\n$", text)
    assert.matches("\239\191\189x\n$", written(function() log.info "\255x" end))
  end)

  it("cuts a line that is too long", function()
    local text = written(function() log.info(("x"):rep(3e6)) end)
    assert.is_true(#text <= 2 ^ 20)
    assert.matches("\n$", text)
  end)

  it("tells and takes its level", function()
    assert.equal("info", log.level "off")
    assert.equal("off", log.level())
    assert.error_matches(function() log.level "loud" end,
      'expected debug, info, warn, error or off, got "loud"')
  end)
end)
