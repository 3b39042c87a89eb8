// Tests api/read.c, read_graph.c and read_log.c on an engine whose store is written by hand: what a
// host reads is what is there, for runs that are over and for one that goes on.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "api/engine.h"
#include "folder.h"
#include "io/logfile.h"

/// extract -> clean -> load; extract has two attempts, clean runs.
typedef struct fixture {
  char dir[64];
  fl_engine *engine;
  fl_store *store;
  fl_run_row run;
  int64_t seq;
  fl_log_writer *logs;
} fixture;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
  return (void)st, (void)type, (void)at, remove(path);
}

#define OK(call)                                                                                   \
  do {                                                                                             \
    fl_error ok_err = {0}, *err = &ok_err;                                                         \
    if ((call) != FL_OK) fail_msg("%s", ok_err.message);                                           \
  } while (0)

static void add_nodes(fixture *f, int64_t script) {
  static const char *const nodes[][3] = {
      {"extract", "shell", "[]"}, {"clean", "lua", "[0]"}, {"load", "sql", "[1,0]"}};
  fl_definition_row definition = {
      .flow = "sales", .script = script, .digest = {1}, .node_count = 3};
  bool existed;
  OK(fl_store_put_definition(f->store, &definition, &f->run.definition, &existed, err));
  for (uint32_t i = 0; i < 3; i++) {
    fl_definition_node_row node = {
        .node = i, .name = nodes[i][0], .type = nodes[i][1], .parents = nodes[i][2], .position = i};
    OK(fl_store_add_definition_node(f->store, f->run.definition, &node, err));
  }
  OK(fl_store_end_definition(f->store, f->run.definition, 3, err));
}

static void add_attempt(fixture *f, uint32_t node, uint32_t number, fl_attempt_state state,
                        const char *error, fl_log_place log) {
  fl_attempt_row row = {.run = f->run.row,
                        .node = node,
                        .number = number,
                        .epoch = 1,
                        .seq = ++f->seq,
                        .state = FL_ATTEMPT_RUNNING,
                        .reason = FL_REASON_READY,
                        .claimed_ms = 1000,
                        .started_ms = 1000 + 100 * number,
                        .exit_code = -1};
  row.log.path = "";
  OK(fl_store_add_attempt(f->store, &row, err));
  if (state == FL_ATTEMPT_RUNNING) return;
  row.state = state;
  row.end_seq = ++f->seq;
  row.ended_ms = row.started_ms + 50;
  row.exit_code = error ? 3 : 0;
  row.error = error;
  row.log = log;
  OK(fl_store_end_attempt(f->store, &row, err));
}

// Writes a log as a node does; where it is kept goes into `out`, its path into `path`.
static fl_log_place write_log(fixture *f, const char *node, uint32_t number, const char *text,
                              char path[128]) {
  fl_log_place place = {0};
  const char *at;
  int disk_errno;
  fl_log_sink *sink = fl_log_sink_open(f->logs, node, number, 0);
  fl_log_sink_write(sink, text, strlen(text));
  assert_true(fl_log_sink_finish(sink, &at, &place.offset, &place.size, &place.total, &disk_errno));
  snprintf(path, 128, "%s", at);
  place.path = path;
  fl_log_sink_close(sink);
  return place;
}

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  fl_config config = {
      .size = sizeof config, .state_dir = f->dir, .durability = FL_DURABILITY_GROUP};
  char first[128], second[128];
  fl_source source = {.path = "sales.lua", .data = "return 1", .size = 8};
  fl_snapshot snapshot = {.dir = "/", .sources = &source, .count = 1};
  assert_true(make_test_folder("read", f->dir, sizeof f->dir));
  OK(fl_engine_open(&config, &f->engine, err));
  OK(fl_engine_need_store(f->engine, &f->store, err));
  OK(fl_store_begin(f->store, err));
  fl_snapshot_digest(&snapshot);
  OK(fl_store_put_script(f->store, &snapshot, err));
  add_nodes(f, snapshot.store_id);
  f->run = (fl_run_row){.id = "20260131T235959-4f7a9c01",
                        .flow = "sales",
                        .state = FL_RUN_RUNNING,
                        .definition = f->run.definition,
                        .script = snapshot.store_id,
                        .time_ms = 5000,
                        .trigger = "manual",
                        .created_ms = 900,
                        .started_ms = 950,
                        .owner = "nobody"};
  fl_value *params = fl_value_new("{\"n\":3}", 7);
  OK(fl_store_put_value(f->store, params, err));
  f->run.params = params->store_id;
  fl_value_unref(params);
  OK(fl_store_add_run(f->store, &f->run, err));
  f->logs = fl_log_writer_open(f->dir, f->run.id, "test");
  add_attempt(f, 0, 1, FL_ATTEMPT_FAILED, "exit code 3",
              write_log(f, "extract", 1, "bad\n", first));
  add_attempt(f, 0, 2, FL_ATTEMPT_SUCCEEDED, NULL,
              write_log(f, "extract", 2, "one\ntwo\x1b[2J\nthree\n", second));
  add_attempt(f, 1, 1, FL_ATTEMPT_RUNNING, NULL, (fl_log_place){0});
  OK(fl_store_commit(f->store, err));
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  fl_log_writer_close(f->logs);
  fl_engine_close(f->engine);
  nftw(f->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
  free(f);
  return 0;
}

