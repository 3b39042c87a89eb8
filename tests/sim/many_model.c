// What must hold with many runs at once: what starts may start, slots and pools hold, no run is
// passed by others for long, what is told fits.
#include <stdio.h>
#include <string.h>
#include "many_world.h"

void many_fail(world *w, const char *fmt, ...) {
  va_list args;
  if (w->failed) return;
  w->failed = true;
  int size = snprintf(w->failure, sizeof w->failure, "at %lld ms: ", (long long)w->now_ms);
  va_start(args, fmt);
  vsnprintf(w->failure + size, sizeof w->failure - (size_t)size, fmt, args);
  va_end(args);
  if (w->trace) printf("FAILED %s\n", w->failure);
}

void many_note(world *w, const char *fmt, ...) {
  char text[200];
  va_list args;
  va_start(args, fmt);
  int size = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  w->hash = sim_hash(w->hash ^ (uint64_t)w->now_ms, text, (uint64_t)size);
  if (w->trace) printf("%10lld %s\n", (long long)(w->now_ms - 1700000000000), text);
}

static run_model *find_run(world *w, const char *id) {
  for (size_t i = w->unfinished; i-- > 0;)
    if (!strcmp(w->open[i]->id, id)) return w->open[i];
  for (size_t i = w->run_count; i-- > 0;)
    if (!strcmp(w->runs[i]->id, id)) return w->runs[i];
  return NULL;
}

void many_set_finished(world *w, run_model *r, bool finished) {
  if (r->finished == finished) return;
  r->finished = finished;
  if (!finished) {
    SIM_PUSH(w->open, w->unfinished, w->open_capacity, r);
    return;
  }
  size_t at = 0;
  while (w->open[at] != r) at++;
  w->open[at] = w->open[--w->unfinished];
}

static uint32_t find_node(const run_model *r, const char *name) {
  return fl_graph_find(r->flow->graph, name, strlen(name));
}

// ------------------------------------------------------------------------------- starts

bool many_holds_slot(const flow_spec *f, uint32_t node) {
  return fl_graph_get_options(f->graph, node)->kind == FL_KIND_WORKER;
}

static bool is_ready(const run_model *r, uint32_t node) {
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(r->flow->graph, node, &count);
  if (r->running[node] || r->succeeded[node]) return false;
  for (uint32_t i = 0; i < count; i++)
    if (!r->succeeded[parents[i]]) return false;
  return true;
}

// It waits for a slot and for nothing else, and holds none.
static bool waits_for_slot(const run_model *r) {
  if (r->finished || r->held) return false;
  for (uint32_t i = 0; i < r->flow->count; i++)
    if (many_holds_slot(r->flow, i) && !fl_graph_get_options(r->flow->graph, i)->pool &&
        is_ready(r, i))
      return true;
  return false;
}

// Each run that waits is passed by others at most about once each before it is given a slot.
static void check_fair(world *w, run_model *started, uint32_t node) {
  started->passes = 0;
  if (!w->level || fl_graph_get_options(started->flow->graph, node)->pool) return;
  uint32_t bound = 2 * (uint32_t)w->unfinished + 8 * w->jobs + 16;
  started->passes_max = 0;
  for (size_t i = 0; i < w->unfinished; i++) {
    run_model *r = w->open[i];
    if (r == started || r->engine != started->engine || !waits_for_slot(r)) continue;
    if (bound > r->passes_max) r->passes_max = bound; // of all that were live meanwhile
    if (++r->passes > r->passes_max)
      many_fail(w, "%s of %s was passed %u times, %zu runs live", r->id, r->flow->flow.key,
                r->passes, w->unfinished);
  }
}

static void start(void *ud, fl_attempt *a) {
  engine *e = ud;
  world *w = e->w;
  run_model *r = find_run(w, fl_attempt_get_run_id(a));
  uint32_t node = a->node;
  if (e->mount->dead || w->failed) return;
  if (!r)
    return many_fail(w, "a node of run %s starts, which nobody knows", fl_attempt_get_run_id(a));
  many_note(w, "engine %d starts %s %s.%u", e->slot, r->id, fl_attempt_get_name(a), a->number);
  if (r->engine != e->slot)
    many_fail(w, "engine %d starts a node of %s, which it lost", e->slot, r->id);
  if (r->finished) many_fail(w, "%s has ended and starts %s", r->id, fl_attempt_get_name(a));
  if (r->running[node]) many_fail(w, "%s %s runs twice", r->id, fl_attempt_get_name(a));
  if (r->succeeded[node])
    many_fail(w, "%s %s has succeeded and starts", r->id, fl_attempt_get_name(a));
  if (!is_ready(r, node) && !w->failed)
    many_fail(w, "%s %s starts before its parents are done", r->id, fl_attempt_get_name(a));
  r->running[node] = 1;
  if (many_holds_slot(r->flow, node)) {
    uint32_t slots = 0;
    r->held++;
    for (size_t i = 0; i < w->task_count; i++)
      slots +=
          w->tasks[i].engine == e->slot && many_holds_slot(w->tasks[i].run->flow, w->tasks[i].node);
    if (slots >= w->jobs) many_fail(w, "%u hold slots, jobs are %u", slots + 1, w->jobs);
    check_fair(w, r, node);
  }
  if (fl_graph_get_options(r->flow->graph, node)->pool) {
    w->pool_used[e->slot] += a->options->weight;
    if (w->pool_used[e->slot] > w->pool_capacity)
      many_fail(w, "the pool of %u holds %u", w->pool_capacity, w->pool_used[e->slot]);
  }
  bool well = !(r->flow->fails_once[node] && a->number == 1);
  task t = {a, r, e->slot, node, w->now_ms + r->flow->duration_ms[node], well, false};
  SIM_PUSH(w->tasks, w->task_count, w->task_capacity, t);
}

