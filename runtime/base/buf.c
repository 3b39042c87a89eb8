// A growable byte buffer with a maximum. One byte more than `capacity` is always allocated, so that
// the content can be NUL-terminated without growing.
#include "base/buf.h"

#define FIRST_CAPACITY 64u

void fl_buf_init(fl_buf *b, size_t size_max) {
  *b = (fl_buf){.size_max = size_max};
}

void fl_buf_deinit(fl_buf *b) {
  free(b->data);
  *b = (fl_buf){.size_max = b->size_max};
}

bool fl_buf_reserve(fl_buf *b, size_t extra) {
  if (b->failed) return false;
  if (extra <= b->capacity - b->size) return true;
  if (extra > b->size_max || b->size > b->size_max - extra) return b->failed = true, false;
  size_t need = b->size + extra;
  size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
  while (capacity < need) capacity = capacity > b->size_max / 2 ? b->size_max : capacity * 2;
  if (capacity > b->size_max) capacity = b->size_max;
  char *data = fl_try_realloc(b->data, capacity + 1);
  if (!data) return b->failed = true, false;
  b->data = data;
  b->capacity = capacity;
  return true;
}

void fl_buf_add(fl_buf *b, const void *data, size_t size) {
  if (size == 0 || !fl_buf_reserve(b, size)) return;
  memcpy(b->data + b->size, data, size);
  b->size += size;
}

void fl_buf_add_char(fl_buf *b, char c) {
  if (!fl_buf_reserve(b, 1)) return;
  b->data[b->size++] = c;
}

void fl_buf_add_str(fl_buf *b, const char *text) {
  fl_buf_add(b, text, strlen(text));
}

void fl_buf_addf(fl_buf *b, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  fl_buf_vaddf(b, fmt, args);
  va_end(args);
}

void fl_buf_vaddf(fl_buf *b, const char *fmt, va_list args) {
  if (b->failed) return;
  va_list again;
  va_copy(again, args);
  // The spare byte takes the NUL that vsnprintf() insists on.
  size_t room = b->data ? b->capacity - b->size + 1 : 0;
  int size = vsnprintf(room ? b->data + b->size : NULL, room, fmt, args);
  if (size < 0) {
    b->failed = true;
  } else if ((size_t)size < room) {
    b->size += (size_t)size;
  } else if (size > 0 && fl_buf_reserve(b, (size_t)size)) {
    vsnprintf(b->data + b->size, (size_t)size + 1, fmt, again);
    b->size += (size_t)size;
  }
  va_end(again);
}

void fl_buf_consume(fl_buf *b, size_t size) {
  FL_ASSERT(size <= b->size);
  if (size == 0) return;
  b->size -= size;
  memmove(b->data, b->data + size, b->size);
}

void fl_buf_reset(fl_buf *b) {
  b->size = 0;
  b->failed = false;
}

const char *fl_buf_cstr(fl_buf *b) {
  if (!b->data) return "";
  b->data[b->size] = '\0';
  return b->data;
}

char *fl_buf_take(fl_buf *b) {
  if (b->failed) {
    fl_buf_deinit(b);
    return NULL;
  }
  char *data = b->data ? b->data : fl_alloc(1);
  data[b->size] = '\0';
  *b = (fl_buf){.size_max = b->size_max};
  return data;
}
