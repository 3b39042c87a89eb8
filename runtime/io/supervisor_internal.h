// The supervisor's own state, shared by its files and by nobody else.
//
// One process, one thread, one loop (supervisor_main.c). A *link* is a connection to an engine; it
// hands in *jobs*, which wait in its queue (supervisor_queue.c). A started job is a *child*: the
// root of a tree of processes (supervisor_child.c). What its processes print goes through
// supervisor_output.c. A child whose root has ended is finished when nothing of its tree is left
// (supervisor_reap.c, supervisor_kill.c); then its exit is written to the journal, then reported
// (supervisor_exit.c).
//
//   job --start--> child running --root reaped--> tree empty? --yes--> finished
//                       | kill, timeout              | no
//                       v                            v
//                  TERM+CONT ---grace---> KILL, sweep until empty, however long that takes
//                                                      `---60 s---> alarm
#pragma once
#include <sys/types.h>
#include "base/buf.h"
#include "io/journal.h"
#include "io/supervise.h"
#include "io/tree.h"
#include "io/wire.h"

#define FL_SUP_PIPE_WATCH_MS   5    // a pipe holds what a child prints in less
#define FL_SUP_TOLD_MS         20   // children that end sooner are told only once
#define FL_SUP_LOG_FLUSH_MS    100  // for those that follow a log
#define FL_SUP_REPORT_MS       10   // how long exits are gathered while there is work in the queue
#define FL_SUP_REPORT_COUNT    24   // ... and how many
#define FL_SUP_LEFTOVER_MS     2000 // at most, from TERM to KILL, for what a child left behind
#define FL_SUP_SWEEP_MS_MAX    1000 // between two looks at a tree that does not die
#define FL_SUP_INLINE_MAX      (256u << 10) // larger captures and outputs go through a file
#define FL_SUP_INLINE_BUSY_MAX (4u << 10)   // ... when the engine does not read its reports
#define FL_SUP_BUSY_SIZE       (1u << 20)
#define FL_SUP_TAIL_SIZE       2048
#define FL_SUP_RETRY_MS_MAX    1000 // between two tries while the system has no more processes
#define FL_SUP_SPARE_FILES     64   // memfds kept for the next child
#define FL_SUP_OWN_FILES       16   // descriptors left for ourselves: to look at processes, to log
#define FL_SUP_BUCKETS         1024

typedef struct fl_sup fl_sup;
typedef struct fl_sup_child fl_sup_child;
typedef struct fl_sup_link fl_sup_link;

/// A spawn request; `spawn` borrows from `frame` and `vectors`.
typedef struct fl_sup_job {
  fl_spawn spawn;
  char *frame;
  size_t frame_size;
  char **vectors;
  uint64_t arrival;
  fl_sup_link *link;
  struct fl_sup_job *next; // among those to be started at once
} fl_sup_job;

struct fl_sup_link {
  int fd;
  fl_buf in, out;
  int passed[8]; // descriptors received, not yet claimed by a spawn
  int passed_count;
  uint32_t slots, running;
  fl_sup_job **queue; // a heap: highest priority, earliest arrival first
  size_t queue_count, queue_capacity;
  fl_sup_job *at_once, **at_once_end;
  uint64_t arrivals;
  size_t gathered;    // reports in `out` since it was last sent
  int64_t report_due; // 0: none gathered
  uint64_t unsettled; // exits told here that the engine has not settled
  bool reading;       // its messages are being handled
  bool writing;       // the socket took not everything: waits for it
  bool broken;        // to be dropped at the end of the turn
  bool tidy;          // it said good-bye, and that all reports are dealt with
  bool attaching;     // gets its answer when what cannot go on has ended
  char attach_run[sizeof((fl_child_id *)0)->run];
  char **fenced; // runs that another engine took over
  size_t fenced_count;
  fl_sup_link *next;
};

/// A child process of ours, by pid: the root of a tree, or an orphan of one that came to us.
typedef struct fl_sup_entry {
  int pid;
  bool is_root;
  struct fl_sup_entry *next; // same bucket
} fl_sup_entry;

