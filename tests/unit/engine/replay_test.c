// Replays on fakes: what nodes of a repeated run are given, from which attempt of then.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sqlite3.h>
#include "fake_engine.h"

static const fl_node_options process = {.kind = FL_KIND_PROCESS, .retry_count_max = 1};

static fl_attempt *live(fake_engine *f, const char *name) {
  for (size_t i = 0; i < f->live_count; i++)
    if (!strcmp(fl_attempt_get_name(f->live[i]), name)) return f->live[i];
  fail_msg("'%s' is not running; started: %s", name, f->started);
  return NULL;
}

/// Ends an attempt with outputs, vars (NULL: unchanged).
static void end_with(fake_engine *f, const char *name, const char *outputs, const char *vars) {
  fl_attempt *a = live(f, name);
  fl_value *o = fl_value_new(outputs, strlen(outputs));
  fl_value *v = vars ? fl_value_new(vars, strlen(vars)) : NULL;
  fake_take(f, a);
  fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .outputs = o, .vars = v});
  fl_value_unref(o);
  fl_value_unref(v);
  fake_step(f);
}

static void assert_sees(fake_engine *f, const char *name, const char *inputs, const char *vars) {
  fl_attempt *a = live(f, name);
  fl_buf text;
  fl_error err;
  fl_buf_init(&text, 10000);
  assert_int_equal(fl_attempt_write_inputs(a, &text, &err), FL_OK);
  assert_string_equal(fl_buf_cstr(&text), inputs);
  assert_string_equal(fl_attempt_get_vars(a)->text, vars);
  fl_buf_deinit(&text);
}

static fl_code start_replay(fake_engine *f, bool is_live, int64_t of, fl_run **run, fl_error *err) {
  fl_run_row row = {0};
  fl_snapshot snapshot;
  if (!of && fl_store_find_run(f->store, "last", &row, err)) fail_msg("%s", err->message);
  f->flow.definition_store_id = 0;
  f->started[0] = 0;
  fake_snapshot(&snapshot);
  if (fl_scheduler_prepare_flow(f->scheduler, &f->flow, &snapshot, err))
    fail_msg("%s", err->message);
  free(snapshot.sources);
  fl_run_spec spec = {.flow = &f->flow,
                      .params = fl_value_empty_map(),
                      .trigger = "replay",
                      .replay_of = of ? of : row.row,
                      .replay_live = is_live};
  fl_code rc = fl_scheduler_start_run(f->scheduler, &spec, run, err);
  if (!rc) fake_step(f);
  fl_run_row_deinit(&row);
  return rc;
}

static void replay(fake_engine *f, bool is_live) {
  fl_run *run;
  fl_error err;
  if (start_replay(f, is_live, 0, &run, &err)) fail_msg("%s", err.message);
}

static void nodes_see_what_they_saw(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 2, "a b:a c:b", process);
  fake_run(&f);
  end_with(&f, "a", "1", "{\"k\":1}");
  end_with(&f, "b", "2", "{\"k\":2}");
  end_with(&f, "c", "3", NULL);
  // Twice: a repeat of a repeat sees what the first one's nodes did.
  for (int i = 0; i < 2; i++) {
    replay(&f, false);
    assert_sees(&f, "a", "{}", "{}");
    end_with(&f, "a", "9", "{\"k\":9}");
    assert_sees(&f, "b", "{\"a\":1}", "{\"k\":1}");
    end_with(&f, "b", "8", "{\"k\":8}");
    assert_sees(&f, "c", "{\"b\":2}", "{\"k\":2}");
    end_with(&f, "c", "3", NULL);
  }
  replay(&f, true);
  end_with(&f, "a", "7", "{\"k\":7}");
  assert_sees(&f, "b", "{\"a\":7}", "{\"k\":7}");
  fake_close(&f);
}

static void the_attempt_that_succeeded_counts(void **state) {
  (void)state;
  fake_engine f;
  fl_buf got;
  fake_open(&f, 2, "a", process);
  fake_run(&f);
  fl_attempt_record(live(&f, "a"), "now", "1", 1);
  fake_end(&f, "a", FL_ATTEMPT_FAILED);
  fl_attempt_record(live(&f, "a"), "now", "2", 1);
  fl_attempt_record(live(&f, "a"), "random", "0.5", 3);
  end_with(&f, "a", "1", NULL);
  replay(&f, false);
  fl_buf_init(&got, 1000);
  fl_recorded *r = fl_attempt_get_recorded(live(&f, "a"));
  assert_true(fl_recorded_take(r, "random", &got));
  assert_true(fl_recorded_take(r, "now", &got));
  assert_false(fl_recorded_take(r, "now", &got));
  assert_string_equal(fl_buf_cstr(&got), "0.52");
  fl_buf_deinit(&got);
  fake_close(&f);
}

