// `context RUN NODE`: what every attempt saw, and what it left, by digest; of one also the values.
#include "read/side_internal.h"

/// The node's newest checkpoint.
typedef struct saved {
  bool found;
  uint32_t number; // the attempt that saved it, 0: a patch did
  uint32_t epoch;  // of that patch, 0: which one is not known
  fl_buf text;
} saved;

typedef struct context {
  fl_store *store;
  fl_read_side side;
  const fl_read_node *node;
  fl_attempt_row attempt; // the one that is shown; without texts
  saved checkpoint;
  fl_buf list; // its attempts as JSON
  fl_buf *out;
} context;

/// Whether a patch gave the node this checkpoint: by its name then, which may be another's now.
static bool gave_checkpoint(const context *c, const fl_buf *patch, bool *named) {
  json_t *json = NULL;
  fl_buf text;
  fl_error err;
  const char *name = fl_read_side_get_name(&c->side, c->node);
  if (fl_json_parse(patch->data, patch->size, &json, &err)) return *named = true, false;
  const json_t *given = json_object_get(json_object_get(json, "checkpoints"), name);
  *named = given != NULL;
  fl_buf_init(&text, FL_VALUE_SIZE_MAX + 1);
  if (given) fl_json_write(&text, given);
  bool same = given && text.size == c->checkpoint.text.size &&
              !memcmp(text.data, c->checkpoint.text.data, text.size);
  fl_buf_deinit(&text);
  json_decref(json);
  return same;
}

/// Of a checkpoint that was given by hand: since which epoch it is there.
static fl_code find_patch(context *c, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false, named = false;
  fl_buf patch;
  fl_code code = fl_store_prepare_own(c->store,
                                      "SELECT epoch,patch FROM epoch WHERE run=?1"
                                      " AND patch IS NOT NULL ORDER BY epoch DESC",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, c->side.run.row);
  fl_buf_init(&patch, FL_VALUE_SIZE_MAX + 1);
  while (!named && !(code = fl_store_read(c->store, st, &row, err)) && row) {
    fl_buf_reset(&patch);
    code = fl_store_append_value(c->store, sqlite3_column_int64(st, 1), "{}", &patch, err);
    if (code) break;
    if (gave_checkpoint(c, &patch, &named))
      c->checkpoint.epoch = (uint32_t)sqlite3_column_int64(st, 0);
  }
  fl_buf_deinit(&patch);
  sqlite3_finalize(st);
  return code;
}

/// Each checkpoint takes the place of the one before, and one that is dropped is gone: what is
/// there now has been there for every attempt since it was saved. What it replaced is not kept.
static bool got_back(const context *c, const fl_attempt_row *a) {
  const saved *k = &c->checkpoint;
  if (!k->found || a->synthetic) return false;
  return k->number ? a->number > k->number : k->epoch && a->epoch >= k->epoch;
}

static fl_code load_checkpoint(context *c, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(c->store,
                                      "SELECT number," FL_CHECKPOINT_COLUMNS " FROM checkpoint"
                                      " WHERE run=?1 AND node=?2",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, c->side.run.row);
  sqlite3_bind_int64(st, 2, c->node->node);
  code = fl_store_read(c->store, st, &row, err);
  if (!code && row) {
    c->checkpoint.found = true;
    c->checkpoint.number = (uint32_t)sqlite3_column_int64(st, 0);
    code = fl_store_append_checkpoint(c->store, st, 1, &c->checkpoint.text, err);
  }
  sqlite3_finalize(st);
  return !code && row && !c->checkpoint.number ? find_patch(c, err) : code;
}

// -------------------------------------------------------------------------------- inputs

