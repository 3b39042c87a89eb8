// Maps: a list known at run time becomes instances, recorded with their items before any starts;
// the map ends when the last instance has a final state, with their outputs in order.
#include "engine/replay.h"

static void fail(fl_attempt *a, const char *message) {
  fl_attempt_end(
      a, &(fl_outcome){
             .state = FL_ATTEMPT_FAILED, .exit_code = -1, .error = message, .no_retry = true});
}

static bool record_instance(fl_attempt *a, uint32_t node, uint32_t position, fl_value *item) {
  fl_scheduler *s = a->scheduler;
  fl_error err;
  if (fl_store_put_value(s->store, item, &err)) return fl_scheduler_break(s, &err);
  fl_instance_row row = {.run = a->run->row.row,
                         .node = fl_run_get_number(a->run, node),
                         .map_node = fl_run_get_number(a->run, a->node),
                         .position = position,
                         .name = fl_run_get_name(a->run, node),
                         .type = fl_plan_get_options(a->run->plan, node)->type,
                         .item = item->store_id};
  if (fl_store_add_instance(s->store, &row, &err)) return fl_scheduler_break(s, &err);
  return true;
}

// The first instance of `map` from index `from` on.
static uint32_t next_instance(const fl_run *run, uint32_t map, uint32_t from) {
  uint32_t count = fl_plan_get_count(run->plan);
  for (uint32_t i = from; i < count; i++)
    if (fl_plan_get_map(run->plan, i) == map) return i;
  return FL_NODE_NONE;
}

// New instances for the items from `have` on.
static void add_instances(fl_attempt *a, fl_value **items, size_t have, size_t count) {
  fl_run *run = a->run;
  for (size_t i = have; i < count; i++) {
    char name[FL_ID_SIZE_MAX + 32];
    snprintf(name, sizeof name, "%s[%zu]", fl_run_get_name(run, a->node), i + 1);
    uint32_t node =
        fl_run_add_instance(run, a->node, (uint32_t)i + 1, name, items[i], FL_NODE_PENDING);
    if (!record_instance(a, node, (uint32_t)i + 1, items[i])) return;
  }
}

// New instances for `items`. Those of an earlier list (the map runs again from the start) are used
// again by position: their numbers go on counting, and what is past the new list is omitted.
static void make_instances(fl_attempt *a, fl_value **items, size_t count) {
  fl_run *run = a->run;
  uint32_t have = 0;
  for (uint32_t i = next_instance(run, a->node, run->graph_count); i != FL_NODE_NONE;
       i = next_instance(run, a->node, i + 1)) {
    if (have++ < count)
      fl_run_set_item(run, i, items[have - 1]);
    else
      fl_run_decide(run, i, FL_NODE_OMIT, FL_REASON_TRIGGER_NOT_MET, NULL);
    if (have <= count && !record_instance(a, i, have, items[have - 1])) return;
  }
  add_instances(a, items, have, count);
}

static bool reset_instance(fl_attempt *a, uint32_t node) {
  fl_run *run = a->run;
  fl_store *store = a->scheduler->store;
  uint32_t number = fl_run_get_number(run, node);
  fl_error err;
  fl_node_run *n = fl_run_get_node(run, node);
  n->child_run = 0;
  n->outputs_id = 0;
  fl_value_unref(n->outputs);
  n->outputs = NULL;
  fl_vars_unref(n->vars);
  n->vars = NULL;
  fl_run_decide(run, node, FL_NODE_RESET, FL_REASON_ITEM_CHANGED, NULL);
  n->next_reason = FL_REASON_ITEM_CHANGED;
  if (fl_store_drop_steps(store, run->row.row, number, &err) ||
      fl_store_put_checkpoint(store, run->row.row, number, 0, 0, NULL, &err))
    return fl_scheduler_break(a->scheduler, &err);
  return true;
}

// The list once more, held against the one that is there, by position: an item that stayed the same
// keeps what its instance came to, another one runs, and what is past the new list is omitted. What
// was done by hand is left as it is.
static void fit_instances(fl_attempt *a, fl_value **items, size_t count) {
  fl_run *run = a->run;
  uint32_t have = 0;
  for (uint32_t i = next_instance(run, a->node, run->graph_count); i != FL_NODE_NONE;
       i = next_instance(run, a->node, i + 1)) {
    uint32_t at = have++;
    if (at >= count) {
      if (fl_plan_get_state(run->plan, i) == FL_NODE_OMITTED) continue;
      if (!reset_instance(a, i)) return;
      fl_run_decide(run, i, FL_NODE_OMIT, FL_REASON_TRIGGER_NOT_MET, NULL);
      continue;
    }
    bool same = fl_value_equal(fl_run_get_item(run, i), items[at]);
    bool omitted = fl_plan_get_state(run->plan, i) == FL_NODE_OMITTED;
    if (same && !omitted) continue;
    if (!fl_run_get_node(run, i)->by_hand && !reset_instance(a, i)) return;
    fl_run_set_item(run, i, items[at]);
    if (!record_instance(a, i, at + 1, items[at])) return;
  }
  add_instances(a, items, have, count);
}

