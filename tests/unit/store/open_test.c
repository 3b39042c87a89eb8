// Opening: new stores, stores of others, damaged and newer ones, read-only places.
#include "store_helper.h"
#include <dirent.h>
#include <sys/wait.h>

static const fl_store_options writer = {.durability = FL_DURABILITY_FULL};
static const fl_store_options reader = {.read_only = true};

static void a_new_store_is_made_with_its_directories(void **state) {
  char *dir = make_dir(), *deep = join(dir, "a/b/.flowlua"), *file = join(deep, "flowlua.db");
  (void)state;
  fl_store *s = open_store(deep);
  assert_string_equal(fl_store_get_dir(s), deep);
  assert_int_equal(number_of(s, "PRAGMA user_version"), FL_STORE_SCHEMA);
  assert_rows(s, "PRAGMA journal_mode", "wal");
  assert_rows(s, "PRAGMA integrity_check", "ok");
  assert_rows(s, "SELECT text FROM value WHERE id=1", "{}");
  fl_store_close(s);
  // Closed cleanly, nothing stands beside it: no log, no left-over of its making.
  assert_int_equal(access(file, F_OK), 0);
  size_t entries = 0;
  DIR *d = opendir(deep);
  while (readdir(d)) entries++;
  closedir(d);
  assert_int_equal(entries, 3);
  s = open_store(deep);
  fl_store_close(s);
  free(file), free(deep), remove_dir(dir);
}

// Which directories were synced, as inodes.
static ino_t synced[32];
static size_t synced_count;

static int note_sync(void *ud, int fd) {
  struct stat st;
  (void)ud;
  if (!fstat(fd, &st) && synced_count < 32) synced[synced_count++] = st.st_ino;
  return fsync(fd);
}

static void every_directory_that_is_made_is_synced_into_the_one_above(void **state) {
  char *dir = make_dir(), *middle = join(dir, "a"), *deep = join(middle, "state");
  fl_disk disk = *fl_disk_system();
  fl_store_options options = {.durability = FL_DURABILITY_FULL, .disk = &disk};
  fl_store *s;
  (void)state;
  disk.fsync = note_sync;
  synced_count = 0;
  ok(fl_store_open(deep, &options, &s, &err));
  fl_store_close(s);
  const char *const above[] = {dir, middle, deep};
  for (size_t i = 0; i < 3; i++) {
    struct stat st;
    size_t at = 0;
    assert_int_equal(stat(above[i], &st), 0);
    while (at < synced_count && synced[at] != st.st_ino) at++;
    if (at == synced_count) fail_msg("'%s' was not synced", above[i]);
  }
  free(deep), free(middle), remove_dir(dir);
}

static void the_name_of_an_empty_log_is_synced(void **state) {
  char *dir = make_dir();
  fl_disk disk = *fl_disk_system();
  fl_store_options options = {.durability = FL_DURABILITY_FULL, .disk = &disk};
  fl_store *s;
  struct stat st;
  (void)state;
  fl_store_close(open_store(dir));
  disk.fsync = note_sync;
  synced_count = 0;
  ok(fl_store_open(dir, &options, &s, &err));
  assert_int_equal(stat(dir, &st), 0);
  assert_int_equal(synced_count, 1);
  assert_true(synced[0] == st.st_ino);
  fl_store_close(s);
  remove_dir(dir);
}

static void a_reader_makes_nothing(void **state) {
  char *dir = make_dir(), *missing = join(dir, "none");
  fl_store *s = (fl_store *)1;
  (void)state;
  fails(fl_store_open(missing, &reader, &s, &err), FL_E_NOT_FOUND, missing);
  assert_null(s);
  assert_int_not_equal(access(missing, F_OK), 0);
  fails(fl_store_open(dir, &reader, &s, &err), FL_E_NOT_FOUND, "there is no store");
  fl_store_close(open_store(dir));
  s = open_reader(dir);
  fails(fl_store_begin(s, &err), FL_E_STORE, "for reading only");
  fails(fl_store_put_value(s, fl_value_empty_map(), &err), FL_E_STORE, "for reading only");
  ok(fl_store_commit(s, &err));
  fl_store_close(s);
  free(missing), remove_dir(dir);
}

