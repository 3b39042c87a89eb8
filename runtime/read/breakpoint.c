// `breakpoint RUN`: what is known of every node of a run that has stopped, and what a resume runs.
// One document that an adviser, or a person without the store, can decide on.
#include "base/resume.h"
#include "read/read_internal.h"

#define VALUE_MAX (64 << 10) // of a larger one only size and digest are told: `context` has it

/// What a resume makes of a node or an item.
typedef struct fate {
  fl_node_state was;
  fl_resume_action action;
  fl_reason why;
} fate;

typedef struct breakpoint {
  fl_store *store;
  fl_run_row run;
  fl_read_nodes nodes;
  fl_read_states states;
  fl_read_cursor attempts, checkpoints, steps;
  sqlite3_stmt *inputs;
  fate *fates;     // by place in nodes.nodes
  int64_t last_id; // of the value in `text`: many nodes share one
  fl_buf text;
  fl_buf *out;
} breakpoint;

// ------------------------------------------------------------------------------------- values

/// {"digest","size","value"}; null for none.
static void add_text_value(breakpoint *b, const char *text, size_t size) {
  uint8_t digest[FL_DIGEST_SIZE];
  char hex[2 * FL_DIGEST_SIZE + 1];
  fl_digest(text, size, digest);
  fl_digest_hex(digest, hex);
  fl_buf_addf(b->out, "{\"digest\":\"sha256:%s\",\"size\":%zu", hex, size);
  if (size <= VALUE_MAX) {
    fl_buf_add_str(b->out, ",\"value\":");
    fl_buf_add(b->out, text, size);
  }
  fl_buf_add_char(b->out, '}');
}

static fl_code add_value(breakpoint *b, int64_t id, fl_error *err) {
  if (!id) {
    fl_buf_add_str(b->out, "null");
    return FL_OK;
  }
  if (id != b->last_id) {
    fl_buf_reset(&b->text);
    b->last_id = 0;
    fl_code code = fl_store_append_value(b->store, id, "null", &b->text, err);
    if (code) return code;
    b->last_id = id;
  }
  add_text_value(b, b->text.data, b->text.size);
  return FL_OK;
}

static void add_int(fl_buf *out, const char *key, int64_t number) {
  fl_buf_add_str(out, key);
  fl_json_write_int(out, number);
}

/// `none`: the number that stands for none.
static void add_int_or_null(fl_buf *out, const char *key, int64_t number, int64_t none) {
  fl_buf_add_str(out, key);
  if (number == none)
    fl_buf_add_str(out, "null");
  else
    fl_json_write_int(out, number);
}

static void add_named(fl_buf *out, const char *key, const char *text) {
  fl_buf_add_str(out, key);
  fl_json_write_text(out, text);
}

// ------------------------------------------------------------------------------------- nodes

static void add_attempt(breakpoint *b, const fl_attempt_row *a) {
  fl_buf *out = b->out;
  fl_buf_addf(out, "{\"attempt\":%u,\"status\":\"%s\"", a->number, fl_attempt_state_text(a->state));
  fl_reason reason = a->end_reason ? a->end_reason : a->reason;
  add_named(out, ",\"reason\":", reason ? fl_reason_name(reason) : NULL);
  add_int(out, ",\"epoch\":", a->epoch);
  fl_buf_add_str(out, ",\"started_at\":");
  fl_read_add_time(out, a->started_ms);
  fl_buf_add_str(out, ",\"ended_at\":");
  fl_read_add_time(out, a->ended_ms);
  add_int_or_null(out, ",\"exit_code\":", a->exit_code, -1);
  add_int_or_null(out, ",\"signal\":", a->signal, 0);
  add_named(out, ",\"error\":", a->error);
  fl_buf_addf(out, ",\"synthetic\":%s", a->synthetic ? "true" : "false");
  add_int(out, ",\"resources\":{\"cpu_ms\":", (a->cpu_us + 500) / 1000);
  add_int(out, ",\"max_rss_bytes\":", a->rss_max_bytes);
  fl_buf_add_str(out, "},\"log\":");
  if (*a->log.path) {
    add_named(out, "{\"path\":", a->log.path);
    add_int(out, ",\"offset\":", a->log.offset);
    add_int(out, ",\"size\":", a->log.size);
    add_int(out, ",\"total\":", a->log.total);
    fl_buf_add_str(out, "}}");
  } else {
    fl_buf_add_str(out, "null}");
  }
}

