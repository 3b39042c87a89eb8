// Cron expressions: which days and times they name, and what is no expression.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/civil.h"
#include "calendar/cron.h"

// The days of a month that `text` names, as "1 15 31".
static const char *days_in(const char *text, int64_t year, int month) {
  static char out[200];
  fl_cron cron;
  fl_error err;
  if (fl_cron_parse(text, &cron, &err) != FL_OK) fail_msg("%s: %s", text, err.message);
  size_t size = 0;
  out[0] = '\0';
  for (int day = 1; day <= fl_days_of_month(year, month); day++)
    if (fl_cron_names_day(&cron, fl_days_from_civil(year, month, day)))
      size += (size_t)sprintf(out + size, "%s%d", size ? " " : "", day);
  return out;
}

static void days_are_named_by_date_weekday_or_either(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int year, month;
    const char *days;
  } rows[] = {
      {"0 0 1,15 * *", 2026, 2, "1 15"},
      {"0 0 31 * *", 2026, 4, ""},
      {"0 0 * 2 *", 2026, 3, ""},
      {"0 0 L * *", 2026, 2, "28"},
      {"0 0 L * *", 2028, 2, "29"},
      {"0 0 L-3 * *", 2026, 1, "28"},
      {"0 0 L,L-30 * *", 2026, 1, "1 31"},
      {"0 0 L-30 * *", 2026, 4, ""},
      {"0 0 15W * *", 2026, 8, "14"}, // a Saturday
      {"0 0 15W * *", 2026, 2, "16"}, // a Sunday
      {"0 0 15W * *", 2026, 4, "15"},
      {"0 0 1W * *", 2026, 8, "3"},   // Saturday the 1st: not in July
      {"0 0 31W * *", 2026, 5, "29"}, // Sunday the 31st: not in June
      {"0 0 31W * *", 2026, 4, ""},
      {"0 0 LW * *", 2026, 5, "29"},
      {"0 0 LW * *", 2026, 2, "27"},
      {"0 0 LW * *", 2026, 4, "30"},
      {"0 0 * * 5L", 2026, 7, "31"},
      {"0 0 * * friL", 2026, 8, "28"},
      {"0 0 * * 1#2", 2026, 6, "8"},
      {"0 0 * * mon#5", 2026, 6, "29"},
      {"0 0 * * 1#5", 2026, 7, ""},
      {"0 0 * * 0#1", 2026, 3, "1"},
      {"0 0 * * 7#1", 2026, 3, "1"},
      {"0 0 * * fri-sun", 2026, 2, "1 6 7 8 13 14 15 20 21 22 27 28"},
      {"0 0 * * 7", 2026, 2, "1 8 15 22"},
      {"0 0 * * 0,6", 2026, 2, "1 7 8 14 15 21 22 28"},
      {"0 0 * * */3", 2026, 2, "1 4 7 8 11 14 15 18 21 22 25 28"},
      {"0 0 13 * 5", 2026, 2, "6 13 20 27"}, // either is enough
      {"0 0 13 * 5", 2026, 4, "3 10 13 17 24"},
      {"0 0 ? * mon", 2026, 2, "2 9 16 23"},
      {"0 0 1 * ?", 2026, 2, "1"},
      {"0 0 20/5 * *", 2026, 1, "20 25 30"},
      {"0 0 10-20/4 * *", 2026, 1, "10 14 18"},
      {"0 0 1 jan-MAR *", 2026, 3, "1"},
      {"0 0 1 jan-mar *", 2026, 4, ""},
      {"@monthly", 2026, 3, "1"},
      {"@weekly", 2026, 3, "1 8 15 22 29"},
      {"@yearly", 2026, 1, "1"},
      {"@Annually", 2026, 2, ""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strcmp(days_in(rows[i].text, rows[i].year, rows[i].month), rows[i].days) != 0)
      fail_msg("%s in %d-%02d: %s, not %s", rows[i].text, rows[i].year, rows[i].month,
               days_in(rows[i].text, rows[i].year, rows[i].month), rows[i].days);
}

