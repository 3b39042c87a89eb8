// Time zones: what the local time was in an IANA zone. Reads the system's TZif files (RFC 8536,
// with the rule in the footer for what lies behind the last transition), because the C library's TZ
// is one a process, and a host's at that.
#pragma once
#include "base/clock.h"

/// True when `zone` names a zone that the system knows ("UTC" always does).
bool fl_zone_is_known(const char *zone);
/// Seconds to add to UTC to get local time in `zone` at `utc_s`. Unknown zones count as UTC.
int32_t fl_zone_get_offset(const char *zone, int64_t utc_s);
/// "YYYY-MM-DD" of the moment in `zone` (NULL: UTC).
void fl_zone_date(int64_t wall_ms, const char *zone, char out[FL_TIME_TEXT_SIZE]);
