// Executes process nodes through the supervisor, and the children of ctx:exec.
#include <signal.h>
#include "api/engine.h"

// A child of ctx:exec.
typedef struct exec_child {
  fl_child_id id;
  fl_command *command;
  void (*done)(void *ud, const fl_child_result *result);
  void *done_ud;
  struct exec_child *next;
} exec_child;

// A dead engine's supervisor whose children we took over.
typedef struct adopted {
  fl_supervisor *supervisor; // NULL: it is gone too, its journal told
  char id[64];
  uint32_t open;
  struct adopted *next;
} adopted;

struct fl_processes {
  fl_engine *engine;
  fl_supervisor *supervisor;
  bool gone; // it died: open a new one at the next need
  exec_child *children;
  uint32_t child_counter;
  adopted *adopted;
  double mean_ms; // of the last ends, for claiming ahead; 0: nothing known
  uint32_t slots;
  uint32_t told; // ends that the supervisor may forget after the next commit
};

fl_processes *fl_processes_new(fl_engine *e) {
  fl_processes *p = fl_alloc_zero(1, sizeof *p);
  p->engine = e;
  return p;
}

static void let_go(fl_supervisor *s, bool recorded) {
  if (recorded)
    fl_supervisor_close(s, true);
  else
    fl_supervisor_abandon(s);
}

void fl_processes_free(fl_processes *p, bool recorded) {
  if (!p) return;
  let_go(p->supervisor, recorded);
  for (adopted *a = p->adopted, *next; a; a = next) {
    next = a->next;
    let_go(a->supervisor, recorded);
    free(a);
  }
  for (exec_child *c = p->children, *next; c; c = next) {
    next = c->next;
    fl_command_free(c->command);
    free(c);
  }
  free(p);
}

// ------------------------------------------------------------------------------------- starting

static void child_id(fl_attempt *a, uint32_t child, fl_child_id *out) {
  *out = (fl_child_id){.node = fl_attempt_get_node_number(a), .number = a->number, .child = child};
  snprintf(out->run, sizeof out->run, "%s", fl_attempt_get_run_id(a));
}

static void fill_spawn(fl_attempt *a, const fl_command *c, const char *time, fl_spawn *out) {
  *out = (fl_spawn){.node_name = fl_attempt_get_name(a),
                    .argv = (const char *const *)c->argv,
                    .env = (const char *const *)c->env,
                    .cwd = c->cwd,
                    .stdin_data = c->stdin_data,
                    .stdin_size = c->stdin_size,
                    .time = time,
                    .capture = c->capture,
                    .capture_size_max = FL_VALUE_SIZE_MAX,
                    .grace_ms = a->options->grace_ms,
                    .log_size_max = c->log_size_max,
                    .limit_memory = c->limit_memory,
                    .limit_cpu_s = c->limit_cpu_s,
                    .limit_open_files = c->limit_open_files,
                    .pass_fd = -1,
                    .pass_fd2 = -1};
}

static fl_supervisor *supervisor(fl_processes *p, fl_error *err) {
  return fl_processes_get_supervisor(p->engine, err);
}

static void process_start(void *ud, fl_attempt *a) {
  fl_processes *p = ud;
  fl_error err;
  fl_spawn spawn;
  fl_buf context;
  char time[FL_TIME_TEXT_SIZE];
  fl_supervisor *s = supervisor(p, &err);
  fl_buf_init(&context, FL_FRAME_SIZE_MAX);
  if (!s || fl_attempt_write_context(a, &context, &err)) {
    fl_buf_deinit(&context);
    fl_attempt_end(
        a, &(fl_outcome){.state = FL_ATTEMPT_FAILED, .exit_code = -1, .error = err.message});
    return;
  }
  fl_time_format(fl_run_get_time(a->run), time);
  fill_spawn(a, a->command, time, &spawn);
  child_id(a, 0, &spawn.id);
  spawn.context = fl_buf_cstr(&context);
  spawn.context_size = context.size;
  spawn.queue = true;
  spawn.priority = a->options->priority;
  spawn.timeout_ms = a->timeout_ms;
  fl_supervisor_spawn(s, &spawn);
  fl_buf_deinit(&context);
}

static fl_supervisor *supervisor_of(fl_processes *p, const fl_attempt *a) {
  return a->executor_data ? ((adopted *)a->executor_data)->supervisor : p->supervisor;
}

