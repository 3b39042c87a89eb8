// All that the engine knows of an attempt. Private to this folder: executors have executor.h.
#pragma once
#include "engine/executor.h"

/// What a map is made of, while it becomes items in portions.
typedef struct fl_map_list {
  fl_value **values; // owned
  size_t count, at;  // those before `at` are items
  uint32_t scan;     // where to look for the next item of an earlier list, FL_NODE_NONE: no more
  bool fit;          // that list stays as far as it is the same
  int64_t started_ms;
  fl_attempt *next; // of the run, that has a list
} fl_map_list;

struct fl_attempt {
  fl_scheduler *scheduler;
  fl_run *run;
  uint32_t node, number;
  uint32_t executor; // as fl_scheduler_register() numbered it
  int64_t seq;
  fl_reason reason;  // why it was started
  bool recorded_row; // has a row of its own; until then it stands in the run's list of claims
  const fl_node_options *options;
  int64_t claimed_ms, started_ms; // started_ms 0: not told yet
  int64_t given_ms;               // monotonic: when its executor got it; 0: not from this engine
  int64_t timeout_ms;             // of this attempt, with what is left of the deadline; 0: none
  bool timeout_is_deadline;
  bool started;    // given to its executor
  bool told;       // its start was recorded and told
  bool adopted;    // found running after a crash
  bool cancelling; // its end was asked for
  uint8_t asked;   // by its run's stop: 0, FL_ASKED_TERM or FL_ASKED_KILL
  bool timing_out; // ... by its timeout
  bool alarmed;    // something of it was killed in vain
  // Of a dead engine: how many executors are still to say that all is found out about `recovery`.
  // Until then it is not known whether it runs, and nobody here may touch it.
  uint32_t unknown;
  uint64_t recovery;
  int pid;
  fl_command *command; // process kinds; owned
  fl_value *item;      // of an item: its value
  struct fl_vars *vars_in;
  fl_value *params;        // a replay: what the run's params were then; NULL: the run's
  fl_recorded recorded;    // a replay: what it got then, for hooks and the node's own code
  bool given;              // its outputs are set by hand
  fl_value *patched;       // vars that were set by hand since it started; NULL: none
  fl_buf record;           // results of ctx:now and friends so far, JSON list without brackets
  int64_t child_run;       // sub-flow's run row; 0: none
  void *executor_data;     // the executor's own
  fl_map_list *list;       // of a map whose items are not all there yet; NULL: none
  fl_run *child;           // a call: its sub-flow's run, while it lives in this engine
  struct fl_due *due;      // its timeout, NULL: none
  size_t start_at;         // where it waits for its start, from 1; 0: it does not
  fl_attempt *next, *prev; // of its run: the live ones, or those without a row of their own
};
