// Reads what host.command() gives into an fl_command.
#include <lauxlib.h>
#include "bind/script.h"

static char **read_list(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  char **list = fl_alloc_zero(count + 1, sizeof *list);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    const char *text = lua_tostring(L, -1);
    list[i] = fl_strdup(text ? text : "");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return list;
}

static int64_t read_number(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  double v = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return v > 0 ? (int64_t)v : 0;
}

static void read_limits(lua_State *L, fl_command *c) {
  lua_getfield(L, -1, "limits");
  if (lua_istable(L, -1)) {
    c->limit_memory = read_number(L, "memory");
    c->limit_cpu_s = read_number(L, "cpu_time");
    c->limit_open_files = read_number(L, "open_files");
    c->log_size_max = read_number(L, "output");
  }
  lua_pop(L, 1);
}

static void read_ok_codes(lua_State *L, fl_command *c) {
  lua_getfield(L, -1, "ok_codes");
  size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  if (count) c->ok_codes = fl_alloc(count * sizeof *c->ok_codes);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    c->ok_codes[c->ok_code_count++] = (int)lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

fl_command *fl_lua_to_command(lua_State *L, int index) {
  // Nothing below raises: all are plain reads of a table that the language has checked.
  fl_command *c = fl_alloc_zero(1, sizeof *c);
  lua_pushvalue(L, index);
  c->argv = read_list(L, "argv");
  c->env = read_list(L, "env");
  lua_getfield(L, -1, "cwd");
  if (lua_tostring(L, -1)) c->cwd = fl_strdup(lua_tostring(L, -1));
  lua_pop(L, 1);
  lua_getfield(L, -1, "stdin");
  const char *text = lua_tolstring(L, -1, &c->stdin_size);
  if (text) c->stdin_data = fl_strndup(text, c->stdin_size);
  lua_pop(L, 1);
  lua_getfield(L, -1, "capture");
  c->capture = lua_toboolean(L, -1);
  lua_pop(L, 1);
  lua_getfield(L, -1, "is_text");
  c->is_text = lua_toboolean(L, -1);
  lua_pop(L, 1);
  c->timeout_ms = read_number(L, "timeout_ms");
  lua_getfield(L, -1, "timeout");
  if (lua_isnumber(L, -1)) c->timeout_ms = (int64_t)(lua_tonumber(L, -1) * 1000);
  lua_pop(L, 1);
  read_limits(L, c);
  read_ok_codes(L, c);
  lua_pop(L, 1);
  return c;
}
