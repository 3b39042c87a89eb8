// Tests base/json.c: strict reading, canonical writing, by rows.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <locale.h>
#include <math.h>
#include "base/json.h"
#include "base/limits.h"

static void text_becomes_canonical(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"null", "null"},
      {" true ", "true"},
      {"[1, 2.0, -0, -0.0, 1.5e0]", "[1,2,0,0,1.5]"},
      {"{\"b\":1,\"a\":{\"d\":[],\"c\":{}}}", "{\"a\":{\"c\":{},\"d\":[]},\"b\":1}"},
      {"{\"ab\":1,\"a\":2,\"\":3,\"B\":4}", "{\"\":3,\"B\":4,\"a\":2,\"ab\":1}"},
      {"\"\\u00e9\\ud83d\\ude00\\/\"", "\"\xC3\xA9\xF0\x9F\x98\x80/\""},
      {"\"\\u0000\\u001f\\b\\t\\n\\f\\r\\\"\\\\\x7F\"",
       "\"\\u0000\\u001f\\b\\t\\n\\f\\r\\\"\\\\\x7F\""},
      {"9223372036854775807", "9223372036854775807"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"1e2", "100"},
      {"9007199254740993", "9007199254740993"},
      {"0.1", "0.1"},
      {"1e300", "1e+300"},
      {"5e-324", "4.94065645841247e-324"},
      {"{\"$bytes\":\"AA==\"}", "{\"$bytes\":\"AA==\"}"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *value;
    fl_error err;
    fl_buf b;
    fl_buf_init(&b, 1000);
    assert_int_equal(fl_json_parse(rows[i][0], strlen(rows[i][0]), &value, &err), FL_OK);
    fl_json_write(&b, value);
    assert_string_equal(fl_buf_cstr(&b), rows[i][1]);
    json_decref(value);
    // canonical text is its own canonical text
    assert_int_equal(fl_json_parse(rows[i][1], strlen(rows[i][1]), &value, &err), FL_OK);
    fl_buf_reset(&b);
    fl_json_write(&b, value);
    assert_string_equal(fl_buf_cstr(&b), rows[i][1]);
    json_decref(value);
    fl_buf_deinit(&b);
  }
}

static void wrong_text_is_refused(void **state) {
  (void)state;
  static const char *const rows[] = {
      "",         " ",     "nul",          "[1,]",  "{\"a\":1,}",          "{\"a\":1,\"a\":2}",
      "1 2",      "[1] x", "\"\xFF\"",     "01",    "\"\\ud800\"",         "\"\\udc00\\ud800\"",
      "NaN",      "1e999", "Infinity",     "-",     "9223372036854775808", "-9223372036854775809",
      "\"a\nb\"", "'a'",   "\"\xC0\x80\"", "{a:1}", "{\"a\\u0000b\":1}",   "[1,2",
      "\"\\x\"",  "1.",    ".5",           "+1",
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *value;
    fl_error err = {0};
    assert_int_equal(fl_json_parse(rows[i], strlen(rows[i]), &value, &err), FL_E_USAGE);
    assert_null(value);
    assert_non_null(strstr(err.message, "not valid JSON: "));
    assert_non_null(strstr(err.message, "at line "));
  }
}

static void a_zero_byte_is_no_end(void **state) {
  (void)state;
  json_t *value;
  fl_error err;
  assert_int_equal(fl_json_parse("1\0", 2, &value, &err), FL_E_USAGE);
  assert_int_equal(fl_json_parse("\"\0\"", 3, &value, &err), FL_E_USAGE);
  assert_string_equal(err.message, "not valid JSON: a zero byte in it");
}

static void nesting_has_a_limit(void **state) {
  (void)state;
  char text[400];
  for (size_t depth = FL_VALUE_DEPTH_MAX - 1; depth <= FL_VALUE_DEPTH_MAX + 1; depth++) {
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    json_t *value;
    fl_error err;
    fl_code code = fl_json_parse(text, 2 * depth, &value, &err);
    assert_int_equal(code, depth <= FL_VALUE_DEPTH_MAX ? FL_OK : FL_E_LIMIT);
    json_decref(value);
  }
  static char deep[200000];
  memset(deep, '[', sizeof deep);
  json_t *value;
  fl_error err;
  assert_int_equal(fl_json_parse(deep, sizeof deep, &value, &err), FL_E_USAGE);
}

static void numbers_read_back(void **state) {
  (void)state;
  static const struct {
    double number;
    const char *text;
  } rows[] = {
      {0, "0"},
      {-1, "-1"},
      {9007199254740992.0, "9007199254740992"},
      {-9007199254740992.0, "-9007199254740992"},
      {9007199254740994.0, "9007199254740994.0"}, // digits alone would read back as an int64
      {12345678901234568.0, "12345678901234568.0"},
      {1e17, "1e+17"},
      {1e21, "1e+21"},
      {0.1, "0.1"},
      {1.0 / 3, "0.3333333333333333"},
      {0.1 + 0.2, "0.30000000000000004"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {-2.5e-7, "-2.5e-07"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_buf b;
    fl_buf_init(&b, 100);
    fl_json_write_number(&b, rows[i].number);
    assert_string_equal(fl_buf_cstr(&b), rows[i].text);
    json_t *value;
    fl_error err;
    assert_int_equal(fl_json_parse(b.data, b.size, &value, &err), FL_OK);
    assert_true(json_number_value(value) == rows[i].number);
    json_decref(value);
    fl_buf_deinit(&b);
  }
}

static void a_locale_changes_nothing(void **state) {
  (void)state;
  // Only where such a locale is installed; the code path is the same everywhere.
  if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8")) {
    print_message("skipped: no locale with a decimal comma is installed\n");
    skip();
  }
  fl_buf b;
  fl_buf_init(&b, 100);
  fl_json_write_number(&b, 0.5);
  assert_string_equal(fl_buf_cstr(&b), "0.5");
  fl_buf_deinit(&b);
  setlocale(LC_NUMERIC, "C");
}

static void bytes_that_are_no_text_are_kept(void **state) {
  (void)state;
  fl_buf b;
  fl_buf_init(&b, 1000);
  fl_json_write_bytes(&b, "ok", 2);
  fl_json_write_bytes(&b, "\xFF\x00", 2);
  fl_json_write_string(&b, "\xFF\n", 2);
  assert_string_equal(fl_buf_cstr(&b), "\"ok\"{\"$bytes\":\"/wA=\"}\"\uFFFD\\n\"");
  fl_buf_deinit(&b);
}

static void a_full_buffer_is_reported_once(void **state) {
  (void)state;
  json_t *value;
  fl_error err;
  const char *text = "{\"a\":[\"xyz\\n\",1.25,null],\"b\":\"12345678\"}";
  assert_int_equal(fl_json_parse(text, strlen(text), &value, &err), FL_OK);
  for (size_t size_max = 0; size_max <= strlen(text); size_max++) {
    fl_buf b;
    fl_buf_init(&b, size_max);
    fl_json_write(&b, value);
    assert_int_equal(b.failed, size_max < strlen(text));
    fl_buf_deinit(&b);
  }
  json_decref(value);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_becomes_canonical),
      cmocka_unit_test(wrong_text_is_refused),
      cmocka_unit_test(a_zero_byte_is_no_end),
      cmocka_unit_test(nesting_has_a_limit),
      cmocka_unit_test(numbers_read_back),
      cmocka_unit_test(a_locale_changes_nothing),
      cmocka_unit_test(bytes_that_are_no_text_are_kept),
      cmocka_unit_test(a_full_buffer_is_reported_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
