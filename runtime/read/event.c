// What happened in the store's runs, by its numbers: `--json` lines, told from the records.
#include "read/read_internal.h"

typedef struct walk {
  fl_store *store;
  bool (*each)(void *ud, const fl_event *event);
  void *ud;
  size_t left;
  int64_t run, definition; // whose texts these are
  uint32_t node;
  bool known; // the run is there
  fl_buf id, flow, name, error, call;
  sqlite3_stmt *find_run, *find_name, *find_error, *find_call;
  fl_code code;
  fl_error *err;
} walk;

static bool look_up(walk *w, sqlite3_stmt *st) {
  bool row = false;
  w->code = fl_store_read(w->store, st, &row, w->err);
  return !w->code && row;
}

static const char *take_text(fl_buf *out, sqlite3_stmt *st, int at) {
  const char *text = (const char *)sqlite3_column_text(st, at);
  fl_buf_reset(out);
  if (!text) return NULL;
  fl_buf_add_str(out, text);
  return fl_buf_cstr(out);
}

static void find_run(walk *w, int64_t run) {
  if (w->run == run) return;
  w->run = run;
  w->node = FL_CHANGE_NO_NODE;
  sqlite3_bind_int64(w->find_run, 1, run);
  w->known = look_up(w, w->find_run);
  if (w->known) {
    take_text(&w->id, w->find_run, 0);
    take_text(&w->flow, w->find_run, 1);
    w->definition = sqlite3_column_int64(w->find_run, 2);
  }
  fl_buf_reset(&w->call);
  bool called = w->known && sqlite3_column_type(w->find_run, 3) != SQLITE_NULL;
  sqlite3_reset(w->find_run);
  if (!called) return;
  sqlite3_bind_int64(w->find_call, 1, run);
  if (look_up(w, w->find_call)) take_text(&w->call, w->find_call, 0);
  sqlite3_reset(w->find_call);
}

static void find_name(walk *w, uint32_t node) {
  if (w->node == node || node == FL_CHANGE_NO_NODE) return;
  w->node = node;
  fl_buf_reset(&w->name);
  sqlite3_bind_int64(w->find_name, 1, w->definition);
  sqlite3_bind_int64(w->find_name, 2, node);
  sqlite3_bind_int64(w->find_name, 3, w->run);
  if (look_up(w, w->find_name)) take_text(&w->name, w->find_name, 0);
  sqlite3_reset(w->find_name);
}

static const char *find_error(walk *w, const fl_change *c) {
  const char *text = NULL;
  sqlite3_bind_int64(w->find_error, 1, c->run);
  sqlite3_bind_int64(w->find_error, 2, c->node);
  sqlite3_bind_int64(w->find_error, 3, c->attempt);
  if (look_up(w, w->find_error)) text = take_text(&w->error, w->find_error, 0);
  sqlite3_reset(w->find_error);
  return text;
}

static bool see(void *ud, const fl_change *c) {
  walk *w = ud;
  bool node = c->node != FL_CHANGE_NO_NODE;
  find_run(w, c->run);
  if (w->code) return false;
  if (!w->known) return true; // it was removed, and what happened in it with it
  find_name(w, c->node);
  fl_event e = {.kind = c->kind,
                .seq = c->seq,
                .wall_ms = c->at_ms,
                .run_id = fl_buf_cstr(&w->id),
                .flow = fl_buf_cstr(&w->flow),
                .call = w->call.size ? fl_buf_cstr(&w->call) : NULL,
                .node = node ? fl_buf_cstr(&w->name) : NULL,
                .node_index = c->node,
                .attempt = c->attempt,
                .epoch = c->epoch,
                .status = c->kind == FL_EVENT_RUN_INTERRUPTED ? FL_RUN_INTERRUPTED_TEXT
                          : node ? fl_node_state_text(fl_store_enum(c->state, FL_NODE_STATE_COUNT))
                                 : fl_run_state_text(fl_store_enum(c->state, FL_RUN_STATE_COUNT)),
                .duration_ms = c->duration_ms,
                .error = c->error_of_attempt ? find_error(w, c) : c->text,
                .reason = c->reason ? fl_reason_name(c->reason) : NULL,
                .exit_code = c->exit_code,
                .signal = c->signal};
  return !w->code && w->each(w->ud, &e) && --w->left > 0;
}

static fl_code fail_gone(uint64_t after, uint64_t first, uint64_t last, fl_error *err) {
  if (after > last)
    return fl_fail(err, FL_E_USAGE, "there is no event %llu yet: the last one is %llu",
                   (unsigned long long)after, (unsigned long long)last);
  return fl_fail(err, FL_E_NOT_FOUND,
                 "events %llu to %llu are not kept any more: look at the runs anew, and go on "
                 "behind event %llu",
                 (unsigned long long)after + 1, (unsigned long long)first - 1,
                 (unsigned long long)last);
}

