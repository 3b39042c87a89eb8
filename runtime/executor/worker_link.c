// Bytes from and to a worker.
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "executor/worker_pool_internal.h"

#define READ_SIZE (64u << 10)
#define READ_MAX  (1u << 20) // of one worker at once, so that others get their turn
#define KEEP_SIZE (1u << 20) // a buffer that a message made larger is given back

// ------------------------------------------------------------------------------------- receiving

// Something that is no message came: whatever wrote it, nothing it says can be believed any more.
static void complain(fl_worker *w, const char *text) {
  if (!w->complaint) w->complaint = fl_strdup(text);
  fl_worker_kill(w);
}

static void take_frames(fl_worker *w) {
  fl_wire_frame frame;
  size_t used;
  while (!w->complaint && w->in_used < w->in.size) {
    int got = fl_wire_next(w->in.data + w->in_used, w->in.size - w->in_used, &frame, &used);
    if (!got) break;
    if (got < 0 || !fl_worker_handle(w, &frame))
      complain(w, "it sent something that is no message");
    else
      w->in_used += used;
  }
  fl_buf_consume(&w->in, w->in_used);
  w->in_used = 0;
  if (!w->in.size && w->in.capacity > KEEP_SIZE) fl_buf_deinit(&w->in);
}

// One read; false when there is nothing more now.
static bool receive(fl_worker *w) {
  if (w->fd < 0 || w->complaint) return false;
  if (!fl_buf_reserve(&w->in, READ_SIZE)) {
    complain(w, "it sent more than a message may be");
    return false;
  }
  ssize_t n = recv(w->fd, w->in.data + w->in.size, READ_SIZE, 0);
  if (n < 0 && errno == EINTR) return true;
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  if (n <= 0) { // it is gone: its exit will be reported
    fl_poll_set(w->poll, false, false);
    w->retiring = true;
    w->hung_up_ns = fl_worker_pool_now_ns();
    fl_worker_pool_arm(w->pool, w->hung_up_ns + FL_WORKER_EXIT_NS);
    return false;
  }
  w->in.size += (size_t)n;
  w->received += (uint64_t)n;
  take_frames(w);
  return n == READ_SIZE;
}

void fl_worker_drain(fl_worker *w) {
  while (receive(w)) continue;
  if (!w->page || w->complaint) return;
  size_t left = fl_ring_left(w->page, w->received);
  if (!left || !fl_buf_reserve(&w->in, left)) return;
  fl_ring_read(w->page, w->received, w->in.data + w->in.size, left);
  w->in.size += left;
  w->received += left;
  take_frames(w);
}

void fl_worker_on_socket(void *ud, bool readable, bool writable) {
  fl_worker *w = ud;
  if (writable) fl_worker_send(w);
  size_t before = (size_t)w->received;
  while (readable && receive(w) && w->received - before < READ_MAX) continue;
  if (w->retiring && !w->task_count && !w->hung_up_ns) fl_worker_close(w);
  fl_worker_pool_dispatch(w->pool);
}

// ------------------------------------------------------------------------------------- sending

// The first byte of all carries the ends of its pipes.
static ssize_t send_ends(fl_worker *w) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(fl_worker_ends))];
  } control = {0};
  struct iovec part = {w->out.data, 1};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.space,
                           .msg_controllen = sizeof control.space};
  control.header = (struct cmsghdr){
      .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof w->ends)};
  memcpy(CMSG_DATA(&control.header), &w->ends, sizeof w->ends);
  ssize_t n = sendmsg(w->fd, &message, MSG_NOSIGNAL);
  if (n == 1) fl_worker_close_ends(w);
  return n;
}

static void wait_to_write(fl_worker *w) {
  if (w->out_sent >= KEEP_SIZE) {
    fl_buf_consume(&w->out, w->out_sent);
    w->out_sent = 0;
  }
  if (!w->wants_write) fl_poll_set(w->poll, true, true);
  w->wants_write = true;
}

// While several workers have tasks there are always some that can be heard, and answered in one
// commit.
static bool is_crowded(const fl_worker_pool *pool) {
  uint32_t busy = 0;
  for (const fl_worker *w = pool->workers; w; w = w->next) busy += w->task_count > 0;
  return busy > 1 || pool->one_core;
}

bool fl_worker_pool_linger(fl_worker_pool *pool) {
  fl_worker *w = pool->saved;
  pool->saved = NULL;
  if (!w || w->fd < 0 || w->wants_write || is_crowded(pool)) return false;
  if (!fl_linger_until(&w->linger, &w->page->sent, w->received)) return false;
  fl_worker_on_socket(w, true, false);
  return true;
}

void fl_worker_send(fl_worker *w) {
  if (w->out.failed) complain(w, "it does not read what it is sent");
  while (w->fd >= 0 && w->out_sent < w->out.size) {
    ssize_t n = w->ends.write >= 0 ? send_ends(w)
                                   : send(w->fd, w->out.data + w->out_sent,
                                          w->out.size - w->out_sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      wait_to_write(w);
      return;
    }
    if (n < 0) break; // it is gone: its exit will be reported
    w->out_sent += (size_t)n;
  }
  atomic_store_explicit(&w->page->crowded, is_crowded(w->pool), memory_order_relaxed);
  atomic_fetch_add_explicit(&w->page->answers, 1, memory_order_release);
  fl_buf_reset(&w->out);
  w->out_sent = 0;
  if (w->out.capacity > KEEP_SIZE) fl_buf_deinit(&w->out);
  if (w->wants_write && w->poll) fl_poll_set(w->poll, true, false);
  w->wants_write = false;
}
