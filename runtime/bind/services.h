// What Lua nodes need of the engine's surroundings; filled in by api/.
#pragma once
#include "engine/executor.h"
#include "io/supervise.h"

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

typedef struct fl_services {
  fl_loop *loop;
  const char *state_dir;
  const char *helper;  // path of the binary that runs workers; NULL: there is none
  const char *lua_dir; // NULL: the embedded language
  uint32_t jobs;
  /// The engine's supervisor, started at the first need.
  fl_supervisor *(*get_supervisor)(void *ud, fl_error *err);
  /// The log of an attempt of a Lua node; yours to finish and close.
  fl_log_sink *(*open_log)(void *ud, fl_attempt *a);
  /// Starts a supervised child for `a`; takes `command`. `done` is called exactly once, from the
  /// loop, unless the child could not be asked for: NULL is returned then, with `err`.
  void *(*start_child)(void *ud, fl_attempt *a, fl_command *command,
                       void (*done)(void *done_ud, const fl_child_result *result), void *done_ud,
                       fl_error *err);
  void (*cancel_child)(void *ud, void *child, int64_t grace_ms);
  void *ud;
} fl_services;
