// Script snapshots, each kept once by digest.
#include "store/store_internal.h"

static void add_sized(fl_digest_state *state, const void *data, size_t size) {
  uint8_t length[8];
  for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)size >> 8 * i);
  fl_digest_add(state, length,
                sizeof length); // so that no two lists of sources hash the same bytes
  fl_digest_add(state, data, size);
}

void fl_snapshot_digest(fl_snapshot *snapshot) {
  fl_digest_state *state = fl_digest_begin();
  char language[16];
  // The first sources that were kept had none.
  if (snapshot->language)
    add_sized(state, language,
              (size_t)snprintf(language, sizeof language, "language %u", snapshot->language));
  for (size_t i = 0; i < snapshot->count; i++) {
    add_sized(state, snapshot->sources[i].path, strlen(snapshot->sources[i].path));
    add_sized(state, snapshot->sources[i].data, snapshot->sources[i].size);
  }
  fl_digest_end(state, snapshot->digest);
}

bool fl_snapshot_identify(fl_snapshot *snapshot, const uint8_t digest[FL_DIGEST_SIZE]) {
  for (uint32_t back = 0; back <= FL_LANGUAGE; back++) {
    snapshot->language = FL_LANGUAGE - back;
    fl_snapshot_digest(snapshot);
    if (!memcmp(snapshot->digest, digest, FL_DIGEST_SIZE)) return true;
  }
  return false;
}

void fl_snapshot_deinit(fl_snapshot *snapshot) {
  for (size_t i = 0; i < snapshot->count; i++) {
    free(snapshot->sources[i].path);
    free(snapshot->sources[i].data);
  }
  free(snapshot->sources);
  free(snapshot->dir);
  *snapshot = (fl_snapshot){0};
}

static fl_code put_source(fl_store *s, const fl_source *source, int64_t *id, fl_error *err) {
  sqlite3_stmt *st;
  uint8_t digest[FL_DIGEST_SIZE];
  bool row = false;
  fl_digest(source->data, source->size, digest);
  fl_code code =
      fl_store_prepare(s, FL_SLOT_SOURCE_FIND, "SELECT id FROM source WHERE digest=?1", &st, err);
  if (code) return code;
  sqlite3_bind_blob(st, 1, digest, sizeof digest, SQLITE_STATIC);
  code = fl_store_read(s, st, &row, err);
  if (code) return code;
  if (row) {
    *id = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return fl_store_touch(s, FL_COLUMN_SOURCE, *id, err);
  }
  code = fl_store_prepare(s, FL_SLOT_SOURCE_ADD, "INSERT INTO source(digest,data) VALUES(?1,?2)",
                          &st, err);
  if (code) return code;
  sqlite3_bind_blob(st, 1, digest, sizeof digest, SQLITE_STATIC);
  sqlite3_bind_blob64(st, 2, source->size ? source->data : "", source->size, SQLITE_STATIC);
  code = fl_store_write(s, st, err);
  if (!code) *id = sqlite3_last_insert_rowid(s->db);
  return code;
}

static fl_code add_script(fl_store *s, const fl_snapshot *snapshot, int64_t *id, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare(s, FL_SLOT_SCRIPT_ADD,
                                  "INSERT INTO script(digest,dir) VALUES(?1,?2)", &st, err);
  if (code) return code;
  sqlite3_bind_blob(st, 1, snapshot->digest, FL_DIGEST_SIZE, SQLITE_STATIC);
  fl_store_bind_text(st, 2, snapshot->dir);
  code = fl_store_write(s, st, err);
  *id = sqlite3_last_insert_rowid(s->db);
  for (size_t i = 0; !code && i < snapshot->count; i++) {
    int64_t source = 0;
    code = put_source(s, &snapshot->sources[i], &source, err);
    if (!code)
      code = fl_store_prepare(s, FL_SLOT_SCRIPT_SOURCE_ADD,
                              "INSERT INTO script_source(script,position,path,source)"
                              " VALUES(?1,?2,?3,?4)",
                              &st, err);
    if (code) break;
    sqlite3_bind_int64(st, 1, *id);
    sqlite3_bind_int64(st, 2, (int64_t)i);
    fl_store_bind_text(st, 3, snapshot->sources[i].path);
    sqlite3_bind_int64(st, 4, source);
    code = fl_store_write(s, st, err);
  }
  return code;
}

