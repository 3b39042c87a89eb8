// The states of runs, nodes and attempts, and the closed list of reasons. The numbers are stored:
// never change one, add at the end.
#pragma once
#include <stdbool.h>

// Name, is it final.
#define FL_RUN_STATES(X)                                                                           \
  X(QUEUED, "queued", false)                                                                       \
  X(RUNNING, "running", false)                                                                     \
  X(WAITING, "waiting", false)                                                                     \
  X(SUCCEEDED, "succeeded", true)                                                                  \
  X(FAILED, "failed", true)                                                                        \
  X(CANCELLED, "cancelled", true)

/// What a running run is called that no living engine executes: told, never recorded.
#define FL_RUN_INTERRUPTED_TEXT "interrupted"

/// As what its children see the end of a node; bits of a set.
typedef enum fl_seen {
  FL_SEEN_NONE = 0,    // it has not ended
  FL_SEEN_SUCCESS = 1, // succeeded, or failed with allow_failure
  FL_SEEN_FAILURE = 2,
  FL_SEEN_SKIPPED = 4,
  FL_SEEN_OMITTED = 8,
} fl_seen;

// Name, is it final, as what its children see it.
#define FL_NODE_STATES(X)                                                                          \
  X(PENDING, "pending", false, NONE)                                                               \
  X(QUEUED, "queued", false, NONE) /* an attempt is recorded, not started yet */                   \
  X(RUNNING, "running", false, NONE)                                                               \
  X(RETRYING, "retrying", false, NONE) /* waits for its retry delay */                             \
  X(WAITING, "waiting", false, NONE)   /* holds no worker: sensor, approval, delay */              \
  X(SUCCEEDED, "succeeded", true, SUCCESS)                                                         \
  X(FAILED, "failed", true, FAILURE)                                                               \
  X(SKIPPED, "skipped", true, SKIPPED)                                                             \
  X(OMITTED, "omitted", true, OMITTED)                                                             \
  X(UPSTREAM_FAILED, "upstream_failed", true, FAILURE)                                             \
  X(CANCELLED, "cancelled", true, FAILURE)

// Name, is it final, what a node is whose last attempt is in it (a failed one may be tried again).
#define FL_ATTEMPT_STATES(X)                                                                       \
  X(QUEUED, "queued", false, QUEUED)                                                               \
  X(RUNNING, "running", false, RUNNING)                                                            \
  X(SUCCEEDED, "succeeded", true, SUCCEEDED)                                                       \
  X(FAILED, "failed", true, FAILED)                                                                \
  X(TIMED_OUT, "timed_out", true, FAILED)                                                          \
  X(LOST, "lost", true, FAILED)                                                                    \
  X(CANCELLED, "cancelled", true, CANCELLED)                                                       \
  X(SKIPPED, "skipped", true, SKIPPED) /* the node's own code said ctx:skip() */

typedef enum fl_run_state {
#define X(id, name, final) FL_RUN_##id,
  FL_RUN_STATES(X)
#undef X
      FL_RUN_STATE_COUNT
} fl_run_state;

typedef enum fl_node_state {
#define X(id, name, final, seen) FL_NODE_##id,
  FL_NODE_STATES(X)
#undef X
      FL_NODE_STATE_COUNT
} fl_node_state;

typedef enum fl_attempt_state {
#define X(id, name, final, node) FL_ATTEMPT_##id,
  FL_ATTEMPT_STATES(X)
#undef X
      FL_ATTEMPT_STATE_COUNT
} fl_attempt_state;

