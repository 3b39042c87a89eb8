// What we remember: one SQLite database (WAL) and its blob files in the state directory.
//
// Writing is grouped: the first write of a turn begins a transaction, fl_store_commit() ends it and
// makes it durable as the durability asks. Nothing may be told or started before that. Every write
// names the run's epoch once a transaction (fl_store_fence()): an engine whose lease was taken over
// gets FL_E_FENCED and its transaction is rolled back.
// A write that fails rolls the whole transaction back, so that what follows begins a new one.
// A commit whose fsync failed has an unknown outcome: FL_E_UNKNOWN, and the store refuses all
// further writes until it is opened anew. An `each` callback must not write, except that of
// fl_store_each_live_run(). Tables and public views: docs/data.md.
// Not thread-safe; blocks for disk. Errors of all functions: FL_E_STORE, FL_E_FULL, FL_E_CORRUPT,
// FL_E_UNKNOWN, and what they name.
#pragma once
#include "base/clock.h"
#include "base/digest.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/state.h"
#include "base/value.h"
#include "store/disk.h"

typedef struct fl_store fl_store;

typedef struct fl_store_options {
  fl_durability durability;
  bool read_only;        // open an existing store for reading; nothing is created
  const fl_disk *disk;   // NULL: the machine's; borrowed
  const fl_clock *clock; // NULL: the system's; copied
} fl_store_options;

/// Opens <dir>/flowlua.db, creating directory and schema if missing, migrating an older schema in
/// one transaction. FL_E_NEWER, FL_E_CORRUPT (not a database, wrong application_id,
/// integrity_check fails).
FL_MUST fl_code fl_store_open(const char *dir, const fl_store_options *options, fl_store **out,
                              fl_error *err);
void fl_store_close(fl_store *s); // NULL-safe; rolls back what is open
const char *fl_store_get_dir(const fl_store *s);
/// From the next commit on.
void fl_store_set_durability(fl_store *s, fl_durability durability);

// -------------------------------------------------------------------------------- transactions

/// Begins a write transaction (BEGIN IMMEDIATE, waits for other writers up to 10 s) unless one is
/// open.
FL_MUST fl_code fl_store_begin(fl_store *s, fl_error *err);
/// Commits what is open (no-op when nothing is) and makes it durable: full: synced before it
/// returns; group: synced when the last sync is more than 100 ms ago, else left to a later commit
/// or fl_store_sync(). FL_E_FULL / FL_E_STORE: rolled back, known not to be there; FL_E_UNKNOWN as
/// above.
FL_MUST fl_code fl_store_commit(fl_store *s, fl_error *err);
void fl_store_rollback(fl_store *s);
bool fl_store_is_open(const fl_store *s); // a write transaction is open
/// Makes everything committed durable now (end of a run with `group`).
FL_MUST fl_code fl_store_sync(fl_store *s, fl_error *err);
/// group: milliseconds until fl_store_sync() is due, -1 when nothing waits for a sync (or `s` is
/// NULL).
int64_t fl_store_sync_due_ms(const fl_store *s, int64_t monotonic_ms);

// -------------------------------------------------------------------------------- values

/// Stores `v` unless it is there (content-addressed) and sets v->store_id. NULL is fine: id 0. Call
/// it within the transaction that names the value: a prune sweeps what no committed row names. It
/// costs nothing when v->store_id is set. A rollback takes back the ids it gave.
/// A value past FL_VALUE_INLINE_MAX goes to blobs/<hex>, synced before the commit that names it.
FL_MUST fl_code fl_store_put_value(fl_store *s, fl_value *v, fl_error *err);
/// Loads value `id` (0: *out = NULL); its digest is checked: FL_E_CORRUPT. A reference is yours.
FL_MUST fl_code fl_store_get_value(fl_store *s, int64_t id, fl_value **out, fl_error *err);

// -------------------------------------------------------------------------------- scripts

/// One source file of a snapshot: the script itself (first) and what it required from beside it.
typedef struct fl_source {
  char *path; // relative to the script's folder; the first one: the script's file name
  char *data; // any bytes
  size_t size;
} fl_source;

