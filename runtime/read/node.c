// The nodes of a run and where each stands, derived from its last attempt and its last decision.
#include "read/read_internal.h"

#define STEPS_MAX 32 // rows to step over before a new search is cheaper

static size_t add_text(fl_buf *b, sqlite3_stmt *st, int column) {
  size_t at = b->size;
  const void *text = sqlite3_column_text(st, column);
  fl_buf_add(b, text ? text : "", (size_t)sqlite3_column_bytes(st, column));
  fl_buf_add_char(b, 0);
  return at;
}

static fl_read_node *grow(fl_read_nodes *n) {
  if (n->count == n->capacity) {
    n->capacity = n->capacity ? 2 * n->capacity : 64;
    n->nodes = fl_realloc(n->nodes, n->capacity * sizeof *n->nodes);
  }
  return &n->nodes[n->count++];
}

static fl_code load_declared(fl_store *s, int64_t definition, bool edited, fl_read_nodes *n,
                             fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  size_t type = 0, type_size = SIZE_MAX;
  fl_code code = fl_store_prepare_own(
      s,
      edited ? "SELECT node,name,type,parents,hook FROM definition_node WHERE definition=?1"
               " AND removed IS NULL ORDER BY coalesce(position,node)"
             : "SELECT node,name,type,parents,hook FROM definition_node WHERE definition=?1"
               " ORDER BY node",
      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, definition);
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    fl_read_node *node = grow(n);
    const void *text = sqlite3_column_text(st, 2);
    size_t size = (size_t)sqlite3_column_bytes(st, 2);
    // Neighbours mostly share a type: keep its text once.
    if (size != type_size || memcmp(n->text.data + type, text, size)) {
      type = add_text(&n->text, st, 2);
      type_size = size;
    }
    *node = (fl_read_node){.node = (uint32_t)sqlite3_column_int64(st, 0),
                           .index = (uint32_t)(n->count - 1),
                           .name = add_text(&n->text, st, 1),
                           .type = type,
                           .parents = add_text(&n->text, st, 3),
                           .hook = sqlite3_column_int(st, 4),
                           .map_node = FL_READ_NONE};
    if (n->text.failed) break;
    if (edited || node->node == node->index) continue;
    code = fl_store_fail_corrupt(s, err, "nodes of a definition are missing");
    break;
  }
  sqlite3_finalize(st);
  n->declared = n->count;
  return code;
}

// Index of the declared node of that number, FL_READ_NONE: there is none (any more).
static uint32_t index_of(const fl_read_nodes *n, uint32_t node) {
  if (!n->places) return node < n->declared ? node : FL_READ_NONE;
  return node < n->place_count ? n->places[node] : FL_READ_NONE;
}

/// A mended run: numbers are no indexes, and parents are stored by number.
static void find_places(fl_read_nodes *n) {
  for (size_t i = 0; i < n->count; i++)
    if (n->nodes[i].node >= n->place_count) n->place_count = n->nodes[i].node + 1;
  n->places = fl_alloc(((size_t)n->place_count + 1) * sizeof *n->places);
  memset(n->places, 0xFF, ((size_t)n->place_count + 1) * sizeof *n->places);
  for (size_t i = 0; i < n->count; i++) n->places[n->nodes[i].node] = (uint32_t)i;
  for (size_t i = 0; i < n->count && !n->text.failed; i++) {
    char *stored = fl_strdup(n->text.data + n->nodes[i].parents);
    const char *at = stored;
    uint32_t parent;
    size_t list = n->text.size;
    fl_buf_add_char(&n->text, '[');
    while (fl_read_next_parent(&at, &parent)) {
      uint32_t index = index_of(n, parent);
      if (index == FL_READ_NONE) continue;
      if (n->text.size > list + 1) fl_buf_add_char(&n->text, ',');
      fl_json_write_int(&n->text, index);
    }
    fl_buf_add(&n->text, "]", 2);
    n->nodes[i].parents = list;
    free(stored);
  }
}

