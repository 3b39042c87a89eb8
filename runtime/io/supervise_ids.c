// A hash set of child ids.
#include "io/supervise_internal.h"

#define FREE_MARK '\xff'

bool fl_id_set_is_free(const fl_child_id *place) {
  return place->run[0] == FREE_MARK;
}

static fl_child_id *find(const fl_id_set *set, const fl_child_id *id) {
  for (size_t at = (size_t)fl_child_id_hash(id);; at++) {
    fl_child_id *place = &set->ids[at & (set->capacity - 1)];
    if (fl_id_set_is_free(place) || fl_child_id_equal(place, id)) return place;
  }
}

void fl_id_set_deinit(fl_id_set *set) {
  free(set->ids);
  memset(set, 0, sizeof *set);
}

static void resize(fl_id_set *set, size_t capacity) {
  fl_id_set old = *set;
  set->capacity = capacity;
  set->ids = fl_alloc(capacity * sizeof *set->ids);
  for (size_t i = 0; i < capacity; i++) set->ids[i].run[0] = FREE_MARK;
  for (size_t i = 0; i < old.capacity; i++) {
    if (!fl_id_set_is_free(&old.ids[i])) *find(set, &old.ids[i]) = old.ids[i];
  }
  free(old.ids);
}

void fl_id_set_add(fl_id_set *set, const fl_child_id *id) {
  if (2 * (set->count + 1) > set->capacity) resize(set, set->capacity ? 2 * set->capacity : 64);
  fl_child_id *place = find(set, id);
  if (!fl_id_set_is_free(place)) return;
  *place = *id;
  set->count++;
}

bool fl_id_set_has(const fl_id_set *set, const fl_child_id *id) {
  return set->capacity && !fl_id_set_is_free(find(set, id));
}

bool fl_id_set_remove(fl_id_set *set, const fl_child_id *id) {
  if (!fl_id_set_has(set, id)) return false;
  size_t mask = set->capacity - 1, hole = (size_t)(find(set, id) - set->ids);
  // Those behind that had to step over this place move up.
  for (size_t at = (hole + 1) & mask; !fl_id_set_is_free(&set->ids[at]); at = (at + 1) & mask) {
    size_t home = (size_t)fl_child_id_hash(&set->ids[at]) & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    set->ids[hole] = set->ids[at];
    hole = at;
  }
  set->ids[hole].run[0] = FREE_MARK;
  set->count--;
  return true;
}

fl_child_id *fl_id_set_take(fl_id_set *set, size_t *count) {
  fl_child_id *ids = fl_alloc((set->count + 1) * sizeof *ids);
  *count = 0;
  for (size_t i = 0; i < set->capacity; i++) {
    if (!fl_id_set_is_free(&set->ids[i])) ids[(*count)++] = set->ids[i];
  }
  fl_id_set_deinit(set);
  return ids;
}
