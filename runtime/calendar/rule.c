// What a rule is told, option by option, and whether it can be.
#include "base/civil.h"
#include "calendar/rule_internal.h"
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_MAX 1000000

static const char *const unit_names[] = {
    [FL_UNIT_MINUTE] = "minute", [FL_UNIT_HOUR] = "hour",   [FL_UNIT_DAY] = "day",
    [FL_UNIT_WEEK] = "week",     [FL_UNIT_MONTH] = "month",
};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

fl_rule *fl_rule_new(void) {
  fl_rule *rule = fl_alloc_zero(1, sizeof *rule);
  rule->every = 1;
  return rule;
}

void fl_rule_free(fl_rule *rule) {
  if (!rule) return;
  free(rule->text);
  free(rule->zone);
  free(rule->at.at);
  free(rule->off.at);
  free(rule->on.at);
  free(rule);
}

static void set_add(fl_number_set *set, int64_t n) {
  size_t i = set->count;
  while (i > 0 && set->at[i - 1] > n) i--;
  if (i > 0 && set->at[i - 1] == n) return;
  if (set->count == set->capacity) {
    set->capacity = set->capacity ? 2 * set->capacity : 8;
    set->at = fl_realloc(set->at, set->capacity * sizeof *set->at);
  }
  memmove(set->at + i + 1, set->at + i, (set->count - i) * sizeof *set->at);
  set->at[i] = n;
  set->count++;
}

// ------------------------------------------------------------------------------------- values

static fl_code expected(fl_error *err, const char *what, const char *got) {
  return fl_fail(err, FL_E_USAGE, "expected %s, got \"%.100s\"", what, got);
}

// `size` digits at `*p`; -1: there are others.
static int read_number(const char **p, int size) {
  int n = 0;
  for (int i = 0; i < size; i++, (*p)++) {
    if (!isdigit((unsigned char)**p)) return -1;
    n = n * 10 + (**p - '0');
  }
  return n;
}

// "2026-01-31" whole.
static bool parse_date(const char *text, int64_t *day) {
  const char *p = text;
  int year = read_number(&p, 4);
  if (year < 0 || *p++ != '-') return false;
  int month = read_number(&p, 2);
  if (month < 1 || month > 12 || *p++ != '-') return false;
  int mday = read_number(&p, 2);
  if (mday < 1 || *p || mday > fl_days_of_month(year, month)) return false;
  *day = fl_days_from_civil(year, month, mday);
  return true;
}

static fl_code add_date(fl_number_set *set, const char *text, fl_error *err) {
  int64_t day;
  if (!parse_date(text, &day)) return expected(err, "a date such as \"2026-12-25\"", text);
  set_add(set, day);
  return FL_OK;
}

static fl_code set_bound(fl_rule_bound *bound, const char *text, fl_error *err) {
  int64_t ms;
  *bound = (fl_rule_bound){.is_set = true};
  bound->is_day = parse_date(text, &bound->value);
  if (bound->is_day) return FL_OK;
  if (strlen(text) < 16 || !fl_time_parse(text, &ms))
    return expected(err,
                    "a date such as \"2026-01-31\" or an instant such as "
                    "\"2026-01-31T08:00:00Z\"",
                    text);
  bound->value = fl_floor_div(ms, 1000);
  return FL_OK;
}

// "8:00", "08:00:30"
static fl_code add_time(fl_rule *rule, const char *text, fl_error *err) {
  const char *p = text;
  int hour = read_number(&p, text[0] && text[1] == ':' ? 1 : 2), minute = -1, second = 0;
  if (hour >= 0 && *p == ':') p++, minute = read_number(&p, 2);
  if (minute >= 0 && *p == ':') p++, second = read_number(&p, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || *p)
    return expected(err, "a time of day such as \"08:00\"", text);
  set_add(&rule->at, hour * 3600 + minute * 60 + second);
  return FL_OK;
}

static int find_weekday(const char *text, size_t size) {
  for (int i = 0; i < 7; i++)
    if (size == 3 && !strncasecmp(text, weekday_names[i], 3)) return i;
  return -1;
}

