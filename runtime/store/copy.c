// Which rows a run has, and how they are copied: one list of tables and columns for export, import
// and fork.
#include "store/copy_internal.h"

#define P(name)                                                                                    \
  { name, FL_COPY_PLAIN }
#define K(name, kind)                                                                              \
  { name, FL_COPY_##kind }
#define END                                                                                        \
  { NULL, FL_COPY_PLAIN }

// clang-format off
static const fl_copy_column run[] = {
  K("row", RUN), K("id", ID), P("flow"), K("definition", DEFINITION), K("script", SCRIPT),
  P("state"), P("time_ms"), P("trigger"), K("params", VALUE), K("vars", VALUE),
  K("parent_run", LINK), P("parent_node"), K("replay_of", LINK), P("created_ms"), P("started_ms"),
  P("ended_ms"), P("resumes"), P("epoch"), K("owner", EMPTY), K("lease_ms", ZERO),
  K("cancel", ZERO), P("error"), P("selection"), P("interval_from_ms"), P("interval_to_ms"),
  K("fork_of", LINK), P("replay_live"), P("origin"), END};
static const fl_copy_column run_input[] = {
  K("run", RUN), P("epoch"), K("definition", DEFINITION), K("script", SCRIPT), K("params", VALUE),
  K("vars", VALUE), END};
static const fl_copy_column epoch[] = {
  K("run", RUN), P("epoch"), P("owner"), P("supervisor"), P("at_ms"), K("patch", VALUE),
  P("reason"), P("author"), END};
static const fl_copy_column attempt[] = {
  K("run", RUN), P("node"), P("number"), P("epoch"), P("seq"), P("end_seq"), P("state"),
  P("reason"), P("end_reason"), P("claimed_ms"), P("started_ms"), P("ended_ms"), P("exit_code"),
  P("signal"), P("error"), K("params", VALUE), K("vars_in", VALUE), K("vars_out", VALUE),
  K("vars_by", VALUE), K("outputs", VALUE), K("recorded", VALUE), P("synthetic"), P("pid"),
  P("retry_at_ms"), K("child_run", LINK), P("cpu_us"), P("rss_max_bytes"), K("log_path", LOG),
  P("log_offset"), P("log_size"), P("log_total"), K("item", VALUE), END};
static const fl_copy_column decision[] = {
  K("run", RUN), P("node"), P("seq"), P("epoch"), P("state"), P("reason"), P("detail"), P("at_ms"),
  END};
static const fl_copy_column claim[] = {K("run", RUN), P("at_ms"), P("list"), END};
static const fl_copy_column instance[] = {
  K("run", RUN), P("node"), P("map_node"), P("position"), P("name"), P("type"), K("item", VALUE),
  END};
static const fl_copy_column checkpoint[] = {
  K("run", RUN), P("node"), P("number"), P("at_ms"), P("digest"), P("text"), K("value", VALUE),
  END};
static const fl_copy_column step[] = {
  K("run", RUN), P("node"), P("name"), K("value", VALUE), END};
static const fl_copy_column progress[] = {
  K("run", RUN), P("node"), P("done"), P("total"), P("text"), P("at_ms"), END};
static const fl_copy_column breakpoint[] = {
  K("run", RUN), P("seq"), P("epoch"), P("node"), P("number"), P("at_ms"), END};
static const fl_copy_column proposal[] = {
  K("run", RUN), P("number"), P("epoch"), P("at_ms"), P("origin"), P("reason"), K("patch", VALUE),
  P("automatic"), P("applied_epoch"), END};
// clang-format on

const fl_copy_table fl_copy_tables[] = {
    {"run", "row", run},
    {"run_input", "run", run_input},
    {"epoch", "run", epoch},
    {"attempt", "run", attempt},
    {"decision", "run", decision},
    {"claim", "run", claim},
    {"instance", "run", instance},
    {"checkpoint", "run", checkpoint},
    {"step", "run", step},
    {"progress", "run", progress},
    {"breakpoint", "run", breakpoint},
    {"proposal", "run", proposal},
    {NULL, NULL, NULL},
};

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

void fl_copy_map_deinit(fl_copy_map *m) {
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
  fl_copy_map_deinit(&c->runs);
  fl_copy_map_deinit(&c->values);
  fl_copy_map_deinit(&c->definitions);
  fl_copy_map_deinit(&c->scripts);
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

/// A file of an older version lacks what came later: that is NULL then.
static bool is_there(sqlite3 *db, const char *table, const char *column) {
  return sqlite3_table_column_metadata(db, "main", table, column, NULL, NULL, NULL, NULL, NULL) ==
         SQLITE_OK;
}

static fl_code prepare(fl_copy *c, sqlite3 *db, fl_buf *sql, sqlite3_stmt **out, fl_error *err) {
  int rc = sqlite3_prepare_v2(db, fl_buf_cstr(sql), -1, out, NULL);
  return rc ? fl_copy_fail(c, db, rc, err) : FL_OK;
}

static fl_code prepare_table(fl_copy *c, const fl_copy_table *t, sqlite3_stmt **read,
                             sqlite3_stmt **write, fl_error *err) {
  fl_buf select, insert;
  fl_buf_init(&select, 1 << 16);
  fl_buf_init(&insert, 1 << 16);
  fl_buf_addf(&select, "SELECT ");
  fl_buf_addf(&insert, "INSERT INTO \"%s\"(", t->name);
  for (const fl_copy_column *k = t->columns; k->name; k++) {
    const char *comma = k == t->columns ? "" : ",";
    if (is_there(c->source, t->name, k->name))
      fl_buf_addf(&select, "%s\"%s\"", comma, k->name);
    else
      fl_buf_addf(&select, "%sNULL", comma);
    fl_buf_addf(&insert, "%s\"%s\"", comma, k->name);
  }
  fl_buf_addf(&select, " FROM \"%s\" WHERE \"%s\"=?1", t->name, t->key);
  fl_buf_addf(&insert, ") VALUES(");
  for (const fl_copy_column *k = t->columns; k->name; k++)
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

static bool bind_column(fl_copy *c, size_t run_index, fl_copy_kind kind, sqlite3_stmt *write,
                        int at, sqlite3_value *value) {
  bool null = sqlite3_value_type(value) == SQLITE_NULL;
  switch (kind) {
  case FL_COPY_RUN: sqlite3_bind_int64(write, at, c->runs.to[run_index]); return true;
  case FL_COPY_EMPTY: sqlite3_bind_text(write, at, "", 0, SQLITE_STATIC); return true;
  case FL_COPY_ZERO: sqlite3_bind_int64(write, at, 0); return true;
  case FL_COPY_ID:
    if (!c->ids) break;
    sqlite3_bind_text(write, at, c->ids[run_index], -1, SQLITE_STATIC);
    return true;
  case FL_COPY_LOG: {
    if (!c->move_log || null) break;
    const char *path = c->move_log(c, run_index, (const char *)sqlite3_value_text(value));
    sqlite3_bind_text(write, at, path, -1, SQLITE_TRANSIENT);
    return true;
  }
  case FL_COPY_LINK:
    if (null) break;
    bind_link(c, write, at, value);
    return true;
  case FL_COPY_VALUE: return null || bind_mapped(c, &c->values, write, at, value);
  case FL_COPY_DEFINITION: return null || bind_mapped(c, &c->definitions, write, at, value);
  case FL_COPY_SCRIPT: return null || bind_mapped(c, &c->scripts, write, at, value);
  case FL_COPY_PLAIN: break;
  }
  sqlite3_bind_value(write, at, value);
  return true;
}

static fl_code copy_row(fl_copy *c, const fl_copy_table *t, size_t run_index, sqlite3_stmt *read,
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

static fl_code copy_table(fl_copy *c, const fl_copy_table *t, fl_error *err) {
  sqlite3_stmt *read = NULL, *write = NULL;
  if (!is_there(c->source, t->name, NULL)) return FL_OK;
  fl_code code = prepare_table(c, t, &read, &write, err);
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
  for (const fl_copy_table *t = fl_copy_tables; !code && t->name; t++) code = copy_table(c, t, err);
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

void fl_copy_add_ids_sql(fl_copy_kind kind, fl_buf *out) {
  const char *sign = "";
  for (const fl_copy_table *t = fl_copy_tables; t->name; t++)
    for (const fl_copy_column *k = t->columns; k->name; k++) {
      if (k->kind != kind) continue;
      fl_buf_addf(out, "%sSELECT \"%s\" FROM \"%s\" WHERE \"%s\" IS NOT NULL", sign, k->name,
                  t->name, k->name);
      sign = " UNION ";
    }
  fl_buf_addf(out, " ORDER BY 1");
}
