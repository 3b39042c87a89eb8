-- FLOWLUA_PROGRESS: a file into which a command writes how far it is.
local support = require "tests.feature.support"

describe("progress of a command", function()
  local box, seen

  before_each(function() box, seen = support.box(), nil end)
  after_each(function() box:close() end)

  -- Runs a node that writes `line`, and waits until it is known; ends it, and returns what was.
  local function progress_of(node)
    box:write("flow.lua", ('local flow = require "flow"\nlocal f = flow.dag "f"\n%s\nreturn f')
      :format(node))
    local engine = box:start { "flow.lua", "--quiet" }
    local known = support.wait_until("the progress", function()
      local done = box:run { "show", "--json" }
      local shown = done.code == 0 and support.decode(done.out)
      if not shown or shown.run.id == seen then return nil end
      local progress = shown.nodes[1].progress
      if progress == support.null then return nil end
      seen = shown.run.id
      return progress
    end)
    box:write("go", "")
    assert.equal(0, engine:wait().code)
    return known
  end

  local function shell(text)
    return ("f.a = flow.shell { [[%s; while [ ! -e go ]; do sleep 0.02; done]] }"):format(text)
  end

  it("is done and total with a text, a percentage, or a text", function()
    local rows = {
      { "echo '3/10 three' > $FLOWLUA_PROGRESS", 3, 10, "three" },
      { "echo '2.5/4' > $FLOWLUA_PROGRESS", 2.5, 4, support.null },
      { "printf '80%% of the rows' > $FLOWLUA_PROGRESS", 80, 100, "of the rows" },
      { "echo loading 3/4 > $FLOWLUA_PROGRESS", 0, 0, "loading 3/4" },
      { "echo 3rd part > $FLOWLUA_PROGRESS", 0, 0, "3rd part" },
    }
    for _, row in ipairs(support.rows(rows)) do
      os.remove(box.path .. "/go")
      local known = progress_of(shell(row[1]))
      assert.same({ done = row[2], total = row[3], text = row[4] }, known)
    end
  end)

  it("is the last line of many", function()
    local known = progress_of(shell("for i in 1 2 3; do echo $i/3 >> $FLOWLUA_PROGRESS; done"))
    assert.equal(3, known.total)
  end)

  it("is told by what a node in Lua starts, too", function()
    local known = progress_of([[f.a = flow.lua { run = function(ctx)
      ctx:exec { "sh", "-c",
        "echo 1/2 half > $FLOWLUA_PROGRESS; while [ ! -e go ]; do sleep 0.02; done" }
    end }]])
    assert.same({ done = 1, total = 2, text = "half" }, known)
  end)

  it("leaves no file behind", function()
    progress_of(shell("echo 1/2 > $FLOWLUA_PROGRESS"))
    box:assert_none_left()
    local listing = box:sh("find state/sup -name '*progress*'")
    assert.equal("", listing.out)
  end)
end)
