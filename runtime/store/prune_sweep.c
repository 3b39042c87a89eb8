// Deletes what nobody names any more: first rows of runs that are gone, then definitions and
// scripts, then values (mark and sweep). All of it may be interrupted anywhere and is found again
// next time.
#include "store/prune_internal.h"

fl_code fl_store_get_int(fl_store *s, const char *sql, int64_t *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(s, sql, &st, err);
  if (code) return code;
  code = fl_store_read(s, st, &row, err);
  *out = !code && row ? sqlite3_column_int64(st, 0) : 0;
  sqlite3_finalize(st);
  return code;
}

/// Runs one statement with up to two numbers bound; *changed: rows it changed.
static fl_code change(fl_store *s, const char *sql, int64_t a, int64_t b, int *changed,
                      fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_begin(s, err);
  if (!code) code = fl_store_prepare_own(s, sql, &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, a);
  if (sqlite3_bind_parameter_count(st) > 1) sqlite3_bind_int64(st, 2, b);
  code = fl_store_write(s, st, err);
  *changed = code ? 0 : sqlite3_changes(s->db);
  sqlite3_finalize(st);
  return code;
}

/// Reads one number with one bound; *found false: no row, or NULL.
static fl_code look_up(fl_store *s, const char *sql, int64_t a, int64_t *out, bool *found,
                       fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_own(s, sql, &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, a);
  code = fl_store_read(s, st, found, err);
  if (!code && *found) {
    *found = sqlite3_column_type(st, 0) != SQLITE_NULL;
    *out = sqlite3_column_int64(st, 0);
  }
  sqlite3_finalize(st);
  return code;
}

// -------------------------------------------------------------------------------- rows

/// A table whose rows belong to a row of another, in chunks by their second key (NULL: they are
/// few).
typedef struct owned {
  const char *next;  // the next owner after ?1 that is gone
  const char *split; // second key of the last row of a chunk
  const char *some;  // deletes up to it
  const char *all;
} owned;

// The next owner is found by skipping from one to the next in the key.
#define NEXT(table, key, owner)                                                                    \
  "WITH RECURSIVE k(v) AS (SELECT min(" key ") FROM " table " WHERE " key ">?1 UNION ALL"          \
  " SELECT (SELECT min(" key ") FROM " table " WHERE " key ">v) FROM k WHERE v IS NOT NULL)"       \
  " SELECT v FROM k WHERE v IS NOT NULL AND v NOT IN (SELECT " owner ") LIMIT 1"
#define OWNED(table, key, second, owner)                                                           \
  {                                                                                                \
    NEXT(table, key, owner),                                                                       \
        "SELECT " second " FROM " table " WHERE " key "=?1 ORDER BY " second                       \
        " LIMIT 1 OFFSET 20000",                                                                   \
        "DELETE FROM " table " WHERE " key "=?1 AND " second "<=?2",                               \
        "DELETE FROM " table " WHERE " key "=?1"                                                   \
  }
#define OWNED_FEW(table, key, owner)                                                               \
  { NEXT(table, key, owner), NULL, NULL, "DELETE FROM " table " WHERE " key "=?1" }

static fl_code sweep_owned(fl_store *s, const owned *o, fl_error *err) {
  int64_t owner = 0, last = 0;
  bool found = false, more = false;
  int changed, uncommitted = 0;
  fl_code code;
  while (!(code = look_up(s, o->next, owner, &owner, &found, err)) && found) {
    do {
      more = false;
      if (o->split) code = look_up(s, o->split, owner, &last, &more, err);
      if (!code) code = change(s, more ? o->some : o->all, owner, last, &changed, err);
      if (code) return code;
      uncommitted += changed;
      if (uncommitted < FL_PRUNE_CHUNK) continue;
      code = fl_store_commit(s, err);
      uncommitted = 0;
    } while (!code && more);
    if (code) return code;
  }
  return code ? code : fl_store_commit(s, err);
}

static fl_code sweep_rows(fl_store *s, fl_error *err) {
  static const owned tables[] = {
      OWNED("attempt", "run", "node", "row FROM run"),
      OWNED("decision", "run", "node", "row FROM run"),
      OWNED("instance", "run", "node", "row FROM run"),
      OWNED_FEW("claim", "run", "row FROM run"),
      OWNED("step", "run", "node", "row FROM run"),
      OWNED("checkpoint", "run", "node", "row FROM run"),
      OWNED("progress", "run", "node", "row FROM run"),
      OWNED_FEW("epoch", "run", "row FROM run"),
      OWNED_FEW("run_input", "run", "row FROM run"),
      OWNED_FEW("breakpoint", "run", "row FROM run"),
      OWNED_FEW("proposal", "run", "row FROM run"),
  };
  fl_code code = FL_OK;
  for (size_t i = 0; !code && i < sizeof tables / sizeof *tables; i++)
    code = sweep_owned(s, &tables[i], err);
  return code;
}

// The newest definition of each flow stays, with its script: an engine that has the script loaded
// may be about to name them.
static fl_code sweep_definitions(fl_store *s, fl_error *err) {
  static const char *const unused[] = {
      "DELETE FROM definition WHERE id NOT IN (SELECT definition FROM run)"
      " AND id NOT IN (SELECT definition FROM run_input)"
      " AND id NOT IN (SELECT max(id) FROM definition GROUP BY flow) AND id>?1",
      "DELETE FROM script WHERE id NOT IN (SELECT script FROM run)"
      " AND id NOT IN (SELECT script FROM run_input)"
      " AND id NOT IN (SELECT script FROM definition) AND id>?1",
      "DELETE FROM script_source WHERE script NOT IN (SELECT id FROM script) AND script>?1",
      "DELETE FROM source WHERE id NOT IN (SELECT source FROM script_source) AND id>?1",
      "DELETE FROM meta WHERE key GLOB 'seal:*'"
      " AND CAST(substr(key,6) AS INTEGER) NOT IN (SELECT row FROM run) AND ?1=0",
  };
  static const owned nodes = OWNED("definition_node", "definition", "node", "id FROM definition");
  int changed;
  fl_code code = FL_OK;
  for (size_t i = 0; !code && i < sizeof unused / sizeof *unused; i++)
    code = change(s, unused[i], 0, 0, &changed, err);
  if (!code) code = fl_store_commit(s, err);
  return code ? code : sweep_owned(s, &nodes, err);
}

