// TZif files and POSIX TZ rules. A zone is kept once it was read, and read anew when its file is
// another one than it was.
#include <ctype.h>
#include <pthread.h>
#include <sys/stat.h>
#include "base/civil.h"
#include "base/zone.h"

#define ZONE_DIR      "/usr/share/zoneinfo"
#define ZONE_FILE_MAX (1u << 20) // the largest of them has some 4 KiB
#define LOOK_MS       10000      // between two looks at a zone's file

// One end of daylight saving: month, week (5: the last), weekday, second of the day.
typedef struct zone_rule {
  int month, week, day;
  int32_t second;
} zone_rule;

typedef struct zone_table {
  char *name;
  struct stat file; // as it was when it was read
  int64_t looked_ms;
  int64_t *at; // transitions, ascending
  int32_t *offset;
  char (*short_names)[FL_ZONE_NAME_SIZE];
  size_t count;
  int32_t first;                  // before the first transition
  int32_t std_offset, dst_offset; // behind the last one
  char first_name[FL_ZONE_NAME_SIZE], std_name[FL_ZONE_NAME_SIZE], dst_name[FL_ZONE_NAME_SIZE];
  bool has_footer, has_dst;
  zone_rule begin, end;
} zone_table;

static pthread_mutex_t zones_lock = PTHREAD_MUTEX_INITIALIZER;
static zone_table **zones; // by name
static size_t zone_count, zone_capacity;

static void zone_free(zone_table *z) {
  if (!z) return;
  free(z->name);
  free(z->at);
  free(z->offset);
  free(z->short_names);
  free(z);
}

// ------------------------------------------------------------------------------------- footer

static bool read_name(const char **p, char out[FL_ZONE_NAME_SIZE]) {
  const char *start = *p;
  bool quoted = **p == '<';
  if (quoted) start = ++*p;
  while (quoted ? **p && **p != '>' : isalpha((unsigned char)**p)) (*p)++;
  snprintf(out, FL_ZONE_NAME_SIZE, "%.*s", (int)(*p - start), start);
  if (!quoted) return *p - start >= 3;
  return *(*p)++ == '>';
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
  if (!read_name(&p, z->std_name) || !read_hms(&p, &std)) return;
  z->has_footer = true;
  z->std_offset = -std; // POSIX counts west as positive
  if (!*p || !read_name(&p, z->dst_name)) return;
  dst = std - 3600;
  if (*p && *p != ',' && !read_hms(&p, &dst)) return;
  z->dst_offset = -dst;
  z->has_dst = read_rule(&p, &z->begin) && read_rule(&p, &z->end);
}

static int64_t rule_local(const zone_rule *r, int64_t year) {
  int64_t first = fl_days_from_civil(year, r->month, 1);
  int64_t day = first + (r->day - fl_weekday_of(first) + 7) % 7 + (int64_t)(r->week - 1) * 7;
  while (day >= first + fl_days_of_month(year, r->month)) day -= 7;
  return day * FL_DAY_S + r->second;
}

