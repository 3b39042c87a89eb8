// Tests base/json_canonical.c: it says yes only to what parsing and writing leave as it is.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/limits.h"

static bool is_left_as_it_is(const char *text, size_t size) {
  json_t *value;
  fl_error err;
  if (fl_json_parse(text, size, &value, &err)) return false;
  fl_buf b;
  fl_buf_init(&b, 1 << 20);
  fl_json_write(&b, value);
  bool same = b.size == size && !memcmp(b.data, text, size);
  fl_buf_deinit(&b);
  json_decref(value);
  return same;
}

static void canonical_text_is_known(void **state) {
  (void)state;
  static const char *const rows[] = {
      "null",
      "true",
      "false",
      "0",
      "-1",
      "10",
      "999999999999999",
      "9007199254740993",
      "-9223372036854775808",
      "0.1",
      "-2.5e-07",
      "1e+17",
      "9007199254740994.0",
      "\"\"",
      "\"\\u0000\\u001f\\b\\t\\n\\f\\r\\\"\\\\\x7F\"",
      "\"\xC3\xA9\xF0\x9F\x98\x80/\"",
      "[]",
      "[[],{},[1,\"a\",null]]",
      "{}",
      "{\"\":3,\"B\":4,\"a\":2,\"ab\":{\"x\":1.5}}",
      "{\"$bytes\":\"AA==\"}",
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (!fl_json_is_canonical(rows[i], strlen(rows[i]))) fail_msg("not known: %s", rows[i]);
    assert_true(is_left_as_it_is(rows[i], strlen(rows[i])));
  }
}

static const char *const others[] = {
    "",
    " ",
    "nul",
    "nulls",
    "1 2",
    "[1] x",
    " 1",
    "1 ",
    "[1, 2]",
    "[,]",
    "[1,]",
    "[1,2",
    "]",
    "{",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{a:1}",
    "{\"a\": 1}",
    "{\"b\":1,\"a\":2}",
    "{\"a\":1,\"a\":2}",
    "{\"ab\":1,\"a\":2}",
    "-",
    "-0",
    "00",
    "01",
    "-01",
    "1.",
    ".5",
    "+1",
    "1e2",
    "2.0",
    "-0.0",
    "1E5",
    "1e5",
    "1--2",
    "0.10",
    "1e999",
    "NaN",
    "9223372036854775808",
    "0000000000000000001",
    "\"",
    "\"a",
    "\"\\\"",
    "\"\\",
    "\"\\u00",
    "\"\\x\"",
    "\"\\/\"",
    "\"\\u0009\"",
    "\"\\u000A\"",
    "\"\\u000d\"",
    "\"\\u001F\"",
    "\"\\u0020\"",
    "\"\\u00e9\"",
    "\"\\ud83d\\ude00\"",
    "\"a\nb\"",
    "\"\xFF\"",
    "\"\xC0\x80\"",
    "\"\xED\xA0\x80\"",
    "'a'",
    "\"\\",
};

static void other_text_is_not(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    if (fl_json_is_canonical(others[i], strlen(others[i]))) fail_msg("taken: %s", others[i]);
    assert_false(is_left_as_it_is(others[i], strlen(others[i])));
  }
  assert_false(fl_json_is_canonical("1\0", 2));
  assert_false(fl_json_is_canonical("\"\0\"", 3));
  assert_false(fl_json_is_canonical("\"\\\0\"", 4));
  assert_false(fl_json_is_canonical("[1\0]", 4));
  // Canonical, but nobody need be quick about it.
  assert_false(fl_json_is_canonical("{\"\\n\":1}", 8));
}

static void nesting_has_the_same_limit(void **state) {
  (void)state;
  char text[2 * FL_VALUE_DEPTH_MAX + 2];
  for (size_t depth = FL_VALUE_DEPTH_MAX - 1; depth <= FL_VALUE_DEPTH_MAX + 1; depth++) {
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    assert_int_equal(fl_json_is_canonical(text, 2 * depth), depth <= FL_VALUE_DEPTH_MAX);
  }
}

// Any byte of canonical text changed, taken out or doubled: both ways say the same of what is left.
static void both_ways_agree_on_every_change(void **state) {
  (void)state;
  static const char text[] =
      "{\"$a\":[0,-1,1.5,1e+17,\"x\\u001f\\n\\\\\xC3\xA9\"],\"b\":{},\"b0\":[true,null,\"\"]}";
  static const char bytes[] = "\"\\{}[],:0159-+.eEuabn \x7F\xC3\xFF\x1F\x01";
  char changed[sizeof text + 1];
  size_t size = sizeof text - 1;
  for (size_t at = 0; at < size; at++) {
    for (size_t i = 0; i < sizeof bytes; i++) { // the zero byte is one of them
      memcpy(changed, text, size);
      changed[at] = bytes[i];
      assert_int_equal(fl_json_is_canonical(changed, size), is_left_as_it_is(changed, size));
      memmove(changed + at + 1, text + at, size - at);
      assert_int_equal(fl_json_is_canonical(changed, size + 1),
                       is_left_as_it_is(changed, size + 1));
    }
    memcpy(changed, text, at);
    memcpy(changed + at, text + at + 1, size - at - 1);
    assert_int_equal(fl_json_is_canonical(changed, size - 1), is_left_as_it_is(changed, size - 1));
    assert_false(fl_json_is_canonical(text, at));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(canonical_text_is_known),
      cmocka_unit_test(other_text_is_not),
      cmocka_unit_test(nesting_has_the_same_limit),
      cmocka_unit_test(both_ways_agree_on_every_change),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