/// All attempts as a list; `*last` is the newest one, without its texts (number 0: there is none).
static fl_code add_attempts(breakpoint *b, uint32_t node, fl_attempt_row *last, fl_error *err) {
  bool found = false;
  *last = (fl_attempt_row){.seq = INT64_MAX};
  fl_buf_add_str(b->out, ",\"attempts\":[");
  fl_code code = fl_read_cursor_seek(b->store, &b->attempts, node, &found, err);
  while (!code && found) {
    if (last->number) fl_buf_add_char(b->out, ',');
    fl_store_attempt_from(b->attempts.st, last);
    add_attempt(b, last);
    last->error = last->log.path = NULL;
    code = fl_read_cursor_next(b->store, &b->attempts, node, &found, err);
  }
  fl_buf_add_char(b->out, ']');
  return code;
}

/// Outputs of what it depends on: those that its last attempt saw, else those there are now.
static fl_code add_inputs(breakpoint *b, uint32_t node, int64_t seq, fl_error *err) {
  fl_code code;
  bool row = false, more = false;
  sqlite3_bind_int64(b->inputs, 1, b->run.row);
  sqlite3_bind_int64(b->inputs, 2, b->run.definition);
  sqlite3_bind_int64(b->inputs, 3, node);
  sqlite3_bind_int64(b->inputs, 4, seq);
  fl_buf_add_str(b->out, ",\"inputs\":{");
  while (!(code = fl_store_read(b->store, b->inputs, &row, err)) && row) {
    if (!sqlite3_column_int(b->inputs, 2)) continue; // it has given nothing (yet)
    if (more) fl_buf_add_char(b->out, ',');
    fl_json_write_text(b->out, (const char *)sqlite3_column_text(b->inputs, 0));
    fl_buf_add_char(b->out, ':');
    int64_t id = sqlite3_column_int64(b->inputs, 1);
    code = add_value(b, id ? id : FL_VALUE_ID_NULL, err);
    if (code) break;
    more = true;
  }
  sqlite3_reset(b->inputs);
  fl_buf_add_char(b->out, '}');
  return code;
}

/// Its checkpoint, and the names of the steps that are not run again.
static fl_code add_saved(breakpoint *b, uint32_t node, fl_error *err) {
  bool found = false, more = false;
  fl_buf_add_str(b->out, ",\"checkpoint\":");
  fl_code code = fl_read_cursor_seek(b->store, &b->checkpoints, node, &found, err);
  if (code) return code;
  if (found) {
    fl_buf_reset(&b->text);
    b->last_id = 0;
    code = fl_store_append_checkpoint(b->store, b->checkpoints.st, 1, &b->text, err);
    if (!code) add_text_value(b, b->text.data, b->text.size);
  } else {
    fl_buf_add_str(b->out, "null");
  }
  fl_buf_add_str(b->out, ",\"steps\":[");
  if (!code) code = fl_read_cursor_seek(b->store, &b->steps, node, &found, err);
  while (!code && found) {
    if (more) fl_buf_add_char(b->out, ',');
    more = true;
    fl_json_write_text(b->out, (const char *)sqlite3_column_text(b->steps.st, 1));
    code = fl_read_cursor_next(b->store, &b->steps, node, &found, err);
  }
  fl_buf_add_char(b->out, ']');
  return code;
}

static void add_parents(breakpoint *b, const fl_read_node *node) {
  const char *at = fl_read_text(&b->nodes, node->parents);
  uint32_t parent;
  bool more = false;
  fl_buf_add_str(b->out, ",\"after\":[");
  while (fl_read_next_parent(&at, &parent)) {
    if (parent >= b->nodes.declared) continue;
    if (more) fl_buf_add_char(b->out, ',');
    more = true;
    fl_json_write_text(b->out, fl_read_text(&b->nodes, b->nodes.nodes[parent].name));
  }
  fl_buf_add_char(b->out, ']');
}

