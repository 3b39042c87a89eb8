// Transactions: grouping, durability, failures of the disk, a log that was cut.
#include "store_helper.h"
#include <errno.h>

static void the_first_write_begins_and_commit_ends(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_store(dir);
  assert_false(fl_store_is_open(s));
  put_text(s, "[1]");
  assert_true(fl_store_is_open(s));
  ok(fl_store_begin(s, &err)); // no effect: one is open
  ok(fl_store_commit(s, &err));
  assert_false(fl_store_is_open(s));
  ok(fl_store_commit(s, &err)); // nothing to commit
  put_text(s, "[2]");
  fl_store_rollback(s);
  assert_int_equal(number_of(s, "SELECT count(*) FROM value WHERE text='[1]'"), 1);
  assert_int_equal(number_of(s, "SELECT count(*) FROM value WHERE text='[2]'"), 0);
  put_text(s, "[3]");
  fl_store_close(s); // rolls back
  s = open_store(dir);
  assert_int_equal(number_of(s, "SELECT count(*) FROM value WHERE text='[3]'"), 0);
  fl_store_close(s);
  remove_dir(dir);
}

static void full_leaves_nothing_to_sync(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_store(dir);
  assert_int_equal(fl_store_sync_due_ms(s, fl_monotonic_ms()), -1);
  put_text(s, "[1]");
  ok(fl_store_commit(s, &err));
  assert_int_equal(fl_store_sync_due_ms(s, fl_monotonic_ms()), -1);
  fl_store_close(s);
  remove_dir(dir);
}

