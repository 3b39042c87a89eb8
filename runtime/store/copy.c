// How the rows of a run are copied, for export, import and fork, by the description of their
// tables.
#include "store/copy_internal.h"

// ------------------------------------------------------------------------------------- maps

void fl_copy_map_add(fl_copy_map *m, int64_t from, int64_t to) {
  FL_ASSERT(m->count == 0 || m->from[m->count - 1] < from);
  if (m->count == m->capacity) {
    m->capacity = m->capacity ? 2 * m->capacity : 64;
    m->from = fl_realloc(m->from, m->capacity * sizeof *m->from);
    m->to = fl_realloc(m->to, m->capacity * sizeof *m->to);
  }
  m->from[m->count] = from;
  m->to[m->count++] = to;
}

static void copy_map_deinit(fl_copy_map *m) {
  free(m->from);
  free(m->to);
  *m = (fl_copy_map){0};
}

/// Index of `from`, m->count: it is not there.
static size_t find(const fl_copy_map *m, int64_t from) {
  size_t low = 0, high = m->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (m->from[middle] < from)
      low = middle + 1;
    else
      high = middle;
  }
  return low < m->count && m->from[low] == from ? low : m->count;
}

void fl_copy_deinit(fl_copy *c) {
  copy_map_deinit(&c->runs);
  copy_map_deinit(&c->values);
  copy_map_deinit(&c->definitions);
  copy_map_deinit(&c->scripts);
  fl_buf_deinit(&c->log_path);
  free(c->ids);
}

// ------------------------------------------------------------------------------------- errors

static fl_code fail_damaged(const fl_copy *c, const char *why, fl_error *err) {
  return fl_fail(err, FL_E_CORRUPT, "'%s' is damaged: %s; nothing was taken from it",
                 c->path ? c->path : c->store->path, why);
}

fl_code fl_copy_fail(fl_copy *c, sqlite3 *db, int rc, fl_error *err) {
  if (db == c->store->db && db != c->source && (rc & 0xff) == SQLITE_CONSTRAINT) {
    fl_code code = fail_damaged(c, sqlite3_errmsg(db), err); // rows that no store would hold
    fl_store_rollback(c->store);
    return code;
  }
  if (db == c->store->db) {
    fl_code code = fl_store_fail(c->store, rc, c->target == db ? "write" : "read", err);
    if (c->target == db) fl_store_rollback(c->store);
    return code;
  }
  if (db == c->source) {
    fl_code code = fail_damaged(c, sqlite3_errmsg(db), err);
    fl_store_rollback(c->store);
    return code;
  }
  return fl_fail(err, FL_E_LIMIT, "cannot put the run together in memory: %s (SQLite %d)",
                 sqlite3_errmsg(db), rc);
}

// ------------------------------------------------------------------------------------- rows

bool fl_copy_is_copied(const fl_table *t) {
  return t->use == FL_TABLE_OF_RUN && !t->remade;
}

/// A file of an older version lacks what came later: that is NULL then.
static bool is_there(sqlite3 *db, const char *table, const char *column) {
  return sqlite3_table_column_metadata(db, "main", table, column, NULL, NULL, NULL, NULL, NULL) ==
         SQLITE_OK;
}

static fl_code prepare(fl_copy *c, sqlite3 *db, fl_buf *sql, sqlite3_stmt **out, fl_error *err) {
  int rc = sqlite3_prepare_v2(db, fl_buf_cstr(sql), -1, out, NULL);
  return rc ? fl_copy_fail(c, db, rc, err) : FL_OK;
}

static fl_code prepare_table(fl_copy *c, const fl_table *t, const char *from, sqlite3_stmt **read,
                             sqlite3_stmt **write, fl_error *err) {
  fl_buf select, insert;
  fl_buf_init(&select, 1 << 16);
  fl_buf_init(&insert, 1 << 16);
  fl_buf_addf(&select, "SELECT ");
  fl_buf_addf(&insert, "INSERT INTO \"%s\"(", t->name);
  for (const fl_column *k = t->columns; k->name; k++) {
    const char *comma = k == t->columns ? "" : ",";
    if (is_there(c->source, from, k->name))
      fl_buf_addf(&select, "%s\"%s\"", comma, k->name);
    else
      fl_buf_addf(&select, "%sNULL", comma);
    fl_buf_addf(&insert, "%s\"%s\"", comma, k->name);
  }
  fl_buf_addf(&select, " FROM \"%s\" WHERE \"%s\"=?1", from, t->key);
  fl_buf_addf(&insert, ") VALUES(");
  for (const fl_column *k = t->columns; k->name; k++)
    fl_buf_addf(&insert, "%s?", k == t->columns ? "" : ",");
  fl_buf_addf(&insert, ")");
  fl_code code = prepare(c, c->source, &select, read, err);
  if (!code) code = prepare(c, c->target, &insert, write, err);
  fl_buf_deinit(&select);
  fl_buf_deinit(&insert);
  return code;
}

/// Binds what becomes of an id; false: the source names something that it does not have.
static bool bind_mapped(const fl_copy *c, const fl_copy_map *m, sqlite3_stmt *write, int at,
                        sqlite3_value *value) {
  if (c->same_store) return sqlite3_bind_value(write, at, value), true;
  size_t i = find(m, sqlite3_value_int64(value));
  if (i == m->count) return false;
  return sqlite3_bind_int64(write, at, m->to[i]), true;
}

static void bind_link(const fl_copy *c, sqlite3_stmt *write, int at, sqlite3_value *value) {
  size_t i = find(&c->runs, sqlite3_value_int64(value));
  if (i < c->runs.count)
    sqlite3_bind_int64(write, at, c->runs.to[i]);
  else if (c->same_store)
    sqlite3_bind_value(write, at, value);
  else
    sqlite3_bind_null(write, at);
}

