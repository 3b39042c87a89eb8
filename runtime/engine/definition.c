// Records a flow's graph once, by digest, for all of its runs to share.
#include "engine/run.h"

static void digest_of(const fl_flow *flow, uint8_t out[FL_DIGEST_SIZE]) {
  fl_digest_state *d = fl_digest_begin();
  const fl_graph *g = flow->graph;
  fl_digest_add(d, flow->key, strlen(flow->key) + 1);
  fl_digest_add(d, flow->version, strlen(flow->version) + 1);
  for (uint32_t i = 0; i < fl_graph_get_count(g); i++) {
    uint32_t count;
    const uint32_t *parents = fl_graph_get_parents(g, i, &count);
    const char *name = fl_graph_get_name(g, i), *type = fl_graph_get_options(g, i)->type;
    fl_digest_add(d, name, strlen(name) + 1);
    fl_digest_add(d, type, strlen(type) + 1);
    fl_digest_add(d, parents, count * sizeof *parents);
  }
  fl_digest_end(d, out);
}

static fl_code add_node(fl_store *store, int64_t id, const fl_graph *g, uint32_t node,
                        fl_buf *after, fl_error *err) {
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(g, node, &count);
  const fl_node_options *o = fl_graph_get_options(g, node);
  fl_buf_reset(after);
  fl_buf_add_char(after, '[');
  for (uint32_t i = 0; i < count; i++) {
    if (i) fl_buf_add_char(after, ',');
    fl_json_write_int(after, parents[i]);
  }
  fl_buf_add_char(after, ']');
  return fl_store_add_definition_node(store, id, node, fl_graph_get_name(g, node), o->type,
                                      fl_buf_cstr(after), o->hook, err);
}

fl_code fl_flow_record(fl_store *store, fl_flow *flow, fl_error *err) {
  if (flow->definition_store_id) return FL_OK;
  uint8_t digest[FL_DIGEST_SIZE];
  bool existed;
  fl_buf after;
  int64_t id;
  digest_of(flow, digest);
  uint32_t count = fl_graph_get_count(flow->graph);
  fl_code rc = fl_store_put_definition(store, flow->key, flow->script_store_id, digest, count, &id,
                                       &existed, err);
  if (rc) return rc;
  fl_buf_init(&after, 64u << 20);
  for (uint32_t i = 0; i < count && !existed && !rc; i++)
    rc = add_node(store, id, flow->graph, i, &after, err);
  fl_buf_deinit(&after);
  if (!rc) flow->definition_store_id = id;
  return rc;
}
