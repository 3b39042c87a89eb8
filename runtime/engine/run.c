// One run as data: its nodes and items, what they gave, and the pools that it is counted in.
#include "engine/replay.h"

// A pool is as large as the flows of live runs say, the smallest where they differ.
static void declare_pool(fl_scheduler *s, fl_pool *pool, const fl_flow *flow, uint32_t capacity) {
  bool first = !pool->runs++;
  if (pool->fixed || pool->capacity == capacity) return;
  uint32_t smaller = first || capacity < pool->capacity ? capacity : pool->capacity;
  if (!first)
    fl_scheduler_notice(s,
                        "flow '%s' gives pool '%s' a capacity of %u, and a flow that runs one of "
                        "%u: the smaller holds",
                        flow->key, pool->name, capacity, pool->capacity);
  pool->capacity = smaller;
}

fl_run *fl_run_new(fl_scheduler *s, const fl_flow *flow) {
  fl_run *run = fl_alloc_zero(1, sizeof *run);
  run->scheduler = s;
  run->flow = flow;
  if (flow->hooks && flow->hooks->hold) flow->hooks->hold(flow);
  run->plan = fl_plan_new(flow->graph, s->local);
  run->graph_count = run->node_capacity = fl_graph_get_count(flow->graph);
  run->nodes = fl_alloc_zero(run->graph_count + 1, sizeof *run->nodes);
  run->pools = fl_alloc_zero(flow->pool_count + 1, sizeof *run->pools);
  for (uint32_t i = 0; i < flow->pool_count; i++) {
    uint32_t at = 0;
    while (at < s->pool_count && strcmp(s->pools[at].name, flow->pools[i].name)) at++;
    if (at == s->pool_count) {
      s->pools = fl_realloc(s->pools, (at + 1) * sizeof *s->pools);
      s->pools[s->pool_count++] = (fl_pool){.name = fl_strdup(flow->pools[i].name)};
    }
    run->pools[i] = at;
    declare_pool(s, &s->pools[at], flow, flow->pools[i].capacity);
  }
  run->root = run;
  return run;
}

void fl_run_set_parent(fl_run *run, fl_attempt *parent) {
  fl_durability wanted = run->scheduler->config.durability;
  run->parent = parent;
  run->root = parent ? parent->run->root : run;
  if (parent) parent->child = run;
  free(run->call);
  run->call = NULL;
  if (parent) {
    fl_buf call;
    fl_buf_init(&call, 1u << 20);
    fl_buf_addf(&call, "%s%s/", parent->run->call ? parent->run->call : "",
                fl_run_get_name(parent->run, parent->node));
    run->call = fl_buf_take(&call);
  }
  if (!wanted) wanted = run->flow->durability;
  run->syncs = wanted ? wanted == FL_DURABILITY_FULL : !parent || parent->run->syncs;
}

#define PORTION 64 // nodes, before the clock is looked at

static void free_node(fl_run *run, uint32_t node) {
  fl_run_forget_outputs(run, &run->nodes[node]);
  fl_vars_unref(run->nodes[node].vars);
  if (node < run->graph_count) return;
  free(run->items[node - run->graph_count].name);
  fl_value_unref(run->items[node - run->graph_count].value);
}

bool fl_run_free_some(fl_run *run) {
  uint32_t count = fl_plan_get_count(run->plan);
  while (run->freed < count) {
    free_node(run, run->freed++);
    if (run->freed % PORTION == 0 && fl_scheduler_is_out_of_time(run->scheduler)) return false;
  }
  fl_run_free(run);
  return true;
}

void fl_run_free(fl_run *run) {
  if (!run) return;
  uint32_t count = fl_plan_get_count(run->plan);
  while (run->freed < count) free_node(run, run->freed++);
  for (fl_attempt *a; (a = run->given_back);) {
    run->given_back = a->next;
    fl_attempt_free(a);
  }
  if (run->log) run->scheduler->config.free_log(run->scheduler->config.ud, run->log);
  fl_lineup_free(run);
  for (uint32_t i = 0; i < run->flow->pool_count; i++) run->scheduler->pools[run->pools[i]].runs--;
  fl_plan_free(run->plan);
  fl_replay_free(run->replay);
  fl_value_unref(run->params);
  fl_value_unref(run->first_patch);
  free(run->selected);
  fl_vars_unref(run->vars);
  fl_run_row_deinit(&run->row);
  free(run->items);
  free(run->nodes);
  free(run->pools);
  free(run->call);
  fl_numbers_deinit(&run->numbers);
  free(run->error);
  fl_failures_free(run);
  free(run->epoch_reason);
  free(run->epoch_author);
  fl_seal_free(run->seal);
  const fl_flow *flow = run->flow;
  free(run);
  if (flow->hooks && flow->hooks->let_go) flow->hooks->let_go(flow);
}

