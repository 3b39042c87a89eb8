// flow.core.zone: time zones by IANA name.
#include "base/zone.h"
#include "bind/error.h"
#include "bind/modules.h"
#include <lauxlib.h>
#include <math.h>

#define TIME_MAX 1e12 // seconds; the year 33658

// offset(time, zone) -> seconds to add to UTC, what clocks of then are called
static int l_offset(lua_State *L) {
  double time = fl_lua_check_number(L, 1, "zone.offset: time");
  const char *zone = fl_lua_check_cstr(L, 2, "zone.offset: zone");
  if (!(fabs(time) <= TIME_MAX)) return luaL_error(L, "zone.offset: time is out of range");
  fl_zone_span span;
  fl_zone_get_span(zone, (int64_t)floor(time), &span);
  lua_pushinteger(L, span.offset);
  lua_pushstring(L, span.name);
  return 2;
}

// find(local, zone) -> the first instant at which clocks show that, or the end of the gap
static int l_find(lua_State *L) {
  double local = fl_lua_check_number(L, 1, "zone.find: local");
  const char *zone = fl_lua_check_cstr(L, 2, "zone.find: zone");
  int64_t at[2];
  if (!(fabs(local) <= TIME_MAX)) return luaL_error(L, "zone.find: local is out of range");
  fl_zone_find(zone, (int64_t)floor(local), at);
  lua_pushnumber(L, (double)at[0]);
  return 1;
}

static int l_is_known(lua_State *L) {
  lua_pushboolean(L, fl_zone_is_known(fl_lua_check_cstr(L, 1, "zone.is_known: zone")));
  return 1;
}

int luaopen_flow_core_zone(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"find", l_find},
      {"is_known", l_is_known},
      {"offset", l_offset},
      {NULL, NULL},
  };
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
