// Executes process nodes through the supervisor, and the children of ctx:exec.
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include "executor/process.h"
#include "engine/scheduler.h"
#include "executor/telling.h"

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
  fl_supervisor *supervisor;
  char id[64], run[FL_RUN_ID_SIZE];
  uint64_t recovery; // what it is asked for; 0: it has answered
  uint32_t open;
  struct adopted *next;
} adopted;

struct fl_processes {
  const fl_services *services;
  fl_child_owner owner; // of the other children
  fl_supervisor *supervisor;
  bool gone; // it died: open a new one at the next need
  exec_child *children;
  uint32_t child_counter;
  adopted *adopted;
  double mean_ms; // of the last ends, for claiming ahead; 0: nothing known
  uint32_t slots;
  uint32_t told; // ends that the supervisor may forget after the next commit
};

fl_processes *fl_processes_new(const fl_services *services) {
  fl_processes *p = fl_alloc_zero(1, sizeof *p);
  p->services = services;
  p->slots = 1;
  return p;
}

void fl_processes_set_owner(fl_processes *p, const fl_child_owner *owner) {
  p->owner = owner ? *owner : (fl_child_owner){0};
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
  *out = (fl_child_id){
      .node = fl_attempt_get_node_number(a), .number = fl_attempt_get_number(a), .child = child};
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
                    .is_text = c->is_text,
                    .capture_size_max = FL_VALUE_SIZE_MAX,
                    .grace_ms = fl_attempt_get_options(a)->grace_ms,
                    .log_size_max = c->log_size_max,
                    .limit_memory = c->limit_memory,
                    .limit_cpu_s = c->limit_cpu_s,
                    .limit_open_files = c->limit_open_files,
                    .pass_fd = -1,
                    .pass_fd2 = -1};
}

static void process_start(void *ud, fl_attempt *a) {
  fl_processes *p = ud;
  fl_error err;
  fl_spawn spawn;
  fl_buf context;
  char time[FL_TIME_TEXT_SIZE];
  fl_supervisor *s = fl_processes_get_supervisor(p, &err);
  fl_buf_init(&context, FL_FRAME_SIZE_MAX);
  if (!s || fl_attempt_write_context(a, &context, &err)) {
    fl_buf_deinit(&context);
    fl_attempt_end(
        a, &(fl_outcome){.state = FL_ATTEMPT_FAILED, .exit_code = -1, .error = err.message});
    return;
  }
  fl_time_format(fl_run_get_time(fl_attempt_get_run(a)), time);
  fill_spawn(a, fl_attempt_get_command(a), time, &spawn);
  child_id(a, 0, &spawn.id);
  spawn.context = fl_buf_cstr(&context);
  spawn.context_size = context.size;
  spawn.queue = true;
  spawn.priority = fl_attempt_get_options(a)->priority;
  spawn.timeout_ms = fl_attempt_get_timeout_ms(a);
  fl_supervisor_spawn(s, &spawn);
  fl_buf_deinit(&context);
}

static fl_supervisor *supervisor_of(fl_processes *p, const fl_attempt *a) {
  return fl_attempt_get_data(a) ? ((adopted *)fl_attempt_get_data(a))->supervisor : p->supervisor;
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
  fl_scheduler *scheduler;
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
  if (fl_scheduler_find_run(m->scheduler, row->id)) return true; // has asked already
  fl_store *store = fl_scheduler_get_store(m->scheduler);
  if (fl_store_each_epoch(store, row->row, see_epoch, m, &err)) m->found = true;
  return !m->found;
}

// A journal is kept while a run that nobody has resumed yet may ask for it, or one that has is
// still to be answered.
static void forget_supervisor(const fl_processes *p, const char *id) {
  const fl_services *services = p->services;
  mention m = {.scheduler = services->scheduler, .supervisor = id};
  for (const adopted *a = p->adopted; a; a = a->next)
    if (a->recovery && !strcmp(a->id, id)) return;
  fl_store *store = fl_scheduler_get_store(m.scheduler);
  fl_error err;
  if (!fl_store_each_live_run(store, NULL, see_run, &m, &err) && !m.found)
    fl_supervisor_forget(services->state_dir, id);
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
    if (a->open || a->recovery) {
      at = &a->next;
      continue;
    }
    *at = a->next;
    fl_supervisor_close(a->supervisor, false);
    forget_supervisor(p, a->id);
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

// ------------------------------------------------------------------------------------- ends

// `a` NULL: of a child of a node's code, which has a timeout of its own.
static void describe(const fl_child_exit *x, const fl_command *c, const fl_attempt *a,
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
  } else if (x->timed_out && a) {
    fl_attempt_describe_timeout(a, text);
  } else if (x->timed_out) {
    fl_duration_format(c->timeout_ms, span);
    fl_buf_addf(text, "timed out after %s", span);
  } else if (x->signal) {
    const char *name = sigabbrev_np(x->signal);
    fl_buf_addf(text, "killed by SIG%s (%d)", name ? name : "?", x->signal);
  } else {
    fl_buf_addf(text, "exited with code %d", x->exit_code);
  }
  if (x->end == FL_CHILD_EXITED) fl_telling_add(text, x->tail, x->tail_size);
}

