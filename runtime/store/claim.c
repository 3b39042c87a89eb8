// Claims that have no row of their own yet: short attempts are written once, at their end, and
// until then stand in this list, one row a run.
#include "store/store_internal.h"

fl_code fl_store_put_claims(fl_store *s, int64_t run, int64_t at_ms, const char *list,
                            fl_error *err) {
  sqlite3_stmt *st;
  fl_code code =
      list ? fl_store_prepare_write(s, FL_SLOT_CLAIM_PUT,
                                    "INSERT OR REPLACE INTO claim(run,at_ms,list) VALUES(?1,?2,?3)",
                                    &st, err)
           : fl_store_prepare_write(s, FL_SLOT_CLAIM_DROP, "DELETE FROM claim WHERE run=?1", &st,
                                    err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  if (list) {
    sqlite3_bind_int64(st, 2, at_ms);
    sqlite3_bind_text(st, 3, list, -1, SQLITE_STATIC);
  }
  return fl_store_write(s, st, err);
}

fl_code fl_store_each_claim(fl_store *s, int64_t run,
                            bool (*each)(void *ud, uint32_t node, uint32_t number, int64_t at_ms),
                            void *ud, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code =
      fl_store_prepare_own(s,
                           "SELECT json_extract(e.value,'$[0]'), json_extract(e.value,'$[1]'),"
                           " c.at_ms FROM claim c, json_each(c.list) e WHERE c.run=?1",
                           &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  while (!(code = fl_store_read(s, st, &row, err)) && row)
    if (!each(ud, (uint32_t)sqlite3_column_int64(st, 0), (uint32_t)sqlite3_column_int64(st, 1),
              sqlite3_column_int64(st, 2)))
      break;
  sqlite3_finalize(st);
  return code;
}
