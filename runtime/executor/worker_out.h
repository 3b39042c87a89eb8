// A worker's voice: messages to its engine, gathered in the shared ring, and what node code writes
// to descriptors 1 and 2. A thread of its own writes what waits too long behind a slow task, and
// ends the process when the engine is gone, whatever Lua code does meanwhile.
#pragma once
#include <stdbool.h>
#include "executor/worker_page.h"
#include "executor/worker_wire.h"

typedef struct fl_worker_out fl_worker_out;

/// `fd`: the socket. Points 1 and 2 to the first pipe of `ends`.
FL_MUST fl_code fl_worker_out_open(int fd, fl_worker_page *page, const fl_worker_ends *ends,
                                   fl_worker_out **out, fl_error *err);

/// Says the frames `data`; they leave within `delay_ms`, or as soon as there are enough.
void fl_worker_out_say(fl_worker_out *out, const void *data, size_t size, int delay_ms);
/// Says the frames `data`; they leave now, and all that was said before. Wakes no thread up.
void fl_worker_out_send(fl_worker_out *out, const void *data, size_t size);
/// All that was said leaves now.
void fl_worker_out_flush(fl_worker_out *out);

/// What is written to 1 and 2 from now on is the log of this task ...
void fl_worker_out_begin(fl_worker_out *out, uint32_t slot, uint32_t generation);
/// ... until here: says what was written, then the frame of the task's result.
void fl_worker_out_finish(fl_worker_out *out, const void *result, size_t size);

int64_t fl_worker_now_ns(void); // CLOCK_MONOTONIC
