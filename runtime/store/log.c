// The log's file as SQLite uses it: all but one of its syncs.
//
// SQLite syncs the header of a log before the first frames behind it, lest frames of an older log
// in the same file pass for those of this header. In a file that holds nothing else yet there are
// none: the barrier of the first commit takes the header along, and a start saves one wait for the
// disk of three.
#include "store/store_internal.h"

#define HEADER_SIZE 32 // of a log without frames

// SQLite's own methods of the file with ours in one place; behind them, where they were.
typedef struct log_methods {
  sqlite3_io_methods with;
  const sqlite3_io_methods *without;
} log_methods;

static int sync_log(sqlite3_file *file, int flags) {
  const log_methods *m = (const log_methods *)file->pMethods;
  sqlite3_int64 size = 0;
  int rc = m->without->xFileSize(file, &size);
  return !rc && size <= HEADER_SIZE ? SQLITE_OK : m->without->xSync(file, flags);
}

void fl_store_watch_log(fl_store *s) {
  sqlite3_file *file = NULL;
  sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
  if (!file || !file->pMethods || file->pMethods->xSync == sync_log) return;
  log_methods *m = s->log_methods = fl_alloc(sizeof *m);
  *m = (log_methods){.with = *file->pMethods, .without = file->pMethods};
  m->with.xSync = sync_log;
  file->pMethods = &m->with;
}
