// Reads a run's history and says of every node whether it is kept, skipped or run again. Pure but
// for reading: `resume --plan` shows just this.
#include "engine/restore.h"
#include "base/bug.h"
#include "engine/replay.h"

// ------------------------------------------------------------------------------------- reading

static bool see_instance(void *ud, const fl_instance_row *row) {
  fl_restore *r = ud;
  fl_value *item = NULL;
  fl_error err;
  uint32_t map = fl_run_find_number(r->run, row->map_node);
  bool gone = map == FL_NODE_NONE || map >= r->run->graph_count ||
              fl_graph_get_options(r->run->flow->graph, map)->kind != FL_KIND_MAP;
  if (gone) return true; // a mended script has no such map any more
  if (fl_store_get_value(r->scheduler->store, row->item, &item, &err)) return false;
  char name[FL_ID_SIZE_MAX + 32]; // the map may have been renamed
  snprintf(name, sizeof name, "%s[%u]", fl_run_get_name(r->run, map), row->position);
  uint32_t node = fl_run_add_instance(r->run, map, row->position, name, item, FL_NODE_PENDING);
  if (r->run->numbers.of_node) fl_run_set_number(r->run, node, row->node);
  fl_value_unref(item);
  return true;
}

static fl_node_state state_of(const fl_attempt_row *row) {
  switch (row->state) {
  case FL_ATTEMPT_QUEUED: return FL_NODE_QUEUED;
  case FL_ATTEMPT_RUNNING: return FL_NODE_RUNNING;
  case FL_ATTEMPT_SUCCEEDED: return FL_NODE_SUCCEEDED;
  case FL_ATTEMPT_SKIPPED: return FL_NODE_SKIPPED;
  case FL_ATTEMPT_CANCELLED: return FL_NODE_CANCELLED;
  default: return row->retry_at_ms ? FL_NODE_RETRYING : FL_NODE_FAILED;
  }
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
                      .state = state_of(row),
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

static fl_code read_overlays(fl_restore *r, fl_error *err) {
  r->overlays = fl_alloc_zero(r->epoch_count + 1, sizeof *r->overlays);
  for (size_t i = 0; i < r->epoch_count; i++) {
    fl_value *patch;
    if (!r->epochs[i].patch) continue;
    fl_code rc = fl_store_get_value(r->scheduler->store, r->epochs[i].patch, &patch, err);
    if (rc) return rc;
    json_t *json = fl_value_to_json(patch), *vars = json_object_get(json, "vars");
    if (json_object_size(vars)) r->overlays[i] = fl_value_from_json(vars);
    json_decref(json);
    fl_value_unref(patch);
  }
  return FL_OK;
}

static fl_code read_history(fl_restore *r, fl_error *err) {
  fl_store *store = r->scheduler->store;
  int64_t row = r->run->row.row;
  fl_code rc = fl_run_match_nodes(r->run, r->spec->renamed, &r->former, err);
  if (!rc) rc = fl_store_each_instance(store, row, see_instance, r, err);
  r->count = fl_plan_get_count(r->run->plan);
  r->past = fl_alloc_zero(r->count + 1, sizeof *r->past);
  r->actions = fl_alloc_zero(r->count + 1, sizeof *r->actions);
  r->reasons = fl_alloc_zero(r->count + 1, sizeof *r->reasons);
  r->changed = fl_alloc_zero(r->run->graph_count + 1, 1);
  if (!rc) rc = fl_store_each_attempt(store, row, see_attempt, r, err);
  if (!rc) rc = fl_store_each_decision(store, row, see_decision, r, err);
  if (!rc) rc = fl_store_each_claim(store, row, see_claim, r, err);
  if (!rc) rc = fl_store_each_epoch(store, row, see_epoch, r, err);
  return rc ? rc : read_overlays(r, err);
}

// ------------------------------------------------------------------------------------- vars

// Nodes mostly share their vars: a small table by row ids spares reading them again.
typedef struct vars_slot {
  int64_t map, by;
  uint32_t epoch;
  fl_vars *vars;
} vars_slot;
#define VARS_SLOTS 1024

static fl_vars *apply_overlays(fl_restore *r, fl_vars *v, uint32_t after_epoch) {
  for (size_t i = 0; i < r->epoch_count; i++) {
    if (!r->overlays[i] || r->epochs[i].epoch <= after_epoch) continue;
    fl_vars *next = fl_vars_overlay(v, r->overlays[i]);
    fl_vars_unref(v);
    v = next;
  }
  if (!r->spec->vars) return v;
  fl_vars *next = fl_vars_overlay(v, r->spec->vars);
  fl_vars_unref(v);
  return next;
}

fl_value *fl_restore_get_patched(fl_restore *r, uint32_t epoch) {
  fl_vars *v = fl_vars_new(fl_value_empty_map(), fl_value_empty_map());
  v = apply_overlays(r, v, epoch);
  fl_value *map = v->map == fl_value_empty_map() ? NULL : fl_value_ref(v->map);
  fl_vars_unref(v);
  return map;
}

static fl_code load_vars(fl_restore *r, vars_slot *slots, int64_t map, int64_t by, uint32_t epoch,
                         fl_vars **out, fl_error *err) {
  vars_slot *slot = &slots[(size_t)(map * 31 + by * 7 + epoch) % VARS_SLOTS];
  fl_value *m = NULL, *b = NULL;
  if (!slot->vars || slot->map != map || slot->by != by || slot->epoch != epoch) {
    fl_code rc = fl_store_get_value(r->scheduler->store, map, &m, err);
    if (!rc) rc = fl_store_get_value(r->scheduler->store, by, &b, err);
    if (rc) return fl_value_unref(m), rc;
    fl_vars *v = fl_vars_new(m ? m : fl_value_empty_map(), b ? b : fl_value_empty_map());
    fl_vars_unref(slot->vars);
    *slot = (vars_slot){.map = map, .by = by, .epoch = epoch, .vars = apply_overlays(r, v, epoch)};
  }
  *out = fl_vars_ref(slot->vars);
  return FL_OK;
}

static fl_code restore_vars(fl_restore *r, fl_error *err) {
  fl_run *run = r->run;
  vars_slot *slots = fl_alloc_zero(VARS_SLOTS, sizeof *slots);
  fl_code rc = load_vars(r, slots, run->row.vars, 0, 0, &run->vars, err);
  const uint32_t *order = fl_graph_get_order(run->flow->graph);
  for (uint32_t i = 0; i < r->count && !rc; i++) {
    uint32_t node = i < run->graph_count ? order[i] : i;
    fl_node_past *p = &r->past[node];
    fl_node_run *n = &run->nodes[node];
    if (r->actions[node] == FL_RESUME_RUN) continue;
    if (p->state == FL_NODE_SUCCEEDED && p->vars_out)
      rc = load_vars(r, slots, p->vars_out, p->vars_by, p->epoch, &n->vars, err);
    else if (fl_run_merge_vars(run, node, true, &n->vars, err))
      n->vars = fl_vars_ref(run->vars);
  }
  for (int i = 0; i < VARS_SLOTS; i++) fl_vars_unref(slots[i].vars);
  free(slots);
  return rc;
}

// ------------------------------------------------------------------------------------- deciding

static void set(fl_restore *r, uint32_t node, fl_resume_action action, fl_reason reason) {
  r->actions[node] = action;
  r->reasons[node] = reason;
}

static bool is_derived(fl_reason reason) {
  return reason == FL_REASON_UPSTREAM_SKIPPED || reason == FL_REASON_UPSTREAM_OMITTED ||
         reason == FL_REASON_UPSTREAM_FAILED || reason == FL_REASON_TRIGGER_NOT_MET ||
         reason == FL_REASON_BRANCH_NOT_CHOSEN;
}

// The name that the node had in the flow as it was.
static const char *former_name(fl_restore *r, uint32_t node) {
  const char *renamed = r->spec->renamed ? r->spec->renamed[node] : NULL;
  return renamed ? renamed : fl_graph_get_name(r->run->flow->graph, node);
}

static uint32_t former_node(fl_restore *r, uint32_t node) {
  const char *name = former_name(r, node);
  return fl_graph_find(r->spec->before->graph, name, strlen(name));
}

static bool is_new(fl_restore *r, uint32_t node) {
  if (!r->spec->before || node >= r->run->graph_count) return false;
  return former_node(r, node) == FL_NODE_NONE;
}

static bool chose(fl_restore *r, uint32_t branch, const char *name) {
  fl_value *chosen = NULL;
  fl_error err;
  if (fl_store_get_value(r->scheduler->store, r->past[branch].outputs, &chosen, &err)) return true;
  json_t *list = chosen ? fl_value_to_json(chosen) : NULL, *item;
  size_t at;
  bool found = !json_is_array(list);
  json_array_foreach(list, at, item) found |= !strcmp(json_string_value(item), name);
  json_decref(list);
  fl_value_unref(chosen);
  return found;
}

// A branch that is kept keeps its choice, whatever else before the node runs again.
static bool stays_omitted(fl_restore *r, uint32_t node) {
  const fl_graph *g = r->run->flow->graph;
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(g, node, &count);
  for (uint32_t i = 0; i < count; i++)
    if (fl_graph_get_options(g, parents[i])->kind == FL_KIND_BRANCH &&
        r->actions[parents[i]] == FL_RESUME_KEEP &&
        r->past[parents[i]].state == FL_NODE_SUCCEEDED &&
        !chose(r, parents[i], fl_graph_get_name(g, node)))
      return true;
  return false;
}

static bool parent_runs(fl_restore *r, uint32_t node) {
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(r->run->flow->graph, node, &count);
  for (uint32_t i = 0; i < count; i++)
    if (r->actions[parents[i]] == FL_RESUME_RUN) return true;
  return false;
}

// Its end will be another, or may be.
static bool moves(const fl_restore *r, uint32_t node) {
  fl_node_state was = r->past[node].state;
  if (r->actions[node] == FL_RESUME_RUN) return true;
  if (r->reasons[node] == FL_REASON_SUCCEED_ASKED) return was != FL_NODE_SUCCEEDED;
  if (r->actions[node] == FL_RESUME_KEEP) return false;
  bool omitted = r->reasons[node] == FL_REASON_BRANCH_NOT_CHOSEN;
  return was != (omitted ? FL_NODE_OMITTED : FL_NODE_SKIPPED);
}

// Skipped or omitted, and nothing that this follows from is another now.
static bool stays_left_out(fl_restore *r, uint32_t node) {
  const fl_node_past *p = &r->past[node];
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(r->run->flow->graph, node, &count);
  if (p->state != FL_NODE_SKIPPED && p->state != FL_NODE_OMITTED) return false;
  for (uint32_t i = 0; i < count && is_derived(p->reason); i++)
    if (moves(r, parents[i])) return false;
  return true;
}

static bool is_marked(const uint8_t *marks, uint32_t node) {
  return marks && marks[node];
}

static void decide_kept(fl_restore *r, uint32_t node, bool in_graph) {
  bool behind = in_graph && parent_runs(r, node);
  set(r, node, FL_RESUME_KEEP, behind ? FL_REASON_KEPT_BEHIND : FL_REASON_KEPT);
}

static bool decide_as_asked(fl_restore *r, uint32_t node) {
  const fl_resume_spec *spec = r->spec;
  if (is_marked(spec->rerun, node))
    set(r, node, FL_RESUME_RUN, FL_REASON_RERUN_ASKED);
  else if (is_marked(spec->skip, node))
    set(r, node, FL_RESUME_SKIP, FL_REASON_SKIP_ASKED);
  else if (is_marked(spec->succeed, node))
    set(r, node, FL_RESUME_KEEP, FL_REASON_SUCCEED_ASKED);
  else
    return false;
  return true;
}

static void decide(fl_restore *r, uint32_t node) {
  fl_node_past *p = &r->past[node];
  bool in_graph = node < r->run->graph_count;
  bool hook = in_graph && fl_graph_get_options(r->run->flow->graph, node)->hook;
  if (in_graph && decide_as_asked(r, node)) return;
  bool left_out = in_graph && stays_left_out(r, node);
  if (in_graph && p->state != FL_NODE_SUCCEEDED && !left_out && stays_omitted(r, node))
    return set(r, node, p->state == FL_NODE_OMITTED ? FL_RESUME_KEEP : FL_RESUME_SKIP,
               FL_REASON_BRANCH_NOT_CHOSEN);
  if (hook && r->was_final) return set(r, node, FL_RESUME_RUN, FL_REASON_HOOK);
  if (FL_BUG(succeeded_runs_again) && in_graph && p->state == FL_NODE_SUCCEEDED)
    return set(r, node, FL_RESUME_RUN, FL_REASON_RESUME_UNFINISHED);
  if (FL_BUG(item_runs_twice) && !in_graph && p->state == FL_NODE_SUCCEEDED)
    return set(r, node, FL_RESUME_RUN, FL_REASON_RESUME_UNFINISHED);
  if (FL_BUG(skip_forgotten) && p->reason == FL_REASON_SKIP_ASKED)
    return set(r, node, FL_RESUME_RUN, FL_REASON_RESUME_UNFINISHED);
  switch (p->state) {
  case FL_NODE_SUCCEEDED: return decide_kept(r, node, in_graph);
  case FL_NODE_SKIPPED:
  case FL_NODE_OMITTED:
    if (in_graph && !left_out) return set(r, node, FL_RESUME_RUN, FL_REASON_RERUN_UPSTREAM);
    return set(r, node, FL_RESUME_KEEP, p->reason);
  case FL_NODE_FAILED: return set(r, node, FL_RESUME_RUN, FL_REASON_RESUME_FAILED);
  case FL_NODE_PENDING:
    if (!p->seq && is_new(r, node)) return set(r, node, FL_RESUME_RUN, FL_REASON_ADDED);
    return set(r, node, FL_RESUME_RUN, FL_REASON_RESUME_UNFINISHED);
  default: return set(r, node, FL_RESUME_RUN, FL_REASON_RESUME_UNFINISHED);
  }
}

// An instance is kept with its map, also one that was allowed to fail: nothing would start it. But
// a map that runs again by wish starts from its list.
static void decide_instance(fl_restore *r, uint32_t node, uint32_t map) {
  fl_node_past *p = &r->past[node];
  fl_resume_action action = r->actions[map];
  fl_reason reason = r->reasons[map];
  if (reason == FL_REASON_RERUN_ASKED) return set(r, node, FL_RESUME_RUN, reason);
  if (p->state == FL_NODE_SUCCEEDED || action == FL_RESUME_RUN) return decide(r, node);
  if (reason == FL_REASON_SUCCEED_ASKED ||
      (action == FL_RESUME_SKIP && reason == FL_REASON_SKIP_ASKED))
    return set(r, node, FL_RESUME_SKIP, FL_REASON_SKIP_ASKED);
  if (fl_past_is_live(p)) return decide(r, node); // its process may be there still
  if (action == FL_RESUME_SKIP) return set(r, node, action, reason);
  set(r, node, FL_RESUME_KEEP, p->reason ? p->reason : FL_REASON_INSTANCE);
}

// ------------------------------------------------------------------------------------- changes

static bool has_other_parents(fl_restore *r, uint32_t node, uint32_t was) {
  const fl_graph *now = r->run->flow->graph, *before = r->spec->before->graph;
  uint32_t count, former_count;
  const uint32_t *parents = fl_graph_get_parents(now, node, &count);
  const uint32_t *former = fl_graph_get_parents(before, was, &former_count);
  if (count != former_count) return true;
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(former_name(r, parents[i]), fl_graph_get_name(before, former[i]))) return true;
  return false;
}

