// What time it is, how long a slice of node code took, and whether a step's time is over.
#include "engine/run_internal.h"

int64_t fl_now(const fl_scheduler *s) {
  return s->clock.wall_ms(s->clock.ud);
}

int64_t fl_ticks(const fl_scheduler *s) {
  return s->clock.monotonic_ms(s->clock.ud);
}

int64_t fl_scheduler_get_budget_us(const fl_scheduler *s) {
  if (s->config.budget_us) return s->config.budget_us(s->config.ud);
  return fl_ticks(s) * 1000;
}

void fl_scheduler_watch_slices(fl_scheduler *s, fl_slice *longest) {
  s->longest_slice = longest;
}

void fl_attempt_begin_slice(fl_attempt *a, fl_slice_clock *clock) {
  clock->scheduler = a->scheduler->longest_slice ? a->scheduler : NULL;
  if (!clock->scheduler) return;
  clock->began_us = fl_scheduler_get_budget_us(a->scheduler);
  memcpy(clock->run, a->run->row.id, sizeof clock->run);
  clock->node = a->node;
}

void fl_attempt_end_slice(const fl_slice_clock *clock) {
  fl_slice *longest = clock->scheduler ? clock->scheduler->longest_slice : NULL;
  int64_t us = longest ? fl_scheduler_get_budget_us(clock->scheduler) - clock->began_us : 0;
  if (!longest || us <= longest->us) return;
  longest->us = us;
  longest->node = clock->node;
  memcpy(longest->run, clock->run, sizeof longest->run);
}

#define UNITS_LEAST 64 // of a commit that writes next to nothing
#define EVENT_UNITS 4  // with the attempt that it tells of, against a claim

size_t fl_scheduler_count_unmarked(const fl_scheduler *s) {
  size_t marked = s->event_ready;
  if (s->mark_at < s->mark_count)
    marked = (size_t)(s->marks[s->mark_count - 1].events - s->event_base);
  return s->event_count - marked;
}

int64_t fl_scheduler_count_units(const fl_scheduler *s) {
  return UNITS_LEAST + s->claimed + EVENT_UNITS * (int64_t)fl_scheduler_count_unmarked(s);
}

// What is done has to be committed in the same step: its commit takes the longer the more it is.
bool fl_scheduler_is_out_of_time(const fl_scheduler *s) {
  int64_t now = fl_scheduler_get_budget_us(s);
  int64_t until = s->until_us - fl_scheduler_count_units(s) * s->unit_ns / 1000;
  return now >= s->until_us || (now >= s->half_us && now >= until);
}
