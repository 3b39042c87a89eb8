// JSON text to Lua value, without a tree between. Strict as base/json.c is: the two give the same
// verdict on every text (a test compares them).
//
// Holds nothing outside of Lua, so that running out of memory in the middle leaks nothing. Relies
// on the NUL after the text: every look ahead stops there.
#include "base/json.h"
#include "base/limits.h"
#include "bind/value_state.h"
#include <errno.h>
#include <lauxlib.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>

#define ENVELOPE_DEPTH 16 // levels that a document of ours puts around values
#define GUESSED_SIZE   4  // entries that a new table has room for

typedef struct decoder {
  lua_State *L;
  const char *begin, *at, *end;
  const fl_lua_value_state *state;
  fl_lua_dialect dialect;
  unsigned depth_max;
  fl_error *err;
  fl_code code;
} decoder;

static bool decode_value(decoder *d, unsigned left);

static bool fail(decoder *d, const char *at, const char *what) {
  size_t line = 1, column = 1;
  for (const char *p = d->begin; p < at; p++) {
    column++;
    if (*p == '\n') line++, column = 1;
  }
  d->code =
      fl_fail(d->err, FL_E_USAGE, "not valid JSON: %s at line %zu, column %zu", what, line, column);
  return false;
}

static bool fail_unexpected(decoder *d, const char *expected) {
  char what[64];
  if (d->at >= d->end)
    snprintf(what, sizeof what, "the text ends where %s should be", expected);
  else
    snprintf(what, sizeof what, "expected %s", expected);
  return fail(d, d->at, what);
}

static void skip_space(decoder *d) {
  while (*d->at == ' ' || *d->at == '\n' || *d->at == '\r' || *d->at == '\t') d->at++;
}

// ------------------------------------------------------------------------------------- numbers

static locale_t c_locale;

static void make_c_locale(void) {
  c_locale = newlocale(LC_ALL_MASK, "C", NULL);
}

// The host may have set a locale in which "1.5" is not one and a half.
static double read_real(const char *text) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_c_locale);
  return c_locale ? strtod_l(text, NULL, c_locale) : strtod(text, NULL);
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool skip_digits(decoder *d) {
  if (!is_digit(*d->at)) return false;
  while (is_digit(*d->at)) d->at++;
  return true;
}

static bool push_integer(decoder *d, const char *from) {
  bool negative = *from == '-';
  const char *p = from + negative;
  uint64_t value = 0, max = (uint64_t)INT64_MAX + negative;
  for (; p < d->at; p++) {
    uint64_t digit = (uint64_t)(*p - '0');
    if (value > (max - digit) / 10) return fail(d, from, "an integer that needs more than 64 bits");
    value = value * 10 + digit;
  }
  int64_t number = (int64_t)(negative ? 0 - value : value);
  fl_lua_push_int64(d->L, number);
  return true;
}

static bool decode_number(decoder *d) {
  const char *from = d->at;
  bool real = false;
  if (*d->at == '-') d->at++;
  if (*d->at == '0')
    d->at++;
  else if (!skip_digits(d))
    return fail_unexpected(d, "a digit");
  if (*d->at == '.') {
    real = true;
    d->at++;
    if (!skip_digits(d)) return fail_unexpected(d, "a digit");
  }
  if (*d->at == 'e' || *d->at == 'E') {
    real = true;
    d->at++;
    if (*d->at == '+' || *d->at == '-') d->at++;
    if (!skip_digits(d)) return fail_unexpected(d, "a digit");
  }
  if (!real) return push_integer(d, from);
  double number = read_real(from);
  if (!isfinite(number)) return fail(d, from, "a number that is too large");
  lua_pushnumber(d->L, number);
  return true;
}

// ------------------------------------------------------------------------------------- strings

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// The four digits after "\u".
static bool read_unit(decoder *d, uint32_t *unit) {
  *unit = 0;
  for (int i = 0; i < 4; i++) {
    int value = hex_value(d->at[i]);
    if (value < 0) return false;
    *unit = *unit << 4 | (uint32_t)value;
  }
  d->at += 4;
  return true;
}

