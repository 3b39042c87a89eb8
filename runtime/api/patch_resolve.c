// Names of a patch as nodes of the flow that goes on, values as values of the store.
#include "api/patch.h"

static uint32_t target_at(const json_t *target) {
  return (uint32_t)json_integer_value(target);
}

// What a name of the patch stands for; it has been checked.
static uint32_t find(const fl_patching *p, const char *name) {
  json_t *target = json_object_get(json_object_get(p->found, "targets"), name);
  FL_ASSERT(target);
  return target_at(target);
}

// A byte a node for a list of targets; NULL: none.
static uint8_t *mark(const fl_patching *p, const char *key) {
  json_t *list = json_object_get(p->found, key), *target;
  size_t i;
  if (!json_array_size(list)) return NULL;
  uint8_t *marks = fl_alloc_zero(p->target_count + 1, 1);
  json_array_foreach(list, i, target) marks[target_at(target)] = 1;
  return marks;
}

// With all that depends on them; "call/node+" and "each[3]+" reach what is behind the call, or the
// map. What they reach gives way to what is said of a node by its own name.
static void mark_rerun(fl_patching *p) {
  json_t *behind = json_object_get(p->found, "behind"), *target;
  const fl_graph *graph = p->flow->graph;
  size_t i;
  p->rerun = mark(p, "rerun");
  if (!p->rerun && json_array_size(behind)) p->rerun = fl_alloc_zero(p->target_count + 1, 1);
  json_array_foreach(json_object_get(p->found, "below"), i, target)
      fl_graph_mark(graph, target_at(target), false, p->rerun);
  json_array_foreach(behind, i, target) {
    uint8_t was = p->rerun[target_at(target)];
    fl_graph_mark(graph, target_at(target), false, p->rerun);
    p->rerun[target_at(target)] = was;
  }
  if (p->rerun)
    json_array_foreach(json_object_get(p->found, "named"), i, target) p->rerun[target_at(target)] =
        0;
}

static void mark_keep(fl_patching *p) {
  p->keep = mark(p, "keep");
  if (!json_is_true(json_object_get(p->found, "keep_all"))) return;
  if (!p->keep) p->keep = fl_alloc_zero(p->target_count + 1, 1);
  memset(p->keep, 1, fl_graph_get_count(p->flow->graph));
}

typedef struct outputs_of {
  uint32_t number; // of the node in the records
  int64_t id;
  fl_attempt_state state;
} outputs_of;

static bool see_outputs(void *ud, const fl_attempt_row *row) {
  outputs_of *o = ud;
  if (row->node == o->number) o->id = row->outputs, o->state = row->state;
  return true;
}

static fl_code last_outputs(fl_patching *p, uint32_t node, outputs_of *o, fl_error *err) {
  *o = (outputs_of){0};
  fl_code rc = fl_patching_get_number(p, node, &o->number, err);
  return rc ? rc : fl_store_each_attempt(p->engine->store, p->row.row, see_outputs, o, err);
}

// What the node left when it succeeded last; it must have.
static fl_code read_outputs(fl_patching *p, const char *name, uint32_t node, json_t **out,
                            fl_error *err) {
  fl_value *base = NULL;
  outputs_of o;
  *out = NULL;
  fl_store *store = p->engine->store;
  fl_code rc = last_outputs(p, node, &o, err);
  if (!rc && o.state != FL_ATTEMPT_SUCCEEDED)
    rc = fl_fail(
        err, FL_E_USAGE,
        "patch.outputs.%s: node '%s' has not succeeded: skip it, let it run, or give all of "
        "its outputs with --succeed %s={...}",
        name, name, name);
  if (!rc) rc = fl_store_get_value(store, o.id, &base, err);
  if (!rc) *out = base ? fl_value_to_json(base) : json_object();
  fl_value_unref(base);
  if (rc || json_is_object(*out)) return rc;
  json_decref(*out);
  *out = NULL;
  return fl_fail(err, FL_E_USAGE,
                 "patch.outputs.%s: the outputs of the node are no map: give all of them with "
                 "--succeed '%s=...'",
                 name, name);
}

// Dots lead into maps that are there; a key that has the whole name goes first.
static void set_output(json_t *map, const char *key, json_t *value) {
  const char *dot = json_object_get(map, key) ? NULL : strrchr(key, '.');
  for (; dot; dot = memrchr(key, '.', (size_t)(dot - key))) {
    char *head = fl_strndup(key, (size_t)(dot - key));
    json_t *inner = json_object_get(map, head);
    free(head);
    if (json_is_object(inner)) return set_output(inner, dot + 1, value);
  }
  json_object_set(map, key, value);
}

static fl_code resolve_outputs(fl_patching *p, fl_error *err) {
  const char *name, *key;
  json_t *changes, *base, *value;
  fl_code rc = FL_OK;
  p->outputs = fl_alloc_zero(p->target_count + 1, sizeof *p->outputs);
  json_object_foreach(json_object_get(p->own, "outputs"), name, changes) {
    uint32_t node = find(p, name);
    if ((rc = read_outputs(p, name, node, &base, err))) return rc;
    json_object_foreach(changes, key, value) set_output(base, key, value);
    rc = fl_value_from_json(base, "outputs are", &p->outputs[node], err);
    json_decref(base);
    if (rc) return fl_wrap(err, "patch.outputs.%s", name), rc;
  }
  json_t *succeed = json_object_get(p->own, "succeed");
  if (!json_object_size(succeed)) return rc;
  p->succeed = fl_alloc_zero(p->target_count + 1, 1);
  json_object_foreach(succeed, name, changes) {
    uint32_t node = find(p, name);
    // What has succeeded keeps what it gave, unless other outputs are named.
    outputs_of o = {0};
    if (json_is_object(changes) && !json_object_size(changes)) rc = last_outputs(p, node, &o, err);
    if (rc) return rc;
    if (o.state == FL_ATTEMPT_SUCCEEDED) continue;
    p->succeed[node] = 1;
    fl_value_unref(p->outputs[node]);
    rc = fl_value_from_json(changes, "outputs are", &p->outputs[node], err);
    if (rc) return fl_wrap(err, "patch.succeed.%s", name), rc;
  }
  return rc;
}

