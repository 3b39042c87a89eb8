// `runs` and `show RUN`: runs and their nodes as JSON (docs/command-line.md).
#include "read/read_internal.h"
#include "base/suggest.h"

static void add_int(fl_buf *out, const char *key, int64_t number) {
  fl_buf_add_str(out, key);
  fl_json_write_int(out, number);
}

// -------------------------------------------------------------------------------- runs

const char *fl_read_get_status(const fl_store *s, const fl_run_row *run) {
  bool left = run->state == FL_RUN_RUNNING && fl_store_owner_is_dead(s, run->owner);
  return left ? FL_RUN_INTERRUPTED_TEXT : fl_run_state_text(run->state);
}

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
    fl_json_write_text(out, id);
    fl_buf_add_str(out, ",\"node\":");
    fl_json_write_text(out, (const char *)sqlite3_column_text(st, 3));
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
  fl_json_write_text(out, run->flow);
  fl_buf_addf(out, ",\"version\":\"sha256:%s\",\"status\":\"%s\",\"time\":", version ? version : "",
              fl_read_get_status(s, run));
  fl_read_add_time(out, run->time_ms);
  fl_buf_add_str(out, ",\"trigger\":");
  fl_json_write_text(out, run->trigger);
  fl_buf_add_str(out, ",\"params\":");
  code = fl_store_append_value(s, run->params, "{}", out, err);
  fl_buf_add_str(out, ",\"vars\":");
  if (!code) code = fl_read_add_vars(s, run, out, err);
  fl_buf_add_str(out, ",\"replay_of\":");
  fl_json_write_text(out, (const char *)sqlite3_column_text(st, 1));
  fl_buf_add_str(out, ",\"created_at\":");
  fl_read_add_time(out, run->created_ms);
  fl_buf_add_str(out, ",\"started_at\":");
  fl_read_add_time(out, run->started_ms);
  fl_buf_add_str(out, ",\"ended_at\":");
  fl_read_add_time(out, run->ended_ms);
  add_int(out, ",\"resumes\":", run->resumes);
  add_parent(st, out);
  fl_buf_add_str(out, ",\"error\":");
  fl_json_write_text(out, run->error);
  fl_buf_add_str(out, ",\"fork_of\":");
  fl_json_write_text(out, (const char *)sqlite3_column_text(st, 4));
  fl_buf_add_str(out, ",\"origin\":");
  fl_buf_add_str(out, run->origin ? run->origin : "null");
  fl_buf_add_char(out, '}');
  sqlite3_reset(st);
  return code;
}

/// What a query becomes: SQL, and what is bound to ?1 and on.
typedef struct search {
  fl_buf sql;
  const char *sign; // before the next condition
  struct {
    const char *text; // or NULL, and
    int64_t number;
  } bound[10];
  int count;
} search;

static void add_condition(search *q, const char *condition, const char *text, int64_t number) {
  fl_buf_addf(&q->sql, "%s%s?%d", q->sign, condition, ++q->count);
  q->sign = " AND ";
  q->bound[q->count - 1].text = text;
  q->bound[q->count - 1].number = number;
}

/// -1: there is no such state.
static int find_status(const char *text) {
  if (!strcmp(text, FL_RUN_INTERRUPTED_TEXT)) return FL_RUN_RUNNING;
  for (int i = 0; i < FL_RUN_STATE_COUNT; i++)
    if (!strcmp(fl_run_state_text((fl_run_state)i), text)) return i;
  return -1;
}

/// The index that finds the fewest rows. A run that is live is one of few, and so is one that did
/// not succeed: the states are asked before the flow for them.
static const char *choose_index(const fl_run_query *q, int state) {
  bool timed = q->from_ms || q->to_ms;
  if (q->parent) return "run_by_parent";
  if (state >= 0 && state != FL_RUN_SUCCEEDED && !timed) return "run_by_state";
  if (q->flow) return timed ? "run_by_flow_time" : "run_by_flow";
  if (timed) return "run_by_time";
  if (state >= 0) return "run_by_state";
  return q->trigger ? "run_by_trigger" : NULL;
}

