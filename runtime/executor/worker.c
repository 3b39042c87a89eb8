// The pool of workers: which task goes to which worker, when one more is started, and who waits.
//
// A worker is given one task until it is known how long they take; of short ones it is given many
// ahead, since a round trip between processes takes longer than they do. A task that turns out long
// gives back what was queued behind it.
#include <unistd.h>
#include "executor/worker_pool_internal.h"
#include "engine/scheduler.h"

#define FAST_US       2000.0    // mean time of tasks that are given ahead
#define AHEAD_US      20000.0   // work given ahead
#define SPREAD_US     200.0     // work a worker should have before the next one is woken up
#define FEW_TASKS     4u        // so many do not start a second worker at once ...
#define STUCK_NS      5000000ll // ... but when they have waited this long
#define REST_MS_FIRST 50        // after the system refused to start one
#define REST_MS_MAX   5000
#define BACKLOG       4u     // slots full of short tasks that are recorded ahead
#define BACKLOG_US    5000.0 // short tasks start one more worker when this much work waits for each

// ------------------------------------------------------------------------------------- lists

static fl_worker_list *list_of(fl_worker_task *t) {
  return t->place == FL_PLACE_WAITING   ? &t->group->waiting
         : t->place == FL_PLACE_DROPPED ? &t->pool->dropped
                                        : &t->pool->ending;
}

// Of all groups only those in which something waits are looked at.
static void link_waiting(fl_worker_pool *pool, fl_worker_group *g) {
  g->prev_waiting = NULL;
  g->next_waiting = pool->waiting;
  if (g->next_waiting) g->next_waiting->prev_waiting = g;
  pool->waiting = g;
}

static void unlink_waiting(fl_worker_pool *pool, fl_worker_group *g) {
  if (g->prev_waiting)
    g->prev_waiting->next_waiting = g->next_waiting;
  else
    pool->waiting = g->next_waiting;
  if (g->next_waiting) g->next_waiting->prev_waiting = g->prev_waiting;
  g->stuck_ns = 0;
}

void fl_worker_task_remove(fl_worker_task *t) {
  fl_worker_list *list = list_of(t);
  if (t->prev)
    t->prev->next = t->next;
  else
    list->first = t->next;
  if (t->next)
    t->next->prev = t->prev;
  else
    list->last = t->prev;
  t->next = t->prev = NULL;
  list->count--;
  if (t->place != FL_PLACE_WAITING) return;
  t->pool->waiting_count--;
  if (!list->count) unlink_waiting(t->pool, t->group);
}

static bool goes_before(const fl_worker_task *a, const fl_worker_task *b) {
  int32_t pa = fl_attempt_get_options(a->attempt)->priority,
          pb = fl_attempt_get_options(b->attempt)->priority;
  return pa != pb ? pa > pb : a->order < b->order;
}

// New ones go to the end and those that were taken back to the front, as a rule: neither walks far.
static fl_worker_task *find_before(const fl_worker_list *waiting, const fl_worker_task *t) {
  fl_worker_task *before = waiting->last;
  if (waiting->first && goes_before(t, waiting->first)) return NULL;
  while (before && goes_before(t, before)) before = before->prev;
  return before;
}

void fl_worker_task_put(fl_worker_task *t, fl_worker_place place) {
  t->place = place;
  fl_worker_list *list = list_of(t);
  fl_worker_task *before = place == FL_PLACE_WAITING ? find_before(list, t) : list->last;
  t->prev = before;
  t->next = before ? before->next : list->first;
  if (t->prev)
    t->prev->next = t;
  else
    list->first = t;
  if (t->next)
    t->next->prev = t;
  else
    list->last = t;
  list->count++;
  if (place != FL_PLACE_WAITING) return;
  t->pool->waiting_count++;
  if (list->count == 1) link_waiting(t->pool, t->group);
}

// ------------------------------------------------------------------------------------- groups

static void find_natives(fl_worker_group *g, const fl_node_options *o) {
  if (!o || o->kind != FL_KIND_NATIVE) return;
  for (uint32_t i = 0; i < g->native_count; i++)
    if (!strcmp(g->natives[i], o->type)) return;
  g->natives = fl_realloc(g->natives, (g->native_count + 1) * sizeof *g->natives);
  g->natives[g->native_count++] = o->type;
}

