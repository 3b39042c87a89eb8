// A patch as a resume needs it: built, checked against the flow, resolved to nodes.
#pragma once
#include "api/engine.h"

typedef struct fl_patching fl_patching;

typedef enum fl_patching_purpose {
  FL_PATCHING_RESUME,
  FL_PATCHING_PLAN, // what would be entered is looked at, too
  // Of a run that has ended just now: the scheduler still has it.
  FL_PATCHING_PROPOSAL, // would it do?
  FL_PATCHING_WITHIN,   // what would be entered is looked at, and nothing is changed
} fl_patching_purpose;

typedef struct fl_item_name {
  uint32_t map, position;
} fl_item_name;

struct fl_patching {
  fl_engine *engine;
  const fl_patching *caller; // whose sub-flow this is, NULL: none
  fl_patching_purpose purpose;
  fl_run_row row;
  // As it was, as it goes on; the same where nothing changes. It is a user of both.
  fl_script *before_script, *script;
  fl_flow *before, *flow;
  fl_resume_spec spec;
  json_t *json;  // the patch
  json_t *own;   // the same split (lua/flow/patch_path.lua)
  json_t *found; // what its names stand for (lua/flow/patch_target.lua)
  // By node of the graph, then by item.
  uint32_t target_count;
  uint8_t *skip, *rerun, *keep, *succeed;
  fl_value **outputs;
  fl_item_name *item_names;
  uint32_t *items; // their numbers in the records
  size_t item_count;
  fl_checkpoint_change *checkpoints;
  const char **renamed;
  fl_patching *parts; // sub-flows
  fl_resume_part *part_specs;
  size_t part_count;
  char author[128];
};

/// Finds the run, says why it cannot be resumed, or loads its script and resolves `given` (NULL:
/// nothing). Writes nothing. fl_patching_close() in any case.
FL_MUST fl_code fl_patching_open(fl_patching *p, fl_engine *e, const char *run_id,
                                 const fl_patch *given, fl_patching_purpose purpose, fl_error *err);
void fl_patching_close(fl_patching *p);

// patch_script.c
/// The script and flow of a sub-flow's run as they were.
FL_MUST fl_code fl_patching_load_before(fl_patching *p, fl_error *err);
/// The script that goes on before options are changed: the file `path`, or, NULL, as it was.
FL_MUST fl_code fl_patching_load_mended(fl_patching *p, const char *path, fl_error *err);
/// The script that goes on: mended, or the same with other options, or just the same.
FL_MUST fl_code fl_patching_load_after(fl_patching *p, fl_error *err);
// patch_number.c
/// Where an item stands by node; its number is still to be filled in when it is new.
uint32_t fl_patching_add_item(fl_patching *p, uint32_t map, uint32_t position);
/// What the records call the node or item; FL_NODE_NONE: they do not know it.
FL_MUST fl_code fl_patching_get_number(fl_patching *p, uint32_t at, uint32_t *number,
                                       fl_error *err);
/// Fills in the numbers of the items that were added; FL_E_USAGE when one is not there.
FL_MUST fl_code fl_patching_number_items(fl_patching *p, fl_error *err);
// patch_part.c
/// Finds the sub-flows that the patch names, and those that are to be looked at all the same.
FL_MUST fl_code fl_patching_find_parts(fl_patching *p, fl_error *err);
/// The scripts that a part goes on with.
FL_MUST fl_code fl_patching_open_part(fl_patching *p, fl_patching *part, fl_error *err);
// patch_resolve.c
/// Resolves p->own against p->flow, and so on in sub-flows: fills in p->spec.
FL_MUST fl_code fl_patching_resolve(fl_patching *p, fl_error *err);
