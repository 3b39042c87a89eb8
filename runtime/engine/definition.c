// Records a flow's graph once, by digest, for all of its runs to share; that of a mended run apart.
#include "engine/run.h"

static void add_to_digest(fl_digest_state *d, const char *text) {
  fl_digest_add(d, text, strlen(text) + 1);
}

// `run` NULL: of all runs, numbers are indexes.
static void digest_of(const fl_flow *flow, const fl_run *run, const fl_former *former,
                      uint8_t out[FL_DIGEST_SIZE]) {
  fl_digest_state *d = fl_digest_begin();
  const fl_graph *g = flow->graph;
  add_to_digest(d, flow->key);
  add_to_digest(d, flow->version);
  for (uint32_t i = 0; i < fl_graph_get_count(g); i++) {
    uint32_t count;
    const uint32_t *parents = fl_graph_get_parents(g, i, &count);
    add_to_digest(d, fl_graph_get_name(g, i));
    add_to_digest(d, fl_graph_get_options(g, i)->type);
    fl_digest_add(d, parents, count * sizeof *parents);
    uint32_t number = run ? fl_run_get_number(run, i) : 0;
    if (run) fl_digest_add(d, &number, sizeof number);
  }
  for (size_t i = 0; run && i < former->count; i++) {
    if (former->nodes[i].node != FL_NODE_NONE) continue;
    add_to_digest(d, former->nodes[i].name);
    fl_digest_add(d, &former->nodes[i].number, sizeof former->nodes[i].number);
  }
  fl_digest_end(d, out);
}

static fl_code add_node(fl_store *store, int64_t id, const fl_flow *flow, const fl_run *run,
                        uint32_t node, fl_buf *parents_text, fl_error *err) {
  uint32_t count;
  const fl_graph *g = flow->graph;
  const uint32_t *parents = fl_graph_get_parents(g, node, &count);
  const fl_node_options *o = fl_graph_get_options(g, node);
  fl_buf_reset(parents_text);
  fl_buf_add_char(parents_text, '[');
  for (uint32_t i = 0; i < count; i++) {
    if (i) fl_buf_add_char(parents_text, ',');
    fl_json_write_int(parents_text, run ? fl_run_get_number(run, parents[i]) : parents[i]);
  }
  fl_buf_add_char(parents_text, ']');
  fl_definition_node_row row = {.node = run ? fl_run_get_number(run, node) : node,
                                .name = fl_graph_get_name(g, node),
                                .type = o->type,
                                .parents = fl_buf_cstr(parents_text),
                                .hook = o->hook,
                                .position = node};
  return fl_store_add_definition_node(store, id, &row, err);
}

// What the run had and has no more stays known by name, for its history.
static fl_code add_removed(fl_store *store, int64_t id, const fl_former *former, fl_error *err) {
  fl_code rc = FL_OK;
  for (size_t i = 0; i < former->count && !rc; i++) {
    const fl_former_node *n = &former->nodes[i];
    if (n->node != FL_NODE_NONE) continue;
    fl_definition_node_row row = {.node = n->number,
                                  .name = n->name,
                                  .type = n->type,
                                  .parents = n->parents,
                                  .hook = n->hook,
                                  .position = n->number,
                                  .removed = true};
    rc = fl_store_add_definition_node(store, id, &row, err);
  }
  return rc;
}

static fl_code record(fl_store *store, const fl_flow *flow, int64_t script, const fl_run *run,
                      const fl_former *former, int64_t *id, fl_error *err) {
  bool existed;
  fl_buf parents;
  fl_definition_row row = {.flow = flow->key,
                           .script = script,
                           .node_count = fl_graph_get_count(flow->graph),
                           .edited = run};
  digest_of(flow, run, former, row.digest);
  fl_code rc = fl_store_put_definition(store, &row, id, &existed, err);
  if (rc || existed) return rc;
  fl_buf_init(&parents, 64u << 20);
  for (uint32_t i = 0; i < row.node_count && !rc; i++)
    rc = add_node(store, *id, flow, run, i, &parents, err);
  if (!rc && run) rc = add_removed(store, *id, former, err);
  fl_buf_deinit(&parents);
  return rc;
}

fl_code fl_flow_record(fl_store *store, fl_flow *flow, fl_error *err) {
  int64_t id;
  if (flow->definition_store_id) return FL_OK;
  fl_code rc = record(store, flow, flow->script_store_id, NULL, NULL, &id, err);
  if (!rc) flow->definition_store_id = id;
  return rc;
}

fl_code fl_run_record_definition(fl_run *run, const fl_former *former, fl_error *err) {
  const fl_flow *flow = run->flow;
  int64_t script = flow->script_store_id ? flow->script_store_id : run->row.script;
  if (!former->count) return FL_OK; // nothing can have changed
  if (!former->same)
    return record(run->scheduler->store, flow, script, run, former, &run->row.definition, err);
  if (!flow->definition_store_id) return FL_OK; // a sub-flow whose script is the same
  run->row.definition = flow->definition_store_id;
  return FL_OK;
}
