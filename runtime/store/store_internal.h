// What the files of store/ share: the handle, cached statements, and the words of the schema.
// Nobody outside store/ and its tests includes this.
#pragma once
#include "store/age.h"
#include "store/sql.h"
#include "store/table.h"

#define FL_STORE_SCHEMA         5          // PRAGMA user_version of the newest schema
#define FL_SEAL_SCHEMA          5          // the last that changed what a seal covers, or its order
#define FL_STORE_APPLICATION_ID 0x464c7561 // "FLua", PRAGMA application_id
#define FL_STORE_FILE           "flowlua.db"
#define FL_STORE_UNSYNCED       "flowlua.db-unsynced" // a sync of the log has failed
#define FL_STORE_BUSY_MS        10000                 // a writer waits this long for another one
#define FL_STORE_SYNC_MS        100                   // group: what a power cut may take
#define FL_STORE_LOG_ROOM       (512 << 10)           // a hundred commits of a chain
#define FL_STORE_WAL_PAGES      4000       // 16 MiB of log before it is copied into the database
#define FL_STORE_RECENT_VALUES  64         // short values that are known again
#define FL_STORE_LOG_ALARM      16384      // 64 MiB of log that somebody keeps
#define FL_STORE_CHECK_SIZE_MAX (16 << 20) // larger ones take longer to check than a start may

// Of the values that are kept once each: the condition of their index.
#define FL_SQL_TEXT_OF(number) #number
#define FL_SQL_MORE_THAN(max)  "size>" FL_SQL_TEXT_OF(max)
#define FL_SQL_LONG            FL_SQL_MORE_THAN(FL_VALUE_SHORT_MAX)

struct fl_store {
  sqlite3 *db;
  const fl_disk *disk;
  fl_clock clock;
  char *dir;  // absolute
  char *path; // of the database, for messages
  int dir_fd; // of `dir`: blobs and logs are reached from here
  int wal_fd; // ours, for fdatasync only; -1 when read_only
  fl_durability durability;
  bool read_only, gives_way;
  bool (*owner_lives)(void *ud, const char *owner); // NULL: nobody does
  void *owner_ud;
  bool open;         // a write transaction is open
  int reading;       // depth of fl_store_read_begin(), 0: no read transaction is open
  bool failed;       // a sync failed: what is on disk is unknown, nothing more is written
  bool dirty;        // something is committed that no sync covers
  int wal_pages;     // in the log after the last commit
  int log_alarm;     // wal_pages at which it is told that the log does not begin anew
  int checkpoint_at; // wal_pages at which the next checkpoint is tried
  int copied_at;     // wal_pages when the last one ended
  int64_t synced_ms; // monotonic time of the last sync
  // With `aside`: commits are numbered, and a sync covers those made before it began.
  fl_aside aside;
  uint64_t commit, wanted, covered, synced; // last, asked for, of the sync that is going on, done
  bool syncing, copying;                    // at work aside: a sync, a checkpoint
  int sync_errno, copy_code, copy_errno;    // how these ended
  uint32_t commits; // of this handle, until there were enough to make room ahead
  int64_t log_room; // bytes up to which the log file is known to reach; -1: do not try
  int64_t room;     // bytes of it that are made at once
  int64_t sync_ms;  // group: from a commit to its sync
  // Values that got their id within the open transaction, referenced: a rollback takes it back.
  fl_value **fresh;
  size_t fresh_count, fresh_capacity;
  fl_value *recent[FL_STORE_RECENT_VALUES]; // the last short ones, each in the place of its text
  // A sweep (prune) may have removed a value whose id a caller still remembers: ids up to
  // suspect_max are looked up again before they are used.
  uint32_t data_version;
  int64_t sweeps, suspect_max;
  int64_t sweeping;  // 0: no sweep is under way
  int64_t looked_ms; // monotonic, when the clock was looked at for ages; 0: not yet
  void *log_methods; // log.c
  // What the open transaction tells, packed (change.c), and what is known of what was told before.
  struct {
    fl_buf data;
    uint32_t count;
    int64_t at_ms, before_ms, run; // of the first; of the one before
    bool known;                    // the rest is, until another connection writes
    uint64_t last, oldest;         // numbers: of the last event; of the oldest row
    int64_t oldest_ms;
    bool trimming; // what is too much is being dropped
  } changes;
  struct {
    int64_t version;
    uint64_t commits;
  } news; // as fl_store_look() saw it last
  sqlite3_stmt *slots[FL_SLOT_COUNT];
};

// -------------------------------------------------------------------------------- db.c

/// fl_store_begin(), then fl_store_prepare(): the start of every write.
FL_MUST fl_code fl_store_prepare_write(fl_store *s, fl_store_slot slot, const char *sql,
                                       sqlite3_stmt **out, fl_error *err);
