// Waits a moment for the other side of a worker's socket before going to sleep, and learns where
// that is worth it.
//
// To wake somebody up on another processor takes longer than a commit: an engine and a worker that
// speak in turns would spend most of their time with that. Whoever waited in vain lets pass some
// occasions before the next try, more each time: where the other side takes its time, or needs this
// processor, it costs next to nothing.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// At most: enough for the other side to wake up (some 70 us), commit (30 us) and answer. With less,
// two that sleep could never find back to where both are awake.
#define FL_LINGER_NS 150000

/// Zero-initialise.
typedef struct fl_linger {
  uint32_t skip;   // occasions to let pass
  uint32_t misses; // more of them than hits
} fl_linger;

/// Waits until `word` is no more `seen`; false: it still is, or this was not worth a try.
bool fl_linger_until(fl_linger *l, const _Atomic uint64_t *word, uint64_t seen);
