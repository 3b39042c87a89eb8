// Days of the calendar: every day of four centuries, there and back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/civil.h"

static void days_follow_each_other(void **state) {
  (void)state;
  int64_t days = fl_days_from_civil(1800, 1, 1), year;
  int month, day, weekday = 3; // a Wednesday
  for (int64_t y = 1800; y < 2200; y++)
    for (int m = 1; m <= 12; m++)
      for (int d = 1; d <= fl_days_of_month(y, m); d++, days++, weekday = (weekday + 1) % 7) {
        assert_int_equal(fl_days_from_civil(y, m, d), days);
        fl_civil_from_days(days, &year, &month, &day);
        assert_true(year == y && month == m && day == d);
        assert_int_equal(fl_weekday_of(days), weekday);
      }
  assert_int_equal(days, fl_days_from_civil(2200, 1, 1));
  assert_int_equal(fl_days_from_civil(1970, 1, 1), 0);
}

static void february_has_its_leap_days(void **state) {
  (void)state;
  assert_int_equal(fl_days_of_month(2026, 2), 28);
  assert_int_equal(fl_days_of_month(2028, 2), 29);
  assert_int_equal(fl_days_of_month(2100, 2), 28);
  assert_int_equal(fl_days_of_month(2000, 2), 29);
}

static void a_division_rounds_down(void **state) {
  (void)state;
  for (int64_t a = -20; a <= 20; a++)
    for (int64_t b = 1; b < 8; b++) {
      assert_int_equal(fl_floor_div(a, b) * b + fl_floor_mod(a, b), a);
      assert_in_range(fl_floor_mod(a, b), 0, b - 1);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(days_follow_each_other),
      cmocka_unit_test(february_has_its_leap_days),
      cmocka_unit_test(a_division_rounds_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
