// A binary heap in which everything knows its place.
#include "plan/line.h"
#include "base/err.h"

bool fl_rank_goes_before(const fl_rank *a, const fl_rank *b) {
  if (a->level != b->level) return a->level > b->level;
  if (a->held != b->held) return a->held < b->held;
  if (a->order != b->order) return a->order < b->order;
  return a->within < b->within;
}

static void set(fl_line *l, uint32_t at, fl_place *place) {
  l->places[at] = place;
  place->at = at + 1;
}

static void rise(fl_line *l, fl_place *place) {
  uint32_t at = place->at - 1;
  while (at > 0 && fl_rank_goes_before(&place->rank, &l->places[(at - 1) / 2]->rank)) {
    set(l, at, l->places[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  set(l, at, place);
}

static void sink(fl_line *l, fl_place *place) {
  uint32_t at = place->at - 1;
  for (uint32_t down; (down = 2 * at + 1) < l->count; at = down) {
    if (down + 1 < l->count &&
        fl_rank_goes_before(&l->places[down + 1]->rank, &l->places[down]->rank))
      down++;
    if (!fl_rank_goes_before(&l->places[down]->rank, &place->rank)) break;
    set(l, at, l->places[down]);
  }
  set(l, at, place);
}

void fl_line_put(fl_line *l, fl_place *place, fl_rank rank) {
  place->rank = rank;
  if (!place->at) {
    if (l->count == l->capacity) {
      l->capacity = l->capacity ? l->capacity * 2 : 8;
      l->places = fl_realloc(l->places, l->capacity * sizeof *l->places);
    }
    set(l, l->count++, place);
  }
  rise(l, place);
  sink(l, place);
}

void fl_line_remove(fl_line *l, fl_place *place) {
  if (!place->at) return;
  fl_place *last = l->places[--l->count];
  uint32_t at = place->at - 1;
  place->at = 0;
  if (last == place) return;
  set(l, at, last);
  rise(l, last);
  sink(l, last);
}

void fl_line_deinit(fl_line *l) {
  free(l->places);
  *l = (fl_line){0};
}
