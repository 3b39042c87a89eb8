// Lua value to canonical JSON text. Reads tables raw: no metamethod runs, nothing is made in Lua
// and nothing changes while it is read, so nothing raises once the stack is large enough.
#include "base/json.h"
#include "base/limits.h"
#include "bind/value_state.h"
#include <lauxlib.h>
#include <math.h>

#define FEW_ENTRIES    16u // a map with more gets its sort space from the heap
#define STACK_A_LEVEL  4
#define PATH_HEAD      8u // steps shown of a long path before the gap ...
#define PATH_TAIL      4u // ... and after it
#define PATH_KEY_SHOWN 40u

// One step from the top to where we are; lives on the C stack.
typedef struct path_step {
  const struct path_step *up;
  const void *table; // that the step leads out of
  const char *key;   // NULL: `index`
  size_t key_size;
  size_t index;
} path_step;

typedef struct encoder {
  lua_State *L;
  fl_buf *out;
  fl_error *err;
  const char *name;
  const fl_lua_value_state *state;
  fl_lua_dialect dialect;
  size_t start; // size of `out` before
  fl_code code;
} encoder;

// Values that need no look-up again are kept with their key while a map is sorted.
typedef struct map_entry {
  const char *key;
  size_t key_size;
  int type;
  size_t text_size;
  union {
    double number;
    bool flag;
    const char *text;
  };
} map_entry;

static void encode_value(encoder *e, const path_step *at, unsigned left);

// ------------------------------------------------------------------------------------- errors

