// The reading half of flowlua.h: finds the run that was asked for and hands out what the store
// knows.
#include "api/engine.h"
#include "base/suggest.h"

typedef fl_code (*read_fn)(fl_store *s, fl_run_row *run, const void *args, fl_buf *out,
                           fl_error *err);

// Lets `read` append the answer about run `name` (NULL: about none) and gives it to the caller.
static fl_code read_text(fl_reader *reader, const char *name, read_fn read, const void *args,
                         char **out, fl_error *err) {
  fl_run_row run = {0};
  fl_buf text;
  *out = NULL;
  fl_buf_init(&text, FL_ANSWER_SIZE_MAX);
  fl_code code = name ? fl_store_find_run(reader->store, name, &run, err) : FL_OK;
  if (code == FL_OK) code = read(reader->store, &run, args, &text, err);
  fl_run_row_deinit(&run);
  return fl_answer_take(&text, code, out, err);
}

static fl_code read_runs(fl_store *s, fl_run_row *run, const void *args, fl_buf *out,
                         fl_error *err) {
  (void)run;
  return fl_read_store_runs(s, args, out, err);
}

fl_code fl_reader_runs(fl_reader *reader, const fl_run_query *query, char **json_out,
                       fl_error *err) {
  fl_run_query q = {.size = sizeof q};
  *json_out = NULL;
  if (query && query->size < offsetof(fl_run_query, limit) + sizeof query->limit)
    return fl_fail(err, FL_E_USAGE, "fl_run_query.size is %zu: set it to sizeof(fl_run_query)",
                   query->size);
  if (query) memcpy(&q, query, query->size < sizeof q ? query->size : sizeof q);
  return read_text(reader, NULL, read_runs, &q, json_out, err);
}

static fl_code read_run(fl_store *s, fl_run_row *run, const void *args, fl_buf *out,
                        fl_error *err) {
  (void)args;
  return fl_read_store_run(s, run, out, err);
}

fl_code fl_reader_run(fl_reader *reader, const char *run, char **json_out, fl_error *err) {
  return read_text(reader, run, read_run, NULL, json_out, err);
}

typedef struct node_args {
  const char *node;
  uint32_t attempt;
} node_args;

static fl_code read_context(fl_store *s, fl_run_row *run, const void *args, fl_buf *out,
                            fl_error *err) {
  const node_args *a = args;
  const char *node = a->node;
  fl_code code = fl_read_enter(s, run, &node, err);
  return code ? code : fl_read_store_context(s, run, node, a->attempt, out, err);
}

fl_code fl_reader_context(fl_reader *reader, const char *run, const char *node, uint32_t attempt,
                          char **json_out, fl_error *err) {
  return read_text(reader, run, read_context, &(node_args){node, attempt}, json_out, err);
}

static fl_code read_proposals(fl_store *s, fl_run_row *run, const void *args, fl_buf *out,
                              fl_error *err) {
  (void)args;
  return fl_read_store_proposals(s, run, out, err);
}

fl_code fl_reader_proposals(fl_reader *reader, const char *run, char **json_out, fl_error *err) {
  return read_text(reader, run, read_proposals, NULL, json_out, err);
}

static fl_code read_patches(fl_store *s, fl_run_row *run, const void *args, fl_buf *out,
                            fl_error *err) {
  (void)args;
  return fl_read_store_patches(s, run, out, err);
}

fl_code fl_reader_patches(fl_reader *reader, const char *run, char **json_out, fl_error *err) {
  return read_text(reader, run, read_patches, NULL, json_out, err);
}

static fl_code read_explain(fl_store *s, fl_run_row *run, const void *args, fl_buf *out,
                            fl_error *err) {
  const char *node = ((const node_args *)args)->node;
  fl_code code = fl_read_enter(s, run, &node, err);
  return code ? code : fl_read_store_explain(s, run, node, out, err);
}

fl_code fl_reader_explain(fl_reader *reader, const char *run, const char *node, char **json_out,
                          fl_error *err) {
  return read_text(reader, run, read_explain, &(node_args){node, 0}, json_out, err);
}

