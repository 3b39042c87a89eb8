// Runs: their rows, how they are found, and what they use.
#include "store/store_internal.h"

void fl_run_row_deinit(fl_run_row *row) {
  free(row->flow);
  free(row->trigger);
  free(row->owner);
  free(row->error);
  free(row->selection);
  free(row->origin);
  *row = (fl_run_row){0};
}

void fl_store_run_from(sqlite3_stmt *st, fl_run_row *row) {
  const char *id = (const char *)sqlite3_column_text(st, 1);
  *row = (fl_run_row){.row = sqlite3_column_int64(st, 0)};
  snprintf(row->id, sizeof row->id, "%s", id ? id : "");
  row->flow = fl_store_column_dup(st, 2);
  row->definition = sqlite3_column_int64(st, 3);
  row->script = sqlite3_column_int64(st, 4);
  row->state = fl_store_enum(sqlite3_column_int(st, 5), FL_RUN_STATE_COUNT);
  row->time_ms = sqlite3_column_int64(st, 6);
  row->trigger = fl_store_column_dup(st, 7);
  row->params = sqlite3_column_int64(st, 8);
  row->vars = sqlite3_column_int64(st, 9);
  row->parent_run = sqlite3_column_int64(st, 10);
  row->parent_node = (uint32_t)sqlite3_column_int64(st, 11);
  row->replay_of = sqlite3_column_int64(st, 12);
  row->created_ms = sqlite3_column_int64(st, 13);
  row->started_ms = sqlite3_column_int64(st, 14);
  row->ended_ms = sqlite3_column_int64(st, 15);
  row->resumes = (uint32_t)sqlite3_column_int64(st, 16);
  row->epoch = (uint32_t)sqlite3_column_int64(st, 17);
  row->owner = fl_store_column_dup(st, 18);
  row->cancel = sqlite3_column_int(st, 19);
  row->error = fl_store_column_dup(st, 20);
  row->selection = fl_store_column_dup(st, 21);
  // Runs that were recorded without one were for their time.
  bool interval = sqlite3_column_type(st, 22) != SQLITE_NULL;
  row->interval_from_ms = interval ? sqlite3_column_int64(st, 22) : row->time_ms;
  row->interval_to_ms = interval ? sqlite3_column_int64(st, 23) : row->time_ms;
  row->fork_of = sqlite3_column_int64(st, 24);
  row->replay_live = sqlite3_column_int(st, 25) != 0;
  row->origin = fl_store_column_dup(st, 26);
  row->duration_ms = sqlite3_column_type(st, 27) == SQLITE_NULL ? -1 : sqlite3_column_int64(st, 27);
}

static void bind_run(sqlite3_stmt *st, const fl_run_row *row) {
  fl_store_bind_text(st, 1, row->id);
  fl_store_bind_text(st, 2, row->flow);
  sqlite3_bind_int64(st, 3, row->definition);
  sqlite3_bind_int64(st, 4, row->script);
  sqlite3_bind_int(st, 5, row->state);
  sqlite3_bind_int64(st, 6, row->time_ms);
  fl_store_bind_text(st, 7, row->trigger ? row->trigger : "manual");
  fl_store_bind_id(st, 8, row->params);
  fl_store_bind_id(st, 9, row->vars);
  fl_store_bind_id(st, 10, row->parent_run);
  if (row->parent_run)
    sqlite3_bind_int64(st, 11, row->parent_node);
  else
    sqlite3_bind_null(st, 11);
  fl_store_bind_id(st, 12, row->replay_of);
  sqlite3_bind_int64(st, 13, row->created_ms);
  fl_store_bind_id(st, 14, row->started_ms);
  fl_store_bind_id(st, 15, row->ended_ms);
  sqlite3_bind_int64(st, 16, row->resumes);
  sqlite3_bind_int64(st, 17, row->epoch);
  fl_store_bind_text(st, 18, row->owner ? row->owner : "");
  sqlite3_bind_int(st, 19, row->cancel);
  fl_store_bind_text(st, 20, row->error);
  fl_store_bind_text(st, 21, row->selection);
  fl_store_bind_id(st, 22, row->interval_from_ms);
  fl_store_bind_id(st, 23, row->interval_to_ms);
  fl_store_bind_id(st, 24, row->fork_of);
  fl_store_bind_id(st, 25, row->replay_live);
}

