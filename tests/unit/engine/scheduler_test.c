// Runs on fakes: no process, no waiting. What is started when, what is tried again, what a resume
// finds.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "store/store_internal.h"
#include "fake_engine.h"

static const fl_node_options process = {
    .kind = FL_KIND_PROCESS, .lost_count_max = 2, .grace_ms = 1000};

static fl_run_state state_of(fake_engine *f) {
  fl_run_row row;
  fl_error err;
  assert_int_equal(fl_store_find_run(f->store, "last", &row, &err), FL_OK);
  fl_run_state s = row.state;
  fl_run_row_deinit(&row);
  return s;
}

static fl_run *resume(fake_engine *f, fl_fate fate) {
  fl_run_row row;
  fl_run *run;
  fl_error err;
  f->fate = fate;
  fake_open_scheduler(f, 2);
  assert_int_equal(fl_store_find_run(f->store, "last", &row, &err), FL_OK);
  fl_resume_spec spec = {.flow = &f->flow};
  if (fl_scheduler_resume_run(f->scheduler, &row, &spec, &run, &err)) fail_msg("%s", err.message);
  fl_run_row_deinit(&row);
  fake_step(f);
  return run;
}

static void nodes_start_when_their_parents_have_ended(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 2, "a b:a c:a d:b,c", process);
  fake_run(&f);
  assert_string_equal(f.started, "a ");
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a b c ");
  fake_end(&f, "c", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a b c ");
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  fake_end(&f, "d", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(state_of(&f), FL_RUN_SUCCEEDED);
  assert_int_equal(fl_scheduler_get_run_count(f.scheduler), 0);
  fake_close(&f);
}

static void no_more_start_than_there_are_slots(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 2, "a b c d", process);
  fake_run(&f);
  assert_string_equal(f.started, "a b ");
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a b c ");
  fake_close(&f);
}

static void claims_ahead_go_as_far_as_the_executor_likes(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 1, "a b c d e", process);
  f.ahead = 2;
  fake_run(&f);
  assert_string_equal(f.started, "a b c ");
  fake_close(&f);
}

static void a_failed_node_is_tried_again_after_its_delay(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options o = process;
  o.retry_count_max = 2;
  o.retry_delay_ms = 1000;
  o.retry_backoff = 3;
  fake_open(&f, 2, "a b:a", o);
  fake_run(&f);
  fake_end(&f, "a", FL_ATTEMPT_FAILED);
  assert_string_equal(f.started, "a ");
  f.now_ms += 999, fake_step(&f);
  assert_string_equal(f.started, "a ");
  f.now_ms += 1, fake_step(&f);
  assert_string_equal(f.started, "a a ");
  fake_end(&f, "a", FL_ATTEMPT_FAILED);
  f.now_ms += 2999, fake_step(&f);
  assert_string_equal(f.started, "a a ");
  f.now_ms += 1, fake_step(&f);
  fake_end(&f, "a", FL_ATTEMPT_FAILED); // no retries are left
  assert_string_equal(f.started, "a a a ");
  assert_int_equal(state_of(&f), FL_RUN_FAILED);
  assert_non_null(strstr(f.told, "b:upstream_failed"));
  fake_close(&f);
}

static void no_try_begins_behind_the_deadline(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options o = process;
  o.retry_count_max = 9;
  o.retry_delay_ms = 1000;
  o.deadline_ms = 2500;
  fake_open(&f, 2, "a", o);
  fake_run(&f);
  fake_end(&f, "a", FL_ATTEMPT_FAILED);
  f.now_ms += 1000, fake_step(&f);
  fake_end(&f, "a", FL_ATTEMPT_FAILED);
  f.now_ms += 1000, fake_step(&f);
  assert_string_equal(f.started, "a a a ");
  fake_end(&f, "a", FL_ATTEMPT_FAILED); // the next would be at 3000
  assert_int_equal(state_of(&f), FL_RUN_FAILED);
  fake_close(&f);
}

static void lost_attempts_count_apart_from_failures(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 1, "a", process);
  fake_run(&f);
  fake_end(&f, "a", FL_ATTEMPT_LOST);
  fake_end(&f, "a", FL_ATTEMPT_LOST);
  assert_string_equal(f.started, "a a a "); // no retries, yet tried again
  fake_end(&f, "a", FL_ATTEMPT_LOST);
  assert_int_equal(state_of(&f), FL_RUN_FAILED);
  fake_close(&f);
}

