// Who is next among the runs: what waits for the same thing stands in one lane, there by families
// (a run with the sub-flows it called), within a family by run and queue.
//
// A family goes before another one by its best priority, which grows by one for each minute in
// which the lane gave it nothing; then by how few slots it holds; then by how long ago it was given
// one. So runs of one priority share the slots, however few there are, a higher one has them first,
// and none waits for ever.
#include "engine/run_internal.h"
#include "base/bug.h"

// Where runs wait for the same: job slots or room of an executor, and those of a pool.
struct fl_lane {
  fl_line line;
  uint32_t executor; // 0: all those that need no slot
  uint32_t pool;     // the scheduler's, from 1; 0: none
};

// A queue of a run in the lane it waits in.
struct fl_member {
  fl_place place; // first: a line gives it back
  fl_run *run;
  fl_party *party; // NULL: it waits for nothing
  uint32_t queue;
  uint32_t lane; // of the queue, from 1; 0: not looked for yet
};

// What a family has waiting in one lane.
struct fl_party {
  fl_place place; // first
  fl_line members;
  fl_run *root;
  uint32_t lane;
  int64_t since_ms; // monotonic: nothing was given to it since then
};

static uint32_t lane_of(const fl_run *run, const fl_queue_key *key) {
  fl_scheduler *s = run->scheduler;
  bool slot = s->sites[key->executor].x.slots != FL_SLOTS_NONE;
  fl_lane wanted = {.executor = slot ? key->executor : 0,
                    .pool = key->pool ? run->pools[key->pool - 1] + 1 : 0};
  for (uint32_t i = 0; i < s->lane_count; i++)
    if (s->lanes[i].executor == wanted.executor && s->lanes[i].pool == wanted.pool) return i;
  s->lanes = fl_realloc(s->lanes, (s->lane_count + 1) * sizeof *s->lanes);
  s->lanes[s->lane_count] = wanted;
  return s->lane_count++;
}

void fl_lineup_free_lanes(fl_scheduler *s) {
  for (uint32_t i = 0; i < s->lane_count; i++) fl_line_deinit(&s->lanes[i].line);
  free(s->lanes);
}

static fl_party *party_of(fl_run *root, uint32_t lane) {
  for (uint32_t i = 0; i < root->party_count; i++)
    if (root->parties[i]->lane == lane) return root->parties[i];
  root->parties = fl_realloc(root->parties, (root->party_count + 1) * sizeof(fl_party *));
  fl_party *p = root->parties[root->party_count++] = fl_alloc_zero(1, sizeof *p);
  p->root = root;
  p->lane = lane;
  return p;
}

// What it holds of what the lane gives: of slots all that it has, of others what is not begun.
static uint32_t held_of(const fl_run *run, uint32_t lane, bool family) {
  bool slot = run->scheduler->lanes[lane].executor;
  if (FL_BUG(held_ignored)) return 0;
  if (family) return slot ? run->family_held : run->family_unstarted;
  return slot ? run->held : run->unstarted;
}

static void put_party(fl_scheduler *s, fl_party *p) {
  const fl_member *best = (const fl_member *)fl_line_first(&p->members);
  if (!best) {
    fl_line_remove(&s->lanes[p->lane].line, &p->place);
    return;
  }
  fl_rank rank = {.level = fl_rank_level((int32_t)best->place.rank.level, p->since_ms),
                  .held = held_of(p->root, p->lane, true),
                  .order = p->root->turn,
                  .within = best->place.rank.within};
  fl_line_put(&s->lanes[p->lane].line, &p->place, rank);
}

static void remove_member(fl_scheduler *s, fl_member *m) {
  fl_party *p = m->party;
  if (!p) return;
  m->party = NULL;
  fl_line_remove(&p->members, &m->place);
  put_party(s, p);
}

static void put_member(fl_scheduler *s, fl_member *m) {
  fl_run *run = m->run;
  fl_party *p = m->party;
  if (!p->members.count) p->since_ms = fl_ticks(s);
  fl_rank rank = {.level = fl_plan_get_head_priority(run->plan, m->queue),
                  .held = held_of(run, p->lane, false),
                  .order = run->order,
                  .within = fl_plan_get_head_order(run->plan, m->queue)};
  fl_line_put(&p->members, &m->place, rank);
  put_party(s, p);
}

