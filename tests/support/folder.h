/// Folders that tests make: in TMPDIR, else in /tmp.
#ifndef FLOWLUA_TESTS_FOLDER_H
#define FLOWLUA_TESTS_FOLDER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/// Makes an empty folder whose name says what it is for, its path in out[size]. False: it cannot be
/// made, or its name is too long.
static inline bool make_test_folder(const char *what, char *out, size_t size) {
  const char *parent = getenv("TMPDIR");
  int length =
      snprintf(out, size, "%s/flowlua-%s-XXXXXX", parent && *parent ? parent : "/tmp", what);
  return length > 0 && (size_t)length < size && mkdtemp(out);
}

#endif
