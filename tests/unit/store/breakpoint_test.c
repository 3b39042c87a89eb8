// Breakpoints: a row a failure, in the failure's own transaction, seen through v_breakpoint.
#include "store_helper.h"

static const char all[] = "SELECT node,attempt,epoch,seq,at FROM v_breakpoint ORDER BY seq";

static void a_failure_is_found_by_the_name_of_its_node(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "20231114T221320-00000001", &run);
  add_ended(s, &run, 0, 2, 1, FL_ATTEMPT_FAILED, NULL);
  ok(fl_store_add_breakpoint(
      s, &(fl_breakpoint_row){.run = run.row, .seq = 2, .epoch = 1, .number = 2, .at_ms = T0},
      &err));
  ok(fl_store_add_breakpoint(
      s, &(fl_breakpoint_row){.run = run.row, .seq = 5, .epoch = 1, .node = 2, .at_ms = T0 + 1},
      &err));
  ok(fl_store_commit(s, &err));
  assert_rows(s, all,
              "extract|2|1|2|2023-11-14T22:13:20.000Z\n"
              "load|-|1|5|2023-11-14T22:13:20.001Z");
  fl_store_close(s);
  remove_dir(dir);
}

static void it_goes_with_the_failure_when_that_is_rolled_back(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "20231114T221320-00000001", &run);
  ok(fl_store_commit(s, &err));
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_FAILED, NULL);
  ok(fl_store_add_breakpoint(
      s, &(fl_breakpoint_row){.run = run.row, .seq = 2, .epoch = 1, .number = 1, .at_ms = T0},
      &err));
  fl_store *other = open_reader(dir);
  assert_rows(other, all, "");
  fl_store_rollback(s);
  assert_rows(s, all, "");
  assert_rows(s, "SELECT * FROM attempt", "");
  fl_store_close(other);
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_failure_is_found_by_the_name_of_its_node),
      cmocka_unit_test(it_goes_with_the_failure_when_that_is_rolled_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
