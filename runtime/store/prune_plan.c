// Which ended runs go. Pure reading, in one snapshot.
//
// Trees (a run with the runs it called) are ranked by the end of their root. Every value,
// definition and log belongs to the newest tree that names it: it is freed when that one goes. So
// the bytes of any number of oldest trees are known after one pass.
#include "store/prune_internal.h"

#define LIVE UINT32_MAX

// About what a row takes, with its share of the B-tree.
#define BYTES_RUN      600
#define BYTES_ATTEMPT  110
#define BYTES_DECISION 45
#define BYTES_NODE     60
#define BYTES_VALUE    90 // beside its text

static size_t find_run(const fl_prune_plan *p, int64_t row) {
  size_t low = 0, high = p->run_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (p->runs[middle].row < row)
      low = middle + 1;
    else
      high = middle;
  }
  return low < p->run_count && p->runs[low].row == row ? low : SIZE_MAX;
}

static fl_prune_run *grow(fl_prune_plan *p) {
  if (p->run_count == p->run_capacity) {
    p->run_capacity = p->run_capacity ? 2 * p->run_capacity : 64;
    p->runs = fl_realloc(p->runs, p->run_capacity * sizeof *p->runs);
    p->trees = fl_realloc(p->trees, p->run_capacity * sizeof *p->trees);
  }
  return &p->runs[p->run_count++];
}

static fl_code load_runs(fl_store *s, fl_prune_plan *p, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  int64_t now_ms = fl_wall_ms();
  fl_code code =
      fl_store_prepare_own(s,
                           "SELECT row,id,state,parent_run,coalesce(ended_ms,created_ms),"
                           "lease_ms FROM run ORDER BY row",
                           &st, err);
  if (code) return code;
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    fl_prune_run *run = grow(p);
    uint32_t index = (uint32_t)(p->run_count - 1);
    *run = (fl_prune_run){.row = sqlite3_column_int64(st, 0), .root = index, .next = UINT32_MAX};
    snprintf(run->id, sizeof run->id, "%s", (const char *)sqlite3_column_text(st, 1));
    // A held lease on an ended run: somebody is resuming it.
    bool live =
        !fl_run_state_is_final(fl_store_enum(sqlite3_column_int(st, 2), FL_RUN_STATE_COUNT));
    if (sqlite3_column_int64(st, 5) > now_ms) live = true;
    p->trees[index] =
        (fl_prune_tree){.root = index, .live = live, .ended_ms = sqlite3_column_int64(st, 4)};
    // Who is called has a later row than its caller, so that the caller's root is known.
    size_t parent = find_run(p, sqlite3_column_int64(st, 3));
    if (parent == SIZE_MAX || parent == index) continue;
    run->root = p->runs[parent].root;
    p->trees[run->root].live |= live;
  }
  sqlite3_finalize(st);
  return code;
}

// What the nodes of a repeat saw is in the records of the run that it repeats: that one goes later.
static fl_code keep_originals(fl_store *s, fl_prune_plan *p, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(
      s, "SELECT row,replay_of FROM run WHERE replay_of IS NOT NULL ORDER BY row DESC", &st, err);
  if (code) return code;
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    size_t run = find_run(p, sqlite3_column_int64(st, 0));
    size_t original = find_run(p, sqlite3_column_int64(st, 1));
    if (run == SIZE_MAX || original == SIZE_MAX) continue;
    const fl_prune_tree *repeat = &p->trees[p->runs[run].root];
    fl_prune_tree *tree = &p->trees[p->runs[original].root];
    if (repeat == tree) continue;
    tree->live |= repeat->live;
    if (tree->ended_ms <= repeat->ended_ms) tree->ended_ms = repeat->ended_ms + 1;
  }
  sqlite3_finalize(st);
  return code;
}

static int by_end(const void *a, const void *b) {
  const fl_prune_tree *x = a, *y = b;
  if (x->ended_ms != y->ended_ms) return x->ended_ms < y->ended_ms ? -1 : 1;
  return x->root < y->root ? -1 : x->root > y->root;
}

