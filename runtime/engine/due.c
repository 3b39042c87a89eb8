// What comes due by itself: retries, timeouts, another look. Each can be dropped from anywhere.
#include "engine/run_internal.h"

fl_due *fl_due_add(fl_scheduler *s, const fl_due *what) {
  fl_due *d = fl_alloc(sizeof *d);
  *d = *what;
  d->place = (fl_place){0};
  fl_line_put(&s->dues, &d->place, (fl_rank){.level = -d->at_ms, .order = ++s->due_order});
  if (!d->run) return d;
  d->prev = NULL;
  d->next = d->run->dues;
  if (d->next) d->next->prev = d;
  d->run->dues = d;
  return d;
}

static void unlink_due(fl_scheduler *s, fl_due *d) {
  fl_line_remove(&s->dues, &d->place);
  if (!d->run) return;
  if (d->prev)
    d->prev->next = d->next;
  else
    d->run->dues = d->next;
  if (d->next) d->next->prev = d->prev;
}

void fl_due_drop(fl_scheduler *s, fl_due *d) {
  unlink_due(s, d);
  free(d);
}

bool fl_due_take(fl_scheduler *s, int64_t now_ms, fl_due *out) {
  fl_due *d = (fl_due *)fl_line_first(&s->dues);
  if (!d || d->at_ms > now_ms) return false;
  unlink_due(s, d);
  *out = *d;
  free(d);
  return true;
}

int64_t fl_due_next_ms(const fl_scheduler *s) {
  const fl_due *d = (const fl_due *)fl_line_first(&s->dues);
  return d ? d->at_ms : -1;
}

void fl_due_drop_all(fl_run *run) {
  while (run->dues) fl_due_drop(run->scheduler, run->dues);
}