static void the_policy_stop_ends_the_run_at_the_first_failure(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 2, "a b c", process);
  f.flow.policy = FL_POLICY_STOP;
  fake_run(&f);
  fake_end(&f, "a", FL_ATTEMPT_FAILED);
  assert_int_equal(state_of(&f), FL_RUN_FAILED);
  assert_string_equal(f.started, "a b ");
  assert_non_null(strstr(f.told, "b:cancelled"));
  assert_non_null(strstr(f.told, "c:cancelled"));
  fake_close(&f);
}

static void a_resume_keeps_what_succeeded_and_runs_the_rest(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 2, "a b:a c:b d", process);
  fake_run(&f);
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  fake_end(&f, "d", FL_ATTEMPT_SUCCEEDED);
  fake_end(&f, "b", FL_ATTEMPT_FAILED);
  assert_int_equal(state_of(&f), FL_RUN_FAILED);
  fake_crash(&f);
  resume(&f, FL_FATE_LOST);
  assert_string_equal(f.started, "b ");
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  fake_end(&f, "c", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(state_of(&f), FL_RUN_SUCCEEDED);
  fake_close(&f);
}

static bool see_end_reason(void *ud, const fl_attempt_row *row) {
  if (row->node == 0 && row->number == 1) *(fl_reason *)ud = row->end_reason;
  return true;
}

// What recovery says of `a`, which ran when the engine died -> what the new engine starts.
static void a_killed_engines_attempts_end_as_their_fate_says(void **state) {
  (void)state;
  static const struct {
    fl_fate fate;
    const char *starts;
    fl_reason reason; // of the first attempt's end
  } rows[] = {
      {FL_FATE_RUNNING, "", FL_REASON_ADOPTED},   // nothing is started
      {FL_FATE_ENDED, "b ", FL_REASON_HARVESTED}, // its child goes on
      {FL_FATE_NOT_STARTED, "a ", 0},             // the same attempt
      {FL_FATE_LOST, "a ", 0},                    // another attempt
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fake_engine f;
    fake_open(&f, 2, "a b:a", process);
    fake_run(&f);
    fake_crash(&f);
    resume(&f, rows[i].fate);
    assert_string_equal(f.started, rows[i].starts);
    if (rows[i].fate == FL_FATE_RUNNING) fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
    if (*rows[i].starts == 'a') {
      assert_int_equal(fl_attempt_get_number(f.live[0]), rows[i].fate == FL_FATE_LOST ? 2 : 1);
      fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
    }
    fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
    assert_int_equal(state_of(&f), FL_RUN_SUCCEEDED);
    fl_error err;
    fl_reason reason = 0;
    assert_int_equal(fl_store_each_attempt(f.store, 1, see_end_reason, &reason, &err), FL_OK);
    assert_int_equal(reason, rows[i].reason);
    fake_close(&f);
  }
}

static void a_claim_without_a_row_counts_as_an_attempt_that_was_lost(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options o = process;
  o.kind = FL_KIND_INLINE;
  fake_open(&f, 2, "a b:a c", o);
  fake_run(&f);
  fake_end(&f, "c", FL_ATTEMPT_SUCCEEDED);
  fake_crash(&f);
  resume(&f, FL_FATE_RUNNING);
  assert_string_equal(f.started, "a ");
  assert_int_equal(fl_attempt_get_number(f.live[0]), 2);
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(state_of(&f), FL_RUN_SUCCEEDED);
  fake_close(&f);
}

// ------------------------------------------------------------------------------------- given back

static void give_back(fake_engine *f, const char *name) {
  for (size_t i = 0; i < f->live_count; i++) {
    fl_attempt *a = f->live[i];
    if (strcmp(fl_attempt_get_name(a), name)) continue;
    fake_take(f, a);
    fl_attempt_give_back(a);
    return;
  }
  fail_msg("'%s' was not given away", name);
}

