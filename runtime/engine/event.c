// Events wait here for their commit, then go to the host in the order in which they happened.
#include <stdarg.h>
#include "engine/run.h"

static fl_pending_event *add(fl_run *run, fl_event_kind kind) {
  fl_scheduler *s = run->scheduler;
  if (s->event_count == s->event_capacity) {
    s->event_capacity = s->event_capacity ? s->event_capacity * 2 : 64;
    s->events = fl_realloc(s->events, s->event_capacity * sizeof *s->events);
  }
  fl_pending_event *p = &s->events[s->event_count++];
  *p = (fl_pending_event){.run = run};
  p->event = (fl_event){.kind = kind,
                        .wall_ms = fl_now(s),
                        .run_id = run->row.id,
                        .flow = run->flow->key,
                        .node_index = FL_NODE_NONE,
                        .exit_code = -1,
                        .nodes_total = fl_plan_get_count(run->plan)};
  return p;
}

void fl_event_run(fl_run *run, fl_event_kind kind, const char *status, int64_t duration_ms) {
  if (!run->scheduler->config.on_event) return;
  fl_pending_event *p = add(run, kind);
  p->event.status = status;
  p->event.duration_ms = duration_ms;
  p->event.epoch = run->row.epoch;
  if (run->error && kind == FL_EVENT_RUN_FINISHED) p->error = fl_strdup(run->error);
}

void fl_event_node(fl_run *run, uint32_t node, fl_event_kind kind, const char *status,
                   const fl_event *more) {
  if (!run->scheduler->config.on_event) return;
  fl_pending_event *p = add(run, kind);
  p->event.node_index = node;
  p->event.status = status;
  if (node >= run->graph_count)
    p->name = fl_strdup(fl_run_get_name(run, node));
  else
    p->event.node = fl_run_get_name(run, node);
  if (!more) return;
  if (more->wall_ms) p->event.wall_ms = more->wall_ms;
  p->event.attempt = more->attempt;
  p->event.duration_ms = more->duration_ms;
  p->event.reason = more->reason;
  p->event.exit_code = more->exit_code;
  p->event.signal = more->signal;
  p->event.progress_done = more->progress_done;
  p->event.progress_total = more->progress_total;
  if (more->error) p->error = fl_strdup(more->error);
}

void fl_scheduler_notice(fl_scheduler *s, fl_run *run, const char *fmt, ...) {
  if (!s->config.on_event) return;
  char text[1024];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  if (run) {
    add(run, FL_EVENT_NOTICE)->error = fl_strdup(text);
    return;
  }
  fl_event e = {.kind = FL_EVENT_NOTICE, .wall_ms = fl_now(s), .error = text, .exit_code = -1};
  s->config.on_event(s->config.event_ud, &e);
}

void fl_scheduler_flush_events(fl_scheduler *s) {
  // A callback may cause further events: they are appended and told in the same pass.
  for (size_t i = 0; i < s->event_count; i++) {
    fl_pending_event p = s->events[i];
    if (p.error) p.event.error = p.error;
    if (p.name) p.event.node = p.name;
    s->config.on_event(s->config.event_ud, &p.event);
    free(p.error);
    free(p.name);
  }
  s->event_count = 0;
  for (size_t i = 0; i < s->ended_count; i++) fl_run_free(s->ended[i]);
  s->ended_count = 0;
}
