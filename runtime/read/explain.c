// `explain RUN [NODE]`: why each node is where it is. The reasons were recorded when the decisions
// were made; only what a pending node waits for is worked out here.
#include "read/read_internal.h"

#define NAMES_MAX 5 // parents named in a detail; the rest is a number

/// One line of a node's history.
typedef struct entry {
  int64_t seq, at_ms;
  const char *what;
  uint32_t attempt; // 0: a decision
  fl_reason reason;
  char *detail;
} entry;

typedef struct explain {
  fl_store *store;
  fl_run_row run;
  fl_read_nodes nodes;
  fl_read_states states;
  fl_read_cursor attempts, decisions;
  fl_read_waits *waits;
  uint8_t *all; // state of every declared node; loaded when a pending node is met
  entry *entries;
  size_t count, capacity;
  fl_buf detail;
  fl_buf *out;
} explain;

// -------------------------------------------------------------------------------- history

static entry *add_entry(explain *e) {
  if (e->count == e->capacity) {
    e->capacity = e->capacity ? 2 * e->capacity : 16;
    e->entries = fl_realloc(e->entries, e->capacity * sizeof *e->entries);
  }
  e->entries[e->count] = (entry){0};
  return &e->entries[e->count++];
}

static void clear_entries(explain *e) {
  for (size_t i = 0; i < e->count; i++) free(e->entries[i].detail);
  e->count = 0;
}

static int by_seq(const void *a, const void *b) {
  int64_t x = ((const entry *)a)->seq, y = ((const entry *)b)->seq;
  return x < y ? -1 : x > y;
}

static void add_attempt(explain *e, const fl_attempt_row *a) {
  if (!a->synthetic)
    *add_entry(e) = (entry){.seq = a->seq,
                            .at_ms = a->claimed_ms,
                            .what = "started",
                            .attempt = a->number,
                            .reason = a->reason};
  if (!a->end_seq) return;
  *add_entry(e) = (entry){.seq = a->end_seq,
                          .at_ms = a->ended_ms ? a->ended_ms : a->claimed_ms,
                          .what = fl_attempt_state_text(a->state),
                          .attempt = a->number,
                          .reason = a->synthetic ? FL_REASON_SYNTHETIC : a->end_reason,
                          .detail = a->error ? fl_strdup(a->error) : NULL};
}

static fl_code load_history(explain *e, uint32_t node, fl_error *err) {
  bool found = false;
  fl_attempt_row a;
  fl_decision_row d;
  clear_entries(e);
  fl_code code = fl_read_cursor_seek(e->store, &e->attempts, node, &found, err);
  while (!code && found) {
    fl_store_attempt_from(e->attempts.st, &a);
    add_attempt(e, &a);
    code = fl_read_cursor_next(e->store, &e->attempts, node, &found, err);
  }
  if (!code) code = fl_read_cursor_seek(e->store, &e->decisions, node, &found, err);
  while (!code && found) {
    fl_store_decision_from(e->decisions.st, &d);
    *add_entry(e) = (entry){.seq = d.seq,
                            .at_ms = d.at_ms,
                            .what = fl_node_state_text(d.state),
                            .reason = d.reason,
                            .detail = d.detail ? fl_strdup(d.detail) : NULL};
    code = fl_read_cursor_next(e->store, &e->decisions, node, &found, err);
  }
  if (e->count) qsort(e->entries, e->count, sizeof *e->entries, by_seq);
  return code;
}

// -------------------------------------------------------------------------------- reasons

static fl_code load_all(explain *e, fl_error *err) {
  fl_read_states states;
  fl_read_state state;
  if (e->all) return FL_OK;
  e->all = fl_alloc_zero(e->nodes.declared + 1, 1);
  fl_code code = fl_read_states_open(e->store, e->run.row, &states, err);
  for (uint32_t i = 0; !code && i < e->nodes.declared; i++) {
    code = fl_read_state_get(&states, e->nodes.nodes[i].node, &state, err);
    if (!code) e->all[i] = (uint8_t)state.state;
  }
  fl_read_states_close(&states);
  return code;
}

