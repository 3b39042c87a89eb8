// Continues a run at its breakpoint: takes it over, keeps what succeeded, finds out about what was
// running, and queues the rest.
#include "engine/replay.h"
#include "engine/resume/resume_internal.h"
#include "base/bug.h"

static fl_code record_pending(fl_restore *r, uint32_t node, fl_node_state state, fl_error *err) {
  fl_run *run = r->run;
  fl_decision_row d = {.run = run->row.row,
                       .node = fl_run_get_number(run, node),
                       .seq = ++run->seq,
                       .epoch = run->row.epoch,
                       .state = state,
                       .reason = r->reasons[node],
                       .at_ms = fl_now(r->scheduler)};
  return fl_store_add_decision(r->scheduler->store, &d, err);
}

// Outputs set by hand are an attempt of their own kind: history only grows.
static fl_code record_synthetic(fl_restore *r, uint32_t node, fl_value *outputs, fl_error *err) {
  fl_run *run = r->run;
  fl_node_run *n = &run->nodes[node];
  fl_store *store = r->scheduler->store;
  bool item = node >= run->graph_count;
  fl_code rc = fl_store_put_value(store, outputs, err);
  if (!rc && n->vars) rc = fl_store_put_value(store, n->vars->map, err);
  if (!rc && n->vars) rc = fl_store_put_value(store, n->vars->by, err);
  if (rc) return rc;
  int64_t now = fl_now(r->scheduler);
  int64_t seq = ++run->seq;
  fl_attempt_row row = {.run = run->row.row,
                        .node = fl_run_get_number(run, node),
                        .number = ++n->attempts,
                        .epoch = run->row.epoch,
                        .seq = seq,
                        .end_seq = ++run->seq,
                        .state = FL_ATTEMPT_SUCCEEDED,
                        .reason = FL_REASON_SYNTHETIC,
                        .end_reason = FL_REASON_SYNTHETIC,
                        .claimed_ms = now,
                        .started_ms = now,
                        .ended_ms = now,
                        .exit_code = -1,
                        .outputs = outputs->store_id,
                        .item = item ? fl_run_get_item_value(run, node)->store_id : 0,
                        .vars_in = n->vars ? n->vars->map->store_id : 0,
                        .vars_out = n->vars ? n->vars->map->store_id : 0,
                        .vars_by = n->vars ? n->vars->by->store_id : 0,
                        .synthetic = true,
                        .log = {.path = ""}};
  fl_run_set_outputs(run, node, outputs);
  return fl_store_add_attempt(store, &row, err);
}

// A rerun starts from nothing.
static fl_code forget_saved(fl_restore *r, uint32_t node, fl_error *err) {
  fl_store *store = r->scheduler->store;
  int64_t run = r->run->row.row;
  uint32_t number = fl_run_get_number(r->run, node);
  fl_code rc = fl_store_drop_steps(store, run, number, err);
  return rc ? rc : fl_store_put_checkpoint(store, run, number, 0, 0, NULL, err);
}

static fl_code keep_node(fl_restore *r, uint32_t node, fl_error *err) {
  fl_node_past *p = &r->past[node];
  fl_node_state state = p->state;
  bool in_graph = node < r->run->graph_count;
  if (r->reasons[node] == FL_REASON_SUCCEED_ASKED) state = FL_NODE_SUCCEEDED;
  if (p->reason == FL_REASON_NOT_SELECTED)
    fl_plan_ignore(r->run->plan, node);
  else
    fl_plan_restore(r->run->plan, node, state);
  uint32_t at = in_graph ? node : r->named[node - r->run->graph_count];
  fl_value *set = r->spec->outputs && at != FL_NODE_NONE ? r->spec->outputs[at] : NULL;
  return set ? record_synthetic(r, node, set, err) : FL_OK;
}

// A map's start is recorded with the last of its items: of one that is queued some may be missing,
// unless something has become of one of them.
static bool may_lack_items(const fl_restore *r, uint32_t node) {
  const fl_run *run = r->run;
  if (node >= run->graph_count || r->past[node].attempt != FL_ATTEMPT_QUEUED) return false;
  if (!r->past[node].has_attempt || fl_run_get_kind(run, node)->executor != &fl_map_executor)
    return false;
  for (uint32_t i = run->graph_count; i < r->count; i++)
    if (fl_plan_get_map(run->plan, i) == node && (r->past[i].has_attempt || r->past[i].decided))
      return false;
  return true;
}

