// flow.core.suggest: the word of a list that a mistyped one most likely meant.
#include "base/suggest.h"
#include "bind/modules.h"
#include <lauxlib.h>

// nearest(word, words) -> one of the words | nil
static int l_nearest(lua_State *L) {
  fl_suggestion s;
  size_t size;
  const char *word = luaL_checklstring(L, 1, &size);
  luaL_checktype(L, 2, LUA_TTABLE);
  fl_suggestion_init(&s, word, size);
  for (int i = 1;; i++) {
    lua_rawgeti(L, 2, i);
    if (lua_isnil(L, -1)) break;
    // The list keeps a text alive. Of a number lua_tolstring() would make another one.
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
    if (name) fl_suggestion_try(&s, name, size);
    lua_pop(L, 1);
  }
  lua_pushstring(L, s.nearest);
  return 1;
}

int luaopen_flow_core_suggest(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_nearest);
  lua_setfield(L, -2, "nearest");
  return 1;
}
