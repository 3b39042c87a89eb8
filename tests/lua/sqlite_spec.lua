-- Tests the module sqlite on databases in memory and in a folder of its own.
local fs = require "fs"
local json = require "json"
local sqlite = require "sqlite"

describe("sqlite", function()
  local db

  before_each(function()
    db = assert(sqlite.open ":memory:")
    assert(db:exec "create table t (id integer primary key, name text, x)")
  end)
  after_each(function() db:close() end)

  it("runs statements and counts changes", function()
    local by_place = "insert into t (name, x) values (?, ?)"
    local by_name = "insert into t (name, x) values (:name, $x)"
    assert.same({ 1, 1 }, { db:exec(by_place, { "a", 1.5 }) })
    assert.same({ 1, 2 }, { db:exec(by_name, { name = "b", x = json.null }) })
    assert.equal(2, (db:exec "update t set name = name || '!'"))
    assert.same({ { id = 1, name = "a!", x = 1.5 }, { id = 2, name = "b!" } },
      (db:query "select * from t"))
    assert.equal(0, (db:exec "  -- nothing\n ; "))
    assert.equal(0, (db:exec ""))
  end)

  it("runs several statements with named parameters", function()
    local two = "insert into t (name) values (:a); insert into t (name) values (:b);"
    assert.equal(2, (db:exec(two, { a = "x", b = "y" })))
    assert.equal(2, db:value "select count(*) from t")
    local mixed = { "delete from t where id = ?; select 1", "select 1; delete from t where id = ?" }
    for _, sql in ipairs(mixed) do
      assert.error_matches(function() db:exec(sql, { 1 }) end, "named parameters only")
    end
    assert.equal(2, db:value "select count(*) from t")
  end)

  it("keeps the kinds of values", function()
    local cases = {
      { true, "integer" }, { 5, "integer" }, { -2 ^ 53, "integer" }, { 1.25, "real" },
      { "text", "text" }, { "\0\255bytes", "blob" }, { "", "text" },
      { 9007199254740993LL, "integer" },
      { -9223372036854775807LL - 1LL, "integer" }, { json.null, "null" },
    }
    for _, case in ipairs(cases) do
      local value = case[1]
      local rows = db:query("select ? as v, typeof(?) as kind", { value, value })
      assert.equal(case[2], rows[1].kind)
      local expected = value
      if value == true then expected = 1 end
      if value == json.null then expected = nil end
      assert.equal(expected, rows[1].v)
      assert.equal(type(expected), type(rows[1].v))
    end
    assert.equal("a\0b", db:value("select ?", { "a\0b" }))
  end)

  it("gives rows one by one, all, or one value", function()
    for i = 1, 5 do db:exec("insert into t (id, name) values (?, ?)", { i, "n" .. i }) end
    local seen = {}
    for row in db:rows("select id, name from t where id > ? order by id", { 2 }) do
      seen[#seen + 1] = row.name
    end
    assert.same({ "n3", "n4", "n5" }, seen)
    local rows, columns = db:query "select id, name, x from t where id = 1"
    assert.same({ { id = 1, name = "n1" } }, rows)
    assert.same({ "id", "name", "x" }, columns)
    assert.same({}, (db:query "select * from t where id = 99"))
    assert.equal(5, db:value "select count(*) from t")
    assert.is_nil((db:value "select id from t where id = 99"))
  end)

  it("nests readers of one statement", function()
    for i = 1, 2 do db:exec("insert into t (id) values (?)", { i }) end
    local seen = {}
    for a in db:rows "select id from t order by id" do
      for b in db:rows "select id from t order by id" do seen[#seen + 1] = a.id .. b.id end
      if a.id == 2 then break end
    end
    assert.same({ "11", "12", "21", "22" }, seen)
  end)

  it("uses many statements again", function()
    for round = 1, 3 do
      for i = 1, 50 do assert.equal(i * round, db:value("select ? * " .. i, { round })) end
    end
  end)

  it("names what is wrong with a statement", function()
    local done, err = db:exec "insert inta t"
    assert.is_nil(done)
    assert.equal("usage", err.code)
    assert.equal([[cannot run 'insert inta t': near "inta": syntax error]], tostring(err))
    db:exec "insert into t (id) values (1)"
    err = select(2, db:exec "insert into t (id) values (1)")
    assert.equal("store", err.code)
    assert.matches("UNIQUE constraint failed: t.id", tostring(err))
    assert.equal("usage", select(2, db:query "select nope from t").code)
    local ok, raised = pcall(function() for _ in db:rows "select nope from t" do end end)
    assert.is_false(ok)
    assert.equal("usage", raised.code)
    assert.is_nil((db:exec("insert into t (name) values ('x'); select * from none")))
    assert.equal(2, db:value "select count(*) from t")
  end)

  it("raises for wrong use", function()
    local rows = {
      { "select ?", {}, "no value for parameter 1 %(flow.null is NULL%)" },
      { "select ?", nil, "no value for parameter 1" },
      { "select :a", { b = 1 }, "no value for the parameter ':a'" },
      { "select ?", { 1, 2 }, "2 values for 1 parameters" },
      { "select ?", { print }, "parameter 1: a function cannot be a parameter" },
      { "select 1; select 2", nil, "expected one statement, got more" },
      { "  ", nil, "there is no statement in it" },
      { "select 1", 5, "params: expected a table, got number" },
      { {}, nil, "sql: expected a string, got table" },
    }
    for _, row in ipairs(rows) do
      assert.error_matches(function() db:query(row[1], row[2]) end, row[3])
    end
    assert.equal(1, db:value("select :a", { a = 1, unused = 2 }))
  end)

  it("undoes a transaction that raises", function()
    local a, b = db:transaction(function(inner, name)
      assert.is_true(inner:in_transaction())
      inner:exec("insert into t (name) values (?)", { name })
      return 1, "two"
    end, "kept")
    assert.same({ 1, "two" }, { a, b })
    local ok, err = pcall(db.transaction, db, function()
      db:exec "insert into t (name) values ('lost')"
      error({ mine = true })
    end)
    assert.is_false(ok)
    assert.is_true(err.mine)
    assert.is_false(db:in_transaction())
    assert.same({ { name = "kept" } }, (db:query "select name from t"))
    local function nested() return db:transaction(function() end) end
    assert.error_matches(function() db:transaction(nested) end, "open already")
    assert.error_matches(function() db:transaction() end, "expected a function, got nil")
  end)

  it("can be interrupted", function()
    local endless = "with recursive n(i) as (select 1 union all select i + 1 from n) "
      .. "select max(i) from n"
    local calls = 0
    db:interrupt(function() calls = calls + 1 return calls > 3 end)
    local value, err = db:value(endless)
    assert.is_nil(value)
    assert.equal("state", err.code)
    assert.equal(4, calls)
    db:interrupt(function() error "too late" end)
    err = select(2, db:value(endless))
    assert.matches("the interrupt function failed: .*too late", tostring(err))
    db:interrupt(function() db:value "select 1" end)
    assert.matches("may not use its own database", tostring(select(2, db:value(endless))))
    db:interrupt(nil)
    assert.equal(1, db:value "select 1")
    assert.error_matches(function() db:interrupt(5) end, "expected a function, got number")
  end)

  it("is closed once and says so", function()
    local rows = db:rows "select 1"
    assert.is_true(db:close())
    assert.is_true(db:close())
    assert.error_matches(function() db:exec "select 1" end, "the database is closed")
    assert.error_matches(rows, "the database is closed")
    assert.matches("closed", tostring(db))
    collectgarbage()
  end)

  it("leaves everything to the collector in any order", function()
    for _ = 1, 20 do
      do
        local other = sqlite.open ":memory:"
        other:exec "create table a (b)"
        other:rows("select 1 union select 2")()
      end
      collectgarbage()
    end
  end)
end)

describe("sqlite on disk", function()
  local root
  before_each(function() root = assert(fs.tempdir()) end)
  after_each(function() fs.remove(root, { recursive = true }) end)

  it("keeps what was written", function()
    local path = fs.join(root, "a.db")
    local db = assert(sqlite.open(path))
    assert.matches("a.db", tostring(db))
    db:exec "create table t (x); insert into t values (1)"
    db:close()
    db = assert(sqlite.open(path, { readonly = true }))
    assert.equal(1, db:value "select x from t")
    assert.equal("store", select(2, db:exec "delete from t").code)
    db:close()
  end)

  it("waits for a lock only so long", function()
    local path = fs.join(root, "a.db")
    local a, b = assert(sqlite.open(path)), assert(sqlite.open(path, { busy_timeout = "10ms" }))
    a:exec "create table t (x)"
    a:exec "begin immediate"
    local done, err = b:exec "insert into t values (1)"
    assert.is_nil(done)
    assert.equal("busy", err.code)
    assert.equal("busy", select(2, b:transaction(function() end)).code)
    a:close()
    b:close()
  end)

  it("refuses what is no database", function()
    local path = fs.join(root, "a.txt")
    fs.write(path, ("no database "):rep(100))
    local db, err = sqlite.open(path)
    assert.is_nil(db)
    assert.equal("corrupt", err.code)
    assert.matches("cannot open '.*a.txt': file is not a database", tostring(err))
    assert.equal("not_found", select(2, sqlite.open(fs.join(root, "no/such.db"))).code)
    local missing = select(2, sqlite.open(fs.join(root, "none.db"), { readonly = true }))
    assert.equal("not_found", missing.code)
  end)
end)