/// Opening must fail with `code`, say `text`, and leave the file as it is.
static void refused(const char *dir, fl_code code, const char *text) {
  size_t before_size, after_size, wal_before_size, wal_after_size;
  char *file = join(dir, "flowlua.db"), *wal = join(dir, "flowlua.db-wal");
  char *before = read_all(file, &before_size), *wal_before = read_all(wal, &wal_before_size);
  fl_store *s = NULL;
  fails(fl_store_open(dir, &writer, &s, &err), code, text);
  assert_non_null(strstr(err.message, file));
  fails(fl_store_open(dir, &reader, &s, &err), code, text);
  char *after = read_all(file, &after_size), *wal_after = read_all(wal, &wal_after_size);
  assert_int_equal(before_size, after_size);
  assert_int_equal(wal_before_size, wal_after_size);
  if (before_size) assert_memory_equal(before, after, before_size);
  if (wal_before_size) assert_memory_equal(wal_before, wal_after, wal_before_size);
  free(before), free(after), free(wal_before), free(wal_after), free(file), free(wal);
}

static void what_is_no_store_is_refused_and_left_alone(void **state) {
  char *dir = make_dir(), *file = join(dir, "flowlua.db"), garbage[9000];
  (void)state;
  write_all_to(file, "", 0);
  refused(dir, FL_E_CORRUPT, "is empty");
  write_all_to(file, "short", 5);
  refused(dir, FL_E_CORRUPT, "is not a database");
  memset(garbage, 'x', sizeof garbage);
  write_all_to(file, garbage, sizeof garbage);
  refused(dir, FL_E_CORRUPT, "is not a database");
  unlink(file);
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(file, &db), 0);
  assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(x)", NULL, NULL, NULL), 0);
  sqlite3_close(db);
  refused(dir, FL_E_CORRUPT, "another program");
  unlink(file);
  assert_int_equal(mkdir(file, 0777), 0);
  fl_store *s = NULL;
  fails(fl_store_open(dir, &writer, &s, &err), FL_E_CORRUPT, "no regular file");
  free(file), remove_dir(dir);
}

static void a_newer_store_is_refused_and_left_alone(void **state) {
  char *dir = make_dir(), *file = join(dir, "flowlua.db");
  (void)state;
  fl_store_close(open_store(dir));
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(file, &db), 0);
  assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=7", NULL, NULL, NULL), 0);
  sqlite3_close(db);
  refused(dir, FL_E_NEWER, "written by a newer FlowLua (schema 7, this one knows 5): upgrade");
  free(file), remove_dir(dir);
}

static void a_newer_version_in_the_log_is_refused_too(void **state) {
  char *dir = make_dir(), *file = join(dir, "flowlua.db");
  (void)state;
  fl_store_close(open_store(dir));
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(file, &db), 0);
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=7", NULL, NULL, NULL), 0);
  sqlite3_close(db);
  refused(dir, FL_E_NEWER, "schema 7");
  free(file), remove_dir(dir);
}

static void a_cut_store_is_refused(void **state) {
  char *dir = make_dir(), *file = join(dir, "flowlua.db");
  size_t size;
  (void)state;
  fl_store_close(open_store(dir));
  char *data = read_all(file, &size);
  write_all_to(file, data, size - 4096);
  refused(dir, FL_E_CORRUPT, "its end is missing");
  write_all_to(file, data, 100);
  refused(dir, FL_E_CORRUPT, "its end is missing");
  free(data), free(file), remove_dir(dir);
}

static void a_store_without_its_tables_is_refused(void **state) {
  char *dir = make_dir(), *file = join(dir, "flowlua.db");
  (void)state;
  fl_store_close(open_store(dir));
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(file, &db), 0);
  assert_int_equal(sqlite3_exec(db, "DROP TABLE attempt", NULL, NULL, NULL), 0);
  sqlite3_close(db);
  refused(dir, FL_E_CORRUPT, "tables are missing");
  free(file), remove_dir(dir);
}

