// The list of the C modules.
#include "bind/modules.h"
#include "bind/value.h"
#include <lauxlib.h>

// Sorted by name. A module that needs more than a state (a loop, a run) is opened by who has that.
static const luaL_Reg modules[] = {
    {"flow.core.calendar", luaopen_flow_core_calendar},
    {"flow.core.frame", luaopen_flow_core_frame},
    {"flow.core.fs", luaopen_flow_core_fs},
    {"flow.core.json", luaopen_flow_core_json},
    {"flow.core.log", luaopen_flow_core_log},
    {"flow.core.process", luaopen_flow_core_process},
    {"flow.core.re", luaopen_flow_core_re},
    {"flow.core.sqlite", luaopen_flow_core_sqlite},
    {"flow.core.suggest", luaopen_flow_core_suggest},
    {"flow.core.time", luaopen_flow_core_time},
    {"flow.core.version", luaopen_flow_core_version},
    {"flow.core.zone", luaopen_flow_core_zone},
};

void fl_lua_open_modules(lua_State *L) {
  fl_lua_open_values(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
    lua_pushcfunction(L, modules[i].func);
    lua_setfield(L, -2, modules[i].name);
  }
  lua_pop(L, 2);
}
