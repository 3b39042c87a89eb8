-- Checks that docs/data.md speaks of every table and every column that runtime/store/table.c
-- describes (which a unit test holds against the schema).
local tidy = require "tests.support.tidy"

local source, document = "runtime/store/table.c", "docs/data.md"
local text = tidy.read(source)
local prose = tidy.read(document):match("\n## Tables\n(.*)\n## Durability") or ""

-- Columns by the name of their list, then tables with the list they have.
local lists, tables = {}, {}
for name, body in text:gmatch("static const fl_column ([%w_]+)%[%] = (%b{});") do
  lists[name] = {}
  for column in body:gmatch("%u+%(\"([%w_]+)\",") do table.insert(lists[name], column) end
end
local rows = text:match("fl_tables%[FL_STORE_TABLES%] = (%b{})") or ""
for name in rows:gmatch("\n%s*{\"([%w_]+)\",") do tables[name] = lists[name] end
for name in rows:gmatch("\n%s*%u[%u_]+%(([%w_]+),") do tables[name] = lists[name] end
for name, list in rows:gmatch("\n%s*OWN%(\"([%w_]+)\", ([%w_]+)%)") do
  tables[name] = lists[list]
end

-- What stands in backticks from the table's name to the next table's.
local function words_of(name)
  local words = {}
  local at = prose:find("**`" .. name .. "`**", 1, true) or prose:find("`" .. name .. "`", 1, true)
  if not at then return nil end
  local stop = prose:find("\n%*%*`", at + 1) or prose:find("\n### ", at + 1) or #prose
  for quoted in prose:sub(at, stop):gmatch("`([^`]+)`") do
    for word in quoted:gmatch("[%w_]+") do words[word] = true end
  end
  return words
end

local count = 0
for name, columns in pairs(tables) do
  local words = words_of(name)
  count = count + 1
  if not words then tidy.found(document, 1, "table %s is not in it", name) end
  for _, column in ipairs(words and columns or {}) do
    if not words[column] then tidy.found(document, 1, "column %s.%s is not in it", name, column) end
  end
end
if count ~= tonumber(tidy.read("runtime/store/table.h"):match("FL_STORE_TABLES (%d+)")) then
  tidy.found(source, 1, "%d tables are read from it: this check no longer reads it right", count)
end
tidy.done(count .. " tables")
