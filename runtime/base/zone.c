// TZif files and POSIX TZ rules. A zone is read once a process and kept.
#include <ctype.h>
#include <pthread.h>
#include "base/zone.h"

#define ZONE_DIR      "/usr/share/zoneinfo/"
#define ZONE_FILE_MAX (1u << 20) // the largest of them has some 4 KiB
#define ZONES_MAX     64         // kept at once; a further one is read anew each time

// One end of daylight saving: month, week (5: the last), weekday, second of the day.
typedef struct zone_rule {
  int month, week, day;
  int32_t second;
} zone_rule;

typedef struct zone_table {
  char *name;
  int64_t *at; // transitions, ascending
  int32_t *offset;
  size_t count;
  int32_t first;                  // before the first transition
  int32_t std_offset, dst_offset; // behind the last one
  bool has_footer, has_dst;
  zone_rule begin, end;
} zone_table;

static pthread_mutex_t zones_lock = PTHREAD_MUTEX_INITIALIZER;
static zone_table *zones[ZONES_MAX];
static size_t zone_count;

static void zone_free(zone_table *z) {
  if (!z) return;
  free(z->name);
  free(z->at);
  free(z->offset);
  free(z);
}

// ------------------------------------------------------------------------------------- civil days

static int64_t days_from_civil(int64_t y, int m, int d) {
  y -= m <= 2;
  int64_t era = (y >= 0 ? y : y - 399) / 400;
  int64_t yoe = y - era * 400, doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_from_days(int64_t days, int64_t *y, int *m, int *d) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  int64_t doe = days - era * 146097;
  int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
  *d = (int)(doy - (153 * mp + 2) / 5 + 1);
  *m = (int)(mp < 10 ? mp + 3 : mp - 9);
  *y = yoe + era * 400 + (*m <= 2);
}

static int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

// ------------------------------------------------------------------------------------- footer

static bool skip_name(const char **p) {
  const char *start = *p;
  if (**p == '<') {
    while (**p && **p != '>') (*p)++;
    if (**p != '>') return false;
    (*p)++;
    return true;
  }
  while (isalpha((unsigned char)**p)) (*p)++;
  return *p - start >= 3;
}

// [+-]hh[:mm[:ss]]
static bool read_hms(const char **p, int32_t *out) {
  int32_t sign = 1, part[3] = {0};
  if (**p == '-' || **p == '+') sign = *(*p)++ == '-' ? -1 : 1;
  for (int i = 0; i < 3; i++) {
    if (!isdigit((unsigned char)**p)) return false;
    while (isdigit((unsigned char)**p) && part[i] < 1000) part[i] = part[i] * 10 + (*(*p)++ - '0');
    if (**p != ':') break;
    (*p)++;
  }
  *out = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
  return true;
}

static bool read_number(const char **p, int *out) {
  if (!isdigit((unsigned char)**p)) return false;
  for (*out = 0; isdigit((unsigned char)**p) && *out < 1000; (*p)++) *out = *out * 10 + (**p - '0');
  return true;
}

// ,Mm.w.d[/time]: the only form that zone files use, but for the Jn of a few; those keep standard
// time.
static bool read_rule(const char **p, zone_rule *r) {
  r->second = 7200;
  if (*(*p)++ != ',' || *(*p)++ != 'M' || !read_number(p, &r->month)) return false;
  if (*(*p)++ != '.' || !read_number(p, &r->week)) return false;
  if (*(*p)++ != '.' || !read_number(p, &r->day)) return false;
  if (**p != '/') return true;
  (*p)++;
  return read_hms(p, &r->second);
}

static void read_footer(zone_table *z, const char *text) {
  const char *p = text;
  int32_t std, dst;
  if (!skip_name(&p) || !read_hms(&p, &std)) return;
  z->has_footer = true;
  z->std_offset = -std; // POSIX counts west as positive
  if (!*p || !skip_name(&p)) return;
  dst = std - 3600;
  if (*p && *p != ',' && !read_hms(&p, &dst)) return;
  z->dst_offset = -dst;
  z->has_dst = read_rule(&p, &z->begin) && read_rule(&p, &z->end);
}

static int64_t rule_local(const zone_rule *r, int64_t year) {
  int64_t first = days_from_civil(year, r->month, 1);
  int weekday = (int)(((first + 4) % 7 + 7) % 7); // 1970-01-01 was a Thursday
  int64_t day = first + (r->day - weekday + 7) % 7 + (int64_t)(r->week - 1) * 7;
  int64_t next =
      r->month == 12 ? days_from_civil(year + 1, 1, 1) : days_from_civil(year, r->month + 1, 1);
  while (day >= next) day -= 7;
  return day * 86400 + r->second;
}

static int32_t footer_offset(const zone_table *z, int64_t utc_s) {
  if (!z->has_dst) return z->std_offset;
  int64_t year;
  int month, day;
  civil_from_days(floor_div(utc_s + z->std_offset, 86400), &year, &month, &day);
  int64_t begin = rule_local(&z->begin, year) - z->std_offset;
  int64_t end = rule_local(&z->end, year) - z->dst_offset;
  bool dst = begin < end ? utc_s >= begin && utc_s < end : utc_s >= begin || utc_s < end;
  return dst ? z->dst_offset : z->std_offset;
}

