// What the files of store/ share: the handle, cached statements, and the words of the schema.
// Nobody outside store/ and its tests includes this.
#pragma once
#include <sqlite3.h>
#include "store/read.h"

#define FL_STORE_SCHEMA         3          // PRAGMA user_version of the newest schema
#define FL_STORE_APPLICATION_ID 0x464c7561 // "FLua", PRAGMA application_id
#define FL_STORE_FILE           "flowlua.db"
#define FL_STORE_UNSYNCED       "flowlua.db-unsynced" // a sync of the log has failed
#define FL_STORE_BUSY_MS        10000                 // a writer waits this long for another one
#define FL_STORE_SYNC_MS        100                   // group: what a power cut may take
#define FL_STORE_WAL_PAGES      4000       // 16 MiB of log before it is copied into the database
#define FL_STORE_CHECK_SIZE_MAX (16 << 20) // larger ones take longer to check than a start may

/// A slot for each statement that is prepared once and kept.
#define FL_STORE_SEAL_PARTS 7 // tables of which a run's seal is made

typedef enum fl_store_slot {
  FL_SLOT_BEGIN,
  FL_SLOT_COMMIT,
  FL_SLOT_READ_BEGIN,
  FL_SLOT_SWEPT,
  FL_SLOT_VALUE_ADD,
  FL_SLOT_VALUE_FIND,
  FL_SLOT_VALUE_IS,
  FL_SLOT_VALUE_GET,
  FL_SLOT_SOURCE_ADD,
  FL_SLOT_SOURCE_FIND,
  FL_SLOT_SCRIPT_FIND,
  FL_SLOT_SCRIPT_ADD,
  FL_SLOT_SCRIPT_SOURCE_ADD,
  FL_SLOT_DEFINITION_FIND,
  FL_SLOT_DEFINITION_ADD,
  FL_SLOT_DEFINITION_NODE_ADD,
  FL_SLOT_RUN_ADD,
  FL_SLOT_RUN_INPUT_ADD,
  FL_SLOT_RUN_GET,
  FL_SLOT_RUN_EPOCH,
  FL_SLOT_RUN_TAKE,
  FL_SLOT_RUN_LEASE,
  FL_SLOT_RUN_STATE,
  FL_SLOT_RUN_INPUTS,
  FL_SLOT_RUN_CANCEL,
  FL_SLOT_EPOCH_PUT,
  FL_SLOT_ATTEMPT_CLAIM,
  FL_SLOT_ATTEMPT_ADD,
  FL_SLOT_ATTEMPT_START,
  FL_SLOT_ATTEMPT_END,
  FL_SLOT_ATTEMPT_CHILD,
  FL_SLOT_ATTEMPT_HAND_OVER,
  FL_SLOT_CLAIM_PUT,
  FL_SLOT_CLAIM_DROP,
  FL_SLOT_DECISION_ADD,
  FL_SLOT_BREAKPOINT_ADD,
  FL_SLOT_INSTANCE_ADD,
  FL_SLOT_INSTANCE_DROP,
  FL_SLOT_CHECKPOINT_PUT,
  FL_SLOT_CHECKPOINT_GET,
  FL_SLOT_CHECKPOINT_DROP,
  FL_SLOT_STEP_PUT,
  FL_SLOT_STEP_GET,
  FL_SLOT_STEP_DROP,
  FL_SLOT_PROGRESS_PUT,
  FL_SLOT_READ_RUN,
  FL_SLOT_SEAL_PUT,
  FL_SLOT_SEAL_GET,
  FL_SLOT_SEAL_DROP,
  FL_SLOT_SEAL, // and those behind it: one a part
  FL_SLOT_SEAL_LAST = FL_SLOT_SEAL + FL_STORE_SEAL_PARTS - 1,
  FL_SLOT_PROPOSAL_ADD,
  FL_SLOT_PROPOSAL_APPLY,
  FL_SLOT_READ_DIGEST,
  FL_SLOT_COUNT
} fl_store_slot;