// ------------------------------------------------------------------------------------- status

typedef struct status_text {
  fl_buf text;
  size_t count_max;
} status_text;

static void take_run(void *ud, const fl_run_info *r) {
  fl_buf_addf(&((status_text *)ud)->text, "%s %s %s %s %s %lld\n", r->id, r->flow, r->status,
              r->trigger, r->params_json, (long long)r->time_ms);
}

static bool take_node(void *ud, const fl_node_info *n) {
  status_text *t = ud;
  fl_buf_addf(&t->text, "%u %s %s %s %u %lld %lld %d %s %s\n", n->index, n->name, n->type,
              n->status, n->attempts, (long long)n->started_ms, (long long)n->ended_ms,
              n->exit_code, n->error ? n->error : "-", n->reason ? n->reason : "-");
  return --t->count_max > 0;
}

static void status_tells_of_the_run_and_its_nodes(void **state) {
  fixture *f = *state;
  status_text t = {.count_max = 10};
  fl_buf_init(&t.text, 10000);
  OK(fl_read_status(f->engine, "2026", take_run, take_node, &t, err));
  assert_string_equal(fl_buf_cstr(&t.text),
                      "20260131T235959-4f7a9c01 sales interrupted manual {\"n\":3} 5000\n"
                      "0 extract shell succeeded 2 1200 1250 0 - -\n"
                      "1 clean lua running 1 1100 0 -1 - -\n"
                      "2 load sql pending 0 0 0 -1 - -\n");
  fl_buf_reset(&t.text);
  t.count_max = 1;
  OK(fl_read_status(f->engine, "last", NULL, take_node, &t, err));
  assert_string_equal(fl_buf_cstr(&t.text), "0 extract shell succeeded 2 1200 1250 0 - -\n");
  fl_buf_deinit(&t.text);
}

static void a_decision_is_told_with_its_reason(void **state) {
  fixture *f = *state;
  status_text t = {.count_max = 10};
  fl_decision_row row = {.run = f->run.row,
                         .node = 2,
                         .seq = ++f->seq,
                         .epoch = 1,
                         .state = FL_NODE_UPSTREAM_FAILED,
                         .reason = FL_REASON_UPSTREAM_FAILED,
                         .detail = "clean",
                         .at_ms = 2000};
  fl_buf_init(&t.text, 10000);
  OK(fl_store_begin(f->store, err));
  OK(fl_store_add_decision(f->store, &row, err));
  OK(fl_store_commit(f->store, err));
  OK(fl_read_status(f->engine, "last", NULL, take_node, &t, err));
  assert_non_null(strstr(fl_buf_cstr(&t.text), "2 load sql upstream_failed 0 0 0 -1 - "
                                               "something it depends on failed (clean)\n"));
  fl_buf_deinit(&t.text);
}

