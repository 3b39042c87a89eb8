// One run: its nodes in memory, its phases from the first node to on_exit, its end.
#include "engine/replay.h"

fl_run *fl_run_new(fl_scheduler *s, const fl_flow *flow) {
  fl_run *run = fl_alloc_zero(1, sizeof *run);
  run->scheduler = s;
  run->flow = flow;
  run->plan = fl_plan_new(flow->graph);
  run->graph_count = run->node_capacity = fl_graph_get_count(flow->graph);
  run->nodes = fl_alloc_zero(run->graph_count + 1, sizeof *run->nodes);
  run->pools = fl_alloc_zero(flow->pool_count + 1, sizeof *run->pools);
  for (uint32_t i = 0; i < flow->pool_count; i++) {
    uint32_t at = 0;
    while (at < s->pool_count && strcmp(s->pools[at].name, flow->pools[i].name)) at++;
    if (at == s->pool_count) {
      s->pools = fl_realloc(s->pools, (at + 1) * sizeof *s->pools);
      s->pools[s->pool_count++] = (fl_pool_capacity){.name = fl_strdup(flow->pools[i].name),
                                                     .capacity = flow->pools[i].capacity};
    }
    run->pools[i] = at;
  }
  return run;
}

void fl_run_free(fl_run *run) {
  if (!run) return;
  uint32_t count = fl_plan_get_count(run->plan);
  for (uint32_t i = 0; i < count; i++) {
    fl_value_unref(run->nodes[i].outputs);
    fl_vars_unref(run->nodes[i].vars);
  }
  for (uint32_t i = 0; i < run->instance_count; i++) {
    free(run->instances[i].name);
    fl_value_unref(run->instances[i].item);
  }
  fl_plan_free(run->plan);
  fl_replay_free(run->replay);
  fl_value_unref(run->params);
  fl_vars_unref(run->vars);
  fl_run_row_deinit(&run->row);
  free(run->instances);
  free(run->nodes);
  free(run->pools);
  fl_numbers_deinit(&run->numbers);
  free(run->error);
  free(run->epoch_reason);
  free(run->epoch_author);
  free(run);
}

const char *fl_run_get_id(const fl_run *run) {
  return run->row.id;
}
const fl_flow *fl_run_get_flow(const fl_run *run) {
  return run->flow;
}
int64_t fl_run_get_time(const fl_run *run) {
  return run->row.time_ms;
}
fl_run_state fl_run_get_state(const fl_run *run) {
  return run->row.state;
}

fl_node_run *fl_run_get_node(fl_run *run, uint32_t node) {
  FL_ASSERT(node < fl_plan_get_count(run->plan));
  return &run->nodes[node];
}

const char *fl_run_get_name(fl_run *run, uint32_t node) {
  if (node < run->graph_count) return fl_graph_get_name(run->flow->graph, node);
  return run->instances[node - run->graph_count].name;
}

uint32_t fl_run_add_instance(fl_run *run, uint32_t map_node, uint32_t position, const char *name,
                             fl_value *item, fl_node_state state) {
  uint32_t node = fl_plan_add_instance(run->plan, map_node, position, state);
  if (node >= run->node_capacity) {
    run->node_capacity += run->node_capacity / 2 + 64;
    run->nodes = fl_realloc(run->nodes, run->node_capacity * sizeof *run->nodes);
  }
  run->nodes[node] = (fl_node_run){0};
  if (run->numbers.of_node) fl_run_set_number(run, node, run->numbers.next);
  if (run->instance_count == run->instance_capacity) {
    run->instance_capacity = run->instance_capacity ? run->instance_capacity * 2 : 64;
    run->instances = fl_realloc(run->instances, run->instance_capacity * sizeof *run->instances);
  }
  run->instances[run->instance_count++] =
      (fl_map_instance){.name = fl_strdup(name), .item = fl_value_ref(item)};
  return node;
}

