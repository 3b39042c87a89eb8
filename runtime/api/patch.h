// A patch as a resume needs it: built, checked against the flow, resolved to nodes. Private to
// api/.
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
  bool asked; // the patch names it
} fl_item_name;

struct fl_patching {
  fl_engine *engine;
  const fl_patching *caller; // whose sub-flow this is, NULL: none
  fl_patching_purpose purpose;
  fl_run_row row;
  fl_script *before_script, *script; // as it was, as it goes on; the same where nothing changes
  fl_flow *before, *flow;
  fl_resume_spec spec;
  json_t *json; // the patch
  json_t *own;  // what of it is about the run's own nodes, and "behind", "parts" (patch_path.lua)
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
// patch_resolve.c
/// Resolves the patch of the right shape in p->json against p->flow: fills in p->spec.
FL_MUST fl_code fl_patching_resolve(fl_patching *p, fl_error *err);
// patch_name.c
/// Finds the items of maps that p->own names; FL_E_USAGE when one is not there.
FL_MUST fl_code fl_patching_find_items(fl_patching *p, fl_error *err);
/// Where an item stands by node; its number is still to be filled in when it is new.
uint32_t fl_patching_add_item(fl_patching *p, uint32_t map, uint32_t position);
/// Where `name` stands by node; it has been checked.
uint32_t fl_patching_find(const fl_patching *p, const char *name, size_t size);
/// What the records call the node; FL_NODE_NONE: they do not know it.
FL_MUST fl_code fl_patching_get_number(fl_patching *p, uint32_t at, uint32_t *number,
                                       fl_error *err);
// patch_part.c
/// Finds the sub-flows that p->own names, and those that are to be looked at all the same.
FL_MUST fl_code fl_patching_find_parts(fl_patching *p, fl_error *err);
/// Loads and resolves what is said of each.
FL_MUST fl_code fl_patching_open_parts(fl_patching *p, fl_error *err);
