// Reads a run's history: what is said last of every node, and what patches said of all of them.
#include "engine/resume/resume_internal.h"

static bool see_item(void *ud, const fl_item_row *row) {
  fl_restore *r = ud;
  fl_value *value = NULL;
  uint32_t map = fl_run_find_number(r->run, row->map_node);
  bool gone = map == FL_NODE_NONE || map >= r->run->graph_count ||
              fl_graph_get_options(r->run->flow->graph, map)->kind != FL_KIND_MAP;
  if (gone) return true; // a mended script has no such map any more
  if (fl_store_get_value(r->scheduler->store, row->value, &value, &r->damage)) return false;
  char name[FL_ID_SIZE_MAX + 32]; // the map may have been renamed
  snprintf(name, sizeof name, "%s[%u]", fl_run_get_name(r->run, map), row->position);
  uint32_t node = fl_run_add_item(r->run, map, row->position, name, value, FL_NODE_PENDING);
  if (r->run->numbers.of_node) fl_run_set_number(r->run, node, row->node);
  fl_value_unref(value);
  return true;
}

static bool see_attempt(void *ud, const fl_attempt_row *row) {
  fl_restore *r = ud;
  int64_t seq = row->end_seq ? row->end_seq : row->seq;
  if (seq > r->run->seq) r->run->seq = seq;
  uint32_t node = fl_run_find_number(r->run, row->node);
  if (node == FL_NODE_NONE) return true; // a mended script has it no more
  fl_node_past *p = &r->past[node];
  uint32_t lost = row->state == FL_ATTEMPT_LOST ? p->lost + 1 : 0;
  if (row->end_reason == FL_REASON_RERUN_UPSTREAM) lost = p->lost; // it was only taken back
  *p = (fl_node_past){.seq = seq,
                      .number = row->number,
                      .epoch = row->epoch,
                      .attempt = row->state,
                      .has_attempt = true,
                      .state = fl_node_state_of(row->state, row->retry_at_ms),
                      .reason = row->end_reason,
                      .lost = lost,
                      .claim_seq = row->seq,
                      .claimed_ms = row->claimed_ms,
                      .started_ms = row->started_ms,
                      .vars_in = row->vars_in,
                      .vars_out = row->vars_out,
                      .vars_by = row->vars_by,
                      .outputs = row->outputs,
                      .gave = row->state == FL_ATTEMPT_SUCCEEDED ? row->outputs : p->gave,
                      .synthetic = row->synthetic,
                      .queued_for = row->state == FL_ATTEMPT_QUEUED ? row->reason : FL_REASON_NONE,
                      .child_run = row->child_run ? row->child_run : p->child_run};
  return true;
}

static bool see_decision(void *ud, const fl_decision_row *row) {
  fl_restore *r = ud;
  if (row->seq > r->run->seq) r->run->seq = row->seq;
  uint32_t node = fl_run_find_number(r->run, row->node);
  if (node == FL_NODE_NONE || row->seq < r->past[node].seq) return true;
  fl_node_past *p = &r->past[node];
  p->seq = row->seq;
  p->state = row->state;
  p->reason = row->reason;
  p->decided = true;
  bool anew = row->state == FL_NODE_PENDING && row->reason == FL_REASON_RERUN_ASKED;
  p->anew_epoch = anew ? row->epoch : 0;
  return true;
}

// A claim without a row: recorded before it started, and nothing is known of its end.
static bool see_claim(void *ud, uint32_t node_number, uint32_t number, int64_t at_ms) {
  fl_restore *r = ud;
  uint32_t node = fl_run_find_number(r->run, node_number);
  if (node == FL_NODE_NONE || number <= r->past[node].number) return true;
  fl_node_past *p = &r->past[node];
  *p = (fl_node_past){.seq = ++r->run->seq,
                      .number = number,
                      .epoch = r->run->row.epoch,
                      .attempt = FL_ATTEMPT_QUEUED,
                      .has_attempt = true,
                      .unrecorded = true,
                      .state = FL_NODE_QUEUED,
                      .lost = p->lost,
                      .claim_seq = r->run->seq,
                      .claimed_ms = at_ms,
                      .child_run = p->child_run,
                      .gave = p->gave};
  return true;
}

static bool see_epoch(void *ud, const fl_epoch_row *row) {
  fl_restore *r = ud;
  r->epochs = fl_realloc(r->epochs, (r->epoch_count + 1) * sizeof *r->epochs);
  r->epochs[r->epoch_count++] =
      (fl_epoch_row){.epoch = row->epoch,
                     .patch = row->patch,
                     .supervisor = fl_strdup(row->supervisor ? row->supervisor : "")};
  return true;
}

static bool see_input(void *ud, const fl_input_row *row) {
  fl_restore *r = ud;
  r->inputs = fl_realloc(r->inputs, (r->input_count + 1) * sizeof *r->inputs);
  r->inputs[r->input_count++] = *row;
  return true;
}

static fl_code read_overlays(fl_restore *r, fl_error *err) {
  r->overlays = fl_alloc_zero(r->epoch_count + 1, sizeof *r->overlays);
  r->keeps = fl_alloc_zero(r->epoch_count + 1, 1);
  r->mends = fl_alloc_zero(r->epoch_count + 1, 1);
  for (size_t i = 0; i < r->epoch_count; i++) {
    fl_value *patch;
    if (!r->epochs[i].patch) continue;
    fl_code rc = fl_store_get_value(r->scheduler->store, r->epochs[i].patch, &patch, err);
    if (rc) return rc;
    json_t *json = fl_value_to_json(patch), *vars = json_object_get(json, "vars");
    if (json_object_size(vars))
      rc = fl_value_from_json(vars, "the vars of a patch are", &r->overlays[i], err);
    r->mends[i] = json_object_size(vars) || json_object_size(json_object_get(json, "options"));
    r->keeps[i] = json_is_true(json_object_get(json, "keep_checkpoint"));
    json_decref(json);
    fl_value_unref(patch);
    if (rc) return rc;
  }
  return FL_OK;
}

fl_code fl_restore_read(fl_restore *r, fl_error *err) {
  fl_store *store = r->scheduler->store;
  int64_t row = r->run->row.row;
  fl_code rc = fl_run_match_nodes(r->run, r->spec->renamed, &r->former, err);
  if (!rc) rc = fl_store_each_item(store, row, see_item, r, err);
  if (!rc && r->damage.code) rc = (*err = r->damage).code;
  r->count = fl_plan_get_count(r->run->plan);
  r->past = fl_alloc_zero(r->count + 1, sizeof *r->past);
  r->actions = fl_alloc_zero(r->count + 1, sizeof *r->actions);
  r->reasons = fl_alloc_zero(r->count + 1, sizeof *r->reasons);
  r->changed = fl_alloc_zero(r->run->graph_count + 1, 1);
  if (!rc) rc = fl_store_each_attempt(store, row, see_attempt, r, err);
  if (!rc) rc = fl_store_each_decision(store, row, see_decision, r, err);
  if (!rc) rc = fl_store_each_claim(store, row, see_claim, r, err);
  if (!rc) rc = fl_store_each_epoch(store, row, see_epoch, r, err);
  if (!rc) rc = fl_store_each_input(store, row, see_input, r, err);
  return rc ? rc : read_overlays(r, err);
}
