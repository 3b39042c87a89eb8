// Values by content: each text is kept once, found by its SHA-256, which is checked at every read
// (SQLite's own check misses single flipped bits).
#include "store/store_internal.h"
#include "base/bug.h"

// Remembers that `v` got its id in this transaction, to take it back on a rollback.
static void set_id(fl_store *s, fl_value *v, int64_t id) {
  if (s->fresh_count == s->fresh_capacity) {
    s->fresh_capacity = s->fresh_capacity ? 2 * s->fresh_capacity : 64;
    s->fresh = fl_realloc(s->fresh, s->fresh_capacity * sizeof *s->fresh);
  }
  s->fresh[s->fresh_count++] = fl_value_ref(v);
  v->store_id = id;
}

/// Whether row `v->store_id` still is this value: a sweep may have removed it since it was put.
static fl_code is_there(fl_store *s, fl_value *v, bool *there, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare(s, FL_SLOT_VALUE_IS,
                                  "SELECT 1 FROM value WHERE id=?1 AND digest=?2", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, v->store_id);
  sqlite3_bind_blob(st, 2, fl_value_get_digest(v), FL_DIGEST_SIZE, SQLITE_STATIC);
  code = fl_store_read(s, st, there, err);
  sqlite3_reset(st);
  return code;
}

static fl_code find(fl_store *s, fl_value *v, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code =
      fl_store_prepare(s, FL_SLOT_VALUE_FIND, "SELECT id FROM value WHERE digest=?1", &st, err);
  if (code) return code;
  sqlite3_bind_blob(st, 1, fl_value_get_digest(v), FL_DIGEST_SIZE, SQLITE_STATIC);
  code = fl_store_read(s, st, &row, err);
  if (code) return code;
  if (!row) return fl_store_fail_corrupt(s, err, "the index of its values is wrong");
  set_id(s, v, sqlite3_column_int64(st, 0));
  sqlite3_reset(st);
  return FL_OK;
}

static fl_code add(fl_store *s, fl_value *v, fl_error *err) {
  sqlite3_stmt *st;
  char hex[2 * FL_DIGEST_SIZE + 1];
  bool blob = v->size > FL_VALUE_INLINE_MAX;
  const uint8_t *digest = fl_value_get_digest(v);
  fl_code code = FL_OK;
  if (blob) {
    fl_digest_hex(digest, hex);
    // Before the row, and also when the row is there: its file may have been lost.
    if (!fl_blob_exists(s, hex)) code = fl_blob_write(s, hex, v->text, v->size, err);
    if (code) {
      fl_store_rollback(s);
      return code;
    }
  }
  // One look-up for a new value: the conflict check and the insert share a position in the index.
  code = fl_store_prepare(s, FL_SLOT_VALUE_ADD,
                          "INSERT INTO value(digest,size,text) VALUES(?1,?2,?3)"
                          " ON CONFLICT(digest) DO NOTHING",
                          &st, err);
  if (code) return code;
  sqlite3_bind_blob(st, 1, digest, FL_DIGEST_SIZE, SQLITE_STATIC);
  sqlite3_bind_int64(st, 2, v->size);
  if (blob)
    sqlite3_bind_null(st, 3);
  else
    sqlite3_bind_text(st, 3, v->text, (int)v->size, SQLITE_STATIC);
  code = fl_store_write(s, st, err);
  if (code) return code;
  if (sqlite3_changes(s->db) == 0) return find(s, v, err);
  set_id(s, v, sqlite3_last_insert_rowid(s->db));
  return FL_OK;
}

fl_code fl_store_put_value(fl_store *s, fl_value *v, fl_error *err) {
  bool there = false;
  if (!v) return FL_OK;
  fl_code code = fl_store_begin(s, err);
  if (code) return code;
  if (fl_value_is_shared(v)) return FL_OK; // "{}" and "null" are in every store
  if (v->store_id > s->suspect_max) return FL_OK;
  if (v->store_id) {
    code = is_there(s, v, &there, err);
    if (code || there) return code;
    v->store_id = 0;
  }
  return add(s, v, err);
}

/// Finds value `id`; `*st` stands on (digest, size, text) and must be reset.
static fl_code seek(fl_store *s, int64_t id, sqlite3_stmt **st, fl_error *err) {
  bool row = false;
  fl_code code = fl_store_prepare(s, FL_SLOT_VALUE_GET,
                                  "SELECT digest,size,text FROM value WHERE id=?1", st, err);
  if (code) return code;
  sqlite3_bind_int64(*st, 1, id);
  code = fl_store_read(s, *st, &row, err);
  if (code) return code;
  return row ? FL_OK : fl_store_fail_corrupt(s, err, "value %lld is missing", (long long)id);
}

