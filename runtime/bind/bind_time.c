// flow.core.time: instants as seconds since 1970 (a number with a fraction), durations as seconds.
#include "base/clock.h"
#include "bind/error.h"
#include "bind/modules.h"
#include <errno.h>
#include <lauxlib.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>

#define TEXT_SIZE_MAX 1024
#define SECONDS_MAX   253402300799.0 // the end of the year 9999

static locale_t c_locale;

static void make_c_locale(void) {
  c_locale = newlocale(LC_ALL_MASK, "C", NULL);
}

static int l_now(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  lua_pushnumber(L, (double)t.tv_sec + (double)t.tv_nsec / 1e9);
  return 1;
}

static int l_monotonic(lua_State *L) {
  lua_pushnumber(L, (double)fl_monotonic_us() / 1e6);
  return 1;
}

static double check_instant(lua_State *L, const char *what) {
  double t = fl_lua_check_number(L, 1, what);
  if (!(fabs(t) <= SECONDS_MAX)) luaL_error(L, "%s: expected seconds since 1970, got %f", what, t);
  return t;
}

static int push_formatted(lua_State *L, double t, const char *format, const char *zone) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_c_locale);
  time_t seconds = (time_t)floor(t);
  struct tm parts;
  bool local = strcmp(zone, "local") == 0;
  if (!local && strcmp(zone, "UTC") != 0)
    return luaL_error(L, "time.format: zone: expected \"UTC\" or \"local\", got \"%s\"", zone);
  if (format[0] == '\0') return lua_pushliteral(L, ""), 1;
  if (local)
    localtime_r(&seconds, &parts);
  else
    gmtime_r(&seconds, &parts);
  char text[TEXT_SIZE_MAX];
  size_t size = strftime_l(text, sizeof text, format, &parts, c_locale);
  if (size == 0)
    return luaL_error(L, "time.format: the text is longer than %d bytes", TEXT_SIZE_MAX);
  lua_pushlstring(L, text, size);
  return 1;
}

static int l_format(lua_State *L) {
  double t = check_instant(L, "time.format: t");
  const char *format = fl_lua_opt_cstr(L, 2, "time.format: format", NULL);
  const char *zone = fl_lua_opt_cstr(L, 3, "time.format: zone", "UTC");
  if (format) return push_formatted(L, t, format, zone);
  if (strcmp(zone, "UTC") != 0) return push_formatted(L, t, "%Y-%m-%dT%H:%M:%S%z", zone);
  char text[FL_TIME_TEXT_SIZE];
  fl_time_format((int64_t)floor(t * 1000 + 0.5), text);
  lua_pushstring(L, text);
  return 1;
}

static int l_date(lua_State *L) {
  double t = check_instant(L, "time.date: t");
  return push_formatted(L, t, fl_lua_opt_cstr(L, 2, "time.date: format", "%Y-%m-%d"), "UTC");
}

static int l_parse(lua_State *L) {
  size_t size;
  const char *text = fl_lua_check_text(L, 1, "time.parse: text", &size);
  int64_t ms;
  fl_error err;
  if (strlen(text) == size && fl_time_parse(text, &ms))
    return lua_pushnumber(L, (double)ms / 1000), 1;
  fl_fail(&err, FL_E_USAGE,
          "expected a time like 2026-01-31T23:59:59Z or 2026-01-31, got \"%.100s\"", text);
  return fl_lua_fail(L, &err);
}

static int l_duration(lua_State *L) {
  int64_t ms;
  fl_error err;
  if (lua_type(L, 1) != LUA_TSTRING) {
    lua_pushnumber(L, (double)fl_lua_check_duration(L, 1, "time.duration") / 1000);
    return 1;
  }
  const char *text = lua_tostring(L, 1);
  if (fl_duration_parse(text, &ms)) return lua_pushnumber(L, (double)ms / 1000), 1;
  fl_fail(&err, FL_E_USAGE,
          "expected a duration like \"500ms\", \"10s\", \"5m\", \"2h\" or \"1d\", got \"%.100s\"",
          text);
  return fl_lua_fail(L, &err);
}

static int l_sleep(lua_State *L) {
  int64_t ms = fl_lua_check_duration(L, 1, "time.sleep: duration");
  struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
  return 0;
}

int luaopen_flow_core_time(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"date", l_date}, {"duration", l_duration}, {"format", l_format}, {"monotonic", l_monotonic},
      {"now", l_now},   {"parse", l_parse},       {"sleep", l_sleep},   {NULL, NULL},
  };
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
