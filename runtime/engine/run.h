// One run in memory, and the scheduler's insides. Private to this folder.
#pragma once
#include "engine/scheduler.h"
#include "engine/vars.h"
#include "plan/plan.h"

typedef struct fl_replay fl_replay;

typedef struct fl_node_run {
  fl_value *outputs;  // kept while small and somebody may still need it
  int64_t outputs_id; // in the store
  fl_vars *vars;      // what it left, or inherited
  fl_attempt *live;
  int64_t first_ms;        // start of its first attempt in this epoch, for the deadline
  uint32_t attempts;       // numbers given so far
  uint32_t failures;       // failed attempts in this epoch, for retries
  uint32_t lost;           // lost ones in a row
  uint32_t instances_open; // of a map: instances without a final state
  bool expand_again;       // a map: make its list anew, and run all of it
  bool fit_again;          // a map: make its list anew, and run what is another than it was
  bool by_hand;            // an instance: its end was given, whatever its item
  uint8_t next_reason;     // why its next attempt will start (fl_reason), 0: by its trigger
  int64_t child_run;       // sub-flow that its next attempt enters again
} fl_node_run;

typedef struct fl_map_instance {
  char *name;
  fl_value *item;
} fl_map_instance;

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
  FL_PHASE_ENDED
} fl_run_phase;

struct fl_run {
  fl_scheduler *scheduler;
  fl_run_row row;
  const fl_flow *flow;
  bool asks_adviser;        // has failed, and is still to be asked what would mend it
  bool asks_within;         // a sub-flow that failed has an adviser, or one further down
  struct fl_replay *replay; // the run that it repeats, NULL: none
  fl_plan *plan;
  fl_node_run *nodes;
  uint32_t node_capacity;
  fl_map_instance *instances; // of node graph_count + i
  uint32_t instance_count, instance_capacity;
  uint32_t graph_count;
  fl_numbers numbers;
  uint32_t *pools; // flow's pool index -> scheduler's
  fl_value *params;
  fl_vars *vars;      // what roots see
  fl_attempt *parent; // calling attempt of the parent run
  int64_t seq;
  int64_t began_ms;    // monotonic, of this epoch
  int64_t epoch_patch; // value id of the patch of this epoch, 0: none
  char *epoch_reason, *epoch_author;
  uint32_t live_count;
  fl_run_phase phase;
  bool queued;    // waits for max_runs
  bool queue_due; // ... and a timer looks again
  bool stopping;  // nothing new is started
  bool cancelled; // by a wish or an interrupt
  bool interrupted;
  bool timed_out;
  bool fenced;         // taken over by another engine: write nothing
  bool claims_changed; // the list of claims without a row is to be written
  bool supervisor_known;
  fl_run_state outcome; // of the graph, for the hooks
  char *error;
};

typedef enum fl_due_kind {
  FL_DUE_RETRY,
  FL_DUE_TIMEOUT,
  FL_DUE_RUN_TIMEOUT,
  FL_DUE_QUEUE
} fl_due_kind;
typedef struct fl_due {
  int64_t at_ms; // monotonic
  fl_due_kind kind;
  fl_run *run;
  uint32_t node, number;
} fl_due;

typedef struct fl_ack {
  void (*done)(void *ud);
  void *ud;
} fl_ack;

// An event that waits for its commit; text is owned.
typedef struct fl_pending_event {
  fl_event event;
  fl_run *run;
  char *error, *name;
} fl_pending_event;