static fl_code add_node(breakpoint *b, const fl_read_node *node, fl_error *err) {
  fl_read_state state;
  fl_attempt_row last;
  fl_buf *out = b->out;
  fl_code code = fl_read_state_get(&b->states, node->node, &state, err);
  if (code) return code;
  add_named(out, "{\"name\":", fl_read_text(&b->nodes, node->name));
  add_named(out, ",\"type\":", fl_read_text(&b->nodes, node->type));
  add_named(out, ",\"status\":", fl_node_state_text(state.state));
  add_named(out, ",\"reason\":", state.reason ? fl_reason_name(state.reason) : NULL);
  add_named(out, ",\"text\":", state.reason ? fl_reason_text(state.reason) : NULL);
  add_named(out, ",\"detail\":", state.decided ? state.decision.detail : NULL);
  add_parents(b, node);
  code = add_attempts(b, node->node, &last, err);
  uint32_t map = node->map_node == FL_READ_NONE ? node->node : b->nodes.nodes[node->map_node].node;
  if (!code) code = add_inputs(b, map, last.seq, err);
  const struct {
    const char *key;
    int64_t id;
  } values[] = {{",\"item\":", node->item},
                {",\"vars\":", last.vars_in},
                {",\"outputs\":", state.shown ? last.outputs : 0},
                {",\"vars_out\":", state.shown ? last.vars_out : 0}};
  for (size_t i = 0; !code && i < sizeof values / sizeof *values; i++) {
    fl_buf_add_str(out, values[i].key);
    code = add_value(b, values[i].id, err);
  }
  if (!code) code = add_saved(b, node->node, err);
  fl_buf_add_char(out, '}');
  return code;
}

static fl_code add_nodes(breakpoint *b, fl_error *err) {
  fl_read_order order = {0};
  const fl_read_node *node;
  fl_code code = FL_OK;
  bool more = false;
  fl_buf_add_str(b->out, ",\"nodes\":[");
  while (!code && !b->out->failed && (node = fl_read_order_next(&b->nodes, &order))) {
    if (more) fl_buf_add_char(b->out, ',');
    more = true;
    code = add_node(b, node, err);
  }
  fl_buf_add_char(b->out, ']');
  return code;
}

// ------------------------------------------------------------------------------------- the run

/// What brought the run to its stop, in this epoch; `at` is that of the first, else its end.
static fl_code add_failed(breakpoint *b, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false, more = false;
  fl_buf *out = b->out;
  fl_code code = fl_store_prepare_own(
      b->store,
      "SELECT coalesce(n.name,i.name),b.number,b.at_ms,coalesce(a.error,d.detail),a.exit_code,"
      "a.signal,coalesce(a.end_reason,d.reason,0),(SELECT id FROM run WHERE row=a.child_run)"
      " FROM breakpoint b"
      " LEFT JOIN definition_node n ON n.definition=?3 AND n.node=b.node"
      " LEFT JOIN item i ON i.run=b.run AND i.node=b.node"
      " LEFT JOIN attempt a ON a.run=b.run AND a.node=b.node AND a.number=b.number"
      " LEFT JOIN decision d ON d.run=b.run AND d.node=b.node AND d.seq=b.seq"
      " WHERE b.run=?1 AND b.epoch=?2 ORDER BY b.seq",
      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, b->run.row);
  sqlite3_bind_int64(st, 2, b->run.epoch);
  sqlite3_bind_int64(st, 3, b->run.definition);
  fl_buf_add_str(out, ",\"at\":");
  while (!(code = fl_store_read(b->store, st, &row, err)) && row) {
    fl_reason reason = fl_store_enum(sqlite3_column_int(st, 6), FL_REASON_COUNT);
    if (!more) fl_read_add_time(out, sqlite3_column_int64(st, 2));
    add_named(out, more ? ",{\"node\":" : ",\"failed\":[{\"node\":",
              (const char *)sqlite3_column_text(st, 0));
    more = true;
    add_int_or_null(out, ",\"attempt\":", sqlite3_column_int64(st, 1), 0);
    fl_buf_add_str(out, ",\"at\":");
    fl_read_add_time(out, sqlite3_column_int64(st, 2));
    add_named(out, ",\"error\":", (const char *)sqlite3_column_text(st, 3));
    bool exited = sqlite3_column_type(st, 4) != SQLITE_NULL;
    add_int_or_null(out, ",\"exit_code\":", exited ? sqlite3_column_int64(st, 4) : -1, -1);
    add_int_or_null(out, ",\"signal\":", sqlite3_column_int64(st, 5), 0);
    add_named(out, ",\"reason\":", reason ? fl_reason_name(reason) : NULL);
    add_named(out, ",\"text\":", reason ? fl_reason_text(reason) : NULL);
    add_named(out, ",\"run\":", (const char *)sqlite3_column_text(st, 7));
    fl_buf_add_char(out, '}');
  }
  sqlite3_finalize(st);
  if (!more) {
    fl_read_add_time(out, fl_run_state_is_final(b->run.state) ? b->run.ended_ms : 0);
    fl_buf_add_str(out, ",\"failed\":[");
  }
  fl_buf_add_char(out, ']');
  return code;
}

