// What a node that repeats another is given again: vars, params, inputs, items, what it recorded.
#include "engine/replay_internal.h"

static const fl_past *find_in(const fl_replay *r, uint32_t node) {
  if (node < r->node_count) return r->nodes[node].known ? &r->nodes[node] : NULL;
  fl_past key = {.map = fl_plan_get_map(r->run->plan, node),
                 .position = fl_plan_get_position(r->run->plan, node)};
  if (!r->item_count) return NULL;
  return bsearch(&key, r->items, r->item_count, sizeof key, fl_past_by_place);
}

const fl_past *fl_replay_find(const fl_run *run, uint32_t node) {
  return run->replay ? find_in(run->replay, node) : NULL;
}

// A resume may have given the repeat another script since.
static bool is_same_script(const fl_replay *r) {
  return r->then.script == r->run->row.script;
}

// The node's context of then; an item that had none has that of its map. NULL: nobody saw any, and
// the node sees today's.
static const fl_past *find_sight(const fl_replay *r, uint32_t node) {
  const fl_past *p = find_in(r, node);
  if ((!p || !p->seq) && node >= r->node_count) p = find_in(r, fl_plan_get_map(r->run->plan, node));
  return p && p->seq ? p : NULL;
}

// Where the inputs and params that the node saw then came from: of repeated repeats, the first run
// that had the node.
static const fl_past *find_source(const fl_run *run, uint32_t node, const fl_replay **level) {
  const fl_past *found = NULL, *p;
  *level = run->replay;
  for (const fl_replay *r = run->replay; r && (p = find_sight(r, node)); r = r->before) {
    found = p;
    *level = r;
  }
  return found;
}

// The same for params: with another script they were made to fit it, for the whole run.
static const fl_past *find_params(const fl_run *run, uint32_t node, const fl_replay **level) {
  const fl_past *found = NULL, *p;
  *level = run->replay;
  for (const fl_replay *r = run->replay; r && is_same_script(r) && (p = find_sight(r, node));
       r = r->before) {
    found = p;
    *level = r;
  }
  return found;
}

// True when nodes see the contexts of then, not what their parents give today.
static bool sees_past(const fl_run *run) {
  return run->replay && !run->row.replay_live;
}

bool fl_replay_holds_params(const fl_run *run, uint32_t node) {
  const fl_replay *r;
  return sees_past(run) && find_params(run, node, &r);
}

bool fl_replay_holds_vars(const fl_run *run, uint32_t node) {
  return sees_past(run) && find_sight(run->replay, node);
}

bool fl_replay_is_unselected(const fl_run *run, uint32_t node) {
  const fl_past *p = fl_replay_find(run, node);
  return p && p->decided == FL_REASON_NOT_SELECTED;
}

// What the node called `number` had last given before `seq`; NULL: nothing that still held.
static const fl_past_result *result_before(const fl_replay *r, uint32_t number, int64_t seq) {
  size_t low = 0, high = r->result_count;
  while (low < high) { // the first one past what is asked for
    size_t middle = (low + high) / 2;
    const fl_past_result *p = &r->results[middle];
    if (p->number < number || (p->number == number && p->end_seq < seq))
      low = middle + 1;
    else
      high = middle;
  }
  const fl_past_result *found = low ? &r->results[low - 1] : NULL;
  if (!found || found->number != number) return NULL;
  for (size_t i = 0; i < r->reset_count; i++)
    if (r->resets[i].number == number && r->resets[i].seq > found->end_seq &&
        r->resets[i].seq < seq)
      return NULL;
  return found;
}

// ------------------------------------------------------------------------------------- vars

// Who set what the node saw is not kept apart from what it left: its own settings are taken out.
static fl_value *setters_before(fl_run *run, uint32_t node, const fl_value *left) {
  if (!left) return fl_value_empty_map();
  json_t *by = fl_value_to_json(left);
  const char *name = fl_run_get_name(run, node), *key;
  json_t *setter;
  void *next;
  json_object_foreach_safe(by, next, key, setter) {
    if (!strcmp(json_string_value(setter), name)) json_object_del(by, key);
  }
  fl_value *v;
  fl_error err; // a part of what was a value fits
  (void)!fl_value_from_json(by, "is", &v, &err);
  json_decref(by);
  return v;
}

