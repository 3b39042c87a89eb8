// Where attempts run: the engine's only way to make something run. Each place is an executor, which
// says about itself what the engine has to know; processes, workers, inline coroutines, node types
// in C are one each, and tests have a fake. What a node is does not say where it runs.
#pragma once
#include "base/fate.h"
#include "base/recorded.h"
#include "engine/flow.h"
#include "store/store.h"

typedef struct fl_scheduler fl_scheduler;
typedef struct fl_run fl_run;

/// One try of one node, from its claim to its end. Owned by the scheduler; executors keep the
/// pointer between start() and fl_attempt_end(), and know it by the functions below.
typedef struct fl_attempt fl_attempt;

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
  int64_t duration_ms;          // measured, where `measured`; else since its executor got it
  bool measured;
  int64_t cpu_us, rss_max_bytes;
  int pid;
  fl_log_place log;
} fl_outcome;

/// What an attempt needs before it runs, besides its pool.
typedef enum fl_slots {
  FL_SLOTS_NONE, // nothing: it waits, or shares the engine's thread
  FL_SLOTS_JOBS, // one of the engine's jobs
  FL_SLOTS_OWN,  // room at the executor, which has limits of its own
} fl_slots;

/// Zero-initialise; functions that are left out have the defaults that are named.
typedef struct fl_executor {
  const char *name; // "process"; static
  uint32_t kinds;   // whose nodes run here unless they name another: bits 1u << fl_node_kind
  fl_slots slots;
  bool outlives_engine;  // its attempts may be found running after a crash: recover() knows
  bool records_with_end; // they mostly end at once: claim, start and end may be one record
  bool enters_again;     // all there is of them is in the store: a resume starts them as they are
  bool fills_slots;      // FL_SLOTS_JOBS: it runs as many as it has slots, and the rest waits there
  /// Starts `a`, whose claim is durable. May call fl_attempt_end() before it returns.
  void (*start)(void *ud, fl_attempt *a);
  /// Ends `a`: TERM, grace, KILL; fl_attempt_end() follows, when nothing of it is left.
  void (*cancel)(void *ud, fl_attempt *a, int64_t grace_ms);
  /// `a` runs on as another engine's: forgets it. Only if it outlives its engine. Default: nothing.
  void (*let_go)(void *ud, fl_attempt *a);
  /// After a batch of starts and cancels. Default: nothing.
  void (*flush)(void *ud);
  /// Job slots that its attempts hold now, if it does not fill them. Default: none.
  uint32_t (*held)(void *ud);
  /// FL_SLOTS_JOBS: how many attempts beyond its slots it likes to be given ahead of time.
  /// FL_SLOTS_OWN: how many it likes to have in all. Default: none.
  uint32_t (*ahead)(void *ud);
  /// How many job slots it may hold from now on. Default: it does not care.
  void (*set_slots)(void *ud, uint32_t slots);
  /// Who will know how its attempts ended when this engine does not ("": nobody); kept with the
  /// run's epoch before the first of them starts. Borrowed until the next call. Default: NULL,
  /// nobody has to.
  const char *(*get_keeper)(void *ud);
  /// After a crash: finds out about attempts of `run` here whose epoch had `keeper`, and sees to it
  /// that nothing else of the run is left there (`count` may be 0). Does not wait: what it finds it
  /// says at once or later, from the loop, of each by fl_attempt_settle(), of one that has ended by
  /// fl_attempt_end(); and when that is all, fl_scheduler_recovered(). As they may leave meanwhile
  /// it keeps their names only. Default: all are lost.
  void (*recover)(void *ud, fl_run *run, const char *keeper, uint64_t recovery,
                  fl_attempt **attempts, size_t count);
  void *ud;
} fl_executor;

/// Copies it. Its number, from 1, is what fl_node_options.executor names; a later one takes the
/// kinds of one before. Before the first run, or when none is about to name it.
uint32_t fl_scheduler_register(fl_scheduler *s, const fl_executor *executor);
/// One with FL_SLOTS_OWN has more room than it had: the next step looks.
void fl_scheduler_room_changed(fl_scheduler *s);

/// Reports the end of `a`; it is gone afterwards. Records first; what follows from it is told and
/// started by the scheduler's next step.
void fl_attempt_end(fl_attempt *a, const fl_outcome *outcome);
/// What becomes of an end that is reported by the attempt's name.
typedef enum fl_report {
  FL_REPORT_RECORDED,   // it is, by this report or by the same one before
  FL_REPORT_SUPERSEDED, // the attempt counts as lost, or another engine has the run: nothing
                        // changes
  FL_REPORT_UNKNOWN     // there is no such attempt
} fl_report;
/// The same for whoever has but the name of an attempt: run, number of the node in its records,
/// number of the attempt. It may have ended, here or in an engine before, and be reported twice.
FL_MUST fl_code fl_scheduler_report(fl_scheduler *s, const char *run_id, uint32_t node_number,
                                    uint32_t number, const fl_outcome *outcome, fl_report *out,
                                    fl_error *err);
/// The live attempt `number` of the node that the run's records call `node_number`; NULL: there is
/// none (any more).
fl_attempt *fl_scheduler_find_attempt(fl_scheduler *s, const char *run_id, uint32_t node_number,
                                      uint32_t number);