static fl_code add_version(breakpoint *b, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(
      b->store, "SELECT 'sha256:'||lower(hex(digest)) FROM script WHERE id=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, b->run.script);
  code = fl_store_read(b->store, st, &row, err);
  add_named(b->out,
            ",\"version\":", !code && row ? (const char *)sqlite3_column_text(st, 0) : NULL);
  sqlite3_finalize(st);
  return code;
}

// ------------------------------------------------------------------------------------- the queue

typedef struct frame {
  uint32_t node;
  const char *at; // in its list of parents
} frame;

/// Declared nodes so that each stands after what it depends on, else as declared. No recursion: a
/// chain may be a million long.
static uint32_t *make_order(const fl_read_nodes *n) {
  uint32_t *order = fl_alloc((n->declared + 1) * sizeof *order), done = 0, parent;
  uint8_t *seen = fl_alloc_zero(n->declared + 1, 1);
  frame *stack = fl_alloc((n->declared + 1) * sizeof *stack);
  for (uint32_t i = 0; i < n->declared; i++) {
    size_t depth = 0;
    if (!seen[i]) stack[depth++] = (frame){i, fl_read_text(n, n->nodes[i].parents)};
    seen[i] = 1;
    while (depth) {
      frame *f = &stack[depth - 1];
      if (!fl_read_next_parent(&f->at, &parent)) {
        order[done++] = f->node;
        depth--;
      } else if (parent < n->declared && !seen[parent]) {
        seen[parent] = 1;
        stack[depth++] = (frame){parent, fl_read_text(n, n->nodes[parent].parents)};
      }
    }
  }
  free(seen);
  free(stack);
  return order;
}

// By place: what the nodes and items before it make of it is decided.
static fl_code look_at(breakpoint *b, size_t place, fl_error *err) {
  fl_read_state state;
  const fl_read_node *node = &b->nodes.nodes[place];
  bool item = node->map_node != FL_READ_NONE, moves = false, unchosen = false;
  fl_code code = fl_read_state_get(&b->states, node->node, &state, err);
  if (code) return code;
  fate *f = &b->fates[place];
  f->was = state.state;
  if (item && !fl_resume_asks_item(f->was, b->fates[node->map_node].action)) return FL_OK;
  const char *at = fl_read_text(&b->nodes, node->parents);
  const char *chooser = state.reason == FL_REASON_BRANCH_NOT_CHOSEN ? state.decision.detail : NULL;
  uint32_t parent;
  while (!item && fl_read_next_parent(&at, &parent)) {
    if (parent >= b->nodes.declared) continue;
    const fate *p = &b->fates[parent];
    moves |= fl_resume_moves(p->was, p->action, p->why);
    unchosen |= chooser && p->action == FL_RESUME_KEEP &&
                !strcmp(chooser, fl_read_text(&b->nodes, b->nodes.nodes[parent].name));
  }
  bool stays = item || fl_resume_stays_out(f->was, state.reason, moves);
  f->action = fl_resume_by_state(f->was, state.reason, stays, unchosen, &f->why);
  return FL_OK;
}

static fl_code add_queue(breakpoint *b, fl_error *err) {
  const fl_read_nodes *n = &b->nodes;
  uint32_t *order = make_order(n);
  size_t *first = fl_alloc_zero(n->declared + 1, sizeof *first); // item of a map, plus 1
  fl_code code = FL_OK;
  bool more = false;
  b->fates = fl_alloc_zero(n->count + 1, sizeof *b->fates); // kept
  for (size_t i = n->count; i > n->declared; i--) first[n->nodes[i - 1].map_node] = i;
  fl_buf_add_str(b->out, ",\"queue\":[");
  for (uint32_t i = 0; !code && i < n->declared; i++) {
    size_t place = order[i], next = first[place];
    if (n->nodes[place].hook) continue; // they run at every end
    while (!code) {
      code = look_at(b, place, err);
      if (!code && b->fates[place].action == FL_RESUME_RUN) {
        if (more) fl_buf_add_char(b->out, ',');
        more = true;
        fl_json_write_text(b->out, fl_read_text(n, n->nodes[place].name));
      }
      bool item = next && next <= n->count && n->nodes[next - 1].map_node == order[i];
      if (!item) break;
      place = next++ - 1;
    }
  }
  fl_buf_add_char(b->out, ']');
  free(order);
  free(first);
  return code;
}

// ------------------------------------------------------------------------------------- all of it

static fl_code open_cursors(breakpoint *b, fl_error *err) {
  int64_t run = b->run.row;
  fl_code code = fl_read_states_open(b->store, run, &b->states, err);
  if (!code)
    code = fl_read_cursor_open(b->store,
                               "SELECT " FL_ATTEMPT_COLUMNS " FROM attempt WHERE run=?1"
                               " AND node>=?2 ORDER BY node,number",
                               run, 1, &b->attempts, err);
  if (!code)
    code = fl_read_cursor_open(b->store,
                               "SELECT node,digest,text,value FROM checkpoint WHERE run=?1"
                               " AND node>=?2 ORDER BY node",
                               run, 0, &b->checkpoints, err);
  if (!code)
    code = fl_read_cursor_open(b->store,
                               "SELECT node,name FROM step WHERE run=?1 AND node>=?2"
                               " ORDER BY node,name",
                               run, 0, &b->steps, err);
  if (code) return code;
  return fl_store_prepare_own(
      b->store,
      "SELECT p.name,(SELECT outputs FROM attempt a WHERE a.run=?1 AND a.node=p.node AND "
      "a.state=" FL_SQL_SUCCEEDED
      " AND coalesce(a.end_seq,a.seq)<?4 ORDER BY a.number DESC LIMIT 1),"
      " EXISTS(SELECT 1 FROM attempt a WHERE a.run=?1 AND a.node=p.node AND "
      "a.state=" FL_SQL_SUCCEEDED
      " AND coalesce(a.end_seq,a.seq)<?4) FROM definition_node n JOIN json_each(n.parents) j"
      " JOIN definition_node p ON p.definition=?2 AND p.node=j.value"
      " WHERE n.definition=?2 AND n.node=?3 ORDER BY j.key",
      &b->inputs, err);
}

static fl_code write_breakpoint(breakpoint *b, fl_error *err) {
  fl_buf_add_str(b->out, "{\"run\":");
  fl_code code = fl_read_add_run(b->store, &b->run, b->out, err);
  if (!code) code = add_failed(b, err);
  if (!code) code = add_version(b, err);
  if (!code) code = add_nodes(b, err);
  if (!code) code = add_queue(b, err);
  fl_buf_add_str(b->out, ",\"patches\":");
  if (!code) code = fl_read_add_patches(b->store, &b->run, b->out, err);
  fl_buf_add_str(b->out, ",\"proposals\":");
  if (!code) code = fl_read_add_proposals(b->store, &b->run, b->out, err);
  fl_buf_add_char(b->out, '}');
  return code;
}

fl_code fl_read_store_breakpoint(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err) {
  breakpoint b = {.store = s, .out = out};
  fl_buf_init(&b.text, FL_VALUE_SIZE_MAX + 1);
  fl_code code = fl_read_begin(s, run, &b.run, err);
  if (!code && b.run.state == FL_RUN_SUCCEEDED)
    code = fl_fail(err, FL_E_STATE, "run %s has succeeded: it is at no breakpoint", b.run.id);
  if (!code) code = fl_read_nodes_load(s, &b.run, &b.nodes, err);
  if (!code) code = open_cursors(&b, err);
  if (!code) code = write_breakpoint(&b, err);
  sqlite3_finalize(b.inputs);
  fl_read_cursor_close(&b.attempts);
  fl_read_cursor_close(&b.checkpoints);
  fl_read_cursor_close(&b.steps);
  fl_read_states_close(&b.states);
  fl_read_nodes_deinit(&b.nodes);
  fl_buf_deinit(&b.text);
  free(b.fates);
  fl_read_end(s, &b.run);
  return code ? code : fl_read_finish(s, out, err);
}