// Behind the last transition: one year's two changes and their neighbours, in order.
static void footer_span(const zone_table *z, int64_t utc_s, fl_zone_span *out) {
  out->offset = z->std_offset;
  memcpy(out->name, z->std_name, sizeof out->name);
  if (!z->has_dst) return;
  int64_t year;
  int month, day;
  fl_civil_from_days(fl_floor_div(utc_s + z->std_offset, FL_DAY_S), &year, &month, &day);
  for (int64_t y = year - 1; y <= year + 1; y++) {
    int64_t begin = rule_local(&z->begin, y) - z->std_offset;
    int64_t end = rule_local(&z->end, y) - z->dst_offset;
    bool south = begin > end;
    for (int i = 0; i < 2; i++) {
      bool is_begin = (i == 0) != south;
      int64_t at = is_begin ? begin : end;
      if (at > utc_s) {
        if (at < out->to) out->to = at;
        return;
      }
      if (at > out->from) out->from = at;
      out->offset = is_begin ? z->dst_offset : z->std_offset;
      memcpy(out->name, is_begin ? z->dst_name : z->std_name, sizeof out->name);
    }
  }
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

// Of a type of local time: what clocks of that kind are called.
static void take_name(const unsigned char *type, const unsigned char *chars, size_t size,
                      char out[FL_ZONE_NAME_SIZE]) {
  size_t at = type[5];
  if (at < size)
    snprintf(out, FL_ZONE_NAME_SIZE, "%.*s", (int)(size - at), (const char *)chars + at);
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
  z->short_names = fl_alloc_zero(count + 1, sizeof *z->short_names);
  z->first = (int32_t)big_endian(type, 4);
  const unsigned char *chars = type + types * 6;
  size_t char_count = (size_t)big_endian(header + 40, 4);
  take_name(type, chars, char_count, z->first_name);
  for (size_t i = 0; i < count; i++) {
    if (index[i] >= types) return false;
    z->at[i] = big_endian(body + i * 8, 8);
    z->offset[i] = (int32_t)big_endian(type + (size_t)index[i] * 6, 4);
    take_name(type + (size_t)index[i] * 6, chars, char_count, z->short_names[i]);
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

static FILE *zone_open(const char *name, struct stat *st) {
  const char *dir = getenv("TZDIR"); // as the C library looks for them
  char path[4096];
  if (!name_is_safe(name)) return NULL;
  snprintf(path, sizeof path, "%s/%s", dir && *dir ? dir : ZONE_DIR, name);
  FILE *file = fopen(path, "rbe");
  if (!file || (!fstat(fileno(file), st) && S_ISREG(st->st_mode))) return file;
  fclose(file);
  return NULL;
}

static zone_table *zone_load(const char *name) {
  struct stat st;
  FILE *file = zone_open(name, &st);
  if (!file) return NULL;
  unsigned char *data = fl_alloc(ZONE_FILE_MAX);
  size_t size = fread(data, 1, ZONE_FILE_MAX, file);
  fclose(file);
  zone_table *z = fl_alloc_zero(1, sizeof *z);
  z->name = fl_strdup(name);
  z->file = st;
  z->looked_ms = fl_monotonic_ms();
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

static bool is_same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
         a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

// What is known of a zone is kept when its file is gone, or is none any more.
static void look_again(zone_table **place) {
  struct stat st;
  zone_table *z = *place;
  int64_t now_ms = fl_monotonic_ms();
  if (z->looked_ms >= 0 && now_ms - z->looked_ms < LOOK_MS) return;
  z->looked_ms = now_ms;
  FILE *file = zone_open(z->name, &st);
  if (file) fclose(file);
  zone_table *fresh = !file || is_same_file(&st, &z->file) ? NULL : zone_load(z->name);
  if (!fresh) return;
  zone_free(z);
  *place = fresh;
}

// Under the lock; what it returns is good for as long as that is held.
static const zone_table *zone_get(const char *name) {
  size_t low = 0, high = zone_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = strcmp(zones[middle]->name, name);
    if (!order) {
      look_again(&zones[middle]);
      return zones[middle];
    }
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  zone_table *z = zone_load(name);
  if (!z) return NULL;
  if (zone_count == zone_capacity) {
    zone_capacity = zone_capacity ? 2 * zone_capacity : 16;
    zones = fl_realloc(zones, zone_capacity * sizeof(zone_table *));
  }
  memmove(zones + low + 1, zones + low, (zone_count - low) * sizeof(zone_table *));
  zones[low] = z;
  zone_count++;
  return z;
}

void fl_zone_look_again(void) {
  pthread_mutex_lock(&zones_lock);
  for (size_t i = 0; i < zone_count; i++) zones[i]->looked_ms = -1;
  pthread_mutex_unlock(&zones_lock);
}

bool fl_zone_is_known(const char *zone) {
  if (is_utc(zone)) return true;
  pthread_mutex_lock(&zones_lock);
  bool known = zone_get(zone) != NULL;
  pthread_mutex_unlock(&zones_lock);
  return known;
}

static void span_at(const zone_table *z, int64_t utc_s, fl_zone_span *out) {
  *out = (fl_zone_span){.from = INT64_MIN, .to = INT64_MAX, .name = "UTC"};
  if (!z) return;
  memcpy(out->name, z->first_name, sizeof out->name);
  if (!z->count) {
    out->offset = z->first;
    if (z->has_footer) footer_span(z, utc_s, out);
    return;
  }
  if (utc_s < z->at[0]) {
    out->to = z->at[0];
    out->offset = z->first;
    return;
  }
  size_t low = 0, high = z->count; // at[low] <= utc_s < at[high]
  while (high - low > 1) {
    size_t middle = (low + high) / 2;
    if (z->at[middle] <= utc_s)
      low = middle;
    else
      high = middle;
  }
  out->from = z->at[low];
  out->offset = z->offset[low];
  memcpy(out->name, z->short_names[low], sizeof out->name);
  if (high < z->count)
    out->to = z->at[high];
  else if (z->has_footer)
    footer_span(z, utc_s, out);
}

void fl_zone_get_span(const char *zone, int64_t utc_s, fl_zone_span *out) {
  *out = (fl_zone_span){.from = INT64_MIN, .to = INT64_MAX, .name = "UTC"};
  if (is_utc(zone)) return;
  pthread_mutex_lock(&zones_lock);
  span_at(zone_get(zone), utc_s, out);
  pthread_mutex_unlock(&zones_lock);
}

int32_t fl_zone_get_offset(const char *zone, int64_t utc_s) {
  fl_zone_span span;
  fl_zone_get_span(zone, utc_s, &span);
  return span.offset;
}

// Clocks are changed by a day at the most (in Samoa, once), so two days on either side are enough.
int fl_zone_find(const char *zone, int64_t local_s, int64_t at[2]) {
  fl_zone_span span;
  int count = 0;
  fl_zone_get_span(zone, local_s - 2 * FL_DAY_S, &span);
  for (;;) {
    int64_t utc_s = local_s - span.offset, change = span.to;
    if (utc_s >= span.from && utc_s < change && count < 2) at[count++] = utc_s;
    if (change > local_s + 2 * FL_DAY_S) return count;
    fl_zone_get_span(zone, change, &span);
    if (count == 0 && utc_s >= change && local_s - span.offset < change) {
      at[0] = change;
      return 0;
    }
  }
}

void fl_zone_date(int64_t wall_ms, const char *zone, char out[FL_TIME_TEXT_SIZE]) {
  int64_t s = fl_floor_div(wall_ms, 1000), year;
  int month, day;
  fl_civil_from_days(fl_floor_div(s + fl_zone_get_offset(zone, s), FL_DAY_S), &year, &month, &day);
  snprintf(out, FL_TIME_TEXT_SIZE, "%04lld-%02d-%02d", (long long)year, month, day);
}
