// A run as it was and as a resume makes it, brought together: its history, what the patch names,
// its vars, and the sub-flows that are entered.
#include "engine/resume/resume_internal.h"
#include "engine/replay.h"

// ------------------------------------------------------------------------------------- names

// The node of the run that the spec has at `at`, FL_NODE_NONE: a mended script has it no more.
static uint32_t run_node(const fl_restore *r, uint32_t at) {
  if (at < r->run->graph_count) return at;
  return fl_run_find_number(r->run, r->spec->items[at - r->run->graph_count]);
}

// Whether the node is to be another than it was; its checkpoint alone moves nothing.
static bool is_moved(const fl_resume_spec *spec, uint32_t at) {
  return (spec->skip && spec->skip[at]) || (spec->rerun && spec->rerun[at]) ||
         (spec->succeed && spec->succeed[at]) || (spec->outputs && spec->outputs[at]);
}

static void enter(fl_restore *r, uint32_t node) {
  r->entered[node] = 1;
  if (node >= r->run->graph_count) r->entered[fl_plan_get_map(r->run->plan, node)] = 1;
}

// Which items are named, and what is entered for their sake and for that of what is within calls.
static void find_named(fl_restore *r) {
  uint32_t graph_count = r->run->graph_count;
  r->entered = fl_alloc_zero(r->count + 1, 1);
  r->named = fl_alloc((r->count - graph_count + 1) * sizeof *r->named);
  for (uint32_t i = graph_count; i < r->count; i++) r->named[i - graph_count] = FL_NODE_NONE;
  for (uint32_t i = 0; i < r->spec->item_count; i++) {
    uint32_t node = run_node(r, graph_count + i);
    if (node == FL_NODE_NONE) continue;
    r->named[node - graph_count] = graph_count + i;
    if (is_moved(r->spec, graph_count + i)) r->entered[fl_plan_get_map(r->run->plan, node)] = 1;
  }
  for (size_t i = 0; i < r->spec->part_count; i++) {
    uint32_t node = run_node(r, r->spec->parts[i].node);
    if (node != FL_NODE_NONE && r->spec->parts[i].asked) enter(r, node);
  }
}

// ------------------------------------------------------------------------------------- vars

// Nodes mostly share their vars: a small table by row ids spares reading them again.
typedef struct vars_slot {
  int64_t map, by;
  uint32_t epoch;
  fl_vars *vars;
} vars_slot;
#define VARS_SLOTS 1024

static fl_code apply_overlay(fl_vars **v, const fl_value *overlay, fl_error *err) {
  fl_vars *next;
  fl_code rc = fl_vars_overlay(*v, overlay, &next, err);
  if (rc) return rc;
  fl_vars_unref(*v);
  *v = next;
  return FL_OK;
}

// Replaces `*v`.
static fl_code apply_overlays(fl_restore *r, fl_vars **v, uint32_t after_epoch, fl_error *err) {
  fl_code rc = FL_OK;
  for (size_t i = 0; i < r->epoch_count && !rc; i++)
    if (r->overlays[i] && r->epochs[i].epoch > after_epoch)
      rc = apply_overlay(v, r->overlays[i], err);
  return rc || !r->spec->vars ? rc : apply_overlay(v, r->spec->vars, err);
}

fl_code fl_restore_get_patched(fl_restore *r, uint32_t epoch, fl_value **out, fl_error *err) {
  fl_vars *v = fl_vars_new(fl_value_empty_map(), fl_value_empty_map());
  fl_code rc = apply_overlays(r, &v, epoch, err);
  *out = rc || v->map == fl_value_empty_map() ? NULL : fl_value_ref(v->map);
  fl_vars_unref(v);
  return rc;
}

static fl_code load_vars(fl_restore *r, vars_slot *slots, int64_t map, int64_t by, uint32_t epoch,
                         fl_vars **out, fl_error *err) {
  vars_slot *slot = &slots[(size_t)(map * 31 + by * 7 + epoch) % VARS_SLOTS];
  fl_value *m = NULL, *b = NULL;
  if (!slot->vars || slot->map != map || slot->by != by || slot->epoch != epoch) {
    fl_code rc = fl_store_get_value(r->scheduler->store, map, &m, err);
    if (!rc) rc = fl_store_get_value(r->scheduler->store, by, &b, err);
    if (rc) return fl_value_unref(m), rc;
    fl_vars *v = fl_vars_new(m ? m : fl_value_empty_map(), b ? b : fl_value_empty_map());
    fl_vars_unref(slot->vars);
    *slot = (vars_slot){.map = map, .by = by, .epoch = epoch};
    if ((rc = apply_overlays(r, &v, epoch, err))) return fl_vars_unref(v), rc;
    slot->vars = v;
  }
  *out = fl_vars_ref(slot->vars);
  return FL_OK;
}

