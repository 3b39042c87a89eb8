// Tests base/line_diff.c: hunks by rows, and random texts against the longest common subsequence.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/line_diff.h"

static fl_line_diff diff(const char *a, const char *b, size_t max, fl_buf *out) {
  fl_buf_init(out, 1 << 20);
  return fl_line_diff_write(a, strlen(a), b, strlen(b), max, out);
}

static void hunks_are_those_of_diff(void **state) {
  (void)state;
  static const struct {
    const char *a, *b, *hunks;
  } rows[] = {
      {"", "", ""},
      {"x\n", "x\n", ""},
      {"", "x\n", "@@ -0,0 +1,1 @@\n+x\n"},
      {"x\n", "", "@@ -1,1 +0,0 @@\n-x\n"},
      {"a\nb\nc\n", "a\nB\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"},
      {"a\nb", "a\nb\nc", "@@ -1,2 +1,3 @@\n a\n b\n+c\n"},
      {"1\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\n5\n6\n7\n", "@@ -4,3 +4,4 @@\n 4\n 5\n 6\n+7\n"},
      {"0\n1\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\n5\n6\n", "@@ -1,4 +1,3 @@\n-0\n 1\n 2\n 3\n"},
      // Six lines between two changes: one hunk; seven: two.
      {"a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
       "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n"},
      {"a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
       "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_buf out;
    diff(rows[i].a, rows[i].b, 100, &out);
    assert_string_equal(fl_buf_cstr(&out), rows[i].hunks);
    fl_buf_deinit(&out);
  }
}

static void long_ones_are_cut(void **state) {
  (void)state;
  fl_buf out;
  fl_line_diff d = diff("a\nb\nc\nd\n", "A\nB\nC\nD\n", 3, &out);
  assert_int_equal(d.removed, 4);
  assert_int_equal(d.added, 4);
  assert_string_equal(fl_buf_cstr(&out), "@@ -1,4 +1,4 @@\n-a\n-b\n-c\n...\n");
  fl_buf_deinit(&out);
}

static size_t common(const char *a, size_t n, const char *b, size_t m) {
  size_t best[65] = {0};
  for (size_t i = 0; i < n; i++) {
    size_t corner = 0;
    for (size_t j = 0; j < m; j++) {
      size_t above = best[j + 1];
      best[j + 1] = a[i] == b[j] ? corner + 1 : above > best[j] ? above : best[j];
      corner = above;
    }
  }
  return best[m];
}

// The unchanged lines of both sides must be the same ones, and as many as there can be.
static void random_texts_change_as_little_as_possible(void **state) {
  (void)state;
  uint32_t seed = 12345;
  for (int round = 0; round < 2000; round++) {
    char letters[2][65], text[2][130];
    size_t size[2];
    for (int side = 0; side < 2; side++) {
      seed = seed * 1664525 + 1013904223;
      size[side] = (seed >> 16) % 24;
      for (size_t i = 0; i < size[side]; i++) {
        seed = seed * 1664525 + 1013904223;
        letters[side][i] = (char)('a' + (seed >> 16) % 4);
        text[side][2 * i] = letters[side][i];
        text[side][2 * i + 1] = '\n';
      }
      text[side][2 * size[side]] = 0;
    }
    fl_buf out;
    fl_line_diff d = diff(text[0], text[1], 1000, &out);
    size_t kept = common(letters[0], size[0], letters[1], size[1]);
    assert_int_equal(d.lines_a - d.removed, kept);
    assert_int_equal(d.lines_b - d.added, kept);
    size_t minus = 0, plus = 0;
    const char *hunks = fl_buf_cstr(&out);
    for (const char *p = hunks; (p = strchr(p, '\n')); p++)
      minus += p[1] == '-', plus += p[1] == '+';
    assert_int_equal(minus, d.removed);
    assert_int_equal(plus, d.added);
    fl_buf_deinit(&out);
  }
}

static void what_differs_everywhere_is_one_block(void **state) {
  (void)state;
  fl_buf a, b, out;
  fl_buf_init(&a, 1 << 20);
  fl_buf_init(&b, 1 << 20);
  for (int i = 0; i < 2000; i++) {
    fl_buf_addf(&a, "a%d\n", i);
    fl_buf_addf(&b, "b%d\n", i);
  }
  fl_line_diff d = diff(fl_buf_cstr(&a), fl_buf_cstr(&b), 10, &out);
  assert_int_equal(d.removed, 2000);
  assert_int_equal(d.added, 2000);
  fl_buf_deinit(&a);
  fl_buf_deinit(&b);
  fl_buf_deinit(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hunks_are_those_of_diff),
      cmocka_unit_test(long_ones_are_cut),
      cmocka_unit_test(random_texts_change_as_little_as_possible),
      cmocka_unit_test(what_differs_everywhere_is_one_block),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
