// Descriptors above those of the host.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
#include "base/fd.h"

int fl_fd_raise(int fd) {
  if (fd < 0 || fd > STDERR_FILENO) return fd;
  int raised = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), errnum = errno;
  close(fd);
  errno = errnum;
  return raised;
}

int fl_fd_raise_pair(int ends[2]) {
  ends[0] = fl_fd_raise(ends[0]);
  int errnum = errno;
  ends[1] = fl_fd_raise(ends[1]);
  if (ends[0] >= 0 && ends[1] >= 0) return 0;
  if (ends[0] >= 0) errnum = errno;
  if (ends[0] >= 0) close(ends[0]);
  if (ends[1] >= 0) close(ends[1]);
  ends[0] = ends[1] = -1;
  errno = errnum;
  return -1;
}

void fl_std_hold_begin(fl_std_hold *hold) {
  hold->count = 0;
  for (int fd = 0; fd <= STDERR_FILENO; fd++) {
    if (fcntl(fd, F_GETFD) != -1) continue;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC); // gets the lowest number
    if (null < 0) return;
    hold->fds[hold->count++] = null;
  }
}

void fl_std_hold_end(fl_std_hold *hold) {
  while (hold->count) close(hold->fds[--hold->count]);
}

static pthread_mutex_t own_mutex = PTHREAD_MUTEX_INITIALIZER;
static fl_own_fd *own_fds; // of this process

static void before_fork(void) {
  pthread_mutex_lock(&own_mutex);
}

static void after_fork(void) {
  pthread_mutex_unlock(&own_mutex);
}

static void in_child(void) {
  for (fl_own_fd *own = own_fds; own; own = own->next) {
    close(own->fd);
    own->fd = -1;
  }
  pthread_mutex_unlock(&own_mutex);
}

static void watch_forks(void) {
  pthread_atfork(before_fork, after_fork, in_child);
}

void fl_own_fd_init(fl_own_fd *own, int fd) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  pthread_mutex_lock(&own_mutex);
  *own = (fl_own_fd){.fd = fd, .next = own_fds};
  if (own->next) own->next->prev = own;
  own_fds = own;
  pthread_mutex_unlock(&own_mutex);
}

void fl_own_fd_deinit(fl_own_fd *own) {
  pthread_mutex_lock(&own_mutex);
  if (own->prev)
    own->prev->next = own->next;
  else if (own_fds == own)
    own_fds = own->next;
  if (own->next) own->next->prev = own->prev;
  own->next = own->prev = NULL;
  pthread_mutex_unlock(&own_mutex);
  if (own->fd >= 0) close(own->fd);
  own->fd = -1;
}
