// What we remember: one SQLite database (WAL) and its blob files in the state directory.
//
// Writing is grouped: the first write of a turn begins a transaction, fl_store_commit() ends it and
// makes it durable as the durability asks. Nothing may be told or started before that. Every write
// names the run's epoch once a transaction (fl_store_fence()), before it writes anything of the
// run: an engine whose run was taken over gets FL_E_FENCED. A write that fails rolls the whole
// transaction back, so that what follows begins a new one. A commit whose fsync failed has an
// unknown outcome: FL_E_UNKNOWN, and the store refuses all further writes until it is opened anew.
// An `each` callback must not write, except that of fl_store_each_live_run(). Tables and public
// views: docs/data.md. Not thread-safe; blocks for disk. Errors of all functions: FL_E_STORE,
// FL_E_FULL, FL_E_CORRUPT, FL_E_UNKNOWN, and what they name.
#pragma once
#include "base/clock.h"
#include "base/digest.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/state.h"
#include "base/value.h"
#include "flowlua.h"
#include "store/disk.h"

typedef struct fl_store fl_store;

/// Who does what may wait for the disk in place of the store's own thread: a thread of the
/// library's, or a simulated one.
typedef struct fl_aside {
  /// Has `work(arg)` called on another thread, one at a time and in order, and `done(arg)` on the
  /// store's afterwards. NULL: there is nobody, and the store waits itself.
  void (*run)(void *ud, void (*work)(void *arg), void (*done)(void *arg), void *arg);
  void (*wait)(void *ud); // until all of it is done
  void *ud;
} fl_aside;

typedef struct fl_store_options {
  fl_durability durability;
  bool read_only;        // open an existing store for reading; nothing is created
  bool no_upgrade;       // with read_only: one of an older schema is FL_E_STATE
  const fl_disk *disk;   // NULL: the machine's; borrowed
  const fl_clock *clock; // NULL: the system's; copied
  fl_aside aside;        // zero: syncs are waited for, and so are other writers
  /// Whether the engine that a run names as its owner lives. NULL: nobody does.
  bool (*owner_lives)(void *ud, const char *owner);
  void *owner_ud;
  uint32_t sync_ms; // see fl_config.sync_ms
  int64_t log_room; // see fl_config.wal_room
  /// Another handle of this process has the way first: to begin does not wait for other writers
  /// (FL_E_BUSY), and a commit waits for no sync and copies no log.
  bool gives_way;
} fl_store_options;

/// See fl_own_process().
void fl_store_own_process(void);

/// Opens <dir>/flowlua.db, creating directory and schema if missing, migrating an older schema in
/// one transaction. FL_E_NEWER, FL_E_CORRUPT (not a database, wrong application_id,
/// integrity_check fails).
FL_MUST fl_code fl_store_open(const char *dir, const fl_store_options *options, fl_store **out,
                              fl_error *err);
void fl_store_close(fl_store *s); // NULL-safe; rolls back what is open
/// The vars that a run had, the newest first: what nodes left and patches set, then those that it
/// began with. `each` returns false to stop.
FL_MUST fl_code fl_store_each_vars(fl_store *s, int64_t run,
                                   bool (*each)(void *ud, const fl_value *vars), void *ud,
                                   fl_error *err);
/// As fl_store_options.owner_lives says; false for "", nobody.
bool fl_store_owner_lives(const fl_store *s, const char *owner);
/// False when nobody can tell, too.
bool fl_store_owner_is_dead(const fl_store *s, const char *owner);
const char *fl_store_get_dir(const fl_store *s);

// -------------------------------------------------------------------------------- transactions

