// A flow as the engine sees it: a frozen graph, its settings, and the hooks that answer what only
// the script knows. The engine knows no Lua; bind/ fills the hooks in.
#pragma once
#include "base/digest.h"
#include "base/value.h"
#include "graph/graph.h"

typedef struct fl_attempt fl_attempt;
typedef struct fl_flow fl_flow;

typedef struct fl_flow_pool {
  const char *name;
  uint32_t capacity;
} fl_flow_pool;

/// What to run for an attempt of a process node. Owned by the attempt; fl_command_free().
typedef struct fl_command {
  char **argv, **env; // NULL-terminated
  char *cwd;
  char *stdin_data; // NULL: nothing
  size_t stdin_size;
  bool capture;
  bool is_text;                                                      // see fl_spawn
  int64_t limit_memory, limit_cpu_s, limit_open_files, log_size_max; // 0: none, default
  int *ok_codes;
  size_t ok_code_count; // 0: only 0 is ok
  int64_t timeout_ms;   // of ctx:exec; 0: none
} fl_command;
void fl_command_free(fl_command *c); // NULL-safe
/// True when `exit_code` counts as success.
bool fl_command_is_ok(const fl_command *c, int exit_code);

/// A failed attempt as the script's `retry_on` sees it.
typedef struct fl_failure {
  const char *state; // "failed" | "timed_out"
  int exit_code, signal;
  const char *error;
  uint32_t attempt;
} fl_failure;

/// What a flow proposes when a run of it has failed.
typedef struct fl_advice {
  fl_value *patch;        // NULL: nothing; a reference is the caller's
  char *origin;           // which adviser or rule; free() it
  char *reason;           // for people, or NULL; free() it
  uint32_t automatic_max; // how many proposals of a run may be applied by themselves; 0: not this
} fl_advice;

/// Each returns FL_E_SCRIPT with the whole message when the script fails. None blocks; none may
/// keep the attempt.
typedef struct fl_hooks {
  /// A run of the flow is there, or has gone: what the flow stands on is needed for as long. NULL:
  /// it is there anyway.
  void (*hold)(const fl_flow *flow);
  void (*let_go)(const fl_flow *flow);
  fl_code (*when)(const fl_flow *flow, fl_attempt *a, bool *yes, fl_error *err);
  fl_code (*command)(const fl_flow *flow, fl_attempt *a, fl_command **out, fl_error *err);
  /// Outputs of a process that succeeded; `capture` NULL: not captured; `output`: FLOWLUA_OUTPUT.
  fl_code (*collect)(const fl_flow *flow, fl_attempt *a, const char *capture, size_t capture_size,
                     const char *output, size_t output_size, fl_value **out, fl_error *err);
  fl_code (*retry_on)(const fl_flow *flow, fl_attempt *a, const fl_failure *failure, bool *yes,
                      fl_error *err);
  fl_code (*merge)(const fl_flow *flow, uint32_t node, const char *key, const char *const *values,
                   size_t count, fl_value **out, fl_error *err);
  /// Values of a map's items; `*items` is malloced, with a reference each.
  fl_code (*expand)(const fl_flow *flow, fl_attempt *a, fl_value ***items, size_t *count,
                    fl_error *err);
  /// Adds what the node does, as a text that is equal for equal definitions.
  fl_code (*definition)(const fl_flow *flow, uint32_t node, fl_buf *out, fl_error *err);
  /// The flow and params of a sub-flow.
  fl_code (*call)(const fl_flow *flow, fl_attempt *a, const fl_flow **sub, fl_value **params,
                  fl_error *err);
} fl_hooks;

typedef enum fl_failure_policy { FL_POLICY_FINISH, FL_POLICY_STOP } fl_failure_policy;

/// Borrowed by runs; lives as long as its script, which they hold (fl_hooks.hold).
struct fl_flow {
  const char *key;
  const fl_graph *graph;
  const fl_hooks *hooks;
  void *script;        // for the hooks
  int index;           // which flow of the script, for the hooks (1-based)
  const char *version; // "sha256:..." of the script with its modules
  uint32_t language;   // by whose rules it is read (FL_LANGUAGE)
  const char *zone;    // IANA name for run.date, "UTC" by default
  fl_failure_policy policy;
  fl_durability durability;
  bool has_adviser;       // it may propose a patch when a run of it fails
  int64_t timeout_ms;     // 0: none
  uint32_t run_count_max; // max_runs; 0: no limit
  uint32_t depth_max;     // max_depth: calls above a run of it, itself counted; 0: no limit
  const fl_flow_pool *pools;
  uint32_t pool_count;
  fl_value *vars; // initial vars
  // Where the store keeps it: as it is, without what resumes changed in single runs. Looked up when
  // a run of it is recorded; 0: not known.
  int64_t script_store_id, definition_store_id;
  uint8_t definition_digest[FL_DIGEST_SIZE]; // of the graph, once it was asked for
  bool has_digest;
};