static fl_worker_group *find_group(fl_worker_pool *pool, fl_script *script) {
  void **place = fl_script_get_workers(script);
  if (*place) return *place;
  fl_worker_group *g = *place = fl_alloc_zero(1, sizeof *g);
  g->script = script;
  for (size_t f = 0; f < fl_script_count_flows(script); f++) {
    const fl_graph *graph = fl_script_get_flow(script, f)->graph;
    for (uint32_t n = 0; n < fl_graph_get_count(graph); n++) {
      find_natives(g, fl_graph_get_options(graph, n));
      find_natives(g, fl_graph_get_inner(graph, n));
    }
  }
  g->next = pool->groups;
  if (g->next) g->next->prev = g;
  pool->groups = g;
  return g;
}

void fl_worker_pool_forget(fl_worker_pool *pool, fl_script *script) {
  fl_worker_group *g = *fl_script_get_workers(script);
  if (!g) return;
  FL_ASSERT(!g->waiting.count);
  for (fl_worker *w = pool->workers; w; w = w->next) {
    if (w->group != g) continue;
    FL_ASSERT(!w->task_count);
    fl_worker_close(w);
    w->group = NULL;
  }
  if (g->prev)
    g->prev->next = g->next;
  else
    pool->groups = g->next;
  if (g->next) g->next->prev = g->prev;
  free(g->natives);
  free(g);
  *fl_script_get_workers(script) = NULL;
}

// How many tasks a worker may have, the running one included.
static uint32_t group_depth(const fl_worker_group *g) {
  if (g->mean_us <= 0 || g->mean_us >= FAST_US) return 1;
  double depth = 1 + AHEAD_US / (g->mean_us < 1 ? 1 : g->mean_us);
  return depth > FL_WORKER_SLOTS ? FL_WORKER_SLOTS : (uint32_t)depth;
}

// ------------------------------------------------------------------------------------- choosing

static bool may_take(const fl_worker *w, uint32_t depth) {
  if (w->state == FL_WORKER_CLOSED || w->retiring || w->killed) return false;
  return w->task_count < depth && !(w->slow && w->task_count);
}

// The first that has little to do, so that few are woken up for short tasks; else the one with the
// fewest.
static fl_worker *choose_worker(fl_worker_pool *pool, const fl_worker_group *g) {
  uint32_t depth = group_depth(g);
  fl_worker *best = NULL;
  for (fl_worker *w = pool->workers; w; w = w->next) {
    if (w->group != g || !may_take(w, depth)) continue;
    if (!w->task_count || w->task_count * g->mean_us < SPREAD_US) return w;
    if (!best || w->task_count < best->task_count) best = w;
  }
  return best;
}

static fl_worker *find_idle_stranger(fl_worker_pool *pool, const fl_worker_group *g) {
  for (fl_worker *w = pool->workers; w; w = w->next)
    if (w->group != g && w->state == FL_WORKER_SERVING && !w->task_count) return w;
  return NULL;
}

static bool make_room(fl_worker_pool *pool, const fl_worker_group *g) {
  if (pool->worker_count < pool->slots) return true;
  fl_worker *idle = find_idle_stranger(pool, g);
  if (!idle) return false;
  fl_worker_close(idle);
  return pool->worker_count < pool->slots;
}

static bool wants_worker(fl_worker_pool *pool, fl_worker_group *g, int64_t now) {
  uint32_t own = 0, quick = 0, queued = g->waiting.count;
  if (!g->waiting.count) return false;
  for (fl_worker *w = pool->workers; w; w = w->next) {
    if (w->group != g || w->state == FL_WORKER_CLOSED || w->retiring || w->killed) continue;
    own++;
    quick += !w->slow;
    queued += w->task_count;
  }
  if (!own) return true;
  if (!g->stuck_ns) g->stuck_ns = now;
  if (quick && g->mean_us > 0 && g->mean_us < FAST_US)
    return queued * g->mean_us > quick * BACKLOG_US;
  if (!quick || g->waiting.count > FEW_TASKS) return true;
  if (now - g->stuck_ns >= STUCK_NS) return true;
  fl_worker_pool_arm(pool, g->stuck_ns + STUCK_NS);
  return false;
}

// ------------------------------------------------------------------------------------- dispatching

void fl_worker_pool_rest(fl_worker_pool *pool) {
  pool->backoff_ms = pool->backoff_ms ? pool->backoff_ms * 2 : REST_MS_FIRST;
  if (pool->backoff_ms > REST_MS_MAX) pool->backoff_ms = REST_MS_MAX;
  pool->retry_ns = fl_worker_pool_now_ns() + pool->backoff_ms * 1000000;
  fl_worker_pool_arm(pool, pool->retry_ns);
}

