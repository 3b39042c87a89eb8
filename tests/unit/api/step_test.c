// Steps with a budget, and calls between steps: no call returns with the store locked, and what was
// asked for is found, begun and durable.
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

static char dir[64];
static fl_error err;

static fl_engine *open_engine(void) {
  fl_engine *e;
  assert_true(make_test_folder("step", dir, sizeof dir));
  fl_config c = {.size = sizeof c, .state_dir = dir, .jobs = 1};
  if (fl_engine_open(&c, &e, &err)) fail_msg("%s", err.message);
  return e;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static void close_engine(fl_engine *e) {
  fl_engine_close(e);
  nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static fl_script *load(fl_engine *e, const char *text) {
  char path[96];
  fl_script *script;
  snprintf(path, sizeof path, "%s/flow.lua", dir);
  FILE *f = fopen(path, "w");
  fputs(text, f);
  fclose(f);
  if (fl_script_load(e, path, &script, &err)) fail_msg("%s", err.message);
  return script;
}

static void start(fl_script *script, char id[32]) {
  fl_run_options o = {.size = sizeof o};
  if (fl_run_start(script, &o, id, &err)) fail_msg("%s", err.message);
}

// As another process would: what it gets is one number.
static int ask(const char *sql) {
  char path[96];
  sqlite3 *db;
  sqlite3_stmt *st = NULL;
  snprintf(path, sizeof path, "%s/flowlua.db", dir);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
  int rc = sqlite3_step(st), number = rc == SQLITE_ROW ? sqlite3_column_int(st, 0) : -1;
  sqlite3_finalize(st);
  sqlite3_close(db);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? number : -rc;
}

// True when another process may write at once.
static bool is_free(void) {
  return ask("BEGIN IMMEDIATE") == -1;
}

static const char sleeper[] = "local flow = require 'flow' local f = flow.dag('sleeper')\n"
                              "f.a = flow.lua { inline = true, run = function(ctx)"
                              " ctx['sleep'](ctx, 3600) end } return f\n";

static void no_call_returns_with_the_store_locked(void **state) {
  (void)state;
  fl_engine *e = open_engine();
  fl_script *script = load(e, sleeper);
  char id[32];
  size_t live;
  start(script, id);
  assert_true(is_free());
  assert_int_equal(fl_step(e, 100, &live, &err), FL_OK);
  assert_true(is_free());
  assert_int_equal(fl_run_cancel(e, id, false, &err), FL_OK);
  assert_true(is_free());
  while (live) assert_int_equal(fl_step(e, 100, &live, &err), FL_OK);
  assert_int_equal(fl_run_resume(e, id, NULL, &err), FL_OK);
  assert_true(is_free());
  fl_engine_stop(e, false);
  assert_true(is_free());
  close_engine(e);
}

static void a_run_that_was_just_asked_for_is_found_and_then_flushed(void **state) {
  (void)state;
  fl_engine *e = open_engine();
  fl_script *script = load(e, sleeper);
  char id[32], other[32], *json;
  start(script, id);
  assert_int_equal(fl_read_run(e, id, &json, &err), FL_OK);
  assert_non_null(strstr(json, "\"queued\""));
  fl_free(json);
  start(script, other);
  assert_int_equal(ask("SELECT count(*) FROM run"), 1);
  assert_int_equal(fl_engine_flush(e, &err), FL_OK);
  assert_int_equal(ask("SELECT count(*) FROM run"), 2);
  assert_int_equal(ask("SELECT count(*) FROM run WHERE state=0"), 2);
  close_engine(e);
}

static void ten_thousand_runs_may_be_asked_for_at_once(void **state) {
  (void)state;
  fl_engine *e = open_engine();
  fl_script *script = load(e, "local flow = require 'flow' local f = flow.dag('f')\n"
                              "f.a = flow.lua { inline = true, run = function() end } return f\n");
  char id[32];
  size_t live = 1;
  for (int i = 0; i < 10000; i++) start(script, id);
  assert_true(is_free());
  while (live) assert_int_equal(fl_step(e, 1000, &live, &err), FL_OK);
  assert_int_equal(ask("SELECT count(*) FROM run WHERE state=3"), 10000);
  close_engine(e);
}

static void a_step_does_its_budget_and_says_what_is_left(void **state) {
  (void)state;
  fl_engine *e = open_engine();
  fl_script *script = load(e, "local flow = require 'flow' local f = flow.dag('f')\n"
                              "for i = 1, 3000 do f['n' .. i] = flow.lua { inline = true,\n"
                              " run = function() if i == 7 then local t = os.clock() + 0.1\n"
                              " while os.clock() < t do end end end } end return f\n");
  char id[32];
  start(script, id);
  fl_step_info info = {.size = sizeof info, .live = 1};
  uint32_t steps = 0, of_node = 0;
  for (; info.live; steps++) {
    assert_int_equal(fl_step_us(e, 1000, &info, &err), FL_OK);
    assert_true(is_free());
    if (info.live) assert_int_equal(info.again, fl_engine_get_timeout_ms(e) == 0);
    if (info.longest_us) assert_string_equal(info.longest_run, id);
    // The machine may keep another one for long, too: of its own step it is the longest.
    if (info.longest_us && info.longest_node == 6) of_node = info.longest_us;
  }
  assert_true(steps > 5); // 3,000 nodes take many times a millisecond
  assert_true(of_node >= 95000);
  assert_int_equal(fl_step_us(e, 1000, &info, &err), FL_OK); // nothing is due
  assert_false(info.again);
  assert_string_equal(info.longest_run, "");
  close_engine(e);
}

static void a_wake_makes_the_descriptor_readable(void **state) {
  (void)state;
  fl_engine *e = open_engine();
  size_t live;
  struct pollfd fd = {.fd = fl_engine_get_fd(e), .events = POLLIN};
  assert_int_equal(fl_step(e, 0, &live, &err), FL_OK);
  assert_int_equal(poll(&fd, 1, 0), 0);
  fl_wake(e);
  assert_int_equal(poll(&fd, 1, 1000), 1);
  assert_int_equal(fl_step(e, 0, &live, &err), FL_OK);
  assert_int_equal(poll(&fd, 1, 0), 0);
  close_engine(e);
}

// ------------------------------------------------------------------------------------- reading

typedef struct reading {
  fl_engine *engine;
  fl_script *script;
  char id[32];
  size_t seen, live;
} reading;

static void read_in_a_callback(void *ud, const fl_event *event) {
  reading *r = ud;
  char *json;
  if (event->kind != FL_EVENT_NODE_FINISHED || *r->id) return;
  assert_int_equal(fl_read_context(r->engine, event->run_id, event->node, 0, &json, &err), FL_OK);
  assert_non_null(strstr(json, "\"outputs\":{\"x\":1}")); // it is told when it is there
  fl_free(json);
  start(r->script, r->id);
  assert_int_equal(fl_read_run(r->engine, r->id, &json, &err), FL_OK);
  assert_non_null(strstr(json, "\"queued\""));
  fl_free(json);
}

static void what_is_read_in_a_callback_holds_all_that_was_told_and_asked_for(void **state) {
  (void)state;
  reading r = {.engine = open_engine(), .live = 1};
  uint64_t listener;
  char id[32];
  assert_int_equal(fl_engine_subscribe(r.engine, read_in_a_callback, &r, &listener, &err), FL_OK);
  r.script = load(r.engine, "local flow = require 'flow'\nlocal f = flow.dag('f', {})\n"
                            "f.a = flow.lua { inline = true, run = function() return { x = 1 } "
                            "end }\nf.b = flow.lua { inline = true, after = 'a', run = function() "
                            "end }\nreturn f\n");
  start(r.script, id);
  while (r.live) assert_int_equal(fl_step(r.engine, 100, &r.live, &err), FL_OK);
  assert_true(*r.id);
  assert_int_equal(ask("SELECT count(*) FROM run WHERE state=3"), 2);
  close_engine(r.engine);
}

static bool write_meanwhile(void *ud, const fl_node_info *node) {
  reading *r = ud;
  (void)node;
  if (r->seen++) return true;
  start(r->script, r->id);
  assert_int_equal(fl_engine_flush(r->engine, &err), FL_OK);
  assert_int_equal(fl_step(r->engine, 100, &r->live, &err), FL_OK);
  return true;
}

// What an engine answers comes from a connection of its own: nothing waits for the answer's end.
static void an_engine_writes_in_the_middle_of_its_answer(void **state) {
  (void)state;
  reading r = {.engine = open_engine(), .live = 1};
  char id[32];
  r.script = load(r.engine, "local flow = require 'flow'\nlocal f = flow.dag('f', {})\n"
                            "for i = 1, 500 do f['n' .. i] = flow.lua { inline = true, "
                            "run = function() end } end\nreturn f\n");
  start(r.script, id);
  while (r.live) assert_int_equal(fl_step(r.engine, 100, &r.live, &err), FL_OK);
  if (fl_read_status(r.engine, id, NULL, write_meanwhile, &r, &err)) fail_msg("%s", err.message);
  assert_int_equal(r.seen, 500); // of one moment, whatever was written since
  while (r.live) assert_int_equal(fl_step(r.engine, 100, &r.live, &err), FL_OK);
  assert_int_equal(ask("SELECT count(*) FROM run WHERE state=3"), 2);
  close_engine(r.engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_call_returns_with_the_store_locked),
      cmocka_unit_test(a_run_that_was_just_asked_for_is_found_and_then_flushed),
      cmocka_unit_test(ten_thousand_runs_may_be_asked_for_at_once),
      cmocka_unit_test(a_step_does_its_budget_and_says_what_is_left),
      cmocka_unit_test(what_is_read_in_a_callback_holds_all_that_was_told_and_asked_for),
      cmocka_unit_test(an_engine_writes_in_the_middle_of_its_answer),
      cmocka_unit_test(a_wake_makes_the_descriptor_readable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
