// What an engine and its workers say to each other: frames of io/wire.h with kinds of their own.
//
// Values of up to FL_WORKER_INLINE_MAX travel with the task, or before it in a FL_WORKER_TEXT when
// several tasks share them; larger ones are asked for by the code that reads them.
#pragma once
#include "engine/flow.h"
#include "io/wire.h"
#include "store/store.h"

// Raised when a frame or the page changes: an engine and a worker that do not speak the same one,
// for the program was replaced while the engine ran, part at once. The upper bytes are "FLW".
#define FL_WORKER_VERSION 0x464c5702u
#define FL_WORKER_FOREIGN                                                                          \
  "the helper (flowlua --worker) is of another version than this engine: it was replaced while "   \
  "the engine ran; start the engine again, and resume the run"
#define FL_WORKER_INLINE_MAX (64u << 10)
#define FL_WORKER_TEXTS      32u // shared values a worker remembers

typedef enum fl_worker_kind {
  // to the worker
  FL_WORKER_INIT = 128, // u32 version, fl_worker_init; fl_worker_ends travel with it
  FL_WORKER_TEXT,       // u32 place, bytes
  FL_WORKER_TASK,       // fl_worker_order
  FL_WORKER_CANCEL,     // nothing: wakes a worker that sleeps; the flag is in the page
  FL_WORKER_REPLY,      // u32 request, u8 ok, then what was asked for, or the text of an error
  // to the engine; those about a task begin with u32 slot, u32 generation
  FL_WORKER_READY = 160, // i32 pid, u32 version
  FL_WORKER_LOAD_FAILED, // text
  FL_WORKER_PRINTED,     // u32 how many bytes, which lie in the second pipe of fl_worker_ends
  FL_WORKER_RESULT,      // fl_worker_result
  FL_WORKER_LOG,         // bytes
  FL_WORKER_PROGRESS,    // u64 done, u64 total (bits of doubles), text or NULL
  FL_WORKER_RECORD,      // text kind, bytes JSON
  FL_WORKER_GET,         // u32 request, u8 fl_worker_field, text step or NULL
  FL_WORKER_SAVE,        // u32 request, text step (NULL: the checkpoint), bytes JSON or NULL
  FL_WORKER_EXEC,        // u32 request, command
} fl_worker_kind;

/// Its ends of the two pipes that what node code prints goes through. The worker moves it from the
/// first to the second, and says then whose it is: whenever it dies, the engine finds the rest in
/// them. The engine has copies of the ends that are read.
typedef struct fl_worker_ends {
  int read, write; // of the first, which 1 and 2 are pointed to
  int pass;        // of the second, which the engine reads
} fl_worker_ends;

/// What a worker loads its script from.
typedef struct fl_worker_init {
  const char *path, *lua_dir; // lua_dir NULL: the embedded language
  const char *overrides;      // as in fl_script_config, or NULL
  const char **natives;       // names of C types that the script uses
  uint32_t native_count;
  fl_snapshot snapshot;
} fl_worker_init;

void fl_worker_put_init(fl_buf *b, const fl_worker_init *init);
/// Borrows from the frame. `natives` and `snapshot.sources` are yours to free(), also on false.
/// `*foreign`: the engine does not speak this version, and nothing more is known.
FL_MUST bool fl_worker_get_init(const fl_wire_frame *frame, fl_worker_init *out, bool *foreign);

/// Values of a task, and what else may be asked for.
typedef enum fl_worker_field {
  FL_FIELD_RUN,
  FL_FIELD_PARAMS,
  FL_FIELD_VARS,
  FL_FIELD_INPUTS,
  FL_FIELD_ITEM,
  FL_FIELD_TASK_COUNT, // those above belong to a task
  FL_FIELD_RESTORED = FL_FIELD_TASK_COUNT,
  FL_FIELD_STEP,
  FL_FIELD_RECORDED,
  FL_FIELD_COUNT
} fl_worker_field;

typedef enum fl_worker_where {
  FL_WHERE_NONE,   // there is no such value
  FL_WHERE_HERE,   // bytes
  FL_WHERE_SHARED, // u32 place of a FL_WORKER_TEXT
  FL_WHERE_ASK,    // too large: FL_WORKER_GET
} fl_worker_where;

/// One task: which node is run, and what it sees.
typedef struct fl_worker_order {
  uint32_t slot, generation;
  uint32_t flow; // 1-based
  const char *flow_key;
  uint32_t node;         // of the graph
  const char *node_name; // its name in the graph
  const char *name;      // NULL, or of the item
  uint32_t position;     // of the item, from 1; 0: none
  bool has_recorded;     // a replay: FL_FIELD_RECORDED may be asked for
  struct {
    fl_worker_where where;
    const char *text; // HERE
    size_t size;
    uint32_t place; // SHARED
  } fields[FL_FIELD_TASK_COUNT];
} fl_worker_order;

void fl_worker_put_order(fl_buf *b, const fl_worker_order *order);
FL_MUST bool fl_worker_get_order(const fl_wire_frame *frame, fl_worker_order *out);

/// How a task ended.
typedef struct fl_worker_result {
  uint32_t slot, generation;
  fl_attempt_state state; // succeeded, failed or skipped
  bool no_retry;
  bool asked; // its end was asked for before its code had returned
  bool worn;  // the worker asks to be replaced
  int64_t started_ms, ended_ms, duration_us, cpu_us, rss_max_bytes;
  const char *outputs, *vars, *error; // NULL: none
  size_t outputs_size, vars_size;
} fl_worker_result;

void fl_worker_put_result(fl_buf *b, const fl_worker_result *result);
/// The fields after slot and generation.
FL_MUST bool fl_worker_get_result(fl_wire_in *in, fl_worker_result *out);

void fl_worker_put_command(fl_buf *b, const fl_command *command);
/// The rest of `in`; NULL when it is no command. fl_command_free().
fl_command *fl_worker_get_command(fl_wire_in *in);

/// Begins a frame of one of the kinds above; fl_wire_end() ends it.
static inline size_t fl_worker_begin(fl_buf *b, fl_worker_kind kind) {
  return fl_wire_begin(b, (fl_wire_kind)kind);
}