static fl_code restore_node(fl_restore *r, uint32_t node, fl_error *err) {
  fl_node_past *p = &r->past[node];
  fl_node_run *n = &r->run->nodes[node];
  n->attempts = p->number;
  n->lost = p->lost;
  n->child_run = fl_restore_starts_anew(r, node) ? 0 : p->child_run;
  n->outputs_id = p->outputs;
  n->by_hand = p->synthetic || (p->decided && p->reason == FL_REASON_SKIP_ASKED) ||
               r->reasons[node] == FL_REASON_SKIP_ASKED ||
               r->reasons[node] == FL_REASON_SUCCEED_ASKED ||
               r->reasons[node] == FL_REASON_SYNTHETIC;
  if (r->actions[node] == FL_RESUME_KEEP) return keep_node(r, node, err);
  if (r->actions[node] == FL_RESUME_SKIP) {
    bool omitted = r->reasons[node] == FL_REASON_BRANCH_NOT_CHOSEN;
    fl_node_state state = omitted ? FL_NODE_OMITTED : FL_NODE_SKIPPED;
    fl_plan_restore(r->run->plan, node, state);
    return record_pending(r, node, state, err);
  }
  n->fit_again = r->reasons[node] == FL_REASON_LIST_AGAIN ||
                 p->queued_for == FL_REASON_LIST_AGAIN || may_lack_items(r, node);
  n->expand_again = p->queued_for == FL_REASON_RERUN_ASKED;
  if (fl_past_is_live(p) && r->reasons[node] == FL_REASON_RESUME_UNFINISHED)
    return FL_OK; // see recover_live
  n->outputs_id = 0;
  if (p->has_attempt || p->decided)
    n->next_reason = r->reasons[node] == FL_REASON_HOOK ? 0 : r->reasons[node];
  if (p->state == FL_NODE_RETRYING) n->next_reason = FL_REASON_RETRY;
  bool rerun = r->reasons[node] == FL_REASON_RERUN_ASKED;
  if (rerun || p->anew_epoch) n->expand_again = true;
  fl_code rc = rerun && !r->spec->keep_checkpoint ? forget_saved(r, node, err) : FL_OK;
  if (rc || !(rerun ? p->has_attempt : fl_node_state_is_final(p->state))) return rc;
  return record_pending(r, node, FL_NODE_PENDING, err);
}

// ---------------------------------------------------------------------------- live attempts

static const char *keeper_of(const fl_restore *r, uint32_t epoch) {
  for (size_t i = 0; i < r->epoch_count; i++)
    if (r->epochs[i].epoch == epoch) return r->epochs[i].supervisor;
  return "";
}

static fl_attempt *revive(fl_restore *r, uint32_t node, fl_error *err) {
  fl_node_past *p = &r->past[node];
  fl_run *run = r->run;
  fl_attempt *a = fl_attempt_new(run, node, p->number);
  fl_value *map = NULL;
  fl_vars *merged = NULL;
  fl_error ignored;
  a->seq = p->claim_seq;
  a->claimed_ms = p->claimed_ms;
  a->started_ms = p->started_ms;
  a->adopted = a->started = true;
  a->told = p->attempt == FL_ATTEMPT_RUNNING;
  a->recorded_row = !p->unrecorded;
  a->reason = fl_run_get_start_reason(run, node);
  a->child_run = fl_restore_starts_anew(r, node) ? 0 : p->child_run;
  if (fl_restore_get_patched(r, p->epoch, &a->patched, err) ||
      fl_store_get_value(r->scheduler->store, p->vars_in, &map, err) || fl_replay_prepare(a, err))
    return fl_value_unref(map), fl_attempt_free(a), NULL;
  fl_recorded_pass_mark(&a->recorded); // its `when` was asked before it was claimed
  a->vars_in = fl_vars_new(map ? map : fl_value_empty_map(), fl_value_empty_map());
  if (!fl_run_merge_vars(run, node, true, &merged, &ignored) &&
      (p->unrecorded || fl_value_equal(merged->map, a->vars_in->map))) {
    fl_vars_unref(a->vars_in);
    a->vars_in = merged;
  } else {
    fl_vars_unref(merged);
  }
  run->nodes[node].live = a;
  fl_scheduler_link(r->scheduler, a);
  return a;
}

