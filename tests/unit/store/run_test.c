// Runs: rows, how they are found, their states and inputs.
#include "store_helper.h"

static void a_run_comes_back_as_it_was_written(void **state) {
  char *dir = make_dir();
  fl_run_row a, b, read;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "20260101T000000-aaaaaaaa", &a);
  assert_int_equal(a.epoch, 1);
  b = a;
  snprintf(b.id, sizeof b.id, "20260101T000001-bbbbbbbb");
  b.trigger = (char *)"flow";
  b.params = put_text(s, "{\"n\":1}");
  b.vars = FL_VALUE_ID_EMPTY_MAP;
  b.parent_run = a.row;
  b.parent_node = 3;
  b.replay_of = a.row;
  b.error = (char *)"why";
  b.selection = (char *)"[\"load\"]";
  b.interval_from_ms = T0 - 1000;
  b.interval_to_ms = T0;
  b.ended_ms = T0 + 100;
  b.resumes = 2;
  ok(fl_store_add_run(s, &b, &err));
  ok(fl_store_commit(s, &err));
  ok(fl_store_get_run(s, b.row, &read, &err));
  assert_string_equal(read.id, b.id);
  assert_string_equal(read.flow, "sales");
  assert_string_equal(read.trigger, "flow");
  assert_string_equal(read.owner, "engine-1");
  assert_string_equal(read.error, "why");
  assert_string_equal(read.selection, "[\"load\"]");
  const int64_t pairs[][2] = {{read.row, b.row},
                              {read.definition, b.definition},
                              {read.script, b.script},
                              {read.state, b.state},
                              {read.time_ms, b.time_ms},
                              {read.params, b.params},
                              {read.vars, b.vars},
                              {read.parent_run, b.parent_run},
                              {read.parent_node, b.parent_node},
                              {read.replay_of, b.replay_of},
                              {read.created_ms, b.created_ms},
                              {read.started_ms, b.started_ms},
                              {read.ended_ms, b.ended_ms},
                              {read.resumes, b.resumes},
                              {read.epoch, 1},
                              {read.cancel, 0},
                              {read.interval_from_ms, b.interval_from_ms},
                              {read.interval_to_ms, b.interval_to_ms}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    if (pairs[i][0] != pairs[i][1]) fail_msg("field %zu", i);
  fl_run_row_deinit(&read);
  assert_null(read.flow);
  ok(fl_store_get_run(s, a.row, &read, &err));
  assert_null(read.error);
  assert_null(read.selection);
  assert_int_equal(read.parent_run, 0);
  fl_run_row_deinit(&read);
  fails(fl_store_get_run(s, 77, &read, &err), FL_E_NOT_FOUND, "not in");
  fl_store_close(s);
  remove_dir(dir);
}

static void a_run_without_its_definition_is_refused(void **state) {
  char *dir = make_dir();
  fl_run_row a, b;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &a);
  b = a;
  b.definition = 99;
  snprintf(b.id, sizeof b.id, "r2");
  fails(fl_store_add_run(s, &b, &err), FL_E_STATE, "definition");
  b = a;
  fails(fl_store_add_run(s, &b, &err), FL_E_STORE, "UNIQUE"); // the same id twice
  assert_false(fl_store_is_open(s));
  fl_store_close(s);
  remove_dir(dir);
}

static void runs_are_found_by_a_part_of_their_id_and_by_word(void **state) {
  static const struct {
    const char *id;
    fl_run_state state;
    bool called; // by the first run
  } runs[] = {{"20260101T000000-aaaa0001", FL_RUN_FAILED, false},
              {"20260101T000000-aaaa0002", FL_RUN_FAILED, false},
              {"20260102T000000-bbbb0001", FL_RUN_SUCCEEDED, false},
              {"20260102T000000-cccc0001", FL_RUN_FAILED, true},
              {"short", FL_RUN_RUNNING, true}};
  static const struct {
    const char *name;
    fl_code code;
    const char *expected; // id, or what the message says
  } cases[] = {
      {"20260101T000000-aaaa0001", FL_OK, "20260101T000000-aaaa0001"},
      {"20260101T000000-aaaa0", FL_E_USAGE, "20260101T000000-aaaa0001, 20260101T000000-aaaa0002"},
      {"20260102T000000-b", FL_OK, "20260102T000000-bbbb0001"},
      {"20260102T000000-c", FL_OK, "20260102T000000-cccc0001"},
      {"b0001", FL_OK, "20260102T000000-bbbb0001"},
      {"c0001", FL_OK, "20260102T000000-cccc0001"},
      {"0001", FL_E_USAGE, "the beginning or the end of more than one run"},
      {"last-0", FL_OK, "20260102T000000-bbbb0001"},
      {"last-1", FL_OK, "20260101T000000-aaaa0002"},
      {"last-9", FL_E_NOT_FOUND, "it has fewer"},
      {"last-x", FL_E_NOT_FOUND, "no run 'last-x'"},
      {"short", FL_OK, "short"},
      {"s", FL_OK, "short"},
      {"last", FL_OK, "20260102T000000-bbbb0001"},
      {"last-failed", FL_OK, "20260101T000000-aaaa0002"},
      {"nope", FL_E_NOT_FOUND, "no run 'nope'"},
      {"20260102T000000-bbbb00011", FL_E_NOT_FOUND, "no run"},
      {"%", FL_E_NOT_FOUND, "no run"},
      {"", FL_E_USAGE, "empty"},
  };
  char *dir = make_dir();
  fl_run_row row, read;
  int64_t first = 0;
  (void)state;
  fl_store *s = open_store(dir);
  fails(fl_store_find_run(s, "last", &read, &err), FL_E_NOT_FOUND, "no run in");
  fails(fl_store_find_run(s, "last-failed", &read, &err), FL_E_NOT_FOUND, "no failed run");
  for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
    add_run(s, "x", &row);
    fl_store_rollback(s);
    row.script = put_script(s, "return sales");
    row.definition = put_definition(s, row.script);
    snprintf(row.id, sizeof row.id, "%s", runs[i].id);
    row.state = runs[i].state;
    row.parent_run = runs[i].called ? first : 0;
    ok(fl_store_add_run(s, &row, &err));
    ok(fl_store_commit(s, &err));
    if (!first) first = row.row;
  }
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    err.message[0] = 0;
    fl_code code = fl_store_find_run(s, cases[i].name, &read, &err);
    if (code != cases[i].code) fail_msg("'%s': code %d: %s", cases[i].name, code, err.message);
    const char *got = code ? err.message : read.id;
    if (!strstr(got, cases[i].expected)) fail_msg("'%s': %s", cases[i].name, got);
    if (code) assert_null(read.flow);
    fl_run_row_deinit(&read);
  }
  fl_store_close(s);
  remove_dir(dir);
}