/// In the order of the logical time where it is asked for, else of creation; from a cursor on.
static fl_code make_search(fl_store *s, const fl_run_query *q, search *out, fl_error *err) {
  bool timed = q->from_ms || q->to_ms;
  int state = q->status ? find_status(q->status) : -1;
  fl_run_row row = {0};
  fl_code code = FL_OK;
  if (q->status && state < 0)
    return fl_fail(err, FL_E_USAGE,
                   "no run has the status '%s': one of queued, running, waiting, interrupted, "
                   "succeeded, failed, cancelled",
                   q->status);
  if (q->before && q->after)
    return fl_fail(err, FL_E_USAGE, "runs are asked for before one run, or after one, not both");
  const char *index = choose_index(q, state);
  fl_buf_addf(&out->sql, "SELECT " FL_RUN_COLUMNS " FROM run%s%s", index ? " INDEXED BY " : "",
              index ? index : "");
  out->sign = " WHERE ";
  if (q->parent) {
    code = fl_store_find_run(s, q->parent, &row, err);
    add_condition(out, "parent_run=", NULL, row.row);
    fl_run_row_deinit(&row);
  }
  if (state >= 0) add_condition(out, "state=", NULL, state);
  if (state == FL_RUN_RUNNING)
    fl_buf_addf(&out->sql, " AND %sowner_lives(owner)",
                strcmp(q->status, FL_RUN_INTERRUPTED_TEXT) ? "" : "NOT ");
  if (q->flow) add_condition(out, "flow=", q->flow, 0);
  if (q->trigger) add_condition(out, "\"trigger\"=", q->trigger, 0);
  if (q->from_ms) add_condition(out, "time_ms>=", NULL, q->from_ms);
  if (q->to_ms) add_condition(out, "time_ms<", NULL, q->to_ms);
  if (q->top_only) fl_buf_addf(&out->sql, "%sparent_run IS NULL", out->sign), out->sign = " AND ";
  const char *cursor = q->before ? q->before : q->after, *sign = q->before ? "<" : ">";
  if (!code && cursor) {
    code = fl_store_find_run(s, cursor, &row, err);
    char condition[64];
    snprintf(condition, sizeof condition, timed ? "(time_ms,row)%s(%lld," : "row%s", sign,
             (long long)row.time_ms);
    add_condition(out, condition, NULL, row.row);
    if (timed) fl_buf_add_char(&out->sql, ')');
    fl_run_row_deinit(&row);
  } else if (!index) {
    add_condition(out, "row>=", NULL, 0); // a search from the end
  }
  const char *way = q->after ? "" : " DESC";
  fl_buf_addf(&out->sql, " ORDER BY %s%s%srow%s LIMIT %lld", timed ? "time_ms" : "",
              timed ? way : "", timed ? "," : "", way, q->limit ? (long long)q->limit : -1LL);
  return code;
}

fl_code fl_read_prepare_runs(fl_store *s, const fl_run_query *query, sqlite3_stmt **out,
                             fl_error *err) {
  search q = {.count = 0};
  *out = NULL;
  fl_buf_init(&q.sql, 1 << 16);
  fl_code code = make_search(s, query, &q, err);
  if (!code) code = fl_store_prepare_own(s, fl_buf_cstr(&q.sql), out, err);
  for (int i = 0; !code && i < q.count; i++)
    if (q.bound[i].text)
      sqlite3_bind_text(*out, i + 1, q.bound[i].text, -1, SQLITE_TRANSIENT);
    else
      sqlite3_bind_int64(*out, i + 1, q.bound[i].number);
  fl_buf_deinit(&q.sql);
  return code;
}

/// Pieces of one text, in the other order: [a,b,c] was written as it came, from the oldest on.
static void turn_around(fl_buf *out, size_t from, const fl_buf *ends) {
  const size_t *end = (const size_t *)(void *)ends->data;
  size_t count = ends->size / sizeof *end, size = out->size - from, at = 0;
  char *copy = fl_alloc(size + 1);
  for (size_t i = count; i-- > 0;) {
    size_t begin = i ? end[i - 1] + 1 : from;
    memcpy(copy + at, out->data + begin, end[i] - begin);
    at += end[i] - begin;
    if (i) copy[at++] = ',';
  }
  memcpy(out->data + from, copy, at);
  free(copy);
}

