// What somebody wants a resume to change, by node number.
#pragma once
#include "engine/flow.h"
#include "store/store.h"

typedef struct fl_attempt fl_attempt;

typedef struct fl_resume_part fl_resume_part;

typedef struct fl_checkpoint_change {
  uint32_t node;   // as in fl_resume_spec
  fl_value *value; // NULL: it is dropped
} fl_checkpoint_change;

/// What a resume changes, resolved against the flow. Borrowed. "By node": by the nodes of the
/// graph, then by `items`, those of maps that are named one by one.
typedef struct fl_resume_spec {
  const fl_flow *flow;
  const fl_flow *before;      // the flow as it was, where it may differ; NULL: it is the same
  const char *const *renamed; // by node: the name it had before, or NULL; NULL: none
  fl_value *params;           // NULL: those of the run
  fl_value *vars;             // keys that are set from now on; NULL: none
  const uint8_t *skip;        // a byte a node; NULL: none
  const uint8_t *rerun;       // a byte a node; NULL: none
  const uint8_t *keep;        // a byte a node: kept though its definition changed; NULL: none
  const uint8_t *succeed;     // a byte a node: has succeeded from now on; NULL: none
  fl_value *const *outputs;   // by node: synthetic outputs; NULL: none
  const fl_checkpoint_change *checkpoints; // NULL: none
  size_t checkpoint_count;
  const uint32_t *items; // their numbers in the records
  size_t item_count;
  const fl_resume_part *parts; // sub-flows that are changed within, or may be
  size_t part_count;
  bool keep_checkpoint; // what runs again keeps its checkpoint and steps
  fl_value *patch;      // what is kept of the patch; NULL: none
  const char *reason, *author;
  uint32_t proposal;       // of which the patch was made, 0: none
  fl_attempt *parent;      // of a sub-flow that is entered again
  int64_t script_store_id; // 0: that of the run
} fl_resume_spec;

/// The run of a sub-flow and what is changed there. It is recorded with the change of its caller's
/// run, so that it holds whenever the call enters it.
struct fl_resume_part {
  uint32_t node; // the call, by node
  bool asked;    // the call is entered again even if it has succeeded; else only if it runs again
  const fl_run_row *row;
  fl_resume_spec spec;
};