static fl_code collect(fl_run *run, uint32_t map, fl_value **out, fl_error *err) {
  fl_buf text;
  fl_buf_init(&text, FL_VALUE_SIZE_MAX);
  fl_buf_add_char(&text, '[');
  fl_error load = {0};
  bool first = true;
  for (uint32_t i = next_instance(run, map, run->graph_count); i != FL_NODE_NONE;
       i = next_instance(run, map, i + 1)) {
    if (fl_plan_get_state(run->plan, i) == FL_NODE_OMITTED) continue;
    fl_value *v = fl_plan_get_state(run->plan, i) == FL_NODE_SUCCEEDED
                      ? fl_run_get_outputs(run, i, &load)
                      : NULL;
    if (!first) fl_buf_add_char(&text, ',');
    first = false;
    if (v)
      fl_buf_add(&text, v->text, v->size);
    else
      fl_buf_add_str(&text, "null");
    fl_value_unref(v);
  }
  fl_buf_add_char(&text, ']');
  fl_code rc = load.code;
  if (rc)
    *err = load;
  else if (text.failed)
    rc = fl_fail(err, FL_E_LIMIT, "the outputs of all its items are larger than %u MiB together",
                 FL_VALUE_SIZE_MAX >> 20);
  else
    *out = fl_value_new(text.data, text.size);
  fl_buf_deinit(&text);
  return rc;
}

static fl_code collect_vars(fl_run *run, fl_attempt *a, fl_vars **out, fl_error *err) {
  uint32_t count = 0, capacity = 64;
  fl_vars_source *sources = fl_alloc(capacity * sizeof *sources);
  sources[count++] = (fl_vars_source){.name = "", .vars = a->vars_in};
  for (uint32_t i = next_instance(run, a->node, run->graph_count); i != FL_NODE_NONE;
       i = next_instance(run, a->node, i + 1)) {
    if (fl_plan_get_state(run->plan, i) != FL_NODE_SUCCEEDED || !run->nodes[i].vars) continue;
    if (count == capacity) sources = fl_realloc(sources, (capacity *= 2) * sizeof *sources);
    sources[count++] =
        (fl_vars_source){.name = fl_run_get_name(run, i), .vars = run->nodes[i].vars};
  }
  // Behind the map's own vars, which every instance had seen, only what instances changed counts.
  fl_code rc = fl_vars_merge(run->flow, a->node, a->options->merge, sources + (count > 1),
                             count - (count > 1), out, err);
  free(sources);
  return rc;
}

static void finish(fl_run *run, uint32_t map) {
  fl_attempt *a = run->nodes[map].live;
  uint32_t failed = 0, cancelled = 0, total = 0, first = FL_NODE_NONE;
  for (uint32_t i = next_instance(run, map, run->graph_count); i != FL_NODE_NONE;
       i = next_instance(run, map, i + 1)) {
    fl_node_state st = fl_plan_get_state(run->plan, i);
    total++;
    cancelled += st == FL_NODE_CANCELLED;
    if (st != FL_NODE_FAILED || fl_plan_get_options(run->plan, i)->allow_failure) continue;
    if (!failed++) first = i;
  }
  char text[512];
  fl_error err;
  if (failed) {
    snprintf(text, sizeof text, "%u of %u items failed, the first is '%s'", failed, total,
             fl_run_get_name(run, first));
    fail(a, text);
    return;
  }
  if (cancelled) {
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_CANCELLED,
                                    .exit_code = -1,
                                    .reason = FL_REASON_CANCEL_ASKED});
    return;
  }
  fl_value *outputs = NULL;
  fl_vars *vars = NULL;
  if (collect(run, map, &outputs, &err) || collect_vars(run, a, &vars, &err))
    fail(a, err.message);
  else
    fl_attempt_end(
        a, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED,
                         .exit_code = -1,
                         .outputs = outputs,
                         .vars = fl_value_equal(vars->map, a->vars_in->map) ? NULL : vars->map});
  fl_value_unref(outputs);
  fl_vars_unref(vars);
}

