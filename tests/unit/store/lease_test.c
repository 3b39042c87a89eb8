// Who owns a run: take-overs, the fence, and the wish to cancel.
#include "store_helper.h"

static void a_run_is_taken_from_the_dead_only(void **state) {
  static const struct {
    const char *living, *owner; // "": it was given up
    bool resume;
    fl_code code;
    uint32_t epoch; // afterwards
    int resumes;
  } cases[] = {
      {"engine-1", "engine-1", false, FL_E_BUSY, 1, 0},
      {"engine-1", "engine-1", true, FL_E_BUSY, 1, 0},
      {"engine-3", "engine-1", false, FL_OK, 2, 0},
      {"engine-3", "engine-1", true, FL_OK, 2, 1},
      {"engine-2", "engine-1", true, FL_OK, 2, 1}, // who takes it lives, of course
      {"", "", true, FL_OK, 2, 1},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *dir = make_dir(), text[32];
    fl_run_row run;
    uint32_t epoch = 1;
    fl_store *s = open_owned(dir, cases[i].living);
    add_run(s, "r1", &run);
    if (!*cases[i].owner) ok(fl_store_release_run(s, run.row, &err));
    ok(fl_store_commit(s, &err));
    fl_code code = fl_store_take_run(s, run.row, "engine-2", 0, cases[i].resume, &epoch, &err);
    if (code != cases[i].code) fail_msg("case %zu: %d", i, code);
    if (code) assert_non_null(strstr(err.message, "engine-1"));
    assert_int_equal(epoch, cases[i].epoch);
    assert_false(fl_store_is_open(s));
    snprintf(text, sizeof text, "%u|%d|%s", cases[i].epoch, cases[i].resumes,
             code ? "engine-1" : "engine-2");
    assert_rows(s, "SELECT epoch,resumes,owner FROM run", text);
    fl_store_close(s);
    remove_dir(dir);
  }
}

