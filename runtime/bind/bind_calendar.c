// flow.core.calendar: rules of runtime/calendar as userdata.
//
// next(rules, from, count) -> list of instants | nil, what is wrong: of the rules of a flow
// together.
//
// rule() -> rule; rule:set(name, text) -> nil | what is wrong; rule:works(fn) has fn(date, weekday)
// asked whether a day works; rule:finish() -> nil | what is wrong, option; rule:check(now) -> nil |
// what is wrong. Instants are whole seconds since 1970.
#include <lauxlib.h>
#include <math.h>
#include "base/civil.h"
#include "bind/budget.h"
#include "bind/calendar.h"
#include "bind/call.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "calendar/rules.h"

#define RULE_TYPE "flow.core.calendar"
#define COUNT_MAX 100000
#define TIME_MAX  253402300799.0 // the end of the year 9999

typedef struct rule_box {
  fl_rule *rule; // NULL once collected
  lua_State *L;  // who asked last
  int works;     // a function in the registry; LUA_NOREF
  const char *path, *flow;
  uint32_t limit_ms; // of one call of it
} rule_box;

static rule_box *check_box(lua_State *L, int index) {
  rule_box *box = luaL_checkudata(L, index, RULE_TYPE);
  if (!box->rule) luaL_error(L, "the rule is closed");
  box->L = L;
  return box;
}

fl_rule *fl_lua_to_rule(lua_State *L, int index) {
  return check_box(L, index)->rule;
}

void fl_lua_limit_rule(lua_State *L, int index, const char *path, const char *flow,
                       uint32_t limit_ms) {
  rule_box *box = check_box(L, index);
  box->path = path;
  box->flow = flow;
  box->limit_ms = limit_ms;
}

static int l_rule(lua_State *L) {
  rule_box *box = lua_newuserdata(L, sizeof *box);
  *box = (rule_box){.works = LUA_NOREF};
  luaL_getmetatable(L, RULE_TYPE);
  lua_setmetatable(L, -2);
  box->rule = fl_rule_new();
  return 1;
}

static int l_gc(lua_State *L) {
  rule_box *box = luaL_checkudata(L, 1, RULE_TYPE);
  fl_rule_free(box->rule);
  luaL_unref(L, LUA_REGISTRYINDEX, box->works);
  *box = (rule_box){.works = LUA_NOREF};
  return 0;
}

// nil, or the sentence.
static int push_problem(lua_State *L, fl_code code, const fl_error *err) {
  if (code == FL_OK)
    lua_pushnil(L);
  else
    lua_pushstring(L, err->message);
  return 1;
}

static int l_set(lua_State *L) {
  rule_box *box = check_box(L, 1);
  fl_error err;
  const char *name = luaL_checkstring(L, 2), *value = luaL_checkstring(L, 3);
  return push_problem(L, fl_rule_set(box->rule, name, value, &err), &err);
}

// The answer is kept by who gave the function.
static int ask_works(void *ud, int64_t day, fl_error *err) {
  rule_box *box = ud;
  int64_t year;
  int month, mday;
  char date[32];
  fl_civil_from_days(day, &year, &month, &mday);
  snprintf(date, sizeof date, "%04lld-%02d-%02d", (long long)year, month, mday);
  fl_budget slice = {.L = box->L,
                     .path = box->path,
                     .flow = box->flow,
                     .what = "calendar",
                     .limit_ms = box->limit_ms};
  if (box->limit_ms) fl_budget_begin(&slice);
  lua_rawgeti(box->L, LUA_REGISTRYINDEX, box->works);
  lua_pushstring(box->L, date);
  lua_pushinteger(box->L, (fl_weekday_of(day) + 6) % 7 + 1); // Monday is 1
  fl_code code = fl_lua_call(box->L, 2, 1, false, err);
  if (box->limit_ms) {
    fl_budget_end(&slice);
    fl_code stopped = fl_budget_fail(&slice, err);
    if (code == FL_OK && stopped != FL_OK) lua_pop(box->L, 1);
    if (stopped != FL_OK) return -1;
  }
  if (code != FL_OK) return -1;
  int works = lua_toboolean(box->L, -1);
  lua_pop(box->L, 1);
  return works;
}

static int l_works(lua_State *L) {
  rule_box *box = check_box(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_unref(L, LUA_REGISTRYINDEX, box->works);
  lua_pushvalue(L, 2);
  box->works = luaL_ref(L, LUA_REGISTRYINDEX);
  fl_rule_set_works(box->rule, ask_works, box);
  return 0;
}

static int l_finish(lua_State *L) {
  rule_box *box = check_box(L, 1);
  const char *option = NULL;
  fl_error err;
  push_problem(L, fl_rule_finish(box->rule, &option, &err), &err);
  lua_pushstring(L, option);
  return 2;
}

static int64_t check_instant(lua_State *L, int arg, const char *what) {
  double s = fl_lua_check_number(L, arg, what);
  if (!(fabs(s) <= TIME_MAX)) luaL_error(L, "%s: expected seconds since 1970, got %f", what, s);
  return (int64_t)ceil(s);
}

static int l_check(lua_State *L) {
  rule_box *box = check_box(L, 1);
  fl_error err;
  int64_t now_s = check_instant(L, 2, "calendar: now");
  return push_problem(L, fl_rule_check(box->rule, now_s, &err), &err);
}

static int push_fires(lua_State *L, const fl_rule *const *rules, int64_t from_s, size_t rule_count,
                      int64_t count) {
  fl_rules *merged;
  fl_fire fire;
  fl_error err;
  size_t which;
  int64_t *from = lua_newuserdata(L, (rule_count + 1) * sizeof *from);
  for (size_t i = 0; i < rule_count; i++) from[i] = from_s;
  int64_t *at = lua_newuserdata(L, (size_t)count * sizeof *at), found = 0;
  fl_code code = fl_rules_open(rules, from, rule_count, &merged, &err);
  if (code == FL_OK) {
    while (found < count && (code = fl_rules_next(merged, &fire, &which, &err)) == FL_OK)
      at[found++] = fire.at_s;
    fl_rules_close(merged);
  }
  if (code != FL_OK && code != FL_E_NOT_FOUND)
    return lua_pushnil(L), 1 + push_problem(L, code, &err);
  lua_createtable(L, (int)found, 0);
  for (int64_t i = 0; i < found; i++)
    lua_pushnumber(L, (double)at[i]), lua_rawseti(L, -2, (int)i + 1);
  return 1;
}

static int l_next(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  int64_t from_s = check_instant(L, 2, "flow.next: from");
  int64_t count = fl_lua_check_int(L, 3, "flow.next: count");
  size_t rule_count = lua_objlen(L, 1);
  if (count < 1 || count > COUNT_MAX)
    luaL_error(L, "flow.next: count: expected 1 to %d, got %f", COUNT_MAX, (double)count);
  const fl_rule **rules = lua_newuserdata(L, (rule_count + 1) * sizeof *rules);
  for (size_t i = 0; i < rule_count; i++) {
    lua_rawgeti(L, 1, (int)i + 1);
    rules[i] = fl_lua_to_rule(L, -1);
    lua_pop(L, 1);
  }
  return push_fires(L, rules, from_s, rule_count, count);
}

int luaopen_flow_core_calendar(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"check", l_check}, {"finish", l_finish}, {"set", l_set},
      {"works", l_works}, {"__gc", l_gc},       {NULL, NULL},
  };
  static const luaL_Reg functions[] = {{"next", l_next}, {"rule", l_rule}, {NULL, NULL}};
  if (luaL_newmetatable(L, RULE_TYPE)) {
    luaL_register(L, NULL, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
