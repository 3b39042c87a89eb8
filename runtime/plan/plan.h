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
// Items of maps are nodes behind the graph's, without edges (fl_plan_add_item).
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

/// What a trigger rule says, given as what its parents were seen to end (bits of fl_seen).
typedef enum fl_verdict {
  FL_VERDICT_WAIT,
  FL_VERDICT_READY,
  FL_VERDICT_SKIP,
  FL_VERDICT_OMIT,
  FL_VERDICT_UPSTREAM_FAILED,
} fl_verdict;
/// `waiting`: parents without a final state. `seen`: bits of fl_seen. `reason` says why.
fl_verdict fl_trigger_decide(fl_trigger trigger, uint32_t waiting, unsigned seen,
                             fl_reason *reason);

/// A decision the plan made by itself, to be recorded.
typedef struct fl_decision {
  uint32_t node;
  fl_node_state state;
  fl_reason reason;
  uint32_t cause; // the parent that brought it about, FL_NODE_NONE: none
} fl_decision;

/// Queues keep apart what waits for different things: an executor, a pool, a map's limit.
typedef struct fl_queue_key {
  uint32_t executor; // where it is to run
  uint32_t pool;     // 0: none
  uint32_t map;      // map node whose limit counts, FL_NODE_NONE: none
} fl_queue_key;

/// `graph` is borrowed and outlives the plan. `local`: by kind, the executors of nodes that name
/// none; FL_KIND_COUNT of them, copied.
fl_plan *fl_plan_new(const fl_graph *graph, const uint32_t *local);
void fl_plan_free(fl_plan *p); // NULL-safe

/// Before fl_plan_begin(): what a node's state is (default: pending). `ignored`: its edges count as
/// satisfied without an end (a node that was not selected).
void fl_plan_restore(fl_plan *p, uint32_t node, fl_node_state state);
void fl_plan_ignore(fl_plan *p, uint32_t node);
/// True of a node that fl_plan_ignore() was told of.
bool fl_plan_is_ignored(const fl_plan *p, uint32_t node);
/// Looks at all nodes once: fills the queues and the decisions.
void fl_plan_begin(fl_plan *p);
/// The same in portions: looks at up to `count` (nodes count twice). False: call it again before
/// anything is popped. True: what it has decided is still to be settled.
bool fl_plan_begin_some(fl_plan *p, uint32_t count);
/// Has up to `count` children see the ends of their parents. False: some have not seen them yet,
/// and are as they were before.
bool fl_plan_settle_some(fl_plan *p, uint32_t count);
/// Adds an item of `map_node`; its index is returned. `position` orders it among its siblings.
uint32_t fl_plan_add_item(fl_plan *p, uint32_t map_node, uint32_t position, fl_node_state state);
/// Makes a pending node ready whatever its trigger says (items, hooks).
void fl_plan_make_ready(fl_plan *p, uint32_t node);

/// Changes a node's state and lets its children see it: where there are many, the first of them,
/// and fl_plan_settle_some() the rest. Our bug when the table refuses: asserts.
void fl_plan_apply(fl_plan *p, uint32_t node, fl_node_event event);
/// True when the trigger of `node` is met as its parents are now; of an item: when its map is
/// at work. Hooks have none.
bool fl_plan_may_start(const fl_plan *p, uint32_t node);
/// True when the table allows `event` now.
bool fl_plan_can(const fl_plan *p, uint32_t node, fl_node_event event);

/// Takes the next decision; false: none left.
bool fl_plan_take_decision(fl_plan *p, fl_decision *out);
bool fl_plan_has_decision(const fl_plan *p);

/// Where a node is to run.
uint32_t fl_plan_get_executor(const fl_plan *p, uint32_t node);
/// Queues by index; `head` is what would start next from it, FL_NODE_NONE: it is empty.
uint32_t fl_plan_get_queue_count(const fl_plan *p);
const fl_queue_key *fl_plan_get_queue(fl_plan *p, uint32_t queue, uint32_t *head);
/// How the head stands among those of the other queues: higher priority, then earlier declared. The
/// queue must not be empty.
int32_t fl_plan_get_head_priority(const fl_plan *p, uint32_t queue);
uint64_t fl_plan_get_head_order(const fl_plan *p, uint32_t queue);
/// True while a node or item of a higher priority is still to come: it waits for others, for its
/// turn or for its retry. Those of sub-flows and hooks do not count.
bool fl_plan_has_higher(const fl_plan *p, int32_t priority);
/// Takes the next queue whose head may be another than when it was taken last; false: none.
bool fl_plan_take_changed(fl_plan *p, uint32_t *queue);
/// Has the queue of this map's items, or all queues, taken once more.
void fl_plan_mark_map(fl_plan *p, uint32_t map_node);
void fl_plan_mark_all(fl_plan *p);
/// Removes the head; its caller claims it or decides about it.
uint32_t fl_plan_pop(fl_plan *p, uint32_t queue);
/// Number of nodes in all queues.
uint32_t fl_plan_get_ready_count(const fl_plan *p);

fl_node_state fl_plan_get_state(const fl_plan *p, uint32_t node);
uint32_t fl_plan_get_count(const fl_plan *p); // nodes and items
/// Map node of an item, FL_NODE_NONE for a node of the graph.
uint32_t fl_plan_get_map(const fl_plan *p, uint32_t node);
uint32_t fl_plan_get_position(const fl_plan *p, uint32_t node);
/// Options that hold for a node: its own, or for an item those of its map's inner node.
const fl_node_options *fl_plan_get_options(const fl_plan *p, uint32_t node);
/// Nodes in `state`.
uint32_t fl_plan_count_state(const fl_plan *p, fl_node_state state);
/// Nodes (without hooks and items) that have no final state.
uint32_t fl_plan_get_open_count(const fl_plan *p);
bool fl_plan_is_handled(const fl_plan *p, uint32_t node);
/// The worst unhandled node's: failed when a node failed (without allow_failure, and no child with
/// trigger one_failed or all_failed succeeded because of it) or is upstream_failed; else cancelled
/// when one is; else succeeded. Hooks do not count. `*cause`: the first such node.
fl_run_state fl_plan_get_outcome(const fl_plan *p, uint32_t *cause);
