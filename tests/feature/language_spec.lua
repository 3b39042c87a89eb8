-- Scripts that runs of older versions keep: they go on by the rules by which they began.
local support = require "tests.feature.support"

local OLD = [[
local flow = require "flow"

local f = flow.dag("old", { params = { name = "a b" } })
f.first = flow.shell { "false\necho on > first" }
f.gate = flow.shell { after = "first", "test -f gate" }
f.lines = flow.shell { after = "gate", "false\necho on > lines" }
f.quoted = flow.shell { after = "gate", %s }
f.early = flow.shell { after = %s, "true" }

return f
]]

describe("a run of a store of schema 3", function()
  local box
  before_each(function()
    box = support.box()
    box:write("old.lua", OLD:format("[[printf '%s' \"{{params.name}}\" > quoted]]", "f.nothing"))
    local made = box:sh(("mkdir -p state && sed 's|@FLOWS@|%s|' '%s/tests/feature/store_v3.sql'"
      .. " | sqlite3 state/flowlua.db"):format(box.path, support.root))
    assert.equal(0, made.code, made.err)
  end)
  after_each(function() box:close() end)

  it("is resumed and replayed by the rules of then, and told what would be refused", function()
    box:write("gate", "")
    local done = box:run { "resume", "last" }
    assert.equal(0, done.code, done.out .. done.err)
    assert.matches('old.lua:7: old.quoted.text: {{ params.name }} stands inside "..."',
      done.out .. done.err, 1, true)
    assert.equal("on\n", box:read "lines")
    assert.equal("'a b'", box:read "quoted")
    assert.is_false(box:exists "first")
    assert.equal(1, box:show().node.first.attempts)
    box:sh "rm lines quoted"
    done = box:run { "replay", "last" }
    assert.equal(0, done.code, done.out .. done.err)
    assert.equal("on\n", box:read "lines")
    assert.equal("'a b'", box:read "quoted")
  end)

  it("keeps what succeeded when its script is mended where it must be", function()
    box:write("gate", "")
    box:write("new.lua", OLD:format("[[printf '%s' {{params.name}} > quoted]]", "nil"))
    for _, name in ipairs { "old.lua", box.path .. "/old.lua" } do -- not as it was kept
      local refused = box:run { "resume", "last", "--script", name }
      assert.equal(2, refused.code)
      assert.matches('stands inside "..."', refused.err, 1, true)
    end
    local done = box:run { "resume", "last", "--script", "new.lua" }
    assert.equal(1, done.code, done.out .. done.err)
    local shown = box:show()
    assert.equal("succeeded", shown.node.first.status)
    assert.equal(1, shown.node.first.attempts)
    assert.is_false(box:exists "first")
    assert.equal("succeeded", shown.node.quoted.status)
    assert.equal("a b", box:read "quoted")
    assert.equal("failed", shown.node.lines.status) -- it ends at its first line now
    assert.is_false(box:exists "lines")
  end)
end)