fl_value *fl_run_get_item(const fl_run *run, uint32_t instance) {
  return run->instances[instance - run->graph_count].item;
}

void fl_run_set_item(fl_run *run, uint32_t instance, fl_value *item) {
  fl_map_instance *i = &run->instances[instance - run->graph_count];
  fl_value_unref(i->item);
  i->item = fl_value_ref(item);
}

// ------------------------------------------------------------------------------------- outputs

// Small results stay in memory for the children; what is large, or more than this in all, is read
// back from the store.
#define KEPT_VALUE_MAX 1024
#define KEPT_TOTAL_MAX (64u << 20)

void fl_run_set_outputs(fl_run *run, uint32_t node, fl_value *outputs) {
  fl_node_run *n = fl_run_get_node(run, node);
  fl_value_unref(n->outputs);
  n->outputs = NULL;
  n->outputs_id = outputs ? outputs->store_id : 0;
  uint32_t children = 1;
  if (node < run->graph_count) fl_graph_get_children(run->flow->graph, node, &children);
  if (!outputs || !children || outputs->size > KEPT_VALUE_MAX) return;
  if (run->scheduler->kept_bytes > KEPT_TOTAL_MAX) return;
  run->scheduler->kept_bytes += outputs->size + sizeof *outputs;
  n->outputs = fl_value_ref(outputs);
}

fl_value *fl_run_get_outputs(fl_run *run, uint32_t node, fl_error *err) {
  fl_node_run *n = fl_run_get_node(run, node);
  if (n->outputs || !n->outputs_id) return fl_value_ref(n->outputs);
  fl_value *v = NULL;
  fl_code rc = fl_store_get_value(run->scheduler->store, n->outputs_id, &v, err);
  return fl_scheduler_check_read(run->scheduler, rc, err) ? NULL : v;
}

// ------------------------------------------------------------------------------------- decisions

static void record_decision(fl_run *run, uint32_t node, fl_node_state state, fl_reason reason,
                            const char *detail, const char *recorded) {
  fl_scheduler *s = run->scheduler;
  fl_error err;
  if (!fl_scheduler_begin(s)) return;
  fl_decision_row row = {.run = run->row.row,
                         .node = fl_run_get_number(run, node),
                         .seq = ++run->seq,
                         .epoch = run->row.epoch,
                         .state = state,
                         .reason = reason,
                         .detail = detail,
                         .recorded = recorded,
                         .at_ms = fl_now(s)};
  if (fl_store_add_decision(s->store, &row, &err)) fl_scheduler_break(s, &err);
  if (!fl_node_state_is_final(state)) return;
  fl_node_run *n = fl_run_get_node(run, node);
  fl_vars *vars = NULL;
  if (!n->vars && !fl_run_merge_vars(run, node, true, &vars, &err)) n->vars = vars;
  fl_event more = {.exit_code = -1, .reason = fl_reason_name(reason), .error = detail};
  fl_event_node(run, node, FL_EVENT_NODE_FINISHED, fl_node_state_text(state), &more);
}

// An instance of a map is recorded too: it says more than that its map failed.
static bool stops_run(fl_run *run, uint32_t node) {
  if (run->phase != FL_PHASE_NODES) return false;
  if (fl_plan_get_options(run->plan, node)->allow_failure) return false;
  uint32_t answers = node < run->graph_count ? node : fl_plan_get_map(run->plan, node);
  return !fl_plan_is_handled(run->plan, answers);
}

void fl_run_record_breakpoint(fl_run *run, uint32_t node, uint32_t number) {
  fl_scheduler *s = run->scheduler;
  fl_error err;
  if (!stops_run(run, node) || !fl_scheduler_begin(s)) return;
  fl_breakpoint_row row = {.run = run->row.row,
                           .seq = run->seq,
                           .epoch = run->row.epoch,
                           .node = fl_run_get_number(run, node),
                           .number = number,
                           .at_ms = fl_now(s)};
  if (fl_store_add_breakpoint(s->store, &row, &err)) fl_scheduler_break(s, &err);
}

