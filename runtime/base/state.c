// The texts of states and reasons, as they are stored, printed and promised in the manual.
#include "base/state.h"
#include "base/err.h"

static const char *const run_states[FL_RUN_STATE_COUNT] = {
    [FL_RUN_QUEUED] = "queued",   [FL_RUN_RUNNING] = "running",
    [FL_RUN_WAITING] = "waiting", [FL_RUN_SUCCEEDED] = "succeeded",
    [FL_RUN_FAILED] = "failed",   [FL_RUN_CANCELLED] = "cancelled",
};

static const char *const node_states[FL_NODE_STATE_COUNT] = {
    [FL_NODE_PENDING] = "pending",     [FL_NODE_QUEUED] = "queued",
    [FL_NODE_RUNNING] = "running",     [FL_NODE_RETRYING] = "retrying",
    [FL_NODE_WAITING] = "waiting",     [FL_NODE_SUCCEEDED] = "succeeded",
    [FL_NODE_FAILED] = "failed",       [FL_NODE_SKIPPED] = "skipped",
    [FL_NODE_OMITTED] = "omitted",     [FL_NODE_UPSTREAM_FAILED] = "upstream_failed",
    [FL_NODE_CANCELLED] = "cancelled",
};

static const char *const attempt_states[FL_ATTEMPT_STATE_COUNT] = {
    [FL_ATTEMPT_QUEUED] = "queued",       [FL_ATTEMPT_RUNNING] = "running",
    [FL_ATTEMPT_SUCCEEDED] = "succeeded", [FL_ATTEMPT_FAILED] = "failed",
    [FL_ATTEMPT_TIMED_OUT] = "timed_out", [FL_ATTEMPT_LOST] = "lost",
    [FL_ATTEMPT_CANCELLED] = "cancelled", [FL_ATTEMPT_SKIPPED] = "skipped",
};

static const char *const reason_names[FL_REASON_COUNT] = {
#define X(id, name, text) [FL_REASON_##id] = (name),
    FL_REASONS(X)
#undef X
};

static const char *const reason_texts[FL_REASON_COUNT] = {
#define X(id, name, text) [FL_REASON_##id] = (text),
    FL_REASONS(X)
#undef X
};

const char *fl_run_state_text(fl_run_state s) {
  FL_ASSERT((unsigned)s < FL_RUN_STATE_COUNT);
  return run_states[s];
}

const char *fl_node_state_text(fl_node_state s) {
  FL_ASSERT((unsigned)s < FL_NODE_STATE_COUNT);
  return node_states[s];
}

const char *fl_attempt_state_text(fl_attempt_state s) {
  FL_ASSERT((unsigned)s < FL_ATTEMPT_STATE_COUNT);
  return attempt_states[s];
}

const char *fl_reason_name(fl_reason r) {
  FL_ASSERT((unsigned)r < FL_REASON_COUNT);
  return reason_names[r];
}

const char *fl_reason_text(fl_reason r) {
  FL_ASSERT((unsigned)r < FL_REASON_COUNT);
  return reason_texts[r];
}

bool fl_node_state_is_final(fl_node_state s) {
  return s >= FL_NODE_SUCCEEDED;
}

bool fl_run_state_is_final(fl_run_state s) {
  return s >= FL_RUN_SUCCEEDED;
}
