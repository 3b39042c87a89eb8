// What a resume finds and what it makes of it: processes, vars set by hand, maps, sub-flows.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake_resume.h"

// ------------------------------------------------------------------------------------- processes

static void a_process_that_never_started_belongs_to_the_engine_that_starts_it(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 2, "a", process);
  fake_run(&f);
  fake_crash(&f);
  f.supervisor = "second";
  resume(&f, FL_FATE_NOT_STARTED);
  assert_string_equal(f.started, "a ");
  fake_crash(&f);
  f.asked[0] = 0;
  resume(&f, FL_FATE_RUNNING);
  assert_string_equal(f.asked, "second ");
  fake_close(&f);
}

static void a_process_that_never_started_is_found_when_its_number_is_not_its_index(void **state) {
  (void)state;
  fake_engine f;
  fl_error err;
  uint32_t index;
  fl_node_options o = process;
  fake_open(&f, 2, "b", process);
  fake_run(&f);
  fake_crash(&f);
  fl_graph *mended = fl_graph_new(); // a new node stands before it
  o.type = "shell";
  for (const char *name = "ab"; *name; name++)
    assert_int_equal(fl_graph_add(mended, name, 1, &o, &index, &err), FL_OK);
  assert_int_equal(fl_graph_freeze(mended, &err), FL_OK);
  fl_graph *before = f.graph;
  f.flow.graph = f.graph = mended;
  f.flow.definition_store_id = 0;
  f.supervisor = "second";
  resume(&f, FL_FATE_NOT_STARTED);
  assert_non_null(find_live(&f, "b"));
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  fake_crash(&f);
  f.asked[0] = 0;
  resume(&f, FL_FATE_RUNNING);
  assert_string_equal(f.asked, "second ");
  fl_graph_free(before);
  fake_close(&f);
}

static void a_process_that_never_started_keeps_its_deadline(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options o = process;
  o.deadline_ms = 7000;
  fake_open(&f, 2, "a", o);
  fake_run(&f);
  fake_crash(&f);
  resume(&f, FL_FATE_NOT_STARTED);
  assert_int_equal(f.live[0]->timeout_ms, 7000);
  assert_true(f.live[0]->timeout_is_deadline);
  fake_close(&f);
}

static void what_an_earlier_engine_had_begun_to_end_is_tried_again(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 2, "a", process);
  fake_run(&f);
  fake_crash(&f);
  resume(&f, FL_FATE_RUNNING);
  fake_end(&f, "a", FL_ATTEMPT_CANCELLED);
  assert_string_equal(f.started, "a ");
  assert_int_equal(f.live[0]->number, 2);
  fake_close(&f);
}

// ------------------------------------------------------------------------------------- vars

static void vars_set_by_hand_are_seen_behind_what_still_ran(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 2, "a b:a", process);
  fake_run(&f);
  fake_crash(&f);
  fl_value *vars = fl_value_new("{\"x\":1}", 7);
  resume_with(&f, FL_FATE_RUNNING, (fl_resume_spec){.vars = vars});
  end_with(&f, "a", NULL, "{\"y\":2}");
  assert_string_equal(fl_attempt_get_vars(find_live(&f, "b"))->text, "{\"x\":1,\"y\":2}");
  fl_value_unref(vars);
  fake_close(&f);
}

// It was claimed before the patch, and starts after it: what it leaves has to show that, also when
// its new engine dies, too.
static void vars_set_by_hand_are_seen_by_what_had_not_started(void **state) {
  (void)state;
  for (int crashes = 1; crashes < 3; crashes++) {
    fake_engine f;
    fake_open(&f, 2, "a b:a", process);
    fake_run(&f);
    fake_crash(&f);
    fl_value *vars = fl_value_new("{\"x\":1}", 7);
    resume_with(&f, FL_FATE_NOT_STARTED, (fl_resume_spec){.vars = vars});
    fl_value_unref(vars);
    assert_string_equal(fl_attempt_get_vars(find_live(&f, "a"))->text, "{\"x\":1}");
    if (crashes == 2) {
      fake_crash(&f);
      resume(&f, FL_FATE_RUNNING);
      assert_string_equal(fl_attempt_get_vars(find_live(&f, "a"))->text, "{\"x\":1}");
    }
    end_with(&f, "a", NULL, NULL);
    assert_string_equal(fl_attempt_get_vars(find_live(&f, "b"))->text, "{\"x\":1}");
    fake_close(&f);
  }
}

