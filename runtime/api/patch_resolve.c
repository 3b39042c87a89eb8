// Names of a patch as nodes of the flow that goes on, values as values of the store.
#include "api/patch.h"

// A byte a node for a list of names; "name+": also all that depend on it, "*": all.
static uint8_t *mark(const fl_patching *p, const char *key) {
  json_t *list = json_object_get(p->own, key), *item;
  size_t i;
  if (!json_array_size(list)) return NULL;
  uint8_t *marks = fl_alloc_zero(p->target_count + 1, 1);
  json_array_foreach(list, i, item) {
    const char *name = json_string_value(item);
    size_t size = json_string_length(item);
    if (!strcmp(name, "*")) {
      memset(marks, 1, fl_graph_get_count(p->flow->graph));
      continue;
    }
    bool below = size && name[size - 1] == '+';
    uint32_t node = fl_patching_find(p, name, size - below);
    if (below) fl_graph_mark(p->flow->graph, node, false, marks);
    marks[node] = 1;
  }
  return marks;
}

// "call/node+" reaches also what is behind the call, "each[3]+" what is behind the map.
static void mark_behind(fl_patching *p) {
  json_t *list = json_object_get(p->own, "behind"), *item;
  size_t i;
  if (!json_array_size(list)) return;
  if (!p->rerun) p->rerun = fl_alloc_zero(p->target_count + 1, 1);
  p->spec.rerun = p->rerun;
  json_array_foreach(list, i, item) {
    uint32_t node =
        fl_graph_find(p->flow->graph, json_string_value(item), json_string_length(item));
    uint8_t was = p->rerun[node];
    fl_graph_mark(p->flow->graph, node, false, p->rerun);
    p->rerun[node] = was;
  }
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

static fl_code has_succeeded(fl_patching *p, uint32_t node, bool *yes, fl_error *err) {
  outputs_of o;
  fl_code rc = last_outputs(p, node, &o, err);
  *yes = !rc && o.state == FL_ATTEMPT_SUCCEEDED;
  return rc;
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
    char *head = strndup(key, (size_t)(dot - key));
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
    uint32_t node = fl_patching_find(p, name, strlen(name));
    if ((rc = read_outputs(p, name, node, &base, err))) return rc;
    json_object_foreach(changes, key, value) set_output(base, key, value);
    p->outputs[node] = fl_value_from_json(base);
    json_decref(base);
  }
  json_t *succeed = json_object_get(p->own, "succeed");
  if (!json_object_size(succeed)) return rc;
  p->succeed = fl_alloc_zero(p->target_count + 1, 1);
  json_object_foreach(succeed, name, changes) {
    uint32_t node = fl_patching_find(p, name, strlen(name));
    bool done = false;
    // What has succeeded keeps what it gave, unless other outputs are named.
    if (json_is_object(changes) && !json_object_size(changes))
      rc = has_succeeded(p, node, &done, err);
    if (rc) return rc;
    if (done) continue;
    p->succeed[node] = 1;
    fl_value_unref(p->outputs[node]);
    p->outputs[node] = fl_value_from_json(changes);
  }
  return rc;
}

// What a "+" reaches gives way to what is said of a node by its own name.
static void prefer_names(fl_patching *p) {
  if (!p->rerun) return;
  for (uint32_t i = 0; i < p->target_count; i++)
    if ((p->skip && p->skip[i]) || (p->succeed && p->succeed[i])) p->rerun[i] = 0;
  json_t *entry;
  size_t at;
  json_array_foreach(json_object_get(p->own, "parts"), at, entry) {
    json_t *name = json_object_get(entry, "at");
    p->rerun[fl_patching_find(p, json_string_value(name), json_string_length(name))] = 0;
  }
  for (size_t i = 0; i < p->item_count; i++)
    if (p->item_names[i].asked) p->rerun[p->item_names[i].map] = 0;
}

