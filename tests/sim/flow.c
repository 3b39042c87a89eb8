// Makes flows from a seed and answers what only a script would know.
#include "flow.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sim_flow *of(const fl_flow *flow) {
  return flow->script;
}

const sim_spec *sim_flow_get_spec(fl_attempt *a) {
  return &of(fl_attempt_get_flow(a))->specs[fl_attempt_get_graph_node(a)];
}

void sim_flow_write_place(fl_attempt *a, fl_buf *out) {
  fl_value *params = fl_attempt_get_params(a);
  fl_buf_add(out, params->text, params->size);
  fl_buf_add_str(out, fl_attempt_get_name(a));
}

// ------------------------------------------------------------------------------------- results

static uint64_t hash_of(fl_attempt *a) {
  fl_buf text;
  fl_error err;
  sim_flow *f = of(fl_attempt_get_flow(a));
  fl_buf_init(&text, FL_VALUE_SIZE_MAX);
  sim_flow_write_place(a, &text);
  if (!sim_flow_get_spec(a)->racy) {
    if (fl_attempt_write_inputs(a, &text, &err)) fl_buf_add_str(&text, err.message);
    const fl_value *item = fl_attempt_get_item(a);
    if (item) fl_buf_add(&text, item->text, item->size);
    if (f->pure) {
      json_t *vars = fl_value_to_json(fl_attempt_get_vars(a));
      json_object_del(vars, SIM_PATCHED);
      fl_json_write(&text, vars);
      json_decref(vars);
    }
  }
  uint64_t hash = sim_hash(14695981039346656037u, text.data, text.size);
  fl_buf_deinit(&text);
  return hash;
}

static fl_value *chosen_children(fl_attempt *a, uint64_t hash) {
  const fl_graph *g = fl_attempt_get_flow(a)->graph;
  uint32_t count;
  const uint32_t *children = fl_graph_get_children(g, fl_attempt_get_graph_node(a), &count);
  json_t *list = json_array();
  for (uint32_t i = 0; i < count; i++)
    if (hash >> (i % 60) & 1)
      json_array_append_new(list, json_string(fl_graph_get_name(g, children[i])));
  fl_value *v = sim_value(list);
  json_decref(list);
  return v;
}

void sim_flow_results(fl_attempt *a, fl_value **outputs, fl_value **vars) {
  const sim_spec *spec = sim_flow_get_spec(a);
  uint64_t hash = hash_of(a);
  char text[32];
  snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
  *vars = NULL;
  if (fl_attempt_get_options(a)->kind == FL_KIND_BRANCH) {
    *outputs = chosen_children(a, hash);
    return;
  }
  json_t *map = json_object();
  json_object_set_new(map, "digest", json_string(text));
  if (spec->big) {
    fl_buf many;
    fl_buf_init(&many, FL_VALUE_SIZE_MAX);
    for (int i = 0; i < 17000; i++) fl_buf_add(&many, text, 16);
    json_object_set_new(map, "many", json_string(fl_buf_cstr(&many)));
    fl_buf_deinit(&many);
  }
  *outputs = sim_value(map);
  json_decref(map);
  if (!spec->sets_vars) return;
  char key[FL_ID_SIZE_MAX + 40];
  snprintf(key, sizeof key, "by_%s", fl_attempt_get_name(a));
  map = fl_value_to_json(fl_attempt_get_vars(a));
  json_object_set_new(map, key, json_string(text + 8));
  *vars = sim_value(map);
  json_decref(map);
}

// ------------------------------------------------------------------------------------- hooks

static fl_code on_when(const fl_flow *flow, fl_attempt *a, bool *yes, fl_error *err) {
  (void)flow, (void)err;
  *yes = !sim_flow_get_spec(a)->no_when;
  return FL_OK;
}

static fl_code on_command(const fl_flow *flow, fl_attempt *a, fl_command **out, fl_error *err) {
  (void)flow, (void)a, (void)err;
  *out = fl_alloc_zero(1, sizeof **out);
  return FL_OK;
}

static fl_code on_retry(const fl_flow *flow, fl_attempt *a, const fl_failure *failure, bool *yes,
                        fl_error *err) {
  (void)flow, (void)a, (void)err;
  *yes = failure->exit_code != 99;
  return FL_OK;
}

static fl_code on_merge(const fl_flow *flow, uint32_t node, const char *key,
                        const char *const *values, size_t count, fl_value **out, fl_error *err) {
  (void)flow, (void)node, (void)key;
  const char *most = values[0];
  for (size_t i = 1; i < count; i++)
    if (strcmp(values[i], most) > 0) most = values[i];
  return fl_value_parse(most, strlen(most), out, err);
}

static fl_code on_expand(const fl_flow *flow, fl_attempt *a, fl_value ***items, size_t *count,
                         fl_error *err) {
  (void)flow, (void)err;
  *count = (size_t)sim_flow_get_spec(a)->items;
  *items = fl_alloc_zero(*count + 1, sizeof **items);
  for (size_t i = 0; i < *count; i++) {
    char text[32];
    int size = snprintf(text, sizeof text, "{\"i\":%zu}", i);
    (*items)[i] = fl_value_new(text, (size_t)size);
  }
  return FL_OK;
}

