// What a node sees, built for an attempt: run, params, vars, inputs.
#include "base/zone.h"
#include "engine/replay.h"

fl_value *fl_attempt_get_params(fl_attempt *a) {
  return a->params ? a->params : a->run->params;
}
fl_value *fl_attempt_get_vars(fl_attempt *a) {
  return a->vars_in->map;
}
fl_value *fl_attempt_get_item(fl_attempt *a) {
  return a->item;
}
fl_run *fl_attempt_get_run(fl_attempt *a) {
  return a->run;
}
const fl_flow *fl_attempt_get_flow(fl_attempt *a) {
  return a->run->flow;
}
uint32_t fl_attempt_get_number(const fl_attempt *a) {
  return a->number;
}
const fl_node_options *fl_attempt_get_options(const fl_attempt *a) {
  return a->options;
}
const fl_command *fl_attempt_get_command(const fl_attempt *a) {
  return a->command;
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

// Names of the parents that were not selected: nothing of them is there.
static void add_left_out(fl_buf *out, fl_attempt *a) {
  uint32_t count, found = 0;
  const uint32_t *parents =
      fl_graph_get_parents(a->run->flow->graph, fl_attempt_get_graph_node(a), &count);
  for (uint32_t i = 0; i < count; i++) {
    if (!fl_plan_is_ignored(a->run->plan, parents[i])) continue;
    const char *name = fl_run_get_name(a->run, parents[i]);
    fl_buf_add_str(out, found++ ? "," : ",\"left_out\":[");
    fl_json_write_string(out, name, strlen(name));
  }
  if (found) fl_buf_add_char(out, ']');
}

bool fl_attempt_has_own_run(fl_attempt *a) {
  uint32_t count;
  const uint32_t *parents =
      fl_graph_get_parents(a->run->flow->graph, fl_attempt_get_graph_node(a), &count);
  for (uint32_t i = 0; i < count; i++)
    if (fl_plan_is_ignored(a->run->plan, parents[i])) return true;
  return a->options->hook != FL_HOOK_NONE;
}

// Whether node code is to find something of a parent that gave nothing.
static bool gave_nothing(const fl_run *run, uint32_t parent) {
  return run->flow->language >= 2 && fl_plan_get_state(run->plan, parent) == FL_NODE_SUCCEEDED;
}

void fl_attempt_write_run(fl_attempt *a, fl_buf *out) {
  const fl_run_row *row = &a->run->row;
  char date[FL_TIME_TEXT_SIZE];
  fl_zone_date(row->time_ms, a->run->flow->zone, date);
  fl_buf_addf(out, "{\"attempt\":%u,", a->number);
  add_text(out, "date", date);
  if (a->options->hook) {                     // what the flow's end is told of it
    bool always = a->run->flow->language < 2; // as null, which Lua takes for true
    if (a->run->error || always) fl_buf_add_str(out, ",\"error\":");
    if (a->run->error || always) fl_json_write_text(out, a->run->error);
    fl_buf_add_str(out, ",\"failed\":");
    fl_failures_write(a->run, out);
  }
  fl_buf_add_char(out, ',');
  add_text(out, "flow", row->flow);
  fl_buf_add_char(out, ',');
  add_text(out, "id", row->id);
  fl_buf_add_str(out, ",\"interval_from\":");
  fl_json_write_number(out, (double)row->interval_from_ms / 1000);
  fl_buf_add_str(out, ",\"interval_to\":");
  fl_json_write_number(out, (double)row->interval_to_ms / 1000);
  add_left_out(out, a);
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
    if (!v && !gave_nothing(a->run, parents[i])) continue;
    if (!first) fl_buf_add_char(out, ',');
    first = false;
    const char *name = fl_run_get_name(a->run, parents[i]);
    fl_json_write_string(out, name, strlen(name));
    fl_buf_add_char(out, ':');
    if (v)
      fl_buf_add(out, v->text, v->size);
    else
      fl_buf_add_str(out, "{}");
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
