// Tests bind/value*.c: what crosses between Lua and JSON, what is refused and how it is named. The
// decoder is held against the strict parser of base/, verdict for verdict.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <lauxlib.h>
#include <lualib.h>
#include "base/json.h"
#include "base/limits.h"
#include "bind/value.h"

static lua_State *L;

static int l_list(lua_State *lua) {
  lua_settop(lua, 1);
  fl_lua_mark_list(lua);
  return 1;
}

static int open_state(void **state) {
  (void)state;
  L = luaL_newstate();
  luaL_openlibs(L);
  fl_lua_open_values(L);
  fl_lua_push_null(L);
  lua_setglobal(L, "null");
  lua_pushcfunction(L, l_list);
  lua_setglobal(L, "list");
  return luaL_dostring(L, "ffi = require 'ffi'");
}

static int close_state(void **state) {
  (void)state;
  lua_close(L);
  return 0;
}

// Encodes what a Lua expression gives; the message of the error when it cannot be.
static const char *encode(const char *expression, fl_lua_dialect dialect) {
  static fl_buf b;
  static fl_error err;
  char chunk[1000];
  snprintf(chunk, sizeof chunk, "return %s", expression);
  int top = lua_gettop(L);
  if (luaL_dostring(L, chunk) != 0) fail_msg("%s", lua_tostring(L, -1));
  fl_buf_deinit(&b);
  fl_buf_init(&b, FL_VALUE_SIZE_MAX);
  fl_code code = fl_lua_encode_as(L, -1, "outputs", dialect, &b, &err);
  assert_int_equal(lua_gettop(L), top + 1);
  lua_settop(L, top);
  if (code == FL_OK) return fl_buf_cstr(&b);
  assert_int_equal(b.size, 0);
  assert_int_equal(err.code, code);
  return err.message;
}

static void values_become_canonical_text(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"nil", "null"},
      {"null", "null"},
      {"true", "true"},
      {"12", "12"},
      {"-0.5", "-0.5"},
      {"2^53", "9007199254740992"},
      {"'a\\n\\0b'", "\"a\\n\\u0000b\""},
      {"{}", "{}"},
      {"list{}", "[]"},
      {"{1,2,{3}}", "[1,2,[3]]"},
      {"list{1}", "[1]"},
      {"{b=1,a={c=null},B=false}", "{\"B\":false,\"a\":{\"c\":null},\"b\":1}"},
      {"{[2]='b',[1]='a'}", "[\"a\",\"b\"]"},
      {"{[3]=3,[1]=1,[2]=2,[4]={5}}", "[1,2,3,[5]]"},
      {"{null,null}", "[null,null]"},
      {"'\\255'", "{\"$bytes\":\"/w==\"}"},
      {"{['$bytes']='/w=='}", "{\"$$bytes\":\"/w==\"}"},
      {"{['$x']={['$$y']=1}}", "{\"$$x\":{\"$$$y\":1}}"},
      {"{['$x']=1,y=2}", "{\"$x\":1,\"y\":2}"},
      {"{['$\\n']=1}", "{\"$$\\n\":1}"},
      {"ffi.new('int64_t', 9007199254740993LL)", "9007199254740993"},
      {"{a=9223372036854775807LL,b=-9223372036854775807LL-1,c=5ULL}",
       "{\"a\":9223372036854775807,\"b\":-9223372036854775808,\"c\":5}"},
      {"setmetatable({}, {__flow_value={a={1}}})", "{\"a\":[1]}"},
      {"{x=setmetatable({}, {__flow_value=list{}}),y=1}", "{\"x\":[],\"y\":1}"},
      {"setmetatable({a=1}, {__index={b=2}})", "{\"a\":1}"},
      {"{a17=1,a16=1,a15=1,a14=1,a13=1,a12=1,a11=1,a10=1,a09=1,a08=1,a07=1,a06=1,a05=1,a04=1,"
       "a03={z=1,y=2},a02=1,a01='x'}",
       "{\"a01\":\"x\",\"a02\":1,\"a03\":{\"y\":2,\"z\":1},\"a04\":1,\"a05\":1,\"a06\":1,\"a07\":1,"
       "\"a08\":1,\"a09\":1,\"a10\":1,\"a11\":1,\"a12\":1,\"a13\":1,\"a14\":1,\"a15\":1,\"a16\":1,"
       "\"a17\":1}"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_string_equal(encode(rows[i][0], FL_LUA_VALUE), rows[i][1]);
}

