-- The keys of a patch, and two patches as one.
local flow = require "flow"
local fs = require "fs"
local keys = require "flow.patch_keys"
local patch = require "flow.patch"

local root = (debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$" or ".") .. "/../.."

describe("each key of a patch", function()
  -- One that has the shape, and one that has not.
  local shapes = {
    map = { { a = 1 }, "a" }, maps = { { a = { b = 1 } }, { a = 1 } },
    names = { { "a" }, { a = 1 } }, texts = { { a = "b" }, { a = 1 } },
    text = { "a", 1 }, flag = { true, "yes" }, succeed = { { a = { b = 1 } }, 1 },
  }

  it("is checked for its shape", function()
    for _, key in ipairs(keys) do
      local shape = assert(shapes[key.shape], key.name)
      if key.typed then
        assert.is_false((pcall(patch.check_shape, { [key.name] = shape[1] })), key.name)
      else
        assert.has_no_error(function() patch.check_shape { [key.name] = shape[1] } end)
        local ok, text = pcall(patch.check_shape, { [key.name] = shape[2] })
        assert.is_false(ok, key.name)
        assert.truthy(text:find("patch." .. key.name, 1, true), text)
      end
    end
  end)

  it("is told in docs/command-line.md with its flag", function()
    local page = assert(fs.read(root .. "/docs/command-line.md"))
    for _, key in ipairs(keys) do
      local row = key.typed and "--" .. key.flag
        or page:match("\n| `" .. key.name .. "` | ([^|]*|)")
      assert.truthy(row, key.name)
      assert.truthy((key.typed and page or row):find("--" .. key.flag, 1, true), key.name)
    end
  end)

  it("whose name means nodes is a list or a map of them", function()
    for _, key in ipairs(keys) do
      if key.items or key.excludes then
        assert.truthy(key.of_nodes or key.shape == "names", key.name)
      end
    end
  end)
end)

describe("two patches as one", function()
  local function merge(first, second) return { flow.patch.merge(first, second) } end

  it("keep what both say, and the first where they say something of the same", function()
    local rows = {
      { { vars = { a = 1 } }, { vars = { a = 2, b = 3 } }, { vars = { a = 1, b = 3 } } },
      { { options = { n = { x = 1 } } }, { options = { n = { x = 2, y = 3 }, m = { z = 4 } } },
        { options = { n = { x = 1, y = 3 }, m = { z = 4 } } } },
      { { vars = { a = { deep = 1 } } }, { vars = { a = { other = 2 } } },
        { vars = { a = { deep = 1 } } } },
      { { skip = { "a" } }, { skip = { "b", "a" } }, { skip = { "a", "b" } } },
      { { rerun = "a" }, { rerun = { "b" } }, { rerun = { "a", "b" } } },
      { { succeed = { "a" } }, { succeed = { b = { n = 1 } } },
        { succeed = { a = {}, b = { n = 1 } } } },
      { { reason = "one" }, { reason = "two" }, { reason = "one" } },
      { { checkpoints = { a = flow.null } }, { checkpoints = { a = 1 } },
        { checkpoints = { a = flow.null } } },
    }
    for i, row in ipairs(rows) do assert.same({ row[3], true }, merge(row[1], row[2]), i) end
  end)

  it("leave out of the second what contradicts the first", function()
    for _, row in ipairs {
      { { skip = { "a" } }, { rerun = { "a+" } }, { skip = { "a" } }, false },
      { { skip = { "a" } }, { rerun = { "a", "b" } }, { skip = { "a" }, rerun = { "b" } }, true },
      { { succeed = { a = {} } }, { outputs = { a = { n = 1 } } }, { succeed = { a = {} } },
        false },
      { { skip = { "m[2]" } }, { rerun = { "m" } }, { skip = { "m[2]" } }, false },
    } do
      assert.same({ row[3], row[4] }, merge(row[1], row[2]))
    end
  end)

  it("share nothing with what they were made of", function()
    local first, second = { vars = { a = 1 }, skip = { "x" } }, { options = { n = { y = 1 } } }
    local result = flow.patch.merge(first, second)
    result.vars.a, result.skip[2], result.options.n.y = 2, "z", 5
    assert.same({ vars = { a = 1 }, skip = { "x" } }, first)
    assert.same({ options = { n = { y = 1 } } }, second)
  end)
end)