static void a_node_that_never_ran_sees_today(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 2, "a b:a c:b", process);
  fake_run(&f);
  for (int i = 0; i < 2; i++) fake_end(&f, "a", FL_ATTEMPT_FAILED);
  replay(&f, false);
  end_with(&f, "a", "1", "{\"k\":1}");
  assert_sees(&f, "b", "{\"a\":1}", "{\"k\":1}");
  end_with(&f, "b", "2", NULL);
  end_with(&f, "c", "3", NULL);
  // It has a context since: a repeat of that repeat sees what it saw there.
  replay(&f, false);
  end_with(&f, "a", "9", "{\"k\":9}");
  assert_sees(&f, "b", "{\"a\":1}", "{\"k\":1}");
  fake_close(&f);
}

static void what_was_done_by_hand_is_done_again(void **state) {
  (void)state;
  fake_engine f;
  fl_run_row row;
  fl_run *run;
  fl_error err;
  fake_open(&f, 3, "a b c:a,b d:a", process);
  fake_run(&f);
  fake_end(&f, "a", FL_ATTEMPT_FAILED);
  fake_end(&f, "a", FL_ATTEMPT_FAILED);
  fake_end(&f, "b", FL_ATTEMPT_FAILED);
  fake_end(&f, "b", FL_ATTEMPT_FAILED);
  fl_scheduler_free(f.scheduler);
  fake_open_scheduler(&f, 3);
  fl_value *hand = fl_value_new("5", 1);
  fl_value *given[] = {hand, NULL, NULL, NULL};
  uint8_t skip[] = {0, 1, 0, 0}, succeed[] = {1, 0, 0, 0};
  assert_int_equal(fl_store_find_run(f.store, "last", &row, &err), FL_OK);
  fl_resume_spec spec = {.flow = &f.flow, .skip = skip, .succeed = succeed, .outputs = given};
  if (fl_scheduler_resume_run(f.scheduler, &row, &spec, &run, &err)) fail_msg("%s", err.message);
  fl_run_row_deinit(&row);
  fl_value_unref(hand);
  fake_step(&f);
  assert_sees(&f, "d", "{\"a\":5}", "{}");
  end_with(&f, "d", "6", NULL);
  f.told[0] = 0;
  replay(&f, false);
  assert_string_equal(f.started, "d ");
  assert_non_null(strstr(f.told, "a:succeeded"));
  assert_non_null(strstr(f.told, "b:skipped"));
  assert_sees(&f, "d", "{\"a\":5}", "{}");
  fake_close(&f);
}

static void a_run_that_is_gone_cannot_be_repeated(void **state) {
  (void)state;
  fake_engine f;
  fl_run *run;
  fl_error err;
  fake_open(&f, 2, "a", process);
  fake_run(&f);
  end_with(&f, "a", "1", NULL);
  assert_int_equal(start_replay(&f, false, 77, &run, &err), FL_E_NOT_FOUND);
  assert_non_null(strstr(err.message, "not in the store any more"));
  fake_close(&f);
}

static void a_resume_goes_on_as_a_replay(void **state) {
  (void)state;
  fake_engine f;
  fl_run_row row;
  fl_run *run;
  fl_error err;
  fake_open(&f, 2, "a b:a", process);
  fake_run(&f);
  end_with(&f, "a", "1", "{\"k\":1}");
  fl_attempt_record(live(&f, "b"), "now", "3", 1);
  end_with(&f, "b", "2", NULL);
  replay(&f, false);
  end_with(&f, "a", "9", "{\"k\":9}");
  fake_crash(&f);
  f.fate = FL_FATE_NOT_STARTED;
  fake_open_scheduler(&f, 2);
  assert_int_equal(fl_store_find_run(f.store, "last", &row, &err), FL_OK);
  fl_resume_spec spec = {.flow = &f.flow};
  if (fl_scheduler_resume_run(f.scheduler, &row, &spec, &run, &err)) fail_msg("%s", err.message);
  fl_run_row_deinit(&row);
  fake_step(&f);
  // The attempt that was claimed before the crash, and the next one.
  for (int i = 0; i < 2; i++) {
    fl_buf got;
    fl_buf_init(&got, 100);
    assert_sees(&f, "b", "{\"a\":1}", "{\"k\":1}");
    assert_true(fl_recorded_take(fl_attempt_get_recorded(live(&f, "b")), "now", &got));
    fl_buf_deinit(&got);
    fake_end(&f, "b", FL_ATTEMPT_FAILED);
  }
  fake_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nodes_see_what_they_saw),
      cmocka_unit_test(the_attempt_that_succeeded_counts),
      cmocka_unit_test(a_node_that_never_ran_sees_today),
      cmocka_unit_test(what_was_done_by_hand_is_done_again),
      cmocka_unit_test(a_run_that_is_gone_cannot_be_repeated),
      cmocka_unit_test(a_resume_goes_on_as_a_replay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
