// The store's content as JSON text (docs/command-line.md), for people and programs. Reading only;
// never waits for a writer. Each appends to `out`.
#pragma once
#include "store/store.h"

/// Its status for people and programs: "interrupted" where it was running and its engine is gone.
const char *fl_read_get_status(const fl_store *s, const fl_run_row *run);
/// A list of `run` objects, newest first; sub-flow runs included with "parent". See
/// fl_reader_runs().
FL_MUST fl_code fl_read_store_runs(fl_store *s, const fl_run_query *query, fl_buf *out,
                                   fl_error *err);
/// {"run":{...},"nodes":[...]}: nodes in declaration order, each map followed by its items.
FL_MUST fl_code fl_read_store_run(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err);
/// Events behind number `after` (0: from the first that is kept), in order, at most `limit`;
/// `*first` and `*last` of all that are kept, 0: none. Those of runs that were removed are left
/// out. Text is borrowed for the length of the callback; false stops. FL_E_NOT_FOUND: some behind
/// `after` are not kept any more; FL_E_USAGE: there is no such number yet.
FL_MUST fl_code fl_read_store_events(fl_store *s, uint64_t after, size_t limit, uint64_t *first,
                                     uint64_t *last, bool (*each)(void *ud, const fl_event *event),
                                     void *ud, fl_error *err);
/// {"event","seq","ts","run",...}: a line of `--json`, without its end.
void fl_read_add_event(fl_buf *out, const fl_event *event);
/// What a node is at, without its values. Text is borrowed for the length of the callback.
typedef struct fl_status_entry {
  const char *name, *type, *error, *detail; // error, detail of the reason: NULL: none
  uint32_t node, attempts;
  fl_node_state state;
  fl_reason reason;
  int64_t started_ms, ended_ms; // of the last attempt, 0: not yet
  int exit_code, signal;        // -1, 0: none
  int64_t cpu_us, rss_max_bytes;
} fl_status_entry;
/// In the order of fl_read_store_run(); `each` must not use the store; false stops.
FL_MUST fl_code fl_read_store_status(fl_store *s, const fl_run_row *run,
                                     bool (*each)(void *ud, const fl_status_entry *entry), void *ud,
                                     fl_error *err);
/// {"run":ID,"node","attempt","params","vars","inputs","outputs","vars_out","recorded","vars_by",
/// "item","checkpoint","restored","digests":{...},"attempts":[...]}: what an attempt (0: the last)
/// saw and left. FL_E_NOT_FOUND.
FL_MUST fl_code fl_read_store_context(fl_store *s, const fl_run_row *run, const char *node,
                                      uint32_t attempt, fl_buf *out, fl_error *err);
/// {"run":ID,"status":..,"nodes":[{"node","status","reason","text","detail","history":[{"at",
/// "what","attempt","reason","text","detail"}]}]}; `node` NULL: every node that has something to
/// say (waiting, skipped, omitted, failed, ran again). `what`: "started", or the state it got.
FL_MUST fl_code fl_read_store_explain(fl_store *s, const fl_run_row *run, const char *node,
                                      fl_buf *out, fl_error *err);
/// {"run":{...},"at","failed":[...],"version","nodes":[...],"queue":[...],"patches":[...],
/// "proposals":[...]}: all that is known of a run that has stopped. FL_E_STATE: it has succeeded.
FL_MUST fl_code fl_read_store_breakpoint(fl_store *s, const fl_run_row *run, fl_buf *out,
                                         fl_error *err);
/// {"flow","time","script","run","before":[],"after":[]}: see fl_read_moment(). FL_E_NOT_FOUND.
FL_MUST fl_code fl_read_store_moment(fl_store *s, const char *flow, int64_t time_ms, fl_buf *out,
                                     fl_error *err);
/// See fl_read_blame(). FL_E_NOT_FOUND: nothing ever set it.
FL_MUST fl_code fl_read_store_blame(fl_store *s, const fl_run_row *run, const char *key,
                                    fl_buf *out, fl_error *err);
/// The newest run of the same flow before `run` in which the node succeeded; fl_run_row_deinit().
/// FL_E_NOT_FOUND.
FL_MUST fl_code fl_read_store_find_before(fl_store *s, const fl_run_row *run, const char *node,
                                          fl_run_row *out, fl_error *err);
/// See fl_read_why(). `definition`: what is known of the node's definitions, as JSON; NULL: that
/// the scripts are the same, or not, has to do.
FL_MUST fl_code fl_read_store_why(fl_store *s, const fl_run_row *run, const fl_run_row *before,
                                  const char *node, const char *definition, bool defined_alike,
                                  fl_buf *out, fl_error *err);
/// See fl_read_diff(). `b` NULL: `a` against the run it repeats.
FL_MUST fl_code fl_read_store_diff(fl_store *s, const fl_run_row *a, const fl_run_row *b,
                                   bool brief, fl_buf *out, fl_error *err);
/// {"run":ID,"patches":[...]}: what its resumes changed.
FL_MUST fl_code fl_read_store_patches(fl_store *s, const fl_run_row *run, fl_buf *out,
                                      fl_error *err);
/// {"run":ID,"proposals":[...]}: what was proposed at its breakpoints, and what became of it.
FL_MUST fl_code fl_read_store_proposals(fl_store *s, const fl_run_row *run, fl_buf *out,
                                        fl_error *err);
/// While `*node` is "call/node": makes `run` the one that `call` called, the newest one, and
/// `*node` what stands behind it. NULL: nothing. FL_E_NOT_FOUND.
FL_MUST fl_code fl_read_enter(fl_store *s, fl_run_row *run, const char **node, fl_error *err);
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
