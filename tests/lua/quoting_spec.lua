-- Where a value of a shell's text may stand. In the rows `@` is a value; that sh does with it what
-- is said here is tried in tests/feature/quoting_spec.lua.
local quoting = require "flow.quoting"
local script = require "support.script"

describe("a value in a shell's text", function()
  -- Each: the text, what it stands in or behind; nil: it is a word of its own.
  local rows = {
    { "echo @" },
    { "echo a@b --x=@" },
    { "echo '@'", "'...'" },
    { 'echo "@"', '"..."' },
    { 'echo "a $x @"', '"..."' },
    { "echo `x @`", "`...`" },
    { 'echo "$(cat @)"' },
    { 'echo "$(cat "@")"', '"..."' },
    { 'echo "$(case a in a) echo "@";; esac)"', '"..."' },
    { 'echo "$(case a in (a) echo @;; esac)"' },
    { 'x=$(case $1 in (a) y;; b) echo @;; esac); echo "@"', '"..."' },
    { 'echo "$(echo case) @"', '"..."' },
    { 'echo "$(if case x in x) true;; esac; then echo @; fi)@"', '"..."' },
    { "(echo '@')", "'...'" },
    { "cat <<EOF\n@\nEOF\n", "<<" },
    { "cat <<'EOF'\n@\nEOF\n", "<<" },
    { "cat <<@\n", "<<" },
    { "cat <<EOF\nit's\nEOF\necho @" },
    { "cat <<'E F' <<-X\na\nE F\n\tX\necho @; # it's\necho '@'", "'...'" },
    { "x=$(cat <<EOF\n'\nEOF\n); echo @" },
    { "cat <<<@" },
    { "echo $((@+1))", "((...))" },
    { "((x = @))", "((...))" },
    { "echo $((1<<2)) @" },
    { "echo $@", "$" },
    { "echo \\@", "\\" },
    { "echo \\\\@" },
    { "echo \\\n@" },
    { "echo a#@" },
    { "echo a # @", "#" },
    { "# it's\necho @" },
    { "x=$(# it's\necho @)" },
    { "echo ${x:-@}" },
    { 'echo "${x:-@}"', '"..."' },
    { "echo ${x:-'@'}", "'...'" },
    { "echo $# $$ @" },
    { 'echo "it\'s" @ "a\\"" @ \\" @' },
    { "echo $'ab' @" },
    { "echo $'a\\'b' @", "$'...\\'...'" },
    { "for i in a b; do echo @; done" },
    { "f() { echo '}'; }; f @" },
    { 'echo "a" # "b\necho @' },
    { "echo 'open @", "'...'" },
  }
  for _, row in ipairs(rows) do
    it(("%s in %q"):format(row[2] and "is refused" or "is a word", row[1]), function()
      local at, where = quoting.misplaced((row[1]:gsub("@", "\0")))
      assert.equal(row[2], where)
      assert.equal(row[2] ~= nil, at ~= nil)
    end)
  end

  it("is told with line, place and remedies, in hooks and items too", function()
    local inside = 'stands inside "...": its value is quoted already; take the quotes away, or '
      .. "write {{{ params.n }}} for the bare text"
    for _, case in ipairs {
      { 'f.a = flow.shell { "echo \\"{{params.n}}\\"" }', nil,
        "pipeline.lua:3: f.a.text: {{ params.n }} " .. inside },
      { 'f.a = flow.shell { "true\\necho \\"{{params.n}}\\"" }', nil,
        "pipeline.lua:3: f.a.text: {{ params.n }} in line 2 of the text " .. inside },
      { 'f.a = flow.map { over = { 1 }, node = flow.shell { "echo \\"{{params.n}}\\"" } }', nil,
        "pipeline.lua:3: f.a.node.text: {{ params.n }} " .. inside },
      { 'f.a = flow.shell { "true" }', 'on_failure = flow.shell { "echo \\"{{params.n}}\\"" }',
        "pipeline.lua:2: f.on_failure.text: {{ params.n }} " .. inside },
    } do
      local loaded, message = script.load(script.flow(case[1],
        "{ params = { n = 1 }, " .. (case[2] or "") .. " }"))
      assert.is_nil(loaded)
      assert.equal(case[3], message)
    end
  end)

  it("is taken as it is with three braces, whatever stands around it", function()
    assert(script.load(script.flow('f.a = flow.shell { [[echo "{{{run.id}}}" `{{{run.id}}}`]] }')))
  end)

  it("is told only of a script that a run has kept since before", function()
    local loaded = assert(script.load(script.flow [[f.a = flow.shell { 'echo "{{run.id}}"' }]],
      { language = 0 }))
    assert.equal(1, #loaded.notices)
    assert.matches("^pipeline.lua:3: f.a.text: {{ run.id }} stands inside", loaded.notices[1])
  end)
end)

describe("a text that flow.exec gives to a shell", function()
  for _, row in ipairs {
    { '"bash", "-c", "echo {{run.id}}"', 3 },
    { '"env", "A=1", "/bin/dash", "-ec", "echo {{run.id}}"', 5 },
    { '"docker", "exec", "c", "sh", "-c", "echo {{run.id}}"', 6 },
    { '"bash", "-c", "echo $1", "x", "{{run.id}}"' },
    { '"grep", "-c", "{{run.id}}"' },
  } do
    it(("%s, %s"):format(row[1], row[2] and "is told of" or "is fine"), function()
      local loaded = assert(script.load(script.flow("f.a = flow.exec { " .. row[1] .. " }")))
      assert.equal(row[2] and 1 or 0, #loaded.notices)
      if row[2] then
        assert.matches("f.a.argv[" .. row[2] .. "]: its values are no words", loaded.notices[1], 1,
          true)
      end
    end)
  end
end)