struct fl_store {
  sqlite3 *db;
  const fl_disk *disk;
  fl_clock clock;
  char *dir;  // absolute
  char *path; // of the database, for messages
  int dir_fd; // of `dir`: blobs and logs are reached from here
  int wal_fd; // ours, for fdatasync only; -1 when read_only
  fl_durability durability;
  bool read_only;
  bool open;         // a write transaction is open
  int reading;       // depth of fl_store_read_begin(), 0: no read transaction is open
  bool failed;       // a sync failed: what is on disk is unknown, nothing more is written
  bool dirty;        // something is committed that no sync covers
  int wal_pages;     // in the log after the last commit
  int checkpoint_at; // wal_pages at which the next checkpoint is tried
  int64_t synced_ms; // monotonic time of the last sync
  uint32_t commits;  // of this handle, until there were enough to make room ahead
  int64_t log_room;  // bytes up to which the log file is known to reach; -1: do not try
  // Values that got their id within the open transaction, referenced: a rollback takes it back.
  fl_value **fresh;
  size_t fresh_count, fresh_capacity;
  // A sweep (prune) may have removed a value whose id a caller still remembers: ids up to
  // suspect_max are looked up again before they are used.
  uint32_t data_version;
  int64_t sweeps, suspect_max;
  sqlite3_stmt *slots[FL_SLOT_COUNT];
};

// -------------------------------------------------------------------------------- db.c

/// The statement of `slot`, prepared at its first use, reset and unbound or freshly bound by the
/// caller. `sql` must be the same each time.
FL_MUST fl_code fl_store_prepare(fl_store *s, fl_store_slot slot, const char *sql,
                                 sqlite3_stmt **out, fl_error *err);
/// A statement of its own for walks that call back; sqlite3_finalize() it.
FL_MUST fl_code fl_store_prepare_own(fl_store *s, const char *sql, sqlite3_stmt **out,
                                     fl_error *err);
/// fl_store_begin(), then fl_store_prepare(): the start of every write.
FL_MUST fl_code fl_store_prepare_write(fl_store *s, fl_store_slot slot, const char *sql,
                                       sqlite3_stmt **out, fl_error *err);
/// Steps a write to its end and resets it. On an error the transaction is rolled back.
FL_MUST fl_code fl_store_write(fl_store *s, sqlite3_stmt *st, fl_error *err);
/// Steps a read: `*row` says whether there is one; resets the statement when there is not.
FL_MUST fl_code fl_store_read(fl_store *s, sqlite3_stmt *st, bool *row, fl_error *err);
/// Runs statements without results.
FL_MUST fl_code fl_store_exec(fl_store *s, const char *sql, fl_error *err);
/// The sentence and code of a failed SQLite call on this store; `verb` is "read" or "write".
fl_code fl_store_fail(fl_store *s, int rc, const char *verb, fl_error *err);
/// "the store '<path>' is damaged: <fmt>": what to do is added.
fl_code fl_store_fail_corrupt(fl_store *s, fl_error *err, const char *fmt, ...) FL_PRINTF(3, 4);

/// integrity_check, where it takes no time: FL_E_CORRUPT.
FL_MUST fl_code fl_store_check(fl_store *s, fl_error *err);
/// Compares the seal of fl_store_seal_run(), where the run has one: FL_E_CORRUPT.
FL_MUST fl_code fl_store_check_seal(fl_store *s, int64_t run, fl_error *err);
/// The seal of fl_store_seal_run() holds no more: the run goes on.
FL_MUST fl_code fl_store_drop_seal(fl_store *s, int64_t run, fl_error *err);
/// One number, 0 when there is no row.
FL_MUST fl_code fl_store_get_int(fl_store *s, const char *sql, int64_t *out, fl_error *err);

void fl_store_bind_id(sqlite3_stmt *st, int at, int64_t id);         // 0: NULL
void fl_store_bind_text(sqlite3_stmt *st, int at, const char *text); // NULL: NULL; borrowed
char *fl_store_column_dup(sqlite3_stmt *st, int at);                 // NULL: NULL

/// One consistent view over several statements. Within a write transaction it is that one.
FL_MUST fl_code fl_store_read_begin(fl_store *s, fl_error *err);
void fl_store_read_end(fl_store *s);