/// What a pending node waits for. `*deep`: one of its parents is pending too, so that the reason to
/// look at is that one's.
static fl_code find_waits(explain *e, const fl_read_node *node, fl_reason *reason, bool *deep,
                          fl_error *err) {
  const char *at = fl_read_text(&e->nodes, node->parents);
  uint32_t parent, unfinished = 0;
  *deep = false;
  fl_code code = load_all(e, err);
  if (code) return code;
  while (fl_read_next_parent(&at, &parent)) {
    if (parent >= e->nodes.declared || fl_node_state_is_final(e->all[parent])) continue;
    if (e->all[parent] == FL_NODE_PENDING) *deep = true;
    if (++unfinished > NAMES_MAX) continue;
    fl_buf_addf(&e->detail, "%s%s", unfinished > 1 ? ", " : "",
                fl_read_text(&e->nodes, e->nodes.nodes[parent].name));
  }
  if (unfinished > NAMES_MAX) fl_buf_addf(&e->detail, " and %u more", unfinished - NAMES_MAX);
  if (unfinished) *reason = FL_REASON_WAITS_FOR_NODES;
  if (unfinished || node->hook) return FL_OK;
  const fl_read_node *known =
      node->map_node == FL_READ_NONE ? node : &e->nodes.nodes[node->map_node];
  return fl_read_find_wait(e->store, &e->run, known->node, &e->waits, reason, &e->detail, err);
}

/// Why the node is where it is; the detail goes to e->detail.
static fl_code find_reason(explain *e, const fl_read_node *node, const fl_read_state *state,
                           fl_reason *reason, bool *deep, fl_error *err) {
  char time[FL_TIME_TEXT_SIZE];
  fl_buf_reset(&e->detail);
  *reason = state->reason;
  *deep = false;
  if (state->state == FL_NODE_PENDING && !fl_run_state_is_final(e->run.state)) {
    fl_code code = find_waits(e, node, reason, deep, err);
    if (code || *reason != state->reason) return code;
    if (node->hook)
      fl_buf_add_str(&e->detail, "it runs at the end of the run, where that calls for it");
  }
  if (state->state == FL_NODE_RUNNING && fl_store_owner_is_dead(e->store, e->run.owner))
    fl_buf_add_str(&e->detail, "no engine executes its run: a resume looks what became of it");
  if (state->decided) {
    if (state->decision.detail) fl_buf_add_str(&e->detail, state->decision.detail);
  } else if (state->state == FL_NODE_RETRYING) {
    *reason = FL_REASON_WAITS_FOR_RETRY;
    fl_time_format(state->last.retry_at_ms, time);
    fl_buf_addf(&e->detail, "until %s; %s", time, state->last.error ? state->last.error : "");
  } else if (state->has_attempt && state->last.error) {
    fl_buf_add_str(&e->detail, state->last.error);
  }
  return FL_OK;
}

static bool says_something(const explain *e, const fl_read_state *state, bool deep) {
  switch (state->state) {
  case FL_NODE_PENDING:
    return state->has_decision || (!fl_run_state_is_final(e->run.state) && !deep);
  case FL_NODE_SUCCEEDED: return state->attempts != 1 || state->last.synthetic;
  default: return true;
  }
}

// -------------------------------------------------------------------------------- JSON

static void add_reason(fl_buf *out, fl_reason reason, const char *detail) {
  fl_buf_add_str(out, ",\"reason\":");
  fl_json_write_text(out, reason ? fl_reason_name(reason) : NULL);
  fl_buf_add_str(out, ",\"text\":");
  fl_json_write_text(out, reason ? fl_reason_text(reason) : NULL);
  fl_buf_add_str(out, ",\"detail\":");
  fl_json_write_text(out, detail && *detail ? detail : NULL);
}

