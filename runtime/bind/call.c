// fl_lua_call(): protected, with the stack's height checked on the way out.
#include <lauxlib.h>
#include "bind/call.h"
#include "base/buf.h"
#include "base/limits.h"

void fl_lua_error_text(lua_State *L, int index, char *out, size_t size) {
  size_t length;
  if (lua_type(L, index) == LUA_TSTRING) {
    const char *text = lua_tolstring(L, index, &length);
    snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), text);
  } else if (lua_type(L, index) == LUA_TTABLE) {
    lua_pushvalue(L, index);
    lua_getfield(L, -1, "message");
    snprintf(out, size, "%s",
             lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error that is a table");
    lua_pop(L, 2);
  } else {
    snprintf(out, size, "an error that is a %s", luaL_typename(L, index));
  }
}

static int add_trace(lua_State *L) {
  if (lua_type(L, 1) != LUA_TSTRING) return 1;
  luaL_traceback(L, L, lua_tostring(L, 1), 2);
  return 1;
}

static int keep_error(lua_State *L) {
  return lua_gettop(L) > 0;
}

static fl_code fail(lua_State *L, fl_error *err) {
  char text[FL_ERROR_MESSAGE_SIZE];
  fl_lua_error_text(L, -1, text, sizeof text);
  lua_pop(L, 1);
  return fl_fail(err, FL_E_SCRIPT, "%s", text);
}

fl_code fl_lua_protect(lua_State *L, lua_CFunction fn, void *ud, fl_error *err) {
  int base = lua_gettop(L);
  fl_code rc = lua_cpcall(L, fn, ud) ? fail(L, err) : FL_OK;
  FL_ASSERT(lua_gettop(L) == base);
  return rc;
}

fl_code fl_lua_call(lua_State *L, int arg_count, int result_count, bool trace, fl_error *err) {
  int base = lua_gettop(L) - arg_count; // where the function stands
  lua_pushcfunction(L, trace ? add_trace : keep_error);
  lua_insert(L, base);
  int rc = lua_pcall(L, arg_count, result_count, base);
  lua_remove(L, base);
  if (!rc) {
    FL_ASSERT(result_count < 0 || lua_gettop(L) == base - 1 + result_count);
    return FL_OK;
  }
  fl_code code = fail(L, err);
  FL_ASSERT(lua_gettop(L) == base - 1);
  return code;
}
