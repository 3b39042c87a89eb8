// Handles: none is given out twice, and what is none is told from what is.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/handle.h"

static void a_handle_stands_for_its_object_until_it_ends(void **state) {
  (void)state;
  int a, b;
  void *of_a = fl_handle_new(FL_HANDLE_SCRIPT, &a), *of_b = fl_handle_new(FL_HANDLE_SCRIPT, &b);
  assert_ptr_equal(fl_handle_get(FL_HANDLE_SCRIPT, of_a), &a);
  assert_ptr_equal(fl_handle_get(FL_HANDLE_SCRIPT, of_b), &b);
  assert_null(fl_handle_get(FL_HANDLE_FREE, of_a));
  fl_handle_end(of_a);
  fl_handle_end(of_a); // once more: nothing
  assert_null(fl_handle_get(FL_HANDLE_SCRIPT, of_a));
  assert_ptr_equal(fl_handle_get(FL_HANDLE_SCRIPT, of_b), &b);
  fl_handle_end(of_b);
}

static void an_ended_handle_does_not_come_back_with_its_row(void **state) {
  (void)state;
  int object;
  void *first = fl_handle_new(FL_HANDLE_SCRIPT, &object);
  fl_handle_end(first);
  for (int i = 0; i < 1000; i++) {
    void *next = fl_handle_new(FL_HANDLE_SCRIPT, &object);
    assert_ptr_not_equal(next, first);
    assert_null(fl_handle_get(FL_HANDLE_SCRIPT, first));
    fl_handle_end(next);
  }
}

static void whatever_pointer_is_no_handle(void **state) {
  (void)state;
  int object;
  assert_null(fl_handle_get(FL_HANDLE_SCRIPT, NULL));
  assert_null(fl_handle_get(FL_HANDLE_SCRIPT, &object));
  fl_handle_end(&object);
  fl_handle_end(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_handle_stands_for_its_object_until_it_ends),
      cmocka_unit_test(an_ended_handle_does_not_come_back_with_its_row),
      cmocka_unit_test(whatever_pointer_is_no_handle),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
