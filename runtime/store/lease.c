// Who owns a run: the epochs of its owners, the fence before every write, and the wish to cancel
// that anybody may record.
#include "store/store_internal.h"
#include "base/bug.h"

fl_code fl_store_fence(fl_store *s, int64_t run, uint32_t epoch, int *cancel, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_write(s, FL_SLOT_RUN_EPOCH,
                                        "SELECT epoch,cancel FROM run WHERE row=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  code = fl_store_read(s, st, &row, err);
  if (code) {
    fl_store_rollback(s);
    return code;
  }
  bool ours = FL_BUG(fence_skipped) || (row && sqlite3_column_int64(st, 0) == (int64_t)epoch);
  if (cancel) *cancel = row ? sqlite3_column_int(st, 1) : 0;
  sqlite3_reset(st);
  if (ours) return FL_OK;
  return fl_fail(err, FL_E_FENCED,
                 row ? "it was taken over by another engine: this one writes nothing more"
                     : "it was removed from the store: this one writes nothing more");
}

static fl_code take(fl_store *s, const fl_run_row *row, const char *owner, bool resume,
                    fl_error *err) {
  sqlite3_stmt *st;
  // A resumed run forgets that its last life was to be cancelled; one that is merely taken over
  // from a dead owner does not.
  fl_code code = fl_store_prepare_write(s, FL_SLOT_RUN_TAKE,
                                        "UPDATE run SET epoch=?2,owner=?3,resumes=resumes+?4,"
                                        "cancel=iif(?4,0,cancel) WHERE row=?1",
                                        &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, row->row);
  sqlite3_bind_int64(st, 2, (int64_t)row->epoch + 1);
  fl_store_bind_text(st, 3, owner);
  sqlite3_bind_int(st, 4, resume);
  code = fl_store_write(s, st, err);
  return code ? code : fl_store_drop_seal(s, row->row, err);
}

bool fl_store_owner_lives(const fl_store *s, const char *owner) {
  return *owner && s->owner_lives && s->owner_lives(s->owner_ud, owner);
}

bool fl_store_owner_is_dead(const fl_store *s, const char *owner) {
  return s->owner_lives && !fl_store_owner_lives(s, owner);
}

fl_code fl_store_take_run(fl_store *s, int64_t run, const char *owner, uint32_t seen_epoch,
                          bool resume, uint32_t *epoch, fl_error *err) {
  fl_run_row row = {0};
  fl_code code = fl_store_begin_own(s, err);
  if (code) return code;
  code = fl_store_get_run(s, run, &row, err);
  bool changed = !code && seen_epoch && row.epoch != seen_epoch;
  bool held = !code && strcmp(row.owner, owner) != 0 && fl_store_owner_lives(s, row.owner);
  if (changed || (held && !FL_BUG(owner_ignored)))
    code = fl_fail(err, FL_E_BUSY, "run '%s' is being executed by %s", row.id, row.owner);
  if (!code) code = take(s, &row, owner, resume, err);
  if (!code) code = fl_store_commit(s, err);
  if (!code) code = fl_store_sync(s, err);
  if (code)
    fl_store_rollback(s);
  else
    *epoch = row.epoch + 1;
  fl_run_row_deinit(&row);
  return code;
}

fl_code fl_store_take_part(fl_store *s, const fl_run_row *run, const char *owner, uint32_t *epoch,
                           fl_error *err) {
  fl_code code = fl_store_fence(s, run->row, run->epoch, NULL, err);
  if (!code) code = take(s, run, owner, false, err);
  if (!code) *epoch = run->epoch + 1;
  return code;
}

fl_code fl_store_release_run(fl_store *s, int64_t run, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_write(s, FL_SLOT_RUN_RELEASE,
                                        "UPDATE run SET owner='' WHERE row=?1", &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  return fl_store_write(s, st, err);
}

fl_code fl_store_ask_cancel(fl_store *s, int64_t run, int how, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_begin_own(s, err);
  if (!code)
    code = fl_store_prepare(s, FL_SLOT_RUN_CANCEL,
                            "UPDATE run SET cancel=max(cancel,?2) WHERE row=?1", &st, err);
  if (code) goto out;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int(st, 2, how);
  code = fl_store_write(s, st, err);
  if (!code && sqlite3_changes(s->db) == 0)
    code = fl_fail(err, FL_E_NOT_FOUND, "the run is not in '%s' any more", s->path);
  if (!code && FL_BUG(cancel_not_recorded)) fl_store_rollback(s);
  if (!code) code = fl_store_commit(s, err);
out:
  if (code) fl_store_rollback(s);
  return code;
}

fl_code fl_store_each_wish(fl_store *s, void (*each)(void *ud, const char *id, int cancel),
                           void *ud, fl_error *err) {
  typedef struct wish {
    char id[FL_RUN_ID_SIZE];
    int cancel;
  } wish;
  sqlite3_stmt *st;
  wish *wishes = NULL;
  size_t count = 0;
  bool row = false;
  fl_code code = fl_store_prepare_own(
      s, "SELECT id,cancel FROM run WHERE " FL_SQL_RUN_IS_OPEN("state") " AND cancel>0", &st, err);
  if (code) return code;
  while (!(code = fl_store_read(s, st, &row, err)) && row) {
    wishes = fl_realloc(wishes, (count + 1) * sizeof *wishes);
    wishes[count].cancel = sqlite3_column_int(st, 1);
    snprintf(wishes[count++].id, FL_RUN_ID_SIZE, "%s", (const char *)sqlite3_column_text(st, 0));
  }
  sqlite3_finalize(st);
  for (size_t i = 0; i < count && !code; i++) each(ud, wishes[i].id, wishes[i].cancel);
  free(wishes);
  return code;
}

fl_code fl_store_put_epoch(fl_store *s, int64_t run, const fl_epoch_row *row, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code =
      fl_store_prepare_write(s, FL_SLOT_EPOCH_PUT,
                             "INSERT OR REPLACE INTO epoch(run,epoch,owner,supervisor,"
                             "at_ms,patch,reason,author) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
                             &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  sqlite3_bind_int64(st, 2, row->epoch);
  fl_store_bind_text(st, 3, row->owner ? row->owner : "");
  fl_store_bind_text(st, 4, row->supervisor ? row->supervisor : "");
  sqlite3_bind_int64(st, 5, row->at_ms);
  fl_store_bind_id(st, 6, row->patch);
  fl_store_bind_text(st, 7, row->reason);
  fl_store_bind_text(st, 8, row->author);
  return fl_store_write(s, st, err);
}

fl_code fl_store_each_epoch(fl_store *s, int64_t run,
                            bool (*each)(void *ud, const fl_epoch_row *row), void *ud,
                            fl_error *err) {
  sqlite3_stmt *st;
  bool row = false, more = true;
  fl_code code = fl_store_prepare_own(s,
                                      "SELECT epoch,owner,supervisor,at_ms,patch,reason,author"
                                      " FROM epoch"
                                      " WHERE run=?1 ORDER BY epoch",
                                      &st, err);
  if (code) return code;
  sqlite3_bind_int64(st, 1, run);
  while (more && !(code = fl_store_read(s, st, &row, err)) && row) {
    fl_epoch_row e = {.epoch = (uint32_t)sqlite3_column_int64(st, 0),
                      .owner = fl_store_column_dup(st, 1),
                      .supervisor = fl_store_column_dup(st, 2),
                      .at_ms = sqlite3_column_int64(st, 3),
                      .patch = sqlite3_column_int64(st, 4),
                      .reason = fl_store_column_dup(st, 5),
                      .author = fl_store_column_dup(st, 6)};
    more = each(ud, &e);
    free(e.owner);
    free(e.supervisor);
    free(e.reason);
    free(e.author);
  }
  sqlite3_finalize(st);
  return code;
}
