// One child and its supervisor: how it is started, what it finds, and how its end is told.
#include "fixture.h"
#include "base/limits.h"

static void every_exit_code_is_told_as_it_was(void **state) {
  fixture *f = *state;
  char text[256][16];
  fl_supervisor_set_slots(f->s, 4);
  for (uint32_t code = 0; code < 256; code++) {
    snprintf(text[code], sizeof text[code], "exit %u", code);
    const char *argv[] = {"/bin/sh", "-c", text[code], NULL};
    fl_spawn s = spawn_of(code, argv);
    s.queue = true;
    fl_supervisor_spawn(f->s, &s);
  }
  assert_true(wait_exits(f, 256));
  for (uint32_t code = 0; code < 256; code++) {
    const fl_child_exit *e = get_exit(f, code);
    assert_int_equal(e->end, FL_CHILD_EXITED);
    assert_int_equal(e->exit_code, code);
    assert_int_equal(e->signal, 0);
    assert_false(e->timed_out || e->cancelled || e->unkillable);
  }
}

static bool ends_a_process(int number) {
  switch (number) {
  case SIGCHLD:
  case SIGCONT:
  case SIGURG:
  case SIGWINCH:
  case SIGSTOP:
  case SIGTSTP:
  case SIGTTIN:
  case SIGTTOU: return false;
  default: return number < 32 || number >= SIGRTMIN; // those between are the C library's
  }
}

static void every_signal_is_told_apart_from_a_code(void **state) {
  fixture *f = *state;
  char text[65][48];
  size_t count = 0;
  fl_supervisor_set_slots(f->s, 4);
  for (int number = 1; number <= SIGRTMAX; number++) {
    if (!ends_a_process(number)) continue;
    snprintf(text[number], sizeof text[number], "ulimit -c 0; kill -%d $$; exit 77", number);
    const char *argv[] = {"/bin/sh", "-c", text[number], NULL};
    fl_spawn s = spawn_of((uint32_t)number, argv);
    s.queue = true;
    fl_supervisor_spawn(f->s, &s);
    count++;
  }
  assert_true(count >= 50);
  assert_true(wait_exits(f, count));
  for (size_t i = 0; i < count; i++) {
    const fl_child_exit *e = &f->exits[i].e;
    assert_int_equal(e->end, FL_CHILD_EXITED);
    assert_int_equal(e->exit_code, -1);
    assert_int_equal(e->signal, e->id.node);
  }
  assert_int_equal(run_shell(f, "exit 137")->exit_code, 137);
}

static void what_cannot_run_says_why(void **state) {
  fixture *f = *state;
  char plain[128], dir_path[128];
  snprintf(plain, sizeof plain, "%s/plain", f->dir);
  snprintf(dir_path, sizeof dir_path, "%s/sup", f->dir);
  fclose(fopen(plain, "w"));
  const struct {
    const char *program, *cwd, *what;
    int errnum;
  } rows[] = {
      {"/no/such/program", "/", "run '/no/such/program'", ENOENT},
      {"no-such-program", "/", "run 'no-such-program'", ENOENT},
      {"", "/", "run ''", ENOENT},
      {plain, "/", NULL, EACCES},
      {dir_path, "/", NULL, EACCES},
      {"/bin/true", "/no/such/folder", "change to the folder '/no/such/folder'", ENOENT},
      {"/bin/true", plain, NULL, ENOTDIR},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const char *argv[] = {rows[i].program, NULL};
    fl_spawn s = spawn_of((uint32_t)i, argv);
    s.cwd = rows[i].cwd;
    const fl_child_exit *e = run_spawn(f, &s);
    assert_int_equal(e->end, FL_CHILD_NOT_STARTED);
    assert_int_equal(e->errnum, rows[i].errnum);
    assert_int_equal(e->exit_code, -1);
    if (rows[i].what) assert_string_equal(e->error_what, rows[i].what);
  }
}

static void too_much_of_an_argument_says_why(void **state) {
  fixture *f = *state;
  size_t size = 4u << 20;
  char *large = malloc(size + 1);
  memset(large, 'x', size);
  large[size] = '\0';
  const char *argv[] = {"/bin/true", large, NULL};
  fl_spawn s = spawn_of(1, argv);
  const fl_child_exit *e = run_spawn(f, &s);
  assert_int_equal(e->end, FL_CHILD_NOT_STARTED);
  assert_int_equal(e->errnum, E2BIG);
  free(large);
}

