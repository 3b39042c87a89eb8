// A good guest: what a host may do to an engine, or leave undone, and neither crashes nor loses
// anything by it.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "executor/worker_wire.h"
#include "flowlua.h"
#include "folder.h"
#include "misuse.h"

#define TURNS_MAX 2000 // of 10 ms at most each: a test that waits longer has failed

typedef struct guest {
  char dir[96], run[32];
  fl_engine *engine;
  fl_task *task;
  bool closes; // within a callback
  fl_code stepped, waited, reopened, taken;
  fl_script *script;
  int refused; // calls
  char said[256];
  char finished[256];
} guest;

static void on_event(void *ud, const fl_event *e) {
  guest *g = ud;
  size_t live;
  fl_error err = {0};
  if (e->kind == FL_EVENT_NODE_FINISHED)
    snprintf(g->finished + strlen(g->finished), sizeof g->finished - strlen(g->finished), "%s=%s ",
             e->node, e->status);
  if (!g->closes) return;
  (void)MISUSE((fl_engine_close(g->engine), FL_OK), err);
  g->stepped = MISUSE(fl_step(g->engine, 0, &live, &err), err);
  g->waited = MISUSE(fl_wait(g->engine, NULL, NULL, &err), err);
  g->reopened = MISUSE(fl_engine_reopen(g->engine, &err), err);
}

static void hold(void *ud, fl_task *task, const char *params, const char *context) {
  (void)params, (void)context;
  ((guest *)ud)->task = task;
}

static void open_engine(guest *g) {
  fl_error err;
  fl_config c = {.size = sizeof c,
                 .state_dir = g->dir,
                 .helper = getenv("FLOWLUA_HELPER_FOR_TEST"),
                 .jobs = 2,
                 .on_event = on_event,
                 .event_ud = g};
  if (fl_engine_open(&c, &g->engine, &err)) fail_msg("%s", err.message);
  fl_native_type type = {.size = sizeof type, .name = "motor", .ud = g, .run = hold};
  if (fl_native_type_register(g->engine, &type, &err)) fail_msg("%s", err.message);
}

