// The system's clock, and times, durations and sizes as text. No locale, no time zone, no libc
// calendar: the same text everywhere.
#include "base/clock.h"
#include <fcntl.h>
#include <unistd.h>

#define MS_PER_DAY   86400000
#define DURATION_MAX (INT64_MAX / 4) // ms; far past any date, and sums of a few never overflow

int64_t fl_wall_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t fl_monotonic_ms(void) {
  return fl_monotonic_us() / 1000;
}

int64_t fl_monotonic_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t system_wall_ms(void *ud) {
  return (void)ud, fl_wall_ms();
}

static int64_t system_monotonic_ms(void *ud) {
  return (void)ud, fl_monotonic_ms();
}

static int64_t system_up_ms(void *ud) {
  struct timespec t;
  (void)ud;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void fl_boot_id(char out[FL_BOOT_ID_SIZE]) {
  int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read(fd, out, FL_BOOT_ID_SIZE - 4) : 0;
  out[n > 0 ? n : 0] = '\0';
  if (fd >= 0) close(fd);
}

const fl_clock *fl_clock_system(void) {
  static const fl_clock system_clock = {
      .wall_ms = system_wall_ms, .monotonic_ms = system_monotonic_ms, .up_ms = system_up_ms};
  return &system_clock;
}

// Days since 1970-01-01 of a date in the Gregorian calendar. A year is counted from March, so that
// the leap day is its last one.
static int64_t days_of_date(int64_t year, int month, int day) {
  if (month <= 2) year--;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

static void date_of_days(int64_t days, int64_t *year, int *month, int *day) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  int64_t day_of_era = days - era * 146097;
  int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int shifted = (int)((5 * day_of_year + 2) / 153);
  *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
  *month = shifted < 10 ? shifted + 3 : shifted - 9;
  *year = year_of_era + era * 400 + (*month <= 2);
}

void fl_time_format(int64_t wall_ms, char out[FL_TIME_TEXT_SIZE]) {
  // What a file or a peer claims may be any number; the text stays within four digits of year.
  const int64_t first = days_of_date(0, 1, 1) * MS_PER_DAY;
  const int64_t last = days_of_date(10000, 1, 1) * MS_PER_DAY - 1;
  if (wall_ms < first) wall_ms = first;
  if (wall_ms > last) wall_ms = last;
  int64_t days = wall_ms / MS_PER_DAY, rest = wall_ms % MS_PER_DAY, year;
  if (rest < 0) days--, rest += MS_PER_DAY;
  int month, day;
  unsigned ms = (unsigned)rest;
  date_of_days(days, &year, &month, &day);
  // The remainders tell the compiler how many digits there can be.
  snprintf(out, FL_TIME_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)year % 10000,
           (unsigned)month % 100, (unsigned)day % 100, ms / 3600000 % 100, ms / 60000 % 60,
           ms / 1000 % 60, ms % 1000);
}

// Reads exactly `count` digits.
static bool read_digits(const char **p, int count, int *out) {
  int value = 0;
  for (int i = 0; i < count; i++) {
    char c = (*p)[i];
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  *p += count;
  *out = value;
  return true;
}

static bool read_char(const char **p, char c) {
  if (**p != c) return false;
  ++*p;
  return true;
}

// "Z", "+08:00" or nothing (UTC), to the end of the text.
static bool read_zone(const char *p, int *offset_minutes) {
  *offset_minutes = 0;
  if (*p == '\0') return true;
  if (*p == 'Z' || *p == 'z') return p[1] == '\0';
  if (*p != '+' && *p != '-') return false;
  int sign = *p++ == '-' ? -1 : 1, hours, minutes;
  if (!read_digits(&p, 2, &hours) || !read_char(&p, ':') || !read_digits(&p, 2, &minutes))
    return false;
  *offset_minutes = sign * (hours * 60 + minutes);
  return hours <= 23 && minutes <= 59 && *p == '\0';
}

// ".123456": milliseconds, what is finer is cut.
static bool read_fraction(const char **p, int *ms) {
  *ms = 0;
  if (!read_char(p, '.')) return true;
  int scale = 100;
  const char *from = *p;
  for (; **p >= '0' && **p <= '9'; ++*p, scale /= 10) *ms += (**p - '0') * scale;
  return *p > from;
}

static bool date_valid(int year, int month, int day) {
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12 || day < 1) return false;
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return day <= lengths[month - 1] + (month == 2 && leap);
}

