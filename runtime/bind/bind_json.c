// flow.core.json: JSON text for users (plain), and the text of values for the language.
#include "base/limits.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "bind/value.h"
#include <lauxlib.h>

#define TEXT_SIZE_MAX (1u << 30) // of pretty text, which may be many times its value

static void add_line(fl_buf *out, size_t depth) {
  fl_buf_add_char(out, '\n');
  for (size_t i = 0; i < depth; i++) fl_buf_add(out, "  ", 2);
}

// Canonical text with a line for each entry; empty lists and maps stay in one piece.
static void add_pretty(fl_buf *out, const char *text, size_t size) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < size; i++) {
    char c = text[i];
    bool close = !quoted && (c == '}' || c == ']');
    if (close) depth--;
    if (close && text[i - 1] != '{' && text[i - 1] != '[') add_line(out, depth);
    fl_buf_add_char(out, c);
    if (quoted && c == '\\')
      fl_buf_add_char(out, text[++i]);
    else if (c == '"')
      quoted = !quoted;
    else if (quoted)
      continue;
    else if (c == ':')
      fl_buf_add_char(out, ' ');
    else if (c == ',')
      add_line(out, depth);
    else if (c == '{' || c == '[') {
      depth++;
      if (text[i + 1] != '}' && text[i + 1] != ']') add_line(out, depth);
    }
  }
}

static int l_encode(lua_State *L) {
  static const char *const options[] = {"pretty", NULL};
  luaL_checkany(L, 1);
  fl_lua_check_options(L, 2, "json.encode", options);
  bool pretty = fl_lua_opt_flag(L, 2, "json.encode", "pretty", false);
  fl_buf *out = fl_lua_push_buf(L, TEXT_SIZE_MAX);
  fl_error err;
  if (fl_lua_encode_as(L, 1, "value", FL_LUA_PLAIN, out, &err))
    return luaL_error(L, "json.encode: %s", err.message);
  if (pretty) {
    fl_buf *spaced = fl_lua_push_buf(L, TEXT_SIZE_MAX);
    fl_buf_cstr(out); // a NUL at the end: the last look ahead stops there
    add_pretty(spaced, out->data, out->size);
    if (spaced->failed) return luaL_error(L, "json.encode: the text is larger than 1 GiB");
    out = spaced;
  }
  lua_pushlstring(L, out->data, out->size);
  return 1;
}

static int l_decode(lua_State *L) {
  size_t size;
  const char *text = fl_lua_check_text(L, 1, "json.decode: text", &size);
  fl_error err;
  if (fl_lua_decode_as(L, text, size, FL_LUA_PLAIN, FL_VALUE_DEPTH_MAX, &err))
    return fl_lua_fail(L, &err);
  return 1;
}

static int l_encode_value(lua_State *L) {
  const char *name = fl_lua_opt_cstr(L, 2, "json.encode_value: name", "value");
  fl_buf *out = fl_lua_get_value_text(L);
  fl_error err;
  if (fl_lua_encode(L, 1, name, out, &err)) return fl_lua_fail(L, &err);
  lua_pushlstring(L, out->data, out->size);
  return 1;
}

static int l_decode_value(lua_State *L) {
  size_t size;
  const char *text = fl_lua_check_text(L, 1, "json.decode_value: text", &size);
  fl_error err;
  return fl_lua_decode(L, text, size, &err) ? fl_lua_fail(L, &err) : 1;
}

static int l_list(lua_State *L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  if (!lua_istable(L, 1)) fl_lua_raise_type(L, 1, "json.list", "a table");
  fl_lua_mark_list(L);
  return 1;
}

int luaopen_flow_core_json(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"decode", l_decode}, {"decode_value", l_decode_value},
      {"encode", l_encode}, {"encode_value", l_encode_value},
      {"list", l_list},     {NULL, NULL},
  };
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  fl_lua_push_null(L);
  lua_setfield(L, -2, "null");
  return 1;
}
