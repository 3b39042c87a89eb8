// FNV-1a of 32 bits.
#include "io/checksum.h"

#define BASIS 2166136261u // so that zeros at the beginning count
#define PRIME 16777619u

uint32_t fl_checksum(uint32_t sum, const void *data, size_t size) {
  const unsigned char *p = data;
  uint32_t h = sum ^ BASIS;
  for (size_t i = 0; i < size; i++) h = (h ^ p[i]) * PRIME;
  return h ^ BASIS;
}
