-- What only looks at a script, or at nothing: it writes nothing anywhere.
local support = require "tests.feature.support"

local box
before_each(function() box = support.box() end)
after_each(function() box:close() end)

-- The calls that make or change something, as strace prints them.
local calls = "mkdir,mkdirat,creat,unlink,unlinkat,rmdir,rename,renameat,renameat2,link,symlink,"
  .. "fsync,fdatasync,sync_file_range,ftruncate,fallocate,openat,open,socket"

local function changes(text)
  local found = {}
  for _, line in ipairs(support.lines(text)) do
    local opens = line:find("^open") or line:find("^%d+ +open")
    if not opens or line:find "O_CREAT" or line:find "O_WRONLY" or line:find "O_RDWR" then
      found[#found + 1] = line
    end
  end
  return table.concat(found, "\n")
end

describe("no state is made, opened or synced by", function()
  for _, words in ipairs(support.rows {
    "check flow.lua", "graph flow.lua", "graph flow.lua --format svg",
    "run flow.lua --dry-run", "version", "help", "help run", "completion bash",
  }) do
    it(words, function()
      -- It cannot look for leaks while strace does, and makes folders for its reports.
      box:sanitizer("detect_leaks=0:log_path=stderr")
      box:write("flow.lua", [[
        local flow = require "flow"
        local f = flow.dag "f"
        f.a = flow.shell { "true" }
        f.b = flow.lua { after = "a", run = function() end }
        return f
      ]])
      local done = box:sh(("TMPDIR=/nowhere exec strace -f -qq -o calls -e trace=%s %s %s")
        :format(calls, support.binary, words))
      if done.err:find("ptrace", 1, true) then
        pending("strace may not trace here: " .. done.err)
        return
      end
      assert.equal(0, done.code, done.err)
      assert.is_true(#done.out > 0)
      assert.equal("", changes(box:read("calls")))
      assert.equal("", box:sh("ls -Ad .flowlua state 2>/dev/null").out)
    end)
  end
end)