static void a_request_too_large_to_send_is_refused_here(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/true", NULL};
  fl_spawn s = spawn_of(1, argv);
  s.stdin_size = (size_t)FL_FRAME_SIZE_MAX + 1;
  s.stdin_data = malloc(s.stdin_size);
  memset((char *)(uintptr_t)s.stdin_data, 0, s.stdin_size);
  const fl_child_exit *e = run_spawn(f, &s);
  free((char *)(uintptr_t)s.stdin_data);
  assert_int_equal(e->end, FL_CHILD_NOT_STARTED);
  assert_int_equal(e->errnum, E2BIG);
  assert_int_equal(run_shell(f, "exit 3")->exit_code, 3); // the next is not harmed
}

static void write_file(const char *path, const char *text, mode_t mode) {
  FILE *file = fopen(path, "w");
  fputs(text, file);
  fclose(file);
  chmod(path, mode);
}

static void a_script_without_a_first_line_is_run_by_sh(void **state) {
  fixture *f = *state;
  char path[128];
  snprintf(path, sizeof path, "%s/script", f->dir);
  write_file(path, "echo \"$0 $1\"; exit 5\n", 0755);
  const char *argv[] = {path, "x", NULL};
  fl_spawn s = spawn_of(1, argv);
  s.capture = true;
  const fl_child_exit *e = run_spawn(f, &s);
  assert_int_equal(e->exit_code, 5);
  assert_non_null(strstr(e->capture, "/script x"));
}

static void a_program_is_looked_up_in_the_path_of_the_child(void **state) {
  fixture *f = *state;
  char path[128], var[160];
  snprintf(path, sizeof path, "%s/bin", f->dir);
  mkdir(path, 0755);
  snprintf(var, sizeof var, "PATH=/no/such:%s:/bin", path);
  snprintf(path, sizeof path, "%s/bin/mine", f->dir);
  write_file(path, "#!/bin/sh\nexit 6\n", 0755);
  const char *argv[] = {"mine", NULL}, *env[] = {var, NULL};
  fl_spawn s = spawn_of(1, argv);
  assert_int_equal(run_spawn(f, &s)->errnum, ENOENT); // not in ours
  s.env = env;
  assert_int_equal(run_spawn(f, &s)->exit_code, 6);
  chmod(path, 0644);
  assert_int_equal(run_spawn(f, &s)->errnum, EACCES); // there, but not to be run
  // Relative places and names are the child's folder's.
  chmod(path, 0755);
  const char *dot[] = {"./bin/mine", NULL};
  s = spawn_of(1, dot);
  s.cwd = f->dir;
  assert_int_equal(run_spawn(f, &s)->exit_code, 6);
}

static void it_finds_who_it_is_in_its_environment(void **state) {
  fixture *f = *state;
  const char *argv[] = {
      "/bin/sh", "-c",
      "echo $FLOWLUA_RUN/$FLOWLUA_NODE/$FLOWLUA_ATTEMPT/$FLOWLUA_TIME/$MINE/$HOME/"
      "${FLOWLUA_CONTEXT+context}; cat $FLOWLUA_CONTEXT; pwd",
      NULL};
  const char *env[] = {"MINE=1 2", "HOME=/elsewhere", "FLOWLUA_RUN=lie", NULL};
  fl_spawn s = spawn_of(3, argv);
  s.env = env;
  s.id.number = 4;
  s.cwd = "/usr";
  s.capture = true;
  s.context = "{\"a\":1}\n";
  s.context_size = 8;
  const fl_child_exit *e = run_spawn(f, &s);
  assert_string_equal(
      e->capture, "run1/node3/4/2026-01-31T00:00:00Z/1 2//elsewhere/context\n{\"a\":1}\n/usr\n");
  s.context = NULL;
  const char *none[] = {"/bin/sh", "-c", "echo ${FLOWLUA_CONTEXT-none}", NULL};
  s.argv = none;
  assert_string_equal(run_spawn(f, &s)->capture, "none\n");
}

static void the_next_childs_context_is_its_own(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/sh", "-c",
                        "cat $FLOWLUA_CONTEXT; echo xxxxxxxxxxx >> $FLOWLUA_CONTEXT", NULL};
  const char *contexts[] = {"a longer one", "short", "", "again a longer one"};
  for (size_t i = 0; i < 4; i++) {
    fl_spawn s = spawn_of((uint32_t)i, argv);
    s.capture = true;
    s.context = contexts[i];
    s.context_size = strlen(contexts[i]);
    assert_string_equal(run_spawn(f, &s)->capture, contexts[i]);
  }
}

