// Transactions: grouping, durability, failures of the disk, a log that was cut.
#include "read/read.h"
#include "store_helper.h"
#include <errno.h>
#include <sys/wait.h>

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

static int64_t database_size(fl_store *s) {
  struct stat st;
  if (stat(s->path, &st)) fail();
  return st.st_size;
}

static void who_has_little_time_copies_the_log_while_it_is_short(void **state) {
  char *dir = make_dir(), text[8192];
  (void)state;
  fl_store *s = open_store(dir);
  int64_t size = database_size(s);
  memset(text, 'a', sizeof text);
  for (int i = 0; i < 200; i++) {
    snprintf(text, 16, "[%d,\"", i);
    text[strlen(text)] = 'a';
    memcpy(text + sizeof text - 3, "\"]", 3);
    put_text(s, text);
    ok(fl_store_commit(s, &err));
  }
  fl_store_tend_log(s, 50000); // there is time for what a commit would find
  assert_int_equal(database_size(s), size);
  fl_store_tend_log(s, 1000);
  assert_true(database_size(s) > size + 200 * 8192);
  int at = s->copied_at;
  put_text(s, "[1]");
  fl_store_tend_log(s, 1000); // within a transaction: not now
  ok(fl_store_commit(s, &err));
  fl_store_tend_log(s, 1000); // little has come since
  assert_true(at > 400 && s->copied_at == 0 && s->wal_pages < 10);
  fl_store_tend_log(NULL, 1000);
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
  s->sync_ms = 20; // fl_config.sync_ms
  assert_int_equal(fl_store_sync_due_ms(s, s->synced_ms + 15), 5);
  ok(fl_store_sync(s, &err));
  assert_int_equal(fl_store_sync_due_ms(s, fl_monotonic_ms()), -1);
  fl_store_close(s);
  remove_dir(dir);
}

static int64_t log_size_after(int64_t room, int commits, int *pages) {
  char *dir = make_dir(), *log = join(dir, "flowlua.db-wal"), text[16];
  fl_store_options options = {.durability = FL_DURABILITY_FULL, .log_room = room};
  fl_store *s;
  size_t size;
  ok(fl_store_open(dir, &options, &s, &err));
  for (int i = 0; i < commits; i++) {
    snprintf(text, sizeof text, "[%d]", i);
    put_text(s, text);
    ok(fl_store_commit(s, &err));
  }
  *pages = s->wal_pages;
  free(read_all(log, &size));
  fl_store_close(s);
  free(log), remove_dir(dir);
  return (int64_t)size;
}

