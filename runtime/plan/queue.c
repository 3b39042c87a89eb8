// The binary heap behind the ready queues.
#include "plan/queue.h"
#include "base/bug.h"
#include "base/err.h"

static bool goes_before(const fl_ready *a, const fl_ready *b) {
  if (a->priority != b->priority) return a->priority > b->priority;
  return FL_BUG(ready_order_reversed) ? a->order > b->order : a->order < b->order;
}

void fl_heap_push(fl_heap *h, fl_ready item) {
  if (h->count == h->capacity) {
    h->capacity = h->capacity ? h->capacity * 2 : 16;
    h->items = fl_realloc(h->items, h->capacity * sizeof *h->items);
  }
  uint32_t at = h->count++;
  while (at > 0) {
    uint32_t up = (at - 1) / 2;
    if (!goes_before(&item, &h->items[up])) break;
    h->items[at] = h->items[up];
    at = up;
  }
  h->items[at] = item;
}

fl_ready fl_heap_pop(fl_heap *h) {
  FL_ASSERT(h->count > 0);
  fl_ready top = h->items[0], last = h->items[--h->count];
  uint32_t at = 0;
  for (;;) {
    uint32_t down = 2 * at + 1;
    if (down >= h->count) break;
    if (down + 1 < h->count && goes_before(&h->items[down + 1], &h->items[down])) down++;
    if (!goes_before(&h->items[down], &last)) break;
    h->items[at] = h->items[down];
    at = down;
  }
  if (h->count) h->items[at] = last;
  return top;
}

void fl_heap_deinit(fl_heap *h) {
  free(h->items);
  *h = (fl_heap){0};
}
