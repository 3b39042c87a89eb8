// The output of one attempt, kept to its limit: head and tail. Used by the supervisor for processes
// and by the engine for Lua nodes.
//
// Small outputs (up to FL_LOG_SPILL) end up one after another in a file shared by the run's
// attempts
// ("logs/<run>/<writer>.log", place = offset + size). Larger ones, and those that are still being
// written after 100 ms, get a file of their own: "logs/<run>/<node>.<number>.log" holds the head
// (half the limit); past it the tail goes to segments "<same>.tail-<offset>" of a quarter of the
// limit each, of which the last two are kept; the offset in the name is the position in the whole
// output, so that a reader knows how much is missing. A node name is a file name after every byte
// outside [A-Za-z0-9_.-] is written as %XX.
#pragma once
#include "base/buf.h"

typedef struct fl_log_writer fl_log_writer; // one a run and process: owns the shared file
typedef struct fl_log_sink fl_log_sink;     // one an attempt

/// `dir`: the state directory; `writer`: unique among the processes that write this run's logs.
/// Nothing is created until something is written.
fl_log_writer *fl_log_writer_open(const char *dir, const char *run_id, const char *writer);
void fl_log_writer_close(fl_log_writer *w); // NULL-safe; sinks must be gone

fl_log_sink *fl_log_sink_open(fl_log_writer *w, const char *node, uint32_t number,
                              int64_t size_max);
/// Appends. A disk error is remembered and the rest is dropped (counted in total): a full disk must
/// not end a node. Never blocks but for the disk.
void fl_log_sink_write(fl_log_sink *sink, const void *data, size_t size);
/// The same for a piece that begins at `position` of the whole output, from somebody who sends them
/// in any order, and again: what of it is here already is skipped, and one that would leave a gap
/// is left out. Returns the position from which to go on.
int64_t fl_log_sink_write_at(fl_log_sink *sink, int64_t position, const void *data, size_t size);
/// Moves what is only in memory to the attempt's own file, for readers that follow.
void fl_log_sink_flush(fl_log_sink *sink);
/// Opens an attempt's own file again after its writer died: what comes goes behind what is there.
fl_log_sink *fl_log_sink_reopen(fl_log_writer *w, const char *node, uint32_t number,
                                int64_t size_max);
/// Where it is now: `path` (relative to the state directory, borrowed until the sink is closed; ""
/// when nothing was written), offset and size (size -1: a file of its own), total. Returns false,
/// with the errno in *disk_errno, when something could not be written.
bool fl_log_sink_finish(fl_log_sink *sink, const char **path, int64_t *offset, int64_t *size,
                        int64_t *total, int *disk_errno);
void fl_log_sink_close(fl_log_sink *sink); // NULL-safe

/// Reads a kept output: calls `write` with its pieces from `position` (in the whole output) on,
/// with
/// "\n[... N bytes not kept ...]\n" where the middle is missing; returns the position after it.
/// `size` -1: a file of its own that may still grow. A missing file reads as nothing.
int64_t fl_log_read(const char *dir, const char *path, int64_t offset, int64_t size,
                    int64_t position, void (*write)(void *ud, const char *data, size_t n),
                    void *ud);
/// "logs/<run>/<node>.<number>.log" into `out`.
void fl_log_path(fl_buf *out, const char *run_id, const char *node, uint32_t number);
/// Positions at which the kept tail segments of an own file begin, in order; returns how many.
int fl_log_list_tails(const char *dir, const char *path, int64_t *begins, int count_max);