static void process_cancel(void *ud, fl_attempt *a, int64_t grace_ms) {
  fl_processes *p = ud;
  fl_child_id id;
  child_id(a, 0, &id);
  fl_supervisor *s = supervisor_of(p, a);
  if (!s) return;
  fl_supervisor_kill(s, &id, grace_ms);
  fl_supervisor_flush(s);
}

typedef struct mention {
  fl_engine *engine;
  const char *supervisor;
  bool found;
} mention;

static bool see_epoch(void *ud, const fl_epoch_row *row) {
  mention *m = ud;
  m->found |= row->supervisor && !strcmp(row->supervisor, m->supervisor);
  return !m->found;
}

static bool see_run(void *ud, const fl_run_row *row) {
  mention *m = ud;
  fl_error err;
  if (fl_scheduler_find_run(m->engine->scheduler, row->id)) return true; // has asked already
  if (fl_store_each_epoch(m->engine->store, row->row, see_epoch, m, &err)) m->found = true;
  return !m->found;
}

// A journal is kept while a run that nobody has resumed yet may ask for it.
static void forget_supervisor(fl_engine *e, const char *id) {
  mention m = {.engine = e, .supervisor = id};
  fl_error err;
  if (!fl_store_each_live_run(e->store, NULL, see_run, &m, &err) && !m.found)
    fl_supervisor_forget(e->state_dir, id);
}

#define SETTLE_AFTER 256 // ends: about 64 KiB of the supervisor's journal

// Called after a commit: what was told before it is recorded.
static void process_flush(void *ud) {
  fl_processes *p = ud;
  if (p->supervisor && p->told >= SETTLE_AFTER) {
    fl_supervisor_settle(p->supervisor);
    p->told = 0;
  }
  if (p->gone) {
    fl_supervisor *gone = p->supervisor;
    p->supervisor = NULL;
    p->gone = false;
    fl_supervisor_tell(gone); // what was given to it after its death goes to the next one
    fl_supervisor_close(gone, false);
  }
  if (p->supervisor) fl_supervisor_flush(p->supervisor);
  for (adopted **at = &p->adopted; *at;) {
    adopted *a = *at;
    if (a->open) {
      at = &a->next;
      continue;
    }
    *at = a->next;
    fl_supervisor_close(a->supervisor, false);
    forget_supervisor(p->engine, a->id);
    free(a);
  }
}

// Short processes are claimed ahead of a free slot, about 30 ms of work; long ones hardly.
static uint32_t process_ahead(void *ud) {
  fl_processes *p = ud;
  if (p->mean_ms <= 0) return p->slots;
  double ahead = p->slots * 30.0 / p->mean_ms;
  return ahead > FL_CLAIM_AHEAD_MAX ? FL_CLAIM_AHEAD_MAX : (uint32_t)ahead;
}

static void process_set_slots(void *ud, uint32_t slots) {
  fl_processes *p = ud;
  if (slots == p->slots) return;
  p->slots = slots;
  if (p->supervisor) fl_supervisor_set_slots(p->supervisor, slots);
}

fl_executor fl_processes_get_executor(fl_processes *p) {
  p->slots = 1;
  return (fl_executor){.start = process_start,
                       .cancel = process_cancel,
                       .flush = process_flush,
                       .ahead = process_ahead,
                       .set_slots = process_set_slots,
                       .ud = p};
}

// ------------------------------------------------------------------------------------- ends

static void add_tail(fl_buf *text, const char *tail, size_t size) {
  while (size && (tail[size - 1] == '\n' || tail[size - 1] == '\r' || tail[size - 1] == ' '))
    size--;
  size_t start = size;
  while (start && tail[start - 1] != '\n') start--;
  if (size == start) return;
  fl_buf_add_str(text, ": ");
  fl_utf8_clean(text, tail + start, size - start > 1000 ? 1000 : size - start);
}

