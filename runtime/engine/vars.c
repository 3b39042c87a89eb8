// Merging what parents left. Invariant: `map` and `by` are canonical maps; `by` names only keys of
// `map`.
#include "engine/vars.h"
#include "base/limits.h"

fl_vars *fl_vars_new(fl_value *map, fl_value *by) {
  fl_vars *v = fl_alloc_zero(1, sizeof *v);
  v->refs = 1;
  v->map = map;
  v->by = by;
  return v;
}

fl_vars *fl_vars_ref(fl_vars *v) {
  if (v) v->refs++;
  return v;
}

void fl_vars_unref(fl_vars *v) {
  if (!v || --v->refs) return;
  fl_value_unref(v->map);
  fl_value_unref(v->by);
  free(v);
}

// Takes both trees.
static fl_code vars_from_json(json_t *map, json_t *by, const char *what, fl_vars **out,
                              fl_error *err) {
  fl_value *all = NULL, *setters = NULL;
  *out = NULL;
  fl_code rc = fl_value_from_json(map, what, &all, err);
  if (!rc) rc = fl_value_from_json(by, "the names of who set its vars are", &setters, err);
  if (rc)
    fl_value_unref(all);
  else
    *out = fl_vars_new(all, setters);
  json_decref(map);
  json_decref(by);
  return rc;
}

// A merge under way: what is taken so far, and for which keys parents disagree.
typedef struct merging {
  const fl_flow *flow;
  uint32_t node;
  fl_merge how;
  json_t *map, *by;
  json_t *taken_from; // key -> name of the parent whose value is taken
  json_t *disputed;   // key -> list of values, for a merge function
} merging;

static const char *setter_of(const json_t *by, const char *key) {
  const json_t *name = json_object_get(by, key);
  return name ? json_string_value(name) : "";
}

// True when `a`'s setting is older: whoever set `b` had seen it.
static bool is_older(const fl_flow *flow, const char *a, const char *b) {
  if (!*a) return *b != 0;
  if (!*b) return false;
  uint32_t na = fl_graph_find(flow->graph, a, strlen(a));
  uint32_t nb = fl_graph_find(flow->graph, b, strlen(b));
  if (na == FL_NODE_NONE || nb == FL_NODE_NONE) return false;
  return na != nb && fl_graph_is_ancestor(flow->graph, na, nb);
}

static void take(merging *m, const char *key, json_t *value, const char *by, const char *parent) {
  json_object_set(m->map, key, value);
  if (*by)
    json_object_set_new(m->by, key, json_string(by));
  else
    json_object_del(m->by, key);
  json_object_set_new(m->taken_from, key, json_string(parent));
}

static fl_code dispute(merging *m, const char *key, json_t *value, const char *by,
                       const char *parent, fl_error *err) {
  if (m->how == FL_MERGE_FIRST) return FL_OK;
  if (m->how == FL_MERGE_LAST) return take(m, key, value, by, parent), FL_OK;
  if (m->how == FL_MERGE_FUNCTION) {
    json_t *list = json_object_get(m->disputed, key);
    if (!list) {
      list = json_array();
      json_array_append(list, json_object_get(m->map, key));
      json_object_set_new(m->disputed, key, list);
    }
    json_array_append(list, value);
    return FL_OK;
  }
  return fl_fail(err, FL_E_SCRIPT,
                 "%s.%s: vars.%s was set to different values by '%s' and '%s': say merge = "
                 "\"first\", \"last\" or a function, or set it in one place",
                 m->flow->key, fl_graph_get_name(m->flow->graph, m->node), key,
                 json_string_value(json_object_get(m->taken_from, key)), parent);
}

static fl_code merge_source(merging *m, const fl_vars_source *source, fl_error *err) {
  json_t *map = fl_value_to_json(source->vars->map), *by = fl_value_to_json(source->vars->by);
  const char *key;
  json_t *value;
  fl_code rc = FL_OK;
  json_object_foreach(map, key, value) {
    json_t *mine = json_object_get(m->map, key);
    const char *theirs_by = setter_of(by, key), *mine_by = mine ? setter_of(m->by, key) : "";
    if (!mine || (is_older(m->flow, mine_by, theirs_by) && !json_equal(mine, value)))
      take(m, key, value, theirs_by, source->name);
    else if (!json_equal(mine, value) && !is_older(m->flow, theirs_by, mine_by))
      rc = dispute(m, key, value, theirs_by, source->name, err);
    if (rc) break;
  }
  json_decref(map);
  json_decref(by);
  return rc;
}