static fl_code restore_vars(fl_restore *r, fl_error *err) {
  fl_run *run = r->run;
  vars_slot *slots = fl_alloc_zero(VARS_SLOTS, sizeof *slots);
  fl_code rc = load_vars(r, slots, run->row.vars, 0, 0, &run->vars, err);
  const uint32_t *order = fl_graph_get_order(run->flow->graph);
  for (uint32_t i = 0; i < r->count && !rc; i++) {
    uint32_t node = i < run->graph_count ? order[i] : i;
    fl_node_past *p = &r->past[node];
    fl_node_run *n = &run->nodes[node];
    if (r->actions[node] == FL_RESUME_RUN) continue;
    if (p->state == FL_NODE_SUCCEEDED && p->vars_out)
      rc = load_vars(r, slots, p->vars_out, p->vars_by, p->epoch, &n->vars, err);
    else if (fl_run_merge_vars(run, node, true, &n->vars, err))
      n->vars = fl_vars_ref(run->vars);
  }
  for (int i = 0; i < VARS_SLOTS; i++) fl_vars_unref(slots[i].vars);
  free(slots);
  return rc;
}

// ------------------------------------------------------------------------------------- sub-flows

static fl_code open_run(fl_restore *r, fl_scheduler *s, const fl_run_row *row,
                        const fl_resume_spec *spec, char *prefix, fl_error *err);

// Those that will be entered: what is changed within them is decided, and refused, together with
// the rest.
static fl_code open_parts(fl_restore *r, fl_error *err) {
  const fl_resume_spec *spec = r->spec;
  fl_code rc = FL_OK;
  r->parts = fl_alloc_zero(spec->part_count + 1, sizeof *r->parts);
  r->part_nodes = fl_alloc_zero(spec->part_count + 1, sizeof *r->part_nodes);
  for (size_t i = 0; i < spec->part_count && !rc; i++) {
    const fl_resume_part *part = &spec->parts[i];
    uint32_t node = run_node(r, part->node);
    if (node == FL_NODE_NONE || r->actions[node] != FL_RESUME_RUN) continue;
    if (fl_restore_starts_anew(r, node)) continue;
    fl_buf prefix;
    fl_buf_init(&prefix, 1u << 20);
    fl_buf_addf(&prefix, "%s%s/", r->prefix, fl_run_get_name(r->run, node));
    r->part_nodes[r->part_count] = node;
    rc = open_run(&r->parts[r->part_count++], r->scheduler, part->row, &part->spec,
                  fl_buf_take(&prefix), err);
  }
  return rc;
}

static fl_code open_run(fl_restore *r, fl_scheduler *s, const fl_run_row *row,
                        const fl_resume_spec *spec, char *prefix, fl_error *err) {
  *r = (fl_restore){.scheduler = s,
                    .spec = spec,
                    .prefix = prefix,
                    .was_final = fl_run_state_is_final(row->state)};
  fl_run *run = r->run = fl_run_new(s, spec->flow);
  run->row = *row;
  run->row.flow = fl_strdup(row->flow);
  run->row.trigger = fl_strdup(row->trigger);
  run->row.owner = fl_strdup(s->owner);
  run->row.error = NULL;
  run->row.selection = NULL;
  run->row.origin = NULL;
  fl_run_set_parent(run, spec->parent);
  fl_code rc = FL_OK;
  if (spec->params)
    run->params = fl_value_ref(spec->params);
  else
    rc = fl_store_get_value(s->store, row->params, &run->params, err);
  if (!rc) rc = fl_restore_read(r, err);
  if (!rc) find_named(r);
  if (!rc) rc = fl_replay_open(run, err);
  if (rc) return rc;
  fl_restore_decide(r);
  rc = r->damage.code ? (*err = r->damage).code : fl_restore_find_changed(r, err);
  if (!rc) rc = restore_vars(r, err);
  return rc ? rc : open_parts(r, err);
}

fl_code fl_restore_open(fl_restore *r, fl_scheduler *s, const fl_run_row *row,
                        const fl_resume_spec *spec, fl_error *err) {
  return open_run(r, s, row, spec, fl_strdup(""), err);
}

void fl_restore_close(fl_restore *r) {
  fl_run_free(r->run);
  fl_former_deinit(&r->former);
  for (size_t i = 0; i < r->epoch_count; i++) {
    free(r->epochs[i].supervisor);
    fl_value_unref(r->overlays ? r->overlays[i] : NULL);
  }
  free(r->epochs);
  free(r->overlays);
  free(r->keeps);
  free(r->mends);
  free(r->inputs);
  free(r->past);
  free(r->actions);
  free(r->reasons);
  free(r->changed);
  free(r->named);
  free(r->entered);
  free(r->prefix);
  for (size_t i = 0; i < r->part_count; i++) fl_restore_close(&r->parts[i]);
  free(r->parts);
  free(r->part_nodes);
}
