// The runs of a flow around a logical time: which one was for it, and which are next to it.
#include "read/read_internal.h"

#define NEAR_MAX 3

typedef struct moment {
  fl_store *store;
  const char *flow;
  int64_t from_ms, to_ms; // what counts as that time
  fl_buf *out;
} moment;

static void add_run(const moment *m, fl_buf *out, sqlite3_stmt *st) {
  fl_run_row run = {.state = fl_store_enum(sqlite3_column_int(st, 2), FL_RUN_STATE_COUNT),
                    .owner = (char *)(uintptr_t)sqlite3_column_text(st, 3)};
  fl_buf_add_str(out, "{\"id\":");
  fl_json_write_text(out, (const char *)sqlite3_column_text(st, 0));
  fl_buf_add_str(out, ",\"time\":");
  fl_read_add_time(out, sqlite3_column_int64(st, 1));
  fl_buf_addf(out, ",\"status\":\"%s\"}", fl_read_get_status(m->store, &run));
}

/// Appends the rows of `sql`, at most `limit`; *count: how many.
static fl_code add_runs(const moment *m, const char *sql, int limit, size_t *count, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  *count = 0;
  fl_code code = fl_store_prepare_own(m->store, sql, &st, err);
  if (code) return code;
  fl_store_bind_text(st, 1, m->flow);
  sqlite3_bind_int64(st, 2, m->from_ms);
  sqlite3_bind_int64(st, 3, m->to_ms);
  sqlite3_bind_int(st, 4, limit);
  while (!(code = fl_store_read(m->store, st, &row, err)) && row) {
    if ((*count)++) fl_buf_add_char(m->out, ',');
    add_run(m, m->out, st);
  }
  sqlite3_finalize(st);
  return code;
}

static fl_code add_script(const moment *m, bool *any, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_own(
      m->store,
      "SELECT s.dir||'/'||p.path FROM run r LEFT JOIN script s ON s.id=r.script"
      " LEFT JOIN script_source p ON p.script=s.id AND p.position=0"
      " WHERE r.flow=?1 ORDER BY r.row DESC LIMIT 1",
      &st, err);
  if (code) return code;
  fl_store_bind_text(st, 1, m->flow);
  code = fl_store_read(m->store, st, any, err);
  if (!code && *any) fl_json_write_text(m->out, (const char *)sqlite3_column_text(st, 0));
  sqlite3_finalize(st);
  return code;
}

// Repeats of a run are for the same time: the first one of them is meant.
#define SELECT_NEAR                                                                                \
  "SELECT id,time_ms,state,owner FROM run WHERE flow=?1 AND parent_run IS NULL AND "
static fl_code write_moment(const moment *m, fl_error *err) {
  size_t count = 0;
  bool any = false;
  fl_buf_add_str(m->out, "{\"flow\":");
  fl_json_write_text(m->out, m->flow);
  fl_buf_add_str(m->out, ",\"time\":");
  fl_read_add_time(m->out, m->from_ms);
  fl_buf_add_str(m->out, ",\"script\":");
  fl_code code = add_script(m, &any, err);
  if (!code && !any)
    code = fl_fail(err, FL_E_NOT_FOUND, "no run of flow '%s' is in '%s'", m->flow,
                   fl_store_get_dir(m->store));
  fl_buf_add_str(m->out, ",\"run\":");
  if (!code)
    code = add_runs(m,
                    SELECT_NEAR "time_ms BETWEEN ?2 AND ?3 ORDER BY time_ms<>?2,"
                                "replay_of IS NOT NULL,row DESC LIMIT ?4",
                    1, &count, err);
  if (!count) fl_buf_add_str(m->out, "null");
  fl_buf_add_str(m->out, ",\"before\":[");
  if (!code)
    code = add_runs(m,
                    SELECT_NEAR "replay_of IS NULL AND time_ms<?2 AND ?3 IS NOT NULL"
                                " ORDER BY time_ms DESC,row DESC LIMIT ?4",
                    NEAR_MAX, &count, err);
  fl_buf_add_str(m->out, "],\"after\":[");
  if (!code)
    code = add_runs(m,
                    SELECT_NEAR "replay_of IS NULL AND time_ms>?3 AND ?2 IS NOT NULL"
                                " ORDER BY time_ms,row DESC LIMIT ?4",
                    NEAR_MAX, &count, err);
  fl_buf_add_str(m->out, "]}");
  return code;
}

fl_code fl_read_store_moment(fl_store *s, const char *flow, int64_t time_ms, fl_buf *out,
                             fl_error *err) {
  moment m = {.store = s,
              .flow = flow,
              .from_ms = time_ms,
              .to_ms = time_ms % 1000 ? time_ms : time_ms + 999,
              .out = out};
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  code = write_moment(&m, err);
  fl_store_read_end(s);
  return code ? code : fl_read_finish(s, out, err);
}
