// The arithmetic of H. Hinnant's "chrono-compatible low-level date algorithms": years begin in
// March, so that the leap day is the last of its year, and 400 of them repeat.
#include "base/civil.h"
#include <stdbool.h>

int64_t fl_floor_div(int64_t a, int64_t b) {
  return a / b - (a % b < 0);
}

int64_t fl_floor_mod(int64_t a, int64_t b) {
  int64_t rest = a % b;
  return rest < 0 ? rest + b : rest;
}

int64_t fl_days_from_civil(int64_t year, int month, int day) {
  year -= month <= 2;
  int64_t era = fl_floor_div(year, 400);
  int64_t yoe = year - era * 400, doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void fl_civil_from_days(int64_t days, int64_t *year, int *month, int *day) {
  days += 719468;
  int64_t era = fl_floor_div(days, 146097);
  int64_t doe = days - era * 146097;
  int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
  *day = (int)(doy - (153 * mp + 2) / 5 + 1);
  *month = (int)(mp < 10 ? mp + 3 : mp - 9);
  *year = yoe + era * 400 + (*month <= 2);
}

int fl_days_of_month(int64_t year, int month) {
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 ? 28 + leap : 30 + ((month + (month > 7)) & 1);
}

int fl_weekday_of(int64_t days) {
  return (int)fl_floor_mod(days + 4, 7); // 1970-01-01 was a Thursday
}
