// Nodes, their names and the edges between them.
#include "graph/graph_internal.h"
#include "base/limits.h"

#define FIRST_CAPACITY 16u

fl_graph *fl_graph_new(void) {
  return fl_alloc_zero(1, sizeof(fl_graph));
}

void fl_graph_free(fl_graph *g) {
  if (!g) return;
  fl_graph_free_options(g);
  free(g->names);
  free(g->name_starts);
  free(g->options);
  free(g->slots);
  free(g->parent_starts);
  free(g->parents);
  free(g->last_seen);
  free(g->child_starts);
  free(g->children);
  free(g->order);
  free(g->levels);
  free(g->inner);
  free(g);
}

// ------------------------------------------------------------------------------------- names

// FNV-1a with a final mix: names are short, and often differ in their last digits only.
static uint32_t hash_name(const char *name, size_t size) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3u;
  hash ^= hash >> 32;
  hash *= 0x9e3779b97f4a7c15u;
  return (uint32_t)(hash >> 32);
}

static bool name_is(const fl_graph *g, uint32_t node, const char *name, size_t size) {
  const char *own = g->names + g->name_starts[node];
  return strncmp(own, name, size) == 0 && own[size] == '\0';
}

// The slot that holds `name`, or the free one where it belongs.
static uint32_t find_slot(const fl_graph *g, const char *name, size_t size) {
  uint32_t mask = g->slot_count - 1, at = hash_name(name, size) & mask;
  while (g->slots[at] != 0 && !name_is(g, g->slots[at] - 1, name, size)) at = (at + 1) & mask;
  return at;
}

static void grow_slots(fl_graph *g) {
  g->slot_count = g->slot_count ? g->slot_count * 2 : 2 * FIRST_CAPACITY;
  free(g->slots);
  g->slots = fl_alloc_zero(g->slot_count, sizeof *g->slots);
  for (uint32_t node = 0; node < g->count; node++) {
    const char *name = g->names + g->name_starts[node];
    uint32_t mask = g->slot_count - 1, at = hash_name(name, strlen(name)) & mask;
    while (g->slots[at] != 0) at = (at + 1) & mask;
    g->slots[at] = node + 1;
  }
}

static uint32_t store_name(fl_graph *g, const char *name, size_t size) {
  if (g->names_capacity - g->names_size < size + 1) {
    size_t capacity = g->names_capacity ? g->names_capacity * 2 : 256;
    while (capacity - g->names_size < size + 1) capacity *= 2;
    g->names = fl_realloc(g->names, capacity);
    g->names_capacity = capacity;
  }
  uint32_t start = (uint32_t)g->names_size;
  memcpy(g->names + start, name, size);
  g->names[start + size] = '\0';
  g->names_size += size + 1;
  return start;
}

fl_code fl_graph_add(fl_graph *g, const char *name, size_t name_size,
                     const fl_node_options *options, uint32_t *index, fl_error *err) {
  FL_ASSERT(!g->frozen && g->linked == 0 && options);
  FL_ASSERT(name_size <= FL_ID_SIZE_MAX && !memchr(name, '\0', name_size));
  if (g->count >= FL_NODES_PER_FLOW_MAX)
    return fl_fail(err, FL_E_LIMIT, "a flow has at most %u nodes", FL_NODES_PER_FLOW_MAX);
  if ((uint64_t)g->count * 4 >= (uint64_t)g->slot_count * 3) grow_slots(g);
  uint32_t slot = find_slot(g, name, name_size);
  if (g->slots[slot] != 0)
    return fl_fail(err, FL_E_USAGE, "a node named '%.*s' exists already", (int)name_size, name);
  if (g->count == g->capacity) {
    g->capacity = g->capacity ? g->capacity * 2 : FIRST_CAPACITY;
    g->name_starts = fl_realloc(g->name_starts, g->capacity * sizeof *g->name_starts);
    g->options = fl_realloc(g->options, g->capacity * sizeof(fl_node_options *));
  }
  g->slots[slot] = g->count + 1;
  g->name_starts[g->count] = store_name(g, name, name_size);
  g->options[g->count] = fl_graph_intern(g, options);
  *index = g->count++;
  return FL_OK;
}

