// Runs one child process to its end, for scripts and for worker code that wait for it. Nodes do not
// use this: their processes belong to the supervisor. No Lua in here.
//
// The child gets its own process group, so that a time-out ends what it started too. The caller's
// signal handlers and its other children are left alone.
#pragma once
#include "base/buf.h"

typedef struct fl_subprocess_options {
  const char *const *argv; // NULL at the end; argv[0] is looked up in PATH
  const char *const *env;  // "NAME=value", NULL at the end; NULL: as the caller's
  const char *cwd;         // NULL: the caller's
  const char *stdin_data;  // NULL: /dev/null
  size_t stdin_size;
  int64_t timeout_ms; // -1: none
  int64_t grace_ms;   // TERM to KILL, once the time is over
} fl_subprocess_options;

typedef struct fl_subprocess_end {
  int exit_code; // -1 when it was ended by a signal
  int signal;    // 0: none
  bool timed_out;
} fl_subprocess_end;

/// Waits until the child has ended and its output is closed; what it wrote is appended to `out` and
/// `err_out`. Errors: FL_E_SPAWN; FL_E_LIMIT when it wrote more than they hold (it is killed then);
/// FL_E_SYSTEM.
FL_MUST fl_code fl_subprocess_run(const fl_subprocess_options *options, fl_buf *out,
                                  fl_buf *err_out, fl_subprocess_end *end, fl_error *err);
