-- Checks that every invariant in docs/design names tests, and that these are there.
local tidy = require "tests.support.tidy"

-- The numbered invariants of a page: { number, line, text } each, text on one line.
local function invariants_of(path)
  local list, one, n = {}, nil, 0
  for line in io.lines(path) do
    n = n + 1
    local number, text = line:match "^(%d+)%. (.*)$"
    if number then
      one = { number = tonumber(number), line = n, text = text }
      list[#list + 1] = one
    elseif one and line:find "^%s+%S" then
      one.text = one.text .. " " .. line:match "^%s*(.*)$"
    else
      one = nil
    end
  end
  return list
end

-- In Lua a test's name begins a text, maybe as its first words; in C it is a function.
local function has_test(file, name)
  local text = tidy.read(file)
  if file:find "%.c$" then return text:find(name .. "(void", 1, true) end
  return text:find('"' .. name, 1, true)
end

local function check(path, one)
  local text, at, file, found = one.text, 1, nil, 0
  text = text:gsub("%*%*.-%*%*", "") -- the invariant itself, where it is set apart
  while at <= #text do
    local from, to, mark, what = text:find("([`*])(.-)%1", at)
    if not from then break end
    at = to + 1
    if mark == "`" then
      if what:find "^tests/" then file, found = what, found + 1 end
      if what:find "^tests/" and not tidy.exists(what) then
        tidy.found(path, one.line, "%d names %s, which is not there", one.number, what)
        file = nil
      end
    elseif file and not has_test(file, what) then
      tidy.found(path, one.line, "%d names the test '%s', which is not in %s", one.number, what,
        file)
    end
  end
  if found == 0 then tidy.found(path, one.line, "%d names no test", one.number) end
end

local count = 0
for _, path in ipairs(tidy.files "^docs/design/.*%.md$") do
  for i, one in ipairs(invariants_of(path)) do
    count = count + 1
    if one.number ~= i then tidy.found(path, one.line, "%d stands in place %d", one.number, i) end
    check(path, one)
  end
end
tidy.done(count .. " invariants")