static void damage_is_found_when_the_last_owner_was_killed(void **state) {
  char *dir = make_dir(), *copy = make_dir(), *file = join(copy, "flowlua.db");
  char *wal = join(copy, "flowlua.db-wal"), *from = join(dir, "flowlua.db");
  char *from_wal = join(dir, "flowlua.db-wal");
  size_t size, wal_size;
  fl_run_row run;
  (void)state;
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  ok(fl_store_commit(s, &err));
  // What a kill leaves: the database and a log with content.
  char *data = read_all(from, &size), *log = read_all(from_wal, &wal_size);
  assert_true(wal_size > 0);
  memset(data + 3 * 4096, 0xff, 4096);
  write_all_to(file, data, size);
  write_all_to(wal, log, wal_size);
  fl_store *broken = NULL;
  fails(fl_store_open(copy, &writer, &broken, &err), FL_E_CORRUPT, "is damaged");
  fl_store_close(s);
  free(data), free(log), free(from), free(from_wal), free(file), free(wal);
  remove_dir(copy), remove_dir(dir);
}

static void an_older_schema_is_migrated_whole_or_not_at_all(void **state) {
  static const char *const one[] = {"CREATE TABLE a(x)", NULL};
  static const char *const two[] = {"CREATE TABLE b(x)", "INSERT INTO b VALUES(1)", NULL};
  static const char *const bad[] = {"CREATE TABLE c(x)", "CREATE TABLE c(x)", NULL};
  static const char *const *const good_steps[] = {one, two};
  static const char *const *const bad_steps[] = {one, two, bad};
  sqlite3 *db = NULL;
  (void)state;
  assert_int_equal(sqlite3_open(":memory:", &db), 0);
  fl_store fake = {.db = db};
  assert_int_equal(fl_store_migrate(db, good_steps, 1), SQLITE_OK);
  assert_int_equal(number_of(&fake, "PRAGMA user_version"), 1);
  assert_int_not_equal(fl_store_migrate(db, bad_steps, 3), SQLITE_OK);
  assert_int_equal(number_of(&fake, "PRAGMA user_version"), 1);
  assert_rows(&fake, "SELECT name FROM sqlite_schema", "a");
  assert_int_equal(fl_store_migrate(db, good_steps, 2), SQLITE_OK);
  assert_int_equal(fl_store_migrate(db, good_steps, 2), SQLITE_OK); // nothing left to do
  assert_rows(&fake, "SELECT name FROM sqlite_schema ORDER BY 1", "a\nb");
  assert_int_equal(number_of(&fake, "SELECT count(*) FROM b"), 1);
  sqlite3_close(db);
}

// With all that the version which made it had: tables, words, views.
static void make_old_store(const char *file, int schema) {
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(file, &db), 0);
  assert_int_equal(fl_store_migrate(db, fl_store_steps, schema), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, fl_store_drop_views_sql, NULL, NULL, NULL), SQLITE_OK);
  char *set = sqlite3_mprintf("PRAGMA application_id=%d; CREATE VIEW v_run AS SELECT 1;"
                              "CREATE VIEW v_proposal AS SELECT * FROM proposal;",
                              FL_STORE_APPLICATION_ID);
  assert_int_equal(sqlite3_exec(db, set, NULL, NULL, NULL), 0);
  sqlite3_free(set);
  sqlite3_close(db);
}

static void a_reader_brings_an_older_store_up_to_date(void **state) {
  (void)state;
  char *dir = make_dir(), *file = join(dir, "flowlua.db");
  make_old_store(file, 2);
  fl_store *s = NULL;
  ok(fl_store_open(dir, &(fl_store_options){.read_only = true}, &s, &err));
  assert_int_equal(number_of(s, "PRAGMA user_version"), FL_STORE_SCHEMA);
  assert_rows(s, "SELECT count(*),sum(item) FROM attempt", "0|-");
  assert_rows(s, "SELECT count(*) FROM v_proposal", "0");
  fl_store_close(s);
  free(file), remove_dir(dir);
}

