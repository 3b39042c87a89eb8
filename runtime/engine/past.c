// Reads the run that is repeated: what its records say of every node.
//
// Nodes of then and of today are matched by name. The context of then is the one of the last
// attempt that succeeded, else of the last: what the parents had given by the time it was claimed.
#include "engine/replay_internal.h"

#define GROW(list, count, capacity)                                                                \
  ((count) == (capacity)                                                                           \
       ? ((capacity) = (capacity) ? 2 * (capacity) : 64,                                           \
          (list) = fl_realloc((list), (capacity) * sizeof *(list)), &(list)[(count)++])            \
       : &(list)[(count)++])

fl_code fl_replay_load_value(const fl_replay *r, int64_t id, fl_value **out, fl_error *err) {
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

static bool see_item(void *ud, const fl_item_row *row) {
  fl_replay *r = ud;
  const fl_past *map = past_of(r, row->map_node);
  if (!map) return true;
  *GROW(r->items, r->item_count, r->item_capacity) = (fl_past){.known = true,
                                                               .number = row->node,
                                                               .map = (uint32_t)(map - r->nodes),
                                                               .position = row->position,
                                                               .item = row->value};
  return true;
}

int fl_past_by_place(const void *a, const void *b) {
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
  if (succeeded || row->outputs) // a map gives what it has, too
    *GROW(r->results, r->result_count, r->result_capacity) =
        (fl_past_result){row->node, end_seq, row->outputs, row->vars_out, row->vars_by};
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
    *GROW(r->resets, r->reset_count, r->reset_capacity) = (fl_past_reset){row->node, row->seq};
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
  if (!rc) rc = fl_store_each_item(r->store, then, see_item, r, err);
  if (r->item_count) qsort(r->items, r->item_count, sizeof *r->items, fl_past_by_place);
  for (size_t i = 0; i < r->item_count; i++) note_number(r, r->items[i].number, &r->items[i]);
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
  for (int i = 0; i < FL_PAST_VARS; i++) fl_vars_unref(r->slots[i].vars);
  fl_run_row_deinit(&r->then);
  for (uint32_t i = 0; i < r->node_count; i++) free(r->nodes[i].when_recorded);
  for (size_t i = 0; i < r->item_count; i++) free(r->items[i].when_recorded);
  free(r->nodes);
  free(r->items);
  free(r->by_number);
  free(r->results);
  free(r->resets);
  free(r->inputs);
  free(r);
}