static void reasons_have_sentences(void **state) {
  (void)state;
  assert_string_equal(fl_reason_sentence("when_false"), "its `when` was false");
  assert_string_equal(fl_reason_sentence("no such reason"), "");
  assert_string_equal(fl_reason_sentence(NULL), "");
}

// ------------------------------------------------------------------------------------- texts

static void runs_are_found_and_read_as_json(void **state) {
  fixture *f = *state;
  char id[32], *text;
  fl_error failure;
  json_t *json;
  OK(fl_run_find(f->engine, "20260131", id, err));
  assert_string_equal(id, f->run.id);
  assert_int_equal(fl_run_find(f->engine, "1999", id, &failure), FL_E_NOT_FOUND);
  assert_string_equal(id, "");
  OK(fl_read_runs(f->engine, 10, &text, err));
  assert_non_null(json = json_loads(text, 0, NULL));
  assert_int_equal(json_array_size(json), 1);
  json_decref(json), fl_free(text);
  OK(fl_read_run(f->engine, "last", &text, err));
  assert_non_null(json = json_loads(text, 0, NULL));
  assert_int_equal(json_array_size(json_object_get(json, "nodes")), 3);
  json_decref(json), fl_free(text);
  OK(fl_read_context(f->engine, "last", "extract", 1, &text, err));
  assert_non_null(json = json_loads(text, 0, NULL));
  json_decref(json), fl_free(text);
  OK(fl_read_explain(f->engine, "last", NULL, &text, err));
  assert_non_null(json = json_loads(text, 0, NULL));
  json_decref(json), fl_free(text);
  assert_int_equal(fl_read_run(f->engine, "1999", &text, &failure), FL_E_NOT_FOUND);
  assert_null(text);
  assert_int_equal(fl_read_context(f->engine, "last", "nobody", 0, &text, &failure),
                   FL_E_NOT_FOUND);
}

static void the_graph_of_a_run_has_its_states(void **state) {
  fixture *f = *state;
  fl_error failure;
  char *text;
  OK(fl_read_graph(f->engine, "last", "text", &text, err));
  assert_string_equal(text, "sales: 3 nodes\n"
                            "  extract (shell) succeeded\n"
                            "    clean (lua) running after extract\n"
                            "      load (sql) pending after clean, extract\n");
  fl_free(text);
  assert_int_equal(fl_read_graph(f->engine, "last", "gif", &text, &failure), FL_E_USAGE);
  assert_null(text);
}

// ------------------------------------------------------------------------------------- logs

static void take_text(void *ud, const char *data, size_t size) {
  fl_buf_add(ud, data, size);
}

static void take_name(void *ud, const char *node, uint32_t attempt) {
  fl_buf_addf(ud, "[%s %u]", node, attempt);
}

static void logs_of_all_nodes_come_in_order(void **state) {
  fixture *f = *state;
  fl_log_options options = {.size = sizeof options, .tail_lines = -1, .on_node = take_name};
  int64_t position = 0;
  fl_buf text;
  fl_buf_init(&text, 10000);
  OK(fl_read_logs(f->engine, "last", &options, &position, take_text, &text, err));
  assert_string_equal(fl_buf_cstr(&text), "[extract 2]one\ntwo\\x1b[2J\nthree\n[clean 1]");
  assert_int_equal(position, 0);
  fl_buf_reset(&text);
  options.size = offsetof(fl_log_options, on_node); // of a host built with an older header
  options.attempt = 1;
  OK(fl_read_logs(f->engine, "last", &options, &position, take_text, &text, err));
  assert_string_equal(fl_buf_cstr(&text), "bad\n");
  fl_buf_deinit(&text);
}