static void an_owner_takes_its_own_run_again(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  uint32_t epoch;
  (void)state;
  fl_store *s = open_owned(dir, "engine-1");
  add_run(s, "r1", &run);
  ok(fl_store_take_run(s, run.row, "engine-1", 0, false, &epoch, &err));
  assert_int_equal(epoch, 2);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_run_that_is_not_there_cannot_be_taken(void **state) {
  char *dir = make_dir();
  uint32_t epoch;
  (void)state;
  fl_store *s = open_store(dir);
  fails(fl_store_take_run(s, 5, "me", 0, true, &epoch, &err), FL_E_NOT_FOUND, "not in");
  fails(fl_store_ask_cancel(s, 5, 1, &err), FL_E_NOT_FOUND, "not in");
  assert_false(fl_store_is_open(s));
  fl_store_close(s);
  remove_dir(dir);
}

// Two engines find one dead owner: the second must not take the run from the first.
static void a_run_is_taken_from_the_owner_that_was_looked_at(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  uint32_t epoch = 0;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  ok(fl_store_commit(s, &err));
  ok(fl_store_take_run(s, run.row, "engine-2", run.epoch, true, &epoch, &err));
  fails(fl_store_take_run(s, run.row, "engine-3", run.epoch, true, &epoch, &err), FL_E_BUSY,
        "engine-2");
  assert_rows(s, "SELECT epoch,owner,resumes FROM run", "2|engine-2|1");
  ok(fl_store_take_run(s, run.row, "engine-3", epoch, true, &epoch, &err));
  fl_store_close(s);
  remove_dir(dir);
}

static void an_engine_that_was_taken_over_writes_nothing_more(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  uint32_t epoch;
  (void)state;
  fl_store *old = open_store(dir), *new = open_store(dir);
  add_run(old, "r1", &run);
  ok(fl_store_fence(old, run.row, 1, NULL, &err));
  ok(fl_store_commit(old, &err));
  ok(fl_store_take_run(new, run.row, "engine-2", 0, false, &epoch, &err));
  assert_int_equal(epoch, 2);

  fl_value *v = value_of("[\"late\"]");
  ok(fl_store_put_value(old, v, &err));
  fl_attempt_row a = claim(&run, 0, 1, 1);
  ok(fl_store_add_attempt(old, &a, &err));
  fails(fl_store_fence(old, run.row, 1, NULL, &err), FL_E_FENCED, "taken over");
  fl_store_rollback(old); // what was written of other runs might have stayed
  assert_int_equal(v->store_id, 0);
  fl_value_unref(v);
  assert_int_equal(number_of(new, "SELECT count(*) FROM attempt"), 0);
  assert_int_equal(number_of(new, "SELECT count(*) FROM value"), 2);

  ok(fl_store_fence(new, run.row, 2, NULL, &err));
  ok(fl_store_add_attempt(new, &a, &err));
  ok(fl_store_commit(new, &err));
  // The fence comes first or last: both ways the old one is out.
  fails(fl_store_fence(old, run.row, 1, NULL, &err), FL_E_FENCED, "");
  fails(fl_store_fence(old, 99, 1, NULL, &err), FL_E_FENCED, "removed");
  fl_store_close(old);
  fl_store_close(new);
  remove_dir(dir);
}

static void what_is_open_is_committed_before_a_take_over(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  uint32_t epoch;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  ok(fl_store_take_run(s, run.row, "engine-2", 0, false, &epoch, &err));
  assert_int_equal(epoch, 2);
  put_text(s, "[1]");
  ok(fl_store_ask_cancel(s, run.row, 1, &err));
  assert_int_equal(number_of(s, "SELECT count(*) FROM value WHERE text='[1]'"), 1);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_wish_to_cancel_grows_and_is_forgotten_by_a_resume(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  uint32_t epoch;
  (void)state;
  fl_store *s = open_store(dir), *other = open_store(dir);
  add_run(s, "r1", &run);
  ok(fl_store_commit(s, &err));
  ok(fl_store_ask_cancel(other, run.row, 2, &err));
  ok(fl_store_ask_cancel(other, run.row, 1, &err)); // kill was asked: it stays
  assert_int_equal(number_of(s, "SELECT cancel FROM run"), 2);
  ok(fl_store_take_run(s, run.row, "engine-2", 0, false, &epoch, &err));
  assert_int_equal(number_of(s, "SELECT cancel FROM run"), 2); // the dead owner had not obeyed yet
  ok(fl_store_take_run(s, run.row, "engine-3", 0, true, &epoch, &err));
  assert_int_equal(number_of(s, "SELECT cancel FROM run"), 0);
  fl_store_close(other);
  fl_store_close(s);
  remove_dir(dir);
}

static bool note_epoch(void *ud, const fl_epoch_row *row) {
  fl_buf *out = ud;
  fl_buf_addf(out, "%u %s %s %d %lld %s; ", row->epoch, row->owner, row->supervisor,
              (int)(row->at_ms - T0), (long long)row->patch, row->reason ? row->reason : "-");
  return row->epoch < 2;
}

static void epochs_are_kept_in_order(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_buf out;
  (void)state;
  fl_buf_init(&out, 1000);
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  fl_epoch_row rows[] = {
      {.epoch = 2,
       .owner = (char *)"b",
       .supervisor = (char *)"s2",
       .at_ms = T0 + 2,
       .patch = 1,
       .reason = (char *)"mended"},
      {.epoch = 1, .owner = (char *)"a", .at_ms = T0 + 1},
      {.epoch = 1, .owner = (char *)"a", .supervisor = (char *)"s1", .at_ms = T0 + 1},
      {.epoch = 3, .owner = (char *)"c", .at_ms = T0 + 3},
  };
  for (size_t i = 0; i < 4; i++) ok(fl_store_put_epoch(s, run.row, &rows[i], &err));
  ok(fl_store_commit(s, &err));
  ok(fl_store_each_epoch(s, run.row, note_epoch, &out, &err));
  assert_string_equal(fl_buf_cstr(&out), "1 a s1 1 0 -; 2 b s2 2 1 mended; ");
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_is_taken_from_the_dead_only),
      cmocka_unit_test(an_owner_takes_its_own_run_again),
      cmocka_unit_test(a_run_that_is_not_there_cannot_be_taken),
      cmocka_unit_test(a_run_is_taken_from_the_owner_that_was_looked_at),
      cmocka_unit_test(an_engine_that_was_taken_over_writes_nothing_more),
      cmocka_unit_test(what_is_open_is_committed_before_a_take_over),
      cmocka_unit_test(a_wish_to_cancel_grows_and_is_forgotten_by_a_resume),
      cmocka_unit_test(epochs_are_kept_in_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
