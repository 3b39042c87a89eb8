// Whole files: read, and replaced in one step. No Lua in here: the functions return an errno, 0 is
// good. A reader of a replaced file sees the old content or the new one, never a part, also after a
// crash.
#pragma once
#include <limits.h>
#include <sys/types.h>
#include "base/buf.h"

/// A file being written under another name beside its own.
typedef struct fl_file_replace {
  int fd;
  bool direct; // a pipe, a device, /dev/fd/5: written as it is
  char path[PATH_MAX];
  char temp[PATH_MAX];
} fl_file_replace;

/// `mode`: of a new file, before the umask; an existing one keeps its own.
FL_MUST int fl_file_begin(fl_file_replace *f, const char *path, mode_t mode);
FL_MUST int fl_file_write_all(int fd, const char *data, size_t size);
/// Makes it durable (`sync`) and gives it its name. The file is closed, good or not.
FL_MUST int fl_file_commit(fl_file_replace *f, bool sync);
/// Gives up: the file is as it was.
void fl_file_abort(fl_file_replace *f);

/// Appends the whole content; EFBIG past what `out` holds.
FL_MUST int fl_file_read(const char *path, fl_buf *out);
/// Content and permissions of a regular file, in one step.
FL_MUST int fl_file_copy(const char *from, const char *to);
/// Makes a folder and those above it; one that exists is good.
FL_MUST int fl_file_make_dirs(const char *path);
/// Removes a file or a folder with all that is in it; follows no link. `*failed` is the path that
/// could not be removed, PATH_MAX bytes.
FL_MUST int fl_file_remove_tree(const char *path, char *failed);
