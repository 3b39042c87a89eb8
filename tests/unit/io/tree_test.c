// Looking at processes: who they are, whose they are, and that a signal never meets a stranger.
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "io/supervise.h"
#include "io/tree.h"

static void stat_lines_are_parsed_whatever_the_name_is(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool valid;
    int pid, ppid, pgid, sid;
    char state;
    unsigned long long start;
  } rows[] = {
#define REST " 34816 7 4194304 1 2 3 4 5 6 7 8 20 0 1 0 777 1000 2000"
      {"12 (cat) S 11 10 9" REST, true, 12, 11, 10, 9, 'S', 777},
      {"12 (a b) Z 11 10 9" REST, true, 12, 11, 10, 9, 'Z', 777},
      {"12 () 1 (x) R 11 10 9" REST, true, 12, 11, 10, 9, 'R', 777},
      {"12 (x)\n) S 1 12 12" REST, true, 12, 1, 12, 12, 'S', 777},
      {"12 (cat) S 11 10", false, 12, 11, 10, 0, 'S', 0},
      {"12 (cat", false, 0, 0, 0, 0, 0, 0},
      {"", false, 0, 0, 0, 0, 0, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    fl_proc p;
    assert_int_equal(fl_proc_parse(rows[i].text, &p), rows[i].valid);
    if (!rows[i].valid) continue;
    assert_int_equal(p.pid, rows[i].pid);
    assert_int_equal(p.ppid, rows[i].ppid);
    assert_int_equal(p.pgid, rows[i].pgid);
    assert_int_equal(p.sid, rows[i].sid);
    assert_int_equal(p.state, rows[i].state);
    assert_int_equal(p.start_ticks, rows[i].start);
  }
}

static int start_sleeper(void) {
  int pid = fork();
  if (pid == 0) {
    for (;;) pause();
  }
  return pid;
}

static void an_identity_lives_as_long_as_its_process(void **state) {
  (void)state;
  char identity[96], other[100];
  int pid = start_sleeper();
  fl_process_identity(pid, identity);
  assert_true(fl_process_is_alive(identity));
  kill(pid, SIGKILL);
  waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT);
  assert_false(fl_process_is_alive(identity)); // a zombie does not live
  waitpid(pid, NULL, 0);
  assert_false(fl_process_is_alive(identity));
  fl_process_identity(getpid(), identity);
  assert_true(fl_process_is_alive(identity));
  snprintf(other, sizeof other, "%s0", identity); // another start time, the same pid
  assert_false(fl_process_is_alive(other));
  identity[0] ^= 1; // another boot
  assert_false(fl_process_is_alive(identity));
  assert_false(fl_process_is_alive(""));
}

static void a_signal_reaches_only_who_was_meant(void **state) {
  (void)state;
  fl_proc p;
  int pid = start_sleeper();
  assert_true(fl_proc_read(pid, &p));
  assert_false(fl_proc_signal(pid, p.start_ticks + 1, SIGKILL));
  assert_true(fl_proc_is_alive(pid, p.start_ticks));
  assert_true(fl_proc_signal(pid, p.start_ticks, SIGKILL));
  waitpid(pid, NULL, 0);
  assert_false(fl_proc_signal(pid, p.start_ticks, SIGKILL));
}

static void a_walk_finds_all_below(void **state) {
  (void)state;
  int ready[2];
  assert_int_equal(pipe(ready), 0);
  int top = fork();
  if (top == 0) {
    for (int i = 0; i < 2; i++) {
      if (fork() == 0) {
        if (fork() == 0) setsid();
        (void)!write(ready[1], "x", 1);
        for (;;) pause();
      }
    }
    for (;;) pause();
  }
  char c;
  for (int i = 0; i < 4; i++) assert_int_equal(read(ready[0], &c, 1), 1);
  fl_proc_set set = {0};
  fl_tree_walk(top, &set);
  assert_int_equal(set.count, 4);
  assert_false(fl_proc_set_has(&set, top, 0));
  for (size_t i = 0; i < set.count; i++) kill(set.items[i].pid, SIGKILL);
  kill(top, SIGKILL);
  waitpid(top, NULL, 0);
  fl_proc_set_deinit(&set);
  close(ready[0]);
  close(ready[1]);
}

