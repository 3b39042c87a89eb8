// `context RUN NODE`: what an attempt saw, and what it left.
#include "store/read_internal.h"

typedef struct context {
  fl_store *store;
  fl_run_row run;
  fl_read_nodes nodes;
  const fl_read_node *node;
  fl_attempt_row attempt; // without texts
  fl_buf list;            // its attempts as JSON
  fl_buf *out;
} context;

static void add_attempt(fl_buf *out, const fl_attempt_row *a) {
  fl_buf_addf(out, "%s{\"attempt\":%u,\"status\":\"%s\",\"reason\":", out->size > 1 ? "," : "",
              a->number, fl_attempt_state_text(a->state));
  fl_read_add_text(out, a->reason ? fl_reason_name(a->reason) : NULL);
  fl_buf_add_str(out, ",\"end_reason\":");
  fl_read_add_text(out, a->end_reason ? fl_reason_name(a->end_reason) : NULL);
  fl_buf_add_str(out, ",\"started_at\":");
  fl_read_add_time(out, a->started_ms);
  fl_buf_add_str(out, ",\"ended_at\":");
  fl_read_add_time(out, a->ended_ms);
  if (a->exit_code >= 0)
    fl_buf_addf(out, ",\"exit_code\":%d", a->exit_code);
  else
    fl_buf_add_str(out, ",\"exit_code\":null");
  if (a->signal)
    fl_buf_addf(out, ",\"signal\":%d", a->signal);
  else
    fl_buf_add_str(out, ",\"signal\":null");
  fl_buf_add_str(out, ",\"error\":");
  fl_read_add_text(out, a->error);
  fl_buf_addf(out, ",\"synthetic\":%s}", a->synthetic ? "true" : "false");
}

/// Picks attempt `number` (0: the last) and lists all.
static fl_code load_attempts(context *c, uint32_t number, fl_error *err) {
  sqlite3_stmt *st;
  fl_attempt_row a;
  bool row = false, found = false;
  fl_code code = fl_store_prepare_own(c->store,
                                      "SELECT " FL_ATTEMPT_COLUMNS " FROM attempt"
                                      " WHERE run=?1 AND node=?2 ORDER BY number",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, c->run.row);
  sqlite3_bind_int64(st, 2, c->node->node);
  fl_buf_add_char(&c->list, '[');
  while (!(code = fl_store_read(c->store, st, &row, err)) && row) {
    fl_store_attempt_from(st, &a);
    add_attempt(&c->list, &a);
    if (number && a.number != number) continue;
    c->attempt = a;
    c->attempt.error = NULL;
    c->attempt.log.path = NULL;
    found = true;
  }
  fl_buf_add_char(&c->list, ']');
  sqlite3_finalize(st);
  const char *name = fl_read_text(&c->nodes, c->node->name);
  if (code || found) return code;
  if (number)
    return fl_fail(err, FL_E_NOT_FOUND, "node '%s' of run '%s' has no attempt %u", name, c->run.id,
                   number);
  return fl_fail(err, FL_E_NOT_FOUND, "node '%s' of run '%s' has not run yet", name, c->run.id);
}

/// What the run used in the attempt's epoch: a resume may have changed it since.
static fl_code find_epoch_inputs(context *c, int64_t *params, int64_t *definition, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(c->store,
                                      "SELECT params,definition FROM run_input WHERE run=?1"
                                      " AND epoch<=?2 ORDER BY epoch DESC LIMIT 1",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, c->run.row);
  sqlite3_bind_int64(st, 2, c->attempt.epoch);
  code = fl_store_read(c->store, st, &row, err);
  *params = !code && row ? sqlite3_column_int64(st, 0) : c->run.params;
  *definition = !code && row ? sqlite3_column_int64(st, 1) : c->run.definition;
  sqlite3_finalize(st);
  return code;
}

