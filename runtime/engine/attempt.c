// How attempts start and end, and what their ends mean: success, another try, failure for good.
#include <math.h>
#include "base/bug.h"
#include "engine/run_internal.h"

void fl_attempt_started(fl_attempt *a, int pid, int64_t started_ms) {
  fl_scheduler *s = a->scheduler;
  if (a->told || !fl_run_touch(a->run)) return;
  a->told = true;
  a->pid = pid;
  a->started_ms = started_ms ? started_ms : fl_now(s);
  fl_plan_apply(a->run->plan, a->node, FL_NODE_START);
  fl_event more = {.attempt = a->number, .exit_code = -1, .wall_ms = a->started_ms};
  fl_event_node(a->run, a->node, FL_EVENT_NODE_STARTED, "running", &more);
  fl_attempt_row row;
  fl_error err;
  fl_attempt_fill_row(a, &row);
  row.state = FL_ATTEMPT_RUNNING;
  row.started_ms = a->started_ms;
  row.pid = pid;
  fl_code rc = a->recorded_row ? fl_store_start_attempt(s->store, &row, &err)
                               : fl_store_add_attempt(s->store, &row, &err);
  fl_attempt_set_recorded(a);
  if (rc) fl_scheduler_break(s, &err);
}

void fl_attempt_alarm(fl_attempt *a, const char *text) {
  fl_scheduler *s = a->scheduler;
  fl_run *run = a->run;
  fl_error err;
  if (!fl_run_touch(run)) return;
  s->alarmed_count += !a->alarmed;
  a->alarmed = true;
  fl_decision_row d = {.run = run->row.row,
                       .node = fl_run_get_number(run, a->node),
                       .seq = ++run->seq,
                       .epoch = run->row.epoch,
                       .state = FL_NODE_RUNNING,
                       .reason = FL_REASON_UNKILLABLE,
                       .detail = text,
                       .at_ms = fl_now(s)};
  if (fl_store_add_decision(s->store, &d, &err)) fl_scheduler_break(s, &err);
  fl_run_notice(run, "alarm: %s: %s", fl_run_get_name(run, a->node), text);
}

void fl_attempt_arm_timeout(fl_attempt *a) {
  if (!a->timeout_ms) return;
  a->due = fl_due_add(a->scheduler, &(fl_due){.at_ms = fl_ticks(a->scheduler) + a->timeout_ms,
                                              .kind = FL_DUE_TIMEOUT,
                                              .run = a->run,
                                              .node = a->node,
                                              .number = a->number});
}

// ------------------------------------------------------------------------------------- recording

static bool put_vars(fl_attempt *a, fl_vars *vars, fl_attempt_row *row) {
  fl_scheduler *s = a->scheduler;
  fl_error err;
  if (fl_store_put_value(s->store, vars->map, &err) || fl_store_put_value(s->store, vars->by, &err))
    return fl_scheduler_break(s, &err);
  row->vars_out = vars->map->store_id;
  row->vars_by = vars->by->store_id;
  return true;
}

static int64_t put_record(fl_attempt *a) {
  if (!a->record.size) return 0;
  fl_buf list;
  fl_error err;
  fl_buf_init(&list, FL_VALUE_SIZE_MAX);
  fl_buf_addf(&list, "[");
  fl_buf_add(&list, a->record.data, a->record.size);
  fl_buf_addf(&list, "]");
  fl_value *v = fl_value_new(list.data, list.size);
  fl_buf_deinit(&list);
  if (fl_store_put_value(a->scheduler->store, v, &err)) fl_scheduler_break(a->scheduler, &err);
  int64_t id = v->store_id;
  fl_value_unref(v);
  return id;
}

// Of one that an engine before this one had started: how its end became known.
static fl_reason found_by(const fl_attempt *a, const fl_outcome *o) {
  if (!a->adopted || o->state == FL_ATTEMPT_LOST) return 0;
  return a->unknown ? FL_REASON_HARVESTED : FL_REASON_ADOPTED;
}