void fl_run_take_decisions(fl_run *run) {
  fl_decision d;
  while (fl_plan_take_decision(run->plan, &d)) {
    record_decision(run, d.node, d.state, d.reason,
                    d.cause == FL_NODE_NONE ? NULL : fl_run_get_name(run, d.cause), NULL);
    fl_map_decided(run, d.node, d.reason);
  }
}

static void apply_decision(fl_run *run, uint32_t node, fl_node_event event, fl_node_state to,
                           fl_reason reason) {
  fl_plan_apply(run->plan, node, event);
  fl_run_take_decisions(run);
  run->scheduler->fill_wanted = true;
  if (!fl_node_state_is_final(to)) return;
  if (node >= run->graph_count)
    fl_map_instance_ended(run, node);
  else
    fl_map_decided(run, node, reason);
}

void fl_run_skip_by_when(fl_run *run, uint32_t node, const char *recorded) {
  record_decision(run, node, FL_NODE_SKIPPED, FL_REASON_WHEN_FALSE, NULL, recorded);
  apply_decision(run, node, FL_NODE_SKIP, FL_NODE_SKIPPED, FL_REASON_WHEN_FALSE);
}

void fl_run_decide(fl_run *run, uint32_t node, fl_node_event event, fl_reason reason,
                   const char *detail) {
  fl_node_state to = fl_node_state_next(fl_plan_get_state(run->plan, node), event);
  record_decision(run, node, to, reason, detail, NULL);
  if (to == FL_NODE_FAILED) fl_run_record_breakpoint(run, node, 0);
  if (to == FL_NODE_FAILED && !run->error && !fl_plan_is_handled(run->plan, node)) {
    fl_buf text;
    fl_buf_init(&text, FL_ERROR_TEXT_MAX);
    fl_buf_addf(&text, "node '%s': %.2000s", fl_run_get_name(run, node),
                detail ? detail : fl_reason_text(reason));
    run->error = fl_buf_take(&text);
  }
  apply_decision(run, node, event, to, reason);
}

// ------------------------------------------------------------------------------------- beginning

static fl_code record_first_epoch(fl_run *run, fl_value *patch, fl_error *err) {
  fl_scheduler *s = run->scheduler;
  fl_epoch_row epoch = {
      .epoch = run->row.epoch, .owner = s->owner, .supervisor = "", .at_ms = fl_now(s)};
  fl_code rc = fl_store_put_value(s->store, patch, err);
  if (!rc && patch) run->epoch_patch = epoch.patch = patch->store_id;
  return rc ? rc : fl_store_put_epoch(s->store, run->row.row, &epoch, err);
}

fl_code fl_scheduler_start_run(fl_scheduler *s, const fl_run_spec *spec, fl_run **out,
                               fl_error *err) {
  *out = NULL;
  if (!fl_scheduler_begin(s)) return *err = s->error, s->error.code;
  fl_run *run = fl_run_new(s, spec->flow);
  fl_vars *vars = fl_vars_new(fl_value_ref(spec->flow->vars), fl_value_empty_map());
  run->params = fl_value_ref(spec->params);
  run->vars = vars;
  run->parent = spec->parent;
  fl_run_row *row = &run->row;
  row->flow = fl_strdup(spec->flow->key);
  row->trigger = fl_strdup(spec->trigger ? spec->trigger : "manual");
  row->owner = fl_strdup(s->owner);
  row->definition = spec->flow->definition_store_id;
  row->script = spec->flow->script_store_id;
  row->state = FL_RUN_QUEUED;
  row->time_ms = spec->time_ms ? spec->time_ms : fl_now(s);
  row->created_ms = fl_now(s);
  row->parent_run = spec->parent_run;
  row->parent_node = spec->parent_node;
  row->replay_of = spec->replay_of;
  row->replay_live = spec->replay_live;
  row->interval_from_ms = spec->interval_from_ms;
  row->interval_to_ms = spec->interval_to_ms;
  fl_run_id_make(row->created_ms, row->id);
  fl_code rc = fl_replay_open(run, err);
  if (!rc) rc = fl_store_put_value(s->store, run->params, err);
  if (!rc) rc = fl_store_put_value(s->store, vars->map, err);
  row->params = run->params->store_id;
  row->vars = vars->map->store_id;
  if (!rc) rc = fl_store_add_run(s->store, row, fl_now(s), err);
  if (!rc) rc = record_first_epoch(run, spec->patch, err);
  if (rc) {
    fl_run_free(run);
    return rc;
  }
  for (uint32_t i = 0; (spec->selected || run->replay) && i < run->graph_count; i++) {
    bool selected = run->replay ? !fl_replay_is_unselected(run, i) : spec->selected[i];
    if (selected || fl_graph_get_options(run->flow->graph, i)->hook) continue;
    fl_plan_ignore(run->plan, i);
    run->nodes[i].vars = fl_vars_ref(run->vars);
    record_decision(run, i, FL_NODE_SKIPPED, FL_REASON_NOT_SELECTED, NULL, NULL);
  }
  run->queued = true;
  fl_scheduler_add_run(s, run);
  *out = run;
  return FL_OK;
}

