// The numbers by which the records of a run know its nodes and the items of its maps.
#include "api/patch.h"

uint32_t fl_patching_add_item(fl_patching *p, uint32_t map, uint32_t position) {
  uint32_t count = fl_graph_get_count(p->flow->graph);
  for (size_t i = 0; i < p->item_count; i++)
    if (p->item_names[i].map == map && p->item_names[i].position == position)
      return count + (uint32_t)i;
  p->item_names = fl_realloc(p->item_names, (p->item_count + 1) * sizeof *p->item_names);
  p->items = fl_realloc(p->items, (p->item_count + 1) * sizeof *p->items);
  p->item_names[p->item_count] = (fl_item_name){.map = map, .position = position};
  p->items[p->item_count] = FL_NODE_NONE;
  return count + (uint32_t)p->item_count++;
}

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

static bool see_item(void *ud, const fl_item_row *row) {
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

fl_code fl_patching_number_items(fl_patching *p, fl_error *err) {
  if (!p->item_count) return FL_OK;
  finding f = {.p = p,
               .maps = fl_alloc_zero(p->item_count, sizeof *f.maps),
               .sizes = fl_alloc_zero(p->item_count, sizeof *f.sizes)};
  fl_code rc = FL_OK;
  for (size_t i = 0; i < p->item_count && !rc; i++)
    rc = fl_patching_get_number(p, p->item_names[i].map, &f.maps[i], err);
  if (!rc) rc = fl_store_each_item(p->engine->store, p->row.row, see_item, &f, err);
  if (!rc) rc = check_items(&f, err);
  free(f.maps);
  free(f.sizes);
  return rc;
}
