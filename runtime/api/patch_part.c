// What a patch changes within sub-flows: each is a run of its own, with a part of the patch of its
// own, as far down as calls go.
#include "api/patch.h"

typedef struct called {
  uint32_t number; // of the call in the records
  bool succeeded;
  int64_t run;
} called;

// Calls of the run that have started their sub-flow, by number.
typedef struct calls {
  called *list;
  size_t count, capacity;
} calls;

static bool see_attempt(void *ud, const fl_attempt_row *row) {
  calls *c = ud;
  bool same = c->count && c->list[c->count - 1].number == row->node;
  if (!same && !row->child_run) return true;
  if (!same && c->count == c->capacity) {
    c->capacity = c->capacity ? 2 * c->capacity : 64;
    c->list = fl_realloc(c->list, c->capacity * sizeof *c->list);
  }
  if (!same) c->list[c->count++] = (called){.number = row->node};
  called *call = &c->list[c->count - 1];
  call->succeeded = row->state == FL_ATTEMPT_SUCCEEDED;
  if (row->child_run) call->run = row->child_run;
  return true;
}

static const called *find_call(const calls *c, uint32_t number) {
  for (size_t low = 0, high = c->count; low < high;) {
    size_t at = (low + high) / 2;
    if (c->list[at].number == number) return &c->list[at];
    if (c->list[at].number < number)
      low = at + 1;
    else
      high = at;
  }
  return NULL;
}

static bool has_calls(const fl_graph *g) {
  for (uint32_t i = 0; i < fl_graph_get_count(g); i++) {
    if (fl_graph_get_options(g, i)->kind == FL_KIND_CALL) return true;
    const fl_node_options *inner = fl_graph_get_inner(g, i);
    if (inner && inner->kind == FL_KIND_CALL) return true;
  }
  return false;
}

// ------------------------------------------------------------------------------------- parts

static fl_patching *add_part(fl_patching *p, uint32_t node, bool asked) {
  size_t count = p->part_count + 1;
  p->parts = fl_realloc(p->parts, count * sizeof *p->parts);
  p->part_specs = fl_realloc(p->part_specs, count * sizeof *p->part_specs);
  p->part_specs[p->part_count] = (fl_resume_part){.node = node, .asked = asked};
  fl_patching *part = &p->parts[p->part_count++];
  *part = (fl_patching){.engine = p->engine, .purpose = p->purpose};
  return part;
}

static fl_code find_asked(fl_patching *p, const calls *c, fl_error *err) {
  json_t *entry;
  size_t at;
  json_array_foreach(json_object_get(p->found, "parts"), at, entry) {
    const char *name = json_string_value(json_object_get(entry, "name"));
    uint32_t number, node = (uint32_t)json_integer_value(json_object_get(entry, "at"));
    fl_code rc = fl_patching_get_number(p, node, &number, err);
    if (rc) return rc;
    const called *call = find_call(c, number);
    if (!call)
      return fl_fail(err, FL_E_USAGE,
                     "patch: node '%s' has not started its sub-flow yet: there is nothing within "
                     "it to change",
                     name);
    fl_patching *part = add_part(p, node, true);
    part->json = json_deep_copy(json_object_get(entry, "patch"));
    part->own = json_deep_copy(json_object_get(entry, "own"));
    rc = fl_store_get_run(p->engine->store, call->run, &part->row, err);
    if (rc) return rc;
  }
  return FL_OK;
}

static bool is_there(const fl_patching *p, uint32_t node) {
  for (size_t i = 0; i < p->part_count; i++)
    if (p->part_specs[i].node == node) return true;
  return false;
}

// Whether a sub-flow that nobody named is to be looked at all the same: to tell what would become
// of it, or because the script that goes on is new to it.
static bool is_of_interest(const fl_patching *p, const fl_run_row *child) {
  bool all = p->purpose == FL_PATCHING_PLAN || p->purpose == FL_PATCHING_WITHIN;
  return all || p->spec.before || child->script != p->row.script;
}