typedef struct fl_sup_orphan {
  fl_sup_entry entry;
  uint64_t start_ticks;
  fl_sup_child *tree;  // NULL: a stray, nobody knows whose
  uint64_t before_seq; // a stray belongs to one of the trees started before this
  bool doomed;         // nothing more can be done: only to be reaped
  struct fl_sup_orphan *prev, *next;
} fl_sup_orphan;

typedef enum fl_sup_stage { FL_SUP_RUNNING, FL_SUP_TERM, FL_SUP_KILL } fl_sup_stage;

struct fl_sup_child {
  fl_sup_entry entry; // first: entry.pid is the root's, and its process group
  fl_sup_job *job;
  fl_sup_link *owner; // NULL: its engine is gone
  bool holds_slot;
  uint64_t seq, start_ticks;
  int64_t started_ms;            // wall clock
  int64_t began_ms, duration_ms; // monotonic, and what was measured by it
  int64_t started_at;            // monotonic
  // the end of the root
  bool reaped;
  int status;
  int64_t ended_ms, cpu_us, rss_max_bytes;
  // the end of the tree
  fl_sup_stage stage;
  bool timed_out, cancelled, unkillable;
  bool dropped; // ended because its engine went away: an attach waits for it
  int64_t kill_at, alarm_at, sweep_at;
  int64_t sweep_ms;
  uint32_t left_behind, orphan_count;
  fl_proc_set seen; // processes that were found in its tree
  // what it prints
  int out_fd, err_fd; // err_fd -1: shares out_fd
  bool watched, told, flushed;
  bool progressed, progress_news; // it has written how far it is; that was not told yet
  fl_log_sink *sink;
  struct fl_sup_log *log;
  char *tail;
  size_t tail_size;
  fl_buf capture;
  int capture_fd; // of the file it went to, or -1
  int64_t capture_size;
  uint32_t capture_sum;
  bool capture_overflow;
  int output_fd, context_fd; // memfds; context_fd -1: none
  bool output_written;
  // the next thing to do about it
  int64_t due;
  size_t timer_at;
  fl_sup_child *prev, *next, *next_ending;
};

/// The logs of one run, for as long as they are used.
typedef struct fl_sup_log {
  char run[sizeof((fl_child_id *)0)->run];
  fl_log_writer *writer;
  uint32_t refs;
  struct fl_sup_log *next;
} fl_sup_log;

typedef struct fl_sup_files {
  int fds[FL_SUP_SPARE_FILES];
  int count;
} fl_sup_files;

struct fl_sup {
  char *dir; // the state directory, absolute
  char id[40];
  char *cwd;    // the folder it was started in: children's, unless they say otherwise
  char **env;   // what every child gets
  char *mark;   // "FLOWLUA_TREE=" and the marks of supervisors around us, for those of our children
  uint64_t tag; // of its trees, plus the number of the tree; 0: none can be set
  int pid;
  int64_t alarm_ms;
  int dir_fd, epoll_fd, signal_fd, listen_fd;
  uint64_t files_max;  // descriptors we may have
  uint64_t files_soft; // RLIMIT_NOFILE as children are to have it
  bool files_raised;
  fl_journal journal;
  fl_buf record;           // scratch for the journal
  uint64_t seq;            // of the last child
  uint64_t exits, settled; // records of exits, and how many of them are dealt with
  uint64_t *settled_seqs;
  size_t settled_count, settled_capacity;
  int64_t journal_retry_at; // 0: nothing to retry
  int64_t idle_since;       // nothing but the journal keeps it since then
  bool spilled;             // there are files beside the journal
  bool untidy;              // an engine went away without saying that all is dealt with
  fl_sup_link *links;
  fl_sup_child *children;
  size_t child_count;
  fl_sup_orphan *orphans;
  size_t stray_count;
  fl_sup_child *ending; // those whose root is reaped
  size_t attach_count;  // links that wait to attach
  bool look_again;      // the list of our children was older than what it said
  fl_sup_entry *entries[FL_SUP_BUCKETS];
  fl_own_children own;
  fl_sup_child **timers; // a heap by due
  size_t timer_count, timer_capacity;
  fl_sup_log *logs;
  fl_sup_files outputs, contexts;
  int progress_fd, progress_dir_fd; // -1: children cannot say how far they are
  char *progress_dir;               // absolute, with its "/"
  int64_t progress_due;             // monotonic: when to look again, 0: whenever there is something
  int64_t now;                      // monotonic ms of this turn
  int64_t retry_at, retry_ms;
  char *piece; // scratch for reading
};