static void rank_trees(fl_prune_plan *p) {
  // From the last one, so that each tree's list is in the order of rows.
  for (size_t i = p->run_count; i-- > 0;) {
    fl_prune_run *run = &p->runs[i], *root = &p->runs[run->root];
    if (run == root) continue;
    run->next = root->next;
    root->next = (uint32_t)i;
  }
  p->rank = fl_alloc(p->run_count * sizeof *p->rank + 1);
  for (size_t i = 0; i < p->run_count; i++)
    if (p->runs[i].root == i && !p->trees[i].live) p->trees[p->tree_count++] = p->trees[i];
  if (p->tree_count) qsort(p->trees, p->tree_count, sizeof *p->trees, by_end);
  for (size_t i = 0; i < p->run_count; i++) p->rank[i] = LIVE;
  for (size_t i = 0; i < p->tree_count; i++) p->rank[p->trees[i].root] = (uint32_t)i;
  for (size_t i = 0; i < p->run_count; i++) p->rank[i] = p->rank[p->runs[i].root];
}

// -------------------------------------------------------------------------------- bytes

/// For each id of a table, 1 + the rank of the newest tree that names it; 0: nobody.
typedef struct users {
  fl_prune_plan *plan;
  uint32_t *newest;
  size_t count;
  int64_t last_run; // rows come run by run
  uint32_t last_rank;
} users;

static void note_user(void *ud, int64_t run, int64_t id) {
  users *u = ud;
  if (run != u->last_run) {
    size_t at = find_run(u->plan, run);
    u->last_run = run;
    if (run == 0)
      u->last_rank = LIVE; // not a run's: it stays
    else if (at == SIZE_MAX)
      u->last_rank = 0; // of a run that is gone
    else
      u->last_rank = u->plan->rank[at] == LIVE ? LIVE : u->plan->rank[at] + 1;
  }
  if (id <= 0 || (size_t)id >= u->count) return;
  if (u->last_rank > u->newest[id]) u->newest[id] = u->last_rank;
}

static fl_code users_init(fl_store *s, fl_prune_plan *p, const char *max_sql, users *u,
                          fl_error *err) {
  int64_t max = 0;
  *u = (users){.plan = p, .last_run = -1};
  fl_code code = fl_store_get_int(s, max_sql, &max, err);
  if (code) return code;
  u->count = (size_t)max + 1;
  u->newest = fl_alloc_zero(u->count, sizeof *u->newest);
  return FL_OK;
}

/// Adds the sizes that `sql` gives by id to the trees that would free them.
static fl_code add_sizes(fl_store *s, const users *u, const char *sql, int64_t extra,
                         fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(s, sql, &st, err);
  if (code) return code;
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    int64_t id = sqlite3_column_int64(st, 0);
    uint32_t newest = id > 0 && (size_t)id < u->count ? u->newest[id] : 0;
    if (newest && newest != LIVE)
      u->plan->trees[newest - 1].bytes += sqlite3_column_int64(st, 1) + extra;
  }
  sqlite3_finalize(st);
  return code;
}

static fl_code add_values(fl_store *s, fl_prune_plan *p, fl_error *err) {
  users u;
  fl_code code = users_init(s, p, "SELECT max(id) FROM value", &u, err);
  if (!code) code = fl_prune_each_value(s, note_user, &u, err);
  if (!code) code = add_sizes(s, &u, "SELECT id,size FROM value", BYTES_VALUE, err);
  free(u.newest);
  return code;
}

