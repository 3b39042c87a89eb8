// A run brought back from the store: what every node was, and what a resume makes of it.
#pragma once
#include "engine/run_internal.h"

/// What the history says of one node.
typedef struct fl_node_past {
  int64_t seq;     // of what is said last
  uint32_t number; // of its last attempt, 0: none
  uint32_t epoch;
  fl_attempt_state attempt;
  bool has_attempt;
  bool unrecorded; // it is a claim without a row
  bool decided;    // a decision came after the last attempt
  fl_node_state state;
  fl_reason reason; // of the decision
  uint32_t lost;    // lost attempts at the end of its history
  int64_t claim_seq, claimed_ms, started_ms;
  int64_t vars_in, vars_out, vars_by, outputs, child_run;
  uint32_t anew_epoch;  // in which it was asked to run again and has not yet, 0: none
  fl_reason queued_for; // why its last attempt is to start, where it has not
  bool synthetic;       // its last attempt is one by hand
  int64_t gave;         // outputs of its last success
} fl_node_past;

typedef struct fl_restore fl_restore;
struct fl_restore {
  fl_scheduler *scheduler;
  fl_run *run;
  const fl_resume_spec *spec;
  fl_node_past *past;
  uint32_t count;
  fl_resume_action *actions;
  fl_reason *reasons;
  uint8_t *changed;     // by node of the graph: kept, but its definition is another now
  uint32_t *named;      // by item: where the spec has it by node, FL_NODE_NONE: nowhere
  uint8_t *entered;     // by node: something within it is asked for
  char *prefix;         // of names: "" or the calls that lead here, "call/"
  fl_restore *parts;    // sub-flows that are entered
  uint32_t *part_nodes; // by part: the call
  size_t part_count;
  fl_epoch_row *epochs; // oldest first
  size_t epoch_count;
  fl_value **overlays;  // by epoch row: vars its patch set, or NULL
  uint8_t *keeps;       // by epoch row: what its patch runs again keeps its checkpoints
  uint8_t *mends;       // by epoch row: its patch changes vars or options
  fl_input_row *inputs; // oldest first
  size_t input_count;
  fl_former former; // the nodes that the run's definition had
  bool lost_live;   // a live attempt is of a node that is gone
  bool was_final;   // the run had ended (else its engine died)
  fl_error damage;  // what could not be read on the way; code 0: nothing
};

static inline bool fl_past_is_live(const fl_node_past *p) {
  return fl_resume_may_live(p->state);
}

/// Reads all of `row`'s run, and of those of the sub-flows that are entered, and decides about
/// every node. Writes nothing.
FL_MUST fl_code fl_restore_open(fl_restore *r, fl_scheduler *s, const fl_run_row *row,
                                const fl_resume_spec *spec, fl_error *err);
/// Vars that were set by hand after `epoch`; a reference, or NULL: none.
FL_MUST fl_code fl_restore_get_patched(fl_restore *r, uint32_t epoch, fl_value **out,
                                       fl_error *err);
// history.c
FL_MUST fl_code fl_restore_read(fl_restore *r, fl_error *err);
// decide.c
void fl_restore_decide(fl_restore *r);
/// What gave a result that is kept may not be what the script says now.
FL_MUST fl_code fl_restore_find_changed(fl_restore *r, fl_error *err);
/// The node runs again from nothing: its sub-flow's run is not entered.
bool fl_restore_starts_anew(const fl_restore *r, uint32_t node);
// check.c
/// What a patch may not do, of `run_id` and the sub-flows it enters. A plan tells which definitions
/// changed; a resume needs to be told what to do with them (`strict`): nothing is written before
/// all of it is clear.
FL_MUST fl_code fl_restore_check(fl_restore *r, const char *run_id, bool strict, fl_error *err);
// restore.c
/// Frees what is not the run; the run too unless it was taken (r->run = NULL).
void fl_restore_close(fl_restore *r);