uint32_t fl_graph_find(const fl_graph *g, const char *name, size_t name_size) {
  if (g->count == 0) return FL_NODE_NONE;
  uint32_t held = g->slots[find_slot(g, name, name_size)];
  return held == 0 ? FL_NODE_NONE : held - 1;
}

// ------------------------------------------------------------------------------------- edges

// Nodes up to and with `node` begin at the present end of the edges, where they have not begun yet.
static void begin_nodes(fl_graph *g, uint32_t node) {
  if (!g->parent_starts)
    g->parent_starts = fl_alloc(((size_t)g->count + 1) * sizeof *g->parent_starts);
  while (g->linked <= node) g->parent_starts[g->linked++] = (uint32_t)g->edge_count;
}

void fl_graph_after(fl_graph *g, uint32_t node, uint32_t parent) {
  FL_ASSERT(!g->frozen && node < g->count && parent < g->count);
  FL_ASSERT(g->linked <= node + 1);
  begin_nodes(g, node);
  if (!g->last_seen) g->last_seen = fl_alloc_zero(g->count, sizeof *g->last_seen);
  if (g->last_seen[parent] == node + 1) return;
  g->last_seen[parent] = node + 1;
  FL_ASSERT(g->edge_count < UINT32_MAX);
  if (g->edge_count == g->edge_capacity) {
    g->edge_capacity = g->edge_capacity ? g->edge_capacity * 2 : FIRST_CAPACITY;
    g->parents = fl_realloc(g->parents, g->edge_capacity * sizeof *g->parents);
  }
  g->parents[g->edge_count++] = parent;
}

// Turns the edges round. Children of a node come in declaration order, as nodes are walked so.
static void build_children(fl_graph *g) {
  uint32_t *starts = fl_alloc_zero((size_t)g->count + 1, sizeof *starts);
  for (size_t i = 0; i < g->edge_count; i++) starts[g->parents[i]]++;
  uint32_t sum = 0;
  for (uint32_t node = 0; node < g->count; node++) {
    sum += starts[node];
    starts[node] = sum; // the end, for now: filling goes down to the start
  }
  starts[g->count] = sum;
  g->children = fl_alloc(g->edge_count * sizeof *g->children);
  for (uint32_t node = g->count; node-- > 0;)
    for (uint32_t i = g->parent_starts[node + 1]; i-- > g->parent_starts[node];)
      g->children[--starts[g->parents[i]]] = node;
  g->child_starts = starts;
}

static int compare_levels(const void *a, const void *b) {
  int32_t x = ((const fl_level *)a)->priority, y = ((const fl_level *)b)->priority;
  return x < y ? 1 : x > y ? -1 : 0;
}

// Most nodes are like the one before, so that there are few entries to be sorted.
static void add_level(fl_graph *g, uint32_t *capacity, int32_t priority, uint32_t count) {
  if (g->level_count && g->levels[g->level_count - 1].priority == priority) {
    g->levels[g->level_count - 1].count += count;
    return;
  }
  if (g->level_count == *capacity) {
    *capacity = *capacity ? *capacity * 2 : 4;
    g->levels = fl_realloc(g->levels, *capacity * sizeof *g->levels);
  }
  g->levels[g->level_count++] = (fl_level){.priority = priority, .count = count};
}

static void build_levels(fl_graph *g) {
  uint32_t capacity = 0, kept = 0;
  for (uint32_t node = 0; node < g->count; node++) {
    const fl_node_options *o = g->options[node];
    bool hook = o->hook != FL_HOOK_NONE;
    const fl_node_options *inner = o->kind == FL_KIND_MAP ? fl_graph_get_inner(g, node) : NULL;
    bool higher = inner && inner->priority > o->priority;
    add_level(g, &capacity, o->priority, !hook && !higher);
    if (inner) add_level(g, &capacity, inner->priority, !hook && higher);
  }
  if (!g->level_count) return;
  qsort(g->levels, g->level_count, sizeof *g->levels, compare_levels);
  for (uint32_t i = 1; i < g->level_count; i++) {
    if (g->levels[i].priority == g->levels[kept].priority)
      g->levels[kept].count += g->levels[i].count;
    else
      g->levels[++kept] = g->levels[i];
  }
  g->level_count = kept + 1;
}

