// Runs as a host sees them: start and cancel. Resolves names and texts against the flow before
// anything is written.
#include "api/engine.h"
#include "base/civil.h"
#include "base/suggest.h"
#include "calendar/rules.h"

// ------------------------------------------------------------------------------------- nodes by
// name

static fl_code find_node(const fl_flow *flow, const char *name, size_t size, uint32_t *out,
                         fl_error *err) {
  *out = fl_graph_find(flow->graph, name, size);
  if (*out != FL_NODE_NONE) return FL_OK;
  fl_suggestion near;
  fl_suggestion_init(&near, name, size);
  for (uint32_t i = 0; i < fl_graph_get_count(flow->graph); i++) {
    const char *other = fl_graph_get_name(flow->graph, i);
    fl_suggestion_try(&near, other, strlen(other));
  }
  return fl_fail(err, FL_E_USAGE, "flow '%s' has no node '%.*s'%s%s%s", flow->key, (int)size, name,
                 near.nearest ? "; did you mean '" : "", near.nearest ? near.nearest : "",
                 near.nearest ? "'?" : "");
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

/// What the options of a run come to.
typedef struct run_request {
  fl_run_options o;
  fl_engine *engine;
  fl_script *script;
  fl_flow *flow;
  fl_value *params;
  uint8_t *selected; // NULL: all
} run_request;

static void run_request_deinit(run_request *r) {
  fl_value_unref(r->params);
  free(r->selected);
}

// Of a flow with a schedule: the interval of the latest fire at or before the run's logical time.
static fl_code choose_interval(const fl_script *script, const fl_flow *flow, fl_run_options *o,
                               fl_error *err) {
  size_t count;
  const fl_script_rule *rules = fl_script_get_rules(script, flow, &count);
  if (o->interval_from_ms || o->interval_to_ms || count == 0) return FL_OK;
  const fl_rule **list = fl_alloc(count * sizeof *list);
  for (size_t i = 0; i < count; i++) list[i] = rules[i].rule;
  int64_t time_ms = o->time_ms ? o->time_ms : fl_wall_ms(), from_s, to_s;
  fl_code rc =
      fl_rules_find_interval(list, count, fl_floor_div(time_ms, 1000), &from_s, &to_s, err);
  free(list);
  if (rc) return rc == FL_E_NOT_FOUND ? FL_OK : rc;
  o->interval_from_ms = from_s * 1000;
  o->interval_to_ms = to_s * 1000;
  return FL_OK;
}

static fl_code run_request_init(run_request *r, fl_script *handle, const fl_run_options *options,
                                fl_error *err) {
  *r = (run_request){0};
  fl_run_options *o = &r->o;
  if (options) memcpy(o, options, options->size < sizeof *o ? options->size : sizeof *o);
  fl_code rc = fl_scripts_get(handle, &r->script, &r->engine, err);
  if (!rc) rc = fl_script_choose_flow(r->script, o->flow, &r->flow, err);
  if (!rc) rc = choose_interval(r->script, r->flow, o, err);
  if (!rc && o->interval_from_ms > o->interval_to_ms)
    rc = fl_fail(err, FL_E_USAGE, "the interval of the run ends before it begins");
  if (!rc)
    rc = fl_script_make_params(r->script, r->flow, o->params, o->param_count, o->params_json,
                               &r->params, err);
  if (!rc) rc = select_nodes(r->flow, o, &r->selected, err);
  if (rc) run_request_deinit(r);
  return rc;
}

fl_code fl_run_plan(fl_script *script, const fl_run_options *options, char **json_out,
                    fl_error *err) {
  run_request r;
  *json_out = NULL;
  fl_code rc = run_request_init(&r, script, options, err);
  if (rc) return rc;
  if (!r.selected) {
    uint32_t count = fl_graph_get_count(r.flow->graph);
    r.selected = fl_alloc(count + 1);
    memset(r.selected, 1, count + 1);
  }
  rc = fl_flow_draw(r.flow, "json", r.selected, json_out, err);
  run_request_deinit(&r);
  return rc;
}

static fl_code start(const run_request *r, char run_id_out[32], fl_error *err) {
  fl_engine *e = r->engine;
  fl_run *run = NULL;
  if (e->config.read_only)
    return fl_fail(err, FL_E_USAGE, "the engine was opened for reading only");
  fl_code rc = fl_engine_need_state(e, err);
  if (rc) return rc;
  fl_run_spec spec = {.flow = r->flow,
                      .snapshot = fl_script_get_snapshot(r->script),
                      .params = r->params,
                      .time_ms = r->o.time_ms,
                      .trigger = r->o.trigger,
                      .interval_from_ms = r->o.interval_from_ms,
                      .interval_to_ms = r->o.interval_to_ms,
                      .selected = r->selected};
  rc = fl_scheduler_start_run(e->scheduler, &spec, &run, err);
  if (!rc) snprintf(run_id_out, 32, "%s", fl_run_get_id(run));
  e->again = true;
  return rc;
}

fl_code fl_run_start(fl_script *script, const fl_run_options *options, char run_id_out[32],
                     fl_error *err) {
  run_request r;
  run_id_out[0] = 0;
  fl_code rc = run_request_init(&r, script, options, err);
  if (rc) return rc;
  if (!r.o.dry_run) rc = start(&r, run_id_out, err);
  run_request_deinit(&r);
  return rc;
}

// ------------------------------------------------------------------------------------- cancel

// Nobody is there to do it: take the run over; the steps that follow end what is left of it.
static fl_code cancel_orphan(fl_engine *e, const fl_run_row *row, bool kill, fl_error *err) {
  fl_code rc = fl_run_resume(e, row->id, NULL, err);
  if (rc) return rc;
  fl_run *run = fl_scheduler_find_run(e->scheduler, row->id);
  if (run) fl_scheduler_cancel_run(e->scheduler, run, kill, false);
  return fl_scheduler_unlock(e->scheduler, err);
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
    rc = fl_scheduler_unlock(e->scheduler, err);
    e->again = true;
  } else if (!fl_owner_lives(e->state_dir, row.owner)) {
    rc = cancel_orphan(e, &row, kill, err);
  } else {
    rc = fl_store_ask_cancel(store, row.row, kill ? 2 : 1, err);
    const char *engine = strchr(row.owner, '#');
    bool told = rc || (engine && fl_notify_send(e->state_dir, engine + 1));
    if (!told && fl_owner_lives(e->state_dir, row.owner))
      rc = fl_fail(err, FL_E_SYSTEM,
                   "run %s is to be cancelled, which is recorded, but its owner cannot be told, as "
                   "its socket in '%s/ctl' is gone: it obeys with the next thing it writes",
                   row.id, e->state_dir);
    else if (!told)
      rc = cancel_orphan(e, &row, kill, err); // it died meanwhile
  }
  fl_run_row_deinit(&row);
  return rc;
}
