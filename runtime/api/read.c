// The reading half of flowlua.h: finds the run that was asked for and hands out what the store
// knows.
#include "api/internal.h"

#define READ_SIZE_MAX ((size_t)1 << 30) // one answer; JSON past this is no help to anybody

typedef fl_code (*read_fn)(fl_store *s, const fl_run_row *run, const void *args, fl_buf *out,
                           fl_error *err);

// Lets `read` append the answer about run `name` (NULL: about none) and gives it to the caller.
static fl_code read_text(fl_engine *engine, const char *name, read_fn read, const void *args,
                         char **out, fl_error *err) {
  fl_store *s;
  fl_run_row run = {0};
  fl_buf text;
  *out = NULL;
  fl_buf_init(&text, READ_SIZE_MAX);
  fl_code code = fl_engine_need_store(engine, &s, err);
  if (code == FL_OK && name) code = fl_store_find_run(s, name, &run, err);
  if (code == FL_OK) code = read(s, &run, args, &text, err);
  if (code == FL_OK && !(*out = fl_buf_take(&text)))
    code = fl_fail(err, FL_E_LIMIT, "the answer is larger than %zu bytes", READ_SIZE_MAX);
  fl_buf_deinit(&text);
  fl_run_row_deinit(&run);
  return code;
}

static fl_code read_runs(fl_store *s, const fl_run_row *run, const void *args, fl_buf *out,
                         fl_error *err) {
  (void)run;
  return fl_read_store_runs(s, *(const size_t *)args, out, err);
}

fl_code fl_read_runs(fl_engine *engine, size_t limit, char **json_out, fl_error *err) {
  return read_text(engine, NULL, read_runs, &limit, json_out, err);
}

static fl_code read_run(fl_store *s, const fl_run_row *run, const void *args, fl_buf *out,
                        fl_error *err) {
  (void)args;
  return fl_read_store_run(s, run, out, err);
}

fl_code fl_read_run(fl_engine *engine, const char *run, char **json_out, fl_error *err) {
  return read_text(engine, run, read_run, NULL, json_out, err);
}

typedef struct node_args {
  const char *node;
  uint32_t attempt;
} node_args;

static fl_code read_context(fl_store *s, const fl_run_row *run, const void *args, fl_buf *out,
                            fl_error *err) {
  const node_args *a = args;
  return fl_read_store_context(s, run, a->node, a->attempt, out, err);
}

fl_code fl_read_context(fl_engine *engine, const char *run, const char *node, uint32_t attempt,
                        char **json_out, fl_error *err) {
  return read_text(engine, run, read_context, &(node_args){node, attempt}, json_out, err);
}

static fl_code read_proposals(fl_store *s, const fl_run_row *run, const void *args, fl_buf *out,
                              fl_error *err) {
  (void)args;
  return fl_read_store_proposals(s, run, out, err);
}

fl_code fl_read_proposals(fl_engine *engine, const char *run, char **json_out, fl_error *err) {
  return read_text(engine, run, read_proposals, NULL, json_out, err);
}

static fl_code read_patches(fl_store *s, const fl_run_row *run, const void *args, fl_buf *out,
                            fl_error *err) {
  (void)args;
  return fl_read_store_patches(s, run, out, err);
}

fl_code fl_read_patches(fl_engine *engine, const char *run, char **json_out, fl_error *err) {
  return read_text(engine, run, read_patches, NULL, json_out, err);
}

static fl_code read_explain(fl_store *s, const fl_run_row *run, const void *args, fl_buf *out,
                            fl_error *err) {
  return fl_read_store_explain(s, run, ((const node_args *)args)->node, out, err);
}

fl_code fl_read_explain(fl_engine *engine, const char *run, const char *node, char **json_out,
                        fl_error *err) {
  return read_text(engine, run, read_explain, &(node_args){node, 0}, json_out, err);
}

fl_code fl_run_find(fl_engine *engine, const char *run, char run_id_out[32], fl_error *err) {
  fl_run_row row = {0};
  fl_store *s;
  fl_code code = fl_engine_need_store(engine, &s, err);
  if (code == FL_OK) code = fl_store_find_run(s, run, &row, err);
  snprintf(run_id_out, FL_RUN_ID_SIZE, "%s", code == FL_OK ? row.id : "");
  fl_run_row_deinit(&row);
  return code;
}

// ------------------------------------------------------------------------------------- status

typedef struct status_reader {
  bool (*on_node)(void *ud, const fl_node_info *node);
  void *ud;
  fl_buf reason;
} status_reader;

// What brought a node where it is; of one that runs or has succeeded there is nothing to say.
static const char *reason_text(status_reader *r, const fl_status_entry *e) {
  bool quiet = e->state == FL_NODE_RUNNING && e->reason != FL_REASON_UNKILLABLE;
  if (e->reason == FL_REASON_NONE || e->state == FL_NODE_SUCCEEDED || quiet) return NULL;
  fl_buf_reset(&r->reason);
  fl_buf_add_str(&r->reason, fl_reason_text(e->reason));
  if (e->detail && e->detail != e->error) fl_buf_addf(&r->reason, " (%s)", e->detail);
  return fl_buf_cstr(&r->reason);
}

