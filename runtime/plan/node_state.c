// The one table of a node's life: state x event -> state. An empty cell would be a hole: every cell
// is written, and what may not happen is NO.
#include "plan/plan.h"

#define NO FL_NODE_STATE_COUNT
#define PE FL_NODE_PENDING
#define QU FL_NODE_QUEUED
#define RU FL_NODE_RUNNING
#define RE FL_NODE_RETRYING
#define WA FL_NODE_WAITING
#define SU FL_NODE_SUCCEEDED
#define FA FL_NODE_FAILED
#define SK FL_NODE_SKIPPED
#define OM FL_NODE_OMITTED
#define UF FL_NODE_UPSTREAM_FAILED
#define CA FL_NODE_CANCELLED

// A short process is reported with its end only, so queued takes every end that running does.
static const unsigned char steps[FL_NODE_STATE_COUNT][FL_NODE_EVENT_COUNT] = {
    //          CLAIM RELEASE START WAIT SUCCEED FAIL RETRY DUE SKIP OMIT FAIL_UP CANCEL RESET
    [PE] = {QU, NO, NO, NO, NO, FA, NO, NO, SK, OM, UF, CA, PE},
    [QU] = {NO, PE, RU, WA, SU, FA, RE, NO, SK, NO, NO, CA, NO},
    [RU] = {NO, NO, RU, WA, SU, FA, RE, NO, SK, NO, NO, CA, NO},
    [RE] = {QU, NO, NO, NO, NO, FA, NO, PE, SK, NO, NO, CA, PE},
    [WA] = {NO, NO, RU, WA, SU, FA, RE, NO, SK, NO, NO, CA, NO},
    [SU] = {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, PE},
    [FA] = {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, PE},
    [SK] = {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, PE},
    [OM] = {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, PE},
    [UF] = {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, PE},
    [CA] = {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, PE},
};

fl_node_state fl_node_state_next(fl_node_state state, fl_node_event event) {
  FL_ASSERT(state < FL_NODE_STATE_COUNT && event < FL_NODE_EVENT_COUNT);
  return (fl_node_state)steps[state][event];
}
