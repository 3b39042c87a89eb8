// What the files that draw a graph share.
#pragma once
#include "api/internal.h"

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
  const char *status, *fill, *border;
} fl_draw_color;
const fl_draw_color *fl_draw_color_of(const char *status);
/// All of them, ended by a row without status (the neutral one).
extern const fl_draw_color fl_draw_colors[];

FL_MUST fl_code fl_draw_svg(const char *flow, const fl_draw_node *nodes, size_t count, fl_buf *out,
                            fl_error *err);
