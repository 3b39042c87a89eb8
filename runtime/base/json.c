// JSON in and out: jansson reads, this file writes canonical text (the rules are in base/json.h).
#include "base/json.h"
#include "base/limits.h"
#include <float.h>
#include <math.h>

// A document of ours may hold values inside (a context, a `show`): a few levels more than a value.
#define WRITE_DEPTH_MAX (FL_VALUE_DEPTH_MAX + 16)
#define EXACT_MAX       9007199254740992.0 // 2^53

static bool depth_fits(const json_t *value, unsigned left) {
  if (!json_is_array(value) && !json_is_object(value)) return true;
  if (left == 0) return false;
  size_t i;
  const char *key;
  json_t *item;
  json_array_foreach(value, i, item) if (!depth_fits(item, left - 1)) return false;
  json_object_foreach((json_t *)value, key, item) if (!depth_fits(item, left - 1)) return false;
  return true;
}

fl_code fl_json_parse(const char *text, size_t size, json_t **out, fl_error *err) {
  *out = NULL;
  json_error_t error;
  // jansson takes a zero byte after the value for the end of the text.
  if (memchr(text, '\0', size))
    return fl_fail(err, FL_E_USAGE, "not valid JSON: a zero byte in it");
  json_t *value =
      json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
  if (!value)
    return fl_fail(err, FL_E_USAGE, "not valid JSON: %s at line %d, column %d", error.text,
                   error.line, error.column);
  if (!depth_fits(value, FL_VALUE_DEPTH_MAX)) {
    json_decref(value);
    return fl_fail(err, FL_E_LIMIT, "JSON is nested deeper than %d levels", FL_VALUE_DEPTH_MAX);
  }
  *out = value;
  return FL_OK;
}

typedef struct object_entry {
  const char *key;
  size_t size;
  const json_t *value;
} object_entry;

static int compare_entries(const void *a, const void *b) {
  const object_entry *x = a, *y = b;
  int order = memcmp(x->key, y->key, x->size < y->size ? x->size : y->size);
  if (order != 0) return order;
  return x->size < y->size ? -1 : x->size > y->size;
}

static void write_value(fl_buf *out, const json_t *value, unsigned left);

static void write_object(fl_buf *out, const json_t *value, unsigned left) {
  json_t *object = (json_t *)value;
  size_t count = 0;
  object_entry few[16];
  size_t total = json_object_size(object);
  object_entry *entries = total <= 16 ? few : fl_alloc(total * sizeof *entries);
  for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
    entries[count++] = (object_entry){json_object_iter_key(at), json_object_iter_key_len(at),
                                      json_object_iter_value(at)};
  }
  qsort(entries, count, sizeof *entries, compare_entries);
  fl_buf_add_char(out, '{');
  for (size_t i = 0; i < count && !out->failed; i++) {
    if (i > 0) fl_buf_add_char(out, ',');
    fl_json_write_string(out, entries[i].key, entries[i].size);
    fl_buf_add_char(out, ':');
    write_value(out, entries[i].value, left);
  }
  fl_buf_add_char(out, '}');
  if (entries != few) free(entries);
}

static void write_value(fl_buf *out, const json_t *value, unsigned left) {
  if (out->failed) return;
  if ((json_is_array(value) || json_is_object(value)) && left == 0) {
    out->failed = true;
    return;
  }
  switch (json_typeof(value)) {
  case JSON_NULL: fl_buf_add(out, "null", 4); break;
  case JSON_TRUE: fl_buf_add(out, "true", 4); break;
  case JSON_FALSE: fl_buf_add(out, "false", 5); break;
  case JSON_INTEGER: fl_json_write_int(out, json_integer_value(value)); break;
  case JSON_REAL: fl_json_write_number(out, json_real_value(value)); break;
  case JSON_STRING:
    fl_json_write_string(out, json_string_value(value), json_string_length(value));
    break;
  case JSON_OBJECT: write_object(out, value, left - 1); break;
  case JSON_ARRAY:
    fl_buf_add_char(out, '[');
    for (size_t i = 0; i < json_array_size(value); i++) {
      if (i > 0) fl_buf_add_char(out, ',');
      write_value(out, json_array_get(value, i), left - 1);
    }
    fl_buf_add_char(out, ']');
    break;
  }
}

