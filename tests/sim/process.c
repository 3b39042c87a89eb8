// Fake processes: they take virtual time, end as their node's place decides, and outlive an engine
// that is killed, for their supervisor's sake.
#include <stdlib.h>
#include <string.h>
#include "engine/run_internal.h"
#include "world.h"

static bool holds_slot(const sim_task *t) {
  return t->kind == FL_KIND_PROCESS || t->kind == FL_KIND_WORKER;
}

static sim_tries *tries_of(sim_world *w, uint64_t place) {
  for (size_t i = 0; i < w->tries_count; i++)
    if (w->tries[i].place == place) return &w->tries[i];
  sim_tries t = {.place = place};
  SIM_PUSH(w->tries, w->tries_count, w->tries_capacity, t);
  return &w->tries[w->tries_count - 1];
}

// ------------------------------------------------------------------------------------- beginning

static void decide_outcome(sim_world *w, sim_task *t, const sim_spec *spec) {
  int ended = tries_of(w, t->place)->ended;
  t->outcome = FL_ATTEMPT_SUCCEEDED;
  t->duration_ms = spec->duration_ms;
  t->exit_code = 0;
  if (spec->always_fails || (spec->broken && !w->mended) || ended < spec->fail_tries) {
    t->outcome = FL_ATTEMPT_FAILED;
    t->exit_code = spec->always_fails ? 99 : 1;
  } else if (ended < spec->fail_tries + spec->hang_tries) {
    t->duration_ms = 1000000000;
  } else if (spec->skips && t->kind != FL_KIND_PROCESS) {
    t->outcome = FL_ATTEMPT_SKIPPED;
  }
}

static void run_task(sim_world *w, sim_task *t) {
  t->state = SIM_RUNNING;
  t->ends_ms = w->now_ms + t->duration_ms;
  t->next_save_ms = t->saves ? w->now_ms + t->duration_ms / (t->saves + 1) : INT64_MAX;
  sim_trace(w, "run %s #%u.%u kind %d for %lld ms", t->run, t->node, t->number, t->kind,
            (long long)t->duration_ms);
  if (t->kind == FL_KIND_PROCESS && t->attempt && t->attempt->timeout_ms &&
      t->attempt->timeout_ms < t->duration_ms) {
    t->ends_ms = w->now_ms + t->attempt->timeout_ms; // its supervisor ends it
    t->outcome = FL_ATTEMPT_TIMED_OUT;
    t->exit_code = -1;
  }
  sim_check_running(w, t);
}

// Starts what waits, as far as there are slots.
static void pump(sim_world *w, int engine, int supervisor) {
  uint32_t slots =
      supervisor >= 0 ? w->supervisors[supervisor].slots : w->engines[engine].worker_slots;
  for (;;) {
    uint32_t running = 0;
    sim_task *first = NULL;
    for (size_t i = 0; i < w->task_count; i++) {
      sim_task *t = &w->tasks[i];
      bool mine = supervisor >= 0 ? t->kind == FL_KIND_PROCESS && t->supervisor == supervisor
                                  : t->kind == FL_KIND_WORKER && t->engine == engine;
      if (!mine) continue;
      running += t->state == SIM_RUNNING;
      if (t->state == SIM_QUEUED && !t->dropped && !first) first = t;
    }
    if (!first || running >= slots) return;
    run_task(w, first);
  }
}

int sim_get_supervisor(sim_engine *e) {
  sim_world *w = e->world;
  if (e->supervisor >= 0 && w->supervisors[e->supervisor].alive) return e->supervisor;
  sim_supervisor s = {.alive = true, .engine = e->slot, .slots = e->process_slots};
  snprintf(s.id, sizeof s.id, "sup%zu", w->supervisor_count);
  SIM_PUSH(w->supervisors, w->supervisor_count, w->supervisor_capacity, s);
  return e->supervisor = (int)w->supervisor_count - 1;
}