static void states_and_times_change_as_told(void **state) {
  static const struct {
    fl_run_state to;
    int64_t started_ms, ended_ms;
    const char *error, *expected; // state, started, ended, error, owner
  } steps[] = {
      {FL_RUN_QUEUED, -1, 0, NULL, "0|-|-|-|engine-1"},
      {FL_RUN_RUNNING, T0 + 7, 0, NULL, "1|1700000000007|-|-|engine-1"},
      {FL_RUN_WAITING, 0, 0, NULL, "2|1700000000007|-|-|engine-1"},
      {FL_RUN_FAILED, 0, T0 + 9, "it broke", "4|1700000000007|1700000000009|it broke|"},
      {FL_RUN_RUNNING, 0, -1, "", "1|1700000000007|-|-|"},
      {FL_RUN_CANCELLED, 0, T0 + 12, NULL, "5|1700000000007|1700000000012|-|"},
  };
  char *dir = make_dir();
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    ok(fl_store_set_run_state(s, run.row, steps[i].to, steps[i].started_ms, steps[i].ended_ms,
                              steps[i].error, &err));
    ok(fl_store_commit(s, &err));
    assert_rows(s, "SELECT state,started_ms,ended_ms,error,owner FROM run", steps[i].expected);
  }
  fl_store_close(s);
  remove_dir(dir);
}

static void changed_inputs_keep_their_history(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  uint32_t epoch;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  ok(fl_store_commit(s, &err));
  ok(fl_store_take_run(s, run.row, "engine-2", 0, true, &epoch, &err));
  int64_t params = put_text(s, "{\"n\":2}"), script = put_script(s, "mended");
  int64_t definition = put_definition(s, script);
  ok(fl_store_set_run_inputs(s, run.row, definition, script, params, 0, &err));
  ok(fl_store_commit(s, &err));
  assert_rows(s,
              "SELECT epoch,definition,script,v.text FROM run_input LEFT JOIN value v"
              " ON v.id=params ORDER BY epoch",
              "1|1|1|-\n2|2|2|{\"n\":2}");
  assert_rows(s, "SELECT definition,script FROM run", "2|2");
  fl_store_close(s);
  remove_dir(dir);
}

typedef struct seen {
  fl_store *store;
  char ids[200];
  int limit;
} seen;

static bool note_run(void *ud, const fl_run_row *row) {
  seen *n = ud;
  strncat(n->ids, row->id, sizeof n->ids - strlen(n->ids) - 1);
  // May write: rows were read before the first call.
  ok(fl_store_release_run(n->store, row->row, &err));
  return --n->limit > 0;
}

static void live_runs_are_listed_newest_first(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  for (int i = 0; i < 6; i++) {
    char id[16];
    snprintf(id, sizeof id, "r%d,", i);
    add_run(s, id, &run);
    ok(fl_store_set_run_state(s, run.row, (fl_run_state)i, 0, 0, NULL, &err));
  }
  ok(fl_store_commit(s, &err));
  seen all = {.store = s, .limit = 99}, two = {.store = s, .limit = 2}, none = {.store = s};
  ok(fl_store_each_live_run(s, NULL, note_run, &all, &err));
  assert_string_equal(all.ids, "r2,r1,r0,");
  ok(fl_store_each_live_run(s, "sales", note_run, &two, &err));
  assert_string_equal(two.ids, "r2,r1,");
  ok(fl_store_each_live_run(s, "other", note_run, &none, &err));
  assert_string_equal(none.ids, "");
  ok(fl_store_commit(s, &err));
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_comes_back_as_it_was_written),
      cmocka_unit_test(a_run_without_its_definition_is_refused),
      cmocka_unit_test(runs_are_found_by_a_part_of_their_id_and_by_word),
      cmocka_unit_test(states_and_times_change_as_told),
      cmocka_unit_test(changed_inputs_keep_their_history),
      cmocka_unit_test(live_runs_are_listed_newest_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
