// One transaction at a time: what is written in a turn, and what waits for its commit to leave:
// starts, acknowledgements, events. Written before told: nothing leaves before its commit.
#include "engine/run_internal.h"
#include "base/bug.h"

// ------------------------------------------------------------------------------------- writing

bool fl_scheduler_begin(fl_scheduler *s) {
  fl_error err;
  if (s->broken) return false;
  if (fl_store_is_open(s->store) && s->dirty) return true;
  fl_code rc = fl_store_begin(s->store, &err);
  s->locked_out = rc == FL_E_BUSY;
  if (s->locked_out) return s->error = err, false; // nothing is broken: it is tried again
  if (rc) return fl_scheduler_break(s, &err);
  s->dirty = true;
  s->syncs = false;
  s->transaction++;
  return true;
}

void fl_run_leave(fl_run *run, const fl_error *err) {
  fl_scheduler *s = run->scheduler;
  if (run->fenced) return;
  run->fenced = run->stopping = true;
  run->queued = false;
  run->phase = FL_PHASE_ENDED;
  s->fenced_count++;
  // Its slots count for itself from now on: who called it may be gone before it.
  run->root->family_held -= run->held;
  run->root->family_unstarted -= run->unstarted;
  fl_lineup_leave(run);
  run->root = run;
  run->family_held += run->held;
  run->family_unstarted += run->unstarted;
  fl_gate_leave(run);
  fl_run_wake(run);
  free(run->error);
  fl_buf text;
  fl_buf_init(&text, FL_ERROR_TEXT_MAX);
  fl_buf_addf(&text, "run %s: %s", run->row.id, err->message);
  run->error = fl_buf_take(&text);
  fl_event_run(run, FL_EVENT_RUN_LEFT, NULL, 0);
}

bool fl_run_touch(fl_run *run) {
  fl_scheduler *s = run->scheduler;
  fl_error err;
  if (run->fenced || !fl_scheduler_begin(s)) return false;
  if (FL_BUG(durability_of_others)) s->syncs = false;
  if (run->touched == s->transaction) return s->syncs |= run->syncs, true;
  // One that is not recorded yet can be nobody else's.
  int cancel = 0;
  fl_code rc = FL_OK;
  if (run->row.row) rc = fl_store_fence(s->store, run->row.row, run->row.epoch, &cancel, &err);
  if (rc == FL_E_FENCED && !FL_BUG(one_left_is_all_left)) return fl_run_leave(run, &err), false;
  if (rc) return fl_scheduler_break(s, &err);
  run->touched = s->transaction;
  s->syncs |= run->syncs;
  // Whoever recorded it knocks, too; but may have been killed before that.
  if (cancel > run->row.cancel) s->wish_seen = true;
  return true;
}

bool fl_scheduler_commit(fl_scheduler *s) {
  fl_error err;
  if (!s->dirty) return true;
  if (!fl_scheduler_write_claims(s)) return false;
  if (fl_events_keep(s, &err)) return fl_scheduler_break(s, &err);
  s->dirty = false;
  s->claimed = 0;
  fl_durability durability = s->syncs ? FL_DURABILITY_FULL : FL_DURABILITY_GROUP;
  if (fl_store_commit_as(s->store, durability, &err)) return fl_scheduler_break(s, &err);
  if (s->syncs) s->awaited = fl_store_get_commit(s->store);
  return true;
}

static fl_code pass_error(const fl_scheduler *s, fl_error *err) {
  if (!s->broken) return FL_OK;
  if (err) *err = s->error;
  return s->error.code;
}

fl_code fl_scheduler_show(fl_scheduler *s, fl_error *err) {
  if (s->broken || !s->dirty) return FL_OK;
  bool owes = s->syncs && !s->config.never_waits;
  if (owes) s->syncs = false;
  if (fl_scheduler_commit(s)) s->owes_sync |= owes;
  return pass_error(s, err);
}

fl_code fl_scheduler_unlock(fl_scheduler *s, fl_error *err) {
  fl_code rc = s->stepping ? FL_OK : fl_scheduler_show(s, err);
  return rc ? rc : pass_error(s, err);
}

bool fl_scheduler_pay_sync(fl_scheduler *s) {
  fl_error err;
  if (!s->owes_sync) return true;
  s->owes_sync = false;
  return fl_store_sync(s->store, &err) ? fl_scheduler_break(s, &err) : true;
}

// ------------------------------------------------------------------------------------- what leaves

void fl_scheduler_add_ack(fl_scheduler *s, void (*done)(void *ud), void *ud) {
  fl_ack ack = {done, ud};
  FL_PUSH(s->acks, s->ack_count, s->ack_capacity, ack);
}

void fl_attempt_forget(fl_attempt *a, void *ud) {
  fl_scheduler *s = a->scheduler;
  for (size_t i = s->ack_at; i < s->ack_count; i++)
    if (s->acks[i].ud == ud) s->acks[i].done = NULL;
}

void fl_scheduler_mark_committed(fl_scheduler *s) {
  fl_mark mark = {.commit = s->awaited,
                  .events = s->event_base + s->event_count,
                  .acks = s->ack_base + s->ack_count,
                  .starts = s->start_base + s->start_count};
  if (s->mark_at < s->mark_count && s->marks[s->mark_count - 1].commit == mark.commit)
    s->marks[s->mark_count - 1] = mark;
  else
    FL_PUSH(s->marks, s->mark_count, s->mark_capacity, mark);
}

bool fl_scheduler_take_synced(fl_scheduler *s) {
  while (s->mark_at < s->mark_count) {
    const fl_mark *m = &s->marks[s->mark_at];
    bool synced = true; // nothing is asked of a commit that nobody waits for
    fl_error err;
    if (m->commit && fl_store_is_synced(s->store, m->commit, &synced, &err))
      return fl_scheduler_break(s, &err);
    if (!synced && !FL_BUG(mark_before_sync)) break;
    s->event_ready = (size_t)(m->events - s->event_base);
    s->ack_ready = (size_t)(m->acks - s->ack_base);
    s->start_ready = (size_t)(m->starts - s->start_base);
    s->mark_at++;
    s->fill_wanted |= s->fill_held;
    s->fill_held = false;
  }
  if (s->mark_at == s->mark_count) s->mark_at = s->mark_count = 0;
  return true;
}

bool fl_scheduler_is_synced(const fl_scheduler *s) {
  return s->mark_at == s->mark_count;
}

bool fl_scheduler_has_ready(const fl_scheduler *s) {
  return s->event_ready || s->ack_at < s->ack_ready || s->start_at < s->start_ready;
}
