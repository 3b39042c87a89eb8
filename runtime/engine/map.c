// Maps: a list known at run time becomes items, recorded with their values before any starts;
// the map ends when the last item has a final state, with their outputs in order.
#include "engine/replay.h"

static void fail(fl_attempt *a, const char *message) {
  fl_attempt_end(
      a, &(fl_outcome){
             .state = FL_ATTEMPT_FAILED, .exit_code = -1, .error = message, .no_retry = true});
}

static bool record_item(fl_attempt *a, uint32_t node, uint32_t position, fl_value *value) {
  fl_scheduler *s = a->scheduler;
  fl_error err;
  if (fl_store_put_value(s->store, value, &err)) return fl_scheduler_break(s, &err);
  fl_item_row row = {.run = a->run->row.row,
                     .node = fl_run_get_number(a->run, node),
                     .map_node = fl_run_get_number(a->run, a->node),
                     .position = position,
                     .name = fl_run_get_name(a->run, node),
                     .type = fl_plan_get_options(a->run->plan, node)->type,
                     .value = value->store_id};
  if (fl_store_add_item(s->store, &row, &err)) return fl_scheduler_break(s, &err);
  return true;
}

// The first item of `map` from index `from` on.
static uint32_t next_item(const fl_run *run, uint32_t map, uint32_t from) {
  uint32_t count = fl_plan_get_count(run->plan);
  for (uint32_t i = from; i < count; i++)
    if (fl_plan_get_map(run->plan, i) == map) return i;
  return FL_NODE_NONE;
}

// What was saved is that of another entry of the list.
static bool forget_saved(fl_attempt *a, uint32_t node) {
  fl_store *store = a->scheduler->store;
  int64_t run = a->run->row.row;
  uint32_t number = fl_run_get_number(a->run, node);
  fl_error err;
  if (fl_store_drop_steps(store, run, number, &err) ||
      fl_store_put_checkpoint(store, run, number, 0, 0, NULL, &err))
    return fl_scheduler_break(a->scheduler, &err);
  return true;
}

static bool reset_item(fl_attempt *a, uint32_t node) {
  fl_run *run = a->run;
  fl_node_run *n = fl_run_get_node(run, node);
  n->child_run = 0;
  n->outputs_id = 0;
  fl_run_forget_outputs(run, n);
  fl_vars_unref(n->vars);
  n->vars = NULL;
  fl_run_decide(run, node, FL_NODE_RESET, FL_REASON_ITEM_CHANGED, NULL);
  n->next_reason = FL_REASON_ITEM_CHANGED;
  return forget_saved(a, node);
}

// The item of an earlier list at the place of `value`; NULL: the new list is shorter. The map runs
// again from the start: what is there is used again, its numbers go on counting.
static bool reuse_item(fl_attempt *a, uint32_t i, uint32_t position, fl_value *value) {
  if (!value) return fl_run_decide(a->run, i, FL_NODE_OMIT, FL_REASON_TRIGGER_NOT_MET, NULL), true;
  fl_value *before = fl_run_get_item_value(a->run, i);
  if (before && !fl_value_equal(before, value) && !forget_saved(a, i)) return false;
  fl_run_set_item_value(a->run, i, value);
  return record_item(a, i, position, value);
}

// The same when the list is only held against the one that is there: an entry that stayed the same
// keeps what its item came to, another one runs, and what is past the new list is omitted. What was
// done by hand is left as it is.
static bool fit_item(fl_attempt *a, uint32_t i, uint32_t position, fl_value *value) {
  fl_run *run = a->run;
  bool omitted = fl_plan_get_state(run->plan, i) == FL_NODE_OMITTED;
  if (!value) {
    if (omitted) return true;
    if (!reset_item(a, i)) return false;
    fl_run_decide(run, i, FL_NODE_OMIT, FL_REASON_TRIGGER_NOT_MET, NULL);
    return true;
  }
  if (!omitted && fl_value_equal(fl_run_get_item_value(run, i), value)) return true;
  if (!fl_run_get_node(run, i)->by_hand && !reset_item(a, i)) return false;
  fl_run_set_item_value(run, i, value);
  return record_item(a, i, position, value);
}