// Two patches: the second came while it ran.
static void vars_set_by_hand_twice_are_seen_behind_what_started_in_between(void **state) {
  (void)state;
  fake_engine f;
  fake_open(&f, 2, "a b:a", process);
  fake_run(&f);
  const char *texts[] = {"{\"x\":1}", "{\"y\":2}"};
  for (int i = 0; i < 2; i++) {
    fl_value *vars = fl_value_new(texts[i], 7);
    fake_crash(&f);
    resume_with(&f, i ? FL_FATE_RUNNING : FL_FATE_NOT_STARTED, (fl_resume_spec){.vars = vars});
    fl_value_unref(vars);
  }
  end_with(&f, "a", NULL, NULL);
  assert_string_equal(fl_attempt_get_vars(find_live(&f, "b"))->text, "{\"x\":1,\"y\":2}");
  fake_close(&f);
}

// ------------------------------------------------------------------------------------- maps

static void an_interrupt_leaves_a_map_unfinished_whose_items_all_ran(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options map = process;
  fl_hooks hooks = {.command = fake_command, .expand = expand};
  fake_open(&f, 2, "a", process);
  map.kind = FL_KIND_MAP;
  regraph(&f, &map, 1, "");
  f.flow.hooks = &hooks;
  fake_run(&f);
  assert_string_equal(f.started, "a[1] a[2] ");
  fl_scheduler_cancel_all(f.scheduler, false);
  fake_step(&f);
  assert_null(strstr(f.told, "a:succeeded"));
  fake_crash(&f);
  resume(&f, FL_FATE_LOST);
  assert_string_equal(f.started, "a[1] a[2] ");
  end_with(&f, "a[1]", "\"x\"", NULL);
  end_with(&f, "a[2]", "\"y\"", NULL);
  assert_non_null(strstr(f.told, "a:succeeded"));
  fake_close(&f);
}

// b has ended; behind it the map a runs its two items.
static void open_map(fake_engine *f, fl_hooks *hooks) {
  const fl_node_options nodes[] = {{.kind = FL_KIND_MAP}, process};
  fake_open(f, 2, "a", process);
  regraph(f, nodes, 2, "ab");
  f->flow.hooks = hooks;
  fake_run(f);
  end_with(f, "b", NULL, NULL);
}

static int expansions;
static fl_code expand_less(const fl_flow *flow, fl_attempt *a, fl_value ***items, size_t *count,
                           fl_error *err) {
  fl_code rc = expand(flow, a, items, count, err);
  if (expansions++) fl_value_unref((*items)[--*count]);
  return rc;
}

static void a_map_that_was_asked_to_run_again_makes_its_list_anew_after_a_crash(void **state) {
  (void)state;
  fake_engine f;
  fl_hooks hooks = {.command = fake_command, .expand = expand_less};
  uint8_t rerun[] = {1, 1};
  expansions = 0;
  open_map(&f, &hooks);
  end_with(&f, "a[1]", "\"x\"", NULL);
  end_with(&f, "a[2]", "\"y\"", NULL);
  fake_crash(&f);
  resume_with(&f, FL_FATE_LOST, (fl_resume_spec){.rerun = rerun});
  assert_string_equal(f.started, "b ");
  fake_crash(&f);
  resume(&f, FL_FATE_LOST);
  end_with(&f, "b", NULL, NULL);
  assert_string_equal(f.started, "b a[1] ");
  assert_int_equal(expansions, 2);
  fake_close(&f);
}

static void an_item_that_is_named_runs_again_alone(void **state) {
  (void)state;
  fake_engine f;
  fl_hooks hooks = {.command = fake_command, .expand = expand};
  const uint32_t items[] = {3}; // a[2]
  const uint8_t rerun[] = {0, 0, 1};
  open_map(&f, &hooks);
  end_with(&f, "a[1]", "\"x\"", NULL);
  end_with(&f, "a[2]", "\"y\"", NULL);
  fake_crash(&f);
  resume_with(&f, FL_FATE_LOST, (fl_resume_spec){.rerun = rerun, .items = items, .item_count = 1});
  assert_string_equal(f.started, "a[2] ");
  end_with(&f, "a[2]", "\"z\"", NULL);
  assert_non_null(strstr(f.told, "a:succeeded"));
  fake_close(&f);
}