static fl_code check(fl_store *s, int64_t id, const void *expected, const void *data, size_t size,
                     fl_error *err) {
  uint8_t digest[FL_DIGEST_SIZE];
  fl_digest(data, size, digest);
  if (FL_BUG(digest_unchecked) || !memcmp(digest, expected, sizeof digest)) return FL_OK;
  return fl_store_fail_corrupt(s, err, "value %lld is not what was stored (its digest differs)",
                               (long long)id);
}

/// Appends the text of value `id`, on which `st` stands, checked; its digest goes to `digest`.
static fl_code append_row(fl_store *s, sqlite3_stmt *st, int64_t id, uint8_t digest[FL_DIGEST_SIZE],
                          fl_buf *out, fl_error *err) {
  char hex[2 * FL_DIGEST_SIZE + 1];
  fl_code code = FL_OK;
  if (sqlite3_column_bytes(st, 0) != FL_DIGEST_SIZE)
    return fl_store_fail_corrupt(s, err, "value %lld has no digest", (long long)id);
  memcpy(digest, sqlite3_column_blob(st, 0), FL_DIGEST_SIZE);
  size_t start = out->size;
  if (sqlite3_column_type(st, 2) == SQLITE_NULL) {
    fl_digest_hex(digest, hex);
    code = fl_blob_read(s, hex, (size_t)sqlite3_column_int64(st, 1), out, err);
  } else {
    fl_buf_add(out, sqlite3_column_text(st, 2), (size_t)sqlite3_column_bytes(st, 2));
  }
  if (!code && !out->failed) code = check(s, id, digest, out->data + start, out->size - start, err);
  return code;
}

static fl_code append(fl_store *s, int64_t id, uint8_t digest[FL_DIGEST_SIZE], fl_buf *out,
                      fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = seek(s, id, &st, err);
  if (code) return code;
  code = append_row(s, st, id, digest, out, err);
  sqlite3_reset(st);
  return code;
}

// -------------------------------------------------------------------------------- walking

#define STEPS_MAX 3 // rows to step over before a new search is cheaper

fl_code fl_store_walk_append(fl_store *s, fl_value_walk *w, int64_t id, fl_buf *out,
                             fl_error *err) {
  uint8_t digest[FL_DIGEST_SIZE];
  fl_code code = FL_OK;
  bool row = w->id > 0;
  if (!w->st)
    code = fl_store_prepare_own(s, "SELECT digest,size,text,id FROM value WHERE id>=?1 ORDER BY id",
                                &w->st, err);
  if (!code && (!row || id < w->id || id > w->id + STEPS_MAX)) {
    sqlite3_reset(w->st);
    sqlite3_bind_int64(w->st, 1, id);
    w->id = 0;
    row = true;
  }
  while (!code && row && w->id < id) {
    code = fl_store_read(s, w->st, &row, err);
    w->id = !code && row ? sqlite3_column_int64(w->st, 3) : 0;
  }
  if (code) return code;
  if (!row || w->id != id)
    return fl_store_fail_corrupt(s, err, "value %lld is missing", (long long)id);
  return append_row(s, w->st, id, digest, out, err);
}

void fl_store_walk_end(fl_value_walk *w) {
  sqlite3_finalize(w->st);
  *w = (fl_value_walk){0};
}

fl_code fl_store_append_value(fl_store *s, int64_t id, const char *otherwise, fl_buf *out,
                              fl_error *err) {
  uint8_t digest[FL_DIGEST_SIZE];
  if (id) return append(s, id, digest, out, err);
  fl_buf_add_str(out, otherwise);
  return FL_OK;
}

fl_code fl_store_get_value(fl_store *s, int64_t id, fl_value **out, fl_error *err) {
  fl_buf text;
  uint8_t digest[FL_DIGEST_SIZE];
  *out = NULL;
  if (!id) return FL_OK;
  if (id == FL_VALUE_ID_EMPTY_MAP) return *out = fl_value_empty_map(), FL_OK;
  if (id == FL_VALUE_ID_NULL) return *out = fl_value_null(), FL_OK;
  fl_buf_init(&text, FL_VALUE_SIZE_MAX + 1);
  fl_code code = append(s, id, digest, &text, err);
  if (!code && text.failed)
    code = fl_store_fail_corrupt(s, err, "value %lld is larger than a value may be", (long long)id);
  if (!code) {
    *out = fl_value_new(text.data, text.size);
    (*out)->store_id = id;
    (*out)->digested = true;
    memcpy((*out)->digest, digest, sizeof digest);
  }
  fl_buf_deinit(&text);
  return code;
}