static int64_t count(fake_engine *f, const char *sql) {
  sqlite3_stmt *st;
  assert_int_equal(sqlite3_prepare_v2(f->store->db, sql, -1, &st, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(st), SQLITE_ROW);
  int64_t n = sqlite3_column_int64(st, 0);
  sqlite3_finalize(st);
  return n;
}

static void what_is_given_back_is_claimed_again_as_the_same_attempt(void **state) {
  (void)state;
  static const fl_node_kind kinds[] = {FL_KIND_PROCESS, FL_KIND_WORKER, FL_KIND_INLINE};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    fake_engine f;
    fl_node_options o = process;
    o.kind = kinds[i];
    fake_open(&f, 1, "a b:a", o);
    fake_run(&f);
    for (int times = 0; times < 10; times++) { // more than what may be lost
      give_back(&f, "a");
      fake_step(&f);
    }
    assert_string_equal(f.started, "a a a a a a a a a a a ");
    assert_int_equal(fl_attempt_get_number(f.live[0]), 1);
    fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
    fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
    assert_int_equal(count(&f, "SELECT count(*) FROM attempt"), 2);
    assert_int_equal(state_of(&f), FL_RUN_SUCCEEDED);
    fake_close(&f);
  }
}

static void what_is_given_back_lets_those_of_a_higher_priority_go_first(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options o = process;
  fake_open(&f, 2, "a b", o);
  f.ahead = 2;
  fl_graph_free(f.graph);
  f.graph = fl_graph_new();
  fl_error err;
  uint32_t index;
  o.type = "shell";
  for (const char *name = "abc"; *name; name++) {
    o.priority = *name - 'a';
    assert_int_equal(fl_graph_add(f.graph, name, 1, &o, &index, &err), FL_OK);
  }
  fl_graph_after(f.graph, 2, 1); // c after b
  assert_int_equal(fl_graph_freeze(f.graph, &err), FL_OK);
  f.flow.graph = f.graph;
  fake_run(&f);
  assert_string_equal(f.started, "b a ");
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  give_back(&f, "c");
  give_back(&f, "a");
  fake_step(&f);
  assert_string_equal(f.started, "b a c c a ");
  fake_close(&f);
}

static void its_keeper_is_known_before_it_starts_with_another_one(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 1, "a", process);
  fake_run(&f);
  f.supervisor = "other";
  fl_scheduler_keeper_changed(f.scheduler);
  give_back(&f, "a");
  fake_step(&f);
  assert_string_equal(f.started, "a a ");
  fake_crash(&f);
  resume(&f, FL_FATE_RUNNING);
  assert_string_equal(f.asked, "other ");
  assert_string_equal(f.started, "");
  fake_close(&f);
}

static void
an_engine_that_dies_before_it_claims_again_leaves_the_attempt_to_the_next(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 1, "a", process);
  fake_run(&f);
  give_back(&f, "a");
  fake_crash(&f);
  resume(&f, FL_FATE_NOT_STARTED);
  assert_string_equal(f.started, "a ");
  assert_int_equal(fl_attempt_get_number(f.live[0]), 1);
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(state_of(&f), FL_RUN_SUCCEEDED);
  fake_close(&f);
}

static void what_was_given_back_is_cancelled_with_its_run(void **state) {
  (void)state;
  fake_engine f;
  fl_run *run;
  fake_open(&f, 2, "a b", process);
  run = fake_run(&f);
  give_back(&f, "b");
  fl_scheduler_cancel_run(f.scheduler, run, false, false);
  fake_step(&f);
  assert_string_equal(f.started, "a b ");
  assert_int_equal(state_of(&f), FL_RUN_CANCELLED);
  // Cancelled, both: none is left that looks as if it ran.
  assert_int_equal(count(&f, "SELECT count(*) FROM attempt WHERE end_seq IS NOT NULL"), 2);
  fake_close(&f);
}

static void what_stands_behind_a_cancelled_node_is_cancelled_too(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options o = process;
  o.retry_count_max = 2;
  o.retry_delay_ms = 1000;
  fake_open(&f, 2, "a b:a c:b", o);
  fl_run *run = fake_run(&f);
  fake_end(&f, "a", FL_ATTEMPT_FAILED); // it waits for its next try
  fl_scheduler_cancel_run(f.scheduler, run, false, false);
  fake_step(&f);
  assert_int_equal(state_of(&f), FL_RUN_CANCELLED);
  assert_non_null(strstr(f.told, "a:cancelled"));
  assert_non_null(strstr(f.told, "b:cancelled"));
  assert_non_null(strstr(f.told, "c:cancelled"));
  fake_close(&f);
}

