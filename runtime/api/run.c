// Runs as a host sees them: start and cancel. Resolves names and texts against the flow before
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
