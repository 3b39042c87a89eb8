// Runs as a host sees them: start, resume, cancel. Resolves names and texts against the flow before
// anything is written.
#include "api/engine.h"

// ------------------------------------------------------------------------------------- nodes by
// name

static fl_code find_node(const fl_flow *flow, const char *name, size_t size, uint32_t *out,
                         fl_error *err) {
  *out = fl_graph_find(flow->graph, name, size);
  if (*out != FL_NODE_NONE) return FL_OK;
  return fl_fail(err, FL_E_USAGE, "flow '%s' has no node '%.*s'", flow->key, (int)size, name);
}

static fl_code mark_names(const fl_flow *flow, const char *const *names, size_t count,
                          uint8_t *marks, fl_error *err) {
  for (size_t i = 0; i < count; i++) {
    size_t size = strlen(names[i]);
    bool below = size && names[i][size - 1] == '+';
    uint32_t node;
    fl_code rc = find_node(flow, names[i], size - below, &node, err);
    if (rc) return rc;
    if (below) fl_graph_mark(flow->graph, node, false, marks);
    marks[node] = 1;
  }
  return FL_OK;
}

static fl_code mark_range(const fl_flow *flow, const char *name, bool up, uint8_t *marks,
                          fl_error *err) {
  uint32_t node;
  fl_code rc = find_node(flow, name, strlen(name), &node, err);
  if (rc) return rc;
  fl_graph_mark(flow->graph, node, up, marks);
  marks[node] = 1;
  return FL_OK;
}

// --only, --from and --until together select what is in all of them.
static fl_code select_nodes(const fl_flow *flow, const fl_run_options *o, uint8_t **out,
                            fl_error *err) {
  *out = NULL;
  FL_ASSERT(flow);
  if (!o->only_count && !o->from && !o->until) return FL_OK;
  uint32_t count = fl_graph_get_count(flow->graph);
  uint8_t *all = fl_alloc_zero(count + 1, 1), *part = fl_alloc_zero(count + 1, 1);
  memset(all, 1, count);
  fl_code rc = FL_OK;
  for (int i = 0; i < 3 && !rc; i++) {
    if ((i == 0 && !o->only_count) || (i == 1 && !o->from) || (i == 2 && !o->until)) continue;
    memset(part, 0, count);
    if (i == 0)
      rc = mark_names(flow, o->only, o->only_count, part, err);
    else
      rc = mark_range(flow, i == 1 ? o->from : o->until, i == 2, part, err);
    for (uint32_t n = 0; n < count; n++) all[n] &= part[n];
  }
  free(part);
  if (rc)
    free(all);
  else
    *out = all;
  return rc;
}

// ------------------------------------------------------------------------------------- start

fl_code fl_script_choose_flow(fl_script *script, const char *key, fl_flow **out, fl_error *err) {
  size_t count = fl_script_count_flows(script), returned = fl_script_count_returned(script);
  fl_buf keys;
  fl_buf_init(&keys, 1024);
  for (size_t i = 0; i < count; i++)
    fl_buf_addf(&keys, "%s%s", i ? ", " : "", fl_script_get_flow(script, i)->key);
  *out = key             ? fl_script_find_flow(script, key)
         : returned == 1 ? fl_script_get_flow(script, 0)
                         : NULL;
  fl_code rc = FL_OK;
  if (!count)
    rc = fl_fail(err, FL_E_USAGE, "%s defines no flow", fl_script_get_path(script));
  else if (key && !*out)
    rc = fl_fail(err, FL_E_USAGE, "%s has no flow '%s'; it has: %s", fl_script_get_path(script),
                 key, fl_buf_cstr(&keys));
  else if (!*out)
    rc = fl_fail(err, FL_E_USAGE, "%s has several flows; choose one with --flow: %s",
                 fl_script_get_path(script), fl_buf_cstr(&keys));
  fl_buf_deinit(&keys);
  return rc;
}

