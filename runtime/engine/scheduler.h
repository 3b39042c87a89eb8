// Drives runs: takes what is ready from their plans, records it, has it executed, records how it
// ended. Knows neither Lua nor libuv nor a clock: it is handed a store, executors and a clock.
//
// One turn (fl_scheduler_step): what came due -> claims -> one commit -> what the commit allows:
// starts, acknowledgements, events. Written before told: nothing leaves before its commit.
#pragma once
#include "engine/executor.h"

#define FL_KIND_COUNT (FL_KIND_CALL + 1)

/// What became of an attempt that was found running (io/supervise.h has the same four).
typedef enum fl_fate {
  FL_FATE_IS_RUNNING,
  FL_FATE_IS_ENDED,
  FL_FATE_IS_NOT_STARTED,
  FL_FATE_IS_LOST
} fl_fate;

typedef struct fl_pool_capacity {
  char *name;
  uint32_t capacity;
} fl_pool_capacity;

/// A sub-flow's run that failed: `path` is what names within it begin with, "load/" or
/// "load/each[3]/"; its flow, as it was.
typedef void (*fl_see_part)(void *ud, const char *path, const fl_run_row *row, const fl_flow *flow);

typedef struct fl_scheduler_config {
  fl_store *store; // borrowed; NULL: fl_scheduler_set_store() follows
  fl_clock clock;
  const char *owner; // who holds the leases: the process's identity and the engine's id
  uint32_t jobs;     // slots for processes and workers together
  fl_executor executors[FL_KIND_COUNT]; // by fl_node_kind; map and call are the scheduler's own
  const fl_pool_capacity *pools;        // overrides; copied
  size_t pool_count;
  /// Id of the supervisor that starts processes from now on ("": none); kept with the run's epoch.
  const char *(*get_supervisor)(void *ud);
  /// After a crash: finds out about attempts of process nodes, and sees to it that nothing of the
  /// run's other attempts is left there (`count` may be 0). An ended one is reported by
  /// fl_attempt_end() before it returns; a running one later.
  void (*recover)(void *ud, fl_run *run, const char *supervisor, fl_attempt **attempts,
                  fl_fate *fates, size_t count);
  double (*random)(void *ud); // 0 <= x < 1, for jitter
  /// The flow that the run of a sub-flow, or a replay of it, goes on with: `sub`, as its caller has
  /// it, or the same with the options that patches gave the nodes of `row`'s run. `*patch`: these
  /// options, for a new run to keep; NULL: none. May be NULL: always `sub`.
  fl_code (*find_sub)(void *ud, const fl_run_row *row, const fl_flow *sub, const fl_flow **out,
                      fl_value **patch, fl_error *err);
  /// Whether a resume of `run`, which has failed just now, could go on with this patch; says why
  /// not. May be NULL: every patch does.
  fl_code (*check_proposal)(void *ud, const fl_run *run, const fl_value *patch, fl_error *err);
  /// Calls `each` for the failed sub-flows of `run`, which has failed just now, that have an
  /// adviser, as far down as failures go. May be NULL: there are none.
  fl_code (*each_failed_part)(void *ud, const fl_run *run, fl_see_part each, void *each_ud,
                              fl_error *err);
  fl_event_fn on_event;
  void *event_ud;
  void *ud; // of get_supervisor, recover and random
} fl_scheduler_config;

fl_scheduler *fl_scheduler_new(const fl_scheduler_config *config);
/// For a configuration without a store: before anything else than loading and stepping.
void fl_scheduler_set_store(fl_scheduler *s, fl_store *store);
/// Frees all; runs that have not ended keep their leases until these expire or the process is gone,
/// unless they were released.
void fl_scheduler_free(fl_scheduler *s);

/// Stores a flow's graph unless it is there, within the open transaction; sets
/// flow->definition_store_id. flow->script_store_id must be set.
FL_MUST fl_code fl_flow_record(fl_store *store, fl_flow *flow, fl_error *err);

/// Options of a new run; everything is copied or referenced.
typedef struct fl_run_spec {
  const fl_flow *flow;
  fl_value *params;
  int64_t time_ms;
  const char *trigger;
  const uint8_t *selected; // a byte a node of the graph; NULL: all
  int64_t parent_run;      // row, 0: none
  uint32_t parent_node;
  fl_attempt *parent; // the calling attempt, NULL: none
  int64_t replay_of;  // row of the run that it repeats, 0: none
  fl_value *patch;    // what is kept of a patch that it starts with; NULL: none
  bool replay_live;   // its nodes see what their parents give today, not what they saw then
  int64_t interval_from_ms, interval_to_ms; // 0: none
} fl_run_spec;

/// Records a run and begins it in the next step. The definition must be stored already
/// (flow->definition_store_id). Commits with the step.
FL_MUST fl_code fl_scheduler_start_run(fl_scheduler *s, const fl_run_spec *spec, fl_run **out,
                                       fl_error *err);

typedef struct fl_resume_part fl_resume_part;

typedef struct fl_checkpoint_change {
  uint32_t node;   // as in fl_resume_spec
  fl_value *value; // NULL: it is dropped
} fl_checkpoint_change;