static fl_attempt_state state_of(const fl_child_exit *x, const fl_command *c) {
  if (x->end == FL_CHILD_LOST) return FL_ATTEMPT_LOST;
  if (x->end == FL_CHILD_NOT_STARTED) return FL_ATTEMPT_FAILED;
  if (x->timed_out) return FL_ATTEMPT_TIMED_OUT;
  if (x->cancelled) return FL_ATTEMPT_CANCELLED;
  if (x->signal || !fl_command_is_ok(c, x->exit_code)) return FL_ATTEMPT_FAILED;
  return FL_ATTEMPT_SUCCEEDED;
}

static void notice_oddities(fl_attempt *a, const fl_child_exit *x) {
  const char *name = fl_attempt_get_name(a);
  if (x->left_behind)
    fl_run_notice(fl_attempt_get_run(a), "%s left %u process%s behind: ended", name, x->left_behind,
                  x->left_behind == 1 ? "" : "es");
  if (x->unkillable)
    fl_run_notice(fl_attempt_get_run(a), "%s: what could not be ended is gone now", name);
  if (x->log_errno)
    fl_run_notice(fl_attempt_get_run(a), "%s: its output could not be written whole (%s)", name,
                  fl_errno_name(x->log_errno));
}

static void end_attempt(fl_processes *p, fl_attempt *a, const fl_child_exit *x) {
  fl_outcome o = {.state = state_of(x, fl_attempt_get_command(a)),
                  .exit_code = x->exit_code,
                  .signal = x->signal,
                  .started_ms = x->started_ms,
                  .ended_ms = x->ended_ms,
                  .duration_ms = x->duration_ms,
                  .measured = x->duration_ms >= 0,
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
             ((fl_attempt_get_command(a) && fl_attempt_get_command(a)->capture) ||
              x->output_size)) {
    const char *capture = fl_attempt_get_command(a) && fl_attempt_get_command(a)->capture
                              ? (x->capture ? x->capture : "")
                              : NULL;
    const fl_flow *flow = fl_attempt_get_flow(a);
    if (flow->hooks->collect(flow, a, capture, x->capture_size, x->output_size ? x->output : NULL,
                             x->output_size, &outputs, &err)) {
      o.state = FL_ATTEMPT_FAILED;
      fl_buf_add_str(&text, err.message);
    }
  } else if (o.state != FL_ATTEMPT_SUCCEEDED && o.state != FL_ATTEMPT_CANCELLED) {
    describe(x, fl_attempt_get_command(a), a, &text);
  }
  o.outputs = outputs;
  if (text.size) o.error = fl_buf_cstr(&text);
  if (x->end == FL_CHILD_EXITED && !x->timed_out) {
    double ms = (double)x->duration_ms;
    if (ms < 0.5) ms = 0.5;
    p->mean_ms = p->mean_ms <= 0 ? ms : p->mean_ms * 0.9 + ms * 0.1;
  }
  notice_oddities(a, x);
  if (fl_attempt_get_data(a)) ((adopted *)fl_attempt_get_data(a))->open--;
  fl_attempt_set_data(a, NULL);
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
  if (state != FL_ATTEMPT_SUCCEEDED) describe(x, c->command, NULL, &text);
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
    if (p->owner.exited) p->owner.exited(p->owner.ud, x);
    return;
  }
  if (x->id.child) {
    exec_child *c = find_child(p, &x->id);
    if (c) end_child(p, c, x);
    return;
  }
  fl_attempt *a =
      fl_scheduler_find_attempt(p->services->scheduler, x->id.run, x->id.node, x->id.number);
  if (!a) return;                   // of a run that was taken over meanwhile
  if (x->end == FL_CHILD_REVOKED) { // its next supervisor must be known to the run before it starts
    fl_attempt_give_back(a);
    return;
  }
  end_attempt(p, a, x);
}

