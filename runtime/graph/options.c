// One copy of each set of node options: a million nodes mostly share a few.
#include "graph/graph_internal.h"

#define BLOCK_SIZE 64u

// Copies must stay where they are, so they are allocated in blocks that never move.
struct options_block {
  options_block *next;
  uint32_t count;
  fl_node_options entries[BLOCK_SIZE];
};

static const char *intern_type(fl_graph *g, const char *type) {
  for (uint32_t i = 0; i < g->type_count; i++)
    if (strcmp(g->types[i], type) == 0) return g->types[i];
  g->types = fl_realloc(g->types, (g->type_count + 1) * sizeof *g->types);
  return g->types[g->type_count++] = fl_strdup(type);
}

// Field by field into zeroes, so that padding is equal and bytes can be compared.
static void normalise(fl_graph *g, const fl_node_options *from, fl_node_options *to) {
  memset(to, 0, sizeof *to);
  to->type = from->type ? intern_type(g, from->type) : NULL;
  to->executor = from->executor;
#define COPY(type, name, min, max) to->name = from->name;
  FL_NODE_OPTIONS(COPY)
#undef COPY
}

static uint32_t hash_options(const fl_node_options *options) {
  _Static_assert(sizeof *options % sizeof(uint64_t) == 0, "hashed by words");
  uint64_t hash = 0xcbf29ce484222325u, word;
  for (size_t i = 0; i < sizeof *options; i += sizeof word) {
    memcpy(&word, (const char *)options + i, sizeof word);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  return (uint32_t)(hash >> 32);
}

// The slot that holds equal options, or the free one where they belong.
static uint32_t find_slot(const fl_graph *g, const fl_node_options *options) {
  uint32_t mask = g->option_slot_count - 1, at = hash_options(options) & mask;
  // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): normalise() made the padding equal
  while (g->option_slots[at] && memcmp(g->option_slots[at], options, sizeof *options) != 0)
    at = (at + 1) & mask;
  return at;
}

static void grow_slots(fl_graph *g) {
  g->option_slot_count = g->option_slot_count ? g->option_slot_count * 2 : 32;
  free(g->option_slots);
  g->option_slots = fl_alloc_zero(g->option_slot_count, sizeof(fl_node_options *));
  for (options_block *block = g->blocks; block; block = block->next)
    for (uint32_t i = 0; i < block->count; i++)
      g->option_slots[find_slot(g, &block->entries[i])] = &block->entries[i];
}

const fl_node_options *fl_graph_intern(fl_graph *g, const fl_node_options *options) {
  if (options == g->last_options) return options;
  fl_node_options wanted;
  normalise(g, options, &wanted);
  if (g->options_count * 4ull >= g->option_slot_count * 3ull) grow_slots(g);
  uint32_t slot = find_slot(g, &wanted);
  if (!g->option_slots[slot]) {
    if (!g->blocks || g->blocks->count == BLOCK_SIZE) {
      options_block *block = fl_alloc(sizeof *block);
      block->next = g->blocks;
      block->count = 0;
      g->blocks = block;
    }
    fl_node_options *copy = &g->blocks->entries[g->blocks->count++];
    memcpy(copy, &wanted, sizeof wanted);
    g->option_slots[slot] = copy;
    g->options_count++;
  }
  return g->last_options = g->option_slots[slot];
}

void fl_graph_free_options(fl_graph *g) {
  while (g->blocks) {
    options_block *next = g->blocks->next;
    free(g->blocks);
    g->blocks = next;
  }
  for (uint32_t i = 0; i < g->type_count; i++) free(g->types[i]);
  free(g->types);
  free(g->option_slots);
}
