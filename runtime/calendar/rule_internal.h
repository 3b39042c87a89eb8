// What a rule is made of.
#pragma once
#include "base/buf.h"
#include "calendar/cron.h"
#include "calendar/rule.h"

#define FL_RULE_YEARS_DAYS 18263 // 50 years
#define FL_SHIFT_DAYS_MAX  60    // how far a fire is moved, and a calendar may rest

typedef enum {
  FL_UNIT_CRON,
  FL_UNIT_MINUTE,
  FL_UNIT_HOUR,
  FL_UNIT_DAY,
  FL_UNIT_WEEK,
  FL_UNIT_MONTH
} fl_rule_unit;
typedef enum { FL_OFF_SKIP, FL_OFF_NEXT, FL_OFF_PREVIOUS } fl_off_day;
typedef enum { FL_GAP_UNSET, FL_GAP_RUN, FL_GAP_SKIP } fl_gap;
typedef enum { FL_FOLD_UNSET, FL_FOLD_FIRST, FL_FOLD_LAST, FL_FOLD_BOTH } fl_fold;

// Ascending, each once.
typedef struct fl_number_set {
  int64_t *at;
  size_t count, capacity;
} fl_number_set;

// An effective day or instant.
typedef struct fl_rule_bound {
  bool is_set, is_day;
  int64_t value; // days of the zone, or seconds since 1970
} fl_rule_bound;

struct fl_rule {
  char *text; // as people write it
  char *zone; // NULL: UTC
  fl_rule_unit unit;
  bool has_unit, has_cron;
  fl_cron cron;
  int64_t every;
  fl_number_set at;     // seconds of a day
  uint32_t on_weekdays; // Sunday is 0
  uint32_t on_days;     // 1 to 31
  bool on_last;
  fl_rule_bound from, to;
  int64_t from_s, to_s; // both effective
  int64_t anchor_day;   // days of the zone
  int64_t anchor_s;     // of minute and hour
  bool has_calendar;
  uint32_t work_weekdays;
  fl_number_set off, on; // days
  fl_works_fn *works;
  void *works_ud;
  fl_off_day off_day;
  fl_gap gap;
  fl_fold fold;
  bool interval_after;
  int64_t jitter_ms;
};
