// What Lua itself has no words for: the list mark, null, and integers past 2^53.
//
// The C API cannot make or read cdata. Both go through a box, an int64_t[1] that C sees by its
// address, and two small Lua functions that move a number in or out of it. These cannot raise, so
// they are called outside of the one door for user code.
#include "base/limits.h"
#include "bind/error.h"
#include "bind/value.h"
#include "bind/value_state.h"
#include <lauxlib.h>

#define TEXT_KEPT_MAX (64 << 10) // bytes that the buffer for values keeps for the next one

static const char state_key; // its address is the key in the registry

static const char int64_helpers[] =
    "local ffi = require 'ffi'\n"
    "local box = ffi.new('int64_t[1]')\n"
    "local signed, unsigned = ffi.typeof 'int64_t', ffi.typeof 'uint64_t'\n"
    "local istype = ffi.istype\n"
    "local function push() return box[0] end\n"
    "local function read(v)\n"
    "  if istype(signed, v) then box[0] = v return true end\n"
    "  if istype(unsigned, v) and v <= 0x7fffffffffffffffULL then box[0] = v return true end\n"
    "  return false\n"
    "end\n"
    "return box, push, read\n";

void fl_lua_open_values(lua_State *L) {
  fl_lua_value_state *state = lua_newuserdata(L, sizeof *state);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "flow.list");
  lua_setfield(L, -2, "__name");
  state->list_mark = lua_topointer(L, -1);
  state->list_mark_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushliteral(L, "__flow_value");
  state->view_key_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  if (luaL_loadbuffer(L, int64_helpers, sizeof int64_helpers - 1, "=int64") != 0) lua_error(L);
  lua_call(L, 0, 3);
  state->read_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  state->push_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  state->box = (int64_t *)lua_topointer(L, -1);
  luaL_ref(L, LUA_REGISTRYINDEX); // the box stays as long as the state
  state->text = fl_lua_push_buf(L, FL_VALUE_SIZE_MAX);
  luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushlightuserdata(L, (void *)&state_key);
  lua_insert(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

fl_lua_value_state *fl_lua_get_value_state(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&state_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  fl_lua_value_state *state = lua_touserdata(L, -1);
  lua_pop(L, 1);
  FL_ASSERT(state); // fl_lua_open_values() was not called
  return state;
}

fl_buf *fl_lua_get_value_text(lua_State *L) {
  fl_buf *text = fl_lua_get_value_state(L)->text;
  if (text->capacity > TEXT_KEPT_MAX) fl_buf_deinit(text);
  fl_buf_reset(text);
  return text;
}

bool fl_lua_is_null(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TLIGHTUSERDATA && !lua_touserdata(L, index);
}

void fl_lua_push_int64(lua_State *L, int64_t number) {
  if (number >= -(INT64_C(1) << 53) && number <= INT64_C(1) << 53) {
    lua_pushnumber(L, (double)number);
    return;
  }
  fl_lua_value_state *state = fl_lua_get_value_state(L);
  *state->box = number;
  lua_rawgeti(L, LUA_REGISTRYINDEX, state->push_ref);
  lua_call(L, 0, 1);
}

bool fl_lua_to_int64(lua_State *L, int index, int64_t *number) {
  if (lua_type(L, index) != FL_LUA_TCDATA) return false;
  fl_lua_value_state *state = fl_lua_get_value_state(L);
  lua_pushvalue(L, index);
  lua_rawgeti(L, LUA_REGISTRYINDEX, state->read_ref);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  bool fits = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (fits) *number = *state->box;
  return fits;
}

void fl_lua_mark_list(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, fl_lua_get_value_state(L)->list_mark_ref);
  lua_setmetatable(L, -2);
}
