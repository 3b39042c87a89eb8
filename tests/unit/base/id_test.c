// Tests base/id.c: names, ids and how run ids are made.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/id.h"

static void names_and_ids(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool name, id;
  } rows[] = {
      {"", false, false},         {"a", true, true},     {"_x", true, true},
      {"load_1", true, true},     {"a.b-c", true, true}, {"1a", false, true},
      {".", false, false},        {"..", false, false},  {"...", false, true},
      {"-a", false, true},        {"a b", false, false}, {"a/b", false, false},
      {"\xC3\xA9", false, false}, {"a\n", false, false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_int_equal(fl_name_valid(rows[i].text, strlen(rows[i].text)), rows[i].name);
    assert_int_equal(fl_id_valid(rows[i].text, strlen(rows[i].text)), rows[i].id);
  }
  char text[130];
  memset(text, 'a', sizeof text);
  assert_true(fl_name_valid(text, 128));
  assert_true(fl_id_valid(text, 128));
  assert_false(fl_name_valid(text, 129));
  assert_false(fl_id_valid(text, 129));
  assert_false(fl_name_valid("a\0b", 3));
}

static void run_ids_sort_by_time(void **state) {
  (void)state;
  char a[FL_RUN_ID_SIZE], b[FL_RUN_ID_SIZE];
  fl_run_id_make(1769903999123, a);
  fl_run_id_make(1769904000000, b);
  assert_memory_equal(a, "20260131T235959-", 16);
  assert_memory_equal(b, "20260201T000000-", 16);
  assert_int_equal(strlen(a), 28); // 48 random bits: thousands in one second do not meet
  assert_true(strcmp(a, b) < 0);
  assert_true(fl_id_valid(a, strlen(a)));
  fl_run_id_make(1769904000000, a);
  assert_string_not_equal(a, b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_and_ids),
      cmocka_unit_test(run_ids_sort_by_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
