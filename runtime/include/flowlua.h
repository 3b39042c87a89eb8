// The public C API of libflowlua: open an engine on a state directory, load scripts, run flows,
// resume, cancel, read. The command line is written on this header alone.
//
// Threads: an engine and all that came from it belong to the thread that opened it, until another
// one takes it over: fl_engine_take(). What any thread may call says "Any thread.". Several engines
// may live in one process.
//
// Blocking: each function says what it may wait for, as it stands here, or "Does not block.".
//   disk    files of the state directory: milliseconds, more when the disk is slow; and, to write,
//           another process that is writing, for at most 10 s (not with fl_config.disk_thread)
//   code    of scripts, as long as fl_config.load_ms, hook_ms and inline_slice_ms let it, and the
//           host's own functions that are called meanwhile
//   nodes   that are ended, as long as they need for that
//   helper  that hangs and does not read what it is told
//
// Calls that are not possible where they are made (on another thread, a step within a callback, an
// ended handle) are FL_E_STATE, and do nothing; without a result they do nothing. In debug builds
// of the library they end the process with a sentence (fl_set_panic).
//
// Nothing here installs signal handlers, reaps the host's children or changes the working
// directory: processes are owned by a helper process (see fl_config.helper). A host that is a
// subreaper, or process 1, gets that helper as a child: it is reaped here, with a SIGCHLD before.
// /proc and /dev/null have to be there; without them it is said so.
//
// In the order in which a host meets it: errors, events, an engine and its steps, node types of
// its own, scripts, runs and what becomes of them, listening, reading, readers, retention; then
// text for people, and what is set once for the process.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FL_API  __attribute__((visibility("default")))
#define FL_MUST __attribute__((warn_unused_result))

#define FL_VERSION "0.1.0"

// ------------------------------------------------------------------------------------- errors

/// What went wrong, by what the caller can do about it.
typedef enum fl_code {
  FL_OK = 0,
  FL_E_USAGE,     // an argument is wrong: fix the call
  FL_E_SCRIPT,    // the user's script is wrong: the message names file, line and path in the data
  FL_E_NOT_FOUND, // no such file, run, node or flow
  FL_E_STATE,     // not possible in the state it is in (resume of a running run, ...)
  FL_E_BUSY,      // another engine owns the run
  FL_E_LIMIT,     // a named limit was passed
  FL_E_STORE,     // the store refused: read-only, locked, I/O error
  FL_E_FULL,      // no space left: nothing acknowledged is lost
  FL_E_CORRUPT,   // the store is damaged
  FL_E_NEWER,     // the store is of a newer version
  FL_E_UNKNOWN,   // a commit's outcome is unknown (failed fsync): the engine has stopped, reopen
  FL_E_FENCED,    // another engine took the run over: nothing more of it is written here
  FL_E_SYSTEM,    // the operating system refused
  FL_E_SPAWN,     // a process could not be started
} fl_code;

#define FL_ERROR_MESSAGE_SIZE 2048

/// Filled in by a failing call, last parameter everywhere, may be NULL.
typedef struct fl_error {
  fl_code code;
  char message[FL_ERROR_MESSAGE_SIZE]; // one sentence, UTF-8, no final newline
} fl_error;

/// What the library gives away as "yours: fl_free()". NULL-safe. Does not block. Any thread.
FL_API void fl_free(void *text);

// ------------------------------------------------------------------------------------- events

/// What happened, told after it is durable.
typedef enum fl_event_kind {
  FL_EVENT_RUN_STARTED,
  FL_EVENT_NODE_STARTED,
  FL_EVENT_NODE_RETRYING,
  FL_EVENT_NODE_FINISHED,
  FL_EVENT_RUN_FINISHED,
  FL_EVENT_NODE_PROGRESS, // not durable
  FL_EVENT_NOTICE,        // a sentence for the person watching (a warning, an alarm)
  FL_EVENT_RUN_LEFT, // the run is another engine's now, or was removed: `error` says which. This
                     // engine writes nothing more of it; its other runs go on
  FL_EVENT_RUN_INTERRUPTED, // it was stopped where it is: a resume continues it, fl_run_cancel()
                            // gives it up
} fl_event_kind;

/// All text is borrowed for the length of the callback; NULL or 0 where it does not apply.
typedef struct fl_event {
  fl_event_kind kind;
  int64_t wall_ms;
  const char *run_id;
  const char *flow;
  const char *node;
  uint32_t node_index; // declaration order; items of a map come after all declared nodes
  uint32_t attempt;
  const char *status;  // a state of docs/command-line.md
  int64_t duration_ms; // of what ended; FL_EVENT_NODE_RETRYING: until the next attempt
  const char *error;   // FL_EVENT_NODE_PROGRESS: what the node says; FL_EVENT_NOTICE: the sentence
  const char *reason;  // why, by a name of a closed list: fl_reason_sentence()
  int exit_code;       // -1 where none
  int signal;
  double progress_done, progress_total; // FL_EVENT_NODE_PROGRESS
  uint32_t nodes_total;                 // nodes of the run known so far
  uint32_t epoch;                       // of the run: above 1 it was resumed
  uint64_t
      seq; // its number, from 1, over all runs and engines of the state directory, in the order
           // in which they became durable; 0: it is not kept (progress, notices, runs left)
  const char *call; // of a run that nodes of others called: these, from the top, "call/" or
                    // "each[3]/call/", so that `call` and `node` name the node from there; or NULL
  const char *item; // of an item that this engine runs: its value, JSON; else NULL
  uint32_t items_open; // of a map, or an item, that this engine runs: items without an end yet
} fl_event;

typedef void (*fl_event_fn)(void *ud, const fl_event *event);

