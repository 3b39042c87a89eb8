// What the items of maps are: few nodes are maps, so this is a list beside the nodes.
#include "graph/graph_internal.h"

// Position of the first entry whose node is not before `node`.
static uint32_t find_entry(const fl_graph *g, uint32_t node) {
  uint32_t low = 0, high = g->inner_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (g->inner[middle].node < node)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void fl_graph_set_inner(fl_graph *g, uint32_t node, const fl_node_options *options) {
  FL_ASSERT(!g->frozen && node < g->count && options);
  uint32_t at = find_entry(g, node);
  if (at == g->inner_count || g->inner[at].node != node) {
    if (g->inner_count == g->inner_capacity) {
      g->inner_capacity = g->inner_capacity ? g->inner_capacity * 2 : 8;
      g->inner = fl_realloc(g->inner, g->inner_capacity * sizeof *g->inner);
    }
    memmove(g->inner + at + 1, g->inner + at, (g->inner_count - at) * sizeof *g->inner);
    g->inner_count++;
    g->inner[at].node = node;
  }
  g->inner[at].options = fl_graph_intern(g, options);
}

const fl_node_options *fl_graph_get_inner(const fl_graph *g, uint32_t node) {
  uint32_t at = find_entry(g, node);
  return at < g->inner_count && g->inner[at].node == node ? g->inner[at].options : NULL;
}
