// What a node saves while it runs: its checkpoint, the results of its steps, its progress.
#include "store/store_internal.h"

static fl_code drop_checkpoint(fl_store *s, int64_t run, uint32_t node, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(
      s, FL_SLOT_CHECKPOINT_DROP, "DELETE FROM checkpoint WHERE run=?1 AND node=?2", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, node);
  return fl_store_write(s, st, err);
}

fl_code fl_store_put_checkpoint(fl_store *s, int64_t run, uint32_t node, uint32_t number,
                                int64_t at_ms, fl_value *value, fl_error *err) {
  sqlite3_stmt *st;
  if (!value) return drop_checkpoint(s, run, node, err);
  fl_code code =
      fl_store_prepare_write(s, FL_SLOT_CHECKPOINT_PUT,
                             "INSERT INTO checkpoint(run,node,number,at_ms,digest,text)"
                             " VALUES(?1,?2,?3,?4,?5,?6)"
                             " ON CONFLICT(run,node) DO UPDATE SET number=?3,at_ms=?4,digest=?5,"
                             "text=?6,value=NULL",
                             &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, node);
  sqlite3_bind_int64(st, 3, number);
  sqlite3_bind_int64(st, 4, at_ms);
  sqlite3_bind_blob(st, 5, fl_value_get_digest(value), FL_DIGEST_SIZE, SQLITE_STATIC);
  sqlite3_bind_text(st, 6, value->text, (int)value->size, SQLITE_STATIC);
  return fl_store_write(s, st, err);
}

fl_code fl_store_append_checkpoint(fl_store *s, sqlite3_stmt *st, int at, fl_buf *out,
                                   fl_error *err) {
  uint8_t digest[FL_DIGEST_SIZE];
  if (sqlite3_column_type(st, at + 1) == SQLITE_NULL)
    return fl_store_append_value(s, sqlite3_column_int64(st, at + 2), "null", out, err);
  const void *text = sqlite3_column_text(st, at + 1);
  size_t size = (size_t)sqlite3_column_bytes(st, at + 1);
  fl_digest(text, size, digest);
  if (sqlite3_column_bytes(st, at) != sizeof digest ||
      memcmp(sqlite3_column_blob(st, at), digest, sizeof digest))
    return fl_store_fail_corrupt(s, err,
                                 "a checkpoint is not what was stored (its digest differs)");
  fl_buf_add(out, text, size);
  return FL_OK;
}

/// One value id of one row; *found false: no such row.
static fl_code read_id(fl_store *s, sqlite3_stmt *st, bool *found, int64_t *id, fl_error *err) {
  *id = 0;
  fl_code code = fl_store_read(s, st, found, err);
  if (code || !*found) return code;
  *id = sqlite3_column_int64(st, 0);
  sqlite3_reset(st);
  return FL_OK;
}

fl_code fl_store_get_checkpoint(fl_store *s, int64_t run, uint32_t node, fl_value **out,
                                fl_error *err) {
  sqlite3_stmt *st;
  bool found = false;
  fl_buf text;
  *out = NULL;
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  fl_buf_init(&text, FL_VALUE_SIZE_MAX + 1);
  code = fl_store_prepare(
      s, FL_SLOT_CHECKPOINT_GET,
      "SELECT " FL_CHECKPOINT_COLUMNS " FROM checkpoint WHERE run=?1 AND node=?2", &st, err);
  if (!code) {
    sqlite3_bind_int64(st, 1, run);
    sqlite3_bind_int64(st, 2, node);
    code = fl_store_read(s, st, &found, err);
  }
  if (!code && found) {
    code = fl_store_append_checkpoint(s, st, 0, &text, err);
    sqlite3_reset(st);
    if (!code && text.failed)
      code = fl_store_fail_corrupt(s, err, "a checkpoint is larger than a value may be");
    if (!code) *out = fl_value_new(text.data, text.size);
  }
  fl_buf_deinit(&text);
  fl_store_read_end(s);
  return code;
}

fl_code fl_store_put_step(fl_store *s, int64_t run, uint32_t node, const char *name,
                          fl_value *value, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_put_value(s, value, err);
  if (!code)
    code = fl_store_prepare_write(s, FL_SLOT_STEP_PUT,
                                  "INSERT OR REPLACE INTO step(run,node,name,value)"
                                  " VALUES(?1,?2,?3,?4)",
                                  &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, node);
  fl_store_bind_text(st, 3, name);
  fl_store_bind_id(st, 4, value ? value->store_id : 0);
  return fl_store_write(s, st, err);
}

fl_code fl_store_get_step(fl_store *s, int64_t run, uint32_t node, const char *name, bool *found,
                          fl_value **out, fl_error *err) {
  sqlite3_stmt *st;
  int64_t id = 0;
  *out = NULL;
  *found = false;
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  code = fl_store_prepare(s, FL_SLOT_STEP_GET,
                          "SELECT value FROM step WHERE run=?1 AND node=?2 AND name=?3", &st, err);
  if (!code) {
    sqlite3_bind_int64(st, 1, run);
    sqlite3_bind_int64(st, 2, node);
    fl_store_bind_text(st, 3, name);
    code = read_id(s, st, found, &id, err);
  }
  if (!code) code = fl_store_get_value(s, id, out, err);
  fl_store_read_end(s);
  return code;
}

fl_code fl_store_drop_steps(fl_store *s, int64_t run, uint32_t node, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(s, FL_SLOT_STEP_DROP,
                                        "DELETE FROM step WHERE run=?1 AND node=?2", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, node);
  return fl_store_write(s, st, err);
}

fl_code fl_store_put_progress(fl_store *s, int64_t run, uint32_t node, double done, double total,
                              const char *text, int64_t at_ms, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(s, FL_SLOT_PROGRESS_PUT,
                                        "INSERT OR REPLACE INTO progress(run,node,done,total,text,"
                                        "at_ms) VALUES(?1,?2,?3,?4,?5,?6)",
                                        &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, node);
  sqlite3_bind_double(st, 3, done);
  sqlite3_bind_double(st, 4, total);
  fl_store_bind_text(st, 5, text);
  sqlite3_bind_int64(st, 6, at_ms);
  return fl_store_write(s, st, err);
}