// "mon", "mon-fri,sun"
static bool parse_weekdays(const char *text, uint32_t *set) {
  for (const char *p = text;; p++) {
    p += strspn(p, " ");
    size_t size = strcspn(p, "-, ");
    int first = find_weekday(p, size), last = first;
    p += size;
    if (*p == '-') {
      p++;
      size = strcspn(p, "-, ");
      last = find_weekday(p, size);
      p += size;
    }
    if (first < 0 || last < 0) return false;
    for (int day = first; *set |= 1u << day, day != last; day = (day + 1) % 7) continue;
    p += strspn(p, " ");
    if (!*p) return true;
    if (*p != ',') return false;
  }
}

static fl_code add_on(fl_rule *rule, const char *text, fl_error *err) {
  const char *p = text;
  if (!strcmp(text, "last")) return rule->on_last = true, FL_OK;
  if (!isdigit((unsigned char)*p))
    return parse_weekdays(text, &rule->on_weekdays)
               ? FL_OK
               : expected(err, "a day such as \"mon\", 1 to 31 or \"last\"", text);
  int day = read_number(&p, p[1] ? 2 : 1);
  if (day < 1 || day > 31 || *p) return expected(err, "1 to 31 or \"last\"", text);
  rule->on_days |= 1u << day;
  return FL_OK;
}

static fl_code set_every(fl_rule *rule, const char *text, fl_error *err) {
  char *end;
  long n = strtol(text, &end, 10);
  if (!isdigit((unsigned char)*text) || *end || n < 1 || n > EVERY_MAX)
    return expected(err, "1 to 1000000", text);
  rule->every = n;
  return FL_OK;
}

static fl_code set_unit(fl_rule *rule, const char *text, fl_error *err) {
  size_t size = strlen(text);
  if (size > 1 && text[size - 1] == 's') size--; // 2 weeks
  for (int i = FL_UNIT_MINUTE; i <= FL_UNIT_MONTH; i++)
    if (strlen(unit_names[i]) == size && !strncmp(text, unit_names[i], size)) {
      rule->unit = (fl_rule_unit)i;
      rule->has_unit = true;
      return FL_OK;
    }
  return expected(err, "minute, hour, day, week or month", text);
}

static fl_code set_cron(fl_rule *rule, const char *text, fl_error *err) {
  fl_code code = fl_cron_parse(text, &rule->cron, err);
  if (code != FL_OK) return code;
  free(rule->text);
  rule->text = fl_strdup(text);
  rule->unit = FL_UNIT_CRON;
  rule->has_cron = true;
  return FL_OK;
}

static fl_code set_zone(fl_rule *rule, const char *text, fl_error *err) {
  if (!fl_zone_is_known(text))
    return expected(err, "a time zone such as \"UTC\" or \"Asia/Shanghai\"", text);
  free(rule->zone);
  rule->zone = fl_strdup(text);
  return FL_OK;
}

// What is one of a few words.
static const struct {
  const char *name;
  const char *words[4];
} choices[] = {
    {"off_day", {"skip", "next", "previous"}},
    {"gap", {"run", "skip"}},
    {"fold", {"first", "last", "both"}},
    {"interval", {"before", "after"}},
};
enum { OFF_DAY, GAP, FOLD, INTERVAL, CHOICE_COUNT };

static int find_choice(const char *name) {
  int i = 0;
  while (i < CHOICE_COUNT && strcmp(choices[i].name, name) != 0) i++;
  return i;
}