// What a success leaves: for the record, and for those that come after it.
typedef struct leaving {
  fl_vars *own, *seen;
} leaving;

static void leaving_deinit(leaving *l) {
  fl_vars_unref(l->own);
  fl_vars_unref(l->seen);
}

static fl_code leave(const fl_attempt *a, const fl_outcome *o, leaving *out, fl_error *err) {
  const char *name = fl_run_get_name(a->run, a->node);
  *out = (leaving){0};
  fl_code rc = FL_OK;
  if (o->vars)
    rc = fl_vars_change(a->vars_in, o->vars, name, &out->own, err);
  else
    out->own = fl_vars_ref(a->vars_in);
  if (rc) return rc;
  if (!a->patched) return out->seen = fl_vars_ref(out->own), FL_OK;
  return fl_vars_overlay(out->own, a->patched, &out->seen, err); // though it could not see them
}

static bool record_end(fl_attempt *a, const fl_outcome *o, const leaving *left,
                       int64_t retry_at_ms) {
  fl_scheduler *s = a->scheduler;
  fl_run *run = a->run;
  fl_node_run *n = fl_run_get_node(run, a->node);
  fl_error err;
  fl_attempt_row row;
  fl_attempt_fill_row(a, &row);
  row.end_seq = ++run->seq;
  row.state = o->state;
  row.end_reason = o->reason ? o->reason : found_by(a, o);
  row.started_ms = o->started_ms;
  row.ended_ms = o->ended_ms;
  row.duration_ms = o->duration_ms;
  row.measured = o->measured;
  row.exit_code = o->exit_code;
  row.signal = o->signal;
  row.error = o->error;
  row.pid = o->pid;
  row.retry_at_ms = retry_at_ms;
  row.cpu_us = o->cpu_us;
  row.rss_max_bytes = o->rss_max_bytes;
  row.log = o->log;
  row.child_run = a->child_run;
  row.recorded = put_record(a);
  if (!row.log.path) row.log.path = "";
  if (o->state == FL_ATTEMPT_SUCCEEDED) {
    if (fl_store_put_value(s->store, o->outputs, &err)) return fl_scheduler_break(s, &err);
    row.outputs = o->outputs ? o->outputs->store_id : 0;
    fl_vars_unref(n->vars);
    n->vars = fl_vars_ref(left->seen);
    if (!put_vars(a, left->own, &row)) return false;
    fl_run_set_outputs(run, a->node, o->outputs);
  } else if (fl_run_get_kind(run, a->node)->gives_partly && o->outputs) {
    if (fl_store_put_value(s->store, o->outputs, &err)) return fl_scheduler_break(s, &err);
    row.outputs = o->outputs->store_id;
    fl_run_set_outputs(run, a->node, o->outputs);
    if (!n->vars) n->vars = fl_vars_ref(a->vars_in);
  } else if (FL_BUG(failed_vars_kept) && o->vars) {
    (void)!fl_vars_change(a->vars_in, o->vars, fl_run_get_name(run, a->node), &n->vars, &err);
  } else if (!n->vars) {
    n->vars = fl_vars_ref(a->vars_in);
  }
  if (FL_BUG(failed_outputs_kept) && o->state == FL_ATTEMPT_FAILED && o->outputs &&
      !fl_store_put_value(s->store, o->outputs, &err))
    fl_run_set_outputs(run, a->node, o->outputs);
  if (!a->recorded_row) fl_run_claims_changed(run);
  fl_code rc = a->recorded_row ? fl_store_end_attempt(s->store, &row, &err)
                               : fl_store_add_attempt(s->store, &row, &err);
  return rc ? fl_scheduler_break(s, &err) : true;
}

// ------------------------------------------------------------------------------------- retries

