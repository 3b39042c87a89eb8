// JSON in and out: jansson parses (strictly), our writer prints canonical text.
//
// Canonical: no white space, map keys sorted by bytes, shortest number text that reads back equal,
// integers of up to 2^53 without exponent, and strings that are valid UTF-8. A string of other
// bytes is the map {"$bytes":"<base64>"}; a user's map whose only key starts with "$" has one more
// "$" put before it, so that both read back as what they were. Inspired by RFC 8785, which sorts
// by UTF-16.
#pragma once
#include <jansson.h>
#include "base/buf.h"

/// jansson takes its memory by fl_alloc() and friends from now on.
void fl_json_use_allocator(void);

/// Parses exactly one JSON value. Duplicate keys, trailing text, bad UTF-8, lone surrogates, NaN
/// and nesting past FL_VALUE_DEPTH_MAX are errors that say where. The caller json_decref()s
/// `*out`.
FL_MUST fl_code fl_json_parse(const char *text, size_t size, json_t **out, fl_error *err);
/// Whether fl_json_parse() takes it and fl_json_write() would write the same bytes. Much faster
/// than both; may be false for canonical text whose keys have escapes in them.
bool fl_json_is_canonical(const char *text, size_t size);
/// Appends canonical text.
void fl_json_write(fl_buf *out, const json_t *value);
/// Appends a quoted string; bytes that are no UTF-8 become U+FFFD. For text shown to people.
void fl_json_write_string(fl_buf *out, const char *text, size_t size);
/// Appends what fl_json_write_string() does, or null for NULL.
void fl_json_write_text(fl_buf *out, const char *text);
/// Appends a quoted string, or {"$bytes":...} when it is no valid UTF-8. For values, lossless.
void fl_json_write_bytes(fl_buf *out, const char *text, size_t size);
void fl_json_write_number(fl_buf *out, double number);
void fl_json_write_int(fl_buf *out, int64_t number);
bool fl_utf8_valid(const char *text, size_t size);
/// Appends `text` as valid UTF-8: a wrong byte becomes U+FFFD.
void fl_utf8_clean(fl_buf *out, const char *text, size_t size);
void fl_base64_write(fl_buf *out, const void *data, size_t size);
/// False when `text` is no base64.
bool fl_base64_read(fl_buf *out, const char *text, size_t size);
