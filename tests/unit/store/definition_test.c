// Definitions: kept once by digest; those of mended runs name nodes by number and by position.
#include "read/read.h"
#include "store_helper.h"

static void a_definition_is_kept_once(void **state) {
  char *dir = make_dir();
  int64_t one, two;
  bool existed;
  (void)state;
  fl_store *s = open_store(dir);
  fl_definition_row row = {
      .flow = "f", .script = put_script(s, "x"), .digest = {9}, .node_count = 2};
  ok(fl_store_put_definition(s, &row, &one, &existed, &err));
  assert_false(existed);
  ok(fl_store_add_definition_node(
      s, one, &(fl_definition_node_row){.name = "a", .type = "lua", .parents = "[]"}, &err));
  ok(fl_store_commit(s, &err));
  // Whoever finds it before it is whole adds what is missing; what is there stays.
  ok(fl_store_put_definition(s, &row, &two, &existed, &err));
  assert_false(existed);
  assert_int_equal(one, two);
  for (uint32_t i = 0; i < 2; i++)
    ok(fl_store_add_definition_node(
        s, two,
        &(fl_definition_node_row){
            .node = i, .name = i ? "b" : "a", .type = "lua", .parents = "[]", .position = i},
        &err));
  ok(fl_store_end_definition(s, two, 2, &err));
  ok(fl_store_commit(s, &err));
  assert_int_equal(number_of(s, "SELECT count(*) FROM definition_node"), 2);
  ok(fl_store_put_definition(s, &row, &two, &existed, &err));
  assert_true(existed);
  assert_int_equal(one, two);
  ok(fl_store_commit(s, &err));
  // A rolled back one is not there.
  row.digest[0] = 10;
  ok(fl_store_put_definition(s, &row, &two, &existed, &err));
  fl_store_rollback(s);
  ok(fl_store_put_definition(s, &row, &two, &existed, &err));
  assert_false(existed);
  fl_store_close(s);
  remove_dir(dir);
}

static bool list_node(void *ud, const fl_definition_node_row *row) {
  char *out = ud;
  sprintf(out + strlen(out), "%u=%s@%u%s ", row->node, row->name, row->position,
          row->removed ? "-" : "");
  return true;
}

/// The run's definition becomes: check (new), extract, load (moved up); clean and report are gone.
static void mend(fl_store *s, fl_run_row *run) {
  static const fl_definition_node_row nodes[] = {
      {.node = 6, .name = "check", .type = "lua", .parents = "[]", .position = 0},
      {.node = 0, .name = "extract", .type = "shell", .parents = "[6]", .position = 1},
      {.node = 2, .name = "load", .type = "map", .parents = "[0,6]", .position = 2},
      {.node = 1, .name = "clean", .type = "lua", .parents = "[0]", .position = 1, .removed = true},
      {.node = 3,
       .name = "report",
       .type = "lua",
       .parents = "[0,2]",
       .position = 3,
       .removed = true}};
  fl_definition_row row = {
      .flow = "sales", .script = run->script, .digest = {7}, .node_count = 3, .edited = true};
  bool existed;
  ok(fl_store_put_definition(s, &row, &run->definition, &existed, &err));
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
    ok(fl_store_add_definition_node(s, run->definition, &nodes[i], &err));
  ok(fl_store_end_definition(s, run->definition, 3, &err));
  ok(fl_store_set_run_inputs(s, run->row, run->definition, run->script, run->params, run->vars,
                             &err));
}

static void nodes_of_a_mended_run_are_shown_in_the_order_of_its_script(void **state) {
  char *dir = make_dir(), list[200] = "";
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "{\"a\":1}");
  add_ended(s, &run, 1, 1, 3, FL_ATTEMPT_SUCCEEDED, "{\"b\":2}");
  fl_item_row gone = {run.row, 4, 3, 1, "report[1]", put_text(s, "7"), "shell"};
  fl_item_row kept = {run.row, 5, 2, 1, "load[1]", put_text(s, "8"), "shell"};
  ok(fl_store_add_item(s, &gone, &err));
  ok(fl_store_add_item(s, &kept, &err));
  mend(s, &run);
  ok(fl_store_commit(s, &err));
  ok(fl_store_each_definition_node(s, run.definition, list_node, list, &err));
  assert_string_equal(list, "0=extract@1 1=clean@1- 2=load@2 3=report@3- 6=check@0 ");

  fl_buf out;
  fl_buf_init(&out, 1 << 20);
  ok(fl_read_store_run(s, &run, &out, &err));
  const char *text = fl_buf_cstr(&out), *check = strstr(text, "\"name\":\"check\"");
  const char *extract = strstr(text, "\"name\":\"extract\""), *load = strstr(text, "\"load[1]\"");
  assert_true(check && extract && load && check < extract && extract < load);
  assert_non_null(strstr(text, "\"after\":[\"extract\",\"check\"]"));
  assert_non_null(strstr(extract, "\"outputs\":{\"a\":1}"));
  assert_null(strstr(text, "report"));
  assert_null(strstr(text, "clean"));
  fl_buf_deinit(&out);
  // Its history goes on naming what is gone.
  assert_rows(s, "SELECT name,outputs FROM v_context WHERE run='r1'",
              "extract|{\"a\":1}\nclean|{\"b\":2}");
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_definition_is_kept_once),
      cmocka_unit_test(nodes_of_a_mended_run_are_shown_in_the_order_of_its_script),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
