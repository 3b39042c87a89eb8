// Begins, commits and makes durable.
//
// SQLite runs with synchronous=NORMAL: it writes the log (WAL) at a commit and syncs it only before
// a checkpoint. The barrier that `full` promises is ours: fdatasync() of the log, on a descriptor
// of our own. (No lock is ever held on the log, so that closing it drops none.)
//
//   commit:  COMMIT -> log written -> barrier -> acknowledged -> perhaps a checkpoint
//   states:  closed --begin--> open --commit--> closed
//                               open --rollback, failed write--> closed
//            any --failed sync, failed COMMIT of unknown outcome--> failed (for good)
#include "store/store_internal.h"
#include "base/bug.h"
#include <errno.h>
#include <fcntl.h>

static int64_t ticks(const fl_store *s) {
  return s->clock.monotonic_ms(s->clock.ud);
}

// The system counts what it could not sync as clean: a later sync of the log succeeds and writes
// none of it. Who opens the store next has to know.
static void leave_mark(fl_store *s) {
  int fd = s->disk->open(s->disk->ud, s->dir_fd, FL_STORE_UNSYNCED, O_WRONLY | O_CREAT);
  if (fd >= 0) s->disk->close(s->disk->ud, fd);
}

static fl_code fail_unknown(fl_store *s, fl_error *err, int errnum) {
  s->failed = true;
  leave_mark(s);
  return fl_fail_errno(err, FL_E_UNKNOWN, errnum ? errnum : EIO,
                       "cannot make a commit to '%s' durable, so it is unknown what is on disk; "
                       "nothing more is written; check the disk, then resume",
                       s->path);
}

static fl_code refuse(fl_store *s, fl_error *err) {
  if (s->read_only)
    return fl_fail(err, FL_E_STORE, "the store '%s' was opened for reading only", s->path);
  return fl_fail(err, FL_E_UNKNOWN,
                 "a commit to '%s' could not be made durable; nothing more is written until the "
                 "store is opened again",
                 s->path);
}

static void forget_fresh(fl_store *s, bool keep) {
  for (size_t i = 0; i < s->fresh_count; i++) {
    if (!keep) s->fresh[i]->store_id = 0;
    fl_value_unref(s->fresh[i]);
  }
  s->fresh_count = 0;
}

int fl_store_on_wal(void *ud, sqlite3 *db, const char *name, int pages) {
  fl_store *s = ud;
  (void)db, (void)name;
  // The log has started anew: the mark for the next checkpoint goes back with it.
  if (pages < s->wal_pages) s->checkpoint_at = FL_STORE_WAL_PAGES;
  s->wal_pages = pages;
  s->dirty = true;
  return SQLITE_OK;
}

fl_code fl_store_notice_sweeps(fl_store *s, fl_error *err) {
  sqlite3_stmt *st;
  bool row;
  uint32_t version = 0;
  // Changes when another connection has committed; costs no SQL.
  sqlite3_file_control(s->db, "main", SQLITE_FCNTL_DATA_VERSION, &version);
  if (version == s->data_version) return FL_OK;
  fl_code code = fl_store_prepare(s, FL_SLOT_SWEPT,
                                  "SELECT (SELECT value FROM meta WHERE key='sweeps'),"
                                  " (SELECT value FROM meta WHERE key='swept_max')",
                                  &st, err);
  if (!code) code = fl_store_read(s, st, &row, err);
  if (code) return code;
  if (sqlite3_column_int64(st, 0) != s->sweeps) {
    s->sweeps = sqlite3_column_int64(st, 0);
    s->suspect_max = sqlite3_column_int64(st, 1);
  }
  sqlite3_reset(st);
  s->data_version = version;
  return FL_OK;
}

fl_code fl_store_begin(fl_store *s, fl_error *err) {
  sqlite3_stmt *st;
  if (s->open) return FL_OK;
  if (s->failed || s->read_only) return refuse(s, err);
  FL_ASSERT(!s->reading);
  fl_code code = fl_store_prepare(s, FL_SLOT_BEGIN, "BEGIN IMMEDIATE", &st, err);
  if (code) return code;
  int rc = sqlite3_step(st);
  if (rc != SQLITE_DONE) {
    code = fl_store_fail(s, rc, "write", err);
    sqlite3_reset(st);
    return code;
  }
  sqlite3_reset(st);
  s->open = true;
  code = fl_store_notice_sweeps(s, err);
  if (code) fl_store_rollback(s);
  return code;
}

void fl_store_rollback(fl_store *s) {
  // Autocommit says whether SQLite has rolled back by itself (a full disk does that).
  if (s->open && !sqlite3_get_autocommit(s->db)) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
  s->open = false;
  forget_fresh(s, false);
}

bool fl_store_is_open(const fl_store *s) {
  return s->open;
}

