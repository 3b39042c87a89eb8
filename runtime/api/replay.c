// Repeats a run: loads the script of then from the store, and records a run that is linked to it.
#include "api/engine.h"

// The file of today: the one that is given, else where the run's script was.
static fl_code load_current(fl_engine *e, const fl_run_row *row, const char *given, fl_script **out,
                            fl_error *err) {
  char *path = NULL;
  fl_code rc = given ? FL_OK : fl_store_get_script_path(e->store, row->script, &path, err);
  if (!rc && !given && !path)
    rc = fl_fail(err, FL_E_CORRUPT,
                 "the script that run %s used is not in the store any more, nor where it was: give "
                 "it (`flowlua replay %s --script FILE`)",
                 row->id, row->id);
  if (!rc) rc = fl_scripts_take(e->scripts, given ? given : path, NULL, NULL, out, err);
  free(path);
  return rc;
}

// The options that patches gave the nodes of then are the new run's from the start: a resume of it
// finds them as those of a patch.
static fl_code inherit_options(const fl_script *script, fl_value **out, fl_error *err) {
  const char *text = fl_script_get_overrides(script);
  json_t *overrides = text ? json_loads(text, 0, NULL) : NULL;
  json_t *inherited = json_object_get(overrides, "inherited");
  fl_code rc = FL_OK;
  *out = NULL;
  if (json_object_size(inherited)) {
    json_t *all = json_pack("{s:O}", "options", inherited);
    rc = fl_value_from_json(all, "the options that patches gave are", out, err);
    json_decref(all);
  }
  json_decref(overrides);
  return rc;
}

static fl_code start(fl_engine *e, fl_script *script, const fl_run_row *row,
                     const fl_replay_options *o, char run_id_out[32], fl_error *err) {
  fl_flow *flow = fl_script_find_flow(script, row->flow);
  fl_value *then = NULL, *params = NULL;
  fl_run *run = NULL;
  if (!flow)
    return fl_fail(err, FL_E_USAGE, "%s does not define flow '%s'", fl_script_get_path(script),
                   row->flow);
  fl_code rc = fl_store_get_value(e->store, row->params, &then, err);
  if (!rc && !then) then = fl_value_empty_map();
  if (!rc && (o->current_script || o->script))
    rc = fl_script_make_params(script, flow, NULL, 0, then->text, &params, err);
  else if (!rc)
    params = fl_value_ref(then);
  fl_value_unref(then);
  fl_value *patch = NULL;
  if (!rc) rc = inherit_options(script, &patch, err);
  if (rc) return fl_value_unref(params), rc;
  fl_run_spec spec = {.flow = flow,
                      .snapshot = fl_script_get_snapshot(script),
                      .params = params,
                      .patch = patch,
                      .time_ms = row->time_ms,
                      .trigger = "replay",
                      .replay_of = row->row,
                      .replay_live = o->live,
                      .interval_from_ms = row->interval_from_ms,
                      .interval_to_ms = row->interval_to_ms};
  rc = fl_scheduler_start_run(e->scheduler, &spec, &run, err);
  if (!rc) snprintf(run_id_out, FL_RUN_ID_SIZE, "%s", fl_run_get_id(run));
  e->again = true;
  fl_value_unref(params);
  fl_value_unref(patch);
  return rc;
}

fl_code fl_run_replay(fl_engine *e, const char *run, const fl_replay_options *options,
                      char run_id_out[32], fl_error *err) {
  fl_replay_options o = {0};
  fl_script *script = NULL;
  fl_run_row row;
  run_id_out[0] = 0;
  if (options) memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
  if (e->config.read_only)
    return fl_fail(err, FL_E_USAGE, "the engine was opened for reading only");
  fl_store *store;
  fl_code rc = fl_engine_need_store(e, &store, err);
  if (!rc) rc = fl_store_find_run(store, run, &row, err);
  if (rc) return rc;
  if (!fl_run_state_is_final(row.state))
    rc = fl_fail(err, FL_E_STATE,
                 "run %s has not ended (%s): only what is whole can be repeated; resume it, or "
                 "wait for it",
                 row.id, fl_run_state_text(row.state));
  // What it saw is to be given again: it must be what it was.
  if (!rc) rc = fl_store_check_run(store, row.row, err);
  fl_flow *flow;
  if (rc)
    ;
  else if (o.current_script || o.script)
    rc = load_current(e, &row, o.script, &script, err);
  else // as the run had it, with the options that patches gave its nodes
    rc = fl_engine_load_run(e, &row, &script, &flow, err);
  if (!rc) rc = start(e, script, &row, &o, run_id_out, err);
  if (script) fl_script_unref(script);
  fl_run_row_deinit(&row);
  return rc;
}
