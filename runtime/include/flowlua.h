// The public C API of libflowlua: open an engine on a state directory, load scripts, run flows,
// resume, cancel, read. The command line is written on this header alone.
//
// Threads: an engine and all that came from it belong to one thread at a time. Several engines may
// live in one process. Nothing here installs signal handlers, reaps children or changes the working
// directory: processes are owned by a helper process (see fl_config.helper).
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
  FL_E_FENCED,    // another engine took the run over: nothing more is written
  FL_E_SYSTEM,    // the operating system refused
  FL_E_SPAWN,     // a process could not be started
} fl_code;

#define FL_ERROR_MESSAGE_SIZE 2048

/// Filled in by a failing call, last parameter everywhere, may be NULL.
typedef struct fl_error {
  fl_code code;
  char message[FL_ERROR_MESSAGE_SIZE]; // one sentence, UTF-8, no final newline
} fl_error;

// ------------------------------------------------------------------------------------- engine

typedef struct fl_engine fl_engine; // one state directory, one loop, any number of runs
typedef struct fl_script fl_script; // a loaded script: its flows, its own Lua state

typedef enum fl_durability {
  FL_DURABILITY_DEFAULT, // what the flow says, else full
  FL_DURABILITY_FULL,    // what was acknowledged survives a power cut
  FL_DURABILITY_GROUP,   // survives any crash of the process; a power cut may take the last 100 ms
} fl_durability;

/// What happened, told after it is durable.
typedef enum fl_event_kind {
  FL_EVENT_RUN_STARTED,
  FL_EVENT_NODE_STARTED,
  FL_EVENT_NODE_RETRYING,
  FL_EVENT_NODE_FINISHED,
  FL_EVENT_RUN_FINISHED,
  FL_EVENT_NODE_PROGRESS, // not durable
  FL_EVENT_NOTICE,        // a sentence for the person watching (a warning, an alarm)
} fl_event_kind;

/// All text is borrowed for the length of the callback; NULL or 0 where it does not apply.
typedef struct fl_event {
  fl_event_kind kind;
  int64_t wall_ms;
  const char *run_id;
  const char *flow;
  const char *node;
  uint32_t node_index; // declaration order; instances of a map come after all declared nodes
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
} fl_event;

typedef void (*fl_event_fn)(void *ud, const fl_event *event);

/// What a reason ("when_false", in events and in JSON) says to people: half a sentence, "" when the
/// name is none. Static storage.
FL_API const char *fl_reason_sentence(const char *reason);

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
} fl_config;

/// Opens the store and checks its version; with `open_late` the first function that needs the store
/// does, and fails as this one would. On FL_OK `*out` is yours: fl_engine_close(). Blocks for disk.
/// Errors: FL_E_STORE, FL_E_FULL, FL_E_CORRUPT, FL_E_NEWER, FL_E_SYSTEM.
FL_API FL_MUST fl_code fl_engine_open(const fl_config *config, fl_engine **out, fl_error *err);
/// Stops all runs of this engine where they are (as a crash would, but tidily: running processes
/// are ended, states are saved so that a resume continues) and frees everything. NULL-safe.
FL_API void fl_engine_close(fl_engine *engine);
/// Begins again, with the same configuration, after a call failed with FL_E_FULL: nothing more was
/// written since, processes of nodes go on under their supervisor, Lua nodes that ran are lost and
/// will be tried again. All scripts and runs of the engine are gone: fl_run_resume() takes a run up
/// again, and no other engine needs to be dead for it. Blocks for disk. Errors as
/// fl_engine_open(), then it may be called again; FL_E_STATE: nothing has failed.
FL_API FL_MUST fl_code fl_engine_reopen(fl_engine *engine, fl_error *err);