static fl_code add_node(explain *e, const fl_read_node *node, bool asked, size_t *written,
                        fl_error *err) {
  fl_read_state state;
  fl_reason reason = FL_REASON_NONE;
  bool deep = false;
  fl_buf *out = e->out;
  fl_code code = fl_read_state_get(&e->states, node->node, &state, err);
  if (!code) code = find_reason(e, node, &state, &reason, &deep, err);
  if (code || (!asked && !says_something(e, &state, deep))) return code;
  if ((*written)++) fl_buf_add_char(out, ',');
  fl_buf_add_str(out, "{\"node\":");
  fl_json_write_text(out, fl_read_text(&e->nodes, node->name));
  fl_buf_addf(out, ",\"status\":\"%s\"", fl_node_state_text(state.state));
  add_reason(out, reason, fl_buf_cstr(&e->detail));
  fl_buf_add_str(out, ",\"history\":[");
  code = load_history(e, node->node, err);
  for (size_t i = 0; !code && i < e->count; i++) {
    const entry *h = &e->entries[i];
    fl_buf_add_str(out, i ? ",{\"at\":" : "{\"at\":");
    fl_read_add_time(out, h->at_ms);
    fl_buf_addf(out, ",\"what\":\"%s\",\"attempt\":", h->what);
    if (h->attempt)
      fl_json_write_int(out, h->attempt);
    else
      fl_buf_add_str(out, "null");
    add_reason(out, h->reason, h->detail);
    fl_buf_add_char(out, '}');
  }
  fl_buf_add_str(out, "]}");
  return code;
}

static fl_code write_explain(explain *e, const char *name, fl_error *err) {
  fl_read_order order = {0};
  const fl_read_node *node;
  size_t written = 0;
  fl_code code = FL_OK;
  fl_buf_addf(e->out, "{\"run\":\"%s\",\"status\":\"%s\",\"patches\":", e->run.id,
              fl_read_get_status(e->store, &e->run));
  code = fl_read_add_patches(e->store, &e->run, e->out, err);
  if (code) return code;
  fl_buf_add_str(e->out, ",\"nodes\":[");
  if (name) {
    node = fl_read_nodes_find(&e->nodes, name);
    code = node ? add_node(e, node, true, &written, err)
                : fl_read_fail_node(e->store, &e->run, name, err);
  } else {
    while (!code && !e->out->failed && (node = fl_read_order_next(&e->nodes, &order)))
      code = add_node(e, node, false, &written, err);
  }
  fl_buf_add_str(e->out, "]}");
  return code;
}

fl_code fl_read_store_explain(fl_store *s, const fl_run_row *run, const char *node, fl_buf *out,
                              fl_error *err) {
  explain e = {.store = s, .out = out};
  fl_buf_init(&e.detail, 4 * FL_ERROR_TEXT_MAX);
  fl_code code = fl_read_begin(s, run, &e.run, err);
  if (!code) code = fl_read_nodes_load(s, &e.run, &e.nodes, err);
  if (!code) code = fl_read_states_open(s, e.run.row, &e.states, err);
  if (!code)
    code = fl_read_cursor_open(s,
                               "SELECT " FL_ATTEMPT_COLUMNS " FROM attempt WHERE run=?1"
                               " AND node>=?2 ORDER BY node,number",
                               e.run.row, 1, &e.attempts, err);
  if (!code)
    code = fl_read_cursor_open(s,
                               "SELECT " FL_DECISION_COLUMNS " FROM decision WHERE run=?1"
                               " AND node>=?2 ORDER BY node,seq",
                               e.run.row, 1, &e.decisions, err);
  if (!code) code = write_explain(&e, node, err);
  clear_entries(&e);
  free(e.entries);
  free(e.all);
  fl_read_waits_free(e.waits);
  fl_read_cursor_close(&e.attempts);
  fl_read_cursor_close(&e.decisions);
  fl_read_states_close(&e.states);
  fl_read_nodes_deinit(&e.nodes);
  fl_buf_deinit(&e.detail);
  fl_read_end(s, &e.run);
  return code ? code : fl_read_finish(s, out, err);
}
