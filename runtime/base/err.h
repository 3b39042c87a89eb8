// Makes and passes on errors. The lowest level writes the sentence; each caller may prepend the one
// noun it knows. Code and first cause never change on the way up.
#pragma once
#include "flowlua.h"

#define FL_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))

/// Fills `err` (may be NULL) and returns `code`.
fl_code fl_fail(fl_error *err, fl_code code, const char *fmt, ...) FL_PRINTF(3, 4);
/// Prepends "text: " to the message; returns the code that was there.
fl_code fl_wrap(fl_error *err, const char *fmt, ...) FL_PRINTF(2, 3);
/// Like fl_fail() with ": <strerror> (<NAME>)" of `errnum` appended.
fl_code fl_fail_errno(fl_error *err, fl_code code, int errnum, const char *fmt, ...)
    FL_PRINTF(4, 5);
#ifdef __clang_analyzer__ // it does not look into other files: what is returned is `code`
#define fl_fail(err, code, ...) ((void)(fl_fail)((err), (code), __VA_ARGS__), (code))
#endif
/// "ENOENT" for ENOENT; "errno N" for an unknown one. Static storage.
const char *fl_errno_name(int errnum);

/// Ends the process with a message: our bug, never the world's. On in release builds.
_Noreturn void fl_panic(const char *file, int line, const char *what);
#define FL_ASSERT(cond) ((cond) ? (void)0 : fl_panic(__FILE__, __LINE__, #cond))

/// malloc and friends that never return NULL: running out of memory for small structures ends the
/// process through fl_panic(); a crash loses nothing (DESIGN: written before told). Whatever is
/// sized by input goes through fl_buf, which has a limit and fails softly.
void *fl_alloc(size_t size);
void *fl_alloc_zero(size_t count, size_t size);
void *fl_realloc(void *old, size_t size);
/// As realloc(): NULL when there is none.
void *fl_try_realloc(void *old, size_t size);
/// Copies `a`: see fl_set_allocator().
FL_MUST fl_code fl_use_allocator(const fl_allocator *a, fl_error *err);
/// Whether the host gave one.
bool fl_has_allocator(void);
char *fl_strdup(const char *text);
char *fl_strndup(const char *text, size_t size);