// delay x backoff^(failures - 1), at most the maximum, less a random part of `jitter`.
static int64_t retry_delay_ms(fl_attempt *a, uint32_t failures) {
  const fl_node_options *o = a->options;
  if (FL_BUG(retry_at_once)) return 0;
  double delay = (double)o->retry_delay_ms;
  if (o->retry_backoff > 0) delay *= pow(o->retry_backoff, failures - 1);
  if (o->retry_delay_max_ms && delay > (double)o->retry_delay_max_ms)
    delay = (double)o->retry_delay_max_ms;
  if (delay > 30.0 * 86400 * 1000) delay = 30.0 * 86400 * 1000;
  fl_scheduler *s = a->scheduler;
  if (o->retry_jitter > 0 && s->config.random)
    delay *= 1 - o->retry_jitter * s->config.random(s->config.ud);
  return (int64_t)delay;
}

static bool may_retry(fl_attempt *a, fl_outcome *o, fl_node_run *n) {
  if (a->run->stopping || a->run->interrupted) return false;
  if (o->reason == FL_REASON_RERUN_UPSTREAM) return true; // it was only taken back
  if (fl_run_item_is_over(a->run, a->node)) return false;
  if (o->state == FL_ATTEMPT_LOST) {
    if (!FL_BUG(lost_not_counted)) n->lost++;
    if (n->lost <= a->options->lost_count_max) return true;
    o->reason = FL_REASON_LOST_TOO_OFTEN;
    return false;
  }
  n->lost = 0;
  n->failures++;
  if (a->timeout_is_deadline && o->state == FL_ATTEMPT_TIMED_OUT)
    return o->reason = FL_REASON_DEADLINE, false;
  if (o->no_retry) return o->reason = FL_REASON_NOT_RETRYABLE, false;
  if (n->failures > a->options->retry_count_max) {
    if (a->options->retry_count_max) o->reason = FL_REASON_RETRIES_USED;
    return false;
  }
  if (!a->options->has_retry_on) return true;
  fl_failure f = {.state = fl_attempt_state_text(o->state),
                  .exit_code = o->exit_code,
                  .signal = o->signal,
                  .error = o->error,
                  .attempt = a->number};
  bool yes = false;
  fl_error err;
  if (a->run->flow->hooks->retry_on(a->run->flow, a, &f, &yes, &err))
    fl_run_notice(a->run, "%s", err.message);
  if (!yes) o->reason = FL_REASON_NOT_RETRYABLE;
  return yes;
}

// ------------------------------------------------------------------------------------- ending

static void tell_end(fl_attempt *a, const fl_outcome *o, fl_event_kind kind, fl_node_state state,
                     int64_t retry_in_ms) {
  fl_event more = {.attempt = a->number,
                   .exit_code = o->exit_code,
                   .signal = o->signal,
                   .error = o->error,
                   .reason = o->reason ? fl_reason_name(o->reason) : NULL,
                   .duration_ms = kind == FL_EVENT_NODE_RETRYING ? retry_in_ms
                                  : o->measured                  ? o->duration_ms
                                  : o->ended_ms > o->started_ms  ? o->ended_ms - o->started_ms
                                                                 : 0};
  if (!a->told) {
    fl_event start = {.attempt = a->number, .exit_code = -1, .wall_ms = o->started_ms};
    fl_event_node(a->run, a->node, FL_EVENT_NODE_STARTED, "running", &start);
  }
  fl_event_node(a->run, a->node, kind, fl_node_state_text(state), &more);
}

static fl_node_event event_of(fl_attempt_state state) {
  switch (fl_node_state_of(state, false)) {
  case FL_NODE_SUCCEEDED: return FL_NODE_SUCCEED;
  case FL_NODE_SKIPPED: return FL_NODE_SKIP;
  case FL_NODE_CANCELLED: return FL_NODE_CANCEL;
  default: return FL_NODE_FAIL;
  }
}