static fl_code load_vars(fl_replay *r, int64_t map, int64_t by, uint32_t node, bool seen,
                         fl_vars **out, fl_error *err) {
  fl_past_vars *slot = &r->slots[(size_t)(map * 31 + by * 7) % FL_PAST_VARS];
  uint32_t owner = seen && by ? node : FL_NODE_NONE; // whose settings were taken out
  fl_value *m = NULL, *b = NULL;
  if (!slot->vars || slot->map != map || slot->by != by || slot->node != owner) {
    fl_code rc = fl_replay_load_value(r, map, &m, err);
    if (!rc) rc = fl_replay_load_value(r, by, &b, err);
    if (rc) return fl_value_unref(m), rc;
    if (seen) {
      fl_value *before = setters_before(r->run, node, b);
      fl_value_unref(b);
      b = before;
    }
    fl_vars_unref(slot->vars);
    *slot = (fl_past_vars){.map = map, .by = by, .node = owner};
    slot->vars = fl_vars_new(m ? m : fl_value_empty_map(), b ? b : fl_value_empty_map());
  }
  *out = fl_vars_ref(slot->vars);
  return FL_OK;
}

// A node that had no attempt then (its `when` was false): its parents' vars of then, merged.
static fl_code merge_past(fl_run *run, uint32_t node, fl_vars **out, fl_error *err) {
  const fl_replay *r;
  const fl_past *past = find_source(run, node, &r);
  uint32_t count, found = 0;
  const uint32_t *parents = fl_graph_get_parents(run->flow->graph, node, &count);
  fl_vars_source *sources = fl_alloc_zero(count + 1, sizeof *sources);
  fl_code rc = FL_OK;
  for (uint32_t i = 0; i < count && !rc; i++) {
    const fl_past *p = find_in(r, parents[i]);
    const fl_past_result *result = p ? result_before(r, p->number, past->seq) : NULL;
    fl_vars *vars = NULL;
    if (result && result->vars_out)
      rc = load_vars(run->replay, result->vars_out, result->vars_by, parents[i], false, &vars, err);
    else
      vars = fl_vars_ref(run->nodes[parents[i]].vars);
    if (vars) sources[found++] = (fl_vars_source){fl_run_get_name(run, parents[i]), vars};
  }
  if (!rc && found)
    rc = fl_vars_merge(run->flow, node, fl_graph_get_options(run->flow->graph, node)->merge,
                       sources, found, out, err);
  else if (!rc)
    *out = fl_vars_ref(run->vars);
  for (uint32_t i = 0; i < found; i++) fl_vars_unref(sources[i].vars);
  free(sources);
  return rc;
}

fl_code fl_replay_get_vars(fl_run *run, uint32_t node, fl_vars **out, fl_error *err) {
  const fl_past *past = sees_past(run) ? fl_replay_find(run, node) : NULL;
  fl_vars *today = NULL;
  fl_error ignored;
  if (past && !past->attempt && past->seq && node < run->graph_count)
    return merge_past(run, node, out, err);
  if (!past || !past->attempt || !past->vars_in)
    return fl_run_merge_vars(run, node, false, out, err);
  fl_code rc = load_vars(run->replay, past->vars_in, past->vars_by, node, true, out, err);
  if (rc) return rc;
  // The same as today's as a rule: those know who set what.
  if (!fl_run_merge_vars(run, node, true, &today, &ignored) &&
      fl_value_equal(today->map, (*out)->map)) {
    fl_vars_unref(*out);
    *out = today;
  } else {
    fl_vars_unref(today);
  }
  return FL_OK;
}

// ------------------------------------------------------------------------------------- the rest

static fl_code load_params(fl_attempt *a, fl_error *err) {
  const fl_replay *r;
  const fl_past *past = find_params(a->run, a->node, &r);
  int64_t params = 0;
  if (!past) return FL_OK;
  for (size_t i = 0; i < r->input_count && r->inputs[i].epoch <= past->epoch; i++)
    params = r->inputs[i].params;
  if (!params || params == a->run->params->store_id) return FL_OK;
  return fl_replay_load_value(r, params, &a->params, err);
}

