// An executor whose attempts run far away, as those of agents and queues of clusters do: it knows
// them by name, hears of them late, twice or never, gets their output in pieces, and is asked by
// the next engine what became of them. It stands on what executors are shown, and no more.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake_engine.h"
#include "io/logfile.h"

/// What the far host knows of an attempt, whoever lives here.
typedef struct far_job {
  char run[FL_RUN_ID_SIZE], name[16];
  uint32_t node, number;
  bool asked_to_end;
  fl_log_sink *log; // on this side
} far_job;

typedef struct far {
  fake_engine f;
  far_job jobs[16];
  size_t job_count;
  uint32_t room;
  bool full; // it has become so since it told its room
  fl_log_writer *logs;
  char keeper[16], asked[64]; // asked: the keeper's name and those of attempts
  char recovering[FL_RUN_ID_SIZE];
  uint64_t recovery;
} far;

static void far_start(void *ud, fl_attempt *a) {
  far *x = ud;
  if (x->full) {
    x->room = 0; // first, or it would be given the same at once
    fl_attempt_give_back(a);
    return;
  }
  far_job *j = &x->jobs[x->job_count++];
  *j = (far_job){.node = fl_attempt_get_node_number(a), .number = fl_attempt_get_number(a)};
  snprintf(j->run, sizeof j->run, "%s", fl_attempt_get_run_id(a));
  snprintf(j->name, sizeof j->name, "%s", fl_attempt_get_name(a));
  size_t used = strlen(x->f.started);
  snprintf(x->f.started + used, sizeof x->f.started - used, "%s.%u ", j->name, j->number);
  fl_attempt_set_data(a, j);
  fl_attempt_started(a, 0, x->f.now_ms);
}

static void far_cancel(void *ud, fl_attempt *a, int64_t grace_ms) {
  (void)ud, (void)grace_ms;
  far_job *j = fl_attempt_get_data(a);
  j->asked_to_end = true; // a message; the host answers some day
}

static void far_recover(void *ud, fl_run *run, const char *keeper, uint64_t recovery,
                        fl_attempt **attempts, size_t count) {
  far *x = ud;
  snprintf(x->recovering, sizeof x->recovering, "%s", fl_run_get_id(run));
  x->recovery = recovery;
  snprintf(x->asked, sizeof x->asked, "%s:", keeper);
  for (size_t i = 0; i < count; i++)
    snprintf(x->asked + strlen(x->asked), 16, " %s", fl_attempt_get_name(attempts[i]));
}

static uint32_t far_room(void *ud) {
  return ((far *)ud)->room;
}

static const char *far_keeper(void *ud) {
  return ((far *)ud)->keeper;
}

// Instead of the local one: all nodes run there.
static void far_register(far *x) {
  fl_executor e = {.name = "far",
                   .kinds = 1u << FL_KIND_PROCESS,
                   .slots = FL_SLOTS_OWN,
                   .outlives_engine = true,
                   .start = far_start,
                   .cancel = far_cancel,
                   .ahead = far_room,
                   .get_keeper = far_keeper,
                   .recover = far_recover,
                   .ud = x};
  fl_scheduler_register(x->f.scheduler, &e);
}

static void far_open(far *x, const char *edges) {
  const fl_node_options options = {.kind = FL_KIND_PROCESS, .lost_count_max = 5};
  *x = (far){.room = 1, .keeper = "far:host1"};
  fake_open(&x->f, 2, edges, options);
  far_register(x);
  x->logs = fl_log_writer_open(x->f.dir, "r", "far");
}

static void far_reopen(far *x) {
  fl_run_row row;
  fl_run *run;
  fl_error err;
  fl_resume_spec spec = {.flow = &x->f.flow};
  fake_crash(&x->f);
  fake_open_scheduler(&x->f, 2);
  far_register(x);
  assert_int_equal(fl_store_find_run(x->f.store, "last", &row, &err), FL_OK);
  assert_int_equal(fl_scheduler_resume_run(x->f.scheduler, &row, &spec, &run, &err), FL_OK);
  fl_run_row_deinit(&row);
  fake_step(&x->f);
}

static void far_close(far *x) {
  for (size_t i = 0; i < x->job_count; i++) fl_log_sink_close(x->jobs[i].log);
  fl_log_writer_close(x->logs);
  fake_close(&x->f);
}

