// `blame RUN KEY`: who gave a var, or a key of a node's outputs, which value, in order.
//
// A var is set by the flow itself, by patches, and by nodes: those of whose attempts the vars that
// were left differ from those that were seen. Only their texts are read.
#include "read/side_internal.h"

typedef enum setter { BY_FLOW, BY_PATCH, BY_NODE, BY_HAND, BY_MERGE } setter;

/// One time that the value was set.
typedef struct setting {
  setter how;
  uint32_t epoch, node, number; // number: of the attempt
  int64_t seq, at_ms;
  json_t *from, *to; // NULL: it was not there
} setting;

typedef struct blame {
  fl_store *store;
  fl_read_side side;
  const fl_read_node *node; // whose outputs; NULL: a var
  const char *key;
  setting *list;
  size_t count, capacity;
} blame;

static setting *add(blame *b, setter how, uint32_t epoch, int64_t seq, int64_t at_ms) {
  if (b->count == b->capacity) {
    b->capacity = b->capacity ? 2 * b->capacity : 16;
    b->list = fl_realloc(b->list, b->capacity * sizeof *b->list);
  }
  b->list[b->count] = (setting){.how = how, .epoch = epoch, .seq = seq, .at_ms = at_ms};
  return &b->list[b->count++];
}

/// The key's value in a stored map; NULL: it has none.
static fl_code get(const blame *b, int64_t id, json_t **out, fl_error *err) {
  fl_value *v = NULL;
  *out = NULL;
  fl_code code = fl_store_get_value(b->store, id, &v, err);
  if (code || !v) return code;
  json_t *map = fl_value_to_json(v);
  *out = json_incref(json_object_get(map, b->key));
  json_decref(map);
  fl_value_unref(v);
  return FL_OK;
}

static bool same(const json_t *a, const json_t *b) {
  return a == b || (a && b && json_equal(a, b));
}

static const char *name_of(const blame *b, uint32_t number) {
  for (size_t i = 0; i < b->side.nodes.known; i++)
    if (b->side.nodes.nodes[i].node == number)
      return fl_read_side_get_name(&b->side, &b->side.nodes.nodes[i]);
  return NULL; // a mended script has it no more
}

// -------------------------------------------------------------------------------- vars

typedef struct patches {
  blame *blame;
  fl_code code;
  fl_error *err;
} patches;

static bool see_patch(void *ud, const fl_epoch_row *row) {
  patches *p = ud;
  blame *b = p->blame;
  fl_value *v = NULL;
  p->code = fl_store_get_value(b->store, row->patch, &v, p->err);
  if (p->code || !v) return !p->code;
  json_t *patch = fl_value_to_json(v);
  json_t *to = json_object_get(json_object_get(patch, "vars"), b->key);
  if (to) add(b, BY_PATCH, row->epoch, 0, row->at_ms)->to = json_incref(to);
  json_decref(patch);
  fl_value_unref(v);
  return true;
}

static fl_code add_change(blame *b, const fl_attempt_row *a, fl_error *err) {
  json_t *from = NULL, *to = NULL, *by = NULL;
  fl_code code = get(b, a->vars_in, &from, err);
  if (!code) code = get(b, a->vars_out, &to, err);
  if (!code) code = get(b, a->vars_by, &by, err);
  const char *who = json_string_value(by), *name = name_of(b, a->node);
  // It had the value when it began, and is named as its setter: its merge function made it.
  bool merged = who && name && !strcmp(who, name) && to && same(from, to);
  if (!code && (merged || !same(from, to))) {
    setting *s = add(b, merged ? BY_MERGE : BY_NODE, a->epoch, a->end_seq,
                     a->ended_ms ? a->ended_ms : a->claimed_ms);
    s->node = a->node;
    s->number = a->number;
    s->from = merged ? NULL : json_incref(from);
    s->to = json_incref(to);
  }
  json_decref(from);
  json_decref(to);
  json_decref(by);
  return code;
}

static fl_code add_nodes(blame *b, fl_error *err) {
  sqlite3_stmt *st;
  fl_attempt_row a;
  bool row = false;
  int64_t by = -1;
  // Vars pass unchanged through most nodes. Where who set them changes though they do not, a merge
  // function made them.
  fl_code code = fl_store_prepare_own(b->store,
                                      "SELECT " FL_ATTEMPT_COLUMNS
                                      " FROM attempt WHERE run=?1 AND state=" FL_SQL_SUCCEEDED
                                      " AND vars_out IS NOT"
                                      " NULL AND coalesce(synthetic,0)=0 ORDER BY end_seq",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, b->side.run.row);
  while (!(code = fl_store_read(b->store, st, &row, err)) && row) {
    fl_store_attempt_from(st, &a);
    if (fl_store_is_same_value(b->store, a.vars_in, a.vars_out) &&
        fl_store_is_same_value(b->store, a.vars_by, by))
      continue;
    by = a.vars_by;
    code = add_change(b, &a, err);
    if (code) break;
  }
  sqlite3_finalize(st);
  return code;
}

static fl_code find_vars(blame *b, fl_error *err) {
  patches p = {.blame = b, .err = err};
  json_t *to = NULL;
  const fl_input_row *first = fl_read_results_get_input(&b->side.results, 0);
  fl_code code = get(b, first ? first->vars : b->side.run.vars, &to, err);
  if (to) add(b, BY_FLOW, 1, 0, b->side.run.created_ms)->to = to;
  if (!code) code = fl_store_each_epoch(b->store, b->side.run.row, see_patch, &p, err);
  if (!code) code = p.code;
  return code ? code : add_nodes(b, err);
}

// -------------------------------------------------------------------------------- outputs