/// Calls `add` with each input of an attempt. The parents are those of the script it ran in.
static fl_code each_input(context *c, const fl_attempt_row *a,
                          fl_code (*add)(fl_store *s, int64_t id, fl_buf *out, fl_error *err),
                          fl_buf *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  size_t count = 0;
  const fl_input_row *used = fl_read_results_get_input(&c->side.results, a->epoch);
  fl_read_source source = fl_read_side_get_source(&c->side, c->node, a->seq, a->epoch);
  fl_code code =
      fl_store_prepare_own(c->store,
                           "SELECT p.node,p.name FROM definition_node n JOIN json_each(n.parents) j"
                           " JOIN definition_node p ON p.definition=?2 AND p.node=j.value"
                           " WHERE n.definition=?2 AND n.node=coalesce((SELECT map_node FROM item"
                           " WHERE run=?1 AND node=?3),?3) ORDER BY j.key",
                           &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, c->side.run.row);
  sqlite3_bind_int64(st, 2, used ? used->definition : c->side.run.definition);
  sqlite3_bind_int64(st, 3, c->node->node);
  fl_buf_add_char(out, '{');
  while (!(code = fl_store_read(c->store, st, &row, err)) && row) {
    fl_read_input input = {.name = (const char *)sqlite3_column_text(st, 1)};
    fl_read_side_find_input(&c->side, (uint32_t)sqlite3_column_int64(st, 0), a->seq, &source,
                            &input);
    if (!input.given) continue; // skipped, or failed and allowed to
    if (count++) fl_buf_add_char(out, ',');
    fl_json_write_text(out, input.name);
    fl_buf_add_char(out, ':');
    code = add(c->store, input.outputs, out, err);
    if (code) break;
  }
  fl_buf_add_char(out, '}');
  sqlite3_finalize(st);
  return code;
}

static fl_code add_value(fl_store *s, int64_t id, fl_buf *out, fl_error *err) {
  return fl_store_append_value(s, id, "null", out, err);
}

// -------------------------------------------------------------------------------- attempts

static void add_checkpoint_digest(const context *c, const char *key, bool shown, fl_buf *out) {
  uint8_t digest[FL_DIGEST_SIZE];
  char hex[2 * FL_DIGEST_SIZE + 1];
  fl_buf_add_str(out, key);
  if (!shown) {
    fl_buf_add_str(out, "null");
    return;
  }
  fl_digest(c->checkpoint.text.data, c->checkpoint.text.size, digest);
  fl_digest_hex(digest, hex);
  fl_buf_addf(out, "\"sha256:%s\"", hex);
}

static fl_code add_digests(context *c, const fl_attempt_row *a, fl_buf *out, fl_error *err) {
  const struct {
    const char *key;
    int64_t id;
  } values[] = {
      {"{\"params\":", fl_read_side_get_params(&c->side, c->node, a->seq, a->epoch)},
      {",\"vars\":", a->vars_in},
      {",\"item\":", a->item ? a->item : c->node->item},
      {",\"outputs\":", a->outputs},
      {",\"vars_out\":", a->vars_out},
      {",\"recorded\":", a->recorded},
  };
  fl_code code = FL_OK;
  for (size_t i = 0; i < sizeof values / sizeof *values && !code; i++) {
    fl_buf_add_str(out, values[i].key);
    code = fl_read_add_digest(c->store, values[i].id, out, err);
  }
  fl_buf_add_str(out, ",\"inputs\":");
  if (!code) code = each_input(c, a, fl_read_add_digest, out, err);
  add_checkpoint_digest(c, ",\"checkpoint\":", c->checkpoint.number == a->number, out);
  add_checkpoint_digest(c, ",\"restored\":", got_back(c, a), out);
  fl_buf_add_char(out, '}');
  return code;
}

static fl_code add_attempt(context *c, const fl_attempt_row *a, fl_error *err) {
  fl_buf *out = &c->list;
  fl_buf_addf(out, "%s{\"attempt\":%u,\"epoch\":%u,\"status\":\"%s\",\"reason\":",
              out->size > 1 ? "," : "", a->number, a->epoch, fl_attempt_state_text(a->state));
  fl_json_write_text(out, a->reason ? fl_reason_name(a->reason) : NULL);
  fl_buf_add_str(out, ",\"end_reason\":");
  fl_json_write_text(out, a->end_reason ? fl_reason_name(a->end_reason) : NULL);
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
  fl_json_write_text(out, a->error);
  fl_buf_addf(out, ",\"synthetic\":%s,\"digests\":", a->synthetic ? "true" : "false");
  fl_code code = add_digests(c, a, out, err);
  fl_buf_add_char(out, '}');
  return code;
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
  sqlite3_bind_int64(st, 1, c->side.run.row);
  sqlite3_bind_int64(st, 2, c->node->node);
  fl_buf_add_char(&c->list, '[');
  while (!(code = fl_store_read(c->store, st, &row, err)) && row) {
    fl_store_attempt_from(st, &a);
    code = add_attempt(c, &a, err);
    if (code) break;
    if (number && a.number != number) continue;
    c->attempt = a;
    c->attempt.error = NULL;
    c->attempt.log.path = NULL;
    found = true;
  }
  fl_buf_add_char(&c->list, ']');
  sqlite3_finalize(st);
  const char *name = fl_read_side_get_name(&c->side, c->node);
  if (code || found) return code;
  if (number)
    return fl_fail(err, FL_E_NOT_FOUND, "node '%s' of run '%s' has no attempt %u", name,
                   c->side.run.id, number);
  return fl_fail(err, FL_E_NOT_FOUND, "node '%s' of run '%s' has not run yet", name,
                 c->side.run.id);
}

