// Opens and closes a store. Before SQLite is allowed to touch anything, the file's header is read
// through SQLite's own descriptor: a newer, foreign or damaged store is left byte for byte as it
// is.
#include "store/store_internal.h"
#include <errno.h>
#include <time.h>
#include <fcntl.h>
#include <limits.h>

#define HEADER_SIZE 100

static uint32_t read_u32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static fl_code fail_newer(const fl_store *s, uint32_t version, fl_error *err) {
  return fl_fail(err, FL_E_NEWER,
                 "the store '%s' was written by a newer FlowLua (schema %u, this one knows %d): "
                 "upgrade flowlua, or choose another directory with --state",
                 s->path, version, FL_STORE_SCHEMA);
}

static fl_code fail_foreign(const fl_store *s, const char *what, fl_error *err) {
  return fl_fail(err, FL_E_CORRUPT,
                 "'%s' %s: move it away to start with an empty store, or choose another directory "
                 "with --state",
                 s->path, what);
}

/// True when no log with content stands beside the database: what the file says is all there is.
static bool is_clean(const fl_store *s) {
  fl_disk_stat st;
  return s->disk->stat(s->disk->ud, s->dir_fd, FL_STORE_FILE "-wal", &st) || st.size == 0;
}

static fl_code check_header(fl_store *s, bool clean, fl_error *err) {
  uint8_t h[HEADER_SIZE];
  sqlite3_int64 size = 0;
  sqlite3_file *file = NULL;
  sqlite3_file_control(s->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (!file || !file->pMethods) return fl_store_fail(s, SQLITE_CANTOPEN, "open", err);
  int rc = file->pMethods->xFileSize(file, &size);
  if (!rc && size == 0) return fail_foreign(s, "is empty and no store", err);
  if (!rc) rc = file->pMethods->xRead(file, h, sizeof h, 0);
  if (rc == SQLITE_IOERR_SHORT_READ || (!rc && memcmp(h, "SQLite format 3", 16)))
    return fail_foreign(s, "is not a database", err);
  if (rc) return fl_store_fail(s, rc, "read", err);
  if (read_u32(h + 68) != FL_STORE_APPLICATION_ID)
    return fail_foreign(s, "is the database of another program", err);
  if (read_u32(h + 60) > FL_STORE_SCHEMA) return fail_newer(s, read_u32(h + 60), err);
  // 1: a tool may have switched off the log; SQLite opens what is larger for reading only.
  if (h[18] > 2 || h[19] > 2) return fl_store_fail_corrupt(s, err, "its header is wrong");
  uint32_t page = h[16] << 8 | h[17];
  if (page == 1) page = 65536;
  // With a log beside it the file may be behind or ahead of its header for a moment.
  if (clean && size < (sqlite3_int64)page * read_u32(h + 28))
    return fl_store_fail_corrupt(s, err, "its end is missing");
  return FL_OK;
}

static bool is_readable(fl_store *s) {
  return sqlite3_exec(s->db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL) == SQLITE_OK;
}

// Opens a store on a medium where not even a reader's shared memory can be made.
static int connect_immutable(fl_store *s) {
  sqlite3 *old = s->db;
  fl_buf uri;
  fl_buf_init(&uri, 4 * PATH_MAX);
  fl_buf_add_str(&uri, "file:");
  for (const char *p = s->path; *p; p++)
    if (strchr("?#%", *p))
      fl_buf_addf(&uri, "%%%02x", (unsigned)*p);
    else
      fl_buf_add_char(&uri, *p);
  fl_buf_add_str(&uri, "?immutable=1");
  sqlite3 *db = NULL;
  int rc =
      sqlite3_open_v2(fl_buf_cstr(&uri), &db,
                      SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, s->disk->vfs);
  fl_buf_deinit(&uri);
  if (rc) {
    sqlite3_close(db);
    return rc;
  }
  sqlite3_close(old);
  s->db = db;
  return SQLITE_OK;
}

// In SQL: owner_lives(owner).
static void owner_lives(sqlite3_context *context, int count, sqlite3_value **args) {
  const fl_store *s = sqlite3_user_data(context);
  const char *owner = (const char *)sqlite3_value_text(args[0]);
  (void)count;
  sqlite3_result_int(context, owner && fl_store_owner_lives(s, owner));
}

// Who holds the lock does so for milliseconds. SQLite's own way of waiting sleeps for up to a tenth
// of a second between two looks, and one that begins again at once is always faster.
int fl_store_wait_for_lock(void *ud, int looks) {
  const struct timespec pause = {.tv_nsec = 1000000};
  (void)ud;
  if (looks >= FL_STORE_BUSY_MS) return 0;
  nanosleep(&pause, NULL);
  return 1;
}

static fl_code connect(fl_store *s, bool clean, fl_error *err) {
  int rc =
      sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, s->disk->vfs);
  if (rc) return fl_store_fail(s, rc, "open", err);
  sqlite3_extended_result_codes(s->db, 1);
  // Until it is known to be ours and sound, closing must not copy the log into it. A reader never
  // does.
  sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  fl_code code = check_header(s, clean, err);
  if (code) return code;
  if (!s->read_only && sqlite3_db_readonly(s->db, "main"))
    return fl_store_fail(s, SQLITE_READONLY, "write", err);
  sqlite3_busy_handler(s->db, fl_store_wait_for_lock, NULL);
  if (s->read_only && clean && !is_readable(s)) {
    rc = connect_immutable(s);
    if (rc) return fl_store_fail(s, rc, "open", err);
  }
  // The cache fills and stays full: it was most of what an engine that lives for months took, and
  // with ten times as much no command was quicker.
  return fl_store_exec(
      s,
      "PRAGMA trusted_schema=OFF; PRAGMA foreign_keys=OFF; PRAGMA temp_store=MEMORY;"
      "PRAGMA secure_delete=OFF; PRAGMA synchronous=NORMAL;"
      "PRAGMA cache_size=-3072; PRAGMA wal_autocheckpoint=0;"
      "PRAGMA journal_size_limit=67108864",
      err);
}

