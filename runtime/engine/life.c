// The life of a run: asked for, recorded, begun, from phase to phase, ended.
#include "engine/replay.h"

static bool is_selected(const fl_run *run, uint32_t node) {
  if (fl_graph_get_options(run->flow->graph, node)->hook) return true;
  if (run->replay) return !fl_replay_is_unselected(run, node);
  return !run->selected || run->selected[node];
}

// The names of the nodes that the run is limited to, as JSON; NULL when it is not.
static char *selection_of(const fl_run *run) {
  uint32_t left_out = 0;
  for (uint32_t i = 0; (run->selected || run->replay) && i < run->graph_count; i++)
    left_out += !is_selected(run, i);
  if (!left_out) return NULL;
  fl_buf text;
  fl_buf_init(&text, 1u << 30);
  for (uint32_t i = 0; i < run->graph_count; i++) {
    if (!is_selected(run, i) || fl_graph_get_options(run->flow->graph, i)->hook) continue;
    const char *name = fl_graph_get_name(run->flow->graph, i);
    fl_buf_add_char(&text, text.size ? ',' : '[');
    fl_json_write_string(&text, name, strlen(name));
  }
  fl_buf_add_str(&text, text.size ? "]" : "[]");
  return fl_buf_take(&text);
}

fl_code fl_scheduler_start_run(fl_scheduler *s, const fl_run_spec *spec, fl_run **out,
                               fl_error *err) {
  *out = NULL;
  if (s->broken) return *err = s->error, s->error.code;
  fl_code rc = fl_slots_check(s, spec->flow, err);
  if (rc) return rc;
  fl_run *run = fl_run_new(s, spec->flow);
  run->params = fl_value_ref(spec->params);
  run->vars = fl_vars_new(fl_value_ref(spec->flow->vars), fl_value_empty_map());
  run->snapshot = spec->snapshot;
  fl_run_set_parent(run, spec->parent);
  fl_run_row *row = &run->row;
  row->flow = fl_strdup(spec->flow->key);
  row->trigger = fl_strdup(spec->trigger ? spec->trigger : "manual");
  row->owner = fl_strdup(s->owner);
  row->state = FL_RUN_QUEUED;
  row->time_ms = spec->time_ms ? spec->time_ms : fl_now(s);
  row->created_ms = fl_now(s);
  row->parent_run = spec->parent_run;
  row->parent_node = spec->parent_node;
  row->replay_of = spec->replay_of;
  row->replay_live = spec->replay_live;
  row->interval_from_ms = spec->interval_from_ms ? spec->interval_from_ms : row->time_ms;
  row->interval_to_ms = spec->interval_to_ms ? spec->interval_to_ms : row->time_ms;
  fl_run_id_make(row->created_ms, row->id);
  rc = fl_replay_open(run, err);
  if (rc) {
    fl_run_free(run);
    return rc;
  }
  run->first_patch = fl_value_ref(spec->patch);
  if (spec->selected) {
    run->selected = fl_alloc(run->graph_count + 1);
    memcpy(run->selected, spec->selected, run->graph_count);
  }
  row->selection = selection_of(run);
  run->queued = true;
  s->unrecorded_count++;
  fl_scheduler_add_run(s, run);
  *out = run;
  return FL_OK;
}

// ------------------------------------------------------------------------------------- recording

static fl_code record_first_epoch(fl_run *run, fl_error *err) {
  fl_scheduler *s = run->scheduler;
  fl_epoch_row epoch = {
      .epoch = run->row.epoch, .owner = s->owner, .supervisor = "", .at_ms = fl_now(s)};
  fl_code rc = fl_store_put_value(s->store, run->first_patch, err);
  if (!rc && run->first_patch) run->epoch_patch = epoch.patch = run->first_patch->store_id;
  return rc ? rc : fl_store_put_epoch(s->store, run->row.row, &epoch, err);
}

fl_code fl_scheduler_prepare_flow(fl_scheduler *s, fl_flow *flow, fl_snapshot *snapshot,
                                  fl_error *err) {
  bool done;
  return fl_flow_record_some(s, flow, snapshot, true, &done, err);
}