/// A line of `--json` (docs/command-line.md), without its end; yours: fl_free().
/// Does not block. Any thread.
FL_API char *fl_event_to_json(const fl_event *event);

// ------------------------------------------------------------------------------------- engine

typedef struct fl_engine fl_engine; // one state directory, one loop, any number of runs
typedef struct fl_script fl_script; // a loaded script: its flows, its own Lua state

typedef enum fl_durability {
  FL_DURABILITY_DEFAULT, // what the flow says, else full
  FL_DURABILITY_FULL,    // what was acknowledged survives a power cut
  FL_DURABILITY_GROUP,   // survives any crash of the process; a power cut may take the last 100 ms
} fl_durability;

/// A pool's capacity, by name: overrides what the script says.
typedef struct fl_pool_size {
  const char *name;
  uint32_t capacity;
} fl_pool_size;

/// Zero-initialise, set `size = sizeof(fl_config)`, then what differs from the default. Strings are
/// copied. `size` is the version: fields added later are read only from callers that know them.
typedef struct fl_config {
  size_t size;
  const char *state_dir;     // required; made if missing
  const char *helper;        // path of the flowlua binary that is run as supervisor and worker
  const char *lua_dir;       // read the language's Lua files from <dir>/lua and <dir>/stdlib
                             // instead of the embedded ones (while developing). (default: NULL)
  fl_durability durability;  // (default: what the flow says, else full)
  uint32_t jobs;             // nodes that may hold a process at once (default: number of cores)
  const fl_pool_size *pools; // (default: none)
  size_t pool_count;
  bool read_only;       // open for reading only: no run can be started
  fl_event_fn on_event; // (default: none)
  void *event_ud;
  bool open_late;   // open the state directory, and make it, only when a run or a reader needs it
  int64_t alarm_ms; // from a process's SIGKILL to the alarm that it lives on. (default: 60 s)
  // CPU time of a hook (`when`, a template, ...), beyond which its node fails. (default: 2 s;
  // advisers have 5 s)
  uint32_t hook_ms;
  uint32_t load_ms; // CPU time of loading a script. (default: 20 s)
  // An inline node that computes for longer between two waits fails; its code runs without the JIT,
  // unless `own_process`. (default: no limit)
  uint32_t inline_slice_ms;
  // What a script's inline nodes may take beyond twice what the script itself takes, beyond which
  // the attempt fails; -1: no limit. (default: 256 MiB)
  int64_t inline_memory_max;
  // SIGVTALRM, SIGPROF and their timers are the engine's, in this thread: hooks keep their JIT, and
  // code that keeps the thread for a second is named on stderr.
  bool own_process;
  // One thread of the library's, all signals blocked, waits for the disk instead of fl_step(),
  // which then waits for no other process's lock either: starts and events follow their commit in a
  // later step. While another process is writing a step does nothing, and functions that write give
  // FL_E_BUSY: try again. Opening, closing, fl_engine_flush() and what reads still wait.
  bool disk_thread;
  uint32_t sync_ms; // durability group: from a commit to its sync. (default: 100)
  int64_t wal_room; // bytes of zeros written ahead of the log: syncs of a file that does not grow
                    // are quicker. (default: 524288; -1: none, for flash)
  // Told once when code of a flow has kept fl_step() for a second, while it still does: `text`
  // names flow, node and hook. Called by a thread of the library's, all signals blocked, which is
  // there only with it, and sleeps while no code runs; it calls nothing but fl_wake() and
  // fl_interrupt(). (default: none)
  void (*on_held)(void *ud, const char *text);
  void *held_ud;
  // Retention by itself: what fl_prune() does with these, a minute after the engine was opened and
  // then each `prune_ms`, on a thread of the library's that is there only meanwhile, all signals
  // blocked. It writes within steps, while they have time left, and is stopped by a close. What was
  // removed, or why not, is told by an FL_EVENT_NOTICE.
  uint32_t keep_days; // runs that ended longer ago go. (default: 0, none by age)
  int64_t keep_bytes; // the oldest go until the state is no larger. (default: 0, no limit)
  bool prune_all;     // also what waits for a resume, and the last success of a flow
  uint32_t prune_ms;  // (default: an hour)
} fl_config;

/// Opens the store and checks its version; with `open_late` the first function that needs the store
/// does, and fails as this one would. On FL_OK `*out` is yours: fl_engine_close().
/// Errors: FL_E_STORE, FL_E_FULL, FL_E_CORRUPT, FL_E_NEWER, FL_E_SYSTEM. Blocks: disk.
FL_API FL_MUST fl_code fl_engine_open(const fl_config *config, fl_engine **out, fl_error *err);
/// The engine, and all that came from it, is this thread's from now on. The thread that had it is
/// in none of its calls, and makes no more. FL_E_STATE: it is in one. Does not block. Any thread.
FL_API FL_MUST fl_code fl_engine_take(fl_engine *engine, fl_error *err);
/// Stops all runs of this engine where they are (as a crash would, but tidily: running processes
/// are ended, states are saved so that a resume continues) and frees everything. NULL-safe.
/// Blocks: disk, nodes (10 s), helper (2 s).
FL_API void fl_engine_close(fl_engine *engine);
/// Begins again, with the same configuration, after a call failed with FL_E_FULL: nothing more was
/// written since, processes of nodes go on under their supervisor, Lua nodes that ran are lost and
/// will be tried again. All scripts and runs of the engine are gone: fl_run_resume() takes a run up
/// again, and no other engine needs to be dead for it. Errors as
/// fl_engine_open(), then it may be called again; FL_E_STATE: nothing has failed.
/// Blocks: disk, helper (2 s).
FL_API FL_MUST fl_code fl_engine_reopen(fl_engine *engine, fl_error *err);