static void describe(const fl_child_exit *x, const fl_command *c, int64_t timeout_ms,
                     fl_buf *text) {
  char span[FL_TIME_TEXT_SIZE];
  if (x->end == FL_CHILD_NOT_STARTED) {
    fl_error e;
    const char *program = c && c->argv[0] ? c->argv[0] : "?";
    if (x->error_what && *x->error_what)
      fl_fail_errno(&e, FL_E_SPAWN, x->errnum, "cannot %.600s", x->error_what);
    else
      fl_fail_errno(&e, FL_E_SPAWN, x->errnum, "cannot run '%.500s'", program);
    fl_buf_add_str(text, e.message);
  } else if (x->end == FL_CHILD_LOST) {
    fl_buf_add_str(text, "lost: its supervisor died, and nobody knows how it ended");
  } else if (x->timed_out) {
    fl_duration_format(timeout_ms, span);
    fl_buf_addf(text, "timed out after %s", span);
  } else if (x->signal) {
    const char *name = sigabbrev_np(x->signal);
    fl_buf_addf(text, "killed by SIG%s (%d)", name ? name : "?", x->signal);
  } else {
    fl_buf_addf(text, "exited with code %d", x->exit_code);
  }
  if (x->end == FL_CHILD_EXITED) add_tail(text, x->tail, x->tail_size);
}

static fl_attempt_state state_of(const fl_child_exit *x, const fl_command *c) {
  if (x->end == FL_CHILD_LOST) return FL_ATTEMPT_LOST;
  if (x->end == FL_CHILD_NOT_STARTED) return FL_ATTEMPT_FAILED;
  if (x->timed_out) return FL_ATTEMPT_TIMED_OUT;
  if (x->cancelled) return FL_ATTEMPT_CANCELLED;
  if (x->signal || !fl_command_is_ok(c, x->exit_code)) return FL_ATTEMPT_FAILED;
  return FL_ATTEMPT_SUCCEEDED;
}

static void notice_oddities(fl_processes *p, fl_attempt *a, const fl_child_exit *x) {
  fl_scheduler *s = p->engine->scheduler;
  const char *name = fl_attempt_get_name(a);
  if (x->left_behind)
    fl_scheduler_notice(s, a->run, "%s left %u process%s behind: ended", name, x->left_behind,
                        x->left_behind == 1 ? "" : "es");
  if (x->unkillable)
    fl_scheduler_notice(s, a->run, "%s: what could not be ended is gone now", name);
  if (x->log_errno)
    fl_scheduler_notice(s, a->run, "%s: its output could not be written whole (%s)", name,
                        fl_errno_name(x->log_errno));
}

static void end_attempt(fl_processes *p, fl_attempt *a, const fl_child_exit *x) {
  fl_outcome o = {.state = state_of(x, a->command),
                  .exit_code = x->exit_code,
                  .signal = x->signal,
                  .started_ms = x->started_ms,
                  .ended_ms = x->ended_ms,
                  .cpu_us = x->cpu_us,
                  .rss_max_bytes = x->rss_max_bytes,
                  .pid = x->pid,
                  .log = {.path = x->log_path,
                          .offset = x->log_offset,
                          .size = x->log_size,
                          .total = x->log_total}};
  fl_value *outputs = NULL;
  fl_error err;
  fl_buf text;
  fl_buf_init(&text, FL_ERROR_TEXT_MAX);
  if (o.state == FL_ATTEMPT_SUCCEEDED && (x->capture_overflow || x->output_overflow)) {
    o.state = FL_ATTEMPT_FAILED;
    fl_buf_addf(&text, "outputs: larger than %u MiB (the limit of a value)",
                FL_VALUE_SIZE_MAX >> 20);
  } else if (o.state == FL_ATTEMPT_SUCCEEDED &&
             ((a->command && a->command->capture) || x->output_size)) {
    const char *capture = a->command && a->command->capture ? (x->capture ? x->capture : "") : NULL;
    const fl_flow *flow = fl_run_get_flow(a->run);
    if (flow->hooks->collect(flow, a, capture, x->capture_size, x->output_size ? x->output : NULL,
                             x->output_size, &outputs, &err)) {
      o.state = FL_ATTEMPT_FAILED;
      fl_buf_add_str(&text, err.message);
    }
  } else if (o.state != FL_ATTEMPT_SUCCEEDED && o.state != FL_ATTEMPT_CANCELLED) {
    describe(x, a->command, a->timeout_ms, &text);
  }
  o.outputs = outputs;
  if (text.size) o.error = fl_buf_cstr(&text);
  if (x->end == FL_CHILD_EXITED && !x->timed_out) {
    double ms = (double)(x->ended_ms - x->started_ms);
    if (ms < 0.5) ms = 0.5;
    p->mean_ms = p->mean_ms <= 0 ? ms : p->mean_ms * 0.9 + ms * 0.1;
  }
  notice_oddities(p, a, x);
  if (a->executor_data) ((adopted *)a->executor_data)->open--;
  a->executor_data = NULL;
  fl_attempt_end(a, &o);
  fl_value_unref(outputs);
  fl_buf_deinit(&text);
}