// What it was told is not kept: ok_codes and capture are needed to judge its end. It was made with
// what its parents had given, also those that run again.
static void prepare_again(fl_restore *r, fl_attempt *a) {
  fl_error err;
  fl_run *run = a->run;
  uint32_t count;
  const uint32_t *parents =
      fl_graph_get_parents(run->flow->graph, fl_attempt_get_graph_node(a), &count);
  for (uint32_t i = 0; i < count; i++)
    if (r->actions[parents[i]] == FL_RESUME_RUN)
      run->nodes[parents[i]].outputs_id = r->past[parents[i]].gave;
  if (fl_run_get_kind(run, a->node)->prepare(a, &err))
    fl_run_notice(run, "%s: %s", fl_attempt_get_name(a), err.message);
  for (uint32_t i = 0; i < count; i++)
    if (r->actions[parents[i]] == FL_RESUME_RUN) run->nodes[parents[i]].outputs_id = 0;
}

// What is entered again goes on; of the rest it must be found out.
static fl_code recover_live(fl_restore *r, fl_error *err) {
  fl_attempt **list = fl_alloc((r->count + 1) * sizeof *list);
  const char **keepers = fl_alloc((r->count + 1) * sizeof *keepers);
  size_t count = 0;
  fl_code rc = FL_OK;
  for (uint32_t i = 0; i < r->count && !rc; i++) {
    if (!fl_past_is_live(&r->past[i]) || r->reasons[i] != FL_REASON_RESUME_UNFINISHED) continue;
    fl_attempt *a = revive(r, i, err);
    if (!a) {
      rc = err->code;
    } else {
      if (fl_run_get_kind(a->run, i)->prepare) prepare_again(r, a);
      keepers[count] = keeper_of(r, r->past[i].epoch);
      list[count++] = a;
    }
  }
  for (size_t i = 0; i < count; i++) {
    if (!fl_attempt_get_site(list[i])->x.enters_again) continue;
    fl_attempt_settle(list[i], FL_FATE_NOT_STARTED);
    list[i] = NULL;
  }
  if (count) fl_run_recover(r->run, list, keepers, count);
  free(list);
  free(keepers);
  return rc;
}

// ------------------------------------------------------------------------------------- resuming

static fl_code record_resume(fl_restore *r, fl_error *err) {
  fl_run *run = r->run;
  fl_store *store = r->scheduler->store;
  const fl_resume_spec *spec = r->spec;
  fl_code rc = fl_store_put_value(store, spec->patch, err);
  fl_epoch_row row = {.epoch = run->row.epoch,
                      .owner = r->scheduler->owner,
                      .supervisor = "",
                      .at_ms = fl_now(r->scheduler),
                      .reason = (char *)spec->reason,
                      .author = (char *)spec->author,
                      .patch = !rc && spec->patch ? spec->patch->store_id : 0};
  run->epoch_patch = row.patch;
  run->epoch_reason = spec->reason ? fl_strdup(spec->reason) : NULL;
  run->epoch_author = spec->author ? fl_strdup(spec->author) : NULL;
  if (!rc) rc = fl_store_put_epoch(store, run->row.row, &row, err);
  if (!rc && spec->proposal)
    rc = fl_store_apply_proposal(store, run->row.row, spec->proposal, run->row.epoch, err);
  int64_t definition = run->row.definition;
  if (!rc) rc = fl_run_record_definition(run, &r->former, err);
  if (spec->script_store_id) run->row.script = spec->script_store_id;
  if (rc || (!spec->params && !spec->script_store_id && run->row.definition == definition))
    return rc;
  rc = fl_store_put_value(store, run->params, err);
  if (!rc)
    rc = fl_store_set_run_inputs(store, run->row.row, run->row.definition, run->row.script,
                                 run->params->store_id, run->row.vars, err);
  return rc;
}

static fl_code change_checkpoints(fl_restore *r, fl_error *err) {
  fl_code rc = FL_OK;
  for (size_t i = 0; i < r->spec->checkpoint_count && !rc; i++) {
    const fl_checkpoint_change *c = &r->spec->checkpoints[i];
    uint32_t graph_count = r->run->graph_count;
    uint32_t number = c->node < graph_count ? fl_run_get_number(r->run, c->node)
                                            : r->spec->items[c->node - graph_count];
    rc = fl_store_put_checkpoint(r->scheduler->store, r->run->row.row, number, 0,
                                 fl_now(r->scheduler), c->value, err);
  }
  return rc;
}

