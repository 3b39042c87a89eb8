// flow.core.sqlite: SQLite for scripts and node code. All of it blocks.
//
// Who holds what: a database box owns the connection and the statements that wait for their next
// use. A statement in use is owned by a cursor box, so that an error of Lua in the middle leaves it
// to the garbage collector. Afterwards the cursor gives it back.
#include "base/json.h"
#include "bind/call.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "bind/value.h"
#include <lauxlib.h>
#include <math.h>
#include <sqlite3.h>

#define DATABASE_TYPE   "flow.sqlite"
#define CURSOR_TYPE     "flow.sqlite.cursor"
#define KEPT_MAX        32    // statements that wait for their next use
#define BUSY_TIMEOUT_MS 10000 // another process may hold the lock that long
#define PROGRESS_STEPS  10000 // of SQLite's machine between calls of the interrupt function
#define SQL_SHOWN       80

typedef struct kept_statement {
  sqlite3_stmt *statement;
  size_t size;   // of its text
  uint64_t used; // the greater, the later
} kept_statement;

typedef struct database {
  sqlite3 *handle; // NULL: closed
  kept_statement kept[KEPT_MAX];
  uint64_t uses;
  int interrupt_ref; // the function, LUA_NOREF: none
  lua_State *L;      // who runs a statement right now; NULL: nobody
  bool interrupted;
  fl_error interrupt_err; // what the function raised
} database;

typedef struct cursor {
  database *db; // kept alive by the one who keeps the cursor
  sqlite3_stmt *statement;
} cursor;

// ------------------------------------------------------------------------------------- errors

static fl_code code_of(int rc) {
  switch (rc & 0xFF) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED: return FL_E_BUSY;
  case SQLITE_FULL: return FL_E_FULL;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return FL_E_CORRUPT;
  case SQLITE_CANTOPEN: return FL_E_NOT_FOUND;
  case SQLITE_TOOBIG: return FL_E_LIMIT;
  case SQLITE_INTERRUPT: return FL_E_STATE;
  case SQLITE_ERROR:
  case SQLITE_RANGE:
  case SQLITE_MISUSE: return FL_E_USAGE;
  default: return FL_E_STORE;
  }
}

static void fill_error(database *db, int rc, const char *sql, fl_error *err) {
  int shown = (int)strcspn(sql, "\n");
  const char *more = "";
  if (shown > SQL_SHOWN) shown = SQL_SHOWN, more = "...";
  if ((rc & 0xFF) == SQLITE_INTERRUPT && db->interrupt_err.code != FL_OK)
    fl_fail(err, db->interrupt_err.code, "the interrupt function failed: %s",
            db->interrupt_err.message);
  else
    fl_fail(err, code_of(rc), "cannot run '%.*s%s': %s", shown, sql, more,
            sqlite3_errmsg(db->handle));
}

// ------------------------------------------------------------------------------------- statements

static const char *get_sql(sqlite3_stmt *statement) {
  const char *sql = statement ? sqlite3_sql(statement) : NULL;
  return sql ? sql : "";
}

// A statement that is kept for this text is taken out, else one is prepared. `*rest` is what
// follows the statement in the text.
static int take_statement(database *db, const char *sql, size_t size, sqlite3_stmt **out,
                          const char **rest) {
  for (size_t i = 0; i < KEPT_MAX; i++) {
    sqlite3_stmt *kept = db->kept[i].statement;
    if (!kept || db->kept[i].size != size || memcmp(get_sql(kept), sql, size) != 0) continue;
    db->kept[i].statement = NULL;
    *out = kept;
    *rest = sql + size;
    return SQLITE_OK;
  }
  if (size > INT32_MAX) return SQLITE_TOOBIG;
  return sqlite3_prepare_v3(db->handle, sql, (int)size, SQLITE_PREPARE_PERSISTENT, out, rest);
}

