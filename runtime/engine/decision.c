// What the plan, or somebody, decides about a node without an attempt of it: recorded, then seen by
// the plan, then passed on to what the node contains or is a part of.
#include "engine/run_internal.h"

void fl_run_record_decision(fl_run *run, uint32_t node, fl_node_state state, fl_reason reason,
                            const char *detail, const char *recorded) {
  fl_scheduler *s = run->scheduler;
  fl_error err;
  if (!fl_run_touch(run)) return;
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

// An item of a map is recorded too: it says more than that its map failed.
static bool stops_run(fl_run *run, uint32_t node) {
  if (run->phase != FL_PHASE_NODES) return false;
  if (fl_plan_get_options(run->plan, node)->allow_failure) return false;
  uint32_t answers = node < run->graph_count ? node : fl_plan_get_map(run->plan, node);
  return !fl_plan_is_handled(run->plan, answers);
}

void fl_run_record_breakpoint(fl_run *run, uint32_t node, uint32_t number) {
  fl_scheduler *s = run->scheduler;
  fl_error err;
  if (!stops_run(run, node) || !fl_run_touch(run)) return;
  fl_breakpoint_row row = {.run = run->row.row,
                           .seq = run->seq,
                           .epoch = run->row.epoch,
                           .node = fl_run_get_number(run, node),
                           .number = number,
                           .at_ms = fl_now(s)};
  if (fl_store_add_breakpoint(s->store, &row, &err)) fl_scheduler_break(s, &err);
}

void fl_run_item_ended(fl_run *run, uint32_t item) {
  uint32_t map = fl_plan_get_map(run->plan, item);
  fl_run_get_kind(run, map)->item_ended(run, map);
}

// To what the node is a part of, or contains.
static void pass_on(fl_run *run, uint32_t node, fl_reason reason) {
  const fl_kind_ops *kind = fl_run_get_kind(run, node);
  if (node >= run->graph_count)
    fl_run_item_ended(run, node);
  else if (kind->decided)
    kind->decided(run, node, reason);
}

#define DECISIONS 16   // that are recorded before the clock is looked at
#define CHILDREN  1024 // that the plan looks at

// Where a node has many children all of them may be decided with its end. What they left is seen by
// those behind them: nothing more of the run gets in line before all of it is recorded.
void fl_run_take_decisions(fl_run *run) {
  fl_decision d;
  for (;;) {
    uint32_t taken = 0;
    for (; taken < DECISIONS && fl_plan_take_decision(run->plan, &d); taken++) {
      fl_run_record_decision(run, d.node, d.state, d.reason,
                             d.cause == FL_NODE_NONE ? NULL : fl_run_get_name(run, d.cause), NULL);
      pass_on(run, d.node, d.reason);
    }
    if (taken < DECISIONS && fl_plan_settle_some(run->plan, CHILDREN) &&
        !fl_plan_has_decision(run->plan))
      break;
    if (run->fenced || !fl_scheduler_is_out_of_time(run->scheduler)) continue;
    run->deciding = true;
    fl_run_wake(run);
    return;
  }
  if (!run->deciding) return;
  run->deciding = false;
  fl_plan_mark_all(run->plan);
}

static void apply_decision(fl_run *run, uint32_t node, fl_node_event event, fl_node_state to,
                           fl_reason reason) {
  fl_plan_apply(run->plan, node, event);
  fl_run_take_decisions(run);
  fl_run_wake(run);
  if (fl_node_state_is_final(to)) pass_on(run, node, reason);
}

void fl_run_skip_by_when(fl_run *run, uint32_t node, const char *recorded) {
  fl_run_record_decision(run, node, FL_NODE_SKIPPED, FL_REASON_WHEN_FALSE, NULL, recorded);
  apply_decision(run, node, FL_NODE_SKIP, FL_NODE_SKIPPED, FL_REASON_WHEN_FALSE);
}

void fl_run_decide(fl_run *run, uint32_t node, fl_node_event event, fl_reason reason,
                   const char *detail) {
  if (event == FL_NODE_CANCEL && fl_run_cancel_given_back(run, node)) return;
  fl_node_state to = fl_node_state_next(fl_plan_get_state(run->plan, node), event);
  fl_run_record_decision(run, node, to, reason, detail, NULL);
  if (to == FL_NODE_FAILED) fl_run_record_breakpoint(run, node, 0);
  if (to == FL_NODE_FAILED)
    fl_failures_add(run, node, 0, -1, detail ? detail : fl_reason_text(reason));
  apply_decision(run, node, event, to, reason);
}