static void the_tail_of_a_log_is_its_last_lines(void **state) {
  fixture *f = *state;
  static const char *const tails[] = {"", "three\n", "two\x1b[2J\nthree\n",
                                      "one\ntwo\x1b[2J\nthree\n", "one\ntwo\x1b[2J\nthree\n"};
  fl_buf text;
  fl_buf_init(&text, 10000);
  for (int64_t n = 0; n < 5; n++) {
    fl_log_options options = {
        .size = sizeof options, .node = "extract", .tail_lines = n, .raw = true};
    int64_t position = 0;
    fl_buf_reset(&text);
    OK(fl_read_logs(f->engine, "last", &options, &position, take_text, &text, err));
    assert_string_equal(fl_buf_cstr(&text), tails[n]);
    assert_int_equal(position, 18); // the end, whatever was shown
  }
  fl_buf_deinit(&text);
}

static void a_follower_sees_each_character_once_and_whole(void **state) {
  fixture *f = *state;
  static const char in[] = "a\xe6\x95\xb0\xf0\x9f\x98\x80\r\nb\xc3\xa9\n";
  fl_log_options options = {.size = sizeof options, .node = "clean", .tail_lines = -1};
  fl_log_sink *sink = fl_log_sink_open(f->logs, "clean", 1, 0);
  int64_t position = 0;
  fl_buf text;
  fl_buf_init(&text, 10000);
  for (size_t i = 0; i < sizeof in - 1; i++) {
    fl_log_sink_write(sink, in + i, 1);
    fl_log_sink_flush(sink);
    size_t before = text.size;
    OK(fl_read_logs(f->engine, "last", &options, &position, take_text, &text, err));
    assert_true(fl_utf8_valid(text.data + before, text.size - before));
  }
  assert_string_equal(fl_buf_cstr(&text), "a\xe6\x95\xb0\xf0\x9f\x98\x80\nb\xc3\xa9\n");
  assert_int_equal(position, sizeof in - 1);
  fl_log_sink_close(sink);
  fl_buf_deinit(&text);
}

// ------------------------------------------------------------------------------------- the rest

static void prune_tells_what_it_removes(void **state) {
  fixture *f = *state;
  fl_prune_options options = {
      .size = sizeof options, .keep_ms = 0, .size_max_bytes = -1, .dry_run = true, .all = true};
  char *text;
  OK(fl_prune(f->engine, &options, &text, err)); // the run goes on: it is kept
  assert_memory_equal(text, "{\"runs\":[],\"bytes\":", 19);
  fl_free(text);
  OK(fl_store_begin(f->store, err));
  OK(fl_store_set_run_state(f->store, f->run.row, FL_RUN_FAILED, 0, 3000, NULL, err));
  OK(fl_store_commit(f->store, err));
  OK(fl_prune(f->engine, &options, &text, err));
  assert_non_null(strstr(text, "{\"runs\":[\"20260131T235959-4f7a9c01\"],\"bytes\":"));
  fl_free(text);
  options.keep_ms = INT64_MAX; // longer ago than there is time
  OK(fl_prune(f->engine, &options, &text, err));
  assert_memory_equal(text, "{\"runs\":[],", 11);
  fl_free(text);
}

static void the_version_names_what_is_inside(void **state) {
  (void)state;
  const char *text = fl_version_text();
  static const char *const parts[] = {FL_VERSION " (LuaJIT ", ", libuv 1.", ", SQLite 3.",
                                      ", PCRE2 1"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (!strstr(text, parts[i])) fail_msg("'%s' is not in '%s'", parts[i], text);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(status_tells_of_the_run_and_its_nodes),
      TEST(a_decision_is_told_with_its_reason),
      cmocka_unit_test(reasons_have_sentences),
      TEST(runs_are_found_and_read_as_json),
      TEST(the_graph_of_a_run_has_its_states),
      TEST(logs_of_all_nodes_come_in_order),
      TEST(the_tail_of_a_log_is_its_last_lines),
      TEST(a_follower_sees_each_character_once_and_whole),
      TEST(prune_tells_what_it_removes),
      cmocka_unit_test(the_version_names_what_is_inside),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
