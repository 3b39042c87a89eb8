// The store's content as JSON text of CONTRACT 4.1, for people and programs. Reading only; never
// waits for a writer. Each appends to `out`.
#pragma once
#include "store/store.h"

/// A list of `run` objects, newest first; sub-flow runs included with "parent".
FL_MUST fl_code fl_read_store_runs(fl_store *s, size_t limit, fl_buf *out, fl_error *err);
/// {"run":{...},"nodes":[...]}: nodes in declaration order, each map followed by its instances.
FL_MUST fl_code fl_read_store_run(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err);
/// {"run","node","attempt","params","vars","inputs","outputs","vars_out","recorded","attempts":[...]}
FL_MUST fl_code fl_read_store_context(fl_store *s, const fl_run_row *run, const char *node,
                                      uint32_t attempt, fl_buf *out, fl_error *err);
/// {"run":ID,"status":..,"nodes":[{"node","status","reason","text","detail","history":[{"at","what",
/// "attempt","reason","text","detail"}]}]}; `node` NULL: every node that has something to say
/// (waiting, skipped, omitted, failed, ran again).
FL_MUST fl_code fl_read_store_explain(fl_store *s, const fl_run_row *run, const char *node,
                                      fl_buf *out, fl_error *err);
/// The places of the logs of a node (NULL: all nodes), in the order the attempts were claimed.
/// `attempt` 0: the last of each node. Log places of running attempts come from the file system.
typedef struct fl_log_entry {
  const char *node;
  uint32_t node_index, number;
  bool ended;
  fl_log_place log;
} fl_log_entry;
FL_MUST fl_code fl_read_store_logs(fl_store *s, const fl_run_row *run, const char *node,
                                   uint32_t attempt,
                                   bool (*each)(void *ud, const fl_log_entry *entry), void *ud,
                                   fl_error *err);
/// Nodes and edges of a stored run for drawing: calls `each` in declaration order.
typedef struct fl_graph_entry {
  const char *name, *type, *after; // after: JSON list of indexes
  uint32_t node;
  fl_node_state state;
} fl_graph_entry;
FL_MUST fl_code fl_read_store_graph(fl_store *s, const fl_run_row *run,
                                    bool (*each)(void *ud, const fl_graph_entry *entry), void *ud,
                                    fl_error *err);