static void what_cannot_cross_is_named_by_its_path(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"print", "outputs: a function cannot be stored"},
      {"{orders={1,2,{when=print}}}", "outputs.orders[3].when: a function cannot be stored"},
      {"{a={['b c']={[1]=coroutine.create(print)}}}",
       "outputs.a[\"b c\"][1]: a coroutine cannot be stored"},
      {"{f=io.stdout}", "outputs.f: a userdata cannot be stored"},
      {"{x=0/0}", "outputs.x: NaN cannot be stored"},
      {"{1/0}", "outputs[1]: infinity cannot be stored"},
      {"{a={[3]=1}}", "outputs.a: has the key 3: a table is a list with the positions 1 to n (no "
                      "nil between them: "
                      "use flow.null) or a map with text keys"},
      {"{1,nil,3}",
       "outputs: has the key 3: a table is a list with the positions 1 to n (no nil between them: "
       "use flow.null) or a map with text keys"},
      {"{[0]=1}",
       "outputs: has the key 0: a table is a list with the positions 1 to n (no nil between them: "
       "use flow.null) or a map with text keys"},
      {"{[1.5]=1}", "outputs: has the key 1.5: a table is a list with the positions 1 to n (no nil "
                    "between them: "
                    "use flow.null) or a map with text keys"},
      {"{1,2,x=3}", "outputs: has positions and text keys: a table is a list or a map, not both"},
      {"list{x=3}", "outputs: has text keys, but is marked as a list"},
      {"{[true]=1}", "outputs: a key that is a boolean cannot be stored"},
      {"{a=1,[print]=1}", "outputs: a key that is a function cannot be stored"},
      {"{['\\255']=1}", "outputs[\"\uFFFD\"]: a key must be UTF-8 text without a zero byte"},
      {"{['a\\0']=1}", "outputs[\"a\\u0000\"]: a key must be UTF-8 text without a zero byte"},
      {"(function() local t = {} t.a = {b=t} return t end)()",
       "outputs.a.b: is a table that holds itself"},
      {"(function() local t = {} for i=1,100 do t={x=t} end return t end)()",
       "outputs.x.x.x.x.x.x.x.x....x.x.x.x: is nested deeper than 64 levels"},
      {"ffi.new('int[2]')",
       "outputs: a cdata that is no 64-bit integer below 2^63 cannot be stored"},
      {"2ULL^63", "outputs: a cdata that is no 64-bit integer below 2^63 cannot be stored"},
      {"{a={('x'):rep(9e6),('x'):rep(9e6)}}",
       "outputs: is larger than 16 MiB (the limit of a value)"},
      {"('x'):rep(16*1024*1024)", "outputs: is larger than 16 MiB (the limit of a value)"},
      {"{[('k'):rep(100)]=print}",
       "outputs[\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\"...]: a function cannot be stored"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_string_equal(encode(rows[i][0], FL_LUA_VALUE), rows[i][1]);
}

static void a_table_may_be_there_twice(void **state) {
  (void)state;
  assert_string_equal(encode("(function() local t = {1} return {a=t,b={t,t}} end)()", FL_LUA_VALUE),
                      "{\"a\":[1],\"b\":[[1],[1]]}");
}