static bool tell_node(void *ud, const fl_status_entry *e) {
  status_reader *r = ud;
  fl_node_info node = {.name = e->name,
                       .type = e->type,
                       .status = fl_node_state_text(e->state),
                       .error = e->error,
                       .reason = reason_text(r, e),
                       .index = e->node,
                       .attempts = e->attempts,
                       .started_ms = e->started_ms,
                       .ended_ms = e->ended_ms,
                       .exit_code = e->exit_code,
                       .signal = e->signal};
  return r->on_node(r->ud, &node);
}

static fl_code tell_run(fl_store *s, const fl_run_row *run,
                        void (*on_run)(void *ud, const fl_run_info *run), void *ud, fl_error *err) {
  fl_value *params = NULL;
  fl_run_row then = {0};
  fl_code code = fl_store_get_value(s, run->params, &params, err);
  if (code == FL_OK && run->replay_of) {
    code = fl_store_get_run(s, run->replay_of, &then, err);
    if (code == FL_E_NOT_FOUND) code = FL_OK;
  }
  if (code != FL_OK) {
    fl_value_unref(params);
    return code;
  }
  fl_run_info info = {.id = run->id,
                      .flow = run->flow,
                      .status = fl_run_state_text(run->state),
                      .trigger = run->trigger,
                      .error = run->error,
                      .params_json = params ? params->text : "{}",
                      .time_ms = run->time_ms,
                      .created_ms = run->created_ms,
                      .started_ms = run->started_ms,
                      .ended_ms = run->ended_ms,
                      .resumes = run->resumes,
                      .replay_of = then.row ? then.id : NULL};
  fl_run_row fork = {0};
  fl_error ignored;
  json_t *origin = run->origin ? json_loads(run->origin, 0, NULL) : NULL;
  if (run->fork_of && !fl_store_get_run(s, run->fork_of, &fork, &ignored)) info.fork_of = fork.id;
  info.origin_host = json_string_value(json_object_get(origin, "host"));
  info.origin_dir = json_string_value(json_object_get(origin, "state"));
  info.exported_at = json_string_value(json_object_get(origin, "exported_at"));
  on_run(ud, &info);
  fl_run_row_deinit(&fork);
  json_decref(origin);
  fl_run_row_deinit(&then);
  fl_value_unref(params);
  return FL_OK;
}

fl_code fl_read_status(fl_engine *engine, const char *run,
                       void (*on_run)(void *ud, const fl_run_info *run),
                       bool (*on_node)(void *ud, const fl_node_info *node), void *ud,
                       fl_error *err) {
  fl_store *s;
  fl_run_row row = {0};
  status_reader reader = {.on_node = on_node, .ud = ud};
  fl_buf_init(&reader.reason, 2 * FL_ERROR_TEXT_MAX);
  fl_code code = fl_engine_need_store(engine, &s, err);
  if (code == FL_OK) code = fl_store_find_run(s, run, &row, err);
  if (code == FL_OK && on_run) code = tell_run(s, &row, on_run, ud, err);
  if (code == FL_OK && on_node) code = fl_read_store_status(s, &row, tell_node, &reader, err);
  fl_buf_deinit(&reader.reason);
  fl_run_row_deinit(&row);
  return code;
}

// ------------------------------------------------------------------------------------- retention

fl_code fl_prune(fl_engine *engine, const fl_prune_options *options, char **json_out,
                 fl_error *err) {
  fl_buf out;
  int64_t bytes = 0;
  *json_out = NULL;
  fl_buf_init(&out, READ_SIZE_MAX);
  fl_buf_add_str(&out, "{\"runs\":");
  int64_t older_than_ms = options->keep_ms < 0 ? -1 : fl_wall_ms() - options->keep_ms;
  // An age that reaches back before 1970 keeps everything.
  if (options->keep_ms >= 0 && older_than_ms < 0) older_than_ms = 0;
  fl_store *s;
  fl_code code = fl_engine_need_store(engine, &s, err);
  if (code == FL_OK)
    code = fl_store_prune(s, older_than_ms, options->size_max_bytes, options->dry_run, &out, &bytes,
                          err);
  fl_buf_addf(&out, ",\"bytes\":%lld}", (long long)bytes);
  if (code == FL_OK && !(*json_out = fl_buf_take(&out)))
    code = fl_fail(err, FL_E_LIMIT, "the answer is larger than %zu bytes", READ_SIZE_MAX);
  fl_buf_deinit(&out);
  return code;
}

const char *fl_reason_sentence(const char *reason) {
  for (int r = 0; reason && r < FL_REASON_COUNT; r++)
    if (strcmp(fl_reason_name((fl_reason)r), reason) == 0) return fl_reason_text((fl_reason)r);
  return "";
}

void fl_free(void *text) {
  free(text);
}
