// Connections to engines: bytes and descriptors in, reports out, a few at a time.
#include "io/supervisor_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/limits.h"

#define IN_MAX      (FL_FRAME_SIZE_MAX + (1u << 20)) // the largest request and what came with it
#define IN_KEPT_MAX (1u << 20)                       // memory for requests that is kept
#define OUT_MAX     (1u << 30) // far above what the children of one engine can report
#define PASSED_MAX  2          // descriptors with one message

fl_sup_link *fl_sup_link_add(fl_sup *sup, int fd) {
  fl_sup_link *link = fl_alloc_zero(1, sizeof *link);
  link->fd = fd;
  link->slots = 1;
  link->at_once_end = &link->at_once;
  fl_buf_init(&link->in, IN_MAX);
  fl_buf_init(&link->out, OUT_MAX);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  link->next = sup->links;
  sup->links = link;
  fl_sup_watch(sup, fd, link, FL_SUP_LINK);
  return link;
}

void fl_sup_link_accept(fl_sup *sup) {
  for (;;) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    int fd = accept4(sup->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && errno == EINTR) continue;
    if (fd < 0) return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.uid != geteuid())
      close(fd);
    else
      fl_sup_link_add(sup, fd);
  }
}

static bool take_passed(fl_sup_link *link, struct msghdr *message) {
  bool fit = !(message->msg_flags & MSG_CTRUNC);
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      if (link->passed_count == (int)(sizeof link->passed / sizeof link->passed[0])) {
        close(fd);
        fit = false;
      } else {
        link->passed[link->passed_count++] = fd;
      }
    }
  }
  return fit;
}

// Returns what recvmsg() does.
static ssize_t receive(fl_sup_link *link, char *into, size_t size) {
  union {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int) * PASSED_MAX)];
  } control;
  struct iovec iov = {into, size};
  struct msghdr message = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t n = recvmsg(link->fd, &message, MSG_CMSG_CLOEXEC);
  if (n > 0 && message.msg_controllen && !take_passed(link, &message)) {
    errno = EPROTO;
    return -1;
  }
  return n;
}

static bool handle_frames(fl_sup *sup, fl_sup_link *link) {
  size_t at = 0, used = 0;
  fl_wire_frame frame;
  int got = 0;
  while (!link->broken &&
         (got = fl_wire_next(link->in.data + at, link->in.size - at, &frame, &used)) == 1) {
    if (!fl_sup_request(sup, link, &frame)) return false;
    at += used;
  }
  fl_buf_consume(&link->in, at);
  if (!link->in.size && link->in.capacity > IN_KEPT_MAX) { // one large request is no habit
    fl_buf_deinit(&link->in);
    fl_buf_init(&link->in, IN_MAX);
  }
  // What is missing of a large frame comes into memory that is there already.
  if (got == 0 && used > link->in.size) fl_buf_reserve(&link->in, used - link->in.size);
  return got >= 0;
}

// False when the engine is gone, or talks nonsense. Without `all` what is left is told by epoll.
static bool read_some(fl_sup *sup, fl_sup_link *link, bool all) {
  while (!link->broken) {
    size_t room = link->in.capacity - link->in.size;
    if (room < FL_SUP_PIECE_SIZE / 2) {
      fl_buf_reserve(&link->in, FL_SUP_PIECE_SIZE);
      room = link->in.capacity - link->in.size;
    }
    ssize_t n = receive(link, link->in.data + link->in.size, room);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) return false;
    link->in.size += (size_t)n;
    if (!handle_frames(sup, link)) return false;
    if (!all && (size_t)n < room) return true;
  }
  return true;
}

void fl_sup_link_read(fl_sup *sup, fl_sup_link *link, bool all) {
  // An attach reads the other links from within the reading of its own.
  if (link->reading) return;
  link->reading = true;
  bool alive = read_some(sup, link, all);
  link->reading = false;
  if (alive || link->broken) return;
  link->broken = true;
  fl_sup_abandon(sup, link);
}

void fl_sup_link_send(fl_sup *sup, fl_sup_link *link) {
  while (link->out.size && !link->broken) {
    ssize_t n = send(link->fd, link->out.data, link->out.size, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break; // full, or gone: then reading says so
    fl_buf_consume(&link->out, (size_t)n);
  }
  link->gathered = 0;
  link->report_due = 0;
  if (!link->broken) fl_sup_watch_write(sup, link, link->out.size > 0);
}

void fl_sup_link_reported(fl_sup *sup, fl_sup_link *link) {
  if (link->out.failed) { // it has not read a gigabyte of reports: the journal has them
    link->broken = true;
    fl_sup_abandon(sup, link);
    return;
  }
  if (!link->gathered++) link->report_due = sup->now + FL_SUP_REPORT_MS;
}

// While the queue feeds the slots nobody waits for a report; when it runs short, the engine has to
// hear at once, as what comes next depends on it.
static bool is_due(const fl_sup *sup, const fl_sup_link *link) {
  return link->queue_count < 2 * (size_t)link->slots || link->gathered >= FL_SUP_REPORT_COUNT ||
         sup->now >= link->report_due;
}

int64_t fl_sup_link_flush(fl_sup *sup) {
  int64_t next = INT64_MAX;
  for (fl_sup_link *link = sup->links; link; link = link->next) {
    if (!link->gathered || link->broken || link->writing) continue;
    if (is_due(sup, link))
      fl_sup_link_send(sup, link);
    else if (link->report_due < next)
      next = link->report_due;
  }
  return next;
}

static void link_free(fl_sup *sup, fl_sup_link *link) {
  fl_sup_queue_drop(link);
  while (link->passed_count) close(link->passed[--link->passed_count]);
  fl_sup_unwatch(sup, link->fd);
  fl_buf_deinit(&link->in);
  fl_buf_deinit(&link->out);
  for (size_t i = 0; i < link->fenced_count; i++) free(link->fenced[i]);
  free(link->fenced);
  free(link->queue);
  free(link);
}

void fl_sup_link_drop_broken(fl_sup *sup) {
  for (fl_sup_link **at = &sup->links; *at;) {
    fl_sup_link *link = *at;
    if (!link->broken) {
      at = &link->next;
      continue;
    }
    *at = link->next;
    if (link->attaching) sup->attach_count--;
    link_free(sup, link);
  }
}
