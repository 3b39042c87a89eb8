// context, explain and logs: what an attempt saw, why a node is where it is, where its output is.
#include "read/read.h"
#include "store/store_internal.h"
#include "store_helper.h"

static json_t *context(fl_store *s, const fl_run_row *run, const char *node, uint32_t attempt) {
  fl_buf out;
  fl_buf_init(&out, 1 << 20);
  ok(fl_read_store_context(s, run, node, attempt, &out, &err));
  json_t *json = parse(&out);
  fl_buf_deinit(&out);
  return json;
}

static void an_attempt_shows_what_it_saw_at_its_time(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  uint32_t epoch;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "x", &run);
  fl_store_rollback(s);
  run.script = put_script(s, "return sales");
  run.definition = put_definition(s, run.script);
  snprintf(run.id, sizeof run.id, "r1");
  run.params = put_text(s, "{\"n\":1}");
  ok(fl_store_add_run(s, &run, &err));
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "[\"first\"]");
  fl_attempt_row a = claim(&run, 1, 1, 3);
  a.vars_in = put_text(s, "{\"v\":1}");
  ok(fl_store_add_attempt(s, &a, &err));
  a.state = FL_ATTEMPT_FAILED;
  a.end_seq = 4;
  a.error = "it broke";
  a.exit_code = 7;
  a.recorded = put_text(s, "[0.5]");
  ok(fl_store_end_attempt(s, &a, &err));
  ok(fl_store_commit(s, &err));
  // Resumed with other params; extract runs again, so that clean sees other inputs.
  ok(fl_store_take_run(s, run.row, "e2", 0, true, &epoch, &err));
  ok(fl_store_set_run_inputs(s, run.row, run.definition, run.script, put_text(s, "{\"n\":2}"), 0,
                             &err));
  run.epoch = epoch;
  add_ended(s, &run, 0, 2, 5, FL_ATTEMPT_SUCCEEDED, "[\"second\"]");
  add_ended(s, &run, 1, 2, 7, FL_ATTEMPT_SUCCEEDED, "{\"rows\":3}");
  ok(fl_store_commit(s, &err));

  json_t *json = context(s, &run, "clean", 1);
  assert_string_equal(text_at(json, "run"), "r1");
  assert_member(json, "attempt", "1");
  assert_member(json, "params", "{\"n\":1}");
  assert_member(json, "vars", "{\"v\":1}");
  assert_member(json, "inputs", "{\"extract\":[\"first\"]}");
  assert_member(json, "outputs", "null");
  assert_member(json, "vars_out", "null");
  assert_member(json, "recorded", "[0.5]");
  json_t *attempts = json_object_get(json, "attempts");
  assert_int_equal(json_array_size(attempts), 2);
  assert_string_equal(text_at(json_array_get(attempts, 0), "error"), "it broke");
  assert_member(json_array_get(attempts, 0), "exit_code", "7");
  assert_string_equal(text_at(json_array_get(attempts, 1), "status"), "succeeded");
  json_decref(json);
  json = context(s, &run, "clean", 0);
  assert_member(json, "attempt", "2");
  assert_member(json, "params", "{\"n\":2}");
  assert_member(json, "inputs", "{\"extract\":[\"second\"]}");
  assert_member(json, "outputs", "{\"rows\":3}");
  json_decref(json);

  fl_buf out;
  fl_buf_init(&out, 1 << 20);
  fails(fl_read_store_context(s, &run, "clean", 3, &out, &err), FL_E_NOT_FOUND, "no attempt 3");
  fails(fl_read_store_context(s, &run, "load", 0, &out, &err), FL_E_NOT_FOUND, "has not run yet");
  fails(fl_read_store_context(s, &run, "lod", 0, &out, &err), FL_E_NOT_FOUND, "no node 'lod'");
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

static void assert_checkpoint(fl_store *s, const fl_run_row *run, uint32_t attempt,
                              const char *saved, const char *restored) {
  json_t *json = context(s, run, "clean", attempt);
  assert_member(json, "checkpoint", saved);
  assert_member(json, "restored", restored);
  json_t *digests = json_object_get(json, "digests");
  assert_int_equal(json_is_null(json_object_get(digests, "restored")), !strcmp(restored, "null"));
  json_decref(json);
}

