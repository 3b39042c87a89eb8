// The clock the engine is handed, and times as text.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

/// Two readings of time. Tests and simulators fill in their own.
typedef struct fl_clock {
  int64_t (*wall_ms)(void *ud);      // milliseconds since 1970, may jump
  int64_t (*monotonic_ms)(void *ud); // never goes back; for durations
  void *ud;
} fl_clock;

/// The system's clock.
const fl_clock *fl_clock_system(void);
int64_t fl_wall_ms(void);
int64_t fl_monotonic_ms(void);
int64_t fl_monotonic_us(void);

#define FL_TIME_TEXT_SIZE 32
/// "2026-01-31T23:59:59.123Z"
void fl_time_format(int64_t wall_ms, char out[FL_TIME_TEXT_SIZE]);
/// RFC 3339 with or without fraction; `YYYY-MM-DD` and `YYYY-MM-DDTHH:MM[:SS]` are taken as UTC.
FL_MUST bool fl_time_parse(const char *text, int64_t *wall_ms);
/// "500ms" "10s" "5m" "2h" "1d" or a number of seconds, as milliseconds.
FL_MUST bool fl_duration_parse(const char *text, int64_t *ms);
/// "64K" "1M" "2G" or a number of bytes.
FL_MUST bool fl_size_parse(const char *text, int64_t *bytes);
/// "850ms" "12.3s" "4m05s" "2h10m": for people.
void fl_duration_format(int64_t ms, char out[FL_TIME_TEXT_SIZE]);