static void give_statement(database *db, sqlite3_stmt *statement) {
  if (!db->handle) {
    sqlite3_finalize(statement);
    return;
  }
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  kept_statement *oldest = &db->kept[0];
  for (size_t i = 0; i < KEPT_MAX && oldest->statement; i++)
    if (!db->kept[i].statement || db->kept[i].used < oldest->used) oldest = &db->kept[i];
  sqlite3_finalize(oldest->statement);
  *oldest = (kept_statement){statement, strlen(get_sql(statement)), ++db->uses};
}

static void release_cursor(cursor *c) {
  if (c->statement) give_statement(c->db, c->statement);
  c->statement = NULL;
}

static int l_cursor_gc(lua_State *L) {
  // The database box may be collected in the same sweep, before: then it is closed, and only the
  // statement is ours to end.
  cursor *c = lua_touserdata(L, 1);
  if (c->statement) sqlite3_finalize(c->statement);
  c->statement = NULL;
  return 0;
}

static cursor *push_cursor(lua_State *L, database *db) {
  cursor *c = lua_newuserdata(L, sizeof *c);
  *c = (cursor){.db = db};
  if (luaL_newmetatable(L, CURSOR_TYPE)) {
    lua_pushcfunction(L, l_cursor_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return c;
}

// ------------------------------------------------------------------------------------- parameters

static int bind_value(lua_State *L, sqlite3_stmt *statement, int at) {
  int64_t integer;
  size_t size;
  switch (lua_type(L, -1)) {
  case LUA_TBOOLEAN: return sqlite3_bind_int(statement, at, lua_toboolean(L, -1));
  case LUA_TNUMBER: {
    double number = lua_tonumber(L, -1);
    if (number == floor(number) && fabs(number) <= 9007199254740992.0)
      return sqlite3_bind_int64(statement, at, (int64_t)number);
    return sqlite3_bind_double(statement, at, number);
  }
  case LUA_TSTRING: {
    const char *text = lua_tolstring(L, -1, &size);
    if (fl_utf8_valid(text, size))
      return sqlite3_bind_text64(statement, at, text, size, SQLITE_TRANSIENT, SQLITE_UTF8);
    return sqlite3_bind_blob64(statement, at, text, size, SQLITE_TRANSIENT);
  }
  default: break;
  }
  if (fl_lua_is_null(L, -1)) return sqlite3_bind_null(statement, at);
  if (fl_lua_to_int64(L, -1, &integer)) return sqlite3_bind_int64(statement, at, integer);
  return luaL_error(L, "sqlite: parameter %d: a %s cannot be a parameter", at,
                    luaL_typename(L, -1));
}

// Pushes the value of parameter `at`; raises when there is none.
static void push_parameter(lua_State *L, int params, sqlite3_stmt *statement, int at) {
  const char *name = sqlite3_bind_parameter_name(statement, at);
  bool named = name && name[0] != '?';
  if (!lua_istable(L, params))
    lua_pushnil(L);
  else if (named)
    lua_getfield(L, params, name + 1);
  else
    lua_rawgeti(L, params, at);
  if (!lua_isnil(L, -1)) return;
  if (named) luaL_error(L, "sqlite: no value for the parameter '%s' (flow.null is NULL)", name);
  luaL_error(L, "sqlite: no value for parameter %d (flow.null is NULL)", at);
}

static int bind_parameters(lua_State *L, int params, sqlite3_stmt *statement) {
  int count = sqlite3_bind_parameter_count(statement), given = 0;
  if (lua_istable(L, params)) given = (int)lua_objlen(L, params);
  if (given > count) luaL_error(L, "sqlite: %d values for %d parameters", given, count);
  for (int at = 1; at <= count; at++) {
    push_parameter(L, params, statement, at);
    int rc = bind_value(L, statement, at);
    lua_pop(L, 1);
    if (rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}

// ------------------------------------------------------------------------------------- running

// Called by SQLite in the middle of a statement: whatever is raised must not pass through it.
static int call_interrupt(void *ud) {
  database *db = ud;
  lua_rawgeti(db->L, LUA_REGISTRYINDEX, db->interrupt_ref);
  if (fl_lua_call(db->L, 0, 1, false, &db->interrupt_err)) return 1;
  bool stop = lua_toboolean(db->L, -1);
  lua_pop(db->L, 1);
  return stop;
}

static int step(lua_State *L, database *db, sqlite3_stmt *statement) {
  if (db->interrupt_ref == LUA_NOREF) return sqlite3_step(statement);
  luaL_checkstack(L, 8, "sqlite");
  db->L = L;
  db->interrupt_err.code = FL_OK;
  int rc = sqlite3_step(statement);
  db->L = NULL;
  return rc;
}

static void push_column(lua_State *L, sqlite3_stmt *statement, int at) {
  switch (sqlite3_column_type(statement, at)) {
  case SQLITE_INTEGER: fl_lua_push_int64(L, sqlite3_column_int64(statement, at)); break;
  case SQLITE_FLOAT: lua_pushnumber(L, sqlite3_column_double(statement, at)); break;
  case SQLITE_NULL: lua_pushnil(L); break;
  case SQLITE_TEXT: {
    const char *text = (const char *)sqlite3_column_text(statement, at);
    lua_pushlstring(L, text ? text : "", (size_t)sqlite3_column_bytes(statement, at));
    break;
  }
  default: {
    const char *data = sqlite3_column_blob(statement, at);
    lua_pushlstring(L, data ? data : "", (size_t)sqlite3_column_bytes(statement, at));
    break;
  }
  }
}

static void push_columns(lua_State *L, sqlite3_stmt *statement) {
  int count = sqlite3_column_count(statement);
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    lua_pushstring(L, sqlite3_column_name(statement, i));
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_row(lua_State *L, sqlite3_stmt *statement, int columns) {
  int count = sqlite3_column_count(statement);
  lua_createtable(L, 0, count);
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, columns, i + 1);
    push_column(L, statement, i);
    lua_rawset(L, -3);
  }
}

static database *check_database(lua_State *L) {
  database *db = luaL_checkudata(L, 1, DATABASE_TYPE);
  if (!db->handle) luaL_error(L, "sqlite: the database is closed");
  if (db->L) luaL_error(L, "sqlite: the interrupt function may not use its own database");
  return db;
}

static void check_params(lua_State *L, const char *what) {
  if (!lua_isnoneornil(L, 3) && !lua_istable(L, 3)) fl_lua_raise_type(L, 3, what, "a table");
}

// Arguments: database, one statement, parameters. Pushes a cursor that is ready to step.
static bool push_query(lua_State *L, database *db, const char *name, cursor **out, fl_error *err) {
  size_t size;
  lua_settop(L, 3);
  lua_pushfstring(L, "%s: sql", name);
  const char *sql = fl_lua_check_text(L, 2, lua_tostring(L, -1), &size), *rest;
  lua_pushfstring(L, "%s: params", name);
  check_params(L, lua_tostring(L, -1));
  lua_pop(L, 2);
  cursor *c = *out = push_cursor(L, db);
  int rc = take_statement(db, sql, size, &c->statement, &rest);
  if (rc == SQLITE_OK && !c->statement) luaL_error(L, "%s: sql: there is no statement in it", name);
  if (rc == SQLITE_OK && strspn(rest, " \t\r\n;") != strlen(rest))
    luaL_error(L, "%s: sql: expected one statement, got more", name);
  if (rc == SQLITE_OK) rc = bind_parameters(L, 3, c->statement);
  if (rc != SQLITE_OK) fill_error(db, rc, sql, err);
  return rc == SQLITE_OK;
}

static int l_exec(lua_State *L) {
  database *db = check_database(L);
  size_t size;
  lua_settop(L, 3);
  const char *sql = fl_lua_check_text(L, 2, "db:exec: sql", &size), *end = sql + size;
  check_params(L, "db:exec: params");
  int64_t before = sqlite3_total_changes64(db->handle);
  bool positional = lua_istable(L, 3) && lua_objlen(L, 3) > 0;
  cursor *c = push_cursor(L, db);
  fl_error err;
  for (const char *at = sql, *rest; at < end; at = rest) {
    int rc = take_statement(db, at, (size_t)(end - at), &c->statement, &rest);
    if (rc == SQLITE_OK && !c->statement) continue; // a comment, or nothing
    if (rc == SQLITE_OK && positional && (at > sql || strspn(rest, " \t\r\n;") < strlen(rest)))
      return luaL_error(L, "db:exec: several statements take named parameters only");
    if (rc == SQLITE_OK) rc = bind_parameters(L, 3, c->statement);
    if (rc == SQLITE_OK)
      while ((rc = step(L, db, c->statement)) == SQLITE_ROW) {
      }
    if (rc != SQLITE_DONE) fill_error(db, rc, at, &err);
    release_cursor(c);
    if (rc != SQLITE_DONE) return fl_lua_fail(L, &err);
  }
  fl_lua_push_int64(L, sqlite3_total_changes64(db->handle) - before);
  fl_lua_push_int64(L, sqlite3_last_insert_rowid(db->handle));
  return 2;
}

static int l_query(lua_State *L) {
  database *db = check_database(L);
  cursor *c;
  fl_error err;
  if (!push_query(L, db, "db:query", &c, &err)) return fl_lua_fail(L, &err);
  lua_newtable(L);
  push_columns(L, c->statement);
  int columns = lua_gettop(L), rc, count = 0;
  while ((rc = step(L, db, c->statement)) == SQLITE_ROW) {
    push_row(L, c->statement, columns);
    lua_rawseti(L, columns - 1, ++count);
  }
  if (rc != SQLITE_DONE) fill_error(db, rc, get_sql(c->statement), &err);
  release_cursor(c);
  return rc == SQLITE_DONE ? 2 : fl_lua_fail(L, &err);
}

static int l_value(lua_State *L) {
  database *db = check_database(L);
  cursor *c;
  fl_error err;
  if (!push_query(L, db, "db:value", &c, &err)) return fl_lua_fail(L, &err);
  int rc = step(L, db, c->statement);
  if (rc == SQLITE_ROW && sqlite3_column_count(c->statement) > 0)
    push_column(L, c->statement, 0);
  else
    lua_pushnil(L);
  bool good = rc == SQLITE_ROW || rc == SQLITE_DONE;
  if (!good) fill_error(db, rc, get_sql(c->statement), &err);
  release_cursor(c);
  return good ? 1 : fl_lua_fail(L, &err);
}

// Upvalues: the database, the cursor, the names of its columns.
static int l_rows_next(lua_State *L) {
  database *db = lua_touserdata(L, lua_upvalueindex(1));
  cursor *c = lua_touserdata(L, lua_upvalueindex(2));
  fl_error err;
  if (!c->statement) return lua_pushnil(L), 1;
  if (!db->handle) return luaL_error(L, "sqlite: the database is closed");
  if (db->L) return luaL_error(L, "sqlite: the interrupt function may not use its own database");
  int rc = step(L, db, c->statement);
  if (rc == SQLITE_ROW) {
    push_row(L, c->statement, lua_upvalueindex(3));
    return 1;
  }
  if (rc != SQLITE_DONE) fill_error(db, rc, get_sql(c->statement), &err);
  release_cursor(c);
  if (rc == SQLITE_DONE) return lua_pushnil(L), 1;
  fl_lua_push_error(L, &err);
  return lua_error(L);
}

static int l_rows(lua_State *L) {
  database *db = check_database(L);
  cursor *c;
  fl_error err;
  if (!push_query(L, db, "db:rows", &c, &err)) { // a loop has no place for `nil, err`
    fl_lua_push_error(L, &err);
    return lua_error(L);
  }
  lua_pushvalue(L, 1);
  lua_insert(L, -2);
  push_columns(L, c->statement);
  lua_pushcclosure(L, l_rows_next, 3);
  return 1;
}

// ------------------------------------------------------------------------------------- the
// database

static int l_interrupt(lua_State *L) {
  database *db = check_database(L);
  if (!lua_isnoneornil(L, 2) && !lua_isfunction(L, 2))
    fl_lua_raise_type(L, 2, "db:interrupt: fn", "a function");
  lua_settop(L, 2);
  bool given = !lua_isnil(L, 2);
  luaL_unref(L, LUA_REGISTRYINDEX, db->interrupt_ref);
  db->interrupt_ref = LUA_NOREF;
  if (given) db->interrupt_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  sqlite3_progress_handler(db->handle, PROGRESS_STEPS, given ? call_interrupt : NULL, db);
  return 0;
}

static int l_in_transaction(lua_State *L) {
  lua_pushboolean(L, !sqlite3_get_autocommit(check_database(L)->handle));
  return 1;
}

// close and __gc
static int l_close(lua_State *L) {
  database *db = luaL_checkudata(L, 1, DATABASE_TYPE);
  if (db->L) return luaL_error(L, "sqlite: the interrupt function may not use its own database");
  for (size_t i = 0; i < KEPT_MAX; i++) {
    sqlite3_finalize(db->kept[i].statement);
    db->kept[i].statement = NULL;
  }
  if (db->handle) {
    sqlite3_progress_handler(db->handle, 0, NULL, NULL);
    luaL_unref(L, LUA_REGISTRYINDEX, db->interrupt_ref);
    db->interrupt_ref = LUA_NOREF;
  }
  // With cursors still open the connection goes when the last of them does.
  sqlite3_close_v2(db->handle);
  db->handle = NULL;
  lua_pushboolean(L, 1);
  return 1;
}

static int l_tostring(lua_State *L) {
  database *db = luaL_checkudata(L, 1, DATABASE_TYPE);
  const char *path = db->handle ? sqlite3_db_filename(db->handle, "main") : "closed";
  lua_pushfstring(L, "sqlite (%s)", path && *path ? path : "in memory");
  return 1;
}

static const luaL_Reg methods[] = {
    {"close", l_close},         {"exec", l_exec},   {"in_transaction", l_in_transaction},
    {"interrupt", l_interrupt}, {"query", l_query}, {"rows", l_rows},
    {"value", l_value},         {NULL, NULL},
};

static database *push_database(lua_State *L) {
  database *db = lua_newuserdata(L, sizeof *db);
  memset(db, 0, sizeof *db);
  db->interrupt_ref = LUA_NOREF;
  luaL_getmetatable(L, DATABASE_TYPE);
  lua_setmetatable(L, -2);
  return db;
}

static int l_open(lua_State *L) {
  static const char *const options[] = {"busy_timeout", "readonly", NULL};
  const char *path = fl_lua_check_cstr(L, 1, "sqlite.open: path");
  fl_lua_check_options(L, 2, "sqlite.open", options);
  bool readonly = fl_lua_opt_flag(L, 2, "sqlite.open", "readonly", false);
  int64_t busy_ms = BUSY_TIMEOUT_MS;
  if (fl_lua_get_option(L, 2, "busy_timeout"))
    busy_ms = fl_lua_check_duration(L, lua_gettop(L), "sqlite.open: busy_timeout");
  database *db = push_database(L);
  int flags = readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  int rc = sqlite3_open_v2(path, &db->handle, flags, NULL);
  // The file is only looked at by the first read: better here than in the middle of the work.
  if (rc == SQLITE_OK) {
    sqlite3_busy_timeout(db->handle, busy_ms > INT32_MAX ? INT32_MAX : (int)busy_ms);
    rc = sqlite3_exec(db->handle, "pragma schema_version", NULL, NULL, NULL);
  }
  if (rc == SQLITE_OK) return 1;
  fl_error err;
  fl_fail(&err, code_of(rc), "cannot open '%s': %s", path,
          db->handle ? sqlite3_errmsg(db->handle) : "out of memory");
  sqlite3_close_v2(db->handle);
  db->handle = NULL;
  return fl_lua_fail(L, &err);
}

int luaopen_flow_core_sqlite(lua_State *L) {
  luaL_newmetatable(L, DATABASE_TYPE);
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, l_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_newtable(L);
  luaL_register(L, NULL, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
  lua_newtable(L); // the module
  lua_pushcfunction(L, l_open);
  lua_setfield(L, -2, "open");
  lua_insert(L, -2);
  lua_setfield(L, -2, "methods"); // the front module adds to them
  lua_pushstring(L, sqlite3_libversion());
  lua_setfield(L, -2, "version");
  return 1;
}