static bool add_code_point(decoder *d, luaL_Buffer *b) {
  const char *from = d->at - 2;
  uint32_t c, low;
  if (!read_unit(d, &c)) return fail(d, from, "a \\u without four hexadecimal digits");
  if (c >= 0xD800 && c <= 0xDFFF) {
    bool paired = c < 0xDC00 && d->at[0] == '\\' && d->at[1] == 'u';
    if (paired) d->at += 2;
    if (!paired || !read_unit(d, &low) || low < 0xDC00 || low > 0xDFFF)
      return fail(d, from, "half of a surrogate pair");
    c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
  }
  if (c < 0x80) {
    luaL_addchar(b, (char)c);
    return true;
  }
  if (c < 0x800) {
    luaL_addchar(b, (char)(0xC0 | c >> 6));
  } else {
    if (c < 0x10000) {
      luaL_addchar(b, (char)(0xE0 | c >> 12));
    } else {
      luaL_addchar(b, (char)(0xF0 | c >> 18));
      luaL_addchar(b, (char)(0x80 | (c >> 12 & 63)));
    }
    luaL_addchar(b, (char)(0x80 | (c >> 6 & 63)));
  }
  luaL_addchar(b, (char)(0x80 | (c & 63)));
  return true;
}

static bool add_escape(decoder *d, luaL_Buffer *b) {
  static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
  char c = d->at[1];
  const char *letter = c ? strchr(letters, c) : NULL;
  if (c == 'u') {
    d->at += 2;
    return add_code_point(d, b);
  }
  if (!letter) return fail(d, d->at, "an unknown escape");
  d->at += 2;
  luaL_addchar(b, bytes[letter - letters]);
  return true;
}

// To the next quote, backslash or control character.
static void skip_plain(decoder *d) {
  while ((unsigned char)*d->at >= 0x20 && *d->at != '"' && *d->at != '\\') d->at++;
}

static bool check_plain(decoder *d, const char *from) {
  if (fl_utf8_valid(from, (size_t)(d->at - from))) return true;
  return fail(d, from, "a string that is not UTF-8");
}

static bool decode_escaped(decoder *d, const char *from) {
  luaL_Buffer b;
  luaL_buffinit(d->L, &b);
  for (;;) {
    if (!check_plain(d, from)) return false;
    luaL_addlstring(&b, from, (size_t)(d->at - from));
    if (*d->at == '"') break;
    if (*d->at != '\\') return fail_unexpected(d, "\" (a control character must be escaped)");
    if (!add_escape(d, &b)) return false;
    from = d->at;
    skip_plain(d);
  }
  d->at++;
  luaL_pushresult(&b);
  return true;
}

static bool decode_string(decoder *d) {
  const char *from = ++d->at;
  skip_plain(d);
  if (*d->at != '"') return decode_escaped(d, from);
  if (!check_plain(d, from)) return false;
  lua_pushlstring(d->L, from, (size_t)(d->at - from));
  d->at++;
  return true;
}

// ------------------------------------------------------------------------------------- tables

static bool decode_list(decoder *d, unsigned left) {
  lua_State *L = d->L;
  d->at++;
  lua_createtable(L, GUESSED_SIZE, 0);
  lua_rawgeti(L, LUA_REGISTRYINDEX, d->state->list_mark_ref);
  lua_setmetatable(L, -2);
  skip_space(d);
  if (*d->at == ']') return d->at++, true;
  for (int i = 1;; i++) {
    if (!decode_value(d, left)) return false;
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      fl_lua_push_null(L);
    }
    lua_rawseti(L, -2, i);
    skip_space(d);
    if (*d->at == ']') return d->at++, true;
    if (*d->at != ',') return fail_unexpected(d, "',' or ']'");
    d->at++;
  }
}

