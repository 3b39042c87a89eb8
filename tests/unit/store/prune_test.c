// Retention: which runs go, what goes with them, and what must not.
#include "store_helper.h"

#define DAY INT64_C(86400000)

/// A run that ended at `ended_ms` (0: it is live), with an attempt that names values and a log.
static fl_run_row add_old(fl_store *s, const char *dir, const char *id, int64_t ended_ms,
                          int64_t parent) {
  fl_run_row run;
  char text[64], name[64];
  add_run(s, "x", &run);
  fl_store_rollback(s);
  run.script = put_script(s, "return sales");
  run.definition = put_definition(s, run.script);
  snprintf(run.id, sizeof run.id, "%s", id);
  run.parent_run = parent;
  snprintf(text, sizeof text, "{\"of\":\"%s\"}", id);
  run.params = put_text(s, text);
  ok(fl_store_add_run(s, &run, &err));
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, text);
  add_ended(s, &run, 1, 1, 3, FL_ATTEMPT_SUCCEEDED, "[\"shared by all\"]");
  decide(s, &run, 2, 5, FL_NODE_SKIPPED, FL_REASON_WHEN_FALSE, NULL);
  fl_value *v = value_of("[\"checkpoint\"]");
  ok(fl_store_put_checkpoint(s, run.row, 1, 1, T0, v, &err));
  ok(fl_store_put_step(s, run.row, 1, "one", v, &err));
  ok(fl_store_put_progress(s, run.row, 1, 1, 2, NULL, T0, &err));
  fl_value_unref(v);
  fl_item_row item = {run.row, 4, 1, 1, "clean[1]", 1, NULL};
  ok(fl_store_add_item(s, &item, &err));
  fl_epoch_row epoch = {.epoch = 1, .owner = (char *)"a", .at_ms = T0};
  ok(fl_store_put_epoch(s, run.row, &epoch, &err));
  if (ended_ms) ok(fl_store_set_run_state(s, run.row, FL_RUN_FAILED, 0, ended_ms, NULL, &err));
  ok(fl_store_commit(s, &err));
  char *logs = join(dir, "logs");
  mkdir(logs, 0777);
  snprintf(name, sizeof name, "logs/%s", id);
  char *folder = join(dir, name);
  mkdir(folder, 0777);
  char *file = join(folder, "e.log");
  write_all_to(file, "output\n", 7);
  free(file), free(folder), free(logs);
  return run;
}

static bool has_log(const char *dir, const char *id) {
  char name[64];
  snprintf(name, sizeof name, "logs/%s/e.log", id);
  char *path = join(dir, name);
  bool there = access(path, F_OK) == 0;
  free(path);
  return there;
}

static void prune(fl_store *s, int64_t older_ms, int64_t size, bool dry_run, const char *expected,
                  int64_t *bytes) {
  fl_buf ids;
  fl_buf_init(&ids, 10000);
  fl_prune_wish wish = {
      .older_than_ms = older_ms, .size_max_bytes = size, .all = true, .dry_run = dry_run};
  ok(fl_store_prune(s, &wish, &ids, bytes, &err));
  assert_string_equal(fl_buf_cstr(&ids), expected);
  fl_buf_deinit(&ids);
}

static const char *const tables[] = {"attempt", "decision", "item",  "checkpoint",
                                     "step",    "progress", "epoch", "run_input"};

