// The engine's end of a supervisor, shared by its files: supervise.c (requests and reports),
// supervise_start.c (a new process), supervise_attach.c (after a crash).
#pragma once
#include "base/fd.h"
#include "io/journal.h"
#include "io/supervise.h"
#include "io/wire.h"

/// Children that were asked for and not yet reported: a hash set.
typedef struct fl_id_set {
  fl_child_id *ids; // run[0] == '\xff': a free place
  size_t count, capacity;
} fl_id_set;

bool fl_id_set_is_free(const fl_child_id *place);
void fl_id_set_deinit(fl_id_set *set);
void fl_id_set_add(fl_id_set *set, const fl_child_id *id);
bool fl_id_set_has(const fl_id_set *set, const fl_child_id *id);
/// False when it was not there.
bool fl_id_set_remove(fl_id_set *set, const fl_child_id *id);
/// The ids as an array, for free(); the set is empty afterwards.
fl_child_id *fl_id_set_take(fl_id_set *set, size_t *count);

/// Descriptors that go with the byte at `at` of what is to be sent.
typedef struct fl_passing {
  size_t at;
  int fds[2];
  int count;
} fl_passing;

/// What became of children, while their supervisor is still to be asked.
typedef struct fl_attaching {
  fl_child_id *ids;
  size_t count;
  int64_t until_ms; // monotonic: then it counts as dead, whatever it is
} fl_attaching;

/// A report that is made here: the supervisor was not even asked, or is gone.
typedef struct fl_local_report {
  fl_child_id id;
  fl_child_end end;
  int errnum;
  const char *what;
} fl_local_report;

struct fl_supervisor {
  fl_loop *loop;
  fl_supervisor_events events;
  char *dir; // absolute
  char id[40];
  char *helper;
  int pid;
  uint64_t start_ticks; // of one that was started here; 0: not known
  fl_own_fd link;       // -1: gone
  fl_poll *poll;
  fl_timer *timer; // for what is to be told from the loop, not from within a call
  fl_buf in, out;
  fl_passing *passing;
  size_t passing_count, passing_capacity;
  fl_id_set open;
  fl_local_report *reports;
  size_t report_count, report_capacity;
  uint64_t *told; // sequence numbers of exits since the last settle
  size_t told_count, told_capacity;
  bool told_files;
  bool adopted;            // attached to, not started by us
  fl_attaching *attaching; // not yet answered, NULL: it is
  bool greeted;            // it is at our service
  int errnum;              // ... or why not
  char what[128];
  bool dead, told_gone, all_told;
  int64_t sweep_until_ms; // monotonic: what is not ended by then is waited for with an alarm
  int sweep_pause_ms;     // until it is looked at again
  bool rest_told;         // dead, but not all of its trees are: an alarm was raised
  bool closed;
  int depth; // callbacks we are in
};

// supervise.c
fl_supervisor *fl_supervisor_new(fl_loop *loop, const char *dir, const char *id,
                                 const fl_supervisor_events *events);
/// Takes over a connected socket.
FL_MUST fl_code fl_supervisor_connect(fl_supervisor *s, int fd, fl_error *err);
void fl_supervisor_free(fl_supervisor *s);
/// Calls `exited` with an exit as it was sent or kept; loads what lies in files. When those are not
/// what they were, it says so by an overflow; or, with `whole_only` (after a power cut), does not
/// call and returns false.
bool fl_supervisor_deliver(const fl_supervisor_events *events, const char *dir, const char *id,
                           fl_wire_exit *e, bool whole_only);

// supervise_attach.c
/// What a dead supervisor leaves: ends it (if it is not dead), ends what is left of its trees, and
/// reads its journal. False: something is not gone yet. Does not wait for it.
bool fl_supervisor_harvest(const char *dir, const char *id, fl_journal_view *view);
/// Connects, and asks. False: nobody is there, or nobody has answered for long.
bool fl_supervisor_try_attach(fl_supervisor *s);
/// The answer of one that lives. False: it is none.
bool fl_supervisor_hear_attached(fl_supervisor *s, const fl_wire_frame *frame);
/// Tells what became of the children that were asked about. Not `all_ended`: those of whom nothing
/// is known may still be there.
void fl_supervisor_answer(fl_supervisor *s, const fl_journal_view *view, bool all_ended);
void fl_attaching_free(fl_attaching *a);
