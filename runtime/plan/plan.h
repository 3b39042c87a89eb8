// What may start now: the state of every node of one run, and the queues of those that are ready.
// Pure: no clock, no I/O.
//
//   pending --claim--> queued --start--> running --succeed--> succeeded
//      ^  \                |  \             |  \---fail-----> failed ------.
//      |   \--skip/omit/   |   '--succeed.. |   \--skip-----> skipped      | reset
//      |    upstream_fail  '--release--.    |---retry-------> retrying     | (resume)
//      |                               v    '---cancel------> cancelled ---'
//      '------------------- due -------+---- retrying
//
// Every change goes through the table in plan/node_state.c (fl_plan_apply). When a node gets a
// final state its children are looked at: one whose trigger rule is met becomes ready, one whose
// rule can no longer be met gets its state by a decision, which the engine takes and records.
// Instances of maps are nodes behind the graph's, without edges (fl_plan_add_instance).
#pragma once
#include "base/state.h"
#include "graph/graph.h"

typedef struct fl_plan fl_plan;

typedef enum fl_node_event {
  FL_NODE_CLAIM,   // an attempt was recorded
  FL_NODE_RELEASE, // the claim is taken back: it never started
  FL_NODE_START,   // it runs
  FL_NODE_WAIT,    // it waits without a worker
  FL_NODE_SUCCEED,
  FL_NODE_FAIL,  // for good
  FL_NODE_RETRY, // failed, and will be tried again
  FL_NODE_DUE,   // its retry delay is over
  FL_NODE_SKIP,
  FL_NODE_OMIT,
  FL_NODE_FAIL_UPSTREAM,
  FL_NODE_CANCEL,
  FL_NODE_RESET, // a resume queues it again
  FL_NODE_EVENT_COUNT
} fl_node_event;

/// The state after `event`, or FL_NODE_STATE_COUNT when that may not happen in `state`.
fl_node_state fl_node_state_next(fl_node_state state, fl_node_event event);

/// What a trigger rule says, given which kinds of ends were seen among the parents.
typedef enum fl_parent_seen {
  FL_SEEN_SUCCESS = 1, // succeeded, or failed with allow_failure
  FL_SEEN_FAILURE = 2, // failed, upstream_failed, cancelled
  FL_SEEN_SKIPPED = 4,
  FL_SEEN_OMITTED = 8,
} fl_parent_seen;
typedef enum fl_verdict {
  FL_VERDICT_WAIT,
  FL_VERDICT_READY,
  FL_VERDICT_SKIP,
  FL_VERDICT_OMIT,
  FL_VERDICT_UPSTREAM_FAILED,
} fl_verdict;
/// `waiting`: parents without a final state. `seen`: bits of fl_parent_seen. `reason` says why.
fl_verdict fl_trigger_decide(fl_trigger trigger, uint32_t waiting, unsigned seen,
                             fl_reason *reason);

/// A decision the plan made by itself, to be recorded.
typedef struct fl_decision {
  uint32_t node;
  fl_node_state state;
  fl_reason reason;
  uint32_t cause; // the parent that brought it about, FL_NODE_NONE: none
} fl_decision;

/// Queues keep apart what waits for different things: a class of slot, a pool, a map's limit.
typedef enum fl_slot_class { FL_SLOT_NONE, FL_SLOT_PROCESS, FL_SLOT_WORKER } fl_slot_class;
typedef struct fl_queue_key {
  fl_slot_class slot;
  uint32_t pool; // 0: none
  uint32_t map;  // map node whose limit counts, FL_NODE_NONE: none
} fl_queue_key;

/// `graph` is borrowed and outlives the plan.
fl_plan *fl_plan_new(const fl_graph *graph);
void fl_plan_free(fl_plan *p); // NULL-safe

/// Before fl_plan_begin(): what a node's state is (default: pending). `ignored`: its edges count as
/// satisfied without an end (a node that was not selected).
void fl_plan_restore(fl_plan *p, uint32_t node, fl_node_state state);
void fl_plan_ignore(fl_plan *p, uint32_t node);
/// Looks at all nodes once: fills the queues and the decisions.
void fl_plan_begin(fl_plan *p);
/// Adds an instance of `map_node`; its index is returned. `position` orders it among its siblings.
uint32_t fl_plan_add_instance(fl_plan *p, uint32_t map_node, uint32_t position,
                              fl_node_state state);
/// Makes a pending node ready whatever its trigger says (instances, hooks).
void fl_plan_make_ready(fl_plan *p, uint32_t node);

/// Changes a node's state and lets its children see it. Our bug when the table refuses: asserts.
void fl_plan_apply(fl_plan *p, uint32_t node, fl_node_event event);
/// True when the trigger of `node` is met as its parents are now; of an instance: when its map is
/// at work. Hooks have none.
bool fl_plan_may_start(const fl_plan *p, uint32_t node);
/// True when the table allows `event` now.
bool fl_plan_can(const fl_plan *p, uint32_t node, fl_node_event event);

/// Takes the next decision; false: none left.
bool fl_plan_take_decision(fl_plan *p, fl_decision *out);

/// Queues with something in them, by index; `head` is what would start next from it.
uint32_t fl_plan_get_queue_count(const fl_plan *p);
const fl_queue_key *fl_plan_get_queue(fl_plan *p, uint32_t queue, uint32_t *head);
/// True when the head of queue `a` goes before that of `b`: higher priority, then earlier declared.
bool fl_plan_goes_before(const fl_plan *p, uint32_t a, uint32_t b);
/// Removes the head; its caller claims it or decides about it.
uint32_t fl_plan_pop(fl_plan *p, uint32_t queue);
/// Number of nodes in all queues.
uint32_t fl_plan_get_ready_count(const fl_plan *p);
/// Priority of the head, for comparing queues of different runs.
int32_t fl_plan_get_priority(const fl_plan *p, uint32_t node);

fl_node_state fl_plan_get_state(const fl_plan *p, uint32_t node);
uint32_t fl_plan_get_count(const fl_plan *p); // nodes and instances
/// Map node of an instance, FL_NODE_NONE for a node of the graph.
uint32_t fl_plan_get_map(const fl_plan *p, uint32_t node);
uint32_t fl_plan_get_position(const fl_plan *p, uint32_t node);
/// Options that hold for a node: its own, or for an instance those of its map's inner node.
const fl_node_options *fl_plan_get_options(const fl_plan *p, uint32_t node);
/// Nodes in `state`.
uint32_t fl_plan_count_state(const fl_plan *p, fl_node_state state);
/// Nodes (without hooks and instances) that have no final state.
uint32_t fl_plan_get_open_count(const fl_plan *p);
bool fl_plan_is_handled(const fl_plan *p, uint32_t node);
/// The worst unhandled node's: failed when a node failed (without allow_failure, and no child with
/// trigger one_failed or all_failed succeeded because of it) or is upstream_failed; else cancelled
/// when one is; else succeeded. Hooks do not count. `*cause`: the first such node.
fl_run_state fl_plan_get_outcome(const fl_plan *p, uint32_t *cause);