static void a_checkpoint_is_shown_with_the_attempts_that_got_it_back(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  fl_value *by_node = fl_value_new("{\"at\":5}", 8), *by_hand = fl_value_new("{\"at\":9}", 8);
  add_ended(s, &run, 1, 1, 1, FL_ATTEMPT_FAILED, NULL);
  add_ended(s, &run, 1, 2, 3, FL_ATTEMPT_FAILED, NULL);
  add_ended(s, &run, 1, 3, 5, FL_ATTEMPT_FAILED, NULL);
  assert_checkpoint(s, &run, 3, "null", "null");
  ok(fl_store_put_checkpoint(s, run.row, 1, 2, T0, by_node, &err));
  // What the second one got back itself is not known any more.
  assert_checkpoint(s, &run, 1, "null", "null");
  assert_checkpoint(s, &run, 2, "{\"at\":5}", "null");
  assert_checkpoint(s, &run, 3, "null", "{\"at\":5}");
  // Another is given by hand, by a patch that began an epoch.
  fl_epoch_row epoch = {.epoch = 2, .owner = "e", .supervisor = "", .at_ms = T0};
  epoch.patch = put_text(s, "{\"checkpoints\":{\"clean\":{\"at\":9}}}");
  ok(fl_store_put_checkpoint(s, run.row, 1, 0, T0, by_hand, &err));
  run.epoch = 2;
  add_ended(s, &run, 1, 4, 7, FL_ATTEMPT_FAILED, NULL);
  assert_checkpoint(s, &run, 4, "null", "null"); // nobody says when
  ok(fl_store_put_epoch(s, run.row, &epoch, &err));
  assert_checkpoint(s, &run, 4, "null", "{\"at\":9}");
  assert_checkpoint(s, &run, 3, "null", "null");
  fl_value_unref(by_node);
  fl_value_unref(by_hand);
  fl_store_close(s);
  remove_dir(dir);
}

static void an_item_sees_the_inputs_of_its_map(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "[10,20]");
  fl_item_row item = {run.row, 4, 1, 1, "clean[1]", put_text(s, "10"), NULL};
  ok(fl_store_add_item(s, &item, &err));
  add_ended(s, &run, 4, 1, 3, FL_ATTEMPT_SUCCEEDED, "11");
  json_t *json = context(s, &run, "clean[1]", 0);
  assert_member(json, "inputs", "{\"extract\":[10,20]}");
  assert_member(json, "item", "10");
  assert_member(json, "outputs", "11");
  json_decref(json);
  fl_store_close(s);
  remove_dir(dir);
}

static json_t *explain(fl_store *s, const fl_run_row *run, const char *node) {
  fl_buf out;
  fl_buf_init(&out, 1 << 20);
  ok(fl_read_store_explain(s, run, node, &out, &err));
  json_t *json = parse(&out);
  fl_buf_deinit(&out);
  return json;
}

/// "node status reason detail; ..." of all nodes explained. Yours.
static char *summary(json_t *json) {
  fl_buf out;
  size_t i;
  json_t *node;
  fl_buf_init(&out, 10000);
  json_array_foreach(json_object_get(json, "nodes"), i, node)
      fl_buf_addf(&out, "%s %s %s %s; ", text_at(node, "node"), text_at(node, "status"),
                  text_at(node, "reason"), text_at(node, "detail"));
  char *text = strdup(fl_buf_cstr(&out));
  fl_buf_deinit(&out);
  return text;
}

static void assert_explained(fl_store *s, const fl_run_row *run, const char *node,
                             const char *expected) {
  json_t *json = explain(s, run, node);
  char *text = summary(json);
  assert_string_equal(text, expected);
  free(text);
  json_decref(json);
}

static void a_live_run_says_what_it_waits_for(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  fl_attempt_row a = claim(&run, 0, 1, 1);
  ok(fl_store_add_attempt(s, &a, &err));
  // load waits for clean, which waits for extract: only the first step of the chain is news.
  assert_explained(s, &run, NULL,
                   "extract queued ready -; clean pending waits_for_nodes extract; ");
  assert_explained(s, &run, "report", "report pending waits_for_nodes extract, load; ");
  assert_explained(s, &run, "extract", "extract queued ready -; ");
  a.state = FL_ATTEMPT_FAILED;
  a.end_seq = 2;
  a.retry_at_ms = T0 + 60000;
  a.error = "exit code 1";
  ok(fl_store_end_attempt(s, &a, &err));
  assert_explained(s, &run, NULL,
                   "extract retrying waits_for_retry until 2023-11-14T22:14:20.000Z; exit code 1; "
                   "clean pending waits_for_nodes extract; ");
  fl_store_close(s);
  remove_dir(dir);
}