/// Does what is due, then returns; never waits for something to happen, except for disk when
/// durability is full, and for up to 150 us for a worker whose checkpoint was just answered: it
/// often has the next one already. `budget_ms` bounds the time given to such workers, inline nodes
/// and bookkeeping; with 0 nothing is waited for. `*live` is the number of runs not yet ended.
/// Blocks: disk, code.
FL_API FL_MUST fl_code fl_step(fl_engine *engine, uint32_t budget_ms, size_t *live, fl_error *err);
/// What a step did. Set `size`. A slice is what cannot be divided: an inline node from one wait to
/// the next, a call of the host's.
typedef struct fl_step_info {
  size_t size;
  size_t live;           // runs not yet ended
  bool again;            // something is due now: fl_engine_get_timeout_ms() is 0
  uint32_t used_us;      // of the call
  uint32_t longest_us;   // of its longest slice ...
  char longest_run[32];  // ... in this run ("": there was none)
  uint32_t longest_node; // ... and node (fl_event.node_index)
} fl_step_info;
/// fl_step() with a budget in microseconds: what is due is done in portions, and what is left of it
/// by the next step. `info` may be NULL. Waits for the disk when what it commits is `full`.
/// Blocks: disk, code.
FL_API FL_MUST fl_code fl_step_us(fl_engine *engine, uint32_t budget_us, fl_step_info *info,
                                  fl_error *err);
/// Makes the engine's descriptor readable. May be called from a signal handler. Does not block. Any
/// thread.
FL_API void fl_wake(fl_engine *engine);
/// Returns when all that was given to the engine so far is durable. FL_E_STORE,
/// FL_E_FULL, FL_E_UNKNOWN as a step; FL_E_BUSY: with `disk_thread`, another process is writing.
/// Blocks: disk.
FL_API FL_MUST fl_code fl_engine_flush(fl_engine *engine, fl_error *err);
/// For a host's own loop: readable when fl_step() has something to do ... Does not block.
FL_API int fl_engine_get_fd(const fl_engine *engine);
/// ... or when this many milliseconds have passed; -1: no timer is pending. Does not block.
FL_API int fl_engine_get_timeout_ms(const fl_engine *engine);
/// Blocking helper: steps until run `run_id` has ended (or NULL: until all have). `*status` is a
/// static string, a state of a run. FL_E_FENCED: it left this engine (FL_EVENT_RUN_LEFT).
/// Blocks: until then.
FL_API FL_MUST fl_code fl_wait(fl_engine *engine, const char *run_id, const char **status,
                               fl_error *err);
/// Makes a blocking fl_wait() return soon with FL_E_STATE "interrupted". May be called from a
/// signal handler. Does not block. Any thread.
FL_API void fl_interrupt(fl_engine *engine);

// ------------------------------------------------------------------------------------- node types
// in C

/// One attempt of a node of a C type, while it runs.
typedef struct fl_task fl_task;

/// A node type written in C. Its functions are called on the engine's thread, from fl_step(), and
/// must not block: start the work, return, and call fl_task_finish() later, from this thread.
typedef struct fl_native_type {
  size_t size;
  const char *name; // used in scripts as flow.<name> { ... }
  void *ud;
  /// `params_json`: the node's own options; `context_json`: what FLOWLUA_CONTEXT holds. Both
  /// borrowed.
  void (*run)(void *ud, fl_task *task, const char *params_json, const char *context_json);
  /// May be NULL. fl_task_finish() must still be called; whatever it says, the end was asked for.
  void (*cancel)(void *ud, fl_task *task);
} fl_native_type;

/// Must be called before the script that uses it is loaded. Name and functions are copied.
/// Does not block.
FL_API FL_MUST fl_code fl_native_type_register(fl_engine *engine, const fl_native_type *type,
                                               fl_error *err);
/// Ends the attempt: `error` NULL is success; `outputs_json` may be NULL. The task is gone after
/// it. Blocks: disk.
FL_API void fl_task_finish(fl_task *task, const char *outputs_json, const char *error);
/// Blocks: disk.
FL_API void fl_task_log(fl_task *task, const char *text, size_t size);

// ------------------------------------------------------------------------------------- scripts

/// Loads a script and checks all of its flows. `*out` stands for it until fl_script_unload(),
/// fl_engine_close() or fl_engine_reopen(); what is asked of it later is FL_E_STATE. A file that
/// has not changed, nor what it requires from beside it, is not loaded again.
/// Errors: FL_E_NOT_FOUND, FL_E_SCRIPT. Blocks: disk, code.
FL_API FL_MUST fl_code fl_script_load(fl_engine *engine, const char *path, fl_script **out,
                                      fl_error *err);
/// The same from memory. `name` is its path in messages; what it requires is looked for beside that
/// path, and its folder, which must be there, is where nodes run. `text` is copied.
/// Blocks: disk, code.
FL_API FL_MUST fl_code fl_script_load_text(fl_engine *engine, const char *name, const char *text,
                                           size_t size, fl_script **out, fl_error *err);
/// No new run is started of it; its memory is given back with its last run, and with the last of
/// the handles that were given out for it. Of one that has ended: nothing. Does not block.
FL_API void fl_script_unload(fl_script *script);
/// 0: the script has ended, too. Does not block.
FL_API size_t fl_script_get_flow_count(const fl_script *script);
/// Key of flow `index`, NULL: there is none; borrowed. Does not block.
FL_API const char *fl_script_get_flow_key(const fl_script *script, size_t index);
/// What is doubtful in it, though it can be run, a line each ("file:line: path: text"); "":
/// nothing. Borrowed until it ends. Does not block.
FL_API const char *fl_script_get_notices(const fl_script *script);
/// "text" | "dot" | "mermaid" | "svg" | "json" of a flow (NULL: the only one). `*out` is yours:
/// fl_free(). Does not block.
FL_API FL_MUST fl_code fl_script_graph(fl_script *script, const char *flow, const char *format,
                                       char **out, fl_error *err);
