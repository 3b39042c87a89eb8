// Proposals: numbered within a run, kept with their patches, and what became of those applied.
#include "read/read.h"
#include "store_helper.h"

static uint32_t propose(fl_store *s, const fl_run_row *run, const char *patch, bool automatic) {
  fl_proposal_row row = {.epoch = run->epoch,
                         .at_ms = T0,
                         .origin = "rule 1",
                         .reason = "why",
                         .patch = put_text(s, patch),
                         .automatic = automatic};
  ok(fl_store_add_proposal(s, run->row, &row, &err));
  return row.number;
}

static bool list_row(void *ud, const fl_proposal_row *row) {
  char *out = ud;
  sprintf(out + strlen(out), "%u:%s:%d:%u ", row->number, row->origin, row->automatic,
          row->applied_epoch);
  return true;
}

static void proposals_are_numbered_within_their_run(void **state) {
  char *dir = make_dir(), list[200] = "";
  fl_run_row one, two;
  fl_proposal_row row;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &one);
  add_run(s, "r2", &two);
  assert_int_equal(propose(s, &one, "{\"skip\":[\"a\"]}", false), 1);
  assert_int_equal(propose(s, &two, "{}", false), 1);
  assert_int_equal(propose(s, &one, "{}", true), 2);
  ok(fl_store_apply_proposal(s, one.row, 2, 7, &err));
  ok(fl_store_commit(s, &err));
  ok(fl_store_each_proposal(s, one.row, list_row, list, &err));
  assert_string_equal(list, "1:rule 1:0:0 2:rule 1:1:7 ");
  ok(fl_store_get_proposal(s, one.row, 2, &row, &err));
  assert_int_equal(row.applied_epoch, 7);
  assert_int_equal(fl_store_get_proposal(s, one.row, 3, &row, &err), FL_E_NOT_FOUND);
  assert_non_null(strstr(err.message, "no proposal 3"));
  fl_store_close(s);
  remove_dir(dir);
}

static void outcome_is(fl_store *s, const fl_run_row *run, const char *outcome) {
  char want[80];
  fl_buf out;
  fl_buf_init(&out, 1 << 16);
  snprintf(want, sizeof want, outcome ? "\"outcome\":\"%s\"" : "\"outcome\":null", outcome);
  ok(fl_read_store_proposals(s, run, &out, &err));
  if (!strstr(fl_buf_cstr(&out), want)) fail_msg("no %s in %s", want, fl_buf_cstr(&out));
  fl_buf_deinit(&out);
}

static void the_outcome_is_that_of_the_epoch_that_it_began(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  uint32_t epoch;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  propose(s, &run, "{}", false);
  ok(fl_store_set_run_state(s, run.row, FL_RUN_FAILED, 0, T0, "x", &err));
  ok(fl_store_commit(s, &err));
  outcome_is(s, &run, NULL);
  ok(fl_store_take_run(s, run.row, "me", 0, true, &epoch, &err));
  ok(fl_store_apply_proposal(s, run.row, 1, epoch, &err));
  ok(fl_store_set_run_state(s, run.row, FL_RUN_RUNNING, 0, -1, "", &err));
  ok(fl_store_commit(s, &err));
  outcome_is(s, &run, "running");
  ok(fl_store_set_run_state(s, run.row, FL_RUN_SUCCEEDED, 0, T0, "", &err));
  ok(fl_store_commit(s, &err));
  outcome_is(s, &run, "succeeded");
  ok(fl_store_take_run(s, run.row, "me", 0, true, &epoch, &err));
  outcome_is(s, &run, "interrupted");
  fl_breakpoint_row broke = {.run = run.row, .seq = 9, .epoch = epoch - 1, .node = 0, .number = 1};
  ok(fl_store_add_breakpoint(s, &broke, &err));
  ok(fl_store_commit(s, &err));
  outcome_is(s, &run, "failed");
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(proposals_are_numbered_within_their_run),
      cmocka_unit_test(the_outcome_is_that_of_the_epoch_that_it_began),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
