// The C modules that Lua code can require: flow.core.<name>.
#pragma once
#include <lua.h>

/// Puts every flow.core.* module into package.preload and prepares the value codec. Once a state,
/// after luaL_openlibs(). May raise when memory runs out.
void fl_lua_open_modules(lua_State *L);

// One row each in modules.c, sorted by name.
int luaopen_flow_core_calendar(lua_State *L);
int luaopen_flow_core_frame(lua_State *L);
int luaopen_flow_core_fs(lua_State *L);
int luaopen_flow_core_json(lua_State *L);
int luaopen_flow_core_log(lua_State *L);
int luaopen_flow_core_process(lua_State *L);
int luaopen_flow_core_re(lua_State *L);
int luaopen_flow_core_sqlite(lua_State *L);
int luaopen_flow_core_suggest(lua_State *L);
int luaopen_flow_core_time(lua_State *L);
int luaopen_flow_core_version(lua_State *L);
int luaopen_flow_core_zone(lua_State *L);