static void a_store_of_schema_1_is_brought_up_to_date(void **state) {
  char *dir = make_dir(), *file = join(dir, "flowlua.db");
  (void)state;
  sqlite3 *db = NULL;
  uint8_t digest[FL_DIGEST_SIZE];
  char hex[2 * FL_DIGEST_SIZE + 1];
  fl_value *saved = NULL;
  fl_digest("[5]", 3, digest);
  fl_digest_hex(digest, hex);
  assert_int_equal(sqlite3_open(file, &db), 0);
  assert_int_equal(fl_store_migrate(db, fl_store_steps, 1), SQLITE_OK);
  assert_int_equal(fl_store_put_words(db), SQLITE_OK);
  char *set = sqlite3_mprintf("PRAGMA application_id=%d; CREATE VIEW v_run AS SELECT 1;"
                              "INSERT INTO definition VALUES(1,x'00','f',1,1);"
                              "INSERT INTO definition_node VALUES(1,0,'a','lua','[]',0);"
                              "INSERT INTO value VALUES(5,x'%s',3,'[5]');"
                              "INSERT INTO checkpoint VALUES(1,0,2,77,5)",
                              FL_STORE_APPLICATION_ID, hex);
  assert_int_equal(sqlite3_exec(db, set, NULL, NULL, NULL), 0);
  sqlite3_free(set);
  sqlite3_close(db);
  fl_store *s = open_store(dir);
  assert_int_equal(number_of(s, "PRAGMA user_version"), FL_STORE_SCHEMA);
  assert_rows(s, "SELECT edited,name,position,removed FROM definition JOIN definition_node",
              "-|a|-|-");
  assert_rows(s, "SELECT count(*) FROM v_proposal", "0");
  ok(fl_store_get_checkpoint(s, 1, 0, &saved, &err));
  assert_string_equal(saved->text, "[5]");
  fl_value_unref(saved);
  fl_store_close(s);
  free(file), remove_dir(dir);
}

