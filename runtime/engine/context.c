// What a node sees, built for an attempt: run, params, vars, inputs.
#include "base/zone.h"
#include "engine/replay.h"

// Vars of a node's parents, one source each. A map's instance inherits what its map saw.
fl_code fl_run_merge_vars(fl_run *run, uint32_t node, bool lenient, fl_vars **out, fl_error *err) {
  uint32_t map = fl_plan_get_map(run->plan, node);
  if (map != FL_NODE_NONE) {
    fl_vars *seen = run->nodes[map].live ? run->nodes[map].live->vars_in : run->nodes[map].vars;
    *out = fl_vars_ref(seen ? seen : run->vars);
    return FL_OK;
  }
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(run->flow->graph, node, &count);
  fl_vars_source few[8], *sources = few;
  if (count > 8) sources = fl_alloc(count * sizeof *sources);
  size_t found = 0;
  for (uint32_t i = 0; i < count; i++)
    if (run->nodes[parents[i]].vars)
      sources[found++] = (fl_vars_source){.name = fl_run_get_name(run, parents[i]),
                                          .vars = run->nodes[parents[i]].vars};
  fl_code rc = FL_OK;
  if (!found)
    *out = fl_vars_ref(run->vars);
  else
    rc = fl_vars_merge(run->flow, node,
                       lenient ? FL_MERGE_FIRST
                               : fl_graph_get_options(run->flow->graph, node)->merge,
                       sources, found, out, err);
  if (sources != few) free(sources);
  return rc;
}

fl_value *fl_attempt_get_params(fl_attempt *a) {
  return a->params ? a->params : a->run->params;
}
fl_value *fl_attempt_get_vars(fl_attempt *a) {
  return a->vars_in->map;
}
const char *fl_attempt_get_name(fl_attempt *a) {
  return fl_run_get_name(a->run, a->node);
}
const char *fl_attempt_get_run_id(fl_attempt *a) {
  return a->run->row.id;
}

uint32_t fl_attempt_get_node_number(fl_attempt *a) {
  return fl_run_get_number(a->run, a->node);
}

uint32_t fl_attempt_get_position(fl_attempt *a) {
  return fl_plan_get_position(a->run->plan, a->node);
}

uint32_t fl_attempt_get_graph_node(fl_attempt *a) {
  uint32_t map = fl_plan_get_map(a->run->plan, a->node);
  return map == FL_NODE_NONE ? a->node : map;
}

static void add_text(fl_buf *out, const char *key, const char *text) {
  fl_buf_addf(out, "\"%s\":", key);
  fl_json_write_string(out, text, strlen(text));
}

void fl_attempt_write_run(fl_attempt *a, fl_buf *out) {
  const fl_run_row *row = &a->run->row;
  char date[FL_TIME_TEXT_SIZE];
  fl_zone_date(row->time_ms, a->run->flow->zone, date);
  fl_buf_addf(out, "{\"attempt\":%u,", a->number);
  add_text(out, "date", date);
  if (a->options->hook) { // what the flow's end is told of it
    fl_buf_add_str(out, ",\"error\":");
    if (a->run->error)
      fl_json_write_string(out, a->run->error, strlen(a->run->error));
    else
      fl_buf_add_str(out, "null");
  }
  fl_buf_add_char(out, ',');
  add_text(out, "flow", row->flow);
  fl_buf_add_char(out, ',');
  add_text(out, "id", row->id);
  fl_buf_add_str(out, ",\"interval_from\":");
  fl_json_write_number(out, (double)(row->interval_from_ms ? row->interval_from_ms : row->time_ms) /
                                1000);
  fl_buf_add_str(out, ",\"interval_to\":");
  fl_json_write_number(out,
                       (double)(row->interval_to_ms ? row->interval_to_ms : row->time_ms) / 1000);
  if (a->options->hook) {
    fl_buf_add_char(out, ',');
    add_text(out, "status", fl_run_state_text(a->run->outcome));
  }
  fl_buf_add_str(out, ",\"time\":");
  fl_json_write_number(out, (double)row->time_ms / 1000);
  fl_buf_add_char(out, ',');
  add_text(out, "trigger", row->trigger);
  fl_buf_add_char(out, ',');
  add_text(out, "version", a->run->flow->version);
  fl_buf_add_char(out, '}');
}

fl_code fl_attempt_write_inputs(fl_attempt *a, fl_buf *out, fl_error *err) {
  uint32_t count;
  const uint32_t *parents =
      fl_graph_get_parents(a->run->flow->graph, fl_attempt_get_graph_node(a), &count);
  fl_buf_add_char(out, '{');
  bool first = true;
  for (uint32_t i = 0; i < count; i++) {
    fl_error load = {0};
    bool known;
    fl_value *v = NULL;
    fl_code rc = fl_replay_get_input(a, parents[i], &known, &v, err);
    if (rc) return rc;
    if (!known) v = fl_run_get_outputs(a->run, parents[i], &load);
    if (load.code) return *err = load, load.code;
    if (!v) continue;
    if (!first) fl_buf_add_char(out, ',');
    first = false;
    const char *name = fl_run_get_name(a->run, parents[i]);
    fl_json_write_string(out, name, strlen(name));
    fl_buf_add_char(out, ':');
    fl_buf_add(out, v->text, v->size);
    fl_value_unref(v);
  }
  fl_buf_add_char(out, '}');
  if (out->failed)
    return fl_fail(err, FL_E_LIMIT, "the inputs of the node are larger than the limit");
  return FL_OK;
}

fl_code fl_attempt_write_context(fl_attempt *a, fl_buf *out, fl_error *err) {
  fl_buf_add_str(out, "{\"inputs\":");
  fl_code rc = fl_attempt_write_inputs(a, out, err);
  if (rc) return rc;
  fl_buf_add_str(out, ",\"params\":");
  fl_value *params = fl_attempt_get_params(a);
  fl_buf_add(out, params->text, params->size);
  fl_buf_add_str(out, ",\"run\":");
  fl_attempt_write_run(a, out);
  fl_buf_add_str(out, ",\"vars\":");
  fl_buf_add(out, a->vars_in->map->text, a->vars_in->map->size);
  if (a->item) {
    fl_buf_addf(out, ",\"index\":%u,\"item\":", fl_attempt_get_position(a));
    fl_buf_add(out, a->item->text, a->item->size);
  }
  fl_buf_add_char(out, '}');
  return FL_OK;
}
