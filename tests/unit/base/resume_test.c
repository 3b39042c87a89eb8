// Tests base/resume.c by rows: what a node was, and what a resume makes of it.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/resume.h"

static void a_node_is_kept_or_runs_by_what_it_was(void **state) {
  (void)state;
  static const struct {
    fl_node_state was;
    fl_reason reason;
    bool parent_moves, unchosen;
    fl_resume_action action;
    fl_reason why;
  } rows[] = {
      {FL_NODE_SUCCEEDED, FL_REASON_READY, true, true, FL_RESUME_KEEP, FL_REASON_KEPT},
      {FL_NODE_FAILED, FL_REASON_NONE, false, false, FL_RESUME_RUN, FL_REASON_RESUME_FAILED},
      {FL_NODE_PENDING, FL_REASON_NONE, false, false, FL_RESUME_RUN, FL_REASON_RESUME_UNFINISHED},
      {FL_NODE_UPSTREAM_FAILED, FL_REASON_UPSTREAM_FAILED, true, false, FL_RESUME_RUN,
       FL_REASON_RESUME_UNFINISHED},
      // What was left out for its own sake stays so; what followed from others follows them.
      {FL_NODE_SKIPPED, FL_REASON_WHEN_FALSE, true, false, FL_RESUME_KEEP, FL_REASON_WHEN_FALSE},
      {FL_NODE_SKIPPED, FL_REASON_UPSTREAM_SKIPPED, false, false, FL_RESUME_KEEP,
       FL_REASON_UPSTREAM_SKIPPED},
      {FL_NODE_SKIPPED, FL_REASON_UPSTREAM_SKIPPED, true, false, FL_RESUME_RUN,
       FL_REASON_RERUN_UPSTREAM},
      // A branch that is kept keeps its choice, whatever else before the node moves.
      {FL_NODE_OMITTED, FL_REASON_BRANCH_NOT_CHOSEN, true, true, FL_RESUME_KEEP,
       FL_REASON_BRANCH_NOT_CHOSEN},
      {FL_NODE_OMITTED, FL_REASON_BRANCH_NOT_CHOSEN, true, false, FL_RESUME_RUN,
       FL_REASON_RERUN_UPSTREAM},
      {FL_NODE_FAILED, FL_REASON_NONE, false, true, FL_RESUME_SKIP, FL_REASON_BRANCH_NOT_CHOSEN},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_reason why = FL_REASON_NONE;
    bool stays = fl_resume_stays_out(rows[i].was, rows[i].reason, rows[i].parent_moves);
    assert_int_equal(fl_resume_by_state(rows[i].was, rows[i].reason, stays, rows[i].unchosen, &why),
                     rows[i].action);
    assert_int_equal(why, rows[i].why);
  }
}

static void a_node_moves_when_its_end_may_be_another(void **state) {
  (void)state;
  assert_true(fl_resume_moves(FL_NODE_FAILED, FL_RESUME_RUN, FL_REASON_RESUME_FAILED));
  assert_false(fl_resume_moves(FL_NODE_SUCCEEDED, FL_RESUME_KEEP, FL_REASON_KEPT));
  assert_true(fl_resume_moves(FL_NODE_FAILED, FL_RESUME_KEEP, FL_REASON_SUCCEED_ASKED));
  assert_false(fl_resume_moves(FL_NODE_SUCCEEDED, FL_RESUME_KEEP, FL_REASON_SUCCEED_ASKED));
  assert_true(fl_resume_moves(FL_NODE_FAILED, FL_RESUME_SKIP, FL_REASON_SKIP_ASKED));
  assert_false(fl_resume_moves(FL_NODE_SKIPPED, FL_RESUME_SKIP, FL_REASON_SKIP_ASKED));
}

static void an_item_goes_with_its_map(void **state) {
  (void)state;
  assert_true(fl_resume_asks_item(FL_NODE_FAILED, FL_RESUME_RUN));
  assert_false(fl_resume_asks_item(FL_NODE_FAILED, FL_RESUME_KEEP));
  assert_true(fl_resume_asks_item(FL_NODE_SUCCEEDED, FL_RESUME_KEEP));
  assert_true(fl_resume_asks_item(FL_NODE_RUNNING, FL_RESUME_SKIP)); // its process may be there
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_node_is_kept_or_runs_by_what_it_was),
      cmocka_unit_test(a_node_moves_when_its_end_may_be_another),
      cmocka_unit_test(an_item_goes_with_its_map),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
