// One run in memory, and the scheduler's insides. Private to this folder.
#pragma once
#include "base/table.h"
#include "engine/attempt_internal.h"
#include "engine/scheduler.h"
#include "engine/vars.h"
#include "plan/line.h"
#include "plan/plan.h"

/// Adds `item` to the end of a list.
#define FL_PUSH(list, count, capacity, item)                                                       \
  do {                                                                                             \
    if ((count) == (capacity)) {                                                                   \
      (capacity) = (capacity) ? (capacity)*2 : 16;                                                 \
      (list) = fl_realloc((list), (capacity) * sizeof *(list));                                    \
    }                                                                                              \
    (list)[(count)++] = (item);                                                                    \
  } while (0)

typedef struct fl_replay fl_replay;
typedef struct fl_member fl_member; // lineup.c
typedef struct fl_party fl_party;
typedef struct fl_lane fl_lane;
typedef struct fl_gate fl_gate; // gate.c
typedef struct fl_due fl_due;
typedef struct fl_recording fl_recording; // definition.c

typedef struct fl_node_run {
  fl_value *outputs;  // kept while small and somebody may still need it
  int64_t outputs_id; // in the store
  fl_vars *vars;      // what it left, or inherited
  fl_attempt *live;
  int64_t first_ms;    // start of its first attempt in this epoch, for the deadline
  uint32_t attempts;   // numbers given so far
  uint32_t failures;   // failed attempts in this epoch, for retries
  uint32_t lost;       // lost ones in a row
  uint32_t items_live; // of a map: items that have a live attempt
  uint32_t items_open; // of a map: items without a final state
  bool expand_again;   // a map: make its list anew, and run all of it
  bool fit_again;      // a map: make its list anew, and run what is another than it was
  bool by_hand;        // an item: its end was given, whatever its value
  uint8_t next_reason; // why its next attempt will start (fl_reason), 0: by its trigger
  int64_t child_run;   // sub-flow that its next attempt enters again
} fl_node_run;

typedef struct fl_item {
  char *name;
  fl_value *value;
} fl_item;

/// Numbers of nodes in the records, where they are not the nodes' indexes (of_node NULL: they are).
typedef struct fl_numbers {
  uint32_t *of_node, *to_node;
  uint32_t node_capacity, number_capacity, next;
} fl_numbers;

/// A node of the definition that the run had before a resume.
typedef struct fl_former_node {
  uint32_t node;   // index now, FL_NODE_NONE: it is gone
  uint32_t number; // in the records
  int hook;
  bool removed; // was gone before
  char *name, *type, *parents;
} fl_former_node;
typedef struct fl_former {
  fl_former_node *nodes; // by number; none when nothing can have changed
  size_t count, capacity;
  uint32_t next; // number for the next new node
  bool same;     // numbers are indexes, before and now
} fl_former;

typedef enum fl_run_phase {
  FL_PHASE_NODES, // the graph
  FL_PHASE_HOOKS, // on_success, on_failure or on_cancel
  FL_PHASE_EXIT,  // on_exit
  FL_PHASE_SEAL,  // nothing more happens in it: what it was is digested, in portions
  FL_PHASE_ENDED
} fl_run_phase;

/// Live attempts of a run.
typedef struct fl_attempt_list {
  fl_attempt *first, *last;
} fl_attempt_list;

typedef struct fl_failed fl_failed; // failures.c

