// One seed's world: its time, its disk, its processes, two engines at most, and what all of them
// were told.
#pragma once
#include "disk.h"
#include "flow.h"

#define SIM_ENGINES  2
#define SIM_OBSERVER 2 // mount of the reader that sees what is committed
#define SIM_ASKER    3 // mount of whoever asks for a cancel
#define SIM_DIR      "/sim/state"

typedef struct sim_world sim_world;

/// Ended: nobody was told yet. Told: only its supervisor's journal knows of it.
typedef enum sim_task_state {
  SIM_QUEUED,
  SIM_RUNNING,
  SIM_ENDED,
  SIM_TOLD,
  SIM_GONE
} sim_task_state;

/// Something that runs, or will: the outside of an attempt.
typedef struct sim_task {
  char run[FL_RUN_ID_SIZE];
  uint32_t node, number;
  fl_node_kind kind;
  uint64_t place; // of the node, whatever run and attempt
  int engine;     // that is told of its end, -1: none
  int supervisor; // its parent, -1: it runs within its engine
  fl_attempt *attempt;
  sim_task_state state;
  int64_t duration_ms, ends_ms, next_save_ms;
  fl_attempt_state outcome;
  int exit_code, saves;
  uint32_t pool, weight;
  bool cancelled, counted;
  bool dropped;         // its end was asked for while it waited in a queue: it never runs
  bool adopted;         // by an engine that did not start it
  uint32_t saved;       // its newest checkpoint
  char *outputs, *vars; // of a success, decided at its start; NULL: none, unchanged
} sim_task;

typedef struct sim_supervisor {
  char id[16];
  bool alive;
  int engine; // -1: its engine is gone
  uint32_t slots;
} sim_supervisor;

#define SIM_JOBS 8 // at once, of one engine: a sync, a checkpoint

typedef struct sim_job {
  void (*work)(void *arg);
  void (*done)(void *arg);
  void *arg;
} sim_job;

typedef struct sim_engine {
  sim_world *world;
  int slot, supervisor; // index, -1: none yet
  bool alive, frozen, patching;
  bool unlocked; // lives, and is taken for dead: its lock is lost
  char owner[32];
  sim_mount *mount;
  fl_store *store;
  fl_scheduler *scheduler;
  uint32_t worker_slots, process_slots;
  int64_t overdue_ms;     // since when a sync is due
  bool poked;             // something happened: step
  bool aside;             // it has a thread for the disk
  sim_job jobs[SIM_JOBS]; // given to that
  int job_count;
  struct sim_question *questions; // that supervisors of dead engines have not answered yet
} sim_engine;

/// How often a place has ended so far: what "fails twice, then works" counts.
typedef struct sim_tries {
  uint64_t place;
  int ended;
} sim_tries;

/// What was told, and must be found again.
typedef struct sim_fact {
  char run[FL_RUN_ID_SIZE], node[FL_ID_SIZE_MAX + 16];
  fl_event_kind kind;
  uint32_t number;
  char status[24];
  uint64_t syncs; // of the log when it was told
} sim_fact;

/// What is known of a node from outside.
typedef struct sim_node {
  char run[FL_RUN_ID_SIZE], name[FL_ID_SIZE_MAX + 16];
  uint64_t seen_syncs; // of the log when it was first seen in the store or told of
  uint32_t last_number;
  uint64_t last_syncs;
  bool succeeded; // that was told, and no rerun asked for since
  fl_node_state state;
  fl_reason reason;
  uint32_t saved_acked, saved_most; // checkpoints
  uint64_t saved_syncs;
  uint32_t steps_acked, step_runs;
} sim_node;

/// One row of a run's history, as it was seen last.
typedef struct sim_row {
  char run[FL_RUN_ID_SIZE];
  uint32_t node, number; // number 0: a decision
  int64_t seq, end_seq, outputs, vars;
  int state;
} sim_row;

struct sim_world {
  uint64_t seed, trace_hash;
  sim_random random;
  bool trace, failed, mended, healing;
  char failure[600];
  int64_t now_ms, budget_us;
  sim_disk disk;
  sim_flow main, sub;
  uint32_t jobs;
  bool faults; // how the seed is meant: with trouble or as the reference
  fl_durability durability;
  sim_engine engines[SIM_ENGINES];
  int engine_number;
  sim_task *tasks;
  size_t task_count, task_capacity;
  sim_supervisor *supervisors;
  size_t supervisor_count, supervisor_capacity;
  sim_tries *tries;
  size_t tries_count, tries_capacity;
  sim_fact *facts;
  size_t fact_count, fact_capacity;
  sim_node *nodes;
  size_t node_count, node_capacity;
  sim_row *rows;
  size_t row_count, row_capacity;
  char run[FL_RUN_ID_SIZE]; // the main one, "" before it was told
  fl_store *observer;
  uint32_t crashes, takeovers, resumes, cancels;
  bool skipping;
  int64_t patched_ms, cancel_asked_ms; // 0: not
  bool cut_pending;                    // a power cut waits for the engines to be put away
  bool healed;                         // a resume without trouble was made
  int64_t thaw_ms;                     // 0: nobody is frozen
  uint64_t cuts;
  void **savings;
  size_t saving_count, saving_capacity;
};

