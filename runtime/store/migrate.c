// Brings a database to the newest schema, step by step, and makes new ones.
//
// A new store is put in place whole: its bytes (image.c) are written to a file beside, synced,
// closed, renamed. So a crash leaves either no store or a complete one, and no half-made file is
// ever opened. (It is closed before it gets its name: closing a descriptor of a database drops the
// locks that another store of this process may hold on it.)
#include "store/store_internal.h"
#include <errno.h>
#include <fcntl.h>

#define STALE_S 60 // a file of a creation that was killed; a living one takes milliseconds

// Only the last step makes the views: they are of the newest schema.
static const char *const step_1[] = {fl_store_tables_sql, NULL};
static const char *const step_2[] = {fl_store_drop_views_sql, fl_store_tables_2_sql, NULL};
static const char *const step_3[] = {fl_store_drop_views_sql, fl_store_tables_3_sql, NULL};
static const char *const step_4[] = {fl_store_drop_views_sql, fl_store_tables_4_sql, NULL};
static const char *const step_5[] = {fl_store_drop_views_sql, fl_store_tables_5_sql,
                                     fl_store_views_sql, NULL};
const char *const *const fl_store_steps[FL_STORE_SCHEMA] = {step_1, step_2, step_3, step_4, step_5};

int fl_store_migrate(sqlite3 *db, const char *const *const *steps, int count) {
  sqlite3_stmt *st = NULL;
  char set[64];
  int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
  if (rc) return rc;
  // Read within the transaction: another process may have migrated while we waited for it.
  rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL);
  if (rc) goto out;
  rc = sqlite3_step(st) == SQLITE_ROW ? SQLITE_OK : sqlite3_errcode(db);
  int version = rc ? count : sqlite3_column_int(st, 0);
  sqlite3_finalize(st);
  for (; !rc && version < count; version++)
    for (const char *const *sql = steps[version]; !rc && *sql; sql++)
      rc = sqlite3_exec(db, *sql, NULL, NULL, NULL);
  if (rc) goto out;
  snprintf(set, sizeof set, "PRAGMA user_version=%d", version);
  rc = sqlite3_exec(db, set, NULL, NULL, NULL);
  if (!rc) rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
out:
  if (rc) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
  return rc;
}

/// One statement a table: `text` NULL for those without sentences.
static int put_words(sqlite3 *db, const char *table, int count, const char *(*name)(int),
                     const char *(*text)(int)) {
  sqlite3_str *sql = sqlite3_str_new(db);
  sqlite3_str_appendf(sql, "INSERT OR REPLACE INTO %s VALUES", table);
  for (int i = 0; i < count; i++) {
    sqlite3_str_appendf(sql, "%s(%d,%Q", i ? "," : "", i, name(i));
    if (text) sqlite3_str_appendf(sql, ",%Q", text(i));
    sqlite3_str_appendall(sql, ")");
  }
  char *all = sqlite3_str_finish(sql);
  int rc = all ? sqlite3_exec(db, all, NULL, NULL, NULL) : SQLITE_NOMEM;
  sqlite3_free(all);
  return rc;
}

static const char *run_word(int i) {
  return fl_run_state_text(i);
}
static const char *node_word(int i) {
  return fl_node_state_text(i);
}
static const char *attempt_word(int i) {
  return fl_attempt_state_text(i);
}
static const char *reason_word(int i) {
  return fl_reason_name(i);
}
static const char *reason_sentence(int i) {
  return fl_reason_text(i);
}
static const char *hook_word(int i) {
  static const char *const hooks[] = {"", "on_success", "on_failure", "on_cancel", "on_exit"};
  return hooks[i];
}

int fl_store_put_words(sqlite3 *db) {
  int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
  if (!rc) rc = put_words(db, "run_state", FL_RUN_STATE_COUNT, run_word, NULL);
  if (!rc) rc = put_words(db, "node_state", FL_NODE_STATE_COUNT, node_word, NULL);
  if (!rc) rc = put_words(db, "attempt_state", FL_ATTEMPT_STATE_COUNT, attempt_word, NULL);
  if (!rc) rc = put_words(db, "reason", FL_REASON_COUNT, reason_word, reason_sentence);
  if (!rc) rc = put_words(db, "hook", 5, hook_word, NULL);
  if (!rc) rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
  if (rc) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
  return rc;
}

