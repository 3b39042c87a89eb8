// Lines in which something waits for its turn, the best first; what stands in one can be moved or
// taken out from anywhere. Pure.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bug.h"

/// What goes before what, the first that differs decides: a higher level, fewer held, an earlier
/// order, an earlier `within`.
typedef struct fl_rank {
  int64_t level;
  uint32_t held;
  uint64_t order, within;
} fl_rank;
bool fl_rank_goes_before(const fl_rank *a, const fl_rank *b);

/// Part of whatever stands in a line. Zero-initialise.
typedef struct fl_place {
  fl_rank rank;
  uint32_t at; // where in its line, from 1; 0: it stands in none
} fl_place;

/// A heap of places, which it borrows. Zero-initialise; fl_line_deinit().
typedef struct fl_line {
  fl_place **places;
  uint32_t count, capacity;
} fl_line;

/// Lets `place` stand in the line with `rank`, or moves it there.
void fl_line_put(fl_line *l, fl_place *place, fl_rank rank);
/// Takes it out; it need not stand there.
void fl_line_remove(fl_line *l, fl_place *place);
/// The best, NULL: nobody stands there.
static inline fl_place *fl_line_first(const fl_line *l) {
  return l->count ? l->places[0] : 0;
}
void fl_line_deinit(fl_line *l);

#define FL_AGING_MS 60000 // who waits this long goes before one priority more

/// The level of one that has `priority` and was given nothing since `since_ms`. A whole minute's
/// wait counts as much as a priority: two levels compare the same whenever they are looked at.
static inline int64_t fl_rank_level(int32_t priority, int64_t since_ms) {
  return priority - (FL_BUG(no_aging) ? 0 : since_ms / FL_AGING_MS);
}