static fl_code read_int(fl_store *s, const char *sql, int64_t *out, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_own(s, sql, &st, err);
  if (code) return code;
  int rc = sqlite3_step(st);
  *out = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
  if (rc != SQLITE_ROW) code = fl_store_fail(s, rc, "read", err);
  sqlite3_finalize(st);
  return code;
}

/// What the header cannot say: the version as the log has it, and that the tables are there.
static fl_code check_schema(fl_store *s, bool clean, bool *older, fl_error *err) {
  int64_t version, tables;
  fl_code code = read_int(s, "PRAGMA user_version", &version, err);
  if (code) return code;
  *older = version < FL_STORE_SCHEMA;
  if (version > FL_STORE_SCHEMA) return fail_newer(s, (uint32_t)version, err);
  if (version < 1) return fl_store_fail_corrupt(s, err, "it has no schema version");
  if (version == FL_STORE_SCHEMA) {
    fl_buf sql;
    const char *sign = "SELECT count(*) FROM sqlite_schema WHERE type='table' AND name IN(";
    fl_buf_init(&sql, 1 << 16);
    for (size_t i = 0; i < FL_STORE_TABLES; i++, sign = ",")
      fl_buf_addf(&sql, "%s'%s'", sign, fl_tables[i].name);
    fl_buf_add_char(&sql, ')');
    code = read_int(s, fl_buf_cstr(&sql), &tables, err);
    fl_buf_deinit(&sql);
    if (!code && tables != FL_STORE_TABLES)
      return fl_store_fail_corrupt(s, err, "tables are missing");
  }
  if (code || clean || s->read_only) return code;
  // Somebody was killed while writing, or is writing now. SQLite repairs the first by itself; the
  // check is for what a broken disk did meanwhile, and only where it takes no time.
  return fl_store_check(s, err);
}

// An engine of an older version goes on with the tables it knows: they are left to it.
static fl_code check_older_owners(fl_store *s, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(
      s, "SELECT id,owner FROM run WHERE " FL_SQL_RUN_IS_OPEN("state") " AND lease_ms>0", &st, err);
  while (!code && !(code = fl_store_read(s, st, &row, err)) && row) {
    const char *owner = (const char *)sqlite3_column_text(st, 1);
    if (fl_store_owner_lives(s, owner))
      code =
          fl_fail(err, FL_E_BUSY,
                  "run %s is being executed by an older version of flowlua (%s), which could not "
                  "go on with the store of this one: wait for its end, or cancel it with that "
                  "version",
                  (const char *)sqlite3_column_text(st, 0), owner);
  }
  sqlite3_finalize(st);
  return code;
}

