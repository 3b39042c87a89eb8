// What a supervisor has begun and how it ended, for an engine that comes after a crash.
//
// <dir>/sup/<id>.journal: a header (who writes, since which boot), then one record before each
// child executes its program and one before each exit is told. Written with write(2), not synced:
// it has to survive processes, and after a power cut the other boot id says what it is worth.
//
// A record is a checksum and a frame (wire.h). Records are written at a position that is counted
// here, so that one that was cut short is overwritten by the next; a reader stops at the first that
// does not check out.
#pragma once
#include "base/clock.h"
#include "io/wire.h"

typedef struct fl_journal {
  int dir_fd; // <dir>/sup, borrowed
  int fd;
  int64_t size;     // end of the last whole record
  int64_t reserved; // disk blocks are set aside up to here
  fl_buf backlog;   // records that the disk did not take yet
  char name[80];
} fl_journal;

/// Creates "<id>.journal" in `dir_fd` and writes the header for this process. Returns an errno.
FL_MUST int fl_journal_create(fl_journal *j, int dir_fd, const char *id);
void fl_journal_close(fl_journal *j);
/// True when the next starts and exits will fit on the disk; else sets *errnum. Asked before a
/// start, because a child that runs must be able to end.
FL_MUST bool fl_journal_reserve(fl_journal *j, int *errnum);

/// A record is built in `b` (emptied): begin, then a frame by wire.h, then end.
void fl_journal_record_begin(fl_buf *b);
void fl_journal_record_end(fl_buf *b);
/// Writes a finished record. False: the disk refused; it is in the backlog for fl_journal_retry().
bool fl_journal_append(fl_journal *j, const fl_buf *record);
/// Tries the backlog again; true when nothing is left in it.
bool fl_journal_retry(fl_journal *j);

/// The record of a start is prepared by the parent, completed and written by the child between
/// vfork and exec: so there is no instant at which a child runs unrecorded.
void fl_journal_begun(fl_buf *b, uint64_t seq, const fl_child_id *id, int64_t started_ms);
/// In the child. Returns an errno. Calls nothing but pwrite.
int fl_journal_write_begun(const fl_journal *j, char *record, size_t size, int pid,
                           uint64_t start_ticks);

/// Leaves out the children for which `drop` says so, when nothing of them is needed any more.
/// Returns an errno; the journal is then as it was.
FL_MUST int fl_journal_compact(fl_journal *j, bool (*drop)(void *ud, uint64_t seq), void *ud);

typedef struct fl_journal_child {
  uint64_t seq;
  fl_child_id id;
  int pid;              // 0: no process was made
  uint64_t start_ticks; // field 22 of /proc/<pid>/stat
  int64_t started_ms;
  bool ended;
  fl_wire_frame exit; // when ended: fl_wire_get_exit()
} fl_journal_child;

typedef struct fl_journal_view {
  char boot_id[FL_BOOT_ID_SIZE]; // "" when even the header is missing
  bool this_boot;
  uint32_t version; // FL_WIRE_VERSION of who wrote it
  int pid;          // of the supervisor
  uint64_t start_ticks;
  fl_journal_child *children; // in the order of their start
  size_t count, capacity;
  size_t valid_size; // bytes that checked out
  size_t *by_id;     // indexes into children, sorted by id
  void *map;
  size_t map_size;
} fl_journal_view;

/// Reads what is there; FL_E_NOT_FOUND without a journal. `out` borrows from itself until unloaded.
FL_MUST fl_code fl_journal_load(const char *dir, const char *id, fl_journal_view *out,
                                fl_error *err);
void fl_journal_unload(fl_journal_view *view);
/// The last child of that id, or NULL.
const fl_journal_child *fl_journal_find(const fl_journal_view *view, const fl_child_id *id);
/// The part of fl_journal_load() that needs no file. `data` stays the caller's.
void fl_journal_parse(const void *data, size_t size, fl_journal_view *out);
