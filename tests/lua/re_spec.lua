-- Tests the module re: PCRE2 in the shape of Lua's string library.
local re = require "re"

local function all(s, pattern, flags)
  local found = {}
  for a, b in re.gmatch(s, pattern, flags) do found[#found + 1] = b and { a, b } or a end
  return found
end

describe("re.match", function()
  it("gives captures, or the whole match", function()
    assert.same({ "key", "val" }, { re.match("key=val", [[(\w+)=(\w+)]]) })
    assert.same({ "42" }, { re.match("abc 42", [[\d+]]) })
    assert.is_nil((re.match("abc", [[\d]])))
    assert.same({ "" }, { re.match("abc", "x*") })
  end)

  it("gives false for a group that took no part", function()
    assert.same({ "a", false, "c" }, { re.match("ac", "(a)(b)?(c)") })
    assert.same({ false }, { re.match("", "(b)?") })
  end)

  it("gives a table when there are names", function()
    local m = re.match("2024-07-01", [[(?<year>\d+)-(\d+)(?<rest>x)?]])
    local expected = { [0] = "2024-07", "2024", "07", false, year = "2024", rest = false }
    assert.same(expected, m)
  end)

  it("starts where it is told", function()
    assert.equal("2", (re.match("1 2 3", [[\d]], 2)))
    assert.equal("3", (re.match("1 2 3", [[\d]], -1)))
    assert.is_nil((re.match("1", [[\d]], 5)))
    assert.equal("1", (re.match("1", [[\d]], -50)))
  end)

  it("takes flags, also without init", function()
    assert.equal("ABC", (re.match("xABC", "abc", "i")))
    assert.equal("ABC", (re.match("xABC", "abc", 1, "i")))
    assert.equal("b", (re.match("a\nb", "^b", "m")))
    assert.equal("\195\169", (re.match("\195\169x", "^.", "u")))
    assert.equal("\195", (re.match("\195\169x", "^.")))
  end)

  it("takes numbers as their text", function() assert.equal("23", (re.match(1234, "2[0-9]"))) end)

  it("answers nil and an error when a pattern needs too long", function()
    local m, err = re.match(("a"):rep(40) .. "!", "^(a+)+$")
    assert.is_nil(m)
    assert.equal("limit", err.code)
    assert.matches("too many steps", tostring(err))
  end)

  it("raises for wrong use", function()
    local rows = {
      { "a", "(", nil, "re.match: bad pattern '%(': missing closing parenthesis" },
      { "a", "a", "q", "unknown pattern flag 'q'" },
      { nil, "a", nil, "re.match: text: expected a string, got nil" },
      { "a", nil, nil, "re.match: pattern: expected a string" },
      { "a", "a", {}, "re.match: init: expected a number, got table" },
      { "a", ("a"):rep(5000), nil, "limit is 4096" },
    }
    for i = 1, #rows do
      local row = rows[i]
      assert.error_matches(function() re.match(row[1], row[2], row[3]) end, row[4])
    end
  end)

  it("remembers many patterns", function()
    for i = 1, 1000 do assert.equal(tostring(i), (re.match("x" .. i, "x(" .. i .. ")$"))) end
    for i = 1, 1000 do assert.equal(tostring(i), (re.match("x" .. i, "x(" .. i .. ")$"))) end
  end)

  it("takes a pattern with many groups", function()
    local groups = { re.match(("a"):rep(60), ("(a)"):rep(60)) }
    assert.equal(60, #groups)
  end)
end)

describe("re.find", function()
  it("gives positions and captures", function()
    assert.same({ 5, 7 }, { re.find("abc 123", [[\d+]]) })
    assert.same({ 1, 3, "a", "c" }, { re.find("abc", "(a)b(c)") })
    assert.same({ 2, 1 }, { re.find("abc", "", 2) })
    assert.is_nil((re.find("abc", "x")))
    local first, last, names = re.find("abc", "(?<b>b)")
    assert.same({ 2, 2, "b" }, { first, last, names.b })
  end)
end)

describe("re.gmatch", function()
  it("goes through all matches", function()
    assert.same({ { "a", "1" }, { "b", "2" } }, all("a=1, b=2", [[(\w)=(\w)]]))
    assert.same({ "ab", "c" }, all("ab c", [[\w+]]))
    assert.same({ "", "", "" }, all("ab", ""))
    assert.same({ "aa", "", "a", "" }, all("aaba", "a*"))
    assert.same({ "", "", "" }, all("\195\169x", "", "u"))
    assert.same({}, all("", "x"))
  end)

  it("raises when a pattern needs too long", function()
    local ok, err = pcall(all, ("a"):rep(40) .. "!", "^(a+)+$")
    assert.is_false(ok)
    assert.equal("limit", err.code)
  end)

  it("may be nested with the same pattern", function()
    local found = {}
    for a in re.gmatch("12", [[\d]]) do
      for b in re.gmatch("34", [[\d]]) do found[#found + 1] = a .. b end
    end
    assert.same({ "13", "14", "23", "24" }, found)
  end)

  it("survives the garbage collector", function()
    local iterator = re.gmatch(("x"):rep(3) .. "y", "(x)")
    collectgarbage()
    for i = 1, 600 do re.match("a", "a" .. i) end
    collectgarbage()
    assert.same({ "x", "x", "x" }, { iterator(), iterator(), iterator() })
    assert.is_nil(iterator())
    assert.is_nil(iterator())
  end)
end)

describe("re.gsub", function()
  it("replaces by a template", function()
    assert.same({ "01/07/2024", 1 }, { re.gsub("2024-07-01", [[(\d+)-(\d+)-(\d+)]], "$3/${2}/$1") })
    assert.same({ "<ab> <c>", 2 }, { re.gsub("ab c", [[\w+]], "<$0>") })
    assert.same({ "$ 5", 1 }, { re.gsub("EUR 5", "EUR", "$$") })
    assert.same({ "b-a", 1 }, { re.gsub("ab", "(?<x>a)(?<y>b)", "${y}-${x}") })
    assert.same({ "[]c", 1 }, { re.gsub("ac", "(a)(b)?", "[$2]") })
    assert.same({ "7", 1 }, { re.gsub("x", "x", 7) })
  end)

  it("replaces by a function or a table", function()
    assert.same({ "A b", 1 }, { re.gsub("a b", [[\w]], string.upper, 1) })
    assert.same({ "2 4", 2 }, { re.gsub("1 2", [[\d]], function(d) return d * 2 end) })
    assert.same({ "1 b x", 3 }, { re.gsub("a b x", [[\w]], { a = 1, b = false }) })
    assert.same({ "a", 1 }, { re.gsub("a", "a", function() end) })
    local function named(m) return m.key == "k" and "y" end
    assert.same({ "y", 1 }, { re.gsub("k", "(?<key>k)", named) })
  end)

  it("lets a function use the same pattern", function()
    local function double(d) return (re.gsub(d, [[(\d)]], "$1$1")) end
    assert.same({ "11 22", 2 }, { re.gsub("1 2", [[(\d)]], double) })
  end)

  it("goes on after empty matches", function()
    assert.same({ "-a-b-", 3 }, { re.gsub("ab", "", "-") })
    assert.same({ "xx", 2 }, { re.gsub("abc", [[\w*]], "x") })
    assert.same({ "-\195\169-", 2 }, { re.gsub("\195\169", "", "-", nil, "u") })
  end)

  it("takes a limit", function()
    assert.same({ "xxa", 2 }, { re.gsub("aaa", "a", "x", 2) })
    assert.same({ "aaa", 0 }, { re.gsub("aaa", "a", "x", 0) })
  end)

  it("raises for wrong use", function()
    local rows = {
      { "$2", "'%$2' names no group" },
      { "${x}", "'%${x}' names no group" },
      { "5$", "'%$' names no group" },
      { "${1", "names no group" },
      { true, "replacement: expected a string, a table or a function, got boolean" },
      { function() return {} end, "expected a string, got table" },
      { function() error "mine" end, "mine" },
    }
    for _, row in ipairs(rows) do
      assert.error_matches(function() re.gsub("a", "(a)", row[1]) end, row[2])
    end
  end)

  it("answers nil and an error when a pattern needs too long", function()
    local s, err = re.gsub(("a"):rep(40) .. "!", "^(a+)+$", "")
    assert.is_nil(s)
    assert.equal("limit", err.code)
  end)
end)

describe("re.split", function()
  it("gives the pieces", function()
    local rows = {
      { "a,b,,c", ",", { "a", "b", "", "c" } },
      { ",a,", ",", { "", "a", "" } },
      { "a1b22c", [[\d+]], { "a", "b", "c" } },
      { "abc", "", { "a", "b", "c" } },
      { "", ",", { "" } },
      { "", "", { "" } },
      { "axb", "x*", { "a", "b" } },
      { "abc", ",", { "abc" } },
    }
    for _, row in ipairs(rows) do assert.same(row[3], re.split(row[1], row[2])) end
  end)

  it("takes a limit and flags", function()
    assert.same({ "a", "b,c" }, re.split("a,b,c", ",", 2))
    assert.same({ "a,b" }, re.split("a,b", ",", 1))
    assert.same({ "1", "2" }, re.split("1AND2", "and", nil, "i"))
  end)
end)

describe("re.escape", function()
  it("makes a text match itself", function()
    local texts = {
      "a.b*c", "[x]{2}(y)|^$?+\\-#", "a b\tc\nd", "\0x", "\195\169", "_9", "/-~&%@!\"'",
    }
    for _, text in ipairs(texts) do
      local pattern = "<(" .. re.escape(text) .. ")>"
      assert.equal(text, (re.match("<" .. text .. ">", pattern)))
      assert.equal(text, (re.match("<" .. text .. ">", pattern, "x")))
    end
  end)
end)