static char *canonical(const json_t *value) {
  fl_buf text;
  fl_buf_init(&text, FL_VALUE_SIZE_MAX);
  fl_json_write(&text, value);
  return fl_buf_take(&text);
}

static fl_code settle_disputes(merging *m, fl_error *err) {
  const char *key;
  json_t *list;
  fl_code rc = FL_OK;
  json_object_foreach(m->disputed, key, list) {
    size_t count = json_array_size(list);
    char **texts = fl_alloc_zero(count, sizeof *texts);
    for (size_t i = 0; i < count; i++) texts[i] = canonical(json_array_get(list, i));
    fl_value *merged = NULL;
    rc = m->flow->hooks->merge(m->flow, m->node, key, (const char *const *)texts, count, &merged,
                               err);
    for (size_t i = 0; i < count; i++) free(texts[i]);
    free(texts);
    if (rc) break;
    json_t *value = fl_value_to_json(merged);
    take(m, key, value, fl_graph_get_name(m->flow->graph, m->node), "");
    json_decref(value);
    fl_value_unref(merged);
  }
  return rc;
}

static bool all_same(const fl_vars_source *sources, size_t count) {
  for (size_t i = 1; i < count; i++) {
    const fl_vars *a = sources[0].vars, *b = sources[i].vars;
    if (a == b) continue;
    if (!fl_value_equal(a->map, b->map) || !fl_value_equal(a->by, b->by)) return false;
  }
  return true;
}

fl_code fl_vars_merge(const fl_flow *flow, uint32_t node, fl_merge how,
                      const fl_vars_source *sources, size_t count, fl_vars **out, fl_error *err) {
  FL_ASSERT(count > 0);
  *out = NULL;
  if (all_same(sources, count)) return *out = fl_vars_ref(sources[0].vars), FL_OK;
  merging m = {.flow = flow,
               .node = node,
               .how = how,
               .map = json_object(),
               .by = json_object(),
               .taken_from = json_object(),
               .disputed = json_object()};
  fl_code rc = FL_OK;
  for (size_t i = 0; i < count && !rc; i++) rc = merge_source(&m, &sources[i], err);
  if (!rc) rc = settle_disputes(&m, err);
  if (!rc)
    rc = vars_from_json(json_incref(m.map), json_incref(m.by),
                        "the vars that it inherits are, together,", out, err);
  json_decref(m.map);
  json_decref(m.by);
  json_decref(m.taken_from);
  json_decref(m.disputed);
  return rc;
}

fl_code fl_vars_change(fl_vars *before, const fl_value *after, const char *node_name, fl_vars **out,
                       fl_error *err) {
  json_t *old = fl_value_to_json(before->map), *map = fl_value_to_json(after);
  json_t *by = fl_value_to_json(before->by);
  const char *key;
  json_t *value;
  json_object_foreach(old, key, value) {
    if (!json_object_get(map, key)) json_object_set_new(map, key, json_null());
  }
  json_object_foreach(map, key, value) {
    json_t *was = json_object_get(old, key);
    if (!was || !json_equal(was, value)) json_object_set_new(by, key, json_string(node_name));
  }
  json_decref(old);
  return vars_from_json(map, by, "the vars that it leaves are", out, err);
}

fl_code fl_vars_overlay(fl_vars *v, const fl_value *overlay, fl_vars **out, fl_error *err) {
  json_t *map = fl_value_to_json(v->map), *by = fl_value_to_json(v->by);
  json_t *extra = fl_value_to_json(overlay);
  const char *key;
  json_t *value;
  json_object_foreach(extra, key, value) {
    json_object_set(map, key, value);
    json_object_del(by, key);
  }
  json_decref(extra);
  return vars_from_json(map, by, "its vars, with those that were set by hand, are", out, err);
}