static bool everybody_is_dead(void *ud, const char *owner) {
  (void)ud, (void)owner;
  return false;
}

static void a_node_that_could_start_says_what_it_waits_for(void **state) {
  char *dir = make_dir();
  fl_run_row run, other;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  ok(fl_store_commit(s, &err));
  assert_int_equal(sqlite3_exec(s->db,
                                "UPDATE definition_node SET parents='[]', slot=1;"
                                "UPDATE definition_node SET pool='gpu',weight=2,capacity=3"
                                " WHERE name IN ('extract','report');"
                                "UPDATE definition_node SET slot=NULL WHERE name='load'",
                                NULL, NULL, NULL),
                   SQLITE_OK);
  // Nothing is known to be in its way.
  assert_explained(s, &run, "report", "report pending - -; ");
  fl_attempt_row a = claim(&run, 0, 1, 1);
  ok(fl_store_begin(s, &err));
  ok(fl_store_add_attempt(s, &a, &err));
  // A claim takes from its pool; a slot is taken by what has begun.
  assert_explained(s, &run, "report",
                   "report pending waits_for_pool gpu: 2 of 3 in use by extract; ");
  assert_explained(s, &run, "clean", "clean pending - -; ");
  a.state = FL_ATTEMPT_RUNNING;
  a.started_ms = T0 + 9;
  ok(fl_store_start_attempt(s, &a, &err));
  assert_explained(s, &run, "clean", "clean pending waits_for_slot 1 in use by extract; ");
  assert_explained(s, &run, "load", "load pending - -; "); // not known what it needs
  // What other runs of the same engine hold is named by flow and run.
  add_run(s, "r2", &other);
  ok(fl_store_put_claims(s, other.row, T0, "[[1,1],[0,1]]", &err));
  assert_explained(s, &run, "clean",
                   "clean pending waits_for_slot 3 in use by extract, sales r2 clean, sales r2 "
                   "extract; ");
  ok(fl_store_put_claims(s, other.row, T0, NULL, &err));
  ok(fl_store_set_run_state(s, other.row, FL_RUN_QUEUED, 0, -1, NULL, &err));
  assert_explained(s, &other, "clean", "clean pending waits_for_runs r1; ");
  ok(fl_store_commit(s, &err));
  s->owner_lives = everybody_is_dead;
  assert_explained(s, &run, "clean", "clean pending engine_dead -; ");
  fl_store_close(s);
  remove_dir(dir);
}

static void a_history_is_told_in_order(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, NULL);
  add_ended(s, &run, 1, 1, 3, FL_ATTEMPT_FAILED, NULL);
  decide(s, &run, 2, 5, FL_NODE_UPSTREAM_FAILED, FL_REASON_UPSTREAM_FAILED, "clean");
  decide(s, &run, 3, 6, FL_NODE_UPSTREAM_FAILED, FL_REASON_UPSTREAM_FAILED, "load");
  decide(s, &run, 1, 7, FL_NODE_PENDING, FL_REASON_RESUME_FAILED, NULL);
  decide(s, &run, 2, 8, FL_NODE_PENDING, FL_REASON_RERUN_UPSTREAM, NULL);
  fl_attempt_row set = claim(&run, 1, 2, 9);
  set.state = FL_ATTEMPT_SUCCEEDED;
  set.end_seq = 10;
  set.synthetic = true;
  ok(fl_store_add_attempt(s, &set, &err));
  decide(s, &run, 2, 11, FL_NODE_SKIPPED, FL_REASON_SKIP_ASKED, NULL);
  ok(fl_store_set_run_state(s, run.row, FL_RUN_FAILED, 0, T0, NULL, &err));
  assert_explained(s, &run, NULL,
                   "clean succeeded synthetic -; load skipped skip_asked -; "
                   "report upstream_failed upstream_failed load; ");
  json_t *json = explain(s, &run, "clean");
  assert_string_equal(text_at(json, "status"), "failed");
  json_t *history = json_object_get(json_array_get(json_object_get(json, "nodes"), 0), "history");
  static const char *const expected[][4] = {{"started", "ready", "1", "-"},
                                            {"failed", "-", "1", "exit code 1"},
                                            {"pending", "resume_failed", "null", "-"},
                                            {"succeeded", "synthetic", "2", "-"}};
  assert_int_equal(json_array_size(history), 4);
  for (size_t i = 0; i < 4; i++) {
    json_t *entry = json_array_get(history, i);
    assert_string_equal(text_at(entry, "what"), expected[i][0]);
    assert_string_equal(text_at(entry, "reason"), expected[i][1]);
    assert_member(entry, "attempt", expected[i][2]);
    assert_string_equal(text_at(entry, "detail"), expected[i][3]);
  }
  assert_string_equal(text_at(json_array_get(history, 2), "text"), "it had failed");
  json_decref(json);
  fl_buf out;
  fl_buf_init(&out, 1000);
  fails(fl_read_store_explain(s, &run, "nope", &out, &err), FL_E_NOT_FOUND, "no node 'nope'");
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