static bool add_item(fl_attempt *a, uint32_t position, fl_value *value) {
  char name[FL_ID_SIZE_MAX + 32];
  snprintf(name, sizeof name, "%s[%u]", fl_run_get_name(a->run, a->node), position);
  uint32_t i = fl_run_add_item(a->run, a->node, position, name, value, FL_NODE_PENDING);
  return record_item(a, i, position, value);
}

static fl_code collect(fl_run *run, uint32_t map, fl_value **out, fl_error *err) {
  fl_buf text;
  fl_buf_init(&text, FL_VALUE_SIZE_MAX);
  fl_buf_add_char(&text, '[');
  fl_error load = {0};
  bool first = true;
  for (uint32_t i = next_item(run, map, run->graph_count); i != FL_NODE_NONE;
       i = next_item(run, map, i + 1)) {
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
  for (uint32_t i = next_item(run, a->node, run->graph_count); i != FL_NODE_NONE;
       i = next_item(run, a->node, i + 1)) {
    if (fl_plan_get_state(run->plan, i) != FL_NODE_SUCCEEDED || !run->nodes[i].vars) continue;
    if (count == capacity) sources = fl_realloc(sources, (capacity *= 2) * sizeof *sources);
    sources[count++] =
        (fl_vars_source){.name = fl_run_get_name(run, i), .vars = run->nodes[i].vars};
  }
  // Behind the map's own vars, which every item had seen, only what items changed counts.
  fl_code rc = fl_vars_merge(run->flow, a->node, a->options->merge, sources + (count > 1),
                             count - (count > 1), out, err);
  free(sources);
  return rc;
}

static void finish(fl_run *run, uint32_t map) {
  fl_attempt *a = run->nodes[map].live;
  uint32_t failed = 0, cancelled = 0, total = 0, first = FL_NODE_NONE;
  for (uint32_t i = next_item(run, map, run->graph_count); i != FL_NODE_NONE;
       i = next_item(run, map, i + 1)) {
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
    // Whoever goes on without them sees the others, with null in the place of those that failed.
    fl_value *partly = NULL;
    if (collect(run, map, &partly, &err)) partly = NULL;
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_FAILED,
                                    .exit_code = -1,
                                    .error = text,
                                    .no_retry = true,
                                    .outputs = partly});
    fl_value_unref(partly);
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

// The map ends with its last item.
void fl_map_item_ended(fl_run *run, uint32_t map) {
  fl_node_run *m = fl_run_get_node(run, map);
  if (!m->live || !m->items_open || --m->items_open) return;
  finish(run, map);
}

// Its items that wait get a final state with it.
void fl_map_decided(fl_run *run, uint32_t map, fl_reason reason) {
  for (uint32_t i = next_item(run, map, run->graph_count); i != FL_NODE_NONE;
       i = next_item(run, map, i + 1)) {
    fl_node_state st = fl_plan_get_state(run->plan, i);
    if (st == FL_NODE_PENDING || st == FL_NODE_RETRYING)
      fl_run_decide(run, i, FL_NODE_CANCEL, reason, NULL);
  }
}

void fl_map_interrupt(fl_attempt *a) {
  fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_CANCELLED, .exit_code = -1});
}

// The map goes on with the items that have no end yet. False: there are none at all.
static bool go_on(fl_attempt *a) {
  fl_run *run = a->run;
  uint32_t open = 0, total = 0;
  for (uint32_t i = next_item(run, a->node, run->graph_count); i != FL_NODE_NONE;
       i = next_item(run, a->node, i + 1)) {
    fl_node_state st = fl_plan_get_state(run->plan, i);
    total++;
    open += !fl_node_state_is_final(st);
    if (st == FL_NODE_PENDING) fl_plan_make_ready(run->plan, i);
  }
  run->nodes[a->node].items_open = open;
  if (total && !open) finish(run, a->node);
  return total;
}

// ------------------------------------------------------------------------------------- its list

