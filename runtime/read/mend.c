// What was changed in a run and what was proposed: its patches and proposals as JSON, and how the
// proposals that were applied turned out.
#include "read/read_internal.h"

static void add_digest(fl_buf *out, sqlite3_stmt *st, int column) {
  char hex[2 * FL_DIGEST_SIZE + 1] = "";
  if (sqlite3_column_bytes(st, column) == FL_DIGEST_SIZE)
    fl_digest_hex(sqlite3_column_blob(st, column), hex);
  fl_buf_addf(out, ",\"digest\":\"sha256:%s\"", hex);
}

static void add_text(fl_buf *out, const char *key, sqlite3_stmt *st, int column) {
  fl_buf_addf(out, ",\"%s\":", key);
  fl_json_write_text(out, (const char *)sqlite3_column_text(st, column));
}

fl_code fl_read_add_patches(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  size_t count = 0;
  fl_code code =
      fl_store_prepare_own(s,
                           "SELECT e.epoch,e.at_ms,e.author,e.reason,e.patch,v.digest,"
                           "(SELECT max(p.number) FROM proposal p WHERE p.run=e.run"
                           " AND p.applied_epoch=e.epoch) FROM epoch e"
                           " LEFT JOIN value v ON v.id=e.patch WHERE e.run=?1"
                           " AND (e.patch IS NOT NULL OR e.reason IS NOT NULL) ORDER BY e.epoch",
                           &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run->row);
  fl_buf_add_char(out, '[');
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    fl_buf_addf(out, "%s{\"epoch\":%d,\"at\":", count++ ? "," : "", sqlite3_column_int(st, 0));
    fl_read_add_time(out, sqlite3_column_int64(st, 1));
    add_text(out, "author", st, 2);
    add_text(out, "reason", st, 3);
    fl_buf_add_str(out, ",\"proposal\":");
    if (sqlite3_column_type(st, 6) == SQLITE_NULL)
      fl_buf_add_str(out, "null");
    else
      fl_json_write_int(out, sqlite3_column_int64(st, 6));
    fl_buf_add_str(out, ",\"patch\":");
    code = fl_store_append_value(s, sqlite3_column_int64(st, 4), "{}", out, err);
    if (code) break;
    add_digest(out, st, 5);
    fl_buf_add_char(out, '}');
  }
  fl_buf_add_char(out, ']');
  sqlite3_finalize(st);
  return code;
}

static fl_code load_json(fl_store *s, int64_t id, json_t **out, fl_error *err) {
  fl_buf text;
  *out = NULL;
  fl_buf_init(&text, FL_VALUE_SIZE_MAX + 1);
  fl_code code = fl_store_append_value(s, id, "{}", &text, err);
  if (!code) code = fl_json_parse(text.data, text.size, out, err);
  fl_buf_deinit(&text);
  return code;
}

fl_code fl_read_add_vars(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  json_t *vars, *patch;
  if (run->epoch <= 1) return fl_store_append_value(s, run->vars, "{}", out, err);
  fl_code code = fl_store_prepare_own(
      s, "SELECT patch FROM epoch WHERE run=?1 AND patch IS NOT NULL ORDER BY epoch", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run->row);
  code = load_json(s, run->vars, &vars, err);
  while (!code && !(code = fl_store_read(s, st, &row, err)) && row) {
    code = load_json(s, sqlite3_column_int64(st, 0), &patch, err);
    json_object_update(vars, json_object_get(patch, "vars"));
    json_decref(patch);
  }
  if (!code) fl_json_write(out, vars);
  json_decref(vars);
  sqlite3_finalize(st);
  return code;
}

// Of a proposal that began epoch `applied`: did that epoch end at a breakpoint again?
static const char *outcome_of(const fl_run_row *run, uint32_t applied, bool broke) {
  if (!applied) return NULL;
  if (broke) return "failed";
  if (run->epoch > applied) return "interrupted";
  if (!fl_run_state_is_final(run->state)) return "running";
  return fl_run_state_text(run->state);
}

fl_code fl_read_add_proposals(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  size_t count = 0;
  fl_code code = fl_store_prepare_own(
      s,
      "SELECT p.number,p.epoch,p.at_ms,p.origin,p.reason,p.patch,v.digest,p.automatic,"
      "p.applied_epoch,EXISTS(SELECT 1 FROM breakpoint b WHERE b.run=p.run"
      " AND b.epoch=p.applied_epoch) FROM proposal p LEFT JOIN value v ON v.id=p.patch"
      " WHERE p.run=?1 ORDER BY p.number",
      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run->row);
  fl_buf_add_char(out, '[');
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    uint32_t applied = (uint32_t)sqlite3_column_int64(st, 8);
    fl_buf_addf(out, "%s{\"number\":%d,\"epoch\":%d,\"at\":", count++ ? "," : "",
                sqlite3_column_int(st, 0), sqlite3_column_int(st, 1));
    fl_read_add_time(out, sqlite3_column_int64(st, 2));
    add_text(out, "origin", st, 3);
    add_text(out, "reason", st, 4);
    fl_buf_add_str(out, ",\"patch\":");
    code = fl_store_append_value(s, sqlite3_column_int64(st, 5), "{}", out, err);
    if (code) break;
    add_digest(out, st, 6);
    fl_buf_addf(
        out, ",\"automatic\":%s,\"applied_epoch\":", sqlite3_column_int(st, 7) ? "true" : "false");
    if (applied)
      fl_json_write_int(out, applied);
    else
      fl_buf_add_str(out, "null");
    fl_buf_add_str(out, ",\"outcome\":");
    fl_json_write_text(out, outcome_of(run, applied, sqlite3_column_int(st, 9)));
    fl_buf_add_char(out, '}');
  }
  fl_buf_add_char(out, ']');
  sqlite3_finalize(st);
  return code;
}

typedef fl_code (*adder)(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err);

static fl_code read_list(fl_store *s, const fl_run_row *run, const char *key, adder add,
                         fl_buf *out, fl_error *err) {
  fl_run_row fresh;
  fl_code code = fl_read_begin(s, run, &fresh, err);
  fl_buf_addf(out, "{\"run\":\"%s\",\"%s\":", run->id, key);
  if (!code) code = add(s, &fresh, out, err);
  fl_buf_add_char(out, '}');
  fl_read_end(s, &fresh);
  return code ? code : fl_read_finish(s, out, err);
}

fl_code fl_read_store_proposals(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err) {
  return read_list(s, run, "proposals", fl_read_add_proposals, out, err);
}

fl_code fl_read_store_patches(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err) {
  return read_list(s, run, "patches", fl_read_add_patches, out, err);
}
