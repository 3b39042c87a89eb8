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
  ok(fl_store_add_run(s, &run, T0, &err));
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, text);
  add_ended(s, &run, 1, 1, 3, FL_ATTEMPT_SUCCEEDED, "[\"shared by all\"]");
  decide(s, &run, 2, 5, FL_NODE_SKIPPED, FL_REASON_WHEN_FALSE, NULL);
  fl_value *v = value_of("[\"checkpoint\"]");
  ok(fl_store_put_checkpoint(s, run.row, 1, 1, T0, v, &err));
  ok(fl_store_put_step(s, run.row, 1, "one", v, &err));
  ok(fl_store_put_progress(s, run.row, 1, 1, 2, NULL, T0, &err));
  fl_value_unref(v);
  fl_instance_row instance = {run.row, 4, 1, 1, "clean[1]", 1, NULL};
  ok(fl_store_add_instance(s, &instance, &err));
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
  ok(fl_store_prune(s, older_ms, size, dry_run, &ids, bytes, &err));
  assert_string_equal(fl_buf_cstr(&ids), expected);
  fl_buf_deinit(&ids);
}

static const char *const tables[] = {"attempt", "decision", "instance", "checkpoint",
                                     "step",    "progress", "epoch",    "run_input"};

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
  fl_store *s = open_store(dir);
  add_old(s, dir, "live", 0, 0);
  fl_run_row resumed = add_old(s, dir, "resumed", T0, 0), done = add_old(s, dir, "done", T0, 0);
  // Somebody has just taken it to resume it: it still says failed.
  ok(fl_store_take_run(s, resumed.row, "me", 0, false, true, fl_wall_ms(), &epoch, &err));
  prune(s, INT64_MAX, 0, false, "[\"done\"]", &bytes);
  assert_rows(s, "SELECT id FROM run ORDER BY row", "live\nresumed");
  (void)done;
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
  prune(s, -1, total * 2, true, "[]", &bytes);
  prune(s, -1, total - 150000, true, "[\"r0\",\"r1\"]", &bytes);
  prune(s, -1, total - 150000, false, "[\"r0\",\"r1\"]", &bytes);
  assert_true(bytes > 200000 && bytes < 230000);
  prune(s, -1, 0, false, "[\"r2\",\"r3\",\"r4\",\"r5\"]", &bytes);
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
    ok(fl_store_add_run(s, &run, 0, &err));
    ok(fl_store_renew_lease(s, run.row, 0, &err));
    ok(fl_store_commit(s, &err));
  }
  prune(s, T0 + 10, -1, false, "[\"r0\",\"r1\",\"r2\"]", &bytes);
  assert_rows(s, "SELECT id FROM definition", "3");
  assert_rows(s, "SELECT count(*),max(definition) FROM definition_node", "4|3");
  assert_rows(s, "SELECT id FROM script", "3");
  assert_rows(s, "SELECT CAST(data AS TEXT) FROM source", "return 2");
  // An engine that has it loaded can still start it.
  snprintf(run.id, sizeof run.id, "r9");
  ok(fl_store_add_run(s, &run, T0, &err));
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(old_runs_go_with_all_that_is_theirs),
      cmocka_unit_test(a_live_run_is_never_removed),
      cmocka_unit_test(a_run_goes_with_those_it_called),
      cmocka_unit_test(the_oldest_go_until_the_state_is_small),
      cmocka_unit_test(blobs_and_left_over_files_are_swept),
      cmocka_unit_test(the_newest_definition_of_a_flow_stays),
      cmocka_unit_test(many_rows_go_in_several_transactions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
