// flow.core.zone: time zones by IANA name.
#include "base/zone.h"
#include "bind/error.h"
#include "bind/modules.h"
#include <lauxlib.h>
#include <math.h>

#define TIME_MAX 1e12 // seconds; the year 33658

// offset(time, zone) -> seconds to add to UTC
static int l_offset(lua_State *L) {
  double time = fl_lua_check_number(L, 1, "zone.offset: time");
  const char *zone = fl_lua_check_cstr(L, 2, "zone.offset: zone");
  if (!(fabs(time) <= TIME_MAX)) return luaL_error(L, "zone.offset: time is out of range");
  lua_pushinteger(L, fl_zone_get_offset(zone, (int64_t)floor(time)));
  return 1;
}

static int l_is_known(lua_State *L) {
  lua_pushboolean(L, fl_zone_is_known(fl_lua_check_cstr(L, 1, "zone.is_known: zone")));
  return 1;
}

int luaopen_flow_core_zone(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"is_known", l_is_known},
      {"offset", l_offset},
      {NULL, NULL},
  };
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