/// Begins a write transaction (BEGIN IMMEDIATE, waits for other writers up to 10 s) unless one is
/// open. With `aside` or `gives_way` nobody is waited for: FL_E_BUSY.
FL_MUST fl_code fl_store_begin(fl_store *s, fl_error *err);
/// Commits what is open (no-op when nothing is) and makes it durable: full: synced before it
/// returns; group: synced when the last sync is more than 100 ms ago, else left to a later commit
/// or fl_store_sync(). FL_E_FULL / FL_E_STORE: rolled back, known not to be there; FL_E_UNKNOWN as
/// above.
/// With fl_store_options.aside it asks for the sync and does not wait: fl_store_is_synced() tells.
FL_MUST fl_code fl_store_commit_as(fl_store *s, fl_durability durability, fl_error *err);
/// The same, with the durability that the store was opened with.
FL_MUST fl_code fl_store_commit(fl_store *s, fl_error *err);
/// Between commits, for who has little time: copies the log into the database when it has grown by
/// what half of `budget_us` is enough for. Without it a commit does, when it is long.
void fl_store_tend_log(fl_store *s, int64_t budget_us); // NULL-safe
void fl_store_rollback(fl_store *s);
bool fl_store_is_open(const fl_store *s); // a write transaction is open
/// Makes everything committed durable now (end of a run with `group`); with `aside` it only asks
/// for it.
FL_MUST fl_code fl_store_sync(fl_store *s, fl_error *err);
/// The same, and waits for it in any case.
FL_MUST fl_code fl_store_flush(fl_store *s, fl_error *err);
/// The number of the last commit, and whether commit `number` is on the disk. FL_E_UNKNOWN: a sync
/// has failed.
uint64_t fl_store_get_commit(const fl_store *s);
FL_MUST fl_code fl_store_is_synced(fl_store *s, uint64_t number, bool *synced, fl_error *err);
/// group: milliseconds until fl_store_sync() is due, -1 when nothing waits for a sync (or `s` is
/// NULL).
int64_t fl_store_sync_due_ms(const fl_store *s, int64_t monotonic_ms);
/// True when the log has grown past 64 MiB, because somebody reads what was there before it:
/// nothing can be taken out of it meanwhile. Then at each doubling, and again after it has begun
/// anew. *pid: a process that does, 0: this one, or it cannot be told. `s` may be NULL.
bool fl_store_take_log_alarm(fl_store *s, int64_t *bytes, int *pid);

// -------------------------------------------------------------------------------- values

/// Stores `v` unless it is there (content-addressed) and sets v->store_id. NULL is fine: id 0. Call
/// it within the transaction that names the value: a prune sweeps what no committed row names. It
/// costs nothing when v->store_id is set. A rollback takes back the ids it gave.
/// A value past FL_VALUE_INLINE_MAX goes to blobs/<hex>, synced before the commit that names it.
/// One of at most FL_VALUE_SHORT_MAX may be stored more than once: see fl_store_is_same_value().
FL_MUST fl_code fl_store_put_value(fl_store *s, fl_value *v, fl_error *err);
/// Whether two ids (0: none) stand for the same value. What cannot be read is the same as nothing.
bool fl_store_is_same_value(fl_store *s, int64_t a, int64_t b);
/// Loads value `id` (0: *out = NULL); its digest is checked: FL_E_CORRUPT. A reference is yours.
FL_MUST fl_code fl_store_get_value(fl_store *s, int64_t id, fl_value **out, fl_error *err);

// -------------------------------------------------------------------------------- scripts

/// One source file of a snapshot: the script itself (first) and what it required from beside it.
typedef struct fl_source {
  char *path; // relative to the script's folder; the first one: the script's file name
  char *data; // any bytes
  size_t size;
} fl_source;

/// By which rules scripts are read: raised when a text that was good means something else or is
/// refused, so that what runs keep goes on as it began (lua/flow/language.lua).
#define FL_LANGUAGE 2

/// A script with its modules, by digest over paths and contents, and from FL_LANGUAGE 1 on over the
/// language: it is not kept anywhere else.
typedef struct fl_snapshot {
  int64_t store_id;               // row, once stored or read
  uint8_t digest[FL_DIGEST_SIZE]; // filled in by fl_snapshot_digest() / reading
  char *dir;                      // absolute folder of the script when it was loaded: default cwd
  uint32_t language; // FL_LANGUAGE of when it was loaded first; 0: before there was one
  fl_source *sources;
  size_t count;
} fl_snapshot;

