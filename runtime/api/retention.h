// An engine that prunes by itself.
#pragma once
#include "io/loop.h"
#include "store/store.h"

typedef struct fl_retention fl_retention;

/// All is borrowed for as long as it is open.
typedef struct fl_retention_config {
  const char *dir; // the state directory
  fl_loop *loop;
  uint32_t keep_days; // as in fl_config, with these names
  int64_t keep_bytes;
  bool all;
  int64_t every_ms;
  void (*wake)(void *ud); // a step has something to do; on any thread
  void (*notice)(void *ud, const char *text);
  void *ud;
} fl_retention_config;

/// Removes what dead supervisors left behind that no run can ask for any more.
void fl_prune_supervisors(fl_store *s);
/// Begins to count: the first prune is due a minute from now.
fl_retention *fl_retention_open(const fl_retention_config *config);
/// What a step has to do for it, last, with nothing open in the engine's store: begins a prune that
/// is due, and lets one write until the monotonic time `until_us`. *again: it waits to write more.
/// `r` may be NULL. FL_E_SYSTEM.
FL_MUST fl_code fl_retention_step(fl_retention *r, int64_t until_us, bool *again, fl_error *err);
/// Ends it, where it is: the next one finishes. NULL-safe. Waits for a slice that has begun.
void fl_retention_close(fl_retention *r);