static void end_child(fl_processes *p, exec_child *c, const fl_child_exit *x) {
  static const char *const names[] = {[FL_ATTEMPT_SUCCEEDED] = "succeeded",
                                      [FL_ATTEMPT_TIMED_OUT] = "timed_out",
                                      [FL_ATTEMPT_CANCELLED] = "cancelled",
                                      [FL_ATTEMPT_LOST] = "lost",
                                      [FL_ATTEMPT_FAILED] = "failed"};
  fl_attempt_state state = state_of(x, c->command);
  fl_buf text;
  fl_buf_init(&text, FL_ERROR_TEXT_MAX);
  if (state != FL_ATTEMPT_SUCCEEDED) describe(x, c->command, c->command->timeout_ms, &text);
  fl_child_result r = {.status = x->end == FL_CHILD_REVOKED ? "cancelled" : names[state],
                       .exit_code = x->exit_code,
                       .signal = x->signal,
                       .error = text.size ? fl_buf_cstr(&text) : NULL,
                       .stdout_data = c->command->capture ? (x->capture ? x->capture : "") : NULL,
                       .stdout_size = x->capture_size,
                       .tail = x->tail,
                       .tail_size = x->tail_size};
  for (exec_child **at = &p->children; *at; at = &(*at)->next)
    if (*at == c) {
      *at = c->next;
      break;
    }
  c->done(c->done_ud, &r);
  fl_buf_deinit(&text);
  fl_command_free(c->command);
  free(c);
}

static exec_child *find_child(fl_processes *p, const fl_child_id *id) {
  for (exec_child *c = p->children; c; c = c->next)
    if (c->id.child == id->child && c->id.node == id->node && c->id.number == id->number &&
        !strcmp(c->id.run, id->run))
      return c;
  return NULL;
}

static void on_exited(void *ud, const fl_child_exit *x) {
  fl_processes *p = ud;
  p->told++;
  if (!x->id.run[0]) {
    fl_worker_pool_exited(p->engine->workers, x);
    return;
  }
  if (x->id.child) {
    exec_child *c = find_child(p, &x->id);
    if (c) end_child(p, c, x);
    return;
  }
  fl_attempt *a =
      fl_scheduler_find_attempt(p->engine->scheduler, x->id.run, x->id.node, x->id.number);
  if (!a) return; // of a run that was taken over meanwhile
  if (x->end == FL_CHILD_REVOKED && !a->cancelling) {
    process_start(p, a);
    return;
  }
  if (x->end == FL_CHILD_REVOKED) {
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_CANCELLED, .exit_code = -1});
    return;
  }
  end_attempt(p, a, x);
}

static void on_started(void *ud, const fl_child_id *id, int pid, int64_t started_ms) {
  fl_processes *p = ud;
  if (!id->run[0] || id->child) return;
  fl_attempt *a = fl_scheduler_find_attempt(p->engine->scheduler, id->run, id->node, id->number);
  if (a) fl_attempt_started(a, pid, started_ms);
}

static void on_gone(void *ud) {
  fl_processes *p = ud;
  p->gone = true;
  fl_scheduler_supervisor_changed(p->engine->scheduler);
  fl_scheduler_notice(p->engine->scheduler, NULL,
                      "the supervisor died: what it ran is lost and will be tried again");
}

// Its children were reported as lost already; nobody starts new ones there.
static void on_adopted_gone(void *ud) {
  (void)ud;
}

static void on_alarm(void *ud, const fl_child_id *id, const char *text) {
  fl_processes *p = ud;
  fl_scheduler *s = p->engine->scheduler;
  fl_attempt *a = id->run[0] ? fl_scheduler_find_attempt(s, id->run, id->node, id->number)
                             : fl_worker_pool_find_attempt(p->engine->workers, id->child);
  if (a)
    fl_attempt_alarm(a, text);
  else
    fl_scheduler_notice(s, NULL, "alarm: %s", text);
}

static fl_supervisor_events events(fl_processes *p) {
  return (fl_supervisor_events){
      .started = on_started, .exited = on_exited, .gone = on_gone, .alarm = on_alarm, .ud = p};
}