static void plain_json_has_no_escapes(void **state) {
  (void)state;
  assert_string_equal(encode("{['$set']=1}", FL_LUA_PLAIN), "{\"$set\":1}");
  assert_string_equal(encode("{x='\\255'}", FL_LUA_PLAIN),
                      "outputs.x: a string that is no UTF-8 text cannot be JSON");
  fl_error err;
  const char *text = "{\"$bytes\":\"/w==\"}";
  assert_int_equal(fl_lua_decode_as(L, text, strlen(text), FL_LUA_PLAIN, 64, &err), FL_OK);
  lua_getfield(L, -1, "$bytes");
  assert_string_equal(lua_tostring(L, -1), "/w==");
  lua_settop(L, 0);
}

static void the_limit_is_on_the_value_not_the_buffer(void **state) {
  (void)state;
  fl_buf b;
  fl_error err;
  fl_buf_init(&b, FL_FRAME_SIZE_MAX);
  fl_buf_add_str(&b, "before");
  assert_int_equal(luaL_dostring(L, "return ('x'):rep(16*1024*1024-2)"), 0);
  assert_int_equal(fl_lua_encode(L, -1, NULL, &b, &err), FL_OK);
  assert_int_equal(b.size, 6 + (16 << 20));
  assert_int_equal(luaL_dostring(L, "return ('x'):rep(16*1024*1024-1)"), 0);
  assert_int_equal(fl_lua_encode(L, -1, NULL, &b, &err), FL_E_LIMIT);
  assert_string_equal(err.message, "is larger than 16 MiB (the limit of a value)");
  assert_int_equal(b.size, 6 + (16 << 20));
  assert_false(b.failed);
  fl_buf_deinit(&b);
  lua_settop(L, 0);
}

// What Lua sees of a text, as `check` says about `v`.
static void decoded_values_are_what_lua_expects(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"null", "v == nil"},
      {"[null]", "v[1] == null and #v == 1"},
      {"{\"a\":null}", "v.a == null"},
      {" [ 1 , -2.5e1 ] ", "v[1] == 1 and v[2] == -25"},
      {"9007199254740992", "type(v) == 'number' and v == 2^53"},
      {"9007199254740993", "v == 9007199254740993LL and ffi.istype('int64_t', v)"},
      {"-9223372036854775808", "v == -9223372036854775807LL - 1"},
      {"9007199254740994.0", "type(v) == 'number' and v == 2^53 + 2"},
      {"\"\\u00e9\\ud83d\\ude00\\u0000\\/\\\"\\\\\\b\\f\\n\\r\\t\\u20AC\"",
       "v == '\\195\\169\\240\\159\\152\\128\\0/\"\\\\\\b\\f\\n\\r\\t\\226\\130\\172'"},
      {"{\"$bytes\":\"/wA=\"}", "v == '\\255\\0'"},
      {"{\"$bytes\":\"!\"}", "v['$bytes'] == '!'"},
      {"{\"$bytes\":1}", "v['$bytes'] == 1"},
      {"{\"$$bytes\":\"/w==\"}", "v['$bytes'] == '/w==' and next(v, '$bytes') == nil"},
      {"{\"$$$y\":{\"a\":[]}}", "v['$$y'].a[1] == nil"},
      {"{\"$ref\":1}", "v['$ref'] == 1"},
      {"{\"$$a\":1,\"b\":2}", "v['$$a'] == 1"},
      {"{\"b\":1,\"a\":2,\"c\":{},\"\":3}",
       "v.b == 1 and v.a == 2 and next(v.c) == nil and v[''] == 3"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_error err = {0};
    char chunk[500];
    if (fl_lua_decode(L, rows[i][0], strlen(rows[i][0]), &err) != FL_OK)
      fail_msg("%s", err.message);
    assert_int_equal(lua_gettop(L), 1);
    lua_setglobal(L, "v");
    snprintf(chunk, sizeof chunk, "assert(%s)", rows[i][1]);
    if (luaL_dostring(L, chunk) != 0) fail_msg("%s: %s", rows[i][0], lua_tostring(L, -1));
  }
}

