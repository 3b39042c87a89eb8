// Time zones: offsets at and around every kind of change, many zones, and files that are replaced.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/zone.h"
#include "folder.h"

static char dir[96];

static void put(unsigned char **at, int64_t n, int size) {
  for (int i = size - 1; i >= 0; i--) *(*at)++ = (unsigned char)(n >> (8 * i));
}

// A TZif file of one zone: `changes` of an instant and an offset each, then `rule`.
static void write_zone(const char *name, int64_t first, const int64_t (*changes)[2], int count,
                       const char *rule) {
  unsigned char data[1024], *at = data;
  char path[200], fresh[210];
  for (int block = 0; block < 2; block++) {
    int times = block ? count : 0;
    memcpy(at, "TZif2", 5), at += 5;
    memset(at, 0, 15), at += 15;
    for (int i = 0; i < 6; i++) put(&at, i == 3 ? times : i == 4 ? times + 1 : i == 5 ? 4 : 0, 4);
    for (int i = 0; i < times; i++) put(&at, changes[i][0], block ? 8 : 4);
    for (int i = 0; i < times; i++) *at++ = (unsigned char)(i + 1);
    for (int i = 0; i <= times; i++) put(&at, i ? changes[i - 1][1] : first, 4), put(&at, 0, 2);
    memcpy(at, "ABC", 4), at += 4;
  }
  at += sprintf((char *)at, "\n%s\n", rule);
  snprintf(path, sizeof path, "%s/%s", dir, name);
  snprintf(fresh, sizeof fresh, "%s.new", path);
  FILE *f = fopen(fresh, "wb");
  assert_int_equal(fwrite(data, 1, (size_t)(at - data), f), at - data);
  fclose(f);
  assert_int_equal(rename(fresh, path), 0);
}

static int setup(void **state) {
  (void)state;
  if (!make_test_folder("zone", dir, sizeof dir)) return -1;
  setenv("TZDIR", dir, 1);
  return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static int teardown(void **state) {
  (void)state;
  return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void each_kind_of_change_is_met_to_the_second(void **state) {
  (void)state;
  const int64_t changes[][2] = {{-1000, 1800}, {0, 3600}, {1000000, 7200}};
  static const struct {
    int64_t at;
    int32_t offset;
  } rows[] = {
      {-1001, 600},       {-1000, 1800},      {-1, 1800}, {0, 3600},
      {999999, 3600},     {1774745999, 3600}, // 2026-03-29T00:59:59Z, by the rule
      {1774746000, 7200}, {1792889999, 7200}, // until 2026-10-25T01:00Z
      {1792890000, 3600}, {4102444800, 3600}, // 2100-01-01
  };
  write_zone("Rules", 600, changes, 3, "CET-1CEST,M3.5.0,M10.5.0/3");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (fl_zone_get_offset("Rules", rows[i].at) != rows[i].offset)
      fail_msg("row %zu: %d", i, fl_zone_get_offset("Rules", rows[i].at));
}

static void a_rule_of_the_south_spans_the_new_year(void **state) {
  (void)state;
  write_zone("South", 36000, NULL, 0, "AEST-10AEDT,M10.1.0,M4.1.0/3");
  assert_int_equal(fl_zone_get_offset("South", 1767225600), 39600); // 2026-01-01
  assert_int_equal(fl_zone_get_offset("South", 1782864000), 36000); // 2026-07-01
}

static void hundreds_of_zones_are_known_at_once(void **state) {
  (void)state;
  enum { COUNT = 300 };
  char name[32];
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i < COUNT; i++) {
      int n = i * 77 % COUNT;
      snprintf(name, sizeof name, "Zone%d", n);
      if (!pass) write_zone(name, n * 60, NULL, 0, "");
      assert_true(fl_zone_is_known(name));
      assert_int_equal(fl_zone_get_offset(name, 1700000000), n * 60);
    }
}

static void a_zone_whose_file_is_replaced_is_read_anew(void **state) {
  (void)state;
  write_zone("Moves", 3600, NULL, 0, "");
  assert_int_equal(fl_zone_get_offset("Moves", 0), 3600);
  write_zone("Moves", 7200, NULL, 0, "");
  fl_zone_look_again();
  assert_int_equal(fl_zone_get_offset("Moves", 0), 7200);
  // One that is gone, or is no zone any more, is what it was.
  char path[200];
  snprintf(path, sizeof path, "%s/Moves", dir);
  FILE *f = fopen(path, "w");
  fputs("no zone", f);
  fclose(f);
  fl_zone_look_again();
  assert_int_equal(fl_zone_get_offset("Moves", 0), 7200);
  remove(path);
  fl_zone_look_again();
  assert_int_equal(fl_zone_get_offset("Moves", 0), 7200);
}

static void what_is_no_zone_is_not_known(void **state) {
  (void)state;
  static const char *const names[] = {"Nowhere", "../etc/passwd", "/etc/localtime", "a b", "."};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    assert_false(fl_zone_is_known(names[i]));
  assert_true(fl_zone_is_known("UTC"));
  assert_true(fl_zone_is_known(""));
  assert_int_equal(fl_zone_get_offset("Nowhere", 5), 0);
}

static void a_date_is_that_of_the_zone(void **state) {
  (void)state;
  char text[FL_TIME_TEXT_SIZE];
  write_zone("East", 14 * 3600, NULL, 0, "");
  write_zone("West", -11 * 3600, NULL, 0, "");
  fl_zone_date(INT64_C(1767225600000) - 1, NULL, text); // a millisecond before 2026
  assert_string_equal(text, "2025-12-31");
  fl_zone_date(INT64_C(1767225600000) - 1, "East", text);
  assert_string_equal(text, "2026-01-01");
  fl_zone_date(INT64_C(1767225600000), "West", text);
  assert_string_equal(text, "2025-12-31");
}

// Against the offsets of each second: what a span says holds in it, and changes at its end.
static void a_span_ends_where_the_offset_changes(void **state) {
  (void)state;
  const int64_t changes[][2] = {{-1000, 1800}, {0, 3600}, {1000000, 7200}};
  static const char *const rules[] = {"CET-1CEST,M3.5.0,M10.5.0/3", "AEST-10AEDT,M10.1.0,M4.1.0/3",
                                      "IST-1GMT0,M10.5.0,M3.5.0/1",
                                      "<-02>2<-01>,M3.5.0/-1,M10.5.0/0"};
  char name[32];
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    snprintf(name, sizeof name, "Span%zu", i);
    write_zone(name, 600, changes, 3, rules[i]);
    fl_zone_span span;
    int count = 0;
    for (int64_t at = -100000; at < INT64_C(1900000000); at = span.to, count++) {
      fl_zone_get_span(name, at, &span);
      assert_true(span.from <= at && at < span.to);
      assert_int_equal(fl_zone_get_offset(name, at), span.offset);
      assert_int_equal(fl_zone_get_offset(name, span.to - 1), span.offset);
      if (count > 0) assert_int_equal(span.from, at);
      if (count > 3) assert_int_not_equal(fl_zone_get_offset(name, span.to), span.offset);
    }
    assert_in_range(count, 115, 125); // two a year, from 1970 to 2030
  }
}

