// Who listens to events and notices.
#include <stdarg.h>
#include "engine/run_internal.h"

bool fl_scheduler_is_heard(const fl_scheduler *s) {
  return s->subscriber_count > 0;
}

// To those that listened when it began: who comes meanwhile hears the next one.
void fl_scheduler_tell(fl_scheduler *s, const fl_event *e) {
  size_t count = s->subscriber_count;
  s->telling = true;
  for (size_t i = 0; i < count; i++) {
    fl_subscriber one = s->subscribers[i];
    if (one.id) one.on_event(one.ud, e);
  }
  s->telling = false;
}

uint64_t fl_scheduler_subscribe(fl_scheduler *s, fl_event_fn on_event, void *ud) {
  fl_subscriber *free_one = NULL;
  for (size_t i = 0; !s->telling && i < s->subscriber_count; i++)
    if (!s->subscribers[i].id) free_one = &s->subscribers[i];
  if (!free_one) {
    if (s->subscriber_count == s->subscriber_capacity) {
      s->subscriber_capacity = s->subscriber_capacity ? 2 * s->subscriber_capacity : 4;
      s->subscribers = fl_realloc(s->subscribers, s->subscriber_capacity * sizeof *s->subscribers);
    }
    free_one = &s->subscribers[s->subscriber_count++];
  }
  *free_one = (fl_subscriber){++s->subscriber_last, on_event, ud};
  return s->subscriber_last;
}

void fl_scheduler_unsubscribe(fl_scheduler *s, uint64_t id) {
  for (size_t i = 0; id && i < s->subscriber_count; i++)
    if (s->subscribers[i].id == id) s->subscribers[i].id = 0;
  while (!s->telling && s->subscriber_count && !s->subscribers[s->subscriber_count - 1].id)
    s->subscriber_count--;
}

void fl_scheduler_notice(fl_scheduler *s, const char *fmt, ...) {
  char text[FL_NOTICE_MAX];
  va_list args;
  if (!fl_scheduler_is_heard(s)) return;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  fl_scheduler_tell(
      s,
      &(fl_event){.kind = FL_EVENT_NOTICE, .wall_ms = fl_now(s), .error = text, .exit_code = -1});
}
