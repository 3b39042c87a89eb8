// A worker process from inside: what its files share. Private to this folder.
#pragma once
#include <sys/resource.h>
#include "base/recorded.h"
#include "bind/budget.h"
#include "bind/script_state.h"
#include "executor/worker_linger.h"
#include "executor/worker_out.h"
#include "executor/worker_wire.h"

/// A task that was given to this worker. The light userdata that the language calls `task`.
typedef struct fl_worker_job {
  struct fl_worker_job *next;
  fl_worker_order order;                 // points into `frame`
  fl_value *shared[FL_FIELD_TASK_COUNT]; // values of FL_WHERE_SHARED, as they were when it came
  int64_t progress_ns;                   // when progress was told last
  bool progress_kept;                    // there is newer one to tell
  double progress_done, progress_total;
  char *progress_text;
  fl_recorded recorded; // of a replay, once it was asked for
  fl_budget slice;      // its limit of memory, where it has one: then `L` is set
  bool cpu_limited;     // one of CPU time, too
  rlim_t cpu_before;
  char slice_flow[FL_ID_SIZE_MAX + 1], slice_node[2 * FL_ID_SIZE_MAX];
  char frame[];
} fl_worker_job;

typedef struct fl_worker_self {
  int fd;
  fl_worker_page *page;
  fl_worker_out *out;
  fl_script *script;
  int backend_ref;
  fl_worker_job *first, **last; // queue
  fl_value *texts[FL_WORKER_TEXTS];
  fl_buf in; // what came and is not looked at yet, from in_used on
  size_t in_used;
  uint32_t request; // number of the last one
  bool soon;        // its answer is a matter of microseconds
  fl_linger linger;
  bool replied; // `reply` is the answer to it; points into `in`
  fl_wire_frame reply;
  fl_buf frame;   // being built
  fl_buf refusal; // of a result, when the memory that it takes is not there
  // Wear: see worker_main.c
  int64_t rss_base, rss_seen, rss_max, cpu_us;
  uint64_t task_count;
} fl_worker_self;

// worker_backend.c

/// The limits that the node's code had are no more.
void fl_worker_end_limits(fl_worker_job *job);

// worker_inbox.c

/// Waits until something has come, and takes it: tasks are queued. Ends the process when the engine
/// is gone.
void fl_worker_receive(fl_worker_self *self);
/// The same, for at most `wait_ms`.
void fl_worker_wait(fl_worker_self *self, int64_t wait_ms);
/// The next task of the queue, or NULL.
fl_worker_job *fl_worker_take_job(fl_worker_self *self);
void fl_worker_job_free(fl_worker_job *job);
/// Begins a frame about `job` in self->frame.
size_t fl_worker_frame_begin(fl_worker_self *self, const fl_worker_job *job, fl_worker_kind kind);
/// Says the frame that was begun at 0; false when it is too large.
FL_MUST bool fl_worker_frame_say(fl_worker_self *self, size_t begin, int delay_ms);
/// Begins a request, after which comes what is asked.
size_t fl_worker_ask(fl_worker_self *self, const fl_worker_job *job, fl_worker_kind kind);
/// Says the request and waits for its answer; other tasks that come meanwhile are kept. FL_OK:
/// `*in` reads the answer, until something is received again.
FL_MUST fl_code fl_worker_await(fl_worker_self *self, size_t begin, fl_wire_in *in, fl_error *err);

// worker_backend.c

/// Makes the table of functions that the language calls; self->backend_ref. May raise.
void fl_worker_open_backend(fl_worker_self *self);
/// Tells progress that was held back.
void fl_worker_tell_progress(fl_worker_self *self, fl_worker_job *job);