// The history of what a run uses: what an attempt of epoch e saw is the last row with epoch <= e.
static fl_code add_input(fl_store *s, int64_t run, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare(s, FL_SLOT_RUN_INPUT_ADD,
                                  "INSERT OR REPLACE INTO run_input"
                                  " SELECT row,epoch,definition,script,params,vars FROM run"
                                  " WHERE row=?1",
                                  &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  return fl_store_write(s, st, err);
}

fl_code fl_store_add_run(fl_store *s, fl_run_row *row, fl_error *err) {
  sqlite3_stmt *st;
  row->epoch = 1;
  // The definition is named by id, which its holder may have remembered from before a prune.
  fl_code code = fl_store_prepare_write(
      s, FL_SLOT_RUN_ADD,
      "INSERT INTO run(id,flow,definition,script,state,time_ms,\"trigger\",params,vars,parent_run,"
      "parent_node,replay_of,created_ms,started_ms,ended_ms,resumes,epoch,owner,cancel,"
      "error,selection,interval_from_ms,interval_to_ms,fork_of,replay_live) SELECT "
      "?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,"
      "?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25"
      " WHERE EXISTS(SELECT 1 FROM definition WHERE id=?3)"
      " AND EXISTS(SELECT 1 FROM script WHERE id=?4)",
      &st, err);
  if (!code) code = fl_store_note_clock(s, err);
  if (code) return code;
  bind_run(st, row);
  code = fl_store_write(s, st, err);
  if (code) return code;
  if (sqlite3_changes(s->db) == 0)
    return fl_fail(err, FL_E_STATE,
                   "cannot record run '%s': its flow's definition is not in the store '%s' (any "
                   "more); put script and definition in the same transaction as the run",
                   row->id, s->path);
  row->row = sqlite3_last_insert_rowid(s->db);
  return add_input(s, row->row, err);
}

fl_code fl_store_get_run(fl_store *s, int64_t run, fl_run_row *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  *out = (fl_run_row){0};
  fl_code code = fl_store_prepare(s, FL_SLOT_RUN_GET,
                                  "SELECT " FL_RUN_COLUMNS " FROM run WHERE row=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  code = fl_store_read(s, st, &row, err);
  if (code) return code;
  if (!row) return fl_fail(err, FL_E_NOT_FOUND, "the run is not in '%s' any more", s->path);
  fl_store_run_from(st, out);
  sqlite3_reset(st);
  return FL_OK;
}

/// The first run that `sql` (with `arg` as ?1) gives; *found false: none.
static fl_code find_one(fl_store *s, const char *sql, const char *arg, fl_run_row *out, bool *found,
                        fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_own(s, sql, &st, err);
  if (code) return code;
  if (arg) fl_store_bind_text(st, 1, arg);
  code = fl_store_read(s, st, found, err);
  if (!code && *found) fl_store_run_from(st, out);
  sqlite3_finalize(st);
  return code;
}

/// By the beginning or the end of its id, where only one has it.
static fl_code find_part(fl_store *s, const char *part, fl_run_row *out, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  char names[6 * (FL_RUN_ID_SIZE + 2)] = "";
  int count = 0, used = 0;
  fl_code code = fl_store_prepare_own(s,
                                      "SELECT " FL_RUN_COLUMNS " FROM run WHERE row IN"
                                      " (SELECT row FROM run WHERE id>=?1 AND id<?1||char(1114111)"
                                      " UNION SELECT row FROM run WHERE substr(id,-length(?1))=?1)"
                                      " ORDER BY id LIMIT 6",
                                      &st, err);
  if (code) return code;
  fl_store_bind_text(st, 1, part);
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    if (++count == 1) fl_store_run_from(st, out);
    used += snprintf(names + used, sizeof names - (size_t)used, "%s%s", count > 1 ? ", " : "",
                     count > 5 ? "..." : (const char *)sqlite3_column_text(st, 1));
  }
  sqlite3_finalize(st);
  if (!code && count == 1) return FL_OK;
  fl_run_row_deinit(out);
  if (code) return code;
  if (count)
    return fl_fail(err, FL_E_USAGE, "'%s' is the beginning or the end of more than one run: %s",
                   part, names);
  return fl_fail(err, FL_E_NOT_FOUND, "there is no run '%s' in '%s': `flowlua runs` lists them",
                 part, s->dir);
}

fl_code fl_store_find_run(fl_store *s, const char *name, fl_run_row *out, fl_error *err) {
  bool found = false, failed = !strcmp(name, "last-failed");
  const char *back = !strcmp(name, "last") ? "0" : !strncmp(name, "last-", 5) ? name + 5 : NULL;
  bool last = back && *back && strspn(back, "0123456789") == strlen(back) && strlen(back) < 10;
  fl_code code;
  *out = (fl_run_row){0};
  if (last)
    code = find_one(s,
                    "SELECT " FL_RUN_COLUMNS " FROM run WHERE parent_run IS NULL"
                    " ORDER BY row DESC LIMIT 1 OFFSET CAST(?1 AS INTEGER)",
                    back, out, &found, err);
  else if (failed)
    code = find_one(s,
                    "SELECT " FL_RUN_COLUMNS " FROM run"
                    " WHERE state=" FL_SQL_RUN_STATE("failed") " AND parent_run IS NULL"
                                                               " ORDER BY row DESC LIMIT 1",
                    NULL, out, &found, err);
  else
    code = find_one(s, "SELECT " FL_RUN_COLUMNS " FROM run WHERE id=?1", name, out, &found, err);
  if (code || found) return code;
  // Not "there is none" where it cannot be read any more.
  code = fl_store_check(s, err);
  if (code) return code;
  if (last && strcmp(back, "0") != 0)
    return fl_fail(err, FL_E_NOT_FOUND, "there is no run '%s' in '%s': it has fewer", name, s->dir);
  if (last) return fl_fail(err, FL_E_NOT_FOUND, "there is no run in '%s' yet", s->dir);
  if (failed) return fl_fail(err, FL_E_NOT_FOUND, "there is no failed run in '%s'", s->dir);
  // "" would name every run; that is nobody's prefix.
  if (!*name) return fl_fail(err, FL_E_USAGE, "the name of a run is empty");
  return find_part(s, name, out, err);
}

fl_code fl_store_set_run_state(fl_store *s, int64_t run, fl_run_state state, int64_t started_ms,
                               int64_t ended_ms, const char *error, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(
      s, FL_SLOT_RUN_STATE,
      "UPDATE run SET state=?2,"
      " started_ms=CASE ?3 WHEN 0 THEN started_ms WHEN -1 THEN NULL ELSE ?3 END,"
      " ended_ms=CASE ?4 WHEN 0 THEN ended_ms WHEN -1 THEN NULL ELSE ?4 END,"
      " error=CASE WHEN ?5 IS NULL THEN error ELSE nullif(?5,'') END,"
      " owner=iif(?6,'',owner) WHERE row=?1",
      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int(st, 2, state);
  sqlite3_bind_int64(st, 3, started_ms);
  sqlite3_bind_int64(st, 4, ended_ms);
  fl_store_bind_text(st, 5, error);
  sqlite3_bind_int(st, 6, fl_run_state_is_final(state));
  return fl_store_write(s, st, err);
}

fl_code fl_store_set_run_duration(fl_store *s, int64_t run, int64_t duration_ms, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(s, FL_SLOT_RUN_DURATION,
                                        "UPDATE run SET duration_ms=?2 WHERE row=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, duration_ms);
  return fl_store_write(s, st, err);
}

fl_code fl_store_set_run_inputs(fl_store *s, int64_t run, int64_t definition, int64_t script,
                                int64_t params, int64_t vars, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(
      s, FL_SLOT_RUN_INPUTS,
      "UPDATE run SET definition=?2,script=?3,params=?4,vars=?5 WHERE row=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, definition);
  sqlite3_bind_int64(st, 3, script);
  fl_store_bind_id(st, 4, params);
  fl_store_bind_id(st, 5, vars);
  code = fl_store_write(s, st, err);
  return code ? code : add_input(s, run, err);
}

fl_code fl_store_each_live_run(fl_store *s, const char *flow,
                               bool (*each)(void *ud, const fl_run_row *row), void *ud,
                               fl_error *err) {
  sqlite3_stmt *st;
  fl_run_row *rows = NULL;
  size_t count = 0, capacity = 0;
  bool row = false, more = true;
  fl_code code =
      fl_store_prepare_own(s,
                           "SELECT " FL_RUN_COLUMNS " FROM run WHERE " FL_SQL_RUN_IS_OPEN(
                               "state") " AND (?1 IS NULL OR flow=?1) ORDER BY row DESC",
                           &st, err);
  if (code) return code;
  fl_store_bind_text(st, 1, flow);
  // Read whole before the first call: `each` may write.
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    if (count == capacity) {
      capacity = capacity ? 2 * capacity : 16;
      rows = fl_realloc(rows, capacity * sizeof *rows);
    }
    fl_store_run_from(st, &rows[count++]);
  }
  sqlite3_finalize(st);
  for (size_t i = 0; i < count; i++) {
    if (!code && more) more = each(ud, &rows[i]);
    fl_run_row_deinit(&rows[i]);
  }
  free(rows);
  return code;
}

fl_code fl_store_each_input(fl_store *s, int64_t run,
                            bool (*each)(void *ud, const fl_input_row *row), void *ud,
                            fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(s,
                                      "SELECT epoch,definition,script,params,vars FROM run_input"
                                      " WHERE run=?1 ORDER BY epoch",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    fl_input_row input = {.epoch = (uint32_t)sqlite3_column_int64(st, 0),
                          .definition = sqlite3_column_int64(st, 1),
                          .script = sqlite3_column_int64(st, 2),
                          .params = sqlite3_column_int64(st, 3),
                          .vars = sqlite3_column_int64(st, 4)};
    if (!each(ud, &input)) break;
  }
  sqlite3_finalize(st);
  return code;
}