struct fl_run {
  fl_link link; // first: among the scheduler's runs, by id
  fl_scheduler *scheduler;
  uint64_t order; // of runs in this engine, the oldest first
  uint64_t turn;  // as order, since its family was given a slot last
  size_t index;   // among the scheduler's runs
  fl_run_row row;
  const fl_flow *flow;
  bool asks_adviser;        // has failed, and is still to be asked what would mend it
  bool asks_within;         // a sub-flow that failed has an adviser, or one further down
  struct fl_replay *replay; // the run that it repeats, NULL: none
  fl_plan *plan;
  fl_node_run *nodes;
  uint32_t node_capacity;
  fl_item *items; // of node graph_count + i
  uint32_t item_count, item_capacity;
  uint32_t graph_count;
  uint32_t freed; // nodes and items, of one that is going
  fl_numbers numbers;
  // Of one that is not recorded yet (row.row 0): what its first record takes beside the rest.
  fl_snapshot *snapshot; // of its script, NULL: it is stored
  fl_value *first_patch; // NULL: none
  uint8_t *selected;     // a byte a node of the graph, NULL: all
  uint32_t *pools;       // flow's pool index -> scheduler's
  fl_value *params;
  fl_vars *vars;      // what roots see
  fl_attempt *parent; // calling attempt of the parent run
  char *call;         // the nodes that called it, from the top: "call/"; NULL: none
  fl_run *root;       // of the family: the run that called it, and so on; itself, when nobody did
  fl_attempt_list live, claims; // claims: those that have no row of their own yet
  fl_attempt *given_back;       // claimed once, and to be claimed again
  fl_attempt *listing;          // of maps whose items are not all there yet
  fl_due *dues;                 // that are its own
  // Who is next (lineup.c). Slots it holds, what it has claimed and not begun; the same of all it
  // called.
  uint32_t held, unstarted, family_held, family_unstarted;
  fl_member **members; // by queue of the plan
  uint32_t member_count;
  fl_party **parties; // of a root
  uint32_t party_count;
  fl_gate *gate; // max_runs (gate.c), NULL: none
  fl_run *gate_next;
  bool gate_waits, gate_told;
  bool awake; // stands in the list of those to be looked at
  bool going; // has ended, and is to be advised or swept away
  void *log;  // the host's (fl_run_set_log)
  int64_t seq;
  int64_t began_ms;    // monotonic, of this epoch
  int64_t epoch_patch; // value id of the patch of this epoch, 0: none
  char *epoch_reason, *epoch_author;
  uint32_t live_count, unknown_count; // of the live: those of a dead engine that are asked about
  fl_run_phase phase;
  bool queued;    // waits for max_runs
  bool beginning; // its plan is not yet looked at whole
  bool deciding;  // not all that the plan has decided is recorded
  bool stopping;  // nothing new is started
  bool stop_left; // not all that waits is cancelled, not all that lives was told
  uint8_t stop_asked;
  uint32_t stop_at; // the next node to be cancelled
  fl_reason stop_reason;
  bool cancelled; // by a wish or an interrupt
  bool interrupted;
  bool timed_out;
  bool fenced;          // another engine's now, or removed: nothing of it is written here any more
  bool fence_told;      // ... and its attempts here were given up
  bool syncs;           // what is acknowledged of it is on the disk (full)
  uint64_t touched;     // number of the transaction that it was last found to be ours in
  bool claims_changed;  // the list of claims without a row is to be written
  bool keeper_known;    // who keeps its attempts is recorded with this epoch
  fl_run_state outcome; // of the graph, for the hooks; the run's, once it is sealed
  fl_seal *seal;        // FL_PHASE_SEAL
  char *error;
  fl_failed *failed; // what its hooks are told
  uint32_t failed_count;
};

static inline fl_node_run *fl_run_get_node(fl_run *run, uint32_t node) {
  FL_ASSERT(node < fl_plan_get_count(run->plan));
  return &run->nodes[node];
}
/// Of a node or an item; borrowed.
static inline const char *fl_run_get_name(const fl_run *run, uint32_t node) {
  if (node < run->graph_count) return fl_graph_get_name(run->flow->graph, node);
  return run->items[node - run->graph_count].name;
}
/// Borrowed.
static inline fl_value *fl_run_get_item_value(const fl_run *run, uint32_t item) {
  return run->items[item - run->graph_count].value;
}

enum { FL_ASKED_TERM = 1, FL_ASKED_KILL = 2 };

typedef enum fl_due_kind {
  FL_DUE_RETRY,
  FL_DUE_TIMEOUT,
  FL_DUE_RUN_TIMEOUT,
  FL_DUE_GATE
} fl_due_kind;
struct fl_due {
  fl_place place; // first
  int64_t at_ms;  // monotonic
  fl_due_kind kind;
  fl_run *run; // NULL: a gate's
  uint32_t node, number;
  fl_gate *gate;
  fl_due *next, *prev; // of the run
};

/// A pool as the engine has it.
typedef struct fl_pool {
  char *name;
  uint32_t capacity, used;
  uint32_t runs; // live ones whose flow declares it
  bool fixed;    // its capacity was given with the engine
} fl_pool;

typedef struct fl_ack {
  void (*done)(void *ud);
  void *ud;
} fl_ack;

// An event that waits for its commit; text is owned.
typedef struct fl_pending_event {
  fl_event event;
  fl_run *run;
  bool last; // no event: the run has ended, all of it is told, and it is freed
  char *error;
} fl_pending_event;

