// From ready to started: a node is decided about, its attempt recorded, and its start kept until
// the commit. Saved before the start: a crash there must count as an attempt.
#include "engine/replay.h"
#include "base/bug.h"

fl_reason fl_run_get_start_reason(fl_run *run, uint32_t node) {
  fl_node_run *n = fl_run_get_node(run, node);
  if (n->next_reason) return n->next_reason;
  if (node >= run->graph_count) return FL_REASON_ITEM;
  uint32_t count;
  fl_graph_get_parents(run->flow->graph, node, &count);
  if (!count) return FL_REASON_ROOT;
  return fl_graph_get_options(run->flow->graph, node)->trigger == FL_TRIGGER_ALL_SUCCESS
             ? FL_REASON_READY
             : FL_REASON_TRIGGER;
}

// The node's deadline runs over all its attempts; what is left of it bounds this one.
static bool within_deadline(fl_attempt *a, fl_node_run *n) {
  int64_t deadline = a->options->deadline_ms;
  if (!deadline || FL_BUG(deadline_ignored)) return true;
  if (!n->first_ms) n->first_ms = fl_ticks(a->scheduler);
  int64_t left = n->first_ms + deadline - fl_ticks(a->scheduler);
  if (left <= 0) return false;
  if (!a->timeout_ms || left < a->timeout_ms) {
    a->timeout_ms = left;
    a->timeout_is_deadline = true;
  }
  return true;
}

static bool record_claim(fl_attempt *a, fl_reason reason) {
  fl_scheduler *s = a->scheduler;
  fl_error err;
  s->claimed++;
  a->seq = ++a->run->seq;
  a->claimed_ms = fl_now(s);
  a->reason = reason;
  if (fl_store_put_value(s->store, a->vars_in->map, &err)) return fl_scheduler_break(s, &err);
  // Those that mostly end at once share a row of the run, and get their own when they end, or when
  // they turn out to last. Others may wait for long where they are: it is shown.
  bool ends_at_once = fl_attempt_get_site(a)->x.records_with_end;
  if (ends_at_once && FL_BUG(claim_not_recorded)) return true;
  if (ends_at_once) return fl_run_claims_changed(a->run), true;
  fl_attempt_row row;
  fl_attempt_fill_row(a, &row);
  a->recorded_row = true;
  if (fl_store_add_attempt(s->store, &row, &err)) return fl_scheduler_break(s, &err);
  return true;
}

// Once a run: who knows what became of its attempts, so that a resume can ask.
void fl_attempt_need_keeper(fl_attempt *a, const char *keeper) {
  fl_run *run = a->run;
  fl_scheduler *s = run->scheduler;
  if (run->keeper_known || !fl_run_touch(run)) return;
  fl_epoch_row row = {.epoch = run->row.epoch,
                      .owner = s->owner,
                      .supervisor = (char *)keeper,
                      .at_ms = fl_now(s),
                      .patch = run->epoch_patch,
                      .reason = run->epoch_reason,
                      .author = run->epoch_author};
  fl_error err;
  if (fl_store_put_epoch(s->store, run->row.row, &row, &err)) fl_scheduler_break(s, &err);
  run->keeper_known = true;
}

static void end_unstarted(fl_attempt *a, const fl_error *err) {
  fl_attempt_end(
      a, &(fl_outcome){
             .state = FL_ATTEMPT_FAILED, .exit_code = -1, .error = err->message, .no_retry = true});
}

// What must be known before the commit: a command that cannot be made is no attempt to start.
static void prepare(fl_attempt *a) {
  fl_error err;
  const fl_executor *x = &fl_attempt_get_site(a)->x;
  const char *keeper = a->run->keeper_known ? NULL : x->get_keeper(x->ud);
  if (keeper) fl_attempt_need_keeper(a, keeper);
  const fl_kind_ops *kind = fl_run_get_kind(a->run, a->node);
  if (kind->prepare && kind->prepare(a, &err)) {
    end_unstarted(a, &err);
    return;
  }
  fl_scheduler_add_start(a->scheduler, a);
}

// Vars that were set by hand since its claim: it starts after that, and sees them.
static fl_code see_patched(fl_attempt *a, fl_error *err) {
  fl_vars *vars;
  if (!a->patched) return FL_OK;
  fl_code rc = fl_vars_overlay(a->vars_in, a->patched, &vars, err);
  fl_value_unref(a->patched);
  a->patched = NULL;
  if (rc) return rc;
  fl_vars_unref(a->vars_in);
  a->vars_in = vars;
  return FL_OK;
}

void fl_attempt_hand_over(fl_attempt *a) {
  fl_scheduler *s = a->scheduler;
  fl_run *run = a->run;
  fl_error err;
  (void)within_deadline(a, fl_run_get_node(run, a->node)); // counted from now on
  if (see_patched(a, &err)) {
    end_unstarted(a, &err);
    return;
  }
  fl_command_free(a->command);
  a->command = NULL;
  fl_code rc = fl_store_put_value(s->store, a->vars_in->map, &err);
  if (!rc && a->recorded_row)
    rc = fl_store_hand_over_attempt(s->store, run->row.row, fl_run_get_number(run, a->node),
                                    a->number, run->row.epoch, a->vars_in->map->store_id, &err);
  if (rc)
    fl_scheduler_break(s, &err);
  else
    prepare(a);
}