/// A script with its modules, by digest over paths and contents.
typedef struct fl_snapshot {
  int64_t store_id;               // row, once stored or read
  uint8_t digest[FL_DIGEST_SIZE]; // filled in by fl_snapshot_digest() / reading
  char *dir;                      // absolute folder of the script when it was loaded: default cwd
  fl_source *sources;
  size_t count;
} fl_snapshot;

/// Computes the digest (over the sources, not over `dir`).
void fl_snapshot_digest(fl_snapshot *snapshot);
void fl_snapshot_deinit(fl_snapshot *snapshot);
FL_MUST fl_code fl_store_put_script(fl_store *s, fl_snapshot *snapshot, fl_error *err);
/// FL_E_NOT_FOUND: it is gone, FL_E_CORRUPT: it is another than was stored.
FL_MUST fl_code fl_store_get_script(fl_store *s, int64_t id, fl_snapshot *out, fl_error *err);
/// Where its main file was, as far as that is known still; NULL: not. free() it.
FL_MUST fl_code fl_store_get_script_path(fl_store *s, int64_t id, char **out, fl_error *err);

/// The graph of a flow as its runs share it. `digest` is over flow key, script digest and nodes.
typedef struct fl_definition_row {
  const char *flow; // borrowed; not filled in when read
  int64_t script;
  uint8_t digest[FL_DIGEST_SIZE]; // not filled in when read
  uint32_t node_count;            // declared ones, without those that are removed
  bool edited;                    // of one mended run: numbers of nodes are not their positions
} fl_definition_row;

/// A node of a definition. Its number is what the records of a run name it by; in one that was
/// never edited it is the position among the declared nodes.
typedef struct fl_definition_node_row {
  uint32_t node;
  const char *name, *type;
  const char *parents; // JSON list of numbers, "[]" for none
  int hook;            // 0 or an fl_hook
  uint32_t position;
  bool removed; // an earlier script of the run had it: only its history is left
} fl_definition_node_row;

/// Both of these are looked up by digest each time: put script and definition within the
/// transaction that adds the run, or remembered ids may have been swept by a prune (FL_E_STATE from
/// add_run).
/// `*existed`: its nodes are there already. Else add all nodes in order within this transaction.
FL_MUST fl_code fl_store_put_definition(fl_store *s, const fl_definition_row *row, int64_t *id,
                                        bool *existed, fl_error *err);
FL_MUST fl_code fl_store_add_definition_node(fl_store *s, int64_t definition,
                                             const fl_definition_node_row *row, fl_error *err);
FL_MUST fl_code fl_store_get_definition(fl_store *s, int64_t id, fl_definition_row *out,
                                        fl_error *err);
/// By number. Row and its strings are borrowed for the length of the call; false stops.
FL_MUST fl_code fl_store_each_definition_node(fl_store *s, int64_t definition,
                                              bool (*each)(void *ud,
                                                           const fl_definition_node_row *row),
                                              void *ud, fl_error *err);

// -------------------------------------------------------------------------------- runs

/// A run's row. Strings are owned by the row when read (fl_run_row_deinit()), borrowed when
/// written.
typedef struct fl_run_row {
  int64_t row; // internal key
  char id[FL_RUN_ID_SIZE];
  char *flow;
  int64_t definition, script;
  fl_run_state state;
  int64_t time_ms;      // logical time
  char *trigger;        // manual|schedule|backfill|replay|flow|api
  int64_t params, vars; // value ids
  int64_t parent_run;   // row of the run whose node called this one, 0: none
  uint32_t parent_node;
  int64_t replay_of;                        // row, 0: none
  int64_t created_ms, started_ms, ended_ms; // 0: not yet
  uint32_t resumes;
  uint32_t epoch;                           // raised by every take-over
  char *owner;                              // who holds the lease, "" when nobody
  int64_t lease_ms;                         // wall time until which it holds, 0: released
  int cancel;                               // 0, 1: cancel was asked, 2: kill was asked
  char *error;                              // why it failed, one sentence, or NULL
  char *selection;                          // JSON list of the selected node names, or NULL: all
  int64_t interval_from_ms, interval_to_ms; // data interval, 0: none
  int64_t fork_of;                          // row of the run it was forked from, 0: none
  bool replay_live;                         // a replay that sees today's results, not those of then
  char *origin; // JSON: where it was exported and when, NULL: it was made here; only read
} fl_run_row;