fl_code fl_run_start(fl_script *script, const fl_run_options *options, char run_id_out[32],
                     fl_error *err) {
  fl_engine *e = fl_script_get_engine(script);
  fl_run_options o = {0};
  fl_flow *flow;
  fl_run *run = NULL;
  fl_value *params = NULL;
  uint8_t *selected = NULL;
  fl_store *store;
  run_id_out[0] = 0;
  memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
  fl_code rc = fl_script_choose_flow(script, o.flow, &flow, err);
  if (!rc)
    rc = fl_script_make_params(script, flow, o.params, o.param_count, o.params_json, &params, err);
  if (!rc) rc = select_nodes(flow, &o, &selected, err);
  if (rc || o.dry_run) goto out;
  FL_ASSERT(flow);
  if (e->config.read_only) {
    rc = fl_fail(err, FL_E_USAGE, "the engine was opened for reading only");
    goto out;
  }
  rc = fl_engine_need_store(e, &store, err);
  if (rc) goto out;
  if (e->config.durability == FL_DURABILITY_DEFAULT && flow->durability)
    fl_store_set_durability(store, flow->durability);
  rc = fl_scheduler_prepare_flow(e->scheduler, flow, fl_script_get_snapshot(script), err);
  if (rc) goto out;
  fl_run_spec spec = {.flow = flow,
                      .params = params,
                      .time_ms = o.time_ms,
                      .trigger = o.trigger,
                      .selected = selected};
  rc = fl_scheduler_start_run(e->scheduler, &spec, &run, err);
  if (!rc) snprintf(run_id_out, 32, "%s", fl_run_get_id(run));
  e->again = true;
out:
  fl_value_unref(params);
  free(selected);
  return rc;
}

// ------------------------------------------------------------------------------------- patches

typedef struct patching {
  fl_engine *engine;
  fl_script *script;
  fl_flow *flow;
  fl_run_row row;
  fl_resume_spec spec;
  uint8_t *skip, *rerun;
  fl_value **outputs;
  json_t *json; // what is kept of the patch
} patching;

// "v" as JSON when it is some, else as text.
static json_t *to_json(const char *text) {
  json_t *v = NULL;
  fl_error err;
  if (fl_json_parse(text, strlen(text), &v, &err)) return json_string(text);
  return v;
}

static fl_code split(const char *text, const char *what, char **key, const char **value,
                     fl_error *err) {
  const char *eq = strchr(text, '=');
  if (!eq || eq == text) return fl_fail(err, FL_E_USAGE, "%s: expected k=v, got '%s'", what, text);
  *key = fl_strndup(text, (size_t)(eq - text));
  *value = eq + 1;
  return FL_OK;
}

static fl_code patch_vars(patching *p, const fl_patch *patch, fl_error *err) {
  if (!patch->var_count) return FL_OK;
  json_t *vars = json_object();
  for (size_t i = 0; i < patch->var_count; i++) {
    char *key = NULL;
    const char *value;
    fl_code rc = split(patch->vars[i], "--set", &key, &value, err);
    if (rc) return json_decref(vars), rc;
    json_object_set_new(vars, key, to_json(value));
    free(key);
  }
  p->spec.vars = fl_value_from_json(vars);
  json_object_set_new(p->json, "vars", vars);
  return FL_OK;
}

typedef struct outputs_of {
  uint32_t node;
  int64_t id;
  fl_attempt_state state;
} outputs_of;

static bool see_outputs(void *ud, const fl_attempt_row *row) {
  outputs_of *o = ud;
  if (row->node == o->node) *o = (outputs_of){row->node, row->outputs, row->state};
  return true;
}

