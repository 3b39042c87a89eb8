// When rules fire: rows checked by hand.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "rules.h"

static void add_fire(char *out, size_t size, const fl_fire *fire) {
  char text[FL_TIME_TEXT_SIZE];
  fl_time_format(fire->at_s * 1000, text);
  size_t used = strlen(out);
  const char *note = fl_fire_note_name(fire->note);
  strcpy(strchr(text, '.'), "");
  snprintf(out + used, size - used, "%s%s%s%s", used ? ", " : "", text + 2, note ? " " : "",
           note ? note : "");
}

// The next fires as "26-03-28T01:00:00, 26-03-29T01:00:00 gap".
static const char *fires(const fl_rule *rule, const char *from, int count) {
  static char out[1000];
  int64_t at = instant(from);
  out[0] = '\0';
  for (int i = 0; i < count; i++) {
    fl_fire fire;
    fl_error err;
    fl_code code = fl_rule_next(rule, at, &fire, &err);
    if (code == FL_E_NOT_FOUND) {
      strcat(out, ", none");
      break;
    }
    assert_int_equal(code, FL_OK);
    add_fire(out, sizeof out, &fire);
    at = fire.at_s + 1;
  }
  return out;
}

typedef struct row {
  const char *rule, *from;
  int count;
  const char *fires;
} row;

static void check_rows(const row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    fl_rule *rule = rule_of(rows[i].rule);
    const char *got = fires(rule, rows[i].from, rows[i].count);
    if (strcmp(got, rows[i].fires) != 0)
      fail_msg("%s from %s:\n  %s, not\n  %s", rows[i].rule, rows[i].from, got, rows[i].fires);
    fl_rule_free(rule);
  }
}

static void clocks_that_change_leave_out_and_repeat(void **state) {
  (void)state;
  static const row rows[] = {
      {"cron=0 2 * * *", "2026-01-31T00:00:00Z", 2, "26-01-31T02:00:00, 26-02-01T02:00:00"},
      {"cron=0 2 * * *", "2026-01-31T02:00:00Z", 1, "26-01-31T02:00:00"}, // at or after
      {"cron=0 2 * * *; tz=Asia/Shanghai", "2026-01-31T00:00:00Z", 1, "26-01-31T18:00:00"},
      // The hour that Berlin leaves out, and the one that it has twice.
      {"cron=0 2 * * *; tz=Europe/Berlin", "2026-03-28T00:00:00Z", 3,
       "26-03-28T01:00:00, 26-03-29T01:00:00 gap, 26-03-30T00:00:00"},
      {"cron=0,30 2 * * *; tz=Europe/Berlin", "2026-03-29T00:00:00Z", 2,
       "26-03-29T01:00:00 gap, 26-03-30T00:00:00"}, // several: once
      {"cron=30 2 * * *; tz=Europe/Berlin; gap=skip", "2026-03-29T00:00:00Z", 1,
       "26-03-30T00:30:00"},
      {"cron=30 2,3 * * *; tz=Europe/Berlin", "2026-03-29T00:00:00Z", 2,
       "26-03-29T01:00:00 gap, 26-03-29T01:30:00"},
      {"cron=0 2,3 * * *; tz=Europe/Berlin", "2026-03-29T00:00:00Z", 2,
       "26-03-29T01:00:00, 26-03-30T00:00:00"}, // 03:00 is named itself
      {"cron=*/30 * * * *; tz=Europe/Berlin", "2026-03-29T00:30:00Z", 3,
       "26-03-29T00:30:00, 26-03-29T01:00:00, 26-03-29T01:30:00"},
      {"cron=30 * * * *; tz=Europe/Berlin; gap=run", "2026-03-29T00:40:00Z", 2,
       "26-03-29T01:00:00 gap, 26-03-29T01:30:00"},
      {"cron=30 2 * * *; tz=Europe/Berlin", "2026-10-24T23:00:00Z", 2,
       "26-10-25T00:30:00 fold, 26-10-26T01:30:00"},
      {"cron=30 2 * * *; tz=Europe/Berlin; fold=last", "2026-10-24T23:00:00Z", 2,
       "26-10-25T01:30:00 fold, 26-10-26T01:30:00"},
      {"cron=30 2 * * *; tz=Europe/Berlin; fold=both", "2026-10-24T23:00:00Z", 3,
       "26-10-25T00:30:00 fold, 26-10-25T01:30:00 fold, 26-10-26T01:30:00"},
      {"cron=0,30 2 * * *; tz=Europe/Berlin; fold=both", "2026-10-24T23:00:00Z", 4,
       "26-10-25T00:00:00 fold, 26-10-25T00:30:00 fold, 26-10-25T01:00:00 fold, "
       "26-10-25T01:30:00 fold"},
      {"cron=30 * * * *; tz=Europe/Berlin", "2026-10-25T00:00:00Z", 3,
       "26-10-25T00:30:00 fold, 26-10-25T01:30:00 fold, 26-10-25T02:30:00"},
      {"cron=30 * * * *; tz=Europe/Berlin; fold=first", "2026-10-25T00:00:00Z", 2,
       "26-10-25T00:30:00 fold, 26-10-25T02:30:00"},
      {"cron=30 * * * *; tz=Europe/Berlin; fold=last", "2026-10-24T23:00:00Z", 3,
       "26-10-24T23:30:00, 26-10-25T01:30:00 fold, 26-10-25T02:30:00"},
      // A day that Samoa left out.
      {"cron=0 12 * * *; tz=Pacific/Apia", "2011-12-29T00:00:00Z", 3,
       "11-12-29T22:00:00, 11-12-30T10:00:00 gap, 11-12-30T22:00:00"},
  };
  check_rows(rows, sizeof rows / sizeof *rows);
}

