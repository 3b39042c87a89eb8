// A process that cannot be killed, as a host and its readers see it: an alarm that is stored, a
// node that is not over, a slot that nobody else gets.
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "flowlua.h"
#include "folder.h"

#define TURNS_MAX 2000 // of 10 ms at most each: a test that waits longer has failed

typedef struct host {
  char dir[64], freezer[96], run[32];
  fl_engine *engine;
  char notices[2048];
  // of the last look
  char status[64], error[512], reason[512], behind[64];
} host;

static void on_event(void *ud, const fl_event *e) {
  host *h = ud;
  size_t size = strlen(h->notices);
  if (e->kind == FL_EVENT_NOTICE)
    snprintf(h->notices + size, sizeof h->notices - size, "%s\n", e->error);
}

static bool freezer_write(const host *h, const char *file, const char *text) {
  char path[160];
  snprintf(path, sizeof path, "%s/%s", h->freezer, file);
  int fd = open(path, O_WRONLY);
  bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  if (fd >= 0) close(fd);
  return done;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static void host_open(host *h) {
  fl_error err;
  fl_config c = {.size = sizeof c,
                 .state_dir = h->dir,
                 .helper = "/proc/self/exe",
                 .jobs = 1,
                 .on_event = on_event,
                 .event_ud = h,
                 .alarm_ms = 100};
  if (fl_engine_open(&c, &h->engine, &err)) fail_msg("%s", err.message);
}

static int setup(void **state) {
  host *h = calloc(1, sizeof *h);
  if (!make_test_folder("alarm", h->dir, sizeof h->dir)) return -1;
  snprintf(h->freezer, sizeof h->freezer, "/sys/fs/cgroup/freezer%s", strrchr(h->dir, '/'));
  host_open(h);
  *state = h;
  return 0;
}

static void thaw(host *h) {
  freezer_write(h, "freezer.state", "THAWED");
}

static int teardown(void **state) {
  host *h = *state;
  thaw(h);
  fl_engine_close(h->engine);
  for (int i = 0; i < TURNS_MAX && rmdir(h->freezer) && errno == EBUSY; i++) poll(NULL, 0, 1);
  nftw(h->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  free(h);
  return 0;
}

static void step(host *h) {
  size_t live;
  fl_error err;
  struct pollfd p = {.fd = fl_engine_get_fd(h->engine), .events = POLLIN};
  int timeout = fl_engine_get_timeout_ms(h->engine);
  poll(&p, 1, timeout < 0 || timeout > 10 ? 10 : timeout);
  if (fl_step(h->engine, 5, &live, &err)) fail_msg("%s", err.message);
}

static void keep(char *out, size_t size, const char *text) {
  snprintf(out, size, "%s", text ? text : "");
}

static bool see_node(void *ud, const fl_node_info *node) {
  host *h = ud;
  if (strcmp(node->name, "stuck") != 0) {
    keep(h->behind, sizeof h->behind, node->status);
    return true;
  }
  keep(h->status, sizeof h->status, node->status);
  keep(h->error, sizeof h->error, node->error);
  keep(h->reason, sizeof h->reason, node->reason);
  return true;
}

static void look(host *h) {
  fl_error err;
  if (fl_read_status(h->engine, h->run, NULL, see_node, h, &err)) fail_msg("%s", err.message);
}

static void start(host *h, const char *node) {
  char path[96];
  fl_error err;
  fl_script *script;
  fl_run_options o = {.size = sizeof o};
  snprintf(path, sizeof path, "%s/flow.lua", h->dir);
  FILE *f = fopen(path, "w");
  fprintf(f,
          "local flow = require 'flow'\nlocal f = flow.dag('f', {})\n%s\n"
          "f.behind = flow.shell { 'true' }\nreturn f\n",
          node);
  fclose(f);
  if (fl_script_load(h->engine, path, &script, &err)) fail_msg("%s", err.message);
  if (fl_run_start(script, &o, h->run, &err)) fail_msg("%s", err.message);
}

// Puts the process that wrote its number to the file `pid` where no signal reaches it.
static void freeze(host *h, char pid[32]) {
  char path[96];
  FILE *f = NULL;
  snprintf(path, sizeof path, "%s/pid", h->dir);
  pid[0] = '\0';
  for (int i = 0; i < TURNS_MAX && !strchr(pid, '\n'); i++) {
    step(h);
    if (!(f = fopen(path, "r"))) continue;
    if (!fgets(pid, 32, f)) pid[0] = '\0';
    fclose(f);
  }
  assert_non_null(strchr(pid, '\n'));
  if (mkdir(h->freezer, 0700)) {
    print_message("skipped: no freezer cgroup can be made here\n");
    skip();
  }
  assert_true(freezer_write(h, "cgroup.procs", pid) && freezer_write(h, "freezer.state", "FROZEN"));
  pid[strcspn(pid, "\n")] = '\0';
}

static void wait_for_alarm(host *h) {
  for (int i = 0; i < TURNS_MAX && !strstr(h->notices, "alarm: stuck: "); i++) step(h);
  assert_non_null(strstr(h->notices, "alarm: stuck: "));
  look(h);
}

static void wait_for_end(host *h) {
  size_t live = 1;
  fl_error err;
  for (int i = 0; i < TURNS_MAX && live; i++) {
    step(h);
    if (fl_step(h->engine, 5, &live, &err)) fail_msg("%s", err.message);
  }
  assert_int_equal(live, 0);
  look(h);
}

static void a_node_that_cannot_be_ended_is_not_over(void **state) {
  host *h = *state;
  char pid[32], *text;
  fl_error err;
  char node[256];
  snprintf(
      node, sizeof node,
      "f.stuck = flow.shell { 'echo $$ > %s/pid; exec sleep 100', timeout = 0.3, grace = 0.1 }",
      h->dir);
  start(h, node);
  freeze(h, pid);
  wait_for_alarm(h);
  assert_string_equal(h->status, "running");
  assert_string_equal(h->behind, "queued"); // the slot is not free
  assert_non_null(strstr(h->error, "is still there"));
  assert_non_null(strstr(h->error, pid));
  assert_non_null(strstr(h->reason, "cannot be ended"));
  assert_int_equal(fl_read_explain(h->engine, h->run, "stuck", &text, &err), FL_OK);
  assert_non_null(strstr(text, "\"reason\":\"unkillable\""));
  fl_free(text);
  assert_int_equal(fl_read_run(h->engine, h->run, &text, &err), FL_OK);
  assert_non_null(strstr(text, "\"reason\":\"unkillable\""));
  assert_null(strstr(text, "\"status\":\"timed_out\""));
  fl_free(text);
  thaw(h);
  wait_for_end(h);
  assert_string_equal(h->status, "failed");
  assert_non_null(strstr(h->error, "timed out after 300ms"));
  assert_string_equal(h->behind, "succeeded");
}

static void a_run_is_cancelled_when_nothing_of_it_is_left(void **state) {
  host *h = *state;
  char pid[32], node[256];
  fl_error err;
  snprintf(node, sizeof node, "f.stuck = flow.shell { 'echo $$ > %s/pid; exec sleep 100' }",
           h->dir);
  start(h, node);
  freeze(h, pid);
  assert_int_equal(fl_run_cancel(h->engine, h->run, true, &err), FL_OK);
  wait_for_alarm(h);
  assert_string_equal(h->status, "running");
  thaw(h);
  wait_for_end(h);
  assert_string_equal(h->status, "cancelled");
}

static void a_worker_that_cannot_be_ended_holds_its_node(void **state) {
  host *h = *state;
  char pid[32], node[320];
  snprintf(node, sizeof node,
           "f.stuck = flow.lua { timeout = 0.3, grace = 0.1, run = function(ctx)\n"
           "local f = io.open('/proc/self/stat'); local pid = f:read('*l'):match('%%d+')\n"
           "f = io.open('%s/pid', 'w'); f:write(pid, '\\n'); f:close()\n"
           "while true do end end }",
           h->dir);
  start(h, node);
  freeze(h, pid);
  wait_for_alarm(h);
  assert_string_equal(h->status, "running");
  thaw(h);
  wait_for_end(h);
  assert_string_equal(h->status, "failed");
}

static void the_engine_that_comes_after_is_told(void **state) {
  host *h = *state;
  char pid[32], node[256];
  fl_error err;
  snprintf(node, sizeof node,
           "f.stuck = flow.shell { 'echo $$ > %s/pid; exec sleep 100', timeout = 0.3, grace = 0 }",
           h->dir);
  start(h, node);
  freeze(h, pid);
  wait_for_alarm(h);
  fl_engine_close(h->engine); // which cannot end it either
  h->notices[0] = '\0';
  host_open(h);
  assert_int_equal(fl_run_resume(h->engine, h->run, NULL, &err), FL_OK);
  wait_for_alarm(h);
  assert_string_equal(h->status, "running");
  thaw(h);
  wait_for_end(h);
  assert_string_equal(h->status, "failed");
  assert_string_equal(h->behind, "succeeded");
}

int main(int argc, char **argv) {
  int helper = fl_helper_main(argc, argv);
  if (helper >= 0) return helper;
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_node_that_cannot_be_ended_is_not_over),
      TEST(a_run_is_cancelled_when_nothing_of_it_is_left),
      TEST(a_worker_that_cannot_be_ended_holds_its_node),
      TEST(the_engine_that_comes_after_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
