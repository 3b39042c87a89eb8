// A run that repeats another: what every node was given then, by name, to be given again.
#pragma once
#include "engine/run_internal.h"

/// What the records of then say of one node.
typedef struct fl_past {
  bool known;            // it was there
  uint32_t number;       // in the records of then
  uint32_t attempt;      // the one whose context is handed out: the last that succeeded, else the
                         // last; 0: it had none
  bool succeeded;        // that one did
  uint32_t epoch;        // ... and where it stands
  int64_t seq, last_seq; // when it was claimed, or decided about in its turn (0: that never came);
                         // when anything was last said of the node
  int64_t vars_in, vars_by, recorded, child_run; // row ids
  int64_t first_recorded; // of its first attempt, before which its `when` was asked
  char *when_recorded;    // it had no attempt: what its `when` got, a JSON list; owned
  bool is_given;          // its result was set by hand, and it never had one of its own
  int64_t given;          // that result
  fl_reason decided;      // by a decision that still holds, 0: none
  bool omitted;           // an item past the end of its map's last list
  uint32_t map, position; // items: index of the map, FL_NODE_NONE: no item
  int64_t item;
} fl_past;

/// Reads the run that `run` repeats; none when it repeats none. Errors: FL_E_NOT_FOUND when that
/// run was pruned.
FL_MUST fl_code fl_replay_open(fl_run *run, fl_error *err);
void fl_replay_free(fl_replay *r); // NULL-safe
/// What was then; NULL: the node is new.
const fl_past *fl_replay_find(const fl_run *run, uint32_t node);
/// True when the node sees params, or vars, of then: those of today's run do not reach it.
bool fl_replay_holds_params(const fl_run *run, uint32_t node);
bool fl_replay_holds_vars(const fl_run *run, uint32_t node);
/// True when the node was not among those that were selected then.
bool fl_replay_is_unselected(const fl_run *run, uint32_t node);
/// The vars that the node saw then; with the contexts of today those of today.
FL_MUST fl_code fl_replay_get_vars(fl_run *run, uint32_t node, fl_vars **out, fl_error *err);
/// Gives a new attempt what else it is to get again: params, and what it recorded.
FL_MUST fl_code fl_replay_prepare(fl_attempt *a, fl_error *err);
/// The outputs of `parent` that the attempt's node saw then. `*known` false: ask today's run.
FL_MUST fl_code fl_replay_get_input(fl_attempt *a, uint32_t parent, bool *known, fl_value **out,
                                    fl_error *err);
/// The items that a map had then. `*known` false: it is to make its list.
FL_MUST fl_code fl_replay_get_items(fl_attempt *a, bool *known, fl_value ***items, size_t *count,
                                    fl_error *err);
/// What a sub-flow's run repeats; its params unless they are to be those of today.
FL_MUST fl_code fl_replay_get_child(fl_attempt *a, int64_t *child, fl_value **params,
                                    fl_error *err);
/// The result of `node` that was set by hand then (fl_past.is_given).
FL_MUST fl_code fl_replay_get_given(const fl_run *run, uint32_t node, fl_value **out,
                                    fl_error *err);
