// show and runs as JSON: keys and their order, the state of nodes, items, times.
#include "read/read.h"
#include "store_helper.h"

static json_t *show(fl_store *s, const fl_run_row *run) {
  fl_buf out;
  fl_buf_init(&out, 1 << 24);
  ok(fl_read_store_run(s, run, &out, &err));
  json_t *json = parse(&out);
  fl_buf_deinit(&out);
  return json;
}

static json_t *node_of(json_t *shown, const char *name) {
  size_t i;
  json_t *node;
  json_array_foreach(json_object_get(shown, "nodes"), i,
                     node) if (!strcmp(text_at(node, "name"), name)) return node;
  fail_msg("no node %s", name);
  return NULL;
}

static void keys_stand_as_the_contract_lists_them(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_buf out;
  (void)state;
  fl_store *s = open_store(dir);
  fl_buf_init(&out, 1 << 20);
  add_run(s, "20231114T221320-00000001", &run);
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "{\"orders\":[1,2]}");
  ok(fl_read_store_run(s, &run, &out, &err));
  char *text = strdup(fl_buf_cstr(&out)), *end = strstr(text, ",{\"name\":\"clean\"");
  assert_non_null(end);
  *end = 0;
  char *digest = strstr(text, "sha256:");
  assert_non_null(digest);
  memset(digest + 7, '0', 64);
  assert_string_equal(
      text,
      "{\"run\":{\"id\":\"20231114T221320-00000001\",\"flow\":\"sales\",\"version\":\"sha256:"
      "0000000000000000000000000000000000000000000000000000000000000000\",\"status\":\"running\","
      "\"time\":\"2023-11-14T22:13:20.000Z\",\"trigger\":\"manual\",\"params\":{},\"vars\":{},"
      "\"replay_of\":null,\"created_at\":\"2023-11-14T22:13:20.000Z\","
      "\"started_at\":\"2023-11-14T22:13:20.005Z\",\"ended_at\":null,\"resumes\":0,"
      "\"parent\":null,\"error\":null,\"fork_of\":null,\"origin\":null},\"nodes\":[{\"name\":"
      "\"extract\",\"type\":\"shell\","
      "\"status\":\"succeeded\",\"after\":[],\"attempts\":1,"
      "\"started_at\":\"2023-11-14T22:13:20.011Z\",\"ended_at\":\"2023-11-14T22:13:20.111Z\","
      "\"duration_ms\":100,\"exit_code\":0,\"signal\":null,\"error\":null,\"reason\":\"ready\","
      "\"outputs\":{\"orders\":[1,2]},\"vars\":{},\"checkpoint\":null,\"progress\":null,"
      "\"resources\":{\"cpu_ms\":2,\"max_rss_bytes\":4096}}");
  free(text);
  json_t *json = parse(&out), *load = node_of(json, "load");
  assert_string_equal(text_at(load, "status"), "pending");
  assert_member(load, "after", "[\"clean\"]");
  assert_member(load, "attempts", "0");
  assert_member(load, "exit_code", "null");
  assert_member(load, "outputs", "{}");
  assert_member(node_of(json, "report"), "after", "[\"extract\",\"load\"]");
  json_decref(json);
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

// One letter an event of the node: how its state follows from what is recorded, in order.
//   c claim, r started, s/f/t/l/k/x attempt succeeded/failed/timed out/lost/cancelled/skipped,
//   F failed with a retry due, S synthetic success, and decisions:
//   P pending, W waiting, K skipped, O omitted, U upstream failed, C cancelled, M failed (merge)
static void record(fl_store *s, const fl_run_row *run, uint32_t node, const char *events) {
  static const char ends[] = "sftlkx";
  static const fl_attempt_state end_states[] = {FL_ATTEMPT_SUCCEEDED, FL_ATTEMPT_FAILED,
                                                FL_ATTEMPT_TIMED_OUT, FL_ATTEMPT_LOST,
                                                FL_ATTEMPT_CANCELLED, FL_ATTEMPT_SKIPPED};
  static const char decisions[] = "PWKOUCM";
  static const fl_node_state decided[] = {
      FL_NODE_PENDING,         FL_NODE_WAITING,   FL_NODE_SKIPPED, FL_NODE_OMITTED,
      FL_NODE_UPSTREAM_FAILED, FL_NODE_CANCELLED, FL_NODE_FAILED};
  fl_attempt_row a = {0};
  uint32_t number = 0;
  for (int64_t seq = 1; events[seq - 1]; seq++) {
    char e = events[seq - 1];
    const char *end = strchr(ends, e == 'F' ? 'f' : e), *decision = strchr(decisions, e);
    if (e == 'c' || e == 'S') {
      a = claim(run, node, ++number, seq);
      a.synthetic = e == 'S';
      if (a.synthetic) a.state = FL_ATTEMPT_SUCCEEDED, a.end_seq = seq;
      ok(fl_store_add_attempt(s, &a, &err));
    } else if (e == 'r') {
      a.state = FL_ATTEMPT_RUNNING;
      a.started_ms = T0 + 1;
      ok(fl_store_start_attempt(s, &a, &err));
    } else if (end) {
      a.state = end_states[end - ends];
      a.end_seq = seq;
      a.ended_ms = T0 + 1000;
      a.started_ms = T0 + 1;
      a.retry_at_ms = e == 'F' ? T0 + 5000 : 0;
      a.error = a.state == FL_ATTEMPT_SUCCEEDED ? NULL : "it broke";
      ok(fl_store_end_attempt(s, &a, &err));
    } else {
      decide(s, run, node, seq, decided[decision - decisions],
             e == 'M' ? FL_REASON_MERGE_CONFLICT : FL_REASON_RESUME_FAILED,
             e == 'M' ? "two parents" : NULL);
    }
  }
}