fl_code fl_reader_find_run(fl_reader *reader, const char *run, char run_id_out[32], fl_error *err) {
  fl_run_row row = {0};
  fl_code code = fl_store_find_run(reader->store, run, &row, err);
  snprintf(run_id_out, FL_RUN_ID_SIZE, "%s", code == FL_OK ? row.id : "");
  fl_run_row_deinit(&row);
  return code;
}

fl_code fl_reader_enter(fl_reader *reader, const char *run, const char **node, char run_id_out[32],
                        fl_error *err) {
  fl_run_row row = {0};
  fl_code code = fl_store_find_run(reader->store, run, &row, err);
  if (!code) code = fl_read_enter(reader->store, &row, node, err);
  snprintf(run_id_out, FL_RUN_ID_SIZE, "%s", code == FL_OK ? row.id : "");
  fl_run_row_deinit(&row);
  return code;
}

// ------------------------------------------------------------------------------------- events

char *fl_event_to_json(const fl_event *event) {
  fl_buf text;
  fl_buf_init(&text, FL_ANSWER_SIZE_MAX);
  fl_read_add_event(&text, event);
  char *json = fl_buf_take(&text);
  fl_buf_deinit(&text);
  return json;
}

typedef struct event_list {
  fl_buf *out;
  size_t count;
  uint64_t next;
} event_list;

static bool add_event(void *ud, const fl_event *event) {
  event_list *l = ud;
  if (l->count++) fl_buf_add_char(l->out, ',');
  fl_read_add_event(l->out, event);
  l->next = event->seq;
  return !l->out->failed;
}

typedef struct event_args {
  uint64_t after;
  size_t limit;
} event_args;

static fl_code read_events(fl_store *s, fl_run_row *run, const void *args, fl_buf *out,
                           fl_error *err) {
  const event_args *a = args;
  event_list list = {.out = out};
  uint64_t first, last;
  (void)run;
  fl_buf_add_str(out, "{\"events\":[");
  fl_code code = fl_read_store_events(s, a->after, a->limit, &first, &last, add_event, &list, err);
  // Behind what was given out, or, when that was all, behind everything.
  uint64_t next = list.count < a->limit ? last : a->limit ? list.next : a->after;
  fl_buf_addf(out, "],\"next\":%llu,\"first\":%llu,\"last\":%llu}", (unsigned long long)next,
              (unsigned long long)first, (unsigned long long)last);
  return code;
}

fl_code fl_reader_changes(fl_reader *reader, uint64_t after, size_t limit, char **json_out,
                          fl_error *err) {
  return read_text(reader, NULL, read_events, &(event_args){after, limit}, json_out, err);
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
                       .signal = e->signal,
                       .cpu_ms = e->cpu_us / 1000,
                       .max_rss_bytes = e->rss_max_bytes};
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
                      .status = fl_read_get_status(s, run),
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

fl_code fl_reader_status(fl_reader *reader, const char *run,
                         void (*on_run)(void *ud, const fl_run_info *run),
                         bool (*on_node)(void *ud, const fl_node_info *node), void *ud,
                         fl_error *err) {
  fl_store *s = reader->store;
  fl_run_row row = {0};
  status_reader status = {.on_node = on_node, .ud = ud};
  fl_buf_init(&status.reason, 2 * FL_ERROR_TEXT_MAX);
  fl_code code = fl_store_find_run(s, run, &row, err);
  if (code == FL_OK && on_run) code = tell_run(s, &row, on_run, ud, err);
  if (code == FL_OK && on_node) code = fl_read_store_status(s, &row, tell_node, &status, err);
  fl_buf_deinit(&status.reason);
  fl_run_row_deinit(&row);
  return code;
}

const char *fl_suggest(const char *word, const char *const *names, size_t count) {
  fl_suggestion s;
  fl_suggestion_init(&s, word, strlen(word));
  for (size_t i = 0; i < count; i++) fl_suggestion_try(&s, names[i], strlen(names[i]));
  return s.nearest;
}

const char *fl_status_name(size_t i, bool *is_final) {
  if (i >= FL_NODE_STATE_COUNT) return NULL;
  if (is_final) *is_final = fl_node_state_is_final((fl_node_state)i);
  return fl_node_state_text((fl_node_state)i);
}
