// Draws a flow of a script that was loaded, not run.
#include "api/engine.h"

fl_code fl_script_graph(fl_script *script, const char *key, const char *format, char **out,
                        fl_error *err) {
  fl_flow *flow;
  fl_buf text;
  *out = NULL;
  fl_code rc = fl_script_choose_flow(script, key, &flow, err);
  if (rc) return rc;
  const fl_graph *g = flow->graph;
  uint32_t count = fl_graph_get_count(g);
  fl_draw_node *nodes = fl_alloc_zero(count + 1, sizeof *nodes);
  size_t drawn = 0;
  for (uint32_t i = 0; i < count; i++) {
    const fl_node_options *o = fl_graph_get_options(g, i);
    if (o->hook) continue; // hooks stand last in a graph, so the others keep their indexes
    nodes[drawn] = (fl_draw_node){.name = fl_graph_get_name(g, i), .type = o->type};
    nodes[drawn].parents = fl_graph_get_parents(g, i, &nodes[drawn].parent_count);
    drawn++;
  }
  fl_buf_init(&text, 1u << 30);
  rc = fl_draw(flow->key, nodes, drawn, format, &text, err);
  if (!rc && !(*out = fl_buf_take(&text)))
    rc = fl_fail(err, FL_E_LIMIT, "the graph is too large to draw");
  fl_buf_deinit(&text);
  free(nodes);
  return rc;
}