// What it saved before is given back to it.
static void check_saved(sim_engine *e, fl_attempt *a, sim_task *t) {
  sim_world *w = e->world;
  fl_value *v = NULL;
  fl_error err;
  sim_node *n = sim_find_node(w, t->run, fl_attempt_get_name(a));
  if (fl_attempt_get_checkpoint(a, &v, &err)) return;
  json_t *json = v ? fl_value_to_json(v) : NULL;
  uint32_t found = json ? (uint32_t)json_integer_value(json_object_get(json, "n")) : 0;
  json_decref(json);
  fl_value_unref(v);
  t->saved = found;
  if (found < n->saved_acked || found > n->saved_most)
    sim_fail(w, "%s got checkpoint %u back; %u was acknowledged, %u the last it saved",
             fl_attempt_get_name(a), found, n->saved_acked, n->saved_most);
  for (uint32_t i = 0; i < 32; i++) {
    char name[8];
    bool known;
    if (!(n->steps_acked >> i & 1)) continue;
    snprintf(name, sizeof name, "s%u", i);
    if (fl_attempt_get_step(a, name, &known, &v, &err)) return;
    if (!known) sim_fail(w, "step %s of %s was acknowledged and is gone", name, n->name);
    fl_value_unref(v);
  }
}

// It has read its inputs when it starts; whoever hears of its end may have others.
static void keep_results(fl_attempt *a, sim_task *t) {
  fl_value *outputs = NULL, *vars = NULL;
  sim_flow_results(a, &outputs, &vars);
  t->outputs = outputs ? fl_strdup(outputs->text) : NULL;
  t->vars = vars ? fl_strdup(vars->text) : NULL;
  fl_value_unref(outputs);
  fl_value_unref(vars);
}

void sim_task_deinit(sim_task *t) {
  free(t->outputs);
  free(t->vars);
}

static void start(void *ud, fl_attempt *a) {
  sim_engine *e = ud;
  sim_world *w = e->world;
  if (e->mount->dead) return;
  sim_check_start(e, a);
  const sim_spec *spec = sim_flow_get_spec(a);
  fl_buf place;
  fl_buf_init(&place, FL_VALUE_SIZE_MAX);
  sim_flow_write_place(a, &place);
  sim_task t = {.node = a->node,
                .number = a->number,
                .kind = a->options->kind,
                .place = sim_hash(1, place.data, place.size),
                .engine = e->slot,
                .supervisor = -1,
                .attempt = a,
                .weight = a->options->weight,
                .saves = spec->checkpoints + spec->steps};
  fl_buf_deinit(&place);
  snprintf(t.run, sizeof t.run, "%s", fl_attempt_get_run_id(a));
  if (a->options->pool) t.pool = a->run->pools[a->options->pool - 1] + 1;
  if (t.kind == FL_KIND_PROCESS) t.supervisor = sim_get_supervisor(e);
  decide_outcome(w, &t, spec);
  if (t.kind != FL_KIND_PROCESS) fl_attempt_arm_timeout(a);
  check_saved(e, a, &t);
  keep_results(a, &t);
  SIM_PUSH(w->tasks, w->task_count, w->task_capacity, t);
  if (holds_slot(&t))
    pump(w, e->slot, t.supervisor);
  else
    run_task(w, &w->tasks[w->task_count - 1]);
}

// ------------------------------------------------------------------------------------- ends

static void finish(sim_world *w, sim_task *t) {
  fl_attempt *a = t->attempt;
  int engine = t->engine, supervisor = t->supervisor;
  bool worker = t->kind == FL_KIND_WORKER;
  fl_outcome o = {.state = t->outcome, .exit_code = t->exit_code};
  if (t->outcome == FL_ATTEMPT_FAILED) o.error = "it failed";
  if (t->outcome == FL_ATTEMPT_SUCCEEDED && t->outputs)
    o.outputs = fl_value_new(t->outputs, strlen(t->outputs));
  if (t->outcome == FL_ATTEMPT_SUCCEEDED && t->vars)
    o.vars = fl_value_new(t->vars, strlen(t->vars));
  // What a failure leaves must never be seen by anybody.
  if (t->outcome == FL_ATTEMPT_FAILED && a && a->options->kind != FL_KIND_BRANCH) {
    static const char text[] = "{\"" SIM_FAILED "\":1}";
    o.outputs = fl_value_new(text, sizeof text - 1);
    o.vars = fl_value_new(text, sizeof text - 1);
  }
  t->state = t->kind == FL_KIND_PROCESS ? SIM_TOLD : SIM_GONE;
  t->attempt = NULL;
  sim_trace(w, "end %s #%u.%u state %d", t->run, t->node, t->number, t->outcome);
  if (a) {
    w->engines[engine].poked = true;
    fl_attempt_end(a, &o);
  }
  fl_value_unref(o.outputs);
  fl_value_unref(o.vars);
  if (supervisor >= 0 || worker) pump(w, engine, supervisor);
}