static fl_code set_choice(fl_rule *rule, int choice, const char *text, fl_error *err) {
  const char *const *words = choices[choice].words;
  int n = 0;
  while (n < 4 && words[n] && strcmp(words[n], text) != 0) n++;
  if (n == 4 || !words[n]) {
    fl_buf what;
    fl_buf_init(&what, 256);
    for (int i = 0; i < n; i++)
      fl_buf_addf(&what, "%s\"%s\"", i == 0 ? "" : i == n - 1 ? " or " : ", ", words[i]);
    fl_code code = expected(err, fl_buf_cstr(&what), text);
    fl_buf_deinit(&what);
    return code;
  }
  if (choice == OFF_DAY) rule->off_day = (fl_off_day)n;
  if (choice == GAP) rule->gap = (fl_gap)(FL_GAP_RUN + n);
  if (choice == FOLD) rule->fold = (fl_fold)(FL_FOLD_FIRST + n);
  if (choice == INTERVAL) rule->interval_after = n == 1;
  return FL_OK;
}

fl_code fl_rule_set(fl_rule *rule, const char *name, const char *value, fl_error *err) {
  if (!strcmp(name, "cron")) return set_cron(rule, value, err);
  if (!strcmp(name, "every")) return set_every(rule, value, err);
  if (!strcmp(name, "unit")) return set_unit(rule, value, err);
  if (!strcmp(name, "at")) return add_time(rule, value, err);
  if (!strcmp(name, "on")) return add_on(rule, value, err);
  if (!strcmp(name, "tz")) return set_zone(rule, value, err);
  if (!strcmp(name, "from")) return set_bound(&rule->from, value, err);
  if (!strcmp(name, "to")) return set_bound(&rule->to, value, err);
  if (!strcmp(name, "jitter"))
    return fl_duration_parse(value, &rule->jitter_ms)
               ? FL_OK
               : expected(err, "a duration such as \"90s\" or \"5m\"", value);
  int choice = find_choice(name);
  if (choice < CHOICE_COUNT) return set_choice(rule, choice, value, err);
  rule->has_calendar = true;
  if (!strcmp(name, "calendar.off")) return add_date(&rule->off, value, err);
  if (!strcmp(name, "calendar.on")) return add_date(&rule->on, value, err);
  if (!strcmp(name, "calendar.days"))
    return parse_weekdays(value, &rule->work_weekdays)
               ? FL_OK
               : expected(err, "days such as \"mon-fri\"", value);
  return fl_fail(err, FL_E_USAGE, "there is no option \"%.50s\" of a rule", name);
}

void fl_rule_set_works(fl_rule *rule, fl_works_fn *works, void *ud) {
  rule->works = works;
  rule->works_ud = ud;
}

// ------------------------------------------------------------------------------------- all
// together

static void add_list(fl_buf *b, int *count, const char *before, const char *item) {
  fl_buf_addf(b, "%s%s", (*count)++ == 0 ? before : ", ", item);
}

static void write_text(fl_rule *rule) {
  fl_buf b;
  char item[16];
  int count = 0;
  fl_buf_init(&b, 4096);
  const char *unit = unit_names[rule->unit];
  if (rule->every == 1)
    fl_buf_addf(&b, "every %s", unit);
  else
    fl_buf_addf(&b, "every %lld %ss", (long long)rule->every, unit);
  for (int i = 1; rule->unit == FL_UNIT_WEEK && i <= 7; i++)
    if (rule->on_weekdays >> i % 7 & 1) add_list(&b, &count, " on ", weekday_names[i % 7]);
  for (int day = 1; rule->unit == FL_UNIT_MONTH && day <= 31; day++)
    if (rule->on_days >> day & 1) {
      snprintf(item, sizeof item, "%d", day);
      add_list(&b, &count, " on ", item);
    }
  if (rule->on_last) add_list(&b, &count, " on ", "last");
  count = 0;
  for (size_t i = 0; i < rule->at.count; i++) {
    int s = (int)rule->at.at[i];
    if (rule->unit < FL_UNIT_DAY && s == 0) continue; // from midnight on
    int size = snprintf(item, sizeof item, "%02d:%02d", s / 3600, s / 60 % 60);
    if (s % 60) snprintf(item + size, sizeof item - (size_t)size, ":%02d", s % 60);
    add_list(&b, &count, " at ", item);
  }
  free(rule->text);
  rule->text = fl_buf_take(&b);
}