static fl_code on_call(const fl_flow *flow, fl_attempt *a, const fl_flow **sub, fl_value **params,
                       fl_error *err) {
  (void)err;
  fl_buf place;
  fl_buf_init(&place, FL_VALUE_SIZE_MAX);
  sim_flow_write_place(a, &place);
  json_t *map = json_object();
  json_object_set_new(map, "place", json_string(fl_buf_cstr(&place)));
  *params = sim_value(map);
  json_decref(map);
  fl_buf_deinit(&place);
  *sub = &of(flow)->sub->flow;
  return FL_OK;
}

static const fl_hooks hooks = {.when = on_when,
                               .command = on_command,
                               .retry_on = on_retry,
                               .merge = on_merge,
                               .expand = on_expand,
                               .call = on_call};

// ------------------------------------------------------------------------------------- making

static fl_node_kind make_kind(sim_random *r, bool pure, bool may_call) {
  int at = (int)sim_range(r, 0, 99);
  if (at < 45) return FL_KIND_PROCESS;
  if (at < 70) return FL_KIND_WORKER;
  if (at < 80) return FL_KIND_INLINE;
  if (at < 84) return FL_KIND_NATIVE;
  if (at < 92) return FL_KIND_MAP;
  if (at < 95) return pure ? FL_KIND_BRANCH : FL_KIND_INLINE;
  return may_call ? FL_KIND_CALL : FL_KIND_PROCESS;
}

// Node options that do not change what the node is, only how it is tried.
static void make_tries(sim_random *r, bool pure, fl_node_options *o, sim_spec *s) {
  s->duration_ms = sim_chance(r, 30) ? sim_range(r, 0, 20) : sim_range(r, 20, 3000);
  s->ignores_term = sim_chance(r, 10);
  s->sets_vars = sim_chance(r, 50);
  s->checkpoints = sim_chance(r, 25) ? (int)sim_range(r, 1, 5) : 0;
  s->steps = sim_chance(r, 15) ? (int)sim_range(r, 1, 3) : 0;
  s->big = sim_chance(r, 1);
  if (sim_chance(r, 25)) s->fail_tries = (int)sim_range(r, 1, 3);
  if (sim_chance(r, 10)) {
    s->hang_tries = (int)sim_range(r, 1, 2);
    o->timeout_ms = sim_range(r, 4000, 8000);
  }
  o->retry_count_max = (uint32_t)(s->fail_tries + s->hang_tries + sim_range(r, 0, 2));
  if (!pure && o->retry_count_max) o->retry_count_max += 3;
  o->retry_delay_ms = sim_chance(r, 60) ? sim_range(r, 0, 2000) : 0;
  o->retry_backoff = sim_chance(r, 30) ? 2 : 0;
  o->retry_delay_max_ms = sim_chance(r, 30) ? 3000 : 0;
  o->retry_jitter = sim_chance(r, 30) ? 0.5 : 0;
  o->has_retry_on = sim_chance(r, 20);
  o->lost_count_max = pure && sim_chance(r, 40) ? (uint32_t)sim_range(r, 0, 3) : 100;
  o->grace_ms = sim_range(r, 100, 5000);
  o->priority = sim_chance(r, 30) ? (int32_t)sim_range(r, -2, 2) : 0;
}

static void make_fate(sim_random *r, sim_flow *f, fl_node_options *o, sim_spec *s) {
  if (f->pure) {
    s->broken = sim_chance(r, 6);
    if (sim_chance(r, 6)) o->deadline_ms = sim_range(r, 5000, 20000);
    if (o->deadline_ms && sim_chance(r, 50)) s->hang_tries = 1, o->timeout_ms = 0;
    return;
  }
  s->always_fails = sim_chance(r, 10);
  s->skips = sim_chance(r, 4);
  s->no_when = o->has_when = sim_chance(r, 5);
  o->allow_failure = sim_chance(r, 10);
  if (sim_chance(r, 35)) o->trigger = (fl_trigger)sim_range(r, 0, FL_TRIGGER_NONE_FAILED);
  s->racy = o->trigger == FL_TRIGGER_ONE_SUCCESS || o->trigger == FL_TRIGGER_ONE_FAILED;
}

