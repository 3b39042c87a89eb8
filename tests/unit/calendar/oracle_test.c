// Another way to say when rules fire: every minute of random weeks is asked for its local time.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "rules.h"

#define WINDOW_MIN (8 * 1440)

static uint64_t seed = 20261201;

static int draw(int n) {
  seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
  return (int)(seed >> 33) % n;
}

// A rule of minutes and hours, as sets, and what it says of days, as text.
typedef struct guess {
  bool minutes[60], hours[24], running;
  int day;                // 0: all; else of the month, of which every third
  int work;               // 0: no calendar, 1: mon-fri
  int off_day, gap, fold; // as in `words`
  char text[300];
} guess;

static const char *const off_days[] = {"skip", "next", "previous"};
static const char *const gaps[] = {"", "run", "skip"};
static const char *const folds[] = {"", "first", "last", "both"};

static void make_guess(guess *g, const char *zone) {
  char minutes[60] = "*", hours[60] = "*", days[12] = "*";
  *g = (guess){.work = draw(3) == 0, .off_day = draw(3), .gap = draw(3), .fold = draw(4)};
  bool any_minute = draw(8) == 0, any_hour = draw(3) == 0;
  g->running = any_minute || any_hour;
  for (int i = 0; i < 60; i++) g->minutes[i] = any_minute;
  for (int i = 0; i < 24; i++) g->hours[i] = any_hour;
  if (!any_minute) {
    int a = draw(60), b = draw(60);
    g->minutes[a] = g->minutes[b] = true;
    sprintf(minutes, "%d,%d", a, b);
  }
  if (!any_hour) {
    int a = draw(4), b = draw(24);
    g->hours[a] = g->hours[b] = true;
    sprintf(hours, "%d,%d", a, b);
  }
  if (draw(2)) {
    g->day = 1 + draw(3);
    sprintf(days, "%d/3", g->day);
  }
  size_t size = (size_t)sprintf(g->text, "cron=%s %s %s * *; tz=%s", minutes, hours, days, zone);
  if (g->work)
    size += (size_t)sprintf(g->text + size, "; calendar.days=mon-fri; off_day=%s",
                            off_days[g->off_day]);
  if (g->gap) size += (size_t)sprintf(g->text + size, "; gap=%s", gaps[g->gap]);
  if (g->fold) sprintf(g->text + size, "; fold=%s", folds[g->fold]);
}

static bool guess_works(const guess *g, int64_t day) {
  return !g->work || fl_weekday_of(day) % 6 != 0;
}

static bool guess_names(const guess *g, int64_t day) {
  int64_t year;
  int month, mday;
  fl_civil_from_days(day, &year, &month, &mday);
  return !g->day || (mday >= g->day && (mday - g->day) % 3 == 0);
}

// Where a named day's fires go; `day` itself, another one, or INT64_MIN.
static int64_t guess_target(const guess *g, int64_t day) {
  if (guess_works(g, day)) return day;
  if (g->off_day == 0) return INT64_MIN;
  int step = g->off_day == 1 ? 1 : -1;
  while (!guess_works(g, day)) day += step;
  return day;
}

static bool guess_fires(const guess *g, int64_t local_min) {
  int64_t day = fl_floor_div(local_min, 1440), minute = local_min - day * 1440;
  if (!g->minutes[minute % 60] || !g->hours[minute / 60]) return false;
  for (int64_t from = day - 4; from <= day + 4; from++)
    if (guess_names(g, from) && guess_target(g, from) == day) return true;
  return false;
}

// Every minute of UTC in the window is asked for its local time; `hits` says which fire.
static void ask_every_minute(const guess *g, const char *zone, int64_t from_min, bool *hits) {
  enum { SPREAD = WINDOW_MIN + 4 * 1440 };
  static int seen[SPREAD]; // by local minute: how often until now
  int gap = g->gap ? g->gap : g->running ? 2 : 1, fold = g->fold ? g->fold : g->running ? 3 : 1;
  int64_t low = from_min - 2 * 1440, before = 0;
  static int at[SPREAD];
  memset(seen, 0, sizeof seen);
  memset(hits, 0, WINDOW_MIN * sizeof *hits);
  for (int i = 0; i < WINDOW_MIN; i++) {
    int64_t local = from_min + i + fl_zone_get_offset(zone, (from_min + i) * 60) / 60;
    if (i > 0 && local > before + 1 && gap == 1)
      for (int64_t missing = before + 1; missing < local; missing++)
        if (guess_fires(g, missing)) hits[i] = true;
    before = local;
    if (!guess_fires(g, local)) continue;
    int *times = &seen[local - low], *first = &at[local - low];
    if (++*times == 1) {
      *first = i;
      hits[i] = true;
    } else if (fold == 2) {
      hits[*first] = false;
      hits[i] = true;
    } else if (fold == 3) {
      hits[i] = true;
    }
  }
}

static void every_minute_of_random_weeks_agrees(void **state) {
  (void)state;
  static const char *const zones[] = {
      "Europe/Berlin",     "America/New_York", "Australia/Lord_Howe", "America/Santiago",
      "Africa/Casablanca", "Pacific/Apia",     "Asia/Tehran",         "Asia/Kolkata",
      "America/St_Johns",  "Antarctica/Troll", "Asia/Gaza",           "Europe/Dublin",
      "America/Nuuk",      "Pacific/Chatham",  "Asia/Shanghai",       "America/Havana",
  };
  static bool hits[WINDOW_MIN];
  for (int round = 0; round < 1500; round++) {
    guess g;
    const char *zone = zones[draw(sizeof zones / sizeof *zones)];
    make_guess(&g, zone);
    fl_rule *rule = rule_of(g.text);
    // Around a change, where there is one.
    fl_zone_span span;
    int64_t middle = instant("2010-01-01T00:00:00Z") + (int64_t)draw(27 * 365) * FL_DAY_S;
    fl_zone_get_span(zone, middle, &span);
    if (span.to < instant("2038-01-01T00:00:00Z")) middle = span.to;
    int64_t from_min = fl_floor_div(middle, 60) - WINDOW_MIN / 2;
    ask_every_minute(&g, zone, from_min, hits);
    // The first and the last days are beside what was asked.
    int low = 2 * 1440, high = WINDOW_MIN - 2 * 1440;
    int64_t at = (from_min + low) * 60, last = INT64_MIN;
    for (int i = low; i < high; i++) {
      fl_fire fire, before;
      if (!hits[i]) continue;
      assert_int_equal(fl_rule_next(rule, at, &fire, NULL), FL_OK);
      if (fire.at_s != (from_min + i) * 60)
        fail_msg("round %d, %s: at %lld, not %lld", round, g.text, (long long)fire.at_s,
                 (long long)(from_min + i) * 60);
      if (last != INT64_MIN && round % 8 == 0) {
        assert_int_equal(fl_rule_find_before(rule, fire.at_s, &before, NULL), FL_OK);
        assert_int_equal(before.at_s, last);
      }
      last = fire.at_s;
      at = fire.at_s + 1;
    }
    fl_fire fire;
    if (fl_rule_next(rule, at, &fire, NULL) == FL_OK)
      assert_true(fire.at_s >= (from_min + high) * 60);
    fl_rule_free(rule);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_minute_of_random_weeks_agrees),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
