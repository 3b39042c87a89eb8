// Resumes as a host sees them: done, or only planned.
#include "api/patch.h"

// What the run goes on with is stored before anything names it.
static fl_code prepare(fl_patching *p, fl_resume_spec *spec, fl_error *err) {
  fl_code rc = FL_OK;
  bool changes = p->caller ? spec->before != NULL : !p->flow->definition_store_id;
  if (changes && !p->flow->definition_store_id) // two calls of one flow share it
    rc = fl_scheduler_prepare_flow(p->engine->scheduler, p->flow, fl_script_get_snapshot(p->script),
                                   err);
  if (changes) spec->script_store_id = p->flow->script_store_id;
  for (size_t i = 0; i < p->part_count && !rc; i++)
    rc = prepare(&p->parts[i], &p->part_specs[i].spec, err);
  return rc;
}

// Where nodes ran so far, when a mended script takes them elsewhere; else NULL.
static const char *get_left_folder(const fl_patching *p) {
  if (p->script == p->before_script) return NULL;
  const char *was = fl_script_get_snapshot(p->before_script)->dir;
  return strcmp(was, fl_script_get_snapshot(p->script)->dir) ? was : NULL;
}

fl_code fl_run_resume(fl_engine *e, const char *run_id, const fl_patch *patch, fl_error *err) {
  fl_patching p;
  fl_run *run;
  fl_code rc = fl_patching_open(&p, e, run_id, patch, FL_PATCHING_RESUME, err);
  if (!rc) rc = prepare(&p, &p.spec, err);
  if (!rc && e->config.durability == FL_DURABILITY_DEFAULT && p.flow->durability)
    fl_store_set_durability(e->store, p.flow->durability);
  bool dead = rc || fl_owner_was(e, p.row.owner) || !fl_owner_is_alive(p.row.owner);
  if (!rc) rc = fl_scheduler_resume_run(e->scheduler, &p.row, dead, &p.spec, &run, err);
  const char *left = rc ? NULL : get_left_folder(&p);
  if (left)
    fl_scheduler_notice(e->scheduler, run, "nodes run in %s from now on, not in %s",
                        fl_script_get_snapshot(p.script)->dir, left);
  if (rc == FL_E_BUSY && p.spec.flow) rc = fl_owner_name_busy(e, p.row.id, err);
  const char *engine = !rc && dead ? strchr(p.row.owner, '#') : NULL;
  if (engine) fl_notify_forget(e->state_dir, engine + 1);
  e->again = true;
  fl_patching_close(&p);
  return rc;
}

fl_code fl_resume_check_proposal(fl_engine *e, const char *run_id, const char *json,
                                 fl_error *err) {
  fl_patching p;
  fl_patch patch = {.size = sizeof patch, .json = json};
  fl_code rc = fl_patching_open(&p, e, run_id, &patch, FL_PATCHING_PROPOSAL, err);
  if (!rc) rc = fl_scheduler_check_resume(e->scheduler, &p.row, &p.spec, err);
  fl_patching_close(&p);
  return rc;
}

// "call/" or "each[3]/", as a patch names what is within.
static void add_part_name(const fl_patching *p, uint32_t node, fl_buf *out) {
  const fl_graph *graph = p->flow->graph;
  uint32_t count = fl_graph_get_count(graph);
  if (node < count) {
    fl_buf_addf(out, "%s/", fl_graph_get_name(graph, node));
    return;
  }
  const fl_item_name *item = &p->item_names[node - count];
  fl_buf_addf(out, "%s[%u]/", fl_graph_get_name(graph, item->map), item->position);
}

static void tell_parts(const fl_patching *p, const char *path, fl_see_part each, void *ud) {
  for (size_t i = 0; i < p->part_count; i++) {
    const fl_patching *part = &p->parts[i];
    fl_buf name;
    if (part->row.state != FL_RUN_FAILED) continue;
    fl_buf_init(&name, 1u << 20);
    fl_buf_add_str(&name, path);
    add_part_name(p, p->part_specs[i].node, &name);
    if (part->before->has_adviser) each(ud, fl_buf_cstr(&name), &part->row, part->before);
    tell_parts(part, fl_buf_cstr(&name), each, ud);
    fl_buf_deinit(&name);
  }
}

fl_code fl_resume_each_failed_part(fl_engine *e, const char *run_id, fl_see_part each,
                                   void *each_ud, fl_error *err) {
  fl_patching p;
  fl_code rc = fl_patching_open(&p, e, run_id, NULL, FL_PATCHING_WITHIN, err);
  if (!rc) tell_parts(&p, "", each, each_ud);
  fl_patching_close(&p);
  return rc;
}

fl_code fl_resume_wanted(fl_engine *e, fl_error *err) {
  fl_wanted_resume wanted;
  while (fl_scheduler_take_wanted(e->scheduler, &wanted)) {
    fl_patch patch = {.size = sizeof patch, .proposal = wanted.proposal, .author = "the flow"};
    fl_error why;
    if (e->stopping) continue; // it can still be accepted
    if (!fl_run_resume(e, wanted.run_id, &patch, &why)) continue;
    if (fl_scheduler_is_broken(e->scheduler)) return *err = why, why.code;
    fl_scheduler_notice(e->scheduler, NULL, "proposal %u of run %s: %s", wanted.proposal,
                        wanted.run_id, why.message);
  }
  return FL_OK;
}

typedef struct planning {
  json_t *nodes, *removed;
} planning;

static void add_step(void *ud, const fl_resume_step *step) {
  static const char *const actions[] = {"keep", "run", "skip"};
  planning *plan = ud;
  if (step->removed) {
    json_array_append_new(plan->removed, json_string(step->node));
    return;
  }
  json_t *entry = json_object();
  json_object_set_new(entry, "name", json_string(step->node));
  json_object_set_new(entry, "action", json_string(actions[step->action]));
  json_object_set_new(entry, "status", json_string(fl_node_state_text(step->state)));
  json_object_set_new(entry, "reason", json_string(fl_reason_name(step->reason)));
  json_object_set_new(entry, "text", json_string(fl_reason_text(step->reason)));
  json_object_set_new(entry, "changed", json_boolean(step->changed));
  json_array_append_new(plan->nodes, entry);
}

fl_code fl_run_resume_plan(fl_engine *e, const char *run_id, const fl_patch *patch, char **json_out,
                           fl_error *err) {
  fl_patching p;
  planning plan = {.nodes = json_array(), .removed = json_array()};
  *json_out = NULL;
  fl_code rc = fl_patching_open(&p, e, run_id, patch, FL_PATCHING_PLAN, err);
  json_t *out = json_object();
  if (!rc) rc = fl_scheduler_plan_resume(e->scheduler, &p.row, &p.spec, add_step, &plan, err);
  json_object_set_new(out, "run", json_string(p.row.id));
  if (p.json) json_object_set(out, "patch", p.json);
  const char *left = rc ? NULL : get_left_folder(&p);
  if (left)
    json_object_set_new(
        out, "folder",
        json_pack("{s:s,s:s}", "from", left, "to", fl_script_get_snapshot(p.script)->dir));
  json_object_set_new(out, "nodes", plan.nodes);
  json_object_set_new(out, "removed", plan.removed);
  if (!rc) *json_out = json_dumps(out, JSON_COMPACT);
  json_decref(out);
  fl_patching_close(&p);
  return rc;
}
