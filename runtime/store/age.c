// The age of a run decides whether it is removed: a clock that was wrong when the run ended, or is
// wrong now, must not. So it is kept what the clock said at which time that has passed.
//
//   the clock:   1970 -> 1970+1min | 2026 -> 2026+3d | 2036 -> ...      a span each
//   passed:      0 ----------------- 1 min ----------- 3 d ------->     measured
#include "store/age.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void drop(fl_ages *a, int at) {
  memmove(a->spans + at, a->spans + at + 1, sizeof *a->spans * (size_t)(--a->count - at));
}

/// A span goes whose neighbours say between which times it was: the one where these are nearest to
/// each other, for how long ago that is.
static void make_room(fl_ages *a) {
  int at = 0;
  double least = 2;
  for (int i = 1; i + 1 < a->count; i++) {
    const fl_age_span *s = &a->spans[i];
    if (s[-1].to_ms > s->from_ms || s->to_ms > s[1].from_ms) continue;
    double part =
        (double)(s[1].began_ms - s[-1].began_ms) / (double)(a->passed_ms - s[-1].began_ms + 1);
    if (part < least) at = i, least = part;
  }
  a->forgot |= at == 0;
  drop(a, at);
}

static void push(fl_ages *a, int64_t wall_ms) {
  if (a->count == FL_AGE_SPANS_MAX) make_room(a);
  a->spans[a->count++] = (fl_age_span){wall_ms, wall_ms, a->passed_ms};
}

/// A clock that begins again where it began before: what it said then may be of this time.
static void take_over(fl_ages *a) {
  for (int i = a->count - 2; i >= 0; i--) {
    const fl_age_span *old = &a->spans[i];
    fl_age_span *last = &a->spans[a->count - 1];
    if (old->from_ms < last->from_ms - FL_AGE_DRIFT_MAX || old->to_ms > last->to_ms) continue;
    if (old->from_ms < last->from_ms) {
      last->began_ms -= last->from_ms - old->from_ms;
      last->from_ms = old->from_ms;
    }
    drop(a, i);
  }
}

bool fl_ages_look(fl_ages *a, const char *boot, int64_t up_ms, int64_t wall_ms) {
  bool same = !strcmp(a->boot, boot), news = !same || !a->count;
  int64_t by_clock = wall_ms - a->wall_ms, passed = by_clock;
  if (!a->count) {
    push(a, wall_ms);
    by_clock = passed = 0;
  } else if (same) {
    passed = up_ms > a->up_ms ? up_ms - a->up_ms : 0;
  } else if (passed < 0 || passed > FL_AGE_OFF_MAX) {
    passed = passed < 0 ? 0 : FL_AGE_OFF_MAX;
  }
  fl_age_span *last = &a->spans[a->count - 1];
  int64_t off = by_clock - passed;
  bool jump = off > FL_AGE_DRIFT_MAX || off < -FL_AGE_DRIFT_MAX;
  // A clock that is corrected a little is right.
  if (!jump) passed = by_clock > 0 ? by_clock : 0;
  a->passed_ms += passed;
  if (jump) {
    last->to_ms += passed;
    take_over(a);
    push(a, wall_ms);
    news = true;
  } else if (wall_ms > last->to_ms) {
    last->to_ms = wall_ms;
    take_over(a);
  }
  snprintf(a->boot, sizeof a->boot, "%s", boot);
  a->up_ms = up_ms;
  a->wall_ms = wall_ms;
  return news;
}

int64_t fl_ages_of(const fl_ages *a, int64_t wall_ms) {
  int64_t passed = a->passed_ms; // when it was: now, if nothing tells
  int i = a->count - 1, before = -1;
  while (i >= 0 && (wall_ms < a->spans[i].from_ms || wall_ms > a->spans[i].to_ms)) i--;
  if (i >= 0) {
    passed = a->spans[i].began_ms + wall_ms - a->spans[i].from_ms;
    return passed < a->passed_ms ? a->passed_ms - passed : 0;
  }
  // Of no span: behind the one that it is next to, and before what came then and is later.
  for (i = 0; i < a->count; i++)
    if (a->spans[i].to_ms < wall_ms && (before < 0 || a->spans[i].to_ms >= a->spans[before].to_ms))
      before = i;
  for (i = before + 1; i < a->count && a->spans[i].from_ms < wall_ms; i++) {
  }
  if (i < a->count) passed = a->spans[i].began_ms;
  // Before anybody looked the clock is believed.
  if (i < a->count && before < 0 && !a->forgot) passed -= a->spans[i].from_ms - wall_ms;
  return passed < a->passed_ms ? a->passed_ms - passed : 0;
}

void fl_ages_write(const fl_ages *a, char out[FL_AGE_TEXT_SIZE]) {
  int used = snprintf(out, FL_AGE_TEXT_SIZE, "%s %" PRId64 " %" PRId64 " %" PRId64 " %d", a->boot,
                      a->up_ms, a->wall_ms, a->passed_ms, (int)a->forgot);
  for (int i = 0; i < a->count; i++)
    used +=
        snprintf(out + used, (size_t)(FL_AGE_TEXT_SIZE - used), " %" PRId64 " %" PRId64 " %" PRId64,
                 a->spans[i].from_ms, a->spans[i].to_ms, a->spans[i].began_ms);
}

void fl_ages_read(fl_ages *a, const char *text) {
  int forgot = 0, used = 0;
  *a = (fl_ages){0};
  int fields = sscanf(text, "%39s %" SCNd64 " %" SCNd64 " %" SCNd64 " %d%n", a->boot, &a->up_ms,
                      &a->wall_ms, &a->passed_ms, &forgot, &used);
  a->forgot = forgot;
  while (fields == 5 && text[used] && a->count < FL_AGE_SPANS_MAX) {
    fl_age_span *s = &a->spans[a->count];
    int more = 0;
    if (sscanf(text + used, " %" SCNd64 " %" SCNd64 " %" SCNd64 "%n", &s->from_ms, &s->to_ms,
               &s->began_ms, &more) != 3)
      break;
    used += more;
    a->count++;
  }
  if (fields != 5 || !a->count || text[used]) *a = (fl_ages){0};
}