/// Instead: nothing of `a` has run, and nothing will here. Its node is ready again, and its next
/// claim is the same attempt, with who keeps it recorded anew; no try is used up. One that is to be
/// cancelled ends so. Not after fl_attempt_started(). One with FL_SLOTS_OWN says less room (ahead)
/// before, or gets it again at once.
void fl_attempt_give_back(fl_attempt *a);
/// What became of `a`, which recover() was asked about: it runs, was never started, or is lost. It
/// may be gone afterwards.
void fl_attempt_settle(fl_attempt *a, fl_fate fate);
/// An executor has said all about `recovery`. When all of them have, what of the run nothing was
/// said of is lost, and the run goes on.
void fl_scheduler_recovered(fl_scheduler *s, const char *run_id, uint64_t recovery);
/// Reports that `a` really runs. Not needed for short ones.
void fl_attempt_started(fl_attempt *a, int pid, int64_t started_ms);
/// True when its start was recorded and told.
bool fl_attempt_is_told(const fl_attempt *a);
/// What its executor keeps of it, NULL at first; the executor's to free.
void fl_attempt_set_data(fl_attempt *a, void *data);
void *fl_attempt_get_data(const fl_attempt *a);

/// What code of `a` takes is a slice, from here ...
typedef struct fl_slice_clock {
  fl_scheduler *scheduler;
  int64_t began_us;
  char run[FL_RUN_ID_SIZE];
  uint32_t node;
} fl_slice_clock;
void fl_attempt_begin_slice(fl_attempt *a, fl_slice_clock *clock);
/// ... to here, whether `a` lives still or not.
void fl_attempt_end_slice(const fl_slice_clock *clock);

/// A process is to be started for `a`: has the run remember who keeps it, as of executors with
/// get_keeper() it does already.
void fl_attempt_need_keeper(fl_attempt *a, const char *keeper);

/// Something of `a` is still there long after it was killed: recorded and told, and the attempt
/// goes on until that is gone.
void fl_attempt_alarm(fl_attempt *a, const char *text);

/// How long it may run, with what is left of its node's deadline; 0: as long as it likes.
int64_t fl_attempt_get_timeout_ms(const fl_attempt *a);
/// Adds the words for that: "timed out after 10s", or that its deadline ended it.
void fl_attempt_describe_timeout(const fl_attempt *a, fl_buf *text);
/// Has `cancel` called when that is over, from now on. For executors without a timeout of their
/// own.
void fl_attempt_arm_timeout(fl_attempt *a);
/// Its timeout is over, and its executor, which has one of its own, ends it.
void fl_attempt_time_out(fl_attempt *a);
bool fl_attempt_has_timed_out(const fl_attempt *a);
/// True when its end was asked for, by whomever, or its timeout is over.
bool fl_attempt_is_ending(const fl_attempt *a);

// What an executor may ask for and do on behalf of running node code.

/// {"id","flow","version","time","date","attempt","trigger",...}: ctx.run as JSON
/// (docs/reference.md).
void fl_attempt_write_run(fl_attempt *a, fl_buf *out);
/// Whether that may differ from what other first attempts of its run get: a hook is told of the
/// end, and who depends on nodes that were not selected is told of those.
bool fl_attempt_has_own_run(fl_attempt *a);
/// {"name":outputs,...} of the nodes it depends on.
FL_MUST fl_code fl_attempt_write_inputs(fl_attempt *a, fl_buf *out, fl_error *err);
/// {"run":..,"params":..,"vars":..,"inputs":..}: FLOWLUA_CONTEXT.
FL_MUST fl_code fl_attempt_write_context(fl_attempt *a, fl_buf *out, fl_error *err);
fl_value *fl_attempt_get_params(fl_attempt *a); // borrowed
fl_value *fl_attempt_get_vars(fl_attempt *a);   // what it inherited; borrowed
/// Of an item: its value, borrowed; else NULL.
fl_value *fl_attempt_get_item(fl_attempt *a);
fl_run *fl_attempt_get_run(fl_attempt *a);
const fl_flow *fl_attempt_get_flow(fl_attempt *a);   // its run's
const char *fl_attempt_get_name(fl_attempt *a);      // of its node or item; borrowed
uint32_t fl_attempt_get_number(const fl_attempt *a); // from 1, a node's tries in order
const fl_node_options *fl_attempt_get_options(const fl_attempt *a); // of its node, or its item's
/// What a process is to be started with; NULL: its node is none. Borrowed.
const fl_command *fl_attempt_get_command(const fl_attempt *a);
const char *fl_attempt_get_run_id(fl_attempt *a);
/// What the run's records call its node.
uint32_t fl_attempt_get_node_number(fl_attempt *a);
/// Position of an item in its map, from 1; 0: no item.
uint32_t fl_attempt_get_position(fl_attempt *a);
/// The graph's node: the map of an item, else the node itself.
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
void fl_attempt_forget(fl_attempt *a, void *ud);
/// Keeps what ctx:now and friends gave the code (`json` of a `kind`), for a replay. Of more than a
/// value may hold the rest is left out: a replay makes it anew.
void fl_attempt_record(fl_attempt *a, const char *kind, const char *json, size_t size);
/// A replay: what it got then, to be handed out again. Borrowed.
fl_recorded *fl_attempt_get_recorded(fl_attempt *a);
