// A run brought back from the store: what every node was, and what a resume makes of it.
#pragma once
#include "engine/run.h"

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
  int64_t gave;  // outputs of its last success
  bool retrying; // its next attempt was due
} fl_node_past;

typedef struct fl_restore {
  fl_scheduler *scheduler;
  fl_run *run;
  const fl_resume_spec *spec;
  fl_node_past *past;
  uint32_t count;
  fl_resume_action *actions;
  fl_reason *reasons;
  uint8_t *changed;     // by node of the graph: kept, but its definition is another now
  fl_epoch_row *epochs; // oldest first
  size_t epoch_count;
  fl_value **overlays; // by epoch row: vars its patch set, or NULL
  fl_former former;    // the nodes that the run's definition had
  bool lost_live;      // a live attempt is of a node that is gone
  bool was_final;      // the run had ended (else its engine died)
} fl_restore;

static inline bool fl_past_is_live(const fl_node_past *p) {
  return p->state == FL_NODE_QUEUED || p->state == FL_NODE_RUNNING || p->state == FL_NODE_WAITING;
}

/// Reads all of `row`'s run and decides about every node. Writes nothing.
FL_MUST fl_code fl_restore_open(fl_restore *r, fl_scheduler *s, const fl_run_row *row,
                                const fl_resume_spec *spec, fl_error *err);
/// Vars that were set by hand after `epoch`; a reference, or NULL: none.
fl_value *fl_restore_get_patched(fl_restore *r, uint32_t epoch);
/// Frees what is not the run; the run too unless it was taken (r->run = NULL).
void fl_restore_close(fl_restore *r);
