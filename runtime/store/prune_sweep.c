// Deletes what nobody names any more: first rows of runs that are gone, then values, definitions,
// scripts and sources (mark and sweep). All of it may be interrupted anywhere and is found again
// next time.
//
// What is looked for takes long and is done without the write lock, in what the store was then.
// What is deleted must be garbage still:
// - the owner of an orphaned row never comes back, for its id is not given out again;
// - of content a sweep is announced before it looks. From then on every writer looks up anew what
//   it remembers, and notes what it names that was there already (`touched`): what is noted stays.
//   What is made meanwhile gets a higher id than all that is still to be looked at.
#include "store/prune_internal.h"

static fl_code run_sql(fl_store *s, const char *sql, int64_t a, int64_t b, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_own(s, sql, &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, a);
  if (sqlite3_bind_parameter_count(st) > 1) sqlite3_bind_int64(st, 2, b);
  code = fl_store_write(s, st, err);
  sqlite3_finalize(st);
  return code;
}

// -------------------------------------------------------------------------------- rows

#define BATCH 1024 // ids that are found before they are deleted

typedef struct id_list {
  int64_t ids[BATCH];
  size_t count;
} id_list;

/// The next owners behind `after` whose row is gone, found by skipping from one to the next in the
/// key; fewer than BATCH: these are the last.
static fl_code find_orphans(fl_store *s, const fl_table *t, int64_t after, id_list *out,
                            fl_error *err) {
  fl_buf sql;
  sqlite3_stmt *st = NULL;
  bool row = false, run = t->use == FL_TABLE_OF_RUN;
  out->count = 0;
  fl_buf_init(&sql, 4096);
  fl_buf_addf(&sql,
              "WITH RECURSIVE k(v) AS (SELECT min(\"%2$s\") FROM \"%1$s\" WHERE \"%2$s\">?1"
              " UNION ALL SELECT (SELECT min(\"%2$s\") FROM \"%1$s\" WHERE \"%2$s\">v) FROM k"
              " WHERE v IS NOT NULL) SELECT v FROM k WHERE v IS NOT NULL"
              " AND NOT EXISTS(SELECT 1 FROM \"%3$s\" WHERE \"%4$s\"=v) LIMIT %5$d",
              t->name, t->key, run ? "run" : t->parent, run ? "row" : "id", BATCH);
  fl_code code = fl_store_prepare_own(s, fl_buf_cstr(&sql), &st, err);
  if (!code) sqlite3_bind_int64(st, 1, after);
  while (!code && !(code = fl_store_read(s, st, &row, err)) && row)
    out->ids[out->count++] = sqlite3_column_int64(st, 0);
  sqlite3_finalize(st);
  fl_buf_deinit(&sql);
  return code;
}

/// Deletes an owner's rows, a chunk a statement.
static fl_code delete_rows(fl_pruning *p, const fl_table *t, int64_t owner, fl_error *err) {
  fl_store *s = p->store;
  char find[256], drop[256];
  sqlite3_stmt *st = NULL;
  bool more = true;
  // The first column of the rest of the key is a number.
  int first = t->rest ? (int)strcspn(t->rest, ",") : 0;
  snprintf(drop, sizeof drop, "DELETE FROM \"%s\" WHERE \"%s\"=?1", t->name, t->key);
  fl_code code = FL_OK;
  if (first) {
    snprintf(find, sizeof find,
             "SELECT \"%2$.*4$s\" FROM \"%1$s\" WHERE \"%3$s\"=?1 ORDER BY \"%2$.*4$s\""
             " LIMIT 1 OFFSET %5$d",
             t->name, t->rest, t->key, first, p->chunk);
    code = fl_store_prepare_own(s, find, &st, err);
  }
  while (!code && more && !p->stopped) {
    code = fl_prune_begin(p, err);
    more = false;
    if (!code && st) {
      sqlite3_bind_int64(st, 1, owner);
      code = fl_store_read(s, st, &more, err);
    }
    int64_t last = more ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    size_t used = strlen(drop);
    if (more) snprintf(drop + used, sizeof drop - used, " AND \"%.*s\"<=?2", first, t->rest);
    if (!code) code = run_sql(s, drop, owner, last, err);
    drop[used] = 0;
    if (!code) code = fl_prune_breathe(p, err);
  }
  sqlite3_finalize(st);
  return code;
}

