-- Tests the module process: children run to their end.
local fs = require "fs"
local process = require "process"

local function open_files() return #fs.list "/proc/self/fd" end

describe("process.run", function()
  it("gives code and output", function()
    local files = open_files()
    assert.same({ code = 3, stdout = "out", stderr = "err", timed_out = false },
      process.run { "sh", "-c", "printf out; printf err >&2; exit 3" })
    assert.same({ signal = 9, stdout = "", stderr = "", timed_out = false },
      process.run { "sh", "-c", "kill -9 $$" })
    assert.equal("1 x", process.run({ "echo", "-n", 1, "x" }).stdout)
    assert.equal(files, open_files())
  end)

  it("gives stdin, also much and to one that does not read", function()
    local data = ("0123456789\n"):rep(100000)
    assert.equal(data, process.run({ "cat", stdin = data }).stdout)
    assert.equal(0, process.run({ "true", stdin = data }).code)
    assert.equal("", process.run({ "cat" }).stdout)
    assert.equal("", process.run({ "cat", stdin = "" }).stdout)
    assert.equal("5", process.run({ "cat", stdin = 5 }).stdout)
  end)

  it("sets folder and environment", function()
    assert.equal("/\n", process.run({ "pwd", cwd = "/" }).stdout)
    local script = 'printf "%s %s %s" "$FL_A" "${HOME-gone}" "${PATH:+kept}"'
    local result = process.run { "sh", "-c", script, env = { FL_A = 5, HOME = false } }
    assert.equal("5 gone kept", result.stdout)
  end)

  it("ends the whole group when the time is over", function()
    local files = open_files()
    local result = process.run { "sh", "-c", "sleep 100 & echo started; wait", timeout = 0.1 }
    assert.same({ signal = 15, stdout = "started\n", stderr = "", timed_out = true }, result)
    local deaf = "trap '' TERM; while :; do sleep 0.1; done"
    result = process.run { "sh", "-c", deaf, timeout = "100ms", grace = 0.1 }
    assert.equal(9, result.signal)
    assert.is_true(result.timed_out)
    local polite = "trap 'echo bye; exit 7' TERM; sleep 100 & wait"
    result = process.run { "sh", "-c", polite, timeout = 0.2 }
    assert.same({ code = 7, stdout = "bye\n", stderr = "", timed_out = true }, result)
    assert.equal(files, open_files())
  end)

  it("waits for the output of what the child started", function()
    assert.equal("late", process.run({ "sh", "-c", "(sleep 0.1; printf late) &" }).stdout)
  end)

  it("keeps output within its limit", function()
    local files = open_files()
    local result, err = process.run { "sh", "-c", "yes", output_max = "64K" }
    assert.is_nil(result)
    assert.equal("limit", err.code)
    assert.equal("'sh' wrote more than 65536 bytes", tostring(err))
    result = process.run { "head", "-c", "65536", "/dev/zero", output_max = "64K" }
    assert.equal(65536, #result.stdout)
    assert.equal(files, open_files())
  end)

  it("names what cannot be started", function()
    local result, err = process.run { "no-such-command" }
    assert.is_nil(result)
    assert.equal("spawn", err.code)
    local missing = ": No such file or directory (ENOENT)"
    assert.equal("cannot start 'no-such-command'" .. missing, tostring(err))
    err = select(2, process.run { "true", cwd = "/no/such" })
    assert.equal("cannot start 'true' in '/no/such'" .. missing, tostring(err))
  end)

  it("raises for wrong use", function()
    local rows = {
      { {}, "expected the words of a command, got none" },
      { { "a", {} }, "word of the command: expected a string, got table" },
      { { "a\0b" }, "zero byte" },
      { { "true", timout = 1 }, "did you mean 'timeout'" },
      { { "true", env = { ["A=B"] = "x" } }, "'A=B' is no name" },
      { { "true", env = { A = {} } }, "env: value: expected a string, got table" },
      { { "true", env = 5 }, "env: expected a table, got number" },
      { { "true", cwd = true }, "cwd: expected a string, got boolean" },
      { { "true", stdin = {} }, "stdin: expected a string, got table" },
      { { "true", output_max = "lots" }, "output_max: expected a size" },
      { { "true", timeout = "soon" }, "timeout: expected a duration" },
    }
    for _, row in ipairs(rows) do
      assert.error_matches(function() process.run(row[1]) end, row[2])
    end
    assert.error_matches(function() process.run() end, "process.run: expected a table, got nothing")
  end)
end)

describe("process", function()
  it("knows itself", function()
    local parent = process.run({ "sh", "-c", "echo $PPID" }).stdout
    assert.equal(process.pid() .. "\n", parent)
    assert.equal(os.getenv "PATH", process.env "PATH")
    assert.is_nil(process.env "NO_SUCH_VARIABLE_IS_SET")
    assert.is_true(#process.hostname() > 0)
    assert.is_true(process.cores() >= 1)
  end)
end)
