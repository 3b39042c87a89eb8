// What executes attempts: the engine's only way to make something run. One executor a kind of node;
// processes, workers, inline coroutines, node types in C fill one in each, and tests a fake.
#pragma once
#include "base/recorded.h"
#include "engine/flow.h"
#include "store/store.h"

typedef struct fl_scheduler fl_scheduler;
typedef struct fl_run fl_run;

/// One try of one node, from its claim to its end. Owned by the scheduler; executors keep the
/// pointer between start() and fl_attempt_end().
struct fl_attempt {
  fl_scheduler *scheduler;
  fl_run *run;
  uint32_t node, number;
  int64_t seq;
  fl_reason reason;  // why it was started
  bool recorded_row; // has a row of its own; until then it stands in the run's list of claims
  const fl_node_options *options;
  int64_t claimed_ms, started_ms; // started_ms 0: not told yet
  int64_t timeout_ms;             // of this attempt, with what is left of the deadline; 0: none
  bool timeout_is_deadline;
  bool started;    // given to its executor
  bool told;       // its start was recorded and told
  bool adopted;    // found running after a crash
  bool cancelling; // its end was asked for
  bool timing_out; // ... by its timeout
  bool alarmed;    // something of it was killed in vain
  int pid;
  fl_command *command; // process kinds; owned
  fl_value *item;      // instances: the item
  struct fl_vars *vars_in;
  fl_value *params;        // a replay: what the run's params were then; NULL: the run's
  fl_recorded recorded;    // a replay: what it got then, for hooks and the node's own code
  bool given;              // its outputs are set by hand
  fl_value *patched;       // vars that were set by hand since it started; NULL: none
  fl_buf record;           // results of ctx:now and friends so far, JSON list without brackets
  int64_t child_run;       // sub-flow's run row; 0: none
  void *executor_data;     // the executor's own
  fl_attempt *next, *prev; // all live attempts of the scheduler
};

/// How an attempt ended. Everything is borrowed.
typedef struct fl_outcome {
  fl_attempt_state state; // succeeded, failed, timed_out, lost, cancelled or skipped
  fl_reason reason;
  int exit_code; // -1: none
  int signal;
  const char *error;
  bool no_retry;
  fl_value *outputs;
  fl_value *vars;               // NULL: unchanged
  int64_t started_ms, ended_ms; // 0: now
  int64_t cpu_us, rss_max_bytes;
  int pid;
  fl_log_place log;
} fl_outcome;

typedef struct fl_executor {
  /// Starts `a`, whose claim is durable. May call fl_attempt_end() before it returns.
  void (*start)(void *ud, fl_attempt *a);
  /// Ends `a`: TERM, grace, KILL; fl_attempt_end() follows, when nothing of it is left.
  void (*cancel)(void *ud, fl_attempt *a, int64_t grace_ms);
  /// After a batch of starts and cancels.
  void (*flush)(void *ud);
  /// Job slots that its attempts hold now (NULL: they hold none) ...
  uint32_t (*held)(void *ud);
  /// ... and how many attempts beyond its slots it likes to be given ahead of time.
  uint32_t (*ahead)(void *ud);
  /// How many slots it may hold from now on (NULL: it does not care).
  void (*set_slots)(void *ud, uint32_t slots);
  void *ud;
} fl_executor;

/// Reports the end of `a`; it is gone afterwards. Records first; what follows from it is told and
/// started by the scheduler's next step.
void fl_attempt_end(fl_attempt *a, const fl_outcome *outcome);
/// Reports that `a` really runs. Not needed for short ones.
void fl_attempt_started(fl_attempt *a, int pid, int64_t started_ms);

/// A process is to be started for `a`: has the run remember whose it will be. Of process nodes and
/// those in workers it does already.
void fl_attempt_need_supervisor(fl_attempt *a);

/// Something of `a` is still there long after it was killed: recorded and told, and the attempt
/// goes on until that is gone.
void fl_attempt_alarm(fl_attempt *a, const char *text);

/// Has `cancel` called when a->timeout_ms from now are over. For executors without a timeout of
/// their own.
void fl_attempt_arm_timeout(fl_attempt *a);

// What an executor may ask for and do on behalf of running node code.

/// {"id","flow","version","time","date","attempt","trigger",...}: ctx.run as JSON
/// (docs/reference.md).
void fl_attempt_write_run(fl_attempt *a, fl_buf *out);
/// {"name":outputs,...} of the nodes it depends on.
FL_MUST fl_code fl_attempt_write_inputs(fl_attempt *a, fl_buf *out, fl_error *err);
/// {"run":..,"params":..,"vars":..,"inputs":..}: FLOWLUA_CONTEXT.
FL_MUST fl_code fl_attempt_write_context(fl_attempt *a, fl_buf *out, fl_error *err);
fl_value *fl_attempt_get_params(fl_attempt *a); // borrowed
fl_value *fl_attempt_get_vars(fl_attempt *a);   // what it inherited; borrowed
const char *fl_attempt_get_name(fl_attempt *a); // of its node or instance; borrowed
const char *fl_attempt_get_run_id(fl_attempt *a);
/// What the run's records call its node.
uint32_t fl_attempt_get_node_number(fl_attempt *a);
/// Position of an instance among its map's items, from 1; 0: no instance.
uint32_t fl_attempt_get_position(fl_attempt *a);
/// The graph's node: the map of an instance, else the node itself.
uint32_t fl_attempt_get_graph_node(fl_attempt *a);

/// Saves a checkpoint or a step; `done` is called when it is durable, from the scheduler's step.
void fl_attempt_checkpoint(fl_attempt *a, fl_value *value, void (*done)(void *ud), void *ud);
void fl_attempt_put_step(fl_attempt *a, const char *name, fl_value *value, void (*done)(void *ud),
                         void *ud);
/// What is saved; a reference, or NULL. Blocks for the disk (a cached page as a rule).
FL_MUST fl_code fl_attempt_get_checkpoint(fl_attempt *a, fl_value **out, fl_error *err);
FL_MUST fl_code fl_attempt_get_step(fl_attempt *a, const char *name, bool *found, fl_value **out,
                                    fl_error *err);
void fl_attempt_progress(fl_attempt *a, double done, double total, const char *text);
/// Forgets `done` callbacks with this `ud`: their owner is going away.
void fl_scheduler_forget(fl_scheduler *s, void *ud);