// Turns the map at the top, which has one entry, into what was escaped with it.
static void unescape(lua_State *L) {
  lua_pushnil(L);
  lua_next(L, -2);
  size_t key_size, size;
  const char *key = lua_tolstring(L, -2, &key_size);
  if (key_size >= 2 && key[0] == '$' && key[1] == '$') {
    lua_createtable(L, 0, 1);
    lua_pushlstring(L, key + 1, key_size - 1);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_replace(L, -4);
  } else if (strcmp(key, "$bytes") == 0 && lua_type(L, -1) == LUA_TSTRING) {
    const char *text = lua_tolstring(L, -1, &size);
    // The bytes lie in a userdata, not on the heap: pushing them may raise.
    fl_buf bytes = {.capacity = size, .size_max = size};
    bytes.data = lua_newuserdata(L, size + 1);
    if (fl_base64_read(&bytes, text, size)) {
      lua_pushlstring(L, bytes.data, bytes.size);
      lua_replace(L, -5);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

// Sets the value at the top under the key below it. `sorted`: every key so far was greater than the
// one before, so this one cannot be there already.
static bool set_entry(decoder *d, const char *key_at, bool sorted) {
  lua_State *L = d->L;
  if (!sorted) {
    lua_pushvalue(L, -2);
    lua_rawget(L, -4);
    if (!lua_isnil(L, -1)) return fail(d, key_at, "a key that is there twice");
    lua_pop(L, 1);
  }
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    fl_lua_push_null(L);
  }
  lua_rawset(L, -3);
  return true;
}

static bool decode_key(decoder *d, const char **last, size_t *last_size, bool *sorted) {
  size_t size;
  skip_space(d);
  const char *at = d->at;
  if (*d->at != '"') return fail_unexpected(d, "a key in quotes");
  if (!decode_string(d)) return false;
  const char *key = lua_tolstring(d->L, -1, &size);
  if (memchr(key, '\0', size)) return fail(d, at, "a key with a zero byte in it");
  if (*last) {
    int order = memcmp(*last, key, *last_size < size ? *last_size : size);
    if (order > 0 || (order == 0 && *last_size >= size)) *sorted = false;
  }
  *last = key; // stays: the map holds it from the next step on
  *last_size = size;
  skip_space(d);
  if (*d->at != ':') return fail_unexpected(d, "':'");
  d->at++;
  return true;
}

static bool decode_map(decoder *d, unsigned left) {
  lua_State *L = d->L;
  const char *last = NULL;
  size_t last_size = 0;
  bool sorted = true;
  d->at++;
  lua_createtable(L, 0, GUESSED_SIZE);
  skip_space(d);
  if (*d->at == '}') return d->at++, true;
  for (size_t count = 1;; count++) {
    skip_space(d);
    const char *key_at = d->at;
    if (!decode_key(d, &last, &last_size, &sorted) || !decode_value(d, left) ||
        !set_entry(d, key_at, sorted))
      return false;
    skip_space(d);
    if (*d->at == '}') {
      d->at++;
      if (count == 1 && last[0] == '$' && d->dialect == FL_LUA_VALUE) unescape(L);
      return true;
    }
    if (*d->at != ',') return fail_unexpected(d, "',' or '}'");
    d->at++;
  }
}

// ------------------------------------------------------------------------------------- any value

static bool decode_word(decoder *d, const char *word) {
  size_t size = strlen(word);
  if (strncmp(d->at, word, size) != 0) return fail_unexpected(d, "a value");
  d->at += size;
  return true;
}

static bool decode_value(decoder *d, unsigned left) {
  skip_space(d);
  char c = *d->at;
  if (c == '{' || c == '[') {
    if (left > 0) return c == '{' ? decode_map(d, left - 1) : decode_list(d, left - 1);
    d->code = fl_fail(d->err, FL_E_LIMIT, "JSON is nested deeper than %u levels", d->depth_max);
    return false;
  }
  if (c == '"') return decode_string(d);
  if (c == '-' || is_digit(c)) return decode_number(d);
  if (!decode_word(d, c == 't' ? "true" : c == 'f' ? "false" : "null")) return false;
  if (c == 'n')
    lua_pushnil(d->L);
  else
    lua_pushboolean(d->L, c == 't');
  return true;
}

fl_code fl_lua_decode_as(lua_State *L, const char *text, size_t size, fl_lua_dialect dialect,
                         unsigned depth_max, fl_error *err) {
  decoder d = {.L = L,
               .begin = text,
               .at = text,
               .end = text + size,
               .state = fl_lua_get_value_state(L),
               .dialect = dialect,
               .depth_max = depth_max,
               .err = err};
  int top = lua_gettop(L);
  if (!lua_checkstack(L, (int)depth_max * 3 + 32))
    return fl_fail(err, FL_E_LIMIT, "the Lua stack is full");
  bool good = decode_value(&d, depth_max);
  if (good) {
    skip_space(&d);
    if (d.at < d.end) good = fail_unexpected(&d, "the end of the text");
  }
  if (!good) lua_settop(L, top);
  return d.code;
}

fl_code fl_lua_decode(lua_State *L, const char *text, size_t size, fl_error *err) {
  return fl_lua_decode_as(L, text, size, FL_LUA_VALUE, FL_VALUE_DEPTH_MAX + ENVELOPE_DEPTH, err);
}
