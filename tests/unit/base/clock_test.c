// Tests base/clock.c: times, durations and sizes as text, by rows.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

static void times_are_written_and_read(void **state) {
  (void)state;
  static const struct {
    int64_t ms;
    const char *text;
  } rows[] = {
      {0, "1970-01-01T00:00:00.000Z"},
      {-1, "1969-12-31T23:59:59.999Z"},
      {951782400000, "2000-02-29T00:00:00.000Z"},
      {1709164800123, "2024-02-29T00:00:00.123Z"},
      {4107542400000, "2100-03-01T00:00:00.000Z"},
      {253402300799999, "9999-12-31T23:59:59.999Z"},
      {-62135596800000, "0001-01-01T00:00:00.000Z"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char text[FL_TIME_TEXT_SIZE];
    int64_t ms;
    fl_time_format(rows[i].ms, text);
    assert_string_equal(text, rows[i].text);
    assert_true(fl_time_parse(text, &ms));
    assert_int_equal(ms, rows[i].ms);
  }
  char text[FL_TIME_TEXT_SIZE];
  fl_time_format(INT64_MAX, text);
  assert_string_equal(text, "9999-12-31T23:59:59.999Z");
  fl_time_format(INT64_MIN, text);
  assert_string_equal(text, "0000-01-01T00:00:00.000Z");
}

static void every_day_reads_back(void **state) {
  (void)state;
  for (int64_t day = -800000; day < 3000000; day += 89) {
    int64_t at = day * 86400000 + 12345, back;
    if (at < -62167219200000 || at > 253402300799999) continue;
    char text[FL_TIME_TEXT_SIZE];
    fl_time_format(at, text);
    assert_true(fl_time_parse(text, &back));
    assert_int_equal(at, back);
  }
}

static void forms_of_time_are_taken(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t ms;
  } rows[] = {
      {"1970-01-02", 86400000},
      {"1970-01-01T01:00", 3600000},
      {"1970-01-01T00:00:01", 1000},
      {"1970-01-01 00:00:01", 1000},
      {"1970-01-01t00:00:01z", 1000},
      {"1970-01-01T08:00:00+08:00", 0},
      {"1969-12-31T19:30-04:30", 0},
      {"1970-01-01T00:00:00.1Z", 100},
      {"1970-01-01T00:00:00.123456789Z", 123},
      {"2016-12-31T23:59:60Z", 1483228800000},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int64_t ms = -1;
    assert_true(fl_time_parse(rows[i].text, &ms));
    assert_int_equal(ms, rows[i].ms);
  }
  static const char *const wrong[] = {
      "",
      "1970",
      "1970-1-1",
      "1970-13-01",
      "1970-00-01",
      "1970-01-32",
      "2023-02-29",
      "2100-02-29",
      "1970-01-01T",
      "1970-01-01T24:00",
      "1970-01-01T00:60",
      "1970-01-01T1",
      "1970-01-01T00:00:",
      "1970-01-01T00:00:00.",
      "1970-01-01T00:00Zx",
      "1970-01-01x",
      "1970-01-01T00:00+8",
      "1970-01-01T00:00+24:00",
      "tomorrow",
      " 1970-01-01",
      "1970-01-01Z",
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    int64_t ms;
    if (fl_time_parse(wrong[i], &ms)) fail_msg("taken: %s", wrong[i]);
  }
}

static void durations_are_read(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t ms;
  } rows[] = {
      {"0", 0},          {"5", 5000},        {"1.5", 1500},   {"500ms", 500},
      {"10s", 10000},    {"5m", 300000},     {"2h", 7200000}, {"1d", 86400000},
      {"0.5h", 1800000}, {"1h30m", 5400000}, {"1m0s", 60000}, {"1d2h3m4s5ms", 93784005},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int64_t ms = -1;
    assert_true(fl_duration_parse(rows[i].text, &ms));
    assert_int_equal(ms, rows[i].ms);
  }
  static const char *const wrong[] = {"",
                                      "s",
                                      "-1",
                                      "1x",
                                      "1 s",
                                      "5m ",
                                      "1h30",
                                      "30m1h",
                                      "1m1m",
                                      "1.s",
                                      ".5s",
                                      "1e3",
                                      "nan",
                                      "inf",
                                      "ten",
                                      "5min",
                                      "99999999999999999999d"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    int64_t ms;
    if (fl_duration_parse(wrong[i], &ms)) fail_msg("taken: %s", wrong[i]);
  }
}

static void sizes_are_read(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t bytes;
  } rows[] = {{"0", 0},           {"100", 100},          {"64K", 65536}, {"1M", 1048576},
              {"2G", 2147483648}, {"1T", 1099511627776}, {"1.5k", 1536}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int64_t bytes = -1;
    assert_true(fl_size_parse(rows[i].text, &bytes));
    assert_int_equal(bytes, rows[i].bytes);
  }
  static const char *const wrong[] = {"", "K", "-1", "1KB", "1 K", "1P", "99999999999999T"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    int64_t bytes;
    if (fl_size_parse(wrong[i], &bytes)) fail_msg("taken: %s", wrong[i]);
  }
}

static void durations_are_shown(void **state) {
  (void)state;
  static const struct {
    int64_t ms;
    const char *text;
  } rows[] = {
      {-5, "0ms"},         {0, "0ms"},          {850, "850ms"},     {999, "999ms"},
      {1000, "1.0s"},      {12345, "12.3s"},    {59949, "59.9s"},   {59950, "1m00s"},
      {245000, "4m05s"},   {3599499, "59m59s"}, {3599500, "1h00m"}, {7800000, "2h10m"},
      {86400000, "1d00h"}, {98000000, "1d03h"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char text[FL_TIME_TEXT_SIZE];
    fl_duration_format(rows[i].ms, text);
    assert_string_equal(text, rows[i].text);
  }
}

static void the_clock_goes_on(void **state) {
  (void)state;
  const fl_clock *clock = fl_clock_system();
  int64_t before = clock->monotonic_ms(clock->ud);
  assert_true(clock->wall_ms(clock->ud) > 1600000000000);
  assert_true(clock->monotonic_ms(clock->ud) >= before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(times_are_written_and_read),
      cmocka_unit_test(every_day_reads_back),
      cmocka_unit_test(forms_of_time_are_taken),
      cmocka_unit_test(durations_are_read),
      cmocka_unit_test(sizes_are_read),
      cmocka_unit_test(durations_are_shown),
      cmocka_unit_test(the_clock_goes_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