void fl_run_row_deinit(fl_run_row *row);
/// Inserts with epoch 1 and `owner`, lease until now + FL_LEASE_MS; fills in row->row and
/// row->epoch.
FL_MUST fl_code fl_store_add_run(fl_store *s, fl_run_row *row, int64_t now_ms, fl_error *err);
/// FL_E_NOT_FOUND. By row.
FL_MUST fl_code fl_store_get_run(fl_store *s, int64_t run, fl_run_row *out, fl_error *err);
/// By id, unambiguous prefix, "last" or "last-failed" (sub-flow runs only by id or prefix).
/// FL_E_NOT_FOUND, FL_E_USAGE (ambiguous: names the candidates).
FL_MUST fl_code fl_store_find_run(fl_store *s, const char *name, fl_run_row *out, fl_error *err);
/// Within the open transaction: FL_E_FENCED (and rolled back) when the run's epoch is not `epoch`.
FL_MUST fl_code fl_store_fence(fl_store *s, int64_t run, uint32_t epoch, fl_error *err);
/// Takes the lease of a run: epoch + 1, owner, lease; FL_E_BUSY when its lease holds and
/// `owner_is_dead` is false, and when its epoch is no more `seen_epoch` (0: whatever it is), for
/// then another engine took it since the caller looked at its owner and its history. `resume`:
/// counts one more resume and forgets a wish to cancel. Own transaction (what is open is committed
/// first), committed durably.
FL_MUST fl_code fl_store_take_run(fl_store *s, int64_t run, const char *owner, uint32_t seen_epoch,
                                  bool owner_is_dead, bool resume, int64_t now_ms, uint32_t *epoch,
                                  fl_error *err);
/// Takes the lease of a run that belongs to one whose lease is held, within the open transaction:
/// epoch + 1, counting no resume. FL_E_FENCED as fl_store_fence().
FL_MUST fl_code fl_store_take_part(fl_store *s, const fl_run_row *run, const char *owner,
                                   int64_t now_ms, uint32_t *epoch, fl_error *err);
/// Seals a run that ends, within the transaction of its end and behind all that is written of it:
/// keeps a digest of its rows for fl_store_check_run(). Taking the run breaks the seal.
FL_MUST fl_code fl_store_seal_run(fl_store *s, int64_t run, fl_error *err);
/// FL_E_CORRUPT when the database is damaged (as far as SQLite sees, in one that is checked within
/// some milliseconds), or when the rows of a run are not those it was sealed with.
FL_MUST fl_code fl_store_check_run(fl_store *s, int64_t run, fl_error *err);
FL_MUST fl_code fl_store_renew_lease(fl_store *s, int64_t run, int64_t until_ms, fl_error *err);
/// State, started_ms, ended_ms (0: unchanged; -1: cleared), error (NULL: unchanged, "": cleared). A
/// final state releases the lease.
FL_MUST fl_code fl_store_set_run_state(fl_store *s, int64_t run, fl_run_state state,
                                       int64_t started_ms, int64_t ended_ms, const char *error,
                                       fl_error *err);
/// After a resume with a patch: what the run uses from now on.
FL_MUST fl_code fl_store_set_run_inputs(fl_store *s, int64_t run, int64_t definition,
                                        int64_t script, int64_t params, int64_t vars,
                                        fl_error *err);
/// What a run used from an epoch on. Value and row ids, 0: none.
typedef struct fl_input_row {
  uint32_t epoch;
  int64_t definition, script, params, vars;
} fl_input_row;
FL_MUST fl_code fl_store_each_input(fl_store *s, int64_t run,
                                    bool (*each)(void *ud, const fl_input_row *row), void *ud,
                                    fl_error *err); // by epoch
