// Sub-flows: a call node's attempt is a run of its own, linked both ways; it ends with that run.
#include "engine/replay.h"

static void fail(fl_attempt *a, const char *message) {
  fl_attempt_end(
      a, &(fl_outcome){
             .state = FL_ATTEMPT_FAILED, .exit_code = -1, .error = message, .no_retry = true});
}

// Outputs of a call: those of the sub-flow's last nodes, by name.
static fl_code collect(fl_run *child, fl_value **out, fl_error *err) {
  json_t *map = json_object();
  fl_error load = {0};
  for (uint32_t i = 0; i < child->graph_count; i++) {
    uint32_t children;
    fl_graph_get_children(child->flow->graph, i, &children);
    if (children || fl_graph_get_options(child->flow->graph, i)->hook) continue;
    fl_value *v = fl_run_get_outputs(child, i, &load);
    if (v) json_object_set_new(map, fl_run_get_name(child, i), fl_value_to_json(v));
    fl_value_unref(v);
  }
  fl_code rc = load.code;
  if (rc)
    *err = load, *out = NULL;
  else
    rc = fl_value_from_json(map, "the outputs of its last nodes are, together,", out, err);
  json_decref(map);
  return rc;
}

void fl_call_ended(fl_attempt *a, fl_run *child) {
  child->parent = NULL;
  a->child = NULL;
  if (child->row.state == FL_RUN_SUCCEEDED) {
    fl_value *outputs;
    fl_error err;
    if (collect(child, &outputs, &err)) {
      fail(a, err.message);
      return;
    }
    fl_attempt_end(
        a, &(fl_outcome){.state = FL_ATTEMPT_SUCCEEDED, .exit_code = -1, .outputs = outputs});
    fl_value_unref(outputs);
    return;
  }
  if (child->row.state == FL_RUN_FAILED)
    a->run->asks_within |= child->flow->has_adviser || child->asks_within;
  bool failed = child->row.state == FL_RUN_FAILED;
  char text[FL_ERROR_TEXT_MAX];
  snprintf(text, sizeof text, "run %s of flow '%s' %s%s%.2000s", child->row.id, child->row.flow,
           failed                                 ? "failed"
           : child->row.state == FL_RUN_CANCELLED ? "was cancelled"
                                                  : "was interrupted",
           child->error ? ": " : "", child->error ? child->error : "");
  fl_attempt_end(
      a, &(fl_outcome){.state = !failed && a->cancelling ? FL_ATTEMPT_CANCELLED : FL_ATTEMPT_FAILED,
                       .exit_code = -1,
                       .error = text});
}

// What the run that an earlier attempt started goes on with; what a resume changed within it is
// recorded there already.
static fl_code prepare(fl_attempt *a, const fl_run_row *row, const fl_flow *sub, fl_value *params,
                       fl_resume_spec *spec, fl_error *err) {
  fl_scheduler *s = a->scheduler;
  fl_value *old = NULL, *options = NULL;
  *spec = (fl_resume_spec){.flow = sub, .parent = a};
  fl_code rc = FL_OK;
  if (s->config.find_sub)
    rc = s->config.find_sub(s->config.ud, row, sub, &spec->flow, &options, err);
  fl_value_unref(options); // its run has them already
  // What the call gives now holds from here on: params of the caller may have been mended.
  if (!rc) rc = fl_store_get_value(s->store, row->params, &old, err);
  if (!rc && (!old || !fl_value_equal(old, params))) spec->params = params;
  fl_value_unref(old);
  return rc;
}

