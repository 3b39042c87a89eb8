// What the readers share: the nodes of a run in memory, and walks over what is known of
// them in node order. Nobody outside read/ includes this.
#pragma once
#include "read/read.h"
#include "store/sql.h"

#define FL_READ_NONE UINT32_MAX

/// A node of a run: of its definition, or an item of a map. Texts are offsets into the table's.
typedef struct fl_read_node {
  uint32_t node;              // number in the records
  uint32_t index;             // as the engine counts: declared nodes by position, then items
  size_t name, type, parents; // parents: list of indexes
  int hook;
  uint32_t map_node, position; // items; map_node: index of the map, FL_READ_NONE: none
  int64_t item;
} fl_read_node;

/// All nodes of a run: `declared` ones by position, then the items by map and position.
typedef struct fl_read_nodes {
  fl_buf text;
  fl_read_node *nodes;
  size_t declared, count, capacity;
  size_t known; // with those behind `count` that a mended script has no more: found by name only
  uint32_t *places; // of a mended run: index in `nodes` by number; NULL: numbers are indexes
  uint32_t place_count;
} fl_read_nodes;

FL_MUST fl_code fl_read_nodes_load(fl_store *s, const fl_run_row *run, fl_read_nodes *out,
                                   fl_error *err);
void fl_read_nodes_deinit(fl_read_nodes *n);
static inline const char *fl_read_text(const fl_read_nodes *n, size_t at) {
  return n->text.data + at;
}
/// NULL when there is none.
const fl_read_node *fl_read_nodes_find(const fl_read_nodes *n, const char *name);
/// Next parent of a list "[1,22]": *at starts as the list; false at its end.
bool fl_read_next_parent(const char **at, uint32_t *parent);

/// Steps in presentation order: a declared node, then its items. Zero-initialise.
typedef struct fl_read_order {
  size_t declared, items; // given out so far
} fl_read_order;
/// NULL at the end.
const fl_read_node *fl_read_order_next(const fl_read_nodes *n, fl_read_order *order);

/// What holds slots and pools: loaded when it is first needed. Begin with NULL.
typedef struct fl_read_waits fl_read_waits;
void fl_read_waits_free(fl_read_waits *w); // NULL-safe
/// What a node waits for though all it depends on has ended; `node`: its number, of an item its
/// map's. Without an answer `reason` stays as it is.
FL_MUST fl_code fl_read_find_wait(fl_store *s, const fl_run_row *run, uint32_t node,
                                  fl_read_waits **waits, fl_reason *reason, fl_buf *detail,
                                  fl_error *err);

/// Rows of one table of a run, ordered by node: goes forward with the asker where it can, and seeks
/// where it cannot.
typedef struct fl_read_cursor {
  sqlite3_stmt *st;
  int node_column;
  bool begun, row;
  uint32_t node; // of the row it stands on
  uint32_t from; // that row is the first one of a node >= this
} fl_read_cursor;

/// `sql` binds run as ?1, the first node as ?2, and orders by node.
FL_MUST fl_code fl_read_cursor_open(fl_store *s, const char *sql, int64_t run, int node_column,
                                    fl_read_cursor *c, fl_error *err);
void fl_read_cursor_close(fl_read_cursor *c);
/// Goes to the first row of `node`; *found says whether there is one. c->st stands on it.
FL_MUST fl_code fl_read_cursor_seek(fl_store *s, fl_read_cursor *c, uint32_t node, bool *found,
                                    fl_error *err);
/// Goes to the next row; *found: it is one of `node`.
FL_MUST fl_code fl_read_cursor_next(fl_store *s, fl_read_cursor *c, uint32_t node, bool *found,
                                    fl_error *err);

/// Where a node stands. Texts are borrowed until the next fl_read_state_get().
typedef struct fl_read_state {
  fl_node_state state;
  fl_reason reason;  // of what holds: the decision, the attempt's end, or its start
  uint32_t attempts; // without synthetic ones
  bool decided;      // the decision holds, not the attempt
  bool has_attempt;  // `last` is filled in
  bool has_decision;
  bool shown;          // `last` belongs to the state: its times, outputs and error are to be shown
  fl_attempt_row last; // only what states and lists need: see node.c
  fl_decision_row decision;
} fl_read_state;

typedef struct fl_read_states {
  fl_store *store;
  fl_read_cursor attempts, decisions;
  fl_buf error, detail;
} fl_read_states;

FL_MUST fl_code fl_read_states_open(fl_store *s, int64_t run, fl_read_states *out, fl_error *err);
void fl_read_states_close(fl_read_states *r);
/// Fastest when asked in the order of node indexes.
FL_MUST fl_code fl_read_state_get(fl_read_states *r, uint32_t node, fl_read_state *out,
                                  fl_error *err);
