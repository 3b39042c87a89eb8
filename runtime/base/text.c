// UTF-8 and base64: the two ways in which bytes become text inside a JSON string (base/json.h).
#include "base/json.h"

// Length of the valid sequence at `p`, 0 when there is none. Refuses what RFC 3629 refuses:
// overlong forms, surrogates, anything past U+10FFFF.
static size_t sequence_size(const unsigned char *p, const unsigned char *end) {
  unsigned char c = p[0];
  if (c < 0x80) return 1;
  if (c < 0xC2 || c > 0xF4) return 0;
  size_t size = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
  if ((size_t)(end - p) < size) return 0;
  unsigned char low = 0x80, high = 0xBF;
  if (c == 0xE0) low = 0xA0;
  if (c == 0xED) high = 0x9F;
  if (c == 0xF0) low = 0x90;
  if (c == 0xF4) high = 0x8F;
  if (p[1] < low || p[1] > high) return 0;
  for (size_t i = 2; i < size; i++)
    if ((p[i] & 0xC0) != 0x80) return 0;
  return size;
}

static const unsigned char *skip_ascii(const unsigned char *p, const unsigned char *end) {
  while (end - p >= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    if (word & 0x8080808080808080u) break;
    p += 8;
  }
  while (p < end && *p < 0x80) p++;
  return p;
}

bool fl_utf8_valid(const char *text, size_t size) {
  const unsigned char *p = (const unsigned char *)text, *end = p + size;
  while ((p = skip_ascii(p, end)) < end) {
    size_t n = sequence_size(p, end);
    if (n == 0) return false;
    p += n;
  }
  return true;
}

void fl_utf8_clean(fl_buf *out, const char *text, size_t size) {
  const unsigned char *p = (const unsigned char *)text, *end = p + size, *from = p;
  while ((p = skip_ascii(p, end)) < end) {
    size_t n = sequence_size(p, end);
    if (n > 0) {
      p += n;
      continue;
    }
    fl_buf_add(out, from, (size_t)(p - from));
    fl_buf_add(out, "\xEF\xBF\xBD", 3);
    from = ++p;
  }
  fl_buf_add(out, from, (size_t)(p - from));
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void fl_base64_write(fl_buf *out, const void *data, size_t size) {
  if (size > SIZE_MAX / 2 || !fl_buf_reserve(out, (size + 2) / 3 * 4)) {
    out->failed = true;
    return;
  }
  const unsigned char *p = data;
  char *to = out->data + out->size;
  for (; size >= 3; size -= 3, p += 3) {
    *to++ = digits[p[0] >> 2];
    *to++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
    *to++ = digits[(p[1] & 15) << 2 | p[2] >> 6];
    *to++ = digits[p[2] & 63];
  }
  if (size > 0) {
    unsigned char second = size > 1 ? p[1] : 0;
    *to++ = digits[p[0] >> 2];
    *to++ = digits[(p[0] & 3) << 4 | second >> 4];
    *to++ = size > 1 ? digits[(second & 15) << 2] : '=';
    *to++ = '=';
  }
  out->size = (size_t)(to - out->data);
}

static int digit_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool fl_base64_read(fl_buf *out, const char *text, size_t size) {
  if (size % 4 != 0) return false;
  size_t padding = 0;
  while (padding < 2 && padding < size && text[size - 1 - padding] == '=') padding++;
  uint32_t bits = 0;
  for (size_t i = 0; i < size; i++) {
    int value = i >= size - padding ? 0 : digit_value(text[i]);
    if (value < 0) return false;
    bits = bits << 6 | (uint32_t)value;
    if (i % 4 != 3) continue;
    size_t count = i == size - 1 ? 3 - padding : 3;
    char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
    // Bits that belong to no byte must be zero, or two texts would mean the same bytes.
    if (count < 3 && (bits & (count == 2 ? 0xFFu : 0xFFFFu))) return false;
    fl_buf_add(out, bytes, count);
    bits = 0;
  }
  return !out->failed;
}
