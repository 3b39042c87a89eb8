// One thread of the library's, for what may wait for the disk or for another process's lock: the
// caller's thread goes on meanwhile, and is woken when something is done.
#pragma once
#include "base/err.h"
#include <stdbool.h>

typedef struct fl_thread fl_thread;

/// Starts the thread, with all signals blocked. `wake(ud)` is called on it after each piece of
/// work; it must be safe there (fl_loop_wake() is).
FL_MUST fl_code fl_thread_open(void (*wake)(void *ud), void *ud, fl_thread **out, fl_error *err);
/// Has `work(arg)` called on the thread, one at a time and in the order given. `done(arg)` is
/// called on the caller's thread afterwards, by fl_thread_take_done() or fl_thread_wait(). Does not
/// block.
void fl_thread_do(fl_thread *t, void (*work)(void *arg), void (*done)(void *arg), void *arg);
/// Calls what is done; returns whether anything was. Does not block.
bool fl_thread_take_done(fl_thread *t);
/// Waits until nothing is left to do, also what a `done` asked for; not in a forked child.
void fl_thread_wait(fl_thread *t);
/// Waits, then ends the thread. NULL-safe. In a forked child, where the thread is not: frees only.
void fl_thread_close(fl_thread *t);
