// Finds the first cycle of a graph and writes it as the path that closes it.
//
// The first is the shortest one through the first declared node that is on any cycle. Which nodes
// are on one: those in a strongly connected part of two or more, or with an edge to themselves.
// Parts are found by Tarjan's algorithm, with its own stack instead of recursion.
#include "graph/graph_internal.h"

#define SHOWN_FIRST 6u // names shown of a long cycle before the gap ...
#define SHOWN_LAST  3u // ... and after it

static const char *name_of(const fl_graph *g, uint32_t node) {
  return g->names + g->name_starts[node];
}

typedef struct part_search {
  const fl_graph *g;
  const uint32_t *waiting;
  uint32_t *number;  // in order of discovery, from 1; 0: not seen
  uint32_t *low;     // the least number reachable; UINT32_MAX: its part is complete
  uint32_t *next;    // the child edge to look at next
  uint32_t *path;    // the way from the start to here
  uint32_t *members; // nodes whose part is not complete
  uint32_t path_count, member_count, numbered;
} part_search;

static void enter(part_search *s, uint32_t node) {
  s->number[node] = s->low[node] = ++s->numbered;
  s->next[node] = s->g->child_starts[node];
  s->path[s->path_count++] = node;
  s->members[s->member_count++] = node;
}

// Takes the complete part of `root` off the members; returns its first declared node when it holds
// a cycle, else FL_NODE_NONE.
static uint32_t complete_part(part_search *s, uint32_t root) {
  uint32_t first = root, size = 0, member;
  do {
    member = s->members[--s->member_count];
    s->low[member] = UINT32_MAX;
    if (member < first) first = member;
    size++;
  } while (member != root);
  if (size > 1) return first;
  for (uint32_t i = s->g->child_starts[root]; i < s->g->child_starts[root + 1]; i++)
    if (s->g->children[i] == root) return root;
  return FL_NODE_NONE;
}

static uint32_t search_from(part_search *s, uint32_t start) {
  uint32_t best = FL_NODE_NONE;
  enter(s, start);
  while (s->path_count > 0) {
    uint32_t node = s->path[s->path_count - 1];
    if (s->next[node] < s->g->child_starts[node + 1]) {
      uint32_t child = s->g->children[s->next[node]++];
      if (s->waiting[child] == 0) continue;
      if (s->number[child] == 0)
        enter(s, child);
      else if (s->low[child] != UINT32_MAX && s->number[child] < s->low[node])
        s->low[node] = s->number[child];
      continue;
    }
    s->path_count--;
    uint32_t low = s->low[node];
    if (low == s->number[node]) {
      uint32_t found = complete_part(s, node);
      if (found < best) best = found;
    } else if (low < s->low[s->path[s->path_count - 1]]) {
      s->low[s->path[s->path_count - 1]] = low;
    }
  }
  return best;
}

static uint32_t find_first_on_cycle(const fl_graph *g, const uint32_t *waiting) {
  part_search s = {
      .g = g,
      .waiting = waiting,
      .number = fl_alloc_zero(g->count, sizeof(uint32_t)),
      .low = fl_alloc(g->count * sizeof(uint32_t)),
      .next = fl_alloc(g->count * sizeof(uint32_t)),
      .path = fl_alloc(g->count * sizeof(uint32_t)),
      .members = fl_alloc(g->count * sizeof(uint32_t)),
  };
  uint32_t best = FL_NODE_NONE;
  for (uint32_t node = 0; node < g->count; node++) {
    if (waiting[node] == 0 || s.number[node] != 0) continue;
    uint32_t found = search_from(&s, node);
    if (found < best) best = found;
  }
  free(s.number);
  free(s.low);
  free(s.next);
  free(s.path);
  free(s.members);
  return best;
}

// The shortest way from `start` back to itself, breadth first; `path` takes the nodes in order.
static uint32_t find_path(const fl_graph *g, uint32_t start, uint32_t *path) {
  uint32_t *from = fl_alloc(g->count * sizeof *from), head = 0, tail = 0, last = start;
  uint32_t *queue = fl_alloc(g->count * sizeof *queue);
  for (uint32_t node = 0; node < g->count; node++) from[node] = FL_NODE_NONE;
  bool closed = false;
  queue[tail++] = start;
  while (!closed && head < tail) {
    uint32_t node = queue[head++];
    for (uint32_t i = g->child_starts[node]; i < g->child_starts[node + 1] && !closed; i++) {
      uint32_t child = g->children[i];
      if (child == start)
        closed = true, last = node;
      else if (from[child] == FL_NODE_NONE)
        from[child] = node, queue[tail++] = child;
    }
  }
  FL_ASSERT(closed);
  uint32_t count = 0;
  for (uint32_t node = last; node != start; node = from[node]) path[count++] = node;
  path[count++] = start;
  for (uint32_t i = 0; i < count / 2; i++) {
    uint32_t other = path[i];
    path[i] = path[count - 1 - i];
    path[count - 1 - i] = other;
  }
  free(queue);
  free(from);
  return count;
}

fl_code fl_graph_fail_cycle(const fl_graph *g, const uint32_t *waiting, fl_error *err) {
  uint32_t *path = fl_alloc(g->count * sizeof *path);
  uint32_t count = find_path(g, find_first_on_cycle(g, waiting), path);
  fl_buf text;
  fl_buf_init(&text, FL_ERROR_MESSAGE_SIZE);
  for (uint32_t i = 0; i < count; i++) {
    if (count > SHOWN_FIRST + SHOWN_LAST + 1 && i == SHOWN_FIRST) {
      fl_buf_addf(&text, "... (%u more) ... -> ", count - SHOWN_FIRST - SHOWN_LAST);
      i = count - SHOWN_LAST;
    }
    fl_buf_addf(&text, "%s -> ", name_of(g, path[i]));
  }
  fl_buf_add_str(&text, name_of(g, path[0]));
  fl_code code =
      fl_fail(err, FL_E_SCRIPT, "nodes depend on each other in a cycle: %s", fl_buf_cstr(&text));
  fl_buf_deinit(&text);
  free(path);
  return code;
}
