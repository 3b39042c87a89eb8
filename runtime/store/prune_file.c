// The files beside the database: logs of runs and blobs of values. Everything is reached from the
// state directory's descriptor, by names that were checked, never through a symbolic link.
#include "store/prune_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/// Opens <state>/<a>, or <state>/<a>/<b>; NULL when it is not there.
static DIR *open_dir(fl_store *s, const char *a, const char *b) {
  int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  if (s->disk != fl_disk_system()) return NULL; // a simulated one has neither
  int fd = openat(s->dir_fd, a, flags);
  if (fd >= 0 && b) {
    int inner = openat(fd, b, flags);
    close(fd);
    fd = inner;
  }
  DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
  if (!dir && fd >= 0) close(fd);
  return dir;
}

static bool is_dots(const char *name) {
  return !strcmp(name, ".") || !strcmp(name, "..");
}

static int64_t dir_bytes(DIR *dir) {
  int64_t bytes = 0;
  if (!dir) return 0;
  for (struct dirent *e; (e = readdir(dir));) {
    struct stat st;
    // What it takes on the disk, not how long it is: logs may be sparse.
    if (!is_dots(e->d_name) && !fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
        S_ISREG(st.st_mode))
      bytes += (int64_t)st.st_blocks * 512;
  }
  closedir(dir);
  return bytes;
}

int64_t fl_prune_log_bytes(fl_store *s, const char *run_id) {
  return fl_id_valid(run_id, strlen(run_id)) ? dir_bytes(open_dir(s, "logs", run_id)) : 0;
}

int64_t fl_prune_blob_bytes(fl_store *s) {
  return dir_bytes(open_dir(s, "blobs", NULL));
}

int64_t fl_prune_logs_bytes(fl_store *s) {
  int64_t bytes = 0;
  DIR *dir = open_dir(s, "logs", NULL);
  if (!dir) return 0;
  for (struct dirent *e; (e = readdir(dir));) bytes += fl_prune_log_bytes(s, e->d_name);
  closedir(dir);
  return bytes;
}

/// Removes logs/<name>/, whose entries are files only.
static int remove_logs(fl_store *s, int logs_fd, const char *name) {
  int errnum = 0;
  DIR *dir = open_dir(s, "logs", name);
  if (!dir) return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : errno;
  for (struct dirent *e; (e = readdir(dir));)
    if (!is_dots(e->d_name) && unlinkat(dirfd(dir), e->d_name, 0) && errno != ENOENT)
      errnum = errno;
  closedir(dir);
  if (!errnum && unlinkat(logs_fd, name, AT_REMOVEDIR) && errno != ENOENT) errnum = errno;
  return errnum;
}

static fl_code is_known(fl_store *s, sqlite3_stmt *st, bool *known, fl_error *err) {
  fl_code code = fl_store_read(s, st, known, err);
  sqlite3_reset(st);
  return code;
}

// A run is committed before its first log is written, so that a name without a run is of a pruned
// one.
static fl_code prune_logs(fl_store *s, fl_error *err) {
  sqlite3_stmt *st = NULL;
  fl_code code = FL_OK;
  DIR *dir = open_dir(s, "logs", NULL);
  if (!dir) return FL_OK;
  code = fl_store_prepare_own(s, "SELECT 1 FROM run WHERE id=?1", &st, err);
  for (struct dirent *e; !code && (e = readdir(dir));) {
    bool known = true;
    if (!fl_id_valid(e->d_name, strlen(e->d_name))) continue;
    fl_store_bind_text(st, 1, e->d_name);
    code = is_known(s, st, &known, err);
    if (code || known) continue;
    int errnum = remove_logs(s, dirfd(dir), e->d_name);
    if (errnum)
      code =
          fl_fail_errno(err, FL_E_STORE, errnum, "cannot remove '%s/logs/%s'", s->dir, e->d_name);
  }
  sqlite3_finalize(st);
  closedir(dir);
  return code;
}

/// The digest that a file of blobs/ is named by; false: it is none (a write that was killed).
static bool read_hex(const char *name, uint8_t digest[FL_DIGEST_SIZE]) {
  static const char digits[] = "0123456789abcdef";
  if (strlen(name) != 2 * FL_DIGEST_SIZE) return false;
  for (size_t i = 0; i < FL_DIGEST_SIZE; i++) {
    const char *high = strchr(digits, name[2 * i]), *low = strchr(digits, name[2 * i + 1]);
    if (!high || !low) return false;
    digest[i] = (uint8_t)((high - digits) << 4 | (low - digits));
  }
  return true;
}

/// Whether a value's row names this file of blobs/.
static fl_code is_named(fl_store *s, sqlite3_stmt *st, const char *name, bool *named,
                        fl_error *err) {
  uint8_t digest[FL_DIGEST_SIZE];
  *named = false;
  if (!read_hex(name, digest)) return FL_OK;
  sqlite3_bind_blob(st, 1, digest, sizeof digest, SQLITE_STATIC);
  return is_known(s, st, named, err);
}

/// Names that no value has, one behind the other, each with its zero.
static fl_code list_blobs(fl_store *s, DIR *dir, sqlite3_stmt *st, fl_buf *names, fl_error *err) {
  fl_code code = FL_OK;
  for (struct dirent *e; !code && (e = readdir(dir));) {
    bool named = is_dots(e->d_name);
    if (!named) code = is_named(s, st, e->d_name, &named, err);
    if (!named) fl_buf_add(names, e->d_name, strlen(e->d_name) + 1);
  }
  return code;
}

// Looked at again with the write lock held: nobody is between writing a blob and committing its
// row then.
static fl_code prune_blobs(fl_pruning *p, fl_error *err) {
  fl_store *s = p->store;
  sqlite3_stmt *st = NULL;
  fl_buf names;
  DIR *dir = open_dir(s, "blobs", NULL);
  if (!dir) return FL_OK;
  fl_buf_init(&names, SIZE_MAX / 2);
  fl_code code =
      fl_store_prepare_own(s, "SELECT 1 FROM value WHERE digest=?1 AND " FL_SQL_LONG, &st, err);
  if (!code) code = list_blobs(s, dir, st, &names, err);
  for (size_t at = 0; !code && at < names.size && !p->stopped;) {
    const char *name = names.data + at;
    bool named = false;
    at += strlen(name) + 1;
    code = fl_prune_begin(p, err);
    if (!code) code = is_named(s, st, name, &named, err);
    if (!code && !named && unlinkat(dirfd(dir), name, 0) && errno != ENOENT)
      code = fl_fail_errno(err, FL_E_STORE, errno, "cannot remove '%s/blobs/%s'", s->dir, name);
    if (!code) code = fl_prune_breathe(p, err);
  }
  sqlite3_finalize(st);
  closedir(dir);
  fl_buf_deinit(&names);
  return code ? code : fl_prune_end(p, err);
}

fl_code fl_prune_files(fl_pruning *p, fl_error *err) {
  fl_code code = prune_logs(p->store, err);
  if (!code) code = prune_blobs(p, err);
  if (code) fl_store_rollback(p->store);
  return code;
}
