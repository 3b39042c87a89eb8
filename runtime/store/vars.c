// Vars as a run had them.
#include "store/store_internal.h"

fl_code fl_store_each_vars(fl_store *s, int64_t run, bool (*each)(void *ud, const fl_value *vars),
                           void *ud, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false, more = true;
  fl_code code = fl_store_prepare_own(
      s,
      "SELECT coalesce(vars_out,vars_in) AS id,max(coalesce(end_seq,seq)) AS at FROM attempt"
      " WHERE run=?1 GROUP BY id UNION ALL SELECT vars,-1 FROM run WHERE row=?1 ORDER BY at DESC",
      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  while (more && !(code = fl_store_read(s, st, &row, err)) && row) {
    fl_value *vars = NULL;
    code = fl_store_get_value(s, sqlite3_column_int64(st, 0), &vars, err);
    if (code) break;
    more = each(ud, vars ? vars : fl_value_empty_map());
    fl_value_unref(vars);
  }
  sqlite3_finalize(st);
  return code;
}
