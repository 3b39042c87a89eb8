// The rules of a flow together.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "calendar/rules.h"
#include "rules.h"

enum { COUNT = 3 };
static fl_rule *rules[COUNT];

static int setup(void **state) {
  (void)state;
  rules[0] = rule_of("cron=0 12 * * *");
  rules[1] = rule_of("unit=day; at=06:00; at=12:00; to=2026-02-02");
  rules[2] = rule_of("cron=0 12 1 * *");
  return 0;
}

static int teardown(void **state) {
  (void)state;
  for (int i = 0; i < COUNT; i++) fl_rule_free(rules[i]);
  return 0;
}

static void an_instant_that_several_name_is_that_of_the_first(void **state) {
  (void)state;
  static const struct {
    const char *at;
    size_t which;
  } rows[] = {
      {"2026-02-01T06:00:00Z", 1}, {"2026-02-01T12:00:00Z", 0}, {"2026-02-02T06:00:00Z", 1},
      {"2026-02-02T12:00:00Z", 0}, {"2026-02-03T12:00:00Z", 0},
  };
  int64_t from_s[COUNT];
  for (int i = 0; i < COUNT; i++) from_s[i] = instant("2026-02-01T00:00:00Z");
  fl_rules *r;
  fl_fire fire;
  size_t which;
  assert_int_equal(fl_rules_open((const fl_rule *const *)rules, from_s, COUNT, &r, NULL), FL_OK);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_int_equal(fl_rules_next(r, &fire, &which, NULL), FL_OK);
    assert_int_equal(fire.at_s, instant(rows[i].at));
    assert_int_equal(which, rows[i].which);
  }
  fl_rules_close(r);
}

static void a_list_ends_with_its_last_rule(void **state) {
  (void)state;
  const fl_rule *one = rules[1];
  int64_t from_s = instant("2026-02-02T07:00:00Z");
  fl_rules *r;
  fl_fire fire;
  size_t which;
  assert_int_equal(fl_rules_open(&one, &from_s, 1, &r, NULL), FL_OK);
  assert_int_equal(fl_rules_next(r, &fire, &which, NULL), FL_OK);
  assert_int_equal(fl_rules_next(r, &fire, &which, NULL), FL_E_NOT_FOUND);
  fl_rules_close(r);
  assert_int_equal(fl_rules_open(NULL, NULL, 0, &r, NULL), FL_OK);
  assert_int_equal(fl_rules_next(r, &fire, &which, NULL), FL_E_NOT_FOUND);
  fl_rules_close(r);
}

static void the_interval_is_that_of_the_latest_effective_fire(void **state) {
  (void)state;
  static const struct {
    const char *at, *from, *to;
  } rows[] = {
      {"2026-02-03T11:00:00Z", "2026-02-02T06:00:00Z", "2026-02-02T12:00:00Z"},
      {"2026-02-03T12:00:00Z", "2026-02-02T12:00:00Z", "2026-02-03T12:00:00Z"},
  };
  const fl_rule *two[] = {rules[1], rules[0]};
  for (size_t i = 0; i < 2; i++) {
    int64_t from_s, to_s;
    assert_int_equal(fl_rules_find_interval(two, 2, instant(rows[i].at), &from_s, &to_s, NULL),
                     FL_OK);
    assert_int_equal(from_s, instant(rows[i].from));
    assert_int_equal(to_s, instant(rows[i].to));
  }
  int64_t from_s, to_s;
  assert_int_equal(fl_rules_find_interval(NULL, 0, 0, &from_s, &to_s, NULL), FL_E_NOT_FOUND);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_instant_that_several_name_is_that_of_the_first),
      cmocka_unit_test(a_list_ends_with_its_last_rule),
      cmocka_unit_test(the_interval_is_that_of_the_latest_effective_fire),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
