// `why RUN NODE`: which part of what a node depends on is another than in an earlier run.
#include "read/side_internal.h"

/// An attempt of the node in one of the runs.
typedef struct sight {
  fl_read_side side;
  const fl_read_node *node;
  fl_attempt_row attempt; // without texts
} sight;

typedef struct why {
  fl_store *store;
  sight a, b; // before, now
  fl_buf changed;
} why;

fl_code fl_read_store_find_before(fl_store *s, const fl_run_row *run, const char *node,
                                  fl_run_row *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  *out = (fl_run_row){0};
  fl_code code = fl_store_prepare_own(
      s,
      "SELECT " FL_RUN_COLUMNS " FROM run r WHERE flow=?1 AND row<?2 AND (EXISTS(SELECT 1 FROM"
      " definition_node d CROSS JOIN attempt a ON a.run=r.row AND a.node=d.node AND "
      "a.state=" FL_SQL_SUCCEEDED
      " WHERE d.definition=r.definition AND d.name=?3 AND d.removed IS NULL) OR EXISTS(SELECT 1"
      " FROM item i CROSS JOIN attempt a ON a.run=r.row AND a.node=i.node AND "
      "a.state=" FL_SQL_SUCCEEDED " WHERE i.run=r.row AND i.name=?3)) ORDER BY row DESC LIMIT 1",
      &st, err);
  if (code) return code;
  fl_store_bind_text(st, 1, run->flow);
  sqlite3_bind_int64(st, 2, run->row);
  fl_store_bind_text(st, 3, node);
  code = fl_store_read(s, st, &row, err);
  if (!code && row) fl_store_run_from(st, out);
  sqlite3_finalize(st);
  uint32_t ignored;
  if (!code && !row) code = fl_read_find_node(s, run, node, &ignored, err);
  if (code || row) return code;
  return fl_fail(err, FL_E_NOT_FOUND,
                 "node '%s' has succeeded in no run of flow '%s' before %s: there is nothing to "
                 "hold it against",
                 node, run->flow, run->id);
}

/// The node's last attempt; of the earlier run the one that succeeded, when one did.
static fl_code open_sight(sight *s, fl_store *store, int64_t run, const char *node, bool succeeded,
                          fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_read_side_open(&s->side, store, run, err);
  if (code) return code;
  s->node = fl_read_side_find(&s->side, node);
  if (!s->node) return fl_read_fail_node(store, &s->side.run, node, err);
  code = fl_store_prepare_own(store,
                              "SELECT " FL_ATTEMPT_COLUMNS " FROM attempt WHERE run=?1 AND node=?2"
                              " ORDER BY coalesce(synthetic,0), state=" FL_SQL_SUCCEEDED
                              " AND ?3 DESC, number DESC"
                              " LIMIT 1",
                              &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, s->node->node);
  sqlite3_bind_int(st, 3, succeeded);
  code = fl_store_read(store, st, &row, err);
  if (!code && row) fl_store_attempt_from(st, &s->attempt);
  s->attempt.error = NULL;
  s->attempt.log.path = NULL;
  sqlite3_finalize(st);
  if (code || row) return code;
  return fl_fail(err, FL_E_NOT_FOUND, "node '%s' of run '%s' has not run (explain says why)", node,
                 s->side.run.id);
}

// -------------------------------------------------------------------------------- parts

static void note(why *w, const char *part) {
  fl_buf_addf(&w->changed, w->changed.size ? ",\"%s\"" : "\"%s\"", part);
}

static fl_code add_pair(why *w, const char *part, int64_t a, int64_t b, fl_buf *out,
                        fl_error *err) {
  if (!fl_store_is_same_value(w->store, a, b)) note(w, part);
  fl_buf_addf(out, ",\"%s\":", part);
  return fl_read_add_pair(w->store, a, b, false, out, err);
}

static int64_t params_of(const sight *s) {
  return fl_read_side_get_params(&s->side, s->node, s->attempt.seq, s->attempt.epoch);
}

static void add_times(const char *part, int64_t a, int64_t b, fl_buf *out) {
  fl_buf_addf(out, ",\"%s\":{\"equal\":%s,\"a\":", part, a == b ? "true" : "false");
  fl_read_add_time(out, a);
  fl_buf_add_str(out, ",\"b\":");
  fl_read_add_time(out, b);
  fl_buf_add_char(out, '}');
}

static int64_t item_of(const sight *s) {
  return s->attempt.item ? s->attempt.item : s->node->item;
}

static int64_t script_of(const sight *s) {
  const fl_input_row *used = fl_read_results_get_input(&s->side.results, s->attempt.epoch);
  return used ? used->script : s->side.run.script;
}

