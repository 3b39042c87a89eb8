// Bugs that a test build can put in, one at a time, to see whether the tests notice each. In any
// other build FL_BUG() is the constant false and nothing of this is compiled.
#pragma once
#include <stdbool.h>

// name, what is broken
#define FL_BUGS(X)                                                                                 \
  X(fence_skipped, "an engine whose run was taken over goes on writing")                           \
  X(no_barrier, "a commit is acknowledged without a sync of the log")                              \
  X(sync_error_retried, "a failed sync of the log is tried again and believed")                    \
  X(digest_unchecked, "a value is given out although its bytes were changed")                      \
  X(cancel_not_recorded, "the wish to cancel is acknowledged and not written")                     \
  X(owner_ignored, "a run is taken over while its owner lives")                                    \
  X(told_before_commit, "events are told before what they tell is committed")                      \
  X(started_before_commit, "attempts start before their claims are committed")                     \
  X(claim_not_recorded, "short attempts start without a record")                                   \
  X(group_not_synced, "with group nothing is synced unless something else is written")             \
  X(slot_not_freed, "an attempt that was tried again keeps its slot")                              \
  X(checkpoint_lost_at_retry, "a retry begins without the checkpoint")                             \
  X(lost_not_counted, "a node may be lost for ever")                                               \
  X(failed_vars_kept, "what follows a failed attempt sees its vars")                               \
  X(failed_outputs_kept, "what follows a failed attempt sees its outputs")                         \
  X(succeeded_runs_again, "a resume runs nodes again that have succeeded")                         \
  X(skip_forgotten, "a resume runs what an earlier one was asked to skip")                         \
  X(item_runs_twice, "a resume runs items of a map again that have succeeded")                     \
  X(retry_at_once, "a retry does not wait for its delay")                                          \
  X(deadline_ignored, "attempts go on past their node's deadline")                                 \
  X(pool_ignored, "more run at once than their pool holds")                                        \
  X(wish_not_read, "an engine does not read the wish to cancel that it was told of")               \
  X(timeout_is_success, "an attempt that timed out has succeeded")                                 \
  X(lost_is_success, "an attempt that nobody knows of has succeeded")                              \
  X(ready_order_reversed, "what was declared last starts first")                                   \
  X(pid_without_start_time, "a process is known by its pid alone")                                 \
  X(exit_not_journaled, "an exit is reported and not written to the journal")                      \
  X(term_without_kill, "what ignores its TERM is waited for")                                      \
  X(descendants_left, "only a process itself is ended, not those below it")                        \
  X(durability_of_others, "the last run that writes in a turn decides whether it is synced")       \
  X(one_left_is_all_left, "a run that was taken over takes down the others")                       \
  X(held_ignored, "who holds slots is no further behind in the line")                              \
  X(no_aging, "what waits gains no priority")                                                      \
  X(number_given_twice, "the events of a commit have one number")                                  \
  X(number_skipped, "a number is left out between two commits")                                    \
  X(named_is_pruned, "what is named while a prune looks is removed")                               \
  X(mark_before_sync, "what waits for a sync on another thread leaves before it")                  \
  X(hook_without_budget, "the code of a hook may run twenty times too long")                       \
  X(script_freed_in_use, "a script that is unloaded is closed while runs use it")                  \
  X(dead_worker_is_success, "a node whose worker died has succeeded")

enum {
#define X(name, text) FL_BUG_##name,
  FL_BUGS(X)
#undef X
      FL_BUG_COUNT
};

#ifdef FLOWLUA_BUGS
#define FL_BUG(name) fl_bug_is_on(FL_BUG_##name)
/// True when the environment's FLOWLUA_BUG names it.
bool fl_bug_is_on(int bug);
#else
#define FL_BUG(name) (FL_BUG_##name < 0) // never; but the name is checked
#endif