static void start_failed(fl_worker_pool *pool, fl_worker_group *g, const fl_error *err) {
  // Descriptors or memory are short in this process. Who lives may give some back; when nobody
  // does, waiting on would be for ever and without a word.
  if (err->code == FL_E_BUSY && (pool->worker_count || pool->backoff_ms < REST_MS_MAX)) {
    fl_worker_pool_rest(pool);
    return;
  }
  while (g->waiting.first) {
    fl_worker_task *t = g->waiting.first;
    fl_worker_task_remove(t);
    fl_worker_task_fail(t, err->message);
  }
}

static void dispatch_group(fl_worker_pool *pool, fl_worker_group *g) {
  fl_error err;
  for (;;) {
    fl_worker *w;
    while (g->waiting.first && (w = choose_worker(pool, g))) {
      fl_worker_task *t = g->waiting.first;
      fl_worker_task_remove(t);
      fl_worker_give(w, t);
    }
    int64_t now = fl_worker_pool_now_ns();
    if (now < pool->retry_ns || !wants_worker(pool, g, now) || !make_room(pool, g)) return;
    g->stuck_ns = 0;
    if (fl_worker_start(pool, g, &err)) {
      start_failed(pool, g, &err);
      return;
    }
  }
}

// The group whose first task goes before those of the others, among those not marked with `round`.
static fl_worker_group *next_group(fl_worker_pool *pool, uint64_t round) {
  fl_worker_group *best = NULL;
  for (fl_worker_group *g = pool->waiting; g; g = g->next_waiting) {
    if (g->round == round) continue;
    if (!best || goes_before(g->waiting.first, best->waiting.first)) best = g;
  }
  return best;
}

void fl_worker_pool_dispatch(fl_worker_pool *pool) {
  uint64_t round = ++pool->round;
  for (fl_worker_group *g; (g = next_group(pool, round));) {
    g->round = round;
    dispatch_group(pool, g);
  }
  for (fl_worker *w = pool->workers; w; w = w->next)
    if (w->out.size > w->out_sent && !w->wants_write) fl_worker_send(w);
}

// ------------------------------------------------------------------------------------- the timer

static void end_dropped(fl_worker_pool *pool) {
  while (pool->dropped.first) {
    fl_worker_task *t = pool->dropped.first;
    fl_worker_task_remove(t);
    fl_worker_task_end(t, &(fl_outcome){.state = FL_ATTEMPT_CANCELLED, .exit_code = -1});
  }
}

static void pool_flush(void *ud) {
  fl_worker_pool *pool = ud;
  end_dropped(pool);
  fl_worker_pool_dispatch(pool);
}

static void on_timer(void *ud) {
  fl_worker_pool *pool = ud;
  pool->timer_ns = 0;
  fl_worker_pool_look(pool);
  pool_flush(pool);
}

void fl_worker_pool_arm(fl_worker_pool *pool, int64_t at_ns) {
  if (pool->timer_ns && pool->timer_ns <= at_ns) return;
  if (!pool->timer) pool->timer = fl_timer_open(pool->services->loop, on_timer, pool);
  pool->timer_ns = at_ns;
  int64_t wait_ns = at_ns - fl_worker_pool_now_ns();
  fl_timer_set(pool->timer, wait_ns > 0 ? (wait_ns + 999999) / 1000000 : 0);
}

// ------------------------------------------------------------------------------------- the
// executor

static void pool_start(void *ud, fl_attempt *a) {
  fl_worker_pool *pool = ud;
  fl_worker_task *t = fl_alloc_zero(1, sizeof *t);
  t->pool = pool;
  t->attempt = a;
  t->group = find_group(pool, fl_attempt_get_flow(a)->script);
  t->order = ++pool->order_counter;
  fl_attempt_set_data(a, t);
  fl_worker_task_put(t, FL_PLACE_WAITING);
}

