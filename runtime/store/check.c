// Whether what is there is what was written: SQLite's own check, and the seals of runs that ended.
//
// SQLite finds broken structure, not a flipped bit in a number or a name, and only values and
// scripts carry digests. A run that ended may rest for weeks before a resume believes its rows: so
// its end seals them with a digest over all of them, and a resume compares it.
#include "store/store_internal.h"

#define FLUSH_SIZE   16384 // bytes that are digested at once
#define FL_SEAL_KEYS 2     // columns that order a run's rows in a table, at most

// With kind, and size where it is not that of a number, so that no two rows give the same bytes.
// Most columns of most rows are NULL or small: a run of a million nodes is sealed in seconds.
static void add_column(fl_buf *row, sqlite3_value *column) {
  int type = sqlite3_value_type(column);
  fl_buf_add_char(row, (char)type);
  if (type == SQLITE_INTEGER) {
    int64_t number = sqlite3_value_int64(column);
    fl_buf_add(row, &number, sizeof number);
  } else if (type == SQLITE_FLOAT) {
    double real = sqlite3_value_double(column);
    fl_buf_add(row, &real, sizeof real);
  } else if (type != SQLITE_NULL) {
    const void *data = sqlite3_value_blob(column);
    uint32_t size = (uint32_t)sqlite3_value_bytes(column);
    fl_buf_add(row, &size, sizeof size);
    if (size) fl_buf_add(row, data, size);
  }
}

struct fl_seal {
  int64_t run;
  fl_digest_state *digest;
  size_t table;                       // the next rows are of this one ...
  bool within;                        // ... behind `after`
  sqlite3_value *after[FL_SEAL_KEYS]; // what orders its rows, of the last one
};

static void forget_place(fl_seal *seal) {
  for (size_t i = 0; i < FL_SEAL_KEYS; i++) {
    sqlite3_value_free(seal->after[i]);
    seal->after[i] = NULL;
  }
  seal->within = false;
}

fl_seal *fl_seal_new(int64_t run) {
  fl_seal *seal = fl_alloc_zero(1, sizeof *seal);
  seal->run = run;
  seal->digest = fl_digest_begin();
  return seal;
}

void fl_seal_free(fl_seal *seal) {
  uint8_t unused[FL_DIGEST_SIZE];
  if (!seal) return;
  forget_place(seal);
  if (seal->digest) fl_digest_end(seal->digest, unused);
  free(seal);
}

// The n-th column that orders rows of one run, as its place among those that a seal covers; -1:
// none.
static int find_key(const fl_table *t, size_t n) {
  const char *name = t->rest;
  for (; name && n; n--) name = (name = strchr(name, ',')) ? name + 1 : NULL;
  if (!name) return -1;
  size_t size = strcspn(name, ",");
  int at = 0;
  for (const fl_column *k = t->columns; k->name; k++) {
    if (strlen(k->name) == size && !memcmp(k->name, name, size)) return at;
    at += !k->loose;
  }
  return -1;
}

/// What a seal covers of a table: all of a run's rows there, in the order of their key, without
/// what may change between its end and its next resume.
static fl_code prepare_part(fl_store *s, size_t table, sqlite3_stmt **out, fl_error *err) {
  const fl_table *t = &fl_tables[table];
  fl_store_slot slot = FL_SLOT_SEAL + (fl_store_slot)table;
  fl_buf sql;
  const char *sign = "SELECT ";
  if ((*out = s->slots[slot])) return FL_OK; // of each portion of a large run
  fl_buf_init(&sql, 1 << 16);
  for (const fl_column *k = t->columns; k->name; k++) {
    if (k->loose) continue;
    fl_buf_addf(&sql, "%s\"%s\"", sign, k->name);
    sign = ",";
  }
  fl_buf_addf(&sql, " FROM \"%s\" WHERE \"%s\"=?1", t->name, t->key);
  if (t->rest)
    fl_buf_addf(&sql, " AND (%s)>(?2%s) ORDER BY %s LIMIT ?4", t->rest,
                find_key(t, 1) < 0 ? "" : ",?3", t->rest);
  fl_code code = fl_store_prepare(s, slot, fl_buf_cstr(&sql), out, err);
  fl_buf_deinit(&sql);
  return code;
}

static void note_place(fl_seal *seal, sqlite3_stmt *st) {
  const fl_table *t = &fl_tables[seal->table];
  forget_place(seal);
  for (size_t i = 0; i < FL_SEAL_KEYS && find_key(t, i) >= 0; i++)
    seal->after[i] = sqlite3_value_dup(sqlite3_column_value(st, find_key(t, i)));
  seal->within = true;
}

