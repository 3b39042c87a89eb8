// Patches that were proposed at breakpoints, and what became of them.
#include "store/store_internal.h"

fl_code fl_store_add_proposal(fl_store *s, int64_t run, fl_proposal_row *row, fl_error *err) {
  sqlite3_stmt *st;
  bool found = false;
  fl_code code = fl_store_prepare_write(
      s, FL_SLOT_PROPOSAL_ADD,
      "INSERT INTO proposal(run,number,epoch,at_ms,origin,reason,patch,automatic)"
      " SELECT ?1,1+coalesce(max(number),0),?2,?3,?4,?5,?6,?7 FROM proposal WHERE run=?1"
      " RETURNING number",
      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, row->epoch);
  sqlite3_bind_int64(st, 3, row->at_ms);
  fl_store_bind_text(st, 4, row->origin);
  fl_store_bind_text(st, 5, row->reason);
  sqlite3_bind_int64(st, 6, row->patch);
  fl_store_bind_id(st, 7, row->automatic);
  code = fl_store_read(s, st, &found, err);
  if (!code && found) row->number = (uint32_t)sqlite3_column_int64(st, 0);
  sqlite3_reset(st);
  return code;
}

fl_code fl_store_apply_proposal(fl_store *s, int64_t run, uint32_t number, uint32_t epoch,
                                fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(
      s, FL_SLOT_PROPOSAL_APPLY, "UPDATE proposal SET applied_epoch=?3 WHERE run=?1 AND number=?2",
      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, number);
  sqlite3_bind_int64(st, 3, epoch);
  return fl_store_write(s, st, err);
}

fl_code fl_store_each_proposal(fl_store *s, int64_t run,
                               bool (*each)(void *ud, const fl_proposal_row *row), void *ud,
                               fl_error *err) {
  sqlite3_stmt *st;
  bool row = false, more = true;
  fl_code code = fl_store_prepare_own(s,
                                      "SELECT number,epoch,at_ms,origin,reason,patch,automatic,"
                                      "applied_epoch FROM proposal WHERE run=?1 ORDER BY number",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  while (more && !(code = fl_store_read(s, st, &row, err)) && row) {
    fl_proposal_row p = {.number = (uint32_t)sqlite3_column_int64(st, 0),
                         .epoch = (uint32_t)sqlite3_column_int64(st, 1),
                         .at_ms = sqlite3_column_int64(st, 2),
                         .origin = (const char *)sqlite3_column_text(st, 3),
                         .reason = (const char *)sqlite3_column_text(st, 4),
                         .patch = sqlite3_column_int64(st, 5),
                         .automatic = sqlite3_column_int(st, 6) != 0,
                         .applied_epoch = (uint32_t)sqlite3_column_int64(st, 7)};
    more = each(ud, &p);
  }
  sqlite3_finalize(st);
  return code;
}

typedef struct asked {
  uint32_t number;
  fl_proposal_row *out;
  bool found;
} asked;

static bool see_proposal(void *ud, const fl_proposal_row *row) {
  asked *a = ud;
  if (row->number != a->number) return true;
  *a->out = *row;
  a->out->origin = a->out->reason = NULL;
  a->found = true;
  return false;
}

fl_code fl_store_get_proposal(fl_store *s, int64_t run, uint32_t number, fl_proposal_row *out,
                              fl_error *err) {
  asked a = {.number = number, .out = out};
  fl_code code = fl_store_each_proposal(s, run, see_proposal, &a, err);
  if (code || a.found) return code;
  return fl_fail(err, FL_E_NOT_FOUND,
                 "the run has no proposal %u: `flowlua proposals RUN` lists those there are",
                 number);
}
