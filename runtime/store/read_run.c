// `runs` and `show RUN`: runs and their nodes as JSON (docs/command-line.md).
#include "store/read_internal.h"

void fl_read_add_time(fl_buf *out, int64_t wall_ms) {
  char text[FL_TIME_TEXT_SIZE];
  if (!wall_ms) {
    fl_buf_add(out, "null", 4);
    return;
  }
  fl_time_format(wall_ms, text);
  fl_buf_add_char(out, '"');
  fl_buf_add_str(out, text);
  fl_buf_add_char(out, '"');
}

void fl_read_add_text(fl_buf *out, const char *text) {
  if (text)
    fl_json_write_string(out, text, strlen(text));
  else
    fl_buf_add(out, "null", 4);
}

static void add_int(fl_buf *out, const char *key, int64_t number) {
  fl_buf_add_str(out, key);
  fl_json_write_int(out, number);
}

fl_code fl_read_finish(fl_store *s, const fl_buf *out, fl_error *err) {
  if (!out->failed) return FL_OK;
  return fl_fail(err, FL_E_LIMIT, "what is asked of the store '%s' is larger than %zu bytes",
                 s->path, out->size_max);
}

// -------------------------------------------------------------------------------- runs

/// What a run's row only names by number: (version, replay_of, parent's id, parent's node,
/// fork_of).
static fl_code add_links(fl_store *s, const fl_run_row *run, sqlite3_stmt **st, fl_error *err) {
  bool row = false;
  fl_code code = fl_store_prepare(
      s, FL_SLOT_READ_RUN,
      "SELECT (SELECT lower(hex(digest)) FROM script WHERE id=?1),"
      " (SELECT id FROM run WHERE row=?2), p.id,"
      " (SELECT name FROM definition_node WHERE definition=p.definition AND node=?4),"
      " (SELECT id FROM run WHERE row=?5)"
      " FROM (SELECT 1) LEFT JOIN run p ON p.row=?3",
      st, err);
  if (code) return code;
  sqlite3_bind_int64(*st, 1, run->script);
  fl_store_bind_id(*st, 2, run->replay_of);
  fl_store_bind_id(*st, 3, run->parent_run);
  sqlite3_bind_int64(*st, 4, run->parent_node);
  fl_store_bind_id(*st, 5, run->fork_of);
  return fl_store_read(s, *st, &row, err);
}

static void add_parent(sqlite3_stmt *st, fl_buf *out) {
  const char *id = (const char *)sqlite3_column_text(st, 2);
  fl_buf_add_str(out, ",\"parent\":");
  if (id) {
    fl_buf_add_str(out, "{\"run\":");
    fl_read_add_text(out, id);
    fl_buf_add_str(out, ",\"node\":");
    fl_read_add_text(out, (const char *)sqlite3_column_text(st, 3));
    fl_buf_add_char(out, '}');
  } else {
    fl_buf_add_str(out, "null");
  }
}

fl_code fl_read_add_run(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = add_links(s, run, &st, err);
  if (code) return code;
  const char *version = (const char *)sqlite3_column_text(st, 0);
  fl_buf_addf(out, "{\"id\":\"%s\",\"flow\":", run->id);
  fl_read_add_text(out, run->flow);
  fl_buf_addf(out, ",\"version\":\"sha256:%s\",\"status\":\"%s\",\"time\":", version ? version : "",
              fl_run_state_text(run->state));
  fl_read_add_time(out, run->time_ms);
  fl_buf_add_str(out, ",\"trigger\":");
  fl_read_add_text(out, run->trigger);
  fl_buf_add_str(out, ",\"params\":");
  code = fl_store_append_value(s, run->params, "{}", out, err);
  fl_buf_add_str(out, ",\"vars\":");
  if (!code) code = fl_read_add_vars(s, run, out, err);
  fl_buf_add_str(out, ",\"replay_of\":");
  fl_read_add_text(out, (const char *)sqlite3_column_text(st, 1));
  fl_buf_add_str(out, ",\"created_at\":");
  fl_read_add_time(out, run->created_ms);
  fl_buf_add_str(out, ",\"started_at\":");
  fl_read_add_time(out, run->started_ms);
  fl_buf_add_str(out, ",\"ended_at\":");
  fl_read_add_time(out, run->ended_ms);
  add_int(out, ",\"resumes\":", run->resumes);
  add_parent(st, out);
  fl_buf_add_str(out, ",\"error\":");
  fl_read_add_text(out, run->error);
  fl_buf_add_str(out, ",\"fork_of\":");
  fl_read_add_text(out, (const char *)sqlite3_column_text(st, 4));
  fl_buf_add_str(out, ",\"origin\":");
  fl_buf_add_str(out, run->origin ? run->origin : "null");
  fl_buf_add_char(out, '}');
  sqlite3_reset(st);
  return code;
}