struct fl_scheduler {
  fl_store *store;
  fl_clock clock;
  char *owner;
  uint32_t jobs;
  fl_executor executors[FL_KIND_COUNT];
  fl_scheduler_config config;
  fl_pool_capacity *pools;
  uint32_t pool_count;
  fl_run **runs;
  size_t run_count, run_capacity;
  fl_attempt *live_slots; // attempts of kinds that hold a job slot
  fl_attempt *live_free;  // all others
  uint32_t live_free_count, live_process, live_worker;
  uint32_t live_adopted; // of live_process: those under a supervisor of an earlier engine
  // Job slots (slots.c): what executors hold, what waits in their queue, what they were allowed.
  uint32_t process_slots, worker_slots, process_waiting, process_given, worker_given;
  fl_attempt **starts;
  size_t start_count, start_capacity;
  fl_ack *acks;
  size_t ack_count, ack_capacity;
  fl_pending_event *events;
  size_t event_count, event_capacity;
  fl_due *dues; // a heap
  size_t due_count, due_capacity;
  fl_run **ended; // to be freed when their events are out
  size_t ended_count, ended_capacity;
  fl_wanted_resume *wanted; // resumes that flows allow to be made by themselves
  size_t wanted_count;
  size_t kept_bytes; // of outputs held for children
  bool dirty;        // something is written and not yet committed
  bool fill_wanted;
  bool recovering; // asking what became of attempts of a dead engine
  bool entering;   // runs of a dead engine are still to be entered: what lives in them counts
  bool broken;
  int64_t lease_due_ms; // monotonic
  fl_error error;       // what broke it
};

// scheduler.c
int64_t fl_now(const fl_scheduler *s);   // wall, ms
int64_t fl_ticks(const fl_scheduler *s); // monotonic, ms
/// Opens the transaction that the next write joins; false: broken.
bool fl_scheduler_begin(fl_scheduler *s);
/// Commits what is written so far; what may leave after it still waits for the turn's end.
bool fl_scheduler_commit(fl_scheduler *s);
/// Remembers why nothing can be recorded any more. Returns false.
bool fl_scheduler_break(fl_scheduler *s, const fl_error *err);
/// Passes on `code` of a read that a node needs: of a damaged store nothing more is believed, and
/// no node has failed by it.
fl_code fl_scheduler_check_read(fl_scheduler *s, fl_code code, const fl_error *err);
void fl_scheduler_add_start(fl_scheduler *s, fl_attempt *a);
void fl_scheduler_add_ack(fl_scheduler *s, void (*done)(void *ud), void *ud);
void fl_scheduler_add_due(fl_scheduler *s, fl_due due);
void fl_scheduler_link(fl_scheduler *s, fl_attempt *a);
void fl_scheduler_unlink(fl_scheduler *s, fl_attempt *a);
void fl_scheduler_add_run(fl_scheduler *s, fl_run *run);
// slots.c
/// Before claims: looks at what the executors hold.
void fl_slots_count(fl_scheduler *s);
/// True when its pool and its map have room for `node`.
bool fl_slots_fit(const fl_scheduler *s, const fl_run *run, const fl_queue_key *key, uint32_t node);
/// May one more attempt of this class be claimed: for a free slot, or ahead of one?
bool fl_slots_has(const fl_scheduler *s, const fl_queue_key *key);
/// One was claimed.
void fl_slots_take(fl_scheduler *s, fl_slot_class slot);
/// After claims: tells the executors how many slots are theirs.
void fl_slots_give(fl_scheduler *s);
/// Instead: none for now, as it is not known yet what is held.
void fl_slots_withhold(fl_scheduler *s);
// event.c
void fl_event_run(fl_run *run, fl_event_kind kind, const char *status, int64_t duration_ms);
void fl_event_node(fl_run *run, uint32_t node, fl_event_kind kind, const char *status,
                   const fl_event *more);
void fl_scheduler_flush_events(fl_scheduler *s);
// run.c
fl_run *fl_run_new(fl_scheduler *s, const fl_flow *flow);
void fl_run_free(fl_run *run);
const char *fl_run_get_name(fl_run *run, uint32_t node);
fl_node_run *fl_run_get_node(fl_run *run, uint32_t node);
uint32_t fl_run_add_instance(fl_run *run, uint32_t map_node, uint32_t position, const char *name,
                             fl_value *item, fl_node_state state);
