// How tasks end, and what becomes of the tasks of a worker that has died.
#include <errno.h>
#include "base/bug.h"
#include <signal.h>
#include <unistd.h>
#include "base/limits.h"
#include "base/json.h"
#include "executor/worker_pool_internal.h"
#include "engine/scheduler.h"

#define PIPE_SIZE_MAX (64u << 10) // what a pipe holds

// ------------------------------------------------------------------------------------- one task

static void report(fl_worker_task *t, fl_outcome *o) {
  fl_attempt *a = t->attempt;
  fl_log_sink *log = t->log;
  if (log) {
    int disk_errno = 0;
    if (!fl_log_sink_finish(log, &o->log.path, &o->log.offset, &o->log.size, &o->log.total,
                            &disk_errno)) {
      fl_run_notice(fl_attempt_get_run(a), "%s: its output could not be written whole (%s)",
                    fl_attempt_get_name(a), fl_errno_name(disk_errno));
    }
  }
  fl_attempt_set_data(a, NULL);
  if (t->saving) fl_attempt_forget(a, t);
  fl_attempt_end(a, o);
  fl_log_sink_close(log);
  free(t->tail);
  free(t->error);
  free(t);
}

// Its child must be gone first: nothing of an attempt is left when it has ended.
static void wait_for_child(fl_worker_task *t, const fl_outcome *outcome) {
  t->outcome = *outcome;
  t->error = outcome->error ? fl_strdup(outcome->error) : NULL;
  t->outcome.error = t->error;
  fl_value_ref(outcome->outputs);
  fl_value_ref(outcome->vars);
  fl_worker_task_put(t, FL_PLACE_ENDING);
  fl_processes_cancel_child(t->pool->services->processes, t->child, 0);
}

void fl_worker_task_end(fl_worker_task *t, const fl_outcome *outcome) {
  fl_outcome o = *outcome;
  if (t->child)
    wait_for_child(t, outcome);
  else
    report(t, &o);
}

void fl_worker_task_child_ended(fl_worker_task *t) {
  fl_outcome o = t->outcome;
  fl_worker_task_remove(t);
  report(t, &o);
  fl_value_unref(o.outputs);
  fl_value_unref(o.vars);
}

void fl_worker_task_fail(fl_worker_task *t, const char *error) {
  fl_worker_task_end(t, &(fl_outcome){.state = FL_ATTEMPT_FAILED, .exit_code = -1, .error = error});
}

void fl_worker_fail_load(fl_worker *w, const char *text) {
  fl_worker_group *g = w->group;
  w->retiring = true;
  for (uint32_t i = 0; i < FL_WORKER_SLOTS; i++) {
    fl_worker_task *t = w->tasks[i];
    if (!t) continue;
    fl_worker_take_back(t);
    fl_worker_task_fail(t, text);
  }
  while (g->waiting.first) {
    fl_worker_task *t = g->waiting.first;
    fl_worker_task_remove(t);
    fl_worker_task_fail(t, text);
  }
}

// ------------------------------------------------------------------------------------- a worker's
// death

// The last line that the task printed, for what a library says before it aborts.
static void add_tail(fl_buf *text, const char *tail, size_t size) {
  while (size && strchr("\n\r ", tail[size - 1])) size--;
  size_t begin = size;
  while (begin && tail[begin - 1] != '\n') begin--;
  if (size == begin) return;
  fl_buf_add_str(text, ": ");
  fl_utf8_clean(text, tail + begin, size - begin);
}

static void describe(const fl_worker *w, const fl_child_exit *x, const char *name, fl_buf *text) {
  // One that had died by itself, and whose end came late to us, says more by that.
  if (w->complaint && x->signal == SIGKILL) {
    fl_buf_addf(text, "worker was ended: %s", w->complaint);
  } else if (x->end == FL_CHILD_NOT_STARTED) {
    fl_error err;
    fl_fail_errno(&err, FL_E_SPAWN, x->errnum, "cannot start a worker: cannot %s",
                  x->error_what ? x->error_what : "run its program");
    fl_buf_add_str(text, err.message);
    return;
  } else if (x->signal) {
    const char *abbreviation = sigabbrev_np(x->signal);
    fl_buf_addf(text, "worker was killed by SIG%s", abbreviation ? abbreviation : "?");
    if (x->signal == SIGKILL) fl_buf_add_str(text, " (out of memory, or by hand)");
  } else {
    fl_buf_addf(text, "worker exited with code %d", x->exit_code);
  }
  if (name)
    fl_buf_addf(text, " while running node '%s'", name);
  else
    fl_buf_add_str(text, " while loading the script");
}

