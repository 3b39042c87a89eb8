// flow.core.process: a child run to its end, and what this process is.
#include "bind/subprocess.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "bind/value.h"
#include <lauxlib.h>
#include <sched.h>
#include <unistd.h>

#define OUTPUT_SIZE_DEFAULT (64u << 20) // each of stdout and stderr: it is kept in memory
#define GRACE_MS_DEFAULT    2000

// Pushes an array of texts that lives as long as it is on the stack.
static const char **push_pointers(lua_State *L, size_t count) {
  return lua_newuserdata(L, (count + 1) * sizeof(const char *));
}

static const char *check_entry(lua_State *L, const char *what) {
  size_t size;
  if (!lua_isstring(L, -1)) fl_lua_raise_type(L, lua_gettop(L), what, "a string");
  const char *text = lua_tolstring(L, -1, &size);
  if (memchr(text, '\0', size)) luaL_error(L, "%s: has a zero byte in it", what);
  return text;
}

// The positional entries of argument 1. Numbers become text in the table, where they then stay.
static const char **push_argv(lua_State *L) {
  size_t count = lua_objlen(L, 1);
  if (count == 0) luaL_error(L, "process.run: expected the words of a command, got none");
  const char **argv = push_pointers(L, count);
  lua_createtable(L, (int)count, 0); // holds the texts
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 1, (int)i + 1);
    argv[i] = check_entry(L, "process.run: word of the command");
    lua_rawseti(L, -2, (int)i + 1);
  }
  argv[count] = NULL;
  return argv;
}

// This process's environment with the names of `env` set, or taken out where they are false.
static const char **push_env(lua_State *L) {
  extern char **environ;
  if (!fl_lua_get_option(L, 1, "env")) return NULL;
  if (!lua_istable(L, -1)) fl_lua_raise_type(L, lua_gettop(L), "process.run: env", "a table");
  int changes = lua_gettop(L);
  size_t own = 0, more = 0, count = 0;
  while (environ[own]) own++;
  for (lua_pushnil(L); lua_next(L, changes); lua_pop(L, 1)) {
    bool removed = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "process.run: env: a name must be a string");
    if (strpbrk(lua_tostring(L, -2), "=") || *lua_tostring(L, -2) == '\0')
      luaL_error(L, "process.run: env: '%s' is no name", lua_tostring(L, -2));
    if (!removed) check_entry(L, "process.run: env: value");
    more++;
  }
  const char **env = push_pointers(L, own + more);
  for (size_t i = 0; i < own; i++) {
    const char *equals = strchr(environ[i], '=');
    lua_pushlstring(L, environ[i], equals ? (size_t)(equals - environ[i]) : strlen(environ[i]));
    lua_rawget(L, changes);
    if (lua_isnil(L, -1)) env[count++] = environ[i];
    lua_pop(L, 1);
  }
  lua_newtable(L); // holds the texts
  int held = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, changes); lua_pop(L, 1)) {
    if (lua_isboolean(L, -1)) continue;
    lua_pushvalue(L, -2);
    lua_pushliteral(L, "=");
    lua_pushvalue(L, -3);
    lua_concat(L, 3);
    env[count++] = lua_tostring(L, -1);
    lua_rawseti(L, held, (int)count);
  }
  env[count] = NULL;
  return env;
}

static int64_t read_duration(lua_State *L, const char *name, const char *what, int64_t otherwise) {
  bool given = fl_lua_get_option(L, 1, name);
  int64_t ms = given ? fl_lua_check_duration(L, lua_gettop(L), what) : otherwise;
  lua_pop(L, 1);
  return ms;
}

static size_t read_output_max(lua_State *L) {
  int64_t bytes = OUTPUT_SIZE_DEFAULT;
  if (fl_lua_get_option(L, 1, "output_max")) {
    bool good = lua_isstring(L, -1) && fl_size_parse(lua_tostring(L, -1), &bytes);
    if (!good)
      luaL_error(L, "process.run: output_max: expected a size like 1048576 or \"1M\", got %s",
                 lua_isstring(L, -1) ? lua_tostring(L, -1) : luaL_typename(L, -1));
  }
  lua_pop(L, 1);
  return bytes > 0x7fffff00 ? 0x7fffff00 : (size_t)bytes;
}

static void push_end(lua_State *L, const fl_subprocess_end *end, const fl_buf *out,
                     const fl_buf *err_out) {
  lua_createtable(L, 0, 5);
  if (end->signal == 0) {
    lua_pushinteger(L, end->exit_code);
    lua_setfield(L, -2, "code");
  } else {
    lua_pushinteger(L, end->signal);
    lua_setfield(L, -2, "signal");
  }
  lua_pushlstring(L, out->data ? out->data : "", out->size);
  lua_setfield(L, -2, "stdout");
  lua_pushlstring(L, err_out->data ? err_out->data : "", err_out->size);
  lua_setfield(L, -2, "stderr");
  lua_pushboolean(L, end->timed_out);
  lua_setfield(L, -2, "timed_out");
}

static int l_run(lua_State *L) {
  static const char *const names[] = {"cwd",   "env",     "grace", "output_max",
                                      "stdin", "timeout", NULL};
  if (!lua_istable(L, 1)) fl_lua_raise_type(L, 1, "process.run", "a table");
  lua_settop(L, 1);
  fl_lua_check_options(L, 1, "process.run", names);
  fl_subprocess_options options = {0};
  options.timeout_ms = read_duration(L, "timeout", "process.run: timeout", -1);
  options.grace_ms = read_duration(L, "grace", "process.run: grace", GRACE_MS_DEFAULT);
  size_t output_max = read_output_max(L);
  options.argv = push_argv(L);
  options.env = push_env(L);
  if (fl_lua_get_option(L, 1, "cwd"))
    options.cwd = check_entry(L, "process.run: cwd"); // stays on the stack
  if (fl_lua_get_option(L, 1, "stdin"))
    options.stdin_data =
        fl_lua_check_text(L, lua_gettop(L), "process.run: stdin", &options.stdin_size);
  fl_buf *out = fl_lua_push_buf(L, output_max), *err_out = fl_lua_push_buf(L, output_max);
  fl_subprocess_end end;
  fl_error err;
  if (fl_subprocess_run(&options, out, err_out, &end, &err)) return fl_lua_fail(L, &err);
  push_end(L, &end, out, err_out);
  return 1;
}

static int l_pid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

static int l_env(lua_State *L) {
  lua_pushstring(L, getenv(fl_lua_check_cstr(L, 1, "process.env: name"))); // NULL gives nil
  return 1;
}

static int l_hostname(lua_State *L) {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  lua_pushstring(L, name);
  return 1;
}

// Those that this process may use: a container or taskset may have left it fewer than there are.
static int l_cores(lua_State *L) {
  cpu_set_t usable;
  long count = sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable)
                                                                 : sysconf(_SC_NPROCESSORS_ONLN);
  lua_pushinteger(L, count > 0 ? (lua_Integer)count : 1);
  return 1;
}

int luaopen_flow_core_process(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"cores", l_cores}, {"env", l_env}, {"hostname", l_hostname},
      {"pid", l_pid},     {"run", l_run}, {NULL, NULL},
  };
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
