// Asks the flow of a failed run, and those of the sub-flows that failed in it, what they would
// change, when the failure is recorded and told, and keeps that as proposals of the run.
#include "engine/run.h"
#include "store/read.h"

typedef struct counting {
  uint32_t automatic; // proposals that were applied by themselves so far
} counting;

static bool count_applied(void *ud, const fl_proposal_row *row) {
  counting *c = ud;
  c->automatic += row->automatic && row->applied_epoch;
  return true;
}

#define PARTS_MAX 16u // sub-flows that are asked at one breakpoint: all items of a map may be such

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
  fl_code rc = fl_store_fence(store, run->row.row, run->row.epoch, err);
  if (rc == FL_E_FENCED) return FL_OK;
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
    fl_scheduler_notice(run->scheduler, run, "applying proposal %u (%s)%s%s: %.400s", row.number,
                        row.origin, *why ? ", " : "", why, advice->patch->text);
  } else {
    fl_scheduler_notice(run->scheduler, run,
                        "proposal %u (%s)%s%s: %.400s; apply it: flowlua resume %s --accept %u",
                        row.number, row.origin, *why ? ", " : "", why, advice->patch->text,
                        run->row.id, row.number);
  }
  return FL_OK;
}

// What a resume would refuse is told, and not kept: nobody could apply it.
static bool is_sound(fl_run *run, const fl_advice *advice) {
  fl_scheduler *s = run->scheduler;
  fl_error err;
  if (!s->config.check_proposal) return true;
  if (!s->config.check_proposal(s->config.ud, run, advice->patch, &err)) return true;
  fl_scheduler_notice(s, run, "the proposal of %s cannot be applied and is not kept: %s",
                      advice->origin ? advice->origin : "on_breakpoint", err.message);
  return false;
}

// `row`: the run that is advised on, `run` itself or one within it. The adviser's trouble must not
// be the run's.
static void ask(fl_run *run, const char *within, const fl_run_row *row, const fl_flow *flow) {
  fl_scheduler *s = run->scheduler;
  fl_advice advice = {0};
  fl_error err;
  fl_buf info;
  fl_buf_init(&info, 64u << 20);
  fl_code rc = fl_read_store_breakpoint(s->store, row, &info, &err);
  if (!rc) rc = flow->hooks->advise(flow, fl_buf_cstr(&info), within, &advice, &err);
  fl_buf_deinit(&info);
  if (rc)
    fl_scheduler_notice(s, run, "%s%s%s", within, *within ? ": " : "", err.message);
  else if (advice.patch && is_sound(run, &advice) && keep(run, &advice, &err))
    fl_scheduler_break(s, &err);
  fl_value_unref(advice.patch);
  free(advice.origin);
  free(advice.reason);
}

typedef struct asking {
  fl_run *run;
  uint32_t count;
} asking;

static void ask_part(void *ud, const char *path, const fl_run_row *row, const fl_flow *flow) {
  asking *a = ud;
  if (a->run->scheduler->broken || ++a->count > PARTS_MAX) return;
  ask(a->run, path, row, flow);
}

void fl_run_propose(fl_run *run) {
  fl_scheduler *s = run->scheduler;
  asking a = {.run = run};
  fl_error err;
  if (run->flow->has_adviser) ask(run, "", &run->row, run->flow);
  if (!run->asks_within || s->broken || !s->config.each_failed_part) return;
  if (s->config.each_failed_part(s->config.ud, run, ask_part, &a, &err))
    fl_scheduler_notice(s, run, "%s", err.message);
  if (a.count > PARTS_MAX)
    fl_scheduler_notice(s, run, "%u more sub-flows failed that could be asked what would mend them",
                        a.count - PARTS_MAX);
}

bool fl_scheduler_take_wanted(fl_scheduler *s, fl_wanted_resume *out) {
  // A step that was out of time has left it here: the next one records what is proposed, and lets
  // the run go.
  if (!s->wanted_count || fl_scheduler_find_run(s, s->wanted[0].run_id)) return false;
  *out = s->wanted[0];
  memmove(s->wanted, s->wanted + 1, --s->wanted_count * sizeof *s->wanted);
  return true;
}
