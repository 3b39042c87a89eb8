// The executors that a scheduler has: registered, with defaults for what they leave out.
#include "engine/run_internal.h"

static void ignore(void *ud) {
  (void)ud;
}
static void ignore_attempt(void *ud, fl_attempt *a) {
  (void)ud, (void)a;
}
static void ignore_slots(void *ud, uint32_t slots) {
  (void)ud, (void)slots;
}
static uint32_t none(void *ud) {
  (void)ud;
  return 0;
}
static const char *no_keeper(void *ud) {
  (void)ud;
  return NULL;
}

uint32_t fl_scheduler_register(fl_scheduler *s, const fl_executor *executor) {
  s->sites = fl_realloc(s->sites, (s->site_count + 1) * sizeof *s->sites);
  fl_site *site = &s->sites[s->site_count];
  *site = (fl_site){.x = *executor};
  fl_executor *x = &site->x;
  FL_ASSERT(x->name && x->start && x->cancel);
  if (!x->let_go) x->let_go = ignore_attempt;
  if (!x->flush) x->flush = ignore;
  if (!x->held) x->held = none;
  if (!x->ahead) x->ahead = none;
  if (!x->set_slots) x->set_slots = ignore_slots;
  if (!x->get_keeper) x->get_keeper = no_keeper;
  for (int kind = 0; kind < FL_KIND_COUNT; kind++)
    if (x->kinds >> kind & 1) s->local[kind] = s->site_count;
  return s->site_count++;
}

void fl_scheduler_room_changed(fl_scheduler *s) {
  s->fill_wanted = true;
}

fl_site *fl_attempt_get_site(const fl_attempt *a) {
  return &a->scheduler->sites[a->executor];
}

fl_site *fl_run_get_site(const fl_run *run, uint32_t node) {
  return &run->scheduler->sites[fl_plan_get_executor(run->plan, node)];
}

void fl_attempt_cancel(fl_attempt *a, int64_t grace_ms) {
  if (a->unknown) return; // fl_attempt_settle() sees that it is to end
  const fl_executor *x = &fl_attempt_get_site(a)->x;
  x->cancel(x->ud, a, grace_ms);
}
