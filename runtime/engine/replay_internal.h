// A run that is repeated, as past.c reads it and replay.c hands it out.
#pragma once
#include "engine/replay.h"

/// A result of then.
typedef struct fl_past_result {
  uint32_t number;
  int64_t end_seq, outputs, vars_out, vars_by;
} fl_past_result;

/// A node of then that was to run again from this moment on: what it had given was gone.
typedef struct fl_past_reset {
  uint32_t number;
  int64_t seq;
} fl_past_reset;

#define FL_PAST_VARS 256
typedef struct fl_past_vars {
  int64_t map, by;
  uint32_t node;
  fl_vars *vars;
} fl_past_vars;

struct fl_replay {
  fl_store *store;
  fl_run *run;
  fl_run_row then;
  fl_replay *before; // what `then` repeats: its nodes saw the contexts of that
  fl_past *nodes;    // by index today
  uint32_t node_count;
  fl_past *items; // by map and position
  size_t item_count, item_capacity;
  fl_past **by_number; // of then
  uint32_t number_count;
  fl_past_result *results; // by number, then seq
  size_t result_count, result_capacity;
  fl_past_reset *resets;
  size_t reset_count, reset_capacity;
  fl_input_row *inputs; // by epoch
  size_t input_count, input_capacity;
  fl_past_vars slots[FL_PAST_VARS];
};

FL_MUST fl_code fl_replay_load_value(const fl_replay *r, int64_t id, fl_value **out, fl_error *err);
/// Orders items (fl_past) by map and position.
int fl_past_by_place(const void *a, const void *b);
