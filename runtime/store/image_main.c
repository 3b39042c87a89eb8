// Run while FlowLua is built: writes the bytes of a new, empty store as C.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "store/store_internal.h"

// This program is what makes the image, so it has none.
const unsigned char fl_store_image[1] = {0};
const size_t fl_store_image_size = 0;

// Most of an empty store is zero, and what an initializer leaves out is zero too.
static void print_bytes(FILE *out, const unsigned char *image, size_t size) {
  size_t column = 0, next = 0;
  for (size_t i = 0; i < size; i++) {
    if (!image[i]) continue;
    if (i != next) fprintf(out, "[%zu]=", i);
    fprintf(out, "%u,", image[i]);
    if (++column % 16 == 0) fputc('\n', out);
    next = i + 1;
  }
}

int main(int argc, char **argv) {
  size_t size = 0;
  unsigned char *image = fl_store_image_build(&size);
  FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;
  if (!image || !out) {
    fprintf(stderr, "image_main: cannot write '%s': %s\n", argc == 2 ? argv[1] : "",
            strerror(errno));
    return 1;
  }
  fprintf(out, "// The bytes of a new, empty store. Generated from runtime/store/schema*.c.\n");
  fprintf(out, "#include \"store/store_internal.h\"\n");
  fprintf(out, "const size_t fl_store_image_size = %zu;\n", size);
  fprintf(out, "const unsigned char fl_store_image[%zu] = {\n", size);
  print_bytes(out, image, size);
  fprintf(out, "};\n");
  sqlite3_free(image);
  return fclose(out) ? 1 : 0;
}
