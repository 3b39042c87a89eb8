// A cron expression: which days it names, and which times of a day. Of no zone.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

/// What was parsed, as sets of bits. Bit n of a set is the number n.
typedef struct fl_cron {
  uint64_t seconds, minutes;
  uint32_t hours;
  uint32_t months;           // 1 to 12
  uint32_t days;             // 1 to 31
  uint32_t days_before_last; // L: 0, L-3: 3
  uint32_t days_nearest;     // 15W: 15
  uint32_t last_weekday;     // LW: bit 0
  uint32_t weekdays;         // Sunday is 0
  uint32_t weekdays_last;    // 5L: 5
  uint32_t weekdays_nth[6];  // 1#2: bit 1 of [2]
  bool any_day, any_weekday; // the field is * or ?
  bool running;              // its second, minute or hour goes on with the clock: * or ? is in it
} fl_cron;

/// Parses 5 fields (minute, hour, day of month, month, day of week), 6 with seconds first, or
/// "@daily" and its like; CONTRACT: flow.cron. FL_E_USAGE says which field is wrong, what was
/// expected and what was got.
FL_MUST fl_code fl_cron_parse(const char *text, fl_cron *out, fl_error *err);
/// Whether a day of the calendar (days since 1970-01-01) is one that it names.
bool fl_cron_names_day(const fl_cron *cron, int64_t day);
/// The first second of a day at or after `second` (0 to 86399) that it names; -1: none is left.
int32_t fl_cron_next_second(const fl_cron *cron, int32_t second);