/// What may leave when `commit` is on the disk: all that was added before. Counted from the
/// engine's start.
typedef struct fl_mark {
  uint64_t commit, events, acks, starts;
} fl_mark;

typedef struct fl_subscriber {
  uint64_t id; // 0: it is gone, and its place is free as soon as nothing is told
  fl_event_fn on_event;
  void *ud;
} fl_subscriber;

/// An executor, and what it has of this scheduler.
typedef struct fl_site {
  fl_executor x;
  uint32_t live;      // attempts
  uint32_t adopted;   // of them: those that an earlier engine had started
  uint32_t unstarted; // of them: claimed, and not yet given to it
  fl_level *levels;   // how many live of each priority that one has, in no order
  uint32_t level_count, level_capacity;
  // Job slots (slots.c): what it holds, what waits in its queue, what it was allowed.
  uint32_t slots, waiting, given;
} fl_site;

struct fl_scheduler {
  fl_store *store;
  fl_clock clock;
  char *owner;
  uint32_t jobs;
  fl_site *sites; // by number; the first is nowhere
  uint32_t site_count;
  uint32_t local[FL_KIND_COUNT]; // sites of nodes that name none
  fl_scheduler_config config;
  fl_pool *pools;
  uint32_t pool_count;
  fl_run **runs;
  size_t run_count, run_capacity;
  fl_table by_id; // of runs
  uint64_t run_order;
  fl_run **awake; // of which something may have to be done; those that are not yet looked at
  size_t awake_at, awake_count, awake_capacity;
  fl_run **advising; // that have failed and whose adviser is to be asked
  size_t advising_count, advising_capacity;
  fl_run **gone; // to be swept after the commit
  size_t gone_count, gone_capacity;
  fl_run **claiming; // whose list of claims is to be written
  size_t claiming_count, claiming_capacity;
  fl_lane *lanes; // lineup.c
  uint32_t lane_count;
  fl_table gates;                       // gate.c
  uint32_t live_count, live_free_count; // live attempts; those that need no slot
  uint32_t alarmed_count;
  // What may leave after its commit: from `at` on, up to `ready` it is durable. `base`: how many
  // went before those that are still here.
  fl_attempt **starts; // NULL: it has ended meanwhile
  size_t start_at, start_ready, start_count, start_capacity;
  fl_ack *acks;
  size_t ack_at, ack_ready, ack_count, ack_capacity;
  fl_pending_event *events;
  size_t event_ready, event_count, event_capacity;
  uint64_t start_base, ack_base, event_base;
  fl_mark *marks; // of turns that are committed and, with a thread for the disk, not yet synced
  size_t mark_at, mark_count, mark_capacity;
  uint64_t awaited; // the last commit that has to be synced before its turn is told
  fl_subscriber *subscribers;
  size_t subscriber_count, subscriber_capacity;
  uint64_t subscriber_last; // id
  bool telling;
  fl_line dues;
  uint64_t due_order;
  size_t untold_count;      // runs that have ended, and whose events are not all out
  fl_wanted_resume *wanted; // resumes that flows allow to be made by themselves
  size_t wanted_count;
  size_t kept_bytes; // of outputs held for children
  bool owes_sync;    // something is committed that a sync must cover before anything is told
  uint32_t unrecorded_count; // runs without a first record
  fl_recording *recordings;  // flows whose graphs are being recorded
  bool stepping;             // the step commits
  bool dirty;                // something is written and not yet committed ...
  bool syncs;                // ... of a run whose commits are synced
  uint64_t transaction;      // number of the last that was begun
  size_t fenced_count;       // of runs: those that are to be let go
  bool fill_wanted;          // somebody who waits may get a slot
  bool fill_held;            // ... once what was claimed before is durable and has begun
  fl_slice *longest_slice;   // NULL: nobody asks
  // By the budget's clock: when a step is over with its commit, and until when it may do other
  // things in any case.
  int64_t until_us, half_us;
  int64_t unit_ns;   // what a commit takes, of late, for each thing that it writes
  uint32_t claimed;  // since the last commit
  uint64_t recovery; // number of the last question what became of attempts of dead engines
  bool entering;     // runs of a dead engine are still to be entered: what lives in them counts
  bool wish_seen;    // to cancel one of the runs: not read yet
  bool broken;
  bool locked_out; // another process is writing, and nobody waits for it here
  fl_error error;  // what broke it
};