static void old_runs_go_with_all_that_is_theirs(void **state) {
  char *dir = make_dir(), sql[128];
  int64_t bytes = 0, wet = 0;
  (void)state;
  fl_store *s = open_store(dir);
  add_old(s, dir, "old", T0 - 10 * DAY, 0);
  add_old(s, dir, "new", T0 - DAY, 0);
  add_old(s, dir, "live", 0, 0);
  prune(s, T0 - 5 * DAY, -1, true, "[\"old\"]", &bytes);
  assert_int_equal(number_of(s, "SELECT count(*) FROM run"), 3);
  assert_true(has_log(dir, "old"));
  prune(s, T0 - 5 * DAY, -1, false, "[\"old\"]", &wet);
  assert_true(bytes > 500);
  assert_int_equal(bytes, wet);
  assert_rows(s, "SELECT id FROM run ORDER BY id", "live\nnew");
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    snprintf(sql, sizeof sql, "SELECT count(DISTINCT run)+10*sum(run=1) FROM %s", tables[i]);
    if (number_of(s, sql) != 2) fail_msg("%s", tables[i]);
  }
  assert_rows(s, "SELECT text FROM value WHERE id>2 ORDER BY text",
              "[\"checkpoint\"]\n[\"shared by all\"]\n{\"of\":\"live\"}\n{\"of\":\"new\"}");
  assert_false(has_log(dir, "old"));
  assert_true(has_log(dir, "new") && has_log(dir, "live"));
  prune(s, T0 - 5 * DAY, -1, false, "[]", &bytes); // nothing left to do
  assert_int_equal(bytes, 0);
  prune(s, T0 + DAY, -1, false, "[\"new\"]", &bytes);
  assert_rows(s, "SELECT id FROM run", "live");
  assert_rows(s, "PRAGMA integrity_check", "ok");
  fl_store_close(s);
  remove_dir(dir);
}

static void a_live_run_is_never_removed(void **state) {
  char *dir = make_dir();
  int64_t bytes;
  uint32_t epoch;
  (void)state;
  fl_store *s = open_owned(dir, "me");
  add_old(s, dir, "live", 0, 0);
  fl_run_row resumed = add_old(s, dir, "resumed", T0, 0), done = add_old(s, dir, "done", T0, 0);
  // Somebody has just taken it to resume it: it still says failed. Another was killed at that.
  ok(fl_store_take_run(s, resumed.row, "me", 0, true, &epoch, &err));
  ok(fl_store_take_run(s, done.row, "gone", 0, true, &epoch, &err));
  prune(s, INT64_MAX, 0, false, "[\"done\"]", &bytes);
  assert_rows(s, "SELECT id FROM run ORDER BY row", "live\nresumed");
  fl_store_close(s);
  remove_dir(dir);
}

static void a_run_goes_with_those_it_called(void **state) {
  char *dir = make_dir();
  int64_t bytes;
  (void)state;
  fl_store *s = open_store(dir);
  fl_run_row a = add_old(s, dir, "a", T0 + 5, 0), b = add_old(s, dir, "a-child", T0 + 2, a.row);
  add_old(s, dir, "a-grandchild", T0 + 1, b.row);
  fl_run_row c = add_old(s, dir, "c", T0 + 1, 0);
  add_old(s, dir, "c-child", 0, c.row); // still runs: its parent stays too
  add_old(s, dir, "d", T0 + 3, 0);
  // By the end of the root: a is the youngest.
  prune(s, T0 + 5, -1, false, "[\"d\"]", &bytes);
  prune(s, T0 + 6, -1, true, "[\"a\",\"a-child\",\"a-grandchild\"]", &bytes);
  prune(s, T0 + 6, -1, false, "[\"a\",\"a-child\",\"a-grandchild\"]", &bytes);
  assert_rows(s, "SELECT id FROM run ORDER BY row", "c\nc-child");
  assert_false(has_log(dir, "a-grandchild"));
  assert_true(has_log(dir, "c") && has_log(dir, "c-child"));
  fl_store_close(s);
  remove_dir(dir);
}

static void the_oldest_go_until_the_state_is_small(void **state) {
  char *dir = make_dir(), name[32], *large = malloc(100001);
  int64_t bytes, total = 0;
  (void)state;
  memset(large, '1', 100000);
  large[100000] = 0;
  fl_store *s = open_store(dir);
  for (int i = 0; i < 6; i++) {
    snprintf(name, sizeof name, "r%d", i);
    fl_run_row run = add_old(s, dir, name, T0 + i, 0);
    large[5] = (char)('2' + i);
    fl_value *v = value_of(large);
    ok(fl_store_put_step(s, run.row, 2, "large", v, &err));
    ok(fl_store_commit(s, &err));
    fl_value_unref(v);
  }
  total = number_of(s, "SELECT page_count*4096 FROM pragma_page_count");
  prune(s, FL_PRUNE_ANY_AGE, total * 2, true, "[]", &bytes);
  prune(s, FL_PRUNE_ANY_AGE, total - 150000, true, "[\"r0\",\"r1\"]", &bytes);
  prune(s, FL_PRUNE_ANY_AGE, total - 150000, false, "[\"r0\",\"r1\"]", &bytes);
  assert_true(bytes > 200000 && bytes < 230000);
  prune(s, FL_PRUNE_ANY_AGE, 0, false, "[\"r2\",\"r3\",\"r4\",\"r5\"]", &bytes);
  // Freed pages went back to the file system.
  assert_true(number_of(s, "SELECT page_count*4096 FROM pragma_page_count") < total - 500000);
  fl_store_close(s);
  free(large), remove_dir(dir);
}