/// Steps a write to its end and resets it. On an error the transaction is rolled back.
FL_MUST fl_code fl_store_write(fl_store *s, sqlite3_stmt *st, fl_error *err);
/// Runs statements without results.
FL_MUST fl_code fl_store_exec(fl_store *s, const char *sql, fl_error *err);
/// integrity_check, where it takes no time: FL_E_CORRUPT.
FL_MUST fl_code fl_store_check(fl_store *s, fl_error *err);
/// Compares the seal of fl_store_seal_run(), where the run has one: FL_E_CORRUPT.
FL_MUST fl_code fl_store_check_seal(fl_store *s, int64_t run, fl_error *err);
/// The seal of fl_store_seal_run() holds no more: the run goes on.
FL_MUST fl_code fl_store_drop_seal(fl_store *s, int64_t run, fl_error *err);
// -------------------------------------------------------------------------------- schema

extern const char fl_store_tables_sql[], fl_store_tables_2_sql[], fl_store_tables_3_sql[];
extern const char fl_store_tables_4_sql[];
extern const char fl_store_tables_5_sql[];
extern const char fl_store_drop_views_sql[]; // those of every older schema
extern const char fl_store_views_sql[];

/// Brings a database from `user_version` to `count` with steps[user_version..]: one transaction,
/// all or nothing. Returns an SQLite result code.
FL_MUST int fl_store_migrate(sqlite3 *db, const char *const *const *steps, int count);
extern const char *const *const fl_store_steps[FL_STORE_SCHEMA];
/// Rows of the word tables (states, reasons) that this version knows.
FL_MUST int fl_store_put_words(sqlite3 *db);
/// The bytes of a new, empty store, made when FlowLua was built. Size 0 in the program that makes
/// them.
extern const unsigned char fl_store_image[];
extern const size_t fl_store_image_size;
/// Makes these bytes from the schema; sqlite3_free() them. NULL and size 0: out of memory.
unsigned char *fl_store_image_build(size_t *size);
/// Makes <dir>/flowlua.db with the newest schema, whole or not at all. FL_OK too when somebody else
/// was faster. Its name is not synced: that comes with the name of the log.
FL_MUST fl_code fl_store_create(const fl_disk *disk, int dir_fd, const char *path, fl_error *err);
/// Syncs the directory that `path` stands in: what was just made is there after a power cut then.
bool fl_store_sync_parent(const fl_disk *disk, const char *path);
/// mkdir -p, durably
FL_MUST fl_code fl_store_make_dir(const fl_disk *disk, const char *dir, fl_error *err);

// -------------------------------------------------------------------------------- prune_plan.c

/// What is known of the time that has passed, up to now; *news: what is to be kept of that.
FL_MUST fl_code fl_store_get_ages(fl_store *s, fl_ages *ages, bool *news, fl_error *err);
/// Looks at the clock, and keeps in the open transaction what the ages of runs will be known by.
/// Costs nothing when it was done a moment ago.
FL_MUST fl_code fl_store_note_clock(fl_store *s, fl_error *err);

// -------------------------------------------------------------------------------- transaction.c

/// Ends what is open, so that what follows is a transaction of its own.
FL_MUST fl_code fl_store_begin_own(fl_store *s, fl_error *err);
/// Notes that row `id` of a shared table is named anew, for the sweep that is under way.
FL_MUST fl_code fl_store_touch(fl_store *s, fl_column_kind kind, int64_t id, fl_error *err);
/// SQLite's busy handler: waits up to FL_STORE_BUSY_MS for another writer.
int fl_store_wait_for_lock(void *ud, int looks);
/// Called by SQLite after each commit that wrote.
int fl_store_on_wal(void *ud, sqlite3 *db, const char *name, int pages);
/// Copies the log into the database, as far as readers let it.
void fl_store_checkpoint(fl_store *s);
/// The same to its end, after which the next commit starts the log anew; others wait for the last
/// part of it. Waits up to `wait_ms` for the write lock and for readers, else some of it is left.
void fl_store_restart_log(fl_store *s, int wait_ms);
/// Reads whether others have swept since, or are about to; sets suspect_max and sweeping.
FL_MUST fl_code fl_store_notice_sweeps(fl_store *s, fl_error *err);

// -------------------------------------------------------------------------------- log.c

/// Spares the log's header a sync of its own where nothing asks for it. Once, when SQLite has
/// opened the log; free `log_methods` when it has closed it.
void fl_store_watch_log(fl_store *s);
// -------------------------------------------------------------------------------- change.c

/// Writes what the open transaction tells: the last thing before its commit.
FL_MUST fl_code fl_changes_write(fl_store *s, fl_error *err);
/// After a rollback, or when others have written.
void fl_changes_forget(fl_store *s);

// -------------------------------------------------------------------------------- blobs

FL_MUST fl_code fl_blob_write(fl_store *s, const char *hex, const char *data, size_t size,
                              fl_error *err);
/// Appends the blob's bytes; FL_E_CORRUPT when it is missing or not of `size`.
FL_MUST fl_code fl_blob_read(fl_store *s, const char *hex, size_t size, fl_buf *out, fl_error *err);
bool fl_blob_exists(fl_store *s, const char *hex);
