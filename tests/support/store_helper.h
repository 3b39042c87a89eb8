// What the store's tests share: a folder of their own, a flow of four nodes, a run of it, JSON.
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "folder.h"
#include "store/store_internal.h"

#define T0 INT64_C(1700000000000) // 2023-11-14T22:13:20.000Z

static fl_error err __attribute__((unused));

/// Fails with the error's message unless `call` (which takes &err) is FL_OK.
#define ok(call)                                                                                   \
  do {                                                                                             \
    err.message[0] = 0;                                                                            \
    if ((call) != FL_OK) fail_msg("%s", err.message);                                              \
  } while (0)
/// Fails unless `call` returns `code_` and its message contains `text_`.
#define fails(call, code_, text_)                                                                  \
  do {                                                                                             \
    err.message[0] = 0;                                                                            \
    assert_int_equal(call, code_);                                                                 \
    if (!strstr(err.message, text_)) fail_msg("'%s' is not in '%s'", text_, err.message);          \
  } while (0)

static inline char *make_dir(void) {
  char path[128];
  assert_true(make_test_folder("store", path, sizeof path));
  return strdup(path);
}

static inline int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static inline void remove_dir(char *dir) {
  nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
  free(dir);
}

static inline fl_store *open_with(const char *dir, fl_durability durability, bool read_only) {
  fl_store *s = NULL;
  fl_store_options options = {.durability = durability, .read_only = read_only};
  ok(fl_store_open(dir, &options, &s, &err));
  return s;
}

static inline fl_store *open_store(const char *dir) {
  return open_with(dir, FL_DURABILITY_FULL, false);
}

static inline bool owner_is(void *ud, const char *owner) {
  return !strcmp(ud, owner);
}

/// One to which `living` is the only owner that lives.
static inline fl_store *open_owned(const char *dir, const char *living) {
  fl_store *s = NULL;
  fl_store_options options = {.durability = FL_DURABILITY_FULL,
                              .owner_lives = owner_is,
                              .owner_ud = (void *)(uintptr_t)living};
  ok(fl_store_open(dir, &options, &s, &err));
  return s;
}

static inline fl_store *open_reader(const char *dir) {
  return open_with(dir, FL_DURABILITY_FULL, true);
}

/// "<dir>/<name>", yours.
static inline char *join(const char *dir, const char *name) {
  char *path = NULL;
  assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
  return path;
}

static inline char *read_all(const char *path, size_t *size) {
  FILE *f = fopen(path, "rb");
  char *data = NULL;
  *size = 0;
  if (!f) return NULL;
  for (size_t n = 1; n;) {
    data = realloc(data, *size + 65536);
    n = fread(data + *size, 1, 65536, f);
    *size += n;
  }
  fclose(f);
  return data;
}

static inline void write_all_to(const char *path, const void *data, size_t size) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, size, f), size);
  fclose(f);
}

static inline fl_value *value_of(const char *text) {
  return fl_value_new(text, strlen(text));
}

/// Puts a value and gives its id.
static inline int64_t put_text(fl_store *s, const char *text) {
  fl_value *v = value_of(text);
  ok(fl_store_put_value(s, v, &err));
  int64_t id = v->store_id;
  fl_value_unref(v);
  return id;
}

/// The number that `sql` gives.
static inline int64_t number_of(fl_store *s, const char *sql) {
  sqlite3_stmt *st = NULL;
  if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL)) fail_msg("%s", sqlite3_errmsg(s->db));
  int64_t n = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
  sqlite3_finalize(st);
  return n;
}

/// The rows that `sql` gives, columns joined by "|", rows by a newline. Yours.
static inline char *text_of(fl_store *s, const char *sql) {
  sqlite3_stmt *st = NULL;
  fl_buf out;
  fl_buf_init(&out, 1 << 20);
  if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL)) fail_msg("%s", sqlite3_errmsg(s->db));
  while (sqlite3_step(st) == SQLITE_ROW) {
    if (out.size) fl_buf_add_char(&out, '\n');
    for (int i = 0; i < sqlite3_column_count(st); i++) {
      const char *text = (const char *)sqlite3_column_text(st, i);
      fl_buf_addf(&out, "%s%s", i ? "|" : "", text ? text : "-");
    }
  }
  sqlite3_finalize(st);
  char *text = strdup(fl_buf_cstr(&out));
  fl_buf_deinit(&out);
  return text;
}

#define assert_rows(store, sql, expected)                                                          \
  do {                                                                                             \
    char *rows_ = text_of(store, sql);                                                             \
    assert_string_equal(rows_, expected);                                                          \
    free(rows_);                                                                                   \
  } while (0)

/// A script of one file, stored; its row.
static inline int64_t put_script(fl_store *s, const char *text) {
  fl_source source = {.path = strdup("sales.lua"), .data = strdup(text), .size = strlen(text)};
  fl_snapshot snapshot = {.dir = strdup("/srv/flows"), .count = 1};
  snapshot.sources = malloc(sizeof source);
  snapshot.sources[0] = source;
  fl_snapshot_digest(&snapshot);
  ok(fl_store_put_script(s, &snapshot, &err));
  int64_t id = snapshot.store_id;
  fl_snapshot_deinit(&snapshot);
  return id;
}