// Whatever code made of its end, the first that is said of it is why it was ended.
static void time_out(const fl_attempt *a, fl_outcome *o, fl_buf *text) {
  fl_attempt_describe_timeout(a, text);
  if (o->error) fl_buf_add_str(text, ": ");
  if (o->error) fl_buf_add(text, o->error, strnlen(o->error, FL_ERROR_TEXT_MAX));
  o->error = fl_buf_cstr(text);
  o->state = FL_BUG(timeout_is_success) ? FL_ATTEMPT_SUCCEEDED : FL_ATTEMPT_TIMED_OUT;
}

// What an executor reports, made true to what was asked for: an end that was brought about by the
// timeout is timed_out, one by a cancel is cancelled, whatever the process made of its TERM. An
// executor that says itself that time was over has said it in the error, too.
static void settle_outcome(fl_attempt *a, fl_outcome *o, fl_buf *text) {
  int64_t now = fl_now(a->scheduler);
  if (!o->ended_ms) o->ended_ms = now;
  if (!o->started_ms) o->started_ms = a->started_ms ? a->started_ms : a->claimed_ms;
  if (!o->measured && a->given_ms) {
    o->duration_ms = fl_ticks(a->scheduler) - a->given_ms;
    o->measured = true;
  }
  if (!o->pid) o->pid = a->pid;
  // Ended by the engine before this one, which had begun to stop: nobody here wants that.
  if (o->state == FL_ATTEMPT_CANCELLED && a->adopted && !a->cancelling) {
    o->state = FL_ATTEMPT_LOST;
    if (!o->error) o->error = "it was ended by the engine that was here before";
  }
  bool done = o->state == FL_ATTEMPT_SUCCEEDED || o->state == FL_ATTEMPT_SKIPPED;
  if (a->timing_out && !done && o->state != FL_ATTEMPT_TIMED_OUT) {
    time_out(a, o, text);
  } else if (a->cancelling && !done && !a->timing_out && o->state != FL_ATTEMPT_LOST) {
    o->state = FL_ATTEMPT_CANCELLED;
    o->reason = a->run->interrupted ? FL_REASON_INTERRUPTED
                : a->run->timed_out ? FL_REASON_RUN_TIMEOUT
                : a->run->cancelled ? FL_REASON_CANCEL_ASKED
                                    : FL_REASON_RUN_STOPPED;
  }
  if (o->state == FL_ATTEMPT_SKIPPED) o->reason = FL_REASON_SKIPPED_ITSELF;
}

static void end_for_good(fl_attempt *a, const fl_outcome *o) {
  fl_run *run = a->run;
  uint32_t node = a->node;
  fl_node_event event = event_of(o->state);
  fl_node_state state = fl_node_state_next(fl_plan_get_state(run->plan, node), event);
  tell_end(a, o, FL_EVENT_NODE_FINISHED, state, 0);
  if (event == FL_NODE_FAIL)
    fl_failures_add(run, node, a->number, o->exit_code,
                    o->error ? o->error : fl_attempt_state_text(o->state));
  bool stop = event == FL_NODE_FAIL && run->flow->policy == FL_POLICY_STOP && !run->stopping &&
              run->phase == FL_PHASE_NODES && !fl_plan_is_handled(run->plan, node);
  const fl_kind_ops *kind = fl_run_get_kind(run, node);
  if (event == FL_NODE_SUCCEED && kind->succeeded) kind->succeeded(run, node, o->outputs);
  fl_attempt_detach(a);
  fl_attempt_free(a);
  // An engine that stops leaves what comes behind undecided: the resume goes on there.
  bool undecided = event == FL_NODE_CANCEL && run->interrupted;
  fl_plan_apply(run->plan, node, undecided ? FL_NODE_RETRY : event);
  fl_run_take_decisions(run);
  if (stop) fl_run_stop(run, FL_REASON_RUN_STOPPED, false);
  if (node >= run->graph_count && !undecided) fl_run_item_ended(run, node);
}

