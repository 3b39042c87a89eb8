// The lock by which an engine is known to live: one byte of a file that all engines share.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/digest.h"
#include "base/fd.h"
#include "io/owner_lock.h"
#include "io/supervise.h"
#include "io/tree.h"

#define FILE_NAME "owners"
#define ID_DIGITS (FL_ENGINE_ID_SIZE - 1)
#define ID_TRIES  16 // of 2^56 ids: the first is free, or something is wrong

struct fl_owner_lock {
  fl_own_fd own;
};

static int open_file(const char *dir, bool make) {
  char folder[4096], path[4096 + sizeof "/" FILE_NAME];
  int flags = (make ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC;
  snprintf(folder, sizeof folder, "%s/ctl", dir);
  snprintf(path, sizeof path, "%s/" FILE_NAME, folder);
  int fd = open(path, flags, 0600);
  if (fd < 0 && errno == ENOENT && make && (!mkdir(folder, 0700) || errno == EEXIST))
    fd = open(path, flags, 0600);
  return fl_fd_raise(fd);
}

static struct flock lock_of(const char *id) {
  return (struct flock){.l_type = F_WRLCK,
                        .l_whence = SEEK_SET,
                        .l_start = (off_t)strtoull(id, NULL, 16),
                        .l_len = 1};
}

static bool take(int fd, char id[FL_ENGINE_ID_SIZE]) {
  for (int i = 0; i < ID_TRIES; i++) {
    uint8_t bits[ID_DIGITS / 2];
    fl_random_bytes(bits, sizeof bits);
    for (size_t b = 0; b < sizeof bits; b++) snprintf(id + 2 * b, 3, "%02x", bits[b]);
    struct flock lock = lock_of(id);
    if (!fcntl(fd, F_OFD_SETLK, &lock)) return true;
    if (errno != EAGAIN && errno != EACCES) return false;
  }
  return false;
}

fl_code fl_owner_lock_open(const char *dir, char id_out[FL_ENGINE_ID_SIZE], fl_owner_lock **out,
                           fl_error *err) {
  *out = NULL;
  int fd = open_file(dir, true);
  if (fd < 0)
    return fl_fail_errno(err, FL_E_SYSTEM, errno, "cannot open '%s/ctl/" FILE_NAME "'", dir);
  if (!take(fd, id_out)) {
    int errnum = errno;
    close(fd);
    return fl_fail_errno(err, FL_E_SYSTEM, errnum, "cannot lock '%s/ctl/" FILE_NAME "'", dir);
  }
  fl_owner_lock *lock = fl_alloc_zero(1, sizeof *lock);
  fl_own_fd_init(&lock->own, fd);
  *out = lock;
  return FL_OK;
}

void fl_owner_lock_close(fl_owner_lock *lock) {
  if (!lock) return;
  fl_own_fd_deinit(&lock->own);
  free(lock);
}

bool fl_owner_lives(const char *dir, const char *owner) {
  char identity[160];
  const char *hash = strchr(owner, '#');
  snprintf(identity, sizeof identity, "%.*s", (int)strcspn(owner, "#"), owner);
  if (!hash || strlen(hash + 1) != ID_DIGITS) return fl_process_is_alive(identity);
  int fd = open_file(dir, false);
  // It cannot be asked for: better to leave a dead one's run than to rob a living one.
  if (fd < 0) return errno != ENOENT;
  struct flock lock = lock_of(hash + 1);
  bool held = fcntl(fd, F_OFD_GETLK, &lock) || lock.l_type != F_UNLCK;
  close(fd);
  return held && !fl_process_is_dying(identity);
}
