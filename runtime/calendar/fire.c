// When a rule fires.
//
// Local times are looked for in the calendar alone; instants are what becomes of them in the spans
// of a zone, between two changes of its clocks: there local time and UTC run alongside each other.
// Minutes and hours of fl_every count in real time and ask the zone for their days only.
#include "base/civil.h"
#include "base/digest.h"
#include "calendar/rule_internal.h"
#include <string.h>

// A local time at which a rule fires.
typedef struct local_fire {
  int64_t at_s;
  int64_t named_day; // the day that was named; another one than that of `at_s` when it was shifted
} local_fire;

static int64_t day_of(int64_t local_s) {
  return fl_floor_div(local_s, FL_DAY_S);
}

static bool set_has(const fl_number_set *set, int64_t n) {
  size_t low = 0, high = set->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (set->at[middle] == n) return true;
    if (set->at[middle] < n)
      low = middle + 1;
    else
      high = middle;
  }
  return false;
}

// ------------------------------------------------------------------------------------- days

static fl_code works(const fl_rule *r, int64_t day, bool *out, fl_error *err) {
  *out = true;
  if (r->works) {
    int n = r->works(r->works_ud, day, err);
    *out = n > 0;
    return n < 0 ? FL_E_SCRIPT : FL_OK;
  }
  if (!r->has_calendar || set_has(&r->on, day)) return FL_OK;
  *out = r->work_weekdays >> fl_weekday_of(day) & 1 && !set_has(&r->off, day);
  return FL_OK;
}

static bool has_calendar(const fl_rule *r) {
  return r->has_calendar || r->works;
}

static bool names_month_day(const fl_rule *r, int64_t day) {
  int64_t year, anchor_year;
  int month, mday, anchor_month;
  fl_civil_from_days(day, &year, &month, &mday);
  fl_civil_from_days(r->anchor_day, &anchor_year, &anchor_month, &(int){0});
  if (fl_floor_mod((year - anchor_year) * 12 + month - anchor_month, r->every) != 0) return false;
  int last = fl_days_of_month(year, month);
  if (r->on_days >> mday & 1) return true;
  return mday == last &&
         (r->on_last || r->on_days >> mday > 1); // what this month lacks is its last
}

// Minutes and hours name every day.
static bool names_day(const fl_rule *r, int64_t day) {
  switch (r->unit) {
  case FL_UNIT_CRON: return fl_cron_names_day(&r->cron, day);
  case FL_UNIT_DAY: return fl_floor_mod(day - r->anchor_day, r->every) == 0;
  case FL_UNIT_WEEK: // from Monday: 1970-01-01 was the fourth day of its week
    return r->on_weekdays >> fl_weekday_of(day) & 1 &&
           fl_floor_mod(fl_floor_div(day + 3, 7) - fl_floor_div(r->anchor_day + 3, 7), r->every) ==
               0;
  case FL_UNIT_MONTH: return names_month_day(r, day);
  default: return true;
  }
}

// The nearest day before (`step` -1) or behind `day`, without a working day in between, that
// `is_named`; a fire of it is moved to `day`. False: there is none.
static fl_code find_shifted(const fl_rule *r, int64_t day, int step, int64_t *from, bool *found,
                            fl_error *err) {
  *found = false;
  for (int i = 1; i <= FL_SHIFT_DAYS_MAX; i++) {
    bool open;
    *from = day + (int64_t)i * step;
    fl_code code = works(r, *from, &open, err);
    if (code != FL_OK || open) return code;
    *found = names_day(r, *from);
    if (*found) return FL_OK;
  }
  return FL_OK;
}

// Whether there are fires on a day, and of which named day they are.
static fl_code fires_on(const fl_rule *r, int64_t day, int64_t *named, bool *out, fl_error *err) {
  bool is_named = names_day(r, day), open = true;
  *named = day;
  *out = is_named;
  if (!has_calendar(r) || (!is_named && r->off_day == FL_OFF_SKIP)) return FL_OK;
  fl_code code = works(r, day, &open, err);
  if (code != FL_OK) return code;
  *out = is_named && open;
  if (is_named || !open || r->off_day == FL_OFF_SKIP) return FL_OK;
  return find_shifted(r, day, r->off_day == FL_OFF_NEXT ? -1 : 1, named, out, err);
}

// ------------------------------------------------------------------------------------- local times

// The first second of a day, from `second` on; -1: none.
static int32_t next_second(const fl_rule *r, int32_t second) {
  if (r->unit == FL_UNIT_CRON) return fl_cron_next_second(&r->cron, second);
  for (size_t i = 0; i < r->at.count; i++)
    if (r->at.at[i] >= second) return (int32_t)r->at.at[i];
  return -1;
}

