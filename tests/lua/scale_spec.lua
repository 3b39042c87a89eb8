-- A flow of many nodes: little memory each, and the same order every time.
local script = require "support.script"

local many = [[
local flow = require "flow"
local f = flow.dag "f"
local function fn() end
for i = 1, COUNT do
  f["n" .. i] = flow.lua { inline = true, after = i > 1000 and "n" .. (i - 1000) or nil, run = fn }
end
return f]]

local plain = [[
local function fn() end
kept_by_spec = {}
for i = 1, COUNT do
  kept_by_spec[i] = { inline = true, after = i > 1000 and "n" .. (i - 1000) or nil, run = fn }
end]]

local function memory()
  collectgarbage()
  collectgarbage()
  return collectgarbage "count" * 1024
end

describe("a flow of 50,000 nodes", function()
  teardown(script.clean)

  it("costs less than 350 bytes a node beyond the user's own table", function()
    local count = 50000
    local start = memory()
    assert(script.load((plain:gsub("COUNT", count))))
    local own = memory() - start
    _G.kept_by_spec = nil
    start = memory()
    local loaded = assert(script.load((many:gsub("COUNT", count))))
    local all = memory() - start
    assert.equal(count, loaded.flows[1].graph:count())
    assert.is_true((all - own) / count < 350, (all - own) / count)
  end)

  it("shares the options of equal nodes", function()
    local loaded = assert(script.load((many:gsub("COUNT", "2500"))))
    local g = loaded.flows[1].graph
    assert.same({ 0 }, g:parents(1000))
    assert.same({ 1000 }, g:children(0))
  end)
end)
