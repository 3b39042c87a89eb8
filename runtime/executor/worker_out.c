// Gathers messages, catches what node code prints, and watches over the engine's end of the socket.
//
// Everything is behind one lock, which is held while the socket takes bytes: node code that says
// more than the engine can hear waits.
#include "executor/worker_out.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define GATHER_RESULTS 16u
#define GATHER_SIZE    (16u << 10)
#define GATHER_NS      2000000ll   // results wait at most this long
#define REST_NS        20000000ll  // quiet time after which the thread sleeps until it is woken
#define PRINTED_NS     100000000ll // what was printed waits at most this long
#define DRAIN_SIZE     (64u << 10) // taken from the pipe with one call
#define DRAIN_MAX      (1u << 20)  // taken at once: something else may write for ever
#define FRAME_SIZE     64u         // of a FL_WORKER_PRINTED, and more
#define STACK_SIZE     (256u << 10)

struct fl_worker_out {
  pthread_mutex_t lock;
  fl_worker_page *page;
  int fd, wake;
  fl_worker_ends ends;
  uint64_t said, sent; // stream positions: published, written to the socket
  int64_t due_ns;      // when what is unsent must leave; INT64_MAX: nothing is
  int64_t look_ns;     // when the thread looks next; INT64_MAX: when it is woken
  uint32_t results;    // unsent ones
  bool has_task;
  uint32_t slot, generation;
  fl_buf frame; // of what was moved
};

int64_t fl_worker_now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// ------------------------------------------------------------------------------------- sending

// The engine is gone: nobody is left to work for.
static _Noreturn void leave(void) {
  _exit(0);
}

static void send_all(fl_worker_out *out, struct iovec *parts, int count) {
  while (count) {
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    ssize_t n = sendmsg(out->fd, &message, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) leave();
    out->sent += (uint64_t)n;
    while (count && (size_t)n >= parts->iov_len) n -= (ssize_t)parts->iov_len, parts++, count--;
    if (count) {
      parts->iov_base = (char *)parts->iov_base + n;
      parts->iov_len -= (size_t)n;
    }
  }
  atomic_store_explicit(&out->page->sent, out->sent, memory_order_release);
}

static void flush(fl_worker_out *out) {
  size_t size = (size_t)(out->said - out->sent), begin = out->sent % FL_WORKER_RING_SIZE;
  size_t first = FL_WORKER_RING_SIZE - begin;
  if (first > size) first = size;
  struct iovec parts[2] = {{out->page->ring + begin, first}, {out->page->ring, size - first}};
  send_all(out, parts, size > first ? 2 : first ? 1 : 0);
  out->due_ns = INT64_MAX;
  out->results = 0;
}

static void wake(fl_worker_out *out) {
  uint64_t one = 1;
  ssize_t ignored = write(out->wake, &one, sizeof one);
  (void)ignored; // it can only be awake already
}

static void say(fl_worker_out *out, const void *data, size_t size, int64_t due_ns) {
  if (size > FL_WORKER_RING_SIZE - (size_t)(out->said - out->sent)) flush(out);
  if (size > FL_WORKER_RING_SIZE) {
    // Published when it is through: until then the ring holds nothing of it.
    struct iovec part = {(void *)(uintptr_t)data, size};
    send_all(out, &part, 1);
    out->said = out->sent;
    fl_ring_publish(out->page, out->said);
    return;
  }
  fl_ring_write(out->page, out->said, data, size);
  out->said += size;
  fl_ring_publish(out->page, out->said);
  if (due_ns < out->due_ns) out->due_ns = due_ns;
  if (out->said - out->sent >= GATHER_SIZE) flush(out);
}

void fl_worker_out_say(fl_worker_out *out, const void *data, size_t size, int delay_ms) {
  pthread_mutex_lock(&out->lock);
  say(out, data, size, fl_worker_now_ns() + delay_ms * 1000000ll);
  if (out->due_ns < out->look_ns) wake(out);
  pthread_mutex_unlock(&out->lock);
}

void fl_worker_out_send(fl_worker_out *out, const void *data, size_t size) {
  pthread_mutex_lock(&out->lock);
  say(out, data, size, INT64_MAX);
  flush(out);
  pthread_mutex_unlock(&out->lock);
}

void fl_worker_out_flush(fl_worker_out *out) {
  pthread_mutex_lock(&out->lock);
  flush(out);
  pthread_mutex_unlock(&out->lock);
}

// ------------------------------------------------------------------------------------- what is
// printed

typedef enum drained {
  DRAINED_SOME, // there may be more
  DRAINED_ALL,
  DRAINED_NONE, // the engine has to read what was moved before
} drained;

static void say_moved(fl_worker_out *out, size_t size) {
  fl_buf *b = &out->frame;
  fl_buf_reset(b);
  size_t begin = fl_worker_begin(b, FL_WORKER_PRINTED);
  fl_wire_put_u32(b, out->slot);
  fl_wire_put_u32(b, out->generation);
  fl_wire_put_u32(b, (uint32_t)size);
  fl_wire_end(b, begin);
  say(out, b->data, b->size, fl_worker_now_ns() + PRINTED_NS);
}

// From pipe to pipe, so that at no instant it is in the memory of this process alone: that may be
// its last one.
static drained move(fl_worker_out *out, size_t *total) {
  int waiting = 0;
  if (ioctl(out->ends.read, FIONREAD, &waiting)) leave(); // node code closed what it does not know
  if (!waiting) return DRAINED_ALL;
  ssize_t n = splice(out->ends.read, NULL, out->ends.pass, NULL, DRAIN_SIZE, SPLICE_F_NONBLOCK);
  if (n < 0 && errno == EAGAIN) return DRAINED_NONE;
  if (n < 0 && errno != EINTR) leave();
  if (n <= 0) return DRAINED_SOME;
  say_moved(out, (size_t)n);
  *total += (size_t)n;
  return DRAINED_SOME;
}

