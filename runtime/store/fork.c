// A run's twin in the same store: all its rows again under a new id, the values shared, its logs
// under a second name each, so that either run may be pruned.
#include "store/copy_internal.h"
#include <errno.h>

/// New rows and ids for the run and all it called.
static fl_code name_runs(fl_copy *c, int64_t now_ms, fl_error *err) {
  sqlite3_stmt *st;
  bool row = false;
  fl_code code = fl_store_prepare_own(
      c->store, "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name='run'),0)", &st, err);
  if (code) return code;
  code = fl_store_read(c->store, st, &row, err);
  int64_t last = !code && row ? sqlite3_column_int64(st, 0) : 0;
  sqlite3_finalize(st);
  c->ids = fl_alloc_zero(c->runs.count + 1, sizeof *c->ids);
  for (size_t i = 0; i < c->runs.count; i++) {
    c->runs.to[i] = last + 1 + (int64_t)i;
    fl_run_id_make(now_ms, c->ids[i]);
  }
  return code;
}

/// Gives the log a second name below the new run's; where that cannot be, the old one must do.
static const char *move_log(fl_copy *c, size_t index, const char *path) {
  const fl_disk *d = c->store->disk;
  const char *name = strrchr(path, '/');
  char folder[FL_RUN_ID_SIZE + 8];
  if (!name || strncmp(path, "logs/", 5)) return path;
  snprintf(folder, sizeof folder, "logs/%s", c->ids[index]);
  fl_buf_reset(&c->log_path);
  fl_buf_addf(&c->log_path, "%s%s", folder, name);
  const char *to = fl_buf_cstr(&c->log_path);
  if (d->link(d->ud, c->store->dir_fd, path, to) == 0 || errno == EEXIST) return to;
  if (errno != ENOENT || d->mkdir(d->ud, c->store->dir_fd, folder)) return path;
  return d->link(d->ud, c->store->dir_fd, path, to) ? path : to;
}

static fl_code link_runs(fl_copy *c, int64_t now_ms, fl_error *err) {
  sqlite3_stmt *st;
  fl_code code = fl_store_prepare_own(
      c->store, "UPDATE run SET fork_of=?2,created_ms=?3,resumes=0 WHERE row=?1", &st, err);
  for (size_t i = 0; !code && i < c->runs.count; i++) {
    sqlite3_bind_int64(st, 1, c->runs.to[i]);
    sqlite3_bind_int64(st, 2, c->runs.from[i]);
    sqlite3_bind_int64(st, 3, now_ms);
    code = fl_store_write(c->store, st, err);
  }
  sqlite3_finalize(st);
  return code;
}

/// Index of `run` among those copied: it is the first that was called by none of them.
static size_t find_root(const fl_copy *c, int64_t run) {
  size_t i = 0;
  while (i + 1 < c->runs.count && c->runs.from[i] != run) i++;
  return i;
}

fl_code fl_store_fork(fl_store *s, const fl_run_row *run, int64_t now_ms,
                      char run_id_out[FL_RUN_ID_SIZE], fl_error *err) {
  fl_copy c = {.store = s, .source = s->db, .target = s->db, .same_store = true};
  fl_run_row fresh = {0};
  c.move_log = move_log;
  fl_buf_init(&c.log_path, 4096);
  fl_code code = fl_store_begin_own(s, err);
  if (!code) code = fl_store_get_run(s, run->row, &fresh, err);
  // Looked at within the transaction: another engine may have resumed it meanwhile.
  if (!code && !fl_run_state_is_final(fresh.state))
    code = fl_fail(err, FL_E_STATE,
                   "run %s has not ended: a fork is made of a run that has; resume it, or cancel "
                   "it first",
                   fresh.id);
  if (!code) code = fl_copy_find_runs(&c, run->row, err);
  if (!code) code = fl_copy_check_runs(&c, err);
  if (!code) code = name_runs(&c, now_ms, err);
  if (!code) code = fl_copy_runs(&c, err);
  if (!code) code = link_runs(&c, now_ms, err);
  if (!code) code = fl_copy_seal_runs(&c, err);
  if (!code) code = fl_store_commit(s, err);
  if (code)
    fl_store_rollback(s);
  else
    memcpy(run_id_out, c.ids[find_root(&c, run->row)], FL_RUN_ID_SIZE);
  fl_run_row_deinit(&fresh);
  fl_copy_deinit(&c);
  return code;
}