static void *take(size_t size) {
  return fl_try_realloc(NULL, size);
}

void fl_json_use_allocator(void) {
  json_set_alloc_funcs(take, fl_free);
}

void fl_json_write(fl_buf *out, const json_t *value) {
  write_value(out, value, WRITE_DEPTH_MAX);
}

// 0: as it is; 'u': \u00xx; else the letter after the backslash.
static const char escapes[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b',         't',           'n', 'u',
    'f', 'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u',         'u',           'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['\\'] = '\\',
};

// `text` is UTF-8 already.
static void write_quoted(fl_buf *out, const char *text, size_t size) {
  if (!fl_buf_reserve(out, size + 2)) return;
  fl_buf_add_char(out, '"');
  size_t from = 0;
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    char escape = escapes[c];
    if (escape == 0) continue;
    fl_buf_add(out, text + from, i - from);
    from = i + 1;
    if (escape == 'u') {
      fl_buf_addf(out, "\\u%04x", c);
    } else {
      char pair[2] = {'\\', escape};
      fl_buf_add(out, pair, 2);
    }
  }
  fl_buf_add(out, text + from, size - from);
  fl_buf_add_char(out, '"');
}

void fl_json_write_string(fl_buf *out, const char *text, size_t size) {
  if (fl_utf8_valid(text, size)) {
    write_quoted(out, text, size);
    return;
  }
  fl_buf clean;
  fl_buf_init(&clean, SIZE_MAX / 2);
  fl_utf8_clean(&clean, text, size);
  if (clean.failed)
    out->failed = true;
  else
    write_quoted(out, clean.data, clean.size);
  fl_buf_deinit(&clean);
}

void fl_json_write_text(fl_buf *out, const char *text) {
  if (text)
    fl_json_write_string(out, text, strlen(text));
  else
    fl_buf_add(out, "null", 4);
}

void fl_json_write_bytes(fl_buf *out, const char *text, size_t size) {
  if (fl_utf8_valid(text, size)) {
    write_quoted(out, text, size);
    return;
  }
  fl_buf_add_str(out, "{\"$bytes\":\"");
  fl_base64_write(out, text, size);
  fl_buf_add_str(out, "\"}");
}

void fl_json_write_number(fl_buf *out, double number) {
  FL_ASSERT(isfinite(number)); // callers refuse these with the path in the user's data
  if (fabs(number) <= EXACT_MAX && number == floor(number)) {
    fl_json_write_int(out, (int64_t)number); // -0 becomes 0
    return;
  }
  char text[40];
  for (int precision = 15; precision <= 17; precision++) {
    snprintf(text, sizeof text, "%.*g", precision, number);
    if (strtod(text, NULL) == number) break;
  }
  // The host may have set a locale with another decimal point, of one or more bytes.
  bool pointed = false, real = false;
  for (const char *p = text; *p; p++) {
    bool plain = (*p >= '0' && *p <= '9') || *p == '-' || *p == '+' || *p == 'e';
    if (*p == 'e') real = true;
    if (plain)
      fl_buf_add_char(out, *p);
    else if (!pointed)
      fl_buf_add_char(out, '.'), pointed = real = true;
  }
  // Past 2^53 digits alone would read back as an integer, which is another kind of value there.
  if (!real) fl_buf_add_str(out, ".0");
}

void fl_json_write_int(fl_buf *out, int64_t number) {
  char text[24], *p = text + sizeof text;
  uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
  do *--p = (char)('0' + left % 10);
  while (left /= 10);
  if (number < 0) *--p = '-';
  fl_buf_add(out, p, (size_t)(text + sizeof text - p));
}
