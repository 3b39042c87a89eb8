// Retention: takes out the runs that the plan chose, then sweeps up what nobody names any more.
// The `run` rows go first, in one transaction, so that a run is gone whole at once. All the rest is
// garbage by then; it goes in short transactions, between which engines write, and what an
// interruption leaves is found by the next prune.
#include "store/prune_internal.h"

#define VACUUM_PAGES 2000 // given back a step

/// Deletes the runs of one tree, unless one of them has come to life since the plan was made.
static fl_code remove_tree(fl_store *s, const fl_prune_plan *plan, uint32_t root, bool *removed,
                           fl_error *err) {
  sqlite3_stmt *check, *drop = NULL;
  bool row = false;
  int64_t count = 0, now_ms = fl_wall_ms();
  *removed = false;
  fl_code code = fl_store_prepare_own(
      s,
      "WITH RECURSIVE t(row) AS (SELECT ?1 UNION ALL SELECT r.row FROM run r JOIN t"
      " ON r.parent_run=t.row) SELECT count(*),sum(state<3 OR lease_ms>?2) FROM run"
      " WHERE row IN t",
      &check, err);
  if (code) return code;
  sqlite3_bind_int64(check, 1, plan->runs[root].row);
  sqlite3_bind_int64(check, 2, now_ms);
  code = fl_store_read(s, check, &row, err);
  for (uint32_t i = root; i != UINT32_MAX; i = plan->runs[i].next) count++;
  bool same = !code && row && sqlite3_column_int64(check, 0) == count &&
              sqlite3_column_int64(check, 1) == 0;
  sqlite3_finalize(check);
  if (code || !same) return code;
  code = fl_store_prepare_own(s, "DELETE FROM run WHERE row=?1", &drop, err);
  for (uint32_t i = root; !code && i != UINT32_MAX; i = plan->runs[i].next) {
    sqlite3_bind_int64(drop, 1, plan->runs[i].row);
    code = fl_store_write(s, drop, err);
  }
  sqlite3_finalize(drop);
  *removed = !code;
  return code;
}

static void add_ids(const fl_prune_plan *plan, uint32_t root, bool *first, fl_buf *ids) {
  for (uint32_t i = root; i != UINT32_MAX; i = plan->runs[i].next) {
    if (!*first) fl_buf_add_char(ids, ',');
    fl_json_write_string(ids, plan->runs[i].id, strlen(plan->runs[i].id));
    *first = false;
  }
}

static fl_code remove_trees(fl_store *s, const fl_prune_plan *plan, bool dry_run, fl_buf *ids,
                            int64_t *bytes, fl_error *err) {
  bool first = true;
  fl_code code = dry_run || !plan->chosen ? FL_OK : fl_store_begin_own(s, err);
  for (size_t i = 0; !code && i < plan->chosen; i++) {
    bool removed = dry_run;
    if (!dry_run) code = remove_tree(s, plan, plan->trees[i].root, &removed, err);
    if (code || !removed) continue;
    add_ids(plan, plan->trees[i].root, &first, ids);
    *bytes += plan->trees[i].bytes;
  }
  if (!code && !dry_run) code = fl_store_commit(s, err);
  if (code) fl_store_rollback(s);
  return code;
}

// Gives free pages back to the file system, in short steps, when they are a quarter of the file.
static fl_code shrink(fl_store *s, fl_error *err) {
  int64_t pages = 0, unused = 0, before = INT64_MAX;
  char sql[64];
  fl_code code = fl_store_get_int(s, "PRAGMA page_count", &pages, err);
  if (!code) code = fl_store_get_int(s, "PRAGMA freelist_count", &unused, err);
  if (code || unused < pages / 4) return code;
  snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES);
  while (!code && unused > 0 && unused < before) {
    before = unused;
    code = fl_store_exec(s, sql, err);
    if (!code) code = fl_store_get_int(s, "PRAGMA freelist_count", &unused, err);
  }
  return code;
}

fl_code fl_store_prune(fl_store *s, int64_t older_than_ms, int64_t size_max_bytes, bool dry_run,
                       fl_buf *ids, int64_t *bytes, fl_error *err) {
  fl_prune_plan plan = {0};
  *bytes = 0;
  fl_code code = fl_store_commit(s, err);
  if (!code) code = fl_prune_plan_make(s, older_than_ms, size_max_bytes, &plan, err);
  if (code) return code;
  fl_buf_add_char(ids, '[');
  code = remove_trees(s, &plan, dry_run, ids, bytes, err);
  fl_buf_add_char(ids, ']');
  fl_prune_plan_deinit(&plan);
  if (code || dry_run) return code;
  code = fl_prune_sweep(s, err);
  if (!code) code = fl_prune_files(s, err);
  if (!code) code = shrink(s, err);
  if (!code) code = fl_store_sync(s, err);
  if (!code) fl_store_checkpoint(s);
  return code;
}
