// Whether text is canonical JSON already: then nobody has to parse it and write it again.
//
// No second parser: what is rare (a fraction, an escape in a key) goes the long way, by parts or as
// a whole, and "no" only ever costs time.
#include "base/json.h"
#include "base/limits.h"

#define DIGITS_MAX 15 // all integers of so many digits are below 2^53

typedef struct reader {
  const char *at, *end;
} reader;

typedef struct part {
  const char *text;
  size_t size;
} part;

static bool take(reader *r, const char *word, size_t size) {
  if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size)) return false;
  r->at += size;
  return true;
}

// What may follow a backslash: only what the writer puts there.
static bool take_escape(reader *r) {
  if (r->at == r->end) return false;
  char c = *r->at++;
  if (c != 'u') return c && strchr("\"\\btnfr", c);
  if (r->end - r->at < 4 || r->at[0] != '0' || r->at[1] != '0') return false;
  if (r->at[2] != '0' && r->at[2] != '1') return false;
  char low = r->at[3];
  if (!(low >= '0' && low <= '9') && !(low >= 'a' && low <= 'f')) return false;
  // \b \t \n \f \r have their letters.
  bool lettered = r->at[2] == '0' && strchr("89acd", low);
  r->at += 4;
  return !lettered;
}

// Whether none of eight bytes is a quote, a backslash or below a space; it never misses one.
static bool is_plain(const char *at) {
  const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
  uint64_t word;
  memcpy(&word, at, sizeof word);
  uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
  // The usual "is one of them zero" and "is one of them less".
  uint64_t found = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
                   ((word - ones * 0x20) & ~word);
  return !(found & tops);
}

static bool take_string(reader *r, bool escapes, part *out) {
  if (!take(r, "\"", 1)) return false;
  out->text = r->at;
  for (;;) {
    while (r->end - r->at >= 8 && is_plain(r->at)) r->at += 8;
    if (r->at == r->end) return false;
    unsigned char c = (unsigned char)*r->at++;
    if (c == '"') {
      out->size = (size_t)(r->at - 1 - out->text);
      return true;
    }
    if (c < 0x20 || (c == '\\' && !(escapes && take_escape(r)))) return false;
  }
}

// Any other number than a short integer: as the parser and the writer have it.
static bool is_same_again(part number) {
  json_t *value;
  fl_error err;
  if (fl_json_parse(number.text, number.size, &value, &err)) return false;
  fl_buf again;
  fl_buf_init(&again, number.size);
  fl_json_write(&again, value);
  bool same =
      !again.failed && again.size == number.size && !memcmp(again.data, number.text, number.size);
  fl_buf_deinit(&again);
  json_decref(value);
  return same;
}

static bool take_number(reader *r) {
  part number = {.text = r->at};
  bool minus = take(r, "-", 1);
  const char *digits = r->at;
  while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
  size_t count = (size_t)(r->at - digits);
  while (r->at < r->end && *r->at && strchr("0123456789.eE+-", *r->at)) r->at++;
  number.size = (size_t)(r->at - number.text);
  if (number.size != minus + count || count > DIGITS_MAX) return is_same_again(number);
  return count && (*digits != '0' || (count == 1 && !minus));
}

static bool take_value(reader *r, unsigned left);

static bool take_list(reader *r, unsigned left) {
  if (!take(r, "[", 1)) return false;
  if (take(r, "]", 1)) return true;
  do
    if (!take_value(r, left)) return false;
  while (take(r, ",", 1));
  return take(r, "]", 1);
}

static bool goes_before(part a, part b) {
  int order = memcmp(a.text, b.text, a.size < b.size ? a.size : b.size);
  return order ? order < 0 : a.size < b.size;
}

static bool take_map(reader *r, unsigned left) {
  part key, before = {0};
  if (!take(r, "{", 1)) return false;
  if (take(r, "}", 1)) return true;
  do {
    if (!take_string(r, false, &key) || !take(r, ":", 1)) return false;
    if (before.text && !goes_before(before, key)) return false;
    if (!take_value(r, left)) return false;
    before = key;
  } while (take(r, ",", 1));
  return take(r, "}", 1);
}

static bool take_value(reader *r, unsigned left) {
  part ignored;
  if (r->at == r->end) return false;
  switch (*r->at) {
  case 'n': return take(r, "null", 4);
  case 't': return take(r, "true", 4);
  case 'f': return take(r, "false", 5);
  case '"': return take_string(r, true, &ignored);
  case '[': return left && take_list(r, left - 1);
  case '{': return left && take_map(r, left - 1);
  default: return take_number(r);
  }
}

bool fl_json_is_canonical(const char *text, size_t size) {
  reader r = {text, text + size};
  return take_value(&r, FL_VALUE_DEPTH_MAX) && r.at == r.end && fl_utf8_valid(text, size);
}