static fl_code load_list(fl_replay *r, int64_t id, json_t **out, fl_error *err) {
  fl_value *v = NULL;
  fl_code rc = fl_replay_load_value(r, id, &v, err);
  *out = v ? fl_value_to_json(v) : NULL;
  fl_value_unref(v);
  return rc;
}

fl_code fl_replay_prepare(fl_attempt *a, fl_error *err) {
  const fl_past *past = fl_replay_find(a->run, a->node);
  json_t *list = NULL, *first = NULL;
  fl_code rc = sees_past(a->run) ? load_params(a, err) : FL_OK;
  if (rc || !past) return rc;
  rc = load_list(a->run->replay, past->recorded, &list, err);
  if (!rc && past->first_recorded && past->first_recorded != past->recorded) {
    rc = load_list(a->run->replay, past->first_recorded, &first, err);
    list = fl_recorded_prepend(list, first);
    json_decref(first);
  }
  if (!rc && !past->attempt && past->when_recorded) list = json_loads(past->when_recorded, 0, NULL);
  if (rc)
    json_decref(list);
  else
    fl_recorded_init(&a->recorded, list);
  return rc;
}

fl_code fl_replay_get_input(fl_attempt *a, uint32_t parent, bool *known, fl_value **out,
                            fl_error *err) {
  const fl_replay *r = NULL;
  const fl_past *mine = sees_past(a->run) ? find_source(a->run, a->node, &r) : NULL;
  const fl_past *past = mine ? find_in(r, parent) : NULL;
  *out = NULL;
  *known = past;
  if (!past) return FL_OK;
  const fl_past_result *result = result_before(r, past->number, mine->seq);
  return result ? fl_replay_load_value(r, result->outputs, out, err) : FL_OK;
}

fl_code fl_replay_get_items(fl_attempt *a, bool *known, fl_value ***items, size_t *count,
                            fl_error *err) {
  const fl_replay *r = a->run->replay;
  *items = NULL;
  *count = 0;
  *known = false;
  if (!sees_past(a->run) || !is_same_script(r)) return FL_OK;
  fl_code rc = FL_OK;
  *items = fl_alloc_zero(r->item_count + 1, sizeof **items);
  for (size_t i = 0; i < r->item_count && !rc; i++) {
    const fl_past *p = &r->items[i];
    if (p->map != a->node || p->omitted) continue;
    *known = true;
    fl_value *item = NULL;
    rc = fl_replay_load_value(r, p->item, &item, err);
    (*items)[(*count)++] = item ? item : fl_value_null();
  }
  // Not asked for, and still part of what the list was made from.
  fl_value *rest = *known ? fl_recorded_get_rest(&a->recorded) : NULL;
  if (rest) {
    if (a->record.size) fl_buf_add_char(&a->record, ',');
    fl_buf_add(&a->record, rest->text + 1, rest->size - 2);
  }
  fl_value_unref(rest);
  return rc;
}

fl_code fl_replay_get_child(fl_attempt *a, int64_t *child, fl_value **params, fl_error *err) {
  const fl_past *past = fl_replay_find(a->run, a->node);
  fl_run_row row;
  *child = 0;
  if (!past || !past->child_run) return FL_OK;
  fl_code rc = fl_store_get_run(a->scheduler->store, past->child_run, &row, err);
  if (rc) return rc;
  *child = past->child_run;
  if (sees_past(a->run) && is_same_script(a->run->replay)) {
    fl_value_unref(*params);
    *params = NULL;
    rc = fl_replay_load_value(a->run->replay, row.params, params, err);
    if (!rc && !*params) *params = fl_value_empty_map();
  }
  fl_run_row_deinit(&row);
  return rc;
}

fl_code fl_replay_get_given(const fl_run *run, uint32_t node, fl_value **out, fl_error *err) {
  return fl_replay_load_value(run->replay, fl_replay_find(run, node)->given, out, err);
}
