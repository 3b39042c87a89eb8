// The seal of a run that ended: whatever changes in its rows is found, and a run that goes on has
// none.
#include "store_helper.h"

static char *dir;
static fl_run_row run;

/// A run of one attempt and one decision, ended and sealed.
static fl_store *open_sealed(void) {
  dir = make_dir();
  fl_store *s = open_store(dir);
  add_run(s, "20231114T221320-00000001", &run);
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_FAILED, NULL);
  ok(fl_store_add_decision(s,
                           &(fl_decision_row){.run = run.row,
                                              .node = 1,
                                              .seq = 3,
                                              .epoch = 1,
                                              .state = FL_NODE_UPSTREAM_FAILED,
                                              .reason = FL_REASON_UPSTREAM_FAILED,
                                              .at_ms = T0},
                           &err));
  ok(fl_store_set_run_state(s, run.row, FL_RUN_FAILED, 0, T0 + 1, "it failed", &err));
  ok(fl_store_seal_run(s, run.row, &err));
  ok(fl_store_commit(s, &err));
  return s;
}

static void close_sealed(fl_store *s) {
  fl_store_close(s);
  remove_dir(dir);
}

static void a_run_is_what_it_was_at_its_end(void **state) {
  (void)state;
  fl_store *s = open_sealed();
  ok(fl_store_check_run(s, run.row, &err));
  fl_store_close(s);
  s = open_reader(dir);
  ok(fl_store_check_run(s, run.row, &err));
  close_sealed(s);
}

static void a_changed_row_is_found(void **state) {
  static const char *const changes[] = {
      "UPDATE run SET state=5",
      "UPDATE run SET params=9",
      "UPDATE run SET error='other'",
      "UPDATE attempt SET state=2",
      "UPDATE attempt SET exit_code=9",
      "UPDATE attempt SET outputs=1",
      "UPDATE decision SET node=2",
      "DELETE FROM decision",
      "DELETE FROM attempt",
      "UPDATE run_input SET params=1",
      "UPDATE run SET duration_ms=9",
      "INSERT INTO item VALUES(1,9,0,1,'x',NULL,NULL)",
      "INSERT INTO step VALUES(1,0,'s',NULL)",
      "INSERT INTO checkpoint(run,node,number,at_ms) VALUES(1,0,1,1)",
  };
  (void)state;
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    fl_store *s = open_sealed();
    ok(fl_store_exec(s, changes[i], &err));
    if (!fl_store_check_run(s, run.row, &err)) fail_msg("not found: %s", changes[i]);
    assert_int_equal(err.code, FL_E_CORRUPT);
    close_sealed(s);
  }
}

static void a_wish_to_cancel_is_no_damage(void **state) {
  (void)state;
  fl_store *s = open_sealed();
  ok(fl_store_ask_cancel(s, run.row, 1, &err));
  ok(fl_store_check_run(s, run.row, &err));
  close_sealed(s);
}

static void a_run_that_is_taken_has_no_seal(void **state) {
  uint32_t epoch;
  (void)state;
  fl_store *s = open_sealed();
  ok(fl_store_take_run(s, run.row, "other", 0, true, &epoch, &err));
  add_ended(s, &run, 0, 2, 5, FL_ATTEMPT_FAILED, NULL);
  ok(fl_store_commit(s, &err));
  ok(fl_store_check_run(s, run.row, &err));
  close_sealed(s);
}

/// What is read in portions is what is compared at once, wherever a portion ends: between tables,
/// and within those whose rows are ordered by a number, by two or by a text.
static void a_seal_may_be_made_in_portions(void **state) {
  (void)state;
  for (uint32_t rows = 1; rows < 12; rows++) {
    fl_store *s = open_sealed();
    bool whole = false;
    uint32_t portions = 0;
    ok(fl_store_begin(s, &err));
    ok(fl_store_exec(
        s,
        "INSERT INTO decision SELECT 1,key/2,9+key,1,1,1,NULL,7"
        " FROM json_each('[0,0,0,0,0]');"
        "INSERT INTO step SELECT 1,key/3,'s'||key,NULL FROM json_each('[0,0,0,0,0,0,0]');"
        "INSERT INTO item SELECT 1,9+key,0,key,'x',NULL,NULL FROM json_each('[0,0,0]')",
        &err));
    fl_seal *seal = fl_seal_new(run.row);
    for (; !whole; portions++) {
      ok(fl_seal_add_some(s, seal, rows, &whole, &err));
      ok(fl_store_commit(s, &err));
      ok(fl_store_begin(s, &err));
    }
    ok(fl_store_set_run_state(s, run.row, FL_RUN_CANCELLED, 0, T0 + 9, "otherwise", &err));
    ok(fl_seal_put(s, seal, &err));
    ok(fl_store_commit(s, &err));
    fl_seal_free(seal);
    assert_int_equal(portions, (1 + 1 + 1 + 5 + 7 + 3) / rows + 1);
    ok(fl_store_check_run(s, run.row, &err));
    ok(fl_store_begin(s, &err));
    ok(fl_store_exec(s, "UPDATE step SET value=1 WHERE name='s6'", &err));
    ok(fl_store_commit(s, &err));
    fails(fl_store_check_run(s, run.row, &err), FL_E_CORRUPT, "not what was stored");
    close_sealed(s);
  }
}

static void a_broken_database_is_found(void **state) {
  (void)state;
  fl_store *s = open_sealed();
  // An index that holds more than its table: what zeros over a page of the table leave.
  ok(fl_store_exec(s, "PRAGMA writable_schema=ON", &err));
  ok(fl_store_exec(s, "UPDATE sqlite_schema SET rootpage=2 WHERE name='decision'", &err));
  fl_store_close(s);
  s = open_reader(dir);
  fails(fl_store_check_run(s, run.row, &err), FL_E_CORRUPT, "is damaged");
  close_sealed(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_is_what_it_was_at_its_end),
      cmocka_unit_test(a_changed_row_is_found),
      cmocka_unit_test(a_wish_to_cancel_is_no_damage),
      cmocka_unit_test(a_run_that_is_taken_has_no_seal),
      cmocka_unit_test(a_seal_may_be_made_in_portions),
      cmocka_unit_test(a_broken_database_is_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