// The files by floors: each calls only what stands above it here, and what a
// kind does through fl_kinds.

// ------------------------------------------------------------------------------------- ground

// clock.c
int64_t fl_now(const fl_scheduler *s);   // wall, ms
int64_t fl_ticks(const fl_scheduler *s); // monotonic, ms
/// What steps measure their budget by.
int64_t fl_scheduler_get_budget_us(const fl_scheduler *s);
/// About what a commit has to write now, in claims.
int64_t fl_scheduler_count_units(const fl_scheduler *s);
/// True when what is left of the step's time is needed for its commit.
bool fl_scheduler_is_out_of_time(const fl_scheduler *s);
// broken.c
/// Remembers why nothing can be recorded any more. Returns false.
bool fl_scheduler_break(fl_scheduler *s, const fl_error *err);
/// Passes on `code` of a read that a node needs: of a damaged store nothing more is believed, and
/// no node has failed by it.
fl_code fl_scheduler_check_read(fl_scheduler *s, fl_code code, const fl_error *err);
// due.c
/// Copies `what`; the run's are dropped with it.
fl_due *fl_due_add(fl_scheduler *s, const fl_due *what);
void fl_due_drop(fl_scheduler *s, fl_due *d);
void fl_due_drop_all(fl_run *run);
/// The next that is due, moved to `out`; false: none is.
bool fl_due_take(fl_scheduler *s, int64_t now_ms, fl_due *out);
int64_t fl_due_next_ms(const fl_scheduler *s); // monotonic, -1: none
// number.c
/// What the records call `node`.
uint32_t fl_run_get_number(const fl_run *run, uint32_t node);
/// The node that the records call `number`, FL_NODE_NONE: there is none (any more).
uint32_t fl_run_find_number(const fl_run *run, uint32_t number);
void fl_run_set_number(fl_run *run, uint32_t node, uint32_t number);
void fl_numbers_deinit(fl_numbers *n);
/// Gives the nodes of the run's flow the numbers that they had in the run's stored definition.
/// `renamed`: by node, the name it had before (NULL: the same); NULL: none. `former` in any case:
/// fl_former_deinit().
FL_MUST fl_code fl_run_match_nodes(fl_run *run, const char *const *renamed, fl_former *former,
                                   fl_error *err);
void fl_former_deinit(fl_former *former);
// definition.c
/// Stores a flow's graph, unless it is there, and the snapshot of its script (NULL: that is there,
/// as flow->script_store_id): as far as time goes, or `whole`. `*done`: all is there, as
/// flow->definition_store_id, to be named in this transaction.
FL_MUST fl_code fl_flow_record_some(fl_scheduler *s, fl_flow *flow, fl_snapshot *snapshot,
                                    bool whole, bool *done, fl_error *err);
void fl_scheduler_drop_recordings(fl_scheduler *s);
/// Stores the definition of a mended run, with its numbers, and names it in run->row.
FL_MUST fl_code fl_run_record_definition(fl_run *run, const fl_former *former, fl_error *err);
// executor.c
// Where it runs; borrowed until the next one is registered.
fl_site *fl_attempt_get_site(const fl_attempt *a);
fl_site *fl_run_get_site(const fl_run *run, uint32_t node);
/// Has its executor end it.
void fl_attempt_cancel(fl_attempt *a, int64_t grace_ms);

// ------------------------------------------------------------------------------------- who is next

