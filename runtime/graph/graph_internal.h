// What the files of graph/ share: how a graph lies in memory. Nobody outside includes this.
//
// A node costs about 40 bytes plus its name, an edge 8: names stand in one arena, edges in two
// arrays (by child while they are added, by parent after the freeze), each with an index of
// starts. Measured with a million nodes and two edges each: 60 MB at the peak, 0.4 to 0.5 s to
// add, link and freeze, most of it the names.
#pragma once
#include "graph/graph.h"

typedef struct options_block options_block;

typedef struct inner_options {
  uint32_t node; // a map
  const fl_node_options *options;
} inner_options;

struct fl_graph {
  uint32_t count;    // nodes
  uint32_t capacity; // of name_starts, options and, once edges come, parent_starts
  bool frozen;
  bool in_index_order; // every parent was declared before its children

  char *names; // each NUL-terminated
  size_t names_size, names_capacity;
  uint32_t *name_starts;
  const fl_node_options **options;
  uint32_t *slots; // node + 1 by hash of its name, 0: free
  uint32_t slot_count;

  uint32_t *parent_starts; // count + 1
  uint32_t *parents;
  size_t edge_count, edge_capacity;
  uint32_t linked;     // nodes whose first edge slot is known
  uint32_t *last_seen; // by parent: the node + 1 that named it last; until the freeze

  uint32_t *child_starts; // count + 1
  uint32_t *children;
  uint32_t *order;

  fl_level *levels;
  uint32_t level_count;

  inner_options *inner; // by node
  uint32_t inner_count, inner_capacity;

  options_block *blocks; // newest first
  uint32_t options_count;
  const fl_node_options **option_slots;
  uint32_t option_slot_count;
  const fl_node_options *last_options; // most nodes are like the one before
  char **types;
  uint32_t type_count;
};

/// Fills g->order, or names the first cycle.
FL_MUST fl_code fl_graph_sort(fl_graph *g, fl_error *err);
/// Writes the first cycle in declaration order as "a -> b -> a". `waiting` has what could not be
/// sorted: a nonzero count for each node that is on a cycle or behind one.
fl_code fl_graph_fail_cycle(const fl_graph *g, const uint32_t *waiting, fl_error *err);
/// The graph's own copy of options.
void fl_graph_free_options(fl_graph *g);
