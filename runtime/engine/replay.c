// Reads the run that is repeated, and hands out what its nodes were given.
//
// Nodes of then and of today are matched by name. The context of then is the one of the last
// attempt that succeeded, else of the last: what the parents had given by the time it was claimed.
#include "engine/replay.h"

/// A result of then.
typedef struct past_result {
  uint32_t number;
  int64_t end_seq, outputs, vars_out, vars_by;
} past_result;

/// A node of then that was to run again from this moment on: what it had given was gone.
typedef struct past_reset {
  uint32_t number;
  int64_t seq;
} past_reset;

#define VARS_SLOTS 256
typedef struct vars_slot {
  int64_t map, by;
  uint32_t node;
  fl_vars *vars;
} vars_slot;

struct fl_replay {
  fl_store *store;
  fl_run *run;
  fl_run_row then;
  fl_replay *before; // what `then` repeats: its nodes saw the contexts of that
  fl_past *nodes;    // by index today
  uint32_t node_count;
  fl_past *instances; // by map and position
  size_t instance_count, instance_capacity;
  fl_past **by_number; // of then
  uint32_t number_count;
  past_result *results; // by number, then seq
  size_t result_count, result_capacity;
  past_reset *resets;
  size_t reset_count, reset_capacity;
  fl_input_row *inputs; // by epoch
  size_t input_count, input_capacity;
  vars_slot slots[VARS_SLOTS];
};

#define GROW(list, count, capacity)                                                                \
  ((count) == (capacity)                                                                           \
       ? ((capacity) = (capacity) ? 2 * (capacity) : 64,                                           \
          (list) = fl_realloc((list), (capacity) * sizeof *(list)), &(list)[(count)++])            \
       : &(list)[(count)++])

// ------------------------------------------------------------------------------------- reading

static fl_code load_value(const fl_replay *r, int64_t id, fl_value **out, fl_error *err) {
  fl_code rc = fl_store_get_value(r->store, id, out, err);
  return fl_scheduler_check_read(r->run->scheduler, rc, err);
}

static void note_number(fl_replay *r, uint32_t number, fl_past *past) {
  if (number >= r->number_count) {
    uint32_t count = number + number / 2 + 64;
    r->by_number = fl_realloc(r->by_number, count * sizeof(fl_past *));
    for (uint32_t i = r->number_count; i < count; i++) r->by_number[i] = NULL;
    r->number_count = count;
  }
  r->by_number[number] = past;
}

static fl_past *past_of(fl_replay *r, uint32_t number) {
  return number < r->number_count ? r->by_number[number] : NULL;
}

static bool see_node(void *ud, const fl_definition_node_row *row) {
  fl_replay *r = ud;
  uint32_t node = fl_graph_find(r->run->flow->graph, row->name, strlen(row->name));
  if (node == FL_NODE_NONE || row->removed) return true;
  r->nodes[node] = (fl_past){.known = true, .number = row->node, .map = FL_NODE_NONE};
  note_number(r, row->node, &r->nodes[node]);
  return true;
}

static bool see_instance(void *ud, const fl_instance_row *row) {
  fl_replay *r = ud;
  const fl_past *map = past_of(r, row->map_node);
  if (!map) return true;
  *GROW(r->instances, r->instance_count, r->instance_capacity) =
      (fl_past){.known = true,
                .number = row->node,
                .map = (uint32_t)(map - r->nodes),
                .position = row->position,
                .item = row->item};
  return true;
}

static int by_place(const void *a, const void *b) {
  const fl_past *x = a, *y = b;
  if (x->map != y->map) return x->map < y->map ? -1 : 1;
  return x->position < y->position ? -1 : x->position > y->position;
}

static bool see_attempt(void *ud, const fl_attempt_row *row) {
  fl_replay *r = ud;
  fl_past *p = past_of(r, row->node);
  if (!p) return true;
  bool succeeded = row->state == FL_ATTEMPT_SUCCEEDED;
  int64_t end_seq = row->end_seq ? row->end_seq : row->seq;
  if (end_seq > p->last_seq) p->last_seq = end_seq;
  if (succeeded)
    *GROW(r->results, r->result_count, r->result_capacity) =
        (past_result){row->node, end_seq, row->outputs, row->vars_out, row->vars_by};
  if (row->synthetic) {
    p->is_given = !p->succeeded;
    p->given = row->outputs;
    return true;
  }
  if (row->number == 1) p->first_recorded = row->recorded;
  if (p->succeeded && !succeeded) return true;
  if (succeeded) p->is_given = false;
  p->attempt = row->number;
  p->succeeded = succeeded;
  p->epoch = row->epoch;
  p->seq = row->seq;
  p->vars_in = row->vars_in;
  p->vars_by = row->vars_by;
  p->recorded = row->recorded;
  if (row->child_run) p->child_run = row->child_run;
  if (row->item) p->item = row->item;
  return true;
}