// What is written between two tasks belongs to nobody.
static drained drop(fl_worker_out *out, size_t *total) {
  char data[4096];
  ssize_t n = read(out->ends.read, data, sizeof data);
  if (n > 0) *total += (size_t)n;
  return n > 0 || (n < 0 && errno == EINTR) ? DRAINED_SOME : DRAINED_ALL;
}

static drained drain(fl_worker_out *out, size_t *total) {
  drained got = DRAINED_SOME;
  while (got == DRAINED_SOME && *total < DRAIN_MAX)
    got = out->has_task ? move(out, total) : drop(out, total);
  return got;
}

// The engine reads when it is told.
static void wait_for_engine(fl_worker_out *out) {
  struct pollfd fds[2] = {{.fd = out->fd, .events = POLLRDHUP},
                          {.fd = out->ends.pass, .events = POLLOUT}};
  flush(out);
  if (poll(fds, 2, -1) > 0 && fds[0].revents) leave();
}

static void drain_all(fl_worker_out *out) {
  size_t total = 0;
  while (drain(out, &total) == DRAINED_NONE) wait_for_engine(out);
}

void fl_worker_out_begin(fl_worker_out *out, uint32_t slot, uint32_t generation) {
  pthread_mutex_lock(&out->lock);
  out->has_task = true;
  out->slot = slot;
  out->generation = generation;
  pthread_mutex_unlock(&out->lock);
}

void fl_worker_out_finish(fl_worker_out *out, const void *result, size_t size) {
  pthread_mutex_lock(&out->lock);
  drain_all(out);
  out->has_task = false;
  int64_t now = fl_worker_now_ns();
  say(out, result, size, now + GATHER_NS);
  if (++out->results >= GATHER_RESULTS || now >= out->due_ns) flush(out);
  if (out->due_ns < out->look_ns) wake(out);
  pthread_mutex_unlock(&out->lock);
}

// ------------------------------------------------------------------------------------- the thread

// When to look again. While there is traffic it looks every GATHER_NS by itself, so that the other
// thread hardly ever has to wake it.
static int64_t plan_look(fl_worker_out *out, int64_t now, uint64_t *seen, int64_t *busy_ns) {
  if (out->said != *seen) *busy_ns = now;
  *seen = out->said;
  if (out->due_ns != INT64_MAX && out->due_ns < now + GATHER_NS) return out->due_ns;
  if (now - *busy_ns < REST_NS) return now + GATHER_NS;
  return out->due_ns;
}

static void *watch(void *ud) {
  fl_worker_out *out = ud;
  const struct pollfd printed = {.fd = out->ends.read, .events = POLLIN};
  const struct pollfd room = {.fd = out->ends.pass, .events = POLLOUT};
  struct pollfd fds[3] = {
      {.fd = out->fd, .events = POLLRDHUP}, printed, {.fd = out->wake, .events = POLLIN}};
  uint64_t seen = 0, ignored;
  int64_t busy_ns = 0;
  for (;;) {
    pthread_mutex_lock(&out->lock);
    int64_t now = fl_worker_now_ns();
    if (fds[1].revents) {
      size_t total = 0;
      bool full = drain(out, &total) == DRAINED_NONE;
      if (full) flush(out); // it makes room when it is told
      fds[1] = full ? room : printed;
    }
    if (now >= out->due_ns) flush(out);
    int64_t look = out->look_ns = plan_look(out, now, &seen, &busy_ns);
    pthread_mutex_unlock(&out->lock);
    int64_t wait = look > now ? look - now : 0;
    struct timespec timeout = {wait / 1000000000, wait % 1000000000};
    int n = ppoll(fds, 3, look == INT64_MAX ? NULL : &timeout, NULL);
    if (n < 0) fds[0].revents = fds[1].revents = fds[2].revents = 0;
    if (fds[0].revents) leave();
    if (fds[2].revents && read(out->wake, &ignored, sizeof ignored) < 0) continue;
  }
  return NULL;
}

static fl_code start_thread(fl_worker_out *out, fl_error *err) {
  pthread_t thread;
  pthread_attr_t attr;
  sigset_t all, before;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK_SIZE);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  sigfillset(&all); // signals are for the code that asked for them
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int errnum = pthread_create(&thread, &attr, watch, out);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  return errnum ? fl_fail_errno(err, FL_E_SYSTEM, errnum, "cannot start a thread") : FL_OK;
}

fl_code fl_worker_out_open(int fd, fl_worker_page *page, const fl_worker_ends *ends,
                           fl_worker_out **result, fl_error *err) {
  fl_worker_out *out = fl_alloc_zero(1, sizeof *out);
  pthread_mutex_init(&out->lock, NULL);
  out->page = page;
  out->fd = fd;
  out->ends = *ends;
  out->due_ns = out->look_ns = INT64_MAX;
  // Now: node code may have used up all memory when there is something to say.
  fl_buf_init(&out->frame, FRAME_SIZE);
  FL_ASSERT(fl_buf_reserve(&out->frame, FRAME_SIZE));
  // `ends->write` stays open as well: node code may close 1 and 2, and a pipe without writers would
  // keep the thread awake.
  if (dup2(ends->write, 1) < 0 || dup2(ends->write, 2) < 0) {
    return fl_fail_errno(err, FL_E_SYSTEM, errno, "cannot redirect the output");
  }
  out->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (out->wake < 0) return fl_fail_errno(err, FL_E_SYSTEM, errno, "cannot make an eventfd");
  *result = out;
  return start_thread(out, err);
}
