-- What a value can do in a shell's text: nothing but be a word.
local support = require "tests.feature.support"

describe("a value of a parameter", function()
  local box
  before_each(function() box = support.box() end)
  after_each(function() box:close() end)

  -- Of tests/lua/quoting_spec.lua, those in which a value may stand.
  local texts = {
    "echo @", "echo a@b --x=@", 'echo "$(echo @)"', "(echo @)",
    'echo "$(case a in a) echo @;; esac)"',
    "x=$(case $1 in (a) y;; b) echo @;; esac)", "cat <<EOF\nit's\nEOF\necho @",
    "cat <<'E F' <<-X\na\nE F\n\tX\necho @", "echo $((1<<2)) @", "echo \\\\@", "echo \\\n@",
    "echo a#@", "# it's\necho @", "echo ${x:-@}", "echo $# $$ @",
    'echo "it\'s" @ "a\\"" @ \\" @', "for i in a b; do echo @; done", "f() { echo '}'; }; f @",
  }
  -- What would make a file `ran` where its quotes do not hold.
  local values = { "$(touch ran)", "`touch ran`", "; touch ran #", "';touch ran;'", '";touch ran;"',
    "\ntouch ran\n", "\nEOF\ntouch ran\n", "\\';touch ran;'", "|touch ran", "&touch ran" }

  it("is never run, wherever check lets it stand", function()
    local lines = { 'local flow = require "flow"',
      'local f = flow.dag("f", { params = { values = flow.list {} } })' }
    for i, text in ipairs(texts) do
      lines[#lines + 1] = ('f.n%d = flow.map { over = "{{params.values}}", node = flow.shell { %q }'
        .. " }"):format(i, (text:gsub("@", "{{item}}")))
    end
    box:write("flow.lua", table.concat(lines, "\n") .. "\nreturn f\n")
    local list = {}
    for i, value in ipairs(values) do list[i] = ("%q"):format(value):gsub("\\\n", "\\n") end
    local done = box:run { "flow.lua", "--quiet", "--param", "values=[" .. table.concat(list, ",")
      .. "]" }
    assert.equal(0, done.code, done.out .. done.err)
    assert.equal(tostring(#texts * #values), box:sql_value "select count(*) from item")
    assert.is_false(box:exists "ran")
  end)

  it("within quotes is refused with the line before anything runs", function()
    local done = box:script [[
local flow = require "flow"
local f = flow.dag("q", { params = { name = "a" } })
f.a = flow.shell { "echo '{{params.name}}'" }
return f]]
    assert.equal(2, done.code)
    assert.matches("flow.lua:3: q.a.text: {{ params.name }} stands inside '...': its value is "
      .. "quoted already; take the quotes away, or write {{{ params.name }}} for the bare text",
      done.err, 1, true)
    assert.is_false(box:exists "state/flowlua.db")
  end)

  it("in the text that flow.exec gives to a shell is told of", function()
    box:write("flow.lua", [[
local flow = require "flow"
local f = flow.dag("q", { params = { name = "a" } })
f.a = flow.exec { "sh", "-c", "echo {{params.name}}" }
return f]])
    local done = box:run { "check", "flow.lua" }
    assert.equal(0, done.code)
    assert.matches("notice: flow.lua:3: q.a.argv[3]: its values are no words for the shell",
      done.err, 1, true)
  end)
end)