static void what_is_counted_begins_at_its_anchor(void **state) {
  (void)state;
  static const row rows[] = {
      {"every=15; unit=minute", "2026-01-31T00:01:00Z", 2, "26-01-31T00:15:00, 26-01-31T00:30:00"},
      {"every=90; unit=minute; from=2026-01-31", "2026-01-31T00:00:00Z", 3,
       "26-01-31T00:00:00, 26-01-31T01:30:00, 26-01-31T03:00:00"},
      {"every=1; unit=hour; tz=Asia/Kolkata", "2026-01-31T00:00:00Z", 1, "26-01-31T00:30:00"},
      {"every=6; unit=hour; tz=Europe/Berlin; from=2026-03-29; at=01:00", "2026-03-29T00:00:00Z", 2,
       "26-03-29T00:00:00, 26-03-29T06:00:00"}, // real time
      {"every=1; unit=day; at=08:00", "2026-01-31T09:00:00Z", 1, "26-02-01T08:00:00"},
      {"every=1; unit=day; at=08:00; at=20:30", "2026-01-31T09:00:00Z", 2,
       "26-01-31T20:30:00, 26-02-01T08:00:00"},
      {"every=2; unit=days; from=2026-01-30", "2026-01-01T00:00:00Z", 3,
       "26-01-30T00:00:00, 26-02-01T00:00:00, 26-02-03T00:00:00"},
      {"every=1; unit=day; at=02:30; tz=America/New_York", "2026-03-08T00:00:00Z", 2,
       "26-03-08T07:00:00 gap, 26-03-09T06:30:00"},
      {"every=1; unit=week", "2026-01-31T00:00:00Z", 1, "26-02-02T00:00:00"},
      {"every=2; unit=week; on=mon; on=thu; from=2026-01-07; at=06:00", "2026-01-01T00:00:00Z", 4,
       "26-01-08T06:00:00, 26-01-19T06:00:00, 26-01-22T06:00:00, 26-02-02T06:00:00"},
      {"every=2; unit=week; on=sun; from=2026-01-07", "2026-01-01T00:00:00Z", 2,
       "26-01-11T00:00:00, 26-01-25T00:00:00"}, // weeks begin on Monday
      {"every=1; unit=week; from=2026-01-07", "2026-01-01T00:00:00Z", 2,
       "26-01-07T00:00:00, 26-01-14T00:00:00"},
      {"every=1; unit=month; on=31", "2026-01-01T00:00:00Z", 4,
       "26-01-31T00:00:00, 26-02-28T00:00:00, 26-03-31T00:00:00, 26-04-30T00:00:00"},
      {"every=3; unit=month; on=last; on=1; from=2026-01-15", "2026-01-01T00:00:00Z", 4,
       "26-01-31T00:00:00, 26-04-01T00:00:00, 26-04-30T00:00:00, 26-07-01T00:00:00"},
      {"every=1; unit=month; from=2026-01-30", "2026-01-01T00:00:00Z", 2,
       "26-01-30T00:00:00, 26-02-28T00:00:00"},
  };
  check_rows(rows, sizeof rows / sizeof *rows);
}

