// What a resume decides of nodes whose parents run again, and of those that are left out.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake_resume.h"

// ------------------------------------------------------------------------------------- parents
// that run again

static void a_process_that_never_started_waits_for_a_parent_that_runs_again(void **state) {
  (void)state;
  fake_engine f;
  open_behind(&f, FL_KIND_PROCESS, &fake_hooks);
  assert_string_equal(f.started, "a b ");
  fake_crash(&f);
  resume_with(&f, FL_FATE_NOT_STARTED, (fl_resume_spec){.rerun = rerun_a});
  assert_string_equal(f.started, "a ");
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a b ");
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  assert_non_null(strstr(f.told, "run:succeeded"));
  fake_close(&f);
}

static const fl_hooks map_hooks = {.command = fake_command, .expand = expand};

static void open_map_behind(fake_engine *f) {
  open_behind(f, FL_KIND_MAP, &map_hooks);
  assert_string_equal(f->started, "a b[1] b[2] ");
  end_with(f, "b[1]", "\"x\"", NULL);
  fake_crash(f);
}

static void a_map_goes_on_behind_a_parent_that_runs_again(void **state) {
  (void)state;
  fake_engine f;
  open_map_behind(&f);
  fl_node_options *inner = (fl_node_options *)fl_graph_get_inner(f.graph, 1);
  inner->kind = FL_KIND_PROCESS; // found running, and adopted
  resume_with(&f, FL_FATE_RUNNING, (fl_resume_spec){.rerun = rerun_a});
  assert_string_equal(f.started, "a ");
  end_with(&f, "b[2]", "\"y\"", NULL);
  assert_null(strstr(f.told, "b:succeeded"));
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a ");
  assert_non_null(strstr(f.told, "b:succeeded run:succeeded"));
  fake_close(&f);
}

static void an_item_waits_for_a_parent_of_its_map_that_runs_again(void **state) {
  (void)state;
  for (int adopted = 0; adopted < 2; adopted++) { // it fails under the new engine, or was lost
    fake_engine f;
    open_map_behind(&f);
    fl_node_options *inner = (fl_node_options *)fl_graph_get_inner(f.graph, 1);
    inner->lost_count_max = 1;
    if (adopted) inner->kind = FL_KIND_PROCESS;
    resume_with(&f, adopted ? FL_FATE_RUNNING : FL_FATE_LOST, (fl_resume_spec){.rerun = rerun_a});
    if (adopted) fake_end(&f, "b[2]", FL_ATTEMPT_FAILED);
    assert_string_equal(f.started, "a ");
    fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
    assert_string_equal(f.started, "a b[2] ");
    end_with(&f, "b[2]", "\"y\"", NULL);
    assert_non_null(strstr(f.told, "run:succeeded"));
    fake_close(&f);
  }
}

static void items_of_a_map_that_cannot_go_on_are_cancelled(void **state) {
  (void)state;
  fake_engine f;
  open_map_behind(&f);
  fl_node_options *inner = (fl_node_options *)fl_graph_get_inner(f.graph, 1);
  inner->lost_count_max = 1;
  fl_run *run = resume_with(&f, FL_FATE_LOST, (fl_resume_spec){.rerun = rerun_a});
  fl_attempt *a = find_live(&f, "a");
  fake_take(&f, a);
  fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_FAILED, .exit_code = 1});
  assert_int_equal(fl_plan_get_state(run->plan, 1), FL_NODE_UPSTREAM_FAILED);
  assert_int_equal(fl_plan_get_state(run->plan, 2), FL_NODE_SUCCEEDED);
  assert_int_equal(fl_plan_get_state(run->plan, 3), FL_NODE_CANCELLED);
  fake_step(&f);
  assert_non_null(strstr(f.told, "run:failed"));
  fake_crash(&f);
  resume(&f, FL_FATE_LOST);
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a b[2] ");
  fake_close(&f);
}

static fl_code needs_input(const fl_flow *flow, fl_attempt *a, fl_command **out, fl_error *err) {
  fl_buf inputs;
  fl_buf_init(&inputs, FL_VALUE_SIZE_MAX);
  fl_code rc = fl_attempt_write_inputs(a, &inputs, err);
  if (!rc && a->node == 1 && !strstr(fl_buf_cstr(&inputs), "\"x\""))
    rc = fl_fail(err, FL_E_SCRIPT, "no inputs.a");
  fl_buf_deinit(&inputs);
  return rc ? rc : fake_command(flow, a, out, err);
}

// Its command says what its output means; it cannot be made without what a had given.
static void what_still_runs_is_judged_by_what_its_parent_had_given(void **state) {
  (void)state;
  fake_engine f;
  const fl_hooks hooks = {.command = needs_input};
  fake_open(&f, 2, "a b:a", process);
  f.flow.hooks = &hooks;
  fake_run(&f);
  end_with(&f, "a", "\"x\"", NULL);
  assert_non_null(find_live(&f, "b")->command);
  for (int crashes = 0; crashes < 2; crashes++) {
    fake_crash(&f);
    fl_resume_spec spec = {.rerun = crashes ? NULL : rerun_a};
    fl_run *run = resume_with(&f, FL_FATE_RUNNING, spec);
    assert_non_null(find_live(&f, "b")->command);
    assert_int_equal(run->nodes[0].outputs_id, 0);
  }
  fake_close(&f);
}

