// The texts of states and reasons, as they are stored, printed and promised in the manual.
#include "base/state.h"
#include "base/err.h"

static const struct {
  const char *name;
  bool final;
} run_states[FL_RUN_STATE_COUNT] = {
#define X(id, name, final) {name, final},
    FL_RUN_STATES(X)
#undef X
};

static const struct {
  const char *name;
  bool final;
  fl_seen seen;
} node_states[FL_NODE_STATE_COUNT] = {
#define X(id, name, final, seen) {name, final, FL_SEEN_##seen},
    FL_NODE_STATES(X)
#undef X
};

static const struct {
  const char *name;
  bool final;
  fl_node_state node;
} attempt_states[FL_ATTEMPT_STATE_COUNT] = {
#define X(id, name, final, node) {name, final, FL_NODE_##node},
    FL_ATTEMPT_STATES(X)
#undef X
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
  return run_states[s].name;
}

const char *fl_node_state_text(fl_node_state s) {
  FL_ASSERT((unsigned)s < FL_NODE_STATE_COUNT);
  return node_states[s].name;
}

const char *fl_attempt_state_text(fl_attempt_state s) {
  FL_ASSERT((unsigned)s < FL_ATTEMPT_STATE_COUNT);
  return attempt_states[s].name;
}

bool fl_run_state_is_final(fl_run_state s) {
  FL_ASSERT((unsigned)s < FL_RUN_STATE_COUNT);
  return run_states[s].final;
}

bool fl_node_state_is_final(fl_node_state s) {
  FL_ASSERT((unsigned)s < FL_NODE_STATE_COUNT);
  return node_states[s].final;
}

bool fl_attempt_state_is_final(fl_attempt_state s) {
  FL_ASSERT((unsigned)s < FL_ATTEMPT_STATE_COUNT);
  return attempt_states[s].final;
}

fl_seen fl_node_state_seen(fl_node_state s) {
  FL_ASSERT((unsigned)s < FL_NODE_STATE_COUNT);
  return node_states[s].seen;
}

fl_node_state fl_node_state_of(fl_attempt_state s, bool retries) {
  FL_ASSERT((unsigned)s < FL_ATTEMPT_STATE_COUNT);
  fl_node_state node = attempt_states[s].node;
  return node == FL_NODE_FAILED && retries ? FL_NODE_RETRYING : node;
}

const char *fl_reason_name(fl_reason r) {
  FL_ASSERT((unsigned)r < FL_REASON_COUNT);
  return reason_names[r];
}

const char *fl_reason_text(fl_reason r) {
  FL_ASSERT((unsigned)r < FL_REASON_COUNT);
  return reason_texts[r];
}