static void end_task(sim_world *w, sim_task *t) {
  if (!t->counted && !t->cancelled) tries_of(w, t->place)->ended++;
  t->counted = true;
  t->state = SIM_ENDED;
  sim_engine *e = t->engine >= 0 ? &w->engines[t->engine] : NULL;
  if (e && e->alive && !e->frozen) finish(w, t);
}

static void cancel(void *ud, fl_attempt *a, int64_t grace_ms) {
  sim_engine *e = ud;
  sim_world *w = e->world;
  for (size_t i = 0; i < w->task_count && !e->mount->dead; i++) {
    sim_task *t = &w->tasks[i];
    if (t->attempt != a) continue;
    bool ignores = sim_flow_get_spec(a)->ignores_term;
    int64_t at = w->now_ms + (ignores ? grace_ms : sim_range(&w->random, 0, grace_ms / 4)) + 1;
    if (t->state == SIM_QUEUED) t->dropped = true, at = w->now_ms, t->ends_ms = at + 1;
    if (t->ends_ms > at) {
      t->ends_ms = at;
      t->outcome = FL_ATTEMPT_CANCELLED;
      t->exit_code = -1;
      t->cancelled = !a->timing_out;
    }
    return;
  }
}

// ------------------------------------------------------------------------------------- saving

typedef struct sim_saving {
  sim_world *world;
  sim_engine *engine;
  char run[FL_RUN_ID_SIZE], name[FL_ID_SIZE_MAX + 16];
  uint32_t number; // of the checkpoint, or ...
  int step;        // ... of the step; -1: a checkpoint
} sim_saving;

static void on_saved(void *ud) {
  sim_saving *s = ud;
  sim_node *n = sim_find_node(s->world, s->run, s->name);
  if (!s->engine->mount->dead) {
    sim_check_told_durable(s->engine, "a checkpoint");
    if (s->step < 0 && s->number > n->saved_acked) n->saved_acked = s->number;
    if (s->step >= 0) n->steps_acked |= 1u << s->step;
    n->saved_syncs = s->world->disk.log_syncs;
  }
}

static void save(sim_world *w, sim_task *t) {
  fl_attempt *a = t->attempt;
  sim_engine *e = &w->engines[t->engine];
  const sim_spec *spec = sim_flow_get_spec(a);
  sim_saving *s = fl_alloc_zero(1, sizeof *s);
  *s = (sim_saving){.world = w, .engine = e, .step = -1};
  void *kept = s;
  SIM_PUSH(w->savings, w->saving_count, w->saving_capacity, kept);
  snprintf(s->run, sizeof s->run, "%s", t->run);
  snprintf(s->name, sizeof s->name, "%s", fl_attempt_get_name(a));
  t->saves--;
  t->next_save_ms =
      t->saves ? w->now_ms + t->duration_ms / (spec->checkpoints + spec->steps + 1) : INT64_MAX;
  char text[32];
  e->poked = true;
  if (t->saves < spec->steps) {
    s->step = t->saves;
    snprintf(text, sizeof text, "s%d", s->step);
    fl_value *v = fl_value_new("1", 1);
    fl_attempt_put_step(a, text, v, on_saved, s);
    fl_value_unref(v);
  } else {
    s->number = ++t->saved;
    sim_node *n = sim_find_node(w, t->run, s->name);
    if (s->number > n->saved_most) n->saved_most = s->number;
    int size = snprintf(text, sizeof text, "{\"n\":%u}", s->number);
    fl_value *v = fl_value_new(text, (size_t)size);
    fl_attempt_checkpoint(a, v, on_saved, s);
    fl_value_unref(v);
  }
}