/// Records the wish; own transaction, any engine may call it.
FL_MUST fl_code fl_store_ask_cancel(fl_store *s, int64_t run, int how, fl_error *err);
/// Rows of runs in state queued, running or waiting whose flow is `flow` (NULL: all); newest first.
FL_MUST fl_code fl_store_each_live_run(fl_store *s, const char *flow,
                                       bool (*each)(void *ud, const fl_run_row *row), void *ud,
                                       fl_error *err);

/// One epoch of a run: who ran it, and which supervisor owned its processes.
typedef struct fl_epoch_row {
  uint32_t epoch;
  char *owner;
  char *supervisor; // id of the supervisor, "" before one was needed
  int64_t at_ms;
  int64_t patch; // value id, 0: none
  char *reason;  // of the patch, or NULL
  char *author;  // who asked for the resume, or NULL
} fl_epoch_row;
FL_MUST fl_code fl_store_put_epoch(fl_store *s, int64_t run, const fl_epoch_row *row,
                                   fl_error *err); // inserts or replaces
FL_MUST fl_code fl_store_each_epoch(fl_store *s, int64_t run,
                                    bool (*each)(void *ud, const fl_epoch_row *row), void *ud,
                                    fl_error *err); // oldest first

/// A patch that was proposed at a breakpoint.
typedef struct fl_proposal_row {
  uint32_t number; // from 1, within the run
  uint32_t epoch;  // at whose end it was made
  int64_t at_ms;
  const char *origin;     // "on_breakpoint", or the name of a rule
  const char *reason;     // for people; NULL: none
  int64_t patch;          // value id
  bool automatic;         // the flow lets it be applied by itself
  uint32_t applied_epoch; // that it began, 0: it was not applied
} fl_proposal_row;
/// Fills in row->number.
FL_MUST fl_code fl_store_add_proposal(fl_store *s, int64_t run, fl_proposal_row *row,
                                      fl_error *err);
FL_MUST fl_code fl_store_apply_proposal(fl_store *s, int64_t run, uint32_t number, uint32_t epoch,
                                        fl_error *err);
/// By number. Row and its strings are borrowed for the length of the call; false stops.
FL_MUST fl_code fl_store_each_proposal(fl_store *s, int64_t run,
                                       bool (*each)(void *ud, const fl_proposal_row *row), void *ud,
                                       fl_error *err);
/// Without its texts (NULL). FL_E_NOT_FOUND.
FL_MUST fl_code fl_store_get_proposal(fl_store *s, int64_t run, uint32_t number,
                                      fl_proposal_row *out, fl_error *err);

// -------------------------------------------------------------------------------- attempts

/// Where an attempt's output is kept (io/logfile.h makes these). `path` is relative to the state
/// directory; "" when there was no output.
typedef struct fl_log_place {
  const char *path;
  int64_t offset, size; // of a shared file; size -1: a file of its own, all of it
  int64_t total;        // bytes the attempt wrote, kept or not
} fl_log_place;

typedef struct fl_attempt_row {
  int64_t run;
  uint32_t node, number; // number counts from 1
  uint32_t epoch;
  int64_t seq;     // order of claims within the run
  int64_t end_seq; // order of ends, same counter; 0: not ended
  fl_attempt_state state;
  fl_reason reason;     // why it was started
  fl_reason end_reason; // why it ended as it did, where there is something to say
  int64_t claimed_ms, started_ms, ended_ms;
  int exit_code;                      // -1: none
  int signal;                         // 0: none
  const char *error;                  // NULL: none
  int64_t params;                     // what the node was given, rendered; value id, 0: not kept
  int64_t item;                       // of an instance; value id, 0: that of its row
  int64_t vars_in, vars_out, vars_by; // value ids; vars_by: {"key":"node that set it"}
  int64_t outputs;                    // value id; 0: none
  int64_t recorded;    // value id: results of ctx:now, ctx:random, ctx:uuid in order; 0: none
  bool synthetic;      // its outputs were set by hand
  int pid;             // 0: none
  int64_t retry_at_ms; // next attempt is due then; 0: none
  int64_t child_run;   // row of the sub-flow's run; 0: none
  int64_t cpu_us, rss_max_bytes;
  fl_log_place log;
} fl_attempt_row;