// What was decided when the node's turn had come: its `when` saw a context, or that could not be
// made. Of what was decided before that (a parent failed) nobody has seen any.
static bool is_seen(const fl_decision_row *row) {
  return row->reason == FL_REASON_WHEN_FALSE ||
         (row->state == FL_NODE_FAILED &&
          (row->reason == FL_REASON_MERGE_CONFLICT || row->reason == FL_REASON_NOT_RETRYABLE));
}

static bool see_decision(void *ud, const fl_decision_row *row) {
  fl_replay *r = ud;
  fl_past *p = past_of(r, row->node);
  if (!p) return true;
  if (row->state == FL_NODE_PENDING)
    *GROW(r->resets, r->reset_count, r->reset_capacity) = (past_reset){row->node, row->seq};
  if (!p->attempt && is_seen(row)) {
    p->seq = row->seq;
    p->epoch = row->epoch;
    free(p->when_recorded);
    p->when_recorded = row->recorded ? fl_strdup(row->recorded) : NULL;
  }
  if (row->seq < p->last_seq) return true;
  p->last_seq = row->seq;
  p->decided = row->reason;
  p->omitted = row->state == FL_NODE_OMITTED;
  return true;
}

static bool see_input(void *ud, const fl_input_row *row) {
  fl_replay *r = ud;
  *GROW(r->inputs, r->input_count, r->input_capacity) = *row;
  return true;
}

static fl_code read_past(fl_replay *r, fl_error *err) {
  int64_t then = r->then.row;
  fl_code rc = fl_store_each_definition_node(r->store, r->then.definition, see_node, r, err);
  if (!rc) rc = fl_store_each_instance(r->store, then, see_instance, r, err);
  if (r->instance_count) qsort(r->instances, r->instance_count, sizeof *r->instances, by_place);
  for (size_t i = 0; i < r->instance_count; i++)
    note_number(r, r->instances[i].number, &r->instances[i]);
  if (!rc) rc = fl_store_each_attempt(r->store, then, see_attempt, r, err);
  if (!rc) rc = fl_store_each_decision(r->store, then, see_decision, r, err);
  if (!rc) rc = fl_store_each_input(r->store, then, see_input, r, err);
  return rc;
}

static fl_code open_level(fl_run *run, int64_t row, fl_replay **out, fl_error *err) {
  fl_store *store = run->scheduler->store;
  fl_run_row then;
  fl_code rc = fl_store_get_run(store, row, &then, err);
  if (rc == FL_E_NOT_FOUND)
    return fl_fail(err, FL_E_NOT_FOUND,
                   "run %s repeats a run that is not in the store any more: what its nodes saw is "
                   "gone",
                   run->row.id);
  if (rc) return rc;
  fl_replay *r = *out = fl_alloc_zero(1, sizeof *r);
  r->store = store;
  r->run = run;
  r->then = then;
  r->node_count = run->graph_count;
  r->nodes = fl_alloc_zero(run->graph_count + 1, sizeof *r->nodes);
  rc = read_past(r, err);
  // A repeat of a repeat: its nodes saw what those of the first one did.
  if (!rc && then.replay_of && !then.replay_live)
    rc = open_level(run, then.replay_of, &r->before, err);
  return rc;
}

fl_code fl_replay_open(fl_run *run, fl_error *err) {
  if (!run->row.replay_of) return FL_OK;
  return open_level(run, run->row.replay_of, &run->replay, err);
}

void fl_replay_free(fl_replay *r) {
  if (!r) return;
  fl_replay_free(r->before);
  for (int i = 0; i < VARS_SLOTS; i++) fl_vars_unref(r->slots[i].vars);
  fl_run_row_deinit(&r->then);
  for (uint32_t i = 0; i < r->node_count; i++) free(r->nodes[i].when_recorded);
  for (size_t i = 0; i < r->instance_count; i++) free(r->instances[i].when_recorded);
  free(r->nodes);
  free(r->instances);
  free(r->by_number);
  free(r->results);
  free(r->resets);
  free(r->inputs);
  free(r);
}

// ------------------------------------------------------------------------------------- asking