static bool is_plain_key(const char *key, size_t size) {
  for (size_t i = 0; i < size; i++) {
    char c = key[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
  }
  return size > 0;
}

static void add_step(fl_buf *text, const path_step *step) {
  if (!step->key) {
    fl_buf_addf(text, "[%zu]", step->index);
  } else if (is_plain_key(step->key, step->key_size) && step->key_size <= PATH_KEY_SHOWN) {
    if (text->size > 0) fl_buf_add_char(text, '.');
    fl_buf_add(text, step->key, step->key_size);
  } else {
    bool cut = step->key_size > PATH_KEY_SHOWN;
    fl_buf_add_char(text, '[');
    fl_json_write_string(text, step->key, cut ? PATH_KEY_SHOWN : step->key_size);
    fl_buf_add_str(text, cut ? "...]" : "]");
  }
}

static void add_path(fl_buf *text, const encoder *e, const path_step *at) {
  const path_step *steps[FL_VALUE_DEPTH_MAX + 2];
  size_t count = 0;
  for (; at; at = at->up) steps[count++] = at;
  if (e->name) fl_buf_add_str(text, e->name);
  for (size_t i = 0; i < count; i++) {
    if (count > PATH_HEAD + PATH_TAIL && i == PATH_HEAD) {
      fl_buf_add_str(text, "...");
      i = count - PATH_TAIL;
    }
    add_step(text, steps[count - 1 - i]);
  }
}

static void fail(encoder *e, const path_step *at, fl_code code, const char *fmt, ...)
    FL_PRINTF(4, 5);

static void fail(encoder *e, const path_step *at, fl_code code, const char *fmt, ...) {
  if (e->code != FL_OK) return;
  fl_buf text;
  fl_buf_init(&text, FL_ERROR_MESSAGE_SIZE);
  add_path(&text, e, at);
  if (text.size > 0) fl_buf_add_str(&text, ": ");
  va_list args;
  va_start(args, fmt);
  fl_buf_vaddf(&text, fmt, args);
  va_end(args);
  e->code = fl_fail(e->err, code, "%s", fl_buf_cstr(&text));
  fl_buf_deinit(&text);
}

// Once an element is written: stops early when the value has become too large.
static bool fits(encoder *e) {
  if (e->code != FL_OK) return false;
  if (!e->out->failed && e->out->size - e->start <= FL_VALUE_SIZE_MAX) return true;
  fail(e, NULL, FL_E_LIMIT, "is larger than %u MiB (the limit of a value)",
       FL_VALUE_SIZE_MAX >> 20);
  return false;
}

// ------------------------------------------------------------------------------------- scalars

static void encode_text(encoder *e, const path_step *at, const char *text, size_t size) {
  if (e->dialect == FL_LUA_VALUE)
    fl_json_write_bytes(e->out, text, size);
  else if (fl_utf8_valid(text, size))
    fl_json_write_string(e->out, text, size);
  else
    fail(e, at, FL_E_USAGE, "a string that is no UTF-8 text cannot be JSON");
}

static void encode_number(encoder *e, const path_step *at, double number) {
  if (isfinite(number))
    fl_json_write_number(e->out, number);
  else
    fail(e, at, FL_E_USAGE, "%s cannot be stored", isnan(number) ? "NaN" : "infinity");
}

static void encode_flag(encoder *e, bool flag) {
  fl_buf_add_str(e->out, flag ? "true" : "false");
}

static void encode_cdata(encoder *e, const path_step *at) {
  int64_t number;
  if (fl_lua_to_int64(e->L, -1, &number))
    fl_json_write_int(e->out, number);
  else
    fail(e, at, FL_E_USAGE, "a cdata that is no 64-bit integer below 2^63 cannot be stored");
}

// ------------------------------------------------------------------------------------- lists

static void encode_element(encoder *e, const path_step *up, const void *table, size_t index,
                           unsigned left) {
  path_step step = {.up = up, .table = table, .index = index};
  if (index > 1) fl_buf_add_char(e->out, ',');
  encode_value(e, &step, left);
}

static void fail_key(encoder *e, const path_step *at, double key) {
  fail(e, at, FL_E_USAGE,
       "has the key %.14g: a table is a list with the positions 1 to n (no nil between them: use "
       "flow.null) or a map with text keys",
       key);
}

// Whether the keys are 1 to n in whatever order; if not, says what is wrong with them.
static bool check_positions(encoder *e, const path_step *at, size_t *count) {
  lua_State *L = e->L;
  double largest = 0;
  size_t positions = 0, names = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    int type = lua_type(L, -2);
    double key = type == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
    bool position = key >= 1 && key == floor(key);
    if (position) positions++;
    if (key > largest) largest = key;
    if (type == LUA_TSTRING) names++;
    if (position || type == LUA_TSTRING) continue;
    if (type == LUA_TNUMBER)
      fail_key(e, at, key);
    else
      fail(e, at, FL_E_USAGE, "a key that is a %s cannot be stored", luaL_typename(L, -2));
    lua_pop(L, 2);
    return false;
  }
  *count = positions;
  if (names > 0 && positions > 0)
    fail(e, at, FL_E_USAGE, "has positions and text keys: a table is a list or a map, not both");
  else if (names > 0)
    fail(e, at, FL_E_USAGE, "has text keys, but is marked as a list");
  else if (largest != (double)positions)
    fail_key(e, at, largest);
  return e->code == FL_OK;
}

// A list whose positions did not come as 1, 2, 3...: it lies in the hash part of its table.
static void encode_unordered_list(encoder *e, const path_step *at, unsigned left) {
  const void *table = lua_topointer(e->L, -1);
  size_t count;
  if (!check_positions(e, at, &count)) return;
  fl_buf_add_char(e->out, '[');
  for (size_t i = 1; i <= count && fits(e); i++) {
    lua_rawgeti(e->L, -1, (int)i);
    encode_element(e, at, table, i, left);
    lua_pop(e->L, 1);
  }
  fl_buf_add_char(e->out, ']');
}

// Written while it is walked, as long as the keys come as 1, 2, 3...
static void encode_list(encoder *e, const path_step *at, unsigned left) {
  lua_State *L = e->L;
  const void *table = lua_topointer(L, -1);
  size_t before = e->out->size, index = 0;
  fl_buf_add_char(e->out, '[');
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    index++;
    if (lua_type(L, -2) != LUA_TNUMBER || lua_tonumber(L, -2) != (double)index) {
      lua_pop(L, 2);
      e->out->size = before;
      encode_unordered_list(e, at, left);
      return;
    }
    encode_element(e, at, table, index, left);
    if (!fits(e)) {
      lua_pop(L, 2);
      return;
    }
  }
  fl_buf_add_char(e->out, ']');
}

