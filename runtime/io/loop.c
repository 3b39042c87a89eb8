// The engine's event loop on libuv: a loop of its own, timers and polls that may be closed
// anywhere.
#include "io/loop.h"
#include <uv.h>

struct fl_loop {
  uv_loop_t uv;
  uv_async_t wake;
  uv_timer_t limit; // ends a wait of fl_loop_run()
};

struct fl_timer {
  uv_timer_t uv;
  void (*fn)(void *ud);
  void *ud;
};

struct fl_poll {
  uv_poll_t uv;
  int events; // that it waits for
  void (*fn)(void *ud, bool readable, bool writable);
  void *ud;
};

static fl_code fail_uv(fl_error *err, int rc, const char *what) {
  return fl_fail(err, FL_E_SYSTEM, "cannot %s: %s (%s)", what, uv_strerror(rc), uv_err_name(rc));
}

static void do_nothing(uv_async_t *handle) {
  (void)handle;
}

static void end_wait(uv_timer_t *handle) {
  (void)handle;
}

fl_code fl_loop_open(fl_loop **out, fl_error *err) {
  fl_loop *loop = fl_alloc_zero(1, sizeof *loop);
  *out = NULL;
  int rc = uv_loop_init(&loop->uv);
  if (rc) {
    free(loop);
    return fail_uv(err, rc, "make an event loop");
  }
  rc = uv_async_init(&loop->uv, &loop->wake, do_nothing);
  if (rc) {
    uv_loop_close(&loop->uv);
    free(loop);
    return fail_uv(err, rc, "make an event loop");
  }
  // `wake` stays referenced: with nothing else to wait for, libuv would not wait at all, and tell a
  // host a timeout of 0.
  uv_timer_init(&loop->uv, &loop->limit);
  *out = loop;
  return FL_OK;
}

void fl_loop_close(fl_loop *loop) {
  if (!loop) return;
  uv_close((uv_handle_t *)&loop->wake, NULL);
  uv_close((uv_handle_t *)&loop->limit, NULL);
  uv_run(&loop->uv, UV_RUN_DEFAULT);        // handles that were closed before are freed here
  FL_ASSERT(uv_loop_close(&loop->uv) == 0); // else a timer or poll was left open
  free(loop);
}

void fl_loop_run(fl_loop *loop, int64_t wait_ms) {
  if (wait_ms == 0) {
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    return;
  }
  if (wait_ms > 0) {
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->limit, end_wait, (uint64_t)wait_ms, 0);
  }
  uv_run(&loop->uv, UV_RUN_ONCE);
  uv_timer_stop(&loop->limit);
}

int fl_loop_get_fd(const fl_loop *loop) {
  return uv_backend_fd(&loop->uv);
}

int fl_loop_get_timeout_ms(const fl_loop *loop) {
  return uv_backend_timeout(&loop->uv);
}

void fl_loop_wake(fl_loop *loop) {
  uv_async_send(&loop->wake);
}

fl_timer *fl_timer_open(fl_loop *loop, void (*fn)(void *ud), void *ud) {
  fl_timer *timer = fl_alloc_zero(1, sizeof *timer);
  uv_timer_init(&loop->uv, &timer->uv);
  timer->fn = fn;
  timer->ud = ud;
  return timer;
}

static void on_timer(uv_timer_t *handle) {
  fl_timer *timer = (fl_timer *)handle;
  // libuv runs what is due before it waits, and then waits all the same: whoever called
  // fl_loop_run() has something to do now, so this turn ends without.
  uv_stop(handle->loop);
  timer->fn(timer->ud);
}

void fl_timer_set(fl_timer *timer, int64_t delay_ms) {
  if (delay_ms < 0) {
    uv_timer_stop(&timer->uv);
    return;
  }
  // libuv counts from when its loop last woke up, which may be long ago.
  uv_update_time(timer->uv.loop);
  uv_timer_start(&timer->uv, on_timer, (uint64_t)delay_ms, 0);
}

static void free_handle(uv_handle_t *handle) {
  free(handle);
}

void fl_timer_close(fl_timer *timer) {
  if (timer) uv_close((uv_handle_t *)&timer->uv, free_handle);
}

fl_code fl_poll_open(fl_loop *loop, int fd, void (*fn)(void *ud, bool readable, bool writable),
                     void *ud, fl_poll **out, fl_error *err) {
  fl_poll *poll = fl_alloc_zero(1, sizeof *poll);
  *out = NULL;
  int rc = uv_poll_init(&loop->uv, &poll->uv, fd);
  if (rc) {
    free(poll);
    return fail_uv(err, rc, "watch a descriptor");
  }
  poll->fn = fn;
  poll->ud = ud;
  *out = poll;
  return FL_OK;
}

static void on_poll(uv_poll_t *handle, int status, int events) {
  fl_poll *poll = (fl_poll *)handle;
  // An error on the descriptor is both: whichever call comes next reports it.
  bool failed = status < 0;
  if (failed) poll->events = 0; // libuv has stopped it
  poll->fn(poll->ud, failed || events & UV_READABLE, failed || events & UV_WRITABLE);
}

void fl_poll_set(fl_poll *poll, bool want_read, bool want_write) {
  int events = (want_read ? UV_READABLE : 0) | (want_write ? UV_WRITABLE : 0);
  // Setting it anew would make libuv ask for a turn of the loop at once: a loop that does so in
  // each turn would never wait.
  if (events == poll->events) return;
  poll->events = events;
  if (events)
    uv_poll_start(&poll->uv, events, on_poll);
  else
    uv_poll_stop(&poll->uv);
}

void fl_poll_close(fl_poll *poll) {
  if (poll) uv_close((uv_handle_t *)&poll->uv, free_handle);
}