static fl_code add_runs(fl_store *s, size_t limit, fl_buf *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  size_t count = 0;
  fl_run_row run;
  fl_code code = fl_store_prepare_own(
      s, "SELECT " FL_RUN_COLUMNS " FROM run ORDER BY row DESC LIMIT ?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, limit ? (int64_t)limit : -1);
  fl_buf_add_char(out, '[');
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    fl_store_run_from(st, &run);
    if (count++) fl_buf_add_char(out, ',');
    code = fl_read_add_run(s, &run, out, err);
    fl_run_row_deinit(&run);
    if (code) break;
  }
  fl_buf_add_char(out, ']');
  sqlite3_finalize(st);
  return code;
}

fl_code fl_read_store_runs(fl_store *s, size_t limit, fl_buf *out, fl_error *err) {
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  code = add_runs(s, limit, out, err);
  fl_store_read_end(s);
  return code ? code : fl_read_finish(s, out, err);
}

// -------------------------------------------------------------------------------- one run

/// The text of the value read last, for runs of nodes that share one ("{}", inherited vars).
typedef struct last_value {
  int64_t id;
  fl_buf text;
} last_value;

/// The second formatted last: nodes that stand together mostly ran together.
typedef struct last_second {
  int64_t second;
  char text[FL_TIME_TEXT_SIZE];
} last_second;

typedef struct show {
  fl_store *store;
  fl_read_nodes nodes;
  fl_read_states states;
  fl_read_cursor checkpoints, progress;
  last_value outputs, vars;
  fl_value_walk values; // nodes that stand together mostly ended together
  last_second second;
  fl_buf *out;
} show;

static fl_code add_value(show *w, last_value *last, int64_t id, fl_error *err) {
  fl_code code = FL_OK;
  if (id == 0 || id == FL_VALUE_ID_EMPTY_MAP) {
    fl_buf_add(w->out, "{}", 2);
    return FL_OK;
  }
  if (id != last->id) {
    fl_buf_reset(&last->text);
    last->id = 0;
    code = fl_store_walk_append(w->store, &w->values, id, &last->text, err);
    if (!code) last->id = id;
  }
  if (!code) fl_buf_add(w->out, last->text.data, last->text.size);
  return code;
}

static void add_parents(show *w, const fl_read_node *node) {
  const char *at = fl_read_text(&w->nodes, node->parents);
  uint32_t parent;
  bool more = false;
  fl_buf_add_str(w->out, ",\"after\":[");
  while (fl_read_next_parent(&at, &parent)) {
    if (parent >= w->nodes.declared) continue;
    const char *name = fl_read_text(&w->nodes, w->nodes.nodes[parent].name);
    if (more) fl_buf_add_char(w->out, ',');
    fl_json_write_string(w->out, name, strlen(name));
    more = true;
  }
  fl_buf_add_char(w->out, ']');
}

static fl_code add_saved(show *w, const fl_read_node *node, fl_error *err) {
  bool found = false;
  fl_buf *out = w->out;
  fl_buf_add_str(out, ",\"checkpoint\":");
  fl_code code = fl_read_cursor_seek(w->store, &w->checkpoints, node->node, &found, err);
  if (!code && found)
    code = fl_store_append_checkpoint(w->store, w->checkpoints.st, 1, out, err);
  else
    fl_buf_add_str(out, "null");
  fl_buf_add_str(out, ",\"progress\":");
  if (!code) code = fl_read_cursor_seek(w->store, &w->progress, node->node, &found, err);
  if (code) return code;
  if (!found) {
    fl_buf_add_str(out, "null");
    return FL_OK;
  }
  fl_buf_add_str(out, "{\"done\":");
  fl_json_write_number(out, sqlite3_column_double(w->progress.st, 1));
  fl_buf_add_str(out, ",\"total\":");
  fl_json_write_number(out, sqlite3_column_double(w->progress.st, 2));
  fl_buf_add_str(out, ",\"text\":");
  fl_read_add_text(out, (const char *)sqlite3_column_text(w->progress.st, 3));
  fl_buf_add_char(out, '}');
  return FL_OK;
}

