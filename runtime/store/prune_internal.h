// What the parts of retention (prune*.c) share. Nobody outside store/ includes this.
#pragma once
#include "store/store_internal.h"

#define FL_PRUNE_CHUNK     1000 // rows a statement: some milliseconds
#define FL_PRUNE_LITTLE    50   // the same where slices are short
#define FL_PRUNE_LOG_PAGES 2000 // half of what makes an engine copy the log
#define FL_PRUNE_SLICE_MS  10 // of the write lock; with the statement and the commit it ends in, 50

/// A prune that is under way.
typedef struct fl_pruning {
  fl_store *store;
  const fl_prune_wish *wish;
  int64_t begun_us; // monotonic: when it got the write lock
  int64_t slice_us; // how long it may have it
  int chunk;        // rows a statement
  bool begun;       // the wish has let a slice begin, and was not told of its end
  bool stopped;     // as was wished
} fl_pruning;

/// Begins a slice, unless one is open. Fails, too, when the wish ends the prune here.
FL_MUST fl_code fl_prune_begin(fl_pruning *p, fl_error *err);
/// Ends the slice when it has lasted long enough, and lets others write.
FL_MUST fl_code fl_prune_breathe(fl_pruning *p, fl_error *err);
/// Ends it in any case.
FL_MUST fl_code fl_prune_end(fl_pruning *p, fl_error *err);

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
  bool live;                  // or kept for another reason
  int64_t ended_ms, clock_ms; // by today's clock, as far as is known; by that of then
  int64_t bytes;              // about what goes with it, once all older trees are gone
} fl_prune_tree;

typedef struct fl_prune_plan {
  fl_prune_run *runs; // by row
  size_t run_count, run_capacity;
  fl_prune_tree *trees; // those that may go, the oldest end first
  size_t tree_count;
  size_t chosen;     // the first ones go
  fl_ages ages;      // what is known of how long ago runs ended
  uint32_t doubtful; // trees that stay, though they would go by what the clock says
  uint32_t *rank;    // by run: place of its tree in `trees`, UINT32_MAX: it is live
} fl_prune_plan;

/// Decides what goes, changing nothing.
FL_MUST fl_code fl_prune_plan_make(fl_store *s, const fl_prune_wish *wish, fl_prune_plan *plan,
                                   fl_error *err);
void fl_prune_plan_deinit(fl_prune_plan *plan);

/// Deletes what no run names: rows of runs that are gone, definitions, scripts, values.
FL_MUST fl_code fl_prune_sweep(fl_pruning *p, fl_error *err);

/// Calls `each` with every id that a column of that kind names, in any table; `run` 0: in a row
/// that is no run's. 0: names none.
FL_MUST fl_code fl_prune_each_named(fl_store *s, fl_column_kind kind,
                                    void (*each)(void *ud, int64_t run, int64_t id), void *ud,
                                    fl_error *err);

/// Bytes of logs/<id>/ and of blobs/.
int64_t fl_prune_log_bytes(fl_store *s, const char *run_id);
int64_t fl_prune_blob_bytes(fl_store *s);
int64_t fl_prune_logs_bytes(fl_store *s); // of all runs
/// Removes the logs of runs, and the blobs of values, that are not in the store.
FL_MUST fl_code fl_prune_files(fl_pruning *p, fl_error *err);
