// How an engine that is closed leaves the runs that it could not end.
#include "engine/run.h"

static bool all_alarmed(const fl_attempt *list) {
  for (; list; list = list->next)
    if (!list->alarmed) return false;
  return true;
}

bool fl_scheduler_is_stuck(const fl_scheduler *s) {
  return (s->live_slots || s->live_free) && all_alarmed(s->live_slots) && all_alarmed(s->live_free);
}

void fl_scheduler_release_runs(fl_scheduler *s) {
  fl_error err;
  if (!s->run_count || !fl_scheduler_begin(s)) return;
  for (size_t i = 0; i < s->run_count; i++)
    if (fl_store_renew_lease(s->store, s->runs[i]->row.row, 0, &err)) fl_scheduler_break(s, &err);
  fl_scheduler_commit(s);
}
