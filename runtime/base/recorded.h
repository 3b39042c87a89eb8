// What ctx:now, ctx:random and ctx:uuid gave an attempt, to be handed out again: a list of
// [kind, value]. Each kind in its own order, so that code which asks for more than it did, or in
// another order, still gets what it got of the rest. What a node's `when` got stands before a mark,
// ["when",true], so that it is not handed to the node's own code, which may run without it: in a
// later attempt.
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
/// Appends the next value of `kind` ("now", "random", "uuid"); false: there is none left before the
/// mark.
bool fl_recorded_take(fl_recorded *r, const char *kind, fl_buf *out);
/// Goes on behind the mark, if there is one.
void fl_recorded_pass_mark(fl_recorded *r);
/// Puts what stands before the mark of `other`, and the mark, before all of `list`; none when it
/// has none. Returns `list`, a new one for NULL.
json_t *fl_recorded_prepend(json_t *list, const json_t *other);
#define FL_RECORDED_MARK "[\"when\",true]"
/// What was not taken yet, as a list; NULL: nothing.
fl_value *fl_recorded_get_rest(const fl_recorded *r);
