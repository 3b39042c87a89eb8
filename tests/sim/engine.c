// An engine as a process of the simulated world: a real store, a real scheduler, and a life that
// ends as the world wants.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engine/run_internal.h"
#include "world.h"

static int64_t clock_now(void *ud) {
  return ((sim_world *)ud)->now_ms;
}

static double get_random(void *ud) {
  return (double)sim_range(&((sim_engine *)ud)->world->random, 0, 999) / 1000;
}

bool sim_owner_is_alive(sim_world *w, const char *owner) {
  for (int i = 0; i < SIM_ENGINES; i++)
    if (w->engines[i].alive && !strcmp(w->engines[i].owner, owner)) return !w->engines[i].unlocked;
  return false;
}

static bool owner_lives(void *ud, const char *owner) {
  return sim_owner_is_alive(ud, owner);
}

// Time for budgets passes by being looked at: steps end anywhere, and yet the same each time.
static int64_t budget_us(void *ud) {
  return ((sim_engine *)ud)->world->budget_us++;
}

// The thread that waits for the disk, where an engine has one: it is as slow as chance wants.
static void do_aside(void *ud, void (*work)(void *arg), void (*done)(void *arg), void *arg) {
  sim_engine *e = ud;
  if (e->job_count == SIM_JOBS)
    sim_fail(e->world, "engine %d asks for one sync after another", e->slot);
  else
    e->jobs[e->job_count++] = (sim_job){work, done, arg};
}

static void do_job(sim_engine *e) {
  sim_job job = e->jobs[0];
  memmove(e->jobs, e->jobs + 1, (size_t)--e->job_count * sizeof *e->jobs);
  job.work(job.arg);
  job.done(job.arg);
}

static void wait_aside(void *ud) {
  sim_engine *e = ud;
  while (e->job_count) do_job(e);
}

bool sim_engine_open(sim_engine *e) {
  sim_world *w = e->world;
  fl_error err;
  fl_clock clock = {.wall_ms = clock_now, .monotonic_ms = clock_now, .ud = w};
  e->mount = sim_disk_mount(&w->disk, e->slot);
  if (w->faults && !w->healing && sim_chance(&w->random, 5))
    e->mount->kill_in = sim_range(&w->random, 1, 20); // already while it opens
  e->aside = sim_chance(&w->random, 30);
  e->job_count = 0;
  fl_store_options so = {.durability = w->durability,
                         .disk = &e->mount->table,
                         .clock = &clock,
                         .owner_lives = owner_lives,
                         .owner_ud = w};
  if (e->aside) so.aside = (fl_aside){.run = do_aside, .wait = wait_aside, .ud = e};
  sim_trace(w, "engine %d opens%s", e->slot, e->aside ? ", with a thread for the disk" : "");
  if (fl_store_open(SIM_DIR, &so, &e->store, &err)) {
    sim_trace(w, "engine %d cannot: %s", e->slot, err.message);
    if (err.code == FL_E_CORRUPT && !e->mount->dead) sim_fail(w, "%s", err.message);
    if (w->healing) sim_fail(w, "cannot open the store: %s", err.message);
    if (e->mount->dead) w->crashes++;
    return false;
  }
  snprintf(e->owner, sizeof e->owner, "boot/%d/1#e", ++w->engine_number);
  e->supervisor = -1;
  e->process_slots = e->worker_slots = 1;
  fl_scheduler_config c = {.budget_us = budget_us,
                           .never_waits = e->aside,
                           .store = e->store,
                           .clock = clock,
                           .owner = e->owner,
                           .jobs = w->jobs,
                           .random = get_random,
                           .on_event = sim_on_event,
                           .event_ud = e,
                           .ud = e};
  e->scheduler = fl_scheduler_new(&c);
  sim_register(e);
  e->alive = true;
  e->overdue_ms = 0;
  e->frozen = e->unlocked = e->patching = e->poked = false;
  return true;
}

// What both ends of an engine have in common; `tidily`: it still has its hands.
static void put_away(sim_engine *e, bool tidily) {
  sim_world *w = e->world;
  if (!e->alive) return;
  if (!tidily) sim_mount_kill(e->mount);
  e->alive = false;
  sim_questions_drop(e);
  fl_scheduler_free(e->scheduler);
  e->scheduler = NULL;
  sim_tasks_orphan(w, e->slot);
  if (tidily) sim_observe_end(w); // a last one to close may take the log with it
  fl_store_close(e->store);
  e->store = NULL;
}

void sim_engine_kill(sim_engine *e) {
  if (!e->alive) return;
  sim_trace(e->world, "engine %d is killed", e->slot);
  e->world->crashes++;
  put_away(e, false);
}

void sim_engine_close(sim_engine *e) {
  sim_trace(e->world, "engine %d ends", e->slot);
  put_away(e, true);
}

static void fail_turning(sim_engine *e) {
  for (size_t i = 0; i < fl_scheduler_get_run_count(e->scheduler); i++) {
    fl_run *run = fl_scheduler_get_run(e->scheduler, i);
    sim_trace(e->world, "%s: phase %d, %u live, %u ready, %u retrying, %u open, stopping %d",
              run->row.id, run->phase, run->live_count, fl_plan_get_ready_count(run->plan),
              fl_plan_count_state(run->plan, FL_NODE_RETRYING), fl_plan_get_open_count(run->plan),
              run->stopping);
  }
  sim_fail(e->world, "engine %d turns round without an end", e->slot);
}

