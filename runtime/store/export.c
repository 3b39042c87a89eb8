// Puts a run and all it called, with every value, script and definition they name, into one file.
// Logs stay where they are: only their places go along.
#include "store/copy_internal.h"

static int exec(sqlite3 *db, const char *sql) {
  return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/// Tables without types: what is copied keeps the one it has, and the target's are strict.
static fl_code make_tables(fl_copy *c, fl_error *err) {
  fl_buf sql;
  fl_buf_init(&sql, 1 << 16);
  for (const fl_table *t = fl_tables; t < fl_tables + FL_STORE_TABLES; t++) {
    if (!fl_copy_is_copied(t)) continue;
    fl_buf_addf(&sql, "CREATE TABLE \"%s\"(", t->name);
    for (const fl_column *k = t->columns; k->name; k++)
      fl_buf_addf(&sql, "%s\"%s\"", k == t->columns ? "" : ",", k->name);
    fl_buf_addf(&sql, ");");
  }
  fl_buf_addf(&sql, "CREATE TABLE value(id INTEGER PRIMARY KEY, digest, text);"
                    "CREATE TABLE script(id INTEGER PRIMARY KEY, digest, dir);"
                    "CREATE TABLE script_source(script, position, path, data);"
                    "CREATE TABLE definition(id INTEGER PRIMARY KEY, digest, flow, script,"
                    " node_count, edited);"
                    "CREATE TABLE definition_node(definition, node, name, type, parents, hook,"
                    " position, removed);"
                    "CREATE TABLE origin(run, host, dir, exported_ms);");
  int rc = exec(c->target, fl_buf_cstr(&sql));
  fl_buf_deinit(&sql);
  return rc ? fl_copy_fail(c, c->target, rc, err) : FL_OK;
}

/// The ids of that kind that the copied rows name. Yours to free.
static fl_code list_ids(fl_copy *c, fl_column_kind kind, fl_copy_map *out, fl_error *err) {
  sqlite3_stmt *st = NULL;
  fl_buf sql;
  fl_buf_init(&sql, 1 << 16);
  fl_copy_add_ids_sql(kind, &sql);
  int rc = sqlite3_prepare_v2(c->target, fl_buf_cstr(&sql), -1, &st, NULL);
  fl_buf_deinit(&sql);
  while (!rc && (rc = sqlite3_step(st)) == SQLITE_ROW) {
    fl_copy_map_add(out, sqlite3_column_int64(st, 0), 0);
    rc = SQLITE_OK;
  }
  fl_code code = rc == SQLITE_DONE ? FL_OK : fl_copy_fail(c, c->target, rc, err);
  sqlite3_finalize(st);
  return code;
}

static fl_code copy_values(fl_copy *c, fl_error *err) {
  sqlite3_stmt *put = NULL;
  fl_buf text;
  fl_buf_init(&text, FL_VALUE_SIZE_MAX + 1);
  fl_code code = list_ids(c, FL_COLUMN_VALUE, &c->values, err);
  int rc =
      code ? SQLITE_OK
           : sqlite3_prepare_v2(c->target, "INSERT INTO value VALUES(?1,?2,?3)", -1, &put, NULL);
  if (rc) code = fl_copy_fail(c, c->target, rc, err);
  for (size_t i = 0; !code && i < c->values.count; i++) {
    uint8_t digest[FL_DIGEST_SIZE];
    fl_buf_reset(&text);
    code = fl_store_append_value(c->store, c->values.from[i], "", &text, err);
    if (!code && text.failed)
      code = fl_fail(err, FL_E_LIMIT, "a value of the store '%s' is larger than %zu bytes",
                     c->store->path, text.size_max);
    if (code) break;
    fl_digest(text.data, text.size, digest);
    sqlite3_bind_int64(put, 1, c->values.from[i]);
    sqlite3_bind_blob(put, 2, digest, sizeof digest, SQLITE_STATIC);
    sqlite3_bind_text64(put, 3, text.data, text.size, SQLITE_STATIC, SQLITE_UTF8);
    rc = sqlite3_step(put);
    if (rc != SQLITE_DONE) code = fl_copy_fail(c, c->target, rc, err);
    sqlite3_reset(put);
  }
  sqlite3_finalize(put);
  fl_buf_deinit(&text);
  return code;
}

/// Copies what `read` gives for each id bound as ?1.
static fl_code copy_by_id(fl_copy *c, const fl_copy_map *ids, const char *read_sql,
                          const char *write_sql, fl_error *err) {
  sqlite3_stmt *read = NULL, *write = NULL;
  fl_code code = fl_store_prepare_own(c->store, read_sql, &read, err);
  int rc = code ? SQLITE_OK : sqlite3_prepare_v2(c->target, write_sql, -1, &write, NULL);
  if (rc) code = fl_copy_fail(c, c->target, rc, err);
  for (size_t i = 0; !code && i < ids->count; i++) {
    bool row = false;
    sqlite3_bind_int64(read, 1, ids->from[i]);
    while (!code && !(code = fl_store_read(c->store, read, &row, err)) && row) {
      for (int at = 0; at < sqlite3_column_count(read); at++)
        sqlite3_bind_value(write, at + 1, sqlite3_column_value(read, at));
      rc = sqlite3_step(write);
      if (rc != SQLITE_DONE) code = fl_copy_fail(c, c->target, rc, err);
      sqlite3_reset(write);
    }
    sqlite3_reset(read);
  }
  sqlite3_finalize(read);
  sqlite3_finalize(write);
  return code;
}

static fl_code copy_scripts(fl_copy *c, fl_error *err) {
  fl_code code = list_ids(c, FL_COLUMN_DEFINITION, &c->definitions, err);
  if (!code)
    code = copy_by_id(c, &c->definitions,
                      "SELECT id,digest,flow,script,node_count,edited FROM definition WHERE id=?1",
                      "INSERT INTO definition VALUES(?,?,?,?,?,?)", err);
  if (!code)
    code = copy_by_id(c, &c->definitions,
                      "SELECT definition,node,name,type,parents,hook,position,removed"
                      " FROM definition_node WHERE definition=?1 ORDER BY node",
                      "INSERT INTO definition_node VALUES(?,?,?,?,?,?,?,?)", err);
  // Those that a run used, and those that a definition was made from.
  int rc = code ? SQLITE_OK
                : exec(c->target, "CREATE TEMP VIEW used AS SELECT script FROM run UNION SELECT"
                                  " script FROM run_input UNION SELECT script FROM definition");
  if (rc) code = fl_copy_fail(c, c->target, rc, err);
  sqlite3_stmt *st = NULL;
  if (!code)
    rc = sqlite3_prepare_v2(c->target, "SELECT script FROM used ORDER BY 1", -1, &st, NULL);
  while (!code && !rc && sqlite3_step(st) == SQLITE_ROW)
    fl_copy_map_add(&c->scripts, sqlite3_column_int64(st, 0), 0);
  sqlite3_finalize(st);
  if (!code)
    code = copy_by_id(c, &c->scripts, "SELECT id,digest,dir FROM script WHERE id=?1",
                      "INSERT INTO script VALUES(?,?,?)", err);
  if (!code)
    code = copy_by_id(c, &c->scripts,
                      "SELECT p.script,p.position,p.path,x.data FROM script_source p JOIN source x"
                      " ON x.id=p.source WHERE p.script=?1 ORDER BY p.position",
                      "INSERT INTO script_source VALUES(?,?,?,?)", err);
  return code;
}

// What an import would refuse is not written.
static fl_code check_scripts(fl_copy *c, const fl_run_row *run, fl_error *err) {
  fl_code code = FL_OK;
  for (size_t i = 0; i < c->scripts.count && !code; i++) {
    fl_snapshot snapshot;
    code = fl_store_get_script(c->store, c->scripts.from[i], &snapshot, err);
    if (!code) fl_snapshot_deinit(&snapshot);
  }
  if (code == FL_E_NOT_FOUND) {
    fl_wrap(err, "the script that run %s used is not in the store any more", run->id);
    err->code = code = FL_E_CORRUPT;
  }
  return code;
}

static fl_code put_origin(fl_copy *c, int64_t run, const char *host, int64_t now_ms,
                          fl_error *err) {
  sqlite3_stmt *st = NULL;
  int rc = sqlite3_prepare_v2(c->target, "INSERT INTO origin VALUES(?1,?2,?3,?4)", -1, &st, NULL);
  sqlite3_bind_int64(st, 1, run);
  fl_store_bind_text(st, 2, host);
  fl_store_bind_text(st, 3, c->store->dir);
  sqlite3_bind_int64(st, 4, now_ms);
  if (!rc) rc = sqlite3_step(st);
  fl_code code = rc == SQLITE_DONE ? FL_OK : fl_copy_fail(c, c->target, rc, err);
  sqlite3_finalize(st);
  return code;
}

fl_code fl_store_export(fl_store *s, const fl_run_row *run, const char *host, int64_t now_ms,
                        const char *path, bool overwrite, fl_error *err) {
  fl_copy c = {.store = s, .source = s->db, .same_store = true};
  fl_run_row fresh = {0};
  sqlite3_int64 size = 0;
  unsigned char *payload = NULL;
  fl_code code = fl_store_read_begin(s, err);
  if (!code) code = fl_store_get_run(s, run->row, &fresh, err);
  int rc = code ? SQLITE_OK : sqlite3_open(":memory:", &c.target);
  if (!rc && !code) rc = exec(c.target, "BEGIN");
  if (rc) code = fl_copy_fail(&c, c.target, rc, err);
  if (!code) code = make_tables(&c, err);
  if (!code) code = fl_copy_find_runs(&c, run->row, err);
  if (!code) code = fl_copy_check_runs(&c, err);
  if (!code) code = fl_copy_runs(&c, err);
  if (!code) code = copy_values(&c, err);
  if (!code) code = copy_scripts(&c, err);
  if (!code) code = check_scripts(&c, run, err);
  if (!code) code = put_origin(&c, run->row, host, now_ms, err);
  fl_run_row_deinit(&fresh);
  fl_store_read_end(s);
  if (!code && (rc = exec(c.target, "COMMIT"))) code = fl_copy_fail(&c, c.target, rc, err);
  if (!code && !(payload = sqlite3_serialize(c.target, "main", &size, 0)))
    code = fl_copy_fail(&c, c.target, SQLITE_NOMEM, err);
  if (!code) code = fl_export_write(s->disk, path, payload, (size_t)size, overwrite, err);
  sqlite3_free(payload);
  sqlite3_close(c.target);
  fl_copy_deinit(&c);
  return code;
}
