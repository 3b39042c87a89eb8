// The rule of a resume, without wishes: what has succeeded is kept, what was left out stays so
// unless what that follows from moves, all else runs.
#include "base/resume.h"

static bool is_derived(fl_reason reason) {
  return reason == FL_REASON_UPSTREAM_SKIPPED || reason == FL_REASON_UPSTREAM_OMITTED ||
         reason == FL_REASON_UPSTREAM_FAILED || reason == FL_REASON_TRIGGER_NOT_MET ||
         reason == FL_REASON_BRANCH_NOT_CHOSEN;
}

bool fl_resume_stays_out(fl_node_state was, fl_reason reason, bool parent_moves) {
  if (was != FL_NODE_SKIPPED && was != FL_NODE_OMITTED) return false;
  return !parent_moves || !is_derived(reason);
}

fl_resume_action fl_resume_by_state(fl_node_state was, fl_reason reason, bool stays_out,
                                    bool unchosen, fl_reason *why) {
  if (unchosen && !stays_out && was != FL_NODE_SUCCEEDED) {
    *why = FL_REASON_BRANCH_NOT_CHOSEN;
    return was == FL_NODE_OMITTED ? FL_RESUME_KEEP : FL_RESUME_SKIP;
  }
  switch (was) {
  case FL_NODE_SUCCEEDED: *why = FL_REASON_KEPT; return FL_RESUME_KEEP;
  case FL_NODE_SKIPPED:
  case FL_NODE_OMITTED:
    *why = stays_out ? reason : FL_REASON_RERUN_UPSTREAM;
    return stays_out ? FL_RESUME_KEEP : FL_RESUME_RUN;
  case FL_NODE_FAILED: *why = FL_REASON_RESUME_FAILED; return FL_RESUME_RUN;
  case FL_NODE_PENDING:
  case FL_NODE_QUEUED:
  case FL_NODE_RUNNING:
  case FL_NODE_RETRYING:
  case FL_NODE_WAITING:
  case FL_NODE_UPSTREAM_FAILED:
  case FL_NODE_CANCELLED:
  case FL_NODE_STATE_COUNT: break;
  }
  *why = FL_REASON_RESUME_UNFINISHED;
  return FL_RESUME_RUN;
}

bool fl_resume_moves(fl_node_state was, fl_resume_action action, fl_reason why) {
  if (action == FL_RESUME_RUN) return true;
  if (why == FL_REASON_SUCCEED_ASKED) return was != FL_NODE_SUCCEEDED;
  if (action == FL_RESUME_KEEP) return false;
  return was != (why == FL_REASON_BRANCH_NOT_CHOSEN ? FL_NODE_OMITTED : FL_NODE_SKIPPED);
}

bool fl_resume_asks_item(fl_node_state was, fl_resume_action map) {
  return was == FL_NODE_SUCCEEDED || map == FL_RESUME_RUN || fl_resume_may_live(was);
}

bool fl_resume_may_live(fl_node_state was) {
  return was == FL_NODE_QUEUED || was == FL_NODE_RUNNING || was == FL_NODE_WAITING;
}