static int write_file(const fl_disk *disk, int dir_fd, const char *name, const void *data,
                      size_t size) {
  const char *at = data;
  int errnum = 0;
  int fd = disk->open(disk->ud, dir_fd, name, O_WRONLY | O_CREAT | O_EXCL);
  if (fd < 0) return errno;
  while (size && !errnum) {
    ssize_t n = disk->write(disk->ud, fd, at, size);
    if (n < 0 && errno != EINTR) errnum = errno;
    if (n > 0) at += n, size -= (size_t)n;
  }
  if (!errnum && disk->fsync(disk->ud, fd)) errnum = errno;
  disk->close(disk->ud, fd);
  if (errnum) disk->unlink(disk->ud, dir_fd, name);
  return errnum;
}

typedef struct stale_sweep {
  const fl_disk *disk;
  int dir_fd;
} stale_sweep;

static void remove_when_stale(void *ud, const char *name) {
  const stale_sweep *w = ud;
  const fl_disk *d = w->disk;
  fl_disk_stat st;
  if (strncmp(name, FL_STORE_FILE ".new-", sizeof FL_STORE_FILE ".new-" - 1)) return;
  if (d->stat(d->ud, w->dir_fd, name, &st)) return;
  if (st.modified_s + STALE_S < fl_wall_ms() / 1000) d->unlink(d->ud, w->dir_fd, name);
}

fl_code fl_store_create(const fl_disk *disk, int dir_fd, const char *path, fl_error *err) {
  char name[64];
  uint8_t random[8];
  size_t size = fl_store_image_size;
  unsigned char *built = size ? NULL : fl_store_image_build(&size);
  const unsigned char *image = built ? built : fl_store_image;
  if (!size) return fl_fail(err, FL_E_SYSTEM, "cannot create '%s': out of memory", path);
  fl_random_bytes(random, sizeof random);
  int used = snprintf(name, sizeof name, FL_STORE_FILE ".new-");
  for (size_t i = 0; i < sizeof random; i++)
    used += snprintf(name + used, sizeof name - (size_t)used, "%02x", random[i]);
  stale_sweep sweep = {disk, dir_fd};
  disk->list(disk->ud, dir_fd, remove_when_stale, &sweep);
  int errnum = write_file(disk, dir_fd, name, image, size);
  sqlite3_free(built);
  if (!errnum) {
    // link() fails when the name is taken; rename() would replace a store that another made
    // meanwhile.
    if (disk->link(disk->ud, dir_fd, name, FL_STORE_FILE) && errno != EEXIST) errnum = errno;
    disk->unlink(disk->ud, dir_fd, name);
  }
  if (!errnum) return FL_OK;
  if (errnum == ENOSPC || errnum == EDQUOT)
    return fl_fail(err, FL_E_FULL, "cannot create '%s': no space left on the device (%s)", path,
                   fl_errno_name(errnum));
  return fl_fail_errno(err, FL_E_STORE, errnum,
                       "cannot create '%s' (choose a writable directory with --state)", path);
}

bool fl_store_sync_parent(const fl_disk *disk, const char *path) {
  char *parent = fl_strdup(path);
  char *slash = strrchr(parent, '/');
  if (slash) *(slash == parent ? slash + 1 : slash) = 0;
  int fd = disk->open(disk->ud, AT_FDCWD, slash ? parent : ".", O_RDONLY | O_DIRECTORY);
  bool ok = fd >= 0 && !disk->fsync(disk->ud, fd);
  if (fd >= 0) disk->close(disk->ud, fd);
  free(parent);
  return ok;
}

fl_code fl_store_make_dir(const fl_disk *disk, const char *dir, fl_error *err) {
  fl_code code = FL_OK;
  char *path = fl_strdup(dir);
  for (char *p = path + 1;; p++) {
    if (*p && *p != '/') continue;
    char was = *p;
    *p = 0;
    bool made = *path && !disk->mkdir(disk->ud, AT_FDCWD, path);
    if (*path && ((made && !fl_store_sync_parent(disk, path)) || (!made && errno != EEXIST))) {
      int errnum = errno;
      fl_disk_stat st;
      // A read-only file system answers EROFS even for what is there.
      if (made || disk->stat(disk->ud, AT_FDCWD, path, &st) || st.is_file) {
        code = fl_fail_errno(err, errnum == ENOSPC || errnum == EDQUOT ? FL_E_FULL : FL_E_STORE,
                             errnum, "cannot make the state directory '%s'", dir);
        break;
      }
    }
    *p = was;
    if (!was) break;
  }
  free(path);
  return code;
}