static void a_set_knows_thousands(void **state) {
  (void)state;
  fl_proc_set set = {0};
  for (int i = 1; i <= 5000; i++) {
    fl_proc p = {.pid = i, .start_ticks = (uint64_t)i / 3};
    assert_true(fl_proc_set_add(&set, &p));
    assert_false(fl_proc_set_add(&set, &p));
  }
  assert_int_equal(set.count, 5000);
  assert_true(fl_proc_set_has(&set, 4711, 4711 / 3));
  assert_false(fl_proc_set_has(&set, 4711, 0));
  fl_proc_set_deinit(&set);
}

static void expect_marks(int pid) {
  assert_true(fl_proc_has_mark(pid, "outer/7"));
  assert_true(fl_proc_has_mark(pid, "inner/12"));
  assert_true(fl_proc_has_mark(pid, "inner/"));
  assert_false(fl_proc_has_mark(pid, "inner/1"));
  assert_false(fl_proc_has_mark(pid, "ner/12"));
  assert_false(fl_proc_has_mark(pid, "other/"));
}

static void a_mark_is_found_word_by_word(void **state) {
  (void)state;
  int pid = fork();
  if (pid == 0) {
    char *env[] = {"A=1", "FLOWLUA_TREE=outer/7:inner/12", NULL};
    char *argv[] = {"/bin/sleep", "60", NULL};
    execve("/bin/sleep", argv, env);
    _exit(1);
  }
  for (int i = 0; i < 5000 && !fl_proc_has_mark(pid, "outer/7"); i++) poll(NULL, 0, 1);
  expect_marks(pid);
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

static void a_tag_survives_a_cleared_environment_and_nests(void **state) {
  (void)state;
  uint64_t outer = fl_tag_make("outer");
  if (!outer) {
    print_message("skipped: this system has its own limit on RLIMIT_RTTIME\n");
    skip();
  }
  int pid = fork();
  if (pid == 0) {
    struct rlimit tag = {outer + 5, outer + 5};
    setrlimit(RLIMIT_RTTIME, &tag);
    uint64_t inner = fl_tag_make("inner");
    bool lower = inner && inner < outer && fl_tag_is_of(inner, "inner");
    char *env[] = {NULL}, *argv[] = {"/bin/sleep", "60", NULL};
    if (lower) execve("/bin/sleep", argv, env);
    _exit(1);
  }
  for (int i = 0; i < 5000 && !fl_proc_get_tag(pid); i++) poll(NULL, 0, 1);
  assert_int_equal(fl_proc_get_tag(pid), outer + 5);
  assert_true(fl_tag_is_of(fl_proc_get_tag(pid), "outer"));
  assert_false(fl_tag_is_of(fl_proc_get_tag(pid), "inner"));
  assert_int_equal(kill(pid, SIGKILL), 0);
  waitpid(pid, NULL, 0);
}

static void add_pid(void *ud, int pid) {
  (void)pid;
  ++*(int *)ud;
}

static void all_own_children_are_listed(void **state) {
  (void)state;
  enum { COUNT = 900 }; // more than one page of numbers
  static int pids[COUNT];
  fl_own_children own;
  fl_own_children_open(&own);
  for (int i = 0; i < COUNT; i++) pids[i] = start_sleeper();
  int found = 0;
  fl_own_children_read(&own, add_pid, &found);
  assert_int_equal(found, COUNT);
  for (int i = 0; i < COUNT; i++) kill(pids[i], SIGKILL);
  for (int i = 0; i < COUNT; i++) waitpid(pids[i], NULL, 0);
  found = 0;
  fl_own_children_read(&own, add_pid, &found);
  assert_int_equal(found, 0);
  fl_own_children_close(&own);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stat_lines_are_parsed_whatever_the_name_is),
      cmocka_unit_test(an_identity_lives_as_long_as_its_process),
      cmocka_unit_test(a_signal_reaches_only_who_was_meant),
      cmocka_unit_test(a_walk_finds_all_below),
      cmocka_unit_test(a_set_knows_thousands),
      cmocka_unit_test(a_mark_is_found_word_by_word),
      cmocka_unit_test(a_tag_survives_a_cleared_environment_and_nests),
      cmocka_unit_test(all_own_children_are_listed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