static void add_checkpoint(const context *c, const char *key, bool shown) {
  fl_buf_add_str(c->out, key);
  if (shown)
    fl_buf_add(c->out, c->checkpoint.text.data, c->checkpoint.text.size);
  else
    fl_buf_add_str(c->out, "null");
}

static fl_code write_context(context *c, fl_error *err) {
  const fl_attempt_row *a = &c->attempt;
  fl_buf *out = c->out;
  const struct {
    const char *key;
    int64_t id;
    const char *otherwise;
  } left[] = {
      {",\"outputs\":", a->outputs, "null"},
      {",\"vars_out\":", a->vars_out, "null"},
      {",\"recorded\":", a->recorded, "null"},
      {",\"vars_by\":", a->vars_by, "null"},
      {",\"item\":", a->item ? a->item : c->node->item, "null"},
  };
  fl_buf_addf(out, "{\"run\":\"%s\",\"node\":", c->side.run.id);
  fl_json_write_text(out, fl_read_side_get_name(&c->side, c->node));
  fl_buf_addf(out, ",\"attempt\":%u,\"params\":", a->number);
  int64_t params = fl_read_side_get_params(&c->side, c->node, a->seq, a->epoch);
  fl_code code = fl_store_append_value(c->store, params, "{}", out, err);
  fl_buf_add_str(out, ",\"vars\":");
  if (!code) code = fl_store_append_value(c->store, a->vars_in, "{}", out, err);
  fl_buf_add_str(out, ",\"inputs\":");
  if (!code) code = each_input(c, a, add_value, out, err);
  for (size_t i = 0; !code && i < sizeof left / sizeof *left; i++) {
    fl_buf_add_str(out, left[i].key);
    code = fl_store_append_value(c->store, left[i].id, left[i].otherwise, out, err);
  }
  add_checkpoint(c, ",\"checkpoint\":", c->checkpoint.number == a->number);
  add_checkpoint(c, ",\"restored\":", got_back(c, a));
  fl_buf_add_str(out, ",\"digests\":");
  if (!code) code = add_digests(c, a, out, err);
  fl_buf_add_str(out, ",\"attempts\":");
  fl_buf_add(out, c->list.data, c->list.size);
  fl_buf_add_char(out, '}');
  return code;
}

fl_code fl_read_store_context(fl_store *s, const fl_run_row *run, const char *node,
                              uint32_t attempt, fl_buf *out, fl_error *err) {
  context c = {.store = s, .out = out};
  fl_buf_init(&c.list, FL_FRAME_SIZE_MAX);
  fl_buf_init(&c.checkpoint.text, FL_VALUE_SIZE_MAX + 1);
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  code = fl_read_side_open(&c.side, s, run->row, err);
  if (!code) c.node = fl_read_side_find(&c.side, node);
  // A node that a mended script has no more is found too.
  if (!code && !c.node) c.node = fl_read_nodes_find(&c.side.nodes, node);
  if (!code && !c.node) code = fl_read_fail_node(s, &c.side.run, node, err);
  if (!code && c.node) code = load_checkpoint(&c, err);
  if (!code && c.node) code = load_attempts(&c, attempt, err);
  if (!code && c.node) code = write_context(&c, err);
  fl_read_side_close(&c.side);
  fl_buf_deinit(&c.list);
  fl_buf_deinit(&c.checkpoint.text);
  fl_store_read_end(s);
  return code ? code : fl_read_finish(s, out, err);
}
