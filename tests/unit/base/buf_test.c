// Tests base/buf.c: growth, the maximum, and who owns what.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"

static void it_holds_what_was_added(void **state) {
  (void)state;
  fl_buf b;
  fl_buf_init(&b, 1000);
  assert_string_equal(fl_buf_cstr(&b), "");
  fl_buf_addf(&b, "%s", ""); // nothing has been allocated yet
  assert_int_equal(b.size, 0);
  fl_buf_add_str(&b, "one ");
  fl_buf_addf(&b, "%d %s", 2, "three");
  fl_buf_add_char(&b, '!');
  fl_buf_add(&b, NULL, 0);
  assert_string_equal(fl_buf_cstr(&b), "one 2 three!");
  fl_buf_consume(&b, 4);
  assert_string_equal(fl_buf_cstr(&b), "2 three!");
  for (int i = 0; i < 60; i++) fl_buf_addf(&b, "%0*d", 10, i);
  assert_int_equal(b.size, 608);
  assert_false(b.failed);
  char *text = fl_buf_take(&b);
  assert_int_equal(strlen(text), 608);
  assert_int_equal(b.size, 0);
  free(text);
  text = fl_buf_take(&b);
  assert_string_equal(text, "");
  free(text);
}

static void past_the_maximum_it_keeps_what_it_has(void **state) {
  (void)state;
  fl_buf b;
  fl_buf_init(&b, 10);
  fl_buf_add_str(&b, "0123456789");
  assert_false(b.failed);
  fl_buf_add_char(&b, 'x');
  assert_true(b.failed);
  assert_string_equal(fl_buf_cstr(&b), "0123456789");
  fl_buf_addf(&b, "%d", 1);
  fl_buf_add_str(&b, "more");
  assert_int_equal(b.size, 10);
  assert_null(fl_buf_take(&b));
  fl_buf_addf(&b, "%s", "elevenbytes");
  assert_true(b.failed);
  fl_buf_reset(&b);
  assert_false(fl_buf_reserve(&b, SIZE_MAX));
  fl_buf_deinit(&b);
}

static void a_formatted_add_may_fill_it_exactly(void **state) {
  (void)state;
  for (size_t size_max = 0; size_max <= 200; size_max++) {
    fl_buf b;
    fl_buf_init(&b, size_max);
    fl_buf_addf(&b, "%*s", 70, "x");
    assert_int_equal(b.failed, size_max < 70);
    fl_buf_addf(&b, "%*s", 70, "y");
    assert_int_equal(b.failed, size_max < 140);
    fl_buf_deinit(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_holds_what_was_added),
      cmocka_unit_test(past_the_maximum_it_keeps_what_it_has),
      cmocka_unit_test(a_formatted_add_may_fill_it_exactly),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