static void an_item_is_skipped_or_given_outputs_by_hand(void **state) {
  (void)state;
  fake_engine f;
  fl_hooks hooks = {.command = fake_command, .expand = expand};
  const uint32_t items[] = {2, 3}; // a[1], a[2]
  const uint8_t skip[] = {0, 0, 1, 0}, succeed[] = {0, 0, 0, 1};
  fl_value *given = fl_value_new("\"g\"", 3);
  fl_value *const outputs[] = {NULL, NULL, NULL, given};
  open_map(&f, &hooks);
  fake_end(&f, "a[1]", FL_ATTEMPT_FAILED);
  fake_end(&f, "a[2]", FL_ATTEMPT_FAILED);
  fake_crash(&f);
  resume_with(
      &f, FL_FATE_LOST,
      (fl_resume_spec){
          .skip = skip, .succeed = succeed, .outputs = outputs, .items = items, .item_count = 2});
  assert_string_equal(f.started, "");
  assert_non_null(strstr(f.told, "a:succeeded"));
  fl_value_unref(given);
  fake_close(&f);
}

static void a_claim_without_a_row_may_be_of_what_is_a_map_now(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options o = {.kind = FL_KIND_WORKER, .lost_count_max = 5};
  fl_hooks hooks = {.command = fake_command, .expand = expand};
  fake_open(&f, 2, "a", o);
  fake_run(&f);
  fake_crash(&f);
  o.kind = FL_KIND_MAP; // in a mended script
  regraph(&f, &o, 1, "");
  f.flow.hooks = &hooks;
  f.flow.definition_store_id = 0;
  resume(&f, FL_FATE_LOST);
  assert_string_equal(f.started, "a[1] a[2] ");
  fake_close(&f);
}