/// Inserts: state queued or running (or final, for synthetic ones).
FL_MUST fl_code fl_store_add_attempt(fl_store *s, const fl_attempt_row *row, fl_error *err);
/// state running, started_ms, pid. Only for long ones: a short one gets all of it at its end.
FL_MUST fl_code fl_store_start_attempt(fl_store *s, const fl_attempt_row *row, fl_error *err);
/// Everything that is known at the end: from `end_seq` and `state` on (not seq, reason, claimed_ms,
/// params, vars_in). started_ms, pid and child_run stay as they are where the row has 0.
FL_MUST fl_code fl_store_end_attempt(fl_store *s, const fl_attempt_row *row, fl_error *err);
FL_MUST fl_code fl_store_set_attempt_child(fl_store *s, int64_t run, uint32_t node, uint32_t number,
                                           int64_t child_run, fl_error *err);
/// Of an attempt that had not started when its engine died, and is started by the one of `epoch`,
/// which lets it see the vars `vars_in`.
FL_MUST fl_code fl_store_hand_over_attempt(fl_store *s, int64_t run, uint32_t node, uint32_t number,
                                           uint32_t epoch, int64_t vars_in, fl_error *err);
/// By node, then number. Row and its strings are borrowed for the length of the call; `each`
/// returning false stops.
FL_MUST fl_code fl_store_each_attempt(fl_store *s, int64_t run,
                                      bool (*each)(void *ud, const fl_attempt_row *row), void *ud,
                                      fl_error *err);

/// Attempts that are claimed and have no row yet, as "[[node,number],...]"; NULL: none. An attempt
/// that ends within milliseconds is thus written once; what stands here when the engine dies was
/// recorded before it started, and is lost.
FL_MUST fl_code fl_store_put_claims(fl_store *s, int64_t run, int64_t at_ms, const char *list,
                                    fl_error *err);
FL_MUST fl_code fl_store_each_claim(fl_store *s, int64_t run,
                                    bool (*each)(void *ud, uint32_t node, uint32_t number,
                                                 int64_t at_ms),
                                    void *ud, fl_error *err);

/// A node that got a state without an attempt: skipped, omitted, upstream_failed, cancelled; or
/// pending again (a resume re-queued it). The last decision after the last attempt holds.
typedef struct fl_decision_row {
  int64_t run;
  uint32_t node;
  int64_t seq; // same counter as attempts
  uint32_t epoch;
  fl_node_state state;
  fl_reason reason;
  const char *detail; // NULL: none; a node's name, an error text
  int64_t at_ms;
  // What a `when` that was false got from ctx:now and friends, a JSON list; NULL: nothing. It is
  // kept in the column of `detail`, which such a decision has no other use for.
  const char *recorded;
} fl_decision_row;
FL_MUST fl_code fl_store_add_decision(fl_store *s, const fl_decision_row *row, fl_error *err);
FL_MUST fl_code fl_store_each_decision(fl_store *s, int64_t run,
                                       bool (*each)(void *ud, const fl_decision_row *row), void *ud,
                                       fl_error *err); // by seq

/// A node that failed for good, so that its run stops: added in the transaction of that end.
typedef struct fl_breakpoint_row {
  int64_t run;
  int64_t seq; // of the end: of its last attempt, or of the decision that it failed
  uint32_t epoch, node;
  uint32_t number; // of the attempt, 0: it failed without one
  int64_t at_ms;
} fl_breakpoint_row;
FL_MUST fl_code fl_store_add_breakpoint(fl_store *s, const fl_breakpoint_row *row, fl_error *err);

