// Turns whose commits somebody else makes durable: what waits for the sync, what goes on meanwhile.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "fake_engine.h"

typedef struct job {
  void (*work)(void *arg);
  void (*done)(void *arg);
  void *arg;
} job;
static job jobs[64];
static size_t job_count;

static void put(void *ud, void (*work)(void *arg), void (*done)(void *arg), void *arg) {
  (void)ud;
  assert_true(job_count < 64);
  jobs[job_count++] = (job){work, done, arg};
}

static bool do_one(void) {
  if (!job_count) return false;
  job j = jobs[0];
  memmove(jobs, jobs + 1, --job_count * sizeof *jobs);
  j.work(j.arg);
  j.done(j.arg);
  return true;
}

static void do_all(void *ud) {
  (void)ud;
  while (do_one()) {
  }
}

static void open_aside(fake_engine *f, const char *edges, fl_node_options options) {
  job_count = 0;
  fake_aside = (fl_aside){.run = put, .wait = do_all};
  fake_open(f, 4, edges, options);
  f->flow.durability = FL_DURABILITY_FULL;
}

static void close_aside(fake_engine *f) {
  fake_close(f);
  fake_aside = (fl_aside){0};
}

static void nothing_starts_and_nothing_is_told_before_the_sync(void **state) {
  (void)state;
  fake_engine f;
  open_aside(&f, "a b:a", (fl_node_options){.kind = FL_KIND_PROCESS});
  (void)fake_run(&f);
  assert_string_equal(f.started, "");
  assert_string_equal(f.told, "");
  assert_true(do_one());
  fake_step(&f);
  assert_string_equal(f.started, "a ");
  assert_string_equal(f.told, "run:running ");
  // Its end is recorded at once, and told and acted on when that is durable.
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_string_equal(f.started, "a ");
  while (do_one()) fake_step(&f);
  assert_string_equal(f.started, "a b ");
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  // It has ended, and is still counted: nobody was told yet.
  assert_int_equal(fl_scheduler_get_run_count(f.scheduler), 1);
  assert_null(strstr(f.told, "run:succeeded"));
  while (do_one()) fake_step(&f);
  assert_non_null(strstr(f.told, "run:succeeded"));
  assert_int_equal(fl_scheduler_get_run_count(f.scheduler), 0);
  close_aside(&f);
}

static void turns_go_on_during_a_sync_and_keep_their_order(void **state) {
  (void)state;
  fake_engine f;
  open_aside(&f, "a b c", (fl_node_options){.kind = FL_KIND_PROCESS});
  (void)fake_run(&f);
  while (do_one()) fake_step(&f);
  assert_string_equal(f.started, "a b c ");
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED); // its sync begins
  fake_end(&f, "b", FL_ATTEMPT_SUCCEEDED);
  fake_end(&f, "c", FL_ATTEMPT_SUCCEEDED);
  f.told[0] = 0;
  assert_int_equal(job_count, 1);
  assert_true(do_one());
  fake_step(&f);
  // The sync that ended covers the first only; the other two share the next.
  assert_string_equal(f.told, "a:running a:succeeded ");
  assert_int_equal(job_count, 1);
  while (do_one()) fake_step(&f);
  assert_string_equal(f.told, "a:running a:succeeded b:running b:succeeded c:running "
                              "c:succeeded run:succeeded ");
  close_aside(&f);
}

static void group_waits_for_no_sync(void **state) {
  (void)state;
  fake_engine f;
  open_aside(&f, "a", (fl_node_options){.kind = FL_KIND_PROCESS});
  f.flow.durability = FL_DURABILITY_GROUP;
  (void)fake_run(&f);
  assert_string_equal(f.started, "a ");
  assert_string_equal(f.told, "run:running ");
  fake_end(&f, "a", FL_ATTEMPT_SUCCEEDED);
  assert_non_null(strstr(f.told, "run:succeeded"));
  close_aside(&f);
}

static int sync_fails(void *ud, int fd) {
  (void)ud, (void)fd;
  errno = EIO;
  return -1;
}

static void a_failed_sync_tells_nothing_of_what_it_covered(void **state) {
  (void)state;
  fake_engine f;
  fl_disk broken = *fl_disk_system();
  broken.fdatasync = sync_fails;
  fake_disk = &broken;
  open_aside(&f, "a", (fl_node_options){.kind = FL_KIND_PROCESS});
  (void)fake_run(&f);
  bool again = true;
  fl_error err;
  assert_true(do_one());
  assert_int_equal(fl_scheduler_step(f.scheduler, 1000000, &again, &err), FL_E_UNKNOWN);
  assert_string_equal(f.started, "");
  assert_string_equal(f.told, "");
  fake_disk = NULL;
  close_aside(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_starts_and_nothing_is_told_before_the_sync),
      cmocka_unit_test(turns_go_on_during_a_sync_and_keep_their_order),
      cmocka_unit_test(group_waits_for_no_sync),
      cmocka_unit_test(a_failed_sync_tells_nothing_of_what_it_covered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