static fl_report far_report(far *x, const far_job *j, fl_attempt_state state) {
  fl_report answer;
  fl_error err;
  fl_buf path;
  fl_buf_init(&path, 512);
  fl_log_path(&path, "r", j->name, j->number);
  fl_outcome o = {.state = state, .log = {.path = fl_buf_cstr(&path), .size = -1}};
  fl_code rc = fl_scheduler_report(x->f.scheduler, j->run, j->node, j->number, &o, &answer, &err);
  fl_buf_deinit(&path);
  assert_int_equal(rc, FL_OK);
  fake_step(&x->f);
  return answer;
}

// A piece of the output of job `at`; where the host is to go on from.
static int64_t far_log(far *x, size_t at, int64_t position, const char *text) {
  far_job *j = &x->jobs[at];
  if (!j->log) j->log = fl_log_sink_reopen(x->logs, j->name, j->number, 0);
  int64_t have = fl_log_sink_write_at(j->log, position, text, strlen(text));
  fl_log_sink_flush(j->log);
  return have;
}

static void add_text(void *ud, const char *data, size_t size) {
  fl_buf_add(ud, data, size);
}

static void expect_log(far *x, const char *name, const char *expected) {
  fl_buf path, text;
  fl_buf_init(&path, 512);
  fl_buf_init(&text, 4096);
  fl_log_path(&path, "r", name, 1);
  fl_log_read(x->f.dir, fl_buf_cstr(&path), 0, -1, 0, add_text, &text);
  assert_string_equal(fl_buf_cstr(&text), expected);
  fl_buf_deinit(&path);
  fl_buf_deinit(&text);
}

static int run_state(far *x) {
  fl_run_row row;
  fl_error err;
  assert_int_equal(fl_store_find_run(x->f.store, "last", &row, &err), FL_OK);
  int state = row.state;
  fl_run_row_deinit(&row);
  return state;
}

// ------------------------------------------------------------------------------------- tests

static void an_end_that_is_reported_late_or_twice_by_name_is_answered(void **state) {
  (void)state;
  far x;
  far_open(&x, "a b:a");
  fake_run(&x.f);
  assert_string_equal(x.f.started, "a.1 ");
  far_job stranger = x.jobs[0];
  stranger.number = 9;
  assert_int_equal(far_report(&x, &stranger, FL_ATTEMPT_SUCCEEDED), FL_REPORT_UNKNOWN);
  // Nobody hears of it for long: it counts as lost, and is tried again.
  assert_int_equal(far_report(&x, &x.jobs[0], FL_ATTEMPT_LOST), FL_REPORT_RECORDED);
  assert_string_equal(x.f.started, "a.1 a.2 ");
  assert_int_equal(far_report(&x, &x.jobs[0], FL_ATTEMPT_SUCCEEDED), FL_REPORT_SUPERSEDED);
  assert_string_equal(x.f.started, "a.1 a.2 ");
  assert_int_equal(far_report(&x, &x.jobs[1], FL_ATTEMPT_SUCCEEDED), FL_REPORT_RECORDED);
  assert_string_equal(x.f.started, "a.1 a.2 b.1 ");
  assert_int_equal(far_report(&x, &x.jobs[1], FL_ATTEMPT_SUCCEEDED), FL_REPORT_RECORDED);
  assert_int_equal(far_report(&x, &x.jobs[2], FL_ATTEMPT_SUCCEEDED), FL_REPORT_RECORDED);
  assert_int_equal(run_state(&x), FL_RUN_SUCCEEDED);
  assert_int_equal(far_report(&x, &x.jobs[2], FL_ATTEMPT_SUCCEEDED), FL_REPORT_RECORDED);
  far_close(&x);
}

static void output_comes_in_pieces_by_their_place_and_an_end_does_not_wait_for_it(void **state) {
  (void)state;
  far x;
  far_open(&x, "a");
  fake_run(&x.f);
  assert_int_equal(far_log(&x, 0, 0, "one "), 4);
  assert_int_equal(far_log(&x, 0, 0, "one "), 4);   // again
  assert_int_equal(far_log(&x, 0, 2, "e two "), 8); // overlaps
  assert_int_equal(far_log(&x, 0, 14, "four"), 8);  // a gap: to be sent from 8 on
  assert_int_equal(far_log(&x, 0, 3, "x"), 8);      // within
  assert_int_equal(far_report(&x, &x.jobs[0], FL_ATTEMPT_SUCCEEDED), FL_REPORT_RECORDED);
  assert_int_equal(run_state(&x), FL_RUN_SUCCEEDED);
  expect_log(&x, "a", "one two ");
  assert_int_equal(far_log(&x, 0, 8, "three four"), 18); // after its end
  expect_log(&x, "a", "one two three four");
  fl_log_sink_close(x.jobs[0].log); // whoever is asked next finds what is here
  x.jobs[0].log = NULL;
  assert_int_equal(far_log(&x, 0, 99, "?"), 18);
  assert_int_equal(far_log(&x, 0, 14, "four five"), 23);
  expect_log(&x, "a", "one two three four five");
  far_close(&x);
}

