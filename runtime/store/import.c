// Takes a run in from a file that export.c wrote: all of it in one transaction, or nothing.
// The file's digest says that it is as it was written, not that its writer meant well: nothing in
// it is trusted to be of the right type, to be there, or to be what its own digest says.
#include "store/copy_internal.h"

typedef struct import {
  fl_copy copy;
  fl_store *store;
  int64_t now_ms;
  char root[FL_RUN_ID_SIZE];
} import;

static fl_code fail_damaged(const import *in, const char *why, fl_error *err) {
  fl_store_rollback(in->store);
  return fl_fail(err, FL_E_CORRUPT, "'%s' is damaged: %s; nothing was taken from it", in->copy.path,
                 why);
}

static fl_code prepare(import *in, const char *sql, sqlite3_stmt **st, fl_error *err) {
  int rc = sqlite3_prepare_v2(in->copy.source, sql, -1, st, NULL);
  return rc ? fl_copy_fail(&in->copy, in->copy.source, rc, err) : FL_OK;
}

static fl_code step(import *in, sqlite3_stmt *st, bool *row, fl_error *err) {
  int rc = sqlite3_step(st);
  *row = rc == SQLITE_ROW;
  return *row || rc == SQLITE_DONE ? FL_OK : fl_copy_fail(&in->copy, in->copy.source, rc, err);
}

static const char *text_at(sqlite3_stmt *st, int at) {
  const char *text = (const char *)sqlite3_column_text(st, at);
  return text ? text : "";
}

// ------------------------------------------------------------------------------------- the file

