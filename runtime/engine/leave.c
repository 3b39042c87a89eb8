// How runs leave an engine: they have ended, another one owns them now, or this one is closed and
// could not end them.
#include "engine/run_internal.h"

void fl_scheduler_remove_run(fl_scheduler *s, fl_run *run) {
  fl_due_drop_all(run);
  fl_lineup_leave(run);
  fl_gate_leave(run);
  fl_table_remove(&s->by_id, &run->link);
  s->runs[run->index] = s->runs[--s->run_count];
  s->runs[run->index]->index = run->index;
  s->fenced_count -= run->fenced;
}

void fl_scheduler_sweep(fl_scheduler *s) {
  for (size_t i = 0; i < s->gone_count; i++) {
    fl_run *run = s->gone[i];
    run->going = false;
    if (run->awake) continue; // somebody is still to look at it, and will find it has ended
    fl_scheduler_remove_run(s, run);
    fl_event_free_run(run);
  }
  s->gone_count = 0;
}

// It goes on, if at all, under the run's new owner.
static void give_up(fl_attempt *a) {
  const fl_executor *x = &fl_attempt_get_site(a)->x;
  bool goes_on = x->outlives_engine && a->told; // what nobody was told of nobody will ask about
  if (a->started && !goes_on && !x->enters_again && !a->unknown) {
    a->cancelling = true;
    x->cancel(x->ud, a, 0);
    return;
  }
  if (a->started && (goes_on || a->unknown)) x->let_go(x->ud, a);
  fl_attempt_detach(a);
  fl_attempt_free(a);
}

static void give_up_of(fl_attempt *list) {
  for (fl_attempt *a = list, *next; a; a = next) {
    next = a->next;
    give_up(a);
  }
}

// What it had called is entered by whoever owns it now.
static void leave_children(fl_scheduler *s, const fl_run *run) {
  for (size_t i = 0; i < s->run_count; i++) {
    fl_run *child = s->runs[i];
    if (!child->parent || child->parent->run != run) continue;
    fl_error err;
    fl_fail(&err, FL_E_FENCED, "the run that called it was taken over by another engine");
    child->parent->child = NULL;
    child->parent = NULL;
    fl_run_leave(child, &err);
  }
}

// The run that called it is still ours: its call has lost what it waits for.
static void lose_call(fl_run *run) {
  fl_attempt *call = run->parent;
  if (!call || call->run->fenced) return;
  run->parent = NULL;
  call->child = NULL;
  fl_attempt_end(call,
                 &(fl_outcome){.state = FL_ATTEMPT_LOST, .exit_code = -1, .error = run->error});
}

void fl_scheduler_give_up_left(fl_scheduler *s) {
  bool any = s->fenced_count > 0;
  while (any && !s->broken) { // leaving its children is leaving more
    any = false;
    for (size_t i = 0; i < s->run_count; i++) {
      fl_run *run = s->runs[i];
      if (!run->fenced || run->fence_told) continue;
      any = run->fence_told = true;
      leave_children(s, run);
      lose_call(run);
      give_up_of(run->live.first);
      give_up_of(run->claims.first);
    }
  }
}

// ------------------------------------------------------------------------------------- closing

bool fl_scheduler_is_stuck(const fl_scheduler *s) {
  return s->alarmed_count && s->alarmed_count == s->live_count;
}

void fl_scheduler_release_runs(fl_scheduler *s) {
  fl_error err;
  for (size_t i = 0; i < s->run_count; i++)
    if (fl_run_touch(s->runs[i]) && fl_store_release_run(s->store, s->runs[i]->row.row, &err))
      fl_scheduler_break(s, &err);
  fl_scheduler_commit(s);
}