/// The flow "sales": extract -> clean -> load, report after both extract and load.
static inline int64_t put_definition(fl_store *s, int64_t script) {
  static const struct {
    const char *name, *type, *after;
  } nodes[] = {{"extract", "shell", "[]"},
               {"clean", "lua", "[0]"},
               {"load", "sql", "[1]"},
               {"report", "lua", "[0,2]"}};
  int64_t id = 0;
  bool existed = true;
  fl_definition_row row = {
      .flow = "sales", .script = script, .digest = {1, 2, 3, 0, (uint8_t)script}, .node_count = 4};
  ok(fl_store_put_definition(s, &row, &id, &existed, &err));
  for (uint32_t i = 0; !existed && i < 4; i++) {
    fl_definition_node_row node = {.node = i,
                                   .name = nodes[i].name,
                                   .type = nodes[i].type,
                                   .parents = nodes[i].after,
                                   .position = i};
    ok(fl_store_add_definition_node(s, id, &node, &err));
  }
  if (!existed) ok(fl_store_end_definition(s, id, 4, &err));
  return id;
}

/// Fills in and inserts a run of "sales" that is running since T0; not committed.
static inline void add_run(fl_store *s, const char *id, fl_run_row *row) {
  *row = (fl_run_row){.flow = (char *)"sales",
                      .state = FL_RUN_RUNNING,
                      .time_ms = T0,
                      .trigger = (char *)"manual",
                      .created_ms = T0,
                      .started_ms = T0 + 5,
                      .owner = (char *)"engine-1"};
  snprintf(row->id, sizeof row->id, "%s", id);
  ok(fl_store_begin(s, &err));
  row->script = put_script(s, "return sales");
  row->definition = put_definition(s, row->script);
  ok(fl_store_add_run(s, row, &err));
}

/// A claim of attempt `number` of `node`.
static inline fl_attempt_row claim(const fl_run_row *run, uint32_t node, uint32_t number,
                                   int64_t seq) {
  return (fl_attempt_row){.run = run->row,
                          .node = node,
                          .number = number,
                          .epoch = run->epoch,
                          .seq = seq,
                          .state = FL_ATTEMPT_QUEUED,
                          .reason = FL_REASON_READY,
                          .claimed_ms = T0 + 10 * seq,
                          .exit_code = -1,
                          .log = {.path = ""}};
}

/// Adds and ends an attempt; `outputs` may be NULL.
static inline void add_ended(fl_store *s, const fl_run_row *run, uint32_t node, uint32_t number,
                             int64_t seq, fl_attempt_state state, const char *outputs) {
  fl_attempt_row a = claim(run, node, number, seq);
  ok(fl_store_add_attempt(s, &a, &err));
  a.state = state;
  a.end_seq = seq + 1;
  a.started_ms = a.claimed_ms + 1;
  a.ended_ms = a.claimed_ms + 101;
  a.exit_code = state == FL_ATTEMPT_SUCCEEDED ? 0 : 1;
  a.error = state == FL_ATTEMPT_SUCCEEDED ? NULL : "exit code 1";
  a.outputs = outputs ? put_text(s, outputs) : 0;
  a.cpu_us = 1500;
  a.rss_max_bytes = 4096;
  ok(fl_store_end_attempt(s, &a, &err));
}

static inline void decide(fl_store *s, const fl_run_row *run, uint32_t node, int64_t seq,
                          fl_node_state state, fl_reason reason, const char *detail) {
  fl_decision_row row = {.run = run->row,
                         .node = node,
                         .seq = seq,
                         .epoch = run->epoch,
                         .state = state,
                         .reason = reason,
                         .detail = detail,
                         .at_ms = T0 + 10 * seq};
  ok(fl_store_add_decision(s, &row, &err));
}

/// Parses what a reading function appended.
static inline json_t *parse(fl_buf *out) {
  json_error_t error;
  json_t *json = json_loadb(out->data, out->size, 0, &error);
  if (!json) fail_msg("%s in %s", error.text, fl_buf_cstr(out));
  fl_buf_reset(out);
  return json;
}

static inline const char *text_at(json_t *json, const char *key) {
  const char *text = json_string_value(json_object_get(json, key));
  return text ? text : "-";
}

/// Compact text of a member, in the order it was written. Yours.
static inline char *dump_at(json_t *json, const char *key) {
  return json_dumps(json_object_get(json, key), JSON_COMPACT | JSON_ENCODE_ANY);
}

#define assert_member(json, key, expected)                                                         \
  do {                                                                                             \
    char *dump_ = dump_at(json, key);                                                              \
    assert_string_equal(dump_ ? dump_ : "missing", expected);                                      \
    free(dump_);                                                                                   \
  } while (0)
