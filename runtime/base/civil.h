// Days of the Gregorian calendar as numbers, without a time zone.
#pragma once
#include <stdint.h>

#define FL_DAY_S 86400

/// Days since 1970-01-01; `month` 1 to 12, `day` 1 to 31.
int64_t fl_days_from_civil(int64_t year, int month, int day);
/// The way back. `*month` 1 to 12, `*day` 1 to 31.
void fl_civil_from_days(int64_t days, int64_t *year, int *month, int *day);
/// 28 to 31.
int fl_days_of_month(int64_t year, int month);
/// 0 is Sunday, 6 Saturday.
int fl_weekday_of(int64_t days);
/// `a` / `b` rounded down; `b` > 0.
int64_t fl_floor_div(int64_t a, int64_t b);
/// What is left then: 0 to `b` - 1.
int64_t fl_floor_mod(int64_t a, int64_t b);