bool fl_run_record(fl_run *run, bool whole) {
  fl_scheduler *s = run->scheduler;
  fl_run_row *row = &run->row;
  fl_attempt *call = run->parent;
  fl_error err;
  bool done = true;
  if (row->row) return true;
  if (!fl_run_touch(run)) return false; // as it is not recorded, nobody else can have it
  fl_flow *flow = (fl_flow *)run->flow;
  fl_code rc = FL_OK;
  if (run->snapshot || call) rc = fl_flow_record_some(s, flow, run->snapshot, whole, &done, &err);
  if (!rc && !done) return false;
  row->definition = flow->definition_store_id;
  row->script = flow->script_store_id;
  if (!rc) rc = fl_store_put_value(s->store, run->params, &err);
  if (!rc) rc = fl_store_put_value(s->store, run->vars->map, &err);
  row->params = run->params->store_id;
  row->vars = run->vars->map->store_id;
  if (!rc) rc = fl_store_add_run(s->store, row, &err);
  if (!rc) rc = record_first_epoch(run, &err);
  if (call) call->child_run = row->row;
  if (!rc && call)
    rc = fl_store_set_attempt_child(s->store, call->run->row.row,
                                    fl_run_get_number(call->run, call->node), call->number,
                                    call->child_run, &err);
  if (rc) return fl_scheduler_break(s, &err);
  s->unrecorded_count--;
  for (uint32_t i = 0; row->selection && i < run->graph_count; i++) {
    if (is_selected(run, i)) continue;
    fl_plan_ignore(run->plan, i);
    run->nodes[i].vars = fl_vars_ref(run->vars);
    fl_run_record_decision(run, i, FL_NODE_SKIPPED, FL_REASON_NOT_SELECTED, NULL, NULL);
  }
  free(run->selected);
  run->selected = NULL;
  fl_value_unref(run->first_patch);
  run->first_patch = NULL;
  return true;
}

// ------------------------------------------------------------------------------------- beginning

void fl_run_begin(fl_run *run) {
  fl_scheduler *s = run->scheduler;
  if (!fl_run_touch(run)) return;
  run->row.started_ms = run->row.started_ms ? run->row.started_ms : fl_now(s);
  run->row.state = FL_RUN_RUNNING;
  fl_error err;
  if (fl_store_set_run_state(s->store, run->row.row, FL_RUN_RUNNING, run->row.started_ms, -1, "",
                             &err))
    fl_scheduler_break(s, &err);
  fl_event_run(run, FL_EVENT_RUN_STARTED, "running", 0);
  if (run->flow->timeout_ms)
    fl_due_add(s, &(fl_due){.at_ms = fl_ticks(s) + run->flow->timeout_ms,
                            .kind = FL_DUE_RUN_TIMEOUT,
                            .run = run});
  run->began_ms = fl_ticks(s);
  run->beginning = true;
}

#define BEGIN_NODES 4096 // that are looked at before the time is

bool fl_run_begin_some(fl_run *run) {
  while (run->beginning) {
    run->beginning = !fl_plan_begin_some(run->plan, BEGIN_NODES);
    if (run->beginning && fl_scheduler_is_out_of_time(run->scheduler)) return false;
  }
  return true;
}

// ------------------------------------------------------------------------------------- ending

static void make_hooks_ready(fl_run *run, fl_hook hook) {
  for (uint32_t i = 0; i < run->graph_count; i++) {
    if (fl_graph_get_options(run->flow->graph, i)->hook != hook) continue;
    if (fl_plan_get_state(run->plan, i) != FL_NODE_PENDING) continue;
    run->nodes[i].next_reason = FL_REASON_HOOK;
    fl_plan_make_ready(run->plan, i);
  }
}

static void omit_unused_hooks(fl_run *run) {
  for (uint32_t i = 0; i < run->graph_count; i++)
    if (fl_graph_get_options(run->flow->graph, i)->hook &&
        fl_plan_get_state(run->plan, i) == FL_NODE_PENDING)
      fl_run_decide(run, i, FL_NODE_OMIT, FL_REASON_TRIGGER_NOT_MET, NULL);
}

#define SEAL_ROWS 64 // that are read before the clock is

// All that is left is to seal the run. False: time is over.
static bool seal_some(fl_run *run) {
  fl_scheduler *s = run->scheduler;
  fl_error err;
  for (bool whole = false; !whole;) {
    if (!fl_run_touch(run)) return false;
    if (fl_seal_add_some(s->store, run->seal, SEAL_ROWS, &whole, &err))
      return fl_scheduler_break(s, &err);
    if (whole || !fl_scheduler_is_out_of_time(s)) continue;
    fl_run_wake(run);
    return false;
  }
  return true;
}

static void finish(fl_run *run) {
  fl_scheduler *s = run->scheduler;
  fl_run_state state = run->outcome;
  fl_error err;
  if (!seal_some(run) || !fl_run_touch(run)) return;
  run->row.state = state;
  run->row.ended_ms = fl_now(s);
  int64_t span_ms = run->began_ms ? fl_ticks(s) - run->began_ms : 0; // of this epoch
  run->row.duration_ms = (run->row.duration_ms > 0 ? run->row.duration_ms : 0) + span_ms;
  const char *error = state == FL_RUN_SUCCEEDED ? "" : run->error;
  if (fl_store_set_run_state(s->store, run->row.row, state, 0, run->row.ended_ms, error, &err) ||
      fl_store_set_run_duration(s->store, run->row.row, run->row.duration_ms, &err) ||
      fl_seal_put(s->store, run->seal, &err))
    fl_scheduler_break(s, &err);
  run->asks_adviser = state == FL_RUN_FAILED && !run->row.parent_run &&
                      (run->flow->has_adviser || run->asks_within);
  if (state == FL_RUN_SUCCEEDED) {
    free(run->error);
    run->error = NULL;
  }
  run->phase = FL_PHASE_ENDED;
  fl_gate_leave(run);
  fl_run_wake(run);
  fl_event_run(run, FL_EVENT_RUN_FINISHED, fl_run_state_text(state), span_ms);
  fl_attempt *call = run->parent;
  if (call) fl_run_get_kind(call->run, call->node)->child_ended(call, run);
}