fl_code fl_store_put_script(fl_store *s, fl_snapshot *snapshot, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  int64_t id = 0;
  // By content and folder, always looked up: a remembered id may have been swept since.
  fl_code code = fl_store_prepare_write(
      s, FL_SLOT_SCRIPT_FIND, "SELECT id FROM script WHERE digest=?1 AND dir=?2", &st, err);
  if (code) return code;
  sqlite3_bind_blob(st, 1, snapshot->digest, FL_DIGEST_SIZE, SQLITE_STATIC);
  fl_store_bind_text(st, 2, snapshot->dir);
  code = fl_store_read(s, st, &row, err);
  if (code) return code;
  if (row) {
    id = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    code = fl_store_touch(s, FL_COLUMN_SCRIPT, id, err);
  } else {
    code = add_script(s, snapshot, &id, err);
  }
  if (!code) snapshot->store_id = id;
  return code;
}

static fl_code read_sources(fl_store *s, int64_t id, fl_snapshot *out, fl_error *err) {
  sqlite3_stmt *st;
  size_t capacity = 0;
  bool row = false;
  fl_code code = fl_store_prepare_own(s,
                                      "SELECT p.path,x.data FROM script_source p"
                                      " JOIN source x ON x.id=p.source"
                                      " WHERE p.script=?1 ORDER BY p.position",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, id);
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    if (out->count == capacity) {
      capacity = capacity ? 2 * capacity : 8;
      out->sources = fl_realloc(out->sources, capacity * sizeof *out->sources);
    }
    fl_source *source = &out->sources[out->count++];
    source->path = fl_store_column_dup(st, 0);
    source->size = (size_t)sqlite3_column_bytes(st, 1);
    source->data = fl_strndup(source->size ? sqlite3_column_blob(st, 1) : "", source->size);
  }
  sqlite3_finalize(st);
  return code;
}

static fl_code read_script(fl_store *s, int64_t id, fl_snapshot *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  uint8_t digest[FL_DIGEST_SIZE];
  fl_code code = fl_store_prepare_own(s, "SELECT digest,dir FROM script WHERE id=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, id);
  code = fl_store_read(s, st, &row, err);
  if (!code && !row)
    code = fl_fail(err, FL_E_NOT_FOUND, "there is no script %lld in '%s'", (long long)id, s->path);
  if (!code && sqlite3_column_bytes(st, 0) != sizeof digest)
    code = fl_store_fail_corrupt(s, err, "script %lld has no digest", (long long)id);
  if (!code) {
    memcpy(digest, sqlite3_column_blob(st, 0), sizeof digest);
    out->dir = fl_store_column_dup(st, 1);
    out->store_id = id;
  }
  sqlite3_finalize(st);
  if (!code) code = read_sources(s, id, out, err);
  if (!code && !out->count)
    code = fl_fail(err, FL_E_NOT_FOUND, "there are no files of script %lld in '%s'", (long long)id,
                   s->path);
  if (code) return code;
  if (fl_snapshot_identify(out, digest)) return FL_OK;
  return fl_store_fail_corrupt(s, err, "script %lld is not what was stored (its digest differs)",
                               (long long)id);
}

fl_code fl_store_get_script(fl_store *s, int64_t id, fl_snapshot *out, fl_error *err) {
  *out = (fl_snapshot){0};
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  code = read_script(s, id, out, err);
  fl_store_read_end(s);
  if (code) fl_snapshot_deinit(out);
  return code;
}

fl_code fl_store_get_script_path(fl_store *s, int64_t id, char **out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  *out = NULL;
  fl_code code = fl_store_prepare_own(s,
                                      "SELECT s.dir||'/'||p.path FROM script s JOIN script_source p"
                                      " ON p.script=s.id AND p.position=0 WHERE s.id=?1",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, id);
  code = fl_store_read(s, st, &row, err);
  if (!code && row) *out = fl_store_column_dup(st, 0);
  sqlite3_finalize(st);
  return code;
}
