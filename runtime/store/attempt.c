// Attempts: added when claimed, completed when ended. The hottest two statements of the store.
#include "store/store_internal.h"

void fl_store_attempt_from(sqlite3_stmt *st, fl_attempt_row *row) {
  int at = 0;
  row->run = sqlite3_column_int64(st, at++);
  row->node = (uint32_t)sqlite3_column_int64(st, at++);
  row->number = (uint32_t)sqlite3_column_int64(st, at++);
  row->epoch = (uint32_t)sqlite3_column_int64(st, at++);
  row->seq = sqlite3_column_int64(st, at++);
  row->end_seq = sqlite3_column_int64(st, at++);
  row->state = fl_store_enum(sqlite3_column_int(st, at++), FL_ATTEMPT_STATE_COUNT);
  row->reason = fl_store_enum(sqlite3_column_int(st, at++), FL_REASON_COUNT);
  row->end_reason = fl_store_enum(sqlite3_column_int(st, at++), FL_REASON_COUNT);
  row->claimed_ms = sqlite3_column_int64(st, at++);
  row->started_ms = sqlite3_column_int64(st, at++);
  row->ended_ms = sqlite3_column_int64(st, at++);
  row->exit_code = sqlite3_column_type(st, at) == SQLITE_NULL ? -1 : sqlite3_column_int(st, at);
  at++;
  row->signal = sqlite3_column_int(st, at++);
  row->error = (const char *)sqlite3_column_text(st, at++);
  row->params = sqlite3_column_int64(st, at++);
  row->vars_in = sqlite3_column_int64(st, at++);
  row->vars_out = sqlite3_column_int64(st, at++);
  row->vars_by = sqlite3_column_int64(st, at++);
  row->outputs = sqlite3_column_int64(st, at++);
  row->recorded = sqlite3_column_int64(st, at++);
  row->synthetic = sqlite3_column_int(st, at++) != 0;
  row->pid = sqlite3_column_int(st, at++);
  row->retry_at_ms = sqlite3_column_int64(st, at++);
  row->child_run = sqlite3_column_int64(st, at++);
  row->cpu_us = sqlite3_column_int64(st, at++);
  row->rss_max_bytes = sqlite3_column_int64(st, at++);
  const char *path = (const char *)sqlite3_column_text(st, at++);
  row->log.path = path ? path : "";
  row->log.offset = sqlite3_column_int64(st, at++);
  row->log.size = sqlite3_column_int64(st, at++);
  row->log.total = sqlite3_column_int64(st, at++);
  row->item = sqlite3_column_int64(st, at++);
  row->measured = sqlite3_column_type(st, at) != SQLITE_NULL;
  row->duration_ms = sqlite3_column_int64(st, at++);
  if (!row->measured && row->started_ms && row->ended_ms > row->started_ms)
    row->duration_ms = row->ended_ms - row->started_ms;
}

static int bind_claim(sqlite3_stmt *st, const fl_attempt_row *row) {
  int at = 1;
  sqlite3_bind_int64(st, at++, row->run);
  sqlite3_bind_int64(st, at++, row->node);
  sqlite3_bind_int64(st, at++, row->number);
  sqlite3_bind_int64(st, at++, row->epoch);
  sqlite3_bind_int64(st, at++, row->seq);
  sqlite3_bind_int(st, at++, row->reason);
  sqlite3_bind_int64(st, at++, row->claimed_ms);
  fl_store_bind_id(st, at++, row->params);
  fl_store_bind_id(st, at++, row->vars_in);
  fl_store_bind_id(st, at++, row->item);
  return at;
}

static int bind_start(sqlite3_stmt *st, int at, const fl_attempt_row *row) {
  sqlite3_bind_int(st, at++, row->state);
  fl_store_bind_id(st, at++, row->started_ms);
  fl_store_bind_id(st, at++, row->pid);
  fl_store_bind_id(st, at++, row->child_run);
  return at;
}

static void bind_duration(sqlite3_stmt *st, int at, const fl_attempt_row *row) {
  if (row->measured)
    sqlite3_bind_int64(st, at, row->duration_ms);
  else
    sqlite3_bind_null(st, at);
}

