// Draws a graph: what the files that do share, and what they are for.
#pragma once
#include "base/buf.h"
#include "base/json.h"

/// A node as it is drawn.
typedef struct fl_draw_node {
  const char *name, *type;
  const uint32_t *parents;
  uint32_t parent_count;
  const char *status; // NULL when the graph is of a script, not of a run
  const char *action; // what a run would do with it; NULL: not asked
} fl_draw_node;

/// Appends the graph as "text" (indented by depth, with what each waits for), "dot", "mermaid",
/// "svg" (layered, self-contained) or "json"
/// ({"flow","nodes":[{"name","type","after":[],"status"?}]}). FL_E_USAGE names the formats.
FL_MUST fl_code fl_draw(const char *flow, const fl_draw_node *nodes, size_t count,
                        const char *format, fl_buf *out, fl_error *err);
/// Where each node stands: its level is the length of the longest way to it.
typedef struct fl_draw_rank {
  uint32_t *level; // by node
  uint32_t *order; // all nodes, parents first, each as soon after its last parent as it can be
  uint32_t level_count;
} fl_draw_rank;

/// Parents must exist. FL_E_CORRUPT when nodes wait for each other.
FL_MUST fl_code fl_draw_rank_init(fl_draw_rank *rank, const fl_draw_node *nodes, size_t count,
                                  fl_error *err);
void fl_draw_rank_deinit(fl_draw_rank *rank);

/// How a state is painted: "#rrggbb" of the box and its border. NULL status: neutral.
typedef struct fl_draw_color {
  const char *fill, *border;
} fl_draw_color;
const fl_draw_color *fl_draw_color_of(const char *status);

FL_MUST fl_code fl_draw_svg(const char *flow, const fl_draw_node *nodes, size_t count, fl_buf *out,
                            fl_error *err);
