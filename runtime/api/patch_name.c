// What the names of a patch stand for: nodes of the graph, items of maps ("each[3]"), and the
// numbers that the records of the run know them by.
#include "api/patch.h"

// "each[3]" -> where "each" ends; 0: no such name.
static size_t parse_item(const char *name, size_t size, uint32_t *position) {
  const char *open = memrchr(name, '[', size);
  if (!open || open == name || name[size - 1] != ']') return 0;
  *position = (uint32_t)strtoul(open + 1, NULL, 10);
  return (size_t)(open - name);
}

static uint32_t find_item(const fl_patching *p, uint32_t map, uint32_t position) {
  for (size_t i = 0; i < p->item_count; i++)
    if (p->item_names[i].map == map && p->item_names[i].position == position)
      return fl_graph_get_count(p->flow->graph) + (uint32_t)i;
  return FL_NODE_NONE;
}

uint32_t fl_patching_find(const fl_patching *p, const char *name, size_t size) {
  uint32_t position = 0, node = fl_graph_find(p->flow->graph, name, size);
  if (node != FL_NODE_NONE) return node;
  size_t map = parse_item(name, size, &position);
  node = find_item(p, fl_graph_find(p->flow->graph, name, map), position);
  FL_ASSERT(node != FL_NODE_NONE); // fl_script_check_patch() and fl_patching_find_items() looked
  return node;
}

uint32_t fl_patching_add_item(fl_patching *p, uint32_t map, uint32_t position) {
  uint32_t there = find_item(p, map, position);
  if (there != FL_NODE_NONE) return there;
  p->item_names = fl_realloc(p->item_names, (p->item_count + 1) * sizeof *p->item_names);
  p->items = fl_realloc(p->items, (p->item_count + 1) * sizeof *p->items);
  p->item_names[p->item_count] = (fl_item_name){.map = map, .position = position};
  p->items[p->item_count] = FL_NODE_NONE;
  return fl_graph_get_count(p->flow->graph) + (uint32_t)p->item_count++;
}

static void add_name(fl_patching *p, const char *name) {
  uint32_t position;
  size_t size = strlen(name);
  if (fl_graph_find(p->flow->graph, name, size) != FL_NODE_NONE) return;
  size_t map = parse_item(name, size, &position);
  uint32_t node = map ? fl_graph_find(p->flow->graph, name, map) : FL_NODE_NONE;
  if (node == FL_NODE_NONE) return;
  uint32_t at = fl_patching_add_item(p, node, position) - fl_graph_get_count(p->flow->graph);
  p->item_names[at].asked = true;
}

static void add_names(fl_patching *p) {
  static const char *const lists[] = {"skip", "rerun"};
  static const char *const maps[] = {"outputs", "succeed", "checkpoints"};
  json_t *v;
  const char *name;
  size_t at;
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
    json_array_foreach(json_object_get(p->own, lists[i]), at, v) add_name(p, json_string_value(v));
  for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
    json_object_foreach(json_object_get(p->own, maps[i]), name, v) add_name(p, name);
  json_array_foreach(json_object_get(p->own, "parts"), at, v)
      add_name(p, json_string_value(json_object_get(v, "at")));
}

// ------------------------------------------------------------------------------------- numbers

typedef struct number_of {
  const char *name;
  uint32_t number;
} number_of;

static bool see_node(void *ud, const fl_definition_node_row *row) {
  number_of *n = ud;
  if (!strcmp(row->name, n->name)) n->number = row->node;
  return n->number == FL_NODE_NONE;
}

fl_code fl_patching_get_number(fl_patching *p, uint32_t at, uint32_t *number, fl_error *err) {
  uint32_t count = fl_graph_get_count(p->flow->graph);
  *number = at < count ? FL_NODE_NONE : p->items[at - count];
  if (at >= count) return FL_OK;
  const char *former = p->renamed ? p->renamed[at] : NULL;
  number_of n = {.name = former ? former : fl_graph_get_name(p->flow->graph, at),
                 .number = FL_NODE_NONE};
  fl_code rc =
      fl_store_each_definition_node(p->engine->store, p->row.definition, see_node, &n, err);
  *number = n.number;
  return rc;
}

typedef struct finding {
  fl_patching *p;
  uint32_t *maps;  // by item: its map's number
  uint32_t *sizes; // by item: how many its map has
} finding;

static bool see_instance(void *ud, const fl_instance_row *row) {
  finding *f = ud;
  for (size_t i = 0; i < f->p->item_count; i++) {
    if (f->maps[i] != row->map_node) continue;
    f->sizes[i]++;
    if (f->p->item_names[i].position == row->position) f->p->items[i] = row->node;
  }
  return true;
}

static fl_code check_items(const finding *f, fl_error *err) {
  const fl_patching *p = f->p;
  for (size_t i = 0; i < p->item_count; i++) {
    if (p->items[i] != FL_NODE_NONE) continue;
    const char *map = fl_graph_get_name(p->flow->graph, p->item_names[i].map);
    if (!f->sizes[i])
      return fl_fail(err, FL_E_USAGE, "patch: map '%s' has no items yet: there is no '%s[%u]'", map,
                     map, p->item_names[i].position);
    return fl_fail(err, FL_E_USAGE, "patch: map '%s' has %u item%s: there is no '%s[%u]'", map,
                   f->sizes[i], f->sizes[i] > 1 ? "s" : "", map, p->item_names[i].position);
  }
  return FL_OK;
}

fl_code fl_patching_find_items(fl_patching *p, fl_error *err) {
  add_names(p);
  if (!p->item_count) return FL_OK;
  finding f = {.p = p,
               .maps = fl_alloc_zero(p->item_count, sizeof *f.maps),
               .sizes = fl_alloc_zero(p->item_count, sizeof *f.sizes)};
  fl_code rc = FL_OK;
  for (size_t i = 0; i < p->item_count && !rc; i++)
    rc = fl_patching_get_number(p, p->item_names[i].map, &f.maps[i], err);
  if (!rc) rc = fl_store_each_instance(p->engine->store, p->row.row, see_instance, &f, err);
  if (!rc) rc = check_items(&f, err);
  free(f.maps);
  free(f.sizes);
  return rc;
}
