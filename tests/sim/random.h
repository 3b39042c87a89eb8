// Numbers that a seed decides: the only source of chance in the simulator.
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct sim_random {
  uint64_t state;
} sim_random;

static inline uint64_t sim_next(sim_random *r) {
  uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
/// from <= x <= to
static inline int64_t sim_range(sim_random *r, int64_t from, int64_t to) {
  return from + (int64_t)(sim_next(r) % (uint64_t)(to - from + 1));
}
/// True `percent` times of a hundred.
static inline bool sim_chance(sim_random *r, int percent) {
  return sim_range(r, 1, 100) <= percent;
}
/// A number that stays the same for the same words (FNV-1a).
static inline uint64_t sim_hash(uint64_t h, const void *data, uint64_t size) {
  const uint8_t *at = data;
  for (uint64_t i = 0; i < size; i++) h = (h ^ at[i]) * 0x100000001b3u;
  return h;
}