// A month that the expression leaves out is passed at once, where nothing is moved into it.
static int64_t skip_month(const fl_rule *r, int64_t day) {
  int64_t year;
  int month, mday;
  if (r->unit != FL_UNIT_CRON || (has_calendar(r) && r->off_day != FL_OFF_SKIP)) return day;
  fl_civil_from_days(day, &year, &month, &mday);
  if (r->cron.months >> month & 1) return day;
  return day + fl_days_of_month(year, month) - mday + 1;
}

// The first local time from `local_s` on, up to the day `last_day`. FL_E_NOT_FOUND.
static fl_code next_local(const fl_rule *r, int64_t local_s, int64_t last_day, local_fire *out,
                          fl_error *err) {
  int64_t day = day_of(local_s), next;
  int32_t second = (int32_t)(local_s - day * FL_DAY_S);
  for (; day <= last_day; day = next, second = 0) {
    next = skip_month(r, day);
    if (next != day) continue;
    next = day + 1;
    int32_t at = next_second(r, second);
    bool fires = false;
    if (at < 0) continue;
    fl_code code = fires_on(r, day, &out->named_day, &fires, err);
    if (code != FL_OK) return code;
    if (!fires) continue;
    out->at_s = day * FL_DAY_S + at;
    return FL_OK;
  }
  return FL_E_NOT_FOUND;
}

// ------------------------------------------------------------------------------------- instants

static bool runs_in_gap(const fl_rule *r) {
  return r->gap ? r->gap == FL_GAP_RUN : !(r->unit == FL_UNIT_CRON && r->cron.running);
}

static fl_fold fold_of(const fl_rule *r) {
  if (r->fold) return r->fold;
  return r->unit == FL_UNIT_CRON && r->cron.running ? FL_FOLD_BOTH : FL_FOLD_FIRST;
}

static void set_fire(fl_fire *out, int64_t at_s, const local_fire *local, fl_fire_note note) {
  bool shifted = local->named_day != day_of(local->at_s);
  *out = (fl_fire){
      .at_s = at_s,
      .named_s = local->named_day * FL_DAY_S + fl_floor_mod(local->at_s, FL_DAY_S),
      .note = note == FL_FIRE_PLAIN && shifted ? FL_FIRE_SHIFTED : note,
  };
}

// What is to be known of one span: itself, and the offsets beside it.
typedef struct span_view {
  fl_zone_span now;
  int32_t before, behind;
} span_view;

static void view_span(const fl_rule *r, int64_t utc_s, span_view *v) {
  fl_zone_span beside;
  fl_zone_get_span(r->zone, utc_s, &v->now);
  v->before = v->behind = v->now.offset;
  if (v->now.from != INT64_MIN) {
    fl_zone_get_span(r->zone, v->now.from - 1, &beside);
    v->before = beside.offset;
  }
  if (v->now.to != INT64_MAX) {
    fl_zone_get_span(r->zone, v->now.to, &beside);
    v->behind = beside.offset;
  }
}

// The fire at the beginning of a span for the local times that do not exist before it.
static fl_code find_in_gap(const fl_rule *r, const span_view *v, local_fire *local, bool *found,
                           fl_error *err) {
  int64_t gap = v->now.from + v->before, end = v->now.from + v->now.offset;
  *found = false;
  if (gap >= end || !runs_in_gap(r)) return FL_OK;
  fl_code code = next_local(r, gap, day_of(end), local, err);
  *found = code == FL_OK && local->at_s < end;
  return code == FL_E_NOT_FOUND ? FL_OK : code;
}

// By local times: cron, days, weeks and months.
static fl_code next_by_local(const fl_rule *r, int64_t from_s, fl_fire *out, fl_error *err) {
  span_view v;
  local_fire local = {.at_s = INT64_MIN}, gap;
  view_span(r, from_s, &v);
  int64_t last_day = day_of(from_s + v.now.offset) + FL_RULE_YEARS_DAYS;
  for (int64_t at_s = from_s;;) {
    bool in_gap = false;
    fl_code code = at_s == v.now.from ? find_in_gap(r, &v, &gap, &in_gap, err) : FL_OK;
    if (code == FL_OK && local.at_s < at_s + v.now.offset)
      code = next_local(r, at_s + v.now.offset, last_day, &local, err);
    if (code == FL_E_NOT_FOUND && !in_gap) return code;
    if (code != FL_OK && code != FL_E_NOT_FOUND) return code;
    // One that stands at the end of the gap itself is not a moved one.
    if (in_gap && (code != FL_OK || local.at_s != at_s + v.now.offset))
      return set_fire(out, at_s, &gap, FL_FIRE_GAP), FL_OK;
    int64_t utc_s = local.at_s - v.now.offset;
    if (utc_s >= v.now.to) {
      at_s = v.now.to;
      view_span(r, at_s, &v);
      if (v.before > v.now.offset) local.at_s = INT64_MIN; // some local times come once more
      continue;
    }
    // What clocks show a second time, and what they will.
    int64_t second_to = v.now.from + (v.before > v.now.offset ? v.before - v.now.offset : 0);
    int64_t first_from = v.now.to - (v.now.offset > v.behind ? v.now.offset - v.behind : 0);
    bool is_second = v.now.from != INT64_MIN && utc_s < second_to, is_first = utc_s >= first_from;
    if (is_second && fold_of(r) == FL_FOLD_FIRST)
      at_s = second_to;
    else if (is_first && fold_of(r) == FL_FOLD_LAST)
      at_s = v.now.to;
    else
      return set_fire(out, utc_s, &local, is_first || is_second ? FL_FIRE_FOLD : FL_FIRE_PLAIN),
             FL_OK;
    if (at_s >= v.now.to) {
      view_span(r, at_s, &v);
      local.at_s = INT64_MIN;
    }
  }
}

