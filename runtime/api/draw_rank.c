// Where the nodes of a drawing stand, and how they are painted.
#include "api/draw.h"
#include "base/state.h"

// By state; the last row is neutral.
static const fl_draw_color colors[FL_NODE_STATE_COUNT + 1] = {
    [FL_NODE_PENDING] = {"#f4f4f5", "#a1a1aa"},
    [FL_NODE_QUEUED] = {"#e0f2fe", "#7dd3fc"},
    [FL_NODE_RUNNING] = {"#bae6fd", "#0284c7"},
    [FL_NODE_RETRYING] = {"#fef3c7", "#d97706"},
    [FL_NODE_WAITING] = {"#ede9fe", "#7c3aed"},
    [FL_NODE_SUCCEEDED] = {"#dcfce7", "#16a34a"},
    [FL_NODE_FAILED] = {"#fee2e2", "#dc2626"},
    [FL_NODE_SKIPPED] = {"#f4f4f5", "#d4d4d8"},
    [FL_NODE_OMITTED] = {"#f4f4f5", "#d4d4d8"},
    [FL_NODE_UPSTREAM_FAILED] = {"#ffedd5", "#ea580c"},
    [FL_NODE_CANCELLED] = {"#e7e5e4", "#78716c"},
    [FL_NODE_STATE_COUNT] = {"#ffffff", "#52525b"},
};

const fl_draw_color *fl_draw_color_of(const char *status) {
  int i = 0;
  while (i < FL_NODE_STATE_COUNT && (!status || strcmp(fl_node_state_text(i), status) != 0)) i++;
  return &colors[i];
}

// ------------------------------------------------------------------------------------- ranking

/// Children of each node, as offsets into one list.
typedef struct child_lists {
  size_t *begin; // count + 1
  uint32_t *items;
} child_lists;

static void child_lists_deinit(child_lists *c) {
  free(c->begin);
  free(c->items);
}

static void child_lists_init(child_lists *c, const fl_draw_node *nodes, size_t count) {
  *c = (child_lists){.begin = fl_alloc_zero(count + 2, sizeof *c->begin)};
  for (size_t i = 0; i < count; i++)
    for (uint32_t k = 0; k < nodes[i].parent_count; k++)
      c->begin[(size_t)nodes[i].parents[k] + 2]++;
  for (size_t i = 2; i < count + 2; i++) c->begin[i] += c->begin[i - 1];
  c->items = fl_alloc_zero(c->begin[count + 1] + 1, sizeof *c->items);
  // begin[i + 1] runs from the begin of i's list to its end while it is filled.
  for (size_t i = 0; i < count; i++)
    for (uint32_t k = 0; k < nodes[i].parent_count; k++)
      c->items[c->begin[nodes[i].parents[k] + 1]++] = (uint32_t)i;
}

fl_code fl_draw_rank_init(fl_draw_rank *rank, const fl_draw_node *nodes, size_t count,
                          fl_error *err) {
  child_lists children;
  *rank = (fl_draw_rank){.level = fl_alloc_zero(count + 1, sizeof *rank->level),
                         .order = fl_alloc_zero(count + 1, sizeof *rank->order)};
  uint32_t *missing = fl_alloc_zero(count + 1, sizeof *missing); // parents not yet placed
  uint32_t *stack = fl_alloc_zero(count + 1, sizeof *stack);
  size_t depth = 0, placed = 0;
  fl_code code = FL_OK;
  child_lists_init(&children, nodes, count);
  for (size_t i = count; i > 0; i--) {
    missing[i - 1] = nodes[i - 1].parent_count;
    if (missing[i - 1] == 0) stack[depth++] = (uint32_t)(i - 1);
  }
  while (depth > 0) {
    uint32_t node = stack[--depth], level = rank->level[node];
    rank->order[placed++] = node;
    if (level >= rank->level_count) rank->level_count = level + 1;
    for (size_t k = children.begin[node + 1]; k > children.begin[node]; k--) {
      uint32_t child = children.items[k - 1];
      if (rank->level[child] <= level) rank->level[child] = level + 1;
      if (--missing[child] == 0) stack[depth++] = child;
    }
  }
  if (placed < count) code = fl_fail(err, FL_E_CORRUPT, "its nodes wait for each other");
  child_lists_deinit(&children);
  free(missing);
  free(stack);
  return code;
}

void fl_draw_rank_deinit(fl_draw_rank *rank) {
  free(rank->level);
  free(rank->order);
  *rank = (fl_draw_rank){0};
}