// What is running now is nobody's; what had not begun stays queued. Neither is an end: it has no
// seal, and is whoever resumes it's.
static void leave_to_resume(fl_run *run) {
  fl_scheduler *s = run->scheduler;
  fl_error err;
  if (!fl_run_touch(run)) return;
  int64_t span_ms = run->began_ms ? fl_ticks(s) - run->began_ms : 0;
  run->row.duration_ms = (run->row.duration_ms > 0 ? run->row.duration_ms : 0) + span_ms;
  if (fl_store_set_run_duration(s->store, run->row.row, run->row.duration_ms, &err) ||
      fl_store_release_run(s->store, run->row.row, &err))
    fl_scheduler_break(s, &err);
  run->phase = FL_PHASE_ENDED;
  fl_gate_leave(run);
  fl_run_wake(run);
  fl_event_run(run, FL_EVENT_RUN_INTERRUPTED, FL_RUN_INTERRUPTED_TEXT, span_ms);
  fl_attempt *call = run->parent;
  if (call) fl_run_get_kind(call->run, call->node)->child_ended(call, run);
}

static void begin_seal(fl_run *run, fl_run_state state) {
  omit_unused_hooks(run);
  if (!fl_run_touch(run)) return;
  run->outcome = state;
  run->phase = FL_PHASE_SEAL;
  run->seal = fl_seal_new(run->row.row);
  finish(run);
}

static void end_nodes(fl_run *run) {
  uint32_t cause;
  run->outcome = fl_plan_get_outcome(run->plan, &cause);
  if (run->cancelled) run->outcome = FL_RUN_CANCELLED;
  if (run->timed_out) {
    run->outcome = FL_RUN_FAILED;
    free(run->error);
    run->error = fl_strdup("the run's timeout was over");
  }
  if (run->outcome == FL_RUN_FAILED && !run->error && cause != FL_NODE_NONE) {
    fl_buf text;
    fl_buf_init(&text, FL_ERROR_TEXT_MAX);
    fl_buf_addf(&text, "node '%s' is %s", fl_run_get_name(run, cause),
                fl_node_state_text(fl_plan_get_state(run->plan, cause)));
    run->error = fl_buf_take(&text);
  }
  run->phase = FL_PHASE_HOOKS;
  run->stopping = false;
  run->stop_asked = 0;
  fl_plan_mark_all(run->plan);
  make_hooks_ready(run, run->outcome == FL_RUN_SUCCEEDED ? FL_HOOK_SUCCESS
                        : run->outcome == FL_RUN_FAILED  ? FL_HOOK_FAILURE
                                                         : FL_HOOK_CANCEL);
}

// Ends what only waits for what will not start any more, when nothing else lives.
static void interrupt(fl_run *run) {
  uint32_t waiting = 0;
  for (uint32_t i = 0; i < run->graph_count && run->live_count; i++)
    waiting += run->nodes[i].live && fl_run_get_kind(run, i)->interrupt;
  if (!waiting || run->live_count != waiting) return;
  for (uint32_t i = 0; i < run->graph_count; i++) {
    fl_attempt *a = run->nodes[i].live;
    if (a && fl_run_get_kind(run, i)->interrupt) fl_run_get_kind(run, i)->interrupt(a);
  }
}

void fl_run_advance(fl_run *run) {
  fl_run_phase before = run->phase;
  if (run->queued || run->phase == FL_PHASE_ENDED || run->fenced || run->stop_left) return;
  if (run->deciding) return; // what is sealed is all that was decided
  if (run->phase == FL_PHASE_SEAL) {
    finish(run);
    return;
  }
  if (run->interrupted) interrupt(run);
  if (run->live_count) return;
  if (run->interrupted) {
    leave_to_resume(run);
    return;
  }
  if (run->phase == FL_PHASE_NODES) {
    if (fl_plan_get_open_count(run->plan)) return;
    end_nodes(run);
  }
  bool busy =
      fl_plan_get_ready_count(run->plan) || fl_plan_count_state(run->plan, FL_NODE_RETRYING);
  if (!busy && run->phase == FL_PHASE_HOOKS) {
    run->phase = FL_PHASE_EXIT;
    make_hooks_ready(run, FL_HOOK_EXIT);
    busy = fl_plan_get_ready_count(run->plan);
  }
  // Only what this call made ready is news: what waits for a slot waits for somebody's end.
  if (busy) {
    if (run->phase != before) fl_run_wake(run);
    return;
  }
  if (run->phase == FL_PHASE_EXIT) begin_seal(run, run->outcome);
}