// ------------------------------------------------------------------------------------- maps

static int compare_entries(const void *a, const void *b) {
  const map_entry *x = a, *y = b;
  int order = memcmp(x->key, y->key, x->key_size < y->key_size ? x->key_size : y->key_size);
  if (order != 0) return order;
  return x->key_size < y->key_size ? -1 : x->key_size > y->key_size;
}

static void sort_entries(map_entry *entries, size_t count) {
  if (count > FEW_ENTRIES) {
    qsort(entries, count, sizeof *entries, compare_entries);
    return;
  }
  for (size_t i = 1; i < count; i++) {
    map_entry moved = entries[i];
    size_t to = i;
    for (; to > 0 && compare_entries(&moved, &entries[to - 1]) < 0; to--)
      entries[to] = entries[to - 1];
    entries[to] = moved;
  }
}

// The text of keys and values is borrowed from the table, which holds it.
static void read_entry(lua_State *L, map_entry *entry) {
  entry->key = lua_tolstring(L, -2, &entry->key_size);
  entry->type = lua_type(L, -1);
  switch (entry->type) {
  case LUA_TNUMBER: entry->number = lua_tonumber(L, -1); break;
  case LUA_TBOOLEAN: entry->flag = lua_toboolean(L, -1); break;
  case LUA_TSTRING: entry->text = lua_tolstring(L, -1, &entry->text_size); break;
  default: break;
  }
}

static void encode_entry(encoder *e, const path_step *step, const map_entry *entry, bool escape,
                         unsigned left) {
  if (memchr(entry->key, '\0', entry->key_size) || !fl_utf8_valid(entry->key, entry->key_size)) {
    fail(e, step, FL_E_USAGE, "a key must be UTF-8 text without a zero byte");
    return;
  }
  size_t before = e->out->size;
  fl_json_write_string(e->out, entry->key, entry->key_size);
  if (escape && !e->out->failed) { // {"$x":..} becomes {"$$x":..}
    fl_buf_add_char(e->out, '"');
    if (e->out->failed) return;
    memmove(e->out->data + before + 2, e->out->data + before + 1, e->out->size - before - 2);
    e->out->data[before + 1] = '$';
  }
  fl_buf_add_char(e->out, ':');
  switch (entry->type) {
  case LUA_TNUMBER: encode_number(e, step, entry->number); return;
  case LUA_TBOOLEAN: encode_flag(e, entry->flag); return;
  case LUA_TSTRING: encode_text(e, step, entry->text, entry->text_size); return;
  default:
    lua_pushlstring(e->L, entry->key, entry->key_size);
    lua_rawget(e->L, -2);
    encode_value(e, step, left);
    lua_pop(e->L, 1);
  }
}

// Collects the entries; returns false when a key is no text.
static bool read_entries(encoder *e, const path_step *at, map_entry *few, map_entry **entries,
                         size_t *count) {
  lua_State *L = e->L;
  size_t capacity = FEW_ENTRIES;
  *entries = few;
  *count = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      lua_pop(L, 2);
      size_t positions;
      return check_positions(e, at, &positions); // a text key came first: finds what is wrong
    }
    if (*count == capacity) {
      map_entry *old = *entries == few ? NULL : *entries;
      *entries = fl_realloc(old, 2 * capacity * sizeof **entries);
      if (!old) memcpy(*entries, few, sizeof(map_entry) * FEW_ENTRIES);
      capacity *= 2;
    }
    read_entry(L, &(*entries)[(*count)++]);
  }
  return true;
}

static void encode_map(encoder *e, const path_step *at, unsigned left) {
  map_entry few[FEW_ENTRIES], *entries;
  size_t count;
  const void *table = lua_topointer(e->L, -1);
  if (read_entries(e, at, few, &entries, &count)) {
    sort_entries(entries, count);
    bool escape = count == 1 && entries[0].key_size > 0 && entries[0].key[0] == '$' &&
                  e->dialect == FL_LUA_VALUE;
    fl_buf_add_char(e->out, '{');
    for (size_t i = 0; i < count && fits(e); i++) {
      path_step step = {
          .up = at, .table = table, .key = entries[i].key, .key_size = entries[i].key_size};
      if (i > 0) fl_buf_add_char(e->out, ',');
      encode_entry(e, &step, &entries[i], escape, left);
    }
    fl_buf_add_char(e->out, '}');
  }
  if (entries != few) free(entries);
}