// -------------------------------------------------------------------------------- schema

extern const char fl_store_tables_sql[], fl_store_tables_2_sql[], fl_store_tables_3_sql[];
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
/// was faster.
FL_MUST fl_code fl_store_create(const fl_disk *disk, int dir_fd, const char *path, fl_error *err);
/// Syncs the directory that `path` stands in: what was just made is there after a power cut then.
bool fl_store_sync_parent(const fl_disk *disk, const char *path);
/// mkdir -p, durably
FL_MUST fl_code fl_store_make_dir(const fl_disk *disk, const char *dir, fl_error *err);

// -------------------------------------------------------------------------------------
// transaction.c

/// Ends what is open, so that what follows is a transaction of its own.
FL_MUST fl_code fl_store_begin_own(fl_store *s, fl_error *err);
/// Called by SQLite after each commit that wrote.
int fl_store_on_wal(void *ud, sqlite3 *db, const char *name, int pages);
/// Copies the log into the database, as far as readers let it.
void fl_store_checkpoint(fl_store *s);
/// Reads whether others have swept since; sets suspect_max.
FL_MUST fl_code fl_store_notice_sweeps(fl_store *s, fl_error *err);

// -------------------------------------------------------------------------------- values,
// rows

/// Appends the text of value `id`, checked; `otherwise` when id is 0.
FL_MUST fl_code fl_store_append_value(fl_store *s, int64_t id, const char *otherwise, fl_buf *out,
                                      fl_error *err);
/// A walk over values by id: goes forward where the asker mostly does. Zero-initialise.
typedef struct fl_value_walk {
  sqlite3_stmt *st;
  int64_t id; // it stands on this one; 0: on none
} fl_value_walk;
/// Appends the text of value `id` (not 0), checked. Within a read transaction.
FL_MUST fl_code fl_store_walk_append(fl_store *s, fl_value_walk *w, int64_t id, fl_buf *out,
                                     fl_error *err);
void fl_store_walk_end(fl_value_walk *w);
#define FL_CHECKPOINT_COLUMNS "digest,text,value"
/// Appends the text of the checkpoint whose columns stand in `st` from `at` on, checked.
FL_MUST fl_code fl_store_append_checkpoint(fl_store *s, sqlite3_stmt *st, int at, fl_buf *out,
                                           fl_error *err);
FL_MUST fl_code fl_blob_write(fl_store *s, const char *hex, const char *data, size_t size,
                              fl_error *err);
/// Appends the blob's bytes; FL_E_CORRUPT when it is missing or not of `size`.
FL_MUST fl_code fl_blob_read(fl_store *s, const char *hex, size_t size, fl_buf *out, fl_error *err);
bool fl_blob_exists(fl_store *s, const char *hex);

// Columns in the order of the row readers below.
#define FL_RUN_COLUMNS                                                                             \
  "row,id,flow,definition,script,state,time_ms,\"trigger\",params,vars,parent_run,parent_node,"    \
  "replay_of,created_ms,started_ms,ended_ms,resumes,epoch,owner,lease_ms,cancel,error,"            \
  "selection,interval_from_ms,interval_to_ms,fork_of,replay_live,origin"
void fl_store_run_from(sqlite3_stmt *st, fl_run_row *row);

#define FL_ATTEMPT_COLUMNS                                                                         \
  "run,node,number,epoch,seq,end_seq,state,reason,end_reason,claimed_ms,started_ms,ended_ms,"      \
  "exit_code,signal,error,params,vars_in,vars_out,vars_by,outputs,recorded,synthetic,pid,"         \
  "retry_at_ms,child_run,cpu_us,rss_max_bytes,log_path,log_offset,log_size,log_total,"             \
  "item"
void fl_store_attempt_from(sqlite3_stmt *st, fl_attempt_row *row); // strings borrowed

#define FL_DECISION_COLUMNS "run,node,seq,epoch,state,reason,detail,at_ms"
void fl_store_decision_from(sqlite3_stmt *st, fl_decision_row *row); // strings borrowed

/// A stored number as a state; what a newer version may have written reads as the first one.
int fl_store_enum(int number, int count);
