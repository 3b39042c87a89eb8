// Values by content: each text of some length is kept once, found by its SHA-256, which is checked
// at every read (SQLite's own check misses single flipped bits).
//
// A short one has a row for each time it was put, but where it is one of the last ones again: to
// look for a hundred thousand different outputs of ten bytes, and to keep them findable, took more
// than all else that their nodes did, and their places in the index are all over the file. Two ids
// may stand for the same short text: fl_store_is_same_value() knows.
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
  fl_code code = fl_store_prepare(
      s, FL_SLOT_VALUE_FIND, "SELECT id FROM value WHERE digest=?1 AND " FL_SQL_LONG, &st, err);
  if (code) return code;
  sqlite3_bind_blob(st, 1, fl_value_get_digest(v), FL_DIGEST_SIZE, SQLITE_STATIC);
  code = fl_store_read(s, st, &row, err);
  if (code) return code;
  if (!row) return fl_store_fail_corrupt(s, err, "the index of its values is wrong");
  set_id(s, v, sqlite3_column_int64(st, 0));
  sqlite3_reset(st);
  return fl_store_touch(s, FL_COLUMN_VALUE, v->store_id, err);
}

static size_t recent_place(const fl_value *v) {
  uint32_t hash = 2166136261u;
  for (uint32_t i = 0; i < v->size; i++) hash = (hash ^ (uint8_t)v->text[i]) * 16777619u;
  return (hash ^ hash >> 16) % FL_STORE_RECENT_VALUES;
}

static fl_code add_short(fl_store *s, fl_value *v, fl_error *err) {
  sqlite3_stmt *st;
  // They are in every store, and known by their ids.
  if (fl_value_equal(v, fl_value_empty_map())) return set_id(s, v, FL_VALUE_ID_EMPTY_MAP), FL_OK;
  if (fl_value_equal(v, fl_value_null())) return set_id(s, v, FL_VALUE_ID_NULL), FL_OK;
  fl_value **recent = &s->recent[recent_place(v)];
  if (*recent && (*recent)->store_id > s->suspect_max && fl_value_equal(*recent, v))
    return set_id(s, v, (*recent)->store_id), FL_OK;
  fl_code code = fl_store_prepare(s, FL_SLOT_VALUE_ADD_SHORT,
                                  "INSERT INTO value(digest,size,text) VALUES(?1,?2,?3)", &st, err);
  if (code) return code;
  sqlite3_bind_blob(st, 1, fl_value_get_digest(v), FL_DIGEST_SIZE, SQLITE_STATIC);
  sqlite3_bind_int64(st, 2, v->size);
  sqlite3_bind_text(st, 3, v->text, (int)v->size, SQLITE_STATIC);
  code = fl_store_write(s, st, err);
  if (code) return code;
  set_id(s, v, sqlite3_last_insert_rowid(s->db));
  fl_value_unref(*recent);
  *recent = fl_value_ref(v);
  return FL_OK;
}

static fl_code add(fl_store *s, fl_value *v, fl_error *err) {
  sqlite3_stmt *st;
  char hex[2 * FL_DIGEST_SIZE + 1];
  // A file of its own would have to be synced here, before the commit that names it.
  bool blob = v->size > FL_VALUE_INLINE_MAX && !s->aside.run;
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
                          " ON CONFLICT(digest) WHERE " FL_SQL_LONG " DO NOTHING",
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
    if (there && !code) code = fl_store_touch(s, FL_COLUMN_VALUE, v->store_id, err);
    if (code || there) return code;
    v->store_id = 0;
  }
  return v->size <= FL_VALUE_SHORT_MAX ? add_short(s, v, err) : add(s, v, err);
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

bool fl_store_is_same_value(fl_store *s, int64_t a, int64_t b) {
  sqlite3_stmt *st;
  uint8_t digest[FL_DIGEST_SIZE];
  if (a == b || !a || !b) return a == b;
  if (seek(s, a, &st, NULL)) return false;
  bool ok = sqlite3_column_int64(st, 1) <= FL_VALUE_SHORT_MAX &&
            sqlite3_column_bytes(st, 0) == FL_DIGEST_SIZE;
  if (ok) memcpy(digest, sqlite3_column_blob(st, 0), sizeof digest);
  sqlite3_reset(st);
  if (!ok || seek(s, b, &st, NULL)) return false;
  ok = sqlite3_column_bytes(st, 0) == FL_DIGEST_SIZE &&
       !memcmp(digest, sqlite3_column_blob(st, 0), sizeof digest);
  sqlite3_reset(st);
  return ok;
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