// slots.c
/// Before claims: looks at what the executors hold.
void fl_slots_count(fl_scheduler *s);
/// True when the pool has room for a node of `weight`.
bool fl_slots_fit(const fl_pool *pool, uint32_t weight);
/// FL_E_USAGE: a node of the flow is heavier than a pool, whose capacity was given with the engine.
FL_MUST fl_code fl_slots_check(const fl_scheduler *s, const fl_flow *flow, fl_error *err);
/// May the head of this queue of the run be claimed: for a free slot, or ahead of one?
bool fl_slots_has(const fl_run *run, uint32_t queue);
/// One more attempt of this priority lives there, or one less.
void fl_slots_count_level(fl_site *site, int32_t priority, int by);
/// One was claimed.
void fl_slots_take(fl_scheduler *s, fl_site *site);
/// After claims: tells the executors how many slots are theirs.
void fl_slots_give(fl_scheduler *s);
/// Instead: none for now, as it is not known yet what is held.
void fl_slots_withhold(fl_scheduler *s);
// lineup.c
/// Lets the run's queues that changed stand where they belong now.
void fl_lineup_refresh(fl_run *run);
/// What the run holds has changed.
void fl_lineup_reorder(fl_run *run);
/// Nothing of the run is to be claimed.
void fl_lineup_leave(fl_run *run);
void fl_lineup_free(fl_run *run);
/// The run and its queue whose head is claimed next; NULL: none may be.
fl_run *fl_lineup_pick(fl_scheduler *s, uint32_t *queue);
void fl_lineup_free_lanes(fl_scheduler *s);
/// True when more than one family waits for what needs no slot.
bool fl_lineup_is_shared(const fl_scheduler *s);
// runs.c
void fl_scheduler_add_run(fl_scheduler *s, fl_run *run);
/// Something of the run may have to be done: the next fill looks at it.
void fl_run_wake(fl_run *run);
/// The next that was woken up, NULL: none.
fl_run *fl_scheduler_take_awake(fl_scheduler *s);
/// It has ended: its adviser is asked, or it is swept away at the turn's end.
void fl_scheduler_set_advising(fl_scheduler *s, fl_run *run);
void fl_scheduler_set_gone(fl_scheduler *s, fl_run *run);
// gate.c
/// False while max_runs holds the run back; it is woken up when it may be let in.
bool fl_gate_admit(fl_run *run);
/// A resume is let in whatever others do, and counts.
void fl_gate_enter(fl_run *run);
/// It has ended, or is not to be let in any more.
void fl_gate_leave(fl_run *run);
void fl_gate_look(fl_gate *gate);
void fl_gate_free_all(fl_scheduler *s);

// ------------------------------------------------------------------------------------- data

// attempts.c
fl_attempt *fl_attempt_new(fl_run *run, uint32_t node, uint32_t number);
void fl_attempt_free(fl_attempt *a);
/// Has a map's list stand behind those of the run that are not whole yet; copied, its values move.
void fl_attempt_set_list(fl_attempt *a, const fl_map_list *list);
void fl_attempt_drop_list(fl_attempt *a); // nothing without one
/// What is known of `a` from its claim on.
void fl_attempt_fill_row(fl_attempt *a, fl_attempt_row *row);
/// Counts a live attempt, and no more.
void fl_scheduler_link(fl_scheduler *s, fl_attempt *a);
void fl_scheduler_unlink(fl_scheduler *s, fl_attempt *a);
/// It is no longer asked what became of `a`.
void fl_attempt_set_known(fl_attempt *a);
/// Takes it off its node and out of all that counts.
void fl_attempt_detach(fl_attempt *a);
/// Its run's stop has reached it.
void fl_attempt_set_asked(fl_attempt *a, uint8_t asked);
/// It has a row of its own now.
void fl_attempt_set_recorded(fl_attempt *a);
/// The run's list of claims without a row is another now.
void fl_run_claims_changed(fl_run *run);
/// Writes which claims have no row of their own, where that has changed.
bool fl_scheduler_write_claims(fl_scheduler *s);
void fl_scheduler_add_start(fl_scheduler *s, fl_attempt *a);
void fl_scheduler_drop_start(fl_scheduler *s, fl_attempt *a); // where it waits for its start
/// Lives again: the attempt of `node` (FL_NODE_NONE: any) that was given back; NULL: there is none.
fl_attempt *fl_run_take_given_back(fl_run *run, uint32_t node);
/// The same, to be cancelled (FL_NODE_NONE: all). False: there is none.
bool fl_run_cancel_given_back(fl_run *run, uint32_t node);
/// Debug builds: asserts that what is counted is what is there.
void fl_scheduler_check_counts(const fl_scheduler *s);
// listen.c
enum { FL_NOTICE_MAX = 1024 }; // bytes of a notice
bool fl_scheduler_is_heard(const fl_scheduler *s);
/// Tells those that listen when it begins: who comes meanwhile hears the next one.
void fl_scheduler_tell(fl_scheduler *s, const fl_event *e);
// failures.c
/// `node` has failed for good: where nothing handles that, it is what its run failed by.
void fl_failures_add(fl_run *run, uint32_t node, uint32_t attempt, int exit_code,
                     const char *error);
/// A list of {"attempt","error","exit_code","log","node"}.
void fl_failures_write(const fl_run *run, fl_buf *out);
void fl_failures_free(fl_run *run);

