// Tests flow.core.graph: graphs built from Lua, and what is refused.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <lauxlib.h>
#include <lualib.h>
#include "bind/graph.h"

static lua_State *new_state(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_pushcfunction(L, luaopen_flow_core_graph);
  lua_call(L, 0, 1);
  lua_setglobal(L, "core");
  const char *set =
      "function set(g, kind, retries, more, v) local o = {kind = core.kinds[kind or 'process'],"
      "trigger = core.triggers.all_success, merge = core.merges.error, hook = core.hooks.none,"
      "has_when = false, has_retry_on = false, allow_failure = false, priority = 0,"
      "retry_count_max = retries or 0, lost_count_max = 5, retry_delay_ms = 1000,"
      "retry_backoff = 1, retry_delay_max_ms = 0, retry_jitter = 0.5, timeout_ms = 0,"
      "deadline_ms = 0, grace_ms = 10000, pool = 0, weight = 1, map_limit = 0}"
      "local list = {} for i, name in ipairs(core.options) do list[i] = o[name] end "
      "if more then list[more] = v end return g:options('shell', list) end";
  assert_int_equal(luaL_dostring(L, set), 0);
  return L;
}

static void expect(lua_State *L, const char *code) {
  if (luaL_dostring(L, code)) fail_msg("%s: %s", code, lua_tostring(L, -1));
  lua_settop(L, 0);
}

static void expect_error(lua_State *L, const char *code, const char *message) {
  assert_int_not_equal(luaL_dostring(L, code), 0);
  if (!strstr(lua_tostring(L, -1), message)) fail_msg("%s: %s", code, lua_tostring(L, -1));
  lua_settop(L, 0);
}

static void a_graph_is_built_and_read(void **state) {
  (void)state;
  lua_State *L = new_state();
  expect(L, "g = core.new() local s = set(g)"
            "assert(g:add('a', s) == 0 and g:add('b', s) == 1 and g:add('c', s) == 2)"
            "g:after(1, 0) g:after(2, 'a') g:after(2, 1) g:after(2, 'a')"
            "assert(g:freeze() == true)"
            "assert(g:count() == 3 and g:name(1) == 'b' and g:type(0) == 'shell')"
            "assert(g:find('c') == 2 and g:find('d') == nil)"
            "local p = g:parents(2) assert(#p == 2 and p[1] == 0 and p[2] == 1)"
            "local c = g:children(0) assert(#c == 2 and c[1] == 1 and c[2] == 2)");
  lua_getglobal(L, "g");
  const fl_graph *g = fl_lua_to_graph(L, -1);
  assert_int_equal(fl_graph_get_count(g), 3);
  assert_ptr_equal(fl_graph_get_options(g, 0), fl_graph_get_options(g, 2));
  assert_int_equal(fl_graph_get_options(g, 0)->grace_ms, 10000);
  lua_close(L);
}

static void a_map_has_items(void **state) {
  (void)state;
  lua_State *L = new_state();
  expect(L, "g = core.new() local i = g:add('m', set(g, 'map'))"
            "g:inner(i, set(g, 'inline', 3)) assert(g:freeze())");
  lua_getglobal(L, "g");
  const fl_graph *g = fl_lua_to_graph(L, -1);
  assert_int_equal(fl_graph_get_options(g, 0)->kind, FL_KIND_MAP);
  assert_int_equal(fl_graph_get_inner(g, 0)->kind, FL_KIND_INLINE);
  assert_int_equal(fl_graph_get_inner(g, 0)->retry_count_max, 3);
  lua_close(L);
}

static void what_cannot_be_is_an_error_to_look_at(void **state) {
  (void)state;
  lua_State *L = new_state();
  expect(L, "local g = core.new() local s = set(g) g:add('a', s)"
            "local i, err = g:add('a', s) assert(i == nil and err.message:find('exists already'))");
  expect(L, "local g = core.new() local s = set(g) g:add('a', s) g:add('b', s)"
            "g:after(0, 1) g:after(1, 0) local ok, err = g:freeze()"
            "assert(ok == nil and err.message:find('cycle: a %-> b %-> a'), err.message)");
  lua_close(L);
}

static void wrong_use_raises(void **state) {
  (void)state;
  static const struct {
    const char *code, *message;
  } rows[] = {
      {"core.new():add('a b', 0)", "no valid name"},
      {"core.new():add('a', 0)", "no such set of options"},
      {"core.new():after(0, 0)", "no such node"},
      {"core.new():name(0)", "no such node"},
      {"core.new():name(-1)", "no such node"},
      {"core.new():name(0/0)", "no such node"},
      {"core.new():options('shell')", "table expected"},
      {"core.new():options('shell', {})", "not as many as there are options"},
      {"set(core.new(), nil, nil, #core.options + 1, 1)", "not as many as there are options"},
      {"set(core.new(), nil, nil, 1, 'process')", "kind: number expected, got string"},
      {"set(core.new(), nil, nil, 2, 0/0)", "trigger is out of range"},
      {"core.new():parents(0)", "not frozen yet"},
      {"local g = core.new() g:freeze() set(g)", "frozen"},
      {"local g = core.new() g:freeze() g:freeze()", "frozen"},
      {"local g = core.new() local s = set(g) g:add('a', s) g:after(0, 'x')", "no such node"},
      {"local g = core.new() local s = set(g) g:add('a', s) g:add('b', s) g:after(1, 0) "
       "g:after(0, 1)",
       "in the order of nodes"},
      {"local g = core.new() local s = set(g) g:add('a', s) g:add('b', s) g:after(1, 0) "
       "g:add('c', s)",
       "nodes come before edges"},
      {"set(core.new(), 'process', 101)", "out of range"},
      {"core.new().count(5)", "flow.core.graph expected"},
  };
  lua_State *L = new_state();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    expect_error(L, rows[i].code, rows[i].message);
  lua_close(L);
}

static void a_dropped_graph_is_freed(void **state) {
  (void)state;
  lua_State *L = new_state();
  expect(L, "for i = 1, 100 do local g = core.new() g:add('a', set(g)) end collectgarbage()");
  expect_error(L,
               "local g = core.new() debug.getmetatable(g).__gc(g) "
               "debug.getmetatable(g).__gc(g) g:count()",
               "closed");
  lua_close(L);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_graph_is_built_and_read),
      cmocka_unit_test(a_map_has_items),
      cmocka_unit_test(what_cannot_be_is_an_error_to_look_at),
      cmocka_unit_test(wrong_use_raises),
      cmocka_unit_test(a_dropped_graph_is_freed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
