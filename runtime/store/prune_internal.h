// What the parts of retention (prune*.c) share. Nobody outside store/ includes this.
#pragma once
#include "store/store_internal.h"

#define FL_PRUNE_CHUNK 20000 // rows a transaction: some tens of milliseconds of the write lock

/// A run as retention sees it.
typedef struct fl_prune_run {
  int64_t row;
  char id[FL_RUN_ID_SIZE];
  uint32_t root; // index of the run that began its tree: itself, or who called whom called it
  uint32_t next; // next run of the same tree, UINT32_MAX: none
} fl_prune_run;

/// A run that no other called, with all the runs it called: they stay or go together.
typedef struct fl_prune_tree {
  uint32_t root;
  bool live;
  int64_t ended_ms;
  int64_t bytes; // about what goes with it, once all older trees are gone
} fl_prune_tree;

typedef struct fl_prune_plan {
  fl_prune_run *runs; // by row
  size_t run_count, run_capacity;
  fl_prune_tree *trees; // those that may go, the oldest end first
  size_t tree_count;
  size_t chosen;  // the first ones go
  uint32_t *rank; // by run: place of its tree in `trees`, UINT32_MAX: it is live
} fl_prune_plan;

/// Decides what goes, changing nothing.
FL_MUST fl_code fl_prune_plan_make(fl_store *s, int64_t older_than_ms, int64_t size_max_bytes,
                                   fl_prune_plan *plan, fl_error *err);
void fl_prune_plan_deinit(fl_prune_plan *plan);

/// Deletes what no run names: rows of runs that are gone, definitions, scripts, values.
FL_MUST fl_code fl_prune_sweep(fl_store *s, fl_error *err);

/// Calls `each` with every value id of every row of every run.
FL_MUST fl_code fl_prune_each_value(fl_store *s, void (*each)(void *ud, int64_t run, int64_t id),
                                    void *ud, fl_error *err);

/// Bytes of logs/<id>/ and of blobs/.
int64_t fl_prune_log_bytes(fl_store *s, const char *run_id);
int64_t fl_prune_blob_bytes(fl_store *s);
int64_t fl_prune_logs_bytes(fl_store *s); // of all runs
/// Removes the logs of runs, and the blobs of values, that are not in the store.
FL_MUST fl_code fl_prune_files(fl_store *s, fl_error *err);