// A task that was running when its worker died.
static void end_running(fl_worker *w, fl_worker_task *t, const fl_child_exit *x) {
  fl_buf text;
  fl_buf_init(&text, FL_ERROR_TEXT_MAX);
  fl_outcome o = {.state = FL_ATTEMPT_FAILED,
                  .exit_code = x->exit_code > 0 ? x->exit_code : -1,
                  .signal = x->signal,
                  .pid = w->pid,
                  .rss_max_bytes = x->rss_max_bytes,
                  .cpu_us = x->cpu_us > w->cpu_us ? x->cpu_us - w->cpu_us : 0};
  int64_t now = fl_worker_pool_now_ns();
  int64_t started = atomic_load(&w->page->slots[t->slot].started_ns);
  o.ended_ms = x->ended_ms ? x->ended_ms : fl_wall_ms();
  if (started >= t->given_ns && started <= now) {
    o.duration_ms = (now - started) / 1000000;
    o.measured = true;
    o.started_ms = o.ended_ms - o.duration_ms;
  }
  if (x->end == FL_CHILD_LOST) {
    o.state = FL_ATTEMPT_LOST;
    fl_buf_add_str(&text, "lost: the supervisor died, and the worker with it");
  } else if (t->kill_ns) {
    o.state = FL_ATTEMPT_CANCELLED;
  } else {
    if (FL_BUG(dead_worker_is_success)) o.state = FL_ATTEMPT_SUCCEEDED;
    describe(w, x, fl_attempt_get_name(t->attempt), &text);
    add_tail(&text, t->tail, t->tail_size);
  }
  if (text.size) o.error = fl_buf_cstr(&text);
  fl_worker_take_back(t);
  fl_worker_task_end(t, &o);
  fl_buf_deinit(&text);
}

static fl_worker_task *find_running(fl_worker *w) {
  for (uint32_t i = 0; i < FL_WORKER_SLOTS; i++) {
    fl_worker_task *t = w->tasks[i];
    // One that has ended was taken out of `tasks` before it was freed.
    // NOLINTNEXTLINE(*-unix.Malloc)
    if (t && fl_slot_get_state(&w->page->slots[i], t->generation) == FL_SLOT_RUNNING) return t;
  }
  return NULL;
}

static fl_worker_task *find_first(fl_worker *w) {
  fl_worker_task *first = NULL;
  for (uint32_t i = 0; i < FL_WORKER_SLOTS; i++)
    if (w->tasks[i] && (!first || w->tasks[i]->order < first->order)) first = w->tasks[i];
  return first;
}

// What it had printed, and it is not said whose it is.
static void drain_pipe(int fd, fl_worker_task *running) {
  char data[4096];
  ssize_t n;
  size_t total = 0; // something that it left behind may print for ever
  while (total < PIPE_SIZE_MAX && (n = read(fd, data, sizeof data)) > 0) {
    fl_worker_task_log(running, true, data, (size_t)n);
    total += (size_t)n;
  }
}

static bool is_temporary(const fl_child_exit *x) {
  return x->end == FL_CHILD_NOT_STARTED &&
         (x->errnum == EAGAIN || x->errnum == ENOMEM || x->errnum == EMFILE || x->errnum == ENFILE);
}

static void fail_start(fl_worker *w, const fl_child_exit *x) {
  fl_buf text;
  fl_buf_init(&text, FL_ERROR_TEXT_MAX);
  describe(w, x, NULL, &text);
  if (x->tail_size) add_tail(&text, x->tail, x->tail_size);
  fl_worker_fail_load(w, fl_buf_cstr(&text));
  fl_buf_deinit(&text);
}

static void settle(fl_worker *w, const fl_child_exit *x) {
  bool served = w->state != FL_WORKER_STARTING;
  fl_worker_task *t;
  // Lost or revoked: its supervisor died, and that says nothing about the worker.
  bool ended = x->end != FL_CHILD_LOST && x->end != FL_CHILD_REVOKED;
  if (!w->group) return; // nobody waits for it
  if (!served && ended && !is_temporary(x)) fail_start(w, x);
  // Died between two tasks without ever having done one: else it would be replaced for ever.
  t = find_running(w);
  if (!t && served && !w->answered && x->end == FL_CHILD_EXITED && !w->killed) t = find_first(w);
  if (t) {
    drain_pipe(w->passed_fd, t);
    drain_pipe(w->ends.read, t);
    end_running(w, t, x);
  }
  while ((t = find_running(w))) end_running(w, t, x);
  while ((t = find_first(w))) { // the rest goes to others, and no attempt is used up
    fl_worker_take_back(t);
    fl_worker_task_put(t, FL_PLACE_WAITING);
  }
}

fl_attempt *fl_worker_pool_find_attempt(void *ud, uint32_t child) {
  fl_worker_pool *pool = ud;
  for (fl_worker *w = pool->workers; w; w = w->next) {
    if (w->child != child) continue;
    fl_worker_task *t = find_running(w);
    return t ? t->attempt : NULL;
  }
  return NULL;
}

void fl_worker_pool_exited(void *ud, const fl_child_exit *x) {
  fl_worker_pool *pool = ud;
  fl_worker **at = &pool->workers;
  while (*at && (*at)->child != x->id.child) at = &(*at)->next;
  fl_worker *w = *at;
  if (!w) return;
  if (w->page && w->state != FL_WORKER_CLOSED) fl_worker_drain(w); // what it had answered counts
  if (w->state != FL_WORKER_CLOSED) pool->worker_count--;
  // Out of the list first: ends that follow may look for workers.
  *at = w->next;
  settle(w, x);
  fl_worker_free(w);
  if (is_temporary(x)) fl_worker_pool_rest(pool);
  // Not at once: when the supervisor is gone, another must be started first.
  fl_worker_pool_arm(pool, fl_worker_pool_now_ns());
}
