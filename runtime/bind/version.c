// The version of LuaJIT this was built with: it is linked in or checked by the loader.
#include "bind/version.h"
#include <luajit.h>

const char *fl_lua_version_text(void) {
  return LUAJIT_VERSION;
}