static void days_that_do_not_work_are_left_out_or_moved(void **state) {
  (void)state;
  static const row rows[] = {
      // Effective: both ends included.
      {"cron=0 2 * * *; from=2026-02-01; to=2026-02-02", "2026-01-01T00:00:00Z", 3,
       "26-02-01T02:00:00, 26-02-02T02:00:00, none"},
      {"cron=0 2 * * *; to=2026-02-02T02:00:00Z", "2026-02-02T00:00:00Z", 2,
       "26-02-02T02:00:00, none"},
      {"cron=0 0 * * *; tz=Asia/Shanghai; to=2026-02-02", "2026-02-01T00:00:00Z", 2,
       "26-02-01T16:00:00, none"},
      // Calendars.
      {"cron=0 9 * * *; calendar.days=mon-fri", "2026-02-06T10:00:00Z", 1, "26-02-09T09:00:00"},
      {"cron=0 9 * * *; calendar.off=2026-02-07", "2026-02-06T10:00:00Z", 1, "26-02-08T09:00:00"},
      {"cron=0 9 * * *; calendar.days=mon-fri; calendar.on=2026-02-07", "2026-02-06T10:00:00Z", 2,
       "26-02-07T09:00:00, 26-02-09T09:00:00"},
      {"cron=0 9 1 * *; calendar.days=mon-fri; off_day=next", "2026-02-01T00:00:00Z", 2,
       "26-02-02T09:00:00 shifted, 26-03-02T09:00:00 shifted"},
      {"cron=0 9 1 * *; calendar.days=mon-fri; off_day=previous", "2026-01-15T00:00:00Z", 2,
       "26-01-30T09:00:00 shifted, 26-02-27T09:00:00 shifted"},
      {"cron=0 9 7,9 2 *; calendar.days=mon-fri; off_day=next", "2026-02-01T00:00:00Z", 2,
       "26-02-09T09:00:00, 27-02-08T09:00:00 shifted"}, // two in one
      {"cron=0 9 1 * *; calendar.days=mon-fri; calendar.off=2026-02-02; off_day=next",
       "2026-02-01T00:00:00Z", 1, "26-02-03T09:00:00 shifted"},
      {"every=12; unit=hour; calendar.days=mon-fri", "2026-02-06T10:00:00Z", 2,
       "26-02-06T12:00:00, 26-02-09T00:00:00"},
      {"every=5; unit=hour; from=2026-02-07; calendar.days=mon-fri; off_day=next",
       "2026-02-07T00:00:00Z", 5,
       "26-02-09T00:00:00 shifted, 26-02-09T01:00:00 shifted, 26-02-09T02:00:00, "
       "26-02-09T05:00:00 shifted, 26-02-09T06:00:00 shifted"},
      // Once in 28 years: 29 February on a Monday.
      {"cron=0 0 29 2 *; calendar.days=mon", "2026-01-01T00:00:00Z", 2,
       "44-02-29T00:00:00, 72-02-29T00:00:00"},
  };
  check_rows(rows, sizeof rows / sizeof *rows);
}

static int weekend(void *ud, int64_t day, fl_error *err) {
  if (*(int *)ud < 0) return fl_fail(err, FL_E_SCRIPT, "calendar.lua:3: no list of 2027"), -1;
  ++*(int *)ud;
  return fl_weekday_of(day) % 6 == 0;
}