// Up to `rows` of the table that it is at. `*read`: as many as there were.
static fl_code add_part(fl_store *s, fl_seal *seal, uint32_t rows, uint32_t *read, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_buf bytes;
  fl_code code = prepare_part(s, seal->table, &st, err);
  *read = 0;
  if (code) return code;
  fl_buf_init(&bytes, 1u << 30);
  sqlite3_bind_int64(st, 1, seal->run);
  for (int i = 0; i < FL_SEAL_KEYS && fl_tables[seal->table].rest; i++) {
    if (seal->within && seal->after[i])
      sqlite3_bind_value(st, 2 + i, seal->after[i]);
    else
      sqlite3_bind_int64(st, 2 + i, INT64_MIN); // before all numbers and texts
  }
  if (fl_tables[seal->table].rest) sqlite3_bind_int64(st, 4, rows);
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    int count = sqlite3_column_count(st);
    fl_buf_add(&bytes, &count, sizeof count);
    // A connection without a mutex: its columns are values as good as any others.
    for (int at = 0; at < count; at++) add_column(&bytes, sqlite3_column_value(st, at));
    if (++*read == rows) note_place(seal, st);
    if (bytes.size < FLUSH_SIZE) continue;
    fl_digest_add(seal->digest, bytes.data, bytes.size);
    fl_buf_reset(&bytes);
  }
  if (bytes.size) fl_digest_add(seal->digest, bytes.data, bytes.size);
  fl_buf_deinit(&bytes);
  return code;
}

fl_code fl_seal_add_some(fl_store *s, fl_seal *seal, uint32_t rows, bool *whole, fl_error *err) {
  *whole = false;
  for (; seal->table < FL_STORE_TABLES; seal->table++) {
    uint32_t read = 0;
    // The run's own row is the last to change, and comes with fl_seal_put().
    if (!fl_tables[seal->table].sealed || seal->table == FL_STORE_TABLE_RUN) continue;
    fl_code code = add_part(s, seal, rows, &read, err);
    if (code || read == rows) return code;
    forget_place(seal);
    rows -= read;
  }
  *whole = true;
  return FL_OK;
}

static fl_code finish_seal(fl_store *s, fl_seal *seal, uint8_t out[FL_DIGEST_SIZE], fl_error *err) {
  uint32_t read;
  seal->table = FL_STORE_TABLE_RUN;
  fl_code code = add_part(s, seal, UINT32_MAX, &read, err);
  fl_digest_end(seal->digest, out);
  seal->digest = NULL;
  return code;
}

static fl_code make_seal(fl_store *s, int64_t run, uint8_t out[FL_DIGEST_SIZE], fl_error *err) {
  fl_seal *seal = fl_seal_new(run);
  bool whole = false;
  fl_code code = fl_seal_add_some(s, seal, UINT32_MAX, &whole, err);
  if (!code) code = finish_seal(s, seal, out, err);
  fl_seal_free(seal);
  return code;
}

static fl_code put_seal(fl_store *s, int64_t run, const uint8_t digest[FL_DIGEST_SIZE],
                        fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(s, FL_SLOT_SEAL_PUT,
                                        "INSERT OR REPLACE INTO seal VALUES(?1,?2,?3)", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, FL_SEAL_SCHEMA);
  sqlite3_bind_blob(st, 3, digest, FL_DIGEST_SIZE, SQLITE_STATIC);
  return fl_store_write(s, st, err);
}

fl_code fl_seal_put(fl_store *s, fl_seal *seal, fl_error *err) {
  uint8_t digest[FL_DIGEST_SIZE];
  fl_code code = finish_seal(s, seal, digest, err);
  if (!code) code = put_seal(s, seal->run, digest, err);
  if (code) fl_store_rollback(s);
  return code;
}

fl_code fl_store_seal_run(fl_store *s, int64_t run, fl_error *err) {
  uint8_t digest[FL_DIGEST_SIZE];
  fl_code code = fl_store_begin(s, err);
  if (!code) code = make_seal(s, run, digest, err);
  if (!code) code = put_seal(s, run, digest, err);
  if (code) fl_store_rollback(s);
  return code;
}

fl_code fl_store_drop_seal(fl_store *s, int64_t run, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code =
      fl_store_prepare_write(s, FL_SLOT_SEAL_DROP, "DELETE FROM seal WHERE run=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  return fl_store_write(s, st, err);
}

fl_code fl_store_check_seal(fl_store *s, int64_t run, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  uint8_t kept[FL_DIGEST_SIZE], now[FL_DIGEST_SIZE];
  fl_code code = fl_store_prepare(s, FL_SLOT_SEAL_GET,
                                  "SELECT schema,digest FROM seal WHERE run=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  code = fl_store_read(s, st, &row, err);
  if (code || !row) return code; // it runs, or ended under an older version
  bool older = sqlite3_column_int64(st, 0) < FL_SEAL_SCHEMA; // or was made in another way
  bool whole = sqlite3_column_bytes(st, 1) == (int)sizeof kept;
  if (whole) memcpy(kept, sqlite3_column_blob(st, 1), sizeof kept);
  sqlite3_reset(st);
  if (older) return FL_OK;
  if (whole) code = make_seal(s, run, now, err);
  if (code) return code;
  if (whole && !memcmp(kept, now, sizeof now)) return FL_OK;
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