fl_code fl_graph_freeze(fl_graph *g, fl_error *err) {
  FL_ASSERT(!g->frozen);
  begin_nodes(g, g->count); // the entry past the last node is the end of all edges
  free(g->last_seen);
  g->last_seen = NULL;
  if (g->edge_count > 0) {
    g->parents = fl_realloc(g->parents, g->edge_count * sizeof *g->parents);
    g->edge_capacity = g->edge_count;
  }
  build_children(g);
  build_levels(g);
  g->frozen = true;
  return fl_graph_sort(g, err);
}

// ------------------------------------------------------------------------------------- reading

uint32_t fl_graph_get_count(const fl_graph *g) {
  return g->count;
}

const char *fl_graph_get_name(const fl_graph *g, uint32_t node) {
  FL_ASSERT(node < g->count);
  return g->names + g->name_starts[node];
}

const fl_node_options *fl_graph_get_options(const fl_graph *g, uint32_t node) {
  FL_ASSERT(node < g->count);
  return g->options[node];
}

const uint32_t *fl_graph_get_parents(const fl_graph *g, uint32_t node, uint32_t *count) {
  FL_ASSERT(g->frozen && node < g->count);
  *count = g->parent_starts[node + 1] - g->parent_starts[node];
  return g->parents + g->parent_starts[node];
}

const uint32_t *fl_graph_get_children(const fl_graph *g, uint32_t node, uint32_t *count) {
  FL_ASSERT(g->frozen && node < g->count);
  *count = g->child_starts[node + 1] - g->child_starts[node];
  return g->children + g->child_starts[node];
}

const fl_level *fl_graph_get_levels(const fl_graph *g, uint32_t *count) {
  FL_ASSERT(g->frozen);
  *count = g->level_count;
  return g->levels;
}

const uint32_t *fl_graph_get_order(const fl_graph *g) {
  FL_ASSERT(g->frozen && g->order);
  return g->order;
}

const char *fl_trigger_text(fl_trigger t) {
  static const char *const texts[] = {
      [FL_TRIGGER_ALL_SUCCESS] = "all_success", [FL_TRIGGER_ALL_DONE] = "all_done",
      [FL_TRIGGER_ALL_FAILED] = "all_failed",   [FL_TRIGGER_ONE_SUCCESS] = "one_success",
      [FL_TRIGGER_ONE_FAILED] = "one_failed",   [FL_TRIGGER_NONE_FAILED] = "none_failed",
  };
  FL_ASSERT((unsigned)t < sizeof texts / sizeof *texts);
  return texts[t];
}

const char *fl_node_kind_text(fl_node_kind k) {
  static const char *const texts[] = {
      [FL_KIND_PROCESS] = "process", [FL_KIND_WORKER] = "worker", [FL_KIND_INLINE] = "inline",
      [FL_KIND_NATIVE] = "native",   [FL_KIND_MAP] = "map",       [FL_KIND_BRANCH] = "branch",
      [FL_KIND_CALL] = "call",
  };
  FL_ASSERT((unsigned)k < sizeof texts / sizeof *texts);
  return texts[k];
}

const char *fl_hook_text(fl_hook h) {
  static const char *const texts[] = {
      [FL_HOOK_NONE] = "",
      [FL_HOOK_SUCCESS] = "on_success",
      [FL_HOOK_FAILURE] = "on_failure",
      [FL_HOOK_CANCEL] = "on_cancel",
      [FL_HOOK_EXIT] = "on_exit",
  };
  FL_ASSERT((unsigned)h < sizeof texts / sizeof *texts);
  return texts[h];
}