static void zeros_are_written_ahead_of_the_log_as_many_as_asked_for(void **state) {
  int pages = 0;
  (void)state;
  int64_t size = log_size_after(0, 10, &pages); // a short run
  assert_int_equal(size, 32 + pages * 4120);
  size = log_size_after(0, 40, &pages);
  assert_in_range(size, 512 << 10, 800 << 10);
  size = log_size_after(100000, 40, &pages);
  assert_in_range(size, 32 + pages * 4120 + 1, 32 + pages * 4120 + 120000);
  size = log_size_after(-1, 40, &pages);
  assert_int_equal(size, 32 + pages * 4120);
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
  assert_int_equal(a->refs, 2); // ours, and that of the short values that were put last
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
  ok(fl_read_store_runs(r, &(fl_run_query){.limit = 0}, &out, &err));
  assert_string_equal(fl_buf_cstr(&out), "[]");
  ok(fl_store_commit(s, &err));
  ok(fl_store_set_run_state(s, run.row, FL_RUN_FAILED, 0, T0 + 9, "boom", &err));
  fl_buf_reset(&out);
  ok(fl_read_store_runs(r, &(fl_run_query){.limit = 0}, &out, &err));
  assert_non_null(strstr(fl_buf_cstr(&out), "\"status\":\"running\""));
  ok(fl_store_commit(s, &err));
  fl_buf_reset(&out);
  ok(fl_read_store_runs(r, &(fl_run_query){.limit = 0}, &out, &err));
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

// ------------------------------------------------------------------------------------- the log

static void write_some(fl_store *s, int commits) {
  static int number;
  for (int i = 0; i < commits; i++) {
    char text[256];
    snprintf(text, sizeof text, "[%0200d]", ++number);
    put_text(s, text);
    ok(fl_store_commit_as(s, FL_DURABILITY_GROUP, &err));
  }
}

static const sqlite3_io_methods *log_methods;
static sqlite3_io_methods log_methods_with_rival;
static fl_store *rival;

// SQLite's first step of a checkpoint, when it has looked up to where it will copy.
static int sync_while_another_writes(sqlite3_file *file, int flags) {
  if (rival && !fl_store_begin(rival, &err)) write_some(rival, 3);
  file->pMethods = log_methods;
  int rc = file->pMethods->xSync(file, flags);
  file->pMethods = &log_methods_with_rival;
  return rc;
}

static void a_log_that_others_write_to_is_begun_anew(void **state) {
  (void)state;
  char *dir = make_dir();
  fl_store *s = open_store(dir);
  fl_store_options options = {.durability = FL_DURABILITY_GROUP, .gives_way = true};
  sqlite3_file *file = NULL;
  ok(fl_store_open(dir, &options, &rival, &err));
  write_some(rival, 1);
  write_some(s, 40);
  sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
  log_methods = file->pMethods;
  log_methods_with_rival = *log_methods;
  log_methods_with_rival.xSync = sync_while_another_writes;
  file->pMethods = &log_methods_with_rival;
  // What is copied while the other writes is not all of it.
  fl_store_checkpoint(s);
  write_some(s, 1);
  assert_true(s->wal_pages > 40);
  fl_store_restart_log(s, 50);
  write_some(s, 1);
  assert_true(s->wal_pages < 10);
  file->pMethods = log_methods;
  assert_rows(s, "SELECT count(*) FROM value WHERE id>2", "49");
  assert_rows(s, "PRAGMA integrity_check", "ok");
  fl_store_close(rival);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_reader_keeps_the_log_and_nobody_waits_for_it(void **state) {
  (void)state;
  char *dir = make_dir();
  fl_store *s = open_store(dir), *reader = open_reader(dir);
  write_some(s, 20);
  ok(fl_store_read_begin(reader, &err));
  assert_rows(reader, "SELECT count(*) FROM value WHERE id>2", "20");
  write_some(s, 20);
  fl_store_restart_log(s, 1);
  write_some(s, 1);
  assert_true(s->wal_pages > 40 && !s->failed);
  assert_rows(reader, "SELECT count(*) FROM value WHERE id>2", "20");
  fl_store_read_end(reader);
  fl_store_restart_log(s, 1);
  write_some(s, 1);
  assert_true(s->wal_pages < 10);
  assert_rows(reader, "SELECT count(*) FROM value WHERE id>2", "42");
  fl_store_close(reader);
  fl_store_close(s);
  remove_dir(dir);
}

static void who_keeps_a_large_log_is_told_once(void **state) {
  (void)state;
  char *dir = make_dir(), byte;
  int told[2], end[2], pid;
  int64_t bytes;
  fl_store *s = open_store(dir);
  write_some(s, 1);
  assert_true(!pipe(told) && !pipe(end));
  pid_t child = fork();
  if (child == 0) {
    sqlite3 *db;
    char *path = join(dir, "flowlua.db");
    close(end[1]);
    bool reads = !sqlite3_open(path, &db) &&
                 !sqlite3_exec(db, "BEGIN; SELECT count(*) FROM value", NULL, NULL, NULL);
    if (reads && write(told[1], "x", 1) == 1) (void)!read(end[0], &byte, 1);
    _exit(0);
  }
  close(end[0]);
  assert_int_equal(read(told[0], &byte, 1), 1);
  s->log_alarm = 30;
  write_some(s, 10);
  assert_false(fl_store_take_log_alarm(s, &bytes, &pid));
  write_some(s, 20);
  assert_true(fl_store_take_log_alarm(s, &bytes, &pid));
  assert_int_equal(pid, child);
  assert_true(bytes > 30 * 4096);
  write_some(s, 5);
  assert_false(fl_store_take_log_alarm(s, &bytes, &pid));
  write_some(s, 60);
  assert_true(fl_store_take_log_alarm(s, &bytes, &pid));
  close(end[1]);
  assert_int_equal(waitpid(child, NULL, 0), child);
  fl_store_restart_log(s, 10);
  write_some(s, 40);
  assert_false(fl_store_take_log_alarm(s, &bytes, &pid));
  close(told[0]), close(told[1]);
  fl_store_close(s);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_write_begins_and_commit_ends),
      cmocka_unit_test(a_log_that_others_write_to_is_begun_anew),
      cmocka_unit_test(a_reader_keeps_the_log_and_nobody_waits_for_it),
      cmocka_unit_test(who_keeps_a_large_log_is_told_once),
      cmocka_unit_test(full_leaves_nothing_to_sync),
      cmocka_unit_test(who_has_little_time_copies_the_log_while_it_is_short),
      cmocka_unit_test(group_leaves_a_sync_due_within_100_ms),
      cmocka_unit_test(zeros_are_written_ahead_of_the_log_as_many_as_asked_for),
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