#define FL_SUP_PIECE_SIZE (64u << 10)

// supervisor_main.c
typedef enum fl_sup_tag {
  FL_SUP_LINK,
  FL_SUP_OUT,
  FL_SUP_ERR,
  FL_SUP_SIGNAL,
  FL_SUP_LISTEN,
  FL_SUP_PROGRESS
} fl_sup_tag;
/// Watches `fd`, on behalf of `what` (a link or a child, or NULL).
void fl_sup_watch(fl_sup *sup, int fd, const void *what, fl_sup_tag tag);
/// Closes what is watched. Closing alone would not end the watching: a child that is about to exec
/// has every descriptor for an instant longer than we stand still for it.
void fl_sup_unwatch(fl_sup *sup, int fd);
/// No more descriptors can be had: raises the limit, once. Children get back what it was.
bool fl_sup_raise_files(fl_sup *sup);
/// Changes what a link waits for.
void fl_sup_watch_write(fl_sup *sup, fl_sup_link *link, bool want_write);

// supervisor_progress.c
/// Makes the folder for what children say of how far they are, and watches it.
void fl_sup_progress_open(fl_sup *sup);
void fl_sup_progress_close(fl_sup *sup);
/// The child is gone: its file goes, too.
void fl_sup_progress_end(fl_sup *sup, const fl_sup_child *child);
/// Some have written: tells their engines.
void fl_sup_progress_readable(fl_sup *sup);
/// Looks again after a pause; returns when that is due.
int64_t fl_sup_progress_run(fl_sup *sup);
/// The folder of a supervisor that is dead, in the open folder of supervisors.
void fl_sup_progress_remove(int dir_fd, const char *id);

// supervisor_link.c
fl_sup_link *fl_sup_link_add(fl_sup *sup, int fd);
void fl_sup_link_accept(fl_sup *sup);
/// Handles what has come; `all`: to the last byte that was sent.
void fl_sup_link_read(fl_sup *sup, fl_sup_link *link, bool all);
/// Sends what was reported; waits for the socket where it has to.
void fl_sup_link_send(fl_sup *sup, fl_sup_link *link);
/// A report was put into link->out.
void fl_sup_link_reported(fl_sup *sup, fl_sup_link *link);
/// Sends the reports that are due; returns when the next ones are (INT64_MAX: none).
int64_t fl_sup_link_flush(fl_sup *sup);
void fl_sup_link_drop_broken(fl_sup *sup);

// supervisor_request.c
/// What an engine asks for. False: it talks nonsense.
bool fl_sup_request(fl_sup *sup, fl_sup_link *link, const fl_wire_frame *frame);
/// Ends what cannot go on without its engine, lets go of the rest.
void fl_sup_abandon(fl_sup *sup, fl_sup_link *link);
/// Answers those that wait to attach, once nothing is in the way.
void fl_sup_attach_continue(fl_sup *sup);

// supervisor_queue.c
void fl_sup_queue_add(fl_sup_link *link, fl_sup_job *job);
/// Starts what may start; returns when to try again (INT64_MAX: at the next event).
int64_t fl_sup_queue_run(fl_sup *sup);
/// Takes back what has not started: of one id, of one run, or all (both NULL), and tells so.
bool fl_sup_queue_revoke(fl_sup *sup, fl_sup_link *link, const fl_child_id *id, const char *run);
void fl_sup_queue_drop(fl_sup_link *link);
void fl_sup_job_free(fl_sup_job *job);
/// It was started: what only the start needed may go.
void fl_sup_job_shrink(fl_sup_job *job);

