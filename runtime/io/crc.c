// CRC-32, eight bytes a step.
#include "io/crc.h"

static uint32_t table[8][256];

// Runs before main(), so that no later call has to ask whether the table is there.
__attribute__((constructor)) static void fill_table(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; bit++) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
    table[0][i] = c;
  }
  for (uint32_t i = 0; i < 256; i++) {
    for (int k = 1; k < 8; k++) {
      table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
    }
  }
}

static uint32_t read_u32(const unsigned char *p) {
  return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t fl_crc32(uint32_t crc, const void *data, size_t size) {
  const unsigned char *p = data;
  crc = ~crc;
  for (; size >= 8; size -= 8, p += 8) {
    uint32_t a = crc ^ read_u32(p), b = read_u32(p + 4);
    crc = table[7][a & 0xff] ^ table[6][a >> 8 & 0xff] ^ table[5][a >> 16 & 0xff] ^
          table[4][a >> 24] ^ table[3][b & 0xff] ^ table[2][b >> 8 & 0xff] ^
          table[1][b >> 16 & 0xff] ^ table[0][b >> 24];
  }
  for (; size; size--, p++) crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
  return ~crc;
}
