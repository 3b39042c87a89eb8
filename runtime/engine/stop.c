// A run is to stop: nothing more of it starts, what waits is cancelled, what lives is ended.
#include "engine/run_internal.h"
#include "base/bug.h"

void fl_run_stop(fl_run *run, fl_reason reason, bool kill) {
  uint8_t asked = kill ? FL_ASKED_KILL : FL_ASKED_TERM;
  if (!run->stopping) run->stop_at = 0, run->stop_reason = reason;
  run->stopping = run->stop_left = true;
  if (run->stop_asked < asked) run->stop_asked = asked;
  fl_lineup_leave(run);
  fl_run_wake(run);
}

void fl_scheduler_cancel_run(fl_scheduler *s, fl_run *run, bool kill, bool interrupt) {
  if (run->phase >= FL_PHASE_SEAL || s->broken) return;
  if (interrupt) run->interrupted = true;
  if (!run->timed_out) run->cancelled = true;
  if (run->queued) {
    run->queued = false;
    fl_gate_leave(run);
    run->beginning = !interrupt; // what waits has to be known to be cancelled
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

// What has not started is cancelled one by one, so that the record says so: children before their
// parents, as those of a cancelled parent count as behind a failure. False: time is over.
static bool cancel_waiting(fl_run *run) {
  while (run->stop_at < fl_plan_get_count(run->plan)) {
    uint32_t i = run->stop_at++;
    if (i < run->graph_count) i = fl_graph_get_order(run->flow->graph)[run->graph_count - 1 - i];
    fl_node_state st = fl_plan_get_state(run->plan, i);
    if (i < run->graph_count && fl_graph_get_options(run->flow->graph, i)->hook) continue;
    if (st != FL_NODE_PENDING && st != FL_NODE_RETRYING) continue;
    fl_run_decide(run, i, FL_NODE_CANCEL, run->stop_reason, NULL);
    if (fl_scheduler_is_out_of_time(run->scheduler)) return false;
  }
  return true;
}

// Those that were asked stand behind those that were not.
static bool cancel_live(fl_run *run, fl_attempt_list *list) {
  fl_scheduler *s = run->scheduler;
  for (fl_attempt *a; (a = list->first) && a->asked < run->stop_asked;) {
    bool again = a->cancelling, kill = run->stop_asked == FL_ASKED_KILL;
    fl_attempt_set_asked(a, run->stop_asked);
    a->cancelling = true;
    if (!a->started) continue; // the turn's end sees the mark
    if (again && !kill) continue;
    fl_attempt_cancel(a, kill ? 0 : a->options->grace_ms);
    if (fl_scheduler_is_out_of_time(s)) return false;
  }
  return true;
}

void fl_run_stop_some(fl_run *run) {
  if (!run->stop_asked || run->phase >= FL_PHASE_SEAL) return;
  if (!run->interrupted && !run->stop_at) (void)fl_run_cancel_given_back(run, FL_NODE_NONE);
  if ((run->interrupted || (!run->deciding && cancel_waiting(run))) &&
      cancel_live(run, &run->live) && cancel_live(run, &run->claims))
    run->stop_left = false;
  else
    fl_run_wake(run);
}

static void obey(void *ud, const char *id, int cancel) {
  fl_scheduler *s = ud;
  fl_run *run = fl_scheduler_find_run(s, id);
  if (!run || cancel <= run->row.cancel) return;
  run->row.cancel = cancel;
  fl_scheduler_cancel_run(s, run, cancel == 2, false);
}

void fl_scheduler_check_cancels(fl_scheduler *s) {
  fl_error err;
  s->wish_seen = false;
  if (FL_BUG(wish_not_read) || s->broken || !s->run_count) return;
  // What cannot be read now is read with the next commit, or by the next knock.
  if (fl_store_each_wish(s->store, obey, s, &err)) s->wish_seen = true;
}