static void blobs_and_left_over_files_are_swept(void **state) {
  char *dir = make_dir(), *text = malloc(FL_VALUE_INLINE_MAX + 3);
  int64_t bytes;
  (void)state;
  memset(text, '1', FL_VALUE_INLINE_MAX + 2);
  text[FL_VALUE_INLINE_MAX + 2] = 0;
  fl_store *s = open_store(dir);
  fl_run_row old = add_old(s, dir, "old", T0, 0), live = add_old(s, dir, "live", 0, 0);
  fl_value *gone = value_of(text);
  text[0] = '2';
  fl_value *kept = value_of(text);
  ok(fl_store_put_step(s, old.row, 2, "large", gone, &err));
  ok(fl_store_put_step(s, live.row, 2, "large", kept, &err));
  ok(fl_store_commit(s, &err));
  char *blobs = join(dir, "blobs"), *stale = join(blobs, "0123.new"), *logs = join(dir, "logs");
  char *orphan = join(logs, "pruned-by-a-killed-one"), *odd = join(logs, ".hidden name");
  char *outside = join(dir, "outside"), *link = join(logs, "link");
  write_all_to(stale, "x", 1);
  mkdir(orphan, 0777), mkdir(odd, 0777), mkdir(outside, 0777);
  char *precious = join(outside, "precious");
  write_all_to(precious, "x", 1);
  assert_int_equal(symlink(outside, link), 0);
  prune(s, T0 + 1, -1, false, "[\"old\"]", &bytes);
  assert_true(bytes > FL_VALUE_INLINE_MAX);
  assert_int_not_equal(access(stale, F_OK), 0);
  assert_int_not_equal(access(orphan, F_OK), 0);
  assert_int_equal(access(odd, F_OK), 0);      // no run id: not ours
  assert_int_equal(access(precious, F_OK), 0); // never through a link
  fl_value *read;
  ok(fl_store_get_value(s, kept->store_id, &read, &err));
  fl_value_unref(read);
  assert_int_equal(number_of(s, "SELECT count(*) FROM value WHERE text IS NULL"), 1);
  fl_value_unref(gone), fl_value_unref(kept);
  free(precious), free(outside), free(link), free(orphan), free(odd), free(logs), free(stale);
  free(blobs);
  fl_store_close(s);
  free(text), remove_dir(dir);
}

static void the_newest_definition_of_a_flow_stays(void **state) {
  char *dir = make_dir();
  int64_t bytes;
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  for (int i = 0; i < 3; i++) {
    char id[16], script[32];
    snprintf(id, sizeof id, "r%d", i);
    snprintf(script, sizeof script, "return %d", i);
    add_run(s, id, &run);
    fl_store_rollback(s);
    run.script = put_script(s, script);
    run.definition = put_definition(s, run.script);
    snprintf(run.id, sizeof run.id, "%s", id);
    run.state = FL_RUN_SUCCEEDED;
    run.ended_ms = T0 + i;
    ok(fl_store_add_run(s, &run, &err));
    ok(fl_store_release_run(s, run.row, &err));
    ok(fl_store_commit(s, &err));
  }
  prune(s, T0 + 10, -1, false, "[\"r0\",\"r1\",\"r2\"]", &bytes);
  assert_rows(s, "SELECT id FROM definition", "3");
  assert_rows(s, "SELECT count(*),max(definition) FROM definition_node", "4|3");
  assert_rows(s, "SELECT id FROM script", "3");
  assert_rows(s, "SELECT CAST(data AS TEXT) FROM source", "return 2");
  // An engine that has it loaded can still start it.
  snprintf(run.id, sizeof run.id, "r9");
  ok(fl_store_add_run(s, &run, &err));
  ok(fl_store_commit(s, &err));
  fl_store_close(s);
  remove_dir(dir);
}

