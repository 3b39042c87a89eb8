// What a rule is told, what it refuses, and how it reads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "rules.h"

static void what_cannot_be_is_said(void **state) {
  (void)state;
  static const struct {
    const char *rule, *message;
  } rows[] = {
      {"every=0; unit=day", "expected 1 to 1000000, got \"0\""},
      {"unit=year", "expected minute, hour, day, week or month, got \"year\""},
      {"unit=day; at=25:00", "expected a time of day such as \"08:00\", got \"25:00\""},
      {"unit=day; at=8", "expected a time of day such as \"08:00\", got \"8\""},
      {"unit=week; on=mo", "expected a day such as \"mon\", 1 to 31 or \"last\", got \"mo\""},
      {"unit=month; on=32", "expected 1 to 31 or \"last\", got \"32\""},
      {"unit=day; on=mon", "is for weeks and months only"},
      {"unit=month; on=mon", "of a month: expected 1 to 31 or \"last\""},
      {"unit=week; on=3", "of a week: expected a day such as \"mon\""},
      {"unit=hour; fold=both", "minutes and hours know no daylight saving"},
      {"unit=day; fold=never", "expected \"first\", \"last\" or \"both\", got \"never\""},
      {"unit=day; gap=both", "expected \"run\" or \"skip\", got \"both\""},
      {"unit=day; off_day=next", "there is no calendar: every day works"},
      {"unit=day; calendar.off=2026-02-30",
       "expected a date such as \"2026-12-25\", got \"2026-02-30\""},
      {"unit=day; calendar.days=weekend", "expected days such as \"mon-fri\", got \"weekend\""},
      {"unit=day; tz=Europe/Berlim",
       "expected a time zone such as \"UTC\" or \"Asia/Shanghai\", got \"Europe/Berlim\""},
      {"unit=day; from=yesterday", "expected a date such as \"2026-01-31\" or an instant such as "
                                   "\"2026-01-31T08:00:00Z\", got \"yesterday\""},
      {"unit=day; from=2026-02-02; to=2026-02-01", "is before from: there is no time in between"},
      {"tz=UTC", "expected a cron expression, or a unit"},
      {"unit=day; colour=red", "there is no option \"colour\" of a rule"},
      {"unit=day; jitter=soon", "expected a duration such as \"90s\" or \"5m\", got \"soon\""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_rule *rule;
    fl_error err = {.message = "taken"};
    assert_int_equal(make_rule(rows[i].rule, &rule, &err), FL_E_USAGE);
    assert_string_equal(err.message, rows[i].message);
    fl_rule_free(rule);
  }
}

static void a_rule_without_an_instant_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *rule, *message;
  } rows[] = {
      {"cron=0 0 30 2 *", "\"0 0 30 2 *\" names no instant in 50 years"},
      {"cron=0 0 29 2 *", NULL},
      {"cron=30 2 29 3 *; tz=Europe/Berlin; gap=skip", NULL},
      {"cron=0 0 1 1 *; calendar.days=mon; calendar.off=2027-01-01", NULL},
      {"cron=0 0 4 7 *; calendar.off=2026-07-04", NULL},
      {"unit=day; calendar.days=mon; calendar.off=2026-02-02; calendar.off=2026-02-09; "
       "calendar.off=2026-02-16; calendar.off=2026-02-23; calendar.off=2026-03-02; "
       "calendar.off=2026-03-09; calendar.off=2026-03-16; calendar.off=2026-03-23; "
       "calendar.off=2026-03-30",
       "its calendar has no working day in 60 days"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_rule *rule = rule_of(rows[i].rule);
    fl_error err = {.message = "taken"};
    fl_code code = fl_rule_check(rule, instant("2026-02-01T00:00:00Z"), &err);
    if ((code == FL_OK) != !rows[i].message) fail_msg("%s", rows[i].rule);
    if (rows[i].message) assert_string_equal(err.message, rows[i].message);
    fl_rule_free(rule);
  }
}

static void a_rule_reads_as_people_write_it(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"cron=0 2 * * *", "0 2 * * *"},
      {"unit=days", "every day at 00:00"},
      {"every=15; unit=minute", "every 15 minutes"},
      {"every=2; unit=week; on=thu; on=mon; on=sun; at=08:00",
       "every 2 weeks on mon, thu, sun at 08:00"},
      {"unit=month; on=last; on=1; at=08:00:30; at=7:05",
       "every month on 1, last at 07:05, 08:00:30"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_rule *rule = rule_of(rows[i][0]);
    assert_string_equal(fl_rule_get_text(rule), rows[i][1]);
    fl_rule_free(rule);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_cannot_be_is_said),
      cmocka_unit_test(a_rule_without_an_instant_is_refused),
      cmocka_unit_test(a_rule_reads_as_people_write_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
