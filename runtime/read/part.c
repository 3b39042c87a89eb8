// "call/node": the run that a node called, and which of its nodes is meant.
#include "read/read_internal.h"

/// The newest run that node `number` of `run` called.
static fl_code find_called(fl_store *s, const fl_run_row *run, uint32_t number, const char *path,
                           fl_run_row *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  *out = (fl_run_row){0};
  fl_code code = fl_store_prepare_own(s,
                                      "SELECT " FL_RUN_COLUMNS " FROM run WHERE parent_run=?1"
                                      " AND parent_node=?2 ORDER BY row DESC LIMIT 1",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run->row);
  sqlite3_bind_int64(st, 2, number);
  code = fl_store_read(s, st, &row, err);
  if (!code && row) fl_store_run_from(st, out);
  if (!code && !row)
    code = fl_fail(err, FL_E_NOT_FOUND, "run '%s' has no node '%s': '%.*s' has called no flow",
                   run->id, path, (int)strcspn(path, "/"), path);
  sqlite3_finalize(st);
  return code;
}

fl_code fl_read_enter(fl_store *s, fl_run_row *run, const char **node, fl_error *err) {
  fl_code code = FL_OK;
  while (!code && *node) {
    const char *slash = strchr(*node, '/');
    fl_run_row called;
    uint32_t number = 0;
    if (!slash) break;
    char *call = fl_strndup(*node, (size_t)(slash - *node));
    code = fl_read_find_node(s, run, call, &number, err);
    if (!code) code = find_called(s, run, number, *node, &called, err);
    free(call);
    if (code) break;
    fl_run_row_deinit(run);
    *run = called;
    *node = slash + 1;
  }
  return code;
}
