// flow.core.log: lines to stderr, each with its time and level, for scripts and for node code.
// FLOWLUA_LOG is the least level that is written: debug, info (default), warn, error or off.
#include "base/clock.h"
#include "base/json.h"
#include "bind/error.h"
#include "bind/file.h"
#include "bind/modules.h"
#include <lauxlib.h>
#include <unistd.h>

#define LINE_SIZE_MAX (1u << 20)

static const char *const levels[] = {"debug", "info", "warn", "error", "off"};
#define LEVEL_COUNT (sizeof levels / sizeof *levels)
#define LEVEL_INFO  1

static size_t find_level(const char *name) {
  size_t i = 0;
  while (i < LEVEL_COUNT && (!name || strcmp(name, levels[i]) != 0)) i++;
  return i;
}

// As print() would show it; the text stays on the stack.
static const char *push_text(lua_State *L, int arg, size_t *size) {
  if (luaL_callmeta(L, arg, "__tostring")) {
    if (!lua_isstring(L, -1)) luaL_error(L, "'__tostring' must return a string");
    return lua_tolstring(L, -1, size);
  }
  switch (lua_type(L, arg)) {
  case LUA_TSTRING:
  case LUA_TNUMBER: lua_pushvalue(L, arg); break;
  case LUA_TNIL: lua_pushliteral(L, "nil"); break;
  case LUA_TBOOLEAN: lua_pushstring(L, lua_toboolean(L, arg) ? "true" : "false"); break;
  default: lua_pushfstring(L, "%s: %p", luaL_typename(L, arg), lua_topointer(L, arg)); break;
  }
  return lua_tolstring(L, -1, size);
}

// Control characters would move a terminal's cursor; a second line would look like one of ours.
static void add_visible(fl_buf *line, const char *text, size_t size) {
  for (size_t i = 0, from = 0; i <= size; i++) {
    unsigned char c = i < size ? (unsigned char)text[i] : 0;
    if (i < size && (c >= 0x20 || c == '\t') && c != 0x7F) continue;
    fl_utf8_clean(line, text + from, i - from);
    from = i + 1;
    if (i == size) return;
    if (c == '\n')
      fl_buf_add_str(line, "\n    ");
    else
      fl_buf_addf(line, "\\x%02x", c);
  }
}

// Upvalues: the table with the level to write from, and the level of this function.
static int l_write(lua_State *L) {
  lua_rawgeti(L, lua_upvalueindex(1), 1);
  size_t level = (size_t)lua_tointeger(L, lua_upvalueindex(2));
  bool wanted = level >= (size_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (!wanted) return 0;
  int count = lua_gettop(L);
  char time[FL_TIME_TEXT_SIZE];
  fl_buf *line = fl_lua_push_buf(L, LINE_SIZE_MAX);
  fl_time_format(fl_wall_ms(), time);
  fl_buf_addf(line, "%s %-5s", time, levels[level]);
  for (int i = 1; i <= count; i++) {
    size_t size;
    const char *text = push_text(L, i, &size);
    fl_buf_add_char(line, ' ');
    add_visible(line, text, size);
    lua_pop(L, 1);
  }
  line->failed = false; // a line that is too long is cut
  if (line->size == line->size_max) line->size--;
  fl_buf_add_char(line, '\n');
  // One write, so that lines of several processes do not mix. Nobody to tell when it fails.
  (void)!fl_file_write_all(STDERR_FILENO, line->data, line->size);
  return 0;
}

static int l_level(lua_State *L) {
  const char *name = fl_lua_opt_cstr(L, 1, "log.level: name", NULL);
  lua_rawgeti(L, lua_upvalueindex(1), 1);
  size_t old = (size_t)lua_tointeger(L, -1);
  if (name) {
    size_t level = find_level(name);
    if (level == LEVEL_COUNT)
      return luaL_error(L, "log.level: expected debug, info, warn, error or off, got \"%s\"", name);
    lua_pushinteger(L, (lua_Integer)level);
    lua_rawseti(L, lua_upvalueindex(1), 1);
  }
  lua_pushstring(L, levels[old]);
  return 1;
}

int luaopen_flow_core_log(lua_State *L) {
  size_t level = find_level(getenv("FLOWLUA_LOG"));
  lua_newtable(L);
  lua_newtable(L); // [1] is the level to write from, of this state only
  lua_pushinteger(L, level == LEVEL_COUNT ? LEVEL_INFO : (lua_Integer)level);
  lua_rawseti(L, -2, 1);
  for (size_t i = 0; i + 1 < LEVEL_COUNT; i++) {
    lua_pushvalue(L, -1);
    lua_pushinteger(L, (lua_Integer)i);
    lua_pushcclosure(L, l_write, 2);
    lua_setfield(L, -3, levels[i]);
  }
  lua_pushcclosure(L, l_level, 1);
  lua_setfield(L, -2, "level");
  return 1;
}
