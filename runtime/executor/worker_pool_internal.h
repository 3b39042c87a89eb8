// Workers from the engine's side: what the files of their executor share. Private to this folder.
//
// A task waits in its group (its script's), or lies in a slot of a worker, queued or running:
//
//   start() -> waiting -> given to a worker -> result -> fl_attempt_end()
//                 ^            |       |
//                 +-- revoked -+       +-- the worker died while running it -> fl_attempt_end()
//
// Ends that are asked for are never reported from within cancel(): the scheduler walks its lists
// then.
#pragma once
#include "executor/worker.h"
#include "bind/script.h"
#include "executor/worker_linger.h"
#include "executor/worker_page.h"
#include "executor/worker_wire.h"

typedef struct fl_worker fl_worker;
typedef struct fl_worker_group fl_worker_group;

#define FL_WORKER_LONG_NS  20000000ll // a task that runs longer is told of, and holds up no others
#define FL_WORKER_TAIL_MAX 512u       // of what it printed last, for the error when its worker dies
#define FL_WORKER_LOAD_NS  60000000000ll // for loading the script
#define FL_WORKER_EXIT_NS  1000000000ll  // from the end of its socket to its own end

typedef enum fl_worker_place {
  FL_PLACE_WAITING, // in its group
  FL_PLACE_GIVEN,   // in a slot of its worker
  FL_PLACE_DROPPED, // cancelled before it ran: reported by the next flush
  FL_PLACE_ENDING,  // `outcome` is reported when its child is gone
} fl_worker_place;

/// One attempt in the pool.
typedef struct fl_worker_task {
  struct fl_worker_task *next, *prev; // in the list of its place; none when it is given
  fl_worker_place place;
  fl_worker_pool *pool;
  fl_worker_group *group;
  fl_attempt *attempt;
  uint64_t order;    // of start()
  fl_worker *worker; // NULL: none has it
  uint32_t slot, generation;
  int64_t given_ns;   // to its worker
  int64_t started_ns; // seen running; 0: not seen
  int64_t kill_ns;    // its worker is killed then; 0: not
  fl_log_sink *log;
  char *tail; // what it printed last, or NULL
  size_t tail_size;
  uint32_t request; // that it waits for
  bool saving;      // for a checkpoint or step to be durable
  void *child;      // of ctx:exec
  fl_outcome outcome;
  char *error; // of outcome
} fl_worker_task;

typedef struct fl_worker_list {
  fl_worker_task *first, *last;
  uint32_t count;
} fl_worker_list;

/// What belongs to one script.
struct fl_worker_group {
  fl_worker_group *next, *prev;                 // all of the pool
  fl_worker_group *next_waiting, *prev_waiting; // those in which something waits
  fl_script *script;
  fl_worker_list waiting; // by priority, then order
  uint64_t round;         // of the last dispatch that saw it
  double mean_us;         // of a task; 0: not known
  int64_t stuck_ns;       // since when tasks wait with no worker to take them; 0: they do not
  const char **natives;   // types in C that its flows use
  uint32_t native_count;
};

typedef enum fl_worker_state {
  FL_WORKER_STARTING, // may be given tasks already
  FL_WORKER_SERVING,
  FL_WORKER_CLOSED, // its socket is closed, its exit will be reported
} fl_worker_state;

struct fl_worker {
  fl_worker *next;
  fl_worker_pool *pool;
  fl_worker_group *group; // NULL: its script is closed, and it is let go
  fl_worker_state state;
  uint32_t child; // its fl_child_id.child
  int pid;        // 0: not known yet
  bool retiring;  // takes no more tasks
  bool slow;      // its running task takes long
  bool killed;
  char *complaint; // why we gave it up, NULL: we did not
  int64_t began_ns;
  int64_t hung_up_ns;  // its socket was closed then; 0: it was not
  int fd, page_fd;     // ours; the page's until it is served
  int child_fd;        // its end of the socket, until it serves
  fl_worker_ends ends; // all but the first until they were sent
  int passed_fd;       // the other end of ends.pass
  fl_worker_page *page;
  fl_poll *poll;
  bool wants_write;
  uint64_t received; // bytes from its socket
  fl_buf in, out;
  size_t in_used, out_sent;
  fl_value *texts[FL_WORKER_TEXTS]; // what it remembers
  uint32_t text_next;
  fl_worker_task *tasks[FL_WORKER_SLOTS];
  uint32_t generations[FL_WORKER_SLOTS];
  uint64_t free_slots; // a bit each
  uint32_t task_count;
  fl_linger linger;
  uint64_t answered; // results it gave
  int64_t cpu_us;    // of these
};

