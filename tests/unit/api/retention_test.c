// An engine that prunes by itself: what goes and what stays, beside runs that go on, and a close.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>
#include "flowlua.h"
#include "folder.h"

static char dir[64], script_path[96];
static fl_error err;

#define ok(call)                                                                                   \
  do {                                                                                             \
    if ((call) != FL_OK) fail_msg("%s", err.message);                                              \
  } while (0)

static const char script_text[] =
    "local flow = require 'flow'\n"
    "local f, g = flow.dag('good'), flow.dag('bad')\n"
    "for i = 1, 40 do f['n' .. i] = flow.lua { inline = true, after = i > 1 and 'n' .. i - 1 or "
    "nil,"
    "  run = function() return { i = i } end } end\n"
    "g.a = flow.lua { inline = true, run = function() error('bad') end }\n"
    "return { f, g }\n";

static int open_box(void **state) {
  (void)state;
  assert_true(make_test_folder("retention", dir, sizeof dir));
  snprintf(script_path, sizeof script_path, "%s/flow.lua", dir);
  FILE *f = fopen(script_path, "w");
  fputs(script_text, f);
  fclose(f);
  return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static int close_box(void **state) {
  (void)state;
  nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return 0;
}

// ------------------------------------------------------------------------------------- helpers

typedef struct heard {
  char notice[256]; // the last one
  int notices, ended;
  bool removed_before_end;
} heard;

static void hear(void *ud, const fl_event *e) {
  heard *h = ud;
  if (e->kind == FL_EVENT_NOTICE) {
    snprintf(h->notice, sizeof h->notice, "%s", e->error);
    h->notices++;
    h->removed_before_end |= !h->ended;
  }
  h->ended += e->kind == FL_EVENT_RUN_FINISHED;
}

/// keep_days 0: it prunes nothing.
static fl_engine *open_engine(heard *h, uint32_t keep_days, int64_t keep_bytes, bool all) {
  fl_engine *e;
  fl_config c = {.size = sizeof c,
                 .state_dir = dir,
                 .jobs = 1,
                 .durability = FL_DURABILITY_GROUP,
                 .on_event = hear,
                 .event_ud = h,
                 .keep_days = keep_days,
                 .keep_bytes = keep_bytes,
                 .prune_all = all,
                 .prune_ms = 1};
  *h = (heard){0};
  ok(fl_engine_open(&c, &e, &err));
  return e;
}

static void start(fl_engine *e, const char *flow, char id[32]) {
  fl_script *script;
  ok(fl_script_load(e, script_path, &script, &err));
  fl_run_options options = {.size = sizeof options, .flow = flow};
  ok(fl_run_start(script, &options, id, &err));
}

static void turn(fl_engine *e, uint32_t budget_us) {
  fl_step_info info = {.size = sizeof info};
  struct pollfd fd = {.fd = fl_engine_get_fd(e), .events = POLLIN};
  ok(fl_step_us(e, budget_us, &info, &err));
  if (!info.again) poll(&fd, 1, fl_engine_get_timeout_ms(e));
}

static void run_sql(const char *sql) {
  char path[96];
  sqlite3 *db;
  snprintf(path, sizeof path, "%s/flowlua.db", dir);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 10000);
  if (sqlite3_exec(db, sql, NULL, NULL, NULL)) fail_msg("%s", sqlite3_errmsg(db));
  sqlite3_close(db);
}

static int64_t number_of(const char *sql) {
  char path[96];
  sqlite3 *db;
  sqlite3_stmt *st;
  snprintf(path, sizeof path, "%s/flowlua.db", dir);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 10000);
  assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(st), SQLITE_ROW);
  int64_t number = sqlite3_column_int64(st, 0);
  sqlite3_finalize(st);
  sqlite3_close(db);
  return number;
}

/// Three runs that succeeded and one that failed, all of last year.
static void make_old_runs(void) {
  heard h;
  char id[32];
  const char *status;
  fl_engine *e = open_engine(&h, 0, 0, false);
  for (int i = 0; i < 4; i++) {
    start(e, i == 1 ? "bad" : "good", id);
    ok(fl_wait(e, id, &status, &err));
  }
  fl_engine_close(e);
  run_sql("UPDATE run SET ended_ms=ended_ms-31536000000");
}

static void add_attempts(int count) {
  char sql[256];
  snprintf(sql, sizeof sql,
           "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i+1 FROM n WHERE i<%d)"
           " INSERT INTO attempt(run,node,number,epoch,seq,state,reason,claimed_ms)"
           " SELECT 1,i,1,1,i,2,1,1 FROM n",
           count + 99);
  run_sql(sql);
}

// ------------------------------------------------------------------------------------- tests

