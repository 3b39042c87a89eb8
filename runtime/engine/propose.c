// Keeps what was proposed for a failed run, and which of it is to be applied by itself.
#include "engine/run_internal.h"

typedef struct counting {
  uint32_t automatic; // proposals that were applied by themselves so far
} counting;

static bool count_applied(void *ud, const fl_proposal_row *row) {
  counting *c = ud;
  c->automatic += row->automatic && row->applied_epoch;
  return true;
}

// A proposal that is applied already makes the next breakpoint, at which others are asked again.
static bool is_wanted(const fl_run *run) {
  const fl_scheduler *s = run->scheduler;
  for (size_t i = 0; i < s->wanted_count; i++)
    if (!strcmp(s->wanted[i].run_id, run->row.id)) return true;
  return false;
}

static void want(fl_run *run, uint32_t proposal) {
  fl_scheduler *s = run->scheduler;
  s->wanted = fl_realloc(s->wanted, (s->wanted_count + 1) * sizeof *s->wanted);
  fl_wanted_resume *w = &s->wanted[s->wanted_count++];
  snprintf(w->run_id, sizeof w->run_id, "%s", run->row.id);
  w->proposal = proposal;
}

static fl_code keep(fl_run *run, const fl_advice *advice, fl_error *err) {
  fl_store *store = run->scheduler->store;
  counting c = {0};
  // Meanwhile somebody may have resumed it: what was proposed is of no use then.
  if (!fl_scheduler_begin(run->scheduler)) return *err = run->scheduler->error, err->code;
  fl_code rc = fl_store_fence(store, run->row.row, run->row.epoch, NULL, err);
  if (rc == FL_E_FENCED) return FL_OK;
  run->scheduler->syncs |= run->syncs;
  if (!rc) rc = fl_store_each_proposal(store, run->row.row, count_applied, &c, err);
  if (!rc) rc = fl_store_put_value(store, advice->patch, err);
  fl_proposal_row row = {.epoch = run->row.epoch,
                         .at_ms = fl_now(run->scheduler),
                         .origin = advice->origin ? advice->origin : "on_breakpoint",
                         .reason = advice->reason,
                         .patch = advice->patch->store_id,
                         .automatic = c.automatic < advice->automatic_max && !is_wanted(run)};
  if (!rc) rc = fl_store_add_proposal(store, run->row.row, &row, err);
  if (rc) return rc;
  const char *why = advice->reason ? advice->reason : "";
  if (row.automatic) {
    want(run, row.number);
    fl_run_notice(run, "applying proposal %u (%s)%s%s: %.400s", row.number, row.origin,
                  *why ? ", " : "", why, advice->patch->text);
  } else {
    fl_run_notice(run, "proposal %u (%s)%s%s: %.400s; apply it: flowlua resume %s --accept %u",
                  row.number, row.origin, *why ? ", " : "", why, advice->patch->text, run->row.id,
                  row.number);
  }
  return FL_OK;
}

fl_code fl_run_keep_proposal(fl_run *run, const fl_advice *advice, fl_error *err) {
  fl_code rc = keep(run, advice, err);
  if (rc) fl_scheduler_break(run->scheduler, err);
  return rc;
}

bool fl_scheduler_take_wanted(fl_scheduler *s, fl_wanted_resume *out) {
  // A step that was out of time has left it here: the next one records what is proposed, and lets
  // the run go.
  if (!s->wanted_count || fl_scheduler_find_run(s, s->wanted[0].run_id)) return false;
  *out = s->wanted[0];
  memmove(s->wanted, s->wanted + 1, --s->wanted_count * sizeof *s->wanted);
  return true;
}