static bool bind_column(fl_copy *c, size_t run_index, fl_column_kind kind, sqlite3_stmt *write,
                        int at, sqlite3_value *value) {
  bool null = sqlite3_value_type(value) == SQLITE_NULL;
  switch (kind) {
  case FL_COLUMN_RUN: sqlite3_bind_int64(write, at, c->runs.to[run_index]); return true;
  case FL_COLUMN_OWNER: sqlite3_bind_text(write, at, "", 0, SQLITE_STATIC); return true;
  case FL_COLUMN_MOMENT: sqlite3_bind_int64(write, at, 0); return true;
  case FL_COLUMN_ID:
    if (!c->ids) break;
    sqlite3_bind_text(write, at, c->ids[run_index], -1, SQLITE_STATIC);
    return true;
  case FL_COLUMN_LOG: {
    if (!c->move_log || null) break;
    const char *path = c->move_log(c, run_index, (const char *)sqlite3_value_text(value));
    sqlite3_bind_text(write, at, path, -1, SQLITE_TRANSIENT);
    return true;
  }
  case FL_COLUMN_LINK:
    if (null) break;
    bind_link(c, write, at, value);
    return true;
  case FL_COLUMN_VALUE: return null || bind_mapped(c, &c->values, write, at, value);
  case FL_COLUMN_DEFINITION: return null || bind_mapped(c, &c->definitions, write, at, value);
  case FL_COLUMN_SCRIPT: return null || bind_mapped(c, &c->scripts, write, at, value);
  default: break;
  }
  sqlite3_bind_value(write, at, value);
  return true;
}

static fl_code copy_row(fl_copy *c, const fl_table *t, size_t run_index, sqlite3_stmt *read,
                        sqlite3_stmt *write, fl_error *err) {
  sqlite3_clear_bindings(write);
  for (int i = 0; t->columns[i].name; i++) {
    if (bind_column(c, run_index, t->columns[i].kind, write, i + 1, sqlite3_column_value(read, i)))
      continue;
    if (c->target == c->store->db) fl_store_rollback(c->store);
    return fail_damaged(c, "it names what it does not hold", err);
  }
  int rc = sqlite3_step(write);
  if (rc != SQLITE_DONE) {
    fl_code code = fl_copy_fail(c, c->target, rc, err);
    sqlite3_reset(write);
    return code;
  }
  sqlite3_reset(write);
  return FL_OK;
}

static fl_code copy_table(fl_copy *c, const fl_table *t, fl_error *err) {
  sqlite3_stmt *read = NULL, *write = NULL;
  const char *from = is_there(c->source, t->name, NULL) ? t->name : t->was;
  if (!from || !is_there(c->source, from, NULL)) return FL_OK;
  fl_code code = prepare_table(c, t, from, &read, &write, err);
  for (size_t i = 0; !code && i < c->runs.count; i++) {
    int rc;
    sqlite3_bind_int64(read, 1, c->runs.from[i]);
    while (!code && (rc = sqlite3_step(read)) == SQLITE_ROW)
      code = copy_row(c, t, i, read, write, err);
    if (!code && rc != SQLITE_DONE) code = fl_copy_fail(c, c->source, rc, err);
    sqlite3_reset(read);
  }
  sqlite3_finalize(read);
  sqlite3_finalize(write);
  return code;
}

fl_code fl_copy_runs(fl_copy *c, fl_error *err) {
  fl_code code = FL_OK;
  for (size_t i = 0; !code && i < FL_STORE_TABLES; i++)
    if (fl_copy_is_copied(&fl_tables[i])) code = copy_table(c, &fl_tables[i], err);
  return code;
}

// ------------------------------------------------------------------------------------- what to
// copy

fl_code fl_copy_seal_runs(fl_copy *c, fl_error *err) {
  fl_code code = FL_OK;
  for (size_t i = 0; !code && i < c->runs.count; i++) {
    fl_run_row row;
    code = fl_store_get_run(c->store, c->runs.to[i], &row, err);
    if (!code && fl_run_state_is_final(row.state)) code = fl_store_seal_run(c->store, row.row, err);
    fl_run_row_deinit(&row);
  }
  return code;
}

fl_code fl_copy_check_runs(fl_copy *c, fl_error *err) {
  fl_code code = fl_store_check(c->store, err);
  for (size_t i = 0; !code && i < c->runs.count; i++)
    code = fl_store_check_seal(c->store, c->runs.from[i], err);
  return code;
}

fl_code fl_copy_find_runs(fl_copy *c, int64_t run_row, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(c->store,
                                      "WITH RECURSIVE t(row) AS (SELECT ?1 UNION ALL SELECT r.row"
                                      " FROM run r JOIN t ON r.parent_run=t.row)"
                                      " SELECT row FROM t ORDER BY row",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run_row);
  while (!(code = fl_store_read(c->store, st, &row, err)) && row)
    fl_copy_map_add(&c->runs, sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 0));
  sqlite3_finalize(st);
  return code;
}

void fl_copy_add_ids_sql(fl_column_kind kind, fl_buf *out) {
  const char *sign = "";
  for (size_t i = 0; i < FL_STORE_TABLES; i++)
    for (const fl_column *k = fl_tables[i].columns; k->name; k++) {
      if (!fl_copy_is_copied(&fl_tables[i]) || k->kind != kind) continue;
      fl_buf_addf(out, "%sSELECT \"%s\" FROM \"%s\" WHERE \"%s\" IS NOT NULL", sign, k->name,
                  fl_tables[i].name, k->name);
      sign = " UNION ";
    }
  fl_buf_addf(out, " ORDER BY 1");
}
