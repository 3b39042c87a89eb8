// Tests executor/telling.c: which lines of what programs print at their end are told.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "executor/telling.h"

static void the_line_that_says_why_is_told(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"", ""},
      {"\n \n", ""},
      {"no luck\n", ": no luck"},
      {"one\ntwo\n\n", ": two"},
      {"tar: /nope: Cannot open: No such file or directory\n"
       "tar: Error is not recoverable: exiting now\n",
       ": tar: /nope: Cannot open: No such file or directory ... "
       "tar: Error is not recoverable: exiting now"},
      {"convert: improper image header 'photo 37.png'\nconvert: no images defined 'x'\n",
       ": convert: improper image header 'photo 37.png' ... convert: no images defined 'x'"},
      {"Traceback (most recent call last):\n"
       "  File \"x.py\", line 3, in <module>\n    raise ValueError(\"bad error\")\n"
       "ValueError: bad error\n",
       ": ValueError: bad error"},
      {"+ cd /srv\n+ make\nmake: *** No rule to make target 'x'.  Stop.\n",
       ": make: *** No rule to make target 'x'.  Stop."},
      {"same error\nsame error\n", ": same error"},
      {"error: \xff\r\nbye\r\n", ": error: \uFFFD ... bye"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_buf text;
    fl_buf_init(&text, 4096);
    fl_telling_add(&text, rows[i][0], strlen(rows[i][0]));
    assert_string_equal(fl_buf_cstr(&text), rows[i][1]);
    fl_buf_deinit(&text);
  }
}

static void a_long_line_is_cut(void **state) {
  (void)state;
  char tail[2048];
  fl_buf text;
  memset(tail, 'x', sizeof tail);
  fl_buf_init(&text, 4096);
  fl_telling_add(&text, tail, sizeof tail);
  assert_true(text.size < 1100);
  fl_buf_deinit(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_line_that_says_why_is_told),
      cmocka_unit_test(a_long_line_is_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