/// Does what is due, then returns; never waits for something to happen, except for disk when
/// durability is full, and for up to 150 us for a worker whose checkpoint was just answered: it
/// often has the next one already. `budget_ms` bounds the time given to such workers, inline nodes
/// and bookkeeping; with 0 nothing is waited for. `*live` is the number of runs not yet ended.
FL_API FL_MUST fl_code fl_step(fl_engine *engine, uint32_t budget_ms, size_t *live, fl_error *err);
/// For a host's own loop: readable when fl_step() has something to do ...
FL_API int fl_engine_get_fd(const fl_engine *engine);
/// ... or when this many milliseconds have passed; -1: no timer is pending.
FL_API int fl_engine_get_timeout_ms(const fl_engine *engine);
/// Blocking helper: steps until run `run_id` has ended (or NULL: until all have). `*status` is a
/// static string, a state of a run.
FL_API FL_MUST fl_code fl_wait(fl_engine *engine, const char *run_id, const char **status,
                               fl_error *err);
/// Makes a blocking fl_wait() return soon with FL_E_STATE "interrupted". The only function that may
/// be called from a signal handler or another thread.
FL_API void fl_interrupt(fl_engine *engine);

// ------------------------------------------------------------------------------------- scripts

/// Loads a script and checks all of its flows. The script is borrowed by runs started from it and
/// lives until the engine is closed. Errors: FL_E_NOT_FOUND, FL_E_SCRIPT.
FL_API FL_MUST fl_code fl_script_load(fl_engine *engine, const char *path, fl_script **out,
                                      fl_error *err);
FL_API size_t fl_script_get_flow_count(const fl_script *script);
/// Key of flow `index`; borrowed.
FL_API const char *fl_script_get_flow_key(const fl_script *script, size_t index);
/// "text" | "dot" | "mermaid" | "svg" | "json" of a flow (NULL: the only one). `*out` is yours:
/// fl_free().
FL_API FL_MUST fl_code fl_script_graph(fl_script *script, const char *flow, const char *format,
                                       char **out, fl_error *err);
/// Passes `argc` and `argv` to a script that returned nothing as its `arg` table, before it is
/// loaded by the next fl_script_load(). Borrowed until then.
FL_API void fl_engine_set_args(fl_engine *engine, int argc, char *const argv[]);

// ------------------------------------------------------------------------------------- runs

/// Options of a run. Zero-initialise and set `size`. All strings are copied.
typedef struct fl_run_options {
  size_t size;
  const char *flow;          // key; NULL: the script's only flow
  const char *const *params; // "k=v" texts as typed: text where the default is a string, else JSON
  size_t param_count;
  const char *params_json; // or: one JSON object
  int64_t time_ms;         // logical time, milliseconds since 1970; 0: now
  const char *const *only; // run only these nodes ...
  size_t only_count;
  const char *from;    // ... or this one and all that depend on it ...
  const char *until;   // ... or this one and all it depends on
  const char *trigger; // NULL: "manual"
  bool dry_run;        // plan only: nothing is stored or started
} fl_run_options;

/// Records a run and queues it; it moves in fl_step(). `run_id_out` receives its id.
FL_API FL_MUST fl_code fl_run_start(fl_script *script, const fl_run_options *options,
                                    char run_id_out[32], fl_error *err);

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
FL_API FL_MUST fl_code fl_run_resume(fl_engine *engine, const char *run_id, const fl_patch *patch,
                                     fl_error *err);
/// What a resume would do, as JSON: {"run":ID,"patch":{..},"nodes":[{"name","action":
/// "run|keep|skip","status","reason","text","changed":BOOL}],"removed":[NAME...],
/// "folder":{"from","to"}}. `folder`: a mended script takes nodes to another folder. `changed`: the
/// definition of a node that is kept is not the one that gave the result: the resume asks for
/// `rerun` or `keep`.
FL_API FL_MUST fl_code fl_run_resume_plan(fl_engine *engine, const char *run_id,
                                          const fl_patch *patch, char **json_out, fl_error *err);
/// Makes a new run with the history of one that has ended (and of the runs it called): what is kept
/// is shared, the old run stays as it is. Resume it like any other. FL_E_STATE: it has not ended.
FL_API FL_MUST fl_code fl_run_fork(fl_engine *engine, const char *run, char run_id_out[32],
                                   fl_error *err);
