// `logs RUN [NODE]`: where the output of attempts is kept.
#include "read/read_internal.h"

#define NODE_NAME                                                                                  \
  "coalesce((SELECT name FROM definition_node WHERE definition=?2 AND node=a.node),"               \
  "(SELECT name FROM item WHERE run=a.run AND node=a.node),'')"

// By name without loading the others: followers ask again and again.
fl_code fl_read_find_node(fl_store *s, const fl_run_row *run, const char *name, uint32_t *node,
                          fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(s,
                                      "SELECT node FROM definition_node WHERE definition=?1"
                                      " AND name=?3 UNION ALL SELECT node FROM item"
                                      " WHERE run=?2 AND name=?3 LIMIT 1",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run->definition);
  sqlite3_bind_int64(st, 2, run->row);
  fl_store_bind_text(st, 3, name);
  code = fl_store_read(s, st, &row, err);
  if (!code && row) *node = (uint32_t)sqlite3_column_int64(st, 0);
  if (!code && !row) code = fl_read_fail_node(s, run, name, err);
  sqlite3_finalize(st);
  return code;
}

static fl_code each_log(fl_store *s, const fl_run_row *run, int64_t node, uint32_t attempt,
                        bool (*each)(void *ud, const fl_log_entry *entry), void *ud,
                        fl_error *err) {
  sqlite3_stmt *st;
  bool row = false, more = true;
  // As terms of their own, so that one node is one search in the key.
  char *sql = sqlite3_mprintf(
      "SELECT " NODE_NAME
      ",a.node,a.number,a.end_seq,a.log_path,a.log_offset,a.log_size,a.log_total"
      " FROM attempt a WHERE a.run=?1 AND a.synthetic IS NULL AND %s AND %s ORDER BY a.seq",
      node < 0 ? "?3<0" : "a.node=?3",
      attempt ? "a.number=?4"
              : "NOT EXISTS(SELECT 1 FROM attempt b WHERE b.run=a.run AND b.node=a.node"
                " AND b.number>a.number AND b.synthetic IS NULL) AND ?4=0");
  if (!sql) return fl_store_fail(s, SQLITE_NOMEM, "read", err);
  fl_code code = fl_store_prepare_own(s, sql, &st, err);
  sqlite3_free(sql);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run->row);
  sqlite3_bind_int64(st, 2, run->definition);
  sqlite3_bind_int64(st, 3, node);
  sqlite3_bind_int64(st, 4, attempt);
  while (more && !(code = fl_store_read(s, st, &row, err)) && row) {
    const char *path = (const char *)sqlite3_column_text(st, 4);
    fl_log_entry entry = {.node = (const char *)sqlite3_column_text(st, 0),
                          .node_index = (uint32_t)sqlite3_column_int64(st, 1),
                          .number = (uint32_t)sqlite3_column_int64(st, 2),
                          .ended = sqlite3_column_type(st, 3) != SQLITE_NULL,
                          .log = {.path = path ? path : "",
                                  .offset = sqlite3_column_int64(st, 5),
                                  .size = sqlite3_column_int64(st, 6),
                                  .total = sqlite3_column_int64(st, 7)}};
    more = each(ud, &entry);
  }
  sqlite3_finalize(st);
  return code;
}

fl_code fl_read_store_logs(fl_store *s, const fl_run_row *run, const char *node, uint32_t attempt,
                           bool (*each)(void *ud, const fl_log_entry *entry), void *ud,
                           fl_error *err) {
  fl_run_row fresh;
  uint32_t index = 0;
  fl_code code = fl_read_begin(s, run, &fresh, err);
  if (!code && node) code = fl_read_find_node(s, &fresh, node, &index, err);
  if (!code) code = each_log(s, &fresh, node ? (int64_t)index : -1, attempt, each, ud, err);
  fl_read_end(s, &fresh);
  return code;
}
