// What is checked at every moment: what is told is recorded and durable, what starts may start.
#include <stdio.h>
#include <string.h>
#include "engine/run_internal.h"
#include "world.h"

sim_node *sim_find_node(sim_world *w, const char *run, const char *name) {
  for (size_t i = 0; i < w->node_count; i++)
    if (!strcmp(w->nodes[i].name, name) && !strcmp(w->nodes[i].run, run)) return &w->nodes[i];
  sim_node n = {.seen_syncs = w->disk.log_syncs};
  snprintf(n.run, sizeof n.run, "%s", run);
  snprintf(n.name, sizeof n.name, "%s", name);
  SIM_PUSH(w->nodes, w->node_count, w->node_capacity, n);
  return &w->nodes[w->node_count - 1];
}

void sim_check_told_durable(sim_engine *e, const char *what) {
  sim_world *w = e->world;
  // What is written during a sync need not be on the disk for what was before it to be told. That
  // nothing told is lost is seen at each power cut.
  if (e->aside) return;
  if (w->durability == FL_DURABILITY_FULL && sim_disk_log_unsynced(&w->disk))
    sim_fail(w, "%s was told before it was durable", what);
}

static void check_owner(sim_engine *e, const char *run, const char *what) {
  sim_world *w = e->world;
  fl_run_row row;
  fl_error err;
  fl_store *s = sim_observe(w);
  if (!s || fl_store_find_run(s, run, &row, &err)) {
    sim_fail(w, "%s of a run that is not recorded", what);
    return;
  }
  if (strcmp(row.owner, e->owner) && *row.owner)
    sim_fail(w, "%s by %s, but the run belongs to %s", what, e->owner, row.owner);
  fl_run_row_deinit(&row);
}

static void see_run_end(sim_world *w, const fl_event *ev) {
  if (strcmp(ev->run_id, w->run)) return;
  if (w->cancel_asked_ms && w->now_ms - w->cancel_asked_ms > 10000 &&
      !strcmp(ev->status, "succeeded"))
    sim_fail(w, "the run succeeded %lld ms after a cancel was asked for",
             (long long)(w->now_ms - w->cancel_asked_ms));
}

void sim_on_event(void *ud, const fl_event *ev) {
  sim_engine *e = ud;
  sim_world *w = e->world;
  if (e->mount->dead || ev->kind >= FL_EVENT_NODE_PROGRESS || w->failed) return;
  sim_trace(w, "told %d %s.%u %s %s", ev->kind, ev->node ? ev->node : "run", ev->attempt,
            ev->status, ev->reason ? ev->reason : "");
  sim_check_told_durable(e, ev->node ? ev->node : "the run");
  check_owner(e, ev->run_id, ev->node ? ev->node : "an event");
  if (!w->run[0] && !strcmp(ev->flow, "main")) snprintf(w->run, sizeof w->run, "%s", ev->run_id);
  sim_fact f = {.kind = ev->kind, .number = ev->attempt, .syncs = w->disk.log_syncs};
  snprintf(f.run, sizeof f.run, "%s", ev->run_id);
  snprintf(f.node, sizeof f.node, "%s", ev->node ? ev->node : "");
  snprintf(f.status, sizeof f.status, "%s", ev->status ? ev->status : "");
  SIM_PUSH(w->facts, w->fact_count, w->fact_capacity, f);
  if (ev->kind == FL_EVENT_RUN_FINISHED) see_run_end(w, ev);
  if (ev->kind == FL_EVENT_RUN_STARTED && e->patching) w->patched_ms = w->now_ms;
  if (!ev->node) return;
  sim_node *n = sim_find_node(w, ev->run_id, ev->node);
  if (ev->kind == FL_EVENT_NODE_STARTED) {
    n->state = FL_NODE_RUNNING;
  } else if (ev->kind == FL_EVENT_NODE_RETRYING) {
    n->state = FL_NODE_RETRYING;
  } else {
    for (int s = 0; s < FL_NODE_STATE_COUNT; s++)
      if (!strcmp(ev->status, fl_node_state_text(s))) n->state = (fl_node_state)s;
    n->succeeded = n->state == FL_NODE_SUCCEEDED;
  }
}

// ------------------------------------------------------------------------------------- starts

typedef struct finding {
  uint32_t node, number;
  bool found;
} finding;

static bool see_attempt(void *ud, const fl_attempt_row *row) {
  finding *f = ud;
  f->found |= row->node == f->node && row->number == f->number && !row->end_seq;
  return !f->found;
}
static bool see_claim(void *ud, uint32_t node, uint32_t number, int64_t at_ms) {
  finding *f = ud;
  (void)at_ms;
  f->found |= node == f->node && number == f->number;
  return !f->found;
}

static void check_claim(sim_engine *e, fl_attempt *a) {
  sim_world *w = e->world;
  fl_error err;
  finding f = {.node = a->node, .number = a->number};
  fl_store *s = sim_observe(w);
  if (!s || fl_store_each_claim(s, a->run->row.row, see_claim, &f, &err) ||
      fl_store_each_attempt(s, a->run->row.row, see_attempt, &f, &err))
    sim_fail(w, "cannot read the claims");
  else if (!f.found)
    sim_fail(w, "%s.%u was started before its claim was recorded", fl_attempt_get_name(a),
             a->number);
}

