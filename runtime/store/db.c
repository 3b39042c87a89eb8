// Statements and errors: what every file of this folder does with SQLite, and how its failures
// become sentences.
#include "store/store_internal.h"
#include <errno.h>

void fl_store_own_process(void) {
  // Refused, and not needed, when SQLite is in use already.
  (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static bool is_full(int rc, int errnum) {
  if ((rc & 0xff) == SQLITE_FULL) return true;
  if ((rc & 0xff) != SQLITE_IOERR && (rc & 0xff) != SQLITE_CANTOPEN) return false;
  return errnum == ENOSPC || errnum == EDQUOT;
}

fl_code fl_store_fail_corrupt(fl_store *s, fl_error *err, const char *fmt, ...) {
  char why[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(why, sizeof why, fmt, args);
  va_end(args);
  return fl_fail(
      err, FL_E_CORRUPT,
      "the store '%s' is damaged: %s; restore it from a backup, or move it away to start "
      "with an empty one",
      s->path, why);
}

fl_code fl_store_fail(fl_store *s, int rc, const char *verb, fl_error *err) {
  int errnum = sqlite3_system_errno(s->db);
  const char *text = sqlite3_errmsg(s->db);
  if (is_full(rc, errnum))
    return fl_fail(err, FL_E_FULL,
                   "cannot %s the store '%s': no space left on the device; free some space, then "
                   "resume",
                   verb, s->path);
  switch (rc & 0xff) {
  case SQLITE_ERROR: // our statements are sound: the schema that they name is not
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return fl_store_fail_corrupt(s, err, "%s", text);
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return fl_fail(err, FL_E_STORE,
                   "cannot %s the store '%s': another process has held it locked for %d seconds",
                   verb, s->path, FL_STORE_BUSY_MS / 1000);
  case SQLITE_READONLY:
    return fl_fail(
        err, FL_E_STORE,
        "cannot %s the store '%s': it or its directory is read-only; make both writable, "
        "or choose another directory with --state",
        verb, s->path);
  case SQLITE_CANTOPEN:
  case SQLITE_IOERR:
    if (errnum)
      return fl_fail_errno(err, FL_E_STORE, errnum, "cannot %s the store '%s'", verb, s->path);
    break;
  case SQLITE_TOOBIG:
    return fl_fail(err, FL_E_LIMIT, "cannot %s the store '%s': %s", verb, s->path, text);
  default: break;
  }
  return fl_fail(err, FL_E_STORE, "cannot %s the store '%s': %s (SQLite %d)", verb, s->path, text,
                 rc);
}

fl_code fl_store_prepare_own(fl_store *s, const char *sql, sqlite3_stmt **out, fl_error *err) {
  int rc = sqlite3_prepare_v2(s->db, sql, -1, out, NULL);
  return rc ? fl_store_fail(s, rc, "read", err) : FL_OK;
}

fl_code fl_store_prepare(fl_store *s, fl_store_slot slot, const char *sql, sqlite3_stmt **out,
                         fl_error *err) {
  sqlite3_stmt *st = s->slots[slot];
  if (!st) {
    int rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL);
    if (rc) {
      *out = NULL;
      return fl_store_fail(s, rc, "read", err);
    }
    s->slots[slot] = st;
  }
  *out = st;
  return FL_OK;
}

fl_code fl_store_prepare_write(fl_store *s, fl_store_slot slot, const char *sql, sqlite3_stmt **out,
                               fl_error *err) {
  *out = NULL;
  fl_code code = s->open ? FL_OK : fl_store_begin(s, err);
  return code ? code : fl_store_prepare(s, slot, sql, out, err);
}

fl_code fl_store_write(fl_store *s, sqlite3_stmt *st, fl_error *err) {
  int rc = sqlite3_step(st);
  if (rc == SQLITE_DONE || rc == SQLITE_ROW) {
    sqlite3_reset(st);
    return FL_OK;
  }
  fl_code code = fl_store_fail(s, rc, "write", err);
  sqlite3_reset(st);
  // After some errors SQLite has rolled back by itself, after others it has not: make it one.
  fl_store_rollback(s);
  return code;
}

fl_code fl_store_read(fl_store *s, sqlite3_stmt *st, bool *row, fl_error *err) {
  int rc = sqlite3_step(st);
  *row = rc == SQLITE_ROW;
  if (*row) return FL_OK;
  fl_code code = rc == SQLITE_DONE ? FL_OK : fl_store_fail(s, rc, "read", err);
  sqlite3_reset(st);
  return code;
}

fl_code fl_store_exec(fl_store *s, const char *sql, fl_error *err) {
  int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
  return rc ? fl_store_fail(s, rc, "write", err) : FL_OK;
}

void fl_store_bind_id(sqlite3_stmt *st, int at, int64_t id) {
  if (id)
    sqlite3_bind_int64(st, at, id);
  else
    sqlite3_bind_null(st, at);
}

void fl_store_bind_text(sqlite3_stmt *st, int at, const char *text) {
  if (text)
    sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
  else
    sqlite3_bind_null(st, at);
}

char *fl_store_column_dup(sqlite3_stmt *st, int at) {
  const char *text = (const char *)sqlite3_column_text(st, at);
  return text ? fl_strdup(text) : NULL;
}

int fl_store_enum(int number, int count) {
  return number >= 0 && number < count ? number : 0;
}

const char *fl_store_get_dir(const fl_store *s) {
  return s->dir;
}

fl_code fl_store_get_int(fl_store *s, const char *sql, int64_t *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(s, sql, &st, err);
  if (code) return code;
  code = fl_store_read(s, st, &row, err);
  *out = !code && row ? sqlite3_column_int64(st, 0) : 0;
  sqlite3_finalize(st);
  return code;
}