static void many_rows_go_in_several_transactions(void **state) {
  char *dir = make_dir();
  int64_t bytes;
  (void)state;
  fl_store *s = open_store(dir);
  fl_run_row run = add_old(s, dir, "old", T0, 0);
  sqlite3_exec(s->db,
               "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i+1 FROM n WHERE i<50000)"
               " INSERT INTO attempt(run,node,number,epoch,seq,state,reason,claimed_ms)"
               " SELECT 1,i,1,1,i,2,1,1 FROM n",
               NULL, NULL, NULL);
  assert_int_equal(run.row, 1);
  assert_true(number_of(s, "SELECT count(*) FROM attempt") > 49000);
  prune(s, T0 + 1, -1, false, "[\"old\"]", &bytes);
  assert_true(bytes > 5000000);
  assert_int_equal(number_of(s, "SELECT count(*) FROM attempt"), 0);
  fl_store_close(s);
  remove_dir(dir);
}

// ------------------------------------------------------------------------------------- what stays

static void end_as(fl_store *s, const char *id, const char *flow, fl_run_state state) {
  char sql[128];
  snprintf(sql, sizeof sql, "UPDATE run SET flow='%s',state=%d WHERE id='%s'", flow, (int)state,
           id);
  ok(fl_store_exec(s, sql, &err));
}

static void wish_for(fl_store *s, const fl_prune_wish *wish, const char *expected) {
  fl_buf ids;
  int64_t bytes;
  fl_buf_init(&ids, 10000);
  ok(fl_store_prune(s, wish, &ids, &bytes, &err));
  assert_string_equal(fl_buf_cstr(&ids), expected);
  fl_buf_deinit(&ids);
}

static void what_a_resume_or_a_person_may_want_stays(void **state) {
  static const struct {
    const char *id, *flow;
    fl_run_state state;
  } runs[] = {{"a1", "a", FL_RUN_SUCCEEDED}, {"a2", "a", FL_RUN_SUCCEEDED},
              {"b1", "b", FL_RUN_SUCCEEDED}, {"a3", "a", FL_RUN_FAILED},
              {"a4", "a", FL_RUN_CANCELLED}, {"b2", "b", FL_RUN_CANCELLED},
              {"a5", "a", FL_RUN_CANCELLED}};
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_store(dir);
  for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
    add_old(s, dir, runs[i].id, T0 + (int64_t)i, 0);
    end_as(s, runs[i].id, runs[i].flow, runs[i].state);
  }
  fl_prune_wish wish = {.older_than_ms = T0 + DAY, .size_max_bytes = -1, .dry_run = true};
  wish_for(s, &wish, "[\"a1\",\"a4\",\"b2\",\"a5\"]");
  wish.last = 2; // of a flow: a5 and a4, b2 and b1
  wish_for(s, &wish, "[\"a1\"]");
  wish.all = true;
  wish_for(s, &wish, "[\"a1\",\"a2\",\"a3\"]");
  wish.older_than_ms = T0 + 1; // both rules: old, and none of the last
  wish_for(s, &wish, "[\"a1\"]");
  wish.older_than_ms = FL_PRUNE_ANY_AGE; // alone: all but the last
  wish_for(s, &wish, "[\"a1\",\"a2\",\"a3\"]");
  wish.size_max_bytes = 0; // no size is worth a run that is to be kept
  wish_for(s, &wish, "[\"a1\",\"a2\",\"a3\"]");
  wish.last = 0, wish.all = false;
  wish_for(s, &wish, "[\"a1\",\"a4\",\"b2\",\"a5\"]");
  wish.dry_run = false;
  wish_for(s, &wish, "[\"a1\",\"a4\",\"b2\",\"a5\"]");
  assert_rows(s, "SELECT id FROM run ORDER BY row", "a2\nb1\na3");
  fl_store_close(s);
  remove_dir(dir);
}

// ------------------------------------------------------------------------------------- clocks

static int64_t fake_wall_ms, fake_up_ms;