static void what_was_encoded_reads_back(void **state) {
  (void)state;
  static const char *const rows[] = {
      "list{}",
      "{}",
      "{list{},{}}",
      "{a='\\255',['$']=1}",
      "{['$bytes']='/w=='}",
      "{['$']={}}",
      "{['$$']=null}",
      "1e300",
      "2^60",
      "9007199254740993LL",
      "0.1",
      "{1,{2,{3}}}",
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char *text = strdup(encode(rows[i], FL_LUA_VALUE));
    fl_error err;
    fl_buf b;
    fl_buf_init(&b, 1000);
    assert_int_equal(fl_lua_decode(L, text, strlen(text), &err), FL_OK);
    assert_int_equal(fl_lua_encode(L, -1, NULL, &b, &err), FL_OK);
    assert_string_equal(fl_buf_cstr(&b), text);
    fl_buf_deinit(&b);
    free(text);
    lua_settop(L, 0);
  }
}

// One text through both parsers.
static void compare_verdicts(const char *text, size_t size) {
  json_t *json;
  fl_error ours = {0}, theirs = {0};
  char *copy = malloc(size + 1); // its own block, so that a look too far is seen
  memcpy(copy, text, size);
  copy[size] = '\0';
  fl_code strict = fl_json_parse(copy, size, &json, &theirs);
  fl_code code = fl_lua_decode_as(L, copy, size, FL_LUA_PLAIN, FL_VALUE_DEPTH_MAX, &ours);
  if ((code == FL_OK) != (strict == FL_OK))
    fail_msg("%s\n ours: %s\n base: %s", copy, code ? ours.message : "good",
             strict ? theirs.message : "good");
  if (code == FL_OK) {
    fl_buf a, b;
    fl_buf_init(&a, 1 << 20);
    fl_buf_init(&b, 1 << 20);
    fl_json_write(&a, json);
    assert_int_equal(fl_lua_encode_as(L, -1, NULL, FL_LUA_PLAIN, &b, &ours), FL_OK);
    assert_string_equal(fl_buf_cstr(&a), fl_buf_cstr(&b));
    fl_buf_deinit(&a);
    fl_buf_deinit(&b);
  } else {
    assert_non_null(strstr(ours.message, "JSON"));
  }
  assert_int_equal(lua_gettop(L), code == FL_OK ? 1 : 0);
  lua_settop(L, 0);
  json_decref(json);
  free(copy);
}

// Texts at the edges of the grammar.
static const char *const edges[] = {
    "",
    " ",
    "nul",
    "nulll",
    "[1,]",
    "{\"a\":1,}",
    "{\"a\":1,\"a\":2}",
    "{\"b\":1,\"a\":2,\"b\":3}",
    "1 2",
    "[1] x",
    "\"\xFF\"",
    "01",
    "-01",
    "-",
    "+1",
    ".5",
    "1.",
    "1e",
    "1e+",
    "0e0",
    "-0",
    "-0.0",
    "\"\\ud800\"",
    "\"\\ud800\\u0041\"",
    "\"\\udc00\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u12\"",
    "\"\\x\"",
    "NaN",
    "1e999",
    "-1e999",
    "1e-999",
    "Infinity",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "99999999999999999999999",
    "\"a\nb\"",
    "\"a",
    "'a'",
    "{a:1}",
    "{\"a\\u0000b\":1}",
    "\"a\\u0000b\"",
    "[1,2",
    "[",
    "{",
    "{\"a\"",
    "{\"a\":",
    "]",
    "[[[]]]",
    "{\"a\":{\"b\":{}}}",
    "\"\\",
    "\"\\u",
    "true false",
    "tru",
    "\t[\r\n]\t",
    "\v1",
    "[,1]",
    "{\"\":1,\"a\":2}",
    "{\"a\":1,\"\":2,\"a\":3}",
    "123456789.123456789e-5",
    "\xEF\xBB\xBF"
    "1",
};

