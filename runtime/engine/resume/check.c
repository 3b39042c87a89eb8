// What a resume would do, node by node, and what it may not do. Changes nothing.
#include "engine/resume/resume_internal.h"

static fl_code check_live(fl_restore *r, const char *run_id, fl_error *err) {
  for (uint32_t i = 0; i < r->count; i++) {
    bool moved = r->reasons[i] == FL_REASON_RERUN_ASKED || r->reasons[i] == FL_REASON_SKIP_ASKED ||
                 r->reasons[i] == FL_REASON_SUCCEED_ASKED;
    if (moved && fl_past_is_live(&r->past[i]))
      return fl_fail(err, FL_E_STATE,
                     "node '%s%s' was running when the engine of run %s died, and may be still: "
                     "resume the run as it is, or `flowlua cancel %s` first",
                     r->prefix, fl_run_get_name(r->run, i), run_id, run_id);
  }
  return FL_OK;
}

static fl_code check_definitions(fl_restore *r, fl_error *err) {
  uint32_t changed = 0, first = FL_NODE_NONE;
  for (uint32_t i = 0; i < r->count; i++)
    if (r->reasons[i] == FL_REASON_KEPT_CHANGED && !changed++) first = i;
  if (!changed) return FL_OK;
  char more[64] = "";
  bool many = changed > 1;
  const char *name = fl_run_get_name(r->run, first), *in = r->prefix;
  if (many) snprintf(more, sizeof more, " (and %u more)", changed - 1);
  return fl_fail(err, FL_E_USAGE,
                 "node '%s%s'%s has succeeded and its definition changed: say --rerun %s%s+ to run "
                 "it and what depends on it again, or --keep %s%s to keep its result",
                 in, name, more, in, name, many ? "" : in, many ? "'*'" : name);
}

// Of a live node that a mended script has no more nobody would hear.
static bool see_removed_live(void *ud, const fl_attempt_row *row) {
  fl_restore *r = ud;
  bool live = row->state == FL_ATTEMPT_QUEUED || row->state == FL_ATTEMPT_RUNNING;
  bool gone = fl_run_find_number(r->run, row->node) == FL_NODE_NONE;
  r->lost_live = live && gone;
  return !r->lost_live;
}

static fl_code check_removed(fl_restore *r, const char *run_id, fl_error *err) {
  if (r->was_final || !r->former.count) return FL_OK;
  fl_code rc =
      fl_store_each_attempt(r->scheduler->store, r->run->row.row, see_removed_live, r, err);
  if (rc || !r->lost_live) return rc;
  return fl_fail(err, FL_E_STATE,
                 "the mended script has no more a node that was running when the engine of run %s "
                 "died, and may be still: `flowlua cancel %s` first",
                 run_id, run_id);
}

fl_code fl_restore_check(fl_restore *r, const char *run_id, bool strict, fl_error *err) {
  fl_code rc = check_live(r, run_id, err);
  if (!rc) rc = check_removed(r, run_id, err);
  if (!rc && strict) rc = check_definitions(r, err);
  for (size_t i = 0; i < r->part_count && !rc; i++)
    rc = fl_restore_check(&r->parts[i], run_id, strict, err);
  return rc;
}

// ------------------------------------------------------------------------------------- planning

// What the plan decides at once, before anything has run: what is behind a skipped node is skipped,
// too.
static void foresee(fl_restore *r) {
  fl_plan *plan = r->run->plan;
  fl_decision d;
  for (uint32_t i = 0; i < r->count; i++) {
    fl_node_state state = r->past[i].state;
    if (r->reasons[i] == FL_REASON_SUCCEED_ASKED) state = FL_NODE_SUCCEEDED;
    if (r->actions[i] == FL_RESUME_SKIP) state = FL_NODE_SKIPPED;
    if (r->actions[i] == FL_RESUME_RUN) continue;
    if (r->past[i].reason == FL_REASON_NOT_SELECTED)
      fl_plan_ignore(plan, i);
    else
      fl_plan_restore(plan, i, state);
  }
  fl_plan_begin(plan);
  while (fl_plan_take_decision(plan, &d)) {
    r->actions[d.node] = FL_RESUME_SKIP;
    r->reasons[d.node] = d.reason;
  }
}

typedef struct telling {
  void (*each)(void *ud, const fl_resume_step *step);
  void *ud;
  fl_buf name;
} telling;

static void tell_step(telling *t, const fl_restore *r, const char *name, fl_resume_step step) {
  fl_buf_reset(&t->name);
  fl_buf_addf(&t->name, "%s%s", r->prefix, name);
  step.node = fl_buf_cstr(&t->name);
  t->each(t->ud, &step);
}

// What still runs will be adopted, and does not run again.
static fl_reason reason_of(const fl_restore *r, uint32_t node) {
  bool adoptable = fl_past_is_live(&r->past[node]) &&
                   r->reasons[node] == FL_REASON_RESUME_UNFINISHED &&
                   fl_run_get_site(r->run, node)->x.outlives_engine;
  return adoptable ? FL_REASON_MAY_STILL_RUN : r->reasons[node];
}

// Every node in the order of the run, the nodes of a sub-flow that is entered behind its call.
static void tell_steps(telling *t, fl_restore *r) {
  foresee(r);
  for (uint32_t i = 0; i < r->count; i++) {
    bool in_graph = i < r->run->graph_count;
    if (in_graph && fl_graph_get_options(r->run->flow->graph, i)->hook) continue;
    tell_step(t, r, fl_run_get_name(r->run, i),
              (fl_resume_step){.action = r->actions[i],
                               .reason = reason_of(r, i),
                               .state = r->past[i].state,
                               .changed = in_graph && r->changed[i]});
    for (size_t k = 0; k < r->part_count; k++)
      if (r->part_nodes[k] == i) tell_steps(t, &r->parts[k]);
  }
  for (size_t i = 0; i < r->former.count; i++) {
    const fl_former_node *gone = &r->former.nodes[i];
    if (gone->node != FL_NODE_NONE || gone->removed || gone->hook) continue;
    tell_step(t, r, gone->name, (fl_resume_step){.removed = true});
  }
}

fl_code fl_scheduler_plan_resume(fl_scheduler *s, const fl_run_row *row, const fl_resume_spec *spec,
                                 void (*each)(void *ud, const fl_resume_step *step), void *ud,
                                 fl_error *err) {
  fl_restore r;
  telling t = {.each = each, .ud = ud};
  fl_buf_init(&t.name, 1u << 20);
  fl_code rc = fl_restore_open(&r, s, row, spec, err);
  if (!rc) rc = fl_restore_check(&r, row->id, false, err);
  if (!rc) tell_steps(&t, &r);
  fl_restore_close(&r);
  fl_buf_deinit(&t.name);
  return rc;
}

fl_code fl_scheduler_check_resume(fl_scheduler *s, const fl_run_row *row,
                                  const fl_resume_spec *spec, fl_error *err) {
  fl_restore r;
  fl_code rc = fl_restore_open(&r, s, row, spec, err);
  if (!rc) rc = fl_restore_check(&r, row->id, true, err);
  fl_restore_close(&r);
  return rc;
}
