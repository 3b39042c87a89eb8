// A patch as a resume needs it: built, checked against the flow, resolved to nodes. Private to
// api/.
#pragma once
#include "api/engine.h"

typedef struct fl_patching {
  fl_engine *engine;
  fl_run_row row;
  fl_script *before_script, *script; // as it was, as it goes on; the same where nothing changes
  fl_flow *before, *flow;
  fl_resume_spec spec;
  json_t *json; // the patch
  uint8_t *skip, *rerun, *keep, *succeed;
  fl_value **outputs;
  fl_checkpoint_change *checkpoints;
  const char **renamed;
  char author[128];
} fl_patching;

/// Finds the run, says why it cannot be resumed, or loads its script and resolves `given` (NULL:
/// nothing). Writes nothing. fl_patching_close() in any case.
FL_MUST fl_code fl_patching_open(fl_patching *p, fl_engine *e, const char *run_id,
                                 const fl_patch *given, fl_error *err);
void fl_patching_close(fl_patching *p);

/// Resolves the patch of the right shape in p->json against p->flow: fills in p->spec.
FL_MUST fl_code fl_patching_resolve(fl_patching *p, fl_error *err);