static void bind_end(sqlite3_stmt *st, int at, const fl_attempt_row *row) {
  fl_store_bind_id(st, at++, row->end_seq);
  fl_store_bind_id(st, at++, row->end_reason);
  fl_store_bind_id(st, at++, row->ended_ms);
  if (row->exit_code >= 0)
    sqlite3_bind_int(st, at++, row->exit_code);
  else
    sqlite3_bind_null(st, at++);
  fl_store_bind_id(st, at++, row->signal);
  size_t size = row->error ? strnlen(row->error, FL_ERROR_TEXT_MAX) : 0;
  if (row->error)
    sqlite3_bind_text(st, at++, row->error, (int)size, SQLITE_STATIC);
  else
    sqlite3_bind_null(st, at++);
  fl_store_bind_id(st, at++, row->vars_out);
  fl_store_bind_id(st, at++, row->vars_by);
  fl_store_bind_id(st, at++, row->outputs);
  fl_store_bind_id(st, at++, row->recorded);
  fl_store_bind_id(st, at++, row->synthetic);
  fl_store_bind_id(st, at++, row->retry_at_ms);
  fl_store_bind_id(st, at++, row->cpu_us);
  fl_store_bind_id(st, at++, row->rss_max_bytes);
  bool logged = row->log.path && *row->log.path;
  fl_store_bind_text(st, at++, logged ? row->log.path : NULL);
  fl_store_bind_id(st, at++, row->log.offset);
  fl_store_bind_id(st, at++, row->log.size);
  fl_store_bind_id(st, at++, row->log.total);
  bind_duration(st, at++, row);
}

// Ended, by nothing but a result: no process, no error, no log. What an inline node leaves.
static bool is_plain(const fl_attempt_row *row) {
  return row->state > FL_ATTEMPT_RUNNING && !row->pid && !row->child_run && row->exit_code < 0 &&
         !row->signal && !row->error && !row->recorded && !row->synthetic && !row->retry_at_ms &&
         !row->cpu_us && !row->rss_max_bytes && !(row->log.path && *row->log.path) &&
         !row->log.offset && !row->log.size && !row->log.total;
}

// Half of the columns are half of the time that the insert takes.
static fl_code add_plain(fl_store *s, const fl_attempt_row *row, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(
      s, FL_SLOT_ATTEMPT_PLAIN,
      "INSERT INTO attempt(run,node,number,epoch,seq,reason,claimed_ms,params,vars_in,item,state,"
      "started_ms,end_seq,end_reason,ended_ms,vars_out,vars_by,outputs,duration_ms)"
      " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19)",
      &st, err);
  if (code) return code;
  int at = bind_claim(st, row);
  sqlite3_bind_int(st, at++, row->state);
  fl_store_bind_id(st, at++, row->started_ms);
  fl_store_bind_id(st, at++, row->end_seq);
  fl_store_bind_id(st, at++, row->end_reason);
  fl_store_bind_id(st, at++, row->ended_ms);
  fl_store_bind_id(st, at++, row->vars_out);
  fl_store_bind_id(st, at++, row->vars_by);
  fl_store_bind_id(st, at++, row->outputs);
  bind_duration(st, at++, row);
  return fl_store_write(s, st, err);
}

fl_code fl_store_add_attempt(fl_store *s, const fl_attempt_row *row, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code;
  if (is_plain(row)) return add_plain(s, row, err);
  // An ordinary claim binds and compiles a third of what one that has ended already does.
  if (!fl_attempt_state_is_final(row->state))
    code = fl_store_prepare_write(s, FL_SLOT_ATTEMPT_CLAIM,
                                  "INSERT INTO attempt(run,node,number,epoch,seq,reason,claimed_ms,"
                                  "params,vars_in,item,state,started_ms,pid,child_run)"
                                  " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
                                  &st, err);
  else
    code = fl_store_prepare_write(
        s, FL_SLOT_ATTEMPT_ADD,
        "INSERT INTO attempt(run,node,number,epoch,seq,reason,claimed_ms,"
        "params,vars_in,item,state,started_ms,pid,child_run,end_seq,"
        "end_reason,ended_ms,exit_code,signal,error,vars_out,vars_by,"
        "outputs,recorded,synthetic,retry_at_ms,cpu_us,rss_max_bytes,"
        "log_path,log_offset,log_size,log_total,duration_ms)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,"
        "?16,?17,?18,?19,?20,?21,?22,?23,?24,?25,?26,?27,?28,?29,?30,?31,?32,?33)",
        &st, err);
  if (code) return code;
  int at = bind_start(st, bind_claim(st, row), row);
  if (row->state > FL_ATTEMPT_RUNNING) bind_end(st, at, row);
  return fl_store_write(s, st, err);
}