static int64_t read_wall(void *ud) {
  return (void)ud, fake_wall_ms;
}

static int64_t read_up(void *ud) {
  return (void)ud, fake_up_ms;
}

static void pass(int64_t ms) {
  fake_wall_ms += ms;
  fake_up_ms += ms;
}

/// A run that ends now.
static void end_now(fl_store *s, const char *dir, const char *id) {
  add_old(s, dir, id, fake_wall_ms, 0);
}

static void wish_by_clock(fl_store *s, int64_t keep_ms, const char *expected,
                          uint32_t expected_doubt) {
  uint32_t doubtful = 0;
  fl_prune_wish wish = {.older_than_ms = fake_wall_ms - keep_ms,
                        .size_max_bytes = -1,
                        .all = true,
                        .dry_run = true,
                        .doubtful = &doubtful};
  wish_for(s, &wish, expected);
  assert_int_equal(doubtful, expected_doubt);
}

static void a_clock_that_jumps_removes_nothing(void **state) {
  (void)state;
  char *dir = make_dir();
  fl_clock clock = {.wall_ms = read_wall, .monotonic_ms = read_up};
  fl_store_options options = {.durability = FL_DURABILITY_FULL, .clock = &clock};
  fl_store *s;
  fake_wall_ms = fake_up_ms = 30000; // a machine whose clock is dead
  ok(fl_store_open(dir, &options, &s, &err));
  end_now(s, dir, "at-boot");
  pass(60000);
  wish_by_clock(s, 30 * DAY, "[]", 0);
  fake_wall_ms = T0; // as the network says
  wish_by_clock(s, 30 * DAY, "[]", 1);
  pass(3600000);
  end_now(s, dir, "right");
  pass(20 * DAY);
  wish_by_clock(s, 30 * DAY, "[]", 1);
  wish_by_clock(s, 10 * DAY, "[\"at-boot\",\"right\"]", 0);
  fake_wall_ms += 3650 * DAY; // somebody set it ten years ahead
  wish_by_clock(s, 30 * DAY, "[]", 2);
  fl_store_close(s); // also to who comes later
  ok(fl_store_open(dir, &options, &s, &err));
  end_now(s, dir, "ahead");
  pass(11 * DAY);
  wish_by_clock(s, 30 * DAY, "[\"at-boot\",\"right\"]", 0);
  fake_wall_ms -= 3650 * DAY; // and back
  wish_by_clock(s, 12 * DAY, "[\"at-boot\",\"right\"]", 0);
  wish_by_clock(s, 10 * DAY, "[\"at-boot\",\"right\",\"ahead\"]", 0);
  fl_store_close(s);
  remove_dir(dir);
}

// ------------------------------------------------------------------------------------- others
// write

/// Values, definitions and scripts that rows name and that are not there; damage.
static void assert_whole(fl_store *s) {
  assert_rows(s,
              "SELECT count(*) FROM step LEFT JOIN value v ON v.id=value WHERE v.id IS NULL"
              " AND value IS NOT NULL",
              "0");
  assert_rows(s,
              "SELECT count(*) FROM attempt LEFT JOIN value v ON v.id=outputs WHERE v.id IS NULL"
              " AND outputs IS NOT NULL",
              "0");
  assert_rows(
      s,
      "SELECT count(*) FROM run r LEFT JOIN definition d ON d.id=r.definition"
      " LEFT JOIN script c ON c.id=r.script LEFT JOIN script_source p ON p.script=c.id"
      " LEFT JOIN source o ON o.id=p.source LEFT JOIN definition_node n ON n.definition=d.id"
      " WHERE d.id IS NULL OR c.id IS NULL OR o.id IS NULL OR n.name IS NULL",
      "0");
}

/// A writer beside a prune: as soon as the first row of a table was swept it names, in runs of its
/// own, others that were garbage when the sweep looked.
typedef struct rival {
  fl_store *store;
  fl_run_row run;
  fl_value *remembered[8]; // put once, when they were named by a run that is to go
  int calls, stop_at, writes;
  bool idle;
  int64_t before[4]; // rows of value, definition, script, source when the sweep was announced
  bool written[4];
} rival;

// Long enough to be kept once.
#define GONE "[\"gone %d\",\"%0400d\"]"

