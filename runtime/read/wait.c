// What a node waits for that could start as far as its parents go: other runs of its flow, its
// pool, a slot, or an engine that lives.
#include "read/read_internal.h"

#define HOLDERS_NAMED 5

// What an attempt that lives holds, in a run of the same owner.
typedef struct holder {
  size_t run, flow, node, pool; // of the text; pool "": none
  uint32_t weight;
  bool slot;
} holder;

struct fl_read_waits {
  holder *holders;
  size_t count, capacity;
  fl_buf text;
};

void fl_read_waits_free(fl_read_waits *w) {
  if (!w) return;
  free(w->holders);
  fl_buf_deinit(&w->text);
  free(w);
}

// Attempts with a row of their own, which hold a slot once they have begun, and claims that have
// none yet. A map holds nothing itself: what is said of it is said of its items.
#define HOLDERS_OF(from, node, slot)                                                               \
  "SELECT r.id,r.flow,coalesce(n.name,i.name),coalesce(m.pool,n.pool),coalesce(m.weight,n.weight)" \
  ",coalesce(m.slot,n.slot) AND " slot " FROM run r CROSS JOIN " from                              \
  " LEFT JOIN definition_node n ON n.definition=r.definition AND n.node=" node                     \
  " LEFT JOIN item i ON i.run=r.row AND i.node=" node                                              \
  " LEFT JOIN definition_node m ON m.definition=r.definition AND m.node=i.map_node"                \
  " WHERE r.state=?1 AND r.owner=?2 AND coalesce(n.type,'')<>'map'"

static size_t add_text(fl_read_waits *w, sqlite3_stmt *st, int column) {
  size_t at = w->text.size;
  const char *text = (const char *)sqlite3_column_text(st, column);
  fl_buf_add_str(&w->text, text ? text : "");
  fl_buf_add_char(&w->text, '\0');
  return at;
}

static fl_code load(fl_store *s, const fl_run_row *run, fl_read_waits **out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  if (*out) return FL_OK;
  fl_code code = fl_store_prepare_own(
      s,
      HOLDERS_OF("attempt a", "a.node",
                 "a.started_ms IS NOT NULL") " AND a.run=r.row AND a.end_seq IS NULL UNION "
                                             "ALL " HOLDERS_OF(
                                                 "claim c CROSS JOIN json_each(c.list) e",
                                                 "json_extract(e.value,'$[0]')",
                                                 "1") " AND c.run=r.row",
      &st, err);
  if (code) return code;
  fl_read_waits *w = *out = fl_alloc_zero(1, sizeof *w);
  fl_buf_init(&w->text, (size_t)1 << 30);
  sqlite3_bind_int(st, 1, FL_RUN_RUNNING);
  fl_store_bind_text(st, 2, run->owner);
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    if (w->count == w->capacity) {
      w->capacity = w->capacity ? 2 * w->capacity : 64;
      w->holders = fl_realloc(w->holders, w->capacity * sizeof *w->holders);
    }
    w->holders[w->count++] = (holder){.run = add_text(w, st, 0),
                                      .flow = add_text(w, st, 1),
                                      .node = add_text(w, st, 2),
                                      .pool = add_text(w, st, 3),
                                      .weight = (uint32_t)sqlite3_column_int64(st, 4),
                                      .slot = sqlite3_column_int(st, 5) != 0};
  }
  sqlite3_finalize(st);
  return code;
}

// "load, sales 20260131T.. load and 3 more": who holds what (`pool` NULL: a slot).
static void add_holders(const fl_read_waits *w, const fl_run_row *run, const char *pool,
                        fl_buf *out) {
  size_t named = 0, more = 0;
  for (size_t i = 0; i < w->count; i++) {
    const holder *h = &w->holders[i];
    const char *text = w->text.data;
    if (pool ? strcmp(text + h->pool, pool) != 0 : !h->slot) continue;
    if (named == HOLDERS_NAMED) {
      more++;
      continue;
    }
    fl_buf_add_str(out, named++ ? ", " : "");
    if (strcmp(text + h->run, run->id) != 0)
      fl_buf_addf(out, "%s %s ", text + h->flow, text + h->run);
    fl_buf_add_str(out, text + h->node);
  }
  if (more) fl_buf_addf(out, " and %zu more", more);
}

// A run that has not begun waits for others of its flow.
static fl_code find_other_runs(fl_store *s, const fl_run_row *run, fl_reason *reason,
                               fl_buf *detail, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  size_t count = 0;
  fl_code code = fl_store_prepare_own(
      s, "SELECT id FROM run WHERE state=?1 AND flow=?2 ORDER BY row", &st, err);
  if (code) return code;
  sqlite3_bind_int(st, 1, FL_RUN_RUNNING);
  fl_store_bind_text(st, 2, run->flow);
  while (!(code = fl_store_read(s, st, &row, err)) && row)
    if (++count <= HOLDERS_NAMED)
      fl_buf_addf(detail, "%s%s", count > 1 ? ", " : "", (const char *)sqlite3_column_text(st, 0));
  sqlite3_finalize(st);
  if (count > HOLDERS_NAMED) fl_buf_addf(detail, " and %zu more", count - HOLDERS_NAMED);
  if (count) *reason = FL_REASON_WAITS_FOR_RUNS;
  return code;
}

static fl_code find_room(fl_store *s, const fl_run_row *run, uint32_t node, fl_read_waits **waits,
                         fl_reason *reason, fl_buf *detail, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(
      s, "SELECT pool,weight,capacity,slot FROM definition_node WHERE definition=?1 AND node=?2",
      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run->definition);
  sqlite3_bind_int64(st, 2, node);
  code = fl_store_read(s, st, &row, err);
  if (!code && row) code = load(s, run, waits, err);
  if (!code && row) {
    const fl_read_waits *w = *waits;
    const char *pool = (const char *)sqlite3_column_text(st, 0);
    int64_t weight = sqlite3_column_int64(st, 1), capacity = sqlite3_column_int64(st, 2);
    int64_t used = 0;
    size_t slots = 0;
    for (size_t i = 0; i < w->count; i++) {
      if (pool && !strcmp(w->text.data + w->holders[i].pool, pool)) used += w->holders[i].weight;
      slots += w->holders[i].slot;
    }
    if (pool && used && used + weight > capacity) {
      *reason = FL_REASON_WAITS_FOR_POOL;
      fl_buf_addf(detail, "%s: %lld of %lld in use by ", pool, (long long)used,
                  (long long)capacity);
      add_holders(w, run, pool, detail);
    } else if (sqlite3_column_int(st, 3) && slots) {
      *reason = FL_REASON_WAITS_FOR_SLOT;
      fl_buf_addf(detail, "%zu in use by ", slots);
      add_holders(w, run, NULL, detail);
    }
  }
  sqlite3_finalize(st);
  return code;
}

fl_code fl_read_find_wait(fl_store *s, const fl_run_row *run, uint32_t node, fl_read_waits **waits,
                          fl_reason *reason, fl_buf *detail, fl_error *err) {
  if (fl_store_owner_is_dead(s, run->owner)) {
    *reason = FL_REASON_ENGINE_DEAD;
    return FL_OK;
  }
  if (run->state == FL_RUN_QUEUED) return find_other_runs(s, run, reason, detail, err);
  return find_room(s, run, node, waits, reason, detail, err);
}
