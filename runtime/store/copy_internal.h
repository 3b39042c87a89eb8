// Copies runs row by row: between stores (export, import) and within one (fork). What a column
// means decides what becomes of it: ids of values, scripts, definitions and runs are those of the
// target. Nobody outside store/ includes this.
#pragma once
#include "store/store_internal.h"

/// From ids of the source to ids of the target; `from` ascends.
typedef struct fl_copy_map {
  int64_t *from, *to;
  size_t count, capacity;
} fl_copy_map;

void fl_copy_map_add(fl_copy_map *m, int64_t from, int64_t to);

typedef struct fl_copy fl_copy;
struct fl_copy {
  fl_store *store;          // the one that is read or written, for its errors
  sqlite3 *source, *target; // one of them at least is the store's
  const char *path;         // of the file that the other one is, for messages
  bool same_store;          // ids of values, scripts, definitions and other runs stay
  fl_copy_map runs, values, definitions, scripts;
  char (*ids)[FL_RUN_ID_SIZE]; // by run: its new id; NULL: ids stay
  /// Where run `index` finds that log from now on, borrowed until the next call; NULL: all stay.
  const char *(*move_log)(fl_copy *c, size_t index, const char *path);
  fl_buf log_path; // for it
};

/// Whether a run takes its rows in this table along.
bool fl_copy_is_copied(const fl_table *t);
/// Copies all rows of the runs in `c->runs`.
FL_MUST fl_code fl_copy_runs(fl_copy *c, fl_error *err);
/// Seals the copied runs that have ended, when all of their rows stand.
FL_MUST fl_code fl_copy_seal_runs(fl_copy *c, fl_error *err);
/// Compares the seals of all runs in `c->runs` in the source, which is the store.
FL_MUST fl_code fl_copy_check_runs(fl_copy *c, fl_error *err);
void fl_copy_deinit(fl_copy *c);
/// The error of a failed call on one of the two databases. On the store's, what is open is rolled
/// back.
fl_code fl_copy_fail(fl_copy *c, sqlite3 *db, int rc, fl_error *err);
/// Fills in c->runs with the run and all it called, `to` the same as `from`.
FL_MUST fl_code fl_copy_find_runs(fl_copy *c, int64_t run, fl_error *err);
/// "SELECT ... UNION SELECT ...": every id of that kind in the copied tables, ascending.
void fl_copy_add_ids_sql(fl_column_kind kind, fl_buf *out);

// export_file.c

#define FL_EXPORT_FORMAT 1

/// Writes header and payload, whole or not at all. FL_E_STATE: the file is there, and `overwrite`
/// is not set.
FL_MUST fl_code fl_export_write(const fl_disk *disk, const char *path, const void *payload,
                                size_t size, bool overwrite, fl_error *err);
/// Reads and checks: digest, then versions. `*data` is yours to free(), the payload stands within
/// it. FL_E_NOT_FOUND, FL_E_CORRUPT, FL_E_NEWER.
FL_MUST fl_code fl_export_read(const fl_disk *disk, const char *path, char **data, size_t *at,
                               size_t *size, fl_error *err);