// supervisor_env.c
void fl_sup_env_init(fl_sup *sup, char **environment);
typedef struct fl_sup_env {
  char **vars;       // for execve
  char **candidates; // paths to try, in order
  size_t candidate_count;
  const char *shell_text; // the words of argv as the text that they were; NULL: no text
  fl_buf text;
  size_t capacity, candidate_capacity;
} fl_sup_env;
/// Builds the environment of a child and the places to look for its program. False: too large.
bool fl_sup_env_build(const fl_sup *sup, const fl_sup_child *child, fl_sup_env *out);

// supervisor_child.c
typedef enum fl_sup_start { FL_SUP_STARTED, FL_SUP_FAILED, FL_SUP_AGAIN } fl_sup_start;
/// Starts a job. FL_SUP_AGAIN: the system has no room now, the job stays the caller's; else it is
/// taken, and FL_SUP_FAILED has been reported already.
fl_sup_start fl_sup_child_start(fl_sup *sup, fl_sup_job *job);
/// Moves the next look at it to the earliest thing that is due.
void fl_sup_child_schedule(fl_sup *sup, fl_sup_child *child);
/// Does what is due.
void fl_sup_child_tick(fl_sup *sup, fl_sup_child *child);
void fl_sup_child_free(fl_sup *sup, fl_sup_child *child);

// supervisor_timer.c
void fl_sup_timer_set(fl_sup *sup, fl_sup_child *child, int64_t due); // INT64_MAX: none
/// Does all that is due; returns when the next thing is.
int64_t fl_sup_timer_run(fl_sup *sup);

// supervisor_output.c
/// A memfd, new or kept; -1 and errno.
int fl_sup_file_take(fl_sup_files *files, const char *name);
void fl_sup_files_close(fl_sup_files *files);
void fl_sup_output_watch(fl_sup *sup, fl_sup_child *child);
void fl_sup_output_readable(fl_sup *sup, fl_sup_child *child, bool is_err);
/// Reads what is still in the pipes.
void fl_sup_output_drain(fl_sup *sup, fl_sup_child *child);
void fl_sup_output_flush(fl_sup *sup, fl_sup_child *child);
void fl_sup_output_close(fl_sup *sup, fl_sup_child *child);
void fl_sup_logs_close(fl_sup *sup);

// supervisor_exit.c
/// All of it has ended: keeps and tells how. Frees the child.
void fl_sup_exit_finish(fl_sup *sup, fl_sup_child *child);
/// It could not be started. Frees the child.
void fl_sup_exit_failed(fl_sup *sup, fl_sup_child *child, int errnum, const char *what);
void fl_sup_exit_revoked(fl_sup *sup, const fl_sup_job *job);
void fl_sup_exit_settle(fl_sup *sup, const uint64_t *seqs, size_t count);
/// Removes the captures and outputs that lie beside the journal.
void fl_sup_exit_remove_files(fl_sup *sup);

// supervisor_reap.c
void fl_sup_entry_add(fl_sup *sup, fl_sup_entry *entry);
fl_sup_entry *fl_sup_entry_find(const fl_sup *sup, int pid);
/// After SIGCHLD.
void fl_sup_reap(fl_sup *sup);

// supervisor_kill.c
/// Ends the tree: TERM and CONT, KILL after the grace. Again with a shorter grace: shortens it.
void fl_sup_kill(fl_sup *sup, fl_sup_child *child, int64_t grace_ms);
/// True when its root has ended by itself, reaped or not: whoever wants it to end comes too late,
/// and only what it left behind is still to be ended.
bool fl_sup_child_has_ended(const fl_sup_child *child);
/// Its root ended by itself, but something was left.
void fl_sup_kill_leftover(fl_sup *sup, fl_sup_child *child);
/// A process of a tree that is being ended was found.
void fl_sup_kill_found(fl_sup *sup, fl_sup_child *child, const fl_sup_orphan *orphan);
/// The next rung of the ladder when it is due.
void fl_sup_kill_tick(fl_sup *sup, fl_sup_child *child);
/// Tells the child's engine that it cannot be ended, and what can be done about it.
void fl_sup_kill_tell(fl_sup *sup, fl_sup_child *child);
void fl_sup_kill_process(int pid, uint64_t start_ticks);