fl_code fl_read_store_events(fl_store *s, uint64_t after, size_t limit, uint64_t *first,
                             uint64_t *last, bool (*each)(void *ud, const fl_event *event),
                             void *ud, fl_error *err) {
  walk w = {.store = s, .each = each, .ud = ud, .left = limit, .err = err};
  w.node = FL_CHANGE_NO_NODE;
  fl_code code = fl_store_read_begin(s, err);
  if (code) return code;
  fl_buf_init(&w.id, 1 << 16), fl_buf_init(&w.flow, 1 << 20);
  fl_buf_init(&w.name, 1 << 20), fl_buf_init(&w.error, FL_ERROR_TEXT_MAX + 1);
  fl_buf_init(&w.call, 1 << 20);
  code = fl_store_get_changes(s, first, last, err);
  if (!code && after && (after + 1 < *first || after > *last))
    code = fail_gone(after, *first, *last, err);
  if (!code && limit)
    code = fl_store_prepare_own(s, "SELECT id,flow,definition,parent_run FROM run WHERE row=?1",
                                &w.find_run, err);
  if (!code && limit)
    code = fl_store_prepare_own(
        s,
        "WITH RECURSIVE up(parent,node,call) AS"
        " (SELECT parent_run,parent_node,'' FROM run WHERE row=?1 UNION ALL"
        "  SELECT p.parent_run,p.parent_node,coalesce("
        "   (SELECT name FROM definition_node WHERE definition=p.definition AND node=up.node),"
        "   (SELECT name FROM item WHERE run=p.row AND node=up.node),'?')||'/'||up.call"
        "  FROM up JOIN run p ON p.row=up.parent)"
        " SELECT call FROM up WHERE parent IS NULL",
        &w.find_call, err);
  if (!code && limit)
    code = fl_store_prepare_own(s,
                                "SELECT coalesce((SELECT name FROM definition_node WHERE"
                                " definition=?1 AND node=?2),(SELECT name FROM item WHERE run=?3"
                                " AND node=?2),'')",
                                &w.find_name, err);
  if (!code && limit)
    code = fl_store_prepare_own(
        s, "SELECT error FROM attempt WHERE run=?1 AND node=?2 AND number=?3", &w.find_error, err);
  if (!code && limit) code = fl_store_each_change(s, after, see, &w, err);
  if (!code) code = w.code;
  sqlite3_finalize(w.find_run), sqlite3_finalize(w.find_name), sqlite3_finalize(w.find_error);
  sqlite3_finalize(w.find_call);
  fl_buf_deinit(&w.id), fl_buf_deinit(&w.flow), fl_buf_deinit(&w.name), fl_buf_deinit(&w.error);
  fl_buf_deinit(&w.call);
  fl_store_read_end(s);
  return code;
}

// ------------------------------------------------------------------------------------- JSON

const char *fl_reason_sentence(const char *reason) {
  for (int r = 0; reason && r < FL_REASON_COUNT; r++)
    if (strcmp(fl_reason_name((fl_reason)r), reason) == 0) return fl_reason_text((fl_reason)r);
  return "";
}

static void add_text(fl_buf *out, const char *key, const char *text) {
  if (!text) return;
  fl_buf_add_str(out, key);
  fl_json_write_string(out, text, strlen(text));
}

static void add_int(fl_buf *out, const char *key, int64_t number) {
  fl_buf_add_str(out, key);
  fl_json_write_int(out, number);
}

void fl_read_add_event(fl_buf *out, const fl_event *e) {
  static const char *const names[] = {
      [FL_EVENT_RUN_STARTED] = "run_started",         [FL_EVENT_NODE_STARTED] = "node_started",
      [FL_EVENT_NODE_RETRYING] = "node_retrying",     [FL_EVENT_NODE_FINISHED] = "node_finished",
      [FL_EVENT_RUN_FINISHED] = "run_finished",       [FL_EVENT_RUN_LEFT] = "run_left",
      [FL_EVENT_NODE_PROGRESS] = "node_progress",     [FL_EVENT_NOTICE] = "notice",
      [FL_EVENT_RUN_INTERRUPTED] = "run_interrupted",
  };
  bool node = e->kind == FL_EVENT_NODE_FINISHED;
  // A node that was skipped never ran: it has no duration.
  bool ended = e->kind == FL_EVENT_RUN_FINISHED || e->kind == FL_EVENT_RUN_INTERRUPTED ||
               (e->attempt && (node || e->kind == FL_EVENT_NODE_RETRYING));
  // It has no error of its own either: its text says more of the reason.
  bool failed = !node || (e->status && !strcmp(e->status, "failed"));
  const char *why = failed ? "" : fl_reason_sentence(e->reason);
  char at[FL_TIME_TEXT_SIZE];
  fl_time_format(e->wall_ms, at);
  fl_buf_addf(out, "{\"event\":\"%s\"", names[e->kind]);
  if (e->seq) add_int(out, ",\"seq\":", (int64_t)e->seq);
  add_text(out, ",\"ts\":", at);
  add_text(out, ",\"run\":", e->run_id);
  add_text(out, ",\"flow\":", e->flow);
  add_text(out, ",\"node\":", e->node);
  if (e->attempt) add_int(out, ",\"attempt\":", e->attempt);
  add_text(out, ",\"status\":", e->status);
  if (ended) add_int(out, ",\"duration_ms\":", e->duration_ms);
  if (e->error && *e->error && *why) {
    fl_buf whole;
    fl_buf_init(&whole, SIZE_MAX / 2);
    fl_buf_addf(&whole, "%s (%s)", why, e->error);
    add_text(out, ",\"error\":", fl_buf_cstr(&whole));
    fl_buf_deinit(&whole);
  } else {
    add_text(out, ",\"error\":", e->error);
  }
  fl_buf_add_char(out, '}');
}