static fl_code load_items(fl_store *s, int64_t run, fl_read_nodes *n, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(s,
                                      "SELECT node,name,coalesce(type,'item'),map_node,"
                                      "position,item FROM item WHERE run=?1"
                                      " ORDER BY map_node,position,node",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  size_t none = n->text.size;
  fl_buf_add(&n->text, "[]", 3);
  while (!(code = fl_store_read(s, st, &row, err)) && row && !n->text.failed) {
    uint32_t map_node = (uint32_t)sqlite3_column_int64(st, 3);
    // Items of a map that a mended script has no more are history.
    if (n->places && index_of(n, map_node) == FL_READ_NONE) continue;
    fl_read_node *node = grow(n);
    *node = (fl_read_node){.node = (uint32_t)sqlite3_column_int64(st, 0),
                           .index = (uint32_t)sqlite3_column_int64(st, 0),
                           .name = add_text(&n->text, st, 1),
                           .type = add_text(&n->text, st, 2),
                           .parents = none,
                           .map_node = map_node,
                           .position = (uint32_t)sqlite3_column_int64(st, 4),
                           .item = sqlite3_column_int64(st, 5)};
  }
  sqlite3_finalize(st);
  return code;
}

static int by_number(const void *a, const void *b) {
  uint32_t x = (*(fl_read_node *const *)a)->node, y = (*(fl_read_node *const *)b)->node;
  return x < y ? -1 : x > y;
}

static int by_map(const void *a, const void *b) {
  const fl_read_node *x = a, *y = b;
  if (x->map_node != y->map_node) return x->map_node < y->map_node ? -1 : 1;
  return x->position < y->position ? -1 : x->position > y->position;
}

/// A mended run: the engine counts items in the order of their numbers, readers see them in the
/// order of their maps.
static void arrange_items(fl_read_nodes *n) {
  size_t count = n->count - n->declared;
  if (!count) return;
  fl_read_node *items = n->nodes + n->declared;
  fl_read_node **order = fl_alloc(count * sizeof *order);
  for (size_t i = 0; i < count; i++) {
    order[i] = &items[i];
    items[i].map_node = index_of(n, items[i].map_node);
  }
  qsort(order, count, sizeof(fl_read_node *), by_number);
  for (size_t i = 0; i < count; i++) order[i]->index = (uint32_t)(n->declared + i);
  free(order);
  qsort(items, count, sizeof *items, by_map);
}

/// What a mended script has no more is not listed, but who asks for it by name gets its history.
static fl_code load_removed(fl_store *s, int64_t definition, fl_read_nodes *n, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  size_t listed = n->count, none = n->text.size;
  fl_code code = fl_store_prepare_own(s,
                                      "SELECT node,name,type FROM definition_node"
                                      " WHERE definition=?1 AND removed IS NOT NULL",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, definition);
  fl_buf_add(&n->text, "[]", 3);
  while (!(code = fl_store_read(s, st, &row, err)) && row && !n->text.failed) {
    fl_read_node *node = grow(n);
    *node = (fl_read_node){.node = (uint32_t)sqlite3_column_int64(st, 0),
                           .index = FL_READ_NONE,
                           .name = add_text(&n->text, st, 1),
                           .type = add_text(&n->text, st, 2),
                           .parents = none,
                           .map_node = FL_READ_NONE};
  }
  sqlite3_finalize(st);
  n->known = n->count;
  n->count = listed;
  return code;
}

fl_code fl_read_nodes_load(fl_store *s, const fl_run_row *run, fl_read_nodes *out, fl_error *err) {
  fl_definition_row definition;
  *out = (fl_read_nodes){0};
  fl_buf_init(&out->text, (size_t)FL_NODES_PER_FLOW_MAX * 512);
  fl_code code = fl_store_get_definition(s, run->definition, &definition, err);
  if (!code) code = load_declared(s, run->definition, definition.edited, out, err);
  if (!code && definition.edited) find_places(out);
  if (!code && !out->text.failed) code = load_items(s, run->row, out, err);
  if (!code && definition.edited) arrange_items(out);
  out->known = out->count;
  if (!code && definition.edited) code = load_removed(s, run->definition, out, err);
  if (!code && out->text.failed)
    code = fl_fail(err, FL_E_LIMIT, "run '%s' has more nodes than fit in memory", run->id);
  if (code) fl_read_nodes_deinit(out);
  return code;
}

void fl_read_nodes_deinit(fl_read_nodes *n) {
  fl_buf_deinit(&n->text);
  free(n->nodes);
  free(n->places);
  *n = (fl_read_nodes){0};
}

const fl_read_node *fl_read_nodes_find(const fl_read_nodes *n, const char *name) {
  for (size_t i = 0; i < n->known; i++)
    if (!strcmp(fl_read_text(n, n->nodes[i].name), name)) return &n->nodes[i];
  return NULL;
}

bool fl_read_next_parent(const char **at, uint32_t *parent) {
  const char *p = *at;
  while (*p && (*p < '0' || *p > '9')) p++;
  if (!*p) return false;
  *parent = 0;
  while (*p >= '0' && *p <= '9') *parent = *parent * 10 + (uint32_t)(*p++ - '0');
  *at = p;
  return true;
}

const fl_read_node *fl_read_order_next(const fl_read_nodes *n, fl_read_order *order) {
  size_t item = n->declared + order->items;
  bool left = item < n->count;
  // Items stand in the order of their maps: those of the nodes given out so far come first. Of
  // a map that is not in the definition any more: last.
  if (left && (n->nodes[item].map_node < order->declared || order->declared == n->declared)) {
    order->items++;
    return &n->nodes[item];
  }
  return order->declared < n->declared ? &n->nodes[order->declared++] : NULL;
}

// -------------------------------------------------------------------------------- cursors

fl_code fl_read_cursor_open(fl_store *s, const char *sql, int64_t run, int node_column,
                            fl_read_cursor *c, fl_error *err) {
  *c = (fl_read_cursor){.node_column = node_column};
  fl_code code = fl_store_prepare_own(s, sql, &c->st, err);
  if (!code) sqlite3_bind_int64(c->st, 1, run);
  return code;
}

void fl_read_cursor_close(fl_read_cursor *c) {
  sqlite3_finalize(c->st);
  *c = (fl_read_cursor){0};
}

static fl_code step(fl_store *s, fl_read_cursor *c, fl_error *err) {
  fl_code code = fl_store_read(s, c->st, &c->row, err);
  if (!code && c->row) c->node = (uint32_t)sqlite3_column_int64(c->st, c->node_column);
  return code;
}

fl_code fl_read_cursor_seek(fl_store *s, fl_read_cursor *c, uint32_t node, bool *found,
                            fl_error *err) {
  fl_code code = FL_OK;
  bool ahead = c->begun && node >= c->from; // what is asked for has not been passed
  if (!ahead || (c->row && node > c->node && node - c->node > STEPS_MAX)) {
    sqlite3_reset(c->st);
    sqlite3_bind_int64(c->st, 2, node);
    c->begun = true;
    code = step(s, c, err);
  }
  while (!code && c->row && c->node < node) code = step(s, c, err);
  c->from = node;
  *found = !code && c->row && c->node == node;
  return code;
}

fl_code fl_read_cursor_next(fl_store *s, fl_read_cursor *c, uint32_t node, bool *found,
                            fl_error *err) {
  c->from = node + 1;
  fl_code code = step(s, c, err);
  *found = !code && c->row && c->node == node;
  return code;
}

// -------------------------------------------------------------------------------- states

// What a state follows from, and what lists show of it: two thirds of the columns, for speed.
#define STATE_COLUMNS                                                                              \
  "node,number,seq,end_seq,state,reason,end_reason,started_ms,ended_ms,exit_code,signal,error,"    \
  "vars_in,vars_out,outputs,synthetic,retry_at_ms,cpu_us,rss_max_bytes,"                           \
  "coalesce(duration_ms,max(0,ended_ms-started_ms))"

static void attempt_from(sqlite3_stmt *st, fl_attempt_row *a) {
  a->node = (uint32_t)sqlite3_column_int64(st, 0);
  a->number = (uint32_t)sqlite3_column_int64(st, 1);
  a->seq = sqlite3_column_int64(st, 2);
  a->end_seq = sqlite3_column_int64(st, 3);
  a->state = fl_store_enum(sqlite3_column_int(st, 4), FL_ATTEMPT_STATE_COUNT);
  a->reason = fl_store_enum(sqlite3_column_int(st, 5), FL_REASON_COUNT);
  a->end_reason = fl_store_enum(sqlite3_column_int(st, 6), FL_REASON_COUNT);
  a->started_ms = sqlite3_column_int64(st, 7);
  a->ended_ms = sqlite3_column_int64(st, 8);
  a->exit_code = sqlite3_column_type(st, 9) == SQLITE_NULL ? -1 : sqlite3_column_int(st, 9);
  a->signal = sqlite3_column_int(st, 10);
  a->error = (const char *)sqlite3_column_text(st, 11);
  a->vars_in = sqlite3_column_int64(st, 12);
  a->vars_out = sqlite3_column_int64(st, 13);
  a->outputs = sqlite3_column_int64(st, 14);
  a->synthetic = sqlite3_column_int(st, 15) != 0;
  a->retry_at_ms = sqlite3_column_int64(st, 16);
  a->cpu_us = sqlite3_column_int64(st, 17);
  a->rss_max_bytes = sqlite3_column_int64(st, 18);
  a->duration_ms = sqlite3_column_int64(st, 19);
}

fl_code fl_read_states_open(fl_store *s, int64_t run, fl_read_states *out, fl_error *err) {
  *out = (fl_read_states){.store = s};
  fl_buf_init(&out->error, FL_ERROR_TEXT_MAX + 1);
  fl_buf_init(&out->detail, FL_ERROR_TEXT_MAX + 1);
  fl_code code = fl_read_cursor_open(s,
                                     "SELECT " STATE_COLUMNS " FROM attempt WHERE run=?1"
                                     " AND node>=?2 ORDER BY node,number",
                                     run, 0, &out->attempts, err);
  if (!code)
    code = fl_read_cursor_open(s,
                               "SELECT " FL_DECISION_COLUMNS " FROM decision WHERE run=?1"
                               " AND node>=?2 ORDER BY node,seq",
                               run, 1, &out->decisions, err);
  if (code) fl_read_states_close(out);
  return code;
}

void fl_read_states_close(fl_read_states *r) {
  fl_read_cursor_close(&r->attempts);
  fl_read_cursor_close(&r->decisions);
  fl_buf_deinit(&r->error);
  fl_buf_deinit(&r->detail);
}

// The row's text lives until its statement moves on; the last row is known only then.
static const char *keep(fl_buf *b, const char *text) {
  fl_buf_reset(b);
  if (!text) return NULL;
  fl_buf_add(b, text, strnlen(text, FL_ERROR_TEXT_MAX));
  return fl_buf_cstr(b);
}

static void derive(fl_read_state *out) {
  const fl_attempt_row *a = &out->last;
  int64_t last_seq = a->end_seq > a->seq ? a->end_seq : a->seq;
  out->decided = out->has_decision && (!out->has_attempt || out->decision.seq > last_seq);
  out->shown = out->has_attempt;
  if (out->decided) {
    out->state = out->decision.state;
    out->reason = out->decision.reason;
    // What an older attempt did says nothing about a node that waits for a new one or was skipped.
    if (a->end_seq && out->state != FL_NODE_CANCELLED && out->state != FL_NODE_FAILED &&
        out->state != FL_NODE_RETRYING)
      out->shown = false;
  } else if (out->has_attempt) {
    out->state = fl_node_state_of(a->state, a->retry_at_ms);
    out->reason = a->end_reason ? a->end_reason : a->synthetic ? FL_REASON_SYNTHETIC : a->reason;
  }
}

fl_code fl_read_state_get(fl_read_states *r, uint32_t node, fl_read_state *out, fl_error *err) {
  bool found = false;
  *out = (fl_read_state){.state = FL_NODE_PENDING};
  fl_code code = fl_read_cursor_seek(r->store, &r->attempts, node, &found, err);
  while (!code && found) {
    attempt_from(r->attempts.st, &out->last);
    out->last.error = keep(&r->error, out->last.error);
    out->has_attempt = true;
    if (!out->last.synthetic) out->attempts++;
    code = fl_read_cursor_next(r->store, &r->attempts, node, &found, err);
  }
  if (!code) code = fl_read_cursor_seek(r->store, &r->decisions, node, &found, err);
  while (!code && found) {
    fl_store_decision_from(r->decisions.st, &out->decision);
    out->decision.detail = keep(&r->detail, out->decision.detail);
    out->has_decision = true;
    code = fl_read_cursor_next(r->store, &r->decisions, node, &found, err);
  }
  if (!code) derive(out);
  return code;
}

const char *fl_read_state_get_error(const fl_read_state *state) {
  // A node that failed before any attempt of it (a conflict of vars) has its error in the decision;
  // so has one that cannot be ended.
  bool told = state->state == FL_NODE_FAILED || state->reason == FL_REASON_UNKILLABLE;
  if (state->decided && told && state->decision.detail) return state->decision.detail;
  return state->shown ? state->last.error : NULL;
}