static void set_alarm(const fl_processes *p, fl_supervisor *s) {
  if (p->engine->config.alarm_ms > 0) fl_supervisor_set_alarm(s, p->engine->config.alarm_ms);
}

fl_supervisor *fl_processes_get_supervisor(void *ud, fl_error *err) {
  fl_engine *e = ud;
  fl_processes *p = e->processes;
  if (p->gone) process_flush(p);
  if (p->supervisor) return p->supervisor;
  fl_supervisor_events ev = events(p);
  if (fl_supervisor_start(e->loop, e->state_dir, e->helper, &ev, &p->supervisor, err)) return NULL;
  fl_supervisor_set_slots(p->supervisor, p->slots);
  set_alarm(p, p->supervisor);
  return p->supervisor;
}

const char *fl_processes_get_supervisor_id(fl_processes *p) {
  fl_error err;
  fl_supervisor *s = supervisor(p, &err);
  return s ? fl_supervisor_get_id(s) : "";
}

// ------------------------------------------------------------------------------------- recovery

void fl_processes_recover(fl_processes *p, fl_run *run, const char *id, fl_attempt **attempts,
                          fl_fate *fates, size_t count) {
  fl_child_id *ids = fl_alloc_zero(count, sizeof *ids);
  fl_child_fate *found = fl_alloc_zero(count, sizeof *found);
  adopted *ad = fl_alloc_zero(1, sizeof *ad);
  fl_error err;
  for (size_t i = 0; i < count; i++) {
    child_id(attempts[i], 0, &ids[i]);
    attempts[i]->executor_data = ad;
    ad->open++;
  }
  fl_supervisor_events ev = events(p);
  ev.gone = on_adopted_gone;
  if (fl_supervisor_attach(p->engine->loop, p->engine->state_dir, id, fl_run_get_id(run), &ev, ids,
                           found, count, &ad->supervisor, &err)) {
    fl_scheduler_notice(p->engine->scheduler, run, "%s", err.message);
    for (size_t i = 0; i < count; i++) found[i] = FL_FATE_LOST;
  }
  if (ad->supervisor) set_alarm(p, ad->supervisor);
  for (size_t i = 0; i < count; i++) {
    static const fl_fate map[] = {[FL_FATE_RUNNING] = FL_FATE_IS_RUNNING,
                                  [FL_FATE_ENDED] = FL_FATE_IS_ENDED,
                                  [FL_FATE_NOT_STARTED] = FL_FATE_IS_NOT_STARTED,
                                  [FL_FATE_LOST] = FL_FATE_IS_LOST};
    fates[i] = map[found[i]];
    if (found[i] != FL_FATE_NOT_STARTED && found[i] != FL_FATE_LOST) continue;
    attempts[i]->executor_data = NULL;
    ad->open--;
  }
  snprintf(ad->id, sizeof ad->id, "%s", id);
  ad->next = p->adopted; // the next flush lets it go when nothing is open
  p->adopted = ad;
  free(ids);
  free(found);
}

// ------------------------------------------------------------------------------------- ctx:exec

void *fl_processes_start_child(void *ud, fl_attempt *a, fl_command *command,
                               void (*done)(void *, const fl_child_result *), void *done_ud,
                               fl_error *err) {
  fl_engine *e = ud;
  fl_processes *p = e->processes;
  fl_supervisor *s = fl_processes_get_supervisor(e, err);
  if (!s) {
    fl_command_free(command);
    return NULL;
  }
  char time[FL_TIME_TEXT_SIZE];
  fl_spawn spawn;
  fl_attempt_need_supervisor(a);
  exec_child *c = fl_alloc_zero(1, sizeof *c);
  child_id(a, ++p->child_counter, &c->id);
  c->command = command;
  c->done = done;
  c->done_ud = done_ud;
  c->next = p->children;
  p->children = c;
  fl_time_format(fl_run_get_time(a->run), time);
  fill_spawn(a, command, time, &spawn);
  spawn.id = c->id;
  spawn.timeout_ms = command->timeout_ms;
  fl_supervisor_spawn(s, &spawn);
  fl_supervisor_flush(s);
  return c;
}

void fl_processes_cancel_child(void *ud, void *child, int64_t grace_ms) {
  fl_engine *e = ud;
  exec_child *c = child;
  if (!e->processes->supervisor) return;
  fl_supervisor_kill(e->processes->supervisor, &c->id, grace_ms);
  fl_supervisor_flush(e->processes->supervisor);
}