static void pool_cancel(void *ud, fl_attempt *a, int64_t grace_ms) {
  fl_worker_pool *pool = ud;
  fl_worker_task *t = fl_attempt_get_data(a);
  if (!t) return;
  switch (t->place) {
  case FL_PLACE_WAITING:
    fl_worker_task_remove(t);
    fl_worker_task_put(t, FL_PLACE_DROPPED);
    break;
  case FL_PLACE_GIVEN:
    if (!fl_worker_task_stop(t, grace_ms)) fl_worker_task_put(t, FL_PLACE_DROPPED);
    break;
  case FL_PLACE_ENDING:
    fl_processes_cancel_child(pool->services->processes, t->child, grace_ms);
    break;
  case FL_PLACE_DROPPED: break;
  }
  fl_worker_pool_arm(pool, fl_worker_pool_now_ns());
}

static uint32_t pool_held(void *ud) {
  fl_worker_pool *pool = ud;
  uint32_t held = pool->waiting_count;
  for (fl_worker *w = pool->workers; w; w = w->next) held += w->task_count > 0;
  return held < pool->slots ? held : pool->slots;
}

static uint32_t pool_ahead(void *ud) {
  fl_worker_pool *pool = ud;
  uint32_t ahead = 0;
  for (fl_worker *w = pool->workers; w; w = w->next)
    if (w->state != FL_WORKER_CLOSED && !w->retiring && !w->killed) ahead += group_depth(w->group);
  // Short tasks: what waits here while the slots are full spares the engine a commit for each few.
  return ahead > pool->slots ? ahead * BACKLOG : ahead;
}

static void pool_set_slots(void *ud, uint32_t slots) {
  fl_worker_pool *pool = ud;
  pool->slots = slots ? slots : 1;
}

// Workers are children of the supervisor: while one is left, a resume waits for it there.
static const char *pool_get_keeper(void *ud) {
  return fl_processes_get_keeper(((fl_worker_pool *)ud)->services->processes);
}

fl_worker_pool *fl_worker_pool_new(const fl_services *services) {
  fl_worker_pool *pool = fl_alloc_zero(1, sizeof *pool);
  pool->services = services;
  pool->slots = services->jobs ? services->jobs : 1;
  pool->one_core = sysconf(_SC_NPROCESSORS_ONLN) < 2;
  fl_buf_init(&pool->inputs, FL_WORKER_INLINE_MAX);
  fl_processes_set_owner(services->processes,
                         &(fl_child_owner){.exited = fl_worker_pool_exited,
                                           .find_attempt = fl_worker_pool_find_attempt,
                                           .ud = pool});
  return pool;
}

fl_executor fl_worker_pool_get_executor(fl_worker_pool *pool) {
  return (fl_executor){.name = "worker",
                       .kinds = 1u << FL_KIND_WORKER,
                       .slots = FL_SLOTS_JOBS,
                       .records_with_end = true,
                       .start = pool_start,
                       .cancel = pool_cancel,
                       .flush = pool_flush,
                       .held = pool_held,
                       .ahead = pool_ahead,
                       .set_slots = pool_set_slots,
                       .get_keeper = pool_get_keeper,
                       .ud = pool};
}

static void free_task(fl_worker_task *t) {
  fl_log_sink_close(t->log);
  free(t->tail);
  fl_value_unref(t->outcome.outputs);
  fl_value_unref(t->outcome.vars);
  free(t->error);
  free(t);
}

static void free_tasks(fl_worker_list *list) {
  fl_worker_task *next;
  for (fl_worker_task *t = list->first; t; t = next) {
    next = t->next;
    fl_worker_task_remove(t);
    free_task(t);
  }
}

void fl_worker_pool_free(fl_worker_pool *pool) {
  if (!pool) return;
  fl_processes_set_owner(pool->services->processes, NULL);
  while (pool->workers) {
    fl_worker *w = pool->workers;
    pool->workers = w->next;
    for (uint32_t i = 0; i < FL_WORKER_SLOTS; i++)
      if (w->tasks[i]) free_task(w->tasks[i]);
    fl_worker_free(w); // closes its socket: that ends it
  }
  while (pool->groups) {
    fl_worker_group *g = pool->groups;
    pool->groups = g->next;
    free_tasks(&g->waiting);
    *fl_script_get_workers(g->script) = NULL;
    free(g->natives);
    free(g);
  }
  free_tasks(&pool->dropped);
  free_tasks(&pool->ending);
  for (uint32_t i = 0; i < FL_WORKER_RUN_TEXTS; i++) fl_value_unref(pool->runs[i].text);
  fl_value_unref(pool->own_run);
  fl_timer_close(pool->timer);
  fl_buf_deinit(&pool->inputs);
  free(pool);
}
