-- Tests stdlib/advise.lua: what becomes of the options that rules change.
local flow = require "flow"

describe("flow.advise.times", function()
  local times = function(...) return flow.advise.times(...) end

  it("takes numbers, durations and sizes", function()
    assert.equal(800, times(2)(400))
    assert.equal(120, times(2) "1m")
    assert.equal(2 ^ 31, times(2) "1G")
    assert.equal(2 ^ 20, times(1, { from = "1M" })(nil))
  end)

  it("keeps what is whole whole, and what is short as short as it is", function()
    assert.equal(5, times(1.5)(3))
    assert.equal(0.4, times(2) "200ms")
    assert.equal(2.4, times(2)(1.2))
    assert.equal(0.5, times(0.5)(1))
  end)

  it("stops at its maximum, and begins where nothing was given", function()
    assert.equal(3600, times(2, { max = "1h" }) "50m")
    assert.is_nil(times(2, { max = "1h" }) "1h")
    assert.equal(2 ^ 30, times(2, { from = "1G" })(nil))
    assert.is_nil(times(2)(nil))
  end)
end)