#define FL_WORKER_RUN_TEXTS 8u // runs whose ctx.run is kept at hand

struct fl_worker_pool {
  const fl_services *services;
  fl_worker *workers;
  uint32_t worker_count; // those not closed
  uint32_t slots;        // workers at most
  uint32_t child_counter;
  uint64_t order_counter, round;
  fl_worker_group *groups, *waiting;
  uint32_t waiting_count;
  fl_worker_list dropped, ending;
  fl_timer *timer;
  int64_t timer_ns;   // when it is due, 0: it is not set
  int64_t retry_ns;   // no worker is started before: the system had no room for one
  int64_t backoff_ms; // grows with each such refusal
  fl_worker *saved;   // whose wish to save was answered in this turn, or NULL
  bool one_core;
  fl_buf inputs;
  struct {
    char run[32];
    uint32_t number;
    fl_value *text;
  } runs[FL_WORKER_RUN_TEXTS];
  uint32_t run_next;
  fl_value *own_run; // of an attempt whose ctx.run no other has
};

// worker.c

/// Gives waiting tasks to workers, starts and closes workers, and sends what is to be sent.
void fl_worker_pool_dispatch(fl_worker_pool *pool);
/// The system has no room for a worker now: waits before it tries again, longer each time.
void fl_worker_pool_rest(fl_worker_pool *pool);
/// Has the timer due at `at_ns` at the latest.
void fl_worker_pool_arm(fl_worker_pool *pool, int64_t at_ns);
/// Puts a task that no worker has where it belongs; among the waiting it is where it was.
void fl_worker_task_put(fl_worker_task *t, fl_worker_place place);
/// Takes a task out of the list it is in.
void fl_worker_task_remove(fl_worker_task *t);

// worker_start.c

/// FL_E_BUSY: the system has no room for it now.
FL_MUST fl_code fl_worker_start(fl_worker_pool *pool, fl_worker_group *group, fl_error *err);
/// It serves: what only its start needed is closed.
void fl_worker_release_ends(fl_worker *w);
/// It has its ends of the pipes: ours of what it alone writes to are closed.
void fl_worker_close_ends(fl_worker *w);
/// Lets a worker without tasks go.
void fl_worker_close(fl_worker *w);
void fl_worker_free(fl_worker *w);
void fl_worker_kill(fl_worker *w);
int64_t fl_worker_pool_now_ns(void);

// worker_link.c

void fl_worker_on_socket(void *ud, bool readable, bool writable);
/// Sends what the socket takes.
void fl_worker_send(fl_worker *w);
/// Takes what a worker that is gone had still said.
void fl_worker_drain(fl_worker *w);

// worker_give.c

/// Gives a task to a worker with a free slot. It may end at once instead.
void fl_worker_give(fl_worker *w, fl_worker_task *t);
/// Takes the task out of its slot.
void fl_worker_take_back(fl_worker_task *t);

// worker_serve.c

/// Handles one message; false when it makes no sense.
bool fl_worker_handle(fl_worker *w, const fl_wire_frame *frame);
/// Adds to the log of a task.
void fl_worker_task_log(fl_worker_task *t, bool printed, const char *data, size_t size);

// worker_end.c

/// Reports the end of a task that is in no worker any more; it is gone afterwards, unless a child
/// of it must end before.
void fl_worker_task_end(fl_worker_task *t, const fl_outcome *outcome);
void fl_worker_task_fail(fl_worker_task *t, const char *error);
void fl_worker_task_child_ended(fl_worker_task *t);
/// All tasks of `w` and those waiting for one like it fail: its script cannot be loaded.
void fl_worker_fail_load(fl_worker *w, const char *text);
/// See fl_child_owner; `ud`: the pool.
void fl_worker_pool_exited(void *ud, const fl_child_exit *exit);
fl_attempt *fl_worker_pool_find_attempt(void *ud, uint32_t child);

// worker_watch.c

/// Looks at what runs: what is told, timed out, killed; sets the timer.
void fl_worker_pool_look(fl_worker_pool *pool);
/// Takes back what is queued in a worker behind a long task.
void fl_worker_revoke_queued(fl_worker *w);
/// Asks a task that is in a worker to end within `grace_ms`. False: it had not begun, and is in no
/// worker any more.
bool fl_worker_task_stop(fl_worker_task *t, int64_t grace_ms);