/// Computes the digest (over language and sources, not over `dir`).
void fl_snapshot_digest(fl_snapshot *snapshot);
/// Finds the language with which a snapshot that was read has `digest`, and sets both; false: none
/// fits, it is another than was kept.
bool fl_snapshot_identify(fl_snapshot *snapshot, const uint8_t digest[FL_DIGEST_SIZE]);
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
  // What it needs to run, of a map: what its items need; written only.
  bool known;                // false: not known
  bool slot;                 // one of the engine's jobs
  const char *pool;          // NULL: none
  uint32_t weight, capacity; // of the pool as the flow declares it
} fl_definition_node_row;

/// Both of these are looked up by digest each time: put script and definition within the
/// transaction that adds the run, or remembered ids may have been swept by a prune (FL_E_STATE from
/// add_run).
/// `*existed`: its nodes are all there already.
FL_MUST fl_code fl_store_put_definition(fl_store *s, const fl_definition_row *row, int64_t *id,
                                        bool *existed, fl_error *err);
/// Its nodes, in one transaction or in several: until fl_store_end_definition() it is found as one
/// that has not `*existed`, and whoever finds it adds what is missing. One that is there stays.
FL_MUST fl_code fl_store_add_definition_node(fl_store *s, int64_t definition,
                                             const fl_definition_node_row *row, fl_error *err);
FL_MUST fl_code fl_store_end_definition(fl_store *s, int64_t definition, uint32_t node_count,
                                        fl_error *err);
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
  char *owner;                              // who executes it, "" when nobody
  int cancel;                               // 0, 1: cancel was asked, 2: kill was asked
  char *error;                              // why it failed, one sentence, or NULL
  char *selection;                          // JSON list of the selected node names, or NULL: all
  int64_t interval_from_ms, interval_to_ms; // data interval, 0: none
  int64_t fork_of;                          // row of the run it was forked from, 0: none
  bool replay_live;                         // a replay that sees today's results, not those of then
  char *origin;        // JSON: where it was exported and when, NULL: it was made here; only read
  int64_t duration_ms; // of all its epochs that ended, as measured; -1: of none; only read
} fl_run_row;

void fl_run_row_deinit(fl_run_row *row);
/// Inserts with epoch 1 and `owner`; fills in row->row and row->epoch.
FL_MUST fl_code fl_store_add_run(fl_store *s, fl_run_row *row, fl_error *err);
/// FL_E_NOT_FOUND. By row.
FL_MUST fl_code fl_store_get_run(fl_store *s, int64_t run, fl_run_row *out, fl_error *err);
/// By id, its beginning or its end where only one has it, "last", "last-N" (as many before it) or
/// "last-failed" (sub-flow runs only by id or a part of it).
/// FL_E_NOT_FOUND, FL_E_USAGE (ambiguous: names the candidates).
FL_MUST fl_code fl_store_find_run(fl_store *s, const char *name, fl_run_row *out, fl_error *err);
/// Within the open transaction: FL_E_FENCED when the run's epoch is not `epoch`. No other engine
/// can change it until the transaction ends; what was written of other runs stays. `*cancel` (or
/// NULL): the wish to cancel that somebody has recorded.
FL_MUST fl_code fl_store_fence(fl_store *s, int64_t run, uint32_t epoch, int *cancel,
                               fl_error *err);
/// Makes `owner` the owner of a run: epoch + 1. FL_E_BUSY when another owner lives, and when its
/// epoch is no more `seen_epoch` (0: whatever it is), for then another engine took it since the
/// caller looked at its history. `resume`: counts one more resume and forgets a wish to cancel. Own
/// transaction (what is open is committed first), committed durably.
FL_MUST fl_code fl_store_take_run(fl_store *s, int64_t run, const char *owner, uint32_t seen_epoch,
                                  bool resume, uint32_t *epoch, fl_error *err);