/// What a resume changes, resolved against the flow. Borrowed. "By node": by the nodes of the
/// graph, then by `items`, the instances of maps that are named one by one.
typedef struct fl_resume_spec {
  const fl_flow *flow;
  const fl_flow *before;      // the flow as it was, where it may differ; NULL: it is the same
  const char *const *renamed; // by node: the name it had before, or NULL; NULL: none
  fl_value *params;           // NULL: those of the run
  fl_value *vars;             // keys that are set from now on; NULL: none
  const uint8_t *skip;        // a byte a node; NULL: none
  const uint8_t *rerun;       // a byte a node; NULL: none
  const uint8_t *keep;        // a byte a node: kept though its definition changed; NULL: none
  const uint8_t *succeed;     // a byte a node: has succeeded from now on; NULL: none
  fl_value *const *outputs;   // by node: synthetic outputs; NULL: none
  const fl_checkpoint_change *checkpoints; // NULL: none
  size_t checkpoint_count;
  const uint32_t *items; // their numbers in the records
  size_t item_count;
  const fl_resume_part *parts; // sub-flows that are changed within, or may be
  size_t part_count;
  bool keep_checkpoint; // what runs again keeps its checkpoint and steps
  fl_value *patch;      // what is kept of the patch; NULL: none
  const char *reason, *author;
  uint32_t proposal;       // of which the patch was made, 0: none
  fl_attempt *parent;      // of a sub-flow that is entered again
  int64_t script_store_id; // 0: that of the run
} fl_resume_spec;

/// The run of a sub-flow and what is changed there. It is recorded with the change of its caller's
/// run, so that it holds whenever the call enters it.
struct fl_resume_part {
  uint32_t node; // the call, by node
  bool asked;    // the call is entered again even if it has succeeded; else only if it runs again
  const fl_run_row *row;
  fl_resume_spec spec;
};

/// Takes the run over and continues it. FL_E_BUSY when `owner_is_dead` is false and its lease
/// holds. FL_E_USAGE: a node that has succeeded has another definition now and nothing was said
/// about it. FL_E_STATE: the patch is about a node that may still be running.
FL_MUST fl_code fl_scheduler_resume_run(fl_scheduler *s, const fl_run_row *row, bool owner_is_dead,
                                        const fl_resume_spec *spec, fl_run **out, fl_error *err);

/// A run that failed and whose flow lets the proposal it made be applied by itself.
typedef struct fl_wanted_resume {
  char run_id[FL_RUN_ID_SIZE];
  uint32_t proposal;
} fl_wanted_resume;
/// Takes the next one, once it is committed and its run is gone from here; false: none is there
/// yet.
bool fl_scheduler_take_wanted(fl_scheduler *s, fl_wanted_resume *out);

typedef enum fl_resume_action { FL_RESUME_KEEP, FL_RESUME_RUN, FL_RESUME_SKIP } fl_resume_action;
typedef struct fl_resume_step {
  const char *node; // "call/node": of a sub-flow that is entered
  fl_resume_action action;
  fl_reason reason;
  fl_node_state state; // before
  bool changed;        // is kept, but its definition is another now
  bool removed;        // the mended script has it no more
} fl_resume_step;
/// What a resume would do with every node, changing nothing.
FL_MUST fl_code fl_scheduler_plan_resume(fl_scheduler *s, const fl_run_row *row,
                                         const fl_resume_spec *spec,
                                         void (*each)(void *ud, const fl_resume_step *step),
                                         void *ud, fl_error *err);

/// Whether fl_scheduler_resume_run() would do it, changing nothing.
FL_MUST fl_code fl_scheduler_check_resume(fl_scheduler *s, const fl_run_row *row,
                                          const fl_resume_spec *spec, fl_error *err);

/// Ends a run's attempts (grace by node; `kill`: at once) and cancels the rest. `interrupt`:
/// because the engine stops, not because somebody does not want the run any more.
void fl_scheduler_cancel_run(fl_scheduler *s, fl_run *run, bool kill, bool interrupt);
void fl_scheduler_cancel_all(fl_scheduler *s, bool kill);
/// Reads the store's cancel wishes of all live runs.
void fl_scheduler_check_cancels(fl_scheduler *s);

/// One or more turns, for at most `budget_ms`. `*again`: there is more to do at once. A failing
/// commit ends the scheduler: every later call returns the same error.
FL_MUST fl_code fl_scheduler_step(fl_scheduler *s, uint32_t budget_ms, bool *again, fl_error *err);
/// Milliseconds until a step is due by itself; -1: none.
int64_t fl_scheduler_get_due_ms(const fl_scheduler *s);
size_t fl_scheduler_get_run_count(const fl_scheduler *s);
fl_run *fl_scheduler_find_run(fl_scheduler *s, const char *run_id);
fl_run *fl_scheduler_get_run(fl_scheduler *s, size_t index);
/// The live attempt `number` of the node that the run's records call `node_number`; NULL: there is
/// none (any more).
fl_attempt *fl_scheduler_find_attempt(fl_scheduler *s, const char *run_id, uint32_t node_number,
                                      uint32_t number);
/// The supervisor that runs recorded is gone: the next claims record the new one.
void fl_scheduler_supervisor_changed(fl_scheduler *s);
/// Stores what runs of `flow` refer to: its script's snapshot and its graph. Commits with the step.
FL_MUST fl_code fl_scheduler_prepare_flow(fl_scheduler *s, fl_flow *flow, fl_snapshot *snapshot,
                                          fl_error *err);
int64_t fl_run_get_time(const fl_run *run); // logical, wall ms
fl_run_state fl_run_get_state(const fl_run *run);
const char *fl_run_get_id(const fl_run *run);
const fl_flow *fl_run_get_flow(const fl_run *run);
/// All that still lives was killed in vain: waiting for it has no end that can be known.
bool fl_scheduler_is_stuck(const fl_scheduler *s);
/// Gives up the leases of runs that have not ended, so that they can be resumed at once.
void fl_scheduler_release_runs(fl_scheduler *s);
/// True when a commit failed: nothing more can be recorded.
bool fl_scheduler_is_broken(const fl_scheduler *s);
fl_store *fl_scheduler_get_store(fl_scheduler *s);
/// A sentence for whoever watches.
void fl_scheduler_notice(fl_scheduler *s, fl_run *run, const char *fmt, ...) FL_PRINTF(3, 4);
