// Retention: takes out the runs that the plan chose, then sweeps up what nobody names any more.
// The `run` rows of a tree go first, in one transaction, so that a run is gone whole at once. All
// the rest is garbage by then. All of it goes in slices, between which engines write, and what an
// interruption leaves is found by the next prune.
#include "store/prune_internal.h"
#include <time.h>

#define VACUUM_PAGES        200 // given back a statement
#define VACUUM_PAGES_LITTLE 10
#define STOP_OPS            20000 // of SQLite's machine: a millisecond
#define OTHERS_MS           2     // until somebody else has had the lock

static void rest(int64_t ms) {
  struct timespec pause = {.tv_nsec = ms * 1000000};
  nanosleep(&pause, NULL);
}

static void let_go(fl_pruning *p) {
  if (p->begun && p->wish->end) p->wish->end(p->wish->ud);
  p->begun = false;
}

fl_code fl_prune_begin(fl_pruning *p, fl_error *err) {
  const fl_prune_wish *wish = p->wish;
  fl_code code = FL_E_BUSY;
  if (fl_store_is_open(p->store)) return FL_OK;
  while (code == FL_E_BUSY) {
    if (wish->begin && !wish->begin(wish->ud, &p->slice_us)) {
      p->stopped = true;
      return fl_fail(err, FL_E_STATE, "the prune was stopped");
    }
    p->begun = true;
    code = fl_store_begin(p->store, err);
    p->begun_us = fl_monotonic_us();
    if (code != FL_E_BUSY) break;
    let_go(p);
    rest(OTHERS_MS);
  }
  return code;
}

fl_code fl_prune_end(fl_pruning *p, fl_error *err) {
  if (!fl_store_is_open(p->store)) return FL_OK;
  // It may be lost with a power cut, all the same: the next prune finds it again.
  fl_code code = fl_store_commit_as(p->store, FL_DURABILITY_GROUP, err);
  int64_t held_ms = (fl_monotonic_us() - p->begun_us) / 1000;
  let_go(p);
  bool copy = !code && p->store->wal_pages >= p->store->checkpoint_at;
  if (copy && p->store->gives_way) {
    fl_store_checkpoint(p->store); // as far as the other handle is not writing
  } else if (!code && !p->store->gives_way && p->store->wal_pages >= FL_PRUNE_LOG_PAGES) {
    fl_store_restart_log(p->store, FL_PRUNE_SLICE_MS);
  }
  // Whoever waits for the lock looks once a millisecond.
  if (!p->wish->begin && !p->wish->step_by_step)
    rest(held_ms < OTHERS_MS ? OTHERS_MS : held_ms > 50 ? 50 : held_ms);
  p->stopped |= p->wish->stop && p->wish->stop(p->wish->ud);
  return code;
}

fl_code fl_prune_breathe(fl_pruning *p, fl_error *err) {
  bool over = p->wish->step_by_step || fl_monotonic_us() - p->begun_us >= p->slice_us;
  return over ? fl_prune_end(p, err) : FL_OK;
}

/// Deletes the runs of one tree, unless one of them has come to life since the plan was made.
static fl_code remove_tree(fl_store *s, const fl_prune_plan *plan, uint32_t root, bool *removed,
                           fl_error *err) {
  sqlite3_stmt *check, *drop = NULL;
  bool row = false;
  int64_t count = 0;
  *removed = false;
  fl_code code = fl_store_prepare_own(
      s,
      "WITH RECURSIVE t(row) AS (SELECT ?1 UNION ALL SELECT r.row FROM run r JOIN t"
      " ON r.parent_run=t.row) SELECT count(*),sum(" FL_SQL_RUN_IS_OPEN(
          "state") " OR owner_lives(owner)) FROM run"
                   " WHERE row IN t",
      &check, err);
  if (code) return code;
  sqlite3_bind_int64(check, 1, plan->runs[root].row);
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

/// What a person wants to know of the runs of a tree, read while they are there.
static fl_code add_details(fl_store *s, const fl_prune_plan *plan, uint32_t root, fl_buf *out,
                           fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  char ended[FL_TIME_TEXT_SIZE];
  fl_code code =
      fl_store_prepare_own(s, "SELECT flow,state,ended_ms FROM run WHERE row=?1", &st, err);
  for (uint32_t i = root; !code && i != UINT32_MAX; i = plan->runs[i].next) {
    sqlite3_bind_int64(st, 1, plan->runs[i].row);
    code = fl_store_read(s, st, &row, err);
    if (!code && row) {
      const char *flow = (const char *)sqlite3_column_text(st, 0);
      int64_t ended_ms = sqlite3_column_int64(st, 2);
      if (out->size && out->data[out->size - 1] == '}') fl_buf_add_char(out, ',');
      fl_buf_add_str(out, "{\"id\":");
      fl_json_write_string(out, plan->runs[i].id, strlen(plan->runs[i].id));
      fl_buf_add_str(out, ",\"flow\":");
      fl_json_write_string(out, flow, strlen(flow));
      fl_time_format(ended_ms, ended);
      fl_buf_addf(out, ",\"status\":\"%s\",\"ended_at\":\"%s\",\"age_ms\":%lld}",
                  fl_run_state_text(fl_store_enum(sqlite3_column_int(st, 1), FL_RUN_STATE_COUNT)),
                  ended, (long long)fl_ages_of(&plan->ages, ended_ms));
    }
    sqlite3_reset(st);
  }
  sqlite3_finalize(st);
  return code;
}

static fl_code remove_trees(fl_pruning *p, const fl_prune_plan *plan, fl_buf *ids, int64_t *bytes,
                            fl_error *err) {
  bool first = true;
  fl_code code = FL_OK;
  for (size_t i = 0; !code && i < plan->chosen && !p->stopped; i++) {
    bool removed = p->wish->dry_run;
    if (!removed) code = fl_prune_begin(p, err);
    size_t before = p->wish->details ? p->wish->details->size : 0;
    if (!code && p->wish->details)
      code = add_details(p->store, plan, plan->trees[i].root, p->wish->details, err);
    if (!code && !removed) code = remove_tree(p->store, plan, plan->trees[i].root, &removed, err);
    if (!code && !removed && p->wish->details) p->wish->details->size = before;
    if (!code) code = fl_prune_breathe(p, err);
    if (code || !removed) continue;
    add_ids(plan, plan->trees[i].root, &first, ids);
    *bytes += plan->trees[i].bytes;
  }
  if (!code) code = fl_prune_end(p, err);
  if (code) fl_store_rollback(p->store);
  return code;
}

// Gives free pages back to the file system, in short steps, when they are a quarter of the file.
static fl_code shrink(fl_pruning *p, fl_error *err) {
  fl_store *s = p->store;
  int64_t pages = 0, unused = 0, before = INT64_MAX;
  char sql[64];
  fl_code code = fl_store_get_int(s, "PRAGMA page_count", &pages, err);
  if (!code) code = fl_store_get_int(s, "PRAGMA freelist_count", &unused, err);
  if (code || unused < pages / 4) return code;
  snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)",
           p->wish->begin ? VACUUM_PAGES_LITTLE : VACUUM_PAGES);
  while (!code && unused > 0 && unused < before && !p->stopped) {
    before = unused;
    code = fl_prune_begin(p, err);
    if (!code) code = fl_store_exec(s, sql, err);
    if (!code) code = fl_store_get_int(s, "PRAGMA freelist_count", &unused, err);
    if (!code) code = fl_prune_breathe(p, err);
  }
  return code ? code : fl_prune_end(p, err);
}

