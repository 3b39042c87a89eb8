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
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

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
  if (pages < s->wal_pages) {
    s->checkpoint_at = FL_STORE_WAL_PAGES;
    s->copied_at = 0;
    if (s->log_alarm > FL_STORE_LOG_ALARM) s->log_alarm = FL_STORE_LOG_ALARM;
  }
  s->wal_pages = pages;
  s->dirty = true;
  s->commit++; // not called for a commit that changes nothing: that is as durable as the one before
  return SQLITE_OK;
}

fl_code fl_store_notice_sweeps(fl_store *s, fl_error *err) {
  sqlite3_stmt *st;
  bool row;
  uint32_t version = 0;
  // Changes when another connection has committed; costs no SQL.
  sqlite3_file_control(s->db, "main", SQLITE_FCNTL_DATA_VERSION, &version);
  if (version == s->data_version) return FL_OK;
  s->changes.known = false;
  fl_code code = fl_store_prepare(s, FL_SLOT_SWEPT,
                                  "SELECT (SELECT value FROM meta WHERE key='sweeps'),"
                                  " (SELECT value FROM meta WHERE key='swept_max'),"
                                  " (SELECT value FROM meta WHERE key='sweeping')",
                                  &st, err);
  if (!code) code = fl_store_read(s, st, &row, err);
  if (code) return code;
  if (sqlite3_column_int64(st, 0) != s->sweeps) {
    s->sweeps = sqlite3_column_int64(st, 0);
    s->suspect_max = sqlite3_column_int64(st, 1);
  }
  s->sweeping = sqlite3_column_int64(st, 2);
  sqlite3_reset(st);
  s->data_version = version;
  return FL_OK;
}

fl_code fl_store_touch(fl_store *s, fl_column_kind kind, int64_t id, fl_error *err) {
  sqlite3_stmt *st;
  if (!s->sweeping || FL_BUG(named_is_pruned)) return FL_OK;
  fl_code code = fl_store_prepare_write(s, FL_SLOT_TOUCH,
                                        "INSERT OR IGNORE INTO touched VALUES(?1,?2)", &st, err);
  if (code) return code;
  sqlite3_bind_int(st, 1, (int)kind);
  sqlite3_bind_int64(st, 2, id);
  return fl_store_write(s, st, err);
}