static void check_parents(sim_engine *e, fl_attempt *a) {
  sim_world *w = e->world;
  const fl_graph *g = fl_run_get_flow(a->run)->graph;
  uint32_t count, node = fl_attempt_get_graph_node(a), ended = 0, good = 0;
  const uint32_t *parents = fl_graph_get_parents(g, node, &count);
  if (!count) return;
  for (uint32_t i = 0; i < count; i++) {
    sim_node *p = sim_find_node(w, fl_attempt_get_run_id(a), fl_graph_get_name(g, parents[i]));
    ended += fl_node_state_is_final(p->state);
    good += p->state == FL_NODE_SUCCEEDED ||
            (p->state == FL_NODE_FAILED && fl_graph_get_options(g, parents[i])->allow_failure);
  }
  fl_trigger trigger = fl_graph_get_options(g, node)->trigger;
  if (trigger == FL_TRIGGER_ALL_SUCCESS ? good < count
      : sim_flow_get_spec(a)->racy      ? !ended
                                        : ended < count)
    sim_fail(w, "%s.%u started with %u of %u parents done, %u well", fl_attempt_get_name(a),
             a->number, ended, count, good);
}

// What failed leaves nothing behind (process.c marks what it tries to).
static void check_seen(sim_engine *e, fl_attempt *a) {
  fl_buf inputs;
  fl_error err;
  fl_buf_init(&inputs, FL_VALUE_SIZE_MAX);
  if (fl_attempt_write_inputs(a, &inputs, &err)) sim_fail(e->world, "%s", err.message);
  if (strstr(fl_attempt_get_vars(a)->text, SIM_FAILED))
    sim_fail(e->world, "%s sees vars of an attempt that failed", fl_attempt_get_name(a));
  if (strstr(fl_buf_cstr(&inputs), SIM_FAILED))
    sim_fail(e->world, "%s sees outputs of an attempt that failed", fl_attempt_get_name(a));
  fl_buf_deinit(&inputs);
}

void sim_check_start(sim_engine *e, fl_attempt *a) {
  sim_world *w = e->world;
  const char *name = fl_attempt_get_name(a), *run = fl_attempt_get_run_id(a);
  if (w->failed) return;
  sim_trace(w, "start %s.%u by engine %d", name, a->number, e->slot);
  sim_check_told_durable(e, "a start");
  check_owner(e, run, "a start");
  check_claim(e, a);
  check_parents(e, a);
  check_seen(e, a);
  sim_node *n = sim_find_node(w, run, name);
  if (n->succeeded && !a->options->hook) sim_fail(w, "%s has succeeded and starts again", name);
  if (n->state == FL_NODE_SKIPPED && n->reason == FL_REASON_SKIP_ASKED)
    sim_fail(w, "%s was to be skipped and starts", name);
  if (!strcmp(run, w->run) && w->patched_ms && a->node < a->run->graph_count &&
      !strstr(fl_attempt_get_vars(a)->text, SIM_PATCHED))
    sim_fail(w, "%s does not see the var that the patch set", name);
}

// ------------------------------------------------------------------------------------- running

static void check_slots(sim_world *w, const sim_task *t) {
  uint32_t running = 0, used = 0, in_pool = 0;
  static const uint32_t capacity[] = {0, 1, 3};
  for (size_t i = 0; i < w->task_count; i++) {
    const sim_task *o = &w->tasks[i];
    if (o->state != SIM_RUNNING || o->engine != t->engine) continue;
    running += (o->kind == FL_KIND_PROCESS || o->kind == FL_KIND_WORKER);
    used += o->pool == t->pool ? o->weight : 0;
    in_pool += o->pool == t->pool;
  }
  if (running > w->jobs) sim_fail(w, "%u run at once, jobs are %u", running, w->jobs);
  if (t->pool && in_pool > 1 && used > capacity[t->pool])
    sim_fail(w, "pool %u of %u holds %u", t->pool, capacity[t->pool], used);
}

void sim_check_running(sim_world *w, sim_task *t) {
  if (w->failed || !t->attempt) return;
  for (size_t i = 0; i < w->task_count; i++) {
    const sim_task *o = &w->tasks[i];
    if (o == t || o->state != SIM_RUNNING || o->node != t->node || strcmp(o->run, t->run)) continue;
    // Code inside an engine that is frozen cannot be reached.
    if (o->kind != FL_KIND_PROCESS && o->engine != t->engine) continue;
    sim_fail(w, "node %u runs twice: attempts %u and %u", t->node, o->number, t->number);
  }
  sim_node *n = sim_find_node(w, t->run, fl_attempt_get_name(t->attempt));
  if (t->number <= n->last_number)
    sim_fail(w, "%s: attempt %u after attempt %u", n->name, t->number, n->last_number);
  n->last_number = t->number;
  n->last_syncs = w->disk.log_syncs;
  check_slots(w, t);
}