// run.c
fl_run *fl_run_new(fl_scheduler *s, const fl_flow *flow);
void fl_run_free(fl_run *run);
/// The same of one that has ended, as far as time goes. False: something of it is left.
bool fl_run_free_some(fl_run *run);
/// Which attempt called it (NULL: none); settles its durability.
void fl_run_set_parent(fl_run *run, fl_attempt *parent);
uint32_t fl_run_add_item(fl_run *run, uint32_t map_node, uint32_t position, const char *name,
                         fl_value *item, fl_node_state state);
void fl_run_set_item_value(fl_run *run, uint32_t item, fl_value *value);
/// True of an item whose map has a final state: nobody would start it again.
bool fl_run_item_is_over(const fl_run *run, uint32_t node);
fl_value *fl_run_get_outputs(fl_run *run, uint32_t node, fl_error *err); // a reference or NULL
void fl_run_set_outputs(fl_run *run, uint32_t node, fl_value *outputs);
/// Takes outputs that were kept for children out of memory.
void fl_run_forget_outputs(fl_run *run, fl_node_run *n);
/// What `node` inherits from its parents, or an item from its map; a reference. `lenient`: of two
/// that differ the first holds, whatever the node's options say.
FL_MUST fl_code fl_run_merge_vars(fl_run *run, uint32_t node, bool lenient, fl_vars **out,
                                  fl_error *err);

// ------------------------------------------------------------------------------------- the turn

// event.c
void fl_event_run(fl_run *run, fl_event_kind kind, const char *status, int64_t duration_ms);
void fl_event_node(fl_run *run, uint32_t node, fl_event_kind kind, const char *status,
                   const fl_event *more);
/// Numbers and keeps those that wait with what is committed next.
FL_MUST fl_code fl_events_keep(fl_scheduler *s, fl_error *err);
/// Tells those that are committed.
void fl_scheduler_flush_events(fl_scheduler *s);
/// The run has ended and is out of all lists: frees it when its events are out.
void fl_event_free_run(fl_run *run);
// turn.c
/// Opens the transaction that the next write joins; false: broken.
bool fl_scheduler_begin(fl_scheduler *s);
/// The same for a write about `run`, whose durability is the commit's then; false too: the run is
/// not this engine's any more. It is let go at the turn's end, and what others have written stays:
/// nothing of a run is written before it was touched in that transaction.
bool fl_run_touch(fl_run *run);
/// Another engine owns the run now, or it was removed (`err` says which): not a word of it is
/// written any more, and the turn's end lets it go.
void fl_run_leave(fl_run *run, const fl_error *err);
/// Syncs what a call outside of a step has committed.
bool fl_scheduler_pay_sync(fl_scheduler *s);
/// Commits what is written so far; what may leave after it still waits for the turn's end.
bool fl_scheduler_commit(fl_scheduler *s);
/// What was added so far is committed, and may leave as soon as it is durable.
void fl_scheduler_mark_committed(fl_scheduler *s);
/// Lets leave what has become durable since. False: broken.
bool fl_scheduler_take_synced(fl_scheduler *s);
/// True when nothing committed is waiting for a sync.
bool fl_scheduler_is_synced(const fl_scheduler *s);
/// True when something is durable and has not left yet.
bool fl_scheduler_has_ready(const fl_scheduler *s);
/// Events that stand behind all that is committed.
size_t fl_scheduler_count_unmarked(const fl_scheduler *s);
void fl_scheduler_add_ack(fl_scheduler *s, void (*done)(void *ud), void *ud);

// ------------------------------------------------------------------------------------- decisions

