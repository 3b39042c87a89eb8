// An inotify descriptor and a timer behind one descriptor.
#include "io/watch.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct fl_watch {
  int epoll_fd, inotify_fd, timer_fd;
  bool woken;     // since the last look
  uint32_t looks; // in vain, one after another
};

static const int64_t pauses_ms[] = {1, 10, 100, 1000, 5000}; // before the next look

static bool add(const fl_watch *w, int fd) {
  struct epoll_event event = {.events = EPOLLIN};
  return fd >= 0 && !epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

fl_code fl_watch_open(const char *path, fl_watch **out, fl_error *err) {
  fl_watch *w = fl_alloc_zero(1, sizeof *w);
  *out = NULL;
  w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  w->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (add(w, w->inotify_fd) && add(w, w->timer_fd) &&
      inotify_add_watch(w->inotify_fd, path, IN_MODIFY) >= 0)
    return *out = w, FL_OK;
  fl_code code = fl_fail_errno(err, FL_E_SYSTEM, errno, "cannot watch '%s'", path);
  fl_watch_close(w);
  return code;
}

void fl_watch_close(fl_watch *w) {
  if (!w) return;
  if (w->timer_fd >= 0) close(w->timer_fd);
  if (w->inotify_fd >= 0) close(w->inotify_fd);
  if (w->epoll_fd >= 0) close(w->epoll_fd);
  free(w);
}

int fl_watch_get_fd(const fl_watch *w) {
  return w->epoll_fd;
}

void fl_watch_clear(fl_watch *w) {
  char buffer[4096];
  uint64_t times;
  while (read(w->inotify_fd, buffer, sizeof buffer) > 0) {
    w->woken = true;
    w->looks = 0;
  }
  (void)!read(w->timer_fd, &times, sizeof times);
}

void fl_watch_looked(fl_watch *w, bool news) {
  struct itimerspec at = {0};
  if (news) w->woken = false;
  if (w->woken && w->looks < sizeof pauses_ms / sizeof *pauses_ms) {
    int64_t ms = pauses_ms[w->looks++];
    at.it_value = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  } else {
    w->woken = false;
  }
  timerfd_settime(w->timer_fd, 0, &at, NULL);
}