static int setup(void **state) {
  guest *g = calloc(1, sizeof *g);
  if (!make_test_folder("guest", g->dir, sizeof g->dir)) return -1;
  open_engine(g);
  *state = g;
  return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static int teardown(void **state) {
  guest *g = *state;
  fl_engine_close(g->engine);
  nftw(g->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  free(g);
  return 0;
}

static void close_engine(guest *g) {
  fl_engine_close(g->engine);
  g->engine = NULL;
}

static void start(guest *g, const char *nodes) {
  char path[128];
  fl_script *script;
  fl_error err;
  fl_run_options o = {.size = sizeof o};
  snprintf(path, sizeof path, "%s/flow.lua", g->dir);
  FILE *f = fopen(path, "w");
  fprintf(f, "local flow = require 'flow'\nlocal f = flow.dag('f', {})\n%s\nreturn f\n", nodes);
  fclose(f);
  if (fl_script_load(g->engine, path, &script, &err)) fail_msg("%s", err.message);
  g->script = script;
  if (fl_run_start(script, &o, g->run, &err)) fail_msg("%s", err.message);
}

static size_t step(guest *g) {
  size_t live;
  fl_error err;
  if (fl_step(g->engine, 5, &live, &err)) fail_msg("%s", err.message);
  return live;
}

// Steps as a host's loop does until the run has ended.
static void finish(guest *g) {
  for (int i = 0; i < TURNS_MAX && step(g); i++) {
    struct pollfd p = {.fd = fl_engine_get_fd(g->engine), .events = POLLIN};
    poll(&p, 1, fl_engine_get_timeout_ms(g->engine) ? 10 : 0);
  }
}

#define SLEEPER "f.a = flow.lua { inline = true, run = function(ctx) ctx:sleep '1h' end }"
#define MOTOR   "f.a = flow.motor { allow_failure = true }"

// ------------------------------------------------------------------------------------- tasks

static void a_task_outlives_its_engine(void **state) {
  guest *g = *state;
  start(g, MOTOR);
  for (int i = 0; i < 5; i++) step(g);
  fl_task *task = g->task;
  assert_non_null(task);
  int64_t before = fl_monotonic_ms();
  close_engine(g);
  assert_true(fl_monotonic_ms() - before < 1000);
  fl_task_log(task, "late", 4);
  fl_task_finish(task, "{\"km\":1}", NULL);
  fl_task_finish(task, "{\"km\":2}", NULL);
  open_engine(g);
  fl_error err;
  if (fl_run_resume(g->engine, g->run, NULL, &err)) fail_msg("%s", err.message);
  for (int i = 0; i < 5; i++) step(g);
  fl_task_finish(task, "{\"km\":3}", NULL); // is nobody's any more
  assert_int_equal(step(g), 1);
  fl_task_finish(g->task, "{\"km\":4}", NULL);
  finish(g);
  assert_non_null(strstr(g->finished, "a=succeeded"));
}

static void a_task_is_finished_once(void **state) {
  guest *g = *state;
  start(g, MOTOR " f.b = flow.motor { after = 'a' }");
  for (int i = 0; i < 5; i++) step(g);
  fl_task *first = g->task;
  fl_task_finish(first, "{}", NULL);
  for (int i = 0; i < 5; i++) step(g);
  assert_ptr_not_equal(g->task, first);
  fl_task_finish(first, NULL, "it is in the place of the first, perhaps");
  assert_int_equal(step(g), 1);
  fl_task_finish(g->task, "{}", NULL);
  finish(g);
  assert_string_equal(g->finished, "a=succeeded b=succeeded ");
}

// ------------------------------------------------------------------------------------- callbacks

static void an_engine_is_not_turned_or_closed_from_within_a_callback(void **state) {
  guest *g = *state;
  start(g, "f.a = flow.lua { inline = true, run = function() end }");
  g->closes = true;
  finish(g);
  g->closes = false;
  assert_int_equal(g->stepped, FL_E_STATE);
  assert_int_equal(g->waited, FL_E_STATE);
  assert_int_equal(g->reopened, FL_E_STATE);
  assert_string_equal(g->finished, "a=succeeded ");
  assert_string_equal(misuse_sentence,
                      "fl_engine_reopen() cannot be called from within a callback");
}

// ------------------------------------------------------------------------------------- threads

static void *call_elsewhere(void *ud) {
  guest *g = ud;
  char *json = NULL, id[32];
  uint64_t listener;
  fl_script *script;
  fl_error err = {0};
  fl_run_options o = {.size = sizeof o};
  size_t live;
  g->refused = MISUSE(fl_step(g->engine, 0, &live, &err), err) == FL_E_STATE;
  g->refused += MISUSE(fl_wait(g->engine, NULL, NULL, &err), err) == FL_E_STATE;
  g->refused += MISUSE(fl_engine_flush(g->engine, &err), err) == FL_E_STATE;
  g->refused += MISUSE(fl_script_load(g->engine, "x.lua", &script, &err), err) == FL_E_STATE;
  g->refused += MISUSE(fl_run_start(g->script, &o, id, &err), err) == FL_E_STATE;
  g->refused += MISUSE(fl_run_cancel(g->engine, g->run, false, &err), err) == FL_E_STATE;
  g->refused += MISUSE(fl_run_resume(g->engine, g->run, NULL, &err), err) == FL_E_STATE;
  g->refused += MISUSE(fl_read_run(g->engine, g->run, &json, &err), err) == FL_E_STATE;
  g->refused +=
      MISUSE(fl_engine_subscribe(g->engine, on_event, g, &listener, &err), err) == FL_E_STATE;
  snprintf(g->said, sizeof g->said, "%s", misuse_sentence);
  fl_wake(g->engine); // any thread may
  fl_interrupt(g->engine);
  g->taken = fl_engine_take(g->engine, &err);
  if (g->taken == FL_OK) g->stepped = fl_step(g->engine, 5, &live, &err);
  return NULL;
}

static void an_engine_belongs_to_one_thread_until_another_takes_it(void **state) {
  guest *g = *state;
  pthread_t thread;
  fl_error err = {0};
  start(g, MOTOR);
  assert_int_equal(pthread_create(&thread, NULL, call_elsewhere, g), 0);
  pthread_join(thread, NULL);
  assert_int_equal(g->refused, 9);
  assert_string_equal(g->said,
                      "the engine belongs to another thread: fl_engine_take() hands it over");
  assert_int_equal(g->taken, FL_OK);
  assert_int_equal(g->stepped, FL_OK);
  size_t live;
  assert_int_equal(MISUSE(fl_step(g->engine, 5, &live, &err), err), FL_E_STATE);
  assert_int_equal(fl_engine_take(g->engine, &err), FL_OK);
  for (int i = 0; i < 5; i++) step(g);
  fl_task_finish(g->task, "{}", NULL);
  finish(g);
  assert_string_equal(g->finished, "a=succeeded ");
}

static void *take_in_a_step(void *ud) {
  guest *g = ud;
  fl_error err = {0};
  g->taken = MISUSE(fl_engine_take(g->engine, &err), err);
  return NULL;
}

static void hold_and_be_robbed(void *ud, fl_task *task, const char *params, const char *context) {
  pthread_t thread;
  hold(ud, task, params, context);
  pthread_create(&thread, NULL, take_in_a_step, ud);
  pthread_join(thread, NULL);
}

static void an_engine_is_not_taken_out_of_a_step(void **state) {
  guest *g = *state;
  fl_error err;
  fl_native_type type = {.size = sizeof type, .name = "robbed", .ud = g, .run = hold_and_be_robbed};
  assert_int_equal(fl_native_type_register(g->engine, &type, &err), FL_OK);
  start(g, "f.a = flow.robbed {}");
  for (int i = 0; i < 5; i++) step(g);
  assert_int_equal(g->taken, FL_E_STATE);
  fl_task_finish(g->task, "{}", NULL);
  finish(g);
}

// ------------------------------------------------------------------------------------- a broken
// disk

static void a_broken_engine_is_closed_and_opened_again_within_a_second(void **state) {
  guest *g = *state;
  struct rlimit before, none = {.rlim_cur = 0};
  fl_error err;
  size_t live;
  start(g, SLEEPER " "
                   "f.m = flow.motor {}");
  for (int i = 0; i < 5; i++) step(g);
  getrlimit(RLIMIT_FSIZE, &before);
  none.rlim_max = before.rlim_max;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
  fl_task_finish(g->task, "{}", NULL);
  fl_code code = FL_OK;
  for (int i = 0; i < 20 && !code; i++) code = fl_step(g->engine, 5, &live, &err);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_not_equal(code, FL_OK);
  int64_t from = fl_monotonic_ms();
  if (fl_engine_reopen(g->engine, &err)) fail_msg("%s", err.message);
  assert_true(fl_monotonic_ms() - from < 1000);
  if (fl_run_resume(g->engine, g->run, NULL, &err)) fail_msg("%s", err.message);
  for (int i = 0; i < 5; i++) step(g);
  from = fl_monotonic_ms();
  close_engine(g);
  assert_true(fl_monotonic_ms() - from < 1000);
  open_engine(g);
}

// ------------------------------------------------------------------------------------- processes

static void wait_for(int pid) {
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

static void a_forked_child_that_closes_touches_nothing(void **state) {
  guest *g = *state;
  char go[128];
  snprintf(go, sizeof go, "%s/go", g->dir);
  start(g, "f.a = flow.shell { 'until test -e go; do sleep 0.01; done' } f.b = flow.lua { run = "
           "function(ctx) return { x = 1 } end }");
  for (int i = 0; i < 200 && !strstr(g->finished, "b="); i++) step(g), poll(NULL, 0, 5);
  int pid = fork();
  if (pid == 0) {
    fl_engine_close(g->engine);
    _exit(0);
  }
  wait_for(pid);
  close(open(go, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  finish(g);
  assert_string_equal(g->finished, "b=succeeded a=succeeded ");
}

// SQLite puts /dev/null where it finds nothing; nothing else may be there.
static bool is_ours(int fd) {
  char path[32], target[256];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(path, target, sizeof target - 1);
  target[size > 0 ? size : 0] = '\0';
  return size > 0 && strcmp(target, "/dev/null") != 0;
}

static void a_daemon_without_standard_descriptors_keeps_their_numbers(void **state) {
  guest *g = *state;
  close_engine(g);
  int pid = fork();
  if (pid == 0) {
    close(0), close(1), close(2);
    open_engine(g);
    start(g,
          "f.a = flow.shell { 'cat; echo x', capture = 'text' } f.b = flow.lua { run = "
          "function(ctx) ctx:log 'y' return { x = 1 } end } "
          "f.c = flow.lua { inline = true, run = function(ctx) ctx:log 'z' ctx:sleep '50ms' end }");
    int taken = 0;
    for (int i = 0; i < TURNS_MAX && step(g); i++) {
      for (int fd = 0; fd <= 2; fd++) taken += is_ours(fd);
      poll(NULL, 0, 2);
    }
    close_engine(g);
    _exit(taken                                 ? 1
          : !strstr(g->finished, "a=succeeded") ? 2
                                                : !strstr(g->finished, "b=succeeded"));
  }
  wait_for(pid);
  open_engine(g);
}

static void a_host_that_ignores_or_reaps_all_children_gets_true_ends(void **state) {
  guest *g = *state;
  signal(SIGCHLD, SIG_IGN);
  start(g, "f.a = flow.shell { 'exit 7', allow_failure = true } f.b = flow.shell { 'true' }");
  for (int i = 0; i < TURNS_MAX && step(g); i++) {
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD); // none of them is the host's
    poll(NULL, 0, 2);
  }
  signal(SIGCHLD, SIG_DFL);
  assert_non_null(strstr(g->finished, "a=failed"));
  assert_non_null(strstr(g->finished, "b=succeeded"));
}

static int find_supervisor(const guest *g) {
  char command[160], text[32] = "";
  snprintf(command, sizeof command, "grep -lsa -e '[-]-supervisor.%s' /proc/[0-9]*/cmdline",
           g->dir);
  FILE *f = popen(command, "r");
  int pid = f && fgets(text, sizeof text, f) ? atoi(text + sizeof "/proc/" - 1) : 0;
  if (f) pclose(f);
  return pid;
}

static void a_host_that_adopts_orphans_keeps_no_zombie_of_ours(void **state) {
  guest *g = *state;
  close_engine(g);
  assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  for (int killed = 0; killed <= 1; killed++) {
    open_engine(g);
    start(g, "f.a = flow.shell { 'echo x >> tries' } f.b = flow.shell { 'sleep 0.2' }");
    if (killed) {
      for (int i = 0; i < TURNS_MAX && !strstr(g->finished, "a="); i++) step(g), poll(NULL, 0, 2);
      kill(find_supervisor(g), SIGKILL);
    }
    finish(g);
    close_engine(g);
    g->finished[0] = '\0';
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
  }
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void a_helper_that_is_killed_costs_what_ran_and_no_more(void **state) {
  guest *g = *state;
  start(g, "f.a = flow.shell { 'echo x >> tries; test $FLOWLUA_ATTEMPT != 1 || sleep 1000' }");
  char tries[128];
  snprintf(tries, sizeof tries, "%s/tries", g->dir);
  for (int i = 0; i < TURNS_MAX && access(tries, F_OK); i++) step(g), poll(NULL, 0, 2);
  int pid = find_supervisor(g);
  assert_true(pid > 0);
  kill(pid, SIGKILL);
  finish(g);
  assert_non_null(strstr(g->finished, "a=succeeded"));
}

// A copy of this program that says it speaks another version to workers: as if it had been replaced
// while the engine ran. Its supervisor is none the wiser. False: the number stands nowhere as it
// is.
static bool make_other_version(const char *path) {
  const uint32_t ours = FL_WORKER_VERSION, other = ours + 1;
  FILE *from = fopen("/proc/self/exe", "rb"), *to = fopen(path, "wb");
  size_t size = 0, found = 0;
  char *bytes = malloc(64u << 20);
  if (from) size = fread(bytes, 1, 64u << 20, from);
  for (size_t i = 0; i + sizeof ours <= size; i++) {
    if (memcmp(bytes + i, &ours, sizeof ours)) continue;
    memcpy(bytes + i, &other, sizeof other);
    found++;
  }
  fwrite(bytes, 1, size, to);
  fchmod(fileno(to), 0755);
  fclose(from);
  fclose(to);
  free(bytes);
  return found > 0;
}

static void a_worker_of_another_version_is_refused_with_a_sentence(void **state) {
  guest *g = *state;
  char path[128], *json;
  fl_error err;
  snprintf(path, sizeof path, "%s/helper", g->dir);
  if (!make_other_version(path)) skip();
  close_engine(g);
  setenv("FLOWLUA_HELPER_FOR_TEST", path, 1);
  open_engine(g);
  setenv("FLOWLUA_HELPER_FOR_TEST", "/proc/self/exe", 1);
  start(g, "f.a = flow.lua { run = function() end }");
  finish(g);
  assert_string_equal(g->finished, "a=failed ");
  if (fl_read_run(g->engine, g->run, &json, &err)) fail_msg("%s", err.message);
  assert_non_null(strstr(json, "is of another version than this engine"));
  fl_free(json);
}

// The run of a host that was killed, whose helper hangs: nobody's thread hangs with it.
static void a_helper_that_hangs_keeps_nobody(void **state) {
  guest *g = *state;
  char started[128];
  fl_error err;
  snprintf(started, sizeof started, "%s/started", g->dir);
  close_engine(g);
  int victim = fork();
  if (victim == 0) {
    open_engine(g);
    start(g, "f.a = flow.shell { 'touch started; exec sleep 1000', grace = 0.1 }");
    for (int i = 0; i < TURNS_MAX; i++) step(g), poll(NULL, 0, 2);
    _exit(0);
  }
  for (int i = 0; i < TURNS_MAX && access(started, F_OK); i++) poll(NULL, 0, 5);
  int helper = find_supervisor(g), status;
  assert_true(helper > 0);
  kill(helper, SIGSTOP);
  kill(victim, SIGKILL);
  waitpid(victim, &status, 0);
  open_engine(g);
  int64_t began = fl_monotonic_ms();
  if (fl_run_cancel(g->engine, "last", false, &err)) fail_msg("%s", err.message);
  for (int i = 0; i < 10; i++) assert_int_equal(step(g), 1);
  assert_true(fl_monotonic_ms() - began < 5000); // it would be waited for for 30 s
  kill(helper, SIGCONT);
  finish(g);
  assert_string_equal(g->finished, "a=cancelled ");
}

static void a_helper_that_is_none_is_an_error_of_the_node(void **state) {
  guest *g = *state;
  close_engine(g);
  char *helper = strdup(getenv("FLOWLUA_HELPER_FOR_TEST"));
  setenv("FLOWLUA_HELPER_FOR_TEST", "/bin/true", 1);
  open_engine(g);
  setenv("FLOWLUA_HELPER_FOR_TEST", helper, 1);
  free(helper);
  start(g, "f.a = flow.shell { 'true', retries = 0 }");
  finish(g);
  assert_non_null(strstr(g->finished, "a=failed"));
}

static void ignore_text(void *ud, const char *data, size_t size) {
  (void)data;
  *(size_t *)ud += size;
}

static void options_that_are_left_out_are_the_default_or_refused(void **state) {
  guest *g = *state;
  fl_error err;
  char *json;
  size_t size = 0;
  int64_t position = 0;
  fl_engine *none;
  assert_int_equal(fl_engine_open(NULL, &none, &err), FL_E_USAGE);
  assert_int_equal(fl_native_type_register(g->engine, NULL, &err), FL_E_USAGE);
  assert_int_equal(fl_set_allocator(NULL, &err), FL_E_USAGE);
  assert_int_equal(fl_prune(g->engine, NULL, &json, &err), FL_E_USAGE);
  start(g, "f.a = flow.shell { 'echo text' }");
  finish(g);
  assert_int_equal(fl_run_start(g->script, NULL, g->run, &err), FL_OK);
  finish(g);
  assert_int_equal(fl_read_query(g->engine, NULL, &json, &err), FL_OK);
  assert_non_null(strstr(json, g->run));
  fl_free(json);
  assert_int_equal(fl_read_logs(g->engine, g->run, NULL, &position, ignore_text, &size, &err),
                   FL_OK);
  assert_int_equal(size, strlen("text\n"));
}

int main(int argc, char **argv) {
  // Processes need the helper: this binary is its own.
  int mode = fl_helper_main(argc, argv);
  if (mode >= 0) return mode;
  setenv("FLOWLUA_HELPER_FOR_TEST", "/proc/self/exe", 1);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_task_outlives_its_engine),
      TEST(a_task_is_finished_once),
      TEST(an_engine_is_not_turned_or_closed_from_within_a_callback),
      TEST(an_engine_belongs_to_one_thread_until_another_takes_it),
      TEST(an_engine_is_not_taken_out_of_a_step),
      TEST(a_broken_engine_is_closed_and_opened_again_within_a_second),
      TEST(a_forked_child_that_closes_touches_nothing),
      TEST(a_daemon_without_standard_descriptors_keeps_their_numbers),
      TEST(a_host_that_ignores_or_reaps_all_children_gets_true_ends),
      TEST(a_host_that_adopts_orphans_keeps_no_zombie_of_ours),
      TEST(a_helper_that_is_killed_costs_what_ran_and_no_more),
      TEST(a_worker_of_another_version_is_refused_with_a_sentence),
      TEST(a_helper_that_hangs_keeps_nobody),
      TEST(a_helper_that_is_none_is_an_error_of_the_node),
      TEST(options_that_are_left_out_are_the_default_or_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
