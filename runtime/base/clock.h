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
  int64_t (*up_ms)(void *ud); // since the boot, suspended or not; NULL: as monotonic_ms
} fl_clock;

/// The system's clock.
const fl_clock *fl_clock_system(void);
int64_t fl_wall_ms(void);
int64_t fl_monotonic_ms(void);
int64_t fl_monotonic_us(void);
#define FL_BOOT_ID_SIZE 40
/// The kernel's id of this boot, "" when it cannot be read.
void fl_boot_id(char out[FL_BOOT_ID_SIZE]);

#define FL_TIME_TEXT_SIZE 32
/// "2026-01-31T23:59:59.123Z"
void fl_time_format(int64_t wall_ms, char out[FL_TIME_TEXT_SIZE]);
// fl_time_parse(), fl_duration_parse(), fl_duration_format(), fl_size_parse(): flowlua.h