// Enters the run that an earlier attempt started. False: there is none, start one.
static bool enter(fl_attempt *a, const fl_flow *sub, fl_value *params) {
  fl_scheduler *s = a->scheduler;
  fl_node_run *n = fl_run_get_node(a->run, a->node);
  int64_t child = a->child_run ? a->child_run : n->child_run;
  fl_resume_spec spec;
  fl_run_row row;
  fl_error err;
  fl_run *run;
  if (!child) return false;
  if (fl_store_get_run(s->store, child, &row, &err)) {
    fail(a, err.message);
    return true;
  }
  a->child_run = child;
  fl_code rc = prepare(a, &row, sub, params, &spec, &err);
  if (!rc && fl_scheduler_commit(s)) {
    rc = fl_scheduler_resume_run(s, &row, &spec, &run, &err);
    if (!rc && fl_run_touch(a->run) &&
        fl_store_set_attempt_child(s->store, a->run->row.row, fl_run_get_number(a->run, a->node),
                                   a->number, child, &err))
      fl_scheduler_break(s, &err);
  }
  if (rc) fail(a, err.message);
  fl_run_row_deinit(&row);
  return true;
}

// A replay enters nothing: it repeats the run that the call of then started, as that one was.
static fl_code repeat(fl_attempt *a, fl_run_spec *spec, fl_value **params, fl_error *err) {
  fl_scheduler *s = a->scheduler;
  fl_run_row row;
  fl_code rc = fl_replay_get_child(a, &spec->replay_of, params, err);
  if (rc || !spec->replay_of || !s->config.find_sub) return rc;
  rc = fl_store_get_run(s->store, spec->replay_of, &row, err);
  if (rc) return rc;
  rc = s->config.find_sub(s->config.ud, &row, spec->flow, &spec->flow, &spec->patch, err);
  fl_run_row_deinit(&row);
  return rc;
}

static void start(fl_attempt *a, const fl_flow *sub, fl_value **params) {
  fl_scheduler *s = a->scheduler;
  fl_error err;
  fl_run *child;
  fl_run_spec spec = {.flow = sub,
                      .time_ms = a->run->row.time_ms,
                      .interval_from_ms = a->run->row.interval_from_ms,
                      .interval_to_ms = a->run->row.interval_to_ms,
                      .trigger = "flow",
                      .parent_run = a->run->row.row,
                      .parent_node = fl_run_get_number(a->run, a->node),
                      .parent = a,
                      .replay_live = a->run->row.replay_live};
  fl_code rc = repeat(a, &spec, params, &err);
  spec.params = *params;
  if (!rc) rc = fl_scheduler_start_run(s, &spec, &child, &err);
  if (rc)
    fail(a, err.message);
  else
    (void)fl_run_record(child, false); // what is left when time is over comes with its next look
  fl_value_unref(spec.patch);
}

// How many calls a run that `a` starts stands in, its own included.
static uint32_t depth_within(const fl_attempt *a) {
  uint32_t depth = 1;
  for (const fl_run *run = a->run; run->parent; run = run->parent->run) depth++;
  return depth;
}

static void call_start(void *ud, fl_attempt *a) {
  (void)ud;
  const fl_flow *flow = a->run->flow, *sub = NULL;
  fl_value *params = NULL;
  fl_error err;
  fl_attempt_started(a, 0, 0);
  fl_attempt_arm_timeout(a);
  if (flow->hooks->call(flow, a, &sub, &params, &err)) {
    fail(a, err.message);
    return;
  }
  if (sub->depth_max && depth_within(a) > sub->depth_max) {
    char text[FL_ERROR_TEXT_MAX];
    snprintf(text, sizeof text,
             "flow '%s' would be called %u deep: more than its max_depth (do flows call each other "
             "without end?)",
             sub->key, depth_within(a));
    fail(a, text);
  } else if (!enter(a, sub, params) && fl_run_touch(a->run)) {
    start(a, sub, &params);
  }
  fl_value_unref(params);
}

static void call_cancel(void *ud, fl_attempt *a, int64_t grace_ms) {
  (void)ud;
  if (a->child) fl_scheduler_cancel_run(a->scheduler, a->child, grace_ms == 0, a->run->interrupted);
}

const fl_executor fl_call_executor = {.name = "call",
                                      .kinds = 1u << FL_KIND_CALL,
                                      .enters_again = true,
                                      .start = call_start,
                                      .cancel = call_cancel};
