// The engine's event loop on libuv: a loop of its own, polls that may be closed anywhere, and
// timers in a heap of ours: those of a broken engine are dropped with it, not run or waited for,
// and what is due at once can be done in portions.
#include "io/loop.h"
#include <limits.h>
#include <uv.h>
#include "base/clock.h"
#include "base/fd.h"

#define NOT_SET SIZE_MAX

struct fl_loop {
  uv_loop_t uv;
  uv_async_t wake;
  uv_timer_t limit; // ends a wait of fl_loop_run()
  fl_timer **due;   // a heap of those that are set
  size_t due_count, due_capacity;
  fl_timer *timers; // all
  uint64_t set_count;
};

struct fl_timer {
  fl_loop *loop;
  fl_timer *next, *prev;
  size_t place; // in the heap, NOT_SET: it is not
  int64_t at_us;
  uint64_t order; // of being set: who is due at the same time
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

// What libuv opens comes above 2, also where the host has closed those.
static int init(fl_loop *loop) {
  fl_std_hold hold;
  fl_std_hold_begin(&hold);
  int rc = uv_loop_init(&loop->uv);
  if (!rc) {
    rc = uv_async_init(&loop->uv, &loop->wake, do_nothing);
    if (rc) uv_loop_close(&loop->uv);
  }
  fl_std_hold_end(&hold);
  return rc;
}

static void *take_zero(size_t count, size_t size) {
  void *memory = count > SIZE_MAX / (size ? size : 1) ? NULL : fl_try_realloc(NULL, count * size);
  return memory ? memset(memory, 0, count * size) : NULL;
}
static void *take(size_t size) {
  return fl_try_realloc(NULL, size);
}

bool fl_loop_use_allocator(void) {
  return uv_replace_allocator(take, fl_try_realloc, take_zero, fl_free) == 0;
}

fl_code fl_loop_open(fl_loop **out, fl_error *err) {
  fl_loop *loop = fl_alloc_zero(1, sizeof *loop);
  *out = NULL;
  int rc = init(loop);
  if (rc) {
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
  FL_ASSERT(uv_loop_close(&loop->uv) == 0); // else a poll was left open
  while (loop->timers) fl_timer_close(loop->timers);
  free(loop->due);
  free(loop);
}

// ------------------------------------------------------------------------------------- timers

static bool goes_before(const fl_timer *a, const fl_timer *b) {
  return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void put(fl_loop *loop, size_t place, fl_timer *timer) {
  loop->due[place] = timer;
  timer->place = place;
}

// Puts `timer` where it belongs, from `at` on, which is free.
static void sift(fl_loop *loop, size_t at, fl_timer *timer) {
  for (; at > 0 && goes_before(timer, loop->due[(at - 1) / 2]); at = (at - 1) / 2)
    put(loop, at, loop->due[(at - 1) / 2]);
  for (size_t down; (down = 2 * at + 1) < loop->due_count; at = down) {
    if (down + 1 < loop->due_count && goes_before(loop->due[down + 1], loop->due[down])) down++;
    if (!goes_before(loop->due[down], timer)) break;
    put(loop, at, loop->due[down]);
  }
  put(loop, at, timer);
}

static void unset(fl_timer *timer) {
  fl_loop *loop = timer->loop;
  size_t at = timer->place;
  if (at == NOT_SET) return;
  timer->place = NOT_SET;
  fl_timer *last = loop->due[--loop->due_count];
  if (last != timer) sift(loop, at, last);
}

fl_timer *fl_timer_open(fl_loop *loop, void (*fn)(void *ud), void *ud) {
  fl_timer *timer = fl_alloc_zero(1, sizeof *timer);
  *timer = (fl_timer){.loop = loop, .next = loop->timers, .place = NOT_SET, .fn = fn, .ud = ud};
  if (timer->next) timer->next->prev = timer;
  loop->timers = timer;
  return timer;
}

void fl_timer_set(fl_timer *timer, int64_t delay_ms) {
  fl_loop *loop = timer->loop;
  unset(timer);
  if (delay_ms < 0) return;
  if (loop->due_count == loop->due_capacity) {
    loop->due_capacity = loop->due_capacity ? 2 * loop->due_capacity : 16;
    loop->due = fl_realloc(loop->due, loop->due_capacity * sizeof *loop->due);
  }
  // A delay may be as long as a number is.
  timer->at_us =
      fl_monotonic_us() + (delay_ms < INT64_MAX / 4000 ? delay_ms : INT64_MAX / 4000) * 1000;
  timer->order = loop->set_count++;
  sift(loop, loop->due_count++, timer);
}

void fl_timer_close(fl_timer *timer) {
  if (!timer) return;
  unset(timer);
  if (timer->prev)
    timer->prev->next = timer->next;
  else
    timer->loop->timers = timer->next;
  if (timer->next) timer->next->prev = timer->prev;
  free(timer);
}

// Milliseconds until the first timer is due, rounded up; -1: none is set.
static int64_t due_in_ms(const fl_loop *loop) {
  if (!loop->due_count) return -1;
  int64_t us = loop->due[0]->at_us - fl_monotonic_us();
  return us > 0 ? (us + 999) / 1000 : 0;
}

// ------------------------------------------------------------------------------------- turning

bool fl_loop_run_until(fl_loop *loop, int64_t wait_ms, int64_t until_us) {
  int64_t due_ms = due_in_ms(loop);
  if (due_ms >= 0 && (wait_ms < 0 || due_ms < wait_ms)) wait_ms = due_ms;
  if (wait_ms > 0) {
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->limit, end_wait, (uint64_t)wait_ms, 0);
  }
  uv_run(&loop->uv, wait_ms ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  if (wait_ms > 0) uv_timer_stop(&loop->limit);
  if (!loop->due_count) return false;
  // Those that are set meanwhile have their turn in the next one.
  uint64_t set_count = loop->set_count;
  int64_t now_us = fl_monotonic_us();
  for (bool first = true;; first = false) {
    fl_timer *timer = loop->due_count ? loop->due[0] : NULL;
    if (!timer || timer->at_us > now_us || timer->order >= set_count) return false;
    if (!first && fl_monotonic_us() >= until_us) return true;
    unset(timer);
    timer->fn(timer->ud);
  }
}

void fl_loop_run(fl_loop *loop, int64_t wait_ms) {
  (void)fl_loop_run_until(loop, wait_ms, INT64_MAX);
}

int fl_loop_get_fd(const fl_loop *loop) {
  return uv_backend_fd(&loop->uv);
}

int fl_loop_get_timeout_ms(const fl_loop *loop) {
  int64_t due = due_in_ms(loop);
  int uv = uv_backend_timeout(&loop->uv); // 0: what was closed is still to be freed
  if (due > INT_MAX) due = INT_MAX;
  return uv == 0 || due < 0 ? uv : (int)due;
}

void fl_loop_wake(fl_loop *loop) {
  uv_async_send(&loop->wake);
}

static void free_handle(uv_handle_t *handle) {
  free(handle);
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