// What gave a result that is kept may not be what the script says now: that is to be said.
static fl_code find_changed(fl_restore *r, fl_error *err) {
  const fl_flow *now = r->run->flow, *before = r->spec->before;
  fl_buf text, former;
  fl_code rc = FL_OK;
  if (!before) return FL_OK;
  fl_buf_init(&text, 16u << 20);
  fl_buf_init(&former, 16u << 20);
  for (uint32_t i = 0; i < r->run->graph_count && !rc; i++) {
    fl_reason reason = r->reasons[i];
    if (reason != FL_REASON_KEPT && reason != FL_REASON_KEPT_BEHIND) continue;
    uint32_t was = former_node(r, i);
    if (was == FL_NODE_NONE) continue; // comes back after it was removed
    fl_buf_reset(&text);
    fl_buf_reset(&former);
    rc = now->hooks->definition(now, i, &text, err);
    if (!rc) rc = before->hooks->definition(before, was, &former, err);
    if (rc) break;
    bool same = text.size == former.size && !memcmp(text.data, former.data, text.size);
    if (same && !has_other_parents(r, i, was)) continue;
    r->changed[i] = 1;
    bool asked = r->spec->keep_all || is_marked(r->spec->keep, i);
    r->reasons[i] = asked ? FL_REASON_KEEP_ASKED : FL_REASON_KEPT_CHANGED;
  }
  fl_buf_deinit(&text);
  fl_buf_deinit(&former);
  return rc;
}