// -------------------------------------------------------------------------------- values

fl_code fl_prune_each_value(fl_store *s, void (*each)(void *ud, int64_t run, int64_t id), void *ud,
                            fl_error *err) {
  // Every column that holds a value id. A new one must be added here, or prune removes what it
  // names.
  static const char *const columns[] = {
      "SELECT run,params,item,vars_in,vars_out,vars_by,outputs,recorded FROM attempt",
      "SELECT row,params,vars FROM run",
      "SELECT run,params,vars FROM run_input",
      "SELECT run,patch FROM epoch",
      "SELECT run,patch FROM proposal",
      "SELECT run,item FROM instance",
      "SELECT run,value FROM checkpoint",
      "SELECT run,value FROM step",
  };
  fl_code code = FL_OK;
  for (size_t i = 0; !code && i < sizeof columns / sizeof *columns; i++) {
    sqlite3_stmt *st;
    bool row = false;
    code = fl_store_prepare_own(s, columns[i], &st, err);
    if (code) break;
    int count = sqlite3_column_count(st);
    while (!(code = fl_store_read(s, st, &row, err)) && row)
      for (int at = 1; at < count; at++)
        each(ud, sqlite3_column_int64(st, 0), sqlite3_column_int64(st, at));
    sqlite3_finalize(st);
  }
  return code;
}

typedef struct marks {
  uint8_t *bits;
  int64_t max;
} marks;

static void mark(void *ud, int64_t run, int64_t id) {
  marks *m = ud;
  (void)run;
  if (id > 0 && id <= m->max) m->bits[id / 8] |= (uint8_t)(1 << id % 8);
}

static fl_code make_marks(fl_store *s, marks *m, fl_error *err) {
  free(m->bits);
  m->bits = NULL;
  fl_code code = fl_store_get_int(s, "SELECT max(id) FROM value", &m->max, err);
  if (code) return code;
  m->bits = fl_alloc_zero((size_t)m->max / 8 + 1, 1);
  mark(m, 0, FL_VALUE_ID_EMPTY_MAP);
  mark(m, 0, FL_VALUE_ID_NULL);
  return fl_prune_each_value(s, mark, m, err);
}

// Tells everybody who remembers ids of values to look again, in the commit that removes some.
static fl_code note_sweep(fl_store *s, int64_t max, fl_error *err) {
  int changed;
  fl_code code = change(s,
                        "INSERT INTO meta VALUES('sweeps',?1) ON CONFLICT(key)"
                        " DO UPDATE SET value=value+1",
                        1, 0, &changed, err);
  if (!code)
    code = change(s,
                  "INSERT INTO meta VALUES('swept_max',?1) ON CONFLICT(key)"
                  " DO UPDATE SET value=max(value,?1)",
                  max, 0, &changed, err);
  if (!code)
    code = fl_store_get_int(s, "SELECT value FROM meta WHERE key='sweeps'", &s->sweeps, err);
  if (max > s->suspect_max) s->suspect_max = max;
  return code;
}

/// Deletes up to a chunk of unmarked values after *at; *at -1: that was all.
static fl_code delete_unmarked(fl_store *s, const marks *m, int64_t *at, fl_error *err) {
  sqlite3_stmt *list, *drop = NULL;
  bool row = false;
  int count = 0;
  fl_code code =
      fl_store_prepare_own(s, "SELECT id FROM value WHERE id>?1 ORDER BY id", &list, err);
  if (code) return code;
  code = fl_store_prepare_own(s, "DELETE FROM value WHERE id=?1", &drop, err);
  sqlite3_bind_int64(list, 1, *at);
  while (!code && count < FL_PRUNE_CHUNK && !(code = fl_store_read(s, list, &row, err)) && row) {
    int64_t id = sqlite3_column_int64(list, 0);
    *at = id;
    if (id > m->max || m->bits[id / 8] & 1 << id % 8) continue;
    if (!count++) code = note_sweep(s, m->max, err);
    if (code) break;
    sqlite3_bind_int64(drop, 1, id);
    code = fl_store_write(s, drop, err);
  }
  if (!code && !row) *at = -1;
  sqlite3_finalize(list);
  sqlite3_finalize(drop);
  return code;
}

static fl_code sweep_values(fl_store *s, fl_error *err) {
  marks m = {0};
  uint32_t marked = 0;
  int64_t at = 0;
  fl_code code = FL_OK;
  while (!code && at >= 0) {
    code = fl_store_begin_own(s, err);
    // The marks hold as long as nobody else has written since they were made.
    if (!code && (!m.bits || marked != s->data_version)) {
      code = make_marks(s, &m, err);
      marked = s->data_version;
    }
    if (!code) code = delete_unmarked(s, &m, &at, err);
    if (!code) code = fl_store_commit(s, err);
  }
  free(m.bits);
  return code;
}

fl_code fl_prune_sweep(fl_store *s, fl_error *err) {
  fl_code code = sweep_rows(s, err);
  if (!code) code = sweep_definitions(s, err);
  if (!code) code = sweep_values(s, err);
  if (code) fl_store_rollback(s);
  return code;
}
