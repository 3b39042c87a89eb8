// What children print and hand back: logs, captured stdout, FLOWLUA_OUTPUT, the last words of
// stderr.
#include "fixture.h"
#include "base/limits.h"

static const fl_child_exit *run_capture(fixture *f, const char *text, int64_t size_max) {
  const char *argv[] = {"/bin/sh", "-c", text, NULL};
  fl_spawn s = spawn_of((uint32_t)f->exit_count + 1, argv);
  s.capture = true;
  s.capture_size_max = size_max;
  return run_spawn(f, &s);
}

static void stdout_and_stderr_share_the_log(void **state) {
  fixture *f = *state;
  const fl_child_exit *e = run_shell(f, "echo one; echo two >&2; echo three");
  char *log = read_log(f, e);
  assert_string_equal(log, "one\ntwo\nthree\n");
  assert_string_equal(e->tail, "one\ntwo\nthree\n");
  assert_int_equal(e->log_total, 14);
  assert_null(e->capture);
  free(log);
  assert_string_equal(run_shell(f, "true")->log_path, "");
}

static void captured_stdout_is_given_back_and_logged(void **state) {
  fixture *f = *state;
  const fl_child_exit *e = run_capture(f, "echo data; echo trouble >&2; printf 'a\\0b'", 0);
  assert_int_equal(e->capture_size, 8);
  assert_memory_equal(e->capture, "data\na\0b", 8);
  assert_string_equal(e->tail, "trouble\n");
  assert_int_equal(e->log_total, 16);
  assert_false(e->capture_overflow);
  e = run_capture(f, "true", 0);
  assert_non_null(e->capture);
  assert_int_equal(e->capture_size, 0);
}

static void a_large_capture_goes_through_a_file(void **state) {
  fixture *f = *state;
  const fl_child_exit *e =
      run_capture(f, "head -c 3000000 /dev/zero | tr '\\0' x; echo end", 4000000);
  assert_int_equal(e->capture_size, 3000004);
  assert_memory_equal(e->capture, "xxxxx", 5);
  assert_memory_equal(e->capture + 2999998, "xxend\n", 6);
}

static void a_capture_past_its_limit_overflows(void **state) {
  fixture *f = *state;
  const struct {
    int limit, size;
    bool overflow;
  } rows[] = {{10, 10, false}, {10, 11, true}, {500000, 500000, false}, {500000, 500001, true}};
  for (size_t i = 0; i < 4; i++) {
    char text[64];
    snprintf(text, sizeof text, "head -c %d /dev/zero", rows[i].size);
    const fl_child_exit *e = run_capture(f, text, rows[i].limit);
    assert_int_equal(e->capture_overflow, rows[i].overflow);
    assert_int_equal(e->capture_size, rows[i].overflow ? 0 : rows[i].size);
    assert_int_equal(e->exit_code, 0);
    assert_int_equal(e->log_total, rows[i].size); // the log has it
  }
}

static void output_is_handed_back_through_a_path(void **state) {
  fixture *f = *state;
  const fl_child_exit *e =
      run_shell(f, "echo rows=3 > $FLOWLUA_OUTPUT; echo b=4 >> $FLOWLUA_OUTPUT");
  assert_string_equal(e->output, "rows=3\nb=4\n");
  assert_null(run_shell(f, "true")->output); // the next one starts empty
  assert_null(run_shell(f, ": > $FLOWLUA_OUTPUT")->output);
  // From a process that inherited nothing but the name.
  e = run_shell(f, "setsid sh -c 'exec <&- >&- 2>&-; printf \"a\\0b\" > $FLOWLUA_OUTPUT'; wait");
  assert_int_equal(e->output_size, 3);
  assert_memory_equal(e->output, "a\0b", 3);
}

static void a_large_output_goes_through_a_file_and_too_large_overflows(void **state) {
  fixture *f = *state;
  const fl_child_exit *e = run_shell(f, "head -c 1000000 /dev/zero > $FLOWLUA_OUTPUT");
  assert_int_equal(e->output_size, 1000000);
  assert_false(e->output_overflow);
  char text[96];
  snprintf(text, sizeof text, "head -c %u /dev/zero > $FLOWLUA_OUTPUT", FL_VALUE_SIZE_MAX + 1);
  e = run_shell(f, text);
  assert_null(e->output);
  assert_true(e->output_overflow);
}

static void settling_removes_what_lay_in_files(void **state) {
  fixture *f = *state;
  char path[160];
  run_shell(f, "head -c 1000000 /dev/zero > $FLOWLUA_OUTPUT");
  snprintf(path, sizeof path, "%s/sup/%s.1.output", f->dir, f->id);
  assert_int_equal(access(path, F_OK), 0);
  fl_supervisor_settle(f->s);
  assert_int_equal(access(path, F_OK), -1);
  assert_int_equal(run_shell(f, "exit 4")->exit_code, 4);
}

