// What executors need of the engine's surroundings; filled in by api/.
#pragma once
#include "engine/executor.h"
#include "io/supervise.h"

typedef struct fl_services {
  fl_loop *loop;
  fl_scheduler *scheduler; // that hands out attempts; set before the first of them
  const char *state_dir;
  const char *helper;  // path of the binary that runs workers; NULL: there is none
  const char *lua_dir; // NULL: the embedded language
  uint32_t jobs;
  int64_t alarm_ms;               // see fl_config.alarm_ms; 0: the default
  uint32_t *inside;               // calls of the host's that are on the stack
  struct fl_processes *processes; // by which all children are started
  /// The log of an attempt whose output comes through this process; yours to finish and close.
  fl_log_sink *(*open_log)(void *ud, fl_attempt *a);
  void *ud;
} fl_services;
