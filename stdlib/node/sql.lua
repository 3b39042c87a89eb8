-- flow.sql { db = "file.db", "insert ... {{vars.rows}}", ... }: SQLite statements in one
-- transaction.
local flow = require "flow"
local sqlite = require "flow.sqlite"

-- Rows and columns of one statement; a text of several statements has neither.
local function execute(db, statement)
  local one, rows, columns = pcall(db.query, db, statement.text, statement.values)
  if one and rows then return rows, columns end
  if one then error(columns.message, 0) end
  if not rows:find "expected one statement, got more" then error(rows, 0) end
  local done, err = db:exec(statement.text, statement.values)
  if not done then error(err.message, 0) end
end

local function execute_all(db, statements)
  local before = db:value "select total_changes()"
  local outputs = {}
  for _, statement in ipairs(statements) do
    local rows, columns = execute(db, statement)
    if rows and #columns > 0 then outputs.rows, outputs.columns = flow.list(rows), columns end
  end
  outputs.changes = db:value "select total_changes()" - before
  return outputs
end

local function run_in(db, p)
  if not p.transaction or p.readonly then return execute_all(db, p.statements) end
  local outputs, err = db:transaction(execute_all, p.statements)
  if not outputs then error(err.message, 0) end
  return outputs
end

return flow.node_type {
  name = "sql",
  doc = "Runs SQL on a SQLite database.",
  inline = false,
  params = {
    db = { "string", required = true, doc = "The database file, or \":memory:\"." },
    statements = {
      "list", of = { "string", template = "sql", plural = "strings" }, required = true,
      positional = "rest",
      doc = "SQL texts. `{{ }}` in one is a bound parameter. The rows of the last one that has any "
        .. "become `outputs.rows`, the rows that were changed `outputs.changes`.",
    },
    transaction = {
      "boolean", default = true,
      doc = "All of it in one transaction; false for what SQLite refuses in one (vacuum, pragmas).",
    },
    readonly = { "boolean", default = false, doc = "Refuses to write; the file must exist." },
  },
  run = function(ctx, p)
    local path = p.db == ":memory:" and p.db or ctx:path(p.db)
    local db, err = sqlite.open(path, { readonly = p.readonly })
    if not db then error(err.message, 0) end
    db:interrupt(function() return ctx:cancelled() end)
    local ok, result = pcall(run_in, db, p)
    db:close()
    if not ok then error(result, 0) end
    return result
  end,
}
