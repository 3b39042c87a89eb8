// Who lives: each engine holds a lock of the kernel's for as long as it lives, and whoever wants
// one of its runs asks for that lock.
//
// The lock is on one byte of <dir>/ctl/owners, at the engine's id taken as a number: nothing is
// left when the engine is gone, however it went, and no file has to be swept up. It is an open file
// description lock (F_OFD_SETLK), because of what it survives and what it does not:
// - it is the inode's: every PID namespace and container on this volume sees it, and on a network
//   file system every host to which its server carries locks;
// - it stays when the process closes another descriptor of that file, which would drop a plain
//   fcntl lock; and asking for it (F_OFD_GETLK) takes nothing, as it would with flock;
// - exec closes it (O_CLOEXEC), and so does fork in the child, which would else hold it for its
// dead
//   parent (fl_own_fd).
#pragma once
#include <stdbool.h>
#include "base/err.h"

#define FL_ENGINE_ID_SIZE 15 // 14 hex digits

typedef struct fl_owner_lock fl_owner_lock;

/// Takes the lock of an engine under an id that nobody has, and names it: `id_out`. Does not wait.
/// `*out` is the caller's: fl_owner_lock_close().
FL_MUST fl_code fl_owner_lock_open(const char *dir, char id_out[FL_ENGINE_ID_SIZE],
                                   fl_owner_lock **out, fl_error *err);
void fl_owner_lock_close(fl_owner_lock *lock); // NULL-safe; the engine is dead to everybody

/// Whether `owner` lives: "boot-id/pid/start-time#engine-id", as it stands in the store. Held is
/// alive, whatever a clock says; but whom SIGKILL has reached runs no more, even if the kernel has
/// not let go of its lock yet. An engine of a version that took no locks (its id has 12 digits)
/// lives as long as its process does. Does not wait.
bool fl_owner_lives(const char *dir, const char *owner);