static void add_time(show *w, int64_t wall_ms) {
  enum { MS_AT = 20, QUOTED = 26 }; // "2026-01-31T23:59:59.123Z"
  last_second *last = &w->second;
  if (wall_ms <= 0) {
    fl_read_add_time(w->out, wall_ms);
    return;
  }
  if (last->second != wall_ms / 1000) {
    last->second = wall_ms / 1000;
    fl_time_format(wall_ms, last->text);
  }
  int ms = (int)(wall_ms % 1000);
  last->text[MS_AT] = (char)('0' + ms / 100);
  last->text[MS_AT + 1] = (char)('0' + ms / 10 % 10);
  last->text[MS_AT + 2] = (char)('0' + ms % 10);
  fl_buf_add_char(w->out, '"');
  fl_buf_add(w->out, last->text, QUOTED - 2);
  fl_buf_add_char(w->out, '"');
}

static void add_outcome(show *w, const fl_read_state *state) {
  fl_buf *out = w->out;
  const fl_attempt_row *a = &state->last;
  fl_buf_add_str(out, ",\"started_at\":");
  add_time(w, state->shown ? a->started_ms : 0);
  fl_buf_add_str(out, ",\"ended_at\":");
  add_time(w, state->shown ? a->ended_ms : 0);
  if (state->shown && a->started_ms && a->ended_ms)
    add_int(out,
            ",\"duration_ms\":", a->ended_ms > a->started_ms ? a->ended_ms - a->started_ms : 0);
  else
    fl_buf_add_str(out, ",\"duration_ms\":null");
  if (state->shown && a->exit_code >= 0)
    add_int(out, ",\"exit_code\":", a->exit_code);
  else
    fl_buf_add_str(out, ",\"exit_code\":null");
  if (state->shown && a->signal)
    add_int(out, ",\"signal\":", a->signal);
  else
    fl_buf_add_str(out, ",\"signal\":null");
  fl_buf_add_str(out, ",\"error\":");
  fl_read_add_text(out, fl_read_state_get_error(state));
  fl_buf_add_str(out, ",\"reason\":");
  fl_read_add_text(out, state->reason ? fl_reason_name(state->reason) : NULL);
}

static fl_code add_node(show *w, const fl_read_node *node, fl_error *err) {
  fl_read_state state;
  fl_buf *out = w->out;
  fl_code code = fl_read_state_get(&w->states, node->node, &state, err);
  if (code) return code;
  const fl_attempt_row *a = &state.last;
  fl_buf_add_str(out, "{\"name\":");
  fl_read_add_text(out, fl_read_text(&w->nodes, node->name));
  fl_buf_add_str(out, ",\"type\":");
  fl_read_add_text(out, fl_read_text(&w->nodes, node->type));
  fl_buf_add_str(out, ",\"status\":\"");
  fl_buf_add_str(out, fl_node_state_text(state.state));
  fl_buf_add_char(out, '"');
  add_parents(w, node);
  add_int(out, ",\"attempts\":", state.attempts);
  add_outcome(w, &state);
  fl_buf_add_str(out, ",\"outputs\":");
  code = add_value(w, &w->outputs, state.shown ? a->outputs : 0, err);
  fl_buf_add_str(out, ",\"vars\":");
  int64_t vars = state.shown ? a->vars_out : 0;
  if (!vars && state.shown && a->state == FL_ATTEMPT_SUCCEEDED) vars = a->vars_in;
  if (!code) code = add_value(w, &w->vars, vars, err);
  if (!code) code = add_saved(w, node, err);
  add_int(out, ",\"resources\":{\"cpu_ms\":", state.shown ? (a->cpu_us + 500) / 1000 : 0);
  add_int(out, ",\"max_rss_bytes\":", state.shown ? a->rss_max_bytes : 0);
  fl_buf_add_str(out, "}}");
  return code;
}

