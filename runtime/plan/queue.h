// A heap of ready nodes: higher priority first, then the order of declaration.
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct fl_ready {
  int32_t priority;
  uint32_t node;
  uint64_t order; // declaration order; items stand behind their map
} fl_ready;

typedef struct fl_heap {
  fl_ready *items;
  uint32_t count, capacity;
} fl_heap;

void fl_heap_push(fl_heap *h, fl_ready item);
/// The heap must not be empty.
fl_ready fl_heap_pop(fl_heap *h);
void fl_heap_deinit(fl_heap *h);
