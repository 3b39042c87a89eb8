// The graphs of flows as their runs share them, each kept once by digest.
#include "store/store_internal.h"

// One whose nodes are not all there yet says that it has none.
fl_code fl_store_put_definition(fl_store *s, const fl_definition_row *row, int64_t *id,
                                bool *existed, fl_error *err) {
  sqlite3_stmt *st;
  bool found = false;
  *existed = false;
  fl_code code = fl_store_prepare_write(
      s, FL_SLOT_DEFINITION_FIND, "SELECT id,node_count FROM definition WHERE digest=?1", &st, err);
  if (code) return code;
  sqlite3_bind_blob(st, 1, row->digest, FL_DIGEST_SIZE, SQLITE_STATIC);
  code = fl_store_read(s, st, &found, err);
  if (code) return code;
  if (found) {
    *id = sqlite3_column_int64(st, 0);
    *existed = sqlite3_column_int64(st, 1) == row->node_count;
    sqlite3_reset(st);
    return fl_store_touch(s, FL_COLUMN_DEFINITION, *id, err);
  }
  code = fl_store_prepare(s, FL_SLOT_DEFINITION_ADD,
                          "INSERT INTO definition(digest,flow,script,node_count,edited)"
                          " VALUES(?1,?2,?3,0,?4)",
                          &st, err);
  if (code) return code;
  sqlite3_bind_blob(st, 1, row->digest, FL_DIGEST_SIZE, SQLITE_STATIC);
  fl_store_bind_text(st, 2, row->flow);
  sqlite3_bind_int64(st, 3, row->script);
  fl_store_bind_id(st, 4, row->edited);
  code = fl_store_write(s, st, err);
  if (!code) *id = sqlite3_last_insert_rowid(s->db);
  return code;
}

fl_code fl_store_end_definition(fl_store *s, int64_t id, uint32_t node_count, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(
      s, FL_SLOT_DEFINITION_END, "UPDATE definition SET node_count=?2 WHERE id=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, id);
  sqlite3_bind_int64(st, 2, node_count);
  return fl_store_write(s, st, err);
}

fl_code fl_store_add_definition_node(fl_store *s, int64_t definition,
                                     const fl_definition_node_row *row, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(
      s, FL_SLOT_DEFINITION_NODE_ADD,
      "INSERT INTO definition_node("
      "definition,node,name,type,parents,hook,position,removed,slot,pool,weight,capacity)"
      " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12) ON CONFLICT DO NOTHING",
      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, definition);
  sqlite3_bind_int64(st, 2, row->node);
  fl_store_bind_text(st, 3, row->name);
  fl_store_bind_text(st, 4, row->type);
  fl_store_bind_text(st, 5, row->parents);
  sqlite3_bind_int64(st, 6, row->hook);
  if (row->position == row->node)
    sqlite3_bind_null(st, 7);
  else
    sqlite3_bind_int64(st, 7, row->position);
  fl_store_bind_id(st, 8, row->removed);
  if (row->known)
    sqlite3_bind_int(st, 9, row->slot);
  else
    sqlite3_bind_null(st, 9);
  fl_store_bind_text(st, 10, row->pool);
  fl_store_bind_id(st, 11, row->pool ? row->weight : 0);
  fl_store_bind_id(st, 12, row->pool ? row->capacity : 0);
  return fl_store_write(s, st, err);
}

fl_code fl_store_get_definition(fl_store *s, int64_t id, fl_definition_row *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  *out = (fl_definition_row){0};
  fl_code code = fl_store_prepare_own(
      s, "SELECT script,node_count,edited FROM definition WHERE id=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, id);
  code = fl_store_read(s, st, &row, err);
  if (!code && !row)
    code = fl_store_fail_corrupt(s, err, "there is no definition %lld", (long long)id);
  if (!code)
    *out = (fl_definition_row){.script = sqlite3_column_int64(st, 0),
                               .node_count = (uint32_t)sqlite3_column_int64(st, 1),
                               .edited = sqlite3_column_int(st, 2) != 0};
  sqlite3_finalize(st);
  return code;
}

fl_code fl_store_each_definition_node(fl_store *s, int64_t definition,
                                      bool (*each)(void *ud, const fl_definition_node_row *row),
                                      void *ud, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false, more = true;
  fl_code code = fl_store_prepare_own(
      s,
      "SELECT node,name,type,parents,hook,coalesce(position,node),removed FROM definition_node"
      " WHERE definition=?1 ORDER BY node",
      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, definition);
  while (more && !(code = fl_store_read(s, st, &row, err)) && row) {
    fl_definition_node_row node = {.node = (uint32_t)sqlite3_column_int64(st, 0),
                                   .name = (const char *)sqlite3_column_text(st, 1),
                                   .type = (const char *)sqlite3_column_text(st, 2),
                                   .parents = (const char *)sqlite3_column_text(st, 3),
                                   .hook = sqlite3_column_int(st, 4),
                                   .position = (uint32_t)sqlite3_column_int64(st, 5),
                                   .removed = sqlite3_column_int(st, 6) != 0};
    more = each(ud, &node);
  }
  sqlite3_finalize(st);
  return code;
}