// NODE.k=v: one key of what the node gave; the rest stays.
static fl_code patch_output(patching *p, const char *text, fl_error *err) {
  char *path = NULL;
  const char *value;
  fl_code rc = split(text, "--output", &path, &value, err);
  if (rc) return rc;
  size_t dot = strlen(path);
  uint32_t node = FL_NODE_NONE;
  while (dot && node == FL_NODE_NONE) { // node names may hold dots: the longest that is one
    while (dot && path[--dot] != '.') {
    }
    if (dot) node = fl_graph_find(p->flow->graph, path, dot);
  }
  outputs_of o = {.node = node};
  fl_value *base = NULL;
  if (node == FL_NODE_NONE)
    rc = fl_fail(err, FL_E_USAGE, "--output: expected NODE.k=v, got '%s'", text);
  else
    rc = fl_store_each_attempt(p->engine->store, p->row.row, see_outputs, &o, err);
  if (!rc && o.state != FL_ATTEMPT_SUCCEEDED)
    rc = fl_fail(err, FL_E_USAGE, "--output: node '%s' has not succeeded; --skip it, or let it run",
                 fl_graph_get_name(p->flow->graph, node));
  if (!rc) rc = fl_store_get_value(p->engine->store, o.id, &base, err);
  if (!rc && p->outputs[node]) base = fl_value_ref(p->outputs[node]);
  json_t *json = !rc && base ? fl_value_to_json(base) : json_object();
  if (!rc && !json_is_object(json))
    rc = fl_fail(err, FL_E_USAGE, "--output: the outputs of '%s' are no map",
                 fl_graph_get_name(p->flow->graph, node));
  if (!rc) {
    json_object_set_new(json, path + dot + 1, to_json(value));
    fl_value_unref(p->outputs[node]);
    p->outputs[node] = fl_value_from_json(json);
  }
  fl_value_unref(base);
  json_decref(json);
  free(path);
  return rc;
}

static json_t *to_list(const char *const *names, size_t count) {
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) json_array_append_new(list, json_string(names[i]));
  return list;
}

static fl_code patch_nodes(patching *p, const fl_patch *patch, fl_error *err) {
  uint32_t count = fl_graph_get_count(p->flow->graph);
  p->skip = fl_alloc_zero(count + 1, 1);
  p->rerun = fl_alloc_zero(count + 1, 1);
  p->outputs = fl_alloc_zero(count + 1, sizeof *p->outputs);
  fl_code rc = mark_names(p->flow, patch->skip, patch->skip_count, p->skip, err);
  if (!rc) rc = mark_names(p->flow, patch->rerun, patch->rerun_count, p->rerun, err);
  for (size_t i = 0; i < patch->output_count && !rc; i++)
    rc = patch_output(p, patch->outputs[i], err);
  if (patch->skip_count)
    json_object_set_new(p->json, "skip", to_list(patch->skip, patch->skip_count));
  if (patch->rerun_count)
    json_object_set_new(p->json, "rerun", to_list(patch->rerun, patch->rerun_count));
  if (patch->output_count)
    json_object_set_new(p->json, "outputs", to_list(patch->outputs, patch->output_count));
  p->spec.skip = p->skip;
  p->spec.rerun = p->rerun;
  p->spec.outputs = p->outputs;
  return rc;
}

static fl_code patch_params(patching *p, const fl_patch *patch, fl_error *err) {
  fl_value *old = NULL;
  if (!patch->param_count) return FL_OK;
  fl_code rc = fl_store_get_value(p->engine->store, p->row.params, &old, err);
  if (!rc)
    rc = fl_script_make_params(p->script, p->flow, patch->params, patch->param_count,
                               old ? old->text : NULL, &p->spec.params, err);
  json_object_set_new(p->json, "params", to_list(patch->params, patch->param_count));
  fl_value_unref(old);
  return rc;
}

// A mended script must define the same nodes in the same order: their records go by position.
static fl_code check_same_nodes(patching *p, fl_script *before, fl_error *err) {
  fl_flow *old = fl_script_find_flow(before, p->row.flow);
  uint32_t count = fl_graph_get_count(p->flow->graph);
  bool same = old && fl_graph_get_count(old->graph) == count;
  for (uint32_t i = 0; same && i < count; i++)
    same = !strcmp(fl_graph_get_name(old->graph, i), fl_graph_get_name(p->flow->graph, i));
  if (same) return FL_OK;
  return fl_fail(err, FL_E_USAGE,
                 "%s: flow '%s' has other nodes, or in another order, than the run: a resume can "
                 "change what nodes do, not which there are",
                 fl_script_get_path(p->script), p->row.flow);
}

