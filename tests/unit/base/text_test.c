// Tests base/text.c: what is UTF-8, what base64 means, by rows.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"

static void utf8_is_what_rfc_3629_says(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool valid;
    const char *clean;
  } rows[] = {
      {"", true, ""},
      {"plain", true, "plain"},
      {"0123456789abcdef\xC3\xA9", true, "0123456789abcdef\xC3\xA9"},
      {"\xE2\x82\xAC", true, "\xE2\x82\xAC"},
      {"\xF4\x8F\xBF\xBF", true, "\xF4\x8F\xBF\xBF"},          // the last code point
      {"\xF4\x90\x80\x80", false, "\uFFFD\uFFFD\uFFFD\uFFFD"}, // past it
      {"\xC0\x80", false, "\uFFFD\uFFFD"},                     // overlong NUL
      {"\xE0\x9F\xBF", false, "\uFFFD\uFFFD\uFFFD"},           // overlong
      {"\xF0\x8F\xBF\xBF", false, "\uFFFD\uFFFD\uFFFD\uFFFD"}, // overlong
      {"\xED\xA0\x80", false, "\uFFFD\uFFFD\uFFFD"},           // surrogate
      {"\xED\x9F\xBF", true, "\xED\x9F\xBF"},                  // just before them
      {"a\xE2\x82", false, "a\uFFFD\uFFFD"},                   // cut
      {"a\xC3", false, "a\uFFFD"},
      {"\xFF"
       "b",
       false,
       "\uFFFD"
       "b"},
      {"0123456789\x80zzzzzzzzzzz", false, "0123456789\uFFFDzzzzzzzzzzz"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_buf b;
    fl_buf_init(&b, 1000);
    assert_int_equal(fl_utf8_valid(rows[i].text, strlen(rows[i].text)), rows[i].valid);
    fl_utf8_clean(&b, rows[i].text, strlen(rows[i].text));
    assert_string_equal(fl_buf_cstr(&b), rows[i].clean);
    assert_true(fl_utf8_valid(b.data, b.size));
    fl_buf_deinit(&b);
  }
}

static void base64_reads_back(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {"\xFF\xFE\xFB", "//77"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_buf b;
    fl_buf_init(&b, 100);
    fl_base64_write(&b, rows[i][0], strlen(rows[i][0]));
    assert_string_equal(fl_buf_cstr(&b), rows[i][1]);
    fl_buf_reset(&b);
    assert_true(fl_base64_read(&b, rows[i][1], strlen(rows[i][1])));
    assert_string_equal(fl_buf_cstr(&b), rows[i][0]);
    fl_buf_deinit(&b);
  }
}

static void text_that_is_no_base64_is_refused(void **state) {
  (void)state;
  static const char *const rows[] = {
      "Z", "Zg", "Zg=", "====", "Zg==Zg==", "Z===", "Zh==", "Zm9=", "Zm 9", "Zm-_", "=Zg=", "Zg=a"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_buf b;
    fl_buf_init(&b, 100);
    assert_false(fl_base64_read(&b, rows[i], strlen(rows[i])));
    fl_buf_deinit(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(utf8_is_what_rfc_3629_says),
      cmocka_unit_test(base64_reads_back),
      cmocka_unit_test(text_that_is_no_base64_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