static bool note_log(void *ud, const fl_log_entry *e) {
  fl_buf_addf(ud, "%s/%u.%u %s %d+%d of %d; ", e->node, e->node_index, e->number,
              e->ended ? e->log.path : "running", (int)e->log.offset, (int)e->log.size,
              (int)e->log.total);
  return true;
}

static void logs(fl_store *s, const fl_run_row *run, const char *node, uint32_t attempt,
                 const char *expected) {
  fl_buf out;
  fl_buf_init(&out, 10000);
  ok(fl_read_store_logs(s, run, node, attempt, note_log, &out, &err));
  assert_string_equal(fl_buf_cstr(&out), expected);
  fl_buf_deinit(&out);
}

static void logs_stand_in_the_order_of_claims(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  fl_item_row item = {run.row, 4, 1, 1, "clean[1]", 0, NULL};
  ok(fl_store_add_item(s, &item, &err));
  static const struct {
    uint32_t node, number;
    int64_t seq;
    const char *path;
    int size;
  } rows[] = {{2, 1, 1, "logs/r1/a.log", 10},
              {0, 1, 2, "logs/r1/a.log", 20},
              {2, 2, 5, "logs/r1/load.2.log", -1},
              {4, 1, 4, "", 0}};
  for (size_t i = 0; i < 4; i++) {
    fl_attempt_row a = claim(&run, rows[i].node, rows[i].number, rows[i].seq);
    ok(fl_store_add_attempt(s, &a, &err));
    a.state = FL_ATTEMPT_FAILED;
    a.end_seq = 20 + (int64_t)i;
    a.log = (fl_log_place){rows[i].path, (int64_t)i, rows[i].size, 99};
    ok(fl_store_end_attempt(s, &a, &err));
  }
  fl_attempt_row running = claim(&run, 1, 1, 3);
  ok(fl_store_add_attempt(s, &running, &err));
  logs(s, &run, NULL, 0,
       "extract/0.1 logs/r1/a.log 1+20 of 99; clean/1.1 running 0+0 of 0; "
       "clean[1]/4.1  3+0 of 99; load/2.2 logs/r1/load.2.log 2+-1 of 99; ");
  logs(s, &run, "load", 1, "load/2.1 logs/r1/a.log 0+10 of 99; ");
  logs(s, &run, "load", 0, "load/2.2 logs/r1/load.2.log 2+-1 of 99; ");
  logs(s, &run, "clean[1]", 0, "clean[1]/4.1  3+0 of 99; ");
  logs(s, &run, "report", 0, "");
  fails(fl_read_store_logs(s, &run, "nope", 0, note_log, NULL, &err), FL_E_NOT_FOUND, "'nope'");
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_attempt_shows_what_it_saw_at_its_time),
      cmocka_unit_test(a_checkpoint_is_shown_with_the_attempts_that_got_it_back),
      cmocka_unit_test(an_item_sees_the_inputs_of_its_map),
      cmocka_unit_test(a_live_run_says_what_it_waits_for),
      cmocka_unit_test(a_node_that_could_start_says_what_it_waits_for),
      cmocka_unit_test(a_history_is_told_in_order),
      cmocka_unit_test(logs_stand_in_the_order_of_claims),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