static fl_code show_open(show *w, fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err) {
  *w = (show){.store = s, .out = out};
  fl_buf_init(&w->outputs.text, FL_VALUE_SIZE_MAX);
  fl_buf_init(&w->vars.text, FL_VALUE_SIZE_MAX);
  fl_code code = fl_read_nodes_load(s, run, &w->nodes, err);
  if (!code) code = fl_read_states_open(s, run->row, &w->states, err);
  if (!code)
    code = fl_read_cursor_open(s,
                               "SELECT node," FL_CHECKPOINT_COLUMNS " FROM checkpoint"
                               " WHERE run=?1 AND node>=?2 ORDER BY node",
                               run->row, 0, &w->checkpoints, err);
  if (!code)
    code = fl_read_cursor_open(s,
                               "SELECT node,done,total,text FROM progress WHERE run=?1"
                               " AND node>=?2 ORDER BY node",
                               run->row, 0, &w->progress, err);
  return code;
}

static void show_close(show *w) {
  fl_read_cursor_close(&w->checkpoints);
  fl_read_cursor_close(&w->progress);
  fl_store_walk_end(&w->values);
  fl_read_states_close(&w->states);
  fl_read_nodes_deinit(&w->nodes);
  fl_buf_deinit(&w->outputs.text);
  fl_buf_deinit(&w->vars.text);
}

fl_code fl_read_begin(fl_store *s, const fl_run_row *run, fl_run_row *fresh, fl_error *err) {
  *fresh = (fl_run_row){0};
  fl_code code = fl_store_read_begin(s, err);
  return code ? code : fl_store_get_run(s, run->row, fresh, err);
}

void fl_read_end(fl_store *s, fl_run_row *fresh) {
  fl_run_row_deinit(fresh);
  fl_store_read_end(s);
}

typedef struct renaming {
  fl_store *store;
  char *name; // what the node is called at last
  bool is_other;
} renaming;

static bool see_renaming(void *ud, const fl_epoch_row *row) {
  renaming *r = ud;
  fl_value *patch = NULL;
  fl_error ignored;
  if (!row->patch || fl_store_get_value(r->store, row->patch, &patch, &ignored)) return true;
  json_t *json = fl_value_to_json(patch);
  json_t *name = json_object_get(json_object_get(json, "rename"), r->name);
  if (json_is_string(name)) {
    free(r->name);
    r->name = fl_strdup(json_string_value(name));
    r->is_other = true;
  }
  json_decref(json);
  fl_value_unref(patch);
  return true;
}

fl_code fl_read_fail_node(fl_store *s, const fl_run_row *run, const char *name, fl_error *err) {
  renaming r = {.store = s, .name = fl_strdup(name)};
  fl_error ignored;
  (void)!fl_store_each_epoch(s, run->row, see_renaming, &r, &ignored);
  if (r.is_other)
    fl_fail(err, FL_E_NOT_FOUND, "run '%s' has no node '%s' any more: it is '%s' now", run->id,
            name, r.name);
  else
    fl_fail(err, FL_E_NOT_FOUND, "run '%s' has no node '%s'", run->id, name);
  free(r.name);
  return FL_E_NOT_FOUND;
}

fl_code fl_read_store_run(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err) {
  show w = {0};
  fl_run_row fresh;
  fl_read_order order = {0};
  size_t count = 0;
  const fl_read_node *node;
  fl_code code = fl_read_begin(s, run, &fresh, err);
  if (!code) code = show_open(&w, s, &fresh, out, err);
  if (code) goto out;
  fl_buf_add_str(out, "{\"run\":");
  code = fl_read_add_run(s, &fresh, out, err);
  fl_buf_add_str(out, ",\"nodes\":[");
  while (!code && !out->failed && (node = fl_read_order_next(&w.nodes, &order))) {
    if (count++) fl_buf_add_char(out, ',');
    code = add_node(&w, node, err);
  }
  fl_buf_add_str(out, "],\"patches\":");
  if (!code) code = fl_read_add_patches(s, &fresh, out, err);
  fl_buf_add_char(out, '}');
out:
  show_close(&w);
  fl_read_end(s, &fresh);
  return code ? code : fl_read_finish(s, out, err);
}
