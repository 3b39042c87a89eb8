// diff, blame, why, moments: runs held against each other, as the store tells it.
#include "read/read.h"
#include "store_helper.h"

static json_t *diff(fl_store *s, const fl_run_row *a, const fl_run_row *b, bool brief) {
  fl_buf out;
  fl_buf_init(&out, 1 << 20);
  ok(fl_read_store_diff(s, a, b, brief, &out, &err));
  json_t *json = parse(&out);
  fl_buf_deinit(&out);
  return json;
}

/// "name result differs,...; " of all nodes. Yours.
static char *results(json_t *json) {
  fl_buf out;
  size_t i, k;
  json_t *node, *part;
  fl_buf_init(&out, 10000);
  json_array_foreach(json_object_get(json, "nodes"), i, node) {
    fl_buf_addf(&out, "%s%s %s", i ? "; " : "", text_at(node, "name"), text_at(node, "result"));
    json_array_foreach(json_object_get(node, "differs"), k, part)
        fl_buf_addf(&out, "%s%s", k ? "," : " ", json_string_value(part));
  }
  char *text = strdup(fl_buf_cstr(&out));
  fl_buf_deinit(&out);
  return text;
}

static void assert_results(fl_store *s, const fl_run_row *a, const fl_run_row *b,
                           const char *expected) {
  json_t *json = diff(s, a, b, true);
  char *text = results(json);
  assert_string_equal(text, expected);
  free(text);
  json_decref(json);
}

static void end_as(fl_store *s, fl_run_row *run, fl_run_state state) {
  ok(fl_store_set_run_state(s, run->row, state, 0, T0 + 1000, NULL, &err));
  run->state = state;
}

static void nodes_are_matched_by_name(void **state) {
  char *dir = make_dir();
  fl_run_row a, b;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &a);
  add_run(s, "r2", &b);
  add_ended(s, &a, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "{\"n\":1,\"same\":2}");
  add_ended(s, &b, 0, 1, 1, FL_ATTEMPT_FAILED, NULL);
  add_ended(s, &b, 0, 2, 3, FL_ATTEMPT_SUCCEEDED, "{\"n\":2,\"same\":2}");
  add_ended(s, &a, 1, 1, 3, FL_ATTEMPT_SUCCEEDED, "3");
  add_ended(s, &b, 1, 1, 5, FL_ATTEMPT_SUCCEEDED, "3");
  decide(s, &a, 2, 5, FL_NODE_SKIPPED, FL_REASON_WHEN_FALSE, NULL);
  decide(s, &b, 2, 7, FL_NODE_SKIPPED, FL_REASON_WHEN_FALSE, NULL);
  fl_item_row item = {b.row, 4, 1, 1, "clean[1]", put_text(s, "10"), NULL};
  ok(fl_store_add_item(s, &item, &err));
  add_ended(s, &b, 4, 1, 9, FL_ATTEMPT_SUCCEEDED, "11");
  // extract gave something else, and clean the same from it.
  assert_results(s, &a, &b,
                 "extract different outputs,attempts; clean equal inputs; load skipped; "
                 "report skipped; clean[1] only_b");
  assert_results(s, &a, &a, "extract equal; clean equal; load skipped; report skipped");
  json_t *json = diff(s, &a, &b, false);
  assert_member(json, "equal", "false");
  assert_member(json, "counts",
                "{\"equal\":1,\"different\":1,\"skipped\":2,\"only_a\":0,\"only_b\":1}");
  json_t *extract = json_array_get(json_object_get(json, "nodes"), 0);
  assert_member(json_object_get(extract, "outputs"), "changes",
                "[{\"key\":\"n\",\"a\":1,\"b\":2}]");
  assert_member(extract, "attempts", "{\"a\":1,\"b\":2}");
  json_decref(json);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_replay_is_held_against_its_original(void **state) {
  char *dir = make_dir();
  fl_run_row a, b;
  fl_buf out;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &a);
  add_ended(s, &a, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "1");
  add_ended(s, &a, 1, 1, 3, FL_ATTEMPT_SUCCEEDED, "2");
  b = a;
  snprintf(b.id, sizeof b.id, "r2");
  b.replay_of = a.row;
  ok(fl_store_add_run(s, &b, &err));
  add_ended(s, &b, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "9");
  add_ended(s, &b, 1, 1, 3, FL_ATTEMPT_SUCCEEDED, "2");
  // clean saw what extract gave then, not the 9 of today: its inputs are no difference.
  assert_results(s, &b, NULL,
                 "extract different outputs; clean equal; load skipped; report skipped");
  fl_buf_init(&out, 1 << 20);
  ok(fl_read_store_context(s, &b, "clean", 0, &out, &err));
  json_t *json = parse(&out);
  assert_member(json, "inputs", "{\"extract\":1}");
  json_decref(json);
  fails(fl_read_store_diff(s, &a, NULL, true, &out, &err), FL_E_USAGE, "repeats no other");
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_node_that_never_ran_then_saw_today(void **state) {
  char *dir = make_dir();
  fl_run_row a, b;
  fl_buf out;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &a);
  add_ended(s, &a, 0, 1, 1, FL_ATTEMPT_FAILED, NULL);
  decide(s, &a, 1, 3, FL_NODE_UPSTREAM_FAILED, FL_REASON_UPSTREAM_FAILED, "extract");
  b = a;
  snprintf(b.id, sizeof b.id, "r2");
  b.replay_of = a.row;
  b.params = put_text(s, "{\"k\":3}");
  ok(fl_store_add_run(s, &b, &err));
  add_ended(s, &b, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "9");
  add_ended(s, &b, 1, 1, 3, FL_ATTEMPT_SUCCEEDED, "2");
  fl_buf_init(&out, 1 << 20);
  ok(fl_read_store_context(s, &b, "clean", 0, &out, &err));
  json_t *json = parse(&out);
  assert_member(json, "inputs", "{\"extract\":9}");
  assert_member(json, "params", "{\"k\":3}");
  json_decref(json);
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