// Takes a task out of the list.
task many_take_task(world *w, size_t at) {
  task t = w->tasks[at];
  w->tasks[at] = w->tasks[--w->task_count];
  const fl_node_options *o = fl_graph_get_options(t.run->flow->graph, t.node);
  if (o->pool) w->pool_used[t.engine] -= o->weight;
  if (t.robbed) return t;
  t.run->running[t.node] = 0;
  if (many_holds_slot(t.run->flow, t.node)) t.run->held--;
  return t;
}

void many_end_task(world *w, size_t at, fl_attempt_state state) {
  task t = many_take_task(w, at);
  w->engines[t.engine].poked = true;
  fl_attempt_end(t.attempt, &(fl_outcome){.state = state,
                                          .exit_code = state == FL_ATTEMPT_SUCCEEDED ? 0 : 1,
                                          .error = state == FL_ATTEMPT_SUCCEEDED ? NULL : "no"});
}

static void cancel(void *ud, fl_attempt *a, int64_t grace_ms) {
  engine *e = ud;
  (void)grace_ms;
  for (size_t i = 0; i < e->w->task_count; i++)
    if (e->w->tasks[i].attempt == a) return many_end_task(e->w, i, FL_ATTEMPT_CANCELLED);
}

static uint32_t held(void *ud) {
  engine *e = ud;
  uint32_t count = 0;
  for (size_t i = 0; i < e->w->task_count; i++) {
    const task *t = &e->w->tasks[i];
    count += t->engine == e->slot && many_holds_slot(t->run->flow, t->node);
  }
  return count;
}

// ------------------------------------------------------------------------------- what is told

void many_on_event(void *ud, const fl_event *ev) {
  engine *e = ud;
  world *w = e->w;
  if (e->mount->dead || w->failed || ev->kind == FL_EVENT_NOTICE) return;
  run_model *r = find_run(w, ev->run_id);
  if (!r) return many_fail(w, "%s is told of, and nobody knows it", ev->run_id);
  w->told++;
  many_note(w, "engine %d tells %d of %s %s %s", e->slot, ev->kind, ev->run_id,
            ev->node ? ev->node : "", ev->status ? ev->status : "");
  if (ev->kind == FL_EVENT_RUN_LEFT) {
    if (r->engine == e->slot)
      many_fail(w, "engine %d lets go of %s, which is its own", e->slot, r->id);
    return;
  }
  if (r->engine != e->slot)
    return many_fail(w, "engine %d tells of %s, which it lost", e->slot, r->id);
  if (ev->kind == FL_EVENT_NODE_FINISHED && strcmp(ev->status, "succeeded"))
    many_fail(w, "%s %s is %s", r->id, ev->node, ev->status);
  if (ev->kind == FL_EVENT_NODE_FINISHED) r->succeeded[find_node(r, ev->node)] = 1;
  if (ev->kind != FL_EVENT_RUN_FINISHED) return;
  if (strcmp(ev->status, "succeeded")) many_fail(w, "%s is %s: %s", r->id, ev->status, ev->error);
  for (uint32_t i = 0; i < r->flow->count; i++)
    if (!r->succeeded[i]) many_fail(w, "%s has ended without its node %u", r->id, i);
  many_set_finished(w, r, true);
}

static const char *get_keeper(void *ud) {
  (void)ud;
  return "sup";
}

void many_register(engine *e) {
  const fl_executor all[] = {
      {.name = "process",
       .kinds = 1u << FL_KIND_PROCESS,
       .slots = FL_SLOTS_JOBS,
       .outlives_engine = true,
       .fills_slots = true,
       .start = start,
       .cancel = cancel,
       .get_keeper = get_keeper,
       .ud = e},
      {.name = "worker",
       .kinds = 1u << FL_KIND_WORKER,
       .slots = FL_SLOTS_JOBS,
       .records_with_end = true,
       .start = start,
       .cancel = cancel,
       .held = held,
       .get_keeper = get_keeper,
       .ud = e},
      {.name = "loop",
       .kinds = 1u << FL_KIND_INLINE | 1u << FL_KIND_BRANCH | 1u << FL_KIND_NATIVE,
       .records_with_end = true,
       .start = start,
       .cancel = cancel,
       .ud = e},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    fl_scheduler_register(e->scheduler, &all[i]);
}
