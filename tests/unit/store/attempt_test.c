// Attempts and decisions, as they are written and walked.
#include "store_helper.h"

typedef struct attempts {
  fl_attempt_row rows[8];
  char errors[8][64], paths[8][64];
  size_t count, limit;
} attempts;

static bool note_attempt(void *ud, const fl_attempt_row *row) {
  attempts *a = ud;
  a->rows[a->count] = *row;
  snprintf(a->errors[a->count], 64, "%s", row->error ? row->error : "-");
  snprintf(a->paths[a->count], 64, "%s", row->log.path);
  return ++a->count < a->limit;
}

static fl_attempt_row ended_row(const fl_run_row *run) {
  fl_attempt_row a = claim(run, 2, 1, 5);
  a.params = 1;
  a.vars_in = 1;
  a.state = FL_ATTEMPT_FAILED;
  a.end_seq = 6;
  a.end_reason = FL_REASON_RETRIES_USED;
  a.started_ms = T0 + 51;
  a.ended_ms = T0 + 60;
  a.exit_code = 3;
  a.signal = 9;
  a.error = "it broke";
  a.vars_out = 1, a.vars_by = 1, a.outputs = 2, a.recorded = 1;
  a.pid = 4242;
  a.retry_at_ms = T0 + 70;
  a.child_run = 11;
  a.cpu_us = 1234;
  a.rss_max_bytes = 5678;
  a.log = (fl_log_place){.path = "logs/r1/e.log", .offset = 10, .size = 20, .total = 30};
  return a;
}

