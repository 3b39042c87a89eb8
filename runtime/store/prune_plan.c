// Which ended runs go. Pure reading, in one snapshot.
//
// Trees (a run with the runs it called) are ranked by the end of their root. Every value,
// definition and log belongs to the newest tree that names it: it is freed when that one goes. So
// the bytes of any number of oldest trees are known after one pass.
#include "store/prune_internal.h"

#define LIVE UINT32_MAX

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

#define CLOCK          "clock"          // in meta
#define CLOCK_MS       (10 * 60 * 1000) // from one look to the next
#define RUNS_LOOKED_AT 100

// An older version kept nothing: what the last runs say is the best that is known.
static fl_code guess_ages(fl_store *s, fl_ages *ages, fl_error *err) {
  int64_t last_ms = 0;
  char sql[160];
  snprintf(sql, sizeof sql,
           "SELECT max(coalesce(ended_ms,created_ms)) FROM (SELECT ended_ms,created_ms FROM run"
           " ORDER BY row DESC LIMIT %d)",
           RUNS_LOOKED_AT);
  fl_code code = fl_store_get_int(s, sql, &last_ms, err);
  if (!code && last_ms) (void)fl_ages_look(ages, "?", 0, last_ms);
  return code;
}

fl_code fl_store_get_ages(fl_store *s, fl_ages *ages, bool *news, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  char boot[FL_BOOT_ID_SIZE];
  *ages = (fl_ages){0};
  fl_code code = fl_store_prepare_own(s, "SELECT value FROM meta WHERE key='" CLOCK "'", &st, err);
  if (code) return code;
  code = fl_store_read(s, st, &row, err);
  const char *text = !code && row ? (const char *)sqlite3_column_text(st, 0) : NULL;
  if (text) fl_ages_read(ages, text);
  sqlite3_finalize(st);
  if (!code && !ages->count) code = guess_ages(s, ages, err);
  if (code) return code;
  fl_boot_id(boot);
  const fl_clock *c = &s->clock;
  int64_t looked_ms = ages->up_ms, up_ms = c->up_ms ? c->up_ms(c->ud) : c->monotonic_ms(c->ud);
  *news = fl_ages_look(ages, *boot ? boot : "?", up_ms, c->wall_ms(c->ud));
  *news |= up_ms - looked_ms > CLOCK_MS;
  return FL_OK;
}

fl_code fl_store_note_clock(fl_store *s, fl_error *err) {
  sqlite3_stmt *st;
  fl_ages ages;
  char text[FL_AGE_TEXT_SIZE];
  bool news = false;
  int64_t now_ms = s->clock.monotonic_ms(s->clock.ud);
  if (s->looked_ms && now_ms - s->looked_ms < CLOCK_MS) return FL_OK;
  fl_code code = fl_store_get_ages(s, &ages, &news, err);
  if (code || !news) goto out;
  fl_ages_write(&ages, text);
  code = fl_store_prepare_own(s, "INSERT OR REPLACE INTO meta VALUES('" CLOCK "',?1)", &st, err);
  if (code) return code;
  fl_store_bind_text(st, 1, text);
  code = fl_store_write(s, st, err);
  sqlite3_finalize(st);
out:
  if (!code) s->looked_ms = now_ms ? now_ms : 1;
  return code;
}

static fl_code load_runs(fl_store *s, fl_prune_plan *p, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code =
      fl_store_prepare_own(s,
                           "SELECT row,id,state,parent_run,coalesce(ended_ms,created_ms),"
                           "owner FROM run ORDER BY row",
                           &st, err);
  if (code) return code;
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    fl_prune_run *run = grow(p);
    uint32_t index = (uint32_t)(p->run_count - 1);
    *run = (fl_prune_run){.row = sqlite3_column_int64(st, 0), .root = index, .next = UINT32_MAX};
    snprintf(run->id, sizeof run->id, "%s", (const char *)sqlite3_column_text(st, 1));
    // An ended run with an owner that lives: somebody is resuming it.
    bool live =
        !fl_run_state_is_final(fl_store_enum(sqlite3_column_int(st, 2), FL_RUN_STATE_COUNT));
    if (!live) live = fl_store_owner_lives(s, (const char *)sqlite3_column_text(st, 5));
    p->trees[index] =
        (fl_prune_tree){.root = index, .live = live, .clock_ms = sqlite3_column_int64(st, 4)};
    p->trees[index].ended_ms = p->ages.wall_ms - fl_ages_of(&p->ages, p->trees[index].clock_ms);
    // Who is called has a later row than its caller, so that the caller's root is known.
    size_t parent = find_run(p, sqlite3_column_int64(st, 3));
    if (parent == SIZE_MAX || parent == index) continue;
    run->root = p->runs[parent].root;
    p->trees[run->root].live |= live;
  }
  sqlite3_finalize(st);
  return code;
}