typedef struct counting {
  fl_run *run;
  int64_t now;
  uint32_t older;
} counting;

static bool count_older(void *ud, const fl_run_row *row) {
  counting *c = ud;
  bool alive = row->lease_ms > c->now;
  c->older += row->row < c->run->row.row && alive && !row->parent_run;
  return true;
}

bool fl_run_may_begin(fl_run *run) {
  if (!run->flow->run_count_max || run->row.parent_run) return true;
  counting c = {.run = run, .now = fl_now(run->scheduler)};
  fl_error err;
  if (fl_store_each_live_run(run->scheduler->store, run->flow->key, count_older, &c, &err)) {
    fl_scheduler_break(run->scheduler, &err);
    return false;
  }
  return c.older < run->flow->run_count_max;
}

void fl_run_begin(fl_run *run) {
  fl_scheduler *s = run->scheduler;
  if (!fl_scheduler_begin(s)) return;
  run->row.started_ms = run->row.started_ms ? run->row.started_ms : fl_now(s);
  run->row.state = FL_RUN_RUNNING;
  fl_error err;
  if (fl_store_set_run_state(s->store, run->row.row, FL_RUN_RUNNING, run->row.started_ms, -1, "",
                             &err))
    fl_scheduler_break(s, &err);
  fl_event_run(run, FL_EVENT_RUN_STARTED, "running", 0);
  if (run->flow->timeout_ms)
    fl_scheduler_add_due(s, (fl_due){.at_ms = fl_ticks(s) + run->flow->timeout_ms,
                                     .kind = FL_DUE_RUN_TIMEOUT,
                                     .run = run});
  run->began_ms = fl_ticks(s);
  fl_plan_begin(run->plan);
  fl_run_take_decisions(run);
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

static void finish(fl_run *run, fl_run_state state) {
  fl_scheduler *s = run->scheduler;
  fl_error err;
  if (!run->interrupted) omit_unused_hooks(run);
  if (!fl_scheduler_begin(s)) return;
  run->row.state = state;
  run->row.ended_ms = fl_now(s);
  const char *error = state == FL_RUN_SUCCEEDED ? "" : run->error;
  if (fl_store_set_run_state(s->store, run->row.row, state, 0, run->row.ended_ms, error, &err) ||
      fl_store_seal_run(s->store, run->row.row, &err))
    fl_scheduler_break(s, &err);
  run->asks_adviser = state == FL_RUN_FAILED && !run->row.parent_run &&
                      (run->flow->has_adviser || run->asks_within);
  if (state == FL_RUN_SUCCEEDED) {
    free(run->error);
    run->error = NULL;
  }
  run->phase = FL_PHASE_ENDED;
  fl_event_run(run, FL_EVENT_RUN_FINISHED, fl_run_state_text(state), fl_ticks(s) - run->began_ms);
  fl_call_ended(run);
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
  make_hooks_ready(run, run->outcome == FL_RUN_SUCCEEDED ? FL_HOOK_SUCCESS
                        : run->outcome == FL_RUN_FAILED  ? FL_HOOK_FAILURE
                                                         : FL_HOOK_CANCEL);
}

void fl_run_advance(fl_run *run) {
  fl_run_phase before = run->phase;
  if (run->queued || run->phase == FL_PHASE_ENDED || run->fenced) return;
  if (run->interrupted) fl_map_interrupt(run);
  if (run->live_count) return;
  if (run->interrupted) {
    finish(run, FL_RUN_CANCELLED);
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
    if (run->phase != before) run->scheduler->fill_wanted = true;
    return;
  }
  if (run->phase == FL_PHASE_EXIT) finish(run, run->outcome);
}

// ------------------------------------------------------------------------------------- cancelling

// What has not started is cancelled one by one, so that the record says so. Their children are
// decided about by the plan.
static void cancel_waiting(fl_run *run, fl_reason reason) {
  uint32_t count = fl_plan_get_count(run->plan);
  for (uint32_t i = 0; i < count; i++) {
    fl_node_state st = fl_plan_get_state(run->plan, i);
    if (i < run->graph_count && fl_graph_get_options(run->flow->graph, i)->hook) continue;
    if (st == FL_NODE_PENDING || st == FL_NODE_RETRYING)
      fl_run_decide(run, i, FL_NODE_CANCEL, reason, NULL);
  }
}

static void cancel_live(fl_scheduler *s, fl_run *run, fl_attempt *list, bool kill) {
  for (fl_attempt *a = list, *next; a; a = next) {
    next = a->next;
    if (a->run != run) continue;
    bool again = a->cancelling;
    a->cancelling = true;
    if (!a->started) continue; // the turn's end sees the mark
    if (again && !kill) continue;
    fl_executor *e = &s->executors[a->options->kind];
    e->cancel(e->ud, a, kill ? 0 : a->options->grace_ms);
  }
}

void fl_run_stop(fl_run *run, fl_reason reason, bool kill) {
  fl_scheduler *s = run->scheduler;
  run->stopping = true;
  s->fill_wanted = true;
  if (!run->interrupted && !run->queued) cancel_waiting(run, reason);
  cancel_live(s, run, s->live_slots, kill);
  cancel_live(s, run, s->live_free, kill);
}

void fl_scheduler_cancel_run(fl_scheduler *s, fl_run *run, bool kill, bool interrupt) {
  if (run->phase == FL_PHASE_ENDED || s->broken) return;
  if (interrupt) run->interrupted = true;
  if (!run->timed_out) run->cancelled = true;
  if (run->queued) {
    run->queued = false;
    if (!interrupt) fl_plan_begin(run->plan);
  }
  fl_run_stop(run,
              run->timed_out ? FL_REASON_RUN_TIMEOUT
              : interrupt    ? FL_REASON_INTERRUPTED
                             : FL_REASON_CANCEL_ASKED,
              kill);
}

void fl_scheduler_cancel_all(fl_scheduler *s, bool kill) {
  for (size_t i = 0; i < s->run_count; i++) fl_scheduler_cancel_run(s, s->runs[i], kill, true);
}

void fl_scheduler_check_cancels(fl_scheduler *s) {
  for (size_t i = 0; i < s->run_count; i++) {
    fl_run_row row;
    fl_error err;
    if (fl_store_get_run(s->store, s->runs[i]->row.row, &row, &err)) continue;
    if (row.cancel > s->runs[i]->row.cancel) {
      s->runs[i]->row.cancel = row.cancel;
      fl_scheduler_cancel_run(s, s->runs[i], row.cancel == 2, false);
    }
    fl_run_row_deinit(&row);
  }
}
