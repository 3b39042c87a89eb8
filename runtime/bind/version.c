// The version of LuaJIT this was built with: it is linked in or checked by the loader. And our own,
// for Lua.
#include "bind/version.h"
#include "bind/modules.h"
#include "flowlua.h"
#include <luajit.h>

const char *fl_lua_version_text(void) {
#ifdef FL_INTERPRETED
  return LUAJIT_VERSION ", interpreted";
#else
  return LUAJIT_VERSION;
#endif
}

int luaopen_flow_core_version(lua_State *L) {
  lua_pushstring(L, FL_VERSION);
  return 1;
}
