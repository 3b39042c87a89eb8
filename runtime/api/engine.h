// The engine's insides: what it wires together.
#pragma once
#include "api/reader.h"
#include "api/retention.h"
#include "api/scripts.h"
#include "executor/inline.h"
#include "executor/native.h"
#include "executor/process.h"
#include "executor/worker.h"
#include "bind/script.h"
#include "bind/watchdog.h"
#include "engine/scheduler.h"
#include "io/notify.h"
#include "io/owner_lock.h"
#include "io/thread.h"
#include <stdatomic.h>

typedef struct fl_followers fl_followers; // those who hear of all engines' runs, follow.c

struct fl_engine {
  char *state_dir, *helper, *lua_dir;
  char id[FL_ENGINE_ID_SIZE]; // of this engine, once its state is open: names its socket, its logs
  char owner[160];            // identity of the process, '#', id
  fl_owner_lock *lock;        // by which it is known to live; NULL: it can own nothing
  fl_config config;
  fl_store *store;
  fl_loop *loop;
  fl_watchdog *watchdog; // NULL: the host does not ask who holds its thread
  fl_thread *disk;       // waits for the disk in our place (fl_config.disk_thread); NULL: we do
  fl_scheduler *scheduler;
  fl_services services;
  fl_inline *inlines;
  fl_worker_pool *workers;
  fl_processes *processes;
  fl_notify *notify;
  fl_scripts *scripts;
  fl_natives *natives;
  fl_reader reader; // through which fl_read_...() read
  fl_followers *followers;
  fl_retention *retention; // NULL: nothing is pruned but by fl_prune()
  int argc;
  char *const *argv;
  int pid;                 // who opened it: a child that the host forked off is another
  uint32_t inside;         // calls of the host's that are on the stack
  atomic_bool interrupted; // set by any thread, or a signal's handler
  atomic_ulong thread;     // that it belongs to
  atomic_bool turning;     // ... and is in a step
  bool stopping;
  bool again; // the last step left something to do at once
};

// misuse.c
/// The host made a call that is not possible where it was made: FL_E_STATE, and in debug builds the
/// end of the process.
FL_MUST fl_code fl_refuse_misuse(const char *sentence, fl_error *err);
/// FL_E_STATE on another thread than the engine's.
FL_MUST fl_code fl_engine_refuse_elsewhere(const fl_engine *e, fl_error *err);
/// The same, and FL_E_STATE within a callback of the host's: `function` would turn the engine that
/// is turning.
FL_MUST fl_code fl_engine_refuse_inside(const fl_engine *e, const char *function, fl_error *err);
// patch_script.c
/// The script of a run as the run has it: from the store, with the options that patches gave. You
/// are its user: fl_script_unref().
FL_MUST fl_code fl_engine_load_run(fl_engine *e, const fl_run_row *row, fl_script **script,
                                   fl_flow **flow, fl_error *err);
/// See fl_scheduler_config.find_sub.
FL_MUST fl_code fl_engine_find_sub(fl_engine *e, const fl_run_row *row, const fl_flow *sub,
                                   const fl_flow **out, fl_value **patch, fl_error *err);
// owner.c
/// The run has not ended, and its owner lives.
bool fl_owner_holds(const fl_engine *e, const fl_run_row *row);
/// Whether it was running and no living engine executes it.
bool fl_owner_is_interrupted(const fl_engine *e, const fl_run_row *row);
/// FL_E_BUSY, saying who owns the run and since when.
FL_MUST fl_code fl_owner_fail_busy(fl_engine *e, const fl_run_row *row, fl_error *err);
/// The same for one that was taken a moment ago: its row is read again.
FL_MUST fl_code fl_owner_name_busy(fl_engine *e, const char *run_id, fl_error *err);
// propose.c
/// See fl_scheduler_config.advise.
void fl_engine_advise(fl_engine *e, fl_run *run, bool within);
/// Resumes the runs whose flows let a proposal be applied by itself.
FL_MUST fl_code fl_resume_wanted(fl_engine *e, fl_error *err);
// script_graph.c
/// Draws a flow as fl_script_graph() does. `selected` (a byte a node, or NULL): which of its nodes
/// a run would take, as each one's "action" in JSON.
FL_MUST fl_code fl_flow_draw(const fl_flow *flow, const char *format, const uint8_t *selected,
                             char **out, fl_error *err);
// root.c
/// The run that is resumed for this one (itself, when nothing called it), and what a patch of it
/// puts before the names of this one's nodes: "call/"; free() it.
char *fl_find_root(fl_store *s, const fl_run_row *run, char root_out[FL_RUN_ID_SIZE]);
// state.c
/// The state directory is open, or is opened now (fl_config.open_late).
FL_MUST fl_code fl_engine_need_state(fl_engine *engine, fl_error *err);
/// The engine's store, opened now when it was not needed before (fl_config.open_late); borrowed.
FL_MUST fl_code fl_engine_need_store(fl_engine *engine, fl_store **out, fl_error *err);
// answer.c
/// The engine's own reader, opened at the first need; it finds all that the engine was asked for so
/// far. Borrowed.
FL_MUST fl_code fl_engine_get_reader(fl_engine *engine, fl_reader **out, fl_error *err);
void fl_engine_close_reader(fl_engine *e);
// follow.c
/// Tells what others did to those who follow them, where it is time to look.
FL_MUST fl_code fl_followers_step(fl_engine *e, fl_error *err);
bool fl_followers_are_due(const fl_engine *e);
void fl_followers_close(fl_engine *e);
