// States that a node got without an attempt, and why.
#include "store/store_internal.h"

void fl_store_decision_from(sqlite3_stmt *st, fl_decision_row *row) {
  row->run = sqlite3_column_int64(st, 0);
  row->node = (uint32_t)sqlite3_column_int64(st, 1);
  row->seq = sqlite3_column_int64(st, 2);
  row->epoch = (uint32_t)sqlite3_column_int64(st, 3);
  row->state = fl_store_enum(sqlite3_column_int(st, 4), FL_NODE_STATE_COUNT);
  row->reason = fl_store_enum(sqlite3_column_int(st, 5), FL_REASON_COUNT);
  row->detail = (const char *)sqlite3_column_text(st, 6);
  row->at_ms = sqlite3_column_int64(st, 7);
  row->recorded = NULL;
  if (row->reason != FL_REASON_WHEN_FALSE) return;
  row->recorded = row->detail;
  row->detail = NULL;
}

fl_code fl_store_add_decision(fl_store *s, const fl_decision_row *row, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(s, FL_SLOT_DECISION_ADD,
                                        "INSERT INTO decision(" FL_DECISION_COLUMNS ")"
                                        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
                                        &st, err);
  if (code) return code;
  bool when = row->reason == FL_REASON_WHEN_FALSE;
  const char *detail = when ? row->recorded : row->detail;
  size_t size = detail ? strnlen(detail, when ? FL_VALUE_SIZE_MAX : FL_ERROR_TEXT_MAX) : 0;
  sqlite3_bind_int64(st, 1, row->run);
  sqlite3_bind_int64(st, 2, row->node);
  sqlite3_bind_int64(st, 3, row->seq);
  sqlite3_bind_int64(st, 4, row->epoch);
  sqlite3_bind_int(st, 5, row->state);
  sqlite3_bind_int(st, 6, row->reason);
  if (detail)
    sqlite3_bind_text(st, 7, detail, (int)size, SQLITE_STATIC);
  else
    sqlite3_bind_null(st, 7);
  sqlite3_bind_int64(st, 8, row->at_ms);
  return fl_store_write(s, st, err);
}

fl_code fl_store_each_decision(fl_store *s, int64_t run,
                               bool (*each)(void *ud, const fl_decision_row *row), void *ud,
                               fl_error *err) {
  sqlite3_stmt *st;
  fl_decision_row decision;
  bool row = false, more = true;
  fl_code code = fl_store_prepare_own(
      s, "SELECT " FL_DECISION_COLUMNS " FROM decision WHERE run=?1 ORDER BY seq", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  while (more && !(code = fl_store_read(s, st, &row, err)) && row) {
    fl_store_decision_from(st, &decision);
    more = each(ud, &decision);
  }
  sqlite3_finalize(st);
  return code;
}
