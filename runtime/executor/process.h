// Executes process nodes through the supervisor, which every other child is started by, too: those
// of ctx:exec, and the workers.
#pragma once
#include "executor/services.h"

typedef struct fl_processes fl_processes;
fl_processes *fl_processes_new(const fl_services *services); // services: borrowed
/// `recorded`: what was told is in the store; else all is left to a resume, as after a crash.
void fl_processes_free(fl_processes *p, bool recorded); // NULL-safe
fl_executor fl_processes_get_executor(fl_processes *p);
/// Borrowed; started at the first need. NULL: it cannot be.
fl_supervisor *fl_processes_get_supervisor(fl_processes *p, fl_error *err);
/// Its id, see fl_executor.get_keeper; `ud`: the fl_processes.
const char *fl_processes_get_keeper(void *ud);

/// How a child of ctx:exec ended. Borrowed for the length of the callback.
typedef struct fl_child_result {
  const char *status; // "succeeded" | "failed" | "timed_out" | "cancelled" | "lost"
  int exit_code, signal;
  const char *error;
  const char *stdout_data; // NULL: not captured
  size_t stdout_size;
  const char *tail; // end of its stderr
  size_t tail_size;
} fl_child_result;

/// Starts a supervised child for `a`; takes `command`. `done` is called exactly once, from the
/// loop, unless the child could not be asked for: NULL is returned then, with `err`.
void *fl_processes_start_child(fl_processes *p, fl_attempt *a, fl_command *command,
                               void (*done)(void *done_ud, const fl_child_result *result),
                               void *done_ud, fl_error *err);
/// Ends it: TERM, grace, KILL; `done` follows.
void fl_processes_cancel_child(fl_processes *p, void *child, int64_t grace_ms);

/// Who has children of no attempt, spawned with id.run "".
typedef struct fl_child_owner {
  void (*exited)(void *ud, const fl_child_exit *exit);
  /// The attempt that `child` is busy with, or was when it was to end; NULL: none.
  fl_attempt *(*find_attempt)(void *ud, uint32_t child);
  void *ud;
} fl_child_owner;
/// One has them; NULL: nobody does any more.
void fl_processes_set_owner(fl_processes *p, const fl_child_owner *owner);
