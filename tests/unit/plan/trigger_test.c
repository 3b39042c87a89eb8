// Trigger rules by rows: what was seen of the parents -> what the node does.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "plan/plan.h"

#define S FL_SEEN_SUCCESS
#define F FL_SEEN_FAILURE
#define K FL_SEEN_SKIPPED
#define O FL_SEEN_OMITTED

typedef struct row {
  fl_trigger trigger;
  uint32_t waiting;
  unsigned seen;
  fl_verdict is;
  fl_reason why;
} row;

static const row rows[] = {
    {FL_TRIGGER_ALL_SUCCESS, 0, 0, FL_VERDICT_READY, FL_REASON_READY}, // depends on nothing
    {FL_TRIGGER_ALL_SUCCESS, 1, S, FL_VERDICT_WAIT, FL_REASON_WAITS_FOR_NODES},
    {FL_TRIGGER_ALL_SUCCESS, 0, S, FL_VERDICT_READY, FL_REASON_READY},
    {FL_TRIGGER_ALL_SUCCESS, 1, F, FL_VERDICT_UPSTREAM_FAILED,
     FL_REASON_UPSTREAM_FAILED}, // not after the others
    {FL_TRIGGER_ALL_SUCCESS, 0, S | K, FL_VERDICT_SKIP, FL_REASON_UPSTREAM_SKIPPED},
    {FL_TRIGGER_ALL_SUCCESS, 0, S | O, FL_VERDICT_OMIT, FL_REASON_UPSTREAM_OMITTED},
    {FL_TRIGGER_ALL_SUCCESS, 0, K | O, FL_VERDICT_SKIP, FL_REASON_UPSTREAM_SKIPPED},
    {FL_TRIGGER_ALL_SUCCESS, 1, K, FL_VERDICT_WAIT, FL_REASON_WAITS_FOR_NODES},
    {FL_TRIGGER_ALL_DONE, 1, F, FL_VERDICT_WAIT, FL_REASON_WAITS_FOR_NODES},
    {FL_TRIGGER_ALL_DONE, 0, F | K | O, FL_VERDICT_READY, FL_REASON_TRIGGER},
    {FL_TRIGGER_ALL_FAILED, 1, F, FL_VERDICT_WAIT, FL_REASON_WAITS_FOR_NODES},
    {FL_TRIGGER_ALL_FAILED, 0, F, FL_VERDICT_READY, FL_REASON_TRIGGER},
    {FL_TRIGGER_ALL_FAILED, 1, F | S, FL_VERDICT_SKIP,
     FL_REASON_TRIGGER_NOT_MET}, // can no longer be met
    {FL_TRIGGER_ALL_FAILED, 0, K, FL_VERDICT_SKIP, FL_REASON_TRIGGER_NOT_MET},
    {FL_TRIGGER_ONE_SUCCESS, 3, S, FL_VERDICT_READY,
     FL_REASON_TRIGGER}, // does not wait for the others
    {FL_TRIGGER_ONE_SUCCESS, 1, F, FL_VERDICT_WAIT, FL_REASON_WAITS_FOR_NODES},
    {FL_TRIGGER_ONE_SUCCESS, 0, F | K, FL_VERDICT_UPSTREAM_FAILED, FL_REASON_UPSTREAM_FAILED},
    {FL_TRIGGER_ONE_SUCCESS, 0, K, FL_VERDICT_SKIP, FL_REASON_UPSTREAM_SKIPPED},
    {FL_TRIGGER_ONE_SUCCESS, 0, O, FL_VERDICT_OMIT, FL_REASON_UPSTREAM_OMITTED},
    {FL_TRIGGER_ONE_FAILED, 3, F, FL_VERDICT_READY, FL_REASON_TRIGGER},
    {FL_TRIGGER_ONE_FAILED, 1, S, FL_VERDICT_WAIT, FL_REASON_WAITS_FOR_NODES},
    {FL_TRIGGER_ONE_FAILED, 0, S | K, FL_VERDICT_SKIP, FL_REASON_TRIGGER_NOT_MET},
    {FL_TRIGGER_NONE_FAILED, 1, S, FL_VERDICT_WAIT, FL_REASON_WAITS_FOR_NODES},
    {FL_TRIGGER_NONE_FAILED, 0, S | K | O, FL_VERDICT_READY, FL_REASON_TRIGGER},
    {FL_TRIGGER_NONE_FAILED, 0, K, FL_VERDICT_READY, FL_REASON_TRIGGER},
    {FL_TRIGGER_NONE_FAILED, 1, F, FL_VERDICT_UPSTREAM_FAILED, FL_REASON_UPSTREAM_FAILED},
};

static void each_rule_decides_as_its_row_says(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_reason reason = FL_REASON_NONE;
    fl_verdict is = fl_trigger_decide(rows[i].trigger, rows[i].waiting, rows[i].seen, &reason);
    if (is != rows[i].is)
      fail_msg("row %zu: %s, %u waiting, seen %u: verdict %d, not %d", i,
               fl_trigger_text(rows[i].trigger), rows[i].waiting, rows[i].seen, is, rows[i].is);
    if (reason != rows[i].why)
      fail_msg("row %zu: because %s, not %s", i, fl_reason_name(reason),
               fl_reason_name(rows[i].why));
  }
}

static void final_states_change_by_reset_only(void **state) {
  (void)state;
  for (int s = 0; s < FL_NODE_STATE_COUNT; s++)
    for (int e = 0; e < FL_NODE_EVENT_COUNT; e++) {
      fl_node_state next = fl_node_state_next((fl_node_state)s, (fl_node_event)e);
      if (fl_node_state_is_final((fl_node_state)s))
        assert_int_equal(next, e == FL_NODE_RESET ? FL_NODE_PENDING : FL_NODE_STATE_COUNT);
      else if (e == FL_NODE_RESET) // what runs or is about to is ended first
        assert_int_equal(next, s == FL_NODE_PENDING || s == FL_NODE_RETRYING ? FL_NODE_PENDING
                                                                             : FL_NODE_STATE_COUNT);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_rule_decides_as_its_row_says),
      cmocka_unit_test(final_states_change_by_reset_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