// ------------------------------------------------------------------------------------- reports

static fl_report report(fake_engine *f, const char *run, uint32_t number, fl_attempt_state state) {
  fl_report answer;
  fl_error err;
  fl_outcome o = {.state = state, .exit_code = 0};
  fl_attempt *a = fl_scheduler_find_attempt(f->scheduler, run, 0, number);
  if (a) fake_take(f, a);
  assert_int_equal(fl_scheduler_report(f->scheduler, run, 0, number, &o, &answer, &err), FL_OK);
  fake_step(f);
  return answer;
}

static void an_end_that_is_reported_by_name_counts_once_and_the_first_holds(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 1, "a b:a", process);
  fl_run *run = fake_run(&f);
  char id[FL_RUN_ID_SIZE];
  snprintf(id, sizeof id, "%s", fl_run_get_id(run));
  assert_int_equal(report(&f, "20260101T000000-00000000", 1, FL_ATTEMPT_SUCCEEDED),
                   FL_REPORT_UNKNOWN);
  assert_int_equal(report(&f, id, 2, FL_ATTEMPT_SUCCEEDED), FL_REPORT_UNKNOWN);
  fake_end(&f, "a", FL_ATTEMPT_LOST); // nobody had heard of it for long
  assert_string_equal(f.started, "a a ");
  assert_int_equal(report(&f, id, 1, FL_ATTEMPT_SUCCEEDED), FL_REPORT_SUPERSEDED);
  assert_string_equal(f.started, "a a ");
  assert_int_equal(report(&f, id, 2, FL_ATTEMPT_SUCCEEDED), FL_REPORT_RECORDED);
  assert_string_equal(f.started, "a a b ");
  assert_int_equal(report(&f, id, 2, FL_ATTEMPT_SUCCEEDED), FL_REPORT_RECORDED);
  assert_int_equal(report(&f, id, 2, FL_ATTEMPT_FAILED), FL_REPORT_RECORDED); // and changes nothing
  assert_int_equal(count(&f, "SELECT state FROM attempt WHERE node=0 AND number=2"),
                   FL_ATTEMPT_SUCCEEDED);
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(state_of(&f), FL_RUN_SUCCEEDED);
  assert_int_equal(report(&f, id, 2, FL_ATTEMPT_SUCCEEDED), FL_REPORT_RECORDED);
  fake_close(&f);
}

static void an_engine_whose_run_was_taken_over_writes_nothing_more(void **state) {
  (void)state;
  fake_engine f;
  fl_error err;
  uint32_t epoch;
  bool again;
  fake_open(&f, 2, "a", process);
  fake_run(&f);
  fl_run_row row;
  assert_int_equal(fl_store_find_run(f.store, "last", &row, &err), FL_OK);
  assert_int_equal(fl_store_take_run(f.store, row.row, "other#2", 0, true, &epoch, &err), FL_OK);
  fl_attempt_end(f.live[0], &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED});
  assert_int_equal(fl_scheduler_step(f.scheduler, 10, &again, &err), FL_OK);
  assert_non_null(strstr(f.told, "run: ")); // that it left
  assert_int_equal(fl_scheduler_get_run_count(f.scheduler), 0);
  assert_int_equal(state_of(&f), FL_RUN_RUNNING);
  fl_run_row_deinit(&row);
  fake_close(&f);
}

static void an_interrupt_ends_the_run_so_that_it_can_be_resumed(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 1, "a b:a", process);
  fake_run(&f);
  fl_scheduler_cancel_all(f.scheduler, false);
  fake_step(&f);
  assert_int_equal(state_of(&f), FL_RUN_RUNNING); // and nobody's
  assert_int_equal(count(&f, "SELECT count(*) FROM run WHERE owner='' AND ended_ms IS NULL"), 1);
  assert_non_null(strstr(f.told, "run:interrupted"));
  assert_null(strstr(f.told, "b:")); // nothing is said of what comes behind
  fake_crash(&f);
  resume(&f, FL_FATE_LOST);
  assert_string_equal(f.started, "a ");
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(state_of(&f), FL_RUN_SUCCEEDED);
  fake_close(&f);
}

