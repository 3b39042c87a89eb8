// The vars a node inherits and leaves: a map, and who set each key. Immutable and shared, so that
// inheriting costs a reference.
#pragma once
#include "engine/flow.h"

typedef struct fl_vars {
  uint32_t refs;
  fl_value *map; // {"key":value}; null: removed by a node
  fl_value *by;  // {"key":"node that set it"}; a key that is missing was there from the start
} fl_vars;

fl_vars *fl_vars_new(fl_value *map, fl_value *by); // takes both references
fl_vars *fl_vars_ref(fl_vars *v);
void fl_vars_unref(fl_vars *v); // NULL-safe

/// One parent's vars, in the order of `after`.
typedef struct fl_vars_source {
  const char *name;
  fl_vars *vars;
} fl_vars_source;

/// Merges the parents' vars for `node`. Of two different values of a key, one that was set by a
/// node that had seen the other wins; else `merge` says, and FL_MERGE_ERROR is an FL_E_SCRIPT that
/// names both nodes and the key. One reference is yours. Here as below FL_E_LIMIT: together they
/// are larger than a value may be.
FL_MUST fl_code fl_vars_merge(const fl_flow *flow, uint32_t node, fl_merge merge,
                              const fl_vars_source *sources, size_t count, fl_vars **out,
                              fl_error *err);
/// What a node left: `after` against what it saw; its keys are marked as set by `node_name`.
FL_MUST fl_code fl_vars_change(fl_vars *before, const fl_value *after, const char *node_name,
                               fl_vars **out, fl_error *err);
/// `v` with the keys of `overlay` set by a patch.
FL_MUST fl_code fl_vars_overlay(fl_vars *v, const fl_value *overlay, fl_vars **out, fl_error *err);