static void on_started(void *ud, const fl_child_id *id, int pid, int64_t started_ms) {
  fl_processes *p = ud;
  if (!id->run[0] || id->child) return;
  fl_attempt *a = fl_scheduler_find_attempt(p->services->scheduler, id->run, id->node, id->number);
  if (a) fl_attempt_started(a, pid, started_ms);
}

static void on_gone(void *ud) {
  fl_processes *p = ud;
  p->gone = true;
  fl_scheduler_keeper_changed(p->services->scheduler);
  fl_scheduler_notice(p->services->scheduler,
                      "the supervisor died: what it ran is lost and will be tried again");
}

// Its children were reported as lost already; nobody starts new ones there.
static void on_adopted_gone(void *ud) {
  (void)ud;
}

static void on_alarm(void *ud, const fl_child_id *id, const char *text) {
  fl_processes *p = ud;
  fl_scheduler *s = p->services->scheduler;
  fl_attempt *a = NULL;
  if (id->run[0])
    a = fl_scheduler_find_attempt(s, id->run, id->node, id->number);
  else if (p->owner.find_attempt)
    a = p->owner.find_attempt(p->owner.ud, id->child);
  if (a)
    fl_attempt_alarm(a, text);
  else
    fl_scheduler_notice(s, "alarm: %s", text);
}

// "3/10 text", "30% text", or a text alone. False: no numbers.
static bool read_progress(const char *line, double *done, double *total, const char **text) {
  char *end;
  *text = line;
  *done = *total = 0;
  if (*line < '0' || *line > '9') return false;
  double first = strtod(line, &end), second = 100;
  if (*end == '/') {
    const char *from = end + 1;
    if (*from < '0' || *from > '9') return false;
    second = strtod(from, &end);
  } else if (*end++ != '%') {
    return false;
  }
  if (*end && *end != ' ' && *end != '\t') return false;
  if (!isfinite(first) || !isfinite(second)) return false;
  *done = first;
  *total = second;
  *text = end + strspn(end, " \t");
  return true;
}

static void on_progress(void *ud, const fl_child_id *id, const char *line) {
  fl_processes *p = ud;
  double done, total;
  const char *text;
  fl_attempt *a = fl_scheduler_find_attempt(p->services->scheduler, id->run, id->node, id->number);
  if (!a) return;
  (void)read_progress(line, &done, &total, &text);
  fl_buf clean;
  fl_buf_init(&clean, FL_ERROR_TEXT_MAX);
  fl_utf8_clean(&clean, text, strlen(text));
  fl_attempt_progress(a, done, total, clean.size ? fl_buf_cstr(&clean) : NULL);
  fl_buf_deinit(&clean);
}

static fl_supervisor_events events(fl_processes *p) {
  return (fl_supervisor_events){.started = on_started,
                                .exited = on_exited,
                                .gone = on_gone,
                                .alarm = on_alarm,
                                .progress = on_progress,
                                .ud = p};
}

static void set_alarm(const fl_processes *p, fl_supervisor *s) {
  if (p->services->alarm_ms > 0) fl_supervisor_set_alarm(s, p->services->alarm_ms);
}

fl_supervisor *fl_processes_get_supervisor(fl_processes *p, fl_error *err) {
  const fl_services *services = p->services;
  if (p->gone) process_flush(p);
  if (p->supervisor) return p->supervisor;
  fl_supervisor_events ev = events(p);
  if (fl_supervisor_start(services->loop, services->state_dir, services->helper, &ev,
                          &p->supervisor, err))
    return NULL;
  fl_supervisor_set_slots(p->supervisor, p->slots);
  set_alarm(p, p->supervisor);
  return p->supervisor;
}

const char *fl_processes_get_keeper(void *ud) {
  fl_processes *p = ud;
  fl_error err;
  fl_supervisor *s = fl_processes_get_supervisor(p, &err);
  return s ? fl_supervisor_get_id(s) : "";
}

// ------------------------------------------------------------------------------------- recovery