static fl_code bring_up_to_date(fl_store *s, fl_error *err) {
  int64_t version, reasons;
  fl_code code = read_int(s, "PRAGMA user_version", &version, err);
  if (!code && version < FL_STORE_SCHEMA) code = check_older_owners(s, err);
  if (code) return code;
  if (version < FL_STORE_SCHEMA) {
    int rc = fl_store_migrate(s->db, fl_store_steps, FL_STORE_SCHEMA);
    if (rc) return fl_store_fail(s, rc, "upgrade", err);
  }
  code = read_int(s, "SELECT count(*) FROM reason", &reasons, err);
  if (code || reasons >= FL_REASON_COUNT) return code;
  int rc = fl_store_put_words(s->db);
  return rc ? fl_store_fail(s, rc, "write", err) : FL_OK;
}

// After a failed sync the log is not to be gone on with: a power cut could take what stands in it
// and with it all that comes behind. Whole in the database, and synced there, it is safe.
static fl_code mend_log(fl_store *s, fl_error *err) {
  fl_disk_stat st;
  if (s->disk->stat(s->disk->ud, s->dir_fd, FL_STORE_UNSYNCED, &st)) return FL_OK;
  int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
  if (rc) return fl_store_fail(s, rc, "mend", err);
  s->disk->unlink(s->disk->ud, s->dir_fd, FL_STORE_UNSYNCED);
  return FL_OK;
}

static fl_code prepare_writing(fl_store *s, fl_error *err) {
  // A tool may have switched it; a no-op otherwise. What is read next makes the log's file.
  fl_code code = fl_store_exec(s, "PRAGMA journal_mode=WAL", err);
  if (!code) code = bring_up_to_date(s, err);
  if (code) return code;
  sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
  sqlite3_wal_hook(s->db, fl_store_on_wal, s);
  fl_store_watch_log(s);
  s->checkpoint_at = FL_STORE_WAL_PAGES;
  s->log_alarm = FL_STORE_LOG_ALARM;
  code = mend_log(s, err);
  if (code) return code;
  s->wal_fd = s->disk->open(s->disk->ud, s->dir_fd, FL_STORE_FILE "-wal", O_RDWR);
  // With it the name of a store that was just made: who finds something in the log finds both
  // synced. SQLite syncs the name of a log that it makes, but not of one that a reader made before.
  if (s->wal_fd >= 0 &&
      (s->disk->size(s->disk->ud, s->wal_fd) > 0 || !s->disk->fsync(s->disk->ud, s->dir_fd)))
    return FL_OK;
  return fl_fail_errno(err, FL_E_STORE, errno, "cannot open '%s-wal'", s->path);
}

static fl_code find_dir(fl_store *s, const char *dir, fl_error *err) {
  fl_code code = s->read_only ? FL_OK : fl_store_make_dir(s->disk, dir, err);
  if (code) return code;
  s->dir = s->disk->realpath(s->disk->ud, dir);
  if (s->dir) s->dir_fd = s->disk->open(s->disk->ud, AT_FDCWD, s->dir, O_RDONLY | O_DIRECTORY);
  if (s->dir && s->dir_fd >= 0) {
    size_t size = strlen(s->dir) + sizeof "/" FL_STORE_FILE;
    s->path = fl_alloc(size);
    snprintf(s->path, size, "%s%s" FL_STORE_FILE, s->dir, strcmp(s->dir, "/") ? "/" : "");
    return FL_OK;
  }
  if (errno == ENOENT)
    return fl_fail(
        err, FL_E_NOT_FOUND,
        "there is no state directory '%s': run a flow first, or name another with --state", dir);
  return fl_fail_errno(err, FL_E_STORE, errno, "cannot open the state directory '%s'", dir);
}

static fl_code find_file(fl_store *s, fl_error *err) {
  fl_disk_stat st;
  if (!s->disk->stat(s->disk->ud, s->dir_fd, FL_STORE_FILE, &st)) {
    if (st.is_file) return FL_OK;
    return fail_foreign(s, "is no regular file", err);
  }
  if (errno != ENOENT) return fl_fail_errno(err, FL_E_STORE, errno, "cannot look at '%s'", s->path);
  // SQLite would put what is in it into the new one.
  if (!is_clean(s))
    return fl_fail(err, FL_E_CORRUPT,
                   "the store '%s' is gone, but its log '%s-wal' is there: put the store back, or "
                   "move the log away to start with an empty store",
                   s->path, s->path);
  if (!s->read_only) {
    fl_code code = fl_store_create(s->disk, s->dir_fd, s->path, err);
    // The directory may be as new as the store, whoever made it.
    if (!code && !fl_store_sync_parent(s->disk, s->dir))
      code = fl_fail_errno(err, FL_E_STORE, errno, "cannot sync the directory above '%s'", s->dir);
    return code;
  }
  return fl_fail(err, FL_E_NOT_FOUND,
                 "there is no store in '%s': run a flow first, or name another with --state",
                 s->dir);
}

