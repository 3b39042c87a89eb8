-- What is promised of children: none is lost, none is run twice, whoever dies; and none that has to
-- end lives on.
local story = require "tests.crash.children_story"
local support = require "tests.feature.support"

describe("a run of 20 children whose", function()
  local box
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  local function play(kill, after_s)
    local longest_ms = 1500
    local wrongs, facts = story.play(box,
      { kill = kill, after_s = after_s, count = 20, longest_ms = longest_ms })
    assert.same({}, wrongs)
    return facts
  end

  it("engine is killed goes on: what runs is adopted, with all that it prints", function()
    local facts = play("engine", 0)
    assert.is_true(facts.running > 0)
    assert.equal(0, facts.lost)
  end)

  it("engine is killed knows later how those ended that are gone", function()
    local facts = play("engine", 1.7)
    assert.same({ 0, 0 }, { facts.running, facts.lost })
  end)

  it("supervisor is killed ends what ran, and tries it again", function()
    assert.is_true(play("supervisor").lost > 0)
  end)

  it("engine and supervisor are killed ends what was left, and tries it again", function()
    assert.is_true(play("both").lost > 0)
  end)

  it("machine is switched off takes nothing for a success that it cannot know", function()
    if not story.can_reboot() then return pending "another boot id cannot be mounted here" end
    assert.is_true(play("reboot").lost > 0)
  end)
end)