#define UNFINISHED "pruning" // in meta, while runs are gone and what they named may be there

static fl_code set_unfinished(fl_pruning *p, bool unfinished, fl_error *err) {
  fl_code code = fl_prune_begin(p, err);
  if (!code && unfinished) code = fl_store_note_clock(p->store, err);
  if (!code)
    code = fl_store_exec(p->store,
                         unfinished ? "INSERT OR REPLACE INTO meta VALUES('" UNFINISHED "',1)"
                                    : "DELETE FROM meta WHERE key='" UNFINISHED "'",
                         err);
  return code;
}

// Of a statement that takes long: whether it is to end.
static int is_over(void *ud) {
  const fl_prune_wish *wish = ud;
  return wish->stop(wish->ud);
}

static void watch(fl_store *s, const fl_prune_wish *wish) {
  bool on = wish && wish->begin && wish->stop;
  sqlite3_progress_handler(s->db, STOP_OPS, on ? is_over : NULL, (void *)wish);
}

fl_code fl_store_prune_is_due(fl_store *s, const fl_prune_wish *wish, bool *due, fl_error *err) {
  fl_prune_plan plan = {0};
  int64_t unfinished = 0;
  watch(s, wish);
  fl_code code = fl_store_get_int(s, "SELECT EXISTS(SELECT 1 FROM meta WHERE key='" UNFINISHED "')",
                                  &unfinished, err);
  if (!code && !unfinished) code = fl_prune_plan_make(s, wish, &plan, err);
  watch(s, NULL);
  *due = unfinished || plan.chosen;
  fl_prune_plan_deinit(&plan);
  return code;
}

fl_code fl_store_prune(fl_store *s, const fl_prune_wish *wish, fl_buf *ids, int64_t *bytes,
                       fl_error *err) {
  fl_prune_plan plan = {0};
  fl_pruning p = {.store = s,
                  .wish = wish,
                  .slice_us = FL_PRUNE_SLICE_MS * 1000,
                  .chunk = wish->begin ? FL_PRUNE_LITTLE : FL_PRUNE_CHUNK};
  *bytes = 0;
  watch(s, wish);
  fl_code code = fl_store_commit(s, err);
  if (!code) code = fl_prune_plan_make(s, wish, &plan, err);
  if (code) goto out;
  fl_buf_add_char(ids, '[');
  if (wish->details) fl_buf_add_char(wish->details, '[');
  if (wish->doubtful) *wish->doubtful = plan.doubtful;
  // With the first run that goes.
  if (plan.chosen && !wish->dry_run) code = set_unfinished(&p, true, err);
  if (!code) code = remove_trees(&p, &plan, ids, bytes, err);
  fl_buf_add_char(ids, ']');
  if (wish->details) fl_buf_add_char(wish->details, ']');
  fl_prune_plan_deinit(&plan);
  if (code || wish->dry_run || p.stopped) goto out;
  code = fl_prune_sweep(&p, err);
  if (!code && !p.stopped) code = fl_prune_files(&p, err);
  if (!code && !p.stopped) code = shrink(&p, err);
  if (!code && !p.stopped) code = set_unfinished(&p, false, err);
  if (!code) code = fl_prune_end(&p, err);
  if (!code) code = fl_store_sync(s, err);
out:
  watch(s, NULL);
  if (code) fl_store_rollback(s);
  let_go(&p);
  if (code && (p.stopped || (wish->stop && wish->stop(wish->ud)))) return FL_OK;
  if (!code && !wish->dry_run) fl_store_checkpoint(s);
  return code;
}