/// Takes a run that belongs to one that was taken, within the open transaction: epoch + 1, counting
/// no resume. FL_E_FENCED as fl_store_fence().
FL_MUST fl_code fl_store_take_part(fl_store *s, const fl_run_row *run, const char *owner,
                                   uint32_t *epoch, fl_error *err);
/// Nobody owns it any more: its engine leaves it as it is.
FL_MUST fl_code fl_store_release_run(fl_store *s, int64_t run, fl_error *err);
/// Seals a run that ends, within the transaction of its end and behind all that is written of it:
/// keeps a digest of its rows for fl_store_check_run(). Taking the run breaks the seal.
FL_MUST fl_code fl_store_seal_run(fl_store *s, int64_t run, fl_error *err);
/// The same in portions. From fl_seal_new() on no row of the run is written but its own, with its
/// final state, in the transaction of fl_seal_put().
typedef struct fl_seal fl_seal;
fl_seal *fl_seal_new(int64_t run);
void fl_seal_free(fl_seal *seal); // NULL-safe
/// Reads up to `rows` more. `*whole`: those were the last, and fl_seal_put() may be called.
FL_MUST fl_code fl_seal_add_some(fl_store *s, fl_seal *seal, uint32_t rows, bool *whole,
                                 fl_error *err);
/// Once, within the transaction of the run's end. The seal is still to be freed.
FL_MUST fl_code fl_seal_put(fl_store *s, fl_seal *seal, fl_error *err);
/// FL_E_CORRUPT when the database is damaged (as far as SQLite sees, in one that is checked within
/// some milliseconds), or when the rows of a run are not those it was sealed with.
FL_MUST fl_code fl_store_check_run(fl_store *s, int64_t run, fl_error *err);
/// State, started_ms, ended_ms (0: unchanged; -1: cleared), error (NULL: unchanged, "": cleared). A
/// final state releases the run.
FL_MUST fl_code fl_store_set_run_state(fl_store *s, int64_t run, fl_run_state state,
                                       int64_t started_ms, int64_t ended_ms, const char *error,
                                       fl_error *err);
/// After a resume with a patch: what the run uses from now on.
FL_MUST fl_code fl_store_set_run_inputs(fl_store *s, int64_t run, int64_t definition,
                                        int64_t script, int64_t params, int64_t vars,
                                        fl_error *err);