static void an_item_that_was_allowed_to_fail_is_kept_with_its_map(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options nodes[] = {process, process};
  fl_hooks hooks = {.command = fake_command, .expand = expand};
  fake_open(&f, 2, "a", process);
  nodes[0].kind = FL_KIND_MAP;
  nodes[0].allow_failure = true;
  regraph(&f, nodes, 2, "ba");
  f.flow.hooks = &hooks;
  fake_run(&f);
  fake_end(&f, "a[1]", FL_ATTEMPT_FAILED);
  fake_end(&f, "a[2]", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a[1] a[2] b ");
  fake_end(&f, "b", FL_ATTEMPT_FAILED);
  fake_crash(&f);
  fl_run *run = resume(&f, FL_FATE_LOST);
  assert_string_equal(f.started, "b ");
  assert_int_equal(fl_plan_get_state(run->plan, 2), FL_NODE_FAILED);
  fake_close(&f);
}

// ------------------------------------------------------------------------------------- sub-flows

static int calls;
static fl_flow called;
static fl_code call(const fl_flow *flow, fl_attempt *a, const fl_flow **sub, fl_value **params,
                    fl_error *err) {
  (void)a, (void)err;
  calls++;
  called.script_store_id = flow->script_store_id;
  *sub = &called;
  *params = fl_value_ref(fl_value_empty_map());
  return FL_OK;
}

static const fl_hooks call_hooks = {.command = fake_command, .call = call};

// What is called: one node, s.
static void open_called(fl_node_options o) {
  fl_error err;
  uint32_t index;
  o.type = "test";
  fl_graph *sub = fl_graph_new();
  assert_int_equal(fl_graph_add(sub, "s", 1, &o, &index, &err), FL_OK);
  assert_int_equal(fl_graph_freeze(sub, &err), FL_OK);
  called = (fl_flow){.key = "sub",
                     .graph = sub,
                     .hooks = &fake_hooks,
                     .index = 2,
                     .version = "sha256:0",
                     .zone = "UTC",
                     .vars = fl_value_empty_map()};
  calls = 0;
}

// a calls; c holds a slot; b comes after c and wants what s holds in the called flow.
static void what_a_called_flow_holds_counts_before_anything_new_starts(void **state) {
  (void)state;
  fake_engine f;
  static const fl_flow_pool pools[] = {{"one", 1}};
  fl_node_options nodes[] = {process, process, process};
  nodes[0].kind = FL_KIND_CALL;
  nodes[1].pool = nodes[1].weight = 1;
  open_called(nodes[1]);
  fake_open(&f, 3, "a", process);
  regraph(&f, nodes, 3, "bc");
  f.flow.hooks = &call_hooks;
  f.flow.pools = called.pools = pools;
  f.flow.pool_count = called.pool_count = 1;
  fake_run(&f);
  fake_end(&f, "c", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "c s ");
  fake_crash(&f);
  resume(&f, FL_FATE_RUNNING);
  assert_string_equal(f.started, "");
  fake_end(&f, "s", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "b ");
  fl_graph_free((fl_graph *)called.graph);
  fake_close(&f);
}

// b was lost for good, which stops the run before the flow that a calls is entered again.
static void what_runs_in_a_called_flow_is_ended_with_a_run_that_stops_at_once(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options nodes[] = {process, {.kind = FL_KIND_WORKER}};
  nodes[0].kind = FL_KIND_CALL;
  open_called(process);
  fake_open(&f, 3, "a", process);
  regraph(&f, nodes, 2, "");
  f.flow.hooks = &call_hooks;
  f.flow.policy = FL_POLICY_STOP;
  fake_run(&f);
  assert_string_equal(f.started, "b s ");
  fake_crash(&f);
  resume(&f, FL_FATE_RUNNING);
  assert_int_equal(f.live_count, 0);
  assert_non_null(strstr(f.told, "s:cancelled"));
  assert_non_null(strstr(f.told, "a:cancelled run:failed"));
  fl_graph_free((fl_graph *)called.graph);
  fake_close(&f);
}

static void a_call_waits_for_a_parent_that_runs_again(void **state) {
  (void)state;
  fake_engine f;
  open_called(process);
  open_behind(&f, FL_KIND_CALL, &call_hooks);
  assert_string_equal(f.started, "a s ");
  fake_crash(&f);
  resume_with(&f, FL_FATE_LOST, (fl_resume_spec){.rerun = rerun_a});
  assert_string_equal(f.started, "a ");
  assert_int_equal(calls, 1); // what it is called with depends on a
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a s ");
  assert_int_equal(find_live(&f, "s")->number, 2); // the same run was entered
  fake_end(&f, "s", FL_ATTEMPT_SUCCEEDED);
  assert_non_null(strstr(f.told, "b:succeeded run:succeeded"));
  fl_graph_free((fl_graph *)called.graph);
  fake_close(&f);
}

// ------------------------------------------------------------------------------------- order

static void a_hook_that_waits_for_a_slot_keeps_nobody_busy(void **state) {
  (void)state;
  fake_engine f;
  fl_node_options nodes[] = {process, process};
  bool again;
  fl_error err;
  fake_open(&f, 1, "a", process);
  nodes[1].hook = FL_HOOK_EXIT;
  regraph(&f, nodes, 2, "");
  fl_run *first = fake_run(&f); // holds the only slot
  fl_run *second = fake_run(&f);
  assert_string_equal(f.started, "a ");
  fl_scheduler_cancel_run(f.scheduler, second, false, false);
  (void)first;
  for (int i = 0; i < 10; i++)
    assert_int_equal(fl_scheduler_step(f.scheduler, 0, &again, &err), FL_OK);
  assert_false(again);
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a b ");
  fake_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_process_that_never_started_belongs_to_the_engine_that_starts_it),
      cmocka_unit_test(a_process_that_never_started_is_found_when_its_number_is_not_its_index),
      cmocka_unit_test(a_process_that_never_started_keeps_its_deadline),
      cmocka_unit_test(what_an_earlier_engine_had_begun_to_end_is_tried_again),
      cmocka_unit_test(vars_set_by_hand_are_seen_behind_what_still_ran),
      cmocka_unit_test(vars_set_by_hand_are_seen_by_what_had_not_started),
      cmocka_unit_test(vars_set_by_hand_twice_are_seen_behind_what_started_in_between),
      cmocka_unit_test(an_interrupt_leaves_a_map_unfinished_whose_items_all_ran),
      cmocka_unit_test(a_map_that_was_asked_to_run_again_makes_its_list_anew_after_a_crash),
      cmocka_unit_test(an_item_that_is_named_runs_again_alone),
      cmocka_unit_test(an_item_is_skipped_or_given_outputs_by_hand),
      cmocka_unit_test(a_claim_without_a_row_may_be_of_what_is_a_map_now),
      cmocka_unit_test(an_item_that_was_allowed_to_fail_is_kept_with_its_map),
      cmocka_unit_test(what_a_called_flow_holds_counts_before_anything_new_starts),
      cmocka_unit_test(what_runs_in_a_called_flow_is_ended_with_a_run_that_stops_at_once),
      cmocka_unit_test(a_call_waits_for_a_parent_that_runs_again),
      cmocka_unit_test(a_hook_that_waits_for_a_slot_keeps_nobody_busy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
