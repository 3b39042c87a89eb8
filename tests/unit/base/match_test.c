// Tests base/match.c: patterns, flags, groups, and the limits that keep one from hanging.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/match.h"

static void patterns_find(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *flags, *subject;
    int start, end; // of the first match; -1: none
  } rows[] = {
      {"b+", "", "abbbc", 1, 4},
      {"x", "", "abc", -1, -1},
      {"", "", "abc", 0, 0},
      {"B", "i", "abc", 1, 2},
      {"^b", "", "a\nb", -1, -1},
      {"^b", "m", "a\nb", 2, 3},
      {"a.b", "", "a\nb", -1, -1},
      {"a.b", "s", "a\nb", 0, 3},
      {"a b # no", "x", "ab", 0, 2},
      {"^.$", "", "\xC3\xA9", -1, -1}, // two bytes
      {"^.$", "u", "\xC3\xA9", 0, 2},  // one character
      {"\\w+", "u", "\xC3\xA9t\xC3\xA9", 0, 5},
      {"\xC3\x89", "iu", "\xC3\xA9", 0, 2},
      {"b", "u",
       "a\xFF"
       "b",
       2, 3}, // bytes that are no UTF-8 are stepped over
      {"(?<=a)b", "u", "ab", 1, 2},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_regex *re;
    fl_error err;
    const size_t *pairs;
    size_t count;
    assert_int_equal(
        fl_regex_compile(rows[i].pattern, strlen(rows[i].pattern), rows[i].flags, &re, &err),
        FL_OK);
    assert_int_equal(
        fl_regex_match(re, rows[i].subject, strlen(rows[i].subject), 0, &pairs, &count, &err),
        FL_OK);
    if (rows[i].start < 0) {
      assert_int_equal(count, 0);
    } else {
      assert_true(count >= 1);
      assert_int_equal(pairs[0], rows[i].start);
      assert_int_equal(pairs[1], rows[i].end);
    }
    fl_regex_free(re);
  }
}

static void groups_have_names_and_may_be_unset(void **state) {
  (void)state;
  fl_regex *re;
  fl_error err;
  const size_t *pairs;
  size_t count;
  const char *pattern = "(?<year>\\d+)-(\\d+)(?<rest>x)?(y)?";
  assert_int_equal(fl_regex_compile(pattern, strlen(pattern), NULL, &re, &err), FL_OK);
  assert_int_equal(fl_regex_group_count(re), 4);
  assert_string_equal(fl_regex_group_name(re, 1), "year");
  assert_null(fl_regex_group_name(re, 2));
  assert_string_equal(fl_regex_group_name(re, 3), "rest");
  assert_null(fl_regex_group_name(re, 0));
  assert_null(fl_regex_group_name(re, 5));
  assert_int_equal(fl_regex_match(re, "in 2024-07", 10, 0, &pairs, &count, &err), FL_OK);
  assert_int_equal(count, 5);
  assert_int_equal(pairs[2], 3);
  assert_int_equal(pairs[3], 7);
  for (size_t i = 6; i < 10; i++) assert_true(pairs[i] == FL_REGEX_UNSET);
  assert_int_equal(fl_regex_match(re, "in 2024-07", 10, 8, &pairs, &count, &err), FL_OK);
  assert_int_equal(count, 0);
  assert_int_equal(fl_regex_match(re, "in", 2, 3, &pairs, &count, &err), FL_OK);
  assert_int_equal(count, 0);
  fl_regex_free(re);
  fl_regex_free(NULL);
}

static void a_bad_pattern_is_explained(void **state) {
  (void)state;
  fl_regex *re;
  fl_error err;
  assert_int_equal(fl_regex_compile("a(b", 3, "", &re, &err), FL_E_USAGE);
  assert_null(re);
  assert_string_equal(err.message, "bad pattern 'a(b': missing closing parenthesis at offset 3");
  assert_int_equal(fl_regex_compile("a", 1, "iq", &re, &err), FL_E_USAGE);
  assert_string_equal(err.message, "unknown pattern flag 'q': the flags are i, m, s, x and u");
  char *text = fl_alloc(4097);
  memset(text, 'a', 4097);
  assert_int_equal(fl_regex_compile(text, 4097, "", &re, &err), FL_E_LIMIT);
  assert_int_equal(fl_regex_compile(text, 4096, "", &re, &err), FL_OK);
  fl_regex_free(re);
  free(text);
}

static void a_catastrophic_pattern_ends(void **state) {
  (void)state;
  static const char *const patterns[] = {"^(a+)+$", "^(a|aa)+$", "(.*)(.*)(.*)(.*)(.*)[0-9]",
                                         "^(([a-z])+.)+[A-Z]([a-z])+$"};
  char subject[2001];
  memset(subject, 'a', 2000);
  subject[2000] = '!';
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
    fl_regex *re;
    fl_error err;
    const size_t *pairs;
    size_t count;
    assert_int_equal(fl_regex_compile(patterns[i], strlen(patterns[i]), "", &re, &err), FL_OK);
    assert_int_equal(fl_regex_match(re, subject, 2001, 0, &pairs, &count, &err), FL_E_LIMIT);
    assert_non_null(strstr(err.message, "too many steps"));
    fl_regex_free(re);
  }
}

static void deep_matches_get_a_larger_stack(void **state) {
  (void)state;
  // Each repeat of the group is remembered: the machine stack's 32 KiB are too few.
  fl_regex *re;
  fl_error err;
  const size_t *pairs;
  size_t count, size = 5000;
  char *subject = fl_alloc(size);
  memset(subject, 'a', size);
  assert_int_equal(fl_regex_compile("^(a|b)*?c?$", 11, "", &re, &err), FL_OK);
  assert_int_equal(fl_regex_match(re, subject, size, 0, &pairs, &count, &err), FL_OK);
  assert_int_equal(count, 2);
  assert_int_equal(pairs[1], size);
  fl_regex_free(re);
  assert_int_equal(fl_regex_compile("^(?:(a)|b)*$", 12, "", &re, &err), FL_OK);
  assert_int_equal(fl_regex_match(re, subject, size, 0, &pairs, &count, &err), FL_OK);
  assert_int_equal(pairs[1], size);
  fl_regex_free(re);
  free(subject);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(patterns_find),
      cmocka_unit_test(groups_have_names_and_may_be_unset),
      cmocka_unit_test(a_bad_pattern_is_explained),
      cmocka_unit_test(a_catastrophic_pattern_ends),
      cmocka_unit_test(deep_matches_get_a_larger_stack),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
