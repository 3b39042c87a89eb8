// The simulator's second world: many runs at once.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct many_totals {
  uint64_t runs, told, crashes, robberies, pruned;
} many_totals;
/// Runs a seed: true when all held; else `failure` says what did not.
bool many_run_seed(uint64_t seed, bool trace, char *failure, size_t size, uint64_t *digest,
                   many_totals *totals);
