// Datagram sockets in <dir>/ctl. Paths may be longer than a socket address: they are reached
// through the folder's descriptor.
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/fd.h"
#include "io/notify.h"

struct fl_notify {
  int fd, dir_fd;
  char id[64];
  fl_poll *poll;
  void (*fn)(void *ud);
  void *ud;
};

static int open_dir(const char *dir, bool make) {
  char path[4096];
  snprintf(path, sizeof path, "%s/ctl", dir);
  // Not "no such directory" where it could not be made: why.
  if (make && mkdir(path, 0700) && errno != EEXIST) return -1;
  return fl_fd_raise(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static void address(int dir_fd, const char *id, struct sockaddr_un *out) {
  *out = (struct sockaddr_un){.sun_family = AF_UNIX};
  snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/%.60s", dir_fd, id);
}

static void on_message(void *ud, bool readable, bool writable) {
  fl_notify *n = ud;
  char byte[16];
  (void)readable, (void)writable;
  while (recv(n->fd, byte, sizeof byte, MSG_DONTWAIT) >= 0) {
  }
  n->fn(n->ud);
}

fl_code fl_notify_open(fl_loop *loop, const char *dir, const char *id, void (*fn)(void *ud),
                       void *ud, fl_notify **out, fl_error *err) {
  struct sockaddr_un sa;
  fl_notify *n = fl_alloc_zero(1, sizeof *n);
  *out = NULL;
  n->fn = fn;
  n->ud = ud;
  snprintf(n->id, sizeof n->id, "%s", id);
  n->fd = fl_fd_raise(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  n->dir_fd = open_dir(dir, true);
  fl_code rc = FL_OK;
  if (n->dir_fd < 0) {
    rc = fl_fail_errno(err, FL_E_SYSTEM, errno, "cannot open '%s/ctl'", dir);
  } else {
    address(n->dir_fd, id, &sa);
    if (n->fd < 0 || bind(n->fd, (struct sockaddr *)&sa, sizeof sa))
      rc = fl_fail_errno(err, FL_E_SYSTEM, errno, "cannot listen in '%s/ctl'", dir);
  }
  if (!rc) rc = fl_poll_open(loop, n->fd, on_message, n, &n->poll, err);
  if (rc) {
    fl_notify_close(n);
    return rc;
  }
  fl_poll_set(n->poll, true, false);
  *out = n;
  return FL_OK;
}

void fl_notify_close(fl_notify *n) {
  if (!n) return;
  fl_poll_close(n->poll);
  if (n->dir_fd >= 0) unlinkat(n->dir_fd, n->id, 0);
  if (n->fd >= 0) close(n->fd);
  if (n->dir_fd >= 0) close(n->dir_fd);
  free(n);
}

bool fl_notify_send(const char *dir, const char *id) {
  struct sockaddr_un sa;
  int dir_fd = open_dir(dir, false);
  if (dir_fd < 0) return false;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  address(dir_fd, id, &sa);
  // One that is full is knocked at already.
  bool ok = fd >= 0 && (sendto(fd, "!", 1, 0, (struct sockaddr *)&sa, sizeof sa) == 1 ||
                        errno == EAGAIN || errno == EWOULDBLOCK);
  if (fd >= 0) close(fd);
  close(dir_fd);
  return ok;
}

void fl_notify_forget(const char *dir, const char *id) {
  int dir_fd = open_dir(dir, false);
  if (dir_fd < 0) return;
  if (!strchr(id, '/')) unlinkat(dir_fd, id, 0);
  close(dir_fd);
}
