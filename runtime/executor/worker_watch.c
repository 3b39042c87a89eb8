// Looks after tasks that run: tells of long ones, ends those that are out of time, and takes back
// what is queued behind them. What it knows of a worker that does not answer is in the shared page.
#include "executor/worker_pool_internal.h"
#include "engine/scheduler.h"

#define TIMEOUT_GRACE_NS 1000000000ll // code that looks at ctx:cancelled() may end by itself
#define CHILD_GRACE_NS   500000000ll  // for what ctx:exec gives back after its child was ended

static int64_t sooner(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// ------------------------------------------------------------------------------------- stopping

bool fl_worker_task_stop(fl_worker_task *t, int64_t grace_ms) {
  fl_worker *w = t->worker;
  fl_worker_slot *slot = &w->page->slots[t->slot];
  if (fl_slot_revoke(slot, t->generation)) {
    fl_worker_take_back(t);
    return false;
  }
  int64_t kill_ns = fl_worker_pool_now_ns() + grace_ms * 1000000;
  if (t->child) {
    fl_processes_cancel_child(t->pool->services->processes, t->child, grace_ms);
    if (grace_ms) kill_ns += CHILD_GRACE_NS;
  }
  if (!t->kill_ns) {
    fl_slot_cancel(slot, t->generation);
    fl_wire_end(&w->out, fl_worker_begin(&w->out, FL_WORKER_CANCEL));
  }
  if (!t->kill_ns || kill_ns < t->kill_ns) t->kill_ns = kill_ns;
  fl_worker_pool_arm(t->pool, t->kill_ns);
  return true;
}

static void time_out(fl_worker_task *t) {
  fl_attempt *a = t->attempt;
  int64_t grace_ns = fl_attempt_get_options(a)->grace_ms * 1000000;
  fl_attempt_time_out(a);
  // A child gets all of its grace; code that does not look is not worth more than a second.
  if (!t->child && grace_ns > TIMEOUT_GRACE_NS) grace_ns = TIMEOUT_GRACE_NS;
  if (!fl_worker_task_stop(t, grace_ns / 1000000)) fl_worker_task_put(t, FL_PLACE_DROPPED);
}

void fl_worker_revoke_queued(fl_worker *w) {
  for (uint32_t i = 0; i < FL_WORKER_SLOTS; i++) {
    fl_worker_task *t = w->tasks[i];
    if (!t || !fl_slot_revoke(&w->page->slots[i], t->generation)) continue;
    fl_worker_take_back(t);
    fl_worker_task_put(t, FL_PLACE_WAITING);
  }
}

// ------------------------------------------------------------------------------------- looking

// From now on somebody may look at it, and at what it said so far.
static void tell(fl_worker *w, fl_worker_task *t, int64_t ran_ns) {
  fl_attempt_started(t->attempt, w->pid, fl_wall_ms() - ran_ns / 1000000);
  if (t->log) fl_log_sink_flush(t->log);
}

// When it must be looked at again.
static int64_t look_at_running(fl_worker *w, fl_worker_task *t, int64_t now) {
  fl_attempt *a = t->attempt;
  int64_t due = INT64_MAX;
  if (!t->started_ns) { // the worker's word, within reason
    int64_t started = atomic_load(&w->page->slots[t->slot].started_ns);
    t->started_ns = started < t->given_ns ? t->given_ns : started > now ? now : started;
  }
  int64_t ran_ns = now - t->started_ns;
  if (ran_ns >= FL_WORKER_LONG_NS) {
    w->slow = true;
    if (!fl_attempt_is_told(a)) tell(w, t, ran_ns);
    if (w->task_count > 1) fl_worker_revoke_queued(w);
  } else {
    due = t->started_ns + FL_WORKER_LONG_NS;
  }
  if (fl_attempt_get_timeout_ms(a) && !fl_attempt_is_ending(a)) {
    int64_t over_ns = t->started_ns + fl_attempt_get_timeout_ms(a) * 1000000;
    if (now >= over_ns)
      time_out(t);
    else
      due = sooner(due, over_ns);
  }
  if (t->kill_ns && !w->killed) {
    if (now >= t->kill_ns)
      fl_worker_kill(w);
    else
      due = sooner(due, t->kill_ns);
  }
  return due;
}

static int64_t look_at_queued(const fl_worker_task *t, int64_t now) {
  int64_t wait_ns = FL_WORKER_LONG_NS, timeout_ns = fl_attempt_get_timeout_ms(t->attempt) * 1000000;
  return now + (timeout_ns && timeout_ns < wait_ns ? timeout_ns : wait_ns);
}

static int64_t look_at_process(fl_worker *w, int64_t now) {
  if (w->killed || w->state == FL_WORKER_CLOSED) return INT64_MAX;
  int64_t end_ns = w->hung_up_ns                    ? w->hung_up_ns + FL_WORKER_EXIT_NS
                   : w->state == FL_WORKER_STARTING ? w->began_ns + FL_WORKER_LOAD_NS
                                                    : INT64_MAX;
  if (now < end_ns) return end_ns;
  w->complaint = fl_strdup(w->hung_up_ns ? "it closed its connection"
                                         : "it took more than a minute to load the script");
  fl_worker_kill(w);
  return INT64_MAX;
}

void fl_worker_pool_look(fl_worker_pool *pool) {
  int64_t now = fl_worker_pool_now_ns(), due = INT64_MAX;
  for (fl_worker *w = pool->workers; w; w = w->next) {
    due = sooner(due, look_at_process(w, now));
    for (uint32_t i = 0; i < FL_WORKER_SLOTS; i++) {
      fl_worker_task *t = w->tasks[i];
      if (!t) continue;
      fl_slot_state state = fl_slot_get_state(&w->page->slots[i], t->generation);
      if (state == FL_SLOT_RUNNING)
        due = sooner(due, look_at_running(w, t, now));
      else
        due = sooner(due, look_at_queued(t, now));
    }
  }
  if (due != INT64_MAX) fl_worker_pool_arm(pool, due);
}