static void check_ended(const fl_attempt_row *r, const char *error, const char *path,
                        const fl_attempt_row *a) {
  const int64_t pairs[][2] = {{r->run, a->run},
                              {r->node, a->node},
                              {r->number, a->number},
                              {r->epoch, a->epoch},
                              {r->seq, a->seq},
                              {r->end_seq, a->end_seq},
                              {r->state, a->state},
                              {r->reason, a->reason},
                              {r->end_reason, a->end_reason},
                              {r->claimed_ms, a->claimed_ms},
                              {r->started_ms, a->started_ms},
                              {r->ended_ms, a->ended_ms},
                              {r->exit_code, a->exit_code},
                              {r->signal, a->signal},
                              {r->params, a->params},
                              {r->vars_in, a->vars_in},
                              {r->vars_out, a->vars_out},
                              {r->vars_by, a->vars_by},
                              {r->outputs, a->outputs},
                              {r->recorded, a->recorded},
                              {r->synthetic, a->synthetic},
                              {r->pid, a->pid},
                              {r->retry_at_ms, a->retry_at_ms},
                              {r->child_run, a->child_run},
                              {r->cpu_us, a->cpu_us},
                              {r->rss_max_bytes, a->rss_max_bytes},
                              {r->log.offset, a->log.offset},
                              {r->log.size, a->log.size},
                              {r->log.total, a->log.total}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    if (pairs[i][0] != pairs[i][1]) fail_msg("field %zu", i);
  assert_string_equal(error, a->error);
  assert_string_equal(path, a->log.path);
}

static void an_attempt_is_claimed_started_and_ended(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  attempts seen = {.limit = 8};
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  fl_attempt_row a = ended_row(&run), claimed = claim(&run, 2, 1, 5);
  claimed.params = a.params, claimed.vars_in = a.vars_in;
  ok(fl_store_add_attempt(s, &claimed, &err));
  ok(fl_store_commit(s, &err));
  ok(fl_store_each_attempt(s, run.row, note_attempt, &seen, &err));
  assert_int_equal(seen.count, 1);
  assert_int_equal(seen.rows[0].state, FL_ATTEMPT_QUEUED);
  assert_int_equal(seen.rows[0].end_seq, 0);
  assert_int_equal(seen.rows[0].exit_code, -1);
  assert_string_equal(seen.errors[0], "-");
  assert_string_equal(seen.paths[0], "");

  fl_attempt_row started = claimed;
  started.state = FL_ATTEMPT_RUNNING;
  started.started_ms = a.started_ms;
  started.pid = a.pid;
  ok(fl_store_start_attempt(s, &started, &err));
  ok(fl_store_set_attempt_child(s, run.row, 2, 1, a.child_run, &err));
  ok(fl_store_commit(s, &err));
  seen.count = 0;
  ok(fl_store_each_attempt(s, run.row, note_attempt, &seen, &err));
  assert_int_equal(seen.rows[0].state, FL_ATTEMPT_RUNNING);
  assert_int_equal(seen.rows[0].started_ms, a.started_ms);
  assert_int_equal(seen.rows[0].pid, a.pid);

  // What the end does not say stays: when it started, its process, its sub-flow.
  fl_attempt_row end = a;
  end.started_ms = 0, end.pid = 0, end.child_run = 0;
  ok(fl_store_end_attempt(s, &end, &err));
  ok(fl_store_commit(s, &err));
  seen.count = 0;
  ok(fl_store_each_attempt(s, run.row, note_attempt, &seen, &err));
  check_ended(&seen.rows[0], seen.errors[0], seen.paths[0], &a);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_duration_is_as_measured_or_by_the_clock_and_never_negative(void **state) {
  static const struct {
    bool measured;
    int64_t measured_ms, by_clock_ms, expected_ms;
  } cases[] = {{true, 7, 9, 7},
               {true, 0, 9, 0},
               {true, 7, -3600000, 7},
               {false, 0, 9, 9},
               {false, 0, -3600000, 0}};
  char *dir = make_dir();
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    attempts seen = {.limit = 8};
    fl_attempt_row a = ended_row(&run);
    a.node = i;
    a.ended_ms = a.started_ms + cases[i].by_clock_ms;
    a.measured = cases[i].measured;
    a.duration_ms = cases[i].measured_ms;
    ok(fl_store_add_attempt(s, &a, &err));
    ok(fl_store_commit(s, &err));
    ok(fl_store_each_attempt(s, run.row, note_attempt, &seen, &err));
    assert_int_equal(seen.rows[i].duration_ms, cases[i].expected_ms);
    assert_int_equal(seen.rows[i].measured, cases[i].measured);
  }
  assert_rows(s, "SELECT group_concat(duration_ms) FROM v_attempt", "7,0,7,9,0");
  fl_store_close(s);
  remove_dir(dir);
}

static void an_ended_attempt_may_be_added_whole(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  attempts seen = {.limit = 8};
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  fl_attempt_row a = ended_row(&run);
  a.synthetic = true;
  ok(fl_store_add_attempt(s, &a, &err));
  ok(fl_store_commit(s, &err));
  ok(fl_store_each_attempt(s, run.row, note_attempt, &seen, &err));
  check_ended(&seen.rows[0], seen.errors[0], seen.paths[0], &a);
  fl_store_close(s);
  remove_dir(dir);
}

static void attempts_are_walked_by_node_then_number(void **state) {
  static const uint32_t added[][2] = {{3, 1}, {0, 1}, {300, 1}, {0, 2}, {1, 1}};
  static const uint32_t walked[][2] = {{0, 1}, {0, 2}, {1, 1}, {3, 1}, {300, 1}};
  char *dir = make_dir();
  fl_run_row run, other;
  attempts seen = {.limit = 8}, two = {.limit = 2};
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  add_run(s, "r2", &other);
  add_ended(s, &other, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, NULL);
  for (int i = 0; i < 5; i++)
    add_ended(s, &run, added[i][0], added[i][1], 2 * i + 1, FL_ATTEMPT_SUCCEEDED, NULL);
  ok(fl_store_each_attempt(s, run.row, note_attempt, &seen, &err)); // sees its own writes
  assert_int_equal(seen.count, 5);
  for (int i = 0; i < 5; i++) {
    assert_int_equal(seen.rows[i].node, walked[i][0]);
    assert_int_equal(seen.rows[i].number, walked[i][1]);
  }
  ok(fl_store_each_attempt(s, run.row, note_attempt, &two, &err));
  assert_int_equal(two.count, 2);
  fl_store_close(s);
  remove_dir(dir);
}

static void an_unknown_attempt_cannot_be_ended(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  fl_attempt_row a = ended_row(&run);
  fails(fl_store_end_attempt(s, &a, &err), FL_E_NOT_FOUND, "attempt 1 of node 2");
  fails(fl_store_start_attempt(s, &a, &err), FL_E_NOT_FOUND, "attempt 1 of node 2");
  fails(fl_store_set_attempt_child(s, run.row, 2, 1, 1, &err), FL_E_NOT_FOUND, "attempt 1");
  assert_true(fl_store_is_open(s));
  ok(fl_store_add_attempt(s, &a, &err));
  fails(fl_store_add_attempt(s, &a, &err), FL_E_STORE, "UNIQUE");
  assert_false(fl_store_is_open(s));
  fl_store_close(s);
  remove_dir(dir);
}

static void error_texts_are_capped(void **state) {
  char *dir = make_dir(), *error = malloc(10001);
  fl_run_row run;
  (void)state;
  memset(error, 'e', 10000);
  error[10000] = 0;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  fl_attempt_row a = ended_row(&run);
  a.error = error;
  ok(fl_store_add_attempt(s, &a, &err));
  decide(s, &run, 0, 9, FL_NODE_FAILED, FL_REASON_MERGE_CONFLICT, error);
  assert_int_equal(number_of(s, "SELECT length(error) FROM attempt"), FL_ERROR_TEXT_MAX);
  assert_int_equal(number_of(s, "SELECT length(detail) FROM decision"), FL_ERROR_TEXT_MAX);
  fl_store_close(s);
  free(error), remove_dir(dir);
}

static bool note_decision(void *ud, const fl_decision_row *row) {
  fl_buf *out = ud;
  fl_buf_addf(out, "%d %u %s %s %s; ", (int)row->seq, row->node, fl_node_state_text(row->state),
              fl_reason_name(row->reason), row->detail ? row->detail : "-");
  return row->seq < 4;
}

static void decisions_are_walked_in_the_order_they_were_made(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_buf out;
  (void)state;
  fl_buf_init(&out, 1000);
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  decide(s, &run, 2, 1, FL_NODE_UPSTREAM_FAILED, FL_REASON_UPSTREAM_FAILED, "clean");
  decide(s, &run, 0, 3, FL_NODE_SKIPPED, FL_REASON_WHEN_FALSE, NULL);
  decide(s, &run, 2, 2, FL_NODE_PENDING, FL_REASON_RESUME_UNFINISHED, NULL);
  decide(s, &run, 1, 4, FL_NODE_OMITTED, FL_REASON_BRANCH_NOT_CHOSEN, NULL);
  decide(s, &run, 1, 5, FL_NODE_OMITTED, FL_REASON_BRANCH_NOT_CHOSEN, NULL);
  ok(fl_store_each_decision(s, run.row, note_decision, &out, &err));
  assert_string_equal(fl_buf_cstr(&out),
                      "1 2 upstream_failed upstream_failed clean; 2 2 pending resume_unfinished -; "
                      "3 0 skipped when_false -; 4 1 omitted branch_not_chosen -; ");
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_attempt_is_claimed_started_and_ended),
      cmocka_unit_test(a_duration_is_as_measured_or_by_the_clock_and_never_negative),
      cmocka_unit_test(an_ended_attempt_may_be_added_whole),
      cmocka_unit_test(attempts_are_walked_by_node_then_number),
      cmocka_unit_test(an_unknown_attempt_cannot_be_ended),
      cmocka_unit_test(error_texts_are_capped),
      cmocka_unit_test(decisions_are_walked_in_the_order_they_were_made),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
