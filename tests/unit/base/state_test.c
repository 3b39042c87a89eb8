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

static void the_state_of_a_node_follows_from_its_last_attempt(void **state) {
  (void)state;
  static const struct {
    fl_attempt_state attempt;
    bool retries;
    fl_node_state node;
  } rows[] = {
      {FL_ATTEMPT_QUEUED, false, FL_NODE_QUEUED},
      {FL_ATTEMPT_RUNNING, false, FL_NODE_RUNNING},
      {FL_ATTEMPT_SUCCEEDED, false, FL_NODE_SUCCEEDED},
      {FL_ATTEMPT_FAILED, false, FL_NODE_FAILED},
      {FL_ATTEMPT_TIMED_OUT, false, FL_NODE_FAILED},
      {FL_ATTEMPT_LOST, false, FL_NODE_FAILED},
      {FL_ATTEMPT_CANCELLED, false, FL_NODE_CANCELLED},
      {FL_ATTEMPT_SKIPPED, false, FL_NODE_SKIPPED},
      {FL_ATTEMPT_FAILED, true, FL_NODE_RETRYING},
      {FL_ATTEMPT_TIMED_OUT, true, FL_NODE_RETRYING},
      {FL_ATTEMPT_LOST, true, FL_NODE_RETRYING},
      {FL_ATTEMPT_SUCCEEDED, true, FL_NODE_SUCCEEDED},
      {FL_ATTEMPT_CANCELLED, true, FL_NODE_CANCELLED},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_int_equal(fl_node_state_of(rows[i].attempt, rows[i].retries), rows[i].node);
  for (int i = 0; i < FL_ATTEMPT_STATE_COUNT; i++)
    assert_int_equal(fl_attempt_state_is_final(i),
                     fl_node_state_is_final(fl_node_state_of((fl_attempt_state)i, false)));
}

// A state that has not ended is seen as nothing, and one that has as something.
static void children_see_what_has_ended(void **state) {
  (void)state;
  static const fl_seen seen[FL_NODE_STATE_COUNT] = {
      [FL_NODE_SUCCEEDED] = FL_SEEN_SUCCESS,       [FL_NODE_FAILED] = FL_SEEN_FAILURE,
      [FL_NODE_SKIPPED] = FL_SEEN_SKIPPED,         [FL_NODE_OMITTED] = FL_SEEN_OMITTED,
      [FL_NODE_UPSTREAM_FAILED] = FL_SEEN_FAILURE, [FL_NODE_CANCELLED] = FL_SEEN_FAILURE};
  for (int i = 0; i < FL_NODE_STATE_COUNT; i++) {
    assert_int_equal(fl_node_state_seen((fl_node_state)i), seen[i]);
    assert_int_equal(fl_node_state_is_final((fl_node_state)i), seen[i] != FL_SEEN_NONE);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_state_has_its_own_text),
      cmocka_unit_test(stored_numbers_never_change),
      cmocka_unit_test(final_states),
      cmocka_unit_test(the_state_of_a_node_follows_from_its_last_attempt),
      cmocka_unit_test(children_see_what_has_ended),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
