-- Loads a file of order lines into SQLite, in steps that a crash costs at most one of.
local sqlite = require "sqlite"

local orders = {}

local LINES_A_STEP = 100000

-- Columns of a line; none of them is quoted in this file.
local LINE = "^([^,]*),([^,]*),([^,]*),([^,]*),([^,]*),([^,]*),([^,]*),([^,\r]*)"

-- Up to LINES_A_STEP lines in one transaction. Numbered by their place in the file, so that a step
-- that is done twice leaves what it leaves when done once.
local function load_step(db, file, from)
  assert(db:exec "begin")
  local count = 0
  for text in file:lines() do
    count = count + 1
    local id, at, region, customer, product, quantity, price, channel = text:match(LINE)
    assert(id, "no order line")
    assert(db:exec("insert or replace into line values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      { from + count, id, at, region, customer, product, quantity, tonumber(price), channel }))
    if count == LINES_A_STEP then break end
  end
  assert(db:exec "commit")
  return count
end

--- Loads `path` into table `line` of database `target` and returns how many lines it has. Where an
--- attempt before was cut off, the next one goes on.
function orders.load(ctx, path, target)
  local db = assert(sqlite.open(target))
  assert(db:exec [[
    create table if not exists line(number integer primary key, order_id integer, ordered_at text,
      region text, customer text, product text, quantity text, unit_price real, channel text);
    create table if not exists loaded(lines integer);
  ]])
  local known = db:value "select lines from loaded"
  if known then return known end
  local done = ctx:restored() or { lines = 0, bytes = 0 }
  local file = assert(io.open(path, "rb"))
  local size = file:seek "end"
  file:seek("set", done.bytes)
  if done.bytes == 0 then file:read() end -- the names of the columns
  while true do
    local count = load_step(db, file, done.lines)
    if count == 0 then break end
    done = { lines = done.lines + count, bytes = file:seek() }
    ctx:checkpoint(done)
    ctx:progress(done.bytes, size, done.lines .. " lines")
  end
  file:close()
  assert(db:exec("insert into loaded values (?)", { done.lines }))
  db:close()
  return done.lines
end

return orders