static void it_is_given_nothing_but_three_descriptors(void **state) {
  fixture *f = *state;
  int leaky = open("/dev/null", O_RDONLY); // not close-on-exec: the host was careless
  const char *argv[] = {
      "/bin/sh", "-c",
      "for d in /proc/self/fd/*; do case ${d##*/} in 0|1|2|10) ;; *) echo $d;; esac; "
      "done; readlink /proc/self/fd/0",
      NULL};
  const char *ls[] = {"/bin/ls", "/proc/self/fd", NULL};
  fl_spawn s = spawn_of(1, ls);
  s.capture = true;
  assert_string_equal(run_spawn(f, &s)->capture, "0\n1\n2\n3\n"); // 3: ls itself, looking
  s.argv = argv;
  const fl_child_exit *e = run_spawn(f, &s);
  assert_non_null(strstr(e->capture, "/dev/null\n"));
  close(leaky);
}

static void its_signals_are_as_in_a_fresh_process(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status", NULL};
  fl_spawn s = spawn_of(1, argv);
  s.capture = true;
  assert_string_equal(run_spawn(f, &s)->capture, "SigBlk:\t0000000000000000\n"
                                                 "SigIgn:\t0000000000000000\n");
}

static void its_umask_is_the_hosts(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/sh", "-c", "umask; pwd", NULL};
  fl_spawn s = spawn_of(1, argv);
  char expected[64];
  mode_t mask = umask(0);
  umask(mask);
  s.capture = true;
  s.cwd = "/tmp";
  snprintf(expected, sizeof expected, "%04o\n/tmp\n", (unsigned)mask);
  assert_string_equal(run_spawn(f, &s)->capture, expected);
}

static void it_leads_a_group_of_its_own(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/sh", "-c", "cut -d' ' -f1,5 /proc/$$/stat", NULL};
  fl_spawn s = spawn_of(1, argv);
  int pid, pgid;
  s.capture = true;
  const fl_child_exit *e = run_spawn(f, &s);
  assert_int_equal(sscanf(e->capture, "%d %d", &pid, &pgid), 2);
  assert_int_equal(pid, pgid);
  assert_int_equal(pid, e->pid);
}

static void stdin_is_what_was_given(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/cat", NULL};
  fl_spawn s = spawn_of(1, argv);
  s.capture = true;
  s.stdin_data = "a\0b\n";
  s.stdin_size = 4;
  const fl_child_exit *e = run_spawn(f, &s);
  assert_int_equal(e->capture_size, 4);
  assert_memory_equal(e->capture, "a\0b\n", 4);
  s.stdin_data = NULL;
  assert_int_equal(run_spawn(f, &s)->capture_size, 0);
}

static void limits_hold(void **state) {
  fixture *f = *state;
  const char *files[] = {"/bin/sh", "-c", "ulimit -n", NULL};
  fl_spawn s = spawn_of(1, files);
  s.capture = true;
  s.limit_open_files = 77;
  assert_string_equal(run_spawn(f, &s)->capture, "77\n");
  s.limit_open_files = 0;
  const char *memory[] = {"/bin/sh", "-c", "ulimit -v", NULL};
  s.argv = memory;
  s.limit_memory = 1 << 30;
  assert_string_equal(run_spawn(f, &s)->capture, "1048576\n");
  s.limit_memory = 0;
  const char *busy[] = {"/bin/sh", "-c", "ulimit -c 0; while :; do :; done", NULL};
  s.argv = busy;
  s.limit_cpu_s = 1;
  const fl_child_exit *e = run_spawn(f, &s);
  assert_int_equal(e->signal, SIGXCPU);
  assert_true(e->cpu_us >= 100000); // the limit counts ticks, which is coarse
}

static void usage_is_told(void **state) {
  fixture *f = *state;
  int64_t before = fl_wall_ms();
  const fl_child_exit *e = run_shell(f, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
  assert_true(e->cpu_us > 0 && e->rss_max_bytes > 100000);
  assert_true(e->started_ms >= before && e->ended_ms >= e->started_ms);
  assert_true(e->pid > 0);
}

static void descriptors_are_passed_as_3_and_4(void **state) {
  fixture *f = *state;
  int a[2], b[2];
  char c = 0;
  assert_int_equal(pipe(a) | pipe(b), 0);
  const char *argv[] = {"/bin/sh", "-c", "read x <&3; echo $x >&4", NULL};
  for (int i = 0; i < 3; i++) {
    fl_spawn s = spawn_of((uint32_t)i, argv);
    s.pass_fd = a[0];
    s.pass_fd2 = b[1];
    s.id.run[0] = '\0'; // as a worker
    s.id.child = (uint32_t)i + 1;
    assert_int_equal(write(a[1], "q\n", 2), 2);
    assert_int_equal(run_spawn(f, &s)->exit_code, 0);
    assert_int_equal(read(b[0], &c, 1), 1);
    assert_int_equal(c, 'q');
    assert_int_equal(read(b[0], &c, 1), 1);
  }
  close(a[0]);
  close(b[1]);
  assert_int_equal(read(b[0], &c, 1), 0); // the supervisor kept none
  close(a[1]);
  close(b[0]);
}

static void a_short_child_is_told_once_and_a_long_one_twice(void **state) {
  fixture *f = *state;
  run_shell(f, "true");
  assert_true(f->started_count <= 1); // on a busy machine no child is short
  forget_exits(f);
  const char *argv[] = {"/bin/sleep", "100", NULL};
  fl_spawn s = spawn_of(9, argv);
  fl_supervisor_spawn(f->s, &s);
  assert_true(wait_started(f, 1));
  assert_int_equal(f->started[0].node, 9);
  assert_true(f->started_pid[0] > 0);
  fl_supervisor_kill(f->s, &s.id, 0);
  assert_true(wait_exits(f, 1));
  assert_int_equal(f->exits[0].e.pid, f->started_pid[0]);
}

static void a_tidy_end_leaves_nothing(void **state) {
  fixture *f = *state;
  char path[160];
  run_shell(f, "echo x");
  fl_supervisor_close(f->s, false);
  assert_true(wait_dead(f->identity));
  const char *const endings[] = {"sock", "journal"};
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/sup/%s.%s", f->dir, f->id, endings[i]);
    assert_int_equal(access(path, F_OK), -1);
  }
  start_supervisor(f); // for the teardown
}