static fl_code find_outputs(blame *b, fl_error *err) {
  sqlite3_stmt *st;
  fl_attempt_row a;
  bool row = false;
  json_t *last = NULL;
  fl_code code = fl_store_prepare_own(b->store,
                                      "SELECT " FL_ATTEMPT_COLUMNS " FROM attempt WHERE run=?1"
                                      " AND node=?2 AND state=" FL_SQL_SUCCEEDED " ORDER BY number",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, b->side.run.row);
  sqlite3_bind_int64(st, 2, b->node->node);
  while (!(code = fl_store_read(b->store, st, &row, err)) && row) {
    json_t *to;
    fl_store_attempt_from(st, &a);
    code = get(b, a.outputs, &to, err);
    if (code) break;
    if (same(last, to)) {
      json_decref(to);
      continue;
    }
    setting *s = add(b, a.synthetic ? BY_HAND : BY_NODE, a.epoch, a.end_seq,
                     a.ended_ms ? a.ended_ms : a.claimed_ms);
    s->node = a.node;
    s->number = a.number;
    s->from = json_incref(last);
    s->to = to;
    last = to;
  }
  sqlite3_finalize(st);
  return code;
}

/// "NODE.KEY": node names may hold dots, so that the longest that is one counts.
static void choose(blame *b, const char *key) {
  b->key = key;
  for (size_t at = strlen(key); at-- > 1;) {
    if (key[at] != '.' || !key[at + 1]) continue;
    char *name = fl_strndup(key, at);
    b->node = fl_read_side_find(&b->side, name);
    free(name);
    if (b->node) {
      b->key = key + at + 1;
      return;
    }
  }
}

// -------------------------------------------------------------------------------- JSON

// What an epoch began with comes before what its nodes did.
static int by_time(const void *a, const void *b) {
  const setting *x = a, *y = b;
  if (x->epoch != y->epoch) return x->epoch < y->epoch ? -1 : 1;
  if (x->seq != y->seq) return x->seq < y->seq ? -1 : 1;
  return (int)x->how - (int)y->how;
}

static void add_value(fl_buf *out, const char *key, const json_t *value) {
  if (!value) return;
  fl_buf_addf(out, ",\"%s\":", key);
  fl_json_write(out, value);
}

typedef struct finding {
  uint32_t epoch;
  fl_buf *out;
} finding;

static bool add_author(void *ud, const fl_epoch_row *row) {
  finding *f = ud;
  if (row->epoch != f->epoch) return true;
  fl_buf_add_str(f->out, ",\"author\":");
  fl_json_write_text(f->out, row->author);
  fl_buf_add_str(f->out, ",\"reason\":");
  fl_json_write_text(f->out, row->reason);
  return false;
}

static fl_code add_setting(blame *b, const setting *s, fl_buf *out, fl_error *err) {
  static const char *const names[] = {"flow", "patch", "node", "by_hand", "merge"};
  fl_code code = FL_OK;
  fl_buf_addf(out, "{\"how\":\"%s\",\"epoch\":%u,\"at\":", names[s->how], s->epoch);
  fl_read_add_time(out, s->at_ms);
  if (s->number) {
    fl_buf_add_str(out, ",\"node\":");
    fl_json_write_text(out, name_of(b, s->node));
    fl_buf_addf(out, ",\"attempt\":%u", s->number);
  }
  if (s->how == BY_PATCH || s->how == BY_HAND) {
    finding f = {s->epoch, out};
    code = fl_store_each_epoch(b->store, b->side.run.row, add_author, &f, err);
  }
  add_value(out, "from", s->from);
  add_value(out, "to", s->to);
  fl_buf_add_char(out, '}');
  return code;
}

static fl_code write_blame(blame *b, const char *key, fl_buf *out, fl_error *err) {
  fl_code code = FL_OK;
  if (!b->count)
    return fl_fail(err, FL_E_NOT_FOUND,
                   b->node ? "no attempt of run '%s' gave '%s'"
                           : "nothing in run '%s' ever set the var '%s' (outputs: NODE.KEY)",
                   b->side.run.id, key);
  qsort(b->list, b->count, sizeof *b->list, by_time);
  for (size_t i = 1; i < b->count; i++) // a patch sets what was there last
    if (b->list[i].how == BY_PATCH) b->list[i].from = json_incref(b->list[i - 1].to);
  fl_buf_addf(out, "{\"run\":\"%s\",\"key\":", b->side.run.id);
  fl_json_write_text(out, b->key);
  fl_buf_add_str(out, ",\"node\":");
  fl_json_write_text(out, b->node ? fl_read_side_get_name(&b->side, b->node) : NULL);
  fl_buf_addf(out, ",\"kind\":\"%s\",\"history\":[", b->node ? "output" : "var");
  for (size_t i = 0; i < b->count && !code; i++) {
    if (i) fl_buf_add_char(out, ',');
    code = add_setting(b, &b->list[i], out, err);
  }
  fl_buf_add_str(out, "]}");
  return code;
}

fl_code fl_read_store_blame(fl_store *s, const fl_run_row *run, const char *key, fl_buf *out,
                            fl_error *err) {
  blame b = {.store = s};
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  code = fl_read_side_open(&b.side, s, run->row, err);
  if (!code) choose(&b, key);
  if (!code) code = b.node ? find_outputs(&b, err) : find_vars(&b, err);
  if (!code) code = write_blame(&b, key, out, err);
  for (size_t i = 0; i < b.count; i++) {
    json_decref(b.list[i].from);
    json_decref(b.list[i].to);
  }
  free(b.list);
  fl_read_side_close(&b.side);
  fl_store_read_end(s);
  return code ? code : fl_read_finish(s, out, err);
}