static fl_code resolve_checkpoints(fl_patching *p, fl_error *err) {
  json_t *all = json_object_get(p->own, "checkpoints"), *value;
  const char *name;
  if (!json_object_size(all)) return FL_OK;
  p->checkpoints = fl_alloc_zero(json_object_size(all), sizeof *p->checkpoints);
  json_object_foreach(all, name, value) {
    fl_checkpoint_change *c = &p->checkpoints[p->spec.checkpoint_count++];
    c->node = find(p, name);
    fl_code rc = json_is_null(value) ? FL_OK : fl_value_from_json(value, "is", &c->value, err);
    if (rc) return fl_wrap(err, "patch.checkpoints.%s", name), rc;
  }
  return FL_OK;
}

static void resolve_renames(fl_patching *p) {
  json_t *all = json_object_get(p->found, "renamed"), *entry;
  size_t i;
  if (!json_array_size(all)) return;
  p->renamed = fl_alloc_zero(fl_graph_get_count(p->flow->graph) + 1, sizeof *p->renamed);
  json_array_foreach(all, i, entry) p->renamed[target_at(json_array_get(entry, 0))] =
      json_string_value(json_array_get(entry, 1));
}

// Against the flow that goes on; its params from here on, where the patch or the script changes
// them.
static fl_code ask_flow(fl_patching *p, fl_error *err) {
  fl_value *old = NULL, *found = NULL;
  bool changes = json_object_size(json_object_get(p->own, "params")) ||
                 (!p->caller && json_object_get(p->own, "script"));
  fl_code rc = changes ? fl_store_get_value(p->engine->store, p->row.params, &old, err) : FL_OK;
  char *own = json_dumps(p->own, JSON_COMPACT);
  const char *params = !changes ? NULL : old ? old->text : "{}";
  if (!rc)
    rc = fl_script_resolve_patch(p->flow, p->before, own, params, &found, &p->spec.params, err);
  if (!rc) p->found = fl_value_to_json(found);
  fl_value_unref(found);
  fl_value_unref(old);
  free(own);
  return rc;
}

// What is kept of the patch: a script by its digest, the path for people.
static fl_code keep_patch(fl_patching *p, fl_error *err) {
  json_t *script = json_object_get(p->json, "script");
  if (script) json_object_set_new(p->json, "version", json_string(p->flow->version));
  p->spec.reason = json_string_value(json_object_get(p->json, "reason"));
  size_t count = json_object_size(p->json);
  if (count <= (p->spec.reason ? 1 : 0)) return FL_OK;
  return fl_value_from_json(p->json, "the patch is", &p->spec.patch, err);
}

static fl_code resolve_nodes(fl_patching *p, fl_error *err) {
  json_t *item;
  size_t at;
  resolve_renames(p);
  json_array_foreach(json_object_get(p->found, "items"), at, item) {
    json_int_t position = json_integer_value(json_array_get(item, 1));
    (void)fl_patching_add_item(p, target_at(json_array_get(item, 0)),
                               position < UINT32_MAX ? (uint32_t)position : UINT32_MAX);
  }
  fl_code rc = fl_patching_number_items(p, err);
  if (!rc) rc = fl_patching_find_parts(p, err);
  if (rc) return rc;
  p->target_count = fl_graph_get_count(p->flow->graph) + (uint32_t)p->item_count;
  p->spec.skip = p->skip = mark(p, "skip");
  mark_rerun(p);
  p->spec.rerun = p->rerun;
  mark_keep(p);
  p->spec.keep = p->keep;
  rc = resolve_outputs(p, err);
  if (!rc) rc = resolve_checkpoints(p, err);
  if (rc) return rc;
  p->spec.succeed = p->succeed;
  p->spec.outputs = p->outputs;
  p->spec.checkpoints = p->checkpoints;
  p->spec.renamed = p->renamed;
  p->spec.items = p->items;
  p->spec.item_count = p->item_count;
  return FL_OK;
}

fl_code fl_patching_resolve(fl_patching *p, fl_error *err) {
  fl_code rc = ask_flow(p, err);
  p->spec.flow = p->flow;
  if (!rc) rc = resolve_nodes(p, err);
  if (rc) return rc;
  json_t *vars = json_object_get(p->own, "vars");
  if (json_object_size(vars))
    rc = fl_value_from_json(vars, "the vars of the patch are", &p->spec.vars, err);
  p->spec.keep_checkpoint = json_is_true(json_object_get(p->own, "keep_checkpoint"));
  if (!rc) rc = keep_patch(p, err);
  for (size_t i = 0; i < p->part_count && !rc; i++) {
    rc = fl_patching_open_part(p, &p->parts[i], err);
    if (!rc) rc = fl_patching_resolve(&p->parts[i], err);
    p->part_specs[i].row = &p->parts[i].row;
    p->part_specs[i].spec = p->parts[i].spec;
  }
  p->spec.parts = p->part_specs;
  p->spec.part_count = p->part_count;
  return rc;
}
