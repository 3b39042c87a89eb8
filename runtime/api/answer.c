// What those who have an engine ask, answered by a reader of the engine's own.
#include "api/engine.h"

// What a call within a step has written is committed for it: the rest of the turn follows.
fl_code fl_engine_get_reader(fl_engine *e, fl_reader **out, fl_error *err) {
  fl_store *own;
  *out = &e->reader;
  fl_code code = fl_engine_need_store(e, &own, err);
  if (!code) code = fl_scheduler_show(e->scheduler, err);
  if (code || e->reader.store) return code;
  if (!e->config.read_only) return fl_reader_connect(e->state_dir, &e->reader.store, err);
  e->reader.store = own;
  return FL_OK;
}

void fl_engine_close_reader(fl_engine *e) {
  if (e->reader.store != e->store) fl_store_close(e->reader.store);
  e->reader.store = NULL;
}

// Asks `e`'s own reader what a reader is asked: a long answer keeps no commit waiting.
#define ASK(e, call)                                                                               \
  do {                                                                                             \
    fl_reader *reader;                                                                             \
    fl_code code = fl_engine_get_reader(e, &reader, err);                                          \
    return code ? code : (call);                                                                   \
  } while (0)

fl_code fl_read_runs(fl_engine *e, size_t limit, char **json_out, fl_error *err) {
  fl_run_query query = {.size = sizeof query, .limit = limit};
  return fl_read_query(e, &query, json_out, err);
}

fl_code fl_read_query(fl_engine *e, const fl_run_query *query, char **json_out, fl_error *err) {
  *json_out = NULL;
  ASK(e, fl_reader_runs(reader, query, json_out, err));
}

fl_code fl_read_run(fl_engine *e, const char *run, char **json_out, fl_error *err) {
  *json_out = NULL;
  ASK(e, fl_reader_run(reader, run, json_out, err));
}

fl_code fl_read_changes(fl_engine *e, uint64_t after, size_t limit, char **json_out,
                        fl_error *err) {
  *json_out = NULL;
  ASK(e, fl_reader_changes(reader, after, limit, json_out, err));
}

fl_code fl_read_context(fl_engine *e, const char *run, const char *node, uint32_t attempt,
                        char **json_out, fl_error *err) {
  *json_out = NULL;
  ASK(e, fl_reader_context(reader, run, node, attempt, json_out, err));
}

fl_code fl_read_explain(fl_engine *e, const char *run, const char *node, char **json_out,
                        fl_error *err) {
  *json_out = NULL;
  ASK(e, fl_reader_explain(reader, run, node, json_out, err));
}

fl_code fl_read_breakpoint(fl_engine *e, const char *run, char **json_out, fl_error *err) {
  *json_out = NULL;
  ASK(e, fl_reader_breakpoint(reader, run, json_out, err));
}

fl_code fl_read_proposals(fl_engine *e, const char *run, char **json_out, fl_error *err) {
  *json_out = NULL;
  ASK(e, fl_reader_proposals(reader, run, json_out, err));
}

fl_code fl_read_patches(fl_engine *e, const char *run, char **json_out, fl_error *err) {
  *json_out = NULL;
  ASK(e, fl_reader_patches(reader, run, json_out, err));
}

fl_code fl_read_moment(fl_engine *e, const char *flow, int64_t time_ms, char **json_out,
                       fl_error *err) {
  *json_out = NULL;
  ASK(e, fl_reader_moment(reader, flow, time_ms, json_out, err));
}

fl_code fl_read_diff(fl_engine *e, const char *run_a, const char *run_b, bool brief,
                     char **json_out, fl_error *err) {
  *json_out = NULL;
  ASK(e, fl_reader_diff(reader, run_a, run_b, brief, json_out, err));
}

fl_code fl_read_blame(fl_engine *e, const char *run, const char *key, char **json_out,
                      fl_error *err) {
  *json_out = NULL;
  ASK(e, fl_reader_blame(reader, run, key, json_out, err));
}

fl_code fl_read_status(fl_engine *e, const char *run,
                       void (*on_run)(void *ud, const fl_run_info *run),
                       bool (*on_node)(void *ud, const fl_node_info *node), void *ud,
                       fl_error *err) {
  ASK(e, fl_reader_status(reader, run, on_run, on_node, ud, err));
}

fl_code fl_run_find(fl_engine *e, const char *run, char run_id_out[32], fl_error *err) {
  fl_reader own = {0};
  run_id_out[0] = '\0';
  fl_code code = fl_engine_need_store(e, &own.store, err); // one row: it needs no other connection
  return code ? code : fl_reader_find_run(&own, run, run_id_out, err);
}

fl_code fl_run_enter(fl_engine *e, const char *run, const char **node, char run_id_out[32],
                     fl_error *err) {
  run_id_out[0] = '\0';
  ASK(e, fl_reader_enter(reader, run, node, run_id_out, err));
}

fl_code fl_read_graph(fl_engine *e, const char *run, const char *format, char **out,
                      fl_error *err) {
  *out = NULL;
  ASK(e, fl_reader_graph(reader, run, format, out, err));
}

fl_code fl_read_logs(fl_engine *e, const char *run, const fl_log_options *options,
                     int64_t *position, void (*write)(void *ud, const char *data, size_t size),
                     void *ud, fl_error *err) {
  ASK(e, fl_reader_logs(reader, run, options, position, write, ud, err));
}
