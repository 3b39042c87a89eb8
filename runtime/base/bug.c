// Which bug a test build was asked for.
#include "base/bug.h"
#include <stdlib.h>
#include <string.h>

#ifdef FLOWLUA_BUGS
bool fl_bug_is_on(int bug) {
  static const char *const names[] = {
#define X(name, text) #name,
      FL_BUGS(X)
#undef X
  };
  static int on = -2;
  if (on == -2) {
    const char *asked = getenv("FLOWLUA_BUG");
    on = -1;
    for (int i = 0; asked && i < FL_BUG_COUNT; i++)
      if (!strcmp(names[i], asked)) on = i;
    // A name that is none would look like a bug that nothing catches.
    if (asked && *asked && on < 0) abort();
  }
  return on == bug;
}
#endif
