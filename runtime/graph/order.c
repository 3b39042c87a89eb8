// The order of a graph and what can be reached in it. No recursion: a chain may be a million long.
#include "graph/graph_internal.h"

// A heap of node indices, least first: of the nodes that are ready, the one declared first goes on.
typedef struct node_heap {
  uint32_t *nodes;
  uint32_t count;
} node_heap;

static void heap_push(node_heap *h, uint32_t node) {
  uint32_t at = h->count++;
  for (; at > 0 && h->nodes[(at - 1) / 2] > node; at = (at - 1) / 2)
    h->nodes[at] = h->nodes[(at - 1) / 2];
  h->nodes[at] = node;
}

static uint32_t heap_pop(node_heap *h) {
  uint32_t least = h->nodes[0], last = h->nodes[--h->count], at = 0;
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= h->count) break;
    if (child + 1 < h->count && h->nodes[child + 1] < h->nodes[child]) child++;
    if (h->nodes[child] >= last) break;
    h->nodes[at] = h->nodes[child];
    at = child;
  }
  h->nodes[at] = last;
  return least;
}

static bool is_in_index_order(const fl_graph *g) {
  for (uint32_t node = 0; node < g->count; node++)
    for (uint32_t i = g->parent_starts[node]; i < g->parent_starts[node + 1]; i++)
      if (g->parents[i] >= node) return false;
  return true;
}

fl_code fl_graph_sort(fl_graph *g, fl_error *err) {
  g->order = fl_alloc(g->count * sizeof *g->order);
  g->in_index_order = is_in_index_order(g);
  if (g->in_index_order) {
    for (uint32_t node = 0; node < g->count; node++) g->order[node] = node;
    return FL_OK;
  }
  fl_code code = FL_OK;
  uint32_t *waiting = fl_alloc(g->count * sizeof *waiting); // parents not yet in the order
  node_heap ready = {fl_alloc(g->count * sizeof *ready.nodes), 0};
  for (uint32_t node = 0; node < g->count; node++) {
    waiting[node] = g->parent_starts[node + 1] - g->parent_starts[node];
    if (waiting[node] == 0) heap_push(&ready, node);
  }
  uint32_t done = 0;
  while (ready.count > 0) {
    uint32_t node = heap_pop(&ready);
    g->order[done++] = node;
    for (uint32_t i = g->child_starts[node]; i < g->child_starts[node + 1]; i++)
      if (--waiting[g->children[i]] == 0) heap_push(&ready, g->children[i]);
  }
  if (done < g->count) code = fl_graph_fail_cycle(g, waiting, err);
  free(ready.nodes);
  free(waiting);
  return code;
}

// ------------------------------------------------------------------------------------- reach

typedef struct walk {
  uint8_t *seen; // a bit a node
  uint32_t *stack;
  uint32_t count, capacity;
} walk;

static void walk_add(walk *w, uint32_t node) {
  uint8_t bit = (uint8_t)(1u << (node & 7));
  if (w->seen[node >> 3] & bit) return;
  w->seen[node >> 3] |= bit;
  if (w->count == w->capacity) {
    w->capacity = w->capacity ? w->capacity * 2 : 64;
    w->stack = fl_realloc(w->stack, w->capacity * sizeof *w->stack);
  }
  w->stack[w->count++] = node;
}

void fl_graph_mark(const fl_graph *g, uint32_t node, bool up, uint8_t *marks) {
  FL_ASSERT(g->frozen && node < g->count);
  const uint32_t *starts = up ? g->parent_starts : g->child_starts;
  const uint32_t *next = up ? g->parents : g->children;
  // Not told by `marks` itself: the caller may have marked single nodes there before.
  walk w = {.seen = fl_alloc_zero(g->count / 8 + 1, 1)};
  walk_add(&w, node);
  while (w.count > 0) {
    uint32_t at = w.stack[--w.count];
    marks[at] = 1;
    for (uint32_t i = starts[at]; i < starts[at + 1]; i++) walk_add(&w, next[i]);
  }
  free(w.stack);
  free(w.seen);
}

bool fl_graph_is_ancestor(const fl_graph *g, uint32_t a, uint32_t node) {
  FL_ASSERT(g->frozen && a < g->count && node < g->count);
  walk w = {.seen = fl_alloc_zero(g->count / 8 + 1, 1)};
  bool found = false;
  walk_add(&w, node);
  while (w.count > 0 && !found) {
    uint32_t at = w.stack[--w.count];
    for (uint32_t i = g->parent_starts[at]; i < g->parent_starts[at + 1] && !found; i++) {
      uint32_t parent = g->parents[i];
      found = parent == a;
      // What was declared before `a` cannot lead to it when all edges go forward.
      if (!g->in_index_order || parent > a) walk_add(&w, parent);
    }
  }
  free(w.stack);
  free(w.seen);
  return found;
}
