// Trigger rules: what a node does, given how its parents ended. Rules and their early decisions are
// those of Airflow's trigger rules of the same names.
#include "plan/plan.h"

static fl_verdict no_success(unsigned seen, fl_reason *reason) {
  if (seen & FL_SEEN_SKIPPED) return *reason = FL_REASON_UPSTREAM_SKIPPED, FL_VERDICT_SKIP;
  return *reason = FL_REASON_UPSTREAM_OMITTED, FL_VERDICT_OMIT;
}

static fl_verdict ready(fl_trigger trigger, fl_reason *reason) {
  *reason = trigger == FL_TRIGGER_ALL_SUCCESS ? FL_REASON_READY : FL_REASON_TRIGGER;
  return FL_VERDICT_READY;
}

static fl_verdict not_met(fl_reason *reason) {
  return *reason = FL_REASON_TRIGGER_NOT_MET, FL_VERDICT_SKIP;
}

static fl_verdict upstream_failed(fl_reason *reason) {
  return *reason = FL_REASON_UPSTREAM_FAILED, FL_VERDICT_UPSTREAM_FAILED;
}

fl_verdict fl_trigger_decide(fl_trigger trigger, uint32_t waiting, unsigned seen,
                             fl_reason *reason) {
  const unsigned gone = FL_SEEN_SKIPPED | FL_SEEN_OMITTED;
  bool failed = seen & FL_SEEN_FAILURE;
  *reason = FL_REASON_WAITS_FOR_NODES;
  switch (trigger) {
  case FL_TRIGGER_ALL_SUCCESS:
    if (failed) return upstream_failed(reason);
    if (waiting) return FL_VERDICT_WAIT;
    return seen & gone ? no_success(seen, reason) : ready(trigger, reason);
  case FL_TRIGGER_ALL_DONE: return waiting ? FL_VERDICT_WAIT : ready(trigger, reason);
  case FL_TRIGGER_ALL_FAILED:
    if (seen & (FL_SEEN_SUCCESS | gone)) return not_met(reason);
    return waiting ? FL_VERDICT_WAIT : ready(trigger, reason);
  case FL_TRIGGER_ONE_SUCCESS:
    if (seen & FL_SEEN_SUCCESS) return ready(trigger, reason);
    if (waiting) return FL_VERDICT_WAIT;
    if (failed) return upstream_failed(reason);
    return seen ? no_success(seen, reason) : ready(trigger, reason);
  case FL_TRIGGER_ONE_FAILED:
    if (failed) return ready(trigger, reason);
    if (waiting) return FL_VERDICT_WAIT;
    return seen ? not_met(reason) : ready(trigger, reason);
  case FL_TRIGGER_NONE_FAILED:
    if (failed) return upstream_failed(reason);
    return waiting ? FL_VERDICT_WAIT : ready(trigger, reason);
  }
  return FL_VERDICT_WAIT;
}
