// What each kind of node does when something happens to it, within it or behind it. Whoever decides
// asks this table, and knows no kind by name.
#include "engine/run_internal.h"

static fl_code make_command(fl_attempt *a, fl_error *err) {
  return a->run->flow->hooks->command(a->run->flow, a, &a->command, err);
}

const fl_kind_ops fl_kinds[FL_KIND_COUNT] = {
    [FL_KIND_PROCESS] = {.prepare = make_command},
    [FL_KIND_MAP] = {.executor = &fl_map_executor,
                     .gives_partly = true,
                     .decided = fl_map_decided,
                     .item_ended = fl_map_item_ended,
                     .interrupt = fl_map_interrupt},
    [FL_KIND_BRANCH] = {.check = fl_branch_check, .succeeded = fl_branch_omit},
    [FL_KIND_CALL] = {.executor = &fl_call_executor, .child_ended = fl_call_ended},
};
