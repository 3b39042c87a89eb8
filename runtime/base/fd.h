// Descriptors that may live in a host: close-on-exec, and never 0, 1 or 2, which belong to it even
// where it has closed them (a stray printf would go into whatever is there).
#pragma once
#include <stddef.h>

/// The same open file under a number above 2: `fd` itself, or a copy of it, and `fd` is closed. -1,
/// and errno as it is, for -1; -1 also when there is no number left (`fd` is closed then, too).
int fl_fd_raise(int fd);
/// Both ends of a pipe or a socket pair. 0, or -1 and errno, with both closed.
int fl_fd_raise_pair(int ends[2]);

/// For what libuv opens: in between, 0 to 2 are taken where the host has closed them.
typedef struct fl_std_hold {
  int fds[3];
  int count;
} fl_std_hold;

void fl_std_hold_begin(fl_std_hold *hold);
void fl_std_hold_end(fl_std_hold *hold);

/// A descriptor by which others know that we live. A child that the host forks off does not get it:
/// it is closed there, and `fd` is -1.
typedef struct fl_own_fd {
  int fd;
  struct fl_own_fd *next, *prev;
} fl_own_fd;

void fl_own_fd_init(fl_own_fd *own, int fd);
/// Closes it. Idempotent.
void fl_own_fd_deinit(fl_own_fd *own);
