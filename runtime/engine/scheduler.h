// Drives runs: takes what is ready from their plans, records it, has it executed, records how it
// ended. Knows neither Lua nor libuv nor a clock: it is handed a store, executors and a clock.
//
// One turn (fl_scheduler_step): what came due -> claims -> one commit -> what the commit allows:
// starts, acknowledgements, events. Written before told: nothing leaves before its commit.
#pragma once
#include "base/resume.h"
#include "engine/executor.h"
#include "engine/resume/wish.h"

typedef struct fl_pool_capacity {
  char *name;
  uint32_t capacity;
} fl_pool_capacity;

typedef struct fl_scheduler_config {
  fl_store *store; // borrowed; NULL: fl_scheduler_set_store() follows
  fl_clock clock;
  bool never_waits;  // the store syncs aside: nor is another process's lock waited for
  const char *owner; // of its runs: the process's identity and the engine's id
  fl_durability
      durability; // of every run; default: what its flow says, else its caller's, else full
  uint32_t jobs;  // slots for processes and workers together
  const fl_pool_capacity *pools; // overrides; copied
  size_t pool_count;
  double (*random)(void *ud); // 0 <= x < 1, for jitter
  /// The flow that the run of a sub-flow, or a replay of it, goes on with: `sub`, as its caller has
  /// it, or the same with the options that patches gave the nodes of `row`'s run. `*patch`: these
  /// options, for a new run to keep; NULL: none. May be NULL: always `sub`.
  fl_code (*find_sub)(void *ud, const fl_run_row *row, const fl_flow *sub, const fl_flow **out,
                      fl_value **patch, fl_error *err);
  /// A run whose flow has an adviser, or, `within`, a sub-flow that failed in it, has failed, and
  /// that is recorded and told: the time to ask what would mend it (fl_run_keep_proposal). The run
  /// is there during the call. May be NULL: nobody is asked.
  void (*advise)(void *ud, fl_run *run, bool within);
  fl_event_fn on_event;
  void *event_ud;
  /// Of each run that goes and has one (fl_run_set_log). May be NULL.
  void (*free_log)(void *ud, void *log);
  /// What steps measure their budget by, in microseconds. NULL: the clock.
  int64_t (*budget_us)(void *ud);
  void *ud; // of the functions above
} fl_scheduler_config;

fl_scheduler *fl_scheduler_new(const fl_scheduler_config *config);
/// For a configuration without a store: before anything else than loading and stepping.
void fl_scheduler_set_store(fl_scheduler *s, fl_store *store, const char *owner);
/// Frees all; runs that have not ended stay this owner's for as long as that lives, unless they
/// were released.
void fl_scheduler_free(fl_scheduler *s);