static fl_code load_script(patching *p, const fl_patch *patch, fl_error *err) {
  fl_snapshot snapshot = {0};
  fl_script *before = NULL;
  fl_code rc = fl_store_get_script(p->engine->store, p->row.script, &snapshot, err);
  if (!rc && !snapshot.count)
    rc = fl_fail(err, FL_E_CORRUPT, "the script of run %s is not in the store", p->row.id);
  if (!rc) {
    fl_buf path;
    fl_buf_init(&path, 8192);
    fl_buf_addf(&path, "%s/%s", snapshot.dir, snapshot.sources[0].path);
    rc = fl_engine_load(p->engine, fl_buf_cstr(&path), &snapshot, &before, err);
    fl_buf_deinit(&path);
  }
  if (!rc && patch->script)
    rc = fl_engine_load(p->engine, patch->script, NULL, &p->script, err);
  else
    p->script = before;
  if (!rc) {
    p->flow = fl_script_find_flow(p->script, p->row.flow);
    if (!p->flow)
      rc = fl_fail(err, FL_E_USAGE, "%s does not define flow '%s'", fl_script_get_path(p->script),
                   p->row.flow);
  }
  if (!rc && patch->script) rc = check_same_nodes(p, before, err);
  if (!rc && p->flow && !patch->script) {
    p->flow->script_store_id = p->row.script;
    p->flow->definition_store_id = p->row.definition;
  }
  fl_snapshot_deinit(&snapshot);
  return rc;
}

static fl_code patch_open(patching *p, fl_engine *e, const char *run_id, const fl_patch *given,
                          fl_error *err) {
  fl_patch patch = {0};
  if (given) memcpy(&patch, given, given->size < sizeof patch ? given->size : sizeof patch);
  *p = (patching){.engine = e};
  fl_store *store;
  fl_code rc = fl_engine_need_store(e, &store, err);
  if (!rc) rc = fl_store_find_run(store, run_id, &p->row, err);
  if (rc) return rc;
  p->json = json_object();
  bool held = fl_scheduler_find_run(e->scheduler, p->row.id) || fl_owner_holds(&p->row);
  if (p->row.parent_run)
    rc = fl_fail(err, FL_E_STATE, "run %s is part of another run: resume that one", p->row.id);
  else if (p->row.state == FL_RUN_SUCCEEDED && !patch.rerun_count && !patch.output_count)
    rc = fl_fail(err, FL_E_STATE, "run %s has succeeded: nothing to resume", p->row.id);
  else if (held)
    rc = fl_owner_fail_busy(e, &p->row, err);
  if (!rc) rc = load_script(p, &patch, err);
  if (!rc) rc = patch_vars(p, &patch, err);
  if (!rc) rc = patch_nodes(p, &patch, err);
  if (!rc) rc = patch_params(p, &patch, err);
  if (rc) return rc;
  p->spec.flow = p->flow;
  p->spec.reason = patch.reason;
  if (patch.script) json_object_set_new(p->json, "script", json_string(p->flow->version));
  if (json_object_size(p->json)) p->spec.patch = fl_value_from_json(p->json);
  return FL_OK;
}

static void patch_close(patching *p) {
  uint32_t count = p->flow ? fl_graph_get_count(p->flow->graph) : 0;
  for (uint32_t i = 0; p->outputs && i < count; i++) fl_value_unref(p->outputs[i]);
  fl_value_unref(p->spec.params);
  fl_value_unref(p->spec.vars);
  fl_value_unref(p->spec.patch);
  json_decref(p->json);
  fl_run_row_deinit(&p->row);
  free(p->skip);
  free(p->rerun);
  free(p->outputs);
}

