// Whether what is there is what was written: SQLite's own check, and the seals of runs that ended.
//
// SQLite finds broken structure, not a flipped bit in a number or a name, and only values and
// scripts carry digests. A run that ended may rest for weeks before a resume believes its rows: so
// its end seals them with a digest over all of them, and a resume compares it.
#include "store/store_internal.h"

// What is kept of a run and does not change between its end and its next resume. All columns: those
// that are added later are sealed too. Ordered by key, as these tables are.
static const char run_part[] =
    "SELECT id,flow,definition,script,state,time_ms,\"trigger\",params,vars,started_ms,ended_ms,"
    "error,selection,interval_from_ms,interval_to_ms FROM run WHERE row=?1";
static const char *const parts[FL_STORE_SEAL_PARTS] = {
    run_part,
    "SELECT * FROM attempt WHERE run=?1 ORDER BY node,number",
    "SELECT * FROM decision WHERE run=?1 ORDER BY node,seq",
    "SELECT * FROM instance WHERE run=?1 ORDER BY node",
    "SELECT * FROM checkpoint WHERE run=?1 ORDER BY node",
    "SELECT * FROM step WHERE run=?1 ORDER BY node,name",
    "SELECT * FROM run_input WHERE run=?1 ORDER BY epoch",
};

#define FLUSH_SIZE 16384 // bytes that are digested at once

// With kind, and size where it is not that of a number, so that no two rows give the same bytes.
// Most columns of most rows are NULL or small: a run of a million nodes is sealed in seconds.
static void add_column(fl_buf *row, sqlite3_stmt *st, int at) {
  int type = sqlite3_column_type(st, at);
  fl_buf_add_char(row, (char)type);
  if (type == SQLITE_INTEGER) {
    int64_t number = sqlite3_column_int64(st, at);
    fl_buf_add(row, &number, sizeof number);
  } else if (type == SQLITE_FLOAT) {
    double real = sqlite3_column_double(st, at);
    fl_buf_add(row, &real, sizeof real);
  } else if (type != SQLITE_NULL) {
    const void *data = sqlite3_column_blob(st, at);
    uint32_t size = (uint32_t)sqlite3_column_bytes(st, at);
    fl_buf_add(row, &size, sizeof size);
    if (size) fl_buf_add(row, data, size);
  }
}

static fl_code add_part(fl_store *s, int part, int64_t run, fl_digest_state *state, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_buf bytes;
  fl_code code = fl_store_prepare(s, FL_SLOT_SEAL + part, parts[part], &st, err);
  if (code) return code;
  fl_buf_init(&bytes, 1u << 30);
  sqlite3_bind_int64(st, 1, run);
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    int count = sqlite3_column_count(st);
    fl_buf_add(&bytes, &count, sizeof count);
    for (int at = 0; at < count; at++) add_column(&bytes, st, at);
    if (bytes.size < FLUSH_SIZE) continue;
    fl_digest_add(state, bytes.data, bytes.size);
    fl_buf_reset(&bytes);
  }
  if (bytes.size) fl_digest_add(state, bytes.data, bytes.size);
  fl_buf_deinit(&bytes);
  return code;
}

static fl_code make_seal(fl_store *s, int64_t run, uint8_t out[FL_DIGEST_SIZE], fl_error *err) {
  fl_code code = FL_OK;
  fl_digest_state *state = fl_digest_begin();
  for (int i = 0; i < FL_STORE_SEAL_PARTS && !code; i++) code = add_part(s, i, run, state, err);
  fl_digest_end(state, out);
  return code;
}

fl_code fl_store_seal_run(fl_store *s, int64_t run, fl_error *err) {
  sqlite3_stmt *st;
  uint8_t seal[1 + FL_DIGEST_SIZE] = {FL_STORE_SCHEMA};
  fl_code code = fl_store_prepare_write(
      s, FL_SLOT_SEAL_PUT, "INSERT OR REPLACE INTO meta VALUES('seal:'||?1,?2)", &st, err);
  if (!code) code = make_seal(s, run, seal + 1, err);
  if (code) {
    fl_store_rollback(s);
    return code;
  }
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_blob(st, 2, seal, sizeof seal, SQLITE_STATIC);
  return fl_store_write(s, st, err);
}

fl_code fl_store_drop_seal(fl_store *s, int64_t run, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(s, FL_SLOT_SEAL_DROP,
                                        "DELETE FROM meta WHERE key='seal:'||?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  return fl_store_write(s, st, err);
}

fl_code fl_store_check_seal(fl_store *s, int64_t run, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  uint8_t kept[1 + FL_DIGEST_SIZE] = {0}, now[FL_DIGEST_SIZE];
  fl_code code = fl_store_prepare(s, FL_SLOT_SEAL_GET,
                                  "SELECT value FROM meta WHERE key='seal:'||?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  code = fl_store_read(s, st, &row, err);
  if (code || !row) return code; // it runs, or ended under an older version
  bool whole = sqlite3_column_bytes(st, 0) == (int)sizeof kept;
  if (whole) memcpy(kept, sqlite3_column_blob(st, 0), sizeof kept);
  sqlite3_reset(st);
  if (whole && kept[0] < FL_STORE_SCHEMA) return FL_OK; // its tables had other columns
  if (whole) code = make_seal(s, run, now, err);
  if (code) return code;
  if (whole && !memcmp(kept + 1, now, sizeof now)) return FL_OK;
  return fl_store_fail_corrupt(s, err, "what it says of the run is not what was stored at its end");
}

fl_code fl_store_check_run(fl_store *s, int64_t run, fl_error *err) {
  fl_code code = fl_store_check(s, err);
  if (!code) code = fl_store_read_begin(s, err);
  if (code) return code;
  code = fl_store_check_seal(s, run, err);
  fl_store_read_end(s);
  return code;
}

static fl_code whole_check(fl_store *s, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_own(s, "PRAGMA integrity_check(1)", &st, err);
  if (code) return code;
  int rc = sqlite3_step(st);
  const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : "";
  if (rc != SQLITE_ROW)
    code = fl_store_fail(s, rc, "read", err);
  else if (strcmp(text, "ok"))
    code = fl_store_fail_corrupt(s, err, "%.200s", text);
  sqlite3_finalize(st);
  return code;
}

fl_code fl_store_check(fl_store *s, fl_error *err) {
  int64_t size;
  fl_code code = fl_store_get_int(
      s, "SELECT page_count*page_size FROM pragma_page_count, pragma_page_size", &size, err);
  return code || size >= FL_STORE_CHECK_SIZE_MAX ? code : whole_check(s, err);
}