/// What a flow (NULL: the only one) is for, its params by name, and the pools of its nodes:
/// {"flow","doc","params":[{"name","type","default","required","doc","min","max","enum"}],
/// "pools":[NAME]}, keys without a value left out.
/// `*json` is yours: fl_free(). Does not block.
FL_API FL_MUST fl_code fl_script_describe(fl_script *script, const char *flow, char **json,
                                          fl_error *err);
/// The instant that `text` means to a flow (NULL: the only one): "2026-01-31" and
/// "2026-01-31T02:00:00" are local time of its zone, at the first of two and at the end of a gap;
/// "...+08:00" and "...Z" say their own. Errors: FL_E_USAGE. Does not block.
FL_API FL_MUST fl_code fl_script_parse_time(fl_script *script, const char *flow, const char *text,
                                            int64_t *wall_ms, fl_error *err);
/// The next `count` fires of the schedule of a flow (NULL: of each that the script returned), at or
/// after `from` (NULL: now; without a zone: local time of the rule), as JSON: a list of {"flow",
/// "rule", "schedule", "tz", "time", "local", "delay_ms", "interval_from", "interval_to", "note":
/// null|"gap"|"fold"|"shifted", "text"}, flow by flow; "delay_ms" is null with a jitter, which is
/// drawn for the state directory that the run will be in. `*json` is yours: fl_free(). Errors:
/// FL_E_USAGE, FL_E_NOT_FOUND, FL_E_SCRIPT. Blocks: code (a calendar that is a function).
FL_API FL_MUST fl_code fl_script_next(fl_script *script, const char *flow, const char *from,
                                      uint32_t count, char **json, fl_error *err);
/// The same of a cron expression in `zone` (NULL: UTC); "flow" is null. Does not block. Any thread.
FL_API FL_MUST fl_code fl_next_of_rule(const char *cron, const char *zone, const char *from,
                                       uint32_t count, char **json, fl_error *err);
/// Passes `argc` and `argv` to a script that returned nothing as its `arg` table, before it is
/// loaded by the next fl_script_load(). Borrowed until then. Does not block.
FL_API void fl_engine_set_args(fl_engine *engine, int argc, char *const argv[]);

// ------------------------------------------------------------------------------------- runs

/// Options of a run. Zero-initialise and set `size`; NULL: none. All strings are copied.
typedef struct fl_run_options {
  size_t size;
  const char *flow;          // key; NULL: the script's only flow
  const char *const *params; // "k=v" texts as typed: text where the default is a string, else JSON
  size_t param_count;
  const char *params_json; // or: one JSON object
  int64_t time_ms;         // logical time, milliseconds since 1970; 0: now
  const char *const *only; // run only these nodes ...
  size_t only_count;
  const char *from;                         // ... or this one and all that depend on it ...
  const char *until;                        // ... or this one and all it depends on
  const char *trigger;                      // NULL: "manual"
  bool dry_run;                             // check only: nothing is stored or started
  int64_t interval_from_ms, interval_to_ms; // what it is for; both 0: that of the latest fire
                                            // of the flow's schedule, else its logical time
} fl_run_options;

/// Queues a run, which fl_step() records, begins and moves; `run_id_out` receives its id. It is
/// durable when its start is told, or after fl_engine_flush(). Whatever is read of this engine
/// finds it.
/// Blocks: code (types of params), and with `open_late` once: disk.
FL_API FL_MUST fl_code fl_run_start(fl_script *script, const fl_run_options *options,
                                    char run_id_out[32], fl_error *err);
/// What fl_run_start() would run, as the JSON of fl_script_graph() with an "action" of each node:
/// "run" or "skip". `*json_out` is yours: fl_free(). Blocks: code (types of params).
FL_API FL_MUST fl_code fl_run_plan(fl_script *script, const fl_run_options *options,
                                   char **json_out, fl_error *err);

/// Texts, borrowed for the length of the call.
typedef struct fl_texts {
  const char *const *items;
  size_t count;
} fl_texts;

/// What a resume changes: one patch, from a proposal, a file, JSON and single changes together;
/// what stands later here holds. Zero-initialise and set `size`. Its shape: docs/command-line.md.
/// A node may be an item of a map ("each[3]") or stand in a sub-flow ("call/node").
typedef struct fl_patch {
  size_t size;
  uint32_t proposal;         // number of a proposal of the run, 0: none
  const char *file;          // path of a patch: JSON, or Lua that returns a table; or NULL
  const char *json;          // a patch as JSON, or NULL
  fl_texts params;           // "k=v" as for a run
  fl_texts vars;             // "k=v": v is JSON, else text
  fl_texts outputs;          // "NODE.k=v": sets one key of a finished node's outputs
  fl_texts options;          // "NODE.option=v": v is text where the option is, else JSON
  fl_texts checkpoints;      // "NODE=v": what the node gets back
  fl_texts drop_checkpoints; // nodes
  fl_texts skip;             // nodes
  fl_texts rerun;            // nodes; "name+" also all that depend on it
  fl_texts succeed;          // "NODE" or "NODE=outputs": counts as succeeded with these outputs
  fl_texts keep;         // nodes whose results are kept though their definition changed; "*": all
  fl_texts rename;       // "OLD=NEW": the node has this name in the mended script
  const char *from;      // this node and all that depend on it run again; or NULL
  const char *script;    // path of a mended script, NULL: the one the run used
  bool keep_checkpoint;  // nodes that run again keep their checkpoints and steps
  const char *reason;    // kept with the patch
  const char *author;    // kept with the patch; NULL: user@host of the process
  const char *file_text; // what `file` holds, where it can be read only once; NULL: it is read
} fl_patch;

