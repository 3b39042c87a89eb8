// Items of maps: nodes that exist in one run only.
#include "store/store_internal.h"

fl_code fl_store_add_item(fl_store *s, const fl_item_row *row, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code =
      fl_store_prepare_write(s, FL_SLOT_ITEM_ADD,
                             "INSERT OR REPLACE INTO item(run,node,map_node,position,name,type,"
                             "item) VALUES(?1,?2,?3,?4,?5,?6,?7)",
                             &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, row->run);
  sqlite3_bind_int64(st, 2, row->node);
  sqlite3_bind_int64(st, 3, row->map_node);
  sqlite3_bind_int64(st, 4, row->position);
  fl_store_bind_text(st, 5, row->name);
  fl_store_bind_text(st, 6, row->type);
  fl_store_bind_id(st, 7, row->value);
  return fl_store_write(s, st, err);
}

fl_code fl_store_each_item(fl_store *s, int64_t run, bool (*each)(void *ud, const fl_item_row *row),
                           void *ud, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false, more = true;
  fl_code code = fl_store_prepare_own(s,
                                      "SELECT node,map_node,position,name,type,item FROM item"
                                      " WHERE run=?1 ORDER BY node",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  while (more && !(code = fl_store_read(s, st, &row, err)) && row) {
    fl_item_row item = {.run = run,
                        .node = (uint32_t)sqlite3_column_int64(st, 0),
                        .map_node = (uint32_t)sqlite3_column_int64(st, 1),
                        .position = (uint32_t)sqlite3_column_int64(st, 2),
                        .name = (const char *)sqlite3_column_text(st, 3),
                        .type = (const char *)sqlite3_column_text(st, 4),
                        .value = sqlite3_column_int64(st, 5)};
    more = each(ud, &item);
  }
  sqlite3_finalize(st);
  return code;
}