static void the_state_of_a_node_follows_from_its_history(void **state) {
  static const struct {
    const char *events, *status, *error;
    int attempts;
    bool timed; // started_at is shown
  } cases[] = {
      {"", "pending", "-", 0, false},          {"c", "queued", "-", 1, false},
      {"cr", "running", "-", 1, true},         {"cs", "succeeded", "-", 1, true},
      {"cf", "failed", "it broke", 1, true},   {"ct", "failed", "it broke", 1, true},
      {"cl", "failed", "it broke", 1, true},   {"ck", "cancelled", "it broke", 1, true},
      {"cx", "skipped", "it broke", 1, true},  {"cF", "retrying", "it broke", 1, true},
      {"cFc", "queued", "-", 2, false},        {"cFcs", "succeeded", "-", 2, true},
      {"crW", "waiting", "-", 1, true},        {"crWs", "succeeded", "-", 1, true},
      {"K", "skipped", "-", 0, false},         {"O", "omitted", "-", 0, false},
      {"U", "upstream_failed", "-", 0, false}, {"UP", "pending", "-", 0, false},
      {"UPcs", "succeeded", "-", 1, true},     {"M", "failed", "two parents", 0, false},
      {"cfP", "pending", "-", 1, false},       {"cfPc", "queued", "-", 2, false},
      {"cfK", "skipped", "-", 1, false},       {"cFC", "cancelled", "it broke", 1, true},
      {"csP", "pending", "-", 1, false},       {"S", "succeeded", "-", 0, false},
      {"cfS", "succeeded", "-", 1, false},     {"cfSPcs", "succeeded", "-", 2, true},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *dir = make_dir();
    fl_run_row run;
    fl_store *s = open_store(dir);
    add_run(s, "r1", &run);
    record(s, &run, 2, cases[i].events);
    ok(fl_store_commit(s, &err));
    json_t *json = show(s, &run), *node = node_of(json, "load");
    int attempts = (int)json_integer_value(json_object_get(node, "attempts"));
    bool timed = json_is_string(json_object_get(node, "started_at"));
    if (strcmp(text_at(node, "status"), cases[i].status) || attempts != cases[i].attempts ||
        strcmp(text_at(node, "error"), cases[i].error) || timed != cases[i].timed)
      fail_msg("'%s': %s, %d attempts, error %s, timed %d", cases[i].events,
               text_at(node, "status"), attempts, text_at(node, "error"), timed);
    json_decref(json);
    // The public view says the same.
    char *rows = text_of(s, "SELECT status,attempts FROM v_node WHERE name='load'"), expected[64];
    snprintf(expected, sizeof expected, "%s|%d", cases[i].status, cases[i].attempts);
    if (strcmp(rows, expected)) fail_msg("v_node of '%s': %s", cases[i].events, rows);
    free(rows);
    fl_store_close(s);
    remove_dir(dir);
  }
}