static void assert_last_attempt(fake_engine *f, fl_attempt_state state, const char *error) {
  sqlite3_stmt *st;
  const char *sql = "SELECT state,coalesce(error,'') FROM attempt ORDER BY seq DESC LIMIT 1";
  assert_int_equal(sqlite3_prepare_v2(f->store->db, sql, -1, &st, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(st), SQLITE_ROW);
  assert_int_equal(sqlite3_column_int(st, 0), state);
  assert_string_equal((const char *)sqlite3_column_text(st, 1), error);
  sqlite3_finalize(st);
}

static void an_end_by_the_timeout_says_so_first(void **state) {
  (void)state;
  static const struct {
    fl_attempt_state reported, kept;
    const char *error, *kept_error;
  } rows[] = {
      {FL_ATTEMPT_CANCELLED, FL_ATTEMPT_TIMED_OUT, NULL, "timed out after 300ms"},
      {FL_ATTEMPT_FAILED, FL_ATTEMPT_TIMED_OUT, "no rows", "timed out after 300ms: no rows"},
      {FL_ATTEMPT_TIMED_OUT, FL_ATTEMPT_TIMED_OUT, "timed out: x", "timed out: x"},
      {FL_ATTEMPT_SUCCEEDED, FL_ATTEMPT_SUCCEEDED, NULL, ""}, // was done before it was asked
      {FL_ATTEMPT_SKIPPED, FL_ATTEMPT_SKIPPED, NULL, ""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fake_engine f;
    fl_node_options o = process;
    o.timeout_ms = 300;
    fake_open(&f, 1, "a", o);
    fake_run(&f);
    fl_attempt *a = f.live[0];
    fake_take(&f, a);
    fl_attempt_time_out(a);
    fl_attempt_end(
        a, &(fl_outcome){.state = rows[i].reported, .exit_code = -1, .error = rows[i].error});
    fake_step(&f);
    assert_last_attempt(&f, rows[i].kept, rows[i].kept_error);
    fake_close(&f);
  }
}

// A wall clock that is set back while a node runs, and forward while the next one does.
static void what_jumps_is_not_measured_by(void **state) {
  (void)state;
  fake_engine f;
  fl_error err;
  fl_run_row row;
  fake_open(&f, 1, "a b:a", process);
  fake_run(&f);
  f.now_ms += 250, f.ahead_ms = -3600000;
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  f.now_ms += 50, f.ahead_ms = 86400000;
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  assert_int_equal(state_of(&f), FL_RUN_SUCCEEDED);
  sqlite3_stmt *st;
  const char *sql =
      "SELECT (SELECT group_concat(duration_ms) FROM v_attempt), (SELECT duration_ms FROM v_run)";
  assert_int_equal(sqlite3_prepare_v2(f.store->db, sql, -1, &st, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(st), SQLITE_ROW);
  assert_string_equal((const char *)sqlite3_column_text(st, 0), "250,50");
  assert_int_equal(sqlite3_column_int(st, 1), 300);
  sqlite3_finalize(st);
  assert_int_equal(fl_store_find_run(f.store, "last", &row, &err), FL_OK);
  assert_int_equal(row.duration_ms, 300);
  fl_run_row_deinit(&row);
  fake_close(&f);
}

// What another process reads: how often attempts of the run ended so, and its breakpoints.
static void see_failures(fake_engine *f, int *failed, int *breakpoints, char *where) {
  fl_store *reader;
  fl_error err;
  fl_run_row row;
  fl_store_options options = {.read_only = true};
  *failed = *breakpoints = 0;
  where[0] = 0;
  assert_int_equal(fl_store_open(f->dir, &options, &reader, &err), FL_OK);
  assert_int_equal(fl_store_find_run(reader, "last", &row, &err), FL_OK);
  char sql[256];
  sqlite3_stmt *st;
  snprintf(sql, sizeof sql,
           "SELECT (SELECT count(*) FROM attempt WHERE run=%d AND state=3),node,attempt"
           " FROM (SELECT 1) LEFT JOIN v_breakpoint ON run='%s'",
           (int)row.row, row.id);
  assert_int_equal(sqlite3_prepare_v2(reader->db, sql, -1, &st, NULL), SQLITE_OK);
  while (sqlite3_step(st) == SQLITE_ROW) {
    *failed = sqlite3_column_int(st, 0);
    if (sqlite3_column_type(st, 1) == SQLITE_NULL) continue;
    sprintf(where + strlen(where), "%s/%d ", (const char *)sqlite3_column_text(st, 1),
            sqlite3_column_int(st, 2));
    ++*breakpoints;
  }
  sqlite3_finalize(st);
  fl_run_row_deinit(&row);
  fl_store_close(reader);
}

static void a_failure_for_good_and_its_breakpoint_are_one_commit(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options o = process;
  int failed, breakpoints;
  char where[256];
  o.retry_count_max = 1;
  fake_open(&f, 3, "a b:a c d", o);
  fake_run(&f);
  fake_end(&f, "a", FL_ATTEMPT_FAILED);
  see_failures(&f, &failed, &breakpoints, where);
  assert_int_equal(failed, 1); // a retry is left
  assert_int_equal(breakpoints, 0);
  fake_end(&f, "d", FL_ATTEMPT_SUCCEEDED);
  fake_end(&f, "a", FL_ATTEMPT_FAILED);
  see_failures(&f, &failed, &breakpoints, where);
  assert_int_equal(failed, 2);
  assert_string_equal(where, "a/2 ");
  fake_end(&f, "c", FL_ATTEMPT_TIMED_OUT);
  fake_end(&f, "c", FL_ATTEMPT_FAILED);
  see_failures(&f, &failed, &breakpoints, where);
  assert_string_equal(where, "a/2 c/2 ");
  assert_int_equal(state_of(&f), FL_RUN_FAILED);
  fake_close(&f);
}

static void a_failure_that_is_allowed_is_no_breakpoint(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options o = process;
  int failed, breakpoints;
  char where[256];
  o.allow_failure = true;
  fake_open(&f, 2, "a b:a", o);
  fake_run(&f);
  fake_end(&f, "a", FL_ATTEMPT_FAILED);
  see_failures(&f, &failed, &breakpoints, where);
  assert_int_equal(failed, 1);
  assert_int_equal(breakpoints, 0);
  fake_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nodes_start_when_their_parents_have_ended),
      cmocka_unit_test(no_more_start_than_there_are_slots),
      cmocka_unit_test(claims_ahead_go_as_far_as_the_executor_likes),
      cmocka_unit_test(a_failed_node_is_tried_again_after_its_delay),
      cmocka_unit_test(no_try_begins_behind_the_deadline),
      cmocka_unit_test(lost_attempts_count_apart_from_failures),
      cmocka_unit_test(the_policy_stop_ends_the_run_at_the_first_failure),
      cmocka_unit_test(a_resume_keeps_what_succeeded_and_runs_the_rest),
      cmocka_unit_test(a_killed_engines_attempts_end_as_their_fate_says),
      cmocka_unit_test(a_claim_without_a_row_counts_as_an_attempt_that_was_lost),
      cmocka_unit_test(what_is_given_back_is_claimed_again_as_the_same_attempt),
      cmocka_unit_test(what_is_given_back_lets_those_of_a_higher_priority_go_first),
      cmocka_unit_test(its_keeper_is_known_before_it_starts_with_another_one),
      cmocka_unit_test(an_engine_that_dies_before_it_claims_again_leaves_the_attempt_to_the_next),
      cmocka_unit_test(what_was_given_back_is_cancelled_with_its_run),
      cmocka_unit_test(what_stands_behind_a_cancelled_node_is_cancelled_too),
      cmocka_unit_test(an_end_that_is_reported_by_name_counts_once_and_the_first_holds),
      cmocka_unit_test(an_engine_whose_run_was_taken_over_writes_nothing_more),
      cmocka_unit_test(an_interrupt_ends_the_run_so_that_it_can_be_resumed),
      cmocka_unit_test(what_jumps_is_not_measured_by),
      cmocka_unit_test(an_end_by_the_timeout_says_so_first),
      cmocka_unit_test(a_failure_for_good_and_its_breakpoint_are_one_commit),
      cmocka_unit_test(a_failure_that_is_allowed_is_no_breakpoint),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
