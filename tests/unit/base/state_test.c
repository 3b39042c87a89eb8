// Tests base/state.c: every state and reason has a text, and no two share one.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/state.h"

static void every_state_has_its_own_text(void **state) {
  (void)state;
  for (int i = 0; i < FL_RUN_STATE_COUNT; i++)
    for (int j = 0; j < i; j++) assert_string_not_equal(fl_run_state_text(i), fl_run_state_text(j));
  for (int i = 0; i < FL_NODE_STATE_COUNT; i++)
    for (int j = 0; j < i; j++)
      assert_string_not_equal(fl_node_state_text(i), fl_node_state_text(j));
  for (int i = 0; i < FL_ATTEMPT_STATE_COUNT; i++)
    for (int j = 0; j < i; j++)
      assert_string_not_equal(fl_attempt_state_text(i), fl_attempt_state_text(j));
  for (int i = 0; i < FL_REASON_COUNT; i++) {
    assert_non_null(fl_reason_text(i));
    for (int j = 0; j < i; j++) assert_string_not_equal(fl_reason_name(i), fl_reason_name(j));
  }
}

static void stored_numbers_never_change(void **state) {
  (void)state;
  assert_int_equal(FL_RUN_CANCELLED, 5);
  assert_int_equal(FL_NODE_CANCELLED, 10);
  assert_int_equal(FL_ATTEMPT_SKIPPED, 7);
  assert_string_equal(fl_node_state_text(9), "upstream_failed");
  assert_string_equal(fl_attempt_state_text(4), "timed_out");
}

static void final_states(void **state) {
  (void)state;
  static const bool nodes[FL_NODE_STATE_COUNT] = {
      [FL_NODE_SUCCEEDED] = true, [FL_NODE_FAILED] = true,          [FL_NODE_SKIPPED] = true,
      [FL_NODE_OMITTED] = true,   [FL_NODE_UPSTREAM_FAILED] = true, [FL_NODE_CANCELLED] = true};
  for (int i = 0; i < FL_NODE_STATE_COUNT; i++)
    assert_int_equal(fl_node_state_is_final(i), nodes[i]);
  static const bool runs[FL_RUN_STATE_COUNT] = {
      [FL_RUN_SUCCEEDED] = true, [FL_RUN_FAILED] = true, [FL_RUN_CANCELLED] = true};
  for (int i = 0; i < FL_RUN_STATE_COUNT; i++) assert_int_equal(fl_run_state_is_final(i), runs[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_state_has_its_own_text),
      cmocka_unit_test(stored_numbers_never_change),
      cmocka_unit_test(final_states),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