fl_code fl_store_begin(fl_store *s, fl_error *err) {
  sqlite3_stmt *st;
  if (s->open) return FL_OK;
  if (s->failed || s->read_only) return refuse(s, err);
  FL_ASSERT(!s->reading);
  fl_code code = fl_store_prepare(s, FL_SLOT_BEGIN, "BEGIN IMMEDIATE", &st, err);
  if (code) return code;
  bool waits = !s->aside.run && !s->gives_way;
  if (!waits) sqlite3_busy_timeout(s->db, 0);
  int rc = sqlite3_step(st);
  if (!waits) sqlite3_busy_handler(s->db, fl_store_wait_for_lock, NULL);
  if (rc != SQLITE_DONE) {
    code = fl_store_fail(s, rc, "write", err);
    if (!waits && (rc & 0xff) == SQLITE_BUSY)
      code = fl_fail(err, FL_E_BUSY,
                     "the store '%s' is being written by another process: try again", s->path);
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
  s->looked_ms = 0; // what was kept of the clock may be among it
  forget_fresh(s, false);
  fl_changes_forget(s);
}

bool fl_store_is_open(const fl_store *s) {
  return s->open;
}

// The name of a new log is on disk already: it was synced when the store was opened. On any thread.
static void sync_log(void *arg) {
  fl_store *s = arg;
  int rc;
  do rc = FL_BUG(no_barrier) ? 0 : s->disk->fdatasync(s->disk->ud, s->wal_fd);
  while (rc && errno == EINTR);
  if (rc && FL_BUG(sync_error_retried)) rc = s->disk->fdatasync(s->disk->ud, s->wal_fd);
  s->sync_errno = rc ? errno : 0;
}

static void sync_aside(fl_store *s);

static void synced_aside(void *arg) {
  fl_store *s = arg;
  s->syncing = false;
  if (s->sync_errno) {
    s->failed = true;
    leave_mark(s);
    return;
  }
  s->synced = s->covered;
  s->synced_ms = ticks(s);
  sync_aside(s);
}

// One at a time: what is committed during a sync is covered by the next one, all of it together.
static void sync_aside(fl_store *s) {
  if (s->syncing || s->failed || s->wanted <= s->synced) return;
  s->syncing = true;
  s->covered = s->commit;
  s->aside.run(s->aside.ud, sync_log, synced_aside, s);
}

static fl_code barrier(fl_store *s, fl_error *err) {
  if (!s->dirty) return FL_OK;
  if (s->aside.run) {
    s->dirty = false;
    s->wanted = s->commit;
    sync_aside(s);
    return FL_OK;
  }
  sync_log(s);
  if (s->sync_errno) return fail_unknown(s, err, s->sync_errno);
  s->dirty = false;
  s->synced = s->commit;
  s->synced_ms = ticks(s);
  return FL_OK;
}

// What is committed stays in the log whatever happens to a checkpoint. But a disk that cannot sync
// is not to be trusted with more; a full one is tried again later.
static void end_checkpoint(fl_store *s, int rc, int errnum) {
  s->checkpoint_at = s->wal_pages + FL_STORE_WAL_PAGES;
  s->copied_at = s->wal_pages;
  if ((rc & 0xff) != SQLITE_IOERR || errnum == ENOSPC) return;
  s->failed = true;
  leave_mark(s);
}

// A connection of its own: the store's is used meanwhile. Commits and readers do not wait for it.
static void copy_log(void *arg) {
  fl_store *s = arg;
  sqlite3 *db = NULL;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  int rc = sqlite3_open_v2(s->path, &db, flags, s->disk->vfs);
  if (!rc) {
    sqlite3_extended_result_codes(db, 1);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    // A connection that has read nothing yet does not know that there is a log.
    rc = sqlite3_exec(db, "SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
    if (!rc) rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
  }
  s->copy_code = rc;
  s->copy_errno = db ? sqlite3_system_errno(db) : 0;
  sqlite3_close(db);
}

static void copied_aside(void *arg) {
  fl_store *s = arg;
  s->copying = false;
  end_checkpoint(s, s->copy_code, s->copy_errno);
}

// Copies the log into the database when it has grown. Readers hold it back at most; they never
// wait.
void fl_store_checkpoint(fl_store *s) {
  int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
  end_checkpoint(s, rc, sqlite3_system_errno(s->db));
}

#define COPY_PAGES_MIN 200

// To copy a page takes one to three microseconds: it is done before half of a step's time is too
// short for it, so that no commit finds so many that it has to.
void fl_store_tend_log(fl_store *s, int64_t budget_us) {
  if (!s || s->aside.run || s->open || s->reading || s->failed || s->read_only) return;
  int64_t pages = budget_us / 4 < COPY_PAGES_MIN ? COPY_PAGES_MIN : budget_us / 4;
  if (pages < FL_STORE_WAL_PAGES && s->wal_pages - s->copied_at >= pages) fl_store_checkpoint(s);
}

// While two write by turns, no checkpoint ever reaches the end of the log: it would grow to
// gigabytes, and SQLite cuts off what is too long with the write lock held, for half a second. So
// most is copied while others write, and for the rest they wait.
void fl_store_restart_log(fl_store *s, int wait_ms) {
  fl_store_checkpoint(s);
  if (s->failed) return;
  sqlite3_busy_timeout(s->db, wait_ms);
  int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
  sqlite3_busy_handler(s->db, fl_store_wait_for_lock, NULL);
  end_checkpoint(s, rc, sqlite3_system_errno(s->db));
}

#define ROOM_AFTER 16          // commits: a short run is not worth it
#define ROOM_PIECE (64 << 10)  // written at once
#define FRAME_SIZE (4096 + 24) // a page in the log, with its header

// A sync of a file that has grown costs about twice that of one that was written over (262 against
// 128 us measured): zeros are put behind the log now and then. A reader of the log stops at them,
// as it does at what an older log left there. Only within a write transaction: its lock keeps
// others from appending where the zeros go. That it fails (a full disk) does not matter here.
static void make_log_room(fl_store *s, fl_durability durability) {
  static char zeros[ROOM_PIECE]; // never written: no byte of them is in a file
  if (durability != FL_DURABILITY_FULL || s->log_room < 0 || ++s->commits < ROOM_AFTER) return;
  int64_t needed = (int64_t)s->wal_pages * FRAME_SIZE + s->room / 8;
  if (needed < s->log_room) return;
  int64_t size = s->disk->size(s->disk->ud, s->wal_fd);
  if (size < 0) return;
  s->log_room = size;
  if (needed < s->log_room) return;
  for (int64_t end = size + s->room; s->log_room < end;) {
    size_t piece = end - s->log_room < ROOM_PIECE ? (size_t)(end - s->log_room) : ROOM_PIECE;
    ssize_t n = s->disk->pwrite(s->disk->ud, s->wal_fd, zeros, piece, s->log_room);
    if (n <= 0) {
      s->log_room = -1;
      return;
    }
    s->log_room += n;
  }
}

fl_code fl_store_commit_as(fl_store *s, fl_durability durability, fl_error *err) {
  sqlite3_stmt *st;
  if (!s->open) return s->failed ? refuse(s, err) : FL_OK;
  fl_code code = fl_store_prepare(s, FL_SLOT_COMMIT, "COMMIT", &st, err);
  if (code) {
    fl_store_rollback(s);
    return code;
  }
  code = fl_changes_write(s, err);
  if (code) return code;
  make_log_room(s, durability);
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
  if (s->gives_way) return FL_OK;
  if (durability == FL_DURABILITY_FULL || ticks(s) - s->synced_ms >= s->sync_ms)
    code = barrier(s, err);
  if (code || s->wal_pages < s->checkpoint_at || s->copying) return code;
  if (s->aside.run) {
    s->copying = true;
    s->aside.run(s->aside.ud, copy_log, copied_aside, s);
  } else {
    fl_store_checkpoint(s);
  }
  return FL_OK;
}

fl_code fl_store_commit(fl_store *s, fl_error *err) {
  return fl_store_commit_as(s, s->durability, err);
}

fl_code fl_store_begin_own(fl_store *s, fl_error *err) {
  fl_code code = fl_store_commit(s, err);
  return code ? code : fl_store_begin(s, err);
}

fl_code fl_store_sync(fl_store *s, fl_error *err) {
  if (s->failed) return refuse(s, err);
  return barrier(s, err);
}

fl_code fl_store_flush(fl_store *s, fl_error *err) {
  fl_code code = fl_store_sync(s, err);
  if (s->aside.run) s->aside.wait(s->aside.ud);
  if (!code && s->failed) code = refuse(s, err);
  return code;
}

uint64_t fl_store_get_commit(const fl_store *s) {
  return s->commit;
}

fl_code fl_store_is_synced(fl_store *s, uint64_t number, bool *synced, fl_error *err) {
  *synced = s->synced >= number;
  return *synced || !s->failed ? FL_OK : refuse(s, err);
}

int64_t fl_store_sync_due_ms(const fl_store *s, int64_t monotonic_ms) {
  if (!s || !s->dirty || s->failed) return -1;
  int64_t due = s->synced_ms + s->sync_ms - monotonic_ms;
  return due > 0 ? due : 0;
}

// SQLite's readers share a lock on one of five bytes of the log's index. To ask for it with fcntl()
// the file would have to be opened, and closing that would drop the locks of this process.
#define READ_LOCKS_AT 123
#define READ_LOCKS    5

static int find_reader(const fl_store *s) {
  struct stat st;
  char line[256];
  int found = 0;
  FILE *locks =
      fstatat(s->dir_fd, FL_STORE_FILE "-shm", &st, 0) ? NULL : fopen("/proc/locks", "re");
  while (locks && !found && fgets(line, sizeof line, locks)) {
    int pid = 0;
    unsigned device_major = 0, device_minor = 0;
    unsigned long inode = 0, from = 0;
    if (sscanf(line, "%*d: POSIX ADVISORY READ %d %x:%x:%lu %lu", &pid, &device_major,
               &device_minor, &inode, &from) == 5 &&
        inode == st.st_ino && device_major == major(st.st_dev) &&
        device_minor == minor(st.st_dev) && from >= READ_LOCKS_AT &&
        from < READ_LOCKS_AT + READ_LOCKS && pid > 0 && pid != getpid())
      found = pid;
  }
  if (locks) fclose(locks);
  return found;
}

bool fl_store_take_log_alarm(fl_store *s, int64_t *bytes, int *pid) {
  if (!s || s->wal_pages < s->log_alarm || s->copying) return false;
  s->log_alarm = 2 * s->wal_pages;
  *bytes = (int64_t)s->wal_pages * FRAME_SIZE;
  *pid = find_reader(s);
  return true;
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
