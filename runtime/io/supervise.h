// The engine's end of the supervisor: the helper process that owns all children
// (docs/ARCHITECTURE.md).
//
// One supervisor an engine, started at the first need; it outlives the engine while children run,
// and a later engine attaches to it by its id. Requests are buffered: fl_supervisor_flush() sends
// them. Reports come through the callbacks, from fl_loop_run().
#pragma once
#include "base/buf.h"
#include "base/fate.h"
#include "base/state.h"
#include "io/loop.h"
#include "io/logfile.h"

typedef struct fl_supervisor fl_supervisor;

/// Names a child for ever: one attempt, and which of its children (0: the node's own process; from
/// 1 on: those of ctx:exec; workers have run "" and their own counter in `child`). When its engine
/// goes away, a node's own process (child 0) lives on; workers and children of Lua nodes are ended,
/// as nobody could go on with what they do.
typedef struct fl_child_id {
  char run[32]; // run id
  uint32_t node, number, child;
} fl_child_id;

/// What to start. Everything is copied. Identity of what runs: (boot id, pid, start time).
typedef struct fl_spawn {
  fl_child_id id;
  const char *node_name;   // for FLOWLUA_NODE, logs
  const char *const *argv; // NULL-terminated; argv[0] is looked up in the child's PATH
  const char *const *env;  // NULL-terminated "K=V" added to the supervisor's environment
  const char *cwd;
  const char *stdin_data; // NULL: /dev/null
  size_t stdin_size;
  const char *context; // JSON for FLOWLUA_CONTEXT; NULL: no such file
  size_t context_size;
  const char *time;         // FLOWLUA_TIME
  bool queue;               // may wait in the supervisor for a free slot; else starts at once
  int32_t priority;         // of the queue: higher first, then in the order of arrival
  bool capture;             // keep stdout apart so that it can be given back
  bool is_text;             // argv are the words of a text for /bin/sh, started without it: where
                            // that fails, the shell tries, and says why as it would have
  int64_t capture_size_max; // past it fl_child_exit.capture_overflow, and nothing is given back
                            // (0: FL_VALUE_SIZE_MAX)
  int64_t timeout_ms;       // 0: none; TERM, CONT, grace, KILL, sweep when over
  int64_t grace_ms;
  int64_t log_size_max;                                // 0: FL_LOG_SIZE_DEFAULT
  int64_t limit_memory, limit_cpu_s, limit_open_files; // 0: none (RLIMIT_AS, _CPU, _NOFILE)
  int pass_fd;  // -1, or a descriptor the child gets as 3 (workers); stays the caller's
  int pass_fd2; // -1, or one it gets as 4
} fl_spawn;

typedef enum fl_child_end {
  FL_CHILD_EXITED,      // exit_code or signal
  FL_CHILD_NOT_STARTED, // errnum says why; no process was made (ENOENT, EACCES, ...)
  FL_CHILD_REVOKED,     // was still queued and will not be started
  FL_CHILD_LOST,        // it is gone and nobody knows how it ended
} fl_child_end;

/// How a child ended. Strings are borrowed for the length of the callback.
typedef struct fl_child_exit {
  fl_child_id id;
  fl_child_end end;
  int exit_code;             // -1: none
  int signal;                // 0: none
  int errnum;                // FL_CHILD_NOT_STARTED
  bool timed_out, cancelled; // ended by its timeout / by fl_supervisor_kill()
  uint32_t left_behind;      // processes of its tree that were ended after it
  bool unkillable;           // something of its tree could not be ended for long (alarm)
  int pid;
  int64_t started_ms, ended_ms; // wall clock, which may jump
  int64_t duration_ms;          // measured; -1: not known
  int64_t cpu_us;
  int64_t rss_max_bytes; // by wait4: never less than the supervisor's own (some 3 MiB)
  const char *log_path;  // "" nothing was written
  int64_t log_offset, log_size, log_total;
  int log_errno;    // the log could not be written whole: why
  const char *tail; // last bytes (up to 2 KiB) of its stderr, for the error text
  size_t tail_size;
  const char *capture; // stdout, when asked for
  size_t capture_size;
  bool capture_overflow;
  const char *output; // content of FLOWLUA_OUTPUT
  size_t output_size;
  bool output_overflow;   // it was larger than FL_VALUE_SIZE_MAX
  const char *error_what; // FL_CHILD_NOT_STARTED: what was refused ("run '/bin/nope'"), or NULL
} fl_child_exit;

