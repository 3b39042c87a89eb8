// A growable byte buffer with a maximum, given at init. Past the maximum it keeps what it has, sets
// `failed`, and every further add is a no-op: check once, at the end.
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

typedef struct fl_buf {
  char *data;      // not NUL-terminated: see fl_buf_cstr()
  size_t size;     // bytes in use
  size_t capacity; // bytes allocated
  size_t size_max; // never grows past this
  bool failed;     // an add did not fit (or memory ran out)
} fl_buf;

void fl_buf_init(fl_buf *b, size_t size_max);
void fl_buf_deinit(fl_buf *b);
/// Makes room for `extra` more bytes; false (and failed) when that passes the maximum.
bool fl_buf_reserve(fl_buf *b, size_t extra);
void fl_buf_add(fl_buf *b, const void *data, size_t size);
void fl_buf_add_char(fl_buf *b, char c);
void fl_buf_add_str(fl_buf *b, const char *text);
void fl_buf_addf(fl_buf *b, const char *fmt, ...) FL_PRINTF(2, 3);
void fl_buf_vaddf(fl_buf *b, const char *fmt, va_list args);
/// Removes the first `size` bytes.
void fl_buf_consume(fl_buf *b, size_t size);
/// Empties it, keeps the memory.
void fl_buf_reset(fl_buf *b);
/// The content, NUL-terminated. Borrowed until the next change; "" when empty or failed to grow.
const char *fl_buf_cstr(fl_buf *b);
/// The content, NUL-terminated, yours to free(); the buffer is empty afterwards. NULL if it failed.
char *fl_buf_take(fl_buf *b);