// Where counting begins, and what `on` is without one.
static void set_anchor(fl_rule *rule) {
  int64_t year;
  int month, mday;
  if (rule->from.is_set && rule->from.is_day)
    rule->anchor_day = rule->from.value;
  else if (rule->from.is_set)
    rule->anchor_day =
        fl_floor_div(rule->from.value + fl_zone_get_offset(rule->zone, rule->from.value), FL_DAY_S);
  if (rule->at.count == 0) set_add(&rule->at, 0);
  int64_t at[2];
  fl_zone_find(rule->zone, rule->anchor_day * FL_DAY_S + rule->at.at[0], at);
  rule->anchor_s = at[0];
  fl_civil_from_days(rule->anchor_day, &year, &month, &mday);
  if (rule->unit == FL_UNIT_WEEK && !rule->on_weekdays)
    rule->on_weekdays = 1u << (rule->from.is_set ? fl_weekday_of(rule->anchor_day) : 1);
  if (rule->unit == FL_UNIT_MONTH && !rule->on_days && !rule->on_last)
    rule->on_days = 1u << (rule->from.is_set ? mday : 1);
}

static int64_t day_begins(const fl_rule *rule, int64_t day) {
  int64_t at[2];
  fl_zone_find(rule->zone, day * FL_DAY_S, at);
  return at[0];
}

static fl_code check_together(const fl_rule *rule, const char **option, fl_error *err) {
  bool real_time = rule->unit == FL_UNIT_MINUTE || rule->unit == FL_UNIT_HOUR;
  *option = "on";
  if ((rule->on_weekdays && rule->unit != FL_UNIT_WEEK) ||
      ((rule->on_days || rule->on_last) && rule->unit != FL_UNIT_MONTH))
    return fl_fail(err, FL_E_USAGE, "%s",
                   rule->unit == FL_UNIT_WEEK    ? "of a week: expected a day such as \"mon\""
                   : rule->unit == FL_UNIT_MONTH ? "of a month: expected 1 to 31 or \"last\""
                                                 : "is for weeks and months only");
  *option = rule->gap ? "gap" : "fold";
  if (real_time && (rule->gap || rule->fold))
    return fl_fail(err, FL_E_USAGE, "minutes and hours know no daylight saving");
  *option = "off_day";
  if (rule->off_day != FL_OFF_SKIP && !rule->has_calendar && !rule->works)
    return fl_fail(err, FL_E_USAGE, "there is no calendar: every day works");
  *option = "to";
  if (rule->from_s > rule->to_s)
    return fl_fail(err, FL_E_USAGE, "is before from: there is no time in between");
  *option = NULL;
  return FL_OK;
}

fl_code fl_rule_finish(fl_rule *rule, const char **option, fl_error *err) {
  const char *ignored;
  if (!rule->has_cron && !rule->has_unit)
    return fl_fail(err, FL_E_USAGE, "expected a cron expression, or a unit");
  // A calendar of dates alone: all days work but those.
  if (rule->has_calendar && !rule->work_weekdays) rule->work_weekdays = 0x7f;
  rule->from_s = INT64_MIN;
  rule->to_s = INT64_MAX;
  if (rule->from.is_set)
    rule->from_s = rule->from.is_day ? day_begins(rule, rule->from.value) : rule->from.value;
  if (rule->to.is_set)
    rule->to_s = rule->to.is_day ? day_begins(rule, rule->to.value + 1) - 1 : rule->to.value;
  fl_code code = check_together(rule, option ? option : &ignored, err);
  if (code != FL_OK) return code;
  if (rule->unit != FL_UNIT_CRON) {
    set_anchor(rule);
    write_text(rule);
  }
  return FL_OK;
}

const char *fl_rule_get_text(const fl_rule *rule) {
  return rule->text;
}

const char *fl_rule_get_zone(const fl_rule *rule) {
  return rule->zone ? rule->zone : "UTC";
}

bool fl_rule_has_jitter(const fl_rule *rule) {
  return rule->jitter_ms > 0;
}