// kinds.c
/// What a kind of node does when something happens to one, within it or behind it. NULL: nothing.
typedef struct fl_kind_ops {
  const fl_executor *executor; // the scheduler's own for it; NULL: one that is registered
  /// Before the commit of its claim, or when it was found running: makes what its executor needs.
  /// An error: it fails instead.
  fl_code (*prepare)(fl_attempt *a, fl_error *err);
  /// It has succeeded with `outputs` (NULL: none): an error says that they are none of its kind.
  fl_code (*check)(fl_run *run, uint32_t node, const fl_value *outputs, fl_error *err);
  /// One that failed may give outputs, as far as there are any.
  bool gives_partly;
  /// It has, for good; what comes behind it does not know yet.
  void (*succeeded)(fl_run *run, uint32_t node, const fl_value *outputs);
  /// It got a final state without an attempt.
  void (*decided)(fl_run *run, uint32_t node, fl_reason reason);
  /// One of its items got a final state.
  void (*item_ended)(fl_run *run, uint32_t node);
  /// The run that its live attempt called has ended.
  void (*child_ended)(fl_attempt *a, fl_run *child);
  /// The engine stops, and nothing lives in the run but attempts that have this: they only wait for
  /// what will not come, and are ended.
  void (*interrupt)(fl_attempt *a);
} fl_kind_ops;
extern const fl_kind_ops fl_kinds[FL_KIND_COUNT];
static inline const fl_kind_ops *fl_run_get_kind(const fl_run *run, uint32_t node) {
  return &fl_kinds[fl_plan_get_options(run->plan, node)->kind];
}
// decision.c
/// Records what the plan decided, as far as time goes: run->deciding says that there is more, which
/// the run's next turn records.
void fl_run_take_decisions(fl_run *run);
/// Records an event of a node that nothing ran for; then the plan sees it.
void fl_run_decide(fl_run *run, uint32_t node, fl_node_event event, fl_reason reason,
                   const char *detail);
/// The `when` of `node` was false; `recorded`: what it got from ctx:now and friends, NULL: nothing.
void fl_run_skip_by_when(fl_run *run, uint32_t node, const char *recorded);
/// Only records it; `recorded` as above.
void fl_run_record_decision(fl_run *run, uint32_t node, fl_node_state state, fl_reason reason,
                            const char *detail, const char *recorded);
/// Records, in the transaction of the end that run->seq counts, that `node` failed for good with
/// attempt `number` (0: without one), where that stops the run.
void fl_run_record_breakpoint(fl_run *run, uint32_t node, uint32_t number);
/// An item got a final state.
void fl_run_item_ended(fl_run *run, uint32_t item);
// stop.c
/// Starts nothing more: what waits is cancelled for `reason`, what lives is ended.
void fl_run_stop(fl_run *run, fl_reason reason, bool kill);
/// Goes on with what a stop has left to do, as far as time goes.
void fl_run_stop_some(fl_run *run);
// claim.c
/// Decides about one ready node: records an attempt, or why there is none.
void fl_run_claim(fl_run *run, uint32_t node);
/// Why the next attempt of `node` starts.
fl_reason fl_run_get_start_reason(fl_run *run, uint32_t node);
/// An attempt that had not started is this engine's now, and starts as if it had claimed it.
/// Records who keeps it: the next resume has to ask that one.
void fl_attempt_hand_over(fl_attempt *a);

// ------------------------------------------------------------------------------------- life

// life.c
/// Records a run that was only asked for so far, as far as time goes, or `whole`. False: more is
/// left, or nothing can be recorded.
bool fl_run_record(fl_run *run, bool whole);
void fl_run_begin(fl_run *run);
/// Goes on with what a begin has left to do, as far as time goes. False: more is left.
bool fl_run_begin_some(fl_run *run);
/// Looks whether the run's phase is over and goes on to the next.
void fl_run_advance(fl_run *run);
// leave.c
/// Takes it out of all that knows it.
void fl_scheduler_remove_run(fl_scheduler *s, fl_run *run);
/// Lets go those that have ended and that nobody has to look at any more.
void fl_scheduler_sweep(fl_scheduler *s);
/// Gives up the attempts of runs that were left. Processes that run are their new owner's.
void fl_scheduler_give_up_left(fl_scheduler *s);
// resume/recover.c
/// Asks what became of what `keepers[i]` had of `list[i]` (NULL: no longer asked about).
void fl_run_recover(fl_run *run, fl_attempt **list, const char **keepers, size_t count);

// ------------------------------------------------------------------------------------- kinds

// map.c
extern const fl_executor fl_map_executor;
/// Makes items of what the run's maps are made of, as far as time goes, or all of them. False:
/// there are more.
bool fl_map_list_some(fl_run *run, bool whole);
void fl_map_decided(fl_run *run, uint32_t map, fl_reason reason);
void fl_map_item_ended(fl_run *run, uint32_t map);
void fl_map_interrupt(fl_attempt *a);
// branch.c
FL_MUST fl_code fl_branch_check(fl_run *run, uint32_t node, const fl_value *outputs, fl_error *err);
void fl_branch_omit(fl_run *run, uint32_t node, const fl_value *outputs);
// call.c
extern const fl_executor fl_call_executor;
void fl_call_ended(fl_attempt *a, fl_run *child);