static const char *const swept[] = {"value", "definition", "script", "source"};

static void name_values(rival *r) {
  char name[32], text[512];
  for (int k = 0; k < 8; k++) { // some that it remembers, some that it finds by their text
    snprintf(name, sizeof name, "at %d", r->writes++);
    ok(fl_store_put_step(r->store, r->run.row, 0, name, r->remembered[k], &err));
    snprintf(text, sizeof text, GONE, 31 - k, 0);
    fl_value *found = value_of(text);
    ok(fl_store_put_step(r->store, r->run.row, 1, name, found, &err));
    fl_value_unref(found);
    snprintf(text, sizeof text, "[\"new %d\"]", r->writes);
    fl_value *fresh = value_of(text);
    ok(fl_store_put_step(r->store, r->run.row, 2, name, fresh, &err));
    fl_value_unref(fresh);
  }
}

/// A run of version `n`, which nobody ran any more.
static void name_version(rival *r, int n, const char *folder) {
  fl_run_row again = r->run;
  char text[64];
  snprintf(text, sizeof text, "return %d", n);
  snprintf(again.id, sizeof again.id, "again-%d", r->writes++);
  fl_source source = {.path = strdup("sales.lua"), .data = strdup(text), .size = strlen(text)};
  fl_snapshot snapshot = {.dir = strdup(folder), .count = 1};
  snapshot.sources = malloc(sizeof source);
  snapshot.sources[0] = source;
  fl_snapshot_digest(&snapshot);
  ok(fl_store_put_script(r->store, &snapshot, &err));
  again.script = snapshot.store_id;
  again.definition = put_definition(r->store, again.script);
  ok(fl_store_add_run(r->store, &again, &err));
  fl_snapshot_deinit(&snapshot);
}

static bool write_beside(void *ud) {
  rival *r = ud;
  char sql[64];
  if (++r->calls == r->stop_at) return true;
  if (r->idle || !number_of(r->store, "SELECT count(*) FROM meta WHERE key='sweeping'"))
    return false;
  for (int i = 0; i < 4; i++) {
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", swept[i]);
    int64_t count = number_of(r->store, sql);
    if (!r->before[i]) r->before[i] = count;
    if (r->written[i] || count >= r->before[i]) continue;
    r->written[i] = true;
    ok(fl_store_begin(r->store, &err));
    if (i == 0) name_values(r);
    if (i == 1) name_version(r, 6, "/srv/flows");
    if (i == 2) name_version(r, 5, "/srv/flows");
    if (i == 3) name_version(r, 4, "/elsewhere");
    ok(fl_store_commit(r->store, &err));
  }
  return false;
}

static fl_store *open_rivals(const char *dir, rival *r) {
  fl_store *s = open_store(dir);
  *r = (rival){.store = open_store(dir)};
  for (int i = 0; i < 8; i++) {
    char id[16], script[32];
    snprintf(id, sizeof id, "old-%d", i);
    fl_run_row old = add_old(r->store, dir, id, T0, 0);
    snprintf(script, sizeof script, "return %d", i);
    int64_t row = put_script(r->store, script);
    ok(fl_store_set_run_inputs(r->store, old.row, put_definition(r->store, row), row, 0, 0, &err));
    for (int k = 0; k < 5; k++) {
      char text[512], name[16];
      snprintf(text, sizeof text, GONE, 5 * i + k, 0);
      snprintf(name, sizeof name, "s%d", k);
      fl_value *v = value_of(text);
      ok(fl_store_put_step(r->store, old.row, 3, name, v, &err));
      if (5 * i + k >= 32) r->remembered[5 * i + k - 32] = fl_value_ref(v);
      fl_value_unref(v);
    }
    ok(fl_store_commit(r->store, &err));
  }
  r->run = add_old(r->store, dir, "live", 0, 0);
  r->run.owner = (char *)"engine-1";
  return s;
}

static void close_rivals(fl_store *s, rival *r) {
  for (int k = 0; k < 8; k++) fl_value_unref(r->remembered[k]);
  fl_store_close(r->store);
  fl_store_close(s);
}