void sim_engine_step(sim_engine *e) {
  sim_world *w = e->world;
  fl_error err = {0};
  bool again = true;
  e->poked = false;
  sim_answer(e);
  for (int turns = 0; again && !e->mount->dead; turns++) {
    if (turns > 5000) fail_turning(e);
    if (e->job_count && sim_chance(&w->random, 40)) do_job(e);
    int64_t budget = sim_chance(&w->random, 30) ? 0 : sim_range(&w->random, 1, 200);
    if (w->failed || fl_scheduler_step(e->scheduler, budget, &again, &err)) break;
  }
  if (e->mount->dead) {
    sim_engine_kill(e);
    return;
  }
  if (w->failed) return;
  if (err.code) {
    sim_trace(w, "engine %d stops: %s", e->slot, err.message);
    if (w->healing && err.code != FL_E_FENCED) sim_fail(w, "it stopped: %s", err.message);
    w->crashes++;
    sim_engine_close(e);
    return;
  }
  // What came due within the step is done by the next one.
  if (e->job_count || fl_store_sync_due_ms(e->store, w->now_ms) == 0) e->poked = true;
  if (!fl_scheduler_get_run_count(e->scheduler)) sim_engine_close(e);
}

bool sim_engine_start_run(sim_engine *e) {
  sim_world *w = e->world;
  fl_error err;
  fl_run *run;
  fl_source source = {.path = (char *)"story.lua", .data = (char *)"--", .size = 2};
  fl_snapshot snapshot = {.dir = (char *)"/", .sources = &source, .count = 1};
  fl_value *params = fl_value_new("{\"place\":\"main\"}", 16);
  fl_run_spec spec = {.flow = &w->main.flow, .params = params, .time_ms = 1700000000000};
  fl_snapshot_digest(&snapshot);
  w->main.flow.script_store_id = w->main.flow.definition_store_id = 0;
  w->sub.flow.script_store_id = w->sub.flow.definition_store_id = 0;
  fl_code rc = fl_scheduler_prepare_flow(e->scheduler, &w->main.flow, &snapshot, &err);
  w->sub.flow.script_store_id = w->main.flow.script_store_id;
  if (!rc) rc = fl_scheduler_start_run(e->scheduler, &spec, &run, &err);
  fl_value_unref(params);
  e->poked = true;
  if (!rc) return true;
  if (!e->mount->dead) sim_trace(w, "no start: %s", err.message);
  return false;
}

// The patch as it is kept: what it set can be told from what nodes set.
static fl_value *patch_value(const sim_patch *patch, fl_value *vars) {
  json_t *json = json_object();
  if (vars) json_object_set_new(json, "vars", fl_value_to_json(vars));
  if (patch->any_skip) json_object_set_new(json, "skip", json_true());
  if (patch->any_rerun) json_object_set_new(json, "rerun", json_true());
  fl_value *v = json_object_size(json) ? sim_value(json) : NULL;
  json_decref(json);
  return v;
}

fl_code sim_engine_resume(sim_engine *e, const fl_run_row *row, const sim_patch *patch) {
  static const sim_patch none;
  sim_world *w = e->world;
  fl_error err;
  fl_run *run;
  if (!patch) patch = &none;
  bool dead = !sim_owner_is_alive(w, row->owner);
  fl_value *vars = patch->vars ? fl_value_new("{\"" SIM_PATCHED "\":1}", 13) : NULL;
  fl_value *kept = patch_value(patch, vars);
  w->main.flow.script_store_id = w->sub.flow.script_store_id = row->script;
  w->main.flow.definition_store_id = row->definition;
  w->sub.flow.definition_store_id = 0;
  fl_resume_spec spec = {.flow = &w->main.flow,
                         .vars = vars,
                         .skip = patch->any_skip ? patch->skip : NULL,
                         .rerun = patch->any_rerun ? patch->rerun : NULL,
                         .patch = kept};
  sim_trace(w, "engine %d resumes%s%s%s", e->slot, patch->vars ? " vars" : "",
            patch->any_skip ? " skip" : "", patch->any_rerun ? " rerun" : "");
  fl_code rc = fl_scheduler_resume_run(e->scheduler, row, &spec, &run, &err);
  fl_value_unref(vars);
  fl_value_unref(kept);
  e->poked = true;
  if (rc) {
    if (!e->mount->dead) sim_trace(w, "no resume: %s", err.message);
    return rc;
  }
  w->resumes++;
  w->cancel_asked_ms = 0;
  e->patching = patch->vars;
  if (!dead) sim_fail(w, "a run was taken from a living owner");
  return FL_OK;
}

void sim_power_cut(sim_world *w) {
  sim_trace(w, "the power is cut");
  w->cuts++;
  w->cut_pending = false;
  w->crashes++;
  for (int i = 0; i < SIM_MOUNTS; i++)
    if (w->disk.mounts[i].disk) sim_mount_kill(&w->disk.mounts[i]);
  sim_observe_end(w);
  for (int i = 0; i < SIM_ENGINES; i++) sim_engine_kill(&w->engines[i]);
  for (size_t i = 0; i < w->supervisor_count; i++) w->supervisors[i].alive = false;
  for (size_t i = 0; i < w->task_count; i++) w->tasks[i].state = SIM_GONE;
  sim_disk_cut_power(&w->disk);
}