static void on_attached(void *ud, fl_supervisor *s, const fl_child_id *ids, const fl_fate *fates,
                        size_t count) {
  fl_processes *p = ud;
  fl_scheduler *scheduler = p->services->scheduler;
  adopted *ad = p->adopted;
  while (ad->supervisor != s) ad = ad->next;
  for (size_t i = 0; i < count; i++) {
    fl_attempt *a =
        fates[i] == FL_FATE_ENDED
            ? NULL
            : fl_scheduler_find_attempt(scheduler, ids[i].run, ids[i].node, ids[i].number);
    if (!a || fl_attempt_get_data(a) != ad) continue; // its run is another engine's meanwhile
    if (fates[i] != FL_FATE_RUNNING) {
      fl_attempt_set_data(a, NULL);
      ad->open--;
    }
    fl_attempt_settle(a, fates[i]);
  }
  fl_scheduler_recovered(scheduler, ad->run, ad->recovery);
  ad->recovery = 0;
}

static void process_recover(void *ud, fl_run *run, const char *id, uint64_t recovery,
                            fl_attempt **attempts, size_t count) {
  fl_processes *p = ud;
  fl_child_id *ids = fl_alloc_zero(count, sizeof *ids);
  adopted *ad = fl_alloc_zero(1, sizeof *ad);
  fl_error err;
  for (size_t i = 0; i < count; i++) child_id(attempts[i], 0, &ids[i]);
  fl_supervisor_events ev = events(p);
  ev.gone = on_adopted_gone;
  ev.attached = on_attached;
  snprintf(ad->id, sizeof ad->id, "%s", id);
  snprintf(ad->run, sizeof ad->run, "%s", fl_run_get_id(run));
  ad->recovery = recovery;
  fl_code rc = fl_supervisor_attach(p->services->loop, p->services->state_dir, id, ad->run, &ev,
                                    ids, count, &ad->supervisor, &err);
  free(ids);
  if (rc) {
    free(ad);
    fl_run_notice(run, "%s", err.message);
    fl_scheduler_recovered(p->services->scheduler, fl_run_get_id(run), recovery);
    return;
  }
  set_alarm(p, ad->supervisor);
  for (size_t i = 0; i < count; i++) fl_attempt_set_data(attempts[i], ad);
  ad->open = (uint32_t)count;
  ad->next = p->adopted; // a flush lets it go when it has answered and nothing is open
  p->adopted = ad;
}

static void process_let_go(void *ud, fl_attempt *a) {
  (void)ud;
  if (fl_attempt_get_data(a)) ((adopted *)fl_attempt_get_data(a))->open--;
  fl_attempt_set_data(a, NULL);
}

fl_executor fl_processes_get_executor(fl_processes *p) {
  return (fl_executor){.name = "process",
                       .kinds = 1u << FL_KIND_PROCESS,
                       .slots = FL_SLOTS_JOBS,
                       .outlives_engine = true,
                       .fills_slots = true,
                       .start = process_start,
                       .cancel = process_cancel,
                       .let_go = process_let_go,
                       .flush = process_flush,
                       .ahead = process_ahead,
                       .set_slots = process_set_slots,
                       .get_keeper = fl_processes_get_keeper,
                       .recover = process_recover,
                       .ud = p};
}

// ------------------------------------------------------------------------------------- ctx:exec

void *fl_processes_start_child(fl_processes *p, fl_attempt *a, fl_command *command,
                               void (*done)(void *, const fl_child_result *), void *done_ud,
                               fl_error *err) {
  fl_supervisor *s = fl_processes_get_supervisor(p, err);
  if (!s) {
    fl_command_free(command);
    return NULL;
  }
  char time[FL_TIME_TEXT_SIZE];
  fl_spawn spawn;
  fl_attempt_need_keeper(a, fl_supervisor_get_id(s));
  exec_child *c = fl_alloc_zero(1, sizeof *c);
  child_id(a, ++p->child_counter, &c->id);
  c->command = command;
  c->done = done;
  c->done_ud = done_ud;
  c->next = p->children;
  p->children = c;
  fl_time_format(fl_run_get_time(fl_attempt_get_run(a)), time);
  fill_spawn(a, command, time, &spawn);
  spawn.id = c->id;
  spawn.timeout_ms = command->timeout_ms;
  fl_supervisor_spawn(s, &spawn);
  fl_supervisor_flush(s);
  return c;
}

void fl_processes_cancel_child(fl_processes *p, void *child, int64_t grace_ms) {
  exec_child *c = child;
  if (!p->supervisor) return;
  fl_supervisor_kill(p->supervisor, &c->id, grace_ms);
  fl_supervisor_flush(p->supervisor);
}