static fl_code open_payload(import *in, void *payload, size_t size, fl_error *err) {
  sqlite3_stmt *st = NULL;
  bool row = false;
  int rc = sqlite3_open(":memory:", &in->copy.source);
  if (!rc)
    rc = sqlite3_deserialize(in->copy.source, "main", payload, (sqlite3_int64)size,
                             (sqlite3_int64)size, SQLITE_DESERIALIZE_READONLY);
  if (!rc) sqlite3_db_config(in->copy.source, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  if (!rc)
    rc = sqlite3_exec(in->copy.source, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON", NULL,
                      NULL, NULL);
  if (rc) return fl_copy_fail(&in->copy, in->copy.source, rc, err);
  // Views and triggers would be programs; the rest is what its writer says it is.
  fl_code code = prepare(in,
                         "SELECT (SELECT count(*) FROM sqlite_schema WHERE type<>'table'),"
                         " (SELECT group_concat(quick_check) FROM pragma_quick_check(1))",
                         &st, err);
  if (!code) code = step(in, st, &row, err);
  if (!code && sqlite3_column_int(st, 0)) code = fail_damaged(in, "it holds more than rows", err);
  if (!code && strcmp(text_at(st, 1), "ok")) code = fail_damaged(in, "its pages are wrong", err);
  sqlite3_finalize(st);
  return code;
}

// ------------------------------------------------------------------------------------- runs

/// New rows for the runs of the file. FL_E_STATE: the store has one of them.
static fl_code name_runs(import *in, fl_error *err) {
  sqlite3_stmt *st = NULL, *known = NULL, *last = NULL;
  bool row = false, there = false;
  fl_store *s = in->store;
  fl_code code = fl_store_prepare_own(
      s, "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name='run'),0)", &last, err);
  if (!code) code = fl_store_read(s, last, &row, err);
  int64_t next = !code && row ? sqlite3_column_int64(last, 0) : 0;
  sqlite3_finalize(last);
  if (!code) code = fl_store_prepare_own(s, "SELECT 1 FROM run WHERE id=?1", &known, err);
  if (!code) code = prepare(in, "SELECT row,id FROM run ORDER BY row", &st, err);
  while (!code && !(code = step(in, st, &row, err)) && row) {
    const char *id = text_at(st, 1);
    int64_t from = sqlite3_column_int64(st, 0);
    const fl_copy_map *runs = &in->copy.runs;
    if (!fl_id_valid(id, strlen(id)) || strlen(id) >= FL_RUN_ID_SIZE ||
        (runs->count && runs->from[runs->count - 1] >= from)) {
      code = fail_damaged(in, "a run in it has no name", err);
      break;
    }
    fl_store_bind_text(known, 1, id);
    code = fl_store_read(s, known, &there, err);
    sqlite3_reset(known);
    if (!code && there)
      code = fl_fail(err, FL_E_STATE,
                     "run %s is in '%s' already and was left as it is: `flowlua resume %s` "
                     "continues that one; to take in '%s', use another --state",
                     id, s->dir, id, in->copy.path);
    fl_copy_map_add(&in->copy.runs, from, ++next);
  }
  sqlite3_finalize(known);
  sqlite3_finalize(st);
  return code;
}

static fl_code put_origin(import *in, fl_error *err) {
  sqlite3_stmt *st = NULL, *put = NULL;
  bool row = false;
  char at[FL_TIME_TEXT_SIZE];
  fl_buf origin;
  fl_buf_init(&origin, 1 << 16);
  fl_code code = prepare(in,
                         "SELECT o.host,o.dir,o.exported_ms,r.epoch,r.id FROM origin o JOIN run r"
                         " ON r.row=o.run LIMIT 1",
                         &st, err);
  if (!code) code = step(in, st, &row, err);
  if (!code && !row) code = fail_damaged(in, "it does not say where it is from", err);
  if (!code) {
    fl_time_format(sqlite3_column_int64(st, 2), at);
    fl_buf_add_str(&origin, "{\"host\":");
    fl_json_write_text(&origin, text_at(st, 0));
    fl_buf_add_str(&origin, ",\"state\":");
    fl_json_write_text(&origin, text_at(st, 1));
    fl_buf_addf(&origin, ",\"exported_at\":\"%s\",\"epoch\":%lld}", at,
                (long long)sqlite3_column_int64(st, 3));
    snprintf(in->root, sizeof in->root, "%s", text_at(st, 4));
    code = fl_store_prepare_own(in->store, "UPDATE run SET origin=?2 WHERE row=?1", &put, err);
  }
  for (size_t i = 0; !code && i < in->copy.runs.count; i++) {
    sqlite3_bind_int64(put, 1, in->copy.runs.to[i]);
    fl_store_bind_text(put, 2, fl_buf_cstr(&origin));
    code = fl_store_write(in->store, put, err);
  }
  sqlite3_finalize(st);
  sqlite3_finalize(put);
  fl_buf_deinit(&origin);
  return code;
}

// ------------------------------------------------------------------------------------- content

static bool is_digest(sqlite3_stmt *st, int at, const uint8_t digest[FL_DIGEST_SIZE]) {
  const void *stored = sqlite3_column_blob(st, at);
  return sqlite3_column_bytes(st, at) == FL_DIGEST_SIZE && !memcmp(stored, digest, FL_DIGEST_SIZE);
}

static fl_code put_values(import *in, fl_error *err) {
  sqlite3_stmt *st = NULL;
  bool row = false;
  fl_code code = prepare(in, "SELECT id,digest,text FROM value ORDER BY id", &st, err);
  while (!code && !(code = step(in, st, &row, err)) && row) {
    const void *text = sqlite3_column_text(st, 2);
    size_t size = (size_t)sqlite3_column_bytes(st, 2);
    if (!text || size > FL_VALUE_SIZE_MAX) {
      code = fail_damaged(in, "a value in it has no text", err);
      break;
    }
    fl_value *v = fl_value_new(text, size);
    if (!is_digest(st, 1, fl_value_get_digest(v)))
      code = fail_damaged(in, "a value in it is not what was exported (its digest differs)", err);
    if (!code) code = fl_store_put_value(in->store, v, err);
    if (!code) fl_copy_map_add(&in->copy.values, sqlite3_column_int64(st, 0), v->store_id);
    fl_value_unref(v);
  }
  sqlite3_finalize(st);
  return code;
}

static fl_code read_sources(import *in, int64_t script, fl_snapshot *out, fl_error *err) {
  sqlite3_stmt *st = NULL;
  bool row = false;
  fl_code code = prepare(
      in, "SELECT path,data FROM script_source WHERE script=?1 ORDER BY position", &st, err);
  if (!code) sqlite3_bind_int64(st, 1, script);
  while (!code && !(code = step(in, st, &row, err)) && row) {
    out->sources = fl_realloc(out->sources, (out->count + 1) * sizeof *out->sources);
    fl_source *source = &out->sources[out->count++];
    source->path = fl_strdup(text_at(st, 0));
    source->size = (size_t)sqlite3_column_bytes(st, 1);
    source->data = fl_strndup(source->size ? sqlite3_column_blob(st, 1) : "", source->size);
  }
  sqlite3_finalize(st);
  return code;
}

static fl_code put_scripts(import *in, fl_error *err) {
  sqlite3_stmt *st = NULL;
  bool row = false;
  fl_code code = prepare(in, "SELECT id,digest,dir FROM script ORDER BY id", &st, err);
  while (!code && !(code = step(in, st, &row, err)) && row) {
    fl_snapshot snapshot = {.dir = fl_strdup(text_at(st, 2))};
    code = read_sources(in, sqlite3_column_int64(st, 0), &snapshot, err);
    if (!code && (sqlite3_column_bytes(st, 1) != FL_DIGEST_SIZE ||
                  !fl_snapshot_identify(&snapshot, sqlite3_column_blob(st, 1))))
      code = fail_damaged(in, "a script in it is not what was exported (its digest differs)", err);
    if (!code) code = fl_store_put_script(in->store, &snapshot, err);
    if (!code) fl_copy_map_add(&in->copy.scripts, sqlite3_column_int64(st, 0), snapshot.store_id);
    fl_snapshot_deinit(&snapshot);
  }
  sqlite3_finalize(st);
  return code;
}

static fl_code put_nodes(import *in, int64_t from, int64_t to, fl_error *err) {
  sqlite3_stmt *st = NULL;
  bool row = false;
  fl_code code = prepare(in,
                         "SELECT node,name,type,parents,hook,coalesce(position,node),removed"
                         " FROM definition_node WHERE definition=?1 ORDER BY node",
                         &st, err);
  if (!code) sqlite3_bind_int64(st, 1, from);
  while (!code && !(code = step(in, st, &row, err)) && row) {
    fl_definition_node_row node = {.node = (uint32_t)sqlite3_column_int64(st, 0),
                                   .name = text_at(st, 1),
                                   .type = text_at(st, 2),
                                   .parents = text_at(st, 3),
                                   .hook = sqlite3_column_int(st, 4),
                                   .position = (uint32_t)sqlite3_column_int64(st, 5),
                                   .removed = sqlite3_column_int(st, 6) != 0};
    code = fl_store_add_definition_node(in->store, to, &node, err);
  }
  sqlite3_finalize(st);
  return code;
}

static fl_code put_definitions(import *in, fl_error *err) {
  sqlite3_stmt *st = NULL;
  bool row = false, existed;
  int64_t id;
  fl_copy_map *scripts = &in->copy.scripts;
  fl_code code = prepare(
      in, "SELECT id,digest,flow,script,node_count,edited FROM definition ORDER BY id", &st, err);
  while (!code && !(code = step(in, st, &row, err)) && row) {
    fl_definition_row d = {.flow = text_at(st, 2),
                           .node_count = (uint32_t)sqlite3_column_int64(st, 4),
                           .edited = sqlite3_column_int(st, 5) != 0};
    for (size_t i = 0; i < scripts->count; i++)
      if (scripts->from[i] == sqlite3_column_int64(st, 3)) d.script = scripts->to[i];
    if (!d.script || sqlite3_column_bytes(st, 1) != FL_DIGEST_SIZE) {
      code = fail_damaged(in, "a flow in it has no script", err);
      break;
    }
    memcpy(d.digest, sqlite3_column_blob(st, 1), FL_DIGEST_SIZE);
    code = fl_store_put_definition(in->store, &d, &id, &existed, err);
    if (!code && !existed) code = put_nodes(in, sqlite3_column_int64(st, 0), id, err);
    if (!code && !existed) code = fl_store_end_definition(in->store, id, d.node_count, err);
    if (!code) fl_copy_map_add(&in->copy.definitions, sqlite3_column_int64(st, 0), id);
  }
  sqlite3_finalize(st);
  return code;
}

// ------------------------------------------------------------------------------------- all of it

fl_code fl_store_import(fl_store *s, const char *path, char run_id_out[FL_RUN_ID_SIZE],
                        fl_error *err) {
import in = {.store = s, .copy = {.store = s, .target = s->db, .path = path } };
  char *file = NULL;
  size_t at = 0, size = 0;
  fl_code code = fl_export_read(s->disk, path, &file, &at, &size, err);
  if (!code) code = open_payload(&in, file + at, size, err);
  if (!code) code = fl_store_begin_own(s, err);
  if (!code) code = name_runs(&in, err);
  if (!code) code = put_scripts(&in, err);
  if (!code) code = put_definitions(&in, err);
  if (!code) code = put_values(&in, err);
  if (!code) code = fl_copy_runs(&in.copy, err);
  if (!code) code = put_origin(&in, err);
  if (!code) code = fl_copy_seal_runs(&in.copy, err);
  if (!code) code = fl_store_commit(s, err);
  if (code)
    fl_store_rollback(s);
  else
    memcpy(run_id_out, in.root, FL_RUN_ID_SIZE);
  sqlite3_close(in.copy.source);
  fl_copy_deinit(&in.copy);
  free(file);
  return code;
}