static const fl_past *find_in(const fl_replay *r, uint32_t node) {
  if (node < r->node_count) return r->nodes[node].known ? &r->nodes[node] : NULL;
  fl_past key = {.map = fl_plan_get_map(r->run->plan, node),
                 .position = fl_plan_get_position(r->run->plan, node)};
  if (!r->instance_count) return NULL;
  return bsearch(&key, r->instances, r->instance_count, sizeof key, by_place);
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

bool fl_replay_sees_past(const fl_run *run) {
  return run->replay && !run->row.replay_live;
}

bool fl_replay_holds_params(const fl_run *run, uint32_t node) {
  const fl_replay *r;
  return fl_replay_sees_past(run) && find_params(run, node, &r);
}

bool fl_replay_holds_vars(const fl_run *run, uint32_t node) {
  return fl_replay_sees_past(run) && find_sight(run->replay, node);
}

bool fl_replay_is_unselected(const fl_run *run, uint32_t node) {
  const fl_past *p = fl_replay_find(run, node);
  return p && p->decided == FL_REASON_NOT_SELECTED;
}

// What the node called `number` had last given before `seq`; NULL: nothing that still held.
static const past_result *result_before(const fl_replay *r, uint32_t number, int64_t seq) {
  size_t low = 0, high = r->result_count;
  while (low < high) { // the first one past what is asked for
    size_t middle = (low + high) / 2;
    const past_result *p = &r->results[middle];
    if (p->number < number || (p->number == number && p->end_seq < seq))
      low = middle + 1;
    else
      high = middle;
  }
  const past_result *found = low ? &r->results[low - 1] : NULL;
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
  fl_value *v = fl_value_from_json(by);
  json_decref(by);
  return v;
}

static fl_code load_vars(fl_replay *r, int64_t map, int64_t by, uint32_t node, bool seen,
                         fl_vars **out, fl_error *err) {
  vars_slot *slot = &r->slots[(size_t)(map * 31 + by * 7) % VARS_SLOTS];
  uint32_t owner = seen && by ? node : FL_NODE_NONE; // whose settings were taken out
  fl_value *m = NULL, *b = NULL;
  if (!slot->vars || slot->map != map || slot->by != by || slot->node != owner) {
    fl_code rc = load_value(r, map, &m, err);
    if (!rc) rc = load_value(r, by, &b, err);
    if (rc) return fl_value_unref(m), rc;
    if (seen) {
      fl_value *before = setters_before(r->run, node, b);
      fl_value_unref(b);
      b = before;
    }
    fl_vars_unref(slot->vars);
    *slot = (vars_slot){.map = map, .by = by, .node = owner};
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
    const past_result *result = p ? result_before(r, p->number, past->seq) : NULL;
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
  const fl_past *past = fl_replay_sees_past(run) ? fl_replay_find(run, node) : NULL;
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
  return load_value(r, params, &a->params, err);
}

static fl_code load_list(fl_replay *r, int64_t id, json_t **out, fl_error *err) {
  fl_value *v = NULL;
  fl_code rc = load_value(r, id, &v, err);
  *out = v ? fl_value_to_json(v) : NULL;
  fl_value_unref(v);
  return rc;
}

fl_code fl_replay_prepare(fl_attempt *a, fl_error *err) {
  const fl_past *past = fl_replay_find(a->run, a->node);
  json_t *list = NULL, *first = NULL;
  fl_code rc = fl_replay_sees_past(a->run) ? load_params(a, err) : FL_OK;
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
  const fl_past *mine = fl_replay_sees_past(a->run) ? find_source(a->run, a->node, &r) : NULL;
  const fl_past *past = mine ? find_in(r, parent) : NULL;
  *out = NULL;
  *known = past;
  if (!past) return FL_OK;
  const past_result *result = result_before(r, past->number, mine->seq);
  return result ? load_value(r, result->outputs, out, err) : FL_OK;
}

fl_code fl_replay_get_items(fl_attempt *a, bool *known, fl_value ***items, size_t *count,
                            fl_error *err) {
  const fl_replay *r = a->run->replay;
  *items = NULL;
  *count = 0;
  *known = false;
  if (!fl_replay_sees_past(a->run) || !is_same_script(r)) return FL_OK;
  fl_code rc = FL_OK;
  *items = fl_alloc_zero(r->instance_count + 1, sizeof **items);
  for (size_t i = 0; i < r->instance_count && !rc; i++) {
    const fl_past *p = &r->instances[i];
    if (p->map != a->node || p->omitted) continue;
    *known = true;
    fl_value *item = NULL;
    rc = load_value(r, p->item, &item, err);
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
  if (fl_replay_sees_past(a->run) && is_same_script(a->run->replay)) {
    fl_value_unref(*params);
    *params = NULL;
    rc = load_value(a->run->replay, row.params, params, err);
    if (!rc && !*params) *params = fl_value_empty_map();
  }
  fl_run_row_deinit(&row);
  return rc;
}

void fl_replay_give(fl_attempt *a) {
  const fl_past *past = fl_replay_find(a->run, a->node);
  fl_value *outputs = NULL;
  fl_error err;
  fl_outcome o = {.state = FL_ATTEMPT_SUCCEEDED, .reason = FL_REASON_SYNTHETIC, .exit_code = -1};
  if (load_value(a->run->replay, past->given, &outputs, &err)) {
    o.state = FL_ATTEMPT_FAILED;
    o.error = err.message;
    o.no_retry = true;
  }
  o.outputs = outputs;
  fl_attempt_end(a, &o);
  fl_value_unref(outputs);
}
