// fl_config.disk_thread: a host whose steps wait for no sync and for nobody's lock.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <ftw.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "flowlua.h"
#include "folder.h"

typedef struct host {
  char dir[64];
  fl_engine *engine;
  char told[512];
} host;

static void on_event(void *ud, const fl_event *e) {
  host *h = ud;
  size_t used = strlen(h->told);
  if (e->kind == FL_EVENT_NODE_FINISHED || e->kind == FL_EVENT_RUN_FINISHED)
    snprintf(h->told + used, sizeof h->told - used, "%s=%s ", e->node ? e->node : "run", e->status);
}

static void host_open(host *h) {
  fl_error err;
  *h = (host){0};
  assert_true(make_test_folder("disk-thread", h->dir, sizeof h->dir));
  fl_config c = {.size = sizeof c,
                 .state_dir = h->dir,
                 .jobs = 1,
                 .on_event = on_event,
                 .event_ud = h,
                 .disk_thread = true};
  if (fl_engine_open(&c, &h->engine, &err)) fail_msg("%s", err.message);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static void host_close(host *h) {
  fl_engine_close(h->engine);
  nftw(h->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static fl_script *load(host *h) {
  char path[96];
  fl_script *script;
  fl_error err;
  snprintf(path, sizeof path, "%s/flow.lua", h->dir);
  FILE *f = fopen(path, "w");
  fputs("local flow = require 'flow'\n"
        "local f = flow.dag('chain')\n"
        "f.a = flow.lua { inline = true, run = function() return { n = 1 } end }\n"
        "f.b = flow.lua { after = 'a', inline = true, run = function(ctx)\n"
        "  return { n = ctx.inputs.a.n + 1, text = ('x'):rep(300000) } end }\n"
        "f.c = flow.lua { after = 'b', inline = true, run = function(ctx)\n"
        "  assert(ctx.inputs.b.n == 2 and #ctx.inputs.b.text == 300000) end }\n"
        "return f\n",
        f);
  fclose(f);
  if (fl_script_load(h->engine, path, &script, &err)) fail_msg("%s", err.message);
  return script;
}

static const fl_run_options options = {.size = sizeof options};

static size_t step(host *h) {
  fl_error err;
  size_t live;
  if (fl_step(h->engine, 5, &live, &err)) fail_msg("%s", err.message);
  return live;
}

static void run_to_the_end(host *h) {
  for (int i = 0; step(h) && i < 10000; i++) {
    struct pollfd fd = {.fd = fl_engine_get_fd(h->engine), .events = POLLIN};
    poll(&fd, 1, fl_engine_get_timeout_ms(h->engine));
  }
}

static void a_host_s_loop_drives_a_run_whose_syncs_are_elsewhere(void **state) {
  (void)state;
  host h;
  fl_error err;
  char id[32];
  host_open(&h);
  fl_script *script = load(&h);
  if (fl_run_start(script, &options, id, &err)) fail_msg("%s", err.message);
  run_to_the_end(&h);
  assert_string_equal(h.told, "a=succeeded b=succeeded c=succeeded run=succeeded ");
  struct pollfd fd = {.fd = fl_engine_get_fd(h.engine), .events = POLLIN};
  step(&h); // what the thread had still to say
  assert_int_equal(poll(&fd, 1, 0), 0);
  assert_int_equal(fl_engine_get_timeout_ms(h.engine), -1);
  host_close(&h);
}

static void waiting_for_a_run_waits_until_its_end_is_told(void **state) {
  (void)state;
  host h;
  fl_error err;
  char id[32];
  const char *status;
  host_open(&h);
  if (fl_run_start(load(&h), &options, id, &err)) fail_msg("%s", err.message);
  if (fl_wait(h.engine, id, &status, &err)) fail_msg("%s", err.message);
  assert_string_equal(status, "succeeded");
  assert_string_equal(h.told, "a=succeeded b=succeeded c=succeeded run=succeeded ");
  host_close(&h);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Without the thread each of these would wait for ten seconds and fail.
static void nobody_s_lock_is_waited_for(void **state) {
  (void)state;
  host h;
  fl_error err;
  char id[32], path[96];
  sqlite3 *other;
  host_open(&h);
  fl_script *script = load(&h);
  if (fl_run_start(script, &options, id, &err)) fail_msg("%s", err.message);
  if (fl_engine_flush(h.engine, &err)) fail_msg("%s", err.message);
  snprintf(path, sizeof path, "%s/flowlua.db", h.dir);
  assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
  assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  double began = seconds();
  for (int i = 0; i < 5; i++) assert_int_equal(step(&h), 1);
  assert_in_range(fl_engine_get_timeout_ms(h.engine), 0, 10);
  assert_int_equal(fl_run_start(script, &options, id, &err), FL_OK); // recorded when it may be
  assert_true(seconds() - began < 5);
  assert_string_equal(h.told, "");
  assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(other);
  run_to_the_end(&h);
  const char *first = strstr(h.told, "run=succeeded");
  assert_non_null(first);
  assert_non_null(strstr(first + 1, "run=succeeded"));
  host_close(&h);
}

static fl_task *given;

static void take(void *ud, fl_task *task, const char *params, const char *context) {
  (void)ud, (void)params, (void)context;
  given = task;
}

// What a host says of its own task while another process writes is not forgotten.
static void an_end_that_cannot_be_recorded_yet_is_kept(void **state) {
  (void)state;
  host h;
  fl_error err;
  char id[32], path[96], *json;
  sqlite3 *other;
  fl_script *script;
  host_open(&h);
  fl_native_type type = {.size = sizeof type, .name = "motor", .run = take};
  assert_int_equal(fl_native_type_register(h.engine, &type, &err), FL_OK);
  snprintf(path, sizeof path, "%s/motor.lua", h.dir);
  const char text[] = "local flow = require 'flow'\nlocal f = flow.dag('m')\n"
                      "f.a = flow.motor {}\nreturn f\n";
  if (fl_script_load_text(h.engine, path, text, sizeof text - 1, &script, &err))
    fail_msg("%s", err.message);
  if (fl_run_start(script, &options, id, &err)) fail_msg("%s", err.message);
  for (int i = 0; i < 1000 && !given; i++) step(&h), poll(NULL, 0, 1);
  assert_non_null(given);
  snprintf(path, sizeof path, "%s/flowlua.db", h.dir);
  assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
  assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  double began = seconds();
  fl_task_finish(given, "{\"km\":7}", NULL);
  for (int i = 0; i < 5; i++) assert_int_equal(step(&h), 1);
  assert_true(seconds() - began < 5);
  assert_in_range(fl_engine_get_timeout_ms(h.engine), 0, 10);
  assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(other);
  run_to_the_end(&h);
  assert_string_equal(h.told, "a=succeeded run=succeeded ");
  if (fl_read_context(h.engine, id, "a", 0, &json, &err)) fail_msg("%s", err.message);
  assert_non_null(strstr(json, "\"outputs\":{\"km\":7}"));
  fl_free(json);
  host_close(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_host_s_loop_drives_a_run_whose_syncs_are_elsewhere),
      cmocka_unit_test(waiting_for_a_run_waits_until_its_end_is_told),
      cmocka_unit_test(nobody_s_lock_is_waited_for),
      cmocka_unit_test(an_end_that_cannot_be_recorded_yet_is_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
