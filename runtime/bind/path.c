// Paths as text: join, dirname, basename, ext, absolute, cwd.
#include "bind/path.h"
#include "bind/error.h"
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <unistd.h>

static int l_join(lua_State *L) {
  int count = lua_gettop(L);
  const char *parts[64];
  if (count == 0) fl_lua_raise_type(L, 1, "fs.join: path", "a string");
  if (count > 64) return luaL_error(L, "fs.join: more than 64 parts");
  int first = 0;
  for (int i = 0; i < count; i++) {
    parts[i] = fl_lua_check_cstr(L, i + 1, "fs.join: path");
    if (parts[i][0] == '/') first = i; // what stands before an absolute path does not count
  }
  fl_buf *out = fl_lua_push_buf(L, 1u << 20);
  for (int i = first; i < count; i++) {
    if (parts[i][0] == '\0') continue;
    if (out->size > 0 && out->data[out->size - 1] != '/') fl_buf_add_char(out, '/');
    fl_buf_add_str(out, parts[i]);
  }
  lua_pushstring(L, fl_buf_cstr(out));
  return 1;
}

// The last part of a path, without slashes after it. Returns its size; `*start` is where it begins.
static size_t find_last_part(const char *path, const char **start) {
  size_t end = strlen(path);
  while (end > 1 && path[end - 1] == '/') end--;
  size_t from = end;
  while (from > 0 && path[from - 1] != '/') from--;
  if (end == 1 && path[0] == '/') from = 0;
  *start = path + from;
  return end - from;
}

static int l_dirname(lua_State *L) {
  const char *path = fl_lua_check_cstr(L, 1, "fs.dirname: path"), *start;
  find_last_part(path, &start);
  size_t size = (size_t)(start - path);
  if (size == 0) return lua_pushstring(L, path[0] == '/' ? "/" : "."), 1;
  while (size > 1 && path[size - 1] == '/') size--;
  lua_pushlstring(L, path, size);
  return 1;
}

static int l_basename(lua_State *L) {
  const char *start;
  size_t size = find_last_part(fl_lua_check_cstr(L, 1, "fs.basename: path"), &start);
  lua_pushlstring(L, start, size);
  return 1;
}

static int l_ext(lua_State *L) {
  const char *start;
  size_t size = find_last_part(fl_lua_check_cstr(L, 1, "fs.ext: path"), &start);
  size_t dot = size, lead = 0;
  while (lead < size && start[lead] == '.') lead++; // ".profile" and ".." have none
  for (size_t i = lead; i < size; i++)
    if (start[i] == '.') dot = i;
  lua_pushlstring(L, start + dot, size - dot);
  return 1;
}

static int push_cwd_error(lua_State *L) {
  return fl_lua_fail_errno(L, errno, "cannot tell the current folder");
}

static int l_cwd(lua_State *L) {
  char cwd[PATH_MAX];
  if (!getcwd(cwd, sizeof cwd)) return push_cwd_error(L);
  lua_pushstring(L, cwd);
  return 1;
}

// Takes "." and ".." out of an absolute path, by its text.
static void add_normal(fl_buf *out, const char *path) {
  for (const char *p = path; *p;) {
    p += strspn(p, "/");
    size_t size = strcspn(p, "/");
    if (size == 2 && p[0] == '.' && p[1] == '.') {
      while (out->size > 0 && out->data[--out->size] != '/') {
      }
    } else if (size > 0 && !(size == 1 && p[0] == '.')) {
      fl_buf_add_char(out, '/');
      fl_buf_add(out, p, size);
    }
    p += size;
  }
}

static int l_absolute(lua_State *L) {
  const char *path = fl_lua_check_cstr(L, 1, "fs.absolute: path");
  const char *base = fl_lua_opt_cstr(L, 2, "fs.absolute: base", "");
  char cwd[PATH_MAX] = "";
  bool relative = path[0] != '/' && base[0] != '/';
  fl_buf *out = fl_lua_push_buf(L, 1u << 20);
  if (relative && !getcwd(cwd, sizeof cwd)) return push_cwd_error(L);
  if (relative) add_normal(out, cwd);
  if (path[0] != '/') add_normal(out, base);
  add_normal(out, path);
  if (out->size == 0) fl_buf_add_char(out, '/');
  lua_pushlstring(L, out->data, out->size);
  return 1;
}

void fl_lua_add_path_functions(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"absolute", l_absolute}, {"basename", l_basename}, {"cwd", l_cwd}, {"dirname", l_dirname},
      {"ext", l_ext},           {"join", l_join},         {NULL, NULL},
  };
  luaL_register(L, NULL, functions);
}