// ------------------------------------------------------------------------------------- TZif

static int64_t big_endian(const unsigned char *p, int size) {
  uint64_t v = p[0] & 0x80 ? ~0ull : 0;
  for (int i = 0; i < size; i++) v = v << 8 | p[i];
  return (int64_t)v;
}

// Counts of one header: isut, isstd, leap, time, type, char.
static size_t block_size(const unsigned char *header, int width) {
  size_t isut = (size_t)big_endian(header + 20, 4), isstd = (size_t)big_endian(header + 24, 4);
  size_t leap = (size_t)big_endian(header + 28, 4), time = (size_t)big_endian(header + 32, 4);
  size_t type = (size_t)big_endian(header + 36, 4), chars = (size_t)big_endian(header + 40, 4);
  if ((isut | isstd | leap | time | type | chars) > ZONE_FILE_MAX) return ZONE_FILE_MAX;
  return time * (size_t)width + time + type * 6 + chars + leap * (size_t)(width + 4) + isstd + isut;
}

static bool zone_parse(zone_table *z, const unsigned char *data, size_t size) {
  if (size < 44 || memcmp(data, "TZif", 4) || data[4] < '2') return false;
  size_t skip = 44 + block_size(data, 4);
  if (skip + 44 > size || memcmp(data + skip, "TZif", 4)) return false;
  const unsigned char *header = data + skip, *body = header + 44;
  size_t block = block_size(header, 8);
  if (skip + 44 + block > size) return false;
  size_t count = (size_t)big_endian(header + 32, 4), types = (size_t)big_endian(header + 36, 4);
  const unsigned char *index = body + count * 8, *type = index + count;
  if (!types) return false;
  z->count = count;
  z->at = fl_alloc((count + 1) * sizeof *z->at);
  z->offset = fl_alloc((count + 1) * sizeof *z->offset);
  z->first = (int32_t)big_endian(type, 4);
  for (size_t i = 0; i < count; i++) {
    if (index[i] >= types) return false;
    z->at[i] = big_endian(body + i * 8, 8);
    z->offset[i] = (int32_t)big_endian(type + (size_t)index[i] * 6, 4);
  }
  const unsigned char *footer = body + block, *end = data + size;
  if (footer < end && *footer == '\n') {
    size_t length = (size_t)(end - footer - 1);
    char *text = fl_strndup((const char *)footer + 1, length);
    text[strcspn(text, "\n")] = 0;
    read_footer(z, text);
    free(text);
  }
  return true;
}

static bool name_is_safe(const char *name) {
  size_t size = strlen(name);
  if (!size || size > 64 || name[0] == '/' || strstr(name, "..")) return false;
  for (const char *p = name; *p; p++)
    if (!isalnum((unsigned char)*p) && !strchr("/_+-", *p)) return false;
  return true;
}

static zone_table *zone_load(const char *name) {
  char path[128];
  if (!name_is_safe(name)) return NULL;
  snprintf(path, sizeof path, ZONE_DIR "%s", name);
  FILE *file = fopen(path, "rbe");
  if (!file) return NULL;
  unsigned char *data = fl_alloc(ZONE_FILE_MAX);
  size_t size = fread(data, 1, ZONE_FILE_MAX, file);
  fclose(file);
  zone_table *z = fl_alloc_zero(1, sizeof *z);
  z->name = fl_strdup(name);
  if (!zone_parse(z, data, size)) {
    zone_free(z);
    z = NULL;
  }
  free(data);
  return z;
}

static bool is_utc(const char *zone) {
  return !zone || !*zone || !strcmp(zone, "UTC") || !strcmp(zone, "Z");
}

static const zone_table *zone_get(const char *name) {
  zone_table *found = NULL;
  pthread_mutex_lock(&zones_lock);
  for (size_t i = 0; i < zone_count && !found; i++)
    if (!strcmp(zones[i]->name, name)) found = zones[i];
  if (!found && zone_count < ZONES_MAX && (found = zone_load(name))) zones[zone_count++] = found;
  pthread_mutex_unlock(&zones_lock);
  return found;
}

bool fl_zone_is_known(const char *zone) {
  return is_utc(zone) || zone_get(zone);
}

int32_t fl_zone_get_offset(const char *zone, int64_t utc_s) {
  const zone_table *z = is_utc(zone) ? NULL : zone_get(zone);
  if (!z) return 0;
  if (!z->count || utc_s < z->at[0])
    return z->count || !z->has_footer ? z->first : footer_offset(z, utc_s);
  if (utc_s >= z->at[z->count - 1] && z->has_footer) return footer_offset(z, utc_s);
  size_t low = 0, high = z->count; // at[low] <= utc_s < at[high]
  while (high - low > 1) {
    size_t middle = (low + high) / 2;
    if (z->at[middle] <= utc_s)
      low = middle;
    else
      high = middle;
  }
  return z->offset[low];
}

void fl_zone_date(int64_t wall_ms, const char *zone, char out[FL_TIME_TEXT_SIZE]) {
  int64_t s = floor_div(wall_ms, 1000), year;
  int month, day;
  civil_from_days(floor_div(s + fl_zone_get_offset(zone, s), 86400), &year, &month, &day);
  snprintf(out, FL_TIME_TEXT_SIZE, "%04lld-%02d-%02d", (long long)year, month, day);
}