/// Outputs of what it depended on, as they were when the attempt was claimed.
static fl_code add_inputs(context *c, int64_t definition, fl_error *err) {
  sqlite3_stmt *st;
  uint32_t count = 0;
  bool row = false;
  fl_code code = fl_store_prepare_own(
      c->store,
      "SELECT p.name,(SELECT outputs FROM attempt a WHERE a.run=?1 AND a.node=p.node AND a.state=2"
      " AND coalesce(a.end_seq,a.seq)<?4 ORDER BY a.number DESC LIMIT 1) AS o,"
      " EXISTS(SELECT 1 FROM attempt a WHERE a.run=?1 AND a.node=p.node AND a.state=2"
      " AND coalesce(a.end_seq,a.seq)<?4) AS done"
      " FROM definition_node n JOIN json_each(n.parents) j"
      " JOIN definition_node p ON p.definition=?2 AND p.node=j.value"
      " WHERE n.definition=?2 AND n.node=coalesce((SELECT map_node FROM instance"
      " WHERE run=?1 AND node=?3),?3) ORDER BY j.key",
      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, c->run.row);
  sqlite3_bind_int64(st, 2, definition);
  sqlite3_bind_int64(st, 3, c->node->node);
  sqlite3_bind_int64(st, 4, c->attempt.seq);
  fl_buf_add_char(c->out, '{');
  while (!(code = fl_store_read(c->store, st, &row, err)) && row) {
    if (!sqlite3_column_int(st, 2)) continue; // skipped, or failed and allowed to
    if (count++) fl_buf_add_char(c->out, ',');
    fl_read_add_text(c->out, (const char *)sqlite3_column_text(st, 0));
    fl_buf_add_char(c->out, ':');
    code = fl_store_append_value(c->store, sqlite3_column_int64(st, 1), "null", c->out, err);
    if (code) break;
  }
  fl_buf_add_char(c->out, '}');
  sqlite3_finalize(st);
  return code;
}

static fl_code write_context(context *c, fl_error *err) {
  const fl_attempt_row *a = &c->attempt;
  fl_buf *out = c->out;
  int64_t params = 0, definition = 0;
  fl_code code = find_epoch_inputs(c, &params, &definition, err);
  if (code) return code;
  const struct {
    const char *key;
    int64_t id;
    const char *otherwise;
  } left[] = {
      {",\"outputs\":", a->outputs, "null"},   {",\"vars_out\":", a->vars_out, "null"},
      {",\"recorded\":", a->recorded, "null"}, {",\"vars_by\":", a->vars_by, "null"},
      {",\"item\":", c->node->item, "null"},
  };
  fl_buf_addf(out, "{\"run\":\"%s\",\"node\":", c->run.id);
  fl_read_add_text(out, fl_read_text(&c->nodes, c->node->name));
  fl_buf_addf(out, ",\"attempt\":%u,\"params\":", a->number);
  code = fl_store_append_value(c->store, params, "{}", out, err);
  fl_buf_add_str(out, ",\"vars\":");
  if (!code) code = fl_store_append_value(c->store, a->vars_in, "{}", out, err);
  fl_buf_add_str(out, ",\"inputs\":");
  if (!code) code = add_inputs(c, definition, err);
  for (size_t i = 0; !code && i < sizeof left / sizeof *left; i++) {
    fl_buf_add_str(out, left[i].key);
    code = fl_store_append_value(c->store, left[i].id, left[i].otherwise, out, err);
  }
  fl_buf_add_str(out, ",\"attempts\":");
  fl_buf_add(out, c->list.data, c->list.size);
  fl_buf_add_char(out, '}');
  return code;
}

fl_code fl_read_store_context(fl_store *s, const fl_run_row *run, const char *node,
                              uint32_t attempt, fl_buf *out, fl_error *err) {
  context c = {.store = s, .out = out};
  fl_buf_init(&c.list, FL_FRAME_SIZE_MAX);
  fl_code code = fl_read_begin(s, run, &c.run, err);
  if (!code) code = fl_read_nodes_load(s, &c.run, &c.nodes, err);
  if (!code) c.node = fl_read_nodes_find(&c.nodes, node);
  if (!code && !c.node) code = fl_read_fail_node(&c.run, node, err);
  if (!code && c.node) code = load_attempts(&c, attempt, err);
  if (!code && c.node) code = write_context(&c, err);
  fl_read_nodes_deinit(&c.nodes);
  fl_buf_deinit(&c.list);
  fl_read_end(s, &c.run);
  return code ? code : fl_read_finish(s, out, err);
}
