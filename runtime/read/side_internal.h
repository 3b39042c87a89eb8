// One of two runs that are held against each other: its nodes by name, where they stand, what they
// saw. Shared by the readers that compare (diff.c, why.c).
#pragma once
#include "read/read_internal.h"

typedef struct fl_read_side {
  fl_store *store;
  fl_run_row run;
  fl_read_nodes nodes;
  fl_read_states states;
  fl_read_results results;
  uint32_t *by_name;         // places in nodes.nodes
  struct fl_read_side *then; // the run that it repeats: its nodes saw the contexts of that
} fl_read_side;

/// Within a read transaction of the caller. Zero-initialise; fl_read_side_close() in any case.
FL_MUST fl_code fl_read_side_open(fl_read_side *side, fl_store *s, int64_t run, fl_error *err);
void fl_read_side_close(fl_read_side *side);
const char *fl_read_side_get_name(const fl_read_side *side, const fl_read_node *node);
/// NULL: there is none.
const fl_read_node *fl_read_side_find(const fl_read_side *side, const char *name);

/// Where the inputs and params of a node's attempt came from: itself, or, in a repeat, the attempt
/// of the first run that had the node.
typedef struct fl_read_source {
  const fl_read_side *side;
  const fl_read_node *node;
  int64_t seq;
  uint32_t epoch;
} fl_read_source;
fl_read_source fl_read_side_get_source(const fl_read_side *side, const fl_read_node *node,
                                       int64_t seq, uint32_t epoch);
/// Value id of the params that an attempt of an epoch was given.
int64_t fl_read_side_get_params(const fl_read_side *side, const fl_read_node *node, int64_t seq,
                                uint32_t epoch);

/// One input of a node at a moment.
typedef struct fl_read_input {
  const char *name;
  bool given;      // it had given something
  int64_t outputs; // value id, 0: nothing
} fl_read_input;
/// Fills in what the parent `input->name` (with that number) had given for an attempt with `seq`.
void fl_read_side_find_input(const fl_read_side *side, uint32_t parent, int64_t seq,
                             const fl_read_source *source, fl_read_input *input);

/// {"equal","parents":[{"name","equal":false,"a","b",...}]}: the inputs of a node on both sides (a
/// side with `seq` 0 had none); those that differ are listed. *equal as in the text.
FL_MUST fl_code fl_read_add_inputs(const fl_read_side *a, const fl_read_node *node_a, int64_t seq_a,
                                   const fl_read_side *b, const fl_read_node *node_b, int64_t seq_b,
                                   bool brief, bool *equal, fl_buf *out, fl_error *err);