static void resolve_checkpoints(fl_patching *p) {
  json_t *all = json_object_get(p->own, "checkpoints"), *value;
  const char *name;
  if (!json_object_size(all)) return;
  p->checkpoints = fl_alloc_zero(json_object_size(all), sizeof *p->checkpoints);
  json_object_foreach(all, name, value) p->checkpoints[p->spec.checkpoint_count++] =
      (fl_checkpoint_change){.node = fl_patching_find(p, name, strlen(name)),
                             .value = json_is_null(value) ? NULL : fl_value_from_json(value)};
}

static void resolve_renames(fl_patching *p) {
  json_t *all = json_object_get(p->own, "rename"), *new_name;
  const char *old;
  if (!json_object_size(all)) return;
  p->renamed = fl_alloc_zero(fl_graph_get_count(p->flow->graph) + 1, sizeof *p->renamed);
  json_object_foreach(all, old, new_name)
      p->renamed[fl_patching_find(p, json_string_value(new_name), json_string_length(new_name))] =
      old;
}

static fl_code resolve_params(fl_patching *p, fl_error *err) {
  fl_value *old = NULL;
  json_t *changes = json_object_get(p->own, "params");
  if (!json_object_size(changes) && (p->caller || !json_object_get(p->own, "script"))) return FL_OK;
  fl_code rc = fl_store_get_value(p->engine->store, p->row.params, &old, err);
  char *text = json_object_size(changes) ? json_dumps(changes, JSON_COMPACT) : NULL;
  if (!rc)
    rc = fl_script_patch_params(p->script, p->flow, old ? old->text : "{}", text, &p->spec.params,
                                err);
  fl_value_unref(old);
  free(text);
  return rc;
}

// What is kept of the patch: a script by its digest, the path for people.
static void keep_patch(fl_patching *p) {
  json_t *script = json_object_get(p->json, "script");
  if (script) json_object_set_new(p->json, "version", json_string(p->flow->version));
  p->spec.reason = json_string_value(json_object_get(p->json, "reason"));
  size_t count = json_object_size(p->json);
  if (count > (p->spec.reason ? 1 : 0)) p->spec.patch = fl_value_from_json(p->json);
}

static fl_code resolve_nodes(fl_patching *p, fl_error *err) {
  resolve_renames(p);
  fl_code rc = fl_patching_find_items(p, err);
  if (!rc) rc = fl_patching_find_parts(p, err);
  if (rc) return rc;
  p->target_count = fl_graph_get_count(p->flow->graph) + (uint32_t)p->item_count;
  p->spec.skip = p->skip = mark(p, "skip");
  p->spec.rerun = p->rerun = mark(p, "rerun");
  p->spec.keep = p->keep = mark(p, "keep");
  mark_behind(p);
  rc = resolve_outputs(p, err);
  if (rc) return rc;
  prefer_names(p);
  resolve_checkpoints(p);
  p->spec.succeed = p->succeed;
  p->spec.outputs = p->outputs;
  p->spec.checkpoints = p->checkpoints;
  p->spec.renamed = p->renamed;
  p->spec.items = p->items;
  p->spec.item_count = p->item_count;
  return FL_OK;
}

fl_code fl_patching_resolve(fl_patching *p, fl_error *err) {
  char *text = json_dumps(p->own, JSON_COMPACT);
  fl_code rc = fl_script_check_patch(p->script, p->flow, p->before, text, err);
  free(text);
  p->spec.flow = p->flow;
  if (!rc) rc = resolve_nodes(p, err);
  if (!rc) rc = resolve_params(p, err);
  if (rc) return rc;
  json_t *vars = json_object_get(p->own, "vars");
  if (json_object_size(vars)) p->spec.vars = fl_value_from_json(vars);
  p->spec.keep_checkpoint = json_is_true(json_object_get(p->own, "keep_checkpoint"));
  keep_patch(p);
  return fl_patching_open_parts(p, err);
}
