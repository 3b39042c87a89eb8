// Tests bind/subprocess.c for what Lua cannot see: the host's signals, its children and its files.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bind/subprocess.h"

static fl_buf out, err_out;

static int open_buffers(void **state) {
  (void)state;
  fl_buf_init(&out, 1 << 20);
  fl_buf_init(&err_out, 1 << 20);
  return 0;
}

static int close_buffers(void **state) {
  (void)state;
  fl_buf_deinit(&out);
  fl_buf_deinit(&err_out);
  return 0;
}

static fl_code run(const char *script, const char *input, fl_subprocess_end *end, fl_error *err) {
  const char *const argv[] = {"sh", "-c", script, NULL};
  fl_subprocess_options options = {
      .argv = argv, .stdin_data = input, .stdin_size = input ? strlen(input) : 0, .timeout_ms = -1};
  return fl_subprocess_run(&options, &out, &err_out, end, err);
}

static size_t count_files(void) {
  size_t count = 0;
  DIR *dir = opendir("/proc/self/fd");
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

static volatile sig_atomic_t signals_seen;

static void see_signal(int signal) {
  (void)signal;
  signals_seen++;
}

static void a_child_that_does_not_read_raises_no_signal(void **state) {
  (void)state;
  static char input[300000];
  memset(input, 'x', sizeof input - 1);
  struct sigaction old, mine = {.sa_handler = see_signal};
  sigaction(SIGPIPE, &mine, &old);
  fl_subprocess_end end;
  fl_error err;
  size_t files = count_files();
  assert_int_equal(run("exec <&-; exit 5", input, &end, &err), FL_OK);
  assert_int_equal(end.exit_code, 5);
  assert_int_equal(signals_seen, 0);
  sigset_t blocked;
  pthread_sigmask(SIG_BLOCK, NULL, &blocked);
  assert_false(sigismember(&blocked, SIGPIPE));
  assert_int_equal(count_files(), files);
  sigaction(SIGPIPE, &old, NULL);
}

static void a_child_starts_with_no_signal_blocked_or_ignored(void **state) {
  (void)state;
  struct sigaction old, ignore = {.sa_handler = SIG_IGN};
  sigset_t block, before;
  sigemptyset(&block);
  sigaddset(&block, SIGTERM);
  sigaction(SIGINT, &ignore, &old);
  pthread_sigmask(SIG_BLOCK, &block, &before);
  fl_subprocess_end end;
  fl_error err;
  assert_int_equal(run("grep -E 'SigBlk|SigIgn' /proc/self/status", NULL, &end, &err), FL_OK);
  unsigned long long blocked, ignored;
  assert_int_equal(sscanf(fl_buf_cstr(&out), "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
  assert_int_equal(blocked, 0);
  assert_int_equal(ignored & 0x7fffffff, 0); // glibc itself leaves its own two, 32 and 33, ignored
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  sigaction(SIGINT, &old, NULL);
}

static void a_host_that_takes_exit_codes_away_is_told_so(void **state) {
  (void)state;
  struct sigaction old, ignore = {.sa_handler = SIG_IGN};
  sigaction(SIGCHLD, &ignore, &old);
  fl_subprocess_end end;
  fl_error err;
  size_t files = count_files();
  assert_int_equal(run("exit 0", NULL, &end, &err), FL_E_SYSTEM);
  assert_string_equal(err.message, "cannot tell how 'sh' ended: No child processes (ECHILD)");
  assert_int_equal(count_files(), files);
  sigaction(SIGCHLD, &old, NULL);
}

static void other_children_are_left_alone(void **state) {
  (void)state;
  pid_t other = fork();
  if (other == 0) _exit(42);
  fl_subprocess_end end;
  fl_error err;
  assert_int_equal(run("exit 3", NULL, &end, &err), FL_OK);
  assert_int_equal(end.exit_code, 3);
  int status;
  assert_int_equal(waitpid(other, &status, 0), other);
  assert_int_equal(WEXITSTATUS(status), 42);
}

static void it_works_with_the_standard_files_closed(void **state) {
  (void)state;
  pid_t child = fork();
  if (child == 0) {
    for (int fd = 0; fd < 3; fd++) close(fd);
    fl_subprocess_end end;
    fl_error err;
    bool good = run("cat; echo e >&2", "in", &end, &err) == FL_OK && end.exit_code == 0;
    good =
        good && strcmp(fl_buf_cstr(&out), "in") == 0 && strcmp(fl_buf_cstr(&err_out), "e\n") == 0;
    _exit(good ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_buffers, close_buffers)
  const struct CMUnitTest tests[] = {
      TEST(a_child_that_does_not_read_raises_no_signal),
      TEST(a_child_starts_with_no_signal_blocked_or_ignored),
      TEST(a_host_that_takes_exit_codes_away_is_told_so),
      TEST(other_children_are_left_alone),
      TEST(it_works_with_the_standard_files_closed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
