// The files that the store touches by itself, beside SQLite's own: the barrier of a commit, the
// blobs, a store's creation. A table, so that a simulated disk can stand below the store.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct fl_disk_stat {
  int64_t size;
  int64_t modified_s; // wall time
  bool is_file;       // a regular one
} fl_disk_stat;

/// Each does what the system call of its name does, errno included. Descriptors, `dir` too, are the
/// disk's own and mean nothing to others.
typedef struct fl_disk {
  const char *vfs; // SQLite's name for the same files; NULL: the system's
  /// The absolute path of an existing directory, malloced.
  char *(*realpath)(void *ud, const char *path);
  int (*mkdir)(void *ud, int dir, const char *name); // `dir` AT_FDCWD: `name` is a path
  int (*open)(void *ud, int dir, const char *name, int flags);
  void (*close)(void *ud, int fd);
  int (*stat)(void *ud, int dir, const char *name, fl_disk_stat *out);
  int64_t (*size)(void *ud, int fd);
  ssize_t (*read)(void *ud, int fd, void *data, size_t size);
  ssize_t (*write)(void *ud, int fd, const void *data, size_t size);
  ssize_t (*pwrite)(void *ud, int fd, const void *data, size_t size, int64_t at);
  int (*fsync)(void *ud, int fd);
  int (*fdatasync)(void *ud, int fd);
  int (*link)(void *ud, int dir, const char *from, const char *to); // both in `dir`
  int (*rename)(void *ud, int dir, const char *from, const char *to);
  int (*unlink)(void *ud, int dir, const char *name);
  /// Names in `dir`, in any order; what it cannot read it leaves out.
  void (*list)(void *ud, int dir, void (*each)(void *each_ud, const char *name), void *each_ud);
  void *ud;
} fl_disk;

/// The machine's.
const fl_disk *fl_disk_system(void);
