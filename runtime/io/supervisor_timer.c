// When to look at a child again: a heap of children by the time that is due.
#include "io/supervisor_internal.h"

#define NOWHERE SIZE_MAX

static void place(fl_sup *sup, size_t at, fl_sup_child *child) {
  sup->timers[at] = child;
  child->timer_at = at;
}

static void sift(fl_sup *sup, size_t at, fl_sup_child *child) {
  while (at > 0 && sup->timers[(at - 1) / 2]->due > child->due) {
    place(sup, at, sup->timers[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  for (;;) {
    size_t below = 2 * at + 1;
    if (below >= sup->timer_count) break;
    if (below + 1 < sup->timer_count && sup->timers[below + 1]->due < sup->timers[below]->due)
      below++;
    if (sup->timers[below]->due >= child->due) break;
    place(sup, at, sup->timers[below]);
    at = below;
  }
  place(sup, at, child);
}

void fl_sup_timer_set(fl_sup *sup, fl_sup_child *child, int64_t due) {
  if (due == child->due) return;
  child->due = due;
  if (due == INT64_MAX) {
    size_t at = child->timer_at;
    child->timer_at = NOWHERE;
    if (at == NOWHERE) return;
    fl_sup_child *last = sup->timers[--sup->timer_count];
    if (last != child) sift(sup, at, last);
    return;
  }
  if (child->timer_at != NOWHERE) {
    sift(sup, child->timer_at, child);
    return;
  }
  if (sup->timer_count == sup->timer_capacity) {
    sup->timer_capacity = sup->timer_capacity ? 2 * sup->timer_capacity : 64;
    sup->timers = fl_realloc(sup->timers, sup->timer_capacity * sizeof(fl_sup_child *));
  }
  sift(sup, sup->timer_count++, child);
}

int64_t fl_sup_timer_run(fl_sup *sup) {
  while (sup->timer_count && sup->timers[0]->due <= sup->now) {
    fl_sup_child *child = sup->timers[0];
    fl_sup_timer_set(sup, child, INT64_MAX);
    fl_sup_child_tick(sup, child);
  }
  return sup->timer_count ? sup->timers[0]->due : INT64_MAX;
}