fl_code fl_read_store_runs(fl_store *s, const fl_run_query *query, fl_buf *out, fl_error *err) {
  sqlite3_stmt *st = NULL;
  bool row = false;
  fl_run_row run;
  fl_buf ends; // where each object ends
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  fl_buf_init(&ends, SIZE_MAX / 2);
  code = fl_read_prepare_runs(s, query, &st, err);
  fl_buf_add_char(out, '[');
  size_t from = out->size;
  while (!code && !(code = fl_store_read(s, st, &row, err)) && row) {
    fl_store_run_from(st, &run);
    if (ends.size) fl_buf_add_char(out, ',');
    code = fl_read_add_run(s, &run, out, err);
    fl_buf_add(&ends, &out->size, sizeof out->size);
    fl_run_row_deinit(&run);
  }
  if (!code && query->after && !out->failed && ends.size) turn_around(out, from, &ends);
  fl_buf_add_char(out, ']');
  sqlite3_finalize(st);
  fl_buf_deinit(&ends);
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
  fl_json_write_text(out, (const char *)sqlite3_column_text(w->progress.st, 3));
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
    add_int(out, ",\"duration_ms\":", a->duration_ms);
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
  fl_json_write_text(out, fl_read_state_get_error(state));
  fl_buf_add_str(out, ",\"reason\":");
  fl_json_write_text(out, state->reason ? fl_reason_name(state->reason) : NULL);
}

static fl_code add_node(show *w, const fl_read_node *node, fl_error *err) {
  fl_read_state state;
  fl_buf *out = w->out;
  fl_code code = fl_read_state_get(&w->states, node->node, &state, err);
  if (code) return code;
  const fl_attempt_row *a = &state.last;
  fl_buf_add_str(out, "{\"name\":");
  fl_json_write_text(out, fl_read_text(&w->nodes, node->name));
  fl_buf_add_str(out, ",\"type\":");
  fl_json_write_text(out, fl_read_text(&w->nodes, node->type));
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

static void fail_unknown_node(fl_store *s, const fl_run_row *run, const char *name, fl_error *err) {
  sqlite3_stmt *st = NULL;
  fl_suggestion near;
  fl_error ignored;
  bool row = false;
  char *nearest = NULL;
  fl_suggestion_init(&near, name, strlen(name));
  fl_code code = fl_store_prepare_own(s,
                                      "SELECT name FROM definition_node WHERE definition=?1"
                                      " AND removed IS NULL",
                                      &st, &ignored);
  if (!code) sqlite3_bind_int64(st, 1, run->definition);
  while (!code && !fl_store_read(s, st, &row, &ignored) && row) {
    const char *text = (const char *)sqlite3_column_text(st, 0);
    const char *before = near.nearest;
    near.nearest = NULL;
    fl_suggestion_try(&near, text, strlen(text));
    if (near.nearest) free(nearest), nearest = fl_strdup(text);
    near.nearest = near.nearest ? nearest : before;
  }
  sqlite3_finalize(st);
  if (nearest)
    fl_fail(err, FL_E_NOT_FOUND, "run '%s' has no node '%s'; did you mean '%s'?", run->id, name,
            nearest);
  else
    fl_fail(err, FL_E_NOT_FOUND, "run '%s' has no node '%s'", run->id, name);
  free(nearest);
}

fl_code fl_read_fail_node(fl_store *s, const fl_run_row *run, const char *name, fl_error *err) {
  renaming r = {.store = s, .name = fl_strdup(name)};
  fl_error ignored;
  (void)!fl_store_each_epoch(s, run->row, see_renaming, &r, &ignored);
  if (r.is_other)
    fl_fail(err, FL_E_NOT_FOUND, "run '%s' has no node '%s' any more: it is '%s' now", run->id,
            name, r.name);
  else
    fail_unknown_node(s, run, name, err);
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
