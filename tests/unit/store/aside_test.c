// Syncs and checkpoints that somebody else waits for: what is asked for, when a commit counts as
// being on the disk, and what a failure means.
#include <errno.h>
#include "store_helper.h"

typedef struct job {
  void (*work)(void *arg);
  void (*done)(void *arg);
  void *arg;
} job;

// Stands for the thread: does what it was given when it is told to.
static job jobs[16];
static int job_count;

static void put(void *ud, void (*work)(void *arg), void (*done)(void *arg), void *arg) {
  (void)ud;
  assert_in_range(job_count, 0, 15);
  jobs[job_count++] = (job){work, done, arg};
}

static void do_one(void) {
  assert_true(job_count > 0);
  job j = jobs[0];
  memmove(jobs, jobs + 1, (size_t)--job_count * sizeof *jobs);
  j.work(j.arg);
  j.done(j.arg);
}

static void do_all(void *ud) {
  (void)ud;
  while (job_count) do_one();
}

static fl_store *open_aside(const char *dir, fl_durability durability) {
  fl_store *s = NULL;
  fl_store_options options = {.durability = durability, .aside = {.run = put, .wait = do_all}};
  job_count = 0;
  ok(fl_store_open(dir, &options, &s, &err));
  return s;
}

static bool is_synced(fl_store *s, uint64_t number) {
  bool synced = false;
  ok(fl_store_is_synced(s, number, &synced, &err));
  return synced;
}

static uint64_t commit(fl_store *s, const char *text) {
  put_text(s, text);
  ok(fl_store_commit(s, &err));
  return fl_store_get_commit(s);
}

static void a_commit_is_on_the_disk_when_its_sync_is_done(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_aside(dir, FL_DURABILITY_FULL);
  uint64_t first = commit(s, "[1]");
  assert_int_equal(job_count, 1);
  assert_false(is_synced(s, first));
  do_one();
  assert_true(is_synced(s, first));
  assert_int_equal(job_count, 0);
  fl_store_close(s);
  remove_dir(dir);
}

static void commits_during_a_sync_share_the_next_one(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_aside(dir, FL_DURABILITY_FULL);
  uint64_t first = commit(s, "[1]"), second = commit(s, "[2]"), third = commit(s, "[3]");
  assert_int_equal(job_count, 1);
  do_one();
  // It began before the other two were written: it says nothing of them.
  assert_true(is_synced(s, first));
  assert_false(is_synced(s, second));
  assert_int_equal(job_count, 1);
  do_one();
  assert_true(is_synced(s, second) && is_synced(s, third));
  assert_int_equal(job_count, 0);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_commit_that_changes_nothing_is_as_durable_as_the_one_before(void **state) {
  char *dir = make_dir();
  (void)state;
  for (int aside = 0; aside < 2; aside++) {
    fl_store *s = NULL;
    fl_store_options options = {.durability = FL_DURABILITY_FULL};
    if (aside)
      s = open_aside(dir, FL_DURABILITY_FULL);
    else
      ok(fl_store_open(dir, &options, &s, &err));
    (void)commit(s, aside ? "[2]" : "[1]");
    ok(fl_store_begin(s, &err));
    ok(fl_store_commit(s, &err));
    uint64_t empty = fl_store_get_commit(s);
    assert_int_equal(is_synced(s, empty), !aside);
    if (aside) do_one();
    assert_true(is_synced(s, empty));
    fl_store_close(s);
  }
  remove_dir(dir);
}

static void a_flush_waits_and_covers_group(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_aside(dir, FL_DURABILITY_GROUP);
  s->synced_ms = fl_monotonic_ms() + 3600000; // as if just synced
  uint64_t number = commit(s, "[1]");
  assert_int_equal(job_count, 0);
  assert_false(is_synced(s, number));
  ok(fl_store_flush(s, &err));
  assert_true(is_synced(s, number));
  fl_store_close(s);
  remove_dir(dir);
}

static int sync_fails(void *ud, int fd) {
  (void)ud, (void)fd;
  errno = EIO;
  return -1;
}

static void a_failed_sync_ends_all_writing(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_aside(dir, FL_DURABILITY_FULL);
  uint64_t good = commit(s, "[1]");
  do_one();
  fl_disk broken = *s->disk;
  broken.fdatasync = sync_fails;
  const fl_disk *was = s->disk;
  s->disk = &broken;
  uint64_t number = commit(s, "[2]");
  do_one();
  bool synced = true;
  assert_true(is_synced(s, good));
  fails(fl_store_is_synced(s, number, &synced, &err), FL_E_UNKNOWN, dir);
  assert_false(synced);
  fails(fl_store_begin(s, &err), FL_E_UNKNOWN, "until the store is opened again");
  fails(fl_store_flush(s, &err), FL_E_UNKNOWN, dir);
  s->disk = was;
  fl_store_close(s);
  char mark[512];
  snprintf(mark, sizeof mark, "%s/" FL_STORE_UNSYNCED, dir);
  assert_int_equal(access(mark, F_OK), 0); // whoever opens it next knows
  remove_dir(dir);
}

static void the_log_is_copied_aside_while_commits_go_on(void **state) {
  char *dir = make_dir(), *large = malloc(300001);
  (void)state;
  fl_store *s = open_aside(dir, FL_DURABILITY_FULL);
  commit(s, "[1]");
  do_all(NULL);
  s->checkpoint_at = 1;
  commit(s, "[2]");
  assert_int_equal(job_count, 2); // the sync, the copy
  commit(s, "[3]");
  assert_int_equal(job_count, 2);
  do_all(NULL);
  assert_true(s->checkpoint_at > FL_STORE_WAL_PAGES);
  // The copy is whole: a log that starts anew begins with what is written next.
  int pages = s->wal_pages;
  commit(s, "[4]");
  assert_true(s->wal_pages < pages);
  // What would be a file of its own is not: nobody waits for its sync.
  memset(large, '1', 300000);
  large[300000] = 0;
  put_text(s, large);
  ok(fl_store_commit(s, &err));
  assert_int_equal(
      number_of(s, "SELECT count(*) FROM value WHERE size=300000 AND text IS NOT NULL"), 1);
  fl_store_close(s);
  free(large), remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_commit_is_on_the_disk_when_its_sync_is_done),
      cmocka_unit_test(commits_during_a_sync_share_the_next_one),
      cmocka_unit_test(a_commit_that_changes_nothing_is_as_durable_as_the_one_before),
      cmocka_unit_test(a_flush_waits_and_covers_group),
      cmocka_unit_test(a_failed_sync_ends_all_writing),
      cmocka_unit_test(the_log_is_copied_aside_while_commits_go_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
