// Many runs at once, shared by many.c (what happens) and many_model.c (what must hold).
#pragma once
#include <stdarg.h>
#include "engine/run_internal.h"
#include "many.h"
#include "read/read.h"
#include "world.h"

#define FLOWS     5
#define NODES     24
#define RUNS_MAX  200 // at once
#define ENGINES   2
#define OBSERVER  2
#define PRUNER    3
#define MINUTE_MS 60000
#define HEAL_MS   (24ll * 3600 * 1000)

typedef struct flow_spec {
  fl_flow flow;
  fl_graph *graph;
  int64_t duration_ms[NODES];
  bool fails_once[NODES];
  uint32_t count;
} flow_spec;

/// A run as it must be: from what was told, and what its flow is.
typedef struct run_model {
  char id[FL_RUN_ID_SIZE];
  flow_spec *flow;
  int engine;          // that owns it, -1: one that is dead
  bool finished, gone; // gone: it was never recorded, or is pruned
  uint8_t running[NODES], succeeded[NODES];
  uint32_t held;               // slots
  uint32_t passes, passes_max; // starts of others since it had to have one
} run_model;

typedef struct task {
  fl_attempt *attempt;
  run_model *run;
  int engine;
  uint32_t node;
  int64_t ends_ms;
  bool ends_well;
  bool robbed; // its run is another engine's by now
} task;

typedef struct world world;

typedef struct engine {
  world *w;
  int slot;
  bool alive, poked;
  char owner[32];
  sim_mount *mount;
  fl_store *store;
  fl_scheduler *scheduler;
} engine;

struct world {
  sim_random random;
  bool trace, failed;
  bool level;   // all nodes are of one priority
  bool robbing; // no lock of an engine is seen
  char failure[500];
  int64_t now_ms;
  uint64_t hash;
  sim_disk disk;
  flow_spec flows[FLOWS];
  uint32_t jobs, pool_capacity, pool_used[ENGINES];
  engine engines[ENGINES];
  int engine_number;
  fl_store *observer;
  run_model **runs;
  size_t run_count, run_capacity;
  run_model **open; // those that have not ended
  size_t unfinished, open_capacity;
  size_t wanted; // runs to be started in all
  task *tasks;
  size_t task_count, task_capacity;
  uint64_t pruned;
  int slices; // of the prune that goes on
  uint64_t crashes, cuts, robberies, resumes, told;
};

// many_model.c
/// An invariant is broken: the seed fails.
void many_fail(world *w, const char *fmt, ...) FL_PRINTF(2, 3);
void many_note(world *w, const char *fmt, ...) FL_PRINTF(2, 3);
void many_set_finished(world *w, run_model *r, bool finished);
bool many_holds_slot(const flow_spec *f, uint32_t node);
void many_register(engine *e); // its scheduler gets its executors
void many_on_event(void *ud, const fl_event *ev);
/// Takes a task out of the list.
task many_take_task(world *w, size_t at);
void many_end_task(world *w, size_t at, fl_attempt_state state);

// many.c
void many_step_engine(engine *e);
/// What other engines have begun they commit first: their hosts step them.
void many_let_others_commit(const engine *e);