typedef struct unnamed {
  fl_patching *p;
  const calls *calls;
  fl_code rc;
  fl_error *err;
} unnamed;

static void add_unnamed(unnamed *u, uint32_t number, const char *name, uint32_t map,
                        uint32_t position) {
  fl_patching *p = u->p;
  const called *call = find_call(u->calls, number);
  if (!call || (call->succeeded && !json_is_true(json_object_get(p->own, "keep_checkpoint"))))
    return;
  uint32_t node = map;
  if (name)
    node = fl_graph_find(p->flow->graph, name, strlen(name));
  else if (map != FL_NODE_NONE)
    node = fl_patching_add_item(p, map, position);
  fl_run_row row;
  if (node == FL_NODE_NONE || is_there(p, node)) return;
  u->rc = fl_store_get_run(p->engine->store, call->run, &row, u->err);
  if (u->rc) return;
  if (!is_of_interest(p, &row)) {
    fl_run_row_deinit(&row);
    return;
  }
  fl_patching *part = add_part(p, node, false);
  part->json = json_deep_copy(json_object_get(p->found, "rest"));
  part->own = json_deep_copy(part->json);
  part->row = row;
  if (!name) p->items[node - fl_graph_get_count(p->flow->graph)] = number;
}

static bool see_node(void *ud, const fl_definition_node_row *row) {
  unnamed *u = ud;
  json_t *renamed = json_object_get(json_object_get(u->p->own, "rename"), row->name);
  add_unnamed(u, row->node, renamed ? json_string_value(renamed) : row->name, FL_NODE_NONE, 0);
  return !u->rc;
}

typedef struct map_of {
  fl_patching *p;
  uint32_t number, node;
} map_of;

static bool see_map(void *ud, const fl_definition_node_row *row) {
  map_of *m = ud;
  if (row->node != m->number) return true;
  json_t *renamed = json_object_get(json_object_get(m->p->own, "rename"), row->name);
  const char *name = renamed ? json_string_value(renamed) : row->name;
  m->node = fl_graph_find(m->p->flow->graph, name, strlen(name));
  return false;
}

static bool see_item(void *ud, const fl_item_row *row) {
  unnamed *u = ud;
  if (!find_call(u->calls, row->node)) return true;
  map_of m = {.p = u->p, .number = row->map_node, .node = FL_NODE_NONE};
  u->rc =
      fl_store_each_definition_node(u->p->engine->store, u->p->row.definition, see_map, &m, u->err);
  if (!u->rc) add_unnamed(u, row->node, NULL, m.node, row->position);
  return !u->rc;
}

fl_code fl_patching_find_parts(fl_patching *p, fl_error *err) {
  calls c = {0};
  fl_store *store = p->engine->store;
  if (!has_calls(p->flow->graph)) return FL_OK;
  fl_code rc = fl_store_each_attempt(store, p->row.row, see_attempt, &c, err);
  if (!rc) rc = find_asked(p, &c, err);
  unnamed u = {.p = p, .calls = &c, .err = err};
  if (!rc) rc = fl_store_each_definition_node(store, p->row.definition, see_node, &u, err);
  if (!rc) rc = u.rc;
  if (!rc) rc = fl_store_each_item(store, p->row.row, see_item, &u, err);
  free(c.list);
  return rc ? rc : u.rc;
}

// ------------------------------------------------------------------------------------- opening

fl_code fl_patching_open_part(fl_patching *p, fl_patching *part, fl_error *err) {
  part->caller = p;
  part->spec.author = p->spec.author;
  fl_code rc = fl_store_check_run(p->engine->store, part->row.row, err);
  if (!rc) rc = fl_patching_load_before(part, err);
  if (!rc) rc = fl_patching_load_after(part, err);
  json_t *script = json_object_get(p->json, "script");
  if (script) json_object_set(part->json, "script", script);
  return rc;
}