// An update that finds no row means that the engine's picture of the run is wrong.
static fl_code write_known(fl_store *s, sqlite3_stmt *st, uint32_t node, uint32_t number,
                           fl_error *err) {
  fl_code code = fl_store_write(s, st, err);
  if (code || sqlite3_changes(s->db)) return code;
  return fl_fail(err, FL_E_NOT_FOUND, "attempt %u of node %u is not recorded in '%s'", number, node,
                 s->path);
}

fl_code fl_store_start_attempt(fl_store *s, const fl_attempt_row *row, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(s, FL_SLOT_ATTEMPT_START,
                                        "UPDATE attempt SET state=?4,started_ms=?5,pid=?6"
                                        " WHERE run=?1 AND node=?2 AND number=?3",
                                        &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, row->run);
  sqlite3_bind_int64(st, 2, row->node);
  sqlite3_bind_int64(st, 3, row->number);
  sqlite3_bind_int(st, 4, row->state);
  fl_store_bind_id(st, 5, row->started_ms);
  fl_store_bind_id(st, 6, row->pid);
  return write_known(s, st, row->node, row->number, err);
}

fl_code fl_store_end_attempt(fl_store *s, const fl_attempt_row *row, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(
      s, FL_SLOT_ATTEMPT_END,
      "UPDATE attempt SET state=?4,started_ms=coalesce(?5,started_ms),pid=coalesce(?6,pid),"
      "child_run=coalesce(?7,child_run),end_seq=?8,end_reason=?9,ended_ms=?10,exit_code=?11,"
      "signal=?12,error=?13,vars_out=?14,vars_by=?15,outputs=?16,recorded=?17,synthetic=?18,"
      "retry_at_ms=?19,cpu_us=?20,rss_max_bytes=?21,log_path=?22,log_offset=?23,log_size=?24,"
      "log_total=?25,duration_ms=?26 WHERE run=?1 AND node=?2 AND number=?3",
      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, row->run);
  sqlite3_bind_int64(st, 2, row->node);
  sqlite3_bind_int64(st, 3, row->number);
  bind_end(st, bind_start(st, 4, row), row);
  return write_known(s, st, row->node, row->number, err);
}

fl_code fl_store_set_attempt_child(fl_store *s, int64_t run, uint32_t node, uint32_t number,
                                   int64_t child_run, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(s, FL_SLOT_ATTEMPT_CHILD,
                                        "UPDATE attempt SET child_run=?4"
                                        " WHERE run=?1 AND node=?2 AND number=?3",
                                        &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, node);
  sqlite3_bind_int64(st, 3, number);
  fl_store_bind_id(st, 4, child_run);
  return write_known(s, st, node, number, err);
}

fl_code fl_store_hand_over_attempt(fl_store *s, int64_t run, uint32_t node, uint32_t number,
                                   uint32_t epoch, int64_t vars_in, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(s, FL_SLOT_ATTEMPT_HAND_OVER,
                                        "UPDATE attempt SET epoch=?4, vars_in=?5"
                                        " WHERE run=?1 AND node=?2 AND number=?3",
                                        &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, node);
  sqlite3_bind_int64(st, 3, number);
  sqlite3_bind_int64(st, 4, epoch);
  fl_store_bind_id(st, 5, vars_in);
  return write_known(s, st, node, number, err);
}

fl_code fl_store_get_attempt_state(fl_store *s, int64_t run, uint32_t node, uint32_t number,
                                   bool *found, fl_attempt_state *state, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_own(
      s, "SELECT state FROM attempt WHERE run=?1 AND node=?2 AND number=?3", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, node);
  sqlite3_bind_int64(st, 3, number);
  code = fl_store_read(s, st, found, err);
  if (!code && *found) *state = (fl_attempt_state)sqlite3_column_int(st, 0);
  sqlite3_finalize(st);
  return code;
}

fl_code fl_store_each_attempt(fl_store *s, int64_t run,
                              bool (*each)(void *ud, const fl_attempt_row *row), void *ud,
                              fl_error *err) {
  sqlite3_stmt *st;
  fl_attempt_row attempt;
  bool row = false, more = true;
  fl_code code = fl_store_prepare_own(s,
                                      "SELECT " FL_ATTEMPT_COLUMNS " FROM attempt WHERE run=?1"
                                      " ORDER BY node,number",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  while (more && !(code = fl_store_read(s, st, &row, err)) && row) {
    fl_store_attempt_from(st, &attempt);
    more = each(ud, &attempt);
  }
  sqlite3_finalize(st);
  return code;
}