fl_code fl_restore_open(fl_restore *r, fl_scheduler *s, const fl_run_row *row,
                        const fl_resume_spec *spec, fl_error *err) {
  *r = (fl_restore){.scheduler = s, .spec = spec, .was_final = fl_run_state_is_final(row->state)};
  fl_run *run = r->run = fl_run_new(s, spec->flow);
  run->row = *row;
  run->row.flow = fl_strdup(row->flow);
  run->row.trigger = fl_strdup(row->trigger);
  run->row.owner = fl_strdup(s->owner);
  run->row.error = NULL;
  run->row.selection = NULL;
  run->row.origin = NULL;
  run->parent = spec->parent;
  run->keep_all = spec->keep_all;
  fl_code rc = FL_OK;
  if (spec->params)
    run->params = fl_value_ref(spec->params);
  else
    rc = fl_store_get_value(s->store, row->params, &run->params, err);
  if (!rc) rc = read_history(r, err);
  if (!rc) rc = fl_replay_open(run, err);
  if (rc) return rc;
  const uint32_t *order = fl_graph_get_order(spec->flow->graph);
  for (uint32_t i = 0; i < run->graph_count; i++) decide(r, order[i]);
  for (uint32_t i = run->graph_count; i < r->count; i++)
    decide_instance(r, i, fl_plan_get_map(run->plan, i));
  rc = find_changed(r, err);
  return rc ? rc : restore_vars(r, err);
}

void fl_restore_close(fl_restore *r) {
  fl_run_free(r->run);
  fl_former_deinit(&r->former);
  for (size_t i = 0; i < r->epoch_count; i++) {
    free(r->epochs[i].supervisor);
    fl_value_unref(r->overlays ? r->overlays[i] : NULL);
  }
  free(r->epochs);
  free(r->overlays);
  free(r->past);
  free(r->actions);
  free(r->reasons);
  free(r->changed);
}