static void the_next_engine_asks_the_keeper_and_starts_nothing_before_the_answer(void **state) {
  (void)state;
  far x;
  far_open(&x, "a b");
  x.room = 2;
  fake_run(&x.f);
  assert_string_equal(x.f.started, "a.1 b.1 ");
  far_reopen(&x);
  assert_string_equal(x.asked, "far:host1: a b");
  assert_string_equal(x.f.started, "");
  // It hears of one that has ended, of one that runs, and that this was all.
  assert_int_equal(far_report(&x, &x.jobs[0], FL_ATTEMPT_SUCCEEDED), FL_REPORT_RECORDED);
  fl_attempt *b = fl_scheduler_find_attempt(x.f.scheduler, x.jobs[1].run, x.jobs[1].node, 1);
  fl_attempt_set_data(b, &x.jobs[1]);
  fl_attempt_settle(b, FL_FATE_RUNNING);
  fl_scheduler_recovered(x.f.scheduler, x.recovering, x.recovery);
  fake_step(&x.f);
  assert_string_equal(x.f.started, ""); // neither ran twice
  assert_int_equal(far_report(&x, &x.jobs[1], FL_ATTEMPT_SUCCEEDED), FL_REPORT_RECORDED);
  assert_int_equal(run_state(&x), FL_RUN_SUCCEEDED);
  far_close(&x);
}

static void
what_a_host_says_nothing_of_is_lost_and_what_it_says_later_changes_nothing(void **state) {
  (void)state;
  far x;
  far_open(&x, "a");
  fake_run(&x.f);
  far_reopen(&x);
  fl_scheduler_recovered(x.f.scheduler, x.recovering, x.recovery);
  fake_step(&x.f);
  assert_string_equal(x.f.started, "a.2 ");
  assert_int_equal(far_report(&x, &x.jobs[0], FL_ATTEMPT_SUCCEEDED), FL_REPORT_SUPERSEDED);
  assert_int_equal(far_report(&x, &x.jobs[1], FL_ATTEMPT_SUCCEEDED), FL_REPORT_RECORDED);
  assert_int_equal(run_state(&x), FL_RUN_SUCCEEDED);
  far_close(&x);
}

static void a_host_that_is_full_by_now_gives_back_and_says_when_there_is_room(void **state) {
  (void)state;
  far x;
  far_open(&x, "a");
  x.full = true;
  fake_run(&x.f);
  assert_string_equal(x.f.started, "");
  fake_step(&x.f);
  assert_string_equal(x.f.started, "");
  x.full = false;
  x.room = 1;
  fl_scheduler_room_changed(x.f.scheduler);
  fake_step(&x.f);
  assert_string_equal(x.f.started, "a.1 "); // the same attempt: nothing of it was used up
  assert_int_equal(far_report(&x, &x.jobs[0], FL_ATTEMPT_SUCCEEDED), FL_REPORT_RECORDED);
  assert_int_equal(run_state(&x), FL_RUN_SUCCEEDED);
  far_close(&x);
}

static void a_cancel_is_a_wish_until_the_host_says_that_it_has_ended(void **state) {
  (void)state;
  far x;
  far_open(&x, "a");
  fl_run *run = fake_run(&x.f);
  fl_scheduler_cancel_run(x.f.scheduler, run, false, false);
  fake_step(&x.f);
  assert_true(x.jobs[0].asked_to_end);
  assert_int_equal(run_state(&x), FL_RUN_RUNNING);
  assert_int_equal(far_report(&x, &x.jobs[0], FL_ATTEMPT_CANCELLED), FL_REPORT_RECORDED);
  assert_int_equal(run_state(&x), FL_RUN_CANCELLED);
  far_close(&x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_end_that_is_reported_late_or_twice_by_name_is_answered),
      cmocka_unit_test(output_comes_in_pieces_by_their_place_and_an_end_does_not_wait_for_it),
      cmocka_unit_test(the_next_engine_asks_the_keeper_and_starts_nothing_before_the_answer),
      cmocka_unit_test(what_a_host_says_nothing_of_is_lost_and_what_it_says_later_changes_nothing),
      cmocka_unit_test(a_host_that_is_full_by_now_gives_back_and_says_when_there_is_room),
      cmocka_unit_test(a_cancel_is_a_wish_until_the_host_says_that_it_has_ended),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
