// Calls that are not possible where they are made: refused, or, in a debug build of the library,
// the end of the process, which is caught here.
#pragma once
#include <setjmp.h>
#include <stdio.h>
#include "flowlua.h"

static _Thread_local jmp_buf misuse_at;
static _Thread_local char misuse_sentence[256];

static void misuse_end(void *ud, const char *file, int line, const char *what) {
  (void)ud, (void)file, (void)line;
  snprintf(misuse_sentence, sizeof misuse_sentence, "%s", what);
  longjmp(misuse_at, 1);
}

static inline fl_code misuse_told(fl_code code, const fl_error *err) {
  snprintf(misuse_sentence, sizeof misuse_sentence, "%.200s", err->message);
  return code;
}

/// The code of `call`, which fills `err`; in misuse_sentence is what was said.
#define MISUSE(call, err)                                                                          \
  (fl_set_panic(misuse_end, NULL), setjmp(misuse_at) ? FL_E_STATE : misuse_told((call), &(err)))
