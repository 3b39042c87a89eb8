// What the nodes of a run had given by a moment of its history: the inputs that an attempt saw.
#include "read/read_internal.h"

/// What the run used in an epoch.
static bool see_input(void *ud, const fl_input_row *row) {
  fl_read_results *r = ud;
  if (r->input_count == r->input_capacity) {
    r->input_capacity = r->input_capacity ? 2 * r->input_capacity : 4;
    r->inputs = fl_realloc(r->inputs, r->input_capacity * sizeof *r->inputs);
  }
  r->inputs[r->input_count++] = *row;
  return true;
}

/// `sql` gives (node, seq, outputs) by node and seq; `outputs` -1: what it had given was taken
/// back, for it was to run again.
static fl_code load(fl_store *s, const char *sql, int64_t run, fl_read_results *r, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(s, sql, &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    if (r->count == r->capacity) {
      r->capacity = r->capacity ? 2 * r->capacity : 64;
      r->results = fl_realloc(r->results, r->capacity * sizeof *r->results);
    }
    r->results[r->count++] = (fl_read_result){.node = (uint32_t)sqlite3_column_int64(st, 0),
                                              .seq = sqlite3_column_int64(st, 1),
                                              .outputs = sqlite3_column_int64(st, 2)};
  }
  sqlite3_finalize(st);
  return code;
}

static void note_moment(fl_read_results *r, const fl_read_sight *m) {
  fl_read_sight *last = r->moment_count ? &r->moments[r->moment_count - 1] : NULL;
  if (last && last->node == m->node) {
    if (last->succeeded && !m->succeeded) return;
    if (last->attempted && !m->attempted) return;
    *last = *m;
    return;
  }
  if (!r->moments || r->moment_count == r->moment_capacity) {
    r->moment_capacity = r->moment_capacity ? 2 * r->moment_capacity : 64;
    r->moments = fl_realloc(r->moments, r->moment_capacity * sizeof *r->moments);
  }
  r->moments[r->moment_count++] = *m;
}

/// By node, in their order: attempts, and decisions that were made when the node's turn had come
/// (runtime/engine/replay.c); of one that was decided before that nobody saw a context.
static fl_code load_moments(fl_store *s, int64_t run, fl_read_results *r, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(
      s,
      "SELECT node,seq AS at,epoch,1,state=" FL_SQL_SUCCEEDED " FROM attempt WHERE run=?1 AND"
      " coalesce(synthetic,0)=0 UNION ALL"
      " SELECT node,seq,epoch,0,0 FROM decision WHERE run=?1 AND (reason=?2 OR"
      " (state=?3 AND reason IN (?4,?5))) ORDER BY node,at",
      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int(st, 2, FL_REASON_WHEN_FALSE);
  sqlite3_bind_int(st, 3, FL_NODE_FAILED);
  sqlite3_bind_int(st, 4, FL_REASON_MERGE_CONFLICT);
  sqlite3_bind_int(st, 5, FL_REASON_NOT_RETRYABLE);
  while (!(code = fl_store_read(s, st, &row, err)) && row)
    note_moment(r, &(fl_read_sight){.node = (uint32_t)sqlite3_column_int64(st, 0),
                                    .seq = sqlite3_column_int64(st, 1),
                                    .epoch = (uint32_t)sqlite3_column_int64(st, 2),
                                    .attempted = sqlite3_column_int(st, 3),
                                    .succeeded = sqlite3_column_int(st, 4)});
  sqlite3_finalize(st);
  return code;
}

fl_code fl_read_results_load(fl_store *s, int64_t run, fl_read_results *out, fl_error *err) {
  *out = (fl_read_results){0};
  fl_code code = load(s,
                      "SELECT node,coalesce(end_seq,seq) AS at,outputs FROM attempt"
                      " WHERE run=?1 AND (state=" FL_SQL_SUCCEEDED
                      " OR outputs IS NOT NULL) UNION ALL" // or partly
                      " SELECT node,seq,-1 FROM decision WHERE run=?1 AND state=" FL_SQL_NODE_STATE(
                          "pending") " ORDER BY node,at",
                      run, out, err);
  if (!code) code = fl_store_each_input(s, run, see_input, out, err);
  if (!code) code = load_moments(s, run, out, err);
  if (code) fl_read_results_deinit(out);
  return code;
}

void fl_read_results_deinit(fl_read_results *r) {
  free(r->results);
  free(r->inputs);
  free(r->moments);
  *r = (fl_read_results){0};
}

bool fl_read_results_find(const fl_read_results *r, uint32_t node, int64_t seq, int64_t *outputs) {
  size_t low = 0, high = r->count;
  while (low < high) { // the first one past what is asked for
    size_t middle = (low + high) / 2;
    const fl_read_result *p = &r->results[middle];
    if (p->node < node || (p->node == node && p->seq < seq))
      low = middle + 1;
    else
      high = middle;
  }
  *outputs = 0;
  if (!low || r->results[low - 1].node != node || r->results[low - 1].outputs < 0) return false;
  *outputs = r->results[low - 1].outputs;
  return true;
}

const fl_input_row *fl_read_results_get_input(const fl_read_results *r, uint32_t epoch) {
  const fl_input_row *found = NULL;
  for (size_t i = 0; i < r->input_count && (!found || r->inputs[i].epoch <= epoch); i++)
    found = &r->inputs[i];
  return found;
}

static int by_node(const void *a, const void *b) {
  uint32_t x = ((const fl_read_sight *)a)->node, y = ((const fl_read_sight *)b)->node;
  return x < y ? -1 : x > y;
}

const fl_read_sight *fl_read_results_get_sight(const fl_read_results *r, uint32_t node) {
  fl_read_sight key = {.node = node};
  if (!r->moment_count) return NULL;
  return bsearch(&key, r->moments, r->moment_count, sizeof key, by_node);
}
