// The language's Lua modules as bytecode, compiled into the library at build time.
#pragma once
#include <stddef.h>

typedef struct fl_embedded {
  const char *name; // as require() is called: "flow.dag", "stdlib.node.shell"
  const unsigned char *code;
  size_t size;
} fl_embedded;

extern const fl_embedded fl_embedded_modules[];
extern const size_t fl_embedded_count;
