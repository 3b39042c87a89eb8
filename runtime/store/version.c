// The version of SQLite that is linked in.
#include "store/store_internal.h"

void fl_store_version_text(char out[64]) {
  snprintf(out, 64, "SQLite %.50s", sqlite3_libversion());
}