fl_code fl_run_resume(fl_engine *e, const char *run_id, const fl_patch *patch, fl_error *err) {
  patching p;
  fl_run *run;
  fl_code rc = patch_open(&p, e, run_id, patch, err);
  if (!rc && p.script && !p.flow->definition_store_id) {
    rc = fl_scheduler_prepare_flow(e->scheduler, p.flow, fl_script_get_snapshot(p.script), err);
    p.spec.script_store_id = p.flow->script_store_id;
  }
  if (!rc && e->config.durability == FL_DURABILITY_DEFAULT && p.flow->durability)
    fl_store_set_durability(e->store, p.flow->durability);
  bool dead = rc || !fl_owner_is_alive(p.row.owner);
  if (!rc) rc = fl_scheduler_resume_run(e->scheduler, &p.row, dead, &p.spec, &run, err);
  if (rc == FL_E_BUSY && p.spec.flow) rc = fl_owner_name_busy(e, p.row.id, err);
  const char *engine = !rc && dead ? strchr(p.row.owner, '#') : NULL;
  if (engine) fl_notify_forget(e->state_dir, engine + 1);
  e->again = true;
  patch_close(&p);
  return rc;
}

static void add_step(void *ud, const fl_resume_step *step) {
  static const char *const actions[] = {"keep", "run", "skip"};
  json_t *entry = json_object();
  json_object_set_new(entry, "name", json_string(step->node));
  json_object_set_new(entry, "action", json_string(actions[step->action]));
  json_object_set_new(entry, "status", json_string(fl_node_state_text(step->state)));
  json_object_set_new(entry, "reason", json_string(fl_reason_name(step->reason)));
  json_object_set_new(entry, "text", json_string(fl_reason_text(step->reason)));
  json_array_append_new(ud, entry);
}

fl_code fl_run_resume_plan(fl_engine *e, const char *run_id, const fl_patch *patch, char **json_out,
                           fl_error *err) {
  patching p;
  *json_out = NULL;
  fl_code rc = patch_open(&p, e, run_id, patch, err);
  json_t *out = json_object(), *nodes = json_array();
  if (!rc) rc = fl_scheduler_plan_resume(e->scheduler, &p.row, &p.spec, add_step, nodes, err);
  json_object_set_new(out, "run", json_string(p.row.id));
  json_object_set_new(out, "nodes", nodes);
  if (!rc) *json_out = json_dumps(out, JSON_COMPACT);
  json_decref(out);
  patch_close(&p);
  return rc;
}

// ------------------------------------------------------------------------------------- cancel

// Nobody is there to do it: take the run over, end what is left of it, record that.
static fl_code cancel_orphan(fl_engine *e, const fl_run_row *row, bool kill, fl_error *err) {
  fl_code rc = fl_run_resume(e, row->id, NULL, err);
  if (rc) return rc;
  fl_run *run = fl_scheduler_find_run(e->scheduler, row->id);
  if (run) fl_scheduler_cancel_run(e->scheduler, run, kill, false);
  return fl_wait(e, row->id, NULL, err);
}

fl_code fl_run_cancel(fl_engine *e, const char *run_id, bool kill, fl_error *err) {
  fl_run_row row;
  fl_store *store;
  fl_code rc = fl_engine_need_store(e, &store, err);
  if (!rc) rc = fl_store_find_run(store, run_id, &row, err);
  if (rc) return rc;
  fl_run *mine = fl_scheduler_find_run(e->scheduler, row.id);
  if (fl_run_state_is_final(row.state)) {
    rc = fl_fail(err, FL_E_STATE, "run %s has ended already: %s", row.id,
                 fl_run_state_text(row.state));
  } else if (mine) {
    fl_scheduler_cancel_run(e->scheduler, mine, kill, false);
    e->again = true;
  } else if (!fl_owner_is_alive(row.owner)) {
    rc = cancel_orphan(e, &row, kill, err);
  } else {
    rc = fl_store_ask_cancel(store, row.row, kill ? 2 : 1, err);
    const char *engine = strchr(row.owner, '#');
    if (!rc && engine) fl_notify_send(e->state_dir, engine + 1); // else its next renewal sees it
  }
  fl_run_row_deinit(&row);
  return rc;
}