static int64_t local_day(const fl_rule *r, int64_t at_s) {
  return day_of(at_s + fl_zone_get_offset(r->zone, at_s));
}

static int64_t day_begins(const fl_rule *r, int64_t day) {
  int64_t at[2];
  fl_zone_find(r->zone, day * FL_DAY_S, at);
  return at[0];
}

static int64_t period_s(const fl_rule *r) {
  return r->every * (r->unit == FL_UNIT_HOUR ? 3600 : 60);
}

// The first of the counted instants from `at_s` on.
static int64_t next_counted(const fl_rule *r, int64_t at_s) {
  return at_s + fl_floor_mod(r->anchor_s - at_s, period_s(r));
}

// The first fire from `from_s` on that was moved from `named_day` to `day`. False: none.
static bool find_moved(const fl_rule *r, int64_t named_day, int64_t day, int64_t from_s,
                       fl_fire *out) {
  int64_t end = day_begins(r, named_day + 1), at[2];
  bool found = false;
  for (int64_t s = next_counted(r, day_begins(r, named_day)); s < end; s += period_s(r)) {
    int64_t named_s = s + fl_zone_get_offset(r->zone, s);
    fl_zone_find(r->zone, named_s + (day - named_day) * FL_DAY_S, at);
    if (at[0] < from_s || (found && at[0] >= out->at_s)) continue;
    *out = (fl_fire){.at_s = at[0], .named_s = named_s, .note = FL_FIRE_SHIFTED};
    found = true;
  }
  return found;
}

// What was moved to the days from that of `from_s` to that of `*out`, when it comes before that.
static fl_code add_moved(const fl_rule *r, int64_t from_s, int64_t last_day, fl_fire *out,
                         bool *found, fl_error *err) {
  int step = r->off_day == FL_OFF_NEXT ? -1 : 1;
  for (int64_t day = local_day(r, from_s); day <= last_day; day++) {
    bool open = true;
    fl_code code = works(r, day, &open, err);
    for (int i = 1; code == FL_OK && open && i <= FL_SHIFT_DAYS_MAX; i++) {
      bool beside_works;
      fl_fire moved;
      code = works(r, day + (int64_t)i * step, &beside_works, err);
      if (code != FL_OK || beside_works) break;
      if (find_moved(r, day + (int64_t)i * step, day, from_s, &moved) &&
          (!*found || moved.at_s < out->at_s)) {
        *out = moved;
        *found = true;
      }
    }
    if (code != FL_OK) return code;
    if (*found && out->at_s < day_begins(r, day + 1)) return FL_OK;
  }
  return FL_OK;
}

// By real time: minutes and hours.
static fl_code next_by_count(const fl_rule *r, int64_t from_s, fl_fire *out, fl_error *err) {
  int64_t at_s = next_counted(r, from_s), day = local_day(r, at_s);
  int64_t last_day = local_day(r, from_s) + FL_RULE_YEARS_DAYS;
  bool found = false, open = true;
  while (!found && day <= last_day) {
    fl_code code = works(r, day, &open, err);
    if (code != FL_OK) return code;
    found = open;
    if (found) break;
    at_s = next_counted(r, day_begins(r, day + 1));
    day = local_day(r, at_s);
  }
  if (found) *out = (fl_fire){.at_s = at_s, .named_s = at_s + fl_zone_get_offset(r->zone, at_s)};
  if (!has_calendar(r) || r->off_day == FL_OFF_SKIP) return found ? FL_OK : FL_E_NOT_FOUND;
  fl_code code = add_moved(r, from_s, found ? day : last_day, out, &found, err);
  if (code != FL_OK) return code;
  return found ? FL_OK : FL_E_NOT_FOUND;
}

// ------------------------------------------------------------------------------------- what is
// asked