// The next entry of the list, or of the earlier one where that is longer. False: there is none, or
// the store is broken.
static bool list_one(fl_attempt *a) {
  fl_map_list *l = a->list;
  uint32_t i = l->scan == FL_NODE_NONE ? FL_NODE_NONE : next_item(a->run, a->node, l->scan);
  l->scan = i == FL_NODE_NONE ? FL_NODE_NONE : i + 1;
  bool given = l->at < l->count;
  uint32_t position = given ? (uint32_t)l->at + 1 : 0;
  fl_value *value = given ? l->values[l->at++] : NULL;
  if (i == FL_NODE_NONE) return value && add_item(a, position, value);
  return l->fit ? fit_item(a, i, position, value) : reuse_item(a, i, position, value);
}

#define LISTED 64 // items, before the clock is looked at

bool fl_map_list_some(fl_run *run, bool whole) {
  fl_scheduler *s = run->scheduler;
  for (fl_attempt *a; (a = run->listing);) {
    if (!fl_run_touch(run)) return true; // it is given up with all that lives of the run
    bool more = true;
    for (int n = 0; more && (whole || n < LISTED); n++) more = list_one(a);
    if (s->broken) return true;
    if (more && fl_scheduler_is_out_of_time(s)) return false;
    if (more) continue;
    int64_t started_ms = a->list->started_ms;
    fl_attempt_drop_list(a);
    fl_attempt_started(a, 0, started_ms);
    fl_run_wake(run);
    if (!go_on(a)) finish(run, a->node);
  }
  return true;
}

// ------------------------------------------------------------------------------------- executor

// Its start is recorded with the last of its items: until then its list is made again by a resume.
static void map_start(void *ud, fl_attempt *a) {
  (void)ud;
  fl_error err;
  fl_run *run = a->run;
  fl_attempt_arm_timeout(a);
  if (!fl_run_touch(run)) return;
  fl_run_wake(run);
  fl_node_run *n = fl_run_get_node(run, a->node);
  if (!n->fit_again && !n->expand_again &&
      next_item(run, a->node, run->graph_count) != FL_NODE_NONE) {
    fl_attempt_started(a, 0, 0);
    go_on(a);
    return;
  }
  fl_map_list list = {.scan = run->graph_count, .fit = n->fit_again && !n->expand_again};
  list.started_ms = fl_now(a->scheduler);
  n->fit_again = n->expand_again = false;
  bool known;
  fl_code rc = fl_replay_get_items(a, &known, &list.values, &list.count, &err);
  if (!rc && !known) {
    free(list.values);
    rc = run->flow->hooks->expand(run->flow, a, &list.values, &list.count, &err);
  }
  fl_attempt_set_list(a, &list);
  if (!rc) {
    (void)fl_map_list_some(run, false);
    return;
  }
  fl_attempt_drop_list(a);
  fl_attempt_started(a, 0, list.started_ms);
  fail(a, err.message);
}

// Its items are ended one by one by whoever ends the run; a timeout ends them here.
static void map_cancel(void *ud, fl_attempt *a, int64_t grace_ms) {
  (void)ud;
  fl_run *run = a->run;
  uint32_t map = a->node;
  if (!a->timing_out) return;
  if (a->list) (void)fl_map_list_some(run, true);
  if (run->nodes[map].live != a) return;
  for (uint32_t i = next_item(run, map, run->graph_count); i != FL_NODE_NONE;
       i = next_item(run, map, i + 1)) {
    fl_attempt *live = run->nodes[i].live;
    if (live && !live->cancelling) {
      live->cancelling = true;
      if (live->started) fl_attempt_cancel(live, grace_ms);
    } else if (!live && fl_plan_can(run->plan, i, FL_NODE_CANCEL)) {
      fl_run_decide(run, i, FL_NODE_CANCEL, FL_REASON_DEADLINE, NULL);
    }
    if (!run->nodes[map].live) return; // the last one ended the map
  }
}

const fl_executor fl_map_executor = {.name = "map",
                                     .kinds = 1u << FL_KIND_MAP,
                                     .enters_again = true,
                                     .start = map_start,
                                     .cancel = map_cancel};