// An engine of an older version goes on with the tables it knows.
static void a_store_that_an_older_version_writes_to_is_left_to_it(void **state) {
  char *dir = make_dir(), *file = join(dir, "flowlua.db");
  sqlite3 *db = NULL;
  fl_store *s;
  (void)state;
  assert_int_equal(sqlite3_open(file, &db), 0);
  assert_int_equal(sqlite3_exec(db, "PRAGMA application_id=0x464c7561; PRAGMA journal_mode=WAL",
                                NULL, NULL, NULL),
                   SQLITE_OK);
  assert_int_equal(fl_store_migrate(db, fl_store_steps, 3), SQLITE_OK);
  assert_int_equal(fl_store_put_words(db), SQLITE_OK);
  const char *const runs =
      "INSERT INTO run(id,flow,definition,script,state,time_ms,\"trigger\",created_ms,resumes,"
      "epoch,owner,lease_ms,cancel) VALUES('r1','f',1,1,1,0,'manual',0,0,1,'boot/1/2#0123456789ab',"
      "5,0),('r2','f',1,1,1,0,'manual',0,0,1,'boot/1/2#ba9876543210',0,0)";
  assert_int_equal(sqlite3_exec(db, runs, NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
  fl_store_options options = {.owner_lives = owner_is, .owner_ud = "boot/1/2#0123456789ab"};
  fails(fl_store_open(dir, &options, &s, &err), FL_E_BUSY, "run r1 is being executed by an older");
  options.read_only = true;
  fails(fl_store_open(dir, &options, &s, &err), FL_E_BUSY, "brought up to date: run r1");
  options = (fl_store_options){.owner_lives = owner_is, .owner_ud = "boot/1/2#ba9876543210"};
  ok(fl_store_open(dir, &options, &s, &err)); // it gave r2 up; who had r1 is dead
  assert_rows(s, "SELECT id,owner FROM run", "r1|boot/1/2#0123456789ab\nr2|");
  fl_store_close(s);
  free(file), remove_dir(dir);
}

static void words_of_this_version_are_added_to_an_older_store(void **state) {
  char *dir = make_dir();
  (void)state;
  fl_store *s = open_store(dir);
  sqlite3_exec(s->db, "DELETE FROM reason WHERE id>3", NULL, NULL, NULL);
  fl_store_close(s);
  s = open_store(dir);
  assert_int_equal(number_of(s, "SELECT count(*) FROM reason"), FL_REASON_COUNT);
  fl_store_close(s);
  remove_dir(dir);
}

static void left_overs_of_a_killed_creation_do_not_matter(void **state) {
  char *dir = make_dir(), *stale = join(dir, "flowlua.db.new-0123");
  (void)state;
  write_all_to(stale, "half", 4);
  struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
  assert_int_equal(utimensat(AT_FDCWD, stale, old, 0), 0);
  fl_store_close(open_store(dir));
  assert_int_not_equal(access(stale, F_OK), 0);
  free(stale), remove_dir(dir);
}

// Runs `body` as a user without rights in a child, for permissions do not bind root.
static int as_nobody(int (*body)(const char *dir), const char *dir) {
  pid_t pid = fork();
  if (pid == 0) {
    if (geteuid() == 0 && (setgid(65534) || setuid(65534))) _exit(99);
    _exit(body(dir));
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static int expect_no_write(const char *dir) {
  fl_store *s = NULL;
  fl_code code = fl_store_open(dir, &writer, &s, &err);
  if (code != FL_E_STORE) return 1;
  return strstr(err.message, dir) ? 0 : 2;
}

static int expect_read(const char *dir) {
  fl_store *s = NULL;
  if (fl_store_open(dir, &reader, &s, &err)) return 1;
  int count = (int)number_of(s, "SELECT count(*) FROM run");
  fl_store_close(s);
  return count == 1 ? 0 : 2;
}

static void a_read_only_place_is_named(void **state) {
  char *dir = make_dir(), *file = join(dir, "flowlua.db");
  fl_run_row run;
  (void)state;
  assert_int_equal(chmod(dir, 0555), 0);
  if (geteuid() == 0) assert_int_equal(as_nobody(expect_no_write, dir), 0); // no store yet
  assert_int_equal(chmod(dir, 0755), 0);
  fl_store *s = open_store(dir);
  add_run(s, "r1", &run);
  ok(fl_store_commit(s, &err));
  fl_store_close(s);
  assert_int_equal(chmod(file, 0444), 0);
  assert_int_equal(chmod(dir, 0555), 0);
  if (geteuid() == 0) {
    assert_int_equal(as_nobody(expect_no_write, dir), 0);
    assert_int_equal(as_nobody(expect_read, dir), 0);
  }
  assert_int_equal(chmod(dir, 0755), 0);
  free(file), remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_new_store_is_made_with_its_directories),
      cmocka_unit_test(every_directory_that_is_made_is_synced_into_the_one_above),
      cmocka_unit_test(the_name_of_an_empty_log_is_synced),
      cmocka_unit_test(a_reader_makes_nothing),
      cmocka_unit_test(what_is_no_store_is_refused_and_left_alone),
      cmocka_unit_test(a_newer_store_is_refused_and_left_alone),
      cmocka_unit_test(a_newer_version_in_the_log_is_refused_too),
      cmocka_unit_test(a_cut_store_is_refused),
      cmocka_unit_test(a_store_without_its_tables_is_refused),
      cmocka_unit_test(damage_is_found_when_the_last_owner_was_killed),
      cmocka_unit_test(an_older_schema_is_migrated_whole_or_not_at_all),
      cmocka_unit_test(a_reader_brings_an_older_store_up_to_date),
      cmocka_unit_test(a_store_of_schema_1_is_brought_up_to_date),
      cmocka_unit_test(a_store_that_an_older_version_writes_to_is_left_to_it),
      cmocka_unit_test(words_of_this_version_are_added_to_an_older_store),
      cmocka_unit_test(left_overs_of_a_killed_creation_do_not_matter),
      cmocka_unit_test(a_read_only_place_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