// What the resume changes, in the run and in the sub-flows that it enters; one commit.
static fl_code record_changes(fl_restore *r, fl_error *err) {
  fl_code rc = record_resume(r, err);
  for (uint32_t i = 0; i < r->count && !rc; i++) rc = restore_node(r, i, err);
  if (!rc) rc = change_checkpoints(r, err);
  for (size_t i = 0; i < r->part_count && !rc; i++) {
    fl_run *run = r->parts[i].run;
    rc = fl_store_take_part(r->scheduler->store, &run->row, r->scheduler->owner, &run->row.epoch,
                            err);
    if (!rc) rc = record_changes(&r->parts[i], err);
  }
  return rc;
}

// A replay's nodes that see the past do not see what is given to its run now: say it.
static void tell_unreached(const fl_restore *r) {
  fl_run *run = r->run;
  json_t *patch = r->spec->patch && run->replay ? fl_value_to_json(r->spec->patch) : NULL;
  bool params = json_object_size(json_object_get(patch, "params"));
  bool vars = json_object_size(json_object_get(patch, "vars"));
  uint32_t held = 0, first = FL_NODE_NONE;
  json_decref(patch);
  for (uint32_t i = 0; i < run->graph_count && (params || vars); i++) {
    bool holds =
        (params && fl_replay_holds_params(run, i)) || (vars && fl_replay_holds_vars(run, i));
    if (r->actions[i] == FL_RESUME_RUN && holds && !held++) first = i;
  }
  if (!held) return;
  fl_run_notice(run,
                "the %s that are given now do not reach node '%s'%s: in a replay it sees "
                "those of then (with `replay --live` it sees today's)",
                params && vars ? "params and vars"
                : params       ? "params"
                               : "vars",
                fl_run_get_name(run, first), held > 1 ? " and others" : "");
}

fl_code fl_scheduler_resume_run(fl_scheduler *s, const fl_run_row *row, const fl_resume_spec *spec,
                                fl_run **out, fl_error *err) {
  fl_restore r;
  *out = NULL;
  if (s->broken) return *err = s->error, s->error.code;
  fl_code rc = fl_slots_check(s, spec->flow, err);
  if (rc) return rc;
  rc = fl_restore_open(&r, s, row, spec, err);
  if (!rc) rc = fl_restore_check(&r, row->id, true, err);
  if (!rc && s->dirty && !fl_scheduler_commit(s)) rc = (*err = s->error).code;
  uint32_t epoch = 0;
  if (!rc) rc = fl_store_take_run(s->store, row->row, s->owner, row->epoch, true, &epoch, err);
  fl_run *run = r.run;
  if (!rc && !fl_scheduler_begin(s)) rc = (*err = s->error).code;
  if (!rc) rc = fl_store_fence(s->store, row->row, epoch, NULL, err);
  if (!rc) {
    run->row.epoch = epoch;
    run->row.cancel = 0;
    run->touched = s->transaction;
    s->syncs |= run->syncs;
    rc = record_changes(&r, err);
  }
  if (rc == FL_E_FENCED && s->dirty) { // it, or one of those that it enters, is another engine's
    fl_store_rollback(s->store);
    s->dirty = false;
    fl_error ignored;
    if (!fl_store_fence(s->store, row->row, epoch, NULL, &ignored) &&
        !fl_store_release_run(s->store, row->row, &ignored))
      (void)!fl_store_commit(s->store, &ignored);
  } else if (rc && epoch) { // nothing of it is committed but whose it is, until this engine is gone
    fl_scheduler_break(s, err);
  }
  if (rc) {
    fl_restore_close(&r);
    return rc;
  }
  fl_scheduler_add_run(s, run);
  fl_gate_enter(run);
  tell_unreached(&r);
  for (uint32_t i = 0; i < r.count; i++)
    if (fl_past_is_live(&r.past[i]) && r.reasons[i] == FL_REASON_RESUME_UNFINISHED)
      fl_plan_restore(run->plan, i,
                      r.past[i].attempt == FL_ATTEMPT_RUNNING ? FL_NODE_RUNNING : FL_NODE_QUEUED);
  fl_run_begin(run);
  fl_plan_begin(run->plan); // what was running is found in a plan that is whole
  run->beginning = false;
  fl_run_take_decisions(run);
  rc = recover_live(&r, err);
  r.run = NULL;
  fl_restore_close(&r);
  *out = run;
  if (rc) fl_scheduler_break(s, err);
  return rc;
}