/// Writes a run, with all that a resume needs, to a file that fl_run_import() takes in another
/// state directory or on another host; logs stay. Whole or not at all. FL_E_BUSY: it is running;
/// FL_E_STATE: the file is there and `overwrite` is not set.
FL_API FL_MUST fl_code fl_run_export(fl_engine *engine, const char *run, const char *path,
                                     bool overwrite, fl_error *err);
/// Takes in a run under the id it had. A file of which any byte has changed is refused
/// (FL_E_CORRUPT), as is one of a newer version (FL_E_NEWER) or a run that is there already
/// (FL_E_STATE); then nothing is changed.
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
/// in the store any more, or damaged.
FL_API FL_MUST fl_code fl_run_replay(fl_engine *engine, const char *run,
                                     const fl_replay_options *options, char run_id_out[32],
                                     fl_error *err);
/// Asks for the end of a run, whoever owns it: TERM, the grace, KILL; `kill`: KILL at once. Returns
/// when the wish is recorded; when the owner is dead, ends what it left and records it here.
FL_API FL_MUST fl_code fl_run_cancel(fl_engine *engine, const char *run_id, bool kill,
                                     fl_error *err);
/// Stops this engine's runs so that a resume continues them: running nodes get TERM and their grace
/// (`kill`: KILL at once), then fl_step() reports 0 live runs. Status of the run: "cancelled".
FL_API void fl_engine_stop(fl_engine *engine, bool kill);

// ------------------------------------------------------------------------------------- reading
// Each returns JSON text of docs/command-line.md, yours: fl_free(). RUN may be an id, an
// unambiguous prefix, "last" or "last-failed". They read the store and see what any engine wrote.

FL_API FL_MUST fl_code fl_read_runs(fl_engine *engine, size_t limit, char **json_out,
                                    fl_error *err);
FL_API FL_MUST fl_code fl_read_run(fl_engine *engine, const char *run, char **json_out,
                                   fl_error *err);
FL_API FL_MUST fl_code fl_read_context(fl_engine *engine, const char *run, const char *node,
                                       uint32_t attempt, char **json_out, fl_error *err);
FL_API FL_MUST fl_code fl_read_explain(fl_engine *engine, const char *run, const char *node,
                                       char **json_out, fl_error *err);

/// What is known of a run that stopped: what failed, every node with its attempts and values, what
/// a resume runs, how it was mended so far. FL_E_STATE: it runs, or it has succeeded.
FL_API FL_MUST fl_code fl_read_breakpoint(fl_engine *engine, const char *run, char **json_out,
                                          fl_error *err);
/// {"run":ID,"proposals":[{"number","epoch","at","origin","reason","patch","digest","automatic",
/// "applied_epoch","outcome"}]}: what its flow proposed at its breakpoints (on_breakpoint).
FL_API FL_MUST fl_code fl_read_proposals(fl_engine *engine, const char *run, char **json_out,
                                         fl_error *err);

/// {"run":ID,"patches":[{"epoch","at","author","reason","patch","digest"}]}: what its resumes
/// changed, oldest first.
FL_API FL_MUST fl_code fl_read_patches(fl_engine *engine, const char *run, char **json_out,
                                       fl_error *err);

/// The run of `flow` for the logical time `time_ms`, and those next to it:
/// {"flow","time","run":{"id","time","status"}|null,"script":PATH|null,"before":[...],"after":
/// [...]}, at most three each, the nearest first; "script": of its newest run. A time of whole
/// seconds also stands for every moment within that second. FL_E_NOT_FOUND: no run of it at all.
FL_API FL_MUST fl_code fl_read_moment(fl_engine *engine, const char *flow, int64_t time_ms,
                                      char **json_out, fl_error *err);

/// Two runs against each other, nodes by name (docs/command-line.md); `run_b` NULL: the run that
/// `run_a` repeats, against `run_a`. `brief`: digests and verdicts only, without what differs
/// within values and scripts.
FL_API FL_MUST fl_code fl_read_diff(fl_engine *engine, const char *run_a, const char *run_b,
                                    bool brief, char **json_out, fl_error *err);

/// Who set a var, or `NODE.KEY` of a node's outputs, from what to what, in order
/// (docs/command-line.md). FL_E_NOT_FOUND: nothing ever set it.
FL_API FL_MUST fl_code fl_read_blame(fl_engine *engine, const char *run, const char *key,
                                     char **json_out, fl_error *err);