static void skip_by_when(fl_attempt *a) {
  fl_buf list;
  fl_buf_init(&list, FL_VALUE_SIZE_MAX);
  if (a->record.size) {
    fl_buf_add_char(&list, '[');
    fl_buf_add(&list, a->record.data, a->record.size);
    fl_buf_add_char(&list, ']');
  }
  bool any = list.size && !list.failed;
  fl_run_skip_by_when(a->run, a->node, any ? fl_buf_cstr(&list) : NULL);
  fl_buf_deinit(&list);
}

static bool wanted(fl_attempt *a, fl_node_run *n) {
  bool yes = true;
  fl_error err;
  const fl_past *past = fl_replay_find(a->run, a->node);
  if (past && past->decided == FL_REASON_SKIP_ASKED) {
    fl_run_decide(a->run, a->node, FL_NODE_SKIP, FL_REASON_SKIP_ASKED, NULL);
    return false;
  }
  a->given = past && past->is_given;
  if (a->given) return true;
  if (!a->options->has_when || n->attempts || a->node >= a->run->graph_count)
    return fl_recorded_pass_mark(&a->recorded), true;
  if (a->run->flow->hooks->when(a->run->flow, a, &yes, &err)) {
    fl_run_decide(a->run, a->node, FL_NODE_FAIL, FL_REASON_NOT_RETRYABLE, err.message);
    return false;
  }
  if (!yes) return skip_by_when(a), false;
  // What the node's own code gets stands behind it, here and in what was recorded then.
  if (a->record.size) fl_buf_add_str(&a->record, "," FL_RECORDED_MARK);
  fl_recorded_pass_mark(&a->recorded);
  return true;
}

// ------------------------------------------------------------------------------------- given back

void fl_attempt_give_back(fl_attempt *a) {
  fl_run *run = a->run;
  FL_ASSERT(!a->told);
  if (a->cancelling || run->stopping) {
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_CANCELLED, .exit_code = -1});
    return;
  }
  fl_attempt_detach(a);
  a->started = a->adopted = false;
  a->executor_data = NULL;
  if (!a->recorded_row) fl_run_claims_changed(run);
  a->next = run->given_back;
  run->given_back = a;
  fl_plan_apply(run->plan, a->node, FL_NODE_RELEASE);
}

// Ends one whose result was set by hand in the run that is repeated with that result.
static void give(fl_attempt *a) {
  fl_value *outputs = NULL;
  fl_error err;
  fl_outcome o = {.state = FL_ATTEMPT_SUCCEEDED, .reason = FL_REASON_SYNTHETIC, .exit_code = -1};
  if (fl_replay_get_given(a->run, a->node, &outputs, &err)) {
    o.state = FL_ATTEMPT_FAILED;
    o.error = err.message;
    o.no_retry = true;
  }
  o.outputs = outputs;
  fl_attempt_end(a, &o);
  fl_value_unref(outputs);
}

void fl_run_claim(fl_run *run, uint32_t node) {
  fl_scheduler *s = run->scheduler;
  if (!fl_run_touch(run)) return;
  fl_attempt *back = fl_run_take_given_back(run, node);
  if (back) {
    fl_attempt_hand_over(back);
    return;
  }
  fl_node_run *n = fl_run_get_node(run, node);
  fl_attempt *a = fl_attempt_new(run, node, n->attempts + 1);
  fl_error err;
  if (fl_replay_get_vars(run, node, &a->vars_in, &err)) {
    fl_run_decide(run, node, FL_NODE_FAIL, FL_REASON_MERGE_CONFLICT, err.message);
    fl_attempt_free(a);
    return;
  }
  if (fl_replay_prepare(a, &err)) {
    fl_run_decide(run, node, FL_NODE_FAIL, FL_REASON_NOT_RETRYABLE, err.message);
    fl_attempt_free(a);
    return;
  }
  if (!wanted(a, n)) {
    fl_attempt_free(a);
    return;
  }
  if (!within_deadline(a, n)) {
    char text[FL_TIME_TEXT_SIZE + 64], span[FL_TIME_TEXT_SIZE];
    fl_duration_format(a->options->deadline_ms, span);
    snprintf(text, sizeof text, "its deadline of %s was over before it could begin", span);
    fl_run_decide(run, node, FL_NODE_FAIL, FL_REASON_DEADLINE, text);
    fl_attempt_free(a);
    return;
  }
  if (!record_claim(a, fl_run_get_start_reason(run, node))) {
    fl_attempt_free(a);
    return;
  }
  n->next_reason = 0;
  n->attempts++;
  n->live = a;
  fl_scheduler_link(s, a);
  fl_plan_apply(run->plan, node, FL_NODE_CLAIM);
  if (a->given)
    give(a);
  else
    prepare(a);
}
