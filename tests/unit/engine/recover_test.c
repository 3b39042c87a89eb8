// What a dead engine's attempts have become is asked of others, who may take their time.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake_resume.h"

// "a" and "b" run as a process, "c" and "d" wait for a slot; the engine dies, the next one has room
// for all of them, and who knows about the first two does not answer yet.
static fl_run *open_unanswered(fake_engine *f) {
  fake_open(f, 2, "a b c d", process);
  fake_run(f);
  assert_string_equal(f->started, "a b ");
  fake_crash(f);
  f->answers_later = true;
  fl_run_row row;
  fl_run *run;
  fl_error err;
  fl_resume_spec spec = {.flow = &f->flow};
  fake_open_scheduler(f, 4);
  assert_int_equal(fl_store_find_run(f->store, "last", &row, &err), FL_OK);
  if (fl_scheduler_resume_run(f->scheduler, &row, &spec, &run, &err)) fail_msg("%s", err.message);
  fl_run_row_deinit(&row);
  fake_step(f);
  return run;
}

static void settle(fake_engine *f, const char *name, fl_fate fate) {
  fl_attempt *a = find_live(f, name);
  assert_non_null(a);
  if (fate != FL_FATE_RUNNING) fake_take(f, a);
  fl_attempt_settle(a, fate);
}

static void a_run_starts_nothing_until_it_is_known_what_ran(void **state) {
  (void)state;
  fake_engine f;
  fl_run *run = open_unanswered(&f);
  assert_string_equal(f.started, "");
  settle(&f, "a", FL_FATE_RUNNING);
  fake_step(&f);
  assert_string_equal(f.started, ""); // of b nothing is known
  settle(&f, "b", FL_FATE_NOT_STARTED);
  fl_scheduler_recovered(f.scheduler, fl_run_get_id(run), f.recovery);
  fake_step(&f);
  assert_string_equal(f.started, "b c d ");
  fake_close(&f);
}

static void what_nothing_was_said_of_is_lost(void **state) {
  (void)state;
  fake_engine f;
  fl_run *run = open_unanswered(&f);
  settle(&f, "b", FL_FATE_RUNNING);
  fl_scheduler_recovered(f.scheduler, fl_run_get_id(run), f.recovery);
  fake_step(&f);
  assert_non_null(strstr(f.told, "a:retrying"));
  assert_null(strstr(f.told, "b:"));
  fake_close(&f);
}

static void other_runs_go_on_meanwhile(void **state) {
  (void)state;
  fake_engine f;
  (void)open_unanswered(&f);
  fl_flow other = f.flow;
  other.key = "other";
  f.answers_later = false;
  fake_run_of(&f, &other);
  assert_string_equal(f.started, "a b ");
  fake_close(&f);
}

// An executor knows nothing of an attempt before it has found it.
static void a_wish_to_end_reaches_what_runs_when_that_is_known(void **state) {
  (void)state;
  fake_engine f;
  fl_run *run = open_unanswered(&f);
  fl_scheduler_cancel_run(f.scheduler, run, false, false);
  fake_step(&f);
  assert_int_equal(f.live_count, 2); // nobody was told to end
  settle(&f, "a", FL_FATE_RUNNING);
  assert_int_equal(f.live_count, 1);
  settle(&f, "b", FL_FATE_LOST);
  fl_scheduler_recovered(f.scheduler, fl_run_get_id(run), f.recovery);
  fake_step(&f);
  assert_non_null(strstr(f.told, "a:cancelled"));
  assert_non_null(strstr(f.told, "b:cancelled"));
  assert_non_null(strstr(f.told, "run:cancelled"));
  fake_close(&f);
}

static void an_answer_about_a_run_that_has_left_is_nobody_s(void **state) {
  (void)state;
  fake_engine f;
  fl_error err;
  fl_run *run = open_unanswered(&f);
  char id[FL_RUN_ID_SIZE];
  snprintf(id, sizeof id, "%s", fl_run_get_id(run));
  fl_fail(&err, FL_E_FENCED, "another engine has it");
  fl_run_leave(run, &err);
  fake_step(&f);
  assert_int_equal(f.let_go_count, 2); // nobody was told to end
  assert_int_equal(fl_scheduler_get_run_count(f.scheduler), 0);
  fl_scheduler_recovered(f.scheduler, id, f.recovery);
  fake_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_starts_nothing_until_it_is_known_what_ran),
      cmocka_unit_test(what_nothing_was_said_of_is_lost),
      cmocka_unit_test(other_runs_go_on_meanwhile),
      cmocka_unit_test(a_wish_to_end_reaches_what_runs_when_that_is_known),
      cmocka_unit_test(an_answer_about_a_run_that_has_left_is_nobody_s),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