/// How long the run was executed, all epochs together. Before it is sealed.
FL_MUST fl_code fl_store_set_run_duration(fl_store *s, int64_t run, int64_t duration_ms,
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
/// Runs that have not ended and that somebody wants to end: 1 cancel, 2 kill. `each` may write.
FL_MUST fl_code fl_store_each_wish(fl_store *s, void (*each)(void *ud, const char *id, int cancel),
                                   void *ud, fl_error *err);
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
  int64_t duration_ms; // as measured, where `measured`; read: else by the clock, never negative
  bool measured;
  int exit_code;                      // -1: none
  int signal;                         // 0: none
  const char *error;                  // NULL: none
  int64_t params;                     // what the node was given, rendered; value id, 0: not kept
  int64_t item;                       // of an item: its value, 0: that of its row
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
/// The state that an attempt is recorded with; `*found` false: none is.
FL_MUST fl_code fl_store_get_attempt_state(fl_store *s, int64_t run, uint32_t node, uint32_t number,
                                           bool *found, fl_attempt_state *state, fl_error *err);
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

/// An item of a map: node indexes from the definition's node_count on.
typedef struct fl_item_row {
  int64_t run;
  uint32_t node, map_node, position; // position counts from 1
  const char *name;                  // "resize[3]"
  int64_t value;                     // value id
  const char *type;                  // node type of the map's inner node; NULL: "item"
} fl_item_row;
FL_MUST fl_code fl_store_add_item(fl_store *s, const fl_item_row *row, fl_error *err);
FL_MUST fl_code fl_store_each_item(fl_store *s, int64_t run,
                                   bool (*each)(void *ud, const fl_item_row *row), void *ud,
                                   fl_error *err); // by node

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

// -------------------------------------------------------------------------------- changes

#define FL_CHANGE_NO_NODE UINT32_MAX

/// An event of a run, as every reader of the store gets to know it. Numbers are given in the order
/// of commits, without a gap.
typedef struct fl_change {
  uint64_t seq; // its number, from 1
  fl_event_kind kind;
  int64_t run, at_ms; // the run's row
  uint32_t node;      // number of a node or item, FL_CHANGE_NO_NODE: of the run itself
  uint32_t attempt;   // of a node, 0: none
  uint32_t epoch;     // of the run itself
  int state;          // fl_node_state, of the run itself fl_run_state
  fl_reason reason;
  int64_t duration_ms;
  int exit_code, signal; // -1, 0: none
  const char *text;      // an error or detail, NULL: none
  bool error_of_attempt; // read: the error is in the attempt's row, and `text` is NULL
} fl_change;

/// Tells `c` with the open transaction, or one that it begins, and fills in c->seq. The text of an
/// attempt is not kept: it is its error.
FL_MUST fl_code fl_store_add_change(fl_store *s, fl_change *c, fl_error *err);
/// Numbers of the first and the last event that are kept; 0: there is none.
FL_MUST fl_code fl_store_get_changes(fl_store *s, uint64_t *first, uint64_t *last, fl_error *err);
/// Those behind number `after`; the change and its text are borrowed for the length of the call,
/// false stops. That none between is gone is the caller's to ask, within one read transaction.
FL_MUST fl_code fl_store_each_change(fl_store *s, uint64_t after,
                                     bool (*each)(void *ud, const fl_change *change), void *ud,
                                     fl_error *err);
/// Whether this handle and whether others have committed since this was asked last.
FL_MUST fl_code fl_store_look(fl_store *s, bool *own, bool *others, fl_error *err);

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

#define FL_PRUNE_ANY_AGE INT64_MIN

/// What a prune removes.
typedef struct fl_prune_wish {
  /// Runs that ended before this instant, by today's clock: of one that has jumped it is known by
  /// how much (age.h). FL_PRUNE_ANY_AGE: none by age.
  int64_t older_than_ms;
  int64_t size_max_bytes; // the oldest ended ones until the state is smaller; -1: no limit
  uint32_t last;          // never the last so many runs of a flow; alone: all but them. 0: no rule
  bool all;               // also the last succeeded run of a flow, and runs that failed: a resume
                          // may go on with those
  bool dry_run;
  /// NULL, or: a JSON list is appended of {"id","flow","status","ended_at","age_ms"} for each run;
  /// counted are those that stay, though older by what the clock says.
  fl_buf *details;
  uint32_t *doubtful;
  bool step_by_step;      // every deletion is a slice of its own: for tests
  bool (*stop)(void *ud); // NULL, or asked behind every slice: true ends it early, with FL_OK
  /// NULL, or called before each slice, on a store that gives way: waits until one may begin, and
  /// says for how long; false ends the prune. `end` is called when it has ended. With it `stop` is
  /// asked every few milliseconds.
  bool (*begin)(void *ud, int64_t *slice_us);
  void (*end)(void *ud);
  void *ud;
} fl_prune_wish;

/// Whether fl_store_prune() would have anything to do: runs that go, or what an earlier one that
/// was stopped has left. Reads only.
FL_MUST fl_code fl_store_prune_is_due(fl_store *s, const fl_prune_wish *wish, bool *due,
                                      fl_error *err);

/// Removes ended runs, each with the sub-flow runs it called, with rows, logs, and values and blobs
/// that no run names any more; never a live run. Appends the ids to `ids` as a JSON list; `*bytes`:
/// about what it frees. It holds the write lock for some 10 ms at a time, pauses as long, and looks
/// for what nobody names without it: others read and write meanwhile. What an interruption leaves
/// is found by the next one.
FL_MUST fl_code fl_store_prune(fl_store *s, const fl_prune_wish *wish, fl_buf *ids, int64_t *bytes,
                               fl_error *err);

/// "SQLite 3.40.1".
void fl_store_version_text(char out[64]);