// ------------------------------------------------------------------------------------- executor

static uint32_t held(void *ud) {
  sim_engine *e = ud;
  uint32_t count = 0;
  for (size_t i = 0; i < e->world->task_count; i++) {
    sim_task *t = &e->world->tasks[i];
    count += t->kind == FL_KIND_WORKER && t->engine == e->slot && t->state <= SIM_RUNNING;
  }
  return count < e->worker_slots ? count : e->worker_slots;
}

static uint32_t ahead(void *ud) {
  sim_engine *e = ud;
  return (uint32_t)(e->world->seed % 4);
}

static void set_worker_slots(void *ud, uint32_t slots) {
  sim_engine *e = ud;
  e->worker_slots = slots ? slots : 1;
}

static void set_process_slots(void *ud, uint32_t slots) {
  sim_engine *e = ud;
  e->process_slots = slots;
  if (e->supervisor < 0) return;
  e->world->supervisors[e->supervisor].slots = slots;
}

static void flush_processes(void *ud) {
  sim_engine *e = ud;
  if (!e->mount->dead && e->supervisor >= 0 && e->world->supervisors[e->supervisor].alive)
    pump(e->world, e->slot, e->supervisor);
}

static void flush_workers(void *ud) {
  sim_engine *e = ud;
  if (!e->mount->dead) pump(e->world, e->slot, -1);
}

// ------------------------------------------------------------------------------------- time

static bool is_due(const sim_task *t) {
  return t->state == SIM_RUNNING || (t->state == SIM_QUEUED && t->dropped);
}

int64_t sim_tasks_due(sim_world *w) {
  int64_t due = INT64_MAX;
  for (size_t i = 0; i < w->task_count; i++) {
    sim_task *t = &w->tasks[i];
    if (!is_due(t)) continue;
    if (t->ends_ms < due) due = t->ends_ms;
    bool hears = t->engine >= 0 && !w->engines[t->engine].frozen;
    if (t->dropped) continue;
    if (hears && t->attempt && t->next_save_ms < due) due = t->next_save_ms;
  }
  return due;
}

void sim_tasks_run(sim_world *w) {
  for (size_t i = 0; i < w->task_count && !w->failed; i++) {
    sim_task *t = &w->tasks[i];
    if (!is_due(t)) continue;
    bool hears = t->engine >= 0 && w->engines[t->engine].alive && !w->engines[t->engine].frozen;
    bool runs = t->state == SIM_RUNNING && t->ends_ms > w->now_ms;
    if (hears && t->attempt && runs && t->next_save_ms <= w->now_ms) save(w, t);
    t = &w->tasks[i];
    if (is_due(t) && t->ends_ms <= w->now_ms) end_task(w, t);
  }
  // Old ones that nobody can ask about any more.
  size_t kept = 0;
  for (size_t i = 0; i < w->task_count; i++)
    if (w->tasks[i].state != SIM_GONE)
      w->tasks[kept++] = w->tasks[i];
    else
      sim_task_deinit(&w->tasks[i]);
  w->task_count = kept;
}

void sim_tasks_deliver(sim_engine *e) {
  sim_world *w = e->world;
  for (size_t i = 0; i < w->task_count; i++)
    if (w->tasks[i].state == SIM_ENDED && w->tasks[i].engine == e->slot && w->tasks[i].attempt)
      finish(w, &w->tasks[i]);
}

// ------------------------------------------------------------------------------------- deaths

void sim_tasks_orphan(sim_world *w, int engine) {
  for (size_t i = 0; i < w->task_count; i++) {
    sim_task *t = &w->tasks[i];
    if (t->engine != engine) continue;
    t->attempt = NULL;
    t->engine = -1;
    // Only a process that was started outlives its engine: queues and workers end with it.
    if (t->kind != FL_KIND_PROCESS || t->state == SIM_QUEUED) t->state = SIM_GONE;
  }
  for (size_t i = 0; i < w->supervisor_count; i++)
    if (w->supervisors[i].engine == engine) w->supervisors[i].engine = -1;
}

