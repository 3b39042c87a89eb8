// A Lua state with the language in it: libraries, C modules, and the embedded Lua modules.
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <sys/stat.h>
#include "bind/call.h"
#include "bind/embedded.h"
#include "bind/graph.h"
#include "bind/modules.h"
#include "bind/script.h"

static int l_load_embedded(lua_State *L) {
  const fl_embedded *m = lua_touserdata(L, lua_upvalueindex(1));
  if (luaL_loadbuffer(L, (const char *)m->code, m->size, m->name)) return lua_error(L);
  lua_pushstring(L, m->name);
  lua_call(L, 1, 1);
  return 1;
}

// Development: "flow.dag" is <dir>/lua/flow/dag.lua or .../dag/init.lua; "stdlib.x" is
// <dir>/stdlib/x.
static int l_load_file(lua_State *L) {
  const char *path = lua_tostring(L, lua_upvalueindex(1));
  if (luaL_loadfile(L, path)) return lua_error(L);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_call(L, 1, 1);
  return 1;
}

static bool find_file(const char *dir, const char *name, char *out, size_t size) {
  static const char *const forms[] = {"%s/%s%s.lua", "%s/%s%s/init.lua"};
  char path[512];
  struct stat st;
  snprintf(path, sizeof path, "%s", name);
  for (char *p = path; *p; p++)
    if (*p == '.') *p = '/';
  const char *under = strncmp(path, "stdlib/", 7) ? "lua/" : "";
  for (int i = 0; i < 2; i++) {
    if ((size_t)snprintf(out, size, forms[i], dir, under, path) >= size) continue;
    if (!stat(out, &st) && S_ISREG(st.st_mode)) return true;
  }
  return false;
}

static int l_open_guard(lua_State *L) {
  lua_pushcfunction(L, fl_budget_guard);
  return 1;
}

static int l_setup(lua_State *L) {
  const char *lua_dir = lua_touserdata(L, 1);
  char path[1024];
  luaL_openlibs(L);
  fl_lua_open_modules(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_flow_core_graph);
  lua_setfield(L, -2, "flow.core.graph");
  lua_pushcfunction(L, l_open_guard);
  lua_setfield(L, -2, "flow.core.guard");
  for (size_t i = 0; i < fl_embedded_count; i++) {
    const fl_embedded *m = &fl_embedded_modules[i];
    if (lua_dir && find_file(lua_dir, m->name, path, sizeof path)) {
      lua_pushstring(L, path);
      lua_pushstring(L, m->name);
      lua_pushcclosure(L, l_load_file, 2);
    } else {
      lua_pushlightuserdata(L, (void *)m);
      lua_pushcclosure(L, l_load_embedded, 1);
    }
    lua_setfield(L, -2, m->name);
  }
  return 0;
}

fl_code fl_lua_new_state(const char *lua_dir, lua_State **out, fl_error *err) {
  lua_State *L = fl_lua_open_state();
  *out = NULL;
  if (!L) return fl_fail(err, FL_E_SYSTEM, "cannot make a Lua state: no memory");
  fl_code rc = fl_lua_protect(L, l_setup, (void *)lua_dir, err);
  if (rc)
    fl_lua_close_state(L);
  else
    *out = L;
  return rc;
}