static void a_local_time_is_found_once_twice_or_not_at_all(void **state) {
  (void)state;
  static const struct {
    int64_t local; // seconds since 1970-01-01 00:00 there
    int count;
    int64_t at[2];
  } rows[] = {
      {1774749599, 1, {1774745999}},             // 2026-03-29 01:59:59
      {1774749600, 0, {1774746000}},             // 02:00, which does not exist
      {1774753199, 0, {1774746000}},             // 02:59:59
      {1774753200, 1, {1774746000}},             // 03:00
      {1792893599, 1, {1792886399}},             // 2026-10-25 01:59:59
      {1792893600, 2, {1792886400, 1792890000}}, // 02:00
      {1792897199, 2, {1792889999, 1792893599}}, // 02:59:59
      {1792897200, 1, {1792893600}},             // 03:00
  };
  write_zone("Find", 3600, NULL, 0, "CET-1CEST,M3.5.0,M10.5.0/3");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int64_t at[2] = {0};
    if (fl_zone_find("Find", rows[i].local, at) != rows[i].count || at[0] != rows[i].at[0] ||
        at[1] != rows[i].at[1])
      fail_msg("row %zu: %d, %lld, %lld", i, fl_zone_find("Find", rows[i].local, at),
               (long long)at[0], (long long)at[1]);
  }
  // A day that a place left out when it changed sides of the date line.
  const int64_t skip[][2] = {{1325239200, 50400}};
  int64_t at[2];
  write_zone("Samoa", -36000, skip, 1, "");
  assert_int_equal(fl_zone_find("Samoa", 1325239200 - 36000, at), 0);
  assert_int_equal(at[0], 1325239200);
  assert_int_equal(fl_zone_find("Samoa", 1325239200 + 50400, at), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_kind_of_change_is_met_to_the_second),
      cmocka_unit_test(a_rule_of_the_south_spans_the_new_year),
      cmocka_unit_test(hundreds_of_zones_are_known_at_once),
      cmocka_unit_test(a_zone_whose_file_is_replaced_is_read_anew),
      cmocka_unit_test(what_is_no_zone_is_not_known),
      cmocka_unit_test(a_date_is_that_of_the_zone),
      cmocka_unit_test(a_span_ends_where_the_offset_changes),
      cmocka_unit_test(a_local_time_is_found_once_twice_or_not_at_all),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