/// Continues a run at its breakpoint: nodes that succeeded are not run again; processes that still
/// run are adopted. FL_E_BUSY names the owner; FL_E_STATE: it has succeeded already.
/// Blocks: disk, code.
FL_API FL_MUST fl_code fl_run_resume(fl_engine *engine, const char *run_id, const fl_patch *patch,
                                     fl_error *err);
/// What a resume would do, as JSON: {"run":ID,"patch":{..},"nodes":[{"name","action":
/// "run|keep|skip","status","reason","text","changed":BOOL}],"removed":[NAME...],
/// "folder":{"from","to"}}. `folder`: a mended script takes nodes to another folder. `changed`: the
/// definition of a node that is kept is not the one that gave the result: the resume asks for
/// `rerun` or `keep`. Blocks: disk, code.
FL_API FL_MUST fl_code fl_run_resume_plan(fl_engine *engine, const char *run_id,
                                          const fl_patch *patch, char **json_out, fl_error *err);
/// Makes a new run with the history of one that has ended (and of the runs it called): what is kept
/// is shared, the old run stays as it is. Resume it like any other. FL_E_STATE: it has not ended.
/// Blocks: disk.
FL_API FL_MUST fl_code fl_run_fork(fl_engine *engine, const char *run, char run_id_out[32],
                                   fl_error *err);
/// Writes a run, with all that a resume needs, to a file that fl_run_import() takes in another
/// state directory or on another host; logs stay. Whole or not at all. FL_E_BUSY: it is running;
/// FL_E_STATE: the file is there and `overwrite` is not set. Blocks: disk.
FL_API FL_MUST fl_code fl_run_export(fl_engine *engine, const char *run, const char *path,
                                     bool overwrite, fl_error *err);
/// Takes in a run under the id it had. A file of which any byte has changed is refused
/// (FL_E_CORRUPT), as is one of a newer version (FL_E_NEWER) or a run that is there already
/// (FL_E_STATE); then nothing is changed. Blocks: disk.
FL_API FL_MUST fl_code fl_run_import(fl_engine *engine, const char *path, char run_id_out[32],
                                     fl_error *err);
/// How a run is repeated. Zero-initialise and set `size`.
typedef struct fl_replay_options {
  size_t size;
  bool live;           // nodes see what their parents give now, not what they saw then
  bool current_script; // the script file as it is today, not as the run used it
  const char *script;  // this script file instead, NULL: none
} fl_replay_options;

/// Records a new run that repeats `run`, and queues it: the script and modules of then, the same
/// params, logical time and interval; every node gets the context of then and what it recorded
/// (docs/design/2-context.md). FL_E_STATE: that run has not ended. FL_E_CORRUPT: its script is not
/// in the store any more, or damaged. Blocks: disk, code.
FL_API FL_MUST fl_code fl_run_replay(fl_engine *engine, const char *run,
                                     const fl_replay_options *options, char run_id_out[32],
                                     fl_error *err);
/// Asks for the end of a run, whoever owns it: TERM, the grace, KILL; `kill`: KILL at once. Returns
/// when the wish is recorded. When the owner is dead the run is this engine's from now on, and its
/// steps end what is left of it. Blocks: disk, code.
FL_API FL_MUST fl_code fl_run_cancel(fl_engine *engine, const char *run_id, bool kill,
                                     fl_error *err);
/// Stops this engine's runs so that a resume continues them: running nodes get TERM and their grace
/// (`kill`: KILL at once), then fl_step() reports 0 live runs. Status of the run: "interrupted".
/// Does not block.
FL_API void fl_engine_stop(fl_engine *engine, bool kill);

// ------------------------------------------------------------------------------------- listening

/// Tells every event of this engine's runs to `on_event`, too, as fl_config.on_event is told: from
/// fl_step(), in the order of numbers, after they are durable. Subscribers may come and go at any
/// time, in a callback as well; nothing is kept for them. `*id` is for fl_engine_unsubscribe();
/// fl_engine_reopen() and _close() end all. Does not block.
FL_API FL_MUST fl_code fl_engine_subscribe(fl_engine *engine, fl_event_fn on_event, void *ud,
                                           uint64_t *id, fl_error *err);
/// The same for the runs of all engines and processes on the state directory: every event behind
/// number `after` (0: from now on), each once, without a gap but for runs that were pruned, those
/// of others as soon as they are committed; a descriptor watches the store's log, nothing is
/// polled. One that is away for so long that events are not kept any more gets an FL_EVENT_NOTICE
/// that says so, and then the next. FL_E_NOT_FOUND, FL_E_USAGE: as fl_read_changes().
/// Blocks: disk.
FL_API FL_MUST fl_code fl_engine_follow(fl_engine *engine, uint64_t after, fl_event_fn on_event,
                                        void *ud, uint64_t *id, fl_error *err);
/// It is not called any more. An id that is unknown, or has ended, is fine. Does not block.
FL_API void fl_engine_unsubscribe(fl_engine *engine, uint64_t id);

// ------------------------------------------------------------------------------------- reading
// Each returns JSON text of docs/command-line.md, yours: fl_free(). RUN may be an id, the
// beginning or the end of one where only one has it, "last", "last-1" (the one before it) or
// "last-failed"; a node of a sub-flow is "call/node". They read the store, on a connection of the
// engine's for this alone, and see what any engine has committed: in a callback all that was told
// and all that was asked for, but not what the nodes of this step do beside it.

