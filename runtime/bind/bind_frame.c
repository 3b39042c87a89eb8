// flow.core.frame: which line of which function is being executed. What debug.getinfo() says,
// without a table a question: a flow of a million nodes asks twice a node.
#include "bind/modules.h"
#include <lauxlib.h>

// at(level) -> function, line (-1 in C), or nothing past the last frame. Level 1 is the caller.
static int l_at(lua_State *L) {
  lua_Debug frame;
  if (!lua_getstack(L, (int)luaL_checkinteger(L, 1), &frame)) return 0;
  lua_getinfo(L, "fl", &frame);
  lua_pushinteger(L, frame.currentline);
  return 2;
}

int luaopen_flow_core_frame(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, l_at);
  lua_setfield(L, -2, "at");
  return 1;
}
