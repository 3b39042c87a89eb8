// What depends on what: nodes in declaration order, their options, and edges both ways. Pure.
//
// Life: fl_graph_new(), add all nodes, then all edges in the order of `after`, fl_graph_freeze()
// once; then read only. Items of a map are no nodes of a graph: the engine keeps them beside
// it.
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/value.h"

#define FL_NODE_NONE UINT32_MAX

typedef enum fl_trigger {
  FL_TRIGGER_ALL_SUCCESS,
  FL_TRIGGER_ALL_DONE,
  FL_TRIGGER_ALL_FAILED,
  FL_TRIGGER_ONE_SUCCESS,
  FL_TRIGGER_ONE_FAILED,
  FL_TRIGGER_NONE_FAILED,
} fl_trigger;

/// What a node is.
typedef enum fl_node_kind {
  FL_KIND_PROCESS, // a child process: shell, exec, any type with `command`
  FL_KIND_WORKER,  // a Lua function in a worker process
  FL_KIND_INLINE,  // a Lua coroutine on the engine's loop
  FL_KIND_NATIVE,  // a node type registered in C
  FL_KIND_MAP,     // becomes items, one an entry (or chunk) of its list
  FL_KIND_BRANCH,  // inline; its result names the children that go on
  FL_KIND_CALL,    // a sub-flow as a run of its own
  FL_KIND_COUNT
} fl_node_kind;

typedef enum fl_merge { FL_MERGE_ERROR, FL_MERGE_FIRST, FL_MERGE_LAST, FL_MERGE_FUNCTION } fl_merge;

/// Nodes that run at the end of a run, outside the order of the graph.
typedef enum fl_hook {
  FL_HOOK_NONE, // an ordinary node
  FL_HOOK_SUCCESS,
  FL_HOOK_FAILURE,
  FL_HOOK_CANCEL,
  FL_HOOK_EXIT,
} fl_hook;

#define FL_OPTION_MS_MAX 9e15 // exact in a Lua number

/// Options of a node, one row each: type, name, and the numbers it may be. The struct, its copies
/// and what a binding reads by these names are made from the rows.
#define FL_NODE_OPTIONS(X)                                                                         \
  X(fl_node_kind, kind, 0, FL_KIND_COUNT - 1)                                                      \
  X(fl_trigger, trigger, 0, FL_TRIGGER_NONE_FAILED)                                                \
  X(fl_merge, merge, 0, FL_MERGE_FUNCTION)                                                         \
  X(fl_hook, hook, 0, FL_HOOK_EXIT)                                                                \
  X(bool, has_when, 0, 1)      /* the script decides whether it runs */                            \
  X(bool, has_retry_on, 0, 1)  /* the script decides whether a failure is retried */               \
  X(bool, allow_failure, 0, 1) /* its failure counts as success for its children and the run */    \
  X(int32_t, priority, INT32_MIN, INT32_MAX) /* higher first */                                    \
  X(uint32_t, retry_count_max, 0, FL_RETRY_COUNT_MAX)                                              \
  X(uint32_t, lost_count_max, 0, UINT32_MAX)                                                       \
  X(int64_t, retry_delay_ms, 0, FL_OPTION_MS_MAX)                                                  \
  X(double, retry_backoff, 0, 1e6)                    /* factor a retry */                         \
  X(int64_t, retry_delay_max_ms, 0, FL_OPTION_MS_MAX) /* 0: none */                                \
  X(double, retry_jitter, 0, 1)                       /* delay * (1 - jitter * random) */          \
  X(int64_t, timeout_ms, 0, FL_OPTION_MS_MAX)         /* of an attempt; 0: none */                 \
  X(int64_t, deadline_ms, 0, FL_OPTION_MS_MAX)        /* of all, from the first start; 0: none */  \
  X(int64_t, grace_ms, 0, FL_OPTION_MS_MAX)           /* TERM to KILL */                           \
  X(uint32_t, pool, 0, UINT32_MAX)                    /* index + 1 in the flow's; 0: none */       \
  X(uint32_t, weight, 0, UINT32_MAX)                  /* of the pool's capacity */                 \
  X(uint32_t, map_limit, 0, UINT32_MAX)               /* items at once; 0: no limit */

/// Shared: nodes with equal options point to one copy (fl_graph_intern()).
typedef struct fl_node_options {
  const char *type;  // name of the node type, interned
  uint32_t executor; // where it runs: one that was registered; 0: the local one of its kind
#define FIELD(kind_of, name, min, max) kind_of name;
  FL_NODE_OPTIONS(FIELD)
#undef FIELD
} fl_node_options;

typedef struct fl_graph fl_graph;

fl_graph *fl_graph_new(void);
void fl_graph_free(fl_graph *g); // NULL-safe
/// Copy of `options` that lives as long as the graph; equal options give the same pointer.
const fl_node_options *fl_graph_intern(fl_graph *g, const fl_node_options *options);
/// Adds a node; its index is the number of nodes before it. FL_E_LIMIT past FL_NODES_PER_FLOW_MAX;
/// FL_E_USAGE when the name is taken.
FL_MUST fl_code fl_graph_add(fl_graph *g, const char *name, size_t name_size,
                             const fl_node_options *options, uint32_t *index, fl_error *err);
/// `node` depends on `parent`. Call once all nodes are there, for nodes in index order, parents in
/// the order of `after`. A repeated parent counts once.
void fl_graph_after(fl_graph *g, uint32_t node, uint32_t parent);
/// Options of the items of map node `node`: what its inner node is. Before the freeze.
void fl_graph_set_inner(fl_graph *g, uint32_t node, const fl_node_options *options);
/// Options of a map's items; NULL when `node` is no map.
const fl_node_options *fl_graph_get_inner(const fl_graph *g, uint32_t node);
/// Builds the children lists and the order. FL_E_SCRIPT names the first cycle, from a node to what
/// depends on it: "nodes depend on each other in a cycle: a -> b -> c -> a".
FL_MUST fl_code fl_graph_freeze(fl_graph *g, fl_error *err);

uint32_t fl_graph_get_count(const fl_graph *g);
const char *fl_graph_get_name(const fl_graph *g, uint32_t node);
const fl_node_options *fl_graph_get_options(const fl_graph *g, uint32_t node);
/// FL_NODE_NONE when there is none.
uint32_t fl_graph_find(const fl_graph *g, const char *name, size_t name_size);
const uint32_t *fl_graph_get_parents(const fl_graph *g, uint32_t node, uint32_t *count);
const uint32_t *fl_graph_get_children(const fl_graph *g, uint32_t node, uint32_t *count);
/// All nodes, parents before children, ties in declaration order.
const uint32_t *fl_graph_get_order(const fl_graph *g);
/// A priority, and how many nodes (without hooks) have it; of a map counts the higher one of its
/// own and its items'.
typedef struct fl_level {
  int32_t priority;
  uint32_t count;
} fl_level;
/// All priorities of nodes and items, the highest first; `count` may be 0: only items or
/// hooks have it.
const fl_level *fl_graph_get_levels(const fl_graph *g, uint32_t *count);
/// Marks `node` and all it depends on (`up`) or all that depend on it; `marks` has a byte a node.
void fl_graph_mark(const fl_graph *g, uint32_t node, bool up, uint8_t *marks);
/// True when `a` can be reached from `node` by going to parents.
bool fl_graph_is_ancestor(const fl_graph *g, uint32_t a, uint32_t node);

const char *fl_trigger_text(fl_trigger t);
const char *fl_node_kind_text(fl_node_kind k);
const char *fl_hook_text(fl_hook h); // "on_success" ...
