// How the tables are asked: statements, values and rows, for the folders that know SQL (store and
// read). Nobody else includes this.
#pragma once
#include <sqlite3.h>
#include "store/state_sql.h"
#include "store/store.h"
#include "store/table.h"

/// A slot for each statement that is prepared once and kept.
typedef enum fl_store_slot {
  FL_SLOT_BEGIN,
  FL_SLOT_COMMIT,
  FL_SLOT_READ_BEGIN,
  FL_SLOT_SWEPT,
  FL_SLOT_VALUE_ADD,
  FL_SLOT_VALUE_ADD_SHORT,
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
  FL_SLOT_DEFINITION_END,
  FL_SLOT_DEFINITION_NODE_ADD,
  FL_SLOT_RUN_ADD,
  FL_SLOT_RUN_INPUT_ADD,
  FL_SLOT_RUN_GET,
  FL_SLOT_RUN_EPOCH,
  FL_SLOT_RUN_TAKE,
  FL_SLOT_RUN_RELEASE,
  FL_SLOT_RUN_STATE,
  FL_SLOT_RUN_DURATION,
  FL_SLOT_RUN_INPUTS,
  FL_SLOT_RUN_CANCEL,
  FL_SLOT_EPOCH_PUT,
  FL_SLOT_ATTEMPT_CLAIM,
  FL_SLOT_ATTEMPT_ADD,
  FL_SLOT_ATTEMPT_PLAIN,
  FL_SLOT_ATTEMPT_START,
  FL_SLOT_ATTEMPT_END,
  FL_SLOT_ATTEMPT_CHILD,
  FL_SLOT_ATTEMPT_HAND_OVER,
  FL_SLOT_CLAIM_PUT,
  FL_SLOT_CLAIM_DROP,
  FL_SLOT_DECISION_ADD,
  FL_SLOT_BREAKPOINT_ADD,
  FL_SLOT_ITEM_ADD,
  FL_SLOT_ITEM_DROP,
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
  FL_SLOT_SEAL, // and those behind it: one a table
  FL_SLOT_SEAL_LAST = FL_SLOT_SEAL + FL_STORE_TABLES - 1,
  FL_SLOT_TOUCH,
  FL_SLOT_NEWS,
  FL_SLOT_CHANGE_ENDS,
  FL_SLOT_CHANGE_ADD,
  FL_SLOT_CHANGE_CUT,
  FL_SLOT_CHANGE_DROP,
  FL_SLOT_PROPOSAL_ADD,
  FL_SLOT_PROPOSAL_APPLY,
  FL_SLOT_READ_DIGEST,
  FL_SLOT_COUNT
} fl_store_slot;

// -------------------------------------------------------------------------------- statements

/// The statement of `slot`, prepared at its first use, reset and unbound or freshly bound by the
/// caller. `sql` must be the same each time.
FL_MUST fl_code fl_store_prepare(fl_store *s, fl_store_slot slot, const char *sql,
                                 sqlite3_stmt **out, fl_error *err);
/// A statement of its own for walks that call back; sqlite3_finalize() it.
FL_MUST fl_code fl_store_prepare_own(fl_store *s, const char *sql, sqlite3_stmt **out,
                                     fl_error *err);
/// Steps a read: `*row` says whether there is one; resets the statement when there is not.
FL_MUST fl_code fl_store_read(fl_store *s, sqlite3_stmt *st, bool *row, fl_error *err);
/// One number, 0 when there is no row.
FL_MUST fl_code fl_store_get_int(fl_store *s, const char *sql, int64_t *out, fl_error *err);

/// The sentence and code of a failed SQLite call on this store; `verb` is "read" or "write".
fl_code fl_store_fail(fl_store *s, int rc, const char *verb, fl_error *err);
/// "the store '<path>' is damaged: <fmt>": what to do is added.
fl_code fl_store_fail_corrupt(fl_store *s, fl_error *err, const char *fmt, ...) FL_PRINTF(3, 4);

void fl_store_bind_id(sqlite3_stmt *st, int at, int64_t id);         // 0: NULL
void fl_store_bind_text(sqlite3_stmt *st, int at, const char *text); // NULL: NULL; borrowed
char *fl_store_column_dup(sqlite3_stmt *st, int at);                 // NULL: NULL

/// One consistent view over several statements. Within a write transaction it is that one.
FL_MUST fl_code fl_store_read_begin(fl_store *s, fl_error *err);
void fl_store_read_end(fl_store *s);

// -------------------------------------------------------------------------------- values

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

// -------------------------------------------------------------------------------- rows

// Columns in the order of the row readers below.
#define FL_RUN_COLUMNS                                                                             \
  "row,id,flow,definition,script,state,time_ms,\"trigger\",params,vars,parent_run,parent_node,"    \
  "replay_of,created_ms,started_ms,ended_ms,resumes,epoch,owner,cancel,error,"                     \
  "selection,interval_from_ms,interval_to_ms,fork_of,replay_live,origin,duration_ms"
void fl_store_run_from(sqlite3_stmt *st, fl_run_row *row);

#define FL_ATTEMPT_COLUMNS                                                                         \
  "run,node,number,epoch,seq,end_seq,state,reason,end_reason,claimed_ms,started_ms,ended_ms,"      \
  "exit_code,signal,error,params,vars_in,vars_out,vars_by,outputs,recorded,synthetic,pid,"         \
  "retry_at_ms,child_run,cpu_us,rss_max_bytes,log_path,log_offset,log_size,log_total,"             \
  "item,duration_ms"
void fl_store_attempt_from(sqlite3_stmt *st, fl_attempt_row *row); // strings borrowed

#define FL_DECISION_COLUMNS "run,node,seq,epoch,state,reason,detail,at_ms"
void fl_store_decision_from(sqlite3_stmt *st, fl_decision_row *row); // strings borrowed

/// A stored number as a state; what a newer version may have written reads as the first one.
int fl_store_enum(int number, int count);