static void values_are_embedded(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  fl_attempt_row a = claim(&run, 1, 1, 1);
  a.vars_in = put_text(s, "{\"seen\":1}");
  ok(fl_store_add_attempt(s, &a, &err));
  fl_value *saved = value_of("{\"row\":7}");
  ok(fl_store_put_checkpoint(s, run.row, 1, 1, T0, saved, &err));
  ok(fl_store_put_progress(s, run.row, 1, 2.5, 10, "half \"way\"\xff", T0, &err));
  json_t *json = show(s, &run), *node = node_of(json, "clean");
  assert_member(node, "vars", "{}"); // it has left nothing yet
  assert_member(node, "checkpoint", "{\"row\":7}");
  assert_string_equal(text_at(json_object_get(node, "progress"), "text"),
                      "half \"way\"\xef\xbf\xbd");
  assert_member(json_object_get(node, "progress"), "done", "2.5");
  json_decref(json);
  a.state = FL_ATTEMPT_SUCCEEDED;
  a.end_seq = 2;
  a.outputs = put_text(s, "[1,2]");
  ok(fl_store_end_attempt(s, &a, &err));
  json = show(s, &run);
  assert_member(node_of(json, "clean"), "vars", "{\"seen\":1}"); // unchanged, so inherited
  assert_member(node_of(json, "clean"), "outputs", "[1,2]");
  json_decref(json);
  a.vars_out = put_text(s, "{\"left\":2}");
  ok(fl_store_end_attempt(s, &a, &err));
  json = show(s, &run);
  assert_member(node_of(json, "clean"), "vars", "{\"left\":2}");
  json_decref(json);
  fl_value_unref(saved);
  fl_store_close(s);
  remove_dir(dir);
}

static void items_follow_their_map(void **state) {
  // Indexes are given in the order the maps were reached, positions may come in any order.
  static const struct {
    uint32_t node, map, position;
    const char *name, *type;
  } items[] = {{4, 2, 1, "load[1]", "sql"},
               {5, 2, 2, "load[2]", NULL},
               {6, 0, 2, "extract[2]", NULL},
               {7, 0, 1, "extract[1]", "lua"},
               {8, 0, 3, "extract[3]", NULL}};
  static const char expected[] = "extract shell succeeded;extract[1] lua succeeded;"
                                 "extract[2] item failed;extract[3] item skipped;"
                                 "clean lua pending;load sql pending;load[1] sql running;"
                                 "load[2] item pending;report lua pending;";
  char *dir = make_dir();
  fl_run_row run;
  fl_buf text;
  size_t i;
  json_t *node;
  (void)state;
  fl_buf_init(&text, 10000);
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  for (i = 0; i < 5; i++) {
    fl_item_row row = {run.row, items[i].node, items[i].map, items[i].position, items[i].name,
                       0,       items[i].type};
    ok(fl_store_add_item(s, &row, &err));
  }
  record(s, &run, 0, "cs");
  record(s, &run, 7, "cs");
  record(s, &run, 6, "cf");
  record(s, &run, 8, "K");
  record(s, &run, 4, "cr");
  json_t *json = show(s, &run);
  json_array_foreach(json_object_get(json, "nodes"), i, node) fl_buf_addf(
      &text, "%s %s %s;", text_at(node, "name"), text_at(node, "type"), text_at(node, "status"));
  assert_string_equal(fl_buf_cstr(&text), expected);
  json_decref(json);
  fl_buf_deinit(&text);
  fl_store_close(s);
  remove_dir(dir);
}

static bool note_status(void *ud, const fl_status_entry *e) {
  fl_buf *out = ud;
  fl_buf_addf(out, "%u %s %s %s %u %d %s %s; ", e->node, e->name, e->type,
              fl_node_state_text(e->state), e->attempts, e->exit_code, e->error ? e->error : "-",
              e->detail ? e->detail : "-");
  return e->node != 2;
}

static bool note_graph(void *ud, const fl_graph_entry *e) {
  fl_buf_addf(ud, "%u %s %s %s %s; ", e->node, e->name, e->type, e->after,
              fl_node_state_text(e->state));
  return true;
}

static void status_and_graph_need_no_values(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_buf out;
  (void)state;
  fl_buf_init(&out, 10000);
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "[]");
  add_ended(s, &run, 1, 1, 3, FL_ATTEMPT_FAILED, NULL);
  decide(s, &run, 2, 5, FL_NODE_UPSTREAM_FAILED, FL_REASON_UPSTREAM_FAILED, "clean");
  ok(fl_read_store_status(s, &run, note_status, &out, &err));
  assert_string_equal(fl_buf_cstr(&out),
                      "0 extract shell succeeded 1 0 - -; 1 clean lua failed 1 1 exit code 1 -; "
                      "2 load sql upstream_failed 0 -1 - clean; ");
  fl_buf_reset(&out);
  ok(fl_read_store_graph(s, &run, note_graph, &out, &err));
  assert_string_equal(fl_buf_cstr(&out),
                      "0 extract shell [] succeeded; 1 clean lua [0] failed; "
                      "2 load sql [1] upstream_failed; 3 report lua [0,2] pending; ");
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

