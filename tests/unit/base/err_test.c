// Tests base/err.c: messages are made, prefixed and cut without breaking UTF-8.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include "base/err.h"
#include "base/json.h"

static void a_failure_has_code_and_sentence(void **state) {
  (void)state;
  fl_error err;
  assert_int_equal(fl_fail(&err, FL_E_USAGE, "bad %s %d", "thing", 3), FL_E_USAGE);
  assert_int_equal(err.code, FL_E_USAGE);
  assert_string_equal(err.message, "bad thing 3");
  assert_int_equal(fl_fail(NULL, FL_E_STORE, "nobody listens"), FL_E_STORE);
}

static void a_wrap_prepends_and_keeps_the_code(void **state) {
  (void)state;
  fl_error err;
  fl_fail(&err, FL_E_SPAWN, "cannot spawn");
  assert_int_equal(fl_wrap(&err, "node '%s'", "load"), FL_E_SPAWN);
  assert_int_equal(fl_wrap(&err, "run 42"), FL_E_SPAWN);
  assert_string_equal(err.message, "run 42: node 'load': cannot spawn");
}

static void an_errno_is_named(void **state) {
  (void)state;
  fl_error err;
  assert_int_equal(fl_fail_errno(&err, FL_E_SYSTEM, ENOENT, "cannot open '%s'", "x"), FL_E_SYSTEM);
  assert_string_equal(err.message, "cannot open 'x': No such file or directory (ENOENT)");
  assert_string_equal(fl_errno_name(EIO), "EIO");
  assert_string_equal(fl_errno_name(99999), "errno 99999");
}

static void a_cut_message_stays_utf8(void **state) {
  (void)state;
  char text[4000];
  for (size_t lead = 0; lead < 4; lead++) {
    memset(text, 'a', lead);
    size_t size = lead;
    while (size + 4 < sizeof text) memcpy(text + size, "\xF0\x9F\x98\x80", 4), size += 4;
    text[size] = '\0';
    fl_error err;
    fl_fail(&err, FL_E_USAGE, "%s", text);
    assert_true(fl_utf8_valid(err.message, strlen(err.message)));
    assert_in_range(strlen(err.message), FL_ERROR_MESSAGE_SIZE - 5, FL_ERROR_MESSAGE_SIZE - 1);
    fl_fail(&err, FL_E_USAGE, "%.2000s", text);
    fl_wrap(&err, "%.600s", text);
    fl_fail_errno(&err, FL_E_SYSTEM, EIO, "%s", text);
    assert_true(fl_utf8_valid(err.message, strlen(err.message)));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_failure_has_code_and_sentence),
      cmocka_unit_test(a_wrap_prepends_and_keeps_the_code),
      cmocka_unit_test(an_errno_is_named),
      cmocka_unit_test(a_cut_message_stays_utf8),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