void sim_supervisor_kill(sim_world *w, int supervisor) {
  sim_supervisor *s = &w->supervisors[supervisor];
  sim_trace(w, "supervisor %s is killed", s->id);
  s->alive = false;
  for (int i = 0; i < SIM_ENGINES; i++)
    if (w->engines[i].alive && w->engines[i].supervisor == supervisor)
      fl_scheduler_keeper_changed(w->engines[i].scheduler);
  int count = (int)w->task_count;
  for (int i = 0; i < count; i++) {
    sim_task *t = &w->tasks[i];
    if (t->supervisor != supervisor || t->state > SIM_RUNNING) continue;
    fl_attempt *a = t->attempt;
    bool queued = t->state == SIM_QUEUED;
    t->state = SIM_GONE;
    t->attempt = NULL;
    if (!a || t->engine < 0) continue;
    if (queued && !w->engines[t->engine].frozen) { // nothing of it has run
      w->engines[t->engine].poked = true;
      fl_attempt_give_back(a);
      continue;
    }
    if (w->engines[t->engine].frozen) { // it hears of it when it wakes up
      t->state = SIM_ENDED;
      t->attempt = a;
      t->outcome = FL_ATTEMPT_LOST;
      t->exit_code = -1;
      continue;
    }
    w->engines[t->engine].poked = true;
    fl_attempt_end(a, &(fl_outcome){.state = FL_ATTEMPT_LOST, .exit_code = -1, .error = "lost"});
  }
}

static void fate_of(sim_world *w, sim_engine *e, fl_attempt *a, int supervisor, fl_fate *fate) {
  *fate = FL_FATE_NOT_STARTED;
  if (supervisor < 0) {
    *fate = FL_FATE_LOST;
    return;
  }
  for (size_t i = 0; i < w->task_count; i++) {
    sim_task *t = &w->tasks[i];
    if (t->supervisor != supervisor || t->node != a->node || t->number != a->number) continue;
    if (strcmp(t->run, fl_attempt_get_run_id(a)) || t->kind != FL_KIND_PROCESS) continue;
    if (t->state == SIM_GONE) continue;
    if (t->state == SIM_QUEUED) {
      t->state = SIM_GONE;
      return;
    }
    t->attempt = a;
    t->engine = e->slot;
    t->adopted = true;
    *fate = t->state == SIM_RUNNING ? FL_FATE_RUNNING : FL_FATE_ENDED;
    if (t->state != SIM_RUNNING) finish(w, t);
    return;
  }
  // It is in no journal entry that says it runs: it was lost with the supervisor, or its end was
  // heard by an engine that died before it recorded it.
  if (!w->supervisors[supervisor].alive) *fate = FL_FATE_LOST;
}

typedef struct sim_question {
  char run[FL_RUN_ID_SIZE], supervisor[40];
  uint64_t recovery;
  int64_t at_ms;
  size_t count;
  struct sim_question *next;
  struct {
    uint32_t node, number;
  } asked[];
} sim_question;

// By name: attempts may have left since they were asked about.
static void answer(sim_engine *e, const sim_question *q) {
  sim_world *w = e->world;
  int found = -1;
  for (size_t i = 0; i < w->supervisor_count; i++)
    if (!strcmp(w->supervisors[i].id, q->supervisor)) found = (int)i;
  if (found >= 0 && w->supervisors[found].alive && w->supervisors[found].engine != e->slot) {
    // Its old engine, if it still is, is heard no more; the workers it had are ended.
    for (size_t i = 0; i < w->task_count; i++) {
      sim_task *t = &w->tasks[i];
      if (t->supervisor != found) continue;
      t->attempt = NULL;
      t->engine = -1;
      if (t->state == SIM_QUEUED) t->state = SIM_GONE;
    }
    w->supervisors[found].engine = e->slot;
  }
  for (size_t i = 0; i < q->count; i++) {
    uint32_t node = q->asked[i].node, number = q->asked[i].number;
    fl_fate fate;
    fl_attempt *a = fl_scheduler_find_attempt(e->scheduler, q->run, node, number);
    if (!a) continue;
    fate_of(w, e, a, found, &fate);
    sim_trace(w, "fate of #%u.%u under %s: %d", node, number, q->supervisor, fate);
    if (fate != FL_FATE_ENDED) fl_attempt_settle(a, fate);
  }
  fl_scheduler_recovered(e->scheduler, q->run, q->recovery);
}