typedef struct fl_supervisor_events {
  /// A child runs (told late, in batches; not told for those that end within a few milliseconds).
  void (*started)(void *ud, const fl_child_id *id, int pid, int64_t started_ms);
  void (*exited)(void *ud, const fl_child_exit *exit);
  /// The supervisor itself is gone (killed): its children were ended with it; every child not yet
  /// reported gets `exited` with FL_CHILD_LOST (or what its journal says) before this is called.
  void (*gone)(void *ud);
  /// A tree could not be ended by KILL: somebody should look. `exited` comes when it is gone.
  void (*alarm)(void *ud, const fl_child_id *id, const char *text);
  void *ud;
  /// A child has written a line about how far it is into FLOWLUA_PROGRESS. May be NULL.
  void (*progress)(void *ud, const fl_child_id *id, const char *line);
  /// Answers fl_supervisor_attach(), once: what became of `ids`. Of those that have ended `exited`
  /// has told. May be NULL for who attaches to none.
  void (*attached)(void *ud, fl_supervisor *s, const fl_child_id *ids, const fl_fate *fates,
                   size_t count);
} fl_supervisor_events;

/// Starts a supervisor: <helper> --supervisor, in a session of its own, serving <dir>/sup/<id>.sock
/// and writing <dir>/sup/<id>.journal. `helper` NULL: FL_E_USAGE. The id is fl_supervisor_get_id().
FL_MUST fl_code fl_supervisor_start(fl_loop *loop, const char *dir, const char *helper,
                                    const fl_supervisor_events *events, fl_supervisor **out,
                                    fl_error *err);
const char *fl_supervisor_get_id(const fl_supervisor *s);
int fl_supervisor_get_pid(const fl_supervisor *s);
/// Buffers a start; `exited` is called for it exactly once, whatever happens.
void fl_supervisor_spawn(fl_supervisor *s, const fl_spawn *spawn);
/// How many queued children may run at once. (default: 1)
void fl_supervisor_set_slots(fl_supervisor *s, uint32_t slots);
/// TERM + CONT to the tree, `grace_ms`, KILL, sweep; grace 0: KILL at once. A queued one is
/// revoked. Calling it again with a shorter grace shortens it.
void fl_supervisor_kill(fl_supervisor *s, const fl_child_id *id, int64_t grace_ms);
/// Takes back queued children (all of `run`, or all when NULL) that have not started: `exited` with
/// FL_CHILD_REVOKED.
void fl_supervisor_revoke(fl_supervisor *s, const char *run);
/// How long after KILL the alarm comes. (default: FL_ALARM_MS_DEFAULT)
void fl_supervisor_set_alarm(fl_supervisor *s, int64_t alarm_ms);
/// Sends what is buffered. What the socket does not take is sent when it can be.
void fl_supervisor_flush(fl_supervisor *s);
/// Tells now what this side has to report by itself: what was to be spawned after `gone`. To be
/// called before a supervisor that is gone is closed, or nobody would hear of it.
void fl_supervisor_tell(fl_supervisor *s);
/// Lets go: the supervisor ends its queue, and itself once its children have ended. NULL-safe. With
/// `kill_all` it ends the children first (KILL at once).
void fl_supervisor_close(fl_supervisor *s, bool kill_all);

/// Lets go as a crash would, when what `exited` told could not be recorded: the supervisor keeps
/// its children, its queue and its journal for fl_supervisor_attach(). NULL-safe.
void fl_supervisor_abandon(fl_supervisor *s);

/// Everything that `exited` has told so far is recorded by the caller: a later attach will not ask
/// for it. Lets the supervisor keep its journal small, and removes what large captures and outputs
/// lay in. Not needed, but for an engine that lives long.
void fl_supervisor_settle(fl_supervisor *s);

/// A journal stays after a crash, as fl_supervisor_attach() reads it. Whoever keeps the runs calls
/// this when none of them can ask for that supervisor any more: removes the journal and what lies
/// beside it. False, and nothing is removed, while the supervisor lives. (After a tidy end, with
/// every exit told, fl_supervisor_close() leaves nothing behind.)
bool fl_supervisor_forget(const char *dir, const char *id);

/// After a crash: asks what became of the children that supervisor `id` was given, and returns at
/// once; `attached` answers, from fl_loop_run(). Attaches to it when it still lives (its children
/// of `run` are then reported through `events`, as if they were ours); else, or when it says
/// nothing for 30 s, ends what is left of it and of their trees, and reads its journal. An unknown
/// supervisor id: all FL_FATE_LOST. `*out` is yours: fl_supervisor_close(), when it has answered
/// and nothing runs; before it has that is fl_supervisor_abandon(). FL_E_USAGE: no id is like that.
FL_MUST fl_code fl_supervisor_attach(fl_loop *loop, const char *dir, const char *id,
                                     const char *run, const fl_supervisor_events *events,
                                     const fl_child_id *ids, size_t count, fl_supervisor **out,
                                     fl_error *err);

/// Identity of a process, "boot-id/pid/start-time", and whether that very process still lives, or
/// is on its way out (fl_proc_is_dying()).
void fl_process_identity(int pid, char out[96]);
bool fl_process_is_alive(const char *identity);
bool fl_process_is_dying(const char *identity);

/// The supervisor's main: `flowlua --supervisor`. Returns the exit code.
int fl_supervisor_main(int argc, char **argv);
