// The engine's event loop: a libuv loop of its own, so that a host's is left alone. Only this
// folder includes uv.h.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct fl_loop fl_loop;
typedef struct fl_timer fl_timer;
typedef struct fl_poll fl_poll;

/// libuv takes its memory by fl_alloc() and friends from now on: before any loop is opened.
FL_MUST bool fl_loop_use_allocator(void);

FL_MUST fl_code fl_loop_open(fl_loop **out, fl_error *err);
/// All polls must be closed before; timers that are not are dropped, whatever they wait for.
/// NULL-safe.
void fl_loop_close(fl_loop *loop);
/// Dispatches what is ready and what is due; waits for at most `wait_ms` (-1: until something comes
/// or is due, 0: not at all).
void fl_loop_run(fl_loop *loop, int64_t wait_ms);
/// The same, but begins no further timer from the monotonic time `until_us` on (one is begun in any
/// case). True: others are due still.
bool fl_loop_run_until(fl_loop *loop, int64_t wait_ms, int64_t until_us);
/// For a host: readable when fl_loop_run(loop, 0) has something to do, and when a timer is due.
int fl_loop_get_fd(const fl_loop *loop);
int fl_loop_get_timeout_ms(const fl_loop *loop);
/// "libuv 1.44.2".
void fl_loop_version_text(char out[64]);
/// Ends a waiting fl_loop_run(). Safe from other threads and signal handlers.
void fl_loop_wake(fl_loop *loop);

/// A timer that calls `fn(ud)` once when due.
fl_timer *fl_timer_open(fl_loop *loop, void (*fn)(void *ud), void *ud);
void fl_timer_set(fl_timer *timer, int64_t delay_ms); // -1: not at all
void fl_timer_close(fl_timer *timer);                 // NULL-safe

/// Calls `fn(ud, readable, writable)` while the descriptor is. The descriptor stays the caller's.
FL_MUST fl_code fl_poll_open(fl_loop *loop, int fd,
                             void (*fn)(void *ud, bool readable, bool writable), void *ud,
                             fl_poll **out, fl_error *err);
void fl_poll_set(fl_poll *poll, bool want_read, bool want_write);
void fl_poll_close(fl_poll *poll); // NULL-safe; before the descriptor is closed
