// The library as a host uses it: two engines in one process, stepped from the host's loop, a node
// type in C, reading back. Inline and native nodes only: no helper process is needed.
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
#include "flowlua.h"
#include "folder.h"

typedef struct host {
  char dir[64];
  fl_engine *engine;
  fl_task *task; // the native node that waits
  char params[256];
  int events;
  char finished[256];
} host;

static void on_event(void *ud, const fl_event *e) {
  host *h = ud;
  h->events++;
  if (e->kind == FL_EVENT_NODE_FINISHED)
    snprintf(h->finished + strlen(h->finished), sizeof h->finished - strlen(h->finished), "%s=%s ",
             e->node, e->status);
}

static void native_run(void *ud, fl_task *task, const char *params, const char *context) {
  host *h = ud;
  assert_non_null(strstr(context, "\"run\""));
  snprintf(h->params, sizeof h->params, "%s", params);
  h->task = task;
}

static void native_cancel(void *ud, fl_task *task) {
  host *h = ud;
  h->task = NULL;
  fl_task_finish(task, NULL, "cancelled");
}

static void host_open(host *h) {
  fl_error err;
  *h = (host){0};
  assert_true(make_test_folder("embed", h->dir, sizeof h->dir));
  fl_config c = {
      .size = sizeof c, .state_dir = h->dir, .jobs = 1, .on_event = on_event, .event_ud = h};
  if (fl_engine_open(&c, &h->engine, &err)) fail_msg("%s", err.message);
  fl_native_type type = {
      .size = sizeof type, .name = "motor", .ud = h, .run = native_run, .cancel = native_cancel};
  if (fl_native_type_register(h->engine, &type, &err)) fail_msg("%s", err.message);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static void host_close(host *h) {
  fl_engine_close(h->engine);
  nftw(h->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static fl_script *load(host *h, const char *text) {
  char path[96];
  fl_script *script;
  fl_error err;
  snprintf(path, sizeof path, "%s/flow.lua", h->dir);
  FILE *f = fopen(path, "w");
  fputs(text, f);
  fclose(f);
  if (fl_script_load(h->engine, path, &script, &err)) fail_msg("%s", err.message);
  return script;
}

static void start(fl_script *script, char id[32]) {
  fl_error err;
  fl_run_options o = {.size = sizeof o};
  if (fl_run_start(script, &o, id, &err)) fail_msg("%s", err.message);
}

// One frame of a host's loop: never waits.
static size_t step(host *h) {
  size_t live;
  fl_error err;
  if (fl_step(h->engine, 5, &live, &err)) fail_msg("%s", err.message);
  return live;
}

static const char *const script_text =
    "local flow = require 'flow'\n"
    "local f = flow.dag('mixed', {})\n"
    "f.ask = flow.lua { inline = true, run = function(ctx) return { speed = 3 } end }\n"
    "f.drive = flow.motor { after = 'ask', gear = 2 }\n"
    "f.tell = flow.lua { inline = true, after = 'drive', run = function(ctx) return "
    "ctx.inputs.drive.km end }\n"
    "return f\n";

static void a_host_steps_two_engines_with_a_node_type_in_c(void **state) {
  (void)state;
  host a, b;
  char run_a[32], run_b[32];
  host_open(&a);
  host_open(&b);
  start(load(&a, script_text), run_a);
  start(load(&b, script_text), run_b);
  for (int i = 0; i < 20; i++) step(&a), step(&b);
  assert_non_null(a.task); // both wait for their hosts
  assert_non_null(b.task);
  assert_non_null(strstr(a.params, "\"gear\":2"));
  fl_task_finish(a.task, "{\"km\":7}", NULL);
  for (int i = 0; i < 20; i++) step(&a);
  assert_int_equal(step(&a), 0);
  assert_int_equal(step(&b), 1);
  assert_string_equal(a.finished, "ask=succeeded drive=succeeded tell=succeeded ");
  fl_error err;
  char *json;
  assert_int_equal(fl_read_run(a.engine, run_a, &json, &err), FL_OK);
  assert_non_null(strstr(json, "\"outputs\":7"));
  fl_free(json);
  fl_task_finish(b.task, NULL, "out of fuel");
  while (step(&b)) {
  }
  assert_non_null(strstr(b.finished, "drive=failed"));
  host_close(&a);
  host_close(&b);
}

// A type that goes on to its result although it was told to end.
static void stubborn_cancel(void *ud, fl_task *task) {
  host *h = ud;
  h->task = NULL;
  fl_task_finish(task, "{\"km\":7}", NULL);
}

static void what_a_node_type_in_c_gives_when_it_was_told_to_end_does_not_count(void **state) {
  (void)state;
  host h;
  char run[32];
  fl_error err;
  host_open(&h);
  fl_native_type type = {.size = sizeof type,
                         .name = "stubborn",
                         .ud = &h,
                         .run = native_run,
                         .cancel = stubborn_cancel};
  assert_int_equal(fl_native_type_register(h.engine, &type, &err), FL_OK);
  start(load(&h, "local flow = require 'flow'\n"
                 "local f = flow.dag('mixed', {})\n"
                 "f.drive = flow.stubborn {}\n"
                 "return f\n"),
        run);
  for (int i = 0; i < 20; i++) step(&h);
  assert_non_null(h.task);
  assert_int_equal(fl_run_cancel(h.engine, run, false, &err), FL_OK);
  while (step(&h)) {
  }
  assert_string_equal(h.finished, "drive=cancelled ");
  host_close(&h);
}

static void closing_an_engine_ends_what_runs_and_a_resume_goes_on(void **state) {
  (void)state;
  host h;
  char run[32], dir[64];
  fl_error err;
  host_open(&h);
  start(load(&h, script_text), run);
  for (int i = 0; i < 20; i++) step(&h);
  assert_non_null(h.task);
  fl_engine_close(h.engine);
  memcpy(dir, h.dir, sizeof dir);
  fl_config c = {
      .size = sizeof c, .state_dir = h.dir, .jobs = 1, .on_event = on_event, .event_ud = &h};
  assert_int_equal(fl_engine_open(&c, &h.engine, &err), FL_OK);
  fl_native_type type = {.size = sizeof type, .name = "motor", .ud = &h, .run = native_run};
  assert_int_equal(fl_native_type_register(h.engine, &type, &err), FL_OK);
  h.finished[0] = 0;
  if (fl_run_resume(h.engine, "last", NULL, &err)) fail_msg("%s", err.message);
  for (int i = 0; i < 20; i++) step(&h);
  assert_non_null(h.task);
  fl_task_finish(h.task, "{\"km\":1}", NULL);
  while (step(&h)) {
  }
  assert_string_equal(h.finished, "drive=succeeded tell=succeeded "); // ask is not run again
  host_close(&h);
}

static void an_engine_that_opens_late_makes_nothing_before_it_must(void **state) {
  (void)state;
  host h;
  fl_error err;
  fl_engine *late;
  fl_script *script;
  char id[32], where[128], *runs = NULL;
  size_t live = 7;
  struct stat st;
  host_open(&h);
  snprintf(where, sizeof where, "%s/late", h.dir);
  fl_config c = {.size = sizeof c, .state_dir = where, .jobs = 1, .open_late = true};
  assert_int_equal(fl_engine_open(&c, &late, &err), FL_OK);
  assert_int_equal(fl_script_load(late, "/nowhere/x.lua", &script, &err), FL_E_NOT_FOUND);
  assert_int_equal(fl_step(late, 10, &live, &err), FL_OK);
  assert_int_equal(live, 0);
  assert_int_equal(fl_engine_get_timeout_ms(late), -1);
  assert_int_equal(fl_wait(late, NULL, NULL, &err), FL_OK);
  assert_int_not_equal(stat(where, &st), 0);
  fl_engine_close(late);
  assert_int_not_equal(stat(where, &st), 0);

  assert_int_equal(fl_engine_open(&c, &late, &err), FL_OK);
  assert_int_equal(fl_read_runs(late, 1, &runs, &err), FL_OK);
  assert_string_equal(runs, "[]");
  fl_free(runs);
  assert_int_equal(stat(where, &st), 0);
  fl_engine_close(late);

  // What is wrong with the store is said by the first that needs it.
  c.state_dir = "/proc/self/none";
  assert_int_equal(fl_engine_open(&c, &late, &err), FL_OK);
  assert_int_equal(fl_run_find(late, "last", id, &err), FL_E_STORE);
  assert_non_null(strstr(err.message, "/proc/self/none"));
  fl_engine_close(late);
  host_close(&h);
}

static void wrong_calls_say_what_is_wrong(void **state) {
  (void)state;
  host h;
  fl_error err;
  fl_engine *none;
  fl_script *script;
  host_open(&h);
  fl_config c = {0};
  assert_int_equal(fl_engine_open(&c, &none, &err), FL_E_USAGE);
  assert_int_equal(fl_script_load(h.engine, "/nowhere/x.lua", &script, &err), FL_E_NOT_FOUND);
  assert_non_null(strstr(err.message, "/nowhere/x.lua"));
  assert_int_equal(fl_run_resume(h.engine, "nope", NULL, &err), FL_E_NOT_FOUND);
  char id[32];
  fl_run_options o = {.size = sizeof o, .flow = "other"};
  assert_int_equal(fl_run_start(load(&h, script_text), &o, id, &err), FL_E_USAGE);
  assert_non_null(strstr(err.message, "mixed"));
  host_close(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_host_steps_two_engines_with_a_node_type_in_c),
      cmocka_unit_test(what_a_node_type_in_c_gives_when_it_was_told_to_end_does_not_count),
      cmocka_unit_test(closing_an_engine_ends_what_runs_and_a_resume_goes_on),
      cmocka_unit_test(an_engine_that_opens_late_makes_nothing_before_it_must),
      cmocka_unit_test(wrong_calls_say_what_is_wrong),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