static void what_was_taken_back_is_no_input(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_buf out;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "1");
  decide(s, &run, 0, 3, FL_NODE_PENDING, FL_REASON_RERUN_ASKED, NULL);
  add_ended(s, &run, 0, 2, 4, FL_ATTEMPT_FAILED, NULL);
  add_ended(s, &run, 1, 1, 6, FL_ATTEMPT_SUCCEEDED, "2");
  fl_buf_init(&out, 1 << 20);
  ok(fl_read_store_context(s, &run, "clean", 0, &out, &err));
  json_t *json = parse(&out);
  assert_member(json, "inputs", "{}");
  json_decref(json);
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

/// Ends an attempt of `node` that saw and left these vars.
static void leave(fl_store *s, const fl_run_row *run, uint32_t node, int64_t seq, const char *saw,
                  const char *left, const char *by) {
  fl_attempt_row a = claim(run, node, 1, seq);
  a.vars_in = put_text(s, saw);
  ok(fl_store_add_attempt(s, &a, &err));
  a.state = FL_ATTEMPT_SUCCEEDED;
  a.end_seq = seq + 1;
  a.vars_out = put_text(s, left);
  a.vars_by = put_text(s, by);
  ok(fl_store_end_attempt(s, &a, &err));
}

static void blame_follows_a_var_in_order(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_buf out, text;
  size_t i;
  json_t *entry;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r0", &run);
  snprintf(run.id, sizeof run.id, "r1");
  run.vars = put_text(s, "{\"k\":0}");
  ok(fl_store_add_run(s, &run, &err));
  leave(s, &run, 0, 1, "{\"k\":0}", "{\"k\":1}", "{\"k\":\"extract\"}");
  leave(s, &run, 1, 3, "{\"k\":1}", "{\"k\":1,\"x\":2}", "{\"k\":\"extract\",\"x\":\"clean\"}");
  fl_epoch_row epoch = {.epoch = 2,
                        .owner = (char *)"e2",
                        .supervisor = (char *)"",
                        .at_ms = T0 + 50,
                        .patch = put_text(s, "{\"vars\":{\"k\":5}}"),
                        .reason = (char *)"too small",
                        .author = (char *)"me"};
  ok(fl_store_put_epoch(s, run.row, &epoch, &err));
  run.epoch = 2;
  leave(s, &run, 2, 7, "{\"k\":5}", "{\"k\":null}", "{\"k\":\"load\"}");
  leave(s, &run, 3, 9, "{\"k\":7}", "{\"k\":7}", "{\"k\":\"report\"}");
  fl_buf_init(&out, 1 << 20);
  fl_buf_init(&text, 10000);
  ok(fl_read_store_blame(s, &run, "k", &out, &err));
  json_t *json = parse(&out);
  json_array_foreach(json_object_get(json, "history"), i, entry) {
    char *from = dump_at(entry, "from"), *to = dump_at(entry, "to");
    fl_buf_addf(&text, "%s %s %s %s %s; ", text_at(entry, "how"), text_at(entry, "node"),
                from ? from : "-", to ? to : "-", text_at(entry, "author"));
    free(from);
    free(to);
  }
  assert_string_equal(fl_buf_cstr(&text), "flow - - 0 -; node extract 0 1 -; patch - 1 5 me; "
                                          "node load 5 null -; merge report - 7 -; ");
  json_decref(json);
  fails(fl_read_store_blame(s, &run, "nothing", &out, &err), FL_E_NOT_FOUND, "ever set");
  fl_buf_deinit(&out);
  fl_buf_deinit(&text);
  fl_store_close(s);
  remove_dir(dir);
}