void fl_map_instance_ended(fl_run *run, uint32_t node) {
  uint32_t map = fl_plan_get_map(run->plan, node);
  fl_node_run *m = fl_run_get_node(run, map);
  if (!m->live || !m->instances_open || --m->instances_open) return;
  finish(run, map);
}

void fl_map_decided(fl_run *run, uint32_t map, fl_reason reason) {
  if (fl_graph_get_options(run->flow->graph, map)->kind != FL_KIND_MAP) return;
  for (uint32_t i = next_instance(run, map, run->graph_count); i != FL_NODE_NONE;
       i = next_instance(run, map, i + 1)) {
    fl_node_state st = fl_plan_get_state(run->plan, i);
    if (st == FL_NODE_PENDING || st == FL_NODE_RETRYING)
      fl_run_decide(run, i, FL_NODE_CANCEL, reason, NULL);
  }
}

bool fl_map_is_over(const fl_run *run, uint32_t node) {
  uint32_t map = fl_plan_get_map(run->plan, node);
  return map != FL_NODE_NONE && fl_node_state_is_final(fl_plan_get_state(run->plan, map));
}

void fl_map_interrupt(fl_run *run) {
  uint32_t maps = 0;
  for (uint32_t i = 0; i < run->graph_count && run->live_count; i++) {
    fl_attempt *a = run->nodes[i].live;
    maps += a && a->options->kind == FL_KIND_MAP;
  }
  if (!maps || run->live_count != maps) return;
  for (uint32_t i = 0; i < run->graph_count; i++) {
    fl_attempt *a = run->nodes[i].live;
    if (a && a->options->kind == FL_KIND_MAP)
      fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_CANCELLED, .exit_code = -1});
  }
}

// ------------------------------------------------------------------------------------- executor

// The map goes on with the instances that have no end yet. False: there are none at all.
static bool go_on(fl_attempt *a) {
  fl_run *run = a->run;
  uint32_t open = 0, total = 0;
  for (uint32_t i = next_instance(run, a->node, run->graph_count); i != FL_NODE_NONE;
       i = next_instance(run, a->node, i + 1)) {
    fl_node_state st = fl_plan_get_state(run->plan, i);
    total++;
    open += !fl_node_state_is_final(st);
    if (st == FL_NODE_PENDING) fl_plan_make_ready(run->plan, i);
  }
  run->nodes[a->node].instances_open = open;
  if (total && !open) finish(run, a->node);
  return total;
}

static void map_start(void *ud, fl_attempt *a) {
  (void)ud;
  fl_error err;
  fl_value **items = NULL;
  size_t count = 0;
  fl_run *run = a->run;
  fl_attempt_started(a, 0, 0);
  fl_attempt_arm_timeout(a);
  if (!fl_scheduler_begin(a->scheduler)) return;
  run->scheduler->fill_wanted = true;
  fl_node_run *n = fl_run_get_node(run, a->node);
  bool fit = n->fit_again && !n->expand_again;
  if (!n->fit_again && !n->expand_again && go_on(a)) return;
  n->fit_again = n->expand_again = false;
  bool known;
  fl_code rc = fl_replay_get_items(a, &known, &items, &count, &err);
  if (!rc && !known) {
    free(items);
    rc = run->flow->hooks->expand(run->flow, a, &items, &count, &err);
  }
  if (!rc && fit)
    fit_instances(a, items, count);
  else if (!rc)
    make_instances(a, items, count);
  for (size_t i = 0; i < count; i++) fl_value_unref(items[i]);
  free(items);
  if (rc)
    fail(a, err.message);
  else if (!go_on(a))
    finish(run, a->node);
}

// Its instances are ended one by one by whoever ends the run; a timeout ends them here.
static void map_cancel(void *ud, fl_attempt *a, int64_t grace_ms) {
  (void)ud;
  fl_run *run = a->run;
  if (!a->timing_out) return;
  fl_scheduler *s = a->scheduler;
  for (uint32_t i = next_instance(run, a->node, run->graph_count); i != FL_NODE_NONE;
       i = next_instance(run, a->node, i + 1)) {
    fl_attempt *live = run->nodes[i].live;
    if (live && !live->cancelling) {
      live->cancelling = true;
      if (live->started)
        s->executors[live->options->kind].cancel(s->executors[live->options->kind].ud, live,
                                                 grace_ms);
    } else if (!live && fl_plan_can(run->plan, i, FL_NODE_CANCEL)) {
      fl_run_decide(run, i, FL_NODE_CANCEL, FL_REASON_DEADLINE, NULL);
    }
    if (!run->nodes[a->node].live) return; // the last one ended the map
  }
}

const fl_executor fl_map_executor = {.start = map_start, .cancel = map_cancel};
