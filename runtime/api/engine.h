// The engine's insides: what it wires together. Private to this folder.
#pragma once
#include "api/internal.h"
#include "bind/executor_inline.h"
#include "bind/executor_worker.h"
#include "bind/script.h"
#include "engine/scheduler.h"
#include "io/notify.h"

typedef struct fl_processes fl_processes; // executor of process nodes, executor_process.c

typedef struct fl_native {
  fl_native_type type;
  char *name;
} fl_native;

typedef struct fl_run_log {
  char run_id[FL_RUN_ID_SIZE];
  fl_log_writer *writer;
} fl_run_log;

struct fl_engine {
  char *state_dir, *helper, *lua_dir;
  char id[32];     // of this engine: names its socket, its log files
  char owner[160]; // identity of the process, '#', id
  char **left;     // what it was before each fl_engine_reopen()
  size_t left_count;
  fl_config config;
  fl_store *store;
  fl_loop *loop;
  fl_scheduler *scheduler;
  fl_services services;
  fl_inline *inlines;
  fl_worker_pool *workers;
  fl_processes *processes;
  fl_notify *notify;
  fl_script **scripts;
  size_t script_count;
  fl_native *natives;
  size_t native_count;
  fl_run_log *logs;
  size_t log_count;
  int argc;
  char *const *argv;
  volatile bool interrupted;
  bool stopping;
  bool again; // the last step left something to do at once
};

// engine.c
/// Loads a script (from `snapshot`, or the disk), keeps it for the engine's life and opens its
/// backend. `overrides`: as in fl_script_config, or NULL.
FL_MUST fl_code fl_engine_load(fl_engine *e, const char *path, fl_snapshot *snapshot,
                               const char *overrides, fl_script **out, fl_error *err);
// patch.c
/// Loads the script of a run as the run has it: from the store, with the options that patches gave.
FL_MUST fl_code fl_engine_load_run(fl_engine *e, const fl_run_row *row, fl_script **script,
                                   fl_flow **flow, fl_error *err);
/// See fl_scheduler_config.find_sub.
FL_MUST fl_code fl_engine_find_sub(fl_engine *e, const fl_run_row *row, const fl_flow *sub,
                                   const fl_flow **out, fl_value **patch, fl_error *err);
// owner.c
/// A lease's owner: does that very process still live?
bool fl_owner_is_alive(const char *owner);
/// The engine itself was that owner, and broke: what it held is its own to take up.
bool fl_owner_was(const fl_engine *e, const char *owner);
/// The lease holds and its owner lives. One that was killed a moment ago is still on its way out:
/// it gets that moment.
bool fl_owner_holds(const fl_run_row *row);
/// FL_E_BUSY, saying who owns the run and since when.
FL_MUST fl_code fl_owner_fail_busy(fl_engine *e, const fl_run_row *row, fl_error *err);
/// The same for one that was taken a moment ago: its row is read again.
FL_MUST fl_code fl_owner_name_busy(fl_engine *e, const char *run_id, fl_error *err);
// resume.c
/// See fl_scheduler_config.check_proposal.
FL_MUST fl_code fl_resume_check_proposal(fl_engine *e, const char *run_id, const char *json,
                                         fl_error *err);
/// See fl_scheduler_config.each_failed_part.
FL_MUST fl_code fl_resume_each_failed_part(fl_engine *e, const char *run_id, fl_see_part each,
                                           void *each_ud, fl_error *err);
/// Resumes the runs whose flows let a proposal be applied by itself.
FL_MUST fl_code fl_resume_wanted(fl_engine *e, fl_error *err);
// run.c
/// The flow of that key, or the only one; an error lists those there are.
FL_MUST fl_code fl_script_choose_flow(fl_script *script, const char *key, fl_flow **out,
                                      fl_error *err);
// executor_process.c
fl_processes *fl_processes_new(fl_engine *e);
/// `recorded`: what was told is in the store; else all is left to a resume, as after a crash.
void fl_processes_free(fl_processes *p, bool recorded);
fl_executor fl_processes_get_executor(fl_processes *p);
fl_supervisor *fl_processes_get_supervisor(void *ud, fl_error *err);
const char *fl_processes_get_supervisor_id(fl_processes *p);
void fl_processes_recover(fl_processes *p, fl_run *run, const char *supervisor,
                          fl_attempt **attempts, fl_fate *fates, size_t count);
void *fl_processes_start_child(void *ud, fl_attempt *a, fl_command *command,
                               void (*done)(void *, const fl_child_result *), void *done_ud,
                               fl_error *err);
void fl_processes_cancel_child(void *ud, void *child, int64_t grace_ms);
// root.c
/// The run that is resumed for this one (itself, when nothing called it), and what a patch of it
/// puts before the names of this one's nodes: "call/"; free() it.
char *fl_engine_find_root(fl_engine *e, const fl_run_row *run, char root_out[FL_RUN_ID_SIZE]);
// native.c
fl_executor fl_native_get_executor(fl_engine *e);