/// Blocks: disk.
FL_API FL_MUST fl_code fl_read_runs(fl_engine *engine, size_t limit, char **json_out,
                                    fl_error *err);

/// Which runs. Zero-initialise and set `size`; NULL and 0 ask for all. Text is borrowed for the
/// call.
typedef struct fl_run_query {
  size_t size;
  const char *flow, *status, *trigger;
  const char *parent;     // a run: those that its nodes called
  bool top_only;          // only such as no other called
  int64_t from_ms, to_ms; // logical time: from this one on, and before that one
  const char *before;     // a run: those that come behind it in the list ...
  const char *after;      // ... or above it, nearest first, the list still newest first
  size_t limit;
} fl_run_query;

/// The list of fl_read_runs() for some runs (`query` NULL: for all), each by an index: newest
/// first, by creation, with a time by logical time. A page is asked for with the last run of the
/// one before as `before`. FL_E_USAGE: no such status; FL_E_NOT_FOUND: `parent`, `before` or
/// `after` is no run. Blocks: disk.
FL_API FL_MUST fl_code fl_read_query(fl_engine *engine, const fl_run_query *query, char **json_out,
                                     fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_read_run(fl_engine *engine, const char *run, char **json_out,
                                   fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_read_context(fl_engine *engine, const char *run, const char *node,
                                       uint32_t attempt, char **json_out, fl_error *err);
/// {"events":[...],"next":N,"first":N,"last":N}: what happened behind event number `after` in all
/// runs of the state directory, whoever owns them, as in `--json`, at most `limit` events; 0: from
/// the first that is kept. `next` is what to ask behind next; `first` and `last` of all that are
/// kept. Events of runs that were pruned are left out. Kept are the last 1,000,000 of the last 7
/// days. FL_E_NOT_FOUND: some behind `after` are not kept any more: look at the runs anew, go on
/// behind `last`. FL_E_USAGE: no event has that number yet. Blocks: disk.
FL_API FL_MUST fl_code fl_read_changes(fl_engine *engine, uint64_t after, size_t limit,
                                       char **json_out, fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_read_explain(fl_engine *engine, const char *run, const char *node,
                                       char **json_out, fl_error *err);

/// What is known of a run that stopped: what failed, every node with its attempts and values, what
/// a resume runs, how it was mended so far. FL_E_STATE: it runs, or it has succeeded. Blocks: disk.
FL_API FL_MUST fl_code fl_read_breakpoint(fl_engine *engine, const char *run, char **json_out,
                                          fl_error *err);
/// {"run":ID,"proposals":[{"number","epoch","at","origin","reason","patch","digest","automatic",
/// "applied_epoch","outcome"}]}: what its flow proposed at its breakpoints (on_breakpoint).
/// Blocks: disk.
FL_API FL_MUST fl_code fl_read_proposals(fl_engine *engine, const char *run, char **json_out,
                                         fl_error *err);

/// {"run":ID,"patches":[{"epoch","at","author","reason","patch","digest"}]}: what its resumes
/// changed, oldest first. Blocks: disk.
FL_API FL_MUST fl_code fl_read_patches(fl_engine *engine, const char *run, char **json_out,
                                       fl_error *err);

/// The run of `flow` for the logical time `time_ms`, and those next to it:
/// {"flow","time","run":{"id","time","status"}|null,"script":PATH|null,"before":[...],"after":
/// [...]}, at most three each, the nearest first; "script": of its newest run. A time of whole
/// seconds also stands for every moment within that second. FL_E_NOT_FOUND: no run of it at all.
/// Blocks: disk.
FL_API FL_MUST fl_code fl_read_moment(fl_engine *engine, const char *flow, int64_t time_ms,
                                      char **json_out, fl_error *err);

/// Two runs against each other, nodes by name (docs/command-line.md); `run_b` NULL: the run that
/// `run_a` repeats, against `run_a`. `brief`: digests and verdicts only, without what differs
/// within values and scripts. Blocks: disk.
FL_API FL_MUST fl_code fl_read_diff(fl_engine *engine, const char *run_a, const char *run_b,
                                    bool brief, char **json_out, fl_error *err);

/// Who set a var, or `NODE.KEY` of a node's outputs, from what to what, in order
/// (docs/command-line.md). FL_E_NOT_FOUND: nothing ever set it. Blocks: disk.
FL_API FL_MUST fl_code fl_read_blame(fl_engine *engine, const char *run, const char *key,
                                     char **json_out, fl_error *err);
/// Which part of what a node depends on is another than in the run `against` (NULL: the newest
/// earlier run of the flow in which the node succeeded): definition, params, vars, inputs, time
/// (docs/command-line.md). FL_E_NOT_FOUND: there is no such run, or the node has not run.
/// Blocks: disk, code.
FL_API FL_MUST fl_code fl_read_why(fl_engine *engine, const char *run, const char *node,
                                   const char *against, char **json_out, fl_error *err);

/// What a run is at. Text is borrowed for the length of the callback; times are 0 where not yet.
typedef struct fl_run_info {
  const char *id, *flow, *status, *trigger;
  const char *error; // NULL: none
  const char *params_json;
  int64_t time_ms, created_ms, started_ms, ended_ms;
  uint32_t resumes;
  const char *fork_of; // id of the run whose history it began with, NULL: none (any more)
  // Of one that was taken in from another state directory: where its earlier logs are; else NULL.
  const char *origin_host, *origin_dir, *exported_at;
  const char *replay_of; // id of the run it repeats; NULL: none, or it is not in the store any more
} fl_run_info;

/// What a node of it is at. Items of a map have an index past the declared nodes.
typedef struct fl_node_info {
  const char *name, *type, *status;
  const char *error, *reason; // NULL: none; reason: a sentence, why it is not running or succeeded
  uint32_t index, attempts;
  int64_t started_ms, ended_ms;  // of the last attempt
  int exit_code;                 // -1: none
  int signal;                    // 0: none
  int64_t cpu_ms, max_rss_bytes; // of the last attempt, once it has ended
} fl_node_info;

/// A run and its nodes in declaration order, without their values: quick for any size. Either
/// callback may be NULL; `on_node` returning false stops. Blocks: disk.
FL_API FL_MUST fl_code fl_read_status(fl_engine *engine, const char *run,
                                      void (*on_run)(void *ud, const fl_run_info *run),
                                      bool (*on_node)(void *ud, const fl_node_info *node), void *ud,
                                      fl_error *err);
/// Full id of the run that `run` names. Blocks: disk.
FL_API FL_MUST fl_code fl_run_find(fl_engine *engine, const char *run, char run_id_out[32],
                                   fl_error *err);
/// Where a name of a node leads from `run`: of "call/node" to the run that `call` called, the
/// newest one, with `*node` moved behind the call. FL_E_NOT_FOUND. Blocks:
/// disk.
FL_API FL_MUST fl_code fl_run_enter(fl_engine *engine, const char *run, const char **node,
                                    char run_id_out[32], fl_error *err);
/// The graph of a stored run with its states; formats as fl_script_graph(). Blocks: disk.
FL_API FL_MUST fl_code fl_read_graph(fl_engine *engine, const char *run, const char *format,
                                     char **out, fl_error *err);

typedef struct fl_log_options {
  size_t size;
  const char *node;   // NULL: all nodes in the order they started
  uint32_t attempt;   // 0: the last
  int64_t tail_lines; // -1: all
  bool raw;           // bytes as they were; else UTF-8 with terminal escapes made visible
  void (*on_node)(void *ud, const char *node, uint32_t attempt); // before its first piece; or NULL
  size_t *removed; // or NULL: raised for each attempt whose text is not there any more
} fl_log_options;

/// Writes log text through `write` (`options` NULL: all of it); returns the position to pass as
/// `*position` for what came since (0 at first), so that a follower calls it again. A position
/// belongs to one attempt: a follower of several names node and attempt; without a node it is left
/// alone. Blocks: disk.
FL_API FL_MUST fl_code fl_read_logs(fl_engine *engine, const char *run,
                                    const fl_log_options *options, int64_t *position,
                                    void (*write)(void *ud, const char *data, size_t size),
                                    void *ud, fl_error *err);

// ------------------------------------------------------------------------------------- readers
// The same on a connection of its own: for a thread of its own, while an engine of this or another
// process goes on. A reader belongs to one thread at a time; it writes nothing and keeps nobody
// from writing. While one call of it lasts the store's log cannot be begun anew: an answer that
// takes long lets it grow by what is written meanwhile. Past 64 MiB an engine that writes says so,
// by an FL_EVENT_NOTICE.

typedef struct fl_reader fl_reader;

/// FL_E_NOT_FOUND: there is no store; FL_E_STATE: it is of an older version, and an engine has to
/// bring it up to date; FL_E_NEWER, FL_E_CORRUPT, FL_E_STORE. Blocks: disk.
FL_API FL_MUST fl_code fl_reader_open(const char *state_dir, fl_reader **out, fl_error *err);
/// NULL-safe. Blocks: disk.
FL_API void fl_reader_close(fl_reader *reader);
/// For the host's own loop: readable when somebody may have committed. fl_reader_has_news() tells,
/// and makes it unreadable again. FL_E_SYSTEM. Does not block.
FL_API FL_MUST fl_code fl_reader_get_fd(fl_reader *reader, int *fd, fl_error *err);
/// Whether anybody has committed since this was asked last; true at first. Blocks: disk.
FL_API FL_MUST fl_code fl_reader_has_news(fl_reader *reader, bool *news, fl_error *err);
/// Waits until there is an event behind number `after`, at most so long (-1: for ever).
/// Blocks: until then.
FL_API FL_MUST fl_code fl_reader_wait(fl_reader *reader, uint64_t after, int timeout_ms, bool *more,
                                      fl_error *err);

// Each as the function of an engine with that name.

/// As fl_read_query(). Blocks: disk.
FL_API FL_MUST fl_code fl_reader_runs(fl_reader *reader, const fl_run_query *query, char **json_out,
                                      fl_error *err);
/// As fl_run_find(). Blocks: disk.
FL_API FL_MUST fl_code fl_reader_find_run(fl_reader *reader, const char *run, char run_id_out[32],
                                          fl_error *err);
/// As fl_run_enter(). Blocks: disk.
FL_API FL_MUST fl_code fl_reader_enter(fl_reader *reader, const char *run, const char **node,
                                       char run_id_out[32], fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_reader_run(fl_reader *reader, const char *run, char **json_out,
                                     fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_reader_changes(fl_reader *reader, uint64_t after, size_t limit,
                                         char **json_out, fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_reader_context(fl_reader *reader, const char *run, const char *node,
                                         uint32_t attempt, char **json_out, fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_reader_explain(fl_reader *reader, const char *run, const char *node,
                                         char **json_out, fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_reader_breakpoint(fl_reader *reader, const char *run, char **json_out,
                                            fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_reader_proposals(fl_reader *reader, const char *run, char **json_out,
                                           fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_reader_patches(fl_reader *reader, const char *run, char **json_out,
                                         fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_reader_moment(fl_reader *reader, const char *flow, int64_t time_ms,
                                        char **json_out, fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_reader_diff(fl_reader *reader, const char *run_a, const char *run_b,
                                      bool brief, char **json_out, fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_reader_blame(fl_reader *reader, const char *run, const char *key,
                                       char **json_out, fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_reader_status(fl_reader *reader, const char *run,
                                        void (*on_run)(void *ud, const fl_run_info *run),
                                        bool (*on_node)(void *ud, const fl_node_info *node),
                                        void *ud, fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_reader_graph(fl_reader *reader, const char *run, const char *format,
                                       char **out, fl_error *err);
/// Blocks: disk.
FL_API FL_MUST fl_code fl_reader_logs(fl_reader *reader, const char *run,
                                      const fl_log_options *options, int64_t *position,
                                      void (*write)(void *ud, const char *data, size_t size),
                                      void *ud, fl_error *err);

// ------------------------------------------------------------------------------------- retention

typedef struct fl_prune_options {
  size_t size;
  int64_t keep_ms;        // runs that ended longer ago are removed; -1: no limit by age
  int64_t size_max_bytes; // oldest ended runs are removed until the state is smaller; -1: no limit
  bool dry_run;
  bool all;      // also the last run of a flow that succeeded, and runs that failed: those wait for
                 // a resume
  uint32_t last; // the last so many runs of each flow stay; alone: all others go. 0: no such rule
} fl_prune_options;

/// {"runs":[ID...],"bytes":N,"removed":[{"id","flow","status","ended_at","age_ms"}...],
/// "doubtful":N}: what was (or would be) removed. How long ago a run ended is known by time that
/// was measured, whatever the clock says: `doubtful` ones stay, though by the clock alone they
/// would go. Others write meanwhile: it holds the store for at most 50 ms at a time, and pauses
/// between.
/// Blocks: disk, until it is done.
FL_API FL_MUST fl_code fl_prune(fl_engine *engine, const fl_prune_options *options, char **json_out,
                                fl_error *err);

// ------------------------------------------------------------------------------------- text

/// RFC 3339 with or without fraction; `YYYY-MM-DD` and `YYYY-MM-DDTHH:MM[:SS]` are taken as UTC.
/// Does not block. Any thread.
FL_API FL_MUST bool fl_time_parse(const char *text, int64_t *wall_ms);
/// "500ms" "10s" "5m" "2h" "1d" or a number of seconds, as milliseconds.
/// Does not block. Any thread.
FL_API FL_MUST bool fl_duration_parse(const char *text, int64_t *ms);
/// "850ms" "12.3s" "4m05s" "2h10m": for people. Does not block. Any thread.
FL_API void fl_duration_format(int64_t ms, char out[32]);
/// "64K" "1M" "2G" or a number of bytes. Does not block. Any thread.
FL_API FL_MUST bool fl_size_parse(const char *text, int64_t *bytes);

/// What a reason ("when_false", in events and in JSON) says to people: half a sentence, "" when the
/// name is none. Static storage. Does not block. Any thread.
FL_API const char *fl_reason_sentence(const char *reason);
/// Which of `names` a mistyped `word` most likely meant; NULL when none is near.
/// Does not block. Any thread.
FL_API const char *fl_suggest(const char *word, const char *const *names, size_t count);
/// The i-th status of a node in the order of its life, those of runs among them; NULL past the
/// last. `is_final` (or NULL): nothing more happens in it unless the run is resumed. Static
/// storage. Does not block. Any thread.
FL_API const char *fl_status_name(size_t i, bool *is_final);

/// "0.1.0 (LuaJIT ..., libuv ..., SQLite ..., PCRE2 ...)" Does not block. Any thread.
FL_API const char *fl_version_text(void);

// ------------------------------------------------------------------------------------- helper
// modes

/// The binary's hidden modes `--supervisor` and `--worker` (fl_config.helper). Returns -1 when
/// argv[1] is neither; else runs the mode and returns its exit code. Call it first thing in main().
/// Blocks: until its engine is gone.
FL_API int fl_helper_main(int argc, char **argv);
/// Says that this process is FlowLua's own and no host's, before anything else but
/// fl_helper_main(): what libraries keep for the whole process is set as suits FlowLua (SQLite does
/// not count its memory, which takes a lock at every allocation). `flowlua` does so; a program that
/// may use SQLite itself does not. Does not block.
FL_API void fl_own_process(void);
/// Where the library takes its memory from, instead of malloc(). Any of its threads may call it.
typedef struct fl_allocator {
  size_t size;
  void *(*resize)(void *ud, void *memory, size_t size); // as realloc(), never with size 0
  void (*release)(void *ud, void *memory);              // as free()
  void *ud;
} fl_allocator;
/// Copied; for the whole process, before any other function of the library but fl_helper_main().
/// jansson, libuv and PCRE2 get it, also a host's own of these, where host and library share one;
/// LuaJIT does on x86-64; SQLite does not. Of memory that runs out small structures end the process
/// (fl_set_panic). Errors: FL_E_USAGE, FL_E_STATE when the library has memory already.
/// Does not block.
FL_API FL_MUST fl_code fl_set_allocator(const fl_allocator *allocator, fl_error *err);
/// Called before the process ends by abort(): for our own mistakes, and when there is no memory for
/// small structures. It may end the process in its own way, on the thread it is called on; it calls
/// nothing of the library. NULL (default): a line on stderr. Does not block. Any thread.
FL_API void fl_set_panic(void (*fn)(void *ud, const char *file, int line, const char *what),
                         void *ud);

#ifdef __cplusplus
}
#endif