static void make_node(sim_flow *f, sim_random *r, uint32_t at, fl_node_options *inner) {
  fl_error err;
  uint32_t index;
  char name[16];
  sim_spec *s = &f->specs[at];
  fl_node_options o = {.type = "sim", .weight = 1};
  o.kind = make_kind(r, f->pure, f->sub != NULL);
  make_tries(r, f->pure, &o, s);
  make_fate(r, f, &o, s);
  o.merge = (fl_merge)sim_range(r, FL_MERGE_FIRST, FL_MERGE_FUNCTION);
  if (f->flow.pool_count && sim_chance(r, 25)) {
    o.pool = (uint32_t)sim_range(r, 1, f->flow.pool_count);
    o.weight = (uint32_t)sim_range(r, 1, 3);
  }
  *inner = o;
  inner->kind = sim_chance(r, 50)   ? FL_KIND_PROCESS
                : sim_chance(r, 50) ? FL_KIND_WORKER
                                    : FL_KIND_INLINE;
  inner->has_when = false;
  if (s->hang_tries && !inner->timeout_ms) inner->timeout_ms = 5000;
  inner->deadline_ms = 0;
  if (o.kind >= FL_KIND_MAP) { // what they wait for takes its time
    o.timeout_ms = o.deadline_ms = 0;
    o.pool = 0;
    if (o.kind != FL_KIND_MAP) s->hang_tries = 0;
  }
  if (o.kind == FL_KIND_MAP) {
    o.map_limit = sim_chance(r, 50) ? (uint32_t)sim_range(r, 1, 3) : 0;
    s->items = (int)sim_range(r, 0, SIM_ITEMS_MAX);
    s->big = false;
    o.retry_count_max = 0;
  }
  snprintf(name, sizeof name, "n%u", at);
  if (fl_graph_add(f->graph, name, strlen(name), &o, &index, &err)) abort();
  if (o.kind == FL_KIND_MAP) fl_graph_set_inner(f->graph, index, inner);
}

static void make_hook(sim_flow *f, sim_random *r) {
  fl_error err;
  uint32_t index;
  fl_node_options o = {.type = "sim",
                       .weight = 1,
                       .kind = FL_KIND_WORKER,
                       .lost_count_max = 100,
                       .grace_ms = 100,
                       .hook = (fl_hook)sim_range(r, FL_HOOK_SUCCESS, FL_HOOK_EXIT)};
  f->specs[f->count] = (sim_spec){.duration_ms = sim_range(r, 0, 300), .racy = true};
  if (fl_graph_add(f->graph, "hook", 4, &o, &index, &err)) abort();
  f->count++;
}

// chain, fan, layers, or anything
static void make_edges(sim_flow *f, sim_random *r, uint32_t nodes) {
  int shape = (int)sim_range(r, 0, 3);
  uint32_t width = (uint32_t)sim_range(r, 2, 6);
  for (uint32_t at = 1; at < nodes; at++) {
    if (shape == 0) {
      fl_graph_after(f->graph, at, at - 1);
    } else if (shape == 1) {
      if (at + 1 < nodes)
        fl_graph_after(f->graph, at, 0);
      else
        for (uint32_t p = 1; p < at; p++) fl_graph_after(f->graph, at, p);
    } else {
      int64_t from = shape == 2 ? (int64_t)(at / width) * width - width : 0;
      int64_t to = shape == 2 ? from + width - 1 : at - 1;
      for (int64_t parents = sim_range(r, shape == 2, 3); parents > 0 && from >= 0; parents--)
        fl_graph_after(f->graph, at, (uint32_t)sim_range(r, from, to));
    }
  }
}

// Nodes below a racy one inherit what it saw: they are no more certain than it.
static void spread_races(sim_flow *f) {
  const uint32_t *order = fl_graph_get_order(f->graph);
  for (uint32_t i = 0; i < f->count; i++) {
    uint32_t count;
    const uint32_t *parents = fl_graph_get_parents(f->graph, order[i], &count);
    for (uint32_t p = 0; p < count; p++)
      if (f->specs[parents[p]].racy) f->specs[order[i]].racy = true;
  }
}

void sim_flow_make(sim_flow *f, sim_random *r, const char *key, bool pure, sim_flow *sub) {
  static const fl_flow_pool pools[] = {{"one", 1}, {"three", 3}};
  fl_error err;
  *f = (sim_flow){.pure = pure, .sub = sub};
  f->graph = fl_graph_new();
  uint32_t nodes = (uint32_t)(sub ? sim_range(r, 2, 24) : sim_range(r, 1, 5));
  f->count = nodes;
  f->flow = (fl_flow){.key = key,
                      .graph = f->graph,
                      .hooks = &hooks,
                      .script = f,
                      .index = sub ? 1 : 2,
                      .version = "sha256:0",
                      .zone = "UTC",
                      .pools = pools,
                      .pool_count = sim_chance(r, 40) ? 2 : 0,
                      .policy = pure && sim_chance(r, 30) ? FL_POLICY_STOP : FL_POLICY_FINISH,
                      .vars = fl_value_empty_map()};
  for (uint32_t at = 0; at < nodes; at++) {
    fl_node_options inner;
    make_node(f, r, at, &inner);
  }
  if (sim_chance(r, 15)) make_hook(f, r);
  make_edges(f, r, nodes);
  if (fl_graph_freeze(f->graph, &err)) abort();
  spread_races(f);
}

void sim_flow_free(sim_flow *f) {
  fl_graph_free(f->graph);
}
