// Events wait here for their commit, then go to the host in the order in which they happened.
#include <stdarg.h>
#include "engine/run_internal.h"

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
                        .call = run->call,
                        .node_index = FL_NODE_NONE,
                        .exit_code = -1,
                        .nodes_total = fl_plan_get_count(run->plan)};
  return p;
}

// Progress and notices are for whoever listens now; all else is kept.
static bool is_kept(const fl_event *e) {
  return e->kind <= FL_EVENT_RUN_FINISHED || e->kind == FL_EVENT_RUN_INTERRUPTED;
}

void fl_event_run(fl_run *run, fl_event_kind kind, const char *status, int64_t duration_ms) {
  fl_pending_event *p = add(run, kind);
  p->event.status = status;
  p->event.duration_ms = duration_ms;
  p->event.epoch = run->row.epoch;
  if (run->error && kind != FL_EVENT_RUN_STARTED) p->error = fl_strdup(run->error);
}

void fl_event_node(fl_run *run, uint32_t node, fl_event_kind kind, const char *status,
                   const fl_event *more) {
  if (kind == FL_EVENT_NODE_PROGRESS && !fl_scheduler_is_heard(run->scheduler)) return;
  fl_pending_event *p = add(run, kind);
  p->event.node_index = node;
  p->event.status = status;
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

void fl_run_notice(fl_run *run, const char *fmt, ...) {
  char text[FL_NOTICE_MAX];
  va_list args;
  if (!fl_scheduler_is_heard(run->scheduler)) return;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  add(run, FL_EVENT_NOTICE)->error = fl_strdup(text);
}

static int status_number(const char *status, bool node) {
  int count = node ? FL_NODE_STATE_COUNT : FL_RUN_STATE_COUNT;
  for (int i = 0; status && i < count; i++) {
    const char *text =
        node ? fl_node_state_text((fl_node_state)i) : fl_run_state_text((fl_run_state)i);
    if (text == status || !strcmp(text, status)) return i;
  }
  return 0;
}

// A name comes from the closed list, so that its address says which.
static fl_reason reason_number(const char *name) {
  for (int r = 0; name && r < FL_REASON_COUNT; r++)
    if (fl_reason_name((fl_reason)r) == name) return (fl_reason)r;
  return FL_REASON_NONE;
}

fl_code fl_events_keep(fl_scheduler *s, fl_error *err) {
  for (size_t i = s->event_ready; i < s->event_count; i++) {
    fl_pending_event *p = &s->events[i];
    fl_event *e = &p->event;
    // What it did in this turn is not kept, for it was another engine's already.
    if (!is_kept(e) || e->seq || p->run->fenced) continue;
    bool node = e->node_index != FL_NODE_NONE;
    fl_change c = {.kind = e->kind,
                   .run = p->run->row.row,
                   .at_ms = e->wall_ms,
                   .node = node ? fl_run_get_number(p->run, e->node_index) : FL_CHANGE_NO_NODE,
                   .attempt = e->attempt,
                   .epoch = e->epoch,
                   .state = status_number(e->status, node),
                   .reason = reason_number(e->reason),
                   .duration_ms = e->duration_ms,
                   .exit_code = e->exit_code,
                   .signal = e->signal,
                   .text = p->error};
    fl_code code = fl_store_add_change(s->store, &c, err);
    if (code) return code;
    e->seq = c.seq;
  }
  return FL_OK;
}

void fl_event_free_run(fl_run *run) {
  add(run, FL_EVENT_NOTICE)->last = true;
  run->scheduler->untold_count++;
}

// What it is called, and of an item what it is about.
static void add_names(fl_pending_event *p) {
  fl_run *run = p->run;
  uint32_t node = p->event.node_index, map = fl_plan_get_map(run->plan, node);
  p->event.node = fl_run_get_name(run, node);
  p->event.items_open = run->nodes[map == FL_NODE_NONE ? node : map].items_open;
  if (map == FL_NODE_NONE) return;
  const fl_value *value = fl_run_get_item_value(run, node);
  p->event.item = value ? value->text : NULL;
}

#define PORTION 64 // events, before the clock is looked at

void fl_scheduler_flush_events(fl_scheduler *s) {
  // A callback may cause further events: they are appended, and told after their own commit.
  size_t told = 0;
  while (told < s->event_ready) {
    if (told % PORTION == PORTION - 1 && fl_scheduler_is_out_of_time(s)) break;
    fl_pending_event p = s->events[told];
    if (p.last && !fl_run_free_some(p.run)) break;
    told++;
    s->untold_count -= p.last;
    if (p.last) continue;
    p.event.error = p.error;
    if (p.event.node_index != FL_NODE_NONE) add_names(&p);
    if (fl_scheduler_is_heard(s)) fl_scheduler_tell(s, &p.event);
    free(p.error);
  }
  s->event_count -= told;
  if (s->event_count) memmove(s->events, s->events + told, s->event_count * sizeof *s->events);
  s->event_base += told;
  s->event_ready -= told;
}