static fl_code add_definitions(fl_store *s, fl_prune_plan *p, fl_error *err) {
  users u;
  sqlite3_stmt *st = NULL;
  bool row = false;
  fl_code code = users_init(s, p, "SELECT max(id) FROM definition", &u, err);
  // The newest of each flow stays: see prune_sweep.c.
  if (!code)
    code = fl_store_prepare_own(s,
                                "SELECT run,definition FROM run_input"
                                " UNION ALL SELECT row,definition FROM run"
                                " UNION ALL SELECT 0,max(id) FROM definition GROUP BY flow",
                                &st, err);
  while (!code && !(code = fl_store_read(s, st, &row, err)) && row)
    note_user(&u, sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1));
  sqlite3_finalize(st);
  if (!code) code = add_sizes(s, &u, "SELECT id,node_count*60 FROM definition", BYTES_NODE, err);
  free(u.newest);
  return code;
}

/// Adds `bytes` a row of `sql` (run, count) to the trees.
static fl_code add_rows(fl_store *s, fl_prune_plan *p, const char *sql, int64_t bytes,
                        fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(s, sql, &st, err);
  if (code) return code;
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    size_t at = find_run(p, sqlite3_column_int64(st, 0));
    if (at != SIZE_MAX && p->rank[at] != LIVE)
      p->trees[p->rank[at]].bytes += bytes * sqlite3_column_int64(st, 1);
  }
  sqlite3_finalize(st);
  return code;
}

static fl_code add_bytes(fl_store *s, fl_prune_plan *p, fl_error *err) {
  fl_code code = add_values(s, p, err);
  if (!code) code = add_definitions(s, p, err);
  if (!code)
    code = add_rows(s, p, "SELECT run,count(*) FROM attempt GROUP BY run", BYTES_ATTEMPT, err);
  if (!code)
    code = add_rows(s, p, "SELECT run,count(*) FROM decision GROUP BY run", BYTES_DECISION, err);
  if (!code)
    code = add_rows(s, p, "SELECT run,count(*) FROM instance GROUP BY run", BYTES_NODE, err);
  if (!code)
    code = add_rows(s, p,
                    "SELECT run,sum(coalesce(length(CAST(text AS BLOB)),0)) FROM checkpoint"
                    " GROUP BY run",
                    1, err);
  if (!code) code = add_rows(s, p, "SELECT row,1 FROM run", BYTES_RUN, err);
  for (size_t i = 0; !code && i < p->run_count; i++)
    if (p->rank[i] != LIVE) p->trees[p->rank[i]].bytes += fl_prune_log_bytes(s, p->runs[i].id);
  return code;
}

/// Bytes of the whole state: pages in use, blobs, logs.
static fl_code measure(fl_store *s, int64_t *bytes, fl_error *err) {
  fl_code code = fl_store_get_int(s,
                                  "SELECT (page_count-freelist_count)*page_size FROM"
                                  " pragma_page_count,pragma_freelist_count,pragma_page_size",
                                  bytes, err);
  if (!code) *bytes += fl_prune_blob_bytes(s) + fl_prune_logs_bytes(s);
  return code;
}

fl_code fl_prune_plan_make(fl_store *s, int64_t older_than_ms, int64_t size_max_bytes,
                           fl_prune_plan *plan, fl_error *err) {
  int64_t total = 0;
  *plan = (fl_prune_plan){0};
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  code = load_runs(s, plan, err);
  if (code) goto out;
  code = keep_originals(s, plan, err);
  if (code) goto out;
  rank_trees(plan);
  code = add_bytes(s, plan, err);
  if (!code && size_max_bytes >= 0) code = measure(s, &total, err);
  if (code) goto out;
  while (plan->chosen < plan->tree_count) {
    const fl_prune_tree *tree = &plan->trees[plan->chosen];
    bool old = older_than_ms >= 0 && tree->ended_ms < older_than_ms;
    bool large = size_max_bytes >= 0 && total > size_max_bytes;
    if (!old && !large) break;
    total -= tree->bytes;
    plan->chosen++;
  }
out:
  fl_store_read_end(s);
  if (code) fl_prune_plan_deinit(plan);
  return code;
}

void fl_prune_plan_deinit(fl_prune_plan *plan) {
  free(plan->runs);
  free(plan->trees);
  free(plan->rank);
  *plan = (fl_prune_plan){0};
}