// Whether its deadline lets another try begin after `delay_ms`. If not, it is told now: no wait
// could change it. `text` holds the error, or is empty.
static bool fits_deadline(const fl_attempt *a, fl_outcome *o, int64_t delay_ms, fl_buf *text) {
  char span[FL_TIME_TEXT_SIZE];
  const fl_node_run *n = &a->run->nodes[a->node];
  int64_t deadline = a->options->deadline_ms;
  if (!deadline || fl_ticks(a->scheduler) + delay_ms < n->first_ms + deadline) return true;
  fl_duration_format(deadline, span);
  if (o->error && !text->size) fl_buf_add(text, o->error, strnlen(o->error, FL_ERROR_TEXT_MAX));
  fl_buf_addf(text, "%sno further try fits its deadline of %s", o->error ? "; " : "", span);
  o->error = fl_buf_cstr(text);
  o->reason = FL_REASON_DEADLINE;
  return false;
}

static uint32_t number_of(const fl_attempt *a) {
  return fl_run_get_number(a->run, a->node);
}

static void end_settled(fl_attempt *a, fl_outcome o, fl_buf *text) {
  fl_scheduler *s = a->scheduler;
  fl_run *run = a->run;
  fl_error err;
  const fl_kind_ops *kind = fl_run_get_kind(run, a->node);
  leaving left = {0};
  if (o.state == FL_ATTEMPT_SUCCEEDED &&
      ((kind->check && kind->check(run, a->node, o.outputs, &err)) || leave(a, &o, &left, &err))) {
    o.state = FL_ATTEMPT_FAILED;
    o.error = err.message;
    o.outputs = o.vars = NULL;
  }
  fl_node_run *n = fl_run_get_node(run, a->node);
  bool failed =
      o.state == FL_ATTEMPT_FAILED || o.state == FL_ATTEMPT_TIMED_OUT || o.state == FL_ATTEMPT_LOST;
  bool retry = failed && may_retry(a, &o, n);
  int64_t delay = retry && o.state != FL_ATTEMPT_LOST ? retry_delay_ms(a, n->failures) : 0;
  retry = retry && (FL_BUG(deadline_ignored) || fits_deadline(a, &o, delay, text));
  bool recorded = record_end(a, &o, &left, retry ? fl_now(s) + delay : 0);
  leaving_deinit(&left);
  if (!recorded) {
    fl_attempt_detach(a);
    fl_attempt_free(a);
    return;
  }
  if (!retry) {
    if (failed) fl_run_record_breakpoint(run, a->node, a->number);
    end_for_good(a, &o);
    return;
  }
  if (FL_BUG(checkpoint_lost_at_retry))
    (void)!fl_store_put_checkpoint(s->store, run->row.row, number_of(a), 0, 0, NULL, &err);
  if (o.state == FL_ATTEMPT_LOST && o.reason != FL_REASON_RERUN_UPSTREAM)
    o.reason = FL_REASON_RETRY_LOST; // as told; it is recorded
  n->next_reason = o.state == FL_ATTEMPT_LOST ? (uint8_t)o.reason : FL_REASON_RETRY;
  n->child_run = a->child_run;
  tell_end(a, &o, FL_EVENT_NODE_RETRYING, FL_NODE_RETRYING, delay);
  fl_plan_apply(run->plan, a->node, FL_NODE_RETRY);
  fl_due_add(s, &(fl_due){.at_ms = fl_ticks(s) + delay,
                          .kind = FL_DUE_RETRY,
                          .run = run,
                          .node = a->node,
                          .number = a->number});
  fl_attempt_detach(a);
  if (FL_BUG(slot_not_freed)) fl_attempt_get_site(a)->live++;
  fl_attempt_free(a);
}

