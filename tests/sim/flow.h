// Random flows, and what their nodes do: results are a function of the inputs alone, so that every
// history of a flow that ends well ends with the same bytes.
#pragma once
#include "engine/scheduler.h"
#include "random.h"

#define SIM_NODES_MAX 40
#define SIM_ITEMS_MAX 6
#define SIM_FAILED    "left_by_a_failure" // a key of what failed attempts leave
#define SIM_PATCHED   "patched"           // the key that a patch sets; no result looks at it

/// Of what is small.
static inline fl_value *sim_value(const json_t *json) {
  fl_value *v;
  fl_error err;
  if (fl_value_from_json(json, "is", &v, &err)) fl_panic(__FILE__, __LINE__, err.message);
  return v;
}

/// What a node does when it runs.
typedef struct sim_spec {
  int64_t duration_ms;
  int fail_tries;    // its first tries fail ...
  int hang_tries;    // ... then some never end by themselves
  bool always_fails; // whatever is done
  bool broken;       // fails until the world is mended
  bool skips;        // says that it has nothing to do
  bool ignores_term;
  bool no_when; // its condition is false
  bool sets_vars, big;
  bool racy; // it may start before all it depends on has ended: it looks at nothing
  int checkpoints, steps, items;
} sim_spec;

typedef struct sim_flow {
  fl_flow flow;
  fl_graph *graph;
  struct sim_flow *sub; // what call nodes run
  sim_spec specs[SIM_NODES_MAX];
  uint32_t count;
  /// Only all_success triggers: what failed may be mended and skipped without changing the end.
  bool pure;
  char script[64];
} sim_flow;

void sim_flow_make(sim_flow *f, sim_random *r, const char *key, bool pure, sim_flow *sub);
void sim_flow_free(sim_flow *f);
/// What the node of `a` does.
const sim_spec *sim_flow_get_spec(fl_attempt *a);
/// Its place in the tree of flows and nodes: the same whatever run and attempt it is.
void sim_flow_write_place(fl_attempt *a, fl_buf *out);
/// Outputs and vars of a success; vars NULL: unchanged. References are yours.
void sim_flow_results(fl_attempt *a, fl_value **outputs, fl_value **vars);