// Name in JSON, sentence for people. Stores keep the numbers: new ones go to the end.
#define FL_REASONS(X)                                                                              \
  X(NONE, "none", "")                                                                              \
  X(READY, "ready", "all it depends on is done")                                                   \
  X(ROOT, "root", "depends on nothing")                                                            \
  X(TRIGGER, "trigger", "its trigger rule is met")                                                 \
  X(RETRY, "retry", "the attempt before it failed and retries were left")                          \
  X(RETRY_LOST, "retry_lost", "the attempt before it was lost with its process")                   \
  X(RESUME_FAILED, "resume_failed", "it had failed")                                               \
  X(RESUME_UNFINISHED, "resume_unfinished", "it had not finished")                                 \
  X(RERUN_ASKED, "rerun_asked", "it was asked to run again")                                       \
  X(RERUN_UPSTREAM, "rerun_upstream", "something it depends on runs again")                        \
  X(ADOPTED, "adopted", "its process was still running and was adopted")                           \
  X(HARVESTED, "harvested", "its process had ended while no engine was there")                     \
  X(WHEN_FALSE, "when_false", "its `when` was false")                                              \
  X(SKIPPED_ITSELF, "skipped_itself", "its code called ctx:skip")                                  \
  X(UPSTREAM_SKIPPED, "upstream_skipped", "something it depends on was skipped")                   \
  X(SKIP_ASKED, "skip_asked", "it was asked to be skipped")                                        \
  X(NOT_SELECTED, "not_selected", "it is not among the selected nodes")                            \
  X(BRANCH_NOT_CHOSEN, "branch_not_chosen", "the branch before it chose others")                   \
  X(UPSTREAM_OMITTED, "upstream_omitted", "something it depends on was omitted")                   \
  X(UPSTREAM_FAILED, "upstream_failed", "something it depends on failed")                          \
  X(TRIGGER_NOT_MET, "trigger_not_met", "its trigger rule can no longer be met")                   \
  X(RUN_STOPPED, "run_stopped", "the run stops at the first failure")                              \
  X(CANCEL_ASKED, "cancel_asked", "cancelling was asked for")                                      \
  X(INTERRUPTED, "interrupted", "the engine was interrupted")                                      \
  X(RUN_TIMEOUT, "run_timeout", "the run's timeout was over")                                      \
  X(DEADLINE, "deadline", "the node's deadline was over")                                          \
  X(RETRIES_USED, "retries_used", "no retries are left")                                           \
  X(NOT_RETRYABLE, "not_retryable", "its failure is not one to retry")                             \
  X(LOST_TOO_OFTEN, "lost_too_often", "its process was lost too often")                            \
  X(MERGE_CONFLICT, "merge_conflict", "two parents set one var to different values")               \
  X(WAITS_FOR_NODES, "waits_for_nodes", "waits for what it depends on")                            \
  X(WAITS_FOR_SLOT, "waits_for_slot", "waits for a free slot (--jobs)")                            \
  X(WAITS_FOR_POOL, "waits_for_pool", "waits for its pool")                                        \
  X(WAITS_FOR_RETRY, "waits_for_retry", "waits for its retry delay")                               \
  X(KEPT, "kept", "it has succeeded; its result is kept")                                          \
  X(SYNTHETIC, "synthetic", "its outputs were set by hand")                                        \
  X(HOOK, "hook", "the run has ended")                                                             \
  X(ITEM, "item", "an item of its map")                                                            \
  X(KEPT_CHANGED, "kept_changed",                                                                  \
    "it has succeeded, but its definition changed: rerun it, or say that its result is kept")      \
  X(KEEP_ASKED, "keep_asked", "its definition changed; its result is kept as asked")               \
  X(KEPT_BEHIND, "kept_behind",                                                                    \
    "it has succeeded; its result is kept though what it depends on runs again or was changed")    \
  X(SUCCEED_ASKED, "succeed_asked", "it was marked as succeeded by hand")                          \
  X(ADDED, "added", "it is new in the mended script")                                              \
  X(UNKILLABLE, "unkillable",                                                                      \
    "a process of it cannot be ended: it keeps its slot until it is gone")                         \
  X(WITHIN_ASKED, "within_asked", "something within it was named: it is entered again")            \
  X(MAY_STILL_RUN, "may_still_run",                                                                \
    "it was running when its engine died: it is adopted if it still runs")                         \
  X(LIST_AGAIN, "list_again",                                                                      \
    "its list is made again: items that stay the same are kept, others run")                       \
  X(ITEM_CHANGED, "item_changed", "its item is another now")                                       \
  X(WAITS_FOR_RUNS, "waits_for_runs", "its run waits for others of its flow (max_runs)")           \
  X(ENGINE_DEAD, "engine_dead", "the engine of its run is dead: resume the run")

typedef enum fl_reason {
#define X(id, name, text) FL_REASON_##id,
  FL_REASONS(X)
#undef X
      FL_REASON_COUNT
} fl_reason;

const char *fl_run_state_text(fl_run_state s);
const char *fl_node_state_text(fl_node_state s);
const char *fl_attempt_state_text(fl_attempt_state s);
const char *fl_reason_name(fl_reason r);
const char *fl_reason_text(fl_reason r);
bool fl_run_state_is_final(fl_run_state s);
bool fl_node_state_is_final(fl_node_state s);
bool fl_attempt_state_is_final(fl_attempt_state s);
/// As what children see a node in this state; of a failed one that may fail its options know more.
fl_seen fl_node_state_seen(fl_node_state s);
/// What a node is whose last attempt is in state `s`; `retries`: the time of the next one is set.
fl_node_state fl_node_state_of(fl_attempt_state s, bool retries);
