// Who may have the next job slot: some executors share them, pools and maps have limits.
//
// A slot is held by what an executor runs, not by what waits in its queue for a free one. The sum
// of what executors may hold never passes `jobs`: one that is given more could start what waits
// there before it is known that somebody else got the slot.
#include "engine/run_internal.h"
#include "base/bug.h"

bool fl_slots_fit(const fl_pool *pool, uint32_t weight) {
  if (FL_BUG(pool_ignored)) return true;
  // A node that is heavier than its pool, which another flow has made smaller meanwhile, runs
  // alone.
  return pool->capacity && (!pool->used || pool->used + weight <= pool->capacity);
}

static fl_code check_weight(const fl_flow *flow, uint32_t node, const fl_node_options *o,
                            uint32_t index, const fl_pool *pool, fl_error *err) {
  if (!o || o->pool != index || o->weight <= pool->capacity) return FL_OK;
  return fl_fail(err, FL_E_USAGE,
                 "flow '%s': node '%s' takes %u of pool '%s', which has a capacity of %u here, so "
                 "that it could never start",
                 flow->key, fl_graph_get_name(flow->graph, node), o->weight, pool->name,
                 pool->capacity);
}

fl_code fl_slots_check(const fl_scheduler *s, const fl_flow *flow, fl_error *err) {
  fl_code rc = FL_OK;
  for (uint32_t p = 0; p < flow->pool_count; p++) {
    const fl_pool *pool = s->pools;
    while (pool < s->pools + s->pool_count && strcmp(pool->name, flow->pools[p].name)) pool++;
    // Where it is not made smaller the script was refused.
    if (pool == s->pools + s->pool_count || !pool->fixed ||
        pool->capacity >= flow->pools[p].capacity)
      continue;
    for (uint32_t i = 0; i < fl_graph_get_count(flow->graph) && !rc; i++) {
      rc = check_weight(flow, i, fl_graph_get_options(flow->graph, i), p + 1, pool, err);
      if (!rc) rc = check_weight(flow, i, fl_graph_get_inner(flow->graph, i), p + 1, pool, err);
    }
  }
  return rc;
}

static uint32_t least(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

// Of those that share the jobs, the one at or behind `i`; NULL: none.
static fl_site *next_sharing(const fl_scheduler *s, uint32_t *i) {
  for (; *i < s->site_count; ++*i)
    if (s->sites[*i].x.slots == FL_SLOTS_JOBS) return &s->sites[*i];
  return NULL;
}

void fl_slots_count(fl_scheduler *s) {
  fl_site *site;
  for (uint32_t i = 1; (site = next_sharing(s, &i)); i++) {
    // Those that an earlier engine had started run whatever this one allows.
    uint32_t own = site->live - site->adopted;
    uint32_t holds = site->x.fills_slots ? own : site->x.held(site->x.ud) + site->unstarted;
    uint32_t running = least(holds, site->given);
    site->slots = site->adopted + running;
    site->waiting = site->x.fills_slots ? own - running : 0;
  }
}

// Slots that nobody holds and nobody waits for in a queue.
static uint32_t count_free(const fl_scheduler *s) {
  const fl_site *site;
  uint32_t used = 0;
  for (uint32_t i = 1; (site = next_sharing(s, &i)); i++) used += site->slots + site->waiting;
  return used < s->jobs ? s->jobs - used : 0;
}

// Whether the head may be given to its executor, which would start it as soon as a slot gets free,
// without asking: never where somebody else could have to go first by then, or nobody at all.
static bool may_go_ahead(const fl_run *run, const fl_queue_key *key, uint32_t head) {
  if (key->pool || key->map != FL_NODE_NONE) return false; // these could go to somebody better
  if (fl_plan_has_higher(run->plan, fl_plan_get_options(run->plan, head)->priority)) return false;
  for (; run; run = run->parent ? run->parent->run : NULL)
    if (run->flow->policy == FL_POLICY_STOP) return false;
  return true;
}

void fl_slots_count_level(fl_site *site, int32_t priority, int by) {
  uint32_t i = 0;
  while (i < site->level_count && site->levels[i].priority != priority) i++;
  if (i == site->level_count)
    FL_PUSH(site->levels, site->level_count, site->level_capacity,
            ((fl_level){.priority = priority}));
  site->levels[i].count += (uint32_t)by;
  if (!site->levels[i].count) site->levels[i] = site->levels[--site->level_count];
}

// Of what waits there, that which one of `priority` goes before: it takes no room from it. Which of
// the lower ones run is not known here: counted as waiting, they are as many as slots at most.
static uint32_t count_behind(const fl_site *site, int32_t priority) {
  uint32_t lower = 0, waiting = site->live > site->slots ? site->live - site->slots : 0;
  for (uint32_t i = 0; i < site->level_count; i++)
    if (site->levels[i].priority < priority) lower += site->levels[i].count;
  return least(lower, waiting);
}

bool fl_slots_has(const fl_run *run, uint32_t queue) {
  const fl_scheduler *s = run->scheduler;
  uint32_t head;
  const fl_queue_key *key = fl_plan_get_queue(run->plan, queue, &head);
  const fl_site *site = &s->sites[key->executor];
  if (site->x.slots == FL_SLOTS_NONE) return s->live_free_count < FL_INLINE_LIVE_MAX;
  if (site->x.slots == FL_SLOTS_OWN) return site->live < site->x.ahead(site->x.ud);
  if (count_free(s)) return true;
  if (!site->slots || !may_go_ahead(run, key, head)) return false;
  int32_t priority = fl_plan_get_options(run->plan, head)->priority;
  return site->live - count_behind(site, priority) < site->slots + site->x.ahead(site->x.ud);
}

void fl_slots_take(fl_scheduler *s, fl_site *site) {
  if (site->x.slots != FL_SLOTS_JOBS || !count_free(s)) return; // it was claimed ahead of one
  site->slots++;
}

static void tell(fl_scheduler *s) {
  fl_site *site;
  for (uint32_t i = 1; (site = next_sharing(s, &i)); i++)
    site->x.set_slots(site->x.ud, site->given);
}

void fl_slots_give(fl_scheduler *s) {
  fl_site *site, *filling = NULL, *other = NULL;
  uint32_t rest = s->jobs;
  for (uint32_t i = 1; (site = next_sharing(s, &i)); i++) rest -= least(rest, site->slots);
  for (uint32_t i = 1; (site = next_sharing(s, &i)); i++) {
    uint32_t started = least(rest, site->waiting);
    site->given = site->slots - site->adopted + started;
    rest -= started;
    if (site->x.fills_slots && !filling) filling = site;
    if (!site->x.fills_slots && (!other || (site->live && !other->live))) other = site;
  }
  // What waits within one that does not fill its slots is not known here: it may use what is left,
  // if there can be something.
  if (other && (other->live || !filling))
    other->given += rest;
  else if (filling)
    filling->given += rest;
  tell(s);
}

void fl_slots_withhold(fl_scheduler *s) {
  fl_site *site;
  for (uint32_t i = 1; (site = next_sharing(s, &i)); i++) site->given = 0;
  tell(s);
}
