// What the files of the value codec share of a Lua state. Nobody else includes this.
#pragma once
#include "bind/value.h"

typedef struct fl_lua_value_state {
  const void *list_mark; // address of the metatable that marks a list
  int list_mark_ref;
  int view_key_ref; // the text "__flow_value"
  int64_t *box;     // where a number lies on its way from or to cdata
  int push_ref;     // function() -> int64_t of the box
  int read_ref;     // function(v) -> true when it is in the box now
  fl_buf *text;     // of the value being encoded for Lua, which makes a string of it
} fl_lua_value_state;

fl_lua_value_state *fl_lua_get_value_state(lua_State *L);
