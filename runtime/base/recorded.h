// What ctx:now, ctx:random and ctx:uuid gave an attempt, to be handed out again: a list of
// [kind, value]. Each kind in its own order, so that code which asks for more than it did, or in
// another order, still gets what it got of the rest.
#pragma once
#include "base/value.h"

#define FL_RECORDED_KINDS 3

/// Zero-initialise: nothing to hand out.
typedef struct fl_recorded {
  json_t *list;
  size_t at[FL_RECORDED_KINDS]; // of each kind: where to look for the next one
} fl_recorded;

/// Takes the reference to `list`.
void fl_recorded_init(fl_recorded *r, json_t *list);
void fl_recorded_deinit(fl_recorded *r);
/// Appends the next value of `kind` ("now", "random", "uuid"); false: there is none left.
bool fl_recorded_take(fl_recorded *r, const char *kind, fl_buf *out);
/// What was not taken yet, as a list; NULL: nothing.
fl_value *fl_recorded_get_rest(const fl_recorded *r);
