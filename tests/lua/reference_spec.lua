-- Keeps docs/reference.md and the types files true.
local context = require "flow.context"
local flow = require "flow"
local reference = require "support.reference"
local registry = require "flow.registry"

local root = (debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$" or ".") .. "/../.."

describe("docs/reference.md", function()
  local page = reference.read(root .. "/docs/reference.md")

  it("says what the schema and the modules say (else run tests/lua/write_docs.lua)", function()
    assert.equal(reference.fill(page, reference.parts(root)), page)
  end)

  it("names every template name", function()
    for _, name in ipairs(require("flow.template").names) do
      assert.truthy(page:find("`" .. name .. "`", 1, true), name)
    end
  end)

  it("has every built-in node type", function()
    local known = {}
    for _, name in ipairs(reference.node_types) do known[name] = true end
    for _, name in ipairs(registry.built_in()) do assert.is_true(known[name], name) end
  end)
end)

local function types(name)
  return reference.parse_types(reference.read(root .. "/lua/flow/types/" .. name .. ".lua"))
end

describe("the types files", function()
  it("say what the schema says (else run tests/lua/write_docs.lua)", function()
    assert.equal(reference.types_text(), reference.read(root .. "/lua/flow/types/options.lua"))
  end)

  it("declare each class once, and say what functions in options get", function()
    local seen = {}
    for line in reference.types_text():gmatch "[^\n]+" do
      local name = line:match "^%-%-%-@class ([%w_.]+)"
      assert.is_nil(seen[name], name)
      if name then seen[name] = true end
      assert.is_nil(line:match "^%-%-%-@field %S+ .*%f[%w]function%f[%W]", line)
    end
    assert.is_true(seen["flow.MapNode"] and seen["flow.ItemsOptions"])
  end)

  it("have every function and field of ctx", function()
    local functions, fields = types "context"
    local said, said_fields = {}, {}
    for _, f in ipairs(functions) do said[#said + 1] = f.name end
    for _, f in ipairs(fields["flow.Context"]) do said_fields[#said_fields + 1] = f.name end
    table.sort(said)
    table.sort(said_fields)
    local real, real_fields = context.names()
    assert.same(real, said)
    assert.same(real_fields, said_fields)
  end)

  it("have everything that flow has", function()
    local functions, fields = types "flow"
    local said = {}
    for _, f in ipairs(functions) do said[#said + 1] = f.name end
    for _, f in ipairs(fields.flow) do said[#said + 1] = f.name end
    table.sort(said)
    assert.same(registry.reserved(), said)
    for _, name in ipairs(said) do assert.is_not_nil(flow[name], name) end
  end)

  for _, name in ipairs(reference.modules) do
    it("have every function of " .. name, function()
      local module = require(name)
      local functions = types(name)
      local said = {}
      for _, f in ipairs(functions) do
        if f.owner == name then
          said[f.name] = true
          assert.is_function(module[f.name], f.name)
        end
      end
      for key, v in pairs(module) do
        if type(v) == "function" then assert.is_true(said[key], name .. "." .. key) end
      end
    end)
  end
end)
