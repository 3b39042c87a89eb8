// Breakpoints: the nodes at whose failure a run stopped. All else of a breakpoint (attempts,
// values, what waits) is in the other tables; read/breakpoint.c puts it together.
#include "store/store_internal.h"

fl_code fl_store_add_breakpoint(fl_store *s, const fl_breakpoint_row *row, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(s, FL_SLOT_BREAKPOINT_ADD,
                                        "INSERT INTO breakpoint(run,seq,epoch,node,number,at_ms)"
                                        " VALUES(?1,?2,?3,?4,?5,?6)",
                                        &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, row->run);
  sqlite3_bind_int64(st, 2, row->seq);
  sqlite3_bind_int64(st, 3, row->epoch);
  sqlite3_bind_int64(st, 4, row->node);
  fl_store_bind_id(st, 5, row->number);
  sqlite3_bind_int64(st, 6, row->at_ms);
  return fl_store_write(s, st, err);
}
