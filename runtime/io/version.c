// The version of libuv that is linked in.
#include <uv.h>
#include "io/loop.h"

void fl_loop_version_text(char out[64]) {
  snprintf(out, 64, "libuv %.50s", uv_version_string());
}