// The name of a new log is on disk already: it was synced when the store was opened.
static fl_code barrier(fl_store *s, fl_error *err) {
  int rc;
  if (!s->dirty) return FL_OK;
  do rc = FL_BUG(no_barrier) ? 0 : s->disk->fdatasync(s->disk->ud, s->wal_fd);
  while (rc && errno == EINTR);
  if (rc && FL_BUG(sync_error_retried)) rc = s->disk->fdatasync(s->disk->ud, s->wal_fd);
  if (rc) return fail_unknown(s, err, errno);
  s->dirty = false;
  s->synced_ms = ticks(s);
  return FL_OK;
}

// Copies the log into the database when it has grown. Readers hold it back at most; they never
// wait.
void fl_store_checkpoint(fl_store *s) {
  int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
  s->checkpoint_at = s->wal_pages + FL_STORE_WAL_PAGES;
  // What is committed stays in the log whatever happens here. But a disk that cannot sync is not
  // to be trusted with more; a full one is tried again later.
  if ((rc & 0xff) == SQLITE_IOERR && sqlite3_system_errno(s->db) != ENOSPC) {
    s->failed = true;
    leave_mark(s);
  }
}

#define ROOM_AFTER 16          // commits: a short run is not worth it
#define ROOM_BYTES (512 << 10) // a hundred commits of a chain
#define ROOM_LEFT  (64 << 10)  // when less than this is left, more is made
#define FRAME_SIZE (4096 + 24) // a page in the log, with its header

// A sync of a file that has grown costs about twice that of one that was written over (262 against
// 128 us measured): zeros are put behind the log now and then. A reader of the log stops at them,
// as it does at what an older log left there. Only within a write transaction: its lock keeps
// others from appending where the zeros go. That it fails (a full disk) does not matter here.
static void make_log_room(fl_store *s) {
  static const char zeros[ROOM_BYTES];
  if (s->durability != FL_DURABILITY_FULL || s->log_room < 0 || ++s->commits < ROOM_AFTER) return;
  int64_t used = (int64_t)s->wal_pages * FRAME_SIZE;
  if (used + ROOM_LEFT < s->log_room) return;
  int64_t size = s->disk->size(s->disk->ud, s->wal_fd);
  if (size < 0) return;
  s->log_room = size;
  if (used + ROOM_LEFT < s->log_room) return;
  ssize_t n = s->disk->pwrite(s->disk->ud, s->wal_fd, zeros, sizeof zeros, size);
  s->log_room = n > 0 ? size + n : -1;
}

fl_code fl_store_commit(fl_store *s, fl_error *err) {
  sqlite3_stmt *st;
  if (!s->open) return s->failed ? refuse(s, err) : FL_OK;
  fl_code code = fl_store_prepare(s, FL_SLOT_COMMIT, "COMMIT", &st, err);
  if (code) {
    fl_store_rollback(s);
    return code;
  }
  make_log_room(s);
  int rc = sqlite3_step(st);
  if (rc != SQLITE_DONE) {
    int errnum = sqlite3_system_errno(s->db);
    code = fl_store_fail(s, rc, "write", err);
    sqlite3_reset(st);
    fl_store_rollback(s);
    // After SQLITE_FULL the commit's last page is not in the log. After any other I/O error it may
    // be, and a crash now would bring it back.
    return (rc & 0xff) == SQLITE_IOERR ? fail_unknown(s, err, errnum) : code;
  }
  sqlite3_reset(st);
  s->open = false;
  forget_fresh(s, true);
  // The version counts our own commits too: only those of others are news (fl_store_notice_sweeps).
  sqlite3_file_control(s->db, "main", SQLITE_FCNTL_DATA_VERSION, &s->data_version);
  if (s->durability == FL_DURABILITY_FULL || ticks(s) - s->synced_ms >= FL_STORE_SYNC_MS)
    code = barrier(s, err);
  if (!code && s->wal_pages >= s->checkpoint_at) fl_store_checkpoint(s);
  return code;
}

fl_code fl_store_begin_own(fl_store *s, fl_error *err) {
  fl_code code = fl_store_commit(s, err);
  return code ? code : fl_store_begin(s, err);
}

fl_code fl_store_sync(fl_store *s, fl_error *err) {
  if (s->failed) return refuse(s, err);
  return barrier(s, err);
}

int64_t fl_store_sync_due_ms(const fl_store *s, int64_t monotonic_ms) {
  if (!s || !s->dirty || s->failed) return -1;
  int64_t due = s->synced_ms + FL_STORE_SYNC_MS - monotonic_ms;
  return due > 0 ? due : 0;
}

fl_code fl_store_read_begin(fl_store *s, fl_error *err) {
  sqlite3_stmt *st;
  if (s->open) return FL_OK;
  if (s->reading) return s->reading++, FL_OK;
  fl_code code = fl_store_prepare(s, FL_SLOT_READ_BEGIN, "BEGIN", &st, err);
  if (code) return code;
  int rc = sqlite3_step(st);
  sqlite3_reset(st);
  if (rc != SQLITE_DONE) return fl_store_fail(s, rc, "read", err);
  s->reading = 1;
  return FL_OK;
}

void fl_store_read_end(fl_store *s) {
  if (!s->reading || --s->reading) return;
  sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
}

void fl_store_set_durability(fl_store *s, fl_durability durability) {
  s->durability = durability;
}
