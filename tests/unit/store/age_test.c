// How old a run is when the clock was wrong at its end, or is wrong now.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "store/age.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define YEAR   (365 * DAY)
#define NOW    (56 * YEAR) // by a clock that is right

/// What the clocks say, one look after the other; `boot` NULL: no more.
typedef struct look {
  const char *boot;
  int64_t up_ms, wall_ms;
} look;

static fl_ages after(const look *looks) {
  fl_ages a = {0};
  char text[FL_AGE_TEXT_SIZE];
  for (; looks->boot; looks++) {
    fl_ages_look(&a, looks->boot, looks->up_ms, looks->wall_ms);
    fl_ages_write(&a, text); // as a store keeps it
    fl_ages_read(&a, text);
  }
  return a;
}

static void an_age_is_what_has_passed(void **state) {
  (void)state;
  static const struct {
    const char *what;
    look looks[8];
    int64_t ended_ms, age_ms;
  } rows[] = {
      {"nobody looked before", {{"a", 5, NOW}}, NOW - 40 * DAY, 40 * DAY},
      {"a clock that is right", {{"a", 5, NOW - DAY}, {"a", 5 + DAY, NOW}}, NOW - HOUR, HOUR},
      {"before the first look",
       {{"a", 5, NOW - DAY}, {"a", 5 + DAY, NOW}},
       NOW - 40 * DAY,
       40 * DAY},
      {"from 1970 to now, ended before", {{"a", 30000, 30000}, {"a", 90000, NOW}}, 60000, 30000},
      {"from 1970 to now, ended after",
       {{"a", 30000, 30000}, {"a", 90000, NOW}, {"a", 90000 + HOUR, NOW + HOUR}},
       NOW,
       HOUR},
      {"from 1970 to now, ended years ago, before anybody looked: at least so long",
       {{"a", 30000, 30000}, {"a", 90000, NOW}, {"a", 90000 + DAY, NOW + DAY}},
       NOW - 2 * YEAR,
       DAY},
      {"ten years ahead", {{"a", 5, NOW}, {"a", 5 + HOUR, NOW + 10 * YEAR}}, NOW, HOUR},
      {"ten years ahead, ended before the first look",
       {{"a", 5, NOW}, {"a", 5 + HOUR, NOW + 10 * YEAR}},
       NOW - DAY,
       DAY + HOUR},
      {"ten years ahead, and ended there",
       {{"a", 5, NOW},
        {"a", 5 + HOUR, NOW + 10 * YEAR},
        {"a", 5 + DAY, NOW + 10 * YEAR + 23 * HOUR}},
       NOW + 10 * YEAR + HOUR,
       22 * HOUR},
      {"ahead and back",
       {{"a", 0, NOW}, {"a", HOUR, NOW + 10 * YEAR}, {"a", 2 * HOUR, NOW + 2 * HOUR}},
       NOW + 10 * YEAR,
       HOUR},
      {"a day back",
       {{"a", 0, NOW}, {"a", 2 * DAY, NOW + DAY}},
       NOW + DAY + HOUR,
       DAY - HOUR}, // ended before it was set back
      {"off for three days", {{"a", 99, NOW}, {"b", 5, NOW + 3 * DAY}}, NOW, 3 * DAY},
      {"off, as the clock says, for ten years: believed up to a week",
       {{"a", 99, NOW}, {"b", 5, NOW + 10 * YEAR}},
       NOW,
       FL_AGE_OFF_MAX},
      {"up again in 1970", {{"a", 99, NOW}, {"b", 5, 5}, {"b", 5 + DAY, 5 + DAY}}, NOW, DAY},
      {"drifts and small corrections are the clock's",
       {{"a", 0, NOW}, {"a", DAY, NOW + DAY + 2 * MINUTE}},
       NOW,
       DAY},
      {"the future is not old", {{"a", 0, NOW}, {"a", DAY, NOW + DAY}}, NOW + YEAR, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fl_ages a = after(rows[i].looks);
    int64_t age = fl_ages_of(&a, rows[i].ended_ms);
    int64_t off = age - rows[i].age_ms;
    // A drift that is believed may stay in it.
    if (off > FL_AGE_DRIFT_MAX || off < -FL_AGE_DRIFT_MAX)
      fail_msg("%s: %lld h, not %lld h", rows[i].what, (long long)(age / HOUR),
               (long long)(rows[i].age_ms / HOUR));
  }
}

static void what_is_forgotten_of_many_jumps_makes_nothing_old(void **state) {
  (void)state;
  fl_ages a = {0};
  char text[FL_AGE_TEXT_SIZE];
  // A machine whose clock is dead at each boot, and is set a minute later.
  for (int day = 0; day < 200; day++) {
    char boot[16];
    snprintf(boot, sizeof boot, "boot-%d", day);
    fl_ages_look(&a, boot, 30000, 30000);
    fl_ages_look(&a, boot, 90000, NOW + day * DAY);
    fl_ages_look(&a, boot, 90000 + 8 * HOUR, NOW + day * DAY + 8 * HOUR);
    fl_ages_write(&a, text);
    fl_ages_read(&a, text);
  }
  assert_true(a.count > FL_AGE_SPANS_MAX / 4 && a.count <= FL_AGE_SPANS_MAX && !a.forgot);
  assert_true(fl_ages_of(&a, 40000) < 9 * HOUR); // ended before the clock was set, today perhaps
  assert_true(fl_ages_of(&a, NOW + 199 * DAY) <= 8 * HOUR);
  // Each day as old as the hours that the machine was up since, to a tenth or two.
  for (int day = 0; day < 200; day++) {
    int64_t age = fl_ages_of(&a, NOW + day * DAY + HOUR), since = (200 - day) * (8 * HOUR + MINUTE);
    if (age > since || age < since / 3) fail_msg("day %d: %lld h", day, (long long)(age / HOUR));
  }
  // Nobody knows when that was.
  assert_true(fl_ages_of(&a, NOW - YEAR) < 9 * HOUR);
}

static void what_is_no_text_of_ours_is_nothing(void **state) {
  (void)state;
  static const char *const texts[] = {
      "", "x", "a 1 2 3", "a 1 2 3 0", "a 1 2 3 0 4 5", "a 1 2 3 0 4 5 6 x", "a b c d e f g h"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    fl_ages a;
    fl_ages_read(&a, texts[i]);
    assert_int_equal(a.count, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_age_is_what_has_passed),
      cmocka_unit_test(what_is_forgotten_of_many_jumps_makes_nothing_old),
      cmocka_unit_test(what_is_no_text_of_ours_is_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
