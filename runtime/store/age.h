// How long ago something was, whatever the clock has said meanwhile.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define FL_AGE_SPANS_MAX 32
#define FL_AGE_BOOT_SIZE 40
#define FL_AGE_TEXT_SIZE 4096
#define FL_AGE_OFF_MAX   (7 * INT64_C(86400000)) // ms between two boots that the clock is believed
#define FL_AGE_DRIFT_MAX (5 * INT64_C(60000))    // ms that a clock is set by without a notice

/// A time in which the clock went on without a jump.
typedef struct fl_age_span {
  int64_t from_ms, to_ms; // by the clock
  int64_t began_ms;       // time that had passed before it
} fl_age_span;

/// What is known of the time that has passed. Zero: nothing.
typedef struct fl_ages {
  char boot[FL_AGE_BOOT_SIZE]; // of the last look
  int64_t up_ms, wall_ms;      // then: since that boot, by the clock
  int64_t passed_ms;           // since the first look
  bool forgot;                 // spans that were older than these
  int count;
  fl_age_span spans[FL_AGE_SPANS_MAX]; // in the order of time
} fl_ages;

/// Looks at the clocks. Within a boot what has passed is what the machine measured; between two it
/// is what the clock says, up to a week. True: something is to be kept that was not known.
bool fl_ages_look(fl_ages *a, const char *boot, int64_t up_ms, int64_t wall_ms);
/// How long before the last look the clock said `wall_ms`: at least so long ago, as far as it is
/// known; never negative.
int64_t fl_ages_of(const fl_ages *a, int64_t wall_ms);
/// As one line, and back; what is no such line is as if nothing was known.
void fl_ages_write(const fl_ages *a, char out[FL_AGE_TEXT_SIZE]);
void fl_ages_read(fl_ages *a, const char *text);