fl_value *fl_run_get_item(const fl_run *run, uint32_t instance); // borrowed
void fl_run_set_item(fl_run *run, uint32_t instance, fl_value *item);
fl_value *fl_run_get_outputs(fl_run *run, uint32_t node, fl_error *err); // a reference or NULL
void fl_run_set_outputs(fl_run *run, uint32_t node, fl_value *outputs);
/// Records what the plan decided, and what `fl_run_decide` is told; then the plan sees it.
void fl_run_take_decisions(fl_run *run);
void fl_run_decide(fl_run *run, uint32_t node, fl_node_event event, fl_reason reason,
                   const char *detail);
/// The `when` of `node` was false; `recorded`: what it got from ctx:now and friends, NULL: nothing.
void fl_run_skip_by_when(fl_run *run, uint32_t node, const char *recorded);
/// Records, in the transaction of the end that run->seq counts, that `node` failed for good with
/// attempt `number` (0: without one), where that stops the run.
void fl_run_record_breakpoint(fl_run *run, uint32_t node, uint32_t number);
/// Looks whether the run's phase is over and goes on to the next.
void fl_run_advance(fl_run *run);
/// False while as many older runs of its flow as max_runs allows are live.
bool fl_run_may_begin(fl_run *run);
void fl_run_begin(fl_run *run);
/// Starts nothing more: what waits is cancelled for `reason`, what lives is ended.
void fl_run_stop(fl_run *run, fl_reason reason, bool kill);
// propose.c
/// The run has failed: asks its flow for a patch and keeps it as a proposal.
void fl_run_propose(fl_run *run);
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
/// Stores the definition of a mended run, with its numbers, and names it in run->row.
FL_MUST fl_code fl_run_record_definition(fl_run *run, const fl_former *former, fl_error *err);
// context.c
FL_MUST fl_code fl_run_merge_vars(fl_run *run, uint32_t node, bool lenient, fl_vars **out,
                                  fl_error *err);
// claim.c
/// Decides about one ready node: records an attempt, or why there is none.
void fl_run_claim(fl_run *run, uint32_t node);
/// Why the next attempt of `node` starts.
fl_reason fl_run_get_start_reason(fl_run *run, uint32_t node);
/// An attempt that had not started is this engine's now, and starts as if it had claimed it.
/// Records that a process will be a child of its supervisor: the next resume has to ask that one.
void fl_attempt_hand_over(fl_attempt *a);
/// What is known of `a` from its claim on.
void fl_attempt_fill_row(fl_attempt *a, fl_attempt_row *row);
/// Writes which claims have no row of their own, where that has changed.
bool fl_scheduler_write_claims(fl_scheduler *s);
fl_attempt *fl_attempt_new(fl_run *run, uint32_t node, uint32_t number);
void fl_attempt_free(fl_attempt *a);
// map.c, call.c: the scheduler's own executors
extern const fl_executor fl_map_executor, fl_call_executor;
/// An instance got a final state: its map ends with the last one.
void fl_map_instance_ended(fl_run *run, uint32_t node);
/// `map` got a final state without an attempt: its instances that wait get one with it.
void fl_map_decided(fl_run *run, uint32_t map, fl_reason reason);
/// True of an instance whose map has a final state: nobody would start it again.
bool fl_map_is_over(const fl_run *run, uint32_t node);
/// Ends maps that only wait for instances that will not start any more (an interrupt).
void fl_map_interrupt(fl_run *run);
void fl_call_ended(fl_run *child);
// branch.c
/// `outputs` must be a list of names of its children.
FL_MUST fl_code fl_branch_check(fl_run *run, uint32_t node, const fl_value *outputs, fl_error *err);
/// Omits the children that were not chosen, before the branch's own end lets them become ready.
void fl_branch_omit(fl_run *run, uint32_t node, const fl_value *outputs);
