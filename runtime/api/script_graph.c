// Draws and describes a flow of a script that was loaded, not run.
#include "api/draw.h"
#include "api/engine.h"

fl_code fl_flow_draw(const fl_flow *flow, const char *format, const uint8_t *selected, char **out,
                     fl_error *err) {
  fl_buf text;
  const fl_graph *g = flow->graph;
  uint32_t count = fl_graph_get_count(g);
  fl_draw_node *nodes = fl_alloc_zero(count + 1, sizeof *nodes);
  size_t drawn = 0;
  for (uint32_t i = 0; i < count; i++) {
    const fl_node_options *o = fl_graph_get_options(g, i);
    if (o->hook) continue; // hooks stand last in a graph, so the others keep their indexes
    nodes[drawn] = (fl_draw_node){.name = fl_graph_get_name(g, i), .type = o->type};
    nodes[drawn].parents = fl_graph_get_parents(g, i, &nodes[drawn].parent_count);
    if (selected) nodes[drawn].action = selected[i] ? "run" : "skip";
    drawn++;
  }
  fl_buf_init(&text, 1u << 30);
  fl_code rc = fl_draw(flow->key, nodes, drawn, format, &text, err);
  if (!rc && !(*out = fl_buf_take(&text)))
    rc = fl_fail(err, FL_E_LIMIT, "the graph is too large to draw");
  fl_buf_deinit(&text);
  free(nodes);
  return rc;
}

fl_code fl_script_graph(fl_script *handle, const char *key, const char *format, char **out,
                        fl_error *err) {
  fl_script *script;
  fl_flow *flow;
  *out = NULL;
  fl_code rc = fl_scripts_get(handle, &script, NULL, err);
  if (!rc) rc = fl_script_choose_flow(script, key, &flow, err);
  return rc ? rc : fl_flow_draw(flow, format, NULL, out, err);
}

fl_code fl_script_describe(fl_script *handle, const char *key, char **json, fl_error *err) {
  fl_script *script;
  fl_flow *flow;
  fl_value *value = NULL;
  *json = NULL;
  fl_code rc = fl_scripts_get(handle, &script, NULL, err);
  if (!rc) rc = fl_script_choose_flow(script, key, &flow, err);
  if (!rc) rc = fl_script_describe_flow(flow, &value, err);
  if (!rc) *json = fl_strndup(value->text, value->size);
  fl_value_unref(value);
  return rc;
}
