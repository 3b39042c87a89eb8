// Who may have the next job slot: processes and workers share them, pools and maps have limits.
//
// A slot is held by what an executor runs, not by what waits in its queue for a free one. The sum
// of what executors may hold never passes `jobs`: one that is given more could start what waits
// there before it is known that somebody else got the slot.
#include "engine/run.h"
#include "base/bug.h"

static uint32_t pool_used(const fl_scheduler *s, uint32_t pool) {
  uint32_t used = 0; // derived from what lives, never counted up and down
  const fl_attempt *lists[2] = {s->live_slots, s->live_free};
  for (int i = 0; i < 2; i++)
    for (const fl_attempt *a = lists[i]; a; a = a->next)
      if (a->options->pool && a->run->pools[a->options->pool - 1] == pool)
        used += a->options->weight;
  return used;
}

static uint32_t map_used(const fl_scheduler *s, const fl_run *run, uint32_t map) {
  uint32_t used = 0;
  const fl_attempt *lists[2] = {s->live_slots, s->live_free};
  for (int i = 0; i < 2; i++)
    for (const fl_attempt *a = lists[i]; a; a = a->next)
      used += a->run == run && fl_plan_get_map(run->plan, a->node) == map;
  return used;
}

bool fl_slots_fit(const fl_scheduler *s, const fl_run *run, const fl_queue_key *key,
                  uint32_t node) {
  if (key->pool && !FL_BUG(pool_ignored)) {
    uint32_t pool = run->pools[key->pool - 1], capacity = s->pools[pool].capacity;
    uint32_t weight = fl_plan_get_options(run->plan, node)->weight, used = pool_used(s, pool);
    // A node heavier than its whole pool still runs, alone: else it would wait for ever.
    if (used && used + weight > capacity) return false;
    if (!capacity) return false;
  }
  if (key->map != FL_NODE_NONE) {
    uint32_t limit = fl_graph_get_options(run->flow->graph, key->map)->map_limit;
    if (limit && map_used(s, run, key->map) >= limit) return false;
  }
  return true;
}

static uint32_t call_or_0(uint32_t (*fn)(void *), void *ud) {
  return fn ? fn(ud) : 0;
}
static uint32_t least(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

void fl_slots_count(fl_scheduler *s) {
  const fl_executor *w = &s->executors[FL_KIND_WORKER];
  // Those of a supervisor that was adopted run whatever this engine's own may hold.
  uint32_t own = s->live_process - s->live_adopted;
  uint32_t running = least(own, s->process_given);
  s->process_slots = s->live_adopted + running;
  s->process_waiting = own - running;
  s->worker_slots = least(call_or_0(w->held, w->ud), s->worker_given);
}

// Slots that nobody holds and nobody waits for in a queue.
static uint32_t count_free(const fl_scheduler *s) {
  uint32_t used = s->process_slots + s->process_waiting + s->worker_slots;
  return used < s->jobs ? s->jobs - used : 0;
}

bool fl_slots_has(const fl_scheduler *s, const fl_queue_key *key) {
  if (key->slot == FL_SLOT_NONE) return s->live_free_count < FL_INLINE_LIVE_MAX;
  if (count_free(s)) return true;
  // Never ahead when pools or limits could go to somebody better meanwhile.
  if (key->pool || key->map != FL_NODE_NONE) return false;
  bool process = key->slot == FL_SLOT_PROCESS;
  uint32_t live = process ? s->live_process : s->live_worker;
  uint32_t slots = process ? s->process_slots : s->worker_slots;
  const fl_executor *e = &s->executors[process ? FL_KIND_PROCESS : FL_KIND_WORKER];
  return slots && live < slots + call_or_0(e->ahead, e->ud);
}

void fl_slots_take(fl_scheduler *s, fl_slot_class slot) {
  if (!count_free(s)) return; // it was claimed ahead of one
  if (slot == FL_SLOT_PROCESS)
    s->process_slots++;
  else
    s->worker_slots++;
}

static void tell(fl_scheduler *s) {
  const fl_executor *p = &s->executors[FL_KIND_PROCESS], *w = &s->executors[FL_KIND_WORKER];
  if (p->set_slots) p->set_slots(p->ud, s->process_given);
  if (w->set_slots) w->set_slots(w->ud, s->worker_given);
}

void fl_slots_give(fl_scheduler *s) {
  uint32_t used = s->process_slots + s->worker_slots;
  uint32_t rest = used < s->jobs ? s->jobs - used : 0;
  uint32_t started = least(rest, s->process_waiting);
  s->process_given = s->process_slots - s->live_adopted + started;
  s->worker_given = s->worker_slots;
  rest -= started;
  // A worker's own queue is not known here: it may use what is left, if there can be something.
  if (s->live_worker)
    s->worker_given += rest;
  else
    s->process_given += rest;
  tell(s);
}

void fl_slots_withhold(fl_scheduler *s) {
  s->process_given = s->worker_given = 0;
  tell(s);
}