static void no_helper_is_a_usage_error(void **state) {
  fixture *f = *state;
  fl_supervisor *s;
  fl_error err;
  assert_int_equal(fl_supervisor_start(f->loop, f->dir, NULL, &f->events, &s, &err), FL_E_USAGE);
  assert_null(s);
  assert_int_equal(fl_supervisor_start(f->loop, f->dir, "/no/such", &f->events, &s, &err),
                   FL_E_SPAWN);
  assert_null(s);
}

static void a_helper_that_is_none_fails_its_children(void **state) {
  fixture *f = *state;
  fl_supervisor *mine = f->s;
  fl_error err;
  const char *argv[] = {"/bin/true", NULL};
  assert_int_equal(fl_supervisor_start(f->loop, f->dir, "/bin/true", &f->events, &f->s, &err),
                   FL_OK);
  fl_spawn s = spawn_of(1, argv);
  const fl_child_exit *e = run_spawn(f, &s);
  assert_int_equal(e->end, FL_CHILD_NOT_STARTED);
  assert_string_equal(e->error_what, "run the supervisor");
  assert_int_equal(f->gone_count, 1);
  fl_supervisor_close(f->s, false);
  f->s = mine;
}

static void a_folder_that_cannot_be_written_is_named(void **state) {
  fixture *f = *state;
  fl_supervisor *mine = f->s;
  fl_error err;
  const char *argv[] = {"/bin/true", NULL};
  assert_int_equal(
      fl_supervisor_start(f->loop, "/dev/null", "/proc/self/exe", &f->events, &f->s, &err), FL_OK);
  fl_spawn s = spawn_of(1, argv);
  const fl_child_exit *e = run_spawn(f, &s);
  assert_int_equal(e->end, FL_CHILD_NOT_STARTED);
  assert_int_equal(e->errnum, ENOTDIR);
  assert_string_equal(e->error_what, "make a folder for the supervisor");
  fl_supervisor_close(f->s, false);
  f->s = mine;
}

static void the_host_sees_no_child(void **state) {
  fixture *f = *state;
  run_shell(f, "true");
  assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
  assert_int_equal(errno, ECHILD);
}

int main(int argc, char **argv) {
  int rc = be_helper(argc, argv);
  if (rc >= 0) return rc;
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(every_exit_code_is_told_as_it_was),
      TEST(every_signal_is_told_apart_from_a_code),
      TEST(what_cannot_run_says_why),
      TEST(too_much_of_an_argument_says_why),
      TEST(a_request_too_large_to_send_is_refused_here),
      TEST(a_script_without_a_first_line_is_run_by_sh),
      TEST(a_program_is_looked_up_in_the_path_of_the_child),
      TEST(it_finds_who_it_is_in_its_environment),
      TEST(the_next_childs_context_is_its_own),
      TEST(it_is_given_nothing_but_three_descriptors),
      TEST(its_signals_are_as_in_a_fresh_process),
      TEST(its_umask_is_the_hosts),
      TEST(it_leads_a_group_of_its_own),
      TEST(stdin_is_what_was_given),
      TEST(limits_hold),
      TEST(usage_is_told),
      TEST(descriptors_are_passed_as_3_and_4),
      TEST(a_short_child_is_told_once_and_a_long_one_twice),
      TEST(a_tidy_end_leaves_nothing),
      TEST(no_helper_is_a_usage_error),
      TEST(a_helper_that_is_none_fails_its_children),
      TEST(a_folder_that_cannot_be_written_is_named),
      TEST(the_host_sees_no_child),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