// ------------------------------------------------------------------------------------- any value

// Looks at the metatable of the table at the top of the stack: returns whether it is the list mark.
// A view is replaced by the table that it shows.
static bool read_mark(encoder *e) {
  lua_State *L = e->L;
  if (!lua_getmetatable(L, -1)) return false;
  bool marked = lua_topointer(L, -1) == e->state->list_mark;
  if (!marked) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, e->state->view_key_ref);
    lua_rawget(L, -2);
    if (lua_istable(L, -1)) {
      lua_replace(L, -3);
      if (lua_getmetatable(L, -2)) {
        marked = lua_topointer(L, -1) == e->state->list_mark;
        lua_pop(L, 1);
      }
    } else {
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  return marked;
}

static void encode_table(encoder *e, const path_step *at, unsigned left) {
  lua_State *L = e->L;
  bool list = read_mark(e);
  const void *table = lua_topointer(L, -1);
  for (const path_step *up = at; up; up = up->up) {
    if (up->table != table) continue;
    fail(e, at, FL_E_USAGE, "is a table that holds itself");
    return;
  }
  if (left == 0) {
    fail(e, at, FL_E_LIMIT, "is nested deeper than %d levels", FL_VALUE_DEPTH_MAX);
    return;
  }
  if (!list) {
    lua_pushnil(L);
    if (lua_next(L, -2)) {
      list = lua_type(L, -2) == LUA_TNUMBER;
      lua_pop(L, 2);
    }
  }
  if (list)
    encode_list(e, at, left - 1);
  else
    encode_map(e, at, left - 1);
}

// The value at the top of the stack, which is left there (a view may be replaced by its table).
static void encode_value(encoder *e, const path_step *at, unsigned left) {
  lua_State *L = e->L;
  int type = lua_type(L, -1);
  switch (type) {
  case LUA_TNIL: fl_buf_add_str(e->out, "null"); break;
  case LUA_TBOOLEAN: encode_flag(e, lua_toboolean(L, -1)); break;
  case LUA_TNUMBER: encode_number(e, at, lua_tonumber(L, -1)); break;
  case LUA_TTABLE: encode_table(e, at, left); break;
  case FL_LUA_TCDATA: encode_cdata(e, at); break;
  case LUA_TSTRING: {
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    encode_text(e, at, text, size);
    break;
  }
  default:
    if (fl_lua_is_null(L, -1))
      fl_buf_add_str(e->out, "null");
    else
      fail(e, at, FL_E_USAGE, "a %s cannot be stored",
           type == LUA_TTHREAD ? "coroutine" : lua_typename(L, type));
  }
}

fl_code fl_lua_encode_as(lua_State *L, int index, const char *name, fl_lua_dialect dialect,
                         fl_buf *out, fl_error *err) {
  FL_ASSERT(!out->failed);
  encoder e = {.L = L,
               .out = out,
               .err = err,
               .name = name,
               .state = fl_lua_get_value_state(L),
               .dialect = dialect,
               .start = out->size};
  // All the stack there can be need of, so that nothing below must ask.
  if (!lua_checkstack(L, STACK_A_LEVEL * FL_VALUE_DEPTH_MAX + 16))
    return fl_fail(err, FL_E_LIMIT, "the Lua stack is full");
  lua_pushvalue(L, index);
  encode_value(&e, NULL, FL_VALUE_DEPTH_MAX);
  lua_pop(L, 1);
  if (e.code == FL_OK) (void)fits(&e);
  if (e.code != FL_OK) {
    out->size = e.start;
    out->failed = false;
  }
  return e.code;
}

fl_code fl_lua_encode(lua_State *L, int index, const char *name, fl_buf *out, fl_error *err) {
  return fl_lua_encode_as(L, index, name, FL_LUA_VALUE, out, err);
}
