// Tests flow.core.frame and flow.core.zone from Lua.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>
#include "bind/modules.h"

static lua_State *new_state(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_pushcfunction(L, luaopen_flow_core_frame);
  lua_call(L, 0, 1);
  lua_setglobal(L, "frame");
  lua_pushcfunction(L, luaopen_flow_core_zone);
  lua_call(L, 0, 1);
  lua_setglobal(L, "zone");
  return L;
}

static void expect(lua_State *L, const char *code) {
  if (luaL_dostring(L, code)) fail_msg("%s: %s", code, lua_tostring(L, -1));
  lua_settop(L, 0);
}

static void frames_have_function_and_line(void **state) {
  (void)state;
  lua_State *L = new_state();
  expect(L,
         "local function f()\n  local func, line = frame.at(1)\n  local up, above = frame.at(2)\n"
         "  return func, line, up, above\nend\n\n"
         "local func, line, up, above = f()\n"
         "assert(func == f and line == 2 and above == 7 and up ~= f)");
  expect(L, "local _, line = select(2, pcall(frame.at, 1)) assert(line == -1 or line == nil)");
  expect(L, "assert(frame.at(1000) == nil)");
  assert_int_not_equal(luaL_dostring(L, "frame.at('x')"), 0);
  lua_close(L);
}

static void zones_have_an_offset(void **state) {
  (void)state;
  lua_State *L = new_state();
  expect(L, "assert(zone.offset(0, 'UTC') == 0 and zone.offset(1.5, 'Asia/Shanghai') == 8 * 3600)");
  expect(L, "assert(zone.is_known('UTC') and not zone.is_known('Mars/Olympus'))");
  assert_int_not_equal(luaL_dostring(L, "zone.offset(0 / 0, 'UTC')"), 0);
  assert_int_not_equal(luaL_dostring(L, "zone.offset(1e300, 'UTC')"), 0);
  assert_int_not_equal(luaL_dostring(L, "zone.offset(0, nil)"), 0);
  lua_close(L);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(frames_have_function_and_line),
      cmocka_unit_test(zones_have_an_offset),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
