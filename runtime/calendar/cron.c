// Cron expressions. The fields are those of cron(8); L, W and # are those of Quartz, as users of
// other schedulers know them.
#include "calendar/cron.h"
#include "base/civil.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELD_COUNT } cron_field;

static const char month_names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
static const char weekday_names[] = "sunmontuewedthufrisat";

static const struct {
  const char *noun;
  int low, high; // of what may be written
  int end;       // where a step without an end stops, as Sunday is 0
  const char *names;
} fields[FIELD_COUNT] = {
    [SECOND] = {"second", 0, 59, 59, NULL},
    [MINUTE] = {"minute", 0, 59, 59, NULL},
    [HOUR] = {"hour", 0, 23, 23, NULL},
    [DAY] = {"day of month", 1, 31, 31, NULL},
    [MONTH] = {"month", 1, 12, 12, month_names},
    [WEEKDAY] = {"day of week", 0, 7, 6, weekday_names},
};

static const struct {
  const char *name, *text;
} nicknames[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

// What is being parsed, for its errors.
typedef struct cron_source {
  const char *text; // the whole expression
  int number;       // of the field, as people count
  cron_field field;
  fl_error *err;
} cron_source;

static fl_code fail(const cron_source *s, const char *expected, const char *got, size_t size) {
  return fl_fail(s->err, FL_E_USAGE, "field %d (%s) of \"%.100s\": expected %s, got \"%.*s\"",
                 s->number, fields[s->field].noun, s->text, expected, size > 50 ? 50 : (int)size,
                 got);
}

static fl_code fail_range(const cron_source *s, int low, int high, int got) {
  return fl_fail(s->err, FL_E_USAGE, "field %d (%s) of \"%.100s\": expected %d to %d, got %d",
                 s->number, fields[s->field].noun, s->text, low, high, got);
}

// One to four digits; -1: there are none, or more.
static int read_digits(const char **p) {
  int n = 0, count = 0;
  for (; isdigit((unsigned char)**p); (*p)++, count++)
    if (count < 5) n = n * 10 + (**p - '0');
  return count == 0 || count > 4 ? -1 : n;
}

// A number, or three letters of the field's; -1: neither.
static int read_value(const cron_source *s, const char **p) {
  const char *names = fields[s->field].names;
  for (int i = 0; names && names[3 * i]; i++)
    if (!strncasecmp(*p, names + 3 * i, 3) && !isalpha((unsigned char)(*p)[3])) {
      *p += 3;
      return i + fields[s->field].low;
    }
  // friL is Friday with the letter for the last one.
  for (int i = 0; s->field == WEEKDAY && weekday_names[3 * i]; i++)
    if (!strncasecmp(*p, weekday_names + 3 * i, 3) && toupper((unsigned char)(*p)[3]) == 'L') {
      *p += 3;
      return i;
    }
  return read_digits(p);
}

static bool is_in(const cron_source *s, int n) {
  return n >= fields[s->field].low && n <= fields[s->field].high;
}

static fl_code check_in(const cron_source *s, int n) {
  return is_in(s, n) ? FL_OK : fail_range(s, fields[s->field].low, fields[s->field].high, n);
}

// L, L-3, LW, 15W. `*done`: it is one of them, and whole.
static fl_code parse_special_day(fl_cron *c, const cron_source *s, const char *item, size_t size,
                                 bool *done) {
  const char *p = item, *end = item + size;
  *done = true;
  if (toupper((unsigned char)*p) == 'L') {
    p++;
    if (p == end) return c->days_before_last |= 1, FL_OK;
    if (toupper((unsigned char)*p) == 'W' && p + 1 == end) return c->last_weekday = 1, FL_OK;
    int before = *p == '-' ? (p++, read_digits(&p)) : -1;
    if (before < 0 || p != end) return fail(s, "L, LW or L-3", item, size);
    if (before > 30) return fail_range(s, 0, 30, before);
    return c->days_before_last |= 1u << before, FL_OK;
  }
  int day = read_digits(&p);
  if (day >= 0 && toupper((unsigned char)*p) == 'W' && p + 1 == end) {
    if (day < 1 || day > 31) return fail_range(s, 1, 31, day);
    return c->days_nearest |= 1u << day, FL_OK;
  }
  *done = false;
  return FL_OK;
}

// 5L, 1#2.
static fl_code parse_special_weekday(fl_cron *c, const cron_source *s, const char *item,
                                     size_t size, bool *done) {
  const char *p = item, *end = item + size;
  int day = read_value(s, &p);
  *done = day >= 0 && p < end && (toupper((unsigned char)*p) == 'L' || *p == '#');
  if (!*done) return FL_OK;
  if (!is_in(s, day)) return check_in(s, day);
  if (*p++ != '#') {
    if (p != end) return fail(s, "a day such as 5L, the last Friday", item, size);
    return c->weekdays_last |= 1u << day % 7, FL_OK;
  }
  int nth = read_digits(&p);
  if (nth < 0 || p != end) return fail(s, "a day such as 1#2, the second Monday", item, size);
  if (nth < 1 || nth > 5) return fail_range(s, 1, 5, nth);
  return c->weekdays_nth[nth] |= 1u << day % 7, FL_OK;
}

// *, n, a-b, each with /step.
static fl_code parse_item(fl_cron *c, const cron_source *s, const char *item, size_t size,
                          uint64_t *set) {
  const char *p = item, *end = item + size, *what = "*, a number, a-b, each with /step, in a list";
  int low = fields[s->field].low, last = fields[s->field].end, step = 1;
  bool special = false, is_range = true;
  fl_code code = FL_OK;
  if (s->field == DAY) code = parse_special_day(c, s, item, size, &special);
  if (s->field == WEEKDAY) code = parse_special_weekday(c, s, item, size, &special);
  if (code != FL_OK || special) return code;
  if (p < end && (*p == '*' || *p == '?')) {
    p++;
    if (s->field < DAY) c->running = true;
  } else {
    low = read_value(s, &p);
    if (low < 0) return fail(s, what, item, size);
    if (!is_in(s, low)) return check_in(s, low);
    is_range = *p == '-';
    if (is_range) {
      p++;
      last = read_value(s, &p);
      if (last < 0) return fail(s, what, item, size);
      if (s->field == WEEKDAY && last == 0) last = 7; // fri-sun
      if (!is_in(s, last)) return check_in(s, last);
      if (last < low) return fail(s, "a range that ends behind its beginning", item, size);
    }
  }
  if (p < end && *p == '/') {
    p++;
    step = read_digits(&p);
    if (step < 0 || p != end) return fail(s, "a step such as */5", item, size);
    int most = fields[s->field].end - fields[s->field].low + (s->field == DAY || s->field == MONTH);
    if (step < 1 || step > most) return fail_range(s, 1, most, step);
    if (last < low) last = low; // 7/2: Sunday alone
  } else if (!is_range) {
    last = low;
  }
  if (p != end) return fail(s, what, item, size);
  for (int n = low; n <= last; n += step) *set |= UINT64_C(1) << (s->field == WEEKDAY ? n % 7 : n);
  return FL_OK;
}

static fl_code parse_field(fl_cron *c, const cron_source *s, const char *text, size_t size) {
  uint64_t set = 0;
  bool any = size == 1 && (*text == '*' || *text == '?');
  for (size_t from = 0; from <= size;) {
    const char *comma = memchr(text + from, ',', size - from);
    size_t to = comma ? (size_t)(comma - text) : size;
    if (to == from) return fail(s, "a list without gaps", text, size);
    fl_code code = parse_item(c, s, text + from, to - from, &set);
    if (code != FL_OK) return code;
    from = to + 1;
  }
  switch (s->field) {
  case SECOND: c->seconds = set; break;
  case MINUTE: c->minutes = set; break;
  case HOUR: c->hours = (uint32_t)set; break;
  case DAY: c->days = (uint32_t)set, c->any_day = any; break;
  case MONTH: c->months = (uint32_t)set; break;
  default: c->weekdays = (uint32_t)set, c->any_weekday = any;
  }
  return FL_OK;
}

fl_code fl_cron_parse(const char *text, fl_cron *out, fl_error *err) {
  const char *part[FIELD_COUNT + 1], *source = text;
  size_t size[FIELD_COUNT + 1];
  int count = 0;
  *out = (fl_cron){.seconds = 1};
  if (*text == '@') {
    for (size_t i = 0; source == text && i < sizeof nicknames / sizeof *nicknames; i++)
      if (!strcasecmp(text, nicknames[i].name)) source = nicknames[i].text;
    if (source == text)
      return fl_fail(err, FL_E_USAGE,
                     "expected @hourly, @daily, @midnight, @weekly, @monthly, @yearly or "
                     "@annually, got \"%.100s\"",
                     text);
  }
  for (const char *p = source; *p && count <= FIELD_COUNT; count++) {
    p += strspn(p, " \t");
    if (!*p) break;
    part[count] = p;
    size[count] = strcspn(p, " \t");
    p += size[count];
  }
  if (count != 5 && count != FIELD_COUNT)
    return fl_fail(err, FL_E_USAGE,
                   "expected 5 fields, or 6 with seconds first, got %s%d in "
                   "\"%.100s\"",
                   count > FIELD_COUNT ? "more than " : "",
                   count > FIELD_COUNT ? FIELD_COUNT : count, text);
  for (int i = 0; i < count; i++) {
    cron_source s = {text, i + 1, (cron_field)(i + FIELD_COUNT - count), err};
    fl_code code = parse_field(out, &s, part[i], size[i]);
    if (code != FL_OK) return code;
  }
  return FL_OK;
}

// ------------------------------------------------------------------------------------- days

// The day from Monday to Friday nearest to `day`, in its month.
static int nearest_weekday(int day, int weekday, int last) {
  if (weekday == 6) return day > 1 ? day - 1 : day + 2;
  if (weekday == 0) return day < last ? day + 1 : day - 2;
  return day;
}

static bool names_month_day(const fl_cron *c, int day, int weekday, int last) {
  if (c->days >> day & 1 || c->days_before_last >> (last - day) & 1) return true;
  if (c->last_weekday && day == nearest_weekday(last, (weekday + last - day) % 7, last))
    return true;
  if (!c->days_nearest || weekday == 0 || weekday == 6) return false;
  for (int d = day - 2; d <= day + 2; d++)
    if (d >= 1 && d <= last && c->days_nearest >> d & 1 &&
        nearest_weekday(d, (weekday + 7 + d - day) % 7, last) == day)
      return true;
  return false;
}

static bool names_weekday(const fl_cron *c, int day, int weekday, int last) {
  return c->weekdays >> weekday & 1 || (c->weekdays_last >> weekday & 1 && day + 7 > last) ||
         c->weekdays_nth[(day + 6) / 7] >> weekday & 1;
}

bool fl_cron_names_day(const fl_cron *c, int64_t day) {
  int64_t year;
  int month, mday, weekday = fl_weekday_of(day);
  fl_civil_from_days(day, &year, &month, &mday);
  if (!(c->months >> month & 1)) return false;
  int last = fl_days_of_month(year, month);
  if (c->any_day) return c->any_weekday || names_weekday(c, mday, weekday, last);
  if (names_month_day(c, mday, weekday, last)) return true;
  return !c->any_weekday && names_weekday(c, mday, weekday, last);
}

// ------------------------------------------------------------------------------------- times

// The lowest number of `set` from `n` on; -1: none.
static int next_bit(uint64_t set, int n) {
  uint64_t left = n < 64 ? set >> n : 0;
  return left ? n + __builtin_ctzll(left) : -1;
}

int32_t fl_cron_next_second(const fl_cron *c, int32_t second) {
  int hour = second / 3600, minute = second / 60 % 60, sec = second % 60;
  sec = next_bit(c->seconds, sec);
  if (sec < 0) minute++, sec = next_bit(c->seconds, 0);
  int named = next_bit(c->minutes, minute);
  if (named != minute) sec = next_bit(c->seconds, 0);
  if (named < 0) hour++, named = next_bit(c->minutes, 0);
  minute = named;
  named = next_bit(c->hours, hour);
  if (named < 0) return -1;
  if (named != hour) minute = next_bit(c->minutes, 0), sec = next_bit(c->seconds, 0);
  return named * 3600 + minute * 60 + sec;
}
