// flow.core.re: PCRE2 with limits, in the shape of Lua's string library.
//
// Compiled patterns are kept in a table that is an upvalue of all functions here; a pattern in use
// is on the Lua stack, so that a callback that fills the table with others takes nothing away.
#include "base/match.h"
#include "bind/error.h"
#include "bind/modules.h"
#include <lauxlib.h>

#define CACHED_MAX    256 // patterns; then the table starts anew
#define REGEX_TYPE    "flow.regex"
#define TEXT_SIZE_MAX 0x7fffff00u // what a Lua string can hold

#define FEW_GROUPS 16

// A search through one subject, all of it borrowed from the Lua stack. The offsets are copied out
// of the pattern at once: whatever runs in Lua next, be it a finalizer, may use the same pattern.
typedef struct search {
  fl_regex *re;
  const char *text;
  size_t size;
  size_t at; // where the next match may start
  bool utf;
  bool found;
  size_t few[2 * FEW_GROUPS];
  size_t *many; // instead of `few` for a pattern with more groups; on the Lua stack
} search;

static int l_regex_gc(lua_State *L) {
  fl_regex **box = lua_touserdata(L, 1);
  fl_regex_free(*box);
  *box = NULL;
  return 0;
}

static fl_regex **push_box(lua_State *L) {
  fl_regex **box = lua_newuserdata(L, sizeof(fl_regex *));
  *box = NULL;
  if (luaL_newmetatable(L, REGEX_TYPE)) {
    lua_pushcfunction(L, l_regex_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return box;
}

static void remember(lua_State *L) { // key, box -> box
  lua_rawgeti(L, lua_upvalueindex(1), 1);
  lua_Integer count = lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (count >= CACHED_MAX) {
    count = 0;
    for (lua_pushnil(L); lua_next(L, lua_upvalueindex(1));) {
      lua_pop(L, 1);
      lua_pushvalue(L, -1);
      lua_pushnil(L);
      lua_rawset(L, lua_upvalueindex(1));
    }
  }
  lua_pushinteger(L, count + 1);
  lua_rawseti(L, lua_upvalueindex(1), 1);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, -2);
  lua_rawset(L, lua_upvalueindex(1));
  lua_remove(L, -2);
}

// Pushes the compiled pattern (argument 2), made or remembered, so that it stays.
static fl_regex *push_regex(lua_State *L, const char *name, const char *flags) {
  size_t size;
  if (!lua_isstring(L, 2)) {
    lua_pushfstring(L, "%s: pattern", name);
    fl_lua_raise_type(L, 2, lua_tostring(L, -1), "a string");
  }
  const char *pattern = lua_tolstring(L, 2, &size);
  lua_pushfstring(L, "%s/", flags);
  lua_pushvalue(L, 2);
  lua_concat(L, 2);
  lua_pushvalue(L, -1);
  lua_rawget(L, lua_upvalueindex(1));
  if (lua_isuserdata(L, -1)) {
    lua_remove(L, -2);
    return *(fl_regex **)lua_touserdata(L, -1);
  }
  lua_pop(L, 1);
  fl_regex **box = push_box(L);
  fl_error err;
  if (fl_regex_compile(pattern, size, flags, box, &err)) luaL_error(L, "%s: %s", name, err.message);
  remember(L);
  return *box;
}

// Arguments 1 (text) and 2 (pattern); `flags_at` is where the flags are. Pushes two things that
// hold what the search borrows.
static search begin_search(lua_State *L, const char *name, int flags_at) {
  search s = {0};
  if (!lua_isstring(L, 1)) {
    lua_pushfstring(L, "%s: text", name);
    fl_lua_raise_type(L, 1, lua_tostring(L, -1), "a string");
  }
  s.text = lua_tolstring(L, 1, &s.size);
  const char *flags = "";
  if (!lua_isnoneornil(L, flags_at)) {
    lua_pushfstring(L, "%s: flags", name);
    flags = fl_lua_check_cstr(L, flags_at, lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  s.utf = strchr(flags, 'u') != NULL;
  s.re = push_regex(L, name, flags);
  size_t groups = fl_regex_group_count(s.re) + 1;
  if (groups > FEW_GROUPS)
    s.many = lua_newuserdata(L, 2 * groups * sizeof *s.many);
  else
    lua_pushnil(L);
  return s;
}

static size_t *get_pairs(search *s) {
  return s->many ? s->many : s->few;
}

static fl_code next_match(search *s, fl_error *err) {
  const size_t *pairs;
  size_t count;
  s->found = false;
  if (s->at > s->size) return FL_OK;
  fl_code code = fl_regex_match(s->re, s->text, s->size, s->at, &pairs, &count, err);
  if (code != FL_OK) return code;
  s->found = count > 0;
  if (s->found) memcpy(get_pairs(s), pairs, 2 * count * sizeof *pairs);
  // PCRE2 refuses \K in look-arounds, the only way for a match to lie elsewhere.
  FL_ASSERT(!s->found || (get_pairs(s)[0] >= s->at && get_pairs(s)[1] >= get_pairs(s)[0]));
  return FL_OK;
}

// Where to go on after the last match: past it, and past one character more when it was empty.
static void step_on(search *s) {
  const size_t *pairs = get_pairs(s);
  s->at = pairs[1];
  if (pairs[1] > pairs[0]) return;
  s->at++;
  while (s->utf && s->at < s->size && ((unsigned char)s->text[s->at] & 0xC0) == 0x80) s->at++;
}

// A group that took no part is false: nil would end a list of results early.
static void push_group(lua_State *L, search *s, size_t group) {
  size_t from = get_pairs(s)[2 * group], to = get_pairs(s)[2 * group + 1];
  if (from == FL_REGEX_UNSET)
    lua_pushboolean(L, 0);
  else
    lua_pushlstring(L, s->text + from, to > from ? to - from : 0);
}

static bool has_names(const fl_regex *re) {
  for (size_t i = 1; i <= fl_regex_group_count(re); i++)
    if (fl_regex_group_name(re, i)) return true;
  return false;
}

// Pushes what a match gives: a table when there are names, else the groups, else (if `whole`) the
// text itself. Returns how many values.
static int push_captures(lua_State *L, search *s, bool whole) {
  size_t groups = fl_regex_group_count(s->re);
  if (has_names(s->re)) {
    lua_createtable(L, (int)groups + 1, (int)groups);
    for (size_t i = 0; i <= groups; i++) {
      const char *name = fl_regex_group_name(s->re, i);
      push_group(L, s, i);
      if (name) {
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, name);
      }
      lua_rawseti(L, -2, (int)i);
    }
    return 1;
  }
  luaL_checkstack(L, (int)groups + 1, "the pattern has too many groups");
  if (groups == 0 && whole) push_group(L, s, 0);
  for (size_t i = 1; i <= groups; i++) push_group(L, s, i);
  return groups == 0 ? whole : (int)groups;
}

// `init` as string.find has it: from 1, negative from the end; moves the flags when it is left out.
static search begin_at(lua_State *L, const char *name) {
  lua_settop(L, 4);
  if (lua_type(L, 3) == LUA_TSTRING && lua_isnil(L, 4)) {
    lua_insert(L, 3); // (s, pattern, flags)
  }
  int64_t init = 1;
  if (!lua_isnil(L, 3)) {
    lua_pushfstring(L, "%s: init", name);
    init = fl_lua_check_int(L, 3, lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  search s = begin_search(L, name, 4);
  if (init < 0) init += (int64_t)s.size + 1;
  if (init < 1) init = 1;
  s.at = init > (int64_t)s.size + 1 ? s.size + 1 : (size_t)init - 1;
  return s;
}

static int l_match(lua_State *L) {
  search s = begin_at(L, "re.match");
  fl_error err;
  if (next_match(&s, &err)) return fl_lua_fail(L, &err);
  if (!s.found) return lua_pushnil(L), 1;
  return push_captures(L, &s, true);
}

static int l_find(lua_State *L) {
  search s = begin_at(L, "re.find");
  fl_error err;
  if (next_match(&s, &err)) return fl_lua_fail(L, &err);
  if (!s.found) return lua_pushnil(L), 1;
  lua_pushinteger(L, (lua_Integer)get_pairs(&s)[0] + 1);
  lua_pushinteger(L, (lua_Integer)get_pairs(&s)[1]);
  return 2 + push_captures(L, &s, false);
}

// Upvalues: the table of patterns, the search, and three that hold what it borrows.
static int l_gmatch_next(lua_State *L) {
  search *s = lua_touserdata(L, lua_upvalueindex(2));
  fl_error err;
  if (next_match(s, &err)) { // a loop has no place for `nil, err`
    fl_lua_push_error(L, &err);
    return lua_error(L);
  }
  if (!s->found) return s->at = s->size + 1, lua_pushnil(L), 1;
  int count = push_captures(L, s, true);
  step_on(s);
  return count;
}

static int l_gmatch(lua_State *L) {
  lua_settop(L, 3);
  search s = begin_search(L, "re.gmatch", 3); // pushes 4 and 5
  lua_pushvalue(L, lua_upvalueindex(1));
  *(search *)lua_newuserdata(L, sizeof s) = s;
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 4);
  lua_pushvalue(L, 5);
  lua_pushcclosure(L, l_gmatch_next, 5);
  return 1;
}

// ------------------------------------------------------------------------------------- replacing

// The group that `$1`, `${1}` or `${name}` at `p` means; `*p` is moved behind it. -1: none such.
static int read_reference(const search *s, const char **p, const char *end) {
  bool braces = *p < end && **p == '{';
  const char *from = *p + braces, *to = from;
  if (braces) {
    while (to < end && *to != '}') to++;
    if (to == end) return -1;
  } else {
    while (to < end && *to >= '0' && *to <= '9' && to - from < 2) to++;
  }
  *p = to + braces;
  size_t groups = fl_regex_group_count(s->re), size = (size_t)(to - from);
  if (size > 0 && size <= 3 && strspn(from, "0123456789") >= size) {
    size_t group = 0;
    for (; from < to; from++) group = group * 10 + (size_t)(*from - '0');
    return group <= groups ? (int)group : -1;
  }
  for (size_t i = 1; i <= groups; i++) {
    const char *name = fl_regex_group_name(s->re, i);
    if (name && strlen(name) == size && memcmp(name, from, size) == 0) return (int)i;
  }
  return -1;
}

static void add_template(lua_State *L, search *s, fl_buf *out, const char *text, size_t size) {
  const char *end = text + size;
  for (const char *p = text; p < end;) {
    const char *dollar = memchr(p, '$', (size_t)(end - p));
    fl_buf_add(out, p, (size_t)((dollar ? dollar : end) - p));
    if (!dollar) return;
    p = dollar + 1;
    if (p < end && *p == '$') {
      fl_buf_add_char(out, *p++);
      continue;
    }
    int group = read_reference(s, &p, end);
    if (group < 0) {
      lua_pushlstring(L, dollar, (size_t)(p > dollar + 1 ? p - dollar : end - dollar));
      luaL_error(L,
                 "re.gsub: replacement: '%s' names no group of the pattern (a dollar sign is $$)",
                 lua_tostring(L, -1));
    }
    size_t from = get_pairs(s)[2 * group], to = get_pairs(s)[2 * group + 1];
    if (from != FL_REGEX_UNSET && to > from) fl_buf_add(out, s->text + from, to - from);
  }
}

// What stands for the match: by template, table (of the first group or the whole) or function.
static void add_replacement(lua_State *L, search *s, fl_buf *out) {
  size_t size, from = get_pairs(s)[0], to = get_pairs(s)[1];
  switch (lua_type(L, 3)) {
  case LUA_TTABLE:
    push_group(L, s, fl_regex_group_count(s->re) > 0 ? 1 : 0);
    lua_gettable(L, 3);
    break;
  case LUA_TFUNCTION:
    lua_pushvalue(L, 3);
    lua_call(L, push_captures(L, s, true), 1);
    break;
  default: {
    const char *text = lua_tolstring(L, 3, &size);
    add_template(L, s, out, text, size);
    return;
  }
  }
  if (!lua_toboolean(L, -1)) {
    fl_buf_add(out, s->text + from, to - from);
  } else {
    if (!lua_isstring(L, -1))
      luaL_error(L, "re.gsub: replacement: expected a string, got %s", luaL_typename(L, -1));
    const char *text = lua_tolstring(L, -1, &size);
    fl_buf_add(out, text, size);
  }
  lua_pop(L, 1);
}

static int l_gsub(lua_State *L) {
  lua_settop(L, 5);
  int type = lua_type(L, 3);
  if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TTABLE && type != LUA_TFUNCTION)
    fl_lua_raise_type(L, 3, "re.gsub: replacement", "a string, a table or a function");
  if (type == LUA_TNUMBER) lua_tostring(L, 3);
  int64_t limit = fl_lua_opt_int(L, 4, "re.gsub: n", INT64_MAX), done = 0;
  search s = begin_search(L, "re.gsub", 5);
  fl_buf *out = fl_lua_push_buf(L, TEXT_SIZE_MAX);
  fl_error err;
  size_t copied = 0;
  while (done < limit) {
    if (next_match(&s, &err)) return fl_lua_fail(L, &err);
    if (!s.found) break;
    size_t from = get_pairs(&s)[0], to = get_pairs(&s)[1];
    fl_buf_add(out, s.text + copied, from - copied);
    copied = to;
    step_on(&s); // before the call: it may use the same pattern
    add_replacement(L, &s, out);
    done++;
  }
  fl_buf_add(out, s.text + copied, s.size - copied);
  if (out->failed) return luaL_error(L, "re.gsub: the result is too large");
  lua_pushlstring(L, out->data ? out->data : "", out->size);
  lua_pushinteger(L, (lua_Integer)done);
  return 2;
}

static int l_split(lua_State *L) {
  lua_settop(L, 4);
  int64_t limit = fl_lua_opt_int(L, 3, "re.split: n", INT64_MAX);
  search s = begin_search(L, "re.split", 4);
  lua_newtable(L);
  fl_error err;
  size_t copied = 0;
  int pieces = 0;
  while (pieces + 1 < limit) {
    if (next_match(&s, &err)) return fl_lua_fail(L, &err);
    if (!s.found) break;
    size_t from = get_pairs(&s)[0], to = get_pairs(&s)[1];
    step_on(&s);
    // An empty match cuts between two characters, not before the first or after the last.
    if (from == to && (from == copied || from == s.size)) continue;
    lua_pushlstring(L, s.text + copied, from - copied);
    lua_rawseti(L, -2, ++pieces);
    copied = to;
  }
  lua_pushlstring(L, s.text + copied, s.size - copied);
  lua_rawseti(L, -2, ++pieces);
  return 1;
}

static int l_escape(lua_State *L) {
  size_t size;
  const char *text = fl_lua_check_text(L, 1, "re.escape: text", &size);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                c == '_' || c >= 0x80;
    if (c == '\0') {
      luaL_addstring(&b, "\\x00");
      continue;
    }
    if (!word) luaL_addchar(&b, '\\');
    luaL_addchar(&b, (char)c);
  }
  luaL_pushresult(&b);
  return 1;
}

int luaopen_flow_core_re(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"escape", l_escape}, {"find", l_find},   {"gmatch", l_gmatch},
      {"gsub", l_gsub},     {"match", l_match}, {"split", l_split},
  };
  lua_newtable(L);
  lua_newtable(L); // the patterns, shared; [1] is their count
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, functions[i].func, 1);
    lua_setfield(L, -3, functions[i].name);
  }
  lua_pop(L, 1);
  return 1;
}