static void runs_are_listed_newest_first_with_their_parents(void **state) {
  char *dir = make_dir();
  fl_run_row a, b;
  fl_buf out;
  (void)state;
  fl_buf_init(&out, 10000);
  fl_store *s = open_store(dir);
  add_run(s, "r1", &a);
  b = a;
  snprintf(b.id, sizeof b.id, "r2");
  b.parent_run = b.replay_of = a.row;
  b.parent_node = 2;
  b.params = put_text(s, "{\"n\":[1,null]}");
  b.error = (char *)"it broke";
  ok(fl_store_add_run(s, &b, &err));
  ok(fl_read_store_runs(s, &(fl_run_query){.limit = 0}, &out, &err));
  json_t *json = parse(&out), *first = json_array_get(json, 0);
  assert_int_equal(json_array_size(json), 2);
  assert_string_equal(text_at(first, "id"), "r2");
  assert_string_equal(text_at(first, "replay_of"), "r1");
  assert_string_equal(text_at(first, "error"), "it broke");
  assert_member(first, "parent", "{\"run\":\"r1\",\"node\":\"load\"}");
  assert_member(first, "params", "{\"n\":[1,null]}");
  json_decref(json);
  ok(fl_read_store_runs(s, &(fl_run_query){.limit = 1}, &out, &err));
  json = parse(&out);
  assert_int_equal(json_array_size(json), 1);
  json_decref(json);
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

static void what_cannot_be_read_is_an_error(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_buf out, small;
  (void)state;
  fl_buf_init(&out, 10000);
  fl_buf_init(&small, 300);
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  add_ended(s, &run, 0, 1, 1, FL_ATTEMPT_SUCCEEDED, "[\"result\"]");
  ok(fl_store_commit(s, &err));
  fails(fl_read_store_run(s, &run, &small, &err), FL_E_LIMIT, "larger than 300 bytes");
  sqlite3_exec(s->db, "UPDATE value SET text='[\"resulT\"]' WHERE id=3", NULL, NULL, NULL);
  fails(fl_read_store_run(s, &run, &out, &err), FL_E_CORRUPT, "its digest differs");
  sqlite3_exec(s->db, "DELETE FROM definition_node WHERE node=1", NULL, NULL, NULL);
  fails(fl_read_store_run(s, &run, &out, &err), FL_E_CORRUPT, "nodes of a definition are missing");
  run.row = 9;
  fails(fl_read_store_run(s, &run, &out, &err), FL_E_NOT_FOUND, "not in");
  assert_int_equal(s->reading, 0);
  put_text(s, "[1]"); // and the store is as usable as before
  ok(fl_store_commit(s, &err));
  fl_buf_deinit(&out);
  fl_buf_deinit(&small);
  fl_store_close(s);
  remove_dir(dir);
}

static void the_vars_of_a_run_have_what_patches_set(void **state) {
  char *dir = make_dir();
  fl_run_row run;
  fl_buf out;
  uint32_t number;
  (void)state;
  static const char *const patches[] = {"{\"vars\":{\"b\":3,\"c\":4}}", "{\"skip\":[\"load\"]}",
                                        "{\"vars\":{\"c\":{\"d\":5}}}"};
  fl_store *s = open_store(dir);
  add_run(s, "x", &run);
  snprintf(run.id, sizeof run.id, "r1");
  run.vars = put_text(s, "{\"a\":1,\"b\":2}");
  ok(fl_store_add_run(s, &run, &err));
  for (uint32_t i = 0; i < 3; i++) {
    ok(fl_store_commit(s, &err));
    ok(fl_store_take_run(s, run.row, "e", run.epoch, true, &number, &err));
    run.epoch = number;
    fl_epoch_row epoch = {.epoch = number, .owner = "e", .supervisor = "", .at_ms = T0};
    epoch.patch = put_text(s, patches[i]);
    ok(fl_store_put_epoch(s, run.row, &epoch, &err));
  }
  fl_buf_init(&out, 1 << 20);
  ok(fl_read_store_run(s, &run, &out, &err));
  json_t *json = parse(&out);
  assert_member(json_object_get(json, "run"), "vars", "{\"a\":1,\"b\":3,\"c\":{\"d\":5}}");
  json_decref(json);
  fl_buf_deinit(&out);
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_vars_of_a_run_have_what_patches_set),
      cmocka_unit_test(keys_stand_as_the_contract_lists_them),
      cmocka_unit_test(the_state_of_a_node_follows_from_its_history),
      cmocka_unit_test(values_are_embedded),
      cmocka_unit_test(items_follow_their_map),
      cmocka_unit_test(status_and_graph_need_no_values),
      cmocka_unit_test(runs_are_listed_newest_first_with_their_parents),
      cmocka_unit_test(what_cannot_be_read_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