static bool map_has_room(const fl_run *run, uint32_t map) {
  uint32_t limit = map == FL_NODE_NONE ? 0 : fl_graph_get_options(run->flow->graph, map)->map_limit;
  return !limit || run->nodes[map].items_live < limit;
}

static void refresh(fl_run *run, uint32_t queue) {
  fl_scheduler *s = run->scheduler;
  uint32_t head;
  const fl_queue_key *key = fl_plan_get_queue(run->plan, queue, &head);
  while (run->member_count <= queue) {
    run->members = fl_realloc(run->members, (run->member_count + 1) * sizeof(fl_member *));
    fl_member *m = run->members[run->member_count] = fl_alloc_zero(1, sizeof *m);
    m->run = run;
    m->queue = run->member_count++;
  }
  fl_member *m = run->members[queue];
  bool waits = head != FL_NODE_NONE && !run->stopping && !run->queued && !run->deciding &&
               !run->unknown_count && map_has_room(run, key->map);
  if (!waits) {
    remove_member(s, m);
    return;
  }
  if (!m->lane) m->lane = lane_of(run, key) + 1;
  if (!m->party) m->party = party_of(run->root, m->lane - 1);
  put_member(s, m);
  s->fill_wanted = true;
}

void fl_lineup_refresh(fl_run *run) {
  uint32_t queue;
  while (fl_plan_take_changed(run->plan, &queue)) refresh(run, queue);
}

void fl_lineup_reorder(fl_run *run) {
  fl_scheduler *s = run->scheduler;
  fl_run *root = run->root;
  if (run != root)
    for (uint32_t i = 0; i < run->member_count; i++)
      if (run->members[i]->party) put_member(s, run->members[i]);
  for (uint32_t i = 0; i < root->party_count; i++)
    if (root->parties[i]->members.count) put_party(s, root->parties[i]);
}

void fl_lineup_leave(fl_run *run) {
  for (uint32_t i = 0; i < run->member_count; i++) remove_member(run->scheduler, run->members[i]);
}

void fl_lineup_free(fl_run *run) {
  fl_lineup_leave(run);
  for (uint32_t i = 0; i < run->member_count; i++) free(run->members[i]);
  for (uint32_t i = 0; i < run->party_count; i++) {
    FL_ASSERT(!run->parties[i]->members.count); // its sub-flows ended before it
    fl_line_deinit(&run->parties[i]->members);
    free(run->parties[i]);
  }
  free(run->members);
  free(run->parties);
}

// The first of a lane that may start now as far as its pool goes; NULL: none.
static fl_party *first_that_fits(fl_scheduler *s, uint32_t lane) {
  fl_party *p = (fl_party *)fl_line_first(&s->lanes[lane].line);
  uint32_t pool = s->lanes[lane].pool;
  if (!p || !pool) return p;
  const fl_member *m = (const fl_member *)fl_line_first(&p->members);
  uint32_t head;
  fl_plan_get_queue(m->run->plan, m->queue, &head);
  return fl_slots_fit(&s->pools[pool - 1], fl_plan_get_options(m->run->plan, head)->weight) ? p
                                                                                            : NULL;
}

static bool has_slot(const fl_party *p) {
  const fl_member *m = (const fl_member *)fl_line_first(&p->members);
  return fl_slots_has(m->run, m->queue);
}

fl_run *fl_lineup_pick(fl_scheduler *s, uint32_t *queue) {
  fl_party *best = NULL;
  for (uint32_t lane = 0; lane < s->lane_count; lane++) {
    fl_party *p = first_that_fits(s, lane);
    if (!p) continue;
    // What shares no job slots waits for nobody else's.
    if (s->sites[s->lanes[lane].executor].x.slots != FL_SLOTS_JOBS) {
      if (!has_slot(p)) continue;
      best = p;
      break;
    }
    if (!best || fl_rank_goes_before(&p->place.rank, &best->place.rank)) best = p;
  }
  if (!best) return NULL;
  // Who is next and gets no slot holds back all behind it: what is claimed ahead never overtakes.
  if (!has_slot(best)) return NULL;
  const fl_member *m = (const fl_member *)fl_line_first(&best->members);
  best->since_ms = fl_ticks(s);
  best->root->turn = ++s->run_order;
  *queue = m->queue;
  return m->run;
}

bool fl_lineup_is_shared(const fl_scheduler *s) {
  for (uint32_t lane = 0; lane < s->lane_count; lane++)
    if (!s->lanes[lane].executor && s->lanes[lane].line.count > 1) return true;
  return false;
}