/// Which part of what a node depends on is another than in the run `against` (NULL: the newest
/// earlier run of the flow in which the node succeeded): definition, params, vars, inputs, time
/// (docs/command-line.md). FL_E_NOT_FOUND: there is no such run, or the node has not run.
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

/// What a node of it is at. Instances of a map have an index past the declared nodes.
typedef struct fl_node_info {
  const char *name, *type, *status;
  const char *error, *reason; // NULL: none; reason: a sentence, why it is not running or succeeded
  uint32_t index, attempts;
  int64_t started_ms, ended_ms; // of the last attempt
  int exit_code;                // -1: none
  int signal;                   // 0: none
} fl_node_info;

/// A run and its nodes in declaration order, without their values: quick for any size. Either
/// callback may be NULL; `on_node` returning false stops.
FL_API FL_MUST fl_code fl_read_status(fl_engine *engine, const char *run,
                                      void (*on_run)(void *ud, const fl_run_info *run),
                                      bool (*on_node)(void *ud, const fl_node_info *node), void *ud,
                                      fl_error *err);
/// Full id of the run that `run` names.
FL_API FL_MUST fl_code fl_run_find(fl_engine *engine, const char *run, char run_id_out[32],
                                   fl_error *err);
/// The graph of a stored run with its states; formats as fl_script_graph().
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

/// Writes log text through `write`; returns the position to pass as `*position` for what came since
/// (0 at first), so that a follower calls it again. A position belongs to one attempt: a follower
/// of several names node and attempt; without a node it is left alone.
FL_API FL_MUST fl_code fl_read_logs(fl_engine *engine, const char *run,
                                    const fl_log_options *options, int64_t *position,
                                    void (*write)(void *ud, const char *data, size_t size),
                                    void *ud, fl_error *err);

typedef struct fl_prune_options {
  size_t size;
  int64_t keep_ms;        // runs that ended longer ago are removed; -1: no limit by age
  int64_t size_max_bytes; // oldest ended runs are removed until the state is smaller; -1: no limit
  bool dry_run;
} fl_prune_options;

/// {"runs":[ID...],"bytes":N}: what was (or would be) removed.
FL_API FL_MUST fl_code fl_prune(fl_engine *engine, const fl_prune_options *options, char **json_out,
                                fl_error *err);

FL_API void fl_free(void *text);

// ------------------------------------------------------------------------------------- text

/// RFC 3339 with or without fraction; `YYYY-MM-DD` and `YYYY-MM-DDTHH:MM[:SS]` are taken as UTC.
FL_API FL_MUST bool fl_time_parse(const char *text, int64_t *wall_ms);
/// "500ms" "10s" "5m" "2h" "1d" or a number of seconds, as milliseconds.
FL_API FL_MUST bool fl_duration_parse(const char *text, int64_t *ms);
/// "850ms" "12.3s" "4m05s" "2h10m": for people.
FL_API void fl_duration_format(int64_t ms, char out[32]);
/// "64K" "1M" "2G" or a number of bytes.
FL_API FL_MUST bool fl_size_parse(const char *text, int64_t *bytes);

/// "0.1.0 (LuaJIT ..., libuv ..., SQLite ..., PCRE2 ...)"
FL_API const char *fl_version_text(void);

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
FL_API FL_MUST fl_code fl_native_type_register(fl_engine *engine, const fl_native_type *type,
                                               fl_error *err);
/// Ends the attempt: `error` NULL is success; `outputs_json` may be NULL. The task is gone after
/// it.
FL_API void fl_task_finish(fl_task *task, const char *outputs_json, const char *error);
FL_API void fl_task_log(fl_task *task, const char *text, size_t size);

// ------------------------------------------------------------------------------------- helper
// modes

/// The binary's hidden modes `--supervisor` and `--worker` (fl_config.helper). Returns -1 when
/// argv[1] is neither; else runs the mode and returns its exit code. Call it first thing in main().
FL_API int fl_helper_main(int argc, char **argv);

#ifdef __cplusplus
}
#endif
