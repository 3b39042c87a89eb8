// Resumes as a host sees them: done, or only planned.
#include "api/patch.h"

// What the run goes on with is stored before anything names it.
static fl_code prepare(fl_patching *p, fl_resume_spec *spec, fl_error *err) {
  fl_code rc = FL_OK;
  bool changes = spec->before || (!p->caller && !p->flow->definition_store_id);
  if (changes)
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

// What would be refused today of the script that it keeps.
static void tell_notices(const fl_patching *p, fl_run *run) {
  const char *line = fl_script_list_notices(p->script);
  while (*line) {
    int size = (int)strcspn(line, "\n");
    fl_run_notice(run, "%.*s", size, line);
    line += size + (line[size] == '\n');
  }
}

fl_code fl_run_resume(fl_engine *e, const char *run_id, const fl_patch *patch, fl_error *err) {
  fl_patching p;
  fl_run *run;
  fl_code rc = fl_patching_open(&p, e, run_id, patch, FL_PATCHING_RESUME, err);
  if (!rc) rc = prepare(&p, &p.spec, err);
  if (!rc) rc = fl_scheduler_resume_run(e->scheduler, &p.row, &p.spec, &run, err);
  if (!rc) rc = fl_scheduler_unlock(e->scheduler, err);
  if (!rc) tell_notices(&p, run);
  const char *left = rc ? NULL : get_left_folder(&p);
  if (left)
    fl_run_notice(run, "nodes run in %s from now on, not in %s",
                  fl_script_get_snapshot(p.script)->dir, left);
  if (rc == FL_E_BUSY && p.spec.flow) rc = fl_owner_name_busy(e, p.row.id, err);
  const char *engine = rc ? NULL : strchr(p.row.owner, '#');
  if (engine) fl_notify_forget(e->state_dir, engine + 1);
  e->again = true;
  fl_patching_close(&p);
  return rc;
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