// Every second of a day against the fields, read by other code.
static void times_are_those_of_the_fields(void **state) {
  (void)state;
  static const struct {
    const char *text;
    const char *seconds, *minutes, *hours; // " 1 2 "; NULL: all
  } rows[] = {
      {"* * * * *", " 0 ", NULL, NULL},
      {"* * * * * *", NULL, NULL, NULL},
      {"*/20 5,50-52 9-17/4 * * *", " 0 20 40 ", " 5 50 51 52 ", " 9 13 17 "},
      {"30 59 23 * * *", " 30 ", " 59 ", " 23 "},
      {"0 2 * * *", " 0 ", " 0 ", " 2 "},
      {"55/2 22/1 * * *", " 0 ", " 55 57 59 ", " 22 23 "},
      {"@hourly", " 0 ", " 0 ", NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_cron cron;
    assert_int_equal(fl_cron_parse(rows[i].text, &cron, NULL), FL_OK);
    int32_t next = -1;
    for (int32_t s = 86399; s >= 0; s--) {
      char text[3][12];
      const char *const sets[] = {rows[i].seconds, rows[i].minutes, rows[i].hours};
      sprintf(text[0], " %d ", s % 60), sprintf(text[1], " %d ", s / 60 % 60);
      sprintf(text[2], " %d ", s / 3600);
      bool named = true;
      for (int k = 0; k < 3; k++) named = named && (!sets[k] || strstr(sets[k], text[k]));
      if (named) next = s;
      if (fl_cron_next_second(&cron, s) != next)
        fail_msg("%s from %d: %d, not %d", rows[i].text, s, fl_cron_next_second(&cron, s), next);
    }
  }
}

static void what_is_wrong_is_said_with_its_field(void **state) {
  (void)state;
  static const struct {
    const char *text, *message;
  } rows[] = {
      {"0 25 * * *", "field 2 (hour) of \"0 25 * * *\": expected 0 to 23, got 25"},
      {"60 0 * * *", "field 1 (minute) of \"60 0 * * *\": expected 0 to 59, got 60"},
      {"60 0 0 * * *", "field 1 (second) of \"60 0 0 * * *\": expected 0 to 59, got 60"},
      {"0 0 0 * *", "field 3 (day of month) of \"0 0 0 * *\": expected 1 to 31, got 0"},
      {"0 0 1-32 * *", "field 3 (day of month) of \"0 0 1-32 * *\": expected 1 to 31, got 32"},
      {"0 0 32W * *", "field 3 (day of month) of \"0 0 32W * *\": expected 1 to 31, got 32"},
      {"0 0 L-31 * *", "field 3 (day of month) of \"0 0 L-31 * *\": expected 0 to 30, got 31"},
      {"0 0 Lx * *", "field 3 (day of month) of \"0 0 Lx * *\": expected L, LW or L-3, got \"Lx\""},
      {"0 0 * 13 *", "field 4 (month) of \"0 0 * 13 *\": expected 1 to 12, got 13"},
      {"0 0 * * 8", "field 5 (day of week) of \"0 0 * * 8\": expected 0 to 7, got 8"},
      {"0 0 * * 1#6", "field 5 (day of week) of \"0 0 * * 1#6\": expected 1 to 5, got 6"},
      {"*/60 * * * *", "field 1 (minute) of \"*/60 * * * *\": expected 1 to 59, got 60"},
      {"*/0 * * * *", "field 1 (minute) of \"*/0 * * * *\": expected 1 to 59, got 0"},
      {"* */24 * * *", "field 2 (hour) of \"* */24 * * *\": expected 1 to 23, got 24"},
      {"5-2 * * * *", "field 1 (minute) of \"5-2 * * * *\": expected a range that ends behind its "
                      "beginning, got \"5-2\""},
      {"1,,2 * * * *", "field 1 (minute) of \"1,,2 * * * *\": expected a list without gaps, got "
                       "\"1,,2\""},
      {"1, * * * *",
       "field 1 (minute) of \"1, * * * *\": expected a list without gaps, got \"1,\""},
      {"a * * * *", "field 1 (minute) of \"a * * * *\": expected *, a number, a-b, each with "
                    "/step, in a list, got \"a\""},
      {"*x * * * *", "field 1 (minute) of \"*x * * * *\": expected *, a number, a-b, each with "
                     "/step, in a list, got \"*x\""},
      {"* * * *", "expected 5 fields, or 6 with seconds first, got 4 in \"* * * *\""},
      {"", "expected 5 fields, or 6 with seconds first, got 0 in \"\""},
      {"* * * * * * *",
       "expected 5 fields, or 6 with seconds first, got more than 6 in \"* * * * * * *\""},
      {"@noon", "expected @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually, got "
                "\"@noon\""},
      {"99999999999999999999 * * * *",
       "field 1 (minute) of \"99999999999999999999 * * * *\": expected *, a number, a-b, each with "
       "/step, in a list, got \"99999999999999999999\""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_cron cron;
    fl_error err = {.message = "taken"};
    assert_int_equal(fl_cron_parse(rows[i].text, &cron, &err), FL_E_USAGE);
    assert_string_equal(err.message, rows[i].message);
  }
}

static void what_goes_on_with_the_clock_is_known(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool running;
  } rows[] = {
      {"* 2 * * *", true},    {"0 * * * *", true},     {"*/5 2 * * *", true},
      {"0 2 * * *", false},   {"0 0-23 * * *", false}, {"0 2 1 * ?", false},
      {"0 0 2 * * *", false}, {"? 0 2 * * *", true},   {"0,*/7 0 2 * *", true},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_cron cron;
    assert_int_equal(fl_cron_parse(rows[i].text, &cron, NULL), FL_OK);
    if (cron.running != rows[i].running) fail_msg("%s", rows[i].text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(days_are_named_by_date_weekday_or_either),
      cmocka_unit_test(times_are_those_of_the_fields),
      cmocka_unit_test(what_is_wrong_is_said_with_its_field),
      cmocka_unit_test(what_goes_on_with_the_clock_is_known),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
