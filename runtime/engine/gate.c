// max_runs: how many runs of a flow may be at work at once. Those that wait for others of this
// engine stand in line and are let in by their ends; of those in other processes only the store
// knows, so that the first in line looks there again now and then.
#include "engine/run_internal.h"

#define LOOK_AGAIN_MS 500 // at runs of other processes

struct fl_gate {
  fl_link link; // first
  char *key;
  uint32_t entered;     // runs of this engine that were let in and have not ended
  fl_run *first, *last; // those that wait, oldest first
  fl_due *look;         // when the store is looked at again; NULL: nobody has to
};

static fl_gate *find(fl_scheduler *s, const char *key) {
  for (fl_link *l = fl_table_first(&s->gates, fl_table_hash(key)); l; l = fl_table_next(l))
    if (!strcmp(((fl_gate *)l)->key, key)) return (fl_gate *)l;
  return NULL;
}

static fl_gate *open_gate(fl_scheduler *s, const char *key) {
  fl_gate *g = find(s, key);
  if (g) return g;
  g = fl_alloc_zero(1, sizeof *g);
  g->key = fl_strdup(key);
  fl_table_add(&s->gates, &g->link, fl_table_hash(key));
  return g;
}

static void free_gate(fl_scheduler *s, fl_gate *g) {
  if (g->look) fl_due_drop(s, g->look);
  fl_table_remove(&s->gates, &g->link);
  free(g->key);
  free(g);
}

static void let_next_in(fl_gate *g) {
  if (g->first) fl_run_wake(g->first);
}

typedef struct counting {
  const fl_run *run;
  uint32_t older;
  char one[FL_RUN_ID_SIZE]; // of them
} counting;

static bool count_older(void *ud, const fl_run_row *row) {
  counting *c = ud;
  const fl_scheduler *s = c->run->scheduler;
  bool older = row->row < c->run->row.row && !row->parent_run && strcmp(row->owner, s->owner) &&
               fl_store_owner_lives(s->store, row->owner);
  if (older && !c->older++) snprintf(c->one, sizeof c->one, "%s", row->id);
  return true;
}

// Once, so that whoever started it knows why nothing happens.
static void tell_wait(fl_run *run, const char *other) {
  if (run->gate_told) return;
  run->gate_told = true;
  fl_run_notice(run, "run %s is queued: flow %s has max_runs %u, and run %s is at work",
                run->row.id, run->flow->key, run->flow->run_count_max, other);
}

// The oldest run of this engine that was let in.
static const char *find_entered(const fl_run *run) {
  const fl_scheduler *s = run->scheduler;
  for (size_t i = 0; i < s->run_count; i++)
    if (s->runs[i]->gate == run->gate && !s->runs[i]->gate_waits) return s->runs[i]->row.id;
  return "another";
}

// True when those of this engine and the older ones elsewhere leave room for one more.
static bool has_room(fl_run *run, const fl_gate *g, bool *elsewhere) {
  fl_scheduler *s = run->scheduler;
  uint32_t max = run->flow->run_count_max;
  *elsewhere = false;
  if (g->entered >= max) {
    if (!run->gate_told) tell_wait(run, find_entered(run));
    return false;
  }
  counting c = {.run = run};
  fl_error err;
  if (fl_store_each_live_run(s->store, run->flow->key, count_older, &c, &err))
    return fl_scheduler_break(s, &err);
  *elsewhere = g->entered + c.older >= max;
  if (*elsewhere) tell_wait(run, c.one);
  return !*elsewhere;
}

void fl_gate_leave(fl_run *run) {
  fl_gate *g = run->gate;
  fl_scheduler *s = run->scheduler;
  if (!g) return;
  run->gate = NULL;
  if (run->gate_waits) {
    fl_run **at = &g->first, *before = NULL;
    for (; *at != run; at = &(*at)->gate_next) before = *at;
    *at = run->gate_next;
    if (g->last == run) g->last = before;
    run->gate_waits = false;
  } else {
    g->entered--;
  }
  if (g->first)
    let_next_in(g);
  else if (!g->entered)
    free_gate(s, g);
}

void fl_gate_enter(fl_run *run) {
  if (!run->flow->run_count_max || run->row.parent_run) return;
  run->gate = open_gate(run->scheduler, run->flow->key);
  run->gate->entered++;
}

bool fl_gate_admit(fl_run *run) {
  fl_scheduler *s = run->scheduler;
  bool elsewhere;
  if (!run->flow->run_count_max || run->row.parent_run) return true;
  if (!run->gate) {
    fl_gate *g = run->gate = open_gate(s, run->flow->key);
    run->gate_waits = true;
    run->gate_next = NULL;
    if (g->last)
      g->last->gate_next = run;
    else
      g->first = run;
    g->last = run;
  }
  fl_gate *g = run->gate;
  if (g->first != run) return false;
  if (has_room(run, g, &elsewhere)) {
    g->first = run->gate_next;
    if (!g->first) g->last = NULL;
    run->gate_waits = false;
    g->entered++;
    let_next_in(g);
    return true;
  }
  if (elsewhere && !g->look)
    g->look = fl_due_add(
        s, &(fl_due){.at_ms = fl_ticks(s) + LOOK_AGAIN_MS, .kind = FL_DUE_GATE, .gate = g});
  return false;
}

void fl_gate_look(fl_gate *g) {
  g->look = NULL;
  let_next_in(g);
}

void fl_gate_free_all(fl_scheduler *s) {
  FL_ASSERT(!s->gates.count); // every run has left its gate
  fl_table_deinit(&s->gates);
}