static void a_calendar_may_be_a_function_that_fails(void **state) {
  (void)state;
  int asked = 0;
  fl_rule *rule = fl_rule_new();
  fl_error err;
  fl_fire fire;
  assert_int_equal(fl_rule_set(rule, "cron", "0 9 * * *", NULL), FL_OK);
  fl_rule_set_works(rule, weekend, &asked);
  assert_int_equal(fl_rule_finish(rule, NULL, NULL), FL_OK);
  assert_string_equal(fires(rule, "2026-02-02T00:00:00Z", 3),
                      "26-02-07T09:00:00, 26-02-08T09:00:00, 26-02-14T09:00:00");
  assert_in_range(asked, 12, 20); // a day at a time, not more than it needs
  asked = -1;
  assert_int_equal(fl_rule_next(rule, 0, &fire, &err), FL_E_SCRIPT);
  assert_string_equal(err.message, "calendar.lua:3: no list of 2027");
  fl_rule_free(rule);
}

static void intervals_leave_no_hole(void **state) {
  (void)state;
  static const char *const rules[] = {
      "cron=0 2 * * *; tz=Europe/Berlin; from=2026-03-01",
      "cron=*/30 * * * *; tz=Europe/Berlin",
      "every=1; unit=month; on=31",
      "cron=0 9 * * *; calendar.days=mon-fri",
  };
  for (int after = 0; after < 2; after++)
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
      char text[100];
      snprintf(text, sizeof text, "%s; interval=%s", rules[i], after ? "after" : "before");
      fl_rule *rule = rule_of(text);
      int64_t at = instant("2026-02-20T00:00:00Z"), end = INT64_MIN;
      for (int k = 0; k < 120; k++) {
        fl_fire fire;
        int64_t from, to;
        assert_int_equal(fl_rule_next(rule, at, &fire, NULL), FL_OK);
        assert_int_equal(fl_rule_get_interval(rule, fire.at_s, &from, &to, NULL), FL_OK);
        assert_true(from < to && fire.at_s == (after ? from : to));
        if (end != INT64_MIN) assert_int_equal(from, end);
        end = to;
        at = fire.at_s + 1;
      }
      fl_rule_free(rule);
    }
}

static void a_delay_is_always_the_same_and_less_than_to_the_next(void **state) {
  (void)state;
  fl_rule *rule = rule_of("cron=0 2 * * *; jitter=5m"),
          *tight = rule_of("cron=* * * * *; jitter=1h");
  int64_t a, b, sum = 0;
  for (int i = 0; i < 100; i++) {
    int64_t at = instant("2026-01-31T02:00:00Z") + i * FL_DAY_S;
    assert_int_equal(fl_rule_get_delay_ms(rule, "store", "daily", "1", at, &a, NULL), FL_OK);
    assert_int_equal(fl_rule_get_delay_ms(rule, "store", "daily", "1", at, &b, NULL), FL_OK);
    assert_int_equal(a, b);
    assert_in_range(a, 0, 299999);
    sum += a;
    assert_int_equal(fl_rule_get_delay_ms(tight, "store", "daily", "1", at, &b, NULL), FL_OK);
    assert_in_range(b, 0, 59999);
  }
  assert_in_range(sum / 100, 100000, 200000);
  assert_int_equal(fl_rule_get_delay_ms(rule, "other", "daily", "1", 0, &a, NULL), FL_OK);
  assert_int_equal(fl_rule_get_delay_ms(rule, "store", "daily", "1", 0, &b, NULL), FL_OK);
  assert_int_not_equal(a, b);
  fl_rule_free(rule);
  fl_rule_free(tight);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clocks_that_change_leave_out_and_repeat),
      cmocka_unit_test(what_is_counted_begins_at_its_anchor),
      cmocka_unit_test(days_that_do_not_work_are_left_out_or_moved),
      cmocka_unit_test(a_calendar_may_be_a_function_that_fails),
      cmocka_unit_test(intervals_leave_no_hole),
      cmocka_unit_test(a_delay_is_always_the_same_and_less_than_to_the_next),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