/// Options of a new run; everything is copied or referenced.
typedef struct fl_run_spec {
  const fl_flow *flow;
  fl_snapshot
      *snapshot; // of its script, stored with the run where it is not yet; borrowed as flow is
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

/// Makes a run that is recorded, and begun, in steps to come: thousands that are asked for at once
/// share commits. Without spec->snapshot the definition must be stored already
/// (flow->definition_store_id).
FL_MUST fl_code fl_scheduler_start_run(fl_scheduler *s, const fl_run_spec *spec, fl_run **out,
                                       fl_error *err);

/// Takes the run over and continues it. FL_E_BUSY when its owner lives. FL_E_USAGE: a node that has
/// succeeded has another definition now and nothing was said about it. FL_E_STATE: the patch is
/// about a node that may still be running.
FL_MUST fl_code fl_scheduler_resume_run(fl_scheduler *s, const fl_run_row *row,
                                        const fl_resume_spec *spec, fl_run **out, fl_error *err);

/// Keeps what an adviser said of `run`, which has failed, as a proposal of it, to be applied by
/// itself as far as its flow allows, and tells that. Not when somebody has resumed it meanwhile.
FL_MUST fl_code fl_run_keep_proposal(fl_run *run, const fl_advice *advice, fl_error *err);
/// A run that failed and whose flow lets the proposal it made be applied by itself.
typedef struct fl_wanted_resume {
  char run_id[FL_RUN_ID_SIZE];
  uint32_t proposal;
} fl_wanted_resume;
/// Takes the next one, once it is committed and its run is gone from here; false: none is there
/// yet.
bool fl_scheduler_take_wanted(fl_scheduler *s, fl_wanted_resume *out);

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

/// One or more turns, for at most `budget_us` microseconds: what is due is done in portions, the
/// least of which is one of each. `*again`: there is more to do at once. A failing commit ends the
/// scheduler: every later call returns the same error.
FL_MUST fl_code fl_scheduler_step(fl_scheduler *s, int64_t budget_us, bool *again, fl_error *err);
/// With `never_waits`: is there something that a step would do now, and may this engine write, or
/// does another process? What executors report must come while it may: fl_attempt_end() and others
/// outside of a step, after false, would be lost.
bool fl_scheduler_has_work(fl_scheduler *s);
bool fl_scheduler_may_write(fl_scheduler *s);
/// Commits what is written and makes all that is committed durable. Blocks.
FL_MUST fl_code fl_scheduler_flush(fl_scheduler *s, fl_error *err);
/// True since a step found that another process was writing: it did nothing, and is to be tried
/// again.
bool fl_scheduler_is_locked_out(const fl_scheduler *s);
/// The longest time that code of a node took without a break.
typedef struct fl_slice {
  int64_t us;
  char run[FL_RUN_ID_SIZE];
  uint32_t node;
} fl_slice;
/// From now on the longest is kept in `longest`; NULL: no more.
void fl_scheduler_watch_slices(fl_scheduler *s, fl_slice *longest);
/// Commits what a call outside of a step has written, so that no call returns with the store
/// locked. It is durable when it is told, or after fl_scheduler_flush().
FL_MUST fl_code fl_scheduler_unlock(fl_scheduler *s, fl_error *err);
/// Commits what is written so far, in a step as well, so that another connection finds it. The
/// step's end syncs it.
FL_MUST fl_code fl_scheduler_show(fl_scheduler *s, fl_error *err);
/// Records runs that were only asked for, so that who reads the store finds them.
FL_MUST fl_code fl_scheduler_record_runs(fl_scheduler *s, fl_error *err);
/// Milliseconds until a step is due by itself; -1: none.
int64_t fl_scheduler_get_due_ms(const fl_scheduler *s);
size_t fl_scheduler_get_run_count(const fl_scheduler *s);
fl_run *fl_scheduler_find_run(fl_scheduler *s, const char *run_id);
fl_run *fl_scheduler_get_run(fl_scheduler *s, size_t index);
/// The keeper that runs recorded is gone: the next claims record the new one.
void fl_scheduler_keeper_changed(fl_scheduler *s);
/// Stores what runs of `flow` refer to: its script's snapshot and its graph. Commits with the step.
FL_MUST fl_code fl_scheduler_prepare_flow(fl_scheduler *s, fl_flow *flow, fl_snapshot *snapshot,
                                          fl_error *err);
/// What the host keeps of a run, given to fl_scheduler_config.free_log when the run goes; NULL:
/// none.
void fl_run_set_log(fl_run *run, void *log);
void *fl_run_get_log(const fl_run *run);
int64_t fl_run_get_time(const fl_run *run); // logical, wall ms
const char *fl_run_get_id(const fl_run *run);
const fl_flow *fl_run_get_flow(const fl_run *run);
/// All that still lives was killed in vain: waiting for it has no end that can be known.
bool fl_scheduler_is_stuck(const fl_scheduler *s);
/// Gives up the runs that have not ended, so that they can be resumed at once.
void fl_scheduler_release_runs(fl_scheduler *s);
/// True when a commit failed: nothing more can be recorded.
bool fl_scheduler_is_broken(const fl_scheduler *s);
fl_store *fl_scheduler_get_store(fl_scheduler *s);
/// Everybody who subscribed hears every event of this scheduler's runs, also while they come and go
/// in a callback. The id is never 0.
uint64_t fl_scheduler_subscribe(fl_scheduler *s, fl_event_fn on_event, void *ud);
/// From now on it is not called any more. Unknown ids are fine.
void fl_scheduler_unsubscribe(fl_scheduler *s, uint64_t id);
/// A sentence for whoever watches now: told at once, or, about a run, in its place among the run's
/// events.
void fl_scheduler_notice(fl_scheduler *s, const char *fmt, ...) FL_PRINTF(2, 3);
void fl_run_notice(fl_run *run, const char *fmt, ...) FL_PRINTF(2, 3);
