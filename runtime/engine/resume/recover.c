// What became of attempts that a dead engine had begun: each executor is asked about its own, and
// until all have answered the run starts nothing, as what ran may still be there.
#include "engine/run_internal.h"
#include "base/bug.h"

// It had not begun, or goes on only here: without what a parent that runs again will give it, it
// would see less than it depends on.
static void take_back(fl_attempt *a) {
  bool over = fl_run_item_is_over(a->run, a->node);
  fl_attempt_end(a, &(fl_outcome){.state = over ? FL_ATTEMPT_CANCELLED : FL_ATTEMPT_LOST,
                                  .reason = FL_REASON_RERUN_UPSTREAM,
                                  .exit_code = -1,
                                  .error = fl_reason_text(FL_REASON_RERUN_UPSTREAM)});
}

void fl_attempt_settle(fl_attempt *a, fl_fate fate) {
  fl_run *run = a->run;
  switch (fate) {
  case FL_FATE_RUNNING:
    fl_attempt_set_known(a);
    // Whoever wanted its end meanwhile could not reach it.
    if (a->cancelling)
      fl_attempt_cancel(a, run->stop_asked == FL_ASKED_KILL ? 0 : a->options->grace_ms);
    return;
  case FL_FATE_ENDED: return;
  case FL_FATE_NOT_STARTED:
    fl_attempt_set_known(a);
    fl_attempt_get_site(a)->adopted -= a->adopted;
    a->started = a->adopted = false;
    if (!fl_run_touch(run)) return;
    if (!fl_plan_may_start(run->plan, a->node)) return take_back(a);
    a->scheduler->entering |= a->child_run != 0;
    return fl_attempt_hand_over(a);
  case FL_FATE_LOST:
    // One that was to end is gone, as was wanted.
    fl_attempt_end(a, &(fl_outcome){.state = FL_BUG(lost_is_success) ? FL_ATTEMPT_SUCCEEDED
                                             : a->cancelling         ? FL_ATTEMPT_CANCELLED
                                                                     : FL_ATTEMPT_LOST,
                                    .exit_code = -1,
                                    .error = "its process was lost with the engine or the "
                                             "supervisor"});
  }
}

void fl_scheduler_recovered(fl_scheduler *s, const char *run_id, uint64_t recovery) {
  fl_run *run = fl_scheduler_find_run(s, run_id);
  if (!run) return;
  fl_attempt **lost = fl_alloc((run->unknown_count + 1) * sizeof *lost);
  fl_attempt *const lists[] = {run->live.first, run->claims.first};
  size_t count = 0;
  for (int i = 0; i < 2; i++)
    for (fl_attempt *a = lists[i]; a; a = a->next) {
      if (!a->unknown || a->recovery != recovery) continue;
      if (a->unknown == 1)
        lost[count++] = a;
      else
        a->unknown--;
    }
  while (count) fl_attempt_settle(lost[--count], FL_FATE_LOST);
  free(lost);
}

// One keeper at a time. Each executor is asked about its own attempts, also when it has none: what
// ran inside the dead engine or its workers is lost, and its supervisor answers when the workers,
// and the children of such nodes, are gone.
static void ask_about(fl_run *run, const char *keeper, fl_attempt **group, size_t size) {
  fl_scheduler *s = run->scheduler;
  fl_attempt **part = fl_alloc((size + 1) * sizeof *part);
  uint32_t *sites = fl_alloc((size + 1) * sizeof *sites);
  uint64_t recovery = ++s->recovery;
  const char *id = run->row.id;
  for (size_t i = 0; i < size; i++) {
    group[i]->recovery = recovery;
    group[i]->unknown = *keeper ? s->site_count - 1 : 1;
    run->unknown_count++;
    sites[i] = group[i]->executor;
  }
  for (uint32_t site = 1; site < s->site_count && *keeper; site++) {
    const fl_executor *x = &s->sites[site].x;
    size_t own = 0;
    for (size_t i = 0; i < size && x->outlives_engine; i++)
      if (sites[i] == site)
        part[own++] = group[i]; // only its executor says what it is: it is there
    if (x->recover)
      x->recover(x->ud, run, keeper, recovery, part, own);
    else
      fl_scheduler_recovered(s, id, recovery);
  }
  if (!*keeper) fl_scheduler_recovered(s, id, recovery);
  free(part);
  free(sites);
}

void fl_run_recover(fl_run *run, fl_attempt **list, const char **keepers, size_t count) {
  fl_attempt **group = fl_alloc((count + 1) * sizeof *group);
  for (size_t at = 0; at < count; at++) {
    if (!list[at]) continue;
    const char *keeper = keepers[at];
    size_t size = 0;
    for (size_t i = at; i < count; i++) {
      if (!list[i] || strcmp(keepers[i], keeper)) continue;
      group[size++] = list[i];
      list[i] = NULL;
    }
    ask_about(run, keeper, group, size);
  }
  free(group);
}
