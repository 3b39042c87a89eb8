// `breakpoint RUN` of a store: failures, the queue in the order of the graph, values by digest.
#include "read/read.h"
#include "store_helper.h"

#define ID "20231114T221320-00000001"

/// load waits for clean, which is declared after it; tail is left out with skip; hook runs at the
/// end.
static int64_t put_tangled(fl_store *s, int64_t script) {
  static const fl_definition_node_row nodes[] = {
      {.node = 0, .name = "load", .type = "sql", .parents = "[1,3]"},
      {.node = 1, .name = "clean", .type = "lua", .parents = "[2]", .position = 1},
      {.node = 2, .name = "extract", .type = "shell", .parents = "[]", .position = 2},
      {.node = 3, .name = "skip", .type = "lua", .parents = "[2]", .position = 3},
      {.node = 4, .name = "tail", .type = "lua", .parents = "[3]", .position = 4},
      {.node = 5, .name = "after_load", .type = "lua", .parents = "[0]", .position = 5},
      {.node = 6, .name = "hook", .type = "lua", .parents = "[]", .hook = 4, .position = 6},
  };
  int64_t id;
  bool existed;
  fl_definition_row row = {.flow = "sales", .script = script, .digest = {42}, .node_count = 7};
  ok(fl_store_put_definition(s, &row, &id, &existed, &err));
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
    ok(fl_store_add_definition_node(s, id, &nodes[i], &err));
  ok(fl_store_end_definition(s, id, 7, &err));
  return id;
}

static void add_story(fl_store *s, fl_run_row *run) {
  add_run(s, ID, run);
  run->definition = put_tangled(s, run->script);
  ok(fl_store_set_run_inputs(s, run->row, run->definition, run->script, 0, 0, &err));
  add_ended(s, run, 2, 1, 1, FL_ATTEMPT_SUCCEEDED, "{\"rows\":[1,2]}");
  add_ended(s, run, 1, 1, 3, FL_ATTEMPT_FAILED, NULL);
  ok(fl_store_add_breakpoint(
      s,
      &(fl_breakpoint_row){
          .run = run->row, .seq = 4, .epoch = 1, .node = 1, .number = 1, .at_ms = T0 + 140},
      &err));
  decide(s, run, 3, 5, FL_NODE_SKIPPED, FL_REASON_WHEN_FALSE, NULL);
  decide(s, run, 4, 6, FL_NODE_SKIPPED, FL_REASON_UPSTREAM_SKIPPED, "skip");
  decide(s, run, 0, 7, FL_NODE_UPSTREAM_FAILED, FL_REASON_UPSTREAM_FAILED, "clean");
  decide(s, run, 5, 8, FL_NODE_SKIPPED, FL_REASON_UPSTREAM_FAILED, "load");
  ok(fl_store_set_run_state(s, run->row, FL_RUN_FAILED, 0, T0 + 500, "node 'clean': x", &err));
  ok(fl_store_commit(s, &err));
}

static void a_breakpoint_says_what_failed_and_what_a_resume_runs(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_buf out;
  (void)state;
  fl_buf_init(&out, 1 << 20);
  fl_store *s = open_store(dir);
  add_story(s, &run);
  ok(fl_read_store_breakpoint(s, &run, &out, &err));
  json_t *bp = parse(&out);
  assert_string_equal(text_at(bp, "at"), "2023-11-14T22:13:20.140Z");
  assert_member(bp, "failed",
                "[{\"node\":\"clean\",\"attempt\":1,\"at\":\"2023-11-14T22:13:20.140Z\",\"error\":"
                "\"exit code 1\",\"exit_code\":1,\"signal\":null,\"reason\":null,\"text\":null,"
                "\"run\":null}]");
  // What a node depends on comes first, whatever the order of the script; hooks run anyway.
  assert_member(bp, "queue", "[\"clean\",\"load\",\"after_load\"]");
  json_t *nodes = json_object_get(bp, "nodes");
  assert_int_equal(json_array_size(nodes), 7);
  json_t *clean = json_array_get(nodes, 1);
  assert_member(
      clean, "inputs",
      "{\"extract\":{\"digest\":\"sha256:"
      "7324573ea7052c2d443cb63b927af166cca591bb3ef6483198450a6b210f91f7\",\"size\":14,\"value\":{"
      "\"rows\":[1,2]}}}");
  json_decref(bp);
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_run_that_has_succeeded_has_none(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_buf out;
  (void)state;
  fl_buf_init(&out, 1 << 20);
  fl_store *s = open_store(dir);
  add_story(s, &run);
  ok(fl_store_set_run_state(s, run.row, FL_RUN_SUCCEEDED, 0, T0 + 500, "", &err));
  ok(fl_store_commit(s, &err));
  fails(fl_read_store_breakpoint(s, &run, &out, &err), FL_E_STATE, "has succeeded");
  // One that stopped without a failure is at one: `at` is its end.
  ok(fl_store_exec(s, "DELETE FROM breakpoint", &err));
  ok(fl_store_set_run_state(s, run.row, FL_RUN_CANCELLED, 0, T0 + 500, "", &err));
  fl_buf_reset(&out);
  ok(fl_read_store_breakpoint(s, &run, &out, &err));
  json_t *bp = parse(&out);
  assert_string_equal(text_at(bp, "at"), "2023-11-14T22:13:20.500Z");
  assert_member(bp, "failed", "[]");
  json_decref(bp);
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_breakpoint_says_what_failed_and_what_a_resume_runs),
      cmocka_unit_test(a_run_that_has_succeeded_has_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