static void group_leaves_a_sync_due_within_100_ms(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_with(dir, FL_DURABILITY_GROUP, false);
  put_text(s, "[1]");
  ok(fl_store_commit(s, &err)); // long after the last one: synced
  assert_int_equal(fl_store_sync_due_ms(s, fl_monotonic_ms()), -1);
  s->synced_ms = fl_monotonic_ms() + 3600000; // as if just synced, for a slow machine
  put_text(s, "[2]");
  ok(fl_store_commit(s, &err));
  assert_int_equal(fl_store_sync_due_ms(s, s->synced_ms + 30), 70);
  assert_int_equal(fl_store_sync_due_ms(s, s->synced_ms + 500), 0);
  ok(fl_store_sync(s, &err));
  assert_int_equal(fl_store_sync_due_ms(s, fl_monotonic_ms()), -1);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_failed_sync_ends_all_writing(void **state) {
  char *dir = make_dir();
  int pipes[2];
  (void)state;
  fl_store *s = open_store(dir);
  // fdatasync() of a pipe fails.
  assert_int_equal(pipe(pipes), 0);
  close(s->wal_fd);
  s->wal_fd = pipes[1];
  put_text(s, "[1]");
  fails(fl_store_commit(s, &err), FL_E_UNKNOWN, "it is unknown what is on disk");
  fails(fl_store_begin(s, &err), FL_E_UNKNOWN, "until the store is opened again");
  fails(fl_store_commit(s, &err), FL_E_UNKNOWN, dir);
  fails(fl_store_sync(s, &err), FL_E_UNKNOWN, dir);
  fl_value *v = value_of("[2]");
  fails(fl_store_put_value(s, v, &err), FL_E_UNKNOWN, dir);
  assert_int_equal(v->store_id, 0);
  fl_value_unref(v);
  assert_int_equal(fl_store_sync_due_ms(s, 0), -1);
  fl_store_close(s);
  close(pipes[0]);
  s = open_store(dir);
  put_text(s, "[2]");
  ok(fl_store_commit(s, &err));
  fl_store_close(s);
  remove_dir(dir);
}

static void a_full_disk_rolls_back_and_is_known(void **state) {
  char *dir = make_dir(), *large = malloc(200001);
  (void)state;
  memset(large, '1', 200000);
  large[200000] = 0;
  fl_store *s = open_store(dir);
  put_text(s, "[1]");
  ok(fl_store_commit(s, &err));
  sqlite3_exec(s->db, "PRAGMA max_page_count=1", NULL, NULL, NULL); // at once as many as it has
  put_text(s, "[2]");
  fl_value *v = value_of(large);
  fails(fl_store_put_value(s, v, &err), FL_E_FULL, "no space left on the device");
  assert_false(fl_store_is_open(s));
  assert_int_equal(v->store_id, 0);
  assert_int_equal(number_of(s, "SELECT count(*) FROM value WHERE text='[2]'"), 0);
  assert_int_equal(number_of(s, "SELECT count(*) FROM value WHERE text='[1]'"), 1);
  sqlite3_exec(s->db, "PRAGMA max_page_count=1000000", NULL, NULL, NULL);
  ok(fl_store_put_value(s, v, &err)); // space came back
  ok(fl_store_commit(s, &err));
  fl_value_unref(v);
  fl_store_close(s);
  free(large), remove_dir(dir);
}

static void a_rollback_takes_back_the_ids_of_values(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_store(dir);
  fl_value *a = value_of("[1]"), *same = value_of("[1]");
  ok(fl_store_put_value(s, a, &err));
  ok(fl_store_put_value(s, same, &err));
  assert_int_not_equal(a->store_id, 0);
  assert_int_equal(a->store_id, same->store_id);
  fl_store_rollback(s);
  assert_int_equal(a->store_id, 0);
  assert_int_equal(same->store_id, 0);
  assert_int_equal(a->refs, 1);
  ok(fl_store_put_value(s, same, &err));
  ok(fl_store_commit(s, &err));
  assert_int_not_equal(same->store_id, 0);
  fl_value_unref(a);
  fl_value_unref(same);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_reader_sees_the_last_commit_and_never_waits(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_store(dir), *r = open_reader(dir);
  fl_buf out;
  fl_run_row run;
  fl_buf_init(&out, 1 << 20);
  add_run(s, "r1", &run);
  ok(fl_read_store_runs(r, 0, &out, &err));
  assert_string_equal(fl_buf_cstr(&out), "[]");
  ok(fl_store_commit(s, &err));
  ok(fl_store_set_run_state(s, run.row, FL_RUN_FAILED, 0, T0 + 9, "boom", &err));
  fl_buf_reset(&out);
  ok(fl_read_store_runs(r, 0, &out, &err));
  assert_non_null(strstr(fl_buf_cstr(&out), "\"status\":\"running\""));
  ok(fl_store_commit(s, &err));
  fl_buf_reset(&out);
  ok(fl_read_store_runs(r, 0, &out, &err));
  assert_non_null(strstr(fl_buf_cstr(&out), "\"status\":\"failed\""));
  fl_buf_deinit(&out);
  fl_store_close(r);
  fl_store_close(s);
  remove_dir(dir);
}

static void two_stores_live_in_one_process(void **state) {
  char *dir = make_dir(), *other = make_dir();
  (void)state;
  fl_store *a = open_store(dir), *b = open_store(other), *again = open_store(dir);
  int64_t one = put_text(a, "[\"a\"]"), two = put_text(b, "[\"b\"]");
  ok(fl_store_put_value(a, fl_value_empty_map(), &err));
  ok(fl_store_put_value(b, fl_value_empty_map(), &err));
  assert_int_equal(fl_value_empty_map()->store_id, 1);
  ok(fl_store_commit(a, &err));
  ok(fl_store_commit(b, &err));
  assert_int_equal(one, two); // the same row of different stores
  fl_value *v;
  ok(fl_store_get_value(again, one, &v, &err));
  assert_string_equal(v->text, "[\"a\"]");
  fl_value_unref(v);
  // A second handle on one store closes without dropping the locks of the first.
  fl_store_close(again);
  put_text(a, "[3]");
  ok(fl_store_commit(a, &err));
  fl_store_close(a);
  fl_store_close(b);
  remove_dir(dir), remove_dir(other);
}

static void the_log_is_copied_into_the_database_when_it_has_grown(void **state) {
  char *dir = make_dir(), *large = malloc(100001);
  (void)state;
  memset(large, '1', 100000);
  large[100000] = 0;
  fl_store *s = open_store(dir);
  int most = 0;
  for (int i = 0; i < 300; i++) {
    snprintf(large, 20, "%d", 100000 + i);
    large[6] = '1';
    put_text(s, large);
    ok(fl_store_commit(s, &err));
    if (s->wal_pages > most) most = s->wal_pages;
  }
  assert_true(most >= FL_STORE_WAL_PAGES);
  assert_true(most < FL_STORE_WAL_PAGES + 200); // it started anew after the copy
  fl_store_close(s);
  free(large), remove_dir(dir);
}

/// Copies `dir` (as a kill would leave it) with its log cut to `size` bytes and `flip` inverted.
static void copy_cut(const char *dir, const char *to, size_t size, long flip) {
  static const char *const names[] = {"flowlua.db", "flowlua.db-wal"};
  for (int i = 0; i < 2; i++) {
    size_t n;
    char *from = join(dir, names[i]), *path = join(to, names[i]), *data = read_all(from, &n);
    if (i == 1 && n > size) n = size;
    if (i == 1 && flip >= 0 && (size_t)flip < n) data[flip] ^= 0x10;
    write_all_to(path, data, n);
    free(data), free(from), free(path);
  }
  char *shm = join(to, "flowlua.db-shm");
  unlink(shm);
  free(shm);
}

static void a_cut_log_gives_a_prefix_of_the_commits(void **state) {
  char *dir = make_dir(), *copy = make_dir(), text[32], *wal = join(dir, "flowlua.db-wal");
  enum { COMMITS = 30 };
  size_t sizes[COMMITS + 1];
  (void)state;
  fl_store *s = open_store(dir);
  sizes[0] = 0;
  for (int i = 1; i <= COMMITS; i++) {
    for (int k = 0; k < i % 4 + 1; k++) {
      snprintf(text, sizeof text, "[%d,%d]", i, k);
      put_text(s, text);
    }
    ok(fl_store_commit(s, &err));
    sizes[i] = 32 + (size_t)s->wal_pages * (4096 + 24);
  }
  struct stat st; // zeros stand behind the commits by now: a reader stops at them
  assert_int_equal(stat(wal, &st), 0);
  assert_true((size_t)st.st_size > sizes[COMMITS]);
  size_t last = sizes[COMMITS];
  for (size_t size = 0; size <= last; size += size % 4096 == 0 ? 517 : 4096 - size % 4096) {
    for (int flip = 0; flip < 2; flip++) {
      size_t sound = flip ? size / 2 : size; // nothing behind a wrong byte counts
      int expected = 0;
      while (expected < COMMITS && sizes[expected + 1] <= sound) expected++;
      copy_cut(dir, copy, size, flip ? (long)(size / 2) : -1);
      fl_store *c = open_store(copy);
      int64_t commits = number_of(c, "SELECT count(DISTINCT json_extract(text,'$[0]')) FROM value"
                                     " WHERE text LIKE '[%'");
      int64_t rows = number_of(c, "SELECT count(*) FROM value WHERE text LIKE '[%'"), sum = 0;
      for (int i = 1; i <= commits; i++) sum += i % 4 + 1;
      if (commits != expected || rows != sum)
        fail_msg("cut at %zu of %zu: %d commits, expected %d", size, last, (int)commits, expected);
      assert_rows(c, "PRAGMA integrity_check", "ok");
      fl_store_close(c);
    }
  }
  fl_store_close(s);
  free(wal), remove_dir(copy), remove_dir(dir);
}

// A disk whose syncs of the log fail; all else is the machine's.
static int fail_sync(void *ud, int fd) {
  (void)ud, (void)fd;
  return errno = EIO, -1;
}

static int64_t file_size(const char *dir, const char *name) {
  struct stat st;
  char *path = join(dir, name);
  int rc = stat(path, &st);
  free(path);
  return rc ? -1 : st.st_size;
}

static void after_a_failed_sync_the_next_opening_empties_the_log(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_disk disk = *fl_disk_system();
  fl_store *s;
  fl_store_options options = {.durability = FL_DURABILITY_FULL, .disk = &disk};
  ok(fl_store_open(dir, &options, &s, &err));
  disk.fdatasync = fail_sync;
  put_text(s, "[1]");
  assert_int_equal(fl_store_commit(s, &err), FL_E_UNKNOWN);
  fl_store_close(s);
  assert_true(file_size(dir, FL_STORE_FILE "-wal") > 0);
  assert_int_equal(file_size(dir, FL_STORE_UNSYNCED), 0);
  s = open_store(dir);
  assert_int_equal(file_size(dir, FL_STORE_FILE "-wal"), 0);
  assert_int_equal(file_size(dir, FL_STORE_UNSYNCED), -1); // gone
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_write_begins_and_commit_ends),
      cmocka_unit_test(full_leaves_nothing_to_sync),
      cmocka_unit_test(group_leaves_a_sync_due_within_100_ms),
      cmocka_unit_test(a_failed_sync_ends_all_writing),
      cmocka_unit_test(after_a_failed_sync_the_next_opening_empties_the_log),
      cmocka_unit_test(a_full_disk_rolls_back_and_is_known),
      cmocka_unit_test(a_rollback_takes_back_the_ids_of_values),
      cmocka_unit_test(a_reader_sees_the_last_commit_and_never_waits),
      cmocka_unit_test(two_stores_live_in_one_process),
      cmocka_unit_test(the_log_is_copied_into_the_database_when_it_has_grown),
      cmocka_unit_test(a_cut_log_gives_a_prefix_of_the_commits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