static fl_code add_parts(why *w, const char *definition, bool defined_alike, fl_buf *out,
                         fl_error *err) {
  const sight *a = &w->a, *b = &w->b;
  const fl_run_row *x = &a->side.run, *y = &b->side.run;
  bool equal = true;
  if (definition ? !defined_alike : script_of(a) != script_of(b))
    note(w, definition ? "definition" : "script");
  fl_buf_addf(out, ",\"definition\":%s,\"script\":", definition ? definition : "null");
  fl_code code = fl_read_add_scripts(w->store, script_of(a), script_of(b), true, out, err);
  if (!code) code = add_pair(w, "params", params_of(a), params_of(b), out, err);
  if (!code) code = add_pair(w, "vars", a->attempt.vars_in, b->attempt.vars_in, out, err);
  fl_buf_add_str(out, ",\"inputs\":");
  if (!code)
    code = fl_read_add_inputs(&a->side, a->node, a->attempt.seq, &b->side, b->node, b->attempt.seq,
                              false, &equal, out, err);
  if (!equal) note(w, "inputs");
  if (!code) code = add_pair(w, "item", item_of(a), item_of(b), out, err);
  if (x->time_ms != y->time_ms) note(w, "time");
  add_times("time", x->time_ms, y->time_ms, out);
  // An interval that moved with the time is no change of its own.
  int64_t later = x->time_ms - y->time_ms;
  if (x->interval_from_ms - y->interval_from_ms != later) note(w, "interval_from");
  add_times("interval_from", x->interval_from_ms, y->interval_from_ms, out);
  if (x->interval_to_ms - y->interval_to_ms != later) note(w, "interval_to");
  add_times("interval_to", x->interval_to_ms, y->interval_to_ms, out);
  return code;
}

static fl_code add_result(const why *w, fl_buf *out, fl_error *err) {
  const fl_attempt_row *a = &w->a.attempt, *b = &w->b.attempt;
  bool equal = a->state == b->state && fl_store_is_same_value(w->store, a->outputs, b->outputs) &&
               fl_store_is_same_value(w->store, a->vars_out, b->vars_out);
  fl_buf_addf(out, ",\"result\":{\"equal\":%s,\"status\":{\"a\":\"%s\",\"b\":\"%s\"},\"outputs\":",
              equal ? "true" : "false", fl_attempt_state_text(a->state),
              fl_attempt_state_text(b->state));
  fl_code code = fl_read_add_pair(w->store, a->outputs, b->outputs, false, out, err);
  fl_buf_add_str(out, ",\"vars\":");
  if (!code) code = fl_read_add_pair(w->store, a->vars_out, b->vars_out, false, out, err);
  fl_buf_add_char(out, '}');
  return code;
}

static fl_code write_why(why *w, const char *definition, bool defined_alike, fl_buf *out,
                         fl_error *err) {
  fl_reason reason = w->b.attempt.reason;
  fl_buf_addf(out, "{\"run\":\"%s\",\"node\":", w->b.side.run.id);
  fl_json_write_text(out, fl_read_side_get_name(&w->b.side, w->b.node));
  fl_buf_addf(out, ",\"attempt\":%u,\"reason\":", w->b.attempt.number);
  fl_json_write_text(out, reason ? fl_reason_name(reason) : NULL);
  fl_buf_add_str(out, ",\"text\":");
  fl_json_write_text(out, reason ? fl_reason_text(reason) : NULL);
  fl_buf_addf(out, ",\"against\":{\"run\":\"%s\",\"attempt\":%u,\"time\":", w->a.side.run.id,
              w->a.attempt.number);
  fl_read_add_time(out, w->a.side.run.time_ms);
  fl_buf_add_char(out, '}');
  fl_code code = add_parts(w, definition, defined_alike, out, err);
  if (!code) code = add_result(w, out, err);
  fl_buf_add_str(out, ",\"changed\":[");
  fl_buf_add(out, w->changed.data, w->changed.size);
  fl_buf_add_str(out, "]}");
  return code;
}

fl_code fl_read_store_why(fl_store *s, const fl_run_row *run, const fl_run_row *before,
                          const char *node, const char *definition, bool defined_alike, fl_buf *out,
                          fl_error *err) {
  why w = {.store = s};
  fl_buf_init(&w.changed, 1024);
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  code = open_sight(&w.b, s, run->row, node, false, err);
  if (!code) code = open_sight(&w.a, s, before->row, node, true, err);
  if (!code) code = write_why(&w, definition, defined_alike, out, err);
  fl_read_side_close(&w.a.side);
  fl_read_side_close(&w.b.side);
  fl_buf_deinit(&w.changed);
  fl_store_read_end(s);
  return code ? code : fl_read_finish(s, out, err);
}
