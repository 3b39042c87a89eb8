-- SQLite databases. Types: flow/types/sqlite.lua
local core = require "flow.core.sqlite"

local Database = core.methods

local function finish(db, ok, ...)
  if not ok then
    if db:in_transaction() then db:exec "rollback" end
    error((...), 0)
  end
  local done, err = db:exec "commit"
  if done then return ... end
  if db:in_transaction() then db:exec "rollback" end
  return nil, err
end

-- The lock is taken at the start: a reader that turns writer in the middle could be refused.
function Database:transaction(fn, ...)
  if type(fn) ~= "function" then
    error("db:transaction: fn: expected a function, got " .. type(fn), 2)
  end
  if self:in_transaction() then error("db:transaction: a transaction is open already", 2) end
  local begun, err = self:exec "begin immediate"
  if not begun then return nil, err end
  return finish(self, pcall(fn, self, ...))
end

local files = require "flow.files"

return {
  open = function(path, ...)
    return core.open(path ~= ":memory:" and path ~= "" and files.at(path) or path, ...)
  end,
  version = core.version,
}
