// Tests base/recorded.c: each kind in its own order, and what is left.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/recorded.h"

static const char text[] = "[[\"now\",1],[\"random\",0.5],[\"now\",2],[\"uuid\",\"u\"]]";

static fl_recorded open_recorded(void) {
  fl_recorded r;
  fl_recorded_init(&r, json_loads(text, 0, NULL));
  return r;
}

/// Asks for kinds by their first letters; "-" stands for what is not there. Borrowed.
static const char *ask(fl_recorded *r, const char *letters) {
  static fl_buf out;
  fl_buf_deinit(&out);
  fl_buf_init(&out, 1000);
  for (; *letters; letters++) {
    const char *kind = *letters == 'n'   ? "now"
                       : *letters == 'r' ? "random"
                       : *letters == 'u' ? "uuid"
                                         : "x";
    if (out.size) fl_buf_add_char(&out, ' ');
    if (!fl_recorded_take(r, kind, &out)) fl_buf_add_char(&out, '-');
  }
  return fl_buf_cstr(&out);
}

static void each_kind_comes_in_its_own_order(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"nrnu", "1 0.5 2 \"u\""}, {"unnr", "\"u\" 1 2 0.5"},
      {"rrn", "0.5 - 1"}, // asks for more than it did
      {"nnnn", "1 2 - -"},       {"xn", "- 1"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_recorded r = open_recorded();
    assert_string_equal(ask(&r, rows[i][0]), rows[i][1]);
    fl_recorded_deinit(&r);
  }
  fl_recorded none = {0};
  assert_string_equal(ask(&none, "n"), "-");
  assert_null(fl_recorded_get_rest(&none));
}

static void the_rest_is_what_was_not_taken(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"", text},
      {"n", "[[\"random\",0.5],[\"now\",2],[\"uuid\",\"u\"]]"},
      {"nn", "[[\"random\",0.5],[\"uuid\",\"u\"]]"},
      {"ur", "[[\"now\",1],[\"now\",2]]"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_recorded r = open_recorded();
    ask(&r, rows[i][0]);
    fl_value *rest = fl_recorded_get_rest(&r);
    assert_string_equal(rest->text, rows[i][1]);
    fl_value_unref(rest);
    fl_recorded_deinit(&r);
  }
  fl_recorded r = open_recorded();
  ask(&r, "nnru");
  assert_null(fl_recorded_get_rest(&r));
  fl_recorded_deinit(&r);
}

static void what_stands_before_the_mark_is_handed_out_only_there(void **state) {
  (void)state;
  static const char list[] = "[[\"random\",1],[\"now\",2],[\"when\",true],[\"random\",3]]";
  fl_recorded r;
  fl_recorded_init(&r, json_loads(list, 0, NULL));
  assert_string_equal(ask(&r, "rru"), "1 - -"); // the now is not asked for today
  fl_recorded_pass_mark(&r);
  assert_string_equal(ask(&r, "nrr"), "- 3 -");
  assert_null(fl_recorded_get_rest(&r));
  fl_recorded_deinit(&r);
  // Without a mark nothing is passed over.
  r = open_recorded();
  fl_recorded_pass_mark(&r);
  assert_string_equal(ask(&r, "n"), "1");
  fl_recorded_deinit(&r);
  // A later attempt's list gets the part that the first one's has.
  json_t *first = json_loads(list, 0, NULL), *plain = json_loads("[[\"random\",7]]", 0, NULL);
  fl_recorded_init(&r, fl_recorded_prepend(json_incref(plain), first));
  assert_string_equal(ask(&r, "rr"), "1 -");
  fl_recorded_pass_mark(&r);
  assert_string_equal(ask(&r, "rr"), "7 -");
  fl_recorded_deinit(&r);
  fl_recorded_init(&r, fl_recorded_prepend(NULL, first));
  assert_string_equal(ask(&r, "r"), "1");
  fl_recorded_deinit(&r);
  json_decref(first);
  json_decref(plain);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_kind_comes_in_its_own_order),
      cmocka_unit_test(the_rest_is_what_was_not_taken),
      cmocka_unit_test(what_stands_before_the_mark_is_handed_out_only_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