static void what_is_named_while_a_prune_looks_stays(void **state) {
  (void)state;
  char *dir = make_dir();
  rival r;
  fl_store *s = open_rivals(dir, &r);
  fl_prune_wish wish = {.older_than_ms = T0 + 1,
                        .size_max_bytes = -1,
                        .all = true,
                        .step_by_step = true,
                        .stop = write_beside,
                        .ud = &r};
  wish_for(s, &wish,
           "[\"old-0\",\"old-1\",\"old-2\",\"old-3\",\"old-4\",\"old-5\",\"old-6\",\"old-7\"]");
  for (int i = 0; i < 4; i++)
    if (!r.written[i]) fail_msg("nothing was named while %s was swept", swept[i]);
  assert_whole(s);
  assert_rows(s, "SELECT count(*) FROM step WHERE run=(SELECT row FROM run WHERE id='live')", "25");
  assert_rows(s, "SELECT count(*) FROM meta WHERE key='sweeping'", "0");
  // Its own rows are garbage at last, and what was only noted.
  ok(fl_store_exec(s, "UPDATE run SET state=3,ended_ms=5,owner=''", &err));
  wish.stop = NULL;
  fl_buf ids;
  int64_t bytes;
  fl_buf_init(&ids, 1 << 20);
  ok(fl_store_prune(s, &wish, &ids, &bytes, &err));
  fl_buf_deinit(&ids);
  assert_rows(s, "SELECT count(*) FROM value", "2");
  assert_rows(s, "SELECT (SELECT count(*) FROM step),(SELECT count(*) FROM run)", "0|0");
  assert_rows(s, "PRAGMA integrity_check", "ok");
  close_rivals(s, &r);
  remove_dir(dir);
}

/// However far it came: nothing that is named is gone, and the next one finishes.
static void a_prune_that_ends_early_is_finished_by_the_next(void **state) {
  (void)state;
  int slices = 0;
  for (int stop_at = 1; stop_at < 400; stop_at += 11) {
    char *dir = make_dir();
    rival r;
    fl_store *s = open_rivals(dir, &r);
    r.stop_at = stop_at;
    fl_prune_wish wish = {.older_than_ms = T0 + 1,
                          .size_max_bytes = -1,
                          .all = true,
                          .step_by_step = true,
                          .stop = write_beside,
                          .ud = &r};
    fl_buf ids;
    int64_t bytes;
    fl_buf_init(&ids, 1 << 16);
    ok(fl_store_prune(s, &wish, &ids, &bytes, &err));
    slices = r.calls;
    fl_store_close(s); // as if it had died here
    s = open_store(dir);
    assert_whole(s);
    // Others go on meanwhile; the sweep that was announced is nobody's.
    ok(fl_store_begin(r.store, &err));
    name_values(&r);
    name_version(&r, 7, "/srv/flows");
    name_version(&r, 5, "/elsewhere");
    ok(fl_store_commit(r.store, &err));
    assert_whole(s);
    r.idle = true;
    ok(fl_store_prune(s, &wish, &ids, &bytes, &err));
    assert_whole(s);
    assert_rows(s, "SELECT count(*) FROM run WHERE id LIKE 'old%'", "0");
    assert_rows(s, "SELECT count(*) FROM attempt WHERE run NOT IN (SELECT row FROM run)", "0");
    fl_buf_deinit(&ids);
    close_rivals(s, &r);
    remove_dir(dir);
    if (slices < stop_at) break;
  }
  assert_true(slices > 30);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(old_runs_go_with_all_that_is_theirs),
      cmocka_unit_test(a_live_run_is_never_removed),
      cmocka_unit_test(a_run_goes_with_those_it_called),
      cmocka_unit_test(the_oldest_go_until_the_state_is_small),
      cmocka_unit_test(blobs_and_left_over_files_are_swept),
      cmocka_unit_test(the_newest_definition_of_a_flow_stays),
      cmocka_unit_test(many_rows_go_in_several_transactions),
      cmocka_unit_test(what_a_resume_or_a_person_may_want_stays),
      cmocka_unit_test(a_clock_that_jumps_removes_nothing),
      cmocka_unit_test(what_is_named_while_a_prune_looks_stays),
      cmocka_unit_test(a_prune_that_ends_early_is_finished_by_the_next),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