void fl_attempt_end(fl_attempt *a, const fl_outcome *outcome) {
  fl_outcome o = *outcome;
  fl_buf text;
  if (!fl_run_touch(a->run)) {
    fl_attempt_detach(a);
    fl_attempt_free(a);
    return;
  }
  fl_buf_init(&text, 2 * FL_ERROR_TEXT_MAX);
  settle_outcome(a, &o, &text);
  end_settled(a, o, &text);
  fl_buf_deinit(&text);
}

fl_code fl_scheduler_report(fl_scheduler *s, const char *run_id, uint32_t node_number,
                            uint32_t number, const fl_outcome *outcome, fl_report *out,
                            fl_error *err) {
  fl_attempt *a = fl_scheduler_find_attempt(s, run_id, node_number, number);
  *out = FL_REPORT_RECORDED;
  if (a) {
    fl_attempt_end(a, outcome);
    return FL_OK;
  }
  fl_run_row row;
  bool found = false;
  fl_attempt_state state = FL_ATTEMPT_LOST;
  *out = FL_REPORT_UNKNOWN;
  fl_code rc = fl_store_find_run(s->store, run_id, &row, err);
  if (rc == FL_E_NOT_FOUND) return FL_OK;
  if (!rc) {
    rc = fl_store_get_attempt_state(s->store, row.row, node_number, number, &found, &state, err);
    fl_run_row_deinit(&row);
  }
  // The first outcome that was recorded holds, whatever is said later.
  bool ended = fl_attempt_state_is_final(state) && state != FL_ATTEMPT_LOST;
  if (!rc && found) *out = ended ? FL_REPORT_RECORDED : FL_REPORT_SUPERSEDED;
  return rc;
}

// ------------------------------------------------------------------------------------- saving on
// the way

void fl_attempt_checkpoint(fl_attempt *a, fl_value *value, void (*done)(void *ud), void *ud) {
  fl_scheduler *s = a->scheduler;
  fl_error err;
  if (!fl_run_touch(a->run)) return;
  if (fl_store_put_checkpoint(s->store, a->run->row.row, number_of(a), a->number, fl_now(s), value,
                              &err)) {
    fl_scheduler_break(s, &err);
    return;
  }
  fl_scheduler_add_ack(s, done, ud);
}

void fl_attempt_put_step(fl_attempt *a, const char *name, fl_value *value, void (*done)(void *ud),
                         void *ud) {
  fl_scheduler *s = a->scheduler;
  fl_error err;
  if (!fl_run_touch(a->run)) return;
  if (fl_store_put_step(s->store, a->run->row.row, number_of(a), name, value, &err)) {
    fl_scheduler_break(s, &err);
    return;
  }
  fl_scheduler_add_ack(s, done, ud);
}

fl_code fl_attempt_get_checkpoint(fl_attempt *a, fl_value **out, fl_error *err) {
  fl_scheduler *s = a->scheduler;
  fl_code rc = fl_store_get_checkpoint(s->store, a->run->row.row, number_of(a), out, err);
  return fl_scheduler_check_read(s, rc, err);
}

fl_code fl_attempt_get_step(fl_attempt *a, const char *name, bool *found, fl_value **out,
                            fl_error *err) {
  fl_scheduler *s = a->scheduler;
  fl_code rc = fl_store_get_step(s->store, a->run->row.row, number_of(a), name, found, out, err);
  return fl_scheduler_check_read(s, rc, err);
}

void fl_attempt_progress(fl_attempt *a, double done, double total, const char *text) {
  fl_scheduler *s = a->scheduler;
  fl_error err;
  if (!fl_run_touch(a->run)) return;
  if (fl_store_put_progress(s->store, a->run->row.row, number_of(a), done, total, text, fl_now(s),
                            &err))
    fl_scheduler_break(s, &err);
  fl_event more = {.attempt = a->number,
                   .exit_code = -1,
                   .error = text,
                   .progress_done = done,
                   .progress_total = total};
  fl_event_node(a->run, a->node, FL_EVENT_NODE_PROGRESS, "running", &more);
}