int64_t sim_answers_due(const sim_engine *e) {
  int64_t due = INT64_MAX;
  for (const sim_question *q = e->questions; q; q = q->next)
    if (q->at_ms < due) due = q->at_ms;
  return due;
}

void sim_answer(sim_engine *e) {
  for (sim_question **at = &e->questions; *at;) {
    sim_question *q = *at;
    if (q->at_ms > e->world->now_ms) {
      at = &q->next;
      continue;
    }
    *at = q->next;
    answer(e, q);
    free(q);
  }
}

void sim_questions_drop(sim_engine *e) {
  for (sim_question *q; (q = e->questions);) {
    e->questions = q->next;
    free(q);
  }
}

static void recover(void *ud, fl_run *run, const char *supervisor, uint64_t recovery,
                    fl_attempt **attempts, size_t count) {
  sim_engine *e = ud;
  sim_world *w = e->world;
  sim_question *q = fl_alloc_zero(1, sizeof *q + count * sizeof *q->asked);
  snprintf(q->run, sizeof q->run, "%s", fl_run_get_id(run));
  snprintf(q->supervisor, sizeof q->supervisor, "%s", supervisor);
  q->recovery = recovery;
  q->count = count;
  for (size_t i = 0; i < count; i++) {
    q->asked[i].node = fl_attempt_get_node_number(attempts[i]);
    q->asked[i].number = attempts[i]->number;
  }
  q->at_ms = w->now_ms + (sim_chance(&w->random, 50) ? 0 : sim_range(&w->random, 1, 3000));
  if (q->at_ms == w->now_ms) {
    answer(e, q);
    free(q);
    return;
  }
  q->next = e->questions;
  e->questions = q;
}

// ------------------------------------------------------------------------------------- executors

static void let_go(void *ud, fl_attempt *a) {
  sim_engine *e = ud;
  for (size_t i = 0; i < e->world->task_count; i++)
    if (e->world->tasks[i].attempt == a) e->world->tasks[i].attempt = NULL;
}

static const char *get_keeper(void *ud) {
  sim_engine *e = ud;
  int at = sim_get_supervisor(e); // may move the list
  return e->world->supervisors[at].id;
}

static const fl_executor loop = {.name = "loop",
                                 .kinds = 1u << FL_KIND_INLINE | 1u << FL_KIND_BRANCH,
                                 .records_with_end = true,
                                 .start = start,
                                 .cancel = cancel};
static const fl_executor native = {
    .name = "native", .kinds = 1u << FL_KIND_NATIVE, .start = start, .cancel = cancel};
static const fl_executor process = {.name = "process",
                                    .kinds = 1u << FL_KIND_PROCESS,
                                    .slots = FL_SLOTS_JOBS,
                                    .outlives_engine = true,
                                    .fills_slots = true,
                                    .start = start,
                                    .cancel = cancel,
                                    .let_go = let_go,
                                    .flush = flush_processes,
                                    .ahead = ahead,
                                    .set_slots = set_process_slots,
                                    .get_keeper = get_keeper,
                                    .recover = recover};
static const fl_executor worker = {.name = "worker",
                                   .kinds = 1u << FL_KIND_WORKER,
                                   .slots = FL_SLOTS_JOBS,
                                   .records_with_end = true,
                                   .start = start,
                                   .cancel = cancel,
                                   .flush = flush_workers,
                                   .held = held,
                                   .ahead = ahead,
                                   .set_slots = set_worker_slots,
                                   .get_keeper = get_keeper};

void sim_register(sim_engine *e) {
  static const fl_executor *const all[] = {&loop, &native, &process, &worker};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    fl_executor x = *all[i];
    x.ud = e;
    fl_scheduler_register(e->scheduler, &x);
  }
}