static void a_file_that_is_gone_is_not_taken_for_no_output(void **state) {
  fixture *f = *state;
  char pattern[200];
  fl_loop_run(f->loop, 0);
  // It vanishes between the report and the reading: the supervisor reports, we do not look yet.
  const char *argv[] = {"/bin/sh", "-c", "head -c 1000000 /dev/zero > $FLOWLUA_OUTPUT", NULL};
  fl_spawn s = spawn_of(1, argv);
  fl_supervisor_spawn(f->s, &s);
  fl_supervisor_flush(f->s);
  snprintf(pattern, sizeof pattern, "%s/sup/%s.1.output", f->dir, f->id);
  struct stat st = {0};
  for (int i = 0; i < WAIT_MS && (stat(pattern, &st) || st.st_size < 1000000); i++) nap(1);
  unlink(pattern);
  assert_true(wait_exits(f, 1));
  assert_true(f->exits[0].e.output_overflow);
}

static void the_tail_is_the_end_of_stderr(void **state) {
  fixture *f = *state;
  const fl_child_exit *e =
      run_shell(f, "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done");
  assert_int_equal(e->tail_size, 2048);
  assert_string_equal(e->tail + 2048 - 20, "line 1998\nline 1999\n");
}

static void a_log_past_its_limit_keeps_both_ends(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/sh", "-c", "seq 1 100000", NULL};
  fl_spawn s = spawn_of(1, argv);
  s.log_size_max = 40000;
  const fl_child_exit *e = run_spawn(f, &s);
  assert_int_equal(e->log_total, 588895);
  assert_int_equal(e->log_size, -1);
  char *log = read_log(f, e);
  assert_memory_equal(log, "1\n2\n3\n", 6);
  assert_non_null(strstr(log, " bytes not kept ...]\n"));
  assert_string_equal(log + strlen(log) - 14, "\n99999\n100000\n");
  assert_true(strlen(log) < 41000);
  free(log);
}

static void a_child_that_still_runs_can_be_followed(void **state) {
  fixture *f = *state;
  const char *argv[] = {"/bin/sh", "-c", "echo early; exec sleep 100", NULL};
  fl_spawn s = spawn_of(1, argv);
  fl_buf path;
  char *text = NULL;
  fl_supervisor_spawn(f->s, &s);
  fl_supervisor_flush(f->s);
  fl_buf_init(&path, 1000);
  fl_log_path(&path, "run1", "node1", 1);
  for (int i = 0; i < WAIT_MS; i++, nap(1)) {
    fl_child_exit e = {.log_path = fl_buf_cstr(&path), .log_size = -1};
    free(text);
    text = read_log(f, &e);
    if (*text) break;
  }
  assert_string_equal(text, "early\n");
  free(text);
  fl_buf_deinit(&path);
  fl_supervisor_kill(f->s, &s.id, 0);
  assert_true(wait_exits(f, 1));
}

static void who_closes_its_stdout_is_not_waited_for(void **state) {
  fixture *f = *state;
  const fl_child_exit *e = run_shell(f, "echo x; exec >&- 2>&-; sleep 0.05; exit 3");
  assert_int_equal(e->exit_code, 3);
  assert_string_equal(e->tail, "x\n");
}

static long get_rss_kib(int pid) {
  char path[64], line[256];
  long kib = 0;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE *file = fopen(path, "r");
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "VmHWM: %ld", &kib) == 1) break;
  }
  fclose(file);
  return kib;
}

static void much_output_makes_no_process_grow(void **state) {
#ifdef FL_SANITIZED
  print_message("skipped: a sanitizer's own memory is counted, too\n");
  skip();
#endif
  fixture *f = *state;
  run_shell(f, "echo warm");
  long supervisor = get_rss_kib(fl_supervisor_get_pid(f->s)), engine = get_rss_kib(getpid());
  const char *argv[] = {"/bin/sh", "-c", "head -c 200000000 /dev/zero", NULL};
  for (int capture = 0; capture < 2; capture++) {
    fl_spawn s = spawn_of(2, argv);
    s.capture = capture;
    s.capture_size_max = 16 << 20;
    s.log_size_max = 1 << 20;
    const fl_child_exit *e = run_spawn(f, &s);
    assert_int_equal(e->log_total, 200000000);
    assert_int_equal(e->capture_overflow, capture);
  }
  assert_true(get_rss_kib(fl_supervisor_get_pid(f->s)) - supervisor < 8192);
  assert_true(get_rss_kib(getpid()) - engine < 8192);
}

int main(int argc, char **argv) {
  int rc = be_helper(argc, argv);
  if (rc >= 0) return rc;
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(stdout_and_stderr_share_the_log),
      TEST(captured_stdout_is_given_back_and_logged),
      TEST(a_large_capture_goes_through_a_file),
      TEST(a_capture_past_its_limit_overflows),
      TEST(output_is_handed_back_through_a_path),
      TEST(a_large_output_goes_through_a_file_and_too_large_overflows),
      TEST(settling_removes_what_lay_in_files),
      TEST(a_file_that_is_gone_is_not_taken_for_no_output),
      TEST(the_tail_is_the_end_of_stderr),
      TEST(a_log_past_its_limit_keeps_both_ends),
      TEST(a_child_that_still_runs_can_be_followed),
      TEST(who_closes_its_stdout_is_not_waited_for),
      TEST(much_output_makes_no_process_grow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
