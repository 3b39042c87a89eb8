// What the nodes of a run are at, without their values: for live views, lists and drawings.
#include "read/read_internal.h"

static fl_code each_node(fl_read_nodes *nodes, fl_read_states *states,
                         bool (*each)(void *ud, const fl_status_entry *entry), void *ud,
                         fl_error *err) {
  fl_read_order order = {0};
  fl_read_state state;
  const fl_read_node *node;
  bool more = true;
  while (more && (node = fl_read_order_next(nodes, &order))) {
    fl_code code = fl_read_state_get(states, node->node, &state, err);
    if (code) return code;
    const fl_attempt_row *a = &state.last;
    const char *detail = state.decided ? state.decision.detail : NULL;
    fl_status_entry entry = {
        .name = fl_read_text(nodes, node->name),
        .type = fl_read_text(nodes, node->type),
        .error = fl_read_state_get_error(&state),
        .detail = detail,
        .node = node->index,
        .attempts = state.attempts,
        .state = state.state,
        .reason = state.reason,
        .started_ms = state.shown ? a->started_ms : 0,
        .ended_ms = state.shown ? a->ended_ms : 0,
        .exit_code = state.shown ? a->exit_code : -1,
        .signal = state.shown ? a->signal : 0,
        .cpu_us = state.shown ? a->cpu_us : 0,
        .rss_max_bytes = state.shown ? a->rss_max_bytes : 0,
    };
    more = each(ud, &entry);
  }
  return FL_OK;
}

fl_code fl_read_store_status(fl_store *s, const fl_run_row *run,
                             bool (*each)(void *ud, const fl_status_entry *entry), void *ud,
                             fl_error *err) {
  fl_run_row fresh;
  fl_read_nodes nodes = {0};
  fl_read_states states = {0};
  fl_code code = fl_read_begin(s, run, &fresh, err);
  if (!code) code = fl_read_nodes_load(s, &fresh, &nodes, err);
  if (!code) code = fl_read_states_open(s, fresh.row, &states, err);
  if (!code) code = each_node(&nodes, &states, each, ud, err);
  fl_read_states_close(&states);
  fl_read_nodes_deinit(&nodes);
  fl_read_end(s, &fresh);
  return code;
}

fl_code fl_read_store_graph(fl_store *s, const fl_run_row *run,
                            bool (*each)(void *ud, const fl_graph_entry *entry), void *ud,
                            fl_error *err) {
  fl_run_row fresh;
  fl_read_nodes nodes = {0};
  fl_read_states states = {0};
  fl_read_state state;
  bool more = true;
  fl_code code = fl_read_begin(s, run, &fresh, err);
  if (!code) code = fl_read_nodes_load(s, &fresh, &nodes, err);
  if (!code) code = fl_read_states_open(s, fresh.row, &states, err);
  for (size_t i = 0; !code && more && i < nodes.declared; i++) {
    const fl_read_node *node = &nodes.nodes[i];
    code = fl_read_state_get(&states, node->node, &state, err);
    if (code) break;
    fl_graph_entry entry = {.name = fl_read_text(&nodes, node->name),
                            .type = fl_read_text(&nodes, node->type),
                            .after = fl_read_text(&nodes, node->parents),
                            .node = node->index,
                            .state = state.state};
    more = each(ud, &entry);
  }
  fl_read_states_close(&states);
  fl_read_nodes_deinit(&nodes);
  fl_read_end(s, &fresh);
  return code;
}