static void a_retry_waits_for_a_parent_that_runs_again(void **state) {
  (void)state;
  fake_engine f;
  uint8_t rerun[] = {1, 0};
  fake_open(&f, 2, "a b:a", process);
  fake_run(&f);
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  fake_crash(&f);
  resume_with(&f, FL_FATE_LOST, (fl_resume_spec){.rerun = rerun});
  assert_string_equal(f.started, "a ");
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a b ");
  fake_close(&f);
}

// ------------------------------------------------------------------------------------- branches

// a: a branch that chooses c; b: fails; c and d come after both.
static void open_branch(fake_engine *f, bool branch_first) {
  const fl_node_options nodes[] = {{.kind = FL_KIND_BRANCH}, process, process, process};
  fake_open(f, 2, "a", process);
  regraph(f, nodes, 4, "cacbdadb");
  fake_run(f);
  if (branch_first) end_with(f, "a", "[\"c\"]", NULL);
  fake_end(f, "b", FL_ATTEMPT_FAILED);
  if (!branch_first) end_with(f, "a", "[\"c\"]", NULL);
  fake_crash(f);
}

static void a_branch_keeps_its_choice_when_another_parent_runs_again(void **state) {
  (void)state;
  for (int first = 0; first < 2; first++) {
    fake_engine f;
    open_branch(&f, first);
    resume(&f, FL_FATE_LOST);
    fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
    assert_string_equal(f.started, "b c ");
    fake_end(&f, "c", FL_ATTEMPT_SUCCEEDED);
    assert_non_null(strstr(f.told, "run:succeeded"));
    fake_close(&f);
  }
}

// a: a branch that chooses b, not c, which is skipped by hand meanwhile; d comes after c.
static void a_skip_by_hand_outlasts_a_branch_that_chose_others(void **state) {
  (void)state;
  fake_engine f;
  const fl_node_options branch = {.kind = FL_KIND_BRANCH, .lost_count_max = 5};
  const fl_node_options nodes[] = {branch, process, process, process};
  const uint8_t skip_c[4] = {0, 0, 1, 0};
  fake_open(&f, 2, "a", process);
  regraph(&f, nodes, 4, "bacadc");
  fake_run(&f);
  fl_scheduler_cancel_all(f.scheduler, false);
  fake_step(&f);
  fake_crash(&f);
  resume_with(&f, FL_FATE_LOST, (fl_resume_spec){.skip = skip_c});
  end_with(&f, "a", "[\"b\"]", NULL);
  fake_end(&f, "b", FL_ATTEMPT_FAILED);
  fake_crash(&f);
  fl_run *run = resume(&f, FL_FATE_LOST);
  assert_int_equal(fl_plan_get_state(run->plan, 2), FL_NODE_SKIPPED);
  assert_int_equal(fl_plan_get_state(run->plan, 3), FL_NODE_SKIPPED);
  fake_close(&f);
}

// a, then b, then c. What is said of b by hand after the run has ended changes what c was told.
static void what_a_wish_makes_of_a_node_is_decided_anew_behind_it(void **state) {
  (void)state;
  const uint8_t b[3] = {0, 1, 0};
  const struct {
    fl_resume_spec first, then;
    const char *started;
  } rows[] = {
      {{.skip = b}, {.succeed = b}, "c "}, {{.skip = b}, {.rerun = b}, "b c "},
      {{.skip = b}, {.skip = b}, ""},      {{.skip = b}, {0}, ""},
      {{.succeed = b}, {.skip = b}, ""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fake_engine f;
    fake_open(&f, 2, "a b:a c:b", process);
    fake_run(&f);
    fake_end(&f, "a", FL_ATTEMPT_FAILED);
    fake_crash(&f);
    resume_with(&f, FL_FATE_LOST, rows[i].first);
    while (f.live_count) fake_end(&f, fl_attempt_get_name(f.live[0]), FL_ATTEMPT_SUCCEEDED);
    assert_non_null(strstr(f.told, "run:succeeded"));
    fake_crash(&f);
    resume_with(&f, FL_FATE_LOST, rows[i].then);
    while (f.live_count) fake_end(&f, fl_attempt_get_name(f.live[0]), FL_ATTEMPT_SUCCEEDED);
    assert_string_equal(f.started, rows[i].started);
    assert_non_null(strstr(f.told, "run:succeeded"));
    fake_close(&f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_process_that_never_started_waits_for_a_parent_that_runs_again),
      cmocka_unit_test(a_map_goes_on_behind_a_parent_that_runs_again),
      cmocka_unit_test(an_item_waits_for_a_parent_of_its_map_that_runs_again),
      cmocka_unit_test(items_of_a_map_that_cannot_go_on_are_cancelled),
      cmocka_unit_test(what_still_runs_is_judged_by_what_its_parent_had_given),
      cmocka_unit_test(a_retry_waits_for_a_parent_that_runs_again),
      cmocka_unit_test(a_branch_keeps_its_choice_when_another_parent_runs_again),
      cmocka_unit_test(a_skip_by_hand_outlasts_a_branch_that_chose_others),
      cmocka_unit_test(what_a_wish_makes_of_a_node_is_decided_anew_behind_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
