// Records a flow's graph once, by digest, for all of its runs to share; that of a mended run apart.
#include "engine/run_internal.h"

static void add_to_digest(fl_digest_state *d, const char *text) {
  fl_digest_add(d, text, strlen(text) + 1);
}

// `run` NULL: of all runs, numbers are indexes.
static void add_node_to_digest(fl_digest_state *d, const fl_flow *flow, const fl_run *run,
                               uint32_t node) {
  uint32_t count;
  const uint32_t *parents = fl_graph_get_parents(flow->graph, node, &count);
  add_to_digest(d, fl_graph_get_name(flow->graph, node));
  add_to_digest(d, fl_graph_get_options(flow->graph, node)->type);
  fl_digest_add(d, parents, count * sizeof *parents);
  uint32_t number = run ? fl_run_get_number(run, node) : 0;
  if (run) fl_digest_add(d, &number, sizeof number);
}

static fl_digest_state *begin_digest(const fl_flow *flow) {
  fl_digest_state *d = fl_digest_begin();
  add_to_digest(d, flow->key);
  add_to_digest(d, flow->version);
  return d;
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
  const fl_node_options *items = fl_graph_get_inner(g, node), *needs = items ? items : o;
  const fl_flow_pool *pool = needs->pool ? &flow->pools[needs->pool - 1] : NULL;
  fl_definition_node_row row = {.node = run ? fl_run_get_number(run, node) : node,
                                .name = fl_graph_get_name(g, node),
                                .type = o->type,
                                .parents = fl_buf_cstr(parents_text),
                                .hook = o->hook,
                                .position = node,
                                .known = true,
                                .slot =
                                    needs->kind == FL_KIND_PROCESS || needs->kind == FL_KIND_WORKER,
                                .pool = pool ? pool->name : NULL,
                                .weight = needs->weight,
                                .capacity = pool ? pool->capacity : 0};
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

// ------------------------------------------------------------------------------------- in portions

#define PORTION 64 // nodes, before the clock is looked at

/// A flow whose graph is being recorded, for all of its runs that wait for that.
struct fl_recording {
  fl_recording *next;
  const fl_flow *flow;
  fl_digest_state *digest;
  int64_t id;  // of the definition that nodes were added to
  uint32_t at; // the next node: to be digested, then to be added
};

static fl_recording *find_recording(fl_scheduler *s, const fl_flow *flow) {
  fl_recording *r = s->recordings;
  while (r && r->flow != flow) r = r->next;
  if (r) return r;
  r = fl_alloc_zero(1, sizeof *r);
  r->flow = flow;
  r->next = s->recordings;
  return s->recordings = r;
}

static void drop_recording(fl_scheduler *s, fl_recording *r) {
  fl_recording **at = &s->recordings;
  uint8_t unused[FL_DIGEST_SIZE];
  while (*at != r) at = &(*at)->next;
  *at = r->next;
  if (r->digest) fl_digest_end(r->digest, unused);
  free(r);
}

void fl_scheduler_drop_recordings(fl_scheduler *s) {
  while (s->recordings) drop_recording(s, s->recordings);
}

// One portion of work; *at is the node behind it.
static uint32_t take_portion(const fl_flow *flow, uint32_t at) {
  uint32_t count = fl_graph_get_count(flow->graph);
  return count - at > PORTION ? at + PORTION : count;
}

static bool digest_some(fl_scheduler *s, fl_flow *flow, fl_recording *r, bool whole) {
  if (!r->digest) r->digest = begin_digest(flow);
  while (r->at < fl_graph_get_count(flow->graph)) {
    for (uint32_t end = take_portion(flow, r->at); r->at < end; r->at++)
      add_node_to_digest(r->digest, flow, NULL, r->at);
    if (!whole && fl_scheduler_is_out_of_time(s)) return false;
  }
  fl_digest_end(r->digest, flow->definition_digest);
  r->digest = NULL;
  r->at = 0;
  return flow->has_digest = true;
}

// Looked up each time: a remembered id may have been swept since, also between two portions.
// Whoever finds one that is not whole yet, for its engine has died or is at it, may go on with it:
// what it holds follows from its digest.
static fl_code add_some(fl_scheduler *s, fl_flow *flow, fl_recording *r, bool whole, bool *done,
                        fl_error *err) {
  bool existed;
  fl_buf parents;
  fl_definition_row row = {.flow = flow->key,
                           .script = flow->script_store_id,
                           .node_count = fl_graph_get_count(flow->graph)};
  memcpy(row.digest, flow->definition_digest, FL_DIGEST_SIZE);
  fl_code rc = fl_store_put_definition(s->store, &row, &flow->definition_store_id, &existed, err);
  *done = existed;
  if (rc || existed) return rc;
  if (r->id != flow->definition_store_id) r->at = 0;
  r->id = flow->definition_store_id;
  fl_buf_init(&parents, 64u << 20);
  while (!rc && r->at < row.node_count) {
    for (uint32_t end = take_portion(flow, r->at); r->at < end && !rc; r->at++)
      rc = add_node(s->store, r->id, flow, NULL, r->at, &parents, err);
    if (!whole && fl_scheduler_is_out_of_time(s)) break;
  }
  fl_buf_deinit(&parents);
  *done = r->at == row.node_count;
  return rc || !*done ? rc : fl_store_end_definition(s->store, r->id, row.node_count, err);
}

fl_code fl_flow_record_some(fl_scheduler *s, fl_flow *flow, fl_snapshot *snapshot, bool whole,
                            bool *done, fl_error *err) {
  *done = false;
  if (!fl_scheduler_begin(s)) return *err = s->error, s->error.code;
  fl_recording *r = find_recording(s, flow);
  fl_code rc = FL_OK;
  if (!flow->has_digest && !digest_some(s, flow, r, whole)) return FL_OK;
  if (snapshot) rc = fl_store_put_script(s->store, snapshot, err);
  if (!rc && snapshot) flow->script_store_id = snapshot->store_id;
  if (!rc) rc = add_some(s, flow, r, whole, done, err);
  if (*done || rc) drop_recording(s, r);
  return rc;
}

// ------------------------------------------------------------------------------------- mended runs

static fl_code record_mended(fl_run *run, const fl_former *former, int64_t script, fl_error *err) {
  bool existed;
  fl_buf parents;
  fl_store *store = run->scheduler->store;
  int64_t *id = &run->row.definition;
  fl_definition_row row = {.flow = run->flow->key,
                           .script = script,
                           .node_count = fl_graph_get_count(run->flow->graph),
                           .edited = true};
  fl_digest_state *d = begin_digest(run->flow);
  for (uint32_t i = 0; i < row.node_count; i++) add_node_to_digest(d, run->flow, run, i);
  for (size_t i = 0; i < former->count; i++) {
    if (former->nodes[i].node != FL_NODE_NONE) continue;
    add_to_digest(d, former->nodes[i].name);
    fl_digest_add(d, &former->nodes[i].number, sizeof former->nodes[i].number);
  }
  fl_digest_end(d, row.digest);
  fl_code rc = fl_store_put_definition(store, &row, id, &existed, err);
  if (rc || existed) return rc;
  fl_buf_init(&parents, 64u << 20);
  for (uint32_t i = 0; i < row.node_count && !rc; i++)
    rc = add_node(store, *id, run->flow, run, i, &parents, err);
  if (!rc) rc = add_removed(store, *id, former, err);
  if (!rc) rc = fl_store_end_definition(store, *id, row.node_count, err);
  fl_buf_deinit(&parents);
  return rc;
}

fl_code fl_run_record_definition(fl_run *run, const fl_former *former, fl_error *err) {
  const fl_flow *flow = run->flow;
  int64_t script = flow->script_store_id ? flow->script_store_id : run->row.script;
  if (!former->count) return FL_OK; // nothing can have changed
  if (!former->same) return record_mended(run, former, script, err);
  if (!flow->definition_store_id) return FL_OK; // a sub-flow whose script is the same
  run->row.definition = flow->definition_store_id;
  return FL_OK;
}
