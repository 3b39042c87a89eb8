// Code of scripts in a host: no signal is ours, and none of it keeps the host's thread, or takes
// its memory, for longer than it was given.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <ftw.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"
#include "flowlua.h"
#include "folder.h"

typedef struct host {
  char dir[64], finished[256], errors[4096];
  fl_engine *engine;
  fl_error err;
} host;

static void on_event(void *ud, const fl_event *e) {
  host *h = ud;
  size_t size = strlen(h->finished), error_size = strlen(h->errors);
  if (e->kind != FL_EVENT_NODE_FINISHED && e->kind != FL_EVENT_NOTICE) return;
  if (e->kind == FL_EVENT_NODE_FINISHED)
    snprintf(h->finished + size, sizeof h->finished - size, "%s=%s ", e->node, e->status);
  if (e->error) snprintf(h->errors + error_size, sizeof h->errors - error_size, "%s\n", e->error);
}

static void open_host(host *h, fl_config c) {
  *h = (host){0};
  assert_true(make_test_folder("slice", h->dir, sizeof h->dir));
  c.size = sizeof c;
  c.state_dir = h->dir;
  c.jobs = 1;
  c.on_event = on_event;
  c.event_ud = h;
  if (fl_engine_open(&c, &h->engine, &h->err)) fail_msg("%s", h->err.message);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static void close_host(host *h) {
  fl_engine_close(h->engine);
  nftw(h->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static fl_code load(host *h, const char *body, fl_script **script) {
  char path[96], text[2048];
  snprintf(path, sizeof path, "%s/flow.lua", h->dir);
  int size =
      snprintf(text, sizeof text,
               "local flow = require 'flow'\nlocal f = flow.dag('f', {})\n%s\nreturn f\n", body);
  return fl_script_load_text(h->engine, path, text, (size_t)size, script, &h->err);
}

// Runs a flow to its end.
static void run(host *h, const char *body) {
  fl_script *script;
  fl_run_options o = {.size = sizeof o};
  char id[32];
  size_t live = 1;
  if (load(h, body, &script) || fl_run_start(script, &o, id, &h->err))
    fail_msg("%s", h->err.message);
  for (int i = 0; i < 10000 && live; i++)
    if (fl_step(h->engine, 5, &live, &h->err)) fail_msg("%s", h->err.message);
  assert_int_equal(live, 0);
}

#define INLINE "inline = true, run = function() end"

static void failed_beside_one_that_succeeded(host *h, const char *text) {
  if (!strstr(h->finished, "bad=failed") || !strstr(h->finished, "good=succeeded"))
    fail_msg("%s %s", h->finished, h->errors);
  if (!strstr(h->errors, text)) fail_msg("'%s' is not in '%s'", text, h->errors);
}

static void a_hook_that_does_not_end_fails_its_node_alone(void **state) {
  // The line where it was, the flow, the node and the hook.
  static const struct {
    const char *body, *error;
  } rows[] = {
      {"f.bad = flow.lua { " INLINE ", when = function()\nwhile true do end end }",
       "flow.lua:4: f.bad.when: took longer than 0.1 s"},
      {"f.bad = flow.lua { " INLINE ", when = '{{ (function() while true do end end)() }}' }",
       "flow.lua:3: f.bad.when: took longer than 0.1 s"},
      {"f.bad = flow.lua { " INLINE
       ", when = function() while true do pcall(function()\nwhile true "
       "do end end) end end }",
       "f.bad.when: took longer than 0.1 s"},
      {"f.bad = flow.lua { " INLINE
       ", when = function()\nxpcall(function() error 'x' end, function() "
       "while true do end end) end }",
       "flow.lua:4: f.bad.when: took longer than 0.1 s"},
      {"f.bad = flow.lua { " INLINE
       ", when = function()\ncoroutine.wrap(function() while true do end "
       "end)() end }",
       "flow.lua:4: f.bad.when: took longer than 0.1 s"},
      {"f.bad = flow.map { over = function()\nwhile true do end end, node = flow.lua { " INLINE
       " } }",
       "flow.lua:4: f.bad.over: took longer than 0.1 s"},
      {"f.bad = flow.branch { choose = function()\nwhile true do end end }",
       "flow.lua:4: f.bad.choose: took longer than 0.1 s"},
      {"f.bad = flow.lua { inline = true, run = function() error 'x' end, retries = 1, retry_on = "
       "function()\nwhile true do end end }",
       "flow.lua:4: f.bad.retry_on: took longer than 0.1 s"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char text[1024];
    host h;
    open_host(&h, (fl_config){.hook_ms = 100});
    snprintf(text, sizeof text, "%s\nf.good = flow.lua { " INLINE " }", rows[i].body);
    run(&h, text);
    failed_beside_one_that_succeeded(&h, rows[i].error);
    close_host(&h);
  }
}

static void code_that_was_compiled_for_a_node_does_not_keep_a_hook(void **state) {
  (void)state;
  host h;
  open_host(&h, (fl_config){.hook_ms = 100});
  run(&h,
      "local function count(to)\nlocal n = 0\nwhile n ~= to do n = n + 1 end\nend\n"
      "f.good = flow.lua { inline = true, run = function() for i = 1, 300 do count(1000) end end "
      "}\n"
      "f.bad = flow.lua { after = 'good', " INLINE ", when = function() count(-1) end }");
  failed_beside_one_that_succeeded(&h, "flow.lua:5: f.bad.when: took longer");
  close_host(&h);
}

static void a_hook_that_eats_memory_fails_its_node_alone(void **state) {
  static const char *const hooks[] = {
      "local t = {} while true do t[#t + 1] = {} end", "return ('x'):rep(2 ^ 30)",
      "local s = 'x' while true do pcall(function() s = s .. s end) end"};
  (void)state;
  for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
    char text[1024];
    host h;
    open_host(&h, (fl_config){.hook_ms = 20000});
    snprintf(text, sizeof text,
             "f.bad = flow.lua { " INLINE ", when = function() %s end }\n"
             "f.good = flow.lua { " INLINE " }",
             hooks[i]);
    run(&h, text);
    failed_beside_one_that_succeeded(&h, "flow.lua:3: f.bad.when: not enough memory");
    close_host(&h);
  }
}

static void an_inline_node_has_the_limits_that_the_host_sets(void **state) {
  (void)state;
  host h;
  open_host(&h, (fl_config){.inline_slice_ms = 100, .inline_memory_max = 16 << 20});
  run(&h, "f.bad = flow.lua { inline = true, run = function()\nwhile true do end end }\n"
          "f.good = flow.lua { inline = true, run = function(ctx) ctx:now() end }");
  failed_beside_one_that_succeeded(&h, "flow.lua:4: f.bad: took longer than 0.1 s");
  h.finished[0] = h.errors[0] = 0;
  run(&h, "f.bad = flow.lua { inline = true, run = function() return ('x'):rep(2 ^ 28) end }\n"
          "f.good = flow.lua { " INLINE " }");
  failed_beside_one_that_succeeded(&h, "f.bad: not enough memory: it may take 16 MiB more");
  close_host(&h);
}

static void a_script_that_does_not_end_loading_is_refused(void **state) {
  (void)state;
  host h;
  fl_script *script;
  open_host(&h, (fl_config){.load_ms = 100});
  assert_int_equal(load(&h, "while true do end", &script), FL_E_SCRIPT);
  assert_non_null(strstr(h.err.message, "flow.lua:3: loading: took longer than 0.1 s"));
  close_host(&h);
  open_host(&h, (fl_config){0});
  assert_int_equal(
      load(&h, "local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end", &script),
      FL_E_SCRIPT);
  assert_non_null(strstr(h.err.message, "flow.lua:3: loading: not enough memory"));
  close_host(&h);
}

typedef struct hold {
  atomic_int count;
  atomic_llong at_us;
  char text[256];
} hold;

static void on_held(void *ud, const char *text) {
  hold *h = ud;
  snprintf(h->text, sizeof h->text, "%s", text);
  atomic_store(&h->at_us, fl_monotonic_us());
  atomic_fetch_add(&h->count, 1);
}

static void who_holds_the_thread_is_named_while_it_does(void **state) {
  (void)state;
  host h;
  hold held = {0};
  open_host(&h, (fl_config){.hook_ms = 1500, .on_held = on_held, .held_ud = &held});
  run(&h, "f.good = flow.lua { " INLINE " }\n"
          "f.bad = flow.lua { " INLINE ", when = function() while true do end end }");
  int64_t ended_us = fl_monotonic_us();
  assert_int_equal(atomic_load(&held.count), 1);
  assert_true(ended_us - atomic_load(&held.at_us) > 100000);
  assert_string_equal(held.text,
                      "flow 'f', node 'bad', when: its code has kept the engine for a second");
  h.finished[0] = h.errors[0] = '\0';
  run(&h, "f.good = flow.lua { " INLINE " }");
  assert_int_equal(atomic_load(&held.count), 1);
  close_host(&h);
}

static void a_host_keeps_its_signals(void **state) {
  static const int numbers[] = {SIGVTALRM, SIGPROF, SIGALRM};
  struct sigaction now;
  (void)state;
  host h;
  open_host(&h, (fl_config){.hook_ms = 50});
  run(&h, "f.bad = flow.lua { " INLINE ", when = function() while true do end end }\n"
          "f.good = flow.lua { " INLINE " }");
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    assert_int_equal(sigaction(numbers[i], NULL, &now), 0);
    assert_ptr_equal(now.sa_handler, SIG_DFL);
  }
  close_host(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_hook_that_does_not_end_fails_its_node_alone),
      cmocka_unit_test(code_that_was_compiled_for_a_node_does_not_keep_a_hook),
      cmocka_unit_test(a_hook_that_eats_memory_fails_its_node_alone),
      cmocka_unit_test(an_inline_node_has_the_limits_that_the_host_sets),
      cmocka_unit_test(a_script_that_does_not_end_loading_is_refused),
      cmocka_unit_test(who_holds_the_thread_is_named_while_it_does),
      cmocka_unit_test(a_host_keeps_its_signals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