static void both_parsers_give_the_same_verdict(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
    compare_verdicts(edges[i], strlen(edges[i]));
  compare_verdicts("1\0", 2);
  compare_verdicts("\"a\0b\"", 5);
  compare_verdicts("[1\0]", 4);
  for (size_t depth = 60; depth < 70; depth++) {
    char text[200];
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    compare_verdicts(text, 2 * depth);
  }
}

static void both_agree_on_damaged_texts(void **state) {
  (void)state;
  static const char good[] =
      "{\"a\":[1,-2.5,3e2,true,false,null,\"x\\u00e9\\n\xC3\xA9\\ud83d\\ude00\"],\"b\":{\"c\":{},"
      "\"d\":[]},\"e\":9223372036854775807}";
  static const char bytes[] = "{}[]\",:\\u0129-+.eEtfn \n\xC3\xA9\xFF";
  uint32_t seed = 12345;
  for (int i = 0; i < 40000; i++) {
    char text[sizeof good];
    memcpy(text, good, sizeof good);
    size_t size = sizeof good - 1;
    int changes = 1 + i % 3;
    for (int k = 0; k < changes; k++) {
      seed = seed * 1664525u + 1013904223u;
      text[(seed >> 8) % size] = bytes[(seed >> 24) % (sizeof bytes - 1)];
    }
    if (i % 5 == 0) size = (seed >> 4) % size;
    compare_verdicts(text, size);
  }
}

static void errors_say_where(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"{\"a\": 1,\n \"b\" 2}", "not valid JSON: expected ':' at line 2, column 6"},
      {"[1, x]", "not valid JSON: expected a value at line 1, column 5"},
      {"[1", "not valid JSON: the text ends where ',' or ']' should be at line 1, column 3"},
      {"{\"a\":1,\"a\":2}", "not valid JSON: a key that is there twice at line 1, column 8"},
      {"1e999", "not valid JSON: a number that is too large at line 1, column 1"},
      {"[1] 2", "not valid JSON: expected the end of the text at line 1, column 5"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_error err;
    assert_int_equal(fl_lua_decode(L, rows[i][0], strlen(rows[i][0]), &err), FL_E_USAGE);
    assert_string_equal(err.message, rows[i][1]);
    assert_int_equal(lua_gettop(L), 0);
  }
}

static void documents_may_be_a_little_deeper_than_values(void **state) {
  (void)state;
  char text[200];
  fl_error err;
  for (size_t depth = 79; depth <= 81; depth++) {
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
    assert_int_equal(fl_lua_decode(L, text, 2 * depth, &err), depth <= 80 ? FL_OK : FL_E_LIMIT);
    lua_settop(L, 0);
  }
}

static void a_coroutine_can_use_it_too(void **state) {
  (void)state;
  lua_State *co = lua_newthread(L);
  fl_error err;
  fl_buf b;
  fl_buf_init(&b, 1000);
  assert_int_equal(fl_lua_decode(co, "[9007199254740993,{}]", 21, &err), FL_OK);
  assert_int_equal(fl_lua_encode(co, -1, NULL, &b, &err), FL_OK);
  assert_string_equal(fl_buf_cstr(&b), "[9007199254740993,{}]");
  fl_buf_deinit(&b);
  lua_settop(L, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_become_canonical_text),
      cmocka_unit_test(what_cannot_cross_is_named_by_its_path),
      cmocka_unit_test(a_table_may_be_there_twice),
      cmocka_unit_test(plain_json_has_no_escapes),
      cmocka_unit_test(the_limit_is_on_the_value_not_the_buffer),
      cmocka_unit_test(decoded_values_are_what_lua_expects),
      cmocka_unit_test(what_was_encoded_reads_back),
      cmocka_unit_test(both_parsers_give_the_same_verdict),
      cmocka_unit_test(both_agree_on_damaged_texts),
      cmocka_unit_test(errors_say_where),
      cmocka_unit_test(documents_may_be_a_little_deeper_than_values),
      cmocka_unit_test(a_coroutine_can_use_it_too),
  };
  return cmocka_run_group_tests(tests, open_state, close_state);
}