/// Why the node failed, NULL: it did not. Borrowed like the state's texts.
const char *fl_read_state_get_error(const fl_read_state *state);

// -------------------------------------------------------------------------------- moments

/// What a node had given; `outputs` -1: it was taken back, for the node was to run again.
typedef struct fl_read_result {
  uint32_t node; // number
  int64_t seq, outputs;
} fl_read_result;

/// When a node saw what a repeat of the run lets it see again: the claim of its last attempt that
/// succeeded, else of its last one; else the last decision about it.
typedef struct fl_read_sight {
  uint32_t node, epoch;
  int64_t seq;
  bool attempted, succeeded;
} fl_read_sight;

typedef struct fl_read_results {
  fl_read_result *results; // by node, then seq
  size_t count, capacity;
  fl_input_row *inputs; // by epoch
  size_t input_count, input_capacity;
  fl_read_sight *moments; // by node
  size_t moment_count, moment_capacity;
} fl_read_results;

/// All results of a run, and what it used in each epoch.
FL_MUST fl_code fl_read_results_load(fl_store *s, int64_t run, fl_read_results *out, fl_error *err);
void fl_read_results_deinit(fl_read_results *r);
/// What `node` (its number) had given when something with `seq` happened; false: nothing.
bool fl_read_results_find(const fl_read_results *r, uint32_t node, int64_t seq, int64_t *outputs);
/// NULL: nothing was ever said of the node.
const fl_read_sight *fl_read_results_get_sight(const fl_read_results *r, uint32_t node);
/// What the run used in an epoch; NULL: nothing is known.
const fl_input_row *fl_read_results_get_input(const fl_read_results *r, uint32_t epoch);

// -------------------------------------------------------------------------------- differences

/// "sha256:..." of a stored value; null for 0.
FL_MUST fl_code fl_read_add_digest(fl_store *s, int64_t id, fl_buf *out, fl_error *err);
/// {"equal","a":DIGEST,"b":DIGEST,"changes":[{"key","a","b"}],"more":N}: two stored values, 0:
/// none. Unless `brief` the keys that differ are listed, with their values cut short; "changes"
/// null: the texts are gone.
FL_MUST fl_code fl_read_add_pair(fl_store *s, int64_t a, int64_t b, bool brief, fl_buf *out,
                                 fl_error *err);
/// {"equal","a":DIGEST,"b":DIGEST,"files":[{"path","status","lines":{"a","b"},"added","removed",
/// "diff"}]}: two script snapshots (rows), of whose files those that differ are listed; "files"
/// null: one of them is gone. `brief`: without files.
FL_MUST fl_code fl_read_add_scripts(fl_store *s, int64_t a, int64_t b, bool brief, fl_buf *out,
                                    fl_error *err);

/// The statement of a query, its rows as FL_RUN_COLUMNS; sqlite3_finalize() it.
FL_MUST fl_code fl_read_prepare_runs(fl_store *s, const fl_run_query *query, sqlite3_stmt **out,
                                     fl_error *err);

// JSON pieces.
void fl_read_add_time(fl_buf *out, int64_t wall_ms); // 0: null
/// The run's vars with what patches set from then on.
FL_MUST fl_code fl_read_add_vars(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err);
/// The `run` object of docs/command-line.md.
FL_MUST fl_code fl_read_add_run(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err);
/// [{"epoch","at","author","reason","patch","digest"}]: what resumes changed, oldest first.
FL_MUST fl_code fl_read_add_patches(fl_store *s, const fl_run_row *run, fl_buf *out, fl_error *err);
/// [{"number","epoch","at","origin","reason","patch","digest","automatic","applied_epoch",
/// "outcome"}]: what was proposed; `outcome` of the epoch that an applied one began.
FL_MUST fl_code fl_read_add_proposals(fl_store *s, const fl_run_row *run, fl_buf *out,
                                      fl_error *err);
/// FL_E_LIMIT when `out` could not take it all.
FL_MUST fl_code fl_read_finish(fl_store *s, const fl_buf *out, fl_error *err);
/// Begins a read transaction and reads the run's row again within it, so that all that follows is
/// of one moment. fl_read_end() in any case.
FL_MUST fl_code fl_read_begin(fl_store *s, const fl_run_row *run, fl_run_row *fresh, fl_error *err);
void fl_read_end(fl_store *s, fl_run_row *fresh);
/// FL_E_NOT_FOUND: the run has no such node, or has it by another name now.
fl_code fl_read_fail_node(fl_store *s, const fl_run_row *run, const char *name, fl_error *err);
/// The number of a node or an item by its name, without loading the others.
FL_MUST fl_code fl_read_find_node(fl_store *s, const fl_run_row *run, const char *name,
                                  uint32_t *node, fl_error *err);