#define SIM_PUSH(list, count, capacity, item)                                                      \
  do {                                                                                             \
    if ((count) == (capacity)) {                                                                   \
      (capacity) = (capacity) ? (capacity)*2 : 64;                                                 \
      (list) = fl_realloc((list), (capacity) * sizeof *(list));                                    \
    }                                                                                              \
    (list)[(count)++] = (item);                                                                    \
  } while (0)

// world.c
void sim_world_init(sim_world *w, uint64_t seed, bool faults, bool trace);
void sim_world_deinit(sim_world *w);
void sim_trace(sim_world *w, const char *fmt, ...) FL_PRINTF(2, 3);
/// An invariant is broken: the seed fails.
void sim_fail(sim_world *w, const char *fmt, ...) FL_PRINTF(2, 3);
/// Lets time go on to the next thing that happens, at most to `until_ms`, and lets it happen.
void sim_world_turn(sim_world *w, int64_t until_ms);

// process.c
/// Gives the engine's scheduler its executors.
void sim_register(sim_engine *e);
int sim_get_supervisor(sim_engine *e);
void sim_task_deinit(sim_task *t);
/// Time of the next end or checkpoint; INT64_MAX: none.
int64_t sim_tasks_due(sim_world *w);
void sim_tasks_run(sim_world *w);
void sim_supervisor_kill(sim_world *w, int supervisor);
/// What becomes of an engine's tasks when it is gone.
void sim_tasks_orphan(sim_world *w, int engine);
/// Ends that a frozen engine could not hear.
void sim_tasks_deliver(sim_engine *e);
/// When the next supervisor of a dead engine answers; INT64_MAX: none is asked.
int64_t sim_answers_due(const sim_engine *e);
/// They do, as far as it is time.
void sim_answer(sim_engine *e);
void sim_questions_drop(sim_engine *e);

// engine.c
bool sim_engine_open(sim_engine *e);
void sim_engine_step(sim_engine *e);
/// Without a word: kill -9.
void sim_engine_kill(sim_engine *e);
/// As it ends by itself: the store is closed.
void sim_engine_close(sim_engine *e);
bool sim_engine_start_run(sim_engine *e);
typedef struct sim_patch {
  bool vars;
  uint8_t skip[SIM_NODES_MAX], rerun[SIM_NODES_MAX];
  bool any_skip, any_rerun;
} sim_patch;
fl_code sim_engine_resume(sim_engine *e, const fl_run_row *row, const sim_patch *patch);
/// All engines, supervisors and processes, and what the disk had not synced.
void sim_power_cut(sim_world *w);
bool sim_owner_is_alive(sim_world *w, const char *owner);

// model.c
void sim_on_event(void *ud, const fl_event *event);
void sim_check_start(sim_engine *e, fl_attempt *a);
void sim_check_running(sim_world *w, sim_task *t);
sim_node *sim_find_node(sim_world *w, const char *run, const char *name);
void sim_check_told_durable(sim_engine *e, const char *what);

// history.c
/// The observer's store, open; NULL: there is no store (yet).
fl_store *sim_observe(sim_world *w);
void sim_observe_end(sim_world *w);
/// After a reopening: everything told is there, the history has only grown, and the model takes
/// over what the store says. `cut`: the power was, which may have taken what was told to nobody,
/// and with `group` what no sync had covered.
void sim_check_history(sim_world *w, bool cut);
/// The run as it is stored; false: it is not there.
bool sim_find_run(sim_world *w, fl_run_row *row);
/// At the end: attempts, claims, owners.
void sim_check_end(sim_world *w);
/// Appends what the run came to, one line a node.
void sim_write_result(sim_world *w, fl_buf *out);

// chaos.c
/// Runs a seed: true when all held; else w->failure says what did not.
typedef struct sim_totals {
  uint64_t crashes, takeovers, resumes, facts;
  int64_t virtual_ms;
} sim_totals;
bool sim_run_seed(uint64_t seed, bool trace, char *failure, size_t failure_size, uint64_t *digest,
                  sim_totals *totals);