// Whether or not it is effective.
static fl_code find_next(const fl_rule *r, int64_t from_s, fl_fire *out, fl_error *err) {
  bool by_count = r->unit == FL_UNIT_MINUTE || r->unit == FL_UNIT_HOUR;
  return by_count ? next_by_count(r, from_s, out, err) : next_by_local(r, from_s, out, err);
}

fl_code fl_rule_next(const fl_rule *r, int64_t from_s, fl_fire *out, fl_error *err) {
  fl_code code = find_next(r, from_s > r->from_s ? from_s : r->from_s, out, err);
  if (code == FL_OK && out->at_s > r->to_s) code = FL_E_NOT_FOUND;
  if (code != FL_E_NOT_FOUND) return code;
  return fl_fail(err, FL_E_NOT_FOUND, "no instant in 50 years");
}

// Forward is the only direction that is written down: the last one before an instant is found by
// halving, for "the first one from here on comes before it" holds up to it and not behind it.
fl_code fl_rule_find_before(const fl_rule *r, int64_t before_s, fl_fire *out, fl_error *err) {
  int64_t low = before_s, high = before_s, width = 1;
  int64_t most = (int64_t)FL_RULE_YEARS_DAYS * FL_DAY_S;
  for (;; width = 4 * width < most ? 4 * width : most) {
    low = before_s - width;
    fl_code code = find_next(r, low, out, err);
    if (code != FL_OK && code != FL_E_NOT_FOUND) return code;
    if (code == FL_OK && out->at_s < before_s) break;
    high = low;
    if (width == most) return fl_fail(err, FL_E_NOT_FOUND, "no instant in the 50 years before");
  }
  low = out->at_s;
  while (high - low > 1) {
    int64_t middle = low + (high - low) / 2;
    fl_fire found;
    fl_code code = find_next(r, middle, &found, err);
    if (code != FL_OK && code != FL_E_NOT_FOUND) return code;
    if (code == FL_OK && found.at_s < before_s) {
      *out = found;
      low = found.at_s > middle ? found.at_s : middle;
    } else {
      high = middle;
    }
  }
  return FL_OK;
}

fl_code fl_rule_get_interval(const fl_rule *r, int64_t at_s, int64_t *from_s, int64_t *to_s,
                             fl_error *err) {
  fl_fire other;
  *from_s = *to_s = at_s;
  fl_code code = r->interval_after ? find_next(r, at_s + 1, &other, err)
                                   : fl_rule_find_before(r, at_s, &other, err);
  if (code == FL_OK) *(r->interval_after ? to_s : from_s) = other.at_s;
  return code == FL_E_NOT_FOUND ? FL_OK : code;
}

fl_code fl_rule_get_delay_ms(const fl_rule *r, const char *store_id, const char *flow,
                             const char *name, int64_t at_s, int64_t *out, fl_error *err) {
  const char *const texts[] = {store_id, flow, name};
  uint8_t digest[FL_DIGEST_SIZE];
  fl_fire next;
  *out = 0;
  if (r->jitter_ms == 0) return FL_OK;
  fl_code code = find_next(r, at_s + 1, &next, err);
  if (code != FL_OK && code != FL_E_NOT_FOUND) return code;
  int64_t most_ms = r->jitter_ms;
  if (code == FL_OK && (next.at_s - at_s) * 1000 < most_ms) most_ms = (next.at_s - at_s) * 1000;
  fl_digest_state *state = fl_digest_begin();
  for (int i = 0; i < 3; i++) fl_digest_add(state, texts[i], strlen(texts[i]) + 1);
  fl_digest_add(state, &at_s, sizeof at_s);
  fl_digest_end(state, digest);
  uint64_t n = 0;
  for (int i = 0; i < 8; i++) n = n << 8 | digest[i];
  *out = (int64_t)(n % (uint64_t)most_ms);
  return FL_OK;
}

fl_code fl_rule_check(const fl_rule *r, int64_t now_s, fl_error *err) {
  int64_t from_s = r->from_s > now_s ? r->from_s : now_s;
  if (has_calendar(r)) {
    bool open = false;
    int64_t day = local_day(r, from_s);
    for (int i = 0; i < FL_SHIFT_DAYS_MAX && !open; i++) {
      fl_code code = works(r, day + i, &open, err);
      if (code != FL_OK) return code;
    }
    if (!open)
      return fl_fail(err, FL_E_USAGE, "its calendar has no working day in %d days",
                     FL_SHIFT_DAYS_MAX);
  }
  fl_fire fire;
  fl_code code = find_next(r, from_s, &fire, err);
  if (code != FL_E_NOT_FOUND) return code;
  return fl_fail(err, FL_E_USAGE, "\"%.100s\" names no instant in 50 years", r->text);
}

const char *fl_fire_note_name(fl_fire_note note) {
  static const char *const names[] = {NULL, "gap", "fold", "shifted"};
  return names[note];
}