static void why_names_the_parts_that_changed(void **state) {
  char *dir = make_dir();
  fl_run_row a, failed, b, before;
  fl_buf out;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &a);
  add_run(s, "r2", &failed);
  add_run(s, "r3", &b);
  add_ended(s, &a, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "{\"n\":1}");
  add_ended(s, &a, 1, 1, 3, FL_ATTEMPT_SUCCEEDED, "3");
  add_ended(s, &failed, 1, 1, 3, FL_ATTEMPT_FAILED, NULL);
  add_ended(s, &b, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "{\"n\":2}");
  add_ended(s, &b, 1, 1, 3, FL_ATTEMPT_SUCCEEDED, "4");
  fl_buf_init(&out, 1 << 20);
  ok(fl_read_store_find_before(s, &b, "clean", &before, &err));
  assert_string_equal(before.id, "r1");
  ok(fl_read_store_why(s, &b, &before, "clean", NULL, false, &out, &err));
  json_t *json = parse(&out);
  assert_member(json, "changed", "[\"inputs\"]");
  assert_member(json_object_get(json, "result"), "equal", "false");
  json_decref(json);
  // A definition that is known counts instead of the script.
  ok(fl_read_store_why(s, &b, &before, "extract", "{\"equal\":false}", false, &out, &err));
  json = parse(&out);
  assert_member(json, "changed", "[\"definition\"]");
  json_decref(json);
  fl_run_row_deinit(&before);
  fails(fl_read_store_find_before(s, &a, "clean", &before, &err), FL_E_NOT_FOUND, "in no run");
  fails(fl_read_store_why(s, &b, &a, "load", NULL, false, &out, &err), FL_E_NOT_FOUND,
        "has not run");
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

static void add_at(fl_store *s, const fl_run_row *like, const char *id, int64_t time_ms,
                   int64_t replay_of) {
  fl_run_row row = *like;
  snprintf(row.id, sizeof row.id, "%s", id);
  row.time_ms = time_ms;
  row.replay_of = replay_of;
  ok(fl_store_add_run(s, &row, &err));
  end_as(s, &row, FL_RUN_SUCCEEDED);
}

/// "run|before|after" by ids. Yours.
static char *moment(fl_store *s, int64_t time_ms) {
  fl_buf out, text;
  fl_buf_init(&out, 1 << 20);
  fl_buf_init(&text, 1000);
  ok(fl_read_store_moment(s, "sales", time_ms, &out, &err));
  json_t *json = parse(&out), *run;
  size_t i;
  fl_buf_addf(&text, "%s|", text_at(json_object_get(json, "run"), "id"));
  json_array_foreach(json_object_get(json, "before"), i, run)
      fl_buf_addf(&text, "%s ", text_at(run, "id"));
  fl_buf_add_char(&text, '|');
  json_array_foreach(json_object_get(json, "after"), i, run)
      fl_buf_addf(&text, "%s ", text_at(run, "id"));
  json_decref(json);
  fl_buf_deinit(&out);
  return fl_buf_take(&text);
}

static void a_moment_is_found_by_its_logical_time(void **state) {
  char *dir = make_dir();
  fl_run_row first;
  static const struct {
    int64_t time_ms;
    const char *found;
  } rows[] = {
      {T0 + 2000, "d2|d1 d0 |d3 d4 d5 "}, // not its replay
      {T0 + 5500, "-|d5 d4 d3 |"},        // between and after
      {T0 + 4000, "d4|d3 d2 d1 |d5 "},    // a second stands for all of it
      {T0 + 4001, "-|d3 d2 d1 |d4 d5 "},  // a millisecond does not
      {T0 - 1, "-||d0 d1 d2 "},
  };
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "d0", &first);
  for (int i = 1; i <= 5; i++) {
    char id[8];
    snprintf(id, sizeof id, "d%d", i);
    add_at(s, &first, id, T0 + 1000 * i + (i == 4 ? 7 : 0), 0);
  }
  add_at(s, &first, "again", T0 + 2000, first.row + 2);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char *found = moment(s, rows[i].time_ms);
    assert_string_equal(found, rows[i].found);
    free(found);
  }
  fl_buf out;
  fl_buf_init(&out, 1000);
  fails(fl_read_store_moment(s, "other", T0, &out, &err), FL_E_NOT_FOUND, "no run of flow");
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nodes_are_matched_by_name),
      cmocka_unit_test(a_replay_is_held_against_its_original),
      cmocka_unit_test(a_node_that_never_ran_then_saw_today),
      cmocka_unit_test(what_was_taken_back_is_no_input),
      cmocka_unit_test(blame_follows_a_var_in_order),
      cmocka_unit_test(why_names_the_parts_that_changed),
      cmocka_unit_test(a_moment_is_found_by_its_logical_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