/// Keeps what the wish does not name: the last runs of each flow, and, unless it says so, the last
/// one that succeeded and those that failed, for a resume may go on with them.
static fl_code keep_asked(fl_store *s, fl_prune_plan *p, const fl_prune_wish *wish, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false, succeeded = false;
  uint32_t count = 0;
  fl_buf flow;
  fl_code code = fl_store_prepare_own(
      s, "SELECT row,flow,state FROM run WHERE parent_run IS NULL ORDER BY flow DESC,row DESC", &st,
      err);
  if (code) return code;
  fl_buf_init(&flow, 1 << 20);
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    const char *key = (const char *)sqlite3_column_text(st, 1);
    int state = fl_store_enum(sqlite3_column_int(st, 2), FL_RUN_STATE_COUNT);
    size_t at = find_run(p, sqlite3_column_int64(st, 0));
    if (strcmp(fl_buf_cstr(&flow), key) || !flow.size) {
      fl_buf_reset(&flow);
      fl_buf_add_str(&flow, key);
      succeeded = false;
      count = 0;
    }
    bool keep = count++ < wish->last;
    if (state == FL_RUN_SUCCEEDED && !wish->all) {
      keep |= !succeeded;
      succeeded = true;
    }
    if (state == FL_RUN_FAILED && !wish->all) keep = true;
    if (keep && at != SIZE_MAX) p->trees[p->runs[at].root].live = true;
  }
  sqlite3_finalize(st);
  fl_buf_deinit(&flow);
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

/// Adds the rows of a shared table to the trees that would free them. The newest definition of each
/// flow stays: see prune_sweep.c.
static fl_code add_shared(fl_store *s, fl_prune_plan *p, const fl_table *t, fl_error *err) {
  char sql[256];
  sqlite3_stmt *st = NULL;
  bool row = false;
  int64_t max = 0;
  users u = {.plan = p, .last_run = -1};
  snprintf(sql, sizeof sql, "SELECT max(id) FROM %s", t->name);
  fl_code code = fl_store_get_int(s, sql, &max, err);
  if (code) return code;
  u.count = (size_t)max + 1;
  u.newest = fl_alloc_zero(u.count, sizeof *u.newest);
  code = fl_prune_each_named(s, t->named_by, note_user, &u, err);
  if (!code && t->named_by == FL_COLUMN_DEFINITION)
    code = fl_store_prepare_own(s, "SELECT max(id) FROM definition GROUP BY flow", &st, err);
  while (!code && st && !(code = fl_store_read(s, st, &row, err)) && row)
    note_user(&u, 0, sqlite3_column_int64(st, 0));
  sqlite3_finalize(st);
  st = NULL;
  snprintf(sql, sizeof sql, "SELECT id,%s FROM %s", t->bytes, t->name);
  if (!code) code = fl_store_prepare_own(s, sql, &st, err);
  while (!code && !(code = fl_store_read(s, st, &row, err)) && row) {
    uint32_t newest = u.newest[sqlite3_column_int64(st, 0)];
    if (newest && newest != LIVE) p->trees[newest - 1].bytes += sqlite3_column_int64(st, 1);
  }
  sqlite3_finalize(st);
  free(u.newest);
  return code;
}

/// Adds the rows of runs to their trees.
static fl_code add_rows(fl_store *s, fl_prune_plan *p, const fl_table *t, fl_error *err) {
  char sql[256];
  sqlite3_stmt *st;
  bool row = false;
  snprintf(sql, sizeof sql, "SELECT %1$s,sum(%2$s) FROM %3$s GROUP BY %1$s", t->key, t->bytes,
           t->name);
  fl_code code = fl_store_prepare_own(s, sql, &st, err);
  if (code) return code;
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    size_t at = find_run(p, sqlite3_column_int64(st, 0));
    if (at != SIZE_MAX && p->rank[at] != LIVE)
      p->trees[p->rank[at]].bytes += sqlite3_column_int64(st, 1);
  }
  sqlite3_finalize(st);
  return code;
}

static fl_code add_bytes(fl_store *s, fl_prune_plan *p, fl_error *err) {
  fl_code code = FL_OK;
  for (const fl_table *t = fl_tables; !code && t < fl_tables + FL_STORE_TABLES; t++) {
    // Scripts and sources go with definitions, and are small beside what their runs have.
    if (t->use == FL_TABLE_OF_RUN) code = add_rows(s, p, t, err);
    if (t->named_by == FL_COLUMN_VALUE || t->named_by == FL_COLUMN_DEFINITION)
      code = add_shared(s, p, t, err);
  }
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

fl_code fl_prune_plan_make(fl_store *s, const fl_prune_wish *wish, fl_prune_plan *plan,
                           fl_error *err) {
  int64_t total = 0;
  bool sized = wish->size_max_bytes >= 0, aged = wish->older_than_ms != FL_PRUNE_ANY_AGE;
  *plan = (fl_prune_plan){0};
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  bool news;
  code = fl_store_get_ages(s, &plan->ages, &news, err);
  if (!code) code = load_runs(s, plan, err);
  if (!code) code = keep_asked(s, plan, wish, err);
  if (!code) code = keep_originals(s, plan, err);
  if (code) goto out;
  rank_trees(plan);
  if (sized) code = measure(s, &total, err);
  while (plan->chosen < plan->tree_count &&
         (aged ? plan->trees[plan->chosen].ended_ms < wish->older_than_ms : wish->last && !sized))
    plan->chosen++;
  for (size_t i = plan->chosen; aged && i < plan->tree_count; i++)
    plan->doubtful += plan->trees[i].clock_ms < wish->older_than_ms;
  bool large = sized && total > wish->size_max_bytes;
  // The whole store is read for it: not where nothing goes.
  if (!code && (plan->chosen || large)) code = add_bytes(s, plan, err);
  for (size_t i = 0; !code && i < plan->chosen; i++) total -= plan->trees[i].bytes;
  while (!code && large && plan->chosen < plan->tree_count && total > wish->size_max_bytes)
    total -= plan->trees[plan->chosen++].bytes;
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