// Readers know the newest schema only: one of an older store brings it up to date first.
static fl_code open_upgraded(const char *dir, const fl_store_options *options, fl_store **out,
                             fl_error *err) {
  fl_store_options writing = *options;
  fl_store *s;
  writing.read_only = false;
  if (fl_store_open(dir, &writing, &s, err))
    return fl_wrap(err, "the store is of an older version and has to be brought up to date");
  fl_store_close(s);
  return fl_store_open(dir, options, out, err);
}

fl_code fl_store_open(const char *dir, const fl_store_options *options, fl_store **out,
                      fl_error *err) {
  bool older = false;
  fl_store *s = fl_alloc_zero(1, sizeof *s);
  s->disk = options->disk ? options->disk : fl_disk_system();
  s->clock = options->clock ? *options->clock : *fl_clock_system();
  s->dir_fd = s->wal_fd = -1;
  s->durability = options->durability;
  s->aside = options->aside;
  s->read_only = options->read_only;
  s->gives_way = options->gives_way;
  s->sync_ms = options->sync_ms ? options->sync_ms : FL_STORE_SYNC_MS;
  s->room = options->log_room ? options->log_room : FL_STORE_LOG_ROOM;
  if (s->room < 0) s->log_room = -1;
  s->owner_lives = options->owner_lives;
  s->owner_ud = options->owner_ud;
  fl_buf_init(&s->changes.data, SIZE_MAX / 2);
  *out = NULL;
  fl_code code = find_dir(s, dir, err);
  if (!code) code = find_file(s, err);
  bool clean = !code && is_clean(s);
  if (!code) code = connect(s, clean, err);
  if (!code) code = check_schema(s, clean, &older, err);
  if (!code && s->read_only && older && options->no_upgrade)
    code = fl_fail(err, FL_E_STATE,
                   "the store '%s' is of an older version of FlowLua: an engine that opens it once "
                   "brings it up to date, a reader does not",
                   s->path);
  if (!code && s->read_only && older) {
    fl_store_close(s);
    return open_upgraded(dir, options, out, err);
  }
  if (!code &&
      sqlite3_create_function(s->db, "owner_lives", 1, SQLITE_UTF8, s, owner_lives, NULL, NULL))
    code = fl_store_fail(s, SQLITE_NOMEM, "open", err);
  if (!code && !s->read_only) code = prepare_writing(s, err);
  if (!code && !s->read_only) code = fl_store_notice_sweeps(s, err);
  if (code) {
    fl_store_close(s);
    return code;
  }
  // Nobody can remember an id of this handle yet; one that it gets to know during a sweep may go.
  if (!s->sweeping) s->suspect_max = 0;
  *out = s;
  return FL_OK;
}

void fl_store_close(fl_store *s) {
  if (!s) return;
  if (s->open) fl_store_rollback(s);
  // The last chance of `group`; a failure is found by whoever reads what is missing.
  if (s->wal_fd >= 0 && fl_store_flush(s, NULL)) s->failed = true;
  // SQLite would do this by itself, and say nothing when a sync fails.
  if (s->wal_fd >= 0 && !s->failed) fl_store_checkpoint(s);
  // A store whose disk could not sync is not to be copied about any more.
  if (s->failed) sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  for (int i = 0; i < FL_SLOT_COUNT; i++) sqlite3_finalize(s->slots[i]);
  sqlite3_close(s->db);
  if (s->wal_fd >= 0) s->disk->close(s->disk->ud, s->wal_fd);
  if (s->dir_fd >= 0) s->disk->close(s->disk->ud, s->dir_fd);
  for (int i = 0; i < FL_STORE_RECENT_VALUES; i++) fl_value_unref(s->recent[i]);
  free(s->log_methods);
  free(s->fresh);
  fl_buf_deinit(&s->changes.data);
  free(s->path);
  free(s->dir);
  free(s);
}
