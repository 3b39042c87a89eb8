// Makes errors and passes them on; the checked allocators and the end of the process live here too.
#include "base/err.h"
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>

// A message that is cut must still be UTF-8: drop a sequence that the cut has left incomplete.
static void trim_cut_sequence(char *text, size_t size) {
  size_t lead = size;
  while (lead > 0 && size - lead < 4) {
    unsigned char c = (unsigned char)text[--lead];
    if (c < 0x80) return;
    if (c < 0xC0) continue;
    size_t need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (size - lead < need) text[lead] = '\0';
    return;
  }
}

static void set_message(fl_error *err, const char *fmt, va_list args) {
  int size = vsnprintf(err->message, sizeof err->message, fmt, args);
  if (size >= (int)sizeof err->message) trim_cut_sequence(err->message, sizeof err->message - 1);
  if (size < 0) err->message[0] = '\0';
}

fl_code(fl_fail)(fl_error *err, fl_code code, const char *fmt, ...) {
  if (!err) return code;
  err->code = code;
  va_list args;
  va_start(args, fmt);
  set_message(err, fmt, args);
  va_end(args);
  return code;
}

fl_code fl_wrap(fl_error *err, const char *fmt, ...) {
  // The caller knows only that something failed; without a place to look it cannot say what.
  if (!err) return FL_E_SYSTEM;
  char cause[FL_ERROR_MESSAGE_SIZE];
  memcpy(cause, err->message, sizeof cause);
  va_list args;
  va_start(args, fmt);
  set_message(err, fmt, args);
  va_end(args);
  size_t used = strlen(err->message);
  int size = snprintf(err->message + used, sizeof err->message - used, ": %s", cause);
  if (size >= (int)(sizeof err->message - used))
    trim_cut_sequence(err->message, sizeof err->message - 1);
  return err->code;
}

fl_code fl_fail_errno(fl_error *err, fl_code code, int errnum, const char *fmt, ...) {
  if (!err) return code;
  err->code = code;
  va_list args;
  va_start(args, fmt);
  set_message(err, fmt, args);
  va_end(args);
  char reason[128];
  size_t used = strlen(err->message);
  int size = snprintf(err->message + used, sizeof err->message - used, ": %s (%s)",
                      strerror_r(errnum, reason, sizeof reason), fl_errno_name(errnum));
  if (size >= (int)(sizeof err->message - used))
    trim_cut_sequence(err->message, sizeof err->message - 1);
  return code;
}

const char *fl_errno_name(int errnum) {
  const char *name = strerrorname_np(errnum);
  if (name) return name;
  static _Thread_local char unknown[24];
  snprintf(unknown, sizeof unknown, "errno %d", errnum);
  return unknown;
}

// ------------------------------------------------------------------------------------- the end

static struct {
  void (*fn)(void *ud, const char *file, int line, const char *what);
  void *ud;
} on_panic;

void fl_set_panic(void (*fn)(void *ud, const char *file, int line, const char *what), void *ud) {
  on_panic.fn = fn;
  on_panic.ud = ud;
}

_Noreturn void fl_panic(const char *file, int line, const char *what) {
  if (on_panic.fn)
    on_panic.fn(on_panic.ud, file, line, what);
  else
    fprintf(stderr, "flowlua: internal error at %s:%d: %s\n", file, line, what);
  abort();
}

// ------------------------------------------------------------------------------------- memory

// Here alone: the rest of the library is kept from them (base/banned.h).
#undef malloc
#undef calloc
#undef realloc
#undef free

static fl_allocator allocator; // resize NULL: libc's
static atomic_bool is_taken;   // some memory is: too late for another allocator

fl_code fl_use_allocator(const fl_allocator *a, fl_error *err) {
  if (!a || !a->size || a->size > sizeof *a || !a->resize || !a->release)
    return fl_fail(err, FL_E_USAGE, "an allocator needs size, resize and release");
  if (atomic_load(&is_taken))
    return fl_fail(err, FL_E_STATE, "the library has memory already: set the allocator first");
  allocator = *a;
  return FL_OK;
}

bool fl_has_allocator(void) {
  return allocator.resize != NULL;
}

void *fl_try_realloc(void *old, size_t size) {
  if (!atomic_load_explicit(&is_taken, memory_order_relaxed)) atomic_store(&is_taken, true);
  if (!size) size = 1;
  return allocator.resize ? allocator.resize(allocator.ud, old, size) : realloc(old, size);
}

void *fl_realloc(void *old, size_t size) {
  void *memory = fl_try_realloc(old, size);
  if (!memory) fl_panic(__FILE__, __LINE__, "out of memory");
  return memory;
}

void *fl_alloc(size_t size) {
  return fl_realloc(NULL, size);
}

void *fl_alloc_zero(size_t count, size_t size) {
  if (!count || !size) count = size = 1;
  if (!allocator.resize) { // its large blocks are zero without being touched
    void *memory = calloc(count, size);
    if (!memory) fl_panic(__FILE__, __LINE__, "out of memory");
    return memory;
  }
  if (count > SIZE_MAX / size) fl_panic(__FILE__, __LINE__, "out of memory");
  return memset(fl_alloc(count * size), 0, count * size);
}

void fl_free(void *memory) {
  if (allocator.release)
    allocator.release(allocator.ud, memory);
  else
    free(memory);
}

char *fl_strdup(const char *text) {
  return fl_strndup(text, strlen(text));
}

char *fl_strndup(const char *text, size_t size) {
  char *copy = fl_alloc(size + 1);
  memcpy(copy, text, size);
  copy[size] = '\0';
  return copy;
}