static fl_code sweep_table(fl_pruning *p, const fl_table *t, fl_error *err) {
  id_list list = {.count = BATCH};
  int64_t after = 0;
  fl_code code = FL_OK;
  while (!code && list.count == BATCH && !p->stopped) {
    code = fl_prune_end(p, err);
    if (!code) code = find_orphans(p->store, t, after, &list, err);
    for (size_t i = 0; !code && i < list.count; i++) {
      after = list.ids[i];
      code = delete_rows(p, t, after, err);
    }
  }
  return code ? code : fl_prune_end(p, err);
}

static fl_code sweep_tables(fl_pruning *p, fl_table_use use, fl_error *err) {
  fl_code code = FL_OK;
  for (const fl_table *t = fl_tables; !code && t < fl_tables + FL_STORE_TABLES; t++)
    if (t->use == use && strcmp(t->name, "run")) code = sweep_table(p, t, err);
  return code;
}

// -------------------------------------------------------------------------------- content

fl_code fl_prune_each_named(fl_store *s, fl_column_kind kind,
                            void (*each)(void *ud, int64_t run, int64_t id), void *ud,
                            fl_error *err) {
  fl_code code = FL_OK;
  for (const fl_table *t = fl_tables; !code && t < fl_tables + FL_STORE_TABLES; t++) {
    sqlite3_stmt *st;
    fl_buf sql;
    bool row = false;
    int count = 0;
    fl_buf_init(&sql, 1 << 16);
    if (t->use == FL_TABLE_OF_RUN)
      fl_buf_addf(&sql, "SELECT \"%s\"", t->key);
    else
      fl_buf_add_str(&sql, "SELECT 0");
    for (const fl_column *k = t->columns; k->name; k++)
      if (k->kind == kind) fl_buf_addf(&sql, ",\"%s\"", k->name), count++;
    fl_buf_addf(&sql, " FROM \"%s\"", t->name);
    if (count) {
      code = fl_store_prepare_own(s, fl_buf_cstr(&sql), &st, err);
      while (!code && !(code = fl_store_read(s, st, &row, err)) && row)
        for (int at = 1; at <= count; at++)
          each(ud, sqlite3_column_int64(st, 0), sqlite3_column_int64(st, at));
      sqlite3_finalize(st);
    }
    fl_buf_deinit(&sql);
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

/// Of one moment: what rows name, and what stays though none does. The newest definition of each
/// flow does: an engine that has the script loaded may be about to name it.
static fl_code make_marks(fl_store *s, const fl_table *t, marks *m, fl_error *err) {
  char sql[64];
  sqlite3_stmt *st = NULL;
  bool row = false;
  snprintf(sql, sizeof sql, "SELECT max(id) FROM %s", t->name);
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  code = fl_store_get_int(s, sql, &m->max, err);
  m->bits = fl_alloc_zero((size_t)m->max / 8 + 1, 1);
  if (t->named_by == FL_COLUMN_VALUE) {
    mark(m, 0, FL_VALUE_ID_EMPTY_MAP);
    mark(m, 0, FL_VALUE_ID_NULL);
  }
  if (!code && t->named_by == FL_COLUMN_DEFINITION)
    code = fl_store_prepare_own(s, "SELECT max(id) FROM definition GROUP BY flow", &st, err);
  while (!code && st && !(code = fl_store_read(s, st, &row, err)) && row)
    mark(m, 0, sqlite3_column_int64(st, 0));
  sqlite3_finalize(st);
  if (!code) code = fl_prune_each_named(s, t->named_by, mark, m, err);
  fl_store_read_end(s);
  return code;
}

/// Up to a batch of unmarked ids behind `*at`, which goes on; fewer: these are the last.
static fl_code find_unmarked(fl_store *s, const fl_table *t, const marks *m, int64_t *at,
                             id_list *out, fl_error *err) {
  char sql[96];
  sqlite3_stmt *st;
  bool row = false;
  out->count = 0;
  snprintf(sql, sizeof sql, "SELECT id FROM %s WHERE id>?1 AND id<=?2 ORDER BY id", t->name);
  fl_code code = fl_store_prepare_own(s, sql, &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, *at);
  sqlite3_bind_int64(st, 2, m->max);
  while (out->count < BATCH && !(code = fl_store_read(s, st, &row, err)) && row) {
    *at = sqlite3_column_int64(st, 0);
    if (!(m->bits[*at / 8] & 1 << *at % 8)) out->ids[out->count++] = *at;
  }
  sqlite3_finalize(st);
  return code;
}

/// Deletes them, unless a writer has named one meanwhile. *mine false: another prune has announced
/// a sweep of its own, and goes on with it.
static fl_code delete_unmarked(fl_pruning *p, const fl_table *t, const id_list *list, int64_t sweep,
                               bool *mine, fl_error *err) {
  fl_store *s = p->store;
  char sql[160];
  sqlite3_stmt *st;
  snprintf(
      sql, sizeof sql,
      "DELETE FROM %s WHERE id=?1 AND NOT EXISTS(SELECT 1 FROM touched WHERE kind=%d AND id=?1)",
      t->name, (int)t->named_by);
  fl_code code = fl_store_prepare_own(s, sql, &st, err);
  if (code) return code;
  for (size_t i = 0; !code && *mine && i < list->count && !p->stopped; i++) {
    bool fresh = !fl_store_is_open(s);
    int64_t now = sweep;
    code = fl_prune_begin(p, err);
    if (!code && fresh)
      code = fl_store_get_int(s, "SELECT value FROM meta WHERE key='sweeping'", &now, err);
    *mine = now == sweep;
    if (code || !*mine) break;
    sqlite3_bind_int64(st, 1, list->ids[i]);
    code = fl_store_write(s, st, err);
    if (!code) code = fl_prune_breathe(p, err);
  }
  sqlite3_finalize(st);
  return code ? code : fl_prune_end(p, err);
}

static fl_code sweep_content(fl_pruning *p, const fl_table *t, int64_t sweep, bool *mine,
                             fl_error *err) {
  marks m = {0};
  int64_t at = 0;
  id_list list = {.count = BATCH};
  fl_code code = make_marks(p->store, t, &m, err);
  while (!code && *mine && list.count == BATCH && !p->stopped) {
    code = find_unmarked(p->store, t, &m, &at, &list, err);
    if (!code) code = delete_unmarked(p, t, &list, sweep, mine, err);
  }
  free(m.bits);
  return code;
}

/// Tells everybody who remembers ids, in its own commit, before anything is looked for. What an
/// earlier sweep was told of is forgotten, in small pieces.
static fl_code announce(fl_pruning *p, int64_t *sweep, fl_error *err) {
  fl_store *s = p->store;
  int64_t left = 1;
  fl_code code = FL_OK;
  while (!code && left > 0) {
    code = fl_prune_begin(p, err);
    if (!code)
      code = run_sql(
          s, "DELETE FROM touched WHERE (kind,id) IN (SELECT kind,id FROM touched LIMIT ?1)",
          p->chunk, 0, err);
    if (!code) code = fl_store_get_int(s, "SELECT EXISTS(SELECT 1 FROM touched)", &left, err);
    if (!code && left) code = fl_prune_breathe(p, err);
  }
  // In the transaction that saw it empty.
  if (!code)
    code = run_sql(s,
                   "INSERT INTO meta VALUES('sweeps',?1) ON CONFLICT(key) DO UPDATE SET"
                   " value=value+1",
                   1, 0, err);
  if (!code) code = fl_store_get_int(s, "SELECT value FROM meta WHERE key='sweeps'", sweep, err);
  if (!code) code = run_sql(s, "INSERT OR REPLACE INTO meta VALUES('sweeping',?1)", *sweep, 0, err);
  if (!code)
    code = run_sql(s,
                   "INSERT INTO meta SELECT 'swept_max',coalesce(max(id),0)+?1 FROM value WHERE 1"
                   " ON CONFLICT(key) DO UPDATE SET value=max(value,excluded.value)",
                   0, 0, err);
  if (!code)
    code =
        fl_store_get_int(s, "SELECT value FROM meta WHERE key='swept_max'", &s->suspect_max, err);
  if (!code) s->sweeps = s->sweeping = *sweep;
  return code ? code : fl_prune_end(p, err);
}

static fl_code withdraw(fl_pruning *p, fl_error *err) {
  fl_code code = fl_prune_begin(p, err);
  if (!code) code = run_sql(p->store, "DELETE FROM meta WHERE key='sweeping' AND ?1=0", 0, 0, err);
  p->store->sweeping = 0;
  return code ? code : fl_prune_end(p, err);
}

fl_code fl_prune_sweep(fl_pruning *p, fl_error *err) {
  int64_t sweep = 0;
  bool mine = true;
  fl_code code = sweep_tables(p, FL_TABLE_OF_RUN, err);
  if (!code && !p->stopped) code = announce(p, &sweep, err);
  for (const fl_table *t = fl_tables; !code && t < fl_tables + FL_STORE_TABLES; t++) {
    if (t->use != FL_TABLE_SHARED || !mine || p->stopped) continue;
    code = sweep_content(p, t, sweep, &mine, err);
    // Parts name content, too: those of what is gone go before the next table is looked at.
    if (!code) code = sweep_tables(p, FL_TABLE_PART, err);
  }
  if (!code && mine && sweep) code = withdraw(p, err);
  if (code) fl_store_rollback(p->store);
  return code;
}
