// Errors and argument checks of the Lua modules.
#include "bind/error.h"
#include "base/clock.h"
#include "base/suggest.h"
#include <errno.h>
#include <lauxlib.h>
#include <math.h>

// "not_found", "limit", ...: what `err.code` is in Lua.
static const char *code_text(fl_code code) {
  static const char *const texts[] = {
      [FL_OK] = "ok",           [FL_E_USAGE] = "usage",
      [FL_E_SCRIPT] = "script", [FL_E_NOT_FOUND] = "not_found",
      [FL_E_STATE] = "state",   [FL_E_BUSY] = "busy",
      [FL_E_LIMIT] = "limit",   [FL_E_STORE] = "store",
      [FL_E_FULL] = "full",     [FL_E_CORRUPT] = "corrupt",
      [FL_E_NEWER] = "newer",   [FL_E_UNKNOWN] = "unknown",
      [FL_E_FENCED] = "fenced", [FL_E_SYSTEM] = "system",
      [FL_E_SPAWN] = "spawn",
  };
  FL_ASSERT((unsigned)code < sizeof texts / sizeof *texts);
  return texts[code];
}

static int l_error_tostring(lua_State *L) {
  lua_getfield(L, 1, "message");
  return 1;
}

void fl_lua_push_error(lua_State *L, const fl_error *err) {
  lua_createtable(L, 0, 3);
  lua_pushstring(L, code_text(err->code));
  lua_setfield(L, -2, "code");
  lua_pushstring(L, err->message);
  lua_setfield(L, -2, "message");
  if (luaL_newmetatable(L, "flow.error")) {
    lua_pushcfunction(L, l_error_tostring);
    lua_setfield(L, -2, "__tostring");
  }
  lua_setmetatable(L, -2);
}

int fl_lua_fail(lua_State *L, const fl_error *err) {
  lua_pushnil(L);
  fl_lua_push_error(L, err);
  return 2;
}

int fl_lua_fail_errno(lua_State *L, int errnum, const char *fmt, ...) {
  fl_error err;
  char text[FL_ERROR_MESSAGE_SIZE];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  fl_code code = FL_E_SYSTEM;
  if (errnum == ENOENT) code = FL_E_NOT_FOUND;
  if (errnum == ENOSPC || errnum == EDQUOT) code = FL_E_FULL;
  fl_fail_errno(&err, code, errnum, "%s", text);
  fl_lua_fail(L, &err);
  lua_pushstring(L, fl_errno_name(errnum));
  lua_setfield(L, -2, "errno");
  return 2;
}

_Noreturn void fl_lua_raise_type(lua_State *L, int arg, const char *what, const char *expected) {
  const char *got = arg > lua_gettop(L) ? "nothing" : luaL_typename(L, arg);
  luaL_error(L, "%s: expected %s, got %s", what, expected, got);
  abort(); // luaL_error() does not return, but is not declared so
}

const char *fl_lua_check_text(lua_State *L, int arg, const char *what, size_t *size) {
  if (!lua_isstring(L, arg)) fl_lua_raise_type(L, arg, what, "a string");
  return lua_tolstring(L, arg, size);
}

const char *fl_lua_check_cstr(lua_State *L, int arg, const char *what) {
  size_t size;
  const char *text = fl_lua_check_text(L, arg, what, &size);
  if (memchr(text, '\0', size)) luaL_error(L, "%s: has a zero byte in it", what);
  return text;
}

const char *fl_lua_opt_cstr(lua_State *L, int arg, const char *what, const char *otherwise) {
  return lua_isnoneornil(L, arg) ? otherwise : fl_lua_check_cstr(L, arg, what);
}

double fl_lua_check_number(lua_State *L, int arg, const char *what) {
  if (!lua_isnumber(L, arg)) fl_lua_raise_type(L, arg, what, "a number");
  return lua_tonumber(L, arg);
}

int64_t fl_lua_check_int(lua_State *L, int arg, const char *what) {
  double number = fl_lua_check_number(L, arg, what);
  if (number != floor(number) || fabs(number) > 9007199254740992.0)
    luaL_error(L, "%s: expected a whole number, got %f", what, number);
  return (int64_t)number;
}

int64_t fl_lua_opt_int(lua_State *L, int arg, const char *what, int64_t otherwise) {
  return lua_isnoneornil(L, arg) ? otherwise : fl_lua_check_int(L, arg, what);
}

int64_t fl_lua_check_duration(lua_State *L, int arg, const char *what) {
  int64_t ms = 0;
  if (lua_type(L, arg) == LUA_TNUMBER) {
    double seconds = lua_tonumber(L, arg);
    if (!(seconds >= 0 && seconds <= 1e12))
      luaL_error(L, "%s: expected a number of seconds that is not negative, got %f", what, seconds);
    ms = (int64_t)(seconds * 1000 + 0.5);
  } else if (lua_type(L, arg) != LUA_TSTRING) {
    fl_lua_raise_type(L, arg, what, "a number of seconds or a text like \"5m\"");
  } else if (!fl_duration_parse(lua_tostring(L, arg), &ms)) {
    luaL_error(
        L, "%s: expected a duration like \"500ms\", \"10s\", \"5m\", \"2h\" or \"1d\", got \"%s\"",
        what, lua_tostring(L, arg));
  }
  return ms;
}

void fl_lua_check_options(lua_State *L, int arg, const char *what, const char *const names[]) {
  if (lua_isnoneornil(L, arg)) return;
  if (!lua_istable(L, arg)) fl_lua_raise_type(L, arg, what, "a table of options");
  for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    size_t size, i = 0;
    const char *key = lua_tolstring(L, -2, &size);
    while (names[i] && strcmp(names[i], key) != 0) i++;
    if (names[i]) continue;
    fl_suggestion s;
    fl_suggestion_init(&s, key, size);
    for (i = 0; names[i]; i++) fl_suggestion_try(&s, names[i], strlen(names[i]));
    if (s.nearest)
      luaL_error(L, "%s: unknown option '%s' (did you mean '%s'?)", what, key, s.nearest);
    luaL_error(L, "%s: unknown option '%s'", what, key);
  }
}

bool fl_lua_get_option(lua_State *L, int arg, const char *name) {
  if (lua_istable(L, arg))
    lua_getfield(L, arg, name);
  else
    lua_pushnil(L);
  return !lua_isnil(L, -1);
}

bool fl_lua_opt_flag(lua_State *L, int arg, const char *what, const char *name, bool otherwise) {
  bool given = fl_lua_get_option(L, arg, name);
  if (given && !lua_isboolean(L, -1))
    luaL_error(L, "%s: %s: expected a boolean, got %s", what, name, luaL_typename(L, -1));
  bool flag = given ? lua_toboolean(L, -1) : otherwise;
  lua_pop(L, 1);
  return flag;
}

static int l_buf_gc(lua_State *L) {
  fl_buf_deinit(lua_touserdata(L, 1));
  return 0;
}

fl_buf *fl_lua_push_buf(lua_State *L, size_t size_max) {
  fl_buf *b = lua_newuserdata(L, sizeof *b);
  fl_buf_init(b, size_max);
  if (luaL_newmetatable(L, "flow.buf")) {
    lua_pushcfunction(L, l_buf_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return b;
}