/// An instance of a map: node indexes from the definition's node_count on.
typedef struct fl_instance_row {
  int64_t run;
  uint32_t node, map_node, position; // position counts from 1
  const char *name;                  // "resize[3]"
  int64_t item;                      // value id
  const char *type;                  // node type of the map's inner node; NULL: "instance"
} fl_instance_row;
FL_MUST fl_code fl_store_add_instance(fl_store *s, const fl_instance_row *row, fl_error *err);
FL_MUST fl_code fl_store_each_instance(fl_store *s, int64_t run,
                                       bool (*each)(void *ud, const fl_instance_row *row), void *ud,
                                       fl_error *err); // by node
/// Removes the instances of a map that is run again from the start.
FL_MUST fl_code fl_store_drop_instances(fl_store *s, int64_t run, uint32_t map_node, fl_error *err);

/// Checkpoints: the newest of a node is what it gets back. `value` NULL drops it.
FL_MUST fl_code fl_store_put_checkpoint(fl_store *s, int64_t run, uint32_t node, uint32_t number,
                                        int64_t at_ms, fl_value *value, fl_error *err);
FL_MUST fl_code fl_store_get_checkpoint(fl_store *s, int64_t run, uint32_t node, fl_value **out,
                                        fl_error *err); // *out NULL: none
/// Results of ctx:step, by name; kept for the life of the node in the run.
FL_MUST fl_code fl_store_put_step(fl_store *s, int64_t run, uint32_t node, const char *name,
                                  fl_value *value, fl_error *err);
FL_MUST fl_code fl_store_get_step(fl_store *s, int64_t run, uint32_t node, const char *name,
                                  bool *found, fl_value **out, fl_error *err);
FL_MUST fl_code fl_store_drop_steps(fl_store *s, int64_t run, uint32_t node, fl_error *err);
FL_MUST fl_code fl_store_put_progress(fl_store *s, int64_t run, uint32_t node, double done,
                                      double total, const char *text, int64_t at_ms, fl_error *err);

// -------------------------------------------------------------------------------- moving runs

/// Writes the run and all it called, with every value and script they name, to a file that
/// fl_store_import() takes. `host`: where the run is from, for people. FL_E_STATE: the file is
/// there, and `overwrite` is not set.
FL_MUST fl_code fl_store_export(fl_store *s, const fl_run_row *run, const char *host,
                                int64_t now_ms, const char *path, bool overwrite, fl_error *err);
/// Takes a run in, owned by nobody, in the state it was in; its digest is checked before anything
/// else is looked at. Own transaction: all of it or nothing. FL_E_NOT_FOUND, FL_E_CORRUPT,
/// FL_E_NEWER, FL_E_STATE: the run is in the store already.
FL_MUST fl_code fl_store_import(fl_store *s, const char *path, char run_id_out[FL_RUN_ID_SIZE],
                                fl_error *err);
/// Makes a new run with the history of one that has ended, and of all it called; values are
/// shared, the old rows stay as they are. Own transaction. FL_E_STATE: it has not ended.
FL_MUST fl_code fl_store_fork(fl_store *s, const fl_run_row *run, int64_t now_ms,
                              char run_id_out[FL_RUN_ID_SIZE], fl_error *err);

// -------------------------------------------------------------------------------- retention

/// Removes runs that ended before the instant `older_than_ms` (-1: none by age), and the oldest
/// ended ones until the state is smaller than `size_max_bytes` (-1: no limit), each with the
/// sub-flow runs it called, with rows, logs, and values and blobs that no run names any more; never
/// a live run. Appends the ids to `ids` as a JSON list; `*bytes`: about what it frees. Many short
/// transactions.
FL_MUST fl_code fl_store_prune(fl_store *s, int64_t older_than_ms, int64_t size_max_bytes,
                               bool dry_run, fl_buf *ids, int64_t *bytes, fl_error *err);

/// "SQLite 3.40.1".
void fl_store_version_text(char out[64]);

/// The connection, for the reading functions of store/read_*.c only.
struct sqlite3 *fl_store_get_db(fl_store *s);