const char *fl_run_get_id(const fl_run *run) {
  return run->row.id;
}
const fl_flow *fl_run_get_flow(const fl_run *run) {
  return run->flow;
}
int64_t fl_run_get_time(const fl_run *run) {
  return run->row.time_ms;
}
void fl_run_set_log(fl_run *run, void *log) {
  run->log = log;
}
void *fl_run_get_log(const fl_run *run) {
  return run->log;
}

uint32_t fl_run_add_item(fl_run *run, uint32_t map_node, uint32_t position, const char *name,
                         fl_value *item, fl_node_state state) {
  uint32_t node = fl_plan_add_item(run->plan, map_node, position, state);
  if (node >= run->node_capacity) {
    run->node_capacity += run->node_capacity / 2 + 64;
    run->nodes = fl_realloc(run->nodes, run->node_capacity * sizeof *run->nodes);
  }
  run->nodes[node] = (fl_node_run){0};
  if (run->numbers.of_node) fl_run_set_number(run, node, run->numbers.next);
  if (run->item_count == run->item_capacity) {
    run->item_capacity = run->item_capacity ? run->item_capacity * 2 : 64;
    run->items = fl_realloc(run->items, run->item_capacity * sizeof *run->items);
  }
  run->items[run->item_count++] = (fl_item){.name = fl_strdup(name), .value = fl_value_ref(item)};
  return node;
}

bool fl_run_item_is_over(const fl_run *run, uint32_t node) {
  uint32_t map = fl_plan_get_map(run->plan, node);
  return map != FL_NODE_NONE && fl_node_state_is_final(fl_plan_get_state(run->plan, map));
}

void fl_run_set_item_value(fl_run *run, uint32_t item, fl_value *value) {
  fl_item *i = &run->items[item - run->graph_count];
  fl_value_unref(i->value);
  i->value = fl_value_ref(value);
}

// ------------------------------------------------------------------------------------- outputs

// Small results stay in memory for the children; what is large, or more than this in all, is read
// back from the store.
#define KEPT_VALUE_MAX 1024
#define KEPT_TOTAL_MAX (64u << 20)

void fl_run_forget_outputs(fl_run *run, fl_node_run *n) {
  if (n->outputs) run->scheduler->kept_bytes -= n->outputs->size + sizeof *n->outputs;
  fl_value_unref(n->outputs);
  n->outputs = NULL;
}

void fl_run_set_outputs(fl_run *run, uint32_t node, fl_value *outputs) {
  fl_node_run *n = fl_run_get_node(run, node);
  fl_run_forget_outputs(run, n);
  n->outputs_id = outputs ? outputs->store_id : 0;
  uint32_t children = 1;
  if (node < run->graph_count) fl_graph_get_children(run->flow->graph, node, &children);
  if (!outputs || !children || outputs->size > KEPT_VALUE_MAX) return;
  if (run->scheduler->kept_bytes > KEPT_TOTAL_MAX) return;
  run->scheduler->kept_bytes += outputs->size + sizeof *outputs;
  n->outputs = fl_value_ref(outputs);
}

fl_value *fl_run_get_outputs(fl_run *run, uint32_t node, fl_error *err) {
  fl_node_run *n = fl_run_get_node(run, node);
  if (n->outputs || !n->outputs_id) return fl_value_ref(n->outputs);
  fl_value *v = NULL;
  fl_code rc = fl_store_get_value(run->scheduler->store, n->outputs_id, &v, err);
  return fl_scheduler_check_read(run->scheduler, rc, err) ? NULL : v;
}

// ------------------------------------------------------------------------------------- vars

// Vars of a node's parents, one source each. A map's item inherits what its map saw.
fl_code fl_run_merge_vars(fl_run *run, uint32_t node, bool lenient, fl_vars **out, fl_error *err) {
  uint32_t map = fl_plan_get_map(run->plan, node);
  if (map != FL_NODE_NONE) {
    fl_vars *seen = run->nodes[map].live ? run->nodes[map].live->vars_in : run->nodes[map].vars;
    *out = fl_vars_ref(seen ? seen : run->vars);
    return FL_OK;
  }
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(run->flow->graph, node, &count);
  fl_vars_source few[8], *sources = few;
  if (count > 8) sources = fl_alloc(count * sizeof *sources);
  size_t found = 0;
  for (uint32_t i = 0; i < count; i++)
    if (run->nodes[parents[i]].vars)
      sources[found++] = (fl_vars_source){.name = fl_run_get_name(run, parents[i]),
                                          .vars = run->nodes[parents[i]].vars};
  fl_code rc = FL_OK;
  if (!found)
    *out = fl_vars_ref(run->vars);
  else
    rc = fl_vars_merge(run->flow, node,
                       lenient ? FL_MERGE_FIRST
                               : fl_graph_get_options(run->flow->graph, node)->merge,
                       sources, found, out, err);
  if (sources != few) free(sources);
  return rc;
}