bool fl_time_parse(const char *text, int64_t *wall_ms) {
  const char *p = text;
  int year, month, day, hour = 0, minute = 0, second = 0, ms = 0, offset = 0;
  if (!read_digits(&p, 4, &year) || !read_char(&p, '-') || !read_digits(&p, 2, &month) ||
      !read_char(&p, '-') || !read_digits(&p, 2, &day) || !date_valid(year, month, day))
    return false;
  if (*p != '\0') {
    if (!read_char(&p, 'T') && !read_char(&p, 't') && !read_char(&p, ' ')) return false;
    if (!read_digits(&p, 2, &hour) || !read_char(&p, ':') || !read_digits(&p, 2, &minute))
      return false;
    if (read_char(&p, ':') && (!read_digits(&p, 2, &second) || !read_fraction(&p, &ms)))
      return false;
    if (!read_zone(p, &offset)) return false;
  }
  // A leap second counts as the first of the next minute.
  if (hour > 23 || minute > 59 || second > 60) return false;
  int64_t seconds = ((int64_t)hour * 60 + minute - offset) * 60 + second;
  *wall_ms = days_of_date(year, month, day) * MS_PER_DAY + seconds * 1000 + ms;
  return true;
}

// A decimal number without sign or exponent, whatever the locale's decimal point is.
static bool read_decimal(const char **p, double *out) {
  const char *from = *p;
  double value = 0, scale = 1;
  for (; **p >= '0' && **p <= '9'; ++*p) value = value * 10 + (**p - '0');
  if (*p == from) return false;
  if (read_char(p, '.')) {
    from = *p;
    for (; **p >= '0' && **p <= '9'; ++*p) value += (**p - '0') * (scale /= 10);
    if (*p == from) return false;
  }
  *out = value;
  return true;
}

// Milliseconds a unit, 0 when there is none at `p`.
static double read_duration_unit(const char **p) {
  static const struct {
    const char *text;
    double ms;
  } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", MS_PER_DAY}};
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    size_t size = strlen(units[i].text);
    if (strncmp(*p, units[i].text, size) != 0) continue;
    *p += size;
    return units[i].ms;
  }
  return 0;
}

bool fl_duration_parse(const char *text, int64_t *ms) {
  const char *p = text;
  double total = 0, number, last_unit = 0;
  do {
    if (!read_decimal(&p, &number)) return false;
    double unit = read_duration_unit(&p);
    // Parts go down in size ("1h30m"); a number alone is seconds.
    if (unit == 0 && (last_unit != 0 || *p != '\0')) return false;
    if (unit == 0) unit = 1000;
    if (last_unit != 0 && unit >= last_unit) return false;
    last_unit = unit;
    total += number * unit;
  } while (*p != '\0');
  if (!(total <= (double)DURATION_MAX)) return false;
  *ms = (int64_t)(total + 0.5);
  return true;
}

bool fl_size_parse(const char *text, int64_t *bytes) {
  const char *p = text;
  double number;
  if (!read_decimal(&p, &number)) return false;
  static const char units[] = "KMGT";
  if (*p != '\0') {
    char upper = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
    const char *unit = strchr(units, upper);
    if (!unit || p[1] != '\0') return false;
    for (const char *u = units; u <= unit; u++) number *= 1024;
  }
  if (!(number <= (double)DURATION_MAX)) return false;
  *bytes = (int64_t)(number + 0.5);
  return true;
}

void fl_duration_format(int64_t ms, char out[FL_TIME_TEXT_SIZE]) {
  if (ms < 0) ms = 0;
  int64_t seconds = ms / 1000 + (ms % 1000 >= 500); // shown rounded from a minute on
  if (ms < 1000) {
    snprintf(out, FL_TIME_TEXT_SIZE, "%dms", (int)ms);
  } else if (ms < 59950) {
    int tenths = (int)((ms + 50) / 100);
    snprintf(out, FL_TIME_TEXT_SIZE, "%d.%ds", tenths / 10, tenths % 10);
  } else if (seconds < 3600) {
    snprintf(out, FL_TIME_TEXT_SIZE, "%dm%02ds", (int)(seconds / 60), (int)(seconds % 60));
  } else if (seconds < 86400) {
    snprintf(out, FL_TIME_TEXT_SIZE, "%dh%02dm", (int)(seconds / 3600), (int)(seconds / 60 % 60));
  } else {
    snprintf(out, FL_TIME_TEXT_SIZE, "%lldd%02dh", (long long)(seconds / 86400),
             (int)(seconds / 3600 % 24));
  }
}
