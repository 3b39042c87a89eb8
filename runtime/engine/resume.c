// Continues a run at its breakpoint: takes it over, keeps what succeeded, finds out about what was
// running, and queues the rest.
#include "engine/replay.h"
#include "engine/restore.h"
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
  bool instance = node >= run->graph_count;
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
                        .item = instance ? fl_run_get_item(run, node)->store_id : 0,
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
  // A map's start and its list are one commit: one that is queued has not made it yet.
  n->fit_again = r->reasons[node] == FL_REASON_LIST_AGAIN || p->queued_for == FL_REASON_LIST_AGAIN;
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

static const char *supervisor_of(const fl_restore *r, uint32_t epoch) {
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
  a->patched = fl_restore_get_patched(r, p->epoch);
  if (fl_store_get_value(r->scheduler->store, p->vars_in, &map, err) || fl_replay_prepare(a, err))
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

// It had not begun, or goes on only here: without what a parent that runs again will give it, it
// would see less than it depends on.
static void take_back(fl_attempt *a) {
  bool over = fl_map_is_over(a->run, a->node);
  fl_attempt_end(a, &(fl_outcome){.state = over ? FL_ATTEMPT_CANCELLED : FL_ATTEMPT_LOST,
                                  .reason = FL_REASON_RERUN_UPSTREAM,
                                  .exit_code = -1,
                                  .error = fl_reason_text(FL_REASON_RERUN_UPSTREAM)});
}

static void settle_fate(fl_attempt *a, fl_fate fate) {
  switch (fate) {
  case FL_FATE_IS_RUNNING:
  case FL_FATE_IS_ENDED: return;
  case FL_FATE_IS_NOT_STARTED:
    a->scheduler->live_adopted -= a->adopted;
    a->started = a->adopted = false;
    if (!fl_plan_may_start(a->run->plan, a->node)) return take_back(a);
    a->scheduler->entering |= a->child_run != 0;
    return fl_attempt_hand_over(a);
  case FL_FATE_IS_LOST:
    fl_attempt_end(
        a, &(fl_outcome){.state = FL_BUG(lost_is_success) ? FL_ATTEMPT_SUCCEEDED : FL_ATTEMPT_LOST,
                         .exit_code = -1,
                         .error = "its process was lost with the engine or the supervisor"});
  }
}

// One supervisor at a time. Processes are asked about; what ran inside the dead engine or its
// workers is lost, and its supervisor is asked all the same: it answers when the workers, and the
// children of such nodes, are gone.
static void recover_attempts(fl_restore *r, fl_attempt **list, uint32_t *epochs, size_t count) {
  fl_scheduler *s = r->scheduler;
  fl_attempt **group = fl_alloc(count * sizeof *group);
  fl_fate *fates = fl_alloc(count * sizeof *fates);
  for (size_t at = 0; at < count; at++) {
    if (!list[at]) continue;
    const char *supervisor = supervisor_of(r, epochs[at]);
    size_t size = 0, end = count; // processes from the front, others from the back
    for (size_t i = at; i < count; i++) {
      if (!list[i] || strcmp(supervisor_of(r, epochs[i]), supervisor)) continue;
      bool process = list[i]->options->kind == FL_KIND_PROCESS;
      fates[size] = FL_FATE_IS_LOST;
      group[process ? size++ : --end] = list[i];
      list[i] = NULL;
    }
    s->recovering = true; // what ends meanwhile had ended before
    if (*supervisor && s->config.recover)
      s->config.recover(s->config.ud, r->run, supervisor, group, fates, size);
    s->recovering = false;
    for (size_t i = 0; i < size; i++)
      if (fates[i] != FL_FATE_IS_ENDED) settle_fate(group[i], fates[i]);
    for (size_t i = count; i > end; i--) settle_fate(group[i - 1], FL_FATE_IS_LOST);
  }
  free(group);
  free(fates);
}

// What it was told is not kept: ok_codes and capture are needed to judge its end. It was made with
// what its parents had given, also those that run again.
static void revive_process(fl_restore *r, fl_attempt *a) {
  fl_error err;
  fl_run *run = a->run;
  uint32_t count;
  const uint32_t *parents =
      fl_graph_get_parents(run->flow->graph, fl_attempt_get_graph_node(a), &count);
  for (uint32_t i = 0; i < count; i++)
    if (r->actions[parents[i]] == FL_RESUME_RUN)
      run->nodes[parents[i]].outputs_id = r->past[parents[i]].gave;
  if (run->flow->hooks->command(run->flow, a, &a->command, &err))
    fl_scheduler_notice(a->scheduler, run, "%s: %s", fl_attempt_get_name(a), err.message);
  for (uint32_t i = 0; i < count; i++)
    if (r->actions[parents[i]] == FL_RESUME_RUN) run->nodes[parents[i]].outputs_id = 0;
}

// Maps and sub-flows go on; of the rest it must be found out.
static fl_code recover_live(fl_restore *r, fl_error *err) {
  fl_attempt **list = fl_alloc((r->count + 1) * sizeof *list);
  uint32_t *epochs = fl_alloc((r->count + 1) * sizeof *epochs);
  size_t count = 0;
  fl_code rc = FL_OK;
  for (uint32_t i = 0; i < r->count && !rc; i++) {
    if (!fl_past_is_live(&r->past[i]) || r->reasons[i] != FL_REASON_RESUME_UNFINISHED) continue;
    fl_attempt *a = revive(r, i, err);
    if (!a) {
      rc = err->code;
    } else {
      if (a->options->kind == FL_KIND_PROCESS) revive_process(r, a);
      epochs[count] = r->past[i].epoch;
      list[count++] = a;
    }
  }
  for (size_t i = 0; i < count; i++) {
    if (list[i]->options->kind != FL_KIND_MAP && list[i]->options->kind != FL_KIND_CALL) continue;
    settle_fate(list[i], FL_FATE_IS_NOT_STARTED);
    list[i] = NULL;
  }
  if (count) recover_attempts(r, list, epochs, count);
  free(list);
  free(epochs);
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
    rc = fl_store_take_part(r->scheduler->store, &run->row, r->scheduler->owner,
                            fl_now(r->scheduler), &run->row.epoch, err);
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
  fl_scheduler_notice(r->scheduler, run,
                      "the %s that are given now do not reach node '%s'%s: in a replay it sees "
                      "those of then (with `replay --live` it sees today's)",
                      params && vars ? "params and vars"
                      : params       ? "params"
                                     : "vars",
                      fl_run_get_name(run, first), held > 1 ? " and others" : "");
}

fl_code fl_scheduler_resume_run(fl_scheduler *s, const fl_run_row *row, bool owner_is_dead,
                                const fl_resume_spec *spec, fl_run **out, fl_error *err) {
  fl_restore r;
  *out = NULL;
  if (s->broken) return *err = s->error, s->error.code;
  fl_code rc = fl_restore_open(&r, s, row, spec, err);
  if (!rc) rc = fl_restore_check(&r, row->id, true, err);
  if (!rc && s->dirty && !fl_scheduler_commit(s)) rc = (*err = s->error).code;
  uint32_t epoch = 0;
  if (!rc)
    rc = fl_store_take_run(s->store, row->row, s->owner, row->epoch, owner_is_dead, true, fl_now(s),
                           &epoch, err);
  if (!rc && !fl_scheduler_begin(s)) rc = (*err = s->error).code;
  if (rc) {
    fl_restore_close(&r);
    return rc;
  }
  fl_run *run = r.run;
  run->row.epoch = epoch;
  run->row.cancel = 0;
  rc = record_changes(&r, err);
  if (rc) { // nothing of it is committed but the lease, which the process's end frees
    fl_scheduler_break(s, err);
    fl_restore_close(&r);
    return rc;
  }
  fl_scheduler_add_run(s, run);
  tell_unreached(&r);
  for (uint32_t i = 0; i < r.count; i++)
    if (fl_past_is_live(&r.past[i]) && r.reasons[i] == FL_REASON_RESUME_UNFINISHED)
      fl_plan_restore(run->plan, i,
                      r.past[i].attempt == FL_ATTEMPT_RUNNING ? FL_NODE_RUNNING : FL_NODE_QUEUED);
  fl_run_begin(run);
  rc = recover_live(&r, err);
  r.run = NULL;
  fl_restore_close(&r);
  *out = run;
  if (rc) fl_scheduler_break(s, err);
  return rc;
}
