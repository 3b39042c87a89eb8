// Time zones: what the local time was in an IANA zone. Reads the system's TZif files (RFC 8536,
// with the rule in the footer for what lies behind the last transition), because the C library's TZ
// is one a process, and a host's at that.
#pragma once
#include "base/clock.h"

// Any number of zones is kept; from any thread. A zone whose file is replaced (tzdata is updated)
// is read anew within ten seconds.

/// True when `zone` names a zone that the system knows ("UTC" always does).
bool fl_zone_is_known(const char *zone);
/// Seconds to add to UTC to get local time in `zone` at `utc_s`. Unknown zones count as UTC.
int32_t fl_zone_get_offset(const char *zone, int64_t utc_s);

#define FL_ZONE_NAME_SIZE 8 // "+1030", "CEST": six letters at the most (POSIX, RFC 8536)

/// A time during which the clocks of a zone are not changed.
typedef struct fl_zone_span {
  int64_t from, to; // seconds since 1970, `to` excluded; INT64_MIN, INT64_MAX: no change is known
  int32_t offset;   // seconds to add to UTC to get local time
  char name[FL_ZONE_NAME_SIZE]; // what clocks show beside the time: "CET", "+08"
} fl_zone_span;

/// The one that `utc_s` lies in. Unknown zones count as UTC.
void fl_zone_get_span(const char *zone, int64_t utc_s, fl_zone_span *out);
/// The instants, in order, at which clocks in `zone` show `local_s` (seconds since 1970-01-01 00:00
/// there). Returns how many: 1; 2 where it occurs twice; 0 where it does not exist, with the end of
/// the gap in `at[0]`.
int fl_zone_find(const char *zone, int64_t local_s, int64_t at[2]);
/// Files are looked at anew at the next use, not only after ten seconds.
void fl_zone_look_again(void);
/// "YYYY-MM-DD" of the moment in `zone` (NULL: UTC).
void fl_zone_date(int64_t wall_ms, const char *zone, char out[FL_TIME_TEXT_SIZE]);
