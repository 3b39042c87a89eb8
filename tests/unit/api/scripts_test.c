// The library of scripts: what is loaded once serves all that need it, what nobody needs goes, and
// a handle of what has gone is told so.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "api/engine.h"
#include "base/limits.h"
#include "folder.h"
#include "misuse.h"

typedef struct host {
  char dir[64], path[96];
  fl_engine *engine;
  fl_error err;
} host;

#define ok(call)                                                                                   \
  do {                                                                                             \
    if (call) fail_msg("%s", h->err.message);                                                      \
  } while (0)

static int setup(void **state) {
  host *h = calloc(1, sizeof *h);
  assert_true(make_test_folder("scripts", h->dir, sizeof h->dir));
  snprintf(h->path, sizeof h->path, "%s/flow.lua", h->dir);
  fl_config c = {.size = sizeof c, .state_dir = h->dir, .jobs = 1};
  ok(fl_engine_open(&c, &h->engine, &h->err));
  *state = h;
  return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static int teardown(void **state) {
  host *h = *state;
  fl_engine_close(h->engine);
  nftw(h->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  free(h);
  return 0;
}

static void put(host *h, const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", h->dir, name);
  FILE *f = fopen(path, "w");
  fputs(text, f);
  fclose(f);
}

static fl_script *load(host *h) {
  fl_script *script;
  ok(fl_script_load(h->engine, h->path, &script, &h->err));
  return script;
}

static void start(host *h, fl_script *script, char id[32]) {
  fl_run_options o = {.size = sizeof o};
  ok(fl_run_start(script, &o, id, &h->err));
}

static void finish(host *h) {
  size_t live = 1;
  for (int i = 0; i < 1000 && live; i++) ok(fl_step(h->engine, 5, &live, &h->err));
  assert_int_equal(live, 0);
}

static size_t count(host *h) {
  return fl_scripts_count(h->engine->scripts);
}

#define FLOW(body) "local flow = require 'flow'\nlocal f = flow.dag('f', {})\n" body "\nreturn f\n"
#define GOOD       FLOW("f.a = flow.lua { inline = true, run = function() return { n = 1 } end }")
#define BAD        FLOW("f.a = flow.lua { inline = true, run = function() error 'no' end }")

static void replays_resumes_plans_and_questions_of_a_flow_load_it_once(void **state) {
  host *h = *state;
  char good[32], bad[32], id[32], *text;
  put(h, "flow.lua", GOOD);
  fl_script *first = load(h);
  start(h, first, good);
  finish(h);
  put(h, "flow.lua", BAD);
  fl_script *second = load(h);
  start(h, second, bad);
  finish(h);
  fl_script_unload(first);
  fl_script_unload(second);
  finish(h);
  assert_int_equal(count(h), 0);
  for (int i = 0; i < 30; i++) {
    ok(fl_run_replay(h->engine, good, NULL, id, &h->err));
    finish(h);
    ok(fl_run_resume_plan(h->engine, bad, NULL, &text, &h->err));
    fl_free(text);
    ok(fl_run_resume(h->engine, bad, NULL, &h->err));
    finish(h);
    ok(fl_read_why(h->engine, bad, "a", good, &text, &h->err));
    fl_free(text);
    assert_int_equal(count(h), 2); // both as the runs have them
  }
}

static void options_of_a_patch_make_a_script_that_others_share(void **state) {
  host *h = *state;
  char bad[32], *text;
  put(h, "flow.lua", BAD);
  start(h, load(h), bad);
  finish(h);
  const char *option = "a.priority=3";
  fl_patch patch = {.size = sizeof patch, .options = {&option, 1}};
  ok(fl_run_resume(h->engine, bad, &patch, &h->err));
  finish(h);
  for (int i = 0; i < 20; i++) {
    ok(fl_run_resume_plan(h->engine, bad, NULL, &text, &h->err));
    fl_free(text);
    ok(fl_run_resume(h->engine, bad, NULL, &h->err));
    finish(h);
    assert_int_equal(count(h), 3); // as it was, as the patch gave it, as later ones inherit that
  }
}

static void a_script_is_loaded_anew_when_what_it_reads_has_changed(void **state) {
  host *h = *state;
  put(h, "flow.lua", FLOW("require 'part' (f, flow)"));
  put(h, "part.lua", "return function(f, flow) f.a = flow.shell { 'true' } end");
  load(h);
  load(h);
  assert_int_equal(count(h), 1);
  put(h, "part.lua",
      "return function(f, flow) f.a = flow.shell { 'true' }; f.b = flow.shell { 'x' } end");
  fl_script *changed = load(h);
  assert_int_equal(count(h), 2);
  char *graph;
  ok(fl_script_graph(changed, NULL, "json", &graph, &h->err));
  assert_non_null(strstr(graph, "\"b\""));
  fl_free(graph);
  char nodes[96];
  snprintf(nodes, sizeof nodes, "%s/nodes", h->dir);
  mkdir(nodes, 0700); // a type of its own where there was none
  put(h, "nodes/shell.lua",
      "return require 'flow'.node_type { name = 'shell', params = { text = { 'string', positional "
      "= "
      "true } }, command = function() return { 'true' } end }");
  load(h);
  assert_int_equal(count(h), 3);
}

static void a_script_that_looks_outside_of_itself_is_loaded_each_time(void **state) {
  host *h = *state;
  put(h, "flow.lua",
      FLOW("for i = 1, tonumber(os.getenv 'COUNT') do f['n' .. i] = flow.shell { 'x' } "
           "end"));
  setenv("COUNT", "1", 1);
  load(h);
  setenv("COUNT", "2", 1);
  fl_script *second = load(h);
  char *graph;
  ok(fl_script_graph(second, NULL, "json", &graph, &h->err));
  assert_non_null(strstr(graph, "\"n2\""));
  fl_free(graph);
  assert_int_equal(count(h), 2);
}

static void of_scripts_that_nobody_needs_the_latest_are_kept(void **state) {
  host *h = *state;
  enum { ALL = FL_SCRIPTS_KEPT_MAX + 8 };
  char runs[ALL][32], text[256], id[32];
  for (int i = 0; i < ALL; i++) {
    fl_script *script;
    snprintf(text, sizeof text, "-- %d\n%s", i, GOOD);
    ok(fl_script_load_text(h->engine, h->path, text, strlen(text), &script, &h->err));
    start(h, script, runs[i]);
    finish(h);
    fl_script_unload(script);
  }
  finish(h);
  assert_int_equal(count(h), 0);
  for (int i = 0; i < ALL; i++) {
    ok(fl_run_replay(h->engine, runs[i], NULL, id, &h->err));
    finish(h);
  }
  assert_int_equal(count(h), FL_SCRIPTS_KEPT_MAX);
  ok(fl_run_replay(h->engine, runs[ALL - 1], NULL, id, &h->err)); // one of those
  finish(h);
  assert_int_equal(count(h), FL_SCRIPTS_KEPT_MAX);
}

static fl_task *waiting;

static void keep_task(void *ud, fl_task *task, const char *params, const char *context) {
  (void)ud, (void)params, (void)context;
  waiting = task;
}

static void an_unloaded_script_lives_as_long_as_its_runs(void **state) {
  host *h = *state;
  char id[32];
  size_t live;
  fl_native_type type = {.size = sizeof type, .name = "hold", .run = keep_task};
  ok(fl_native_type_register(h->engine, &type, &h->err));
  put(h, "flow.lua",
      FLOW("f.a = flow.hold {}\nf.b = flow.lua { inline = true, after = 'a', run = function() end "
           "}"));
  fl_script *script = load(h);
  start(h, script, id);
  for (int i = 0; i < 1000 && !waiting; i++) ok(fl_step(h->engine, 5, &live, &h->err));
  fl_script_unload(script);
  fl_script_unload(script);
  ok(fl_step(h->engine, 5, &live, &h->err));
  assert_int_equal(live, 1);
  assert_int_equal(count(h), 1);
  fl_task_finish(waiting, NULL, NULL);
  finish(h);
  assert_int_equal(count(h), 0);
}

static void a_script_that_has_ended_says_so(void **state) {
  host *h = *state;
  char id[32], *graph;
  fl_run_options o = {.size = sizeof o};
  put(h, "flow.lua", GOOD);
  fl_script *script = load(h), *other = load(h);
  fl_script_unload(script);
  assert_int_equal(MISUSE(fl_run_start(script, &o, id, &h->err), h->err), FL_E_STATE);
  assert_non_null(strstr(misuse_sentence, "not loaded any more"));
  assert_int_equal(MISUSE(fl_script_graph(script, NULL, "text", &graph, &h->err), h->err),
                   FL_E_STATE);
  assert_int_equal(fl_script_get_flow_count(script), 0);
  assert_null(fl_script_get_flow_key(script, 0));
  start(h, other, id); // the same script, still in use
  finish(h);
  fl_engine_close(h->engine);
  h->engine = NULL;
  assert_int_equal(MISUSE(fl_run_start(other, &o, id, &h->err), h->err), FL_E_STATE);
  fl_script_unload(other);
}

static void a_script_of_a_name_without_a_folder_is_refused(void **state) {
  host *h = *state;
  fl_script *script;
  assert_int_equal(
      fl_script_load_text(h->engine, "/nowhere/x.lua", GOOD, strlen(GOOD), &script, &h->err),
      FL_E_NOT_FOUND);
  assert_int_equal(fl_script_load_text(h->engine, "/tmp/", GOOD, strlen(GOOD), &script, &h->err),
                   FL_E_USAGE);
  assert_int_equal(fl_script_load_text(h->engine, "/tmp/a.lua", "return 1 +", 10, &script, &h->err),
                   FL_E_SCRIPT);
  assert_non_null(strstr(h->err.message, "/tmp/a.lua:1:"));
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(replays_resumes_plans_and_questions_of_a_flow_load_it_once),
      test(options_of_a_patch_make_a_script_that_others_share),
      test(a_script_is_loaded_anew_when_what_it_reads_has_changed),
      test(a_script_that_looks_outside_of_itself_is_loaded_each_time),
      test(of_scripts_that_nobody_needs_the_latest_are_kept),
      test(an_unloaded_script_lives_as_long_as_its_runs),
      test(a_script_that_has_ended_says_so),
      test(a_script_of_a_name_without_a_folder_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
