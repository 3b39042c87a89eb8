// Values between Lua and canonical JSON text (base/json.h), in one pass and without a tree between.
//
// nil, boolean, number, string (any bytes), list, map and int64_t/uint64_t cdata can cross. A table
// is a list when it carries the list mark or has exactly the keys 1..n (n > 0); an empty table is a
// map unless it is marked. `null` is flow.null (a light userdata of NULL) inside a table, nil on
// top. A table whose metatable has a table `__flow_value` is taken as that one (read-only views
// have it).
#pragma once
#include <lua.h>
#include "base/buf.h"

/// Makes the list mark and the int64 helpers of a state: once a state, before all else here. May
/// raise.
void fl_lua_open_values(lua_State *L);

typedef enum fl_lua_dialect {
  FL_LUA_VALUE, // what crosses between nodes: bytes as {"$bytes":..}, sole "$" keys escaped
  FL_LUA_PLAIN, // JSON of other people: no escapes, strings must be UTF-8
} fl_lua_dialect;

/// Appends the value at `index`. `name` starts the path in messages and may be NULL:
/// "outputs.orders[3].when: a function cannot be stored". Errors: FL_E_USAGE; FL_E_LIMIT past
/// FL_VALUE_SIZE_MAX or what `out` holds (`out` is as it was then). Raises only when Lua is out of
/// memory, and holds nothing itself.
FL_MUST fl_code fl_lua_encode(lua_State *L, int index, const char *name, fl_buf *out,
                              fl_error *err);
FL_MUST fl_code fl_lua_encode_as(lua_State *L, int index, const char *name, fl_lua_dialect dialect,
                                 fl_buf *out, fl_error *err);

/// The state's own buffer for the text of one value, empty: borrowed until the next call. What is
/// encoded for every node needs no userdata a time, which the garbage collector would have to find.
fl_buf *fl_lua_get_value_text(lua_State *L);

/// Pushes the value of a JSON text, or nothing and an error. `text[size]` must be NUL. Nesting may
/// be 16 levels deeper than a value: our own documents hold values inside. Lists get the list mark,
/// integers past 2^53 become int64_t cdata. Raises only when Lua is out of memory.
FL_MUST fl_code fl_lua_decode(lua_State *L, const char *text, size_t size, fl_error *err);
FL_MUST fl_code fl_lua_decode_as(lua_State *L, const char *text, size_t size,
                                 fl_lua_dialect dialect, unsigned depth_max, fl_error *err);

/// flow.null
static inline void fl_lua_push_null(lua_State *L) {
  lua_pushlightuserdata(L, NULL);
}
bool fl_lua_is_null(lua_State *L, int index);
/// A number up to 2^53, else int64_t cdata.
void fl_lua_push_int64(lua_State *L, int64_t number);
/// True when the value at `index` is int64_t cdata or uint64_t cdata that fits.
bool fl_lua_to_int64(lua_State *L, int index, int64_t *number);
/// Marks the table at the top of the stack as a list.
void fl_lua_mark_list(lua_State *L);

/// LuaJIT's type of cdata, which lua.h does not name.
#define FL_LUA_TCDATA 10