static void an_engine_prunes_by_itself_and_says_so(void **state) {
  (void)state;
  heard h;
  make_old_runs();
  fl_engine *e = open_engine(&h, 30, 0, false);
  while (!h.notices) turn(e, 5000);
  if (strncmp(h.notice, "retention: removed 2 old runs, about ", 37)) fail_msg("%s", h.notice);
  // The last success, and what a resume may go on with.
  assert_int_equal(number_of("SELECT sum(row)*10+count(*) FROM run"), 62);
  fl_engine_close(e);
  e = open_engine(&h, 400, 0, true);
  for (int i = 0; i < 20; i++) turn(e, 5000);
  assert_int_equal(number_of("SELECT count(*) FROM run"), 2);
  fl_engine_close(e);
  e = open_engine(&h, 30, 0, true);
  while (!h.notices) turn(e, 5000);
  assert_int_equal(number_of("SELECT count(*) FROM run"), 0);
  assert_int_equal(number_of("SELECT count(*) FROM attempt"), 0);
  assert_int_equal(number_of("SELECT count(*) FROM meta WHERE key IN('pruning','sweeping')"), 0);
  fl_engine_close(e);
}

static void the_oldest_go_by_themselves_when_the_state_is_too_large(void **state) {
  (void)state;
  heard h;
  make_old_runs();
  add_attempts(40000);
  fl_engine *e = open_engine(&h, 0, 1000000, false);
  while (!h.notices) turn(e, 5000);
  assert_int_equal(number_of("SELECT count(*)*10+min(row) FROM run"), 32);
  fl_engine_close(e);
}

static void runs_go_on_while_it_prunes(void **state) {
  (void)state;
  heard h;
  char id[32];
  make_old_runs();
  add_attempts(40000);
  fl_engine *e = open_engine(&h, 30, 0, false);
  // Until the first rows have gone.
  while (number_of("SELECT count(*) FROM attempt") > 40000) turn(e, 1000);
  start(e, "good", id);
  while (!h.notices || !h.ended) turn(e, 1000);
  assert_false(h.removed_before_end);
  assert_int_equal(number_of("SELECT count(*) FROM attempt WHERE run=1"), 0);
  fl_engine_close(e);
}

static void a_close_ends_a_prune_and_the_next_engine_finishes_it(void **state) {
  (void)state;
  heard h;
  make_old_runs();
  add_attempts(40000);
  fl_engine *e = open_engine(&h, 30, 0, false);
  while (number_of("SELECT count(*) FROM attempt") > 40000) turn(e, 1000);
  fl_engine_close(e);
  assert_int_equal(h.notices, 0);
  assert_true(number_of("SELECT count(*) FROM attempt") > 1000);
  assert_int_equal(number_of("SELECT count(*) FROM meta WHERE key='pruning'"), 1);
  e = open_engine(&h, 30, 0, false);
  while (number_of("SELECT count(*) FROM meta WHERE key='pruning'")) turn(e, 5000);
  assert_true(number_of("SELECT count(*) FROM attempt") < 100);
  fl_engine_close(e);
}

static void where_nothing_goes_nothing_is_written(void **state) {
  (void)state;
  heard h;
  make_old_runs();
  fl_engine *e = open_engine(&h, 400, 0, true);
  char path[96];
  sqlite3 *db;
  uint32_t before, after;
  snprintf(path, sizeof path, "%s/flowlua.db", dir);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  sqlite3_exec(db, "SELECT * FROM run", NULL, NULL, NULL);
  sqlite3_file_control(db, "main", SQLITE_FCNTL_DATA_VERSION, &before);
  for (int i = 0; i < 50; i++) turn(e, 5000);
  sqlite3_exec(db, "SELECT * FROM run", NULL, NULL, NULL);
  sqlite3_file_control(db, "main", SQLITE_FCNTL_DATA_VERSION, &after);
  assert_int_equal(before, after);
  sqlite3_close(db);
  assert_int_equal(h.notices, 0);
  fl_engine_close(e);
}

static void a_log_that_a_reader_keeps_is_told(void **state) {
  (void)state;
  heard h;
  char path[96], id[32];
  sqlite3 *reader, *writer;
  make_old_runs();
  snprintf(path, sizeof path, "%s/flowlua.db", dir);
  assert_int_equal(sqlite3_open(path, &reader), SQLITE_OK);
  assert_int_equal(sqlite3_open(path, &writer), SQLITE_OK);
  fl_engine *e = open_engine(&h, 0, 0, false);
  sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM run", NULL, NULL, NULL);
  sqlite3_exec(writer,
               "PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=OFF; CREATE TABLE large(data);"
               "INSERT INTO large VALUES(zeroblob(70000000))",
               NULL, NULL, NULL);
  for (int i = 0; i < 2; i++) {
    start(e, "good", id);
    for (h.ended = 0; !h.ended;) turn(e, 1000);
  }
  assert_int_equal(h.notices, 1);
  assert_memory_equal(h.notice, "the store's log has grown to 67 MiB: somebody", 45);
  sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL);
  sqlite3_close(reader);
  sqlite3_close(writer);
  fl_engine_close(e);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_engine_prunes_by_itself_and_says_so),
      TEST(the_oldest_go_by_themselves_when_the_state_is_too_large),
      TEST(runs_go_on_while_it_prunes),
      TEST(a_close_ends_a_prune_and_the_next_engine_finishes_it),
      TEST(where_nothing_goes_nothing_is_written),
      TEST(a_log_that_a_reader_keeps_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
