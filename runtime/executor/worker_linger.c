// Looks at a word of shared memory for some microseconds.
#include "executor/worker_linger.h"
#include <time.h>

#define MISSES_MAX 8  // from then on 255 occasions pass before the next try
#define LOOKS      16 // between two looks at the clock

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

bool fl_linger_until(fl_linger *l, const _Atomic uint64_t *word, uint64_t seen) {
  if (l->skip) {
    l->skip--;
    return atomic_load_explicit(word, memory_order_acquire) != seen;
  }
  int64_t end_ns = now_ns() + FL_LINGER_NS;
  do {
    for (int i = 0; i < LOOKS; i++) {
      if (atomic_load_explicit(word, memory_order_acquire) != seen) {
        if (l->misses) l->misses--;
        return true;
      }
      relax();
    }
  } while (now_ns() < end_ns);
  if (l->misses < MISSES_MAX) l->misses++;
  l->skip = (1u << l->misses) - 1;
  return false;
}
